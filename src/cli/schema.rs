//! `nightferry schema`: the JSON Schema of mapping files, for editors.

use std::fs;
use std::path::Path;

use super::Common;
use super::context::{print, print_json, root};
use super::exit::{Exit, Failure};
use crate::config::schema;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write it into `.nightferry/` of the project, where the first line of each mapping names it
    #[arg(long)]
    write: bool,
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    if !args.write {
        print_json(&schema::mapping())?;
        return Ok(Exit::DONE);
    }
    let path = write(&root(common)?)
        .map_err(|error| Failure::new(Exit::FAILED, "file", format!("the schema cannot be written: {error}")))?;
    print(&format!("{path} written; editors find it by the first line of a mapping: #:schema ../{path}\n"));
    Ok(Exit::DONE)
}

/// Writes the schema of a project; its path, relative to the project.
pub(super) fn write(root: &Path) -> std::io::Result<String> {
    let path = ".nightferry/mapping.schema.json";
    fs::create_dir_all(root.join(".nightferry"))?;
    let text = serde_json::to_string_pretty(&schema::mapping()).map_err(std::io::Error::other)?;
    fs::write(root.join(path), text + "\n")?;
    Ok(path.to_owned())
}
