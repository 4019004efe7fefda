//! What a mapping file says, parsed and checked: the input of `plan`, and what the mapping version is the hash of.
//!
//! Serialised (as JSON, in the order of the fields here) only to be hashed: a change of a name here changes keys.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;

use super::mask::Pii;
pub use crate::format::layout::{ColumnPlace, LayoutColumn, LayoutSpec, Occurs, Sign};

/// A whole mapping file. `[sample]`, `[[tests]]`, `title`, `owner` and `note` are not in it: they do not change keys.
#[derive(Clone, Debug, Serialize)]
pub struct MappingSpec {
    /// `[input]`.
    pub input: InputSpec,
    /// `[layouts.*]`, in the order of the file.
    pub layouts: Vec<LayoutSpec>,
    /// `[record]`.
    pub record: RecordSpec,
    /// `[fields]`, in the order of the file.
    pub fields: Vec<FieldSpec>,
    /// `[lookups.*]`, by name, contents included.
    pub lookups: BTreeMap<String, LookupSpec>,
    /// `[[checks]]`.
    pub checks: Vec<CheckSpec>,
    /// `[[controls]]`; they stop a file and never change a body.
    #[serde(skip)]
    pub controls: Vec<ControlSpec>,
    /// `[changes]`.
    pub changes: Option<ChangesSpec>,
    /// `[rejects]`; does not enter the mapping version.
    #[serde(skip)]
    pub limits: RejectLimits,
    /// `[output]`.
    pub output: OutputSpec,
}

/// `[input] format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Format {
    /// Delimiter-separated text.
    Csv,
    /// Lines with columns at fixed positions.
    Fixed,
    /// One JSON document.
    Json,
    /// One JSON document a line.
    Jsonl,
    /// An Excel workbook.
    Xlsx,
    /// XML.
    Xml,
}

/// `[input]`.
#[derive(Clone, Debug, Serialize)]
pub struct InputSpec {
    /// `csv` by default.
    pub format: Format,
    /// A name that `Encoding` knows; `utf-8` by default.
    pub encoding: String,
    /// One byte, `,` by default.
    pub delimiter: u8,
    /// One byte, `"` by default; `None`: quotes are ordinary characters.
    pub quote: Option<u8>,
    /// The first line names the columns (default); otherwise `columns` does.
    pub header: bool,
    /// `columns`, with `header = false`; may be empty when recipes pick by position.
    pub columns: Vec<String>,
    /// Rows before the header (or the data) that are passed over.
    pub skip_rows: u32,
    /// `.` by default.
    pub decimal_mark: char,
    /// None by default.
    pub group_mark: Option<char>,
    /// Cells that count as empty (compared without surrounding blanks); `[""]` by default.
    pub missing: Vec<String>,
    /// Words for true; `["true"]` by default.
    pub true_values: Vec<String>,
    /// Words for false; `["false"]` by default.
    pub false_values: Vec<String>,
    /// What a column that nobody maps means.
    pub unknown_columns: UnknownColumns,
    /// What a row with too few or too many cells means.
    pub ragged: Ragged,
    /// Characters of a line, of format fixed.
    pub line_length: Option<u32>,
    /// The sheet of a workbook; the first by default.
    pub sheet: Option<String>,
    /// Where the records are in JSON and XML.
    pub each: Option<String>,
}

impl Default for InputSpec {
    fn default() -> Self {
        Self {
            format: Format::Csv,
            encoding: "utf-8".to_owned(),
            delimiter: b',',
            quote: Some(b'"'),
            header: true,
            columns: Vec::new(),
            skip_rows: 0,
            decimal_mark: '.',
            group_mark: None,
            missing: vec![String::new()],
            true_values: vec!["true".to_owned()],
            false_values: vec!["false".to_owned()],
            unknown_columns: UnknownColumns::Warn,
            ragged: Ragged::Reject,
            line_length: None,
            sheet: None,
            each: None,
        }
    }
}

/// `[input] unknown_columns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum UnknownColumns {
    /// Nothing.
    Ignore,
    /// A warning of the run.
    Warn,
    /// The file fails.
    RejectFile,
}

/// `[input] ragged`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Ragged {
    /// The row is rejected.
    Reject,
    /// Missing cells are empty; too many are rejected.
    Pad,
    /// What is too much is left out; too few are rejected.
    Truncate,
}

/// `[record]`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RecordSpec {
    /// `group_by`: rows with equal cells here, one behind the other, are one record. Empty: each row is a record.
    pub group_by: Vec<Column>,
    /// `on_conflict`.
    pub on_conflict: OnConflict,
    /// `sorted = true`: the sender promises that keys ascend.
    #[serde(skip)]
    pub sorted: bool,
    /// `skip_when`: a row that meets it is skipped.
    pub skip_when: Vec<Condition>,
    /// `order_lines_by`: a field of the lines, without `lines[].`.
    pub order_lines_by: Option<String>,
}

/// `[record] on_conflict`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum OnConflict {
    /// The group is rejected.
    #[default]
    Reject,
    /// The first row decides.
    First,
    /// The last row decides.
    Last,
}

/// A cell, by name or by position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Column {
    /// By the name in the header.
    Name(String),
    /// By position, counted from 1.
    Position(u32),
}

/// One target field.
#[derive(Clone, Debug, Serialize)]
pub struct FieldSpec {
    /// `"a.b"` split at the dots; `lines[]` keeps its brackets.
    pub target: Vec<String>,
    /// `when`: otherwise the field has no value at all.
    pub when: Vec<Condition>,
    /// Where the value comes from.
    pub origin: Origin,
    /// `optional_column = true`: the column may be missing in the file.
    pub optional_column: bool,
    /// `clean`, in order.
    pub clean: Vec<CleanStep>,
    /// Name in `lookups`.
    pub lookup: Option<String>,
    /// `type` and what goes with it.
    pub kind: ValueKind,
    /// `default`.
    pub default: Option<Constant>,
    /// `required = true`.
    pub required: bool,
    /// `enum`: allowed values as texts; empty when not given.
    pub allowed: Vec<String>,
    /// `pattern`: a regular expression that is known to compile (linear time).
    pub pattern: Option<String>,
    /// `minimum`.
    pub minimum: Option<Limit>,
    /// `maximum`.
    pub maximum: Option<Limit>,
    /// `min_length`, in characters.
    pub min_length: Option<u32>,
    /// `max_length`, in characters.
    pub max_length: Option<u32>,
    /// `not_before`: the target of another field.
    pub not_before: Option<String>,
    /// `not_after`: the target of another field.
    pub not_after: Option<String>,
    /// `unique = true`.
    pub unique: bool,
    /// `pii`; changes what people see, never what is sent.
    #[serde(skip)]
    pub pii: Option<Pii>,
}

impl FieldSpec {
    /// `a.b`, as it is written in the mapping.
    pub fn name(&self) -> String {
        self.target.join(".")
    }

    /// The list it belongs to: the index of `lines[]` in `target`.
    pub fn list(&self) -> Option<usize> {
        self.target.iter().position(|part| part.ends_with("[]"))
    }
}

/// The origin of a value.
#[derive(Clone, Debug, Serialize)]
pub enum Origin {
    /// `from`.
    From(Column),
    /// `first_of`: the first that is not missing.
    FirstOf(Vec<Column>),
    /// `template`.
    Template(Vec<TemplatePart>),
    /// `value`.
    Value(Constant),
    /// `cases`: the value of the first whose conditions hold.
    Cases(Vec<Case>),
    /// `auto`.
    Auto(Auto),
}

impl Origin {
    /// Every column that it reads.
    pub fn columns(&self) -> Vec<&Column> {
        match self {
            Self::From(column) => vec![column],
            Self::FirstOf(columns) => columns.iter().collect(),
            Self::Template(parts) => parts
                .iter()
                .filter_map(|part| match part {
                    TemplatePart::Cell(column) => Some(column),
                    TemplatePart::Text(_) => None,
                })
                .collect(),
            Self::Cases(cases) => cases.iter().flat_map(|case| &case.when).map(|condition| &condition.column).collect(),
            Self::Value(_) | Self::Auto(_) => Vec::new(),
        }
    }
}

/// One of `cases`.
#[derive(Clone, Debug, Serialize)]
pub struct Case {
    /// All must hold.
    pub when: Vec<Condition>,
    /// The value then.
    pub value: Constant,
}

/// A part of a template.
#[derive(Clone, Debug, Serialize)]
pub enum TemplatePart {
    /// Literal text.
    Text(String),
    /// A cell; empty text when missing.
    Cell(Column),
}

/// A value that Nightferry knows by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Auto {
    /// Name of the file.
    FileName,
    /// Line of the row.
    Row,
    /// Id of the run.
    Run,
    /// Business date, `YYYY-MM-DD`.
    BusinessDate,
}

/// A TOML value keeps its TOML type.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Constant {
    /// Text.
    Text(String),
    /// A number, as its digits were written in plain notation (`30`, `0.5`).
    Number(String),
    /// `true` or `false`.
    Boolean(bool),
}

impl Constant {
    /// Its text.
    pub fn into_text(self) -> String {
        match self {
            Self::Text(text) | Self::Number(text) => text,
            Self::Boolean(value) => value.to_string(),
        }
    }
}

/// One step of `clean`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum CleanStep {
    /// Unicode white space off both ends.
    Trim,
    /// Every run of white space becomes one blank.
    Squeeze,
    /// Upper case, without locale.
    Upper,
    /// Lower case, without locale.
    Lower,
    /// Keeps ASCII digits only.
    Digits,
    /// Letters without their accents; what has no ASCII form is dropped.
    Ascii,
    /// `{ pad_left = [width, "0"] }`.
    PadLeft(u32, char),
    /// `{ remove = "…" }`: a set of characters.
    Remove(String),
    /// `{ replace = ["a", "b"] }`: every occurrence.
    Replace(String, String),
    /// `{ take = [from, to] }`: characters, from 1, both ends included.
    Take(u32, u32),
    /// `{ after = "-" }`: what stands behind the first occurrence; nothing changes without one.
    After(String),
    /// `{ before = "-" }`: what stands before the first occurrence; nothing changes without one.
    Before(String),
}

/// `[lookups.NAME]` with its contents.
#[derive(Clone, Debug, Serialize)]
pub struct LookupSpec {
    /// Where its entries are.
    pub table: LookupTable,
    /// `ignore_case`.
    pub ignore_case: bool,
    /// `on_missing`.
    pub on_missing: OnMissing,
    /// For messages: `lookups/country.csv`, or `values`.
    #[serde(skip)]
    pub source: String,
}

/// The entries of a lookup.
#[derive(Clone, Debug, Serialize)]
pub enum LookupTable {
    /// Key to value; keys are lower-cased when `ignore_case`.
    Entries(BTreeMap<String, Constant>),
    /// `same_file`: the value must stand in this column of the same file, and is sent as it is.
    SameFile(Column),
}

/// `on_missing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum OnMissing {
    /// The row is rejected with `lookup-missing`.
    Reject,
    /// The field's default.
    Default,
    /// The value as it is.
    Keep,
}

/// `type` with its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum ValueKind {
    /// No `type`, or `"string"`: text from a cell, or the TOML type of a constant.
    Text(TextFormat),
    /// `integer`.
    Integer,
    /// `number`.
    Number(NumberFormat),
    /// `date` with a chrono format; sent as `YYYY-MM-DD`.
    Date {
        /// `%d.%m.%Y`, known to be complete and valid.
        format: String,
    },
    /// `time` with a chrono format; sent as `HH:MM:SS`.
    Time {
        /// `%H:%M`, known to be complete and valid.
        format: String,
    },
    /// `datetime` with a chrono format; sent as `YYYY-MM-DDTHH:MM:SS`, with its offset where the format reads one.
    Datetime {
        /// `%Y-%m-%dT%H:%M:%S%z`, known to be complete and valid.
        format: String,
    },
    /// `boolean`.
    Boolean,
}

/// `format` of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum TextFormat {
    /// Any text.
    #[default]
    Any,
    /// `email`.
    Email,
    /// `iban`.
    Iban,
    /// `uuid`.
    Uuid,
    /// `url`.
    Url,
}

/// How a `number` is read and written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NumberFormat {
    /// `decimals`: pads and never rounds.
    pub decimals: Option<u32>,
    /// `implied_decimals`: the cell holds a whole number of which this many digits are decimals.
    pub implied: Option<u32>,
    /// `minor_units`: sent as an integer.
    pub minor_units: Option<u32>,
    /// `negative_when`: the amount is negative when all hold.
    pub negative_when: Vec<Condition>,
}

/// `minimum` or `maximum`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Limit {
    /// For numbers and integers (for minor units: of the amount as written).
    Number(Decimal),
    /// For dates, ISO.
    Date(chrono::NaiveDate),
    /// `today-15y`: counted from the business date.
    Today(DateShift),
}

/// A distance from the business date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DateShift {
    /// Whole months, negative for the past; a year is 12.
    pub months: i32,
    /// Days, negative for the past.
    pub days: i64,
}

impl DateShift {
    /// The day at this distance from `day`; the last of the month where that day does not exist.
    pub fn from(self, day: chrono::NaiveDate) -> Option<chrono::NaiveDate> {
        let months = chrono::Months::new(self.months.unsigned_abs());
        let day = if self.months < 0 { day.checked_sub_months(months) } else { day.checked_add_months(months) };
        day?.checked_add_signed(chrono::Duration::days(self.days))
    }
}

/// One condition on a raw cell, after `missing`, without surrounding blanks. All conditions of a table must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// The cell.
    pub column: Column,
    /// What must hold.
    pub test: Test,
}

/// What a condition asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Test {
    /// Equal to one of these texts.
    OneOf(Vec<String>),
    /// Present (or not).
    Present(bool),
    /// A number of at least this (a cell that is no number does not meet it).
    AtLeast(Decimal),
    /// A number of at most this.
    AtMost(Decimal),
}

/// One of `[[checks]]`: what must hold within a record.
#[derive(Clone, Debug, Serialize)]
pub struct CheckSpec {
    /// `id`; the reject code is `check:ID`.
    pub id: String,
    /// `title`, for messages.
    #[serde(skip)]
    pub title: String,
    /// What must hold.
    pub rule: CheckRule,
    /// `severity = "warn"`: the record is sent all the same.
    pub warn: bool,
}

/// What a check asks. Fields are named by target, as in `[fields]`.
#[derive(Clone, Debug, Serialize)]
pub enum CheckRule {
    /// The sum of a field (over the lines, for a field of lines) equals another field, within the tolerance.
    Sum {
        /// `sum`.
        sum: String,
        /// `equals`.
        equals: String,
        /// `tolerance`, 0 by default.
        tolerance: Decimal,
    },
    /// A date is not before another field's.
    NotBefore {
        /// `field`.
        field: String,
        /// `not_before`.
        other: String,
    },
    /// A field equals another field.
    Equals {
        /// `field`.
        field: String,
        /// `equals`.
        other: String,
    },
    /// One of these fields has a value.
    AtLeastOneOf(Vec<String>),
}

/// One of `[[controls]]`: what must hold over the whole file.
#[derive(Clone, Debug)]
pub struct ControlSpec {
    /// `id`; the reject code is `control:ID`.
    pub id: String,
    /// `title`, for messages.
    pub title: String,
    /// What must hold.
    pub rule: ControlRule,
    /// `only`: the rows that count.
    pub only: Vec<Condition>,
}

/// What a control asks.
#[derive(Clone, Debug)]
pub enum ControlRule {
    /// `count` = `declared`. The layout that is counted; empty: every row.
    Count {
        /// The layout.
        layout: String,
        /// Where the number is declared.
        declared: Declared,
    },
    /// `sum` = `declared`.
    Sum {
        /// The column that is added up.
        column: Column,
        /// Where the sum is declared.
        declared: Declared,
    },
    /// `hash` = `declared`, modulo the width of the declared column.
    Hash {
        /// The column whose digits are added up.
        column: Column,
        /// Where the total is declared.
        declared: Declared,
    },
    /// The number is one more than that of the file before.
    Sequence(Declared),
    /// The number of rows is within these limits.
    CountBetween(u64, u64),
    /// The number of rows is at least this percentage of that of the file before.
    NotLessThanYesterday(Decimal),
}

/// A cell of a header or trailer line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Declared {
    /// The layout.
    pub layout: String,
    /// Its column.
    pub column: String,
}

/// `[changes]`: records are compared with the last accepted state of their key.
#[derive(Clone, Debug, Serialize)]
pub struct ChangesSpec {
    /// `key`: the target of a field.
    pub key: String,
    /// `send = "changed"`: unchanged records are skipped.
    pub only_changed: bool,
    /// `disappeared = "report"`.
    #[serde(skip)]
    pub report_disappeared: bool,
    /// `max_percent`: more changes than this hold the run.
    #[serde(skip)]
    pub max_percent: Option<Decimal>,
}

/// `[rejects] unit`: what is all or nothing, and what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectUnit {
    /// Rows.
    Row,
    /// Records.
    Record,
    /// The file: one reject stops it.
    File,
}

/// `[rejects]`. Only strictly more than a limit stops the file; the first exceeded wins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RejectLimits {
    /// `unit`: `record` with `group_by` and `row` without, by default.
    pub unit: RejectUnit,
    /// `max_count`, of units.
    pub max_count: Option<u64>,
    /// `max_percent` of the units that were not skipped; 5.0 by default.
    pub max_percent: Decimal,
}

impl Default for RejectLimits {
    fn default() -> Self {
        Self { unit: RejectUnit::Row, max_count: None, max_percent: Decimal::new(50, 1) }
    }
}

/// `[output]`.
#[derive(Clone, Debug, Serialize)]
pub struct OutputSpec {
    /// `format`.
    pub format: OutputFormat,
    /// `omit_empty`.
    pub omit_empty: bool,
    /// How files are written.
    pub file: FileOutput,
}

impl Default for OutputSpec {
    fn default() -> Self {
        Self { format: OutputFormat::Json, omit_empty: false, file: FileOutput::default() }
    }
}

/// The keys of `[output]` that are about files.
#[derive(Clone, Debug, Serialize)]
pub struct FileOutput {
    /// `delimiter`.
    pub delimiter: u8,
    /// `quote`; `None`: a cell that needs one cannot be written.
    pub quote: Option<u8>,
    /// `encoding`.
    pub encoding: String,
    /// `line_ending`: `crlf` instead of `lf`.
    pub crlf: bool,
    /// `header`.
    pub header: bool,
    /// `trailer`, a template.
    pub trailer: Option<Vec<TrailerPart>>,
    /// `date`.
    pub date: Option<String>,
    /// `datetime`.
    pub datetime: Option<String>,
    /// `decimal_mark`.
    pub decimal_mark: char,
    // What is not written is not in the version, so that a mapping that knows nothing of it keeps its keys.
    /// `columns`, of format fixed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<OutputColumn>,
    /// `line_length`, of format fixed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line_length: Option<u32>,
    /// `each`, of format xml: `/orders/order`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// `namespace`, of format xml.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `sheet`, of format xlsx.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
}

/// One of `[output] columns`: where a field stands in a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutputColumn {
    /// The target of the field.
    pub name: String,
    /// Its first character, from 1.
    pub from: u32,
    /// Its last character.
    pub to: u32,
    /// `align`; `None`: numbers at the right end, everything else at the left.
    pub right: Option<bool>,
    /// `fill`: what the rest is filled with.
    pub fill: char,
}

impl Default for FileOutput {
    fn default() -> Self {
        Self {
            delimiter: b',',
            quote: Some(b'"'),
            encoding: "utf-8".to_owned(),
            crlf: false,
            header: true,
            trailer: None,
            date: None,
            datetime: None,
            decimal_mark: '.',
            columns: Vec::new(),
            line_length: None,
            each: None,
            namespace: None,
            sheet: None,
        }
    }
}

/// A part of `[output] trailer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum TrailerPart {
    /// Literal text.
    Text(String),
    /// `{count}`: the number of records; `{count:06}` with so many digits.
    Count(Option<u32>),
    /// `{sum:FIELD}`, or `{sum:FIELD:012}` with so many characters.
    Sum(String, Option<u32>),
}

/// `[output] format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum OutputFormat {
    /// An array of objects, or one object.
    Json,
    /// One object a line.
    Jsonl,
    /// `application/x-www-form-urlencoded`, one record a request.
    Form,
    /// Delimiter-separated text, for files.
    Csv,
    /// Fixed width, for files.
    Fixed,
    /// A workbook, for files.
    Xlsx,
    /// XML.
    Xml,
}

impl OutputFormat {
    /// Every one.
    pub const ALL: [Self; 7] = [Self::Json, Self::Jsonl, Self::Form, Self::Csv, Self::Fixed, Self::Xlsx, Self::Xml];

    /// As it is written in a mapping.
    pub fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Form => "form",
            Self::Csv => "csv",
            Self::Fixed => "fixed",
            Self::Xlsx => "xlsx",
            Self::Xml => "xml",
        }
    }
}
