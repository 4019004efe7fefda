//! Collect: find the files that are ready, land them whole, and clean up behind them once everything has its fate.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use globset::GlobBuilder;
use sha2::{Digest, Sha256};

use super::remote_thread::RemoteThread;
use crate::domain::job::{Afterwards, DateTemplate, ReadyRule, Source};
use crate::domain::name::Sha256Hex;
use crate::domain::reject::{FileFault, RejectCode};
use crate::ports::{RemoteError, RemoteFile};

/// What a listing came to.
#[derive(Debug, Default)]
pub struct Listing {
    /// Files that may be taken, by name.
    pub ready: Vec<RemoteFile>,
    /// Matching files that are not ready: still changing, or without their done file.
    pub not_ready: Vec<Vec<u8>>,
    /// `folder/pattern` as it was looked for.
    pub looked_for: String,
    /// Names in the folder that do not match, nearest first, at most three.
    pub nearest: Vec<Vec<u8>>,
}

/// Lists the source for a business date. Changes nothing; a repeat looks again.
pub async fn ready_files(source: &Source, date: NaiveDate, remote: &RemoteThread) -> Result<Listing, RemoteError> {
    let folder = source.folder.fill(date, "");
    let pattern = source.files.fill(date, "");
    let glob = GlobBuilder::new(&pattern).literal_separator(true).build().map(|glob| glob.compile_matcher());
    let glob = glob.map_err(|error| RemoteError::Refused { message: format!("`{pattern}`: {error}") })?;

    let first = list(remote, &folder).await?;
    let (matching, others): (Vec<_>, Vec<_>) = first.into_iter().partition(|file| glob.is_match(as_path(&file.name)));
    let mut listing = Listing {
        looked_for: format!("{}/{pattern}", folder.trim_end_matches('/')),
        nearest: nearest(&pattern, &others),
        ..Listing::default()
    };
    let mut ready = match &source.ready {
        ReadyRule::AtOnce => matching,
        ReadyRule::DoneFile(template) => {
            let is_done = |file: &RemoteFile| has_done_file(template, date, file, &others);
            split(matching, is_done, &mut listing.not_ready)
        }
        ReadyRule::UnchangedFor(_) if matching.is_empty() => matching,
        ReadyRule::UnchangedFor(pause) => {
            tokio::time::sleep(*pause).await;
            let second = list(remote, &folder).await?;
            split(matching, |file| second.contains(file), &mut listing.not_ready)
        }
    };
    ready.sort_by(|a, b| a.name.cmp(&b.name));
    listing.ready = ready;
    Ok(listing)
}

async fn list(remote: &RemoteThread, folder: &str) -> Result<Vec<RemoteFile>, RemoteError> {
    let folder = folder.to_owned();
    remote.call(move |remote| remote.list(&folder)).await
}

fn split(files: Vec<RemoteFile>, ready: impl Fn(&RemoteFile) -> bool, not_ready: &mut Vec<Vec<u8>>) -> Vec<RemoteFile> {
    let (taken, left): (Vec<_>, Vec<_>) = files.into_iter().partition(ready);
    not_ready.extend(left.into_iter().map(|file| file.name));
    taken
}

fn has_done_file(template: &DateTemplate, date: NaiveDate, file: &RemoteFile, others: &[RemoteFile]) -> bool {
    // A name that is not UTF-8 cannot be spelt in a template, so it has no done file.
    std::str::from_utf8(&file.name)
        .is_ok_and(|name| others.iter().any(|other| other.name == template.fill(date, name).as_bytes()))
}

fn as_path(name: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(name))
}

/// The names that share the longest beginning with the pattern: what an operator looks for when nothing matched.
fn nearest(pattern: &str, others: &[RemoteFile]) -> Vec<Vec<u8>> {
    let shared = |name: &[u8]| name.iter().zip(pattern.as_bytes()).take_while(|(a, b)| a == b).count();
    let mut names: Vec<&[u8]> = others.iter().map(|file| file.name.as_slice()).collect();
    names.sort_by_key(|name| (std::cmp::Reverse(shared(name)), name.to_vec()));
    names.into_iter().take(3).map(<[u8]>::to_vec).collect()
}

/// A file that is whole in our own folder.
#[derive(Clone, Debug)]
pub struct Landed {
    /// Bytes copied.
    pub size: u64,
    /// Of those bytes.
    pub sha256: Sha256Hex,
}

/// Why a file could not be landed.
#[derive(Debug)]
pub enum LandFault {
    /// It is gone since the listing: noted, nothing claimed.
    Vanished,
    /// A fault of this file; the others go on.
    File(FileFault),
    /// The remote or our own disk failed: the run cannot go on.
    Remote(RemoteError),
}

/// Copies `file` to `target`: streamed, hashed, compared with a second look at the remote side, fsynced, renamed.
/// A repeat starts over; a half copy never carries the final name.
pub async fn land(
    remote: &RemoteThread,
    folder: &str,
    file: &RemoteFile,
    target: &Path,
    progress: impl Fn(u64) + Send + 'static,
) -> Result<Landed, LandFault> {
    let part = target.with_extension("part");
    let (folder_text, seen, part_path) = (folder.to_owned(), file.clone(), part.clone());
    let copied = remote
        .call(move |remote| {
            let before = remote.stat(&folder_text, &seen.name)?;
            if before.is_none() {
                return Ok(None);
            }
            let mut sink = HashedFile::create(&part_path)?;
            let mut written = 0;
            let size = remote.copy(&folder_text, &seen.name, &mut |bytes| {
                written += bytes.len() as u64;
                progress(written);
                sink.write(bytes)
            })?;
            let after = remote.stat(&folder_text, &seen.name)?;
            Ok(Some((sink.finish(size)?, after)))
        })
        .await;
    let outcome = match copied {
        Ok(None) => Err(LandFault::Vanished),
        Ok(Some((landed, after))) => verify(file, &landed, after.as_ref()).map(|()| landed),
        Err(RemoteError::Refused { message }) => Err(LandFault::File(fault(RejectCode::Unreadable, message))),
        Err(error) => Err(LandFault::Remote(error)),
    };
    match outcome {
        Ok(landed) => publish(&part, target).map(|()| landed).map_err(|error| LandFault::Remote(error.into())),
        Err(fault) => {
            // The half copy may be what fills the disk; that it cannot be removed is not worth hiding the real fault.
            let _ = fs::remove_file(&part);
            Err(fault)
        }
    }
}

/// The remote file must be, after the read, what it was in the listing; and we must hold as many bytes as it has.
fn verify(listed: &RemoteFile, landed: &Landed, after: Option<&RemoteFile>) -> Result<(), LandFault> {
    let name = String::from_utf8_lossy(&listed.name).into_owned();
    let Some(after) = after else { return Err(LandFault::Vanished) };
    if (after.size, after.mtime) != (listed.size, listed.mtime) {
        let message = format!("`{name}` changed while it was read; the copy was thrown away and a later run takes it");
        return Err(LandFault::File(fault(RejectCode::ChangedWhileReading, message)));
    }
    match after.size {
        Some(size) if size != landed.size => {
            let message = format!("the server says `{name}` has {size} bytes, but {} arrived", landed.size);
            Err(LandFault::File(fault(RejectCode::SizeMismatch, message)))
        }
        _ => Ok(()),
    }
}

fn fault(code: RejectCode, message: String) -> FileFault {
    FileFault { code, row: None, byte: 0, column: None, message }
}

/// A new file of ours, mode 0600, hashed as it is written.
struct HashedFile {
    file: File,
    hash: Sha256,
}

impl HashedFile {
    fn create(path: &Path) -> std::io::Result<Self> {
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Ok(Self { file, hash: Sha256::new() })
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hash.update(bytes);
        self.file.write_all(bytes)
    }

    fn finish(self, size: u64) -> std::io::Result<Landed> {
        self.file.sync_all()?;
        Ok(Landed { size, sha256: hex(&self.hash.finalize()) })
    }
}

/// Lower-case hexadecimal digits of a digest.
pub fn hex(digest: &[u8]) -> Sha256Hex {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(digest.len() * 2);
    for byte in digest {
        let _ = write!(text, "{byte:02x}");
    }
    Sha256Hex::new(text)
}

fn publish(part: &Path, target: &Path) -> std::io::Result<()> {
    fs::rename(part, target)?;
    target.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Does on the remote side what `afterwards` says. Last, alone, repeatable: what is already gone or moved is a success.
pub async fn dispose(
    source: &Source,
    date: NaiveDate,
    folder: &str,
    name: &[u8],
    run: &str,
    remote: &RemoteThread,
) -> Result<(), RemoteError> {
    let (folder, name) = (folder.to_owned(), name.to_vec());
    match &source.afterwards {
        Afterwards::Keep => Ok(()),
        Afterwards::Delete => remote.call(move |remote| remote.delete(&folder, &name)).await,
        Afterwards::MoveTo(template) => {
            let to = template.fill(date, &String::from_utf8_lossy(&name));
            let aside = aside_name(&name, run);
            remote
                .call(move |remote| {
                    if remote.stat(&folder, &name)?.is_none() {
                        return Ok(());
                    }
                    // Never over a file that is there: the second of the same name carries its run.
                    let new_name = if remote_has(remote, &to, &name)? { &aside } else { &name };
                    remote.rename(&folder, &name, &to, new_name)
                })
                .await
        }
    }
}

fn remote_has(remote: &mut dyn crate::ports::Remote, folder: &str, name: &[u8]) -> Result<bool, RemoteError> {
    match remote.stat(folder, name) {
        Ok(found) => Ok(found.is_some()),
        // The folder is not there yet; `rename` makes it.
        Err(RemoteError::Refused { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn aside_name(name: &[u8], run: &str) -> Vec<u8> {
    [name, b".", run.as_bytes()].concat()
}

/// The folder of a run's own files, made with mode 0700.
pub fn run_folder(data: &Path, run: &str) -> std::io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let folder = data.join("files").join(run);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> RemoteFile {
        RemoteFile { name: name.into(), size: Some(1), mtime: Some(1) }
    }

    #[test]
    fn the_nearest_names_share_the_longest_beginning() {
        let others = [named("readme.txt"), named("orders_20261122.csv"), named("orders_x"), named("order"), named("z")];
        let names: Vec<_> = nearest("orders_20261123*.csv", &others).into_iter().map(String::from_utf8).collect();
        assert_eq!(names, [Ok("orders_20261122.csv".into()), Ok("orders_x".into()), Ok("order".into())]);
    }

    #[test]
    fn a_file_that_is_not_what_was_listed_is_thrown_away() {
        let landed = Landed { size: 1, sha256: Sha256Hex::new("") };
        let grown = RemoteFile { size: Some(2), ..named("a") };
        assert!(verify(&named("a"), &landed, Some(&named("a"))).is_ok());
        let Err(LandFault::File(fault)) = verify(&named("a"), &landed, Some(&grown)) else { panic!("accepted") };
        assert_eq!(fault.code, RejectCode::ChangedWhileReading);
        let Err(LandFault::File(fault)) = verify(&grown, &landed, Some(&grown)) else { panic!("accepted") };
        assert_eq!(fault.message, "the server says `a` has 2 bytes, but 1 arrived");
        assert!(matches!(verify(&named("a"), &landed, None), Err(LandFault::Vanished)));
    }
}
