//! Lines with columns at fixed positions. Positions count characters from 1, and both ends are included.

use std::io::{self, BufRead};

use super::encoding::Encoding;
use super::layout::{ColumnPlace, FoundLine, LayoutSpec, LineSign, Occurs};
use super::tape::TapePlace;
use crate::domain::reject::{FileFault, RejectCode};

/// Most bytes of a line.
const MAX_LINE: u64 = 16 << 20;

/// How the lines are read.
pub struct FixedInput<'a> {
    /// Kinds of lines.
    pub layouts: &'a [LayoutSpec],
    /// Characters of a line; `None`: any.
    pub line_length: Option<u32>,
    /// Lines that are passed over at the beginning.
    pub skip_lines: u32,
    /// Short lines are filled up, and too long ones cut.
    pub pad: bool,
    /// Too long lines are cut.
    pub truncate: bool,
    /// Of the file as it came; the reader gives UTF-8.
    pub encoding: Encoding,
    /// Bytes before the first line: a byte order mark.
    pub offset: u64,
}

/// A line that is a row.
pub struct FixedRow<'a> {
    /// Where it is.
    pub place: TapePlace,
    /// Its cells, without trailing blanks.
    pub cells: Vec<Option<&'a str>>,
    /// Why it cannot be used.
    pub fault: Option<(RejectCode, String)>,
}

/// What else was in the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FixedSummary {
    /// Header, trailer and other lines.
    pub lines: Vec<FoundLine>,
    /// Bytes of passed-over lines, of header lines, of rows, of blank and other lines, of trailer lines.
    pub bytes: [u64; 5],
    /// Number of rows.
    pub rows: u64,
}

/// Reads every line; `row` is called with the rows.
///
/// # Errors
/// The outer error is that of the reader and of `row`, the inner one a fault of the file (`bad-layout`).
pub fn read(
    input: &mut dyn BufRead,
    how: &FixedInput<'_>,
    row: &mut dyn FnMut(FixedRow<'_>) -> io::Result<()>,
) -> io::Result<Result<FixedSummary, FileFault>> {
    let signs: Vec<(LineSign, &LayoutSpec)> =
        how.layouts.iter().filter_map(|layout| Some((LineSign::new(&layout.sign)?, layout))).collect();
    let mut reader = Lines { how, signs, summary: FixedSummary::default(), line: 0, byte: how.offset };
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        io::Read::take(&mut *input, MAX_LINE + 2).read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            break;
        }
        if let Err(fault) = reader.line(&bytes, row)? {
            return Ok(Err(fault));
        }
    }
    Ok(reader.end())
}

struct Lines<'a> {
    how: &'a FixedInput<'a>,
    signs: Vec<(LineSign, &'a LayoutSpec)>,
    summary: FixedSummary,
    line: u64,
    byte: u64,
}

impl Lines<'_> {
    fn line(
        &mut self,
        bytes: &[u8],
        row: &mut dyn FnMut(FixedRow<'_>) -> io::Result<()>,
    ) -> io::Result<Result<(), FileFault>> {
        self.line += 1;
        let whole = self.how.encoding.source_len(bytes);
        let place = TapePlace { line: self.line, byte: self.byte, length: whole };
        self.byte += whole;
        if bytes.len() as u64 > MAX_LINE {
            return Ok(Err(self.fault(place, "the line is longer than 16 MiB")));
        }
        let content = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        if self.line <= u64::from(self.how.skip_lines) {
            self.summary.bytes[0] += whole;
            return Ok(Ok(()));
        }
        if content.is_empty() || content == [0x1A] {
            self.summary.bytes[3] += whole;
            return Ok(Ok(()));
        }
        let text = match std::str::from_utf8(content) {
            Ok(text) => text,
            Err(error) => {
                let before = content.get(..error.valid_up_to()).unwrap_or_default();
                let byte = place.byte + self.how.encoding.source_len(before);
                let message = format!("the byte at offset {byte} is not {}", self.how.encoding.name());
                self.summary.bytes[2] += whole;
                self.summary.rows += 1;
                let fault = Some((RejectCode::BadEncoding, message));
                return row(FixedRow { place, cells: Vec::new(), fault }).map(Ok);
            }
        };
        let Some((_, layout)) = self.signs.iter().find(|(sign, _)| sign.is(text)) else {
            let begin: String = text.chars().take(12).collect();
            return Ok(Err(self.fault(place, &format!("the line begins with `{begin}`, and no layout does"))));
        };
        let layout = *layout;
        if layout.is_record {
            self.summary.bytes[2] += whole;
            self.summary.rows += 1;
            if self.summary.lines.iter().any(|line| line.occurs == Occurs::Last) {
                return Ok(Err(self.fault(place, &format!("a line of `{}` stands behind the last line", layout.name))));
            }
            let fault = self.length_fault(text);
            return row(FixedRow { place, cells: cells(layout, text), fault }).map(Ok);
        }
        Ok(self.special(layout, text, place))
    }

    fn special(&mut self, layout: &LayoutSpec, text: &str, place: TapePlace) -> Result<(), FileFault> {
        let slot = match layout.occurs {
            Occurs::First => 1,
            Occurs::Last => 4,
            Occurs::Many => 3,
        };
        self.summary.bytes[slot] += place.length;
        if layout.occurs == Occurs::First && self.summary.rows > 0 {
            return Err(self.fault(place, &format!("a line of `{}` stands behind the first row", layout.name)));
        }
        let twice = self.summary.lines.iter().any(|line| line.layout == layout.name);
        if twice && layout.occurs != Occurs::Many {
            return Err(self.fault(place, &format!("a second line of `{}`", layout.name)));
        }
        if layout.occurs == Occurs::Many {
            return Ok(());
        }
        let names = layout.columns.iter().map(|column| column.name.clone());
        let found = cells(layout, text).into_iter().map(|cell| cell.unwrap_or_default().trim().to_owned());
        self.summary.lines.push(FoundLine {
            layout: layout.name.clone(),
            occurs: layout.occurs,
            line: place.line,
            byte: place.byte,
            cells: names.zip(found).collect(),
        });
        Ok(())
    }

    fn length_fault(&self, text: &str) -> Option<(RejectCode, String)> {
        let expected = self.how.line_length? as usize;
        let found = text.chars().count();
        let allowed = match found.cmp(&expected) {
            std::cmp::Ordering::Less => self.how.pad,
            std::cmp::Ordering::Equal => true,
            std::cmp::Ordering::Greater => self.how.truncate,
        };
        let message = || format!("the line has {found} characters, and {expected} are expected");
        (!allowed).then(|| (RejectCode::RaggedRow, message()))
    }

    fn fault(&self, place: TapePlace, message: &str) -> FileFault {
        let message = message.to_owned();
        FileFault { code: RejectCode::BadLayout, row: Some(place.line), byte: place.byte, column: None, message }
    }

    /// A trailer that is missing is a file that was cut short.
    fn end(self) -> Result<FixedSummary, FileFault> {
        if self.summary.rows == 0 && self.summary.lines.is_empty() {
            return Ok(self.summary);
        }
        for layout in self.how.layouts.iter().filter(|layout| !layout.is_record && layout.occurs != Occurs::Many) {
            if !self.summary.lines.iter().any(|line| line.layout == layout.name) {
                let message = format!("the file has no line of `{}`: it may have been cut short", layout.name);
                let code = RejectCode::BadLayout;
                return Err(FileFault { code, row: None, byte: self.byte, column: None, message });
            }
        }
        Ok(self.summary)
    }
}

/// The cells of a line; nothing where it ends before.
fn cells<'a>(layout: &LayoutSpec, text: &'a str) -> Vec<Option<&'a str>> {
    let ascii = text.is_ascii();
    let at = |character: usize| match ascii {
        true => character.min(text.len()),
        false => text.char_indices().nth(character).map_or(text.len(), |(at, _)| at),
    };
    let cell = |column: &super::layout::LayoutColumn| match column.place {
        ColumnPlace::Characters(from, to) => text.get(at(from as usize - 1)..at(to as usize)).map(str::trim_end),
        ColumnPlace::Cell(_) => None,
    };
    layout.columns.iter().map(cell).collect()
}
