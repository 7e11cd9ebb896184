//! Provisioned concurrency of one function version: how many environments, and when (F3.9).
//!
//! Owns the numbers: what was requested, what is READY, what is busy, the clock of an allocation,
//! utilisation, target tracking, and the amounts that are billed. Which environment serves a
//! request, and prices, are the caller's.

use std::cmp::Ordering;

use crate::time::Micros;

/// An allocation begins "after a minute or two of preparation" (F3.9).
const PREPARATION: Micros = Micros(90_000_000);
/// 6,000 environments per minute (F3.9).
const PER_ENVIRONMENT: Micros = Micros(10_000);
/// Allocation is billed in units of five minutes (F7, Z41).
const BILLING_UNIT: Micros = Micros(300_000_000);
/// Minutes in a row that an alarm of target tracking wants (Z25).
const ALARM_MINUTES: u32 = 3;

/// Answer to a request for another size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Requested {
    /// More than READY: all become READY at once, at this instant; an earlier clock is void.
    Raise {
        /// When to call [`ProvisionedPool::on_ready`].
        ready_at: Micros,
    },
    /// No more than READY: nothing is pending any longer.
    Lower {
        /// Idle environments that go now, longest idle first; the rest go at their release.
        idle: u32,
    },
}

/// What becomes of a provisioned environment whose run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Released {
    /// It is idle.
    Kept,
    /// More are live than were requested: it is gone.
    Gone,
}

/// Target tracking as configured; the target is an exact fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracking {
    /// Numerator of the target utilisation.
    pub target_num: u64,
    /// Denominator of the target utilisation.
    pub target_den: u64,
    /// Smallest size it may ask for.
    pub min: u32,
    /// Largest size it may ask for.
    pub max: u32,
}

/// A stretch of time with one requested size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its first instant.
    pub from: Micros,
    /// The instant after it.
    pub to: Micros,
    /// The size.
    pub amount: u32,
}

/// Provisioned concurrency of one function version.
#[derive(Clone, Debug)]
pub struct ProvisionedPool {
    requested: u32,
    /// Live environments, busy surplus included.
    ready: u32,
    busy: u32,
    pending: Option<Micros>,
    /// Environments whose init is billed: created and recycled ones.
    inits: u64,
    /// The sums over time reach up to here.
    clock: Micros,
    busy_time: i128,
    minute_end: Micros,
    minute: Minute,
    last_minute: Minute,
    /// When READY became what it then was.
    lives: Vec<(Micros, u32)>,
    /// When each size was requested; a size of 0 ends a span.
    sizes: Vec<(Micros, u32)>,
    tracking: Option<Tracking>,
    min: u32,
    max: u32,
    minutes_above: u32,
    minutes_below: u32,
    has_value: bool,
}

impl ProvisionedPool {
    /// A pool without an environment.
    pub fn new(now: Micros) -> Self {
        Self {
            requested: 0,
            ready: 0,
            busy: 0,
            pending: None,
            inits: 0,
            clock: now,
            busy_time: 0,
            minute_end: now.floor_to(Micros::MINUTE) + Micros::MINUTE,
            minute: Minute::default(),
            last_minute: Minute::default(),
            lives: Vec::new(),
            sizes: Vec::new(),
            tracking: None,
            min: 0,
            max: u32::MAX,
            minutes_above: 0,
            minutes_below: 0,
            has_value: false,
        }
    }

    /// The size asked for last.
    pub const fn requested(&self) -> u32 {
        self.requested
    }

    /// Live environments, busy ones beyond the requested size included (Z23).
    pub const fn ready(&self) -> u32 {
        self.ready
    }

    /// Environments that serve a run.
    pub const fn busy(&self) -> u32 {
        self.busy
    }

    /// Environments that wait for one.
    pub const fn idle(&self) -> u32 {
        self.ready - self.busy
    }

    /// When the pending allocation becomes READY.
    pub const fn pending(&self) -> Option<Micros> {
        self.pending
    }

    /// Units taken out of the account's or the function's share, from the request on (Z23).
    pub fn claimed(&self) -> u32 {
        self.ready.max(self.requested)
    }

    /// Asks for another size (Z23).
    pub fn request(&mut self, size: u32, now: Micros) -> Requested {
        self.advance(now);
        self.set_requested(size, now);
        if size > self.ready {
            let more = i64::from(size - self.ready);
            let ready_at = now + PREPARATION + Micros(more * PER_ENVIRONMENT.0);
            self.pending = Some(ready_at);
            return Requested::Raise { ready_at };
        }
        self.pending = None;
        let idle = self.idle().min(self.ready - size);
        self.set_ready(self.ready - idle, now);
        Requested::Lower { idle }
    }

    /// An allocation becomes READY: how many environments to create. None where another request
    /// has overtaken it.
    pub fn on_ready(&mut self, now: Micros) -> u32 {
        if self.pending != Some(now) {
            return 0;
        }
        self.pending = None;
        self.add_ready(now)
    }

    /// A size that was there before the trace: READY without a wait (Q35). All are to be created.
    pub fn ready_at_once(&mut self, size: u32, now: Micros) {
        assert!(self.claimed() == 0, "a pool is given its first size once");
        self.set_requested(size, now);
        self.add_ready(now);
    }

    fn add_ready(&mut self, now: Micros) -> u32 {
        self.advance(now);
        let created = self.requested - self.ready;
        self.set_ready(self.requested, now);
        self.inits += u64::from(created);
        created
    }

    fn set_ready(&mut self, ready: u32, now: Micros) {
        if ready != self.ready {
            self.ready = ready;
            self.lives.push((now, ready));
        }
    }

    fn set_requested(&mut self, size: u32, now: Micros) {
        if size != self.requested {
            self.requested = size;
            self.sizes.push((now, size));
        }
    }

    /// An idle environment serves a run.
    pub fn start(&mut self, now: Micros) {
        assert!(self.busy < self.ready, "an idle environment is there");
        self.advance(now);
        self.busy += 1;
    }

    /// A run gives its environment back.
    pub fn release(&mut self, now: Micros) -> Released {
        assert!(self.busy > 0, "a busy environment is given back once");
        self.advance(now);
        self.busy -= 1;
        if self.ready > self.requested {
            self.set_ready(self.ready - 1, now);
            return Released::Gone;
        }
        Released::Kept
    }

    /// An environment is replaced without a gap (Z5, Z7): only its init is billed once more.
    pub fn recycled(&mut self) {
        self.inits += 1;
    }

    /// Environments created or recycled so far, each with one billed init (Z24).
    pub const fn inits(&self) -> u64 {
        self.inits
    }

    /// Integrals of busy and of READY from `from` to `end`, in environments times µs. READY may have changed
    /// since then; runs may not have begun or ended.
    pub fn utilisation(&self, from: Micros, end: Micros) -> (i128, i128) {
        assert!(end >= self.clock || self.busy == 0, "no run is busy after the end");
        let mut ready_time = 0;
        let mut lives = self.lives.iter().take_while(|(at, _)| *at <= end).peekable();
        while let Some((at, ready)) = lives.next() {
            let to = lives.peek().map_or(end, |(at, _)| *at);
            ready_time += i128::from(*ready) * i128::from((to - from.max(*at)).0.max(0));
        }
        (self.busy_time(end.max(self.clock)), ready_time)
    }

    fn busy_time(&self, now: Micros) -> i128 {
        self.busy_time + i128::from(self.busy) * i128::from((now - self.clock).0)
    }

    /// Takes the sums up to `now`, at the numbers as they were until now.
    fn advance(&mut self, now: Micros) {
        assert!(now >= self.clock, "time goes forward");
        self.busy_time = self.busy_time(now);
        if now >= self.minute_end {
            self.end_minute(now);
        }
        let from = self.clock.max(self.minute_end - Micros::MINUTE);
        self.minute.add(self.busy, self.ready, now - from);
        self.clock = now;
    }

    #[cold]
    fn end_minute(&mut self, now: Micros) {
        self.minute.add(self.busy, self.ready, self.minute_end - self.clock);
        std::mem::swap(&mut self.minute, &mut self.last_minute);
        self.minute.clear();
        let start = now.floor_to(Micros::MINUTE);
        if start > self.minute_end {
            // Nothing has changed for a whole minute.
            self.last_minute.clear();
            self.last_minute.add(self.busy, self.ready, Micros::MINUTE);
        }
        self.minute_end = start + Micros::MINUTE;
    }

    /// Configures target tracking; bounds and counts begin anew.
    pub fn track(&mut self, tracking: Option<Tracking>) {
        if let Some(Tracking { target_num, target_den, .. }) = tracking {
            assert!(target_num > 0 && target_den > 0, "a target is positive");
        }
        (self.min, self.max) = tracking.map_or((0, u32::MAX), |it| (it.min, it.max));
        self.tracking = tracking;
        self.count_anew();
    }

    /// A schedule sets bounds; what it leaves out stays. Answers the size to request, if the one
    /// requested lies outside (Z25).
    pub fn schedule(&mut self, min: Option<u32>, max: Option<u32>) -> Option<u32> {
        self.min = min.unwrap_or(self.min);
        self.max = max.unwrap_or(self.max);
        let size = self.requested.min(self.max).max(self.min);
        (size != self.requested).then_some(size)
    }

    /// Whether any environment was busy in the minute that was looked at last (Z25).
    pub const fn has_value(&self) -> bool {
        self.has_value
    }

    /// Target tracking looks at the minute that ends `now`: the size to request, if any (Z25).
    pub fn look(&mut self, now: Micros) -> Option<u32> {
        assert!(now.floor_to(Micros::MINUTE) == now, "it looks at the end of a clock minute");
        let tracking = self.tracking?;
        self.advance(now);
        let mean = self.last_minute.mean();
        self.has_value = mean.is_some();
        let Some(mean) = mean else {
            self.count_anew();
            return None;
        };
        let target = Fraction::new(tracking.target_num.into(), tracking.target_den.into());
        let nine_tenths = target.times(9, 10);
        let above = mean.cmp(&target) == Ordering::Greater;
        let below = mean.cmp(&nine_tenths) == Ordering::Less;
        self.minutes_above = if above { self.minutes_above + 1 } else { 0 };
        self.minutes_below = if below { self.minutes_below + 1 } else { 0 };
        if self.pending.is_some() {
            return None;
        }
        let current = self.requested;
        let proportional = || {
            let per_target = mean.times(tracking.target_den.into(), tracking.target_num.into());
            per_target.times(current.into(), 1).floor()
        };
        let size = if self.minutes_above >= ALARM_MINUTES {
            let (whole, exact) = proportional();
            whole.saturating_add(u32::from(!exact)).min(self.max)
        } else if self.minutes_below >= ALARM_MINUTES {
            let nine_tenths = u64::from(current) * 9 / 10;
            let nine_tenths = u32::try_from(nine_tenths).expect("less than the size");
            proportional().0.max(nine_tenths).max(self.min)
        } else {
            return None;
        };
        if size == current {
            return None;
        }
        self.count_anew();
        Some(size)
    }

    fn count_anew(&mut self) {
        self.minutes_above = 0;
        self.minutes_below = 0;
    }

    /// The sizes requested up to `end`, in order of time; a span is a run of them without a gap.
    pub fn stretches(&self, end: Micros) -> impl Iterator<Item = Stretch> {
        let nexts = self.sizes.iter().skip(1).map(|(at, _)| *at).chain([Micros::MAX]);
        let stretches = self.sizes.iter().zip(nexts);
        stretches
            .map(move |((from, amount), next)| Stretch {
                from: *from,
                to: next.min(end),
                amount: *amount,
            })
            .filter(move |stretch| stretch.from <= end && stretch.amount > 0)
    }

    /// What is billed up to `end`, in environments times µs: each span rounded up once to five
    /// minutes, the rest at its last amount (Z41).
    pub fn billed(&self, end: Micros) -> i128 {
        let mut billed = 0;
        let mut span_from = None;
        let mut sizes = self.sizes.iter().take_while(|(at, _)| *at <= end).peekable();
        while let Some((at, amount)) = sizes.next() {
            if *amount == 0 {
                span_from = None;
                continue;
            }
            let from = *span_from.get_or_insert(*at);
            let next = sizes.peek();
            let to = next.map_or(end, |(at, _)| *at);
            let mut time = (to - *at).0;
            if next.is_none_or(|(_, amount)| *amount == 0) {
                time += (from - to).0.rem_euclid(BILLING_UNIT.0);
            }
            billed += i128::from(*amount) * i128::from(time);
        }
        billed
    }
}

/// Busy ÷ READY over (part of) a clock minute.
#[derive(Clone, Debug, Default)]
struct Minute {
    /// READY, and environments times µs that were busy at it; one entry while READY stays.
    parts: Vec<(u32, u64)>,
    /// µs during which READY was above 0.
    time: u64,
}

impl Minute {
    fn clear(&mut self) {
        self.parts.clear();
        self.time = 0;
    }

    fn add(&mut self, busy: u32, ready: u32, time: Micros) {
        if ready == 0 || time == Micros::ZERO {
            return;
        }
        let time = u64::try_from(time.0).expect("time goes forward");
        self.time += time;
        let busy_time = u64::from(busy) * time;
        match self.parts.last_mut() {
            Some(part) if part.0 == ready => part.1 += busy_time,
            _ => self.parts.push((ready, busy_time)),
        }
    }

    /// The time-weighted mean over the time with READY above 0; nothing where none was busy.
    fn mean(&mut self) -> Option<Fraction> {
        if self.parts.iter().all(|part| part.1 == 0) {
            return None;
        }
        self.parts.sort_unstable();
        let mut whole = 0;
        let mut sum = Fraction::new(0, 1);
        for same in self.parts.chunk_by(|one, other| one.0 == other.0) {
            let ready = same[0].0;
            let busy_time: u64 = same.iter().map(|part| part.1).sum();
            // Kept apart: the denominator need not grow for it.
            whole += u128::from(busy_time / u64::from(ready));
            let rest = busy_time % u64::from(ready);
            if rest > 0 {
                sum = sum.plus(rest.into(), ready.into());
            }
        }
        Some(sum.plus(whole, 1).times(1, self.time.into()))
    }
}

/// A fraction of any size: sums of many denominators outgrow 128 bits (a large pool lowered while
/// it is busy), and a comparison with the target has to be exact. One per minute and pool.
#[derive(Clone, Debug)]
struct Fraction {
    numerator: Natural,
    denominator: Natural,
}

impl Fraction {
    fn new(numerator: u128, denominator: u128) -> Self {
        Self { numerator: numerator.into(), denominator: denominator.into() }
    }

    fn plus(&self, numerator: u128, denominator: u128) -> Self {
        let denominator = Natural::from(denominator);
        let added = self.denominator.times(&numerator.into());
        Self {
            numerator: self.numerator.times(&denominator).plus(&added),
            denominator: self.denominator.times(&denominator),
        }
    }

    fn times(&self, numerator: u128, denominator: u128) -> Self {
        Self {
            numerator: self.numerator.times(&numerator.into()),
            denominator: self.denominator.times(&denominator.into()),
        }
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let left = self.numerator.times(&other.denominator);
        left.cmp(&other.numerator.times(&self.denominator))
    }

    /// The whole part, at most `u32::MAX`, and whether it is all.
    fn floor(&self) -> (u32, bool) {
        let mut whole = 0;
        for bit in (0..u32::BITS).rev() {
            let candidate = whole | 1 << bit;
            match self.cmp(&Self::new(candidate.into(), 1)) {
                Ordering::Less => {}
                Ordering::Equal => return (candidate, true),
                Ordering::Greater => whole = candidate,
            }
        }
        (whole, whole == 0 && self.numerator.0.is_empty())
    }
}

/// A natural number; digits in base 2^32, lowest first, the highest is not 0.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Natural(Vec<u32>);

impl From<u128> for Natural {
    fn from(mut value: u128) -> Self {
        let mut digits = Vec::with_capacity(4);
        while value > 0 {
            digits.push(low_digit(value));
            value >>= 32;
        }
        Self(digits)
    }
}

impl Natural {
    fn plus(&self, other: &Self) -> Self {
        let mut carry = 0;
        let length = self.0.len().max(other.0.len());
        let digit = |number: &Self, place| u64::from(number.0.get(place).copied().unwrap_or(0));
        let mut sum = Vec::with_capacity(length + 1);
        for place in 0..length {
            carry += digit(self, place) + digit(other, place);
            sum.push(low_digit(carry.into()));
            carry >>= 32;
        }
        Self::trimmed(sum, carry)
    }

    fn times(&self, other: &Self) -> Self {
        let mut product = vec![0; self.0.len() + other.0.len()];
        for (place, one) in self.0.iter().enumerate() {
            let mut carry = 0;
            for (digit, two) in product[place..].iter_mut().zip(&other.0) {
                carry += u64::from(*digit) + u64::from(*one) * u64::from(*two);
                *digit = low_digit(carry.into());
                carry >>= 32;
            }
            product[place + other.0.len()] = low_digit(carry.into());
        }
        Self::trimmed(product, 0)
    }

    fn trimmed(mut digits: Vec<u32>, carry: u64) -> Self {
        digits.push(low_digit(carry.into()));
        while digits.last() == Some(&0) {
            digits.pop();
        }
        Self(digits)
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let length = self.0.len().cmp(&other.0.len());
        length.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}

#[allow(clippy::cast_possible_truncation)] // The lowest digit is what is wanted.
const fn low_digit(value: u128) -> u32 {
    value as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: i64 = 1_000_000;
    const MINUTE: i64 = 60 * S;

    fn pool_of(size: u32) -> ProvisionedPool {
        let mut pool = ProvisionedPool::new(Micros(0));
        pool.ready_at_once(size, Micros(0));
        pool
    }

    fn busy(pool: &mut ProvisionedPool, runs: u32, now: i64) {
        for _ in 0..runs {
            pool.start(Micros(now));
        }
    }

    #[test]
    fn z23_all_become_ready_together_after_90_s_and_10_ms_each() {
        let mut pool = ProvisionedPool::new(Micros(0));
        let ready_at = Micros(90 * S + 10 * S + 7);
        assert_eq!(pool.request(1_000, Micros(7)), Requested::Raise { ready_at });
        assert_eq!((pool.ready(), pool.claimed(), pool.pending()), (0, 1_000, Some(ready_at)));
        assert_eq!(pool.on_ready(ready_at), 1_000);
        assert_eq!((pool.ready(), pool.idle(), pool.pending()), (1_000, 1_000, None));
        // Only what is missing takes time.
        let ready_at = Micros(200 * S + 90 * S + 10_000);
        assert_eq!(pool.request(1_001, Micros(200 * S)), Requested::Raise { ready_at });
        assert_eq!((pool.ready(), pool.claimed()), (1_000, 1_001), "the old ones stay usable");
        assert_eq!(pool.on_ready(ready_at), 1);
        assert_eq!(pool.inits(), 1_001);
    }

    #[test]
    fn z23_a_second_request_replaces_the_pending_one() {
        let mut pool = pool_of(10);
        let first = Micros(90 * S + 100_000);
        let second = Micros(50 * S + 90 * S + 50_000);
        assert_eq!(pool.request(20, Micros(0)), Requested::Raise { ready_at: first });
        assert_eq!(pool.request(15, Micros(50 * S)), Requested::Raise { ready_at: second });
        assert_eq!(pool.claimed(), 15);
        assert_eq!(pool.on_ready(first), 0, "its clock is void");
        assert_eq!(pool.on_ready(second), 5);
        assert_eq!(pool.on_ready(second), 0);
    }

    #[test]
    fn z23_a_request_of_what_is_ready_cancels_the_pending_one() {
        let mut pool = pool_of(10);
        let _ = pool.request(20, Micros(0));
        assert_eq!(pool.request(10, Micros(1)), Requested::Lower { idle: 0 });
        assert_eq!((pool.pending(), pool.claimed()), (None, 10));
        assert_eq!(pool.on_ready(Micros(90 * S + 100_000)), 0);
    }

    #[test]
    fn z23_idle_ones_go_at_once_and_busy_ones_at_their_release() {
        let mut pool = pool_of(10);
        busy(&mut pool, 7, 0);
        assert_eq!(pool.request(5, Micros(1)), Requested::Lower { idle: 3 });
        assert_eq!((pool.ready(), pool.requested(), pool.claimed()), (7, 5, 7));
        // Raised again below READY: nothing is created.
        assert_eq!(pool.request(6, Micros(2)), Requested::Lower { idle: 0 });
        assert_eq!(pool.release(Micros(3)), Released::Gone);
        assert_eq!(pool.release(Micros(4)), Released::Kept);
        assert_eq!((pool.ready(), pool.idle(), pool.claimed()), (6, 1, 6));
        // 1 to 5 with five busy: the idle one goes, the rest waits.
        assert_eq!(pool.request(2, Micros(5)), Requested::Lower { idle: 1 });
        assert_eq!(pool.ready(), 5);
    }

    #[test]
    fn z5_a_recycled_environment_is_one_more_init() {
        let mut pool = pool_of(2);
        pool.recycled();
        assert_eq!((pool.inits(), pool.ready()), (3, 2));
    }

    #[test]
    fn utilisation_is_busy_over_ready_in_time() {
        let mut pool = ProvisionedPool::new(Micros(0));
        let _ = pool.request(2, Micros(0));
        let ready_at = 90 * S + 20_000;
        assert_eq!(pool.on_ready(Micros(ready_at)), 2);
        pool.start(Micros(ready_at + 10));
        assert_eq!(pool.release(Micros(ready_at + 14)), Released::Kept);
        assert_eq!(pool.utilisation(Micros(-1 << 60), Micros(ready_at + 14)), (4, 28));
        assert_eq!(pool.utilisation(Micros(-1 << 60), Micros(ready_at + 20)), (4, 40));
        // A size that changes after the last release changes nothing before it.
        let _ = pool.request(0, Micros(ready_at + 30));
        assert_eq!(pool.utilisation(Micros(-1 << 60), Micros(ready_at + 20)), (4, 40));
        assert_eq!(pool.utilisation(Micros(-1 << 60), Micros(ready_at + 50)), (4, 60));
    }

    fn tracked(size: u32, target: (u64, u64), min: u32, max: u32) -> ProvisionedPool {
        let mut pool = pool_of(size);
        let (target_num, target_den) = target;
        pool.track(Some(Tracking { target_num, target_den, min, max }));
        pool
    }

    fn looks(
        pool: &mut ProvisionedPool,
        minutes: std::ops::RangeInclusive<i64>,
    ) -> Vec<(i64, u32)> {
        minutes
            .filter_map(|minute| pool.look(Micros(minute * MINUTE)).map(|size| (minute, size)))
            .collect()
    }

    #[test]
    fn z25_three_minutes_above_the_target_scale_out() {
        // 8 of 10 busy, target 0.7: 10 × 0.8 / 0.7 = 11.43, rounded up.
        let mut pool = tracked(10, (7, 10), 1, 100);
        busy(&mut pool, 8, 0);
        assert_eq!(looks(&mut pool, 1..=3), [(3, 12)]);
        let ready_at = Micros(3 * MINUTE + 90 * S + 20_000);
        assert_eq!(pool.request(12, Micros(3 * MINUTE)), Requested::Raise { ready_at });
        assert_eq!(looks(&mut pool, 4..=4), []);
        assert_eq!(pool.on_ready(ready_at), 2);
        // 8 of 12 is neither above 0.7 nor below 0.63.
        assert_eq!(looks(&mut pool, 5..=20), []);
    }

    #[test]
    fn z25_exactly_the_target_or_nine_tenths_of_it_is_no_alarm() {
        for runs in [63, 70] {
            let mut pool = tracked(100, (7, 10), 0, 1_000);
            busy(&mut pool, runs, 0);
            assert_eq!(looks(&mut pool, 1..=10), []);
        }
        let mut pool = tracked(100, (7, 10), 0, 1_000);
        busy(&mut pool, 71, 0);
        // 100 × 0.71 / 0.7 = 101.43.
        assert_eq!(looks(&mut pool, 1..=3), [(3, 102)]);
    }

    #[test]
    fn z25_scaling_in_goes_by_a_tenth_at_most_and_not_below_min() {
        let mut pool = tracked(100, (7, 10), 85, 1_000);
        busy(&mut pool, 10, 0);
        assert_eq!(looks(&mut pool, 1..=3), [(3, 90)]);
        let _ = pool.request(90, Micros(3 * MINUTE));
        assert_eq!(looks(&mut pool, 4..=6), [(6, 85)], "81, but min is 85");
        let _ = pool.request(85, Micros(6 * MINUTE));
        assert_eq!(looks(&mut pool, 7..=20), [], "at min an action would change nothing");
        // 62 of 100 at 0.7: 88.57 rounded down is less than 90.
        let mut pool = tracked(100, (7, 10), 0, 1_000);
        busy(&mut pool, 62, 0);
        assert_eq!(looks(&mut pool, 1..=3), [(3, 90)]);
        // 6 of 10: 8.57; nine tenths are 9.
        let mut pool = tracked(10, (7, 10), 0, 1_000);
        busy(&mut pool, 6, 0);
        assert_eq!(looks(&mut pool, 1..=3), [(3, 9)]);
    }

    #[test]
    fn z25_at_max_nothing_is_done_and_minutes_go_on_counting() {
        let mut pool = tracked(10, (1, 2), 0, 10);
        busy(&mut pool, 10, 0);
        assert_eq!(looks(&mut pool, 1..=4), []);
        assert_eq!(pool.schedule(None, Some(15)), None);
        assert_eq!(looks(&mut pool, 5..=5), [(5, 15)], "20, but max is 15");
    }

    #[test]
    fn z25_a_minute_in_which_none_was_busy_has_no_value() {
        let mut pool = tracked(10, (1, 2), 0, 100);
        assert_eq!(looks(&mut pool, 1..=10), [], "it stays, and costs");
        busy(&mut pool, 10, 10 * MINUTE);
        assert_eq!(looks(&mut pool, 11..=12), []);
        for _ in 0..10 {
            let _ = pool.release(Micros(12 * MINUTE));
        }
        assert_eq!(looks(&mut pool, 13..=13), []);
        busy(&mut pool, 10, 13 * MINUTE);
        assert_eq!(looks(&mut pool, 14..=16), [(16, 20)], "counted anew after minute 13");
    }

    #[test]
    fn z25_no_action_while_pending_but_its_minutes_count() {
        let mut pool = tracked(10, (1, 2), 0, 100);
        busy(&mut pool, 10, 0);
        assert_eq!(looks(&mut pool, 1..=2), []);
        let ready_at = Micros(2 * MINUTE + 90 * S + 10_000);
        assert_eq!(pool.request(11, Micros(2 * MINUTE)), Requested::Raise { ready_at });
        assert_eq!(looks(&mut pool, 3..=3), []);
        assert_eq!(pool.on_ready(ready_at), 1);
        pool.start(ready_at);
        assert_eq!(looks(&mut pool, 4..=4), [(4, 22)]);
        // Anew after an action that was not followed.
        assert_eq!(looks(&mut pool, 5..=7), [(7, 22)]);
    }

    #[test]
    fn z25_a_minute_is_seen_whole_however_late_something_happens() {
        // Nothing happens for minutes: the last one counts alone.
        let mut pool = tracked(4, (1, 2), 0, 100);
        busy(&mut pool, 4, 30 * S);
        assert_eq!(pool.look(Micros(5 * MINUTE)), None);
        let mean = pool.last_minute.mean().unwrap();
        assert_eq!(mean.cmp(&Fraction::new(1, 1)), Ordering::Equal);
        // What ends at the end of a minute was busy in all of it.
        let _ = pool.release(Micros(6 * MINUTE));
        let _ = pool.look(Micros(6 * MINUTE));
        let mean = pool.last_minute.mean().unwrap();
        assert_eq!(mean.cmp(&Fraction::new(1, 1)), Ordering::Equal);
        let _ = pool.release(Micros(6 * MINUTE + 30 * S));
        let _ = pool.look(Micros(7 * MINUTE));
        let mean = pool.last_minute.mean().unwrap();
        assert_eq!(mean.cmp(&Fraction::new(5, 8)), Ordering::Equal);
    }

    #[test]
    fn z25_a_value_is_weighted_by_time_with_ready_above_zero() {
        let mut minute = Minute::default();
        minute.add(0, 0, Micros(20 * S));
        minute.add(1, 2, Micros(10 * S));
        minute.add(3, 3, Micros(10 * S));
        minute.add(0, 2, Micros(20 * S));
        // (1/2 × 10 + 1 × 10 + 0 × 20) / 40 = 3/8.
        let mean = minute.mean().unwrap();
        assert_eq!(mean.cmp(&Fraction::new(3, 8)), Ordering::Equal);
    }

    #[test]
    fn z25_a_schedule_clamps_at_once_in_both_directions() {
        let mut pool = tracked(10, (7, 10), 1, 20);
        assert_eq!(pool.schedule(Some(12), None), Some(12));
        assert_eq!(pool.schedule(Some(5), None), None);
        assert_eq!(pool.schedule(Some(2), Some(8)), Some(8));
        let mut alone = pool_of(3);
        assert_eq!(alone.schedule(Some(7), None), Some(7));
    }

    #[test]
    fn z25_stuck_at_zero() {
        let mut pool = tracked(0, (1, 2), 0, 100);
        assert_eq!(looks(&mut pool, 1..=10), []);
    }

    #[test]
    fn fractions_of_any_size_are_exact() {
        // 1/2 + 1/6 + 1/12 + … + 1/(n(n + 1)) = n/(n + 1).
        let mut sum = Fraction::new(0, 1);
        for n in 1..=200_u128 {
            sum = sum.plus(1, n * (n + 1));
        }
        assert_eq!(sum.cmp(&Fraction::new(200, 201)), Ordering::Equal);
        assert_eq!(
            sum.cmp(&Fraction::new(u128::MAX / 201 * 200 - 1, u128::MAX / 201 * 201)),
            Ordering::Greater
        );
        assert_eq!(sum.times(402, 1).floor(), (400, true));
        assert_eq!(sum.times(403, 1).floor(), (400, false));
        assert_eq!(Fraction::new(0, 5).floor(), (0, true));
        assert_eq!(Fraction::new(1, 5).floor(), (0, false));
        assert_eq!(Fraction::new(1 << 40, 1).floor().0, u32::MAX);
    }

    #[test]
    fn z41_one_span_is_rounded_up_once_and_the_rest_is_at_the_last_amount() {
        let mut pool = pool_of(10);
        let _ = pool.request(4, Micros(200 * S));
        // 10 × 200 s + 4 × 150 s, and 250 s to the next five minutes at 4.
        let at = |from, to, amount| Stretch { from: Micros(from), to: Micros(to), amount };
        let stretches: Vec<_> = pool.stretches(Micros(350 * S)).collect();
        assert_eq!(stretches, [at(0, 200 * S, 10), at(200 * S, 350 * S, 4)]);
        assert_eq!(pool.billed(Micros(350 * S)), i128::from((2_000 + 600 + 1_000) * S));
        assert_eq!(pool.billed(Micros(600 * S)), i128::from((2_000 + 1_600) * S));
        assert_eq!(pool.billed(Micros(600 * S + 1)), i128::from((2_000 + 1_600 + 1_200) * S));
    }

    #[test]
    fn z41_billed_from_the_request_on_and_until_the_removal() {
        let mut pool = ProvisionedPool::new(Micros(0));
        assert_eq!(pool.billed(Micros(1_000 * S)), 0);
        let _ = pool.request(2, Micros(1_000 * S));
        let _ = pool.request(0, Micros(1_010 * S));
        let _ = pool.request(3, Micros(1_020 * S));
        // Two spans of ten seconds and of one, each rounded up by itself.
        assert_eq!(pool.billed(Micros(1_021 * S)), i128::from((600 + 900) * S));
        assert_eq!(pool.stretches(Micros(1_021 * S)).count(), 2);
        assert_eq!(pool.billed(Micros(1_005 * S)), i128::from(600 * S), "later ones do not count");
        assert_eq!(pool.billed(Micros(999 * S)), 0);
    }

    /// A step of a random life, one second or less each.
    #[derive(Clone, Debug)]
    enum Step {
        Start,
        Release,
        Request(u32),
        Wait(i64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => Just(Step::Start),
            3 => Just(Step::Release),
            1 => (0..7_u32).prop_map(Step::Request),
            4 => (1..50_i64).prop_map(Step::Wait),
        ];
        prop::collection::vec(step, 0..150)
    }

    fn quotient(a: i128, b: i128) -> i128 {
        a.div_euclid(b)
    }

    proptest! {
        #[test]
        fn numbers_agree_with_a_replay_second_by_second(steps in steps(), target in 1..=10_u64) {
            let mut pool = tracked(3, (target, 10), 1, 6);
            // READY and busy during each second that has passed, and the size requested.
            let mut seconds: Vec<(u32, u32, u32)> = Vec::new();
            let (mut requested, mut live, mut in_use) = (3_u32, 3_u32, 0_u32);
            let mut pending: Option<Micros> = None;
            let mut marks: Vec<i8> = Vec::new();
            for step in steps {
                let now = Micros(i64::try_from(seconds.len()).unwrap() * S);
                match step {
                    Step::Start if in_use < live => {
                        pool.start(now);
                        in_use += 1;
                    }
                    Step::Release if in_use > 0 => {
                        in_use -= 1;
                        let gone = live > requested;
                        live -= u32::from(gone);
                        prop_assert_eq!(pool.release(now) == Released::Gone, gone);
                    }
                    Step::Request(size) => {
                        requested = size;
                        pending = None;
                        match pool.request(size, now) {
                            Requested::Raise { ready_at } => {
                                prop_assert!(size > live);
                                pending = Some(ready_at);
                            }
                            Requested::Lower { idle } => {
                                prop_assert_eq!(idle, (live - in_use).min(live - size));
                                live -= idle;
                            }
                        }
                    }
                    Step::Wait(time) => for _ in 0..time {
                        seconds.push((live, in_use, requested));
                        let now = Micros(i64::try_from(seconds.len()).unwrap() * S);
                        // READY is taken at the next whole second here.
                        if pending.is_some_and(|at| at <= now) {
                            pool.pending = Some(now);
                            prop_assert_eq!(pool.on_ready(now), requested - live);
                            live = requested;
                            pending = None;
                        }
                        if !seconds.len().is_multiple_of(60) {
                            continue;
                        }
                        // 60 is a multiple of every READY here: m = sum / (60 × time).
                        let minute = &seconds[seconds.len() - 60..];
                        let with_ready = minute.iter().filter(|it| it.0 > 0);
                        let time = i128::try_from(with_ready.clone().count()).unwrap();
                        let sum: i128 = with_ready.map(|it| i128::from(60 / it.0 * it.1)).sum();
                        let (num, den) = (i128::from(target), 10);
                        if sum == 0 {
                            marks.clear();
                        } else if sum * den > num * 60 * time {
                            marks.push(1);
                        } else if sum * den * 10 < 9 * num * 60 * time {
                            marks.push(-1);
                        } else {
                            marks.push(0);
                        }
                        let c = i128::from(requested);
                        let size = match marks.as_slice() {
                            _ if pending.is_some() => c,
                            [.., 1, 1, 1] => (-quotient(-c * sum * den, 60 * time * num)).min(6),
                            [.., -1, -1, -1] => quotient(c * sum * den, 60 * time * num)
                                .max(quotient(9 * c, 10))
                                .max(1),
                            _ => c,
                        };
                        let expected = (size != c).then(|| u32::try_from(size).unwrap());
                        if expected.is_some() {
                            marks.clear();
                        }
                        prop_assert_eq!(pool.look(now), expected);
                    },
                    _ => {}
                }
                prop_assert_eq!((pool.ready(), pool.busy()), (live, in_use));
                prop_assert_eq!(pool.claimed(), live.max(requested));
                let now = Micros(i64::try_from(seconds.len()).unwrap() * S);
                let sum = |part: fn(&(u32, u32, u32)) -> u32| -> i128 {
                    seconds.iter().map(|second| i128::from(part(second)) * i128::from(S)).sum()
                };
                prop_assert_eq!(pool.utilisation(Micros(-1 << 60), now), (sum(|it| it.1), sum(|it| it.0)));
                let amount: i128 = pool
                    .stretches(now)
                    .map(|it| i128::from(it.amount) * i128::from((it.to - it.from).0))
                    .sum();
                prop_assert_eq!(amount, sum(|it| it.2));
                prop_assert!(pool.billed(now) >= amount);
            }
        }

        #[test]
        fn naturals_agree_with_128_bits(a in any::<u64>(), b in any::<u64>(), c in any::<u64>()) {
            let [x, y, z] = [a, b, c].map(|it| Natural::from(u128::from(it)));
            let (a, b, c) = (u128::from(a), u128::from(b), u128::from(c));
            prop_assert_eq!(x.times(&y), Natural::from(a * b));
            prop_assert_eq!(x.plus(&y), Natural::from(a + b));
            prop_assert_eq!(x.times(&y).cmp(&z), (a * b).cmp(&c));
            prop_assert_eq!(x.times(&y).times(&z).cmp(&y.times(&z)), (a * b).cmp(&b));
        }
    }
}
