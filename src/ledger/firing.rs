//! Firings: occurrences that were decided about, pauses, and what a person asks of a run that another process holds.

use std::sync::atomic::Ordering;

use chrono::{DateTime, NaiveDate, Utc};
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::owner::is_alive;
use super::row::{Opened, RunFault, RunLease};
use super::run::{UNFINISHED, new_run_id};
use super::{Fault, Ledger, Result, from_ms, one, to_ms, word};
use crate::domain::name::{JobName, RunId};
use crate::domain::run::{RunState, SkipReason, Trigger};

/// What is known of a job's occurrences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobClock {
    /// Every occurrence up to this instant was decided about.
    pub planned_through: DateTime<Utc>,
    /// Since when and until when it was paused, as far as that matters after `planned_through`.
    pub pauses: Vec<(DateTime<Utc>, Option<DateTime<Utc>>)>,
}

/// A decision about one occurrence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The scheduled instant.
    pub scheduled_for: DateTime<Utc>,
    /// The day the data is about.
    pub business_date: NaiveDate,
    /// What caused it.
    pub trigger: Trigger,
    /// Why it is not started; `None`: it is.
    pub skipped: Option<SkipReason>,
}

/// A run that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRun {
    /// The run.
    pub run: RunId,
    /// Its job.
    pub job: JobName,
    /// The day the data is about.
    pub business_date: NaiveDate,
    /// The scheduled instant, of a run that has one.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// What caused it.
    pub trigger: Trigger,
    /// `scheduled`, `waiting`, `running` or `failed` with something left to deliver.
    pub state: RunState,
    /// A living process holds it.
    pub held: bool,
    /// Who wants it to end.
    pub cancel_asked_by: Option<String>,
}

/// What became of a wish to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// It is over.
    Cancelled,
    /// The process that holds it will end it.
    Asked,
    /// It was over already.
    NotOpen,
}

impl Ledger {
    /// What was decided about a job. A job that is new here, or has another timetable, begins now.
    pub fn job_clock(&self, job: &JobName, timetable: &str, now: DateTime<Utc>) -> Result<JobClock> {
        let known = self.read(|connection| {
            let sql = "SELECT planned_through FROM job_clock WHERE job = ?1 AND timetable = ?2";
            connection.query_row(sql, params![job.as_str(), timetable], |row| row.get(0)).optional()
        })?;
        let planned_through = match known {
            Some(at) => from_ms(at),
            None => {
                self.write(|tx| {
                    tx.execute(
                        "INSERT INTO job_clock (job, planned_through, timetable) VALUES (?1, ?2, ?3)
                         ON CONFLICT (job) DO UPDATE SET planned_through = max(planned_through, excluded.planned_through),
                                                         timetable = excluded.timetable",
                        params![job.as_str(), to_ms(now), timetable],
                    )?;
                    Ok(())
                })?;
                now
            }
        };
        let pauses = self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT since, until FROM job_pause WHERE job = ?1 AND (until IS NULL OR until > ?2)",
            )?;
            let rows = statement.query_map(params![job.as_str(), to_ms(planned_through)], |row| {
                Ok((from_ms(row.get(0)?), row.get::<_, Option<i64>>(1)?.map(from_ms)))
            })?;
            rows.collect()
        })?;
        Ok(JobClock { planned_through, pauses })
    }

    /// Writes decisions down, and that everything up to `through` is decided. One decision for each scheduled instant of a
    /// job, ever: a repeat adds nothing.
    pub fn decide(&self, job: &JobName, decided: &[Decided], through: DateTime<Utc>, now: DateTime<Utc>) -> Result<()> {
        self.write(|tx| {
            for one in decided {
                add_firing(tx, job, one, now)?;
            }
            tx.execute(
                "UPDATE job_clock SET planned_through = max(planned_through, ?2) WHERE job = ?1",
                params![job.as_str(), to_ms(through)],
            )?;
            Ok(())
        })
    }

    /// Every run that is not over: due, waiting for a file, under way, or failed with something left to deliver. Oldest first.
    pub fn open_runs(&self) -> Result<Vec<OpenRun>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT id, job, business_date, scheduled_for, \"trigger\", state, owner, cancel_asked_by FROM run
                 WHERE state IN ('scheduled', 'waiting', 'running', 'failed') AND (state = 'scheduled' OR {UNFINISHED})
                 ORDER BY coalesce(scheduled_for, started_at), id"
            ))?;
            let rows = statement.query_map([], |row| {
                let owner: Option<String> = row.get(6)?;
                Ok(OpenRun {
                    run: RunId::new(row.get::<_, String>(0)?),
                    job: JobName::new(row.get::<_, String>(1)?),
                    business_date: word(row.get(2)?, |text| text.parse().ok())?,
                    scheduled_for: row.get::<_, Option<i64>>(3)?.map(from_ms),
                    trigger: word(row.get(4)?, Trigger::from_word)?,
                    state: word(row.get(5)?, RunState::from_word)?,
                    held: owner.is_some_and(|owner| is_alive(&self.data, &owner)),
                    cancel_asked_by: row.get(7)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Takes a due run up. `None`: it is no longer due. A repeat after a crash finds it running, and `resume_run` goes on.
    pub fn start_run(&self, run: &RunId, now: DateTime<Utc>) -> Result<Option<Opened>> {
        self.write(|tx| {
            let sql = "SELECT job FROM run WHERE id = ?1 AND state = 'scheduled'";
            let Some(job) = tx.query_row(sql, [run.as_str()], |row| row.get::<_, String>(0)).optional()? else {
                return Ok(None);
            };
            if let Some(busy) = self.busy_run(tx, &JobName::new(job))? {
                return Ok(Some(Opened::Busy(busy)));
            }
            tx.execute("UPDATE run SET started_at = ?2 WHERE id = ?1", params![run.as_str(), to_ms(now)])?;
            Ok(Some(Opened::New(self.take_over(tx, run.clone(), now)?)))
        })
    }

    /// Ends a run that waits for a file: the next one of its job is due. A run that no longer waits stays as it is.
    pub fn give_up_waiting(&self, run: &RunId, fault: &RunFault, now: DateTime<Utc>) -> Result<()> {
        self.write(|tx| {
            tx.execute(
                "UPDATE run SET state = 'failed', finished_at = ?2, error_code = ?3, error_message = ?4, error_hint = ?5
                 WHERE id = ?1 AND state = 'waiting' AND owner IS NULL",
                params![run.as_str(), to_ms(now), fault.code, fault.message, fault.hint],
            )?;
            Ok(())
        })
    }

    /// Business dates since `since` on which every one of `before` is done and `job` has no run, with the instant that the last of
    /// them stands for.
    pub fn chain(
        &self,
        job: &JobName,
        before: &[JobName],
        since: DateTime<Utc>,
    ) -> Result<Vec<(NaiveDate, DateTime<Utc>)>> {
        let names = serde_json::Value::from(before.iter().map(JobName::as_str).collect::<Vec<_>>()).to_string();
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT business_date, max(coalesce(scheduled_for, started_at)) FROM run AS first
                 WHERE job IN (SELECT value FROM json_each(?2)) AND state IN ('done', 'done_with_rejects') AND finished_at > ?3
                   AND NOT EXISTS (SELECT 1 FROM run WHERE run.job = ?1 AND run.business_date = first.business_date)
                 GROUP BY business_date HAVING count(DISTINCT job) = json_array_length(?2) ORDER BY business_date",
            )?;
            let rows = statement.query_map(params![job.as_str(), names, to_ms(since)], |row| {
                Ok((word(row.get(0)?, |text| text.parse().ok())?, from_ms(row.get(1)?)))
            })?;
            rows.collect()
        })
    }

    /// Business dates of a range that have a run of the job, with the state of the newest one.
    pub fn dates(&self, job: &JobName, from: NaiveDate, to: NaiveDate) -> Result<Vec<(NaiveDate, RunState)>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT business_date, state FROM run WHERE job = ?1 AND business_date BETWEEN ?2 AND ?3
                   AND number = (SELECT max(number) FROM run AS other WHERE other.job = run.job
                                 AND other.business_date = run.business_date AND other.state != 'skipped')
                 ORDER BY business_date",
            )?;
            let rows = statement.query_map(params![job.as_str(), from.to_string(), to.to_string()], |row| {
                Ok((word(row.get(0)?, |text| text.parse().ok())?, word(row.get(1)?, RunState::from_word)?))
            })?;
            rows.collect()
        })
    }

    /// Pauses a job from now on. A repeat changes the end. An entry of the audit.
    pub fn pause_job(
        &self,
        job: &JobName,
        until: Option<DateTime<Utc>>,
        who: &str,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.write_audited(now, who, |tx, scribe| {
            end_pauses(tx, job, now)?;
            tx.execute(
                "INSERT INTO job_pause (job, since, until, who) VALUES (?1, ?2, ?3, ?4)",
                params![job.as_str(), to_ms(now), until.map(to_ms), who],
            )?;
            let end = until.map_or_else(String::new, |until| format!(" until {}", until.to_rfc3339()));
            scribe.note(tx, "pause", &format!("job {job}{end}"), reason)
        })
    }

    /// Ends the pause of a job; `false` when there was none. An entry of the audit.
    pub fn unpause_job(&self, job: &JobName, who: &str, reason: &str, now: DateTime<Utc>) -> Result<bool> {
        self.write_audited(now, who, |tx, scribe| {
            let ended = end_pauses(tx, job, now)?;
            if ended {
                scribe.note(tx, "unpause", &format!("job {job}"), reason)?;
            }
            Ok(ended)
        })
    }

    /// Ends a run that is not over. What was accepted stays accepted; what was sealed is never mapped again under other keys, and
    /// `resume` can still finish it. An entry of the audit.
    pub fn cancel_run(&self, run: &RunId, who: &str, reason: &str, now: DateTime<Utc>) -> Result<Cancel> {
        self.write_audited(now, who, |tx, scribe| {
            let sql =
                format!("SELECT owner FROM run WHERE id = ?1 AND (state IN ('scheduled', 'held') OR {UNFINISHED})");
            let open = tx.query_row(&sql, [run.as_str()], |row| row.get::<_, Option<String>>(0)).optional()?;
            let Some(owner) = open else { return Ok(Cancel::NotOpen) };
            scribe.note(tx, "cancel", &format!("run {run}"), reason)?;
            if owner.is_some_and(|owner| is_alive(&self.data, &owner)) {
                tx.execute("UPDATE run SET cancel_asked_by = ?2 WHERE id = ?1", params![run.as_str(), who])?;
                return Ok(Cancel::Asked);
            }
            end_cancelled(tx, run, who, now)?;
            Ok(Cancel::Cancelled)
        })
    }

    /// Ends a run that this process holds and whose task is gone.
    pub fn end_own_run(&self, run: &RunId, fault: &RunFault, now: DateTime<Utc>) -> Result<()> {
        self.write(|tx| {
            tx.execute(
                "UPDATE run SET state = 'failed', finished_at = ?3, error_code = ?4, error_message = ?5, error_hint = ?6,
                        owner = NULL, lease = NULL, lease_until = NULL WHERE id = ?1 AND owner = ?2",
                params![run.as_str(), self.owner_id(), to_ms(now), fault.code, fault.message, fault.hint],
            )?;
            Ok(())
        })
    }

    /// True when another process, or another handle, has written since this was last asked.
    pub fn changed_elsewhere(&self) -> Result<bool> {
        let version: i64 =
            self.read(|connection| connection.pragma_query_value(None, "data_version", |row| row.get(0)))?;
        Ok(self.seen_version.swap(version, Ordering::Relaxed) != version)
    }

    /// Who wants the run to end.
    pub fn cancel_asked(&self, run: &RunId) -> Result<Option<String>> {
        self.read(|connection| {
            let sql = "SELECT cancel_asked_by FROM run WHERE id = ?1";
            Ok(connection.query_row(sql, [run.as_str()], |row| row.get(0)).optional()?.flatten())
        })
    }

    /// Ends a run whose process was asked to, and has come to a halt.
    pub fn end_cancelled(&self, lease: &RunLease, who: &str, now: DateTime<Utc>) -> Result<()> {
        self.write_held(lease, |tx| end_cancelled(tx, &lease.run, who, now))
    }
}

fn end_pauses(tx: &Transaction<'_>, job: &JobName, now: DateTime<Utc>) -> std::result::Result<bool, Fault> {
    let changed = tx.execute(
        "UPDATE job_pause SET until = max(since, ?2) WHERE job = ?1 AND (until IS NULL OR until > ?2)",
        params![job.as_str(), to_ms(now)],
    )?;
    Ok(changed > 0)
}

fn end_cancelled(tx: &Transaction<'_>, run: &RunId, who: &str, now: DateTime<Utc>) -> std::result::Result<(), Fault> {
    let changed = tx.execute(
        "UPDATE run SET state = 'cancelled', finished_at = ?2, error_code = 'cancelled', error_message = ?3, error_hint = NULL,
                owner = NULL, lease = NULL, lease_until = NULL, cancel_asked_by = NULL WHERE id = ?1",
        params![run.as_str(), to_ms(now), format!("cancelled by {who}")],
    )?;
    one(changed, || format!("run {run}"))
}

fn add_firing(
    tx: &Transaction<'_>,
    job: &JobName,
    decided: &Decided,
    now: DateTime<Utc>,
) -> std::result::Result<(), Fault> {
    let (date, at) = (decided.business_date.to_string(), to_ms(decided.scheduled_for));
    let sql = "SELECT coalesce(max(number), 0) + 1 FROM run WHERE job = ?1 AND business_date = ?2";
    let number: i64 = tx.query_row(sql, params![job.as_str(), date], |row| row.get(0))?;
    let state = if decided.skipped.is_some() { RunState::Skipped } else { RunState::Scheduled };
    tx.execute(
        "INSERT INTO run (id, job, business_date, number, scheduled_for, \"trigger\", state, skip_reason, started_at, finished_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (job, scheduled_for) DO NOTHING",
        params![
            new_run_id(now).as_str(),
            job.as_str(),
            date,
            number,
            at,
            decided.trigger.word(),
            state.word(),
            decided.skipped.map(SkipReason::word),
            to_ms(now),
            decided.skipped.map(|_| to_ms(now)),
        ],
    )?;
    Ok(())
}
