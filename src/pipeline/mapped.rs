//! The artifacts of mapping one landed file: payload spool, record index and reject spool, in the run's own folder.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rust_decimal::Decimal;

use super::RunError;
use super::convert::reject_file::{read_first_number, read_number, read_reject, read_text, write_part, write_reject};
use super::convert::{ConvertInput, Converted, KnownStates, Sinks, SpooledBatch, convert_to};
use super::known::LedgerStates;
use crate::domain::control::Previous;
use crate::domain::job::BatchRule;
use crate::domain::name::{JobName, Sha256Hex};
use crate::domain::reject::{FileFault, Reject, RejectCode};
use crate::domain::source::EmptyFile;
use crate::ledger::Ledger;
use crate::mapping::Facts;
use crate::mapping::batch::Batcher;
use crate::mapping::gauge::{Gauge, Totals};
use crate::mapping::request::Encoder;
use crate::mapping::spec::MappingSpec;

/// The paths of one file within its run's folder.
#[derive(Clone, Debug)]
pub struct Artifacts {
    /// The file as it came.
    pub landed: PathBuf,
    /// What was in it, when it came wrapped; made again from the file as it came when it is needed.
    pub plain: PathBuf,
    /// Batch bodies, back to back.
    pub spool: PathBuf,
    /// One fixed-size entry for each record: where its row is.
    pub index: PathBuf,
    /// Four bytes for each record: its length in its body.
    pub lengths: PathBuf,
    /// Spool, index and lengths of the batches that carry records of others, or rows again.
    pub second: [PathBuf; 3],
    /// Rejects, until the ledger has them.
    pub rejects: PathBuf,
    /// Ranges and hashes of the bodies, until they are sealed.
    pub batches: PathBuf,
    /// Keys and states of the records, until they are accepted; only with `[changes]`.
    pub states: PathBuf,
}

impl Artifacts {
    /// Of the file at `ordinal`. Never derived from a name that a stranger chose.
    pub fn new(folder: &Path, ordinal: u32) -> Self {
        let named = |extension: &str| folder.join(format!("{ordinal}.{extension}"));
        Self {
            landed: named("landed"),
            plain: named("plain"),
            spool: named("spool"),
            index: named("index"),
            lengths: named("lengths"),
            second: ["spool2", "index2", "lengths2"].map(named),
            rejects: named("rejects"),
            batches: named("batches"),
            states: named("states"),
        }
    }

    /// Removes what is not needed once every record has its final fate; the landed file stays for replay and audit.
    pub fn remove_payload(&self) {
        let Self { plain, spool, index, lengths, rejects, batches, states, .. } = self;
        Self::remove(&[plain, spool, index, lengths, rejects, batches, states]);
    }

    /// Removes what only a resend of refused records would need.
    pub fn remove_second(&self) {
        Self::remove(&self.second.each_ref());
    }

    fn remove(paths: &[&PathBuf]) {
        for path in paths {
            if let Err(error) = fs::remove_file(path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!("{} could not be removed: {error}", path.display());
            }
        }
    }
}

/// What to map and how.
pub struct MapOrder<'a> {
    /// What rows are read from: the landed file, or what was in it.
    pub content: &'a Path,
    /// The mapping the run started with.
    pub spec: &'a MappingSpec,
    /// What `auto` sends.
    pub facts: &'a Facts,
    /// The batches.
    pub batch: &'a BatchRule,
    /// What an empty file means.
    pub empty_file: Option<EmptyFile>,
    /// What controls need to know of the file before.
    pub previous: &'a Previous,
    /// The last accepted states, for a mapping with `[changes]`.
    pub known: Option<(&'a Ledger, &'a JobName)>,
    /// What the job's measures add up, if they look into records.
    pub gauge: Option<&'a Gauge>,
    /// Called with the bytes done.
    pub progress: &'a (dyn Fn(u64) + Sync),
}

/// Maps the landed file to its artifacts. Pure but for those files; a repeat writes the same bytes again.
pub fn map_file(artifacts: &Artifacts, order: &MapOrder<'_>) -> Result<Converted, RunError> {
    map_to_files(artifacts, order).map_err(RunError::Spool)
}

fn map_to_files(artifacts: &Artifacts, order: &MapOrder<'_>) -> io::Result<Converted> {
    let file = File::open(order.content)?;
    let size = file.metadata()?.len();
    let mut spool = create(&artifacts.spool)?;
    let mut index = BufWriter::with_capacity(1 << 16, create(&artifacts.index)?);
    let mut rejects = BufWriter::with_capacity(1 << 16, create(&artifacts.rejects)?);
    let input = ConvertInput {
        file,
        size,
        spec: order.spec,
        facts: order.facts,
        empty_file: order.empty_file,
        threads: std::thread::available_parallelism().map_or(2, usize::from),
        progress: order.progress,
        scratch: artifacts.landed.parent(),
        previous: order.previous,
    };
    let mut batches = BufWriter::with_capacity(1 << 16, create(&artifacts.batches)?);
    let mut keep = |batch| write_batch(&mut batches, &batch);
    let mut totals = Totals::default();
    let mut lengths = BufWriter::with_capacity(1 << 16, create(&artifacts.lengths)?);
    let batcher = Batcher::new(order.batch, order.spec.output.format, &mut spool, &mut keep);
    let mut batcher = batcher.with_lengths(&mut lengths).with_requests(Encoder::new(order.spec, order.batch));
    if let Some(gauge) = order.gauge {
        batcher.measure(gauge, &mut totals);
    }
    let mut states = match order.known.filter(|_| order.spec.changes.is_some()) {
        Some((ledger, job)) => Some(LedgerStates::new(ledger, job, create(&artifacts.states)?)),
        None => None,
    };
    let mut converted = convert_to(
        input,
        Sinks {
            records: &mut batcher,
            index: &mut index,
            reject: &mut |reject| write_reject(&mut rejects, &reject),
            states: states.as_mut().map(|states| states as &mut dyn KnownStates),
        },
    )?;
    drop(batcher);
    if let (Some(message), None) = (totals.why_not_exact(), &converted.fault) {
        let message = format!("a measure of the job cannot be added up: {message}");
        let code = RejectCode::Control("measure".into());
        converted.fault = Some(FileFault { code, row: None, byte: 0, column: None, message });
    }
    converted.measures = totals.slots;
    if let Some(states) = states {
        converted.warnings.extend(states.finish(order.spec)?);
    }
    rejects.flush()?;
    batches.flush()?;
    let (index, lengths) = (index.into_inner()?, lengths.into_inner()?);
    // The ledger will say that these bytes exist; after a power cut they must.
    spool.sync_data()?;
    index.sync_data()?;
    lengths.sync_data()?;
    Ok(converted)
}

fn create(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Reads the batches back, in the order of the file. On disk, because a file may have a million of them.
pub fn read_batches(path: &Path) -> io::Result<impl Iterator<Item = io::Result<SpooledBatch>> + use<>> {
    let mut input = BufReader::with_capacity(1 << 16, File::open(path)?);
    Ok(std::iter::from_fn(move || read_batch(&mut input).transpose()))
}

fn write_batch(output: &mut dyn Write, batch: &SpooledBatch) -> io::Result<()> {
    for number in [batch.first_record, batch.records, batch.spool_offset, batch.body_length] {
        output.write_all(&number.to_le_bytes())?;
    }
    write_part(output, batch.body_sha256.as_str().as_bytes())?;
    write_part(output, batch.request_sha256.as_ref().map_or("", Sha256Hex::as_str).as_bytes())?;
    output.write_all(&(batch.amounts.len() as u64).to_le_bytes())?;
    for (slot, amount) in &batch.amounts {
        output.write_all(&u64::from(*slot).to_le_bytes())?;
        output.write_all(&amount.serialize())?;
    }
    Ok(())
}

fn read_batch(input: &mut dyn Read) -> io::Result<Option<SpooledBatch>> {
    let Some(first_record) = read_first_number(input)? else { return Ok(None) };
    let mut batch = SpooledBatch {
        first_record,
        records: read_number(input)?,
        spool_offset: read_number(input)?,
        body_length: read_number(input)?,
        body_sha256: Sha256Hex::new(read_text(input)?),
        request_sha256: Some(read_text(input)?).filter(|hash| !hash.is_empty()).map(Sha256Hex::new),
        amounts: Vec::new(),
    };
    for _ in 0..read_number(input)? {
        let slot = read_number(input)? as u32;
        let mut amount = [0; 16];
        input.read_exact(&mut amount)?;
        batch.amounts.push((slot, Decimal::deserialize(amount)));
    }
    Ok(Some(batch))
}

/// Reads the rejects back, in the order of the file.
pub fn read_rejects(path: &Path) -> io::Result<impl Iterator<Item = io::Result<Reject>> + use<>> {
    let mut input = BufReader::with_capacity(1 << 16, File::open(path)?);
    Ok(std::iter::from_fn(move || read_reject(&mut input).transpose()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reject::RejectCode;

    #[test]
    fn rejects_come_back_as_they_were_written() {
        let rejects = [
            Reject {
                row: 17,
                byte: 400,
                column: Some("Qty".into()),
                code: RejectCode::BelowMinimum,
                message: "`0` is below 1".into(),
                raw: b"a;\xe6;0".to_vec(),
                masked: Some("a;•;0".into()),
            },
            Reject {
                row: 18,
                byte: 410,
                column: None,
                code: RejectCode::RaggedRow,
                message: String::new(),
                raw: vec![],
                masked: None,
            },
        ];
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut output = file.reopen().unwrap();
        for reject in &rejects {
            write_reject(&mut output, reject).unwrap();
        }
        let back: Vec<Reject> = read_rejects(file.path()).unwrap().map(Result::unwrap).collect();
        assert_eq!(back, rejects);
    }
}
