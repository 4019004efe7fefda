//! The inline tests of a mapping: each becomes a file as the sender would write it, and goes through the engine.

use std::io;

use chrono::NaiveDate;

use super::because::Because;
use super::trial::{self, Trial, TrialInput};
use crate::config::inline_test::{Cells, ExpectedReject, InlineTest, Sample};
use crate::config::project::LoadedMapping;
use crate::domain::reject::RejectCode;
use crate::format::encoding::Encoding;
use crate::format::json_value::Json;
use crate::format::layout::{ColumnPlace, LayoutSpec, Occurs};
use crate::mapping::spec::{Column, ControlRule, Format, InputSpec, MappingSpec};

/// The name of the file that a test sees.
const NAME: &str = "test.csv";

/// What came of one test.
#[derive(Clone, Debug)]
pub struct TestResult {
    /// Its name.
    pub name: String,
    /// The line of its name in the mapping.
    pub line: usize,
    /// What is not as expected; empty when it passed.
    pub differences: Vec<Difference>,
    /// The records that came of it, for `--accept`.
    pub made: Vec<Json>,
    /// The rejects that came of it, for `--accept`.
    pub rejected: Vec<ExpectedReject>,
}

/// One thing that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What it is about: `record 1`, `reject`.
    pub place: String,
    /// The path in the record.
    pub path: String,
    /// As the test says.
    pub expected: String,
    /// As it came.
    pub got: String,
    /// Why, when the row and the recipe say so.
    pub because: Option<String>,
}

/// Runs a test.
///
/// # Errors
/// Those of scratch files.
pub fn run(mapping: &LoadedMapping, test: &InlineTest, today: NaiveDate) -> io::Result<TestResult> {
    let spec = &mapping.spec;
    let file = File { spec, sample: &mapping.sample, test };
    let (content, lines) = match &test.given {
        Some(given) => (given_bytes(given, &spec.input), Vec::new()),
        None => file.bytes(),
    };
    let rows: Vec<Cells> = test.rows.iter().map(|changes| with(&file.sample_row(), changes)).collect();
    let trial = trial::run(TrialInput {
        file: trial::file_of(&content)?,
        spec,
        name: NAME,
        business_date: test.business_date.unwrap_or(today),
        most: 10_000,
        line: None,
    })?;
    Ok(judge(mapping, test, &trial, &Own { rows: &rows, lines: &lines }))
}

/// The sample row as a file of the mapping's format.
pub fn sample_file(mapping: &LoadedMapping) -> Vec<u8> {
    let test = InlineTest { rows: vec![Vec::new()], ..InlineTest::default() };
    File { spec: &mapping.spec, sample: &mapping.sample, test: &test }.bytes().0
}

/// The text of `given`. Short lines are filled up, so that an editor that trims blanks does no harm.
fn given_bytes(given: &str, input: &InputSpec) -> Vec<u8> {
    let mut text = String::new();
    for line in given.lines() {
        let width = input.line_length.map_or(0, |length| length as usize);
        text.push_str(&format!("{line:<width$}\n"));
    }
    let encoding = Encoding::parse(&input.encoding).unwrap_or(Encoding::UTF_8);
    encoding.encode(&text).unwrap_or_else(|_| text.into_bytes())
}

/// The file of a test with `rows`.
struct File<'a> {
    spec: &'a MappingSpec,
    sample: &'a Sample,
    test: &'a InlineTest,
}

impl File<'_> {
    /// Its bytes, and the line on which each of the test's rows begins.
    fn bytes(&self) -> (Vec<u8>, Vec<u64>) {
        let rows: Vec<Cells> = self.test.rows.iter().map(|changes| with(&self.sample_row(), changes)).collect();
        let (text, lines) = match self.spec.input.format {
            Format::Fixed => self.fixed(&rows),
            Format::Json => tree(&rows, "[", ",\n", "]\n"),
            Format::Jsonl => tree(&rows, "", "\n", "\n"),
            Format::Xml => self.xml(&rows),
            Format::Csv | Format::Xlsx => self.csv(&rows),
        };
        if self.spec.input.format == Format::Xlsx {
            return (workbook(&self.columns(&rows), &rows, self.spec), lines);
        }
        let encoding = Encoding::parse(&self.spec.input.encoding).unwrap_or(Encoding::UTF_8);
        (encoding.encode(&text).unwrap_or_else(|_| text.into_bytes()), lines)
    }

    fn sample_row(&self) -> Cells {
        let record = self.spec.layouts.iter().find(|layout| layout.is_record);
        record.map_or_else(|| self.sample.layout(""), |record| self.sample.layout(&record.name))
    }

    /// The columns of the file: those of the sample, and what tests add.
    fn columns(&self, rows: &[Cells]) -> Vec<String> {
        let input = &self.spec.input;
        if !input.columns.is_empty() {
            return input.columns.clone();
        }
        let mut columns: Vec<String> = Vec::new();
        for (column, _) in self.sample_row().iter().chain(rows.iter().flatten()) {
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        }
        columns
    }

    fn csv(&self, rows: &[Cells]) -> (String, Vec<u64>) {
        let input = &self.spec.input;
        let (mut text, mut lines, columns) = (String::new(), Vec::new(), self.columns(rows));
        for _ in 0..input.skip_rows {
            text.push_str("preamble\n");
        }
        let write = |text: &mut String, cells: &mut dyn Iterator<Item = &str>| {
            for (at, cell) in cells.enumerate() {
                if at > 0 {
                    text.push(char::from(input.delimiter));
                }
                text.push_str(&quoted(cell, input));
            }
            if text.is_empty() || text.ends_with('\n') {
                // The one cell is empty: a line of nothing would be no row.
                text.push_str("\"\"");
            }
            text.push('\n');
        };
        for layout in self.spec.layouts.iter().filter(|layout| layout.occurs == Occurs::First) {
            text.push_str(&self.cells_line(layout, rows));
        }
        if input.header {
            write(&mut text, &mut columns.iter().map(String::as_str));
        }
        for row in rows {
            lines.push(text.matches('\n').count() as u64 + 1);
            write(&mut text, &mut columns.iter().map(|column| cell(row, column)));
        }
        for layout in self.spec.layouts.iter().filter(|layout| layout.occurs == Occurs::Last) {
            text.push_str(&self.cells_line(layout, rows));
        }
        (text, lines)
    }

    /// A header or trailer line of a delimiter-separated file.
    fn cells_line(&self, layout: &LayoutSpec, rows: &[Cells]) -> String {
        let mark = match &layout.sign {
            crate::format::layout::Sign::StartsWith(start) => start.clone(),
            crate::format::layout::Sign::Matches(_) => String::new(),
        };
        let cells = self.declared(layout, rows);
        let delimiter = char::from(self.spec.input.delimiter);
        let start = mark.trim_end_matches(delimiter).to_owned();
        let most =
            layout.columns.iter().map(|column| if let ColumnPlace::Cell(at) = column.place { at } else { 1 }).max();
        let mut line: Vec<String> = (1..=most.unwrap_or(1)).map(|_| String::new()).collect();
        if let Some(first) = line.first_mut() {
            *first = start;
        }
        for column in &layout.columns {
            if let ColumnPlace::Cell(at) = column.place
                && let Some(slot) = line.get_mut((at as usize).saturating_sub(1))
            {
                *slot = cell(&cells, &column.name).to_owned();
            }
        }
        line.join(&delimiter.to_string()) + "\n"
    }

    fn fixed(&self, rows: &[Cells]) -> (String, Vec<u64>) {
        let (mut text, mut lines) = ("\n".repeat(self.spec.input.skip_rows as usize), Vec::new());
        for layout in self.spec.layouts.iter().filter(|layout| layout.occurs == Occurs::First) {
            text.push_str(&self.line(layout, &self.declared(layout, rows)));
        }
        if let Some(record) = self.spec.layouts.iter().find(|layout| layout.is_record) {
            for row in rows {
                lines.push(text.matches('\n').count() as u64 + 1);
                text.push_str(&self.line(record, row));
            }
        }
        for layout in self.spec.layouts.iter().filter(|layout| layout.occurs == Occurs::Last) {
            text.push_str(&self.line(layout, &self.declared(layout, rows)));
        }
        (text, lines)
    }

    /// A line of fixed width.
    fn line(&self, layout: &LayoutSpec, cells: &Cells) -> String {
        let mut line: Vec<char> = match &layout.sign {
            crate::format::layout::Sign::StartsWith(start) => start.chars().collect(),
            crate::format::layout::Sign::Matches(_) => Vec::new(),
        };
        let mut width = self.spec.input.line_length.unwrap_or(0) as usize;
        // A column that is a part of another shows what that one has there, unless the test says something else.
        let (outer, inner): (Vec<_>, Vec<_>) = layout.columns.iter().partition(|column| column.within.is_none());
        for column in outer.into_iter().chain(inner) {
            let ColumnPlace::Characters(from, to) = column.place else { continue };
            width = width.max(to as usize);
            let Some((_, cell)) = cells.iter().find(|(name, _)| *name == column.name) else { continue };
            line.resize(line.len().max(to as usize), ' ');
            let length = (to - from) as usize + 1;
            for (at, character) in cell.chars().chain(std::iter::repeat(' ')).take(length).enumerate() {
                if let Some(slot) = line.get_mut(from as usize - 1 + at) {
                    *slot = character;
                }
            }
        }
        line.resize(line.len().max(width), ' ');
        line.into_iter().collect::<String>() + "\n"
    }

    /// The cells of a header or trailer: those of the sample, what balances, and what the test says.
    fn declared(&self, layout: &LayoutSpec, rows: &[Cells]) -> Cells {
        let mut cells = self.sample.layout(&layout.name);
        for control in &self.spec.controls {
            let (declared, total) = match &control.rule {
                ControlRule::Count { declared, .. } => (declared, self.total(rows, &control.only, None, false)),
                ControlRule::Sum { column, declared } => {
                    (declared, self.total(rows, &control.only, Some(column), false))
                }
                ControlRule::Hash { column, declared } => {
                    (declared, self.total(rows, &control.only, Some(column), true))
                }
                _ => continue,
            };
            if declared.layout != layout.name {
                continue;
            }
            let place = layout.columns.iter().find(|column| column.name == declared.column).map(|column| column.place);
            let text = match place {
                Some(ColumnPlace::Characters(from, to)) => {
                    let width = (to - from) as usize + 1;
                    let digits = format!("{total:0>width$}");
                    digits.get(digits.len() - width..).unwrap_or(&digits).to_owned()
                }
                _ => total,
            };
            cells.retain(|(name, _)| *name != declared.column);
            cells.push((declared.column.clone(), text));
        }
        if layout.occurs == Occurs::Last { with(&cells, &self.test.trailer) } else { cells }
    }

    /// A control total over the rows, in the notation of the file.
    fn total(
        &self,
        rows: &[Cells],
        only: &[crate::mapping::spec::Condition],
        column: Option<&Column>,
        digits: bool,
    ) -> String {
        use rust_decimal::Decimal;
        let mark = self.spec.input.decimal_mark;
        let name = |column: &Column| match column {
            Column::Name(name) => name.clone(),
            Column::Position(at) => self.columns(rows).get(*at as usize - 1).cloned().unwrap_or_default(),
        };
        let mut total = Decimal::ZERO;
        for row in rows {
            let holds = only.iter().all(|condition| match &condition.test {
                crate::mapping::spec::Test::OneOf(words) => {
                    words.iter().any(|word| word.trim() == cell(row, &name(&condition.column)).trim())
                }
                _ => true,
            });
            if !holds {
                continue;
            }
            total += match column {
                None => Decimal::ONE,
                Some(column) => {
                    let text = self.part(row, &name(column));
                    let plain: String = match digits {
                        true => text.chars().filter(char::is_ascii_digit).collect(),
                        false => text
                            .chars()
                            .filter(|character| Some(*character) != self.spec.input.group_mark)
                            .map(|character| if character == mark { '.' } else { character })
                            .collect(),
                    };
                    plain.trim().parse().unwrap_or_default()
                }
            };
        }
        total.to_string().replace('.', &mark.to_string())
    }

    /// A cell of a row; of a column within another one the part of that.
    fn part(&self, row: &Cells, name: &str) -> String {
        let record = self.spec.layouts.iter().find(|layout| layout.is_record);
        let columns = record.map(|record| record.columns.as_slice()).unwrap_or_default();
        let place = |name: &str| {
            columns.iter().find(|column| column.name == name).and_then(|column| match column.place {
                ColumnPlace::Characters(from, to) => Some((from as usize, to as usize)),
                ColumnPlace::Cell(_) => None,
            })
        };
        let outer = columns.iter().find(|column| column.name == name).and_then(|column| column.within.as_deref());
        match (outer, row.iter().any(|(column, _)| column == name)) {
            (Some(outer), false) => match (place(outer), place(name)) {
                (Some((start, _)), Some((from, to))) => {
                    cell(row, outer).chars().skip(from.saturating_sub(start)).take(to + 1 - from).collect()
                }
                _ => String::new(),
            },
            _ => cell(row, name).to_owned(),
        }
    }

    fn xml(&self, rows: &[Cells]) -> (String, Vec<u64>) {
        let each = self.spec.input.each.clone().unwrap_or_else(|| "row".to_owned());
        let each = crate::format::json::Each::parse(&each).map_or(each, |path| path.elements());
        let names: Vec<&str> = each.split('/').filter(|name| !name.is_empty()).collect();
        let (record, outer) = names.split_last().map_or(("row", &[][..]), |(last, outer)| (*last, outer));
        let mut text = if outer.is_empty() { "<rows>".to_owned() } else { String::new() };
        outer.iter().for_each(|name| text.push_str(&format!("<{name}>")));
        text.push('\n');
        let mut lines = Vec::new();
        for row in rows {
            lines.push(text.matches('\n').count() as u64 + 1);
            text.push_str(&element(record, &nested(row)));
            text.push('\n');
        }
        outer.iter().rev().for_each(|name| text.push_str(&format!("</{name}>")));
        text.push_str(if outer.is_empty() { "</rows>\n" } else { "\n" });
        (text, lines)
    }
}

/// The sample row with what differs.
fn with(sample: &Cells, changes: &Cells) -> Cells {
    let mut row = sample.clone();
    for (column, cell) in changes {
        match row.iter_mut().find(|(name, _)| name == column) {
            Some((_, known)) => known.clone_from(cell),
            None => row.push((column.clone(), cell.clone())),
        }
    }
    row
}

fn cell<'a>(row: &'a Cells, column: &str) -> &'a str {
    row.iter().find(|(name, _)| name == column).map_or("", |(_, cell)| cell)
}

fn quoted(cell: &str, input: &InputSpec) -> String {
    let Some(quote) = input.quote.map(char::from) else { return cell.to_owned() };
    let delimiter = char::from(input.delimiter);
    if !cell.contains([quote, delimiter, '\n', '\r']) {
        return cell.to_owned();
    }
    let doubled = cell.replace(quote, &format!("{quote}{quote}"));
    format!("{quote}{doubled}{quote}")
}

/// Objects of rows whose columns are paths.
fn tree(rows: &[Cells], open: &str, between: &str, close: &str) -> (String, Vec<u64>) {
    let (mut text, mut lines) = (open.to_owned(), Vec::new());
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            text.push_str(between);
        }
        lines.push(text.matches('\n').count() as u64 + 1);
        text.push_str(&nested(row).to_string());
    }
    text.push_str(close);
    (text, lines)
}

/// `receiver.name` becomes an object in an object.
fn nested(row: &Cells) -> Json {
    fn put(entries: &mut Vec<(String, Json)>, path: &str, cell: &str) {
        let Some((name, rest)) = path.split_once('.') else {
            return entries.push((path.to_owned(), Json::Text(cell.to_owned())));
        };
        let at = entries.iter().position(|(key, value)| key == name && matches!(value, Json::Object(_)));
        let at = at.unwrap_or_else(|| {
            entries.push((name.to_owned(), Json::Object(Vec::new())));
            entries.len() - 1
        });
        if let Some((_, Json::Object(inner))) = entries.get_mut(at) {
            put(inner, rest, cell);
        }
    }
    let mut entries = Vec::new();
    row.iter().for_each(|(path, cell)| put(&mut entries, path, cell));
    Json::Object(entries)
}

fn element(name: &str, value: &Json) -> String {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let Json::Object(entries) = value else { return format!("<{name}>{}</{name}>", escaped(&value.text())) };
    let (mut attributes, mut inner) = (String::new(), String::new());
    for (key, value) in entries {
        match key.strip_prefix('@') {
            Some(key) => attributes.push_str(&format!(" {key}=\"{}\"", escaped(&value.text()))),
            None => inner.push_str(&element(key, value)),
        }
    }
    format!("<{name}{attributes}>{inner}</{name}>")
}

/// The rows as a workbook.
fn workbook(columns: &[String], rows: &[Cells], spec: &MappingSpec) -> Vec<u8> {
    let mut table: Vec<Vec<String>> = (0..spec.input.skip_rows).map(|_| vec!["preamble".to_owned()]).collect();
    if spec.input.header {
        table.push(columns.to_vec());
    }
    table.extend(rows.iter().map(|row| columns.iter().map(|column| cell(row, column).to_owned()).collect()));
    // A sample has neither more columns than a sheet nor a name that it cannot have.
    crate::format::workbook::write(spec.input.sheet.as_deref(), &table).unwrap_or_default()
}

/// The test's own rows, and the line that each begins on; none of a test that is a whole file.
struct Own<'a> {
    rows: &'a [Cells],
    lines: &'a [u64],
}

impl Own<'_> {
    fn row(&self, line: u64) -> Option<u64> {
        match self.lines {
            [] => Some(line),
            lines => lines.iter().position(|known| *known == line).map(|at| at as u64 + 1),
        }
    }

    /// The cells of the rows on these lines.
    fn cells(&self, lines: &[u64]) -> Vec<&Cells> {
        let at = |line: &u64| self.lines.iter().position(|known| known == line);
        lines.iter().filter_map(|line| self.rows.get(at(line)?)).collect()
    }
}

fn judge(mapping: &LoadedMapping, test: &InlineTest, trial: &Trial, own: &Own<'_>) -> TestResult {
    let mut made: Vec<Json> = trial.records.iter().map(|record| record.json.clone()).collect();
    let own_row = |line: u64| own.row(line);
    let mut messages: Vec<String> = Vec::new();
    let mut rejected: Vec<ExpectedReject> = Vec::new();
    for reject in trial.rejects.iter().filter(|reject| reject.code != RejectCode::Group) {
        let code = reject.code.word().into_owned();
        rejected.push(ExpectedReject { row: own_row(reject.row), column: reject.column.clone(), code });
        messages.push(reject.message.clone());
    }
    let faults = trial.converted.fault.iter().chain(&trial.converted.further_faults);
    for fault in faults {
        let (column, code) = (fault.column.clone(), fault.code.word().into_owned());
        rejected.push(ExpectedReject { row: fault.row.and_then(own_row), column, code });
        messages.push(fault.message.clone());
    }
    let whole = mapping.spec.limits.unit == crate::mapping::spec::RejectUnit::File;
    if trial.converted.fault.is_some() || (whole && !rejected.is_empty()) {
        made.clear();
    }
    let mut judge = Judge { differences: Vec::new(), mapping, own, trial, messages };
    judge.records(test, &made, &rejected);
    judge.list("reject", &test.reject, &rejected);
    if let Some(expected) = &test.warnings {
        let warned = trial.converted.row_warnings.iter().map(|warning| ExpectedReject {
            row: own_row(warning.line),
            column: warning.column.clone(),
            code: warning.code.word().into_owned(),
        });
        judge.list("warning", expected, &warned.collect::<Vec<_>>());
    }
    if let Some(expected) = test.skipped.filter(|expected| *expected != trial.converted.rows.skipped) {
        judge.differs("skipped", "", expected.to_string(), trial.converted.rows.skipped.to_string());
    }
    judge.absent(&test.absent, &made);
    judge.shown(mapping, test, &made);
    let (name, line) = (test.name.clone(), test.line);
    TestResult { name, line, differences: judge.differences, made, rejected }
}

struct Judge<'a> {
    differences: Vec<Difference>,
    mapping: &'a LoadedMapping,
    own: &'a Own<'a>,
    trial: &'a Trial,
    /// What each reject says.
    messages: Vec<String>,
}

impl Judge<'_> {
    fn differs(&mut self, place: impl Into<String>, path: &str, expected: String, got: String) {
        let place = place.into();
        let because = self.because(&place, path);
        self.differences.push(Difference { place, path: path.to_owned(), expected, got, because });
    }

    /// Why a field of a record has its value.
    fn because(&self, place: &str, path: &str) -> Option<String> {
        let number: usize = place.strip_prefix("record ")?.parse().ok()?;
        let record = self.trial.records.get(number.checked_sub(1)?)?;
        let because = Because { mapping: self.mapping, rows: self.own.cells(&record.rows) };
        because.of(path)
    }

    /// Why there is no record: what was rejected.
    fn because_of(&mut self, rejected: &[ExpectedReject]) {
        let first = rejected.first().zip(self.messages.first());
        if let (Some((reject, message)), Some(last)) = (first, self.differences.last_mut()) {
            let row = reject.row.map_or(String::new(), |row| format!("row {row} is rejected: "));
            last.because = Some(format!("{row}{message} ({})", reject.code));
        } else if let (0, skipped @ 1..) = (rejected.len(), self.trial.converted.rows.skipped)
            && let Some(last) = self.differences.last_mut()
        {
            let rows = if skipped == 1 { "1 row meets".to_owned() } else { format!("{skipped} rows meet") };
            last.because = Some(format!("{rows} `skip_when`"));
        }
    }

    fn records(&mut self, test: &InlineTest, made: &[Json], rejected: &[ExpectedReject]) {
        if let Some(expected) = &test.expect {
            if expected.len() != made.len() {
                self.differs("records", "", expected.len().to_string(), made.len().to_string());
                if expected.len() > made.len() {
                    self.because_of(rejected);
                }
            }
            for (at, (paths, record)) in expected.iter().zip(made).enumerate() {
                self.paths(at, paths, record);
            }
        }
        if let Some(expected) = &test.expect_json {
            let got = Json::List(made.to_vec());
            let (wanted, single) = (expected, made.first().filter(|_| made.len() == 1));
            if !wanted.same(&got) && !single.is_some_and(|record| wanted.same(record)) {
                self.trees("records", "", wanted, &got);
            }
        }
    }

    fn paths(&mut self, at: usize, paths: &[(String, Json)], record: &Json) {
        for (path, wanted) in paths {
            match record.at(path) {
                Some(got) if wanted.same(got) => {}
                Some(got) => self.differs(format!("record {}", at + 1), path, wanted.to_string(), got.to_string()),
                None => self.differs(format!("record {}", at + 1), path, wanted.to_string(), "nothing".to_owned()),
            }
        }
    }

    /// Names the smallest parts that differ.
    fn trees(&mut self, place: &str, path: &str, wanted: &Json, got: &Json) {
        let inside = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        match (wanted, got) {
            (Json::Object(left), Json::Object(right)) => {
                let find = |entries: &[(String, Json)], key: &str| {
                    entries.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
                };
                for (key, wanted) in left {
                    match find(right, key) {
                        Some(got) if wanted.same(&got) => {}
                        Some(got) => self.trees(place, &inside(key), wanted, &got),
                        None => self.differs(place, &inside(key), wanted.to_string(), "nothing".to_owned()),
                    }
                }
                for (key, got) in right.iter().filter(|(key, _)| find(left, key).is_none()) {
                    self.differs(place, &inside(key), "nothing".to_owned(), got.to_string());
                }
            }
            (Json::List(left), Json::List(right)) if left.len() == right.len() => {
                for (at, (wanted, got)) in
                    left.iter().zip(right).enumerate().filter(|(_, (left, right))| !left.same(right))
                {
                    match path {
                        "" => self.trees(&format!("record {}", at + 1), "", wanted, got),
                        path => self.trees(place, &format!("{path}[{at}]"), wanted, got),
                    }
                }
            }
            (wanted, got) => self.differs(place, path, wanted.to_string(), got.to_string()),
        }
    }

    /// A key that the test leaves out is not compared.
    fn list(&mut self, what: &str, expected: &[ExpectedReject], got: &[ExpectedReject]) {
        let fits = |wanted: &ExpectedReject, found: &ExpectedReject| {
            wanted.code == found.code
                && wanted.row.is_none_or(|row| found.row == Some(row))
                && wanted.column.as_ref().is_none_or(|column| found.column.as_ref() == Some(column))
        };
        let mut left: Vec<&ExpectedReject> = got.iter().collect();
        for wanted in expected {
            match left.iter().position(|found| fits(wanted, found)) {
                Some(at) => {
                    left.remove(at);
                }
                None => self.differs(what, "", words(wanted), "nothing".to_owned()),
            }
        }
        for found in left {
            self.differs(what, "", "nothing".to_owned(), words(found));
            let at = got.iter().position(|known| std::ptr::eq(known, found)).filter(|_| what == "reject");
            if let (Some(message), Some(last)) = (at.and_then(|at| self.messages.get(at)), self.differences.last_mut())
            {
                last.because = Some(message.clone());
            }
        }
    }

    fn absent(&mut self, paths: &[String], made: &[Json]) {
        for (at, record) in made.iter().enumerate() {
            for path in paths {
                if let Some(got) = record.at(path).filter(|got| **got != Json::Null) {
                    self.differs(format!("record {}", at + 1), path, "nothing".to_owned(), got.to_string());
                }
            }
        }
    }

    fn shown(&mut self, mapping: &LoadedMapping, test: &InlineTest, made: &[Json]) {
        for (at, (paths, record)) in test.shown.iter().zip(made).enumerate() {
            let masked = masked(&mapping.spec, record);
            self.paths(at, paths, &masked);
        }
        if test.shown.len() > made.len() {
            self.differs("records", "", test.shown.len().to_string(), made.len().to_string());
        }
    }
}

/// The record as people see it.
pub fn masked(spec: &MappingSpec, record: &Json) -> Json {
    let mut record = record.clone();
    for field in &spec.fields {
        if let Some(pii) = field.pii {
            record.each_at(&field.target, &mut |value| {
                if *value != Json::Null {
                    *value = Json::Text(pii.mask(&value.text()));
                }
            });
        }
    }
    record
}

fn words(reject: &ExpectedReject) -> String {
    let row = reject.row.map(|row| format!("row {row} ")).unwrap_or_default();
    let column = reject.column.as_ref().map(|column| format!("{column} ")).unwrap_or_default();
    format!("{row}{column}{}", reject.code)
}
