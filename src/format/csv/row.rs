//! The row decoder: finds the cells of each row of a chunk, without copying them.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr3};

use super::cell::Cell;
use super::index::{Index, RowEnd};
use super::quote::{self, Close};
use super::{Dialect, MAX_CELL, MAX_ROW, Place, word};
use crate::domain::reject::RejectCode;

/// Set in `start` of a cell whose text is in `unescaped`.
const UNESCAPED: u32 = 1 << 31;

/// The cells of one row; reused from row to row.
#[derive(Debug, Default)]
pub struct Cells {
    bounds: Vec<(u32, u32)>,
    unescaped: String,
}

impl Cells {
    /// Number of cells.
    #[expect(clippy::len_without_is_empty, reason = "a row has at least one cell")]
    pub fn len(&self) -> usize {
        self.bounds.len()
    }

    /// The text of cell `at` (from 0); `text` and `base` are those of the row. Empty beyond the last cell.
    #[inline]
    pub fn text<'a>(&'a self, at: usize, text: &'a str, base: usize) -> &'a str {
        let Some(&(start, end)) = self.bounds.get(at) else { return "" };
        if start & UNESCAPED == 0 {
            text.get(start as usize - base..end as usize - base).unwrap_or_default()
        } else {
            self.unescaped.get((start & !UNESCAPED) as usize..end as usize).unwrap_or_default()
        }
    }

    /// Cell `at` (from 0) with what stands around it; `text` and `base` are those of the row. Empty beyond the last cell.
    #[inline(always)]
    pub fn cell<'a>(&'a self, at: usize, text: &'a str, base: usize) -> Cell<'a> {
        let Some(&(start, end)) = self.bounds.get(at) else { return Cell::new(&[], 0, 0) };
        if start & UNESCAPED == 0 {
            Cell::new(text.as_bytes(), start as usize - base, end as usize - base)
        } else {
            Cell::new(self.unescaped.as_bytes(), (start & !UNESCAPED) as usize, end as usize)
        }
    }

    /// The bytes of cell `at` of a row of `data`, which may be no text; `None` beyond the last cell that was found.
    pub fn bytes<'a>(&'a self, at: usize, data: &'a [u8]) -> Option<&'a [u8]> {
        let &(start, end) = self.bounds.get(at)?;
        match start & UNESCAPED {
            0 => data.get(start as usize..end as usize),
            _ => self.unescaped.get((start & !UNESCAPED) as usize..end as usize).map(str::as_bytes),
        }
    }

    /// Copies the cells of a row into `kept`, so that they outlive their chunk; `text` and `base` are those of the row. The
    /// copy's own text is `kept`, and its base is 0.
    pub fn keep(&mut self, kept: &mut String, row: &Cells, text: &str, base: usize) {
        self.clear();
        kept.clear();
        for at in 0..row.len() {
            let start = kept.len();
            kept.push_str(row.text(at, text, base));
            self.push(start, kept.len());
        }
    }

    /// Takes the cells of a row of `data` from their `starts`; `quote` when some have quotes around them.
    #[inline(always)]
    fn index(&mut self, starts: &[u32], cr: bool, quote: Option<u8>, data: &[u8]) {
        self.clear();
        self.bounds.extend(starts.windows(2).filter_map(|pair| Some((*pair.first()?, pair.get(1)? - 1))));
        if let (true, Some(last)) = (cr, self.bounds.last_mut()) {
            last.1 -= 1;
        }
        if let Some(quote) = quote {
            for (start, end) in &mut self.bounds {
                if start < end && data.get(*start as usize) == Some(&quote) {
                    (*start, *end) = (*start + 1, *end - 1);
                }
            }
        }
    }

    fn clear(&mut self) {
        self.bounds.clear();
        self.unescaped.clear();
    }

    #[inline]
    fn push(&mut self, start: usize, end: usize) {
        self.bounds.push((start as u32, end as u32));
    }
}

/// Why a row cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The code.
    pub code: RejectCode,
    /// Plain words.
    pub message: String,
}

/// One row, or a blank line.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// The physical line it starts on, from 1.
    pub line: u64,
    /// Where it starts in the chunk.
    pub start: usize,
    /// Its end without the line end.
    pub end: usize,
    /// Its end with the line end.
    pub next: usize,
    /// A line of no characters, which is no row.
    pub blank: bool,
    /// No cell holds a quote, a backslash or a control character: JSON takes the cells as they are.
    pub plain: bool,
    /// What `Cells::text` wants: the chunk, or the row alone where the chunk is not all UTF-8.
    pub text: &'a str,
    /// Where `text` begins in the chunk.
    pub base: usize,
    /// Set when the cells cannot be used.
    pub fault: Option<Fault>,
}

/// Walks the rows of a chunk.
#[derive(Debug)]
pub struct Rows<'a> {
    data: &'a [u8],
    /// The whole chunk, when it is UTF-8.
    text: Option<&'a str>,
    dialect: Dialect,
    /// Where the chunk is in the file.
    place: Place,
    from: usize,
    line: u64,
    has_nul: bool,
    has_cr: bool,
    plain: bool,
    index: Option<&'a Index>,
    /// In the index: the row at hand, and its first cell.
    row: usize,
    cell: usize,
}

/// What ended the cells of a row.
enum End {
    /// The position of the line end (of its CR, if it has one) and of the next row.
    Row(usize, usize),
    /// A quote where none may be, or one that opens a cell without a proper end.
    BadQuote { at: usize, opens: bool },
}

impl<'a> Rows<'a> {
    /// The rows of `data`, which begins with a row, ends behind one, and stands at `place` in the file.
    pub fn new(data: &'a [u8], place: Place, dialect: Dialect) -> Self {
        let has_cr = memchr(b'\r', data).is_some();
        let has_nul = memchr(0, data).is_some();
        let plain = !has_nul && is_plain(data, dialect);
        let text = std::str::from_utf8(data).ok();
        let line = place.line;
        Self { data, text, dialect, place, from: 0, line, has_nul, has_cr, plain, index: None, row: 0, cell: 0 }
    }

    /// The same rows, found with an index. Its buffers are those of `index`, whose content is dropped.
    pub fn indexed(data: &'a [u8], place: Place, dialect: Dialect, index: &'a mut Index) -> Self {
        let text = std::str::from_utf8(data).ok();
        if text.is_none() || !index.build(data, dialect) {
            return Self::new(data, place, dialect);
        }
        let index = &*index;
        let has_nul = index.has_odd && memchr(0, data).is_some();
        let (line, has_cr) = (place.line, index.has_cr);
        let index = Some(index);
        Self { data, text, dialect, place, from: 0, line, has_nul, has_cr, plain: false, index, row: 0, cell: 0 }
    }

    /// The next row or blank line, its cells in `cells`.
    #[inline]
    pub fn next(&mut self, cells: &mut Cells) -> Option<Found<'a>> {
        if self.from >= self.data.len() {
            return None;
        }
        let Some((index, row)) = self.index.and_then(|index| Some((index, index.row(self.row)?))) else {
            return self.strict_row(cells);
        };
        let first = std::mem::replace(&mut self.cell, row.cells as usize);
        self.row += 1;
        match row.careful {
            true => self.strict_row(cells),
            false => Some(self.indexed_row(row, index.starts(first, row.cells as usize), cells)),
        }
    }

    /// A row of plain cells, whose cells begin at `starts`.
    #[inline(always)]
    fn indexed_row(&mut self, row: RowEnd, starts: &[u32], cells: &mut Cells) -> Found<'a> {
        let (start, line) = (self.from, self.line);
        let next = starts.last().map_or(start, |next| *next as usize);
        let end = next.saturating_sub(1);
        let cr = self.has_cr && end > start && self.data.get(end - 1) == Some(&b'\r') && self.dialect.line_end == b'\n';
        cells.index(starts, cr, self.dialect.quote.filter(|_| row.quoted), self.data);
        self.from = next.min(self.data.len());
        self.line = self.place.line + u64::from(row.lines);
        let end = end - usize::from(cr);
        let text = self.text.unwrap_or_default();
        Found { line, start, end, next: self.from, blank: end == start, plain: true, text, base: 0, fault: None }
    }

    /// The next row, found byte by byte.
    fn strict_row(&mut self, cells: &mut Cells) -> Option<Found<'a>> {
        let (start, line) = (self.from, self.line);
        cells.clear();
        let mut plain = self.plain;
        let end = match self.simple_cells(start, cells) {
            Some((end, next)) => {
                self.line += 1;
                End::Row(end, next)
            }
            None => {
                plain = false;
                cells.clear();
                let end = self.quoted_cells(start, cells);
                let next = match end {
                    End::Row(_, next) => next,
                    End::BadQuote { at, .. } => self.line_end(at).1,
                };
                let lines = self.data.get(start..next).map_or(0, |row| memchr_iter(self.dialect.line_end, row).count());
                self.line += lines as u64;
                end
            }
        };
        let (end, next, bad_quote) = match end {
            End::Row(end, next) => (end, next, None),
            End::BadQuote { at, opens } => {
                let (end, next) = self.line_end(at);
                (end, next, Some((at, opens)))
            }
        };
        self.from = next;
        let mut found = Found { line, start, end, next, blank: end == start, plain, text: "", base: 0, fault: None };
        match self.text {
            Some(text)
                if bad_quote.is_none() && !self.has_nul && end - start <= MAX_CELL && !self.cr_inside(start, end) =>
            {
                found.text = text;
            }
            _ => self.inspect(&mut found, bad_quote, cells),
        }
        Some(found)
    }

    /// The cells of a row without a quote: the row's end, and that of its line end. `None`: it has a quote.
    #[inline]
    fn simple_cells(&self, start: usize, cells: &mut Cells) -> Option<(usize, usize)> {
        let Dialect { delimiter, quote, line_end } = self.dialect;
        let (delimiters, line_ends) = (word::spread(delimiter), word::spread(line_end));
        let quotes = word::spread(quote.unwrap_or(line_end));
        let mut cell = start;
        let mut from = start;
        while let Some(block) = self.data.get(from..).and_then(<[u8]>::first_chunk::<8>) {
            let bytes = u64::from_le_bytes(*block);
            let ends = word::equal(bytes, line_ends);
            let others = word::equal(bytes, quotes);
            let mut hits = word::equal(bytes, delimiters);
            let stops = ends | others;
            if stops != 0 {
                // Only the delimiters before the first stop count.
                hits &= (stops & stops.wrapping_neg()).wrapping_sub(1);
            }
            while hits != 0 {
                let at = from + (hits.trailing_zeros() / 8) as usize;
                cells.push(cell, at);
                cell = at + 1;
                hits &= hits - 1;
            }
            if stops != 0 {
                let at = from + (stops.trailing_zeros() / 8) as usize;
                return (ends & stops & stops.wrapping_neg() != 0).then(|| self.end_simple(cell, at, cells));
            }
            from += 8;
        }
        for (at, &byte) in self.data.iter().enumerate().skip(from) {
            if byte == delimiter {
                cells.push(cell, at);
                cell = at + 1;
            } else if byte == line_end {
                return Some(self.end_simple(cell, at, cells));
            } else if Some(byte) == quote {
                return None;
            }
        }
        Some(self.end_simple(cell, self.data.len(), cells))
    }

    /// Closes the last cell, `cell..at`, of a row whose line end is at `at`.
    #[inline]
    fn end_simple(&self, cell: usize, at: usize, cells: &mut Cells) -> (usize, usize) {
        let end = self.without_cr(cell, at);
        cells.push(cell, end);
        (end, (at + 1).min(self.data.len()))
    }

    /// `at` without the CR that belongs to the line end there.
    #[inline]
    fn without_cr(&self, from: usize, at: usize) -> usize {
        let cr = self.dialect.line_end == b'\n' && at > from && self.data.get(at - 1) == Some(&b'\r');
        at - usize::from(cr)
    }

    /// The cells of a row with a quote.
    fn quoted_cells(&self, start: usize, cells: &mut Cells) -> End {
        let Dialect { delimiter, quote: Some(quote), line_end } = self.dialect else {
            let (end, next) = self.line_end(start);
            return End::Row(end, next);
        };
        let mut from = start;
        loop {
            // The end of the cell, and from where on there is no line end but that of the row.
            let (at, behind) = if self.data.get(from) == Some(&quote) {
                match quote::close(self.data, from, quote, self.dialect, true) {
                    Close::At(next) => {
                        self.push_quoted(from + 1..next - 1, quote, cells);
                        (next, next)
                    }
                    Close::Bad | Close::Open => return End::BadQuote { at: from, opens: true },
                }
            } else {
                let rest = self.data.get(from..).unwrap_or_default();
                let at = memchr3(delimiter, line_end, quote, rest).map_or(self.data.len(), |found| from + found);
                if self.data.get(at) == Some(&quote) {
                    return End::BadQuote { at, opens: false };
                }
                let last = self.data.get(at) != Some(&delimiter);
                cells.push(from, if last { self.without_cr(from, at) } else { at });
                (at, from)
            };
            if self.data.get(at) != Some(&delimiter) {
                let (end, next) = self.line_end(behind);
                return End::Row(end, next);
            }
            from = at + 1;
        }
    }

    /// Adds a quoted cell, `inner` being what stands between its quotes.
    fn push_quoted(&self, inner: Range<usize>, quote: u8, cells: &mut Cells) {
        let bytes = self.data.get(inner.clone()).unwrap_or_default();
        if memchr(quote, bytes).is_none() {
            cells.push(inner.start, inner.end);
            return;
        }
        let start = cells.unescaped.len();
        let mut from = 0;
        while let Some(found) = bytes.get(from..).and_then(|rest| memchr(quote, rest)) {
            cells.unescaped.push_str(text_of(bytes.get(from..=from + found)));
            from += found + 2;
        }
        cells.unescaped.push_str(text_of(bytes.get(from..)));
        cells.push(start | UNESCAPED as usize, cells.unescaped.len());
    }

    /// The first line end from `at` on: where it begins, and where the next line does.
    fn line_end(&self, at: usize) -> (usize, usize) {
        match self.data.get(at..).and_then(|rest| memchr(self.dialect.line_end, rest)) {
            Some(found) => (self.without_cr(at, at + found), at + found + 1),
            None => (self.without_cr(at, self.data.len()), self.data.len()),
        }
    }

    /// True when there is a CR in the row besides that of its line end.
    #[inline]
    fn cr_inside(&self, start: usize, end: usize) -> bool {
        self.has_cr && self.data.get(start..end).is_some_and(|row| memchr(b'\r', row).is_some())
    }

    /// Looks closely at a row for which the quick answer does not hold.
    #[cold]
    fn inspect(&self, found: &mut Found<'a>, bad_quote: Option<(usize, bool)>, cells: &Cells) {
        let row = self.data.get(found.start..found.end).unwrap_or_default();
        found.fault = self.structure_fault(found, row, bad_quote, cells);
        match self.text {
            Some(text) => found.text = text,
            None => {
                found.text = text_of(Some(row));
                found.base = found.start;
            }
        }
    }

    fn structure_fault(
        &self,
        found: &Found<'_>,
        row: &[u8],
        bad_quote: Option<(usize, bool)>,
        cells: &Cells,
    ) -> Option<Fault> {
        let offset = |at: usize| self.place.byte + (found.start + at) as u64;
        if row.len() > MAX_ROW {
            return Some(row_too_long(row.len() as u64));
        }
        if let Err(error) = std::str::from_utf8(row) {
            let at = error.valid_up_to();
            let byte = row.get(at).copied().unwrap_or_default();
            let message = format!(
                "the byte 0x{byte:02X} at offset {} is not UTF-8 (column {})",
                offset(at),
                self.column_at(found, at)
            );
            return Some(Fault { code: RejectCode::BadEncoding, message });
        }
        if let Some(at) = self.has_nul.then(|| memchr(0, row)).flatten() {
            let message = format!("a NUL byte at offset {}", offset(at));
            return Some(Fault { code: RejectCode::BadCharacter, message });
        }
        if let Some((at, opens)) = bad_quote {
            // Why it does not end (text behind its quote, or no quote at all) may lie behind this chunk, so it is not said.
            let column = self.column_of(found, at);
            let message = match opens {
                true => format!(
                    "the quoted cell in column {column} does not end with a quote before a delimiter or a line end"
                ),
                false => format!("a quote inside the unquoted cell in column {column}"),
            };
            return Some(Fault { code: RejectCode::BadQuote, message });
        }
        if let Some(at) = self.stray_cr(row, found.start, cells) {
            let message =
                format!("a lone carriage return at offset {} in an unquoted cell", self.place.byte + at as u64);
            return Some(Fault { code: RejectCode::BadCharacter, message });
        }
        if row.len() > MAX_CELL {
            let lengths = cells.bounds.iter().map(|&(start, end)| end as usize - (start & !UNESCAPED) as usize);
            if let Some((at, length)) = lengths.enumerate().find(|&(_, length)| length > MAX_CELL) {
                let message =
                    format!("the cell in column {} has {length} bytes, and at most {MAX_CELL} are read", at + 1);
                return Some(Fault { code: RejectCode::CellTooLong, message });
            }
        }
        None
    }

    /// A CR in an unquoted cell of a file whose lines end otherwise: perhaps two rows in one, so never passed on.
    fn stray_cr(&self, row: &[u8], start: usize, cells: &Cells) -> Option<usize> {
        if !self.has_cr || self.dialect.line_end == b'\r' {
            return None;
        }
        memchr(b'\r', row)?;
        cells.bounds.iter().find_map(|&(from, to)| {
            let (from, to) = (from as usize, to as usize);
            let quoted =
                from > start && self.dialect.quote.is_some_and(|quote| self.data.get(from - 1) == Some(&quote));
            if from & UNESCAPED as usize != 0 || quoted {
                return None;
            }
            self.data.get(from..to).and_then(|cell| memchr(b'\r', cell)).map(|at| from + at)
        })
    }

    /// The column, from 1, of a byte of a row whose cells are not known; delimiters in quoted cells are not told apart.
    fn column_at(&self, found: &Found<'_>, at: usize) -> usize {
        self.column_of(found, found.start + at)
    }

    fn column_of(&self, found: &Found<'_>, at: usize) -> usize {
        let before = self.data.get(found.start..at).unwrap_or_default();
        let mut quoted = false;
        let mut column = 1;
        for &byte in before {
            if Some(byte) == self.dialect.quote {
                quoted = !quoted;
            }
            column += usize::from(byte == self.dialect.delimiter && !quoted);
        }
        column
    }
}

/// The fault of a row of `length` bytes above `MAX_ROW`.
pub fn row_too_long(length: u64) -> Fault {
    Fault {
        code: RejectCode::RowTooLong,
        message: format!("the row has {length} bytes, and at most {MAX_ROW} are read"),
    }
}

/// Bytes as text; empty where they are none, which the caller has excluded or reports.
fn text_of(bytes: Option<&[u8]>) -> &str {
    bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
}

/// True when a cell without quotes in it needs no escape in JSON. One pass over the chunk, which the compiler vectorises.
fn is_plain(data: &[u8], dialect: Dialect) -> bool {
    let line_end_too = if dialect.line_end == b'\n' { b'\r' } else { dialect.line_end };
    let special = |byte: u8| {
        let control = (byte < 0x20) & (byte != dialect.line_end) & (byte != line_end_too) & (byte != dialect.delimiter);
        control | (byte == b'\\') | ((byte == b'"') & (dialect.quote != Some(b'"')))
    };
    data.chunks(4096).all(|part| !part.iter().fold(false, |any, &byte| any | special(byte)))
}
