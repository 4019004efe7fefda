//! The last line of a file: a template with the number of records and sums over them.

use std::fmt::Write as _;

use rust_decimal::Decimal;

use super::style::{Cells, Kind};

/// A part of a trailer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrailerPart {
    /// Literal text.
    Text(String),
    /// The number of records, with leading zeros up to so many digits.
    Count(Option<u32>),
    /// The sum of a column, by index, with leading zeros up to so many characters.
    Sum(usize, Option<u32>),
}

/// A trailer and what it adds up.
#[derive(Clone, Debug)]
pub struct Trailer {
    parts: Vec<TrailerPart>,
    decimal_mark: char,
    count: u64,
    /// By part; `None`: more digits than can be added up exactly.
    sums: Vec<Option<Decimal>>,
}

impl Trailer {
    /// With no records yet.
    pub fn new(parts: Vec<TrailerPart>, decimal_mark: char) -> Self {
        let sums = vec![Some(Decimal::ZERO); parts.len()];
        Self { parts, decimal_mark, count: 0, sums }
    }

    pub(super) fn reset(&mut self) {
        self.count = 0;
        self.sums.fill(Some(Decimal::ZERO));
    }

    /// Counts a record.
    pub(super) fn add(&mut self, cells: &Cells) {
        self.count += 1;
        for (part, sum) in self.parts.iter().zip(&mut self.sums) {
            let TrailerPart::Sum(column, _) = part else { continue };
            let (kind, text) = cells.at(*column);
            if kind != Kind::Number {
                continue;
            }
            let number = text.replace(self.decimal_mark, ".").parse::<Decimal>().ok();
            *sum = sum.zip(number).and_then(|(sum, number)| sum.checked_add(number));
        }
    }

    /// Most bytes of it, as far as numbers of a usual size go.
    pub(super) fn longest(&self) -> usize {
        let part = |part: &TrailerPart| match part {
            TrailerPart::Text(text) => 4 * text.len(),
            TrailerPart::Count(_) | TrailerPart::Sum(..) => 4 * 40,
        };
        self.parts.iter().map(part).sum()
    }

    pub(super) fn text(&self) -> Result<String, String> {
        let mut text = String::new();
        for (part, sum) in self.parts.iter().zip(&self.sums) {
            match part {
                TrailerPart::Text(literal) => text.push_str(literal),
                TrailerPart::Count(width) => padded(&mut text, &self.count.to_string(), *width, "count")?,
                TrailerPart::Sum(_, width) => {
                    let sum = sum.ok_or("a sum of the trailer has more digits than can be added up exactly")?;
                    let digits = sum.to_string().replace('.', self.decimal_mark.encode_utf8(&mut [0; 4]));
                    padded(&mut text, &digits, *width, "sum")?;
                }
            }
        }
        Ok(text)
    }
}

fn padded(text: &mut String, number: &str, width: Option<u32>, what: &str) -> Result<(), String> {
    let width = width.unwrap_or(0) as usize;
    let length = number.chars().count();
    if width > 0 && length > width {
        return Err(format!("the {what} {number} is wider than the {width} characters that the trailer has for it"));
    }
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |digits| ("-", digits));
    // Writing to a text cannot fail.
    let _ = write!(text, "{sign}{digits:0>width$}", width = width.saturating_sub(sign.len()));
    Ok(())
}
