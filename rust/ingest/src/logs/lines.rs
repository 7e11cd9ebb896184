//! A message per line: `aws logs tail`, `sam logs`, export tasks, copies of a stream, Telemetry files.
//!
//! Time, log stream and log group may stand before the message, in any order. A line with none of them
//! goes on the message before it.

use std::borrow::Cow;
use std::io::BufRead;

use super::Place;
use super::event::{Fault, Message};
use super::join::Joiner;
use crate::ReadError;
use crate::source::{Line, Lines};

/// Reads lines to the end.
///
/// # Errors
/// As [`super::read`].
pub fn read(reader: impl BufRead, place: &Place, joiner: &mut Joiner<'_>) -> Result<(), ReadError> {
    let mut lines = Lines::new(reader);
    let mut number = 0;
    while let Some(line) = lines.next_line()? {
        number += 1;
        joiner.tally().lines += 1;
        match line {
            Line::Whole(line) => {
                let mut message = prefix(line);
                message.group = message.group.or(place.group.as_deref().map(Cow::Borrowed));
                message.stream = message.stream.or(place.stream.as_deref().map(Cow::Borrowed));
                joiner.message(number, &message)?;
            }
            Line::TooLong(line) => joiner.bad(number, Fault::TooLong, line)?,
        }
    }
    Ok(())
}

/// Takes what stands before a message from a line.
pub fn prefix(line: &[u8]) -> Message<'_> {
    let mut message = Message { text: line.trim_ascii_start(), ..Message::default() };
    for _ in 0..4 {
        let rest = message.text;
        let Some(first) = rest.first() else { break };
        if first.is_ascii_digit() {
            if message.at.is_none() {
                if let Some((at, length)) = crate::time::iso(rest) {
                    message.at = Some(at);
                    message.text = rest[length..].trim_ascii_start();
                    continue;
                }
                // Milliseconds, as `date +%s%3N` and many tools write them.
                let digits = rest.iter().take(14).take_while(|byte| byte.is_ascii_digit()).count();
                if digits == 13 && rest.get(13).is_some_and(|byte| b"\t ,".contains(byte)) {
                    let millis =
                        rest[..13].iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
                    message.at = Some(millis * 1_000);
                    message.text = rest[14..].trim_ascii_start();
                    continue;
                }
            }
            let (token, after) = token(rest);
            if message.stream.is_none() && is_stream(token) {
                message.stream = Some(String::from_utf8_lossy(token));
                message.text = after;
                continue;
            }
        } else if *first == b'/' && message.group.is_none() && rest.starts_with(b"/aws/lambda/") {
            let (token, after) = token(rest);
            message.group = Some(String::from_utf8_lossy(token));
            message.text = after;
            continue;
        }
        break;
    }
    message
}

fn token(rest: &[u8]) -> (&[u8], &[u8]) {
    let end = rest.iter().take(512).position(u8::is_ascii_whitespace).unwrap_or(0);
    (&rest[..end], rest[end..].trim_ascii_start())
}

/// `2026/03/01/[$LATEST]0123…`, with dashes in the folders of export tasks, and with the function before
/// the bracket in log groups that several functions share.
pub fn is_stream(name: &[u8]) -> bool {
    let Some(bracket) = name.len().checked_sub(33) else { return false };
    name[bracket] == b']'
        && name[bracket + 1..].iter().all(u8::is_ascii_hexdigit)
        && name[..bracket].contains(&b'[')
        && name.iter().take(4).all(u8::is_ascii_digit)
}

/// The function that the name of a stream tells in log groups that several functions share.
pub fn function_of(stream: &str) -> Option<&str> {
    let name = stream.get(11..stream.find('[')?)?;
    let dated = stream.as_bytes().iter().take(4).all(u8::is_ascii_digit);
    (dated && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "2026/03/01/[$LATEST]0123456789abcdef0123456789abcdef";
    const AT: i64 = 1_772_359_200_250_000;

    #[test]
    fn what_stands_before_a_message() {
        let dashed = STREAM.replace('/', "-");
        for (line, at, stream, group) in [
            ("2026-03-01T10:00:00.250Z MESSAGE".to_owned(), Some(AT), None, None),
            ("  2026-03-01 10:00:00.250\tMESSAGE".to_owned(), Some(AT), None, None),
            ("1772359200250\tMESSAGE".to_owned(), Some(AT), None, None),
            (
                format!("2026-03-01T10:00:00.250000+00:00 {STREAM} MESSAGE"),
                Some(AT),
                Some(STREAM),
                None,
            ),
            (format!("{STREAM} 2026-03-01T10:00:00.250000 MESSAGE"), Some(AT), Some(STREAM), None),
            (format!("{dashed} MESSAGE"), None, Some(&*dashed), None),
            (
                format!("/aws/lambda/orders {STREAM} 2026-03-01T10:00:00.25Z MESSAGE"),
                Some(AT),
                Some(STREAM),
                Some("/aws/lambda/orders"),
            ),
            ("MESSAGE".to_owned(), None, None, None),
            // The second instant is the message's.
            (
                "2026-03-01T10:00:00.250Z 2026-03-01T10:00:00.000Z x".to_owned(),
                Some(AT),
                None,
                None,
            ),
        ] {
            let found = prefix(line.as_bytes());
            assert_eq!(
                (found.at, found.stream.as_deref(), found.group.as_deref()),
                (at, stream, group),
                "{line}"
            );
            let expected =
                if line.ends_with('x') { "2026-03-01T10:00:00.000Z x" } else { "MESSAGE" };
            assert_eq!(found.text, expected.as_bytes(), "{line}");
        }
    }

    #[test]
    fn streams_and_paths() {
        assert!(
            is_stream(STREAM.as_bytes())
                && is_stream(b"2026-03-01-[7]0123456789abcdef0123456789abcdef")
        );
        for name in ["", "orders", "2026/03/01/[$LATEST]", "x/[1]0123456789abcdef0123456789abcdef"]
        {
            assert!(!is_stream(name.as_bytes()), "{name}");
        }
        assert_eq!(function_of("2026/03/01/orders[$LATEST]0123"), Some("orders"));
        assert_eq!(function_of(STREAM), None);
        let place = Place::of(
            "x/aws/lambda/orders/task/2026-03-01-[$LATEST]0123456789abcdef0123456789abcdef/000000.gz",
        );
        assert_eq!(place.group.as_deref(), Some("/aws/lambda/orders"));
        assert!(place.stream.is_some());
        assert_eq!(Place::of("logs/aws/lambda.log"), Place::default());
    }
}
