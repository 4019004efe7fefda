//! The file that `preview` and `diff` look at: named, or the last one that a job with this mapping accepted.

use std::fs::File;
use std::path::Path;

use super::context::{Context, ledger_failure};
use super::exit::{Exit, Failure};
use crate::config::project::{LoadedMapping, Project};
use crate::domain::file::shown_name;
use crate::domain::name::JobName;
use crate::ledger::Ledger;
use crate::ledger::row::FileRow;

/// A file to look at.
pub struct Given {
    /// Open for reading.
    pub file: File,
    /// Its name.
    pub name: String,
}

impl Given {
    /// Opens it again, from the beginning.
    pub fn again(&self) -> Result<File, Failure> {
        use std::io::Seek as _;
        let failed = |error: std::io::Error| Failure::new(Exit::FAILED, "file", format!("{}: {error}", self.name));
        let mut file = self.file.try_clone().map_err(failed)?;
        file.rewind().map_err(failed)?;
        Ok(file)
    }
}

/// The file at `path`; `last` is the last accepted one; without a path also, if there is one.
pub fn given(context: &Context, mapping: &LoadedMapping, path: Option<&Path>) -> Result<Option<Given>, Failure> {
    match path {
        Some(path) if path != Path::new("last") => {
            use std::os::unix::ffi::OsStrExt as _;
            let file = File::open(path)
                .map_err(|error| Failure::new(Exit::FAILED, "file", format!("{}: {error}", path.display())))?;
            let name = path.file_name().map(|name| shown_name(name.as_bytes())).unwrap_or_default();
            Ok(Some(Given { file, name }))
        }
        path => match (last(context, mapping)?, path) {
            (Some(given), _) => Ok(Some(given)),
            (None, None) => Ok(None),
            (None, Some(_)) => {
                let message = format!("no job has accepted a file with the mapping `{}` yet", mapping.name);
                Err(Failure::new(Exit::FAILED, "no-file", message).hint("name a file with `--file FILE`"))
            }
        },
    }
}

/// The last file that a job with this mapping settled, as it was landed.
fn last(context: &Context, mapping: &LoadedMapping) -> Result<Option<Given>, Failure> {
    let Some(ledger) = context.ledger_to_read()? else { return Ok(None) };
    last_accepted(&context.project, &context.data, &ledger, &mapping.name)
}

/// The newest file that a job with a mapping settled and of which the landed copy is still there.
pub fn last_accepted(project: &Project, data: &Path, ledger: &Ledger, mapping: &str) -> Result<Option<Given>, Failure> {
    let mut newest = None;
    for job in project.jobs_with(mapping) {
        let found = ledger.last_settled(&JobName::new(job)).map_err(|error| ledger_failure(&error))?;
        let Some(file) = found else { continue };
        if newest.as_ref().is_some_and(|(id, _)| *id > file.id) {
            continue;
        }
        if let Some(open) = landed(data, &file) {
            newest = Some((file.id, Given { file: open, name: shown_name(&file.name) }));
        }
    }
    Ok(newest.map(|(_, given)| given))
}

/// The landed copy of a file, while it is kept.
pub fn landed(data: &Path, file: &FileRow) -> Option<File> {
    File::open(data.join("files").join(file.run.as_str()).join(format!("{}.landed", file.ordinal))).ok()
}
