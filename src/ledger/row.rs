//! What the ledger takes and gives: plain rows, already typed.

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;

use crate::domain::breaks::{BreakState, BreakType};
use crate::domain::control::ControlResult;
use crate::domain::delivery::{BatchOrigin, BatchState, Fate, IdempotencyKey, SealedBatch};
use crate::domain::file::{ByteCounts, FileState, RecordCounts, RowCounts};
use crate::domain::measure::MeasureLine;
use crate::domain::name::{JobName, LeaseId, RunId, Sha256Hex};
use crate::domain::reject::{FileFault, RejectCode};
use crate::domain::run::{RunState, Trigger};

/// The right to change a run: its next commit affects nothing once another process holds the run.
#[derive(Clone, Debug)]
pub struct RunLease {
    /// The run.
    pub run: RunId,
    /// Random, new for every holder.
    pub lease: LeaseId,
}

/// What opening a run came to.
#[derive(Clone, Debug)]
pub enum Opened {
    /// A new run.
    New(RunLease),
    /// An unfinished run of the same job and date goes on.
    Resumed(RunLease),
    /// Another living process holds it.
    Busy(RunId),
}

/// `error` of a run: code, message and hint as in the JSON contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFault {
    /// A stable word: `unreachable`, `unauthorised`, `internal-imbalance`, a reject code …
    pub code: String,
    /// What happened: job, file, host.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// A run as it stands.
#[derive(Clone, Debug)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// Its job.
    pub job: JobName,
    /// The day the data is about.
    pub business_date: NaiveDate,
    /// `run 2` of the same job and date.
    pub number: u32,
    /// What caused it.
    pub trigger: Trigger,
    /// Its state.
    pub state: RunState,
    /// SHA-256 of the compiled plan it uses; `None` before its first file was landed.
    pub mapping_version: Option<Sha256Hex>,
    /// Mapping and lookups as they were (JSON), for a restart before sealing.
    pub pinned: Option<String>,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why it failed.
    pub error: Option<RunFault>,
    /// Batches sealed over all files.
    pub batches: u64,
    /// Attempts over all files.
    pub attempts: u64,
    /// When it should be balanced at the latest.
    pub expected_by: Option<DateTime<Utc>>,
    /// The scheduled instant, of a run that has one.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// True while another living process holds it.
    pub held_by_living_process: bool,
}

impl RunRow {
    /// Not balanced by its deadline, whatever the reason.
    pub fn is_late(&self, now: DateTime<Utc>) -> bool {
        let balanced = matches!(self.state, RunState::Done | RunState::DoneWithRejects | RunState::Skipped);
        let until = if balanced { self.finished_at.unwrap_or(now) } else { now };
        self.expected_by.is_some_and(|deadline| until > deadline)
    }
}

/// Id of a file row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub i64);

/// Id of a batch row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(pub i64);

/// A file as it stands.
#[derive(Clone, Debug)]
pub struct FileRow {
    /// Its id.
    pub id: FileId,
    /// Its run.
    pub run: RunId,
    /// Its job, as in the run.
    pub job: JobName,
    /// Position in the run, from 0; names its files in the data folder.
    pub ordinal: u32,
    /// Remote folder.
    pub folder: String,
    /// Remote name, byte-exact.
    pub name: Vec<u8>,
    /// Size in bytes as it came: announced until landed, then counted.
    pub size: u64,
    /// Size of what was in it, in bytes; `None` until mapped, and when it did not come wrapped.
    pub unwrapped: Option<u64>,
    /// Remote modification time in Unix seconds.
    pub mtime: Option<i64>,
    /// Of the file as it came; `None` until landed.
    pub sha256: Option<Sha256Hex>,
    /// 0, and one more for every deliberate second delivery of the same content.
    pub pass: u32,
    /// Its state.
    pub state: FileState,
    /// Why it failed or was passed over.
    pub reason: Option<RejectCode>,
    /// Law 3; `None` until mapped, and for a file that failed before its end.
    pub bytes: Option<ByteCounts>,
    /// Law 1.
    pub rows: RowCounts,
    /// Law 2.
    pub records: RecordCounts,
    /// What `afterwards` asks for was done on the remote side.
    pub disposed: bool,
    /// Warnings of reading and mapping.
    pub warnings: Vec<String>,
    /// Its control totals.
    pub controls: Vec<ControlResult>,
    /// A person has let it go on although it was held.
    pub released: bool,
}

/// An earlier file with the same content within the job.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// Its run.
    pub run: RunId,
    /// Its name.
    pub name: Vec<u8>,
    /// Its pass; the highest one for this content.
    pub pass: u32,
    /// Its state.
    pub state: FileState,
}

/// The counts of a file read to its end (or to its fault).
#[derive(Clone, Debug)]
pub struct Mapped {
    /// Law 1. When the file failed: `used = 0`, the rest rejected.
    pub rows: RowCounts,
    /// Law 3.
    pub bytes: Option<ByteCounts>,
    /// Size of what was in it, in bytes, when it came wrapped.
    pub unwrapped: Option<u64>,
    /// Records made; 0 when the file failed.
    pub made: u64,
    /// Warnings.
    pub warnings: Vec<String>,
    /// Control totals.
    pub controls: Vec<ControlResult>,
    /// What the job's measures add up.
    pub measures: Vec<NewMeasure>,
    /// More faults of the file, beside the one it failed with.
    pub further_faults: Vec<FileFault>,
}

/// A measure of a file that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMeasure {
    /// Its number in the file: one for each measure and unit.
    pub slot: u32,
    /// Position of the measure in the job.
    pub measure: u32,
    /// `title`.
    pub title: String,
    /// The value of `per`; empty without one.
    pub unit: String,
    /// It counts records, so `made` is 0 here and the file's counts are its own.
    pub counts: bool,
    /// Decimals of `made`.
    pub scale: u32,
    /// `tolerance`.
    pub tolerance: Decimal,
    /// The sum, in units of its last decimal.
    pub made: i64,
}

/// A measure of a file as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMeasure {
    /// The file.
    pub file: FileId,
    /// Its number in the file.
    pub slot: u32,
    /// It counts records.
    pub counts: bool,
    /// Decimals of its amounts.
    pub scale: u32,
    /// What became of it.
    pub line: MeasureLine,
}

/// How the amount of an answered batch divides, in units of the slot's last decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    /// The slot.
    pub slot: u32,
    /// Of accepted records.
    pub accepted: i64,
    /// Of refused ones.
    pub refused: i64,
    /// Of those that the answer did not mention.
    pub unanswered: i64,
}

/// A break as it stands.
#[derive(Clone, Debug)]
pub struct BreakRow {
    /// Its number.
    pub id: i64,
    /// Its run.
    pub run: RunId,
    /// Its file; `None` where a file is missing.
    pub file: Option<FileId>,
    /// Name of the file.
    pub file_name: Option<Vec<u8>>,
    /// Its job.
    pub job: JobName,
    /// The day the data is about.
    pub business_date: NaiveDate,
    /// What kind of difference.
    pub kind: BreakType,
    /// Id of the control; empty otherwise.
    pub subject: String,
    /// One side.
    pub expected: String,
    /// The other side.
    pub found: String,
    /// Records that it is about.
    pub records: u64,
    /// Title, unit and exact amount of each measure that it is about.
    pub amounts: Vec<(String, String, String)>,
    /// When it was found.
    pub opened_at: DateTime<Utc>,
    /// Where it is in its life.
    pub state: BreakState,
    /// Why it is there, as a code.
    pub reason: Option<String>,
    /// Why it is there, in words.
    pub note: Option<String>,
    /// Who said so.
    pub explained_by: Option<String>,
    /// When.
    pub explained_at: Option<DateTime<Utc>>,
    /// What made its cause go.
    pub resolved_by: Option<String>,
    /// When.
    pub resolved_at: Option<DateTime<Utc>>,
}

/// When the first request left, and when the last one ended.
pub type SendingSpan = (DateTime<Utc>, Option<DateTime<Utc>>);

/// A sign-off of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignOffRow {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub who: String,
    /// `signed`, `prepared` or `reviewed`.
    pub role: String,
    /// In their words.
    pub note: String,
    /// When a change of the books made it void.
    pub reopened_at: Option<DateTime<Utc>>,
}

/// A batch as it stands.
#[derive(Clone, Debug)]
pub struct BatchRow {
    /// Its id.
    pub id: BatchId,
    /// Key, body and range.
    pub sealed: SealedBatch,
    /// What it was made for.
    pub origin: BatchOrigin,
    /// Its state.
    pub state: BatchState,
    /// Attempts made so far, for life.
    pub attempts: u32,
    /// Start of its first attempt.
    pub first_attempt_at: Option<DateTime<Utc>>,
    /// Not to be sent before.
    pub not_before: Option<DateTime<Utc>>,
}

/// A finished attempt, to be written down.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its batch.
    pub batch: BatchId,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// Words for the attempt row: why it failed, or an excerpt of the answer, at most 4 KiB, no secret.
    pub note: String,
    /// What follows for the batch.
    pub verdict: Verdict,
    /// How its amounts divide, where its records have several fates and the job measures them.
    pub portions: Vec<Portion>,
}

/// What an attempt means for its batch.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Each record has its answer, in batch order.
    Answered(Answers),
    /// Not taken for certain; its records stay what they are (pending, or unanswered from before). Due again at the instant, if any.
    NotTaken(Option<DateTime<Utc>>),
    /// Outcome unknown: its records are unanswered. Due again at the instant, if any.
    Unknown(Option<DateTime<Utc>>),
    /// Not taken as a whole: the records that the target named are refused, and smaller batches carry the others.
    Split(Vec<RefusedRecord>, Vec<Part>),
}

impl Verdict {
    /// The batches that carry the records on.
    pub fn parts(&self) -> &[Part] {
        match self {
            Self::Split(_, parts) => parts,
            _ => &[],
        }
    }
}

/// A batch of some records of another one, before it has an ordinal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Positions of its records in the parent, ascending.
    pub positions: Vec<u64>,
    /// Its body in the second spool of the file, and the places of its records in the second index.
    pub body: SecondBody,
    /// Its key.
    pub key: IdempotencyKey,
}

/// What taking up an ended run came to.
#[derive(Clone, Debug)]
pub enum Reopened {
    /// It is ours.
    Lease(RunLease),
    /// Another living process works on this run of the job.
    Busy(RunId),
    /// It has not come to its end: it is resumed, released or waited for.
    NotEnded(RunState),
    /// There is no such run.
    Missing,
}

/// Why records may go again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// The target refused them.
    Refused,
    /// The answer for their batch left them out.
    Unanswered,
    /// There is no answer for their whole batch: it goes as it is, under its own key.
    WholeBatch,
}

/// Records of one batch that may go again.
#[derive(Clone, Debug)]
pub struct Again {
    /// Their file.
    pub file: FileId,
    /// The batch that has them now.
    pub batch: BatchId,
    /// Why.
    pub kind: Carried,
    /// Their positions in it, ascending.
    pub positions: Vec<u64>,
}

/// An open reject that nothing carries.
#[derive(Clone, Debug)]
pub struct OpenReject {
    /// Its file.
    pub file: FileId,
    /// Its line.
    pub row: Option<u64>,
    /// Offset of its row.
    pub byte: u64,
    /// Its code.
    pub code: String,
    /// Batch and position where the target refused it; `None` also for refusals of ledgers before batches were noted.
    pub refused: Option<(BatchId, u64)>,
    /// The target refused the record; otherwise our mapping rejected the row.
    pub of_target: bool,
    /// Length of its raw rows.
    pub length: u64,
    /// Its whole file failed, and nothing of it was sent.
    pub file_failed: bool,
}

/// A batch of rows that pass the mapping now.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// Continues the ordinals of the file.
    pub ordinal: u64,
    /// Its body.
    pub body: SecondBody,
    /// Its key.
    pub key: IdempotencyKey,
    /// Its records, in their order.
    pub records: Vec<ReplayedRecord>,
}

/// A record of a replay.
#[derive(Clone, Debug)]
pub struct ReplayedRecord {
    /// Line and offset of each of its rows.
    pub rows: Vec<(u64, u64)>,
    /// The refused record that it replaces; `None`: its rows had been rejected.
    pub refused: Option<RefusedBefore>,
}

/// A refused record that is mapped anew.
#[derive(Clone, Debug)]
pub struct RefusedBefore {
    /// Where it was refused.
    pub batch: BatchId,
    /// Its position there.
    pub position: u64,
    /// What it added to the measures of the file.
    pub amounts: Vec<(u32, i64)>,
}

/// A body in the second spool of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondBody {
    /// Index of its first record within the second index.
    pub first_record: u64,
    /// Number of records.
    pub records: u64,
    /// Where it starts, in bytes.
    pub spool_offset: u64,
    /// Its length in bytes.
    pub body_length: u64,
    /// Its SHA-256.
    pub body_sha256: Sha256Hex,
    /// What its records add to the measures of the file, as `Measuring::amounts` reads it from the body.
    pub amounts: Vec<(u32, i64)>,
    /// SHA-256 of what is sent, and where to, when that is made of it.
    pub request_sha256: Option<Sha256Hex>,
}

/// The answers of a batch.
#[derive(Clone, Debug)]
pub enum Answers {
    /// All accepted, without references: the common case costs nothing per record.
    AllAccepted,
    /// One fate for each record, and what is kept of each refused one.
    Each(Vec<Fate>, Vec<RefusedRecord>),
}

/// A refused record of a batch: becomes a reject of side `target`.
#[derive(Clone, Debug)]
pub struct RefusedRecord {
    /// Its position in the batch, from 0.
    pub position: u64,
    /// Line of its (first) row.
    pub row: u64,
    /// Byte offset of that row.
    pub byte: u64,
    /// The target's code.
    pub code: String,
    /// The target's words.
    pub message: String,
    /// The raw row.
    pub raw: Vec<u8>,
    /// As people see it; `None` when nothing in it is hidden.
    pub masked: Option<String>,
}

/// A reject as it is listed.
#[derive(Clone, Debug)]
pub struct RejectRow {
    /// Its run.
    pub run: RunId,
    /// Name of its file.
    pub file: Vec<u8>,
    /// Line; `None` for a fault of the file without a line.
    pub row: Option<u64>,
    /// Byte offset.
    pub byte: u64,
    /// Column to blame.
    pub column: Option<String>,
    /// A reject code, or the target's.
    pub code: String,
    /// Plain words.
    pub message: String,
    /// `mapping` or `target`.
    pub side: &'static str,
    /// `open`, `replayed` or `written_off`.
    pub state: String,
    /// Raw row.
    pub raw: Vec<u8>,
    /// As people see it; `None` when nothing in it is hidden.
    pub masked: Option<String>,
    /// The job of its run.
    pub job: JobName,
    /// Position of its file in the run.
    pub ordinal: u32,
    /// How many bytes of the file stand before its rows; `None`: it was not read to its end.
    pub head: Option<u64>,
}

/// One attempt as it is listed.
#[derive(Clone, Debug)]
pub struct AttemptRow {
    /// Ordinal of its batch in the file.
    pub batch: u64,
    /// Number, from 1, for life.
    pub number: u32,
    /// When it was written down, before its first byte.
    pub started_at: DateTime<Utc>,
    /// When it ended; `None`: never heard of again (crash).
    pub finished_at: Option<DateTime<Utc>>,
    /// HTTP status.
    pub status: Option<u16>,
    /// `open`, `answered`, `not_taken`, `unknown`.
    pub outcome: String,
    /// Words.
    pub note: String,
}
