//! Runs of a log as columns, and what was counted on the way.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::event::Fault;

/// Stands for nothing in the columns of numbers.
pub const NOTHING: i64 = i64::MIN;

/// What the request of a run had to wait for, as far as the log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cold {
    /// An environment that was there.
    No = 0,
    /// An init, or a restore.
    Yes = 1,
    /// Nothing tells.
    Unknown = 2,
}

/// How a run ended, by the words of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Ended {
    /// Without an error that the log tells of.
    Well = 0,
    /// `handled`.
    Handled = 1,
    /// `crash`: the environment is reset. A time-out is one.
    Crash = 2,
}

/// Names by number, and the numbers.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// By number.
    pub names: Vec<String>,
    codes: HashMap<String, u32>,
}

impl Names {
    /// The number of a name.
    pub fn code(&mut self, name: &str) -> u32 {
        if let Some(code) = self.codes.get(name) {
            return *code;
        }
        let code = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.to_owned());
        self.codes.insert(name.to_owned(), code);
        code
    }
}

/// Texts one behind the other.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// All of them.
    pub bytes: Vec<u8>,
    /// Where each ends.
    pub ends: Vec<u32>,
}

impl Texts {
    /// Adds one.
    #[allow(clippy::cast_possible_truncation)] // A batch ends long before.
    pub fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(self.bytes.len() as u32);
    }

    /// The text at a place.
    pub fn get(&self, place: usize) -> &str {
        let start = if place == 0 { 0 } else { self.ends[place - 1] as usize };
        std::str::from_utf8(&self.bytes[start..self.ends[place] as usize]).unwrap_or_default()
    }
}

/// Runs, column by column; times in µs, [`NOTHING`] where there is none.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    /// When the request reached Lambda, by what the log tells.
    pub timestamp: Vec<i64>,
    /// In `functions`.
    pub function: Vec<u32>,
    /// Handler time, extensions included.
    pub duration: Vec<i64>,
    /// An init or restore that the request waited for.
    pub init: Vec<i64>,
    /// One that nobody waited for.
    pub init_ahead: Vec<i64>,
    /// [`Cold`].
    pub cold: Vec<u8>,
    /// [`Ended`].
    pub error: Vec<u8>,
    /// Run of the request, from 1.
    pub attempt: Vec<u32>,
    /// MB.
    pub memory: Vec<i64>,
    /// MB.
    pub max_memory: Vec<i64>,
    /// ms.
    pub billed: Vec<i64>,
    /// Requests.
    pub request_id: Texts,
    /// X-Ray traces; empty where there is none.
    pub trace_id: Texts,
    /// In `streams`; `u32::MAX` where there is none.
    pub stream: Vec<u32>,
    /// In `accounts`; `u32::MAX` where there is none.
    pub account: Vec<u32>,
    /// Names of functions.
    pub functions: Names,
    /// Names of log streams.
    pub streams: Names,
    /// Account ids.
    pub accounts: Names,
    /// Lines that should have been runs.
    pub bad: Vec<Bad>,
}

impl Runs {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.timestamp.len()
    }

    /// Room for so many, so that nothing moves while they come.
    pub(super) fn reserve(&mut self, rows: usize) {
        for column in [
            &mut self.timestamp,
            &mut self.duration,
            &mut self.init,
            &mut self.init_ahead,
            &mut self.memory,
            &mut self.max_memory,
            &mut self.billed,
        ] {
            column.reserve_exact(rows);
        }
        for column in [&mut self.function, &mut self.attempt, &mut self.stream, &mut self.account] {
            column.reserve_exact(rows);
        }
        self.cold.reserve_exact(rows);
        self.error.reserve_exact(rows);
        self.request_id.ends.reserve_exact(rows);
        self.request_id.bytes.reserve_exact(rows * 36);
        self.trace_id.ends.reserve_exact(rows);
    }

    /// Leaves out the runs that are not to be kept.
    pub(super) fn retain(&mut self, keep: &[bool]) {
        for column in [
            &mut self.timestamp,
            &mut self.duration,
            &mut self.init,
            &mut self.init_ahead,
            &mut self.memory,
            &mut self.max_memory,
            &mut self.billed,
        ] {
            retain(column, keep);
        }
        for column in [&mut self.function, &mut self.attempt, &mut self.stream, &mut self.account] {
            retain(column, keep);
        }
        retain(&mut self.cold, keep);
        retain(&mut self.error, keep);
        for texts in [&mut self.request_id, &mut self.trace_id] {
            let before = std::mem::take(texts);
            for place in (0..keep.len()).filter(|place| keep[*place]) {
                texts.push(before.get(place));
            }
        }
    }

    /// Whether there is neither a run nor a bad line.
    pub fn is_empty(&self) -> bool {
        self.timestamp.is_empty() && self.bad.is_empty()
    }
}

fn retain<T>(column: &mut Vec<T>, keep: &[bool]) {
    let mut flags = keep.iter();
    column.retain(|_| flags.next().copied().unwrap_or(true));
}

/// A line that is set aside.
#[derive(Clone, Debug)]
pub struct Bad {
    /// Line, event or row of the source, from 1.
    pub line: u64,
    /// Why.
    pub fault: Fault,
    /// Its first bytes.
    pub text: String,
}

/// What was counted.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Lines, events or rows of the source.
    pub lines: u64,
    /// REPORT lines and events.
    pub reports: u64,
    /// Runs that were made of them.
    pub runs: u64,
    /// Copies of runs: overlapping exports, deliveries that were repeated.
    pub copies: u64,
    /// Runs that were not the first of their request.
    pub retries: u64,
    /// Runs whose START is there.
    pub started: u64,
    /// START without REPORT: killed, cut off, or still running.
    pub unfinished: u64,
    /// START that stood behind its REPORT.
    pub late_starts: u64,
    /// Runs that ended by time-out: their durations are cut.
    pub time_outs: u64,
    /// Inits that a request waited for.
    pub inits: u64,
    /// Inits that nobody waited for.
    pub inits_ahead: u64,
    /// Inits of which nothing tells, and what `init_on_path` made of them.
    pub inits_assumed: u64,
    /// The longest of those, µs: no arrival is shifted by more.
    pub longest_assumed: i64,
    /// Environments that were initialised and never served, as far as the log goes.
    pub inits_unused: u64,
    /// Inits that failed, or ran within the invocation.
    pub inits_failed: u64,
    /// Records that Lambda itself says it dropped.
    pub dropped: u64,
    /// Lines of the function's own.
    pub others: u64,
    /// Messages that say they are only a test of the connection.
    pub control: u64,
    /// Events of environments that serve many requests at once.
    pub many_at_once: u64,
    /// Whether the source says that it is not all.
    pub partial: bool,
    /// Lines set aside, by why.
    pub faults: BTreeMap<&'static str, u64>,
}
