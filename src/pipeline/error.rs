//! Why a run cannot go on at all. Bad data is a value; a bad file is a fault of that file; this is the rest.

use std::path::{Path, PathBuf};

use crate::domain::name::{JobName, RunId};
use crate::domain::run::RunState;
use crate::ledger::LedgerError;
use crate::ledger::row::{RunFault, RunLease};
use crate::ports::RemoteError;

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another process runs this job.
    #[error("{job} is already running: run {run}")]
    Busy {
        /// The job.
        job: JobName,
        /// Its run.
        run: RunId,
    },
    /// `resume` of something that is not there.
    #[error("there is no run {0}")]
    NoSuchRun(RunId),
    /// A resend or a replay of a run that has not come to its end.
    #[error("run {run} has not come to its end: it is {state}")]
    NotEnded {
        /// The run.
        run: RunId,
        /// Its state.
        state: RunState,
    },
    /// The source, or our disk while landing.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The target cannot be set up: a missing secret, a certificate that cannot be read.
    #[error("{message}")]
    Target {
        /// What is wrong.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Our own files of the run.
    #[error("cannot read or write the run's own files: {0}")]
    Spool(#[source] std::io::Error),
    /// A law does not hold.
    #[error("internal imbalance, law {law}: {message}")]
    Imbalance {
        /// Number of the law.
        law: u8,
        /// Both sides.
        message: String,
    },
    /// The mapping that the run started with no longer compiles in this version.
    #[error("the mapping that the run started with cannot be read: {0}")]
    Pinned(String),
    /// The volume of the data folder is nearly full.
    #[error("{folder} has {free} MB free, less than the reserve of {reserve} MB", folder = .folder.display())]
    Reserve {
        /// The data folder.
        folder: PathBuf,
        /// Free, in MB.
        free: u64,
        /// Kept free, in MB.
        reserve: u64,
    },
    /// A defect of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

impl RunError {
    /// True when another try may help because a system could not be reached: exit code 8.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Remote(
                RemoteError::Unreachable { .. }
                    | RemoteError::HostKey { .. }
                    | RemoteError::Login { .. }
                    | RemoteError::Refused { .. }
            ) | Self::Target { .. }
        )
    }

    /// As it is written down with its run.
    pub(super) fn fault(&self, lease: &RunLease) -> RunFault {
        let (code, hint) = self.words();
        let hint = hint.map(|hint| hint.replace("RUN", lease.run.as_str()));
        RunFault { code, message: self.to_string(), hint }
    }

    /// A stable code word, and what to do next (`RUN` stands for the run's id).
    pub fn words(&self) -> (String, Option<String>) {
        const MAKE_ROOM: &str = "make room in the data folder, then `nightferry resume RUN` (or `run` again)";
        let (code, hint) = match self {
            Self::Remote(RemoteError::Unreachable { hint, .. }) => ("unreachable", hint.clone()),
            Self::Remote(RemoteError::HostKey { changed: true, hint, .. }) => ("host-key-changed", Some(hint.clone())),
            Self::Remote(RemoteError::HostKey { changed: false, hint, .. }) => ("host-key-missing", Some(hint.clone())),
            Self::Remote(RemoteError::Login { hint, .. }) => ("login-refused", hint.clone()),
            Self::Remote(RemoteError::Refused { .. }) => ("refused-by-source", None),
            Self::Remote(RemoteError::Local(_)) | Self::Spool(_) | Self::Reserve { .. } => {
                ("disk", Some(MAKE_ROOM.into()))
            }
            Self::Ledger(error) if error.is_disk_full() => ("disk", Some(MAKE_ROOM.into())),
            Self::Ledger(LedgerError::Imbalance(_)) => {
                ("internal-imbalance", Some("report it with the ledger; nothing was hidden".into()))
            }
            Self::Ledger(_) => ("ledger", Some("mend it, then `nightferry resume RUN` (or `run` again)".to_owned())),
            Self::Target { hint, .. } => ("target", hint.clone()),
            Self::Imbalance { .. } => {
                ("internal-imbalance", Some("report it with the ledger; nothing was hidden".into()))
            }
            Self::Pinned(_) => ("pinned-mapping", Some("finish the run with the version that began it".into())),
            Self::Internal(_) => ("internal", Some("report it with the log".into())),
            Self::Busy { run, .. } => ("busy", Some(format!("`nightferry show {run}` shows how far it is"))),
            Self::NotEnded { run, state: RunState::Held } => {
                ("not-ended", Some(format!("`nightferry release {run}` or `nightferry drop {run}` first")))
            }
            Self::NotEnded { run, .. } => ("not-ended", Some(format!("`nightferry resume {run}` first"))),
            Self::NoSuchRun(_) => ("no-such-run", Some("`nightferry runs` lists them".to_owned())),
        };
        (code.to_owned(), hint)
    }
}

/// Whether a run that failed with this code is worth trying again as it is: a system could not be reached.
pub fn is_unreachable_code(code: &str) -> bool {
    matches!(
        code,
        "unreachable"
            | "host-key-changed"
            | "host-key-missing"
            | "login-refused"
            | "refused-by-source"
            | "target"
            | "not-delivered"
            | "stopped-by-target"
    )
}

/// Refuses to begin when the volume is nearly full: a run that dies for want of space is worse than one that waits.
pub(super) fn reserve_of_disk(data: &Path) -> Result<(), RunError> {
    let Some(existing) = data.ancestors().find(|folder| folder.exists()) else { return Ok(()) };
    let Ok(volume) = rustix::fs::statvfs(existing) else { return Ok(()) };
    match shortage(&volume) {
        None => Ok(()),
        Some((free, reserve)) => {
            Err(RunError::Reserve { folder: data.to_owned(), free: free >> 20, reserve: reserve >> 20 })
        }
    }
}

/// The same in the middle of a copy, as a fault of our disk.
pub(super) fn room_for_more(file: &std::fs::File) -> std::io::Result<()> {
    let Ok(volume) = rustix::fs::fstatvfs(file) else { return Ok(()) };
    let Some((free, reserve)) = shortage(&volume) else { return Ok(()) };
    let message = format!("{} MB are free, less than the reserve of {} MB", free >> 20, reserve >> 20);
    Err(std::io::Error::new(std::io::ErrorKind::StorageFull, message))
}

/// Free and wanted bytes, when there are too few: 256 MB or 5 % of the volume, whichever is smaller.
fn shortage(volume: &rustix::fs::StatVfs) -> Option<(u64, u64)> {
    const MOST: u64 = 256 << 20;
    let free = volume.f_bavail.saturating_mul(volume.f_frsize);
    let reserve = MOST.min(volume.f_blocks.saturating_mul(volume.f_frsize) / 20);
    (free < reserve).then_some((free, reserve))
}
