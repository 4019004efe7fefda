//! `nightferry rejects [JOB]`: what was rejected by the mapping or refused by the target, with the raw row.

use std::io::Write as _;
use std::path::PathBuf;

use super::context::{Context, audit, ledger_failure, print, stdout_has_colour};
use super::exit::{Exit, Failure};
use super::{Common, causes, export, replay, write_off};
use crate::domain::file::shown_name;
use crate::domain::name::JobName;
use crate::ledger::reject::RejectFilter;
use crate::report::rejects::{RejectDocument, line};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    act: Option<Act>,
    #[command(flatten)]
    list: List,
}

/// What is done about them.
#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Map rejected rows and refused records anew, and send what passes; says first what would pass
    Replay(replay::Args),
    /// Give rejects up: they leave the open list, and still count as rejected
    WriteOff(write_off::Args),
}

/// Which of them are listed, and how.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only of this job
    job: Option<String>,
    /// Only of this run: its id, `JOB@last`, `JOB@2026-11-23`
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Only with this code: `bad-date`, `lookup-missing`, `target:CUSTOMER_BLOCKED` …
    #[arg(long, value_name = "CODE")]
    cause: Option<String>,
    /// Only in this state
    #[arg(long, value_name = "STATE", value_parser = ["open", "replayed", "written_off"])]
    state: Option<String>,
    /// Write the open ones to this file: the original columns, and line, code and message; `run --file` takes it back
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    export: Option<PathBuf>,
    /// Print the open ones exactly as they came, under the header of their file
    #[arg(long, conflicts_with_all = ["json", "export"])]
    original: bool,
    /// Show personal data too; the reason is written down
    #[arg(long, value_name = "REASON")]
    show_personal_data: Option<String>,
    /// Each reject on a line, its raw row below
    #[arg(long)]
    plain: bool,
    /// One JSON document
    #[arg(long, conflicts_with = "plain")]
    json: bool,
}

impl Args {
    /// All rejects of one job, for people.
    pub(super) fn of_job(job: &str) -> Self {
        let list = List {
            job: Some(job.to_owned()),
            run: None,
            cause: None,
            state: None,
            export: None,
            original: false,
            show_personal_data: None,
            plain: true,
            json: false,
        };
        Self { act: None, list }
    }
}

/// The raw row on one line, as whoever asked may see it.
fn shown_row(reject: &crate::ledger::row::RejectRow, open: bool) -> String {
    let masked = reject.masked.as_deref().filter(|_| !open);
    masked.map_or_else(|| shown_name(&reject.raw), str::to_owned)
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    match &args.act {
        Some(Act::Replay(args)) => replay::execute(args, common),
        Some(Act::WriteOff(args)) => write_off::execute(args, common),
        None => list(&args.list, common),
    }
}

fn list(args: &List, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let run = match &args.run {
        Some(reference) => Some(context.run(reference)?.1.id),
        None => None,
    };
    let Some(ledger) = context.ledger_to_read()? else {
        print(if args.json { "[]\n" } else { "no rejects\n" });
        return Ok(Exit::DONE);
    };
    if let Some(reason) = &args.show_personal_data {
        audit(
            &context,
            "show-personal-data",
            &format!("rejects of {}", args.job.as_deref().unwrap_or("all jobs")),
            reason,
        )?;
    }
    let open = args.show_personal_data.is_some();
    let job = args.job.as_deref().map(JobName::new);
    let filter = RejectFilter { job, run, cause: args.cause.clone(), ..RejectFilter::default() };
    if args.original || args.export.is_some() {
        let filter = RejectFilter { state: Some("open".to_owned()), idle: true, ..filter };
        return export::execute(&context, &ledger, &filter, args.export.as_deref(), open, common);
    }
    let filter = RejectFilter { state: args.state.clone(), ..filter };
    if !args.json && !args.plain {
        let width = super::context::width();
        let how = (open, stdout_has_colour(common.color), width);
        print(&causes::text(&context, &ledger, &filter, how).map_err(|error| ledger_failure(&error))?);
        return Ok(Exit::DONE);
    }
    // Streamed: a bad night has more rejects than memory should hold.
    let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
    let mut count = 0_u64;
    let mut gone = stdout.write_all(if args.json { b"[" } else { b"" }).is_err();
    ledger
        .each_reject(&filter, &mut |reject| {
            let text = if args.json {
                let separator = if count == 0 { "\n  " } else { ",\n  " };
                let document = if open { RejectDocument::unmasked(&reject) } else { RejectDocument::from(&reject) };
                serde_json::to_string(&document).map(|text| format!("{separator}{text}"))
            } else {
                Ok(format!("{}\n    {}\n", line(&reject), shown_row(&reject, open)))
            };
            count += 1;
            gone = gone || text.map_or(true, |text| stdout.write_all(text.as_bytes()).is_err());
        })
        .map_err(|error| ledger_failure(&error))?;
    let end = match (args.json, count) {
        (true, 0) => "]\n".to_owned(),
        (true, _) => "\n]\n".to_owned(),
        (false, 0) => "no rejects\n".to_owned(),
        (false, _) => String::new(),
    };
    // A reader that went away (`| head`) is not a fault.
    let _ = stdout.write_all(end.as_bytes()).and_then(|()| stdout.flush());
    Ok(Exit::DONE)
}
