//! `nightferry sign-off`: a person has looked at a run and says so.

use chrono::NaiveDate;

use super::Common;
use super::context::{Context, ledger_failure, print, who};
use super::exit::{Exit, Failure};
use super::reconcile::{books, books_of_date};
use crate::adapters::clock::SystemClock;
use crate::domain::job::SignOffRule;
use crate::domain::measure::Comparison;
use crate::ledger::Ledger;
use crate::ledger::sign_off::Signed;
use crate::ports::Clock as _;
use crate::report::books::Books;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A run: its id (or how it begins), `JOB@last`, `JOB@2026-11-23`
    #[arg(required_unless_present = "date")]
    run: Option<String>,
    /// All runs of this business date; with `--balanced-only`
    #[arg(long, value_name = "YYYY-MM-DD", conflicts_with = "run", requires = "balanced_only")]
    date: Option<NaiveDate>,
    /// Only what balances; the rest is looked at one by one
    #[arg(long)]
    balanced_only: bool,
    /// In your words; it is kept with the run
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    match (&args.run, args.date) {
        (Some(run), _) => one(&context, run, args),
        (None, date) => all_of_date(&context, date.unwrap_or_default(), args),
    }
}

fn one(context: &Context, run: &str, args: &Args) -> Result<Exit, Failure> {
    let (reader, row) = context.run(run)?;
    let found = books(context, &reader, row, false)?;
    drop(reader);
    if args.balanced_only && !is_balanced(&found) {
        let message =
            format!("{} of {} does not balance: {}", found.run.job, found.run.business_date, found.result().word());
        return Err(Failure::new(Exit::BREAK, "not-balanced", message)
            .hint("leave `--balanced-only` out to sign it off all the same"));
    }
    let signed = sign(context, &found, &args.note)?;
    let run = format!("{} of {}", found.run.job, found.run.business_date);
    let who = who();
    match signed {
        Signed::Done => print(&format!("{run} is signed off by {who}\n")),
        Signed::Already => print(&format!("{run} was signed off before: {}\n", found.sign_off_words())),
        Signed::Prepared => {
            print(&format!("{run} is prepared by {who}; another person signs it off\n"));
            return Ok(Exit::WAITING);
        }
        Signed::SamePerson => {
            let message = format!("{run} was prepared by {who}, and another person reviews it");
            return Err(Failure::new(Exit::WAITING, "same-person", message)
                .hint("`NIGHTFERRY_USER` says who somebody is where logins are shared"));
        }
        Signed::OpenBreaks(count) => {
            let message =
                format!("{run} has {count} break{} that nobody has explained", if count == 1 { "" } else { "s" });
            return Err(Failure::new(Exit::BREAK, "open-breaks", message).hint(format!(
                "`nightferry breaks {} --open`, then `nightferry breaks explain BREAK --reason CODE`",
                found.run.job
            )));
        }
        Signed::NotEnded => {
            let message = format!("{run} has not come to an end: {}", found.run.state);
            return Err(Failure::new(Exit::WAITING, "not-ended", message));
        }
    }
    Ok(Exit::DONE)
}

fn all_of_date(context: &Context, date: NaiveDate, args: &Args) -> Result<Exit, Failure> {
    let (mut signed, mut prepared, mut left) = (0, 0, Vec::new());
    for found in books_of_date(context, date, false)? {
        if found.is_signed_off() {
            continue;
        }
        if !is_balanced(&found) {
            left.push(format!("{} ({})", found.run.job, found.result().word()));
            continue;
        }
        match sign(context, &found, &args.note)? {
            Signed::Done => signed += 1,
            Signed::Prepared => prepared += 1,
            Signed::Already => {}
            Signed::SamePerson => left.push(format!("{} (needs a second person)", found.run.job)),
            Signed::OpenBreaks(_) | Signed::NotEnded => left.push(found.run.job.to_string()),
        }
    }
    let mut text = format!("{date}: {signed} signed off");
    if prepared > 0 {
        text += &format!(", {prepared} prepared for a second person");
    }
    if !left.is_empty() {
        text += &format!("; left: {}", left.join(", "));
    }
    print(&(text + "\n"));
    Ok(if left.is_empty() && prepared == 0 { Exit::DONE } else { Exit::WAITING })
}

fn is_balanced(books: &Books) -> bool {
    matches!(books.result(), Comparison::Balanced | Comparison::WithinTolerance | Comparison::Nothing)
}

fn sign(context: &Context, found: &Books, note: &str) -> Result<Signed, Failure> {
    let now = SystemClock.now();
    let rule = if found.sign_off == SignOffRule::TwoPeople { SignOffRule::TwoPeople } else { SignOffRule::OnePerson };
    let ledger = Ledger::open(&context.data, now).map_err(|error| ledger_failure(&error))?;
    ledger.sign_off(&found.run.id, rule, &who(), note, now).map_err(|error| ledger_failure(&error))
}
