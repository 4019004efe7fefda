//! When jobs fire: against a slow reference over every zone and change of the clock, and against firings that another
//! implementation of Debian's rules gave (`tests/cron/README.md`).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends where it is surprised")]

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};
use nightferry::schedule::cron::CronExpr;
use nightferry::schedule::firing::{Firing, between, next};
use nightferry::schedule::zone::{Wall, Zone, names};

/// Five fields that both the program and the reference understand: each a list of values, or `*` with a step.
struct Written {
    text: String,
    fields: [Vec<u32>; 5],
    timed: bool,
    either: bool,
}

/// A small generator, so that every run is the same.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((self.0 >> 33) % u64::from(sides)).unwrap()
    }

    fn field(&mut self, least: u32, most: u32, star: u32) -> (String, Vec<u32>) {
        if self.throw(100) < star {
            return ("*".into(), (least..=most).collect());
        }
        match self.throw(4) {
            0 => {
                let step = 2 + self.throw(9);
                (format!("*/{step}"), (least..=most).step_by(step as usize).collect())
            }
            1 => {
                let first = least + self.throw(most - least + 1);
                let last = first + self.throw(most - first + 1);
                (format!("{first}-{last}"), (first..=last).collect())
            }
            _ => {
                let mut values: Vec<u32> = (0..=self.throw(3)).map(|_| least + self.throw(most - least + 1)).collect();
                values.sort_unstable();
                values.dedup();
                (values.iter().map(u32::to_string).collect::<Vec<_>>().join(","), values)
            }
        }
    }

    fn expression(&mut self) -> Written {
        let fields = [
            self.field(0, 59, 20),
            self.field(0, 23, 20),
            self.field(1, 31, 70),
            self.field(1, 12, 90),
            self.field(0, 6, 70),
        ];
        let starred = |at: usize| fields[at].0.starts_with('*');
        let (timed, either) = (!starred(0) && !starred(1), !starred(2) && !starred(4));
        let text = fields.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(" ");
        Written { text, fields: fields.map(|(_, values)| values), timed, either }
    }
}

impl Written {
    fn on(&self, wall: NaiveDateTime) -> bool {
        let [minutes, hours, days, months, weekdays] = &self.fields;
        let (day, weekday) = (days.contains(&wall.day()), weekdays.contains(&wall.weekday().num_days_from_sunday()));
        let of_day = if self.either { day || weekday } else { day && weekday };
        of_day && minutes.contains(&wall.minute()) && hours.contains(&wall.hour()) && months.contains(&wall.month())
    }

    /// Minute by minute: the wall for intervals, the calendar for times of the day.
    fn firings(&self, zone: &Zone, after: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let mut found = Vec::new();
        if self.timed {
            let mut wall = (zone.wall(after) - TimeDelta::days(2)).date().and_time(NaiveTime::MIN);
            while wall <= zone.wall(until) + TimeDelta::days(2) {
                if self.on(wall) {
                    let at = match zone.instants(wall) {
                        Wall::Once(at) | Wall::Twice(at, _) => at,
                        Wall::Skipped(jump) => first_minute(zone, jump),
                    };
                    found.extend((at > after && at <= until).then_some(at));
                }
                wall += TimeDelta::minutes(1);
            }
        } else {
            let mut at = after + TimeDelta::seconds(1);
            while at <= until {
                let wall = zone.wall(at);
                if wall.second() == 0 && self.on(wall) {
                    found.push(at);
                }
                at += TimeDelta::seconds(if wall.second() == 0 { 60 } else { i64::from(60 - wall.second()) });
                // A change within a minute moves the seconds of the wall.
                if let Some(change) = zone.next_change(at - TimeDelta::seconds(60)).filter(|change| change.at < at) {
                    at = change.at.max(found.last().map_or(change.at, |last| *last + TimeDelta::seconds(1)));
                }
            }
        }
        found.dedup();
        found
    }
}

fn first_minute(zone: &Zone, mut at: DateTime<Utc>) -> DateTime<Utc> {
    while zone.wall(at).second() != 0 {
        at += TimeDelta::seconds(1);
    }
    at
}

fn changes(zone: &Zone) -> Vec<DateTime<Utc>> {
    let instant = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    let (first, last) = (instant("1970-01-02T00:00:00Z"), instant("2099-06-01T00:00:00Z"));
    let next = |at: DateTime<Utc>| zone.next_change(at).map(|change| change.at).filter(|at| *at < last);
    std::iter::successors(next(first), |at| next(*at)).collect()
}

#[test]
fn over_every_zone_and_change_of_the_clock_the_slow_reference_agrees() {
    let mut dice = Dice(2026);
    let expressions: Vec<Written> = (0..50).map(|_| dice.expression()).collect();
    let (mut compared, mut fired) = (0, 0);
    for name in names() {
        let zone = Zone::get(&name).unwrap();
        for change in changes(&zone) {
            // All of them would be a million comparisons: every change meets one of the fifty, every expression thousands of changes.
            if dice.throw(4) != 0 {
                continue;
            }
            let written = &expressions[dice.throw(50) as usize];
            let Ok(expression) = CronExpr::parse(&written.text) else { continue };
            let (after, until) = (change - TimeDelta::hours(5), change + TimeDelta::hours(27));
            let found: Vec<Firing> = between(&expression, &zone, after, until).collect();
            let instants: Vec<DateTime<Utc>> = found.iter().map(|firing| firing.at).collect();
            assert!(
                instants.is_sorted_by(|left, right| left < right),
                "{name} {change} `{}`: {instants:?}",
                written.text
            );
            assert_eq!(instants, written.firings(&zone, after, until), "{name} {change} `{}`", written.text);
            compared += 1;
            fired += instants.len();
        }
    }
    assert!(compared > 10_000 && fired > 100_000, "{compared} comparisons, {fired} firings");
}

#[test]
fn a_daily_job_fires_once_on_every_day_that_a_zone_has() {
    for name in names() {
        let zone = Zone::get(&name).unwrap();
        for time in ["15 2 * * *", "0 0 * * *", "59 23 * * *"] {
            let expression = CronExpr::parse(time).unwrap();
            for change in changes(&zone).into_iter().step_by(7) {
                let (after, until) = (change - TimeDelta::days(2), change + TimeDelta::days(2));
                let mut days: Vec<NaiveDate> =
                    between(&expression, &zone, after, until).map(|firing| firing.named.date()).collect();
                let fired = days.len();
                days.dedup();
                assert_eq!(days.len(), fired, "{name} `{time}` around {change}: {days:?}");
                let gaps = days.windows(2).filter(|pair| pair[1] - pair[0] != TimeDelta::days(1)).count();
                // 2011-12-30 in Apia, and the like: the day is named and falls together with the next.
                let left_out = zone
                    .next_change(change - TimeDelta::seconds(1))
                    .is_some_and(|jump| (jump.to - jump.from).num_hours().abs() >= 20);
                assert!(gaps == 0 || left_out, "{name} `{time}` around {change}: {days:?}");
            }
        }
    }
}

#[test]
fn another_implementation_of_debians_rules_agrees() {
    let given = std::env::var_os("NF_CRON_CASES");
    let path = given
        .map_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cron/cases.txt").into(), std::path::PathBuf::from);
    let (mut cases, mut differences) = (0, Vec::new());
    for line in std::fs::read_to_string(path).unwrap().lines().filter(|line| !line.starts_with('#')) {
        let [zone, text, after, firings] = <[&str; 4]>::try_from(line.split(" | ").collect::<Vec<_>>()).unwrap();
        let instant = |text: &str| -> DateTime<Utc> { text.replace('Z', ":00Z").parse().unwrap() };
        let (zone, expression) = (Zone::get(zone).unwrap(), CronExpr::parse(text).unwrap());
        let mut at = instant(after);
        let mut found = Vec::new();
        for _ in firings.split(' ') {
            at = next(&expression, &zone, at).unwrap().at;
            found.push(at);
        }
        let expected: Vec<DateTime<Utc>> = firings.split(' ').map(instant).collect();
        if found != expected {
            differences.push(format!("{line}\n   here: {found:?}"));
        }
        cases += 1;
    }
    assert!(differences.is_empty(), "{} of {cases} differ:\n{}", differences.len(), differences.join("\n"));
    assert!(cases >= 400, "{cases} cases");
}

#[test]
fn short_forms_are_their_five_fields_and_wrong_ones_are_refused() {
    let zone = Zone::get("Europe/Copenhagen").unwrap();
    let first = |text: &str| next(&CronExpr::parse(text).unwrap(), &zone, "2026-11-23T12:00:00Z".parse().unwrap());
    for (short, long) in [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ] {
        assert_eq!(first(short), first(long), "{short}");
    }
    for wrong in [
        "@reboot",
        "5-1 * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 8",
        "0 0 12 * * *",
        "? * * * *",
        "0 0 L * *",
        "0 0 15W * *",
        "0 0 * * 5#2",
        "0 0 30 2 *",
        "",
        "* * * *",
        "*/0 * * * *",
        "1,,2 * * * *",
        "-1 * * * *",
        "* * 0 * *",
        "* * * 0 *",
        "x * * * *",
        "1- * * * *",
        "*/x * * * *",
        "0 0 31 4,6,9,11 *",
    ] {
        assert!(CronExpr::parse(wrong).is_err(), "`{wrong}` was taken");
    }
    for right in ["0 9 * jan MON", "0 9 * JAN mon", "0 9 * Jan 7", "0 9 29 feb *", "*/61 * * * *"] {
        assert!(CronExpr::parse(right).is_ok(), "`{right}` was refused");
    }
}
