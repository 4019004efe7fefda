//! The header contract: which columns a mapping needs, and what the file has.

use std::collections::BTreeMap;

use super::spec::{Column, ControlRule, LookupTable, MappingSpec, UnknownColumns, ValueKind};
use super::text;
use crate::domain::reject::{FileFault, RejectCode};
use crate::format::csv::Place;

/// The columns that an export of rejects adds; nobody maps them, and nobody has to ignore them.
pub const EXPORTED: [&str; 3] = ["nightferry_line", "nightferry_code", "nightferry_message"];

/// Most column names in a message.
const LISTED: usize = 40;

/// The columns of a file, in its order.
#[derive(Clone, Debug, Default)]
pub(super) struct Header {
    /// Names; empty when columns are known by position only.
    pub(super) names: Vec<String>,
    /// Number of columns.
    pub(super) width: usize,
    /// Where it stands.
    pub(super) place: Place,
    /// The names come from the file and not from the mapping.
    pub(super) from_file: bool,
    /// Cells before the first column of every row: those of a tape.
    pub(super) offset: usize,
    /// `LAYOUT.COLUMN` of header lines, with the cell.
    pub(super) declared: BTreeMap<String, String>,
}

impl Header {
    /// The index of a column, from 0.
    pub(super) fn find(&self, column: &Column) -> Option<usize> {
        match column {
            Column::Name(name) => self.names.iter().position(|known| known == name),
            Column::Position(position) => (*position as usize).checked_sub(1).filter(|at| *at < self.width),
        }
    }

    /// The cell of a header line that `column` names.
    pub(super) fn declared(&self, column: &Column) -> Option<&str> {
        match column {
            Column::Name(name) => self.declared.get(name).map(String::as_str),
            Column::Position(_) => None,
        }
    }

    /// What a reject calls the column: the name it was mapped by, or its position.
    pub(super) fn label(column: &Column) -> String {
        match column {
            Column::Name(name) => name.clone(),
            Column::Position(position) => format!("column {position}"),
        }
    }

    /// Checks the contract; the result is a warning, if there is something to say.
    pub(super) fn check(&self, spec: &MappingSpec) -> Result<Option<String>, FileFault> {
        let mapped = mapped_columns(spec);
        self.check_duplicates(&mapped.all)?;
        self.check_missing(&mapped.needed)?;
        self.check_unknown(&mapped.all, spec.input.unknown_columns)
    }

    fn fault(&self, code: RejectCode, column: Option<String>, message: String) -> FileFault {
        FileFault { code, row: Some(self.place.line), byte: self.place.byte, column, message }
    }

    fn check_duplicates(&self, mapped: &[&Column]) -> Result<(), FileFault> {
        if !mapped.iter().any(|column| matches!(column, Column::Name(_))) {
            return Ok(());
        }
        let mut sorted: Vec<&String> = self.names.iter().filter(|name| !name.is_empty()).collect();
        sorted.sort_unstable();
        let mut twice: Vec<&String> = sorted
            .windows(2)
            .filter(|pair| pair.first() == pair.last())
            .filter_map(|pair| pair.first().copied())
            .collect();
        twice.dedup();
        let Some(first) = twice.first() else { return Ok(()) };
        let message = format!(
            "the header has {} more than once, so a name does not say which column is meant",
            text::list(&twice, LISTED)
        );
        Err(self.fault(RejectCode::DuplicateColumn, Some((*first).clone()), message))
    }

    fn check_missing(&self, mapped: &[&Column]) -> Result<(), FileFault> {
        let mut missing: Vec<&Column> = Vec::new();
        for column in mapped.iter().copied() {
            let found = self.find(column).is_some() || self.declared(column).is_some();
            if !found && !missing.contains(&column) {
                missing.push(column);
            }
        }
        let Some(first) = missing.first() else { return Ok(()) };
        let named: Vec<String> = missing.iter().take(LISTED).map(|column| self.describe_missing(column)).collect();
        let has = match self.names.is_empty() {
            true => format!("it has {}", text::count(self.width as u64, "column")),
            false => format!("it has {}", text::list(&self.names, LISTED)),
        };
        let noun = if missing.len() == 1 { "a mapped column is" } else { "mapped columns are" };
        let message = format!("{noun} not in the file: {}; {has}", named.join(", "));
        Err(self.fault(RejectCode::MissingColumn, Some(Self::label(first)), message))
    }

    fn describe_missing(&self, column: &Column) -> String {
        match column {
            Column::Position(position) => format!("column {position}"),
            Column::Name(name) => match nearest(name, &self.names) {
                Some(near) => format!("{} (did you mean {}?)", text::shown(name), text::shown(near)),
                None => text::shown(name),
            },
        }
    }

    fn check_unknown(&self, mapped: &[&Column], rule: UnknownColumns) -> Result<Option<String>, FileFault> {
        if rule == UnknownColumns::Ignore || !self.from_file {
            return Ok(None);
        }
        let mut used = vec![false; self.width];
        for at in mapped.iter().filter_map(|column| self.find(column)) {
            if let Some(used) = used.get_mut(at) {
                *used = true;
            }
        }
        let unused = self.names.iter().zip(&used).filter(|(_, used)| !**used).map(|(name, _)| name);
        let unknown: Vec<&String> = unused.filter(|name| !EXPORTED.contains(&name.as_str())).collect();
        let Some(first) = unknown.first() else { return Ok(None) };
        let noun = if unknown.len() == 1 { "column" } else { "columns" };
        let message = format!(
            "the file has {} {noun} that nothing is mapped from: {}",
            unknown.len(),
            text::list(&unknown, LISTED)
        );
        match rule {
            UnknownColumns::RejectFile => Err(self.fault(RejectCode::UnknownColumn, Some((*first).clone()), message)),
            _ => Ok(Some(message)),
        }
    }
}

/// The columns that a mapping reads.
pub(super) struct MappedColumns<'a> {
    /// All of them, in the order of the mapping.
    pub(super) all: Vec<&'a Column>,
    /// Those that must be in the file.
    pub(super) needed: Vec<&'a Column>,
}

/// Every column that fields, conditions, groups, lookups and controls read.
pub(super) fn mapped_columns(spec: &MappingSpec) -> MappedColumns<'_> {
    let mut needed = Vec::new();
    let mut optional = Vec::new();
    for field in &spec.fields {
        let columns = if field.optional_column { &mut optional } else { &mut needed };
        columns.extend(field.origin.columns());
        needed.extend(field.when.iter().map(|condition| &condition.column));
        if let ValueKind::Number(number) = &field.kind {
            needed.extend(number.negative_when.iter().map(|condition| &condition.column));
        }
    }
    needed.extend(&spec.record.group_by);
    needed.extend(spec.record.skip_when.iter().map(|condition| &condition.column));
    needed.extend(spec.lookups.values().filter_map(|lookup| match &lookup.table {
        LookupTable::SameFile(column) => Some(column),
        LookupTable::Entries(_) => None,
    }));
    for control in &spec.controls {
        needed.extend(control.only.iter().map(|condition| &condition.column));
        if let ControlRule::Sum { column, .. } | ControlRule::Hash { column, .. } = &control.rule {
            needed.push(column);
        }
    }
    let mut all = needed.clone();
    all.extend(optional);
    MappedColumns { all, needed }
}

/// The known name that is close to `name`, when there is exactly one.
fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a String> {
    let folded = |text: &str| text.trim().to_lowercase();
    let wanted = folded(name);
    // Two slips in a word of three letters make another word.
    let most = (wanted.chars().count() / 3).max(1);
    let mut scored: Vec<(usize, &String)> =
        known.iter().map(|candidate| (distance(&wanted, &folded(candidate)), candidate)).collect();
    scored.sort_by_key(|(distance, _)| *distance);
    match scored.as_slice() {
        [(best, _), (next, _), ..] if best == next => None,
        [(best, candidate), ..] if *best <= most => Some(candidate),
        _ => None,
    }
}

/// Levenshtein distance in characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, character) in left.chars().enumerate() {
        let mut diagonal = at;
        let mut before = at + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(&right) {
            let substituted = diagonal + usize::from(character != *other);
            diagonal = *cell;
            *cell = substituted.min(before + 1).min(diagonal + 1);
            before = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_found() {
        let known = ["OrderNo", "OrderDate", "Curr", " Qty "].map(String::from);
        assert_eq!(nearest("OrderDat", &known), Some(&known[1]));
        assert_eq!(nearest("ORDERNO", &known), Some(&known[0]));
        assert_eq!(nearest("Qty", &known), Some(&known[3]));
        assert_eq!(nearest("Telephone", &known), None);
        assert_eq!(nearest("A1", &["A2", "A3"].map(String::from)), None);
        assert_eq!(
            [distance("kitten", "sitting"), distance("", "abc"), distance("abc", ""), distance("x", "x")],
            [3, 3, 3, 0]
        );
    }
}
