//! One request under way: it waits for its place in the stream and for a slot, reads its body as sealed, and comes back with what it came to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::domain::delivery::{AttemptOutcome, BatchOrigin, Failure, FailureKind, SealedBatch};
use crate::ledger::row::BatchId;
use crate::pipeline::RunError;
use crate::pipeline::answer::AnswerReader;
use crate::pipeline::payload::{Payload, Request};
use crate::ports::{BatchRequest, Clock, Reply, SendError, Target};

/// Raised when nothing more may leave: a request that still waits for its place comes back unsent.
#[derive(Clone, Default)]
pub(super) struct Barrier(Arc<AtomicU64>);

impl Barrier {
    pub(super) fn raise(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// How often it was raised so far.
    pub(super) fn raised(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A request that came back.
pub(super) struct Landing {
    pub(super) id: BatchId,
    pub(super) at: DateTime<Utc>,
    pub(super) flown: Flown,
}

/// How far it came.
pub(super) enum Flown {
    /// Nothing of it was sent: the connection was shut before its place came.
    HeldBack,
    /// It was sent, or sending was tried.
    Sent {
        /// As it arrived.
        status: Option<u16>,
        /// In the words of HTTP, whatever the other side speaks.
        reply: Result<Reply, SendError>,
        outcome: AttemptOutcome,
    },
}

/// What a request needs; its attempt is written down already.
pub(super) struct Flight<T> {
    pub(super) id: BatchId,
    pub(super) sealed: SealedBatch,
    pub(super) departure: Instant,
    pub(super) has_key: bool,
    pub(super) origin: BatchOrigin,
    pub(super) payload: Arc<Payload>,
    pub(super) target: Arc<T>,
    pub(super) reader: Arc<AnswerReader>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) slots: Arc<Semaphore>,
    pub(super) barrier: Barrier,
    /// `barrier.raised()` when it was admitted.
    pub(super) raised: u64,
}

impl<T: Target> Flight<T> {
    /// Sends the batch once.
    pub(super) async fn fly(self) -> Result<Landing, RunError> {
        let Self { id, sealed, departure, has_key, origin, payload, target, reader, clock, slots, barrier, raised } =
            self;
        if departure > Instant::now() {
            tokio::time::sleep_until(departure).await;
        }
        let _slot = slots.acquire_owned().await.map_err(|error| RunError::Internal(error.to_string()))?;
        if barrier.raised() != raised {
            return Ok(Landing { id, at: clock.now(), flown: Flown::HeldBack });
        }
        let body = payload.body(origin, &sealed)?;
        let key = has_key.then(|| sealed.key.clone());
        let Request { path, body: sent, protocol } = payload.request(origin, &sealed, &body)?;
        let reply = target.send(BatchRequest { body: sent, path, key }).await;
        let status = reply.as_ref().ok().map(|reply| reply.status);
        if matches!(status, Some(401 | 403)) {
            // While the slot is still taken: the next one must not leave with a login that is refused.
            barrier.raise();
        }
        let (reply, outcome) = match reply {
            Ok(reply) if reply.login_expired => {
                (Ok(reply), failed(FailureKind::LoginExpired, "answered 401; logging in anew"))
            }
            Ok(reply) if has_key && says_key_was_reused(&reply) => {
                (Ok(reply), failed(FailureKind::KeyReused, "the target knows this key with another body"))
            }
            Ok(reply) => {
                let (reply, outcome) = protocol.read(&reader, reply, &body, sealed.records);
                (Ok(reply), outcome)
            }
            Err(error) => {
                let kind = match &error {
                    SendError::NotSent(_) => FailureKind::NotSent,
                    SendError::Login(_) => FailureKind::Login,
                    SendError::OutcomeUnknown(_) => FailureKind::OutcomeUnknown,
                };
                let outcome = failed(kind, &error.to_string());
                (Err(error), outcome)
            }
        };
        Ok(Landing { id, at: clock.now(), flown: Flown::Sent { status, reply, outcome } })
    }
}

/// A sealed body never changes, so that this is no refusal of the records: RFC draft `idempotency-key-header` answers 422, Stripe
/// 400 with an error type of its own, others 412.
fn says_key_was_reused(reply: &Reply) -> bool {
    let word = match reply.status {
        400 => "idempotency_error",
        412 | 422 => "idempotency",
        _ => return false,
    };
    String::from_utf8_lossy(&reply.body[..reply.body.len().min(2048)]).to_ascii_lowercase().contains(word)
}

fn failed(kind: FailureKind, message: &str) -> AttemptOutcome {
    AttemptOutcome::Failed(Failure { kind, message: message.to_owned(), retry_after_ms: None })
}
