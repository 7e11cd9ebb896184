//! JSON documents that hold messages: answers of `filter-log-events`, `get-log-events` and
//! `get-query-results`, payloads of subscriptions (through Firehose and Kinesis too), batches of the
//! Telemetry API. One behind the other, one per line or all in an array; documents of any size are read
//! event by event.

use std::borrow::Cow;
use std::fmt;
use std::io::{BufRead, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value;

use super::Place;
use super::event::{Fault, Message};
use super::insights::{Row, Rows, instant};
use super::join::Joiner;
use crate::ReadError;
use crate::source::LONGEST_LINE;

/// Keys of documents that hold several messages.
pub const CONTAINER_KEYS: [&str; 7] =
    ["logEvents", "messageType", "events", "results", "awslogs", "Records", "records"];

/// Reads documents to the end.
///
/// # Errors
/// As [`super::read`].
pub fn read(reader: impl BufRead, place: &Place, joiner: &mut Joiner<'_>) -> Result<(), ReadError> {
    let mut state = State { joiner, place, number: 0, error: None };
    let mut documents = serde_json::Deserializer::from_reader(reader);
    loop {
        match documents.end() {
            Ok(()) => return Ok(()),
            Err(error) if error.is_io() => return Err(state.told(error)),
            // Another document.
            Err(_) => {}
        }
        if let Err(error) = Document(&mut state, 0).deserialize(&mut documents) {
            return Err(state.told(error));
        }
    }
}

struct State<'j, 's, 'p> {
    joiner: &'j mut Joiner<'s>,
    place: &'p Place,
    /// Messages so far.
    number: u64,
    /// What went wrong on our side, which JSON errors cannot carry.
    error: Option<ReadError>,
}

impl State<'_, '_, '_> {
    fn told(&mut self, error: serde_json::Error) -> ReadError {
        self.error.take().unwrap_or_else(|| match ReadError::json(error) {
            ReadError::Io(error) => crate::source::told(error),
            other => other,
        })
    }

    /// Keeps an error of ours, and stops the parser.
    fn stop<T, E: serde::de::Error>(&mut self, done: Result<T, ReadError>) -> Result<T, E> {
        done.map_err(|error| {
            self.error = Some(error);
            E::custom("stopped")
        })
    }

    fn message(&mut self, named: &Names, event: &Event) -> Result<(), ReadError> {
        self.number += 1;
        self.joiner.tally().lines += 1;
        let first = |texts: [&Option<String>; 2], last: Option<&str>| {
            let found = texts.into_iter().find_map(|text| text.as_deref()).or(last);
            found.map(|text| Cow::Owned(text.to_owned()))
        };
        let text = match &event.message {
            Some(Value::String(text)) => Cow::Borrowed(&**text),
            Some(value) => Cow::Owned(value.to_string()),
            None => Cow::Borrowed(""),
        };
        let message = Message {
            at: event.timestamp.as_ref().and_then(at),
            group: first([&event.group, &named.group], self.place.group.as_deref()),
            stream: first([&event.stream, &named.stream], self.place.stream.as_deref()),
            owner: first([&named.owner, &None], None),
            text: text.as_bytes(),
        };
        self.joiner.message(self.number, &message)
    }

    /// A payload of a subscription within a record: base64, and packed by whoever sent it.
    fn packed(&mut self, data: &str, depth: u8) -> Result<(), ReadError> {
        let Some(bytes) = unpacked(data) else {
            self.number += 1;
            return self.joiner.bad(self.number, Fault::Packed, data.as_bytes());
        };
        let mut documents = serde_json::Deserializer::from_slice(&bytes);
        while documents.end().is_err() {
            if Document(self, depth).deserialize(&mut documents).is_err() {
                if let Some(error) = self.error.take() {
                    return Err(error);
                }
                self.number += 1;
                return self.joiner.bad(self.number, Fault::Packed, &bytes);
            }
        }
        Ok(())
    }
}

fn unpacked(data: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(data.trim()).ok()?;
    if !bytes.starts_with(b"\x1f\x8b") {
        return Some(bytes);
    }
    let mut plain = Vec::new();
    let most = 16 * LONGEST_LINE as u64;
    MultiGzDecoder::new(&bytes[..]).take(most).read_to_end(&mut plain).ok()?;
    Some(plain)
}

fn at(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64()?.checked_mul(1_000),
        Value::String(text) => instant(text),
        _ => None,
    }
}

/// Names that a payload gives for all its messages.
#[derive(Default)]
struct Names {
    owner: Option<String>,
    group: Option<String>,
    stream: Option<String>,
}

/// One message; other keys are passed over.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    #[serde(alias = "@timestamp")]
    timestamp: Option<Value>,
    #[serde(alias = "@message")]
    message: Option<Value>,
    #[serde(rename = "logStreamName", alias = "logStream", alias = "@logStream")]
    stream: Option<String>,
    #[serde(rename = "logGroup", alias = "logGroupName")]
    group: Option<String>,
}

/// A document of any kind, how deep within others.
struct Document<'a, 'j, 's, 'p>(&'a mut State<'j, 's, 'p>, u8);

/// Documents within documents: an array of records of packed payloads.
const DEEPEST: u8 = 4;

impl<'de> DeserializeSeed<'de> for Document<'_, '_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_, '_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a document of log events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self(state, depth) = self;
        if depth >= DEEPEST {
            return Err(A::Error::custom("arrays within arrays"));
        }
        while seq.next_element_seed(Document(state, depth + 1))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(state, depth) = self;
        if depth >= DEEPEST {
            return Err(A::Error::custom("documents within documents"));
        }
        let mut named = Names::default();
        let (mut event, mut events) = (Event::default(), None);
        let (mut kind, mut time, mut record) = (None, None, None);
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            match &*key {
                "events" => map.next_value_seed(Events(state))?,
                "logEvents" => events = map.next_value::<Option<Vec<Event>>>()?,
                "results" => map.next_value_seed(Results(state))?,
                "Records" | "records" => map.next_value_seed(Records(state, depth))?,
                "awslogs" => {
                    let data: Value = map.next_value()?;
                    if let Some(data) = data.get("data").and_then(Value::as_str) {
                        let done = state.packed(data, depth + 1);
                        state.stop(done)?;
                    }
                }
                "messageType" => {
                    let kind: Value = map.next_value()?;
                    state.joiner.tally().control += u64::from(kind == "CONTROL_MESSAGE");
                }
                "owner" => named.owner = text(map.next_value()?),
                "logGroup" | "logGroupName" => named.group = text(map.next_value()?),
                "logStream" | "logStreamName" => named.stream = text(map.next_value()?),
                "timestamp" | "@timestamp" => event.timestamp = map.next_value()?,
                "message" | "@message" => event.message = map.next_value()?,
                "status" => {
                    let status: Value = map.next_value()?;
                    let partial = status.as_str().is_some_and(|status| {
                        ["Running", "Scheduled", "Failed", "Cancelled", "Timeout"].contains(&status)
                    });
                    state.joiner.tally().partial |= partial;
                }
                "type" => kind = text(map.next_value()?),
                "time" => time = text(map.next_value()?),
                "record" => record = Some(map.next_value::<Value>()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let done = match (events, record) {
            (Some(events), _) => events.iter().try_for_each(|event| state.message(&named, event)),
            (None, Some(record))
                if kind.as_deref().is_some_and(|kind| kind.starts_with("platform.")) =>
            {
                let whole = serde_json::json!({"time": time, "type": kind, "record": record});
                let event = Event { message: Some(whole), ..Event::default() };
                state.message(&named, &event)
            }
            _ if event.message.is_some() => state.message(&named, &event),
            _ => Ok(()),
        };
        state.stop(done)
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// Defines a seed that takes an array element by element.
macro_rules! array_seed {
    ($name:ident $(, $depth:ident)?: |$state:ident, $seq:ident| $body:block) => {
        struct $name<'a, 'j, 's, 'p>(&'a mut State<'j, 's, 'p> $(, array_seed!(@ $depth))?);

        impl<'de> DeserializeSeed<'de> for $name<'_, '_, '_, '_> {
            type Value = ();

            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                deserializer.deserialize_any(self)
            }
        }

        impl<'de> Visitor<'de> for $name<'_, '_, '_, '_> {
            type Value = ();

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an array")
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
                Ok(())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut $seq: A) -> Result<(), A::Error> {
                let Self($state $(, $depth)?) = self;
                $body
            }
        }
    };
    (@ $depth:ident) => { u8 };
}

array_seed!(Events: |state, seq| {
    let nobody = Names::default();
    while let Some(event) = seq.next_element::<Event>()? {
        let done = state.message(&nobody, &event);
        state.stop(done)?;
    }
    Ok(())
});

/// A field of a row of Insights.
#[derive(Deserialize)]
struct Field {
    field: String,
    #[serde(default)]
    value: Option<String>,
}

array_seed!(Results: |state, seq| {
    let mut rows = Rows::new(state.place);
    while let Some(fields) = seq.next_element::<Vec<Field>>()? {
        state.number += 1;
        let mut row = Row::new(state.number);
        for Field { field, value } in &fields {
            row.set(field, value.as_deref().unwrap_or_default());
        }
        let done = rows.push(row, state.joiner);
        state.stop(done)?;
    }
    let done = rows.finish(state.joiner);
    state.stop(done)
});

array_seed!(Records, depth: |state, seq| {
    while let Some(record) = seq.next_element::<Value>()? {
        // Kinesis in an event, Kinesis from get-records, Firehose.
        let data = ["/kinesis/data", "/Data", "/data"]
            .iter()
            .find_map(|path| record.pointer(path).and_then(Value::as_str));
        if let Some(data) = data {
            let done = state.packed(data, depth + 1);
            state.stop(done)?;
        }
    }
    Ok(())
});
