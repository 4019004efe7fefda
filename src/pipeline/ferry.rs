//! Carries the files of one run across, each from the state the ledger has for it.

mod arrive;
mod replay;
mod resend;

pub(super) use replay::try_replay;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

pub(super) use arrive::missing;

use super::ahead::Ahead;
use super::collect;
use super::convert::{Converted, SpooledBatch};
use super::deliver::{self, Delivery, Sent};
use super::key::KeySeed;
use super::known::{settled_states, too_many_changes};
use super::mapped::{Artifacts, MapOrder, map_file, read_batches, read_rejects};
use super::measuring::{KeptMeasure, Measuring, new_measures, whole_amounts};
use super::payload::Payload;
use super::remote_thread::RemoteThread;
use super::unwrap::{self, Unwrap};
use super::wire::Form;
use super::{Order, Ports, RunError, Step, gate};
use crate::config::project::Pinned;
use crate::domain::delivery::SealedBatch;
use crate::domain::file::{FileState, shown_name};
use crate::domain::job::{BatchRule, Job};
use crate::domain::measure::Measure;
use crate::domain::name::Sha256Hex;
use crate::domain::reject::FileFault;
use crate::ledger::Ledger;
use crate::ledger::row::{BatchId, FileMeasure, FileRow, Mapped, RunFault, RunLease, RunRow};
use crate::ledger::state::States;
use crate::mapping::gauge::Gauge;
use crate::mapping::request::kept;
use crate::mapping::spec::{Format, MappingSpec};
use crate::mapping::{self, Facts};
use crate::ports::Target;

/// What a run keeps of its configuration: enough to make the same bodies and keys again.
#[derive(Serialize, Deserialize)]
struct Kept {
    mapping: Pinned,
    records: u32,
    bytes: u64,
    wrap: Option<String>,
    #[serde(default)]
    measures: Vec<KeptMeasure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<String>,
}

impl Kept {
    fn new(mapping: &Pinned, batch: &BatchRule, measures: &[Measure]) -> Self {
        let BatchRule { records, bytes, wrap, request } = batch;
        let (mapping, wrap, request) = (mapping.clone(), wrap.clone(), kept::to_text(request));
        let measures = measures.iter().map(KeptMeasure::from).collect();
        Self { mapping, records: *records, bytes: *bytes, wrap, measures, request }
    }

    fn batch(&self) -> Result<BatchRule, RunError> {
        let request = kept::from_text(self.request.as_deref()).map_err(RunError::Pinned)?;
        Ok(BatchRule { records: self.records, bytes: self.bytes, wrap: self.wrap.clone(), request })
    }
}

/// A run under way.
pub(super) struct Ferry<'a, T> {
    order: &'a Order,
    lease: &'a RunLease,
    ports: &'a Ports<T>,
    ledger: &'a Ledger,
    run: RunRow,
    /// The mapping the run started with.
    spec: MappingSpec,
    /// The batches the run started with.
    batch: BatchRule,
    /// The measures the run started with.
    measures: Vec<Measure>,
    gauge: Option<Gauge>,
    version: Sha256Hex,
    folder: PathBuf,
    source: Option<Arc<RemoteThread>>,
    here: Option<Arc<RemoteThread>>,
    /// Files of the source that are fetched before their turn.
    ahead: Option<Ahead>,
    /// Why the run stops.
    fault: Option<RunFault>,
    /// The first fault of a file; the run goes on.
    file_fault: Option<RunFault>,
    interrupted: bool,
    /// Unanswered batches that a person sends again, whatever their window says.
    forced: HashSet<BatchId>,
    /// Stop after so many refused records in a row.
    stop_after: Option<u64>,
}

impl<'a, T: Target> Ferry<'a, T> {
    /// Pins the mapping of a new run, or takes up the one that an interrupted run started with.
    pub(super) fn board(
        order: &'a Order,
        lease: &'a RunLease,
        ports: &'a Ports<T>,
        ledger: &'a Ledger,
    ) -> Result<Self, RunError> {
        let row = || ledger.run(&lease.run)?.ok_or_else(|| RunError::NoSuchRun(lease.run.clone()));
        let mut run = row()?;
        if run.pinned.is_none() {
            let kept = Kept::new(&order.pinned, &order.job.target.batch, &order.job.measures);
            let kept = serde_json::to_string(&kept).map_err(|error| RunError::Internal(error.to_string()))?;
            let version = mapping::version(&order.mapping, &order.job.target.batch);
            ledger.pin(lease, &version, &kept)?;
            run = row()?;
        }
        let (spec, batch, measures) = begun_with(&run)?;
        let gauge = Gauge::new(&measures, &spec);
        let version = run.mapping_version.clone().ok_or_else(|| RunError::Pinned("it has no version".to_owned()))?;
        ledger.recover_attempts(lease, ports.clock.now())?;
        let folder = collect::run_folder(&order.data, lease.run.as_str()).map_err(RunError::Spool)?;
        Ok(Self {
            order,
            lease,
            ports,
            ledger,
            run,
            spec,
            batch,
            measures,
            gauge,
            version,
            folder,
            source: None,
            here: None,
            ahead: None,
            fault: None,
            file_fault: None,
            interrupted: false,
            forced: HashSet::new(),
            stop_after: None,
        })
    }

    pub(super) fn business_date(&self) -> NaiveDate {
        self.run.business_date
    }

    pub(super) fn interrupted(&self) -> bool {
        self.interrupted
    }

    pub(super) fn stopped(&self) -> bool {
        self.interrupted || self.fault.is_some()
    }

    /// Why the run stopped, or else the first fault of a file.
    pub(super) fn fault(&self) -> Option<RunFault> {
        self.fault.clone().or_else(|| self.file_fault.clone())
    }

    pub(super) fn job(&self) -> &'a Job {
        &self.order.job
    }

    /// Says how far the run is.
    pub(super) fn tell(&self, step: Step) {
        self.ports.progress.step(step);
    }

    /// Waits, without a session at the source; a signal ends it.
    pub(super) async fn rest(&mut self, pause: Duration) {
        self.source = None;
        let mut stop = self.ports.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.requested() => self.interrupted = true,
        }
    }

    /// Finishes every file that an earlier process of this run has begun.
    pub(super) async fn finish_begun(&mut self) -> Result<(), RunError> {
        for file in self.ledger.files(&self.lease.run)? {
            if self.stopped() {
                return Ok(());
            }
            if !matches!(file.state, FileState::Failed | FileState::Held | FileState::Waiting) {
                self.carry(file).await?;
            }
        }
        Ok(())
    }

    /// Carries one file from the state it is in.
    async fn carry(&mut self, file: FileRow) -> Result<(), RunError> {
        let mut file = file;
        while !self.stopped() {
            let before = file.state;
            match file.state {
                FileState::Found => self.land(&file).await?,
                FileState::Landed => {
                    self.admit(&file)?;
                    let admitted = self.reread(&file)?;
                    if admitted.state == FileState::Landed {
                        self.map_and_seal(&admitted)?;
                    }
                }
                FileState::Mapped => self.map_and_seal(&file)?,
                FileState::Delivering => self.deliver(&file).await?,
                FileState::Settled | FileState::PassedOver => return self.dispose(&file).await,
                FileState::Failed | FileState::Held | FileState::Waiting => return Ok(()),
            }
            if self.ports.stop.is_requested() {
                self.interrupted = true;
            }
            match self.row_of(&file)? {
                Some(row) if row.state != before => file = row,
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    fn row_of(&self, file: &FileRow) -> Result<Option<FileRow>, RunError> {
        Ok(self.ledger.file(file.id)?)
    }

    fn reread(&self, file: &FileRow) -> Result<FileRow, RunError> {
        self.row_of(file)?
            .ok_or_else(|| RunError::Internal(format!("file {} is no longer in the ledger", file.ordinal)))
    }

    fn facts(&self, file: &FileRow) -> Facts {
        Facts {
            file_name: shown_name(&file.name),
            run: self.lease.run.as_str().to_owned(),
            business_date: self.business_date(),
        }
    }

    /// What rows are read from: the landed file, or what was in it.
    fn content(&self, file: &FileRow, artifacts: &Artifacts) -> Result<Result<PathBuf, FileFault>, RunError> {
        let workbook = self.spec.input.format == Format::Xlsx;
        let (date, by_hand) = (self.business_date(), arrive::is_by_hand(file));
        let wrapping = self.order.job.wrapping.as_ref();
        let rule = wrapping.map(|wrapping| Unwrap { wrapping, date, workbook, by_hand });
        tokio::task::block_in_place(|| unwrap::content(artifacts, rule)).map_err(RunError::Spool)
    }

    /// The same of a file that was mapped before, and so could be unwrapped.
    fn content_again(&self, file: &FileRow, artifacts: &Artifacts) -> Result<PathBuf, RunError> {
        let changed = |fault: FileFault| RunError::Internal(format!("what was unwrapped before: {}", fault.message));
        self.content(file, artifacts)?.map_err(changed)
    }

    fn convert(&self, file: &FileRow, artifacts: &Artifacts, content: &Path) -> Result<Converted, RunError> {
        let facts = self.facts(file);
        let total = content.metadata().map_or(file.size, |content| content.len());
        let progress = self.ports.progress.clone();
        let tell = move |done| progress.step(Step::Mapping { done, total });
        let previous = self.ledger.previous(&self.order.job.name)?;
        let order = MapOrder {
            content,
            spec: &self.spec,
            facts: &facts,
            batch: &self.batch,
            empty_file: self.order.job.source.empty_file,
            progress: &tell,
            previous: &previous,
            known: Some((self.ledger, &self.order.job.name)),
            gauge: self.gauge.as_ref(),
        };
        tokio::task::block_in_place(|| map_file(artifacts, &order))
    }

    /// Maps, passes the gate and seals; nothing has been sent before the last line. A repeat makes the same batches.
    fn map_and_seal(&mut self, file: &FileRow) -> Result<(), RunError> {
        let artifacts = Artifacts::new(&self.folder, file.ordinal);
        let content = match self.content(file, &artifacts)? {
            Ok(content) => content,
            Err(fault) => return self.fail(file, &fault, None),
        };
        let mut converted = self.convert(file, &artifacts, &content)?;
        let fault = converted.fault.clone().or_else(|| gate::check(&converted, &self.spec.limits));
        if let Some(fault) = fault {
            return self.fail(file, &fault, Some((converted, &artifacts)));
        }
        let held = self.why_held(file, &converted)?;
        let slots = std::mem::take(&mut converted.measures);
        let mut mapped = self.counted(converted, &artifacts)?;
        mapped.measures = new_measures(&self.measures, &slots);
        let mut rejects = read_rejects(&artifacts.rejects).map_err(RunError::Spool)?;
        self.ledger.mapped(self.lease, file.id, &mapped, &mut rejects)?;
        if let Some(reason) = held {
            let _ = std::fs::remove_file(&artifacts.rejects);
            return Ok(self.ledger.hold_file(self.lease, file.id, &reason)?);
        }
        self.seal(file, &artifacts)?;
        let _ = std::fs::remove_file(&artifacts.rejects);
        Ok(())
    }

    /// What the ledger keeps of a file that was read to its end.
    fn counted(&self, converted: Converted, artifacts: &Artifacts) -> Result<Mapped, RunError> {
        let unwrapped = match artifacts.plain.metadata() {
            Ok(plain) => Some(plain.len()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(RunError::Spool(error)),
        };
        let Converted { rows, bytes, made, warnings, controls, further_faults, .. } = converted;
        let measures = Vec::new();
        Ok(Mapped { rows, bytes, unwrapped, made, warnings, controls, measures, further_faults })
    }

    /// Why a person has to look before anything of the file is sent.
    fn why_held(&self, file: &FileRow, converted: &Converted) -> Result<Option<String>, RunError> {
        if file.released {
            return Ok(None);
        }
        if let Some(who) = self.ledger.job_hold(&self.order.job.name)? {
            return Ok(Some(format!("held: {who} holds the job")));
        }
        let changes = self.spec.changes.as_ref().zip(converted.changes.as_ref());
        Ok(changes.and_then(|(spec, counts)| too_many_changes(spec, counts)))
    }

    /// Gives every batch its key and seals it. A repeat finds them sealed.
    fn seal(&self, file: &FileRow, artifacts: &Artifacts) -> Result<(), RunError> {
        let seed = KeySeed {
            job: self.order.job.name.clone(),
            file: file.sha256.clone().ok_or_else(|| RunError::Internal("a landed file has no hash".to_owned()))?,
            mapping_version: self.version.clone(),
            pass: file.pass,
            facts: mapping::key_facts(&self.spec, &self.facts(file)),
        };
        let batches = read_batches(&artifacts.batches).map_err(RunError::Spool)?;
        let measures = self.ledger.file_measures(file.id)?;
        let mut sealed =
            (0..).zip(batches).map(|(ordinal, batch)| batch.map(|batch| sealed(&seed, ordinal, batch, &measures)));
        self.ledger.seal(self.lease, file.id, &mut sealed)?;
        let _ = std::fs::remove_file(&artifacts.batches);
        Ok(())
    }

    /// Writes a fault of the file down: every row that was not skipped counts as rejected, nothing is sent.
    fn fail(
        &mut self,
        file: &FileRow,
        fault: &FileFault,
        converted: Option<(Converted, &Artifacts)>,
    ) -> Result<(), RunError> {
        let line = fault.row.map(|row| format!(":{row}")).unwrap_or_default();
        self.file_fault.get_or_insert(RunFault {
            code: fault.code.word().into_owned(),
            message: format!("{}: {}{line}: {}", self.order.job.name, shown_name(&file.name), fault.message),
            hint: Some(format!(
                "nothing of this file was sent; `nightferry rejects {}` lists what is wrong",
                self.order.job.name
            )),
        });
        let Some((converted, artifacts)) = converted else {
            return Ok(self.ledger.fail_file(self.lease, file.id, fault, None, &mut std::iter::empty())?);
        };
        let mut mapped = self.counted(converted, artifacts)?;
        (mapped.rows.rejected, mapped.rows.used) = (mapped.rows.read - mapped.rows.skipped, 0);
        mapped.made = 0;
        let mut rejects = read_rejects(&artifacts.rejects).map_err(RunError::Spool)?;
        self.ledger.fail_file(self.lease, file.id, fault, Some(&mapped), &mut rejects)?;
        artifacts.remove_payload();
        Ok(())
    }

    /// How the amounts of a batch with several fates divide; `None` where nothing is added up.
    fn measuring(&self, file: &FileRow) -> Result<Option<Measuring>, RunError> {
        let Some(gauge) = self.gauge.clone() else { return Ok(None) };
        Ok(Some(Measuring::new(gauge, self.ledger.file_measures(file.id)?)))
    }

    /// Sends what is sealed and settles the books of the file.
    async fn deliver(&mut self, file: &FileRow) -> Result<(), RunError> {
        let artifacts = Artifacts::new(&self.folder, file.ordinal);
        let first = self.ledger.needs_first_spool(file.id)?;
        if first {
            self.make_payload_again(file, &artifacts)?;
        }
        let payload = self.payload(file, &artifacts, first)?;
        let delivery = Delivery {
            job: &self.order.job,
            connection: &self.order.connection,
            lease: self.lease,
            file,
            ledger: self.ledger,
            target: self.ports.target.clone(),
            clock: self.ports.clock.as_ref(),
            progress: self.ports.progress.as_ref(),
            stop: self.ports.stop.clone(),
            payload: Arc::new(payload),
            forced: &self.forced,
            stop_after: self.stop_after,
            hides: self.spec.fields.iter().any(|field| field.pii.is_some()),
            answered_before: file.records.accepted + file.records.refused > 0,
        };
        let sent = deliver::all(delivery, self.ports.clock.clone()).await?;
        for announced in self.ports.target.announced() {
            self.ledger.warn_of_file(self.lease, file.id, &announced)?;
        }
        match sent {
            Sent::All => self.settle(file, &artifacts),
            Sent::Interrupted => {
                self.interrupted = true;
                Ok(())
            }
            Sent::Left { fault, .. } => {
                self.fault = fault;
                Ok(())
            }
        }
    }

    /// The bodies of the file, where they were removed: the same mapping makes the same bytes, and the seals prove it.
    fn make_payload_again(&self, file: &FileRow, artifacts: &Artifacts) -> Result<(), RunError> {
        if [&artifacts.spool, &artifacts.index, &artifacts.lengths].iter().all(|path| path.exists()) {
            return Ok(());
        }
        self.convert(file, artifacts, &self.content_again(file, artifacts)?)?;
        self.seal(file, artifacts)?;
        // What the mapping rejected is in the ledger since the first time.
        let _ = std::fs::remove_file(&artifacts.rejects);
        Ok(())
    }

    fn payload(&self, file: &FileRow, artifacts: &Artifacts, first: bool) -> Result<Payload, RunError> {
        let now = &self.order.job.target.batch;
        let forms = [Form::new(&self.spec, &self.batch), Form::new(&self.order.mapping, now)];
        let content = self.content_again(file, artifacts)?;
        Payload::open(artifacts, &content, first, forms, self.measuring(file)?).map_err(RunError::Spool)
    }

    fn settle(&self, file: &FileRow, artifacts: &Artifacts) -> Result<(), RunError> {
        let refused: HashSet<u64> = self.ledger.refused_rows(file.id)?.into_iter().collect();
        // What the target has of an unanswered record is not known, so the states before stay the last accepted ones.
        let certain = self.reread(file)?.records.unanswered == 0;
        let mut states = match certain && self.spec.changes.is_some() && artifacts.states.exists() {
            true => {
                let index = File::open(&artifacts.index).map_err(RunError::Spool)?;
                Some(settled_states(&artifacts.states, index, &refused).map_err(RunError::Spool)?)
            }
            false => None,
        };
        let states = states.as_mut().map(|states| states as States<'_>);
        if let Err(imbalance) = self.ledger.settle(self.lease, file.id, self.ports.clock.now(), states)? {
            return Err(RunError::Imbalance { law: imbalance.law, message: imbalance.message });
        }
        let records = self.reread(file)?.records;
        // With `[changes]` the mapping cannot make the bodies of refused records again: what was accepted is unchanged now.
        let may_be_needed = records.refused > 0 && self.spec.changes.is_some();
        if records.unanswered == 0 && !may_be_needed {
            artifacts.remove_payload();
            if records.refused == 0 {
                artifacts.remove_second();
            }
        }
        Ok(())
    }
}

/// The mapping, the batches and the measures that a run began with.
fn begun_with(run: &RunRow) -> Result<(MappingSpec, BatchRule, Vec<Measure>), RunError> {
    let pinned = run.pinned.as_deref().unwrap_or_default();
    let kept: Kept = serde_json::from_str(pinned).map_err(|error| RunError::Pinned(error.to_string()))?;
    let spec = kept.mapping.compile().map_err(|problems| RunError::Pinned(problems.to_string()))?;
    let batch = kept.batch()?;
    Ok((spec, batch, kept.measures.into_iter().map(Measure::from).collect()))
}

fn sealed(seed: &KeySeed, ordinal: u64, batch: SpooledBatch, measures: &[FileMeasure]) -> SealedBatch {
    SealedBatch {
        ordinal,
        first_record: batch.first_record,
        records: batch.records,
        spool_offset: batch.spool_offset,
        body_length: batch.body_length,
        body_sha256: batch.body_sha256,
        request_sha256: batch.request_sha256,
        key: seed.key(ordinal),
        amounts: whole_amounts(&batch.amounts, measures),
    }
}
