//! The near end of a run: files are taken, landed, passed over, and cleaned up behind.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use chrono::NaiveDate;

use super::Ferry;
use crate::domain::file::{FileState, shown_name};
use crate::domain::name::JobName;
use crate::domain::reject::{FileFault, RejectCode};
use crate::domain::source::{Afterwards, ReadyRule, SeenBefore};
use crate::ledger::Ledger;
use crate::ledger::row::{Earlier, FileRow};
use crate::pipeline::ahead::Ahead;
use crate::pipeline::collect::choose::Candidate;
use crate::pipeline::collect::{self, Memory, Refused};
use crate::pipeline::land::{self, LandFault};
use crate::pipeline::mapped::Artifacts;
use crate::pipeline::remote_thread::RemoteThread;
use crate::pipeline::{Place, RunError, Step, open_remote};
use crate::ports::{RemoteFile, Target};

/// Marks the folder of a file that `run --file` took from this machine.
const HERE: &str = "here:";

/// Whether a person gave the file, with `run --file`.
pub(super) fn is_by_hand(file: &FileRow) -> bool {
    file.folder.starts_with(HERE)
}

impl<T: Target> Ferry<'_, T> {
    /// The source, opened once.
    pub(in crate::pipeline) async fn source(&mut self) -> Result<Arc<RemoteThread>, RunError> {
        if let Some(source) = &self.source {
            return Ok(source.clone());
        }
        let name = self.order.job.source.connection.as_str();
        let opened = Arc::new(open_remote(&self.ports.open_remote, Place::Source, name).await?);
        self.source = Some(opened.clone());
        Ok(opened)
    }

    async fn remote_of(&mut self, folder: &str) -> Result<(Arc<RemoteThread>, String), RunError> {
        let Some(local) = folder.strip_prefix(HERE) else {
            return Ok((self.source().await?, folder.to_owned()));
        };
        if self.here.is_none() {
            self.here = Some(Arc::new(open_remote(&self.ports.open_remote, Place::Here, "this machine").await?));
        }
        self.here.clone().map(|here| (here, local.to_owned())).ok_or_else(|| RunError::Internal("no remote".into()))
    }

    /// Whether the run was begun with a file of this machine.
    pub(in crate::pipeline) fn was_given_a_file(&self) -> Result<bool, RunError> {
        Ok(self.ledger.files(&self.lease.run)?.iter().any(|file| file.folder.starts_with(HERE)))
    }

    /// Files that this run already has.
    pub(in crate::pipeline) fn known(&self) -> Result<Known, RunError> {
        let rows = self.ledger.files(&self.lease.run)?;
        Ok(Known(rows.into_iter().map(|row| (row.name.clone(), row)).fold(HashMap::new(), |mut known, (name, row)| {
            known.entry(name).or_insert_with(Vec::new).push(row);
            known
        })))
    }

    /// What the ledger remembers of the job's files.
    pub(in crate::pipeline) fn memory(&self) -> Remembered<'_> {
        let (source, date) = (&self.order.job.source, self.business_date());
        Remembered {
            ledger: self.ledger,
            job: &self.order.job.name,
            folder: source.folder.fill(date, ""),
            date: source.sequence.is_some_and(|rule| rule.daily).then_some(date),
            // Not read again: with `keep` a year of files may lie there.
            kept: source.seen_before != SeenBefore::Process && source.afterwards == Afterwards::Keep,
        }
    }

    /// Writes down the names that may not be taken, once for a run.
    pub(in crate::pipeline) fn refuse(&mut self, refused: &[Refused]) -> Result<(), RunError> {
        if refused.is_empty() {
            return Ok(());
        }
        let folder = self.order.job.source.folder.fill(self.business_date(), "");
        let known = self.known()?;
        for Refused { file, fault } in refused {
            if known.is_refused(file) {
                continue;
            }
            let size = file.size.unwrap_or(0);
            let row = self.ledger.found(self.lease, &folder, &file.name, size, file.mtime, None)?;
            self.fail(&row, fault, None)?;
        }
        Ok(())
    }

    /// Takes the listed files that this run does not have yet, in their order.
    pub(in crate::pipeline) async fn take(&mut self, listed: &[Candidate]) -> Result<(), RunError> {
        let folder = self.order.job.source.folder.fill(self.business_date(), "");
        let known = self.known()?;
        let fresh: Vec<&Candidate> = listed.iter().filter(|one| !known.has(&one.file)).collect();
        self.ahead = self.fetch_ahead(&folder, &fresh).await?;
        for one in fresh {
            if self.ports.stop.is_requested() {
                self.interrupted = true;
            }
            if self.stopped() {
                break;
            }
            self.take_one(&folder, &one.file, one.number).await?;
        }
        self.ahead = None;
        Ok(())
    }

    /// Several files are on their way at once; whatever comes of each is taken in the order of the listing.
    async fn fetch_ahead(&mut self, folder: &str, fresh: &[&Candidate]) -> Result<Option<Ahead>, RunError> {
        let mut files = Vec::new();
        for one in fresh {
            if self.memory().earlier(folder, &one.file)?.is_none() {
                files.push(one.file.clone());
            }
        }
        if files.len() < 2 {
            return Ok(None);
        }
        let progress = self.ports.progress.clone();
        let tell = move |file: &RemoteFile, done| {
            progress.step(Step::Landing { name: shown_name(&file.name), done, total: file.size });
        };
        let source = self.source().await?;
        Ok(Some(Ahead::new(source, folder, files, &self.folder, Arc::new(tell)).await))
    }

    /// Takes a file of this machine as if the source had it; `afterwards` leaves it alone.
    pub(in crate::pipeline) async fn take_local(&mut self, path: &Path) -> Result<(), RunError> {
        use std::os::unix::ffi::OsStrExt;
        let path = path.canonicalize().map_err(|error| missing(path, &error))?;
        let (Some(folder), Some(name)) = (path.parent().and_then(Path::to_str), path.file_name()) else {
            return Err(missing(&path, &std::io::Error::from(std::io::ErrorKind::InvalidInput)));
        };
        let (remote, local) = self.remote_of(&format!("{HERE}{folder}")).await?;
        let name = name.as_bytes().to_vec();
        let file = remote.call(move |remote| remote.stat(&local, &name)).await?;
        let file = file.ok_or_else(|| missing(&path, &std::io::Error::from(std::io::ErrorKind::NotFound)))?;
        if self.known()?.has(&file) {
            return Ok(());
        }
        self.take_one(&format!("{HERE}{folder}"), &file, None).await
    }

    async fn take_one(&mut self, folder: &str, file: &RemoteFile, number: Option<u64>) -> Result<(), RunError> {
        let earlier = self.memory().earlier(folder, file)?;
        let size = file.size.unwrap_or(0);
        let row = self.ledger.found(self.lease, folder, &file.name, size, file.mtime, number)?;
        match earlier {
            Some(earlier) => self.pass_over(&row, &earlier),
            None => self.carry(row).await,
        }
    }

    pub(super) async fn land(&mut self, file: &FileRow) -> Result<(), RunError> {
        let (remote, folder) = self.remote_of(&file.folder).await?;
        let listed = RemoteFile { name: file.name.clone(), size: Some(file.size), mtime: file.mtime };
        let artifacts = Artifacts::new(&self.folder, file.ordinal);
        let (progress, name, total) = (self.ports.progress.clone(), shown_name(&file.name), file.size);
        let tell = move |done| progress.step(Step::Landing { name: name.clone(), done, total: Some(total) });
        let fetched = match &mut self.ahead {
            Some(ahead) if !file.folder.starts_with(HERE) => ahead.take(&listed, &artifacts.landed).await,
            _ => None,
        };
        let landed = match fetched {
            Some(landed) => landed,
            None => land::land(&remote, &folder, &listed, &artifacts.landed, tell).await,
        };
        match landed {
            Ok(landed) => {
                if let Err(fault) = self.compare(file, &remote, &folder, &artifacts.landed).await? {
                    // Nothing of it may be used, and the next run copies it anew.
                    let _ = std::fs::remove_file(&artifacts.landed);
                    return self.fail(file, &fault, None);
                }
                self.ledger.landed(self.lease, file.id, landed.size, &landed.sha256)?;
                Ok(())
            }
            Err(LandFault::Vanished) => {
                let (job, name) = (&self.order.job.name, shown_name(&file.name));
                tracing::warn!("{job}: `{name}` vanished between the listing and the copy; nothing was claimed");
                Ok(self.ledger.forget(self.lease, file.id)?)
            }
            Err(LandFault::File(fault)) => self.fail(file, &fault, None),
            Err(LandFault::Remote(error)) => Err(error.into()),
        }
    }

    /// Compares a landed file with the checksum that lies beside it, where the job has one.
    async fn compare(
        &self,
        file: &FileRow,
        remote: &RemoteThread,
        folder: &str,
        landed: &Path,
    ) -> Result<Result<(), FileFault>, RunError> {
        match &self.order.job.source.ready {
            ReadyRule::Checksum(template, kind) if !is_by_hand(file) => {
                let rule = (template, *kind, self.business_date());
                Ok(collect::checksum::verify(remote, folder, &file.name, rule, landed).await?)
            }
            _ => Ok(Ok(())),
        }
    }

    /// Decides about content that was delivered before. Asked again after a crash: another run may have delivered it since.
    pub(super) fn admit(&mut self, file: &FileRow) -> Result<(), RunError> {
        let sha256 = file.sha256.as_ref().ok_or_else(|| RunError::Internal("a landed file has no hash".to_owned()))?;
        let Some(earlier) = self.ledger.landed(self.lease, file.id, file.size, sha256)? else { return Ok(()) };
        match self.order.job.source.seen_before {
            SeenBefore::Skip => self.pass_over(file, &earlier),
            SeenBefore::Process => Ok(self.ledger.set_pass(self.lease, file.id, earlier.pass + 1)?),
            SeenBefore::Reject => {
                let message = format!(
                    "`{}` has the same content as `{}` of run {}",
                    shown_name(&file.name),
                    shown_name(&earlier.name),
                    earlier.run
                );
                self.fail(file, &fault_of_file(RejectCode::SeenBefore, message), None)
            }
        }
    }

    pub(super) fn pass_over(&mut self, file: &FileRow, earlier: &Earlier) -> Result<(), RunError> {
        let renamed = (file.name != earlier.name).then(|| {
            format!("the same content was delivered as `{}` in run {}", shown_name(&earlier.name), earlier.run)
        });
        self.ledger.pass_over(self.lease, file.id, earlier, renamed.as_deref())?;
        let artifacts = Artifacts::new(&self.folder, file.ordinal);
        // The earlier run keeps this content; a second copy proves nothing more.
        let _ = std::fs::remove_file(&artifacts.landed);
        Ok(())
    }

    /// Cleans up on the remote side. Its failure never undoes a delivery: the next run passes the file over and tries again.
    pub(super) async fn dispose(&mut self, file: &FileRow) -> Result<(), RunError> {
        let keep = self.order.job.source.afterwards == Afterwards::Keep || is_by_hand(file);
        if file.disposed || keep || file.records.unanswered > 0 || file.records.pending > 0 {
            return Ok(());
        }
        if file.state == FileState::PassedOver && !self.ledger.is_settled_elsewhere(file.id)? {
            return Ok(());
        }
        let (remote, folder) = self.remote_of(&file.folder).await?;
        let (source, run) = (&self.order.job.source, self.lease.run.as_str());
        match collect::dispose(source, self.business_date(), &folder, &file.name, run, &remote).await {
            Ok(()) => Ok(self.ledger.disposed(self.lease, file.id)?),
            Err(error) => {
                let (job, name) = (&self.order.job.name, shown_name(&file.name));
                tracing::warn!(
                    "{job}: {name} was delivered, but `afterwards` failed: {error}; the next run tries again"
                );
                let warning = format!("it was delivered, but `afterwards` failed: {error}");
                Ok(self.ledger.warn_of_file(self.lease, file.id, &warning)?)
            }
        }
    }
}

/// Files of a run, by name.
pub(in crate::pipeline) struct Known(HashMap<Vec<u8>, Vec<FileRow>>);

impl Known {
    /// How many there are.
    pub(in crate::pipeline) fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Whether the run has the file as it stands there.
    pub(in crate::pipeline) fn has(&self, file: &RemoteFile) -> bool {
        self.0.get(&file.name).into_iter().flatten().any(|row| {
            row.reason != Some(RejectCode::NameConflict)
                && row.mtime == file.mtime
                && file.size.is_none_or(|size| size == row.size)
        })
    }

    fn is_refused(&self, file: &RemoteFile) -> bool {
        let refused = |row: &FileRow| matches!(row.reason, Some(RejectCode::NameConflict | RejectCode::BadName));
        self.0.get(&file.name).into_iter().flatten().any(refused)
    }
}

/// The ledger's memory of a job's files.
pub(in crate::pipeline) struct Remembered<'a> {
    ledger: &'a Ledger,
    job: &'a JobName,
    folder: String,
    /// Only numbers of this business date count.
    date: Option<NaiveDate>,
    /// Files stay where they are, and what was taken is not read again.
    kept: bool,
}

impl Remembered<'_> {
    fn earlier(&self, folder: &str, file: &RemoteFile) -> Result<Option<Earlier>, RunError> {
        if !self.kept {
            return Ok(None);
        }
        let size = file.size.unwrap_or(0);
        Ok(self.ledger.earlier_same_stat(self.job, folder, &file.name, size, file.mtime)?)
    }
}

impl Memory for Remembered<'_> {
    fn is_seen(&self, file: &RemoteFile) -> Result<bool, RunError> {
        Ok(self.earlier(&self.folder, file)?.is_some())
    }

    fn last_number(&self) -> Result<Option<u64>, RunError> {
        Ok(self.ledger.last_number(self.job, self.date)?)
    }
}

fn fault_of_file(code: RejectCode, message: String) -> FileFault {
    FileFault { code, row: None, byte: 0, column: None, message }
}

pub(in crate::pipeline) fn missing(path: &Path, error: &std::io::Error) -> RunError {
    crate::ports::RemoteError::Refused { message: format!("{}: {error}", path.display()) }.into()
}
