//! Records that runs share: who may touch one, who waits for it, and what the waiting costs (S).
//!
//! Owns the lock and the queue of each key, its version (for the discipline `optimistic`), the
//! statistics of the report, and the number of runs that hold a unit of concurrency only to wait.
//! What a wait does to a run (time-out, error, billing) is the caller's.
//!
//! Keys, runs and functions are dense integers; the number of a run may be given anew once the run
//! has ended. A run waits for one key at a time, whatever it holds. A key costs 32 bytes, and what
//! is known of waits and conflicts only where there were some.

use std::cmp::Reverse;

use crate::time::Micros;

/// No run, or nothing known.
const NONE: u32 = u32::MAX;
/// Held by a writer; below it, the number of readers.
const WRITER: u32 = u32::MAX;

/// What a run does to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Shares the key with other readers.
    Read,
    /// Is alone.
    Write,
}

/// A run that wants a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The caller's number of the run.
    pub run: u32,
    /// The function whose unit it holds while it waits.
    pub function: u32,
    /// What it will do.
    pub access: Access,
    /// When its wait would end (time-out or `max_lock_wait_s`, whichever is first); `Micros::MAX`
    /// where nothing ends it. It is not let in at this instant or later (Z10, Z33): the caller
    /// takes it out then, with [`KeyTable::leave`].
    pub gives_up_at: Micros,
}

/// What the report says of one key, or of all (S).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyStatistics {
    /// Runs that touched it.
    pub runs: u64,
    /// Writers among them.
    pub writers: u64,
    /// Runs that joined the queue or did something over.
    pub waits: u64,
    /// Sum of the waits that have ended, however they ended.
    pub total_wait: Micros,
    /// Longest of them.
    pub longest_wait: Micros,
    /// Most runs that waited at once.
    pub longest_queue: u32,
    /// Waits that ended in a time-out.
    pub time_outs: u64,
    /// Times a writer started over.
    pub conflicts: u64,
    /// Most runs of which each waited for the one before, the first included; 0 where none waited.
    pub longest_chain: u32,
    /// Part of the billed time that was waiting.
    pub wait_billed_ms: u64,
    /// That time the memory of the runs, MB ms, by price: on demand on x86 and Arm, provisioned on
    /// x86 and Arm.
    pub wait_billed_mb_ms: [u64; 4],
}

/// What is known of every key.
#[derive(Clone, Copy, Debug)]
struct Key {
    held: u32,
    /// Place among the contended ones, `NONE` if it never was.
    contention: u32,
    version: u64,
    runs: u64,
    writers: u64,
}

impl Key {
    const UNUSED: Self = Self { held: 0, contention: NONE, version: 0, runs: 0, writers: 0 };

    /// Takes the key if what is held allows it.
    fn take(&mut self, access: Access) -> bool {
        match access {
            Access::Read if self.held < WRITER => {
                self.held += 1;
                assert!(self.held < WRITER, "fewer than 2^32 - 1 readers");
                true
            }
            Access::Write if self.held == 0 => {
                self.held = WRITER;
                true
            }
            _ => false,
        }
    }
}

/// What is known of a key that someone had to wait for.
#[derive(Clone, Copy, Debug)]
struct Contention {
    head: u32,
    tail: u32,
    queued: u32,
    /// How many runs waited one for another up to those who hold the key.
    chain: u32,
    statistics: KeyStatistics,
}

/// A run's place in the queue of the key it waits for.
#[derive(Clone, Copy, Debug)]
struct Place {
    ahead: u32,
    behind: u32,
    /// `NONE`: it does not wait.
    key: u32,
    function: u32,
    since: Micros,
    gives_up_at: Micros,
    access: Access,
}

impl Place {
    const EMPTY: Self = Self {
        ahead: NONE,
        behind: NONE,
        key: NONE,
        function: NONE,
        since: Micros::ZERO,
        gives_up_at: Micros::MAX,
        access: Access::Read,
    };
}

/// The records of one account that runs share.
#[derive(Clone, Debug, Default)]
pub struct KeyTable {
    keys: Vec<Key>,
    contended: Vec<Contention>,
    /// By number of the run; reaches as far as runs that had to wait.
    places: Vec<Place>,
    /// Waiting runs by function; reaches as far as functions whose runs had to wait.
    waiting_of: Vec<u32>,
    waiting: u32,
    most_waiting: u32,
    /// Integral of `waiting` up to `blocked_to`, in units times µs.
    blocked: i128,
    blocked_to: Micros,
}

impl KeyTable {
    /// Asks for a key: true if the run holds it at once, false if it waits for its turn, first
    /// come first served, readers and writers in one queue.
    pub fn request(&mut self, key: u32, request: Request, now: Micros) -> bool {
        let record = self.key_mut(key);
        let contention = record.contention;
        let nobody_waits = contention == NONE || self.contended[contention as usize].queued == 0;
        let was_free = self.keys[key as usize].held == 0;
        if nobody_waits && self.keys[key as usize].take(request.access) {
            if was_free && contention != NONE {
                self.contended[contention as usize].chain = 1;
            }
            return true;
        }
        self.join(key, request, now);
        false
    }

    /// Gives a key back; those who hold it from now on are added to `granted`, in their order.
    pub fn release(&mut self, key: u32, access: Access, now: Micros, granted: &mut Vec<u32>) {
        let record = &mut self.keys[key as usize];
        match access {
            Access::Read => {
                assert!((1..WRITER).contains(&record.held), "a reader gives back what it holds");
                record.held -= 1;
            }
            Access::Write => {
                assert!(record.held == WRITER, "a writer gives back what it holds");
                record.held = 0;
            }
        }
        self.grant(key, now, granted);
    }

    /// A run stops waiting; readers behind a writer that leaves may hold the key from now on and
    /// are added to `granted`.
    pub fn leave(&mut self, key: u32, run: u32, now: Micros, granted: &mut Vec<u32>) {
        let was_first = self.places[run as usize].ahead == NONE;
        self.end_wait(key, run, now);
        // Whoever stands in front is what keeps the rest out.
        if was_first {
            self.grant(key, now, granted);
        }
    }

    /// Lets in from the head: one writer, or all readers up to the next writer.
    fn grant(&mut self, key: u32, now: Micros, granted: &mut Vec<u32>) {
        let record = &self.keys[key as usize];
        if record.contention == NONE {
            return;
        }
        let contention = record.contention as usize;
        let mut one_more = 1;
        loop {
            let first = self.contended[contention].head;
            if first == NONE {
                return;
            }
            let place = &self.places[first as usize];
            // One whose wait ends now leaves by itself, and then lets in those behind it.
            if place.gives_up_at <= now || !self.keys[key as usize].take(place.access) {
                return;
            }
            self.end_wait(key, first, now);
            granted.push(first);
            // Those let in together waited for the same run.
            let queue = &mut self.contended[contention];
            queue.chain += std::mem::take(&mut one_more);
            queue.statistics.longest_chain = queue.statistics.longest_chain.max(queue.chain);
        }
    }

    fn join(&mut self, key: u32, request: Request, now: Micros) {
        self.block_up_to(now);
        let run = request.run as usize;
        if run >= self.places.len() {
            self.places.resize(run + 1, Place::EMPTY);
        }
        assert!(self.places[run].key == NONE, "a run waits for one key at a time");
        let queue = self.contention_mut(key);
        let ahead = queue.tail;
        queue.tail = request.run;
        if ahead == NONE {
            queue.head = request.run;
        }
        queue.queued += 1;
        queue.statistics.waits += 1;
        queue.statistics.longest_queue = queue.statistics.longest_queue.max(queue.queued);
        if ahead != NONE {
            self.places[ahead as usize].behind = request.run;
        }
        self.places[run] = Place {
            ahead,
            behind: NONE,
            key,
            function: request.function,
            since: now,
            gives_up_at: request.gives_up_at,
            access: request.access,
        };
        let function = request.function as usize;
        if function >= self.waiting_of.len() {
            self.waiting_of.resize(function + 1, 0);
        }
        self.waiting_of[function] += 1;
        self.waiting += 1;
        self.most_waiting = self.most_waiting.max(self.waiting);
    }

    /// Takes a run out of the queue, wherever it stands.
    fn end_wait(&mut self, key: u32, run: u32, now: Micros) {
        self.block_up_to(now);
        let place = std::mem::replace(&mut self.places[run as usize], Place::EMPTY);
        assert!(place.key == key, "a run leaves the queue it stands in");
        let queue = &mut self.contended[self.keys[key as usize].contention as usize];
        match place.ahead {
            NONE => queue.head = place.behind,
            ahead => self.places[ahead as usize].behind = place.behind,
        }
        match place.behind {
            NONE => queue.tail = place.ahead,
            behind => self.places[behind as usize].ahead = place.ahead,
        }
        queue.queued -= 1;
        queue.statistics.add_wait(now - place.since);
        self.waiting_of[place.function as usize] -= 1;
        self.waiting -= 1;
    }

    fn block_up_to(&mut self, now: Micros) {
        self.blocked = self.blocked(now);
        self.blocked_to = now;
    }

    fn key_mut(&mut self, key: u32) -> &mut Key {
        let index = key as usize;
        if index >= self.keys.len() {
            self.keys.resize(index + 1, Key::UNUSED);
        }
        &mut self.keys[index]
    }

    fn contention_mut(&mut self, key: u32) -> &mut Contention {
        let next = u32::try_from(self.contended.len()).expect("fewer than 2^32 keys");
        let record = self.key_mut(key);
        if record.contention == NONE {
            record.contention = next;
            self.contended.push(Contention {
                head: NONE,
                tail: NONE,
                queued: 0,
                chain: 1,
                statistics: KeyStatistics::default(),
            });
        }
        let contention = self.keys[key as usize].contention;
        &mut self.contended[contention as usize]
    }

    /// What a writer must find unchanged at its end (discipline `optimistic`).
    pub fn version(&self, key: u32) -> u64 {
        self.keys.get(key as usize).map_or(0, |record| record.version)
    }

    /// A write succeeded.
    pub fn bump(&mut self, key: u32) {
        self.key_mut(key).version += 1;
    }

    /// A run touches the key, under whichever discipline.
    pub fn record_run(&mut self, key: u32, access: Access) {
        let record = self.key_mut(key);
        record.runs += 1;
        record.writers += u64::from(access == Access::Write);
    }

    /// A writer found another version and starts over.
    pub fn record_conflict(&mut self, key: u32) {
        self.contention_mut(key).statistics.conflicts += 1;
    }

    /// A run timed out while it waited.
    pub fn record_time_out(&mut self, key: u32) {
        self.contention_mut(key).statistics.time_outs += 1;
    }

    /// A run spent `wait` on doing things over (discipline `optimistic`); waits in the queue are
    /// recorded by themselves.
    pub fn record_wait(&mut self, key: u32, wait: Micros) {
        let statistics = &mut self.contention_mut(key).statistics;
        statistics.waits += 1;
        statistics.add_wait(wait);
    }

    /// A run with so much memory was billed for `ms` of waiting, at one of the four prices.
    pub fn record_wait_billed(&mut self, key: u32, ms: u64, memory_mb: u32, price: usize) {
        let statistics = &mut self.contention_mut(key).statistics;
        statistics.wait_billed_ms += ms;
        statistics.wait_billed_mb_ms[price] += ms * u64::from(memory_mb);
    }

    /// Runs that wait now.
    pub const fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Runs of one function that wait now (Z35).
    pub fn waiting_of(&self, function: u32) -> u32 {
        self.waiting_of.get(function as usize).copied().unwrap_or(0)
    }

    /// Runs that wait for this key now.
    pub fn queue_length(&self, key: u32) -> u32 {
        let contention = self.keys.get(key as usize).map_or(NONE, |record| record.contention);
        self.contended.get(contention as usize).map_or(0, |queue| queue.queued)
    }

    /// Units of concurrency held by waiting runs, times µs, up to `now`: divided by a span, the
    /// mean number of units blocked.
    pub fn blocked(&self, now: Micros) -> i128 {
        if self.waiting == 0 {
            return self.blocked;
        }
        assert!(now >= self.blocked_to, "time goes forward");
        self.blocked + i128::from(self.waiting) * i128::from((now - self.blocked_to).0)
    }

    /// Most units that waiting runs held at once.
    pub const fn most_blocked(&self) -> u32 {
        self.most_waiting
    }

    /// What is known of one key.
    pub fn statistics(&self, key: u32) -> KeyStatistics {
        let Some(record) = self.keys.get(key as usize) else {
            return KeyStatistics::default();
        };
        let contention = self.contended.get(record.contention as usize);
        KeyStatistics {
            runs: record.runs,
            writers: record.writers,
            ..contention.map_or_else(KeyStatistics::default, |queue| queue.statistics)
        }
    }

    /// All keys together: sums, and the longest of each.
    pub fn total(&self) -> KeyStatistics {
        let mut total = KeyStatistics::default();
        for record in &self.keys {
            total.runs += record.runs;
            total.writers += record.writers;
        }
        for Contention { statistics, .. } in &self.contended {
            total.waits += statistics.waits;
            total.total_wait = total.total_wait.plus(statistics.total_wait);
            total.longest_wait = total.longest_wait.max(statistics.longest_wait);
            total.longest_queue = total.longest_queue.max(statistics.longest_queue);
            total.time_outs += statistics.time_outs;
            total.conflicts += statistics.conflicts;
            total.longest_chain = total.longest_chain.max(statistics.longest_chain);
            total.wait_billed_ms += statistics.wait_billed_ms;
            for (sum, more) in total.wait_billed_mb_ms.iter_mut().zip(statistics.wait_billed_mb_ms)
            {
                *sum += more;
            }
        }
        total
    }

    /// The `n` hottest keys that were touched: by total wait, then runs, highest first, then key.
    pub fn top(&self, n: usize) -> Vec<(u32, KeyStatistics)> {
        let mut hottest: Vec<_> = (0..)
            .zip(&self.keys)
            .filter(|(_, record)| record.runs > 0 || record.contention != NONE)
            .map(|(key, record)| {
                let contention = self.contended.get(record.contention as usize);
                let wait = contention.map_or(Micros::ZERO, |queue| queue.statistics.total_wait);
                (Reverse(wait), Reverse(record.runs), key)
            })
            .collect();
        if n < hottest.len() {
            hottest.select_nth_unstable(n);
            hottest.truncate(n);
        }
        hottest.sort_unstable();
        hottest.into_iter().map(|(_, _, key)| (key, self.statistics(key))).collect()
    }
}

impl KeyStatistics {
    fn add_wait(&mut self, wait: Micros) {
        self.total_wait = self.total_wait.plus(wait);
        self.longest_wait = self.longest_wait.max(wait);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Access::{Read, Write};
    use super::*;

    fn ask(run: u32, access: Access) -> Request {
        Request { run, function: 0, access, gives_up_at: Micros::MAX }
    }

    /// One key, driven by hand; every answer is the runs that hold it from then on.
    #[derive(Default)]
    struct Bench(KeyTable);

    impl Bench {
        fn request(&mut self, run: u32, access: Access, now: i64) -> bool {
            self.0.request(0, ask(run, access), Micros(now))
        }

        fn request_until(&mut self, run: u32, access: Access, now: i64, until: i64) -> bool {
            let request = Request { gives_up_at: Micros(until), ..ask(run, access) };
            self.0.request(0, request, Micros(now))
        }

        fn release(&mut self, access: Access, now: i64) -> Vec<u32> {
            let mut granted = Vec::new();
            self.0.release(0, access, Micros(now), &mut granted);
            granted
        }

        fn leave(&mut self, run: u32, now: i64) -> Vec<u32> {
            let mut granted = Vec::new();
            self.0.leave(0, run, Micros(now), &mut granted);
            granted
        }
    }

    #[test]
    fn readers_share_and_a_writer_is_alone() {
        let mut key = Bench::default();
        assert!(key.request(0, Read, 0));
        assert!(key.request(1, Read, 1));
        assert!(!key.request(2, Write, 2));
        assert_eq!(key.release(Read, 3), []);
        assert_eq!(key.release(Read, 4), [2]);
        assert!(!key.request(3, Read, 5));
        assert_eq!(key.release(Write, 6), [3]);
    }

    #[test]
    fn a_reader_behind_a_waiting_writer_waits() {
        let mut key = Bench::default();
        assert!(key.request(0, Read, 0));
        assert!(!key.request(1, Write, 1));
        assert!(!key.request(2, Read, 2), "nobody overtakes the writer");
        assert_eq!(key.release(Read, 5), [1]);
        assert_eq!(key.release(Write, 9), [2]);
        let statistics = key.0.statistics(0);
        assert_eq!((statistics.waits, statistics.longest_queue), (2, 2));
        assert_eq!((statistics.total_wait, statistics.longest_wait), (Micros(11), Micros(7)));
    }

    #[test]
    fn all_readers_up_to_the_next_writer_are_let_in_together() {
        let mut key = Bench::default();
        assert!(key.request(0, Write, 0));
        for (run, access) in [(1, Read), (2, Read), (3, Write), (4, Read), (5, Write), (6, Write)] {
            assert!(!key.request(run, access, 1));
        }
        assert_eq!(key.release(Write, 2), [1, 2]);
        assert_eq!(key.release(Read, 3), []);
        assert_eq!(key.release(Read, 4), [3]);
        assert_eq!(key.release(Write, 5), [4]);
        assert_eq!(key.release(Read, 6), [5]);
        assert_eq!(key.release(Write, 7), [6]);
        assert_eq!(key.release(Write, 8), []);
        assert!(key.request(7, Write, 9));
    }

    #[test]
    fn readers_behind_a_writer_that_gives_up_join_the_readers_that_hold() {
        let mut key = Bench::default();
        assert!(key.request(0, Read, 0));
        for (run, access) in [(1, Write), (2, Read), (3, Read), (4, Write), (5, Read)] {
            assert!(!key.request(run, access, 1));
        }
        assert_eq!(key.leave(4, 2), [], "it was not what kept the others out");
        assert_eq!(key.leave(1, 3), [2, 3, 5]);
        assert_eq!(key.0.waiting(), 0);
        assert_eq!(key.0.statistics(0).longest_queue, 5);
    }

    #[test]
    fn leaving_at_any_place_keeps_the_order_of_the_rest() {
        for gone in 1..=3 {
            let mut key = Bench::default();
            assert!(key.request(0, Write, 0));
            for run in 1..=3 {
                assert!(!key.request(run, Write, 1));
            }
            assert_eq!(key.leave(gone, 2), []);
            assert!(!key.request(4, Write, 3));
            for run in (1..=4).filter(|run| *run != gone) {
                assert_eq!(key.release(Write, 4), [run]);
            }
        }
    }

    #[test]
    fn z10_a_wait_that_ends_now_is_not_granted_by_a_release() {
        let mut key = Bench::default();
        assert!(key.request(0, Write, 0));
        assert!(!key.request_until(1, Write, 1, 10));
        assert!(!key.request_until(2, Write, 2, 11));
        assert_eq!(key.release(Write, 10), [], "run 1 times out at this instant");
        assert_eq!(key.leave(1, 10), [2]);
    }

    #[test]
    fn z33_a_wait_that_ends_now_is_not_granted_by_another_that_ends_now() {
        for order in [[1, 2], [2, 1]] {
            let mut key = Bench::default();
            assert!(key.request(0, Read, 0));
            assert!(!key.request_until(1, Write, 5, 10));
            assert!(!key.request_until(2, Read, 5, 10));
            assert!(!key.request_until(3, Read, 6, 11));
            let granted: Vec<_> = order.into_iter().flat_map(|run| key.leave(run, 10)).collect();
            assert_eq!(granted, [3]);
        }
    }

    #[test]
    fn z35_runs_that_wait_are_counted_by_function() {
        let mut table = KeyTable::default();
        let request = |run, function| Request { function, ..ask(run, Write) };
        assert!(table.request(7, request(0, 3), Micros(0)));
        assert_eq!((table.waiting(), table.waiting_of(3)), (0, 0));
        assert!(!table.request(7, request(1, 3), Micros(1)));
        assert!(!table.request(7, request(2, 5), Micros(2)));
        assert_eq!((table.waiting(), table.waiting_of(3), table.waiting_of(5)), (2, 1, 1));
        let mut granted = Vec::new();
        table.release(7, Write, Micros(3), &mut granted);
        assert_eq!((table.waiting(), table.waiting_of(3), table.waiting_of(5)), (1, 0, 1));
        assert_eq!(table.waiting_of(1_000), 0);
    }

    #[test]
    fn units_blocked_are_waiting_runs_over_time() {
        let mut key = Bench::default();
        assert!(key.request(0, Write, 100));
        assert!(!key.request(1, Write, 110));
        assert!(!key.request(2, Write, 115));
        assert_eq!(key.release(Write, 120), [1]);
        // 5 × 1 + 5 × 2, then one waits until 140.
        assert_eq!(key.0.blocked(Micros(120)), 15);
        assert_eq!(key.0.blocked(Micros(130)), 25);
        assert_eq!(key.release(Write, 140), [2]);
        assert_eq!((key.0.blocked(Micros(1_000)), key.0.most_blocked()), (35, 2));
        // The same area seen the other way: the sum of the waits.
        assert_eq!(key.0.statistics(0).total_wait, Micros(35));
    }

    #[test]
    fn z32_versions_count_successful_writes() {
        let mut table = KeyTable::default();
        assert_eq!(table.version(9), 0);
        table.bump(9);
        table.bump(9);
        assert_eq!((table.version(9), table.version(8)), (2, 0));
    }

    #[test]
    fn the_hottest_keys_come_by_wait_then_runs_then_key() {
        let mut table = KeyTable::default();
        for (key, runs, wait) in [(1, 1, 0), (2, 5, 0), (4, 1, 9), (6, 1, 0), (7, 1, 30)] {
            for _ in 0..runs {
                table.record_run(key, Write);
            }
            if wait > 0 {
                table.record_wait(key, Micros(wait));
            }
        }
        table.record_run(2, Read);
        table.record_conflict(4);
        table.record_time_out(4);
        table.record_wait_billed(4, 3, 128, 1);
        let top = |n| table.top(n).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(top(0), []);
        assert_eq!(top(3), [7, 4, 2]);
        assert_eq!(top(100), [7, 4, 2, 1, 6]);
        let four = KeyStatistics {
            runs: 1,
            writers: 1,
            waits: 1,
            total_wait: Micros(9),
            longest_wait: Micros(9),
            longest_queue: 0,
            time_outs: 1,
            conflicts: 1,
            longest_chain: 0,
            wait_billed_ms: 3,
            wait_billed_mb_ms: [0, 384, 0, 0],
        };
        assert_eq!(table.top(2)[1], (4, four));
        let total = table.total();
        assert_eq!((total.runs, total.writers, total.waits), (10, 9, 2));
        assert_eq!((total.total_wait, total.longest_wait), (Micros(39), Micros(30)));
    }

    #[test]
    fn a_chain_is_of_runs_that_waited_one_for_another() {
        let mut table = KeyTable::default();
        let mut granted = Vec::new();
        let request = |run, access| Request { run, function: 0, access, gives_up_at: Micros::MAX };
        assert!(table.request(0, request(0, Access::Write), Micros(0)));
        // A writer, two readers together, a writer: four runs deep.
        for (run, access) in [(1, Access::Write), (2, Access::Read), (3, Access::Read)] {
            assert!(!table.request(0, request(run, access), Micros(1)));
        }
        assert!(!table.request(0, request(4, Access::Write), Micros(1)));
        table.release(0, Access::Write, Micros(2), &mut granted);
        table.release(0, Access::Write, Micros(3), &mut granted);
        table.release(0, Access::Read, Micros(4), &mut granted);
        table.release(0, Access::Read, Micros(5), &mut granted);
        assert_eq!(granted, [1, 2, 3, 4]);
        assert_eq!(table.statistics(0).longest_chain, 4);
        // Free in between: a chain of its own.
        table.release(0, Access::Write, Micros(6), &mut granted);
        assert!(table.request(0, request(5, Access::Write), Micros(7)));
        assert!(!table.request(0, request(6, Access::Write), Micros(7)));
        table.release(0, Access::Write, Micros(8), &mut granted);
        assert_eq!(table.statistics(0).longest_chain, 4);
        assert_eq!(table.contended[0].chain, 2);
    }

    #[test]
    fn a_million_keys_cost_little_until_someone_waits() {
        let mut table = KeyTable::default();
        for key in 0..1_000_000 {
            assert!(table.request(key, ask(0, Write), Micros(0)));
        }
        assert!(size_of::<Key>() <= 32);
        assert_eq!((table.contended.len(), table.places.len()), (0, 0));
    }

    /// A run that waits, as the slow model sees it.
    #[derive(Clone, Copy, Debug)]
    struct Waiting {
        key: usize,
        request: Request,
        since: i64,
    }

    /// The rules as state.md writes them, on plain lists.
    #[derive(Default)]
    struct Naive {
        /// Key, run and access.
        holders: Vec<(usize, u32, Access)>,
        /// All queues in one, in order of arrival.
        queue: Vec<Waiting>,
        wait: Vec<i64>,
    }

    impl Naive {
        fn may_hold(&self, key: usize, access: Access) -> bool {
            let mut held = self.holders.iter().filter(|holder| holder.0 == key);
            match access {
                Read => held.all(|holder| holder.2 == Read),
                Write => held.next().is_none(),
            }
        }

        fn grant(&mut self, key: usize, now: i64) -> Vec<u32> {
            let mut granted = Vec::new();
            while let Some(at) = self.queue.iter().position(|waiting| waiting.key == key) {
                let Request { run, access, .. } = self.queue[at].request;
                if !self.may_hold(key, access) {
                    break;
                }
                let waited = self.queue.remove(at);
                self.wait[key] += now - waited.since;
                self.holders.push((key, run, access));
                granted.push(run);
            }
            granted
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Request { key: usize, write: bool, patience: Option<i64> },
        Release { which: usize },
        Leave { which: usize },
        Wait { time: i64 },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            5 => (0..3_usize, any::<bool>(), prop::option::of(1..9_i64))
                .prop_map(|(key, write, patience)| Step::Request { key, write, patience }),
            3 => any::<usize>().prop_map(|which| Step::Release { which }),
            1 => any::<usize>().prop_map(|which| Step::Leave { which }),
            3 => (0..6_i64).prop_map(|time| Step::Wait { time }),
        ];
        prop::collection::vec(step, 0..120)
    }

    proptest! {
        #[test]
        fn agrees_with_plain_lists(steps in steps()) {
            let mut table = KeyTable::default();
            let mut naive = Naive { wait: vec![0; 3], ..Naive::default() };
            let mut now = 1_000_i64;
            let mut granted = Vec::new();
            let (mut next_run, mut blocked) = (0, 0_i128);
            let mut longest = [0; 3];
            for step in steps {
                granted.clear();
                match step {
                    Step::Request { key, write, patience } => {
                        let access = if write { Write } else { Read };
                        let gives_up_at = patience.map_or(Micros::MAX, |time| Micros(now + time));
                        let function = next_run % 2;
                        let request = Request { run: next_run, function, access, gives_up_at };
                        next_run += 1;
                        naive.queue.push(Waiting { key, request, since: now });
                        let at_once = naive.grant(key, now) == [request.run];
                        let number = u32::try_from(key).unwrap();
                        prop_assert_eq!(table.request(number, request, Micros(now)), at_once);
                    }
                    Step::Release { which } if !naive.holders.is_empty() => {
                        let which = which % naive.holders.len();
                        let (key, _, access) = naive.holders.remove(which);
                        let expected = naive.grant(key, now);
                        let number = u32::try_from(key).unwrap();
                        table.release(number, access, Micros(now), &mut granted);
                        prop_assert_eq!(&granted, &expected);
                    }
                    Step::Leave { which } if !naive.queue.is_empty() => {
                        let gone = naive.queue.remove(which % naive.queue.len());
                        naive.wait[gone.key] += now - gone.since;
                        let expected = naive.grant(gone.key, now);
                        let number = u32::try_from(gone.key).unwrap();
                        table.leave(number, gone.request.run, Micros(now), &mut granted);
                        prop_assert_eq!(&granted, &expected);
                    }
                    Step::Wait { time } => for _ in 0..time {
                        blocked += naive.queue.len() as i128;
                        now += 1;
                        // All waits that end at this instant end, and then others are let in.
                        let (gone, stay): (Vec<_>, Vec<_>) =
                            naive.queue.iter().partition(|it| it.request.gives_up_at.0 == now);
                        naive.queue = stay;
                        granted.clear();
                        for gone in &gone {
                            naive.wait[gone.key] += now - gone.since;
                            let number = u32::try_from(gone.key).unwrap();
                            table.leave(number, gone.request.run, Micros(now), &mut granted);
                        }
                        let mut expected: Vec<_> =
                            (0..3).flat_map(|key| naive.grant(key, now)).collect();
                        granted.sort_unstable();
                        expected.sort_unstable();
                        prop_assert_eq!(&granted, &expected);
                    },
                    _ => {}
                }
                for (key, number) in (0..3).zip(0..3) {
                    // Invariant 1: a writer is alone.
                    let held: Vec<_> = naive.holders.iter().filter(|it| it.0 == key).collect();
                    prop_assert!(held.len() <= 1 || held.iter().all(|it| it.2 == Read));
                    // Invariant 3: who stands first could not hold the key.
                    let mut queue = naive.queue.iter().filter(|it| it.key == key);
                    if let Some(first) = queue.next() {
                        prop_assert!(!naive.may_hold(key, first.request.access));
                    }
                    let length = naive.queue.iter().filter(|it| it.key == key).count();
                    prop_assert_eq!(table.queue_length(number) as usize, length);
                    longest[key] = longest[key].max(length);
                    let statistics = table.statistics(number);
                    prop_assert_eq!(statistics.total_wait, Micros(naive.wait[key]));
                    prop_assert_eq!(statistics.longest_queue as usize, longest[key]);
                }
                prop_assert_eq!(table.waiting() as usize, naive.queue.len());
                for function in 0..2 {
                    let of = naive.queue.iter().filter(|it| it.request.function == function);
                    prop_assert_eq!(table.waiting_of(function) as usize, of.count());
                }
                prop_assert_eq!(table.blocked(Micros(now)), blocked);
            }
        }

        /// Invariant 6: with writers only, a key is an exact G/G/1 queue (Lindley's recursion).
        #[test]
        fn writers_only_are_a_single_server_queue(
            runs in prop::collection::vec((0..20_i64, 0..20_i64), 1..200),
        ) {
            let mut table = KeyTable::default();
            let mut granted = Vec::new();
            let (mut now, mut end) = (0, None);
            let mut arrivals = Vec::new();
            for (gap, duration) in &runs {
                now += gap;
                arrivals.push((now, *duration));
            }
            let mut begun = vec![None; runs.len()];
            let mut holder_ends = |begun: &mut Vec<Option<i64>>, table: &mut KeyTable, at| {
                granted.clear();
                table.release(0, Write, Micros(at), &mut granted);
                granted.first().map(|run| {
                    begun[*run as usize] = Some(at);
                    at + arrivals[*run as usize].1
                })
            };
            for (run, (at, duration)) in (0..).zip(&arrivals) {
                while let Some(ends_at) = end.filter(|ends_at| ends_at <= at) {
                    end = holder_ends(&mut begun, &mut table, ends_at);
                }
                if table.request(0, ask(run, Write), Micros(*at)) {
                    begun[run as usize] = Some(*at);
                    end = Some(at + duration);
                }
            }
            while let Some(ends_at) = end {
                end = holder_ends(&mut begun, &mut table, ends_at);
            }
            let mut free_at = 0;
            let mut total = 0;
            for (run, (at, duration)) in arrivals.iter().enumerate() {
                let begin = free_at.max(*at);
                prop_assert_eq!(begun[run], Some(begin));
                free_at = begin + duration;
                total += begin - at;
            }
            // Invariant 4: what was waited is what the table says.
            prop_assert_eq!(table.statistics(0).total_wait, Micros(total));
            prop_assert_eq!(table.blocked(Micros(free_at)), i128::from(total));
        }
    }
}
