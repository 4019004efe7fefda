//! `nightferry resume RUN`: goes on at the first batch that is not accepted; accepted ones are never sent again.

use super::Common;
use super::context::Context;
use super::exit::{Exit, Failure};
use super::run::{self, Ending};
use crate::pipeline::Begin;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run: its id (or how it begins), `JOB@last`, `JOB@2026-11-23`
    run: String,
    /// End with 0 although rows were rejected
    #[arg(long)]
    rejects_ok: bool,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

impl Args {
    /// For a run that a person has released.
    pub(super) fn of_run(run: &str, rejects_ok: bool, json: bool) -> Self {
        Self { run: run.to_owned(), rejects_ok, json }
    }
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let (reader, row) = context.run(&args.run)?;
    drop(reader);
    let prepared = run::load(context, row.job.as_str(), common)?;
    let order = run::order(&prepared, row.business_date, None)?;
    let ending = Ending { json: args.json, rejects_ok: args.rejects_ok };
    run::run_order(order, Begin::Resume(row.id), &prepared, common, ending)
}
