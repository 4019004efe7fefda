//! `nightferry breaks`: differences, from when they are found until they are closed.

use std::collections::BTreeMap;

use super::Common;
use super::context::{Context, ledger_failure, print, print_json, who};
use super::exit::{Exit, Failure};
use super::reconcile::{calendar_of, today};
use crate::adapters::clock::SystemClock;
use crate::domain::name::JobName;
use crate::ledger::Ledger;
use crate::ledger::breaks::BreakFilter;
use crate::ledger::row::BreakRow;
use crate::ports::Clock as _;
use crate::report::books::age;
use crate::report::evidence::break_json;
use crate::report::reconciliation::breaks_table;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only of this job
    job: Option<String>,
    /// Only those whose cause is still there: open and explained
    #[arg(long)]
    open: bool,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say why a break is there; it stays on the list until its cause goes
    Explain {
        /// Its number
        #[arg(value_name = "BREAK")]
        number: String,
        /// A short code, always the same for the same reason: `account-closed`
        #[arg(long, value_name = "CODE")]
        reason: String,
        /// In your words
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
    },
    /// Take an explanation back
    Undo {
        /// Its number
        #[arg(value_name = "BREAK")]
        number: String,
    },
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    match &args.command {
        None => list(&context, args),
        Some(Command::Explain { number, reason, note }) => explain(&context, number, reason, note),
        Some(Command::Undo { number }) => undo(&context, number),
    }
}

fn list(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let filter =
        BreakFilter { job: args.job.as_deref().map(JobName::new), current: args.open, ..BreakFilter::default() };
    let breaks = match context.ledger_to_read()? {
        Some(ledger) => ledger.breaks(&filter).map_err(|error| ledger_failure(&error))?,
        None => Vec::new(),
    };
    let today = today(context);
    let mut calendars = BTreeMap::new();
    for one in &breaks {
        calendars.entry(one.job.to_string()).or_insert_with(|| calendar_of(context, one.job.as_str()));
    }
    let age_of = |one: &BreakRow| {
        let until = one.resolved_at.map_or(today, |at| at.date_naive());
        calendars.get(one.job.as_str()).map_or(0, |calendar| age(calendar, one, until))
    };
    if args.json {
        print_json(&breaks.iter().map(|one| break_json(one, age_of(one))).collect::<Vec<_>>())?;
    } else if breaks.is_empty() {
        print("no breaks\n");
    } else {
        print(&breaks_table(&breaks, age_of, true));
    }
    Ok(if breaks.iter().any(|one| one.state.is_current()) { Exit::BREAK } else { Exit::DONE })
}

/// The break with a number; `#12` and `12` are the same.
fn find(context: &Context, number: &str) -> Result<(Ledger, BreakRow), Failure> {
    let missing = || {
        Failure::new(Exit::USAGE, "no-such-break", format!("there is no break `{number}`"))
            .hint("`nightferry breaks` lists them with their numbers")
    };
    let id: i64 = number.trim_start_matches('#').parse().map_err(|_| missing())?;
    if context.ledger_to_read()?.is_none() {
        return Err(missing());
    }
    let ledger = Ledger::open(&context.data, SystemClock.now()).map_err(|error| ledger_failure(&error))?;
    let found = ledger.find_break(id).map_err(|error| ledger_failure(&error))?.ok_or_else(missing)?;
    Ok((ledger, found))
}

fn explain(context: &Context, number: &str, reason: &str, note: &str) -> Result<Exit, Failure> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
    if reason.is_empty() || reason.len() > 64 || !reason.chars().all(plain) {
        return Err(Failure::new(Exit::USAGE, "wrong-code", format!("`{reason}` is no reason code"))
            .hint("letters, digits, `-`, `_`, `.` and `:`, at most 64; words go into `--note`"));
    }
    let (ledger, found) = find(context, number)?;
    if !found.state.is_current() {
        return Err(closed(&found));
    }
    ledger.explain_break(found.id, reason, note, &who(), SystemClock.now()).map_err(|error| ledger_failure(&error))?;
    print(&format!("break #{} of {} is explained: {reason}\n", found.id, found.job));
    Ok(Exit::DONE)
}

fn undo(context: &Context, number: &str) -> Result<Exit, Failure> {
    let (ledger, found) = find(context, number)?;
    if found.state != crate::domain::breaks::BreakState::Explained {
        let message =
            format!("break #{} is {}, so there is no explanation to take back", found.id, found.state.title());
        return Err(Failure::new(Exit::FAILED, "not-explained", message));
    }
    ledger.undo_explanation(found.id, &who(), SystemClock.now()).map_err(|error| ledger_failure(&error))?;
    print(&format!("break #{} of {} is open again\n", found.id, found.job));
    Ok(Exit::DONE)
}

fn closed(found: &BreakRow) -> Failure {
    Failure::new(Exit::FAILED, "closed", format!("break #{} is {} already", found.id, found.state.title()))
}
