//! `lambda_replay._core`: columns in, columns out. No rule of Lambda lives here.

mod arrow_in;
mod arrow_out;
mod config;
mod error;
mod identity;
mod outcomes;
mod replay;
mod totals;

/// The compiled part of `lambda_replay`.
#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use crate::arrow_out::Table;
    #[pymodule_export]
    use crate::replay::Replay;

    use lambda_replay_core::model::concurrency::Limit;
    use pyo3::prelude::*;

    /// Constants of the module, and no panic message on standard error.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::error::keep_panics_quiet();
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("DEBUG_BUILD", cfg!(debug_assertions))?;
        let limits: Vec<_> =
            Limit::ALL.iter().map(|limit| (limit.name(), limit.reason(false).name())).collect();
        module.add("LIMITS", limits)
    }
}
