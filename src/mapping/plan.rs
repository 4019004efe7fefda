//! The plan: a mapping and a header, compiled. Names are indexes, constants are bytes.

use std::collections::BTreeMap;

use super::condition::Conditions;
use super::facts::Facts;
use super::header::{Header, mapped_columns};
use super::limits::Limits;
use super::lookup::Lookup;
use super::mask::Pii;
use super::quick::Quick;
use super::rule::{Order, Rule};
use super::shape::Shape;
use super::spec::{
    Auto, Case, CleanStep, Column, Condition, Constant, FieldSpec, InputSpec, LookupTable, MappingSpec, OnConflict,
    Origin, Ragged, TemplatePart, ValueKind,
};
use super::special::SpecialLine;
use super::stamp::Stamp;
use super::tally::Control;
use super::value::{Kind, Notation};
use super::write;
use crate::domain::reject::{FileFault, RejectCode};
use crate::format::csv::Place;

/// A mapping, ready for the rows of one file.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) shape: Shape,
    pub(super) fields: Vec<Field>,
    pub(super) lookups: Vec<Lookup>,
    pub(super) skip_when: Conditions,
    pub(super) notation: Notation,
    pub(super) missing: Missing,
    pub(super) omit_empty: bool,
    pub(super) header: Header,
    pub(super) ragged: Ragged,
    pub(super) group: Option<Group>,
    pub(super) rules: Vec<Rule>,
    /// `not_before` and `not_after` of fields.
    pub(super) orders: Vec<Order>,
    /// How many values are kept for rules and orders.
    pub(super) slots: usize,
    /// Columns of `same_file` lookups: index of the column and of the lookup.
    pub(super) same_file: Vec<(usize, usize)>,
    pub(super) controls: Vec<Control>,
    /// Lines among the rows that are none.
    pub(super) specials: Vec<SpecialLine>,
    /// The field that `[changes] key` names.
    pub(super) changes: Option<usize>,
    /// For each column the personal data in it.
    pub(super) pii: Vec<Option<Pii>>,
    /// Between the cells of a row that people see.
    pub(super) delimiter: String,
    /// Nothing is known for certain about a record before the end of the file.
    pub(super) waits: bool,
    /// Some field has extras.
    pub(super) has_extras: bool,
}

/// A compiled `[record] group_by`.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) columns: Vec<usize>,
    pub(super) on_conflict: OnConflict,
    pub(super) sorted: bool,
    /// The field that orders the lines.
    pub(super) order_by: Option<usize>,
}

/// A compiled field.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// `a.b`, for messages.
    pub(super) target: String,
    /// It belongs to the lines of a group.
    pub(super) of_lines: bool,
    /// The source column that a reject names.
    pub(super) column: Option<String>,
    pub(super) source: Source,
    pub(super) clean: Vec<CleanStep>,
    /// No step brings in a character that needs an escape.
    pub(super) keeps_plain: bool,
    pub(super) lookup: Option<usize>,
    pub(super) kind: Kind,
    pub(super) default: Option<Encoded>,
    pub(super) required: bool,
    pub(super) limits: Option<Box<Limits>>,
    /// What few fields have; out of the way of the others.
    pub(super) extras: Option<Box<Extras>>,
    /// How it is written when its cell is usual.
    pub(super) quick: Option<Quick>,
}

/// What few fields have.
#[derive(Clone, Debug, Default)]
pub(super) struct Extras {
    pub(super) when: Conditions,
    pub(super) negative_when: Option<Conditions>,
    /// Its value is kept here, for rules and orders.
    pub(super) keep: Option<usize>,
    /// It must be unique.
    pub(super) unique: bool,
    /// It is part of the state that `[changes]` compares: what Nightferry adds by itself is not.
    pub(super) stated: bool,
    pub(super) pii: Option<Pii>,
    /// Rows of a group must agree about it.
    pub(super) agreed: bool,
}

/// Where a value comes from, columns by index.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Cell(usize),
    FirstOf(Vec<usize>),
    /// `plain`: the literals need no escapes.
    Template {
        parts: Vec<Part>,
        plain: bool,
    },
    Constant(Encoded),
    Cases(Vec<(Conditions, Encoded)>),
    /// A cell of a header line.
    Declared(String),
    Line,
    /// A column that the file may lack, and does.
    Nothing,
}

/// A part of a template.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Text(String),
    Cell(usize),
}

/// A constant with its JSON.
#[derive(Clone, Debug)]
pub(super) struct Encoded {
    pub(super) constant: Constant,
    pub(super) json: Stamp,
}

impl Encoded {
    pub(super) fn new(constant: &Constant) -> Self {
        let mut json = Vec::new();
        match constant {
            Constant::Text(text) => write::string(&mut json, text),
            Constant::Number(digits) => json.extend_from_slice(digits.as_bytes()),
            Constant::Boolean(value) => json.extend_from_slice(value.to_string().as_bytes()),
        }
        Self { constant: constant.clone(), json: Stamp::new(&json) }
    }

    /// The constant as text.
    pub(super) fn text(&self) -> &str {
        match &self.constant {
            Constant::Text(text) | Constant::Number(text) => text,
            Constant::Boolean(true) => "true",
            Constant::Boolean(false) => "false",
        }
    }
}

/// Which cells count as empty.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    words: Vec<String>,
    /// The only word is the empty one.
    only_empty: bool,
    has_empty: bool,
    /// By the first byte of a cell: it is not missing, whatever follows.
    present: Box<[bool; 256]>,
}

impl Missing {
    fn new(input: &InputSpec) -> Self {
        let words: Vec<String> = input.missing.iter().map(|word| word.trim().to_owned()).collect();
        let mut present = Box::new([false; 256]);
        for (byte, present) in (0..=255_u8).zip(present.iter_mut()) {
            *present = byte.is_ascii_graphic() && !words.iter().any(|word| word.as_bytes().first() == Some(&byte));
        }
        let has_empty = words.iter().any(String::is_empty);
        Self { only_empty: has_empty && words.len() == 1, has_empty, words, present }
    }

    /// True when a cell of no bytes counts as empty.
    #[inline]
    pub(super) fn has_empty(&self) -> bool {
        self.has_empty
    }

    /// True when a cell that begins with this byte does not count as empty, whatever follows.
    #[inline(always)]
    pub(super) fn is_present(&self, first: u8) -> bool {
        self.present[usize::from(first)]
    }

    /// True when the cell counts as empty.
    #[inline]
    pub(super) fn is(&self, cell: &str) -> bool {
        if self.only_empty {
            return match cell.as_bytes().first() {
                None => true,
                Some(b'!'..=b'~') => false,
                Some(_) => cell.trim().is_empty(),
            };
        }
        let cell = cell.trim();
        self.words.iter().any(|word| word == cell)
    }
}

/// What is known of a file before its first row.
#[derive(Clone, Debug, Default)]
pub struct Beginning {
    /// Names of the columns, from the header or from the mapping; empty when columns are known by position only.
    pub names: Vec<String>,
    /// Number of columns.
    pub width: usize,
    /// Where the header, or the first row, stands.
    pub place: Place,
    /// The names come from the file.
    pub from_file: bool,
    /// Cells before the first column of every row.
    pub offset: usize,
    /// `LAYOUT.COLUMN` of header lines, with the cell.
    pub declared: BTreeMap<String, String>,
}

impl Plan {
    /// Compiles `spec` for a file that begins so. The result has a warning when there is something to say about the columns.
    ///
    /// # Errors
    /// `missing-column`, `duplicate-column`, `unknown-column`.
    pub fn new(spec: &MappingSpec, facts: &Facts, begun: Beginning) -> Result<(Self, Option<String>), FileFault> {
        let Beginning { names, width, place, from_file, offset, declared } = begun;
        let header = Header { names, width, place, from_file, offset, declared };
        let warning = header.check(spec)?;
        Compiler { spec, facts, header: &header, slots: Vec::new() }.plan().map(|plan| (plan, warning))
    }

    /// True when nothing is known for certain about a record before the end of the file.
    pub fn waits_for_the_end(&self) -> bool {
        self.waits
    }

    /// The first column that rows are grouped by.
    pub fn group_column(&self) -> Option<String> {
        let at = self.group.as_ref()?.columns.first()?.checked_sub(self.header.offset)?;
        self.header.names.get(at).cloned().or_else(|| Some(format!("column {}", at + 1)))
    }

    /// True when records are compared with the last accepted state.
    pub fn compares(&self) -> bool {
        self.changes.is_some()
    }

    /// True when the mapping names personal data.
    pub fn has_personal_data(&self) -> bool {
        self.pii.iter().any(Option::is_some)
    }

    /// Every column that the mapping names, once, in its order: the columns of formats without a header.
    pub fn column_names(spec: &MappingSpec) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for column in mapped_columns(spec).all {
            if let Column::Name(name) = column
                && !names.contains(name)
            {
                names.push(name.clone());
            }
        }
        names
    }

    /// True when the field belongs to lines.
    pub(super) fn is_of_lines(&self, field: u16) -> bool {
        self.fields.get(usize::from(field)).is_some_and(|field| field.of_lines)
    }

    /// True when rows are put together to records.
    pub fn groups(&self) -> bool {
        self.group.is_some()
    }

    /// The column that a reject of a field names, and the name of its lookup.
    pub fn blamed(&self, field: usize) -> (Option<&str>, Option<&str>) {
        let Some(field) = self.fields.get(field) else { return (None, None) };
        let lookup = field.lookup.and_then(|at| self.lookups.get(at));
        (field.column.as_deref(), lookup.map(|lookup| lookup.source.as_str()))
    }

    /// True when the field is personal data.
    pub(super) fn hides(&self, field: usize) -> bool {
        self.fields.get(field).and_then(|field| field.extras.as_ref()).is_some_and(|extras| extras.pii.is_some())
    }

    /// The target of a field.
    pub fn target(&self, field: usize) -> &str {
        self.fields.get(field).map_or("", |field| &field.target)
    }
}

/// Turns names into indexes.
pub(super) struct Compiler<'a> {
    spec: &'a MappingSpec,
    facts: &'a Facts,
    header: &'a Header,
    /// Targets whose values are kept.
    slots: Vec<String>,
}

impl Compiler<'_> {
    fn plan(mut self) -> Result<Plan, FileFault> {
        let spec = self.spec;
        // These say which values are kept, so they come before the fields.
        let rules = spec.checks.iter().map(|check| Rule::new(check, &mut self)).collect();
        let orders = self.orders();
        let order_by = self.order_by();
        let mut fields = spec.fields.iter().map(|field| self.field(field)).collect::<Result<Vec<_>, _>>()?;
        let lookups: Vec<Lookup> = spec.lookups.iter().map(|(name, lookup)| Lookup::new(name, lookup)).collect();
        let notation = Notation::new(&spec.input);
        for field in &mut fields {
            field.quick = Quick::new(field, &lookups, &notation);
        }
        let same_file = spec.lookups.values().enumerate().filter_map(|(at, lookup)| match &lookup.table {
            LookupTable::SameFile(column) => Some(self.index(column).map(|column| (column, at))),
            LookupTable::Entries(_) => None,
        });
        let same_file: Vec<(usize, usize)> = same_file.collect::<Result<_, _>>()?;
        let changes = spec.changes.as_ref();
        let changes = changes.and_then(|changes| spec.fields.iter().position(|field| field.name() == changes.key));
        let waits = !spec.record.group_by.is_empty()
            || changes.is_some()
            || !same_file.is_empty()
            || spec.fields.iter().any(|field| field.unique);
        Ok(Plan {
            waits,
            has_extras: fields.iter().any(|field| field.extras.is_some()),
            delimiter: match self.header.offset {
                0 => char::from(spec.input.delimiter).to_string(),
                _ => "; ".to_owned(),
            },
            shape: Shape::new(&spec.fields, spec.output.omit_empty),
            fields,
            lookups,
            skip_when: self.conditions(&spec.record.skip_when)?,
            notation,
            missing: Missing::new(&spec.input),
            omit_empty: spec.output.omit_empty,
            ragged: spec.input.ragged,
            group: self.group(order_by)?,
            rules,
            orders,
            slots: self.slots.len(),
            same_file,
            controls: spec.controls.iter().map(|control| Control::new(control, &self)).collect::<Result<_, _>>()?,
            specials: if self.header.offset > 0 { Vec::new() } else { SpecialLine::all(&spec.layouts) },
            changes,
            pii: self.pii(),
            header: self.header.clone(),
        })
    }

    fn group(&self, order_by: Option<usize>) -> Result<Option<Group>, FileFault> {
        let record = &self.spec.record;
        if record.group_by.is_empty() {
            return Ok(None);
        }
        let columns = record.group_by.iter().map(|column| self.index(column)).collect::<Result<_, _>>()?;
        Ok(Some(Group { columns, on_conflict: record.on_conflict, sorted: record.sorted, order_by }))
    }

    /// The place where the value of a field is kept.
    pub(super) fn slot(&mut self, target: &str) -> usize {
        self.slots.iter().position(|slot| slot == target).unwrap_or_else(|| {
            self.slots.push(target.to_owned());
            self.slots.len() - 1
        })
    }

    /// True when the field with this target belongs to lines.
    pub(super) fn is_of_lines(&self, target: &str) -> bool {
        self.spec.fields.iter().any(|field| field.list().is_some() && field.name() == target)
    }

    fn order_by(&mut self) -> Option<usize> {
        let wanted = format!("[].{}", self.spec.record.order_lines_by.as_deref()?);
        let name = self.spec.fields.iter().map(FieldSpec::name).find(|name| name.ends_with(&wanted))?;
        Some(self.slot(&name))
    }

    fn orders(&mut self) -> Vec<Order> {
        let spec = self.spec;
        let mut orders = Vec::new();
        for (field, named) in spec.fields.iter().enumerate() {
            for (other, before) in [(&named.not_before, true), (&named.not_after, false)] {
                if let Some(other) = other {
                    let (own, slot) = (self.slot(&named.name()), self.slot(other));
                    let of_lines = named.list().is_some();
                    orders.push(Order { field, own, slot, other: other.clone(), before, of_lines });
                }
            }
        }
        orders
    }

    /// The index of a column that the header check has found, in the cells of a row.
    pub(super) fn index(&self, column: &Column) -> Result<usize, FileFault> {
        let header = self.header;
        header.find(column).map(|at| at + header.offset).ok_or_else(|| FileFault {
            code: RejectCode::MissingColumn,
            row: Some(header.place.line),
            byte: header.place.byte,
            column: Some(Header::label(column)),
            message: format!("the file has no {}", Header::label(column)),
        })
    }

    pub(super) fn conditions(&self, conditions: &[Condition]) -> Result<Conditions, FileFault> {
        let compiled = conditions.iter().map(|condition| Ok((self.index(&condition.column)?, condition.test.clone())));
        Ok(Conditions(compiled.collect::<Result<_, FileFault>>()?))
    }

    fn field(&self, field: &FieldSpec) -> Result<Field, FileFault> {
        let limits = Limits::new(field, self.facts.business_date).map_err(|error| FileFault {
            code: RejectCode::Pattern,
            row: None,
            byte: 0,
            column: None,
            message: format!("the pattern of `{}` cannot be used: {error}", field.name()),
        })?;
        let pads_plain = |step: &CleanStep| match step {
            CleanStep::PadLeft(_, pad) => write::is_plain(pad.encode_utf8(&mut [0; 4])),
            CleanStep::Replace(_, to) => write::is_plain(to),
            // Decomposed characters may be any ASCII.
            CleanStep::Ascii => false,
            _ => true,
        };
        let column = field.origin.columns().first().map(|column| Header::label(column));
        let source = self.source(field)?;
        let extras = self.extras(field)?;
        Ok(Field {
            quick: None,
            target: field.name(),
            of_lines: field.list().is_some(),
            column: if matches!(field.origin, Origin::Cases(_)) { None } else { column },
            source,
            clean: field.clean.clone(),
            keeps_plain: field.clean.iter().all(pads_plain),
            lookup: field.lookup.as_ref().and_then(|name| self.spec.lookups.keys().position(|known| known == name)),
            kind: Kind::new(&field.kind),
            default: field.default.as_ref().map(Encoded::new),
            required: field.required,
            limits: limits.map(Box::new),
            extras,
        })
    }

    /// `None` for most fields.
    fn extras(&self, field: &FieldSpec) -> Result<Option<Box<Extras>>, FileFault> {
        let negative_when = match &field.kind {
            ValueKind::Number(number) if !number.negative_when.is_empty() => {
                Some(self.conditions(&number.negative_when)?)
            }
            _ => None,
        };
        let name = field.name();
        let extras = Extras {
            when: self.conditions(&field.when)?,
            negative_when,
            keep: self.slots.iter().position(|slot| *slot == name),
            unique: field.unique,
            stated: self.spec.changes.is_some() && !matches!(field.origin, Origin::Auto(_)),
            pii: field.pii,
            agreed: !self.spec.record.group_by.is_empty()
                && field.list().is_none()
                && matches!(field.origin, Origin::From(_) | Origin::FirstOf(_) | Origin::Template(_)),
        };
        let none = extras.when.0.is_empty()
            && extras.negative_when.is_none()
            && extras.keep.is_none()
            && extras.pii.is_none()
            && !extras.unique
            && !extras.agreed
            && !extras.stated;
        Ok((!none).then(|| Box::new(extras)))
    }

    fn source(&self, field: &FieldSpec) -> Result<Source, FileFault> {
        let absent = |column: &Column| field.optional_column && self.header.find(column).is_none();
        Ok(match &field.origin {
            Origin::From(column) if self.header.declared(column).is_some() => {
                Source::Declared(self.header.declared(column).unwrap_or_default().to_owned())
            }
            Origin::From(column) if absent(column) => Source::Nothing,
            Origin::From(column) => Source::Cell(self.index(column)?),
            Origin::FirstOf(columns) => {
                let present = columns.iter().filter(|column| !absent(column));
                Source::FirstOf(present.map(|column| self.index(column)).collect::<Result<_, _>>()?)
            }
            Origin::Template(parts) => self.template(parts, &absent)?,
            Origin::Value(constant) => Source::Constant(Encoded::new(constant)),
            Origin::Cases(cases) => {
                let case = |case: &Case| Ok((self.conditions(&case.when)?, Encoded::new(&case.value)));
                Source::Cases(cases.iter().map(case).collect::<Result<_, FileFault>>()?)
            }
            Origin::Auto(Auto::Row) => Source::Line,
            Origin::Auto(auto) => {
                Source::Constant(Encoded::new(&Constant::Text(self.facts.text(*auto).unwrap_or_default())))
            }
        })
    }

    fn template(&self, parts: &[TemplatePart], absent: &dyn Fn(&Column) -> bool) -> Result<Source, FileFault> {
        let mut compiled = Vec::new();
        for part in parts {
            match part {
                TemplatePart::Text(literal) => compiled.push(Part::Text(literal.clone())),
                TemplatePart::Cell(column) => match self.header.declared(column) {
                    Some(cell) => compiled.push(Part::Text(cell.to_owned())),
                    None if absent(column) => {}
                    None => compiled.push(Part::Cell(self.index(column)?)),
                },
            }
        }
        let plain = compiled.iter().all(|part| match part {
            Part::Text(literal) => write::is_plain(literal),
            Part::Cell(_) => true,
        });
        Ok(Source::Template { parts: compiled, plain })
    }

    /// What personal data each column holds, as the fields say that read it.
    fn pii(&self) -> Vec<Option<Pii>> {
        let mut columns = vec![None; self.header.width];
        for field in &self.spec.fields {
            let Some(pii) = field.pii else { continue };
            for at in field.origin.columns().into_iter().filter_map(|column| self.header.find(column)) {
                if let Some(column) = columns.get_mut(at) {
                    *column = Some(pii);
                }
            }
        }
        columns
    }
}
