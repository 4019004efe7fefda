//! `nightferry rejects write-off`: gives rejects up. They leave the open list, and still count as rejected or refused.

use super::context::{Context, ledger_failure, print, who};
use super::exit::{Exit, Failure};
use super::{Common, confirm};
use crate::adapters::clock::SystemClock;
use crate::domain::name::JobName;
use crate::ledger::Ledger;
use crate::ledger::reject::RejectFilter;
use crate::ledger::write_off::WriteOff;
use crate::ports::Clock as _;
use crate::report::text::counted;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job
    #[arg(required_unless_present = "undo")]
    job: Option<String>,
    /// Only with this code
    #[arg(long, value_name = "CODE")]
    cause: Option<String>,
    /// Only of this run: its id, `JOB@last`, `JOB@2026-11-23`
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// A short code, the same for the same reason: `blocked-customer`
    #[arg(long, value_name = "CODE", required_unless_present = "undo")]
    reason: Option<String>,
    /// In words
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// Open the rejects of this write-off again, within 7 days
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["job", "reason", "cause", "run"])]
    undo: Option<u64>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let now = SystemClock.now();
    let ledger = Ledger::open(&context.data, now).map_err(|error| ledger_failure(&error))?;
    if let Some(id) = args.undo {
        let rejects = ledger.undo_write_off(id, &who(), now).map_err(|error| ledger_failure(&error))?;
        print(&format!("{} of write-off {id} are open again\n", counted(rejects, "reject")));
        return Ok(Exit::DONE);
    }
    let reason = args.reason.as_deref().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if reason.is_empty() || !reason.bytes().all(plain) {
        return Err(Failure::new(Exit::USAGE, "reason", format!("`{reason}` is not a code"))
            .hint("a code has lower-case letters, digits and `-`, such as `blocked-customer`; `--note` takes words"));
    }
    let run = match &args.run {
        Some(reference) => Some(context.run(reference)?.1.id),
        None => None,
    };
    let job = args.job.as_deref().map(JobName::new);
    let filter = RejectFilter { job, run, cause: args.cause.clone(), ..RejectFilter::default() };
    let count = ledger.count_open(&filter).map_err(|error| ledger_failure(&error))?;
    if count == 0 {
        print("nothing is open\n");
        return Ok(Exit::DONE);
    }
    let of = args.job.as_deref().unwrap_or_default();
    confirm::yes(args.yes, &format!("Write {} of {of} off as `{reason}`?", counted(count, "row")))?;
    let act = WriteOff { who: &who(), reason, note: &args.note };
    match ledger.write_off(&filter, &act, now).map_err(|error| ledger_failure(&error))? {
        Some((id, rejects)) => print(&format!(
            "{} written off as `{reason}`; they still count as rejected. Within 7 days \
             `nightferry rejects write-off --undo {id}` opens them again\n",
            counted(rejects, "reject")
        )),
        None => print("nothing is open\n"),
    }
    Ok(Exit::DONE)
}
