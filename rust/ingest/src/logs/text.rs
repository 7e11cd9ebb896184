//! Platform lines in text: `REPORT`, `START`, `END`, `INIT_START` and their like.
//!
//! Fields are separated by tabs, by blanks (copies from the console) or by a literal `\t` (JSON that
//! was encoded twice); those after the fifth come in any order, or not at all. One pass, no search.

use super::event::{Event, Fault, InitKind, Report, Status};

/// Reads a message; none where it is none of the platform's.
///
/// # Errors
/// It is one, and cannot be read.
pub fn parse(message: &[u8]) -> Result<Option<Event<'_>>, Fault> {
    let Some(first) = message.first() else { return Ok(None) };
    match first {
        b'R' => {
            if let Some(rest) = word(message, b"REPORT RequestId:") {
                return report(rest).map(|report| Some(Event::Report(report)));
            }
            if word(message, b"RESTORE_START").is_some() {
                return Ok(Some(Event::InitStart(InitKind::OnDemand)));
            }
            Ok(word(message, b"RESTORE_REPORT").map(|_| Event::RestoreReport))
        }
        b'S' => with_id(message, b"START RequestId:", |id| Event::Start { id }),
        b'E' => {
            with_id(message, b"END RequestId:", |id| Event::End { id, status: Status::Unknown })
        }
        b'I' => {
            if word(message, b"INIT_START").is_some() {
                return Ok(Some(Event::InitStart(InitKind::OnDemand)));
            }
            word(message, b"INIT_REPORT").map(init_report).transpose()
        }
        b'X' => {
            let Some(rest) = word(message, b"XRAY TraceId:") else { return Ok(None) };
            Ok(text(value(Fields(rest).skipped()).0).map(Event::TraceId))
        }
        _ => Ok(timed_out(message)),
    }
}

/// Strips a word that a separator, or the end, follows.
fn word<'a>(message: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let rest = message.strip_prefix(word)?;
    let ends = word.ends_with(b":") || rest.is_empty() || separator(rest) > 0;
    ends.then_some(rest)
}

fn with_id<'a>(
    message: &'a [u8],
    prefix: &[u8],
    event: impl Fn(&'a str) -> Event<'a>,
) -> Result<Option<Event<'a>>, Fault> {
    let Some(rest) = word(message, prefix) else { return Ok(None) };
    id(value(Fields(rest).skipped()).0).map(|id| Some(event(id))).ok_or(Fault::RequestId)
}

/// `<ISO> <id> Task timed out after 3.00 seconds`, of which the instant may be gone already.
fn timed_out(message: &[u8]) -> Option<Event<'_>> {
    let rest = match crate::time::iso(message) {
        Some((_, length)) => message.get(length..)?.trim_ascii_start(),
        None => message,
    };
    let end = rest.iter().take(65).position(|byte| *byte == b' ')?;
    let (first, rest) = rest.split_at(end);
    rest.starts_with(b" Task timed out after ").then(|| id(first))?.map(|id| Event::TimedOut { id })
}

fn init_report(rest: &[u8]) -> Result<Event<'_>, Fault> {
    let (mut duration, mut status, mut kind, mut in_invoke) = (None, None, None, false);
    let mut fields = Fields(rest);
    while let Some((name, field)) = fields.next_field() {
        match name {
            Name::Init => duration = Some(micros(field)?),
            Name::Status => status = Some(field),
            Name::ErrorType => kind = Some(field),
            Name::Phase => in_invoke = field == b"invoke",
            _ => {}
        }
    }
    let duration = duration.ok_or(Fault::Duration)?;
    let status = status.map_or(Status::Unknown, |status| Status::of(status, kind));
    Ok(Event::InitReport { duration, status, in_invoke })
}

/// The fields after `REPORT RequestId:`.
fn report(rest: &[u8]) -> Result<Report<'_>, Fault> {
    let (mut report, mut duration, mut fields) = if let Some((report, rest)) = usual(rest) {
        let duration = report.duration;
        (report, Some(duration), Fields(rest))
    } else {
        let (found, rest) = value(Fields(rest).skipped());
        let id = id(found).ok_or(Fault::RequestId)?;
        (Report { id, ..Report::default() }, None, Fields(rest))
    };
    let (mut status, mut kind) = (None, None);
    while let Some((name, field)) = fields.next_field() {
        match name {
            Name::Duration => duration = Some(micros(field)?),
            // Nobody replays what was billed: it may be more than a whole number of ms.
            Name::Billed => report.billed_ms = Some(micros(field)? / 1_000),
            Name::Memory => report.memory_mb = Some(whole(field)?),
            Name::MaxMemory => report.max_memory_mb = Some(whole(field)?),
            Name::Init => report.init = Some(micros(field)?),
            Name::Restore => report.restore = Some(micros(field)?),
            Name::Status => status = Some(field),
            Name::ErrorType => kind = Some(field),
            Name::TraceId => report.trace_id = text(field),
            Name::Phase | Name::Other => {}
        }
    }
    report.duration = duration.ok_or(Fault::Duration)?;
    report.status = match (status, kind) {
        (Some(status), kind) => Status::of(status, kind),
        (None, Some(_)) => Status::of(b"error", kind),
        (None, None) => Status::Unknown,
    };
    Ok(report)
}

/// The five fields that nearly every line begins with, as Lambda itself writes them, and what follows.
fn usual(rest: &[u8]) -> Option<(Report<'_>, &[u8])> {
    let rest = rest.strip_prefix(b" ")?;
    let end = memchr::memchr(b'\t', &rest[..rest.len().min(65)])?;
    let id = id(&rest[..end])?;
    let (duration, rest) = millis(rest[end..].strip_prefix(b"\tDuration: ")?)?;
    let (billed, rest) = integer(rest.strip_prefix(b" ms\tBilled Duration: ")?)?;
    let (memory, rest) = integer(rest.strip_prefix(b" ms\tMemory Size: ")?)?;
    let (most, rest) = integer(rest.strip_prefix(b" MB\tMax Memory Used: ")?)?;
    let rest = rest.strip_prefix(b" MB")?;
    if !rest.is_empty() && separator(rest) == 0 {
        return None;
    }
    let report = Report {
        id,
        duration,
        billed_ms: Some(i64::from(billed)),
        memory_mb: Some(memory),
        max_memory_mb: Some(most),
        ..Report::default()
    };
    Some((report, rest))
}

/// Up to nine digits.
#[inline]
fn integer(rest: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0;
    let mut count = 0;
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        if count == 9 {
            return None;
        }
        value = value * 10 + u32::from(digit);
        count += 1;
    }
    (count > 0).then(|| (value, &rest[count..]))
}

/// Milliseconds with none or two digits behind the point, in µs.
#[inline]
fn millis(rest: &[u8]) -> Option<(i64, &[u8])> {
    let (whole, rest) = integer(rest)?;
    let micros = i64::from(whole) * 1_000;
    match rest {
        [b'.', tens @ b'0'..=b'9', ones @ b'0'..=b'9', b' ', ..] => {
            let hundredths = i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
            Some((micros + hundredths * 10, &rest[3..]))
        }
        [b' ', ..] => Some((micros, rest)),
        _ => None,
    }
}

/// Names of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Duration,
    Billed,
    Memory,
    MaxMemory,
    Init,
    Restore,
    Status,
    ErrorType,
    Phase,
    TraceId,
    /// One that is not kept.
    Other,
}

/// By first letter, the commonest first.
const NAMES: [(&[u8], Name); 12] = [
    (b"Duration:", Name::Duration),
    (b"Billed Duration:", Name::Billed),
    (b"Billed Restore Duration:", Name::Other),
    (b"Memory Size:", Name::Memory),
    (b"Max Memory Used:", Name::MaxMemory),
    (b"Init Duration:", Name::Init),
    (b"Restore Duration:", Name::Restore),
    (b"Status:", Name::Status),
    (b"Error Type:", Name::ErrorType),
    (b"Phase:", Name::Phase),
    (b"XRAY TraceId:", Name::TraceId),
    (b"SegmentId:", Name::Other),
];

/// What is left of a line.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn skipped(&self) -> &'a [u8] {
        let mut rest = self.0;
        loop {
            match separator(rest) {
                0 => return rest,
                length => rest = &rest[length..],
            }
        }
    }

    /// The next field whose name is known; units and what else stands there are passed over.
    fn next_field(&mut self) -> Option<(Name, &'a [u8])> {
        loop {
            let rest = self.skipped();
            let first = *rest.first()?;
            let known = NAMES.iter().find_map(|(name, kind)| {
                let rest = (name[0] == first).then(|| rest.strip_prefix(*name))??;
                Some((*kind, rest))
            });
            if let Some((kind, rest)) = known {
                let (field, rest) = value(Self(rest).skipped());
                self.0 = rest;
                return Some((kind, field));
            }
            self.0 = value(rest).1;
        }
    }
}

/// Bytes of the separator at the start: white space, or a literal `\t`, `\n` or `\r`.
fn separator(rest: &[u8]) -> usize {
    match rest {
        [b'\t' | b' ' | b'\n' | b'\r' | 0, ..] => 1,
        [b'\\', b't' | b'n' | b'r', ..] => 2,
        _ => 0,
    }
}

/// Splits at the next separator. Never takes nothing of something, unless a separator comes first.
fn value(rest: &[u8]) -> (&[u8], &[u8]) {
    let plain = |byte: &u8| !matches!(byte, b'\t' | b' ' | b'\n' | b'\r' | b'\\' | 0);
    let mut end = rest.iter().position(|byte| !plain(byte)).unwrap_or(rest.len());
    while end < rest.len() && separator(&rest[end..]) == 0 {
        end += 1;
        end += rest[end..].iter().position(|byte| !plain(byte)).unwrap_or(rest.len() - end);
    }
    rest.split_at(end)
}

/// A decimal number of milliseconds, in µs; digits beyond the third are left out.
fn micros(field: &[u8]) -> Result<i64, Fault> {
    let mut value = 0_i64;
    let mut digits = 0;
    let mut bytes = field.iter();
    for byte in bytes.by_ref() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            if *byte != b'.' || digits == 0 {
                return Err(Fault::Number);
            }
            break;
        }
        value = value * 10 + i64::from(digit);
        digits += 1;
        // 317 years.
        if digits > 13 {
            return Err(Fault::Number);
        }
    }
    if digits == 0 {
        return Err(Fault::Number);
    }
    value *= 1_000;
    let mut unit = 100;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(Fault::Number);
        }
        value += i64::from(digit) * unit;
        unit /= 10;
    }
    Ok(value)
}

fn whole(field: &[u8]) -> Result<u32, Fault> {
    u32::try_from(micros(field)? / 1_000).map_err(|_| Fault::Number)
}

/// A request id as Lambda and others write them.
pub(super) fn id(field: &[u8]) -> Option<&str> {
    // All bytes are looked at, without a branch each.
    let plain = field.iter().map(|byte| usize::from(PLAIN[usize::from(*byte)])).sum::<usize>();
    let fits = !field.is_empty() && field.len() <= 64 && plain == field.len();
    fits.then(|| std::str::from_utf8(field).ok()).flatten()
}

/// Bytes of request ids.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 128_u8 {
        plain[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        byte += 1;
    }
    plain
};

fn text(field: &[u8]) -> Option<&str> {
    let fits = !field.is_empty() && field.len() <= 128;
    fits.then(|| std::str::from_utf8(field).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "814ba7cb-071e-4181-9a09-fa41db5bccad";

    fn report_of(line: &str) -> Report<'_> {
        match parse(line.as_bytes()) {
            Ok(Some(Event::Report(report))) => report,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_field_of_a_report() {
        let line = "REPORT RequestId: 814ba7cb-071e-4181-9a09-fa41db5bccad\tDuration: 469.40 ms\tBilled Duration: 545 ms\tMemory Size: 1024 MB\tMax Memory Used: 121 MB\tInit Duration: 1.5 ms\tRestore Duration: 474.16 ms\tBilled Restore Duration: 75 ms\tStatus: error\tError Type: Runtime.OutOfMemory\t\nXRAY TraceId: 1-5d83c0ad-b8eb33a0b1de97d804fac890\tSegmentId: 31255c3b19bd3637\tSampled: true\t\n";
        let expected = Report {
            id: ID,
            duration: 469_400,
            billed_ms: Some(545),
            memory_mb: Some(1024),
            max_memory_mb: Some(121),
            init: Some(1_500),
            restore: Some(474_160),
            status: Status::Crash,
            trace_id: Some("1-5d83c0ad-b8eb33a0b1de97d804fac890"),
        };
        assert_eq!(report_of(line), expected);
        for other in ["\\t", "  ", " ", "\t\t", "\t \0"] {
            assert_eq!(report_of(&line.replace('\t', other)), expected, "{other:?}");
        }
    }

    #[test]
    fn fields_in_any_order_or_not_at_all() {
        let line = format!(
            "REPORT RequestId: {ID}\tMax Memory Used: 90 MB\tInit Duration: 1234 ms\tDuration: 0.81 ms"
        );
        let report = report_of(&line);
        assert_eq!((report.duration, report.init), (810, Some(1_234_000)));
        assert_eq!((report.billed_ms, report.memory_mb), (None, None));
        // The first "Duration:" is not that of the init, even where there is no other.
        let line = format!("REPORT RequestId: {ID}\tInit Duration: 1.00 ms");
        assert_eq!(parse(line.as_bytes()), Err(Fault::Duration));
    }

    #[test]
    fn status_says_what_became_of_the_environment() {
        for (text, status) in [
            ("Status: timeout", Status::TimeOut),
            ("Status: error\tError Type: Runtime.ExitError", Status::Crash),
            ("Error Type: Runtime.OutOfMemory", Status::Crash),
            ("Status: error\tError Type: ValueError", Status::Error),
            ("Status: failure", Status::Crash),
            ("Status: success", Status::Success),
            ("", Status::Unknown),
        ] {
            let line = format!("REPORT RequestId: {ID}\tDuration: 1 ms\t{text}");
            assert_eq!(report_of(&line).status, status, "{text}");
        }
    }

    #[test]
    fn the_other_lines() {
        let start = Event::Start { id: ID };
        for (line, event) in [
            (format!("START RequestId: {ID} Version: $LATEST\n"), start.clone()),
            (format!("START RequestId: {ID} Version: $LATEST\\n"), start.clone()),
            (format!("START RequestId: {ID}"), start),
            (format!("END RequestId: {ID}\\n"), Event::End { id: ID, status: Status::Unknown }),
            (
                format!("2026-03-01T10:00:00.000Z {ID} Task timed out after 3.00 seconds"),
                Event::TimedOut { id: ID },
            ),
            (format!("{ID} Task timed out after 3.00 seconds"), Event::TimedOut { id: ID }),
            ("XRAY TraceId: 1-2-3\tSegmentId: 4".to_owned(), Event::TraceId("1-2-3")),
            (
                "INIT_START Runtime Version: python:3.13.v1\tRuntime Version ARN: a".to_owned(),
                Event::InitStart(InitKind::OnDemand),
            ),
            (
                "INIT_REPORT Init Duration: 10000.09 ms\tPhase: init\tStatus: timeout".to_owned(),
                Event::InitReport {
                    duration: 10_000_090,
                    status: Status::TimeOut,
                    in_invoke: false,
                },
            ),
            (
                "INIT_REPORT Init Duration: 8.4 ms Phase: invoke Status: error Error Type: Runtime.ExitError"
                    .to_owned(),
                Event::InitReport { duration: 8_400, status: Status::Crash, in_invoke: true },
            ),
            ("RESTORE_START Runtime Version: java:21.v1".to_owned(), Event::InitStart(InitKind::OnDemand)),
            ("RESTORE_REPORT Restore Duration: 511.25 ms".to_owned(), Event::RestoreReport),
        ] {
            assert_eq!(parse(line.as_bytes()), Ok(Some(event)), "{line}");
        }
    }

    #[test]
    fn what_the_function_itself_prints() {
        for line in [
            "",
            "R",
            "REPORT",
            "REPORTING RequestId: x",
            "STARTED",
            "START of it all",
            "END",
            "INIT_STARTED",
            "a REPORT RequestId: 1 Duration: 2 ms",
            "XRAY",
            "report RequestId: 1",
            "Task timed out after 3.00 seconds",
            "[INFO] 1 Task timed out after",
        ] {
            assert_eq!(parse(line.as_bytes()), Ok(None), "{line}");
        }
    }

    #[test]
    fn what_is_cut_or_no_number() {
        for (line, fault) in [
            ("REPORT RequestId:", Fault::RequestId),
            ("REPORT RequestId: \t", Fault::RequestId),
            ("REPORT RequestId: a/b\tDuration: 1 ms", Fault::RequestId),
            ("START RequestId: é Version: 1", Fault::RequestId),
            ("REPORT RequestId: a", Fault::Duration),
            ("REPORT RequestId: a\tDurat", Fault::Duration),
            ("REPORT RequestId: a\tDuration:", Fault::Number),
            ("REPORT RequestId: a\tDuration: ms", Fault::Number),
            ("REPORT RequestId: a\tDuration: -1 ms", Fault::Number),
            ("REPORT RequestId: a\tDuration: .5 ms", Fault::Number),
            ("REPORT RequestId: a\tDuration: 1,5 ms", Fault::Number),
            ("REPORT RequestId: a\tDuration: 1.2.3 ms", Fault::Number),
            ("REPORT RequestId: a\tDuration: 99999999999999 ms", Fault::Number),
            ("REPORT RequestId: a\tDuration: 1 ms\tMemory Size: 4294967296 MB", Fault::Number),
            ("INIT_REPORT", Fault::Duration),
        ] {
            assert_eq!(parse(line.as_bytes()), Err(fault), "{line}");
        }
    }

    #[test]
    fn decimals() {
        for (text, expected) in [
            ("0", 0),
            ("3000.00", 3_000_000),
            ("0.81", 810),
            ("1.2345678", 1_234),
            ("7.", 7_000),
            ("0000000000001.5", 1_500),
        ] {
            assert_eq!(micros(text.as_bytes()), Ok(expected), "{text}");
        }
    }
}
