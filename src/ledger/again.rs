//! What goes to the target again because a person says so: refused and unanswered records, and rows that were rejected.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::book::seal_part;
use super::measure::{Column, give_amounts_away, grow, insert_batch_amounts, move_amounts};
use super::row::{
    Again, BatchId, BatchRow, Carried, FileId, OpenReject, Part, RefusedBefore, Reopened, Replayed, RunLease,
};
use super::run::UNFINISHED;
use super::{Fault, Ledger, LedgerError, Result, one, word};
use crate::domain::delivery::BatchOrigin;
use crate::domain::name::{JobName, RunId, Sha256Hex};
use crate::domain::run::RunState;

/// What a person does, as it is written down with it.
pub struct Act<'a> {
    /// Who.
    pub who: &'a str,
    /// `resend`, `replay`.
    pub action: &'a str,
    /// What, in words.
    pub what: &'a str,
    /// Why.
    pub reason: &'a str,
}

impl Ledger {
    /// Takes up a run that has ended, so that some of its records can be sent again; written down in the same
    /// transaction. A repeat after a crash finds it unfinished.
    pub fn reopen_run(&self, run: &RunId, act: &Act<'_>, now: DateTime<Utc>) -> Result<Reopened> {
        self.write_audited(now, act.who, |tx, scribe| {
            let found: Option<(String, String, bool)> = tx
                .query_row(&format!("SELECT job, state, {UNFINISHED} FROM run WHERE id = ?1"), [run.as_str()], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()?;
            let Some((job, state, unfinished)) = found else { return Ok(Reopened::Missing) };
            if let Some(busy) = self.busy_run(tx, &JobName::new(job))? {
                return Ok(Reopened::Busy(busy));
            }
            let state = word(state, RunState::from_word)?;
            let ended =
                matches!(state, RunState::Done | RunState::DoneWithRejects | RunState::Break | RunState::Failed);
            if unfinished || !ended {
                return Ok(Reopened::NotEnded(state));
            }
            let lease = self.take_over(tx, run.clone(), now)?;
            scribe.note(tx, act.action, act.what, act.reason)?;
            Ok(Reopened::Lease(lease))
        })
    }

    /// The records of a run that may go again: refused ones that are open, and unanswered ones.
    pub fn again(&self, run: &RunId) -> Result<Vec<Again>> {
        self.read(|connection| {
            let mut refused = connection.prepare(
                "SELECT r.file, r.batch, r.position FROM file f JOIN reject r ON r.file = f.id
                  WHERE f.run = ?1 AND r.side = 'target' AND r.state = 'open' AND r.carrier IS NULL AND r.batch IS NOT NULL
                  ORDER BY r.file, r.batch, r.position",
            )?;
            let mut all: Vec<Again> = Vec::new();
            let rows = refused.query_map([run.as_str()], |row| {
                Ok((FileId(row.get(0)?), BatchId(row.get(1)?), row.get::<_, i64>(2)? as u64))
            })?;
            for row in rows {
                let (file, batch, position) = row?;
                match all.last_mut() {
                    Some(last) if last.batch == batch => last.positions.push(position),
                    _ => all.push(Again { file, batch, kind: Carried::Refused, positions: vec![position] }),
                }
            }
            let mut unanswered = connection.prepare(
                "SELECT b.file, b.id, b.state, b.records, b.unanswered, b.fates FROM file f JOIN batch b ON b.file = f.id
                  WHERE f.run = ?1 AND b.unanswered > 0 AND b.state IN ('unanswered', 'answered') ORDER BY b.file, b.ordinal",
            )?;
            let mut rows = unanswered.query([run.as_str()])?;
            while let Some(row) = rows.next()? {
                let whole = row.get::<_, String>(2)? == "unanswered";
                let records = row.get::<_, i64>(3)? as u64;
                let fates: Option<String> = row.get(5)?;
                let positions = match (&fates, whole) {
                    (Some(fates), false) => positions_of(fates, b'u'),
                    _ => (0..records).collect(),
                };
                let kind = if whole { Carried::WholeBatch } else { Carried::Unanswered };
                all.push(Again { file: FileId(row.get(0)?), batch: BatchId(row.get(1)?), kind, positions });
            }
            Ok(all)
        })
    }

    /// One batch.
    pub fn batch(&self, id: BatchId) -> Result<Option<BatchRow>> {
        self.read(|connection| {
            let sql = format!("{} WHERE id = ?1", super::batch::SELECT_BATCH);
            connection.query_row(&sql, [id.0], super::batch::batch_row).optional()
        })
    }

    /// The number that the next resend of a batch has.
    pub fn next_resend(&self, parent: BatchId) -> Result<u64> {
        self.read(|connection| {
            let sql = "SELECT coalesce(max(resend), 0) + 1 FROM batch WHERE parent = ?1";
            connection.query_row(sql, [parent.0], |row| row.get::<_, i64>(0)).map(|number| number as u64)
        })
    }

    /// Seals a batch of refused or unanswered records of another one, in one transaction: from then on it carries them.
    pub fn carry_again(&self, lease: &RunLease, again: &Again, part: &Part, resend: u64) -> Result<()> {
        self.write_held(lease, |tx| {
            let child = seal_part(tx, again.file, again.batch, part, BatchOrigin::Resend, resend)?;
            let count = part.body.records as i64;
            let (letter, column) = match again.kind {
                Carried::Refused => (b'r', "refused"),
                Carried::Unanswered | Carried::WholeBatch => (b'u', "unanswered"),
            };
            give_away(tx, again.batch, &part.positions, letter)?;
            let from = if letter == b'r' { Column::Refused } else { Column::Open };
            move_amounts(tx, again.batch, child, &part.body.amounts, from)?;
            if column == "unanswered" {
                // Whether they arrived the first time is still not known.
                tx.execute("UPDATE batch SET state = 'unanswered', unanswered = records, pending = 0 WHERE id = ?1", [child.0])?;
            }
            let delta = if column == "refused" { count } else { 0 };
            let changed = tx.execute(
                "UPDATE file SET state = 'delivering', refused = refused - ?2, pending = pending + ?2, batches = batches + 1
                  WHERE id = ?1 AND state IN ('settled', 'delivering')",
                params![again.file.0, delta],
            )?;
            one(changed, || format!("file {}", again.file.0))?;
            let mut update = tx.prepare_cached(
                "UPDATE reject SET carrier = ?3, carrier_position = ?4
                  WHERE batch = ?1 AND position = ?2 AND side = 'target' AND state = 'open' AND carrier IS NULL",
            )?;
            for (now, then) in (0_i64..).zip(&part.positions) {
                update.execute(params![again.batch.0, *then as i64, child.0, now])?;
            }
            Ok(())
        })
    }

    /// Calls `each` with every reject of settled files that is open and that nothing carries, in the order of files and rows.
    pub fn each_open_reject(&self, run: &RunId, each: &mut dyn FnMut(OpenReject)) -> Result<()> {
        self.read(|connection| {
            let mut statement = connection.prepare(
                "SELECT r.file, r.row, r.byte, r.code, r.side, length(r.raw), f.state, r.batch, r.position FROM file f JOIN reject r ON r.file = f.id
                  WHERE f.run = ?1 AND r.state = 'open' AND r.carrier IS NULL ORDER BY r.file, r.row, r.id",
            )?;
            let mut rows = statement.query([run.as_str()])?;
            while let Some(row) = rows.next()? {
                each(OpenReject {
                    file: FileId(row.get(0)?),
                    row: row.get::<_, Option<i64>>(1)?.map(|row| row as u64),
                    byte: row.get::<_, i64>(2)? as u64,
                    code: row.get(3)?,
                    refused: match (row.get::<_, Option<i64>>(7)?, row.get::<_, Option<i64>>(8)?) {
                        (Some(batch), Some(position)) => Some((BatchId(batch), position as u64)),
                        _ => None,
                    },
                    of_target: row.get::<_, String>(4)? == "target",
                    length: row.get::<_, i64>(5)? as u64,
                    file_failed: row.get::<_, String>(6)? == "failed",
                });
            }
            Ok(())
        })
    }

    /// Runs with rejects that are open and that nothing carries, oldest first.
    pub fn runs_with_open_rejects(&self, job: &JobName) -> Result<Vec<RunId>> {
        self.read(|connection| {
            let mut statement = connection.prepare(
                "SELECT DISTINCT f.run FROM file f JOIN reject r ON r.file = f.id
                  WHERE f.job = ?1 AND r.state = 'open' AND r.carrier IS NULL ORDER BY f.run",
            )?;
            let rows = statement.query_map([job.as_str()], |row| Ok(RunId::new(row.get::<_, String>(0)?)))?;
            rows.collect()
        })
    }

    /// Seals batches of rows that pass the mapping now, in one transaction: the rows are used from then on, refused
    /// records that were mapped anew are carried by them, and the file is open for delivery.
    pub fn seal_replay(&self, lease: &RunLease, file: FileId, batches: &[Replayed]) -> Result<()> {
        self.write_held(lease, |tx| batches.iter().try_for_each(|batch| seal_replayed(tx, file, batch)))
    }
}

fn seal_replayed(tx: &Transaction<'_>, file: FileId, batch: &Replayed) -> std::result::Result<(), Fault> {
    let body = &batch.body;
    tx.execute(
        "INSERT INTO batch (file, ordinal, first_record, records, spool_offset, body_length, body_sha256, key, state, pending, origin,
                            request_sha256)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'sealed', ?4, 'replay', ?9)",
        params![
            file.0,
            batch.ordinal as i64,
            body.first_record as i64,
            body.records as i64,
            body.spool_offset as i64,
            body.body_length as i64,
            body.body_sha256.as_str(),
            batch.key.0,
            body.request_sha256.as_ref().map(Sha256Hex::as_str)
        ],
    )?;
    let carrier = BatchId(tx.last_insert_rowid());
    insert_batch_amounts(tx, carrier.0, &body.amounts)?;
    let mut grown = body.amounts.clone();
    let (mut rows, mut made, mut refused) = (0_i64, 0_i64, 0_i64);
    for (position, record) in (0_i64..).zip(&batch.records) {
        if let Some(before) = &record.refused {
            carry_refused(tx, file, before, carrier, position)?;
            give_away(tx, before.batch, &[before.position], b'r')?;
            give_amounts_away(tx, before.batch.0, &before.amounts)?;
            for (slot, amount) in &before.amounts {
                match grown.iter_mut().find(|(known, _)| known == slot) {
                    Some((_, sum)) => *sum -= amount,
                    None => grown.push((*slot, -amount)),
                }
            }
            refused += 1;
        } else {
            for &(row, byte) in &record.rows {
                let sql =
                    "UPDATE reject SET carrier = ?4, carrier_position = ?5 WHERE file = ?1 AND row = ?2 AND byte = ?3
                            AND side = 'mapping' AND state = 'open' AND carrier IS NULL";
                let params = params![file.0, row as i64, byte as i64, carrier.0, position];
                let changed = tx.prepare_cached(sql)?.execute(params)?;
                one(changed.min(1), || format!("the rejected row on line {row}"))?;
                rows += 1;
            }
            made += 1;
        }
    }
    let changed = tx.execute(
        "UPDATE file SET state = 'delivering', rows_rejected = rows_rejected - ?2, rows_used = rows_used + ?2, made = made + ?3,
                refused = refused - ?4, pending = pending + ?3 + ?4, batches = batches + 1
          WHERE id = ?1 AND state IN ('settled', 'delivering')",
        params![file.0, rows, made, refused],
    )?;
    one(changed, || format!("file {}", file.0))?;
    grow(tx, file, &grown)
}

fn carry_refused(
    tx: &Transaction<'_>,
    file: FileId,
    before: &RefusedBefore,
    carrier: BatchId,
    position: i64,
) -> std::result::Result<(), Fault> {
    let mut update = tx.prepare_cached(
        "UPDATE reject SET carrier = ?4, carrier_position = ?5 WHERE file = ?1 AND batch = ?2 AND position = ?3
            AND side = 'target' AND state = 'open' AND carrier IS NULL",
    )?;
    let changed = update.execute(params![file.0, before.batch.0, before.position as i64, carrier.0, position])?;
    one(changed, || format!("the refused record {} of batch {}", before.position, before.batch.0))
}

/// Records of an answered batch go over to another one; `letter` says what they were.
fn give_away(tx: &Transaction<'_>, batch: BatchId, positions: &[u64], letter: u8) -> std::result::Result<(), Fault> {
    let (records, fates): (i64, Option<String>) =
        tx.query_row("SELECT records, fates FROM batch WHERE id = ?1", [batch.0], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let mut letters = fates.map_or_else(|| vec![letter; records as usize], String::into_bytes);
    for &position in positions {
        match letters.get_mut(position as usize) {
            Some(place) if *place == letter => *place = b'm',
            _ => return Err(LedgerError::WrongState { what: format!("record {position} of batch {}", batch.0) }.into()),
        }
    }
    let count = positions.len() as i64;
    let column = if letter == b'r' { "refused" } else { "unanswered" };
    let text = String::from_utf8_lossy(&letters).into_owned();
    let sql = format!("UPDATE batch SET {column} = {column} - ?2, moved = moved + ?2, fates = ?3 WHERE id = ?1");
    tx.execute(&sql, params![batch.0, count, text])?;
    Ok(())
}

fn positions_of(fates: &str, letter: u8) -> Vec<u64> {
    (0..).zip(fates.bytes()).filter(|(_, fate)| *fate == letter).map(|(position, _)| position).collect()
}
