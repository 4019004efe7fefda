//! The file that `preview` and `diff` look at: named, or the last one that a job with this mapping accepted.

use std::fs::File;
use std::path::Path;

use super::context::{Context, ledger_failure};
use super::exit::{Exit, Failure};
use crate::config::project::{LoadedMapping, Project, load_job};
use crate::domain::file::shown_name;
use crate::domain::name::JobName;
use crate::domain::wrapping::Wrapping;
use crate::ledger::Ledger;
use crate::ledger::row::FileRow;
use crate::pipeline::mapped::Artifacts;
use crate::pipeline::unwrap::{self, Unwrap};

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
    last_accepted(&context.project, &context.data, &ledger, &mapping.name, u64::MAX)
}

/// So much of a wrapped file is taken out to see its header.
pub const ENOUGH_FOR_A_HEADER: u64 = 4 << 20;

/// The newest file that a job with a mapping settled and of which the landed copy is still there.
/// Of a file that came wrapped no more than `most` bytes are taken out.
pub fn last_accepted(
    project: &Project,
    data: &Path,
    ledger: &Ledger,
    mapping: &str,
    most: u64,
) -> Result<Option<Given>, Failure> {
    let mut newest = None;
    for job in project.jobs_with(mapping) {
        let found = ledger.last_settled(&JobName::new(job.as_str())).map_err(|error| ledger_failure(&error))?;
        let Some(file) = found else { continue };
        if newest.as_ref().is_some_and(|(id, _)| *id > file.id) {
            continue;
        }
        let wrapping = || load_job(project, &job).ok().and_then(|loaded| loaded.job.wrapping);
        if let Some(open) = landed(data, ledger, &file, wrapping, most) {
            newest = Some((file.id, Given { file: open, name: shown_name(&file.name) }));
        }
    }
    Ok(newest.map(|(_, given)| given))
}

/// The rows of a landed file, while it is kept; what came wrapped is unwrapped as `wrapping` says, `most` bytes of it.
pub fn landed(
    data: &Path,
    ledger: &Ledger,
    file: &FileRow,
    wrapping: impl FnOnce() -> Option<Wrapping>,
    most: u64,
) -> Option<File> {
    let path = Artifacts::new(&data.join("files").join(file.run.as_str()), file.ordinal).landed;
    if file.unwrapped.is_none() {
        return File::open(path).ok();
    }
    let (run, wrapping) = (ledger.run(&file.run).ok()??, wrapping()?);
    let rule = Unwrap { wrapping: &wrapping, date: run.business_date, workbook: true, by_hand: true };
    unwrap::opened(&path, Some(rule), most).ok()?.ok()
}
