//! A digest of rows that does not depend on how a file encodes them.

use std::sync::{Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrowPrimitiveType, RecordBatch};
use arrow_schema::DataType;
use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest};
use pyo3::prelude::*;

use crate::arrow_in::read_batches;
use crate::error::{guarded, internal};

/// BLAKE2b-256 over the columns of rows fed batch by batch. Cutting the rows into other batches gives
/// the same digest: each column has a hash of its own, and the digest is the hash of those.
#[pyclass(frozen)]
pub(crate) struct RowDigest {
    columns: Mutex<Vec<(String, Blake2b<U32>)>>,
}

#[pymethods]
impl RowDigest {
    #[new]
    fn new() -> Self {
        Self { columns: Mutex::new(Vec::new()) }
    }

    /// Takes rows: columns of Int64, `UInt32`, `UInt64`, Float64, Boolean or text.
    fn update(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let batches = read_batches(data)?;
        py.detach(|| {
            guarded(|| {
                let mut columns = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
                batches.iter().try_for_each(|batch| feed(&mut columns, batch))
            })
        })
    }

    /// The digest of all rows so far, in hexadecimal.
    fn hexdigest(&self) -> String {
        let columns = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        let mut whole = Blake2b::<U32>::new();
        for (name, hash) in columns.iter() {
            whole.update((name.len() as u64).to_le_bytes());
            whole.update(name);
            whole.update(hash.clone().finalize());
        }
        whole.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }
}

fn feed(columns: &mut Vec<(String, Blake2b<U32>)>, batch: &RecordBatch) -> PyResult<()> {
    for (place, field) in batch.schema().fields().iter().enumerate() {
        if columns.len() == place {
            columns.push((field.name().clone(), Blake2b::new()));
        }
        let (_, hash) = &mut columns[place];
        hash_column(hash, batch.column(place).as_ref())?;
    }
    Ok(())
}

fn hash_column(hash: &mut Blake2b<U32>, array: &dyn Array) -> PyResult<()> {
    match array.data_type() {
        DataType::Int64 => numbers::<Int64Type, 8>(hash, array, i64::to_le_bytes),
        DataType::UInt64 => numbers::<UInt64Type, 8>(hash, array, u64::to_le_bytes),
        DataType::UInt32 => numbers::<UInt32Type, 4>(hash, array, u32::to_le_bytes),
        DataType::Float64 => numbers::<Float64Type, 8>(hash, array, f64::to_le_bytes),
        DataType::Boolean => {
            for value in array.as_boolean() {
                hash.update([value.map_or(2, u8::from)]);
            }
        }
        DataType::Utf8View => {
            for value in array.as_string_view() {
                text(hash, value);
            }
        }
        DataType::LargeUtf8 => {
            for value in array.as_string::<i64>() {
                text(hash, value);
            }
        }
        other => return Err(internal(&format!("no digest of a column of type {other}"))),
    }
    Ok(())
}

fn numbers<T: ArrowPrimitiveType, const N: usize>(
    hash: &mut Blake2b<U32>,
    array: &dyn Array,
    bytes: impl Fn(T::Native) -> [u8; N],
) {
    let mut packed = Vec::with_capacity(array.len() * (N + 1));
    for value in array.as_primitive::<T>() {
        match value {
            Some(value) => {
                packed.push(1);
                packed.extend_from_slice(&bytes(value));
            }
            None => packed.push(0),
        }
    }
    hash.update(&packed);
}

fn text(hash: &mut Blake2b<U32>, value: Option<&str>) {
    // No text is as long as what stands for none.
    hash.update(value.map_or(u64::MAX, |value| value.len() as u64).to_le_bytes());
    hash.update(value.unwrap_or_default());
}
