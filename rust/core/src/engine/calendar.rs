//! The calendar of future events: a hierarchical timing wheel.
//!
//! Owns the order of what is to come: by time, then by the order the caller gives (class of event,
//! arrival, attempt: Z1). It knows nothing of what the events are.
//!
//! Three tiers:
//!
//! * **slots**: the current window of 4.2 s, one list per 64 µs, found through a bitmap;
//! * **windows**: the next 71 minutes, one unsorted list per window;
//! * **far**: a binary heap for what comes later.
//!
//! An event moves at most once before its turn and is sorted only among those of its own slot;
//! empty stretches are skipped by bitmap: cost grows with events, not with simulated time. Chosen
//! by measurement: `docs/decisions/0002-calendar.md`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::time::Micros;

/// log2 of the width of a slot in microseconds.
const SLOT_BITS: u32 = 6;
/// log2 of the number of slots in a window.
const WINDOW_BITS: u32 = 16;
const SLOTS: usize = 1 << WINDOW_BITS;
/// Windows kept as lists; later ones wait in the heap.
const WINDOWS: usize = 1 << 10;
const FAR: i64 = 1 << WINDOWS.ilog2();
const NIL: u32 = u32::MAX;

/// Future events in order of (time, order).
#[derive(Debug)]
pub struct Calendar<E> {
    nodes: Vec<Node<E>>,
    free: u32,
    /// Nothing is due before this instant; `Micros::MAX` when nothing is to come at all.
    bound: Micros,
    /// What is left of the slots opened so far, the next event last.
    open: Vec<Entry<E>>,
    /// Every event in this slot (counted from the epoch) or before it is in `open`.
    open_slot: i64,
    /// The window (counted from the epoch) that `slots` holds.
    window: i64,
    slots: Lists<SLOTS>,
    windows: Lists<WINDOWS>,
    far: BinaryHeap<Reverse<Entry<E>>>,
}

/// An event in one of the lists. Flat, so that one of 12 bytes makes a node of 32.
#[derive(Clone, Copy, Debug)]
struct Node<E> {
    at: Micros,
    order: u64,
    event: E,
    next: u32,
}

impl<E: Copy> Node<E> {
    #[inline]
    const fn entry(&self) -> Entry<E> {
        Entry { at: self.at, order: self.order, event: self.event }
    }
}

/// An event with its place in the order.
#[derive(Clone, Copy, Debug)]
struct Entry<E> {
    at: Micros,
    order: u64,
    event: E,
}

impl<E: Copy> Calendar<E> {
    /// An empty calendar. Events may lie at `now` or later.
    pub fn starting_at(now: Micros) -> Self {
        let slot = slot_of(now);
        Self {
            nodes: Vec::with_capacity(1024),
            free: NIL,
            bound: Micros::MAX,
            open: Vec::with_capacity(64),
            open_slot: slot - 1,
            window: slot >> WINDOW_BITS,
            slots: Lists::new(),
            windows: Lists::new(),
            far: BinaryHeap::new(),
        }
    }

    /// Whether nothing is to come.
    pub const fn is_empty(&self) -> bool {
        self.bound.0 == Micros::MAX.0
    }

    /// Nothing is due before this instant; the caller need not ask for events until then.
    #[inline]
    pub const fn bound(&self) -> Micros {
        self.bound
    }

    /// Adds an event, which must not lie before the `now` of the last [`Self::pop_due`].
    #[inline]
    pub fn push(&mut self, at: Micros, order: u64, event: E) {
        let slot = slot_of(at);
        if slot > self.open_slot && slot >> WINDOW_BITS == self.window {
            let free = self.free;
            if let Some(place) = self.nodes.get_mut(free as usize) {
                self.free = place.next;
                *place = Node { at, order, event, next: self.slots.insert(slot, free) };
            } else {
                self.push_new(slot, Entry { at, order, event });
            }
            self.bound = self.bound.min(slot_start(slot));
        } else {
            self.push_rarely(slot, Entry { at, order, event });
        }
    }

    /// Adds an event to the window when no node is free.
    #[cold]
    fn push_new(&mut self, slot: i64, entry: Entry<E>) {
        let node = self.allocate(entry);
        self.nodes[node as usize].next = self.slots.insert(slot, node);
    }

    #[cold]
    fn push_rarely(&mut self, slot: i64, entry: Entry<E>) {
        if slot <= self.open_slot {
            self.push_open(entry);
        } else {
            self.push_later(slot >> WINDOW_BITS, entry);
        }
    }

    /// Takes the next event if it is due at `now` or before. `now` is earlier than `Micros::MAX`.
    #[inline(always)]
    #[allow(clippy::inline_always)] // Half of what an event costs is to find it.
    pub fn pop_due(&mut self, now: Micros) -> Option<(Micros, E)> {
        self.pop_before(now, u64::MAX)
    }

    /// Takes the next event if it is due before `now`, or at `now` and below `below` in its order.
    #[inline(always)]
    #[allow(clippy::inline_always)] // The order is a constant for one of its callers.
    pub fn pop_before(&mut self, now: Micros, below: u64) -> Option<(Micros, E)> {
        loop {
            if let Some(&Entry { at, event, order }) = self.open.last() {
                if at > now || (at == now && order >= below) {
                    self.bound = at;
                    return None;
                }
                self.open.pop();
                if self.open.is_empty() {
                    self.seek();
                }
                return Some((at, event));
            }
            if self.bound > now {
                return None;
            }
            let slot = slot_of(self.bound);
            let node = self.slots.take(slot);
            if node == NIL {
                // The bound is the start of a later window.
                self.open_window();
                continue;
            }
            self.open_slot = slot;
            let Node { at, event, next, order } = self.nodes[node as usize];
            if next == NIL && (at < now || (at == now && order < below)) {
                // Most slots hold one event that is due: it need not be sorted among any.
                self.recycle(node);
                self.seek();
                return Some((at, event));
            }
            self.open_list(node);
        }
    }

    fn push_open(&mut self, entry: Entry<E>) {
        let place = self.open.partition_point(|other| *other > entry);
        self.open.insert(place, entry);
        self.bound = self.bound.min(entry.at);
    }

    fn push_later(&mut self, window: i64, entry: Entry<E>) {
        assert!(window > self.window, "an event lies before the present of the calendar");
        self.bound = self.bound.min(slot_start(window << WINDOW_BITS));
        if window - self.window < FAR {
            let node = self.allocate(entry);
            self.nodes[node as usize].next = self.windows.insert(window, node);
        } else {
            self.far.push(Reverse(entry));
        }
    }

    /// Sorts the events of one list into `open`.
    fn open_list(&mut self, head: u32) {
        debug_assert!(self.open.is_empty());
        let mut node = head;
        while node != NIL {
            let opened = self.nodes[node as usize];
            self.open.push(opened.entry());
            self.recycle(node);
            node = opened.next;
        }
        self.open.sort_unstable_by(|a, b| b.cmp(a));
    }

    /// Moves to the next window that has events. Only called once its start is due, so nothing can
    /// be pushed before it any more.
    #[cold]
    fn open_window(&mut self) {
        let window = self.next_window().expect("events are to come");
        self.window = window;
        self.open_slot = (window << WINDOW_BITS) - 1;
        let mut node = self.windows.take(window);
        while node != NIL {
            let moved = &mut self.nodes[node as usize];
            let next = std::mem::replace(&mut moved.next, NIL);
            moved.next = self.slots.insert(slot_of(moved.at), node);
            node = next;
        }
        while let Some(&Reverse(entry)) = self.far.peek() {
            if slot_of(entry.at) >> WINDOW_BITS != window {
                break;
            }
            self.far.pop();
            let node = self.allocate(entry);
            self.nodes[node as usize].next = self.slots.insert(slot_of(entry.at), node);
        }
        self.seek();
    }

    /// The next window that has events, in the lists or in the heap.
    fn next_window(&self) -> Option<i64> {
        let listed = self.windows.next_from(self.window + 1);
        let far = self.far.peek().map(|Reverse(entry)| slot_of(entry.at) >> WINDOW_BITS);
        match (listed, far) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Finds the instant before which nothing is due, once `open` is empty.
    #[inline]
    fn seek(&mut self) {
        match self.slots.next_from(self.open_slot + 1) {
            Some(slot) => self.bound = slot_start(slot),
            None => self.seek_window(),
        }
    }

    #[cold]
    fn seek_window(&mut self) {
        self.bound =
            self.next_window().map_or(Micros::MAX, |window| slot_start(window << WINDOW_BITS));
    }

    #[inline]
    fn allocate(&mut self, entry: Entry<E>) -> u32 {
        let Entry { at, order, event } = entry;
        let node = self.free;
        if node == NIL {
            let node = u32::try_from(self.nodes.len()).expect("fewer than 2^32 pending events");
            assert!(node != NIL, "fewer than 2^32 - 1 pending events");
            self.nodes.push(Node { at, order, event, next: NIL });
            node
        } else {
            let place = &mut self.nodes[node as usize];
            self.free = place.next;
            *place = Node { at, order, event, next: NIL };
            node
        }
    }

    #[inline]
    fn recycle(&mut self, node: u32) {
        self.nodes[node as usize].next = self.free;
        self.free = node;
    }
}

const fn slot_of(at: Micros) -> i64 {
    at.0 >> SLOT_BITS
}

const fn slot_start(slot: i64) -> Micros {
    Micros(slot << SLOT_BITS)
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// `N` lists in a ring, with a bitmap of those that hold something.
#[derive(Debug)]
struct Lists<const N: usize> {
    heads: Box<[u32]>,
    /// A bit per list.
    filled: Box<[u64]>,
    /// A bit per word of `filled`.
    summary: Box<[u64]>,
}

#[allow(clippy::cast_possible_wrap)] // Places are below 2^16.
impl<const N: usize> Lists<N> {
    const MASK: i64 = N as i64 - 1;
    const WORDS: usize = N / 64;

    fn new() -> Self {
        assert!(N.is_power_of_two() && N >= 64);
        Self {
            heads: vec![NIL; N].into_boxed_slice(),
            filled: vec![0; Self::WORDS].into_boxed_slice(),
            summary: vec![0; Self::WORDS.div_ceil(64)].into_boxed_slice(),
        }
    }

    #[inline]
    #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation)] // Masked: 0 <= place < N.
    const fn place(key: i64) -> usize {
        (key & Self::MASK) as usize
    }

    /// Puts `node` at the head of the list of `key`; answers with the former head.
    #[inline]
    fn insert(&mut self, key: i64, node: u32) -> u32 {
        let place = Self::place(key);
        let word = &mut self.filled[place / 64];
        if *word == 0 {
            self.summary[place / 4096] |= 1 << (place / 64 % 64);
        }
        *word |= 1 << (place % 64);
        std::mem::replace(&mut self.heads[place], node)
    }

    /// Empties the list of `key`; answers with its head.
    #[inline]
    fn take(&mut self, key: i64) -> u32 {
        let place = Self::place(key);
        let word = &mut self.filled[place / 64];
        *word &= !(1 << (place % 64));
        if *word == 0 {
            self.summary[place / 4096] &= !(1 << (place / 64 % 64));
        }
        std::mem::replace(&mut self.heads[place], NIL)
    }

    /// The first key at or after `key`, less than a ring's length away, whose list holds something.
    #[inline]
    fn next_from(&self, key: i64) -> Option<i64> {
        let start = Self::place(key);
        let here = self.filled[start / 64] >> (start % 64);
        if here != 0 {
            return Some(key + i64::from(here.trailing_zeros()));
        }
        self.next_after_word(key, start)
    }

    /// The first key in the words after that of `start`, around the ring back to it.
    #[inline(never)]
    fn next_after_word(&self, key: i64, start: usize) -> Option<i64> {
        let (word, groups) = (start / 64, self.summary.len());
        // Two shifts, since a shift by 64 is not defined.
        let mut bits = self.summary[word / 64] & (!0 << (word % 64) << 1);
        for step in 0..=groups {
            if bits != 0 {
                let group = (word / 64 + step) % groups;
                let word = group * 64 + bits.trailing_zeros() as usize;
                let place = word * 64 + self.filled[word].trailing_zeros() as usize;
                return Some(key + ((place as i64 - start as i64) & Self::MASK));
            }
            bits = self.summary[(word / 64 + step + 1) % groups];
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pops everything due at `now`.
    fn drain(calendar: &mut Calendar<u32>, now: i64) -> Vec<(i64, u32)> {
        std::iter::from_fn(|| calendar.pop_due(Micros(now)))
            .map(|(at, event)| (at.0, event))
            .collect()
    }

    #[test]
    fn equal_times_come_in_the_given_order() {
        let mut calendar = Calendar::starting_at(Micros(0));
        for (order, event) in [(3, 30), (1, 10), (2, 20)] {
            calendar.push(Micros(100), order, event);
        }
        assert_eq!(drain(&mut calendar, 99), []);
        assert_eq!(drain(&mut calendar, 100), [(100, 10), (100, 20), (100, 30)]);
    }

    #[test]
    fn an_event_may_be_added_at_the_present_instant() {
        let mut calendar = Calendar::starting_at(Micros(0));
        calendar.push(Micros(70), 5, 1);
        calendar.push(Micros(70), 9, 2);
        assert_eq!(calendar.pop_due(Micros(70)), Some((Micros(70), 1)));
        calendar.push(Micros(70), 7, 3);
        assert_eq!(drain(&mut calendar, 70), [(70, 3), (70, 2)]);
        assert!(calendar.is_empty());
        assert_eq!(calendar.bound(), Micros::MAX);
    }

    #[test]
    fn tiers_hand_over_at_their_borders() {
        let window = 1_i64 << (SLOT_BITS + WINDOW_BITS);
        let far = window * FAR;
        let mut calendar = Calendar::starting_at(Micros(-5));
        let times =
            [0, 63, 64, window - 1, window, far - 1, far, far + window, 3 * far + 1, i64::MAX / 2];
        for (order, at) in times.iter().enumerate().rev() {
            calendar.push(Micros(*at), order as u64, u32::try_from(order).expect("small"));
        }
        for (order, at) in times.iter().enumerate() {
            assert!(calendar.bound() <= Micros(*at));
            assert_eq!(calendar.pop_due(Micros(at - 1)), None);
            let event = u32::try_from(order).expect("small");
            assert_eq!(calendar.pop_due(Micros(*at)), Some((Micros(*at), event)));
        }
    }

    #[test]
    #[should_panic(expected = "before the present")]
    fn an_event_before_the_present_window_is_a_bug() {
        let mut calendar = Calendar::starting_at(Micros(1 << 40));
        calendar.push(Micros(1 << 40), 0, 0);
        calendar.window += 1;
        calendar.open_slot += 1 << WINDOW_BITS;
        calendar.push_later(calendar.window - 1, Entry { at: Micros(0), order: 0, event: 0 });
    }

    /// A step of a random session: wait, then add an event so much later, with this order.
    fn steps() -> impl Strategy<Value = Vec<(i64, i64, u64)>> {
        let delay = prop_oneof![
            4 => 0_i64..200,
            4 => 0_i64..300_000,
            2 => 0_i64..20_000_000,
            1 => 0_i64..20_000_000_000,
            1 => Just(64_i64),
            1 => Just(1_i64 << (SLOT_BITS + WINDOW_BITS)),
        ];
        let wait = prop_oneof![6 => 0_i64..100, 2 => 0_i64..100_000, 1 => 0_i64..6_000_000_000];
        proptest::collection::vec((wait, delay, 0_u64..4), 1..200)
    }

    proptest! {
        /// Whatever is pushed when, the calendar is a list sorted by (time, order).
        #[test]
        fn agrees_with_a_sorted_list(start in -1_i64 << 40..1 << 40, steps in steps()) {
            let mut calendar = Calendar::starting_at(Micros(start));
            let mut list: Vec<(i64, u64, u32)> = Vec::new();
            let mut now = start;
            for (number, (wait, delay, class)) in steps.into_iter().enumerate() {
                now += wait;
                let event = u32::try_from(number).expect("few steps");
                list.sort_unstable();
                let due = list.iter().take_while(|(at, ..)| *at <= now).count();
                let expected: Vec<_> = list.drain(..due).map(|(at, _, event)| (at, event)).collect();
                prop_assert_eq!(drain(&mut calendar, now), expected);
                let next = list.first().map_or(i64::MAX, |(at, ..)| *at);
                prop_assert!(calendar.bound().0 <= next);
                prop_assert_eq!(calendar.is_empty(), list.is_empty());
                // Orders are unique, as those of the engine are.
                let order = class << 32 | u64::from(event);
                calendar.push(Micros(now + delay), order, event);
                list.push((now + delay, order, event));
            }
            list.sort_unstable();
            let expected: Vec<_> = list.into_iter().map(|(at, _, event)| (at, event)).collect();
            prop_assert_eq!(drain(&mut calendar, i64::MAX - 1), expected);
        }
    }
}
