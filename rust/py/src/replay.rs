//! `_core.Replay`: feeds the core and drains it.

use arrow_array::RecordBatch;
use lambda_replay_core as core;
use lambda_replay_core::batch::{Batch, Identities};
use lambda_replay_core::ids::FunctionId;
use lambda_replay_core::outcome::Nobody;
use md5::{Digest, Md5};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrow_in::{Columns, read_batches, read_keys};
use crate::arrow_out::Table;
use crate::config::{Account, Registration};
use crate::error::{guarded, internal, to_python};
use crate::identity::BatchIdentities;
use crate::outcomes::OutcomeColumns;
use crate::sources::{SourceEntry, source_minutes_table, source_units_table};
use crate::totals::{
    bills_table, blame_table, extras_table, keys_table, minutes_table, totals_table,
};

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
    #[pyo3(signature = (account, *, outcomes, attempts, function_minutes, blame = false))]
    #[allow(clippy::fn_params_excessive_bools)] // Python gives them by name.
    fn new(
        account: Account<'_>,
        outcomes: bool,
        attempts: bool,
        function_minutes: bool,
        blame: bool,
    ) -> PyResult<Self> {
        guarded(|| {
            let mut core = core::Replay::new(account.resolve()?, function_minutes);
            if blame {
                core.keep_blame();
            }
            Ok(Self {
                core,
                outcomes: (outcomes || attempts).then(|| OutcomeColumns::new(attempts)),
                numbers: Vec::new(),
                functions: Vec::new(),
                fed: 0,
                broken: false,
            })
        })
    }

    /// Adds functions that the scenario names, before the first row.
    fn add_functions(&mut self, entries: Vec<Registration>) -> PyResult<()> {
        self.attempt(|replay| replay.add(entries))
    }

    /// Adds the event sources of the scenario, in the order of their names, before the first row.
    fn add_sources(&mut self, entries: Vec<SourceEntry>) -> PyResult<()> {
        self.attempt(|replay| {
            for entry in entries {
                replay.core.add_source(entry.resolve()?);
            }
            Ok(())
        })
    }

    /// Adds keys of records by the column `key` of an object with `__arrow_c_stream__`: those of the
    /// next codes, in their order.
    fn add_keys(&mut self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        self.attempt(|replay| {
            read_keys(data, |key| {
                let hash = u128::from_be_bytes(Md5::digest(key.as_bytes()).into());
                let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
                replay.core.add_key(hash, length);
            })
        })
    }

    /// Adds names of records of shared state, in the same way: event sources need their order.
    fn add_state_keys(&mut self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        self.attempt(|replay| read_keys(data, |key| replay.core.add_state_key(key)))
    }

    /// What was counted of event sources by minute, if it is much or if `everything` is wanted:
    /// partial rows.
    #[pyo3(signature = (*, everything))]
    fn take_source_minutes(&mut self, everything: bool) -> PyResult<Table> {
        self.attempt(|replay| source_minutes_table(&replay.core.take_source_minutes(everything)))
    }

    /// What each shard, partition, message group or queue came to.
    fn source_units(&mut self) -> PyResult<Table> {
        self.attempt(|replay| source_units_table(&replay.core.source_units()))
    }

    /// Replays the rows of an object with `__arrow_c_stream__`.
    ///
    /// Columns: `timestamp` (i64, µs), `function` (u32, any code), `duration` (i64 µs or f64 ms),
    /// and where given `init` (the same, nullable), `row` (u64), `request_id`, `row_uid`; of records
    /// of event sources `event_source`, `key`, `shard` (u32), `filtered` (u8). New codes
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
            py.detach(|| match replay.outcomes.as_mut() {
                Some(outcomes) => replay.core.finish(outcomes),
                None => replay.core.finish(&mut Nobody),
            });
            Ok(())
        })
    }

    /// Outcomes decided since the last time.
    fn take_outcomes(&mut self) -> PyResult<Option<Table>> {
        self.attempt(|replay| replay.outcomes.as_mut().map(OutcomeColumns::take).transpose())
    }

    /// Attempts decided since the last time; None where they are not wanted.
    fn take_attempts(&mut self) -> PyResult<Option<Table>> {
        self.attempt(|replay| match replay.outcomes.as_mut() {
            Some(outcomes) => outcomes.take_attempts(),
            None => Ok(None),
        })
    }

    /// What was counted beyond the minutes, if it is much or if `everything` is wanted: partial rows.
    #[pyo3(signature = (*, everything))]
    fn take_extras(&mut self, everything: bool) -> PyResult<Table> {
        self.attempt(|replay| extras_table(&replay.core.take_extras(everything)))
    }

    /// What each function is billed for, by month and kind.
    fn bills(&mut self) -> PyResult<Table> {
        self.attempt(|replay| {
            let numbers = 0..u32::try_from(replay.core.functions()).expect("fewer than 2^32");
            let bills: Vec<_> = numbers
                .flat_map(|number| {
                    let rows = replay.core.bills(FunctionId(number)).rows().to_vec();
                    rows.into_iter().map(move |bill| (number, bill))
                })
                .collect();
            bills_table(&bills)
        })
    }

    /// What each provisioned pool came to, a dict each.
    fn provisioned_pools<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        self.check()?;
        let pools = self.core.provisioned_pools();
        pools
            .into_iter()
            .map(|pool| {
                let dict = PyDict::new(py);
                dict.set_item("function", pool.function.0)?;
                dict.set_item("name", pool.name)?;
                dict.set_item("busy_us", pool.busy_us)?;
                dict.set_item("ready_us", pool.ready_us)?;
                dict.set_item("billed_us", pool.billed_us)?;
                dict.set_item("inits", pool.inits)?;
                dict.set_item("init_us", pool.init.0)?;
                dict.set_item("memory_mb", pool.memory_mb)?;
                dict.set_item("storage_mb", pool.storage_mb)?;
                dict.set_item("arm", pool.arm)?;
                dict.set_item("seen", pool.seen)?;
                Ok(dict)
            })
            .collect()
    }

    /// The hottest shared records, by number.
    fn hottest_keys(&mut self, count: usize) -> PyResult<Table> {
        self.attempt(|replay| keys_table(&replay.core.hottest_keys(count)))
    }

    /// Who held the capacity at refusals; empty where that was not wanted.
    fn blame(&mut self) -> PyResult<Table> {
        self.attempt(|replay| blame_table(&replay.core.blame()))
    }

    /// What all shared records together came to.
    fn shared_state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.check()?;
        let state = self.core.shared_state();
        let dict = PyDict::new(py);
        dict.set_item("runs", state.keys.runs)?;
        dict.set_item("writers", state.keys.writers)?;
        dict.set_item("waits", state.keys.waits)?;
        dict.set_item("wait_us", state.keys.total_wait.0)?;
        dict.set_item("longest_wait_us", state.keys.longest_wait.0)?;
        dict.set_item("longest_queue", state.keys.longest_queue)?;
        dict.set_item("time_outs", state.keys.time_outs)?;
        dict.set_item("conflicts", state.keys.conflicts)?;
        dict.set_item("wait_billed_ms", state.keys.wait_billed_ms)?;
        dict.set_item("longest_chain", state.keys.longest_chain)?;
        for (price, mb_ms) in state.keys.wait_billed_mb_ms.into_iter().enumerate() {
            dict.set_item(format!("mb_ms_{price}"), mb_ms)?;
        }
        dict.set_item("blocked_us", state.blocked_us)?;
        dict.set_item("most_blocked", state.most_blocked)?;
        dict.set_item("throttles", state.throttles)?;
        Ok(dict)
    }

    /// Rows of minutes closed since the last time, if they are many or `everything` is wanted.
    #[pyo3(signature = (*, everything))]
    fn take_minutes(&mut self, everything: bool) -> PyResult<Table> {
        self.attempt(|replay| minutes_table(&replay.core.take_minutes(everything)))
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
        self.check()?;
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
    /// Refuses to go on from an undefined state.
    fn check(&self) -> PyResult<()> {
        if self.broken { Err(internal("the replay broke off before")) } else { Ok(()) }
    }

    /// Does something that may fail; nothing else can be done after that.
    fn attempt<T>(&mut self, work: impl FnOnce(&mut Self) -> PyResult<T>) -> PyResult<T> {
        self.check()?;
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
        self.add(register.call1((codes.to_vec(),))?.extract::<Vec<Registration>>()?)
    }

    fn add(&mut self, entries: Vec<Registration>) -> PyResult<()> {
        for entry in entries {
            if let Some(epochs) = entry.config {
                let function = entry.function.map(FunctionId);
                let epochs =
                    epochs.into_iter().map(|(epoch, config)| (epoch, config.into())).collect();
                let number = self.core.add_function(entry.name, epochs, function).0;
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
                memory: columns.memory,
                extras: columns.extras,
                codes: Some(columns.codes),
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
