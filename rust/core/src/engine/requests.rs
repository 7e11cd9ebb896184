//! Requests that ask for more than the plain pool: admission in the documented order, attempts,
//! retries of clients and of Lambda's own queue, and the end of each row.

use crate::batch::{Extras, NO_SOURCE};
use crate::config::{FunctionConfig, RowError};
use crate::engine::clients::Decided;
use crate::engine::event::{
    Event, order_of_arrival, order_of_give_up, order_of_mark, order_of_retry,
};
use crate::engine::replay::{Columns, Replay};
use crate::ids::{EnvironmentId, FunctionId};
use crate::metrics::Minute;
use crate::model::client::{error_wait, throttle_wait};
use crate::model::concurrency::{Claim, Limit, Refusal};
use crate::outcome::{Attempt, AttemptKind, Outcome, OutcomeKind, Reason, Sink, Source, Spillover};
use crate::request::{NO_BATCH, NO_KEY, Progress, Request};
use crate::rng::{Draw, Purpose};
use crate::time::Micros;

/// Requests a second for each unit of concurrency (F1.4).
const RATE_PER_UNIT: u64 = 10;
/// A copy of a row arrives within a minute of it (Z38).
const COPIES_WITHIN: i64 = Micros::MINUTE.0;

/// Where a request runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) environment: EnvironmentId,
    /// Whether it was created for the request.
    pub(super) cold: bool,
    pub(super) provisioned: bool,
    pub(super) spillover: Option<Spillover>,
    /// Busy and READY environments of the pool right after the start, where there is one.
    pub(super) sample: Option<(u32, u32)>,
}

/// A row that takes part.
pub(super) struct Come {
    /// Position in the trace as given.
    pub(super) row: u64,
    /// When, in the time of the replay.
    pub(super) now: Micros,
    /// Whether that is after the end of the replay (Z39).
    pub(super) late: bool,
}

impl Replay {
    /// Takes in a row of the trace.
    #[inline(never)]
    pub(super) fn arrive_carefully<S: Sink>(
        &mut self,
        place: usize,
        columns: Columns<'_>,
        sink: &mut S,
    ) {
        let sources = columns.batch.extras.and_then(|extras| extras.event_sources);
        if let Some(source) = sources.map(|sources| sources[place])
            && source != NO_SOURCE
        {
            self.arrive_record(place, source, columns, sink);
            return;
        }
        let Some(Come { row, now, late }) = self.come_to(place, columns, sink) else { return };
        let request = request_of(place, row, now, columns);
        if self.account.load > 1.0 {
            self.add_copies(&request, now, sink);
        }
        if late {
            self.leave_out(&request, sink);
        } else {
            self.arrive_request(request, now, sink);
        }
    }

    /// Brings the replay to a row of the trace; nothing where a lower load leaves the row out.
    #[inline]
    pub(super) fn come_to<S: Sink>(
        &mut self,
        place: usize,
        columns: Columns<'_>,
        sink: &mut S,
    ) -> Option<Come> {
        let row = columns.row(place);
        let now = self.scaled_time(Micros(columns.batch.timestamps[place]));
        let load = self.account.load;
        if load < 1.0 {
            // By the row, so that a lower load keeps a subset (Z38).
            let draw = Draw { who: columns.identity(place), copy: 0, attempt: 0 };
            if !self.luck.chance(Purpose::Load, draw, load) {
                return None;
            }
        }
        if self.first_arrival.is_none() {
            self.begin(now, sink);
        }
        let late = self.account.until.is_some_and(|until| now >= until);
        if !late {
            self.run_to(now, order_of_arrival(row, 0), sink);
            self.read_gauges();
        }
        Some(Come { row, now, late })
    }

    /// Arrivals in the time of the replay (Z37).
    #[allow(clippy::cast_possible_truncation)] // Instants are checked.
    pub(super) fn scaled_time(&self, at: Micros) -> Micros {
        let scale = self.account.time_scale;
        if scale.to_bits() == 1.0_f64.to_bits() {
            return at;
        }
        let first = self.origin.unwrap_or(at);
        Micros(first.0 + ((at - first).0 as f64 * scale).floor() as i64)
    }

    /// Makes the copies of a row that `load` asks for; each arrives later (Z38).
    fn add_copies<S: Sink>(&mut self, request: &Request, now: Micros, sink: &mut S) {
        for (copy, at) in self.copies(request.draw_of_row(0), now) {
            let copied = Request { copy, timestamp: at, ..*request };
            if self.account.until.is_some_and(|until| at >= until) {
                self.leave_out(&copied, sink);
                continue;
            }
            let parked = self.parking.park(&copied);
            self.calendar.push(at, order_of_arrival(request.row, copy), Event::Arrival { parked });
        }
    }

    /// Copies of a row, with the instants at which they arrive.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Loads are small.
    pub(super) fn copies(
        &self,
        row: Draw,
        now: Micros,
    ) -> impl Iterator<Item = (u32, Micros)> + use<> {
        let (load, luck) = (self.account.load, self.luck);
        let whole = load.floor() as u32;
        let chance = load - load.floor();
        (1..=whole).filter_map(move |copy| {
            let draw = Draw { copy, ..row };
            if copy == whole && !(chance > 0.0 && luck.chance(Purpose::Load, draw, chance)) {
                return None;
            }
            let after = luck.between(Purpose::Copies, draw, 0, COPIES_WITHIN);
            Some((copy, now + Micros(after)))
        })
    }

    /// A row that arrives after the end of the replay (Z39).
    fn leave_out<S: Sink>(&mut self, request: &Request, sink: &mut S) {
        self.settle(request, OutcomeKind::Pending, None, None, None, sink);
    }

    /// Something of the careful way happens.
    #[cold]
    #[inline(never)]
    pub(super) fn happen<S: Sink>(&mut self, now: Micros, event: Event, sink: &mut S) {
        match event {
            Event::Change { epoch } => {
                self.change(epoch, now);
                self.change_sources(epoch, now, sink);
            }
            Event::Source { timer, unit } => {
                self.source_due(timer.timer(), timer.source(), unit, now, sink);
            }
            Event::BatchAnswer { batch } => self.batch_answered(batch, now, sink),
            Event::Landing { landing } => self.landing(landing, now, sink),
            Event::Schedule { pool, entry } => self.on_schedule(pool, entry, now),
            Event::Ready { pool } => self.on_ready(pool, now),
            Event::Look { pool } => self.look(pool, now),
            Event::GiveUp { run } => self.give_up(run, now, sink),
            Event::Deadline { parked } => {
                let request = self.parking.take(parked);
                let limit = request.progress.limit;
                let reason = Some(Reason::EventAgeExceeded);
                self.settle(&request, OutcomeKind::Dropped, reason, limit, Some(now), sink);
            }
            Event::Unanswered { parked } => {
                let request = self.parking.take(parked);
                self.unanswered(request, now, sink);
            }
            Event::Patience { run } => self.lose_patience(run, now, sink),
            Event::Response { function } => self.answered(function, false, now),
            Event::Send { function } => self.send(function, now, sink),
            Event::Answer { parked } => {
                let request = self.parking.take(parked);
                self.failed(request, now, sink);
            }
            Event::StateAnswer { run } => self.state_answer(run, now, sink),
            Event::StateRelease { run } => self.state_release(run, now),
            Event::Begin { run } => self.begin_handler(run, now),
            Event::ProvisionedTimer { pool } => self.on_provisioned_timer(pool, now),
            Event::Mark { function } => {
                self.marks -= 1;
                self.touch(function).meter.mark();
                self.region.mark();
            }
            Event::Arrival { parked } => {
                let request = self.parking.take(parked);
                self.arrive_request(request, now, sink);
            }
            Event::Retry { parked } => {
                let request = self.parking.take(parked);
                self.attempt(request, now, sink);
            }
            Event::Release { .. } | Event::PoolTimer { .. } => unreachable!("the loop's own"),
        }
    }

    /// A request reaches Lambda.
    fn arrive_request<S: Sink>(&mut self, mut request: Request, now: Micros, sink: &mut S) {
        request.number = self.arrivals;
        self.arrivals += 1;
        let function = self.slots[request.id.index()].function;
        if !self.records[function.index()].seen {
            self.take_units(function, now);
        }
        if request.source == Source::Async {
            self.extras.at(function, now).received += 1;
            self.mark(function, now);
            if self.ledger.reserved(function) == Some(0) {
                self.give_up_for_zero(&request, now, sink);
                return;
            }
            let dispatch = self.account.queue.dispatch;
            if dispatch > Micros::ZERO {
                self.retry_at(now + dispatch, &request);
                return;
            }
        }
        self.attempt(request, now, sink);
    }

    /// An event whose function may not run at all (F5.6, Z26).
    fn give_up_for_zero<S: Sink>(&mut self, request: &Request, now: Micros, sink: &mut S) {
        let reason = Some(Reason::ZeroReservedConcurrency);
        let limit = Some(Limit::ReservedZero);
        self.settle(request, OutcomeKind::Dropped, reason, limit, Some(now), sink);
    }

    /// Tries to run a request, where its client sends it.
    fn attempt<S: Sink>(&mut self, mut request: Request, now: Micros, sink: &mut S) {
        let function = self.slots[request.id.index()].function;
        if request.source == Source::Sync && self.holds_back(&mut request, function, now) {
            return;
        }
        self.try_to_run(request, function, now, sink);
    }

    pub(super) fn try_to_run<S: Sink>(
        &mut self,
        mut request: Request,
        function: FunctionId,
        now: Micros,
        sink: &mut S,
    ) {
        if request.source == Source::Async && self.ledger.reserved(function) == Some(0) {
            self.give_up_for_zero(&request, now, sink);
            return;
        }
        request.progress.attempts += 1;
        if request.source == Source::Async {
            let age = now - request.timestamp;
            self.records[function.index()].careful.ages.record(age);
            let extra = self.extras.at(function, now);
            extra.ages += 1;
            extra.age_sum = extra.age_sum.plus(age);
            extra.age_max = extra.age_max.max(age);
        }
        match self.admit(&request, function, now) {
            Ok(place) => self.launch(request, function, place, now, sink),
            Err(refusal) => self.refuse(request, function, refusal, now, sink),
        }
    }

    /// Finds a place for a request, in the order of checks (F1.5); a refusal leaves no trace.
    pub(super) fn admit(
        &mut self,
        request: &Request,
        function: FunctionId,
        now: Micros,
    ) -> Result<Place, Refusal> {
        // Batches of event sources count as synchronous requests do (Q32).
        let sync = request.source != Source::Async;
        let reserved = self.ledger.reserved(function);
        if reserved == Some(0) {
            return Err(Refusal::of(Limit::ReservedZero, true));
        }
        if self.is_throttled_by_fault(function, now) {
            return Err(Refusal::of(Limit::Fault, reserved.is_some()));
        }
        if sync {
            self.check_rates(function, reserved, now)?;
        }
        let (service, mut spillover) = self.provisioned_place(request, function, now);
        if let Some((place, environment)) = service.filter(|_| spillover.is_none()) {
            self.ledger.claim_provisioned(function);
            self.start_provisioned(place, now);
            self.count_rates(function, reserved, sync, now);
            let shape = self.account.rate_shape;
            let service = &mut self.services[place as usize];
            let ready = service.pool.ready();
            if sync && self.limits.rates {
                service.window.take(now, RATE_PER_UNIT * u64::from(ready), shape);
            }
            let sample = Some((service.pool.busy(), ready));
            return Ok(Place {
                environment,
                cold: false,
                provisioned: true,
                spillover: None,
                sample,
            });
        }
        let served = self.records[request.id.index()].service;
        if let Claim::Throttled(refusal) = self.ledger.claim(function, served.is_some()) {
            return Err(refusal);
        }
        let warm = self.slots[request.id.index()].pool.has_idle();
        let coupled = warm && sync && self.is_coupled(function, now);
        if (coupled || !warm)
            && let Err(refusal) = self.take_token(function, reserved, coupled, now)
        {
            self.ledger.release(function);
            return Err(refusal);
        }
        let environment = if warm {
            self.choose_environment(request)
        } else {
            self.create_environment(request, function, now)
        };
        self.count_rates(function, reserved, sync, now);
        if sync {
            self.records[function.index()].coupled.admitted(now);
        }
        let sample = served.map(|place| {
            let pool = &self.services[place as usize].pool;
            (pool.busy(), pool.ready())
        });
        if served.is_none() {
            spillover = None;
        }
        Ok(Place { environment, cold: !warm, provisioned: false, spillover, sample })
    }

    fn is_throttled_by_fault(&self, function: FunctionId, now: Micros) -> bool {
        let faults = &self.records[function.index()].config.faults;
        faults.iter().any(|fault| {
            let fault = &self.account.faults[*fault as usize];
            fault.throttle && fault.from <= now && now < fault.to
        })
    }

    /// Requests per second: the account's window, then the function's (F1.4).
    #[inline]
    pub(super) fn check_rates(
        &self,
        function: FunctionId,
        reserved: Option<u32>,
        now: Micros,
    ) -> Result<(), Refusal> {
        let shape = self.account.rate_shape;
        if let Some(rate) = self.limits.requests_per_second
            && self.account_window.full(now, rate, shape)
        {
            return Err(Refusal::of(Limit::AccountRps, reserved.is_some()));
        }
        if let Some(units) = reserved.filter(|_| self.limits.rates) {
            let rate = RATE_PER_UNIT * u64::from(units);
            if self.records[function.index()].window.full(now, rate, shape) {
                return Err(Refusal::of(Limit::ReservedRps, true));
            }
        }
        Ok(())
    }

    /// Counts an admitted request in the windows it belongs to (Q32).
    fn count_rates(
        &mut self,
        function: FunctionId,
        reserved: Option<u32>,
        sync: bool,
        now: Micros,
    ) {
        use crate::model::rates::WindowShape::FixedWindow;
        if !sync || !self.limits.rates {
            return;
        }
        let shape = self.account.rate_shape;
        // A fixed window counts whoever is let in, whatever limit there is at the moment.
        let fixed = matches!(shape, FixedWindow { .. });
        if let Some(rate) = self.limits.requests_per_second.or(fixed.then_some(0)) {
            self.account_window.take(now, rate, shape);
        }
        if let Some(units) = reserved.or(fixed.then_some(0)) {
            let rate = RATE_PER_UNIT * u64::from(units);
            self.records[function.index()].window.take(now, rate, shape);
        }
    }

    /// The provisioned environment that a request gets, or why it gets none.
    fn provisioned_place(
        &mut self,
        request: &Request,
        function: FunctionId,
        now: Micros,
    ) -> (Option<(u32, EnvironmentId)>, Option<Spillover>) {
        let Some(place) = self.records[request.id.index()].service else { return (None, None) };
        let service = &self.services[place as usize];
        debug_assert!(service.function == function);
        let ready = service.pool.ready();
        if ready == 0 {
            let wanted = service.pool.requested() > 0;
            return (None, wanted.then_some(Spillover::NotReady));
        }
        if !service.idle.has_idle() {
            return (None, Some(Spillover::Busy));
        }
        let rate = RATE_PER_UNIT * u64::from(ready);
        if request.source != Source::Async
            && self.limits.rates
            && service.window.full(now, rate, self.account.rate_shape)
        {
            return (None, Some(Spillover::RequestRate));
        }
        let (luck, policy) = (self.luck, self.account.reuse);
        let draw = Draw { attempt: request.progress.attempts, ..request.draw() };
        let service = &mut self.services[place as usize];
        let environment = service.idle.choose(policy, &self.environments, |count| {
            below(count, |high| luck.between(Purpose::Reuse, draw, 0, high))
        });
        (environment.map(|environment| (place, environment)), None)
    }

    /// Whether a warm start takes a token too (Z19).
    #[inline]
    pub(super) fn is_coupled(&mut self, function: FunctionId, now: Micros) -> bool {
        if !self.limits.scaling.is_some_and(|scaling| scaling.rps_coupling) {
            return false;
        }
        let alive = self.slots[function.index()].levels.alive;
        let record = &mut self.records[function.index()];
        let live = u64::from(alive - record.provisioned_alive);
        record.coupled.rate(now) >= RATE_PER_UNIT * (live + record.coupled.bought(now))
    }

    /// Takes a token for a new environment, or for a unit that is bought.
    pub(super) fn take_token(
        &mut self,
        function: FunctionId,
        reserved: Option<u32>,
        coupled: bool,
        now: Micros,
    ) -> Result<(), Refusal> {
        use crate::config::IdlePolicy;
        let Some((rate, _)) = self.scaling_rate() else { return Ok(()) };
        let of_region = self.account.scaling_of_region;
        let record = &mut self.records[function.index()];
        let bucket = if of_region { &mut self.region_bucket } else { &mut record.bucket };
        if bucket.empty(now, &rate) {
            return Err(if coupled {
                Refusal::coupled(reserved.is_some())
            } else {
                Refusal::of(Limit::ScalingRate, reserved.is_some())
            });
        }
        bucket.take(now, &rate);
        if coupled {
            let life = match self.account.idle {
                IdlePolicy::None => None,
                IdlePolicy::Fixed(time) | IdlePolicy::Halving(time) => Some(time),
                IdlePolicy::Uniform(span) => Some(span.high),
            };
            record.coupled.buy(now, life);
        }
        Ok(())
    }

    fn choose_environment(&mut self, request: &Request) -> EnvironmentId {
        let (luck, policy, draw) = (self.luck, self.account.reuse, request.draw());
        let pool = &mut self.slots[request.id.index()].pool;
        let chosen = pool.choose(policy, &self.environments, |count| {
            below(count, |high| luck.between(Purpose::Reuse, draw, 0, high))
        });
        chosen.expect("one is idle")
    }

    fn create_environment(
        &mut self,
        request: &Request,
        function: FunctionId,
        now: Micros,
    ) -> EnvironmentId {
        let retires_at = self.account.max_lifetime.map_or(Micros::MAX, |span| {
            now + self.luck.uniform(Purpose::Lifetime, request.draw(), span)
        });
        let environment = self.environments.create(request.id.0, retires_at);
        self.rares[function.index()].created += 1;
        self.touch(function).levels.alive += 1;
        environment
    }

    /// A request is refused with 429.
    fn refuse<S: Sink>(
        &mut self,
        mut request: Request,
        function: FunctionId,
        refusal: Refusal,
        now: Micros,
        sink: &mut S,
    ) {
        self.count_throttle(now, function, refusal.limit);
        self.records[function.index()].careful.throttles += 1;
        self.count_waiting(function, refusal.limit);
        request.progress.throttles += 1;
        request.progress.limit = Some(refusal.limit);
        if sink.wants_attempts() {
            sink.attempt(&Attempt {
                row: request.row,
                copy: request.copy,
                number: request.progress.attempts,
                kind: AttemptKind::Throttled,
                reason: Some(refusal.reason.into()),
                limit: Some(refusal.limit),
                at: now,
                batch: None,
                run: None,
            });
        }
        if request.source == Source::Async {
            let wait = throttle_wait(request.progress.streak);
            request.progress.streak += 1;
            self.wait_in_queue(request, wait, now, sink);
            return;
        }
        if request.progress.limited {
            self.answered(function, true, now);
        }
        if !self.try_again(&mut request, function, now) {
            let (reason, limit) = (Some(refusal.reason.into()), Some(refusal.limit));
            self.settle(&request, OutcomeKind::Throttled, reason, limit, Some(now), sink);
        }
    }

    /// Throttles that happen while runs that wait for a record hold units of the same scope (Z35).
    pub(super) fn count_waiting(&mut self, function: FunctionId, limit: Limit) {
        if self.keys.waiting() == 0 {
            return;
        }
        let waiting = match limit {
            Limit::AccountConcurrency => {
                let reserved = (0..u32::try_from(self.records.len()).expect("fewer than 2^32"))
                    .filter(|number| self.ledger.reserved(FunctionId(*number)).is_some());
                let apart: u32 = reserved.map(|number| self.keys.waiting_of(number)).sum();
                self.keys.waiting() - apart
            }
            Limit::ReservedConcurrency => self.keys.waiting_of(function.0),
            _ => 0,
        };
        self.throttles_by_waiting += u64::from(waiting > 0);
    }

    /// A client tries again after a refusal, or where it got no answer; false where it does not.
    fn try_again(&mut self, request: &mut Request, function: FunctionId, now: Micros) -> bool {
        let Some(client) = self.records[function.index()].config.client else { return false };
        let Some(longest) = client.next_wait(request.progress.attempts) else { return false };
        let wait = match client.factor {
            None => self.luck.between(Purpose::Client, request.draw(), 0, longest.0),
            #[allow(clippy::cast_possible_truncation)] // Waits are bounded.
            Some(factor) => (longest.0 as f64 * factor + 0.5).floor() as i64,
        };
        self.retry_at(now + Micros(wait), request);
        true
    }

    pub(super) fn retry_at(&mut self, at: Micros, request: &Request) {
        let parked = self.parking.park(request);
        let order = order_of_retry(request.number, request.progress.attempts);
        self.calendar.push(at, order, Event::Retry { parked });
    }

    /// An event waits for its next attempt, or is given up for its age (F5.5, Z27).
    fn wait_in_queue<S: Sink>(
        &mut self,
        request: Request,
        wait: Micros,
        now: Micros,
        sink: &mut S,
    ) {
        let function = self.slots[request.id.index()].function;
        let longest = self.records[function.index()].config.max_event_age;
        let queue = self.account.queue;
        #[allow(clippy::cast_possible_truncation)] // Waits are bounded.
        let half = (wait.0 as f64 * queue.jitter_half + 0.5).floor() as i64;
        let (low, high) = (wait.0 - half, wait.0 + half);
        let wait = Micros(self.luck.between(Purpose::Jitter, request.draw(), low, high));
        let limit = request.progress.limit;
        let age = now - request.timestamp;
        if age + wait <= longest {
            self.retry_at(now + wait, &request);
        } else if queue.predictive || age >= longest {
            let reason = Some(Reason::EventAgeExceeded);
            self.settle(&request, OutcomeKind::Dropped, reason, limit, Some(now), sink);
        } else {
            let parked = self.parking.park(&request);
            let order = order_of_give_up(request.number, request.progress.attempts);
            self.calendar.push(request.timestamp + longest, order, Event::Deadline { parked });
        }
    }

    /// The last run of an event has failed, and its answer is there (F5.3).
    pub(super) fn failed<S: Sink>(&mut self, mut request: Request, now: Micros, sink: &mut S) {
        let function = self.slots[request.id.index()].function;
        if request.progress.retries >= self.records[function.index()].config.max_retries {
            // Exhausted retries are tested before age.
            let reason = Some(Reason::RetriesExhausted);
            self.settle(&request, OutcomeKind::Error, reason, None, Some(now), sink);
            return;
        }
        let wait = error_wait(request.progress.retries);
        request.progress.retries += 1;
        self.wait_in_queue(request, wait, now, sink);
    }

    /// A client has waited for an answer for as long as it would (Z28).
    pub(super) fn unanswered<S: Sink>(&mut self, mut request: Request, now: Micros, sink: &mut S) {
        let function = self.slots[request.id.index()].function;
        request.progress.limit = None;
        if request.progress.limited {
            // An answer like any other, as far as the rate goes.
            self.answered(function, false, now);
        }
        if !self.try_again(&mut request, function, now) {
            let reason = Some(Reason::TimedOut);
            self.settle(&request, OutcomeKind::Error, reason, None, Some(now), sink);
        }
    }

    /// What becomes of a row is decided.
    pub(super) fn settle<S: Sink>(
        &mut self,
        request: &Request,
        kind: OutcomeKind,
        reason: Option<Reason>,
        limit: Option<Limit>,
        settled: Option<Micros>,
        sink: &mut S,
    ) {
        if let Some(ticket) = request.progress.ticket {
            let decided = Decided { request: *request, kind, reason, limit, settled };
            self.tickets.decide(ticket, decided);
            self.close_ticket(ticket, sink);
            return;
        }
        self.end_row(request, kind, reason, limit, settled, sink);
    }

    /// The end of a row.
    pub(super) fn end_row<S: Sink>(
        &mut self,
        request: &Request,
        kind: OutcomeKind,
        reason: Option<Reason>,
        limit: Option<Limit>,
        settled: Option<Micros>,
        sink: &mut S,
    ) {
        let progress = &request.progress;
        let function = self.slots[request.id.index()].function;
        // Its last run was cut off by the end of the replay (Z39).
        let cut = progress.run.is_some_and(|run| run.end.is_none());
        let (kind, reason, limit, settled) = if cut || kind == OutcomeKind::Pending {
            (OutcomeKind::Pending, None, None, None)
        } else {
            (kind, reason, limit, settled)
        };
        let FunctionConfig { on_failure, .. } = self.records[function.index()].config;
        let totals = &mut self.records[function.index()].careful;
        totals.outcomes[kind as usize] += 1;
        if kind == OutcomeKind::Dropped
            && let Some(place) = Reason::OF_DROPS.iter().position(|one| reason == Some(*one))
        {
            totals.drops[place] += 1;
        }
        totals.never_ran += u64::from(progress.runs == 0 && kind != OutcomeKind::Pending);
        if let Some(run) = progress.run.filter(|run| run.end.is_some()) {
            totals.waits.record(run.start - request.timestamp);
        }
        if let Some(at) = settled.filter(|_| request.source == Source::Async) {
            let given_up = matches!(kind, OutcomeKind::Error | OutcomeKind::Dropped);
            totals.deliveries += u64::from(given_up && on_failure);
            totals.async_errors += u64::from(kind == OutcomeKind::Error);
            let extra = self.extras.at(function, at);
            extra.dropped += u64::from(given_up);
            extra.dropped_samples += 1;
            self.mark(function, at);
        }
        if S::WANTED {
            sink.outcome(&Outcome {
                row: request.row,
                copy: request.copy,
                timestamp: request.timestamp,
                shown: request.shown,
                source: request.source,
                kind,
                reason,
                limit,
                attempts: progress.attempts,
                throttles: progress.throttles,
                errors: progress.errors,
                conflicts: progress.conflicts,
                settled,
                run: progress.run,
            });
        }
    }

    /// Sees to it that the minute of an instant has a row: now, or when it opens.
    pub(super) fn mark(&mut self, function: FunctionId, at: Micros) {
        if Minute::of(at) == self.region.minute() {
            self.touch(function).meter.mark();
            self.region.mark();
        } else if at.floor_to(Micros::MINUTE) == at {
            // A run that ends at its first instant is not in it, and nothing else need be.
            self.marks += 1;
            self.calendar.push(at, order_of_mark(function), Event::Mark { function });
        }
    }

    /// The end of the replay, where that was set (Z39).
    pub(super) fn stop<S: Sink>(&mut self, until: Micros, sink: &mut S) {
        self.run_to(Micros(until.0 - 1), u64::MAX, sink);
        self.read_gauges();
        for run in self.runs.drain() {
            self.cut_off(&run, sink);
        }
        self.cut_batches(sink);
        for place in self.parking.places() {
            let request = self.parking.take(place);
            self.settle(&request, OutcomeKind::Pending, None, None, None, sink);
        }
        self.finish_sources(Some(until), sink);
        // What is in flight still holds its units up to here.
        let levels = self.region_levels();
        for busy in (0..levels.busy).rev() {
            self.region.release(until, busy);
        }
        for number in 0..self.slots.len() {
            let slot = &mut self.slots[number];
            for busy in (0..slot.levels.busy).rev() {
                slot.meter.release(until, busy);
            }
        }
    }
}

/// A place below `count`, drawn between 0 and its argument.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Drawn within the bounds.
fn below(count: usize, draw: impl FnOnce(i64) -> i64) -> usize {
    let high = i64::try_from(count).expect("fewer than 2^63") - 1;
    draw(high) as usize
}

/// A row of the trace as a request that nothing has happened to yet.
fn request_of(place: usize, row: u64, now: Micros, columns: Columns<'_>) -> Request {
    let batch = columns.batch;
    let extras = batch.extras.unwrap_or_default();
    let Extras { sources, errors, error_runs, extensions, payloads, state_keys, reads, .. } =
        extras;
    let duration = Micros(columns.checked.durations[place]);
    let extension = extensions.map_or(Micros::ZERO, |spans| spans.get(place));
    Request {
        row,
        copy: 0,
        number: 0,
        timestamp: now,
        id: FunctionId(batch.functions[place]),
        shown: columns.shown(place),
        source: match sources.map_or(0, |sources| sources[place]) {
            0 => Source::Sync,
            _ => Source::Async,
        },
        duration,
        extension: extension.min(duration),
        init: columns.checked.init(place),
        memory_mb: batch.memory.map_or(0, |memory| memory[place]),
        error: match errors.map_or(0, |errors| errors[place]) {
            1 => Some(RowError::Handled),
            2 => Some(RowError::Crash),
            _ => None,
        },
        error_runs: error_runs.map_or(u32::MAX, |runs| runs[place]),
        payload: payloads.map_or(0, |payloads| payloads[place]),
        state_key: state_keys.map_or(NO_KEY, |keys| keys[place]),
        reads: reads.is_some_and(|reads| reads[place] == 1),
        who: columns.identity(place),
        batch: NO_BATCH,
        progress: Progress::default(),
    }
}
