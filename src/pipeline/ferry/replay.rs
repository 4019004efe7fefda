//! Replays rejects: the file is mapped anew with the mapping as it is now, and what passes is sealed and sent.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::{Artifacts, Ferry, KeySeed, Measuring, RunError, begun_with, shown_name};
use crate::domain::delivery::BatchOrigin;
use crate::domain::measure::Measure;
use crate::ledger::row::{FileRow, OpenReject, Replayed, SecondBody};
use crate::mapping;
use crate::mapping::batch::SpooledBatch;
use crate::mapping::gauge::Gauge;
use crate::mapping::spec::{Format, MappingSpec};
use crate::pipeline::again::{Replay, Tally};
use crate::pipeline::pick::{PickOrder, Picked, Picks, Wanted, pick};
use crate::pipeline::unwrap::{self, Unwrap};
use crate::ports::Target;

/// The most batches that one transaction seals.
const SEAL_AT_ONCE: usize = 100;

impl<T: Target> Ferry<'_, T> {
    /// Seals what passes now, file by file, and delivers it. What was not sealed before a crash is still open.
    pub(in crate::pipeline) async fn replay(&mut self, replay: &Replay) -> Result<(), RunError> {
        self.stop_after = replay.stop_after;
        let open = open_rejects(self.ledger, &self.lease.run)?;
        for file in self.ledger.files(&self.lease.run)? {
            if self.stopped() {
                break;
            }
            let wanted = wanted(&open, &file, replay);
            if wanted.count() == 0 {
                continue;
            }
            if other_units(&self.measures, &self.spec, &self.order.mapping) {
                continue;
            }
            let artifacts = Artifacts::new(&self.folder, file.ordinal);
            let mut spool = tempfile::tempfile_in(&self.folder).map_err(RunError::Spool)?;
            let (facts, measuring) = (self.facts(&file), self.measuring(&file)?);
            let mut picks = picks(&artifacts, &facts, self.order, &wanted, measuring.as_ref(), &mut spool)?;
            if picks.fault.is_none() && measuring.is_some() {
                self.add_amounts_before(&file, &artifacts, &mut picks)?;
            }
            if picks.fault.is_none() && !picks.records.is_empty() {
                self.seal_replay(&file, &artifacts, &picks, &spool)?;
                let file = self.reread(&file)?;
                self.carry(file).await?;
            }
        }
        Ok(())
    }

    /// Looks up what refused records added before, so that the books lose exactly that.
    fn add_amounts_before(&self, file: &FileRow, artifacts: &Artifacts, picks: &mut Picks) -> Result<(), RunError> {
        let mut befores = Vec::new();
        for before in picks.records.iter_mut().filter_map(|picked| picked.record.refused.as_mut()) {
            let missing = || RunError::Internal(format!("batch {} is not in the ledger", before.batch.0));
            let batch = self.ledger.batch(before.batch)?.ok_or_else(missing)?;
            befores.push((before, batch));
        }
        if befores.is_empty() {
            return Ok(());
        }
        let first = befores.iter().any(|(_, batch)| batch.origin == BatchOrigin::File);
        if first {
            self.make_payload_again(file, artifacts)?;
        }
        let payload = self.payload(file, artifacts, first)?;
        for (before, batch) in befores {
            before.amounts = payload.amounts_of(batch.origin, &batch.sealed, before.position)?;
        }
        Ok(())
    }

    fn seal_replay(&self, file: &FileRow, artifacts: &Artifacts, picks: &Picks, spool: &File) -> Result<(), RunError> {
        let (spec, batch) = (&self.order.mapping, &self.order.job.target.batch);
        let seed = KeySeed {
            job: self.order.job.name.clone(),
            file: file.sha256.clone().ok_or_else(|| RunError::Internal("a landed file has no hash".to_owned()))?,
            mapping_version: mapping::version(spec, batch),
            pass: file.pass,
            facts: mapping::key_facts(spec, &self.facts(file)),
        };
        let payload = self.payload(file, artifacts, false)?;
        let first = self.ledger.next_ordinal(file.id)?;
        let mut sealed: Vec<Replayed> = Vec::new();
        for (ordinal, batch) in (first..).zip(&picks.batches) {
            let (from, to) = (batch.first_record as usize, (batch.first_record + batch.records) as usize);
            let records = picks.records.get(from..to).unwrap_or_default();
            let body = self.add_body(&payload, spool, batch, records)?;
            let records = records.iter().map(|picked| picked.record.clone()).collect();
            sealed.push(Replayed { ordinal, body, key: seed.key(ordinal), records });
            if sealed.len() == SEAL_AT_ONCE {
                payload.sync().map_err(RunError::Spool)?;
                self.ledger.seal_replay(self.lease, file.id, &sealed)?;
                sealed.clear();
            }
        }
        payload.sync().map_err(RunError::Spool)?;
        Ok(self.ledger.seal_replay(self.lease, file.id, &sealed)?)
    }

    fn add_body(
        &self,
        payload: &super::Payload,
        spool: &File,
        batch: &SpooledBatch,
        records: &[Picked],
    ) -> Result<SecondBody, RunError> {
        let mut body = vec![0; batch.body_length as usize];
        spool.read_exact_at(&mut body, batch.spool_offset).map_err(RunError::Spool)?;
        let entries: Vec<_> = records.iter().map(|picked| picked.entry).collect();
        let sizes: Vec<u32> = records.iter().map(|picked| picked.size).collect();
        let mut amounts: Vec<(u32, i64)> = Vec::new();
        for (slot, amount) in records.iter().flat_map(|picked| &picked.amounts) {
            match amounts.iter_mut().find(|(known, _)| known == slot) {
                Some((_, sum)) => *sum += amount,
                None => amounts.push((*slot, *amount)),
            }
        }
        let added = payload.add(&body, &entries, &sizes).map_err(RunError::Spool)?;
        Ok(SecondBody { amounts, request_sha256: batch.request_sha256.clone(), ..added })
    }
}

fn open_rejects(ledger: &crate::ledger::Ledger, run: &crate::domain::name::RunId) -> Result<Vec<OpenReject>, RunError> {
    let mut open = Vec::new();
    ledger.each_open_reject(run, &mut |reject| open.push(reject))?;
    Ok(open)
}

fn wanted(open: &[OpenReject], file: &FileRow, replay: &Replay) -> Wanted {
    let mut wanted = Wanted::default();
    for reject in open.iter().filter(|reject| reject.file == file.id && !reject.file_failed) {
        wanted.add(reject, replay.cause.as_ref().is_none_or(|cause| *cause == reject.code));
    }
    wanted
}

fn picks(
    artifacts: &Artifacts,
    facts: &mapping::Facts,
    order: &super::Order,
    wanted: &Wanted,
    measuring: Option<&Measuring>,
    spool: &mut File,
) -> Result<Picks, RunError> {
    let (spec, batch) = (&order.mapping, &order.job.target.batch);
    let workbook = spec.input.format == Format::Xlsx;
    let rule = order.job.wrapping.as_ref();
    let rule = rule.map(|wrapping| Unwrap { wrapping, date: facts.business_date, workbook, by_hand: true });
    let landed = match tokio::task::block_in_place(|| unwrap::opened(&artifacts.landed, rule, u64::MAX)) {
        Ok(Ok(landed)) => landed,
        Ok(Err(fault)) => return Ok(Picks::failed(fault)),
        Err(error) => return Err(RunError::Spool(error)),
    };
    let pick_order = PickOrder { landed, spec, facts, batch, measuring };
    tokio::task::block_in_place(|| pick(pick_order, wanted, spool)).map_err(RunError::Spool)
}

/// Whether a measured field is sent in other units than when the run began: then its amounts cannot be compared.
fn other_units(measures: &[Measure], then: &MappingSpec, now: &MappingSpec) -> bool {
    Gauge::new(measures, then) != Gauge::new(measures, now)
}

/// What a replay of a run would send; nothing is written down or sent.
///
/// # Errors
/// Those of the ledger, and of the landed files.
pub(in crate::pipeline) fn try_replay(
    order: &super::Order,
    run: &crate::ledger::row::RunRow,
    replay: &Replay,
    ledger: &crate::ledger::Ledger,
) -> Result<Tally, RunError> {
    let open = open_rejects(ledger, &run.id)?;
    let folder = order.data.join("files").join(run.id.as_str());
    let mut all = Tally::default();
    for file in ledger.files(&run.id)? {
        let wanted = wanted(&open, &file, replay);
        let failed = open.iter().filter(|reject| reject.file == file.id && reject.file_failed).count() as u64;
        let name = shown_name(&file.name);
        if failed > 0 {
            let reason = "the whole file failed and nothing of it was sent: repair it or the mapping, then `run` again";
            all.refused_files.push((name.clone(), reason.to_owned()));
        }
        if wanted.count() == 0 {
            continue;
        }
        let (then, _, measures) = begun_with(run)?;
        if other_units(&measures, &then, &order.mapping) {
            let reason =
                "a measured field is sent in other units now: export the rows and `run --file` them".to_owned();
            all.refused_files.push((name, reason));
            continue;
        }
        let measured = Gauge::new(&measures, &then);
        let measuring = match measured {
            Some(gauge) => Some(Measuring::new(gauge, ledger.file_measures(file.id)?)),
            None => None,
        };
        let artifacts = Artifacts::new(&folder, file.ordinal);
        if !artifacts.landed.exists() {
            let reason = "the file as it came is no longer in the data folder".to_owned();
            all.refused_files.push((name, reason));
            continue;
        }
        let facts = mapping::Facts {
            file_name: name.clone(),
            run: run.id.as_str().to_owned(),
            business_date: run.business_date,
        };
        let mut spool = tempfile::tempfile().map_err(RunError::Spool)?;
        let picks = picks(&artifacts, &facts, order, &wanted, measuring.as_ref(), &mut spool)?;
        match picks.fault {
            Some(fault) => all.refused_files.push((name, format!("{}: {}", fault.code, fault.message))),
            None => all.add(picks.tally),
        }
    }
    Ok(all)
}
