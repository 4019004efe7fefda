//! One row → one object, or the faults of its fields. The order of work: when → origin → missing → clean → lookup → type →
//! default → required → limits → unique.

use sha2::{Digest, Sha256};

use super::claim::{Claim, ClaimKind, fingerprint};
use super::clean::clean;
use super::kept::Kept;
use super::mask::Pii;
use super::plan::{Extras, Field, Part, Plan, Source};
use super::shape::Step;
use super::spec::OnMissing;
use super::stamp::Stamp;
use super::text;
use super::value::{Found, Kind, Refusal, Typed};
use super::warned::Warned;
use crate::domain::reject::RejectCode;
use crate::format::csv::cell::Cell;
use crate::format::csv::row::{self, Cells};

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
    pub(super) fn cell(&self, at: usize) -> &'a str {
        self.cells.text(at, self.text, self.base)
    }

    /// The cell with what stands around it.
    #[inline(always)]
    pub(super) fn cell_at(&self, at: usize) -> Cell<'a> {
        self.cells.cell(at, self.text, self.base)
    }
}

/// Called with each fault, and the field that is to blame.
pub(super) type Refuse<'a> = dyn FnMut(Option<&Field>, Box<Refusal>) + 'a;

/// Makes objects of rows. One for each thread: it owns the buffers.
pub(super) struct Mapper<'p> {
    pub(super) plan: &'p Plan,
    joined: String,
    made: String,
    /// Where the objects begin that are open, with `omit_empty`.
    open: Vec<usize>,
    /// Values for rules and orders.
    pub(super) kept: Vec<Kept>,
    /// Values that must be unique or stand in the same file, of the record at hand.
    pub(super) claims: Vec<Claim>,
    /// Where the lists of the record go: the place in `out`, and the list.
    pub(super) holes: Vec<(usize, usize)>,
    /// What is sent, except for what changes from run to run although the data does not; only with `[changes]`.
    state: Sha256,
    /// The JSON of the field that `[changes]` goes by.
    pub(super) key: Vec<u8>,
    /// By field.
    pub(super) misses: Vec<Warned>,
}

impl<'p> Mapper<'p> {
    pub(super) fn new(plan: &'p Plan) -> Self {
        Self {
            plan,
            joined: String::new(),
            made: String::new(),
            open: Vec::new(),
            kept: vec![Kept::Nothing; plan.slots],
            claims: Vec::new(),
            holes: Vec::new(),
            state: Sha256::new(),
            key: Vec::new(),
            misses: vec![Warned::default(); plan.fields.len()],
        }
    }

    /// Forgets the record before.
    pub(super) fn begin(&mut self) {
        self.claims.clear();
        self.holes.clear();
        self.state.reset();
        self.key.clear();
        self.kept.fill(Kept::Nothing);
    }

    /// Appends an object to `out`; `false` when a field was refused, and then `out` holds waste. Fields that the rows of a group
    /// must agree about are read from `agreed`.
    #[inline]
    pub(super) fn object(
        &mut self,
        steps: &[Step],
        row: Row<'_>,
        agreed: Row<'_>,
        out: &mut Vec<u8>,
        refuse: &mut Refuse<'_>,
    ) -> bool {
        let plan = self.plan;
        let begin = out.len();
        let mut good = true;
        out.push(b'{');
        for step in steps {
            match step {
                Step::Field(key, at) => {
                    let Some(field) = plan.fields.get(*at) else { continue };
                    let key_at = out.len();
                    self.key(key, out);
                    let outcome = match &field.extras {
                        None => self.value(field, *at, row, out),
                        Some(extras) => {
                            let row = if extras.agreed { agreed } else { row };
                            self.unusual(field, extras, *at, row, out)
                        }
                    };
                    match outcome {
                        Ok(true) => {}
                        Ok(false) if plan.omit_empty => out.truncate(key_at),
                        Ok(false) => out.extend_from_slice(b"null"),
                        Err(refusal) => {
                            good = false;
                            refuse(Some(field), refusal);
                        }
                    }
                }
                Step::Open(key) => {
                    self.open.push(out.len());
                    self.key(key, out);
                }
                Step::List(key, list) => {
                    self.key(key, out);
                    self.holes.push((out.len(), *list));
                    out.push(b']');
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
        out.push(b'}');
        good
    }

    #[inline(always)]
    fn key(&self, key: &Stamp, out: &mut Vec<u8>) {
        match self.plan.omit_empty && out.last() == Some(&b'{') {
            false => key.append_to(out),
            true => key.append_tail_to(out),
        }
    }

    /// The value of a field with something that few fields have.
    fn unusual(
        &mut self,
        field: &Field,
        extras: &Extras,
        at: usize,
        row: Row<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool, Box<Refusal>> {
        if let Some(slot) = extras.keep.and_then(|slot| self.kept.get_mut(slot)) {
            *slot = Kept::Nothing;
        }
        if !extras.when.hold(self.plan, row) {
            return Ok(false);
        }
        let begin = out.len();
        let written = match self.value(field, at, row, out) {
            Err(refusal) => return Err(masked(extras.pii, field, refusal)),
            Ok(written) => written,
        };
        if written {
            let value = out.get(begin..).unwrap_or_default();
            if extras.unique {
                self.claims.push(Claim::new(ClaimKind::Unique(at as u16), fingerprint(value), row.line));
            }
            if self.plan.changes == Some(at) {
                self.key.clear();
                self.key.extend_from_slice(value);
            }
            if extras.stated {
                self.state.update((at as u64).to_le_bytes());
                self.state.update((value.len() as u64).to_le_bytes());
                self.state.update(value);
            }
        }
        Ok(written)
    }

    /// Writes the value of a field; `false`: it has none.
    #[inline(always)]
    fn value(&mut self, field: &Field, at: usize, row: Row<'_>, out: &mut Vec<u8>) -> Result<bool, Box<Refusal>> {
        let quick = field.quick.as_ref();
        match quick.and_then(|quick| quick.write(&self.plan.missing, &self.plan.lookups, row, out)) {
            Some(written) => Ok(written),
            None => self.general(field, at, row, out),
        }
    }

    /// `value` for every field and every cell.
    #[inline(never)]
    pub(super) fn general(
        &mut self,
        field: &Field,
        at: usize,
        row: Row<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool, Box<Refusal>> {
        let plan = self.plan;
        let Self { joined, made, misses, kept, claims, .. } = self;
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
            (Some(found), Some(lookup)) => {
                plan.look_up(lookup, field, at, found, row.line, misses.get_mut(at), claims)?
            }
            (found, _) => found,
        };
        if let (Kind::Text, None, None, Some(found)) = (&field.kind, &field.limits, &field.extras, looked_up) {
            found.write(out);
            return Ok(true);
        }
        let typed = match (looked_up, &field.default) {
            (Some(found), _) => plan.notation.typed(&field.kind, found)?,
            (None, Some(default)) => Typed::Constant(default),
            (None, None) if field.required => return Err(required(field)),
            (None, None) => return Ok(false),
        };
        let typed = match &field.extras {
            None => typed,
            Some(extras) => {
                let negative = extras.negative_when.as_ref().is_some_and(|when| when.hold(plan, row));
                if negative { typed.negated() } else { typed }
            }
        };
        if let Some(limits) = &field.limits {
            limits.check(&typed)?;
        }
        if let Some(extras) = &field.extras
            && let Some(slot) = extras.keep.and_then(|slot| kept.get_mut(slot))
        {
            *slot = Kept::new(&typed);
        }
        typed.write(out);
        Ok(true)
    }

    /// The fingerprint of the record since `begin`.
    pub(super) fn state(&mut self) -> [u8; 32] {
        self.state.finalize_reset().into()
    }

    /// The text of a field after cleaning, as far as a row of a group must agree with the others about it.
    pub(super) fn cleaned(&mut self, field: &Field, row: Row<'_>) -> Option<String> {
        let Self { joined, made, plan, .. } = self;
        match plan.origin(&field.source, row, joined)? {
            Found::Text { text, .. } => {
                let text = clean(&field.clean, text, made);
                (!text.is_empty()).then(|| text.to_owned())
            }
            Found::Constant(constant) => Some(constant.text().to_owned()),
            Found::Line(line) => Some(line.to_string()),
        }
    }

    /// `not_before` and `not_after` of the fields of this level; `false` when one does not hold.
    pub(super) fn in_order(&self, of_lines: bool, refuse: &mut Refuse<'_>) -> bool {
        let mut good = true;
        for order in self.plan.orders.iter().filter(|order| order.of_lines == of_lines) {
            let Some(field) = self.plan.fields.get(order.field) else { continue };
            if let Some(refusal) = order.fault(&self.kept) {
                good = false;
                refuse(Some(field), masked(field.extras.as_ref().and_then(|extras| extras.pii), field, refusal));
            }
        }
        good
    }
}

impl Field {
    /// True when the cells that the field is made of are the same in both rows.
    pub(super) fn source_is_same(&self, left: Row<'_>, right: Row<'_>) -> bool {
        let same = |at: &usize| left.cell(*at) == right.cell(*at);
        match &self.source {
            Source::Cell(at) => same(at),
            Source::FirstOf(columns) => columns.iter().all(same),
            Source::Template { parts, .. } => parts.iter().all(|part| match part {
                Part::Cell(at) => same(at),
                Part::Text(_) => true,
            }),
            _ => true,
        }
    }
}

impl Plan {
    /// The value of an origin; `None` when it is missing.
    #[inline(always)]
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
            Source::Cases(cases) => {
                cases.iter().find(|(when, _)| when.hold(self, row)).map(|(_, value)| Found::Constant(value))
            }
            Source::Declared(cell) => (!self.missing.is(cell)).then_some(Found::Text { text: cell, plain: false }),
            Source::Line => Some(Found::Line(row.line)),
            Source::Nothing => None,
        }
    }

    #[inline]
    #[allow(clippy::too_many_arguments, reason = "split borrows of one mapper")]
    fn look_up<'a>(
        &'a self,
        lookup: usize,
        field: &Field,
        field_at: usize,
        found: Found<'a>,
        line: u64,
        misses: Option<&mut Warned>,
        claims: &mut Vec<Claim>,
    ) -> Result<Option<Found<'a>>, Box<Refusal>> {
        let Some(table) = self.lookups.get(lookup) else { return Ok(Some(found)) };
        let written;
        let key = match found {
            Found::Text { text, .. } => text,
            Found::Constant(constant) => constant.text(),
            Found::Line(line) => {
                written = line.to_string();
                &written
            }
        };
        if table.same_file {
            if table.on_missing == OnMissing::Reject {
                let hash = fingerprint(table.folded(key.trim()).as_bytes());
                let kind = ClaimKind::Needs { lookup: lookup as u16, field: field_at as u16 };
                claims.push(Claim::new(kind, hash, line));
            }
            return Ok(Some(found));
        }
        if let Some(value) = table.get(key) {
            return Ok(Some(Found::Constant(value)));
        }
        match table.on_missing {
            OnMissing::Keep => Ok(Some(found)),
            OnMissing::Default => {
                if let Some(misses) = misses {
                    let pii = field.extras.as_ref().and_then(|extras| extras.pii);
                    misses.add(line, || pii.map_or_else(|| key.to_owned(), |pii| pii.mask(key)));
                }
                Ok(None)
            }
            OnMissing::Reject => {
                let message = format!("{} is not in lookup `{}` ({})", text::shown(key), table.name, table.source);
                Err(Refusal::new(RejectCode::LookupMissing, message))
            }
        }
    }

    /// What to say of the values that were not in a lookup.
    pub(super) fn miss_warning(&self, field: usize, misses: &Warned) -> Option<String> {
        let (line, value) = misses.first()?;
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

/// A message about personal data does not repeat it.
#[cold]
fn masked(pii: Option<Pii>, field: &Field, mut refusal: Box<Refusal>) -> Box<Refusal> {
    if pii.is_some() && refusal.code != RejectCode::Required {
        let limit = match refusal.code {
            RejectCode::LookupMissing => " is not in the lookup",
            RejectCode::NotInEnum => " is not one of the allowed ones",
            RejectCode::Pattern => " does not match the pattern",
            RejectCode::BelowMinimum => " is below the minimum",
            RejectCode::AboveMaximum => " is above the maximum",
            RejectCode::TooShort => " has too few characters",
            RejectCode::TooLong => " has too many characters",
            RejectCode::TooManyDecimals => " has too many decimals",
            RejectCode::Before => " is before another field of the record",
            RejectCode::After => " is after another field of the record",
            _ => " is not in the written format",
        };
        refusal.message = format!("the value of `{}` (personal data, not shown){limit}", field.target);
    }
    refusal
}

#[cold]
fn required(field: &Field) -> Box<Refusal> {
    let cell = match &field.column {
        Some(column) => format!("{} is empty", text::shown(column)),
        None => "it is empty".to_owned(),
    };
    Refusal::new(RejectCode::Required, format!("`{}` is required, and {cell}", field.target))
}
