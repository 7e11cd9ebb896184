//! Counts per bucket to invocations.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt8Type, UInt32Type, UInt64Type};
use arrow_array::{Array, Int64Array, RecordBatch, UInt32Array};
use lambda_replay_ingest::counts::{Bucket, Expander, Function, Placement, Rows};
use lambda_replay_ingest::law::Law;
use pyo3::prelude::*;

use crate::arrow_in::read_batches;
use crate::arrow_out::Table;
use crate::error::{guarded, internal};

/// Columns of the quantiles, at `lambda_replay_ingest::law::SHARES`.
const QUANTILES: [&str; 7] = ["q0", "q1", "q25", "q50", "q75", "q99", "q100"];

/// Expands counts per bucket; functions are given once, with how long they take.
#[pyclass(frozen)]
pub(crate) struct CountExpander {
    expander: Mutex<Expander>,
}

#[pymethods]
impl CountExpander {
    /// `functions` has `key` (`UInt64`), `placement` (`UInt8`), `q0` … `q100` (Float64, ms),
    /// `average` (Float64, null: as the quantiles have it), a row per function.
    #[new]
    fn new(py: Python<'_>, seed: u64, functions: &Bound<'_, PyAny>) -> PyResult<Self> {
        let batches = read_batches(functions)?;
        let made = py.detach(|| {
            guarded(|| {
                let mut made = Vec::new();
                for batch in &batches {
                    made.extend(functions_of(batch)?);
                }
                Ok(made)
            })
        })?;
        Ok(Self { expander: Mutex::new(Expander::new(seed, made)) })
    }

    /// Expands consecutive buckets: `counts` has a `UInt32` column per bucket and a row per function,
    /// `means`, where given, the same with mean durations in ms (Float64, NaN: as the law has it).
    #[pyo3(signature = (first, start, width, counts, means = None))]
    fn expand(
        &self,
        py: Python<'_>,
        first: u64,
        start: i64,
        width: i64,
        counts: &Bound<'_, PyAny>,
        means: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Table> {
        let counts = read_batches(counts)?;
        let means = means.map(read_batches).transpose()?;
        let rows = py.detach(|| {
            guarded(|| {
                let mut expander = self.expander.lock().unwrap_or_else(PoisonError::into_inner);
                let counts = only(&counts)?;
                let means = means.as_deref().map(only).transpose()?;
                let mut rows = Rows::default();
                for (place, column) in counts.columns().iter().enumerate() {
                    let numbers = column
                        .as_primitive_opt::<UInt32Type>()
                        .ok_or_else(|| internal("a count is a UInt32"))?;
                    let means = means
                        .map(|means| values::<Float64Type>(means.column(place)))
                        .transpose()?;
                    let bucket = Bucket {
                        index: first + place as u64,
                        start: start + width * i64::try_from(place).unwrap_or(i64::MAX),
                        width,
                    };
                    expander.expand(bucket, numbers.values(), means, &mut rows);
                }
                Ok(rows)
            })
        })?;
        Table::new(vec![
            ("timestamp", Arc::new(Int64Array::from(rows.timestamps))),
            ("function", Arc::new(UInt32Array::from(rows.functions))),
            ("duration_ms", Arc::new(Int64Array::from(rows.durations))),
        ])
    }
}

/// The one batch of a frame in one piece.
fn only(batches: &[RecordBatch]) -> PyResult<&RecordBatch> {
    match batches {
        [batch] => Ok(batch),
        _ => Err(internal("the columns come in one batch")),
    }
}

fn values<T: arrow_array::ArrowPrimitiveType>(array: &dyn Array) -> PyResult<&[T::Native]> {
    let array = array.as_primitive_opt::<T>().filter(|array| array.null_count() == 0);
    array
        .map(|array| array.values().as_ref())
        .ok_or_else(|| internal(&format!("a column of {} without nulls is expected", T::DATA_TYPE)))
}

fn functions_of(batch: &RecordBatch) -> PyResult<Vec<Function>> {
    let column = |name: &str| {
        batch
            .column_by_name(name)
            .map(AsRef::as_ref)
            .ok_or_else(|| internal(&format!("the column {name} is not there")))
    };
    let keys = values::<UInt64Type>(column("key")?)?;
    let placements = values::<UInt8Type>(column("placement")?)?;
    let quantiles = QUANTILES
        .iter()
        .map(|name| values::<Float64Type>(column(name)?))
        .collect::<PyResult<Vec<_>>>()?;
    let averages = column("average")?
        .as_primitive_opt::<Float64Type>()
        .ok_or_else(|| internal("an average is a Float64"))?;
    (0..batch.num_rows())
        .map(|place| {
            let average = averages.is_valid(place).then(|| averages.value(place));
            let reported = std::array::from_fn(|at| quantiles[at][place]);
            let placement = Placement::of(placements[place])
                .ok_or_else(|| internal("a placement is a number below 3"))?;
            Ok(Function { key: keys[place], placement, law: Law::of(reported, average) })
        })
        .collect()
}
