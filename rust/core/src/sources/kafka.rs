//! Kafka (E6): partitions, and the pollers that share them.
//!
//! A partition is a shard with one lane that is read without polls. A poller has one batch at a
//! time, of all its partitions together (§0.6-17): it is a slot here, and partition p belongs to
//! slot p mod slots.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::outcome::{OutcomeKind, Reason, Run};
use crate::request::Progress;
use crate::sources::config::{KafkaConfig, KindConfig, SourceConfig};
use crate::sources::figures::Figures;
use crate::sources::hub::{Answer, Class, Hub, PAYLOAD_LIMIT, Refused, Start, Timer};
use crate::sources::record::{Record, RecordQueue};
use crate::sources::shards::Ranges;
use crate::sources::switch::Switch;
use crate::sources::worker::{ENVELOPE, Phase, Terms, Worker};
use crate::time::Micros;

/// Pollers that one event poller unit is billed for (E6).
const POLLERS_PER_UNIT: u64 = 10;

/// A topic with its mapping.
#[derive(Debug)]
pub struct Kafka {
    config: SourceConfig,
    own: KafkaConfig,
    switch: Switch,
    ranges: Ranges,
    partitions: Vec<Partition>,
    slots: Vec<Slot>,
    /// Slots that take batches.
    active: u32,
    /// Pollers now, and as decided by the last look.
    pollers: u32,
    planned: u32,
    /// Since when there are so many: up to here they have been counted.
    counted_to: Micros,
    /// First instant of the trace.
    started: Micros,
    /// When the mapping was enabled last: what waited then was read then.
    on_since: Micros,
    open_at: Micros,
    /// The look that is to come; `Micros::MAX` where none is.
    look_at: Micros,
    throttled: bool,
    /// Records that are not committed.
    lag: u64,
}

#[derive(Debug, Default)]
struct Partition {
    queue: RecordQueue,
    /// Records that are older than the starting position.
    skipped: RecordQueue,
    sequence: u32,
    /// Slot whose batch holds records of it.
    holder: Option<u32>,
    blocked_since: Option<Micros>,
}

#[derive(Debug)]
struct Slot {
    worker: Worker,
    /// When the next batch is formed; other timers are overtaken.
    start_at: Micros,
    /// Partitions that its batch holds.
    held: Vec<u32>,
    /// What its partitions have waiting, as far as no other slot holds them.
    waiting: u64,
    bytes: u64,
    /// Since when.
    since: Micros,
    was_blocked: bool,
}

fn kafka_of(config: &SourceConfig) -> KafkaConfig {
    match &config.kind {
        KindConfig::Kafka(kafka) => kafka.clone(),
        _ => unreachable!("a source keeps its kind"),
    }
}

impl Kafka {
    pub(super) fn new(config: SourceConfig) -> Self {
        let kafka = kafka_of(&config);
        let partitions = (0..kafka.partitions).map(|_| Partition::default()).collect();
        Self {
            ranges: Ranges::new(kafka.partitions, &[]),
            config,
            own: kafka,
            switch: Switch::new(),
            partitions,
            slots: Vec::new(),
            active: 0,
            pollers: 0,
            planned: 0,
            counted_to: Micros::MAX,
            started: Micros::ZERO,
            on_since: Micros::MIN,
            open_at: Micros::MAX,
            look_at: Micros::MAX,
            throttled: false,
            lag: 0,
        }
    }

    pub(super) const fn config(&self) -> &SourceConfig {
        &self.config
    }

    pub(super) const fn units(&self) -> u32 {
        self.own.partitions
    }

    /// Least and most pollers.
    fn bounds(&self) -> (u32, u32) {
        let partitions = self.own.partitions;
        let (least, most) = self.own.provisioned.unwrap_or((1, partitions));
        (least.min(partitions), most.min(partitions))
    }

    pub(super) fn open(&mut self, now: Micros, hub: &mut Hub) {
        hub.figures.resize_with(self.partitions.len(), Figures::default);
        self.counted_to = now;
        self.started = now;
        let (least, _) = self.bounds();
        self.planned = least;
        self.set_pollers(least, now, hub);
        if self.switch.turn(&self.config, now, hub) {
            self.switched(now, hub);
        }
    }

    pub(super) fn configure(&mut self, config: SourceConfig, now: Micros, hub: &mut Hub) {
        self.own = kafka_of(&config);
        self.config = config;
        if self.switch.turn(&self.config, now, hub) {
            self.switched(now, hub);
        }
        let (least, most) = self.bounds();
        self.planned = self.planned.clamp(least, most);
        self.set_pollers(self.pollers.clamp(least, most), now, hub);
        for slot in 0..self.slots.len() {
            if self.switch.is_on() {
                let (terms, worker) = self.worker(slot);
                worker.expire(&terms, now, hub);
            }
            self.settled(slot, now, hub);
        }
    }

    fn switched(&mut self, now: Micros, hub: &mut Hub) {
        if !self.switch.is_on() {
            return;
        }
        if self.open_at == Micros::MAX {
            self.open_at = now;
        }
        self.on_since = now;
        for partition in 0..self.partitions.len() {
            // What came meanwhile is read now.
            let count = self.partitions[partition].queue.len();
            for _ in 0..count {
                let record = self.partitions[partition].queue.pop().expect("it is there");
                self.read(partition, record, now, hub);
            }
        }
        for slot in 0..self.slots.len() {
            self.measure(slot, hub);
            let (terms, worker) = self.worker(slot);
            worker.resume(&terms, now, hub);
            self.settled(slot, now, hub);
        }
        self.look_later(now, hub);
    }

    /// So many pollers from now on: their partitions are shared out anew.
    fn set_pollers(&mut self, pollers: u32, now: Micros, hub: &mut Hub) {
        self.count_pollers(now, hub);
        self.pollers = pollers;
        let active = pollers.min(self.own.partitions).max(1);
        if active == self.active {
            return;
        }
        self.active = active;
        while self.slots.len() < active as usize {
            self.slots.push(Slot {
                worker: Worker::new(self.started + self.config.start_delay),
                start_at: Micros::MAX,
                held: Vec::new(),
                waiting: 0,
                bytes: 0,
                since: now,
                was_blocked: false,
            });
        }
        for slot in 0..self.slots.len() {
            self.measure(slot, hub);
            self.consider(slot, now, hub);
        }
    }

    /// Provisioned pollers are paid for as long as there are any (E6).
    fn count_pollers(&mut self, now: Micros, hub: &mut Hub) {
        if self.own.provisioned.is_none() || self.pollers == 0 {
            self.counted_to = now;
            return;
        }
        let minute = hub.minutes.at(hub.source, self.counted_to);
        minute.pollers_max = minute.pollers_max.max(u64::from(self.pollers));
        let units = u64::from(self.pollers).div_ceil(POLLERS_PER_UNIT);
        minute.units_us += units * u64::try_from((now - self.counted_to).0).unwrap_or(0);
        self.counted_to = now;
    }

    fn slot_of(&self, partition: usize) -> usize {
        partition % self.active as usize
    }

    /// Counts anew what waits for a slot.
    fn measure(&mut self, slot: usize, hub: &Hub) {
        let number = u32::try_from(slot).expect("fewer than 2^32");
        let (mut waiting, mut bytes) = (0, 0);
        if slot < self.active as usize {
            for partition in self.partitions.iter().skip(slot).step_by(self.active as usize) {
                if partition.holder.is_none_or(|holder| holder == number) {
                    waiting += partition.queue.len() as u64;
                    let sizes = partition.queue.iter();
                    bytes += sizes.map(|one| self.config.encoded(one, &hub.keys)).sum::<u64>();
                }
            }
        }
        let since = self.first_read(slot);
        let slot = &mut self.slots[slot];
        (slot.waiting, slot.bytes, slot.since) = (waiting, bytes, since);
    }

    pub(super) fn route(&self, record: &Record, named: Option<u32>, hub: &Hub) -> u32 {
        let high = hub.keys.high(record.key);
        named.unwrap_or_else(|| self.ranges.find_key(high, record.key, &hub.keys))
    }

    pub(super) fn land(
        &mut self,
        mut record: Record,
        named: Option<u32>,
        now: Micros,
        hub: &mut Hub,
    ) {
        let unit = self.route(&record, named, hub);
        hub.landed(unit, &record);
        let (lag, sum) = (hub.level(unit).waiting, hub.backlog[hub.source as usize]);
        let minute = hub.minutes.at(hub.source, now);
        minute.offset_lag_max = minute.offset_lag_max.max(lag);
        minute.offset_lag_sum = minute.offset_lag_sum.max(sum);
        let place = unit as usize;
        let partition = &mut self.partitions[place];
        record.sequence = partition.sequence;
        partition.sequence = partition.sequence.wrapping_add(1);
        if self.own.from.is_some_and(|from| record.timestamp < from) {
            partition.skipped.push(record);
            return;
        }
        self.lag += 1;
        if !self.switch.is_on() {
            partition.queue.push(record);
            return;
        }
        self.read(place, record, now, hub);
        let slot = self.slot_of(place);
        self.consider(slot, now, hub);
        self.look_later(now, hub);
    }

    /// A record is read; it waits for its batch unless it is filtered out.
    fn read(&mut self, place: usize, record: Record, now: Micros, hub: &mut Hub) {
        let one = std::slice::from_ref(&record);
        let gone_at = record.timestamp + self.config.retention;
        let unit = u32::try_from(place).expect("fewer than 2^32");
        if gone_at <= now {
            let reason = Some(Reason::RetentionExpired);
            let progress = Progress::default();
            hub.settle(unit, one, OutcomeKind::Expired, reason, Some(gone_at), &progress);
            self.lag -= 1;
            return;
        }
        hub.figures[place].receives += 1;
        let minute = hub.minutes.at(hub.source, now);
        minute.polled += 1;
        if record.is_filtered() {
            minute.filtered += 1;
            minute.committed += 1;
            hub.settle(unit, one, OutcomeKind::Filtered, None, Some(now), &Progress::default());
            self.lag -= 1;
            return;
        }
        let number = self.slot_of(place);
        let partition = &mut self.partitions[place];
        partition.queue.push(record);
        if partition.holder.is_none_or(|holder| holder as usize == number) {
            let slot = &mut self.slots[number];
            if slot.waiting == 0 {
                slot.since = now;
            }
            slot.waiting += 1;
            slot.bytes += self.config.encoded(&record, &hub.keys);
        }
    }

    /// A slot without a batch: when does it form the next one?
    fn consider(&mut self, place: usize, now: Micros, hub: &mut Hub) {
        let Some(at) = self.starts_at(place, now) else { return };
        let slot = &mut self.slots[place];
        if at < slot.start_at {
            slot.start_at = at;
            let unit = u32::try_from(place).expect("fewer than 2^32");
            hub.timer(at, Class::Batch, Timer::Start, unit, (unit, 0));
        }
    }

    fn starts_at(&self, place: usize, now: Micros) -> Option<Micros> {
        let slot = &self.slots[place];
        if !slot.worker.is_idle() || slot.waiting == 0 || place >= self.active as usize {
            return None;
        }
        let after_gap = now.max(slot.worker.last_done + self.own.retries.gap);
        let full = slot.waiting >= u64::from(self.config.batch_size)
            || slot.bytes > PAYLOAD_LIMIT - ENVELOPE;
        if full {
            return Some(after_gap);
        }
        // The window starts with the first record (E2).
        Some(after_gap.max(slot.since + self.config.window))
    }

    /// Forms a batch: what came first of all partitions of the slot, each in its order.
    fn form(&mut self, place: usize, hub: &Hub) {
        let number = u32::try_from(place).expect("fewer than 2^32");
        let mut heads = BinaryHeap::new();
        for place in (place..self.partitions.len()).step_by(self.active as usize) {
            let partition = &self.partitions[place];
            if let (None, Some(head)) = (partition.holder, partition.queue.front()) {
                heads.push(Reverse((head.timestamp, head.row, place)));
            }
        }
        let (mut count, mut bytes) = (0, 0);
        while let Some(Reverse((_, _, from))) = heads.pop() {
            let partition = &mut self.partitions[from];
            let head = partition.queue.front().expect("it is there");
            let size = self.config.encoded(head, &hub.keys);
            let full = count >= self.config.batch_size
                || count > 0 && bytes + size > PAYLOAD_LIMIT - ENVELOPE;
            if full {
                break;
            }
            count += 1;
            bytes += size;
            let record = partition.queue.pop().expect("it is there");
            let slot = &mut self.slots[place];
            slot.waiting -= 1;
            slot.bytes -= size;
            let unit = u32::try_from(from).expect("fewer than 2^32");
            slot.worker.add_of(record, unit);
            if partition.holder.is_none() {
                partition.holder = Some(number);
                slot.held.push(unit);
            }
            if let Some(next) = self.partitions[from].queue.front() {
                heads.push(Reverse((next.timestamp, next.row, from)));
            }
        }
        self.slots[place].since = self.first_read(place);
    }

    /// When the first record was read that waits for a slot, as far as no other holds it.
    fn first_read(&self, place: usize) -> Micros {
        if place >= self.active as usize {
            return Micros::MAX;
        }
        let own = self.partitions.iter().skip(place).step_by(self.active as usize);
        let mine = own.filter(|one| one.holder.is_none_or(|holder| holder as usize == place));
        let heads = mine.filter_map(|partition| partition.queue.front());
        let first = heads.map(|head| head.timestamp).min().unwrap_or(Micros::MIN);
        first.max(self.on_since)
    }

    fn worker(&mut self, place: usize) -> (Terms<'_>, &mut Worker) {
        let unit = u32::try_from(place).expect("fewer than 2^32");
        let slot = &mut self.slots[place];
        let retries = &self.own.retries;
        let terms = Terms { config: &self.config, retries, shard: unit, unit };
        (terms, &mut slot.worker)
    }

    /// Something may have been settled.
    fn settled(&mut self, place: usize, now: Micros, hub: &mut Hub) {
        let slot = &mut self.slots[place];
        let settled = slot.worker.take_settled() as u64;
        self.lag -= settled;
        if settled > 0 {
            hub.minutes.at(hub.source, now).committed += settled;
        }
        let was_blocked = std::mem::replace(&mut slot.was_blocked, slot.worker.blocked);
        let blocked = slot.worker.blocked;
        for partition in slot.held.clone() {
            let place = partition as usize;
            let partition = &mut self.partitions[place];
            if blocked && !was_blocked {
                partition.blocked_since.get_or_insert(now);
            } else if let Some(since) = partition.blocked_since.take_if(|_| !blocked) {
                let figures = &mut hub.figures[place];
                figures.blocked = figures.blocked.plus(now - since);
            }
        }
        if self.slots[place].worker.is_idle() {
            let mut others = Vec::new();
            for partition in std::mem::take(&mut self.slots[place].held) {
                self.partitions[partition as usize].holder = None;
                let owner = self.slot_of(partition as usize);
                if owner != place && !others.contains(&owner) {
                    others.push(owner);
                }
            }
            for owner in others {
                self.measure(owner, hub);
                self.consider(owner, now, hub);
            }
            self.consider(place, now, hub);
        }
    }

    /// Looks are a grid; there is one to come while there is anything to be looked at.
    fn look_later(&mut self, now: Micros, hub: &mut Hub) {
        let (least, most) = self.bounds();
        let idle = self.lag == 0 && self.planned == least;
        if self.look_at < Micros::MAX || self.open_at == Micros::MAX || idle || least == most {
            return;
        }
        let period = self.own.evaluation.0;
        let looks = (now - self.started).0 / period + 1;
        self.look_at = self.started + Micros(looks * period);
        // It sees what has arrived and what has ended at its instant.
        hub.timer(self.look_at, Class::Read, Timer::Look, 0, (0, 0));
    }

    /// More pollers while something waits, fewer where nothing does or the function refuses (P24).
    fn look(&mut self, now: Micros, hub: &mut Hub) {
        if self.look_at != now {
            return;
        }
        self.look_at = Micros::MAX;
        let (least, most) = self.bounds();
        let throttled = std::mem::take(&mut self.throttled);
        let wanted = if self.lag > 0 && !throttled {
            self.planned.saturating_mul(self.own.step_up)
        } else {
            self.planned.saturating_sub(self.own.step_down)
        };
        let wanted = wanted.clamp(least, most);
        if wanted != self.planned {
            self.planned = wanted;
            let at = now + self.own.effect;
            hub.timer(at, Class::Read, Timer::Effect, wanted, (0, 0));
        }
        self.look_later(now, hub);
    }

    pub(super) fn fire(&mut self, timer: Timer, unit: u32, now: Micros, hub: &mut Hub) {
        match timer {
            Timer::Expiry => {
                let (terms, worker) = self.worker(unit as usize);
                worker.expire(&terms, now, hub);
                self.settled(unit as usize, now, hub);
            }
            Timer::Switch => {
                if self.switch.fire(now) {
                    self.switched(now, hub);
                }
            }
            Timer::Look => self.look(now, hub),
            Timer::Effect => {
                let (least, most) = self.bounds();
                self.set_pollers(unit.clamp(least, most), now, hub);
            }
            Timer::Start | Timer::Read | Timer::Reshard | Timer::Other => {}
        }
    }

    pub(super) fn start(&mut self, unit: u32, now: Micros, hub: &mut Hub) -> Option<Start> {
        let place = unit as usize;
        let slot = &mut self.slots[place];
        let forms = slot.worker.is_idle() && slot.start_at == now;
        if forms {
            slot.start_at = Micros::MAX;
        }
        let due =
            matches!(slot.worker.phase, Phase::Due | Phase::BackOff) && slot.worker.due == now;
        if !self.switch.is_on() || !forms && !due {
            if due {
                // In a back-off that goes on, age and retention act all the same.
                let (terms, worker) = self.worker(place);
                worker.expire(&terms, now, hub);
                self.settled(place, now, hub);
            }
            return None;
        }
        if forms {
            if self.starts_at(place, now) != Some(now) {
                self.consider(place, now, hub);
                return None;
            }
            self.form(place, hub);
        }
        let (terms, worker) = self.worker(place);
        let start = worker.start(&terms, false, now, hub);
        if start.is_none() {
            self.settled(place, now, hub);
        }
        start
    }

    pub(super) fn refused(&mut self, unit: u32, refused: &Refused, now: Micros, hub: &mut Hub) {
        self.throttled = true;
        hub.minutes.at(hub.source, now).invoke_errors += 1;
        let (terms, worker) = self.worker(unit as usize);
        worker.refused(&terms, refused, now, hub);
        self.settled(unit as usize, now, hub);
    }

    #[allow(clippy::unused_self)] // Others do something here.
    pub(super) const fn admitted(&self, _: u32, _: Micros, _: &mut Hub) {}

    pub(super) fn answered(&mut self, unit: u32, answer: &Answer, now: Micros, hub: &mut Hub) {
        if answer.error.is_some() {
            hub.minutes.at(hub.source, now).invoke_errors += 1;
        }
        let (terms, worker) = self.worker(unit as usize);
        worker.answered(&terms, answer, now, hub);
        self.settled(unit as usize, now, hub);
    }

    pub(super) fn cut(&mut self, unit: u32, run: &Run, hub: &mut Hub) {
        self.slots[unit as usize].worker.cut(run, hub);
    }

    /// What waits still stays, or left by retention.
    pub(super) fn finish(&mut self, until: Option<Micros>, now: Micros, hub: &mut Hub) {
        self.count_pollers(now, hub);
        let (retention, sends) = (self.config.retention, self.switch.is_on());
        for slot in &mut self.slots {
            slot.worker.drain(|unit, record, progress| {
                let unit = unit.expect("each has its partition");
                let gone_at = record.timestamp + retention;
                hub.leave(unit, record, gone_at, until, sends, progress);
            });
        }
        for (unit, partition) in (0_u32..).zip(&mut self.partitions) {
            if let Some(since) = partition.blocked_since {
                let figures = &mut hub.figures[unit as usize];
                figures.blocked = figures.blocked.plus(now - since);
            }
            for queue in [&mut partition.skipped, &mut partition.queue] {
                while let Some(record) = queue.pop() {
                    let gone_at = record.timestamp + retention;
                    hub.leave(unit, &record, gone_at, until, false, &Progress::default());
                }
            }
        }
    }
}
