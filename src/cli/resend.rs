//! `nightferry resend RUN`: refused and unanswered records go to the target again, exactly those.

use serde::Serialize;

use super::context::{Context, ledger_failure, print, print_json, who};
use super::exit::{Exit, Failure};
use super::run::{self, Ending, Prepared, Task};
use super::{Common, confirm};
use crate::adapters::clock::SystemClock;
use crate::ledger::Ledger;
use crate::ledger::again::Act;
use crate::ledger::row::{Again, Carried, RunRow};
use crate::pipeline::again::What;
use crate::ports::Clock as _;
use crate::report::text::counted;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run: its id (or how it begins), `JOB@last`, `JOB@2026-11-23`
    run: String,
    /// Only what the target refused: the same records, in batches of their own
    #[arg(long, conflicts_with = "unanswered")]
    refused: bool,
    /// Only what the target did not answer for: whole batches, with the same key and body
    #[arg(long)]
    unanswered: bool,
    /// Say what would be sent; send and record nothing
    #[arg(long)]
    dry_run: bool,
    /// Why; it is written down. Needed for what may take effect twice
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// End with 0 although rows were rejected
    #[arg(long)]
    rejects_ok: bool,
    /// One JSON document: the run; with `--dry-run` what would be sent
    #[arg(long)]
    json: bool,
}

/// What would be sent, as `--dry-run --json` prints it.
#[derive(Debug, Serialize)]
struct Plan {
    run: String,
    job: String,
    business_date: String,
    dry_run: bool,
    /// The connection, and where it leads.
    connection: String,
    url: String,
    /// Refused records.
    refused: u64,
    /// Unanswered records of whole batches, which go with the same key and body.
    unanswered: u64,
    /// Unanswered records that the answer for their batch left out, which need a new key.
    left_out: u64,
    /// Requests.
    batches: u64,
    /// Why a reason is needed, if one is.
    needs_reason: Option<String>,
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let (ledger, row) = context.run(&args.run)?;
    let prepared = run::load(context, row.job.as_str(), common)?;
    let again = selected(args, &ledger, &row)?;
    let plan = plan(&again, &ledger, &row, &prepared)?;
    drop(ledger);
    if plan.batches == 0 {
        if args.json && args.dry_run {
            print_json(&plan)?;
        } else {
            print(&format!("run {}: nothing to send again\n", row.id));
        }
        return Ok(Exit::DONE);
    }
    if args.dry_run {
        match args.json {
            true => print_json(&plan)?,
            false => print(&format!("{}nothing was sent: this was a dry run\n", plan.text())),
        }
        return Ok(Exit::DONE);
    }
    if let (Some(why), true) = (&plan.needs_reason, args.reason.trim().is_empty()) {
        return Err(Failure::new(Exit::USAGE, "no-reason", format!("a reason is needed, because {why}"))
            .hint("add `--reason TEXT`; it is written down. `--refused` sends only what was refused"));
    }
    if !args.yes {
        eprint(&plan.text());
    }
    let records = counted(plan.refused + plan.unanswered + plan.left_out, "record");
    confirm::name(args.yes, &format!("Send {records} of {} to `{}` again?", row.job, plan.connection), &plan.job)?;
    let what = format!(
        "run {} of {}: {} refused, {} unanswered, {} left out \u{2192} {} ({})",
        row.id, row.job, plan.refused, plan.unanswered, plan.left_out, plan.connection, plan.url
    );
    let act = Act { who: &who(), action: "resend", what: &what, reason: &args.reason };
    let order = run::order(&prepared, row.business_date, None)?;
    let performed = run::perform(&order, Task::Again(&row.id, &What::Resend(again), &act), &prepared, common)?;
    run::tell(performed, &prepared, common, Ending { json: args.json, rejects_ok: args.rejects_ok })
}

/// Shows text beside a question, which stands on stderr too.
pub(super) fn eprint(text: &str) {
    use std::io::Write as _;
    let _ = write!(std::io::stderr().lock(), "{text}");
}

fn selected(args: &Args, ledger: &Ledger, row: &RunRow) -> Result<Vec<Again>, Failure> {
    let mut again = ledger.again(&row.id).map_err(|error| ledger_failure(&error))?;
    again.retain(|again| match again.kind {
        Carried::Refused => !args.unanswered,
        Carried::Unanswered | Carried::WholeBatch => !args.refused,
    });
    Ok(again)
}

fn plan(again: &[Again], ledger: &Ledger, row: &RunRow, prepared: &Prepared) -> Result<Plan, Failure> {
    let records = |kind: Carried| {
        again.iter().filter(|again| again.kind == kind).map(|again| again.positions.len() as u64).sum::<u64>()
    };
    let target = &prepared.loaded.job.target;
    let order = run::order(prepared, row.business_date, None)?;
    let now = SystemClock.now();
    let mut too_old = false;
    for whole in again.iter().filter(|again| again.kind == Carried::WholeBatch) {
        let batch = ledger.batch(whole.batch).map_err(|error| ledger_failure(&error))?;
        let first = batch.and_then(|batch| batch.first_attempt_at);
        let age = first.map_or(std::time::Duration::ZERO, |first| (now - first).to_std().unwrap_or_default());
        too_old |= target.idempotency.as_ref().is_some_and(|idempotency| age > idempotency.window);
    }
    let (unanswered, left_out) = (records(Carried::WholeBatch), records(Carried::Unanswered));
    let needs_reason = if left_out > 0 {
        Some("records that an answer left out may have arrived, and would go under another key")
    } else if unanswered > 0 && target.idempotency.is_none() {
        Some("unanswered batches may have arrived, and the target knows no key")
    } else if too_old {
        Some("an unanswered batch is older than `idempotency.window`, so the target may have forgotten its key")
    } else {
        None
    };
    Ok(Plan {
        run: row.id.as_str().to_owned(),
        job: row.job.as_str().to_owned(),
        business_date: row.business_date.to_string(),
        dry_run: true,
        connection: target.connection.as_str().to_owned(),
        url: format!("{} {}{}", target.method, order.connection.base_url, target.path),
        refused: records(Carried::Refused),
        unanswered,
        left_out,
        batches: again.len() as u64,
        needs_reason: needs_reason.map(str::to_owned),
    })
}

impl Plan {
    fn text(&self) -> String {
        let mut text = format!(
            "run {} \u{b7} {} \u{b7} business date {}\n  to `{}`: {}\n",
            self.run, self.job, self.business_date, self.connection, self.url
        );
        let mut line = |count: u64, noun: &str, how: &str| {
            if count > 0 {
                text.push_str(&format!("  {:>9} {noun:<11} {how}\n", counted(count, "record")));
            }
        };
        line(self.refused, "refused", "in batches of their own, with keys derived from their parents'");
        line(self.unanswered, "unanswered", "whole batches, with the same key and body");
        line(self.left_out, "unanswered", "left out of an answer; in batches of their own, with new keys");
        text.push_str(&format!("  {}\n", counted(self.batches, "request")));
        if let Some(why) = &self.needs_reason {
            text.push_str(&format!("  a reason is needed: {why}\n"));
        }
        text
    }
}
