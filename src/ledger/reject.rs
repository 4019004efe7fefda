//! Rejects of the mapping and refusals of the target, with their raw rows.

use rusqlite::{Connection, Row, params};

use super::row::{BatchId, FileId, RefusedRecord, RejectRow};
use super::{Fault, Ledger, LedgerError, Result};
use crate::domain::name::{JobName, RunId};
use crate::domain::reject::{FileFault, Reject};

/// Which rejects to list.
#[derive(Clone, Debug, Default)]
pub struct RejectFilter {
    /// Only of this job.
    pub job: Option<JobName>,
    /// Only of this run.
    pub run: Option<RunId>,
    /// Only with this code; `target:CODE` only of the target.
    pub cause: Option<String>,
    /// Only in this state: `open`, `replayed`, `written_off`.
    pub state: Option<String>,
    /// Only those that no batch carries again.
    pub idle: bool,
    /// At most so many.
    pub limit: Option<u32>,
}

const INSERT: &str = "INSERT INTO reject (file, row, byte, \"column\", code, message, side, raw, masked)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

pub(super) fn insert_rejects(
    connection: &Connection,
    file: FileId,
    rejects: &mut dyn Iterator<Item = std::io::Result<Reject>>,
) -> std::result::Result<(), Fault> {
    let mut insert = connection.prepare_cached(INSERT)?;
    for reject in rejects {
        let reject = reject.map_err(LedgerError::Artifact)?;
        let (row, byte, code) = (reject.row as i64, reject.byte as i64, reject.code.word());
        insert.execute(params![
            file.0,
            row,
            byte,
            reject.column,
            code,
            reject.message,
            "mapping",
            reject.raw,
            reject.masked
        ])?;
    }
    Ok(())
}

pub(super) fn insert_fault(connection: &Connection, file: FileId, fault: &FileFault) -> rusqlite::Result<usize> {
    let (row, byte, code) = (fault.row.map(|row| row as i64), fault.byte as i64, fault.code.word());
    let raw: &[u8] = &[];
    connection
        .execute(INSERT, params![file.0, row, byte, fault.column, code, fault.message, "mapping", raw, None::<String>])
}

pub(super) fn insert_refused(
    connection: &Connection,
    file: FileId,
    batch: BatchId,
    record: &RefusedRecord,
) -> rusqlite::Result<usize> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO reject (file, row, byte, code, message, side, raw, masked, batch, position)
         VALUES (?1, ?2, ?3, ?4, ?5, 'target', ?6, ?7, ?8, ?9)",
    )?;
    let (row, byte, position) = (record.row as i64, record.byte as i64, record.position as i64);
    insert.execute(params![
        file.0,
        row,
        byte,
        record.code,
        record.message,
        record.raw,
        record.masked,
        batch.0,
        position
    ])
}

impl Ledger {
    /// Calls `each` with every reject that the filter lets through, in the order of runs, files and rows.
    pub fn each_reject(&self, filter: &RejectFilter, each: &mut dyn FnMut(RejectRow)) -> Result<()> {
        self.read(|connection| {
            let mut statement = connection.prepare(
                "SELECT f.run, f.name, r.row, r.byte, r.\"column\", r.code, r.message, r.side, r.state, r.raw, r.masked, f.job,
                        f.ordinal, f.bytes_preamble + f.bytes_header
                   FROM reject r JOIN file f ON f.id = r.file
                  WHERE (?1 IS NULL OR f.job = ?1) AND (?2 IS NULL OR f.run = ?2) AND (?3 IS NULL OR r.code = ?3 OR (r.side = 'target' AND 'target:' || r.code = ?3))
                    AND (?5 IS NULL OR r.state = ?5) AND (?6 = 0 OR r.carrier IS NULL)
                  ORDER BY f.id, r.row, r.id LIMIT ?4",
            )?;
            let limit = filter.limit.map_or(-1, i64::from);
            let (job, run) = (filter.job.as_ref().map(JobName::as_str), filter.run.as_ref().map(RunId::as_str));
            let rows =
                statement.query_map(params![job, run, filter.cause, limit, filter.state, filter.idle], reject_row)?;
            for row in rows {
                each(row?);
            }
            Ok(())
        })
    }

    /// Offsets of the rows whose records the target did not take.
    pub fn refused_rows(&self, file: FileId) -> Result<Vec<u64>> {
        self.read(|connection| {
            let mut statement = connection
                .prepare("SELECT byte FROM reject WHERE file = ?1 AND side = 'target' AND state <> 'replayed'")?;
            let rows = statement.query_map([file.0], |row| Ok(row.get::<_, i64>(0)? as u64))?;
            rows.collect()
        })
    }

    /// Code, side and number of rows (or records) of a run, biggest first.
    pub fn reject_causes(&self, run: &RunId) -> Result<Vec<(String, String, u64)>> {
        self.read(|connection| {
            let mut statement = connection.prepare(
                "SELECT r.code, r.side, count(DISTINCT r.file || ':' || r.byte) AS n FROM reject r JOIN file f ON f.id = r.file
                  WHERE f.run = ?1 AND r.state <> 'replayed' AND r.carrier IS NULL
                  GROUP BY r.code, r.side ORDER BY n DESC, r.code",
            )?;
            let rows = statement
                .query_map([run.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)? as u64)))?;
            rows.collect()
        })
    }
}

fn reject_row(row: &Row<'_>) -> rusqlite::Result<RejectRow> {
    let side: String = row.get(7)?;
    Ok(RejectRow {
        run: RunId::new(row.get::<_, String>(0)?),
        file: row.get(1)?,
        row: row.get::<_, Option<i64>>(2)?.map(|row| row as u64),
        byte: row.get::<_, i64>(3)? as u64,
        column: row.get(4)?,
        code: row.get(5)?,
        message: row.get(6)?,
        side: if side == "target" { "target" } else { "mapping" },
        state: row.get(8)?,
        raw: row.get(9)?,
        masked: row.get(10)?,
        job: JobName::new(row.get::<_, String>(11)?),
        ordinal: row.get(12)?,
        head: row.get::<_, Option<i64>>(13)?.map(|head| head as u64),
    })
}
