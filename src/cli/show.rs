//! `nightferry show RUN`: one run, as the ledger has it. Recovers nothing, so an operator sees what a crash left.

use super::Common;
use super::context::{Context, ledger_failure, print, print_json};
use super::exit::{Exit, Failure};
use super::reconcile;
use crate::adapters::clock::SystemClock;
use crate::domain::file::shown_name;
use crate::domain::name::RunId;
use crate::ledger::Ledger;
use crate::ports::Clock as _;
use crate::report::document::{RunDocument, instant, summed};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run: its id (or how it begins), `JOB@last`, `JOB@2026-11-23`
    run: String,
    /// Also list the attempts
    #[arg(long)]
    attempts: bool,
    /// One JSON document, as `run --json` prints it
    #[arg(long, conflicts_with = "attempts")]
    json: bool,
}

/// The most attempts that are listed; a big run has thousands.
const MOST_ATTEMPTS: u32 = 1000;

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let (ledger, run) = context.run(&args.run)?;
    let files = ledger.files(&run.id).map_err(|error| ledger_failure(&error))?;
    if args.json {
        let measures = ledger.run_measures(&run.id).map_err(|error| ledger_failure(&error))?;
        print_json(&RunDocument::of(&run, &files, &summed(measures)).at(&run, SystemClock.now()))?;
        return Ok(Exit::DONE);
    }
    print(&reconcile::text(&context, &ledger, &run)?);
    if run.held_by_living_process {
        print("  a process is working on it now\n");
    }
    if args.attempts {
        print(&attempts(&ledger, &run.id)?);
    }
    Ok(Exit::DONE)
}

/// The attempts of a run, a line each.
pub fn attempts(ledger: &Ledger, run: &RunId) -> Result<String, Failure> {
    let mut text = String::new();
    for attempt in ledger.attempts(run, MOST_ATTEMPTS).map_err(|error| ledger_failure(&error))? {
        let status = attempt.status.map_or_else(|| "–".to_owned(), |status| status.to_string());
        let (batch, number, started) = (attempt.batch, attempt.number, instant(attempt.started_at));
        let note = shown_name(attempt.note.as_bytes());
        let line =
            format!("  batch {batch:>6}  attempt {number:>3}  {started}  {status:>3}  {}  {note}", attempt.outcome);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    Ok(text)
}
