//! Comma-separated values after RFC 4180, strict, zero-copy and in two parts.
//!
//! [`split::Splitter`] cuts the stream at record boundaries into chunks and knows the line and the offset of each; it looks
//! at quotes only. [`row::Rows`] walks a chunk and finds its cells. The two agree on where a row ends because both ask
//! `quote`. So the chunks of one file can be decoded by several threads.
//!
//! Lines end with LF or CRLF, or with CR alone when the beginning of the file has no LF at all.

pub mod cell;
pub mod index;
mod long;
mod masks;
pub(crate) mod quote;
pub mod row;
pub mod split;
mod start;
mod word;

/// Most bytes of a cell; a longer one rejects its row.
pub const MAX_CELL: usize = 1 << 20;
/// Most bytes of a row without its line end; a longer one is rejected and never held in memory.
pub const MAX_ROW: usize = 16 << 20;
/// Most columns of a file.
pub const MAX_COLUMNS: usize = 4096;

/// The characters that structure a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Between cells.
    pub delimiter: u8,
    /// Around cells that hold delimiters, quotes or line ends; `None`: no character is special inside a cell.
    pub quote: Option<u8>,
    /// The byte that ends a line: LF (a CR before it belongs to the line end), or CR in files without LF.
    pub line_end: u8,
}

impl Dialect {
    /// A dialect whose lines end with LF until the beginning of the file says otherwise.
    pub const fn new(delimiter: u8, quote: Option<u8>) -> Self {
        Self { delimiter, quote, line_end: b'\n' }
    }
}

/// A position in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Offset in bytes, from 0.
    pub byte: u64,
    /// Physical line, from 1.
    pub line: u64,
}
