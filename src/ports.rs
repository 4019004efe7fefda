//! The traits between the pipeline and the world. Tiny, and each has one conformance suite.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::domain::delivery::IdempotencyKey;

/// The only source of the current instant.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> DateTime<Utc>;
}

/// A file as a remote listing shows it. The name is bytes from a stranger: never used as a local name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteFile {
    /// Name within the listed folder, byte-exact.
    pub name: Vec<u8>,
    /// Size in bytes; `None` where the server does not say.
    pub size: Option<u64>,
    /// Modification time in Unix seconds; `None` where the server does not say.
    pub mtime: Option<i64>,
}

/// A place that files are taken from. Blocking: called from a thread that owns it. Opened by `RemoteFactory`.
///
/// Paths are `folder` (UTF-8, from the job) plus a byte-exact name.
pub trait Remote: Send {
    /// Regular files directly in `folder`, in the order of the server. Links, folders and the like are left out.
    fn list(&mut self, folder: &str) -> Result<Vec<RemoteFile>, RemoteError>;
    /// The file as it is now; `None` when it is gone.
    fn stat(&mut self, folder: &str, name: &[u8]) -> Result<Option<RemoteFile>, RemoteError>;
    /// Copies the file to its end into `sink`, in order; returns the number of bytes.
    fn copy(
        &mut self,
        folder: &str,
        name: &[u8],
        sink: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<u64, RemoteError>;
    /// Removes the file. Already gone is a success, so that a repeat does no harm.
    fn delete(&mut self, folder: &str, name: &[u8]) -> Result<(), RemoteError>;
    /// Moves the file to folder `to` under `new_name`, making the folder when missing. Refuses to overwrite.
    fn rename(&mut self, folder: &str, name: &[u8], to: &str, new_name: &[u8]) -> Result<(), RemoteError>;
}

/// Why a remote step failed.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Host, network, host key or login: exit code 8.
    #[error("{message}")]
    Unreachable {
        /// Host, step and reason; for a wrong or missing host key both fingerprints and the command that accepts it.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// The server answered no: no such folder, permission denied.
    #[error("{message}")]
    Refused {
        /// Host, path and reason.
        message: String,
    },
    /// Our own side failed to take the bytes (disk full).
    #[error("cannot write the landed file: {0}")]
    Local(#[from] std::io::Error),
}

/// A request for one batch.
#[derive(Clone, Debug)]
pub struct BatchRequest {
    /// The body, exactly as sealed.
    pub body: Bytes,
    /// The key, where the target knows keys.
    pub key: Option<IdempotencyKey>,
}

/// A complete answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, lower case, without parameters.
    pub content_type: Option<String>,
    /// `Retry-After` from its arrival, already parsed (seconds or date; nonsense is ignored), capped at 1 h.
    pub retry_after: Option<Duration>,
    /// `Location`, for the message about a redirect that is not followed.
    pub location: Option<String>,
    /// The body, at most 1 MiB is read; `true` in `truncated` when there was more.
    pub body: Bytes,
    /// The body was longer than the limit.
    pub truncated: bool,
}

/// Why there is no complete answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nothing was sent: name, connect or TLS failed.
    #[error("{0}")]
    NotSent(String),
    /// The connection broke, or time ran out, after sending began.
    #[error("{0}")]
    OutcomeUnknown(String),
}

/// A place that batches are sent to.
pub trait Target: Send + Sync + 'static {
    /// Sends one batch once. Never retries by itself, never follows a redirect.
    fn send(&self, request: BatchRequest) -> impl Future<Output = Result<Reply, SendError>> + Send;
}
