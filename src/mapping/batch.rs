//! Batches: records in order → bodies, back to back in the spool, each with its hash.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

use super::chunk::Mapped;
use super::envelope::Envelope;
use super::gauge::{Amount, Gauge, Totals};
use super::request::Encoder;
use super::spec::{MappingSpec, OutputFormat};
use super::version::hex;
use crate::domain::job::BatchRule;
use crate::domain::name::Sha256Hex;
use crate::format::write::RecordWriter;

/// A body in the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpooledBatch {
    /// Index of its first record within the file's records, from 0.
    pub first_record: u64,
    /// Number of records.
    pub records: u64,
    /// Where its body starts in the spool, in bytes.
    pub spool_offset: u64,
    /// Length of its body in bytes.
    pub body_length: u64,
    /// SHA-256 of its body.
    pub body_sha256: Sha256Hex,
    /// What its records add to the job's measures.
    pub amounts: Vec<Amount>,
    /// SHA-256 of the request that is made of it; `None`: the body is what is sent.
    pub request_sha256: Option<Sha256Hex>,
}

/// Puts records into bodies. The boundaries depend on the records and the rule alone, never on chunks.
pub struct Batcher<'a> {
    spool: io::BufWriter<&'a mut dyn Write>,
    done: &'a mut dyn FnMut(SpooledBatch) -> io::Result<()>,
    most_records: u64,
    most_bytes: u64,
    envelope: Envelope,
    /// Takes the length of each record, four little-endian bytes, so that records can be found in their bodies.
    lengths: Option<&'a mut dyn Write>,
    /// Makes the request of each body, and what it has made so far of the open one.
    encoder: Option<(Encoder, Vec<u8>)>,
    hasher: Sha256,
    /// Records in the open batch.
    records: u64,
    /// Bytes of the open batch, without `behind`.
    length: u64,
    first_record: u64,
    offset: u64,
    gauge: Option<(&'a Gauge, &'a mut Totals)>,
}

impl<'a> Batcher<'a> {
    /// Bodies go to `spool`, and `done` is called with each.
    pub fn new(
        rule: &BatchRule,
        format: OutputFormat,
        spool: &'a mut dyn Write,
        done: &'a mut dyn FnMut(SpooledBatch) -> io::Result<()>,
    ) -> Self {
        let spool = io::BufWriter::with_capacity(64 << 10, spool);
        let (most_records, most_bytes) = (u64::from(rule.records.max(1)), rule.bytes);
        Self {
            spool,
            done,
            most_records,
            most_bytes,
            envelope: Envelope::new(rule, format),
            lengths: None,
            encoder: None,
            hasher: Sha256::new(),
            records: 0,
            length: 0,
            first_record: 0,
            offset: 0,
            gauge: None,
        }
    }

    /// The same, and the length of each record goes to `lengths`.
    #[must_use]
    pub fn with_lengths(self, lengths: &'a mut dyn Write) -> Self {
        Self { lengths: Some(lengths), ..self }
    }

    /// Also adds up what the gauge reads.
    pub fn measure(&mut self, gauge: &'a Gauge, totals: &'a mut Totals) {
        self.gauge = Some((gauge, totals));
    }

    /// The same, and `encoder` makes the request of each body.
    #[must_use]
    pub fn with_requests(self, encoder: Option<Encoder>) -> Self {
        Self { encoder: encoder.map(|encoder| (encoder, Vec::new())), ..self }
    }

    /// What its requests are written with; `None`: they are JSON.
    pub fn writer(&self, spec: &MappingSpec) -> Option<Box<dyn RecordWriter>> {
        let (encoder, _) = self.encoder.as_ref()?;
        Encoder::new(spec, encoder.rule()).map(|encoder| Box::new(encoder) as Box<dyn RecordWriter>)
    }

    /// What stands behind each record of a chunk.
    pub fn separator(&self) -> Option<u8> {
        self.envelope.separator
    }

    /// Number of records so far.
    pub fn made(&self) -> u64 {
        self.first_record + self.records
    }

    /// Adds the records of a chunk.
    ///
    /// # Errors
    /// Those of the spool and of `done`.
    pub fn add(&mut self, mapped: &Mapped) -> io::Result<()> {
        let separator = usize::from(self.envelope.separator.is_some());
        // The records from `from` on are in the batch, but not written yet.
        let (mut from, mut start) = (0, 0);
        for &end in &mapped.ends {
            let size = (end - start) as u64;
            let grown =
                self.length + u64::from(self.records > 0) * separator as u64 + size + self.envelope.behind.len() as u64;
            if self.records == self.most_records || (self.records > 0 && grown > self.most_bytes) {
                self.write(mapped.out.get(from..start.saturating_sub(separator).max(from)))?;
                self.close()?;
                from = start;
            }
            if self.records == 0 {
                self.open()?;
            } else {
                self.length += separator as u64;
                if let (0, Some(byte)) = (start, self.envelope.separator) {
                    // What stands behind the last record of the chunk before.
                    self.write(Some(&[byte]))?;
                }
            }
            self.length += size;
            self.records += 1;
            if let Some(lengths) = &mut self.lengths {
                lengths.write_all(&u32::try_from(size).map_err(io::Error::other)?.to_le_bytes())?;
            }
            if let Some((gauge, totals)) = &mut self.gauge {
                gauge.add(mapped.out.get(start..end).unwrap_or_default(), totals);
            }
            self.encode(mapped.out.get(start..end).unwrap_or_default())?;
            start = end + separator;
        }
        self.write(mapped.out.get(from..start.saturating_sub(separator).max(from)))
    }

    /// Ends the last batch.
    ///
    /// # Errors
    /// Those of the spool and of `done`.
    pub fn finish(&mut self) -> io::Result<u64> {
        if self.records > 0 {
            self.close()?;
        }
        self.spool.flush()?;
        if let Some(lengths) = &mut self.lengths {
            lengths.flush()?;
        }
        Ok(self.first_record)
    }

    /// Adds a record to the request of the open batch.
    fn encode(&mut self, record: &[u8]) -> io::Result<()> {
        let Some((encoder, request)) = &mut self.encoder else { return Ok(()) };
        let mut refused = Vec::new();
        encoder.record(record, request, &mut refused);
        match refused.first() {
            None => Ok(()),
            // What cannot be written was rejected while the file was mapped.
            Some(refused) => Err(io::Error::other(format!("a record that was mapped {}", refused.message))),
        }
    }

    /// The hash of the request of the open batch.
    fn request_sha256(&mut self) -> io::Result<Option<Sha256Hex>> {
        let Some((encoder, request)) = &mut self.encoder else { return Ok(None) };
        encoder.end(request).map_err(io::Error::other)?;
        Ok(Some(encoder.request(std::mem::take(request)).sha256()))
    }

    fn open(&mut self) -> io::Result<()> {
        if let Some((encoder, request)) = &mut self.encoder {
            encoder.begin(request);
        }
        self.length = self.envelope.before.len() as u64;
        self.hasher.update(&self.envelope.before);
        self.spool.write_all(&self.envelope.before)
    }

    fn close(&mut self) -> io::Result<()> {
        self.hasher.update(&self.envelope.behind);
        self.spool.write_all(&self.envelope.behind)?;
        let body_length = self.length + self.envelope.behind.len() as u64;
        let batch = SpooledBatch {
            first_record: self.first_record,
            records: self.records,
            spool_offset: self.offset,
            body_length,
            body_sha256: hex(&self.hasher.finalize_reset()),
            amounts: self.gauge.as_mut().map(|(_, totals)| totals.take()).unwrap_or_default(),
            request_sha256: self.request_sha256()?,
        };
        self.offset += body_length;
        self.first_record += self.records;
        self.records = 0;
        self.length = 0;
        (self.done)(batch)
    }

    fn write(&mut self, bytes: Option<&[u8]>) -> io::Result<()> {
        let bytes = bytes.unwrap_or_default();
        self.hasher.update(bytes);
        self.spool.write_all(bytes)
    }
}

/// True when each record is a body of its own: a bare object.
pub fn is_alone(rule: &BatchRule) -> bool {
    rule.records <= 1 && rule.wrap.is_none()
}
