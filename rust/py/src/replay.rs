//! `_core.Replay`: feeds the core and drains it.

use arrow_array::RecordBatch;
use lambda_replay_core as core;
use lambda_replay_core::batch::{Batch, Identities};
use lambda_replay_core::ids::FunctionId;
use lambda_replay_core::outcome::Nobody;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrow_in::{Columns, read_batches};
use crate::arrow_out::Table;
use crate::config::{Account, Registration};
use crate::error::{guarded, internal, to_python};
use crate::identity::BatchIdentities;
use crate::outcomes::OutcomeColumns;
use crate::totals::{minutes_table, totals_table};

/// Stands for a code that nobody has registered.
const UNSEEN: u32 = u32::MAX;

/// One replay of one account. Rows go in by `feed`, results come out as tables.
#[pyclass]
pub(crate) struct Replay {
    core: core::Replay,
    outcomes: Option<OutcomeColumns>,
    /// Number of the function by its code in the trace.
    numbers: Vec<u32>,
    /// Numbers of the functions of this batch.
    functions: Vec<u32>,
    /// Rows fed.
    fed: u64,
    /// A panic left the state undefined.
    broken: bool,
}

#[pymethods]
impl Replay {
    #[new]
    #[pyo3(signature = (account, *, outcomes, function_minutes))]
    #[allow(clippy::needless_pass_by_value)] // Extracted for this call.
    fn new(account: Account<'_>, outcomes: bool, function_minutes: bool) -> PyResult<Self> {
        guarded(|| {
            Ok(Self {
                core: core::Replay::new(account.resolve()?, function_minutes),
                outcomes: outcomes.then(OutcomeColumns::default),
                numbers: Vec::new(),
                functions: Vec::new(),
                fed: 0,
                broken: false,
            })
        })
    }

    /// Replays the rows of an object with `__arrow_c_stream__`.
    ///
    /// Columns: `timestamp` (i64, µs), `function` (u32, any code), `duration` (i64 µs or f64 ms),
    /// and where given `init` (the same, nullable), `row` (u64), `request_id`, `row_uid`. New codes
    /// are handed to `register`, which answers with registrations in the order of their numbers.
    fn feed(
        &mut self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        register: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.attempt(|replay| {
            for batch in &read_batches(data)? {
                let columns = Columns::of(batch, replay.fed)?;
                let unseen = py.detach(|| replay.number(columns.codes));
                if !unseen.is_empty() {
                    replay.register(&unseen, register)?;
                    py.detach(|| replay.number(columns.codes));
                }
                replay.replay(py, &columns, batch)?;
            }
            Ok(())
        })
    }

    /// Replays to the last release.
    fn finish(&mut self, py: Python<'_>) -> PyResult<()> {
        self.attempt(|replay| {
            py.detach(|| replay.core.finish());
            Ok(())
        })
    }

    /// Outcomes decided since the last time.
    fn take_outcomes(&mut self) -> PyResult<Option<Table>> {
        self.attempt(|replay| replay.outcomes.as_mut().map(OutcomeColumns::take).transpose())
    }

    /// Rows of minutes closed since the last time.
    fn take_minutes(&mut self) -> PyResult<Table> {
        self.attempt(|replay| minutes_table(&replay.core.take_minutes()))
    }

    /// Totals of each function, in order of registration.
    fn function_totals(&mut self) -> PyResult<Table> {
        self.attempt(|replay| {
            let numbers = 0..u32::try_from(replay.core.functions()).expect("fewer than 2^32");
            let totals: Vec<_> =
                numbers.map(|number| replay.core.function_totals(FunctionId(number))).collect();
            totals_table(&totals)
        })
    }

    /// Totals of all functions together: a table of one row.
    fn totals(&mut self) -> PyResult<Table> {
        self.attempt(|replay| totals_table(&[replay.core.totals()]))
    }

    /// `rows`, `first`, `last` and `last_release` (µs since the epoch, None for an empty trace).
    fn extent<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let extent = self.core.extent();
        let dict = PyDict::new(py);
        dict.set_item("rows", extent.rows)?;
        dict.set_item("first", extent.first.map(|at| at.0))?;
        dict.set_item("last", extent.last.map(|at| at.0))?;
        dict.set_item("last_release", extent.last_release.map(|at| at.0))?;
        Ok(dict)
    }

    /// Panics, so that a test can see what becomes of it.
    fn _panic(&mut self) -> PyResult<()> {
        self.attempt(|_| panic!("asked to panic"))
    }
}

impl Replay {
    /// Does something that may fail; nothing else can be done after that.
    fn attempt<T>(&mut self, work: impl FnOnce(&mut Self) -> PyResult<T>) -> PyResult<T> {
        if self.broken {
            return Err(internal("the replay broke off before"));
        }
        let answer = guarded(|| work(self));
        self.broken = answer.is_err();
        answer
    }

    /// Numbers the functions of a column of codes; gives the codes that have no number yet, in order
    /// of appearance.
    fn number(&mut self, codes: &[u32]) -> Vec<u32> {
        let numbers = &self.numbers;
        let number = |code: &u32| numbers.get(*code as usize).copied().unwrap_or(UNSEEN);
        self.functions.clear();
        self.functions.extend(codes.iter().map(number));
        let mut unseen = Vec::new();
        if self.functions.contains(&UNSEEN) {
            let mut seen = std::collections::HashSet::new();
            let new = codes.iter().zip(&self.functions).filter(|(_, number)| **number == UNSEEN);
            unseen.extend(new.map(|(code, _)| *code).filter(|code| seen.insert(*code)));
        }
        unseen
    }

    /// Asks for the functions of new codes and adds them.
    fn register(&mut self, codes: &[u32], register: &Bound<'_, PyAny>) -> PyResult<()> {
        for entry in register.call1((codes.to_vec(),))?.extract::<Vec<Registration>>()? {
            if let Some(config) = entry.config {
                let function = entry.function.map(FunctionId);
                let number = self.core.add_function(config.into(), function).0;
                if number != entry.number {
                    return Err(internal("functions are numbered in the order of registration"));
                }
            }
            if let Some(code) = entry.code.map(|code| code as usize) {
                if code >= self.numbers.len() {
                    self.numbers.resize(code + 1, UNSEEN);
                }
                self.numbers[code] = entry.number;
            }
        }
        Ok(())
    }

    fn replay(
        &mut self,
        py: Python<'_>,
        columns: &Columns<'_>,
        batch: &RecordBatch,
    ) -> PyResult<()> {
        let (core, outcomes, first) = (&mut self.core, &mut self.outcomes, self.fed);
        let functions = &self.functions;
        let answer = py.detach(|| {
            let identities = columns.identities.as_ref().map(|identities| BatchIdentities {
                columns: identities,
                rows: columns.rows,
                first,
            });
            let batch = Batch {
                timestamps: columns.timestamps,
                functions,
                durations: columns.durations,
                inits: columns.inits,
                rows: columns.rows,
                identities: identities.as_ref().map(|identities| identities as &dyn Identities),
            };
            match outcomes {
                Some(outcomes) => core.feed(&batch, outcomes),
                None => core.feed(&batch, &mut Nobody),
            }
        });
        self.fed += batch.num_rows() as u64;
        let position = |row: u64| match columns.rows {
            Some(rows) => usize::try_from(row - first).map_or(row, |place| rows[place]),
            None => row,
        };
        answer.map_err(|error| to_python(&error.renumbered(position)))
    }
}
