//! Lines among the rows of a delimiter-separated file that are none: a trailer, a comment.

use super::spec::{ColumnPlace, LayoutSpec, Occurs};
use crate::format::layout::LineSign;

/// A compiled layout whose lines are no rows.
#[derive(Clone, Debug)]
pub(super) struct SpecialLine {
    pub(super) layout: String,
    pub(super) sign: LineSign,
    pub(super) occurs: Occurs,
    /// Names of its columns, and their cells from 0.
    pub(super) columns: Vec<(String, usize)>,
}

impl SpecialLine {
    /// Those of a mapping that are no rows and do not stand before the header.
    pub(super) fn all(layouts: &[LayoutSpec]) -> Vec<Self> {
        let special = layouts.iter().filter(|layout| !layout.is_record && layout.occurs != Occurs::First);
        special.filter_map(Self::new).collect()
    }

    fn new(layout: &LayoutSpec) -> Option<Self> {
        let columns = layout.columns.iter().filter_map(|column| match column.place {
            ColumnPlace::Cell(cell) => Some((column.name.clone(), (cell as usize).checked_sub(1)?)),
            ColumnPlace::Characters(..) => None,
        });
        let (sign, columns) = (LineSign::new(&layout.sign)?, columns.collect());
        Some(Self { layout: layout.name.clone(), sign, occurs: layout.occurs, columns })
    }
}
