//! How durations of one function are distributed, from the quantiles and the average that its source
//! reports.
//!
//! Between neighbouring quantiles a < b the density is proportional to x ^ -(1 + tilt). Tilt 0 is
//! log-linear interpolation of the inverse CDF; the tilt at which the mean is the reported average
//! keeps every quantile and both ends, which multiplying by average / mean would not.

/// Shares of the quantiles that Azure reports.
pub const SHARES: [f64; 7] = [0.0, 0.01, 0.25, 0.5, 0.75, 0.99, 1.0];

const SEGMENTS: usize = SHARES.len() - 1;
/// Inverse widths of the segments.
const PER_SHARE: [f64; SEGMENTS] = {
    let mut widths = [0.0; SEGMENTS];
    let mut at = 0;
    while at < SEGMENTS {
        widths[at] = 1.0 / (SHARES[at + 1] - SHARES[at]);
        at += 1;
    }
    widths
};
/// Below this a tilt is none.
const STRAIGHT: f64 = 1e-6;
/// Beyond this all mass lies at one end of each segment for any purpose.
const MOST_TILT: f64 = 50.0;
/// Shortest run that stays one.
const LEAST_MS: f64 = 0.001;

/// A law of durations, in milliseconds.
#[derive(Clone, Debug)]
pub struct Law {
    /// Quantiles at [`SHARES`], rising, positive.
    quantiles: [f64; SEGMENTS + 1],
    /// Per segment: ln(b / a), and `exp_m1(-tilt · ln(b / a))`.
    lengths: [f64; SEGMENTS],
    growths: [f64; SEGMENTS],
    tilt: f64,
    /// -1 / tilt.
    slope: f64,
    /// What is left to do where no tilt reaches the average.
    scale: f64,
}

impl Law {
    /// Every run takes `millis`.
    pub fn constant(millis: f64) -> Self {
        Self::of([millis; SEGMENTS + 1], None)
    }

    /// The law with these quantiles, and with this mean where one is given.
    ///
    /// Quantiles that fall are raised to the one before them; what is not positive becomes a
    /// microsecond.
    pub fn of(reported: [f64; SEGMENTS + 1], average: Option<f64>) -> Self {
        let mut quantiles = reported;
        let mut highest = LEAST_MS;
        for quantile in &mut quantiles {
            highest = if quantile.is_finite() { quantile.max(highest) } else { highest };
            *quantile = highest;
        }
        let mut law = Self {
            quantiles,
            lengths: std::array::from_fn(|at| (quantiles[at + 1] / quantiles[at]).ln()),
            growths: [0.0; SEGMENTS],
            tilt: 0.0,
            slope: 0.0,
            scale: 1.0,
        };
        if let Some(average) = average {
            let target = average.max(LEAST_MS);
            law.tilt = law.fit(target);
            law.scale = target / law.mean_at(law.tilt);
        }
        law.slope = -1.0 / law.tilt;
        law.growths = law.lengths.map(|length| (-law.tilt * length).exp_m1());
        law
    }

    /// A log-normal law: its quantiles at [`SHARES`], the ends at 3.09 standard deviations.
    pub fn log_normal(mean_millis: f64, sigma: f64) -> Self {
        const SCORES: [f64; SEGMENTS + 1] =
            [-3.090_232, -2.326_348, -0.674_490, 0.0, 0.674_490, 2.326_348, 3.090_232];
        let middle = mean_millis.max(LEAST_MS).ln() - sigma * sigma / 2.0;
        Self::of(SCORES.map(|score| (middle + sigma * score).exp()), Some(mean_millis))
    }

    /// Mean of the law.
    pub fn mean(&self) -> f64 {
        self.mean_at(self.tilt) * self.scale
    }

    fn mean_at(&self, tilt: f64) -> f64 {
        (0..SEGMENTS)
            .map(|at| {
                let mass = SHARES[at + 1] - SHARES[at];
                let length = self.lengths[at];
                let share = if length > 0.0 {
                    growth(1.0 - tilt, length) / growth(-tilt, length)
                } else {
                    1.0
                };
                mass * self.quantiles[at] * share
            })
            .sum()
    }

    /// The tilt at which the mean is nearest to the target. The mean falls as the tilt grows.
    fn fit(&self, target: f64) -> f64 {
        if self.lengths.iter().all(|length| *length == 0.0) {
            return 0.0;
        }
        let (mut low, mut high) = (-MOST_TILT, MOST_TILT);
        for _ in 0..50 {
            let middle = f64::midpoint(low, high);
            if self.mean_at(middle) > target {
                low = middle;
            } else {
                high = middle;
            }
        }
        f64::midpoint(low, high)
    }

    /// Inverse CDF at a share from [0, 1).
    #[inline]
    pub fn millis(&self, share: f64) -> f64 {
        let mut at = 0;
        while at + 1 < SEGMENTS && share >= SHARES[at + 1] {
            at += 1;
        }
        let low = self.quantiles[at];
        let length = self.lengths[at];
        if length == 0.0 {
            return low * self.scale;
        }
        let within = (share - SHARES[at]) * PER_SHARE[at];
        let logarithm = if self.tilt.abs() < STRAIGHT {
            within * length
        } else {
            (within * self.growths[at] + 1.0).ln() * self.slope
        };
        (low * logarithm.exp()).min(self.quantiles[at + 1]) * self.scale
    }
}

/// Integral of exp(rate · x) for x from 0 to `length`.
fn growth(rate: f64, length: f64) -> f64 {
    let exponent = rate * length;
    if exponent.abs() < 1e-12 { length } else { length * exponent.exp_m1() / exponent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_an_average_the_inverse_is_log_linear() {
        let law = Law::of([1.0, 2.0, 4.0, 16.0, 32.0, 64.0, 1024.0], None);
        for (at, share) in SHARES.iter().enumerate().take(6) {
            assert!((law.millis(*share) - law.quantiles[at]).abs() < 1e-9);
        }
        // Half-way between shares 0.25 and 0.5: the geometric mean of 4 and 16.
        assert!((law.millis(0.375) - 8.0).abs() < 1e-9);
    }

    #[test]
    fn the_mean_is_the_reported_one_and_the_quantiles_stay() {
        let quantiles = [3.0, 5.0, 40.0, 90.0, 200.0, 3_000.0, 20_000.0];
        let law = Law::of(quantiles, Some(260.0));
        assert!((law.mean() - 260.0).abs() < 1e-6);
        assert!((law.scale - 1.0).abs() < 1e-6);
        let draws = 200_000;
        let sum: f64 =
            (0..draws).map(|at| law.millis((f64::from(at) + 0.5) / f64::from(draws))).sum();
        assert!((sum / f64::from(draws) - 260.0).abs() < 1.0, "{}", sum / f64::from(draws));
        assert!((law.millis(0.5) - 90.0).abs() < 1e-6);
        assert!(law.millis(0.0) >= 3.0 && law.millis(1.0 - 1e-12) <= 20_000.0);
    }

    #[test]
    fn an_average_beyond_the_quantiles_is_reached_all_the_same() {
        let law = Law::of([10.0; 7], Some(25.0));
        assert!((law.mean() - 25.0).abs() < 1e-9);
        assert!((law.millis(0.7) - 25.0).abs() < 1e-9);
    }

    #[test]
    fn odd_quantiles_become_rising_ones() {
        let law = Law::of([0.0, f64::NAN, -3.0, 5.0, 4.0, 6.0, 6.0], None);
        assert!(law.quantiles.windows(2).all(|pair| pair[0] <= pair[1] && pair[0] > 0.0));
    }

    #[test]
    fn a_log_normal_law_has_its_mean() {
        let law = Law::log_normal(100.0, 1.0);
        assert!((law.mean() - 100.0).abs() < 1e-6);
        assert!((law.millis(0.5) - 100.0 * (-0.5_f64).exp()).abs() < 1e-6);
    }
}
