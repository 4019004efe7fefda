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

/// A place that files are taken from. Blocking: called from a thread that owns it.
///
/// Paths are `folder` (UTF-8, from the job) plus a byte-exact name. Every implementation keeps `tests/remotes.rs`.
pub trait Remote: Send {
    /// Regular files directly in `folder`, in the order of the server. Links, folders and the like are left out.
    fn list(&mut self, folder: &str) -> Result<Vec<RemoteFile>, RemoteError>;
    /// The file as it is now; `None` when it is gone.
    fn stat(&mut self, folder: &str, name: &[u8]) -> Result<Option<RemoteFile>, RemoteError>;
    /// Copies the file from byte `start` to its end into `sink`, in order; returns where that end is, in bytes from the
    /// beginning. Reads until the server shows no more, whatever size it claims; from a `start` behind the end, nothing.
    fn copy(
        &mut self,
        folder: &str,
        name: &[u8],
        start: u64,
        sink: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<u64, RemoteError>;
    /// A few bytes of the file from byte `start` on, at most `length` and fewer at its end.
    fn piece(&mut self, folder: &str, name: &[u8], start: u64, length: usize) -> Result<Vec<u8>, RemoteError>;
    /// Removes the file. Already gone is a success, so that a repeat does no harm.
    fn delete(&mut self, folder: &str, name: &[u8]) -> Result<(), RemoteError>;
    /// Moves the file to folder `to` under `new_name`, making the folder when missing. Refuses to overwrite.
    fn rename(&mut self, folder: &str, name: &[u8], to: &str, new_name: &[u8]) -> Result<(), RemoteError>;
    /// Whether files may be moved and removed in `folder`: makes an empty folder `name` in it and removes it again.
    fn try_write(&mut self, folder: &str, name: &str) -> Result<(), RemoteError>;
    /// How many handles on this place may work at once, this one included.
    fn at_once(&self) -> usize;
    /// A further handle, to be used beside this one in a thread of its own: of the same session where that is cheap, else
    /// of a new one. Also the way back after the connection broke: then it connects anew.
    fn another(&mut self) -> Result<Box<dyn Remote>, RemoteError>;
}

/// Why a remote step failed.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Host or network, also in the middle of a step: exit code 8. Another try may help.
    #[error("{message}")]
    Unreachable {
        /// Host, step and reason.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// The server does not show a host key that is pinned. Nothing of the login was sent; only a person goes on.
    #[error("{message}")]
    HostKey {
        /// Some other key is pinned; `false`: none is.
        changed: bool,
        /// Host and both fingerprints.
        message: String,
        /// What to do next.
        hint: String,
    },
    /// The server does not let us in. Never tried again by itself: accounts are locked by that.
    #[error("{message}")]
    Login {
        /// Host, user and what was tried.
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
    /// Path and query, when they depend on the records; sealed with the body.
    pub path: Option<String>,
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
    /// How long until the target grants more requests, when its rate headers say that none is left; at most 1 h.
    pub exhausted: Option<Duration>,
    /// 401 to a token that may have run out: the next request logs in anew.
    pub login_expired: bool,
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
    /// Nothing was sent: whoever gives out tokens refused our credentials.
    #[error("{0}")]
    Login(String),
    /// The connection broke, or time ran out, after sending began.
    #[error("{0}")]
    OutcomeUnknown(String),
}

/// A place that batches are sent to.
pub trait Target: Send + Sync + 'static {
    /// Sends one batch once. Never retries by itself, never follows a redirect.
    fn send(&self, request: BatchRequest) -> impl Future<Output = Result<Reply, SendError>> + Send;

    /// What the other side has announced in its answers so far, each thing once: that it will end, or change.
    fn announced(&self) -> Vec<String> {
        Vec::new()
    }
}
