//! The night: one process that starts every job at its instant, never twice, never silently not.
//!
//! [`turn`] decides what is due and writes it down, [`queue`] says what may start, [`Night::watch`] is the loop that starts it and
//! waits. Everything that must survive a crash is in the ledger: a process that is killed at any point leaves rows that the next
//! one goes on with.

pub mod lock;
pub mod queue;
pub mod roster;
pub mod supervisor;
pub mod turn;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};

use crate::config::diagnostic::Problems;
use crate::config::project::LoadedJob;
use crate::domain::run::RunState;
use crate::ledger::row::RunFault;
use crate::ledger::{Ledger, LedgerError};
use crate::pipeline::Begin;
use crate::pipeline::stop::{Stop, StopSwitch, stop_switch};
use crate::ports::Clock;
use lock::ServeLock;
use queue::{Active, How, Start};
use roster::Roster;
use supervisor::Supervisor;

/// The wall clock is read again at least this often: it may be set, or the machine may have slept.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// How often other processes' writes and changed files are looked for.
const LOOK: Duration = Duration::from_secs(2);
/// Requests under way may take so long to finish after a signal.
const DRAIN: Duration = Duration::from_secs(30);
/// No clock that shows an earlier time is believed.
const EARLIEST: DateTime<Utc> = DateTime::from_timestamp(1_764_547_200, 0).unwrap();

/// A run under way: its end, in words for the log.
pub type Carrying = Pin<Box<dyn Future<Output = Result<RunState, String>> + Send>>;

/// Carries out one run. Given by whoever knows how connections are opened.
pub trait Depart: Send + Sync {
    /// Runs a job; halts in order when `stop` asks.
    fn depart(&self, job: Arc<LoadedJob>, begin: Begin, stop: Stop) -> Carrying;
}

/// What the daemon is told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Read the files again.
    Reload,
    /// Stop in order.
    Stop,
}

/// Why the daemon ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The daemon.
pub struct Night {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The ledger.
    pub ledger: Arc<Ledger>,
    /// The folder with `nightferry.toml`.
    pub root: PathBuf,
    /// The jobs.
    pub roster: Roster,
    /// Carries runs out.
    pub crew: Arc<dyn Depart>,
    /// At most so many runs at once.
    pub places: usize,
    /// Who is told of problems in files.
    pub tell: Box<dyn Fn(&Problems) + Send>,
}

/// A run, and what it came to.
type Carried = (Start, Result<RunState, String>);

/// A task that is over.
type Ended = Result<(Id, Carried), tokio::task::JoinError>;

/// Why the loop looks round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// The clock, or something from outside.
    Time,
    /// A run has ended: nothing new is due because of that, but there is a place.
    RunEnded,
    /// It is time to stop.
    Stop,
}

/// What goes on while the daemon runs.
struct Watch {
    /// When the clock alone makes a job due.
    due_at: Option<DateTime<Utc>>,
    tasks: JoinSet<Carried>,
    under_way: BTreeMap<Id, (Start, StopSwitch)>,
    active: Active,
    supervisor: Supervisor,
    lock: ServeLock,
}

impl Night {
    /// Serves until `signals` says stop. The lock is given back at the end.
    ///
    /// # Errors
    /// The ledger cannot be used any more.
    pub async fn watch(mut self, lock: ServeLock, mut signals: mpsc::Receiver<Signal>) -> Result<(), ServeError> {
        let mut watch = Watch {
            due_at: None,
            tasks: JoinSet::new(),
            under_way: BTreeMap::new(),
            active: Active::default(),
            supervisor: Supervisor::from_environment(),
            lock,
        };
        watch.supervisor.ready();
        let mut looked = tokio::time::Instant::now();
        let mut believed = self.clock.now();
        let mut reason = Reason::Time;
        loop {
            let now = self.clock.now();
            note_clock_step(now - believed, looked.elapsed());
            (looked, believed) = (tokio::time::Instant::now(), now);
            let wake_at = self.look_round(now, reason, &mut watch)?;
            let pause = wake_at.map_or(LONGEST_SLEEP, |at| (at - now).to_std().unwrap_or_default().min(LONGEST_SLEEP));
            reason = self.wait(pause, &mut watch, &mut signals).await?;
            if reason == Reason::Stop {
                return self.drain(watch).await;
            }
        }
    }

    /// Decides, starts, tells. When to look round again.
    fn look_round(
        &self,
        now: DateTime<Utc>,
        reason: Reason,
        watch: &mut Watch,
    ) -> Result<Option<DateTime<Utc>>, ServeError> {
        watch.lock.touch(now);
        watch.supervisor.alive();
        if now < EARLIEST {
            tracing::warn!("the clock shows {now}: nothing is started until it is set");
            return Ok(None);
        }
        if reason == Reason::Time || watch.due_at.is_some_and(|at| at <= now) {
            watch.due_at = turn::turn(now, &self.roster, &self.ledger)?;
        }
        turn::chains(now, &self.roster, &self.ledger)?;
        let open = self.ledger.open_runs()?;
        watch.active.polled.retain(|run, _| open.iter().any(|known| known.run == *run));
        let places = self.places.saturating_sub(watch.under_way.len());
        let (starts, later) = queue::next(now, &open, &self.roster, &watch.active, places);
        for start in starts {
            self.start(start, now, watch);
        }
        watch
            .supervisor
            .status(watch.under_way.len(), open.iter().filter(|run| run.state == RunState::Waiting).count());
        Ok([watch.due_at, later].into_iter().flatten().min())
    }

    fn start(&self, start: Start, now: DateTime<Utc>, watch: &mut Watch) {
        let Some(loaded) = self.roster.job(&start.job).cloned() else { return };
        let (switch, stop) = stop_switch();
        let crew = self.crew.clone();
        watch.active.jobs.insert(start.job.clone());
        watch.active.polled.insert(start.run.clone(), now);
        let order = start.clone();
        let task = watch.tasks.spawn(async move {
            for run in &order.finish {
                if let Err(error) = crew.depart(loaded.clone(), Begin::Resume(run.clone()), stop.clone()).await {
                    return (order, Err(error));
                }
            }
            let begin = match order.how {
                How::Firing => Begin::Firing(order.run.clone()),
                How::Resume => Begin::Resume(order.run.clone()),
            };
            let ended = crew.depart(loaded, begin, stop).await;
            (order, ended)
        });
        watch.under_way.insert(task.id(), (start, switch));
    }

    /// Waits for whatever comes first.
    async fn wait(
        &mut self,
        pause: Duration,
        watch: &mut Watch,
        signals: &mut mpsc::Receiver<Signal>,
    ) -> Result<Reason, ServeError> {
        let until = tokio::time::Instant::now() + pause;
        loop {
            let look = tokio::time::Instant::now() + LOOK;
            tokio::select! {
                signal = signals.recv() => match signal {
                    Some(Signal::Reload) => {
                        self.reload(watch);
                        return Ok(Reason::Time);
                    }
                    Some(Signal::Stop) | None => return Ok(Reason::Stop),
                },
                Some(ended) = watch.tasks.join_next_with_id() => {
                    self.ended(ended, watch)?;
                    return Ok(Reason::RunEnded);
                }
                () = tokio::time::sleep_until(until.min(look)) => {
                    let outdated = self.roster.is_outdated(&self.root);
                    if outdated {
                        self.reload(watch);
                    }
                    if outdated || tokio::time::Instant::now() >= until || self.ledger.changed_elsewhere()? {
                        return Ok(Reason::Time);
                    }
                }
            }
        }
    }

    /// The files as they are now, if they are valid as a whole; runs under way keep theirs.
    fn reload(&mut self, watch: &Watch) {
        watch.supervisor.reloading();
        let (roster, problems) = Roster::load(&self.root);
        if problems.errors() > 0 {
            (self.tell)(&problems);
            tracing::error!(
                "the changed files are not valid: the {} jobs from before stay as they were",
                self.roster.len()
            );
            self.roster.seen(&self.root);
        } else {
            tracing::info!("{} jobs are served now", roster.len());
            self.roster = roster;
        }
        watch.supervisor.ready();
    }

    fn ended(&self, ended: Ended, watch: &mut Watch) -> Result<(), ServeError> {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some((start, _)) = watch.under_way.remove(&id) else { return Ok(()) };
        watch.active.jobs.remove(&start.job);
        match ended {
            Ok((_, (_, Ok(state)))) => tracing::info!(job = %start.job, run = %start.run, "the run is {state}"),
            Ok((_, (_, Err(error)))) => tracing::error!(job = %start.job, run = %start.run, "{error}"),
            Err(error) => self.panicked(&start, &error)?,
        }
        Ok(())
    }

    /// A defect in one run ends that run; its words are in the log of the process and hold no data of the run.
    fn panicked(&self, start: &Start, error: &tokio::task::JoinError) -> Result<(), ServeError> {
        // Not the words of the panic: they may hold what is in a record.
        tracing::error!(job = %start.job, run = %start.run, panicked = error.is_panic(), "a defect ended the run");
        let fault = RunFault {
            code: "internal".to_owned(),
            message: "a defect of Nightferry ended this run; what was sent is in the books".to_owned(),
            hint: Some(format!("report it with the log; `nightferry resume {}` tries to go on", start.run)),
        };
        for run in start.finish.iter().chain([&start.run]) {
            self.ledger.end_own_run(run, &fault, self.clock.now())?;
        }
        Ok(())
    }

    /// Nothing new begins; what is under way finishes its requests.
    async fn drain(self, mut watch: Watch) -> Result<(), ServeError> {
        watch.supervisor.stopping();
        tracing::info!("stopping: {} runs under way", watch.under_way.len());
        for (_, switch) in watch.under_way.values() {
            switch.stop();
        }
        let all = async {
            while let Some(ended) = watch.tasks.join_next_with_id().await {
                self.ended(ended, &mut watch)?;
            }
            Ok(())
        };
        match tokio::time::timeout(DRAIN, all).await {
            Ok(ended) => ended,
            Err(_) => {
                tracing::warn!("runs that did not halt in {} s go on at the next start", DRAIN.as_secs());
                Ok(())
            }
        }
    }
}

/// A wall clock that moved otherwise than time did was set, or the machine slept.
fn note_clock_step(shown: TimeDelta, passed: Duration) {
    let step = shown - TimeDelta::from_std(passed).unwrap_or_default();
    if step.abs() > TimeDelta::seconds(5) {
        tracing::warn!(seconds = step.num_seconds(), "clock_step: the clock was set, or the machine slept");
    }
}
