//! `nightferry reconcile`: does it add up? One run, or every run of a business date.

use std::io::Write as _;
use std::path::PathBuf;

use chrono::NaiveDate;

use super::Common;
use super::context::{Context, ledger_failure, print_json, tell};
use super::exit::{Exit, Failure};
use crate::adapters::clock::SystemClock;
use crate::config::project::load_job;
use crate::domain::name::RunId;
use crate::ledger::Ledger;
use crate::ledger::breaks::BreakFilter;
use crate::ledger::reject::RejectFilter;
use crate::ledger::row::RunRow;
use crate::ports::Clock as _;
use crate::report::books::Books;
use crate::report::document::summed;
use crate::report::workbook::{MOST_REJECTS, xlsx};
use crate::report::{page, sheet};
use crate::schedule::calendar::Calendar;
use crate::schedule::zone::Zone;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run: its id (or how it begins), `JOB@last`, `JOB@2026-11-23`
    #[arg(required_unless_present = "date")]
    run: Option<String>,
    /// Every run of this business date
    #[arg(long, value_name = "YYYY-MM-DD", conflicts_with = "run")]
    date: Option<NaiveDate>,
    /// How to show it
    #[arg(long, value_enum, default_value_t = Format::Table)]
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
    /// For people
    Table,
    /// For a spreadsheet: UTF-8 with a byte order mark, safe to open
    Csv,
    /// A workbook: Summary, Controls, Breaks, Rejects
    Xlsx,
    /// For machines
    Json,
    /// A page that prints well
    Html,
}

/// Runs the command. Its exit code is that of the run, or of the worst of them.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let format = if args.json { Format::Json } else { args.format };
    let with_rejects = format == Format::Xlsx;
    let books = match (&args.run, args.date) {
        (Some(run), _) => {
            let (ledger, run) = context.run(run)?;
            vec![books(&context, &ledger, run, with_rejects)?]
        }
        (None, date) => books_of_date(&context, date.unwrap_or_default(), with_rejects)?,
    };
    let bytes = match format {
        Format::Json => {
            let documents: Vec<_> = books.iter().map(Books::json).collect();
            let document =
                if args.run.is_some() { documents.into_iter().next().unwrap_or_default() } else { documents.into() };
            if args.out.is_none() {
                print_json(&document)?;
                return Ok(exit_of(&books));
            }
            format!("{document:#}\n").into_bytes()
        }
        Format::Table if books.is_empty() => b"no run of this business date\n".to_vec(),
        Format::Table => books.iter().map(Books::text).collect::<Vec<_>>().join("\n").into_bytes(),
        Format::Csv => sheet::csv(&books).into_bytes(),
        Format::Html => page::html(&books, &context.project.organisation).into_bytes(),
        Format::Xlsx => xlsx(&books, SystemClock.now()).map_err(|error| {
            Failure::new(Exit::FAILED, "internal", format!("the workbook cannot be written: {error}"))
        })?,
    };
    write(args.out.as_ref(), &bytes, format == Format::Xlsx, common)?;
    Ok(exit_of(&books))
}

/// Writes a report where it was asked for.
pub fn write(out: Option<&PathBuf>, bytes: &[u8], is_binary: bool, common: &Common) -> Result<(), Failure> {
    use std::io::IsTerminal as _;
    let Some(path) = out else {
        if is_binary && std::io::stdout().is_terminal() {
            return Err(Failure::new(Exit::USAGE, "binary", "a workbook is nothing for a terminal")
                .hint("add `--out FILE.xlsx`"));
        }
        let mut stdout = std::io::stdout().lock();
        // A reader that went away is not a fault.
        let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
        return Ok(());
    };
    let failed = |error: std::io::Error| {
        Failure::new(Exit::FAILED, "not-written", format!("{} cannot be written: {error}", path.display()))
    };
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| std::path::Path::new("."));
    // Whole, by rename, or not at all; for the owner alone, because it may hold personal data.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    tell(common, &format!("written: {}", path.display()));
    Ok(())
}

fn exit_of(books: &[Books]) -> Exit {
    let code = |books: &Books| {
        let error = books.run.error.as_ref().map(|error| error.code.as_str());
        Exit::of_run(books.run.state, error, false)
    };
    // The order of the worst: failed, waiting for a person, break, rejects.
    let rank = |exit: &Exit| [0, 5, 6, 7, 1, 8].iter().position(|code| *code == exit.0).unwrap_or(4);
    books.iter().map(code).max_by_key(rank).unwrap_or(Exit::DONE)
}

/// The reconciliation as text, with what the playbook says about each cause.
pub fn text(context: &Context, ledger: &Ledger, run: &RunRow) -> Result<String, Failure> {
    Ok(books(context, ledger, run.clone(), false)?.text())
}

/// Every run of a business date.
pub fn books_of_date(context: &Context, date: NaiveDate, with_rejects: bool) -> Result<Vec<Books>, Failure> {
    let Some(ledger) = context.ledger_to_read()? else { return Ok(Vec::new()) };
    let ids = ledger.runs_of_date(date).map_err(|error| ledger_failure(&error))?;
    let mut all = Vec::new();
    for id in ids {
        if let Some(run) = ledger.run(&id).map_err(|error| ledger_failure(&error))? {
            all.push(books(context, &ledger, run, with_rejects)?);
        }
    }
    Ok(all)
}

/// Everything the books say about a run.
pub fn books(context: &Context, ledger: &Ledger, run: RunRow, with_rejects: bool) -> Result<Books, Failure> {
    let failed = |error| ledger_failure(&error);
    let id: RunId = run.id.clone();
    let mut rejects = Vec::new();
    if with_rejects {
        let limit = u32::try_from(MOST_REJECTS).ok();
        let filter = RejectFilter { run: Some(id.clone()), limit, ..RejectFilter::default() };
        ledger.each_reject(&filter, &mut |reject| rejects.push(reject)).map_err(failed)?;
    }
    // A job that is no longer there, or not valid now, has no playbook; its books stand all the same.
    let loaded = load_job(&context.project, run.job.as_str()).ok();
    let calendar = loaded.as_ref().map(|loaded| loaded.timetable.calendar.clone()).unwrap_or_default();
    let job = loaded.map(|loaded| loaded.job);
    Ok(Books {
        files: ledger.files(&id).map_err(failed)?,
        measures: summed(ledger.run_measures(&id).map_err(failed)?),
        causes: ledger.reject_causes(&id).map_err(failed)?,
        breaks: ledger.breaks(&BreakFilter { run: Some(id.clone()), ..BreakFilter::default() }).map_err(failed)?,
        sign_offs: ledger.sign_offs(&id).map_err(failed)?,
        sent: ledger.sending_span(&id).map_err(failed)?,
        sign_off: job.as_ref().map(|job| job.reconcile.sign_off).unwrap_or_default(),
        title: job.as_ref().map(|job| job.title.clone()).unwrap_or_default(),
        playbook: job.map(|job| job.playbook).unwrap_or_default(),
        rejects,
        today: today(context),
        calendar,
        run,
    })
}

/// The days that count for a job; Monday to Friday where the job is gone.
pub fn calendar_of(context: &Context, job: &str) -> Calendar {
    load_job(&context.project, job).map(|loaded| loaded.timetable.calendar).unwrap_or_default()
}

/// Today in the organisation's zone.
pub fn today(context: &Context) -> NaiveDate {
    let now = SystemClock.now();
    let zone = context.project.timezone.as_deref().and_then(|name| Zone::get(name).ok());
    zone.map_or_else(|| now.date_naive(), |zone| zone.wall(now).date())
}
