//! `nightferry fmt`: the canonical layout of the project's files; comments stay, and the meaning does.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::Common;
use super::context::{print, print_problems, root};
use super::exit::{Exit, Failure};
use crate::config::layout::layout;
use crate::report::text::counted;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files [default: all TOML files of the project]
    paths: Vec<PathBuf>,
    /// Write nothing; show what would change, and end with 4
    #[arg(long)]
    check: bool,
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let root = root(common)?;
    let files = if args.paths.is_empty() { project_files(&root) } else { args.paths.clone() };
    let (mut changed, mut broken) = (Vec::new(), false);
    for path in &files {
        let failed = |error: std::io::Error| Failure::new(Exit::FAILED, "file", format!("{}: {error}", path.display()));
        let text = fs::read_to_string(path).map_err(failed)?;
        let shown = path.strip_prefix(&root).unwrap_or(path).display().to_string();
        match layout(&shown, &text) {
            Err(problems) => {
                print_problems(&problems, common);
                broken = true;
            }
            Ok(new) if new == text => {}
            Ok(new) => {
                if args.check {
                    print(&difference(&shown, &text, &new));
                } else {
                    replace(path, &new).map_err(failed)?;
                }
                changed.push(shown);
            }
        }
    }
    let files = |count: usize| counted(count as u64, "file");
    match (args.check, changed.len()) {
        (_, 0) => print(&format!("{} as they should be\n", files(files_len(&args.paths, &root)))),
        (true, count) => print(&format!("{} would change\n", files(count))),
        (false, count) => print(&format!("{} rewritten: {}\n", files(count), changed.join(", "))),
    }
    Ok(match (broken, args.check && !changed.is_empty()) {
        (true, _) => Exit::NOT_VALID,
        (false, true) => Exit::DIFFERENT,
        (false, false) => Exit::DONE,
    })
}

fn files_len(paths: &[PathBuf], root: &Path) -> usize {
    if paths.is_empty() { project_files(root).len() } else { paths.len() }
}

/// Every TOML file that people write.
fn project_files(root: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = ["nightferry.toml", "connections.toml"]
        .iter()
        .map(|name| root.join(name))
        .filter(|path| path.is_file())
        .collect();
    for folder in ["jobs", "mappings", "calendars"] {
        let entries = fs::read_dir(root.join(folder)).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut found: Vec<PathBuf> =
            entries.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
        found.sort();
        files.extend(found);
    }
    files
}

/// The lines that differ, with their numbers.
fn difference(path: &str, old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same_start = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let same_end = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let same_end = same_end.min(old.len().min(new.len()) - same_start);
    let mut text = format!("{path}:{}\n", same_start + 1);
    for line in old.get(same_start..old.len() - same_end).unwrap_or_default().iter().take(10) {
        text.push_str(&format!("  - {line}\n"));
    }
    for line in new.get(same_start..new.len() - same_end).unwrap_or_default().iter().take(10) {
        text.push_str(&format!("  + {line}\n"));
    }
    text
}

/// Appears whole, by rename, or not at all.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".nightferry-").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    fs::set_permissions(file.path(), fs::metadata(path)?.permissions())?;
    file.persist(path).map(drop).map_err(|error| error.error)
}
