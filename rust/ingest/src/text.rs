//! CSV text record by record, where a reader of whole columns would stop at the first bad one.

use csv::{ByteRecord, Reader, ReaderBuilder};

/// Fields above this are a quote that nobody closed.
const LONGEST_FIELD: usize = 1 << 20;

/// Why a record cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It has another number of fields than the header.
    Fields {
        /// Fields of the header.
        expected: usize,
        /// Fields found.
        found: usize,
    },
    /// It is no UTF-8, from this byte of the file on.
    NotUtf8 {
        /// Offset of the record in the file.
        offset: u64,
    },
    /// A field is longer than a MiB: a quote opened on this line swallows what follows.
    Quote {
        /// Line, from 1.
        line: u64,
    },
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fields { expected, found } => {
                write!(out, "{found} fields where the header has {expected}")
            }
            Self::NotUtf8 { offset } => write!(out, "no UTF-8 in the record at byte {offset}"),
            Self::Quote { line } => {
                write!(
                    out,
                    "a field of more than 1 MiB: the quote opened on line {line} is not closed"
                )
            }
        }
    }
}

/// Records of one CSV file.
pub struct Records<R> {
    reader: Reader<R>,
    header: Vec<String>,
    record: ByteRecord,
}

/// One record: its fields as text, as far as they are, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// A field per column of the header; None where it is empty or not there.
    pub fields: Vec<Option<String>>,
    /// None: nothing.
    pub fault: Option<Fault>,
}

impl<R: std::io::Read> Records<R> {
    /// Records of `input`, whose first is the header.
    ///
    /// # Errors
    /// The input cannot be read.
    pub fn new(input: R) -> Result<Self, csv::Error> {
        let mut reader = ReaderBuilder::new().flexible(true).has_headers(true).from_reader(input);
        let header = reader
            .byte_headers()?
            .iter()
            .map(|name| String::from_utf8_lossy(name).trim_start_matches('\u{feff}').to_owned())
            .collect();
        Ok(Self { reader, header, record: ByteRecord::new() })
    }

    /// Names of the columns.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The next record; None at the end.
    ///
    /// # Errors
    /// The input cannot be read.
    pub fn next_record(&mut self) -> Result<Option<Record>, csv::Error> {
        if !self.reader.read_byte_record(&mut self.record)? {
            return Ok(None);
        }
        let (offset, line) =
            self.record.position().map_or((0, 0), |place| (place.byte(), place.line()));
        let mut fault = None;
        if self.record.len() != self.header.len() {
            fault = Some(Fault::Fields { expected: self.header.len(), found: self.record.len() });
        }
        if self.record.iter().any(|field| field.len() > LONGEST_FIELD) {
            fault = Some(Fault::Quote { line });
        }
        let fields = (0..self.header.len())
            .map(|at| {
                let field = self.record.get(at).filter(|field| !field.is_empty())?;
                if let Ok(text) = std::str::from_utf8(field) {
                    return Some(text.to_owned());
                }
                fault.get_or_insert(Fault::NotUtf8 { offset });
                let start = &field[..field.len().min(LONGEST_FIELD)];
                Some(String::from_utf8_lossy(start).into_owned())
            })
            .collect();
        Ok(Some(Record { fields, fault }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<Record> {
        let mut records = Records::new(text).expect("a header");
        std::iter::from_fn(|| records.next_record().expect("bytes in memory can be read")).collect()
    }

    #[test]
    fn good_records_have_no_fault_and_empty_fields_are_none() {
        let found = all(b"a,b\r\n1,\"x,\"\"y\"\r\n,2\n");
        assert!(found.iter().all(|record| record.fault.is_none()));
        assert_eq!(found[0].fields, [Some("1".to_owned()), Some("x,\"y".to_owned())]);
        assert_eq!(found[1].fields, [None, Some("2".to_owned())]);
    }

    #[test]
    fn ragged_and_broken_records_are_told() {
        let found = all(b"a,b\n1\n1,2,3\n1,\xff\n4,5\n");
        let faults: Vec<_> = found.iter().map(|record| record.fault.clone()).collect();
        assert_eq!(
            faults,
            [
                Some(Fault::Fields { expected: 2, found: 1 }),
                Some(Fault::Fields { expected: 2, found: 3 }),
                Some(Fault::NotUtf8 { offset: 12 }),
                None,
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn whatever_bytes_come_every_record_is_told_or_whole(
            text in proptest::collection::vec(proptest::num::u8::ANY, 0..400),
        ) {
            for record in all(&text) {
                let whole = record.fields.iter().filter(|field| field.is_some()).count();
                proptest::prop_assert!(whole <= record.fields.len());
            }
        }

        #[test]
        fn plain_fields_come_back(rows in proptest::collection::vec("[ -!#-+--~]{1,8}", 1..20)) {
            let mut text = "a,b\n".to_owned();
            for row in &rows {
                text += row;
                text += ",x\n";
            }
            for (record, row) in all(text.as_bytes()).iter().zip(&rows) {
                proptest::prop_assert_eq!(record.fields[0].as_ref(), Some(row));
                proptest::prop_assert!(record.fault.is_none());
            }
        }
    }

    #[test]
    fn a_quote_that_swallows_the_file_is_told_by_its_line() {
        let mut text = b"a,b\n1,2\n1,\"open".to_vec();
        text.extend(std::iter::repeat_n(b"3,4\n", 400_000).flatten());
        let found = all(&text);
        assert_eq!(found[1].fault, Some(Fault::Quote { line: 3 }));
    }
}
