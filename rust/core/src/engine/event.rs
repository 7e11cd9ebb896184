//! What can happen, and in which order at one instant (Z1).

use crate::ids::{EnvironmentId, FunctionId};

/// Something that happens at an instant to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A run ends: unit and environment are free again.
    Release {
        /// Whose run.
        function: FunctionId,
        /// Where it ran.
        environment: EnvironmentId,
    },
    /// The timer of a pool of environments: idle expiry and end of lifetime.
    PoolTimer {
        /// Whose pool.
        function: FunctionId,
    },
}

/// Kinds of events in the order of one instant (Z1). Arrivals come after all of these; they are
/// merged with the calendar, never put into it.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Rank {
    End = 2,
    Timer = 3,
}

const RANK_SHIFT: u32 = 60;
const ATTEMPT_BITS: u32 = 12;

/// Place of the end of a run among those of one instant: by arrival, then by attempt (Z1).
#[inline]
pub const fn order_of_end(arrival: u64, attempt: u32) -> u64 {
    (Rank::End as u64) << RANK_SHIFT | arrival << ATTEMPT_BITS | attempt as u64
}

/// Place of a pool's timer among the events of one instant. Pools do not see each other, so their
/// order among themselves changes nothing; it is fixed all the same.
#[inline]
pub const fn order_of_timer(function: FunctionId) -> u64 {
    (Rank::Timer as u64) << RANK_SHIFT | function.0 as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn z1_ends_by_arrival_then_attempt_come_before_timers() {
        let orders = [
            order_of_end(0, 1),
            order_of_end(0, 2),
            order_of_end(1, 1),
            order_of_end(1 << 40, 1),
            order_of_timer(FunctionId(0)),
            order_of_timer(FunctionId(1)),
        ];
        assert!(orders.is_sorted());
    }
}
