//! Where a source machine and the engine meet: what a machine sees, and what it hands over.
//!
//! A machine is told what happens and answers by putting timers, settled records and attempts
//! here; the engine takes them out after each call. Nothing is allocated per call.

use crate::config::RowError;
use crate::ids::FunctionId;
use crate::model::concurrency::Limit;
use crate::model::state_keys::Access;
use crate::outcome::{AttemptKind, OutcomeKind, Reason, Run};
use crate::request::{NO_KEY, Progress};
use crate::rng::Luck;
use crate::sources::config::SourceConfig;
use crate::sources::figures::{Figures, KeyCounts, Level, SourceMinutes};
use crate::sources::record::{Keys, Rare, Rares, Record};
use crate::time::Micros;

/// The event that a function gets holds at most so many bytes (F1).
pub const PAYLOAD_LIMIT: u64 = 6_291_456;

/// What a timer of a source is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// A batch may start: the engine asks [`start`](super::Machine::start).
    Start,
    /// A shard is read, a slot receives.
    Read,
    /// A record reaches its age or its retention; a lease ends.
    Expiry,
    /// Pollers or slots are looked at.
    Look,
    /// What was looked at takes effect.
    Effect,
    /// A mapping that was enabled or disabled now is.
    Switch,
    /// Shards split or merge.
    Reshard,
    /// Anything else of one kind of source.
    Other,
}

impl Timer {
    /// All, in order.
    pub const ALL: [Self; 8] = [
        Self::Start,
        Self::Read,
        Self::Expiry,
        Self::Look,
        Self::Effect,
        Self::Switch,
        Self::Reshard,
        Self::Other,
    ];
}

/// Class of a timer at its instant (Z1, P27).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A change of configuration.
    Change,
    /// A record or lease expires.
    Expiry,
    /// A record is read.
    Read,
    /// A batch is tried again.
    Retry,
    /// A batch is new.
    Batch,
}

/// A timer that a machine has asked for.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    pub(crate) at: Micros,
    pub(crate) class: Class,
    pub(crate) timer: Timer,
    pub(crate) source: u32,
    pub(crate) unit: u32,
    pub(crate) order: u64,
}

/// Records that have reached the same end.
#[derive(Clone, Copy, Debug)]
pub struct Settled {
    pub(crate) unit: u32,
    /// How many of [`Hub::records`].
    pub(crate) count: usize,
    pub(crate) kind: OutcomeKind,
    pub(crate) reason: Option<Reason>,
    pub(crate) at: Option<Micros>,
    pub(crate) progress: Progress,
}

/// An attempt of one record.
#[derive(Clone, Copy, Debug)]
pub struct RecordAttempt {
    pub(crate) row: u64,
    pub(crate) copy: u32,
    /// 1, 2, …
    pub(crate) number: u32,
    pub(crate) kind: AttemptKind,
    pub(crate) reason: Option<Reason>,
    pub(crate) limit: Option<Limit>,
    pub(crate) at: Micros,
    /// Number of its batch where it did not run.
    pub(crate) batch: Option<u64>,
    pub(crate) run: Option<Run>,
}

/// A batch that starts.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Row of its first record …
    pub row: u64,
    /// … and what more is known of that: its draws are its luck.
    pub rare: Rare,
    /// Whose turn it is at one instant: the unit (shard) …
    pub unit: u32,
    /// … and the place of its first record in it.
    pub sequence: u32,
    /// How often its first record has been tried, this time included.
    pub attempts: u32,
    /// Records.
    pub records: u32,
    /// Arrival of its last record, where the iterator's age is measured by it.
    pub newest: Option<Micros>,
    /// Handler time.
    pub duration: Micros,
    /// The last part of it, after the answer: the sum or the longest of its records'.
    pub extension: Micros,
    /// How the run fails.
    pub error: Option<RowError>,
}

/// What became of a batch that ran.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Why the run failed.
    pub error: Option<Reason>,
    /// The handler was in time and its extension was not: records are settled as it answered, and
    /// the run is an error all the same (Z13).
    pub overrun: bool,
    /// The run.
    pub run: Run,
    /// Times it started over.
    pub conflicts: u32,
}

/// Why a batch did not run.
#[derive(Clone, Copy, Debug)]
pub struct Refused {
    /// The 429's reason.
    pub reason: Reason,
    /// What bound.
    pub limit: Limit,
    /// Number of the batch.
    pub batch: u64,
}

/// What a machine sees, and what it hands over.
#[derive(Debug)]
pub struct Hub {
    /// Hash and length of keys.
    pub keys: Keys,
    /// Names of records of shared state, by code.
    pub state_names: Vec<Box<str>>,
    /// What only some records have.
    pub rares: Rares,
    /// The seed.
    pub luck: Luck,
    /// Whether attempts are wanted.
    pub wants_attempts: bool,
    /// The source at hand.
    pub source: u32,
    /// Figures of the source at hand by unit: shard, group, partition.
    pub figures: Vec<Figures>,
    /// What stands in each unit, by source.
    pub(crate) levels: Vec<Vec<Level>>,
    /// Records that have not reached their end, by source.
    pub(crate) backlog: Vec<u64>,
    /// Counts of keys.
    pub key_counts: KeyCounts,
    /// Counts by minute.
    pub minutes: SourceMinutes,
    /// Records of shared state of the batch that starts, in ascending order.
    pub state_keys: Vec<(u32, Access)>,
    pub(crate) timers: Vec<Due>,
    pub(crate) settled: Vec<Settled>,
    pub(crate) records: Vec<Record>,
    pub(crate) attempts: Vec<RecordAttempt>,
    /// Number of the first unit of the source at hand among those of all.
    pub(crate) first_unit: u32,
    /// How many units it has in the order of one instant; message groups are not among them.
    pub(crate) units: u32,
}

/// Bits of a unit's sequence that decide at one instant.
pub(crate) const SEQUENCE_BITS: u32 = 25;

impl Hub {
    /// Nothing yet.
    pub fn new(luck: Luck) -> Self {
        Self {
            keys: Keys::default(),
            state_names: Vec::new(),
            rares: Rares::default(),
            luck,
            wants_attempts: false,
            source: 0,
            figures: Vec::new(),
            levels: Vec::new(),
            backlog: Vec::new(),
            key_counts: KeyCounts::default(),
            minutes: SourceMinutes::default(),
            state_keys: Vec::new(),
            timers: Vec::new(),
            settled: Vec::new(),
            records: Vec::new(),
            attempts: Vec::new(),
            first_unit: 0,
            units: 1,
        }
    }

    /// Asks for a timer: at one instant they come by class, then by source, then by `shard` (0 for
    /// a queue), then by `sequence`. It cannot be taken back: one that no longer holds is due all
    /// the same, and its machine does nothing then.
    pub fn timer(
        &mut self,
        at: Micros,
        class: Class,
        timer: Timer,
        unit: u32,
        (shard, sequence): (u32, u32),
    ) {
        let order = self.order(shard, sequence);
        self.timers.push(Due { at, class, timer, source: self.source, unit, order });
    }

    /// Place of a unit's record among all units of all sources, by source, shard and sequence.
    pub(crate) const fn order(&self, shard: u32, sequence: u32) -> u64 {
        let shard = (self.first_unit + shard) as u64;
        let sequence = sequence as u64 & ((1 << SEQUENCE_BITS) - 1);
        shard << SEQUENCE_BITS | sequence
    }

    /// A record has reached its stream or queue.
    #[inline]
    pub fn landed(&mut self, unit: u32, record: &Record) {
        let level = self.level(unit);
        level.waiting += 1;
        level.peak = level.peak.max(level.waiting);
        level.last_arrival = record.timestamp;
        let backlog = &mut self.backlog[self.source as usize];
        *backlog += 1;
        let minute = self.minutes.at(self.source, record.timestamp);
        minute.backlog_max = minute.backlog_max.max(*backlog);
        self.count_key(unit, record);
    }

    /// Counts the key of a record of a unit.
    #[inline]
    pub(crate) fn count_key(&mut self, unit: u32, record: &Record) {
        self.key_counts.count(record.key, self.first_unit + unit.min(self.units - 1));
    }

    /// What stands in a unit of the source at hand.
    #[inline]
    pub(crate) fn level(&mut self, unit: u32) -> &mut Level {
        let levels = &mut self.levels[self.source as usize];
        let place = unit as usize;
        if place >= levels.len() {
            levels.resize(place + 1, Level::default());
        }
        &mut levels[place]
    }

    /// Records that have had the same attempts have reached their end. `at` is nothing where they
    /// have not: the replay ends.
    pub fn settle(
        &mut self,
        unit: u32,
        records: &[Record],
        kind: OutcomeKind,
        reason: Option<Reason>,
        at: Option<Micros>,
        progress: &Progress,
    ) {
        if records.is_empty() {
            return;
        }
        self.records.extend_from_slice(records);
        let (count, progress) = (records.len(), *progress);
        self.settled.push(Settled { unit, count, kind, reason, at, progress });
    }

    /// The replay ends, at `until` where that was set, with a record that would leave by retention
    /// at `gone_at`; one that `stays` was taken out of its source and is in somebody's hands.
    pub(crate) fn leave(
        &mut self,
        unit: u32,
        record: &Record,
        gone_at: Micros,
        until: Option<Micros>,
        stays: bool,
        progress: &Progress,
    ) {
        let one = std::slice::from_ref(record);
        if until.is_none_or(|until| gone_at < until && !stays) {
            let reason = Some(Reason::RetentionExpired);
            self.settle(unit, one, OutcomeKind::Expired, reason, Some(gone_at), progress);
        } else {
            self.settle(unit, one, OutcomeKind::Pending, None, None, progress);
        }
    }

    /// What is discarded goes to the destination of failures, if there is one; a document each
    /// time.
    pub fn discard(
        &mut self,
        unit: u32,
        records: &[Record],
        reason: Reason,
        at: Micros,
        progress: &Progress,
        on_failure: bool,
    ) {
        if records.is_empty() {
            return;
        }
        let count = records.len() as u64;
        let minute = self.minutes.at(self.source, at);
        if on_failure {
            minute.delivered += count;
            let figures = &mut self.figures[unit as usize];
            figures.delivered += count;
            figures.documents += 1;
        } else {
            minute.dropped += count;
        }
        self.settle(unit, records, OutcomeKind::Discarded, Some(reason), Some(at), progress);
    }

    /// An attempt of records that have had the same attempts; `number` is the last one's, `at` the
    /// instant of one that did not run.
    #[allow(clippy::too_many_arguments)] // Each is a column.
    pub fn attempted(
        &mut self,
        records: &[Record],
        number: u32,
        kind: AttemptKind,
        reason: Option<Reason>,
        at: Micros,
        refused: Option<&Refused>,
        run: Option<Run>,
    ) {
        if !self.wants_attempts {
            return;
        }
        // Its extension runs on beyond the end of the replay (Z39).
        let unfinished = run.is_some_and(|run| run.end.is_none());
        let kind = if unfinished { AttemptKind::Unfinished } else { kind };
        for record in records {
            let copy = self.rares.of(self.source, record).copy;
            let at = run.map_or(at, |run| run.start);
            self.attempts.push(RecordAttempt {
                row: record.row,
                copy,
                number,
                kind,
                reason,
                limit: refused.map(|refused| refused.limit),
                at,
                batch: refused.map(|refused| refused.batch),
                run,
            });
        }
    }

    /// What the invocation of records looks like. `run_of` is the number (1, 2, …) that this run
    /// has among those that contain the record at a place.
    pub fn gather(
        &mut self,
        config: &SourceConfig,
        records: &[Record],
        run_of: impl Fn(usize) -> u32,
    ) -> Start {
        self.state_keys.clear();
        let first = records.first();
        let rare = first.map(|first| self.rares.of(self.source, first));
        let mut start = Start {
            row: first.map_or(0, |first| first.row),
            rare: rare.unwrap_or_else(|| self.rares.usual(self.source, 0)),
            unit: 0,
            sequence: first.map_or(0, |first| first.sequence),
            attempts: 1,
            records: u32::try_from(records.len()).expect("at most 10,000"),
            newest: None,
            duration: Micros::ZERO,
            extension: Micros::ZERO,
            error: None,
        };
        for (place, record) in records.iter().enumerate() {
            if config.longest {
                start.duration = start.duration.max(record.duration);
            } else {
                start.duration = start.duration.plus(record.duration);
            }
            if record.failure().is_some() && start.error != Some(RowError::Crash) {
                let failure = self.rares.failure(record, run_of(place));
                start.error = failure.and_then(super::record::Failure::of_run).or(start.error);
            }
            if record.rare != super::record::COMMON {
                let rare = self.rares.of(self.source, record);
                start.extension = if config.longest {
                    start.extension.max(rare.extension)
                } else {
                    start.extension.plus(rare.extension)
                };
                if rare.state_key != NO_KEY {
                    let access = if rare.reads { Access::Read } else { Access::Write };
                    self.state_keys.push((rare.state_key, access));
                }
            }
        }
        start.duration = start.duration.plus(config.base);
        start.extension = start.extension.min(start.duration);
        if self.state_keys.len() > 1 {
            // Each once, to write where any of them does. In the order of names: that of codes
            // depends on how the trace was read.
            let names = &self.state_names;
            self.state_keys.sort_unstable_by(|(a, to_a), (b, to_b)| {
                let name = |key: u32| names.get(key as usize);
                let order = (name(*a), *a).cmp(&(name(*b), *b));
                order.then((*to_a == Access::Read).cmp(&(*to_b == Access::Read)))
            });
            self.state_keys.dedup_by_key(|(key, _)| *key);
        }
        start
    }
}

impl SourceConfig {
    /// Size of a record in the event that the function gets, bytes (§0.6-8).
    #[inline]
    pub fn encoded(&self, record: &Record, keys: &Keys) -> u64 {
        let Encoding { base64, each, with_key } = self.encoding;
        let data = if base64 { 4 * record.bytes().div_ceil(3) } else { record.bytes() };
        data + each + if with_key { keys.length(record.key) } else { 0 }
    }

    /// The function that its batches invoke.
    pub const fn function(&self) -> FunctionId {
        self.function
    }
}

use crate::sources::config::Encoding;
