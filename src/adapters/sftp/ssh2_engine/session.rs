//! Connecting with libssh2: key exchange and host key. Each step has a deadline and says host, step and reason.

use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use ssh2::{ErrorCode, HashType, HostKeyType, MethodType, Session};

use crate::adapters::sftp::trust::{self, fingerprint, not_trusted};
use crate::adapters::sftp::{HostKey, Shut, dial, place, probe, unreachable};
use crate::domain::job::SftpConnection;
use crate::domain::name::ConnectionName;

/// Modern algorithms only, the fastest first.
const CIPHERS: &str = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,\
                       aes128-ctr,aes192-ctr,aes256-ctr";
const EXCHANGES: &str = "mlkem768x25519-sha256,curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,\
                         ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,\
                         diffie-hellman-group18-sha512,diffie-hellman-group16-sha512,diffie-hellman-group14-sha256";
const HOST_KEYS: &str =
    "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256";
const MACS: &str = "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512";

/// A session whose keys are exchanged; nobody is logged in.
pub(super) struct Shaken {
    pub(super) session: Session,
    pub(super) stream: TcpStream,
    pub(super) key: HostKey,
}

pub(super) fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// Ends a connection that has not come far enough in time. libssh2's own deadline knows only silence: a server that talks
/// for ever without saying who it is would hold it for ever (F27).
struct Watch {
    /// Dropped: it is over, in time.
    _end: Option<Sender<()>>,
}

impl Watch {
    fn over(stream: &TcpStream, within: Duration) -> Self {
        let (end, ended) = channel();
        let watched = stream.try_clone();
        let started = thread::Builder::new().name("handshake".to_owned()).spawn(move || {
            if let (Ok(stream), Err(RecvTimeoutError::Timeout)) = (watched, ended.recv_timeout(within)) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
        Self { _end: started.ok().map(|_| end) }
    }
}

/// Exchanges keys, with the host key algorithms asked for. Sends nothing of the user.
pub(super) fn shake_hands(connection: &SftpConnection, kinds: Option<&str>) -> Result<Shaken, Shut> {
    let place = place(connection);
    let fail = |error: ssh2::Error| closed(&place, &error);
    let stream = dial::dial(connection).map_err(Shut::ForGood)?;
    let kept = stream.try_clone().map_err(|error| Shut::ForGood(error.into()))?;
    let mut session = Session::new().map_err(fail)?;
    session.set_timeout(milliseconds(connection.timeouts.handshake));
    for (method, names) in [
        (MethodType::Kex, EXCHANGES),
        (MethodType::HostKey, kinds.unwrap_or(HOST_KEYS)),
        (MethodType::CryptCs, CIPHERS),
        (MethodType::CryptSc, CIPHERS),
        (MethodType::MacCs, MACS),
        (MethodType::MacSc, MACS),
    ] {
        session.method_pref(method, names).map_err(fail)?;
    }
    session.set_tcp_stream(stream);
    let _watch = Watch::over(&kept, connection.timeouts.handshake);
    if let Err(error) = session.handshake() {
        let _ = kept.shutdown(Shutdown::Both);
        return Err(fail(error));
    }
    let hash = session.host_key_hash(HashType::Sha256).map(fingerprint).unwrap_or_default();
    let kind = session.host_key().map_or("unknown", |(_, kind)| kind_name(kind)).to_owned();
    Ok(Shaken { session, stream: kept, key: HostKey { kind, fingerprint: hash } })
}

/// A server that is full hangs up before it has said who it is.
fn closed(place: &str, error: &ssh2::Error) -> Shut {
    const DISCONNECTED: [i32; 4] = [-2, -13, -43, -44];
    let hint = "does it speak SSH, with algorithms of this decade?";
    let shut = match error.code() {
        ErrorCode::Session(code) if DISCONNECTED.contains(&code) => Shut::Full,
        _ => Shut::ForGood,
    };
    shut(unreachable(place, "the key exchange", error, hint))
}

/// Exchanges keys until the server shows one that is pinned. A pin may be of any of the server's keys.
pub(super) fn shake_hands_pinned(connection: &SftpConnection, name: &ConnectionName) -> Result<Shaken, Shut> {
    let first = shake_hands(connection, None)?;
    if connection.host_keys.contains(&first.key.fingerprint) {
        return safe(connection, first);
    }
    let shown = first.key.clone();
    let _ = first.stream.shutdown(Shutdown::Both);
    drop(first);
    if !connection.host_keys.is_empty() {
        for kinds in trust::KINDS {
            // A server without a key of this kind ends the exchange: then this is not its pinned key.
            if let Ok(shaken) = shake_hands(connection, Some(kinds)) {
                if connection.host_keys.contains(&shaken.key.fingerprint) {
                    return safe(connection, shaken);
                }
                let _ = shaken.stream.shutdown(Shutdown::Both);
            }
        }
    }
    Err(Shut::ForGood(not_trusted(connection, name, &shown)))
}

/// Refuses what Terrapin could cut short: chacha20 after a key exchange that was not strict. libssh2 does not tell whether
/// it was, so in this rare case the server is asked again what it offers.
fn safe(connection: &SftpConnection, shaken: Shaken) -> Result<Shaken, Shut> {
    let cipher = shaken.session.methods(MethodType::CryptSc).unwrap_or_default();
    if cipher.contains("chacha20") {
        let offer = probe::offer(connection).map_err(Shut::ForGood)?;
        if !offer.strict() {
            let _ = shaken.stream.shutdown(Shutdown::Both);
            return Err(Shut::ForGood(trust::terrapin(connection)));
        }
    }
    Ok(shaken)
}

fn kind_name(kind: HostKeyType) -> &'static str {
    match kind {
        HostKeyType::Rsa => "rsa",
        HostKeyType::Dss => "dsa",
        HostKeyType::Ecdsa256 => "ecdsa-sha2-nistp256",
        HostKeyType::Ecdsa384 => "ecdsa-sha2-nistp384",
        HostKeyType::Ecdsa521 => "ecdsa-sha2-nistp521",
        HostKeyType::Ed25519 => "ssh-ed25519",
        HostKeyType::Unknown => "unknown",
    }
}
