//! What becomes of batches: tries, throttles within the lease, answers, deletes (E5.3, E5.7).

use crate::outcome::{AttemptKind, OutcomeKind, Reason, Run};
use crate::request::Progress;
use crate::sources::hub::{Answer, Class, Hub, Refused, Start, Timer};
use crate::sources::queue::groups::Groups;
use crate::sources::queue::messages::{End, History};
use crate::sources::queue::waiting::Waiting;
use crate::sources::queue::{Batch, EVENT_LIMIT, Phase, Queue, Receipt};
use crate::sources::record::{Failure, Record};
use crate::time::Micros;

impl Queue {
    /// A batch is tried, if that is due.
    pub(super) fn try_batch(&mut self, unit: u32, now: Micros, hub: &mut Hub) -> Option<Start> {
        let mut batch = std::mem::take(&mut self.batches[unit as usize]);
        if batch.phase != Phase::Waits || batch.due != now {
            self.batches[unit as usize] = batch;
            return None;
        }
        if batch.tries == 0 {
            batch.tried_at = now;
        }
        batch.tries += 1;
        for receipt in &mut batch.receipts {
            (receipt.attempt, receipt.run) = (1, 1);
        }
        if !batch.plain {
            for receipt in &mut batch.receipts {
                if self.messages.history_of(receipt.place).is_some() {
                    let history = self.messages.history(receipt.place, History::default);
                    history.progress.attempts += 1;
                    receipt.attempt = history.progress.attempts;
                    receipt.run = history.progress.runs + 1;
                }
            }
        }
        hub.minutes.at(hub.source, now).invoked += batch.records.len() as u64;
        if batch.bytes > EVENT_LIMIT {
            self.too_large(batch, unit, now, hub);
            return None;
        }
        let receipts = &batch.receipts;
        let mut start = hub.gather(&self.config, &batch.records, |place| receipts[place].run);
        start.attempts = receipts[0].attempt;
        self.batches[unit as usize] = batch;
        Some(start)
    }

    /// A message that no event can hold: it comes back when its lease ends.
    fn too_large(&mut self, mut batch: Batch, unit: u32, now: Micros, hub: &mut Hub) {
        hub.minutes.at(hub.source, now).failed += batch.records.len() as u64;
        let reason = Some(Reason::RequestTooLarge);
        for (record, receipt) in batch.records.iter().zip(&batch.receipts) {
            let progress = Progress { attempts: 1, ..Progress::default() };
            let new = || History { progress, flights: 1, end: None };
            let history = self.messages.history(receipt.place, new);
            history.progress.limit = None;
            let kind = AttemptKind::Error;
            hub.attempted(&[*record], receipt.attempt, kind, reason, now, None, None);
        }
        self.block(&batch.records, now);
        self.let_go(&mut batch, hub);
        self.free_slot(batch, unit, now, hub);
    }

    /// A batch has been admitted.
    pub(super) fn batch_runs(&mut self, unit: u32) {
        let batch = &mut self.batches[unit as usize];
        batch.phase = Phase::Runs;
        if batch.plain {
            return;
        }
        for receipt in &batch.receipts {
            if self.messages.history_of(receipt.place).is_some() {
                let progress = &mut self.messages.history(receipt.place, History::default).progress;
                progress.runs += 1;
                progress.limit = None;
            }
        }
    }

    /// A batch has been refused: it is tried again within the lease of its first message, as long
    /// as a run of the longest kind fits in (E5.3, §0.6-9).
    pub(super) fn batch_refused(
        &mut self,
        unit: u32,
        refused: &Refused,
        now: Micros,
        hub: &mut Hub,
    ) {
        let mut batch = std::mem::take(&mut self.batches[unit as usize]);
        batch.plain = false;
        hub.minutes.at(hub.source, now).failed += batch.records.len() as u64;
        for (record, receipt) in batch.records.iter().zip(&batch.receipts) {
            let progress = Progress { attempts: 1, ..Progress::default() };
            let new = || History { progress, flights: 1, end: None };
            let history = self.messages.history(receipt.place, new);
            history.progress.throttles += 1;
            history.progress.limit = Some(refused.limit);
            let (kind, reason) = (AttemptKind::Throttled, Some(refused.reason));
            hub.attempted(&[*record], receipt.attempt, kind, reason, now, Some(refused), None);
        }
        self.block(&batch.records, now);
        if let Some(at) = self.next_try(&batch) {
            batch.due = at;
            let sequence = batch.records[0].sequence;
            hub.timer(at, Class::Retry, Timer::Start, unit, (0, sequence));
            self.batches[unit as usize] = batch;
            return;
        }
        self.let_go(&mut batch, hub);
        self.free_slot(batch, unit, now, hub);
    }

    /// When a batch is tried again after a refusal, if its lease leaves room.
    fn next_try(&self, batch: &Batch) -> Option<Micros> {
        let first = self.kind.throttle_retry.filter(|first| *first > Micros::ZERO)?;
        // Waits double: c · (2^j − 1) after the first try.
        let factor = 1_i64.checked_shl(batch.tries).filter(|factor| *factor > 0)? - 1;
        let at = Micros(batch.tried_at.0.checked_add(first.0.checked_mul(factor)?)?);
        let timeout = self.kind.function_timeout.unwrap_or(Micros::ZERO);
        (at.0.checked_add(timeout.0)? <= batch.lease_end.0).then_some(at)
    }

    /// The groups of messages are held up from now on.
    fn block(&mut self, records: &[Record], now: Micros) {
        if let Waiting::Groups(groups) = &mut self.waiting {
            for record in records {
                let number = Groups::of(record);
                groups.block(number, now);
            }
        }
    }

    /// A batch no longer holds its messages, which all have histories.
    fn let_go(&mut self, batch: &mut Batch, hub: &mut Hub) {
        for receipt in &batch.receipts {
            let history = self.messages.history(receipt.place, History::default);
            history.flights -= 1;
            self.release(receipt.place, hub);
        }
    }

    /// Settles a message that has come to its end, when nothing holds it any more.
    fn release(&mut self, place: u32, hub: &mut Hub) {
        let Some(History { flights: 0, end: Some(end), .. }) = self.messages.history_of(place)
        else {
            return;
        };
        let end = *end;
        self.settle(place, end, hub);
    }

    /// The slot of a batch is free.
    fn free_slot(&mut self, mut batch: Batch, unit: u32, now: Micros, hub: &mut Hub) {
        batch.records.clear();
        batch.receipts.clear();
        batch.phase = Phase::Free;
        self.batches[unit as usize] = batch;
        self.free_batches.push(unit);
        self.busy -= 1;
        if self.config.window > Micros::ZERO {
            self.open_window(now + self.config.window);
        }
        if self.freed_at != now {
            self.freed = 0;
            self.freed_at = now;
        }
        self.freed += 1;
        if self.active && self.waiting.any_available() {
            self.set_read(now, hub);
        }
    }

    /// A batch has run: what it acknowledges is deleted, the rest waits for the end of its lease.
    pub(super) fn batch_answered(
        &mut self,
        unit: u32,
        answer: &Answer,
        now: Micros,
        hub: &mut Hub,
    ) {
        let batch = std::mem::take(&mut self.batches[unit as usize]);
        debug_assert!(batch.phase == Phase::Runs, "a batch that runs");
        let failed = answer.error.is_some();
        if self.backs_off() {
            self.errors.record(failed, now);
        }
        if batch.plain && !failed && !answer.overrun && !self.lists_any(&batch, hub) {
            self.acknowledge_all(&batch.records, &batch.receipts, answer, now, hub);
        } else {
            self.acknowledge(&batch.records, &batch.receipts, answer, now, hub);
        }
        self.free_slot(batch, unit, now, hub);
    }

    /// Whether a batch names any of its messages as failed.
    fn lists_any(&self, batch: &Batch, hub: &Hub) -> bool {
        let mut each = batch.records.iter().zip(&batch.receipts);
        each.any(|(record, receipt)| self.lists(record, receipt, hub))
    }

    /// Whether a run names a message as failed (E5.7).
    fn lists(&self, record: &Record, receipt: &Receipt, hub: &Hub) -> bool {
        self.config.report && hub.rares.failure(record, receipt.run) == Some(Failure::Item)
    }

    /// All is well, for the first time.
    fn acknowledge_all(
        &mut self,
        records: &[Record],
        receipts: &[Receipt],
        answer: &Answer,
        now: Micros,
        hub: &mut Hub,
    ) {
        let fifo = self.kind.fifo;
        for (record, receipt) in records.iter().zip(receipts) {
            self.messages.end_lease(receipt.place);
            self.messages.remove(receipt.place);
            if fifo && let Some(available) = self.unlock(record, now, hub) {
                self.offer(available, now, hub);
            }
        }
        hub.minutes.at(hub.source, now).deleted += records.len() as u64;
        let (kind, run) = (AttemptKind::Success, Some(answer.run));
        hub.attempted(records, 1, kind, None, answer.run.start, None, run);
        let conflicts = answer.conflicts;
        let progress = Progress { attempts: 1, runs: 1, conflicts, run, ..Progress::default() };
        for of_group in records.chunk_by(|one, next| !fifo || one.key == next.key) {
            let unit = self.unit_of(&of_group[0]);
            hub.settle(unit, of_group, OutcomeKind::Success, None, Some(now), &progress);
        }
        self.watch_idleness(now);
    }

    /// Each message by itself.
    fn acknowledge(
        &mut self,
        records: &[Record],
        receipts: &[Receipt],
        answer: &Answer,
        now: Micros,
        hub: &mut Hub,
    ) {
        let (mut deleted, mut failed) = (0, 0);
        for (record, receipt) in records.iter().zip(receipts) {
            let listed = answer.error.is_none() && self.lists(record, receipt, hub);
            let settled = answer.error.is_none() && !listed;
            failed += u64::from(!settled);
            let reason = if listed { Some(Reason::BatchItemFailure) } else { answer.error };
            // An error all the same where the extension overran (Z13).
            let success = settled && !answer.overrun;
            let kind = if success { AttemptKind::Success } else { AttemptKind::Error };
            let (start, run) = (answer.run.start, Some(answer.run));
            hub.attempted(&[*record], receipt.attempt, kind, reason, start, None, run);
            if !settled {
                self.block(std::slice::from_ref(record), now);
            }
            let progress = Progress { attempts: 1, runs: 1, ..Progress::default() };
            let new = || History { progress, flights: 1, end: None };
            let history = self.messages.history(receipt.place, new);
            history.flights -= 1;
            history.progress.errors += u32::from(!success);
            note_run(&mut history.progress, answer);
            let message = self.messages.get(receipt.place);
            if settled && message.receives == receipt.receives && !message.is_gone() {
                deleted += 1;
                self.delete(receipt.place, now, hub);
            } else {
                self.release(receipt.place, hub);
            }
        }
        let minute = hub.minutes.at(hub.source, now);
        minute.deleted += deleted;
        minute.failed += failed;
    }

    /// A message is deleted.
    fn delete(&mut self, place: u32, now: Micros, hub: &mut Hub) {
        let message = *self.messages.get(place);
        let mut available = None;
        if message.is_leased() {
            self.messages.end_lease(place);
            available = self.unlock(&message.record, now, hub);
        } else {
            self.waiting.remove(place, &mut self.messages);
        }
        self.end(place, End { kind: OutcomeKind::Success, reason: None, at: now }, hub);
        self.watch_idleness(now);
        if let Some(available) = available {
            self.offer(available, now, hub);
        }
    }

    /// The replay ends while a batch runs.
    pub(super) fn batch_cut(&mut self, unit: u32, run: &Run, hub: &mut Hub) {
        let mut batch = std::mem::take(&mut self.batches[unit as usize]);
        for (record, receipt) in batch.records.iter().zip(&batch.receipts) {
            let progress = Progress { attempts: 1, runs: 1, ..Progress::default() };
            let new = || History { progress, flights: 1, end: None };
            let history = self.messages.history(receipt.place, new);
            let conflicts = history.progress.conflicts;
            let cut = Answer { error: None, overrun: false, run: *run, conflicts };
            note_run(&mut history.progress, &cut);
            let kind = AttemptKind::Unfinished;
            hub.attempted(&[*record], receipt.attempt, kind, None, run.start, None, Some(*run));
        }
        self.let_go(&mut batch, hub);
        batch.phase = Phase::Free;
        self.batches[unit as usize] = batch;
    }
}

/// A row shows the run that started last.
fn note_run(progress: &mut Progress, answer: &Answer) {
    if progress.run.is_none_or(|run| run.start <= answer.run.start) {
        progress.run = Some(answer.run);
        progress.conflicts = answer.conflicts;
    }
}
