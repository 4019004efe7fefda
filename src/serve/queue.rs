//! Which runs may start now: the important first, then the oldest; one of each job, and no more at once than allowed.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::roster::Roster;
use crate::domain::job::Criticality;
use crate::domain::name::{JobName, RunId};
use crate::domain::run::{RunState, Trigger};
use crate::ledger::firing::OpenRun;

/// How long a run that waits for a file is left alone between two looks.
pub const POLL: TimeDelta = TimeDelta::seconds(60);

/// A run to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its job.
    pub job: JobName,
    /// Runs of the job that must be finished first, oldest first.
    pub finish: Vec<RunId>,
    /// The run.
    pub run: RunId,
    /// Begun by its occurrence, or taken up again.
    pub how: How,
}

/// How a run is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Its occurrence came.
    Firing,
    /// A process that is gone left it, or it waited for a file.
    Resume,
}

/// What is under way.
#[derive(Clone, Debug, Default)]
pub struct Active {
    /// Jobs with a run of this process.
    pub jobs: BTreeSet<JobName>,
    /// When a run that waits for a file was last looked after.
    pub polled: BTreeMap<RunId, DateTime<Utc>>,
}

/// The runs to start, in order, at most `places`; and when there may be another.
pub fn next(
    now: DateTime<Utc>,
    open: &[OpenRun],
    roster: &Roster,
    active: &Active,
    places: usize,
) -> (Vec<Start>, Option<DateTime<Utc>>) {
    let mut ready: Vec<(Criticality, &OpenRun)> = Vec::new();
    let mut wake_at: Option<DateTime<Utc>> = None;
    for run in open.iter().filter(|run| !run.held) {
        let Some(loaded) = roster.job(&run.job) else { continue };
        let at = match run.state {
            RunState::Scheduled => {
                let delay =
                    if run.trigger == Trigger::Schedule { loaded.timetable.delay(&run.job) } else { TimeDelta::zero() };
                run.scheduled_for.map_or(now, |at| at + delay)
            }
            RunState::Waiting => active.polled.get(&run.run).map_or(now, |last| *last + POLL),
            RunState::Running => now,
            // Finished before the next run of its job, or by a person.
            _ => continue,
        };
        if at <= now {
            ready.push((loaded.job.criticality, run));
        } else {
            wake_at = Some(wake_at.map_or(at, |earlier| earlier.min(at)));
        }
    }
    ready.sort_by_key(|(criticality, run)| (std::cmp::Reverse(*criticality), run.scheduled_for, run.job.clone()));
    let mut taken = active.jobs.clone();
    let mut starts = Vec::new();
    for (_, run) in ready {
        if starts.len() == places {
            break;
        }
        if taken.insert(run.job.clone()) {
            starts.push(start(run, open));
        }
    }
    (starts, wake_at)
}

fn start(run: &OpenRun, open: &[OpenRun]) -> Start {
    let how = if run.state == RunState::Scheduled { How::Firing } else { How::Resume };
    let unfinished = |other: &&OpenRun| {
        how == How::Firing
            && other.job == run.job
            && !other.held
            && matches!(other.state, RunState::Failed | RunState::Running)
    };
    let finish = open.iter().filter(unfinished).map(|other| other.run.clone()).collect();
    Start { job: run.job.clone(), finish, run: run.run.clone(), how }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(job: &str, state: RunState, minute: u32) -> OpenRun {
        OpenRun {
            run: RunId::new(format!("{job}-{minute}")),
            job: JobName::new(job),
            business_date: "2026-11-23".parse().unwrap(),
            scheduled_for: Some(format!("2026-11-23T03:{minute:02}:00Z").parse().unwrap()),
            trigger: Trigger::Schedule,
            state,
            held: false,
            cancel_asked_by: None,
        }
    }

    #[test]
    fn a_firing_first_finishes_what_an_earlier_run_left() {
        let runs = [open("orders", RunState::Failed, 1), open("orders", RunState::Scheduled, 2)];
        let started = start(&runs[1], &runs);
        assert_eq!(started.finish, [RunId::new("orders-1")]);
        assert_eq!(started.how, How::Firing);
        let abandoned = [open("orders", RunState::Running, 1)];
        assert_eq!(start(&abandoned[0], &abandoned).how, How::Resume);
    }
}
