//! `nightferry connection`: `trust` shows the host key of an SFTP server and, after a yes, pins it; `test` goes the whole way.

mod steps;
mod test;

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use crate::adapters::sftp;
use crate::cli::Common;
use crate::cli::context::{Context, not_valid, print, tell};
use crate::cli::exit::{Exit, Failure};
use crate::config::project::load_connections;
use crate::domain::job::{Connection, ConnectionKind};
use crate::domain::name::ConnectionName;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the host key that a server has now and write it into `connections.toml`
    Trust {
        /// A connection of kind `sftp`
        name: String,
        /// Do not ask: the fingerprint was compared with what the partner told
        #[arg(long)]
        yes: bool,
        /// Keep the keys that are pinned now beside it: while the partner changes from one to the other
        #[arg(long)]
        add: bool,
    },
    /// Go the way of a run, step by step: name, port, algorithms, host key, login, listing, writing
    Test {
        /// A connection
        name: String,
        /// Look into this folder instead of those that jobs take files from
        #[arg(long, value_name = "PATH")]
        folder: Vec<String>,
        /// Try to write also where no job does: an empty folder is made and removed again
        #[arg(long)]
        write: bool,
    },
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    match &args.command {
        Command::Trust { name, yes, add } => trust(&context, name, *yes, *add, common),
        Command::Test { name, folder, write } => {
            test::execute(&context, &find(&context, name, common)?, folder, *write, common)
        }
    }
}

fn trust(context: &Context, name: &str, yes: bool, add: bool, common: &Common) -> Result<Exit, Failure> {
    let connection = match find(context, name, common)?.kind {
        ConnectionKind::Sftp(sftp) => sftp,
        _ => return Err(Failure::new(Exit::USAGE, "no-sftp", format!("connection `{name}` is not of kind sftp"))),
    };
    let (host, port) = (&connection.host, connection.port);
    let unreachable =
        |error: crate::ports::RemoteError| Failure::new(Exit::UNREACHABLE, "unreachable", error.to_string());
    let key = sftp::host_key(&connection).map_err(unreachable)?;
    print(&format!("{name}: {host}:{port} shows a host key of type {}\n  {}\n", key.kind, key.fingerprint));
    if connection.host_keys.contains(&key.fingerprint) {
        tell(common, "this key is trusted already; nothing was changed");
        return Ok(Exit::DONE);
    }
    for pinned in &connection.host_keys {
        print(&format!("  pinned until now: {pinned}{}\n", if add { " (stays)" } else { "" }));
    }
    if !yes && !agreed()? {
        tell(common, "nothing was changed");
        return Ok(Exit::FAILED);
    }
    let mut pins = if add { connection.host_keys } else { Vec::new() };
    pins.push(key.fingerprint);
    pin(&context.project.root.join("connections.toml"), name, &pins)?;
    print(&format!("wrote host_key of [{name}] in connections.toml\n"));
    Ok(Exit::DONE)
}

fn find(context: &Context, name: &str, common: &Common) -> Result<Connection, Failure> {
    let mut connections = load_connections(&context.project).map_err(|problems| not_valid(&problems, common))?;
    let known: Vec<_> = connections.keys().map(|name| name.as_str().to_owned()).collect();
    connections.remove(&ConnectionName::new(name)).ok_or_else(|| {
        Failure::new(Exit::USAGE, "unknown-connection", format!("there is no connection `{name}`"))
            .hint(format!("there are: {}", known.join(", ")))
    })
}

/// Asks on the terminal; without one the answer is no.
fn agreed() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(Exit::USAGE, "no-answer", "nobody is there to compare the fingerprint")
            .hint("compare it with what the partner told you, then use `--yes`"));
    }
    let mut stderr = std::io::stderr().lock();
    let _ = write!(stderr, "Is this the fingerprint that the partner told you? [y/N] ");
    let _ = stderr.flush();
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Failure::new(Exit::FAILED, "no-answer", format!("cannot read the answer: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Replaces `host_key` of one connection; comments and layout stay.
fn pin(path: &Path, name: &str, pins: &[String]) -> Result<(), Failure> {
    let cannot = |error: String| Failure::new(Exit::FAILED, "not-written", format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| cannot(error.to_string()))?;
    let mut document: toml_edit::DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| cannot(error.to_string()))?;
    let table = document.get_mut(name).and_then(toml_edit::Item::as_table_like_mut);
    let table = table.ok_or_else(|| cannot(format!("there is no table [{name}]")))?;
    let value = match pins {
        [one] => toml_edit::value(one),
        several => toml_edit::value(several.iter().collect::<toml_edit::Array>()),
    };
    match table.get_mut("host_key") {
        // What stands around the value, a comment behind it for one, stays.
        Some(toml_edit::Item::Value(there)) => {
            let decor = there.decor().clone();
            if let toml_edit::Item::Value(mut new) = value {
                *new.decor_mut() = decor;
                *there = new;
            }
        }
        _ => drop(table.insert("host_key", value)),
    }
    let part = path.with_extension("toml.part");
    std::fs::write(&part, document.to_string()).map_err(|error| cannot(error.to_string()))?;
    std::fs::rename(&part, path).map_err(|error| cannot(error.to_string()))
}
