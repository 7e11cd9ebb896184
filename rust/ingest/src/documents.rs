//! JSON documents of any size as rows of text: telemetry, metrics, audit records, dumps of queues.
//!
//! A [`Plan`] says where rows are and which values of them are wanted:
//!
//! * `Records[]`: a row per element of `Records`; `a[].b[]` per element of the `b` of each;
//! * `Records[].x.y`: a value of the row, or of an element around it;
//! * `x@name`: the element of the array `x` whose `key`, `field`, `name` or `Name` is `name`: its value
//!   where it has one, else itself;
//! * `x#`: how many bytes the text `x` has;
//! * `x!`: the JSON that stands in the text `x`.
//!
//! A document may also be an array of documents, or be one of many in a row or line by line. Elements of
//! the outermost array are read one by one, so that memory does not grow with the document. Where an
//! array is expected and an object found, the elements of its values are taken.

use std::borrow::Cow;
use std::fmt;
use std::io::Read;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::ReadError;
use crate::source;

/// One step into a value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Named(String),
    Length,
    Parsed,
}

/// A wanted value: how deep the element is that it is part of, and the steps from there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    level: usize,
    steps: Vec<Step>,
}

/// Where rows and their values are.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Steps to each array on the way to the rows, and from the last one to what the row is.
    levels: Vec<Vec<Step>>,
    last: Vec<Step>,
    wanted: Vec<Wanted>,
}

fn steps_of(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        // A name after @ may hold dots, so it is cut out before the path is taken apart.
        let mut part = part;
        let mut after = Vec::new();
        while let Some(mark) = part.chars().last().filter(|mark| "#!".contains(*mark)) {
            after.push(if mark == '#' { Step::Length } else { Step::Parsed });
            part = &part[..part.len() - 1];
        }
        match part.split_once('@') {
            Some((key, name)) => {
                steps.push(Step::Key(key.to_owned()));
                steps.push(Step::Named(name.replace('|', ".")));
            }
            None => steps.push(Step::Key(part.to_owned())),
        }
        steps.extend(after.into_iter().rev());
    }
    steps
}

impl Plan {
    /// Rows at a path, and the paths of the values wanted. A dot in a name after `@` is written `|`.
    pub fn new(rows: &str, columns: &[String]) -> Self {
        let parts: Vec<&str> = rows.split("[]").collect();
        let (last, arrays) = parts.split_last().unwrap_or((&"", &[]));
        let mut prefixes = vec![String::new()];
        for part in arrays {
            let before = prefixes.last().cloned().unwrap_or_default();
            prefixes.push(format!("{before}{part}[]"));
        }
        let row = format!("{}{last}", prefixes.last().cloned().unwrap_or_default());
        let wanted = columns
            .iter()
            .map(|path| {
                if let Some(rest) = path.strip_prefix(&row).filter(|_| !row.is_empty()) {
                    return Wanted { level: prefixes.len(), steps: steps_of(rest) };
                }
                let (level, prefix) = prefixes
                    .iter()
                    .enumerate()
                    .rev()
                    .find(|(_, prefix)| path.starts_with(prefix.as_str()))
                    .unwrap_or((0, &prefixes[0]));
                Wanted { level, steps: steps_of(&path[prefix.len()..]) }
            })
            .collect();
        Self {
            levels: arrays.iter().map(|part| steps_of(part)).collect(),
            last: steps_of(last),
            wanted,
        }
    }
}

/// Rows as columns of text.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// A column per wanted value.
    pub columns: Vec<Vec<Option<String>>>,
}

impl Table {
    /// Rows.
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Reads all documents of a source, and gives rows `batch` at a time.
///
/// # Errors
/// It cannot be read or unpacked, or is no JSON from some place on; or the sink wants no more.
pub fn read(
    source: impl Read,
    plan: &Plan,
    batch: usize,
    sink: &mut dyn FnMut(Table) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut state = State { plan, batch, sink, table: empty(plan), error: None };
    let reader = source::open(source)?;
    let mut documents = serde_json::Deserializer::from_reader(reader);
    let done = loop {
        match documents.end() {
            Ok(()) => break Ok(()),
            Err(error) if error.is_io() => break Err(state.told(error)),
            Err(_) => {}
        }
        if let Err(error) = Outer(&mut state).deserialize(&mut documents) {
            break Err(state.told(error));
        }
    };
    match done {
        Err(ReadError::Stopped) => Err(ReadError::Stopped),
        done => done.and(state.flush()),
    }
}

fn empty(plan: &Plan) -> Table {
    Table { columns: vec![Vec::new(); plan.wanted.len()] }
}

struct State<'p, 's> {
    plan: &'p Plan,
    batch: usize,
    sink: &'s mut dyn FnMut(Table) -> Result<(), ReadError>,
    table: Table,
    error: Option<ReadError>,
}

impl State<'_, '_> {
    fn told(&mut self, error: serde_json::Error) -> ReadError {
        self.error.take().unwrap_or_else(|| match ReadError::json(error) {
            ReadError::Io(error) => source::told(error),
            other => other,
        })
    }

    fn flush(&mut self) -> Result<(), ReadError> {
        let table = std::mem::replace(&mut self.table, empty(self.plan));
        if table.is_empty() { Ok(()) } else { (self.sink)(table) }
    }

    fn rows<E: serde::de::Error>(&mut self, elements: &mut Vec<Cow<'_, Value>>) -> Result<(), E> {
        self.descend(elements).map_err(|error| {
            self.error = Some(error);
            E::custom("stopped")
        })
    }

    /// `elements` are the root and one element per level so far.
    fn descend(&mut self, elements: &mut Vec<Cow<'_, Value>>) -> Result<(), ReadError> {
        let plan = self.plan;
        let depth = elements.len() - 1;
        let Some(steps) = plan.levels.get(depth) else {
            return self.row(elements);
        };
        let element = elements[depth].clone();
        let Some(array) = follow(&element, steps) else { return Ok(()) };
        for value in members(&array) {
            elements.push(Cow::Owned(value.clone()));
            let done = self.descend(elements);
            elements.pop();
            done?;
        }
        Ok(())
    }

    fn row(&mut self, elements: &[Cow<'_, Value>]) -> Result<(), ReadError> {
        let plan = self.plan;
        let row = elements.last().and_then(|element| follow(element, &plan.last));
        for (column, wanted) in self.table.columns.iter_mut().zip(&plan.wanted) {
            let element = match elements.get(wanted.level) {
                Some(element) => Some(element),
                None => row.as_ref(),
            };
            let value = element.and_then(|element| follow(element, &wanted.steps));
            column.push(value.and_then(|value| text(&value)));
        }
        if self.table.len() >= self.batch { self.flush() } else { Ok(()) }
    }
}

/// Elements of an array; of an object, those of the arrays in it.
fn members(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        Value::Object(map) => map
            .values()
            .flat_map(|value| match value {
                Value::Array(values) => values.iter().collect(),
                other => vec![other],
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn follow<'v>(value: &'v Value, steps: &[Step]) -> Option<Cow<'v, Value>> {
    let mut found = Cow::Borrowed(value);
    for step in steps {
        found = match found {
            Cow::Borrowed(value) => one_step(value, step)?,
            Cow::Owned(value) => Cow::Owned(one_step(&value, step)?.into_owned()),
        };
    }
    Some(found)
}

fn one_step<'v>(value: &'v Value, step: &Step) -> Option<Cow<'v, Value>> {
    match step {
        Step::Key(key) => value.get(key).map(Cow::Borrowed),
        Step::Length => value.as_str().map(|text| Cow::Owned(Value::from(text.len()))),
        Step::Parsed => match value {
            Value::String(text) => serde_json::from_str(text).ok().map(Cow::Owned),
            other => Some(Cow::Borrowed(other)),
        },
        Step::Named(name) => {
            let is_named = |element: &&Value| {
                ["key", "field", "name", "Name"]
                    .iter()
                    .any(|key| element.get(key).and_then(Value::as_str) == Some(name))
            };
            let element = value.as_array()?.iter().find(is_named)?;
            let inner = element.get("value").or_else(|| element.get("Value")).unwrap_or(element);
            Some(Cow::Borrowed(typed(inner)))
        }
    }
}

/// OTLP wraps a value in an object that names its type.
fn typed(value: &Value) -> &Value {
    let wrapped = value
        .as_object()
        .filter(|map| map.len() == 1)
        .and_then(|map| map.iter().find(|(key, _)| key.ends_with("Value")).map(|(_, inner)| inner));
    wrapped.unwrap_or(value)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// A document, or an array of them.
struct Outer<'a, 'p, 's>(&'a mut State<'p, 's>);

impl<'de> DeserializeSeed<'de> for Outer<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Outer<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object or an array of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(document) = seq.next_element::<Value>()? {
            self.0.rows(&mut vec![Cow::Owned(document)])?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let streamed = match self.0.plan.levels.first().map(Vec::as_slice) {
            Some([Step::Key(key)]) => Some(key.clone()),
            _ => None,
        };
        let mut root = serde_json::Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if streamed.as_ref() == Some(&key) {
                map.next_value_seed(Elements(self.0, &root))?;
            } else if streamed.is_some() {
                // Values around the rows may be wanted; long ones are not.
                match map.next_value::<Value>()? {
                    Value::Array(_) | Value::Object(_) => {}
                    value => {
                        root.insert(key, value);
                    }
                }
            } else {
                root.insert(key, map.next_value()?);
            }
        }
        if streamed.is_none() {
            self.0.rows(&mut vec![Cow::Owned(Value::Object(root))])?;
        }
        Ok(())
    }
}

/// The outermost array, element by element.
struct Elements<'a, 'p, 's>(&'a mut State<'p, 's>, &'a serde_json::Map<String, Value>);

impl<'de> DeserializeSeed<'de> for Elements<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let root = Value::Object(self.1.clone());
        while let Some(element) = seq.next_element::<Value>()? {
            self.0.rows(&mut vec![Cow::Borrowed(&root), Cow::Owned(element)])?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let root = Value::Object(self.1.clone());
        while map.next_key::<IgnoredAny>()?.is_some() {
            let value: Value = map.next_value()?;
            let one = Value::Array(vec![value.clone()]);
            for element in members(if value.is_array() { &value } else { &one }) {
                self.0.rows(&mut vec![Cow::Borrowed(&root), Cow::Borrowed(element)])?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(
        source: &str,
        path: &str,
        columns: &[&str],
    ) -> Result<Vec<Vec<Option<String>>>, ReadError> {
        let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
        let plan = Plan::new(path, &columns);
        let mut found = Vec::new();
        read(source.as_bytes(), &plan, 2, &mut |table: Table| {
            for row in 0..table.len() {
                found.push(table.columns.iter().map(|column| column[row].clone()).collect());
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn some(values: &[&str]) -> Vec<Option<String>> {
        values.iter().map(|value| (!value.is_empty()).then(|| (*value).to_owned())).collect()
    }

    #[test]
    fn rows_and_values_around_them() {
        let text = r#"{"owner":"me","Records":[{"a":1,"b":[{"c":"x"},{"c":null}]},{"a":true,"b":[{"c":{"d":2}}]}]}"#;
        let found =
            rows(text, "Records[].b[]", &["owner", "Records[].a", "Records[].b[].c"]).unwrap();
        let expected =
            [some(&["me", "1", "x"]), some(&["me", "1", ""]), some(&["me", "true", r#"{"d":2}"#])];
        assert_eq!(found, expected);
        let expected = [some(&["1"]), some(&["true"])];
        for other in [
            text.to_owned(),
            format!("[{text}]"),
            text.replace("},{\"a\":true", "}]}\n{\"Records\":[{\"a\":true"),
        ] {
            assert_eq!(rows(&other, "Records[]", &["Records[].a"]).unwrap(), expected, "{other}");
        }
    }

    #[test]
    fn lookups_lengths_and_documents_in_texts() {
        let text = r#"{"attributes":[{"key":"faas.name","value":{"stringValue":"f"}},{"key":"n","value":{"intValue":"7"}}],
            "subsegments":[{"name":"Initialization","start_time":1.5}],"body":"abc","Document":"{\"id\":\"x\"}"}"#;
        let columns = [
            "attributes@faas|name",
            "attributes@n",
            "attributes@x",
            "subsegments@Initialization.start_time",
            "body#",
            "Document!.id",
            "body!.id",
        ];
        let found = rows(text, "", &columns).unwrap();
        assert_eq!(found, [some(&["f", "7", "", "1.5", "3", "x", ""])]);
        let text = r#"{"Traces":[{"Id":"t","Segments":[{"Document":"{\"a\":1}"},{"Document":"no JSON"}]}]}"#;
        let found = rows(
            text,
            "Traces[].Segments[].Document!",
            &["Traces[].Id", "Traces[].Segments[].Document!.a"],
        );
        assert_eq!(found.unwrap(), [some(&["t", "1"]), some(&["t", ""])]);
    }

    #[test]
    fn objects_of_arrays_and_other_things() {
        let text = r#"{"records":{"t-0":[{"v":1},{"v":2}],"t-1":[{"v":3}]}}"#;
        assert_eq!(
            rows(text, "records[]", &["records[].v"]).unwrap(),
            [some(&["1"]), some(&["2"]), some(&["3"])]
        );
        assert!(
            rows(r#"{"records":null} {} [] {"x":[1]}"#, "records[]", &["records[].v"])
                .unwrap()
                .is_empty()
        );
        assert_eq!(rows("[1,2]", "", &["x"]).unwrap(), [some(&[""]), some(&[""])]);
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        for (text, line, is_cut) in [("{\"a\":1}\n{\"a\":", 2, true), ("{\"a\":1}\nx", 2, false)] {
            match rows(text, "", &["a"]) {
                Err(ReadError::Json { line: found, cut, .. }) => {
                    assert_eq!((found, cut), (line, is_cut));
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(rows(&"[".repeat(100_000), "", &["a"]).is_err());
        assert!(rows("3", "", &["a"]).is_err());
    }
}
