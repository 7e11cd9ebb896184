//! Kinesis and `DynamoDB` Streams (E3, E4): shards in order, read ahead, sent in batches by lanes.
//!
//! A shard that is idle costs nothing: its next poll is computed from its phase when something
//! arrives. A shard that is blocked costs what waits in it: it is not polled while as many records
//! are read ahead as may be.

use crate::outcome::{OutcomeKind, Reason, Run};
use crate::request::Progress;
use crate::rng::{Draw, Identity, Purpose};
use crate::sources::config::{KindConfig, SourceConfig, StreamConfig};
use crate::sources::figures::Figures;
use crate::sources::hub::{Answer, Class, Hub, Refused, Start, Timer};
use crate::sources::lane::Lane;
use crate::sources::record::{Record, RecordQueue};
use crate::sources::shards::Ranges;
use crate::sources::switch::Switch;
use crate::sources::worker::{Phase, Terms};
use crate::time::Micros;

/// Bits of a unit that tell the lane; the others tell the shard.
const LANE_BITS: u32 = 4;

/// A stream with its mapping.
#[derive(Debug)]
pub struct Stream {
    config: SourceConfig,
    own: StreamConfig,
    switch: Switch,
    /// When it polled first; never where that is `Micros::MAX`.
    poll_start: Micros,
    ranges: Ranges,
    shards: Vec<Shard>,
}

/// A shard; what every record that lands touches comes first.
#[derive(Debug)]
#[repr(C, align(64))]
struct Shard {
    unread: RecordQueue,
    sequence: u32,
    /// A run of it ended at this instant: it is read then, too.
    reread_at: Micros,
    /// The read that is to come; other timers are overtaken.
    next_read: Micros,
    /// Records read and not settled.
    buffered: u64,
    /// When it may be read: its parents are drained. `Micros::MAX`: not known yet.
    eligible_at: Micros,
    /// When its mapping begins to read it; `Micros::MAX`: not known yet.
    open_at: Micros,
    phase: Micros,
    /// Parents that are not drained yet, and when the last of the others was.
    parents: u32,
    drained_at: Micros,
    /// What takes its place.
    children: Vec<u32>,
    closed: bool,
    drained: bool,
    /// Records that are older than the starting position.
    skipped: RecordQueue,
    lanes: Vec<Lane>,
    blocked_lanes: u32,
    blocked_since: Micros,
}

impl Shard {
    fn new() -> Self {
        Self {
            eligible_at: Micros::MAX,
            open_at: Micros::MAX,
            phase: Micros::ZERO,
            parents: 0,
            drained_at: Micros::MIN,
            children: Vec::new(),
            closed: false,
            drained: false,
            unread: RecordQueue::default(),
            skipped: RecordQueue::default(),
            buffered: 0,
            sequence: 0,
            next_read: Micros::MAX,
            reread_at: Micros::MIN,
            lanes: Vec::new(),
            blocked_lanes: 0,
            blocked_since: Micros::ZERO,
        }
    }

    const fn is_open(&self) -> bool {
        self.open_at.0 < Micros::MAX.0
    }

    /// Whether its lanes are to become more or fewer, and still hold records (E4.2).
    fn changes_lanes(&self, factor: u32) -> bool {
        self.lanes.len() != factor as usize
    }
}

const fn unit_of(shard: u32, lane: u32) -> u32 {
    shard << LANE_BITS | lane
}

/// The shard of a unit.
pub(super) const fn shard_of(unit: u32) -> u32 {
    unit >> LANE_BITS
}

const fn of_unit(unit: u32) -> (usize, usize) {
    ((unit >> LANE_BITS) as usize, (unit & ((1 << LANE_BITS) - 1)) as usize)
}

fn stream_of(config: &SourceConfig) -> StreamConfig {
    match &config.kind {
        KindConfig::Stream(stream) => stream.clone(),
        _ => unreachable!("a source keeps its kind"),
    }
}

impl Stream {
    pub(super) fn new(config: SourceConfig) -> Self {
        let stream = stream_of(&config);
        let ranges = Ranges::new(stream.shards, &stream.reshards);
        let shards = (0..ranges.len()).map(|_| Shard::new()).collect();
        Self { config, own: stream, switch: Switch::new(), poll_start: Micros::MAX, ranges, shards }
    }

    pub(super) const fn config(&self) -> &SourceConfig {
        &self.config
    }

    pub(super) fn units(&self) -> u32 {
        self.ranges.len()
    }

    /// The trace begins: `TRIM_HORIZON` and `LATEST` are the same from here on (§0.6-1).
    pub(super) fn open(&mut self, now: Micros, hub: &mut Hub) {
        hub.figures.resize_with(self.shards.len(), Figures::default);
        for shard in 0..self.own.shards {
            self.shards[shard as usize].eligible_at = Micros::MIN;
        }
        for (entry, reshard) in (0..).zip(self.own.reshards.clone()) {
            if reshard.at <= now {
                self.reshard(entry, reshard.at, hub);
            } else {
                hub.timer(reshard.at, Class::Change, Timer::Reshard, entry, (0, entry));
            }
        }
        if self.switch.turn(&self.config, now, hub) {
            self.switched(now, hub);
        }
    }

    pub(super) fn configure(&mut self, config: SourceConfig, now: Micros, hub: &mut Hub) {
        self.own = stream_of(&config);
        self.config = config;
        if self.switch.turn(&self.config, now, hub) {
            self.switched(now, hub);
        }
        for shard in 0..self.shards.len() {
            for lane in &mut self.shards[shard].lanes {
                lane.measure(&self.config, &self.own, &hub.keys);
            }
            for lane in 0..self.shards[shard].lanes.len() {
                if self.switch.is_on() {
                    // The maximum record age may have changed.
                    let (terms, worker) = self.worker(shard, lane);
                    worker.expire(&terms, now, hub);
                }
                self.settled(shard, lane, now, hub);
            }
            self.schedule_read(shard, now, hub);
        }
    }

    /// The mapping begins or stops to read and to send; it keeps its place in each shard.
    fn switched(&mut self, now: Micros, hub: &mut Hub) {
        if !self.switch.is_on() {
            // What has not begun to poll begins anew.
            for shard in self.shards.iter_mut().filter(|shard| shard.is_open()) {
                if shard.open_at > now {
                    shard.open_at = Micros::MAX;
                    shard.lanes.clear();
                }
            }
            return;
        }
        if self.poll_start == Micros::MAX {
            self.poll_start = now;
        }
        for shard in 0..self.shards.len() {
            self.open_shard(shard, now, hub);
            self.look_at_end(shard, now, hub);
            for lane in 0..self.shards[shard].lanes.len() {
                let (terms, worker) = self.worker(shard, lane);
                worker.resume(&terms, now, hub);
                self.settled(shard, lane, now, hub);
            }
            self.schedule_read(shard, now, hub);
        }
    }

    /// A shard is read from when its mapping polls and its parents are drained.
    fn open_shard(&mut self, place: usize, now: Micros, hub: &Hub) {
        let eligible_at = self.shards[place].eligible_at;
        let known = eligible_at < Micros::MAX && self.switch.is_on();
        if self.shards[place].is_open() || !known {
            return;
        }
        let phase = match self.own.poll {
            Some(period) if self.own.random_phase => {
                let low = place as u64 | u64::from(hub.source) << 32;
                let who = Identity { low, high: 0 };
                let draw = Draw { who, copy: 0, attempt: 0 };
                Micros(hub.luck.between(Purpose::PollPhase, draw, 0, period.0 - 1))
            }
            _ => Micros::ZERO,
        };
        let shard = &mut self.shards[place];
        shard.open_at = eligible_at.max(self.poll_start).max(now);
        shard.phase = phase;
        // The first window opens with the shard (§0.6-3).
        let lanes = self.own.parallelization_factor;
        shard.lanes = (0..lanes).map(|_| Lane::new(shard.open_at)).collect();
    }

    /// The shard that a record goes to at this instant.
    pub(super) fn route(&self, record: &Record, named: Option<u32>, hub: &Hub) -> u32 {
        match named {
            Some(shard) if !self.ranges.has_changed() => shard,
            Some(shard) => self.ranges.open_for(shard, hub.keys.hash(record.key)),
            None => self.ranges.find_key(hub.keys.high(record.key), record.key, &hub.keys),
        }
    }

    /// The same, and how far the shard is: asked ahead of time, so that what a record touches is on
    /// its way from memory when it lands.
    #[inline]
    pub(crate) fn look_ahead(&self, key: u32, hub: &Hub) -> u64 {
        let shard = self.ranges.find_key(hub.keys.high(key), key, &hub.keys);
        let counted = hub.key_counts.look_ahead(key);
        counted ^ self.shards[shard as usize].unread.look_ahead()
    }

    pub(crate) fn land(
        &mut self,
        mut record: Record,
        named: Option<u32>,
        now: Micros,
        hub: &mut Hub,
    ) {
        let unit = self.route(&record, named, hub);
        hub.landed(unit, &record);
        let place = unit as usize;
        let shard = &mut self.shards[place];
        record.sequence = shard.sequence;
        shard.sequence = shard.sequence.wrapping_add(1);
        if self.own.from.is_some_and(|from| record.timestamp < from) {
            shard.skipped.push(record);
            return;
        }
        shard.unread.push(record);
        if shard.unread.len() == 1 || shard.reread_at == now {
            self.schedule_read(place, now, hub);
        }
    }

    /// Finds the next instant at which a shard is read and something is there to be read.
    fn schedule_read(&mut self, place: usize, now: Micros, hub: &mut Hub) {
        let shard = &mut self.shards[place];
        let Some(head) = shard.unread.front() else { return };
        let full = shard.buffered >= self.own.lookahead;
        let changing = shard.changes_lanes(self.own.parallelization_factor) && shard.buffered > 0;
        if !self.switch.is_on() || !shard.is_open() || full || changing {
            return;
        }
        let visible = head.timestamp + self.own.prop_delay;
        let at = match self.own.poll {
            Some(_) if shard.reread_at == now && visible <= now => now,
            Some(period) => {
                let from = shard.open_at + shard.phase;
                let wait = (visible.max(now) - from).0.max(0);
                from + Micros((wait + period.0 - 1) / period.0 * period.0)
            }
            None => visible.max(now).max(shard.open_at),
        };
        if at < shard.next_read {
            shard.next_read = at;
            let shard = u32::try_from(place).expect("fewer than 2^28 shards");
            hub.timer(at, Class::Read, Timer::Read, shard, (shard, 0));
        }
    }

    /// A shard is read.
    fn read(&mut self, place: usize, now: Micros, hub: &mut Hub) {
        let unit = u32::try_from(place).expect("fewer than 2^28 shards");
        let factor = self.own.parallelization_factor;
        let shard = &mut self.shards[place];
        if shard.next_read != now {
            return;
        }
        shard.next_read = Micros::MAX;
        if !self.switch.is_on() || shard.buffered >= self.own.lookahead {
            return;
        }
        if shard.changes_lanes(factor) {
            if shard.buffered > 0 {
                return;
            }
            let last_done = shard.lanes.iter().map(Lane::last_done).max().unwrap_or(now);
            shard.lanes = (0..factor).map(|_| Lane::new(last_done)).collect();
        }
        let (mut polled, mut filtered, mut bytes) = (0_u64, 0_u64, 0_u64);
        while let Some(head) = shard.unread.front() {
            let pushed = self.own.poll.is_none();
            let most = polled >= u64::from(self.own.read_records)
                || polled > 0 && bytes + head.bytes() > self.own.read_bytes;
            if head.timestamp + self.own.prop_delay > now || most && !pushed {
                break;
            }
            let record = shard.unread.pop().expect("it is there");
            let gone_at = record.timestamp + self.config.retention;
            let one = std::slice::from_ref(&record);
            let progress = Progress::default();
            if gone_at <= now {
                let reason = Some(Reason::RetentionExpired);
                hub.settle(unit, one, OutcomeKind::Expired, reason, Some(gone_at), &progress);
                continue;
            }
            polled += 1;
            bytes += record.bytes();
            if record.is_filtered() {
                filtered += 1;
                hub.settle(unit, one, OutcomeKind::Filtered, None, Some(now), &progress);
                continue;
            }
            shard.buffered += 1;
            let lane = match shard.lanes.len() {
                1 => 0,
                lanes => lane_of(hub.keys.high(record.key), hub.keys.low(record.key), lanes),
            };
            shard.lanes[lane].push(record, now, &self.config, &self.own, &hub.keys);
            if pushed && shard.buffered >= self.own.lookahead {
                break;
            }
        }
        if polled > 0 {
            let minute = hub.minutes.at(hub.source, now);
            minute.polled += polled;
            minute.filtered += filtered;
            hub.figures[place].receives += polled;
        }
        for lane in 0..self.shards[place].lanes.len() {
            self.consider(place, lane, now, hub);
        }
        // What has been read now is not there to be read again.
        self.shards[place].reread_at = Micros::MIN;
        self.schedule_read_after(place, now, hub);
        self.look_at_end(place, now, hub);
    }

    /// The read after the one of this instant.
    fn schedule_read_after(&mut self, place: usize, now: Micros, hub: &mut Hub) {
        let later = if self.own.poll.is_some() { now + Micros(1) } else { now };
        self.schedule_read(place, later, hub);
    }

    /// A lane without a batch: when does it form the next one?
    fn consider(&mut self, place: usize, lane: usize, now: Micros, hub: &mut Hub) {
        let shard = &mut self.shards[place];
        let ended = shard.closed && shard.unread.is_empty();
        let one = &mut shard.lanes[lane];
        let Some(at) = one.starts_at(&self.config, &self.own, ended, now) else { return };
        if at < one.start_at {
            one.start_at = at;
            let shard = u32::try_from(place).expect("fewer than 2^28 shards");
            let unit = unit_of(shard, u32::try_from(lane).expect("at most 10"));
            hub.timer(at, Class::Batch, Timer::Start, unit, (shard, one.sequence()));
        }
    }

    fn worker(&mut self, place: usize, lane: usize) -> (Terms<'_>, &mut super::worker::Worker) {
        let shard = u32::try_from(place).expect("fewer than 2^28 shards");
        let terms = Terms {
            config: &self.config,
            retries: &self.own.retries,
            shard,
            unit: unit_of(shard, u32::try_from(lane).expect("at most 10")),
        };
        (terms, &mut self.shards[place].lanes[lane].worker)
    }

    /// Something may have been settled: room to read, a lane without a batch, the end of a shard.
    fn settled(&mut self, place: usize, lane: usize, now: Micros, hub: &mut Hub) {
        let shard = &mut self.shards[place];
        let one = &mut shard.lanes[lane];
        shard.buffered -= one.worker.take_settled() as u64;
        let was_blocked = std::mem::replace(&mut one.was_blocked, one.worker.blocked);
        match (was_blocked, one.worker.blocked) {
            (false, true) => {
                if shard.blocked_lanes == 0 {
                    shard.blocked_since = now;
                }
                shard.blocked_lanes += 1;
            }
            (true, false) => {
                shard.blocked_lanes -= 1;
                if shard.blocked_lanes == 0 {
                    let figures = &mut hub.figures[place];
                    figures.blocked = figures.blocked.plus(now - shard.blocked_since);
                }
            }
            _ => {}
        }
        if self.own.block_shard && !self.shards[place].lanes.iter().any(|one| one.worker.again) {
            self.release_lanes(place, now, hub);
        }
        if self.shards[place].lanes[lane].worker.is_idle() {
            self.consider(place, lane, now, hub);
        }
        self.schedule_read(place, now, hub);
        self.look_at_end(place, now, hub);
    }

    /// Lanes that another one held up start now (P8).
    fn release_lanes(&mut self, place: usize, now: Micros, hub: &mut Hub) {
        for lane in 0..self.shards[place].lanes.len() {
            let (terms, worker) = self.worker(place, lane);
            if worker.due <= now {
                worker.resume(&terms, now, hub);
            }
            self.consider(place, lane, now, hub);
        }
    }

    /// Whether another lane of the shard has failed (P8).
    fn is_held_up(&self, place: usize, lane: usize) -> bool {
        // Lanes that try again do not hold up each other.
        let lanes = &self.shards[place].lanes;
        self.own.block_shard
            && !lanes[lane].worker.again
            && lanes.iter().any(|lane| lane.worker.again)
    }

    /// A shard that is closed and has nothing left is drained: its children follow (E4.11).
    fn look_at_end(&mut self, place: usize, now: Micros, hub: &mut Hub) {
        let shard = &mut self.shards[place];
        let left = !shard.unread.is_empty() || shard.buffered > 0;
        if !shard.closed || shard.drained || left || !shard.is_open() {
            return;
        }
        // One that ended before it opened opens first.
        let drained_at = now.max(shard.open_at);
        if shard.lanes.iter().any(|lane| !lane.is_over()) {
            return;
        }
        shard.drained = true;
        let delay = self.own.child_delay;
        for child in shard.children.clone() {
            let child = child as usize;
            self.shards[child].drained_at = self.shards[child].drained_at.max(drained_at);
            self.shards[child].parents -= 1;
            if self.shards[child].parents == 0 {
                self.shards[child].eligible_at = self.shards[child].drained_at + delay;
                self.open_shard(child, now, hub);
                self.schedule_read(child, now, hub);
                self.look_at_end(child, now, hub);
            }
        }
    }

    /// Shards split or merge.
    fn reshard(&mut self, entry: u32, now: Micros, hub: &mut Hub) {
        let (parents, children) = self.ranges.reshard(self.own.reshards[entry as usize].what);
        for child in &children {
            self.shards[*child as usize].parents =
                u32::try_from(parents.len()).expect("one or two");
        }
        for parent in parents {
            let shard = &mut self.shards[parent as usize];
            shard.closed = true;
            shard.children.clone_from(&children);
            for lane in 0..self.shards[parent as usize].lanes.len() {
                // Its tumbling window ends with it.
                self.consider(parent as usize, lane, now, hub);
            }
            self.look_at_end(parent as usize, now, hub);
        }
    }

    pub(super) fn fire(&mut self, timer: Timer, unit: u32, now: Micros, hub: &mut Hub) {
        match timer {
            Timer::Read => self.read(unit as usize, now, hub),
            Timer::Expiry => {
                let (shard, lane) = of_unit(unit);
                if lane < self.shards[shard].lanes.len() {
                    let (terms, worker) = self.worker(shard, lane);
                    worker.expire(&terms, now, hub);
                    self.settled(shard, lane, now, hub);
                }
            }
            Timer::Switch => {
                if self.switch.fire(now) {
                    self.switched(now, hub);
                }
            }
            Timer::Reshard => self.reshard(unit, now, hub),
            Timer::Start | Timer::Look | Timer::Effect | Timer::Other => {}
        }
    }

    pub(super) fn start(&mut self, unit: u32, now: Micros, hub: &mut Hub) -> Option<Start> {
        let (place, lane) = of_unit(unit);
        if lane >= self.shards[place].lanes.len() {
            return None;
        }
        let ended = self.shards[place].closed && self.shards[place].unread.is_empty();
        let held = !self.switch.is_on() || self.is_held_up(place, lane);
        let one = &mut self.shards[place].lanes[lane];
        let forms = one.worker.is_idle() && one.start_at == now;
        if forms {
            one.start_at = Micros::MAX;
        }
        let due = matches!(one.worker.phase, Phase::Due | Phase::BackOff) && one.worker.due == now;
        if held || !forms && !due {
            if due {
                // In a back-off that goes on, age and retention act all the same.
                let (terms, worker) = self.worker(place, lane);
                worker.expire(&terms, now, hub);
                self.settled(place, lane, now, hub);
            }
            return None;
        }
        if forms {
            if one.starts_at(&self.config, &self.own, ended, now) != Some(now) {
                self.consider(place, lane, now, hub);
                return None;
            }
            one.form(&self.config, &self.own, now, &hub.keys);
        }
        let (terms, worker) = self.worker(place, lane);
        let start = worker.start(&terms, true, now, hub);
        if start.is_none() {
            self.settled(place, lane, now, hub);
        }
        start
    }

    pub(super) fn refused(&mut self, unit: u32, refused: &Refused, now: Micros, hub: &mut Hub) {
        let (place, lane) = of_unit(unit);
        let (terms, worker) = self.worker(place, lane);
        worker.refused(&terms, refused, now, hub);
        self.settled(place, lane, now, hub);
    }

    pub(super) fn admitted(&mut self, unit: u32, _: Micros, hub: &mut Hub) {
        if self.own.tumbling_window.is_some() {
            let (place, lane) = of_unit(unit);
            self.shards[place].lanes[lane].admitted(hub.source, &self.own, &hub.rares);
        }
    }

    pub(super) fn answered(&mut self, unit: u32, answer: &Answer, now: Micros, hub: &mut Hub) {
        let (place, lane) = of_unit(unit);
        self.shards[place].reread_at = now;
        let (terms, worker) = self.worker(place, lane);
        worker.answered(&terms, answer, now, hub);
        self.settled(place, lane, now, hub);
    }

    pub(super) fn cut(&mut self, unit: u32, run: &Run, hub: &mut Hub) {
        let (place, lane) = of_unit(unit);
        self.shards[place].lanes[lane].worker.cut(run, hub);
    }

    /// What has not been read by then left by retention, or waits still; what a mapping that is
    /// switched off for good has read leaves in the same way.
    pub(super) fn finish(&mut self, until: Option<Micros>, now: Micros, hub: &mut Hub) {
        let (retention, sends) = (self.config.retention, self.switch.is_on());
        let mut leave = |unit: u32, record: &Record, read: bool, progress: &Progress| {
            let gone_at = record.timestamp + retention;
            hub.leave(unit, record, gone_at, until, read && sends, progress);
        };
        for (unit, shard) in (0_u32..).zip(&mut self.shards) {
            for lane in &mut shard.lanes {
                lane.worker.drain(|_, record, progress| leave(unit, record, true, progress));
                while let Some(record) = lane.pop() {
                    leave(unit, &record, true, &Progress::default());
                }
            }
            for queue in [&mut shard.skipped, &mut shard.unread] {
                while let Some(record) = queue.pop() {
                    leave(unit, &record, false, &Progress::default());
                }
            }
        }
        for (shard, figures) in self.shards.iter().zip(&mut hub.figures) {
            if shard.blocked_lanes > 0 {
                figures.blocked = figures.blocked.plus(now - shard.blocked_since);
            }
        }
    }
}

/// The lane of a key: h mod PF (§0.6-7).
#[inline]
#[allow(clippy::cast_possible_truncation)] // Below the number of lanes.
fn lane_of(high: u64, low: u64, lanes: usize) -> usize {
    let lanes = lanes as u64;
    // 2^64 mod PF, without a division of 128 bits.
    let shift = (u64::MAX % lanes + 1) % lanes;
    ((high % lanes * shift + low % lanes) % lanes) as usize
}
