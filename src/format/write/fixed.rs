//! Lines with columns at fixed positions. Positions count characters from 1, and both ends are included, as they are read.

use super::style::{Cells, Column, Kind};
use super::trailer::Trailer;
use super::{RecordWriter, Refused, text};
use crate::domain::reject::RejectCode;
use crate::format::encoding::Encoding;

/// Where the cells of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The first character, from 1.
    pub from: u32,
    /// The last.
    pub to: u32,
    /// At its right end.
    pub right: bool,
    /// What fills the rest.
    pub fill: char,
}

/// How a file is written.
#[derive(Clone, Debug)]
pub struct FixedStyle {
    /// By column.
    pub places: Vec<Place>,
    /// Characters of a line.
    pub line_length: u32,
    /// Lines end with CR and LF.
    pub crlf: bool,
    /// Of the file.
    pub encoding: Encoding,
    /// The last line.
    pub trailer: Option<Trailer>,
}

/// Writes lines of fixed width.
pub struct FixedWriter {
    cells: Cells,
    style: FixedStyle,
    /// Columns in the order of their places.
    order: Vec<usize>,
    line: String,
}

impl FixedWriter {
    /// A file with these columns.
    pub fn new(columns: Vec<Column>, style: FixedStyle) -> Self {
        let mut order: Vec<usize> = (0..columns.len().min(style.places.len())).collect();
        order.sort_by_key(|at| style.places.get(*at).map_or(0, |place| place.from));
        Self { cells: Cells::new(columns), style, order, line: String::new() }
    }
}

impl Place {
    /// Appends a cell that fills its place.
    fn cell(&self, value: &str, line: &mut String) -> Result<(), (RejectCode, String)> {
        if value.contains(char::is_control) {
            return Err((
                RejectCode::BadCharacter,
                "holds a control character, which a line of fixed width cannot".to_owned(),
            ));
        }
        let (width, length) = ((self.to - self.from + 1) as usize, value.chars().count());
        if length > width {
            let message = format!("has {length} characters, and its column {}-{} has {width}", self.from, self.to);
            return Err((RejectCode::TooLong, message));
        }
        let fill = |line: &mut String| line.extend(std::iter::repeat_n(self.fill, width - length));
        match (self.right, value.strip_prefix('-')) {
            // Zeros stand between the sign and the digits.
            (true, Some(digits)) if self.fill == '0' => {
                line.push('-');
                fill(line);
                line.push_str(digits);
            }
            (true, _) => {
                fill(line);
                line.push_str(value);
            }
            (false, _) => {
                line.push_str(value);
                fill(line);
            }
        }
        Ok(())
    }
}

impl RecordWriter for FixedWriter {
    fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some(trailer) = &mut self.style.trailer {
            trailer.reset();
        }
        text::mark(self.style.encoding, out);
    }

    fn record(&mut self, record: &[u8], out: &mut Vec<u8>, refused: &mut Vec<Refused>) {
        let Self { cells, style, order, line } = self;
        cells.read(record, refused);
        line.clear();
        let mut length = 0;
        for &at in order.iter() {
            let Some(place) = style.places.get(at) else { continue };
            let (kind, value) = cells.at(at);
            line.extend(std::iter::repeat_n(' ', (place.from - 1).saturating_sub(length) as usize));
            // Nothing is blank, whatever fills the place of a number.
            let place = Place { fill: if kind == Kind::Nothing { ' ' } else { place.fill }, ..*place };
            let start = line.len();
            let mut written = place.cell(value, line);
            if written.is_ok() {
                let mut waste = Vec::new();
                written = text::encode(style.encoding, line.get(start..).unwrap_or_default(), &mut waste);
            }
            if let Err((code, message)) = written {
                refused.push(Refused { column: at, code, message });
            }
            length = place.to;
        }
        line.extend(std::iter::repeat_n(' ', style.line_length.saturating_sub(length) as usize));
        line.push_str(if style.crlf { "\r\n" } else { "\n" });
        // A cell that cannot be encoded was refused above.
        let _ = text::encode(style.encoding, line, out);
        if let (Some(trailer), true) = (&mut style.trailer, refused.is_empty()) {
            trailer.add(cells);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let Some(trailer) = &self.style.trailer else { return Ok(()) };
        let mut line = trailer.text()?;
        let length = line.chars().count();
        line.extend(std::iter::repeat_n(' ', (self.style.line_length as usize).saturating_sub(length)));
        line.push_str(if self.style.crlf { "\r\n" } else { "\n" });
        let _ = text::encode(self.style.encoding, &line, out);
        Ok(())
    }

    fn tail(&self) -> usize {
        self.style.trailer.as_ref().map_or(0, |trailer| trailer.longest().max(4 * self.style.line_length as usize))
    }
}
