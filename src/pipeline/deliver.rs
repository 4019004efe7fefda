//! Deliver: send the sealed batches of one file, with an attempt row around every request.
//!
//! One coordinator owns the queue and the ledger; requests fly in tasks. What has finished is written down together
//! with what starts next, in one transaction, so a run of many small batches costs about one commit for half a round
//! of requests. No request leaves before its attempt row is committed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::answer::AnswerReader;
use super::convert::IndexEntry;
use super::land::hex;
use super::stop::Stop;
use super::{Progress, RunError, Step};
use crate::domain::delivery::{AttemptOutcome, BatchState, Failure, FailureKind, Fate};
use crate::domain::file::shown_name;
use crate::domain::job::{HttpConnection, Job};
use crate::ledger::Ledger;
use crate::ledger::row::{Answers, BatchId, BatchRow, FileRow, Finished, RefusedRecord, RunFault, RunLease, Verdict};
use crate::ports::{BatchRequest, Clock, Reply, SendError, Target};
use crate::retry::{self, Decision, Known, Situation};

/// Everything that delivery needs; the file's spool, index and landed copy are open.
pub struct Delivery<'a, T> {
    /// The job.
    pub job: &'a Job,
    /// Its target's connection.
    pub connection: &'a HttpConnection,
    /// The run.
    pub lease: &'a RunLease,
    /// The file.
    pub file: &'a FileRow,
    /// The ledger.
    pub ledger: &'a Ledger,
    /// The target.
    pub target: Arc<T>,
    /// The clock.
    pub clock: &'a dyn Clock,
    /// Who is told how far it is.
    pub progress: &'a dyn Progress,
    /// Set by a signal.
    pub stop: Stop,
    /// Batch bodies, back to back.
    pub spool: Arc<File>,
    /// Where each record's row is.
    pub index: File,
    /// The file as it came.
    pub landed: File,
    /// The mapping names personal data.
    pub hides: bool,
    /// Whether a batch of this run was answered before (a wrong path would have shown).
    pub answered_before: bool,
}

/// What delivery came to.
#[derive(Debug)]
pub enum Sent {
    /// Every batch has its answer.
    All,
    /// Batches are left that a later run or a person takes up.
    Left {
        /// Unanswered batches that nothing sends again by itself.
        held: u64,
        /// Why the others stopped, if any are left that a later run sends.
        fault: Option<RunFault>,
    },
    /// A signal came; the rest is sealed and resumable.
    Interrupted,
}

/// The longest that a finished request waits for others to share its commit.
const LINGER: Duration = Duration::from_millis(250);

/// A batch that waits for its turn; ordered by due time, then by position.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: DateTime<Utc>,
    ordinal: u64,
    id: BatchId,
}

/// A request that came back.
struct Landing {
    id: BatchId,
    at: DateTime<Utc>,
    reply: Result<Reply, SendError>,
    outcome: AttemptOutcome,
}

/// The state of one delivery.
struct Coordinator<'a, T> {
    order: Delivery<'a, T>,
    reader: Arc<AnswerReader>,
    batches: HashMap<BatchId, BatchRow>,
    tries: HashMap<BatchId, u32>,
    queue: BinaryHeap<Reverse<Due>>,
    flying: JoinSet<Result<Landing, RunError>>,
    finished: Vec<Finished>,
    /// When the oldest of `finished` came back.
    waiting_since: Option<Instant>,
    answered_any: bool,
    answered: u64,
    held: u64,
    fault: Option<RunFault>,
    stopping: bool,
    not_before: Option<DateTime<Utc>>,
    /// Ordinal from which the ledger has batches that were not taken up yet; `None`: none.
    rest_from: Option<u64>,
}

/// How many batches are taken up at once: enough to keep every slot busy, few enough for any file to fit in memory.
const WINDOW: u32 = 4096;

/// Sends every batch of the file that has no answer yet. A repeat goes on at the first one that is not accepted.
pub async fn all<T: Target>(order: Delivery<'_, T>, clock: Arc<dyn Clock>) -> Result<Sent, RunError> {
    let reader =
        AnswerReader::new(&order.job.target.response).map_err(|message| RunError::Target { message, hint: None })?;
    let coordinator = Coordinator {
        answered_any: order.answered_before,
        order,
        reader: Arc::new(reader),
        batches: HashMap::new(),
        tries: HashMap::new(),
        queue: BinaryHeap::new(),
        flying: JoinSet::new(),
        finished: Vec::new(),
        waiting_since: None,
        answered: 0,
        held: 0,
        fault: None,
        stopping: false,
        not_before: None,
        rest_from: Some(0),
    };
    coordinator.run(clock).await
}

impl<T: Target> Coordinator<'_, T> {
    /// Queues the next batches that may be sent; unanswered ones beyond their window, or without a key, are held for a
    /// person.
    fn take_up(&mut self) -> Result<(), RunError> {
        let target = &self.order.job.target;
        let window = target.idempotency.as_ref().map(|idempotency| idempotency.window);
        let now = self.order.clock.now();
        // Batches that wait for a retry must not hold up those behind them.
        while let (Some(from), true) = (self.rest_from, self.queue.len() < WINDOW as usize / 2) {
            let batches = self.order.ledger.unfinished_batches(self.order.file.id, from, WINDOW)?;
            self.rest_from = batches.last().map(|batch| batch.sealed.ordinal + 1);
            for batch in batches {
                let age =
                    batch.first_attempt_at.map_or(Duration::ZERO, |first| (now - first).to_std().unwrap_or_default());
                if batch.state == BatchState::Unanswered && !retry::may_resend(window, target.on_unanswered, age) {
                    self.held += 1;
                    continue;
                }
                self.queue.push(Reverse(Due { at: now, ordinal: batch.sealed.ordinal, id: batch.id }));
                self.batches.insert(batch.id, batch);
            }
        }
        Ok(())
    }

    async fn run(mut self, clock: Arc<dyn Clock>) -> Result<Sent, RunError> {
        let total = self.order.ledger.count_unfinished(self.order.file.id)?;
        loop {
            if !self.stopping {
                self.take_up()?;
            }
            self.commit_and_start(&clock)?;
            self.order.progress.step(Step::Sending { done: self.answered, total });
            if self.flying.is_empty() && self.finished.is_empty() && (self.stopping || self.queue.is_empty()) {
                break;
            }
            let wake = self.wake_at();
            tokio::select! {
                landed = self.flying.join_next(), if !self.flying.is_empty() => {
                    // Whatever else has come back by now shares the commit.
                    let mut next = landed;
                    while let Some(landed) = next {
                        self.settle(came_back(landed)?)?;
                        next = self.flying.try_join_next();
                    }
                }
                () = tokio::time::sleep_until(wake) => {}
                () = self.order.stop.requested(), if !self.stopping => self.stopping = true,
            }
        }
        Ok(self.verdict())
    }

    fn verdict(self) -> Sent {
        match (&self.fault, self.held) {
            (None, _) if !self.queue.is_empty() || self.rest_from.is_some() => Sent::Interrupted,
            (None, 0) => Sent::All,
            _ => Sent::Left { held: self.held, fault: self.fault },
        }
    }

    /// One transaction: the outcomes at hand and the attempts that start now. Then the requests leave.
    fn commit_and_start(&mut self, clock: &Arc<dyn Clock>) -> Result<(), RunError> {
        let slots = self.order.connection.concurrency.max(1) as usize;
        if !self.finished.is_empty() && !self.group_is_full(slots) {
            return Ok(());
        }
        let now = self.order.clock.now();
        let starts = self.due_now(slots.saturating_sub(self.flying.len()), now)?;
        if starts.is_empty() && self.finished.is_empty() {
            return Ok(());
        }
        let finished = std::mem::take(&mut self.finished);
        self.waiting_since = None;
        self.order.ledger.advance(self.order.lease, &finished, &starts, now)?;
        for id in starts {
            self.send(id, clock, now);
        }
        Ok(())
    }

    /// Half a round shares a commit; nobody waits longer than `LINGER`, and nobody waits alone.
    fn group_is_full(&self, slots: usize) -> bool {
        self.finished.len() >= slots.div_ceil(2)
            || self.flying.is_empty()
            || self.waiting_since.is_some_and(|since| since.elapsed() >= LINGER)
    }

    /// Takes up to `most` batches off the queue that are due and that the connection's pace allows.
    fn due_now(&mut self, most: usize, now: DateTime<Utc>) -> Result<Vec<BatchId>, RunError> {
        let due = |queue: &BinaryHeap<Reverse<Due>>| queue.peek().is_some_and(|Reverse(next)| next.at <= now);
        if self.stopping || most == 0 || !due(&self.queue) || self.not_before.is_some_and(|at| now < at) {
            return Ok(Vec::new());
        }
        let connection = self.order.job.target.connection.as_str();
        if let Some(until) = self.order.ledger.paused_until(connection)?
            && now < until
        {
            self.not_before = Some(until);
            return Ok(Vec::new());
        }
        let mut starts = Vec::with_capacity(most);
        while starts.len() < most && due(&self.queue) {
            if let Some(per_second) = self.order.connection.per_second {
                let wait = self.order.ledger.reserve(connection, per_second, now)?;
                if !wait.is_zero() {
                    self.not_before = Some(later(now, wait));
                    break;
                }
            }
            if let Some(Reverse(next)) = self.queue.pop() {
                starts.push(next.id);
            }
        }
        Ok(starts)
    }

    /// When to look again, if no request comes back before.
    fn wake_at(&self) -> Instant {
        let now = Instant::now();
        let slot_is_free = self.flying.len() < self.order.connection.concurrency.max(1) as usize;
        let next = match (self.waiting_since, self.queue.peek()) {
            (Some(since), _) => since + LINGER,
            (None, Some(Reverse(next))) if slot_is_free => {
                let at = self.not_before.map_or(next.at, |at| at.max(next.at));
                now + (at - self.order.clock.now()).to_std().unwrap_or_default()
            }
            // Only a request that comes back makes room or work.
            _ => now + Duration::from_secs(60),
        };
        // A floor keeps a loop that waits for the clock to tick from spinning.
        next.max(now + Duration::from_millis(1))
    }

    fn send(&mut self, id: BatchId, clock: &Arc<dyn Clock>, now: DateTime<Utc>) {
        let Some(batch) = self.batches.get_mut(&id) else { return };
        batch.first_attempt_at.get_or_insert(now);
        *self.tries.entry(id).or_default() += 1;
        let sealed = batch.sealed.clone();
        let (spool, target, reader) = (self.order.spool.clone(), self.order.target.clone(), self.reader.clone());
        let (clock, has_key) = (clock.clone(), self.order.job.target.idempotency.is_some());
        self.flying.spawn(async move {
            let body = read_body(&spool, sealed.spool_offset, sealed.body_length, sealed.body_sha256.as_str())?;
            let key = has_key.then(|| sealed.key.clone());
            let reply = target.send(BatchRequest { body: body.clone(), key }).await;
            let outcome = match &reply {
                Ok(reply) => reader.read(reply, &body, sealed.records),
                Err(SendError::NotSent(message)) => failed(FailureKind::NotSent, message),
                Err(SendError::OutcomeUnknown(message)) => failed(FailureKind::OutcomeUnknown, message),
            };
            Ok(Landing { id, at: clock.now(), reply, outcome })
        });
    }

    /// Turns a request that came back into what is written down for it.
    fn settle(&mut self, landing: Landing) -> Result<(), RunError> {
        let status = landing.reply.as_ref().ok().map(|reply| reply.status);
        let (verdict, note) = match &landing.outcome {
            AttemptOutcome::Answered(fates) => {
                self.answered_any = true;
                (Verdict::Answered(self.answers(landing.id, fates)?), String::new())
            }
            AttemptOutcome::Failed(failure) => (self.after_failure(&landing, failure)?, failure.message.clone()),
        };
        if matches!(verdict, Verdict::Answered(_)) {
            self.answered += 1;
        }
        if !matches!(verdict, Verdict::NotTaken(Some(_)) | Verdict::Unknown(Some(_))) {
            // It does not come back in this process.
            self.batches.remove(&landing.id);
            self.tries.remove(&landing.id);
        }
        self.finished.push(Finished { batch: landing.id, finished_at: landing.at, status, note, verdict });
        self.waiting_since.get_or_insert_with(Instant::now);
        Ok(())
    }

    fn after_failure(&mut self, landing: &Landing, failure: &Failure) -> Result<Verdict, RunError> {
        let target = &self.order.job.target;
        let (ordinal, first) = {
            let batch = &self.batches[&landing.id];
            (batch.sealed.ordinal, batch.first_attempt_at)
        };
        let situation = Situation {
            rule: &target.retry,
            on_unanswered: target.on_unanswered,
            window: target.idempotency.as_ref().map(|idempotency| idempotency.window),
            attempts: self.tries[&landing.id],
            age: first.map_or(Duration::ZERO, |at| (landing.at - at).to_std().unwrap_or_default()),
            first_of_run: !self.answered_any,
        };
        let has_key = situation.window.is_some();
        let decision = retry::decide(failure, &situation, jitter());
        self.pause_connection(failure, landing.at)?;
        tracing::info!(batch = ordinal, ?decision, "{}", failure.message);
        Ok(match decision {
            Decision::Again(known, wait) => {
                let at = later(landing.at, wait);
                self.queue.push(Reverse(Due { at, ordinal, id: landing.id }));
                verdict(known, Some(at))
            }
            Decision::GiveUp(known) => {
                self.give_up(known, failure, has_key);
                verdict(known, None)
            }
            Decision::StopRun(known) => {
                self.stopping = true;
                self.fault = Some(self.stopped(failure));
                verdict(known, None)
            }
            Decision::Refused => Verdict::Answered(self.refuse_all(landing)?),
        })
    }

    /// A later run sends it again, unless nobody may: unanswered, and the target knows no key.
    fn give_up(&mut self, known: Known, failure: &Failure, has_key: bool) {
        let resends = self.order.job.target.on_unanswered == crate::domain::job::OnUnanswered::Resend;
        if known == Known::Unknown && !(has_key && resends) {
            self.held += 1;
            return;
        }
        self.fault.get_or_insert(RunFault {
            code: "not-delivered".to_owned(),
            message: format!("{}: not every batch was delivered: {}", self.place(), failure.message),
            hint: Some(resume_hint(self.order.lease)),
        });
    }

    fn stopped(&self, failure: &Failure) -> RunFault {
        let what = match failure.kind {
            FailureKind::Status(401 | 403) => "check the token of the connection (`connections.toml`, `auth`), then ",
            FailureKind::Status(404 | 405) => "check `base_url`, `path` and `method`, then ",
            FailureKind::Status(300..=399) => "put the final address into `base_url` or `path`, then ",
            _ => "look at what answers there and at `[target.response]`, then ",
        };
        RunFault {
            code: "stopped-by-target".to_owned(),
            message: format!("{}: stopped, nothing more was sent: {}", self.place(), failure.message),
            hint: Some(format!("{what}{}", resume_hint(self.order.lease))),
        }
    }

    fn place(&self) -> String {
        let name = shown_name(&self.order.file.name);
        format!("{}: {name}: {}{}", self.order.job.name, self.order.connection.base_url, self.order.job.target.path)
    }

    fn pause_connection(&mut self, failure: &Failure, at: DateTime<Utc>) -> Result<(), RunError> {
        let pauses = match failure.kind {
            FailureKind::Status(429) => true,
            FailureKind::Status(503) => failure.retry_after_ms.is_some(),
            _ => false,
        };
        if let (true, Some(wait)) = (pauses, failure.retry_after_ms) {
            let until = later(at, Duration::from_millis(wait));
            self.order.ledger.pause_connection(self.order.job.target.connection.as_str(), until)?;
            self.not_before = Some(self.not_before.map_or(until, |before| before.max(until)));
        }
        Ok(())
    }

    fn refuse_all(&self, landing: &Landing) -> Result<Answers, RunError> {
        let (code, message) = match &landing.reply {
            Ok(reply) => self.reader.refusal(reply),
            Err(error) => ("refused".to_owned(), error.to_string()),
        };
        let records = self.batches[&landing.id].sealed.records as usize;
        self.answers(landing.id, &vec![Fate::Refused { code, message }; records])
    }

    /// The fates as the ledger takes them, with the raw row of every refused record.
    fn answers(&self, id: BatchId, fates: &[Fate]) -> Result<Answers, RunError> {
        if fates.iter().all(|fate| *fate == Fate::Accepted) {
            return Ok(Answers::AllAccepted);
        }
        let first = self.batches[&id].sealed.first_record;
        let mut refused = Vec::new();
        for (record, fate) in (first..).zip(fates) {
            if let Fate::Refused { code, message } = fate {
                let entry = IndexEntry::read_at(&self.order.index, record).map_err(RunError::Spool)?;
                let mut raw = vec![0; entry.length as usize];
                self.order.landed.read_exact_at(&mut raw, entry.byte).map_err(RunError::Spool)?;
                let (code, message) = (code.clone(), message.clone());
                let masked = self.order.hides.then(|| "(not shown: it may hold personal data)".to_owned());
                refused.push(RefusedRecord { row: entry.row, byte: entry.byte, code, message, raw, masked });
            }
        }
        Ok(Answers::Each(fates.to_vec(), refused))
    }
}

fn came_back(landed: Result<Result<Landing, RunError>, tokio::task::JoinError>) -> Result<Landing, RunError> {
    landed.unwrap_or_else(|panic| Err(RunError::Internal(format!("a sending task failed: {panic}"))))
}

fn verdict(known: Known, due: Option<DateTime<Utc>>) -> Verdict {
    match known {
        Known::NotTaken => Verdict::NotTaken(due),
        Known::Unknown => Verdict::Unknown(due),
    }
}

fn failed(kind: FailureKind, message: &str) -> AttemptOutcome {
    AttemptOutcome::Failed(Failure { kind, message: message.to_owned(), retry_after_ms: None })
}

fn resume_hint(lease: &RunLease) -> String {
    format!("`nightferry resume {}` goes on at the first batch that is not accepted", lease.run)
}

fn later(at: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    // A year is more than any wait that is asked for, and far from the end of the calendar.
    at + TimeDelta::from_std(wait).unwrap_or(TimeDelta::days(365))
}

/// Uniform in `0.0..1.0`; two processes that fail together must not come back together.
fn jitter() -> f64 {
    let bits = uuid::Uuid::new_v4().as_u128() as u32;
    f64::from(bits) / f64::from(u32::MAX)
}

/// The body exactly as sealed; a spool that was touched is never sent.
fn read_body(spool: &File, offset: u64, length: u64, sha256: &str) -> Result<Bytes, RunError> {
    let mut body = vec![0; length as usize];
    spool.read_exact_at(&mut body, offset).map_err(RunError::Spool)?;
    if hex(&Sha256::digest(&body)).as_str() != sha256 {
        return Err(RunError::Internal("the payload spool is not what was sealed; nothing more was sent".to_owned()));
    }
    Ok(Bytes::from(body))
}
