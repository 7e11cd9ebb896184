//! Which run of its request a run is: a retry has the request id of the run before it.
//!
//! Remembers fingerprints of requests in two generations of bounded size, so that memory does not grow
//! with the log: a request is known again within the last [`GENERATION`] to 2 × [`GENERATION`] others.

use std::hash::{BuildHasher, Hasher};

use hashbrown::HashMap;

/// Requests of a generation: a table of 32 MB.
pub const GENERATION: usize = 3 << 19;

/// Fingerprints are random already.
#[derive(Clone, Copy, Default)]
pub(super) struct AsIs;

/// See [`AsIs`].
pub(super) struct Same(u64);

impl BuildHasher for AsIs {
    type Hasher = Same;

    fn build_hasher(&self) -> Same {
        Same(0)
    }
}

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = mix(self.0 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// What is known of a request: the last of its runs, and how many there were.
#[derive(Clone, Copy, Default)]
struct Known {
    request: u64,
    last: u32,
    /// 0: nothing is known, the place is free.
    runs: u32,
}

/// Requests by fingerprint, each in one line of the cache: with millions of them, a look-up costs what
/// it waits for memory.
#[derive(Default)]
struct Table {
    places: Vec<Known>,
    taken: usize,
}

impl Table {
    /// The place of a request: its own, or the free one where it belongs.
    fn place(&self, request: u64) -> usize {
        let mask = self.places.len() - 1;
        #[allow(clippy::cast_possible_truncation)] // Only the low bits count.
        let mut place = request as usize & mask;
        while self.places[place].runs != 0 && self.places[place].request != request {
            place = (place + 1) & mask;
        }
        place
    }

    fn get(&self, request: u64) -> Option<Known> {
        if self.places.is_empty() {
            return None;
        }
        let known = self.places[self.place(request)];
        (known.runs != 0).then_some(known)
    }

    /// Makes room for one more; a quarter of the places stays free.
    fn grow(&mut self) {
        if (self.taken + 1) * 4 > self.places.len() * 3 {
            let larger = vec![Known::default(); (self.places.len() * 2).max(1 << 10)];
            let before = std::mem::replace(&mut self.places, larger);
            for known in before.into_iter().filter(|known| known.runs != 0) {
                let place = self.place(known.request);
                self.places[place] = known;
            }
        }
    }
}

/// What a run turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The run of this number of its request, from 1.
    Run(u32),
    /// A copy of a run that was there already.
    Copy,
}

/// Requests of the last while.
pub struct Attempts {
    young: Table,
    old: Table,
    /// Earlier runs of requests that ran more than once: copies of those are copies too.
    repeated: HashMap<(u64, u32), (), AsIs>,
    generation: usize,
}

impl Default for Attempts {
    fn default() -> Self {
        Self::new(GENERATION)
    }
}

impl Attempts {
    /// Remembers `generation` requests at least.
    pub fn new(generation: usize) -> Self {
        Self {
            young: Table::default(),
            old: Table::default(),
            repeated: HashMap::default(),
            generation,
        }
    }

    /// Notes a run of the request with the fingerprint `request`; `at` tells runs of one apart.
    pub fn note(&mut self, request: u64, at: i64) -> Seen {
        let last = at_tag(at);
        self.young.grow();
        let place = self.young.place(request);
        let known = &mut self.young.places[place];
        if known.runs != 0 {
            if known.last == last || self.repeated.contains_key(&(request, last)) {
                return Seen::Copy;
            }
            self.repeated.insert((request, known.last), ());
            known.last = last;
            known.runs = known.runs.saturating_add(1);
            return Seen::Run(known.runs);
        }
        let before = self.old.get(request);
        if before.is_some_and(|known| known.last == last) {
            return Seen::Copy;
        }
        if let Some(known) = before {
            self.repeated.insert((request, known.last), ());
        }
        let runs = before.map_or(1, |known| known.runs.saturating_add(1));
        self.young.places[place] = Known { request, last, runs };
        self.young.taken += 1;
        if self.young.taken >= self.generation {
            self.old = std::mem::take(&mut self.young);
            self.repeated.clear();
        }
        Seen::Run(runs)
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A tag of 32 bits.
fn at_tag(at: i64) -> u32 {
    mix(at as u64) as u32
}

/// The finaliser of splitmix64.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A fingerprint of a request id.
pub fn fingerprint(id: &str) -> u64 {
    let mut chunks = id.as_bytes().chunks_exact(8);
    let mut sum = id.len() as u64;
    for chunk in chunks.by_ref() {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        sum = mix(sum.rotate_left(23) ^ u64::from_le_bytes(word));
    }
    let mut word = [0; 8];
    word[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    mix(sum.rotate_left(23) ^ u64::from_le_bytes(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_again_and_a_copy_is_none() {
        let mut attempts = Attempts::new(4);
        let id = fingerprint("a");
        assert_eq!(attempts.note(id, 1), Seen::Run(1));
        assert_eq!(attempts.note(id, 1), Seen::Copy);
        assert_eq!(attempts.note(id, 2), Seen::Run(2));
        assert_eq!(attempts.note(id, 3), Seen::Run(3));
        assert_eq!([1, 2, 3].map(|at| attempts.note(id, at)), [Seen::Copy; 3]);
        assert_eq!(attempts.note(fingerprint("b"), 1), Seen::Run(1));
    }

    #[test]
    fn memory_has_an_end() {
        let mut attempts = Attempts::new(4);
        let of = |number: u32| fingerprint(&format!("{number}"));
        for number in 0..9 {
            assert_eq!(attempts.note(of(number), 0), Seen::Run(1));
        }
        // 4 … 7 are old, 8 is young, and 0 is forgotten.
        assert_eq!(attempts.note(of(5), 1), Seen::Run(2));
        assert_eq!(attempts.note(of(5), 0), Seen::Copy);
        assert_eq!(attempts.note(of(0), 1), Seen::Run(1));
        assert!(attempts.young.taken + attempts.old.taken <= 8);
    }

    #[test]
    fn fingerprints_differ_in_every_byte() {
        let id = "814ba7cb-071e-4181-9a09-fa41db5bccad";
        let mut seen = std::collections::HashSet::from([fingerprint(id)]);
        for place in 0..id.len() {
            let mut other = id.as_bytes().to_vec();
            other[place] ^= 1;
            assert!(seen.insert(fingerprint(std::str::from_utf8(&other).unwrap())), "{place}");
        }
        assert!(seen.insert(fingerprint(&id[..35])) && seen.insert(fingerprint("")));
    }
}
