//! JSON documents as columns of text.

use std::fs::File;
use std::sync::Arc;

use arrow_array::{ArrayRef, StringViewArray};
use lambda_replay_ingest::ReadError;
use lambda_replay_ingest::documents::{Plan, Table as Rows};
use pyo3::prelude::*;

use super::background::{Background, Outlet};
use super::failed::{Failed, raise};
use crate::arrow_out::Table;

type End = Result<(), Failed>;

/// Rows of JSON files, batch by batch.
#[pyclass(frozen)]
pub(crate) struct JsonRows {
    reader: Background<Rows, End>,
    names: Vec<String>,
}

#[pymethods]
impl JsonRows {
    /// `rows` is the path of the rows, `columns` are paths of values; columns are named by their place.
    #[new]
    #[pyo3(signature = (paths, shown, rows, columns, *, batch = 16_384))]
    #[allow(clippy::needless_pass_by_value)] // PyO3 makes a vector of a sequence.
    fn new(
        paths: Vec<String>,
        shown: Vec<String>,
        rows: &str,
        columns: Vec<String>,
        batch: usize,
    ) -> PyResult<Self> {
        let plan = Plan::new(rows, &columns);
        let names = (0..columns.len()).map(|place| place.to_string()).collect();
        let reader = Background::start(move |outlet: &Outlet<Rows, End>| {
            let mut sink = |rows: Rows| -> Result<(), ReadError> {
                if outlet.give(rows) { Ok(()) } else { Err(ReadError::Stopped) }
            };
            for (path, shown) in paths.iter().zip(&shown) {
                let failed = |error: ReadError| Failed::new(shown, error);
                let file = File::open(path).map_err(|error| failed(error.into()))?;
                lambda_replay_ingest::documents::read(file, &plan, batch.max(1), &mut sink)
                    .map_err(failed)?;
            }
            Ok(())
        })?;
        Ok(Self { reader, names })
    }

    /// The next rows; nothing at the end.
    fn take(&self, py: Python<'_>) -> PyResult<Option<Table>> {
        let Some(rows) = self.reader.take(py)? else {
            return match self.reader.end() {
                Some(Err(failed)) => Err(raise(&failed)),
                _ => Ok(None),
            };
        };
        let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
        for (name, column) in self.names.iter().zip(&rows.columns) {
            let texts: StringViewArray = column.iter().map(Option::as_deref).collect();
            columns.push((name, Arc::new(texts)));
        }
        Table::new(columns).map(Some)
    }
}
