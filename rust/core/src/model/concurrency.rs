//! Who may run: units of concurrency (F1).
//!
//! Owns the count of requests in flight against the account's limit and the admission decision.
//! A unit is held from acceptance to release, init included (F1.3); a refusal changes nothing.

/// What bound when a request was refused; the product's own names, since AWS's reasons share some
/// (F1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Limit {
    /// The account's concurrency in the Region.
    AccountConcurrency,
}

impl Limit {
    /// Every limit, in the order of their numbers.
    pub const ALL: [Self; 1] = [Self::AccountConcurrency];

    /// Name in the column `limit`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccountConcurrency => "account_concurrency",
        }
    }

    /// `Reason` of the 429 (F1.6).
    pub const fn reason(self) -> &'static str {
        match self {
            Self::AccountConcurrency => "ConcurrentInvocationLimitExceeded",
        }
    }
}

/// Answer to a request for a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Claim {
    /// A unit is taken until it is given back.
    Granted,
    /// Refused with 429; nothing changed.
    Throttled(Limit),
}

/// Units of concurrency of one account in one Region.
#[derive(Clone, Debug)]
pub struct ConcurrencyLedger {
    limit: u32,
    in_flight: u32,
}

impl ConcurrencyLedger {
    /// A ledger with nothing in flight.
    pub const fn new(limit: u32) -> Self {
        Self { limit, in_flight: 0 }
    }

    /// Requests in flight.
    #[inline]
    pub const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Asks for a unit.
    #[inline]
    pub fn claim(&mut self) -> Claim {
        if self.in_flight >= self.limit {
            return Claim::Throttled(Limit::AccountConcurrency);
        }
        self.in_flight += 1;
        Claim::Granted
    }

    /// Gives a unit back.
    #[inline]
    pub fn release(&mut self) {
        assert!(self.in_flight > 0, "a unit is given back once");
        self.in_flight -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttles_at_the_limit_and_not_below() {
        let mut ledger = ConcurrencyLedger::new(2);
        assert_eq!(ledger.claim(), Claim::Granted);
        assert_eq!(ledger.claim(), Claim::Granted);
        assert_eq!(ledger.claim(), Claim::Throttled(Limit::AccountConcurrency));
        ledger.release();
        assert_eq!(ledger.claim(), Claim::Granted);
        assert_eq!(ledger.in_flight(), 2);
    }

    #[test]
    fn limits_are_numbered_as_listed() {
        for (number, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, number);
        }
    }
}
