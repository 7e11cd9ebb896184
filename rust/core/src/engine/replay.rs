//! One replay: one account in one Region, from the first arrival to the last release.

use std::collections::VecDeque;

use crate::batch::{Batch, Checked};
use crate::blame::Blame;
use crate::config::{AccountConfig, Epoch, FunctionConfig, IdlePolicy};
use crate::engine::calendar::Calendar;
use crate::engine::clients::{Sender, Tickets};
use crate::engine::event::{
    Event, order_of_arrival, order_of_change, order_of_end, order_of_timer,
};
use crate::engine::provisioning::Service;
use crate::engine::sources::Sources;
use crate::engine::state_runs::StateRuns;
use crate::error::Error;
use crate::histogram::Histogram;
use crate::ids::{EnvironmentId, FunctionId};
use crate::meters::{Bills, Distribution, ExtraRow, ExtraRows, month_of};
use crate::metrics::{
    Closed, Levels, Meter, Minute, MinuteRow, MinuteRows, Runs, Totals, WorstWindow,
};
use crate::model::billing::billed_ms;
use crate::model::concurrency::{Claim, ConcurrencyLedger, Limit, Refusal};
use crate::model::environments::{EnvironmentTable, Pool, Released};
use crate::model::rates::RequestWindow;
use crate::model::scaling::{CoupledUnits, ScalingBucket};
use crate::model::state_keys::KeyTable;
use crate::outcome::{Outcome, OutcomeKind, Reason, Run, Sink, Source, Spillover};
use crate::request::Parking;
use crate::rng::{Draw, Identity, Luck, Purpose};
use crate::time::Micros;

/// Attempt number of a request's first try.
const FIRST_ATTEMPT: u32 = 1;

/// Rows between two looks at the tallies: as many as stay in a cache with their columns.
const STRETCH: usize = 4_096;

/// Before all arrivals of an instant (Z1).
pub(super) const ARRIVALS: u64 = order_of_arrival(0, 0);

/// Rows that are left in the core until there are more of them: to hand them over costs something.
pub(super) const MUCH: usize = 65_536;

/// A replay in progress.
///
/// Memory is what is in flight, what waits, what is idle, and the rows of closed minutes that
/// nobody has taken yet; it does not grow with the trace. Cutting the trace into other batches
/// changes nothing.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // Each is a fact of its own.
pub struct Replay {
    pub(super) account: AccountConfig,
    /// Whether environments have a maximum lifetime.
    pub(super) ages: bool,
    pub(super) luck: Luck,
    pub(super) ledger: ConcurrencyLedger,
    pub(super) environments: EnvironmentTable,
    pub(super) slots: Vec<Slot>,
    pub(super) rares: Vec<Rare>,
    pub(super) records: Vec<Record>,
    /// Whether any name has a qualifier.
    qualified: bool,
    /// Whether the trace gives the memory of rows.
    memory_of_rows: bool,
    /// What the runs of each function add up to.
    pub(super) tallies: Vec<Tally>,
    /// Places of the batch at hand whose rows the tally leaves out: refused, or counted already.
    apart: Vec<usize>,
    pub(super) calendar: Calendar<Event>,
    /// Meter of all functions together; its open minute is the present one.
    pub(super) region: Meter,
    /// Functions that something has happened to in the open minute.
    touched: Vec<FunctionId>,
    pub(super) minute_end: Micros,
    pub(super) region_closed: Closed,
    pub(super) region_worst: WorstWindow,
    minutes: MinuteRows,
    scratch: Vec<i64>,
    pub(super) rows_fed: u64,
    pub(super) runs_started: u64,
    /// First row of the whole trace (Z37).
    pub(super) origin: Option<Micros>,
    pub(super) first_arrival: Option<Micros>,
    last_arrival: Micros,
    pub(super) last_release: Micros,

    /// Whether anything asks for more than the plain pool.
    pub(super) careful: bool,
    /// The limits of the moment.
    pub(super) limits: Epoch,
    /// How many changes of configuration have happened.
    pub(super) epoch: u32,
    /// Arrivals so far, copies included: the next one's place in the order of arrival.
    pub(super) arrivals: u64,
    pub(super) account_window: RequestWindow,
    pub(super) region_bucket: ScalingBucket,
    pub(super) services: Vec<Service>,
    /// Provisioned environments that are busy.
    pub(super) provisioned_busy: u32,
    pub(super) parking: Parking,
    pub(super) runs: StateRuns,
    pub(super) keys: KeyTable,
    pub(super) tickets: Tickets,
    /// Throttles while runs that waited for a record held units of the same scope (Z35).
    pub(super) throttles_by_waiting: u64,
    /// Who held the capacity at refusals, where somebody asks.
    pub(super) blame: Option<Box<Blame>>,
    pub(super) extras: ExtraRows,
    /// Instant of gauges to be read.
    pub(super) gauge_at: Option<Micros>,
    /// Marks to come.
    pub(super) marks: u32,
    /// By month, what is left of the free tier.
    pub(super) free: Vec<(i32, u64)>,
    pub(super) sources: Box<Sources>,
}

/// What every arrival and every release touches: two cache lines.
///
/// A slot is a function version (a function name as the trace gives it) with its pool, and, where
/// the name has no qualifier, the function with its meter: metrics and totals go by the bare name
/// (Z9).
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Slot {
    pub(super) pool: Pool,
    pub(super) meter: Meter,
    pub(super) levels: Levels,
    /// The slot that meters this one; itself unless the name has a qualifier.
    pub(super) function: FunctionId,
}

const _: () = assert!(size_of::<Slot>() == 128, "two cache lines");

/// What cold starts and throttles touch: three cache lines.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Rare {
    /// Settings of the moment that a cold start of the plain pool needs.
    init: Micros,
    init_timeout: Micros,
    init_billed: bool,
    pub(super) init_sum: Micros,
    /// On-demand environments created.
    pub(super) created: u64,
    pub(super) throttles_by_limit: [u64; Limit::ALL.len()],
    pub(super) worst: WorstWindow,
}

const _: () = assert!(size_of::<Rare>() == 192, "three cache lines");

impl Rare {
    fn new(config: &FunctionConfig) -> Self {
        Self {
            init: config.init,
            init_timeout: config.init_timeout.unwrap_or(Micros::MAX),
            init_billed: config.init_billed,
            init_sum: Micros::ZERO,
            created: 0,
            throttles_by_limit: [0; Limit::ALL.len()],
            worst: WorstWindow::default(),
        }
    }
}

/// What only the careful way and the ends of minutes touch.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) name: String,
    /// Settings; of functions, not of their qualifiers.
    pub(super) config: FunctionConfig,
    /// Settings of the epochs to come.
    pub(super) later: VecDeque<(u32, FunctionConfig)>,
    /// Whether a row of the function has arrived.
    pub(super) seen: bool,
    pub(super) closed: Closed,
    pub(super) bills: Bills,
    /// Requests with reserved concurrency (F1.4).
    pub(super) window: RequestWindow,
    pub(super) bucket: ScalingBucket,
    pub(super) coupled: CoupledUnits,
    /// The provisioned pool that serves this version, if any.
    pub(super) service: Option<u32>,
    /// The client of its synchronous callers, where that limits its own rate.
    pub(super) sender: Option<Box<Sender>>,
    /// Provisioned environments of the function that are alive.
    pub(super) provisioned_alive: u32,
    pub(super) careful: CarefulTotals,
}

/// Totals of what went the careful way.
#[derive(Clone, Debug, Default)]
pub(super) struct CarefulTotals {
    pub(super) outcomes: [u64; OutcomeKind::COUNT],
    pub(super) never_ran: u64,
    pub(super) invocations: u64,
    pub(super) throttles: u64,
    pub(super) errors: u64,
    pub(super) conflicts: u64,
    pub(super) lock_wait: i128,
    pub(super) provisioned: u64,
    pub(super) spillover: [u64; Spillover::COUNTED.len()],
    pub(super) drops: [u64; Reason::OF_DROPS.len()],
    pub(super) deliveries: u64,
    pub(super) async_errors: u64,
    pub(super) waits: Distribution,
    pub(super) ages: Distribution,
    pub(super) iterator_ages: Distribution,
}

/// What is known of a run from its row, added up apart from the event loop.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Of the open minute.
    pub(super) runs: Runs,
    /// `Duration` of all.
    pub(super) durations: Histogram,
    /// Memory of runs whose row does not say, MB.
    memory_mb: u32,
    /// Whether that counts whatever the row says.
    fixed_memory: bool,
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
    /// Last release, or the end of the replay.
    pub last_release: Option<Micros>,
    /// Rows fed.
    pub rows: u64,
}

/// A batch, as given and as checked.
#[derive(Clone, Copy)]
pub(super) struct Columns<'a> {
    pub(super) batch: &'a Batch<'a>,
    pub(super) checked: &'a Checked<'a>,
    /// Rows fed before it.
    pub(super) first: u64,
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
        let limits = account.epochs[0];
        Self {
            ages: account.max_lifetime.is_some(),
            luck: Luck::new(account.seed),
            sources: Box::new(Sources::new(Luck::new(account.seed))),
            ledger: ConcurrencyLedger::new(limits.concurrency),
            careful: !account.is_plain(),
            account,
            environments: EnvironmentTable::default(),
            slots: Vec::new(),
            rares: Vec::new(),
            records: Vec::new(),
            qualified: false,
            memory_of_rows: false,
            tallies: Vec::new(),
            apart: Vec::new(),
            calendar: Calendar::starting_at(Micros::ZERO),
            region: Meter::default(),
            touched: Vec::new(),
            minute_end: Micros::MIN,
            region_closed: Closed::default(),
            region_worst: WorstWindow::default(),
            minutes: MinuteRows::new(function_minutes),
            scratch: Vec::new(),
            rows_fed: 0,
            runs_started: 0,
            origin: None,
            first_arrival: None,
            last_arrival: Micros::MIN,
            last_release: Micros::MIN,
            limits,
            epoch: 0,
            arrivals: 0,
            account_window: RequestWindow::default(),
            region_bucket: ScalingBucket::default(),
            services: Vec::new(),
            provisioned_busy: 0,
            parking: Parking::default(),
            runs: StateRuns::default(),
            keys: KeyTable::default(),
            tickets: Tickets::default(),
            throttles_by_waiting: 0,
            blame: None,
            extras: ExtraRows::default(),
            gauge_at: None,
            marks: 0,
            free: Vec::new(),
        }
    }

    /// Registers the next function version; `function` is that of its bare name where it has a
    /// qualifier, and then the settings are those of the function. `epochs` are its settings by the
    /// number of the epoch that they begin with, the first one 0.
    pub fn add_function(
        &mut self,
        name: String,
        epochs: Vec<(u32, FunctionConfig)>,
        function: Option<FunctionId>,
    ) -> FunctionId {
        let id = u32::try_from(self.slots.len()).expect("fewer than 2^32 functions");
        assert!(function.is_none_or(|function| function.0 < id), "the bare name comes first");
        self.qualified |= function.is_some();
        let mut later: VecDeque<_> = epochs.into();
        let (first, mut config) = later.pop_front().expect("settings from the start");
        assert!(first == 0, "settings from the start");
        let plain = config.is_plain() && later.iter().all(|(_, config)| config.is_plain());
        while later.front().is_some_and(|(epoch, _)| *epoch <= self.epoch) {
            config = later.pop_front().expect("it is there").1;
        }
        self.slots.push(Slot {
            pool: Pool::default(),
            meter: Meter::default(),
            levels: Levels::default(),
            function: function.unwrap_or(FunctionId(id)),
        });
        self.tallies.push(Tally {
            memory_mb: config.memory_mb(0),
            fixed_memory: config.memory_mb.is_some(),
            ..Tally::default()
        });
        self.rares.push(Rare::new(&config));
        self.records.push(Record {
            name,
            config,
            later,
            seen: false,
            closed: Closed::default(),
            bills: Bills::default(),
            window: RequestWindow::default(),
            bucket: ScalingBucket::default(),
            coupled: CoupledUnits::default(),
            service: None,
            sender: None,
            provisioned_alive: 0,
            careful: CarefulTotals::default(),
        });
        if !plain {
            self.take_care();
        }
        if self.careful {
            self.find_service(FunctionId(id));
        }
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
        let answer = checked.and_then(|checked| {
            self.check_sources(batch)?;
            self.replay(batch, &checked, sink);
            Ok(())
        });
        self.scratch = scratch;
        answer
    }

    /// Replays rows that have been checked.
    fn replay<S: Sink>(&mut self, batch: &Batch<'_>, checked: &Checked<'_>, sink: &mut S) {
        let Some((first, last)) = batch.timestamps.first().zip(batch.timestamps.last()) else {
            return;
        };
        if batch.extras.is_some() || sink.wants_attempts() {
            self.take_care();
        }
        self.memory_of_rows |= batch.memory.is_some();
        self.origin.get_or_insert(Micros(*first));
        if self.first_arrival.is_none() && !self.careful {
            self.begin(Micros(*first), sink);
        }
        let columns = Columns { batch, checked, first: self.rows_fed };
        let mut start = 0;
        let rated = self.limits.is_rated();
        while !self.careful && start < batch.len() {
            start = if rated {
                self.replay_stretch::<S, true>(start, columns, sink)
            } else {
                self.replay_stretch::<S, false>(start, columns, sink)
            };
        }
        self.arrive_all_carefully(start, columns, sink);
        self.last_arrival = Micros(*last);
        self.rows_fed += batch.len() as u64;
    }

    /// The first row that takes part is at hand.
    pub(super) fn begin<S: Sink>(&mut self, first: Micros, sink: &mut S) {
        self.first_arrival = Some(first);
        let changes = self.account.epochs.iter().filter_map(|epoch| epoch.at);
        let begin = changes.clone().chain([first]).min().unwrap_or(first);
        self.calendar = Calendar::starting_at(begin);
        for (epoch, at) in (1..).zip(changes) {
            self.calendar.push(at, order_of_change(epoch), Event::Change { epoch });
        }
        for number in 0..u32::try_from(self.records.len()).expect("fewer than 2^32") {
            let id = FunctionId(number);
            if self.careful && self.slots[id.index()].function == id {
                self.configure(id, begin, true);
            }
        }
        // What changes at the very beginning has never been otherwise.
        self.run_due(begin, ARRIVALS, sink);
        self.open_sources(first, sink);
    }

    /// Replays rows from `start` on that lie in one minute; where the next ones begin. `RATED` says
    /// whether the account has limits of rates besides that of concurrency.
    fn replay_stretch<S: Sink, const RATED: bool>(
        &mut self,
        start: usize,
        columns: Columns<'_>,
        sink: &mut S,
    ) -> usize {
        let Columns { batch, checked, .. } = columns;
        let timestamp = batch.timestamps[start];
        if self.minute_end.0 <= timestamp {
            self.run_to(Micros(timestamp), ARRIVALS, sink);
        }
        // A stretch lies in one minute, so that its runs do.
        let longest = (start + STRETCH).min(batch.len());
        let minute_end = self.minute_end.0;
        let within = batch.timestamps[start..longest].partition_point(|at| *at < minute_end);
        let places = start..start + within;
        let timestamps = batch.timestamps[places.clone()].iter();
        let functions = &batch.functions[places.clone()];
        let durations = &checked.durations[places.clone()];
        let rows = places.clone().zip(timestamps.zip(functions).zip(durations));
        for (place, ((timestamp, function), duration)) in rows {
            let (now, id, duration) =
                (Micros(*timestamp), FunctionId(*function), Micros(*duration));
            if self.calendar.bound() <= now {
                self.run_due(now, ARRIVALS, sink);
            }
            let number = self.rows_fed + place as u64;
            let arrival = Arrival { now, id, duration, place, number };
            if !self.arrive::<S, RATED>(arrival, columns, sink) {
                // The row asks for more than the plain pool has, and so do those after it.
                let done = place - start;
                self.tally(start, &functions[..done], &durations[..done], columns);
                self.arrivals = number;
                self.take_care();
                return place;
            }
        }
        self.tally(start, functions, durations, columns);
        places.end
    }

    /// Goes the careful way from now on.
    pub(super) fn take_care(&mut self) {
        if self.careful {
            return;
        }
        self.careful = true;
        self.region.level_out();
        self.arrivals = self.arrivals.max(self.rows_fed);
        for function in self.touched.clone() {
            self.bill_open_minute(function);
        }
        for number in 0..u32::try_from(self.slots.len()).expect("fewer than 2^32") {
            self.find_service(FunctionId(number));
        }
    }

    /// Adds up what the runs of a stretch of a batch are known to be from their rows.
    ///
    /// Histograms do not fit into a cache. Counted together, their misses overlap instead of each
    /// holding up the event loop.
    fn tally(&mut self, first: usize, functions: &[u32], durations: &[i64], columns: Columns<'_>) {
        let memory = columns.batch.memory.map(|memory| &memory[first..]);
        // A division by a constant is a multiplication: the two units of the eras are worth that.
        match (self.account.billing_unit, memory) {
            (Micros(1_000), None) => {
                self.tally_in(Micros(1_000), first, functions, durations, None);
            }
            (Micros(1_000), memory) => {
                self.tally_in(Micros(1_000), first, functions, durations, memory);
            }
            (unit, memory) => self.tally_in(unit, first, functions, durations, memory),
        }
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // So that the unit is a constant in each.
    fn tally_in(
        &mut self,
        unit: Micros,
        first: usize,
        functions: &[u32],
        durations: &[i64],
        memory: Option<&[u32]>,
    ) {
        let mut start = 0;
        let apart = self.apart.drain(..).map(|place| place - first);
        let (tallies, slots, qualified) = (&mut self.tallies, &self.slots, self.qualified);
        for end in apart.chain(std::iter::once(functions.len())) {
            let runs = functions[start..end].iter().zip(&durations[start..end]);
            if let Some(memory) = memory {
                for ((function, duration), memory) in runs.zip(&memory[start..end]) {
                    let (tally, billed) =
                        tally_run(tallies, slots, qualified, *function, *duration, unit);
                    let own = tally.fixed_memory || *memory == 0;
                    let mb = if own { tally.memory_mb } else { *memory };
                    tally.runs.bill_memory(billed * u64::from(mb));
                }
            } else {
                for (function, duration) in runs {
                    tally_run(tallies, slots, qualified, *function, *duration, unit);
                }
            }
            start = end + 1;
        }
    }

    /// Everything due before `now`, and what is due at `now` and below `below` in its order.
    pub(super) fn run_to<S: Sink>(&mut self, now: Micros, below: u64, sink: &mut S) {
        loop {
            if now < self.minute_end {
                self.run_due(now, below, sink);
                return;
            }
            // Ends and timers at the first instant of a minute come before the minute opens.
            self.run_due(self.minute_end, ARRIVALS.min(below), sink);
            // Nothing happens before the next event, if it comes before `now`. What happens at the
            // first instant of a minute finds the minute before it open.
            let next = now.min(self.calendar.bound());
            self.turn(Micros(next.0 - 1).max(self.minute_end));
        }
    }

    /// The same within the open minute.
    fn run_due<S: Sink>(&mut self, now: Micros, below: u64, sink: &mut S) {
        if self.careful {
            self.run_due_carefully(now, below, sink);
            return;
        }
        // In the plain pool nothing at one instant comes after its arrivals.
        while let Some((at, event)) = self.calendar.pop_due(now) {
            if let Event::Release { function, environment } = event {
                self.release(at, function, environment);
            } else if let Event::PoolTimer { function } = event {
                self.pool_timer(at, function);
            }
        }
    }

    #[inline(never)]
    fn run_due_carefully<S: Sink>(&mut self, now: Micros, below: u64, sink: &mut S) {
        while let Some((at, event)) = self.calendar.pop_before(now, below) {
            if self.gauge_at.is_some_and(|before| at > before || event.comes_after_ends()) {
                self.read_gauges();
            }
            match event {
                Event::Release { function, environment } => {
                    self.release_carefully(at, function, environment);
                }
                Event::PoolTimer { function } => self.pool_timer(at, function),
                other => self.happen(at, other, sink),
            }
        }
    }

    /// Opens the minute of `now` for the Region; functions follow when they are touched.
    #[cold]
    fn turn(&mut self, now: Micros) {
        self.read_gauges();
        let (minute, levels) = (Minute::of(now), self.region_levels());
        if !self.careful {
            self.region.level_out();
        }
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
    pub(super) fn region_levels(&self) -> Levels {
        Levels {
            busy: self.ledger.in_flight(),
            alive: self.environments.alive() as u32,
            provisioned: self.provisioned_busy,
            unreserved: self.ledger.unreserved_in_flight(),
            claimed: self.ledger.claimed_total() as u32,
        }
    }

    /// The meter of a function about to change, brought to the present minute.
    #[inline(always)]
    #[allow(clippy::inline_always)] // Every release comes through here: 10 instructions of a call.
    pub(super) fn touch(&mut self, function: FunctionId) -> &mut Slot {
        if self.slots[function.index()].meter.minute() != self.region.minute() {
            self.turn_function(function);
        }
        &mut self.slots[function.index()]
    }

    /// Opens the present minute for a function.
    #[cold]
    fn turn_function(&mut self, function: FunctionId) {
        if !self.careful {
            self.bill_open_minute(function);
        }
        let (slot, minute) = (&mut self.slots[function.index()], self.region.minute());
        let closed = &mut self.records[function.index()].closed;
        let (runs, id) = (&mut self.tallies[function.index()].runs, Some(function));
        slot.meter.turn(minute, slot.levels, runs, id, closed, &mut self.minutes);
        self.touched.push(function);
    }

    /// Bills the runs of a function's open minute, all of the plain pool (Z42: by its month).
    fn bill_open_minute(&mut self, function: FunctionId) {
        let runs = self.tallies[function.index()].runs;
        if runs.count() == 0 {
            return;
        }
        let minute = self.slots[function.index()].meter.minute().start();
        let Record { config, bills, .. } = &mut self.records[function.index()];
        let bill = bills.of(month_of(minute), config.arm, false, false);
        bill.requests += runs.count();
        bill.mb_ms += if self.memory_of_rows {
            runs.mb_ms()
        } else {
            runs.billed_ms() * u64::from(config.memory_mb(0))
        };
        bill.storage_mb_ms += runs.billed_ms() * storage_mb(config);
    }

    /// Lets a request of the plain pool in or refuses it; false, with nothing done, where it needs
    /// more than that.
    #[inline]
    fn arrive<S: Sink, const RATED: bool>(
        &mut self,
        arrival: Arrival,
        columns: Columns<'_>,
        sink: &mut S,
    ) -> bool {
        let Arrival { now, id, .. } = arrival;
        let function = self.slots[id.index()].function;
        if RATED && let Err(refusal) = self.check_rates(function, None, now) {
            self.throttle(arrival, function, refusal, columns, sink);
            return true;
        }
        let in_flight = self.ledger.in_flight();
        if let Claim::Throttled(refusal) = self.ledger.claim(function, false) {
            self.throttle(arrival, function, refusal, columns, sink);
            return true;
        }
        if RATED {
            match self.admit_at_rates(arrival, function, columns) {
                Some(Ok(())) => {}
                Some(Err(refusal)) => {
                    self.ledger.release(function);
                    self.throttle(arrival, function, refusal, columns, sink);
                    return true;
                }
                None => {
                    self.ledger.release(function);
                    return false;
                }
            }
        }
        let start = match self.slots[id.index()].pool.reuse() {
            Some(environment) => Start { environment, init: None },
            None => match self.start_cold(arrival, function, columns) {
                Some(start) => start,
                None => return false,
            },
        };
        let metered = self.touch(function);
        metered.meter.accept(now, metered.levels.busy);
        metered.levels.busy += 1;
        self.run(arrival, in_flight, start, columns, sink);
        true
    }

    /// Takes the token that a new environment needs, or a warm start above ten requests a second
    /// per unit, and counts the request (F1.5); nothing, and nothing is done, where its init runs
    /// into a limit.
    #[inline]
    fn admit_at_rates(
        &mut self,
        arrival: Arrival,
        function: FunctionId,
        columns: Columns<'_>,
    ) -> Option<Result<(), Refusal>> {
        let now = arrival.now;
        let warm = self.slots[arrival.id.index()].pool.has_idle();
        if !warm {
            let rare = &self.rares[function.index()];
            let init = columns.checked.init(arrival.place).unwrap_or(rare.init);
            if init > rare.init_timeout {
                return None;
            }
        }
        let coupled = warm && self.is_coupled(function, now);
        if (coupled || !warm)
            && let Err(refusal) = self.take_token(function, None, coupled, now)
        {
            return Some(Err(refusal));
        }
        if let Some(rate) = self.limits.requests_per_second {
            self.account_window.take(now, rate, self.account.rate_shape);
        }
        self.records[function.index()].coupled.admitted(now);
        Some(Ok(()))
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
            let draw = columns.draw(arrival.place);
            self.environments.get_mut(environment).idle_for =
                self.luck.uniform(Purpose::Idle, draw, span);
        }
        self.region.accept(now, in_flight);
        let end = now + init.unwrap_or(Micros::ZERO) + duration;
        let event = Event::Release { function: id, environment };
        self.calendar.push(end, order_of_end(number, FIRST_ATTEMPT), event);
        if S::WANTED {
            let run = Run {
                start: now,
                end: Some(end),
                init: init.unwrap_or(Micros::ZERO),
                cold: init.is_some(),
                provisioned: false,
                spillover: None,
                environment: self.environments.get(environment).number,
                invocation: self.runs_started,
                lock_wait: Micros::ZERO,
                billed_ms: self.billed(self.slots[id.index()].function, duration, init),
            };
            sink.outcome(&columns.outcome(arrival, None, Some(run)));
        }
        self.runs_started += 1;
    }

    /// Billed time of a run that waits for an init, or for none, ms.
    fn billed(&self, function: FunctionId, duration: Micros, init: Option<Micros>) -> u64 {
        let billed = self.rares[function.index()].init_billed;
        let init = init.filter(|_| billed).unwrap_or(Micros::ZERO);
        billed_ms(duration + init, self.account.billing_unit)
    }

    /// Creates an environment for a request that found none idle. Nothing, and nothing is done,
    /// where its init runs into a limit (Z12).
    #[cold]
    fn start_cold(
        &mut self,
        arrival: Arrival,
        function: FunctionId,
        columns: Columns<'_>,
    ) -> Option<Start> {
        let Arrival { now, id, duration, place, .. } = arrival;
        let rare = &mut self.rares[function.index()];
        let init = columns.checked.init(place).unwrap_or(rare.init);
        if init > rare.init_timeout {
            self.ledger.release(function);
            return None;
        }
        rare.init_sum = rare.init_sum.plus(init);
        rare.created += 1;
        let more =
            self.billed(function, duration, Some(init)) - self.billed(function, duration, None);
        let retires_at = self.account.max_lifetime.map_or(Micros::MAX, |span| {
            // Counted from the start of its init, drawn by the row that creates it (Z5).
            now + self.luck.uniform(Purpose::Lifetime, columns.draw(place), span)
        });
        let environment = self.environments.create(id.0, retires_at);
        let metered = self.touch(function);
        metered.levels.alive += 1;
        metered.meter.cold_start(metered.levels.alive);
        let runs = &mut self.tallies[function.index()].runs;
        runs.bill(more);
        if let Some(memory) = columns.batch.memory {
            let memory = self.records[function.index()].config.memory_mb(memory[place]);
            runs.bill_memory(more * u64::from(memory));
        }
        let alive = self.region_levels().alive;
        self.region.cold_start(alive);
        Some(Start { environment, init: Some(init) })
    }

    #[cold]
    fn throttle<S: Sink>(
        &mut self,
        arrival: Arrival,
        function: FunctionId,
        refusal: Refusal,
        columns: Columns<'_>,
        sink: &mut S,
    ) {
        self.count_throttle(arrival.now, function, refusal.limit);
        self.apart.push(arrival.place);
        if S::WANTED {
            sink.outcome(&columns.outcome(arrival, Some(refusal), None));
        }
    }

    /// Counts a 429.
    pub(super) fn count_throttle(&mut self, now: Micros, function: FunctionId, limit: Limit) {
        self.touch(function).meter.throttle();
        let rare = &mut self.rares[function.index()];
        rare.throttles_by_limit[limit as usize] += 1;
        rare.worst.record(now);
        self.region.throttle();
        self.region_worst.record(now);
        if self.blame.is_some() {
            self.note_blame(now, function, limit);
        }
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // One caller, and every run comes through here.
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
        if released != Released::Idle {
            self.released(id, released);
        }
        self.last_release = now;
    }

    /// What became of an on-demand environment whose run has ended.
    #[cold]
    pub(super) fn released(&mut self, id: FunctionId, released: Released) {
        match released {
            Released::Idle => {}
            Released::Retired => {
                let function = self.slots[id.index()].function;
                self.touch(function).levels.alive -= 1;
            }
            Released::IdleUntil(at) => {
                self.calendar.push(at, order_of_timer(id), Event::PoolTimer { function: id });
            }
        }
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

    /// Replays to the last release, or to the end of the replay. Nothing can be fed afterwards.
    pub fn finish<S: Sink>(&mut self, sink: &mut S) {
        if let Some(until) = self.account.until {
            if self.first_arrival.is_some() {
                self.stop(until, sink);
            }
        } else {
            // Step by step, since timers after the last release no longer matter.
            while self.is_busy() {
                self.run_to(self.calendar.bound(), u64::MAX, sink);
            }
            self.finish_sources(None, sink);
        }
        let Some(end) = self.extent().last_release else { return };
        if !self.careful {
            for function in self.touched.clone() {
                self.bill_open_minute(function);
            }
            self.region.level_out();
        }
        // Where the end was set, its own instant is not part of the replay.
        let end = if self.account.until.is_some() { Micros(end.0 - 1) } else { end };
        // What has changed at the last instant is still to be read.
        if self.gauge_at.is_some_and(|at| at <= end) {
            self.read_gauges();
        }
        let levels = self.region_levels();
        let (mut runs, closed) = (self.region_runs(), &mut self.region_closed);
        self.region.finish(end, levels, &mut runs, None, closed, &mut self.minutes);
        let kept = self.records.iter_mut().zip(&mut self.tallies);
        for (number, (slot, (record, tally))) in (0..).zip(self.slots.iter_mut().zip(kept)) {
            let (runs, id, closed) = (&mut tally.runs, FunctionId(number), &mut record.closed);
            slot.meter.finish(end, slot.levels, runs, Some(id), closed, &mut self.minutes);
        }
    }

    /// Whether anything is left to do but to wait for timers.
    fn is_busy(&self) -> bool {
        let epochs = self.account.epochs.len() - 1 - self.epoch as usize;
        self.ledger.in_flight() > 0
            || !self.parking.is_empty()
            || self.marks > 0
            || self.sources.is_busy(epochs)
    }

    /// First and last instants, and the rows fed.
    pub fn extent(&self) -> Extent {
        let seen = self.first_arrival.is_some();
        let released = self.last_release.max(self.first_arrival.unwrap_or(Micros::MIN));
        Extent {
            first: self.first_arrival,
            last: seen.then_some(self.last_arrival),
            last_release: seen.then_some(self.account.until.unwrap_or(released)),
            rows: self.rows_fed,
        }
    }

    /// Takes the rows of minutes closed since the last time, if they are many or if `all` are
    /// wanted.
    pub fn take_minutes(&mut self, all: bool) -> Vec<MinuteRow> {
        if all || self.minutes.waiting() >= MUCH { self.minutes.take() } else { Vec::new() }
    }

    /// Takes what was counted beyond these, if it is much or if `all` is wanted.
    pub fn take_extras(&mut self, all: bool) -> Vec<ExtraRow> {
        if all || self.extras.len() >= MUCH { self.extras.take() } else { Vec::new() }
    }

    /// How many functions are registered.
    pub fn functions(&self) -> usize {
        self.slots.len()
    }

    /// Totals of one function. Complete once the replay is finished.
    pub fn function_totals(&self, id: FunctionId) -> Totals {
        let (rare, record) = (&self.rares[id.index()], &self.records[id.index()]);
        let mut totals = Totals {
            counts: record.closed.counts,
            throttles_by_limit: rare.throttles_by_limit.to_vec(),
            environments_created: rare.created,
            time_at: self.slots[id.index()].meter.time_at(self.span()),
            max_concurrency: record.closed.max_busy,
            durations: self.tallies[id.index()].durations.clone(),
            init_sum: rare.init_sum,
            worst_10s: rare.worst.worst(),
            ..Totals::default()
        };
        Self::add_careful(&mut totals, record);
        totals
    }

    /// Adds what went the careful way, and what all else in the plain pool means in its terms.
    fn add_careful(totals: &mut Totals, record: &Record) {
        let careful = &record.careful;
        let plain_runs = record.closed.counts.invocations - careful.invocations;
        let plain_throttles = record.closed.counts.throttles - careful.throttles;
        for (sum, more) in totals.outcomes.iter_mut().zip(careful.outcomes) {
            *sum += more;
        }
        totals.outcomes[OutcomeKind::Success as usize] += plain_runs;
        totals.outcomes[OutcomeKind::Throttled as usize] += plain_throttles;
        totals.never_ran += careful.never_ran + plain_throttles;
        totals.errors += careful.errors;
        totals.conflicts += careful.conflicts;
        totals.lock_wait += careful.lock_wait;
        totals.provisioned += careful.provisioned;
        for (sum, more) in totals.spillover.iter_mut().zip(careful.spillover) {
            *sum += more;
        }
        for (sum, more) in totals.drops.iter_mut().zip(careful.drops) {
            *sum += more;
        }
        totals.deliveries += careful.deliveries;
        totals.async_errors += careful.async_errors;
        totals.waits.merge(&careful.waits);
        // A synchronous request of the plain pool that runs starts when it arrives.
        totals.waits.histogram.record_times(Micros::ZERO, plain_runs);
        totals.ages.merge(&careful.ages);
        totals.iterator_ages.merge(&careful.iterator_ages);
    }

    /// Totals of all functions together. Complete once the replay is finished.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            counts: self.region_closed.counts,
            throttles_by_limit: vec![0; Limit::ALL.len()],
            environments_created: self.rares.iter().map(|rare| rare.created).sum(),
            time_at: self.region.time_at(self.span()),
            max_concurrency: self.region_closed.max_busy,
            worst_10s: self.region_worst.worst(),
            ..Totals::default()
        };
        for (rare, (record, tally)) in self.rares.iter().zip(self.records.iter().zip(&self.tallies))
        {
            totals.durations.merge(&tally.durations);
            totals.init_sum = totals.init_sum.plus(rare.init_sum);
            for (sum, more) in totals.throttles_by_limit.iter_mut().zip(rare.throttles_by_limit) {
                *sum += more;
            }
            Self::add_careful(&mut totals, record);
        }
        totals
    }

    /// Bills of one function.
    pub fn bills(&self, id: FunctionId) -> &Bills {
        &self.records[id.index()].bills
    }

    /// From the first arrival to the last release (Z47).
    fn span(&self) -> Micros {
        let extent = self.extent();
        match (extent.first, extent.last_release) {
            (Some(first), Some(end)) if end > first => end - first,
            _ => Micros::ZERO,
        }
    }
}

/// Ephemeral storage that is charged, MB (F7).
pub(super) fn storage_mb(config: &FunctionConfig) -> u64 {
    u64::from(config.ephemeral_mb.saturating_sub(512))
}

/// Adds up one run; its tally, and its billed time.
#[inline(always)]
#[allow(clippy::inline_always)] // So that the unit is a constant.
fn tally_run<'a>(
    tallies: &'a mut [Tally],
    slots: &[Slot],
    qualified: bool,
    id: u32,
    duration: i64,
    unit: Micros,
) -> (&'a mut Tally, u64) {
    // Without qualifiers a name is its own function: nothing to look up.
    let function = if qualified { slots[id as usize].function } else { FunctionId(id) };
    let tally = &mut tallies[function.index()];
    let duration = Micros(duration);
    let billed = billed_ms(duration, unit);
    tally.runs.run(duration, billed);
    tally.durations.record(duration);
    (tally, billed)
}

impl Columns<'_> {
    /// Position in the trace as given.
    pub(super) fn row(&self, place: usize) -> u64 {
        self.batch.rows.map_or(self.first + place as u64, |rows| rows[place])
    }

    /// What the batch says, else the position in the trace as given (Q34).
    pub(super) fn identity(&self, place: usize) -> Identity {
        match self.batch.identities {
            Some(identities) => identities.identity(place),
            None => Identity::ordinal(self.row(place)),
        }
    }

    /// Whose luck a draw about the first attempt of a row is.
    fn draw(&self, place: usize) -> Draw {
        Draw { who: self.identity(place), copy: 0, attempt: FIRST_ATTEMPT }
    }

    /// The function's code in the trace.
    pub(super) fn shown(&self, place: usize) -> u32 {
        self.batch.codes.map_or(self.batch.functions[place], |codes| codes[place])
    }

    fn outcome(&self, arrival: Arrival, refusal: Option<Refusal>, run: Option<Run>) -> Outcome {
        let refused = refusal.is_some();
        Outcome {
            row: self.row(arrival.place),
            copy: 0,
            timestamp: arrival.now,
            shown: self.shown(arrival.place),
            source: Source::Sync,
            kind: if refused { OutcomeKind::Throttled } else { OutcomeKind::Success },
            reason: refusal.map(|refusal| refusal.reason.into()),
            limit: refusal.map(|refusal| refusal.limit),
            attempts: 1,
            throttles: u32::from(refused),
            errors: 0,
            conflicts: 0,
            settled: run.map_or(Some(arrival.now), |run| run.end),
            run,
        }
    }
}
