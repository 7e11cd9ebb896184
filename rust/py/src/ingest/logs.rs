//! Logs of `CloudWatch` as columns of runs.

use std::fs::File;
use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::{ArrayRef, BooleanArray, Int64Array, StringViewArray, UInt32Array, UInt64Array};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use lambda_replay_ingest::ReadError;
use lambda_replay_ingest::logs::join::{InitOnPath, Joiner, Options};
use lambda_replay_ingest::logs::runs::{Bad, Cold, Ended, NOTHING, Names, Runs, Tally, Texts};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::background::{Background, Outlet};
use super::failed::{Failed, raise};
use crate::arrow_out::{Table, millis};
use crate::error::internal;

/// Counts, and the file that could not be read to its end.
type End = Result<Tally, Failed>;

/// Runs of log files, batch by batch.
#[pyclass(frozen)]
pub(crate) struct LogRuns {
    reader: Background<Runs, End>,
}

#[pymethods]
impl LogRuns {
    /// Reads files in order: `paths` as they lie there, `shown` as the user calls them. `function` is
    /// that of lines that do not say which; `init_on_path`: whether an init was waited for where
    /// nothing tells.
    #[new]
    #[pyo3(signature = (paths, shown, *, function = None, init_on_path = true, batch = 131_072))]
    fn new(
        paths: Vec<String>,
        shown: Vec<String>,
        function: Option<String>,
        init_on_path: bool,
        batch: usize,
    ) -> PyResult<Self> {
        let init_on_path = if init_on_path { InitOnPath::Always } else { InitOnPath::Never };
        let options = Options { function, init_on_path, batch: batch.max(1), ..Options::default() };
        let reader = Background::start(move |outlet: &Outlet<Runs, End>| {
            let mut sink = |runs: Runs| -> Result<(), ReadError> {
                if outlet.give(runs) { Ok(()) } else { Err(ReadError::Stopped) }
            };
            let mut joiner = Joiner::new(options, &mut sink);
            for (path, shown) in paths.iter().zip(&shown) {
                let failed = |error: ReadError| Failed::new(shown, error);
                let file = File::open(path).map_err(|error| failed(error.into()))?;
                lambda_replay_ingest::logs::read(file, path, &mut joiner).map_err(failed)?;
            }
            joiner.finish().map_err(|error| Failed::new("", error))
        })?;
        Ok(Self { reader })
    }

    /// Runs and lines set aside, of the next batch; nothing at the end.
    fn take(&self, py: Python<'_>) -> PyResult<Option<(Table, Table)>> {
        let Some(runs) = self.reader.take(py)? else {
            return match self.reader.end() {
                Some(Err(failed)) => Err(raise(&failed)),
                _ => Ok(None),
            };
        };
        let bad = bad_lines(&runs.bad)?;
        py.detach(|| columns(runs)).map(|columns| Some((columns, bad)))
    }

    /// What was counted, after the end.
    fn tally<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some(Ok(tally)) = self.reader.end() else { return Ok(None) };
        let found = PyDict::new(py);
        for (name, count) in [
            ("lines", tally.lines),
            ("reports", tally.reports),
            ("runs", tally.runs),
            ("copies", tally.copies),
            ("retries", tally.retries),
            ("started", tally.started),
            ("unfinished", tally.unfinished),
            ("late_starts", tally.late_starts),
            ("time_outs", tally.time_outs),
            ("inits", tally.inits),
            ("inits_ahead", tally.inits_ahead),
            ("inits_assumed", tally.inits_assumed),
            ("inits_unused", tally.inits_unused),
            ("inits_failed", tally.inits_failed),
            ("dropped", tally.dropped),
            ("others", tally.others),
            ("control", tally.control),
            ("many_at_once", tally.many_at_once),
        ] {
            found.set_item(name, count)?;
        }
        found.set_item("longest_assumed_us", tally.longest_assumed)?;
        found.set_item("partial", tally.partial)?;
        found.set_item("faults", tally.faults)?;
        Ok(Some(found))
    }
}

fn columns(runs: Runs) -> PyResult<Table> {
    let spans = |values: &[i64]| -> ArrayRef {
        let known = known(values);
        Arc::new(millis(values, Some(&known)))
    };
    let numbers = |values: Vec<i64>| -> ArrayRef {
        let known = known(&values);
        Arc::new(Int64Array::new(values.into(), Some(known)))
    };
    let cold = flags(&runs.cold, Cold::Yes as u8, Cold::Unknown as u8);
    let errors: StringViewArray = runs
        .error
        .iter()
        .map(|error| match *error {
            error if error == Ended::Handled as u8 => Some("handled"),
            error if error == Ended::Crash as u8 => Some("crash"),
            _ => None,
        })
        .collect();
    Table::new(vec![
        ("timestamp", Arc::new(Int64Array::from(runs.timestamp))),
        ("function", named(&runs.functions, &runs.function)?),
        ("duration_ms", spans(&runs.duration)),
        ("init_ms", spans(&runs.init)),
        ("init_ahead_ms", spans(&runs.init_ahead)),
        ("cold_start", Arc::new(cold)),
        ("error", Arc::new(errors)),
        ("attempt", Arc::new(UInt32Array::from(runs.attempt))),
        ("memory_mb", numbers(runs.memory)),
        ("max_memory_mb", numbers(runs.max_memory)),
        ("billed_ms", numbers(runs.billed)),
        ("request_id", texts(&runs.request_id)),
        ("xray_trace_id", texts(&runs.trace_id)),
        ("log_stream", named(&runs.streams, &runs.stream)?),
        ("account", named(&runs.accounts, &runs.account)?),
    ])
}

fn known(values: &[i64]) -> NullBuffer {
    NullBuffer::new(BooleanBuffer::collect_bool(values.len(), |at| values[at] != NOTHING))
}

fn flags(values: &[u8], yes: u8, unknown: u8) -> BooleanArray {
    let known = BooleanBuffer::collect_bool(values.len(), |at| values[at] != unknown);
    let yes = BooleanBuffer::collect_bool(values.len(), |at| values[at] == yes);
    BooleanArray::new(yes, Some(NullBuffer::new(known)))
}

fn texts(texts: &Texts) -> ArrayRef {
    let mut builder = StringViewBuilder::with_capacity(texts.ends.len());
    for place in 0..texts.ends.len() {
        let text = texts.get(place);
        builder.append_option((!text.is_empty()).then_some(text));
    }
    Arc::new(builder.finish())
}

/// A name per row; each stands in the buffer once.
fn named(names: &Names, codes: &[u32]) -> PyResult<ArrayRef> {
    let mut places = Vec::with_capacity(names.names.len());
    let mut bytes = Vec::new();
    for name in &names.names {
        // A batch ends long before its names take 4 GiB.
        let start = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(name.as_bytes());
        places.push((start, u32::try_from(name.len()).unwrap_or(u32::MAX)));
    }
    let mut builder = StringViewBuilder::with_capacity(codes.len());
    let block = builder.append_block(bytes.into());
    for code in codes {
        match places.get(*code as usize) {
            Some((start, length)) => builder
                .try_append_view(block, *start, *length)
                .map_err(|error| internal(&error.to_string()))?,
            None => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}

fn bad_lines(bad: &[Bad]) -> PyResult<Table> {
    let lines: UInt64Array = bad.iter().map(|bad| bad.line).collect::<Vec<_>>().into();
    let reasons: StringViewArray = bad.iter().map(|bad| Some(bad.fault.name())).collect();
    let shown: StringViewArray = bad.iter().map(|bad| Some(bad.text.as_str())).collect();
    Table::new(vec![
        ("line", Arc::new(lines)),
        ("reason", Arc::new(reasons)),
        ("text", Arc::new(shown)),
    ])
}
