//! Conditions on raw cells, after `missing` and without surrounding blanks.

use super::number::{Marks, Number};
use super::plan::Plan;
use super::record::Row;
use super::spec::{Column, Condition, InputSpec, Test};
use super::value::Notation;

/// Conditions by index of the column; all must hold. None holds always.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions(pub(super) Vec<(usize, Test)>);

impl Conditions {
    /// True when all hold for the row.
    #[inline]
    pub(super) fn hold(&self, plan: &Plan, row: Row<'_>) -> bool {
        self.0.iter().all(|(at, test)| meets(plan, row.cell(*at), test))
    }
}

fn meets(plan: &Plan, cell: &str, test: &Test) -> bool {
    is_met(cell, plan.missing.is(cell), &plan.notation.marks, test)
}

/// Whether all conditions hold for cells that are known by column.
pub fn hold_for<'c>(conditions: &[Condition], input: &InputSpec, cell: &dyn Fn(&Column) -> &'c str) -> bool {
    let marks = Notation::new(input).marks;
    conditions.iter().all(|condition| {
        let cell = cell(&condition.column);
        let missing = input.missing.iter().any(|word| word.trim() == cell.trim());
        is_met(cell, missing, &marks, &condition.test)
    })
}

fn is_met(cell: &str, missing: bool, marks: &Marks, test: &Test) -> bool {
    let cell = if missing { "" } else { cell.trim() };
    let number = || Number::read(cell, marks).map(|number| number.decimal());
    match test {
        Test::OneOf(texts) => texts.iter().any(|text| text.trim() == cell),
        Test::Present(present) => *present != missing,
        Test::AtLeast(limit) => number().is_ok_and(|number| number >= *limit),
        Test::AtMost(limit) => number().is_ok_and(|number| number <= *limit),
    }
}
