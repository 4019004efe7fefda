//! The business date: the day the data is about, counted from an instant.

use chrono::{DateTime, Days, NaiveDate, Utc};

use super::zone::{UnknownZone, local_date};
use crate::domain::job::BusinessDateRule;

/// The business date of an instant in a zone.
pub fn of_instant(rule: BusinessDateRule, at: DateTime<Utc>, zone: &str) -> Result<NaiveDate, UnknownZone> {
    let day = local_date(at, zone)?;
    Ok(match rule {
        BusinessDateRule::SameDay => day,
        BusinessDateRule::PreviousDay => day.checked_sub_days(Days::new(1)).unwrap_or(day),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_night_before_counts_in_the_zone_of_the_job() {
        let at = "2026-03-01T00:30:00Z".parse().unwrap();
        let date = |rule, zone| of_instant(rule, at, zone).unwrap().to_string();
        assert_eq!(date(BusinessDateRule::SameDay, "Europe/Copenhagen"), "2026-03-01");
        assert_eq!(date(BusinessDateRule::PreviousDay, "Europe/Copenhagen"), "2026-02-28");
        assert_eq!(date(BusinessDateRule::PreviousDay, "America/New_York"), "2026-02-27");
    }
}
