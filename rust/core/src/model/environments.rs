//! Execution environments of one function version: reuse, idle expiry, maximum lifetime (F3.2–3.4).
//!
//! Owns which environments are idle, which one a request gets, and when idle ones go. Nothing is
//! scanned while nothing is due: a pool asks for one timer and says, when it fires, when it wants
//! the next.

use crate::config::{IdlePolicy, ReusePolicy};
use crate::ids::EnvironmentId;
use crate::time::Micros;

/// What is known of a live environment, busy or idle.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools)] // Each is a fact of its own.
pub struct Environment {
    /// Number in order of creation; identity in the results.
    pub number: u64,
    /// End of its maximum lifetime; `Micros::MAX` where there is none.
    pub retires_at: Micros,
    /// How long it stays idle after the present run; used by `IdlePolicy::Uniform` alone.
    pub idle_for: Micros,
    /// When it expires as things stand; `Micros::MAX` unless idle under `IdlePolicy::Uniform`.
    expires_at: Micros,
    /// Whose it is: a function version, or a provisioned pool.
    pub owner: u32,
    /// Whether it belongs to a provisioned pool.
    pub provisioned: bool,
    /// Its next run pays a suppressed init (F3.5).
    pub needs_init: bool,
    /// It is reset when its present run is released: a crash or time-out (F3.5).
    pub resets: bool,
    /// Its configuration is out of date: it goes at its release (Z8).
    pub obsolete: bool,
    /// Whether the place is taken.
    live: bool,
}

/// All live environments of an account; places are reused.
#[derive(Debug, Default)]
pub struct EnvironmentTable {
    records: Vec<Environment>,
    free: Vec<EnvironmentId>,
    created: u64,
}

impl EnvironmentTable {
    /// Creates an environment of `owner` that retires at `retires_at`.
    pub fn create(&mut self, owner: u32, retires_at: Micros) -> EnvironmentId {
        let record = Environment {
            number: self.created,
            retires_at,
            idle_for: Micros::ZERO,
            expires_at: Micros::MAX,
            owner,
            provisioned: false,
            needs_init: false,
            resets: false,
            obsolete: false,
            live: true,
        };
        self.created += 1;
        if let Some(place) = self.free.pop() {
            self.records[place.index()] = record;
            return place;
        }
        let place = u32::try_from(self.records.len()).expect("fewer than 2^32 live environments");
        self.records.push(record);
        EnvironmentId(place)
    }

    /// How many were ever created.
    pub const fn created(&self) -> u64 {
        self.created
    }

    /// How many are alive.
    pub fn alive(&self) -> usize {
        self.records.len() - self.free.len()
    }

    /// What is known of an environment.
    #[inline]
    pub fn get(&self, id: EnvironmentId) -> &Environment {
        &self.records[id.index()]
    }

    /// What is known of an environment.
    #[inline]
    pub fn get_mut(&mut self, id: EnvironmentId) -> &mut Environment {
        &mut self.records[id.index()]
    }

    /// Marks the busy on-demand environments of a function version as out of date (Z8); idle ones
    /// have gone before.
    pub fn make_obsolete(&mut self, owner: u32) {
        for record in &mut self.records {
            if record.live && !record.provisioned && record.owner == owner {
                record.obsolete = true;
            }
        }
    }

    /// Forgets an environment that is in no pool.
    pub fn remove(&mut self, id: EnvironmentId) {
        self.records[id.index()].live = false;
        self.free.push(id);
    }
}

/// What becomes of an environment whose run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Released {
    /// It waits for the next request; the pool's timer stands as it is.
    Idle,
    /// It waits for the next request; the pool wants its timer at this earlier instant.
    IdleUntil(Micros),
    /// Its lifetime is over: it is gone.
    Retired,
}

/// An environment that waits for a request.
#[derive(Clone, Copy, Debug)]
struct Idle {
    since: Micros,
    environment: EnvironmentId,
}

/// The environments of one function version that wait for requests.
#[derive(Debug)]
pub struct Pool {
    /// In order of becoming idle, ties by order of release (Z6): the last one is used first.
    idle: Vec<Idle>,
    /// When the timer of the pool fires; never later than the first thing due.
    timer_at: Micros,
    /// When the first of the environments idle now became so without a break: the clock of
    /// `IdlePolicy::Halving` runs from there (Z4).
    idle_from: Micros,
}

impl Default for Pool {
    fn default() -> Self {
        Self { idle: Vec::new(), timer_at: Micros::MAX, idle_from: Micros::MIN }
    }
}

impl Pool {
    /// Takes the environment that became idle last (Q8: most recently used), if any is idle.
    #[inline]
    pub fn reuse(&mut self) -> Option<EnvironmentId> {
        self.idle.pop().map(|idle| idle.environment)
    }

    /// Whether any environment is idle.
    #[inline]
    pub fn has_idle(&self) -> bool {
        !self.idle.is_empty()
    }

    /// How many are idle.
    pub fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Takes the environment that `policy` chooses (Z6); `draw` gives a number below its argument.
    pub fn choose(
        &mut self,
        policy: ReusePolicy,
        table: &EnvironmentTable,
        draw: impl FnOnce(usize) -> usize,
    ) -> Option<EnvironmentId> {
        if self.idle.is_empty() {
            return None;
        }
        let place = match policy {
            ReusePolicy::Mru => self.idle.len() - 1,
            ReusePolicy::Lru => 0,
            ReusePolicy::Fifo => {
                let number = |place: &usize| table.get(self.idle[*place].environment).number;
                (0..self.idle.len()).min_by_key(number)?
            }
            ReusePolicy::Random if self.idle.len() == 1 => 0,
            ReusePolicy::Random => draw(self.idle.len()),
        };
        Some(self.idle.remove(place).environment)
    }

    /// Adds an idle environment that needs no timer: one of a provisioned pool.
    pub fn add(&mut self, environment: EnvironmentId, now: Micros) {
        self.idle.push(Idle { since: now, environment });
    }

    /// Takes the one idle longest.
    pub fn take_longest_idle(&mut self) -> Option<EnvironmentId> {
        (!self.idle.is_empty()).then(|| self.idle.remove(0).environment)
    }

    /// Idle environments whose lifetime ends at `now` or before, and the next end of one.
    pub fn retiring(
        &self,
        now: Micros,
        table: &EnvironmentTable,
    ) -> (Vec<EnvironmentId>, Option<Micros>) {
        let ends = self.idle.iter().map(|idle| (idle.environment, table.get(idle.environment)));
        let due = ends.clone().filter(|(_, record)| record.retires_at <= now).map(|(id, _)| id);
        let next = ends.map(|(_, record)| record.retires_at).filter(|end| *end > now).min();
        (due.collect(), next.filter(|next| *next < Micros::MAX))
    }

    /// Puts one environment into the place of another that is idle.
    pub fn replace(&mut self, old: EnvironmentId, new: EnvironmentId) {
        for idle in &mut self.idle {
            if idle.environment == old {
                idle.environment = new;
            }
        }
    }

    /// Ends every idle environment at once (Z8); how many.
    pub fn clear(&mut self, table: &mut EnvironmentTable) -> u32 {
        let gone = self.idle.len();
        self.evict_first(gone, table);
        u32::try_from(gone).expect("fewer than 2^32")
    }

    /// Takes back an environment whose run ends at `now`.
    #[inline(always)]
    #[allow(clippy::inline_always)] // Every run comes through here.
    pub fn release(
        &mut self,
        environment: EnvironmentId,
        now: Micros,
        policy: IdlePolicy,
        ages: bool,
        table: &mut EnvironmentTable,
    ) -> Released {
        let mut due = Micros::MAX;
        if ages {
            // A busy environment goes at its release once its lifetime is over (Z5).
            due = table.get(environment).retires_at;
            if due <= now {
                table.remove(environment);
                return Released::Retired;
            }
        }
        match policy {
            IdlePolicy::None => {}
            IdlePolicy::Fixed(after) => due = due.min(now + after),
            IdlePolicy::Halving(period) => {
                // Later ticks are the timer's own business.
                if self.idle.is_empty() {
                    self.idle_from = now;
                    due = due.min(now + period);
                }
            }
            IdlePolicy::Uniform(_) => {
                let record = table.get_mut(environment);
                record.expires_at = now + record.idle_for;
                due = due.min(record.expires_at);
            }
        }
        self.idle.push(Idle { since: now, environment });
        if due < self.timer_at && due < Micros::MAX {
            self.timer_at = due;
            Released::IdleUntil(due)
        } else {
            Released::Idle
        }
    }

    /// The pool's timer fires at `now`.
    pub fn on_timer(
        &mut self,
        now: Micros,
        policy: IdlePolicy,
        ages: bool,
        table: &mut EnvironmentTable,
    ) -> Fired {
        if now != self.timer_at {
            return Fired { gone: 0, next: None };
        }
        let before = self.idle.len();
        if ages {
            self.evict(table, |_, record| record.retires_at <= now);
        }
        match policy {
            IdlePolicy::None => {}
            IdlePolicy::Fixed(after) => {
                let due = self.idle.iter().take_while(|idle| idle.since + after <= now).count();
                self.evict_first(due, table);
            }
            IdlePolicy::Uniform(_) => self.evict(table, |_, record| record.expires_at <= now),
            IdlePolicy::Halving(period) => {
                let clock = (now - self.idle_from).0;
                if clock > 0 && clock % period.0 == 0 {
                    self.halve(table);
                }
            }
        }
        let next = self.next_due(now, policy, ages, table);
        self.timer_at = next.unwrap_or(Micros::MAX);
        Fired { gone: u32::try_from(before - self.idle.len()).expect("fewer than 2^32"), next }
    }

    fn evict(&mut self, table: &mut EnvironmentTable, due: impl Fn(&Idle, &Environment) -> bool) {
        self.idle.retain(|idle| {
            let stays = !due(idle, table.get(idle.environment));
            if !stays {
                table.remove(idle.environment);
            }
            stays
        });
    }

    /// Evicts the half, rounded up, that has been idle longest (Z4).
    fn halve(&mut self, table: &mut EnvironmentTable) {
        self.evict_first(self.idle.len().div_ceil(2), table);
    }

    /// Evicts those idle longest.
    fn evict_first(&mut self, gone: usize, table: &mut EnvironmentTable) {
        for idle in self.idle.drain(..gone) {
            table.remove(idle.environment);
        }
    }

    fn next_due(
        &self,
        now: Micros,
        policy: IdlePolicy,
        ages: bool,
        table: &EnvironmentTable,
    ) -> Option<Micros> {
        let first = self.idle.first()?;
        let records = || self.idle.iter().map(|idle| table.get(idle.environment));
        let expiry = match policy {
            IdlePolicy::None => None,
            IdlePolicy::Fixed(after) => Some(first.since + after),
            IdlePolicy::Uniform(_) => records().map(|record| record.expires_at).min(),
            IdlePolicy::Halving(period) => {
                let ticks = (now - self.idle_from).0 / period.0 + 1;
                Some(Micros(self.idle_from.0 + ticks * period.0))
            }
        };
        let retirement = records().map(|record| record.retires_at).min().filter(|_| ages);
        [expiry, retirement].into_iter().flatten().min().filter(|due| *due < Micros::MAX)
    }
}

/// Answer to a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Fired {
    /// Environments that went.
    pub gone: u32,
    /// When the pool wants its timer next; nothing where none is needed, or where one that comes
    /// earlier has taken the place of this one.
    pub next: Option<Micros>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Span;

    const S: i64 = 1_000_000;

    /// A pool driven by hand, with its timer.
    struct Bench {
        pool: Pool,
        table: EnvironmentTable,
        policy: IdlePolicy,
        timer: Option<Micros>,
    }

    impl Bench {
        fn new(policy: IdlePolicy) -> Self {
            Self { pool: Pool::default(), table: EnvironmentTable::default(), policy, timer: None }
        }

        fn create(&mut self, retires_at: i64) -> EnvironmentId {
            self.table.create(0, Micros(retires_at))
        }

        fn release(&mut self, environment: EnvironmentId, now: i64) -> Released {
            let answer =
                self.pool.release(environment, Micros(now), self.policy, true, &mut self.table);
            if let Released::IdleUntil(at) = answer {
                self.timer = Some(at);
            }
            answer
        }

        /// Fires timers up to and including `now`; the numbers gone at each instant.
        fn run_to(&mut self, now: i64) -> Vec<(i64, u32)> {
            let mut gone = Vec::new();
            while let Some(at) = self.timer.filter(|at| at.0 <= now) {
                let fired = self.pool.on_timer(at, self.policy, true, &mut self.table);
                if fired.gone > 0 {
                    gone.push((at.0, fired.gone));
                }
                self.timer = fired.next;
            }
            gone
        }
    }

    #[test]
    fn z6_the_one_that_became_idle_last_is_used_first() {
        let mut bench = Bench::new(IdlePolicy::None);
        let [a, b] = [bench.create(i64::MAX), bench.create(i64::MAX)];
        assert_eq!(bench.release(b, 5), Released::Idle);
        assert_eq!(bench.release(a, 5), Released::Idle);
        assert_eq!(bench.pool.reuse(), Some(a));
        assert_eq!(bench.pool.reuse(), Some(b));
        assert_eq!(bench.pool.reuse(), None);
        assert_eq!(bench.run_to(i64::MAX), []);
    }

    #[test]
    fn q31_idle_for_exactly_the_fixed_time_is_expired() {
        let mut bench = Bench::new(IdlePolicy::Fixed(Micros(600 * S)));
        let a = bench.create(i64::MAX);
        let b = bench.create(i64::MAX);
        let _ = bench.release(a, 0);
        let _ = bench.release(b, 1);
        assert_eq!(bench.run_to(600 * S - 1), []);
        assert_eq!(bench.run_to(600 * S + 1), [(600 * S, 1), (600 * S + 1, 1)]);
        assert_eq!(bench.table.alive(), 0);
    }

    #[test]
    fn a_reused_environment_starts_its_idle_time_anew() {
        let mut bench = Bench::new(IdlePolicy::Fixed(Micros(10)));
        let a = bench.create(i64::MAX);
        let _ = bench.release(a, 0);
        assert_eq!(bench.pool.reuse(), Some(a));
        let _ = bench.release(a, 7);
        assert_eq!(bench.run_to(16), []);
        assert_eq!(bench.run_to(17), [(17, 1)]);
    }

    #[test]
    fn z4_halving_evicts_half_rounded_up_longest_idle_first() {
        let mut bench = Bench::new(IdlePolicy::Halving(Micros(380)));
        let environments: Vec<_> = (0..5).map(|_| bench.create(i64::MAX)).collect();
        for (at, environment) in (0..).step_by(10).zip(&environments) {
            let _ = bench.release(*environment, at);
        }
        // The clock runs from the first one that became idle: 5 -> 2 -> 1 -> 0.
        assert_eq!(bench.run_to(380), [(380, 3)]);
        assert_eq!(bench.pool.reuse(), Some(environments[4]));
        assert_eq!(bench.pool.reuse(), Some(environments[3]));
        assert_eq!(bench.run_to(10_000), []);
    }

    #[test]
    fn z4_the_clock_of_halving_stops_when_none_is_idle() {
        let mut bench = Bench::new(IdlePolicy::Halving(Micros(380)));
        let a = bench.create(i64::MAX);
        let _ = bench.release(a, 0);
        assert_eq!(bench.pool.reuse(), Some(a));
        let _ = bench.release(a, 100);
        assert_eq!(bench.run_to(479), [], "the tick of the stopped clock at 380 is void");
        assert_eq!(bench.run_to(480), [(480, 1)]);
    }

    #[test]
    fn z4_the_clock_goes_on_while_one_stays_idle() {
        let mut bench = Bench::new(IdlePolicy::Halving(Micros(380)));
        let [a, b] = [bench.create(i64::MAX), bench.create(i64::MAX)];
        let _ = bench.release(a, 0);
        let _ = bench.release(b, 370);
        assert_eq!(bench.run_to(760), [(380, 1), (760, 1)]);
    }

    #[test]
    fn z5_an_idle_environment_goes_at_the_end_of_its_lifetime() {
        let mut bench = Bench::new(IdlePolicy::Halving(Micros(380)));
        let [a, b] = [bench.create(100), bench.create(i64::MAX)];
        let _ = bench.release(b, 0);
        let _ = bench.release(a, 50);
        assert_eq!(bench.run_to(99), []);
        assert_eq!(bench.run_to(100), [(100, 1)]);
        assert_eq!(bench.pool.reuse(), Some(b));
    }

    #[test]
    fn z5_a_busy_environment_goes_at_its_release() {
        let mut bench = Bench::new(IdlePolicy::None);
        let [a, b] = [bench.create(100), bench.create(100)];
        assert_eq!(bench.release(a, 99), Released::IdleUntil(Micros(100)));
        assert_eq!(bench.release(b, 100), Released::Retired);
        assert_eq!(bench.run_to(100), [(100, 1)]);
        assert_eq!(bench.table.alive(), 0);
    }

    #[test]
    fn z4_a_lifetime_ends_before_the_tick_of_the_same_instant() {
        let mut bench = Bench::new(IdlePolicy::Halving(Micros(380)));
        let [a, b, c] = [bench.create(i64::MAX), bench.create(i64::MAX), bench.create(380)];
        for environment in [a, b, c] {
            let _ = bench.release(environment, 0);
        }
        // c retires, then one of the two left goes: the one idle longest.
        assert_eq!(bench.run_to(380), [(380, 2)]);
        assert_eq!(bench.pool.reuse(), Some(b));
    }

    #[test]
    fn z5_uniform_expires_each_at_its_own_draw() {
        let mut bench = Bench::new(IdlePolicy::Uniform(Span { low: Micros(1), high: Micros(100) }));
        let [a, b] = [bench.create(i64::MAX), bench.create(i64::MAX)];
        bench.table.get_mut(a).idle_for = Micros(50);
        bench.table.get_mut(b).idle_for = Micros(20);
        let _ = bench.release(a, 0);
        let _ = bench.release(b, 5);
        assert_eq!(bench.run_to(100), [(25, 1), (50, 1)]);
    }

    #[test]
    fn an_overtaken_timer_does_nothing() {
        let mut bench = Bench::new(IdlePolicy::None);
        let [a, b] = [bench.create(100), bench.create(60)];
        let _ = bench.release(a, 0);
        let _ = bench.release(b, 0);
        assert_eq!(bench.timer, Some(Micros(60)));
        let stale = bench.pool.on_timer(Micros(100), bench.policy, true, &mut bench.table);
        assert_eq!(stale, Fired { gone: 0, next: None });
    }

    #[test]
    fn places_are_reused_and_numbers_are_not() {
        let mut bench = Bench::new(IdlePolicy::Fixed(Micros(1)));
        let a = bench.create(i64::MAX);
        let _ = bench.release(a, 0);
        assert_eq!(bench.run_to(1), [(1, 1)]);
        let b = bench.create(i64::MAX);
        assert_eq!(a, b);
        assert_eq!((bench.table.get(b).number, bench.table.created()), (1, 2));
    }
}
