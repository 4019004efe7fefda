//! The business date: the day the data is about, counted from an instant.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};

use super::calendar::Calendar;
use super::zone::Zone;
use crate::domain::job::BusinessDateRule;

/// How the business date of a job follows from an instant.
#[derive(Clone, Debug)]
pub struct BusinessDay {
    /// From which day it counts.
    pub rule: BusinessDateRule,
    /// From this time of the day on an instant counts as the next business day's.
    pub cut_off: Option<NaiveTime>,
}

impl BusinessDay {
    /// The business date of an instant.
    pub fn of(&self, at: DateTime<Utc>, zone: &Zone, calendar: &Calendar) -> NaiveDate {
        let wall = zone.wall(at);
        let day = match self.cut_off {
            Some(cut_off) if wall.time() >= cut_off => calendar.next_business_day(wall.date()),
            _ => wall.date(),
        };
        match self.rule {
            BusinessDateRule::SameDay => day,
            BusinessDateRule::PreviousDay => day.checked_sub_days(Days::new(1)).unwrap_or(day),
            BusinessDateRule::PreviousBusinessDay => calendar.previous_business_day(day),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(rule: BusinessDateRule, cut_off: Option<&str>, at: &str, zone: &str) -> String {
        let day = BusinessDay { rule, cut_off: cut_off.map(|time| time.parse().unwrap()) };
        day.of(at.parse().unwrap(), &Zone::get(zone).unwrap(), &Calendar::default()).to_string()
    }

    #[test]
    fn the_night_before_counts_in_the_zone_of_the_job() {
        use BusinessDateRule::{PreviousBusinessDay, PreviousDay, SameDay};
        let at = "2026-03-01T00:30:00Z";
        assert_eq!(date(SameDay, None, at, "Europe/Copenhagen"), "2026-03-01");
        assert_eq!(date(PreviousDay, None, at, "Europe/Copenhagen"), "2026-02-28");
        assert_eq!(date(PreviousDay, None, at, "America/New_York"), "2026-02-27");
        // 1 March 2026 is a Sunday.
        assert_eq!(date(PreviousBusinessDay, None, at, "Europe/Copenhagen"), "2026-02-27");
    }

    #[test]
    fn from_the_cut_off_on_it_is_the_next_business_day() {
        let same = |at| date(BusinessDateRule::SameDay, Some("16:00:00"), at, "Europe/Copenhagen");
        assert_eq!(same("2026-11-27T14:59:59Z"), "2026-11-27");
        assert_eq!(same("2026-11-27T15:00:00Z"), "2026-11-30");
    }
}
