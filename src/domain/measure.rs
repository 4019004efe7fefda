//! Measures: what a run is compared by beside the number of its records, exact to the last digit.

use rust_decimal::Decimal;

/// One of `[[measures]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// `title`.
    pub title: String,
    /// What is added up.
    pub what: Measured,
    /// `tolerance`: the largest difference that is not a break.
    pub tolerance: Decimal,
}

/// What a measure adds up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measured {
    /// `count = true`: records.
    Count,
    /// `sum`: the target field of a number; `per`: another field, such as the currency, whose values are never added to
    /// each other.
    Sum {
        /// `sum`.
        field: String,
        /// `per`.
        per: Option<String>,
    },
}

/// A measure of a file or a run: what became of its sum. `made = accepted + refused + unanswered + pending` (law 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasureLine {
    /// Position of the measure in the job.
    pub measure: u32,
    /// `title`.
    pub title: String,
    /// The value of `per`; empty without one.
    pub unit: String,
    /// `tolerance`.
    pub tolerance: Decimal,
    /// In the records made.
    pub made: Decimal,
    /// In those that the target accepted.
    pub accepted: Decimal,
    /// In those that it refused.
    pub refused: Decimal,
    /// In those whose outcome is unknown.
    pub unanswered: Decimal,
    /// In those that are not sent.
    pub pending: Decimal,
}

/// The result of comparing two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The same.
    Balanced,
    /// Not the same, and the difference is allowed.
    WithinTolerance,
    /// A difference that a person explains.
    Break,
    /// The other side has not said everything yet.
    NotConfirmed,
    /// There is nothing on either side.
    Nothing,
}

impl Comparison {
    /// The word for it in JSON and in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::WithinTolerance => "within tolerance",
            Self::Break => "BREAK",
            Self::NotConfirmed => "not confirmed yet",
            Self::Nothing => "nothing to compare",
        }
    }

    /// The mark that says it without colour.
    pub const fn mark(self) -> char {
        match self {
            Self::Balanced => '✓',
            Self::WithinTolerance => '≈',
            Self::Break => '▲',
            Self::NotConfirmed => '…',
            Self::Nothing => '–',
        }
    }
}

impl MeasureLine {
    /// What was sent and not accepted: accepted − made.
    pub fn difference(&self) -> Decimal {
        self.accepted - self.made
    }

    /// Law 2.
    pub fn balances(&self) -> bool {
        self.made == self.accepted + self.refused + self.unanswered + self.pending
    }

    /// How it compares. What is refused is known to differ, whatever is still open; what is only open may yet be accepted.
    pub fn result(&self, records_made: u64) -> Comparison {
        let is_open = !(self.unanswered.is_zero() && self.pending.is_zero());
        if records_made == 0 {
            Comparison::Nothing
        } else if self.refused.abs() > self.tolerance {
            Comparison::Break
        } else if is_open {
            Comparison::NotConfirmed
        } else if self.difference().is_zero() {
            Comparison::Balanced
        } else {
            Comparison::WithinTolerance
        }
    }

    /// Adds the same measure of another file.
    pub fn add(&mut self, other: &Self) {
        self.made += other.made;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
        self.pending += other.pending;
    }
}

/// The measures of a run: those of its files, added up by title and unit, in the order of the job.
pub fn sum_lines(lines: impl IntoIterator<Item = MeasureLine>) -> Vec<MeasureLine> {
    let mut sums: Vec<MeasureLine> = Vec::new();
    for line in lines {
        match sums.iter_mut().find(|sum| sum.title == line.title && sum.unit == line.unit) {
            Some(sum) => sum.add(&line),
            None => sums.push(line),
        }
    }
    sums.sort_by(|a, b| (a.measure, &a.unit).cmp(&(b.measure, &b.unit)));
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(unit: &str, accepted: i64, refused: i64) -> MeasureLine {
        let (accepted, refused) = (Decimal::new(accepted, 2), Decimal::new(refused, 2));
        MeasureLine {
            measure: 0,
            title: "Order value".to_owned(),
            unit: unit.to_owned(),
            tolerance: Decimal::new(5, 2),
            made: accepted + refused,
            accepted,
            refused,
            unanswered: Decimal::ZERO,
            pending: Decimal::ZERO,
        }
    }

    #[test]
    fn a_difference_within_the_tolerance_is_told_apart_from_none_and_from_a_break() {
        assert_eq!(line("EUR", 100, 0).result(1), Comparison::Balanced);
        assert_eq!(line("EUR", 100, 5).result(2), Comparison::WithinTolerance);
        assert_eq!(line("EUR", 100, 6).result(2), Comparison::Break);
        assert_eq!(line("EUR", 100, -6).result(2), Comparison::Break);
        let open = |refused| {
            let line = line("EUR", 100, refused);
            MeasureLine { made: line.made + Decimal::ONE, unanswered: Decimal::ONE, ..line }
        };
        assert_eq!([open(0).result(3), open(6).result(3)], [Comparison::NotConfirmed, Comparison::Break]);
        assert_eq!(line("EUR", 0, 0).result(0), Comparison::Nothing);
    }

    #[test]
    fn files_add_up_by_unit_and_units_never_mix() {
        let sums = sum_lines([line("EUR", 100, 1), line("DKK", 5, 0), line("EUR", 20, 0)]);
        let told: Vec<_> = sums.iter().map(|sum| (sum.unit.as_str(), sum.made.to_string())).collect();
        assert_eq!(told, [("DKK", "0.05".to_owned()), ("EUR", "1.21".to_owned())]);
        assert!(sums.iter().all(MeasureLine::balances));
    }
}
