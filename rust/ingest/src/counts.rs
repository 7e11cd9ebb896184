//! Counts per bucket of time become single invocations, bucket by bucket, in order of time.
//!
//! A draw depends on (seed, function, bucket, index) and on nothing else, so neither the order of
//! files nor other functions nor the way in which buckets are cut into calls changes a row. Memory is
//! that of one bucket's rows.

use lambda_replay_core::rng::philox4x64;

use crate::law::Law;

/// Second half of the Philox key: what the draws are for, in ASCII, little-endian.
const PURPOSE: u64 = u64::from_le_bytes(*b"expand\0\0");
/// Counter of draws about a function or a bucket as a whole; no index is as large.
const WHOLE: u64 = u64::MAX;

/// Where the invocations of a bucket lie in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Each anywhere: given the number, the same as a Poisson process.
    Uniform,
    /// Evenly spaced, with a phase that the function keeps from bucket to bucket.
    Equidistant,
    /// Gaps as of a Poisson process, stretched to fill the bucket exactly, from a phase within the
    /// first one: no invocation is bound to the bucket's ends.
    Exponential,
}

impl Placement {
    /// Names, in the order of the numbers that the bindings take.
    pub const NAMES: [&str; 3] = ["uniform", "equidistant", "exponential"];

    /// The placement of a number.
    pub const fn of(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Uniform),
            1 => Some(Self::Equidistant),
            2 => Some(Self::Exponential),
            _ => None,
        }
    }
}

/// One function of the source.
#[derive(Clone, Debug)]
pub struct Function {
    /// Identity in every draw.
    pub key: u64,
    /// Where its invocations lie in their buckets.
    pub placement: Placement,
    /// How long they take.
    pub law: Law,
}

/// A stretch of time whose invocations were counted.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    /// Identity in every draw.
    pub index: u64,
    /// Begin, in µs since the epoch.
    pub start: i64,
    /// Length, in µs.
    pub width: i64,
}

/// Invocations, in order of time.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Arrivals, in µs since the epoch.
    pub timestamps: Vec<i64>,
    /// Positions of their functions.
    pub functions: Vec<u32>,
    /// Durations, in µs.
    pub durations: Vec<i64>,
}

/// Expands the counts of one source.
#[derive(Debug)]
pub struct Expander {
    seed: u64,
    functions: Vec<Function>,
    /// Per function, in [0, 1).
    phases: Vec<f64>,
    /// Offset in the bucket and place among the drawn, as one number that sorts as the pair does.
    order: Vec<u64>,
    drawn: Vec<(u32, i64)>,
    gaps: Vec<f64>,
}

/// A number from [0, 1) with 53 random bits.
#[inline]
fn unit(word: u64) -> f64 {
    (word >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
}

impl Expander {
    /// An expander of these functions under `seed`.
    pub fn new(seed: u64, functions: Vec<Function>) -> Self {
        let phases = functions
            .iter()
            .map(|function| unit(philox4x64([function.key, WHOLE, WHOLE, 0], [seed, PURPOSE])[0]))
            .collect();
        Self { seed, functions, phases, order: Vec::new(), drawn: Vec::new(), gaps: Vec::new() }
    }

    /// Appends the invocations of a bucket.
    ///
    /// `counts` has a number per function; `means`, where given, the mean duration in ms of each in
    /// this bucket, to which its law is stretched (NaN: as the law has it). Ties are in order of
    /// functions.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Bounded by the width.
    pub fn expand(
        &mut self,
        bucket: Bucket,
        counts: &[u32],
        means: Option<&[f64]>,
        rows: &mut Rows,
    ) {
        assert!(counts.len() == self.functions.len(), "a count per function");
        assert!(bucket.width > 0 && bucket.width < 1 << 32, "a bucket is shorter than 71 minutes");
        self.order.clear();
        self.drawn.clear();
        let width = bucket.width as f64;
        let last = bucket.width as u64 - 1;
        for (place, (count, function)) in counts.iter().zip(&self.functions).enumerate() {
            if *count == 0 {
                continue;
            }
            let mean = means.map_or(f64::NAN, |means| means[place]);
            let stretch = if mean.is_finite() { mean.max(0.0) / function.law.mean() } else { 1.0 };
            let key = [self.seed, PURPOSE];
            let spacing = width / f64::from(*count);
            let mut at = 0.0;
            if function.placement == Placement::Exponential {
                self.gaps.clear();
                self.gaps.extend((0..*count).map(|index| {
                    let block = philox4x64([function.key, bucket.index, u64::from(index), 1], key);
                    -(1.0 - unit(block[0])).ln()
                }));
                let stretch = width / self.gaps.iter().sum::<f64>().max(f64::MIN_POSITIVE);
                self.gaps.iter_mut().for_each(|gap| *gap *= stretch);
                let block = philox4x64([function.key, bucket.index, WHOLE, 0], key);
                at = -unit(block[0]) * self.gaps[0];
            }
            let mut block = [0; 4];
            for index in 0..*count {
                // A block has words for two.
                if index % 2 == 0 {
                    let pair = u64::from(index / 2);
                    block = philox4x64([function.key, bucket.index, pair, 0], key);
                } else {
                    block = [block[2], block[3], 0, 0];
                }
                let offset = match function.placement {
                    Placement::Uniform => unit(block[0]) * width,
                    Placement::Equidistant => (f64::from(index) + self.phases[place]) * spacing,
                    Placement::Exponential => {
                        at += self.gaps[index as usize];
                        at
                    }
                };
                let micros = function.law.millis(unit(block[1])) * stretch * 1_000.0 + 0.5;
                self.order.push((offset as u64).min(last) << 32 | self.drawn.len() as u64);
                self.drawn.push((place as u32, (micros as i64).max(1)));
            }
        }
        assert!(u32::try_from(self.drawn.len()).is_ok(), "a bucket has fewer than 2^32 rows");
        self.order.sort_unstable();
        rows.timestamps.reserve(self.order.len());
        rows.functions.reserve(self.order.len());
        rows.durations.reserve(self.order.len());
        for packed in &self.order {
            let (function, duration) = self.drawn[(packed & u64::from(u32::MAX)) as usize];
            rows.timestamps.push(bucket.start + (packed >> 32).cast_signed());
            rows.functions.push(function);
            rows.durations.push(duration);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: i64 = 60_000_000;

    fn functions(placement: Placement, count: u64) -> Vec<Function> {
        (0..count).map(|key| Function { key, placement, law: Law::constant(5.0) }).collect()
    }

    fn expand(functions: Vec<Function>, counts: &[u32]) -> Rows {
        let mut rows = Rows::default();
        let bucket = Bucket { index: 3, start: 3 * MINUTE, width: MINUTE };
        Expander::new(7, functions).expand(bucket, counts, None, &mut rows);
        rows
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn counts_are_kept_in_order_and_inside(
            counts in prop::collection::vec(0_u32..60, 1..6), number in 0_u8..3,
        ) {
            let placement = Placement::of(number).expect("one of three");
            let rows = expand(functions(placement, counts.len() as u64), &counts);
            prop_assert!(rows.timestamps.is_sorted());
            prop_assert!(rows.timestamps.iter().all(|at| (3 * MINUTE..4 * MINUTE).contains(at)));
            for (place, count) in counts.iter().enumerate() {
                let found = rows.functions.iter().filter(|one| **one as usize == place).count();
                prop_assert_eq!(found, *count as usize);
            }
        }

        #[test]
        fn no_function_shifts_the_luck_of_another(number in 0_u8..3, count in 1_u32..30) {
            let placement = Placement::of(number).expect("one of three");
            let alone = expand(functions(placement, 1), &[count]);
            let both = expand(functions(placement, 2), &[count, 9]);
            let of_first: Vec<_> = both.timestamps.iter().zip(&both.functions)
                .filter(|(_, function)| **function == 0).map(|(at, _)| *at).collect();
            prop_assert_eq!(alone.timestamps, of_first);
        }
    }

    #[test]
    fn equidistant_invocations_keep_their_distance_and_phase() {
        let rows = expand(functions(Placement::Equidistant, 1), &[4]);
        let gaps: Vec<_> = rows.timestamps.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| (gap - MINUTE / 4).abs() <= 1), "{gaps:?}");
    }

    #[test]
    fn no_placement_prefers_the_begin_of_the_bucket() {
        for number in 0..3 {
            let placement = Placement::of(number).expect("one of three");
            let rows = expand(functions(placement, 400), &[1; 400]);
            let early = rows.timestamps.iter().filter(|at| **at < 3 * MINUTE + MINUTE / 10).count();
            assert!((15..70).contains(&early), "{placement:?}: {early} of 400 in a tenth");
        }
    }

    #[test]
    fn means_of_the_bucket_stretch_the_law() {
        let mut rows = Rows::default();
        let bucket = Bucket { index: 0, start: 0, width: MINUTE };
        let mut expander = Expander::new(1, functions(Placement::Uniform, 2));
        expander.expand(bucket, &[1, 1], Some(&[20.0, f64::NAN]), &mut rows);
        let mut pairs: Vec<_> = rows.functions.iter().zip(&rows.durations).collect();
        pairs.sort();
        assert_eq!(pairs, [(&0, &20_000), (&1, &5_000)]);
    }
}
