//! What is counted beyond the plain pool: errors, waits, provisioned runs, events, and money.
//!
//! Rows are partial: several may be about the same function and minute; sums add up and maxima are
//! the highest. The Region is the sum of its functions.

use crate::histogram::Histogram;
use crate::ids::FunctionId;
use crate::metrics::Minute;
use crate::time::Micros;

/// What one function did in one minute beyond [`crate::metrics::MinuteRow`].
#[derive(Clone, Copy, Debug)]
pub struct ExtraRow {
    /// Whose minute it was.
    pub function: FunctionId,
    /// Start of the minute.
    pub minute: Micros,
    /// What was counted.
    pub extra: Extra,
}

/// Counts of a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Extra {
    /// Runs whose end came after their minute was closed, …
    pub late_invocations: u64,
    /// … those of them that were cold, …
    pub late_cold_starts: u64,
    /// … their `Duration` …
    pub late_duration_sum: Micros,
    /// … and the longest.
    pub late_duration_max: Micros,
    /// Runs that ended in error.
    pub errors: u64,
    /// Time spent waiting for records.
    pub lock_wait_sum: Micros,
    /// Extension time after the answer.
    pub extension_sum: Micros,
    /// The longest.
    pub extension_max: Micros,
    /// Runs on provisioned environments.
    pub provisioned: u64,
    /// Runs on demand because none was free.
    pub spillover: u64,
    /// Samples of provisioned utilisation, and the highest.
    pub utilisation_samples: u64,
    /// The highest share of READY environments busy at a start.
    pub utilisation_max: f64,
    /// Asynchronous events accepted.
    pub received: u64,
    /// Asynchronous events given up.
    pub dropped: u64,
    /// Asynchronous events that ended either way.
    pub dropped_samples: u64,
    /// Attempts of asynchronous events.
    pub ages: u64,
    /// The sum of their ages.
    pub age_sum: Micros,
    /// The oldest.
    pub age_max: Micros,
    /// Batches of streams.
    pub iterator_ages: u64,
    /// The sum of the ages of their last records.
    pub iterator_age_sum: Micros,
    /// The oldest.
    pub iterator_age_max: Micros,
}

/// Rows of all functions until somebody takes them.
#[derive(Debug, Default)]
pub struct ExtraRows {
    rows: Vec<ExtraRow>,
    /// By function: the two rows touched last.
    recent: Vec<[(i64, u32); 2]>,
}

const NOTHING: [(i64, u32); 2] = [(i64::MIN, 0); 2];

impl ExtraRows {
    /// The row of a function for the minute of an instant.
    #[inline]
    pub fn at(&mut self, function: FunctionId, at: Micros) -> &mut Extra {
        let minute = Minute::of(at).start();
        if function.index() >= self.recent.len() {
            self.recent.resize(function.index() + 1, NOTHING);
        }
        let recent = &mut self.recent[function.index()];
        if recent[0].0 != minute.0 {
            recent.swap(0, 1);
            if recent[0].0 != minute.0 {
                let place = u32::try_from(self.rows.len()).expect("rows are taken now and then");
                self.rows.push(ExtraRow { function, minute, extra: Extra::default() });
                recent[0] = (minute.0, place);
            }
        }
        &mut self.rows[recent[0].1 as usize].extra
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes all rows.
    pub fn take(&mut self) -> Vec<ExtraRow> {
        self.recent.clear();
        std::mem::take(&mut self.rows)
    }
}

/// What a function is billed for in one calendar month, of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bill {
    /// Year × 12 + month − 1, UTC.
    pub month: i32,
    /// Whether it ran on Arm.
    pub arm: bool,
    /// Whether the function had provisioned concurrency configured (Z42).
    pub configured: bool,
    /// Whether provisioned environments ran it.
    pub provisioned: bool,
    /// Runs.
    pub requests: u64,
    /// Requests charged for large payloads (Z29).
    pub extra_requests: u64,
    /// Memory × billed time.
    pub mb_ms: u64,
    /// Ephemeral storage above 512 MB × billed time.
    pub storage_mb_ms: u64,
    /// Of `mb_ms`, what the free tier pays (Z42).
    pub free_mb_ms: u64,
}

/// Bills of one function.
#[derive(Clone, Debug, Default)]
pub struct Bills {
    rows: Vec<Bill>,
}

impl Bills {
    /// The bill of a month and kind.
    pub fn of(&mut self, month: i32, arm: bool, configured: bool, provisioned: bool) -> &mut Bill {
        let same = |bill: &Bill| {
            (bill.month, bill.arm, bill.configured, bill.provisioned)
                == (month, arm, configured, provisioned)
        };
        // The one asked for is nearly always among the last few.
        let known = self.rows.iter().rposition(same);
        let place = known.unwrap_or_else(|| {
            self.rows.push(Bill {
                month,
                arm,
                configured,
                provisioned,
                requests: 0,
                extra_requests: 0,
                mb_ms: 0,
                storage_mb_ms: 0,
                free_mb_ms: 0,
            });
            self.rows.len() - 1
        });
        &mut self.rows[place]
    }

    /// All bills.
    pub fn rows(&self) -> &[Bill] {
        &self.rows
    }
}

/// Spans with their exact mean and maximum.
#[derive(Clone, Debug, Default)]
pub struct Distribution {
    /// For percentiles.
    pub histogram: Histogram,
    /// Their sum, µs.
    pub sum: i128,
    /// The longest.
    pub max: Micros,
}

impl Distribution {
    /// Adds one.
    pub fn record(&mut self, value: Micros) {
        self.histogram.record(value);
        self.sum += i128::from(value.0);
        self.max = self.max.max(value);
    }

    /// Adds those of another.
    pub fn merge(&mut self, other: &Self) {
        self.histogram.merge(&other.histogram);
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }
}

/// Calendar month of an instant: year × 12 + month − 1, UTC.
pub fn month_of(at: Micros) -> i32 {
    // Days to civil date: Howard Hinnant, "chrono-compatible low-level date algorithms".
    let days = at.0.div_euclid(86_400_000_000) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    i32::try_from(year * 12 + month - 1).expect("years have four digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn z42_months_are_calendar_months_of_utc() {
        let at = |days: i64| Micros(days * 86_400_000_000);
        assert_eq!(month_of(at(0)), 1970 * 12);
        assert_eq!(month_of(Micros(-1)), 1969 * 12 + 11);
        assert_eq!(month_of(at(31)), 1970 * 12 + 1);
        // 2024-02-29 and the day after.
        assert_eq!(month_of(at(19_782)), 2024 * 12 + 1);
        assert_eq!(month_of(at(19_783)), 2024 * 12 + 2);
    }

    #[test]
    fn rows_of_two_minutes_are_kept_apart() {
        let mut rows = ExtraRows::default();
        let minute = Micros::MINUTE.0;
        for at in [0, minute, 1, minute + 1, 2 * minute, 2] {
            rows.at(FunctionId(3), Micros(at)).errors += 1;
        }
        let taken = rows.take();
        let sum = |start: i64| -> u64 {
            taken.iter().filter(|row| row.minute.0 == start).map(|row| row.extra.errors).sum()
        };
        assert_eq!([sum(0), sum(minute), sum(2 * minute)], [3, 2, 1]);
    }
}
