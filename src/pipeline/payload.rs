//! The bodies of a file's batches and where their records come from: the payload spool that mapping wrote, and a second one
//! that grows by the batches which carry records of others.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::RunError;
use super::convert::IndexEntry;
use super::key::derived;
use super::land::hex;
use super::mapped::Artifacts;
use super::measuring::Measuring;
use super::protocol::Protocol;
use super::wire::{Form, Wire};
use crate::domain::delivery::{BatchOrigin, Fate, SealedBatch};
use crate::ledger::row::{Part, Portion, SecondBody};
use crate::mapping::envelope::Envelope;
use crate::mapping::request::Request as Made;

/// Bodies, back to back, with the place and the length of each record.
struct Store {
    spool: File,
    index: File,
    lengths: File,
}

/// The payload of one file.
pub struct Payload {
    /// As it was mapped first; `None` when nothing of it is needed.
    first: Option<Store>,
    second: OnceLock<Store>,
    second_paths: [PathBuf; 3],
    /// What rows were read from.
    content: File,
    /// Those of the bodies in it: of the mapping that the run began with, and of the one it has now.
    forms: [Form; 2],
    /// Reads what records add to the job's measures; `None` where nothing is added up.
    measuring: Option<Measuring>,
}

/// What is sent for a batch.
pub struct Request {
    /// Path and query; `None`: those of the target.
    pub path: Option<String>,
    /// The body.
    pub body: Bytes,
    /// What the other side speaks.
    pub protocol: Protocol,
}

impl Payload {
    /// Opens what is there; `content` is what rows were read from, and `first` says whether the bodies of the file itself
    /// are needed.
    pub fn open(
        artifacts: &Artifacts,
        content: &Path,
        first: bool,
        forms: [Form; 2],
        measuring: Option<Measuring>,
    ) -> io::Result<Self> {
        let first = match first {
            true => Some(Store {
                spool: File::open(&artifacts.spool)?,
                index: File::open(&artifacts.index)?,
                lengths: File::open(&artifacts.lengths)?,
            }),
            false => None,
        };
        let there = artifacts.second.iter().all(|path| path.exists());
        let second = OnceLock::new();
        if there {
            let _ = second.set(Store::grow(&artifacts.second)?);
        }
        let second_paths = artifacts.second.clone();
        Ok(Self { first, second, second_paths, content: File::open(content)?, forms, measuring })
    }

    fn store(&self, origin: BatchOrigin) -> io::Result<&Store> {
        let store = if origin == BatchOrigin::File { self.first.as_ref() } else { self.second.get() };
        store.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the payload spool of the run is gone"))
    }

    /// The body exactly as sealed; a spool that was touched is never sent.
    pub fn body(&self, origin: BatchOrigin, sealed: &SealedBatch) -> Result<Bytes, RunError> {
        let mut body = vec![0; sealed.body_length as usize];
        let store = self.store(origin).map_err(RunError::Spool)?;
        store.spool.read_exact_at(&mut body, sealed.spool_offset).map_err(RunError::Spool)?;
        if hex(&Sha256::digest(&body)).as_str() != sealed.body_sha256.as_str() {
            return Err(RunError::Internal(
                "the payload spool is not what was sealed; nothing more was sent".to_owned(),
            ));
        }
        Ok(Bytes::from(body))
    }

    /// The amounts of a batch by the fate of its records.
    pub fn divide(&self, origin: BatchOrigin, sealed: &SealedBatch, fates: &[Fate]) -> Result<Vec<Portion>, RunError> {
        let Some(measuring) = &self.measuring else { return Ok(Vec::new()) };
        let body = self.body(origin, sealed)?;
        let (_, records) = self.records(origin, sealed, &body)?;
        Ok(measuring.divide(&records, fates))
    }

    /// What one record adds to the measures of the file.
    pub fn amounts_of(
        &self,
        origin: BatchOrigin,
        sealed: &SealedBatch,
        position: u64,
    ) -> Result<Vec<(u32, i64)>, RunError> {
        let Some(measuring) = &self.measuring else { return Ok(Vec::new()) };
        let body = self.body(origin, sealed)?;
        let (_, records) = self.records(origin, sealed, &body)?;
        let record = usize::try_from(position).ok().and_then(|at| records.get(at)).ok_or_else(strange)?;
        Ok(measuring.amounts(&[record]))
    }

    /// The records in a body, and what stands around them.
    fn records<'b>(
        &self,
        origin: BatchOrigin,
        sealed: &SealedBatch,
        body: &'b [u8],
    ) -> Result<(&Envelope, Vec<&'b [u8]>), RunError> {
        let lengths = self.store(origin).and_then(|store| store.lengths_of(sealed)).map_err(RunError::Spool)?;
        let envelopes = self.forms.iter().map(|form| &form.envelope);
        let found = envelopes.into_iter().find_map(|envelope| Some((envelope, envelope.records(body, &lengths)?)));
        found.ok_or_else(strange)
    }

    /// What is sent for a batch with this `body`, exactly as sealed.
    pub fn request(&self, origin: BatchOrigin, sealed: &SealedBatch, body: &Bytes) -> Result<Request, RunError> {
        let (_, records) = self.records(origin, sealed, body)?;
        Ok(match self.wire(sealed, &records)? {
            None => Request { path: None, body: body.clone(), protocol: Protocol::Http },
            Some((wire, made)) => Request { path: made.path, body: Bytes::from(made.body), protocol: wire.protocol() },
        })
    }

    /// What makes the request of a batch, and the request; `None`: the body is sent as it is. Whichever it is, it makes what was
    /// sealed.
    fn wire(&self, sealed: &SealedBatch, records: &[&[u8]]) -> Result<Option<(&Wire, Made)>, RunError> {
        let Some(hash) = &sealed.request_sha256 else {
            return if self.forms.iter().any(|form| form.wire.is_none()) { Ok(None) } else { Err(not_sealed()) };
        };
        for wire in self.forms.iter().filter_map(|form| form.wire.as_ref()) {
            // The other form may have no place for these records.
            if let Some(made) = wire.request(records).ok().filter(|made| made.sha256() == *hash) {
                return Ok(Some((wire, made)));
            }
        }
        Err(not_sealed())
    }

    /// Where the rows of a record are, and their bytes.
    pub fn rows(&self, origin: BatchOrigin, sealed: &SealedBatch, position: u64) -> io::Result<(IndexEntry, Vec<u8>)> {
        let entry = IndexEntry::read_at(&self.store(origin)?.index, sealed.first_record + position)?;
        let mut raw = vec![0; entry.length as usize];
        self.content.read_exact_at(&mut raw, entry.byte)?;
        Ok((entry, raw))
    }

    /// Makes a body of some records of a batch in the second spool. It is on disk before this returns, so that it may be
    /// sealed; a body that never is does no harm.
    pub fn part(
        &self,
        origin: BatchOrigin,
        parent: &SealedBatch,
        positions: Vec<u64>,
        resend: u64,
    ) -> Result<Part, RunError> {
        let body = self.body(origin, parent)?;
        let store = self.store(origin).map_err(RunError::Spool)?;
        let (envelope, records) = self.records(origin, parent, &body)?;
        let (mut picked, mut entries, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
        for &position in &positions {
            let record = usize::try_from(position).ok().and_then(|at| records.get(at)).ok_or_else(strange)?;
            picked.push(*record);
            sizes.push(record.len() as u32);
            entries.push(IndexEntry::read_at(&store.index, parent.first_record + position).map_err(RunError::Spool)?);
        }
        let body = envelope.body(&picked);
        let key = derived(&parent.key, positions.first().copied().unwrap_or(0), resend);
        let amounts = self.measuring.as_ref().map(|measuring| measuring.amounts(&picked)).unwrap_or_default();
        let body = self.add(&body, &entries, &sizes).and_then(|body| self.sync().map(|()| body));
        let made = match self.wire(parent, &records)? {
            Some((wire, _)) => Some(wire.request(&picked).map_err(RunError::Internal)?.sha256()),
            None => None,
        };
        let body = SecondBody { amounts, request_sha256: made, ..body.map_err(RunError::Spool)? };
        Ok(Part { positions, body, key })
    }

    /// Adds a body of records that were mapped anew; `sync` must follow before it is sealed.
    pub fn add(&self, body: &[u8], entries: &[IndexEntry], sizes: &[u32]) -> io::Result<SecondBody> {
        let second = match self.second.get() {
            Some(second) => second,
            None => {
                let grown = Store::grow(&self.second_paths)?;
                self.second.get_or_init(|| grown)
            }
        };
        second.append(body, entries, sizes)
    }

    /// What was added is on disk when this returns.
    pub fn sync(&self) -> io::Result<()> {
        self.second.get().map_or(Ok(()), Store::sync)
    }
}

fn strange() -> RunError {
    RunError::Internal("a body does not hold the records that were sealed with it".to_owned())
}

fn not_sealed() -> RunError {
    let message = "the request is not what was sealed (by another version of Nightferry?); nothing more was sent";
    RunError::Internal(message.to_owned())
}

impl Store {
    /// Opens a store that grows, making it where it is missing.
    fn grow([spool, index, lengths]: &[PathBuf; 3]) -> io::Result<Self> {
        let open =
            |path: &PathBuf| File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        Ok(Self { spool: open(spool)?, index: open(index)?, lengths: open(lengths)? })
    }

    fn lengths_of(&self, batch: &SealedBatch) -> io::Result<Vec<u32>> {
        let mut bytes = vec![0; batch.records as usize * 4];
        self.lengths.read_exact_at(&mut bytes, batch.first_record * 4)?;
        let words = bytes.chunks_exact(4).filter_map(|word| word.try_into().ok());
        Ok(words.map(u32::from_le_bytes).collect())
    }

    /// Adds a body behind everything that is there, also behind what a crash left.
    fn append(&self, body: &[u8], entries: &[IndexEntry], sizes: &[u32]) -> io::Result<SecondBody> {
        const ENTRY: u64 = IndexEntry::SIZE as u64;
        let spool_offset = self.spool.metadata()?.len();
        let (index, lengths) = (self.index.metadata()?.len(), self.lengths.metadata()?.len());
        let first_record = index.div_ceil(ENTRY).max(lengths.div_ceil(4));
        self.spool.write_all_at(body, spool_offset)?;
        let entries: Vec<u8> = entries.iter().flat_map(IndexEntry::bytes).collect();
        self.index.write_all_at(&entries, first_record * ENTRY)?;
        let records = sizes.len() as u64;
        let sizes: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
        self.lengths.write_all_at(&sizes, first_record * 4)?;
        let (body_length, body_sha256) = (body.len() as u64, hex(&Sha256::digest(body)));
        Ok(SecondBody {
            first_record,
            records,
            spool_offset,
            body_length,
            body_sha256,
            amounts: Vec::new(),
            request_sha256: None,
        })
    }

    fn sync(&self) -> io::Result<()> {
        [&self.spool, &self.index, &self.lengths].iter().try_for_each(|file| file.sync_data())
    }
}
