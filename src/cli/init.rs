//! `nightferry init`: a small project with comments, which passes `check` and runs offline as a dry run.

use std::fs;
use std::path::{Path, PathBuf};

use super::Common;
use super::context::print;
use super::exit::{Exit, Failure};
use super::schema;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder [default: here]
    dir: Option<PathBuf>,
}

/// Every file of the new project.
const FILES: &[(&str, &str)] = &[
    ("nightferry.toml", include_str!("init/nightferry.toml")),
    ("connections.toml", include_str!("init/connections.toml")),
    ("jobs/hello.toml", include_str!("init/hello.job.toml")),
    ("mappings/hello.toml", include_str!("init/hello.mapping.toml")),
    ("lookups/country.csv", include_str!("init/country.csv")),
    ("inbox/hello_20261123.csv", include_str!("init/hello.csv")),
    (".gitignore", "/.nightferry\n"),
];

/// Runs the command.
pub fn execute(args: &Args, _common: &Common) -> Result<Exit, Failure> {
    let root = args.dir.clone().unwrap_or_else(|| PathBuf::from("."));
    if root.join("nightferry.toml").exists() {
        let message = format!("{} is a project already", root.display());
        return Err(Failure::new(Exit::FAILED, "exists", message).hint("name another folder: `nightferry init DIR`"));
    }
    if let Some((path, _)) = FILES.iter().find(|(path, _)| root.join(path).exists()) {
        let message = format!("{} is there already, and nothing is overwritten", root.join(path).display());
        return Err(Failure::new(Exit::FAILED, "exists", message));
    }
    write(&root).map_err(|error| Failure::new(Exit::FAILED, "file", format!("{}: {error}", root.display())))?;
    let change = if args.dir.is_some() { format!("  cd {}\n", root.display()) } else { String::new() };
    print(&format!(
        "a project with one job is in {}\n\nnext:\n{change}  nightferry check\n  nightferry test\n  nightferry preview hello --file inbox/hello_20261123.csv\n  nightferry run hello --dry-run --date 2026-11-23\n",
        root.display()
    ));
    Ok(Exit::DONE)
}

fn write(root: &Path) -> std::io::Result<()> {
    for (path, text) in FILES {
        let path = root.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, text)?;
    }
    schema::write(root).map(drop)
}
