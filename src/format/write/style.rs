//! Columns: which field each is, and how its values are written.

use std::borrow::Cow;
use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use super::Refused;
use super::record::{Scalar, Token, Tokens};
use crate::domain::reject::RejectCode;

/// A column of a flat format, or a field of a nested one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// `a.b`; a list has its brackets: `lines[].sku`.
    pub path: String,
    /// How its values are written.
    pub style: Style,
}

/// How a value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Style {
    /// As it is.
    Plain,
    /// A number, with this decimal mark.
    Number(char),
    /// A day, in this format; ISO without one.
    Date(Option<String>),
    /// A date with a time of day, in this format; ISO without one.
    Moment(Option<String>),
}

impl Style {
    /// The text of a value; `Err`: it cannot be written in the format.
    pub(super) fn text<'a>(&self, value: &'a Scalar<'a>) -> Result<Cow<'a, str>, (RejectCode, String)> {
        match (self, value) {
            (Self::Number(mark), Scalar::Number(digits)) if *mark != '.' => {
                Ok(Cow::Owned(digits.replace('.', mark.encode_utf8(&mut [0; 4]))))
            }
            (Self::Date(Some(format)), Scalar::Text(text)) => match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
                Ok(day) => written(format_args!("{}", day.format(format)), format, RejectCode::BadDate),
                // Not a day but a word that the mapping gives instead of one.
                Err(_) => Ok(Cow::Borrowed(text)),
            },
            (Self::Moment(Some(format)), Scalar::Text(text)) => moment(text, format),
            _ => Ok(Cow::Borrowed(value.text())),
        }
    }
}

fn moment<'a>(text: &'a str, format: &str) -> Result<Cow<'a, str>, (RejectCode, String)> {
    let code = RejectCode::BadDatetime;
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return written(format_args!("{}", moment.format(format)), format, code);
    }
    match NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f") {
        Ok(moment) => written(format_args!("{}", moment.format(format)), format, code),
        Err(_) => Ok(Cow::Borrowed(text)),
    }
}

/// A format may ask for what the value does not have: an offset, or a time of a day.
fn written<'a>(
    value: std::fmt::Arguments<'_>,
    format: &str,
    code: RejectCode,
) -> Result<Cow<'a, str>, (RejectCode, String)> {
    let mut text = String::new();
    match text.write_fmt(value) {
        Ok(()) => Ok(Cow::Owned(text)),
        Err(_) => Err((code, format!("cannot be written as `{format}`"))),
    }
}

/// Picks the cells of the columns out of records.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    columns: Vec<Column>,
    /// The texts of all cells, back to back.
    text: String,
    cells: Vec<Cell>,
    path: String,
}

/// The value of a column: its kind, and where its text stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) kind: Kind,
    start: usize,
    end: usize,
}

/// The kind of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Nothing,
    Text,
    Number,
    Boolean,
}

impl Cells {
    pub(super) fn new(columns: Vec<Column>) -> Self {
        let cells = vec![Cell::default(); columns.len()];
        Self { columns, text: String::new(), cells, path: String::new() }
    }

    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Takes the cells of a record.
    pub(super) fn read(&mut self, record: &[u8], refused: &mut Vec<Refused>) {
        self.text.clear();
        self.path.clear();
        self.cells.fill(Cell::default());
        // Fields stand in the order of the columns, except where an object gathers its own.
        let mut guess = 0;
        let mut parents: Vec<usize> = Vec::new();
        for token in Tokens::new(record).skip(1) {
            match token {
                Token::Key(name) => {
                    self.path.truncate(parents.last().copied().unwrap_or(0));
                    if !self.path.is_empty() {
                        self.path.push('.');
                    }
                    self.path.push_str(&name);
                }
                Token::Object => parents.push(self.path.len()),
                Token::EndObject => {
                    parents.pop();
                }
                Token::Value(value) => guess = self.keep(&value, guess, refused) + 1,
                Token::List | Token::EndList => {}
            }
        }
    }

    fn keep(&mut self, value: &Scalar<'_>, guess: usize, refused: &mut Vec<Refused>) -> usize {
        let Self { columns, path, text, cells, .. } = self;
        let is = |column: Option<&Column>| column.is_some_and(|column| column.path == *path);
        let at = if is(columns.get(guess)) { Some(guess) } else { columns.iter().position(|column| is(Some(column))) };
        let Some((at, column, cell)) = at.and_then(|at| Some((at, columns.get(at)?, cells.get_mut(at)?))) else {
            return guess;
        };
        let kind = match value {
            Scalar::Nothing => return at,
            Scalar::Text(_) => Kind::Text,
            Scalar::Number(_) => Kind::Number,
            Scalar::Boolean(_) => Kind::Boolean,
        };
        match column.style.text(value) {
            Ok(written) => {
                let start = text.len();
                text.push_str(&written);
                *cell = Cell { kind, start, end: text.len() };
            }
            Err((code, message)) => refused.push(Refused { column: at, code, message }),
        }
        at
    }

    /// The kind and the text of a column's cell.
    pub(super) fn at(&self, column: usize) -> (Kind, &str) {
        let cell = self.cells.get(column).copied().unwrap_or_default();
        (cell.kind, self.text.get(cell.start..cell.end).unwrap_or_default())
    }

    /// The cells, in the order of the columns.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, Kind, &str)> {
        (0..self.cells.len()).map(move |column| {
            let (kind, text) = self.at(column);
            (column, kind, text)
        })
    }
}
