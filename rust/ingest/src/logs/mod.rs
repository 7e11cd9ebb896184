//! Logs of CloudWatch, whatever they are exported in, as runs.
//!
//! [`text`] and [`platform`] read one message, [`join`] makes runs of messages, and [`lines`],
//! [`json`] and [`insights`] take messages out of what holds them. [`read`] tells these apart.

pub mod attempts;
pub mod event;
pub mod insights;
pub mod join;
pub mod json;
pub mod lines;
pub mod platform;
pub mod runs;
pub mod text;

use std::io::{BufRead, Read};

use crate::ReadError;
use crate::source::{self, told};
use join::Joiner;

/// What holds the messages of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// A message per line.
    Lines,
    /// JSON documents.
    Json,
    /// A table of CloudWatch Logs Insights, or of the console.
    Csv,
}

/// What a path says of the log in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Log group.
    pub group: Option<String>,
    /// Log stream.
    pub stream: Option<String>,
}

impl Place {
    /// A folder `aws/lambda/NAME` is a log group; export tasks name a folder like the stream in it.
    pub fn of(path: &str) -> Self {
        let parts: Vec<&str> = path.split(['/', '\\']).collect();
        let folders = &parts[..parts.len().saturating_sub(1)];
        let group = folders
            .windows(3)
            .rev()
            .find(|three| three[0] == "aws" && three[1] == "lambda" && !three[2].is_empty())
            .map(|three| format!("/aws/lambda/{}", three[2]));
        let stream = folders.iter().rev().find(|name| lines::is_stream(name.as_bytes()));
        Self { group, stream: stream.map(ToString::to_string) }
    }
}

/// Reads a source to its end.
///
/// # Errors
/// It cannot be read or unpacked, is no JSON where it begins as such, or holds a run of a function
/// that nothing names. Runs before that place have reached the sink.
pub fn read(source: impl Read, path: &str, joiner: &mut Joiner<'_>) -> Result<(), ReadError> {
    let mut reader = source::open(source)?;
    let container = container_of(reader.fill_buf().map_err(told)?);
    let place = Place::of(path);
    let done = match container {
        Container::Lines => lines::read(reader, &place, joiner),
        Container::Json => json::read(reader, &place, joiner),
        Container::Csv => insights::read_csv(reader, &place, joiner),
    };
    let ended = match &done {
        // Nobody takes what is left.
        Err(ReadError::Stopped) => Ok(()),
        _ => joiner.end_of_source(),
    };
    done.and(ended)
}

/// Tells containers apart by the beginning of a source.
pub fn container_of(head: &[u8]) -> Container {
    let head = head.trim_ascii_start();
    match head.first() {
        Some(b'{') => {
            let end = memchr::memchr(b'\n', head).unwrap_or(head.len());
            let line = &head[..end];
            // One document that goes on, or several in one line.
            let Ok(document) = serde_json::from_slice::<serde_json::Value>(line) else {
                return Container::Json;
            };
            let holds = |key: &str| document.get(key).is_some();
            let is_container = json::CONTAINER_KEYS.iter().any(|key| holds(key))
                || (holds("message")
                    && ["logStreamName", "logStream", "@timestamp"].map(holds).contains(&true));
            if is_container { Container::Json } else { Container::Lines }
        }
        Some(b'[') => {
            // A blank after it, or a date: the function's own.
            let next = head[1..].trim_ascii_start().first();
            if matches!(next, Some(b'{' | b'[' | b']') | None) {
                Container::Json
            } else {
                Container::Lines
            }
        }
        _ => {
            let end = memchr::memchr(b'\n', head).unwrap_or(head.len());
            if insights::is_header(&head[..end]) { Container::Csv } else { Container::Lines }
        }
    }
}

#[cfg(test)]
mod tests;
