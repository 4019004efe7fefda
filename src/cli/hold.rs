//! `nightferry hold`, `release` and `drop`: a person decides whether what is ready is sent.

use super::Common;
use super::context::{Context, ledger_failure, print, tell, who};
use super::exit::{Exit, Failure};
use super::{confirm, resume};
use crate::adapters::clock::SystemClock;
use crate::domain::name::{JobName, RunId};
use crate::ledger::Ledger;
use crate::ledger::row::RunRow;
use crate::ports::Clock as _;
use crate::report::text::counted;

/// Arguments of `hold`.
#[derive(Debug, clap::Args)]
pub struct HoldArgs {
    /// The job
    job: String,
}

/// Arguments of `release`.
#[derive(Debug, clap::Args)]
pub struct ReleaseArgs {
    /// A run (its id, `JOB@last`), or a job
    what: String,
    /// Why; it is written down
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// End with 0 although rows were rejected
    #[arg(long)]
    rejects_ok: bool,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// Arguments of `drop`.
#[derive(Debug, clap::Args)]
pub struct DropArgs {
    /// A run (its id, `JOB@last`)
    run: String,
    /// Why; it is written down
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Runs `hold`.
pub fn hold(args: &HoldArgs, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let job = known_job(&context, &args.job)?;
    let ledger = open(&context)?;
    ledger.hold_job(&job, &who(), SystemClock.now()).map_err(|error| ledger_failure(&error))?;
    print(&format!(
        "{job} is on hold: its runs collect and map, and stop before sending; `nightferry release {job}` sends\n"
    ));
    Ok(Exit::DONE)
}

/// Runs `release`.
pub fn release(args: &ReleaseArgs, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let runs = match known_job(&context, &args.what) {
        Ok(job) => {
            let ledger = open(&context)?;
            if ledger.end_hold(&job, &who(), &args.reason, SystemClock.now()).map_err(|error| ledger_failure(&error))? {
                tell(common, &format!("{job} is no longer on hold"));
            }
            ledger.held_runs(&job).map_err(|error| ledger_failure(&error))?
        }
        Err(_) => vec![context.run(&args.what)?.1.id],
    };
    if runs.is_empty() {
        print("nothing is held\n");
        return Ok(Exit::DONE);
    }
    let mut worst = Exit::DONE;
    for run in runs {
        let row = held(&context, &run)?;
        confirm::yes(
            args.yes,
            &format!("send {} of {} for {}?", counted(pending(&context, &run)?, "record"), row.job, row.business_date),
        )?;
        let ledger = open(&context)?;
        let released = ledger
            .release_files(&run, &who(), &args.reason, SystemClock.now())
            .map_err(|error| ledger_failure(&error))?;
        if released == 0 {
            return Err(not_held(&run));
        }
        std::mem::drop(ledger);
        let exit = resume::execute(&resume::Args::of_run(run.as_str(), args.rejects_ok, args.json), common)?;
        if exit != Exit::DONE {
            worst = exit;
        }
    }
    Ok(worst)
}

/// Runs `drop`.
pub fn drop(args: &DropArgs, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let run = context.run(&args.run)?.1.id;
    let row = held(&context, &run)?;
    confirm::yes(
        args.yes,
        &format!("give up {} of {} for {}?", counted(pending(&context, &run)?, "record"), row.job, row.business_date),
    )?;
    let records = open(&context)?
        .drop_files(&run, &who(), &args.reason, SystemClock.now())
        .map_err(|error| ledger_failure(&error))?;
    print(&format!("run {run} is cancelled: {} will not be sent\n", counted(records, "record")));
    Ok(Exit::DONE)
}

fn open(context: &Context) -> Result<Ledger, Failure> {
    Ledger::open(&context.data, SystemClock.now()).map_err(|error| ledger_failure(&error))
}

fn known_job(context: &Context, name: &str) -> Result<JobName, Failure> {
    if context.project.job_names().iter().any(|known| known == name) {
        return Ok(JobName::new(name));
    }
    let hint = format!("there are {}", context.project.job_names().join(", "));
    Err(Failure::new(Exit::USAGE, "no-such-job", format!("there is no job `{name}`")).hint(hint))
}

/// The run, if it holds something.
fn held(context: &Context, run: &RunId) -> Result<RunRow, Failure> {
    use crate::domain::file::FileState;
    let (ledger, row) = context.run(run.as_str())?;
    let files = ledger.files(run).map_err(|error| ledger_failure(&error))?;
    if files.iter().any(|file| file.state == FileState::Held) { Ok(row) } else { Err(not_held(run)) }
}

fn pending(context: &Context, run: &RunId) -> Result<u64, Failure> {
    let (ledger, _) = context.run(run.as_str())?;
    let files = ledger.files(run).map_err(|error| ledger_failure(&error))?;
    Ok(files.iter().map(|file| file.records.pending).sum())
}

fn not_held(run: &RunId) -> Failure {
    Failure::new(Exit::FAILED, "not-held", format!("run {run} holds nothing"))
        .hint("`nightferry runs` shows the states")
}
