//! The core alone on columns in memory, for `benches/run.py`.
//!
//! `core_bench FILE LIMIT IDLE_S` reads four consecutive little-endian `i64` columns (arrival,
//! function, duration, init), replays them once against the clock with metrics per function and
//! minute and histograms on, and once more, not timed, with outcomes on for the digest: the
//! wrapping sum of `end_us * (row + 1)` over accepted rows. Prints one line of JSON.

// The core has no clock, files or output; this program around it has.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Read};
use std::time::Instant;

use lambda_replay_core::Replay;
use lambda_replay_core::batch::{Batch, Inits, Spans};
use lambda_replay_core::config::{
    AccountConfig, Discipline, Epoch, FunctionConfig, IdlePolicy, QueueConfig, ReusePolicy,
    StateConfig,
};
use lambda_replay_core::model::rates::WindowShape;
use lambda_replay_core::model::scaling::ScalingMode;
use lambda_replay_core::outcome::{Nobody, Outcome, Sink};
use lambda_replay_core::time::Micros;

/// Functions of the trace; all are registered before the first row.
const FUNCTIONS: u32 = 1_000;
const BATCH_ROWS: usize = 65_536;

/// The trace, a column after the other.
struct Columns {
    timestamps: Vec<i64>,
    functions: Vec<u32>,
    durations: Vec<i64>,
    inits: Vec<i64>,
}

impl Columns {
    fn read(path: &str) -> Result<Self, Box<dyn Error>> {
        let file = File::open(path)?;
        let rows = usize::try_from(file.metadata()?.len() / 32)?;
        let mut file = BufReader::with_capacity(1 << 20, file);
        Ok(Self {
            timestamps: read_column(&mut file, rows)?,
            functions: read_column(&mut file, rows)?,
            durations: read_column(&mut file, rows)?,
            inits: read_column(&mut file, rows)?,
        })
    }

    /// Replays all rows; outcomes go to `sink`.
    fn replay<S: Sink>(
        &self,
        account: AccountConfig,
        sink: &mut S,
    ) -> Result<Replay, Box<dyn Error>> {
        let mut replay = Replay::new(account, true);
        for number in 0..FUNCTIONS {
            replay.add_function(format!("f{number}"), vec![(0, function())], None);
        }
        let rows = self.timestamps.len();
        for start in (0..rows).step_by(BATCH_ROWS) {
            let range = start..rows.min(start + BATCH_ROWS);
            let inits = Spans::Micros(&self.inits[range.clone()]);
            let batch = Batch {
                timestamps: &self.timestamps[range.clone()],
                functions: &self.functions[range.clone()],
                durations: Spans::Micros(&self.durations[range]),
                inits: Some(Inits { values: inits, known: None }),
                memory: None,
                extras: None,
                codes: None,
                rows: None,
                identities: None,
            };
            replay.feed(&batch, sink)?;
        }
        replay.finish(sink);
        Ok(replay)
    }
}

fn read_column<T: TryFrom<i64, Error: Error + 'static>>(
    file: &mut impl Read,
    rows: usize,
) -> Result<Vec<T>, Box<dyn Error>> {
    let mut column = Vec::with_capacity(rows);
    let mut bytes = [0; 8];
    for _ in 0..rows {
        file.read_exact(&mut bytes)?;
        column.push(T::try_from(i64::from_le_bytes(bytes))?);
    }
    Ok(column)
}

/// The digest that every full contestant computes.
#[derive(Default)]
struct Digest(u64);

impl Sink for Digest {
    const WANTED: bool = true;

    #[allow(clippy::cast_sign_loss)] // Modulo 2^64.
    fn outcome(&mut self, outcome: &Outcome) {
        if let Some(run) = outcome.run {
            self.0 = self.0.wrapping_add(
                (run.end.map_or(0, |end| end.0) as u64).wrapping_mul(outcome.row + 1),
            );
        }
    }
}

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
        init: Micros::ZERO,
        init_billed: true,
        timeout: None,
        init_timeout: None,
        memory_mb: None,
        duration_factor: 1.0,
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

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, limit, idle_s] = arguments.as_slice() else {
        return Err("usage: core_bench FILE LIMIT IDLE_S".into());
    };
    let account = account(limit.parse()?, idle_s.parse()?);
    let columns = Columns::read(path)?;

    let start = Instant::now();
    let replay = columns.replay(account.clone(), &mut Nobody)?;
    let seconds = start.elapsed().as_secs_f64();

    let totals = replay.totals();
    let peak_rss = peak_rss().unwrap_or(0);
    let mut digest = Digest::default();
    columns.replay(account, &mut digest)?;
    println!(
        "{{\"rows\": {}, \"seconds\": {seconds:.6}, \"throttled\": {}, \"cold\": {}, \"peak\": {}, \
         \"digest\": {}, \"peak_rss\": {peak_rss}}}",
        columns.timestamps.len(),
        totals.counts.throttles,
        totals.counts.cold_starts,
        totals.max_concurrency,
        digest.0,
    );
    Ok(())
}
