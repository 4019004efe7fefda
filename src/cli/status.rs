//! `nightferry status`: the day in one look. The exit code tells the state; the text and the page are those of the daily summary.

use std::path::PathBuf;

use chrono::NaiveDate;

use super::Common;
use super::context::{Context, ledger_failure, print, print_json};
use super::exit::{Exit, Failure};
use super::reconcile::{books_of_date, calendar_of, today, write};
use crate::adapters::clock::SystemClock;
use crate::config::project::load_job;
use crate::ledger::breaks::BreakFilter;
use crate::ports::Clock as _;
use crate::report::books::{Books, age};
use crate::report::summary::Summary;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The business date [default: the newest that has a run]
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<NaiveDate>,
    /// How to show it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as `--format json`
    #[arg(long)]
    json: bool,
    /// Write it into this file instead
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people; also the body of the daily summary
    Text,
    /// A page
    Html,
    /// For machines
    Json,
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let summary = summary(&context, args.date)?;
    if args.json || args.format == Format::Json {
        print_json(&summary.json())?;
    } else if args.format == Format::Html {
        write(args.out.as_ref(), summary.html().as_bytes(), false, common)?;
    } else if args.out.is_some() {
        write(args.out.as_ref(), summary.text().as_bytes(), false, common)?;
    } else {
        print(&summary.text());
    }
    Ok(summary.worst().map_or(Exit::DONE, |books| {
        let error = books.run.error.as_ref().map(|error| error.code.as_str());
        Exit::of_run(books.run.state, error, false)
    }))
}

/// The last run of each job of a date, and what is carried on from days before.
fn summary(context: &Context, date: Option<NaiveDate>) -> Result<Summary, Failure> {
    let ledger = context.ledger_to_read()?;
    let failed = |error| ledger_failure(&error);
    let newest = match &ledger {
        Some(ledger) if date.is_none() => ledger.runs(None, 1).map_err(failed)?.first().map(|run| run.business_date),
        _ => None,
    };
    let today = today(context);
    let date = date.or(newest).unwrap_or(today);
    let mut books: Vec<Books> = Vec::new();
    for one in books_of_date(context, date, false)? {
        match books.iter_mut().find(|known| known.run.job == one.run.job) {
            Some(known) => *known = one,
            None => books.push(one),
        }
    }
    let has_run = |job: &String| books.iter().any(|one| one.run.job.as_str() == job);
    let without_run = context.project.job_names().into_iter().filter(|job| !has_run(job)).collect();
    let filter = BreakFilter { current: true, ..BreakFilter::default() };
    let current = ledger.map(|ledger| ledger.breaks(&filter).map_err(failed)).transpose()?.unwrap_or_default();
    let carried = current.into_iter().map(|one| {
        let age = age(&calendar_of(context, one.job.as_str()), &one, today);
        (one, age)
    });
    let now = SystemClock.now();
    let firing = |job: String| {
        let next = load_job(&context.project, &job).ok()?.timetable.next(now)?;
        Some((job, next.at))
    };
    let next = context.project.job_names().into_iter().filter_map(firing).collect();
    let (organisation, carried) = (context.project.organisation.clone(), carried.collect());
    Ok(Summary { date, organisation, books, without_run, carried, next })
}
