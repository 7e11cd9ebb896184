//! What readers of traces need beyond expressions of Polars.

pub(crate) mod counts;
pub(crate) mod digest;
pub(crate) mod synthetic;
pub(crate) mod text;
