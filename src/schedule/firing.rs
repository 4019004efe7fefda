//! When an expression fires in a zone: Debian's rule for clock changes, in one place.
//!
//! A *timed* job (neither the minute nor the hour begins with `*`) means a time of the day. When the clock jumps over it, it fires
//! at the first minute behind the jump; when the clock is set back over it, it fires in the first pass only. Times that the
//! clock jumps over together fire once. Any other job means an interval: it fires whenever the clock on the wall shows a
//! time that matches, so not in a jump, and in both passes.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Timelike, Utc};

use super::cron::CronExpr;
use super::zone::{Wall, Zone};

/// One firing of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firing {
    /// When.
    pub at: DateTime<Utc>,
    /// The time on the wall that the expression names.
    pub named: NaiveDateTime,
    /// What a change of the clock does to it.
    pub shift: Shift,
}

/// What a change of the clock does to a firing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shift {
    /// Nothing.
    None,
    /// The named time does not exist on that day: it fires right behind the jump.
    BehindJump,
    /// The named time comes twice on that day: this is the first pass, and for a timed job the only one.
    FirstPass,
    /// The second pass of a job that means an interval.
    SecondPass,
}

/// The first firing after an instant; `None` when there is none before the year 2100.
pub fn next(expression: &CronExpr, zone: &Zone, after: DateTime<Utc>) -> Option<Firing> {
    if expression.is_timed() { next_timed(expression, zone, after) } else { next_interval(expression, zone, after) }
}

/// Every firing after one instant, up to and including another.
pub fn between<'a>(
    expression: &'a CronExpr,
    zone: &'a Zone,
    after: DateTime<Utc>,
    until: DateTime<Utc>,
) -> impl Iterator<Item = Firing> + 'a {
    let first = next(expression, zone, after);
    std::iter::successors(first, |firing| next(expression, zone, firing.at))
        .take_while(move |firing| firing.at <= until)
}

/// Later names never mean earlier instants, so the first name that means an instant after `after` is the next one.
fn next_timed(expression: &CronExpr, zone: &Zone, after: DateTime<Utc>) -> Option<Firing> {
    let mut named = zone.wall(after);
    loop {
        named = expression.next_wall(named)?;
        let (at, shift) = match zone.instants(named) {
            Wall::Once(at) => (at, Shift::None),
            Wall::Twice(first, _) => (first, Shift::FirstPass),
            Wall::Skipped(jump) => (whole_minute(zone, jump), Shift::BehindJump),
        };
        if at > after {
            return Some(Firing { at, named, shift });
        }
    }
}

/// Between two changes of the clock the wall runs evenly: the next match before the next change, or else one behind it.
fn next_interval(expression: &CronExpr, zone: &Zone, after: DateTime<Utc>) -> Option<Firing> {
    let (mut from, mut offset) = (zone.wall(after), zone.offset(after));
    let mut since = after;
    loop {
        let named = expression.next_wall(from)?;
        let at = (named - offset).and_utc();
        match zone.next_change(since) {
            Some(change) if change.at <= at => {
                since = change.at;
                offset = zone.offset(change.at);
                // What the wall shows at the change itself may match too.
                from = change.to - TimeDelta::seconds(1);
            }
            _ => {
                let shift = match zone.instants(named) {
                    Wall::Twice(first, _) if first == at => Shift::FirstPass,
                    Wall::Twice(..) => Shift::SecondPass,
                    Wall::Once(_) | Wall::Skipped(_) => Shift::None,
                };
                return Some(Firing { at, named, shift });
            }
        }
    }
}

/// A jump of long ago may end within a minute; jobs fire on whole ones.
fn whole_minute(zone: &Zone, at: DateTime<Utc>) -> DateTime<Utc> {
    match i64::from(zone.wall(at).second()) {
        0 => at,
        second => at + TimeDelta::seconds(60 - second),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases of the published table: zone, expression, from (local), firings (local with offset).
    const CASES: &str = include_str!("firing/cases.txt");

    #[test]
    fn the_published_cases() {
        let mut cases = 0;
        for line in CASES.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let [name, zone, text, from, firings] =
                <[&str; 5]>::try_from(line.split(" | ").collect::<Vec<_>>()).unwrap_or_else(|_| panic!("{line}"));
            let (zone, expression) = (Zone::get(zone).unwrap(), CronExpr::parse(text).unwrap());
            let from: NaiveDateTime = format!("{from}:00").parse().unwrap();
            let Wall::Once(mut after) = zone.instants(from) else { panic!("{name}: begins at a clock change") };
            let mut found = Vec::new();
            for _ in firings.split(' ') {
                let firing = next(&expression, &zone, after).unwrap();
                after = firing.at;
                let offset = zone.offset(after).num_minutes();
                let sign = if offset < 0 { '-' } else { '+' };
                let wall = zone.wall(after).format("%Y-%m-%dT%H:%M");
                found.push(format!("{wall}{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60));
            }
            assert_eq!(found.join(" "), firings, "{name}: {text} in {}", zone.name());
            cases += 1;
        }
        assert_eq!(cases, 24);
    }

    #[test]
    fn a_firing_says_what_the_clock_change_did() {
        let zone = Zone::get("Europe/Copenhagen").unwrap();
        let shifts = |text: &str, after: &str, until: &str| -> Vec<(String, Shift)> {
            let expression = CronExpr::parse(text).unwrap();
            between(&expression, &zone, after.parse().unwrap(), until.parse().unwrap())
                .map(|firing| (firing.named.format("%H:%M").to_string(), firing.shift))
                .collect()
        };
        let spring = shifts("15 2 * * *", "2027-03-28T00:00:00Z", "2027-03-28T12:00:00Z");
        assert_eq!(spring, [("02:15".to_owned(), Shift::BehindJump)]);
        let autumn = shifts("15 2 * * *", "2026-10-25T00:00:00Z", "2026-10-25T12:00:00Z");
        assert_eq!(autumn, [("02:15".to_owned(), Shift::FirstPass)]);
        let hourly = shifts("0 * * * *", "2026-10-24T23:30:00Z", "2026-10-25T02:00:00Z");
        assert_eq!(
            hourly,
            [
                ("02:00".to_owned(), Shift::FirstPass),
                ("02:00".to_owned(), Shift::SecondPass),
                ("03:00".to_owned(), Shift::None)
            ]
        );
    }
}
