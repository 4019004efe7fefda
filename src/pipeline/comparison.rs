//! A comparison: one file through two mappings, record by record. Both results are on disk, so memory does not grow with the file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};

use chrono::NaiveDate;

use super::convert::{ConvertInput, Converted, Facts, RecordSink, Sinks, convert_to};
use super::inline_tests::masked;
use super::trial::records_of;
use crate::domain::control::{ControlResult, Previous};
use crate::domain::source::EmptyFile;
use crate::format::json_value::Json;
use crate::mapping::chunk::Mapped;
use crate::mapping::spec::MappingSpec;

/// What is compared.
pub struct ComparisonInput<'a> {
    /// The file, twice.
    pub files: [File; 2],
    /// The old rules and the new ones.
    pub specs: [&'a MappingSpec; 2],
    /// Name of the file.
    pub name: &'a str,
    /// The day it is.
    pub business_date: NaiveDate,
    /// Most lines that are named for each change.
    pub examples: usize,
}

/// A field that changes in the same way in so many records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its path; lines of a list without their number.
    pub path: String,
    /// Number of records.
    pub count: u64,
    /// Before; masked.
    pub from: String,
    /// After; masked.
    pub to: String,
    /// Lines of the first.
    pub rows: Vec<u64>,
    /// What the first are called: the value of a field that is unique; empty without such a field.
    pub keys: Vec<String>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Rows of the file.
    pub rows: u64,
    /// Records before and after.
    pub records: [u64; 2],
    /// Records that are the same.
    pub identical: u64,
    /// Records that differ.
    pub changed: u64,
    /// Records that were made before and are not any more.
    pub newly_rejected: u64,
    /// Records that were not made before.
    pub no_longer_rejected: u64,
    /// What differs, most frequent first.
    pub changes: Vec<Change>,
    /// The controls before and after.
    pub controls: [Vec<ControlResult>; 2],
    /// First lines that are newly rejected, and why.
    pub rejected_lines: Vec<(u64, String)>,
    /// First lines that are no longer rejected, and why they were.
    pub accepted_lines: Vec<(u64, String)>,
}

impl Comparison {
    /// True when nothing changes.
    pub fn is_same(&self) -> bool {
        self.changed + self.newly_rejected + self.no_longer_rejected == 0
    }
}

/// Most different changes that are told apart.
const MOST_CHANGES: usize = 1000;

/// Maps the file twice and compares.
///
/// # Errors
/// Those of reading and of scratch files; a file that fails with one of the mappings.
pub fn run(input: ComparisonInput<'_>) -> io::Result<Comparison> {
    let ComparisonInput { files: [old_file, new_file], specs: [old, new], name, business_date, examples } = input;
    let mut before = Side::new(old_file, old, name, business_date, examples)?;
    let mut after = Side::new(new_file, new, name, business_date, examples)?;
    let mut compared = Comparison {
        rows: after.converted.rows.read,
        records: [before.converted.made, after.converted.made],
        controls: [before.converted.controls.clone(), after.converted.controls.clone()],
        ..Comparison::default()
    };
    let mut changes = BTreeMap::new();
    let (mut left, mut right) = (before.next()?, after.next()?);
    loop {
        match (&left, &right) {
            (None, None) => break,
            (Some((old_row, _)), Some((new_row, _))) if old_row == new_row => {
                if let (Some((row, old_json)), Some((_, new_json))) = (left.take(), right.take()) {
                    compare(row, [&old_json, &new_json], [old, new], examples, &mut compared, &mut changes);
                }
                (left, right) = (before.next()?, after.next()?);
            }
            (Some((old_row, _)), new_side) if new_side.as_ref().is_none_or(|(new_row, _)| old_row < new_row) => {
                compared.newly_rejected += 1;
                if compared.rejected_lines.len() < examples {
                    compared.rejected_lines.push((*old_row, after.why(*old_row)));
                }
                left = before.next()?;
            }
            (_, Some((new_row, _))) => {
                compared.no_longer_rejected += 1;
                if compared.accepted_lines.len() < examples {
                    compared.accepted_lines.push((*new_row, before.why(*new_row)));
                }
                right = after.next()?;
            }
            (Some(_), None) => left = before.next()?,
        }
    }
    compared.changes = changes.into_values().collect();
    compared.changes.sort_by(|left: &Change, right| right.count.cmp(&left.count).then(left.path.cmp(&right.path)));
    Ok(compared)
}

fn compare(
    row: u64,
    texts: [&str; 2],
    specs: [&MappingSpec; 2],
    examples: usize,
    compared: &mut Comparison,
    changes: &mut BTreeMap<(String, String, String), Change>,
) {
    if texts[0] == texts[1] {
        compared.identical += 1;
        return;
    }
    let [Some(old), Some(new)] = texts.map(|text| Json::parse(text.as_bytes())) else { return };
    let (mut paths, hidden) = (Vec::new(), [masked(specs[0], &old), masked(specs[1], &new)]);
    differences("", &old, &new, [&hidden[0], &hidden[1]], &mut paths);
    if paths.is_empty() {
        compared.identical += 1;
        return;
    }
    compared.changed += 1;
    let key = name_of(specs[1], &new);
    for (path, from, to) in paths {
        if changes.len() >= MOST_CHANGES && !changes.contains_key(&(path.clone(), from.clone(), to.clone())) {
            continue;
        }
        let id = (path.clone(), from.clone(), to.clone());
        let change = changes.entry(id).or_insert_with(|| {
            let (rows, keys) = Default::default();
            Change { path, count: 0, from, to, rows, keys }
        });
        change.count += 1;
        if change.rows.len() < examples {
            change.rows.push(row);
            change.keys.extend(key.clone());
        }
    }
}

/// What people call the record: the value of the field that is unique, unless that is personal data.
fn name_of(spec: &MappingSpec, record: &Json) -> Option<String> {
    let field = spec.fields.iter().find(|field| field.unique && field.pii.is_none() && field.list().is_none())?;
    record.at(&field.name()).map(Json::text)
}

/// The smallest parts that differ, with what people see of them.
fn differences(path: &str, old: &Json, new: &Json, shown: [&Json; 2], found: &mut Vec<(String, String, String)>) {
    if old.same(new) {
        return;
    }
    match (old, new) {
        (Json::Object(left), Json::Object(right)) => {
            let mut keys: Vec<&String> = left.iter().map(|(key, _)| key).collect();
            keys.extend(right.iter().map(|(key, _)| key).filter(|key| !left.iter().any(|(known, _)| known == *key)));
            for key in keys {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let of = |json: &Json| match json {
                    Json::Object(entries) => {
                        entries.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
                    }
                    _ => None,
                };
                let [old, new] = [of(old), of(new)].map(|value| value.unwrap_or(Json::Null));
                let [left, right] = shown.map(|json| of(json).unwrap_or(Json::Null));
                differences(&inner, &old, &new, [&left, &right], found);
            }
        }
        (Json::List(left), Json::List(right)) if left.len() == right.len() => {
            let of = |json: &Json, at: usize| match json {
                Json::List(items) => items.get(at).cloned().unwrap_or(Json::Null),
                _ => Json::Null,
            };
            for (at, (old, new)) in left.iter().zip(right).enumerate() {
                differences(&format!("{path}[]"), old, new, [&of(shown[0], at), &of(shown[1], at)], found);
            }
        }
        _ => {
            let words = |json: &Json| if *json == Json::Null { "nothing".to_owned() } else { json.to_string() };
            found.push((path.to_owned(), words(shown[0]), words(shown[1])));
        }
    }
}

/// The records of one mapping, on disk.
struct Side {
    converted: Converted,
    lines: BufReader<File>,
    causes: BTreeMap<u64, String>,
}

/// Most rejects whose cause is kept.
const MOST_CAUSES: usize = 10_000;

impl Side {
    fn new(file: File, spec: &MappingSpec, name: &str, date: NaiveDate, examples: usize) -> io::Result<Self> {
        let facts = Facts { file_name: name.to_owned(), run: String::new(), business_date: date };
        let size = file.metadata()?.len();
        let mut sink = Lines { out: BufWriter::with_capacity(1 << 18, tempfile::tempfile()?), count: 0 };
        let mut causes = BTreeMap::new();
        let converted = convert_to(
            ConvertInput {
                file,
                size,
                spec,
                facts: &facts,
                empty_file: Some(EmptyFile::Ok),
                threads: 2,
                scratch: None,
                previous: &Previous::default(),
                progress: &|_| {},
            },
            Sinks {
                records: &mut sink,
                index: &mut io::sink(),
                reject: &mut |reject| {
                    if causes.len() < MOST_CAUSES.max(examples.min(100_000)) {
                        causes.entry(reject.row).or_insert_with(|| reject.code.word().into_owned());
                    }
                    Ok(())
                },
                states: None,
            },
        )?;
        if let Some(fault) = &converted.fault {
            return Err(io::Error::other(format!("the file fails: {} ({})", fault.message, fault.code)));
        }
        let mut file = sink.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(Self { converted, lines: BufReader::with_capacity(1 << 18, file), causes })
    }

    /// The next record: the line of its first row, and its JSON.
    fn next(&mut self) -> io::Result<Option<(u64, String)>> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let (row, json) = line.trim_end_matches('\n').split_once('\t').unwrap_or_default();
        Ok(Some((row.parse().unwrap_or(0), json.to_owned())))
    }

    fn why(&self, row: u64) -> String {
        self.causes.get(&row).cloned().unwrap_or_else(|| "skipped".to_owned())
    }
}

struct Lines {
    out: BufWriter<File>,
    count: u64,
}

impl RecordSink for Lines {
    fn separator(&self) -> Option<u8> {
        None
    }

    fn add(&mut self, mapped: &Mapped) -> io::Result<()> {
        for (rows, record) in records_of(mapped) {
            self.count += 1;
            write!(self.out, "{}\t", rows.first().copied().unwrap_or(0))?;
            self.out.write_all(record)?;
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<u64> {
        self.out.flush()?;
        Ok(self.count)
    }
}
