//! Totals and minutes as columns.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, UInt32Array, UInt64Array};
use lambda_replay_core::blame::BlameRow;
use lambda_replay_core::ids::FunctionId;
use lambda_replay_core::meters::{Bill, Distribution, Extra, ExtraRow};
use lambda_replay_core::metrics::{MinuteRow, Totals};
use lambda_replay_core::model::concurrency::Limit;
use lambda_replay_core::model::state_keys::KeyStatistics;
use lambda_replay_core::outcome::{OutcomeKind, Reason, Spillover};
use lambda_replay_core::time::Micros;
use pyo3::PyResult;

use crate::arrow_out::{Table, millis};

/// Shares reported as percentiles, in thousandths, with their names.
const PERMILLES: [(&str, u64); 4] = [("p50", 500), ("p90", 900), ("p99", 990), ("p999", 999)];
/// The same of concurrency over time.
const LEVEL_PERMILLES: [(&str, u64); 3] = [("p50", 500), ("p99", 990), ("p999", 999)];

/// A row per function (in order of registration) or one for all together.
pub(crate) fn totals_table(totals: &[Totals]) -> PyResult<Table> {
    let count = |value: fn(&Totals) -> u64| -> ArrayRef {
        Arc::new(totals.iter().map(value).collect::<UInt64Array>())
    };
    let instant = |value: fn(&Totals) -> Option<i64>| -> ArrayRef {
        Arc::new(totals.iter().map(value).collect::<Int64Array>())
    };
    let mut names: Vec<String> = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    let mut add = |name: &str, array: ArrayRef| {
        names.push(name.to_owned());
        arrays.push(array);
    };
    add("invocations", count(|totals| totals.counts.invocations));
    add("throttles", count(|totals| totals.counts.throttles));
    add("cold_starts", count(|totals| totals.counts.cold_starts));
    add("environments_created", count(|totals| totals.environments_created));
    add("max_concurrency", count(|totals| u64::from(totals.max_concurrency)));
    add("billed_ms", count(|totals| totals.counts.billed_ms));
    let init = totals.iter().map(|totals| totals.init_sum.0 as f64 / 1e6);
    add("init_s", Arc::new(init.collect::<Float64Array>()));
    add("worst_10s_from", instant(|totals| totals.worst_10s.map(|(from, _)| from.0)));
    add(
        "worst_10s_throttles",
        count(|totals| totals.worst_10s.map_or(0, |(_, throttles)| throttles)),
    );
    for (place, limit) in Limit::ALL.iter().enumerate() {
        let throttles = totals.iter().map(|totals| totals.throttles_by_limit[place]);
        add(&format!("throttles_{}", limit.name()), Arc::new(throttles.collect::<UInt64Array>()));
    }
    let mean = totals.iter().map(|totals| mean_level(&totals.time_at));
    add("time_at_peak", count(|totals| totals.time_at.len() as u64 - 1));
    add("time_at_peak_us", count(|totals| totals.time_at.last().copied().unwrap_or(0)));
    add("concurrency_mean", Arc::new(mean.collect::<Float64Array>()));
    for (name, permille) in LEVEL_PERMILLES {
        let levels = totals.iter().map(|totals| level_at(&totals.time_at, permille));
        add(&format!("concurrency_{name}"), Arc::new(levels.collect::<UInt64Array>()));
    }
    let mean = totals.iter().map(|totals| {
        let counts = &totals.counts;
        let runs = (counts.invocations > 0).then_some(counts.invocations as f64);
        runs.map(|runs| counts.duration_sum.0 as f64 / 1_000.0 / runs)
    });
    add("duration_mean_ms", Arc::new(mean.collect::<Float64Array>()));
    for (name, permille) in PERMILLES {
        let spans = totals.iter().map(|totals| totals.durations.percentile(permille));
        let spans = spans.map(|span| span.map(|span| span.0 as f64 / 1_000.0));
        add(&format!("duration_{name}_ms"), Arc::new(spans.collect::<Float64Array>()));
    }
    let max = totals.iter().map(|totals| {
        let ran = totals.counts.invocations > 0;
        ran.then_some(totals.counts.duration_max.0 as f64 / 1_000.0)
    });
    add("duration_max_ms", Arc::new(max.collect::<Float64Array>()));
    for (place, outcome) in OutcomeKind::NAMES.iter().enumerate() {
        let rows = totals.iter().map(|totals| totals.outcomes[place]);
        add(outcome, Arc::new(rows.collect::<UInt64Array>()));
    }
    add("never_ran", count(|totals| totals.never_ran));
    add("errors", count(|totals| totals.errors));
    add("conflicts", count(|totals| totals.conflicts));
    let waited = totals.iter().map(|totals| totals.lock_wait as f64 / 1e6);
    add("lock_wait_s", Arc::new(waited.collect::<Float64Array>()));
    add("provisioned_invocations", count(|totals| totals.provisioned));
    add("spillover_invocations", count(|totals| totals.spillover.iter().sum()));
    for (place, reason) in Spillover::COUNTED.iter().enumerate() {
        let runs = totals.iter().map(|totals| totals.spillover[place]);
        let name = format!("spillover_{}", Spillover::NAMES[*reason as usize]);
        add(&name, Arc::new(runs.collect::<UInt64Array>()));
    }
    for (place, reason) in Reason::OF_DROPS.iter().enumerate() {
        let events = totals.iter().map(|totals| totals.drops[place]);
        let name = format!("dropped_{}", Reason::NAMES[*reason as usize]);
        add(&name, Arc::new(events.collect::<UInt64Array>()));
    }
    add("deliveries", count(|totals| totals.deliveries));
    add("async_error", count(|totals| totals.async_errors));
    for (name, values) in [
        ("wait", totals.iter().map(|totals| &totals.waits).collect::<Vec<_>>()),
        ("async_age", totals.iter().map(|totals| &totals.ages).collect()),
        ("iterator_age", totals.iter().map(|totals| &totals.iterator_ages).collect()),
    ] {
        for (column, array) in distribution(&values) {
            add(&format!("{name}_{column}_ms"), array);
        }
    }
    Table::new(names.iter().map(String::as_str).zip(arrays).collect())
}

/// Mean, percentiles and maximum of each, ms; null where there is nothing.
pub(crate) fn distribution(values: &[&Distribution]) -> Vec<(&'static str, ArrayRef)> {
    let column = |value: &dyn Fn(&Distribution) -> f64| -> ArrayRef {
        let known = |one: &&Distribution| (one.histogram.count() > 0).then(|| value(one));
        Arc::new(values.iter().map(known).collect::<Float64Array>())
    };
    let mut columns = vec![
        ("mean", column(&|one| one.sum as f64 / 1_000.0 / one.histogram.count() as f64)),
        ("max", column(&|one| one.max.0 as f64 / 1_000.0)),
    ];
    for (name, permille) in PERMILLES {
        let of = |one: &Distribution| {
            one.histogram.percentile(permille).map_or(0.0, |span| span.0 as f64 / 1_000.0)
        };
        columns.push((name, column(&of)));
    }
    columns
}

/// What was counted beyond the minutes: partial rows by function and minute.
pub(crate) fn extras_table(rows: &[ExtraRow]) -> PyResult<Table> {
    let count = |value: fn(&Extra) -> u64| -> ArrayRef {
        Arc::new(rows.iter().map(|row| value(&row.extra)).collect::<UInt64Array>())
    };
    // Microseconds: these are added up before they become a unit of people's.
    let span = |value: fn(&Extra) -> Micros| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(value(&row.extra).0)).collect::<Int64Array>())
    };
    let minutes = rows.iter().map(|row| Some(row.minute.0)).collect::<Int64Array>();
    let functions = rows.iter().map(|row| Some(row.function.0)).collect::<UInt32Array>();
    let shares = rows.iter().map(|row| Some(row.extra.utilisation_max)).collect::<Float64Array>();
    Table::new(vec![
        ("timestamp", Arc::new(minutes)),
        ("function", Arc::new(functions)),
        ("late_invocations", count(|extra| extra.late_invocations)),
        ("late_cold_starts", count(|extra| extra.late_cold_starts)),
        ("late_duration_us", span(|extra| extra.late_duration_sum)),
        ("late_duration_max_us", span(|extra| extra.late_duration_max)),
        ("errors", count(|extra| extra.errors)),
        ("lock_wait_us", span(|extra| extra.lock_wait_sum)),
        ("extension_us", span(|extra| extra.extension_sum)),
        ("extension_max_us", span(|extra| extra.extension_max)),
        ("provisioned", count(|extra| extra.provisioned)),
        ("spillover", count(|extra| extra.spillover)),
        ("utilisation_samples", count(|extra| extra.utilisation_samples)),
        ("utilisation_max", Arc::new(shares)),
        ("received", count(|extra| extra.received)),
        ("dropped", count(|extra| extra.dropped)),
        ("dropped_samples", count(|extra| extra.dropped_samples)),
        ("ages", count(|extra| extra.ages)),
        ("age_us", span(|extra| extra.age_sum)),
        ("age_max_us", span(|extra| extra.age_max)),
        ("iterator_ages", count(|extra| extra.iterator_ages)),
        ("iterator_age_us", span(|extra| extra.iterator_age_sum)),
        ("iterator_age_max_us", span(|extra| extra.iterator_age_max)),
    ])
}

/// What each function is billed for, by month and kind.
pub(crate) fn bills_table(bills: &[(u32, Bill)]) -> PyResult<Table> {
    let count = |value: fn(&Bill) -> u64| -> ArrayRef {
        Arc::new(bills.iter().map(|(_, bill)| value(bill)).collect::<UInt64Array>())
    };
    let flag = |value: fn(&Bill) -> bool| -> ArrayRef {
        Arc::new(BooleanArray::from(bills.iter().map(|(_, bill)| value(bill)).collect::<Vec<_>>()))
    };
    let functions = bills.iter().map(|(function, _)| Some(*function)).collect::<UInt32Array>();
    let months = bills.iter().map(|(_, bill)| Some(i64::from(bill.month))).collect::<Int64Array>();
    Table::new(vec![
        ("function", Arc::new(functions)),
        ("month", Arc::new(months)),
        ("arm", flag(|bill| bill.arm)),
        ("configured", flag(|bill| bill.configured)),
        ("provisioned", flag(|bill| bill.provisioned)),
        ("requests", count(|bill| bill.requests)),
        ("extra_requests", count(|bill| bill.extra_requests)),
        ("mb_ms", count(|bill| bill.mb_ms)),
        ("storage_mb_ms", count(|bill| bill.storage_mb_ms)),
        ("free_mb_ms", count(|bill| bill.free_mb_ms)),
    ])
}

/// The hottest shared records.
pub(crate) fn keys_table(keys: &[(Option<FunctionId>, u32, KeyStatistics)]) -> PyResult<Table> {
    let count = |value: fn(&KeyStatistics) -> u64| -> ArrayRef {
        Arc::new(keys.iter().map(|(.., key)| value(key)).collect::<UInt64Array>())
    };
    let span = |value: fn(&KeyStatistics) -> Micros| -> ArrayRef {
        let micros: Vec<i64> = keys.iter().map(|(.., key)| value(key).0).collect();
        Arc::new(millis(&micros, None))
    };
    let numbers = keys.iter().map(|(_, key, _)| Some(*key)).collect::<UInt32Array>();
    let functions = keys.iter().map(|(function, ..)| function.map(|function| function.0));
    Table::new(vec![
        ("key", Arc::new(numbers)),
        ("function", Arc::new(functions.collect::<UInt32Array>())),
        ("runs", count(|key| key.runs)),
        ("writers", count(|key| key.writers)),
        ("waits", count(|key| key.waits)),
        ("wait_ms", span(|key| key.total_wait)),
        ("longest_wait_ms", span(|key| key.longest_wait)),
        ("longest_queue", count(|key| u64::from(key.longest_queue))),
        ("longest_chain", count(|key| u64::from(key.longest_chain))),
        ("time_outs", count(|key| key.time_outs)),
        ("conflicts", count(|key| key.conflicts)),
        ("wait_billed_ms", count(|key| key.wait_billed_ms)),
        ("mb_ms_0", count(|key| key.wait_billed_mb_ms[0])),
        ("mb_ms_1", count(|key| key.wait_billed_mb_ms[1])),
        ("mb_ms_2", count(|key| key.wait_billed_mb_ms[2])),
        ("mb_ms_3", count(|key| key.wait_billed_mb_ms[3])),
    ])
}

/// A row per victim, limit and holder; sums are of units at each refusal.
pub(crate) fn blame_table(rows: &[BlameRow]) -> PyResult<Table> {
    let count = |value: fn(&BlameRow) -> u64| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<UInt64Array>())
    };
    let instant = |value: fn(&BlameRow) -> Micros| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(value(row).0)).collect::<Int64Array>())
    };
    let victims = rows.iter().map(|row| Some(row.victim.0)).collect::<UInt32Array>();
    let limits = rows.iter().map(|row| Some(row.limit as u32)).collect::<UInt32Array>();
    let holders = rows.iter().map(|row| row.holder.map(|holder| holder.0));
    Table::new(vec![
        ("victim", Arc::new(victims)),
        ("limit", Arc::new(limits)),
        ("holder", Arc::new(holders.collect::<UInt32Array>())),
        ("throttles", count(|row| row.throttles)),
        ("held_sum", count(|row| row.held.sum)),
        ("held_max", count(|row| u64::from(row.held.max))),
        ("waiting_sum", count(|row| row.held.waiting_sum)),
        ("waiting_max", count(|row| u64::from(row.held.waiting_max))),
        ("first", instant(|row| row.first)),
        ("last", instant(|row| row.last)),
    ])
}

/// A row per function and minute; `function` is null for the Region.
pub(crate) fn minutes_table(rows: &[MinuteRow]) -> PyResult<Table> {
    let count = |value: fn(&MinuteRow) -> u64| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<UInt64Array>())
    };
    let span = |value: fn(&MinuteRow) -> Micros| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(value(row).0)).collect::<Int64Array>())
    };
    let minutes = rows.iter().map(|row| Some(row.minute.0)).collect::<Int64Array>();
    let functions = rows.iter().map(|row| row.function.map(|function| function.0));
    Table::new(vec![
        ("timestamp", Arc::new(minutes)),
        ("function", Arc::new(functions.collect::<UInt32Array>())),
        ("invocations", count(|row| row.counts.invocations)),
        ("throttles", count(|row| row.counts.throttles)),
        ("cold_starts", count(|row| row.counts.cold_starts)),
        ("duration_us", span(|row| row.counts.duration_sum)),
        ("duration_max_us", span(|row| row.counts.duration_max)),
        ("concurrency", count(|row| u64::from(row.concurrency))),
        ("environments", count(|row| u64::from(row.environments))),
        ("provisioned_concurrency", count(|row| u64::from(row.provisioned))),
        ("unreserved", count(|row| u64::from(row.unreserved))),
        ("claimed", count(|row| u64::from(row.claimed))),
    ])
}

/// Mean level over time; 0 for an empty span (Z47).
fn mean_level(time_at: &[u64]) -> f64 {
    let span: u128 = time_at.iter().map(|time| u128::from(*time)).sum();
    let area: u128 = (0_u128..).zip(time_at).map(|(level, time)| level * u128::from(*time)).sum();
    if span == 0 { 0.0 } else { area as f64 / span as f64 }
}

/// The smallest level with a cumulative share of the time of at least `permille` / 1000.
fn level_at(time_at: &[u64], permille: u64) -> u64 {
    let span: u128 = time_at.iter().map(|time| u128::from(*time)).sum();
    let mut seen = 0_u128;
    let reached = time_at.iter().position(|time| {
        seen += u128::from(*time);
        seen * 1000 >= span * u128::from(permille)
    });
    reached.unwrap_or(0) as u64
}
