//! Records that wait in a stream or queue: 40 bytes each, and what only some of them have.

use std::collections::VecDeque;

use crate::config::RowError;
use crate::request::NO_KEY;
use crate::rng::Identity;
use crate::time::Micros;

/// Nothing rare about a record.
pub const COMMON: u32 = u32::MAX;
/// Records of one chunk of a [`RecordQueue`].
const CHUNK: usize = 128;

/// A record on its way, as its row says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Position in the trace as given.
    pub row: u64,
    /// When it reached its stream or queue.
    pub timestamp: Micros,
    /// What it adds to the handler time of its batch.
    pub duration: Micros,
    /// Bytes, and in the highest bits what its filter and its runs come to.
    size: u32,
    /// Partition key or message group; `NO_KEY` for none.
    pub key: u32,
    /// Place in the order of its shard or queue: by arrival.
    pub sequence: u32,
    /// Place of what only some records have; [`COMMON`] for none.
    pub rare: u32,
}

const _: () = assert!(size_of::<Record>() == 40, "a backlog costs 40 bytes a record");

const SIZE_BITS: u32 = 29;
const FILTERED: u32 = 1 << 31;

/// How runs that contain a record fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Failure {
    /// The batch fails, the environment stays.
    Handled = 1,
    /// The batch fails and its environment is reset.
    Crash = 2,
    /// The record is named in the batch's partial response.
    Item = 3,
}

impl Record {
    /// A record that nothing is known of but when it came and what it takes.
    pub const fn new(row: u64, timestamp: Micros, duration: Micros) -> Self {
        Self { row, timestamp, duration, size: 0, key: NO_KEY, sequence: 0, rare: COMMON }
    }

    /// The same with a size; sizes beyond every limit are all alike.
    #[must_use]
    pub fn sized(mut self, bytes: u64) -> Self {
        let most = (1 << SIZE_BITS) - 1;
        let bytes = u32::try_from(bytes).unwrap_or(most).min(most);
        self.size = self.size & !most | bytes;
        self
    }

    /// The same with the way in which its runs fail.
    #[must_use]
    pub const fn failing(mut self, failure: Option<Failure>) -> Self {
        let bits = match failure {
            None => 0,
            Some(failure) => failure as u32,
        };
        self.size = self.size & !(3 << SIZE_BITS) | bits << SIZE_BITS;
        self
    }

    /// The same, filtered or not.
    #[must_use]
    pub const fn filtered(mut self, filtered: bool) -> Self {
        self.size = if filtered { self.size | FILTERED } else { self.size & !FILTERED };
        self
    }

    /// A copy of it that arrives at another instant.
    #[must_use]
    pub const fn copied(mut self, timestamp: Micros, rare: u32) -> Self {
        self.timestamp = timestamp;
        self.rare = rare;
        self
    }

    /// Bytes.
    pub const fn bytes(&self) -> u64 {
        (self.size & ((1 << SIZE_BITS) - 1)) as u64
    }

    /// Whether the filter of its source drops it.
    pub const fn is_filtered(&self) -> bool {
        self.size & FILTERED != 0
    }

    /// How runs that contain it fail, if they do.
    pub const fn failure(&self) -> Option<Failure> {
        match self.size >> SIZE_BITS & 3 {
            0 => None,
            1 => Some(Failure::Handled),
            2 => Some(Failure::Crash),
            _ => Some(Failure::Item),
        }
    }
}

/// What only some records have.
#[derive(Clone, Copy, Debug)]
pub struct Rare {
    /// Copy of the row, where `load` made several (Z38).
    pub copy: u32,
    /// The function's code in the trace.
    pub shown: u32,
    /// How many of the runs that contain it fail.
    pub error_runs: u32,
    /// The last part of its duration, after the answer.
    pub extension: Micros,
    /// What a cold start adds, where the trace knows.
    pub init: Option<Micros>,
    /// Memory by the trace, MB; 0 where it does not know.
    pub memory_mb: u32,
    /// Record of shared state.
    pub state_key: u32,
    /// Whether that is only read.
    pub reads: bool,
    /// Whose luck its draws are.
    pub who: Identity,
}

/// Rare data by place; places are reused.
#[derive(Debug, Default)]
pub struct Rares {
    places: Vec<Rare>,
    free: Vec<u32>,
    /// The function's code in the trace where nothing else is said, by source.
    shown: Vec<u32>,
}

impl Rares {
    /// The code that records of a source show where their rare data says nothing else.
    pub fn set_shown(&mut self, source: u32, shown: u32) {
        let place = source as usize;
        if place >= self.shown.len() {
            self.shown.resize(place + 1, u32::MAX);
        }
        self.shown[place] = shown;
    }

    /// What a record of a source has where nothing rare is known of it.
    pub fn usual(&self, source: u32, row: u64) -> Rare {
        Rare {
            copy: 0,
            shown: self.shown.get(source as usize).copied().unwrap_or(u32::MAX),
            error_runs: u32::MAX,
            extension: Micros::ZERO,
            init: None,
            memory_mb: 0,
            state_key: NO_KEY,
            reads: false,
            who: Identity::ordinal(row),
        }
    }

    /// Keeps what is rare about a record; its place.
    pub fn keep(&mut self, rare: Rare) -> u32 {
        if let Some(place) = self.free.pop() {
            self.places[place as usize] = rare;
            return place;
        }
        self.places.push(rare);
        u32::try_from(self.places.len() - 1).expect("fewer than 2^32 records wait")
    }

    /// What is known of a record of a source.
    #[inline]
    pub fn of(&self, source: u32, record: &Record) -> Rare {
        match self.places.get(record.rare as usize) {
            Some(rare) => *rare,
            None => self.usual(source, record.row),
        }
    }

    /// Forgets a record.
    #[inline]
    pub fn forget(&mut self, record: &Record) {
        if record.rare != COMMON {
            self.free.push(record.rare);
        }
    }

    /// How a run fails that is number `run` (1, 2, …) of those that contain this record.
    #[inline]
    pub fn failure(&self, record: &Record, run: u32) -> Option<Failure> {
        let failure = record.failure()?;
        let runs = self.places.get(record.rare as usize).map_or(u32::MAX, |rare| rare.error_runs);
        (run <= runs).then_some(failure)
    }
}

impl Failure {
    /// How the whole run fails; nothing for an item.
    pub const fn of_run(self) -> Option<RowError> {
        match self {
            Self::Handled => Some(RowError::Handled),
            Self::Crash => Some(RowError::Crash),
            Self::Item => None,
        }
    }
}

/// MD5 of the empty text (RFC 1321, A.5), in halves.
const NO_KEY_HASH: [u64; 2] = [0xd41d_8cd9_8f00_b204, 0xe980_0998_ecf8_427e];

/// Keys of records: hash and length by code.
///
/// The halves of a hash are apart: the high one alone nearly always tells the shard.
#[derive(Debug, Default)]
pub struct Keys {
    high: Vec<u64>,
    low: Vec<u64>,
    lengths: Vec<u32>,
}

impl Keys {
    /// Registers the next code: MD5 of the key's UTF-8 as a big-endian number (§0.6-7), and its
    /// length in bytes.
    #[allow(clippy::cast_possible_truncation)] // The two halves.
    pub fn add(&mut self, hash: u128, length: u32) {
        self.high.push((hash >> 64) as u64);
        self.low.push(hash as u64);
        self.lengths.push(length);
    }

    /// How many are registered.
    pub const fn len(&self) -> usize {
        self.high.len()
    }

    /// Whether none is.
    pub const fn is_empty(&self) -> bool {
        self.high.is_empty()
    }

    /// High half of the hash of a key; no key is one key, where the empty text is.
    #[inline]
    pub fn high(&self, key: u32) -> u64 {
        self.high.get(key as usize).copied().unwrap_or(NO_KEY_HASH[0])
    }

    /// Low half of it.
    #[inline]
    pub fn low(&self, key: u32) -> u64 {
        self.low.get(key as usize).copied().unwrap_or(NO_KEY_HASH[1])
    }

    /// Hash of a key.
    pub fn hash(&self, key: u32) -> u128 {
        u128::from(self.high(key)) << 64 | u128::from(self.low(key))
    }

    /// Length of a key, bytes.
    #[inline]
    pub fn length(&self, key: u32) -> u64 {
        self.lengths.get(key as usize).copied().map_or(0, u64::from)
    }
}

/// A queue that never moves what it holds and gives back what it no longer needs.
///
/// The chunk that grows is at hand: to add a record touches two cache lines.
#[derive(Debug, Default)]
pub struct RecordQueue {
    /// The last chunk.
    tail: Vec<Record>,
    len: usize,
    /// Records taken from the first chunk, which may be the last.
    taken: usize,
    /// The chunks before the last.
    full: VecDeque<Vec<Record>>,
    spare: Vec<Record>,
}

impl RecordQueue {
    /// How many records there are.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds one behind the others.
    #[inline]
    pub fn push(&mut self, record: Record) {
        if self.tail.len() == self.tail.capacity() {
            self.grow();
        }
        self.tail.push(record);
        self.len += 1;
    }

    #[cold]
    fn grow(&mut self) {
        if self.len == 0 {
            // Short queues are many: they start small.
            self.tail = Vec::with_capacity(CHUNK / 8);
            self.taken = 0;
            return;
        }
        let spare = std::mem::take(&mut self.spare);
        let next = if spare.capacity() >= CHUNK { spare } else { Vec::with_capacity(CHUNK) };
        self.full.push_back(std::mem::replace(&mut self.tail, next));
    }

    /// Looks at what [`Self::push`] will touch.
    #[inline]
    pub(crate) fn look_ahead(&self) -> u64 {
        self.tail.last().map_or(0, |last| last.row)
    }

    /// The first.
    #[inline]
    pub fn front(&self) -> Option<&Record> {
        self.full.front().unwrap_or(&self.tail).get(self.taken)
    }

    /// Takes the first.
    #[inline]
    pub fn pop(&mut self) -> Option<Record> {
        let first = self.full.front().unwrap_or(&self.tail);
        let record = *first.get(self.taken)?;
        self.taken += 1;
        self.len -= 1;
        if self.taken == first.len() {
            self.taken = 0;
            let Some(mut emptied) = self.full.pop_front() else {
                self.tail.clear();
                return Some(record);
            };
            emptied.clear();
            self.spare = emptied;
        }
        Some(record)
    }

    /// All, the first one first.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        let first = self.full.front().unwrap_or(&self.tail);
        let rest = self.full.iter().skip(1).flatten();
        let last = if self.full.is_empty() { &[] } else { self.tail.as_slice() };
        first[self.taken..].iter().chain(rest).chain(last)
    }

    /// Gives back what an empty queue needs not.
    pub fn shrink(&mut self) {
        if self.len == 0 {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_gives_back_what_it_got() {
        let mut queue = RecordQueue::default();
        let (mut next, mut taken) = (0, 0);
        for round in 0..2_000_u64 {
            for _ in 0..round % 7 {
                queue.push(Record::new(next, Micros(0), Micros(0)));
                next += 1;
            }
            for _ in 0..round % 5 {
                let front = queue.front().copied();
                let record = queue.pop();
                assert_eq!(record, front);
                if let Some(record) = record {
                    assert_eq!(record.row, taken);
                    taken += 1;
                }
            }
            assert_eq!(queue.len() as u64, next - taken);
            let rows: Vec<u64> = queue.iter().take(3).map(|record| record.row).collect();
            assert_eq!(rows, (taken..next).take(3).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        let record = Record::new(0, Micros(0), Micros(0))
            .sized(1_234_567)
            .failing(Some(Failure::Item))
            .filtered(true);
        assert_eq!(record.bytes(), 1_234_567);
        assert_eq!(record.failure(), Some(Failure::Item));
        assert!(record.is_filtered());
        let record = record.failing(None).filtered(false).sized(u64::MAX);
        assert_eq!((record.bytes(), record.failure()), ((1 << 29) - 1, None));
        assert!(!record.is_filtered());
    }
}
