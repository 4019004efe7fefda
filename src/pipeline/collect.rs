//! Collect: find the files that are ready, and clean up behind them once everything has its fate.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use globset::GlobBuilder;

use super::remote_thread::RemoteThread;
use crate::domain::job::{Afterwards, DateTemplate, ReadyRule, Source};
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
}
