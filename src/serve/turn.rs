//! One look round: what is due is decided and written down. Synchronous; the ledger is the only memory.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::roster::Roster;
use crate::config::project::LoadedJob;
use crate::domain::job::Overlap;
use crate::domain::name::JobName;
use crate::domain::run::{RunState, SkipReason, Trigger};
use crate::ledger::firing::{Decided, JobClock, OpenRun};
use crate::ledger::row::RunFault;
use crate::ledger::{Ledger, LedgerError};
use crate::schedule::planner::{self, Due, Known, Pause, Plan};

/// Decides about every occurrence up to `now`. When to look round again, by the clock alone.
///
/// # Errors
/// The ledger's; a repeat decides the rest.
pub fn turn(now: DateTime<Utc>, roster: &Roster, ledger: &Ledger) -> Result<Option<DateTime<Utc>>, LedgerError> {
    let mut wake_at: Option<DateTime<Utc>> = None;
    let mut open: Option<BTreeMap<JobName, Vec<OpenRun>>> = None;
    for (name, loaded) in roster.enabled() {
        if !loaded.timetable.after_jobs.is_empty() {
            continue;
        }
        let clock = ledger.job_clock(name, &fingerprint(loaded), now)?;
        let plan = planner::plan(now, name, &loaded.timetable, &known(&clock));
        if let Some(at) = plan.wake_at {
            wake_at = Some(wake_at.map_or(at, |earlier| earlier.min(at)));
        }
        if plan.due.is_empty() && plan.skipped.is_empty() {
            continue;
        }
        let open = match &mut open {
            Some(open) => open,
            None => open.insert(by_job(ledger.open_runs()?)),
        };
        let of_job = open.get(name).map(Vec::as_slice).unwrap_or_default();
        if !plan.due.is_empty() {
            give_up_waiting(of_job, ledger, now)?;
        }
        ledger.decide(name, &decisions(plan, loaded, of_job), now, now)?;
    }
    Ok(wake_at)
}

/// Decides about the jobs that run behind others: asked again whenever a run has ended.
///
/// # Errors
/// The ledger's; a repeat decides the rest.
pub fn chains(now: DateTime<Utc>, roster: &Roster, ledger: &Ledger) -> Result<(), LedgerError> {
    for (name, loaded) in roster.enabled().filter(|(_, loaded)| !loaded.timetable.after_jobs.is_empty()) {
        let clock = ledger.job_clock(name, &fingerprint(loaded), now)?;
        chain(now, name, loaded, &clock, ledger)?;
    }
    Ok(())
}

/// What must stay the same for earlier decisions to hold.
fn fingerprint(loaded: &LoadedJob) -> String {
    let timetable = &loaded.timetable;
    let cron = timetable.cron.as_ref().map_or("", |cron| cron.text());
    let behind: Vec<&str> = timetable.after_jobs.iter().map(JobName::as_str).collect();
    format!("{cron} {} {} {}", timetable.zone.name(), timetable.on_holiday.word(), behind.join(","))
}

fn known(clock: &JobClock) -> Known {
    let pauses = clock.pauses.iter().map(|&(since, until)| Pause { since, until }).collect();
    Known { planned_through: clock.planned_through, pauses }
}

fn by_job(open: Vec<OpenRun>) -> BTreeMap<JobName, Vec<OpenRun>> {
    let mut jobs: BTreeMap<JobName, Vec<OpenRun>> = BTreeMap::new();
    for run in open {
        jobs.entry(run.job.clone()).or_default().push(run);
    }
    jobs
}

/// A run that still waits for its file ends when the next one of its job is due.
fn give_up_waiting(of_job: &[OpenRun], ledger: &Ledger, now: DateTime<Utc>) -> Result<(), LedgerError> {
    for run in of_job.iter().filter(|run| run.state == RunState::Waiting) {
        let fault = RunFault {
            code: "no-file".to_owned(),
            message: format!("no file came for {} before the next run was due", run.business_date),
            hint: Some(format!("when it comes: `nightferry run {} --date {}`", run.job, run.business_date)),
        };
        ledger.give_up_waiting(&run.run, &fault, now)?;
    }
    Ok(())
}

/// The plan, with `overlap`: while a run of the job is under way at most one waits, or none.
fn decisions(plan: Plan, loaded: &LoadedJob, of_job: &[OpenRun]) -> Vec<Decided> {
    let under_way = of_job.iter().any(|run| run.state == RunState::Running);
    let mut waits = of_job.iter().any(|run| run.state == RunState::Scheduled);
    let mut decided: Vec<Decided> = plan
        .skipped
        .into_iter()
        .map(|skip| Decided {
            scheduled_for: skip.occurrence.at,
            business_date: skip.occurrence.business_date,
            trigger: Trigger::Schedule,
            skipped: Some(skip.reason),
        })
        .collect();
    for Due { occurrence, trigger, .. } in plan.due {
        let overlaps = trigger == Trigger::Schedule
            && match loaded.timetable.overlap {
                Overlap::Skip => under_way || waits,
                Overlap::Wait => waits,
            };
        waits = true;
        decided.push(Decided {
            scheduled_for: occurrence.at,
            business_date: occurrence.business_date,
            trigger,
            skipped: overlaps.then_some(SkipReason::Overlap),
        });
    }
    decided.sort_by_key(|one| one.scheduled_for);
    decided
}

/// A job behind others runs for each business date on which all of them are done.
fn chain(
    now: DateTime<Utc>,
    name: &JobName,
    loaded: &LoadedJob,
    clock: &JobClock,
    ledger: &Ledger,
) -> Result<(), LedgerError> {
    let known = known(clock);
    if known.pauses.iter().any(|pause| pause.since <= now && pause.until.is_none_or(|until| now < until)) {
        return Ok(());
    }
    let decided: Vec<Decided> = ledger
        .chain(name, &loaded.timetable.after_jobs, clock.planned_through)?
        .into_iter()
        .map(|(business_date, scheduled_for)| Decided {
            scheduled_for,
            business_date,
            trigger: Trigger::Schedule,
            skipped: None,
        })
        .collect();
    // `planned_through` stays: what is done later for an earlier date still counts.
    if decided.is_empty() { Ok(()) } else { ledger.decide(name, &decided, clock.planned_through, now) }
}
