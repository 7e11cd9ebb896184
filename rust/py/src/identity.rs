//! Who a row is (Q34): the hash of its `request_id`, else its `row_uid`, else its position.

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{Array, LargeStringArray, StringArray, StringViewArray, UInt64Array};
use arrow_schema::DataType;
use blake2::digest::consts::U16;
use blake2::{Blake2b, Digest};
use lambda_replay_core::batch::Identities;
use lambda_replay_core::rng::Identity;
use pyo3::PyResult;

use crate::error::internal;

/// The columns that identify rows.
pub(crate) struct RowIdentities<'a> {
    request_ids: Option<Strings<'a>>,
    row_uids: Option<&'a UInt64Array>,
}

enum Strings<'a> {
    View(&'a StringViewArray),
    Small(&'a StringArray),
    Large(&'a LargeStringArray),
}

impl Strings<'_> {
    fn get(&self, place: usize) -> Option<&str> {
        match self {
            Self::View(array) => array.is_valid(place).then(|| array.value(place)),
            Self::Small(array) => array.is_valid(place).then(|| array.value(place)),
            Self::Large(array) => array.is_valid(place).then(|| array.value(place)),
        }
    }
}

impl<'a> RowIdentities<'a> {
    /// Nothing where the trace has neither column: the position counts then.
    pub(crate) fn of(
        request_ids: Option<&'a dyn Array>,
        row_uids: Option<&'a dyn Array>,
    ) -> PyResult<Option<Self>> {
        if request_ids.is_none() && row_uids.is_none() {
            return Ok(None);
        }
        let refuse = |array: &dyn Array| {
            internal(&format!("an identity cannot be of type {}", array.data_type()))
        };
        let request_ids = match request_ids {
            None => None,
            Some(array) => Some(match array.data_type() {
                DataType::Utf8View => Strings::View(array.as_string_view()),
                DataType::Utf8 => Strings::Small(array.as_string()),
                DataType::LargeUtf8 => Strings::Large(array.as_string()),
                _ => return Err(refuse(array)),
            }),
        };
        let row_uids = match row_uids {
            None => None,
            Some(array) => {
                Some(array.as_primitive_opt::<UInt64Type>().ok_or_else(|| refuse(array))?)
            }
        };
        Ok(Some(Self { request_ids, row_uids }))
    }

    /// Identity of a row whose position in the trace is `position`.
    pub(crate) fn of_row(&self, place: usize, position: u64) -> Identity {
        if let Some(request_id) = self.request_ids.as_ref().and_then(|ids| ids.get(place)) {
            let hash: [u8; 16] = Blake2b::<U16>::digest(request_id).into();
            let (low, high) = hash.split_at(8);
            let word = |bytes: &[u8]| {
                bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
            };
            return Identity { low: word(low), high: word(high) };
        }
        let uid = self.row_uids.filter(|uids| uids.is_valid(place)).map(|uids| uids.value(place));
        Identity::ordinal(uid.unwrap_or(position))
    }
}

/// Identities of the rows of one batch.
pub(crate) struct BatchIdentities<'a> {
    pub(crate) columns: &'a RowIdentities<'a>,
    pub(crate) rows: Option<&'a [u64]>,
    /// Position of the first row where the trace is sorted.
    pub(crate) first: u64,
}

impl Identities for BatchIdentities<'_> {
    fn identity(&self, place: usize) -> Identity {
        let position = self.rows.map_or(self.first + place as u64, |rows| rows[place]);
        self.columns.of_row(place, position)
    }
}
