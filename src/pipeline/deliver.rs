//! Deliver: send the sealed batches of one file, with an attempt row around every request.
//!
//! One coordinator owns the queue and the ledger; requests fly in tasks. What has finished is written down together
//! with what starts next and with the places it takes in the connection's pace, in one transaction, so a run of many
//! small batches costs about one commit for half a round of requests. No request leaves before its attempt row is
//! committed.

mod ahead;
mod fault;
mod flight;
mod outcome;
mod queue;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::ahead::Ahead;
use self::flight::{Barrier, Flight, Flown, Landing};
use self::queue::Queue;
use super::answer::AnswerReader;
use super::payload::Payload;
use super::stop::Stop;
use super::{Progress, RunError, Step};
use crate::domain::delivery::{AttemptOutcome, BatchState, Failure};
use crate::domain::job::{HttpConnection, Job, OnUnanswered};
use crate::domain::pace::{Admission, Health};
use crate::ledger::Ledger;
use crate::ledger::rate::Ask;
use crate::ledger::row::{Answers, BatchId, BatchRow, FileRow, Finished, Portion, RunFault, RunLease, Verdict};
use crate::ports::{Clock, Reply, SendError, Target};
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
    /// Bodies, and where their records come from.
    pub payload: Arc<Payload>,
    /// Unanswered batches that a person sends again, whatever their window says.
    pub forced: &'a HashSet<BatchId>,
    /// Stop after so many refused records in a row.
    pub stop_after: Option<u64>,
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

/// How far ahead places in the pace of a connection are taken: a block shares a commit, and nobody waits longer for a pause.
const HORIZON: Duration = LINGER;

/// The time between two probes of a target that fails, unless the job wants every wait to be shorter.
const PROBE_EVERY: Duration = Duration::from_secs(60);

/// The state of one delivery.
struct Coordinator<'a, T> {
    order: Delivery<'a, T>,
    reader: Arc<AnswerReader>,
    batches: HashMap<BatchId, BatchRow>,
    tries: HashMap<BatchId, u32>,
    queue: Queue,
    flying: JoinSet<Result<Landing, RunError>>,
    finished: Vec<Finished>,
    /// When the oldest of `finished` came back.
    waiting_since: Option<Instant>,
    /// What came back since the last commit says about the target.
    heard: Vec<Health>,
    /// How long the target asked everybody to wait, since the last commit.
    pause: Option<Duration>,
    barrier: Barrier,
    ahead: Ahead,
    answered_any: bool,
    answered: u64,
    total: u64,
    held: u64,
    /// Refused records since the last accepted one.
    refused_in_a_row: u64,
    fault: Option<RunFault>,
    stopping: bool,
    /// When the connection is asked for a place again.
    not_before: Option<Instant>,
    /// The target failed so often that it is only probed.
    is_open: bool,
    /// Ordinal from which the ledger has batches that were not taken up yet; `None`: none.
    rest_from: Option<u64>,
}

/// How many batches are taken up at once: enough to keep every slot busy, few enough for any file to fit in memory.
const WINDOW: u32 = 4096;

/// Sends every batch of the file that has no answer yet. A repeat goes on at the first one that is not accepted.
pub async fn all<T: Target>(order: Delivery<'_, T>, clock: Arc<dyn Clock>) -> Result<Sent, RunError> {
    let reader =
        AnswerReader::new(&order.job.target.response).map_err(|message| RunError::Target { message, hint: None })?;
    let ahead = Ahead::new(order.connection, &order.job.target);
    let coordinator = Coordinator {
        answered_any: order.answered_before,
        order,
        reader: Arc::new(reader),
        batches: HashMap::new(),
        tries: HashMap::new(),
        queue: Queue::default(),
        flying: JoinSet::new(),
        finished: Vec::new(),
        waiting_since: None,
        heard: Vec::new(),
        pause: None,
        barrier: Barrier::default(),
        ahead,
        answered: 0,
        total: 0,
        held: 0,
        refused_in_a_row: 0,
        fault: None,
        stopping: false,
        not_before: None,
        is_open: false,
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
                let forced = self.order.forced.contains(&batch.id);
                let may_go = forced || retry::may_resend(window, target.on_unanswered, age);
                if batch.state == BatchState::Unanswered && !may_go {
                    self.held += 1;
                    continue;
                }
                self.queue.push(batch.sealed.ordinal, batch.id);
                self.batches.insert(batch.id, batch);
            }
        }
        Ok(())
    }

    async fn run(mut self, clock: Arc<dyn Clock>) -> Result<Sent, RunError> {
        self.total = self.order.ledger.count_unfinished(self.order.file.id)?;
        loop {
            if !self.stopping {
                self.take_up()?;
            }
            self.commit_and_start(&clock)?;
            if self.queue.is_empty() && self.rest_from.is_some() && !self.stopping {
                // The commit has sealed the parts of a batch.
                continue;
            }
            self.order.progress.step(Step::Sending { done: self.answered, total: self.total });
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
                () = self.order.stop.requested(), if !self.stopping => self.stop(),
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

    fn stop(&mut self) {
        self.stopping = true;
        self.barrier.raise();
    }

    /// One transaction: the outcomes at hand and the attempts that start now. Then the requests leave.
    fn commit_and_start(&mut self, clock: &Arc<dyn Clock>) -> Result<(), RunError> {
        if !self.finished.is_empty() && !self.group_is_full() {
            return Ok(());
        }
        let (now, at) = (Instant::now(), self.order.clock.now());
        let may_ask = !self.stopping && self.not_before.is_none_or(|before| before <= now);
        let most = if may_ask { self.room() } else { 0 };
        let due = self.queue.take_due(most, now);
        if due.is_empty() && self.finished.is_empty() {
            return Ok(());
        }
        let finished = std::mem::take(&mut self.finished);
        self.waiting_since = None;
        self.ahead.commits(finished.len(), now);
        let parts: usize = finished.iter().map(|one| one.verdict.parts().len()).sum();
        let grows_from = if parts > 0 { Some(self.order.ledger.next_ordinal(self.order.file.id)?) } else { None };
        let admission = self.depart(&finished, &due, at)?;
        self.rest_from = self.rest_from.or(grows_from);
        self.total += parts as u64;
        self.is_open = admission.is_open;
        self.not_before = admission.look_again.map(|wait| now + micros(wait));
        for (place, (ordinal, id)) in due.into_iter().enumerate() {
            match admission.departures.get(place) {
                Some(wait) => self.send(id, now + micros(*wait), clock, at),
                None => self.queue.push(ordinal, id),
            }
        }
        Ok(())
    }

    /// Commits, and asks the connection for places for what is due.
    fn depart(
        &mut self,
        finished: &[Finished],
        due: &[(u64, BatchId)],
        at: DateTime<Utc>,
    ) -> Result<Admission, RunError> {
        let want: Vec<BatchId> = due.iter().map(|(_, id)| *id).collect();
        let heard = std::mem::take(&mut self.heard);
        let ask = Ask {
            connection: self.order.job.target.connection.as_str(),
            rate: &self.order.connection.rate,
            under_way: self.flying.len() as u32,
            ahead: self.ahead.size() as u32,
            want: &want,
            heard: &heard,
            pause: self.pause.take(),
            horizon: HORIZON,
            probe_every: PROBE_EVERY.min(self.order.job.target.retry.longest_wait),
        };
        Ok(self.order.ledger.depart(self.order.lease, finished, &ask, at)?)
    }

    /// How many more requests may be written down.
    fn room(&self) -> usize {
        self.ahead.most().saturating_sub(self.flying.len())
    }

    /// Half a round shares a commit; nobody waits longer than `LINGER`, and nobody waits alone.
    fn group_is_full(&self) -> bool {
        self.finished.len() >= self.ahead.most().div_ceil(2)
            || self.flying.is_empty()
            || self.waiting_since.is_some_and(|since| since.elapsed() >= LINGER)
    }

    /// When to look again, if no request comes back before.
    fn wake_at(&self) -> Instant {
        let now = Instant::now();
        let next = match (self.waiting_since, self.queue.next_at(now)) {
            (Some(since), _) => since + LINGER,
            (None, Some(due)) if self.room() > 0 => self.not_before.map_or(due, |at| at.max(due)),
            // Only a request that comes back makes room or work.
            _ => now + Duration::from_secs(60),
        };
        // A floor keeps a loop that waits for the clock to tick from spinning.
        next.max(now + Duration::from_millis(1))
    }

    fn send(&mut self, id: BatchId, departure: Instant, clock: &Arc<dyn Clock>, at: DateTime<Utc>) {
        let Some(batch) = self.batches.get_mut(&id) else { return };
        batch.first_attempt_at.get_or_insert(at);
        *self.tries.entry(id).or_default() += 1;
        let flight = Flight {
            id,
            sealed: batch.sealed.clone(),
            departure,
            has_key: self.order.job.target.idempotency.is_some(),
            origin: batch.origin,
            payload: self.order.payload.clone(),
            target: self.order.target.clone(),
            reader: self.reader.clone(),
            clock: clock.clone(),
            slots: self.ahead.slots(),
            raised: self.barrier.raised(),
            barrier: self.barrier.clone(),
        };
        self.flying.spawn(flight.fly());
    }

    /// Turns a request that came back into what is written down for it.
    fn settle(&mut self, landing: Landing) -> Result<(), RunError> {
        let Landing { id, at, flown } = landing;
        self.waiting_since.get_or_insert_with(Instant::now);
        let Flown::Sent { status, reply, outcome } = flown else {
            self.held_back(id, at);
            return Ok(());
        };
        self.hear(&reply);
        let (verdict, note) = match &outcome {
            AttemptOutcome::Answered(answered) => {
                self.answered_any = true;
                (Verdict::Answered(self.answers(id, &answered.fates)?), self.remark(id, &reply, answered))
            }
            AttemptOutcome::Failed(failure) => (self.after_failure(id, at, &reply, failure)?, failure.message.clone()),
        };
        if matches!(verdict, Verdict::Answered(_) | Verdict::Split(..)) {
            self.answered += 1;
            self.watch_refusals(&verdict);
        }
        let portions = self.portions(id, &verdict)?;
        if !matches!(verdict, Verdict::NotTaken(Some(_)) | Verdict::Unknown(Some(_))) {
            // It does not come back in this process.
            self.batches.remove(&id);
            self.tries.remove(&id);
        }
        self.finished.push(Finished { batch: id, finished_at: at, status, note, verdict, portions });
        Ok(())
    }

    /// The amounts by fate of a batch whose records have several.
    fn portions(&self, id: BatchId, verdict: &Verdict) -> Result<Vec<Portion>, RunError> {
        let Verdict::Answered(Answers::Each(fates, _)) = verdict else { return Ok(Vec::new()) };
        let batch = &self.batches[&id];
        self.order.payload.divide(batch.origin, &batch.sealed, fates)
    }

    /// The connection was shut before its place came: no attempt of the batch is used up.
    fn held_back(&mut self, id: BatchId, at: DateTime<Utc>) {
        if let Some(tries) = self.tries.get_mut(&id) {
            *tries = tries.saturating_sub(1);
        }
        if let Some(batch) = self.batches.get(&id) {
            self.queue.push(batch.sealed.ordinal, id);
        }
        let note = "held back: nothing more was to be sent before its turn came".to_owned();
        self.finished.push(Finished {
            batch: id,
            finished_at: at,
            status: None,
            note,
            verdict: Verdict::NotTaken(Some(at)),
            portions: Vec::new(),
        });
    }

    /// What a reply says about the target itself, whatever it says of the records.
    fn hear(&mut self, reply: &Result<Reply, SendError>) {
        let failing = match reply {
            Ok(reply) => reply.status >= 500 && !matches!(reply.status, 501 | 505),
            Err(error) => !matches!(error, SendError::Login(_)),
        };
        self.heard.push(if failing { Health::Failing } else { Health::Alive });
        if let Some(wait) = reply.as_ref().ok().and_then(|reply| reply.exhausted) {
            self.pause_for(wait);
        }
    }

    /// Every job and process on this connection waits; what was let go ahead of its time comes back.
    fn pause_for(&mut self, wait: Duration) {
        self.pause = self.pause.max(Some(wait));
        let until = Instant::now() + wait;
        self.not_before = self.not_before.max(Some(until));
        self.barrier.raise();
    }

    fn after_failure(
        &mut self,
        id: BatchId,
        at: DateTime<Utc>,
        reply: &Result<Reply, SendError>,
        failure: &Failure,
    ) -> Result<Verdict, RunError> {
        let target = &self.order.job.target;
        let (ordinal, first) = {
            let batch = &self.batches[&id];
            (batch.sealed.ordinal, batch.first_attempt_at)
        };
        let situation = Situation {
            rule: &target.retry,
            on_unanswered: target.on_unanswered,
            window: target.idempotency.as_ref().map(|idempotency| idempotency.window),
            attempts: self.tries[&id],
            age: first.map_or(Duration::ZERO, |first| (at - first).to_std().unwrap_or_default()),
            first_of_run: !self.answered_any,
        };
        let has_key = situation.window.is_some();
        let decision = retry::decide(failure, &situation, jitter());
        tracing::info!(batch = ordinal, ?decision, "{}", failure.message);
        if let Some(wait) = retry::pauses_connection(failure, decision) {
            self.pause_for(wait);
        }
        Ok(match decision {
            Decision::Again(known, wait) => {
                self.queue.push_at(Instant::now() + wait, ordinal, id);
                verdict(known, Some(later(at, wait)))
            }
            Decision::GiveUp(known) => {
                self.give_up(known, failure, has_key);
                verdict(known, None)
            }
            Decision::StopRun(known) => {
                self.stop();
                self.fault = Some(self.stopped(failure));
                verdict(known, None)
            }
            Decision::Refused => self.refused(id, reply)?,
        })
    }

    /// A later run sends it again, unless nobody may: unanswered, and the target knows no key.
    fn give_up(&mut self, known: Known, failure: &Failure, has_key: bool) {
        let resends = self.order.job.target.on_unanswered == OnUnanswered::Resend;
        if self.is_open {
            // A target that only failed for so long fails for every batch behind this one as well.
            self.stop();
        }
        if known == Known::Unknown && !(has_key && resends) {
            self.held += 1;
            return;
        }
        let fault = self.not_delivered(failure);
        self.fault.get_or_insert(fault);
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

fn later(at: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    // A year is more than any wait that is asked for, and far from the end of the calendar.
    at + TimeDelta::from_std(wait).unwrap_or(TimeDelta::days(365))
}

/// Uniform in `0.0..1.0`; two processes that fail together must not come back together.
fn jitter() -> f64 {
    let bits = uuid::Uuid::new_v4().as_u128() as u32;
    f64::from(bits) / f64::from(u32::MAX)
}

fn micros(length: i64) -> Duration {
    Duration::from_micros(u64::try_from(length).unwrap_or(0))
}
