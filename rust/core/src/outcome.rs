//! What became of each row of the trace.

use crate::ids::FunctionId;
use crate::model::concurrency::Limit;
use crate::time::Micros;

/// How a row ended; the numbers index [`OutcomeKind::NAMES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum OutcomeKind {
    /// Ran, no error.
    Success,
    /// Refused with 429.
    Throttled,
}

impl OutcomeKind {
    /// Values of the column `outcome`.
    pub const NAMES: [&'static str; 2] = ["success", "throttled"];
}

/// The run of a row that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Acceptance: the unit of concurrency is held from here.
    pub start: Micros,
    /// Release: the unit is free again.
    pub end: Micros,
    /// Init paid by this request; zero for a warm start.
    pub init: Micros,
    /// Whether the request waited for an init.
    pub cold: bool,
    /// Identity of the execution environment.
    pub environment: u64,
    /// Identity of the invocation.
    pub invocation: u64,
    /// Billed time, ms.
    pub billed_ms: u64,
}

/// The end of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Position in the trace as given.
    pub row: u64,
    /// When the request reached Lambda.
    pub timestamp: Micros,
    /// Its function.
    pub function: FunctionId,
    /// What bound, where it was refused.
    pub limit: Option<Limit>,
    /// Its run, where it ran.
    pub run: Option<Run>,
}

impl Outcome {
    /// How the row ended.
    pub const fn kind(&self) -> OutcomeKind {
        if self.run.is_some() { OutcomeKind::Success } else { OutcomeKind::Throttled }
    }
}

/// Where outcomes go, in the order in which they are decided.
pub trait Sink {
    /// Whether anybody wants them: nothing is put together for nobody.
    const WANTED: bool;

    /// Takes one outcome.
    fn outcome(&mut self, outcome: &Outcome);
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
