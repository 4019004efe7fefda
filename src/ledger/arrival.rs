//! What has arrived before: so that a file is not read again, and a missing number is seen.

use chrono::{DateTime, NaiveDate, Utc};
use rusqlite::{OptionalExtension, params};

use super::file::{earlier_row, stored_size};
use super::row::{Earlier, FileId, RunLease};
use super::{Ledger, Result, to_ms};
use crate::domain::name::JobName;

impl Ledger {
    /// The newest settled or passed-over file of the job with the same path, size and mtime: it need not be read again.
    /// Only when the file was older than two seconds when its run began: times of SFTP are whole seconds, so a file
    /// that was written in the same second could have been written once more.
    pub fn earlier_same_stat(
        &self,
        job: &JobName,
        folder: &str,
        name: &[u8],
        size: u64,
        mtime: Option<i64>,
    ) -> Result<Option<Earlier>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT e.run, e.name, e.pass, e.state FROM file e JOIN run ON run.id = e.run
                  WHERE e.job = ?1 AND e.folder = ?2 AND e.name = ?3 AND coalesce(e.wrapped_size, e.size) = ?4 AND e.mtime IS ?5
                    AND e.state IN ('settled', 'passed_over') AND run.started_at > (e.mtime + 2) * 1000
                  ORDER BY e.id DESC LIMIT 1",
            )?;
            statement.query_row(params![job.as_str(), folder, name, stored_size(size), mtime], earlier_row).optional()
        })
    }

    /// Writes a warning beside those of a file; the same one once.
    pub fn warn_of_file(&self, lease: &RunLease, file: FileId, warning: &str) -> Result<()> {
        self.write_held(lease, |tx| {
            tx.execute(
                "UPDATE file SET warnings = json_insert(warnings, '$[#]', ?2) WHERE id = ?1
                    AND NOT EXISTS (SELECT 1 FROM json_each(file.warnings) WHERE value = ?2)",
                params![file.0, warning],
            )?;
            Ok(())
        })
    }

    /// Writes down when a run should be balanced at the latest. The first instant counts; a repeat changes nothing.
    pub fn expect_by(&self, lease: &RunLease, deadline: DateTime<Utc>) -> Result<()> {
        self.write_held(lease, |tx| {
            tx.execute(
                "UPDATE run SET expected_by = ?2 WHERE id = ?1 AND expected_by IS NULL",
                params![lease.run.as_str(), to_ms(deadline)],
            )?;
            Ok(())
        })
    }

    /// The highest number of a file of the job that has arrived, whatever became of it; with `date` only of that
    /// business date.
    pub fn last_number(&self, job: &JobName, date: Option<NaiveDate>) -> Result<Option<u64>> {
        self.read(|connection| {
            let highest: Option<i64> = connection.query_row(
                "SELECT max(file.sequence) FROM file JOIN run ON run.id = file.run
                  WHERE file.job = ?1 AND file.sequence IS NOT NULL AND file.state NOT IN ('found', 'waiting')
                    AND (?2 IS NULL OR run.business_date = ?2)",
                params![job.as_str(), date.map(|date| date.to_string())],
                |row| row.get(0),
            )?;
            Ok(highest.and_then(|number| u64::try_from(number).ok()))
        })
    }
}
