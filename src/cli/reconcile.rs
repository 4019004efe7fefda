//! `nightferry reconcile RUN`: does it add up?

use serde_json::json;

use super::Common;
use super::context::{Context, ledger_failure, print, print_json};
use super::exit::{Exit, Failure};
use crate::config::project::load_job;
use crate::ledger::Ledger;
use crate::ledger::row::RunRow;
use crate::report::document::{RunDocument, summed, totals};
use crate::report::reconciliation::{Reconciliation, result_word};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run: its id (or how it begins), `JOB@last`, `JOB@2026-11-23`
    run: String,
    /// How to show it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// The same as `--format json`
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Table,
    /// For machines
    Json,
}

/// Runs the command. Its exit code is that of the run.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let (ledger, run) = context.run(&args.run)?;
    if args.json || args.format == Format::Json {
        print_json(&document(&ledger, &run)?)?;
    } else {
        print(&text(&context, &ledger, &run)?);
    }
    let error = run.error.as_ref().map(|error| error.code.as_str());
    Ok(Exit::of_run(run.state, error, false))
}

/// The reconciliation as text, with what the playbook says about each cause.
pub fn text(context: &Context, ledger: &Ledger, run: &RunRow) -> Result<String, Failure> {
    let files = ledger.files(&run.id).map_err(|error| ledger_failure(&error))?;
    let causes = ledger.reject_causes(&run.id).map_err(|error| ledger_failure(&error))?;
    // A job that is no longer there, or not valid now, has no playbook; its books stand all the same.
    let playbook = load_job(&context.project, run.job.as_str()).map(|loaded| loaded.job.playbook).unwrap_or_default();
    Ok(Reconciliation { run, files: &files, causes: &causes, playbook: &playbook }.text())
}

fn document(ledger: &Ledger, run: &RunRow) -> Result<serde_json::Value, Failure> {
    let files = ledger.files(&run.id).map_err(|error| ledger_failure(&error))?;
    let causes = ledger.reject_causes(&run.id).map_err(|error| ledger_failure(&error))?;
    let (_, records) = totals(&files);
    let measures = ledger.run_measures(&run.id).map_err(|error| ledger_failure(&error))?;
    let run_document = RunDocument::of(run, &files, &summed(measures));
    let causes: Vec<_> =
        causes.into_iter().map(|(code, side, count)| json!({ "code": code, "side": side, "count": count })).collect();
    Ok(json!({
        "result": result_word(run.state, &records),
        "equation": { "rows": run_document.rows, "records": run_document.records },
        "causes": causes,
        "run": run_document,
    }))
}
