//! Outcomes and attempts as columns. Names and units are Python's.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, BooleanArray, Int64Array, UInt8Array, UInt32Array, UInt64Array};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use lambda_replay_core::outcome::{Attempt, Outcome, Run, Sink};
use pyo3::PyResult;

use crate::arrow_out::{Table, millis};

/// Stands for nothing in a column of names.
const NOTHING: u8 = u8::MAX;

/// Outcomes and attempts decided since the last time, column by column.
#[derive(Default)]
pub(crate) struct OutcomeColumns {
    attempts: Option<Box<AttemptColumns>>,
    row: Vec<u64>,
    copy: Vec<u32>,
    timestamp: Vec<i64>,
    function: Vec<u32>,
    source: Vec<u32>,
    outcome: Vec<u8>,
    reason: Vec<u8>,
    limit: Vec<u8>,
    tries: Vec<u32>,
    throttles: Vec<u32>,
    errors: Vec<u32>,
    conflicts: Vec<u32>,
    settled: Vec<Option<i64>>,
    runs: RunColumns,
}

#[derive(Default)]
struct AttemptColumns {
    row: Vec<u64>,
    copy: Vec<u32>,
    attempt: Vec<u32>,
    outcome: Vec<u8>,
    reason: Vec<u8>,
    limit: Vec<u8>,
    at: Vec<i64>,
    /// Number of the batch where that did not run.
    refused: Vec<Option<u64>>,
    runs: RunColumns,
}

/// Columns of runs; a row without one has nulls.
#[derive(Default)]
struct RunColumns {
    ran: Vec<bool>,
    ended: Vec<bool>,
    start: Vec<i64>,
    end: Vec<i64>,
    init: Vec<i64>,
    cold: Vec<bool>,
    provisioned: Vec<bool>,
    spillover: Vec<u8>,
    environment: Vec<u64>,
    invocation: Vec<u64>,
    lock_wait: Vec<i64>,
    billed_ms: Vec<u64>,
}

impl RunColumns {
    fn push(&mut self, run: Option<&Run>) {
        self.ran.push(run.is_some());
        let end = run.and_then(|run| run.end);
        self.ended.push(end.is_some());
        self.end.push(end.map_or(0, |end| end.0));
        self.start.push(run.map_or(0, |run| run.start.0));
        self.init.push(run.map_or(0, |run| run.init.0));
        self.cold.push(run.is_some_and(|run| run.cold));
        self.provisioned.push(run.is_some_and(|run| run.provisioned));
        self.spillover.push(run.and_then(|run| run.spillover).map_or(NOTHING, |why| why as u8));
        self.environment.push(run.map_or(0, |run| run.environment));
        self.invocation.push(run.map_or(0, |run| run.invocation));
        self.lock_wait.push(run.map_or(0, |run| run.lock_wait.0));
        self.billed_ms.push(run.map_or(0, |run| run.billed_ms));
    }

    fn columns(self) -> Vec<(&'static str, ArrayRef)> {
        let of_runs = Some(NullBuffer::new(BooleanBuffer::from(self.ran.clone())));
        let of_ends = Some(NullBuffer::new(BooleanBuffer::from(self.ended)));
        let unsigned = |values: Vec<u64>, valid: &Option<NullBuffer>| -> ArrayRef {
            Arc::new(UInt64Array::new(values.into(), valid.clone()))
        };
        let flags = |values: Vec<bool>| -> ArrayRef {
            Arc::new(BooleanArray::new(values.into(), of_runs.clone()))
        };
        vec![
            ("start", Arc::new(Int64Array::new(self.start.into(), of_runs.clone()))),
            ("end", Arc::new(Int64Array::new(self.end.into(), of_ends.clone()))),
            ("lock_wait_ms", Arc::new(millis(&self.lock_wait, of_ends.as_ref()))),
            ("init_ms", Arc::new(millis(&self.init, of_runs.as_ref()))),
            ("cold", flags(self.cold)),
            ("provisioned", flags(self.provisioned)),
            ("spillover_reason", names(self.spillover)),
            ("environment", unsigned(self.environment, &of_runs)),
            ("batch", unsigned(self.invocation, &of_runs)),
            ("billed_ms", unsigned(self.billed_ms, &of_ends)),
            ("ran", Arc::new(BooleanArray::from(self.ran))),
        ]
    }
}

/// Places in a list of names; null for nothing.
fn names(values: Vec<u8>) -> ArrayRef {
    let known = values.iter().map(|value| *value != NOTHING).collect::<BooleanBuffer>();
    Arc::new(UInt8Array::new(values.into(), Some(NullBuffer::new(known))))
}

impl Sink for OutcomeColumns {
    const WANTED: bool = true;

    fn wants_attempts(&self) -> bool {
        self.attempts.is_some()
    }

    fn outcome(&mut self, outcome: &Outcome) {
        self.row.push(outcome.row);
        self.copy.push(outcome.copy);
        self.timestamp.push(outcome.timestamp.0);
        self.function.push(outcome.shown);
        self.source.push(outcome.source.code());
        self.outcome.push(outcome.kind as u8);
        self.reason.push(outcome.reason.map_or(NOTHING, |reason| reason as u8));
        self.limit.push(outcome.limit.map_or(NOTHING, |limit| limit as u8));
        self.tries.push(outcome.attempts);
        self.throttles.push(outcome.throttles);
        self.errors.push(outcome.errors);
        self.conflicts.push(outcome.conflicts);
        self.settled.push(outcome.settled.map(|at| at.0));
        self.runs.push(outcome.run.as_ref());
    }

    fn attempt(&mut self, attempt: &Attempt) {
        let Some(columns) = self.attempts.as_mut() else { return };
        columns.row.push(attempt.row);
        columns.copy.push(attempt.copy);
        columns.attempt.push(attempt.number);
        columns.outcome.push(match attempt.kind as u8 {
            kind if (kind as usize) < lambda_replay_core::outcome::AttemptKind::NAMES.len() => kind,
            _ => NOTHING,
        });
        columns.reason.push(attempt.reason.map_or(NOTHING, |reason| reason as u8));
        columns.limit.push(attempt.limit.map_or(NOTHING, |limit| limit as u8));
        columns.at.push(attempt.at.0);
        columns.refused.push(attempt.batch);
        columns.runs.push(attempt.run.as_ref());
    }
}

impl OutcomeColumns {
    /// Columns of outcomes and, where wanted, of attempts.
    pub(crate) fn new(attempts: bool) -> Self {
        Self { attempts: attempts.then(Box::default), ..Self::default() }
    }

    /// Hands the columns of outcomes over and starts anew.
    pub(crate) fn take(&mut self) -> PyResult<Table> {
        let attempts = self.attempts.take();
        let taken = std::mem::replace(self, Self { attempts, ..Self::default() });
        let starts = taken.runs.start.iter().zip(&taken.timestamp);
        let waits: Vec<i64> = starts.map(|(start, arrival)| start.wrapping_sub(*arrival)).collect();
        let ran = Some(NullBuffer::new(BooleanBuffer::from(taken.runs.ran.clone())));
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("row", Arc::new(UInt64Array::from(taken.row))),
            ("copy", Arc::new(UInt32Array::from(taken.copy))),
            ("timestamp", Arc::new(Int64Array::from(taken.timestamp))),
            ("function", Arc::new(UInt32Array::from(taken.function))),
            ("source", Arc::new(UInt32Array::from(taken.source))),
            ("outcome", names(taken.outcome)),
            ("reason", names(taken.reason)),
            ("limit", names(taken.limit)),
            ("attempts", Arc::new(UInt32Array::from(taken.tries))),
            ("throttles", Arc::new(UInt32Array::from(taken.throttles))),
            ("errors", Arc::new(UInt32Array::from(taken.errors))),
            ("conflicts", Arc::new(UInt32Array::from(taken.conflicts))),
            ("settled", Arc::new(Int64Array::from(taken.settled))),
        ];
        columns.push(("wait_ms", Arc::new(millis(&waits, ran.as_ref()))));
        columns.extend(taken.runs.columns());
        Table::new(columns)
    }

    /// Hands the columns of attempts over and starts anew.
    pub(crate) fn take_attempts(&mut self) -> PyResult<Option<Table>> {
        let Some(attempts) = self.attempts.as_mut() else { return Ok(None) };
        let taken = std::mem::take(attempts.as_mut());
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("row", Arc::new(UInt64Array::from(taken.row))),
            ("copy", Arc::new(UInt32Array::from(taken.copy))),
            ("attempt", Arc::new(UInt32Array::from(taken.attempt))),
            ("outcome", names(taken.outcome)),
            ("reason", names(taken.reason)),
            ("limit", names(taken.limit)),
            ("at", Arc::new(Int64Array::from(taken.at))),
        ];
        let refused = taken.refused;
        let runs = taken.runs.columns().into_iter().map(|(name, array)| {
            let batches =
                if name == "batch" { array.as_primitive_opt::<UInt64Type>() } else { None };
            let Some(batches) = batches else { return (name, array) };
            let either = batches.iter().zip(&refused).map(|(ran, refused)| ran.or(*refused));
            (name, Arc::new(either.collect::<UInt64Array>()) as ArrayRef)
        });
        columns.extend(runs);
        Table::new(columns).map(Some)
    }
}
