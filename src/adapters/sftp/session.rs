//! Connecting: TCP, key exchange, host key, login. Each step has a deadline and says host, step and reason.

use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use ssh2::{HashType, HostKeyType, KeyboardInteractivePrompt, MethodType, Prompt, Session};

use super::{HostKey, SftpSecrets};
use crate::domain::job::SftpConnection;
use crate::domain::name::ConnectionName;
use crate::ports::RemoteError;

/// Modern algorithms only, the fastest first.
const CIPHERS: &str = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,\
                       aes128-ctr,aes192-ctr,aes256-ctr";

/// Host key algorithms by what a pin may belong to: a server has one key of each, and shows the first that is asked for.
const HOST_KEY_KINDS: [&str; 3] =
    ["ssh-ed25519", "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521", "rsa-sha2-512,rsa-sha2-256"];

/// A session whose keys are exchanged; nobody is logged in.
pub(super) struct Shaken {
    pub(super) session: Session,
    pub(super) stream: TcpStream,
    pub(super) key: HostKey,
}

/// `host:port`.
pub(super) fn place(connection: &SftpConnection) -> String {
    format!("{}:{}", connection.host, connection.port)
}

pub(super) fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

pub(super) fn unreachable(place: &str, step: &str, error: &dyn std::fmt::Display, hint: &str) -> RemoteError {
    RemoteError::Unreachable { message: format!("{place}: {step} failed: {error}"), hint: Some(hint.to_owned()) }
}

fn connect(connection: &SftpConnection) -> Result<TcpStream, RemoteError> {
    let place = place(connection);
    let addresses = (connection.host.as_str(), connection.port)
        .to_socket_addrs()
        .map_err(|error| unreachable(&place, "looking up the host name", &error, "check `host` in connections.toml"))?;
    let mut last = None;
    for address in addresses {
        match TcpStream::connect_timeout(&address, connection.timeouts.connect) {
            Ok(stream) => {
                // Requests are small and wait for each other; collecting them only adds delay.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    let error = last.map_or_else(|| "no address".to_owned(), |error| error.to_string());
    Err(unreachable(&place, "connecting", &error, "is the server up, and does the firewall let this machine through?"))
}

/// Exchanges keys, with the host key algorithms asked for. Sends nothing of the user.
pub(super) fn shake_hands(connection: &SftpConnection, kinds: Option<&str>) -> Result<Shaken, RemoteError> {
    let place = place(connection);
    let fail = |error: ssh2::Error| {
        unreachable(&place, "the key exchange", &error, "does it speak SSH, with algorithms of this decade?")
    };
    let stream = connect(connection)?;
    let kept = stream.try_clone().map_err(|error| unreachable(&place, "connecting", &error, "too many open files?"))?;
    let mut session = Session::new().map_err(fail)?;
    session.set_timeout(milliseconds(connection.timeouts.handshake));
    session.method_pref(MethodType::CryptCs, CIPHERS).map_err(fail)?;
    session.method_pref(MethodType::CryptSc, CIPHERS).map_err(fail)?;
    if let Some(kinds) = kinds {
        session.method_pref(MethodType::HostKey, kinds).map_err(fail)?;
    }
    session.set_tcp_stream(stream);
    if let Err(error) = session.handshake() {
        let _ = kept.shutdown(Shutdown::Both);
        return Err(fail(error));
    }
    let hash = session.host_key_hash(HashType::Sha256).map(fingerprint).unwrap_or_default();
    let kind = session.host_key().map_or("unknown", |(_, kind)| kind_name(kind)).to_owned();
    Ok(Shaken { session, stream: kept, key: HostKey { kind, fingerprint: hash } })
}

/// Exchanges keys until the server shows one that is pinned. A pin may be of any of the server's keys.
pub(super) fn shake_hands_pinned(connection: &SftpConnection, name: &ConnectionName) -> Result<Shaken, RemoteError> {
    let first = shake_hands(connection, None)?;
    if connection.host_keys.contains(&first.key.fingerprint) {
        return Ok(first);
    }
    let shown = first.key.clone();
    let _ = first.stream.shutdown(Shutdown::Both);
    drop(first);
    if !connection.host_keys.is_empty() {
        for kinds in HOST_KEY_KINDS {
            // A server without a key of this kind ends the exchange: then this is not its pinned key.
            if let Ok(shaken) = shake_hands(connection, Some(kinds)) {
                if connection.host_keys.contains(&shaken.key.fingerprint) {
                    return Ok(shaken);
                }
                let _ = shaken.stream.shutdown(Shutdown::Both);
            }
        }
    }
    Err(not_trusted(connection, name, &shown))
}

fn not_trusted(connection: &SftpConnection, name: &ConnectionName, shown: &HostKey) -> RemoteError {
    let (place, HostKey { kind, fingerprint }) = (place(connection), shown);
    let message = if connection.host_keys.is_empty() {
        format!(
            "{place}: no host key is pinned for `{name}`; the server shows {fingerprint} ({kind}); \
             nothing of the login was sent"
        )
    } else {
        format!(
            "{place}: the host key of `{name}` is not the pinned one: the server shows {fingerprint} ({kind}), pinned is {}; \
             nothing of the login was sent",
            connection.host_keys.join(", ")
        )
    };
    let hint =
        format!("compare the fingerprint with what the partner tells you, then `nightferry connection trust {name}`");
    RemoteError::HostKey { changed: !connection.host_keys.is_empty(), message, hint }
}

/// `SHA256:` and base 64 without padding, as OpenSSH prints it.
fn fingerprint(hash: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("SHA256:");
    for chunk in hash.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    text
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

/// Logs in with the key, then with the password: two tries at most, so that no account is locked.
pub(super) fn log_in(session: &Session, connection: &SftpConnection, secrets: &SftpSecrets) -> Result<(), RemoteError> {
    let place = place(connection);
    session.set_timeout(milliseconds(connection.timeouts.login));
    let mut reasons = Vec::new();
    if let Some(key) = &secrets.key {
        let passphrase = secrets.key_passphrase.as_ref().map(ExposeSecret::expose_secret);
        match session.userauth_pubkey_memory(&connection.user, None, key.expose_secret(), passphrase) {
            Ok(()) => return Ok(()),
            Err(error) => reasons.push(format!("key: {}", key_words(error.message()))),
        }
    }
    if let Some(password) = &secrets.password {
        match by_password(session, &connection.user, password) {
            Ok(()) => return Ok(()),
            Err(error) => reasons.push(format!("password: {}", error.message())),
        }
    }
    if reasons.is_empty() {
        reasons.push("the connection has neither `key` nor `password`".to_owned());
    }
    let hint = "check `user` and the secret behind `key` or `password`; the server's log says which it refused";
    let message = format!("{place}: the login of `{}` failed: {}", connection.user, reasons.join("; "));
    Err(RemoteError::Login { message, hint: Some(hint.to_owned()) })
}

/// Servers behind PAM often offer only the interactive form of the same password.
fn by_password(session: &Session, user: &str, password: &SecretString) -> Result<(), ssh2::Error> {
    let offered = session.auth_methods(user).unwrap_or("password");
    let interactive_only = !offered.contains("password") && offered.contains("keyboard-interactive");
    if interactive_only {
        session.userauth_keyboard_interactive(user, &mut OnePassword(password))
    } else {
        session.userauth_password(user, password.expose_secret())
    }
}

/// Answers every question with the password; there is one question.
struct OnePassword<'a>(&'a SecretString);

impl KeyboardInteractivePrompt for OnePassword<'_> {
    fn prompt<'a>(&mut self, _user: &str, _instructions: &str, prompts: &[Prompt<'a>]) -> Vec<String> {
        prompts.iter().map(|_| self.0.expose_secret().to_owned()).collect()
    }
}

/// libssh2 says this of a wrong or missing passphrase too.
fn key_words(message: &str) -> String {
    if message.contains("Unsupported private key") || message.contains("Unable to extract public key") {
        return format!("{message}: a wrong or missing passphrase, or not an OpenSSH or PEM key");
    }
    message.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_look_as_openssh_prints_them() {
        // SHA-256 of the empty text.
        let hash = [
            0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae,
            0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
        ];
        assert_eq!(fingerprint(&hash), "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU");
    }
}
