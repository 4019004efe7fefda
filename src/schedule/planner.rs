//! What is due: `(now, timetable, what is known of the job)` → what to start, what to write off as skipped, when to look again.
//!
//! Pure. Whoever calls it writes each decision down under `(job, scheduled instant)` and thereby moves `planned_through`
//! on, so that asking again after a crash, or with the clock set back, decides nothing twice.

use chrono::{DateTime, TimeDelta, Utc};

use super::timetable::{Day, Occurrence, Timetable};
use crate::domain::job::Misfire;
use crate::domain::name::JobName;
use crate::domain::run::{SkipReason, Trigger};

/// An occurrence that is found later than this was missed.
pub const GRACE: TimeDelta = TimeDelta::seconds(60);

/// At most so many missed occurrences are made up for with `run_each`.
pub const MOST_CATCH_UPS: usize = 100;

/// What the planner must know of a job.
#[derive(Clone, Debug)]
pub struct Known {
    /// Every occurrence up to this instant was decided about.
    pub planned_through: DateTime<Utc>,
    /// When it was paused.
    pub pauses: Vec<Pause>,
}

/// A time in which a job is not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Since when.
    pub since: DateTime<Utc>,
    /// Until when; `None`: until somebody ends it.
    pub until: Option<DateTime<Utc>>,
}

impl Pause {
    fn covers(&self, at: DateTime<Utc>) -> bool {
        self.since <= at && self.until.is_none_or(|until| at < until)
    }
}

/// An occurrence to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The occurrence.
    pub occurrence: Occurrence,
    /// On time, or making up for one that was missed.
    pub trigger: Trigger,
    /// Not before this instant.
    pub start_at: DateTime<Utc>,
}

/// An occurrence that is not started; a row all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// The occurrence.
    pub occurrence: Occurrence,
    /// Why.
    pub reason: SkipReason,
}

/// What is to be done about one job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be started, in order.
    pub due: Vec<Due>,
    /// To be written down as skipped, in order.
    pub skipped: Vec<Skip>,
    /// When there is something to decide again; `None`: not by the clock alone.
    pub wake_at: Option<DateTime<Utc>>,
}

/// Decides about every occurrence of a job up to now.
pub fn plan(now: DateTime<Utc>, job: &JobName, timetable: &Timetable, known: &Known) -> Plan {
    if timetable.cron.is_none() {
        return Plan::default();
    }
    if let Some(pause) = known.pauses.iter().find(|pause| pause.covers(now)) {
        // What falls into the pause is decided about at its end, by `misfire`.
        return Plan { wake_at: pause.until, ..Plan::default() };
    }
    let mut plan = Plan::default();
    let mut missed = Vec::new();
    for occurrence in timetable.occurrences(known.planned_through, now) {
        let paused = known.pauses.iter().any(|pause| pause.covers(occurrence.at));
        if let Day::Skipped(_) = occurrence.day {
            plan.skipped.push(Skip { occurrence, reason: SkipReason::Holiday });
        } else if paused || now - occurrence.at > GRACE {
            let reason = if paused { SkipReason::Paused } else { SkipReason::Missed };
            missed.push(Skip { occurrence, reason });
        } else {
            let start_at = occurrence.at + timetable.delay(job);
            plan.due.push(Due { occurrence, trigger: Trigger::Schedule, start_at });
        }
    }
    let caught_up = catch_up(now, timetable, &missed);
    for (at, skip) in missed.into_iter().enumerate() {
        if caught_up.contains(&at) {
            plan.due.push(Due { occurrence: skip.occurrence, trigger: Trigger::CatchUp, start_at: now });
        } else {
            plan.skipped.push(skip);
        }
    }
    plan.due.sort_by_key(|due| due.occurrence.at);
    plan.skipped.sort_by_key(|skip| skip.occurrence.at);
    plan.wake_at = timetable.next(now.max(known.planned_through)).map(|next| next.at);
    plan
}

/// Which of the missed occurrences are made up for.
fn catch_up(now: DateTime<Utc>, timetable: &Timetable, missed: &[Skip]) -> std::ops::Range<usize> {
    let most = match timetable.misfire {
        Misfire::Skip => 0,
        Misfire::RunOnce => 1,
        Misfire::RunEach => MOST_CATCH_UPS,
    };
    let limit = timetable.max_lateness.and_then(|limit| TimeDelta::from_std(limit).ok());
    let in_time = |skip: &Skip| limit.is_none_or(|limit| now - skip.occurrence.at <= limit);
    let first = missed.iter().position(in_time).unwrap_or(missed.len());
    first.max(missed.len().saturating_sub(most))..missed.len()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::job::OnHoliday;
    use crate::schedule::cron::CronExpr;
    use crate::schedule::zone::Zone;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-{text}:00Z").parse().unwrap()
    }

    fn timetable(cron: &str, misfire: Misfire) -> Timetable {
        let cron = Some(CronExpr::parse(cron).unwrap());
        Timetable { cron, misfire, ..Timetable::unscheduled(Zone::get("UTC").unwrap()) }
    }

    fn known(planned_through: &str) -> Known {
        Known { planned_through: at(planned_through), pauses: Vec::new() }
    }

    /// `start 11-23 03:15 schedule`, `skip 11-22 03:15 missed`, `wake 11-24 03:15`.
    fn told(now: &str, timetable: &Timetable, known: &Known) -> Vec<String> {
        let plan = plan(at(now), &JobName::new("orders"), timetable, known);
        let when = |occurrence: &Occurrence| occurrence.at.format("%m-%d %H:%M").to_string();
        let skipped = plan.skipped.iter().map(|skip| format!("skip {} {}", when(&skip.occurrence), skip.reason.word()));
        let due = plan.due.iter().map(|due| format!("start {} {}", when(&due.occurrence), due.trigger.word()));
        let wake = plan.wake_at.iter().map(|wake| format!("wake {}", wake.format("%m-%d %H:%M")));
        skipped.chain(due).chain(wake).collect()
    }

    #[test]
    fn a_job_is_started_at_its_time_and_never_again_for_it() {
        let nightly = timetable("15 3 * * *", Misfire::RunOnce);
        assert_eq!(told("11-23T03:14", &nightly, &known("11-22T03:15")), ["wake 11-23 03:15"]);
        assert_eq!(
            told("11-23T03:15", &nightly, &known("11-22T03:15")),
            ["start 11-23 03:15 schedule", "wake 11-24 03:15"]
        );
        assert_eq!(told("11-23T03:15", &nightly, &known("11-23T03:15")), ["wake 11-24 03:15"]);
    }

    #[test]
    fn c01_a_step_of_the_clock_forward_makes_up_for_what_it_jumped_over_once() {
        let nightly = timetable("15,30,45 3 * * *", Misfire::RunOnce);
        assert_eq!(
            told("11-23T04:10", &nightly, &known("11-23T03:10")),
            ["skip 11-23 03:15 missed", "skip 11-23 03:30 missed", "start 11-23 03:45 catch_up", "wake 11-24 03:15"]
        );
    }

    #[test]
    fn c02_a_step_of_the_clock_back_repeats_nothing() {
        let nightly = timetable("15 3 * * *", Misfire::RunEach);
        assert_eq!(told("11-23T02:16", &nightly, &known("11-23T03:15")), ["wake 11-24 03:15"]);
    }

    #[test]
    fn c03_a_day_back_and_forth_starts_no_storm() {
        let hourly = timetable("0 * * * *", Misfire::RunEach);
        assert_eq!(told("11-22T12:30", &hourly, &known("11-23T12:00")), ["wake 11-23 13:00"]);
        assert_eq!(told("11-23T12:30", &hourly, &known("11-23T12:00")), ["wake 11-23 13:00"]);
    }

    #[test]
    fn c04_three_days_down_are_one_run_or_each_or_none() {
        let down = |misfire| told("11-23T09:00", &timetable("15 3 * * *", misfire), &known("11-20T03:15"));
        let skip = |day: u32| format!("skip 11-{day} 03:15 missed");
        let start = |day: u32| format!("start 11-{day} 03:15 catch_up");
        let wake = "wake 11-24 03:15".to_owned();
        assert_eq!(down(Misfire::RunOnce), [skip(21), skip(22), start(23), wake.clone()]);
        assert_eq!(down(Misfire::RunEach), [start(21), start(22), start(23), wake.clone()]);
        assert_eq!(down(Misfire::Skip), [skip(21), skip(22), skip(23), wake]);
    }

    #[test]
    fn c04_no_more_than_a_hundred_are_made_up_for_and_the_rest_are_rows() {
        let often = timetable("*/5 * * * *", Misfire::RunEach);
        let plan = plan(at("11-23T10:00"), &JobName::new("orders"), &often, &known("11-22T10:00"));
        assert_eq!((plan.due.len(), plan.skipped.len()), (101, 187));
        // The last is on time.
        assert_eq!(plan.due.iter().filter(|due| due.trigger == Trigger::CatchUp).count(), 100);
        assert!(plan.skipped.iter().all(|skip| skip.reason == SkipReason::Missed));
        assert!(plan.skipped.last().unwrap().occurrence.at < plan.due[0].occurrence.at);
    }

    #[test]
    fn what_is_too_late_is_not_made_up_for() {
        let mut nightly = timetable("15 3 * * *", Misfire::RunEach);
        nightly.max_lateness = Some(Duration::from_secs(36 * 3600));
        assert_eq!(
            told("11-23T09:00", &nightly, &known("11-20T03:15")),
            ["skip 11-21 03:15 missed", "start 11-22 03:15 catch_up", "start 11-23 03:15 catch_up", "wake 11-24 03:15"]
        );
    }

    #[test]
    fn a_pause_is_decided_about_at_its_end() {
        let mut job = known("11-20T03:15");
        job.pauses = vec![Pause { since: at("11-20T12:00"), until: None }];
        assert!(told("11-23T09:00", &timetable("15 3 * * *", Misfire::RunOnce), &job).is_empty());
        job.pauses = vec![Pause { since: at("11-20T12:00"), until: Some(at("11-22T12:00")) }];
        assert_eq!(told("11-21T09:00", &timetable("15 3 * * *", Misfire::RunOnce), &job), ["wake 11-22 12:00"]);
        assert_eq!(
            told("11-22T12:00", &timetable("15 3 * * *", Misfire::Skip), &job),
            ["skip 11-21 03:15 paused", "skip 11-22 03:15 paused", "wake 11-23 03:15"]
        );
        assert_eq!(
            told("11-22T12:00", &timetable("15 3 * * *", Misfire::RunOnce), &job),
            ["skip 11-21 03:15 paused", "start 11-22 03:15 catch_up", "wake 11-23 03:15"]
        );
    }

    #[test]
    fn a_holiday_is_a_row_and_never_made_up_for() {
        let mut nightly = timetable("15 3 * * *", Misfire::RunEach);
        nightly.on_holiday = OnHoliday::Skip;
        assert_eq!(
            told("11-23T09:00", &nightly, &known("11-20T12:00")),
            ["skip 11-21 03:15 holiday", "skip 11-22 03:15 holiday", "start 11-23 03:15 catch_up", "wake 11-24 03:15"]
        );
    }
}
