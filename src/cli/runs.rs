//! `nightferry runs`: what ran, newest first.

use comfy_table::{CellAlignment, Table, presets};
use serde_json::json;

use super::Common;
use super::context::{Context, ledger_failure, print, print_json};
use super::exit::{Exit, Failure};
use crate::adapters::clock::SystemClock;
use crate::domain::name::JobName;
use crate::ledger::Ledger;
use crate::ledger::row::RunRow;
use crate::ports::Clock as _;
use crate::report::document::{Records, Rows, instant, totals};
use crate::report::text::grouped;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only runs of this job
    job: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let Some(ledger) = context.ledger_to_read()? else {
        print(if args.json { "[]\n" } else { "no runs yet\n" });
        return Ok(Exit::DONE);
    };
    let job = args.job.as_deref().map(JobName::new);
    let rows = ledger.runs(job.as_ref(), args.limit).map_err(|error| ledger_failure(&error))?;
    if args.json {
        let listed: Result<Vec<_>, Failure> = rows.iter().map(|row| as_json(&ledger, row)).collect();
        print_json(&listed?)?;
    } else if rows.is_empty() {
        print("no runs yet\n");
    } else {
        print(&table(&ledger, &rows)?);
    }
    Ok(Exit::DONE)
}

fn as_json(ledger: &Ledger, row: &RunRow) -> Result<serde_json::Value, Failure> {
    let (rows, records) = totals(&ledger.files(&row.id).map_err(|error| ledger_failure(&error))?);
    Ok(json!({
        "run": row.id.as_str(), "job": row.job.as_str(), "business_date": row.business_date, "state": row.state.word(),
        "late": row.is_late(SystemClock.now()), "started_at": instant(row.started_at), "finished_at": row.finished_at.map(instant),
        "rows": Rows::from(rows), "records": Records::from(records),
    }))
}

fn table(ledger: &Ledger, runs: &[RunRow]) -> Result<String, Failure> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["run", "job", "date", "state", "started (UTC)", "rows", "rejected", "records", "accepted"]);
    for run in runs {
        let (rows, records) = totals(&ledger.files(&run.id).map_err(|error| ledger_failure(&error))?);
        table.add_row([
            run.id.as_str().to_owned(),
            run.job.to_string(),
            run.business_date.to_string(),
            state(run),
            instant(run.started_at),
            grouped(rows.read),
            grouped(rows.rejected),
            grouped(records.made),
            grouped(records.accepted),
        ]);
    }
    for column in table.column_iter_mut().skip(5) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    Ok(lines.join("\n") + "\n")
}

/// The state, and whether it is late.
fn state(run: &RunRow) -> String {
    if run.is_late(SystemClock.now()) { format!("{}, late", run.state) } else { run.state.to_string() }
}
