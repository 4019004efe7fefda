//! Layouts: kinds of lines, how they are known and where their columns are.

use regex::Regex;
use serde::Serialize;

/// `[layouts.NAME]`: a kind of line.
#[derive(Clone, Debug, Serialize)]
pub struct LayoutSpec {
    /// Its name.
    pub name: String,
    /// How a line of this kind is known.
    pub sign: Sign,
    /// Where such lines stand.
    pub occurs: Occurs,
    /// Its lines are rows.
    pub is_record: bool,
    /// Its columns.
    pub columns: Vec<LayoutColumn>,
}

/// How a line of a layout is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Sign {
    /// `starts_with`.
    StartsWith(String),
    /// `matches`: a regular expression that is known to compile.
    Matches(String),
}

/// `occurs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Occurs {
    /// Once, before every row.
    First,
    /// Once, behind every row.
    Last,
    /// Any number of times.
    Many,
}

/// A column of a layout.
#[derive(Clone, Debug, Serialize)]
pub struct LayoutColumn {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub place: ColumnPlace,
    /// It is a part of this other column.
    pub within: Option<String>,
}

/// Where a column of a layout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ColumnPlace {
    /// `pos = "4-11"`: characters, from 1, both ends included.
    Characters(u32, u32),
    /// `field = 2`: the cell of a delimiter-separated row, from 1.
    Cell(u32),
}

/// A compiled sign.
#[derive(Clone, Debug)]
pub enum LineSign {
    /// The line begins so.
    StartsWith(String),
    /// The line matches.
    Matches(Regex),
}

impl LineSign {
    /// Compiles a sign; `None` for a pattern that does not compile, which config has excluded.
    pub fn new(sign: &Sign) -> Option<Self> {
        Some(match sign {
            Sign::StartsWith(start) => Self::StartsWith(start.clone()),
            Sign::Matches(pattern) => Self::Matches(Regex::new(pattern).ok()?),
        })
    }

    /// True when the line is of this kind.
    pub fn is(&self, line: &str) -> bool {
        match self {
            Self::StartsWith(start) => line.starts_with(start.as_str()),
            Self::Matches(pattern) => pattern.is_match(line),
        }
    }
}

/// A line that is no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundLine {
    /// Name of the layout.
    pub layout: String,
    /// Where it may stand.
    pub occurs: Occurs,
    /// The line, from 1.
    pub line: u64,
    /// Its offset in the file.
    pub byte: u64,
    /// Column and cell, without surrounding blanks.
    pub cells: Vec<(String, String)>,
}
