//! Control totals: counted over every data row read, also the skipped and the rejected, and compared with what is declared.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::condition::Conditions;
use super::number::{Marks, Number};
use super::plan::{Compiler, Plan};
use super::record::Row;
use super::spec::{ControlRule, ControlSpec, Declared, InputSpec};
use crate::domain::control::{ControlResult, Previous};
use crate::domain::reject::FileFault;

/// A compiled `[[controls]]` entry.
#[derive(Clone, Debug)]
pub(super) struct Control {
    what: What,
    only: Conditions,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Rows,
    Sum(usize),
    Digits(usize),
    Nothing,
}

/// What a control has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    rows: u64,
    sum: Decimal,
    /// Rows whose cell is no number (or the sum has too many digits): the total cannot be right.
    unknown: u64,
}

impl Tally {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.unknown += other.unknown;
        self.plus(other.sum);
    }

    fn plus(&mut self, number: Decimal) {
        match self.sum.checked_add(number) {
            Some(sum) => self.sum = sum,
            None => self.unknown += 1,
        }
    }
}

impl Control {
    pub(super) fn new(spec: &ControlSpec, compiler: &Compiler<'_>) -> Result<Self, FileFault> {
        let what = match &spec.rule {
            ControlRule::Count { .. } | ControlRule::CountBetween(..) | ControlRule::NotLessThanYesterday(_) => {
                What::Rows
            }
            ControlRule::Sum { column, .. } => What::Sum(compiler.index(column)?),
            ControlRule::Hash { column, .. } => What::Digits(compiler.index(column)?),
            ControlRule::Sequence(_) => What::Nothing,
        };
        Ok(Self { what, only: compiler.conditions(&spec.only)? })
    }

    /// Counts a row; `whole` when its cells can be used.
    pub(super) fn count(&self, plan: &Plan, row: Row<'_>, whole: bool, tally: &mut Tally) {
        match self.what {
            What::Nothing => {}
            What::Rows if self.only.0.is_empty() => tally.rows += 1,
            _ if !whole => tally.unknown += 1,
            _ if !self.only.hold(plan, row) => {}
            What::Rows => tally.rows += 1,
            What::Sum(column) => {
                let cell = row.cell(column);
                if !plan.missing.is(cell) {
                    match Number::read(cell.trim(), &plan.notation.marks) {
                        Ok(number) => tally.plus(number.decimal()),
                        Err(_) => tally.unknown += 1,
                    }
                }
            }
            What::Digits(column) => match digits(row.cell(column)) {
                Some(number) => tally.plus(number),
                None => tally.unknown += 1,
            },
        }
    }
}

/// The ASCII digits of a text as a number.
fn digits(text: &str) -> Option<Decimal> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if digits.is_empty() { Some(Decimal::ZERO) } else { digits.parse().ok() }
}

/// A declared cell.
#[derive(Clone, Debug)]
pub struct DeclaredCell {
    /// As in the file, without surrounding blanks.
    pub text: String,
    /// Characters of its column, where that is fixed.
    pub width: Option<u32>,
}

/// Compares the tallies with what is declared; `declared` finds a cell of a header or trailer line.
pub fn results(
    controls: &[ControlSpec],
    tallies: &[Tally],
    input: &InputSpec,
    declared: &dyn Fn(&Declared) -> Option<DeclaredCell>,
    previous: &Previous,
) -> Vec<ControlResult> {
    let marks = Marks::new(input.decimal_mark, input.group_mark);
    let compare = Compare { marks, declared, previous };
    controls.iter().zip(tallies).map(|(control, tally)| compare.result(control, tally)).collect()
}

struct Compare<'a> {
    marks: Marks,
    declared: &'a dyn Fn(&Declared) -> Option<DeclaredCell>,
    previous: &'a Previous,
}

impl Compare<'_> {
    fn result(&self, control: &ControlSpec, tally: &Tally) -> ControlResult {
        let (expected, found, holds) = match &control.rule {
            ControlRule::Count { declared, .. } => self.total(declared, Decimal::from(tally.rows), 0, false),
            ControlRule::Sum { declared, .. } => self.total(declared, tally.sum, tally.unknown, false),
            ControlRule::Hash { declared, .. } => self.total(declared, tally.sum, tally.unknown, true),
            ControlRule::Sequence(declared) => self.sequence(&control.id, declared),
            ControlRule::CountBetween(least, most) => {
                (format!("{least} to {most}"), tally.rows.to_string(), (*least..=*most).contains(&tally.rows))
            }
            ControlRule::NotLessThanYesterday(percent) => self.not_less(*percent, tally.rows),
        };
        let sequence = matches!(control.rule, ControlRule::Sequence(_));
        ControlResult { id: control.id.clone(), title: control.title.clone(), expected, found, holds, sequence }
    }

    fn number(&self, cell: &DeclaredCell) -> Option<Decimal> {
        Number::read(&cell.text, &self.marks).ok().map(|number| number.decimal())
    }

    fn total(&self, declared: &Declared, found: Decimal, unknown: u64, modulo: bool) -> (String, String, bool) {
        let place = format!("{}.{}", declared.layout, declared.column);
        let Some(cell) = (self.declared)(declared) else {
            return (format!("{place} is missing"), found.to_string(), false);
        };
        let Some(expected) = self.number(&cell) else {
            return (format!("{place} is `{}`, which is no number", cell.text), found.to_string(), false);
        };
        if unknown > 0 {
            return (cell.text, format!("{found} and {unknown} cells that are no numbers"), false);
        }
        let found = match cell.width.filter(|_| modulo).and_then(|width| 10_i128.checked_pow(width)) {
            Some(most) => found.to_i128().map_or(found, |found| Decimal::from(found % most)),
            None => found,
        };
        (expected.to_string(), found.to_string(), expected == found)
    }

    /// The first file of a job begins its sequence.
    fn sequence(&self, id: &str, declared: &Declared) -> (String, String, bool) {
        let place = format!("{}.{}", declared.layout, declared.column);
        let Some(cell) = (self.declared)(declared) else {
            return (format!("{place} is missing"), String::new(), false);
        };
        let Ok(number) = cell.text.parse::<u64>() else {
            return (format!("a whole number in {place}"), cell.text, false);
        };
        let before =
            self.previous.sequences.iter().find(|(known, _)| known == id).and_then(|(_, last)| last.parse().ok());
        let expected = before.map_or(number, |before: u64| before + 1);
        (expected.to_string(), number.to_string(), expected == number)
    }

    fn not_less(&self, percent: Decimal, rows: u64) -> (String, String, bool) {
        let Some(before) = self.previous.rows else { return ("no file before".to_owned(), rows.to_string(), true) };
        let least = (Decimal::from(before) * percent / Decimal::ONE_HUNDRED).ceil();
        (format!("at least {least} ({percent} % of {before})"), rows.to_string(), Decimal::from(rows) >= least)
    }
}
