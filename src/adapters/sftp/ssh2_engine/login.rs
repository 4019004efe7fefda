//! Logging in with libssh2: key, agent, password; two tries at most, so that no account is locked (F25).

use secrecy::{ExposeSecret, SecretString};
use ssh2::{ErrorCode, KeyboardInteractivePrompt, Prompt, Session};

use super::session::milliseconds;
use crate::adapters::sftp::trust::fingerprint;
use crate::adapters::sftp::{MOST_TRIES, SftpSecrets, agent_words, broke_off, login_refused, one_line, place};
use crate::domain::job::{Agent, SftpConnection};
use crate::ports::RemoteError;

/// Logs in, within the deadline of the connection.
pub(super) fn log_in(session: &Session, connection: &SftpConnection, secrets: &SftpSecrets) -> Result<(), RemoteError> {
    session.set_timeout(milliseconds(connection.timeouts.login));
    let user = connection.user.as_str();
    let mut reasons = Vec::new();
    // Which ways there are; the answer also shows that the server is there.
    if let Err(error) = session.auth_methods(user)
        && let Some(broken) = broken(connection, &error)
    {
        return Err(broken);
    }
    if let Some(key) = &secrets.key {
        let passphrase = secrets.key_passphrase.as_ref().map(ExposeSecret::expose_secret);
        match session.userauth_pubkey_memory(user, None, key.expose_secret(), passphrase) {
            Ok(()) if session.authenticated() => return Ok(()),
            Ok(()) => {}
            Err(error) => match broken(connection, &error) {
                Some(broken) => return Err(broken),
                None => reasons.push(format!("key: {}", key_words(error.message()))),
            },
        }
    }
    if let Some(agent) = connection.agent.as_ref().filter(|_| reasons.len() < MOST_TRIES) {
        match by_agent(session, user, agent, secrets, MOST_TRIES - reasons.len()) {
            Ok(()) if session.authenticated() => return Ok(()),
            Ok(()) => {}
            Err(reason) => reasons.push(format!("agent: {reason}")),
        }
    }
    if let Some(password) = secrets.password.as_ref().filter(|_| reasons.len() < MOST_TRIES) {
        match by_password(session, user, password) {
            Ok(()) if session.authenticated() => return Ok(()),
            Ok(()) => reasons.push("password: accepted, but the server wants more".to_owned()),
            Err((error, reason)) => match error.and_then(|error| broken(connection, &error)) {
                Some(broken) => return Err(broken),
                None => reasons.push(format!("password: {reason}")),
            },
        }
    }
    Err(login_refused(connection, &reasons))
}

/// The connection broke, or time ran out: no answer of the server.
fn broken(connection: &SftpConnection, error: &ssh2::Error) -> Option<RemoteError> {
    const NO_ANSWER: [i32; 6] = [-7, -9, -13, -30, -43, -44];
    match error.code() {
        ErrorCode::Session(code) if NO_ANSWER.contains(&code) => {
            Some(broke_off(&place(connection), "the login", error))
        }
        _ => None,
    }
}

fn by_agent(session: &Session, user: &str, wanted: &Agent, secrets: &SftpSecrets, tries: usize) -> Result<(), String> {
    use sha2::{Digest, Sha256};
    let socket = secrets.agent_socket.as_ref().ok_or("$SSH_AUTH_SOCK is not set")?;
    let words = |error: ssh2::Error| error.message().to_owned();
    let mut agent = session.agent().map_err(words)?;
    agent.set_identity_path(socket).map_err(words)?;
    agent.connect().map_err(|error| format!("{}: {}", socket.display(), error.message()))?;
    agent.list_identities().map_err(words)?;
    let held = agent.identities().map_err(words)?;
    let wanted_keys = held.iter().filter(|key| match wanted {
        Agent::AnyKey => true,
        Agent::Key(wanted) => fingerprint(&Sha256::digest(key.blob())) == *wanted,
    });
    for key in wanted_keys.take(tries) {
        if agent.userauth(user, key).is_ok() {
            return Ok(());
        }
    }
    Err(agent_words(held.len(), tries, wanted))
}

/// Servers behind PAM often offer only the interactive form of the same password.
fn by_password(session: &Session, user: &str, password: &SecretString) -> Result<(), (Option<ssh2::Error>, String)> {
    let offered = session.auth_methods(user).unwrap_or("password");
    let methods: Vec<&str> = offered.split(',').collect();
    if methods.contains(&"password") || !methods.contains(&"keyboard-interactive") {
        let refused = |error: ssh2::Error| {
            let reason = format!("{}; the server takes {}", error.message(), methods.join(", "));
            (Some(error), reason)
        };
        return session.userauth_password(user, password.expose_secret()).map_err(refused);
    }
    let mut answers = OnePassword { password, answered: false, refused: None };
    let tried = session.userauth_keyboard_interactive(user, &mut answers);
    match (tried, answers.refused) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(question)) => Err((None, format!("the server asks for more than a password: {question}"))),
        (Err(error), None) => {
            let reason = error.message().to_owned();
            Err((Some(error), reason))
        }
    }
}

/// One question is the password; a second one is of another kind, and gets no secret of ours (F27).
struct OnePassword<'a> {
    password: &'a SecretString,
    answered: bool,
    refused: Option<String>,
}

impl KeyboardInteractivePrompt for OnePassword<'_> {
    fn prompt<'a>(&mut self, _user: &str, _instructions: &str, prompts: &[Prompt<'a>]) -> Vec<String> {
        match prompts {
            [] => Vec::new(),
            [_] if !self.answered => {
                self.answered = true;
                vec![self.password.expose_secret().to_owned()]
            }
            [first, ..] => {
                self.refused = Some(one_line(&first.text));
                prompts.iter().map(|_| String::new()).collect()
            }
        }
    }
}

/// libssh2 says this of a wrong or missing passphrase too.
fn key_words(message: &str) -> String {
    if message.contains("Unsupported private key") || message.contains("Unable to extract public key") {
        return format!("{message}: a wrong or missing passphrase, or not an OpenSSH or PEM key");
    }
    message.to_owned()
}
