//! How fast a function may grow (F2): tokens for new environments, and units for more requests
//! than its environments stand for.
//!
//! Owns what has been taken and bought. Whether a bucket is a function's own or the Region's, and
//! which runs are tested at all, is the caller's business.

use std::collections::VecDeque;

use crate::model::rates::{elapsed, lies_in, start_of};
use crate::time::Micros;

/// How a bucket fills again (F2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalingMode {
    /// Bit by bit.
    Continuous,
    /// To the brim at the start of each clock-aligned window (Z18).
    Step,
    /// As what was taken gets older than a window (Z18).
    Sliding,
}

/// How many environments may be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScalingRate {
    /// How the bucket fills again.
    pub mode: ScalingMode,
    /// Tokens in a full bucket.
    pub capacity: u64,
    /// Tokens that come back per `refill_per`; used by `Continuous` alone.
    pub refill_tokens: u64,
    /// Unit of credit too, so the same throughout; used by `Continuous` alone.
    pub refill_per: Micros,
    /// Length of a window; used by `Step` and `Sliding` alone.
    pub step: Micros,
}

impl ScalingRate {
    /// One token in the unit of credit; `refill_tokens` of the unit come back per microsecond.
    fn token(&self) -> u128 {
        u128::from(self.refill_per.0.unsigned_abs())
    }
}

/// Tokens for new environments, of one mode throughout; full at the start (Q1).
///
/// Credit is an exact integer with the time of the last taking; a refused request changes nothing
/// (Q33).
#[derive(Clone, Debug)]
pub struct ScalingBucket {
    /// `Continuous`: the last taking; `Step`: start of the window; before all times if none.
    at: Micros,
    /// `Continuous`: credit left after that taking; else tokens taken, those of `recent` included.
    amount: u128,
    /// `Sliding`: takings not yet seen to be out of the window, by instant.
    recent: VecDeque<(Micros, u64)>,
}

impl Default for ScalingBucket {
    fn default() -> Self {
        Self { at: Micros::MIN, amount: 0, recent: VecDeque::new() }
    }
}

impl ScalingBucket {
    /// Whether there is no token at `now`. Asking changes nothing.
    pub fn empty(&self, now: Micros, rate: &ScalingRate) -> bool {
        match rate.mode {
            ScalingMode::Continuous => self.credit(now, rate) < rate.token(),
            ScalingMode::Step => {
                let taken = if lies_in(now, self.at, rate.step) { self.amount } else { 0 };
                taken >= u128::from(rate.capacity)
            }
            ScalingMode::Sliding => {
                let mut taken = self.amount;
                let mut old = self.recent.iter().take_while(|(at, _)| is_old(*at, now, rate));
                // One old taking is enough, unless the capacity has come down since.
                while taken >= u128::from(rate.capacity) {
                    let Some((_, tokens)) = old.next() else { return true };
                    taken -= u128::from(*tokens);
                }
                false
            }
        }
    }

    /// Takes a token.
    pub fn take(&mut self, now: Micros, rate: &ScalingRate) {
        assert!(!self.empty(now, rate), "the bucket was asked first");
        match rate.mode {
            ScalingMode::Continuous => {
                self.amount = self.credit(now, rate) - rate.token();
                self.at = now;
            }
            ScalingMode::Step => {
                if !lies_in(now, self.at, rate.step) {
                    self.at = start_of(now, rate.step);
                    self.amount = 0;
                }
                self.amount += 1;
            }
            ScalingMode::Sliding => {
                while let Some((_, tokens)) =
                    self.recent.front().filter(|(at, _)| is_old(*at, now, rate))
                {
                    self.amount -= u128::from(*tokens);
                    self.recent.pop_front();
                }
                self.amount += 1;
                match self.recent.back_mut() {
                    Some((at, tokens)) if *at == now => *tokens += 1,
                    _ => self.recent.push_back((now, 1)),
                }
            }
        }
    }

    fn credit(&self, now: Micros, rate: &ScalingRate) -> u128 {
        let capacity = u128::from(rate.capacity) * rate.token();
        if self.at == Micros::MIN {
            return capacity;
        }
        let earned = u128::from(rate.refill_tokens) * u128::from(elapsed(self.at, now));
        self.amount.saturating_add(earned).min(capacity)
    }
}

/// Whether a taking is out of the window (t - step, t].
fn is_old(at: Micros, now: Micros, rate: &ScalingRate) -> bool {
    elapsed(at, now) >= rate.step.0.cast_unsigned()
}

/// What couples a function's requests per second to its growth (Z19): a warm start above ten a
/// second per unit, environments and bought units together, buys one more unit with a token.
#[derive(Clone, Debug)]
pub struct CoupledUnits {
    /// The aligned second counted.
    second: Micros,
    admitted: u64,
    /// Ends of the units bought, with how many end together; the first to end comes first.
    ends: VecDeque<(Micros, u64)>,
    bought: u64,
}

impl Default for CoupledUnits {
    fn default() -> Self {
        Self { second: Micros::MIN, admitted: 0, ends: VecDeque::new(), bought: 0 }
    }
}

impl CoupledUnits {
    /// Runs admitted so far in the aligned second of `now`.
    #[inline]
    pub fn rate(&self, now: Micros) -> u64 {
        if lies_in(now, self.second, Micros::SECOND) { self.admitted } else { 0 }
    }

    /// A run on demand was admitted.
    #[inline]
    pub fn admitted(&mut self, now: Micros) {
        if !lies_in(now, self.second, Micros::SECOND) {
            self.second = start_of(now, Micros::SECOND);
            self.admitted = 0;
        }
        self.admitted += 1;
    }

    /// Units bought that are alive.
    #[inline]
    pub fn bought(&mut self, now: Micros) -> u64 {
        while let Some((_, units)) = self.ends.front().filter(|(end, _)| *end <= now) {
            self.bought -= units;
            self.ends.pop_front();
        }
        self.bought
    }

    /// Buys a unit that lives for `life`, or for ever; the life is the same throughout.
    pub fn buy(&mut self, now: Micros, life: Option<Micros>) {
        let end = life.map_or(Micros::MAX, |life| now + life);
        match self.ends.back_mut() {
            Some((last, units)) if *last == end => *units += 1,
            last => {
                assert!(last.is_none_or(|(last, _)| *last < end), "one length of life");
                self.ends.push_back((end, 1));
            }
        }
        self.bought += 1;
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_wrap, clippy::cast_sign_loss)] // Small.
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: i64 = 1_000_000;

    /// The preset of today: 1,000 and 100/s (F2.1).
    const TODAY: ScalingRate = ScalingRate {
        mode: ScalingMode::Continuous,
        capacity: 1_000,
        refill_tokens: 1_000,
        refill_per: Micros(10 * S),
        step: Micros(10 * S),
    };

    /// The preset before 2023-11-27: 3,000 and 500 a minute (F2.2).
    const FORMER: ScalingRate = ScalingRate {
        mode: ScalingMode::Continuous,
        capacity: 3_000,
        refill_tokens: 500,
        refill_per: Micros(60 * S),
        step: Micros(60 * S),
    };

    const fn windows(mode: ScalingMode, capacity: u64) -> ScalingRate {
        ScalingRate { mode, capacity, ..TODAY }
    }

    /// Asks, and takes where it may.
    fn ask(bucket: &mut ScalingBucket, now: i64, rate: &ScalingRate) -> bool {
        let granted = !bucket.empty(Micros(now), rate);
        if granted {
            bucket.take(Micros(now), rate);
        }
        granted
    }

    /// Takes all there is.
    fn drain(bucket: &mut ScalingBucket, now: i64, rate: &ScalingRate) -> u64 {
        (0..u64::MAX).take_while(|_| ask(bucket, now, rate)).count() as u64
    }

    #[test]
    fn f2_1_from_a_full_bucket_2_000_environments_start_in_10_s() {
        let mut bucket = ScalingBucket::default();
        assert_eq!(drain(&mut bucket, 0, &TODAY), 1_000);
        let later: u64 = (1..=1_000).map(|tick| drain(&mut bucket, tick * 10_000, &TODAY)).sum();
        assert_eq!(later, 1_000);
    }

    #[test]
    fn f2_2_credit_is_full_again_after_6_minutes_and_not_before() {
        let mut bucket = ScalingBucket::default();
        assert_eq!(drain(&mut bucket, 0, &FORMER), 3_000);
        assert_eq!(drain(&mut bucket, 360 * S, &FORMER), 3_000);
        assert_eq!(drain(&mut bucket, 720 * S - 1, &FORMER), 2_999);
        assert_eq!(drain(&mut bucket, 720 * S, &FORMER), 1);
        assert_eq!(drain(&mut bucket, 72_000 * S, &FORMER), 3_000);
    }

    #[test]
    fn z18_500_per_60_s_is_exact_over_hours() {
        // A token takes 120,000 us; asked every 7,919 us, nothing is lost to rounding.
        let mut bucket = ScalingBucket::default();
        assert_eq!(drain(&mut bucket, 0, &FORMER), 3_000);
        let hours = 12 * 3_600 * S;
        let taken: u64 =
            (0..hours).step_by(7_919).map(|now| drain(&mut bucket, now, &FORMER)).sum();
        let last_asked = (hours - 1) / 7_919 * 7_919;
        assert_eq!(taken, u64::try_from(last_asked / 120_000).unwrap());
        assert!(!ask(&mut bucket, 43_199_999_999, &FORMER));
        assert!(ask(&mut bucket, hours, &FORMER));
    }

    #[test]
    fn z18_a_third_of_a_token_a_second_is_exact() {
        let rate =
            ScalingRate { capacity: 1, refill_tokens: 1, refill_per: Micros(3 * S), ..TODAY };
        let mut bucket = ScalingBucket::default();
        for tick in 0..1_000 {
            assert!(!bucket.empty(Micros(tick * 3 * S), &rate));
            bucket.take(Micros(tick * 3 * S), &rate);
            assert!(bucket.empty(Micros((tick + 1) * 3 * S - 1), &rate));
        }
    }

    #[test]
    fn q33_a_refused_request_changes_nothing() {
        for mode in [ScalingMode::Continuous, ScalingMode::Step, ScalingMode::Sliding] {
            let (mut bucket, rate) = (ScalingBucket::default(), windows(mode, 3));
            assert_eq!(drain(&mut bucket, 0, &rate), 3);
            let before = format!("{bucket:?}");
            for now in 0..1_000 {
                assert!(!ask(&mut bucket, now, &rate));
            }
            assert_eq!(format!("{bucket:?}"), before);
        }
    }

    #[test]
    fn z18_step_fills_at_the_aligned_window() {
        let (mut bucket, rate) = (ScalingBucket::default(), windows(ScalingMode::Step, 5));
        assert_eq!(drain(&mut bucket, -1, &rate), 5);
        assert_eq!(drain(&mut bucket, 0, &rate), 5);
        assert_eq!(drain(&mut bucket, 10 * S - 1, &rate), 0);
        assert_eq!(drain(&mut bucket, 10 * S, &rate), 5);
        assert_eq!(drain(&mut bucket, 95 * S, &rate), 5);
        assert_eq!(drain(&mut bucket, 100 * S - 1, &rate), 0);
    }

    #[test]
    fn z18_sliding_gives_back_what_is_10_s_old() {
        let (mut bucket, rate) = (ScalingBucket::default(), windows(ScalingMode::Sliding, 3));
        assert!(ask(&mut bucket, 0, &rate));
        assert_eq!(drain(&mut bucket, 4 * S, &rate), 2);
        assert!(!ask(&mut bucket, 10 * S - 1, &rate));
        assert_eq!(drain(&mut bucket, 10 * S, &rate), 1);
        assert_eq!(drain(&mut bucket, 14 * S - 1, &rate), 0);
        assert_eq!(drain(&mut bucket, 14 * S, &rate), 2);
    }

    #[test]
    fn sliding_keeps_no_more_than_its_window() {
        let (mut bucket, rate) = (ScalingBucket::default(), windows(ScalingMode::Sliding, 1_000));
        for second in 0..10_000 {
            assert!(ask(&mut bucket, second * S, &rate));
            assert!(bucket.recent.len() <= 10);
        }
    }

    #[test]
    fn a_capacity_of_zero_gives_nothing() {
        for mode in [ScalingMode::Continuous, ScalingMode::Step, ScalingMode::Sliding] {
            let rate = windows(mode, 0);
            assert!(ScalingBucket::default().empty(Micros(5), &rate), "{mode:?}");
        }
    }

    #[test]
    fn a_bucket_that_never_refills_is_full_once() {
        let rate = ScalingRate { refill_tokens: 0, ..TODAY };
        let mut bucket = ScalingBucket::default();
        assert_eq!(drain(&mut bucket, 0, &rate), 1_000);
        assert_eq!(drain(&mut bucket, i64::MAX - 1, &rate), 0);
    }

    #[test]
    fn z19_the_rate_is_of_the_aligned_second() {
        let mut units = CoupledUnits::default();
        assert_eq!(units.rate(Micros::ZERO), 0);
        for now in [1_900_000, 1_999_999] {
            units.admitted(Micros(now));
        }
        assert_eq!(units.rate(Micros(1_999_999)), 2);
        assert_eq!(units.rate(Micros(2_000_000)), 0);
        units.admitted(Micros(2_000_000));
        assert_eq!(units.rate(Micros(2_999_999)), 1);
        assert_eq!(units.rate(Micros(9_000_000)), 0);
    }

    #[test]
    fn z19_a_bought_unit_lives_from_its_purchase() {
        let mut units = CoupledUnits::default();
        let life = Some(Micros(380 * S));
        units.buy(Micros(0), life);
        units.buy(Micros(0), life);
        units.buy(Micros(S), life);
        assert_eq!(units.bought(Micros(380 * S - 1)), 3);
        assert_eq!(units.bought(Micros(380 * S)), 1);
        assert_eq!(units.bought(Micros(381 * S)), 0);
    }

    #[test]
    fn z19_without_idle_expiry_a_bought_unit_lives_for_ever() {
        let mut units = CoupledUnits::default();
        for now in 0..1_000 {
            units.buy(Micros(now), None);
        }
        assert_eq!(units.bought(Micros(i64::MAX - 1)), 1_000);
        assert_eq!(units.ends.len(), 1);
    }

    fn times() -> impl Strategy<Value = Vec<i64>> {
        let wait = prop_oneof![3 => Just(0), 3 => 1..100_000_i64, 2 => 1..3 * S, 1 => Just(5 * S)];
        (-9 * S..9 * S, proptest::collection::vec(wait, 1..150)).prop_map(|(start, waits)| {
            let sums = waits.into_iter().scan(start, |now, wait| {
                *now += wait;
                Some(*now)
            });
            sums.collect()
        })
    }

    proptest! {
        /// Invariant 4: a token is given exactly while no stretch of time has seen more than
        /// capacity + refill x length.
        #[test]
        fn i4_continuous_agrees_with_the_count_over_every_stretch(
            times in times(), capacity in 1..20_i64, tokens in 0..50_i64, per in 1..9 * S,
        ) {
            let rate = ScalingRate {
                mode: ScalingMode::Continuous,
                capacity: capacity as u64,
                refill_tokens: tokens as u64,
                refill_per: Micros(per),
                step: Micros::ZERO,
            };
            let (mut bucket, mut list) = (ScalingBucket::default(), Vec::<i64>::new());
            for now in times {
                let fits = |(place, from): (usize, &i64)| {
                    let taken = (list.len() - place) as i64 + 1;
                    taken * per <= capacity * per + tokens * (now - from)
                };
                let expected = list.iter().enumerate().all(fits);
                prop_assert_eq!(ask(&mut bucket, now, &rate), expected);
                if expected {
                    list.push(now);
                }
            }
        }

        #[test]
        fn z18_windows_agree_with_a_list(
            times in times(), capacities in any::<[u8; 3]>(), step in 1..20 * S, sliding: bool,
        ) {
            let mode = if sliding { ScalingMode::Sliding } else { ScalingMode::Step };
            let (mut bucket, mut list) = (ScalingBucket::default(), Vec::<i64>::new());
            for (place, now) in times.into_iter().enumerate() {
                let capacity = usize::from(capacities[place / 50] % 16);
                let rate = ScalingRate {
                    mode, capacity: capacity as u64, refill_tokens: 0, refill_per: Micros::ZERO,
                    step: Micros(step),
                };
                let within = |at: &&i64| if sliding {
                    **at > now - step
                } else {
                    at.div_euclid(step) == now.div_euclid(step)
                };
                let expected = list.iter().filter(within).count() < capacity;
                prop_assert_eq!(ask(&mut bucket, now, &rate), expected);
                if expected {
                    list.push(now);
                }
            }
        }

        #[test]
        fn z19_units_agree_with_lists(
            times in times(), buys in any::<u64>(), life in proptest::option::of(0..9 * S),
        ) {
            let mut units = CoupledUnits::default();
            let (mut admitted, mut bought) = (Vec::<i64>::new(), Vec::<i64>::new());
            for (place, now) in times.into_iter().enumerate() {
                let same = |at: &&i64| at.div_euclid(S) == now.div_euclid(S);
                let alive = |at: &&i64| life.is_none_or(|life| now < **at + life);
                let at = Micros(now);
                prop_assert_eq!(units.rate(at), admitted.iter().filter(same).count() as u64);
                prop_assert_eq!(units.bought(at), bought.iter().filter(alive).count() as u64);
                units.admitted(at);
                admitted.push(now);
                if buys >> (place % 64) & 1 == 1 {
                    units.buy(at, life.map(Micros));
                    bought.push(now);
                }
            }
        }
    }
}
