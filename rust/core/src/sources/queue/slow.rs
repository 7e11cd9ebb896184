//! A queue told slowly: a list of messages, looked through at every instant. What the machine does
//! with lists, heaps and few timers must come to the same.

use std::collections::BTreeMap;

use super::*;
use crate::sources::queue::tests::{Row, Try};
use crate::sources::record::Failure;

const NEVER: i64 = i64::MAX;

#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) at: i64,
    pub(super) duration: i64,
    pub(super) key: u32,
    pub(super) filtered: bool,
    pub(super) failure: Option<Failure>,
    pub(super) error_runs: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Unsent,
    Visible,
    Leased(i64),
    Ended(OutcomeKind, i64),
}

#[derive(Clone, Debug)]
struct Message {
    sent: Sent,
    state: State,
    receives: u32,
    attempts: u32,
    throttles: u32,
    runs: u32,
    errors: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Doing {
    Gathers(i64),
    Waits(i64),
    Runs(i64),
}

#[derive(Clone, Debug)]
struct Slot {
    /// Message, how often it had been received then, number of the run.
    holds: Vec<(usize, u32, u32)>,
    doing: Doing,
    lease_end: i64,
    tried_at: i64,
    tries: u32,
    failed: bool,
}

pub(super) struct Slow {
    config: SourceConfig,
    kind: QueueConfig,
    messages: Vec<Message>,
    slots: Vec<Slot>,
    limits: Vec<(i64, usize)>,
    now: i64,
    base: i64,
    growth: i64,
    backlog: bool,
    freed: usize,
    windows: Vec<i64>,
    /// When a free slot receives what became available: by message, or by group.
    wakes: BTreeMap<u64, i64>,
    idle_since: Option<i64>,
    pub(super) tries: Vec<Try>,
}

impl Slow {
    pub(super) fn new(config: &SourceConfig, sent: &[Sent], limits: &[(i64, usize)]) -> Self {
        let KindConfig::Queue(kind) = config.kind.clone() else { unreachable!() };
        let message = |sent: &Sent| Message {
            sent: sent.clone(),
            state: State::Unsent,
            receives: 0,
            attempts: 0,
            throttles: 0,
            runs: 0,
            errors: 0,
        };
        let mut slow = Self {
            config: config.clone(),
            kind,
            messages: sent.iter().map(message).collect(),
            slots: Vec::new(),
            limits: limits.to_vec(),
            now: 0,
            base: 0,
            growth: 0,
            backlog: false,
            freed: 0,
            windows: Vec::new(),
            wakes: BTreeMap::new(),
            idle_since: None,
            tries: Vec::new(),
        };
        slow.base = i64::from(slow.kind.ramp_start).min(slow.cap());
        slow
    }

    fn cap(&self) -> i64 {
        i64::from(self.kind.maximum_concurrency.unwrap_or(self.kind.most_batches))
    }

    fn count(&self) -> i64 {
        let gained = self.growth * i64::from(self.kind.ramp_per_minute) / 60_000_000;
        (self.base + gained).min(self.cap())
    }

    fn free(&self) -> usize {
        usize::try_from(self.count()).unwrap().saturating_sub(self.slots.len())
    }

    fn is_locked(&self, key: u32) -> bool {
        let leased = |message: &Message| matches!(message.state, State::Leased(_));
        self.kind.fifo && self.messages.iter().any(|one| one.sent.key == key && leased(one))
    }

    /// What a receive would give, in order.
    fn available(&self) -> Vec<usize> {
        let visible = |place: &usize| self.messages[*place].state == State::Visible;
        let visible = (0..self.messages.len()).filter(visible);
        let mut found: Vec<usize> =
            visible.filter(|place| !self.is_locked(self.messages[*place].sent.key)).collect();
        if self.kind.fifo {
            let first = |key: u32| {
                found.iter().copied().find(|place| self.messages[*place].sent.key == key)
            };
            let mut order: Vec<_> =
                found.iter().map(|place| (first(self.messages[*place].sent.key), *place)).collect();
            order.sort_unstable();
            found = order.into_iter().map(|(_, place)| place).collect();
        }
        found
    }

    /// By which name something is available: a message (and its lease), or a group.
    fn names(&self) -> Vec<u64> {
        let name = |place: usize| {
            let message = &self.messages[place];
            if self.kind.fifo {
                u64::from(message.sent.key)
            } else {
                (place as u64) << 32 | u64::from(message.receives)
            }
        };
        let mut names: Vec<u64> = self.available().into_iter().map(name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Notes what has become available since `before`.
    fn notice(&mut self, before: &[u64], free: bool) {
        let names = self.names();
        self.wakes.retain(|name, _| names.binary_search(name).is_ok());
        for name in names {
            if before.binary_search(&name).is_err() && free {
                self.wakes.insert(name, self.now + self.kind.poll_latency.0);
            }
        }
    }

    fn limit(&self) -> usize {
        self.limits.iter().rev().find(|(from, _)| *from <= self.now).unwrap().1
    }

    fn window(&self) -> i64 {
        self.config.window.0
    }

    fn lease(&self) -> i64 {
        lease_of(&self.config, &self.kind).0
    }

    fn next_instant(&self) -> i64 {
        let mut next = NEVER;
        for message in &self.messages {
            let leaves = message.sent.at + self.config.retention.0;
            next = next.min(match message.state {
                State::Unsent => message.sent.at,
                State::Visible => leaves,
                State::Leased(end) => end,
                State::Ended(..) => NEVER,
            });
        }
        for slot in &self.slots {
            let (Doing::Gathers(at) | Doing::Waits(at) | Doing::Runs(at)) = slot.doing;
            next = next.min(at);
        }
        next = next.min(self.wakes.values().copied().min().unwrap_or(NEVER));
        if self.backlog && self.count() < self.cap() {
            let more = self.count() - self.base + 1;
            let rate = i64::from(self.kind.ramp_per_minute);
            next = next.min(self.now + (more * 60_000_000 + rate - 1) / rate - self.growth);
        }
        next
    }

    pub(super) fn run(mut self) -> (Vec<Try>, Vec<Row>) {
        loop {
            let next = self.next_instant();
            if next == NEVER {
                break;
            }
            if self.backlog && self.count() < self.cap() {
                let before = self.count();
                self.growth += next - self.now;
                self.freed = usize::try_from(self.count() - before).unwrap();
            } else {
                self.freed = 0;
            }
            self.now = next;
            while self.step() {}
            // A wake that found no slot is over.
            let now = self.now;
            self.wakes.retain(|_, at| *at > now);
            let gathers = self.slots.iter().any(|slot| matches!(slot.doing, Doing::Gathers(_)));
            self.backlog = !gathers && self.free() == 0 && !self.available().is_empty();
        }
        let row = |message: &Message| {
            let State::Ended(kind, at) = message.state else { panic!("{message:?}") };
            let progress = Progress {
                attempts: message.attempts,
                throttles: message.throttles,
                runs: message.runs,
                errors: message.errors,
                ..Progress::default()
            };
            Row { kind, reason: None, at: Some(at), progress }
        };
        (self.tries, self.messages.iter().map(row).collect())
    }

    /// The first thing that happens now and has not; false where nothing is left.
    fn step(&mut self) -> bool {
        let before = self.names();
        let now = self.now;
        // Answers.
        let ends: Vec<usize> = self.due(|slot| slot.doing == Doing::Runs(now));
        if let Some(place) = ends.first() {
            let free = self.free() > 0;
            self.answer(*place);
            self.notice(&before, free);
            return true;
        }
        // Expiry, leases.
        for place in 0..self.messages.len() {
            let leaves = self.messages[place].sent.at + self.config.retention.0;
            match self.messages[place].state {
                State::Visible if leaves <= now => self.end(place, OutcomeKind::Expired),
                State::Leased(end) if end <= now && leaves <= now => {
                    self.end(place, OutcomeKind::Expired);
                }
                State::Leased(end) if end <= now => self.messages[place].state = State::Visible,
                _ => continue,
            }
            let free = self.free() > 0;
            self.notice(&before, free);
            return true;
        }
        // Arrivals.
        let arrives = |message: &Message| message.state == State::Unsent && message.sent.at == now;
        if let Some(place) = self.messages.iter().position(arrives) {
            if let Some(since) = self.idle_since.take() {
                self.scale_in(now - since);
            }
            self.messages[place].state = State::Visible;
            let free = self.free() > 0;
            self.notice(&before, free);
            return true;
        }
        // Receives.
        if self.receive() {
            let free = self.free() > 0;
            self.notice(&before, free);
            return true;
        }
        // Tries, the repeated ones first.
        let again = self.due(|slot| slot.doing == Doing::Waits(now) && slot.tries > 0);
        let new = self.due(|slot| match slot.doing {
            Doing::Waits(at) => at == now && slot.tries == 0,
            Doing::Gathers(at) => at == now,
            Doing::Runs(_) => false,
        });
        if let Some(place) = again.first().or(new.first()) {
            if matches!(self.slots[*place].doing, Doing::Gathers(_)) {
                self.slots[*place].doing = Doing::Waits(now + self.kind.invoke_latency.0);
            } else {
                self.attempt(*place);
            }
            return true;
        }
        false
    }

    /// Slots to which something happens, in order of their first messages.
    fn due(&self, is: impl Fn(&Slot) -> bool) -> Vec<usize> {
        let mut found: Vec<usize> =
            (0..self.slots.len()).filter(|place| is(&self.slots[*place])).collect();
        found.sort_by_key(|place| self.slots[*place].holds[0].0);
        found
    }

    fn end(&mut self, place: usize, kind: OutcomeKind) {
        self.messages[place].state = State::Ended(kind, self.now);
        let there = |message: &Message| matches!(message.state, State::Visible | State::Leased(_));
        if !self.messages.iter().any(there) {
            self.idle_since = Some(self.now);
        }
    }

    fn scale_in(&mut self, idle: i64) {
        let count = self.count();
        let start = i64::from(self.kind.ramp_start).min(self.cap());
        if idle >= self.kind.scale_in_deep.0 && self.kind.maximum_concurrency.is_none() {
            (self.base, self.growth) = (count.min(2), 0);
        } else if idle >= self.kind.scale_in.0 {
            (self.base, self.growth) = (count.min(start), 0);
        }
        self.windows.sort_unstable();
        let now = self.now;
        self.windows.retain(|end| *end >= now);
        let free = self.free();
        self.windows.truncate(free);
    }

    fn leave(&mut self, place: usize) {
        self.slots.remove(place);
        self.freed += 1;
        if self.window() > 0 {
            self.windows.push(self.now + self.window());
        }
    }

    fn answer(&mut self, place: usize) {
        let slot = self.slots[place].clone();
        for (message, receives, run) in slot.holds {
            let one = &mut self.messages[message];
            let item = one.sent.failure == Some(Failure::Item) && run <= one.sent.error_runs;
            if slot.failed || self.config.report && item {
                one.errors += 1;
            } else if one.receives == receives && !matches!(one.state, State::Ended(..)) {
                self.end(message, OutcomeKind::Success);
            }
        }
        self.leave(place);
    }

    /// One receive of one slot, or more into the one that gathers.
    fn receive(&mut self) -> bool {
        if self.available().is_empty() {
            return false;
        }
        let gathers = |slot: &Slot| matches!(slot.doing, Doing::Gathers(_));
        if let Some(place) = self.slots.iter().position(gathers) {
            let mut slot = self.slots[place].clone();
            let full = self.take(&mut slot);
            if full {
                slot.doing = Doing::Waits(self.now + self.kind.invoke_latency.0);
            }
            self.slots[place] = slot;
            return true;
        }
        if self.free() == 0 {
            return false;
        }
        let now = self.now;
        self.windows.sort_unstable();
        self.windows.retain(|end| *end >= now);
        let mut window = now + self.window();
        let open = self.window() > 0 && !self.windows.is_empty();
        if open {
            window = self.windows[0];
        } else if self.freed == 0 && !self.wakes.values().any(|at| *at == now) {
            return false;
        }
        self.freed = self.freed.saturating_sub(1);
        let mut slot = Slot {
            holds: Vec::new(),
            doing: Doing::Gathers(window),
            lease_end: now + self.lease(),
            tried_at: 0,
            tries: 0,
            failed: false,
        };
        let mut full = self.take(&mut slot);
        while slot.holds.is_empty() && !self.available().is_empty() {
            full = self.take(&mut slot);
        }
        if slot.holds.is_empty() {
            return true;
        }
        if open {
            self.windows.remove(0);
        }
        if full {
            slot.doing = Doing::Waits(now + self.kind.invoke_latency.0);
        }
        self.slots.push(slot);
        true
    }

    /// One call, or all it takes; whether the batch is full.
    fn take(&mut self, slot: &mut Slot) -> bool {
        let call = self.kind.receive_messages.min(self.config.batch_size) as usize;
        let mut received = 0;
        // Messages that this very call leases lock nothing for it.
        for place in self.available() {
            let spent = self.kind.max_receive_count;
            if spent.is_some_and(|most| self.messages[place].receives >= most) {
                self.end(place, OutcomeKind::Discarded);
                continue;
            }
            self.messages[place].receives += 1;
            received += 1;
            if self.messages[place].sent.filtered {
                self.end(place, OutcomeKind::Filtered);
            } else {
                self.messages[place].state = State::Leased(self.now + self.lease());
                slot.holds.push((place, self.messages[place].receives, 0));
            }
            if slot.holds.len() == self.config.batch_size as usize
                || self.window() == 0 && received == call
            {
                return true;
            }
        }
        self.window() == 0
    }

    fn attempt(&mut self, place: usize) {
        let running = self.slots.iter().filter(|slot| matches!(slot.doing, Doing::Runs(_)));
        let runs = running.count() < self.limit();
        let now = self.now;
        let slot = &mut self.slots[place];
        if slot.tries == 0 {
            slot.tried_at = now;
        }
        slot.tries += 1;
        let (mut duration, mut failed) = (0, false);
        for (message, _, run) in &mut slot.holds {
            let one = &mut self.messages[*message];
            one.attempts += 1;
            if runs {
                one.runs += 1;
                *run = one.runs;
                duration = duration.max(one.sent.duration);
                let whole = matches!(one.sent.failure, Some(Failure::Handled | Failure::Crash));
                failed |= whole && one.runs <= one.sent.error_runs;
            } else {
                one.throttles += 1;
                duration = duration.max(one.sent.duration);
            }
        }
        let rows = slot.holds.iter().map(|(message, ..)| *message as u64).collect();
        self.tries.push(Try { at: now, rows, runs, end: now + duration });
        if runs {
            (slot.failed, slot.doing) = (failed, Doing::Runs(now + duration));
            return;
        }
        let timeout = self.kind.function_timeout.map_or(0, |timeout| timeout.0);
        if let Some(first) = self.kind.throttle_retry {
            let at = slot.tried_at + first.0 * ((1 << slot.tries) - 1);
            if at + timeout <= slot.lease_end {
                slot.doing = Doing::Waits(at);
                return;
            }
        }
        self.leave(place);
    }
}
