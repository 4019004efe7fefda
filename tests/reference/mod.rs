//! The mapping language once more, as slow and obvious as can be: written from the design pages, not from the engine. What
//! both agree on byte by byte is either right or misunderstood twice.
#![allow(dead_code, reason = "a model is whole, whoever uses which part of it")]

pub mod case;
pub mod clean;
pub mod csv;
pub mod group;
pub mod number;
pub mod record;
pub mod tape;
pub mod toml;

use number::Number;

/// A whole mapping file.
#[derive(Clone, Debug)]
pub struct Mapping {
    pub delimiter: char,
    pub decimal_mark: char,
    pub group_mark: Option<char>,
    pub missing: Vec<String>,
    pub true_values: Option<Vec<String>>,
    pub false_values: Option<Vec<String>>,
    pub skip_when: Vec<Condition>,
    pub group_by: Option<String>,
    pub on_conflict: OnConflict,
    pub lookups: Vec<Lookup>,
    pub fields: Vec<Field>,
    pub checks: Vec<Check>,
    pub omit_empty: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    Reject,
    First,
    Last,
}

/// All conditions of a table must hold.
#[derive(Clone, Debug)]
pub struct Condition {
    pub column: String,
    pub test: Test,
}

#[derive(Clone, Debug)]
pub enum Test {
    OneOf(Vec<String>),
    Present(bool),
    AtLeast(String),
    AtMost(String),
}

#[derive(Clone, Debug)]
pub struct Lookup {
    pub name: String,
    pub entries: Vec<(String, Constant)>,
    /// In a file of its own, where every value is text.
    pub in_file: bool,
    pub ignore_case: bool,
    pub on_missing: OnMissing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnMissing {
    Reject,
    Default,
    Keep,
}

/// A value written in the mapping; a number as its digits, with `.`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constant {
    Text(String),
    Number(String),
    Boolean(bool),
    /// `YYYY-MM-DD`, for fields of type date.
    Date(String),
}

#[derive(Clone, Debug)]
pub struct Field {
    /// `a.b` or `lines[].a.b`.
    pub target: String,
    pub origin: Origin,
    pub when: Vec<Condition>,
    pub clean: Vec<Clean>,
    pub lookup: Option<String>,
    pub kind: Kind,
    pub default: Option<Constant>,
    pub required: bool,
    pub unique: bool,
    pub allowed: Vec<String>,
    pub pattern: Option<Pattern>,
    pub minimum: Option<Constant>,
    pub maximum: Option<Constant>,
    pub min_length: Option<usize>,
    pub max_length: Option<usize>,
    pub not_before: Option<String>,
    pub not_after: Option<String>,
}

impl Field {
    pub fn new(target: &str, origin: Origin, kind: Kind) -> Self {
        Self {
            target: target.to_owned(),
            origin,
            when: Vec::new(),
            clean: Vec::new(),
            lookup: None,
            kind,
            default: None,
            required: false,
            unique: false,
            allowed: Vec::new(),
            pattern: None,
            minimum: None,
            maximum: None,
            min_length: None,
            max_length: None,
            not_before: None,
            not_after: None,
        }
    }

    pub fn is_of_line(&self) -> bool {
        self.target.starts_with("lines[].")
    }

    /// The column that a reject names: the first one that the origin reads.
    pub fn column(&self) -> Option<String> {
        match &self.origin {
            Origin::From(column) => Some(column.clone()),
            Origin::FirstOf(columns) => columns.first().cloned(),
            Origin::Template(parts) => parts.iter().find_map(|part| match part {
                Part::Cell(column) => Some(column.clone()),
                Part::Text(_) => None,
            }),
            Origin::Value(_) | Origin::Cases(_) | Origin::Row | Origin::FileName => None,
        }
    }
}

#[derive(Clone, Debug)]
pub enum Origin {
    From(String),
    FirstOf(Vec<String>),
    Template(Vec<Part>),
    Value(Constant),
    Cases(Vec<(Vec<Condition>, Constant)>),
    Row,
    FileName,
}

#[derive(Clone, Debug)]
pub enum Part {
    Text(String),
    Cell(String),
}

#[derive(Clone, Debug)]
pub enum Clean {
    Trim,
    Squeeze,
    Upper,
    Lower,
    Digits,
    Ascii,
    PadLeft(usize, char),
    Remove(String),
    Replace(String, String),
    Take(usize, usize),
    After(String),
    Before(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Integer,
    Number {
        decimals: Option<usize>,
        implied: Option<usize>,
        minor_units: Option<usize>,
        negative_when: Option<(String, String)>,
    },
    Boolean,
    Date(String),
}

/// Patterns that need no engine to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    StartsUpper,
    OnlyDigits,
    HoldsA,
    EndsInX,
    ThreeCharacters,
}

impl Pattern {
    pub const ALL: [Self; 5] =
        [Self::StartsUpper, Self::OnlyDigits, Self::HoldsA, Self::EndsInX, Self::ThreeCharacters];

    pub fn written(self) -> &'static str {
        match self {
            Self::StartsUpper => "^[A-Z]",
            Self::OnlyDigits => "^[0-9]+$",
            Self::HoldsA => "a",
            Self::EndsInX => "[xX]$",
            Self::ThreeCharacters => "^...$",
        }
    }

    /// The end of the text is its end: a line break before it does not count. A point is any character but a line feed.
    pub fn holds(self, text: &str) -> bool {
        let characters: Vec<char> = text.chars().collect();
        match self {
            Self::StartsUpper => characters.first().is_some_and(char::is_ascii_uppercase),
            Self::OnlyDigits => !characters.is_empty() && characters.iter().all(char::is_ascii_digit),
            Self::HoldsA => characters.contains(&'a'),
            Self::EndsInX => matches!(characters.last(), Some('x' | 'X')),
            Self::ThreeCharacters => characters.len() == 3 && !characters.contains(&'\n'),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Check {
    pub id: String,
    pub rule: Rule,
    pub warn_only: bool,
}

#[derive(Clone, Debug)]
pub enum Rule {
    SumEquals { sum: String, equals: String, tolerance: Option<String> },
    FieldEquals { field: String, equals: String },
    NotBefore { field: String, other: String },
    AtLeastOneOf(Vec<String>),
}

/// What a field has in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Number(Number),
    Boolean(bool),
    Date(u32, u32, u32),
}

/// One line of `--rejects`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    pub row: usize,
    pub byte: usize,
    pub column: Option<String>,
    pub code: String,
}

/// What must come of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// NDJSON and rejects, in the order of the file.
    Done { out: String, rejects: Vec<Reject> },
    /// The whole file fails with this fault.
    Failed(Reject),
}

/// Converts a whole file.
pub fn convert(mapping: &Mapping, file_name: &str, content: &[u8]) -> Outcome {
    let rows = match csv::read(content, mapping.delimiter as u8) {
        Ok(rows) => rows,
        Err(line) => {
            return Outcome::Failed(Reject {
                row: line.line,
                byte: line.byte,
                column: None,
                code: "unclosed-quote".into(),
            });
        }
    };
    let mut rows = rows.into_iter();
    let header = rows.next().expect("the generator writes a header");
    let header: Vec<String> =
        header.cells.into_iter().map(|cell| String::from_utf8(cell).expect("UTF-8 header")).collect();
    let mut records = group::records(mapping, file_name, &header, rows);
    group::strike_neighbours(&mut records);
    record::check(mapping, &mut records);
    group::strike_split(&mut records);
    record::strike_duplicates(mapping, &mut records);
    record::outcome(mapping, records)
}
