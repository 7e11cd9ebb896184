//! What an event source is told: one explicit structure, nothing left out, no default here.

use crate::ids::FunctionId;
use crate::time::Micros;

/// Settings of one event source; one per epoch in which they differ.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceConfig {
    /// The function version that its batches invoke.
    pub function: FunctionId,
    /// Whether its mapping is enabled.
    pub enabled: bool,
    /// From enabling, or the start of the trace, to the first poll (P14).
    pub start_delay: Micros,
    /// From disabling to the last (P14).
    pub stop_delay: Micros,
    /// Records of a batch at most.
    pub batch_size: u32,
    /// `MaximumBatchingWindowInSeconds`.
    pub window: Micros,
    /// Whether `ReportBatchItemFailures` is on.
    pub report: bool,
    /// Whether a batch takes the longest of its records' durations, not their sum.
    pub longest: bool,
    /// What a batch takes beside its records.
    pub base: Micros,
    /// Size of a record in the event that the function gets.
    pub encoding: Encoding,
    /// How long a record stays; the end of its stay is not part of it (P28).
    pub retention: Micros,
    /// What only its kind has.
    pub kind: KindConfig,
}

/// What only one kind of source has.
#[derive(Clone, Debug, PartialEq)]
pub enum KindConfig {
    /// Kinesis, `DynamoDB` Streams.
    Stream(StreamConfig),
    /// Kafka.
    Kafka(KafkaConfig),
    /// SQS, standard and FIFO.
    Queue(QueueConfig),
}

/// Size of a record within the event (§0.6-8), bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// Whether its data is base64: 4 · ⌈bytes / 3⌉.
    pub base64: bool,
    /// What comes with each record.
    pub each: u64,
    /// Whether its key comes too.
    pub with_key: bool,
}

/// What becomes of batches that fail: streams, and Kafka in provisioned mode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryConfig {
    /// `MaximumRetryAttempts`; nothing for −1.
    pub max_retries: Option<u32>,
    /// `MaximumRecordAgeInSeconds`; nothing for −1.
    pub max_age: Option<Micros>,
    /// Whether age acts at its very moment, not at the next attempt (P11).
    pub age_at_deadline: bool,
    /// `BisectBatchOnFunctionError`.
    pub bisect: bool,
    /// Whether what is discarded goes to a destination.
    pub on_failure: bool,
    /// First wait after a failure; it doubles up to the cap (P4).
    pub retry: Backoff,
    /// The same after a 429 (P5).
    pub throttle: Backoff,
    /// Half the width of the jitter of either, relative to the wait (P6).
    pub jitter: f64,
    /// From the end of one batch to the start of the next (P3).
    pub gap: Micros,
}

/// Waits that double.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first.
    pub base: Micros,
    /// None is longer.
    pub cap: Micros,
}

impl Backoff {
    /// Wait number `place` (0, 1, …).
    pub fn wait(self, place: u32) -> Micros {
        let factor = 1_i64.checked_shl(place).filter(|factor| *factor > 0);
        let wait = factor.and_then(|factor| self.base.0.checked_mul(factor));
        Micros(wait.unwrap_or(i64::MAX).min(self.cap.0))
    }
}

/// Kinesis and `DynamoDB` Streams.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::struct_excessive_bools)] // Each is a setting of its own.
pub struct StreamConfig {
    /// `ParallelizationFactor`.
    pub parallelization_factor: u32,
    /// What becomes of batches that fail.
    pub retries: RetryConfig,
    /// `TumblingWindowInSeconds`.
    pub tumbling_window: Option<Micros>,
    /// From the end of a tumbling window to its final call where nothing more comes (P13).
    pub idle_final: Micros,
    /// Time between two polls of a shard; nothing for enhanced fan-out, which pushes.
    pub poll: Option<Micros>,
    /// Whether each shard polls at a phase of its own, drawn from the seed (P1).
    pub random_phase: bool,
    /// From the arrival of a record until it can be read (P2).
    pub prop_delay: Micros,
    /// Records of one read at most.
    pub read_records: u32,
    /// Bytes of one read at most.
    pub read_bytes: u64,
    /// A shard is not read while so many of its records are on their way (P9).
    pub lookahead: u64,
    /// From the end of the parents to the start of a child (P7).
    pub child_delay: Micros,
    /// Whether a lane that fails holds up the others of its shard (P8).
    pub block_shard: bool,
    /// Whether a batching window starts with its first record, not at the end of the last batch
    /// (P10).
    pub window_from_first: bool,
    /// Whether iterator age is that at the end of a run, not at its start (P25).
    pub age_at_end: bool,
    /// `AT_TIMESTAMP`: older records are never read.
    pub from: Option<Micros>,
    /// Shards at the start of the trace.
    pub shards: u32,
    /// Splits and merges, in order of time; those of one instant in order of the file. The same in
    /// all epochs.
    pub reshards: Vec<Reshard>,
}

/// A change of the shards of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reshard {
    /// When.
    pub at: Micros,
    /// Which shards: one is split in halves, two are merged.
    pub what: Resharding,
}

/// Which shards change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resharding {
    /// Two shards take its place, each with half of its range.
    Split(u32),
    /// One takes the place of both.
    Merge(u32, u32),
}

/// Kafka, `Amazon MSK` or self-managed.
#[derive(Clone, Debug, PartialEq)]
pub struct KafkaConfig {
    /// What becomes of batches that fail; without provisioned pollers there is no limit, no
    /// bisecting and no destination.
    pub retries: RetryConfig,
    /// Partitions.
    pub partitions: u32,
    /// Least and most provisioned pollers; nothing for on-demand mode.
    pub provisioned: Option<(u32, u32)>,
    /// Pollers times this where messages wait (P24).
    pub step_up: u32,
    /// Pollers fewer by this where none wait (P24).
    pub step_down: u32,
    /// Time between two looks (P24).
    pub evaluation: Micros,
    /// From a look to its effect (P24).
    pub effect: Micros,
    /// `AT_TIMESTAMP`: older records are never read.
    pub from: Option<Micros>,
}

/// SQS.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::struct_excessive_bools)] // Each is a setting of its own.
pub struct QueueConfig {
    /// Whether it is a FIFO queue.
    pub fifo: bool,
    /// `VisibilityTimeout` of the queue.
    pub visibility_timeout: Micros,
    /// `maxReceiveCount`, where there is a dead-letter queue.
    pub max_receive_count: Option<u32>,
    /// `MaximumConcurrency`.
    pub maximum_concurrency: Option<u32>,
    /// Least and most provisioned pollers.
    pub provisioned: Option<(u32, u32)>,
    /// Messages of one receive call at most: 10.
    pub receive_messages: u32,
    /// Batches at once without `MaximumConcurrency`: 1,250.
    pub most_batches: u32,
    /// Batches at once when the first message comes (P15): 5.
    pub ramp_start: u32,
    /// Batches more per minute while messages wait (P15): 300.
    pub ramp_per_minute: u32,
    /// Whether these come once a minute, not continuously (P15: `step60`).
    pub ramp_steps: bool,
    /// Idle for so long: back to `ramp_start` (P16).
    pub scale_in: Micros,
    /// Idle for so long: down to 2 (P16).
    pub scale_in_deep: Micros,
    /// First wait of throttle retries within a lease; nothing: none (P17).
    pub throttle_retry: Option<Micros>,
    /// Whether function errors lower concurrency (P18).
    pub backoff: bool,
    /// Whether a receive takes visible messages at random, not oldest first (P19).
    pub receive_random: bool,
    /// From sent to received, where a slot waits (P20).
    pub poll_latency: Micros,
    /// From received to invoked (P20).
    pub invoke_latency: Micros,
    /// Wait with a window and little traffic (P22); nothing: off.
    pub low_traffic_wait: Option<Micros>,
    /// Growth of provisioned concurrency, per minute (P23): 1,000.
    pub provisioned_per_minute: u32,
    /// Invocations of one provisioned poller at once: 10.
    pub invocations_per_poller: u32,
    /// Time-out of the function; nothing where it has none (§0.6-18).
    pub function_timeout: Option<Micros>,
}
