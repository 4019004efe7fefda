//! Opens the remote behind a connection, with its secrets resolved.

use std::path::PathBuf;

use crate::adapters::folder::FolderRemote;
use crate::adapters::sftp::{self, SftpSecrets};
use crate::config::secret::SecretSource;
use crate::domain::job::{Connection, ConnectionKind, SecretRef, SftpConnection};
use crate::ports::{Remote, RemoteError};

/// Connects, logs in and gives the remote. Secrets are asked for only after the host key was accepted.
pub fn open(connection: &Connection, secrets: &dyn SecretSource) -> Result<Box<dyn Remote>, RemoteError> {
    match &connection.kind {
        ConnectionKind::Folder { path } => Ok(Box::new(FolderRemote::new(path.clone()))),
        ConnectionKind::Sftp(sftp) => sftp::connect(sftp, &connection.name, || sftp_secrets(sftp, secrets)),
        ConnectionKind::Http(_) => Err(RemoteError::Refused {
            message: format!("connection `{}` is of kind http, no source", connection.name),
        }),
    }
}

/// The secrets that a connection will need, looked for before a run begins. Without a pinned host key nobody logs in, so
/// none is needed.
pub(super) fn missing_secret(connection: &Connection, secrets: &dyn SecretSource) -> Option<String> {
    match &connection.kind {
        ConnectionKind::Sftp(sftp) if !sftp.host_keys.is_empty() => {
            sftp_secrets(sftp, secrets).err().map(|error| error.to_string())
        }
        _ => None,
    }
}

pub(super) fn sftp_secrets(sftp: &SftpConnection, secrets: &dyn SecretSource) -> Result<SftpSecrets, RemoteError> {
    let resolve = |name: &Option<SecretRef>| {
        name.as_ref().map(|name| secrets.secret(name)).transpose().map_err(|message| RemoteError::Unreachable {
            message,
            hint: Some("`nightferry check --secrets` lists every secret that is missing".to_owned()),
        })
    };
    Ok(SftpSecrets {
        password: resolve(&sftp.password)?,
        key: resolve(&sftp.key)?,
        key_passphrase: resolve(&sftp.key_passphrase)?,
        agent_socket: sftp.agent.as_ref().and_then(|_| std::env::var_os("SSH_AUTH_SOCK")).map(PathBuf::from),
    })
}
