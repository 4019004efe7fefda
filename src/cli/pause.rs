//! `nightferry pause`, `unpause` and `cancel`: what people ask of the daemon, through the ledger.

use chrono::{DateTime, Utc};

use super::Common;
use super::context::{Context, ledger_failure, print, who};
use super::exit::{Exit, Failure};
use crate::adapters::clock::SystemClock;
use crate::config::suggest::nearest;
use crate::domain::name::JobName;
use crate::ledger::Ledger;
use crate::ledger::firing::Cancel;
use crate::ports::Clock as _;
use crate::report::document::instant;

/// Arguments of `pause`.
#[derive(Debug, clap::Args)]
pub struct PauseArgs {
    /// The job
    job: String,
    /// Until this instant (RFC 3339) [default: until `unpause`]
    #[arg(long, value_name = "INSTANT", value_parser = super::schedule::parse_instant)]
    until: Option<DateTime<Utc>>,
    /// Why; it is written down
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

/// Arguments of `unpause`.
#[derive(Debug, clap::Args)]
pub struct UnpauseArgs {
    /// The job
    job: String,
    /// Why; it is written down
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

/// Arguments of `cancel`.
#[derive(Debug, clap::Args)]
pub struct CancelArgs {
    /// A run: its id (or how it begins), `JOB@last`, `JOB@2026-11-23`
    run: String,
    /// Why; it is written down
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

/// Runs `pause`.
pub fn pause(args: &PauseArgs, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let job = known(&context, &args.job)?;
    let now = SystemClock.now();
    if args.until.is_some_and(|until| until <= now) {
        return Err(Failure::new(Exit::USAGE, "past", "`--until` lies in the past"));
    }
    open(&context)?.pause_job(&job, args.until, &who(), &args.reason, now).map_err(|error| ledger_failure(&error))?;
    let end = args
        .until
        .map_or_else(|| format!("until `nightferry unpause {job}`"), |until| format!("until {}", instant(until)));
    print(&format!("{job} is paused {end}; what falls due until then is decided by its `misfire`\n"));
    Ok(Exit::DONE)
}

/// Runs `unpause`.
pub fn unpause(args: &UnpauseArgs, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let job = known(&context, &args.job)?;
    let ended = open(&context)?.unpause_job(&job, &who(), &args.reason, SystemClock.now());
    match ended.map_err(|error| ledger_failure(&error))? {
        true => print(&format!("{job} runs by its schedule again\n")),
        false => print(&format!("{job} was not paused\n")),
    }
    Ok(Exit::DONE)
}

/// Runs `cancel`.
pub fn cancel(args: &CancelArgs, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let run = context.run(&args.run)?.1.id;
    let asked = open(&context)?.cancel_run(&run, &who(), &args.reason, SystemClock.now());
    match asked.map_err(|error| ledger_failure(&error))? {
        Cancel::Cancelled => print(&format!("run {run} is cancelled; what was accepted stays accepted\n")),
        Cancel::Asked => print(&format!("run {run} halts after the requests under way, and is cancelled then\n")),
        Cancel::NotOpen => {
            return Err(Failure::new(
                Exit::FAILED,
                "not-open",
                format!("run {run} is over: there is nothing to cancel"),
            ));
        }
    }
    Ok(Exit::DONE)
}

fn open(context: &Context) -> Result<Ledger, Failure> {
    Ledger::open(&context.data, SystemClock.now()).map_err(|error| ledger_failure(&error))
}

fn known(context: &Context, name: &str) -> Result<JobName, Failure> {
    let names = context.project.job_names();
    if names.iter().any(|known| known == name) {
        return Ok(JobName::new(name));
    }
    let near = nearest(name, names.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`? "));
    let hint = format!("{}there are {}", near.unwrap_or_default(), names.join(", "));
    Err(Failure::new(Exit::USAGE, "no-such-job", format!("there is no job `{name}`")).hint(hint))
}
