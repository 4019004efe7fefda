//! Why a field of an inline test has the value that it has: the cells of its row, and what the recipe made of them.

use crate::config::inline_test::Cells;
use crate::config::places::Places;
use crate::config::project::LoadedMapping;
use crate::mapping::condition;
use crate::mapping::spec::{Column, Condition, FieldSpec, LookupTable, OnMissing, Origin, TemplatePart};

/// Explains the fields of one record.
pub(super) struct Because<'a> {
    pub(super) mapping: &'a LoadedMapping,
    /// The cells of the record's rows.
    pub(super) rows: Vec<&'a Cells>,
}

impl Because<'_> {
    /// Of a path: `priority`, `lines[1].sku`. `None` when nothing can be said that the values do not say themselves.
    pub(super) fn of(&self, path: &str) -> Option<String> {
        let fields = &self.mapping.spec.fields;
        let general = without_numbers(path);
        let field = fields.iter().find(|field| field.name() == general)?;
        let entry =
            path.find('[').and_then(|at| path[at + 1..].split(']').next()).and_then(|digits| digits.parse().ok());
        let row = self.rows.get(entry.filter(|_| field.list().is_some()).unwrap_or(0))?;
        let places = Places::new(self.mapping.pinned.text());
        let words = Words { field, row, places: &places, mapping: self.mapping };
        words
            .when()
            .or_else(|| words.cases())
            .or_else(|| words.lookup())
            .or_else(|| words.missing())
            .or_else(|| words.cells())
    }
}

/// `lines[1].sku` is the recipe `lines[].sku`.
fn without_numbers(path: &str) -> String {
    let mut general = String::new();
    let mut inside = false;
    for character in path.chars() {
        inside = (inside || character == '[') && character != ']';
        if !inside || character == '[' {
            general.push(character);
        }
    }
    general
}

struct Words<'a> {
    field: &'a FieldSpec,
    row: &'a Cells,
    places: &'a Places<'a>,
    mapping: &'a LoadedMapping,
}

impl Words<'_> {
    fn cell(&self, column: &Column) -> &str {
        match column {
            Column::Name(name) => self.row.iter().find(|(known, _)| known == name).map_or("", |(_, cell)| cell),
            Column::Position(at) => {
                (*at as usize).checked_sub(1).and_then(|at| self.row.get(at)).map_or("", |(_, cell)| cell)
            }
        }
    }

    fn named(&self, column: &Column) -> String {
        match column {
            Column::Name(name) => format!("{name} = \"{}\"", self.cell(column)),
            Column::Position(at) => format!("column {at} = \"{}\"", self.cell(column)),
        }
    }

    /// `Ship = "X", Qty = "2"`: each column once.
    fn list<'c>(&self, columns: impl IntoIterator<Item = &'c Column>) -> String {
        let mut named: Vec<String> = Vec::new();
        for column in columns {
            let one = self.named(column);
            if !named.contains(&one) {
                named.push(one);
            }
        }
        named.join(", ")
    }

    fn holds(&self, conditions: &[Condition]) -> bool {
        condition::hold_for(conditions, &self.mapping.spec.input, &|column| self.cell(column))
    }

    fn is_missing(&self, column: &Column) -> bool {
        let cell = self.cell(column).trim();
        self.mapping.spec.input.missing.iter().any(|word| word.trim() == cell)
    }

    fn at(&self, key: &str) -> String {
        let name = self.field.name();
        let span = self.places.of_recipe(&name, key);
        let line = span.map(|span| self.places.line(&span)).or_else(|| self.places.recipe_line(&name));
        line.map_or(String::new(), |line| format!(" at line {line}"))
    }

    fn when(&self) -> Option<String> {
        let failed: Vec<&Column> = self
            .field
            .when
            .iter()
            .filter(|one| !self.holds(std::slice::from_ref(one)))
            .map(|one| &one.column)
            .collect();
        (!failed.is_empty()).then(|| format!("{} does not meet `when`{}", self.list(failed), self.at("when")))
    }

    fn cases(&self) -> Option<String> {
        let Origin::Cases(cases) = &self.field.origin else { return None };
        let lines = self.places.case_lines(&self.field.name());
        let line = |at: usize| lines.get(at).map_or(String::new(), |line| format!(" at line {line}"));
        if let Some(at) = cases.iter().position(|case| self.holds(&case.when)) {
            let cells = self.list(cases[at].when.iter().map(|one| &one.column));
            return Some(format!("{cells} matched case {}{}", at + 1, line(at)));
        }
        let cells = self.list(self.field.origin.columns());
        let span = match (lines.first(), lines.last()) {
            (Some(first), Some(last)) if first != last => format!(" at lines {first}–{last}"),
            (Some(first), _) => format!(" at line {first}"),
            _ => String::new(),
        };
        match cases.len() {
            1 => Some(format!("{cells} did not match the only case{span}")),
            count => Some(format!("{cells} matched none of the {count} cases{span}")),
        }
    }

    fn lookup(&self) -> Option<String> {
        let name = self.field.lookup.as_ref()?;
        let lookup = self.mapping.spec.lookups.get(name)?;
        let (Origin::From(column), LookupTable::Entries(entries)) = (&self.field.origin, &lookup.table) else {
            return None;
        };
        if self.is_missing(column) || !self.field.clean.is_empty() {
            return None;
        }
        let cell = self.cell(column);
        let key = if lookup.ignore_case { cell.to_lowercase() } else { cell.to_owned() };
        if let Some(found) = entries.get(&key) {
            return Some(format!(
                "{} is \"{}\" in lookup `{name}` ({})",
                self.named(column),
                found.clone().into_text(),
                lookup.source
            ));
        }
        let then = match lookup.on_missing {
            OnMissing::Default => "so the default counts",
            OnMissing::Keep => "so it is kept",
            OnMissing::Reject => return None,
        };
        Some(format!("{} is not in lookup `{name}` ({}), {then}", self.named(column), lookup.source))
    }

    fn missing(&self) -> Option<String> {
        let columns = self.field.origin.columns();
        if columns.is_empty()
            || matches!(self.field.origin, Origin::Cases(_))
            || !columns.iter().all(|column| self.is_missing(column))
        {
            return None;
        }
        let then = match &self.field.default {
            Some(_) => format!(", so the default counts{}", self.at("default")),
            None => String::new(),
        };
        Some(format!("{} counts as empty{then}", self.list(columns)))
    }

    fn cells(&self) -> Option<String> {
        match &self.field.origin {
            Origin::Value(_) => Some(format!("it is always that{}", self.at("value"))),
            Origin::FirstOf(columns) => {
                let first = columns.iter().find(|column| !self.is_missing(column))?;
                Some(format!("{} is the first that is not empty", self.named(first)))
            }
            Origin::From(column) => Some(format!("{}{}", self.named(column), self.at("from"))),
            Origin::Template(parts) => {
                let cells = parts.iter().filter_map(|part| match part {
                    TemplatePart::Cell(column) => Some(column),
                    TemplatePart::Text(_) => None,
                });
                Some(format!("{}{}", self.list(cells), self.at("template")))
            }
            Origin::Auto(_) | Origin::Cases(_) => None,
        }
    }
}
