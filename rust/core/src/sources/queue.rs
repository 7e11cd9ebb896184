//! SQS, standard and FIFO (E5).
//!
//! The machine of one queue and its mapping: messages that wait, leases, slots. A slot receives,
//! gathers a batch, and is busy until the batch has been deleted or given up. What waits has no
//! timer of its own: leases and retention take one for the first of all, a receive takes one where
//! a free slot waits for a message, and nothing polls.

mod answers;
mod groups;
mod messages;
#[cfg(test)]
mod properties;
mod receives;
mod scaling;
#[cfg(test)]
mod slow;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod through;
mod waiting;

use std::collections::VecDeque;

use crate::metrics::Minute;
use crate::outcome::{OutcomeKind, Reason, Run};
use crate::request::Progress;
use crate::sources::config::{KindConfig, QueueConfig, SourceConfig};
use crate::sources::figures::Figures;
use crate::sources::hub::{Answer, Class, Hub, PAYLOAD_LIMIT, Refused, Start, Timer};
use crate::sources::queue::groups::Groups;
use crate::sources::queue::messages::{End, History, Link, Messages, NIL};
use crate::sources::queue::receives::Wake;
use crate::sources::queue::scaling::{Errors, Ramp, Slots};
use crate::sources::queue::waiting::{Oldest, Random, Waiting};
use crate::sources::record::Record;
use crate::sources::worker::ENVELOPE;
use crate::time::Micros;

/// Added to the visibility timeout where a batching window would not fit in it (E5.2).
const LEASE_MARGIN: Micros = Micros(30_000_000);
/// Bytes of the messages that one event holds.
const EVENT_LIMIT: u64 = PAYLOAD_LIMIT - ENVELOPE;
/// How often provisioned pollers are looked at (E5.6).
const POLLER_LOOK: Micros = Micros::MINUTE;

/// SQS, standard and FIFO (E5).
#[derive(Debug)]
pub struct Queue {
    config: SourceConfig,
    kind: QueueConfig,
    /// How long a message is leased.
    lease: Micros,
    messages: Messages,
    waiting: Waiting,
    /// Sequence of the next message.
    sequence: u32,

    batches: Vec<Batch>,
    free_batches: Vec<u32>,
    /// Slots that hold a batch.
    busy: u32,
    /// Highest number of them since provisioned pollers were looked at.
    busiest: u32,
    slots: Slots,
    errors: Errors,
    /// Whether the mapping polls.
    active: bool,
    /// When it begins or ends to.
    switch_at: Micros,
    /// The batch that gathers, with messages.
    gathering: u32,
    /// Ends of the windows of free slots.
    windows: VecDeque<Micros>,
    /// Slots that have become free, at `freed_at`.
    freed: u32,
    freed_at: Micros,
    /// What free slots wait for.
    wakes: VecDeque<Wake>,
    /// Since when no message has been there.
    idle_since: Option<Micros>,
    alarms: Alarms,
    /// End of the minute of the last event.
    minute_end: Micros,
    /// Up to when poller units have been counted.
    units_until: Micros,
}

/// One batch, by the slot that holds it.
#[derive(Debug, Default)]
struct Batch {
    records: Vec<Record>,
    receipts: Vec<Receipt>,
    phase: Phase,
    /// When its window ends, or when it is tried.
    due: Micros,
    /// When the lease of its first message ends.
    lease_end: Micros,
    /// When it was tried first.
    tried_at: Micros,
    /// How often it has been tried.
    tries: u32,
    bytes: u64,
    /// Whether its messages have been through nothing before, and are all leased.
    plain: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Free,
    /// Takes messages until its window ends.
    Gathers,
    /// Is tried when that is due.
    Waits,
    Runs,
}

/// What a batch has of a message: a delete counts if the message has not been received since.
#[derive(Clone, Copy, Debug)]
struct Receipt {
    place: u32,
    receives: u32,
    /// Number of the present attempt among those of the message, and of its run.
    attempt: u32,
    run: u32,
}

/// A timer of which there is one: the calendar may hold more, which are overtaken.
#[derive(Clone, Copy, Debug)]
struct Alarm {
    at: Micros,
}

impl Alarm {
    /// Whether this is it.
    fn rings(&mut self, now: Micros) -> bool {
        let rings = self.at == now;
        if rings {
            self.at = Micros::MAX;
        }
        rings
    }

    /// Whether it must be set: it rings at `at` or before, and may then be set anew.
    #[inline]
    fn needs(&mut self, at: Micros) -> bool {
        let needs = at < self.at;
        if needs {
            self.at = at;
        }
        needs
    }
}

#[derive(Debug)]
struct Alarms {
    read: Alarm,
    /// By [`What`].
    timers: [Alarm; What::COUNT],
}

/// What an alarm among the timers is for, in their order at one instant.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
enum What {
    Retention,
    Lease,
    Growth,
    Easing,
    Pollers,
}

impl What {
    const COUNT: usize = 5;
    const ALL: [Self; Self::COUNT] =
        [Self::Retention, Self::Lease, Self::Growth, Self::Easing, Self::Pollers];
}

impl Queue {
    pub(super) fn new(config: SourceConfig) -> Self {
        let KindConfig::Queue(kind) = config.kind.clone() else { panic!("a queue") };
        let waiting = if kind.fifo {
            Waiting::Groups(Groups::new())
        } else if kind.receive_random {
            Waiting::Random(Random::default())
        } else {
            Waiting::Oldest(Oldest::default())
        };
        let alarm = Alarm { at: Micros::MAX };
        Self {
            lease: lease_of(&config, &kind),
            slots: Slots::new(ramp_of(&kind)),
            config,
            kind,
            messages: Messages::new(),
            waiting,
            sequence: 0,
            batches: Vec::new(),
            free_batches: Vec::new(),
            busy: 0,
            busiest: 0,
            errors: Errors::default(),
            active: false,
            switch_at: Micros::MIN,
            gathering: NIL,
            windows: VecDeque::new(),
            freed: 0,
            freed_at: Micros::MIN,
            wakes: VecDeque::new(),
            idle_since: None,
            alarms: Alarms { read: alarm, timers: [alarm; What::COUNT] },
            minute_end: Micros::MIN,
            units_until: Micros::MIN,
        }
    }

    pub(super) const fn config(&self) -> &SourceConfig {
        &self.config
    }

    #[allow(clippy::unused_self)] // As those of other sources.
    pub(super) const fn units(&self) -> u32 {
        1
    }

    pub(super) fn open(&mut self, now: Micros, hub: &mut Hub) {
        hub.figures.clear();
        hub.figures.push(Figures::default());
        self.units_until = now;
        if self.config.enabled && self.config.start_delay > Micros::ZERO {
            self.switch(self.config.start_delay, now, hub);
        } else {
            // It has polled before: its slots wait.
            self.active = self.config.enabled;
        }
    }

    pub(super) fn configure(&mut self, config: SourceConfig, now: Micros, hub: &mut Hub) {
        self.observe(now, hub);
        let KindConfig::Queue(kind) = config.kind.clone() else { panic!("a queue") };
        assert!(kind.fifo == self.kind.fifo, "the kind of a queue does not change");
        assert!(kind.receive_random == self.kind.receive_random, "the order does not change");
        let switched = config.enabled != self.config.enabled;
        self.lease = lease_of(&config, &kind);
        self.count_units(now, hub);
        self.slots.set_ramp(ramp_of(&kind), now);
        if !kind.backoff {
            self.errors.clear();
        }
        self.config = config;
        self.kind = kind;
        if switched {
            let delay =
                if self.config.enabled { self.config.start_delay } else { self.config.stop_delay };
            self.switch(delay, now, hub);
        }
        self.set_retention(hub);
        self.look_for_backlog(now, hub);
    }

    /// The mapping begins or ends to poll after a delay (P14).
    fn switch(&mut self, delay: Micros, now: Micros, hub: &mut Hub) {
        self.switch_at = now + delay;
        if delay > Micros::ZERO {
            hub.timer(self.switch_at, Class::Change, Timer::Switch, 0, (0, 0));
        } else {
            self.switched(now, hub);
        }
    }

    fn switched(&mut self, now: Micros, hub: &mut Hub) {
        if self.switch_at != now {
            return;
        }
        self.switch_at = Micros::MIN;
        self.active = self.config.enabled;
        if self.active {
            self.free_slots_receive(now, hub);
        } else {
            self.wakes.clear();
        }
    }

    pub(super) fn land(&mut self, mut record: Record, _: Option<u32>, now: Micros, hub: &mut Hub) {
        self.observe(now, hub);
        record.sequence = self.sequence;
        self.sequence += 1;
        if let Some(since) = self.idle_since.take() {
            self.scale_in(now - since, now, hub);
        }
        let unit = self.enter(&record, hub);
        hub.landed(unit, &record);
        if self.kind.fifo {
            record.key = unit - 1;
        }
        if self.alarms.timers[What::Retention as usize].at == Micros::MAX {
            self.set_timer(What::Retention, record.timestamp + self.config.retention, hub);
        }
        let available = self.waiting.land(record, &mut self.messages, hub);
        let visible = self.waiting.visible();
        let minute = hub.minutes.at(hub.source, now);
        minute.visible_max = minute.visible_max.max(visible);
        if let Some(available) = available {
            self.offer(available, now, hub);
            self.look_for_backlog(now, hub);
        }
    }

    /// The unit of figures of a message: the queue, or its group.
    pub(super) fn enter(&mut self, record: &Record, hub: &mut Hub) -> u32 {
        let Waiting::Groups(groups) = &mut self.waiting else { return 0 };
        let number = groups.enter(record.key);
        if hub.figures.len() <= groups.len() {
            hub.figures.push(Figures { group: record.key, ..Figures::default() });
        }
        number + 1
    }

    /// The same of a message that is known.
    fn unit_of(&self, record: &Record) -> u32 {
        match &self.waiting {
            Waiting::Groups(_) => Groups::of(record) + 1,
            _ => 0,
        }
    }

    pub(super) fn fire(&mut self, timer: Timer, unit: u32, now: Micros, hub: &mut Hub) {
        self.observe(now, hub);
        match timer {
            Timer::Read if self.alarms.read.rings(now) => self.read(now, hub),
            Timer::Expiry => self.ring(unit, now, hub),
            Timer::Switch => self.switched(now, hub),
            Timer::Other => self.window_ends(unit, now, hub),
            // Overtaken, or a start.
            _ => return,
        }
        self.look_for_backlog(now, hub);
    }

    fn ring(&mut self, what: u32, now: Micros, hub: &mut Hub) {
        if !self.alarms.timers[what as usize].rings(now) {
            return;
        }
        match What::ALL[what as usize] {
            What::Retention => self.expire(now, hub),
            What::Lease => self.end_leases(now, hub),
            // Slots come; the backlog is looked at below.
            What::Growth | What::Easing => {}
            What::Pollers => self.look_at_pollers(now, hub),
        }
    }

    /// Sees to it that an alarm rings at `at` or before.
    #[inline]
    fn set_timer(&mut self, what: What, at: Micros, hub: &mut Hub) {
        if self.alarms.timers[what as usize].needs(at) {
            hub.timer(at, Class::Expiry, Timer::Expiry, what as u32, (0, what as u32));
        }
    }

    fn set_read(&mut self, at: Micros, hub: &mut Hub) {
        if self.alarms.read.needs(at) {
            hub.timer(at, Class::Read, Timer::Read, 0, (0, 0));
        }
    }

    fn set_retention(&mut self, hub: &mut Hub) {
        if let Some(sent) = self.waiting.oldest_sent(&self.messages) {
            self.set_timer(What::Retention, sent + self.config.retention, hub);
        }
    }

    /// Visible messages have been there for as long as they may (P28).
    fn expire(&mut self, now: Micros, hub: &mut Hub) {
        while let Some(next) = self.waiting.oldest(&self.messages) {
            if next.record.timestamp + self.config.retention > now {
                break;
            }
            sample_age(&next.record, now, hub);
            if next.place == NIL {
                if let Waiting::Oldest(oldest) = &mut self.waiting {
                    oldest.pop_fresh();
                }
                let (kind, reason) = (OutcomeKind::Expired, Some(Reason::RetentionExpired));
                let progress = Progress::default();
                hub.settle(0, &[next.record], kind, reason, Some(now), &progress);
                self.watch_idleness(now);
                continue;
            }
            self.waiting.remove(next.place, &mut self.messages);
            self.end(next.place, expired(now), hub);
            self.watch_idleness(now);
        }
        self.set_retention(hub);
    }

    /// Leases end: their messages are visible again, or have been there too long (§0.6-12).
    fn end_leases(&mut self, now: Micros, hub: &mut Hub) {
        while let Some((place, end)) = self.messages.first_lease() {
            if end > now {
                self.set_timer(What::Lease, end, hub);
                break;
            }
            self.end_lease(place, now, hub);
        }
        self.set_retention(hub);
    }

    fn end_lease(&mut self, place: u32, now: Micros, hub: &mut Hub) {
        let message = *self.messages.get(place);
        if let Link::Held(batch) = message.link() {
            let batch = &mut self.batches[batch as usize];
            batch.plain = false;
            let runs = u32::from(batch.phase == Phase::Runs);
            let progress = Progress { attempts: runs, runs, ..Progress::default() };
            self.messages.history(place, || History { progress, flights: 1, end: None });
        }
        self.messages.end_lease(place);
        let late = message.record.timestamp + self.config.retention <= now;
        let mut available = None;
        if !late {
            available = self.waiting.give_back(place, &mut self.messages, hub);
            let visible = self.waiting.visible();
            let minute = hub.minutes.at(hub.source, now);
            minute.visible_max = minute.visible_max.max(visible);
        }
        available = self.unlock(&message.record, now, hub).or(available);
        if late {
            self.end(place, expired(now), hub);
            self.watch_idleness(now);
        }
        if let Some(available) = available {
            self.offer(available, now, hub);
        }
    }

    /// A lease of a message's group has ended.
    fn unlock(
        &mut self,
        record: &Record,
        now: Micros,
        hub: &mut Hub,
    ) -> Option<waiting::Available> {
        let Waiting::Groups(groups) = &mut self.waiting else { return None };
        let number = Groups::of(record);
        let (available, blocked) = groups.unlock(number, now, &self.messages);
        if let Some(blocked) = blocked {
            let figures = &mut hub.figures[number as usize + 1];
            figures.blocked = figures.blocked.plus(blocked);
        }
        available
    }

    /// A message that is neither visible nor leased has come to its end.
    fn end(&mut self, place: u32, end: End, hub: &mut Hub) {
        let flights = self.messages.history_of(place).map_or(0, |history| history.flights);
        if flights > 0 {
            self.messages.keep_until_released(place, end);
        } else {
            self.settle(place, end, hub);
        }
    }

    fn settle(&mut self, place: u32, end: End, hub: &mut Hub) {
        let record = self.messages.get(place).record;
        let progress = self.messages.history_of(place).map(|history| history.progress);
        let unit = self.unit_of(&record);
        let End { kind, reason, at } = end;
        hub.settle(unit, &[record], kind, reason, Some(at), &progress.unwrap_or_default());
        self.messages.remove(place);
    }

    /// Messages that are visible or leased.
    fn live(&self) -> u64 {
        self.waiting.visible() + self.messages.leased()
    }

    /// Remembers since when no message is there.
    #[inline]
    fn watch_idleness(&mut self, now: Micros) {
        if self.messages.leased() == 0 && self.waiting.visible() == 0 {
            self.idle_since = Some(now);
        }
    }

    /// The first message after a time without any (P16).
    fn scale_in(&mut self, idle: Micros, now: Micros, hub: &mut Hub) {
        if self.kind.provisioned.is_some() {
            return;
        }
        self.slots.set_backlog(false, now);
        let deep = self.kind.scale_in_deep;
        let deep = self.kind.maximum_concurrency.is_none().then_some(deep);
        self.slots.scale_in(idle, self.kind.scale_in, deep);
        // What is left of the windows is what ends first.
        let free = self.free(now) as usize;
        self.windows.truncate(free);
        self.count_units(now, hub);
    }

    /// How many slots may be busy.
    #[inline]
    fn limit(&mut self, now: Micros) -> u32 {
        let slots = self.slots.count();
        if self.backs_off() { self.errors.limit(slots, now) } else { slots }
    }

    fn backs_off(&self) -> bool {
        self.kind.backoff && self.kind.provisioned.is_none()
    }

    /// How many slots are free.
    #[inline]
    fn free(&mut self, now: Micros) -> u32 {
        self.limit(now).saturating_sub(self.busy)
    }

    /// Slots that are new or free again receive at once.
    fn free_slots_receive(&mut self, now: Micros, hub: &mut Hub) {
        let free = self.free(now);
        if self.active && free > 0 {
            self.freed = free;
            self.freed_at = now;
            if self.waiting.any_available() {
                self.set_read(now, hub);
            }
        }
    }

    /// Messages that no slot is free for make slots grow (§0.6-10).
    #[inline]
    fn look_for_backlog(&mut self, now: Micros, hub: &mut Hub) {
        let before = self.slots.has_backlog();
        let mut backlog = self.active && self.waiting.any_available() && self.gathering == NIL;
        if !backlog && !before {
            return;
        }
        self.count_units(now, hub);
        self.slots.advance(now);
        let limit = self.limit(now);
        backlog &= self.busy >= limit;
        self.slots.set_backlog(backlog, now);
        if !backlog {
            if before {
                // All were busy: those that are free now have become so.
                self.free_slots_receive(now, hub);
            }
            return;
        }
        if let Some(at) = self.slots.next_gain() {
            self.set_timer(What::Growth, at, hub);
        }
        if limit < self.slots.count()
            && let Some(at) = self.errors.next_change()
        {
            self.set_timer(What::Easing, at, hub);
        }
    }

    /// Provisioned pollers that were not needed go (E5.6).
    fn look_at_pollers(&mut self, now: Micros, hub: &mut Hub) {
        let Some((least, _)) = self.kind.provisioned else { return };
        let each = self.kind.invocations_per_poller;
        self.slots.advance(now);
        let pollers = self.pollers();
        let needed = self.busiest.div_ceil(each).max(least);
        self.busiest = self.busy;
        if needed < pollers && self.slots.next_gain().is_none() {
            self.count_units(now, hub);
            self.slots.shrink_to(needed * each);
        }
        if self.pollers() > least {
            self.set_timer(What::Pollers, now + POLLER_LOOK, hub);
        }
    }

    /// Provisioned pollers of the moment; 0 where there are none.
    fn pollers(&self) -> u32 {
        if self.kind.provisioned.is_none() {
            return 0;
        }
        self.slots.count().div_ceil(self.kind.invocations_per_poller)
    }

    /// Counts the poller units since the last time.
    #[inline]
    fn count_units(&mut self, now: Micros, hub: &mut Hub) {
        if self.kind.provisioned.is_some() {
            self.count_poller_units(now, hub);
        } else {
            self.units_until = now;
        }
    }

    fn count_poller_units(&mut self, now: Micros, hub: &mut Hub) {
        let pollers = u64::from(self.pollers());
        while self.units_until < now {
            // Whole minutes in which nothing happened are counted in the first of them.
            let start = self.units_until.floor_to(Micros::MINUTE);
            let end = if now < start + Micros::MINUTE {
                now
            } else if start == self.units_until {
                now.floor_to(Micros::MINUTE)
            } else {
                start + Micros::MINUTE
            };
            let minute = hub.minutes.at(hub.source, self.units_until);
            minute.units_us += pollers * (end - self.units_until).0.unsigned_abs();
            minute.pollers_max = minute.pollers_max.max(pollers);
            self.units_until = end;
        }
    }

    /// Counts what has lasted since the minute of the last event.
    #[inline]
    fn observe(&mut self, now: Micros, hub: &mut Hub) {
        if now >= self.minute_end {
            self.observe_minutes(now, hub);
        }
    }

    #[cold]
    fn observe_minutes(&mut self, now: Micros, hub: &mut Hub) {
        let visible = self.waiting.visible();
        if self.live() > 0 && self.minute_end != Micros::MIN {
            let oldest = self.waiting.oldest_sent(&self.messages);
            let backlog = self.live();
            let mut start = Micros(self.minute_end.0 - Micros::MINUTE.0);
            while start <= now {
                // What has been there at the start of the minute, and ages until its end.
                let end = Micros(start.0 + Micros::MINUTE.0).min(now);
                let minute = hub.minutes.at(hub.source, start);
                minute.visible_max = minute.visible_max.max(visible);
                minute.backlog_max = minute.backlog_max.max(backlog);
                if let Some(sent) = oldest {
                    minute.oldest_age_max = minute.oldest_age_max.max(end - sent);
                }
                start = start + Micros::MINUTE;
            }
        }
        self.minute_end = Minute::of(now).start() + Micros::MINUTE;
        self.count_units(now, hub);
    }

    pub(super) fn start(&mut self, unit: u32, now: Micros, hub: &mut Hub) -> Option<Start> {
        self.observe(now, hub);
        let start = self.try_batch(unit, now, hub);
        if start.is_none() {
            self.look_for_backlog(now, hub);
        }
        start
    }

    pub(super) fn refused(&mut self, unit: u32, refused: &Refused, now: Micros, hub: &mut Hub) {
        self.batch_refused(unit, refused, now, hub);
        self.look_for_backlog(now, hub);
    }

    #[allow(clippy::unused_self)] // As those of other sources.
    pub(super) fn admitted(&mut self, unit: u32, _: Micros, _: &mut Hub) {
        self.batch_runs(unit);
    }

    pub(super) fn answered(&mut self, unit: u32, answer: &Answer, now: Micros, hub: &mut Hub) {
        self.observe(now, hub);
        self.batch_answered(unit, answer, now, hub);
        self.look_for_backlog(now, hub);
    }

    pub(super) fn cut(&mut self, unit: u32, run: &Run, hub: &mut Hub) {
        self.batch_cut(unit, run, hub);
    }

    pub(super) fn finish(&mut self, until: Option<Micros>, now: Micros, hub: &mut Hub) {
        self.observe(until.unwrap_or(now), hub);
        self.count_units(until.unwrap_or(now), hub);
        let retention = self.config.retention;
        if let Waiting::Oldest(oldest) = &mut self.waiting {
            while let Some(record) = oldest.pop_fresh() {
                let leaves = record.timestamp + retention;
                hub.leave(0, &record, leaves, until, false, &Progress::default());
            }
        }
        for place in self.messages.all() {
            let message = *self.messages.get(place);
            let history = self.messages.history_of(place).copied().unwrap_or_default();
            if let Some(end) = history.end {
                self.settle(place, end, hub);
                continue;
            }
            let unit = self.unit_of(&message.record);
            let (record, progress) = (&message.record, &history.progress);
            let leaves = record.timestamp + retention;
            hub.leave(unit, record, leaves, until, message.is_leased(), progress);
        }
    }
}

/// A message has been the oldest, or younger than it.
#[inline]
fn sample_age(record: &Record, now: Micros, hub: &mut Hub) {
    let minute = hub.minutes.at(hub.source, now);
    minute.oldest_age_max = minute.oldest_age_max.max(now - record.timestamp);
}

/// The end of a message by retention.
const fn expired(now: Micros) -> End {
    End { kind: OutcomeKind::Expired, reason: Some(Reason::RetentionExpired), at: now }
}

/// How long a message is leased (E5.2).
fn lease_of(config: &SourceConfig, kind: &QueueConfig) -> Micros {
    let timeout = kind.function_timeout.unwrap_or(Micros::ZERO);
    let needed = config.window + timeout;
    let lease = if config.window > Micros::ZERO && needed > kind.visibility_timeout {
        needed + LEASE_MARGIN
    } else {
        kind.visibility_timeout
    };
    assert!(lease > Micros::ZERO, "a lease takes time");
    lease
}

fn ramp_of(kind: &QueueConfig) -> Ramp {
    let each = kind.invocations_per_poller;
    match kind.provisioned {
        Some((least, most)) => Ramp {
            start: least * each,
            cap: most * each,
            per_minute: kind.provisioned_per_minute,
            steps: false,
        },
        None => Ramp {
            start: kind.ramp_start,
            cap: kind.maximum_concurrency.unwrap_or(kind.most_batches),
            per_minute: kind.ramp_per_minute,
            steps: kind.ramp_steps,
        },
    }
}
