//! Event sources: streams, queues and Kafka topics, whose records wait until a batch of them runs.
//!
//! A machine owns what waits in one source and decides what is sent when, what is tried again and
//! what is given up. It knows neither the event loop nor admission, environments or money: the
//! engine tells it what happens, takes what it has put into the [`Hub`](hub::Hub), and runs its
//! batches the way it runs everything else. Rule ids `E…` and `P…` are those of
//! `docs/semantics.md`.

pub mod config;
#[cfg(test)]
mod drawn;
pub mod figures;
pub mod hub;
pub mod kafka;
mod lane;
pub mod queue;
pub mod record;
mod shards;
pub mod stream;
mod switch;
#[cfg(test)]
mod tests;
pub mod worker;

use crate::outcome::Run;
use crate::sources::config::{KindConfig, SourceConfig};
use crate::sources::hub::{Answer, Hub, Refused, Start, Timer};
use crate::sources::kafka::Kafka;
use crate::sources::queue::Queue;
use crate::sources::record::Record;
use crate::sources::stream::Stream;
use crate::time::Micros;

/// The machine of one event source.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // There are few of them, and each is looked at often.
pub enum Machine {
    /// Kinesis, `DynamoDB` Streams.
    Stream(Stream),
    /// Kafka.
    Kafka(Kafka),
    /// SQS.
    Queue(Queue),
}

/// Calls the method of whichever machine it is.
macro_rules! each {
    ($machine:expr, $one:ident => $call:expr) => {
        match $machine {
            Machine::Stream($one) => $call,
            Machine::Kafka($one) => $call,
            Machine::Queue($one) => $call,
        }
    };
}

impl Machine {
    /// A source that nothing has reached yet.
    pub fn new(config: SourceConfig) -> Self {
        match &config.kind {
            KindConfig::Stream(_) => Self::Stream(Stream::new(config)),
            KindConfig::Kafka(_) => Self::Kafka(Kafka::new(config)),
            KindConfig::Queue(_) => Self::Queue(Queue::new(config)),
        }
    }

    /// Its settings of the moment.
    pub const fn config(&self) -> &SourceConfig {
        match self {
            Self::Stream(machine) => machine.config(),
            Self::Kafka(machine) => machine.config(),
            Self::Queue(machine) => machine.config(),
        }
    }

    /// How many units (shards, partitions) it has in the order of one instant; 1 for a queue.
    pub fn units(&self) -> u32 {
        each!(self, one => one.units())
    }

    /// The trace begins.
    pub fn open(&mut self, now: Micros, hub: &mut Hub) {
        each!(self, one => one.open(now, hub));
    }

    /// The unit whose figures a record counts in that arrives after the end of the replay.
    pub fn unit_for(&mut self, record: &Record, shard: Option<u32>, hub: &mut Hub) -> u32 {
        match self {
            Self::Stream(machine) => machine.route(record, shard, hub),
            Self::Kafka(machine) => machine.route(record, shard, hub),
            Self::Queue(machine) => machine.enter(record, hub),
        }
    }

    /// The unit whose figures the batch of a unit's timer counts in.
    pub fn figures_of(&self, unit: u32) -> u32 {
        match self {
            Self::Stream(_) => stream::shard_of(unit),
            Self::Kafka(_) | Self::Queue(_) => 0,
        }
    }

    /// Its settings change.
    pub fn configure(&mut self, config: SourceConfig, now: Micros, hub: &mut Hub) {
        each!(self, one => one.configure(config, now, hub));
    }

    /// A record reaches it; `shard` is the one that the trace names, if it does.
    #[inline]
    pub fn land(&mut self, record: Record, shard: Option<u32>, now: Micros, hub: &mut Hub) {
        each!(self, one => one.land(record, shard, now, hub));
    }

    /// A timer is due that is not a start.
    pub fn fire(&mut self, timer: Timer, unit: u32, now: Micros, hub: &mut Hub) {
        each!(self, one => one.fire(timer, unit, now, hub));
    }

    /// A start is due: the batch that is to run, if there is one. Either [`Self::refused`] or
    /// [`Self::admitted`] and in the end [`Self::answered`] or [`Self::cut`] follow.
    pub fn start(&mut self, unit: u32, now: Micros, hub: &mut Hub) -> Option<Start> {
        each!(self, one => one.start(unit, now, hub))
    }

    /// The batch of a unit does not run: 429.
    pub fn refused(&mut self, unit: u32, refused: &Refused, now: Micros, hub: &mut Hub) {
        each!(self, one => one.refused(unit, refused, now, hub));
    }

    /// The batch of a unit runs.
    pub fn admitted(&mut self, unit: u32, now: Micros, hub: &mut Hub) {
        each!(self, one => one.admitted(unit, now, hub));
    }

    /// The run of a unit's batch has answered.
    pub fn answered(&mut self, unit: u32, answer: &Answer, now: Micros, hub: &mut Hub) {
        each!(self, one => one.answered(unit, answer, now, hub));
    }

    /// The replay ends while the batch of a unit runs (Z39).
    pub fn cut(&mut self, unit: u32, run: &Run, hub: &mut Hub) {
        each!(self, one => one.cut(unit, run, hub));
    }

    /// The replay ends, at `until` where that was set: everything that waits is settled.
    pub fn finish(&mut self, until: Option<Micros>, now: Micros, hub: &mut Hub) {
        each!(self, one => one.finish(until, now, hub));
    }
}
