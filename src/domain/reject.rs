//! A reject: bad data as a value, with its position, so that it can be found, explained and replayed.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Why a row, or a whole file, was rejected. A closed, documented list; checks and controls carry the id that their author
/// gave them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectCode {
    /// A required value is missing.
    Required,
    /// Not a number in the written notation.
    BadNumber,
    /// Not an integer.
    BadInteger,
    /// Not a date in the written format.
    BadDate,
    /// Not a time of day in the written format.
    BadTime,
    /// Not a date and time in the written format.
    BadDatetime,
    /// Neither a true word nor a false word.
    BadBoolean,
    /// Not an e-mail address.
    BadEmail,
    /// Not an IBAN, or its check digits are wrong.
    BadIban,
    /// Not a UUID.
    BadUuid,
    /// Not a URL.
    BadUrl,
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
    /// Fewer characters than the lower limit.
    TooShort,
    /// More characters than the upper limit.
    TooLong,
    /// More decimals than the target takes.
    TooManyDecimals,
    /// Earlier than another field of the record.
    Before,
    /// Later than another field of the record.
    After,
    /// The value of a unique field stood in an earlier record of the file.
    DuplicateKey,
    /// The rows of a group disagree about a value that belongs to the whole record.
    GroupConflict,
    /// The rows of a group do not stand together.
    GroupSplit,
    /// Rejected with its group, for the fault of another row.
    Group,
    /// More or fewer cells than the header.
    RaggedRow,
    /// A quote where RFC 4180 allows none.
    BadQuote,
    /// A NUL byte, or a lone carriage return.
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
    /// A line of no known layout, or a header or trailer line that is missing or out of place (file).
    BadLayout,
    /// Not JSON (file; for JSON lines the row).
    BadJson,
    /// Not XML, or XML with a document type (file).
    BadXml,
    /// Not a workbook, or not the sheet (file).
    BadWorkbook,
    /// Not an archive (file).
    BadArchive,
    /// The signature does not fit (file).
    BadSignature,
    /// More rejects than the limits allow (file).
    TooManyRejects,
    /// The remote file changed while it was read (file).
    ChangedWhileReading,
    /// The server names the file but does not hand it over (file).
    Unreadable,
    /// Fewer or more bytes than announced (file).
    SizeMismatch,
    /// The checksum is not the announced one (file).
    Checksum,
    /// A name that leads out of its folder (file).
    BadName,
    /// The same name twice in one listing, or the same but for large and small letters (file).
    NameConflict,
    /// The same content was delivered before (file).
    SeenBefore,
    /// A person cancelled it (file).
    Cancelled,
    /// `check:ID`: a rule of `[[checks]]` does not hold.
    Check(Arc<str>),
    /// `control:ID`: a rule of `[[controls]]` does not hold (file).
    Control(Arc<str>),
}

/// The codes without an id, and their words.
const WORDS: &[(RejectCode, &str)] = &[
    (RejectCode::Required, "required"),
    (RejectCode::BadNumber, "bad-number"),
    (RejectCode::BadInteger, "bad-integer"),
    (RejectCode::BadDate, "bad-date"),
    (RejectCode::BadTime, "bad-time"),
    (RejectCode::BadDatetime, "bad-datetime"),
    (RejectCode::BadBoolean, "bad-boolean"),
    (RejectCode::BadEmail, "bad-email"),
    (RejectCode::BadIban, "bad-iban"),
    (RejectCode::BadUuid, "bad-uuid"),
    (RejectCode::BadUrl, "bad-url"),
    (RejectCode::BadEncoding, "bad-encoding"),
    (RejectCode::LookupMissing, "lookup-missing"),
    (RejectCode::NotInEnum, "not-in-enum"),
    (RejectCode::Pattern, "pattern"),
    (RejectCode::BelowMinimum, "below-minimum"),
    (RejectCode::AboveMaximum, "above-maximum"),
    (RejectCode::TooShort, "too-short"),
    (RejectCode::TooLong, "too-long"),
    (RejectCode::TooManyDecimals, "too-many-decimals"),
    (RejectCode::Before, "before"),
    (RejectCode::After, "after"),
    (RejectCode::DuplicateKey, "duplicate-key"),
    (RejectCode::GroupConflict, "group-conflict"),
    (RejectCode::GroupSplit, "group-split"),
    (RejectCode::Group, "group"),
    (RejectCode::RaggedRow, "ragged-row"),
    (RejectCode::BadQuote, "bad-quote"),
    (RejectCode::BadCharacter, "bad-character"),
    (RejectCode::CellTooLong, "cell-too-long"),
    (RejectCode::RowTooLong, "row-too-long"),
    (RejectCode::TooManyColumns, "too-many-columns"),
    (RejectCode::MissingColumn, "missing-column"),
    (RejectCode::UnknownColumn, "unknown-column"),
    (RejectCode::DuplicateColumn, "duplicate-column"),
    (RejectCode::UnclosedQuote, "unclosed-quote"),
    (RejectCode::EmptyFile, "empty-file"),
    (RejectCode::BadLayout, "bad-layout"),
    (RejectCode::BadJson, "bad-json"),
    (RejectCode::BadXml, "bad-xml"),
    (RejectCode::BadWorkbook, "bad-workbook"),
    (RejectCode::BadArchive, "bad-archive"),
    (RejectCode::BadSignature, "bad-signature"),
    (RejectCode::TooManyRejects, "too-many-rejects"),
    (RejectCode::ChangedWhileReading, "changed-while-reading"),
    (RejectCode::Unreadable, "unreadable"),
    (RejectCode::SizeMismatch, "size-mismatch"),
    (RejectCode::Checksum, "checksum"),
    (RejectCode::BadName, "bad-name"),
    (RejectCode::NameConflict, "name-conflict"),
    (RejectCode::SeenBefore, "seen-before"),
    (RejectCode::Cancelled, "cancelled"),
];

impl RejectCode {
    /// Every code without an id.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        WORDS.iter().map(|(code, _)| code)
    }

    /// The word for it in TOML, JSON, SQL and metrics.
    pub fn word(&self) -> Cow<'static, str> {
        match self {
            Self::Check(id) => format!("check:{id}").into(),
            Self::Control(id) => format!("control:{id}").into(),
            code => WORDS.iter().find(|(known, _)| known == code).map_or("", |(_, word)| word).into(),
        }
    }

    /// The code for a word written by `word`.
    pub fn from_word(word: &str) -> Option<Self> {
        match word.split_once(':') {
            Some(("check", id)) => Some(Self::Check(id.into())),
            Some(("control", id)) => Some(Self::Control(id.into())),
            _ => WORDS.iter().find(|(_, known)| *known == word).map(|(code, _)| code.clone()),
        }
    }
}

impl fmt::Display for RejectCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word())
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
    /// The row as people see it, personal data masked; `None` when that is the row as it is.
    pub masked: Option<String>,
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
