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
    /// SHA-256 of what is sent, and where to, when that is made of the body; `None`: the body is what is sent.
    pub request_sha256: Option<Sha256Hex>,
    /// Its idempotency key.
    pub key: IdempotencyKey,
    /// What its records add to the measures of the file: slot, and the amount in units of the slot's last decimal.
    pub amounts: Vec<(u32, i64)>,
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
    /// The target took none of it; smaller batches carry its records now.
    Split,
}

words!(BatchState {
    Sealed => "sealed", Sending => "sending", Unanswered => "unanswered", Answered => "answered", Split => "split",
});

/// What a batch was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchOrigin {
    /// The records of the file, as it was mapped first.
    File,
    /// Some records of a batch that the target did not take as a whole.
    Split,
    /// Records that the target had refused or not answered for.
    Resend,
    /// Rows that the mapping had rejected, or records that the target had refused, mapped again.
    Replay,
}

words!(BatchOrigin { File => "file", Split => "split", Resend => "resend", Replay => "replay" });

/// What the target said of one record of an answered batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Yes.
    Accepted {
        /// What the target calls the record, where it said so.
        reference: Option<String>,
    },
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

impl Fate {
    /// Accepted, and the target gave no reference.
    pub const ACCEPTED: Self = Self::Accepted { reference: None };

    /// True when the target said yes.
    pub const fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted { .. })
    }
}

/// What an attempt came to. `retry::decide` turns a failure into the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The target answered for the batch.
    Answered(Answered),
    /// It did not.
    Failed(Failure),
}

/// The answer for a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// One for each record, in the order of the batch.
    pub fates: Vec<Fate>,
    /// What is odd about the answer, for people: results that are missing, or that belong to no record.
    pub remark: Option<String>,
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
    /// The target knows the key with another body: a fault of ours (or of whoever sent under our keys).
    KeyReused,
    /// No complete answer in time, or the connection broke, after the first byte was sent.
    OutcomeUnknown,
    /// A status that is not in `accepted`.
    Status(u16),
    /// An accepted status, but a body that does not prove the outcome (not JSON, cut, a login page).
    Unreadable,
}
