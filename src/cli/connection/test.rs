//! `nightferry connection test NAME`: goes the way of a run, step by step, and gives advice where it ends.

use std::collections::BTreeSet;

use super::steps::Steps;
use crate::adapters::clock::SystemClock;
use crate::adapters::folder::FolderRemote;
use crate::adapters::{reach, sftp};
use crate::cli::Common;
use crate::cli::context::{Context, print};
use crate::cli::exit::{Exit, Failure};
use crate::cli::remote::sftp_secrets;
use crate::config::project::load_job;
use crate::config::secret::{SecretSource, Secrets};
use crate::domain::file::shown_name;
use crate::domain::job::{Connection, ConnectionKind, SftpConnection, SftpEngine};
use crate::domain::source::Afterwards;
use crate::ports::{Clock as _, Remote, RemoteError};

/// A folder that is looked into, and the jobs that want to write there.
#[derive(Default)]
struct Wanted {
    folders: BTreeSet<String>,
    /// `job: afterwards moves or deletes`.
    writers: Vec<String>,
}

/// Runs the command.
pub fn execute(
    context: &Context,
    connection: &Connection,
    folders: &[String],
    write: bool,
    _common: &Common,
) -> Result<Exit, Failure> {
    let mut wanted = wanted(context, connection);
    if !folders.is_empty() {
        wanted.folders = folders.iter().cloned().collect();
    }
    if write {
        wanted.writers.push("`--write`".to_owned());
    }
    let mut steps = Steps::default();
    let title = match &connection.kind {
        ConnectionKind::Sftp(sftp) => {
            through_sftp(&mut steps, connection, sftp, &Secrets::from_environment(), &wanted);
            let engine = match sftp.engine {
                SftpEngine::Ssh2 => "ssh2",
                SftpEngine::Russh => "russh",
            };
            format!("{}: sftp://{}@{}:{}, engine {engine}", connection.name, sftp.user, sftp.host, sftp.port)
        }
        ConnectionKind::Folder { path } => {
            let mut remote = FolderRemote::new(path.clone());
            through_folders(&mut steps, &mut remote, connection, &wanted);
            format!("{}: the folder {}", connection.name, path.display())
        }
        ConnectionKind::Http(http) => {
            through_http(&mut steps, &http.base_url, http.timeout)?;
            format!("{}: {}", connection.name, http.base_url)
        }
    };
    print(&steps.text(&title));
    Ok(if steps.all_good() { Exit::DONE } else { Exit::UNREACHABLE })
}

/// What the jobs of the project want of the connection. A job with a mistake says nothing here; `check` does.
fn wanted(context: &Context, connection: &Connection) -> Wanted {
    let mut wanted = Wanted::default();
    let today = SystemClock.now().date_naive();
    for name in context.project.job_names() {
        let Ok(loaded) = load_job(&context.project, &name) else { continue };
        let source = &loaded.job.source;
        if source.connection != connection.name {
            continue;
        }
        wanted.folders.insert(source.folder.fill(today, ""));
        if source.afterwards != Afterwards::Keep {
            wanted.writers.push(format!("`afterwards` of {name}"));
        }
    }
    wanted
}

const LATER: [&str; 6] = ["connection", "greeting", "algorithms", "login", "listing", "writing"];

/// Names what could not be tried any more.
fn rest(steps: &mut Steps, after: &str) {
    let first = LATER.iter().position(|step| *step == after).map_or(0, |at| at + 1);
    for step in &LATER[first..] {
        steps.not_tried(step, "not tried");
    }
}

fn through_sftp(
    steps: &mut Steps,
    connection: &Connection,
    server: &SftpConnection,
    secrets: &dyn SecretSource,
    wanted: &Wanted,
) {
    if !reach_server(steps, server) {
        return;
    }
    let door = || sftp_secrets(server, secrets);
    match sftp::connect(server, &connection.name, door) {
        Ok(mut remote) => {
            steps.good("host key", format!("one of the {} pinned", server.host_keys.len()));
            steps.good("login", format!("as {}", server.user));
            through_folders(steps, remote.as_mut(), connection, wanted);
        }
        Err(error) => {
            let (step, advice) = match &error {
                RemoteError::HostKey { hint, changed, .. } => ("host key", key_advice(*changed, hint)),
                RemoteError::Login { .. } => ("login", login_advice(server)),
                RemoteError::Unreachable { hint, .. } => ("login", hint.clone().unwrap_or_default()),
                _ => ("login", String::new()),
            };
            if step == "login" {
                steps.good("host key", format!("one of the {} pinned", server.host_keys.len()));
            }
            steps.bad(step, without_place(&error, server), advice);
            if step == "host key" {
                steps.not_tried("login", "nothing of it was sent");
            }
            rest(steps, "login");
        }
    }
}

/// Name, TCP, greeting and algorithms; false: it ends here.
fn reach_server(steps: &mut Steps, server: &SftpConnection) -> bool {
    let addresses = match sftp::addresses(server) {
        Ok(addresses) => addresses,
        Err(error) => {
            let advice =
                format!("is `host` spelt as the partner wrote it? `getent hosts {}` asks the same", server.host);
            steps.bad("host name", without_place(&error, server), advice);
            rest(steps, "host name");
            return false;
        }
    };
    let shown: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    steps.good("host name", shown.join(", "));
    let stream = match sftp::reach(server, &addresses) {
        Ok(stream) => stream,
        Err(error) => {
            let said = without_place(&error, server);
            let advice = if said.contains("refused") {
                "the machine is there, but nothing listens on this port:\nis `port` right, and is the server up?"
            } else {
                "somebody drops what we send: ask the partner to let the address of this machine through"
            };
            steps.bad("connection", said, advice);
            rest(steps, "connection");
            return false;
        }
    };
    steps.good("connection", format!("port {} answers", server.port));
    let offer = match sftp::offer(server, stream) {
        Ok(offer) => offer,
        Err(error) => {
            let advice = "something else than an SSH server listens there, or it is full or overloaded";
            steps.bad("greeting", without_place(&error, server), advice);
            rest(steps, "greeting");
            return false;
        }
    };
    steps.good("greeting", &offer.software);
    match sftp::agree(server, &offer) {
        Ok(agreed) => {
            steps.good("algorithms", agreed);
            true
        }
        Err((what, theirs)) => {
            let advice = format!(
                "the server offers {}: ask the partner to update it; until then\n`engine = \"russh\"` with `legacy_algorithms = true` may still reach it",
                theirs.join(", ")
            );
            steps.bad("algorithms", format!("no {what} in common"), advice);
            rest(steps, "algorithms");
            false
        }
    }
}

fn key_advice(changed: bool, hint: &str) -> String {
    let first = if changed {
        "did the partner announce a new key? If not, somebody may stand between you: call them.\n"
    } else {
        "this is the first contact: ask the partner for the fingerprint.\n"
    };
    format!("{first}{hint}")
}

fn login_advice(server: &SftpConnection) -> String {
    let mut ways = Vec::new();
    ways.extend(server.key.as_ref().map(|secret| format!("the key in the secret `{}`", secret.0)));
    ways.extend(server.agent.as_ref().map(|_| "a key of the SSH agent".to_owned()));
    ways.extend(server.password.as_ref().map(|secret| format!("the password in the secret `{}`", secret.0)));
    format!(
        "tried with {}; is it the one for `{}`, and of this server (not of its test system)?\n\
         do not try often: many servers lock an account after a few",
        ways.join(" and "),
        server.user
    )
}

/// Lists every folder that is wanted, and tries to write where a job will.
fn through_folders(steps: &mut Steps, remote: &mut dyn Remote, connection: &Connection, wanted: &Wanted) {
    if wanted.folders.is_empty() {
        steps.not_tried("listing", "no job takes files from it; `--folder PATH` names one");
    }
    for folder in &wanted.folders {
        match remote.list(folder) {
            Ok(files) => steps.good("listing", format!("{} has {}", shown_name(folder.as_bytes()), count(files.len()))),
            Err(error) => {
                let advice = format!(
                    "does it begin where `{}` lands after the login? Many servers show an account only its own part;\n\
                     `[source] folder` is that path, and capitals count",
                    connection.name
                );
                steps.bad("listing", plain(&error, connection), advice);
                continue;
            }
        }
        if wanted.writers.is_empty() {
            steps.not_tried("writing", "not needed: every job keeps the files where they are");
            continue;
        }
        let name = format!(".nightferry-test-{}", uuid::Uuid::new_v4().simple());
        match remote.try_write(folder, &name) {
            Ok(()) => steps.good("writing", "an empty folder was made and removed again"),
            Err(error) => {
                let needs = wanted.writers.join(", ");
                let advice = format!(
                    "needed by {needs}: ask the partner for the right to move and delete,\nor write `afterwards = \"keep\"`: nothing is delivered twice then either"
                );
                steps.bad("writing", plain(&error, connection).replace(&name, "a new folder"), advice);
            }
        }
    }
}

fn count(files: usize) -> String {
    match files {
        1 => "1 file".to_owned(),
        files => format!("{files} files"),
    }
}

fn through_http(steps: &mut Steps, address: &str, within: std::time::Duration) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::FAILED, "internal", error.to_string()))?;
    match runtime.block_on(reach::status(address, within)) {
        Ok(status) if status < 500 => {
            steps.good("answer", format!("{status}, to a GET without a login"));
            steps.not_tried(
                "login",
                "only a request that means something would show it: `nightferry run JOB --dry-run`",
            );
        }
        Ok(status) => {
            steps.bad(
                "answer",
                format!("{status}"),
                "the server is there, but it or what lies behind it has a fault: try later, then call them",
            );
        }
        Err(reason) => {
            let advice =
                "is `base_url` right, is a proxy or firewall between, and does this machine trust the certificate?";
            steps.bad("answer", reason, advice);
        }
    }
    Ok(())
}

/// The message without host and port, which stand above.
fn without_place(error: &RemoteError, server: &SftpConnection) -> String {
    let text = error.to_string();
    text.strip_prefix(&format!("{}:{}: ", server.host, server.port)).unwrap_or(&text).to_owned()
}

fn plain(error: &RemoteError, connection: &Connection) -> String {
    match &connection.kind {
        ConnectionKind::Sftp(server) => without_place(error, server),
        _ => error.to_string(),
    }
}
