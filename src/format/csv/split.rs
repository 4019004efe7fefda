//! The splitter: a stream of bytes cut at record boundaries.
//!
//! It jumps from quote to quote and never looks at a line without one. Memory is bounded by the chunk size plus `MAX_ROW`: a
//! row that is longer is scanned to its end without being kept.

use std::io::{self, Read, Seek, SeekFrom};

use memchr::{memchr, memchr_iter, memrchr};

use super::long::LongScan;
use super::quote::{self, Close};
use super::row::{Cells, Fault, Rows};
use super::{Dialect, MAX_COLUMNS, MAX_ROW, Place, start};
use crate::domain::reject::{FileFault, RejectCode};
use crate::format::encoding::Encoding;

/// How many bytes of a row that is too long are kept to show it.
const SHOWN: usize = 4096;

/// What comes next in the file.
#[derive(Debug)]
pub enum Piece {
    /// Whole rows, in the buffer that was handed in.
    Chunk {
        /// Where they start in the text.
        place: Place,
        /// Where they start in the file as it came, in bytes.
        origin: u64,
    },
    /// A row above `MAX_ROW`.
    TooLong(LongRow),
    /// The file cannot be read further.
    Fault(FileFault),
    /// Nothing.
    End,
}

/// A row above `MAX_ROW`, which was passed over.
#[derive(Debug)]
pub struct LongRow {
    /// Where it starts.
    pub place: Place,
    /// Its length in bytes with the line end.
    pub length: u64,
    /// Its first bytes.
    pub start: Vec<u8>,
}

/// The first row of a file, decoded.
#[derive(Debug)]
pub struct FirstRow {
    /// Where it starts.
    pub place: Place,
    /// Its length in bytes with the line end.
    pub length: u64,
    /// Its cells.
    pub cells: Vec<String>,
}

/// Where a chunk may be cut, when rows belong together: given whole rows, where the last group in them begins (0: nowhere).
pub type GroupStart<'a> = Box<dyn FnMut(&[u8], Place) -> usize + Send + 'a>;

/// Cuts a file into chunks.
pub struct Splitter<'a, R> {
    reader: R,
    dialect: Dialect,
    chunk: usize,
    /// Read, but not handed out; begins with a row.
    carry: Vec<u8>,
    /// Where `carry` begins.
    place: Place,
    /// The reader has no more.
    ended: bool,
    /// Length of the byte order mark.
    mark: u64,
    /// Bytes of blank lines before the first row that were passed over.
    blank: u64,
    groups: Option<GroupStart<'a>>,
    /// How the text is measured in bytes of the file as it came; `None`: it is the file.
    encoding: Option<Encoding>,
    /// Where `carry` begins in the file as it came.
    origin: u64,
}

/// What a look over some bytes that begin with a row has shown.
pub(crate) struct Seen {
    /// The end of the last complete row.
    pub(crate) cut: usize,
    /// The opening quote of a cell that does not end in these bytes.
    open: Option<usize>,
}

impl<'a, R: Read + Seek> Splitter<'a, R> {
    /// Opens a file at its beginning: passes over a byte order mark, refuses UTF-16 and finds out how lines end.
    /// `chunk` is the size of a chunk in bytes, usually.
    ///
    /// # Errors
    /// The outer error is the reader's, the inner one a fault of the file (`bad-encoding`).
    pub fn open(mut reader: R, dialect: Dialect, chunk: usize) -> io::Result<Result<Self, FileFault>> {
        let mut head = Vec::with_capacity(start::LOOK);
        reader.by_ref().take(start::LOOK as u64).read_to_end(&mut head)?;
        let seen = match start::look(&head) {
            Ok(seen) => seen,
            Err(fault) => return Ok(Err(fault)),
        };
        let mark = seen.mark as u64;
        reader.seek(SeekFrom::Start(mark))?;
        Ok(Ok(Self {
            reader,
            dialect: Dialect { line_end: seen.line_end, ..dialect },
            chunk: chunk.max(1),
            carry: Vec::new(),
            place: Place { byte: mark, line: 1 },
            ended: false,
            mark,
            blank: 0,
            groups: None,
            encoding: None,
            origin: mark,
        }))
    }

    /// The text was decoded from a file in this encoding, which had a mark of so many bytes.
    pub fn measure(&mut self, encoding: Option<Encoding>, mark: u64) {
        self.encoding = encoding;
        self.origin += mark;
    }

    /// The length of a part of the text in the file as it came.
    fn measured(&self, text: &[u8]) -> u64 {
        self.encoding.map_or(text.len() as u64, |encoding| encoding.source_len(text))
    }

    /// From now on chunks are cut only where a group begins.
    pub fn keep_together(&mut self, groups: GroupStart<'a>) {
        self.groups = Some(groups);
    }

    /// Where the next piece begins.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Passes over `count` physical lines; the number of bytes.
    ///
    /// # Errors
    /// The reader's.
    pub fn skip_lines(&mut self, count: u32) -> io::Result<u64> {
        let begin = self.origin;
        for _ in 0..count {
            let end = loop {
                match memchr(self.dialect.line_end, &self.carry) {
                    Some(end) => break end + 1,
                    None if self.ended || self.carry.len() > MAX_ROW => break self.carry.len(),
                    None => {
                        let mut carry = std::mem::take(&mut self.carry);
                        self.fill(&mut carry)?;
                        self.carry = carry;
                    }
                }
            };
            self.advance(end);
        }
        Ok(self.origin - begin)
    }

    /// The dialect with the line end that was found.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Length of the byte order mark in bytes.
    pub fn mark(&self) -> u64 {
        self.mark
    }

    /// Decodes the first row; `take`: the chunks begin behind it (a header), otherwise with it. `None`: there is none.
    ///
    /// # Errors
    /// The outer error is the reader's, the inner one a fault of the file.
    pub fn first_row(&mut self, take: bool) -> io::Result<Result<Option<FirstRow>, FileFault>> {
        let mut cells = Cells::default();
        loop {
            let seen = self.look(&self.carry);
            if let Some((found, first)) = self.decode_first(seen.cut, &mut cells) {
                let first = match first {
                    Ok(first) => first,
                    Err(fault) => return Ok(Err(fault)),
                };
                let (start, next) = found;
                self.blank += self.measured(self.carry.get(..start).unwrap_or_default());
                self.advance(if take { next } else { start });
                return Ok(Ok(Some(first)));
            }
            // Only blank lines so far.
            self.blank += self.measured(self.carry.get(..seen.cut).unwrap_or_default());
            self.advance(seen.cut);
            if self.carry.len() > MAX_ROW {
                return Ok(Err(self.fault(
                    RejectCode::RowTooLong,
                    0,
                    "the first row is longer than 16 MiB".to_owned(),
                )));
            }
            if self.ended {
                return Ok(match seen.open {
                    Some(open) => Err(self.unclosed(&self.carry, open - seen.cut)),
                    None => Ok(None),
                });
            }
            let mut carry = std::mem::take(&mut self.carry);
            self.fill(&mut carry)?;
            self.carry = carry;
        }
    }

    /// Bytes of blank lines before the first row, which no chunk holds. To be asked after `first_row`.
    pub fn blank(&self) -> u64 {
        self.blank
    }

    /// Start, end and content of the first row among the complete rows in `carry[..cut]`.
    fn decode_first(&self, cut: usize, cells: &mut Cells) -> Option<((usize, usize), Result<FirstRow, FileFault>)> {
        let mut rows = Rows::new(self.carry.get(..cut)?, self.place, self.dialect);
        let found = loop {
            let found = rows.next(cells)?;
            if !found.blank {
                break found;
            }
        };
        let first = match &found.fault {
            Some(Fault { code, message }) => {
                let message = format!("in the first row: {message}");
                Err(FileFault {
                    code: code.clone(),
                    row: Some(found.line),
                    byte: self.place.byte + found.start as u64,
                    column: None,
                    message,
                })
            }
            None if cells.len() > MAX_COLUMNS => {
                let message = format!("the file has {} columns, and at most {MAX_COLUMNS} are read", cells.len());
                Err(self.fault(RejectCode::TooManyColumns, found.start, message))
            }
            None => Ok(FirstRow {
                place: Place {
                    byte: self.origin + self.measured(self.carry.get(..found.start).unwrap_or_default()),
                    line: found.line,
                },
                length: self.measured(self.carry.get(found.start..found.next).unwrap_or_default()),
                cells: (0..cells.len()).map(|at| cells.text(at, found.text, found.base).to_owned()).collect(),
            }),
        };
        Some(((found.start, found.next), first))
    }

    /// The next piece. A chunk is put into `data`, whose old content is dropped.
    ///
    /// # Errors
    /// The reader's.
    pub fn next(&mut self, data: &mut Vec<u8>) -> io::Result<Piece> {
        data.clear();
        std::mem::swap(data, &mut self.carry);
        loop {
            if !self.ended && data.len() < self.chunk {
                self.fill(data)?;
            }
            if data.is_empty() {
                return Ok(Piece::End);
            }
            let mut seen = self.look(data);
            if let (Some(groups), false) = (&mut self.groups, self.ended && seen.cut == data.len()) {
                let whole = data.get(..seen.cut).unwrap_or_default();
                let start = groups(whole, self.place);
                // A group that is larger than any record may be is cut, and its parts reject each other.
                if start > 0 || data.len() <= MAX_ROW {
                    seen.cut = start;
                }
            }
            if seen.cut > 0 {
                self.carry.extend_from_slice(data.get(seen.cut..).unwrap_or_default());
                data.truncate(seen.cut);
                return Ok(self.hand_out(data));
            }
            if self.ended {
                return Ok(match seen.open {
                    Some(open) => Piece::Fault(self.unclosed(data, open)),
                    None => Piece::End,
                });
            }
            if data.len() > MAX_ROW + 2 {
                return self.pass_over(data);
            }
            self.fill(data)?;
        }
    }

    /// A chunk of whole rows, which the place moves behind.
    fn hand_out(&mut self, data: &[u8]) -> Piece {
        let (place, origin) = (self.place, self.origin);
        let lines = memchr_iter(self.dialect.line_end, data).count() as u64;
        self.place = Place { byte: place.byte + data.len() as u64, line: place.line + lines };
        self.origin += self.measured(data);
        Piece::Chunk { place, origin }
    }

    /// Reads about a chunk more.
    fn fill(&mut self, data: &mut Vec<u8>) -> io::Result<()> {
        let want = if data.len() < self.chunk { self.chunk - data.len() } else { self.chunk.max(data.len() / 2) };
        data.reserve(want);
        let read = self.reader.by_ref().take(want as u64).read_to_end(data)?;
        self.ended = read < want;
        Ok(())
    }

    /// Moves the beginning of `carry` forward to `to`.
    fn advance(&mut self, to: usize) {
        let taken = self.carry.get(..to).unwrap_or_default();
        self.origin += self.measured(taken);
        self.place.line += memchr_iter(self.dialect.line_end, taken).count() as u64;
        self.place.byte += to as u64;
        self.carry.drain(..to);
    }

    /// Finds the end of the last complete row of `data`, which begins with a row.
    fn look(&self, data: &[u8]) -> Seen {
        let seen = last_row_end(data, self.dialect, self.ended);
        match seen.open {
            None if self.ended => Seen { cut: data.len(), open: None },
            _ => seen,
        }
    }

    /// A fault at `at` in `carry`.
    fn fault(&self, code: RejectCode, at: usize, message: String) -> FileFault {
        let before = self.carry.get(..at).unwrap_or_default();
        let line = self.place.line + memchr_iter(self.dialect.line_end, before).count() as u64;
        FileFault { code, row: Some(line), byte: self.place.byte + at as u64, column: None, message }
    }

    /// The fault of a cell that begins at `open` in `data` (which begins at `place`) and never ends.
    fn unclosed(&self, data: &[u8], open: usize) -> FileFault {
        let before = data.get(..open).unwrap_or_default();
        let lines = memchr_iter(self.dialect.line_end, before).count() as u64;
        let line_start = memrchr(self.dialect.line_end, before).map_or(0, |at| at + 1);
        unclosed_at(Place { byte: self.place.byte + line_start as u64, line: self.place.line + lines })
    }

    /// Scans a row that is too long to its end, keeping only its beginning.
    fn pass_over(&mut self, data: &mut Vec<u8>) -> io::Result<Piece> {
        let from = self.place;
        self.reader.seek(SeekFrom::Start(from.byte))?;
        let mut scan = LongScan::new(self.dialect, from);
        data.truncate(SHOWN);
        let shown = data.clone();
        let mut offset = from.byte;
        let end = loop {
            data.clear();
            let read = self.reader.by_ref().take(self.chunk.max(4096) as u64).read_to_end(data)?;
            if read == 0 {
                break scan.finish(offset);
            }
            if let Some(end) = scan.feed(data, offset) {
                break end;
            }
            offset += read as u64;
        };
        let end = match end {
            Ok(end) => end,
            Err(line) => return Ok(Piece::Fault(unclosed_at(line))),
        };
        self.ended = false;
        let length = end.byte - from.byte;
        if length <= MAX_ROW as u64 {
            // A quote that was not meant to open a cell: the row is only its line, and what follows is read again.
            self.reader.seek(SeekFrom::Start(from.byte))?;
            data.clear();
            self.reader.by_ref().take(length).read_to_end(data)?;
            let piece = self.hand_out(data);
            self.place = end;
            return Ok(piece);
        }
        if self.encoding.is_some() {
            // How many bytes it has in the file as it came is not known without holding it.
            let message = format!("the row on line {} is longer than 16 MiB", from.line);
            return Ok(Piece::Fault(FileFault {
                code: RejectCode::RowTooLong,
                row: Some(from.line),
                byte: self.origin,
                column: None,
                message,
            }));
        }
        self.origin += length;
        self.reader.seek(SeekFrom::Start(end.byte))?;
        data.clear();
        self.place = end;
        Ok(Piece::TooLong(LongRow { place: from, length, start: shown }))
    }
}

/// The fault `unclosed-quote` for the line on which the cell begins.
fn unclosed_at(line: Place) -> FileFault {
    FileFault {
        code: RejectCode::UnclosedQuote,
        row: Some(line.line),
        byte: line.byte,
        column: None,
        message: format!(
            "a quoted cell begins on line {} and has no closing quote up to the end of the file",
            line.line
        ),
    }
}

/// Finds the end of the last row of `data` that is complete for certain.
pub(crate) fn last_row_end(data: &[u8], dialect: Dialect, ended: bool) -> Seen {
    let (mut from, mut cut) = (0, 0);
    let line_end = |from: usize, to: usize| {
        data.get(from..to).and_then(|part| memrchr(dialect.line_end, part)).map(|at| from + at + 1)
    };
    while let Some((quote, found)) = dialect.quote.and_then(|quote| Some((quote, memchr(quote, data.get(from..)?)?))) {
        let at = from + found;
        cut = line_end(from, at).unwrap_or(cut);
        if quote::opens(data, at, dialect) {
            match quote::close(data, at, quote, dialect, ended) {
                Close::At(next) => {
                    from = next;
                    continue;
                }
                Close::Open => return Seen { cut, open: Some(at) },
                Close::Bad => {}
            }
        }
        // A bad quote: the row ends with the line it stands on.
        match data.get(at..).and_then(|rest| memchr(dialect.line_end, rest)) {
            Some(end) => {
                from = at + end + 1;
                cut = from;
            }
            None => return Seen { cut, open: None },
        }
    }
    Seen { cut: line_end(from, data.len()).unwrap_or(cut), open: None }
}
