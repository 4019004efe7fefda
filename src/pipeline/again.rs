//! What goes to the target again because a person says so: a run that has ended is taken up, its books stay true in every
//! state between, and it comes to its end anew.

use super::ferry::Ferry;
use super::search::Found;
use super::watch::Watch;
use super::{Carried, Order, Outcome, Ports, RunError, RunFailure, close, error, state_of};
use crate::domain::name::RunId;
use crate::domain::run::RunState;
use crate::ledger::Ledger;
use crate::ledger::again::Act;
use crate::ledger::row::{Again, Reopened, RunLease, RunRow};
use crate::ports::Target;

/// What is sent again.
pub enum What {
    /// Refused and unanswered records, as they were.
    Resend(Vec<Again>),
    /// Rows that were rejected, mapped anew.
    Replay(Replay),
}

/// Which rejects are mapped anew, and how they are sent.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    /// Only with this code.
    pub cause: Option<String>,
    /// Stop after so many refusals in a row.
    pub stop_after: Option<u64>,
}

/// What a replay of one run would send, or has sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rejected rows and refused records that were selected.
    pub selected: u64,
    /// Records that pass the mapping now.
    pub passes: u64,
    /// Rows of theirs.
    pub rows: u64,
    /// What still fails: code and number of rows, biggest first.
    pub still: Vec<(String, u64)>,
    /// Why nothing of a file can be replayed: its name and the reason.
    pub refused_files: Vec<(String, String)>,
}

impl Tally {
    /// Adds another one.
    pub fn add(&mut self, other: Self) {
        self.selected += other.selected;
        self.passes += other.passes;
        self.rows += other.rows;
        for (code, count) in other.still {
            match self.still.iter_mut().find(|(known, _)| *known == code) {
                Some((_, sum)) => *sum += count,
                None => self.still.push((code, count)),
            }
        }
        self.still.sort_by_key(|(code, count)| (std::cmp::Reverse(*count), code.clone()));
        self.refused_files.extend(other.refused_files);
    }
}

/// Sends something of `run` again. A crash leaves the run unfinished, with everything that was sealed; `resume` goes on.
pub async fn run<T: Target>(
    order: &Order,
    run: &RunId,
    what: &What,
    act: &Act<'_>,
    ports: &Ports<T>,
    ledger: &Ledger,
) -> Result<Outcome, RunFailure> {
    error::reserve_of_disk(&order.data)?;
    let before = ledger.run(run)?.and_then(|row| row.error);
    let lease = match ledger.reopen_run(run, act, ports.clock.now())? {
        Reopened::Lease(lease) => lease,
        Reopened::Busy(run) => return Err(RunError::Busy { job: order.job.name.clone(), run }.into()),
        Reopened::NotEnded(state) => return Err(RunError::NotEnded { run: run.clone(), state }.into()),
        Reopened::Missing => return Err(RunError::NoSuchRun(run.clone()).into()),
    };
    let (watch, ports) = Watch::over(ports);
    let carried = tokio::select! {
        carried = carry(order, what, &lease, &ports, ledger) => carried,
        fenced = watch.over_run(&lease, order.timeout, &ports, ledger) => Err(fenced),
    };
    let carried = carried.map(|mut carried| {
        if carried.state == RunState::Failed && carried.fault.is_none() {
            // Another file of the run failed the first time, and still has.
            carried.fault = before;
        }
        carried
    });
    close(carried, &watch, order, &lease, &ports, ledger).map_err(|error| RunFailure { error, run: Some(lease.run) })
}

/// What a replay of a run would send. Nothing is written down, and nothing is sent.
///
/// # Errors
/// Those of the ledger, and of the landed files.
pub fn try_replay(order: &Order, run: &RunRow, replay: &Replay, ledger: &Ledger) -> Result<Tally, RunError> {
    super::ferry::try_replay(order, run, replay, ledger)
}

async fn carry<T: Target>(
    order: &Order,
    what: &What,
    lease: &RunLease,
    ports: &Ports<T>,
    ledger: &Ledger,
) -> Result<Carried, RunError> {
    let mut ferry = Ferry::board(order, lease, ports, ledger)?;
    match what {
        What::Resend(again) => ferry.resend(again).await?,
        What::Replay(replay) => ferry.replay(replay).await?,
    }
    let (state, fault) = state_of(&ferry, &Found::default(), ledger, lease)?;
    Ok(Carried { state, fault, interrupted: ferry.interrupted(), notes: Vec::new() })
}
