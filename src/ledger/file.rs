//! Files of a run: claimed before the first byte, counted once read, settled in one transaction.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::breaks::sync_breaks;
use super::measure::{insert_file_measures, prove_measures};
use super::reject::{insert_fault, insert_rejects};
use super::row::{Earlier, FileId, FileRow, Mapped, RunLease};
use super::state::{States, keep_states};
use super::{Fault, Ledger, LedgerError, Result, one, word};
use crate::domain::control::{ControlResult, Previous};
use crate::domain::file::{ByteCounts, FileState, RecordCounts, RowCounts};
use crate::domain::name::{JobName, RunId, Sha256Hex};
use crate::domain::reconcile::Imbalance;
use crate::domain::reject::{FileFault, Reject, RejectCode};

const SELECT_FILE: &str = "SELECT id, run, job, ordinal, folder, name, coalesce(wrapped_size, size), mtime, sha256, pass, state, reason,
    bytes_preamble, bytes_header, bytes_rows, bytes_blank, bytes_trailer, rows_read, rows_skipped, rows_rejected, rows_used,
    made, accepted, refused, unanswered, pending, disposed, warnings, controls, released,
    CASE WHEN wrapped_size IS NOT NULL THEN size END FROM file ";

type Rejects<'a> = &'a mut dyn Iterator<Item = std::io::Result<Reject>>;

impl Ledger {
    /// The files of a run, in their order.
    pub fn files(&self, run: &RunId) -> Result<Vec<FileRow>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!("{SELECT_FILE} WHERE run = ?1 ORDER BY ordinal"))?;
            let rows = statement.query_map([run.as_str()], file_row)?;
            rows.collect()
        })
    }

    /// One file.
    pub fn file(&self, id: FileId) -> Result<Option<FileRow>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!("{SELECT_FILE} WHERE id = ?1"))?;
            statement.query_row([id.0], file_row).optional()
        })
    }

    /// Claims a listed file before its first byte is copied. A repeat gives the row that is there.
    pub fn found(
        &self,
        lease: &RunLease,
        folder: &str,
        name: &[u8],
        size: u64,
        mtime: Option<i64>,
        number: Option<u64>,
    ) -> Result<FileRow> {
        self.write_held(lease, |tx| {
            let run = lease.run.as_str();
            let there = format!(
                "{SELECT_FILE} WHERE run = ?1 AND folder = ?2 AND name = ?3 AND size = ?4 AND mtime IS ?5 AND state = 'found'"
            );
            let size = stored_size(size);
            if let Some(row) = tx.query_row(&there, params![run, folder, name, size, mtime], file_row).optional()? {
                return Ok(row);
            }
            tx.execute(
                "INSERT INTO file (run, job, ordinal, folder, name, size, mtime, state, sequence)
                 SELECT id, job, (SELECT coalesce(max(ordinal) + 1, 0) FROM file WHERE run = ?1), ?2, ?3, ?4, ?5, 'found', ?6
                   FROM run WHERE id = ?1",
                params![run, folder, name, size, mtime, number.map(stored_size)],
            )?;
            Ok(tx.query_row(&format!("{SELECT_FILE} WHERE id = ?1"), [tx.last_insert_rowid()], file_row)?)
        })
    }

    /// Takes a claim back: the file vanished before its first byte. A repeat finds nothing.
    pub fn forget(&self, lease: &RunLease, file: FileId) -> Result<()> {
        self.write_held(lease, |tx| {
            tx.execute("DELETE FROM file WHERE id = ?1 AND state = 'found'", [file.0])?;
            Ok(())
        })
    }

    /// Writes down that the file is whole in our own folder; gives the newest earlier file of the job with this content
    /// that was delivered, or is being delivered. A repeat before mapping gives the same answer.
    pub fn landed(&self, lease: &RunLease, file: FileId, size: u64, sha256: &Sha256Hex) -> Result<Option<Earlier>> {
        self.write_held(lease, |tx| {
            let changed = tx.execute(
                "UPDATE file SET state = 'landed', size = ?2, sha256 = ?3 WHERE id = ?1 AND state IN ('found', 'landed')",
                params![file.0, stored_size(size), sha256.as_str()],
            )?;
            one(changed, || format!("file {}", file.0))?;
            Ok(tx
                .query_row(
                    "SELECT e.run, e.name, e.pass, e.state FROM file e JOIN file f ON f.id = ?1
                      WHERE e.job = f.job AND e.sha256 = f.sha256 AND e.id <> f.id
                        AND (e.state IN ('settled', 'held') OR EXISTS (SELECT 1 FROM batch WHERE batch.file = e.id))
                      ORDER BY e.pass DESC, e.id DESC LIMIT 1",
                    [file.0],
                    earlier_row,
                )
                .optional()?)
        })
    }

    /// Marks a deliberate second delivery. A repeat writes the same number.
    pub fn set_pass(&self, lease: &RunLease, file: FileId, pass: u32) -> Result<()> {
        self.write_held(lease, |tx| {
            let changed =
                tx.execute("UPDATE file SET pass = ?2 WHERE id = ?1 AND state = 'landed'", params![file.0, pass])?;
            one(changed, || format!("file {}", file.0))
        })
    }

    /// Passes a file over: its content was delivered before. All its counts stay zero.
    pub fn pass_over(&self, lease: &RunLease, file: FileId, _earlier: &Earlier, warning: Option<&str>) -> Result<()> {
        let warnings = warnings_text(warning.map(str::to_owned).as_slice());
        self.write_held(lease, |tx| {
            let changed = tx.execute(
                "UPDATE file SET state = 'passed_over', reason = ?2, warnings = ?3
                  WHERE id = ?1 AND state IN ('found', 'landed')",
                params![file.0, RejectCode::SeenBefore.word(), warnings],
            )?;
            one(changed, || format!("file {}", file.0))
        })
    }

    /// Writes down the counts of a file that was read to its end, with its rejects, in one transaction. A repeat before
    /// sealing replaces them.
    pub fn mapped(&self, lease: &RunLease, file: FileId, mapped: &Mapped, rejects: Rejects<'_>) -> Result<()> {
        self.write_held(lease, |tx| {
            tx.execute("DELETE FROM reject WHERE file = ?1", [file.0])?;
            insert_rejects(tx, file, rejects)?;
            insert_file_measures(tx, file, &mapped.measures)?;
            let changed = write_counts(tx, file, mapped, "mapped", None, "'landed', 'mapped'")?;
            one(changed, || format!("file {}", file.0))
        })
    }

    /// Writes down that nothing of the file may be sent, why, and what was read of it. A repeat is refused: it is final.
    pub fn fail_file(
        &self,
        lease: &RunLease,
        file: FileId,
        fault: &FileFault,
        mapped: Option<&Mapped>,
        rejects: Rejects<'_>,
    ) -> Result<()> {
        let nothing = Mapped {
            rows: RowCounts::default(),
            bytes: None,
            unwrapped: None,
            made: 0,
            warnings: Vec::new(),
            controls: Vec::new(),
            measures: Vec::new(),
            further_faults: Vec::new(),
        };
        let mut counts = mapped.cloned().unwrap_or(nothing);
        // Nothing of a failed file became a record, whatever was read of it.
        counts.rows.rejected += std::mem::take(&mut counts.rows.used);
        counts.made = 0;
        self.write_held(lease, |tx| {
            // A file with a sealed batch belongs to its run for ever; its sealing may have been cut short by a crash.
            let sealed: bool =
                tx.query_row("SELECT EXISTS (SELECT 1 FROM batch WHERE file = ?1)", [file.0], |row| row.get(0))?;
            one(usize::from(!sealed), || format!("file {}", file.0))?;
            tx.execute("DELETE FROM reject WHERE file = ?1", [file.0])?;
            insert_rejects(tx, file, rejects)?;
            for fault in [fault].into_iter().chain(&counts.further_faults) {
                insert_fault(tx, file, fault)?;
            }
            let changed =
                write_counts(tx, file, &counts, "failed", Some(fault.code.clone()), "'found', 'landed', 'mapped'")?;
            one(changed, || format!("file {}", file.0))
        })
    }

    /// Proves the laws over the file, its batches and its rejects, and ends it, in one transaction. An imbalance aborts it.
    pub fn settle(
        &self,
        lease: &RunLease,
        file: FileId,
        now: DateTime<Utc>,
        states: Option<States<'_>>,
    ) -> Result<std::result::Result<(), Imbalance>> {
        self.write_held(lease, |tx| {
            let changed = tx.execute(
                "UPDATE file SET state = 'settled' WHERE id = ?1 AND state = 'delivering'
                    AND NOT EXISTS (SELECT 1 FROM batch
                         WHERE batch.file = ?1 AND batch.state NOT IN ('answered', 'split'))",
                [file.0],
            )?;
            one(changed, || format!("file {}", file.0))?;
            if let Some(states) = states {
                let job: String = tx.query_row("SELECT job FROM file WHERE id = ?1", [file.0], |row| row.get(0))?;
                keep_states(tx, &job, states)?;
            }
            prove(tx, file)?;
            sync_breaks(tx, lease.run.as_str(), now)
        })
        .map(Ok)
        .or_else(|error| match error {
            LedgerError::Imbalance(imbalance) => Ok(Err(imbalance)),
            error => Err(error),
        })
    }

    /// The last settled file of a job.
    pub fn last_settled(&self, job: &JobName) -> Result<Option<FileRow>> {
        self.read(|connection| {
            let sql = format!("{SELECT_FILE} WHERE job = ?1 AND state = 'settled' ORDER BY id DESC LIMIT 1");
            connection.query_row(&sql, [job.as_str()], file_row).optional()
        })
    }

    /// What the controls of a file need to know of the one before it.
    pub fn previous(&self, job: &JobName) -> Result<Previous> {
        let last = self.last_settled(job)?;
        Ok(last.map_or_else(Previous::default, |file| Previous {
            sequences: file.controls.into_iter().map(|control| (control.id, control.found)).collect(),
            rows: Some(file.rows.read),
        }))
    }

    /// Whether another file of the job with the content of this one has every record accepted or refused: only then is
    /// what was passed over no longer needed at the source.
    pub fn is_settled_elsewhere(&self, file: FileId) -> Result<bool> {
        self.read(|connection| {
            connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM file e JOIN file f ON f.id = ?1 WHERE e.job = f.job AND e.sha256 = f.sha256
                    AND e.id <> f.id AND e.state = 'settled' AND e.unanswered = 0)",
                [file.0],
                |row| row.get(0),
            )
        })
    }

    /// Writes down that `afterwards` was done. A repeat changes nothing.
    pub fn disposed(&self, lease: &RunLease, file: FileId) -> Result<()> {
        self.write_held(lease, |tx| {
            let changed = tx.execute(
                "UPDATE file SET disposed = 1 WHERE id = ?1 AND state IN ('settled', 'passed_over')",
                [file.0],
            )?;
            one(changed, || format!("file {}", file.0))
        })
    }
}

/// A server may claim any size; SQLite's integers end at 2^63 - 1.
pub(super) fn stored_size(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn write_counts(
    connection: &Connection,
    file: FileId,
    mapped: &Mapped,
    state: &str,
    reason: Option<RejectCode>,
    from: &str,
) -> rusqlite::Result<usize> {
    let (rows, bytes) = (&mapped.rows, mapped.bytes.as_ref());
    let byte = |pick: fn(&ByteCounts) -> u64| bytes.map(|bytes| pick(bytes) as i64);
    connection.execute(
        &format!(
            "UPDATE file SET state = ?2, reason = ?3, bytes_preamble = ?4, bytes_header = ?5, bytes_rows = ?6, bytes_blank = ?7,
                bytes_trailer = ?8, rows_read = ?9, rows_skipped = ?10, rows_rejected = ?11, rows_used = ?12, made = ?13,
                pending = ?13, warnings = ?14, controls = ?15,
                wrapped_size = CASE WHEN ?16 IS NOT NULL THEN coalesce(wrapped_size, size) END,
                size = coalesce(?16, wrapped_size, size) WHERE id = ?1 AND state IN ({from})"
        ),
        params![
            file.0,
            state,
            reason.map(|code| code.word()),
            byte(|bytes| bytes.preamble),
            byte(|bytes| bytes.header),
            byte(|bytes| bytes.rows),
            byte(|bytes| bytes.blank),
            byte(|bytes| bytes.trailer),
            rows.read as i64,
            rows.skipped as i64,
            rows.rejected as i64,
            rows.used as i64,
            mapped.made as i64,
            warnings_text(&mapped.warnings),
            controls_text(&mapped.controls),
            mapped.unwrapped.map(stored_size),
        ],
    )
}

/// The laws in SQL: what the file row says must be what its batches and its rejects say.
fn prove(connection: &Connection, file: FileId) -> std::result::Result<(), Fault> {
    let law_2 = connection.query_row(
        "SELECT f.made, f.accepted, f.refused, f.unanswered, CAST(coalesce(sum(b.records - b.moved), 0) AS BIGINT),
                CAST(coalesce(sum(b.accepted), 0) AS BIGINT), CAST(coalesce(sum(b.refused), 0) AS BIGINT),
                CAST(coalesce(sum(b.unanswered), 0) AS BIGINT)
           FROM file f LEFT JOIN batch b ON b.file = f.id WHERE f.id = ?1 GROUP BY f.id",
        [file.0],
        |row| (0..8).map(|at| row.get::<_, i64>(at)).collect::<rusqlite::Result<Vec<_>>>(),
    )?;
    if law_2[..4] != law_2[4..] {
        let message = format!(
            "the file says made, accepted, refused, unanswered {:?}, its batches {:?}",
            &law_2[..4],
            &law_2[4..]
        );
        return Err(LedgerError::Imbalance(Imbalance { law: 2, message }).into());
    }
    let (rejected, listed): (i64, i64) = connection.query_row(
        "SELECT rows_rejected, (SELECT count(DISTINCT byte) FROM reject
                                 WHERE reject.file = file.id AND side = 'mapping' AND carrier IS NULL)
           FROM file WHERE id = ?1",
        [file.0],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if rejected != listed {
        let message = format!("the file says {rejected} rows rejected, {listed} are listed");
        return Err(LedgerError::Imbalance(Imbalance { law: 1, message }).into());
    }
    prove_measures(connection, file)
}

pub(super) fn earlier_row(row: &Row<'_>) -> rusqlite::Result<Earlier> {
    Ok(Earlier {
        run: RunId::new(row.get::<_, String>(0)?),
        name: row.get(1)?,
        pass: row.get(2)?,
        state: word(row.get(3)?, FileState::from_word)?,
    })
}

fn file_row(row: &Row<'_>) -> rusqlite::Result<FileRow> {
    let count = |at: usize| row.get::<_, i64>(at).map(|count| count as u64);
    let bytes = match row.get::<_, Option<i64>>(14)? {
        Some(rows) => Some(ByteCounts {
            preamble: count(12)?,
            header: count(13)?,
            rows: rows as u64,
            blank: count(15)?,
            trailer: count(16)?,
        }),
        None => None,
    };
    Ok(FileRow {
        id: FileId(row.get(0)?),
        run: RunId::new(row.get::<_, String>(1)?),
        job: JobName::new(row.get::<_, String>(2)?),
        ordinal: row.get(3)?,
        folder: row.get(4)?,
        name: row.get(5)?,
        size: count(6)?,
        mtime: row.get(7)?,
        sha256: row.get::<_, Option<String>>(8)?.map(Sha256Hex::new),
        pass: row.get(9)?,
        state: word(row.get(10)?, FileState::from_word)?,
        reason: row.get::<_, Option<String>>(11)?.map(|text| word(text, RejectCode::from_word)).transpose()?,
        bytes,
        rows: RowCounts { read: count(17)?, skipped: count(18)?, rejected: count(19)?, used: count(20)? },
        records: RecordCounts {
            made: count(21)?,
            accepted: count(22)?,
            refused: count(23)?,
            unanswered: count(24)?,
            pending: count(25)?,
        },
        disposed: row.get(26)?,
        warnings: word(row.get(27)?, |text| serde_json::from_str(text).ok())?,
        controls: word(row.get(28)?, controls_of)?,
        released: row.get(29)?,
        unwrapped: row.get::<_, Option<i64>>(30)?.map(|size| size as u64),
    })
}

/// `[id, title, expected, found, holds, sequence]`; the last is younger than the first ledgers.
pub(super) fn controls_of(text: &str) -> Option<Vec<ControlResult>> {
    let list: Vec<Vec<serde_json::Value>> = serde_json::from_str(text).ok()?;
    let control = |list: Vec<serde_json::Value>| {
        let text = |at: usize| list.get(at).and_then(serde_json::Value::as_str).map(str::to_owned);
        let flag = |at: usize| list.get(at).and_then(serde_json::Value::as_bool);
        let (id, title, expected, found) = (text(0)?, text(1)?, text(2)?, text(3)?);
        Some(ControlResult { id, title, expected, found, holds: flag(4)?, sequence: flag(5).unwrap_or(false) })
    };
    list.into_iter().map(control).collect()
}

fn controls_text(controls: &[ControlResult]) -> String {
    let list: Vec<_> =
        controls.iter().map(|one| (&one.id, &one.title, &one.expected, &one.found, one.holds, one.sequence)).collect();
    serde_json::to_string(&list).unwrap_or_default()
}

fn warnings_text(warnings: &[String]) -> String {
    serde_json::Value::from(warnings).to_string()
}
