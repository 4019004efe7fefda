//! What comes back from the target, written down: one transaction of delivery, its statements and what they change.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rusqlite::{CachedStatement, OptionalExtension, Transaction, params};

use super::measure::{Column, divide, move_amounts, refuse_the_rest};
use super::reject::insert_refused;
use super::row::{Answers, BatchId, FileId, Finished, Part, RefusedRecord, RunLease, Verdict};
use super::{Fault, LedgerError, one, to_ms, word};
use crate::domain::delivery::{BatchOrigin, BatchState, Fate};
use crate::domain::name::Sha256Hex;
use crate::domain::reference;

type Done<T> = Result<T, Fault>;

/// What a call changes in the counts of one file.
#[derive(Default)]
struct Delta {
    accepted: i64,
    refused: i64,
    unanswered: i64,
    pending: i64,
    attempts: i64,
    batches: i64,
}

/// A batch before an outcome.
#[derive(Clone, Copy)]
struct Before {
    file: i64,
    records: i64,
    unanswered: i64,
    pending: i64,
    attempts: i64,
    origin: BatchOrigin,
}

/// The statements of one transaction of delivery, and what they change in the file rows.
pub(super) struct Book<'t> {
    tx: &'t Transaction<'t>,
    before: CachedStatement<'t>,
    end_attempt: CachedStatement<'t>,
    answered: CachedStatement<'t>,
    returned: CachedStatement<'t>,
    begin: CachedStatement<'t>,
    new_attempt: CachedStatement<'t>,
    deltas: HashMap<i64, Delta>,
}

impl<'t> Book<'t> {
    pub(super) fn open(tx: &'t Transaction<'t>) -> rusqlite::Result<Self> {
        Ok(Self {
            tx,
            before: tx.prepare_cached(
                "SELECT file, records, unanswered, pending, attempts, origin FROM batch
                  WHERE id = ?1 AND state = 'sending'",
            )?,
            end_attempt: tx.prepare_cached(
                "UPDATE attempt SET finished_at = ?3, status = ?4, outcome = ?5, note = ?6
                  WHERE batch = ?1 AND number = ?2 AND outcome = 'open'",
            )?,
            answered: tx.prepare_cached(
                "UPDATE batch SET state = ?2, accepted = ?3, refused = ?4, unanswered = ?5, pending = 0, moved = ?6,
                        fates = ?7, not_before = NULL WHERE id = ?1",
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

    pub(super) fn start(&mut self, id: BatchId, lease: &RunLease, now: DateTime<Utc>) -> Done<()> {
        let begun: Option<(i64, i64)> =
            self.begin.query_row(params![id.0, to_ms(now)], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let (file, number) = begun.ok_or_else(|| LedgerError::WrongState { what: format!("batch {}", id.0) })?;
        self.new_attempt.execute(params![id.0, number, lease.lease.as_str(), to_ms(now)])?;
        self.deltas.entry(file).or_default().attempts += 1;
        Ok(())
    }

    pub(super) fn finish(&mut self, finished: &Finished) -> Done<()> {
        let id = finished.batch;
        let found = self.before.query_row([id.0], |row| {
            Ok(Before {
                file: row.get(0)?,
                records: row.get(1)?,
                unanswered: row.get(2)?,
                pending: row.get(3)?,
                attempts: row.get(4)?,
                origin: word(row.get(5)?, BatchOrigin::from_word)?,
            })
        });
        let before = found.optional()?.ok_or_else(|| LedgerError::WrongState { what: format!("batch {}", id.0) })?;
        let outcome = match &finished.verdict {
            Verdict::Answered(answers) => {
                let outcome = self.answer(id, before, answers)?;
                divide(self.tx, id.0, &finished.portions)?;
                outcome
            }
            Verdict::NotTaken(due) => self.give_back(id, before, before.unanswered, *due, "not_taken")?,
            Verdict::Unknown(due) => self.give_back(id, before, before.records, *due, "unknown")?,
            Verdict::Split(refused, parts) => self.split(id, before, refused, parts)?,
        };
        let changed = self.end_attempt.execute(params![
            id.0,
            before.attempts,
            to_ms(finished.finished_at),
            finished.status,
            outcome,
            shortened(&finished.note)
        ])?;
        one(changed, || format!("attempt {} of batch {}", before.attempts, id.0))
    }

    fn answer(&mut self, id: BatchId, before: Before, answers: &Answers) -> Done<&'static str> {
        let counted = match answers {
            Answers::AllAccepted => Letters { accepted: before.records, ..Letters::default() },
            Answers::Each(fates, kept) => {
                for record in kept {
                    insert_refused(self.tx, FileId(before.file), id, record)?;
                }
                self.keep_references(id, fates)?;
                Letters::of(fates)
            }
        };
        if before.origin != BatchOrigin::File {
            self.answer_for_carried(id, answers)?;
        }
        let Letters { accepted, refused, unanswered, .. } = counted;
        let text = counted.text();
        self.answered.execute(params![id.0, BatchState::Answered.word(), accepted, refused, unanswered, 0, text])?;
        let delta = self.deltas.entry(before.file).or_default();
        delta.accepted += accepted;
        delta.refused += refused;
        delta.unanswered += unanswered - before.unanswered;
        delta.pending -= before.pending;
        Ok("answered")
    }

    fn keep_references(&self, id: BatchId, fates: &[Fate]) -> rusqlite::Result<()> {
        let references: Vec<Option<&str>> = fates
            .iter()
            .map(|fate| match fate {
                Fate::Accepted { reference } => reference.as_deref(),
                _ => None,
            })
            .collect();
        if references.iter().all(Option::is_none) {
            return Ok(());
        }
        let mut insert = self.tx.prepare_cached("INSERT INTO batch_reference (batch, list) VALUES (?1, ?2)")?;
        insert.execute(params![id.0, reference::pack(&references)]).map(drop)
    }

    /// A reject whose row this batch carried leaves the open list: the target has answered for it. What it refused now has
    /// an open entry of its own.
    fn answer_for_carried(&self, id: BatchId, answers: &Answers) -> rusqlite::Result<()> {
        match answers {
            Answers::AllAccepted => {
                let sql = "UPDATE reject SET state = 'replayed' WHERE carrier = ?1 AND state = 'open'";
                self.tx.prepare_cached(sql)?.execute([id.0])?;
            }
            Answers::Each(fates, _) => {
                for (position, _) in (0_u64..).zip(fates).filter(|(_, fate)| **fate != Fate::Unanswered) {
                    self.answered_for(id, position)?;
                }
            }
        }
        Ok(())
    }

    fn answered_for(&self, id: BatchId, position: u64) -> rusqlite::Result<()> {
        let sql =
            "UPDATE reject SET state = 'replayed' WHERE carrier = ?1 AND carrier_position = ?2 AND state = 'open'";
        self.tx.prepare_cached(sql)?.execute(params![id.0, position as i64]).map(drop)
    }

    /// Closes a batch that the target did not take; its records are refused one by one, or go on in smaller batches, which
    /// are sealed here, before anybody sends them.
    fn split(&mut self, id: BatchId, before: Before, refused: &[RefusedRecord], parts: &[Part]) -> Done<&'static str> {
        let mut letters = Letters::all(before.records, b'm');
        for record in refused {
            insert_refused(self.tx, FileId(before.file), id, record)?;
            letters.set(record.position, b'r');
            self.answered_for(id, record.position)?;
        }
        for part in parts {
            let child = seal_part(self.tx, FileId(before.file), id, part, BatchOrigin::Split, 0)?;
            carry_on(self.tx, id, child, part)?;
            move_amounts(self.tx, id, child, &part.body.amounts, Column::Open)?;
        }
        refuse_the_rest(self.tx, id)?;
        let moved: i64 = parts.iter().map(|part| part.body.records as i64).sum();
        let count = refused.len() as i64;
        let text = letters.text();
        self.answered.execute(params![id.0, BatchState::Split.word(), 0, count, 0, moved, text])?;
        let delta = self.deltas.entry(before.file).or_default();
        delta.refused += count;
        delta.unanswered -= before.unanswered;
        delta.pending += moved - before.pending;
        delta.batches += parts.len() as i64;
        Ok("answered")
    }

    /// The batch waits again, with `unanswered` of its records unanswered and the rest pending.
    fn give_back(
        &mut self,
        id: BatchId,
        before: Before,
        unanswered: i64,
        due: Option<DateTime<Utc>>,
        outcome: &'static str,
    ) -> Done<&'static str> {
        let state = if unanswered > 0 { BatchState::Unanswered } else { BatchState::Sealed };
        let pending = before.records - unanswered;
        self.returned.execute(params![id.0, state.word(), unanswered, pending, due.map(to_ms)])?;
        let delta = self.deltas.entry(before.file).or_default();
        delta.unanswered += unanswered - before.unanswered;
        delta.pending += pending - before.pending;
        Ok(outcome)
    }

    /// Adds up what the transaction changed, once for each file.
    pub(super) fn close(self) -> Done<()> {
        let mut update = self.tx.prepare_cached(
            "UPDATE file SET accepted = accepted + ?2, refused = refused + ?3, unanswered = unanswered + ?4,
                    pending = pending + ?5, attempts = attempts + ?6, batches = batches + ?7 WHERE id = ?1",
        )?;
        for (file, delta) in &self.deltas {
            update.execute(params![
                file,
                delta.accepted,
                delta.refused,
                delta.unanswered,
                delta.pending,
                delta.attempts,
                delta.batches
            ])?;
        }
        Ok(())
    }
}

/// Seals a batch of some records of another; it continues the ordinals of the file.
pub(super) fn seal_part(
    tx: &Transaction<'_>,
    file: FileId,
    parent: BatchId,
    part: &Part,
    origin: BatchOrigin,
    resend: u64,
) -> rusqlite::Result<BatchId> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO batch (file, ordinal, first_record, records, spool_offset, body_length, body_sha256, key, state,
                            pending, origin, parent, resend, request_sha256)
         SELECT ?1, max(ordinal) + 1, ?2, ?3, ?4, ?5, ?6, ?7, 'sealed', ?3, ?8, ?9, ?10, ?11 FROM batch WHERE file = ?1",
    )?;
    let body = &part.body;
    insert.execute(params![
        file.0,
        body.first_record as i64,
        body.records as i64,
        body.spool_offset as i64,
        body.body_length as i64,
        body.body_sha256.as_str(),
        part.key.0,
        origin.word(),
        parent.0,
        resend as i64,
        body.request_sha256.as_ref().map(Sha256Hex::as_str)
    ])?;
    Ok(BatchId(tx.last_insert_rowid()))
}

/// Rejects whose rows the parent carried are carried by its part from now on.
fn carry_on(tx: &Transaction<'_>, parent: BatchId, child: BatchId, part: &Part) -> rusqlite::Result<()> {
    let mut update = tx.prepare_cached(
        "UPDATE reject SET carrier = ?3, carrier_position = ?4 WHERE carrier = ?1 AND carrier_position = ?2 AND state = 'open'",
    )?;
    for (now, then) in (0_i64..).zip(&part.positions) {
        update.execute(params![parent.0, *then as i64, child.0, now])?;
    }
    Ok(())
}

/// Fates of the records of a batch, one letter each, and their counts.
#[derive(Default)]
struct Letters {
    letters: Vec<u8>,
    accepted: i64,
    refused: i64,
    unanswered: i64,
}

impl Letters {
    fn of(fates: &[Fate]) -> Self {
        let mut all = Self { letters: Vec::with_capacity(fates.len()), ..Self::default() };
        for fate in fates {
            let (letter, count) = match fate {
                Fate::Accepted { .. } => (b'a', &mut all.accepted),
                Fate::Refused { .. } => (b'r', &mut all.refused),
                Fate::Unanswered => (b'u', &mut all.unanswered),
            };
            *count += 1;
            all.letters.push(letter);
        }
        all
    }

    fn all(records: i64, letter: u8) -> Self {
        Self { letters: vec![letter; usize::try_from(records).unwrap_or(0)], ..Self::default() }
    }

    fn set(&mut self, position: u64, letter: u8) {
        if let Some(place) = usize::try_from(position).ok().and_then(|at| self.letters.get_mut(at)) {
            *place = letter;
        }
    }

    /// The text, unless the counts of the batch say the same.
    fn text(&self) -> Option<&str> {
        let differ = self.letters.first().is_some_and(|first| self.letters.iter().any(|letter| letter != first));
        differ.then(|| std::str::from_utf8(&self.letters).unwrap_or_default())
    }
}

/// At most 4 KiB of a note, cut between characters.
fn shortened(note: &str) -> &str {
    const MOST: usize = 4096;
    &note[..note.floor_char_boundary(MOST)]
}
