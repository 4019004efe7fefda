//! `nightferry run JOB`: carries the files of a business date once.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;

use super::context::{self, Context, ledger_failure, not_valid, print, print_json, print_problems};
use super::exit::{Exit, Failure};
use super::progress::Bar;
use super::signals;
use super::{Common, reconcile, remote};
use crate::adapters::clock::SystemClock;
use crate::adapters::folder::FolderRemote;
use crate::adapters::http::{HttpTarget, SetUpError};
use crate::config::project::{LoadError, LoadedJob, load_job};
use crate::config::secret::Secrets;
use crate::config::unit::duration_of;
use crate::domain::job::{Connection, ConnectionKind, HttpConnection, SignOffRule};
use crate::domain::measure::sum_lines;
use crate::domain::name::RunId;
use crate::ledger::Ledger;
use crate::ledger::again::Act;
use crate::pipeline::again::{self, What};
use crate::pipeline::{self, Begin, OpenRemote, Order, Outcome, Patience, Place, Ports, RunError, RunFailure, dry_run};
use crate::ports::{Clock as _, Remote};
use crate::report::books::Books;
use crate::report::document::{ErrorDocument, RunDocument, summed};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job: `jobs/JOB.toml`
    job: String,
    /// The business date [default: what the job's `business_date` rule says of now]
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<NaiveDate>,
    /// Land, map and check; send and record nothing
    #[arg(long)]
    dry_run: bool,
    /// Take this local file instead of asking the source
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// While nothing, or not enough, is there: look again, every `[source] look_every`, for so long or until a signal
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, conflicts_with_all = ["dry_run", "file"], value_parser = duration_of)]
    wait: Option<Option<Duration>>,
    /// End with 0 although rows were rejected
    #[arg(long)]
    rejects_ok: bool,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let begun = prepare(args, common)
        .and_then(|prepared| if args.dry_run { dry(args, common, prepared) } else { carry(args, common, prepared) });
    begun.or_else(|failure| {
        if args.json {
            let error = ErrorDocument {
                code: failure.code.clone(),
                message: failure.message.clone(),
                hint: failure.hint.clone(),
            };
            print_json(&RunDocument::not_begun(&args.job, args.date, args.dry_run, error))?;
        }
        Err(failure)
    })
}

/// A job that is ready to run.
pub struct Prepared {
    /// The project.
    pub context: Context,
    /// The job and what it uses.
    pub loaded: LoadedJob,
    /// Where secrets come from.
    pub secrets: Arc<Secrets>,
}

/// Loads a job; tells its warnings.
pub fn load(context: Context, job: &str, common: &Common) -> Result<Prepared, Failure> {
    let loaded = load_job(&context.project, job).map_err(|error| match error {
        LoadError::UnknownJob { name, known } => unknown_job(&name, &known),
        LoadError::Invalid(problems) => not_valid(&problems, common),
    })?;
    if !common.quiet {
        print_problems(&loaded.warnings, common);
    }
    Ok(Prepared { context, loaded, secrets: Arc::new(Secrets::from_environment()) })
}

fn unknown_job(name: &str, known: &[String]) -> Failure {
    let list =
        if known.is_empty() { "there are none yet".to_owned() } else { format!("there are: {}", known.join(", ")) };
    Failure::new(Exit::NOT_VALID, "unknown-job", format!("there is no job `{name}`")).hint(list)
}

fn prepare(args: &Args, common: &Common) -> Result<Prepared, Failure> {
    load(Context::open(common)?, &args.job, common)
}

/// The date asked for, or else what the job's rule says of now.
fn date_of(args: &Args, prepared: &Prepared) -> NaiveDate {
    args.date.unwrap_or_else(|| prepared.loaded.timetable.business_date(SystemClock.now()))
}

/// What the pipeline is asked to do.
pub fn order(prepared: &Prepared, date: NaiveDate, file: Option<PathBuf>) -> Result<Order, Failure> {
    Ok(Order {
        connection: http_connection(&prepared.loaded)?,
        job: prepared.loaded.job.clone(),
        mapping: prepared.loaded.mapping.clone(),
        pinned: prepared.loaded.pinned.clone(),
        business_date: date,
        expected_by: prepared.loaded.timetable.due_by(SystemClock.now()),
        file,
        patience: None,
        data: prepared.context.data.clone(),
        timeout: prepared.loaded.timetable.timeout,
    })
}

fn connection<'a>(
    loaded: &'a LoadedJob,
    name: &crate::domain::name::ConnectionName,
) -> Result<&'a Connection, Failure> {
    // `config` has resolved every reference of a loaded job.
    let missing = || Failure::new(Exit::NOT_VALID, "not-valid", format!("there is no connection `{name}`"));
    loaded.connections.get(name).ok_or_else(missing)
}

fn http_connection(loaded: &LoadedJob) -> Result<HttpConnection, Failure> {
    let connection = connection(loaded, &loaded.job.target.connection)?;
    match &connection.kind {
        ConnectionKind::Http(http) => Ok(http.clone()),
        _ => Err(Failure::new(Exit::NOT_VALID, "not-valid", format!("`{}` is no http connection", connection.name))),
    }
}

/// Opens the source, or this machine's own folders for `--file`.
pub fn remote_opener(prepared: &Prepared) -> Result<OpenRemote, Failure> {
    let connection = connection(&prepared.loaded, &prepared.loaded.job.source.connection)?.clone();
    let secrets = prepared.secrets.clone();
    if let Some(message) = remote::missing_secret(&connection, secrets.as_ref()) {
        return Err(missing_secret(message));
    }
    Ok(Arc::new(move |place| match place {
        Place::Source => remote::open(&connection, secrets.as_ref()),
        Place::Here => Ok(Box::new(FolderRemote::new(PathBuf::from("/"))) as Box<dyn Remote>),
    }))
}

fn missing_secret(message: String) -> Failure {
    Failure::new(Exit::NOT_VALID, "missing-secret", message)
        .hint("`nightferry check --secrets` lists every secret that is missing")
}

/// A runtime of two workers: requests are cheap, mapping has threads of its own.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::FAILED, "internal", format!("cannot start: {error}")))
}

fn carry(args: &Args, common: &Common, prepared: Prepared) -> Result<Exit, Failure> {
    let mut order = order(&prepared, date_of(args, &prepared), args.file.clone())?;
    order.patience = args.wait.map(|at_most| Patience { look_every: order.job.source.look_every, at_most });
    let ending = Ending { json: args.json, rejects_ok: args.rejects_ok };
    run_order(order, Begin::Date, &prepared, common, ending)
}

/// How the result of a run is told.
#[derive(Clone, Copy)]
pub struct Ending {
    /// One JSON document on stdout.
    pub json: bool,
    /// Rejects end with 0.
    pub rejects_ok: bool,
}

/// What is done with an order.
pub enum Task<'a> {
    /// A run begins, or goes on.
    Run(Begin),
    /// Something of a run that has ended goes to the target again.
    Again(&'a RunId, &'a What, &'a Act<'a>),
}

/// How a task ended.
pub struct Performed {
    /// What it came to.
    pub result: Result<Outcome, RunFailure>,
    /// The ledger it worked on.
    pub ledger: Ledger,
    caught: signals::Caught,
}

/// Runs an order to its end and prints what it came to.
pub fn run_order(
    order: Order,
    begin: Begin,
    prepared: &Prepared,
    common: &Common,
    ending: Ending,
) -> Result<Exit, Failure> {
    tell(perform(&order, Task::Run(begin), prepared, common)?, prepared, common, ending)
}

/// Prints what a task came to.
pub fn tell(performed: Performed, prepared: &Prepared, common: &Common, ending: Ending) -> Result<Exit, Failure> {
    let Performed { result, ledger, caught } = performed;
    match result {
        Ok(outcome) => tell_outcome(&outcome, &caught, prepared, &ledger, common, ending),
        Err(failure) => tell_failure(&failure, prepared, &ledger, ending),
    }
}

/// Performs a task with the real ports.
pub fn perform(order: &Order, task: Task<'_>, prepared: &Prepared, common: &Common) -> Result<Performed, Failure> {
    let target =
        HttpTarget::new(&order.connection, &order.job.target, prepared.secrets.as_ref(), Arc::new(SystemClock))
            .map_err(|error| match error {
                SetUpError::Secret(message) => missing_secret(message),
                SetUpError::Value { .. } => Failure::new(Exit::NOT_VALID, "target", error.to_string()),
            })?;
    let open_remote = remote_opener(prepared)?;
    let now = SystemClock.now();
    let ledger = Ledger::open(&prepared.context.data, now).map_err(|error| ledger_failure(&error))?;
    let runtime = runtime()?;
    let bar = Arc::new(Bar::new(common));
    let (result, caught) = runtime.block_on(async {
        let (stop, caught) = signals::listen()?;
        let ports =
            Ports { clock: Arc::new(SystemClock), open_remote, target: Arc::new(target), progress: bar.clone(), stop };
        let result = match task {
            Task::Run(begin) => pipeline::run(order, begin, &ports, &ledger).await,
            Task::Again(run, what, act) => again::run(order, run, what, act, &ports, &ledger).await,
        };
        Ok::<_, Failure>((result, caught))
    })?;
    bar.finish();
    tracing::debug!("ledger commits: {}", ledger.commits());
    Ok(Performed { result, ledger, caught })
}

fn tell_outcome(
    outcome: &Outcome,
    caught: &signals::Caught,
    prepared: &Prepared,
    ledger: &Ledger,
    common: &Common,
    ending: Ending,
) -> Result<Exit, Failure> {
    let run = print_run(&outcome.run, prepared, ledger, ending)?;
    for note in &outcome.notes {
        context::tell(common, note);
    }
    if outcome.interrupted {
        context::tell(common, &format!("interrupted; `nightferry resume {}` goes on", outcome.run));
        return Ok(caught.exit());
    }
    Ok(Exit::of_run(outcome.state, run.error.as_ref().map(|error| error.code.as_str()), ending.rejects_ok))
}

fn print_run(
    id: &RunId,
    prepared: &Prepared,
    ledger: &Ledger,
    ending: Ending,
) -> Result<crate::ledger::row::RunRow, Failure> {
    let row = ledger.run(id).map_err(|error| ledger_failure(&error))?;
    let row = row.ok_or_else(|| Failure::new(Exit::FAILED, "ledger", format!("run {id} is not in the ledger")))?;
    if ending.json {
        let files = ledger.files(id).map_err(|error| ledger_failure(&error))?;
        let measures = ledger.run_measures(&row.id).map_err(|error| ledger_failure(&error))?;
        print_json(&RunDocument::of(&row, &files, &summed(measures)).at(&row, SystemClock.now()))?;
    } else {
        print(&reconcile::text(&prepared.context, ledger, &row)?);
    }
    Ok(row)
}

/// An error ends the run; where one had begun, JSON shows it as the ledger has it.
fn tell_failure(failed: &RunFailure, prepared: &Prepared, ledger: &Ledger, ending: Ending) -> Result<Exit, Failure> {
    let failure = failure_of(&failed.error);
    match &failed.run {
        Some(run) if ending.json && print_run(run, prepared, ledger, ending).is_ok() => Ok(failure.print()),
        _ => Err(failure),
    }
}

pub fn failure_of(error: &RunError) -> Failure {
    let exit = match error {
        RunError::Busy { .. } => Exit::WAITING,
        RunError::NoSuchRun(_) => Exit::USAGE,
        RunError::NotEnded { .. } => Exit::WAITING,
        error if error.is_unreachable() => Exit::UNREACHABLE,
        _ => Exit::FAILED,
    };
    let (code, hint) = error.words();
    Failure { exit, code, message: error.to_string(), hint }
}

fn dry(args: &Args, common: &Common, prepared: Prepared) -> Result<Exit, Failure> {
    let order = order(&prepared, date_of(args, &prepared), args.file.clone())?;
    let open_remote = remote_opener(&prepared)?;
    let bar = Arc::new(Bar::new(common));
    let tried = runtime()?.block_on(dry_run::run(&order, &open_remote, bar.clone(), SystemClock.now()));
    bar.finish();
    let tried = tried.map_err(|error| failure_of(&error))?;
    if args.json {
        print_json(&RunDocument::of_dry_run(&tried.run, &tried.files, &sum_lines(tried.measures.clone())))?;
    } else {
        let books = Books {
            title: prepared.loaded.job.title.clone(),
            run: tried.run.clone(),
            files: tried.files.clone(),
            measures: sum_lines(tried.measures.clone()),
            causes: tried.causes.clone(),
            breaks: Vec::new(),
            sign_offs: Vec::new(),
            sign_off: SignOffRule::Nobody,
            playbook: prepared.loaded.job.playbook.clone(),
            rejects: Vec::new(),
            sent: None,
            today: tried.run.business_date,
            calendar: prepared.loaded.timetable.calendar.clone(),
        };
        print(&books.dry_text(&tried.examples));
    }
    for note in &tried.notes {
        context::tell(common, note);
    }
    Ok(Exit::of_run(tried.run.state, tried.run.error.as_ref().map(|error| error.code.as_str()), args.rejects_ok))
}
