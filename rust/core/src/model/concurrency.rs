//! Who may run: units of concurrency (F1).
//!
//! Owns what is in flight against the account's limit, what is set aside in it for single functions,
//! and the admission decision. A unit is held from acceptance to release, init included (F1.3); a
//! refusal changes nothing.

use crate::ids::FunctionId;

/// What bound when a request was refused; the product's own names, since AWS's reasons share some
/// (F1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Limit {
    /// The account's concurrency in the Region, as far as nobody has units of it set aside.
    AccountConcurrency,
    /// The function's reserved concurrency.
    ReservedConcurrency,
    /// Reserved concurrency 0: the function is switched off.
    ReservedZero,
    /// Provisioned concurrency leaves nothing of the reserved to requests that it does not serve.
    LatestBlocked,
    /// The account's requests per second.
    AccountRps,
    /// Requests per second of a function with reserved concurrency.
    ReservedRps,
    /// Tokens for new environments, or for units of requests per second (F2).
    ScalingRate,
    /// A fault of the scenario (Z21).
    Fault,
}

impl Limit {
    /// Every limit, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::AccountConcurrency,
        Self::ReservedConcurrency,
        Self::ReservedZero,
        Self::LatestBlocked,
        Self::AccountRps,
        Self::ReservedRps,
        Self::ScalingRate,
        Self::Fault,
    ];

    /// Name in the column `limit`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccountConcurrency => "account_concurrency",
            Self::ReservedConcurrency => "reserved_concurrency",
            Self::ReservedZero => "reserved_zero",
            Self::LatestBlocked => "latest_blocked",
            Self::AccountRps => "account_rps",
            Self::ReservedRps => "reserved_rps",
            Self::ScalingRate => "scaling_rate",
            Self::Fault => "fault",
        }
    }

    /// `Reason` of the 429, to a function with reserved concurrency or without (F1.6, Z17, Z21).
    /// Coupled growth answers with another: [`Refusal::coupled`].
    pub const fn reason(self, reserved: bool) -> Reason {
        match self {
            Self::AccountConcurrency | Self::ScalingRate => {
                Reason::ConcurrentInvocationLimitExceeded
            }
            Self::ReservedConcurrency | Self::ReservedZero | Self::LatestBlocked => {
                Reason::ReservedFunctionConcurrentInvocationLimitExceeded
            }
            Self::AccountRps => Reason::FunctionInvocationRateLimitExceeded,
            Self::ReservedRps => Reason::ReservedFunctionInvocationRateLimitExceeded,
            Self::Fault if reserved => Reason::ReservedFunctionConcurrentInvocationLimitExceeded,
            Self::Fault => Reason::ConcurrentInvocationLimitExceeded,
        }
    }
}

/// `Reason` of a 429, as far as a replay gives one (F1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(clippy::enum_variant_names)] // AWS's.
pub enum Reason {
    /// Concurrency of the account.
    ConcurrentInvocationLimitExceeded,
    /// Requests per second of the account.
    FunctionInvocationRateLimitExceeded,
    /// Concurrency of the function.
    ReservedFunctionConcurrentInvocationLimitExceeded,
    /// Requests per second of the function.
    ReservedFunctionInvocationRateLimitExceeded,
}

impl Reason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 4] = [
        Self::ConcurrentInvocationLimitExceeded,
        Self::FunctionInvocationRateLimitExceeded,
        Self::ReservedFunctionConcurrentInvocationLimitExceeded,
        Self::ReservedFunctionInvocationRateLimitExceeded,
    ];

    /// Name in the column `reason`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConcurrentInvocationLimitExceeded => "ConcurrentInvocationLimitExceeded",
            Self::FunctionInvocationRateLimitExceeded => "FunctionInvocationRateLimitExceeded",
            Self::ReservedFunctionConcurrentInvocationLimitExceeded => {
                "ReservedFunctionConcurrentInvocationLimitExceeded"
            }
            Self::ReservedFunctionInvocationRateLimitExceeded => {
                "ReservedFunctionInvocationRateLimitExceeded"
            }
        }
    }
}

/// A 429: what bound, and what the caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What bound.
    pub limit: Limit,
    /// What the caller is told.
    pub reason: Reason,
}

impl Refusal {
    /// By a limit, of a function with reserved concurrency or without.
    pub const fn of(limit: Limit, reserved: bool) -> Self {
        Self { limit, reason: limit.reason(reserved) }
    }

    /// By the scaling rate, of a warm start above ten requests a second per unit (Z17, Z19).
    pub const fn coupled(reserved: bool) -> Self {
        let reason = if reserved {
            Reason::ReservedFunctionInvocationRateLimitExceeded
        } else {
            Reason::FunctionInvocationRateLimitExceeded
        };
        Self { limit: Limit::ScalingRate, reason }
    }
}

/// Answer to a request for a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Claim {
    /// A unit is taken until it is given back.
    Granted,
    /// Refused with 429; nothing changed.
    Throttled(Refusal),
}

/// Units of concurrency of one account in one Region.
///
/// While no function has units of its own, the account's counter is all there is. The units of a
/// function are counted from its first setting on, which is why a setting is told how many of the
/// function's runs are in flight.
#[derive(Clone, Debug)]
pub struct ConcurrencyLedger {
    limit: u32,
    in_flight: u32,
    /// What a claim is compared with first: the limit while no function has units of its own, then
    /// 0, so that every claim takes the long way.
    open_limit: u32,
    /// Whether some function has units of its own, or had.
    split: bool,
    /// In flight on demand, of functions without reserved concurrency; kept once `split`.
    unreserved: u32,
    /// Units set aside: what is reserved, and what is provisioned where nothing is (F1.2).
    alloc: u64,
    /// By function, as far as the last one that has units of its own, or had.
    shares: Vec<Share>,
}

/// What is known of one function.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    reserved: Option<u32>,
    /// Provisioned units, from their request on (Z23).
    claimed: u32,
    /// In flight on demand; kept once `counted`.
    on_demand: u32,
    /// In flight in provisioned environments.
    provisioned: u32,
    /// Whether the function has units of its own, or had.
    counted: bool,
}

impl Share {
    /// Units that nobody else can have.
    fn alloc(&self) -> u64 {
        u64::from(self.reserved.unwrap_or(self.claimed))
    }
}

impl ConcurrencyLedger {
    /// A ledger with nothing in flight and nothing set aside.
    pub const fn new(limit: u32) -> Self {
        Self {
            limit,
            in_flight: 0,
            open_limit: limit,
            split: false,
            unreserved: 0,
            alloc: 0,
            shares: Vec::new(),
        }
    }

    /// Changes the account's limit. What is in flight runs on (Q27).
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
        if !self.split {
            self.open_limit = limit;
        }
    }

    /// Sets or lifts reserved concurrency. The function's runs in flight, of which there are so
    /// many, count where the new setting puts them (Z16).
    pub fn set_reserved(
        &mut self,
        function: FunctionId,
        reserved: Option<u32>,
        in_flight_of_function: u32,
    ) {
        if reserved.is_none() && self.share(function).is_none() {
            return;
        }
        let share = self.count(function, in_flight_of_function);
        match (share.reserved, reserved) {
            (None, Some(_)) => self.unreserved -= share.on_demand,
            (Some(_), None) => self.unreserved += share.on_demand,
            _ => {}
        }
        self.set_aside(function, Share { reserved, ..share });
    }

    /// Sets how many provisioned units the function claims: of all its qualifiers together, and
    /// from their request on (Z23).
    pub fn set_provisioned(
        &mut self,
        function: FunctionId,
        claimed: u32,
        in_flight_of_function: u32,
    ) {
        if claimed == 0 && self.share(function).is_none() {
            return;
        }
        let share = self.count(function, in_flight_of_function);
        self.set_aside(function, Share { claimed, ..share });
    }

    /// The function's share; from now on its units are counted.
    fn count(&mut self, function: FunctionId, in_flight_of_function: u32) -> Share {
        if !self.split {
            self.split = true;
            self.unreserved = self.in_flight;
            self.open_limit = 0;
        }
        if self.shares.len() <= function.index() {
            self.shares.resize(function.index() + 1, Share::default());
        }
        let share = &mut self.shares[function.index()];
        if !share.counted {
            share.counted = true;
            share.on_demand = in_flight_of_function;
        }
        let counted = share.on_demand + share.provisioned;
        assert_eq!(counted, in_flight_of_function, "runs of a function are counted once");
        *share
    }

    fn set_aside(&mut self, function: FunctionId, share: Share) {
        let before = std::mem::replace(&mut self.shares[function.index()], share);
        self.alloc = self.alloc - before.alloc() + share.alloc();
    }

    /// The function's share, if it has units of its own, or had.
    #[inline]
    fn share(&self, function: FunctionId) -> Option<&Share> {
        self.shares.get(function.index()).filter(|share| share.counted)
    }

    #[inline]
    fn share_mut(&mut self, function: FunctionId) -> Option<&mut Share> {
        self.shares.get_mut(function.index()).filter(|share| share.counted)
    }

    /// Asks for a unit on demand; `served_by_pool` where the function has provisioned environments
    /// that serve the request and are all busy.
    #[inline]
    pub fn claim(&mut self, function: FunctionId, served_by_pool: bool) -> Claim {
        if self.in_flight >= self.open_limit {
            return self.claim_share(function, served_by_pool);
        }
        self.in_flight += 1;
        Claim::Granted
    }

    /// The same where functions have units of their own, or the account's are all taken.
    fn claim_share(&mut self, function: FunctionId, served_by_pool: bool) -> Claim {
        if let Some(refusal) = self.refusal(function, served_by_pool) {
            return Claim::Throttled(refusal);
        }
        self.in_flight += 1;
        let share = self.share_mut(function);
        let reserved = share.is_some_and(|share| {
            share.on_demand += 1;
            share.reserved.is_some()
        });
        self.unreserved += u32::from(!reserved);
        Claim::Granted
    }

    /// What `claim` would refuse with, if it would. Asking changes nothing.
    pub fn refusal(&self, function: FunctionId, served_by_pool: bool) -> Option<Refusal> {
        let share = self.share(function).copied().unwrap_or_default();
        let Some(reserved) = share.reserved else {
            let taken = u64::from(self.unreserved_in_flight()) + self.alloc;
            let full = taken >= u64::from(self.limit);
            return full.then_some(Refusal::of(Limit::AccountConcurrency, false));
        };
        if share.on_demand < reserved.saturating_sub(share.claimed) {
            return None;
        }
        let limit = match reserved {
            0 => Limit::ReservedZero,
            _ if share.claimed >= reserved && !served_by_pool => Limit::LatestBlocked,
            _ => Limit::ReservedConcurrency,
        };
        Some(Refusal::of(limit, true))
    }

    /// Takes a provisioned unit for a run in a provisioned environment; it was set aside.
    pub fn claim_provisioned(&mut self, function: FunctionId) {
        let share = self.share_mut(function).expect("provisioned units are claimed first");
        share.provisioned += 1;
        self.in_flight += 1;
    }

    /// Gives back a unit on demand.
    #[inline]
    pub fn release(&mut self, function: FunctionId) {
        assert!(self.in_flight > 0, "a unit is given back once");
        self.in_flight -= 1;
        if self.split {
            self.release_share(function);
        }
    }

    fn release_share(&mut self, function: FunctionId) {
        let mut reserved = false;
        if let Some(share) = self.share_mut(function) {
            assert!(share.on_demand > 0, "a unit is given back once");
            share.on_demand -= 1;
            reserved = share.reserved.is_some();
        }
        if !reserved {
            assert!(self.unreserved > 0, "a unit is given back once");
            self.unreserved -= 1;
        }
    }

    /// Gives back the unit of a run in a provisioned environment.
    pub fn release_provisioned(&mut self, function: FunctionId) {
        let share = self.share_mut(function).expect("provisioned units are claimed first");
        assert!(share.provisioned > 0 && self.in_flight > 0, "a unit is given back once");
        self.shares[function.index()].provisioned -= 1;
        self.in_flight -= 1;
    }

    /// The account's limit.
    #[inline]
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// Requests in flight, on demand and in provisioned environments.
    #[inline]
    pub const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Requests in flight on demand, of functions without reserved concurrency (Q17).
    #[inline]
    pub const fn unreserved_in_flight(&self) -> u32 {
        if self.split { self.unreserved } else { self.in_flight }
    }

    /// `ClaimedAccountConcurrency`: what is unavailable to requests on demand (F1.2).
    #[inline]
    pub const fn claimed_total(&self) -> u64 {
        self.unreserved_in_flight() as u64 + self.alloc
    }

    /// Units of the account's limit that a function holds: in use on demand out of what is nobody's
    /// own, and set aside for it, in use or not. `in_flight_of_function` counts where it has no
    /// units of its own.
    pub fn units(&self, function: FunctionId, in_flight_of_function: u32) -> (u32, u32) {
        let Some(share) = self.share(function) else { return (in_flight_of_function, 0) };
        let in_use = if share.reserved.is_some() { 0 } else { share.on_demand };
        (in_use, u32::try_from(share.alloc()).expect("of two numbers below 2^32"))
    }

    /// Reserved concurrency of a function. Zero is looked at before all else (F0.0).
    #[inline]
    pub fn reserved(&self, function: FunctionId) -> Option<u32> {
        if self.split { self.shares.get(function.index())?.reserved } else { None }
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_wrap, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Small.
mod tests {
    use proptest::prelude::*;

    use super::*;

    const F: FunctionId = FunctionId(0);
    const G: FunctionId = FunctionId(1);
    const H: FunctionId = FunctionId(2);

    fn throttled(limit: Limit) -> Claim {
        let reserved = limit != Limit::AccountConcurrency;
        Claim::Throttled(Refusal::of(limit, reserved))
    }

    /// Takes all there is.
    fn drain(ledger: &mut ConcurrencyLedger, function: FunctionId) -> (u32, Refusal) {
        let mut granted = 0;
        loop {
            match ledger.claim(function, false) {
                Claim::Granted => granted += 1,
                Claim::Throttled(refusal) => return (granted, refusal),
            }
        }
    }

    #[test]
    fn throttles_at_the_limit_and_not_below() {
        let mut ledger = ConcurrencyLedger::new(2);
        assert_eq!(ledger.claim(F, false), Claim::Granted);
        assert_eq!(ledger.claim(G, false), Claim::Granted);
        assert_eq!(ledger.claim(F, false), throttled(Limit::AccountConcurrency));
        ledger.release(G);
        assert_eq!(ledger.claim(F, false), Claim::Granted);
        assert_eq!((ledger.in_flight(), ledger.unreserved_in_flight()), (2, 2));
    }

    #[test]
    fn limits_and_reasons_are_numbered_as_listed() {
        for (number, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!(limit as usize, number);
        }
        for (number, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
        }
    }

    #[test]
    fn f1_6_what_the_caller_is_told() {
        let without = Limit::ALL.map(|limit| limit.reason(false).name());
        let with = Limit::ALL.map(|limit| limit.reason(true).name());
        let (account, function) = (
            "ConcurrentInvocationLimitExceeded",
            "ReservedFunctionConcurrentInvocationLimitExceeded",
        );
        let (account_rate, function_rate) =
            ("FunctionInvocationRateLimitExceeded", "ReservedFunctionInvocationRateLimitExceeded");
        let expected =
            [account, function, function, function, account_rate, function_rate, account];
        assert_eq!(without[..7], expected);
        assert_eq!(with[..7], expected);
        // Z21: as the concurrency of the function.
        assert_eq!((without[7], with[7]), (account, function));
        // Z17: coupling as its function.
        assert_eq!(Refusal::coupled(false).reason.name(), account_rate);
        assert_eq!(Refusal::coupled(true).reason.name(), function_rate);
        assert_eq!(Refusal::coupled(true).limit, Limit::ScalingRate);
    }

    #[test]
    fn f1_1_eight_functions_share_what_two_leave() {
        // AWS's example of 2017: of 1,000, 200 and 100 are reserved.
        let mut ledger = ConcurrencyLedger::new(1_000);
        ledger.set_reserved(F, Some(200), 0);
        ledger.set_reserved(G, Some(100), 0);
        assert_eq!(drain(&mut ledger, H), (700, Refusal::of(Limit::AccountConcurrency, false)));
        assert_eq!(drain(&mut ledger, F), (200, Refusal::of(Limit::ReservedConcurrency, true)));
        assert_eq!(drain(&mut ledger, G), (100, Refusal::of(Limit::ReservedConcurrency, true)));
        assert_eq!((ledger.in_flight(), ledger.unreserved_in_flight()), (1_000, 700));
        assert_eq!(ledger.claimed_total(), 1_000);
    }

    #[test]
    fn f1_2_of_reserved_and_provisioned_only_reserved_counts() {
        let mut ledger = ConcurrencyLedger::new(100);
        ledger.set_reserved(F, Some(20), 0);
        ledger.set_provisioned(F, 15, 0);
        assert_eq!(ledger.claimed_total(), 20);
        ledger.set_provisioned(G, 30, 0);
        assert_eq!(ledger.claimed_total(), 50);
        ledger.set_reserved(F, None, 0);
        assert_eq!(ledger.claimed_total(), 45);
        ledger.set_provisioned(F, 0, 0);
        ledger.set_provisioned(G, 0, 0);
        assert_eq!(ledger.claimed_total(), 0);
    }

    #[test]
    fn an_account_without_settings_stays_on_the_short_way() {
        let mut ledger = ConcurrencyLedger::new(10);
        ledger.set_reserved(F, None, 0);
        ledger.set_provisioned(F, 0, 0);
        assert!(!ledger.split && ledger.shares.is_empty());
    }

    #[test]
    fn f0_0_reserved_zero_lets_nothing_in() {
        let mut ledger = ConcurrencyLedger::new(10);
        assert_eq!(ledger.reserved(F), None);
        ledger.set_reserved(F, Some(0), 0);
        assert_eq!(ledger.reserved(F), Some(0));
        assert_eq!(ledger.claim(F, false), throttled(Limit::ReservedZero));
        assert_eq!(ledger.reserved(G), None);
        assert_eq!(ledger.claim(G, false), Claim::Granted);
    }

    #[test]
    fn f0_3_what_is_provisioned_is_not_on_demand() {
        let mut ledger = ConcurrencyLedger::new(10);
        ledger.set_reserved(F, Some(5), 0);
        ledger.set_provisioned(F, 3, 0);
        assert_eq!(drain(&mut ledger, F), (2, Refusal::of(Limit::ReservedConcurrency, true)));
        ledger.claim_provisioned(F);
        ledger.release(F);
        assert_eq!(ledger.claim(F, false), Claim::Granted, "busy provisioned ones do not count");
        assert_eq!((ledger.in_flight(), ledger.unreserved_in_flight()), (3, 0));
    }

    #[test]
    fn f0_3_latest_is_blocked_where_all_that_is_reserved_is_provisioned() {
        let mut ledger = ConcurrencyLedger::new(10);
        ledger.set_reserved(F, Some(3), 0);
        ledger.set_provisioned(F, 3, 0);
        assert_eq!(ledger.claim(F, false), throttled(Limit::LatestBlocked));
        assert_eq!(ledger.claim(F, true), throttled(Limit::ReservedConcurrency));
    }

    #[test]
    fn q17_spillover_is_unreserved_and_what_is_provisioned_is_not() {
        let mut ledger = ConcurrencyLedger::new(10);
        ledger.set_provisioned(F, 2, 0);
        ledger.claim_provisioned(F);
        ledger.claim_provisioned(F);
        assert_eq!(ledger.claim(F, true), Claim::Granted);
        assert_eq!((ledger.in_flight(), ledger.unreserved_in_flight()), (3, 1));
        assert_eq!(ledger.claimed_total(), 3);
        ledger.release_provisioned(F);
        ledger.release(F);
        assert_eq!((ledger.in_flight(), ledger.unreserved_in_flight()), (1, 0));
        assert_eq!(ledger.claimed_total(), 2);
    }

    #[test]
    fn z16_runs_count_where_the_setting_of_the_moment_puts_them() {
        let mut ledger = ConcurrencyLedger::new(10);
        for function in [F, F, F, G] {
            assert_eq!(ledger.claim(function, false), Claim::Granted);
        }
        ledger.set_reserved(F, Some(2), 3);
        assert_eq!((ledger.unreserved_in_flight(), ledger.claimed_total()), (1, 3));
        assert_eq!(ledger.claim(F, false), throttled(Limit::ReservedConcurrency));
        ledger.release(F);
        ledger.release(F);
        assert_eq!(ledger.claim(F, false), Claim::Granted);
        ledger.set_reserved(F, None, 2);
        assert_eq!((ledger.unreserved_in_flight(), ledger.claimed_total()), (3, 3));
        ledger.set_reserved(G, Some(1), 1);
        assert_eq!((ledger.unreserved_in_flight(), ledger.claimed_total()), (2, 3));
        for function in [F, F, G] {
            ledger.release(function);
        }
        assert_eq!((ledger.in_flight(), ledger.claimed_total()), (0, 1));
    }

    #[test]
    fn q27_what_is_above_a_lowered_limit_runs_on() {
        for split in [false, true] {
            let mut ledger = ConcurrencyLedger::new(3);
            if split {
                ledger.set_reserved(G, Some(0), 0);
            }
            assert_eq!(drain(&mut ledger, F).0, 3);
            ledger.set_limit(1);
            ledger.release(F);
            ledger.release(F);
            assert_eq!(ledger.claim(F, false), throttled(Limit::AccountConcurrency));
            ledger.release(F);
            assert_eq!(ledger.claim(F, false), Claim::Granted);
            ledger.set_limit(2);
            assert_eq!(drain(&mut ledger, F).0, 1);
        }
    }

    #[test]
    fn q27_more_may_be_set_aside_than_a_lowered_limit_has() {
        let mut ledger = ConcurrencyLedger::new(10);
        ledger.set_reserved(F, Some(5), 0);
        ledger.set_limit(3);
        assert_eq!(ledger.claim(G, false), throttled(Limit::AccountConcurrency));
        assert_eq!(drain(&mut ledger, F).0, 5);
    }

    #[test]
    fn z16_a_provisioned_run_outlives_its_pool() {
        let mut ledger = ConcurrencyLedger::new(2);
        ledger.set_provisioned(F, 1, 0);
        ledger.claim_provisioned(F);
        ledger.set_provisioned(F, 0, 1);
        assert_eq!(drain(&mut ledger, G).0, 2);
        ledger.set_reserved(F, Some(1), 1);
        assert_eq!(ledger.claim(F, false), Claim::Granted);
        ledger.release_provisioned(F);
        assert_eq!((ledger.in_flight(), ledger.unreserved_in_flight()), (3, 2));
    }

    #[test]
    #[should_panic(expected = "a unit is given back once")]
    fn a_unit_is_given_back_once() {
        let mut ledger = ConcurrencyLedger::new(2);
        ledger.set_reserved(F, Some(1), 0);
        assert_eq!(ledger.claim(G, false), Claim::Granted);
        ledger.release(F);
    }

    /// The books as a list of runs and of settings, counted anew for each question.
    #[derive(Default)]
    struct Naive {
        limit: i64,
        reserved: [Option<i64>; 3],
        claimed: [i64; 3],
        /// Function, and whether in a provisioned environment.
        runs: Vec<(usize, bool)>,
    }

    impl Naive {
        fn runs(&self, keep: impl Fn(usize, bool) -> bool) -> i64 {
            self.runs.iter().filter(|(function, pool)| keep(*function, *pool)).count() as i64
        }

        fn unreserved(&self) -> i64 {
            self.runs(|function, pool| !pool && self.reserved[function].is_none())
        }

        fn alloc(&self) -> i64 {
            (0..3).map(|function| self.reserved[function].unwrap_or(self.claimed[function])).sum()
        }

        fn limit(&self, function: usize, served: bool) -> Option<Limit> {
            let Some(reserved) = self.reserved[function] else {
                let free = self.limit - self.alloc();
                return (self.unreserved() >= free).then_some(Limit::AccountConcurrency);
            };
            if reserved == 0 {
                return Some(Limit::ReservedZero);
            }
            let on_demand = self.runs(|other, pool| !pool && other == function);
            if on_demand < reserved - self.claimed[function] {
                return None;
            }
            let blocked = self.claimed[function] >= reserved && !served;
            Some(if blocked { Limit::LatestBlocked } else { Limit::ReservedConcurrency })
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Claim(usize, bool),
        Provisioned(usize),
        Release(usize),
        SetLimit(u32),
        SetReserved(usize, Option<u32>),
        SetProvisioned(usize, u32),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            12 => (0..3_usize, any::<bool>()).prop_map(|(f, served)| Step::Claim(f, served)),
            3 => (0..3_usize).prop_map(Step::Provisioned),
            8 => any::<usize>().prop_map(Step::Release),
            1 => (0..12_u32).prop_map(Step::SetLimit),
            1 => (0..3_usize, proptest::option::of(0..5_u32))
                .prop_map(|(f, reserved)| Step::SetReserved(f, reserved)),
            1 => (0..3_usize, 0..4_u32).prop_map(|(f, claimed)| Step::SetProvisioned(f, claimed)),
        ];
        proptest::collection::vec(step, 1..300)
    }

    proptest! {
        /// Whatever is set and asked when, the ledger agrees with books counted anew.
        #[test]
        fn f0_3_and_z16_agree_with_a_list_of_runs(limit in 0..12_u32, steps in steps()) {
            let mut ledger = ConcurrencyLedger::new(limit);
            let mut naive = Naive { limit: i64::from(limit), ..Naive::default() };
            let id = |function: usize| FunctionId(function as u32);
            for step in steps {
                let of = |function: usize| naive.runs(|other, _| other == function) as u32;
                match step {
                    Step::Claim(function, served) => {
                        let expected = naive.limit(function, served);
                        let reserved = naive.reserved[function].is_some();
                        let refusal = expected.map(|limit| Refusal::of(limit, reserved));
                        prop_assert_eq!(ledger.refusal(id(function), served), refusal);
                        let claim = refusal.map_or(Claim::Granted, Claim::Throttled);
                        prop_assert_eq!(ledger.claim(id(function), served), claim);
                        if claim == Claim::Granted {
                            naive.runs.push((function, false));
                        }
                    }
                    Step::Provisioned(function) => {
                        let busy = naive.runs(|other, pool| pool && other == function);
                        if busy < naive.claimed[function] {
                            ledger.claim_provisioned(id(function));
                            naive.runs.push((function, true));
                        }
                    }
                    Step::Release(place) => if !naive.runs.is_empty() {
                        let place = place % naive.runs.len();
                        let (function, pool) = naive.runs.swap_remove(place);
                        if pool {
                            ledger.release_provisioned(id(function));
                        } else {
                            ledger.release(id(function));
                        }
                    },
                    Step::SetLimit(limit) => {
                        ledger.set_limit(limit);
                        naive.limit = i64::from(limit);
                    }
                    Step::SetReserved(function, reserved) => {
                        ledger.set_reserved(id(function), reserved, of(function));
                        naive.reserved[function] = reserved.map(i64::from);
                    }
                    Step::SetProvisioned(function, claimed) => {
                        ledger.set_provisioned(id(function), claimed, of(function));
                        naive.claimed[function] = i64::from(claimed);
                    }
                }
                prop_assert_eq!(i64::from(ledger.in_flight()), naive.runs.len() as i64);
                let unreserved = naive.unreserved();
                prop_assert_eq!(i64::from(ledger.unreserved_in_flight()), unreserved);
                prop_assert_eq!(ledger.claimed_total() as i64, unreserved + naive.alloc());
                for function in 0..3 {
                    let reserved = ledger.reserved(id(function)).map(i64::from);
                    prop_assert_eq!(reserved, naive.reserved[function]);
                }
            }
        }
    }
}
