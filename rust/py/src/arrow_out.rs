//! Columns out: record batches as an object with `__arrow_c_stream__`.

use std::sync::Arc;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{ArrayRef, Float64Array, RecordBatch, RecordBatchIterator};
use arrow_buffer::NullBuffer;
use arrow_schema::{Field, Schema};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::error::internal;

/// Microseconds as milliseconds. Divided here, one by one: Polars multiplies longer columns by 1/1000,
/// which is another number in the last place.
pub(crate) fn millis(micros: &[i64], known: Option<&NullBuffer>) -> Float64Array {
    let values: Vec<f64> = micros.iter().map(|value| *value as f64 / 1_000.0).collect();
    Float64Array::new(values.into(), known.cloned())
}

/// A table of Arrow columns; `polars.DataFrame(table)` takes it over without a copy.
#[pyclass(frozen)]
pub(crate) struct Table {
    batch: RecordBatch,
}

impl Table {
    /// A table of columns of one length.
    pub(crate) fn new(columns: Vec<(&str, ArrayRef)>) -> PyResult<Self> {
        let fields: Vec<_> = columns
            .iter()
            .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
            .collect();
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays);
        batch.map(|batch| Self { batch }).map_err(|error| internal(&error.to_string()))
    }
}

#[pymethods]
impl Table {
    /// The columns as an Arrow C stream. A requested schema is not looked at, as the protocol allows.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let batches = std::iter::once(Ok(self.batch.clone()));
        let reader = RecordBatchIterator::new(batches, self.batch.schema());
        let stream = FFI_ArrowArrayStream::new(Box::new(reader));
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }

    fn __len__(&self) -> usize {
        self.batch.num_rows()
    }
}
