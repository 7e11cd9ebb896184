//! How many batches a queue may have at once: the ramp, scale-in, back-off after errors (E5.1,
//! E5.4, E5.6; P15, P16, P18, P23).

use std::collections::VecDeque;

use crate::time::Micros;

/// Errors of so long count (P18).
const ERROR_WINDOW: Micros = Micros::MINUTE;
/// Back-off leaves so many batches (P18); so many are left after a long time without messages
/// (P16).
const FLOOR: u32 = 2;

/// How the number of slots grows while messages wait for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ramp {
    /// Slots when the first message comes.
    pub(super) start: u32,
    /// Never more.
    pub(super) cap: u32,
    /// More per minute.
    pub(super) per_minute: u32,
    /// Whether these come once a minute.
    pub(super) steps: bool,
}

impl Ramp {
    fn base(&self) -> u32 {
        self.start.min(self.cap)
    }

    /// Slots gained by so much time with a backlog.
    fn gained(&self, growth: Micros) -> u32 {
        let rate = i64::from(self.per_minute);
        let gained = if self.steps {
            growth.0 / Micros::MINUTE.0 * rate
        } else {
            // Growth stops at the cap: the product is small.
            growth.0 * rate / Micros::MINUTE.0
        };
        u32::try_from(gained).expect("growth stops at the cap")
    }

    /// Time with a backlog that gives so many slots.
    fn time_for(&self, slots: u32) -> Micros {
        let (slots, rate) = (i64::from(slots), i64::from(self.per_minute));
        if self.steps {
            return Micros((slots + rate - 1) / rate * Micros::MINUTE.0);
        }
        Micros((slots * Micros::MINUTE.0 + rate - 1) / rate)
    }
}

/// The slots of a mapping.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    ramp: Ramp,
    /// Slots before any were gained.
    base: u32,
    /// Time with a backlog since then, up to `since`.
    growth: Micros,
    /// Since when there has been a backlog.
    since: Option<Micros>,
}

impl Slots {
    pub(super) fn new(ramp: Ramp) -> Self {
        assert!(ramp.cap > 0 && ramp.per_minute > 0, "slots come");
        Self { ramp, base: ramp.base(), growth: Micros::ZERO, since: None }
    }

    /// How many there are, growth up to the last change of the backlog counted.
    #[inline]
    pub(super) fn count(&self) -> u32 {
        (self.base + self.ramp.gained(self.growth)).min(self.ramp.cap)
    }

    /// Time that brings the last slot.
    fn full(&self) -> Micros {
        self.ramp.time_for(self.ramp.cap.saturating_sub(self.base))
    }

    /// Counts the time since the backlog began or was last counted.
    pub(super) fn advance(&mut self, now: Micros) {
        if let Some(since) = self.since {
            self.growth = Micros((self.growth + (now - since)).0.min(self.full().0));
            self.since = Some(now);
        }
    }

    /// Messages wait for a slot from now on, or none does.
    #[inline]
    pub(super) fn set_backlog(&mut self, backlog: bool, now: Micros) {
        if backlog != self.since.is_some() {
            self.advance(now);
            self.since = backlog.then_some(now);
        }
    }

    /// Whether messages wait for a slot.
    pub(super) const fn has_backlog(&self) -> bool {
        self.since.is_some()
    }

    /// When the next slot comes if the backlog lasts.
    pub(super) fn next_gain(&self) -> Option<Micros> {
        let since = self.since?;
        let count = self.base + self.ramp.gained(self.growth);
        if count >= self.ramp.cap {
            return None;
        }
        Some(since + (self.ramp.time_for(count - self.base + 1) - self.growth))
    }

    /// Slots go, down to `left`; the ramp goes on from there.
    pub(super) fn shrink_to(&mut self, left: u32) {
        self.base = self.count().min(left);
        self.growth = Micros::ZERO;
    }

    /// No message has been there for `idle` (P16).
    pub(super) fn scale_in(&mut self, idle: Micros, scale_in: Micros, deep: Option<Micros>) {
        if deep.is_some_and(|deep| idle >= deep) {
            self.shrink_to(FLOOR);
        } else if idle >= scale_in {
            self.shrink_to(self.ramp.base());
        }
    }

    /// The settings change.
    pub(super) fn set_ramp(&mut self, ramp: Ramp, now: Micros) {
        if ramp == self.ramp {
            return;
        }
        self.advance(now);
        let fresh = self.base == self.ramp.base();
        let gained = self.count() - self.base.min(self.ramp.cap);
        self.ramp = ramp;
        self.base = if fresh { ramp.base() } else { self.base.min(ramp.cap) };
        // What was gained stays, up to the cap.
        self.growth = ramp.time_for(gained.min(ramp.cap - self.base));
    }
}

/// Ends of runs in the last minute, and how many of them failed.
#[derive(Clone, Debug, Default)]
pub(super) struct Errors {
    /// Instants, twice, plus one where the run failed.
    ends: VecDeque<i64>,
    failed: u64,
    /// The last answer: failed, ended, slots, limit.
    last: (u64, u64, u32, u32),
}

impl Errors {
    /// A run has ended.
    pub(super) fn record(&mut self, failed: bool, now: Micros) {
        self.forget(now);
        self.ends.push_back(now.0 * 2 + i64::from(failed));
        self.failed += u64::from(failed);
    }

    fn forget(&mut self, now: Micros) {
        while let Some(first) = self.ends.front() {
            if Micros(first >> 1) + ERROR_WINDOW > now {
                break;
            }
            self.failed -= (first & 1).unsigned_abs();
            self.ends.pop_front();
        }
    }

    /// How many of `slots` may be busy (P18): the share of runs that failed within the last minute
    /// decides.
    pub(super) fn limit(&mut self, slots: u32, now: Micros) -> u32 {
        if self.failed == 0 {
            return slots;
        }
        self.forget(now);
        let ended = self.ends.len() as u64;
        if (self.failed, ended, slots) != (self.last.0, self.last.1, self.last.2) {
            self.last = (self.failed, ended, slots, limit(self.failed, ended, slots));
        }
        self.last.3
    }

    /// When the first of the runs that count no longer does.
    pub(super) fn next_change(&self) -> Option<Micros> {
        self.ends.front().map(|first| Micros(first >> 1) + ERROR_WINDOW)
    }

    /// Nothing counts any more.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The fit of E5.4: 25, 16 and 13 of 60 at 1, 5 and 10 % errors.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Between 0 and `slots`.
fn limit(failed: u64, ended: u64, slots: u32) -> u32 {
    if failed == 0 {
        return slots;
    }
    let share = failed as f64 / ended as f64;
    // The same on every platform, which the one of std does not promise.
    let ratio = (0.417 * libm::pow(share / 0.01, -0.285)).min(1.0);
    ((f64::from(slots) * ratio).floor() as u32).max(FLOOR).min(slots)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAMP: Ramp = Ramp { start: 5, cap: 1_250, per_minute: 300, steps: false };

    fn seconds(s: i64) -> Micros {
        Micros(s * 1_000_000)
    }

    fn after(ramp: Ramp, backlog: Micros) -> u32 {
        let mut slots = Slots::new(ramp);
        slots.set_backlog(true, Micros(7));
        slots.advance(Micros(7) + backlog);
        slots.count()
    }

    #[test]
    fn e5_1_five_and_five_more_a_second_up_to_1250() {
        assert_eq!(after(RAMP, Micros(199_999)), 5);
        assert_eq!(after(RAMP, Micros(200_000)), 6);
        assert_eq!(after(RAMP, seconds(60)), 305);
        assert_eq!(after(RAMP, Micros(248_999_999)), 1_249);
        assert_eq!(after(RAMP, seconds(249)), 1_250);
        assert_eq!(after(RAMP, seconds(100_000_000)), 1_250);
    }

    #[test]
    fn p15_step60_adds_300_each_minute() {
        let ramp = Ramp { steps: true, ..RAMP };
        assert_eq!(after(ramp, Micros(59_999_999)), 5);
        assert_eq!(after(ramp, seconds(60)), 305);
        assert_eq!(after(ramp, seconds(119)), 305);
        assert_eq!(after(ramp, seconds(400)), 1_250);
    }

    #[test]
    fn maximum_concurrency_caps_the_start_too() {
        assert_eq!(after(Ramp { cap: 2, ..RAMP }, seconds(60)), 2);
        assert_eq!(after(Ramp { cap: 7, ..RAMP }, Micros(399_999)), 6);
        assert_eq!(after(Ramp { cap: 7, ..RAMP }, seconds(60)), 7);
    }

    #[test]
    fn only_time_with_a_backlog_counts_and_the_rest_of_it_is_kept() {
        let mut slots = Slots::new(RAMP);
        slots.set_backlog(true, Micros(0));
        assert_eq!(slots.next_gain(), Some(Micros(200_000)));
        slots.set_backlog(false, Micros(150_000));
        assert_eq!((slots.next_gain(), slots.count()), (None, 5));
        slots.set_backlog(true, seconds(100));
        assert_eq!(slots.next_gain(), Some(Micros(100_050_000)));
        slots.advance(Micros(100_050_000));
        assert_eq!((slots.count(), slots.next_gain()), (6, Some(Micros(100_250_000))));
    }

    #[test]
    fn p16_without_messages_back_to_five_then_two() {
        let mut slots = Slots::new(RAMP);
        slots.set_backlog(true, Micros(0));
        slots.set_backlog(false, seconds(10));
        assert_eq!(slots.count(), 55);
        slots.scale_in(Micros(59_999_999), seconds(60), Some(seconds(900)));
        assert_eq!(slots.count(), 55);
        slots.scale_in(seconds(60), seconds(60), Some(seconds(900)));
        assert_eq!(slots.count(), 5);
        slots.scale_in(seconds(900), seconds(60), None);
        assert_eq!(slots.count(), 5);
        slots.scale_in(seconds(900), seconds(60), Some(seconds(900)));
        assert_eq!(slots.count(), 2);
        slots.scale_in(seconds(60), seconds(60), Some(seconds(900)));
        assert_eq!(slots.count(), 2);
        slots.set_backlog(true, seconds(1_000));
        slots.advance(seconds(1_001));
        assert_eq!(slots.count(), 7);
    }

    #[test]
    fn a_changed_cap_takes_and_gives() {
        let mut slots = Slots::new(RAMP);
        slots.set_backlog(true, Micros(0));
        slots.set_ramp(Ramp { cap: 10, ..RAMP }, seconds(10));
        assert_eq!(slots.count(), 10);
        slots.set_ramp(RAMP, seconds(10));
        assert_eq!(slots.count(), 10);
        slots.advance(seconds(11));
        assert_eq!(slots.count(), 15);
        let mut slots = Slots::new(Ramp { cap: 2, ..RAMP });
        slots.set_ramp(Ramp { cap: 10, ..RAMP }, seconds(10));
        assert_eq!(slots.count(), 5);
    }

    #[test]
    fn e5_4_errors_leave_25_16_and_13_of_60() {
        assert_eq!((limit(1, 100, 60), limit(5, 100, 60), limit(10, 100, 60)), (25, 15, 12));
        assert_eq!((limit(0, 100, 60), limit(100, 100, 60), limit(100, 100, 5)), (60, 6, 2));
        // Few errors take nothing.
        assert_eq!(limit(1, 10_000, 60), 60);
    }

    #[test]
    fn errors_count_for_a_minute() {
        let mut errors = Errors::default();
        assert_eq!(errors.limit(1_000, Micros(0)), 1_000);
        errors.record(true, seconds(1));
        errors.record(false, seconds(2));
        let half = limit(1, 2, 1_000);
        assert_eq!(errors.limit(1_000, Micros(60_999_999)), half);
        assert_eq!(errors.next_change(), Some(seconds(61)));
        assert_eq!(errors.limit(1_000, seconds(61)), 1_000);
    }
}
