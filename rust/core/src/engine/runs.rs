//! How a run goes: init, waiting for its record, handler, answer, extension, release.
//!
//! Where no record is shared, everything about a run is known when it starts.

use crate::config::{Discipline, RowError};
use crate::engine::event::{
    Event, order_of_answer, order_of_begin, order_of_give_up, order_of_lock_limit, order_of_release,
};
use crate::engine::replay::{Replay, storage_mb};
use crate::engine::requests::Place;
use crate::engine::state_runs::{Phase, StateRun};
use crate::ids::{EnvironmentId, FunctionId};
use crate::meters::month_of;
use crate::metrics::Minute;
use crate::model::billing::billed_ms;
use crate::model::state_keys::{self, Access};
use crate::outcome::{Attempt, AttemptKind, OutcomeKind, Reason, Run, Sink, Source, Spillover};
use crate::request::{NO_BATCH, NO_KEY, Request};
use crate::rng::Purpose;
use crate::time::Micros;

/// Part of a payload that costs nothing, and the size of the parts that do (Z29).
const PAYLOAD_FREE: u64 = 262_144;
const PAYLOAD_PART: u64 = 65_536;

/// A run that has started, with the settings of that instant (Z8).
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools)] // Each is a fact of its own.
pub(super) struct Started {
    function: FunctionId,
    start: Micros,
    environment: EnvironmentId,
    number: u64,
    invocation: u64,
    cold: bool,
    provisioned: bool,
    spillover: Option<Spillover>,
    sample: Option<(u32, u32)>,
    /// Init that the request waited for.
    paid: Micros,
    /// Init that is billed beside the duration.
    billed_init: Micros,
    /// From the start to the begin of the suppressed init or, without one, of the handler.
    ahead: Micros,
    /// Init within the run, part of its duration.
    suppressed: Micros,
    duration: Micros,
    extension: Micros,
    timeout: Option<Micros>,
    /// How the handler ends.
    error: Option<RowError>,
    memory_mb: u32,
    storage_mb: u64,
    arm: bool,
    configured: bool,
}

/// How a run ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) answer: Micros,
    release: Micros,
    /// `Duration`.
    duration: Micros,
    pub(super) error: Option<Reason>,
    /// The handler was in time and the extension was not (Z13).
    pub(super) overrun: bool,
    /// The environment is reset.
    resets: bool,
    lock_wait: Micros,
}

impl Started {
    /// Begin of the handler.
    const fn begin(&self) -> Micros {
        Micros(self.start.0 + self.ahead.0 + self.suppressed.0)
    }

    /// How the handler ends if nothing cuts it.
    fn failure(&self) -> Option<Reason> {
        self.error.map(|error| match error {
            RowError::Handled => Reason::Handled,
            RowError::Crash => Reason::Crash,
        })
    }

    /// A run cut by its time-out at `at` (Z11).
    fn timed_out(&self, at: Micros, lock_wait: Micros) -> End {
        End {
            answer: at,
            release: at,
            duration: self.timeout.unwrap_or(Micros::ZERO),
            error: Some(Reason::TimedOut),
            overrun: false,
            resets: true,
            lock_wait,
        }
    }

    /// The end of a handler that began at `begin` and works from `from` on (Z10–Z13).
    fn end_from(&self, begin: Micros, from: Micros) -> End {
        let lock_wait = from - begin;
        let release = from + self.duration;
        let answer = release - self.extension;
        if let Some(timeout) = self.timeout {
            let cut = begin + timeout;
            if answer > cut {
                return self.timed_out(cut, lock_wait);
            }
            if release > cut {
                return End {
                    answer,
                    release: cut,
                    duration: timeout,
                    error: self.failure(),
                    overrun: true,
                    resets: true,
                    lock_wait,
                };
            }
        }
        End {
            answer,
            release,
            duration: self.suppressed + (release - begin),
            error: self.failure(),
            overrun: false,
            resets: self.error == Some(RowError::Crash),
            lock_wait,
        }
    }
}

impl Replay {
    /// An admitted request runs.
    pub(super) fn launch<S: Sink>(
        &mut self,
        mut request: Request,
        function: FunctionId,
        place: Place,
        now: Micros,
        sink: &mut S,
    ) {
        request.progress.runs += 1;
        request.progress.streak = 0;
        request.progress.conflicts = 0;
        request.progress.limit = None;
        self.count_start(function, place, now);
        let started = self.prepare(&request, function, place, now);
        if let crate::config::IdlePolicy::Uniform(span) = self.account.idle
            && !place.provisioned
        {
            self.environments.get_mut(place.environment).idle_for =
                self.luck.uniform(Purpose::Idle, request.draw(), span);
        }
        let key = if request.batch == NO_BATCH {
            self.key_of(&request, function)
        } else {
            self.keys_of_batch(request.batch, function)
        };
        if started.timeout.is_some_and(|timeout| started.suppressed > timeout) {
            // The init itself ran into the time-out: the handler never began (Z11).
            let timeout = started.timeout.unwrap_or(Micros::ZERO);
            let end = started.timed_out(now + started.ahead + timeout, Micros::ZERO);
            self.conclude(request, &started, end, sink);
            return;
        }
        let Some(key) = key else {
            let begin = started.begin();
            let end = started.end_from(begin, begin);
            self.conclude(request, &started, end, sink);
            return;
        };
        let patience = self.patience(&request, function).map(|patience| now + patience);
        if patience.is_some() || request.progress.ticket.is_some() {
            self.tickets.open(&mut request.progress);
        }
        let run = StateRun {
            request,
            started,
            key,
            access: if self.only_reads(&request) { Access::Read } else { Access::Write },
            phase: Phase::Init,
            begin: started.begin(),
            try_begin: started.begin(),
            version: 0,
            conflicts: 0,
            due: started.begin(),
            held: 0,
            timed_out: false,
            patience,
            abandoned: false,
        };
        let (number, attempts) = (request.number, request.progress.attempts);
        if request.batch != NO_BATCH {
            self.sources.batches.get_mut(request.batch).holds = true;
        }
        let place = self.runs.add(&run);
        if let Some(at) = patience {
            let order = order_of_give_up(number, attempts);
            self.calendar.push(at, order, Event::Patience { run: place });
        }
        if started.ahead > Micros::ZERO || started.suppressed > Micros::ZERO || started.cold {
            let event = Event::Begin { run: place };
            self.calendar.push(started.begin(), order_of_begin(number, attempts), event);
        } else {
            self.begin_handler(place, now);
        }
    }

    /// Counts a run that starts in the gauges.
    fn count_start(&mut self, function: FunctionId, place: Place, now: Micros) {
        let metered = self.touch(function);
        metered.meter.accept(now, metered.levels.busy);
        metered.levels.busy += 1;
        metered.levels.provisioned += u32::from(place.provisioned);
        metered.meter.gauge(metered.levels);
        self.provisioned_busy += u32::from(place.provisioned);
        self.region.accept(now, self.ledger.in_flight() - 1);
        let levels = self.region_levels();
        self.region.gauge(levels);
    }

    /// What is known of a run when it starts.
    fn prepare(
        &mut self,
        request: &Request,
        function: FunctionId,
        place: Place,
        now: Micros,
    ) -> Started {
        let config = &self.records[function.index()].config;
        let (mut slow, mut slow_init, mut fault_error) = (1.0, 1.0, None);
        for fault in &config.faults {
            let fault = &self.account.faults[*fault as usize];
            if fault.from <= now && now < fault.to {
                slow *= fault.slow.unwrap_or(1.0);
                slow_init *= fault.init.unwrap_or(1.0);
                // A crash beats a handled error (Z36).
                if fault.error == Some(RowError::Crash) || fault_error.is_none() {
                    fault_error = fault.error.or(fault_error);
                }
            }
        }
        slow *= config.factor(request.memory_mb);
        let duration = scaled(request.duration, slow);
        let extension = scaled(request.extension, slow).min(duration);
        let init = config.restore.or(request.init).unwrap_or(config.init);
        let init = scaled(init, slow_init);
        let fails = request.progress.runs <= request.error_runs;
        let row_error = request.error.filter(|_| fails);
        let error = match (row_error, fault_error) {
            (Some(RowError::Crash), _) | (_, Some(RowError::Crash)) => Some(RowError::Crash),
            (row, fault) => row.or(fault),
        };
        let (mut paid, mut billed_init, mut ahead, mut suppressed) =
            (Micros::ZERO, Micros::ZERO, Micros::ZERO, Micros::ZERO);
        let billed = |init: Micros| if config.init_billed { init } else { Micros::ZERO };
        let record = self.environments.get_mut(place.environment);
        if place.cold {
            let share = self.account.proactive_fraction;
            if share > 0.0 && self.luck.chance(Purpose::Proactive, request.draw(), share) {
                billed_init = billed(init);
            } else if let Some(limit) = config.init_timeout.filter(|limit| init > *limit) {
                // Aborted, then once more in full within the run (Z12).
                ahead = limit;
                suppressed = init;
                if self.account.aborted_init_billed {
                    billed_init = billed(limit);
                }
            } else {
                paid = init;
                billed_init = billed(init);
                ahead = init;
            }
        } else if record.needs_init {
            suppressed = init;
        }
        record.needs_init = false;
        let number = record.number;
        let started = Started {
            function,
            start: now,
            environment: place.environment,
            number,
            invocation: self.runs_started,
            cold: place.cold,
            provisioned: place.provisioned,
            spillover: place.spillover,
            sample: place.sample,
            paid,
            billed_init,
            ahead,
            suppressed,
            duration,
            extension,
            timeout: config.timeout,
            error,
            memory_mb: config.memory_mb(request.memory_mb),
            storage_mb: storage_mb(config),
            arm: config.arm,
            configured: !config.provisioned.is_empty(),
        };
        self.runs_started += 1;
        started
    }

    /// The shared record of a run, where it must take turns on one.
    fn key_of(&mut self, request: &Request, function: FunctionId) -> Option<u32> {
        if request.state_key == NO_KEY {
            return None;
        }
        let key = if self.account.state.by_function {
            self.runs.key_of(function.0, request.state_key)
        } else {
            request.state_key
        };
        let access = if request.reads { Access::Read } else { Access::Write };
        self.keys.record_run(key, access);
        (self.account.state.discipline != Discipline::Append).then_some(key)
    }

    fn only_reads(&self, request: &Request) -> bool {
        if request.batch == NO_BATCH {
            return request.reads;
        }
        let keys = &self.sources.batches.get(request.batch).keys;
        keys.iter().all(|(_, access)| *access == Access::Read)
    }

    /// The shared records of a batch, where it must take turns on any; the first of them.
    fn keys_of_batch(&mut self, batch: u32, function: FunctionId) -> Option<u32> {
        if self.sources.batches.get(batch).keys.is_empty() {
            return None;
        }
        let mut keys = std::mem::take(&mut self.sources.batches.get_mut(batch).keys);
        if self.account.state.by_function {
            // They stay in the order of their names: all batches that share any are of one function.
            for (key, _) in &mut keys {
                *key = self.runs.key_of(function.0, *key);
            }
        }
        for (key, access) in &keys {
            self.keys.record_run(*key, *access);
        }
        let first = keys[0].0;
        self.sources.batches.get_mut(batch).keys = keys;
        (self.account.state.discipline != Discipline::Append).then_some(first)
    }

    /// A run whose end is known: what its unit, its environment and its row have of it.
    fn conclude<S: Sink>(
        &mut self,
        mut request: Request,
        started: &Started,
        end: End,
        sink: &mut S,
    ) {
        let attempts = request.progress.attempts;
        self.environments.get_mut(started.environment).resets = end.resets;
        let release = Event::Release { function: request.id, environment: started.environment };
        self.calendar.push(end.release, order_of_release(request.number, attempts), release);
        self.record_end(&mut request, started, end, sink);
        if request.batch != NO_BATCH {
            self.await_answer(request, &end);
            return;
        }
        let function = started.function;
        let patience = self.patience(&request, function);
        if let Some(patience) = patience
            && end.answer - started.start >= patience
        {
            let at = started.start + patience;
            let parked = self.parking.park(&request);
            let order = order_of_give_up(request.number, attempts);
            self.calendar.push(at, order, Event::Unanswered { parked });
            return;
        }
        if request.progress.limited {
            let event = Event::Response { function };
            self.calendar.push(end.answer, order_of_answer(request.number, attempts), event);
        }
        if end.error.is_some() && request.source == Source::Async {
            let parked = self.parking.park(&request);
            let order = order_of_answer(request.number, attempts);
            self.calendar.push(end.answer, order, Event::Answer { parked });
            return;
        }
        self.answer(&request, end.error, end.answer, sink);
    }

    /// The answer of a run decides its row.
    fn answer<S: Sink>(
        &mut self,
        request: &Request,
        error: Option<Reason>,
        at: Micros,
        sink: &mut S,
    ) {
        let kind = if error.is_some() { OutcomeKind::Error } else { OutcomeKind::Success };
        self.settle(request, kind, error, None, Some(at), sink);
    }

    /// Counts a run whose end is known, and remembers it with its row.
    fn record_end<S: Sink>(
        &mut self,
        request: &mut Request,
        started: &Started,
        end: End,
        sink: &mut S,
    ) {
        let unit = self.account.billing_unit;
        let billed = billed_ms(end.duration + started.billed_init, unit);
        let failed = end.error.is_some() || end.overrun;
        let unfinished = self.account.until.is_some_and(|until| end.release >= until);
        let answered = self.account.until.is_none_or(|until| end.answer < until);
        request.progress.errors += u32::from(failed && !unfinished);
        let run = Run {
            start: started.start,
            end: (!unfinished).then_some(end.release),
            init: started.paid,
            cold: started.cold,
            provisioned: started.provisioned,
            spillover: started.spillover,
            environment: started.number,
            invocation: started.invocation,
            lock_wait: end.lock_wait,
            billed_ms: billed,
        };
        request.progress.run = Some(run);
        self.tickets.note(&request.progress, failed && !unfinished);
        // Those of a batch are its records', known at its answer.
        if sink.wants_attempts() && request.batch == NO_BATCH {
            let kind = match (unfinished, failed) {
                (true, _) => AttemptKind::Unfinished,
                (false, true) => AttemptKind::Error,
                (false, false) => AttemptKind::Success,
            };
            sink.attempt(&Attempt {
                row: request.row,
                copy: request.copy,
                number: request.progress.attempts,
                kind,
                reason: end.error.filter(|_| answered),
                limit: None,
                at: started.start,
                batch: None,
                run: Some(run),
            });
        }
        if !unfinished {
            self.count_run(request, started, end, billed);
        }
    }

    /// Counts a finished run in the minute of its start (Z44), and in the bill.
    fn count_run(&mut self, request: &Request, started: &Started, end: End, billed: u64) {
        let function = started.function;
        let open = Minute::of(started.start) == self.region.minute()
            && self.slots[function.index()].meter.minute() == self.region.minute();
        let tally = &mut self.tallies[function.index()];
        tally.durations.record(end.duration);
        let record = &mut self.records[function.index()];
        if open {
            tally.runs.run(end.duration, billed);
            if started.cold {
                self.slots[function.index()].meter.cold();
                self.region.cold();
            }
        } else {
            for counts in [&mut record.closed.counts, &mut self.region_closed.counts] {
                counts.invocations += 1;
                counts.cold_starts += u64::from(started.cold);
                counts.duration_sum = counts.duration_sum.plus(end.duration);
                counts.duration_max = counts.duration_max.max(end.duration);
                counts.billed_ms += billed;
            }
        }
        let rare = &mut self.rares[function.index()];
        rare.init_sum = rare.init_sum.plus(started.paid);
        let failed = end.error.is_some() || end.overrun;
        let totals = &mut record.careful;
        totals.invocations += 1;
        totals.errors += u64::from(failed);
        totals.lock_wait += i128::from(end.lock_wait.0);
        totals.provisioned += u64::from(started.provisioned);
        let spilled = started.spillover.is_some_and(|why| why != Spillover::NotReady);
        if let Some(why) = started.spillover.filter(|_| spilled) {
            totals.spillover[why as usize] += 1;
        }
        let wanted = failed
            || !open
            || end.lock_wait > Micros::ZERO
            || started.extension > Micros::ZERO
            || started.provisioned
            || spilled;
        if wanted {
            let extra = self.extras.at(function, started.start);
            if !open {
                extra.late_invocations += 1;
                extra.late_cold_starts += u64::from(started.cold);
                extra.late_duration_sum = extra.late_duration_sum.plus(end.duration);
                extra.late_duration_max = extra.late_duration_max.max(end.duration);
            }
            extra.errors += u64::from(failed);
            extra.lock_wait_sum = extra.lock_wait_sum.plus(end.lock_wait);
            let extension = end.release - end.answer;
            extra.extension_sum = extra.extension_sum.plus(extension);
            extra.extension_max = extra.extension_max.max(extension);
            extra.provisioned += u64::from(started.provisioned);
            extra.spillover += u64::from(spilled);
            if let Some((busy, ready)) = started.sample.filter(|(_, ready)| *ready > 0)
                && (started.provisioned || spilled)
            {
                extra.utilisation_samples += 1;
                let share = f64::from(busy) / f64::from(ready);
                extra.utilisation_max = extra.utilisation_max.max(share);
            }
        }
        self.bill(request, started, billed);
    }

    fn bill(&mut self, request: &Request, started: &Started, billed: u64) {
        let month = month_of(started.start);
        let mb_ms = billed * u64::from(started.memory_mb);
        let free = self.free_part(month, started, mb_ms);
        let bills = &mut self.records[started.function.index()].bills;
        let bill = bills.of(month, started.arm, started.configured, started.provisioned);
        bill.requests += 1;
        if request.source == Source::Async {
            let over = request.payload.saturating_sub(PAYLOAD_FREE);
            bill.extra_requests += over.div_ceil(PAYLOAD_PART);
        }
        bill.mb_ms += mb_ms;
        bill.storage_mb_ms += billed * started.storage_mb;
        bill.free_mb_ms += free;
    }

    /// What the free tier pays of a run: first come, first served (Z42).
    fn free_part(&mut self, month: i32, started: &Started, mb_ms: u64) -> u64 {
        let Some(pot) = self.account.free_mb_ms.filter(|_| !started.configured) else { return 0 };
        let known = self.free.iter().rposition(|(of, _)| *of == month);
        let place = known.unwrap_or_else(|| {
            self.free.push((month, pot));
            self.free.len() - 1
        });
        let left = &mut self.free[place].1;
        let part = mb_ms.min(*left);
        *left -= part;
        part
    }

    /// Unit and environment of a run are free again.
    #[inline(never)]
    pub(super) fn release_carefully(
        &mut self,
        now: Micros,
        id: FunctionId,
        environment: EnvironmentId,
    ) {
        let function = self.slots[id.index()].function;
        self.touch(function).levels.busy -= 1;
        let record = *self.environments.get(environment);
        if record.provisioned {
            self.release_provisioned(environment, now);
        } else {
            self.ledger.release(function);
            let gone = record.obsolete || (record.resets && self.account.destroy_on_reset);
            if gone {
                self.environments.remove(environment);
                self.slots[function.index()].levels.alive -= 1;
            } else {
                let kept = self.environments.get_mut(environment);
                kept.needs_init |= kept.resets;
                kept.resets = false;
                let (policy, ages) = (self.account.idle, self.ages);
                let pool = &mut self.slots[id.index()].pool;
                let released = pool.release(environment, now, policy, ages, &mut self.environments);
                self.released(id, released);
            }
        }
        self.region.release(now, self.ledger.in_flight());
        let metered = &mut self.slots[function.index()];
        metered.meter.release(now, metered.levels.busy);
        self.last_release = now;
    }

    // ---- shared state ----------------------------------------------------------------------

    /// The environment of a run is ready: it asks for its record.
    pub(super) fn begin_handler(&mut self, place: u32, now: Micros) {
        let state = self.account.state;
        let Some(run) = self.runs.get(place) else { return };
        if run.phase != Phase::Init || run.due != now {
            return;
        }
        if state.discipline == Discipline::Optimistic {
            self.begin_try(place, now);
            return;
        }
        let cut = run.started.timeout.map(|timeout| now + timeout);
        let patience = state.max_lock_wait.map(|wait| now + wait);
        let gives_up_at = [cut, patience].into_iter().flatten().min().unwrap_or(Micros::MAX);
        run.due = gives_up_at;
        self.ask(place, now);
    }

    /// Asks for one key after the other; waits at the first that is not free, and keeps those it
    /// has (S: no deadlock, since all ask in the same order).
    fn ask(&mut self, place: u32, now: Micros) {
        loop {
            let Some(run) = self.runs.get(place) else { return };
            let (held, gives_up_at) = (run.held, run.due);
            let (number, attempt, function) =
                (run.request.number, run.attempt(), run.started.function.0);
            let Some((key, access)) = self.key_at(place, held) else { break };
            let request = state_keys::Request { run: place, function, access, gives_up_at };
            let granted = self.keys.request(key, request, now);
            let run = self.runs.get(place).expect("it asks");
            if granted {
                run.held += 1;
                continue;
            }
            let waited_before = run.phase == Phase::Waiting;
            run.phase = Phase::Waiting;
            if gives_up_at < Micros::MAX && !waited_before {
                let order = order_of_lock_limit(number, attempt);
                self.calendar.push(gives_up_at, order, Event::GiveUp { run: place });
            }
            return;
        }
        self.work(place, now);
    }

    /// The shared record number `which` of a run, in the order in which they are asked for.
    fn key_at(&mut self, place: u32, which: usize) -> Option<(u32, Access)> {
        let run = self.runs.get(place)?;
        if run.request.batch == NO_BATCH {
            return (which == 0).then_some((run.key, run.access));
        }
        self.sources.batches.get(run.request.batch).keys.get(which).copied()
    }

    /// A run holds its record and works.
    fn work(&mut self, place: u32, now: Micros) {
        let Some(run) = self.runs.get(place) else { return };
        run.phase = Phase::Running;
        run.try_begin = now;
        let end = run.started.end_from(run.begin, now);
        run.due = end.answer;
        let order = order_of_answer(run.request.number, run.attempt());
        self.calendar.push(end.answer, order, Event::StateAnswer { run: place });
    }

    /// One try of a run that does not wait (S, optimistic).
    fn begin_try(&mut self, place: u32, now: Micros) {
        let Some(run) = self.runs.get(place) else { return };
        run.phase = Phase::Running;
        run.try_begin = now;
        let cut = run.started.timeout.map(|timeout| run.begin + timeout);
        let answer = now + run.started.duration - run.started.extension;
        run.timed_out = cut.is_some_and(|cut| answer > cut);
        run.due = if run.timed_out { cut.unwrap_or(answer) } else { answer };
        let order = order_of_answer(run.request.number, run.attempt());
        let (key, due) = (run.key, run.due);
        let version = self.keys.version(key);
        let batch = run.request.batch;
        if let Some(run) = self.runs.get(place) {
            run.version = version;
        }
        if batch != NO_BATCH {
            let batch = self.sources.batches.get_mut(batch);
            batch.versions.clear();
            batch.versions.extend(batch.keys.iter().map(|(key, _)| self.keys.version(*key)));
        }
        self.calendar.push(due, order, Event::StateAnswer { run: place });
    }

    /// A run has waited for its record for as long as it may (Z10, Z33).
    pub(super) fn give_up<S: Sink>(&mut self, place: u32, now: Micros, sink: &mut S) {
        let Some(run) = self.runs.get(place) else { return };
        if run.phase != Phase::Waiting || run.due != now {
            return;
        }
        let (held, started, begin) = (run.held, run.started, run.begin);
        let (key, _) = self.key_at(place, held).expect("it waits for one");
        let wait = now - begin;
        let end = if started.timeout.is_some_and(|timeout| begin + timeout == now) {
            self.keys.record_time_out(key);
            started.timed_out(now, wait)
        } else {
            End {
                answer: now,
                release: now,
                duration: started.suppressed + wait,
                error: Some(Reason::LockWaitExceeded),
                overrun: false,
                resets: false,
                lock_wait: wait,
            }
        };
        let mut granted = Vec::new();
        self.keys.leave(key, place, now, &mut granted);
        self.finish_state_run(place, end, now, sink);
        self.grant(&granted, now);
    }

    fn grant(&mut self, granted: &[u32], now: Micros) {
        for place in granted {
            if let Some(run) = self.runs.get(*place) {
                run.held += 1;
                self.ask(*place, now);
            }
        }
    }

    /// The answer of a run with a record.
    pub(super) fn state_answer<S: Sink>(&mut self, place: u32, now: Micros, sink: &mut S) {
        let state = self.account.state;
        let Some(run) = self.runs.get(place) else { return };
        if run.phase != Phase::Running || run.due != now {
            return;
        }
        let (started, begin, from) = (run.started, run.begin, run.try_begin);
        if state.discipline == Discipline::Lock {
            let end = started.end_from(begin, from);
            self.finish_state_run(place, end, now, sink);
            return;
        }
        if run.timed_out {
            let end = started.timed_out(now, from - begin);
            self.finish_state_run(place, end, now, sink);
            return;
        }
        let mut end = started.end_from(begin, from);
        // A run that fails anyway compares and writes nothing (Z32).
        if run.access == Access::Write && end.error.is_none() {
            let (key, version, batch) = (run.key, run.version, run.request.batch);
            let unchanged = self.write_unless_changed(key, version, batch);
            let Some(run) = self.runs.get(place) else { return };
            if unchanged {
                // It has written.
            } else if run.conflicts < state.max_retries {
                run.conflicts += 1;
                run.request.progress.conflicts += 1;
                self.keys.record_conflict(key);
                self.start_over(place, begin, now);
                return;
            } else {
                end.error = Some(Reason::WriteConflict);
            }
        }
        self.finish_state_run(place, end, now, sink);
    }

    /// Writes the records of a run if nobody has written one of them since it began; a batch reads
    /// and writes all of its own or none.
    fn write_unless_changed(&mut self, key: u32, version: u64, batch: u32) -> bool {
        if batch == NO_BATCH {
            let unchanged = self.keys.version(key) == version;
            if unchanged {
                self.keys.bump(key);
            }
            return unchanged;
        }
        let batch = self.sources.batches.get(batch);
        let mut seen = batch.keys.iter().zip(&batch.versions);
        let unchanged = seen.all(|((key, _), version)| self.keys.version(*key) == *version);
        if unchanged {
            for (key, _) in batch.keys.iter().filter(|(_, access)| *access == Access::Write) {
                self.keys.bump(*key);
            }
        }
        unchanged
    }

    /// A run whose record was written meanwhile starts over (S, Z32).
    fn start_over(&mut self, place: u32, begin: Micros, now: Micros) {
        let again = now + self.account.state.backoff;
        let Some(run) = self.runs.get(place) else { return };
        let started = run.started;
        if let Some(timeout) = started.timeout
            && again > begin + timeout
        {
            // It would begin after its time-out: it ends there.
            run.timed_out = true;
            run.due = begin + timeout;
            let order = order_of_answer(run.request.number, run.attempt());
            let due = run.due;
            self.calendar.push(due, order, Event::StateAnswer { run: place });
            return;
        }
        if again == now {
            self.begin_try(place, now);
            return;
        }
        run.phase = Phase::Init;
        run.due = again;
        let order = order_of_begin(run.request.number, run.attempt());
        self.calendar.push(again, order, Event::Begin { run: place });
    }

    /// The end of a run with a record is known, and its answer is there.
    fn finish_state_run<S: Sink>(&mut self, place: u32, end: End, now: Micros, sink: &mut S) {
        let run = self.runs.get(place).expect("it runs");
        let (started, mut request, key) = (run.started, run.request, run.key);
        let abandoned = run.abandoned;
        run.phase = Phase::Answered;
        run.due = end.release;
        let unit = self.account.billing_unit;
        let without = Micros((end.duration + started.billed_init - end.lock_wait).0.max(0));
        let waited = billed_ms(end.duration + started.billed_init, unit) - billed_ms(without, unit);
        if end.lock_wait > Micros::ZERO {
            let price = usize::from(started.arm) + 2 * usize::from(started.provisioned);
            self.keys.record_wait_billed(key, waited, started.memory_mb, price);
            if self.account.state.discipline == Discipline::Optimistic {
                self.keys.record_wait(key, end.lock_wait);
            }
        }
        self.environments.get_mut(started.environment).resets = end.resets;
        if self.account.until.is_none_or(|until| end.release < until) {
            let totals = &mut self.records[started.function.index()].careful;
            totals.conflicts += u64::from(request.progress.conflicts);
        }
        self.record_end(&mut request, &started, end, sink);
        if let Some(run) = self.runs.get(place) {
            run.request = request;
            run.patience = None;
        }
        if let Some(ticket) = request.progress.ticket {
            self.tickets.close_run(ticket);
        }
        if abandoned {
            // Nobody waits for the answer; it is what the row waited for to be written down.
            self.close_ticket(request.progress.ticket.expect("its client had patience"), sink);
        } else if request.batch != NO_BATCH {
            let batch = self.sources.batches.get_mut(request.batch);
            batch.request = Some(request);
            batch.error = end.error;
            self.batch_answered(request.batch, now, sink);
        } else if end.error.is_some() && request.source == Source::Async {
            self.failed(request, now, sink);
        } else {
            if request.progress.limited {
                self.answered(started.function, false, now);
            }
            self.answer(&request, end.error, now, sink);
        }
        if end.release == now {
            self.state_release(place, now);
        } else {
            let order = order_of_release(request.number, request.progress.attempts);
            self.calendar.push(end.release, order, Event::StateRelease { run: place });
        }
    }

    /// A run with a record is released.
    pub(super) fn state_release(&mut self, place: u32, now: Micros) {
        let Some(run) = self.runs.get(place) else { return };
        if run.phase != Phase::Answered || run.due != now {
            return;
        }
        let run = self.runs.remove(place);
        self.release_carefully(now, run.request.id, run.started.environment);
        let mut granted = Vec::new();
        if run.request.batch == NO_BATCH {
            if run.held > 0 {
                self.keys.release(run.key, run.access, now, &mut granted);
            }
        } else {
            for which in 0..run.held {
                let (key, access) = self.sources.batches.get(run.request.batch).keys[which];
                self.keys.release(key, access, now, &mut granted);
            }
            self.sources.batches.release(run.request.batch);
        }
        self.grant(&granted, now);
    }

    /// A run that the end of the replay cuts off (Z39).
    pub(super) fn cut_off<S: Sink>(&mut self, run: &StateRun, sink: &mut S) {
        if run.phase == Phase::Answered {
            return;
        }
        let started = run.started;
        let mut request = run.request;
        let cut = Run {
            start: started.start,
            end: None,
            init: started.paid,
            cold: started.cold,
            provisioned: started.provisioned,
            spillover: started.spillover,
            environment: started.number,
            invocation: started.invocation,
            lock_wait: Micros::ZERO,
            billed_ms: 0,
        };
        request.progress.run = Some(cut);
        self.tickets.note(&request.progress, false);
        if request.batch != NO_BATCH {
            // Its records are settled with all others of its source.
            self.sources.batches.get_mut(request.batch).request = Some(request);
            return;
        }
        if sink.wants_attempts() {
            sink.attempt(&Attempt {
                row: request.row,
                copy: request.copy,
                number: request.progress.attempts,
                kind: AttemptKind::Unfinished,
                reason: None,
                limit: None,
                at: started.start,
                batch: None,
                run: Some(cut),
            });
        }
        if let Some(ticket) = request.progress.ticket {
            self.tickets.close_run(ticket);
            if run.abandoned {
                self.close_ticket(ticket, sink);
                return;
            }
        }
        self.settle(&request, OutcomeKind::Pending, None, None, None, sink);
    }
}

impl StateRun {
    const fn attempt(&self) -> u32 {
        self.request.progress.attempts
    }
}

/// A span times a factor, to the nearest microsecond, halves up (Z3, Z36).
#[allow(clippy::cast_possible_truncation)] // Spans are bounded.
fn scaled(span: Micros, factor: f64) -> Micros {
    if factor.to_bits() == 1.0_f64.to_bits() {
        return span;
    }
    Micros((span.0 as f64 * factor + 0.5).floor() as i64)
}
