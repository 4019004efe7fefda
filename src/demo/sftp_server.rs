//! A small SFTP server on loopback that shows one folder as its root.

use std::collections::HashMap;
use std::fs::{self, File as OsFile, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{HashAlg, PrivateKey};
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Session};
use russh::{Channel, ChannelId};
use russh_sftp::protocol::{Attrs, Data, File, FileAttributes, Handle, Name, OpenFlags, Status, StatusCode, Version};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running server; it ends when this is dropped.
pub struct SftpServer {
    port: u16,
    host_key: String,
    task: JoinHandle<()>,
}

impl Drop for SftpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SftpServer {
    /// Starts on a free port of 127.0.0.1, with a host key of its own and one account.
    pub async fn start(root: PathBuf, user: &str, password: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let key = host_key();
        let fingerprint = key.public_key().fingerprint(HashAlg::Sha256).to_string();
        let config = Arc::new(server::Config {
            keys: vec![key],
            auth_rejection_time: Duration::from_millis(100),
            auth_rejection_time_initial: Some(Duration::ZERO),
            ..server::Config::default()
        });
        let account = Arc::new(Account { root, user: user.to_owned(), password: password.to_owned() });
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let (config, account) = (config.clone(), account.clone());
                tokio::spawn(async move {
                    if let Ok(session) = server::run_stream(config, stream, Connection::new(account)).await {
                        let _ = session.await;
                    }
                });
            }
        });
        Ok(Self { port, host_key: fingerprint, task })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `SHA256:…` of its host key.
    pub fn host_key(&self) -> &str {
        &self.host_key
    }
}

/// A new key for every server: nobody trusts a demo by accident.
fn host_key() -> PrivateKey {
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    seed[16..].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    PrivateKey::from(Ed25519Keypair::from_seed(&seed))
}

struct Account {
    root: PathBuf,
    user: String,
    password: String,
}

struct Connection {
    account: Arc<Account>,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl Connection {
    fn new(account: Arc<Account>) -> Self {
        Self { account, channels: HashMap::new() }
    }
}

impl server::Handler for Connection {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        let good = user == self.account.user && password == self.account.password;
        Ok(if good { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        session.close(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.channels.remove(&channel) {
            Some(open) if name == "sftp" => {
                session.channel_success(channel)?;
                russh_sftp::server::run(open.into_stream(), Files::new(self.account.root.clone())).await;
                Ok(())
            }
            _ => session.channel_failure(channel),
        }
    }
}

/// What a handle stands for.
enum Open {
    File(OsFile),
    Folder(Vec<File>),
}

/// The files of one session.
struct Files {
    root: PathBuf,
    open: HashMap<String, Open>,
    next: u64,
}

impl Files {
    fn new(root: PathBuf) -> Self {
        Self { root, open: HashMap::new(), next: 0 }
    }

    /// A path below the root; `..` never leads out of it.
    fn path(&self, path: &str) -> PathBuf {
        let mut inside = PathBuf::new();
        for component in Path::new(path).components() {
            match component {
                Component::Normal(name) => inside.push(name),
                Component::ParentDir => drop(inside.pop()),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        self.root.join(inside)
    }

    fn hand_out(&mut self, id: u32, open: Open) -> Handle {
        self.next += 1;
        let handle = self.next.to_string();
        self.open.insert(handle.clone(), open);
        Handle { id, handle }
    }

    fn file(&self, handle: &str) -> Result<&OsFile, StatusCode> {
        match self.open.get(handle) {
            Some(Open::File(file)) => Ok(file),
            _ => Err(StatusCode::BadMessage),
        }
    }
}

fn refusal(error: std::io::Error) -> StatusCode {
    match error.kind() {
        ErrorKind::NotFound => StatusCode::NoSuchFile,
        ErrorKind::PermissionDenied => StatusCode::PermissionDenied,
        _ => StatusCode::Failure,
    }
}

fn done(id: u32) -> Status {
    Status { id, status_code: StatusCode::Ok, error_message: "Ok".to_owned(), language_tag: "en".to_owned() }
}

fn attributes(id: u32, metadata: &fs::Metadata) -> Attrs {
    Attrs { id, attrs: FileAttributes::from(metadata) }
}

impl russh_sftp::server::Handler for Files {
    type Error = StatusCode;

    fn unimplemented(&self) -> Self::Error {
        StatusCode::OpUnsupported
    }

    async fn init(&mut self, _version: u32, _extensions: HashMap<String, String>) -> Result<Version, Self::Error> {
        Ok(Version::new())
    }

    async fn open(
        &mut self,
        id: u32,
        filename: String,
        flags: OpenFlags,
        _attributes: FileAttributes,
    ) -> Result<Handle, Self::Error> {
        let file = OpenOptions::from(flags).open(self.path(&filename)).map_err(refusal)?;
        Ok(self.hand_out(id, Open::File(file)))
    }

    async fn close(&mut self, id: u32, handle: String) -> Result<Status, Self::Error> {
        self.open.remove(&handle);
        Ok(done(id))
    }

    async fn read(&mut self, id: u32, handle: String, offset: u64, length: u32) -> Result<Data, Self::Error> {
        let file = self.file(&handle)?;
        let mut data = vec![0; length.min(1 << 18) as usize];
        let count = file.read_at(&mut data, offset).map_err(refusal)?;
        if count == 0 {
            return Err(StatusCode::Eof);
        }
        data.truncate(count);
        Ok(Data { id, data })
    }

    async fn write(&mut self, id: u32, handle: String, offset: u64, data: Vec<u8>) -> Result<Status, Self::Error> {
        self.file(&handle)?.write_all_at(&data, offset).map_err(refusal)?;
        Ok(done(id))
    }

    async fn lstat(&mut self, id: u32, path: String) -> Result<Attrs, Self::Error> {
        fs::symlink_metadata(self.path(&path)).map(|metadata| attributes(id, &metadata)).map_err(refusal)
    }

    async fn stat(&mut self, id: u32, path: String) -> Result<Attrs, Self::Error> {
        fs::metadata(self.path(&path)).map(|metadata| attributes(id, &metadata)).map_err(refusal)
    }

    async fn fstat(&mut self, id: u32, handle: String) -> Result<Attrs, Self::Error> {
        self.file(&handle)?.metadata().map(|metadata| attributes(id, &metadata)).map_err(refusal)
    }

    async fn opendir(&mut self, id: u32, path: String) -> Result<Handle, Self::Error> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path(&path)).map_err(refusal)? {
            let entry = entry.map_err(refusal)?;
            let metadata = entry.metadata().map_err(refusal)?;
            names.push(File::new(entry.file_name().to_string_lossy(), FileAttributes::from(&metadata)));
        }
        Ok(self.hand_out(id, Open::Folder(names)))
    }

    async fn readdir(&mut self, id: u32, handle: String) -> Result<Name, Self::Error> {
        match self.open.get_mut(&handle) {
            // A hundred at once, as OpenSSH does: a whole folder may be more than a packet holds.
            Some(Open::Folder(names)) if !names.is_empty() => {
                Ok(Name { id, files: names.drain(..names.len().min(100)).collect() })
            }
            Some(Open::Folder(_)) => Err(StatusCode::Eof),
            _ => Err(StatusCode::BadMessage),
        }
    }

    async fn remove(&mut self, id: u32, filename: String) -> Result<Status, Self::Error> {
        fs::remove_file(self.path(&filename)).map(|()| done(id)).map_err(refusal)
    }

    async fn mkdir(&mut self, id: u32, path: String, _attributes: FileAttributes) -> Result<Status, Self::Error> {
        fs::create_dir(self.path(&path)).map(|()| done(id)).map_err(refusal)
    }

    async fn rmdir(&mut self, id: u32, path: String) -> Result<Status, Self::Error> {
        fs::remove_dir(self.path(&path)).map(|()| done(id)).map_err(refusal)
    }

    async fn realpath(&mut self, id: u32, path: String) -> Result<Name, Self::Error> {
        let inside = self.path(&path);
        let shown = inside.strip_prefix(&self.root).unwrap_or(&inside).display().to_string();
        Ok(Name { id, files: vec![File::dummy(format!("/{shown}"))] })
    }

    async fn rename(&mut self, id: u32, old: String, new: String) -> Result<Status, Self::Error> {
        let new = self.path(&new);
        // As version 3 of the protocol and OpenSSH have it: never over a file that is there.
        if new.symlink_metadata().is_ok() {
            return Err(StatusCode::Failure);
        }
        fs::rename(self.path(&old), new).map(|()| done(id)).map_err(refusal)
    }
}
