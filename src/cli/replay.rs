//! `nightferry rejects replay`: rows that were rejected, and records that were refused, mapped anew with the mapping as it is
//! now. Says first what would pass; a reject leaves the open list only when the target has answered for it.

use serde::Serialize;

use super::context::{Context, ledger_failure, print, print_json, who};
use super::exit::{Exit, Failure};
use super::resend::eprint;
use super::run::{self, Prepared, Task};
use super::{Common, confirm, reconcile};
use crate::domain::name::JobName;
use crate::ledger::again::Act;
use crate::ledger::row::RunRow;
use crate::pipeline::again::{Replay, Tally, What, try_replay};
use crate::report::document::{RunDocument, summed};
use crate::report::text::{counted, grouped};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job
    job: String,
    /// Only with this code; whole records go, also where other rows of theirs have another one
    #[arg(long, value_name = "CODE")]
    cause: Option<String>,
    /// Only of this run: its id, `JOB@last`, `JOB@2026-11-23`
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Say how many would pass and what still fails; send and record nothing
    #[arg(long)]
    dry_run: bool,
    /// At most so many requests a second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Stop after so many refusals in a row
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    stop_after: Option<u64>,
    /// Why; it is written down
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// End with 0 although rows are still rejected
    #[arg(long)]
    rejects_ok: bool,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// A replay, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Document {
    job: String,
    dry_run: bool,
    /// Rejected rows and refused records that were looked at.
    selected: u64,
    /// Records that pass the mapping now, and the rows they are made of.
    passes: u64,
    rows: u64,
    /// What still fails.
    still: Vec<Still>,
    /// Files of which nothing can be replayed.
    refused: Vec<RefusedFile>,
    /// The runs as they are now.
    runs: Vec<RunDocument>,
}

#[derive(Debug, Serialize)]
struct Still {
    code: String,
    rows: u64,
}

#[derive(Debug, Serialize)]
struct RefusedFile {
    file: String,
    reason: String,
}

impl Document {
    fn new(job: &str, dry_run: bool, tally: &Tally) -> Self {
        let still = tally.still.iter().map(|(code, rows)| Still { code: code.clone(), rows: *rows });
        let refused = tally.refused_files.iter();
        Self {
            job: job.to_owned(),
            dry_run,
            selected: tally.selected,
            passes: tally.passes,
            rows: tally.rows,
            still: still.collect(),
            refused: refused.map(|(file, reason)| RefusedFile { file: file.clone(), reason: reason.clone() }).collect(),
            runs: Vec::new(),
        }
    }
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let prepared = run::load(context, &args.job, common)?;
    let (tally, runs) = try_all(args, &prepared)?;
    if args.dry_run || tally.passes == 0 {
        let nothing = if tally.selected == 0 { "nothing is open" } else { "nothing passes the mapping" };
        let end = if tally.passes == 0 { nothing } else { "nothing was sent: this was a dry run" };
        match args.json {
            true => print_json(&Document::new(&args.job, args.dry_run, &tally))?,
            false => print(&format!("{}{end}\n", text(&tally, &prepared))),
        }
        let refused = tally.passes == 0 && !tally.refused_files.is_empty();
        return Ok(if refused { Exit::FAILED } else { Exit::DONE });
    }
    if !args.yes {
        eprint(&text(&tally, &prepared));
    }
    let connection = &prepared.loaded.job.target.connection;
    let records = counted(tally.passes, "record");
    confirm::yes(args.yes, &format!("Send {records} of {} to `{connection}`?", args.job))?;
    let mut exit = Exit::DONE;
    let mut document = Document::new(&args.job, false, &tally);
    for (row, tally) in runs.iter().filter(|(_, tally)| tally.passes > 0) {
        let ended = replay_run(args, row, tally, &prepared, common, &mut document)?;
        if ended != Exit::DONE {
            exit = ended;
        }
        if !matches!(ended, Exit::DONE | Exit::REJECTS | Exit::BREAK) {
            // What stopped this run would stop the next one too.
            break;
        }
    }
    if args.json {
        print_json(&document)?;
    }
    Ok(exit)
}

fn replay_run(
    args: &Args,
    row: &RunRow,
    tally: &Tally,
    prepared: &Prepared,
    common: &Common,
    document: &mut Document,
) -> Result<Exit, Failure> {
    let target = &prepared.loaded.job.target;
    let cause = args.cause.as_deref().unwrap_or("every cause");
    let (records, connection) = (tally.passes, &target.connection);
    let what = format!("run {} of {}: {records} records ({cause}) \u{2192} {connection}", row.id, row.job);
    let act = Act { who: &who(), action: "replay", what: &what, reason: &args.reason };
    let mut order = run::order(prepared, row.business_date, None)?;
    if let Some(rate) = args.rate {
        let limit = &mut order.connection.rate.per_second;
        *limit = Some(limit.map_or(rate, |limit| limit.min(rate)));
    }
    let what = What::Replay(replay(args));
    let performed = run::perform(&order, Task::Again(&row.id, &what, &act), prepared, common)?;
    let outcome = performed.result.map_err(|failure| run::failure_of(&failure.error))?;
    let ledger = performed.ledger;
    let row = ledger.run(&outcome.run).map_err(|error| ledger_failure(&error))?;
    let row = row.ok_or_else(|| Failure::new(Exit::FAILED, "ledger", "the run is not in the ledger"))?;
    if args.json {
        let files = ledger.files(&row.id).map_err(|error| ledger_failure(&error))?;
        let measures = ledger.run_measures(&row.id).map_err(|error| ledger_failure(&error))?;
        document.runs.push(RunDocument::of(&row, &files, &summed(measures)));
    } else {
        print(&reconcile::text(&prepared.context, &ledger, &row)?);
    }
    let error = row.error.as_ref().map(|error| error.code.as_str());
    Ok(Exit::of_run(outcome.state, error, args.rejects_ok))
}

fn replay(args: &Args) -> Replay {
    Replay { cause: args.cause.clone(), stop_after: args.stop_after }
}

/// What every run with open rejects would send.
fn try_all(args: &Args, prepared: &Prepared) -> Result<(Tally, Vec<(RunRow, Tally)>), Failure> {
    let (mut all, mut runs) = (Tally::default(), Vec::new());
    let Some(ledger) = prepared.context.ledger_to_read()? else { return Ok((all, runs)) };
    let failed = |error: &crate::ledger::LedgerError| ledger_failure(error);
    let ids = match &args.run {
        Some(reference) => vec![prepared.context.run(reference)?.1.id],
        None => ledger.runs_with_open_rejects(&JobName::new(&args.job)).map_err(|error| failed(&error))?,
    };
    for id in ids {
        let Some(row) = ledger.run(&id).map_err(|error| failed(&error))? else { continue };
        if row.job.as_str() != args.job {
            let message = format!("run {id} is of the job `{}`", row.job);
            return Err(Failure::new(Exit::USAGE, "other-job", message));
        }
        let order = run::order(prepared, row.business_date, None)?;
        let tally = try_replay(&order, &row, &replay(args), &ledger).map_err(|error| run::failure_of(&error))?;
        all.add(tally.clone());
        runs.push((row, tally));
    }
    Ok((all, runs))
}

fn text(tally: &Tally, prepared: &Prepared) -> String {
    let job = &prepared.loaded.job;
    let mut text = format!(
        "replay of {} \u{b7} {} open \u{b7} with the mapping `{}` as it is now\n",
        job.name,
        counted(tally.selected, "reject"),
        job.mapping
    );
    if tally.passes > 0 {
        let rows = counted(tally.rows, "row");
        let target = &job.target;
        text.push_str(&format!(
            "  {} pass ({rows})  \u{2192} `{}`\n",
            counted(tally.passes, "record"),
            target.connection
        ));
    }
    for (code, rows) in &tally.still {
        text.push_str(&format!("  {} still fail: {code}\n", grouped(*rows)));
    }
    for (file, reason) in &tally.refused_files {
        text.push_str(&format!("  {file}: not replayed: {reason}\n"));
    }
    text
}
