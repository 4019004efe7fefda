//! Convert: a landed file → records, rejects and counts. Nothing is sent here, and a repeat gives the same bytes.
//!
//! `begin` opens the file: it decodes text, unpacks other formats onto a tape, and compiles the plan. `flow` lets a splitter cut
//! the rows into chunks, workers map them, and the caller's thread put the results together in the order of the file. Records
//! that only the end of the file can judge wait on a `stage` until `verdict` knows which of them stay.

mod begin;
mod flow;
pub mod reject_file;
mod sorter;
mod stage;
mod verdict;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use self::begin::Begun;
use self::flow::{Assembly, flow};
use crate::domain::control::{ControlResult, Previous};
use crate::domain::file::{ByteCounts, RowCounts};
use crate::domain::job::BatchRule;
use crate::domain::reject::{FileFault, Reject, RejectCode};
use crate::domain::source::EmptyFile;
use crate::format::layout::{FoundLine, LayoutSpec, Occurs};
use crate::format::write::RecordWriter;
pub use crate::mapping::Facts;
use crate::mapping::batch::Batcher;
pub use crate::mapping::batch::SpooledBatch;
use crate::mapping::chunk::{Mapped, RowWarning};
use crate::mapping::gauge::Slot;
use crate::mapping::output;
use crate::mapping::spec::{ColumnPlace, ControlRule, Declared, Format, MappingSpec};
use crate::mapping::tally::{DeclaredCell, results};

/// Usual size of a chunk in bytes: it and what is made of it stay in the caches.
const CHUNK: usize = 256 << 10;

/// What is converted, and how.
pub struct ConvertInput<'a> {
    /// The landed file, open for reading.
    pub file: File,
    /// Its size in bytes.
    pub size: u64,
    /// The rules.
    pub spec: &'a MappingSpec,
    /// What `auto` recipes know.
    pub facts: &'a Facts,
    /// What a file without rows means.
    pub empty_file: Option<EmptyFile>,
    /// Number of mapping threads; the result does not depend on it.
    pub threads: usize,
    /// Folder for files without a name; `None`: the system's.
    pub scratch: Option<&'a Path>,
    /// What controls need to know of the file before.
    pub previous: &'a Previous,
    /// Called with the number of bytes done.
    pub progress: &'a (dyn Fn(u64) + Sync),
}

/// What came of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Converted {
    /// What became of the rows (law 1).
    pub rows: RowCounts,
    /// Where the bytes went (law 3); `None` when the file was not read to its end, and for workbooks.
    pub bytes: Option<ByteCounts>,
    /// Number of records.
    pub made: u64,
    /// Rejected records: groups of rows, or single rows.
    pub rejected_records: u64,
    /// The bodies in the spool, in order.
    pub batches: Vec<SpooledBatch>,
    /// A fault of the whole file: nothing of it may be sent, and what is in the spool and the index is waste.
    pub fault: Option<FileFault>,
    /// More faults of the whole file.
    pub further_faults: Vec<FileFault>,
    /// The controls of a file that was read to its end.
    pub controls: Vec<ControlResult>,
    /// What `[changes]` found.
    pub changes: Option<ChangeCounts>,
    /// The sums that the job's measures ask for.
    pub measures: Vec<Slot>,
    /// What people should know though the file is good.
    pub warnings: Vec<String>,
    /// The first rows that a warning is about.
    pub row_warnings: Vec<RowWarning>,
}

/// What `[changes]` found in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeCounts {
    /// Keys whose state was known before.
    pub known: u64,
    /// Records with a new key.
    pub new: u64,
    /// Records that differ from the last accepted state.
    pub changed: u64,
    /// Records that do not.
    pub unchanged: u64,
    /// Known keys that are not in the file.
    pub disappeared: u64,
}

/// The last accepted states of a job's records.
pub trait KnownStates {
    /// Number of keys.
    fn known(&mut self) -> io::Result<u64>;

    /// The state of a key.
    fn state(&mut self, key: &str) -> io::Result<Option<[u8; 32]>>;

    /// Notes the state of a key in this file; `record` is its number among the records that are sent.
    fn is_now(&mut self, record: Option<u64>, key: &str, state: &[u8; 32]) -> io::Result<()>;
}

/// Where records go, in the order of the file.
pub trait RecordSink {
    /// What stands behind each record in `Mapped::out`.
    fn separator(&self) -> Option<u8>;

    /// What the records will be written with; it says which of them cannot be.
    fn writer(&self, spec: &MappingSpec) -> Option<Box<dyn RecordWriter>> {
        output::writer(spec)
    }

    /// Takes records.
    ///
    /// # Errors
    /// Those of writing.
    fn add(&mut self, mapped: &Mapped) -> io::Result<()>;

    /// Hears of rows that are skipped by a rule, by line.
    fn skipped(&mut self, _lines: &[u64]) {}

    /// Ends; the number of records.
    ///
    /// # Errors
    /// Those of writing.
    fn finish(&mut self) -> io::Result<u64>;
}

impl RecordSink for Batcher<'_> {
    fn writer(&self, spec: &MappingSpec) -> Option<Box<dyn RecordWriter>> {
        Self::writer(self, spec)
    }

    fn separator(&self) -> Option<u8> {
        Self::separator(self)
    }

    fn add(&mut self, mapped: &Mapped) -> io::Result<()> {
        Self::add(self, mapped)
    }

    fn finish(&mut self) -> io::Result<u64> {
        Self::finish(self)
    }
}

/// Where the results go.
pub struct Sinks<'a> {
    /// Records.
    pub records: &'a mut dyn RecordSink,
    /// An `IndexEntry` for each record.
    pub index: &'a mut dyn Write,
    /// Rejects, in the order of the file.
    pub reject: &'a mut dyn FnMut(Reject) -> io::Result<()>,
    /// The last accepted states; `None`: every record is new.
    pub states: Option<&'a mut dyn KnownStates>,
}

/// Where the rows of a record are in the file. Entry `n` of the index file belongs to record `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Physical line the first row starts on.
    pub row: u64,
    /// Offset of its start in the file.
    pub byte: u64,
    /// Length of the rows in bytes without the last line end.
    pub length: u64,
}

impl IndexEntry {
    /// Size of an entry in bytes: three little-endian `u64`.
    pub const SIZE: usize = 24;

    /// Reads the entry of a record (from 0).
    ///
    /// # Errors
    /// Those of the file; `UnexpectedEof` when there is no such record.
    pub fn read_at(file: &File, record: u64) -> io::Result<Self> {
        use std::os::unix::fs::FileExt as _;
        let mut words = [[0_u8; 8]; 3];
        file.read_exact_at(words.as_flattened_mut(), record * Self::SIZE as u64)?;
        Ok(Self::parse(words.as_flattened()))
    }

    /// As it stands in the index file.
    pub fn bytes(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        for (place, number) in bytes.chunks_exact_mut(8).zip([self.row, self.byte, self.length]) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// The entry at the beginning of these bytes.
    pub fn parse(bytes: &[u8]) -> Self {
        let number = |at: usize| {
            let word = bytes.get(at * 8..at * 8 + 8).and_then(|word| word.try_into().ok());
            word.map_or(0, u64::from_le_bytes)
        };
        Self { row: number(0), byte: number(1), length: number(2) }
    }
}

/// Converts a file: bodies into `spool`, an `IndexEntry` for each record into `index`, rejects in the order of the file into
/// `reject`. All batches are held in memory (about 150 bytes each); `convert_each` hands them out one by one.
///
/// # Errors
/// Those of reading, of writing and of `reject`. A bad file is no error but a `fault`.
pub fn convert(
    input: ConvertInput<'_>,
    batch: &BatchRule,
    spool: &mut dyn Write,
    index: &mut dyn Write,
    reject: &mut dyn FnMut(Reject) -> io::Result<()>,
) -> io::Result<Converted> {
    let mut batches = Vec::new();
    let mut keep = |batch: SpooledBatch| {
        batches.push(batch);
        Ok(())
    };
    let mut batcher = Batcher::new(batch, input.spec.output.format, spool, &mut keep);
    let mut converted = convert_to(input, Sinks { records: &mut batcher, index, reject, states: None })?;
    drop(batcher);
    if converted.fault.is_none() {
        converted.batches = batches;
    }
    Ok(converted)
}

/// Converts a file into sinks. When the result has a fault, what went there is waste, except for the rejects.
///
/// # Errors
/// As for `convert`.
pub fn convert_to(input: ConvertInput<'_>, sinks: Sinks<'_>) -> io::Result<Converted> {
    convert_chunks(input, chunk_size(), sinks)
}

/// Tests make chunks small with `NIGHTFERRY_TEST_CHUNK`, so that every boundary is crossed.
fn chunk_size() -> usize {
    let small = std::env::var("NIGHTFERRY_TEST_CHUNK").ok().and_then(|size| size.parse().ok());
    small.unwrap_or(CHUNK).clamp(1, CHUNK)
}

impl Converted {
    fn failed(rows: RowCounts, fault: FileFault, warnings: Vec<String>) -> Self {
        let rows = RowCounts { rejected: rows.read - rows.skipped, used: 0, ..rows };
        Self { rows, fault: Some(fault), warnings, ..Self::default() }
    }
}

/// `convert_to` with chunks of about `chunk` bytes.
fn convert_chunks(input: ConvertInput<'_>, chunk: usize, sinks: Sinks<'_>) -> io::Result<Converted> {
    let (spec, size) = (input.spec, input.size);
    let begun = match begin::begin(&input, chunk)? {
        Ok(begun) => begun,
        Err(fault) => return Ok(Converted::failed(RowCounts::default(), fault, Vec::new())),
    };
    let Begun { splitter, plan, text_of, bytes, nothing, warnings: begin_warnings, lines } = begun;
    let mut warnings = begin_warnings;
    let mut assembly = Assembly::new(sinks, spec, bytes, lines, &input)?;
    if let Some(plan) = &plan {
        let warned = flow(splitter, plan, text_of, &mut assembly, &input)?;
        warnings.extend(warned.texts(plan));
        assembly.row_warnings = warned.rows(plan);
        assembly.judge(plan)?;
    }
    let (mut rows, fault) = (assembly.rows, assembly.fault.take());
    if let Some(fault) = fault.or_else(|| missing_line(&spec.layouts, spec, &assembly)) {
        return Ok(Converted::failed(rows, fault, warnings));
    }
    let counted = (spec.input.format != Format::Xlsx).then_some(assembly.bytes);
    if let Some(counted) = counted.filter(|bytes| bytes.total() != size) {
        let message = format!("the file has {} bytes, and {size} were expected", counted.total());
        let fault =
            FileFault { code: RejectCode::SizeMismatch, row: None, byte: counted.total(), column: None, message };
        return Ok(Converted::failed(rows, fault, warnings));
    }
    if rows.read == 0 {
        match without_rows(nothing, input.empty_file) {
            Ok(warning) => warnings.extend(warning),
            Err(fault) => return Ok(Converted::failed(rows, fault, warnings)),
        }
    }
    let made = assembly.finish()?;
    rows = assembly.rows;
    let controls = controls(spec, &assembly, input.previous);
    let failed = spec.controls.iter().zip(&controls).filter(|(_, control)| !control.holds);
    let mut faults = failed.map(|(rule, control)| {
        let line =
            declared_by(&rule.rule).and_then(|name| assembly.lines.iter().find(|line| line.layout == name.layout));
        control_fault(control, line)
    });
    let (fault, further_faults) = (faults.next(), faults.collect());
    let mut converted = Converted {
        rows,
        bytes: counted,
        made,
        rejected_records: assembly.rejected_records,
        batches: Vec::new(),
        fault,
        further_faults,
        controls,
        changes: assembly.changes,
        measures: Vec::new(),
        warnings,
        row_warnings: assembly.row_warnings,
    };
    if converted.fault.is_some() {
        let RowCounts { read, skipped, .. } = rows;
        converted.rows = RowCounts { read, skipped, rejected: read - skipped, used: 0 };
        converted.made = 0;
    }
    Ok(converted)
}

/// What a file without rows means: a warning, nothing, or a fault.
fn without_rows(nothing: Option<&'static str>, rule: Option<EmptyFile>) -> Result<Option<String>, FileFault> {
    let message = nothing.unwrap_or("the file has a header and no rows").to_owned();
    match (rule, nothing) {
        (Some(EmptyFile::Ok), _) => Ok(None),
        (Some(EmptyFile::Warn), _) | (None, None) => Ok(Some(message)),
        (Some(EmptyFile::Fail), _) | (None, Some(_)) => {
            Err(FileFault { code: RejectCode::EmptyFile, row: None, byte: 0, column: None, message })
        }
    }
}

/// A trailer that is missing is a file that was cut short; one in the middle is no trailer.
fn missing_line(layouts: &[LayoutSpec], spec: &MappingSpec, assembly: &Assembly<'_>) -> Option<FileFault> {
    if spec.input.format != Format::Csv {
        return None;
    }
    let fault = |line: Option<&FoundLine>, message: String| {
        let (row, byte) = (line.map(|line| line.line), line.map_or(0, |line| line.byte));
        Some(FileFault { code: RejectCode::BadLayout, row, byte, column: None, message })
    };
    for layout in layouts.iter().filter(|layout| layout.occurs == Occurs::Last) {
        let mut found = assembly.lines.iter().filter(|line| line.layout == layout.name);
        let Some(line) = found.next() else {
            return fault(None, format!("the file has no line of `{}`: it may have been cut short", layout.name));
        };
        if let Some(second) = found.next() {
            return fault(Some(second), format!("a second line of `{}`", layout.name));
        }
        if assembly.last_row > line.line {
            let message = format!("rows stand behind the line of `{}` on line {}", layout.name, line.line);
            return fault(Some(line), message);
        }
    }
    None
}

fn controls(spec: &MappingSpec, assembly: &Assembly<'_>, previous: &Previous) -> Vec<ControlResult> {
    let declared = |wanted: &Declared| {
        let line = assembly.lines.iter().find(|line| line.layout == wanted.layout)?;
        let text = line.cells.iter().find(|(name, _)| *name == wanted.column).map(|(_, cell)| cell.clone())?;
        let layout = spec.layouts.iter().find(|layout| layout.name == wanted.layout)?;
        let width =
            layout.columns.iter().find(|column| column.name == wanted.column).and_then(|column| match column.place {
                ColumnPlace::Characters(from, to) => Some(to - from + 1),
                ColumnPlace::Cell(_) => None,
            });
        Some(DeclaredCell { text, width })
    };
    results(&spec.controls, &assembly.tallies, &spec.input, &declared, previous)
}

/// Where a control finds what is declared.
fn declared_by(rule: &ControlRule) -> Option<&Declared> {
    match rule {
        ControlRule::Count { declared, .. }
        | ControlRule::Sum { declared, .. }
        | ControlRule::Hash { declared, .. } => Some(declared),
        ControlRule::Sequence(declared) => Some(declared),
        ControlRule::CountBetween(..) | ControlRule::NotLessThanYesterday(_) => None,
    }
}

fn control_fault(control: &ControlResult, line: Option<&FoundLine>) -> FileFault {
    let title = if control.title.is_empty() { &control.id } else { &control.title };
    FileFault {
        code: RejectCode::Control(control.id.as_str().into()),
        row: line.map(|line| line.line),
        byte: line.map_or(0, |line| line.byte),
        column: None,
        message: format!("{title}: expected {}, found {}", control.expected, control.found),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends with the first surprise")]
mod tests;
