//! Settings as Python resolves them.

use lambda_replay_core::config::{
    AccountConfig, Discipline, Epoch, Fault, FunctionConfig, IdlePolicy, Provision, QueueConfig,
    ReusePolicy, RowError, Scaling, Span, StateConfig, TargetTracking,
};
use lambda_replay_core::model::client::ClientRetry;
use lambda_replay_core::model::rates::WindowShape;
use lambda_replay_core::model::scaling::ScalingMode;
use lambda_replay_core::time::Micros;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// `Resolved.core_epochs()` of `lambda_replay.scenario`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Account<'py> {
    seed: u64,
    billing_unit_us: i64,
    idle: Bound<'py, PyTuple>,
    max_lifetime_us: Option<(i64, i64)>,
    aborted_init_billed: bool,
    rps_mode: String,
    rps_window_us: i64,
    scaling_scope: String,
    scaling_mode: String,
    discipline: Option<String>,
    state_scope: String,
    max_lock_wait_us: Option<i64>,
    max_retries: u32,
    backoff_us: i64,
    until_us: Option<i64>,
    time_scale: f64,
    load: f64,
    limits: Vec<(Option<i64>, Limits)>,
    faults: Vec<FaultEntry>,
    free_mb_ms: Option<u64>,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Limits {
    concurrency: u32,
    rps: Option<u64>,
    rps_on: bool,
    scaling: Option<ScalingEntry>,
    reuse: String,
    error_reset: String,
    proactive_fraction: f64,
    jitter_half: f64,
    expiry: String,
    dispatch_us: i64,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct ScalingEntry {
    capacity: u64,
    refill: (u64, i64),
    step_us: i64,
    rps_coupling: bool,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct FaultEntry {
    from_us: i64,
    to_us: i64,
    slow: Option<f64>,
    init: Option<f64>,
    error: Option<String>,
    throttle: bool,
}

/// One of two words.
pub(crate) fn either<T>(value: &str, choices: [(&str, T); 2]) -> PyResult<T> {
    let known = choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" or ");
    let found = choices.into_iter().find(|(name, _)| *name == value);
    found
        .map(|(_, choice)| choice)
        .ok_or_else(|| PyValueError::new_err(format!("{value} is not {known}")))
}

impl Account<'_> {
    pub(crate) fn resolve(self) -> PyResult<AccountConfig> {
        let idle = self.idle()?;
        let epochs = self.limits.iter().map(|(at, limits)| epoch(*at, limits));
        let epochs = epochs.collect::<PyResult<Vec<_>>>()?;
        let first = *epochs.first().ok_or_else(|| PyValueError::new_err("no epoch"))?;
        let window = WindowShape::FixedWindow { window: Micros(self.rps_window_us) };
        let scaling_mode = match self.scaling_mode.as_str() {
            "continuous" => ScalingMode::Continuous,
            "step" => ScalingMode::Step,
            "sliding" => ScalingMode::Sliding,
            other => return Err(PyValueError::new_err(format!("no scaling mode is {other}"))),
        };
        let discipline = match self.discipline.as_deref() {
            None | Some("lock") => Discipline::Lock,
            Some("optimistic") => Discipline::Optimistic,
            Some("append") => Discipline::Append,
            Some(other) => {
                return Err(PyValueError::new_err(format!("no discipline is {other}")));
            }
        };
        Ok(AccountConfig {
            seed: self.seed,
            epochs,
            idle,
            reuse: first.reuse,
            max_lifetime: self
                .max_lifetime_us
                .map(|(low, high)| Span { low: Micros(low), high: Micros(high) }),
            destroy_on_reset: first.destroy_on_reset,
            proactive_fraction: first.proactive_fraction,
            aborted_init_billed: self.aborted_init_billed,
            billing_unit: Micros(self.billing_unit_us),
            rate_shape: either(
                &self.rps_mode,
                [("fixed_window", window), ("token_bucket", WindowShape::TokenBucket)],
            )?,
            scaling_of_region: either(
                &self.scaling_scope,
                [("function", false), ("region", true)],
            )?,
            scaling_mode,
            queue: first.queue,
            state: StateConfig {
                discipline,
                by_function: either(&self.state_scope, [("account", false), ("function", true)])?,
                max_lock_wait: self.max_lock_wait_us.map(Micros),
                max_retries: self.max_retries,
                backoff: Micros(self.backoff_us),
            },
            faults: self.faults.iter().map(fault).collect::<PyResult<_>>()?,
            until: self.until_us.map(Micros),
            time_scale: self.time_scale,
            load: self.load,
            free_mb_ms: self.free_mb_ms,
        })
    }

    fn idle(&self) -> PyResult<IdlePolicy> {
        let item = |place| self.idle.get_item(place);
        let span = |place| -> PyResult<Micros> { Ok(Micros(item(place)?.extract()?)) };
        Ok(match item(0)?.extract::<String>()?.as_str() {
            "none" => IdlePolicy::None,
            "fixed" => IdlePolicy::Fixed(span(1)?),
            "halving" => IdlePolicy::Halving(span(1)?),
            "uniform" => IdlePolicy::Uniform(Span { low: span(1)?, high: span(2)? }),
            other => {
                return Err(PyValueError::new_err(format!("no idle policy is called {other}")));
            }
        })
    }
}

fn epoch(at: Option<i64>, limits: &Limits) -> PyResult<Epoch> {
    let reuse = match limits.reuse.as_str() {
        "mru" => ReusePolicy::Mru,
        "lru" => ReusePolicy::Lru,
        "fifo" => ReusePolicy::Fifo,
        "random" => ReusePolicy::Random,
        other => return Err(PyValueError::new_err(format!("no reuse policy is {other}"))),
    };
    let resets = [("suppressed_init", false), ("destroy", true)];
    let expiries = [("predictive", true), ("deadline", false)];
    Ok(Epoch {
        at: at.map(Micros),
        concurrency: limits.concurrency,
        requests_per_second: limits.rps.filter(|_| limits.rps_on),
        rates: limits.rps_on,
        scaling: limits.scaling.as_ref().map(|scaling| Scaling {
            capacity: scaling.capacity,
            refill_tokens: scaling.refill.0,
            refill_per: Micros(scaling.refill.1),
            step: Micros(scaling.step_us),
            rps_coupling: scaling.rps_coupling,
        }),
        reuse,
        destroy_on_reset: either(&limits.error_reset, resets)?,
        proactive_fraction: limits.proactive_fraction,
        queue: QueueConfig {
            jitter_half: limits.jitter_half,
            predictive: either(&limits.expiry, expiries)?,
            dispatch: Micros(limits.dispatch_us),
        },
    })
}

fn fault(entry: &FaultEntry) -> PyResult<Fault> {
    let error = entry
        .error
        .as_deref()
        .map(|error| either(error, [("handled", RowError::Handled), ("crash", RowError::Crash)]));
    Ok(Fault {
        from: Micros(entry.from_us),
        to: Micros(entry.to_us),
        slow: entry.slow,
        init: entry.init,
        error: error.transpose()?,
        throttle: entry.throttle,
    })
}

/// An entry of `ResolvedFunction.core_epochs()` of `lambda_replay.scenario`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
#[allow(clippy::struct_excessive_bools)] // Each is a setting of its own.
pub(crate) struct Function {
    init_us: i64,
    init_billed: bool,
    timeout_us: Option<i64>,
    init_timeout_us: Option<i64>,
    memory_mb: Option<u32>,
    default_memory_mb: u32,
    duration_factor: f64,
    arm: bool,
    ephemeral_mb: u32,
    restore_us: Option<i64>,
    reserved: Option<u32>,
    reserved_by_name: bool,
    max_event_age_us: i64,
    max_retries: u32,
    on_failure: Option<String>,
    provisioned: Vec<ProvisionEntry>,
    provisioned_by_name: bool,
    client: Option<Client>,
    faults: Vec<u32>,
}

#[derive(FromPyObject)]
struct ProvisionEntry(
    Option<String>,
    u32,
    Option<TrackingEntry>,
    Vec<(i64, Option<u32>, Option<u32>)>,
);

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct TrackingEntry {
    target: (u64, u64),
    min: u32,
    max: u32,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Client {
    max_attempts: u32,
    base_us: i64,
    cap_us: Option<i64>,
    factor: Option<f64>,
    quota: Option<u32>,
    read_timeout_us: Option<i64>,
    adaptive: bool,
}

impl From<Function> for FunctionConfig {
    fn from(function: Function) -> Self {
        Self {
            init: Micros(function.init_us),
            init_billed: function.init_billed,
            timeout: function.timeout_us.map(Micros),
            init_timeout: function.init_timeout_us.map(Micros),
            memory_mb: function.memory_mb,
            default_memory_mb: function.default_memory_mb,
            duration_factor: function.duration_factor,
            arm: function.arm,
            ephemeral_mb: function.ephemeral_mb,
            restore: function.restore_us.map(Micros),
            reserved: function.reserved,
            reserved_by_name: function.reserved_by_name,
            max_event_age: Micros(function.max_event_age_us),
            max_retries: function.max_retries,
            on_failure: function.on_failure.is_some(),
            provisioned: function.provisioned.into_iter().map(Provision::from).collect(),
            provisioned_by_name: function.provisioned_by_name,
            client: function.client.map(ClientRetry::from),
            faults: function.faults,
        }
    }
}

impl From<ProvisionEntry> for Provision {
    fn from(ProvisionEntry(qualifier, initial, tracking, schedule): ProvisionEntry) -> Self {
        Self {
            qualifier,
            initial,
            tracking: tracking.map(|it| TargetTracking {
                target_num: it.target.0,
                target_den: it.target.1,
                min: it.min,
                max: it.max,
            }),
            schedule: schedule.into_iter().map(|(at, min, max)| (Micros(at), min, max)).collect(),
        }
    }
}

impl From<Client> for ClientRetry {
    fn from(client: Client) -> Self {
        Self {
            max_attempts: client.max_attempts,
            base: Micros(client.base_us),
            cap: client.cap_us.map(Micros),
            factor: client.factor,
            quota: client.quota,
            read_timeout: client.read_timeout_us.map(Micros),
            adaptive: client.adaptive,
        }
    }
}

/// A function version, as `lambda_replay.engine` registers it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Registration {
    /// Its code in the trace; nothing for a bare name that only comes with qualifiers.
    pub(crate) code: Option<u32>,
    /// Its number.
    pub(crate) number: u32,
    /// Its name.
    pub(crate) name: String,
    /// Its settings by epoch; nothing where the number is registered already.
    pub(crate) config: Option<Vec<(u32, Function)>>,
    /// Number of its bare name, where it has a qualifier.
    pub(crate) function: Option<u32>,
}
