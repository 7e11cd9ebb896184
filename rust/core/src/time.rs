//! Instants and spans in whole microseconds.
//!
//! Owns the unit of time. Everything that decides what happens next is an integer; a float
//! never does (Q30).

use std::ops::{Add, Sub};

/// An instant (microseconds since the epoch) or a span (microseconds).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Micros(pub i64);

impl Micros {
    /// Later than every instant of a trace.
    pub const MAX: Self = Self(i64::MAX);
    /// Earlier than every instant of a trace.
    pub const MIN: Self = Self(i64::MIN);
    /// The empty span.
    pub const ZERO: Self = Self(0);
    /// One second.
    pub const SECOND: Self = Self(1_000_000);
    /// One minute: the period of `CloudWatch` metrics (F6).
    pub const MINUTE: Self = Self(60_000_000);

    /// The start of the whole UTC period (second, minute) that holds this instant.
    #[inline]
    #[must_use]
    pub const fn floor_to(self, period: Self) -> Self {
        Self(self.0 - self.0.rem_euclid(period.0))
    }

    /// A sum that may grow with the trace: it never wraps.
    #[inline]
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.checked_add(other.0).expect("the sum of all spans is below 292,000 years"))
    }
}

impl Add for Micros {
    type Output = Self;

    #[inline]
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Micros {
    type Output = Self;

    #[inline]
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floor_goes_down_before_the_epoch_too() {
        assert_eq!(Micros(61_000_000).floor_to(Micros::MINUTE), Micros(60_000_000));
        assert_eq!(Micros(60_000_000).floor_to(Micros::MINUTE), Micros(60_000_000));
        assert_eq!(Micros(-1).floor_to(Micros::MINUTE), Micros(-60_000_000));
    }
}
