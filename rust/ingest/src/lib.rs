//! From what people have to rows of a trace, where that needs more than expressions of Polars: counts
//! per bucket expanded to single invocations, and text taken apart.
//!
//! Pure: bytes and columns in, columns out. No file is opened here.

#![forbid(unsafe_code)]

pub mod counts;
pub mod law;
pub mod synthetic;
pub mod text;
