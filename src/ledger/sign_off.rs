//! Sign-offs: who has looked at a run and found it right. A later change of its books re-opens it by a trigger.

use chrono::{DateTime, NaiveDate, Utc};
use rusqlite::{Connection, Row, params};

use super::row::SignOffRow;
use super::{Ledger, Result, from_ms, to_ms};
use crate::domain::job::SignOffRule;
use crate::domain::name::RunId;

/// What asking for a sign-off came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signed {
    /// The run is signed off.
    Done,
    /// Prepared; another person reviews.
    Prepared,
    /// Somebody has signed it off before.
    Already,
    /// The same person has prepared it.
    SamePerson,
    /// So many breaks are not explained.
    OpenBreaks(u64),
    /// Nothing can be signed yet: it has not come to an end.
    NotEnded,
}

impl Ledger {
    /// Signs a run off, or prepares it for a second person. Breaks that are resolved are closed with it; those that are
    /// only explained stay on the list.
    pub fn sign_off(
        &self,
        run: &RunId,
        rule: SignOffRule,
        who: &str,
        note: &str,
        now: DateTime<Utc>,
    ) -> Result<Signed> {
        self.write_audited(now, who, |tx, scribe| {
            let ended = "SELECT EXISTS (SELECT 1 FROM run WHERE id = ?1 AND owner IS NULL
                AND state IN ('done', 'done_with_rejects', 'break', 'failed', 'cancelled'))";
            if !tx.query_row(ended, [run.as_str()], |row| row.get::<_, bool>(0))? {
                return Ok(Signed::NotEnded);
            }
            let open: i64 = tx.query_row(
                "SELECT count(*) FROM difference WHERE run = ?1 AND state = 'open'",
                [run.as_str()],
                |row| row.get(0),
            )?;
            if open > 0 {
                return Ok(Signed::OpenBreaks(open as u64));
            }
            let before = valid(tx, run)?;
            let role = match (rule, before.iter().find(|row| row.role == "prepared")) {
                _ if before.iter().any(|row| row.role != "prepared") => return Ok(Signed::Already),
                (SignOffRule::TwoPeople, None) => "prepared",
                (SignOffRule::TwoPeople, Some(first)) if first.who == who => return Ok(Signed::SamePerson),
                (SignOffRule::TwoPeople, Some(_)) => "reviewed",
                (SignOffRule::Nobody | SignOffRule::OnePerson, _) => "signed",
            };
            tx.execute(
                "INSERT INTO sign_off (run, at, who, role, note, said) VALUES (?1, ?2, ?3, ?4, ?5, (
                    SELECT json_array(coalesce(sum(made), 0), coalesce(sum(accepted), 0), coalesce(sum(refused), 0),
                                      coalesce(sum(unanswered), 0), coalesce(sum(pending), 0),
                                      (SELECT count(*) FROM difference WHERE run = ?1 AND state = 'explained'))
                      FROM file WHERE run = ?1 AND state <> 'passed_over'))",
                params![run.as_str(), to_ms(now), who, role, note],
            )?;
            let action = if role == "prepared" { "prepare" } else { "sign-off" };
            scribe.note(tx, action, &format!("run {run}"), note)?;
            if role == "prepared" {
                return Ok(Signed::Prepared);
            }
            tx.execute(
                "UPDATE difference SET state = 'signed_off' WHERE run = ?1 AND state = 'resolved'",
                [run.as_str()],
            )?;
            Ok(Signed::Done)
        })
    }

    /// Every sign-off of a run, also those that a later change made void, oldest first.
    pub fn sign_offs(&self, run: &RunId) -> Result<Vec<SignOffRow>> {
        self.read(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT at, who, role, note, reopened_at FROM sign_off WHERE run = ?1 ORDER BY id")?;
            let rows = statement.query_map([run.as_str()], sign_off_row)?;
            rows.collect()
        })
    }

    /// Runs of a business date, oldest first.
    pub fn runs_of_date(&self, date: NaiveDate) -> Result<Vec<RunId>> {
        self.read(|connection| {
            let mut statement =
                connection.prepare("SELECT id FROM run WHERE business_date = ?1 ORDER BY job, number, started_at")?;
            let rows = statement.query_map([date.to_string()], |row| Ok(RunId::new(row.get::<_, String>(0)?)))?;
            rows.collect()
        })
    }
}

fn valid(connection: &Connection, run: &RunId) -> rusqlite::Result<Vec<SignOffRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT at, who, role, note, reopened_at FROM sign_off WHERE run = ?1 AND reopened_at IS NULL ORDER BY id",
    )?;
    let rows = statement.query_map([run.as_str()], sign_off_row)?;
    rows.collect()
}

fn sign_off_row(row: &Row<'_>) -> rusqlite::Result<SignOffRow> {
    Ok(SignOffRow {
        at: from_ms(row.get(0)?),
        who: row.get(1)?,
        role: row.get(2)?,
        note: row.get(3)?,
        reopened_at: row.get::<_, Option<i64>>(4)?.map(from_ms),
    })
}
