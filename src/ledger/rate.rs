//! The pace of a connection, shared by every process on the data folder.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, params};

use super::{Ledger, Result, from_ms, to_ms};

impl Ledger {
    /// Pauses a connection until an instant. A repeat never shortens a pause.
    pub fn pause_connection(&self, connection: &str, until: DateTime<Utc>) -> Result<()> {
        self.write(|tx| {
            tx.execute(
                "INSERT INTO rate (connection, blocked_until) VALUES (?1, ?2) ON CONFLICT (connection) DO UPDATE
                    SET blocked_until = CASE WHEN blocked_until > ?2 THEN blocked_until ELSE ?2 END",
                params![connection, to_ms(until)],
            )?;
            Ok(())
        })
    }

    /// The end of a pause, if one was ever asked for.
    pub fn paused_until(&self, connection: &str) -> Result<Option<DateTime<Utc>>> {
        self.read(|db| {
            let mut row =
                db.prepare_cached("SELECT blocked_until FROM rate WHERE connection = ?1 AND blocked_until > 0")?;
            row.query_row([connection], |row| row.get(0).map(from_ms)).optional()
        })
    }

    /// Takes one place in a stream of `per_second` requests, evenly spaced. Zero: go now, the place is taken. Otherwise
    /// the time until there is one; nothing was taken.
    pub fn reserve(&self, connection: &str, per_second: u32, now: DateTime<Utc>) -> Result<Duration> {
        let gap_us = 1_000_000 / i64::from(per_second.max(1));
        let now_us = now.timestamp_micros();
        self.write(|tx| {
            tx.execute("INSERT INTO rate (connection) VALUES (?1) ON CONFLICT (connection) DO NOTHING", [connection])?;
            let tat: i64 =
                tx.query_row("SELECT tat FROM rate WHERE connection = ?1", [connection], |row| row.get(0))?;
            // A reservation beyond an hour comes from a clock that was set back since.
            if tat > now_us && tat - now_us <= 3_600_000_000 {
                return Ok(Duration::from_micros(u64::try_from(tat - now_us).unwrap_or(0)));
            }
            tx.execute("UPDATE rate SET tat = ?2 WHERE connection = ?1", params![connection, now_us + gap_us])?;
            Ok(Duration::ZERO)
        })
    }
}
