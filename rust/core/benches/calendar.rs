//! The calendar of the engine against two others that could take its place.
//!
//! * `Wheel`: the timing wheel of the engine;
//! * `Heap`: the binary heap of the standard library;
//! * `Radix`: a monotone radix heap, which sorts by the highest bit that differs from the last
//!   event taken.
//!
//! Three loads: the engine's mix (merged arrivals, lognormal durations), the hold model (take the
//! next event, put one back), and a sparse one (an event a minute). Before anything is timed, all
//! three must give the same events in the same order. `docs/decisions/0002-calendar.md` has the
//! results.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use divan::Bencher;
use divan::counter::ItemsCount;
use lambda_replay_core::engine::calendar::Calendar;
use lambda_replay_core::engine::event::{Event, order_of_end};
use lambda_replay_core::ids::{EnvironmentId, FunctionId};
use lambda_replay_core::rng::philox4x64;
use lambda_replay_core::time::Micros;

/// Events of one timed run, besides those that fill the calendar before it.
const EVENTS: usize = 500_000;
/// Events of one timed run of the sparse load.
const SPARSE_EVENTS: usize = 20_000;
/// Requests in flight: what the project's figures are for, and a hundred times that.
const IN_FLIGHT: [usize; 2] = [750, 75_000];
/// Mean of the lognormal durations: median 100 ms, sigma 1.
const MEAN_DURATION: f64 = 164_872.0;

/// What the engine asks of a calendar.
trait Queue {
    fn starting_at(now: Micros) -> Self;

    /// Adds an event at the present or later.
    fn push(&mut self, at: Micros, order: u64, event: Event);

    /// Takes the next event if it is due at `now` or before.
    fn pop_due(&mut self, now: Micros) -> Option<(Micros, Event)>;
}

struct Wheel(Calendar<Event>);

impl Queue for Wheel {
    fn starting_at(now: Micros) -> Self {
        Self(Calendar::starting_at(now))
    }

    #[inline]
    fn push(&mut self, at: Micros, order: u64, event: Event) {
        self.0.push(at, order, event);
    }

    #[inline]
    fn pop_due(&mut self, now: Micros) -> Option<(Micros, Event)> {
        self.0.pop_due(now)
    }
}

/// An event with its place in the order. No two have the same place.
#[derive(Clone, Copy)]
struct Entry {
    at: Micros,
    order: u64,
    event: Event,
}

impl Entry {
    const fn key(&self) -> (i64, u64) {
        (self.at.0, self.order)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

struct Heap(BinaryHeap<Reverse<Entry>>);

impl Queue for Heap {
    fn starting_at(_: Micros) -> Self {
        Self(BinaryHeap::new())
    }

    #[inline]
    fn push(&mut self, at: Micros, order: u64, event: Event) {
        self.0.push(Reverse(Entry { at, order, event }));
    }

    #[inline]
    fn pop_due(&mut self, now: Micros) -> Option<(Micros, Event)> {
        let Reverse(next) = self.0.peek()?;
        if next.at > now {
            return None;
        }
        self.0.pop().map(|Reverse(entry)| (entry.at, entry.event))
    }
}

/// Bucket 0 holds what is due at `last`, sorted, the next event at its end; bucket b > 0 what
/// differs from `last` first in bit b - 1.
struct Radix {
    last: i64,
    buckets: [Vec<Entry>; 65],
    /// Earliest instant of each bucket.
    earliest: [i64; 65],
    /// Which buckets hold something.
    filled: u128,
}

impl Radix {
    #[inline]
    const fn bucket_of(&self, at: Micros) -> usize {
        64 - (at.0 ^ self.last).leading_zeros() as usize
    }

    #[inline]
    fn insert(&mut self, entry: Entry) {
        let bucket = self.bucket_of(entry.at);
        self.filled |= 1 << bucket;
        self.earliest[bucket] = self.earliest[bucket].min(entry.at.0);
        self.buckets[bucket].push(entry);
    }
}

impl Queue for Radix {
    fn starting_at(now: Micros) -> Self {
        let buckets = std::array::from_fn(|_| Vec::new());
        Self { last: now.0, buckets, earliest: [i64::MAX; 65], filled: 0 }
    }

    #[inline]
    fn push(&mut self, at: Micros, order: u64, event: Event) {
        assert!(at.0 >= self.last, "a monotone heap does not go back");
        let entry = Entry { at, order, event };
        if at.0 > self.last {
            self.insert(entry);
        } else {
            let place = self.buckets[0].partition_point(|other| *other > entry);
            self.buckets[0].insert(place, entry);
            self.filled |= 1;
        }
    }

    #[inline]
    fn pop_due(&mut self, now: Micros) -> Option<(Micros, Event)> {
        if self.filled & 1 == 0 {
            let bucket = self.filled.trailing_zeros() as usize;
            if self.filled == 0 || self.earliest[bucket] > now.0 {
                return None;
            }
            self.last = self.earliest[bucket];
            self.earliest[bucket] = i64::MAX;
            self.filled &= !(1 << bucket);
            let mut moved = std::mem::take(&mut self.buckets[bucket]);
            for entry in moved.drain(..) {
                self.insert(entry);
            }
            self.buckets[bucket] = moved;
            self.buckets[0].sort_unstable_by(|a, b| b.cmp(a));
        }
        let Entry { at, event, .. } = self.buckets[0].pop()?;
        if self.buckets[0].is_empty() {
            self.filled &= !1;
        }
        (at.0 <= now.0).then_some((at, event))
    }
}

/// A number in (0, 1) for each (place, purpose).
fn uniform(place: usize, purpose: u64) -> f64 {
    let [word, ..] = philox4x64([place as u64, purpose, 0, 0], [2, 0]);
    ((word >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

#[allow(clippy::cast_possible_truncation)] // Rounded down on purpose.
fn whole(micros: f64) -> Micros {
    Micros(micros as i64)
}

fn exponential(place: usize, mean: f64) -> Micros {
    whole(-mean * uniform(place, 0).ln())
}

/// Median 100 ms, sigma 1.
fn lognormal(place: usize) -> Micros {
    let (radius, angle) = (uniform(place, 1), uniform(place, 2));
    let normal = (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos();
    whole((100_000_f64.ln() + normal).exp())
}

#[allow(clippy::cast_possible_truncation)] // Small.
fn event(place: usize) -> Event {
    let number = place as u32;
    Event::Release { function: FunctionId(number % 1_000), environment: EnvironmentId(number) }
}

/// Sums up what comes out, in order, so that nothing is optimised away and two calendars can be
/// compared.
#[derive(Debug, Default, PartialEq, Eq)]
struct Digest {
    sum: u64,
    count: u64,
}

impl Digest {
    #[inline]
    #[allow(clippy::cast_sign_loss)] // Modulo 2^64.
    fn add(&mut self, at: Micros, event: Event) {
        let Event::Release { environment, .. } = event else { return };
        self.count += 1;
        let place = (at.0 as u64) << 20 ^ u64::from(environment.0);
        self.sum = self.sum.wrapping_add(place.wrapping_mul(self.count));
    }
}

/// What is put into a calendar, and when.
trait Load {
    /// A calendar with as much in it as there is to be on average.
    fn filled<Q: Queue>(&self) -> Q;

    /// What is timed.
    fn run<Q: Queue>(&self, queue: &mut Q) -> Digest;
}

/// The engine's own mix: arrivals are merged, what is due is taken before each.
struct Mix {
    arrivals: Vec<(Micros, Micros)>,
    /// Arrivals before the clock starts, until as many end as begin.
    first: usize,
}

impl Mix {
    fn new(in_flight: usize) -> Self {
        let gap = MEAN_DURATION / in_flight as f64;
        let first = 4 * in_flight;
        let mut at = 0.0;
        let arrivals = (0..first + EVENTS).map(|place| {
            at -= gap * uniform(place, 0).ln();
            (whole(at), lognormal(place))
        });
        Self { arrivals: arrivals.collect(), first }
    }

    fn merge<Q: Queue>(&self, queue: &mut Q, places: Range<usize>) -> Digest {
        let mut digest = Digest::default();
        for place in places {
            let (now, duration) = self.arrivals[place];
            while let Some((at, event)) = queue.pop_due(now) {
                digest.add(at, event);
            }
            queue.push(now + duration, order_of_end(place as u64, 1), event(place));
        }
        digest
    }
}

impl Load for Mix {
    fn filled<Q: Queue>(&self) -> Q {
        let mut queue = Q::starting_at(Micros::ZERO);
        self.merge(&mut queue, 0..self.first);
        queue
    }

    fn run<Q: Queue>(&self, queue: &mut Q) -> Digest {
        self.merge(queue, self.first..self.arrivals.len())
    }
}

/// The hold model: as many events as at the start, each put back when it is taken.
struct Hold {
    delays: Vec<Micros>,
    size: usize,
}

impl Hold {
    fn new(size: usize, mean: f64, events: usize) -> Self {
        let delays = (0..size + events).map(|place| exponential(place, mean));
        Self { delays: delays.collect(), size }
    }
}

impl Load for Hold {
    fn filled<Q: Queue>(&self) -> Q {
        let mut queue = Q::starting_at(Micros::ZERO);
        for (place, delay) in self.delays[..self.size].iter().enumerate() {
            queue.push(*delay, order_of_end(place as u64, 1), event(place));
        }
        queue
    }

    fn run<Q: Queue>(&self, queue: &mut Q) -> Digest {
        let mut digest = Digest::default();
        for (place, delay) in self.delays.iter().enumerate().skip(self.size) {
            let (at, taken) = queue.pop_due(Micros::MAX).expect("as many go in as come out");
            digest.add(at, taken);
            queue.push(at + *delay, order_of_end(place as u64, 1), event(place));
        }
        digest
    }
}

/// One event waits, a minute away on average.
fn sparse_load() -> Hold {
    Hold::new(1, Micros::MINUTE.0 as f64, SPARSE_EVENTS)
}

#[divan::bench(types = [Wheel, Heap, Radix], args = IN_FLIGHT)]
fn mix<Q: Queue>(bencher: Bencher<'_, '_>, in_flight: usize) {
    time::<Q>(bencher, &Mix::new(in_flight), EVENTS);
}

#[divan::bench(types = [Wheel, Heap, Radix], args = IN_FLIGHT)]
fn hold<Q: Queue>(bencher: Bencher<'_, '_>, size: usize) {
    time::<Q>(bencher, &Hold::new(size, MEAN_DURATION, EVENTS), EVENTS);
}

#[divan::bench(types = [Wheel, Heap, Radix])]
fn sparse<Q: Queue>(bencher: Bencher<'_, '_>) {
    time::<Q>(bencher, &sparse_load(), SPARSE_EVENTS);
}

fn time<Q: Queue>(bencher: Bencher<'_, '_>, load: &impl Load, events: usize) {
    bencher
        .counter(ItemsCount::new(events))
        .with_inputs(|| load.filled::<Q>())
        .bench_local_refs(|queue| load.run(queue).sum);
}

/// All three calendars give the same events in the same order.
fn check(load: &impl Load) {
    let wheel = load.run(&mut load.filled::<Wheel>());
    assert_eq!(wheel, load.run(&mut load.filled::<Heap>()));
    assert_eq!(wheel, load.run(&mut load.filled::<Radix>()));
}

fn main() {
    for in_flight in IN_FLIGHT {
        check(&Mix::new(in_flight));
        check(&Hold::new(in_flight, MEAN_DURATION, EVENTS));
    }
    check(&sparse_load());
    divan::Divan::default().sample_count(20).sample_size(1).config_with_args().main();
}
