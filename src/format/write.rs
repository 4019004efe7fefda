//! Records → bytes of a file, one writer for each format: the other half of the strict readers. Pure machines; memory does not
//! grow with the file, except for a workbook, whose packed bytes are handed out at its end.
//!
//! A value that the format cannot hold is refused, never changed: what is written, our readers read back equal.

pub mod csv;
pub mod fixed;
pub mod form;
pub mod json;
pub mod multipart;
mod record;
mod style;
mod text;
mod trailer;
pub mod xlsx;
pub mod xml;

use crate::domain::reject::RejectCode;

pub use record::{Scalar, Token, Tokens};
pub use style::{Column, Style};
pub use trailer::{Trailer, TrailerPart};

/// Why a record cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Index of the column.
    pub column: usize,
    /// The code of the reject.
    pub code: RejectCode,
    /// What is wrong with the value, to be put behind its name. Never the value itself.
    pub message: String,
}

/// Writes the records of one file, or of one request.
pub trait RecordWriter: Send {
    /// Begins anew: what stands before the first record.
    fn begin(&mut self, out: &mut Vec<u8>);

    /// Writes a record: a JSON object as the mapping makes it. Every value that cannot be written goes to `refused`, and then
    /// what was appended to `out` is waste.
    fn record(&mut self, record: &[u8], out: &mut Vec<u8>, refused: &mut Vec<Refused>);

    /// Ends: what stands behind the last record.
    ///
    /// # Errors
    /// A trailer that has no room for its numbers, or a workbook with more rows than a sheet holds.
    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), String>;

    /// At least as many bytes as `end` will write, as far as that is known.
    fn tail(&self) -> usize;
}

/// The value of a field of a record, as it is written in this style; `None`: it has none.
///
/// # Errors
/// Why it cannot be written.
pub fn value(record: &[u8], column: &Column) -> Result<Option<String>, (RejectCode, String)> {
    let mut parents: Vec<String> = Vec::new();
    let mut path = String::new();
    for token in Tokens::new(record).skip(1) {
        match token {
            Token::Key(name) => {
                let parent = parents.last().map_or("", String::as_str);
                path = if parent.is_empty() { name.into_owned() } else { format!("{parent}.{name}") };
            }
            Token::Object => parents.push(path.clone()),
            Token::EndObject => drop(parents.pop()),
            Token::Value(Scalar::Nothing) if path == column.path => return Ok(None),
            Token::Value(value) if path == column.path => {
                return column.style.text(&value).map(|text| Some(text.into_owned()));
            }
            Token::Value(_) | Token::List | Token::EndList => {}
        }
    }
    Ok(None)
}
