//! The run as a JSON document: the machine-readable contract. Additions only.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::Serialize;
use std::borrow::Cow;

use crate::domain::control::ControlResult;
use crate::domain::file::{ByteCounts, FileState, RecordCounts, RowCounts, shown_name};
use crate::domain::measure::{MeasureLine, sum_lines};
use crate::domain::name::Sha256Hex;
use crate::domain::reconcile::balanced;
use crate::domain::run::{RunState, Trigger};
use crate::ledger::row::{FileMeasure, FileRow, RunFault, RunRow};

/// A run, as `run`, `resume` and `show` print it.
#[derive(Clone, Debug, Serialize)]
pub struct RunDocument {
    /// Its id; `null` for a dry run, and when the run could not begin.
    pub run: Option<String>,
    /// Its job.
    pub job: String,
    /// The day the data is about.
    pub business_date: Option<NaiveDate>,
    /// What caused it.
    pub trigger: &'static str,
    /// Nothing was recorded or sent.
    pub dry_run: bool,
    /// Its state.
    pub state: &'static str,
    /// Not balanced by `expected_by`.
    pub late: bool,
    /// All laws hold, and every record was accepted.
    pub balanced: bool,
    /// RFC 3339, UTC.
    pub started_at: Option<String>,
    /// RFC 3339, UTC.
    pub finished_at: Option<String>,
    /// `sha256:…` of the compiled plan.
    pub mapping_version: Option<String>,
    /// Its files.
    pub files: Vec<FileDocument>,
    /// Law 1 over all files.
    pub rows: Rows,
    /// Law 2 over all files.
    pub records: Records,
    /// What the job's measures add up, over all files.
    pub measures: Vec<MeasureDocument>,
    /// Sealed batches.
    pub batches: u64,
    /// Requests written down.
    pub attempts: u64,
    /// Why it failed.
    pub error: Option<ErrorDocument>,
}

/// A file of a run.
#[derive(Clone, Debug, Serialize)]
pub struct FileDocument {
    /// Its name, escaped.
    pub name: String,
    /// Folder and name, escaped.
    pub path: String,
    /// As it came, in bytes.
    pub size: u64,
    /// Of what was in it, when it came wrapped; law 3 is about these bytes.
    pub unwrapped_size: Option<u64>,
    /// Of the file as it came.
    pub sha256: Option<String>,
    /// Its state.
    pub state: &'static str,
    /// The reject code of the file.
    pub reason: Option<Cow<'static, str>>,
    /// Law 3.
    pub bytes: Option<Bytes>,
    /// Law 1.
    pub rows: Rows,
    /// Law 2.
    pub records: Records,
    /// Control totals.
    pub controls: Vec<Control>,
    /// Warnings of reading and mapping.
    pub warnings: Vec<String>,
}

/// Law 1.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs, reason = "the words of the law")]
pub struct Rows {
    pub read: u64,
    pub skipped: u64,
    pub rejected: u64,
    pub used: u64,
}

/// Law 2.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs, reason = "the words of the law")]
pub struct Records {
    pub made: u64,
    pub accepted: u64,
    pub refused: u64,
    pub unanswered: u64,
    pub pending: u64,
}

/// Law 3.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs, reason = "the words of the law")]
pub struct Bytes {
    pub preamble: u64,
    pub header: u64,
    pub rows: u64,
    pub blank: u64,
    pub trailer: u64,
}

/// A measure: law 2 in a unit. Amounts are exact decimals as text.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the words of the law")]
pub struct MeasureDocument {
    pub title: String,
    /// The value of `per`.
    pub per: Option<String>,
    pub sent: String,
    pub accepted: String,
    pub refused: String,
    pub unanswered: String,
    pub pending: String,
    /// accepted − sent.
    pub difference: String,
    pub tolerance: String,
    pub result: &'static str,
}

impl MeasureDocument {
    /// The document of a measure of a run with these record counts.
    pub fn of(line: &MeasureLine, records: &RecordCounts) -> Self {
        let decimals = [line.made, line.accepted, line.refused, line.unanswered, line.pending]
            .iter()
            .map(rust_decimal::Decimal::scale)
            .max()
            .unwrap_or(0);
        let text = |amount: rust_decimal::Decimal| {
            let mut amount = amount;
            amount.rescale(decimals);
            amount.to_string()
        };
        Self {
            title: line.title.clone(),
            per: Some(line.unit.clone()).filter(|unit| !unit.is_empty()),
            sent: text(line.made),
            accepted: text(line.accepted),
            refused: text(line.refused),
            unanswered: text(line.unanswered),
            pending: text(line.pending),
            difference: text(line.difference()),
            tolerance: line.tolerance.to_string(),
            result: line.result(records.made).word(),
        }
    }
}

/// `{ code, message, hint }`.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorDocument {
    /// A stable word.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl From<RowCounts> for Rows {
    fn from(rows: RowCounts) -> Self {
        Self { read: rows.read, skipped: rows.skipped, rejected: rows.rejected, used: rows.used }
    }
}

impl From<RecordCounts> for Records {
    fn from(records: RecordCounts) -> Self {
        let RecordCounts { made, accepted, refused, unanswered, pending } = records;
        Self { made, accepted, refused, unanswered, pending }
    }
}

impl From<ByteCounts> for Bytes {
    fn from(bytes: ByteCounts) -> Self {
        let ByteCounts { preamble, header, rows, blank, trailer } = bytes;
        Self { preamble, header, rows, blank, trailer }
    }
}

/// A control total of a file.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the words of the law")]
pub struct Control {
    pub id: String,
    pub expected: String,
    pub found: String,
    pub result: &'static str,
}

impl From<&ControlResult> for Control {
    fn from(control: &ControlResult) -> Self {
        let ControlResult { id, expected, found, holds, .. } = control.clone();
        Self { id, expected, found, result: if holds { "balanced" } else { "BREAK" } }
    }
}

impl From<RunFault> for ErrorDocument {
    fn from(fault: RunFault) -> Self {
        Self { code: fault.code, message: fault.message, hint: fault.hint }
    }
}

impl From<&FileRow> for FileDocument {
    fn from(file: &FileRow) -> Self {
        let name = shown_name(&file.name);
        let folder = file.folder.strip_prefix("here:").unwrap_or(&file.folder).trim_end_matches('/');
        Self {
            path: format!("{folder}/{name}"),
            name,
            size: file.size,
            unwrapped_size: file.unwrapped,
            sha256: file.sha256.as_ref().map(|hash| hash.as_str().to_owned()),
            state: file.state.word(),
            reason: file.reason.as_ref().map(|reason| reason.word()),
            bytes: file.bytes.map(Bytes::from),
            rows: file.rows.into(),
            records: file.records.into(),
            controls: file.controls.iter().map(Control::from).collect(),
            warnings: file.warnings.clone(),
        }
    }
}

impl RunDocument {
    /// The document of a run in the ledger.
    pub fn of(run: &RunRow, files: &[FileRow], measures: &[MeasureLine]) -> Self {
        let (rows, records) = totals(files);
        let ended_well = matches!(run.state, RunState::Done | RunState::DoneWithRejects);
        Self {
            run: Some(run.id.as_str().to_owned()),
            job: run.job.as_str().to_owned(),
            business_date: Some(run.business_date),
            trigger: run.trigger.word(),
            dry_run: false,
            state: run.state.word(),
            late: false,
            balanced: ended_well && balanced(&records),
            started_at: Some(instant(run.started_at)),
            finished_at: run.finished_at.map(instant),
            mapping_version: run.mapping_version.as_ref().map(version),
            files: files.iter().map(FileDocument::from).collect(),
            rows: rows.into(),
            records: records.into(),
            measures: measures.iter().map(|line| MeasureDocument::of(line, &records)).collect(),
            batches: run.batches,
            attempts: run.attempts,
            error: run.error.clone().map(ErrorDocument::from),
        }
    }

    /// The same, seen at an instant: late or not.
    pub fn at(self, run: &RunRow, now: DateTime<Utc>) -> Self {
        Self { late: run.is_late(now), ..self }
    }

    /// The document of a dry run: no id, nothing sealed or sent, `made = pending`.
    pub fn of_dry_run(run: &RunRow, files: &[FileRow], measures: &[MeasureLine]) -> Self {
        Self { run: None, dry_run: true, balanced: false, ..Self::of(run, files, measures) }
    }

    /// The document of a run that could not begin.
    pub fn not_begun(job: &str, business_date: Option<NaiveDate>, dry_run: bool, error: ErrorDocument) -> Self {
        Self {
            run: None,
            job: job.to_owned(),
            business_date,
            trigger: Trigger::Manual.word(),
            dry_run,
            state: RunState::Failed.word(),
            late: false,
            balanced: false,
            started_at: None,
            finished_at: None,
            mapping_version: None,
            files: Vec::new(),
            rows: RowCounts::default().into(),
            records: RecordCounts::default().into(),
            measures: Vec::new(),
            batches: 0,
            attempts: 0,
            error: Some(error),
        }
    }
}

/// The sums over the files of a run.
pub fn totals(files: &[FileRow]) -> (RowCounts, RecordCounts) {
    let (mut rows, mut records) = (RowCounts::default(), RecordCounts::default());
    for file in files.iter().filter(|file| file.state != FileState::PassedOver) {
        rows += file.rows;
        records += file.records;
    }
    (rows, records)
}

/// The measures of a run, over all its files.
pub fn summed(measures: Vec<FileMeasure>) -> Vec<MeasureLine> {
    sum_lines(measures.into_iter().map(|measure| measure.line))
}

/// RFC 3339 in UTC, whole seconds.
pub fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// `sha256:…`.
pub fn version(hash: &Sha256Hex) -> String {
    format!("sha256:{hash}")
}
