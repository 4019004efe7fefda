//! One file per command; the only place that prints. Results go to stdout, messages to stderr.

mod audit;
mod breaks;
mod causes;
mod check;
mod confirm;
mod connection;
mod context;
mod convert;
#[cfg(feature = "demo")]
mod demo;
mod diff;
mod exit;
mod explain;
mod export;
mod fmt;
mod given;
mod health;
mod hold;
mod init;
mod new;
mod pause;
mod preview;
mod progress;
mod reconcile;
mod rejects;
mod remote;
mod replay;
mod resend;
mod resume;
mod run;
mod runs;
mod schedule;
mod schema;
mod serve;
mod show;
mod sign_off;
mod signals;
mod status;
mod test;
mod write_off;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use exit::Exit;

const EXAMPLES: &str = "\
Examples:
  nightferry demo                                  the sample jobs, over real SFTP and HTTP, on this machine
  nightferry check                                 every mistake in every file, at once
  nightferry run orders --dry-run                  land, map and check; send nothing
  nightferry run orders --date 2026-11-23          carry the files of that business date
  nightferry reconcile orders@last                 does it add up?

Exit codes: 0 done · 1 failed · 2 wrong use · 3 files not valid · 5 with rejects · 6 does not balance
            7 waiting, held or already running · 8 a system could not be reached · 130/143 interrupted, resumable";

/// Carries the night's files and proves in the morning that everything arrived.
#[derive(Debug, Parser)]
#[command(name = "nightferry", version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Common {
    /// The folder with `nightferry.toml` [default: walk up from here]
    #[arg(long, global = true, value_name = "DIR", env = "NIGHTFERRY_PROJECT")]
    pub project: Option<PathBuf>,
    /// The data folder: ledger and landed files [default: `[paths] data`, then `.nightferry/data` in the project]
    #[arg(long, global = true, value_name = "DIR", env = "NIGHTFERRY_DATA")]
    pub data: Option<PathBuf>,
    /// Colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: clap::ColorChoice,
    /// Say less on stderr: no progress, errors only
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more on stderr; twice for still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check every file of the project: all mistakes at once, with their places
    Check(check::Args),
    /// Begin a project: a small one with comments that runs offline
    Init(init::Args),
    /// Propose a mapping from a sample
    New(new::Args),
    /// Lay the project's files out in their canonical form; comments stay
    Fmt(fmt::Args),
    /// Explain a code, the words of a mapping, or when a request is made again
    Explain(explain::Args),
    /// Print or write the JSON Schema of mapping files, for editors
    Schema(schema::Args),
    /// Run the inline tests of mappings
    Test(test::Args),
    /// Show what a mapping makes of a file: cell by cell, or record by record
    Preview(preview::Args),
    /// Show what a change of a mapping would do to real data
    Diff(diff::Args),
    /// Map a file to NDJSON, without a job and without a ledger
    Convert(convert::Args),
    /// Carry the files of a job once, for a business date
    Run(run::Args),
    /// Go on with an interrupted run at the first batch that is not accepted
    Resume(resume::Args),
    /// Let runs of a job collect and map, and stop before sending
    Hold(hold::HoldArgs),
    /// Send what is held: of one run, or of a job (which ends its hold)
    Release(hold::ReleaseArgs),
    /// Give up what a run holds: nothing of it is sent
    Drop(hold::DropArgs),
    /// Serve: start every job at its time, until a signal says stop
    Serve(serve::Args),
    /// Say by the exit code whether the daemon serves: 0 or 1
    Health,
    /// Start no run of a job by its schedule for a while
    Pause(pause::PauseArgs),
    /// End the pause of a job
    Unpause(pause::UnpauseArgs),
    /// End a run that is due, waiting, held or under way; what was accepted stays accepted
    Cancel(pause::CancelArgs),
    /// List what runs when, with holidays and changes of the clock
    Schedule(schedule::Args),
    /// List runs, newest first
    Runs(runs::Args),
    /// Show one run: files, counts, attempts
    Show(show::Args),
    /// List rejected rows and refused records; export them, replay them, write them off
    Rejects(rejects::Args),
    /// Send refused or unanswered records of a run again, exactly those
    Resend(resend::Args),
    /// Show whether a run adds up, or every run of a date: table, csv, xlsx, json, html
    Reconcile(reconcile::Args),
    /// List differences with age and amount; `explain` them
    Breaks(breaks::Args),
    /// Say that you have looked at a run, or at all balanced runs of a date
    SignOff(sign_off::Args),
    /// The day in one look: what needs a person, what is fine, what is still open
    Status(status::Args),
    /// List what people did; `audit verify` proves that nothing of it was changed
    Audit(audit::Args),
    /// Work with connections
    Connection(connection::Args),
    /// Run the sample jobs against an SFTP server and an API of its own, on this machine
    #[cfg(feature = "demo")]
    Demo(demo::Args),
}

/// Parses the command line, runs the command and says how it ended.
pub fn main() -> Exit {
    let cli = Cli::parse();
    start_log(&cli.common);
    let common = &cli.common;
    let ended = match cli.command {
        Command::Check(args) => check::execute(&args, common),
        Command::Init(args) => init::execute(&args, common),
        Command::New(args) => new::execute(&args, common),
        Command::Fmt(args) => fmt::execute(&args, common),
        Command::Explain(args) => explain::execute(&args, common),
        Command::Schema(args) => schema::execute(&args, common),
        Command::Test(args) => test::execute(&args, common),
        Command::Preview(args) => preview::execute(&args, common),
        Command::Diff(args) => diff::execute(&args, common),
        Command::Convert(args) => convert::execute(&args, common),
        Command::Run(args) => run::execute(&args, common),
        Command::Resume(args) => resume::execute(&args, common),
        Command::Hold(args) => hold::hold(&args, common),
        Command::Release(args) => hold::release(&args, common),
        Command::Drop(args) => hold::drop(&args, common),
        Command::Serve(args) => serve::execute(&args, common),
        Command::Health => health::execute(common),
        Command::Pause(args) => pause::pause(&args, common),
        Command::Unpause(args) => pause::unpause(&args, common),
        Command::Cancel(args) => pause::cancel(&args, common),
        Command::Schedule(args) => schedule::execute(&args, common),
        Command::Runs(args) => runs::execute(&args, common),
        Command::Show(args) => show::execute(&args, common),
        Command::Rejects(args) => rejects::execute(&args, common),
        Command::Resend(args) => resend::execute(&args, common),
        Command::Reconcile(args) => reconcile::execute(&args, common),
        Command::Breaks(args) => breaks::execute(&args, common),
        Command::SignOff(args) => sign_off::execute(&args, common),
        Command::Status(args) => status::execute(&args, common),
        Command::Audit(args) => audit::execute(&args, common),
        Command::Connection(args) => connection::execute(&args, common),
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::execute(&args, common),
    };
    ended.unwrap_or_else(|failure| failure.print())
}

/// Warnings always; more with `-v`. `RUST_LOG` wins, for whoever looks for a fault.
fn start_log(common: &Common) {
    use tracing_subscriber::EnvFilter;
    let level = match (common.quiet, common.verbose) {
        (true, _) => "error",
        (false, 0) => "nightferry=warn,error",
        (false, 1) => "nightferry=info,warn",
        (false, _) => "nightferry=debug,info",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .without_time()
        .with_ansi(context::stderr_has_colour(common.color))
        .init();
}
