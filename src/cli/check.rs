//! `nightferry check`: every mistake of every file, at once.

use std::path::PathBuf;

use super::Common;
use super::context::{print, print_json, print_problems, root, tell};
use super::exit::{Exit, Failure};
use crate::config::diagnostic::Problems;
use crate::config::fix::mend;
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
    /// How mistakes are shown
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = MessageFormat::Full)]
    message_format: MessageFormat,
    /// Mend what can be mended without a decision; comments stay
    #[arg(long)]
    fix: bool,
    /// One JSON document (as `--message-format json`)
    #[arg(long)]
    json: bool,
}

/// How mistakes are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum MessageFormat {
    /// With the line, a caret and what to do
    Full,
    /// One line each: `path:line:column: error[NF101]: …`
    Concise,
    /// One JSON document
    Json,
    /// Annotations of GitHub's workflows
    Github,
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let root = root(common)?;
    let all = || project::check(&root, &args.paths, &Secrets::from_environment(), args.secrets);
    let mut problems = all();
    if args.fix {
        let fixed = fix(&root, &problems)?;
        if !fixed.is_empty() {
            tell(common, &format!("mended: {}", fixed.join(", ")));
            problems = all();
        }
    }
    let (errors, warnings) = (problems.errors(), problems.warnings());
    if args.json || args.message_format == MessageFormat::Json {
        print_json(&render::to_json(&problems))?;
    } else {
        match args.message_format {
            MessageFormat::Concise => print(&render::concise(&problems)),
            MessageFormat::Github => print(&render::github(&problems)),
            MessageFormat::Full | MessageFormat::Json => print_problems(&problems, common),
        }
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

/// Mends every file that has something to mend; what was mended.
fn fix(root: &std::path::Path, problems: &Problems) -> Result<Vec<String>, Failure> {
    let mut mended = Vec::new();
    for (path, text) in &problems.sources {
        let (new, count) = mend(text, problems.diagnostics.iter().filter(|diagnostic| diagnostic.path == *path));
        if count > 0 {
            std::fs::write(root.join(path), new)
                .map_err(|error| Failure::new(Exit::FAILED, "file", format!("{path}: {error}")))?;
            mended.push(format!("{path} ({})", counted(count, "place")));
        }
    }
    Ok(mended)
}
