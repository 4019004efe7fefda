//! Limits: what a value must meet once it has its type. A field has one code, the first that applies.

use chrono::NaiveDate;
use regex::Regex;
use rust_decimal::Decimal;

use super::spec::{FieldSpec, Limit};
use super::text;
use super::value::{Refusal, Typed};
use crate::domain::reject::RejectCode;

/// The compiled limits of a field.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    allowed: Vec<String>,
    pattern: Option<Regex>,
    minimum: Option<Limit>,
    maximum: Option<Limit>,
}

impl Limits {
    /// `None` when the field has no limits.
    ///
    /// # Errors
    /// A pattern that does not compile, which config has excluded.
    pub(super) fn new(field: &FieldSpec) -> Result<Option<Self>, regex::Error> {
        if field.allowed.is_empty() && field.pattern.is_none() && field.minimum.is_none() && field.maximum.is_none() {
            return Ok(None);
        }
        let pattern = field.pattern.as_deref().map(Regex::new).transpose()?;
        let (minimum, maximum) = (field.minimum.clone(), field.maximum.clone());
        Ok(Some(Self { allowed: field.allowed.clone(), pattern, minimum, maximum }))
    }

    /// Enum, pattern, minimum, maximum, in this order.
    pub(super) fn check(&self, value: &Typed<'_>) -> Result<(), Box<Refusal>> {
        if !self.allowed.is_empty() || self.pattern.is_some() {
            self.check_text(&value.words())?;
        }
        let (number, date) = match (&self.minimum, &self.maximum) {
            (None, None) => return Ok(()),
            (Some(Limit::Date(_)), _) | (_, Some(Limit::Date(_))) => (None, value.date()),
            _ => (value.decimal(), None),
        };
        if let Some(limit) = self
            .minimum
            .as_ref()
            .filter(|limit| beyond(limit, number, date, |value, limit| value < limit, |value, limit| value < limit))
        {
            let message = format!("{} is below the minimum {}", text::shown(&value.words()), words(limit));
            return Err(Refusal::new(RejectCode::BelowMinimum, message));
        }
        if let Some(limit) = self
            .maximum
            .as_ref()
            .filter(|limit| beyond(limit, number, date, |value, limit| value > limit, |value, limit| value > limit))
        {
            let message = format!("{} is above the maximum {}", text::shown(&value.words()), words(limit));
            return Err(Refusal::new(RejectCode::AboveMaximum, message));
        }
        Ok(())
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

/// True when a value of the limit's kind is beyond it. A value of another kind is not compared.
fn beyond(
    limit: &Limit,
    number: Option<Decimal>,
    date: Option<NaiveDate>,
    numbers: impl Fn(Decimal, Decimal) -> bool,
    dates: impl Fn(NaiveDate, NaiveDate) -> bool,
) -> bool {
    match limit {
        Limit::Number(limit) => number.is_some_and(|number| numbers(number, *limit)),
        Limit::Date(limit) => date.is_some_and(|date| dates(date, *limit)),
    }
}

fn words(limit: &Limit) -> String {
    match limit {
        Limit::Number(number) => number.to_string(),
        Limit::Date(date) => date.format("%Y-%m-%d").to_string(),
    }
}
