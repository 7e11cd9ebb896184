//! Columns in: an Arrow C stream becomes record batches without a copy.
//!
//! The only `unsafe` of the project is here: taking over the stream of a capsule.

use arrow_array::cast::AsArray;
use arrow_array::ffi_stream::{ArrowArrayStreamReader, FFI_ArrowArrayStream};
use arrow_array::types::{Float64Type, Int64Type, UInt8Type, UInt32Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{ArrowError, DataType};
use lambda_replay_core::batch::{Bitmap, Extras, Inits, Spans};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::error::{internal, missing_value};
use crate::identity::RowIdentities;

const STREAM: &std::ffi::CStr = c"arrow_array_stream";

/// All record batches of an object with `__arrow_c_stream__`.
pub(crate) fn read_batches(data: &Bound<'_, PyAny>) -> PyResult<Vec<RecordBatch>> {
    let capsule = data.call_method0("__arrow_c_stream__")?.cast_into::<PyCapsule>()?;
    let pointer = capsule.pointer_checked(Some(STREAM))?;
    // SAFETY: a capsule of this name holds an `ArrowArrayStream` by the Arrow PyCapsule protocol;
    // the capsule outlives the call, and `from_raw` leaves an empty stream in it.
    let reader = unsafe {
        ArrowArrayStreamReader::from_raw(pointer.as_ptr().cast::<FFI_ArrowArrayStream>())
    };
    let batches: Result<Vec<_>, ArrowError> = reader.and_then(Iterator::collect);
    batches.map_err(|error| internal(&format!("the columns could not be taken over: {error}")))
}

/// Every text of the column `key` of an object with `__arrow_c_stream__`.
pub(crate) fn read_keys(data: &Bound<'_, PyAny>, mut each: impl FnMut(&str)) -> PyResult<()> {
    for batch in read_batches(data)? {
        let Some(keys) = batch.column_by_name("key") else {
            return Err(internal("the column key is not there"));
        };
        if keys.null_count() > 0 {
            return Err(internal("a registered key is a text"));
        }
        match keys.data_type() {
            DataType::Utf8 => keys.as_string::<i32>().iter().flatten().for_each(&mut each),
            DataType::LargeUtf8 => keys.as_string::<i64>().iter().flatten().for_each(&mut each),
            DataType::Utf8View => keys.as_string_view().iter().flatten().for_each(&mut each),
            other => return Err(internal(&format!("keys cannot be of type {other}"))),
        }
    }
    Ok(())
}

/// Columns without nulls, with their names in the trace.
const REQUIRED: [(&str, &str); 3] =
    [("timestamp", "timestamp"), ("function", "function"), ("duration", "duration_ms")];

/// The columns of one record batch, as `lambda_replay.engine` prepares them.
pub(crate) struct Columns<'a> {
    pub(crate) timestamps: &'a [i64],
    pub(crate) codes: &'a [u32],
    pub(crate) durations: Spans<'a>,
    pub(crate) inits: Option<Inits<'a>>,
    pub(crate) memory: Option<&'a [u32]>,
    pub(crate) extras: Option<Extras<'a>>,
    pub(crate) rows: Option<&'a [u64]>,
    pub(crate) identities: Option<RowIdentities<'a>>,
}

impl<'a> Columns<'a> {
    /// `first` is the number of the first row where there is no column `row`.
    pub(crate) fn of(batch: &'a RecordBatch, first: u64) -> PyResult<Self> {
        let column = |name: &'static str| batch.column_by_name(name).map(AsRef::as_ref);
        let required = |name: &'static str| {
            column(name).ok_or_else(|| internal(&format!("the column {name} is not there")))
        };
        let inits = match column("init") {
            Some(array) => Some(Inits { values: spans(array)?, known: validity(array) }),
            None => None,
        };
        let rows = column("row").map(|array| values::<UInt64Type>(array, "row")).transpose()?;
        for (name, shown) in REQUIRED {
            if let Some(place) =
                required(name)?.nulls().and_then(|nulls| (!nulls.inner()).set_indices().next())
            {
                return Err(missing_value(
                    rows.map_or(first + place as u64, |rows| rows[place]),
                    shown,
                ));
            }
        }
        Ok(Self {
            timestamps: values::<Int64Type>(required("timestamp")?, "timestamp")?,
            codes: values::<UInt32Type>(required("function")?, "function")?,
            durations: spans(required("duration")?)?,
            inits,
            memory: column("memory")
                .map(|array| values::<UInt32Type>(array, "memory"))
                .transpose()?,
            extras: extras(batch)?,
            rows,
            identities: RowIdentities::of(column("request_id"), column("row_uid"))?,
        })
    }
}

/// The columns that make a row more than a synchronous request that ends well; without nulls.
fn extras(batch: &RecordBatch) -> PyResult<Option<Extras<'_>>> {
    let column = |name: &'static str| batch.column_by_name(name).map(AsRef::as_ref);
    let bytes = |name| column(name).map(|array| values::<UInt8Type>(array, name)).transpose();
    let numbers = |name| column(name).map(|array| values::<UInt32Type>(array, name)).transpose();
    let extras = Extras {
        sources: bytes("source")?,
        event_sources: numbers("event_source")?,
        keys: numbers("key")?,
        shards: numbers("shard")?,
        filtered: bytes("filtered")?,
        errors: bytes("error")?,
        error_runs: numbers("error_runs")?,
        extensions: column("extension").map(spans).transpose()?,
        payloads: column("payload")
            .map(|array| values::<UInt64Type>(array, "payload"))
            .transpose()?,
        state_keys: numbers("state_key")?,
        reads: bytes("reads")?,
    };
    let Extras { sources, event_sources, errors, extensions, payloads, state_keys, .. } = extras;
    let any = sources.is_some()
        || event_sources.is_some()
        || errors.is_some()
        || extensions.is_some()
        || payloads.is_some()
        || state_keys.is_some();
    Ok(any.then_some(extras))
}

/// The validity of a column with nulls.
fn validity(array: &dyn Array) -> Option<Bitmap<'_>> {
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0)?;
    Some(Bitmap { bytes: nulls.validity(), offset: nulls.offset() })
}

fn spans(array: &dyn Array) -> PyResult<Spans<'_>> {
    match array.data_type() {
        DataType::Int64 => Ok(Spans::Micros(array.as_primitive::<Int64Type>().values())),
        DataType::Float64 => Ok(Spans::Millis(array.as_primitive::<Float64Type>().values())),
        other => Err(internal(&format!("a span cannot be of type {other}"))),
    }
}

fn values<'a, T: arrow_array::ArrowPrimitiveType>(
    array: &'a dyn Array,
    name: &str,
) -> PyResult<&'a [T::Native]> {
    match array.as_primitive_opt::<T>() {
        Some(array) => Ok(array.values()),
        None => Err(internal(&format!("{name} cannot be of type {}", array.data_type()))),
    }
}
