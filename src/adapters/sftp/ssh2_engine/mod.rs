//! SFTP on libssh2. One thread owns a remote (`pipeline::remote_thread`): libssh2 blocks.

mod login;
mod session;

use std::ffi::OsStr;
use std::io::{Read, Seek, SeekFrom};
use std::net::{Shutdown, TcpStream};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ssh2::{ErrorCode, FileStat, Session, Sftp};

use super::{
    Door, HostKey, MOST_ENTRIES, SftpSecrets, Shut, broke_off, is_taken, patiently, place, too_many_entries,
    unreachable, words,
};
use crate::domain::file::shown_name;
use crate::domain::job::SftpConnection;
use crate::domain::name::ConnectionName;
use crate::ports::{Remote, RemoteError, RemoteFile};

/// Reads of 2 MiB keep 8 MiB in flight: at 20 ms round trip that is eighty times faster than the usual 8 KiB.
const READ_SIZE: usize = 2 << 20;

/// One request in flight: for servers that answer short, which libssh2's pipelining cannot take.
const CAREFUL_READ_SIZE: usize = 7_500;

const NO_SUCH_FILE: i32 = 2;

/// Asks a server for its host key. Nothing of the user is sent.
pub(super) fn host_key(connection: &SftpConnection) -> Result<HostKey, RemoteError> {
    patiently(|| session::shake_hands(connection, None)).map(|shaken| shaken.key)
}

/// A logged-in SFTP session.
pub struct SftpRemote {
    place: String,
    door: Arc<Door>,
    stream: TcpStream,
    sftp: Sftp,
    session: Session,
    read_size: usize,
}

impl Drop for SftpRemote {
    fn drop(&mut self) {
        // Without this each of the libssh2 objects would wait for one timeout when the server has gone quiet.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl SftpRemote {
    /// Connects, checks the host key, and only then asks for the secrets and logs in.
    pub fn connect(
        connection: &SftpConnection,
        name: &ConnectionName,
        secrets: impl FnOnce() -> Result<SftpSecrets, RemoteError>,
    ) -> Result<Self, RemoteError> {
        let shaken = patiently(|| session::shake_hands_pinned(connection, name))?;
        let door = Arc::new(Door { connection: connection.clone(), name: name.clone(), secrets: secrets()? });
        match Self::enter(shaken, door.clone()) {
            Err(Shut::Full(_)) => patiently(|| Self::open(&door)),
            Err(Shut::ForGood(error)) => Err(error),
            Ok(remote) => Ok(remote),
        }
    }

    /// A session of its own, with what is known of the connection.
    fn open(door: &Arc<Door>) -> Result<Self, Shut> {
        Self::enter(session::shake_hands_pinned(&door.connection, &door.name)?, door.clone())
    }

    fn enter(shaken: session::Shaken, door: Arc<Door>) -> Result<Self, Shut> {
        let connection = &door.connection;
        let place = place(connection);
        login::log_in(&shaken.session, connection, &door.secrets).map_err(Shut::ForGood)?;
        shaken.session.set_timeout(session::milliseconds(connection.timeouts.operation));
        shaken.session.set_keepalive(true, u32::try_from(connection.keepalive.as_secs()).unwrap_or(30).max(1));
        let sftp = shaken.session.sftp().map_err(|error| no_sftp(&place, &error))?;
        tracing::info!("{place}: logged in as {}", connection.user);
        Ok(Self { place, door, stream: shaken.stream, sftp, session: shaken.session, read_size: READ_SIZE })
    }

    fn fault(&self, path: &Path, error: &ssh2::Error) -> RemoteError {
        let path = shown_name(path.as_os_str().as_bytes());
        match error.code() {
            ErrorCode::SFTP(code) => {
                let said = words(u32::try_from(code).unwrap_or(4), error.message());
                RemoteError::Refused { message: format!("{}: {path}: {said}", self.place) }
            }
            ErrorCode::Session(_) => broke_off(&self.place, &format!("working on {path}"), error),
        }
    }

    fn copy_from(
        &mut self,
        path: &Path,
        start: u64,
        sink: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<u64, (u64, RemoteError)> {
        let mut done = start;
        let mut file = self.sftp.open(path).map_err(|error| (done, self.fault(path, &error)))?;
        if start > 0 {
            file.seek(SeekFrom::Start(start)).map_err(|error| (done, self.read_fault(path, &error)))?;
        }
        let mut buffer = vec![0; self.read_size];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(done),
                Ok(count) => {
                    sink(&buffer[..count]).map_err(|error| (done, error.into()))?;
                    done += count as u64;
                }
                Err(error) => return Err((done, self.read_fault(path, &error))),
            }
        }
    }

    fn read_fault(&self, path: &Path, error: &std::io::Error) -> RemoteError {
        broke_off(&self.place, &format!("reading {}", shown_name(path.as_os_str().as_bytes())), error)
    }

    fn make_folders(&self, folder: &Path) -> Result<(), RemoteError> {
        if self.sftp.stat(folder).is_ok() {
            return Ok(());
        }
        if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.make_folders(parent)?;
        }
        match self.sftp.mkdir(folder, 0o755) {
            // Somebody else may have been first.
            Err(error) if self.sftp.stat(folder).is_err() => Err(self.fault(folder, &error)),
            _ => Ok(()),
        }
    }
}

/// `ChannelFailure` is the server saying that it has no session left (F26).
fn no_sftp(place: &str, error: &ssh2::Error) -> Shut {
    const CHANNEL_FAILURE: ErrorCode = ErrorCode::Session(-21);
    let shut = if error.code() == CHANNEL_FAILURE { Shut::Full } else { Shut::ForGood };
    shut(unreachable(place, "opening SFTP", error, "does the account have SFTP, and is a session left for us?"))
}

fn join(folder: &str, name: &[u8]) -> PathBuf {
    Path::new(folder).join(OsStr::from_bytes(name))
}

fn remote_file(name: Vec<u8>, stat: &FileStat) -> RemoteFile {
    RemoteFile { name, size: stat.size, mtime: stat.mtime.and_then(|mtime| i64::try_from(mtime).ok()) }
}

/// Where a server says nothing (F08) it may be a file; a folder would refuse to be read.
fn is_file(stat: &FileStat) -> bool {
    stat.perm.is_none() || stat.is_file()
}

impl Remote for SftpRemote {
    fn list(&mut self, folder: &str) -> Result<Vec<RemoteFile>, RemoteError> {
        let path = Path::new(folder);
        let mut open = self.sftp.opendir(path).map_err(|error| self.fault(path, &error))?;
        let (mut files, mut names) = (Vec::new(), 0);
        loop {
            let (name, stat) = match open.readdir() {
                Ok(entry) => entry,
                Err(error) if error.code() == ErrorCode::Session(-16) => return Ok(files),
                Err(error) => return Err(self.fault(path, &error)),
            };
            names += 1;
            if names > MOST_ENTRIES {
                return Err(too_many_entries(&self.place, folder));
            }
            let name = name.into_os_string().into_vec();
            if is_taken(&self.place, folder, &name) && is_file(&stat) {
                files.push(remote_file(name, &stat));
            }
        }
    }

    fn stat(&mut self, folder: &str, name: &[u8]) -> Result<Option<RemoteFile>, RemoteError> {
        let path = join(folder, name);
        match self.sftp.lstat(&path) {
            Ok(stat) if is_file(&stat) => Ok(Some(remote_file(name.to_vec(), &stat))),
            Ok(_) => Ok(None),
            Err(error) if error.code() == ErrorCode::SFTP(NO_SUCH_FILE) => Ok(None),
            Err(error) => Err(self.fault(&path, &error)),
        }
    }

    fn copy(
        &mut self,
        folder: &str,
        name: &[u8],
        start: u64,
        sink: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<u64, RemoteError> {
        let path = join(folder, name);
        match self.copy_from(&path, start, sink) {
            Ok(done) => Ok(done),
            Err((done, RemoteError::Unreachable { message, .. }))
                if self.read_size > CAREFUL_READ_SIZE && self.session.keepalive_send().is_ok() =>
            {
                // The session lives, so the pipelining fell out of step with a server that answers short.
                tracing::warn!("{message}; reading on with one request at a time");
                self.read_size = CAREFUL_READ_SIZE;
                self.copy_from(&path, done, sink).map_err(|(_, error)| error)
            }
            Err((_, error)) => Err(error),
        }
    }

    fn piece(&mut self, folder: &str, name: &[u8], start: u64, length: usize) -> Result<Vec<u8>, RemoteError> {
        let path = join(folder, name);
        let mut file = self.sftp.open(&path).map_err(|error| self.fault(&path, &error))?;
        file.seek(SeekFrom::Start(start)).map_err(|error| self.read_fault(&path, &error))?;
        // libssh2 asks for four times the buffer ahead.
        let mut piece = vec![0; length];
        let mut done = 0;
        while done < length {
            let end = length.min(done + CAREFUL_READ_SIZE);
            match file.read(&mut piece[done..end]) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) => return Err(self.read_fault(&path, &error)),
            }
        }
        piece.truncate(done);
        Ok(piece)
    }

    fn delete(&mut self, folder: &str, name: &[u8]) -> Result<(), RemoteError> {
        let path = join(folder, name);
        match self.sftp.unlink(&path) {
            Err(error) if error.code() != ErrorCode::SFTP(NO_SUCH_FILE) => Err(self.fault(&path, &error)),
            _ => Ok(()),
        }
    }

    fn rename(&mut self, folder: &str, name: &[u8], to: &str, new_name: &[u8]) -> Result<(), RemoteError> {
        self.make_folders(Path::new(to))?;
        let (from, target) = (join(folder, name), join(to, new_name));
        if self.sftp.lstat(&target).is_ok() {
            let shown = shown_name(target.as_os_str().as_bytes());
            return Err(RemoteError::Refused { message: format!("{}: {shown} is there already", self.place) });
        }
        self.sftp.rename(&from, &target, None).map_err(|error| self.fault(&target, &error))
    }

    fn try_write(&mut self, folder: &str, name: &str) -> Result<(), RemoteError> {
        let path = join(folder, name.as_bytes());
        let tried = self.sftp.mkdir(&path, 0o700).and_then(|()| self.sftp.rmdir(&path));
        tried.map_err(|error| self.fault(&path, &error))
    }

    fn at_once(&self) -> usize {
        self.door.connection.sessions as usize
    }

    fn another(&mut self) -> Result<Box<dyn Remote>, RemoteError> {
        Ok(Box::new(patiently(|| Self::open(&self.door))?))
    }
}
