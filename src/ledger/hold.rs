//! Files and jobs that wait for a person.

use chrono::{DateTime, Utc};
use rusqlite::params;

use super::row::{FileId, RunLease};
use super::{Ledger, LedgerError, Result, one, to_ms};
use crate::domain::name::{JobName, RunId};

impl Ledger {
    /// Stops a mapped file before anything of it is sealed. A repeat is refused: only a person ends it.
    pub fn hold_file(&self, lease: &RunLease, file: FileId, reason: &str) -> Result<()> {
        self.write_held(lease, |tx| {
            let changed = tx.execute(
                "UPDATE file SET state = 'held', warnings = json_insert(warnings, '$[#]', ?2) WHERE id = ?1 AND state = 'mapped'
                    AND NOT EXISTS (SELECT 1 FROM batch WHERE batch.file = ?1)",
                params![file.0, reason],
            )?;
            one(changed, || format!("file {}", file.0))
        })
    }

    /// Lets the held files of a run go on; the run can be resumed then. Number of files; a repeat finds none.
    pub fn release_files(&self, run: &RunId, who: &str, reason: &str, now: DateTime<Utc>) -> Result<u64> {
        self.write_audited(now, who, |tx, scribe| {
            let changed = tx.execute(
                "UPDATE file SET state = 'mapped', released = 1 WHERE run = ?1 AND state = 'held'",
                [run.as_str()],
            )?;
            if changed > 0 {
                tx.execute("UPDATE run SET state = 'failed' WHERE id = ?1 AND state = 'held'", [run.as_str()])?;
                scribe.note(tx, "release", &format!("run {run}"), reason)?;
            }
            Ok(changed as u64)
        })
    }

    /// Gives the held files of a run up: nothing of them is sent. Number of records; refused when nothing is held.
    pub fn drop_files(&self, run: &RunId, who: &str, reason: &str, now: DateTime<Utc>) -> Result<u64> {
        self.write_audited(now, who, |tx, scribe| {
            let records: i64 = tx.query_row(
                "SELECT coalesce(sum(made), 0) FROM file WHERE run = ?1 AND state = 'held'",
                [run.as_str()],
                |row| row.get(0),
            )?;
            let changed = tx.execute(
                "UPDATE file SET state = 'failed', reason = 'cancelled', rows_rejected = rows_rejected + rows_used, rows_used = 0,
                        made = 0, pending = 0 WHERE run = ?1 AND state = 'held'",
                [run.as_str()],
            )?;
            if changed == 0 {
                return Err(LedgerError::WrongState { what: format!("run {run}") }.into());
            }
            tx.execute("UPDATE run SET state = 'cancelled' WHERE id = ?1 AND state = 'held'", [run.as_str()])?;
            scribe.note(tx, "drop", &format!("run {run}"), reason)?;
            Ok(records as u64)
        })
    }

    /// Runs of a job that have held files, oldest first.
    pub fn held_runs(&self, job: &JobName) -> Result<Vec<RunId>> {
        self.read(|connection| {
            let mut statement =
                connection.prepare("SELECT DISTINCT run FROM file WHERE job = ?1 AND state = 'held' ORDER BY run")?;
            let rows = statement.query_map([job.as_str()], |row| Ok(RunId::new(row.get::<_, String>(0)?)))?;
            rows.collect()
        })
    }

    /// From now on runs of the job stop before sending. A repeat changes nothing.
    pub fn hold_job(&self, job: &JobName, who: &str, now: DateTime<Utc>) -> Result<()> {
        self.write_audited(now, who, |tx, scribe| {
            tx.execute(
                "INSERT INTO job_hold (job, at, who) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                params![job.as_str(), to_ms(now), who],
            )?;
            scribe.note(tx, "hold", &format!("job {job}"), "")
        })
    }

    /// Ends the hold of a job; whether there was one.
    pub fn end_hold(&self, job: &JobName, who: &str, reason: &str, now: DateTime<Utc>) -> Result<bool> {
        self.write_audited(now, who, |tx, scribe| {
            let held = tx.execute("DELETE FROM job_hold WHERE job = ?1", [job.as_str()])? > 0;
            if held {
                scribe.note(tx, "end-hold", &format!("job {job}"), reason)?;
            }
            Ok(held)
        })
    }

    /// Who holds a job.
    pub fn job_hold(&self, job: &JobName) -> Result<Option<String>> {
        use rusqlite::OptionalExtension as _;
        self.read(|connection| {
            connection.query_row("SELECT who FROM job_hold WHERE job = ?1", [job.as_str()], |row| row.get(0)).optional()
        })
    }
}
