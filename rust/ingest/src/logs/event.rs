//! What a line of a log says, and what can be wrong with it.

use std::borrow::Cow;

/// How a run or an init ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Nothing is said: it went well, or the runtime kept the error to itself.
    #[default]
    Unknown,
    /// It went well.
    Success,
    /// The handler answered with an error.
    Error,
    /// The runtime or the environment broke: it is reset.
    Crash,
    /// It was cut at the time-out.
    TimeOut,
}

impl Status {
    /// The status of a text line or a platform event. An error of the runtime's own resets the
    /// environment; one of the function's does not.
    pub fn of(status: &[u8], error_type: Option<&[u8]>) -> Self {
        const OF_ENVIRONMENT: [&[u8]; 3] = [b"Runtime.", b"Extension.", b"Sandbox."];
        let broken = error_type
            .is_some_and(|kind| OF_ENVIRONMENT.iter().any(|prefix| kind.starts_with(prefix)));
        match status {
            b"timeout" => Self::TimeOut,
            b"failure" => Self::Crash,
            b"error" if broken => Self::Crash,
            b"error" => Self::Error,
            b"success" => Self::Success,
            _ => Self::Unknown,
        }
    }
}

/// Why an environment was initialised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InitKind {
    /// On demand, or ahead of demand: the text form does not say.
    #[default]
    OnDemand,
    /// For provisioned concurrency: no request waited.
    Provisioned,
}

/// A finished run: a REPORT line or a `platform.report` event. Times in µs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report<'a> {
    /// The request: 1 to 64 of `[0-9A-Za-z_-]`.
    pub id: &'a str,
    /// What the handler took, extensions included.
    pub duration: i64,
    /// What was billed, in ms.
    pub billed_ms: Option<i64>,
    /// Memory of the function.
    pub memory_mb: Option<u32>,
    /// The most that was used of it.
    pub max_memory_mb: Option<u32>,
    /// An init of the environment that this run was the first to use.
    pub init: Option<i64>,
    /// A restore from a snapshot instead.
    pub restore: Option<i64>,
    /// How it ended.
    pub status: Status,
    /// X-Ray trace.
    pub trace_id: Option<&'a str>,
}

/// One thing that the platform says.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// `INIT_START`, `RESTORE_START`: a new environment.
    InitStart(InitKind),
    /// `INIT_REPORT`: an init that failed, or ran within the invocation.
    InitReport {
        /// How long it took, µs.
        duration: i64,
        /// How it ended.
        status: Status,
        /// Whether it ran within the invocation.
        in_invoke: bool,
    },
    /// `RESTORE_REPORT`.
    RestoreReport,
    /// `START`.
    Start {
        /// The request.
        id: &'a str,
    },
    /// `END`, `platform.runtimeDone`: the handler is done, with the status where it is told.
    End {
        /// The request.
        id: &'a str,
        /// How it ended.
        status: Status,
    },
    /// The end of a run.
    Report(Report<'a>),
    /// `Task timed out after`, which older logs have instead of a status.
    TimedOut {
        /// The request.
        id: &'a str,
    },
    /// A line of its own about the REPORT before it.
    TraceId(&'a str),
    /// `platform.logsDropped`: the log has holes.
    Dropped(u64),
    /// An event of environments that serve many requests at once.
    ManyAtOnce,
}

/// Why a line that should tell of a run is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No request id, or none that could be one.
    RequestId,
    /// No duration: the line is cut.
    Duration,
    /// A number that is none.
    Number,
    /// A platform event that is no JSON: the line is cut.
    Json,
    /// A platform event of another shape.
    Shape,
    /// Nothing says when it was.
    Time,
    /// A line of more than [`crate::source::LONGEST_LINE`] bytes.
    TooLong,
    /// Base64 or gzip within a record that cannot be unpacked.
    Packed,
}

impl Fault {
    /// Every fault, in order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::RequestId,
        Self::Duration,
        Self::Number,
        Self::Json,
        Self::Shape,
        Self::Time,
        Self::TooLong,
        Self::Packed,
    ];

    /// What a report says about it.
    pub fn name(self) -> &'static str {
        match self {
            Self::RequestId => "no request id",
            Self::Duration => "no duration: the line is cut",
            Self::Number => "a number that cannot be read",
            Self::Json => "a platform event that is no JSON: the line is cut",
            Self::Shape => "a platform event of another shape",
            Self::Time => "no time: nothing says when the run was",
            Self::TooLong => "a line of more than 4 MiB",
            Self::Packed => "a record that cannot be unpacked",
        }
    }
}

/// A message of a log with what its container says about it.
#[derive(Clone, Debug, Default)]
pub struct Message<'a> {
    /// When CloudWatch has it, µs.
    pub at: Option<i64>,
    /// Log group.
    pub group: Option<Cow<'a, str>>,
    /// Log stream: one execution environment.
    pub stream: Option<Cow<'a, str>>,
    /// The account that owns the log.
    pub owner: Option<Cow<'a, str>>,
    /// The text.
    pub text: &'a [u8],
}
