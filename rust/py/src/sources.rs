//! Event sources: their settings as Python resolves them, and what they come to.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, UInt32Array, UInt64Array};
use lambda_replay_core::engine::sources::UnitRow;
use lambda_replay_core::ids::FunctionId;
use lambda_replay_core::outcome::OutcomeKind;
use lambda_replay_core::request::NO_KEY;
use lambda_replay_core::sources::config::{
    Backoff, Encoding, KafkaConfig, KindConfig, QueueConfig, Reshard, Resharding, RetryConfig,
    SourceConfig, StreamConfig,
};
use lambda_replay_core::sources::figures::{SourceMinute, SourceRow};
use lambda_replay_core::time::Micros;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arrow_out::Table;
use crate::config::either;
use crate::totals::distribution;

/// An event source with its settings by epoch.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct SourceEntry {
    function: u32,
    epochs: Vec<(u32, SourceSettings)>,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct SourceSettings {
    enabled: bool,
    start_delay_us: i64,
    stop_delay_us: i64,
    batch_size: u32,
    window_us: i64,
    report: bool,
    batch_duration: String,
    base_us: i64,
    encoding: (bool, u64, bool),
    retention_us: i64,
    stream: Option<StreamSettings>,
    kafka: Option<KafkaSettings>,
    queue: Option<QueueSettings>,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
#[allow(clippy::struct_excessive_bools)] // Each is a setting of its own.
struct StreamSettings {
    parallelization_factor: u32,
    retries: RetrySettings,
    tumbling_window_us: Option<i64>,
    idle_final_us: i64,
    poll_us: Option<i64>,
    random_phase: bool,
    prop_delay_us: i64,
    read_records: u32,
    read_bytes: u64,
    lookahead: u64,
    child_delay_us: i64,
    block_shard: bool,
    window_from_first: bool,
    age_at_end: bool,
    from_us: Option<i64>,
    shards: u32,
    reshards: Vec<ReshardEntry>,
}

/// When, and (`split` or `merge`, shard, the other one of a merge).
#[derive(FromPyObject)]
struct ReshardEntry(i64, (String, u32, Option<u32>));

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct RetrySettings {
    max_retries: Option<u32>,
    max_age_us: Option<i64>,
    age_at_deadline: bool,
    bisect: bool,
    on_failure: bool,
    retry: (i64, i64),
    throttle: (i64, i64),
    jitter: f64,
    gap_us: i64,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct KafkaSettings {
    retries: RetrySettings,
    partitions: u32,
    provisioned: Option<(u32, u32)>,
    step_up: u32,
    step_down: u32,
    evaluation_us: i64,
    effect_us: i64,
    from_us: Option<i64>,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
#[allow(clippy::struct_excessive_bools)] // Each is a setting of its own.
struct QueueSettings {
    fifo: bool,
    visibility_timeout_us: i64,
    max_receive_count: Option<u32>,
    maximum_concurrency: Option<u32>,
    provisioned: Option<(u32, u32)>,
    receive_messages: u32,
    most_batches: u32,
    ramp_start: u32,
    ramp_per_minute: u32,
    ramp_steps: bool,
    scale_in_us: i64,
    scale_in_deep_us: i64,
    throttle_retry_us: Option<i64>,
    backoff: bool,
    receive_random: bool,
    poll_latency_us: i64,
    invoke_latency_us: i64,
    low_traffic_wait_us: Option<i64>,
    provisioned_per_minute: u32,
    invocations_per_poller: u32,
    function_timeout_us: Option<i64>,
}

impl SourceEntry {
    /// Settings by the number of the epoch that they begin with.
    pub(crate) fn resolve(self) -> PyResult<Vec<(u32, SourceConfig)>> {
        let function = FunctionId(self.function);
        let epochs = self.epochs.into_iter();
        epochs.map(|(epoch, settings)| Ok((epoch, settings.resolve(function)?))).collect()
    }
}

impl SourceSettings {
    fn resolve(self, function: FunctionId) -> PyResult<SourceConfig> {
        let kind = match (self.stream, self.kafka, self.queue) {
            (Some(stream), None, None) => KindConfig::Stream(stream.resolve()?),
            (None, Some(kafka), None) => KindConfig::Kafka(kafka.into()),
            (None, None, Some(queue)) => KindConfig::Queue(queue.into()),
            _ => return Err(PyValueError::new_err("a source is of one kind")),
        };
        let (base64, each, with_key) = self.encoding;
        Ok(SourceConfig {
            function,
            enabled: self.enabled,
            start_delay: Micros(self.start_delay_us),
            stop_delay: Micros(self.stop_delay_us),
            batch_size: self.batch_size,
            window: Micros(self.window_us),
            report: self.report,
            longest: either(&self.batch_duration, [("sum", false), ("max", true)])?,
            base: Micros(self.base_us),
            encoding: Encoding { base64, each, with_key },
            retention: Micros(self.retention_us),
            kind,
        })
    }
}

impl StreamSettings {
    fn resolve(self) -> PyResult<StreamConfig> {
        let reshards = self.reshards.into_iter().map(|ReshardEntry(at, (what, shard, other))| {
            let what = match (what.as_str(), other) {
                ("split", None) => Resharding::Split(shard),
                ("merge", Some(other)) => Resharding::Merge(shard, other),
                _ => return Err(PyValueError::new_err("shards split or merge")),
            };
            Ok(Reshard { at: Micros(at), what })
        });
        Ok(StreamConfig {
            parallelization_factor: self.parallelization_factor,
            retries: self.retries.into(),
            tumbling_window: self.tumbling_window_us.map(Micros),
            idle_final: Micros(self.idle_final_us),
            poll: self.poll_us.map(Micros),
            random_phase: self.random_phase,
            prop_delay: Micros(self.prop_delay_us),
            read_records: self.read_records,
            read_bytes: self.read_bytes,
            lookahead: self.lookahead,
            child_delay: Micros(self.child_delay_us),
            block_shard: self.block_shard,
            window_from_first: self.window_from_first,
            age_at_end: self.age_at_end,
            from: self.from_us.map(Micros),
            shards: self.shards,
            reshards: reshards.collect::<PyResult<_>>()?,
        })
    }
}

impl From<RetrySettings> for RetryConfig {
    fn from(settings: RetrySettings) -> Self {
        let backoff = |(base, cap): (i64, i64)| Backoff { base: Micros(base), cap: Micros(cap) };
        Self {
            max_retries: settings.max_retries,
            max_age: settings.max_age_us.map(Micros),
            age_at_deadline: settings.age_at_deadline,
            bisect: settings.bisect,
            on_failure: settings.on_failure,
            retry: backoff(settings.retry),
            throttle: backoff(settings.throttle),
            jitter: settings.jitter,
            gap: Micros(settings.gap_us),
        }
    }
}

impl From<KafkaSettings> for KafkaConfig {
    fn from(settings: KafkaSettings) -> Self {
        Self {
            retries: settings.retries.into(),
            partitions: settings.partitions,
            provisioned: settings.provisioned,
            step_up: settings.step_up,
            step_down: settings.step_down,
            evaluation: Micros(settings.evaluation_us),
            effect: Micros(settings.effect_us),
            from: settings.from_us.map(Micros),
        }
    }
}

impl From<QueueSettings> for QueueConfig {
    fn from(settings: QueueSettings) -> Self {
        Self {
            fifo: settings.fifo,
            visibility_timeout: Micros(settings.visibility_timeout_us),
            max_receive_count: settings.max_receive_count,
            maximum_concurrency: settings.maximum_concurrency,
            provisioned: settings.provisioned,
            receive_messages: settings.receive_messages,
            most_batches: settings.most_batches,
            ramp_start: settings.ramp_start,
            ramp_per_minute: settings.ramp_per_minute,
            ramp_steps: settings.ramp_steps,
            scale_in: Micros(settings.scale_in_us),
            scale_in_deep: Micros(settings.scale_in_deep_us),
            throttle_retry: settings.throttle_retry_us.map(Micros),
            backoff: settings.backoff,
            receive_random: settings.receive_random,
            poll_latency: Micros(settings.poll_latency_us),
            invoke_latency: Micros(settings.invoke_latency_us),
            low_traffic_wait: settings.low_traffic_wait_us.map(Micros),
            provisioned_per_minute: settings.provisioned_per_minute,
            invocations_per_poller: settings.invocations_per_poller,
            function_timeout: settings.function_timeout_us.map(Micros),
        }
    }
}

/// What was counted by source and minute: partial rows.
pub(crate) fn source_minutes_table(rows: &[SourceRow]) -> PyResult<Table> {
    let count = |value: fn(&SourceMinute) -> u64| -> ArrayRef {
        Arc::new(rows.iter().map(|row| value(&row.counts)).collect::<UInt64Array>())
    };
    let span = |value: fn(&SourceMinute) -> Micros| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(value(&row.counts).0)).collect::<Int64Array>())
    };
    let minutes = rows.iter().map(|row| Some(row.minute.0)).collect::<Int64Array>();
    let sources = rows.iter().map(|row| Some(row.source)).collect::<UInt32Array>();
    Table::new(vec![
        ("timestamp", Arc::new(minutes)),
        ("source", Arc::new(sources)),
        ("polled", count(|counts| counts.polled)),
        ("filtered", count(|counts| counts.filtered)),
        ("invoked", count(|counts| counts.invoked)),
        ("failed", count(|counts| counts.failed)),
        ("deleted", count(|counts| counts.deleted)),
        ("dropped", count(|counts| counts.dropped)),
        ("delivered", count(|counts| counts.delivered)),
        ("committed", count(|counts| counts.committed)),
        ("invoke_errors", count(|counts| counts.invoke_errors)),
        ("iterator_ages", count(|counts| counts.iterator_ages)),
        ("iterator_age_max_us", span(|counts| counts.iterator_age_max)),
        ("backlog_max", count(|counts| counts.backlog_max)),
        ("visible_max", count(|counts| counts.visible_max)),
        ("oldest_age_max_us", span(|counts| counts.oldest_age_max)),
        ("offset_lag_max", count(|counts| counts.offset_lag_max)),
        ("offset_lag_sum", count(|counts| counts.offset_lag_sum)),
        ("pollers_max", count(|counts| counts.pollers_max)),
        ("units_us", count(|counts| counts.units_us)),
    ])
}

/// What each shard, partition, message group or queue came to.
pub(crate) fn source_units_table(rows: &[UnitRow]) -> PyResult<Table> {
    let count = |value: &dyn Fn(&UnitRow) -> u64| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<UInt64Array>())
    };
    let number = |value: &dyn Fn(&UnitRow) -> Option<u32>| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<UInt32Array>())
    };
    let span = |value: &dyn Fn(&UnitRow) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<Int64Array>())
    };
    let known = |key: u32| (key != NO_KEY).then_some(key);
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("source".to_owned(), number(&|row| Some(row.source))),
        ("unit".to_owned(), number(&|row| Some(row.unit))),
        ("group".to_owned(), number(&|row| known(row.figures.group))),
        ("records".to_owned(), count(&|row| row.figures.outcomes.iter().sum())),
    ];
    for (place, outcome) in OutcomeKind::NAMES.iter().enumerate() {
        columns.push(((*outcome).to_owned(), count(&|row| row.figures.outcomes[place])));
    }
    let drained = |row: &UnitRow| {
        let figures = &row.figures;
        let settled = figures.last_settled > Micros::MIN && row.level.last_arrival > Micros::MIN;
        settled.then(|| (figures.last_settled.0 - row.level.last_arrival.0).max(0))
    };
    columns.extend([
        ("never_ran".to_owned(), count(&|row| row.figures.never_ran)),
        ("receives".to_owned(), count(&|row| row.figures.receives)),
        ("delivered".to_owned(), count(&|row| row.figures.delivered)),
        ("documents".to_owned(), count(&|row| row.figures.documents)),
        ("blocked_us".to_owned(), span(&|row| Some(row.figures.blocked.0))),
        ("backlog_peak".to_owned(), count(&|row| row.level.peak)),
        ("drain_us".to_owned(), span(&drained)),
        ("busiest_key".to_owned(), number(&|row| row.busiest.and_then(|(key, _)| known(key)))),
        (
            "busiest_count".to_owned(),
            count(&|row| row.busiest.map_or(0, |(_, count)| u64::from(count))),
        ),
        ("age_count".to_owned(), count(&|row| row.figures.ages.histogram.count())),
    ]);
    let ages: Vec<_> = rows.iter().map(|row| &row.figures.ages).collect();
    for (name, array) in distribution(&ages) {
        columns.push((format!("age_{name}_ms"), array));
    }
    Table::new(columns.iter().map(|(name, array)| (name.as_str(), array.clone())).collect())
}
