//! The plan: a mapping and a header, compiled. Names are indexes, constants are bytes.

use super::check::Limits;
use super::facts::Facts;
use super::header::Header;
use super::lookup::Lookup;
use super::spec::{Auto, CleanStep, Column, Constant, FieldSpec, InputSpec, MappingSpec, Origin, TemplatePart, Test};
use super::value::{Kind, Notation};
use super::write;
use crate::domain::reject::{FileFault, RejectCode};
use crate::format::csv::split::FirstRow;

/// A mapping, ready for the rows of one file.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) fields: Vec<Field>,
    pub(super) lookups: Vec<Lookup>,
    pub(super) skip_when: Vec<(usize, Test)>,
    pub(super) notation: Notation,
    pub(super) missing: Missing,
    pub(super) omit_empty: bool,
    pub(super) header: Header,
}

/// One step of writing a record.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// `"key":{`
    Open(Vec<u8>),
    /// `"key":` and the value of the field.
    Field(Vec<u8>, usize),
    /// `}`
    Close,
}

/// A compiled field.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// `a.b`, for messages.
    pub(super) target: String,
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
    Line,
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
    pub(super) json: Vec<u8>,
}

impl Encoded {
    pub(super) fn new(constant: &Constant) -> Self {
        let mut json = Vec::new();
        match constant {
            Constant::Text(text) => write::string(&mut json, text),
            Constant::Number(digits) => json.extend_from_slice(digits.as_bytes()),
            Constant::Boolean(value) => json.extend_from_slice(value.to_string().as_bytes()),
        }
        Self { constant: constant.clone(), json }
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
}

impl Missing {
    fn new(input: &InputSpec) -> Self {
        Self {
            words: input.missing.clone(),
            only_empty: matches!(input.missing.as_slice(), [word] if word.trim().is_empty()),
        }
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
        self.words.iter().any(|word| word.trim() == cell)
    }
}

impl Plan {
    /// Compiles `spec` for a file whose first row is `first`: the header with `header = true`, otherwise a row of data that
    /// says how many columns there are. The result has a warning when there is something to say about the columns.
    ///
    /// # Errors
    /// `missing-column`, `duplicate-column`, `unknown-column`.
    pub fn new(
        spec: &MappingSpec,
        facts: &Facts,
        first: Option<&FirstRow>,
    ) -> Result<(Self, Option<String>), FileFault> {
        let header = header(&spec.input, first);
        let warning = header.check(spec)?;
        let lookups = spec.lookups.iter().map(|(name, lookup)| Lookup::new(name, lookup)).collect();
        let fields = spec.fields.iter().map(|field| compile(field, spec, &header, facts)).collect::<Result<_, _>>()?;
        let skip_when =
            spec.skip_when.iter().map(|condition| Ok((index(&header, &condition.column)?, condition.test.clone())));
        let plan = Self {
            steps: steps(&spec.fields, spec.omit_empty),
            fields,
            lookups,
            skip_when: skip_when.collect::<Result<_, FileFault>>()?,
            notation: Notation::new(&spec.input),
            missing: Missing::new(&spec.input),
            omit_empty: spec.omit_empty,
            header,
        };
        Ok((plan, warning))
    }
}

/// The columns of the file.
fn header(input: &InputSpec, first: Option<&FirstRow>) -> Header {
    let place = first.map(|first| first.place).unwrap_or_default();
    let cells = first.map(|first| first.cells.as_slice()).unwrap_or_default();
    if input.header {
        Header { names: cells.to_vec(), width: cells.len(), place, from_file: true }
    } else if input.columns.is_empty() {
        Header { names: Vec::new(), width: cells.len(), place, from_file: false }
    } else {
        Header { names: input.columns.clone(), width: input.columns.len(), place, from_file: false }
    }
}

/// The index of a column that the header check has found.
fn index(header: &Header, column: &Column) -> Result<usize, FileFault> {
    header.find(column).ok_or_else(|| FileFault {
        code: RejectCode::MissingColumn,
        row: Some(header.place.line),
        byte: header.place.byte,
        column: Some(Header::label(column)),
        message: format!("the file has no {}", Header::label(column)),
    })
}

fn compile(field: &FieldSpec, spec: &MappingSpec, header: &Header, facts: &Facts) -> Result<Field, FileFault> {
    let source = match &field.origin {
        Origin::From(column) => Source::Cell(index(header, column)?),
        Origin::FirstOf(columns) => {
            Source::FirstOf(columns.iter().map(|column| index(header, column)).collect::<Result<_, _>>()?)
        }
        Origin::Template(parts) => template(parts, header)?,
        Origin::Value(constant) => Source::Constant(Encoded::new(constant)),
        Origin::Auto(Auto::Row) => Source::Line,
        Origin::Auto(auto) => Source::Constant(Encoded::new(&Constant::Text(facts.text(*auto).unwrap_or_default()))),
    };
    let limits = Limits::new(field).map_err(|error| FileFault {
        code: RejectCode::Pattern,
        row: None,
        byte: 0,
        column: None,
        message: format!("the pattern of `{}` cannot be used: {error}", field.target.join(".")),
    })?;
    let pads_plain = |step: &CleanStep| !matches!(step, CleanStep::PadLeft(_, pad) if !write::is_plain(pad.encode_utf8(&mut [0; 4])));
    Ok(Field {
        target: field.target.join("."),
        column: first_column(&field.origin).map(Header::label),
        source,
        clean: field.clean.clone(),
        keeps_plain: field.clean.iter().all(pads_plain),
        lookup: field.lookup.as_ref().and_then(|name| spec.lookups.keys().position(|known| known == name)),
        kind: Kind::new(&field.kind),
        default: field.default.as_ref().map(Encoded::new),
        required: field.required,
        limits: limits.map(Box::new),
    })
}

fn template(parts: &[TemplatePart], header: &Header) -> Result<Source, FileFault> {
    let plain = parts.iter().all(|part| match part {
        TemplatePart::Text(literal) => write::is_plain(literal),
        TemplatePart::Cell(_) => true,
    });
    let parts = parts.iter().map(|part| match part {
        TemplatePart::Text(literal) => Ok(Part::Text(literal.clone())),
        TemplatePart::Cell(column) => index(header, column).map(Part::Cell),
    });
    Ok(Source::Template { parts: parts.collect::<Result<_, FileFault>>()?, plain })
}

/// The column that a reject of the field names.
fn first_column(origin: &Origin) -> Option<&Column> {
    match origin {
        Origin::From(column) => Some(column),
        Origin::FirstOf(columns) => columns.first(),
        Origin::Template(parts) => parts.iter().find_map(|part| match part {
            TemplatePart::Cell(column) => Some(column),
            TemplatePart::Text(_) => None,
        }),
        Origin::Value(_) | Origin::Auto(_) => None,
    }
}

/// A node of the record: objects in the order in which their first field appears.
#[derive(Default)]
struct Node<'a> {
    children: Vec<(&'a str, Child<'a>)>,
}

enum Child<'a> {
    Field(usize),
    Object(Node<'a>),
}

fn steps(fields: &[FieldSpec], omit_empty: bool) -> Vec<Step> {
    let mut root = Node::default();
    for (at, field) in fields.iter().enumerate() {
        if let Some((name, objects)) = field.target.split_last() {
            let node = objects.iter().fold(&mut root, |node, object| node.object(object));
            node.children.push((name, Child::Field(at)));
        }
    }
    let mut steps = Vec::new();
    root.flatten(omit_empty, &mut steps);
    steps
}

impl<'a> Node<'a> {
    fn object(&mut self, name: &'a str) -> &mut Self {
        let known = self.children.iter().position(|(child, node)| *child == name && matches!(node, Child::Object(_)));
        let at = known.unwrap_or_else(|| {
            self.children.push((name, Child::Object(Self::default())));
            self.children.len() - 1
        });
        match self.children.get_mut(at) {
            Some((_, Child::Object(node))) => node,
            _ => unreachable!("the child at {at} is the object `{name}`, found or made above"),
        }
    }

    /// The first key of an object has no comma before it, unless fields may be left out: then all have one, and the writer
    /// takes the first off.
    fn flatten(&self, omit_empty: bool, steps: &mut Vec<Step>) {
        for (at, (name, child)) in self.children.iter().enumerate() {
            let mut key = Vec::new();
            if at > 0 || omit_empty {
                key.push(b',');
            }
            write::string(&mut key, name);
            key.push(b':');
            match child {
                Child::Field(field) => steps.push(Step::Field(key, *field)),
                Child::Object(node) => {
                    key.push(b'{');
                    steps.push(Step::Open(key));
                    node.flatten(omit_empty, steps);
                    steps.push(Step::Close);
                }
            }
        }
    }
}
