//! Counts of synthetic functions.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt8Type, UInt32Type, UInt64Type};
use arrow_array::{ArrayRef, ArrowPrimitiveType, RecordBatch, UInt32Array};
use lambda_replay_ingest::synthetic::{Clock, Pattern, Source};
use pyo3::prelude::*;

use crate::arrow_in::read_batches;
use crate::arrow_out::Table;
use crate::error::{guarded, internal};

/// Draws how often synthetic functions are called, bucket by bucket.
#[pyclass(frozen)]
pub(crate) struct CountGenerator {
    seed: u64,
    clock: Clock,
    sources: Vec<Source>,
}

#[pymethods]
impl CountGenerator {
    /// `functions` has `key` (`UInt64`), `rate` (Float64), `pattern` (`UInt8`: timer, shaken,
    /// bursts), `period` (`UInt64`), `calls` (`UInt32`), `dispersion`, `amplitude` and `phase`
    /// (Float64), none with nulls.
    #[new]
    fn new(
        seed: u64,
        functions: &Bound<'_, PyAny>,
        day: u64,
        begin: f64,
        weekend: f64,
    ) -> PyResult<Self> {
        let mut sources = Vec::new();
        for batch in read_batches(functions)? {
            sources.extend(sources_of(&batch)?);
        }
        Ok(Self { seed, clock: Clock { day, begin, weekend }, sources })
    }

    /// Counts of consecutive buckets: a `UInt32` column per bucket, a row per function.
    fn counts(&self, py: Python<'_>, first: u64, buckets: u64) -> PyResult<Table> {
        py.detach(|| {
            guarded(|| {
                let names: Vec<_> = (first..first + buckets).map(|one| one.to_string()).collect();
                let columns = names
                    .iter()
                    .zip(first..)
                    .map(|(name, bucket)| {
                        let counts = self
                            .sources
                            .iter()
                            .map(|source| source.count(self.seed, bucket, self.clock));
                        let array: ArrayRef = Arc::new(UInt32Array::from_iter_values(counts));
                        (name.as_str(), array)
                    })
                    .collect();
                Table::new(columns)
            })
        })
    }
}

fn column<'a, T: ArrowPrimitiveType>(
    batch: &'a RecordBatch,
    name: &str,
) -> PyResult<&'a [T::Native]> {
    batch
        .column_by_name(name)
        .and_then(|array| array.as_primitive_opt::<T>())
        .map(|array| array.values().as_ref())
        .ok_or_else(|| internal(&format!("the column {name} is not as it must be")))
}

fn sources_of(batch: &RecordBatch) -> PyResult<Vec<Source>> {
    let keys = column::<UInt64Type>(batch, "key")?;
    let rates = column::<Float64Type>(batch, "rate")?;
    let patterns = column::<UInt8Type>(batch, "pattern")?;
    let periods = column::<UInt64Type>(batch, "period")?;
    let calls = column::<UInt32Type>(batch, "calls")?;
    let dispersions = column::<Float64Type>(batch, "dispersion")?;
    let amplitudes = column::<Float64Type>(batch, "amplitude")?;
    let phases = column::<Float64Type>(batch, "phase")?;
    let pattern = |at: usize| match patterns[at] {
        0 => Ok(Pattern::Timer { period: periods[at].max(1), calls: calls[at] }),
        1 => Ok(Pattern::Shaken { dispersion: dispersions[at] }),
        2 => Ok(Pattern::Bursts { dispersion: dispersions[at] }),
        _ => Err(internal("a pattern is a number below 3")),
    };
    (0..batch.num_rows())
        .map(|at| {
            Ok(Source {
                key: keys[at],
                rate: rates[at],
                pattern: pattern(at)?,
                amplitude: amplitudes[at],
                phase: phases[at],
            })
        })
        .collect()
}
