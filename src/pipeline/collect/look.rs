//! Looking: one listing of the source, and which of its files may be taken now.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;

use super::choose::{self, Candidate, Gap, Matcher};
use crate::domain::reject::FileFault;
use crate::domain::source::{OnGap, ReadyRule, Source};
use crate::pipeline::RunError;
use crate::pipeline::remote_thread::RemoteThread;
use crate::ports::{RemoteError, RemoteFile};

/// What the ledger remembers of a source.
pub trait Memory {
    /// Whether the file, as it stands there, was taken before.
    fn is_seen(&self, file: &RemoteFile) -> Result<bool, RunError>;
    /// The highest number that has arrived.
    fn last_number(&self) -> Result<Option<u64>, RunError>;
}

/// A name that may not be taken, and why.
#[derive(Clone, Debug)]
pub struct Refused {
    /// As it is listed.
    pub file: RemoteFile,
    /// Why.
    pub fault: FileFault,
}

/// What a listing came to.
#[derive(Debug, Default)]
pub struct Listing {
    /// Files that may be taken, in the order of the job.
    pub ready: Vec<Candidate>,
    /// How many of them were not taken before.
    pub fresh: usize,
    /// Matching files that are not ready: still changing, or without the file that lies beside them.
    pub not_ready: Vec<Vec<u8>>,
    /// Names that are never asked for.
    pub refused: Vec<Refused>,
    /// New files beyond `at_most`: the next run takes them.
    pub left: Vec<Vec<u8>>,
    /// Numbers that are missing.
    pub gaps: Vec<Gap>,
    /// Files behind a gap, which wait for it.
    pub behind_gap: usize,
    /// `folder/pattern` as it was looked for.
    pub looked_for: String,
    /// Names in the folder that do not match, nearest first, at most three.
    pub nearest: Vec<Vec<u8>>,
}

/// Lists the source for a business date. Changes nothing; a repeat looks again.
pub async fn look(
    source: &Source,
    date: NaiveDate,
    memory: &(dyn Memory + Sync),
    remote: &RemoteThread,
) -> Result<Listing, RunError> {
    let folder = source.folder.fill(date, "");
    let matcher = Matcher::new(&source.names, date).map_err(|message| RemoteError::Refused { message })?;
    let choice = choose::choose(&matcher, source.ready.companion(), list(remote, &folder).await?);
    let prefix = folder.trim_end_matches('/');
    let looked_for: Vec<_> = matcher.shown().iter().map(|pattern| format!("`{prefix}/{pattern}`")).collect();
    let mut listing = Listing {
        looked_for: looked_for.join(" or "),
        nearest: choose::nearest(matcher.shown(), &choice.others),
        refused: choice.refused,
        ..Listing::default()
    };
    // What was taken before was ready then.
    let (mut seen, mut fresh) = (Vec::new(), Vec::new());
    for one in choice.candidates {
        if memory.is_seen(&one.file)? { seen.push(one) } else { fresh.push(one) }
    }
    let mut fresh = ready(source, date, fresh, &choice.others, &folder, remote, &mut listing.not_ready).await?;
    choose::sort(&mut fresh, source.order);
    if let Some(rule) = source.sequence {
        let before = fresh.len();
        listing.gaps = choose::gaps(&mut fresh, rule, memory.last_number()?);
        listing.behind_gap = before - fresh.len();
    }
    if let Some(most) = source.at_most {
        let beyond = fresh.split_off(fresh.len().min(most as usize));
        listing.left = beyond.into_iter().map(|one| one.file.name).collect();
    }
    listing.fresh = fresh.len();
    listing.ready = seen;
    listing.ready.extend(fresh);
    choose::sort(&mut listing.ready, source.order);
    Ok(listing)
}

impl Listing {
    /// Whether something is missing that the job waits for, or fails without: a number.
    pub fn waits_for_a_number(&self, source: &Source) -> bool {
        self.behind_gap > 0 && source.sequence.is_some_and(|rule| rule.on_gap != OnGap::Warn)
    }
}

async fn ready(
    source: &Source,
    date: NaiveDate,
    fresh: Vec<Candidate>,
    others: &[RemoteFile],
    folder: &str,
    remote: &RemoteThread,
    not_ready: &mut Vec<Vec<u8>>,
) -> Result<Vec<Candidate>, RemoteError> {
    match &source.ready {
        ReadyRule::AtOnce => Ok(fresh),
        ReadyRule::DoneFile(template) | ReadyRule::Checksum(template, _) => {
            let there: HashSet<&[u8]> = others.iter().map(|file| file.name.as_slice()).collect();
            let has_companion = |one: &Candidate| {
                choose::companion_name(template, date, &one.file.name)
                    .is_some_and(|name| there.contains(name.as_slice()))
            };
            Ok(split(fresh, has_companion, not_ready))
        }
        ReadyRule::UnchangedFor(_) if fresh.is_empty() => Ok(fresh),
        ReadyRule::UnchangedFor(pause) => {
            tokio::time::sleep(*pause).await;
            let again = list(remote, folder).await?;
            let again: HashMap<&[u8], &RemoteFile> = again.iter().map(|file| (file.name.as_slice(), file)).collect();
            let unchanged = |one: &Candidate| again.get(one.file.name.as_slice()) == Some(&&one.file);
            Ok(split(fresh, unchanged, not_ready))
        }
    }
}

async fn list(remote: &RemoteThread, folder: &str) -> Result<Vec<RemoteFile>, RemoteError> {
    let folder = folder.to_owned();
    remote.call(move |remote| remote.list(&folder)).await
}

fn split(files: Vec<Candidate>, ready: impl Fn(&Candidate) -> bool, not_ready: &mut Vec<Vec<u8>>) -> Vec<Candidate> {
    let (taken, left): (Vec<_>, Vec<_>) = files.into_iter().partition(ready);
    not_ready.extend(left.into_iter().map(|one| one.file.name));
    taken
}
