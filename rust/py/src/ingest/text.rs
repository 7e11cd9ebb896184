//! CSV record by record.

use std::fs::File;
use std::io::{BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::StringArray;
use arrow_array::builder::StringBuilder;
use lambda_replay_ingest::text::Records;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use crate::arrow_out::Table;
use crate::error::guarded;

type Input = Records<BufReader<Box<dyn Read + Send>>>;

/// Records of a CSV file as columns of text, with what is wrong with each.
#[pyclass(frozen)]
pub(crate) struct CsvRecords {
    records: Mutex<Input>,
}

#[pymethods]
impl CsvRecords {
    /// Opens a file that is not packed.
    #[new]
    fn new(path: &str) -> PyResult<Self> {
        let input: Box<dyn Read + Send> = Box::new(File::open(path)?);
        let records = Records::new(BufReader::with_capacity(1 << 20, input))
            .map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(Self { records: Mutex::new(records) })
    }

    /// Names of the columns.
    fn header(&self) -> Vec<String> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).header().to_vec()
    }

    /// Up to `rows` records, a column of text per name in order, then what is wrong (null: nothing);
    /// nothing at the end.
    fn take(&self, py: Python<'_>, rows: usize) -> PyResult<Option<Table>> {
        py.detach(|| {
            guarded(|| {
                let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
                let names = records.header().to_vec();
                let mut columns: Vec<_> = names.iter().map(|_| StringBuilder::new()).collect();
                let mut faults = StringBuilder::new();
                let mut taken = 0;
                while taken < rows {
                    let next = records
                        .next_record()
                        .map_err(|error| PyOSError::new_err(error.to_string()))?;
                    let Some(record) = next else { break };
                    for (column, field) in columns.iter_mut().zip(record.fields) {
                        column.append_option(field);
                    }
                    faults.append_option(record.fault.map(|fault| fault.to_string()));
                    taken += 1;
                }
                if taken == 0 {
                    return Ok(None);
                }
                let numbered: Vec<_> = (0..names.len()).map(|at| at.to_string()).collect();
                let mut made: Vec<(&str, arrow_array::ArrayRef)> = Vec::new();
                for (name, column) in numbered.iter().zip(&mut columns) {
                    let array: StringArray = column.finish();
                    made.push((name, Arc::new(array)));
                }
                made.push(("fault", Arc::new(faults.finish())));
                Table::new(made).map(Some)
            })
        })
    }
}
