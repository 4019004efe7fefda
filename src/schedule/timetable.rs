//! When a job is due: its expression, seen through the zone and the calendar.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

use super::business_date::BusinessDay;
use super::calendar::Calendar;
use super::cron::CronExpr;
use super::firing::{self, Firing, Shift};
use super::zone::{Wall, Zone};
use crate::domain::job::{BusinessDateRule, Misfire, OnHoliday, Overlap};
use crate::domain::name::JobName;

/// `[schedule]` of a job.
#[derive(Clone, Debug)]
pub struct Timetable {
    /// The zone of its clock.
    pub zone: Zone,
    /// When it fires; `None` for jobs that are run by hand or behind another.
    pub cron: Option<CronExpr>,
    /// Which days count.
    pub calendar: Calendar,
    /// What happens on days that do not count.
    pub on_holiday: OnHoliday,
    /// The day the data is about.
    pub business_day: BusinessDay,
    /// What a missed occurrence means.
    pub misfire: Misfire,
    /// Occurrences missed by more than this are not made up for.
    pub max_lateness: Option<Duration>,
    /// What an occurrence means while the job still runs.
    pub overlap: Overlap,
    /// When everything must have arrived.
    pub expected_by: Option<ExpectedBy>,
    /// A run that takes longer is stopped.
    pub timeout: Option<Duration>,
    /// Starts are spread over this time, each job at its own place in it.
    pub jitter: Option<Duration>,
    /// The job runs behind these, once they are done for the same business date.
    pub after_jobs: Vec<JobName>,
}

/// `expected_by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedBy {
    /// The first such time of the day after the scheduled instant.
    Time(NaiveTime),
    /// So long after the scheduled instant.
    After(Duration),
}

/// One time at which a job is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// The scheduled instant: with the job, the run key.
    pub at: DateTime<Utc>,
    /// What the clock on the wall shows then.
    pub local: NaiveDateTime,
    /// The day the data is about.
    pub business_date: NaiveDate,
    /// What a change of the clock does to it.
    pub shift: Shift,
    /// What the calendar does to it.
    pub day: Day,
}

/// What the calendar does to an occurrence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Day {
    /// The day counts, or the job runs on every day.
    Open,
    /// The day does not count, and the job runs all the same.
    RunsAnyway(String),
    /// The day does not count: the job does not run.
    Skipped(String),
    /// It was due on this day, which does not count.
    MovedFrom(NaiveDate, String),
}

impl Timetable {
    /// Of a job that is run by hand.
    pub fn unscheduled(zone: Zone) -> Self {
        Self {
            zone,
            cron: None,
            calendar: Calendar::default(),
            on_holiday: OnHoliday::Run,
            business_day: BusinessDay { rule: BusinessDateRule::SameDay, cut_off: None },
            misfire: Misfire::RunOnce,
            max_lateness: None,
            overlap: Overlap::Wait,
            expected_by: None,
            timeout: None,
            jitter: None,
            after_jobs: Vec::new(),
        }
    }

    /// The business date of an instant.
    pub fn business_date(&self, at: DateTime<Utc>) -> NaiveDate {
        self.business_day.of(at, &self.zone, &self.calendar)
    }

    /// Every occurrence after one instant, up to and including another; in order, one for each instant.
    pub fn occurrences(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Occurrence> {
        let Some(cron) = &self.cron else { return Vec::new() };
        let firings = firing::between(cron, &self.zone, self.reaches_back(after), until);
        let mut found: Vec<Occurrence> =
            firings.map(|firing| self.occurrence(firing)).filter(|one| one.at > after && one.at <= until).collect();
        found.sort_by_key(|one| (one.at, matches!(one.day, Day::MovedFrom(..))));
        found.dedup_by_key(|one| one.at);
        found
    }

    /// The first occurrence after an instant; of a job that moves, within five years.
    pub fn next(&self, after: DateTime<Utc>) -> Option<Occurrence> {
        if self.on_holiday != OnHoliday::NextBusinessDay {
            return firing::next(self.cron.as_ref()?, &self.zone, after).map(|firing| self.occurrence(firing));
        }
        [2, 40, 400, 1_830].into_iter().find_map(|days| {
            let until = after.checked_add_days(Days::new(days))?;
            self.occurrences(after, until).into_iter().next()
        })
    }

    /// The instant by which everything of a run must have arrived.
    pub fn due_by(&self, scheduled_for: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.expected_by? {
            ExpectedBy::After(wait) => scheduled_for.checked_add_signed(TimeDelta::from_std(wait).ok()?),
            ExpectedBy::Time(time) => {
                let wall = self.zone.wall(scheduled_for);
                let today = self.instant(wall.date().and_time(time));
                if today > scheduled_for {
                    return Some(today);
                }
                Some(self.instant(wall.date().checked_add_days(Days::new(1))?.and_time(time)))
            }
        }
    }

    /// How long after its scheduled instant a job starts: always the same for the same name.
    pub fn delay(&self, job: &JobName) -> TimeDelta {
        let Some(jitter) = self.jitter else { return TimeDelta::zero() };
        let spread = u64::try_from(jitter.as_millis()).unwrap_or(0).max(1);
        // FNV-1a: any stable hash will do, and that of the standard library is not promised to be one.
        let hash = job
            .as_str()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        TimeDelta::milliseconds(i64::try_from(hash % spread).unwrap_or(0))
    }

    /// From where firings can still mean an occurrence after `after`: a closed stretch before it may move some behind it.
    fn reaches_back(&self, after: DateTime<Utc>) -> DateTime<Utc> {
        if self.on_holiday != OnHoliday::NextBusinessDay {
            return after;
        }
        let day = self.zone.wall(after).date();
        let open = self.calendar.previous_business_day(day);
        self.instant(open.and_time(NaiveTime::MIN)).min(after)
    }

    fn occurrence(&self, firing: Firing) -> Occurrence {
        let day = firing.named.date();
        let Some(closed) = self.calendar.closed(day).map(|closed| closed.to_string()) else {
            return self.occurs(firing.at, firing.shift, Day::Open);
        };
        match self.on_holiday {
            OnHoliday::Run => self.occurs(firing.at, firing.shift, Day::RunsAnyway(closed)),
            OnHoliday::Skip => self.occurs(firing.at, firing.shift, Day::Skipped(closed)),
            OnHoliday::NextBusinessDay => {
                let moved = self.calendar.next_business_day(day).and_time(firing.named.time());
                self.occurs(self.instant(moved), Shift::None, Day::MovedFrom(day, closed))
            }
        }
    }

    fn occurs(&self, at: DateTime<Utc>, shift: Shift, day: Day) -> Occurrence {
        Occurrence { at, local: self.zone.wall(at), business_date: self.business_date(at), shift, day }
    }

    /// The instant of a time on the wall: the first one, or right behind a jump.
    fn instant(&self, wall: NaiveDateTime) -> DateTime<Utc> {
        match self.zone.instants(wall) {
            Wall::Once(at) | Wall::Twice(at, _) | Wall::Skipped(at) => at,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::Weekday;

    use super::*;

    fn timetable(cron: &str, on_holiday: OnHoliday) -> Timetable {
        let holidays = [("2026-12-24", "Christmas Eve"), ("2026-12-25", "Christmas Day")];
        let holidays = holidays.map(|(day, name)| (day.parse().unwrap(), name.to_owned())).into();
        Timetable {
            cron: Some(CronExpr::parse(cron).unwrap()),
            calendar: Calendar::new("dk", "Denmark", [Weekday::Sat, Weekday::Sun], holidays),
            on_holiday,
            ..Timetable::unscheduled(Zone::get("Europe/Copenhagen").unwrap())
        }
    }

    fn listed(timetable: &Timetable, after: &str, until: &str) -> Vec<String> {
        let occurrences = timetable.occurrences(after.parse().unwrap(), until.parse().unwrap());
        let shown = |one: &Occurrence| {
            let day = match &one.day {
                Day::Open => String::new(),
                Day::RunsAnyway(why) => format!(" ({why})"),
                Day::Skipped(why) => format!(" skipped: {why}"),
                Day::MovedFrom(day, why) => format!(" from {day}: {why}"),
            };
            format!("{}{day}", one.local.format("%a %d %H:%M"))
        };
        occurrences.iter().map(shown).collect()
    }

    #[test]
    fn a_job_may_skip_the_days_that_do_not_count() {
        let listed = listed(&timetable("15 3 * * *", OnHoliday::Skip), "2026-12-23T00:00:00Z", "2026-12-28T12:00:00Z");
        assert_eq!(
            listed,
            [
                "Wed 23 03:15",
                "Thu 24 03:15 skipped: Christmas Eve",
                "Fri 25 03:15 skipped: Christmas Day",
                "Sat 26 03:15 skipped: weekend",
                "Sun 27 03:15 skipped: weekend",
                "Mon 28 03:15"
            ]
        );
    }

    #[test]
    fn a_job_may_move_to_the_next_day_that_counts_and_then_runs_once() {
        let daily = timetable("15 3 * * *", OnHoliday::NextBusinessDay);
        assert_eq!(
            listed(&daily, "2026-12-23T00:00:00Z", "2026-12-29T12:00:00Z"),
            ["Wed 23 03:15", "Mon 28 03:15", "Tue 29 03:15"]
        );
        let monthly = timetable("0 6 25 * *", OnHoliday::NextBusinessDay);
        // Asked on the holiday itself, after the time it would have run.
        assert_eq!(
            listed(&monthly, "2026-12-26T00:00:00Z", "2027-01-20T00:00:00Z"),
            ["Mon 28 06:00 from 2026-12-25: Christmas Day"]
        );
        assert_eq!(
            monthly.next("2026-12-26T00:00:00Z".parse().unwrap()).unwrap().local.to_string(),
            "2026-12-28 06:00:00"
        );
        assert_eq!(
            monthly.next("2026-12-28T05:00:00Z".parse().unwrap()).unwrap().local.to_string(),
            "2027-01-25 06:00:00"
        );
    }

    #[test]
    fn everything_is_expected_by_a_time_of_the_day_or_so_long_after() {
        let mut nightly = timetable("15 3 * * *", OnHoliday::Run);
        let by = |timetable: &Timetable, at: &str| timetable.due_by(at.parse().unwrap()).map(|by| by.to_rfc3339());
        assert_eq!(by(&nightly, "2026-11-23T02:15:00Z"), None);
        nightly.expected_by = Some(ExpectedBy::Time("06:30:00".parse().unwrap()));
        assert_eq!(by(&nightly, "2026-11-23T02:15:00Z").as_deref(), Some("2026-11-23T05:30:00+00:00"));
        assert_eq!(by(&nightly, "2026-11-23T22:15:00Z").as_deref(), Some("2026-11-24T05:30:00+00:00"));
        nightly.expected_by = Some(ExpectedBy::After(Duration::from_secs(1_800)));
        assert_eq!(by(&nightly, "2026-11-23T02:15:00Z").as_deref(), Some("2026-11-23T02:45:00+00:00"));
    }

    #[test]
    fn starts_are_spread_and_each_job_keeps_its_place() {
        let mut nightly = timetable("15 3 * * *", OnHoliday::Run);
        assert_eq!(nightly.delay(&JobName::new("orders")), TimeDelta::zero());
        nightly.jitter = Some(Duration::from_secs(300));
        let delay = |name: &str| nightly.delay(&JobName::new(name));
        assert_eq!(delay("orders"), delay("orders"));
        assert_ne!(delay("orders"), delay("payments"));
        assert!((0..300_000).contains(&delay("orders").num_milliseconds()));
    }
}
