//! A dry run: land, map and check, in a folder that is removed again. Nothing is recorded, sealed or sent.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::collect::{self, Memory, checksum};
use super::land::{self, LandFault};
use super::mapped::{Artifacts, MapOrder, map_file, read_batches, read_rejects};
use super::measuring::lines;
use super::search::judge;
use super::unwrap::{self, Unwrap};
use super::{OpenRemote, Order, Place, Progress, RunError, Step, gate, open_remote};
use crate::domain::control::Previous;
use crate::domain::file::{FileState, RecordCounts, RowCounts, shown_name};
use crate::domain::measure::MeasureLine;
use crate::domain::name::RunId;
use crate::domain::reconcile::worse;
use crate::domain::reject::{FileFault, Reject};
use crate::domain::run::{RunState, Trigger};
use crate::domain::source::ReadyRule;
use crate::ledger::row::{FileId, FileRow, RunFault, RunRow};
use crate::mapping::gauge::Gauge;
use crate::mapping::spec::Format;
use crate::mapping::{self, Facts};
use crate::ports::RemoteFile;

/// What a dry run found.
pub struct DryRun {
    /// As a run, with an empty id.
    pub run: RunRow,
    /// As files; `made = pending`.
    pub files: Vec<FileRow>,
    /// What the job's measures add up.
    pub measures: Vec<MeasureLine>,
    /// Code, side, rows.
    pub causes: Vec<(String, String, u64)>,
    /// The first rejects, for people.
    pub examples: Vec<String>,
    /// What is worth telling of the search.
    pub notes: Vec<String>,
}

/// A dry run remembers nothing: it tries every file that is there.
struct NoMemory;

impl Memory for NoMemory {
    fn is_seen(&self, _: &RemoteFile) -> Result<bool, RunError> {
        Ok(false)
    }

    fn last_number(&self) -> Result<Option<u64>, RunError> {
        Ok(None)
    }
}

/// How many rejects are shown one by one.
const MOST_EXAMPLES: usize = 10;

/// A folder that goes away with its value, also when the run fails.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!("{} could not be removed: {error}", self.0.display());
        }
    }
}

/// Tries `order` out. A repeat tries again; nothing remembers the first.
pub async fn run(
    order: &Order,
    open: &OpenRemote,
    progress: Arc<dyn Progress>,
    now: DateTime<Utc>,
) -> Result<DryRun, RunError> {
    super::error::reserve_of_disk(&order.data)?;
    let name = format!("dry-run-{}", uuid::Uuid::new_v4());
    let scratch = Scratch(collect::run_folder(&order.data, &name).map_err(RunError::Spool)?);
    let mut tried = DryRun {
        run: empty_run(order, now),
        files: Vec::new(),
        measures: Vec::new(),
        causes: Vec::new(),
        examples: Vec::new(),
        notes: Vec::new(),
    };
    let (remote, folder, listed): (_, _, Vec<RemoteFile>) = match &order.file {
        Some(path) => {
            use std::os::unix::ffi::OsStrExt;
            let path = path.canonicalize().map_err(|error| super::ferry::missing(path, &error))?;
            let folder = path.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
            let name = path.file_name().map(|name| name.as_bytes().to_vec()).unwrap_or_default();
            let remote = open_remote(open, Place::Here, "this machine").await?;
            let (dir, file) = (folder.clone(), name.clone());
            let found: Option<RemoteFile> = remote.call(move |remote| remote.stat(&dir, &file)).await?;
            (remote, folder, found.into_iter().collect())
        }
        None => {
            let source = &order.job.source;
            let remote = open_remote(open, Place::Source, source.connection.as_str()).await?;
            let listing = collect::look(source, order.business_date, &NoMemory, &remote).await?;
            let found = judge(&order.job, &listing, listing.ready.len());
            tried.notes = found.notes;
            (tried.run.state, tried.run.error) = (found.state.unwrap_or(RunState::Done), found.fault);
            (
                remote,
                source.folder.fill(order.business_date, ""),
                listing.ready.into_iter().map(|one| one.file).collect(),
            )
        }
    };
    for (ordinal, file) in (0..).zip(&listed) {
        let artifacts = Artifacts::new(&scratch.0, ordinal);
        let (bar, shown, total) = (progress.clone(), shown_name(&file.name), file.size);
        let tell = move |done| bar.step(Step::Landing { name: shown.clone(), done, total });
        let mut landed = land::land(&remote, &folder, file, &artifacts.landed, tell).await;
        if let (Ok(_), ReadyRule::Checksum(template, kind), None) = (&landed, &order.job.source.ready, &order.file) {
            let rule = (template, *kind, order.business_date);
            let compared = checksum::verify(&remote, &folder, &file.name, rule, &artifacts.landed).await?;
            landed = compared.map_err(LandFault::File).and(landed);
        }
        tried.add(order, file, &folder, ordinal, landed, &artifacts, &progress)?;
    }
    tried.close();
    Ok(tried)
}

fn empty_run(order: &Order, now: DateTime<Utc>) -> RunRow {
    RunRow {
        id: RunId::new(""),
        job: order.job.name.clone(),
        business_date: order.business_date,
        number: 1,
        trigger: Trigger::Manual,
        state: RunState::Done,
        mapping_version: Some(mapping::version(&order.mapping, &order.job.target.batch)),
        pinned: None,
        started_at: now,
        finished_at: None,
        error: None,
        batches: 0,
        attempts: 0,
        expected_by: None,
        scheduled_for: None,
        held_by_living_process: false,
    }
}

impl DryRun {
    #[allow(clippy::too_many_arguments, reason = "one call, each argument a different thing of the same file")]
    fn add(
        &mut self,
        order: &Order,
        file: &RemoteFile,
        folder: &str,
        ordinal: u32,
        landed: Result<land::Landed, LandFault>,
        artifacts: &Artifacts,
        progress: &Arc<dyn Progress>,
    ) -> Result<(), RunError> {
        let mut row = FileRow {
            id: FileId(i64::from(ordinal)),
            run: self.run.id.clone(),
            job: order.job.name.clone(),
            ordinal,
            folder: folder.to_owned(),
            name: file.name.clone(),
            size: file.size.unwrap_or(0),
            mtime: file.mtime,
            unwrapped: None,
            sha256: None,
            pass: 0,
            state: FileState::Found,
            reason: None,
            bytes: None,
            rows: RowCounts::default(),
            records: RecordCounts::default(),
            disposed: false,
            warnings: Vec::new(),
            controls: Vec::new(),
            released: false,
        };
        match landed {
            Ok(landed) => {
                (row.size, row.sha256, row.state) = (landed.size, Some(landed.sha256), FileState::Landed);
                self.map(order, &mut row, artifacts, progress)?;
            }
            Err(LandFault::Vanished) => return Ok(()),
            Err(LandFault::File(fault)) => self.fail(&mut row, &fault),
            Err(LandFault::Remote(error)) => return Err(error.into()),
        }
        self.files.push(row);
        Ok(())
    }

    fn map(
        &mut self,
        order: &Order,
        row: &mut FileRow,
        artifacts: &Artifacts,
        progress: &Arc<dyn Progress>,
    ) -> Result<(), RunError> {
        let facts = Facts { file_name: shown_name(&row.name), run: String::new(), business_date: order.business_date };
        let workbook = order.mapping.input.format == Format::Xlsx;
        let (rule, by_hand) = (order.job.wrapping.as_ref(), order.file.is_some());
        let rule = rule.map(|wrapping| Unwrap { wrapping, date: order.business_date, workbook, by_hand });
        let content = tokio::task::block_in_place(|| unwrap::content(artifacts, rule)).map_err(RunError::Spool)?;
        let content = match content {
            Ok(content) => content,
            Err(fault) => {
                self.fail(row, &fault);
                return Ok(());
            }
        };
        let total = content.metadata().map_err(RunError::Spool)?.len();
        row.unwrapped = (content != artifacts.landed).then_some(total);
        let tell = |done| progress.step(Step::Mapping { done, total });
        let gauge = Gauge::new(&order.job.measures, &order.mapping);
        let map_order = MapOrder {
            content: &content,
            spec: &order.mapping,
            facts: &facts,
            batch: &order.job.target.batch,
            empty_file: order.job.source.empty_file,
            progress: &tell,
            previous: &Previous::default(),
            known: None,
            gauge: gauge.as_ref(),
        };
        let converted = tokio::task::block_in_place(|| map_file(artifacts, &map_order))?;
        (row.rows, row.bytes, row.warnings) = (converted.rows, converted.bytes, converted.warnings.clone());
        for reject in read_rejects(&artifacts.rejects).map_err(RunError::Spool)? {
            self.count(row, &reject.map_err(RunError::Spool)?);
        }
        row.controls.clone_from(&converted.controls);
        let fault = converted.fault.clone().or_else(|| gate::check(&converted, &order.mapping.limits));
        if let Some(fault) = fault {
            (row.rows.rejected, row.rows.used) = (row.rows.read - row.rows.skipped, 0);
            self.fail(row, &fault);
            return Ok(());
        }
        self.measures.extend(lines(&order.job.measures, &converted));
        (row.records.made, row.records.pending) = (converted.made, converted.made);
        row.state = FileState::Mapped;
        self.run.batches += read_batches(&artifacts.batches).map_err(RunError::Spool)?.count() as u64;
        Ok(())
    }

    fn count(&mut self, file: &FileRow, reject: &Reject) {
        let code = reject.code.word().into_owned();
        match self.causes.iter_mut().find(|(seen, _, _)| *seen == code) {
            Some((_, _, count)) => *count += 1,
            None => self.causes.push((code.clone(), "mapping".to_owned(), 1)),
        }
        if self.examples.len() < MOST_EXAMPLES {
            let column = reject.column.as_ref().map(|column| format!("  {column}")).unwrap_or_default();
            self.examples.push(format!(
                "{}:{}{column}  {code}  {}",
                shown_name(&file.name),
                reject.row,
                reject.message
            ));
        }
    }

    fn fail(&mut self, row: &mut FileRow, fault: &FileFault) {
        (row.state, row.reason) = (FileState::Failed, Some(fault.code.clone()));
        let line = fault.row.map(|row| format!(":{row}")).unwrap_or_default();
        self.run.error.get_or_insert(RunFault {
            code: fault.code.word().into_owned(),
            message: format!("{}: {}{line}: {}", row.job, shown_name(&row.name), fault.message),
            hint: None,
        });
    }

    /// The state a real run would begin to send in: done, with rejects, failed, or waiting for a file.
    fn close(&mut self) {
        for file in &self.files {
            let state = match file.state {
                FileState::Failed => RunState::Failed,
                _ if file.rows.rejected > 0 => RunState::DoneWithRejects,
                _ => RunState::Done,
            };
            self.run.state = worse(self.run.state, state);
        }
        self.causes.sort_by_key(|(code, _, count)| (std::cmp::Reverse(*count), code.clone()));
    }
}
