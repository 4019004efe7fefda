//! `nightferry serve`: the daemon.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::Common;
use super::context::{Context, ledger_failure, print_problems};
use super::exit::{Exit, Failure};
use super::run::{self, Prepared};
use crate::adapters::clock::SystemClock;
use crate::adapters::http::HttpTarget;
use crate::config::project::LoadedJob;
use crate::config::secret::Secrets;
use crate::domain::run::RunState;
use crate::ledger::Ledger;
use crate::pipeline::stop::Stop;
use crate::pipeline::{self, Begin, Ports, Progress, Step};
use crate::ports::Clock as _;
use crate::serve::lock::{LockError, ServeLock};
use crate::serve::roster::Roster;
use crate::serve::{Carrying, Depart, Night, Signal};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// At most so many runs at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    runs: u16,
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    // From here on a signal ends it in order.
    let runtime = run::runtime()?;
    let signals = runtime.block_on(async { listen() })?;
    let lock = ServeLock::take(&context.data).map_err(|error| locked(&error))?;
    let now = SystemClock.now();
    let ledger = Arc::new(Ledger::open(&context.data, now).map_err(|error| ledger_failure(&error))?);
    let (roster, problems) = Roster::load(&context.project.root);
    print_problems(&problems, common);
    if roster.is_empty() {
        tracing::warn!("no job is valid, so nothing is served until that changes");
    }
    tracing::info!("{} jobs are served from {}", roster.len(), context.project.root.display());
    let root = context.project.root.clone();
    let (secrets, tell) = (Arc::new(Secrets::from_environment()), common.clone());
    let crew = Arc::new(Crew { common: common.clone(), secrets, ledger: ledger.clone() });
    let night = Night {
        clock: Arc::new(SystemClock),
        ledger,
        root,
        roster,
        crew,
        places: usize::from(args.runs),
        tell: Box::new(move |problems| print_problems(problems, &tell)),
    };
    let ended = runtime.block_on(night.watch(lock, signals));
    // Threads that wait for a partner are not waited for: every deadline of theirs has a row in the ledger.
    runtime.shutdown_background();
    match ended {
        Ok(()) => Ok(Exit::DONE),
        Err(error) => Err(Failure::new(Exit::FAILED, "ledger", error.to_string())),
    }
}

fn locked(error: &LockError) -> Failure {
    let failure = Failure::new(Exit::FAILED, "already-served", error.to_string());
    match error {
        LockError::Held { .. } => failure.hint("`nightferry run` and every other command work beside it"),
        LockError::File { .. } => failure,
    }
}

/// SIGHUP reads the files again; SIGTERM and SIGINT stop, and the second of them at once.
fn listen() -> Result<mpsc::Receiver<Signal>, Failure> {
    let cannot =
        |error: std::io::Error| Failure::new(Exit::FAILED, "internal", format!("cannot listen to signals: {error}"));
    let (told, signals) = mpsc::channel(4);
    let mut hangup = signal(SignalKind::hangup()).map_err(cannot)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    tokio::spawn(async move {
        let mut stopping = false;
        loop {
            let (caught, code) = tokio::select! {
                _ = hangup.recv() => (Signal::Reload, 0),
                _ = interrupt.recv() => (Signal::Stop, 130),
                _ = terminate.recv() => (Signal::Stop, 143),
            };
            if caught == Signal::Stop && std::mem::replace(&mut stopping, true) {
                // Everything that must survive is in the ledger already.
                std::process::exit(code);
            }
            let _ = told.try_send(caught);
        }
    });
    Ok(signals)
}

/// Opens what a run needs and carries it out.
struct Crew {
    common: Common,
    secrets: Arc<Secrets>,
    ledger: Arc<Ledger>,
}

impl Depart for Crew {
    fn depart(&self, job: Arc<LoadedJob>, begin: Begin, stop: Stop) -> Carrying {
        let (secrets, ledger) = (self.secrets.clone(), self.ledger.clone());
        let context = Context::open(&self.common);
        Box::pin(async move {
            let prepared =
                Prepared { context: context.map_err(|failure| failure.message)?, loaded: (*job).clone(), secrets };
            carry(&prepared, begin, stop, &ledger).await
        })
    }
}

async fn carry(prepared: &Prepared, begin: Begin, stop: Stop, ledger: &Ledger) -> Result<RunState, String> {
    let words = |failure: Failure| failure.message;
    let (Begin::Firing(run) | Begin::Resume(run)) = &begin else {
        return Err("a run of the schedule has an id".to_owned());
    };
    let row = ledger.run(run).map_err(|error| error.to_string())?;
    let row = row.ok_or_else(|| format!("run {run} is not in the ledger"))?;
    let mut order = run::order(prepared, row.business_date, None).map_err(words)?;
    order.expected_by = row.scheduled_for.and_then(|at| prepared.loaded.timetable.due_by(at));
    let target =
        HttpTarget::new(&order.connection, &order.job.target, prepared.secrets.as_ref(), Arc::new(SystemClock))
            .map_err(|error| error.to_string())?;
    let open_remote = run::remote_opener(prepared).map_err(words)?;
    let ports =
        Ports { clock: Arc::new(SystemClock), open_remote, target: Arc::new(target), progress: Arc::new(Silent), stop };
    match pipeline::run(&order, begin, &ports, ledger).await {
        Ok(outcome) => Ok(outcome.state),
        Err(failure) => Err(failure.error.to_string()),
    }
}

/// Nobody looks at a bar.
struct Silent;

impl Progress for Silent {
    fn step(&self, _: Step) {}
}
