//! Rejects that a person gives up: they leave the open list, and still count as rejected or refused.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{OptionalExtension as _, params};

use super::reject::RejectFilter;
use super::{Ledger, LedgerError, Result, from_ms, to_ms};
use crate::domain::name::{JobName, RunId};

/// How long a write-off can be undone.
const UNDO_WITHIN: TimeDelta = TimeDelta::days(7);

/// What a person gives up, and why.
pub struct WriteOff<'a> {
    /// Who.
    pub who: &'a str,
    /// A short code, the same for the same cause: `blocked-customer`.
    pub reason: &'a str,
    /// In words.
    pub note: &'a str,
}

impl Ledger {
    /// Number of rows and records with open rejects that the filter lets through and that nothing carries.
    pub fn count_open(&self, filter: &RejectFilter) -> Result<u64> {
        self.read(|connection| {
            let sql = "SELECT count(DISTINCT r.file || ':' || r.byte) FROM reject r JOIN file f ON f.id = r.file
                        WHERE r.state = 'open' AND r.carrier IS NULL AND (?1 IS NULL OR f.job = ?1)
                          AND (?2 IS NULL OR f.run = ?2) AND (?3 IS NULL OR r.code = ?3)";
            let (job, run) = (filter.job.as_ref().map(JobName::as_str), filter.run.as_ref().map(RunId::as_str));
            connection.query_row(sql, params![job, run, filter.cause], |row| row.get::<_, i64>(0)).map(|n| n as u64)
        })
    }

    /// Writes the open rejects off that the filter lets through, with everything that was rejected with the same rows, and
    /// writes that down. Gives the number of the write-off and of its rejects; `None`: none was open.
    pub fn write_off(
        &self,
        filter: &RejectFilter,
        act: &WriteOff<'_>,
        now: DateTime<Utc>,
    ) -> Result<Option<(u64, u64)>> {
        self.write_audited(now, act.who, |tx, scribe| {
            tx.execute(
                "INSERT INTO write_off (at, who, reason, note) VALUES (?1, ?2, ?3, ?4)",
                params![to_ms(now), act.who, act.reason, act.note],
            )?;
            let id = tx.last_insert_rowid();
            let (job, run) = (filter.job.as_ref().map(JobName::as_str), filter.run.as_ref().map(RunId::as_str));
            let rejects = tx.execute(
                "UPDATE reject SET state = 'written_off', write_off = ?4 WHERE state = 'open' AND carrier IS NULL
                    AND (file, byte) IN (SELECT r.file, r.byte FROM reject r JOIN file f ON f.id = r.file
                         WHERE r.state = 'open' AND r.carrier IS NULL AND (?1 IS NULL OR f.job = ?1)
                           AND (?2 IS NULL OR f.run = ?2) AND (?3 IS NULL OR r.code = ?3))",
                params![job, run, filter.cause, id],
            )?;
            if rejects == 0 {
                tx.execute("DELETE FROM write_off WHERE id = ?1", [id])?;
                return Ok(None);
            }
            let what = format!("write-off {id}: {rejects} rejects of {}", job.or(run).unwrap_or("all jobs"));
            scribe.note(tx, "write-off", &what, &format!("{}: {}", act.reason, act.note))?;
            Ok(Some((id as u64, rejects as u64)))
        })
    }

    /// Opens the rejects of a write-off again, within seven days. Gives their number; a repeat is refused.
    pub fn undo_write_off(&self, id: u64, who: &str, now: DateTime<Utc>) -> Result<u64> {
        self.write_audited(now, who, |tx, scribe| {
            let sql = "SELECT at FROM write_off WHERE id = ?1 AND undone_at IS NULL";
            let at: Option<i64> = tx.query_row(sql, [id as i64], |row| row.get(0)).optional()?;
            let recent = at.is_some_and(|at| now - from_ms(at) <= UNDO_WITHIN);
            if !recent {
                let what = format!("write-off {id}, which is unknown, undone already or older than 7 days,");
                return Err(LedgerError::WrongState { what }.into());
            }
            tx.execute(
                "UPDATE write_off SET undone_at = ?2, undone_by = ?3 WHERE id = ?1",
                params![id as i64, to_ms(now), who],
            )?;
            let sql = "UPDATE reject SET state = 'open', write_off = NULL WHERE write_off = ?1";
            let rejects = tx.execute(sql, [id as i64])?;
            scribe.note(tx, "write-off-undone", &format!("write-off {id}: {rejects} rejects"), "")?;
            Ok(rejects as u64)
        })
    }
}
