//! Bytes of a source, unpacked where they are packed, and its lines.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use crate::ReadError;

const BUFFER: usize = 128 << 10;
/// The longest line that is looked at: CloudWatch cuts events at 256 KB, and JSON may escape every byte.
pub const LONGEST_LINE: usize = 4 << 20;
/// What comes out of a packed log is tens of times larger; a thousand times is no log.
const BOMB_RATIO: u64 = 1_000;
/// Below this size nothing is called a bomb.
const BOMB_BYTES: u64 = 256 << 20;

/// Counts what is read through it.
struct Counted<R> {
    inner: R,
    count: std::rc::Rc<std::cell::Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}

/// A bomb, as an error that passes through [`Read`].
#[derive(Debug, thiserror::Error)]
#[error("{unpacked} bytes came out of {packed}")]
struct BombFound {
    packed: u64,
    unpacked: u64,
}

/// Unpacks gzip, several members included, and watches what comes out.
struct Unpacked<R: Read> {
    inner: MultiGzDecoder<BufReader<Counted<R>>>,
    packed: std::rc::Rc<std::cell::Cell<u64>>,
    out: u64,
    harmless: u64,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.out += read as u64;
        let (packed, unpacked) = (self.packed.get(), self.out);
        if unpacked > self.harmless && unpacked / packed.max(1) > BOMB_RATIO {
            return Err(io::Error::other(BombFound { packed, unpacked }));
        }
        Ok(read)
    }
}

impl From<&BombFound> for ReadError {
    fn from(found: &BombFound) -> Self {
        Self::Bomb { packed: found.packed, unpacked: found.unpacked }
    }
}

/// An error of reading, with a bomb told apart.
pub(crate) fn told(error: io::Error) -> ReadError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<BombFound>()) {
        Some(found) => found.into(),
        None => ReadError::Io(error),
    }
}

/// Opens a source: gzip is told by its first bytes, a byte order mark is left out.
///
/// # Errors
/// The first bytes cannot be read.
pub fn open<'a>(source: impl Read + 'a) -> Result<Box<dyn BufRead + 'a>, ReadError> {
    open_below(source, BOMB_BYTES)
}

fn open_below<'a>(
    source: impl Read + 'a,
    harmless: u64,
) -> Result<Box<dyn BufRead + 'a>, ReadError> {
    let count = std::rc::Rc::new(std::cell::Cell::new(0));
    let counted = Counted { inner: source, count: count.clone() };
    let mut reader = BufReader::with_capacity(BUFFER, counted);
    let mut opened: Box<dyn BufRead + 'a> = if reader.fill_buf()?.starts_with(b"\x1f\x8b") {
        let inner = MultiGzDecoder::new(reader);
        let unpacked = Unpacked { inner, packed: count, out: 0, harmless };
        Box::new(BufReader::with_capacity(BUFFER, unpacked))
    } else {
        Box::new(reader)
    };
    if opened.fill_buf().map_err(told)?.starts_with(b"\xef\xbb\xbf") {
        opened.consume(3);
    }
    Ok(opened)
}

/// One line of a source.
pub enum Line<'a> {
    /// Without its end.
    Whole(&'a [u8]),
    /// Longer than [`LONGEST_LINE`]: its beginning.
    TooLong(&'a [u8]),
}

/// Lines of a source, in a buffer that does not grow with it.
pub struct Lines<R> {
    reader: R,
    /// A line that did not fit into one filling of the reader.
    kept: Vec<u8>,
    /// How much of the reader's buffer the last line took.
    taken: usize,
}

impl<R: BufRead> Lines<R> {
    /// Lines of `reader`.
    pub fn new(reader: R) -> Self {
        Self { reader, kept: Vec::new(), taken: 0 }
    }

    /// The next line, or none at the end. The last one may lack its end.
    ///
    /// # Errors
    /// Reading or unpacking failed.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>, ReadError> {
        self.reader.consume(std::mem::take(&mut self.taken));
        self.kept.clear();
        let mut too_long = false;
        loop {
            let buffer = self.reader.fill_buf().map_err(told)?;
            if buffer.is_empty() {
                if self.kept.is_empty() {
                    return Ok(None);
                }
                break;
            }
            let end = memchr::memchr(b'\n', buffer);
            if let (Some(end), true) = (end, self.kept.is_empty()) {
                // The borrow checker wants the buffer anew; it is the same one.
                self.taken = end + 1;
                let line = &self.reader.fill_buf().map_err(told)?[..end];
                return Ok(Some(Line::Whole(without_return(line))));
            }
            let piece = end.unwrap_or(buffer.len());
            let room = LONGEST_LINE - self.kept.len();
            too_long |= piece > room;
            self.kept.extend_from_slice(&buffer[..piece.min(room)]);
            self.reader.consume(piece + usize::from(end.is_some()));
            if end.is_some() {
                break;
            }
        }
        let line = without_return(&self.kept);
        Ok(Some(if too_long { Line::TooLong(line) } else { Line::Whole(line) }))
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn lines(bytes: &[u8], capacity: usize) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(BufReader::with_capacity(capacity, bytes));
        let mut found = Vec::new();
        while let Some(Line::Whole(line) | Line::TooLong(line)) = lines.next_line().unwrap() {
            found.push(line.to_vec());
        }
        found
    }

    #[test]
    fn lines_do_not_depend_on_the_buffer() {
        let text = b"one\r\ntwo\n\nthree \r four\nlast";
        for capacity in 1..40 {
            let found = lines(text, capacity);
            assert_eq!(found, [&b"one"[..], b"two", b"", b"three \r four", b"last"], "{capacity}");
        }
        assert!(lines(b"", 4).is_empty());
        // A line that was begun with nothing in it and never ended is none.
        assert_eq!(lines(b"a\n", 1), [b"a"]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let text = vec![b'x'; LONGEST_LINE + 10];
        let mut lines = Lines::new(BufReader::new(&text[..]));
        match lines.next_line().unwrap() {
            Some(Line::TooLong(line)) => assert_eq!(line.len(), LONGEST_LINE),
            _ => panic!("the line is too long"),
        }
        assert!(lines.next_line().unwrap().is_none());
    }

    fn packed(parts: &[&[u8]]) -> Vec<u8> {
        let mut all = Vec::new();
        for part in parts {
            let mut encoder = GzEncoder::new(&mut all, Compression::fast());
            encoder.write_all(part).unwrap();
            encoder.finish().unwrap();
        }
        all
    }

    #[test]
    fn gzip_of_several_members_is_one_text() {
        let bytes = packed(&[b"\xef\xbb\xbfone\n", b"two\n"]);
        let mut text = String::new();
        open(&bytes[..]).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "one\ntwo\n");
    }

    #[test]
    fn cut_gzip_is_an_error() {
        let bytes = packed(&[b"one\ntwo\nthree\n"]);
        let mut text = Vec::new();
        assert!(open(&bytes[..bytes.len() - 9]).unwrap().read_to_end(&mut text).is_err());
    }

    #[test]
    fn a_bomb_is_told() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![0; 8 << 20]).unwrap();
        let bytes = encoder.finish().unwrap();
        let mut reader = open_below(&bytes[..], 1 << 20).unwrap();
        let error = told(reader.read_to_end(&mut Vec::new()).unwrap_err());
        let ReadError::Bomb { packed, unpacked } = error else { panic!("{error}") };
        assert!(unpacked > packed * 1_000);
    }
}
