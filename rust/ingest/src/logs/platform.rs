//! Platform events in JSON: `{"time": …, "type": "platform.report", "record": {…}}`, as a log of JSON
//! format and the Telemetry API have them (schemas 2022-12-13 and 2025-01-29).

use std::borrow::Cow;
use std::fmt;

use memchr::memmem;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::event::{Event, Fault, InitKind, Report, Status};
use super::text;

/// A platform event as it stands there. Text is borrowed where nothing in it is escaped.
#[derive(Debug, Deserialize)]
pub struct Envelope<'a> {
    #[serde(borrow, default)]
    time: Option<Text<'a>>,
    #[serde(borrow, rename = "type", default)]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    record: Record<'a>,
}

/// Text that is borrowed where it can be; an `Option<Cow<str>>` would always copy it.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// What an event says, the time that it says, and the function where it says which.
#[derive(Debug)]
pub struct Said<'e> {
    /// µs.
    pub at: Option<i64>,
    /// `functionName`, which newer events of init and start carry.
    pub function: Option<&'e str>,
    /// The event.
    pub event: Event<'e>,
}

/// A record, or the text that stands in its place in `function` and `extension` events.
#[derive(Debug, Default)]
struct Record<'a>(Option<Box<Fields<'a>>>);

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Fields<'a> {
    #[serde(borrow)]
    request_id: Option<Text<'a>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    error_type: Option<Text<'a>>,
    #[serde(borrow)]
    initialization_type: Option<Text<'a>>,
    #[serde(borrow)]
    phase: Option<Text<'a>>,
    #[serde(borrow)]
    function_name: Option<Text<'a>>,
    dropped_records: Option<f64>,
    metrics: Option<Metrics>,
    #[serde(borrow)]
    tracing: Option<Tracing<'a>>,
}

/// Environments that serve many requests at once report a duration and nothing else.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metrics {
    duration_ms: Option<f64>,
    billed_duration_ms: Option<f64>,
    #[serde(rename = "memorySizeMB")]
    memory_size_mb: Option<f64>,
    #[serde(rename = "maxMemoryUsedMB")]
    max_memory_used_mb: Option<f64>,
    init_duration_ms: Option<f64>,
    restore_duration_ms: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tracing<'a> {
    #[serde(borrow)]
    value: Option<Text<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Record<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapOrElse;
        impl<'de> Visitor<'de> for MapOrElse {
            type Value = Record<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a record or a text")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Record<'de>, A::Error> {
                Fields::deserialize(MapAccessDeserializer::new(map))
                    .map(|fields| Record(Some(Box::new(fields))))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Record<'de>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Record(None))
            }

            fn visit_str<E>(self, _: &str) -> Result<Record<'de>, E> {
                Ok(Record(None))
            }

            fn visit_unit<E>(self) -> Result<Record<'de>, E> {
                Ok(Record(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Record<'de>, E> {
                Ok(Record(None))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Record<'de>, E> {
                Ok(Record(None))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Record<'de>, E> {
                Ok(Record(None))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Record<'de>, E> {
                Ok(Record(None))
            }
        }
        deserializer.deserialize_any(MapOrElse)
    }
}

/// Whether a line may hold a platform event; most lines of a function's own do not.
pub fn may_hold(line: &[u8]) -> bool {
    memmem::find(line, b"\"platform.").is_some()
}

/// Reads a line that begins with `{`.
///
/// # Errors
/// It names a platform event and is no JSON, or one of another shape.
pub fn parse(line: &[u8]) -> Result<Option<Envelope<'_>>, Fault> {
    match serde_json::from_slice::<Envelope<'_>>(line) {
        Ok(envelope) => Ok(envelope.is_platform().then_some(envelope)),
        Err(error) => {
            // A line of the function's own may have a text that looks like one of ours.
            let starts = memmem::find(line.get(..256).unwrap_or(line), b"\"type\"").is_some();
            if !starts {
                return Ok(None);
            }
            Err(if error.is_data() { Fault::Shape } else { Fault::Json })
        }
    }
}

impl Envelope<'_> {
    /// Whether the platform wrote it.
    pub fn is_platform(&self) -> bool {
        self.kind.as_deref().is_some_and(|kind| kind.starts_with("platform."))
    }

    /// What it says, where it says something about runs and inits.
    ///
    /// # Errors
    /// A report without a request, a duration or with numbers out of range.
    pub fn said(&self) -> Result<Option<Said<'_>>, Fault> {
        let Some(fields) = self.record.0.as_deref() else {
            let is_report = self.kind.as_deref() == Some("platform.report");
            return if is_report { Err(Fault::Shape) } else { Ok(None) };
        };
        let said = self.event(fields)?;
        Ok(said.map(|event| Said {
            at: self.time.as_deref().and_then(|time| crate::time::whole_iso(time.as_bytes())),
            function: fields.function_name.as_deref(),
            event,
        }))
    }

    fn event<'e>(&'e self, record: &'e Fields<'_>) -> Result<Option<Event<'e>>, Fault> {
        let id = || {
            let found = record.request_id.as_deref().map(str::as_bytes);
            found.and_then(text::id).ok_or(Fault::RequestId)
        };
        let status = || record.status();
        Ok(Some(match self.kind.as_deref().unwrap_or_default() {
            "platform.report" => Event::Report(record.report(id()?)?),
            "platform.start" => Event::Start { id: id()? },
            "platform.runtimeDone" => Event::End { id: id()?, status: status() },
            "platform.initStart" | "platform.restoreStart" => {
                let provisioned =
                    record.initialization_type.as_deref() == Some("provisioned-concurrency");
                // An init within the invocation is no new environment.
                if record.phase.as_deref() == Some("invoke") {
                    return Ok(None);
                }
                Event::InitStart(if provisioned {
                    InitKind::Provisioned
                } else {
                    InitKind::OnDemand
                })
            }
            "platform.initReport" => Event::InitReport {
                duration: record
                    .metrics
                    .as_ref()
                    .and_then(|metrics| metrics.duration_ms)
                    .map_or(Err(Fault::Duration), micros)?,
                status: status(),
                in_invoke: record.phase.as_deref() == Some("invoke"),
            },
            "platform.restoreReport" => Event::RestoreReport,
            "platform.logsDropped" => Event::Dropped(count(record.dropped_records)),
            "platform.invokeStart"
            | "platform.invokeSummary"
            | "platform.invokeReport"
            | "platform.requestComplete" => Event::ManyAtOnce,
            _ => return Ok(None),
        }))
    }
}

impl Fields<'_> {
    fn status(&self) -> Status {
        let kind = self.error_type.as_deref().map(str::as_bytes);
        self.status.as_deref().map_or(Status::Unknown, |status| Status::of(status.as_bytes(), kind))
    }

    fn report<'e>(&'e self, id: &'e str) -> Result<Report<'e>, Fault> {
        let metrics = self.metrics.as_ref().ok_or(Fault::Duration)?;
        let trace_id = self.tracing.as_ref().and_then(|tracing| tracing.value.as_deref());
        Ok(Report {
            id,
            duration: micros(metrics.duration_ms.ok_or(Fault::Duration)?)?,
            billed_ms: metrics.billed_duration_ms.map(micros).transpose()?.map(|us| us / 1_000),
            memory_mb: metrics.memory_size_mb.map(whole).transpose()?,
            max_memory_mb: metrics.max_memory_used_mb.map(whole).transpose()?,
            init: metrics.init_duration_ms.map(micros).transpose()?,
            restore: metrics.restore_duration_ms.map(micros).transpose()?,
            status: self.status(),
            trace_id: trace_id.and_then(root_of),
        })
    }
}

/// `Root` of an `X-Amzn-Trace-Id`.
fn root_of(value: &str) -> Option<&str> {
    value.split(';').find_map(|part| part.strip_prefix("Root=")).filter(|root| root.len() <= 128)
}

/// Milliseconds in µs, rounded.
#[allow(clippy::cast_possible_truncation)] // The range is checked.
pub(super) fn micros(millis: f64) -> Result<i64, Fault> {
    let fits = (0.0..1e13).contains(&millis);
    fits.then(|| (millis * 1_000.0).round() as i64).ok_or(Fault::Number)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // The range is checked.
pub(super) fn whole(value: f64) -> Result<u32, Fault> {
    (0.0..f64::from(u32::MAX)).contains(&value).then_some(value as u32).ok_or(Fault::Number)
}

fn count(value: Option<f64>) -> u64 {
    value.and_then(|value| whole(value).ok()).map_or(1, u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "459921b5-681c-4a96-beb0-81e0aa586026";

    fn check(line: &str, expected: &Event<'_>) {
        assert!(may_hold(line.as_bytes()));
        let envelope = parse(line.as_bytes()).unwrap().unwrap();
        assert_eq!(&envelope.said().unwrap().unwrap().event, expected, "{line}");
    }

    #[test]
    fn a_report_with_everything() {
        let line = format!(
            r#"{{ "time" : "2022-10-21T14:05:05.766Z", "type": "platform.report", "record": {{"requestId": "{ID}", "metrics": {{"durationMs": 2599.4, "billedDurationMs": 2600, "memorySizeMB": 128, "maxMemoryUsedMB": 94, "initDurationMs": 549.04, "restoreDurationMs": 1}}, "spans": [], "tracing": {{"spanId": "2", "type": "X-Amzn-Trace-Id", "value": "Root=1-6352a70e-1e2c502e358361800241fd45;Parent=35465b3a9e2f7c6a;Sampled=1"}}, "status": "timeout", "x": [{{}}]}}}}"#
        );
        let envelope = parse(line.as_bytes()).unwrap().unwrap();
        let said = envelope.said().unwrap().unwrap();
        assert_eq!(said.at, Some(1_666_361_105_766_000));
        let expected = Report {
            id: ID,
            duration: 2_599_400,
            billed_ms: Some(2_600),
            memory_mb: Some(128),
            max_memory_mb: Some(94),
            init: Some(549_040),
            restore: Some(1_000),
            status: Status::TimeOut,
            trace_id: Some("1-6352a70e-1e2c502e358361800241fd45"),
        };
        assert_eq!(said.event, Event::Report(expected));
    }

    #[test]
    fn reports_that_carry_a_duration_alone() {
        let line = format!(
            r#"{{"type":"platform.report","record":{{"requestId":"{ID}","status":"success","metrics":{{"durationMs":1.148}}}}}}"#
        );
        let report =
            Report { id: ID, duration: 1_148, status: Status::Success, ..Report::default() };
        check(&line, &Event::Report(report));
    }

    #[test]
    fn the_other_events() {
        for (line, event) in [
            (
                r#"{"type":"platform.initStart","record":{"initializationType":"on-demand","phase":"init"}}"#,
                Event::InitStart(InitKind::OnDemand),
            ),
            (
                r#"{"type":"platform.initStart","record":{"initializationType":"provisioned-concurrency"}}"#,
                Event::InitStart(InitKind::Provisioned),
            ),
            (
                r#"{"type":"platform.restoreStart","record":{}}"#,
                Event::InitStart(InitKind::OnDemand),
            ),
            (
                r#"{"type":"platform.restoreReport","record":{"status":"failure"}}"#,
                Event::RestoreReport,
            ),
            (
                r#"{"type":"platform.start","record":{"requestId":"a","version":"1"}}"#,
                Event::Start { id: "a" },
            ),
            (
                r#"{"type":"platform.runtimeDone","record":{"requestId":"a","status":"failure","errorType":"Runtime.ExitError"}}"#,
                Event::End { id: "a", status: Status::Crash },
            ),
            (
                r#"{"type":"platform.runtimeDone","record":{"requestId":"a","status":"error","errorType":"ValueError"}}"#,
                Event::End { id: "a", status: Status::Error },
            ),
            (
                r#"{"type":"platform.initReport","record":{"phase":"invoke","metrics":{"durationMs":500.0}}}"#,
                Event::InitReport { duration: 500_000, status: Status::Unknown, in_invoke: true },
            ),
            (
                r#"{"type":"platform.logsDropped","record":{"reason":"BufferFull","droppedRecords":7}}"#,
                Event::Dropped(7),
            ),
            (r#"{"type":"platform.invokeSummary","record":{}}"#, Event::ManyAtOnce),
        ] {
            check(line, &event);
        }
    }

    #[test]
    fn records_that_are_texts_and_other_json() {
        for line in [
            r#"{"time":"2023-11-28T12:00:09Z","type":"function","record":"says \"platform.report\""}"#,
            r#"{"type":"platform.fault","record":"RequestId: a"}"#,
            r#"{"type":"platform.extension","record":{"name":"x","state":"Ready","events":["SHUTDOWN"]}}"#,
            r#"{"level":"INFO","message":"platform.report"}"#,
            r#"{"type":"platform.x","record":[1,{}]}"#,
            r#"{"type":"platform.x","record":null}"#,
        ] {
            let said = parse(line.as_bytes()).unwrap();
            assert!(said.is_none_or(|said| said.said().unwrap().is_none()), "{line}");
        }
    }

    #[test]
    fn what_is_cut_or_wrong() {
        for (line, fault) in [
            (r#"{"type":"platform.report","record":{"requestId":"a","metr"#, Fault::Json),
            (r#"{"type":"platform.report","record":{"requestId":7}}"#, Fault::Shape),
            (
                r#"{"type":"platform.report","record":{"metrics":{"durationMs":1}}}"#,
                Fault::RequestId,
            ),
            (r#"{"type":"platform.report","record":{"requestId":"a"}}"#, Fault::Duration),
            (
                r#"{"type":"platform.report","record":{"requestId":"a","metrics":{}}}"#,
                Fault::Duration,
            ),
            (
                r#"{"type":"platform.report","record":{"requestId":"a","metrics":{"durationMs":-1}}}"#,
                Fault::Number,
            ),
            (
                r#"{"type":"platform.report","record":{"requestId":"a","metrics":{"durationMs":1e300}}}"#,
                Fault::Number,
            ),
            (r#"{"type":"platform.initReport","record":{}}"#, Fault::Duration),
        ] {
            let found = parse(line.as_bytes())
                .and_then(|found| found.unwrap().said().map(|_| ()))
                .unwrap_err();
            assert_eq!(found, fault, "{line}");
        }
        let deep = format!(r#"{{"type":"platform.report","record":{}"#, "[".repeat(100_000));
        assert_eq!(parse(deep.as_bytes()).unwrap_err(), Fault::Json);
    }
}
