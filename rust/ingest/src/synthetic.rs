//! Counts per bucket that were never measured: how often a synthetic function is called.
//!
//! A count depends on (seed, function, bucket) alone.

use lambda_replay_core::rng::philox4x64;

/// Second half of the Philox key: what the draws are for, in ASCII, little-endian.
const PURPOSE: u64 = u64::from_le_bytes(*b"counts\0\0");
const PURPOSE_BURST: u64 = u64::from_le_bytes(*b"bursts\0\0");
/// Buckets that a burst, or the quiet between two, lasts at least.
const EPOCH: u64 = 5;
/// Above this mean the normal law is near enough.
const MANY: f64 = 64.0;

/// How a function's calls are spread over time.
#[derive(Clone, Copy, Debug)]
pub enum Pattern {
    /// By a clock: so many in every bucket, or one in every so many buckets.
    Timer {
        /// Buckets between two calls; 1 or more.
        period: u64,
        /// Calls of a bucket with any.
        calls: u32,
    },
    /// A Poisson process whose rate is shaken from bucket to bucket, so that the variance of counts is
    /// about `dispersion` times their mean.
    Shaken {
        /// At least 1.
        dispersion: f64,
    },
    /// A Poisson process that is on for a share of the time, to the same effect.
    Bursts {
        /// At least 1.
        dispersion: f64,
    },
}

/// A synthetic function.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Identity in every draw.
    pub key: u64,
    /// Mean number of calls of a bucket.
    pub rate: f64,
    /// How they are spread.
    pub pattern: Pattern,
    /// Share by which the rate rises and falls over the day; below 1.
    pub amplitude: f64,
    /// When in the day it begins to rise, in days.
    pub phase: f64,
}

/// How buckets lie in days.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Buckets of a day.
    pub day: u64,
    /// Bucket 0 in days since a Monday.
    pub begin: f64,
    /// Rate of Saturdays and Sundays over that of other days.
    pub weekend: f64,
}

#[inline]
fn unit(word: u64) -> f64 {
    ((word >> 11) as f64 + 0.5) * (1.0 / 9_007_199_254_740_992.0)
}

impl Source {
    /// How often it is called in a bucket.
    pub fn count(&self, seed: u64, bucket: u64, clock: Clock) -> u32 {
        if let Pattern::Timer { period, calls } = self.pattern {
            let due = (bucket + self.key % period).is_multiple_of(period);
            return if due { calls } else { 0 };
        }
        let day = clock.begin + bucket as f64 / clock.day as f64;
        let swing = self.amplitude * (std::f64::consts::TAU * (day - self.phase)).sin();
        let weekly = if day.rem_euclid(7.0) >= 5.0 { clock.weekend } else { 1.0 };
        let mean = self.rate * weekly * (1.0 + swing);
        let words = philox4x64([self.key, bucket, 0, 0], [seed, PURPOSE]);
        let mean = match self.pattern {
            Pattern::Shaken { dispersion } if dispersion > 1.0 && mean > 0.0 => {
                let variance = ((dispersion - 1.0) / mean).ln_1p().min(4.0);
                mean * (variance.sqrt() * normal(words[2], words[3]) - variance / 2.0).exp()
            }
            Pattern::Bursts { dispersion } if dispersion > 1.0 => {
                let duty = (self.rate / (self.rate + dispersion - 1.0)).max(1e-3);
                let counter = [self.key, bucket / EPOCH, 0, 0];
                let on = unit(philox4x64(counter, [seed, PURPOSE_BURST])[0]) < duty;
                if on { mean / duty } else { 0.0 }
            }
            _ => mean,
        };
        poisson(mean, words)
    }
}

fn normal(first: u64, second: u64) -> f64 {
    (-2.0 * unit(first).ln()).sqrt() * (std::f64::consts::TAU * unit(second)).cos()
}

/// A draw from the Poisson law: by inversion, or from the normal law where the mean is large.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Bounded first.
fn poisson(mean: f64, words: [u64; 4]) -> u32 {
    if mean <= 0.0 {
        return 0;
    }
    if mean > MANY {
        let drawn = mean + mean.sqrt() * normal(words[0], words[1]);
        return drawn.round().clamp(0.0, 4_000_000_000.0) as u32;
    }
    let share = unit(words[0]);
    let mut term = (-mean).exp();
    let mut sum = term;
    let mut count = 0;
    while share > sum && count < 1_000 {
        count += 1;
        term *= mean / f64::from(count);
        sum += term;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: Clock = Clock { day: 1440, begin: 0.0, weekend: 1.0 };

    fn moments(source: &Source) -> (f64, f64) {
        let counts: Vec<_> =
            (0..40_000).map(|bucket| f64::from(source.count(3, bucket, CLOCK))).collect();
        let mean = counts.iter().sum::<f64>() / counts.len() as f64;
        let squares = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>();
        (mean, squares / counts.len() as f64 / mean)
    }

    fn source(rate: f64, pattern: Pattern) -> Source {
        Source { key: 77, rate, pattern, amplitude: 0.0, phase: 0.0 }
    }

    #[test]
    fn mean_and_dispersion_are_as_asked() {
        for (rate, dispersion) in [(2.0, 1.0), (2.0, 3.0), (200.0, 1.0), (200.0, 10.0)] {
            for pattern in [Pattern::Shaken { dispersion }, Pattern::Bursts { dispersion }] {
                let (mean, found) = moments(&source(rate, pattern));
                assert!((mean / rate - 1.0).abs() < 0.06, "{pattern:?}: mean {mean} of {rate}");
                assert!((found / dispersion - 1.0).abs() < 0.15, "{pattern:?}: {found}");
            }
        }
    }

    #[test]
    fn timers_keep_their_period() {
        let timer = source(0.2, Pattern::Timer { period: 5, calls: 1 });
        let (mean, dispersion) = moments(&timer);
        assert!((mean - 0.2).abs() < 1e-3 && (dispersion - 0.8).abs() < 1e-2);
    }

    #[test]
    fn the_day_is_seen_in_the_counts() {
        let mut wave = source(50.0, Pattern::Shaken { dispersion: 1.0 });
        wave.amplitude = 0.5;
        let sum = |from: u64| -> u32 { (from..from + 360).map(|b| wave.count(1, b, CLOCK)).sum() };
        assert!(sum(180) > 2 * sum(900), "{} and {}", sum(180), sum(900));
    }
}
