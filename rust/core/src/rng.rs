//! Counter-based randomness: a draw depends on (seed, purpose, identity of the row, attempt)
//! and on nothing else (Q34), so neither other rows nor batches nor threads shift anybody's
//! luck. Philox4x64-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11.

use crate::config::Span;
use crate::time::Micros;

const MULTIPLIERS: [u64; 2] = [0xD2E7_470E_E14C_6C93, 0xCA5A_8263_9512_1157];
const WEYL: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xBB67_AE85_84CA_A73B];
const ROUNDS: usize = 10;

/// One block of Philox4x64-10.
#[inline]
pub fn philox4x64(counter: [u64; 4], key: [u64; 2]) -> [u64; 4] {
    let mut x = counter;
    let mut k = key;
    for round in 0..ROUNDS {
        if round > 0 {
            k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
        }
        let (high0, low0) = widening_mul(MULTIPLIERS[0], x[0]);
        let (high1, low1) = widening_mul(MULTIPLIERS[1], x[2]);
        x = [high1 ^ x[1] ^ k[0], low1, high0 ^ x[3] ^ k[1], low0];
    }
    x
}

#[inline]
#[allow(clippy::cast_possible_truncation)] // The two halves are what is wanted.
fn widening_mul(a: u64, b: u64) -> (u64, u64) {
    let product = u128::from(a) * u128::from(b);
    ((product >> 64) as u64, product as u64)
}

/// What a draw is for; a row has independent luck for each purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// How long an environment stays idle under the `uniform` policy (Z5).
    Idle,
    /// Maximum lifetime of the environment that the row creates (Z5).
    Lifetime,
    /// Maximum lifetime of a provisioned environment (Z5).
    ProvisionedLifetime,
    /// Wait of an asynchronous event after a failed attempt (Q21).
    Jitter,
    /// Wait of a client after a 429 (F4.2).
    Client,
    /// Which idle environment is reused (Q8).
    Reuse,
    /// Whether the init of a cold start is hidden (F3.6).
    Proactive,
    /// Whether a row, or a copy of it, takes part (Z38).
    Load,
    /// When a copy of a row arrives (Z38).
    Copies,
    /// When a shard is polled (P1).
    PollPhase,
    /// Place of a message in the random order of receives (P19).
    Receive,
}

impl Purpose {
    /// Second half of the Philox key: the name in ASCII, little-endian, padded with zeros.
    const fn key(self) -> u64 {
        match self {
            Self::Idle => u64::from_le_bytes(*b"idle\0\0\0\0"),
            Self::Lifetime => u64::from_le_bytes(*b"lifetime"),
            Self::ProvisionedLifetime => u64::from_le_bytes(*b"provlife"),
            Self::Jitter => u64::from_le_bytes(*b"jitter\0\0"),
            Self::Client => u64::from_le_bytes(*b"client\0\0"),
            Self::Reuse => u64::from_le_bytes(*b"reuse\0\0\0"),
            Self::Proactive => u64::from_le_bytes(*b"proactiv"),
            Self::Load => u64::from_le_bytes(*b"load\0\0\0\0"),
            Self::Copies => u64::from_le_bytes(*b"copies\0\0"),
            Self::PollPhase => u64::from_le_bytes(*b"pollphas"),
            Self::Receive => u64::from_le_bytes(*b"receive\0"),
        }
    }
}

/// Who a row is, whatever its place in the trace: the 128-bit hash of its `request_id`, else its
/// `row_uid`, else its position in the trace as given (Q34).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Low 64 bits; all there is for a `row_uid` or a position.
    pub low: u64,
    /// High 64 bits.
    pub high: u64,
}

impl Identity {
    /// Identity by `row_uid` or by position.
    pub const fn ordinal(low: u64) -> Self {
        Self { low, high: 0 }
    }
}

/// Whose luck a draw is: a row, its copy where `load` made several of it, and its attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The row.
    pub who: Identity,
    /// Its copy.
    pub copy: u32,
    /// Its attempt, counted from 1; 0 for draws about the row itself.
    pub attempt: u32,
}

/// The seed of a run.
#[derive(Clone, Copy, Debug)]
pub struct Luck {
    seed: u64,
}

impl Luck {
    /// Luck of every row under `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    fn word(self, purpose: Purpose, draw: Draw) -> u64 {
        let third = u64::from(draw.attempt) | u64::from(draw.copy) << 32;
        let counter = [draw.who.low, draw.who.high, third, 0];
        let [word, ..] = philox4x64(counter, [self.seed, purpose.key()]);
        word
    }

    /// A whole number drawn uniformly from `low` to `high`, both ends included.
    ///
    /// Multiply-high of 64 random bits: the bias is below `(high - low) / 2^64`.
    #[allow(clippy::cast_sign_loss, clippy::cast_possible_wrap)] // Modulo 2^64.
    pub fn between(self, purpose: Purpose, draw: Draw, low: i64, high: i64) -> i64 {
        assert!(low <= high, "a range is given low end first");
        if low == high {
            return low;
        }
        let width = (high - low) as u64 + 1;
        let (offset, _) = widening_mul(self.word(purpose, draw), width);
        low + offset as i64
    }

    /// A time drawn uniformly from `span`, both ends included, in whole microseconds.
    pub fn uniform(self, purpose: Purpose, draw: Draw, span: Span) -> Micros {
        Micros(self.between(purpose, draw, span.low.0, span.high.0))
    }

    /// Whether something of this probability happens.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 < p < 1.
    pub fn chance(self, purpose: Purpose, draw: Draw, probability: f64) -> bool {
        if probability >= 1.0 {
            return true;
        }
        // Scaling by a power of two is exact.
        let bound = (probability * 18_446_744_073_709_551_616.0) as u64;
        self.word(purpose, draw) < bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::unreadable_literal)] // As published.
    fn philox_reproduces_published_vectors() {
        // Random123's known-answer file: all zeros, and all ones.
        assert_eq!(
            philox4x64([0; 4], [0; 2]),
            [0x16554d9eca36314c, 0xdb20fe9d672d0fdc, 0xd7e772cee186176b, 0x7e68b68aec7ba23b]
        );
        assert_eq!(
            philox4x64([u64::MAX; 4], [u64::MAX; 2]),
            [0x87b092c3013fe90b, 0x438c3c67be8d0224, 0x9cc7d7c69cd777b6, 0xa09caebf594f0ba0]
        );
        // numpy.random.Philox(key=[42, 7], counter=[0, 0, 0, 0]) draws this block first.
        assert_eq!(
            philox4x64([1, 0, 0, 0], [42, 7])[..2],
            [0xa640_64f3_4e84_b9a3, 0xe287_959a_866a_08fd]
        );
    }

    #[test]
    fn uniform_reaches_both_ends_and_stays_inside() {
        let luck = Luck::new(7);
        let mut seen = [false; 4];
        for row in 0..200 {
            let span = Span { low: Micros(5), high: Micros(8) };
            let draw = Draw { who: Identity::ordinal(row), copy: 0, attempt: 1 };
            let draw = luck.uniform(Purpose::Idle, draw, span);
            seen[usize::try_from(draw.0 - 5).expect("inside the range")] = true;
        }
        assert_eq!(seen, [true; 4]);
    }

    #[test]
    fn purposes_and_seeds_are_independent() {
        let draw = |seed, purpose| {
            let span = Span { low: Micros(0), high: Micros(1 << 50) };
            let who = Draw { who: Identity::ordinal(3), copy: 0, attempt: 1 };
            Luck::new(seed).uniform(purpose, who, span)
        };
        assert_ne!(draw(1, Purpose::Idle), draw(1, Purpose::Lifetime));
        assert_ne!(draw(1, Purpose::Idle), draw(2, Purpose::Idle));
        assert_eq!(draw(1, Purpose::Idle), draw(1, Purpose::Idle));
    }
}
