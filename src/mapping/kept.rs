//! Values that are kept while a record is made, because a rule compares them.

use std::cmp::Ordering;

use chrono::{NaiveDate, NaiveTime};
use rust_decimal::Decimal;

use super::moment::Moment;
use super::value::Typed;

/// A value of a field.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Kept {
    /// It has none.
    #[default]
    Nothing,
    Number(Decimal),
    Date(NaiveDate),
    Time(NaiveTime),
    Moment(Moment),
    Text(String),
}

impl Kept {
    pub(super) fn new(value: &Typed<'_>) -> Self {
        match value {
            Typed::Date(day) => day.date().map_or(Self::Nothing, Self::Date),
            Typed::Time(time) => Self::Time(*time),
            Typed::Moment(moment) => Self::Moment(*moment),
            Typed::Number { .. } | Typed::Minor { .. } | Typed::Line(_) => {
                value.decimal().map_or(Self::Nothing, Self::Number)
            }
            other => Self::Text(other.words().into_owned()),
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// As a number; a text may be one.
    pub(super) fn number(&self) -> Option<Decimal> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Whether it is before the other in time; `None` when they cannot be compared. A day and a moment compare as days.
    pub(super) fn is_before(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            (Self::Moment(left), Self::Moment(right)) => Some(left.is_before(*right)),
            (Self::Time(left), Self::Time(right)) => Some(left < right),
            (left, right) => Some(left.day()? < right.day()?),
        }
    }

    fn day(&self) -> Option<NaiveDate> {
        match self {
            Self::Date(date) => Some(*date),
            Self::Moment(moment) => Some(moment.local().date()),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The order of lines: numbers before everything else, then as texts.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self.number(), other.number()) {
            (Some(left), Some(right)) => left.cmp(&right),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.words().cmp(&other.words()),
        }
    }

    /// For messages.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Number(number) => number.to_string(),
            Self::Date(date) => date.to_string(),
            Self::Time(time) => time.to_string(),
            Self::Moment(moment) => moment.iso(),
            Self::Text(text) => text.clone(),
        }
    }
}
