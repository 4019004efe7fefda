//! A reject: bad data as a value, with its position, so that it can be found, explained and replayed.

use std::fmt;

use super::run::words;

/// Why a row, or a whole file, was rejected. A closed, documented list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectCode {
    /// A required value is missing.
    Required,
    /// Not a number in the written notation.
    BadNumber,
    /// Not an integer.
    BadInteger,
    /// Not a date in the written format.
    BadDate,
    /// Neither a true word nor a false word.
    BadBoolean,
    /// Bytes that are not text in the declared encoding.
    BadEncoding,
    /// The value is not in the lookup.
    LookupMissing,
    /// The value is not one of the allowed ones.
    NotInEnum,
    /// The value does not match the pattern.
    Pattern,
    /// Below the lower limit.
    BelowMinimum,
    /// Above the upper limit.
    AboveMaximum,
    /// More decimals than the target takes.
    TooManyDecimals,
    /// More or fewer cells than the header.
    RaggedRow,
    /// A quote where RFC 4180 allows none.
    BadQuote,
    /// A NUL byte.
    BadCharacter,
    /// A cell above 1 MiB.
    CellTooLong,
    /// A row above 16 MiB.
    RowTooLong,
    /// More than 4,096 columns (file).
    TooManyColumns,
    /// A mapped column is not in the header (file).
    MissingColumn,
    /// A column nobody maps, where that is forbidden (file).
    UnknownColumn,
    /// Two columns with the same name (file).
    DuplicateColumn,
    /// A quoted cell that never ends (file).
    UnclosedQuote,
    /// No bytes, where that is forbidden (file).
    EmptyFile,
    /// More rejects than the limits allow (file).
    TooManyRejects,
    /// The remote file changed while it was read (file).
    ChangedWhileReading,
    /// The server names the file but does not hand it over (file).
    Unreadable,
    /// Fewer or more bytes than announced (file).
    SizeMismatch,
    /// The same content was delivered before (file).
    SeenBefore,
    /// A person cancelled it (file).
    Cancelled,
}

words!(RejectCode {
    Required => "required", BadNumber => "bad-number", BadInteger => "bad-integer", BadDate => "bad-date",
    BadBoolean => "bad-boolean", BadEncoding => "bad-encoding", LookupMissing => "lookup-missing",
    NotInEnum => "not-in-enum", Pattern => "pattern", BelowMinimum => "below-minimum",
    AboveMaximum => "above-maximum", TooManyDecimals => "too-many-decimals", RaggedRow => "ragged-row",
    BadQuote => "bad-quote", BadCharacter => "bad-character", CellTooLong => "cell-too-long",
    RowTooLong => "row-too-long", TooManyColumns => "too-many-columns", MissingColumn => "missing-column",
    UnknownColumn => "unknown-column", DuplicateColumn => "duplicate-column", UnclosedQuote => "unclosed-quote",
    EmptyFile => "empty-file", TooManyRejects => "too-many-rejects", ChangedWhileReading => "changed-while-reading",
    Unreadable => "unreadable", SizeMismatch => "size-mismatch", SeenBefore => "seen-before", Cancelled => "cancelled",
});

impl fmt::Display for RejectCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One fault of one row. A row with several faults gives several rejects; counts count rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Physical line the row starts on, as a spreadsheet shows it (header = 1).
    pub row: u64,
    /// Byte offset of the start of the row in the file (after unwrapping).
    pub byte: u64,
    /// The source column, where one is to blame.
    pub column: Option<String>,
    /// The code.
    pub code: RejectCode,
    /// Plain words with the value: "`abc` is not a number".
    pub message: String,
    /// The row's bytes as they were in the file, without the line end.
    pub raw: Vec<u8>,
}

/// A fault of a whole file: nothing of it may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFault {
    /// The code.
    pub code: RejectCode,
    /// The line it was seen on (1-based); `None` when no line is to blame.
    pub row: Option<u64>,
    /// Byte offset of that line.
    pub byte: u64,
    /// The column to blame.
    pub column: Option<String>,
    /// Plain words, with what to do next where that is known.
    pub message: String,
}
