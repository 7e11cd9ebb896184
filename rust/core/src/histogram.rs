//! Percentiles of spans from counts in buckets of bounded relative width.
//!
//! A value below 128 µs has a bucket of its own; above, every power of two is cut into 64 equal
//! parts. A percentile is reported as the middle of its bucket, at most 0.8 % from any value in it
//! (Z46 allows 1 %). Counts are integers, so histograms add up exactly in any order.

use crate::time::Micros;

/// log2 of the number of buckets per power of two.
const PRECISION: u32 = 6;

/// Counts of spans by size.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// Counts of the buckets from `first` on, modulo 2^8: little memory to go through, so that those
    /// of a thousand functions stay in a cache.
    counts: Box<[u8]>,
    first: u32,
    /// The lowest bucket and the highest that hold something.
    low: u32,
    high: u32,
    min: Micros,
    max: Micros,
    /// How often the count of a bucket went through 2^8, beside `counts`; empty until one does.
    carries: Vec<u64>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: Box::default(),
            first: 0,
            low: u32::MAX,
            high: 0,
            min: Micros::MAX,
            max: Micros::MIN,
            carries: Vec::new(),
        }
    }
}

impl Histogram {
    /// Adds one value, which must not be negative.
    #[inline]
    pub fn record(&mut self, value: Micros) {
        let bucket = bucket_of(value);
        // Branches that are next to never taken: no store per value.
        if bucket <= self.low || bucket >= self.high {
            self.widen(value, bucket);
        }
        match self.counts.get_mut(bucket.wrapping_sub(self.first) as usize) {
            Some(count) if *count < u8::MAX => *count += 1,
            _ => self.record_rarely(bucket, 1),
        }
    }

    /// Notes a value that may be the smallest or the largest.
    #[cold]
    fn widen(&mut self, value: Micros, bucket: u32) {
        self.low = self.low.min(bucket);
        self.high = self.high.max(bucket);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Adds one value many times.
    pub fn record_times(&mut self, value: Micros, times: u64) {
        if times > 0 {
            let bucket = bucket_of(value);
            self.widen(value, bucket);
            self.record_rarely(bucket, times);
        }
    }

    #[cold]
    fn record_rarely(&mut self, bucket: u32, times: u64) {
        self.make_room(bucket, bucket);
        self.add((bucket - self.first) as usize, times);
    }

    /// Adds to a bucket that is kept.
    fn add(&mut self, place: usize, times: u64) {
        let sum = u64::from(self.counts[place]) + times;
        self.counts[place] = sum.to_le_bytes()[0];
        if sum >> 8 > 0 {
            self.carries.resize(self.counts.len(), 0);
            self.carries[place] += sum >> 8;
        }
    }

    /// Makes buckets `low` to `high` part of those kept.
    fn make_room(&mut self, low: u32, high: u32) {
        const STEP: u32 = 16;
        let low = low / STEP * STEP;
        let mut counts = std::mem::take(&mut self.counts).into_vec();
        if counts.is_empty() {
            self.first = low;
        } else if low < self.first {
            let more = (self.first - low) as usize;
            counts.splice(0..0, std::iter::repeat_n(0, more));
            if !self.carries.is_empty() {
                self.carries.splice(0..0, std::iter::repeat_n(0, more));
            }
            self.first = low;
        }
        let length = (high - self.first + 1).next_multiple_of(STEP) as usize;
        if length > counts.len() {
            counts.resize(length, 0);
        }
        self.counts = counts.into_boxed_slice();
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        let Some(last) = u32::try_from(other.counts.len()).ok().filter(|length| *length > 0) else {
            return;
        };
        self.make_room(other.first, other.first + last - 1);
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        for (bucket, times) in other.buckets() {
            self.add((bucket - self.first) as usize, times);
        }
    }

    /// Buckets that hold something, in order of size, with their counts.
    fn buckets(&self) -> impl Iterator<Item = (u32, u64)> {
        let carries = self.carries.iter().copied().chain(std::iter::repeat(0));
        (self.first..).zip(self.counts.iter().copied().zip(carries)).filter_map(
            |(bucket, (count, carry))| {
                let count = u64::from(count) + (carry << 8);
                (count > 0).then_some((bucket, count))
            },
        )
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.buckets().map(|(_, count)| count).sum()
    }

    /// The smallest value with a cumulative share of at least `permille` / 1000 (Z46), to within
    /// 0.8 %; nothing where there are no values.
    pub fn percentile(&self, permille: u64) -> Option<Micros> {
        let total = u128::from(self.count());
        let mut seen = 0_u128;
        self.buckets().find_map(|(bucket, count)| {
            seen += u128::from(count);
            // The middle of a bucket may lie outside of what was seen.
            let middle = || middle_of(bucket).clamp(self.min, self.max);
            (seen * 1000 >= total * u128::from(permille)).then(middle)
        })
    }
}

#[inline]
#[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation)] // Spans are not negative.
fn bucket_of(value: Micros) -> u32 {
    let value = value.0 as u64;
    let shift = (value | 1 << PRECISION).ilog2() - PRECISION;
    (shift << PRECISION) + (value >> shift) as u32
}

fn middle_of(bucket: u32) -> Micros {
    let shift = (bucket >> PRECISION).saturating_sub(1);
    let low = i64::from(bucket - (shift << PRECISION)) << shift;
    Micros(low + (1_i64 << shift >> 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_values_are_exact() {
        for value in 0..128 {
            assert_eq!(middle_of(bucket_of(Micros(value))), Micros(value));
        }
    }

    #[test]
    fn percentile_is_the_smallest_value_with_the_share() {
        let mut one = Histogram::default();
        one.record(Micros(3_000));
        assert_eq!(one.percentile(500), Some(Micros(3_000)), "exact where there is one value");
        let mut histogram = Histogram::default();
        for value in [10, 20, 30, 40] {
            histogram.record(Micros(value));
        }
        assert_eq!(histogram.percentile(500), Some(Micros(20)));
        assert_eq!(histogram.percentile(501), Some(Micros(30)));
        assert_eq!(histogram.percentile(1000), Some(Micros(40)));
        assert_eq!(histogram.percentile(1), Some(Micros(10)));
        assert_eq!(Histogram::default().percentile(500), None);
    }

    #[test]
    fn counts_go_beyond_a_byte() {
        let mut histogram = Histogram::default();
        for _ in 0..200_000 {
            histogram.record(Micros(5));
        }
        histogram.record(Micros(7));
        histogram.record(Micros(3));
        assert_eq!(histogram.count(), 200_002);
        assert_eq!(histogram.percentile(999), Some(Micros(5)));
        let other = histogram.clone();
        histogram.merge(&other);
        assert_eq!(histogram.count(), 400_004);
        assert_eq!(histogram.percentile(1000), Some(Micros(7)));
    }

    proptest! {
        #[test]
        fn a_bucket_is_within_one_percent(value in 0_i64..1 << 60) {
            let middle = middle_of(bucket_of(Micros(value)));
            prop_assert!((middle.0 - value).abs() * 100 <= value, "{value} became {}", middle.0);
        }

        #[test]
        fn merging_is_recording_everything(values in proptest::collection::vec(0_i64..1 << 40, 0..50)) {
            let mut whole = Histogram::default();
            let mut parts = [Histogram::default(), Histogram::default()];
            for (place, value) in values.iter().enumerate() {
                whole.record(Micros(*value));
                parts[place % 2].record(Micros(*value));
            }
            let [mut sum, other] = parts;
            sum.merge(&other);
            prop_assert_eq!(sum.count(), values.len() as u64);
            for permille in [1, 500, 900, 990, 999, 1000] {
                prop_assert_eq!(sum.percentile(permille), whole.percentile(permille));
            }
        }
    }
}
