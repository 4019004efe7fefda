//! Delivery: sealed batches, attempts and what the target said of each record.

use super::name::Sha256Hex;
use super::run::words;

/// The idempotency key of a batch: a UUIDv5 in its usual text form. The same for every attempt, restart and replay.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(pub String);

/// A batch whose key, body and record range are fixed. Made before its first byte is sent; never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBatch {
    /// Position in the file, from 0; never restarts.
    pub ordinal: u64,
    /// Index of its first record within the file's records, from 0.
    pub first_record: u64,
    /// Number of records.
    pub records: u64,
    /// Where its body starts in the payload spool, in bytes.
    pub spool_offset: u64,
    /// Length of its body in bytes.
    pub body_length: u64,
    /// SHA-256 of its body.
    pub body_sha256: Sha256Hex,
    /// Its idempotency key.
    pub key: IdempotencyKey,
}

/// The state of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchState {
    /// Sealed, not sent, or told to come later: its records are pending.
    Sealed,
    /// An attempt is open.
    Sending,
    /// The outcome of an attempt is unknown: its records are unanswered, also while a resend is due.
    Unanswered,
    /// The target answered for the batch: each record has its answer.
    Answered,
}

words!(BatchState { Sealed => "sealed", Sending => "sending", Unanswered => "unanswered", Answered => "answered" });

/// What the target said of one record of an answered batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Yes.
    Accepted,
    /// A final no.
    Refused {
        /// The target's code (`target:CODE` in the playbook); the HTTP status where it gave none.
        code: String,
        /// The target's words.
        message: String,
    },
    /// The answer did not mention it.
    Unanswered,
}

/// What an attempt came to. `retry::decide` turns a failure into the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The target answered for every record of the batch, in the order of the batch.
    Answered(Vec<Fate>),
    /// It did not.
    Failed(Failure),
}

/// Why an attempt has no answer for its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// What happened, with host and step, no secret.
    pub message: String,
    /// `Retry-After` of the answer, in milliseconds from its arrival.
    pub retry_after_ms: Option<u64>,
}

/// The kinds that `retry::decide` tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Nothing was sent: name, connect or TLS failed.
    NotSent,
    /// Nothing was sent: whoever gives out tokens refused the credentials of the connection.
    Login,
    /// 401 to a token that may have run out; the next request fetches another.
    LoginExpired,
    /// No complete answer in time, or the connection broke, after the first byte was sent.
    OutcomeUnknown,
    /// A status that is not in `accepted`.
    Status(u16),
    /// An accepted status, but a body that does not prove the outcome (not JSON, cut, a login page).
    Unreadable,
}
