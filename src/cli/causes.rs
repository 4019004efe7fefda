//! Rejects by cause, biggest first: the row, a caret under the cell, the rule that refused it, how many rows have the cause, and what
//! the playbook says to do.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::context::Context;
use super::given::{ENOUGH_FOR_A_HEADER, landed};
use crate::config::catalogue;
use crate::config::places::Places;
use crate::config::project::{LoadedJob, load_job};
use crate::domain::file::shown_name;
use crate::domain::name::{JobName, RunId};
use crate::ledger::reject::RejectFilter;
use crate::ledger::row::RejectRow;
use crate::ledger::{Ledger, LedgerError};
use crate::mapping::spec::{Column, ColumnPlace, FieldSpec, Format, MappingSpec};
use crate::pipeline::seen;
use crate::report::rejects::playbook_line;
use crate::report::text::{counted, grouped};

/// Most different values of a cause that are told apart.
const MOST_VALUES: usize = 10_000;
/// Values that a note names.
const NAMED: usize = 5;

/// All rows with the same cause.
struct Cause {
    first: RejectRow,
    job: JobName,
    rows: u64,
    /// Rows by the value of the cell; empty when values may not be shown.
    values: BTreeMap<String, u64>,
}

/// Job, side, code, column.
type Key = (String, &'static str, String, Option<String>);

/// Rejects by cause, as text.
///
/// # Errors
/// Those of the ledger.
pub fn text(
    context: &Context,
    ledger: &Ledger,
    filter: &RejectFilter,
    (open, colour, width): (bool, bool, usize),
) -> Result<String, LedgerError> {
    let mut collector = Collector {
        context,
        ledger,
        open,
        jobs: HashMap::new(),
        sheets: HashMap::new(),
        causes: BTreeMap::new(),
        grouped: 0,
    };
    // Twice: while rejects are read nothing else can be asked of the ledger.
    let mut files = BTreeSet::new();
    ledger.each_reject(filter, &mut |reject| {
        files.insert((reject.run, reject.file));
    })?;
    for at in files {
        collector.look_at(at)?;
    }
    ledger.each_reject(filter, &mut |reject| collector.add(reject))?;
    let Collector { jobs, sheets, causes, grouped: with_group, .. } = collector;
    let mut causes: Vec<Cause> = causes.into_values().collect();
    causes.sort_by(|left, right| right.rows.cmp(&left.rows).then(left.first.row.cmp(&right.first.row)));
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() }.term_width(width);
    let mut text = String::new();
    for cause in &causes {
        let job = jobs.get(cause.job.as_str()).and_then(Option::as_ref);
        let sheet = sheets.get(&(cause.first.run.clone(), cause.first.file.clone()));
        text.push_str(&Picture { cause, job, sheet, open }.draw(&renderer));
        text.push_str("\n\n");
    }
    if causes.is_empty() && with_group == 0 {
        return Ok("no rejects\n".to_owned());
    }
    let total = causes.iter().map(|cause| cause.rows).sum::<u64>();
    text.push_str(&format!("{} in {}", counted(total, "reject"), counted(causes.len() as u64, "cause")));
    if with_group > 0 {
        text.push_str(&format!(", and {} rejected with their group", counted(with_group, "row")));
    }
    text.push_str("; `--plain` lists each, `--cause CODE` only one cause\n");
    Ok(text)
}

struct Collector<'a> {
    context: &'a Context,
    ledger: &'a Ledger,
    open: bool,
    /// Jobs as they are now; `None`: such a job cannot be loaded.
    jobs: HashMap<String, Option<LoadedJob>>,
    sheets: HashMap<(RunId, Vec<u8>), Sheet>,
    causes: BTreeMap<Key, Cause>,
    /// Rows whose only fault is their group.
    grouped: u64,
}

impl Collector<'_> {
    fn add(&mut self, reject: RejectRow) {
        if reject.side == "mapping" && reject.code == "group" {
            self.grouped += 1;
            return;
        }
        let at = (reject.run.clone(), reject.file.clone());
        let job = self.sheets.get(&at).map_or_else(|| JobName::new(""), |sheet| sheet.job.clone());
        let key = (job.as_str().to_owned(), reject.side, reject.code.clone(), reject.column.clone());
        let value = self.value(&reject, &at);
        let cause =
            self.causes.entry(key).or_insert_with(|| Cause { first: reject, job, rows: 0, values: BTreeMap::new() });
        cause.rows += 1;
        if let Some(value) = value.filter(|value| cause.values.len() < MOST_VALUES || cause.values.contains_key(value))
        {
            *cause.values.entry(value).or_insert(0) += 1;
        }
    }

    /// Looks up what is needed to read the rows of a file: its job as it is now, and its header.
    fn look_at(&mut self, at: (RunId, Vec<u8>)) -> Result<(), LedgerError> {
        let Some(file) = self.ledger.files(&at.0)?.into_iter().find(|file| file.name == at.1) else { return Ok(()) };
        let project = &self.context.project;
        let loaded = self
            .jobs
            .entry(file.job.as_str().to_owned())
            .or_insert_with_key(|name| load_job(project, name).ok())
            .as_ref();
        let header = loaded.and_then(|loaded| {
            let wrapping = || loaded.job.wrapping.clone();
            let open = landed(&self.context.data, self.ledger, &file, wrapping, ENOUGH_FOR_A_HEADER)?;
            seen::header(open, "", "", &loaded.mapping).ok().flatten()
        });
        self.sheets.insert(at, Sheet { job: file.job, columns: header.map(|header| header.columns) });
        Ok(())
    }

    /// The value of the cell to blame, when it may be shown.
    fn value(&self, reject: &RejectRow, at: &(RunId, Vec<u8>)) -> Option<String> {
        let sheet = self.sheets.get(at)?;
        let job = self.jobs.get(sheet.job.as_str())?.as_ref()?;
        let column = reject.column.as_deref()?;
        if !self.open && fields_of(&job.mapping, column).any(|field| field.pii.is_some()) {
            return None;
        }
        let row = shown(reject, self.open);
        let cell = sheet.cell(&job.mapping, column, &row)?;
        row.get(cell).map(|text| text.trim().to_owned())
    }
}

/// How the rows of a file are divided.
struct Sheet {
    job: JobName,
    columns: Option<Vec<String>>,
}

impl Sheet {
    /// The bytes of a cell in a row as it is shown.
    fn cell(&self, spec: &MappingSpec, column: &str, row: &str) -> Option<Range<usize>> {
        if spec.input.format == Format::Fixed {
            let record = spec.layouts.iter().find(|layout| layout.is_record)?;
            let ColumnPlace::Characters(from, to) = record.columns.iter().find(|one| one.name == column)?.place else {
                return None;
            };
            let at = |character: u32| row.char_indices().nth(character as usize).map_or(row.len(), |(at, _)| at);
            return Some(at(from.saturating_sub(1))..at(to));
        }
        let names = self.columns.as_ref().or(Some(&spec.input.columns).filter(|names| !names.is_empty()))?;
        let index = self.index(spec, column)?;
        let cells = cells(row, char::from(spec.input.delimiter), spec.input.quote.map(char::from));
        if cells.len() != names.len() {
            return None;
        }
        cells.get(index).cloned()
    }

    fn index(&self, spec: &MappingSpec, column: &str) -> Option<usize> {
        let names = self.columns.as_ref().unwrap_or(&spec.input.columns);
        let position = column.strip_prefix("column ").and_then(|digits| digits.parse::<usize>().ok());
        names.iter().position(|name| name == column).or(position.and_then(|at| at.checked_sub(1)))
    }
}

/// The cells of a delimiter-separated row, without their quotation marks.
fn cells(row: &str, delimiter: char, quote: Option<char>) -> Vec<Range<usize>> {
    let mut cells = Vec::new();
    let (mut start, mut quoted) = (0, false);
    let inner = |start: usize, end: usize| {
        let text = &row[start..end];
        let marked = quote.is_some_and(|quote| text.len() >= 2 && text.starts_with(quote) && text.ends_with(quote));
        if marked { start + 1..end - 1 } else { start..end }
    };
    for (at, character) in row.char_indices() {
        if Some(character) == quote && (quoted || at == start) {
            quoted = !quoted;
        } else if Some(character) == quote {
            quoted = row[..at].ends_with(character);
        } else if character == delimiter && !quoted {
            cells.push(inner(start, at));
            start = at + character.len_utf8();
        }
    }
    cells.push(inner(start, row.len()));
    cells
}

/// The row as whoever asked may see it, on one line.
fn shown(reject: &RejectRow, open: bool) -> String {
    let masked = reject.masked.as_deref().filter(|_| !open);
    shown_name(masked.map_or(reject.raw.as_slice(), str::as_bytes))
}

/// The fields that read a column.
fn fields_of<'s>(spec: &'s MappingSpec, column: &'s str) -> impl Iterator<Item = &'s FieldSpec> {
    let is = move |one: &&Column| match one {
        Column::Name(name) => name == column,
        Column::Position(at) => column == format!("column {at}"),
    };
    spec.fields.iter().filter(move |field| field.origin.columns().iter().any(is))
}

/// `A`, `H`, `AA`: how a spreadsheet calls a column.
fn letters(index: usize) -> String {
    let mut text = String::new();
    let mut rest = index + 1;
    while rest > 0 {
        let digit = u8::try_from((rest - 1) % 26).unwrap_or(0);
        text.insert(0, char::from(b'A' + digit));
        rest = (rest - 1) / 26;
    }
    text
}

/// The key of a recipe that a code is about, and what stands beside it.
const RULES: &[(&str, &[&str], &str)] = &[
    ("required", &["required"], "a value is needed"),
    ("lookup-missing", &["lookup"], "on_missing = \"reject\""),
    ("not-in-enum", &["enum"], "the only values that are good"),
    ("pattern", &["pattern"], "it must match this"),
    ("below-minimum", &["minimum"], "the least that is good"),
    ("above-maximum", &["maximum"], "the most that is good"),
    ("too-short", &["min_length"], "the fewest characters"),
    ("too-long", &["max_length"], "the most characters"),
    ("too-many-decimals", &["decimals", "minor_units"], "the most decimals; nothing is rounded"),
    ("before", &["not_before"], "not earlier than this field"),
    ("after", &["not_after"], "not later than this field"),
    ("duplicate-key", &["unique"], "once in the file"),
    ("bad-number", &["type"], "it must be this"),
    ("bad-integer", &["type"], "it must be this"),
    ("bad-boolean", &["type"], "it must be this"),
    ("bad-date", &["format"], "how it must be written"),
    ("bad-time", &["format"], "how it must be written"),
    ("bad-datetime", &["format"], "how it must be written"),
    ("bad-email", &["format"], "what it must be"),
    ("bad-iban", &["format"], "what it must be"),
    ("bad-uuid", &["format"], "what it must be"),
    ("bad-url", &["format"], "what it must be"),
];

struct Picture<'a> {
    cause: &'a Cause,
    job: Option<&'a LoadedJob>,
    sheet: Option<&'a Sheet>,
    open: bool,
}

impl Picture<'_> {
    fn draw(&self, renderer: &Renderer) -> String {
        let first = &self.cause.first;
        let (row, file) = (shown(first, self.open), shown_name(&first.file));
        let message = shown_name(first.message.as_bytes());
        let id = catalogue::data_code(&first.code, first.side);
        let title = Level::ERROR.primary_title(message.as_str()).id(id);
        let rule = self.rule();
        let mut group = Group::with_title(title);
        let (cell, label) = self.cell(&row);
        if !row.is_empty() {
            let mark = AnnotationKind::Primary.span(cell).label(label.as_str());
            let line = usize::try_from(first.row.unwrap_or(1)).unwrap_or(1);
            group = group.element(Snippet::source(row.as_str()).path(file.as_str()).line_start(line).annotation(mark));
        }
        if let (Some((span, label)), Some(job)) = (&rule, self.job) {
            let mark = AnnotationKind::Context.span(span.clone()).label(label.as_str());
            group = group.element(Snippet::source(job.pinned.text()).path(job.pinned.path()).annotation(mark));
        }
        if row.is_empty() {
            let line = first.row.map_or(String::new(), |row| format!(", line {row}"));
            group = group.element(Level::NOTE.message(format!("in {file}{line}")));
        }
        group = group.element(Level::NOTE.message(self.counts()));
        if let Some(help) = self.help() {
            group = group.element(Level::HELP.message(help));
        }
        if let Some(line) = self.job.and_then(|job| playbook_line(&job.job.playbook, &first.code, first.side)) {
            group = group.element(Level::NOTE.with_name("playbook").message(line));
        }
        renderer.render(&[group]).to_string()
    }

    /// The place to point at in the row, and what to say there.
    fn cell(&self, row: &str) -> (Range<usize>, String) {
        let first = &self.cause.first;
        let found = (|| {
            let (sheet, job, column) = (self.sheet?, self.job?, first.column.as_deref()?);
            let cell = sheet.cell(&job.mapping, column, row)?;
            let name = match (sheet.index(&job.mapping, column), first.row) {
                (Some(at), Some(line)) if job.mapping.input.format != Format::Fixed => {
                    format!("cell {}{line} ({})", letters(at), shown_name(column.as_bytes()))
                }
                _ => format!("{} of line {}", shown_name(column.as_bytes()), first.row.unwrap_or(0)),
            };
            Some((cell, name))
        })();
        found.unwrap_or_else(|| {
            let column = first.column.as_ref().map(|column| format!("in {}", shown_name(column.as_bytes())));
            (0..row.len(), column.unwrap_or_default())
        })
    }

    /// Where the rule stands in the mapping, and what to say there.
    fn rule(&self) -> Option<(Range<usize>, String)> {
        let (job, code) = (self.job?, self.cause.first.code.as_str());
        if self.cause.first.side != "mapping" {
            return None;
        }
        let places = Places::new(job.pinned.text());
        if let Some((kind, id)) = code.split_once(':') {
            let table = if kind == "check" { "checks" } else { "controls" };
            return Some((places.of_rule(table, id)?, "this rule".to_owned()));
        }
        let (_, keys, label) = RULES.iter().find(|(known, ..)| *known == code)?;
        let column = self.cause.first.column.as_deref()?;
        let spans = fields_of(&job.mapping, column)
            .flat_map(|field| keys.iter().filter_map(|key| places.of_recipe(&field.name(), key)));
        spans.map(|span| (span, (*label).to_owned())).next()
    }

    /// `31 rows have this cause (Freedonia 22, Molvania 9)`.
    fn counts(&self) -> String {
        let rows = self.cause.rows;
        let noun = if self.cause.first.side == "target" { "record" } else { "row" };
        let have = if rows == 1 { "has" } else { "have" };
        let mut values: Vec<(&String, &u64)> = self.cause.values.iter().collect();
        values.sort_by(|left, right| right.1.cmp(left.1).then(left.0.cmp(right.0)));
        let value = |(value, rows): &(&String, &u64)| {
            let shown = if value.is_empty() { "empty".to_owned() } else { shown_name(value.as_bytes()) };
            let cut: String = shown.chars().take(40).collect();
            format!("{cut} {}", grouped(**rows))
        };
        let named: Vec<String> = values.iter().take(NAMED).map(value).collect();
        let more = if values.len() > NAMED { format!(", and {} more", values.len() - NAMED) } else { String::new() };
        let list = if rows > 1 && !named.is_empty() { format!(" ({}{more})", named.join(", ")) } else { String::new() };
        format!("{} {have} this cause{list}", counted(rows, noun))
    }

    fn help(&self) -> Option<String> {
        let first = &self.cause.first;
        if first.side == "target" {
            return None;
        }
        let lookup = (first.code == "lookup-missing")
            .then(|| {
                let job = self.job?;
                let field = fields_of(&job.mapping, first.column.as_deref()?).find(|field| field.lookup.is_some())?;
                job.mapping.lookups.get(field.lookup.as_ref()?)
            })
            .flatten();
        match lookup {
            Some(lookup) if lookup.source.ends_with(".csv") => {
                Some(format!("if it is right, add it to {}", lookup.source))
            }
            _ => catalogue::find(&first.code).map(|entry| entry.next.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_found_between_delimiters_and_inside_quotes() {
        let row = "a;\"b;c\";\"d\"\"e\";;f";
        let found: Vec<&str> = cells(row, ';', Some('"')).into_iter().map(|cell| &row[cell]).collect();
        assert_eq!(found, ["a", "b;c", "d\"\"e", "", "f"]);
        assert_eq!([0, 7, 25, 26, 701, 702].map(letters), ["A", "H", "Z", "AA", "ZZ", "AAA"]);
    }
}
