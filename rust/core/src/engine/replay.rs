//! One replay: one account in one Region, from the first arrival to the last release.

use crate::batch::{Batch, Checked};
use crate::config::{AccountConfig, FunctionConfig, IdlePolicy};
use crate::engine::calendar::Calendar;
use crate::engine::event::{Event, order_of_end, order_of_timer};
use crate::error::Error;
use crate::histogram::Histogram;
use crate::ids::{EnvironmentId, FunctionId};
use crate::metrics::{
    Closed, Levels, Meter, Minute, MinuteRow, MinuteRows, Runs, Totals, WorstWindow,
};
use crate::model::billing::billed_ms;
use crate::model::concurrency::{Claim, ConcurrencyLedger, Limit};
use crate::model::environments::{EnvironmentTable, Pool, Released};
use crate::outcome::{Outcome, Run, Sink};
use crate::rng::{Identity, Luck, Purpose};
use crate::time::Micros;

/// Attempt number of a request's first try. Nothing is tried again in this model.
const FIRST_ATTEMPT: u32 = 1;

/// Rows between two looks at the tallies: as many as stay in a cache with their columns.
const STRETCH: usize = 4_096;

/// A replay in progress.
///
/// Memory is what is in flight, what is idle, and the rows of closed minutes that nobody has taken
/// yet; it does not grow with the trace. Cutting the trace into other batches changes nothing.
#[derive(Debug)]
pub struct Replay {
    account: AccountConfig,
    /// Whether environments have a maximum lifetime.
    ages: bool,
    luck: Luck,
    ledger: ConcurrencyLedger,
    environments: EnvironmentTable,
    slots: Vec<Slot>,
    records: Vec<Record>,
    /// Whether any name has a qualifier.
    qualified: bool,
    /// What the runs of each function add up to.
    tallies: Vec<Tally>,
    /// Places of the batch at hand whose requests were refused.
    refused: Vec<usize>,
    calendar: Calendar<Event>,
    /// Meter of all functions together; its open minute is the present one.
    region: Meter,
    /// Functions that something has happened to in the open minute.
    touched: Vec<FunctionId>,
    minute_end: Micros,
    region_closed: Closed,
    region_worst: WorstWindow,
    minutes: MinuteRows,
    scratch: Vec<i64>,
    rows_fed: u64,
    throttles: u64,
    first_arrival: Option<Micros>,
    last_arrival: Micros,
    last_release: Micros,
}

/// What every arrival and every release touches: two cache lines.
///
/// A slot is a function version (a function name as the trace gives it) with its pool, and, where
/// the name has no qualifier, the function with its meter: metrics and totals go by the bare name
/// (Z9).
#[derive(Debug)]
#[repr(align(64))]
struct Slot {
    pool: Pool,
    meter: Meter,
    levels: Levels,
    /// The slot that meters this one; itself unless the name has a qualifier.
    function: FunctionId,
}

const _: () = assert!(size_of::<Slot>() == 128, "two cache lines");

/// What only cold starts, throttles and the ends of minutes touch.
#[derive(Debug)]
struct Record {
    config: FunctionConfig,
    closed: Closed,
    throttles_by_limit: [u64; Limit::ALL.len()],
    init_sum: Micros,
    worst: WorstWindow,
}

/// What is known of a run from its row, added up apart from the event loop.
#[derive(Debug, Default)]
struct Tally {
    /// Of the open minute.
    runs: Runs,
    /// `Duration` of all.
    durations: Histogram,
}

/// How a request starts.
#[derive(Clone, Copy)]
struct Start {
    environment: EnvironmentId,
    /// The init that the request waits for; nothing for a warm start.
    init: Option<Micros>,
}

/// The span of a finished replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// First arrival; nothing where the trace is empty.
    pub first: Option<Micros>,
    /// Last arrival.
    pub last: Option<Micros>,
    /// Last release.
    pub last_release: Option<Micros>,
    /// Rows fed.
    pub rows: u64,
}

/// A batch, as given and as checked.
#[derive(Clone, Copy)]
struct Columns<'a> {
    batch: &'a Batch<'a>,
    checked: &'a Checked<'a>,
}

/// One row of it.
#[derive(Clone, Copy)]
struct Arrival {
    now: Micros,
    id: FunctionId,
    duration: Micros,
    /// Place in the batch.
    place: usize,
    /// Place in the order of arrival.
    number: u64,
}

impl Replay {
    /// A replay that has seen nothing. Rows of minutes are kept for functions too where
    /// `function_minutes` says so, else for the Region alone.
    pub fn new(account: AccountConfig, function_minutes: bool) -> Self {
        Self {
            ages: account.max_lifetime.is_some(),
            luck: Luck::new(account.seed),
            ledger: ConcurrencyLedger::new(account.concurrency),
            account,
            environments: EnvironmentTable::default(),
            slots: Vec::new(),
            records: Vec::new(),
            qualified: false,
            tallies: Vec::new(),
            refused: Vec::new(),
            calendar: Calendar::starting_at(Micros::ZERO),
            region: Meter::default(),
            touched: Vec::new(),
            minute_end: Micros::MIN,
            region_closed: Closed::default(),
            region_worst: WorstWindow::default(),
            minutes: MinuteRows::new(function_minutes),
            scratch: Vec::new(),
            rows_fed: 0,
            throttles: 0,
            first_arrival: None,
            last_arrival: Micros::MIN,
            last_release: Micros::MIN,
        }
    }

    /// Registers the next function version; `function` is that of its bare name where it has a
    /// qualifier.
    pub fn add_function(
        &mut self,
        config: FunctionConfig,
        function: Option<FunctionId>,
    ) -> FunctionId {
        let id = u32::try_from(self.slots.len()).expect("fewer than 2^32 functions");
        assert!(function.is_none_or(|function| function.0 < id), "the bare name comes first");
        self.qualified |= function.is_some();
        self.slots.push(Slot {
            pool: Pool::default(),
            meter: Meter::default(),
            levels: Levels::default(),
            function: function.unwrap_or(FunctionId(id)),
        });
        self.tallies.push(Tally::default());
        self.records.push(Record {
            config,
            closed: Closed::default(),
            throttles_by_limit: [0; Limit::ALL.len()],
            init_sum: Micros::ZERO,
            worst: WorstWindow::default(),
        });
        FunctionId(id)
    }

    /// Replays the next rows. Outcomes go to `sink` as they are decided.
    ///
    /// # Errors
    ///
    /// The first row that cannot be replayed; nothing of its batch has been replayed then.
    pub fn feed<S: Sink>(&mut self, batch: &Batch<'_>, sink: &mut S) -> Result<(), Error> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let previous = self.last_arrival;
        let checked = batch.check(&mut scratch, self.rows_fed, previous, self.slots.len());
        let answer = checked.map(|checked| self.replay(batch, &checked, sink));
        self.scratch = scratch;
        answer
    }

    /// Replays rows that have been checked.
    fn replay<S: Sink>(&mut self, batch: &Batch<'_>, checked: &Checked<'_>, sink: &mut S) {
        let Some((first, last)) = batch.timestamps.first().zip(batch.timestamps.last()) else {
            return;
        };
        if self.first_arrival.is_none() {
            self.first_arrival = Some(Micros(*first));
            self.calendar = Calendar::starting_at(Micros(*first));
        }
        let columns = Columns { batch, checked };
        let mut start = 0;
        while let Some(timestamp) = batch.timestamps.get(start) {
            if self.minute_end.0 <= *timestamp {
                self.run_to(Micros(*timestamp));
            }
            // A stretch lies in one minute, so that its runs do.
            let longest = (start + STRETCH).min(batch.len());
            let minute_end = self.minute_end.0;
            let within = |timestamps: &[i64]| timestamps.partition_point(|at| *at < minute_end);
            let places = start..start + within(&batch.timestamps[start..longest]);
            let timestamps = batch.timestamps[places.clone()].iter();
            let functions = &batch.functions[places.clone()];
            let durations = &checked.durations[places.clone()];
            let rows = places.clone().zip(timestamps.zip(functions).zip(durations));
            for (place, ((timestamp, function), duration)) in rows {
                let (now, id, duration) =
                    (Micros(*timestamp), FunctionId(*function), Micros(*duration));
                if self.calendar.bound() <= now {
                    self.run_due(now);
                }
                let number = self.rows_fed + place as u64;
                self.arrive(Arrival { now, id, duration, place, number }, columns, sink);
            }
            self.tally(start, functions, durations);
            start = places.end;
        }
        self.last_arrival = Micros(*last);
        self.rows_fed += batch.len() as u64;
    }

    /// Adds up what the runs of a stretch of a batch are known to be from their rows.
    ///
    /// Histograms do not fit into a cache. Counted together, their misses overlap instead of each
    /// holding up the event loop.
    fn tally(&mut self, first: usize, functions: &[u32], durations: &[i64]) {
        // A division by a constant is a multiplication: the two units of the eras are worth that.
        match self.account.billing_unit {
            Micros(1_000) => self.tally_in(Micros(1_000), first, functions, durations),
            Micros(100_000) => self.tally_in(Micros(100_000), first, functions, durations),
            unit => self.tally_in(unit, first, functions, durations),
        }
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // So that the unit is a constant in each.
    fn tally_in(&mut self, unit: Micros, first: usize, functions: &[u32], durations: &[i64]) {
        let mut start = 0;
        let refused = self.refused.drain(..).map(|place| place - first);
        for end in refused.chain(std::iter::once(functions.len())) {
            for (name, duration) in functions[start..end].iter().zip(&durations[start..end]) {
                let mut function = *name as usize;
                if self.qualified {
                    function = self.slots[function].function.index();
                }
                let (duration, billed) = (Micros(*duration), billed_ms(Micros(*duration), unit));
                let tally = &mut self.tallies[function];
                tally.runs.run(duration, billed);
                tally.durations.record(duration);
            }
            start = end + 1;
        }
    }

    /// Everything due up to and including `now`, before the arrivals of `now` (Z1).
    fn run_to(&mut self, now: Micros) {
        loop {
            // Ends and timers at the first instant of a minute come before the minute opens.
            self.run_due(now.min(self.minute_end));
            if now < self.minute_end {
                return;
            }
            // Nothing happens before the next event, if it comes before `now`.
            self.turn(now.min(self.calendar.bound()).max(self.minute_end));
        }
    }

    /// Everything due up to and including `now`, within the open minute.
    fn run_due(&mut self, now: Micros) {
        while let Some((at, event)) = self.calendar.pop_due(now) {
            match event {
                Event::Release { function, environment } => {
                    self.release(at, function, environment);
                }
                Event::PoolTimer { function } => self.pool_timer(at, function),
            }
        }
    }

    /// Opens the minute of `now` for the Region; functions follow when they are touched.
    #[cold]
    fn turn(&mut self, now: Micros) {
        let (minute, levels) = (Minute::of(now), self.region_levels());
        let (mut runs, closed) = (self.region_runs(), &mut self.region_closed);
        self.region.turn(minute, levels, &mut runs, None, closed, &mut self.minutes);
        self.minute_end = minute.end();
    }

    /// Runs of all functions in the open minute, which is about to be closed.
    fn region_runs(&mut self) -> Runs {
        let mut sum = Runs::default();
        for function in self.touched.drain(..) {
            sum.add(self.tallies[function.index()].runs);
        }
        sum
    }

    #[allow(clippy::cast_possible_truncation)] // The table has fewer than 2^32.
    fn region_levels(&self) -> Levels {
        Levels { busy: self.ledger.in_flight(), alive: self.environments.alive() as u32 }
    }

    /// The meter of a function about to change, brought to the present minute.
    #[inline(always)]
    #[allow(clippy::inline_always)] // Every release comes through here: 10 instructions of a call.
    fn touch(&mut self, function: FunctionId) -> &mut Slot {
        if self.slots[function.index()].meter.minute() != self.region.minute() {
            self.turn_function(function);
        }
        &mut self.slots[function.index()]
    }

    /// Opens the present minute for a function.
    #[cold]
    fn turn_function(&mut self, function: FunctionId) {
        let (slot, minute) = (&mut self.slots[function.index()], self.region.minute());
        let closed = &mut self.records[function.index()].closed;
        let (runs, id) = (&mut self.tallies[function.index()].runs, Some(function));
        slot.meter.turn(minute, slot.levels, runs, id, closed, &mut self.minutes);
        self.touched.push(function);
    }

    #[inline]
    fn arrive<S: Sink>(&mut self, arrival: Arrival, columns: Columns<'_>, sink: &mut S) {
        let Arrival { now, id, .. } = arrival;
        let function = self.slots[id.index()].function;
        let in_flight = self.ledger.in_flight();
        if let Claim::Throttled(refusal) = self.ledger.claim(function, false) {
            self.throttle(arrival, function, refusal.limit, columns, sink);
            return;
        }
        let reused = self.slots[id.index()].pool.reuse();
        let metered = self.touch(function);
        metered.meter.accept(now, metered.levels.busy);
        metered.levels.busy += 1;
        let start = match reused {
            Some(environment) => Start { environment, init: None },
            None => self.start_cold(arrival, function, columns),
        };
        self.run(arrival, in_flight, start, columns, sink);
    }

    /// A request that was accepted while `in_flight` others were in flight runs in its environment.
    #[inline]
    fn run<S: Sink>(
        &mut self,
        arrival: Arrival,
        in_flight: u32,
        start: Start,
        columns: Columns<'_>,
        sink: &mut S,
    ) {
        let Arrival { now, id, duration, number, .. } = arrival;
        let Start { environment, init } = start;
        if let IdlePolicy::Uniform(span) = self.account.idle {
            // Keyed by the row whose run ends (Z5): drawn while the row is at hand.
            let who = columns.identity(arrival);
            self.environments.get_mut(environment).idle_for =
                self.luck.uniform(Purpose::Idle, who, FIRST_ATTEMPT, span);
        }
        self.region.accept(now, in_flight);
        let end = now + init.unwrap_or(Micros::ZERO) + duration;
        let event = Event::Release { function: id, environment };
        self.calendar.push(end, order_of_end(number, FIRST_ATTEMPT), event);
        if S::WANTED {
            let run = Run {
                start: now,
                end,
                init: init.unwrap_or(Micros::ZERO),
                cold: init.is_some(),
                environment: self.environments.get(environment).number,
                invocation: number - self.throttles,
                billed_ms: self.billed(id, duration, init),
            };
            sink.outcome(&columns.outcome(arrival, None, Some(run)));
        }
    }

    /// Billed time of a run that waits for an init, or for none, ms.
    fn billed(&self, id: FunctionId, duration: Micros, init: Option<Micros>) -> u64 {
        let config = self.records[id.index()].config;
        let init = init.filter(|_| config.init_billed).unwrap_or(Micros::ZERO);
        billed_ms(duration + init, self.account.billing_unit)
    }

    /// Creates an environment for a request that found none idle.
    #[cold]
    fn start_cold(
        &mut self,
        arrival: Arrival,
        function: FunctionId,
        columns: Columns<'_>,
    ) -> Start {
        let Arrival { now, id, duration, place, .. } = arrival;
        let config = self.records[id.index()].config;
        let init = columns.checked.init(place).unwrap_or(config.init);
        let record = &mut self.records[function.index()];
        record.init_sum = record.init_sum.plus(init);
        let more = self.billed(id, duration, Some(init)) - self.billed(id, duration, None);
        let retires_at = self.account.max_lifetime.map_or(Micros::MAX, |span| {
            // Counted from the start of its init, drawn by the row that creates it (Z5).
            let who = columns.identity(arrival);
            now + self.luck.uniform(Purpose::Lifetime, who, FIRST_ATTEMPT, span)
        });
        let environment = self.environments.create(retires_at);
        let metered = &mut self.slots[function.index()];
        metered.levels.alive += 1;
        metered.meter.cold_start(metered.levels.alive);
        self.tallies[function.index()].runs.bill(more);
        let alive = self.region_levels().alive;
        self.region.cold_start(alive);
        Start { environment, init: Some(init) }
    }

    #[cold]
    fn throttle<S: Sink>(
        &mut self,
        arrival: Arrival,
        function: FunctionId,
        limit: Limit,
        columns: Columns<'_>,
        sink: &mut S,
    ) {
        self.touch(function).meter.throttle();
        let record = &mut self.records[function.index()];
        record.throttles_by_limit[limit as usize] += 1;
        record.worst.record(arrival.now);
        self.region.throttle();
        self.region_worst.record(arrival.now);
        self.throttles += 1;
        self.refused.push(arrival.place);
        if S::WANTED {
            sink.outcome(&columns.outcome(arrival, Some(limit), None));
        }
    }

    #[inline]
    fn release(&mut self, now: Micros, id: FunctionId, environment: EnvironmentId) {
        let (policy, ages) = (self.account.idle, self.ages);
        let slot = &mut self.slots[id.index()];
        let function = slot.function;
        self.ledger.release(function);
        self.region.release(now, self.ledger.in_flight());
        let released = slot.pool.release(environment, now, policy, ages, &mut self.environments);
        let metered = self.touch(function);
        metered.levels.busy -= 1;
        metered.meter.release(now, metered.levels.busy);
        match released {
            Released::Idle => {}
            Released::Retired => metered.levels.alive -= 1,
            Released::IdleUntil(at) => {
                self.calendar.push(at, order_of_timer(id), Event::PoolTimer { function: id });
            }
        }
        self.last_release = now;
    }

    #[cold]
    fn pool_timer(&mut self, now: Micros, id: FunctionId) {
        let (policy, ages) = (self.account.idle, self.ages);
        let slot = &mut self.slots[id.index()];
        let function = slot.function;
        let fired = slot.pool.on_timer(now, policy, ages, &mut self.environments);
        self.touch(function).levels.alive -= fired.gone;
        if let Some(next) = fired.next {
            self.calendar.push(next, order_of_timer(id), Event::PoolTimer { function: id });
        }
    }

    /// Replays to the last release. Nothing can be fed afterwards.
    pub fn finish(&mut self) {
        // Step by step, since timers after the last release no longer matter.
        while self.ledger.in_flight() > 0 {
            self.run_to(self.calendar.bound());
        }
        let Some(end) = self.extent().last_release else { return };
        let levels = self.region_levels();
        let (mut runs, closed) = (self.region_runs(), &mut self.region_closed);
        self.region.finish(end, levels, &mut runs, None, closed, &mut self.minutes);
        let kept = self.records.iter_mut().zip(&mut self.tallies);
        for (number, (slot, (record, tally))) in (0..).zip(self.slots.iter_mut().zip(kept)) {
            let (runs, id, closed) = (&mut tally.runs, FunctionId(number), &mut record.closed);
            slot.meter.finish(end, slot.levels, runs, Some(id), closed, &mut self.minutes);
        }
    }

    /// First and last instants, and the rows fed.
    pub fn extent(&self) -> Extent {
        let seen = self.first_arrival.is_some();
        Extent {
            first: self.first_arrival,
            last: seen.then_some(self.last_arrival),
            last_release: seen.then_some(self.last_release.max(self.last_arrival)),
            rows: self.rows_fed,
        }
    }

    /// Takes the rows of minutes closed since the last time.
    pub fn take_minutes(&mut self) -> Vec<MinuteRow> {
        self.minutes.take()
    }

    /// How many functions are registered.
    pub fn functions(&self) -> usize {
        self.slots.len()
    }

    /// Totals of one function. Complete once the replay is finished.
    pub fn function_totals(&self, id: FunctionId) -> Totals {
        let record = &self.records[id.index()];
        Totals {
            counts: record.closed.counts,
            throttles_by_limit: record.throttles_by_limit.to_vec(),
            environments_created: record.closed.counts.cold_starts,
            time_at: self.slots[id.index()].meter.time_at(self.span()),
            max_concurrency: record.closed.max_busy,
            durations: self.tallies[id.index()].durations.clone(),
            init_sum: record.init_sum,
            worst_10s: record.worst.worst(),
        }
    }

    /// Totals of all functions together. Complete once the replay is finished.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            counts: self.region_closed.counts,
            throttles_by_limit: vec![0; Limit::ALL.len()],
            environments_created: self.environments.created(),
            time_at: self.region.time_at(self.span()),
            max_concurrency: self.region_closed.max_busy,
            durations: Histogram::default(),
            init_sum: Micros::ZERO,
            worst_10s: self.region_worst.worst(),
        };
        for (record, tally) in self.records.iter().zip(&self.tallies) {
            totals.durations.merge(&tally.durations);
            totals.init_sum = totals.init_sum.plus(record.init_sum);
            for (sum, more) in totals.throttles_by_limit.iter_mut().zip(record.throttles_by_limit) {
                *sum += more;
            }
        }
        totals
    }

    /// From the first arrival to the last release (Z47).
    fn span(&self) -> Micros {
        let extent = self.extent();
        match (extent.first, extent.last_release) {
            (Some(first), Some(end)) => end - first,
            _ => Micros::ZERO,
        }
    }
}

impl Columns<'_> {
    /// Position in the trace as given.
    fn row(&self, arrival: Arrival) -> u64 {
        self.batch.rows.map_or(arrival.number, |rows| rows[arrival.place])
    }

    /// What the batch says, else the position in the trace as given (Q34).
    fn identity(&self, arrival: Arrival) -> Identity {
        match self.batch.identities {
            Some(identities) => identities.identity(arrival.place),
            None => Identity::ordinal(self.row(arrival)),
        }
    }

    fn outcome(&self, arrival: Arrival, limit: Option<Limit>, run: Option<Run>) -> Outcome {
        let (row, timestamp, function) = (self.row(arrival), arrival.now, arrival.id);
        Outcome { row, timestamp, function, limit, run }
    }
}
