//! `nightferry check`: every mistake of every file, at once.

use std::path::PathBuf;

use super::Common;
use super::context::{print, print_json, print_problems, root};
use super::exit::{Exit, Failure};
use crate::config::project;
use crate::config::render;
use crate::config::secret::Secrets;
use crate::report::text::counted;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only what is wrong in these files [default: all]
    paths: Vec<PathBuf>,
    /// A missing secret is an error, not a warning
    #[arg(long)]
    secrets: bool,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let root = root(common)?;
    let problems = project::check(&root, &args.paths, &Secrets::from_environment(), args.secrets);
    let (errors, warnings) = (problems.errors(), problems.warnings());
    if args.json {
        print_json(&render::to_json(&problems))?;
    } else {
        print_problems(&problems, common);
        let verdict = match (errors, warnings) {
            (0, 0) => "all files are valid\n".to_owned(),
            (errors, warnings) => {
                format!("{}, {}\n", counted(errors as u64, "error"), counted(warnings as u64, "warning"))
            }
        };
        print(&verdict);
    }
    Ok(if errors == 0 { Exit::DONE } else { Exit::NOT_VALID })
}
