//! The pace of a connection, shared by every process on the data folder: its rows are read and written inside the transaction
//! that opens the attempts, so that a place in the stream, a seat and the attempt are one commit.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Transaction, params};

use super::owner::is_alive;
use super::row::{BatchId, RunLease};
use super::{Fault, Ledger};
use crate::domain::pace::{ASKS_FOR, Admission, Health, Rate, Seat, Traffic, seats};

/// What a delivery asks of its connection.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The connection.
    pub connection: &'a str,
    /// Its limits.
    pub rate: &'a Rate,
    /// Requests of this delivery that are still under way.
    pub under_way: u32,
    /// How many more may be written down than can be under way at once, while nobody else is on the connection.
    pub ahead: u32,
    /// Batches that are due, in the order in which they would leave.
    pub want: &'a [BatchId],
    /// What ended since the last time, in the order in which it ended.
    pub heard: &'a [Health],
    /// The target asks everybody to wait so long.
    pub pause: Option<Duration>,
    /// How far ahead places may be taken.
    pub horizon: Duration,
    /// The time between two probes of a target that fails.
    pub probe_every: Duration,
}

impl Ledger {
    /// Takes note of what ended, and takes places and seats for the first of `ask.want`.
    pub(super) fn admit(
        &self,
        tx: &Transaction<'_>,
        lease: &RunLease,
        ask: &Ask<'_>,
        now: DateTime<Utc>,
    ) -> Result<Admission, Fault> {
        let now = now.timestamp_micros();
        let probe_every = micros(ask.probe_every);
        let mut row = tx.prepare_cached(READ)?;
        let before = row.query_row([ask.connection], traffic_row).optional()?;
        let mut traffic = before.unwrap_or_default();
        for health in ask.heard {
            traffic.hear(*health, now, probe_every);
        }
        if let Some(wait) = ask.pause {
            traffic.pause(now, micros(wait));
        }
        let others = other_seats(tx, &self.data, lease, ask.connection, now)?;
        let mine = my_seat(tx, lease, ask, now)?;
        let concurrency = ask.rate.concurrency.max(1);
        let seats = match others.is_empty() {
            true => (concurrency + ask.ahead).saturating_sub(ask.under_way) as usize,
            false => seats(concurrency, mine, &others) as usize,
        };
        let mut admission = traffic.admit(ask.rate, ask.want.len().min(seats), now, micros(ask.horizon), probe_every);
        if seats < ask.want.len() && admission.look_again.is_none() {
            // A seat of another delivery becomes free without a word to us.
            admission.look_again = Some(ASKS_FOR / 4);
        }
        if before != Some(traffic) {
            write(tx, ask.connection, &traffic)?;
        }
        self.take_seats(tx, lease, ask, &admission, now)?;
        Ok(admission)
    }

    fn take_seats(
        &self,
        tx: &Transaction<'_>,
        lease: &RunLease,
        ask: &Ask<'_>,
        admission: &Admission,
        now: i64,
    ) -> Result<(), Fault> {
        let served = admission.departures.len() as u32;
        let taken = ask.under_way + served;
        if taken == 0 && ask.want.is_empty() {
            let mut leave = tx.prepare_cached("DELETE FROM seat WHERE connection = ?1 AND lease = ?2")?;
            leave.execute(params![ask.connection, lease.lease.as_str()])?;
            return Ok(());
        }
        let wants_until = if admission.departures.len() < ask.want.len() { now + ASKS_FOR } else { 0 };
        let mut sit = tx.prepare_cached(
            "INSERT INTO seat (connection, lease, owner, taken, wants_until, served_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (connection, lease) DO UPDATE SET taken = ?4, wants_until = ?5,
                    served_at = CASE WHEN ?7 > 0 THEN ?6 ELSE served_at END",
        )?;
        let owner = self.owner.as_ref().map_or("", |owner| owner.id());
        sit.execute(params![ask.connection, lease.lease.as_str(), owner, taken, wants_until, now, served])?;
        Ok(())
    }
}

const READ: &str = "SELECT tat, blocked_until, failures, next_probe, seen FROM rate WHERE connection = ?1";

fn traffic_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Traffic> {
    Ok(Traffic {
        next_place: row.get(0)?,
        // Written in milliseconds since the first version of this table.
        paused_until: row.get::<_, i64>(1)? * 1000,
        failures: row.get(2)?,
        next_probe: row.get(3)?,
        seen: row.get(4)?,
    })
}

fn write(tx: &Transaction<'_>, connection: &str, traffic: &Traffic) -> rusqlite::Result<()> {
    let mut write = tx.prepare_cached(
        "INSERT INTO rate (connection, tat, blocked_until, failures, next_probe, seen) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (connection) DO UPDATE SET tat = ?2, blocked_until = ?3, failures = ?4, next_probe = ?5, seen = ?6",
    )?;
    // Rounded up: a pause is never shorter than it was asked for.
    let paused_until = traffic.paused_until.div_euclid(1000) + i64::from(traffic.paused_until.rem_euclid(1000) > 0);
    write.execute(params![
        connection,
        traffic.next_place,
        paused_until,
        traffic.failures,
        traffic.next_probe,
        traffic.seen
    ])?;
    Ok(())
}

/// What other deliveries have; those whose process has ended are struck.
fn other_seats(
    tx: &Transaction<'_>,
    data: &Path,
    lease: &RunLease,
    connection: &str,
    now: i64,
) -> rusqlite::Result<Vec<Seat>> {
    let mut rows = tx.prepare_cached(
        "SELECT lease, owner, taken, wants_until, served_at FROM seat WHERE connection = ?1 AND lease <> ?2",
    )?;
    let found = rows.query_map(params![connection, lease.lease.as_str()], |row| {
        let seat = Seat { taken: row.get(2)?, wants: row.get::<_, i64>(3)? > now, served_at: row.get(4)? };
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, seat))
    })?;
    let mut seats = Vec::new();
    for (other, owner, seat) in found.collect::<rusqlite::Result<Vec<_>>>()? {
        if is_alive(data, &owner) {
            seats.push(seat);
        } else {
            tx.execute("DELETE FROM seat WHERE connection = ?1 AND lease = ?2", params![connection, other])?;
        }
    }
    Ok(seats)
}

fn my_seat(tx: &Transaction<'_>, lease: &RunLease, ask: &Ask<'_>, now: i64) -> rusqlite::Result<Seat> {
    let mut served = tx.prepare_cached("SELECT served_at FROM seat WHERE connection = ?1 AND lease = ?2")?;
    let served_at = served.query_row(params![ask.connection, lease.lease.as_str()], |row| row.get(0)).optional()?;
    Ok(Seat { taken: ask.under_way, wants: true, served_at: served_at.unwrap_or(now) })
}

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX / 4)
}
