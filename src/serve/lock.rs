//! One `serve` for each data folder: a lock that the kernel frees when the process ends, however it ends.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};

/// A daemon that has not looked round for this long hangs.
pub const STALE: Duration = Duration::from_secs(90);

/// Held while the daemon runs. Its file holds the process id, and is touched at every look round.
#[derive(Debug)]
pub struct ServeLock {
    file: File,
    path: PathBuf,
}

/// Why the lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another daemon has it.
    #[error("process {pid} already serves this data folder ({path})", path = .path.display())]
    Held {
        /// Its process, as far as it is known.
        pid: String,
        /// The lock file.
        path: PathBuf,
    },
    /// The file cannot be used.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl ServeLock {
    /// Takes the lock of a data folder, making the folder where it is missing.
    ///
    /// # Errors
    /// Another daemon has it, or the file cannot be used.
    pub fn take(data: &Path) -> Result<Self, LockError> {
        let path = data.join("serve.lock");
        let at = |source| LockError::File { path: path.clone(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(at)?;
        let open = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = open.map_err(at)?;
        if file.try_lock().is_err() {
            let mut pid = String::new();
            file.read_to_string(&mut pid).map_err(at)?;
            return Err(LockError::Held { pid: pid.trim().to_owned(), path });
        }
        let mut lock = Self { file, path };
        lock.write_pid().map_err(|source| LockError::File { path: lock.path.clone(), source })?;
        Ok(lock)
    }

    fn write_pid(&mut self) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
        self.file.flush()
    }

    /// Says that the daemon is alive and looks round.
    pub fn touch(&self, now: DateTime<Utc>) {
        let touched = self.file.set_modified(now.into());
        if let Err(error) = touched {
            tracing::warn!("{}: {error}", self.path.display());
        }
    }
}

/// True when a daemon serves the data folder and has looked round lately.
pub fn is_healthy(data: &Path) -> bool {
    let Ok(file) = File::open(data.join("serve.lock")) else { return false };
    let age = file.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|at| at.elapsed().ok());
    // A lock that can be had is nobody's.
    file.try_lock_shared().is_err() && age.is_none_or(|age| age < STALE)
}
