//! The jobs that are served: loaded as a whole, and exchanged as a whole when their files have changed and are valid.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::diagnostic::Problems;
use crate::config::project::{LoadError, LoadedJob, Project, load_job};
use crate::domain::name::JobName;

/// The jobs, and how their files looked when they were read.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    jobs: BTreeMap<JobName, Arc<LoadedJob>>,
    stamp: u64,
}

impl Roster {
    /// Reads every job; the valid ones are served, what is wrong with the others is told.
    pub fn load(root: &Path) -> (Self, Problems) {
        let stamp = stamp(root);
        let mut problems = Problems::default();
        let mut jobs = BTreeMap::new();
        match Project::open(root) {
            Ok(project) => {
                for name in project.job_names() {
                    match load_job(&project, &name) {
                        Ok(loaded) => {
                            jobs.insert(JobName::new(name), Arc::new(loaded));
                        }
                        Err(LoadError::Invalid(found)) => problems.merge(found),
                        // It went between two looks.
                        Err(LoadError::UnknownJob { .. }) => {}
                    }
                }
            }
            Err(found) => problems.merge(found),
        }
        (Self { jobs, stamp }, problems)
    }

    /// True when a file of the project looks different from when it was read.
    pub fn is_outdated(&self, root: &Path) -> bool {
        stamp(root) != self.stamp
    }

    /// Takes a changed look of the files for known, without what they say: they are not valid.
    pub fn seen(&mut self, root: &Path) {
        self.stamp = stamp(root);
    }

    /// A job.
    pub fn job(&self, name: &JobName) -> Option<&Arc<LoadedJob>> {
        self.jobs.get(name)
    }

    /// The jobs whose schedule counts, by name.
    pub fn enabled(&self) -> impl Iterator<Item = (&JobName, &Arc<LoadedJob>)> {
        self.jobs.iter().filter(|(_, loaded)| loaded.job.enabled)
    }

    /// Number of jobs.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }
}

/// A number over names, sizes and times of every file that can change what a job does.
fn stamp(root: &Path) -> u64 {
    let mut files = vec![root.join("nightferry.toml"), root.join("connections.toml")];
    for folder in ["jobs", "mappings", "lookups", "calendars"] {
        gather(&root.join(folder), &mut files);
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for path in files {
        let look = std::fs::metadata(&path).ok().map(|found| (found.len(), found.modified().ok()));
        (path, look).hash(&mut hasher);
    }
    hasher.finish()
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() { gather(&path, files) } else { files.push(path) }
    }
}
