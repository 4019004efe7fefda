//! Every SFTP server that the suite runs against, each on a port of its own, each ended by its process id.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nightferry::adapters::sftp::{self, SftpSecrets};
use nightferry::demo::sftp_server::SftpServer;
use nightferry::domain::job::{SecretRef, SftpConnection, SftpEngine, SftpTimeouts};
use nightferry::domain::name::ConnectionName;
use nightferry::ports::{Remote, RemoteError};
use secrecy::SecretString;

use super::sshd::{Sshd, fingerprint, free_port, keygen};

/// A server with a folder, and a way in.
pub struct Host {
    pub connection: SftpConnection,
    /// The folder as this machine sees it, and as the server shows it.
    pub here: PathBuf,
    pub there: String,
    /// Names may be any bytes.
    pub bytes: bool,
    /// It answers LSTAT with what a link points at; its listings are right.
    pub follows: bool,
    password: Option<&'static str>,
    key: Option<PathBuf>,
    _root: tempfile::TempDir,
    _server: Server,
}

enum Server {
    OpenSsh(#[allow(dead_code)] Sshd),
    Process(Child),
    Demo(#[allow(dead_code)] tokio::runtime::Runtime, #[allow(dead_code)] SftpServer),
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Self::Process(child) = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Host {
    pub fn log_in(&self, engine: SftpEngine) -> Result<Box<dyn Remote>, RemoteError> {
        log_in(&SftpConnection { engine, ..self.connection.clone() }, secrets(self.password, self.key.as_deref()))
    }
}

pub fn log_in(connection: &SftpConnection, secrets: SftpSecrets) -> Result<Box<dyn Remote>, RemoteError> {
    sftp::connect(connection, &ConnectionName::new("partner"), || Ok(secrets))
}

pub fn connection(port: u16, user: &str, host_key: &str) -> SftpConnection {
    SftpConnection {
        engine: SftpEngine::Ssh2,
        host: "127.0.0.1".into(),
        port,
        user: user.into(),
        password: Some(SecretRef("password".into())),
        key: None,
        key_passphrase: None,
        agent: None,
        host_keys: vec![host_key.into()],
        sessions: 2,
        keepalive: Duration::from_secs(30),
        legacy_algorithms: false,
        timeouts: SftpTimeouts::default(),
    }
}

pub fn secrets(password: Option<&str>, key: Option<&Path>) -> SftpSecrets {
    SftpSecrets {
        password: password.map(SecretString::from),
        key: key.map(|path| SecretString::from(fs::read_to_string(path).unwrap())),
        key_passphrase: None,
        agent_socket: None,
    }
}

fn root() -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let here = root.path().join("out");
    fs::create_dir(&here).unwrap();
    (root, here)
}

pub fn openssh() -> Host {
    let (root, here) = root();
    let sshd = Sshd::start(&root.path().join("sshd"));
    Host {
        connection: connection(sshd.port, &sshd.user, &sshd.host_key),
        there: here.to_str().unwrap().to_owned(),
        here,
        bytes: true,
        follows: false,
        password: None,
        key: Some(sshd.client_key.clone()),
        _root: root,
        _server: Server::OpenSsh(sshd),
    }
}

pub fn demo() -> Host {
    let (root, here) = root();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = runtime.block_on(SftpServer::start(root.path().to_owned(), "demo", "password")).unwrap();
    Host {
        connection: connection(server.port(), "demo", server.host_key()),
        here,
        there: "/out".to_owned(),
        bytes: false,
        follows: false,
        password: Some("password"),
        key: None,
        _root: root,
        _server: Server::Demo(runtime, server),
    }
}

/// The hash of `password`.
const HASH: &str =
    "$6$nightferry$jaCpV8nK4SNtskGhbPsVZE0nIw/jadsBemGLJ9juIxuKSCY2vsjl7uHYmmi8J6/TVXm03uaQ5czzod1/2H5uh1";

pub fn proftpd() -> Host {
    let (root, here) = root();
    let own = root.path().join("proftpd");
    fs::create_dir(&own).unwrap();
    let path = |name: &str| own.join(name);
    keygen(&path("host_key"), "ed25519");
    let id = |flag: &str| String::from_utf8(Command::new("id").arg(flag).output().unwrap().stdout).unwrap();
    let (uid, gid) = (id("-u").trim().to_owned(), id("-g").trim().to_owned());
    fs::write(path("passwd"), format!("demo:{HASH}:{uid}:{gid}::/:/bin/sh\n")).unwrap();
    fs::set_permissions(path("passwd"), fs::Permissions::from_mode(0o600)).unwrap();
    let port = free_port();
    let modules = ["/usr/lib/proftpd", "/usr/lib64/proftpd", "/usr/libexec/proftpd"];
    let modules = modules.iter().find(|folder| Path::new(folder).exists()).unwrap_or(&modules[0]);
    let config = format!(
        "ServerName suite\nServerType standalone\nDefaultServer on\nPort {port}\nDefaultAddress 127.0.0.1\nUseIPv6 off\n\
         UseReverseDNS off\nUser {user}\nGroup {group}\nModulePath {modules}\nLoadModule mod_sftp.c\nPidFile {own}/pid\n\
         ScoreboardFile {own}/scoreboard\nDelayTable none\nWtmpLog off\nTransferLog none\nSystemLog {own}/log\n\
         RequireValidShell off\nRootLogin on\nAuthUserFile {own}/passwd\nAuthOrder mod_auth_file.c\nMaxInstances 20\n\
         SFTPEngine on\nSFTPLog {own}/sftp_log\nSFTPHostKey {own}/host_key\nSFTPAuthMethods password\nAllowOverwrite on\n",
        user = id("-un").trim(),
        group = id("-gn").trim(),
        own = own.display(),
    );
    fs::write(path("conf"), config).unwrap();
    let server = ["/usr/sbin/proftpd", "/usr/local/sbin/proftpd"].into_iter().find(|path| Path::new(path).exists());
    let child = Command::new(server.unwrap_or("proftpd"))
        .args(["-n", "-c"])
        .arg(path("conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(path("stderr")).unwrap())
        .spawn()
        .expect("proftpd is needed: `bash tests/run.sh` installs it");
    let server = Server::Process(child);
    wait_until_up(port, &path("stderr"));
    Host {
        connection: connection(port, "demo", &fingerprint(&path("host_key.pub"))),
        there: here.to_str().unwrap().to_owned(),
        here,
        bytes: true,
        follows: true,
        password: Some("password"),
        key: None,
        _root: root,
        _server: server,
    }
}

pub fn asyncssh() -> Host {
    let (root, here) = root();
    let own = root.path().join("asyncssh");
    fs::create_dir(&own).unwrap();
    keygen(&own.join("host_key"), "ed25519");
    let port = free_port();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/asyncssh_server.py");
    let child = Command::new(python())
        .arg(script)
        .args([port.to_string().as_ref(), own.join("host_key").as_os_str(), root.path().as_os_str()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(own.join("stderr")).unwrap())
        .spawn()
        .expect("python3 with asyncssh is needed: `bash tests/run.sh` installs it");
    let server = Server::Process(child);
    wait_until_up(port, &own.join("stderr"));
    Host {
        connection: connection(port, "demo", &fingerprint(&own.join("host_key.pub"))),
        here,
        there: "/out".to_owned(),
        bytes: true,
        follows: false,
        password: Some("password"),
        key: None,
        _root: root,
        _server: server,
    }
}

/// The Python that `tests/run.sh` has given asyncssh to.
fn python() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    let own = target.join("asyncssh/bin/python3");
    if own.exists() { own } else { PathBuf::from("python3") }
}

fn wait_until_up(port: u16, stderr: &Path) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(
            Instant::now() < deadline,
            "the server did not come up; `bash tests/run.sh` installs what it needs:\n{}",
            fs::read_to_string(stderr).unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
