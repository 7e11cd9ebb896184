//! Tables of CloudWatch Logs Insights: CSV of the console, and the results of `get-query-results`.
//!
//! Rows come newest first unless the query says otherwise, so they are put in order before they are
//! joined. A query gives 10,000 rows unless it asks for more, and 100,000 at most.

use std::borrow::Cow;
use std::io::BufRead;

use super::Place;
use super::event::{Event, Fault, Message, Report, Status};
use super::join::Joiner;
use super::{platform, text};
use crate::ReadError;
use crate::source::told;

/// Rows that are put in order together.
const ORDERED: usize = 100_000;
/// Numbers of rows at which Insights ends without saying so.
const LIMITS: [u64; 3] = [1_000, 10_000, 100_000];

/// Whether a line is the header of such a table.
pub fn is_header(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    let names: Vec<&str> =
        line.trim().split(',').map(|name| name.trim().trim_matches('"')).collect();
    let any = |wanted: &[&str]| names.iter().any(|name| wanted.contains(name));
    any(&["@timestamp"]) || (any(&["timestamp"]) && any(&["message"]))
}

/// One row.
#[derive(Clone, Debug, Default)]
pub struct Row {
    line: u64,
    at: Option<i64>,
    fields: Vec<(String, String)>,
}

impl Row {
    /// An empty row that stands at `line`.
    pub fn new(line: u64) -> Self {
        Self { line, ..Self::default() }
    }

    /// Adds a field; an empty one is none.
    pub fn set(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        let name = name.trim().trim_start_matches('@');
        if name == "timestamp" {
            self.at = instant(value);
        } else {
            self.fields.push((name.to_owned(), value.to_owned()));
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    fn number(&self, name: &str) -> Result<Option<f64>, Fault> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let value: f64 = value.trim().parse().map_err(|_| Fault::Number)?;
        if value.is_finite() { Ok(Some(value)) } else { Err(Fault::Number) }
    }

    fn micros(&self, name: &str) -> Result<Option<i64>, Fault> {
        self.number(name)?.map(platform::micros).transpose()
    }

    fn megabytes(&self, name: &str) -> Result<Option<u32>, Fault> {
        self.number(name)?.map(|bytes| platform::whole(megabytes(bytes))).transpose()
    }

    /// The report that the discovered fields of a REPORT line make.
    fn report(&self) -> Result<Option<Report<'_>>, Fault> {
        let is_report = self.get("type").is_none_or(|kind| kind == "REPORT");
        let (Some(id), Some(duration), true) =
            (self.get("requestId"), self.micros("duration")?, is_report)
        else {
            return Ok(None);
        };
        Ok(Some(Report {
            id: text::id(id.as_bytes()).ok_or(Fault::RequestId)?,
            duration,
            billed_ms: self.micros("billedDuration")?.map(|micros| micros / 1_000),
            memory_mb: self.megabytes("memorySize")?,
            max_memory_mb: self.megabytes("maxMemoryUsed")?,
            init: self.micros("initDuration")?,
            restore: self.micros("restoreDuration")?,
            status: self
                .get("status")
                .map_or(Status::Unknown, |status| Status::of(status.as_bytes(), None)),
            trace_id: self.get("xrayTraceId").filter(|trace| trace.len() <= 128),
        }))
    }

    /// Account and log group.
    fn log(&self) -> (Option<&str>, Option<&str>) {
        let Some(log) = self.get("log").or_else(|| self.get("logGroup")) else {
            return (None, None);
        };
        match log.split_once(':') {
            Some((account, group)) => (Some(account), Some(group)),
            None => (None, Some(log)),
        }
    }
}

/// Insights gives bytes: 128 MB are 1.28E8, and in other places 2^27.
fn megabytes(bytes: f64) -> f64 {
    let is_whole = |value: f64| (value - value.round()).abs() < 1e-6;
    if bytes < 100_000.0 {
        return bytes;
    }
    let (decimal, binary) = (bytes / 1e6, bytes / f64::from(1 << 20));
    if !is_whole(decimal) && is_whole(binary) { binary } else { decimal.round() }
}

pub(super) fn instant(value: &str) -> Option<i64> {
    let value = value.trim();
    if value.len() == 13 && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return value.parse::<i64>().ok().map(|millis| millis * 1_000);
    }
    crate::time::whole_iso(value.as_bytes())
}

/// Rows that wait to be put in order.
pub struct Rows<'p> {
    place: &'p Place,
    waiting: Vec<Row>,
    count: u64,
}

impl<'p> Rows<'p> {
    /// No rows yet.
    pub fn new(place: &'p Place) -> Self {
        Self { place, waiting: Vec::new(), count: 0 }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// As [`super::read`].
    pub fn push(&mut self, row: Row, joiner: &mut Joiner<'_>) -> Result<(), ReadError> {
        joiner.tally().lines += 1;
        self.count += 1;
        self.waiting.push(row);
        if self.waiting.len() >= ORDERED { self.join(joiner) } else { Ok(()) }
    }

    /// Joins what waits, and notes whether the table may have been cut.
    ///
    /// # Errors
    /// As [`super::read`].
    pub fn finish(mut self, joiner: &mut Joiner<'_>) -> Result<(), ReadError> {
        joiner.tally().partial |= LIMITS.contains(&self.count);
        self.join(joiner)
    }

    fn join(&mut self, joiner: &mut Joiner<'_>) -> Result<(), ReadError> {
        let mut rows = std::mem::take(&mut self.waiting);
        let known: Vec<i64> = rows.iter().filter_map(|row| row.at).collect();
        if known.first() > known.last() {
            rows.reverse();
        }
        rows.sort_by_key(|row| row.at);
        rows.iter().try_for_each(|row| join_row(row, self.place, joiner))
    }
}

fn join_row(row: &Row, place: &Place, joiner: &mut Joiner<'_>) -> Result<(), ReadError> {
    let (owner, group) = row.log();
    let body = row.get("message").unwrap_or_default();
    let message = Message {
        at: row.at,
        group: group.or(place.group.as_deref()).map(Cow::Borrowed),
        stream: row.get("logStream").or(place.stream.as_deref()).map(Cow::Borrowed),
        owner: owner.map(Cow::Borrowed),
        text: body.as_bytes(),
    };
    match row.report() {
        Ok(Some(report)) => joiner.event(row.line, &message, row.at, None, &Event::Report(report)),
        Ok(None) => joiner.message(row.line, &message),
        Err(fault) => {
            let shown = row.fields.iter().map(|(_, value)| &**value).collect::<Vec<_>>().join(",");
            joiner.bad(row.line, fault, shown.as_bytes())
        }
    }
}

/// Reads a CSV table to the end.
///
/// # Errors
/// As [`super::read`].
pub fn read_csv(
    reader: impl BufRead,
    place: &Place,
    joiner: &mut Joiner<'_>,
) -> Result<(), ReadError> {
    let mut table = csv::ReaderBuilder::new().flexible(true).from_reader(reader);
    let failed = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => told(error),
        other => told(std::io::Error::other(format!("{other:?}"))),
    };
    let names: Vec<String> = table
        .byte_headers()
        .map_err(failed)?
        .iter()
        .map(|name| String::from_utf8_lossy(name).trim().to_owned())
        .collect();
    let mut rows = Rows::new(place);
    let mut record = csv::ByteRecord::new();
    while table.read_byte_record(&mut record).map_err(failed)? {
        let line = record.position().map_or(0, csv::Position::line);
        let mut row = Row::new(line);
        for (name, value) in names.iter().zip(&record) {
            row.set(name, &String::from_utf8_lossy(value));
        }
        rows.push(row, joiner)?;
    }
    rows.finish(joiner)
}
