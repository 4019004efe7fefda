//! Runs and their leases.

use chrono::{DateTime, NaiveDate, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::{NoContext, Timestamp, Uuid};

use super::breaks::sync_breaks;
use super::owner::is_alive;
use super::row::{Opened, RunFault, RunLease, RunRow};
use super::{Fault, LEASE_MS, Ledger, LedgerError, Result, from_ms, one, to_ms, word};
use crate::domain::name::{JobName, LeaseId, RunId, Sha256Hex};
use crate::domain::run::{RunKey, RunState, Trigger};

const SELECT_RUN: &str =
    "SELECT id, job, business_date, number, \"trigger\", state, mapping_version, pinned, started_at,
    finished_at, error_code, error_message, error_hint, owner,
    (SELECT CAST(coalesce(sum(batches), 0) AS BIGINT) FROM file WHERE file.run = run.id),
    (SELECT CAST(coalesce(sum(attempts), 0) AS BIGINT) FROM file WHERE file.run = run.id),
    expected_by, scheduled_for FROM run ";

/// A run that a later `run` goes on with: interrupted, waiting, or failed with a file that is neither settled nor failed.
pub(super) const UNFINISHED: &str =
    "(state IN ('running', 'waiting') OR (state = 'failed' AND EXISTS (SELECT 1 FROM file
    WHERE file.run = run.id AND file.state IN ('found', 'landed', 'mapped', 'delivering'))))";

impl Ledger {
    /// Opens a run for a key: an unfinished one of the same job and date goes on, else the next number begins.
    /// `Busy` while a living process runs the job. A repeat after a crash resumes.
    pub fn open_run(&self, key: &RunKey, trigger: Trigger, now: DateTime<Utc>) -> Result<Opened> {
        self.write(|tx| {
            if let Some(busy) = self.busy_run(tx, &key.job)? {
                return Ok(Opened::Busy(busy));
            }
            let (job, date) = (key.job.as_str(), key.business_date.to_string());
            let unfinished: Option<String> = tx
                .query_row(
                    &format!("SELECT id FROM run WHERE job = ?1 AND business_date = ?2 AND {UNFINISHED} ORDER BY number LIMIT 1"),
                    params![job, date],
                    |row| row.get(0),
                )
                .optional()?;
            if let Some(id) = unfinished {
                return Ok(Opened::Resumed(self.take_over(tx, RunId::new(id), now)?));
            }
            let number: i64 = tx.query_row(
                "SELECT coalesce(max(number), 0) + 1 FROM run WHERE job = ?1 AND business_date = ?2",
                params![job, date],
                |row| row.get(0),
            )?;
            let id = new_run_id(now);
            let lease = self.new_lease(id.clone());
            tx.execute(
                "INSERT INTO run (id, job, business_date, number, scheduled_for, \"trigger\", state, started_at, owner, lease, lease_until)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'running', ?7, ?8, ?9, ?10)",
                params![
                    id.as_str(), job, date, number, key.scheduled_for.map(to_ms), trigger.word(), to_ms(now),
                    self.owner_id(), lease.lease.as_str(), to_ms(now) + LEASE_MS
                ],
            )?;
            Ok(Opened::New(lease))
        })
    }

    /// Takes up a run by id. `None`: there is no such run.
    pub fn resume_run(&self, run: &RunId, now: DateTime<Utc>) -> Result<Option<Opened>> {
        self.write(|tx| {
            let found: Option<(String, String, bool)> = tx
                .query_row(&format!("SELECT job, state, {UNFINISHED} FROM run WHERE id = ?1"), [run.as_str()], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()?;
            let Some((job, state, unfinished)) = found else { return Ok(None) };
            if let Some(busy) = self.busy_run(tx, &JobName::new(job))? {
                return Ok(Some(Opened::Busy(busy)));
            }
            if !unfinished {
                let state = word(state, RunState::from_word)?;
                return Err(LedgerError::RunIsFinal { run: run.clone(), state }.into());
            }
            Ok(Some(Opened::Resumed(self.take_over(tx, run.clone(), now)?)))
        })
    }

    pub(super) fn busy_run(&self, connection: &Connection, job: &JobName) -> std::result::Result<Option<RunId>, Fault> {
        let mut held = connection.prepare_cached("SELECT id, owner FROM run WHERE job = ?1 AND owner IS NOT NULL")?;
        let rows = held.query_map([job.as_str()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        for row in rows {
            let (id, owner) = row?;
            if is_alive(&self.data, &owner) {
                return Ok(Some(RunId::new(id)));
            }
        }
        Ok(None)
    }

    pub(super) fn take_over(
        &self,
        connection: &Connection,
        run: RunId,
        now: DateTime<Utc>,
    ) -> std::result::Result<RunLease, Fault> {
        let lease = self.new_lease(run);
        let changed = connection.execute(
            "UPDATE run SET state = 'running', finished_at = NULL, error_code = NULL, error_message = NULL, error_hint = NULL,
                    owner = ?2, lease = ?3, lease_until = ?4 WHERE id = ?1",
            params![lease.run.as_str(), self.owner_id(), lease.lease.as_str(), to_ms(now) + LEASE_MS],
        )?;
        one(changed, || format!("run {}", lease.run))?;
        Ok(lease)
    }

    fn new_lease(&self, run: RunId) -> RunLease {
        RunLease { run, lease: LeaseId::new(Uuid::new_v4().to_string()) }
    }

    pub(super) fn owner_id(&self) -> &str {
        // A handle without an owner cannot write at all: `query_only`.
        self.owner.as_ref().map_or("", |owner| owner.id())
    }

    /// Renews a lease. A repeat renews again.
    pub fn renew(&self, lease: &RunLease, now: DateTime<Utc>) -> Result<()> {
        self.write_held(lease, |tx| {
            tx.execute(
                "UPDATE run SET lease_until = ?2 WHERE id = ?1",
                params![lease.run.as_str(), to_ms(now) + LEASE_MS],
            )?;
            Ok(())
        })
    }

    /// Fixes the mapping of a run. The first writer wins; a repeat changes nothing.
    pub fn pin(&self, lease: &RunLease, mapping_version: &Sha256Hex, pinned: &str) -> Result<()> {
        self.write_held(lease, |tx| {
            tx.execute(
                "UPDATE run SET mapping_version = ?2, pinned = ?3 WHERE id = ?1 AND pinned IS NULL",
                params![lease.run.as_str(), mapping_version.as_str(), pinned],
            )?;
            Ok(())
        })
    }

    /// Ends a run in `state` and gives its lease back.
    pub fn close_run(
        &self,
        lease: &RunLease,
        state: RunState,
        error: Option<&RunFault>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let finished = (state != RunState::Waiting).then(|| to_ms(now));
        self.write_held(lease, |tx| {
            let changed = tx.execute(
                "UPDATE run SET state = ?2, finished_at = ?3, error_code = ?4, error_message = ?5, error_hint = ?6,
                        owner = NULL, lease = NULL, lease_until = NULL WHERE id = ?1",
                params![
                    lease.run.as_str(),
                    state.word(),
                    finished,
                    error.map(|error| &error.code),
                    error.map(|error| &error.message),
                    error.and_then(|error| error.hint.as_ref())
                ],
            )?;
            one(changed, || format!("run {}", lease.run))?;
            sync_breaks(tx, lease.run.as_str(), now)
        })
    }

    /// Gives the lease of an interrupted run back: it stays `running`, and the next `run` or `resume` takes it up.
    pub fn release_run(&self, lease: &RunLease) -> Result<()> {
        self.write_held(lease, |tx| {
            tx.execute(
                "UPDATE run SET owner = NULL, lease = NULL, lease_until = NULL WHERE id = ?1",
                [lease.run.as_str()],
            )?;
            Ok(())
        })
    }

    /// One run.
    pub fn run(&self, id: &RunId) -> Result<Option<RunRow>> {
        self.read(|connection| {
            let sql = format!("{SELECT_RUN} WHERE id = ?1");
            connection.query_row(&sql, [id.as_str()], |row| self.run_row(row)).optional()
        })
    }

    /// Runs, newest first.
    pub fn runs(&self, job: Option<&JobName>, limit: u32) -> Result<Vec<RunRow>> {
        self.read(|connection| {
            let sql = format!(
                "{SELECT_RUN} WHERE ?1 IS NULL OR job = ?1 ORDER BY started_at DESC, number DESC, id DESC LIMIT ?2"
            );
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map(params![job.map(JobName::as_str), limit], |row| self.run_row(row))?;
            rows.collect()
        })
    }

    /// A run by id, by the unique beginning of one (6 characters or more), as `JOB@last` or as `JOB@2026-11-23`.
    pub fn find_run(&self, reference: &str) -> Result<Option<RunRow>> {
        let (filter, value) = match reference.rsplit_once('@') {
            Some((job, "last")) => ("job = ?1 AND ?2 = ''", (job, String::new())),
            Some((job, date)) if date.parse::<NaiveDate>().is_ok() => {
                ("job = ?1 AND business_date = ?2", (job, date.to_owned()))
            }
            Some(_) => return Ok(None),
            None if reference.len() < 6 => return Ok(None),
            None => ("id = ?1 OR substr(id, 1, length(?1)) = ?2", (reference, reference.to_owned())),
        };
        self.read(|connection| {
            let sql = format!("{SELECT_RUN} WHERE {filter} ORDER BY started_at DESC, number DESC, id DESC LIMIT 2");
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map(params![value.0, value.1], |row| self.run_row(row))?;
            let mut rows: Vec<RunRow> = rows.collect::<rusqlite::Result<_>>()?;
            let by_prefix = !reference.contains('@') && rows.iter().all(|row| row.id.as_str() != reference);
            // Two runs that begin alike: saying which would be a guess.
            Ok(if by_prefix && rows.len() > 1 { None } else { (!rows.is_empty()).then(|| rows.swap_remove(0)) })
        })
    }

    fn run_row(&self, row: &Row<'_>) -> rusqlite::Result<RunRow> {
        let error = match row.get::<_, Option<String>>(10)? {
            Some(code) => Some(RunFault { code, message: row.get(11)?, hint: row.get(12)? }),
            None => None,
        };
        let owner: Option<String> = row.get(13)?;
        Ok(RunRow {
            id: RunId::new(row.get::<_, String>(0)?),
            job: JobName::new(row.get::<_, String>(1)?),
            business_date: word(row.get(2)?, |text| text.parse().ok())?,
            number: row.get(3)?,
            trigger: word(row.get(4)?, Trigger::from_word)?,
            state: word(row.get(5)?, RunState::from_word)?,
            mapping_version: row.get::<_, Option<String>>(6)?.map(Sha256Hex::new),
            pinned: row.get(7)?,
            started_at: from_ms(row.get(8)?),
            finished_at: row.get::<_, Option<i64>>(9)?.map(from_ms),
            error,
            batches: row.get::<_, i64>(14)? as u64,
            attempts: row.get::<_, i64>(15)? as u64,
            expected_by: row.get::<_, Option<i64>>(16)?.map(from_ms),
            scheduled_for: row.get::<_, Option<i64>>(17)?.map(from_ms),
            held_by_living_process: owner.is_some_and(|owner| is_alive(&self.data, &owner)),
        })
    }
}

pub(super) fn new_run_id(now: DateTime<Utc>) -> RunId {
    let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
    let timestamp = Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos());
    RunId::new(Uuid::new_v7(timestamp).to_string())
}
