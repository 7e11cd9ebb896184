//! `lambda_replay._core`: columns in, columns out. No rule of Lambda lives here.

mod arrow_in;
mod arrow_out;
mod config;
mod error;
mod identity;
mod ingest;
mod outcomes;
mod replay;
mod sources;
mod totals;

/// The compiled part of `lambda_replay`.
#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use crate::arrow_out::Table;
    #[pymodule_export]
    use crate::ingest::counts::CountExpander;
    #[pymodule_export]
    use crate::ingest::digest::RowDigest;
    #[pymodule_export]
    use crate::ingest::documents::JsonRows;
    #[pymodule_export]
    use crate::ingest::logs::LogRuns;
    #[pymodule_export]
    use crate::ingest::synthetic::CountGenerator;
    #[pymodule_export]
    use crate::ingest::text::CsvRecords;
    #[pymodule_export]
    use crate::replay::Replay;

    use lambda_replay_core::model::concurrency::Limit;
    use lambda_replay_core::outcome::{AttemptKind, OutcomeKind, Reason, Source, Spillover};
    use pyo3::prelude::*;

    /// Constants of the module, and no panic message on standard error.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::error::keep_panics_quiet();
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("DEBUG_BUILD", cfg!(debug_assertions))?;
        module.add("LIMITS", Limit::ALL.map(Limit::name).to_vec())?;
        module.add("REASONS", Reason::NAMES.to_vec())?;
        module.add("OUTCOMES", OutcomeKind::NAMES.to_vec())?;
        module.add("ATTEMPT_OUTCOMES", AttemptKind::NAMES.to_vec())?;
        module.add("SOURCES", Source::NAMES.to_vec())?;
        let counted = Spillover::COUNTED.map(|why| Spillover::NAMES[why as usize]);
        module.add("SPILLOVER_COUNTED", counted.to_vec())?;
        module.add(
            "DROP_REASONS",
            Reason::OF_DROPS.map(|why| Reason::NAMES[why as usize]).to_vec(),
        )?;
        module.add("SPILLOVER_REASONS", Spillover::NAMES.to_vec())
    }
}
