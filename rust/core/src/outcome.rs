//! What became of each row of the trace, and of each of its attempts.

use crate::model::concurrency::{self, Limit};
use crate::time::Micros;

/// How a row ended; the numbers index [`OutcomeKind::NAMES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OutcomeKind {
    /// Ran, no error.
    Success,
    /// Ran, and failed for good.
    Error,
    /// Refused with 429 for good.
    Throttled,
    /// An event given up without success.
    Dropped,
    /// Still queued or running when the replay ended.
    Pending,
    /// Left its stream or queue by retention.
    Expired,
    /// Given up by the retry limit, the maximum record age or `maxReceiveCount`.
    Discarded,
    /// Filtered out before any invocation.
    Filtered,
}

impl OutcomeKind {
    /// Values of the column `outcome`.
    pub const NAMES: [&'static str; 8] =
        ["success", "error", "throttled", "dropped", "pending", "expired", "discarded", "filtered"];
    /// How many there are.
    pub const COUNT: usize = Self::NAMES.len();
}

/// Why; the numbers index [`Reason::NAMES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// 429 (F1.6).
    ConcurrentInvocationLimitExceeded,
    /// 429.
    ReservedFunctionConcurrentInvocationLimitExceeded,
    /// 429.
    FunctionInvocationRateLimitExceeded,
    /// 429.
    ReservedFunctionInvocationRateLimitExceeded,
    /// The function's time-out (Z15), or the client's patience (Z28).
    TimedOut,
    /// The environment crashed.
    Crash,
    /// The handler failed.
    Handled,
    /// The run gave up waiting for its record.
    LockWaitExceeded,
    /// The run started over too often.
    WriteConflict,
    /// The last retry of an event failed.
    RetriesExhausted,
    /// The event would pass its maximum age.
    EventAgeExceeded,
    /// The function's reserved concurrency is 0.
    ZeroReservedConcurrency,
    /// The last retry of a batch failed.
    RetryAttemptsExhausted,
    /// The record reached its maximum age.
    RecordAgeExceeded,
    /// The message was received as often as it may be.
    MaxReceiveCountExceeded,
    /// The record left by retention.
    RetentionExpired,
    /// The record is named in a partial response, or follows one that is.
    BatchItemFailure,
    /// The event is larger than an invocation may be (E4.8).
    RequestTooLarge,
}

impl Reason {
    /// Why an event is dropped (F5).
    pub const OF_DROPS: [Self; 2] = [Self::EventAgeExceeded, Self::ZeroReservedConcurrency];
    /// Values of the column `reason`.
    pub const NAMES: [&'static str; 18] = [
        "ConcurrentInvocationLimitExceeded",
        "ReservedFunctionConcurrentInvocationLimitExceeded",
        "FunctionInvocationRateLimitExceeded",
        "ReservedFunctionInvocationRateLimitExceeded",
        "TimedOut",
        "Crash",
        "Handled",
        "LockWaitExceeded",
        "WriteConflict",
        "RetriesExhausted",
        "EventAgeExceeded",
        "ZeroReservedConcurrency",
        "RetryAttemptsExhausted",
        "RecordAgeExceeded",
        "MaxReceiveCountExceeded",
        "RetentionExpired",
        "BatchItemFailure",
        "RequestTooLarge",
    ];
}

impl From<concurrency::Reason> for Reason {
    fn from(reason: concurrency::Reason) -> Self {
        use concurrency::Reason as Refused;
        match reason {
            Refused::ConcurrentInvocationLimitExceeded => Self::ConcurrentInvocationLimitExceeded,
            Refused::ReservedFunctionConcurrentInvocationLimitExceeded => {
                Self::ReservedFunctionConcurrentInvocationLimitExceeded
            }
            Refused::FunctionInvocationRateLimitExceeded => {
                Self::FunctionInvocationRateLimitExceeded
            }
            Refused::ReservedFunctionInvocationRateLimitExceeded => {
                Self::ReservedFunctionInvocationRateLimitExceeded
            }
        }
    }
}

/// How a request reached its function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source(u32);

#[allow(non_upper_case_globals)] // These are its values.
impl Source {
    /// Somebody waits for the answer.
    pub const Sync: Self = Self(0);
    /// Through Lambda's own queue.
    pub const Async: Self = Self(1);
    /// Values of the column `source`; the names of event sources follow.
    pub const NAMES: [&'static str; 2] = ["sync", "async"];

    /// Through the event source of this number.
    pub const fn event(number: u32) -> Self {
        Self(2 + number)
    }

    /// Its number in the column `source`.
    pub const fn code(self) -> u32 {
        self.0
    }
}

/// Why a request was not served by a provisioned environment; the numbers index `NAMES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Spillover {
    /// All are busy.
    Busy,
    /// Ten requests a second and environment.
    RequestRate,
    /// None is READY yet.
    NotReady,
}

impl Spillover {
    /// Values of the column `spillover_reason`.
    pub const NAMES: [&'static str; 3] = ["busy", "request_rate", "not_ready"];
    /// Those that AWS counts as spillover: some were READY (Z24).
    pub const COUNTED: [Self; 2] = [Self::Busy, Self::RequestRate];
}

/// One run of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Acceptance: the unit of concurrency is held from here.
    pub start: Micros,
    /// Release: the unit is free again; nothing where the replay ended before.
    pub end: Option<Micros>,
    /// Init paid by this request; zero for a warm start.
    pub init: Micros,
    /// Whether the request made an environment start.
    pub cold: bool,
    /// Whether a provisioned environment served it.
    pub provisioned: bool,
    /// Why none did.
    pub spillover: Option<Spillover>,
    /// Identity of the execution environment.
    pub environment: u64,
    /// Identity of the invocation.
    pub invocation: u64,
    /// Time spent waiting for its record, or doing work that was thrown away.
    pub lock_wait: Micros,
    /// Billed time, ms.
    pub billed_ms: u64,
}

/// The end of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Position in the trace as given.
    pub row: u64,
    /// Copy of the row, where `load` made several (Z38).
    pub copy: u32,
    /// When the request reached Lambda.
    pub timestamp: Micros,
    /// Its function, by its code in the trace.
    pub shown: u32,
    /// How it got there.
    pub source: Source,
    /// How it ended.
    pub kind: OutcomeKind,
    /// Why.
    pub reason: Option<Reason>,
    /// What bound, where it was refused.
    pub limit: Option<Limit>,
    /// Tries of any kind.
    pub attempts: u32,
    /// 429s.
    pub throttles: u32,
    /// Runs that ended in error.
    pub errors: u32,
    /// Times its last run started over.
    pub conflicts: u32,
    /// When the outcome was decided; nothing where it was not.
    pub settled: Option<Micros>,
    /// Its last run, where it ran.
    pub run: Option<Run>,
}

/// How an attempt ended; the numbers index [`AttemptKind::NAMES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AttemptKind {
    /// Ran, no error.
    Success,
    /// Ran, and failed.
    Error,
    /// Refused with 429.
    Throttled,
    /// Still running when the replay ended.
    Unfinished,
}

impl AttemptKind {
    /// Values of the column `outcome`; the last one is null.
    pub const NAMES: [&'static str; 3] = ["success", "error", "throttled"];
}

/// One attempt of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Position in the trace as given.
    pub row: u64,
    /// Copy of the row.
    pub copy: u32,
    /// 1, 2, …
    pub number: u32,
    /// How it ended.
    pub kind: AttemptKind,
    /// Why.
    pub reason: Option<Reason>,
    /// What bound, where it was refused.
    pub limit: Option<Limit>,
    /// When it was made.
    pub at: Micros,
    /// Number of its batch, where that was refused.
    pub batch: Option<u64>,
    /// Its run, where it ran.
    pub run: Option<Run>,
}

/// Where outcomes and attempts go, in the order in which they are decided.
pub trait Sink {
    /// Whether anybody wants outcomes: nothing is put together for nobody.
    const WANTED: bool;

    /// Whether attempts are wanted.
    fn wants_attempts(&self) -> bool {
        false
    }

    /// Takes one outcome.
    fn outcome(&mut self, outcome: &Outcome);

    /// Takes one attempt.
    fn attempt(&mut self, _: &Attempt) {}
}

/// Nobody wants outcomes.
#[derive(Debug)]
pub struct Nobody;

impl Sink for Nobody {
    const WANTED: bool = false;

    fn outcome(&mut self, _: &Outcome) {}
}

impl Sink for Vec<Outcome> {
    const WANTED: bool = true;

    fn outcome(&mut self, outcome: &Outcome) {
        self.push(*outcome);
    }
}
