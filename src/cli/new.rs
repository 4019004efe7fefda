//! `nightferry new mapping`: a mapping proposed from a sample, with the evidence for each guess.

use std::fs;
use std::path::PathBuf;

use super::Common;
use super::context::{Context, print};
use super::exit::{Exit, Failure};
use crate::config::layout::layout;
use crate::config::propose::propose;
use crate::report::text::counted;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// A mapping, from a sample of its file
    Mapping(MappingArgs),
}

/// Arguments of `new mapping`.
#[derive(Debug, clap::Args)]
struct MappingArgs {
    /// Its name
    name: String,
    /// A CSV file of the sender
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let What::Mapping(args) = &args.what;
    let context = Context::open(common)?;
    let failed = |message: String| Failure::new(Exit::FAILED, "file", message);
    if !args.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c))
        || args.name.is_empty()
    {
        return Err(Failure::new(Exit::USAGE, "name", format!("`{}` is not a name for a mapping", args.name))
            .hint("lower-case letters, digits, `-` and `_`, because it becomes a file name"));
    }
    let relative = format!("mappings/{}.toml", args.name);
    let path = context.project.root.join(&relative);
    if path.exists() {
        return Err(failed(format!("{relative} is there already, and nothing is overwritten")));
    }
    let bytes = fs::read(&args.from).map_err(|error| failed(format!("{}: {error}", args.from.display())))?;
    let proposal =
        propose(&args.name, &bytes).map_err(|message| failed(format!("{}: {message}", args.from.display())))?;
    let text = layout(&relative, &proposal.text).map_err(|problems| failed(problems.to_string()))?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| failed(format!("{}: {error}", folder.display())))?;
    }
    fs::write(&path, text).map_err(|error| failed(format!("{relative}: {error}")))?;
    let mut message = format!(
        "{relative}: {} from {} of {}\n",
        counted(proposal.columns, "column"),
        counted(proposal.rows, "row"),
        args.from.display()
    );
    if !proposal.choices.is_empty() {
        message.push_str("left for you to choose (`nightferry check` refuses the file until then):\n");
        for choice in &proposal.choices {
            message.push_str(&format!("  {choice}\n"));
        }
    }
    message.push_str(&format!("next: read it, then `nightferry check` and `nightferry test {}`\n", args.name));
    print(&message);
    Ok(Exit::DONE)
}
