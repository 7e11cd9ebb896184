//! Counts and gauges per minute, in `CloudWatch`'s sense, and their totals.
//!
//! Owns the stamping rules (Z44, Z45): a run counts in the minute of its start, a throttle in its
//! own, and a gauge is the highest value at any instant of the minute, with runs carried over
//! counted. A minute is closed when its owner is next touched, so that idle functions cost nothing.

use std::collections::VecDeque;

use crate::histogram::Histogram;
use crate::ids::FunctionId;
use crate::meters::Distribution;
use crate::outcome::{OutcomeKind, Reason, Spillover};
use crate::time::Micros;

/// What one function, or the whole Region, did in one minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinuteRow {
    /// Whose minute it was; nothing for the Region.
    pub function: Option<FunctionId>,
    /// Start of the minute.
    pub minute: Micros,
    /// What was counted.
    pub counts: Counts,
    /// Highest number of requests in flight.
    pub concurrency: u32,
    /// Highest number of execution environments alive.
    pub environments: u32,
    /// Highest number of provisioned environments that are busy.
    pub provisioned: u32,
    /// Highest number of requests in flight on unreserved units; of the Region.
    pub unreserved: u32,
    /// Highest claimed concurrency; of the Region, 0 where nothing is set apart.
    pub claimed: u32,
}

/// Rows of closed minutes, until somebody takes them.
#[derive(Debug, Default)]
pub struct MinuteRows {
    rows: Vec<MinuteRow>,
    functions: bool,
}

impl MinuteRows {
    /// Keeps the rows of the Region, and those of functions where `functions` says so.
    pub const fn new(functions: bool) -> Self {
        Self { rows: Vec::new(), functions }
    }

    fn push(&mut self, row: MinuteRow) {
        if self.functions || row.function.is_none() {
            self.rows.push(row);
        }
    }

    /// How many rows wait to be taken.
    pub const fn waiting(&self) -> usize {
        self.rows.len()
    }

    /// Takes what has been closed since the last time, in the order of closing.
    pub fn take(&mut self) -> Vec<MinuteRow> {
        std::mem::take(&mut self.rows)
    }
}

/// Counts over a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Runs.
    pub invocations: u64,
    /// 429s.
    pub throttles: u64,
    /// Runs that waited for an init.
    pub cold_starts: u64,
    /// Sum of `Duration` (F6: without the init of a cold start).
    pub duration_sum: Micros,
    /// Longest `Duration`.
    pub duration_max: Micros,
    /// Billed time of the runs.
    pub billed_ms: u64,
    /// Billed time of the runs times their memory, MB ms; 0 where the memory is the function's.
    pub mb_ms: u64,
}

/// How many requests are in flight and environments alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// Requests in flight.
    pub busy: u32,
    /// Environments, busy or idle.
    pub alive: u32,
    /// Provisioned environments that are busy.
    pub provisioned: u32,
    /// Requests in flight on unreserved units; of the Region.
    pub unreserved: u32,
    /// Claimed concurrency; of the Region.
    pub claimed: u32,
}

impl Levels {
    /// The higher of each.
    fn peak(&mut self, other: Self) {
        self.busy = self.busy.max(other.busy);
        self.alive = self.alive.max(other.alive);
        self.provisioned = self.provisioned.max(other.provisioned);
        self.unreserved = self.unreserved.max(other.unreserved);
        self.claimed = self.claimed.max(other.claimed);
    }
}

/// A UTC minute, by its number since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Minute(i64);

impl Minute {
    /// Before every minute of a trace: nothing is open.
    pub const NONE: Self = Self(i64::MIN);

    /// The minute that holds an instant.
    pub const fn of(at: Micros) -> Self {
        Self(at.0.div_euclid(Micros::MINUTE.0))
    }

    /// Its first instant.
    pub const fn start(self) -> Micros {
        Micros(self.0 * Micros::MINUTE.0)
    }

    /// The first instant after it.
    pub const fn end(self) -> Micros {
        Micros((self.0 + 1) * Micros::MINUTE.0)
    }
}

/// Meter of one function or of the Region: what every event touches, and little of it.
///
/// The caller moves it to the minute of an event before the event ([`Self::turn`]); ends and timers
/// at the first instant of a minute still belong to the minute before, so that what stands when a
/// minute opens is what its first instant sees (Z45).
#[derive(Debug)]
pub struct Meter {
    minute: Minute,
    peak: Levels,
    // Counts of the open minute, narrower than those of the whole replay.
    throttles: u32,
    cold_starts: u32,
    /// Whether something is counted elsewhere that gives the open minute a row.
    marked: bool,
    /// Time spent with more than so many requests in flight, by that number: each accepted request
    /// subtracts its instant, each release adds it. Exact modulo 2^64, and so are the times.
    above: Box<[u64]>,
}

/// Runs of one function, or of the Region, in the open minute.
///
/// They are told apart from the rest of a meter because they need no event loop: what a run adds
/// is known from its row, so runs are added up a stretch of rows at a time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Runs {
    count: u64,
    duration_sum: Micros,
    duration_max: Micros,
    billed_ms: u64,
    mb_ms: u64,
}

impl Runs {
    /// Runs counted.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Their billed time.
    pub const fn billed_ms(&self) -> u64 {
        self.billed_ms
    }

    /// Their billed time times memory, where that was counted.
    pub const fn mb_ms(&self) -> u64 {
        self.mb_ms
    }

    /// Counts billed time times memory.
    #[inline]
    pub fn bill_memory(&mut self, mb_ms: u64) {
        self.mb_ms += mb_ms;
    }

    /// Counts a run.
    #[inline]
    pub fn run(&mut self, duration: Micros, billed_ms: u64) {
        self.count += 1;
        self.duration_sum = self.duration_sum.plus(duration);
        if duration > self.duration_max {
            self.duration_max = duration;
        }
        self.billed_ms += billed_ms;
    }

    /// Counts what the init of a cold start adds to the billed time of a run.
    pub fn bill(&mut self, more_ms: u64) {
        self.billed_ms += more_ms;
    }

    /// Adds the runs of another.
    pub fn add(&mut self, more: Self) {
        self.count += more.count;
        self.duration_sum = self.duration_sum.plus(more.duration_sum);
        self.duration_max = self.duration_max.max(more.duration_max);
        self.billed_ms += more.billed_ms;
        self.mb_ms += more.mb_ms;
    }
}

/// What a meter has seen in closed minutes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Closed {
    /// What was counted.
    pub counts: Counts,
    /// Highest number of requests in flight.
    pub max_busy: u32,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            minute: Minute::NONE,
            peak: Levels::default(),
            throttles: 0,
            cold_starts: 0,
            marked: false,
            above: vec![0; 2].into_boxed_slice(),
        }
    }
}

impl Meter {
    /// The open minute.
    #[inline]
    pub const fn minute(&self) -> Minute {
        self.minute
    }

    /// Counts a request that is accepted while `busy` others are in flight.
    #[inline]
    #[allow(clippy::cast_sign_loss)] // Modulo 2^64.
    pub fn accept(&mut self, now: Micros, busy: u32) {
        match self.above.get_mut(busy as usize) {
            Some(above) => *above = above.wrapping_sub(now.0 as u64),
            None => self.grow(now, busy),
        }
        self.peak.busy = self.peak.busy.max(busy + 1);
    }

    #[cold]
    #[allow(clippy::cast_sign_loss)] // Modulo 2^64.
    fn grow(&mut self, now: Micros, busy: u32) {
        let mut above = std::mem::take(&mut self.above).into_vec();
        above.resize((busy as usize + 1).next_power_of_two(), 0);
        above[busy as usize] = (now.0 as u64).wrapping_neg();
        self.above = above.into_boxed_slice();
    }

    /// Counts a release that leaves `busy` requests in flight.
    #[inline]
    #[allow(clippy::cast_sign_loss)] // Modulo 2^64.
    pub fn release(&mut self, now: Micros, busy: u32) {
        let above = &mut self.above[busy as usize];
        *above = above.wrapping_add(now.0 as u64);
    }

    /// Nothing is set apart: all that is in flight is unreserved, and claimed.
    pub fn level_out(&mut self) {
        self.peak.unreserved = self.peak.busy;
        self.peak.claimed = self.peak.busy;
    }

    /// The open minute has a row whatever happens in it.
    pub fn mark(&mut self) {
        self.marked = true;
    }

    /// Counts the init that a run waits for.
    pub fn cold(&mut self) {
        self.cold_starts += 1;
    }

    /// Notes how things stand after a start or a change.
    pub fn gauge(&mut self, levels: Levels) {
        self.peak.peak(levels);
    }

    /// Counts a cold start, which makes `alive` environments.
    pub fn cold_start(&mut self, alive: u32) {
        self.cold_starts += 1;
        self.peak.alive = self.peak.alive.max(alive);
    }

    /// Counts a 429.
    pub fn throttle(&mut self) {
        self.throttles = self.throttles.checked_add(1).expect("fewer requests in a minute");
    }

    /// Closes the open minute, whose runs are taken out of `runs`, and opens `minute`; `levels`
    /// have stood since the last event.
    #[cold]
    pub fn turn(
        &mut self,
        minute: Minute,
        levels: Levels,
        runs: &mut Runs,
        function: Option<FunctionId>,
        closed: &mut Closed,
        rows: &mut MinuteRows,
    ) {
        assert!(minute >= self.minute, "time does not go back");
        if self.minute > Minute::NONE {
            self.close(runs, function, closed, rows);
            if levels.busy > 0 {
                // A minute in which something only runs on has a row.
                for between in self.minute.0 + 1..minute.0 {
                    rows.push(row(function, Minute(between), Counts::default(), levels));
                }
            }
        }
        self.minute = minute;
        self.peak = levels;
    }

    /// Closes the open minute.
    fn close(
        &mut self,
        runs: &mut Runs,
        function: Option<FunctionId>,
        closed: &mut Closed,
        rows: &mut MinuteRows,
    ) {
        let Runs { count, duration_sum, duration_max, billed_ms, mb_ms } = std::mem::take(runs);
        let counts = Counts {
            invocations: count,
            throttles: u64::from(std::mem::take(&mut self.throttles)),
            cold_starts: u64::from(std::mem::take(&mut self.cold_starts)),
            duration_sum,
            duration_max,
            billed_ms,
            mb_ms,
        };
        // One with idle environments alone has none.
        let marked = std::mem::take(&mut self.marked);
        if marked || counts.invocations + counts.throttles > 0 || self.peak.busy > 0 {
            rows.push(row(function, self.minute, counts, self.peak));
        }
        let total = &mut closed.counts;
        total.invocations += counts.invocations;
        total.throttles += counts.throttles;
        total.cold_starts += counts.cold_starts;
        total.duration_sum = total.duration_sum.plus(counts.duration_sum);
        total.duration_max = total.duration_max.max(counts.duration_max);
        total.billed_ms += counts.billed_ms;
        total.mb_ms += counts.mb_ms;
        closed.max_busy = closed.max_busy.max(self.peak.busy);
    }

    /// Closes everything at `end`, the last release of the replay.
    pub fn finish(
        &mut self,
        end: Micros,
        levels: Levels,
        runs: &mut Runs,
        function: Option<FunctionId>,
        closed: &mut Closed,
        rows: &mut MinuteRows,
    ) {
        if self.minute > Minute::NONE {
            if Minute::of(end) > self.minute {
                self.turn(Minute::of(end), levels, runs, function, closed, rows);
            }
            self.close(runs, function, closed, rows);
        }
    }

    /// Time with so many requests in flight within a span of the replay, by their number (µs).
    /// Complete after [`Self::finish`]; what the meter did not see was at zero.
    #[allow(clippy::cast_sign_loss)] // Times and spans are not negative.
    pub fn time_at(&self, span: Micros) -> Vec<u64> {
        let at_least = std::iter::once(span.0 as u64).chain(self.above.iter().copied());
        let more = self.above.iter().copied().chain(std::iter::once(0));
        let mut times: Vec<u64> = at_least.zip(more).map(|(level, above)| level - above).collect();
        times.truncate(times.iter().rposition(|time| *time > 0).map_or(1, |last| last + 1));
        times
    }
}

const fn row(
    function: Option<FunctionId>,
    minute: Minute,
    counts: Counts,
    levels: Levels,
) -> MinuteRow {
    let Levels { busy: concurrency, alive: environments, provisioned, unreserved, claimed } =
        levels;
    let minute = minute.start();
    MinuteRow {
        function,
        minute,
        counts,
        concurrency,
        environments,
        provisioned,
        unreserved,
        claimed,
    }
}

/// The ten seconds with the most throttles.
///
/// Windows start on whole seconds (UTC). Among those with the most throttles it is the earliest,
/// and it starts in the second of its first throttle.
#[derive(Clone, Debug)]
pub struct WorstWindow {
    /// The second of the last throttle, and the throttles in it.
    second: i64,
    count: u64,
    /// The same for the seconds before it that are less than ten seconds older.
    recent: VecDeque<(i64, u64)>,
    /// Throttles in `recent`.
    sum: u64,
    worst: Option<(i64, u64)>,
}

impl Default for WorstWindow {
    fn default() -> Self {
        Self { second: i64::MIN, count: 0, recent: VecDeque::new(), sum: 0, worst: None }
    }
}

impl WorstWindow {
    const SECONDS: i64 = 10;

    /// Adds a throttle.
    #[inline]
    pub fn record(&mut self, now: Micros) {
        let second = now.0.div_euclid(Micros::SECOND.0);
        if second != self.second {
            self.open(second);
        }
        self.count += 1;
    }

    #[cold]
    fn open(&mut self, second: i64) {
        let (last, count) = (self.second, std::mem::take(&mut self.count));
        self.second = second;
        if count > 0 {
            self.recent.push_back((last, count));
            self.sum += count;
            self.close_before(second - Self::SECONDS + 1);
        }
    }

    /// Settles the windows that start before `second`.
    fn close_before(&mut self, second: i64) {
        while let Some((start, count)) =
            self.recent.front().copied().filter(|(start, _)| *start < second)
        {
            if self.worst.is_none_or(|(_, worst)| self.sum > worst) {
                self.worst = Some((start, self.sum));
            }
            self.sum -= count;
            self.recent.pop_front();
        }
    }

    /// Start of the worst window and its throttles; nothing where there were none.
    pub fn worst(&self) -> Option<(Micros, u64)> {
        let mut rest = self.clone();
        rest.open(i64::MAX);
        rest.worst.map(|(second, throttles)| (Micros(second * Micros::SECOND.0), throttles))
    }
}

/// Everything measured of one function, or of all together, over the whole replay.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// What was counted.
    pub counts: Counts,
    /// 429s by the limit that bound, by number of the limit.
    pub throttles_by_limit: Vec<u64>,
    /// Execution environments created.
    pub environments_created: u64,
    /// Time with so many requests in flight, by their number (µs), over the span of the replay.
    pub time_at: Vec<u64>,
    /// Highest number of requests in flight; one that ran for no time counts at its instant.
    pub max_concurrency: u32,
    /// `Duration` of the runs.
    pub durations: Histogram,
    /// Init paid by requests.
    pub init_sum: Micros,
    /// The ten seconds with the most throttles.
    pub worst_10s: Option<(Micros, u64)>,
    /// Rows by outcome.
    pub outcomes: [u64; OutcomeKind::COUNT],
    /// Rows given up without one run.
    pub never_ran: u64,
    /// Runs that ended in error.
    pub errors: u64,
    /// Times a run started over.
    pub conflicts: u64,
    /// Time spent waiting for records, µs.
    pub lock_wait: i128,
    /// Runs on provisioned environments.
    pub provisioned: u64,
    /// Runs on demand because none was free, by reason.
    pub spillover: [u64; Spillover::COUNTED.len()],
    /// Events dropped, by reason.
    pub drops: [u64; Reason::OF_DROPS.len()],
    /// Events delivered to a destination of failures.
    pub deliveries: u64,
    /// Asynchronous events whose last try failed.
    pub async_errors: u64,
    /// From the timestamp to the start of the last run.
    pub waits: Distribution,
    /// Age of asynchronous events at each attempt.
    pub ages: Distribution,
    /// Age of the last record of each batch of a stream.
    pub iterator_ages: Distribution,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = Micros::MINUTE.0;

    /// A meter driven by hand.
    #[derive(Default)]
    struct Bench {
        meter: Meter,
        runs: Runs,
        levels: Levels,
        closed: Closed,
        rows: MinuteRows,
    }

    impl Bench {
        fn turn_to(&mut self, now: i64) {
            let minute = Minute::of(Micros(now));
            if self.meter.minute() != minute {
                let (runs, closed) = (&mut self.runs, &mut self.closed);
                self.meter.turn(minute, self.levels, runs, None, closed, &mut self.rows);
            }
        }

        fn start(&mut self, now: i64, duration: i64) {
            self.turn_to(now);
            self.meter.accept(Micros(now), self.levels.busy);
            self.levels.busy += 1;
            self.runs.run(Micros(duration), 1);
        }

        /// Ends come before the minute of their instant opens.
        fn end(&mut self, now: i64) {
            self.turn_to(now - 1);
            self.levels.busy -= 1;
            self.meter.release(Micros(now), self.levels.busy);
        }

        /// (minute, invocations, highest concurrency) of every row.
        fn finish(&mut self, end: i64) -> Vec<(i64, u64, u32)> {
            let end = Micros(end);
            let (runs, closed) = (&mut self.runs, &mut self.closed);
            self.meter.finish(end, self.levels, runs, None, closed, &mut self.rows);
            let rows = self.rows.take();
            rows.iter()
                .map(|row| (row.minute.0 / MINUTE, row.counts.invocations, row.concurrency))
                .collect()
        }
    }

    #[test]
    fn z45_a_minute_in_which_something_only_runs_on_has_a_row() {
        let mut bench = Bench::default();
        bench.start(MINUTE - 1, 3 * MINUTE);
        bench.end(4 * MINUTE - 1);
        assert_eq!(bench.finish(4 * MINUTE - 1), [(0, 1, 1), (1, 0, 1), (2, 0, 1), (3, 0, 1)]);
    }

    #[test]
    fn z45_a_run_that_ends_at_the_first_instant_of_a_minute_is_not_in_it() {
        let mut bench = Bench::default();
        bench.start(0, MINUTE);
        bench.end(MINUTE);
        assert_eq!(bench.finish(MINUTE), [(0, 1, 1)]);
    }

    #[test]
    fn z55_a_run_of_length_zero_counts_at_its_instant() {
        let mut bench = Bench::default();
        bench.start(MINUTE, 0);
        bench.levels.busy -= 1;
        bench.meter.release(Micros(MINUTE), bench.levels.busy);
        assert_eq!(bench.finish(MINUTE), [(1, 1, 1)]);
        assert_eq!(bench.closed.max_busy, 1);
        assert_eq!(bench.meter.time_at(Micros::ZERO), [0]);
    }

    #[test]
    fn time_at_each_level_adds_up_to_the_span() {
        let mut bench = Bench::default();
        bench.start(10, 20);
        bench.start(15, 5);
        bench.end(20);
        bench.end(30);
        assert_eq!(bench.finish(30), [(0, 2, 2)]);
        // Of 0..35: nothing for 15, one for 15, two for 5.
        assert_eq!(bench.meter.time_at(Micros(35)), [15, 15, 5]);
        assert_eq!(bench.closed.counts.duration_sum, Micros(25));
    }

    #[test]
    fn a_quiet_meter_has_no_rows() {
        assert_eq!(Bench::default().finish(5 * MINUTE), []);
    }

    #[test]
    fn the_worst_window_is_the_earliest_of_the_worst() {
        let mut worst = WorstWindow::default();
        assert_eq!(worst.worst(), None);
        for second in [0, 3, 9, 10, 30, 31, 32, 33] {
            worst.record(Micros(second * 1_000_000 + 999_999));
        }
        // 0, 3, 9 are three; 3, 9, 10 three; 30 to 33 four.
        assert_eq!(worst.worst(), Some((Micros(30_000_000), 4)));
        let mut ties = WorstWindow::default();
        for second in [-5, -1, 100, 101] {
            ties.record(Micros(second * 1_000_000));
        }
        assert_eq!(ties.worst(), Some((Micros(-5_000_000), 2)));
    }
}
