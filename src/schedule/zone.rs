//! Time zones: a thin layer over a bundled zone database, newer than most systems'.

use chrono::{DateTime, NaiveDate, Utc};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A name that is not in the IANA list.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a time zone")]
pub struct UnknownZone(pub String);

/// Whether a name is in the IANA list.
pub fn exists(name: &str) -> bool {
    TimeZone::get(name).is_ok()
}

/// The day that an instant falls on in a zone.
pub fn local_date(at: DateTime<Utc>, name: &str) -> Result<NaiveDate, UnknownZone> {
    let unknown = || UnknownZone(name.to_owned());
    let zone = TimeZone::get(name).map_err(|_| unknown())?;
    let instant = Timestamp::from_second(at.timestamp()).map_err(|_| unknown())?;
    let date = zone.to_datetime(instant).date();
    let (year, month, day) = (i32::from(date.year()), date.month(), date.day());
    NaiveDate::from_ymd_opt(year, u32::try_from(month).unwrap_or(0), u32::try_from(day).unwrap_or(0))
        .ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_falls_on_different_days_in_different_zones() {
        let at = "2026-11-23T23:30:00Z".parse().unwrap();
        let day = |zone| local_date(at, zone).unwrap().to_string();
        assert_eq!(day("UTC"), "2026-11-23");
        assert_eq!(day("Europe/Copenhagen"), "2026-11-24");
        assert_eq!(day("America/New_York"), "2026-11-23");
        assert!(local_date(at, "Europe/Kopenhagen").is_err());
        assert!(exists("Canada/Pacific") && !exists("CEST"));
    }
}
