//! What waits between two tries: back-off of clients after a 429 (F4.2, Z28) and of Lambda's own
//! queue after throttles and errors (F5.3, F5.4).
//!
//! Owns how long the wait is before any jitter; whose luck the jitter is, is the engine's.

use crate::time::Micros;

/// What a client does about a 429 (F4.2, Z28).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClientRetry {
    /// Tries in all.
    pub max_attempts: u32,
    /// Longest wait after the first refusal; it doubles with each.
    pub base: Micros,
    /// No wait is longer.
    pub cap: Option<Micros>,
    /// What part of the longest wait is waited; a uniform part where there is none.
    pub factor: Option<f64>,
    /// Tokens for retries, five each.
    pub quota: Option<u32>,
    /// The client gives up waiting for an answer after this time.
    pub read_timeout: Option<Micros>,
    /// Whether it limits its own rate (F4.2, AWS's mode `adaptive`).
    pub adaptive: bool,
}

/// Tokens that a retry takes (F4.2).
const RETRY_COST: u64 = 5;

impl ClientRetry {
    /// The longest wait before another try, if there is another after `tries`.
    pub fn next_wait(&self, tries: u32) -> Option<Micros> {
        let retries = tries; // the try after `tries` is that retry
        if tries >= self.max_attempts {
            return None;
        }
        if self.quota.is_some_and(|quota| u64::from(retries) * RETRY_COST > u64::from(quota)) {
            return None;
        }
        let wait = doubled(self.base, tries - 1);
        Some(self.cap.map_or(wait, |cap| wait.min(cap)))
    }
}

/// Longest interval between attempts of a throttled event (F5.4).
const LONGEST: Micros = Micros(300_000_000);

/// Wait of an asynchronous event after its throttle number `k` (0, 1, …) in a row (F5.4).
pub fn throttle_wait(k: u32) -> Micros {
    doubled(Micros::SECOND, k).min(LONGEST)
}

/// Wait of an asynchronous event after its failed run number `k` (0, 1, …) (F5.3).
pub fn error_wait(k: u32) -> Micros {
    Micros(Micros::MINUTE.0 * (i64::from(k) + 1))
}

/// A time doubled `times` times, as far as that goes.
fn doubled(time: Micros, times: u32) -> Micros {
    let factor = 1_i64.checked_shl(times).filter(|factor| *factor > 0);
    Micros(factor.and_then(|factor| time.0.checked_mul(factor)).unwrap_or(i64::MAX / 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f5_4_throttles_wait_one_second_doubling_to_five_minutes() {
        let waits: Vec<i64> = (0..11).map(|k| throttle_wait(k).0 / 1_000_000).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(throttle_wait(4_000), LONGEST);
    }

    #[test]
    fn f5_3_errors_wait_one_minute_then_two() {
        assert_eq!([error_wait(0).0, error_wait(1).0], [60_000_000, 120_000_000]);
    }

    #[test]
    fn z28_waits_double_up_to_the_cap() {
        let retry = ClientRetry {
            max_attempts: 5,
            base: Micros(100),
            cap: Some(Micros(300)),
            factor: None,
            quota: None,
            read_timeout: None,
            adaptive: false,
        };
        let waits: Vec<_> =
            (1..=5).map(|tries| retry.next_wait(tries).map(|wait| wait.0)).collect();
        assert_eq!(waits, [Some(100), Some(200), Some(300), Some(300), None]);
    }

    #[test]
    fn z28_a_quota_of_ten_pays_for_two_retries() {
        let retry = ClientRetry {
            max_attempts: 10,
            base: Micros(1),
            cap: None,
            factor: Some(1.0),
            quota: Some(10),
            read_timeout: None,
            adaptive: false,
        };
        assert!(retry.next_wait(2).is_some());
        assert!(retry.next_wait(3).is_none());
    }
}
