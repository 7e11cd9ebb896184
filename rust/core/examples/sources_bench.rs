//! Event sources in the core alone, on records made in memory.
//!
//! `sources_bench busy [RECORDS SHARDS]`: a stream whose shards all have as much to do as they can;
//! `sources_bench blocked [RECORDS]`: a shard whose first record always fails, and what its backlog
//! takes; `sources_bench idle [SOURCES]`: sources that nothing reaches, over a year, against none;
//! `sources_bench queue|fifo|throttled [MESSAGES]`: a queue whose slots all have as much to do as
//! they can, the same by message group, and one whose function takes nothing.
//! Prints one line of JSON.

// The core has no clock, files or output; this program around it has.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use std::error::Error;
use std::time::Instant;

use lambda_replay_core::Replay;
use lambda_replay_core::batch::{Batch, Extras, Spans};
use lambda_replay_core::config::{
    AccountConfig, Discipline, Epoch, FunctionConfig, IdlePolicy, QueueConfig, ReusePolicy,
    StateConfig,
};
use lambda_replay_core::ids::FunctionId;
use lambda_replay_core::model::rates::WindowShape;
use lambda_replay_core::model::scaling::ScalingMode;
use lambda_replay_core::outcome::{Nobody, OutcomeKind};
use lambda_replay_core::sources::config::{
    Backoff, Encoding, KindConfig, QueueConfig as SqsConfig, RetryConfig, SourceConfig,
    StreamConfig,
};
use lambda_replay_core::time::Micros;

const BATCH_ROWS: usize = 65_536;
const KEYS: u32 = 100_000;
const YEAR: i64 = 365 * 86_400 * Micros::SECOND.0;

/// The plain pool: nothing but the limit and the idle time.
fn account(concurrency: u32, idle_s: i64) -> AccountConfig {
    AccountConfig {
        seed: 0,
        epochs: vec![Epoch {
            at: None,
            concurrency,
            requests_per_second: None,
            rates: false,
            scaling: None,
            reuse: ReusePolicy::Mru,
            destroy_on_reset: false,
            proactive_fraction: 0.0,
            queue: QueueConfig { jitter_half: 0.125, predictive: true, dispatch: Micros::ZERO },
        }],
        idle: IdlePolicy::Fixed(Micros(idle_s * Micros::SECOND.0)),
        reuse: ReusePolicy::Mru,
        max_lifetime: None,
        destroy_on_reset: false,
        proactive_fraction: 0.0,
        aborted_init_billed: false,
        billing_unit: Micros(1_000),
        rate_shape: WindowShape::FixedWindow { window: Micros::SECOND },
        scaling_of_region: false,
        scaling_mode: ScalingMode::Continuous,
        queue: QueueConfig { jitter_half: 0.125, predictive: true, dispatch: Micros::ZERO },
        state: StateConfig {
            discipline: Discipline::Lock,
            by_function: false,
            max_lock_wait: None,
            max_retries: 3,
            backoff: Micros::ZERO,
        },
        faults: Vec::new(),
        until: None,
        time_scale: 1.0,
        load: 1.0,
        free_mb_ms: None,
    }
}

fn function() -> FunctionConfig {
    FunctionConfig {
        duration_factor: 1.0,
        init: Micros::ZERO,
        init_billed: true,
        timeout: None,
        init_timeout: None,
        memory_mb: None,
        default_memory_mb: 128,
        arm: false,
        ephemeral_mb: 512,
        restore: None,
        reserved: None,
        reserved_by_name: false,
        max_event_age: Micros(21_600_000_000),
        max_retries: 2,
        on_failure: false,
        provisioned: Vec::new(),
        provisioned_by_name: false,
        client: None,
        faults: Vec::new(),
    }
}

/// Highest resident set of this process so far, bytes.
fn peak_rss() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

fn stream(shards: u32, retention_s: i64) -> SourceConfig {
    let backoff = Backoff { base: Micros(200_000), cap: Micros(60_000_000) };
    SourceConfig {
        function: FunctionId(0),
        enabled: true,
        start_delay: Micros::ZERO,
        stop_delay: Micros::ZERO,
        batch_size: 100,
        window: Micros::ZERO,
        report: false,
        longest: false,
        base: Micros::ZERO,
        encoding: Encoding { base64: true, each: 600, with_key: true },
        retention: Micros(retention_s * Micros::SECOND.0),
        kind: KindConfig::Stream(StreamConfig {
            parallelization_factor: 1,
            retries: RetryConfig {
                max_retries: None,
                max_age: None,
                age_at_deadline: true,
                bisect: false,
                on_failure: false,
                retry: backoff,
                throttle: backoff,
                jitter: 0.0,
                gap: Micros(20_000),
            },
            tumbling_window: None,
            idle_final: Micros(120_000_000),
            poll: Some(Micros::SECOND),
            random_phase: true,
            prop_delay: Micros::ZERO,
            read_records: 10_000,
            read_bytes: 10_485_760,
            lookahead: 10_000,
            child_delay: Micros(8_000_000),
            block_shard: false,
            window_from_first: false,
            age_at_end: false,
            from: None,
            shards,
            reshards: Vec::new(),
        }),
    }
}

/// AWS's defaults.
fn queue(fifo: bool) -> SourceConfig {
    SourceConfig {
        function: FunctionId(0),
        enabled: true,
        start_delay: Micros::ZERO,
        stop_delay: Micros::ZERO,
        batch_size: 10,
        window: Micros::ZERO,
        report: false,
        longest: false,
        base: Micros::ZERO,
        encoding: Encoding { base64: false, each: 600, with_key: false },
        retention: Micros(4 * 86_400 * Micros::SECOND.0),
        kind: KindConfig::Queue(SqsConfig {
            fifo,
            visibility_timeout: Micros(30 * Micros::SECOND.0),
            max_receive_count: Some(3),
            maximum_concurrency: None,
            provisioned: None,
            receive_messages: 10,
            most_batches: 1_250,
            ramp_start: 5,
            ramp_per_minute: 300,
            ramp_steps: false,
            scale_in: Micros(60 * Micros::SECOND.0),
            scale_in_deep: Micros(900 * Micros::SECOND.0),
            throttle_retry: Some(Micros(3_600_000)),
            backoff: true,
            receive_random: false,
            poll_latency: Micros(12_000),
            invoke_latency: Micros(30_000),
            low_traffic_wait: None,
            provisioned_per_minute: 1_000,
            invocations_per_poller: 10,
            function_timeout: None,
        }),
    }
}

/// A number that looks like any other (`SplitMix64`).
const fn scramble(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ value >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ value >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ value >> 31
}

/// The columns of some records.
struct Columns {
    timestamps: Vec<i64>,
    durations: Vec<i64>,
    keys: Vec<u32>,
    errors: Vec<u8>,
    functions: Vec<u32>,
    sources: Vec<u32>,
    /// Reserved concurrency of the function.
    reserved: Option<u32>,
}

impl Columns {
    /// Records that come `spacing` µs apart; the first fails where `blocked` says so.
    fn new(records: usize, spacing: f64, blocked: bool) -> Self {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Small.
        let at = |place: usize| (place as f64 * spacing) as i64;
        let place = |record: usize| scramble(record as u64);
        let key = |record| u32::try_from(place(record) % u64::from(KEYS)).expect("below KEYS");
        Self {
            timestamps: (0..records).map(at).collect(),
            durations: vec![500; records],
            keys: (0..records).map(key).collect(),
            errors: (0..records).map(|record| u8::from(blocked && record == 0)).collect(),
            functions: vec![0; BATCH_ROWS],
            sources: vec![0; BATCH_ROWS],
            reserved: None,
        }
    }

    fn replay(&self, sources: u32, config: &SourceConfig) -> Result<Replay, Box<dyn Error>> {
        let mut replay = Replay::new(account(10_000, 600), true);
        let function = FunctionConfig { reserved: self.reserved, ..function() };
        replay.add_function("f".to_owned(), vec![(0, function)], None);
        for _ in 0..sources {
            replay.add_source(vec![(0, config.clone())]);
        }
        for key in 0..KEYS {
            let (high, low) = (scramble(u64::from(key)), scramble(u64::from(key) << 32));
            replay.add_key(u128::from(high) << 64 | u128::from(low), 8);
        }
        let rows = self.timestamps.len();
        for start in (0..rows).step_by(BATCH_ROWS) {
            let range = start..rows.min(start + BATCH_ROWS);
            let extras = Extras {
                event_sources: Some(&self.sources[..range.len()]),
                keys: Some(&self.keys[range.clone()]),
                errors: Some(&self.errors[range.clone()]),
                ..Extras::default()
            };
            let batch = Batch {
                timestamps: &self.timestamps[range.clone()],
                functions: &self.functions[..range.len()],
                durations: Spans::Micros(&self.durations[range]),
                inits: None,
                memory: None,
                extras: (sources > 0).then_some(extras),
                codes: None,
                rows: None,
                identities: None,
            };
            replay.feed(&batch, &mut Nobody)?;
        }
        replay.finish(&mut Nobody);
        Ok(replay)
    }
}

/// Processor time of this process so far, seconds: on a machine that others use, too, the clock on
/// the wall says little.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks = |place: usize| fields.get(place)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}

/// Replays and tells how long it took, what it came to and what it used.
fn measure(columns: &Columns, sources: u32, config: &SourceConfig) -> Result<(), Box<dyn Error>> {
    let before = peak_rss().unwrap_or(0);
    let (start, cpu) = (Instant::now(), cpu_seconds().unwrap_or(0.0));
    let replay = columns.replay(sources, config)?;
    let seconds = start.elapsed().as_secs_f64();
    let cpu = cpu_seconds().unwrap_or(0.0) - cpu;
    let (records, totals) = (columns.timestamps.len(), replay.totals());
    println!(
        "{{\"sources\": {sources}, \"records\": {records}, \"seconds\": {seconds:.3}, \
         \"cpu_seconds\": {cpu:.2}, \"records_per_cpu_s\": {:.0}, \"invocations\": {}, \"success\": {}, \"expired\": {}, \
         \"iterator_age_max_s\": {:.3}, \"bytes_per_record\": {:.1}}}",
        records as f64 / cpu.max(0.01),
        totals.counts.invocations,
        totals.outcomes[OutcomeKind::Success as usize],
        totals.outcomes[OutcomeKind::Expired as usize],
        totals.iterator_ages.max.0 as f64 / 1e6,
        peak_rss().unwrap_or(0).saturating_sub(before) as f64 / records as f64,
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize, usual: u32| {
        arguments.get(place).map_or(Ok(usual), |text| text.parse::<u32>())
    };
    match arguments.first().map(String::as_str) {
        Some("busy") => {
            let (records, shards) = (number(1, 10_000_000)?, number(2, 1_000)?);
            // A batch of a hundred takes 50 ms and the gap: 1,428 records a second and shard at most.
            let spacing = 1e6 / (1_400.0 * f64::from(shards));
            measure(&Columns::new(records as usize, spacing, false), 1, &stream(shards, 86_400))
        }
        Some("blocked") => {
            let records = number(1, 10_000_000)?;
            measure(&Columns::new(records as usize, 1_000.0, true), 1, &stream(1, 8_640_000))
        }
        Some(kind @ ("queue" | "fifo" | "throttled")) => {
            let records = number(1, 10_000_000)?;
            let throttled = kind == "throttled";
            let mut columns = Columns::new(records as usize, 100.0, false);
            columns.reserved = throttled.then_some(0);
            measure(&columns, 1, &queue(kind == "fifo"))
        }
        Some("idle") => {
            let columns = Columns::new(1_000, YEAR as f64 / 1_000.0, false);
            measure(&columns, 1, &stream(1, 86_400))?;
            measure(&columns, number(1, 10_000)?, &stream(1, 86_400))
        }
        _ => Err("usage: sources_bench busy|blocked|idle|queue|fifo|throttled [NUMBER…]".into()),
    }
}
