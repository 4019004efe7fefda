//! One row → one record, or the faults of its fields. The order of work: origin → missing → clean → lookup → type → default →
//! required → limits.

use super::clean::clean;
use super::number::Number;
use super::plan::{Field, Part, Plan, Source, Step};
use super::spec::{OnMissing, Test};
use super::text;
use super::value::{Found, Kind, Refusal, Typed};
use crate::domain::reject::RejectCode;
use crate::format::csv::row::{self, Cells};

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Used,
    Skipped,
    Rejected,
}

/// A row whose cells can be used.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) cells: &'a Cells,
    pub(super) text: &'a str,
    pub(super) base: usize,
    pub(super) line: u64,
    pub(super) plain: bool,
}

impl<'a> Row<'a> {
    pub(super) fn new(found: &row::Found<'a>, cells: &'a Cells) -> Self {
        Self { cells, text: found.text, base: found.base, line: found.line, plain: found.plain }
    }

    #[inline]
    fn cell(&self, at: usize) -> &'a str {
        self.cells.text(at, self.text, self.base)
    }
}

/// A value that was not in the lookup of a field, and its default was used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Misses {
    /// Number of rows.
    pub(super) rows: u64,
    /// The first such value and its line.
    pub(super) first: Option<(String, u64)>,
}

/// Maps rows. One for each thread: it owns the buffers.
pub(super) struct Mapper<'p> {
    plan: &'p Plan,
    joined: String,
    made: String,
    /// Where the objects begin that are open, with `omit_empty`.
    open: Vec<usize>,
    /// By field.
    pub(super) misses: Vec<Misses>,
}

impl<'p> Mapper<'p> {
    pub(super) fn new(plan: &'p Plan) -> Self {
        let misses = vec![Misses::default(); plan.fields.len()];
        Self { plan, joined: String::new(), made: String::new(), open: Vec::new(), misses }
    }

    /// Maps a row: appends its record to `out`, or calls `refuse` with each field that is to blame. When it is not used, `out` is
    /// as it was.
    pub(super) fn map(
        &mut self,
        row: Row<'_>,
        out: &mut Vec<u8>,
        refuse: &mut dyn FnMut(&Field, Box<Refusal>),
    ) -> Outcome {
        let plan = self.plan;
        if !plan.skip_when.is_empty() && plan.skip_when.iter().all(|(at, test)| plan.meets(row.cell(*at), test)) {
            return Outcome::Skipped;
        }
        let begin = out.len();
        let mut rejected = false;
        out.push(b'{');
        for step in &plan.steps {
            match step {
                Step::Field(key, at) => {
                    let Some(field) = plan.fields.get(*at) else { continue };
                    let key_at = out.len();
                    self.key(key, out);
                    match self.field(field, *at, row, out) {
                        Ok(true) => {}
                        Ok(false) if plan.omit_empty => out.truncate(key_at),
                        Ok(false) => out.extend_from_slice(b"null"),
                        Err(refusal) => {
                            rejected = true;
                            refuse(field, refusal);
                        }
                    }
                }
                Step::Open(key) => {
                    self.open.push(out.len());
                    self.key(key, out);
                }
                Step::Close => {
                    let at = self.open.pop().unwrap_or(begin);
                    if plan.omit_empty && out.last() == Some(&b'{') {
                        out.truncate(at);
                    } else {
                        out.push(b'}');
                    }
                }
            }
        }
        if rejected {
            out.truncate(begin);
            return Outcome::Rejected;
        }
        out.push(b'}');
        Outcome::Used
    }

    #[inline]
    fn key(&self, key: &[u8], out: &mut Vec<u8>) {
        let first = self.plan.omit_empty && out.last() == Some(&b'{');
        out.extend_from_slice(key.get(usize::from(first)..).unwrap_or_default());
    }

    /// Writes the value of a field; `false`: it has none.
    #[inline]
    fn field(&mut self, field: &Field, at: usize, row: Row<'_>, out: &mut Vec<u8>) -> Result<bool, Box<Refusal>> {
        let plan = self.plan;
        let Self { joined, made, misses, .. } = self;
        let origin = plan.origin(&field.source, row, joined);
        let cleaned = match origin {
            Some(Found::Text { text, plain }) if !field.clean.is_empty() => {
                let text = clean(&field.clean, text, made);
                (!text.is_empty()).then_some(Found::Text { text, plain: plain && field.keeps_plain })
            }
            Some(Found::Constant(constant)) if !field.clean.is_empty() => {
                let text = clean(&field.clean, constant.text(), made);
                (!text.is_empty()).then_some(Found::Text { text, plain: false })
            }
            other => other,
        };
        let looked_up = match (cleaned, field.lookup) {
            (Some(found), Some(lookup)) => plan.look_up(lookup, found, row.line, misses.get_mut(at))?,
            (found, _) => found,
        };
        if let (Kind::Text, None, Some(found)) = (&field.kind, &field.limits, looked_up) {
            found.write(out);
            return Ok(true);
        }
        let typed = match (looked_up, &field.default) {
            (Some(found), _) => plan.notation.typed(&field.kind, found)?,
            (None, Some(default)) => Typed::Constant(default),
            (None, None) if field.required => return Err(required(field)),
            (None, None) => return Ok(false),
        };
        if let Some(limits) = &field.limits {
            limits.check(&typed)?;
        }
        typed.write(out);
        Ok(true)
    }
}

impl Plan {
    /// The value of an origin; `None` when it is missing.
    #[inline]
    fn origin<'a>(&'a self, source: &'a Source, row: Row<'a>, joined: &'a mut String) -> Option<Found<'a>> {
        let text = |text: &'a str| Found::Text { text, plain: row.plain };
        match source {
            Source::Cell(at) => Some(row.cell(*at)).filter(|cell| !self.missing.is(cell)).map(text),
            Source::FirstOf(columns) => {
                columns.iter().map(|at| row.cell(*at)).find(|cell| !self.missing.is(cell)).map(text)
            }
            Source::Template { parts, plain } => {
                joined.clear();
                let (mut cells, mut present) = (false, false);
                for part in parts {
                    match part {
                        Part::Text(literal) => joined.push_str(literal),
                        Part::Cell(at) => {
                            cells = true;
                            let cell = row.cell(*at);
                            if !self.missing.is(cell) {
                                present = true;
                                joined.push_str(cell);
                            }
                        }
                    }
                }
                (present || !cells).then_some(Found::Text { text: joined, plain: *plain && row.plain })
            }
            Source::Constant(constant) => Some(Found::Constant(constant)),
            Source::Line => Some(Found::Line(row.line)),
        }
    }

    #[inline]
    fn look_up<'a>(
        &'a self,
        lookup: usize,
        found: Found<'a>,
        line: u64,
        misses: Option<&mut Misses>,
    ) -> Result<Option<Found<'a>>, Box<Refusal>> {
        let Some(lookup) = self.lookups.get(lookup) else { return Ok(Some(found)) };
        let written;
        let key = match found {
            Found::Text { text, .. } => text,
            Found::Constant(constant) => constant.text(),
            Found::Line(line) => {
                written = line.to_string();
                &written
            }
        };
        if let Some(value) = lookup.get(key) {
            return Ok(Some(Found::Constant(value)));
        }
        match lookup.on_missing {
            OnMissing::Keep => Ok(Some(found)),
            OnMissing::Default => {
                if let Some(misses) = misses {
                    misses.rows += 1;
                    misses.first.get_or_insert_with(|| (key.to_owned(), line));
                }
                Ok(None)
            }
            OnMissing::Reject => {
                let message = format!("{} is not in lookup `{}` ({})", text::shown(key), lookup.name, lookup.source);
                Err(Refusal::new(RejectCode::LookupMissing, message))
            }
        }
    }

    /// True when a raw cell meets a condition.
    fn meets(&self, cell: &str, test: &Test) -> bool {
        let missing = self.missing.is(cell);
        let cell = if missing { "" } else { cell.trim() };
        match test {
            Test::OneOf(texts) => texts.iter().any(|text| text.trim() == cell),
            Test::Present(present) => *present != missing,
            Test::AtLeast(limit) => {
                Number::read(cell, &self.notation.marks).is_ok_and(|number| number.decimal() >= *limit)
            }
            Test::AtMost(limit) => {
                Number::read(cell, &self.notation.marks).is_ok_and(|number| number.decimal() <= *limit)
            }
        }
    }

    /// What to say of the values that were not in a lookup.
    pub(super) fn miss_warning(&self, field: usize, misses: &Misses) -> Option<String> {
        let (value, line) = misses.first.as_ref()?;
        let field = self.fields.get(field)?;
        let lookup = self.lookups.get(field.lookup?)?;
        let rows = text::count(misses.rows, "row");
        let (value, target) = (text::shown(value), &field.target);
        Some(format!(
            "{rows}: a value is not in lookup `{}` (first {value} on line {line}), the default of `{target}` was used",
            lookup.name
        ))
    }
}

#[cold]
fn required(field: &Field) -> Box<Refusal> {
    let cell = match &field.column {
        Some(column) => format!("{} is empty", text::shown(column)),
        None => "it is empty".to_owned(),
    };
    Refusal::new(RejectCode::Required, format!("`{}` is required, and {cell}", field.target))
}
