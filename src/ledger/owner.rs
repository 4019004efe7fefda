//! Who holds leases: a process, proven alive by a lock that the kernel frees when it ends.

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use uuid::Uuid;

/// A living owner of leases; its lock is held until it is dropped or its process ends.
pub(super) struct Owner {
    id: String,
    _lock: File,
}

impl Owner {
    /// Makes a new owner in the data folder and clears away those whose process has ended.
    pub(super) fn new(data: &Path) -> std::io::Result<Self> {
        let folder = data.join("owners");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        clear_dead(&folder)?;
        let id = Uuid::new_v4().to_string();
        let path = folder.join(format!("{id}.lock"));
        let lock = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        lock.lock()?;
        Ok(Self { id, _lock: lock })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

/// Whether the process behind an owner id still lives. A file that is gone was cleared away after its process ended.
pub(super) fn is_alive(data: &Path, id: &str) -> bool {
    // Whoever cannot be asked counts as alive: taking over a living run would send from two processes.
    match File::open(data.join("owners").join(format!("{id}.lock"))) {
        Ok(file) => file.try_lock_shared().is_err(),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

fn clear_dead(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Ok(file) = File::open(&path) else { continue };
        // A file a moment old may belong to a process that has made it and not locked it yet.
        let is_young = file.metadata()?.modified()?.elapsed().is_ok_and(|age| age.as_secs() < 60);
        if !is_young && file.try_lock().is_ok() {
            let _ = fs::remove_file(&path);
        }
    }
    Ok(())
}
