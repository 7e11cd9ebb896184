//! The rate limiter of a client in AWS's retry mode `adaptive` (F4.2): a token bucket whose rate
//! follows the answers, cut at a throttle and grown back along a cubic curve.
//!
//! Owns the rate and the tokens; who waits for one, and until when, is the engine's. As read in
//! botocore, but in whole numbers: rates in millionths of a request per second, times in
//! microseconds, tokens in 10^-12, so that no float decides when a request is sent.

use crate::time::Micros;

/// One request per second.
const ONE: i128 = 1_000_000;
/// One token.
const TOKEN: i128 = 1_000_000_000_000;
/// The bucket never fills more slowly.
const LEAST_RATE: i128 = ONE / 2;
/// The rate is measured over parts of this length.
const PART: i64 = 500_000;
/// Beyond that time after a throttle the curve is above any rate.
const FAR: i128 = 1_000_000_000_000;

/// The state of one client.
#[derive(Clone, Debug)]
pub struct RateLimiter {
    /// Whether a throttle has switched it on.
    enabled: bool,
    fill_rate: i128,
    capacity: i128,
    tokens: i128,
    filled_to: Micros,
    /// The cubic curve: rate at the last throttle, when that was, and the time to come back to it.
    top: i128,
    back_after: i128,
    last_throttle: Micros,
    /// The measured rate: answers since the part that begins here.
    measured: i128,
    part: Micros,
    count: i128,
}

impl RateLimiter {
    /// A client that sends its first request.
    pub fn new(now: Micros) -> Self {
        Self {
            enabled: false,
            fill_rate: ONE,
            capacity: TOKEN,
            tokens: 0,
            filled_to: now,
            top: 0,
            back_after: 0,
            last_throttle: now,
            measured: 0,
            part: now.floor_to(Micros::SECOND),
            count: 0,
        }
    }

    /// When a request may be sent if the rate stays: now, or later.
    pub fn next(&mut self, now: Micros) -> Micros {
        self.fill(now);
        let missing = TOKEN - self.tokens;
        if !self.enabled || missing <= 0 {
            return now;
        }
        now + wait(missing, self.fill_rate)
    }

    /// Takes the token of a request that is sent now, if it may be.
    pub fn take(&mut self, now: Micros) -> bool {
        let free = self.next(now) == now;
        if free && self.enabled {
            self.tokens -= TOKEN;
        }
        free
    }

    /// An answer arrives: another rate holds from now on.
    pub fn answered(&mut self, throttled: bool, now: Micros) {
        self.measure(now);
        let rate = if throttled {
            let rate = if self.enabled { self.measured.min(self.fill_rate) } else { self.measured };
            self.top = rate;
            // K^3 = top x 0.3 / 0.4, in microseconds.
            self.back_after = cube_root(rate * 3 * TOKEN / 4);
            self.last_throttle = now;
            self.enabled = true;
            rate * 7 / 10
        } else {
            let after = i128::from((now - self.last_throttle).0) - self.back_after;
            let after = after.min(FAR);
            // 0.4 x after^3, floored.
            (4 * after * after * after).div_euclid(10 * TOKEN) + self.top
        };
        self.set(rate.min(2 * self.measured), now);
    }

    fn measure(&mut self, now: Micros) {
        self.count += 1;
        let part = now.floor_to(Micros(PART));
        if part > self.part {
            let rate = self.count * ONE * ONE / i128::from((part - self.part).0);
            self.measured = (8 * rate + 2 * self.measured) / 10;
            self.count = 0;
            self.part = part;
        }
    }

    fn set(&mut self, rate: i128, now: Micros) {
        self.fill(now);
        self.fill_rate = rate.max(LEAST_RATE);
        self.capacity = rate.max(ONE) * ONE;
        self.tokens = self.tokens.min(self.capacity);
    }

    fn fill(&mut self, now: Micros) {
        let more = i128::from((now - self.filled_to).0) * self.fill_rate;
        self.tokens = (self.tokens + more).min(self.capacity);
        self.filled_to = now;
    }
}

/// Time until `missing` tokens are there, rounded up.
fn wait(missing: i128, rate: i128) -> Micros {
    let time = missing.div_euclid(rate) + i128::from(missing.rem_euclid(rate) > 0);
    Micros(i64::try_from(time).expect("at most two seconds a token"))
}

/// The largest whole number whose cube is not above.
fn cube_root(of: i128) -> i128 {
    let (mut low, mut high) = (0_i128, 1 << 40);
    while low < high {
        let middle = low + (high - low + 1) / 2;
        if middle * middle * middle <= of { low = middle } else { high = middle - 1 }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn f4_2_nothing_is_held_back_before_the_first_throttle() {
        let mut limiter = RateLimiter::new(Micros(0));
        assert!(limiter.take(Micros(0)));
        limiter.answered(false, Micros(10));
        assert!(limiter.take(Micros(10)) && limiter.take(Micros(10)));
    }

    #[test]
    fn f4_2_a_throttle_cuts_the_rate_to_seven_tenths() {
        let mut limiter = RateLimiter::new(Micros(0));
        for tenth in 0..10 {
            limiter.answered(false, Micros(tenth * SECOND / 10));
        }
        // 6 answers up to the part that begins at 0.5 s (the one at 0.5 s closes it): 12 a second,
        // times 0.8; 5 in the next, 10 a second.
        limiter.answered(true, Micros(SECOND));
        let measured = (8 * 10_000_000 + 2 * 9_600_000) / 10;
        assert_eq!(limiter.measured, measured);
        assert_eq!((limiter.top, limiter.fill_rate), (measured, measured * 7 / 10));
        assert!(limiter.enabled);
    }

    #[test]
    fn f4_2_the_rate_is_back_after_k_seconds() {
        let mut limiter = RateLimiter::new(Micros(0));
        limiter.measured = 20 * ONE;
        limiter.answered(true, Micros(0));
        // K = (20 x 0.3 / 0.4)^(1/3) = 2.466 s.
        assert_eq!(limiter.back_after, 2_466_212);
        limiter.measured = 100 * ONE;
        limiter.answered(false, Micros(2_466_212));
        assert!((limiter.fill_rate - 20 * ONE).abs() <= 1);
    }

    #[test]
    fn f4_2_the_rate_never_falls_below_half_a_request_per_second() {
        let mut limiter = RateLimiter::new(Micros(0));
        limiter.answered(true, Micros(0));
        assert_eq!(limiter.fill_rate, LEAST_RATE);
        assert!(!limiter.take(Micros(0)));
        assert_eq!(limiter.next(Micros(0)), Micros(2 * SECOND));
        assert!(limiter.take(Micros(2 * SECOND)) && !limiter.take(Micros(2 * SECOND)));
    }

    #[test]
    fn roots_are_floored() {
        assert_eq!([0, 1, 7, 8, 26, 27].map(cube_root), [0, 1, 1, 2, 2, 3]);
        assert_eq!(cube_root(1_000_000_000_000_000_000), 1_000_000);
    }
}
