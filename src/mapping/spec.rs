//! What a mapping file says, parsed and checked: the input of `plan`, and what the mapping version is the hash of.
//!
//! Serialised (as JSON, in the order of the fields here) only to be hashed: a change of a name here changes keys.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;

/// A whole mapping file. `[sample]`, `[[tests]]`, `title`, `owner` and `note` are not in it: they do not change keys.
#[derive(Clone, Debug, Serialize)]
pub struct MappingSpec {
    /// `[input]`.
    pub input: InputSpec,
    /// `[record] skip_when`: a row that meets it is skipped.
    pub skip_when: Vec<Condition>,
    /// `[fields]`, in the order of the file.
    pub fields: Vec<FieldSpec>,
    /// `[lookups.*]`, by name, contents included.
    pub lookups: BTreeMap<String, LookupSpec>,
    /// `[rejects]`; does not enter the mapping version.
    #[serde(skip)]
    pub limits: RejectLimits,
    /// `[output] omit_empty`.
    pub omit_empty: bool,
}

/// `[input]` of format csv.
#[derive(Clone, Debug, Serialize)]
pub struct InputSpec {
    /// One byte, `,` by default.
    pub delimiter: u8,
    /// One byte, `"` by default; `None`: quotes are ordinary characters.
    pub quote: Option<u8>,
    /// The first line names the columns (default); otherwise `columns` does.
    pub header: bool,
    /// `columns`, with `header = false`; may be empty when recipes pick by position.
    pub columns: Vec<String>,
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
    /// `"a.b"` split at the dots.
    pub target: Vec<String>,
    /// Where the value comes from.
    pub origin: Origin,
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
    /// `auto`.
    Auto(Auto),
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

/// One step of `clean`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum CleanStep {
    /// Unicode white space off both ends.
    Trim,
    /// Upper case, without locale.
    Upper,
    /// Lower case, without locale.
    Lower,
    /// Keeps ASCII digits only.
    Digits,
    /// `{ pad_left = [width, "0"] }`.
    PadLeft(u32, char),
    /// `{ remove = "…" }`: a set of characters.
    Remove(String),
}

/// `[lookups.NAME]` with its contents.
#[derive(Clone, Debug, Serialize)]
pub struct LookupSpec {
    /// Key to value; keys are lower-cased when `ignore_case`.
    pub entries: BTreeMap<String, Constant>,
    /// `ignore_case`.
    pub ignore_case: bool,
    /// `on_missing`.
    pub on_missing: OnMissing,
    /// For messages: `lookups/country.csv`, or `values`.
    #[serde(skip)]
    pub source: String,
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
    Text,
    /// `integer`.
    Integer,
    /// `number`; `decimals` pads and never rounds.
    Number {
        /// `decimals`.
        decimals: Option<u32>,
    },
    /// `number` with `minor_units = n`: sent as an integer.
    MinorUnits(u32),
    /// `date` with a chrono format; sent as `YYYY-MM-DD`.
    Date {
        /// `%d.%m.%Y`, known to be complete and valid.
        format: String,
    },
    /// `boolean`.
    Boolean,
}

/// `minimum` or `maximum`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Limit {
    /// For numbers and integers (for minor units: of the amount as written).
    Number(Decimal),
    /// For dates, ISO.
    Date(chrono::NaiveDate),
}

/// One condition on a raw cell, after `missing`, without surrounding blanks. All conditions of a table must hold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Condition {
    /// The cell.
    pub column: Column,
    /// What must hold.
    pub test: Test,
}

/// What a condition asks.
#[derive(Clone, Debug, PartialEq, Serialize)]
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

/// `[rejects]`. Only strictly more than a limit stops the file; the first exceeded wins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RejectLimits {
    /// `max_count`.
    pub max_count: Option<u64>,
    /// `max_percent` of the rows that were not skipped; 5.0 by default.
    pub max_percent: Decimal,
}

impl Default for RejectLimits {
    fn default() -> Self {
        Self { max_count: None, max_percent: Decimal::new(50, 1) }
    }
}
