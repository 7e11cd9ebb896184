//! What readers of traces need beyond expressions of Polars.

mod background;
pub(crate) mod counts;
pub(crate) mod digest;
pub(crate) mod documents;
mod failed;
pub(crate) mod logs;
pub(crate) mod synthetic;
pub(crate) mod text;
