//! A local or mounted folder as a remote. Links are never followed.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::domain::file::shown_name;
use crate::ports::{Remote, RemoteError, RemoteFile};

/// Two copies at once use a disk and the network below a mount better than one.
const AT_ONCE: usize = 2;

/// Files below a root.
#[derive(Clone, Debug)]
pub struct FolderRemote {
    root: PathBuf,
}

impl FolderRemote {
    /// A remote whose folders are relative to `root`.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn folder(&self, folder: &str) -> PathBuf {
        self.root.join(folder.trim_start_matches('/'))
    }

    fn path(&self, folder: &str, name: &[u8]) -> PathBuf {
        self.folder(folder).join(OsStr::from_bytes(name))
    }
}

fn refused(path: &Path, error: &std::io::Error) -> RemoteError {
    RemoteError::Refused { message: format!("{}: {error}", shown_name(path.as_os_str().as_bytes())) }
}

fn remote_file(name: Vec<u8>, metadata: &Metadata) -> RemoteFile {
    RemoteFile { name, size: Some(metadata.len()), mtime: Some(metadata.mtime()) }
}

/// Moves a file, never over another one.
fn move_aside(from: &Path, target: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, from, CWD, target, RenameFlags::NOREPLACE) {
        // A file system that cannot promise it; a link is refused where something is there already, too.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            fs::hard_link(from, target)?;
            fs::remove_file(from)
        }
        moved => Ok(moved?),
    }
}

/// Copies a file to another volume, under its name only when it is whole. A repeat begins the copy again.
fn copy_aside(from: &Path, target: &Path) -> std::io::Result<()> {
    let part = target.with_file_name(".nightferry.part");
    let (mut input, mut output) = (File::open(from)?, File::create(&part)?);
    std::io::copy(&mut input, &mut output)?;
    output.set_modified(input.metadata()?.modified()?)?;
    output.sync_all()?;
    move_aside(&part, target)
}

impl Remote for FolderRemote {
    fn list(&mut self, folder: &str) -> Result<Vec<RemoteFile>, RemoteError> {
        let path = self.folder(folder);
        let entries = fs::read_dir(&path).map_err(|error| refused(&path, &error))?;
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| refused(&path, &error))?;
            // `DirEntry::metadata` does not follow links. What is gone since the listing is simply not there.
            match entry.metadata() {
                Ok(metadata) if metadata.is_file() => files.push(remote_file(entry.file_name().into_vec(), &metadata)),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(refused(&entry.path(), &error)),
            }
        }
        Ok(files)
    }

    fn stat(&mut self, folder: &str, name: &[u8]) -> Result<Option<RemoteFile>, RemoteError> {
        let path = self.path(folder, name);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok(Some(remote_file(name.to_vec(), &metadata))),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(refused(&path, &error)),
        }
    }

    fn copy(
        &mut self,
        folder: &str,
        name: &[u8],
        start: u64,
        sink: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<u64, RemoteError> {
        let path = self.path(folder, name);
        let mut file = File::open(&path).map_err(|error| refused(&path, &error))?;
        file.seek(SeekFrom::Start(start)).map_err(|error| refused(&path, &error))?;
        let mut buffer = vec![0; 1 << 20];
        let mut copied = start;
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(copied),
                Ok(count) => {
                    sink(&buffer[..count])?;
                    copied += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(refused(&path, &error)),
            }
        }
    }

    fn piece(&mut self, folder: &str, name: &[u8], start: u64, length: usize) -> Result<Vec<u8>, RemoteError> {
        let path = self.path(folder, name);
        let mut piece = Vec::new();
        let read = File::open(&path).and_then(|mut file| {
            file.seek(SeekFrom::Start(start))?;
            file.take(length as u64).read_to_end(&mut piece)
        });
        read.map(|_| piece).map_err(|error| refused(&path, &error))
    }

    fn delete(&mut self, folder: &str, name: &[u8]) -> Result<(), RemoteError> {
        let path = self.path(folder, name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(refused(&path, &error)),
            _ => Ok(()),
        }
    }

    fn rename(&mut self, folder: &str, name: &[u8], to: &str, new_name: &[u8]) -> Result<(), RemoteError> {
        let (from, folder) = (self.path(folder, name), self.folder(to));
        fs::create_dir_all(&folder).map_err(|error| refused(&folder, &error))?;
        let target = folder.join(OsStr::from_bytes(new_name));
        match move_aside(&from, &target) {
            Err(error) if error.kind() == ErrorKind::CrossesDevices => {
                copy_aside(&from, &target).map_err(|error| refused(&target, &error))?;
                fs::remove_file(&from).map_err(|error| refused(&from, &error))
            }
            moved => moved.map_err(|error| refused(&target, &error)),
        }
    }

    fn try_write(&mut self, folder: &str, name: &str) -> Result<(), RemoteError> {
        let path = self.path(folder, name.as_bytes());
        fs::create_dir(&path).and_then(|()| fs::remove_dir(&path)).map_err(|error| refused(&path, &error))
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    fn another(&mut self) -> Result<Box<dyn Remote>, RemoteError> {
        Ok(Box::new(self.clone()))
    }
}
