//! The ledger: the database, seen as a book. All SQL is here.
//!
//! **Locking.** SQLite in WAL mode with `synchronous = FULL`: a committed transaction survives a power cut. One
//! connection behind a mutex per handle; every write is one `BEGIN IMMEDIATE` transaction. Several processes share a
//! data folder: each holds a lock on a file of its own (`owner`), and a lease whose owner's lock is free is void.
//!
//! **Laws.** Laws 1 to 3 are CHECK constraints of the file rows, so no committed state breaks them; `settle` proves
//! the sums over batches and rejects as well.

pub mod again;
mod arrival;
pub mod audit;
mod batch;
mod book;
pub mod breaks;
mod error;
mod file;
pub mod firing;
mod hold;
mod measure;
mod open;
mod owner;
pub mod rate;
pub mod reject;
pub mod row;
mod run;
pub mod sign_off;
pub mod state;
#[cfg(test)]
mod tests;
pub mod write_off;

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

pub use error::LedgerError;
use owner::Owner;
use row::RunLease;

type Result<T> = std::result::Result<T, LedgerError>;

/// A handle on the ledger of a data folder.
pub struct Ledger {
    connection: Mutex<Connection>,
    path: PathBuf,
    /// `None` for a handle that only reads.
    owner: Option<Owner>,
    data: PathBuf,
    commits: AtomicU64,
    /// SQLite's count of writes by others, when it was last looked at.
    seen_version: AtomicI64,
}

/// How long a lease lasts without being renewed. On one machine the owner's lock ends it sooner.
const LEASE_MS: i64 = 30_000;

impl Ledger {
    /// Write transactions committed by this handle.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic while the lock was held rolled its transaction back; the connection is sound.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sqlite(&self, source: rusqlite::Error) -> LedgerError {
        // A law that a CHECK found broken is no fault of the database.
        if let Some(law) =
            (1..=3).find(|law| source.to_string().contains(&format!("CHECK constraint failed: law_{law}")))
        {
            let message = "the counts of a file do not add up; nothing of it was written".to_owned();
            return LedgerError::Imbalance(crate::domain::reconcile::Imbalance { law, message });
        }
        LedgerError::Sqlite { path: self.path.clone(), source }
    }

    /// Reads in one snapshot.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        work(&self.lock()).map_err(|error| self.sqlite(error))
    }

    /// Writes in one transaction: all of it, or nothing.
    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, Fault>) -> Result<T> {
        let mut connection = self.lock();
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| self.sqlite(error))?;
        let done = work(&transaction).map_err(|fault| fault.at(self))?;
        transaction.commit().map_err(|error| self.sqlite(error))?;
        self.commits.fetch_add(1, Ordering::Relaxed);
        Ok(done)
    }

    /// Writes for the holder of a run; refused when another process holds it.
    fn write_held<T>(
        &self,
        lease: &RunLease,
        work: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, Fault>,
    ) -> Result<T> {
        self.write(|transaction| {
            let mut held = transaction.prepare_cached("SELECT 1 FROM run WHERE id = ?1 AND lease = ?2")?;
            if !held.exists(params![lease.run.as_str(), lease.lease.as_str()])? {
                return Err(LedgerError::Fenced(lease.run.clone()).into());
            }
            drop(held);
            work(transaction)
        })
    }
}

/// What goes wrong inside a transaction: SQLite, or a rule of ours.
enum Fault {
    Sqlite(rusqlite::Error),
    Rule(LedgerError),
}

impl Fault {
    fn at(self, ledger: &Ledger) -> LedgerError {
        match self {
            Self::Sqlite(error) => ledger.sqlite(error),
            Self::Rule(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Self {
        Self::Rule(error)
    }
}

/// One row must have changed; otherwise it was not in a state for the step.
fn one(changed: usize, what: impl FnOnce() -> String) -> std::result::Result<(), Fault> {
    if changed == 1 { Ok(()) } else { Err(LedgerError::WrongState { what: what() }.into()) }
}

fn to_ms(at: DateTime<Utc>) -> i64 {
    at.timestamp_millis()
}

fn from_ms(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

/// A word that `parse` must know, as a column value.
fn word<T>(text: String, parse: impl FnOnce(&str) -> Option<T>) -> rusqlite::Result<T> {
    parse(&text).ok_or_else(|| {
        let unknown = Box::new(LedgerError::Unknown(text));
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, unknown)
    })
}
