//! Outcomes as columns. Names, units and columns that follow from others are Python's.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Int64Array, UInt8Array, UInt32Array, UInt64Array};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use lambda_replay_core::outcome::{Outcome, Sink};
use pyo3::PyResult;

use crate::arrow_out::{Table, millis};

/// Outcomes decided since the last time, column by column.
#[derive(Default)]
pub(crate) struct OutcomeColumns {
    row: Vec<u64>,
    timestamp: Vec<i64>,
    function: Vec<u32>,
    limit: Vec<u8>,
    ran: Vec<bool>,
    start: Vec<i64>,
    end: Vec<i64>,
    init: Vec<i64>,
    cold: Vec<bool>,
    environment: Vec<u64>,
    invocation: Vec<u64>,
    billed_ms: Vec<u64>,
}

impl Sink for OutcomeColumns {
    const WANTED: bool = true;

    fn outcome(&mut self, outcome: &Outcome) {
        self.row.push(outcome.row);
        self.timestamp.push(outcome.timestamp.0);
        self.function.push(outcome.function.0);
        self.limit.push(outcome.limit.map_or(0, |limit| limit as u8));
        self.ran.push(outcome.run.is_some());
        let run = outcome.run.as_ref();
        self.start.push(run.map_or(0, |run| run.start.0));
        self.end.push(run.map_or(0, |run| run.end.0));
        self.init.push(run.map_or(0, |run| run.init.0));
        self.cold.push(run.is_some_and(|run| run.cold));
        self.environment.push(run.map_or(0, |run| run.environment));
        self.invocation.push(run.map_or(0, |run| run.invocation));
        self.billed_ms.push(run.map_or(0, |run| run.billed_ms));
    }
}

impl OutcomeColumns {
    /// Hands the columns over and starts anew.
    pub(crate) fn take(&mut self) -> PyResult<Table> {
        let Self {
            row,
            timestamp,
            function,
            limit,
            ran,
            start,
            end,
            init,
            cold,
            environment,
            invocation,
            billed_ms,
        } = std::mem::take(self);
        let ran = BooleanBuffer::from(ran);
        let (of_runs, of_refusals) =
            (Some(NullBuffer::new(ran.clone())), Some(NullBuffer::new(!&ran)));
        let signed = |values: Vec<i64>| -> ArrayRef {
            Arc::new(Int64Array::new(values.into(), of_runs.clone()))
        };
        let unsigned = |values: Vec<u64>| -> ArrayRef {
            Arc::new(UInt64Array::new(values.into(), of_runs.clone()))
        };
        Table::new(vec![
            ("row", Arc::new(UInt64Array::from(row))),
            ("timestamp", Arc::new(Int64Array::from(timestamp))),
            ("function", Arc::new(UInt32Array::from(function))),
            ("limit", Arc::new(UInt8Array::new(limit.into(), of_refusals))),
            ("start", signed(start)),
            ("end", signed(end)),
            ("init_ms", Arc::new(millis(&init, of_runs.as_ref()))),
            ("cold", Arc::new(BooleanArray::new(cold.into(), of_runs.clone()))),
            ("environment", unsigned(environment)),
            ("invocation", unsigned(invocation)),
            ("billed_ms", unsigned(billed_ms)),
            ("ran", Arc::new(BooleanArray::new(ran, None))),
        ])
    }
}
