//! What can happen, and in which order at one instant (Z1).

use crate::ids::{EnvironmentId, FunctionId};
use crate::sources::hub::{Class, Timer};

/// Something that happens at an instant to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The configuration changes: an epoch begins.
    Change {
        /// Which.
        epoch: u32,
    },
    /// A scheduled action of a provisioned pool.
    Schedule {
        /// Which pool.
        pool: u32,
        /// Which entry.
        entry: u32,
    },
    /// Provisioned environments become READY.
    Ready {
        /// Whose.
        pool: u32,
    },
    /// Target tracking looks at the minute that ends.
    Look {
        /// Which pool.
        pool: u32,
    },
    /// A run has waited for its record for as long as it may.
    GiveUp {
        /// Place of the run.
        run: u32,
    },
    /// An event has reached its maximum age (Z27).
    Deadline {
        /// Place of the request.
        parked: u32,
    },
    /// A client has waited for an answer for as long as it would (Z28).
    Unanswered {
        /// Place of the request.
        parked: u32,
    },
    /// The client of a run with a record has waited for an answer for as long as it would.
    Patience {
        /// Place of the run.
        run: u32,
    },
    /// An answer reaches a client that limits its own rate.
    Response {
        /// Of which function it is the client.
        function: FunctionId,
    },
    /// A client may send the next request that it holds back.
    Send {
        /// Of which function it is the client.
        function: FunctionId,
    },
    /// The answer of a run is due, and something depends on it.
    Answer {
        /// Place of the request.
        parked: u32,
    },
    /// A run with a record answers.
    StateAnswer {
        /// Place of the run.
        run: u32,
    },
    /// A run with a record is released.
    StateRelease {
        /// Place of the run.
        run: u32,
    },
    /// A run ends: unit and environment are free again.
    Release {
        /// Whose run.
        function: FunctionId,
        /// Where it ran.
        environment: EnvironmentId,
    },
    /// A run with a record is ready for its handler.
    Begin {
        /// Place of the run.
        run: u32,
    },
    /// The timer of a pool of environments: idle expiry and end of lifetime.
    PoolTimer {
        /// Whose pool.
        function: FunctionId,
    },
    /// The timer of a provisioned pool: end of lifetime.
    ProvisionedTimer {
        /// Which pool.
        pool: u32,
    },
    /// A copy of a row arrives (Z38).
    Arrival {
        /// Place of the request.
        parked: u32,
    },
    /// Something is counted in the minute that opens at this instant.
    Mark {
        /// Of which function.
        function: FunctionId,
    },
    /// A request is tried again, or an event for the first time.
    Retry {
        /// Place of the request.
        parked: u32,
    },
    /// A timer of an event source.
    Source {
        /// What for, and of which.
        timer: SourceTimer,
        /// Of whom in it.
        unit: u32,
    },
    /// The run of a batch answers.
    BatchAnswer {
        /// Place of the batch.
        batch: u32,
    },
    /// A copy of a record arrives (Z38).
    Landing {
        /// Place of the record.
        landing: u32,
    },
}

// With its time, its place and a link it is half a cache line.
const _: () = assert!(size_of::<Event>() == 12, "the calendar holds many");

/// Which timer of which event source, in one word: with a byte beside the tag of an [`Event`] every
/// copy of one would take three moves, not two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceTimer(u32);

impl SourceTimer {
    const BITS: u32 = 4;

    /// A timer of the source of this number.
    pub fn new(timer: Timer, source: u32) -> Self {
        assert!(source >> (32 - Self::BITS) == 0, "fewer than 2^28 sources");
        Self(source << Self::BITS | timer as u32)
    }

    /// Number of the source.
    pub const fn source(self) -> u32 {
        self.0 >> Self::BITS
    }

    /// What it is for.
    pub const fn timer(self) -> Timer {
        Timer::ALL[(self.0 & ((1 << Self::BITS) - 1)) as usize]
    }
}

impl Event {
    /// Whether it comes after the changes and ends of its instant (Z1). A handler that begins may
    /// end at once.
    pub const fn comes_after_ends(self) -> bool {
        match self {
            Self::Arrival { .. }
            | Self::Landing { .. }
            | Self::Retry { .. }
            | Self::Send { .. }
            | Self::Mark { .. } => true,
            Self::Source { timer, .. } => matches!(timer.timer(), Timer::Start | Timer::Read),
            _ => false,
        }
    }
}

/// Kinds of events in the order of one instant (Z1). Arrivals of the trace are merged with the
/// calendar, never put into it.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Rank {
    Change = 0,
    GiveUp = 1,
    End = 2,
    Timer = 3,
    Arrival = 4,
    Retry = 5,
    Batch = 6,
    Mark = 7,
}

const RANK_SHIFT: u32 = 60;
const SUB_SHIFT: u32 = 56;
const ATTEMPT_BITS: u32 = 13;
const MOST_ATTEMPTS: u32 = (1 << (ATTEMPT_BITS - 1)) - 1;

/// What belongs to an event source comes after what does not.
const OF_SOURCE: u64 = 1 << 59;
/// Marks the number of a batch: its place among those of all sources ([`batch_number`]).
const OF_BATCH: u64 = 1 << 63;

/// Number of a batch in the order of one instant; `order` is its place among all units.
pub const fn batch_number(order: u64) -> u64 {
    OF_BATCH | order
}

/// Place of a timer of an event source; `order` is that of its unit among all units.
pub const fn order_of_source(class: Class, order: u64) -> u64 {
    let rank = match class {
        Class::Change => Rank::Change,
        Class::Expiry => Rank::Timer,
        Class::Read => Rank::Arrival,
        Class::Retry => Rank::Retry,
        Class::Batch => Rank::Batch,
    };
    (rank as u64) << RANK_SHIFT | OF_SOURCE | order << 1
}

/// Place of something about a run among its kind: by arrival, then by attempt, then the answer and
/// then the release.
#[inline]
const fn of_run(rank: Rank, arrival: u64, attempt: u32, last: bool) -> u64 {
    if arrival >= OF_BATCH {
        return (rank as u64) << RANK_SHIFT | OF_SOURCE | (arrival & !OF_BATCH) << 1 | last as u64;
    }
    of_request(rank, arrival, attempt, last)
}

#[inline]
const fn of_request(rank: Rank, arrival: u64, attempt: u32, last: bool) -> u64 {
    let attempt = if attempt > MOST_ATTEMPTS { MOST_ATTEMPTS } else { attempt };
    (rank as u64) << RANK_SHIFT | arrival << ATTEMPT_BITS | (attempt as u64) << 1 | last as u64
}

/// Place of the release of a request's run among the events of one instant: by arrival, then by
/// attempt (Z1).
#[inline]
pub const fn order_of_end(arrival: u64, attempt: u32) -> u64 {
    of_request(Rank::End, arrival, attempt, true)
}

/// The same for requests and batches.
#[inline]
pub const fn order_of_release(arrival: u64, attempt: u32) -> u64 {
    of_run(Rank::End, arrival, attempt, true)
}

/// Place of the answer of a run: before its release.
#[inline]
pub const fn order_of_answer(arrival: u64, attempt: u32) -> u64 {
    of_run(Rank::End, arrival, attempt, false)
}

/// Place of a wait that reaches its limit.
#[inline]
pub const fn order_of_give_up(arrival: u64, attempt: u32) -> u64 {
    of_run(Rank::GiveUp, arrival, attempt, false)
}

/// Place of a wait for a record that reaches its limit: after its client's patience, since an
/// answer exactly then is too late (Z28).
#[inline]
pub const fn order_of_lock_limit(arrival: u64, attempt: u32) -> u64 {
    of_run(Rank::GiveUp, arrival, attempt, true)
}

/// Place of the end of an init: the first of the timers.
#[inline]
pub const fn order_of_begin(arrival: u64, attempt: u32) -> u64 {
    of_run(Rank::Timer, arrival, attempt, false)
}

/// Place of a retry.
#[inline]
pub const fn order_of_retry(arrival: u64, attempt: u32) -> u64 {
    of_run(Rank::Retry, arrival, attempt, false)
}

/// Place of a mark: after everything else, in the minute that is open then.
#[inline]
pub const fn order_of_mark(function: FunctionId) -> u64 {
    (Rank::Mark as u64) << RANK_SHIFT | function.0 as u64
}

/// Place of a pool's timer among the events of one instant. Pools do not see each other, so their
/// order among themselves changes nothing; it is fixed all the same.
#[inline]
pub const fn order_of_timer(function: FunctionId) -> u64 {
    (Rank::Timer as u64) << RANK_SHIFT | 1 << SUB_SHIFT | function.0 as u64
}

/// Place of a provisioned pool's timer.
#[inline]
pub const fn order_of_provisioned_timer(pool: u32) -> u64 {
    (Rank::Timer as u64) << RANK_SHIFT | 2 << SUB_SHIFT | pool as u64
}

/// Place of an arrival: by its position in the trace as given, then by copy (Z2).
#[inline]
pub const fn order_of_arrival(row: u64, copy: u32) -> u64 {
    (Rank::Arrival as u64) << RANK_SHIFT | row << 16 | copy as u64
}

/// Place of a change of configuration: in the order of the file, before what follows from others.
#[inline]
pub const fn order_of_change(epoch: u32) -> u64 {
    (Rank::Change as u64) << RANK_SHIFT | epoch as u64
}

/// Place of a scheduled action.
#[inline]
pub const fn order_of_schedule(pool: u32, entry: u32) -> u64 {
    (Rank::Change as u64) << RANK_SHIFT | 1 << SUB_SHIFT | (pool as u64) << 24 | entry as u64
}

/// Place of provisioned environments that become READY.
#[inline]
pub const fn order_of_ready(pool: u32) -> u64 {
    (Rank::Change as u64) << RANK_SHIFT | 2 << SUB_SHIFT | pool as u64
}

/// Place of a look of target tracking.
#[inline]
pub const fn order_of_look(pool: u32) -> u64 {
    (Rank::Change as u64) << RANK_SHIFT | 3 << SUB_SHIFT | pool as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn z1_the_order_of_one_instant() {
        let orders = [
            order_of_change(0),
            order_of_change(1),
            order_of_schedule(0, 0),
            order_of_ready(0),
            order_of_look(0),
            order_of_source(Class::Change, 0),
            order_of_give_up(7, 1),
            order_of_lock_limit(7, 1),
            order_of_answer(0, 1),
            order_of_end(0, 1),
            order_of_answer(0, 2),
            order_of_end(1, 1),
            order_of_end(1 << 40, 1),
            order_of_answer(batch_number(3), 1),
            order_of_release(batch_number(3), 1),
            order_of_answer(batch_number(4), 1),
            order_of_begin(9, 1),
            order_of_timer(FunctionId(0)),
            order_of_timer(FunctionId(1)),
            order_of_provisioned_timer(0),
            order_of_source(Class::Expiry, 0),
            order_of_arrival(0, 0),
            order_of_arrival(0, 1),
            order_of_arrival(1 << 40, 0),
            order_of_source(Class::Read, 0),
            order_of_retry(0, 1),
            order_of_retry(1, 9_999_999),
            order_of_source(Class::Retry, 0),
            order_of_source(Class::Batch, 0),
            order_of_source(Class::Batch, 1),
            order_of_mark(FunctionId(0)),
        ];
        assert!(orders.is_sorted());
    }
}
