//! From what people have to rows of a trace, where that needs more than expressions of Polars: counts
//! per bucket expanded to single invocations, and text, JSON and logs taken apart.
//!
//! Pure: bytes and columns in, columns out. No file is opened here: a source is anything that implements
//! [`std::io::Read`]. No parser panics, whatever it is given, and none needs memory that grows with its
//! input.

#![forbid(unsafe_code)]

pub mod counts;
pub mod documents;
pub mod law;
pub mod logs;
pub mod source;
pub mod synthetic;
pub mod text;
pub mod time;

use std::io;

/// Why a source could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Reading or unpacking failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The source is no JSON from this place on.
    #[error("line {line}, column {column}: {message}")]
    Json {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What was found there.
        message: String,
        /// Whether the source ended too early.
        cut: bool,
    },
    /// Unpacked, the source is far larger than it has any reason to be.
    #[error("{unpacked} bytes came out of {packed}: this is no log")]
    Bomb {
        /// Bytes read.
        packed: u64,
        /// Bytes that came out of them.
        unpacked: u64,
    },
    /// A run of a function that nothing names.
    #[error("line {line}: nothing says which function this line is about")]
    NoFunction {
        /// Line or event, from 1.
        line: u64,
        /// The log group, where one is given.
        group: Option<String>,
    },
    /// The receiver wants no more.
    #[error("stopped")]
    Stopped,
}

impl ReadError {
    /// What `serde_json` says, in our words.
    pub(crate) fn json(error: serde_json::Error) -> Self {
        let (line, column, cut) = (error.line(), error.column(), error.is_eof());
        if error.is_io() {
            return io::Error::from(error).into();
        }
        let text = error.to_string();
        let message = text.split(" at line ").next().unwrap_or_default().to_owned();
        Self::Json { line, column, message, cut }
    }
}
