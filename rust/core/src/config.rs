//! What a replay is told: one explicit structure, nothing left out.
//!
//! Defaults, presets, globs and units are resolved in Python (`scenario/limits.py` is their one
//! home); the core has no default of its own.

use crate::model::client::ClientRetry;
use crate::model::rates::WindowShape;
use crate::model::scaling::ScalingMode;
use crate::time::Micros;

/// Settings of one account in one Region.
#[derive(Clone, Debug)]
pub struct AccountConfig {
    /// Seed of every random draw.
    pub seed: u64,
    /// Limits by epoch: the first from the start, each further one from its change on.
    pub epochs: Vec<Epoch>,
    /// When idle execution environments go (F3.3).
    pub idle: IdlePolicy,
    /// Which idle environment a request gets (Q8); at the moment, as what epochs change.
    pub reuse: ReusePolicy,
    /// How old an execution environment gets (F3.4).
    pub max_lifetime: Option<Span>,
    /// Whether a crash or time-out destroys the environment, or leaves it to be initialised anew in
    /// its next run (F3.5).
    pub destroy_on_reset: bool,
    /// Share of cold starts whose init nobody waits for (F3.6).
    pub proactive_fraction: f64,
    /// Whether an init that ran into its limit is billed (Q12).
    pub aborted_init_billed: bool,
    /// Billed time is a multiple of this: 1 ms, 100 ms before 2020-12 (F7).
    pub billing_unit: Micros,
    /// Shape of the request-rate limits (Q4).
    pub rate_shape: WindowShape,
    /// Whether all functions draw on one scaling bucket (F2.2).
    pub scaling_of_region: bool,
    /// How scaling tokens come back (Q1).
    pub scaling_mode: ScalingMode,
    /// Asynchronous invocation (F5).
    pub queue: QueueConfig,
    /// Shared state.
    pub state: StateConfig,
    /// What goes wrong, when.
    pub faults: Vec<Fault>,
    /// End of the replay, exclusive (Z39).
    pub until: Option<Micros>,
    /// Factor on the distance of arrivals from the first (Z37).
    pub time_scale: f64,
    /// Factor on the traffic (Z38).
    pub load: f64,
    /// MB ms that the free tier pays each month; nothing where nobody asks who gets them (Z42).
    pub free_mb_ms: Option<u64>,
}

impl AccountConfig {
    /// Whether the account's requests may be replayed as those of plain pools.
    pub fn is_plain(&self) -> bool {
        self.epochs.len() == 1
            && self.reuse == ReusePolicy::Mru
            && self.proactive_fraction <= 0.0
            && self.until.is_none()
            && self.time_scale.to_bits() == 1.0_f64.to_bits()
            && self.load.to_bits() == 1.0_f64.to_bits()
            && self.free_mb_ms.is_none()
    }
}

/// Limits of the account that may change while the trace runs.
#[derive(Clone, Copy, Debug)]
pub struct Epoch {
    /// When it begins; nothing for the first.
    pub at: Option<Micros>,
    /// Account concurrency limit, shared by all functions (F1.1).
    pub concurrency: u32,
    /// Requests per second of the account; nothing where there is no such limit.
    pub requests_per_second: Option<u64>,
    /// Whether there are request-rate limits of functions and qualifiers (Q36).
    pub rates: bool,
    /// The scaling rate (F2).
    pub scaling: Option<Scaling>,
    /// Which idle environment a request gets from then on.
    pub reuse: ReusePolicy,
    /// Whether a crash or time-out destroys the environment from then on.
    pub destroy_on_reset: bool,
    /// Share of cold starts whose init nobody waits for from then on.
    pub proactive_fraction: f64,
    /// Asynchronous invocation from then on.
    pub queue: QueueConfig,
}

impl Epoch {
    /// Whether there are limits of rates besides that of concurrency.
    pub const fn is_rated(&self) -> bool {
        self.requests_per_second.is_some() || self.scaling.is_some()
    }
}

/// The scaling rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scaling {
    /// Tokens of a full bucket.
    pub capacity: u64,
    /// So many tokens come back …
    pub refill_tokens: u64,
    /// … in this time.
    pub refill_per: Micros,
    /// Length of a step or of the sliding window.
    pub step: Micros,
    /// Whether warm starts above ten a second and unit take tokens too (Z19).
    pub rps_coupling: bool,
}

/// Asynchronous invocation.
#[derive(Clone, Copy, Debug)]
pub struct QueueConfig {
    /// Half the width of the jitter, relative to the wait (Q21).
    pub jitter_half: f64,
    /// Whether an event is dropped as soon as its next wait would pass its maximum age (F5.5), not
    /// at its deadline (Z27).
    pub predictive: bool,
    /// From acceptance to the first attempt (Q18).
    pub dispatch: Micros,
}

/// Shared state.
#[derive(Clone, Copy, Debug)]
pub struct StateConfig {
    /// What a run does when another has its record.
    pub discipline: Discipline,
    /// Whether keys are a function's own.
    pub by_function: bool,
    /// A run gives up waiting after this time.
    pub max_lock_wait: Option<Micros>,
    /// How often a run starts over.
    pub max_retries: u32,
    /// How long it waits before.
    pub backoff: Micros,
}

/// What a run does when another has its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// It waits inside the run.
    Lock,
    /// It runs to the end and starts over if the record was written meanwhile.
    Optimistic,
    /// It writes a new version: nothing waits.
    Append,
}

/// Something that goes wrong for a while (Z36).
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// First instant.
    pub from: Micros,
    /// First instant after it.
    pub to: Micros,
    /// Factor on the duration.
    pub slow: Option<f64>,
    /// Factor on the init.
    pub init: Option<f64>,
    /// How runs fail.
    pub error: Option<RowError>,
    /// Whether every request is refused.
    pub throttle: bool,
}

/// How a run fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowError {
    /// The handler says so; the environment stays.
    Handled,
    /// The environment is reset.
    Crash,
}

/// Settings of one function.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // Each is a setting of its own.
pub struct FunctionConfig {
    /// Init time of a cold start whose row has none of its own.
    pub init: Micros,
    /// Whether init is billed (F3.7).
    pub init_billed: bool,
    /// Time-out.
    pub timeout: Option<Micros>,
    /// Longest init (Z12).
    pub init_timeout: Option<Micros>,
    /// Memory, where it is the function's own and not the trace's.
    pub memory_mb: Option<u32>,
    /// Memory where neither says anything.
    pub default_memory_mb: u32,
    /// What durations are multiplied by where the memory is not the trace's.
    pub duration_factor: f64,
    /// Whether it runs on Arm.
    pub arm: bool,
    /// Ephemeral storage.
    pub ephemeral_mb: u32,
    /// Restore time of a snapshot, instead of any init (Z54).
    pub restore: Option<Micros>,
    /// Reserved concurrency.
    pub reserved: Option<u32>,
    /// Whether that is said of the function by name: then it holds from the start, else from its
    /// first row on (Z20).
    pub reserved_by_name: bool,
    /// Maximum age of an asynchronous event.
    pub max_event_age: Micros,
    /// Retries of an asynchronous event after function errors.
    pub max_retries: u32,
    /// Whether failed asynchronous events are delivered somewhere.
    pub on_failure: bool,
    /// Provisioned pools.
    pub provisioned: Vec<Provision>,
    /// Whether these are said of the function by name.
    pub provisioned_by_name: bool,
    /// What a client does about a 429.
    pub client: Option<ClientRetry>,
    /// Faults that concern it, by their place in the account's list.
    pub faults: Vec<u32>,
}

impl FunctionConfig {
    /// Whether its requests may be replayed as those of a plain pool.
    pub fn is_plain(&self) -> bool {
        self.timeout.is_none()
            && self.duration_factor.to_bits() == 1.0_f64.to_bits()
            && self.restore.is_none()
            && self.reserved.is_none()
            && self.provisioned.is_empty()
            && self.client.is_none()
            && self.faults.is_empty()
    }

    /// What the duration of a run is multiplied by; `of_row` is the trace's memory, 0 where it does
    /// not know.
    pub fn factor(&self, of_row: u32) -> f64 {
        if self.memory_mb.is_some() || of_row == 0 { self.duration_factor } else { 1.0 }
    }

    /// Memory of a run, MB; `of_row` is the trace's, 0 where it does not know.
    pub fn memory_mb(&self, of_row: u32) -> u32 {
        self.memory_mb.unwrap_or(if of_row == 0 { self.default_memory_mb } else { of_row })
    }
}

/// Provisioned concurrency of one pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provision {
    /// Qualifier whose rows it serves; all rows of the function where there is none.
    pub qualifier: Option<String>,
    /// Size.
    pub initial: u32,
    /// Target tracking.
    pub tracking: Option<TargetTracking>,
    /// Scheduled changes of the bounds: when, minimum, maximum.
    pub schedule: Vec<(Micros, Option<u32>, Option<u32>)>,
}

/// Target tracking of provisioned concurrency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetTracking {
    /// Target utilisation, numerator.
    pub target_num: u64,
    /// Target utilisation, denominator.
    pub target_den: u64,
    /// Smallest size.
    pub min: u32,
    /// Largest size.
    pub max: u32,
}

/// When an idle execution environment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdlePolicy {
    /// Never.
    None,
    /// After this time idle.
    Fixed(Micros),
    /// After a time drawn anew each time it becomes idle (Z5).
    Uniform(Span),
    /// Half of a pool's idle environments, longest idle first, each period (Z4).
    Halving(Micros),
}

/// Which of several idle environments a request gets (Q8, Z6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReusePolicy {
    /// The one that became idle last.
    Mru,
    /// The one that became idle first.
    Lru,
    /// The one created first.
    Fifo,
    /// Any, by the luck of the row.
    Random,
}

/// A closed range of time spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Shortest.
    pub low: Micros,
    /// Longest.
    pub high: Micros,
}
