//! Limits: what a value must meet once it has its type. A field has one code, the first that applies.

use chrono::NaiveDate;
use regex::Regex;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use super::spec::{FieldSpec, Limit};
use super::text;
use super::value::{Refusal, Typed};
use crate::domain::reject::RejectCode;

/// The compiled limits of a field.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    allowed: Vec<String>,
    pattern: Option<Regex>,
    minimum: Option<Bound>,
    maximum: Option<Bound>,
    lengths: Option<(usize, usize)>,
}

/// A limit, with `today` filled in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    Number(Decimal),
    Date(NaiveDate),
}

impl Bound {
    fn new(limit: &Limit, today: NaiveDate) -> Option<Self> {
        match limit {
            Limit::Number(number) => Some(Self::Number(*number)),
            Limit::Date(date) => Some(Self::Date(*date)),
            Limit::Today(shift) => shift.from(today).map(Self::Date),
        }
    }
}

impl Limits {
    /// `None` when the field has no limits.
    ///
    /// # Errors
    /// A pattern that does not compile, which config has excluded.
    pub(super) fn new(field: &FieldSpec, today: NaiveDate) -> Result<Option<Self>, regex::Error> {
        let lengths = match (field.min_length, field.max_length) {
            (None, None) => None,
            (least, most) => Some((least.unwrap_or(0) as usize, most.map_or(usize::MAX, |most| most as usize))),
        };
        let bound = |limit: &Option<Limit>| limit.as_ref().and_then(|limit| Bound::new(limit, today));
        let limits = Self {
            allowed: field.allowed.clone(),
            pattern: field.pattern.as_deref().map(Regex::new).transpose()?,
            minimum: bound(&field.minimum),
            maximum: bound(&field.maximum),
            lengths,
        };
        let Self { allowed, pattern, minimum, maximum, lengths } = &limits;
        let none =
            allowed.is_empty() && pattern.is_none() && minimum.is_none() && maximum.is_none() && lengths.is_none();
        Ok((!none).then_some(limits))
    }

    /// The least and the greatest number, when these are the only limits and whole numbers.
    pub(super) fn whole_bounds(&self) -> Option<(i64, i64)> {
        let only = self.allowed.is_empty() && self.pattern.is_none() && self.lengths.is_none();
        let whole = |bound: Option<Bound>, otherwise: i64| match bound {
            None => Some(otherwise),
            Some(Bound::Number(number)) if number.is_integer() => number.to_i64(),
            Some(_) => None,
        };
        if only { Some((whole(self.minimum, i64::MIN)?, whole(self.maximum, i64::MAX)?)) } else { None }
    }

    /// Enum, pattern, minimum, maximum, lengths, in this order.
    pub(super) fn check(&self, value: &Typed<'_>) -> Result<(), Box<Refusal>> {
        if !self.allowed.is_empty() || self.pattern.is_some() {
            self.check_text(&value.words())?;
        }
        if self.minimum.is_some() || self.maximum.is_some() {
            self.check_bounds(value)?;
        }
        match self.lengths {
            Some(lengths) => check_length(&value.words(), lengths),
            None => Ok(()),
        }
    }

    fn check_bounds(&self, value: &Typed<'_>) -> Result<(), Box<Refusal>> {
        let dates = matches!(self.minimum.or(self.maximum), Some(Bound::Date(_)));
        let (number, date) = if dates { (None, value.date()) } else { (value.decimal(), None) };
        let refuse = |code, words: &str, limit: Bound| {
            let message = format!("{} is {words} {}", text::shown(&value.words()), limit.words());
            Err(Refusal::new(code, message))
        };
        match self.minimum {
            Some(Bound::Number(limit)) if number.is_some_and(|number| number < limit) => {
                return refuse(RejectCode::BelowMinimum, "below the minimum", Bound::Number(limit));
            }
            Some(Bound::Date(limit)) if date.is_some_and(|date| date < limit) => {
                return refuse(RejectCode::BelowMinimum, "below the minimum", Bound::Date(limit));
            }
            _ => {}
        }
        match self.maximum {
            Some(Bound::Number(limit)) if number.is_some_and(|number| number > limit) => {
                refuse(RejectCode::AboveMaximum, "above the maximum", Bound::Number(limit))
            }
            Some(Bound::Date(limit)) if date.is_some_and(|date| date > limit) => {
                refuse(RejectCode::AboveMaximum, "above the maximum", Bound::Date(limit))
            }
            _ => Ok(()),
        }
    }

    fn check_text(&self, value: &str) -> Result<(), Box<Refusal>> {
        if !self.allowed.is_empty() && !self.allowed.iter().any(|allowed| allowed == value) {
            let message = format!("{} is not one of {}", text::shown(value), text::list(&self.allowed, 20));
            return Err(Refusal::new(RejectCode::NotInEnum, message));
        }
        match &self.pattern {
            Some(pattern) if !pattern.is_match(value) => {
                let message =
                    format!("{} does not match the pattern {}", text::shown(value), text::shown(pattern.as_str()));
                Err(Refusal::new(RejectCode::Pattern, message))
            }
            _ => Ok(()),
        }
    }
}

impl Bound {
    fn words(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Date(date) => date.format("%Y-%m-%d").to_string(),
        }
    }
}

fn check_length(value: &str, (least, most): (usize, usize)) -> Result<(), Box<Refusal>> {
    // As many bytes as the limit are never more characters than it.
    if least == 0 && value.len() <= most {
        return Ok(());
    }
    let length = value.chars().count();
    let characters = text::count(length as u64, "character");
    if length < least {
        let message = format!("{} has {characters}, and at least {least} are needed", text::shown(value));
        return Err(Refusal::new(RejectCode::TooShort, message));
    }
    if length > most {
        let message = format!("{} has {characters}, and at most {most} are taken", text::shown(value));
        return Err(Refusal::new(RejectCode::TooLong, message));
    }
    Ok(())
}
