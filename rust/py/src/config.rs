//! Settings as Python resolves them.

use lambda_replay_core::config::{AccountConfig, FunctionConfig, IdlePolicy, Span};
use lambda_replay_core::time::Micros;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// `Resolved.core_config()` of `lambda_replay.scenario`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Account<'py> {
    seed: u64,
    concurrency: u32,
    idle: Bound<'py, PyTuple>,
    max_lifetime_us: Option<(i64, i64)>,
    billing_unit_us: i64,
}

impl Account<'_> {
    pub(crate) fn resolve(&self) -> PyResult<AccountConfig> {
        let item = |place| self.idle.get_item(place);
        let span = |place| -> PyResult<i64> { item(place)?.extract() };
        let idle = match item(0)?.extract::<String>()?.as_str() {
            "none" => IdlePolicy::None,
            "fixed" => IdlePolicy::Fixed(Micros(span(1)?)),
            "halving" => IdlePolicy::Halving(Micros(span(1)?)),
            "uniform" => {
                IdlePolicy::Uniform(Span { low: Micros(span(1)?), high: Micros(span(2)?) })
            }
            other => {
                return Err(PyValueError::new_err(format!("no idle policy is called {other}")));
            }
        };
        let lifetime = |(low, high)| Span { low: Micros(low), high: Micros(high) };
        Ok(AccountConfig {
            seed: self.seed,
            concurrency: self.concurrency,
            idle,
            max_lifetime: self.max_lifetime_us.map(lifetime),
            billing_unit: Micros(self.billing_unit_us),
        })
    }
}

/// `ResolvedFunction.core_config()` of `lambda_replay.scenario`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Function {
    init_us: i64,
    init_billed: bool,
}

impl From<Function> for FunctionConfig {
    fn from(function: Function) -> Self {
        Self { init: Micros(function.init_us), init_billed: function.init_billed }
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
    /// Its configuration; nothing where the number is registered already.
    pub(crate) config: Option<Function>,
    /// Number of its bare name, where it has a qualifier.
    pub(crate) function: Option<u32>,
}
