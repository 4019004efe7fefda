//! Searching: a run looks for its files, takes those that are ready, and says what is missing. With `--wait` it looks again.

use std::time::Duration;

use super::collect::{self, Listing};
use super::ferry::Ferry;
use super::{Patience, RunError, Step};
use crate::domain::file::shown_name;
use crate::domain::job::Job;
use crate::domain::run::RunState;
use crate::domain::source::{IfNone, OnGap};
use crate::ledger::row::RunFault;
use crate::ports::Target;

/// What a search came to.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What is worth telling: what was looked for and is not there, which numbers are missing, what is left for later.
    pub notes: Vec<String>,
    /// Waiting or failed for want of files.
    pub state: Option<RunState>,
    /// Why it failed.
    pub fault: Option<RunFault>,
}

/// Looks and takes until nothing is missing, or once where nobody waits. A repeat takes only what is new.
pub(super) async fn search<T: Target>(ferry: &mut Ferry<'_, T>, patience: Option<Patience>) -> Result<Found, RunError> {
    let mut waited = Duration::ZERO;
    loop {
        let found = look_once(ferry).await?;
        let Some(patience) = patience.filter(|_| found.state == Some(RunState::Waiting) && !ferry.stopped()) else {
            return Ok(found);
        };
        let left = patience.at_most.map_or(patience.look_every, |most| most.saturating_sub(waited));
        let pause = left.min(patience.look_every);
        if pause.is_zero() {
            return Ok(found);
        }
        ferry.tell(Step::Waiting { notes: found.notes });
        ferry.rest(pause).await;
        waited += pause;
        if ferry.stopped() {
            return Ok(Found::default());
        }
    }
}

async fn look_once<T: Target>(ferry: &mut Ferry<'_, T>) -> Result<Found, RunError> {
    let (date, source) = (ferry.business_date(), ferry.source().await?);
    let listing = collect::look(&ferry.job().source, date, &ferry.memory(), &source).await?;
    ferry.refuse(&listing.refused)?;
    let known = ferry.known()?;
    let there = known.count() + listing.ready.iter().filter(|one| !known.has(&one.file)).count();
    let enough = there >= ferry.job().source.at_least as usize;
    if enough {
        ferry.take(&listing.ready).await?;
    }
    Ok(judge(ferry.job(), &listing, there))
}

/// What a listing means for the run; `there` counts the files that it has and may take.
pub(super) fn judge(job: &Job, listing: &Listing, there: usize) -> Found {
    let mut found = Found::default();
    if there < job.source.at_least as usize {
        found.missing(job, listing, there);
    }
    for gap in &listing.gaps {
        found.notes.push(format!("{}: {}", job.name, gap.words()));
    }
    if listing.waits_for_a_number(&job.source) {
        found.gap(job, listing);
    }
    if !listing.left.is_empty() {
        let (count, names) = (listing.left.len(), names(&listing.left));
        let most = job.source.at_most.unwrap_or_default();
        let note =
            format!("{}: {count} more files match, and `at_most` is {most}: the next run takes {names}", job.name);
        found.notes.push(note);
    }
    found
}

impl Found {
    fn missing(&mut self, job: &Job, listing: &Listing, there: usize) {
        let text = looked_for(listing, there, job);
        match job.source.if_none {
            IfNone::Wait => self.state = Some(RunState::Waiting),
            IfNone::Succeed => {}
            IfNone::Fail => {
                self.fail("no-file", text.clone(), "look at the names above, at `[source] files` and at `--date`");
            }
        }
        let expected =
            if job.source.if_none == IfNone::Succeed { "; none was expected (`if_none = \"succeed\"`)" } else { "" };
        self.notes.push(text + expected);
    }

    fn gap(&mut self, job: &Job, listing: &Listing) {
        let words = listing.gaps.first().map(collect::choose::Gap::words).unwrap_or_default();
        let behind = match listing.behind_gap {
            1 => "1 file behind it waits".to_owned(),
            count => format!("{count} files behind it wait"),
        };
        match job.source.sequence.map(|rule| rule.on_gap) {
            Some(OnGap::Fail) => {
                let hint =
                    "ask the sender for the missing file; when it will never come, run once with `on_gap = \"warn\"`";
                self.fail("sequence-gap", format!("{}: {words}; {behind}", job.name), hint);
            }
            Some(OnGap::Wait) => {
                self.state.get_or_insert(RunState::Waiting);
                if let Some(last) = self.notes.last_mut() {
                    *last = format!("{last}; {behind}");
                }
            }
            Some(OnGap::Warn) | None => {}
        }
    }

    fn fail(&mut self, code: &str, message: String, hint: &str) {
        self.state = Some(RunState::Failed);
        self.fault.get_or_insert(RunFault { code: code.to_owned(), message, hint: Some(hint.to_owned()) });
    }
}

/// What was looked for and what is there instead.
fn looked_for(listing: &Listing, there: usize, job: &Job) -> String {
    let mut text = match (there, job.source.at_least) {
        (0, _) => format!("{}: no file matches {}", job.name, listing.looked_for),
        (there, wanted) => format!("{}: {there} of at least {wanted} files match {}", job.name, listing.looked_for),
    };
    if !listing.not_ready.is_empty() {
        text.push_str(&format!("; not ready yet: {}", names(&listing.not_ready)));
    } else if !listing.nearest.is_empty() {
        text.push_str(&format!("; nearest names there: {}", names(&listing.nearest)));
    } else {
        text.push_str("; no other file is there");
    }
    text
}

/// The first names of a list.
fn names(names: &[Vec<u8>]) -> String {
    const MOST: usize = 5;
    let shown: Vec<_> = names.iter().take(MOST).map(|name| format!("`{}`", shown_name(name))).collect();
    let more = if names.len() > MOST { format!(" and {} more", names.len() - MOST) } else { String::new() };
    shown.join(", ") + &more
}
