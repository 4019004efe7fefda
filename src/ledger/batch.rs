//! Batches and attempts: sealed before the first byte is sent, and every request written down before it leaves.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rusqlite::{CachedStatement, OptionalExtension, Row, Transaction, params};

use super::rate::Ask;
use super::reject::insert_refused;
use super::row::{Answers, AttemptRow, BatchId, BatchRow, FileId, Finished, RunLease, Verdict};
use super::{Fault, Ledger, LedgerError, Result, from_ms, one, to_ms, word};
use crate::domain::delivery::{BatchState, Fate, IdempotencyKey, SealedBatch};
use crate::domain::name::{RunId, Sha256Hex};
use crate::domain::pace::Admission;

/// The most batches that one transaction seals.
const SEAL_AT_ONCE: usize = 1000;

/// What a call changes in the counts of one file.
#[derive(Default)]
struct Delta {
    accepted: i64,
    refused: i64,
    unanswered: i64,
    pending: i64,
    attempts: i64,
}

/// The counts of one batch, before and after an outcome.
#[derive(Clone, Copy)]
struct Counts {
    file: i64,
    records: i64,
    unanswered: i64,
    pending: i64,
}

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
            let made: i64 = tx.query_row("SELECT made FROM file WHERE id = ?1", [file.0], |row| row.get(0))?;
            if sealed != made as u64 {
                return Err(LedgerError::SealIncomplete { sealed, made: made as u64 }.into());
            }
            let changed = tx.execute(
                "UPDATE file SET state = 'delivering', batches = ?2 WHERE id = ?1 AND state IN ('mapped', 'delivering')",
                params![file.0, count],
            )?;
            one(changed, || format!("file {}", file.0))
        })
    }

    /// How many batches of a file have no answer yet.
    pub fn count_unfinished(&self, file: FileId) -> Result<u64> {
        self.read(|connection| {
            let sql = "SELECT count(*) FROM batch WHERE file = ?1 AND state <> 'answered'";
            connection.query_row(sql, [file.0], |row| row.get::<_, i64>(0)).map(|count| count as u64)
        })
    }

    /// The batches of a file that have no answer yet, from an ordinal on, in their order, at most `limit`.
    pub fn unfinished_batches(&self, file: FileId, from: u64, limit: u32) -> Result<Vec<BatchRow>> {
        self.read(|connection| {
            let mut statement = connection.prepare(
                "SELECT id, ordinal, first_record, records, spool_offset, body_length, body_sha256, key, state, attempts,
                        first_attempt_at, not_before FROM batch
                  WHERE file = ?1 AND ordinal >= ?2 AND state <> 'answered' ORDER BY ordinal LIMIT ?3",
            )?;
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
                let (finished_at, verdict) = (now, Verdict::Unknown(None));
                book.finish(&Finished { batch: *id, finished_at, status: None, note, verdict })?;
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
    let mut there =
        tx.prepare_cached("SELECT key, body_sha256, records FROM batch WHERE file = ?1 AND ordinal = ?2")?;
    let sealed: Option<(String, String, i64)> = there
        .query_row(params![file.0, batch.ordinal as i64], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    if let Some((key, body, records)) = sealed {
        let same = key == batch.key.0 && body == batch.body_sha256.as_str() && records as u64 == batch.records;
        return if same { Ok(()) } else { Err(LedgerError::SealMismatch { ordinal: batch.ordinal }.into()) };
    }
    let mut insert = tx.prepare_cached(
        "INSERT INTO batch (file, ordinal, first_record, records, spool_offset, body_length, body_sha256, key, state, pending)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'sealed', ?4)",
    )?;
    insert.execute(params![
        file.0,
        batch.ordinal as i64,
        batch.first_record as i64,
        batch.records as i64,
        batch.spool_offset as i64,
        batch.body_length as i64,
        batch.body_sha256.as_str(),
        batch.key.0
    ])?;
    Ok(())
}

/// The statements of one transaction of delivery, and what they change in the file rows.
struct Book<'t> {
    tx: &'t Transaction<'t>,
    counts: CachedStatement<'t>,
    end_attempt: CachedStatement<'t>,
    answered: CachedStatement<'t>,
    returned: CachedStatement<'t>,
    begin: CachedStatement<'t>,
    new_attempt: CachedStatement<'t>,
    deltas: HashMap<i64, Delta>,
}

impl<'t> Book<'t> {
    fn open(tx: &'t Transaction<'t>) -> rusqlite::Result<Self> {
        Ok(Self {
            tx,
            counts: tx.prepare_cached(
                "SELECT file, records, unanswered, pending, attempts FROM batch WHERE id = ?1 AND state = 'sending'",
            )?,
            end_attempt: tx.prepare_cached(
                "UPDATE attempt SET finished_at = ?3, status = ?4, outcome = ?5, note = ?6
                  WHERE batch = ?1 AND number = ?2 AND outcome = 'open'",
            )?,
            answered: tx.prepare_cached(
                "UPDATE batch SET state = 'answered', accepted = ?2, refused = ?3, unanswered = ?4, pending = 0,
                        not_before = NULL WHERE id = ?1",
            )?,
            returned: tx.prepare_cached(
                "UPDATE batch SET state = ?2, unanswered = ?3, pending = ?4, not_before = ?5 WHERE id = ?1",
            )?,
            begin: tx.prepare_cached(
                "UPDATE batch SET state = 'sending', attempts = attempts + 1, not_before = NULL,
                        first_attempt_at = coalesce(first_attempt_at, ?2)
                  WHERE id = ?1 AND state IN ('sealed', 'unanswered') RETURNING file, attempts",
            )?,
            new_attempt: tx.prepare_cached(
                "INSERT INTO attempt (batch, number, lease, started_at, outcome) VALUES (?1, ?2, ?3, ?4, 'open')",
            )?,
            deltas: HashMap::new(),
        })
    }

    fn start(&mut self, id: BatchId, lease: &RunLease, now: DateTime<Utc>) -> std::result::Result<(), Fault> {
        let begun: Option<(i64, i64)> =
            self.begin.query_row(params![id.0, to_ms(now)], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let (file, number) = begun.ok_or_else(|| LedgerError::WrongState { what: format!("batch {}", id.0) })?;
        self.new_attempt.execute(params![id.0, number, lease.lease.as_str(), to_ms(now)])?;
        self.deltas.entry(file).or_default().attempts += 1;
        Ok(())
    }

    fn finish(&mut self, finished: &Finished) -> std::result::Result<(), Fault> {
        let id = finished.batch;
        let found: Option<(Counts, i64)> = self
            .counts
            .query_row([id.0], |row| {
                let counts =
                    Counts { file: row.get(0)?, records: row.get(1)?, unanswered: row.get(2)?, pending: row.get(3)? };
                Ok((counts, row.get(4)?))
            })
            .optional()?;
        let (counts, attempt) = found.ok_or_else(|| LedgerError::WrongState { what: format!("batch {}", id.0) })?;
        let outcome = match &finished.verdict {
            Verdict::Answered(answers) => self.answer(id, counts, answers)?,
            Verdict::NotTaken(due) => self.give_back(id, counts, counts.unanswered, *due, "not_taken")?,
            Verdict::Unknown(due) => self.give_back(id, counts, counts.records, *due, "unknown")?,
        };
        let note = shortened(&finished.note);
        let changed = self.end_attempt.execute(params![
            id.0,
            attempt,
            to_ms(finished.finished_at),
            finished.status,
            outcome,
            note
        ])?;
        one(changed, || format!("attempt {attempt} of batch {}", id.0))
    }

    fn answer(&mut self, id: BatchId, counts: Counts, answers: &Answers) -> std::result::Result<&'static str, Fault> {
        let (accepted, refused, unanswered) = match answers {
            Answers::AllAccepted => (counts.records, 0, 0),
            Answers::Each(fates, kept) => {
                let count = |wanted: fn(&Fate) -> bool| fates.iter().filter(|fate| wanted(fate)).count() as i64;
                for record in kept {
                    insert_refused(self.tx, FileId(counts.file), record)?;
                }
                (
                    count(|fate| *fate == Fate::Accepted),
                    count(|fate| matches!(fate, Fate::Refused { .. })),
                    count(|fate| *fate == Fate::Unanswered),
                )
            }
        };
        self.answered.execute(params![id.0, accepted, refused, unanswered])?;
        let delta = self.deltas.entry(counts.file).or_default();
        delta.accepted += accepted;
        delta.refused += refused;
        delta.unanswered += unanswered - counts.unanswered;
        delta.pending -= counts.pending;
        Ok("answered")
    }

    /// The batch waits again, with `unanswered` of its records unanswered and the rest pending.
    fn give_back(
        &mut self,
        id: BatchId,
        counts: Counts,
        unanswered: i64,
        due: Option<DateTime<Utc>>,
        outcome: &'static str,
    ) -> std::result::Result<&'static str, Fault> {
        let state = if unanswered > 0 { BatchState::Unanswered } else { BatchState::Sealed };
        let pending = counts.records - unanswered;
        self.returned.execute(params![id.0, state.word(), unanswered, pending, due.map(to_ms)])?;
        let delta = self.deltas.entry(counts.file).or_default();
        delta.unanswered += unanswered - counts.unanswered;
        delta.pending += pending - counts.pending;
        Ok(outcome)
    }

    /// Adds up what the transaction changed, once for each file.
    fn close(self) -> std::result::Result<(), Fault> {
        let mut update = self.tx.prepare_cached(
            "UPDATE file SET accepted = accepted + ?2, refused = refused + ?3, unanswered = unanswered + ?4,
                    pending = pending + ?5, attempts = attempts + ?6 WHERE id = ?1",
        )?;
        for (file, delta) in &self.deltas {
            update.execute(params![
                file,
                delta.accepted,
                delta.refused,
                delta.unanswered,
                delta.pending,
                delta.attempts
            ])?;
        }
        Ok(())
    }
}

/// At most 4 KiB of a note, cut between characters.
fn shortened(note: &str) -> &str {
    const MOST: usize = 4096;
    &note[..note.floor_char_boundary(MOST)]
}

fn batch_row(row: &Row<'_>) -> rusqlite::Result<BatchRow> {
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
            key: IdempotencyKey(row.get(7)?),
        },
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
