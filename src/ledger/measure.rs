//! Measures of files and batches: exact whole numbers, moved with the records they belong to.

use rusqlite::{Connection, Row, Transaction, params};
use rust_decimal::Decimal;

use super::row::{BatchId, FileId, FileMeasure, NewMeasure, Portion};
use super::{Fault, Ledger, LedgerError, Result, one, word};
use crate::domain::measure::MeasureLine;
use crate::domain::name::RunId;
use crate::domain::reconcile::Imbalance;

/// A count is that of the file's records, so no batch carries it.
const SELECT: &str = "SELECT m.file, m.slot, m.measure, m.title, m.unit, m.counts, m.scale, m.tolerance,
    iif(m.counts, f.made, m.made), iif(m.counts, f.accepted, m.accepted), iif(m.counts, f.refused, m.refused),
    iif(m.counts, f.unanswered, m.unanswered), iif(m.counts, f.pending, m.pending)
    FROM file_measure m JOIN file f ON f.id = m.file ";

impl Ledger {
    /// The measures of a file, by slot.
    pub fn file_measures(&self, file: FileId) -> Result<Vec<FileMeasure>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE m.file = ?1 ORDER BY m.slot"))?;
            let rows = statement.query_map([file.0], measure_row)?;
            rows.collect()
        })
    }

    /// The measures of every file of a run.
    pub fn run_measures(&self, run: &RunId) -> Result<Vec<FileMeasure>> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached(&format!("{SELECT} WHERE f.run = ?1 ORDER BY f.ordinal, m.slot"))?;
            let rows = statement.query_map([run.as_str()], measure_row)?;
            rows.collect()
        })
    }
}

/// Writes the sums of a file that was read to its end; all of them are pending.
pub(super) fn insert_file_measures(
    connection: &Connection,
    file: FileId,
    measures: &[NewMeasure],
) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM file_measure WHERE file = ?1", [file.0])?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO file_measure (file, slot, measure, title, unit, counts, scale, tolerance, made, pending)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)",
    )?;
    for one in measures {
        let NewMeasure { slot, measure, title, unit, counts, scale, tolerance, made } = one;
        insert.execute(params![file.0, slot, measure, title, unit, counts, scale, tolerance.to_string(), made])?;
    }
    Ok(())
}

/// Writes what a sealed batch adds.
pub(super) fn insert_batch_amounts(tx: &Transaction<'_>, batch: i64, amounts: &[(u32, i64)]) -> rusqlite::Result<()> {
    if amounts.is_empty() {
        return Ok(());
    }
    let mut insert = tx.prepare_cached(
        "INSERT INTO batch_measure (batch, slot, amount, pending) VALUES (?1, ?2, ?3, ?3) ON CONFLICT DO NOTHING",
    )?;
    amounts.iter().try_for_each(|(slot, amount)| insert.execute(params![batch, slot, amount]).map(drop))
}

/// Divides the amounts of an answered batch whose records have several fates.
pub(super) fn divide(tx: &Transaction<'_>, batch: i64, portions: &[Portion]) -> rusqlite::Result<()> {
    let mut update = tx.prepare_cached(
        "UPDATE batch_measure SET accepted = ?3, refused = ?4, unanswered = ?5, pending = 0 WHERE batch = ?1 AND slot = ?2",
    )?;
    portions.iter().try_for_each(|portion| {
        let Portion { slot, accepted, refused, unanswered } = portion;
        update.execute(params![batch, slot, accepted, refused, unanswered]).map(drop)
    })
}

/// Moves the amounts of records to the batch that carries them now. Where their fate was is `from`: `pending` when a batch is
/// split, and then the rest of it is refused; `refused` when they are sent again.
pub(super) fn move_amounts(
    tx: &Transaction<'_>,
    parent: BatchId,
    child: BatchId,
    amounts: &[(u32, i64)],
    from: Column,
) -> rusqlite::Result<()> {
    insert_batch_amounts(tx, child.0, amounts)?;
    let from = match from {
        Column::Open => "pending = pending + unanswered - ?3, unanswered = 0",
        Column::Refused => "refused = refused - ?3",
    };
    let sql = format!("UPDATE batch_measure SET moved = moved + ?3, {from} WHERE batch = ?1 AND slot = ?2");
    let mut update = tx.prepare_cached(&sql)?;
    amounts.iter().try_for_each(|(slot, amount)| update.execute(params![parent.0, slot, amount]).map(drop))
}

/// The amounts of a refused record that is mapped anew leave the batch that it was refused in.
pub(super) fn give_amounts_away(tx: &Transaction<'_>, parent: i64, amounts: &[(u32, i64)]) -> rusqlite::Result<()> {
    let sql = "UPDATE batch_measure SET moved = moved + ?3, refused = refused - ?3 WHERE batch = ?1 AND slot = ?2";
    let mut update = tx.prepare_cached(sql)?;
    amounts.iter().try_for_each(|(slot, amount)| update.execute(params![parent, slot, amount]).map(drop))
}

/// A file grows by the amounts of rows that pass the mapping now; nothing of them was sent yet.
pub(super) fn grow(tx: &Transaction<'_>, file: FileId, amounts: &[(u32, i64)]) -> std::result::Result<(), Fault> {
    let sql = "UPDATE file_measure SET made = made + ?3, pending = pending + ?3 WHERE file = ?1 AND slot = ?2";
    let mut update = tx.prepare_cached(sql)?;
    amounts.iter().try_for_each(|(slot, amount)| {
        let changed = update.execute(params![file.0, slot, amount])?;
        one(changed, || format!("measure {slot} of file {}", file.0))
    })
}

/// What is left open of a batch that was split is refused.
pub(super) fn refuse_the_rest(tx: &Transaction<'_>, batch: BatchId) -> rusqlite::Result<()> {
    let sql = "UPDATE batch_measure SET refused = refused + pending + unanswered, pending = 0, unanswered = 0
                WHERE batch = ?1 AND pending + unanswered <> 0";
    tx.prepare_cached(sql)?.execute([batch.0]).map(drop)
}

/// Where the amounts of records that move were before.
#[derive(Clone, Copy)]
pub(super) enum Column {
    /// Pending, or unanswered.
    Open,
    /// Refused.
    Refused,
}

/// Law 2 for measures, in SQL: what a file says of each is what its batches say, and nothing of an answered batch is pending.
pub(super) fn prove_measures(connection: &Connection, file: FileId) -> std::result::Result<(), Fault> {
    let mut wrong = connection.prepare_cached(
        "SELECT m.title, m.unit, m.made, m.accepted, m.refused, m.unanswered,
                CAST(coalesce(sum(b.amount - b.moved), 0) AS BIGINT), CAST(coalesce(sum(b.accepted), 0) AS BIGINT),
                CAST(coalesce(sum(b.refused), 0) AS BIGINT), CAST(coalesce(sum(b.unanswered), 0) AS BIGINT)
           FROM file_measure m
           LEFT JOIN (SELECT d.* FROM batch b JOIN batch_measure d ON d.batch = b.id WHERE b.file = ?1) b ON b.slot = m.slot
          WHERE m.file = ?1 AND m.counts = 0 GROUP BY m.slot
         HAVING m.made <> coalesce(sum(b.amount - b.moved), 0) OR m.accepted <> coalesce(sum(b.accepted), 0)
                OR m.refused <> coalesce(sum(b.refused), 0) OR m.unanswered <> coalesce(sum(b.unanswered), 0)
                OR m.pending <> 0",
    )?;
    let mut rows = wrong.query([file.0])?;
    let Some(row) = rows.next()? else { return Ok(()) };
    let number = |at: usize| row.get::<_, i64>(at);
    let message = format!(
        "`{}` {}: the file says made, accepted, refused, unanswered {:?}, its batches {:?}",
        row.get::<_, String>(0)?,
        row.get::<_, String>(1)?,
        [number(2)?, number(3)?, number(4)?, number(5)?],
        [number(6)?, number(7)?, number(8)?, number(9)?]
    );
    Err(LedgerError::Imbalance(Imbalance { law: 2, message }).into())
}

fn measure_row(row: &Row<'_>) -> rusqlite::Result<FileMeasure> {
    let scale: u32 = row.get(6)?;
    let amount = |at: usize| row.get::<_, i64>(at).map(|whole| Decimal::new(whole, scale));
    Ok(FileMeasure {
        file: FileId(row.get(0)?),
        slot: row.get(1)?,
        counts: row.get(5)?,
        scale,
        line: MeasureLine {
            measure: row.get(2)?,
            title: row.get(3)?,
            unit: row.get(4)?,
            tolerance: word(row.get(7)?, |text| text.parse().ok())?,
            made: amount(8)?,
            accepted: amount(9)?,
            refused: amount(10)?,
            unanswered: amount(11)?,
            pending: amount(12)?,
        },
    })
}
