//! Logging in with russh: key, agent, password; two tries at most, so that no account is locked (F25).

use std::sync::Arc;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, decode_secret_key};
use russh::{MethodKind, MethodSet};
use secrecy::{ExposeSecret, SecretString};

use super::session::Listener;
use crate::adapters::sftp::{
    MOST_TRIES, SftpSecrets, agent_words, broke_off, login_refused, one_line, place, unreachable,
};
use crate::domain::job::{Agent, SftpConnection};
use crate::ports::RemoteError;

/// What came of one way to log in.
enum Tried {
    In,
    /// One of several that the server wants.
    InPart,
    No(String),
    /// The connection broke.
    Broken(String),
}

/// What ends the login.
enum Ended {
    Refused(Vec<String>),
    Broken(String),
}

/// Logs in, within the deadline of the connection.
pub(super) async fn log_in(
    handle: &mut Handle<Listener>,
    connection: &SftpConnection,
    secrets: &SftpSecrets,
) -> Result<(), RemoteError> {
    let within = connection.timeouts.login;
    let tried = tokio::time::timeout(within, all(handle, connection, secrets)).await;
    match tried {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Ended::Refused(reasons))) => Err(login_refused(connection, &reasons)),
        Ok(Err(Ended::Broken(error))) => Err(broke_off(&place(connection), "the login", &error)),
        Err(_) => Err(unreachable(
            &place(connection),
            &format!("the login of `{}`", connection.user),
            &format!("no answer within {within:?}"),
            "is the server overloaded, or does it ask a directory that does not answer?",
        )),
    }
}

async fn all(handle: &mut Handle<Listener>, connection: &SftpConnection, secrets: &SftpSecrets) -> Result<(), Ended> {
    let user = connection.user.as_str();
    let offered = match handle.authenticate_none(user).await {
        Ok(AuthResult::Success) => return Ok(()),
        Ok(AuthResult::Failure { remaining_methods, .. }) => remaining_methods,
        Err(error) => return Err(Ended::Broken(error.to_string())),
    };
    let mut reasons = Vec::new();
    if let Some(key) = &secrets.key {
        let passphrase = secrets.key_passphrase.as_ref().map(ExposeSecret::expose_secret);
        match by_key(handle, user, key.expose_secret(), passphrase).await {
            Tried::In => return Ok(()),
            Tried::InPart => {}
            Tried::No(reason) => reasons.push(format!("key: {reason}")),
            Tried::Broken(error) => return Err(Ended::Broken(error)),
        }
    }
    if let Some(agent) = connection.agent.as_ref().filter(|_| reasons.len() < MOST_TRIES) {
        match by_agent(handle, user, agent, secrets, MOST_TRIES - reasons.len()).await {
            Tried::In => return Ok(()),
            Tried::InPart => {}
            Tried::No(reason) => reasons.push(format!("agent: {reason}")),
            Tried::Broken(error) => return Err(Ended::Broken(error)),
        }
    }
    if let Some(password) = secrets.password.as_ref().filter(|_| reasons.len() < MOST_TRIES) {
        match by_password(handle, user, password, &offered).await {
            Tried::In => return Ok(()),
            Tried::InPart => reasons.push("password: accepted, but the server wants more".to_owned()),
            Tried::No(reason) => reasons.push(format!("password: {reason}")),
            Tried::Broken(error) => return Err(Ended::Broken(error)),
        }
    }
    Err(Ended::Refused(reasons))
}

fn of(result: Result<AuthResult, russh::Error>) -> Tried {
    match result {
        Ok(AuthResult::Success) => Tried::In,
        Ok(AuthResult::Failure { partial_success: true, .. }) => Tried::InPart,
        Ok(AuthResult::Failure { remaining_methods, .. }) => Tried::No(refused(&remaining_methods)),
        Err(error) => Tried::Broken(error.to_string()),
    }
}

fn refused(offered: &MethodSet) -> String {
    let offered: Vec<String> = offered.iter().map(String::from).collect();
    format!("refused by the server, which takes {}", offered.join(", "))
}

/// RSA keys sign with SHA-2; the server says which it knows.
async fn hash_for(handle: &Handle<Listener>, is_rsa: bool) -> Option<HashAlg> {
    if !is_rsa {
        return None;
    }
    match handle.best_supported_rsa_hash().await {
        Ok(Some(Some(hash))) => Some(hash),
        _ => Some(HashAlg::Sha512),
    }
}

async fn by_key(handle: &mut Handle<Listener>, user: &str, key: &str, passphrase: Option<&str>) -> Tried {
    let key = match decode_secret_key(key, passphrase) {
        Ok(key) => key,
        Err(error) => {
            let reason = "a wrong or missing passphrase, or not an OpenSSH or PEM key";
            return Tried::No(format!("{error}: {reason}"));
        }
    };
    let hash = hash_for(handle, key.algorithm().is_rsa()).await;
    of(handle.authenticate_publickey(user, PrivateKeyWithHashAlg::new(Arc::new(key), hash)).await)
}

async fn by_agent(
    handle: &mut Handle<Listener>,
    user: &str,
    wanted: &Agent,
    secrets: &SftpSecrets,
    tries: usize,
) -> Tried {
    let Some(socket) = &secrets.agent_socket else { return Tried::No("$SSH_AUTH_SOCK is not set".to_owned()) };
    let mut agent = match AgentClient::connect_uds(socket).await {
        Ok(agent) => agent,
        Err(error) => return Tried::No(format!("{}: {error}", socket.display())),
    };
    let held = match agent.request_identities().await {
        Ok(held) => held,
        Err(error) => return Tried::No(error.to_string()),
    };
    let count = held.len();
    let keys = held.into_iter().map(|identity| identity.public_key().into_owned());
    let keys: Vec<_> = keys
        .filter(|key| match wanted {
            Agent::AnyKey => true,
            Agent::Key(fingerprint) => key.fingerprint(HashAlg::Sha256).to_string() == *fingerprint,
        })
        .collect();
    for key in keys.into_iter().take(tries) {
        let hash = hash_for(handle, key.algorithm().is_rsa()).await;
        match handle.authenticate_publickey_with(user, key, hash, &mut agent).await {
            Ok(AuthResult::Success) => return Tried::In,
            Ok(AuthResult::Failure { partial_success: true, .. }) => return Tried::InPart,
            Ok(AuthResult::Failure { .. }) => {}
            Err(error) => return Tried::No(error.to_string()),
        }
    }
    Tried::No(agent_words(count, tries, wanted))
}

/// Servers behind PAM often offer only the interactive form of the same password.
async fn by_password(handle: &mut Handle<Listener>, user: &str, password: &SecretString, offered: &MethodSet) -> Tried {
    let has = |method: MethodKind| offered.contains(&method);
    if has(MethodKind::Password) || !has(MethodKind::KeyboardInteractive) {
        return of(handle.authenticate_password(user, password.expose_secret()).await);
    }
    let mut answered = false;
    let mut reply = handle.authenticate_keyboard_interactive_start(user, None::<String>).await;
    loop {
        let prompts = match reply {
            Ok(KeyboardInteractiveAuthResponse::Success) => return Tried::In,
            Ok(KeyboardInteractiveAuthResponse::Failure { partial_success: true, .. }) => return Tried::InPart,
            Ok(KeyboardInteractiveAuthResponse::Failure { remaining_methods, .. }) => {
                return Tried::No(refused(&remaining_methods));
            }
            Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => prompts,
            Err(error) => return Tried::Broken(error.to_string()),
        };
        // One question is the password; a second one is of another kind, and gets no secret of ours (F27).
        let question = prompts.first().map(|prompt| one_line(&prompt.prompt));
        let answers = match (prompts.len(), answered) {
            (0, _) => Vec::new(),
            (1, false) => vec![password.expose_secret().to_owned()],
            _ => {
                return Tried::No(format!(
                    "the server asks for more than a password: {}",
                    question.unwrap_or_default()
                ));
            }
        };
        answered |= !answers.is_empty();
        reply = handle.authenticate_keyboard_interactive_respond(answers).await;
    }
}
