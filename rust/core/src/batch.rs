//! A stretch of the trace: borrowed columns, checked and brought to microseconds.

use crate::error::Error;
use crate::rng::Identity;
use crate::time::Micros;

/// The years 1 to 9999: what calendars can show, with room for spans to be added.
const INSTANTS: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;
/// The longest duration or init time: 366 days. A run has a row for each of its minutes.
const SPAN_LIMIT: i64 = 366 * 86_400_000_000;

/// Spans of a column, as given.
#[derive(Clone, Copy, Debug)]
pub enum Spans<'a> {
    /// Whole microseconds.
    Micros(&'a [i64]),
    /// Milliseconds; go to the nearest microsecond, halves up (Z3).
    Millis(&'a [f64]),
}

impl Spans<'_> {
    /// The span at a place.
    pub(crate) fn get(&self, place: usize) -> Micros {
        match self {
            Self::Micros(values) => Micros(values[place]),
            Self::Millis(values) => nearest_micros(values[place]),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Micros(values) => values.len(),
            Self::Millis(values) => values.len(),
        }
    }
}

/// Identities of the rows of a batch, asked for only where a draw needs one (Q34).
pub trait Identities {
    /// Identity of the row at this place of the batch.
    fn identity(&self, place: usize) -> Identity;
}

/// Consecutive rows of the trace, in order of their instants.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// When each request reaches Lambda, µs since the epoch.
    pub timestamps: &'a [i64],
    /// Which function, as numbered by registration.
    pub functions: &'a [u32],
    /// Handler time.
    pub durations: Spans<'a>,
    /// What a cold start would add, where the trace knows.
    pub inits: Option<Inits<'a>>,
    /// Memory by the trace, MB; 0 where it does not know.
    pub memory: Option<&'a [u32]>,
    /// What only some traces say of a row.
    pub extras: Option<Extras<'a>>,
    /// The function's code in the trace; its number where this is missing.
    pub codes: Option<&'a [u32]>,
    /// Position of each row in the trace as given; the running number where the trace is sorted.
    pub rows: Option<&'a [u64]>,
    /// Identities where they are not the positions.
    pub identities: Option<&'a dyn Identities>,
}

/// Not of an event source, or no shard.
pub const NO_SOURCE: u32 = u32::MAX;

/// Columns that make a row more than a synchronous request that ends well. Each may be missing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extras<'a> {
    /// 0 synchronous, 1 asynchronous.
    pub sources: Option<&'a [u8]>,
    /// Number of the event source; [`NO_SOURCE`] where the row is none of one.
    pub event_sources: Option<&'a [u32]>,
    /// Partition key or message group; `u32::MAX` for none.
    pub keys: Option<&'a [u32]>,
    /// Shard or partition; [`NO_SOURCE`] where the key tells.
    pub shards: Option<&'a [u32]>,
    /// 1 where the filter of its source drops the record.
    pub filtered: Option<&'a [u8]>,
    /// 0 none, 1 handled, 2 crash, 3 item (a success where it is no event source's: Z14).
    pub errors: Option<&'a [u8]>,
    /// How many runs fail; `u32::MAX` for every run.
    pub error_runs: Option<&'a [u32]>,
    /// The last part of the duration, after the answer.
    pub extensions: Option<Spans<'a>>,
    /// Size of the event, bytes.
    pub payloads: Option<&'a [u64]>,
    /// Record of shared state; `u32::MAX` for none.
    pub state_keys: Option<&'a [u32]>,
    /// 1 where the record is only read.
    pub reads: Option<&'a [u8]>,
}

impl Extras<'_> {
    fn lengths(&self) -> [Option<usize>; 11] {
        [
            self.sources.map(<[_]>::len),
            self.event_sources.map(<[_]>::len),
            self.keys.map(<[_]>::len),
            self.shards.map(<[_]>::len),
            self.filtered.map(<[_]>::len),
            self.errors.map(<[_]>::len),
            self.error_runs.map(<[_]>::len),
            self.extensions.map(|spans| spans.len()),
            self.payloads.map(<[_]>::len),
            self.state_keys.map(<[_]>::len),
            self.reads.map(<[_]>::len),
        ]
    }
}

/// Init times, some of them unknown.
#[derive(Clone, Copy, Debug)]
pub struct Inits<'a> {
    /// The values; what stands at an unknown place is not looked at.
    pub values: Spans<'a>,
    /// Which values are known; all where this is missing.
    pub known: Option<Bitmap<'a>>,
}

/// A bitmap as Arrow lays it out: least significant bit first.
#[derive(Clone, Copy, Debug)]
pub struct Bitmap<'a> {
    /// The bits.
    pub bytes: &'a [u8],
    /// Where the first one of interest is.
    pub offset: usize,
}

impl Bitmap<'_> {
    /// The bit at a place.
    #[inline]
    pub const fn get(self, place: usize) -> bool {
        let place = place + self.offset;
        self.bytes[place / 8] >> (place % 8) & 1 == 1
    }
}

/// A batch that has passed every check.
pub(crate) struct Checked<'a> {
    /// µs.
    pub(crate) durations: &'a [i64],
    inits: Option<Inits<'a>>,
}

impl Checked<'_> {
    /// What the trace says of the init of a row.
    pub(crate) fn init(&self, place: usize) -> Option<Micros> {
        let Inits { values, known } = self.inits?;
        if known.is_some_and(|known| !known.get(place)) {
            return None;
        }
        Some(values.get(place))
    }
}

impl Batch<'_> {
    /// Number of rows.
    pub const fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Whether there are no rows.
    pub const fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// Checks every value; `first` is the number of the first row among those fed and `previous`
    /// the instant of the row before it. Durations in milliseconds are converted into `scratch`.
    pub(crate) fn check<'s>(
        &'s self,
        scratch: &'s mut Vec<i64>,
        first: u64,
        previous: Micros,
        functions: usize,
    ) -> Result<Checked<'s>, Error> {
        let rows = self.len();
        let lengths = [
            self.functions.len(),
            self.durations.len(),
            self.inits.map_or(rows, |inits| inits.values.len()),
            self.rows.map_or(rows, <[u64]>::len),
        ];
        let more = self.extras.map(|extras| extras.lengths()).into_iter().flatten().flatten();
        let more = more.chain(self.memory.map(<[_]>::len)).chain(self.codes.map(<[_]>::len));
        if lengths.into_iter().chain(more).any(|length| length != rows) {
            return Err(Error::Lengths);
        }
        self.check_order(first, previous)?;
        let unregistered = |function: &u32| *function as usize >= functions;
        if let Some(place) = self.functions.iter().position(unregistered) {
            let function = self.functions[place];
            return Err(Error::UnknownFunction { row: first + place as u64, function });
        }
        check_spans(self.durations, None, first, "duration_ms")?;
        if let Some(Inits { values, known }) = self.inits {
            check_spans(values, known, first, "init_ms")?;
        }
        if let Some(extensions) = self.extras.and_then(|extras| extras.extensions) {
            check_spans(extensions, None, first, "extension_ms")?;
        }
        let durations = match self.durations {
            Spans::Micros(values) => values,
            Spans::Millis(values) => {
                scratch.clear();
                scratch.extend(values.iter().map(|value| nearest_micros(*value).0));
                scratch
            }
        };
        Ok(Checked { durations, inits: self.inits })
    }

    fn check_order(&self, first: u64, previous: Micros) -> Result<(), Error> {
        let Some(head) = self.timestamps.first() else { return Ok(()) };
        let rising = *head >= previous.0 && self.timestamps.is_sorted();
        if !rising {
            let mut before = previous.0;
            for (place, timestamp) in self.timestamps.iter().enumerate() {
                if *timestamp < before {
                    let row = first + place as u64;
                    return Err(Error::Unsorted { row, timestamp: *timestamp, previous: before });
                }
                before = *timestamp;
            }
        }
        // In order, so the ends speak for all.
        for (place, timestamp) in [(0, head), (self.len() - 1, &self.timestamps[self.len() - 1])] {
            if !INSTANTS.contains(timestamp) {
                let value = *timestamp as f64;
                return Err(Error::Value { row: first + place as u64, column: "timestamp", value });
            }
        }
        Ok(())
    }
}

fn check_spans(
    spans: Spans<'_>,
    known: Option<Bitmap<'_>>,
    first: u64,
    column: &'static str,
) -> Result<(), Error> {
    let refused = match spans {
        Spans::Micros(values) => {
            let sound = |value: &i64| (0..=SPAN_LIMIT).contains(value);
            find_unsound(values, sound, known).map(|(place, value)| (place, value as f64 / 1_000.0))
        }
        Spans::Millis(values) => {
            let sound = |value: &f64| (0.0..=SPAN_LIMIT as f64 / 1_000.0).contains(value);
            find_unsound(values, sound, known)
        }
    };
    match refused {
        Some((place, value)) => Err(Error::Value { row: first + place as u64, column, value }),
        None => Ok(()),
    }
}

/// The first known value that is not sound.
fn find_unsound<T: Copy>(
    values: &[T],
    sound: impl Fn(&T) -> bool,
    known: Option<Bitmap<'_>>,
) -> Option<(usize, T)> {
    // The usual answer, found without a branch per value.
    if values.iter().fold(true, |all, value| all & sound(value)) {
        return None;
    }
    let refused =
        |(place, value): &(usize, &T)| !sound(value) && known.is_none_or(|known| known.get(*place));
    values.iter().enumerate().find(refused).map(|(place, value)| (place, *value))
}

/// Nearest microsecond, halves up (Z3), of a span that is not negative.
#[inline]
#[allow(clippy::cast_possible_truncation)] // Towards zero is downwards here, and needs no call.
fn nearest_micros(millis: f64) -> Micros {
    Micros((millis * 1_000.0 + 0.5) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch<'a>(timestamps: &'a [i64], functions: &'a [u32], durations: Spans<'a>) -> Batch<'a> {
        Batch {
            timestamps,
            functions,
            durations,
            inits: None,
            memory: None,
            extras: None,
            codes: None,
            rows: None,
            identities: None,
        }
    }

    fn check(batch: &Batch<'_>) -> Result<(Vec<i64>, Vec<Option<i64>>), Error> {
        let mut scratch = Vec::new();
        let checked = batch.check(&mut scratch, 100, Micros(0), 2)?;
        let inits = (0..batch.len()).map(|place| checked.init(place).map(|init| init.0));
        Ok((checked.durations.to_vec(), inits.collect()))
    }

    #[test]
    fn z3_durations_go_to_the_nearest_microsecond_halves_up() {
        let millis = [0.0005, 0.000_499, 1.0, 71.25, 0.0];
        let batch = batch(&[1; 5], &[0; 5], Spans::Millis(&millis));
        assert_eq!(check(&batch), Ok((vec![1, 0, 1_000, 71_250, 0], vec![None; 5])));
    }

    #[test]
    fn unknown_inits_are_not_looked_at() {
        let mut batch = batch(&[1; 3], &[0; 3], Spans::Micros(&[1, 2, 3]));
        let known = Some(Bitmap { bytes: &[0b1010_0000], offset: 5 });
        batch.inits = Some(Inits { values: Spans::Millis(&[2.0, f64::NAN, 4.0]), known });
        assert_eq!(check(&batch), Ok((vec![1, 2, 3], vec![Some(2_000), None, Some(4_000)])));
    }

    #[test]
    fn refusals_name_row_column_and_value() {
        let refused = |spans| check(&batch(&[1; 2], &[0; 2], spans)).expect_err("a bad duration");
        let error = |value| Error::Value { row: 101, column: "duration_ms", value };
        assert_eq!(refused(Spans::Micros(&[0, -1_000])), error(-1.0));
        assert_eq!(refused(Spans::Millis(&[0.0, -0.5])), error(-0.5));
        assert_eq!(refused(Spans::Millis(&[0.0, f64::INFINITY])), error(f64::INFINITY));
        assert!(matches!(
            refused(Spans::Millis(&[0.0, f64::NAN])),
            Error::Value { row: 101, value, .. } if value.is_nan()
        ));
        let far = check(&batch(&[1, i64::MAX], &[0; 2], Spans::Micros(&[1; 2])));
        assert!(matches!(far, Err(Error::Value { row: 101, column: "timestamp", .. })));
    }

    #[test]
    fn order_and_registration_are_checked() {
        let spans = Spans::Micros(&[1; 3]);
        assert_eq!(
            check(&batch(&[5, 7, 6], &[0; 3], spans)),
            Err(Error::Unsorted { row: 102, timestamp: 6, previous: 7 })
        );
        assert_eq!(
            check(&batch(&[-1, 7, 8], &[0; 3], spans)),
            Err(Error::Unsorted { row: 100, timestamp: -1, previous: 0 })
        );
        assert_eq!(
            check(&batch(&[5, 6, 7], &[0, 2, 0], spans)),
            Err(Error::UnknownFunction { row: 101, function: 2 })
        );
        assert_eq!(check(&batch(&[5, 6], &[0; 3], spans)), Err(Error::Lengths));
    }
}
