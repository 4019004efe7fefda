//! The story of a run; the only place where ports, ledger and machines meet.
//!
//! [`run`] is the main flow: collect, convert, gate, seal, deliver, reconcile, dispose. Whatever must survive a crash
//! is in the ledger before the next step starts, so each step may be repeated.

pub mod again;
pub mod ahead;
pub mod answer;
mod because;
pub mod collect;
pub mod comparison;
pub mod convert;
pub mod deliver;
pub mod dry_run;
mod error;
mod ferry;
pub mod gate;
pub mod inline_tests;
pub mod key;
mod known;
pub mod land;
pub mod mapped;
mod measuring;
pub mod payload;
pub mod pick;
pub mod problem;
pub mod protocol;
pub mod remote_thread;
mod search;
pub mod seen;
pub mod split;
pub mod stop;
pub mod trial;
pub mod unwrap;
mod watch;
pub mod wire;
pub mod written;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};

pub use error::{RunError, is_unreachable_code};
use ferry::Ferry;
use search::{Found, search};

use crate::config::project::Pinned;
use crate::domain::job::{HttpConnection, Job};
use crate::domain::name::RunId;
use crate::domain::reconcile::{settled_state, worse};
use crate::domain::run::{RunKey, RunState, Trigger};
use crate::ledger::Ledger;
use crate::ledger::row::{Opened, RunFault, RunLease};
use crate::mapping::spec::MappingSpec;
use crate::ports::{Clock, Remote, RemoteError, Target};
use remote_thread::RemoteThread;
use stop::Stop;
use watch::Watch;

/// How far a run is, for a progress bar.
#[derive(Clone, Debug)]
pub enum Step {
    /// Bytes copied of a file; the total is unknown where the server does not say.
    Landing {
        /// Name as it is shown.
        name: String,
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: Option<u64>,
    },
    /// Bytes mapped of a landed file.
    Mapping {
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// Nothing, or not enough, is there yet; it will look again.
    Waiting {
        /// What is missing.
        notes: Vec<String>,
    },
    /// Batches answered of a file.
    Sending {
        /// Batches so far.
        done: u64,
        /// Batches in all.
        total: u64,
    },
}

/// Who is told how far a run is.
pub trait Progress: Send + Sync {
    /// Called often; must be cheap.
    fn step(&self, step: Step);
}

/// Opens the source of a job, or the folder of a file given by hand.
pub type OpenRemote = Arc<dyn Fn(Place) -> Result<Box<dyn Remote>, RemoteError> + Send + Sync>;

/// Where a file is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The job's source connection.
    Source,
    /// This machine, for `run --file`.
    Here,
}

/// The world, as the pipeline sees it.
pub struct Ports<T> {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Opens the source.
    pub open_remote: OpenRemote,
    /// The target.
    pub target: Arc<T>,
    /// Who is told how far it is.
    pub progress: Arc<dyn Progress>,
    /// Set by a signal.
    pub stop: Stop,
}

/// What is to be run.
pub struct Order {
    /// The job.
    pub job: Job,
    /// Its target's connection.
    pub connection: HttpConnection,
    /// Its mapping as it is now.
    pub mapping: MappingSpec,
    /// The texts behind it, kept with the run.
    pub pinned: Pinned,
    /// The day the data is about.
    pub business_date: NaiveDate,
    /// When everything must have arrived.
    pub expected_by: Option<DateTime<Utc>>,
    /// A local file instead of the source.
    pub file: Option<PathBuf>,
    /// Whether to look again while nothing is there.
    pub patience: Option<Patience>,
    /// The data folder.
    pub data: PathBuf,
    /// A run that takes longer is stopped.
    pub timeout: Option<Duration>,
}

/// How a run waits for its files.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The time between two listings.
    pub look_every: Duration,
    /// The longest time in all; `None`: until a signal.
    pub at_most: Option<Duration>,
}

/// What a run came to; the details are in the ledger.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The run.
    pub run: RunId,
    /// Its state.
    pub state: RunState,
    /// A signal ended it early; it is resumable.
    pub interrupted: bool,
    /// What is worth telling of the search: what is missing, what is left for later.
    pub notes: Vec<String>,
}

/// How a run begins.
pub enum Begin {
    /// `nightferry run`: an unfinished run of the job and date goes on, else a new one begins.
    Date,
    /// `nightferry resume RUN`.
    Resume(RunId),
    /// An occurrence that the schedule decided about.
    Firing(RunId),
}

/// A run that could not go on, or could not begin.
#[derive(Debug)]
pub struct RunFailure {
    /// Why.
    pub error: RunError,
    /// The run, where one had begun.
    pub run: Option<RunId>,
}

impl<E: Into<RunError>> From<E> for RunFailure {
    fn from(error: E) -> Self {
        Self { error: error.into(), run: None }
    }
}

/// Runs `order.job` once. A repeat after a crash continues the same run.
pub async fn run<T: Target>(
    order: &Order,
    begin: Begin,
    ports: &Ports<T>,
    ledger: &Ledger,
) -> Result<Outcome, RunFailure> {
    error::reserve_of_disk(&order.data)?;
    let now = ports.clock.now();
    let resumed = matches!(begin, Begin::Resume(_));
    let opened = match begin {
        Begin::Date => {
            let key = RunKey { job: order.job.name.clone(), business_date: order.business_date, scheduled_for: None };
            ledger.open_run(&key, Trigger::Manual, now)?
        }
        Begin::Resume(run) => ledger.resume_run(&run, now)?.ok_or(RunError::NoSuchRun(run))?,
        Begin::Firing(run) => ledger.start_run(&run, now)?.ok_or(RunError::NoSuchRun(run))?,
    };
    let lease = match opened {
        Opened::Busy(run) => return Err(RunError::Busy { job: order.job.name.clone(), run }.into()),
        Opened::New(lease) | Opened::Resumed(lease) => lease,
    };
    if let Some(deadline) = order.expected_by {
        ledger.expect_by(&lease, deadline)?;
    }
    let (watch, ports) = Watch::over(ports);
    let carried = tokio::select! {
        carried = carry(order, resumed, &lease, &ports, ledger) => carried,
        fenced = watch.over_run(&lease, order.timeout, &ports, ledger) => Err(fenced),
    };
    close(carried, &watch, order, &lease, &ports, ledger).map_err(|error| RunFailure { error, run: Some(lease.run) })
}

/// What carrying the files of a run came to.
struct Carried {
    state: RunState,
    fault: Option<RunFault>,
    interrupted: bool,
    notes: Vec<String>,
}

/// Finishes what the run has begun, then looks for new files and carries each across.
async fn carry<T: Target>(
    order: &Order,
    resumed: bool,
    lease: &RunLease,
    ports: &Ports<T>,
    ledger: &Ledger,
) -> Result<Carried, RunError> {
    let mut ferry = Ferry::board(order, lease, ports, ledger)?;
    ferry.finish_begun().await?;
    let mut found = Found::default();
    if !ferry.stopped() {
        match &order.file {
            Some(path) => ferry.take_local(path).await?,
            // A run that was begun with a file of this machine ends with it.
            None if resumed && ferry.was_given_a_file()? => {}
            None => found = search(&mut ferry, order.patience).await?,
        }
    }
    let (state, fault) = state_of(&ferry, &found, ledger, lease)?;
    Ok(Carried { state, fault, interrupted: ferry.interrupted(), notes: found.notes })
}

/// The state of the run: the worst of its files, and of what the search came to.
fn state_of<T: Target>(
    ferry: &Ferry<'_, T>,
    found: &Found,
    ledger: &Ledger,
    lease: &RunLease,
) -> Result<(RunState, Option<RunFault>), RunError> {
    use crate::domain::file::FileState;
    let mut state = RunState::Done;
    let mut fault = ferry.fault();
    for file in ledger.files(&lease.run)? {
        let of_file = match file.state {
            FileState::PassedOver => RunState::Done,
            FileState::Settled => settled_state(&file.rows, &file.records),
            FileState::Held => RunState::Held,
            FileState::Waiting => RunState::Waiting,
            // Unanswered for good, and nothing else to do: a difference that a person explains, not a fault to retry.
            FileState::Delivering if fault.is_none() && !ferry.interrupted() => RunState::Break,
            FileState::Found | FileState::Landed | FileState::Mapped | FileState::Delivering | FileState::Failed => {
                RunState::Failed
            }
        };
        state = worse(state, of_file);
    }
    if fault.is_some() {
        state = RunState::Failed;
    }
    if let Some(found) = found.state {
        state = worse(state, found);
    }
    if let Some(missing) = &found.fault {
        fault.get_or_insert(missing.clone());
    }
    Ok((state, fault))
}

/// Writes the end of the run down; a disk that is full leaves it resumable.
fn close<T>(
    carried: Result<Carried, RunError>,
    watch: &Watch,
    order: &Order,
    lease: &RunLease,
    ports: &Ports<T>,
    ledger: &Ledger,
) -> Result<Outcome, RunError> {
    let now = ports.clock.now();
    match carried {
        Ok(carried) if carried.interrupted => {
            let halted = watch.close(order, lease, now, ledger)?;
            let interrupted = halted == RunState::Running;
            Ok(Outcome { run: lease.run.clone(), state: halted, interrupted, notes: Vec::new() })
        }
        Ok(Carried { state, fault, notes, .. }) => {
            ledger.close_run(lease, state, fault.as_ref(), now)?;
            Ok(Outcome { run: lease.run.clone(), state, interrupted: false, notes })
        }
        Err(error) => {
            // The ledger may be what failed; then the run stays as it was, and its lease is void once we are gone.
            if let Err(second) = ledger.close_run(lease, RunState::Failed, Some(&error.fault(lease)), now) {
                tracing::warn!("the end of run {} could not be written down: {second}", lease.run);
            }
            Err(error)
        }
    }
}

/// Opens a remote in a thread of its own.
async fn open_remote(open: &OpenRemote, place: Place, name: &str) -> Result<RemoteThread, RemoteError> {
    let open = open.clone();
    RemoteThread::open(name, move || open(place)).await
}
