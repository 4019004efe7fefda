//! `nightferry demo`: the sample jobs against an SFTP server and an API of its own, through the same code as every run.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::NaiveDate;

use super::context::{Context, ledger_failure, print};
use super::exit::{Exit, Failure};
use super::run::{self, Ending};
use super::{Common, rejects, show};
use crate::config::secret::Secrets;
use crate::demo::api::{Api, ApiOptions};
use crate::demo::project;
use crate::demo::sftp_server::SftpServer;
use crate::domain::name::JobName;
use crate::pipeline::Begin;
use crate::report::text::counted;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Leave the servers up and the folder in place, and say how to try `nightferry` against them by hand
    #[arg(long)]
    keep: bool,
}

/// The business date of the sample files.
const DATE: NaiveDate = match NaiveDate::from_ymd_opt(2026, 11, 23) {
    Some(date) => date,
    None => NaiveDate::MIN,
};

const USER: &str = "demo";
const PASSWORD: &str = "ferry-me-over";
const TOKEN: &str = "demo-token-of-the-api";

/// A folder of its own that goes away with the demo, unless it is kept.
struct Stage {
    folder: PathBuf,
    keep: bool,
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.keep {
            // A leftover in the temporary folder is not worth failing for.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

impl Stage {
    fn set(keep: bool) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("nightferry-demo-{}", uuid::Uuid::new_v4().simple()));
        fs::DirBuilder::new().mode(0o700).create(&folder).map_err(|error| cannot(&folder, &error))?;
        Ok(Self { folder, keep })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::FAILED, "demo", format!("{}: {error}", path.display()))
}

/// The servers; they stop when this is dropped.
struct Servers {
    sftp: SftpServer,
    api: Api,
    _runtime: tokio::runtime::Runtime,
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let stage = Stage::set(args.keep)?;
    let servers = start(&stage)?;
    project::write(&stage.path("project"), servers.sftp.port(), servers.sftp.host_key(), servers.api.port())
        .map_err(|error| cannot(&stage.path("project"), &error))?;
    write_secrets(&stage.path("credentials"))?;
    let common = Common { project: Some(stage.path("project")), data: Some(stage.path("data")), ..common.clone() };

    say(&format!(
        "Nightferry demo: an SFTP server on 127.0.0.1:{}, an API on 127.0.0.1:{}, business date {DATE}\n",
        servers.sftp.port(),
        servers.api.port()
    ));
    let mut worst = Exit::DONE;
    for (number, job, shows) in SCENES {
        say(&format!("{number}  nightferry run {job} --date {DATE}\n   {shows}\n"));
        let exit = carry(&stage, job, &common)?;
        if !matches!(exit, Exit::DONE | Exit::REJECTS) {
            worst = exit;
        }
        print("\n");
    }
    say("The retry, among the attempts of the first run: nightferry show RUN --attempts\n");
    print_attempts(&common)?;
    say("What was rejected, with its place in the file: nightferry rejects orders\n");
    rejects::execute(&rejects::Args::of_job("orders"), &common)?;
    print("\n");
    say("What the API says it got:");
    for (path, seen) in servers.api.seen() {
        say(&format!(
            "  {path}: {} in {} under {}",
            counted(seen.records, "record"),
            counted(seen.requests, "request"),
            counted(seen.keys, "key")
        ));
    }
    print("\n");
    say("Everything above is in a ledger: `nightferry runs`, `show RUN`, `rejects`, `reconcile RUN` read it.");
    if args.keep {
        stay(&stage)?;
    }
    Ok(worst)
}

/// Number, job, what to look for.
const SCENES: &[(&str, &str, &str)] = &[
    (
        "1",
        "orders",
        "a few rows are rejected, and the API answers 503 once: one batch is tried again under the same key",
    ),
    ("2", "payments", "amounts in minor units, a strict limit on rejects"),
    ("3", "employees", "taken once its done file is there, moved away afterwards"),
    ("4", "orders", "the same night again: the file is passed over, nothing is sent twice"),
];

fn start(stage: &Stage) -> Result<Servers, Failure> {
    let remote = stage.path("sftp");
    project::write_samples(&remote).map_err(|error| cannot(&remote, &error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| cannot(&remote, &error))?;
    let options =
        ApiOptions { token: TOKEN.to_owned(), unavailable_once: vec!["/v2/sales-order-lines/bulk".to_owned()] };
    let started = runtime.block_on(async {
        let sftp = SftpServer::start(remote.clone(), USER, PASSWORD).await?;
        let api = Api::start(options).await?;
        Ok::<_, std::io::Error>((sftp, api))
    });
    let (sftp, api) = started.map_err(|error| cannot(&remote, &error))?;
    Ok(Servers { sftp, api, _runtime: runtime })
}

fn write_secrets(folder: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new().mode(0o700).create(folder).map_err(|error| cannot(folder, &error))?;
    for (name, secret) in [("demo-password", PASSWORD), ("demo-token", TOKEN)] {
        let path = folder.join(name);
        fs::write(&path, secret).map_err(|error| cannot(&path, &error))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(|error| cannot(&path, &error))?;
    }
    Ok(())
}

/// The same code as `nightferry run JOB --date …`; only the secrets come from the stage.
fn carry(stage: &Stage, job: &str, common: &Common) -> Result<Exit, Failure> {
    let mut prepared = run::load(Context::open(common)?, job, common)?;
    prepared.secrets = Arc::new(Secrets::in_folder(&stage.path("credentials")));
    let order = run::order(&prepared, DATE, None)?;
    run::run_order(order, Begin::Date, &prepared, common, Ending { json: false, rejects_ok: false })
}

/// The attempts of the first run, as `show --attempts` lists them.
fn print_attempts(common: &Common) -> Result<(), Failure> {
    let context = Context::open(common)?;
    let Some(ledger) = context.ledger_to_read()? else { return Ok(()) };
    let runs = ledger.runs(Some(&JobName::new("orders")), 2).map_err(|error| ledger_failure(&error))?;
    if let Some(first) = runs.last() {
        print(&show::attempts(&ledger, &first.id)?);
        print("\n");
    }
    Ok(())
}

fn say(text: &str) {
    print(&format!("{text}\n"));
}

/// Waits for Ctrl-C with the servers up.
fn stay(stage: &Stage) -> Result<(), Failure> {
    let folder = stage.folder.display();
    say(&format!(
        "\nThe servers stay up until Ctrl-C, and the folder stays after that. In another terminal:\n\n  \
         export CREDENTIALS_DIRECTORY={folder}/credentials NIGHTFERRY_PROJECT={folder}/project NIGHTFERRY_DATA={folder}/data\n  \
         nightferry runs\n  \
         nightferry show orders@last --attempts\n  \
         nightferry run payments --date {DATE} --dry-run\n\n\
         Put a file of your own into {folder}/sftp/outbound/orders and run `orders` again."
    ));
    let waited = run::runtime()?.block_on(tokio::signal::ctrl_c());
    waited.map_err(|error| cannot(&stage.folder, &error))
}
