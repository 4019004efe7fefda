//! Why the ledger could not do what it was asked.

use std::path::PathBuf;

use rusqlite::ErrorCode;

use crate::domain::name::RunId;
use crate::domain::reconcile::Imbalance;
use crate::domain::run::RunState;

/// Why the ledger could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// SQLite said no.
    #[error("the ledger {path}: {source}", path = .path.display())]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// The data folder.
    #[error("the data folder {path}: {source}", path = .path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Written by a newer Nightferry.
    #[error("the ledger {path} has schema {found}; this version knows up to {known}: use the newer nightferry", path = .path.display())]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A library with the write-ahead-log fault.
    #[error("SQLite {0} can corrupt a ledger; 3.51.3 or newer is needed")]
    OldSqlite(&'static str),
    /// Another process has taken the run over; nothing was written.
    #[error("run {0} was taken over by another process; nothing more was written")]
    Fenced(RunId),
    /// A row is not in a state that allows this step.
    #[error("{what} is not in a state for this step")]
    WrongState {
        /// `file 3`, `batch 17`.
        what: String,
    },
    /// A batch was to be sealed with another key or body than before.
    #[error("batch {ordinal} was sealed with another key or body before; nothing was sent")]
    SealMismatch {
        /// Its position in the file.
        ordinal: u64,
    },
    /// The batches do not hold every record of the file.
    #[error("the batches hold {sealed} records, but {made} were made; nothing was sent")]
    SealIncomplete {
        /// In the batches.
        sealed: u64,
        /// Of the file.
        made: u64,
    },
    /// `resume` of a run that has ended.
    #[error("run {run} has ended: {state}")]
    RunIsFinal {
        /// The run.
        run: RunId,
        /// Its state.
        state: RunState,
    },
    /// Rejects or batches could not be read back from the run's folder.
    #[error("cannot read the run's own files: {0}")]
    Artifact(#[source] std::io::Error),
    /// A law does not hold; the transaction was rolled back.
    #[error("law {law}: {message}", law = .0.law, message = .0.message)]
    Imbalance(Imbalance),
    /// A value that this version does not know.
    #[error("the ledger holds `{0}`, which this version does not know")]
    Unknown(String),
}

impl LedgerError {
    /// True when the volume is full, or may be: SQLite tells both as an I/O error.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Sqlite { source: rusqlite::Error::SqliteFailure(error, _), .. } => {
                matches!(error.code, ErrorCode::DiskFull | ErrorCode::SystemIoFailure)
            }
            Self::Folder { source, .. } => source.kind() == std::io::ErrorKind::StorageFull,
            _ => false,
        }
    }
}
