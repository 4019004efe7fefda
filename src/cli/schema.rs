//! `nightferry schema`: the JSON Schemas of the files of a project, for editors.

use std::fs;
use std::path::Path;

use super::Common;
use super::context::{print, print_json, root};
use super::exit::{Exit, Failure};
use crate::config::schema;
use crate::config::words::File;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Of which file: `mapping`, `job`, `connections`, `config` (nightferry.toml), `calendar` [default: mapping]
    #[arg(value_parser = ["mapping", "job", "connections", "config", "calendar"])]
    file: Option<String>,
    /// Write all of them into `.nightferry/` of the project, where the first line of each file names it
    #[arg(long, conflicts_with = "file")]
    write: bool,
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    if !args.write {
        let named = |file: &File| args.file.as_deref() == Some(file.name());
        print_json(&schema::of(File::ALL.into_iter().find(named).unwrap_or(File::Mapping)))?;
        return Ok(Exit::DONE);
    }
    let paths = write(&root(common)?)
        .map_err(|error| Failure::new(Exit::FAILED, "file", format!("the schemas cannot be written: {error}")))?;
    let list: String = paths.iter().map(|path| format!("  {path}\n")).collect();
    print(&format!("written:\n{list}editors find them by the first line of a file: #:schema ../{}\n", paths[0]));
    Ok(Exit::DONE)
}

/// Writes the schemas of a project; their paths, relative to the project.
pub(super) fn write(root: &Path) -> std::io::Result<Vec<String>> {
    fs::create_dir_all(root.join(".nightferry"))?;
    let write = |file: File| {
        let path = format!(".nightferry/{}.schema.json", file.name());
        let text = serde_json::to_string_pretty(&schema::of(file)).map_err(std::io::Error::other)?;
        fs::write(root.join(&path), text + "\n").map(|()| path)
    };
    File::ALL.into_iter().map(write).collect()
}
