//! SFTP on russh: many requests in flight, and many files in one session.

mod algorithms;
mod copy;
mod exchange;
mod login;
mod session;
mod wire;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use copy::{Stopped, timed};
use exchange::{Broken, Exchange, Inbox};
use session::Session;
use wire::{Ask, Attributes, DATA_AT, END, Entry, LONGEST_READ, NO_SUCH_FILE, Reply};

use super::{
    Door, HostKey, MOST_ENTRIES, SftpSecrets, Shut, broke_off, is_taken, patiently, place, too_many_entries, words,
};
use crate::domain::file::shown_name;
use crate::domain::job::SftpConnection;
use crate::domain::name::ConnectionName;
use crate::ports::{Remote, RemoteError, RemoteFile};

/// Files on their way at once in one session.
const AT_ONCE: usize = 32;

/// Listing requests in flight: OpenSSH gives 100 names for each.
const LISTINGS_IN_FLIGHT: u64 = 8;

/// Replies without a name and without an end that are borne (F20).
const MOST_EMPTY: usize = 64;

/// Asks a server for its host key. Nothing of the user is sent.
pub(super) fn host_key(connection: &SftpConnection) -> Result<HostKey, RemoteError> {
    patiently(|| session::look(connection))
}

/// What is offered to a server, by what it is; the other engine offers the same.
pub(super) fn offered(legacy: bool) -> [(&'static str, Vec<String>); 4] {
    let preferred = algorithms::preferred(legacy, None);
    [
        ("key exchange", preferred.kex.iter().map(|name| name.as_ref().to_owned()).collect()),
        ("host key algorithm", preferred.key.iter().map(ToString::to_string).collect()),
        ("cipher", preferred.cipher.iter().map(|name| name.as_ref().to_owned()).collect()),
        ("MAC", preferred.mac.iter().map(|name| name.as_ref().to_owned()).collect()),
    ]
}

/// One handle on a logged-in session.
pub struct RusshRemote {
    place: String,
    door: Arc<Door>,
    /// The session that new handles share; another one after it broke.
    current: Arc<Mutex<Arc<Session>>>,
    session: Arc<Session>,
    latency: Duration,
}

impl RusshRemote {
    /// Connects, checks the host key, and only then asks for the secrets and logs in.
    pub fn connect(
        connection: &SftpConnection,
        name: &ConnectionName,
        secrets: impl FnOnce() -> Result<SftpSecrets, RemoteError>,
    ) -> Result<Self, RemoteError> {
        let shaken = patiently(|| session::shake_hands_pinned(connection, name))?;
        let door = Arc::new(Door { connection: connection.clone(), name: name.clone(), secrets: secrets()? });
        let session = match shaken(&door) {
            Ok(session) => session,
            Err(Shut::ForGood(error)) => return Err(error),
            Err(Shut::Full(_)) => patiently(|| open(&door))?,
        };
        tracing::info!("{}: logged in as {}", place(connection), connection.user);
        let session = Arc::new(session);
        Self::on(door, Arc::new(Mutex::new(session.clone())), session)
    }

    fn on(door: Arc<Door>, current: Arc<Mutex<Arc<Session>>>, session: Arc<Session>) -> Result<Self, RemoteError> {
        Ok(Self { place: place(&door.connection), door, current, session, latency: Duration::ZERO })
    }

    fn exchange(&self) -> &Exchange {
        &self.session.exchange
    }

    fn ask(&mut self, path: &[u8], ask: Ask<'_>) -> Result<Reply, RemoteError> {
        let (reply, latency) = timed(|| self.exchange().answer(ask));
        self.latency = latency;
        reply.map_err(|broken| self.broken(path, &broken))
    }

    fn broken(&self, path: &[u8], broken: &Broken) -> RemoteError {
        broke_off(&self.place, &format!("working on {}", shown_name(path)), broken)
    }

    fn refused(&self, path: &[u8], code: u32, said: &str) -> RemoteError {
        RemoteError::Refused { message: format!("{}: {}: {}", self.place, shown_name(path), words(code, said)) }
    }

    fn unexpected(&self, path: &[u8]) -> RemoteError {
        self.broken(path, &Broken("the server sent the answer to another question".to_owned()))
    }

    /// Asks for something that is done or not.
    fn done(&mut self, path: &[u8], ask: Ask<'_>) -> Result<(), RemoteError> {
        match self.ask(path, ask)? {
            Reply::Status { code: 0, .. } => Ok(()),
            Reply::Status { code, message } => Err(self.refused(path, code, &message)),
            _ => Err(self.unexpected(path)),
        }
    }

    fn handle(&mut self, path: &[u8], ask: Ask<'_>) -> Result<Vec<u8>, RemoteError> {
        match self.ask(path, ask)? {
            Reply::Handle(handle) => Ok(handle),
            Reply::Status { code, message } => Err(self.refused(path, code, &message)),
            _ => Err(self.unexpected(path)),
        }
    }

    /// `None`: nothing is there.
    fn attributes(&mut self, path: &[u8], ask: Ask<'_>) -> Result<Option<Attributes>, RemoteError> {
        match self.ask(path, ask)? {
            Reply::Attributes(attributes) => Ok(Some(attributes)),
            Reply::Status { code: NO_SUCH_FILE, .. } => Ok(None),
            Reply::Status { code, message } => Err(self.refused(path, code, &message)),
            _ => Err(self.unexpected(path)),
        }
    }

    fn make_folders(&mut self, folder: &[u8]) -> Result<(), RemoteError> {
        if self.attributes(folder, Ask::Stat(folder))?.is_some() {
            return Ok(());
        }
        if let Some(at) = folder.iter().rposition(|byte| *byte == b'/').filter(|at| *at > 0) {
            self.make_folders(&folder[..at])?;
        }
        match self.done(folder, Ask::MakeFolder(folder)) {
            // Somebody else may have been first.
            Err(error) if self.attributes(folder, Ask::Stat(folder))?.is_none() => Err(error),
            _ => Ok(()),
        }
    }

    /// Reads an open folder to its end, several requests ahead.
    fn read_folder(&self, folder: &str, handle: &[u8]) -> Result<Vec<RemoteFile>, RemoteError> {
        let broken = |broken| self.broken(folder.as_bytes(), &broken);
        let (inbox, mut files, mut names, mut empty) = (Inbox::new(), Vec::new(), 0, 0);
        for ticket in 0..LISTINGS_IN_FLIGHT {
            self.exchange().ask(Ask::ReadFolder(handle), &inbox, ticket).map_err(broken)?;
        }
        loop {
            match self.exchange().next(&inbox).map_err(broken)?.1 {
                Reply::Names(entries) => {
                    empty = if entries.is_empty() { empty + 1 } else { 0 };
                    names += entries.len();
                    if names > MOST_ENTRIES || empty > MOST_EMPTY {
                        return Err(too_many_entries(&self.place, folder));
                    }
                    files.extend(entries.into_iter().filter_map(|entry| self.file(folder, entry)));
                    self.exchange().ask(Ask::ReadFolder(handle), &inbox, 0).map_err(broken)?;
                }
                Reply::Status { code: END, .. } => return Ok(files),
                Reply::Status { code, message } => return Err(self.refused(folder.as_bytes(), code, &message)),
                _ => return Err(self.unexpected(folder.as_bytes())),
            }
        }
    }

    fn file(&self, folder: &str, entry: Entry) -> Option<RemoteFile> {
        // Where a server says nothing (F08) it may be a file; a folder would refuse to be read.
        let is_file = entry.attributes.is_file().unwrap_or(!matches!(entry.kind, Some(b'd' | b'l' | b'p' | b's')));
        (is_taken(&self.place, folder, &entry.name) && is_file).then(|| remote_file(entry.name, &entry.attributes))
    }
}

fn open(door: &Door) -> Result<Session, Shut> {
    session::shake_hands_pinned(&door.connection, &door.name)?(door)
}

fn remote_file(name: Vec<u8>, attributes: &Attributes) -> RemoteFile {
    RemoteFile { name, size: attributes.size, mtime: attributes.mtime }
}

fn join(folder: &str, name: &[u8]) -> Vec<u8> {
    match folder.trim_end_matches('/') {
        "" if folder.is_empty() => name.to_vec(),
        folder => [folder.as_bytes(), b"/", name].concat(),
    }
}

impl Remote for RusshRemote {
    fn list(&mut self, folder: &str) -> Result<Vec<RemoteFile>, RemoteError> {
        let path = folder.as_bytes();
        let handle = self.handle(path, Ask::OpenFolder(path))?;
        let read = self.read_folder(folder, &handle);
        self.exchange().tell(Ask::Close(&handle));
        read
    }

    fn stat(&mut self, folder: &str, name: &[u8]) -> Result<Option<RemoteFile>, RemoteError> {
        let path = join(folder, name);
        let found = self.attributes(&path, Ask::LinkStat(&path))?;
        Ok(found
            .filter(|attributes| attributes.is_file().unwrap_or(true))
            .map(|attributes| remote_file(name.to_vec(), &attributes)))
    }

    fn copy(
        &mut self,
        folder: &str,
        name: &[u8],
        start: u64,
        sink: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<u64, RemoteError> {
        let path = join(folder, name);
        let handle = self.handle(&path, Ask::OpenToRead(&path))?;
        let copied = copy::copy(self.exchange(), &handle, start, self.latency, sink);
        self.exchange().tell(Ask::Close(&handle));
        copied.map_err(|stopped| match stopped {
            Stopped::Broken(broken) => broke_off(&self.place, &format!("reading {}", shown_name(&path)), &broken),
            Stopped::Refused { code, message } => self.refused(&path, code, &message),
            Stopped::Sink(error) => error.into(),
        })
    }

    fn piece(&mut self, folder: &str, name: &[u8], start: u64, length: usize) -> Result<Vec<u8>, RemoteError> {
        let path = join(folder, name);
        let handle = self.handle(&path, Ask::OpenToRead(&path))?;
        let mut piece = Vec::new();
        while piece.len() < length {
            let wanted = u32::try_from(length - piece.len()).unwrap_or(u32::MAX).min(LONGEST_READ);
            let offset = start + piece.len() as u64;
            match self.ask(&path, Ask::Read { handle: &handle, offset, length: wanted })? {
                Reply::Data(packet) => piece.extend_from_slice(packet.get(DATA_AT..).unwrap_or_default()),
                Reply::Status { code: END, .. } => break,
                Reply::Status { code, message } => return Err(self.refused(&path, code, &message)),
                _ => return Err(self.unexpected(&path)),
            }
        }
        self.exchange().tell(Ask::Close(&handle));
        Ok(piece)
    }

    fn delete(&mut self, folder: &str, name: &[u8]) -> Result<(), RemoteError> {
        let path = join(folder, name);
        match self.ask(&path, Ask::Remove(&path))? {
            Reply::Status { code: 0 | NO_SUCH_FILE, .. } => Ok(()),
            Reply::Status { code, message } => Err(self.refused(&path, code, &message)),
            _ => Err(self.unexpected(&path)),
        }
    }

    fn rename(&mut self, folder: &str, name: &[u8], to: &str, new_name: &[u8]) -> Result<(), RemoteError> {
        self.make_folders(to.trim_end_matches('/').as_bytes())?;
        let (from, target) = (join(folder, name), join(to, new_name));
        if self.attributes(&target, Ask::LinkStat(&target))?.is_some() {
            let shown = shown_name(&target);
            return Err(RemoteError::Refused { message: format!("{}: {shown} is there already", self.place) });
        }
        self.done(&target, Ask::Rename(&from, &target))
    }

    fn try_write(&mut self, folder: &str, name: &str) -> Result<(), RemoteError> {
        let path = join(folder, name.as_bytes());
        self.done(&path, Ask::MakeFolder(&path))?;
        self.done(&path, Ask::RemoveFolder(&path))
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    fn another(&mut self) -> Result<Box<dyn Remote>, RemoteError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.exchange.is_broken() {
            *current = Arc::new(patiently(|| open(&self.door))?);
        }
        let session = current.clone();
        drop(current);
        Ok(Box::new(Self::on(self.door.clone(), self.current.clone(), session)?))
    }
}
