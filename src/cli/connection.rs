//! `nightferry connection trust NAME`: shows the host key of an SFTP server and, after a yes, pins it.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;

use super::Common;
use super::context::{Context, not_valid, print, tell};
use super::exit::{Exit, Failure};
use crate::adapters::sftp;
use crate::config::project::load_connections;
use crate::domain::job::{ConnectionKind, SftpConnection};
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
    },
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let Command::Trust { name, yes } = &args.command;
    let context = Context::open(common)?;
    let connection = find(&context, name, common)?;
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
        print(&format!("  pinned until now: {pinned}\n"));
    }
    if !yes && !agreed()? {
        tell(common, "nothing was changed");
        return Ok(Exit::FAILED);
    }
    pin(&context.project.root.join("connections.toml"), name, &key.fingerprint)?;
    print(&format!("wrote host_key of [{name}] in connections.toml\n"));
    Ok(Exit::DONE)
}

fn find(context: &Context, name: &str, common: &Common) -> Result<SftpConnection, Failure> {
    let connections = load_connections(&context.project).map_err(|problems| not_valid(&problems, common))?;
    match connections.get(&ConnectionName::new(name)).map(|connection| &connection.kind) {
        Some(ConnectionKind::Sftp(sftp)) => Ok(sftp.clone()),
        Some(_) => Err(Failure::new(Exit::USAGE, "no-sftp", format!("connection `{name}` is not of kind sftp"))),
        None => {
            let known: Vec<_> = connections.keys().map(ConnectionName::as_str).collect();
            Err(Failure::new(Exit::USAGE, "unknown-connection", format!("there is no connection `{name}`"))
                .hint(format!("there are: {}", known.join(", "))))
        }
    }
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
fn pin(path: &Path, name: &str, fingerprint: &str) -> Result<(), Failure> {
    let cannot = |error: String| Failure::new(Exit::FAILED, "not-written", format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| cannot(error.to_string()))?;
    let mut document: toml_edit::DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| cannot(error.to_string()))?;
    let table = document.get_mut(name).and_then(toml_edit::Item::as_table_like_mut);
    let table = table.ok_or_else(|| cannot(format!("there is no table [{name}]")))?;
    table.insert("host_key", toml_edit::value(fingerprint));
    let part = path.with_extension("toml.part");
    std::fs::write(&part, document.to_string()).map_err(|error| cannot(error.to_string()))?;
    std::fs::rename(&part, path).map_err(|error| cannot(error.to_string()))
}
