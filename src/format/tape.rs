//! The tape: rows of other formats as delimiter-separated text, so that one engine reads them all.
//!
//! Each row begins with its line, its offset and its length in the file as it came, and with the code and the words of its fault
//! if it has one; then come the cells of the columns.

use std::io::{self, Write};

use super::csv::Dialect;
use super::csv::row::{Cells, Fault};
use crate::domain::reject::RejectCode;

/// Cells before the first column.
pub const OFFSET: usize = 5;

/// Between cells: a character that hardly any text has.
const DELIMITER: u8 = 0x1F;

/// How a tape is read.
pub const DIALECT: Dialect = Dialect::new(DELIMITER, Some(b'"'));

/// Where a row is in the file as it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapePlace {
    /// Line, from 1.
    pub line: u64,
    /// Offset in bytes.
    pub byte: u64,
    /// Length in bytes.
    pub length: u64,
}

/// Writes a row.
///
/// # Errors
/// Those of `out`.
pub fn write<'a>(
    out: &mut dyn Write,
    place: TapePlace,
    fault: Option<&(RejectCode, String)>,
    cells: impl Iterator<Item = Option<&'a str>>,
) -> io::Result<()> {
    write!(out, "{}\x1f{}\x1f{}", place.line, place.byte, place.length)?;
    let code = fault.map(|(code, _)| code.word()).unwrap_or_default();
    let message = fault.map_or("", |(_, message)| message);
    for cell in [code.as_ref(), message] {
        out.write_all(&[DELIMITER])?;
        write_cell(out, cell)?;
    }
    for cell in cells {
        out.write_all(&[DELIMITER])?;
        write_cell(out, cell.unwrap_or_default())?;
    }
    out.write_all(b"\n")
}

fn write_cell(out: &mut dyn Write, cell: &str) -> io::Result<()> {
    if !cell.bytes().any(|byte| matches!(byte, DELIMITER | b'"' | b'\n' | b'\r')) {
        return out.write_all(cell.as_bytes());
    }
    out.write_all(b"\"")?;
    out.write_all(cell.replace('"', "\"\"").as_bytes())?;
    out.write_all(b"\"")
}

/// Where the row is in the file as it came; `text` and `base` are those of the row.
pub fn place(cells: &Cells, text: &str, base: usize) -> TapePlace {
    let number = |at| cells.text(at, text, base).parse().unwrap_or_default();
    TapePlace { line: number(0), byte: number(1), length: number(2) }
}

/// The fault of the row.
pub fn fault(cells: &Cells, text: &str, base: usize) -> Option<Fault> {
    let code = cells.text(3, text, base);
    let code = if code.is_empty() { None } else { RejectCode::from_word(code) }?;
    Some(Fault { code, message: cells.text(4, text, base).to_owned() })
}
