//! Batches and attempts: sealed before the first byte is sent, and every request written down before it leaves.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::book::Book;
use super::measure::insert_batch_amounts;
use super::rate::Ask;
use super::row::{AttemptRow, BatchId, BatchRow, FileId, Finished, RunLease, SendingSpan, Verdict};
use super::{Fault, Ledger, LedgerError, Result, from_ms, one, word};
use crate::domain::delivery::{BatchOrigin, BatchState, IdempotencyKey, SealedBatch};
use crate::domain::file::FileState;
use crate::domain::name::{RunId, Sha256Hex};
use crate::domain::pace::Admission;

/// The most batches that one transaction seals.
const SEAL_AT_ONCE: usize = 1000;

pub(super) const SELECT_BATCH: &str =
    "SELECT id, ordinal, first_record, records, spool_offset, body_length, body_sha256,
    key, state, attempts, first_attempt_at, not_before, origin, request_sha256 FROM batch";

impl Ledger {
    /// Seals the batches of a file: keys, bodies and ranges never change afterwards. A repeat finds them sealed; a
    /// different batch at the same place is refused. The last transaction opens the file for delivery.
    pub fn seal(
        &self,
        lease: &RunLease,
        file: FileId,
        batches: &mut dyn Iterator<Item = std::io::Result<SealedBatch>>,
    ) -> Result<()> {
        let (mut count, mut sealed) = (0_i64, 0);
        loop {
            let chunk: std::io::Result<Vec<SealedBatch>> = batches.take(SEAL_AT_ONCE).collect();
            let chunk = chunk.map_err(LedgerError::Artifact)?;
            if chunk.is_empty() {
                break;
            }
            self.write_held(lease, |tx| chunk.iter().try_for_each(|batch| seal_one(tx, file, batch)))?;
            count += chunk.len() as i64;
            sealed += chunk.iter().map(|batch| batch.records).sum::<u64>();
        }
        self.write_held(lease, |tx| {
            // A repeat finds every batch as it was sealed; the file may have grown by replays since.
            let (made, state): (i64, String) = tx.query_row(
                "SELECT CASE WHEN state IN ('delivering', 'settled') THEN (SELECT CAST(coalesce(sum(records), 0) AS BIGINT) FROM batch
                                                            WHERE batch.file = file.id AND origin = 'file')
                        ELSE made END, state FROM file WHERE id = ?1",
                [file.0],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            if sealed != made as u64 {
                return Err(LedgerError::SealIncomplete { sealed, made: made as u64 }.into());
            }
            if state != FileState::Mapped.word() {
                return Ok(());
            }
            let changed = tx.execute(
                "UPDATE file SET state = 'delivering', batches = ?2 WHERE id = ?1 AND state = 'mapped'",
                params![file.0, count],
            )?;
            one(changed, || format!("file {}", file.0))
        })
    }

    /// How many batches of a file have no answer yet.
    pub fn count_unfinished(&self, file: FileId) -> Result<u64> {
        self.read(|connection| {
            let sql = "SELECT count(*) FROM batch WHERE file = ?1 AND state NOT IN ('answered', 'split')";
            connection.query_row(sql, [file.0], |row| row.get::<_, i64>(0)).map(|count| count as u64)
        })
    }

    /// The ordinal that the next batch of a file will have.
    pub fn next_ordinal(&self, file: FileId) -> Result<u64> {
        self.read(|connection| {
            let sql = "SELECT coalesce(max(ordinal) + 1, 0) FROM batch WHERE file = ?1";
            connection.query_row(sql, [file.0], |row| row.get::<_, i64>(0)).map(|ordinal| ordinal as u64)
        })
    }

    /// Whether a batch of the file itself, in its first spool, has no answer yet.
    pub fn needs_first_spool(&self, file: FileId) -> Result<bool> {
        self.read(|connection| {
            let sql = "SELECT EXISTS (SELECT 1 FROM batch
                        WHERE file = ?1 AND state NOT IN ('answered', 'split') AND origin = 'file')";
            connection.query_row(sql, [file.0], |row| row.get(0))
        })
    }

    /// The batches of a file that have no answer yet, from an ordinal on, in their order, at most `limit`.
    pub fn unfinished_batches(&self, file: FileId, from: u64, limit: u32) -> Result<Vec<BatchRow>> {
        self.read(|connection| {
            let mut statement = connection.prepare(&format!(
                "{SELECT_BATCH} WHERE file = ?1 AND ordinal >= ?2 AND state NOT IN ('answered', 'split')
                  ORDER BY ordinal LIMIT ?3"
            ))?;
            let rows = statement.query_map(params![file.0, from as i64, limit], batch_row)?;
            rows.collect()
        })
    }

    /// Closes the attempts that a crash left open: their outcome is unknown, their records are unanswered. A repeat finds
    /// none. Gives their number.
    pub fn recover_attempts(&self, lease: &RunLease, now: DateTime<Utc>) -> Result<u64> {
        self.write_held(lease, |tx| {
            let mut open = tx.prepare(
                "SELECT b.id FROM batch b JOIN file f ON f.id = b.file WHERE f.run = ?1 AND b.state = 'sending'",
            )?;
            let ids = open.query_map([lease.run.as_str()], |row| row.get(0).map(BatchId))?;
            let ids: Vec<BatchId> = ids.collect::<rusqlite::Result<_>>()?;
            let mut book = Book::open(tx)?;
            for id in &ids {
                let note = "the process ended before the outcome was written down".to_owned();
                let (finished_at, verdict, portions) = (now, Verdict::Unknown(None), Vec::new());
                book.finish(&Finished { batch: *id, finished_at, status: None, note, verdict, portions })?;
            }
            book.close()?;
            Ok(ids.len() as u64)
        })
    }

    /// Writes down what has finished and opens attempts for the first of `ask.want`, as many as the connection admits, in one
    /// transaction. Only after it may a request leave.
    pub fn depart(
        &self,
        lease: &RunLease,
        finished: &[Finished],
        ask: &Ask<'_>,
        now: DateTime<Utc>,
    ) -> Result<Admission> {
        self.write_held(lease, |tx| {
            let mut book = Book::open(tx)?;
            for outcome in finished {
                book.finish(outcome)?;
            }
            let admission = self.admit(tx, lease, ask, now)?;
            for id in &ask.want[..admission.departures.len()] {
                book.start(*id, lease, now)?;
            }
            book.close()?;
            Ok(admission)
        })
    }

    /// When the first request of a run left, and when the last one ended.
    pub fn sending_span(&self, run: &RunId) -> Result<Option<SendingSpan>> {
        self.read(|connection| {
            let sql = "SELECT min(a.started_at), max(a.finished_at)
                         FROM file f JOIN batch b ON b.file = f.id JOIN attempt a ON a.batch = b.id WHERE f.run = ?1";
            connection.query_row(sql, [run.as_str()], |row| {
                let (first, last): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
                Ok(first.map(|first| (from_ms(first), last.map(from_ms))))
            })
        })
    }

    /// The attempts of a run, by batch and number.
    pub fn attempts(&self, run: &RunId, limit: u32) -> Result<Vec<AttemptRow>> {
        self.read(|connection| {
            let mut statement = connection.prepare(
                "SELECT b.ordinal, a.number, a.started_at, a.finished_at, a.status, a.outcome, a.note
                   FROM file f JOIN batch b ON b.file = f.id JOIN attempt a ON a.batch = b.id
                  WHERE f.run = ?1 ORDER BY f.ordinal, b.ordinal, a.number LIMIT ?2",
            )?;
            let rows = statement.query_map(params![run.as_str(), limit], attempt_row)?;
            rows.collect()
        })
    }
}

fn seal_one(tx: &Transaction<'_>, file: FileId, batch: &SealedBatch) -> std::result::Result<(), Fault> {
    let mut there = tx.prepare_cached(
        "SELECT key, body_sha256, records, request_sha256 FROM batch WHERE file = ?1 AND ordinal = ?2",
    )?;
    let sealed: Option<(String, String, i64, Option<String>)> = there
        .query_row(params![file.0, batch.ordinal as i64], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let request_sha256 = batch.request_sha256.as_ref().map(Sha256Hex::as_str);
    if let Some((key, body, records, request)) = sealed {
        let same = key == batch.key.0
            && body == batch.body_sha256.as_str()
            && records as u64 == batch.records
            && request.as_deref() == request_sha256;
        return if same { Ok(()) } else { Err(LedgerError::SealMismatch { ordinal: batch.ordinal }.into()) };
    }
    let mut insert = tx.prepare_cached(
        "INSERT INTO batch (file, ordinal, first_record, records, spool_offset, body_length, body_sha256, key, state, pending,
                            request_sha256)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'sealed', ?4, ?9)",
    )?;
    insert.execute(params![
        file.0,
        batch.ordinal as i64,
        batch.first_record as i64,
        batch.records as i64,
        batch.spool_offset as i64,
        batch.body_length as i64,
        batch.body_sha256.as_str(),
        batch.key.0,
        request_sha256
    ])?;
    Ok(insert_batch_amounts(tx, tx.last_insert_rowid(), &batch.amounts)?)
}

pub(super) fn batch_row(row: &Row<'_>) -> rusqlite::Result<BatchRow> {
    let count = |at: usize| row.get::<_, i64>(at).map(|count| count as u64);
    Ok(BatchRow {
        id: BatchId(row.get(0)?),
        sealed: SealedBatch {
            ordinal: count(1)?,
            first_record: count(2)?,
            records: count(3)?,
            spool_offset: count(4)?,
            body_length: count(5)?,
            body_sha256: Sha256Hex::new(row.get::<_, String>(6)?),
            request_sha256: row.get::<_, Option<String>>(13)?.map(Sha256Hex::new),
            key: IdempotencyKey(row.get(7)?),
            // Sending needs no amounts; the ledger moves them by itself.
            amounts: Vec::new(),
        },
        origin: word(row.get(12)?, BatchOrigin::from_word)?,
        state: word(row.get(8)?, BatchState::from_word)?,
        attempts: row.get(9)?,
        first_attempt_at: row.get::<_, Option<i64>>(10)?.map(from_ms),
        not_before: row.get::<_, Option<i64>>(11)?.map(from_ms),
    })
}

fn attempt_row(row: &Row<'_>) -> rusqlite::Result<AttemptRow> {
    Ok(AttemptRow {
        batch: row.get::<_, i64>(0)? as u64,
        number: row.get(1)?,
        started_at: from_ms(row.get(2)?),
        finished_at: row.get::<_, Option<i64>>(3)?.map(from_ms),
        status: row.get(4)?,
        outcome: row.get(5)?,
        note: row.get(6)?,
    })
}
