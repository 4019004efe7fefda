//! Breaks: opened and resolved by the transaction that changes their cause, explained by people.

use chrono::{DateTime, NaiveDate, Utc};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use rust_decimal::Decimal;

use super::row::{BreakRow, FileId};
use super::{Fault, Ledger, Result, from_ms, to_ms, word};
use crate::domain::breaks::{BreakState, BreakType};
use crate::domain::file::shown_name;
use crate::domain::name::{JobName, RunId};

const SELECT: &str =
    "SELECT d.id, d.run, d.file, d.job, d.business_date, d.type, d.subject, d.expected, d.found, d.records,
    d.amounts, d.opened_at, d.state, d.reason, d.note, d.explained_by, d.explained_at, d.resolved_by, d.resolved_at,
    f.name FROM difference d LEFT JOIN file f ON f.id = d.file ";

/// Which breaks to list.
#[derive(Clone, Debug, Default)]
pub struct BreakFilter {
    /// Only of this job.
    pub job: Option<JobName>,
    /// Only of this run.
    pub run: Option<RunId>,
    /// Only those whose cause is still there.
    pub current: bool,
}

/// A difference as it is found.
struct Found {
    file: Option<i64>,
    kind: BreakType,
    subject: String,
    expected: String,
    found: String,
    records: i64,
    amounts: String,
}

/// What a file contributes.
struct FileBooks {
    id: i64,
    name: Vec<u8>,
    state: String,
    reason: Option<String>,
    made: i64,
    refused: i64,
    unanswered: i64,
    controls: String,
}

impl Ledger {
    /// Breaks, oldest first.
    pub fn breaks(&self, filter: &BreakFilter) -> Result<Vec<BreakRow>> {
        self.read(|connection| {
            let mut statement = connection.prepare(&format!(
                "{SELECT} WHERE (?1 IS NULL OR d.job = ?1) AND (?2 IS NULL OR d.run = ?2)
                    AND (NOT ?3 OR d.state IN ('open', 'explained')) ORDER BY d.opened_at, d.id"
            ))?;
            let (job, run) = (filter.job.as_ref().map(JobName::as_str), filter.run.as_ref().map(RunId::as_str));
            let rows = statement.query_map(params![job, run, filter.current], break_row)?;
            rows.collect()
        })
    }

    /// One break.
    pub fn find_break(&self, id: i64) -> Result<Option<BreakRow>> {
        self.read(|connection| connection.query_row(&format!("{SELECT} WHERE d.id = ?1"), [id], break_row).optional())
    }

    /// Says why a break is there. It stays on the list until its cause goes; another explanation replaces the first.
    pub fn explain_break(&self, id: i64, reason: &str, note: &str, who: &str, now: DateTime<Utc>) -> Result<()> {
        self.write_audited(now, who, |tx, scribe| {
            let changed = tx.execute(
                "UPDATE difference SET state = 'explained', reason = ?2, note = ?3, explained_by = ?4, explained_at = ?5
                  WHERE id = ?1 AND state IN ('open', 'explained')",
                params![id, reason, note, who, to_ms(now)],
            )?;
            super::one(changed, || format!("break {id}"))?;
            scribe.note(tx, "explain", &format!("break {id}"), &format!("{reason}: {note}"))
        })
    }

    /// Takes an explanation back.
    pub fn undo_explanation(&self, id: i64, who: &str, now: DateTime<Utc>) -> Result<()> {
        self.write_audited(now, who, |tx, scribe| {
            let changed = tx.execute(
                "UPDATE difference SET state = 'open', reason = NULL, note = NULL, explained_by = NULL, explained_at = NULL
                  WHERE id = ?1 AND state = 'explained'",
                [id],
            )?;
            super::one(changed, || format!("break {id}"))?;
            scribe.note(tx, "undo", &format!("break {id}"), "explanation taken back")
        })
    }
}

/// Opens the breaks that the books of a run show, and resolves those whose cause is gone. A repeat changes nothing.
pub(super) fn sync_breaks(tx: &Transaction<'_>, run: &str, now: DateTime<Utc>) -> std::result::Result<(), Fault> {
    let Some((job, date, error_code, error_message)) = tx
        .query_row("SELECT job, business_date, error_code, error_message FROM run WHERE id = ?1", [run], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?
    else {
        return Ok(());
    };
    let (error_code, error_message): (Option<String>, Option<String>) = (error_code, error_message);
    let mut found = Vec::new();
    for file in files_of(tx, run)? {
        found_in(tx, &file, &mut found)?;
    }
    if error_code.as_deref() == Some("sequence-gap") {
        found.push(Found {
            file: None,
            kind: BreakType::SequenceGap,
            subject: "files".to_owned(),
            expected: "no gap".to_owned(),
            found: error_message.unwrap_or_default(),
            records: 0,
            amounts: "[]".to_owned(),
        });
    }
    for one in &found {
        upsert(tx, run, &job, &date, one, now)?;
    }
    resolve(tx, run, &found, now)?;
    resolve_by_later_files(tx, &job, &date, error_code.as_deref(), now)
}

fn files_of(tx: &Transaction<'_>, run: &str) -> rusqlite::Result<Vec<FileBooks>> {
    let mut statement = tx.prepare_cached(
        "SELECT id, name, state, reason, made, refused, unanswered, controls FROM file WHERE run = ?1
            AND (refused > 0 OR unanswered > 0 OR state = 'failed')",
    )?;
    let rows = statement.query_map([run], |row| {
        Ok(FileBooks {
            id: row.get(0)?,
            name: row.get(1)?,
            state: row.get(2)?,
            reason: row.get(3)?,
            made: row.get(4)?,
            refused: row.get(5)?,
            unanswered: row.get(6)?,
            controls: row.get(7)?,
        })
    })?;
    rows.collect()
}

fn found_in(tx: &Transaction<'_>, file: &FileBooks, found: &mut Vec<Found>) -> std::result::Result<(), Fault> {
    let amounts = |column: &str| amounts(tx, file.id, column);
    let mut add = |kind, subject: &str, expected: String, text: String, records, amounts: String| {
        let (file, subject) = (Some(file.id), subject.to_owned());
        found.push(Found { file, kind, subject, expected, found: text, records, amounts });
    };
    if file.refused > 0 {
        let (open, codes) = open_refusals(tx, file.id)?;
        if open > 0 {
            let expected = format!("{} accepted", file.made);
            add(BreakType::RefusedByTarget, "", expected, codes, open, amounts("refused")?);
        }
    }
    if file.unanswered > 0 {
        let text = format!("{} without an answer", file.unanswered);
        let expected = format!("{} answered", file.made);
        add(BreakType::Unanswered, "", expected, text, file.unanswered, amounts("unanswered")?);
    }
    match file.reason.as_deref() {
        Some("seen-before") if file.state == "failed" => {
            let text = format!("`{}` has come before", shown_name(&file.name));
            add(BreakType::RepeatedFile, "", "new content".to_owned(), text, 0, "[]".to_owned());
        }
        Some(reason) if reason.starts_with("control:") => {
            let controls = super::file::controls_of(&file.controls).unwrap_or_default();
            for control in controls.into_iter().filter(|control| !control.holds) {
                let kind = if control.sequence { BreakType::SequenceGap } else { BreakType::ControlTotal };
                add(kind, &control.id, control.expected, control.found, 0, "[]".to_owned());
            }
        }
        _ => {}
    }
    Ok(())
}

/// Refused records that nobody has written off and no batch carries again, and their codes: `BLOCKED 2 · CLOSED 1`.
fn open_refusals(tx: &Transaction<'_>, file: i64) -> rusqlite::Result<(i64, String)> {
    let mut statement = tx.prepare_cached(
        "SELECT code, count(DISTINCT coalesce(batch || ':' || position, byte)) AS n FROM reject
          WHERE file = ?1 AND side = 'target' AND state = 'open' GROUP BY code ORDER BY n DESC, code",
    )?;
    let rows = statement.query_map([file], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    let codes = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let text: Vec<String> =
        codes.iter().take(5).map(|(code, count)| format!("{} {count}", shown_name(code.as_bytes()))).collect();
    let more = if codes.len() > 5 { " …" } else { "" };
    Ok((codes.iter().map(|(_, count)| count).sum(), text.join(" · ") + more))
}

/// The amounts of a file in one column, as JSON.
fn amounts(tx: &Transaction<'_>, file: i64, column: &str) -> rusqlite::Result<String> {
    let mut statement = tx.prepare_cached(&format!(
        "SELECT title, unit, {column}, scale FROM file_measure WHERE file = ?1 AND counts = 0 AND {column} <> 0 ORDER BY slot"
    ))?;
    let rows = statement.query_map([file], |row| {
        let amount = Decimal::new(row.get(2)?, row.get(3)?).to_string();
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, amount))
    })?;
    let amounts = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(serde_json::to_string(&amounts).unwrap_or_default())
}

/// A difference that is still there keeps its age and its explanation; one that was resolved and comes back is open again.
fn upsert(
    tx: &Transaction<'_>,
    run: &str,
    job: &str,
    date: &str,
    one: &Found,
    now: DateTime<Utc>,
) -> rusqlite::Result<()> {
    let Found { file, kind, subject, expected, found, records, amounts } = one;
    tx.execute(
        "INSERT INTO difference (run, file, job, business_date, type, subject, expected, found, records, amounts, opened_at, state)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'open')
         ON CONFLICT (run, coalesce(file, 0), type, subject) DO UPDATE SET
            expected = excluded.expected, found = excluded.found, records = excluded.records, amounts = excluded.amounts,
            state = CASE WHEN state IN ('open', 'explained') OR resolved_by = 'a later file' THEN state ELSE 'open' END,
            resolved_at = CASE WHEN resolved_by = 'a later file' THEN resolved_at END,
            resolved_by = CASE WHEN resolved_by = 'a later file' THEN resolved_by END",
        params![run, file, job, date, kind.word(), subject, expected, found, records, amounts, to_ms(now)],
    )
    .map(drop)
}

/// Breaks of the run that its books do not show any more.
fn resolve(tx: &Transaction<'_>, run: &str, found: &[Found], now: DateTime<Utc>) -> std::result::Result<(), Fault> {
    let mut current = tx.prepare_cached(
        "SELECT id, file, type, subject FROM difference WHERE run = ?1 AND state IN ('open', 'explained')
            AND type IN ('refused_by_target', 'unanswered')",
    )?;
    let rows = current.query_map([run], |row| {
        let kind = word(row.get(2)?, BreakType::from_word)?;
        Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?, kind, row.get::<_, String>(3)?))
    })?;
    for row in rows {
        let (id, file, kind, subject) = row?;
        if found.iter().any(|one| one.file == file && one.kind == kind && one.subject == subject) {
            continue;
        }
        let how = match kind {
            BreakType::Unanswered => "the target's answer",
            _ if is_written_off(tx, file)? => "written off",
            _ => "resend",
        };
        tx.execute(
            "UPDATE difference SET state = 'resolved', resolved_by = ?2, resolved_at = ?3 WHERE id = ?1",
            params![id, how, to_ms(now)],
        )?;
    }
    Ok(())
}

fn is_written_off(connection: &Connection, file: Option<i64>) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM reject WHERE file = ?1 AND side = 'target' AND state = 'written_off')";
    connection.query_row(sql, [file], |row| row.get(0))
}

/// A file that was wrong and has come again under its name, and settled; a sequence that goes on.
fn resolve_by_later_files(
    tx: &Transaction<'_>,
    job: &str,
    date: &str,
    error: Option<&str>,
    now: DateTime<Utc>,
) -> std::result::Result<(), Fault> {
    tx.execute(
        "UPDATE difference SET state = 'resolved', resolved_by = 'a later file', resolved_at = ?3
          WHERE job = ?1 AND business_date = ?2 AND state IN ('open', 'explained') AND type IN ('control_total', 'sequence_gap')
            AND file IS NOT NULL AND EXISTS (
                SELECT 1 FROM file bad JOIN file good ON good.job = bad.job AND good.folder = bad.folder AND good.name = bad.name
                 WHERE bad.id = difference.file AND good.id > bad.id AND good.state = 'settled')",
        params![job, date, to_ms(now)],
    )?;
    if error.is_none() {
        tx.execute(
            "UPDATE difference SET state = 'resolved', resolved_by = 'a later file', resolved_at = ?2
              WHERE job = ?1 AND state IN ('open', 'explained') AND type = 'sequence_gap' AND file IS NULL",
            params![job, to_ms(now)],
        )?;
    }
    Ok(())
}

fn break_row(row: &Row<'_>) -> rusqlite::Result<BreakRow> {
    let amounts: String = row.get(10)?;
    Ok(BreakRow {
        id: row.get(0)?,
        run: RunId::new(row.get::<_, String>(1)?),
        file: row.get::<_, Option<i64>>(2)?.map(FileId),
        file_name: row.get(19)?,
        job: JobName::new(row.get::<_, String>(3)?),
        business_date: word(row.get(4)?, |text| text.parse::<NaiveDate>().ok())?,
        kind: word(row.get(5)?, BreakType::from_word)?,
        subject: row.get(6)?,
        expected: row.get(7)?,
        found: row.get(8)?,
        records: row.get::<_, i64>(9)? as u64,
        amounts: word(amounts, |text| serde_json::from_str(text).ok())?,
        opened_at: from_ms(row.get(11)?),
        state: word(row.get(12)?, BreakState::from_word)?,
        reason: row.get(13)?,
        note: row.get(14)?,
        explained_by: row.get(15)?,
        explained_at: row.get::<_, Option<i64>>(16)?.map(from_ms),
        resolved_by: row.get(17)?,
        resolved_at: row.get::<_, Option<i64>>(18)?.map(from_ms),
    })
}
