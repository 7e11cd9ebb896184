//! How many requests a second (F1.4): the account's window, a function's, a provisioned pool's.
//!
//! Owns the count of requests let in, or the credit left. Whose window it is and what a request
//! counts for (Q32) is the caller's business, as is the limit, which may change between requests.

use crate::time::Micros;

/// One request in the unit of credit: the rate of a bucket is then its credit per microsecond.
const REQUEST: u64 = 1_000_000;

/// How requests per second are counted (Q4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowShape {
    /// So many per window aligned to the epoch, in proportion to its length (Z56).
    FixedWindow {
        /// Length of the window.
        window: Micros,
    },
    /// A bucket that holds one second's worth, full at the start (Z17).
    TokenBucket,
}

/// One window or bucket of requests, of one shape throughout.
///
/// A fixed window counts all requests let in, whatever the limit is; a bucket never taken from is
/// full, and its credit is worked out with the limit of the moment.
#[derive(Clone, Copy, Debug)]
pub struct RequestWindow {
    /// Start of the window counted; the last taking from the bucket.
    at: Micros,
    /// Requests in that window; credit left after that taking.
    amount: u64,
}

const _: () = assert!(size_of::<RequestWindow>() == 16, "four to a cache line");

impl Default for RequestWindow {
    /// The window before all times is over, the bucket last taken from before all times is full.
    fn default() -> Self {
        Self { at: Micros::MIN, amount: 0 }
    }
}

impl RequestWindow {
    /// Whether a request at `now` is one too many. Asking changes nothing.
    #[inline]
    pub fn full(&self, now: Micros, per_second: u64, shape: WindowShape) -> bool {
        match shape {
            WindowShape::FixedWindow { window } => {
                let count = if lies_in(now, self.at, window) { self.amount } else { 0 };
                if window == Micros::SECOND {
                    return count >= per_second;
                }
                let allowed = u128::from(per_second) * u128::from(window.0.unsigned_abs());
                (u128::from(count) + 1) * u128::from(REQUEST) > allowed
            }
            WindowShape::TokenBucket => self.credit(now, per_second) < REQUEST,
        }
    }

    /// Lets a request in.
    #[inline]
    pub fn take(&mut self, now: Micros, per_second: u64, shape: WindowShape) {
        match shape {
            WindowShape::FixedWindow { window } => {
                if !lies_in(now, self.at, window) {
                    *self = Self { at: start_of(now, window), amount: 0 };
                }
                self.amount += 1;
            }
            WindowShape::TokenBucket => {
                let credit = self.credit(now, per_second);
                assert!(credit >= REQUEST, "the bucket was asked first");
                *self = Self { at: now, amount: credit - REQUEST };
            }
        }
    }

    /// Credit of the bucket. Saturation is at 2^64 / 10^6 requests a second, which no limit is.
    fn credit(&self, now: Micros, per_second: u64) -> u64 {
        let earned = per_second.saturating_mul(elapsed(self.at, now));
        self.amount.saturating_add(earned).min(per_second.saturating_mul(REQUEST))
    }
}

/// Microseconds from one instant to a later one; from the start of all time they fit as well.
#[inline]
pub(super) const fn elapsed(from: Micros, to: Micros) -> u64 {
    to.0.wrapping_sub(from.0).cast_unsigned()
}

/// Whether `now` lies in the window that starts at `start`.
#[inline]
pub(super) const fn lies_in(now: Micros, start: Micros, window: Micros) -> bool {
    elapsed(start, now) < window.0.cast_unsigned()
}

/// Start of the aligned window of `now`.
#[inline]
pub(super) fn start_of(now: Micros, window: Micros) -> Micros {
    // A division by a constant is a multiplication: a second is worth that.
    if window == Micros::SECOND { now.floor_to(Micros::SECOND) } else { now.floor_to(window) }
}

#[cfg(test)]
#[allow(clippy::cast_possible_wrap, clippy::cast_sign_loss)] // Small.
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: i64 = 1_000_000;
    const SECOND: WindowShape = WindowShape::FixedWindow { window: Micros::SECOND };

    /// Asks, and takes where it may.
    fn ask(window: &mut RequestWindow, now: i64, per_second: u64, shape: WindowShape) -> bool {
        let admitted = !window.full(Micros(now), per_second, shape);
        if admitted {
            window.take(Micros(now), per_second, shape);
        }
        admitted
    }

    fn admitted(times: impl Iterator<Item = i64>, per_second: u64, shape: WindowShape) -> usize {
        let mut window = RequestWindow::default();
        times.filter(|at| ask(&mut window, *at, per_second, shape)).count()
    }

    #[test]
    fn f1_4_of_20_000_requests_in_a_second_10_000_pass() {
        let second = || (0..20_000).map(|number| 1_700_000_000 * S + number * 50);
        assert_eq!(admitted(second(), 10_000, SECOND), 10_000);
        // The last of them comes 50 us before the second is over: 9,999 have come back by then.
        assert_eq!(admitted(second(), 10_000, WindowShape::TokenBucket), 19_999);
    }

    #[test]
    fn q4_windows_are_aligned_and_half_open() {
        let mut window = RequestWindow::default();
        for (now, expected) in [
            (-1, true),
            (-1, false),
            (0, true),
            (S - 1, false),
            (S, true),
            (S, false),
            (2 * S - 1, false),
            (7 * S, true),
        ] {
            assert_eq!(ask(&mut window, now, 1, SECOND), expected, "at {now}");
        }
    }

    #[test]
    fn q32_a_refusal_leaves_no_trace() {
        for shape in [SECOND, WindowShape::TokenBucket] {
            let mut window = RequestWindow::default();
            assert!(ask(&mut window, 0, 1, shape));
            let before = format!("{window:?}");
            for now in 0..1_000 {
                assert!(!ask(&mut window, now, 1, shape));
            }
            assert_eq!(format!("{window:?}"), before);
        }
    }

    #[test]
    fn q32_a_window_counts_whatever_the_limit() {
        let mut window = RequestWindow::default();
        for _ in 0..30 {
            window.take(Micros(5), 0, SECOND);
        }
        assert!(window.full(Micros(6), 30, SECOND));
        assert!(!window.full(Micros(6), 31, SECOND));
    }

    #[test]
    fn a_limit_of_zero_lets_nothing_in() {
        for shape in [SECOND, WindowShape::TokenBucket] {
            assert_eq!(admitted((0..10).map(|second| second * S), 0, shape), 0);
        }
    }

    #[test]
    fn z56_another_window_holds_its_share_of_the_limit() {
        let at_once = || std::iter::repeat_n(0, 100);
        for (window, per_second, expected) in [
            (10 * S, 3, 30),
            (S / 2, 3, 1),
            (S / 2, 4, 2),
            (S / 10, 9, 0),
            (S / 10, 10, 1),
            (1_500_000, 3, 4),
            (333_333, 3, 0),
            (333_334, 3, 1),
        ] {
            let shape = WindowShape::FixedWindow { window: Micros(window) };
            assert_eq!(admitted(at_once(), per_second, shape), expected, "{window} {per_second}");
        }
    }

    #[test]
    fn z17_a_bucket_is_full_at_the_start_and_holds_a_second() {
        let mut window = RequestWindow::default();
        let shape = WindowShape::TokenBucket;
        for now in [-400 * S, 3_600 * S] {
            assert_eq!((0..20).filter(|_| ask(&mut window, now, 10, shape)).count(), 10);
            assert!(!ask(&mut window, now + 99_999, 10, shape));
            assert!(ask(&mut window, now + 100_000, 10, shape));
        }
    }

    #[test]
    fn z17_credit_follows_the_limit_of_the_moment() {
        let mut window = RequestWindow::default();
        let shape = WindowShape::TokenBucket;
        assert!(ask(&mut window, 0, 10, shape));
        // Nine are left; a lower limit caps them, and what was not taken stays.
        assert_eq!(window.credit(Micros::ZERO, 2), 2 * REQUEST);
        assert_eq!(window.credit(Micros::ZERO, 100), 9 * REQUEST);
        assert_eq!(window.credit(Micros(S / 2), 100), 59 * REQUEST);
    }

    #[test]
    fn no_limit_is_too_high() {
        for shape in [SECOND, WindowShape::FixedWindow { window: Micros::MAX }] {
            assert_eq!(admitted(0..1_000, u64::MAX, shape), 1_000);
        }
        assert_eq!(admitted(0..1_000, u64::MAX, WindowShape::TokenBucket), 1_000);
    }

    fn times() -> impl Strategy<Value = Vec<i64>> {
        let wait = prop_oneof![3 => Just(0), 3 => 1..100_000_i64, 1 => 1..3 * S];
        (-5 * S..5 * S, proptest::collection::vec(wait, 1..150)).prop_map(|(start, waits)| {
            let sums = waits.into_iter().scan(start, |now, wait| {
                *now += wait;
                Some(*now)
            });
            sums.collect()
        })
    }

    proptest! {
        /// A fixed window is a count over the list of all requests let in.
        #[test]
        fn q4_a_fixed_window_agrees_with_a_list(
            times in times(), window in prop_oneof![Just(S), 1..5 * S], limits in any::<[u8; 3]>(),
        ) {
            let shape = WindowShape::FixedWindow { window: Micros(window) };
            let (mut machine, mut list) = (RequestWindow::default(), Vec::new());
            for (place, now) in times.into_iter().enumerate() {
                let limit = limits[place / 50];
                let same = |at: &&i64| at.div_euclid(window) == now.div_euclid(window);
                let after = list.iter().filter(same).count() as i64 + 1;
                let expected = after * S <= i64::from(limit) * window;
                prop_assert_eq!(ask(&mut machine, now, u64::from(limit), shape), expected);
                if expected {
                    list.push(now);
                }
            }
        }

        /// A bucket lets a request in while no stretch of time has seen more than it allows.
        #[test]
        fn z17_a_bucket_agrees_with_the_count_over_every_stretch(
            times in times(), limit in 1..40_i64,
        ) {
            let (mut machine, mut list) = (RequestWindow::default(), Vec::<i64>::new());
            for now in times {
                let fits = |(place, from): (usize, &i64)| {
                    let taken = (list.len() - place) as i64 + 1;
                    taken * S <= limit * S + limit * (now - from)
                };
                let expected = list.iter().enumerate().all(fits);
                let answer = ask(&mut machine, now, limit as u64, WindowShape::TokenBucket);
                prop_assert_eq!(answer, expected);
                if expected {
                    list.push(now);
                }
            }
        }
    }
}
