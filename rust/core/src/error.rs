//! What can be wrong with a trace once it is columns of numbers.

/// A row that cannot be replayed. Rows are counted from 0 in the order they are fed.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The row arrives before the one before it.
    #[error("row {row} is at {timestamp} µs, before {previous} µs of the row before it")]
    Unsorted {
        /// Place in what was fed.
        row: u64,
        /// Its instant, µs since the epoch.
        timestamp: i64,
        /// The instant of the row before.
        previous: i64,
    },
    /// A value that the column cannot have.
    #[error("row {row}: {column} is {value}")]
    Value {
        /// Place in what was fed.
        row: u64,
        /// Column of the trace.
        column: &'static str,
        /// What stands there, in the unit of the column as fed.
        value: f64,
    },
    /// A function that was never registered: a bug of the caller.
    #[error("row {row} names function number {function}, which is not registered")]
    UnknownFunction {
        /// Place in what was fed.
        row: u64,
        /// Its number.
        function: u32,
    },
    /// Columns of different lengths: a bug of the caller.
    #[error("columns of a batch differ in length")]
    Lengths,
}

impl Error {
    /// The same with the row's position in the trace as given, where that is not its place among
    /// the rows fed.
    #[must_use]
    pub fn renumbered(mut self, position: impl Fn(u64) -> u64) -> Self {
        match &mut self {
            Self::Unsorted { row, .. }
            | Self::Value { row, .. }
            | Self::UnknownFunction { row, .. } => {
                *row = position(*row);
            }
            Self::Lengths => {}
        }
        self
    }
}
