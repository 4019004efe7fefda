//! Conditions on raw cells, after `missing` and without surrounding blanks.

use super::number::Number;
use super::plan::Plan;
use super::record::Row;
use super::spec::Test;

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
    let missing = plan.missing.is(cell);
    let cell = if missing { "" } else { cell.trim() };
    let number = || Number::read(cell, &plan.notation.marks).map(|number| number.decimal());
    match test {
        Test::OneOf(texts) => texts.iter().any(|text| text.trim() == cell),
        Test::Present(present) => *present != missing,
        Test::AtLeast(limit) => number().is_ok_and(|number| number >= *limit),
        Test::AtMost(limit) => number().is_ok_and(|number| number <= *limit),
    }
}
