//! Receiving and gathering (P20, P21, §0.6-11, §0.6-14, §0.6-15).

use crate::outcome::{OutcomeKind, Reason};
use crate::request::Progress;
use crate::sources::hub::{Class, Hub, Timer};
use crate::sources::queue::groups::Groups;
use crate::sources::queue::messages::{End, NIL};
use crate::sources::queue::waiting::{Available, Next, Waiting};
use crate::sources::queue::{Batch, EVENT_LIMIT, Phase, Queue, Receipt, What, sample_age};
use crate::time::Micros;

/// A free slot receives at `at` what became available before, if it still is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wake {
    at: Micros,
    available: Available,
}

impl Queue {
    /// Something has become available: a free slot receives it, at once where it is about to
    /// receive anyway.
    #[inline]
    pub(super) fn offer(&mut self, available: Available, now: Micros, hub: &mut Hub) {
        if !self.active {
            return;
        }
        let free = self.free(now);
        let freed = self.freed > 0 && self.freed_at == now;
        if self.gathering != NIL || free > 0 && (freed || self.has_window(now)) {
            self.set_read(now, hub);
        }
        if free == 0 {
            return;
        }
        let at = now + self.kind.poll_latency;
        // Later ones come later, unless the latency was changed.
        let place = self.wakes.partition_point(|wake| wake.at <= at);
        self.wakes.insert(place, Wake { at, available });
        self.set_read(at, hub);
    }

    /// Whether a free slot has a window that is open.
    fn has_window(&mut self, now: Micros) -> bool {
        while self.windows.front().is_some_and(|end| *end < now) {
            self.windows.pop_front();
        }
        !self.windows.is_empty()
    }

    /// Whether a free slot has waited for something that is still available.
    fn is_woken(&mut self, now: Micros) -> bool {
        while let Some(Wake { at, available }) = self.wakes.front() {
            if *at > now {
                break;
            }
            if self.waiting.still_available(available, &self.messages) {
                return true;
            }
            self.wakes.pop_front();
        }
        false
    }

    /// Slots receive.
    pub(super) fn read(&mut self, now: Micros, hub: &mut Hub) {
        let mut freed = if self.freed_at == now { self.freed } else { 0 };
        while self.active && self.waiting.any_available() {
            if self.gathering == NIL {
                if self.free(now) == 0 {
                    break;
                }
                let waits = self.config.window > Micros::ZERO;
                if waits && self.has_window(now) {
                    let window = self.windows.pop_front();
                    if !self.receive(window, now, hub) {
                        // It stays open.
                        self.open_window(window.unwrap_or(now));
                    }
                } else if freed > 0 || self.is_woken(now) {
                    let longest = self.kind.low_traffic_wait.unwrap_or(Micros::ZERO);
                    let window = waits.then(|| now + self.config.window.max(longest));
                    self.receive(window, now, hub);
                } else {
                    break;
                }
                freed = freed.saturating_sub(1);
            } else {
                let unit = self.gathering;
                if self.fill(unit, now, hub) {
                    self.close(unit, now, hub);
                }
            }
        }
        self.freed = freed;
        self.wait_for_more(now, hub);
    }

    /// What free slots wait for next.
    fn wait_for_more(&mut self, now: Micros, hub: &mut Hub) {
        while let Some(Wake { at, available }) = self.wakes.front() {
            if *at > now && self.waiting.still_available(available, &self.messages) {
                let at = *at;
                self.set_read(at, hub);
                return;
            }
            self.wakes.pop_front();
        }
    }

    /// A free slot receives; it gathers until `window` where it may. Whether it has a batch now.
    fn receive(&mut self, window: Option<Micros>, now: Micros, hub: &mut Hub) -> bool {
        let unit = self.free_batches.pop().unwrap_or_else(|| {
            self.batches.push(Batch::default());
            u32::try_from(self.batches.len() - 1).expect("fewer than 2^32 slots")
        });
        let mut full = self.fill(unit, now, hub);
        // A call that gave nothing to keep is followed by another.
        while self.batches[unit as usize].records.is_empty() && self.waiting.any_available() {
            full = self.fill(unit, now, hub);
        }
        if self.batches[unit as usize].records.is_empty() {
            self.free_batches.push(unit);
            return false;
        }
        self.busy += 1;
        if self.kind.provisioned.is_some() {
            self.note_busy(now, hub);
        }
        match window {
            Some(end) if !full => {
                let batch = &mut self.batches[unit as usize];
                batch.phase = Phase::Gathers;
                batch.due = end;
                let sequence = batch.records[0].sequence;
                self.gathering = unit;
                hub.timer(end, Class::Batch, Timer::Other, unit, (0, sequence));
            }
            _ => self.close(unit, now, hub),
        }
        true
    }

    /// Provisioned pollers are busy.
    fn note_busy(&mut self, now: Micros, hub: &mut Hub) {
        self.busiest = self.busiest.max(self.busy);
        let least = self.kind.provisioned.map_or(0, |(least, _)| least);
        if self.pollers() > least {
            self.set_timer(What::Pollers, now + super::POLLER_LOOK, hub);
        }
    }

    /// A free slot gathers until `end` if a message comes.
    pub(super) fn open_window(&mut self, end: Micros) {
        let place = self.windows.partition_point(|other| *other <= end);
        self.windows.insert(place, end);
    }

    /// The window of a batch has ended.
    pub(super) fn window_ends(&mut self, unit: u32, now: Micros, hub: &mut Hub) {
        let batch = &self.batches[unit as usize];
        if batch.phase == Phase::Gathers && batch.due == now {
            self.close(unit, now, hub);
        }
    }

    /// A batch takes no more.
    fn close(&mut self, unit: u32, now: Micros, hub: &mut Hub) {
        if self.gathering == unit {
            self.gathering = NIL;
        }
        let batch = &mut self.batches[unit as usize];
        batch.phase = Phase::Waits;
        batch.due = now + self.kind.invoke_latency;
        let sequence = batch.records[0].sequence;
        hub.timer(batch.due, Class::Batch, Timer::Start, unit, (0, sequence));
    }

    /// Receives into a batch: one call where there is no window, else as many as it takes.
    /// Whether the batch takes no more.
    fn fill(&mut self, unit: u32, now: Micros, hub: &mut Hub) -> bool {
        let mut batch = std::mem::take(&mut self.batches[unit as usize]);
        if batch.records.is_empty() {
            batch.plain = true;
            batch.bytes = 0;
            batch.tries = 0;
            batch.lease_end = now + self.lease;
        }
        let most = self.config.batch_size as usize;
        let one_call = self.config.window == Micros::ZERO;
        let call = self.kind.receive_messages.min(self.config.batch_size);
        let leased_until = now + self.lease;
        let mut received = 0;
        let mut full = batch.records.len() >= most;
        while !full {
            let Some(next) = self.waiting.peek(&self.messages) else { break };
            if self.is_spent(&next) {
                self.dead_letter(&next, now, hub);
                continue;
            }
            let filtered = next.record.is_filtered();
            let bytes = batch.bytes + self.config.encoded(&next.record, &hub.keys);
            if !filtered && bytes > EVENT_LIMIT && !batch.records.is_empty() {
                full = true;
                break;
            }
            let place = self.waiting.take(&next, &mut self.messages);
            received += 1;
            self.count_receive(&next, now, hub);
            if filtered {
                self.filter(place, now, hub);
            } else {
                batch.bytes = bytes;
                let receives = self.messages.lease(place, leased_until, unit);
                batch.plain &= receives == 1;
                if let Waiting::Groups(groups) = &mut self.waiting {
                    let number = Groups::of(&next.record);
                    groups.lock(number, &self.messages);
                }
                batch.records.push(next.record);
                batch.receipts.push(Receipt { place, receives, attempt: 0, run: 0 });
            }
            full = batch.records.len() >= most || one_call && received == call;
        }
        self.waiting.end_receive();
        full |= one_call;
        self.batches[unit as usize] = batch;
        if let Some((_, end)) = self.messages.first_lease() {
            self.set_timer(What::Lease, end, hub);
        }
        let minute = hub.minutes.at(hub.source, now);
        minute.polled += u64::from(received);
        full
    }

    /// Whether a message has been received as often as it may (E5.2).
    fn is_spent(&self, next: &Next) -> bool {
        let Some(most) = self.kind.max_receive_count else { return false };
        next.place != NIL && self.messages.get(next.place).receives >= most
    }

    fn dead_letter(&mut self, next: &Next, now: Micros, hub: &mut Hub) {
        let place = self.waiting.take(next, &mut self.messages);
        let unit = self.unit_of(&next.record);
        hub.figures[unit as usize].delivered += 1;
        sample_age(&next.record, now, hub);
        let reason = Some(Reason::MaxReceiveCountExceeded);
        self.end(place, End { kind: OutcomeKind::Discarded, reason, at: now }, hub);
        self.watch_idleness(now);
    }

    #[inline]
    fn count_receive(&mut self, next: &Next, now: Micros, hub: &mut Hub) {
        let unit = self.unit_of(&next.record);
        let figures = &mut hub.figures[unit as usize];
        figures.receives += 1;
        figures.ages.record(now - next.record.timestamp);
        sample_age(&next.record, now, hub);
    }

    /// A message that the filter drops is deleted when it is received.
    fn filter(&mut self, place: u32, now: Micros, hub: &mut Hub) {
        let record = self.messages.get(place).record;
        let minute = hub.minutes.at(hub.source, now);
        minute.filtered += 1;
        minute.deleted += 1;
        let unit = self.unit_of(&record);
        let progress = Progress::default();
        hub.settle(unit, &[record], OutcomeKind::Filtered, None, Some(now), &progress);
        self.messages.remove(place);
        self.watch_idleness(now);
    }
}
