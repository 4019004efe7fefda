//! SFTP on libssh2. One thread owns a remote (`pipeline::remote_thread`): libssh2 blocks.

mod session;

use std::ffi::OsStr;
use std::io::{Read, Seek, SeekFrom};
use std::net::{Shutdown, TcpStream};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;
use ssh2::{ErrorCode, FileStat, Session, Sftp};

use crate::domain::file::shown_name;
use crate::domain::job::SftpConnection;
use crate::domain::name::ConnectionName;
use crate::ports::{Remote, RemoteError, RemoteFile};

/// Reads of 2 MiB keep 8 MiB in flight: at 20 ms round trip that is eighty times faster than the usual 8 KiB.
const READ_SIZE: usize = 2 << 20;

/// One request in flight: for servers that answer short, which libssh2's pipelining cannot take.
const CAREFUL_READ_SIZE: usize = 7_500;

const NO_SUCH_FILE: i32 = 2;

/// The resolved secrets of a connection.
#[derive(Debug)]
pub struct SftpSecrets {
    /// For password login.
    pub password: Option<SecretString>,
    /// A private key as text.
    pub key: Option<SecretString>,
    /// Its passphrase.
    pub key_passphrase: Option<SecretString>,
}

/// The key that a server shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKey {
    /// `ssh-ed25519` and the like.
    pub kind: String,
    /// `SHA256:…`, as OpenSSH prints it.
    pub fingerprint: String,
}

/// Asks a server for its host key. Nothing of the user is sent.
pub fn host_key(connection: &SftpConnection) -> Result<HostKey, RemoteError> {
    session::shake_hands(connection, None).map(|shaken| shaken.key)
}

/// What every session of a connection needs.
struct Door {
    connection: SftpConnection,
    name: ConnectionName,
    secrets: SftpSecrets,
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
        let shaken = session::shake_hands_pinned(connection, name)?;
        let door = Door { connection: connection.clone(), name: name.clone(), secrets: secrets()? };
        Self::enter(shaken, Arc::new(door))
    }

    fn enter(shaken: session::Shaken, door: Arc<Door>) -> Result<Self, RemoteError> {
        let connection = &door.connection;
        let place = session::place(connection);
        session::log_in(&shaken.session, connection, &door.secrets)?;
        shaken.session.set_timeout(session::milliseconds(connection.timeouts.operation));
        shaken.session.set_keepalive(true, 30);
        let sftp = shaken
            .session
            .sftp()
            .map_err(|error| session::unreachable(&place, "opening SFTP", &error, "does the account have SFTP?"))?;
        tracing::info!("{place}: logged in as {}", connection.user);
        Ok(Self { place, door, stream: shaken.stream, sftp, session: shaken.session, read_size: READ_SIZE })
    }

    fn fault(&self, path: &Path, error: &ssh2::Error) -> RemoteError {
        let path = shown_name(path.as_os_str().as_bytes());
        match error.code() {
            ErrorCode::SFTP(_) => RemoteError::Refused { message: format!("{}: {path}: {}", self.place, words(error)) },
            ErrorCode::Session(_) => RemoteError::Unreachable {
                message: format!("{}: the connection failed at {path}: {error}", self.place),
                hint: Some("run it again; what was landed and accepted stays so".to_owned()),
            },
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
        RemoteError::Unreachable {
            message: format!("{}: reading {} broke off: {error}", self.place, shown_name(path.as_os_str().as_bytes())),
            hint: Some("run it again; what was landed and accepted stays so".to_owned()),
        }
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

/// What SFTP's bare numbers mean; OpenSSH says 4 for anything.
fn words(error: &ssh2::Error) -> String {
    match error.code() {
        ErrorCode::SFTP(NO_SUCH_FILE) => "no such file or folder".to_owned(),
        ErrorCode::SFTP(3) => "permission denied".to_owned(),
        ErrorCode::SFTP(4) => "the server says no (failure)".to_owned(),
        _ => error.to_string(),
    }
}

fn join(folder: &str, name: &[u8]) -> PathBuf {
    Path::new(folder).join(OsStr::from_bytes(name))
}

fn remote_file(name: Vec<u8>, stat: &FileStat) -> RemoteFile {
    RemoteFile { name, size: stat.size, mtime: stat.mtime.and_then(|mtime| i64::try_from(mtime).ok()) }
}

/// A name that is nothing but a name. Others come from a server that lies, and are never asked for.
fn is_plain(name: &[u8]) -> bool {
    !name.is_empty() && name != b"." && name != b".." && !name.contains(&b'/') && !name.contains(&0)
}

impl Remote for SftpRemote {
    fn list(&mut self, folder: &str) -> Result<Vec<RemoteFile>, RemoteError> {
        let path = Path::new(folder);
        let mut open = self.sftp.opendir(path).map_err(|error| self.fault(path, &error))?;
        let mut files = Vec::new();
        loop {
            let (name, stat) = match open.readdir() {
                Ok(entry) => entry,
                Err(error) if error.code() == ErrorCode::Session(-16) => return Ok(files),
                Err(error) => return Err(self.fault(path, &error)),
            };
            let name = name.into_os_string().into_vec();
            if stat.is_file() && is_plain(&name) {
                files.push(remote_file(name, &stat));
            } else if !is_plain(&name) && name != b"." && name != b".." {
                tracing::warn!("{}: {folder} lists the name `{}`, which is refused", self.place, shown_name(&name));
            }
        }
    }

    fn stat(&mut self, folder: &str, name: &[u8]) -> Result<Option<RemoteFile>, RemoteError> {
        let path = join(folder, name);
        match self.sftp.lstat(&path) {
            Ok(stat) if stat.is_file() => Ok(Some(remote_file(name.to_vec(), &stat))),
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

    fn at_once(&self) -> usize {
        self.door.connection.sessions as usize
    }

    fn another(&mut self) -> Result<Box<dyn Remote>, RemoteError> {
        let shaken = session::shake_hands_pinned(&self.door.connection, &self.door.name)?;
        Ok(Box::new(Self::enter(shaken, self.door.clone())?))
    }
}
