//! Delimiter-separated text (RFC 4180). A cell that looks like a formula is data and is written as it is: neutralising is for
//! exports to people, and would be a change here.

use super::style::{Cells, Column};
use super::trailer::Trailer;
use super::{RecordWriter, Refused, text};
use crate::domain::reject::RejectCode;
use crate::format::encoding::Encoding;

/// How a file is written.
#[derive(Clone, Debug)]
pub struct CsvStyle {
    /// Between cells.
    pub delimiter: u8,
    /// Around cells that need it; `None`: such a cell is refused.
    pub quote: Option<u8>,
    /// Lines end with CR and LF.
    pub crlf: bool,
    /// The first line names the columns.
    pub header: bool,
    /// Of the file.
    pub encoding: Encoding,
    /// The last line.
    pub trailer: Option<Trailer>,
}

/// Writes CSV.
pub struct CsvWriter {
    cells: Cells,
    style: CsvStyle,
    cell: String,
}

impl CsvWriter {
    /// A file with these columns.
    pub fn new(columns: Vec<Column>, style: CsvStyle) -> Self {
        Self { cells: Cells::new(columns), style, cell: String::new() }
    }
}

impl CsvStyle {
    /// Appends one cell, in quotes where it needs them.
    fn cell(
        &self,
        value: &str,
        alone: bool,
        scratch: &mut String,
        out: &mut Vec<u8>,
    ) -> Result<(), (RejectCode, String)> {
        if value.contains('\0') {
            return Err((RejectCode::BadCharacter, "holds a NUL character".to_owned()));
        }
        let special = |byte: u8| byte == self.delimiter || Some(byte) == self.quote || matches!(byte, b'\n' | b'\r');
        // A blank line is no row, and a mark of the byte order at the beginning is no text.
        let needs = value.bytes().any(special) || (alone && value.trim().is_empty()) || value.starts_with('\u{FEFF}');
        let Some(quote) = self.quote.map(char::from).filter(|_| needs) else {
            return match needs {
                false => text::encode(self.encoding, value, out),
                true => Err((RejectCode::BadCharacter, "needs quotation marks, and `quote` is none".to_owned())),
            };
        };
        scratch.clear();
        scratch.push(quote);
        for character in value.chars() {
            if character == quote {
                scratch.push(quote);
            }
            scratch.push(character);
        }
        scratch.push(quote);
        text::encode(self.encoding, scratch, out)
    }

    /// What cannot be encoded here was refused when the mapping was read.
    fn literal(&self, literal: &str, out: &mut Vec<u8>) {
        let _ = text::encode(self.encoding, literal, out);
    }

    fn line_end(&self, out: &mut Vec<u8>) {
        self.literal(if self.crlf { "\r\n" } else { "\n" }, out);
    }

    fn row<'a>(
        &self,
        cells: impl Iterator<Item = &'a str>,
        alone: bool,
        scratch: &mut String,
        out: &mut Vec<u8>,
        refused: &mut Vec<Refused>,
    ) {
        for (column, cell) in cells.enumerate() {
            if column > 0 {
                self.literal(char::from(self.delimiter).encode_utf8(&mut [0; 4]), out);
            }
            if let Err((code, message)) = self.cell(cell, alone, scratch, out) {
                refused.push(Refused { column, code, message });
            }
        }
        self.line_end(out);
    }
}

impl RecordWriter for CsvWriter {
    fn begin(&mut self, out: &mut Vec<u8>) {
        let Self { cells, style, cell } = self;
        if let Some(trailer) = &mut style.trailer {
            trailer.reset();
        }
        text::mark(style.encoding, out);
        if style.header {
            let names = cells.columns().iter().map(|column| column.path.as_str());
            style.row(names, cells.columns().len() == 1, cell, out, &mut Vec::new());
        }
    }

    fn record(&mut self, record: &[u8], out: &mut Vec<u8>, refused: &mut Vec<Refused>) {
        let Self { cells, style, cell } = self;
        cells.read(record, refused);
        let alone = cells.columns().len() == 1;
        style.row(cells.iter().map(|(_, _, text)| text), alone, cell, out, refused);
        if let (Some(trailer), true) = (&mut style.trailer, refused.is_empty()) {
            trailer.add(cells);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        if let Some(trailer) = &self.style.trailer {
            self.style.literal(&trailer.text()?, out);
            self.style.line_end(out);
        }
        Ok(())
    }

    fn tail(&self) -> usize {
        self.style.trailer.as_ref().map_or(0, Trailer::longest)
    }
}
