//! One batch on its way: what is tried again, split, acknowledged and given up (E4).
//!
//! A lane of a shard and a Kafka poller work alike from the moment their batch is formed: `records`
//! holds it, `from..to` of it is what is sent next, `parts` is what follows. All records of one
//! part have had the same attempts, so that these are known once for all of them.

use crate::outcome::{AttemptKind, OutcomeKind, Reason, Run};
use crate::request::Progress;
use crate::rng::{Draw, Identity, Purpose};
use crate::sources::config::{RetryConfig, SourceConfig};
use crate::sources::hub::{Answer, Class, Hub, PAYLOAD_LIMIT, Refused, Start, Timer};
use crate::sources::record::{Failure, Rare, Rares, Record};
use crate::time::Micros;

/// Where a worker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has no batch.
    Idle,
    /// A new batch starts at `due`.
    Due,
    /// The same batch is tried again at `due`.
    BackOff,
    /// Its batch runs, or is about to.
    Running,
}

/// What a tumbling window leaves to its final call: its last record, whose luck is the call's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finale {
    pub(super) last: Record,
    rare: Rare,
    /// How often that was tried.
    attempts: u32,
}

/// What is sent after what is sent now.
#[derive(Clone, Copy, Debug)]
struct Part {
    to: usize,
    progress: Progress,
}

/// One batch on its way.
#[derive(Debug)]
pub(super) struct Worker {
    records: Vec<Record>,
    /// Partition of each record; empty where all are of one shard.
    partitions: Vec<u32>,
    from: usize,
    to: usize,
    /// What follows, the next one last.
    parts: Vec<Part>,
    /// What has happened to the records from `from` to `to`.
    progress: Progress,
    /// Runs of just these records together.
    runs: u32,
    /// Throttles since the last of them.
    streak: u32,
    pub(super) phase: Phase,
    /// When the next attempt is due; other timers are overtaken.
    pub(super) due: Micros,
    /// When the last record of a batch was settled.
    pub(super) last_done: Micros,
    /// Whether its batch has failed or been refused and is not settled yet (E4.3).
    pub(super) blocked: bool,
    /// Whether it is the same batch that is tried again.
    pub(super) again: bool,
    /// The final call of a tumbling window, which has no records.
    pub(super) finale: Option<Finale>,
    /// Records settled since somebody asked.
    settled: usize,
}

/// What holds for a worker.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) config: &'a SourceConfig,
    pub(super) retries: &'a RetryConfig,
    /// Shard whose turn it is at one instant, and whose figures its records count in.
    pub(super) shard: u32,
    /// What its timers say of whom they are for.
    pub(super) unit: u32,
}

impl Worker {
    pub(super) fn new(last_done: Micros) -> Self {
        Self {
            records: Vec::new(),
            partitions: Vec::new(),
            from: 0,
            to: 0,
            parts: Vec::new(),
            progress: Progress::default(),
            runs: 0,
            streak: 0,
            phase: Phase::Idle,
            due: Micros::MAX,
            last_done,
            blocked: false,
            again: false,
            finale: None,
            settled: 0,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// Records settled since the last time.
    pub(super) const fn take_settled(&mut self) -> usize {
        std::mem::replace(&mut self.settled, 0)
    }

    /// The last record of what is sent now, as a final call of its window will need it.
    pub(super) fn last_of_batch(&self, source: u32, rares: &Rares) -> Option<Finale> {
        let last = *self.records[self.from..self.to].last()?;
        let rare = rares.of(source, &last);
        Some(Finale { last, rare, attempts: self.progress.attempts })
    }

    /// Adds a record to the batch that is being formed.
    pub(super) fn add(&mut self, record: Record) {
        self.records.push(record);
        self.to = self.records.len();
    }

    /// The same with its partition.
    pub(super) fn add_of(&mut self, record: Record, partition: u32) {
        self.partitions.push(partition);
        self.add(record);
    }

    /// The batch is formed and starts at once; what stands in [`Phase::Due`] or
    /// [`Phase::BackOff`] starts in the same way.
    pub(super) fn start(
        &mut self,
        terms: &Terms<'_>,
        newest: bool,
        now: Micros,
        hub: &mut Hub,
    ) -> Option<Start> {
        if !self.trim(terms, true, now, hub) {
            self.next(terms, now, hub);
            return None;
        }
        let records = &self.records[self.from..self.to];
        if let [record] = records
            && terms.config.encoded(record, &hub.keys) > PAYLOAD_LIMIT - ENVELOPE
        {
            // It is never sent, and counts against the retries all the same (E4.8).
            self.runs += 1;
            self.fail(terms, now, hub);
            return None;
        }
        self.progress.attempts += 1;
        hub.minutes.at(hub.source, now).invoked += records.len() as u64;
        let run = self.progress.runs + 1;
        let mut start = hub.gather(terms.config, records, |_| run);
        start.unit = terms.shard;
        start.attempts = self.progress.attempts;
        if let Some(finale) = self.finale {
            start.row = finale.last.row;
            start.rare = finale.rare;
            start.sequence = finale.last.sequence;
            start.attempts = finale.attempts + 1;
        }
        start.newest = records.last().map(|record| record.timestamp).filter(|_| newest);
        self.phase = Phase::Running;
        Some(start)
    }

    /// 429: it is tried again, and that is no retry (E4.5).
    pub(super) fn refused(
        &mut self,
        terms: &Terms<'_>,
        refused: &Refused,
        now: Micros,
        hub: &mut Hub,
    ) {
        self.progress.throttles += 1;
        self.progress.limit = Some(refused.limit);
        let records = &self.records[self.from..self.to];
        let (number, kind) = (self.progress.attempts, AttemptKind::Throttled);
        hub.attempted(records, number, kind, Some(refused.reason), now, Some(refused), None);
        hub.minutes.at(hub.source, now).failed += records.len() as u64;
        let wait = terms.retries.throttle.wait(self.streak);
        self.streak += 1;
        self.back_off(terms, wait, now, hub);
    }

    /// The run has answered (E4.4 to E4.7).
    pub(super) fn answered(
        &mut self,
        terms: &Terms<'_>,
        answer: &Answer,
        now: Micros,
        hub: &mut Hub,
    ) {
        self.runs += 1;
        self.streak = 0;
        self.progress.runs += 1;
        self.progress.limit = None;
        self.progress.conflicts = answer.conflicts;
        self.progress.run = Some(answer.run);
        let number = self.progress.attempts;
        let run = Some(answer.run);
        let records = &self.records[self.from..self.to];
        if let Some(reason) = answer.error {
            self.progress.errors += 1;
            hub.attempted(records, number, AttemptKind::Error, Some(reason), now, None, run);
            hub.minutes.at(hub.source, now).failed += records.len() as u64;
            self.fail(terms, now, hub);
            return;
        }
        let (listed, count) = self.listed(terms, hub);
        let done = listed.unwrap_or(records.len());
        let (done, rest) = records.split_at(done);
        let kind = if answer.overrun { AttemptKind::Error } else { AttemptKind::Success };
        hub.attempted(done, number, kind, None, now, None, run);
        let reason = Some(Reason::BatchItemFailure);
        hub.attempted(rest, number, AttemptKind::Error, reason, now, None, run);
        if count > 0 {
            hub.minutes.at(hub.source, now).failed += count;
        }
        let acknowledged = self.from + done.len();
        self.progress.errors += u32::from(answer.overrun);
        self.settle(acknowledged, terms, OutcomeKind::Success, None, now, hub);
        if self.from == self.to {
            self.next(terms, now, hub);
            return;
        }
        self.progress.errors += u32::from(!answer.overrun);
        if listed == Some(0) {
            self.fail(terms, now, hub);
        } else {
            self.renew(terms, now, hub);
        }
    }

    /// Place of the first record that the partial response names, and how many it names.
    fn listed(&self, terms: &Terms<'_>, hub: &Hub) -> (Option<usize>, u64) {
        if !terms.config.report {
            return (None, 0);
        }
        let run = self.progress.runs;
        let records = &self.records[self.from..self.to];
        let is_listed = |record: &&Record| {
            record.failure() == Some(Failure::Item) && hub.rares.failure(record, run).is_some()
        };
        let first = records.iter().position(|record| is_listed(&record));
        let Some(first) = first else { return (None, 0) };
        (Some(first), records[first..].iter().filter(is_listed).count() as u64)
    }

    /// The whole of what was sent has failed.
    fn fail(&mut self, terms: &Terms<'_>, now: Micros, hub: &mut Hub) {
        let len = self.to - self.from;
        if terms.retries.bisect && len > 1 {
            // The left half first, then, once that is settled whole, the right one (E4.6).
            self.parts.push(Part { to: self.to, progress: self.progress });
            self.to = self.from + len / 2;
            self.blocked = true;
            self.renew(terms, now, hub);
        } else if terms.retries.max_retries.is_some_and(|most| self.runs > most) {
            self.discard(self.to, terms, Reason::RetryAttemptsExhausted, now, hub);
            self.next(terms, now, hub);
        } else {
            let wait = terms.retries.retry.wait(self.runs - 1);
            self.back_off(terms, wait, now, hub);
        }
    }

    /// What stands from `from` to `to` is a batch of its own from now on.
    fn renew(&mut self, terms: &Terms<'_>, now: Micros, hub: &mut Hub) {
        self.runs = 0;
        self.streak = 0;
        self.again = false;
        self.phase = Phase::Due;
        self.due = now + terms.retries.gap;
        let place = self.place(terms);
        hub.timer(self.due, Class::Batch, Timer::Start, terms.unit, place);
    }

    /// The same batch is tried again after a while.
    fn back_off(&mut self, terms: &Terms<'_>, wait: Micros, now: Micros, hub: &mut Hub) {
        self.blocked = true;
        self.again = true;
        self.phase = Phase::BackOff;
        let wait = self.jittered(terms, wait, hub);
        self.due = now + wait;
        let place = self.place(terms);
        hub.timer(self.due, Class::Retry, Timer::Start, terms.unit, place);
        self.expire(terms, now, hub);
    }

    #[allow(clippy::cast_possible_truncation)] // Waits are bounded.
    fn jittered(&self, terms: &Terms<'_>, wait: Micros, hub: &Hub) -> Micros {
        if terms.retries.jitter <= 0.0 {
            return wait;
        }
        let half = (wait.0 as f64 * terms.retries.jitter + 0.5).floor() as i64;
        let (who, copy) = match self.records.get(self.from) {
            Some(record) => {
                let rare = hub.rares.of(hub.source, record);
                (rare.who, rare.copy)
            }
            None => (Identity::ordinal(u64::from(terms.shard)), 0),
        };
        let draw = Draw { who, copy, attempt: self.progress.attempts };
        Micros(hub.luck.between(Purpose::Jitter, draw, wait.0 - half, wait.0 + half))
    }

    /// Age and retention act in a back-off at their very moment (§0.6-5).
    pub(super) fn expire(&mut self, terms: &Terms<'_>, now: Micros, hub: &mut Hub) {
        if self.phase != Phase::BackOff || self.finale.is_some() {
            return;
        }
        if !self.trim(terms, terms.retries.age_at_deadline, now, hub) {
            self.next(terms, now, hub);
            return;
        }
        let Some(oldest) = self.oldest() else { return };
        let of_age = terms.retries.max_age.filter(|_| terms.retries.age_at_deadline);
        let deadline = oldest
            .plus(of_age.map_or(terms.config.retention, |age| age.min(terms.config.retention)));
        // A mapping that is disabled does not come to its next attempt.
        if deadline <= self.due || self.due <= now {
            let place = self.place(terms);
            hub.timer(deadline, Class::Expiry, Timer::Expiry, terms.unit, place);
        }
    }

    fn oldest(&self) -> Option<Micros> {
        let first = self.records[self.from..self.to].first();
        first.or(self.finale.as_ref().map(|finale| &finale.last)).map(|record| record.timestamp)
    }

    /// Takes out what is beyond retention, then, where `age` says so, what is beyond its age
    /// (§0.1); whether anything is left.
    fn trim(&mut self, terms: &Terms<'_>, age: bool, now: Micros, hub: &mut Hub) -> bool {
        let retention = terms.config.retention;
        let max_age = terms.retries.max_age.filter(|_| age).unwrap_or(Micros::MAX);
        let Some(oldest) = self.oldest() else { return false };
        if now - oldest < retention.min(max_age) {
            return true;
        }
        if self.from == self.to {
            // A final call that fails is as old as the last record of its window.
            return !self.again;
        }
        let beyond = |worker: &Self, limit: Micros| {
            let records = &worker.records[worker.from..worker.to];
            let kept = records.iter().position(|record| now - record.timestamp < limit);
            worker.from + kept.unwrap_or(records.len())
        };
        let to = beyond(self, retention);
        let reason = Some(Reason::RetentionExpired);
        self.settle(to, terms, OutcomeKind::Expired, reason, now, hub);
        let to = beyond(self, max_age);
        self.discard(to, terms, Reason::RecordAgeExceeded, now, hub);
        self.from < self.to
    }

    /// What was sent is settled whole: what follows starts after the gap (E4.1).
    fn next(&mut self, terms: &Terms<'_>, now: Micros, hub: &mut Hub) {
        self.last_done = now;
        self.blocked = false;
        self.again = false;
        self.finale = None;
        self.from = self.to;
        let Some(part) = self.parts.pop() else {
            self.clear();
            return;
        };
        self.to = part.to;
        self.progress = part.progress;
        self.renew(terms, now, hub);
    }

    fn clear(&mut self) {
        self.records.clear();
        self.partitions.clear();
        self.from = 0;
        self.to = 0;
        self.progress = Progress::default();
        self.runs = 0;
        self.streak = 0;
        self.phase = Phase::Idle;
        self.due = Micros::MAX;
    }

    fn place(&self, terms: &Terms<'_>) -> (u32, u32) {
        let sequence = self.records.get(self.from).map_or(0, |record| record.sequence);
        (terms.shard, sequence)
    }

    /// Calls for each stretch of records of one unit up to `to`, and takes them out.
    fn take_out(&mut self, to: usize, terms: &Terms<'_>, mut each: impl FnMut(u32, &[Record])) {
        self.settled += to - self.from;
        if self.partitions.is_empty() {
            each(terms.shard, &self.records[self.from..to]);
            self.from = to;
            return;
        }
        while self.from < to {
            let partition = self.partitions[self.from];
            let same = self.partitions[self.from..to].iter().take_while(|one| **one == partition);
            let end = self.from + same.count();
            each(partition, &self.records[self.from..end]);
            self.from = end;
        }
    }

    fn settle(
        &mut self,
        to: usize,
        terms: &Terms<'_>,
        kind: OutcomeKind,
        reason: Option<Reason>,
        now: Micros,
        hub: &mut Hub,
    ) {
        let progress = self.progress;
        self.take_out(to, terms, |unit, records| {
            hub.settle(unit, records, kind, reason, Some(now), &progress);
        });
    }

    fn discard(
        &mut self,
        to: usize,
        terms: &Terms<'_>,
        reason: Reason,
        now: Micros,
        hub: &mut Hub,
    ) {
        let (progress, on_failure) = (self.progress, terms.retries.on_failure);
        self.take_out(to, terms, |unit, records| {
            hub.discard(unit, records, reason, now, &progress, on_failure);
        });
    }

    /// A mapping is enabled again: what came due meanwhile starts now.
    pub(super) fn resume(&mut self, terms: &Terms<'_>, now: Micros, hub: &mut Hub) {
        if matches!(self.phase, Phase::Due | Phase::BackOff) && self.due <= now {
            self.due = now;
            let class = if self.phase == Phase::Due { Class::Batch } else { Class::Retry };
            let place = self.place(terms);
            hub.timer(now, class, Timer::Start, terms.unit, place);
        }
        self.expire(terms, now, hub);
    }

    /// The replay ends while the batch runs (Z39).
    pub(super) fn cut(&mut self, run: &Run, hub: &mut Hub) {
        self.progress.run = Some(*run);
        let (number, kind) = (self.progress.attempts, AttemptKind::Unfinished);
        let records = &self.records[self.from..self.to];
        hub.attempted(records, number, kind, None, run.start, None, Some(*run));
    }

    /// The replay ends: what has not been settled, with what has happened to it, part by part.
    pub(super) fn drain(&mut self, mut each: impl FnMut(Option<u32>, &Record, &Progress)) {
        loop {
            let progress = self.progress;
            for place in self.from..self.to {
                let partition = self.partitions.get(place).copied();
                each(partition, &self.records[place], &progress);
            }
            self.from = self.to;
            let Some(part) = self.parts.pop() else { break };
            self.to = part.to;
            self.progress = part.progress;
        }
        self.clear();
    }
}

/// Bytes of the event around its records (E2).
pub(super) const ENVELOPE: u64 = 14;
