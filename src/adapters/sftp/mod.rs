//! SFTP: two engines behind one port. `ssh2` (libssh2) is the default, `russh` the one for long ways and many files.

mod dial;
mod probe;
mod russh_engine;
mod ssh2_engine;
mod trust;

use std::fmt::Display;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

pub use probe::Offer;
pub use russh_engine::RusshRemote;
pub use ssh2_engine::SftpRemote;

use crate::domain::file::shown_name;
use crate::domain::job::{Agent, SftpConnection, SftpEngine};
use crate::domain::name::ConnectionName;
use crate::ports::{Remote, RemoteError};

/// What a listing may hold; a server that shows more never ends (F19).
const MOST_ENTRIES: usize = 1_000_000;

/// The resolved secrets of a connection.
#[derive(Debug)]
pub struct SftpSecrets {
    /// For password login.
    pub password: Option<SecretString>,
    /// A private key as text.
    pub key: Option<SecretString>,
    /// Its passphrase.
    pub key_passphrase: Option<SecretString>,
    /// Where the agent listens (`$SSH_AUTH_SOCK`).
    pub agent_socket: Option<PathBuf>,
}

/// The key that a server shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKey {
    /// `ssh-ed25519` and the like.
    pub kind: String,
    /// `SHA256:…`, as OpenSSH prints it.
    pub fingerprint: String,
}

/// What every session of a connection needs.
struct Door {
    connection: SftpConnection,
    name: ConnectionName,
    secrets: SftpSecrets,
}

/// Connects with the engine that the connection names, checks the host key, and only then asks for the secrets.
pub fn connect(
    connection: &SftpConnection,
    name: &ConnectionName,
    secrets: impl FnOnce() -> Result<SftpSecrets, RemoteError>,
) -> Result<Box<dyn Remote>, RemoteError> {
    Ok(match connection.engine {
        SftpEngine::Ssh2 => Box::new(SftpRemote::connect(connection, name, secrets)?),
        SftpEngine::Russh => Box::new(RusshRemote::connect(connection, name, secrets)?),
    })
}

/// Asks a server for its host key. Nothing of the user is sent.
pub fn host_key(connection: &SftpConnection) -> Result<HostKey, RemoteError> {
    match connection.engine {
        SftpEngine::Ssh2 => ssh2_engine::host_key(connection),
        SftpEngine::Russh => russh_engine::host_key(connection),
    }
}

/// The addresses of the host, in the order they are tried.
pub fn addresses(connection: &SftpConnection) -> Result<Vec<SocketAddr>, RemoteError> {
    dial::addresses(connection)
}

/// Opens a TCP connection to the first address that answers.
pub fn reach(connection: &SftpConnection, addresses: &[SocketAddr]) -> Result<TcpStream, RemoteError> {
    dial::open(connection, addresses)
}

/// What the server at the other end offers. Nothing of the user is sent.
pub fn offer(connection: &SftpConnection, stream: TcpStream) -> Result<Offer, RemoteError> {
    probe::read_offer(connection, stream)
}

/// The algorithms that both sides will use, in words; or what they have none of in common, and the server's list.
pub fn agree(connection: &SftpConnection, offer: &Offer) -> Result<String, (&'static str, Vec<String>)> {
    let ours = russh_engine::offered(connection.legacy_algorithms);
    let theirs = [&offer.exchanges, &offer.host_keys, &offer.ciphers, &offer.macs];
    let mut agreed = Vec::new();
    for ((what, ours), theirs) in ours.into_iter().zip(theirs) {
        // A cipher that authenticates by itself needs no MAC.
        if what == "MAC" && agreed.iter().any(|name: &String| name.contains("gcm") || name.contains("poly1305")) {
            continue;
        }
        match ours.into_iter().find(|name| theirs.contains(name)) {
            Some(name) => agreed.push(name),
            None => return Err((what, theirs.clone())),
        }
    }
    let strict = if offer.strict() { "" } else { "; no strict key exchange" };
    Ok(format!("{}{strict}", agreed.join(", ")))
}

/// `host:port`.
fn place(connection: &SftpConnection) -> String {
    format!("{}:{}", connection.host, connection.port)
}

fn unreachable(place: &str, step: &str, error: &dyn Display, hint: &str) -> RemoteError {
    RemoteError::Unreachable { message: format!("{place}: {step} failed: {error}"), hint: Some(hint.to_owned()) }
}

/// The connection broke in the middle of a step.
fn broke_off(place: &str, doing: &str, error: &dyn Display) -> RemoteError {
    RemoteError::Unreachable {
        message: format!("{place}: {doing} broke off: {error}"),
        hint: Some("run it again; what was landed and accepted stays so".to_owned()),
    }
}

/// How long is waited after each refusal of a server that has no room for one more session (F26).
const PATIENCE: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// Opens a session again after a while when the server hung up before the login: it is full, or limits newcomers.
fn patiently<T>(open: impl Fn() -> Result<T, Shut>) -> Result<T, RemoteError> {
    for pause in PATIENCE {
        match open() {
            Err(Shut::Full(error)) => {
                tracing::info!("{error}; trying again in {pause:?}");
                std::thread::sleep(pause);
            }
            Err(Shut::ForGood(error)) => return Err(error),
            Ok(open) => return Ok(open),
        }
    }
    open().map_err(|shut| match shut {
        Shut::Full(error) | Shut::ForGood(error) => error,
    })
}

/// Why a session could not be opened.
enum Shut {
    /// The server hung up on us before anybody logged in, or has no session left.
    Full(RemoteError),
    /// Another try is of no use, or does harm.
    ForGood(RemoteError),
}

/// Logins that are tried on one connection: more would lock accounts (F25).
const MOST_TRIES: usize = 2;

fn login_refused(connection: &SftpConnection, reasons: &[String]) -> RemoteError {
    let reasons = if reasons.is_empty() { "the server wants more".to_owned() } else { reasons.join("; ") };
    let hint = "check `user` and the secret behind `key` or `password`; the server's log says which it refused";
    let message = format!("{}: the login of `{}` failed: {reasons}", place(connection), connection.user);
    RemoteError::Login { message, hint: Some(hint.to_owned()) }
}

fn agent_words(held: usize, tries: usize, wanted: &Agent) -> String {
    match (held, wanted) {
        (0, _) => "it holds no key; `ssh-add` gives it one".to_owned(),
        (_, Agent::Key(wanted)) => format!("the server refused {wanted}, or the agent does not hold it (`ssh-add -l`)"),
        (held, Agent::AnyKey) if held > tries => {
            format!("the server refused the first {tries} of its {held} keys; name one: `agent = \"SHA256:…\"`")
        }
        _ => "the server refused its keys".to_owned(),
    }
}

/// What a server says, for a message: short, on one line, without escapes for the terminal.
fn one_line(text: &str) -> String {
    shown_name(text.trim().chars().take(80).collect::<String>().as_bytes())
}

/// A name that is nothing but a name. Others come from a server that lies, and are never asked for.
fn is_plain(name: &[u8]) -> bool {
    !name.is_empty() && name != b"." && name != b".." && !name.contains(&b'/') && !name.contains(&0)
}

/// Says it of every name that is refused.
fn is_taken(place: &str, folder: &str, name: &[u8]) -> bool {
    if !is_plain(name) && name != b"." && name != b".." {
        tracing::warn!("{place}: {folder} lists the name `{}`, which is refused", shown_name(name));
    }
    is_plain(name)
}

fn too_many_entries(place: &str, folder: &str) -> RemoteError {
    RemoteError::Refused { message: format!("{place}: {folder} lists more than {MOST_ENTRIES} names; it was left") }
}

/// What SFTP's bare numbers mean; OpenSSH says 4 for anything.
fn words(code: u32, said: &str) -> String {
    match code {
        2 => "no such file or folder".to_owned(),
        3 => "permission denied".to_owned(),
        4 => "the server says no (failure)".to_owned(),
        8 => "the server does not know how to do that".to_owned(),
        _ => format!("the server says no ({code}: {})", shown_name(said.as_bytes())),
    }
}
