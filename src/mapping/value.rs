//! Values: `type` and `format`, and how a value is written.

use std::borrow::Cow;

use chrono::{NaiveDate, NaiveTime};
use rust_decimal::Decimal;

use super::date::{DateFormat, Day};
use super::moment::{Moment, iso_time, read_time};
use super::number::{MAX_DIGITS, Marks, Number, Unread};
use super::plan::Encoded;
use super::spec::{Constant, InputSpec, TextFormat, ValueKind};
use super::{text, text_format, write};
use crate::domain::reject::RejectCode;

/// Why a field has no value; becomes a reject. Boxed, so that the results of the hot path stay small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: RejectCode,
    pub(super) message: String,
}

impl Refusal {
    #[cold]
    pub(super) fn new(code: RejectCode, message: String) -> Box<Self> {
        Box::new(Self { code, message })
    }
}

/// A value before its type.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'a> {
    /// Text; `plain` when it needs no escapes.
    Text { text: &'a str, plain: bool },
    /// From a lookup or from the mapping.
    Constant(&'a Encoded),
    /// The line of the row.
    Line(u64),
}

impl Found<'_> {
    /// Writes it as JSON, without a type.
    #[inline]
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text { text, plain: true } => write::plain_string(out, text),
            Self::Text { text, plain: false } => write::string(out, text),
            Self::Constant(constant) => constant.json.append_to(out),
            Self::Line(line) => out.extend_from_slice(line.to_string().as_bytes()),
        }
    }
}

/// A value with its type.
#[derive(Clone, Debug)]
pub(super) enum Typed<'a> {
    Text { text: &'a str, plain: bool },
    Number { number: Number, decimals: Option<u32> },
    Minor { number: Number, units: u32 },
    Date(Day),
    Time(NaiveTime),
    Moment(Moment),
    Boolean(bool),
    Constant(&'a Encoded),
    Line(u64),
}

/// A compiled `type`.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Text,
    Formatted(TextFormat),
    Integer,
    Number(Option<u32>),
    Minor(u32),
    /// A whole number of which the last `implied` digits are decimals.
    Implied {
        implied: u32,
        decimals: Option<u32>,
        minor: Option<u32>,
    },
    Date {
        format: DateFormat,
        written: String,
    },
    Time(String),
    Moment(String),
    Boolean,
}

impl Kind {
    pub(super) fn new(kind: &ValueKind) -> Self {
        match kind {
            ValueKind::Text(TextFormat::Any) => Self::Text,
            ValueKind::Text(format) => Self::Formatted(*format),
            ValueKind::Integer => Self::Integer,
            ValueKind::Number(format) => match (format.implied, format.minor_units) {
                (Some(implied), minor) => Self::Implied { implied, decimals: format.decimals, minor },
                (None, Some(units)) => Self::Minor(units),
                (None, None) => Self::Number(format.decimals),
            },
            ValueKind::Time { format } => Self::Time(format.clone()),
            ValueKind::Datetime { format } => Self::Moment(format.clone()),
            ValueKind::Date { format } => Self::Date { format: DateFormat::new(format), written: format.clone() },
            ValueKind::Boolean => Self::Boolean,
        }
    }
}

/// How cells are written in this file.
#[derive(Clone, Debug)]
pub(super) struct Notation {
    pub(super) marks: Marks,
    plain_marks: Marks,
    true_values: Vec<String>,
    false_values: Vec<String>,
}

impl Notation {
    pub(super) fn new(input: &InputSpec) -> Self {
        Self {
            marks: Marks::new(input.decimal_mark, input.group_mark),
            plain_marks: Marks::plain(),
            true_values: input.true_values.clone(),
            false_values: input.false_values.clone(),
        }
    }

    /// The words for true, and those for false.
    pub(super) fn booleans(&self) -> (impl Iterator<Item = &str>, impl Iterator<Item = &str>) {
        (self.true_values.iter().map(String::as_str), self.false_values.iter().map(String::as_str))
    }

    /// Gives a value its type.
    #[inline(always)]
    pub(super) fn typed<'a>(&self, kind: &Kind, found: Found<'a>) -> Result<Typed<'a>, Box<Refusal>> {
        match (kind, found) {
            (Kind::Text, Found::Text { text, plain }) => Ok(Typed::Text { text, plain }),
            (Kind::Text, Found::Constant(constant)) => Ok(Typed::Constant(constant)),
            (Kind::Text | Kind::Formatted(_), Found::Line(line)) => Ok(Typed::Line(line)),
            (Kind::Formatted(format), Found::Text { text, plain }) => {
                text_format::read(*format, text).map(|()| Typed::Text { text, plain })
            }
            (Kind::Formatted(format), Found::Constant(constant)) => {
                text_format::read(*format, constant.text()).map(|()| Typed::Constant(constant))
            }
            (kind, Found::Text { text, .. }) => self.read(kind, text, &self.marks),
            (Kind::Boolean, Found::Constant(Encoded { constant: Constant::Boolean(value), .. })) => {
                Ok(Typed::Boolean(*value))
            }
            (kind, Found::Constant(constant)) => {
                // A number in the mapping is in the notation of the mapping, not in that of the file.
                let marks =
                    if matches!(constant.constant, Constant::Number(_)) { &self.plain_marks } else { &self.marks };
                self.read(kind, constant.text(), marks)
            }
            (kind, Found::Line(line)) => {
                self.read(kind, &line.to_string(), &self.plain_marks).map(|_| Typed::Line(line))
            }
        }
    }

    /// Reads a text that must have the type. The result borrows nothing from it. Always inlined, so that no result of this
    /// size goes through memory.
    #[inline(always)]
    fn read<'a>(&self, kind: &Kind, text: &str, marks: &Marks) -> Result<Typed<'a>, Box<Refusal>> {
        match kind {
            Kind::Text | Kind::Formatted(_) => Ok(Typed::Text { text: "", plain: true }),
            Kind::Integer => match Number::read(text, marks) {
                Ok(number) if number.decimals() == 0 => Ok(Typed::Number { number, decimals: None }),
                Err(Unread::TooLong) => Err(too_many_digits(RejectCode::BadInteger, text)),
                _ => Err(Refusal::new(
                    RejectCode::BadInteger,
                    format!("{} is not a whole number{}", text::shown(text), blanks(text)),
                )),
            },
            Kind::Number(decimals) => {
                let number = read_number(text, marks)?;
                fits(&number, *decimals, text)?;
                Ok(Typed::Number { number, decimals: *decimals })
            }
            Kind::Minor(units) => {
                let number = read_number(text, marks)?;
                fits(&number, Some(*units), text)?;
                Ok(Typed::Minor { number, units: *units })
            }
            Kind::Implied { implied, decimals, minor } => {
                let number = read_number(text, marks)?.implied(*implied).ok_or_else(|| with_decimals(text))?;
                fits(&number, minor.or(*decimals), text)?;
                Ok(match minor {
                    Some(units) => Typed::Minor { number, units: *units },
                    None => Typed::Number { number, decimals: *decimals },
                })
            }
            Kind::Time(format) => {
                read_time(text, format).map(Typed::Time).ok_or_else(|| not_in_format(RejectCode::BadTime, text, format))
            }
            Kind::Moment(format) => Moment::read(text, format)
                .map(Typed::Moment)
                .ok_or_else(|| not_in_format(RejectCode::BadDatetime, text, format)),
            Kind::Date { format, written } => {
                format.read(text).map(Typed::Date).ok_or_else(|| not_in_format(RejectCode::BadDate, text, written))
            }
            Kind::Boolean => self.read_boolean(text).map(Typed::Boolean),
        }
    }

    #[inline]
    fn read_boolean(&self, text: &str) -> Result<bool, Box<Refusal>> {
        if self.true_values.iter().any(|word| word == text) {
            return Ok(true);
        }
        if self.false_values.iter().any(|word| word == text) {
            return Ok(false);
        }
        let (yes, no) = (text::list(&self.true_values, 10), text::list(&self.false_values, 10));
        let message = format!("{} is neither true ({yes}) nor false ({no}){}", text::shown(text), blanks(text));
        Err(Refusal::new(RejectCode::BadBoolean, message))
    }
}

#[inline]
fn read_number(text: &str, marks: &Marks) -> Result<Number, Box<Refusal>> {
    Number::read(text, marks).map_err(|unread| match unread {
        Unread::TooLong => too_many_digits(RejectCode::BadNumber, text),
        Unread::Notation => {
            let message = format!("{} is not a number {}{}", text::shown(text), marks.words(), blanks(text));
            Refusal::new(RejectCode::BadNumber, message)
        }
    })
}

#[inline]
fn fits(number: &Number, decimals: Option<u32>, text: &str) -> Result<(), Box<Refusal>> {
    let Some(most) = decimals.map(|most| most as usize) else { return Ok(()) };
    if number.decimals() <= most || number.needed_decimals() <= most {
        return Ok(());
    }
    let message =
        format!("{} has {} decimals, and the target takes {most}", text::shown(text), number.needed_decimals());
    Err(Refusal::new(RejectCode::TooManyDecimals, message))
}

#[cold]
fn not_in_format(code: RejectCode, text: &str, format: &str) -> Box<Refusal> {
    let noun = match code {
        RejectCode::BadDate => "a date",
        RejectCode::BadTime => "a time",
        _ => "a date and time",
    };
    Refusal::new(code, format!("{} is not {noun} in the format `{format}`{}", text::shown(text), blanks(text)))
}

#[cold]
fn with_decimals(text: &str) -> Box<Refusal> {
    let message = format!("{} has a decimal mark, and `implied_decimals` wants digits only", text::shown(text));
    Refusal::new(RejectCode::BadNumber, message)
}

#[cold]
fn too_many_digits(code: RejectCode, text: &str) -> Box<Refusal> {
    Refusal::new(
        code,
        format!("{} has more than {MAX_DIGITS} digits, and numbers are never rounded", text::shown(text)),
    )
}

/// A hint for the usual cause that one cannot see.
#[cold]
fn blanks(text: &str) -> &'static str {
    if text.trim().len() < text.len() { "; it has blanks around it, which `clean = [\"trim\"]` takes off" } else { "" }
}

impl Typed<'_> {
    /// Writes it as JSON.
    #[inline]
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text { text, plain: true } => write::plain_string(out, text),
            Self::Text { text, plain: false } => write::string(out, text),
            Self::Number { number, decimals } => number.write(out, *decimals),
            Self::Minor { number, units } => number.write_minor(out, *units),
            Self::Date(day) => day.write(out),
            Self::Time(time) => write::plain_string(out, &iso_time(*time)),
            Self::Moment(moment) => write::plain_string(out, &moment.iso()),
            Self::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Self::Constant(constant) => constant.json.append_to(out),
            Self::Line(line) => out.extend_from_slice(line.to_string().as_bytes()),
        }
    }

    /// The text that `enum` and `pattern` look at, and that messages show: for amounts in minor units the amount as written.
    pub(super) fn words(&self) -> Cow<'_, str> {
        match self {
            Self::Text { text, .. } => Cow::Borrowed(text),
            Self::Constant(constant) => Cow::Borrowed(constant.text()),
            Self::Minor { number, .. } => {
                let mut out = Vec::new();
                number.write(&mut out, None);
                Cow::Owned(String::from_utf8_lossy(&out).into_owned())
            }
            other => {
                let mut out = Vec::new();
                other.write(&mut out);
                Cow::Owned(String::from_utf8_lossy(&out).trim_matches('"').to_owned())
            }
        }
    }

    /// For limits on numbers.
    pub(super) fn decimal(&self) -> Option<Decimal> {
        match self {
            Self::Number { number, .. } | Self::Minor { number, .. } => Some(number.decimal()),
            Self::Constant(constant) => constant.text().parse().ok(),
            Self::Line(line) => Some(Decimal::from(*line)),
            Self::Text { text, .. } => text.parse().ok(),
            Self::Date(_) | Self::Time(_) | Self::Moment(_) | Self::Boolean(_) => None,
        }
    }

    /// The amount below zero; other values as they are.
    pub(super) fn negated(self) -> Self {
        match self {
            Self::Number { number, decimals } => Self::Number { number: number.negated(), decimals },
            Self::Minor { number, units } => Self::Minor { number: number.negated(), units },
            other => other,
        }
    }

    /// For limits on dates.
    pub(super) fn date(&self) -> Option<NaiveDate> {
        match self {
            Self::Date(day) => day.date(),
            Self::Moment(moment) => Some(moment.local().date()),
            Self::Constant(constant) => constant.text().parse().ok(),
            _ => None,
        }
    }
}
