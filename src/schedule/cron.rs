//! Cron expressions in the five-field dialect of Debian's cron, matched by the `cron` crate on a zone-free timeline.

use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, Utc};
use cron::Schedule;

/// An expression that is known to fire.
#[derive(Clone, Debug)]
pub struct CronExpr {
    /// As it was written.
    text: String,
    /// One, or two when both day fields are restricted: crontab(5) then fires on either.
    schedules: Vec<Schedule>,
    /// Neither the minute nor the hour begins with `*`.
    timed: bool,
    /// Both day fields are restricted.
    either: bool,
}

/// Why an expression is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronError {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// Name, least, most, names of the values.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const FIELDS: [Field; 5] = [
    Field { name: "minute", least: 0, most: 59, names: &[] },
    Field { name: "hour", least: 0, most: 23, names: &[] },
    Field { name: "day of the month", least: 1, most: 31, names: &[] },
    Field { name: "month", least: 1, most: 12, names: MONTHS },
    Field { name: "day of the week", least: 0, most: 7, names: DAYS },
];

fn refused(message: impl Into<String>, hint: impl Into<String>) -> CronError {
    CronError { message: message.into(), hint: hint.into() }
}

impl CronExpr {
    /// Parses `minute hour day-of-month month day-of-week`, or `@hourly` and the like.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let expanded = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@reboot" => {
                return Err(refused(
                    "`@reboot` is no time of day",
                    "a job runs by the clock, for example `15 3 * * *`",
                ));
            }
            other => other,
        };
        let parts: Vec<&str> = expanded.split_whitespace().collect();
        let Ok(parts) = <[&str; 5]>::try_from(parts.as_slice()) else {
            let message = format!("a cron expression has five fields, this has {}", parts.len());
            return Err(refused(
                message,
                "minute, hour, day of the month, month, day of the week: `15 3 * * *` is daily at 03:15",
            ));
        };
        let values: Vec<Vec<u32>> =
            FIELDS.iter().zip(parts).map(|(field, part)| values(field, part)).collect::<Result<_, _>>()?;
        // A field that begins with `*` counts as unrestricted, also `*/2`: as Debian's cron has it.
        let either = !parts[2].starts_with('*') && !parts[4].starts_with('*');
        let schedules = if either {
            vec![schedule(&values, false, true)?, schedule(&values, true, false)?]
        } else {
            vec![schedule(&values, true, true)?]
        };
        let timed = !parts[0].starts_with('*') && !parts[1].starts_with('*');
        let expression = Self { text: text.to_owned(), schedules, timed, either };
        let start = DateTime::<Utc>::UNIX_EPOCH.naive_utc();
        if expression.next_wall(start).is_none() {
            return Err(refused(format!("`{text}` never fires"), "there is no such day in any year"));
        }
        Ok(expression)
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True when it names times of the day, as `30 2 * * *` does; false when it means an interval, as `*/15 * * * *` does.
    /// The two differ where the clock changes.
    pub fn is_timed(&self) -> bool {
        self.timed
    }

    /// True when it names days of the month and of the week, and fires on either.
    pub fn means_either_day(&self) -> bool {
        self.either
    }

    /// The first wall-clock time after another at which it fires, on a timeline without zones or clock changes.
    pub fn next_wall(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        // The crate wants a zone; UTC has no clock changes, so it is the wall clock itself.
        self.schedules
            .iter()
            .filter_map(|schedule| schedule.after(&after.and_utc()).next())
            .map(|at| at.naive_utc())
            .min()
    }
}

/// One schedule of the crate: seven fields, weekdays from 1 = Sunday. Every value is written out.
fn schedule(values: &[Vec<u32>], days_of_month: bool, days_of_week: bool) -> Result<Schedule, CronError> {
    let list = |values: &[u32]| values.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let mut weekdays: Vec<u32> = values[4].iter().map(|day| day % 7 + 1).collect();
    weekdays.sort_unstable();
    weekdays.dedup();
    let days = if days_of_month { list(&values[2]) } else { "*".to_owned() };
    let weekdays = if days_of_week { list(&weekdays) } else { "*".to_owned() };
    let text = format!("0 {} {} {days} {} {weekdays} *", list(&values[0]), list(&values[1]), list(&values[3]));
    Schedule::from_str(&text)
        .map_err(|error| refused(format!("this cannot be scheduled: {error}"), "write it more simply"))
}

/// Every value that a field names.
fn values(field: &Field, text: &str) -> Result<Vec<u32>, CronError> {
    if let Some(mark) = text
        .chars()
        .find(|mark| matches!(mark, '?' | 'L' | 'W' | '#'))
        .filter(|mark| *mark != 'L' || text.trim_end_matches('L').parse::<u32>().is_ok() || text == "L")
    {
        let hint = "calendars and `on_holiday` say such things; `*` stands for every value";
        return Err(refused(format!("`{mark}` in the {} is not of this dialect", field.name), hint));
    }
    let mut all = Vec::new();
    for part in text.split(',') {
        all.extend(range(field, part)?);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// `*`, `a`, `a-b`, each with an optional `/step` (not after a single value).
fn range(field: &Field, part: &str) -> Result<Vec<u32>, CronError> {
    let (span, step) = match part.split_once('/') {
        Some((span, step)) => (span, step.parse().ok().filter(|step| *step > 0).ok_or_else(|| bad(field, part))?),
        None => (part, 1),
    };
    let (first, last) = match span.split_once('-') {
        _ if span == "*" => (field.least, if field.names == DAYS { 6 } else { field.most }),
        Some((first, last)) => (value(field, first)?, value(field, last)?),
        None if part.contains('/') => return Err(bad(field, part)),
        None => (value(field, span)?, value(field, span)?),
    };
    // `fri-sun`: the last day of a range may be Sunday by name.
    let last = if field.names == DAYS && last == 0 && first > 0 { 7 } else { last };
    if first > last {
        let message = format!("`{part}` in the {} runs backwards", field.name);
        return Err(refused(message, "split it in two, for example `22-23,0-2`"));
    }
    Ok((first..=last).step_by(step).collect())
}

fn value(field: &Field, text: &str) -> Result<u32, CronError> {
    let lower = text.to_ascii_lowercase();
    if let Some(index) = field.names.iter().position(|name| *name == lower) {
        return Ok(u32::try_from(index).unwrap_or(0) + if field.names == MONTHS { 1 } else { 0 });
    }
    let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    number.filter(|number| (field.least..=field.most).contains(number)).ok_or_else(|| bad(field, text))
}

fn bad(field: &Field, text: &str) -> CronError {
    let message = format!("`{text}` is not a {}", field.name);
    let names = if field.names.is_empty() { "" } else { ", or a name of three letters" };
    refused(
        message,
        format!("a number from {} to {}{names}; `*`, lists `1,2`, ranges `1-5`, steps `*/5`", field.least, field.most),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(text: &str, after: &str) -> String {
        let expression = CronExpr::parse(text).unwrap_or_else(|error| panic!("{text}: {}", error.message));
        expression.next_wall(after.parse().unwrap()).unwrap().format("%a %Y-%m-%d %H:%M").to_string()
    }

    fn refusal(text: &str) -> String {
        CronExpr::parse(text).err().unwrap_or_else(|| panic!("{text} was taken")).message
    }

    #[test]
    fn weekdays_count_as_in_crontab() {
        assert_eq!(next("15 3 * * *", "2026-11-23T03:15:00"), "Tue 2026-11-24 03:15");
        assert_eq!(next("0 9 * * 1", "2026-11-24T00:00:00"), "Mon 2026-11-30 09:00");
        assert_eq!(next("0 9 * * 0", "2026-11-24T00:00:00"), "Sun 2026-11-29 09:00");
        assert_eq!(next("0 9 * * 7", "2026-11-24T00:00:00"), "Sun 2026-11-29 09:00");
        assert_eq!(next("0 9 * * mon-fri", "2026-11-27T10:00:00"), "Mon 2026-11-30 09:00");
        assert_eq!(next("0 9 * * FRI-SUN", "2026-11-28T10:00:00"), "Sun 2026-11-29 09:00");
        assert_eq!(next("0 9 * * 2-6/2", "2026-11-24T10:00:00"), "Thu 2026-11-26 09:00");
    }

    #[test]
    fn both_day_fields_mean_either_unless_one_begins_with_a_star() {
        assert_eq!(next("0 0 13 * FRI", "2026-11-14T00:00:00"), "Fri 2026-11-20 00:00");
        assert_eq!(next("0 0 13 * FRI", "2026-12-12T00:00:00"), "Sun 2026-12-13 00:00");
        assert_eq!(next("0 0 */2 * FRI", "2026-11-14T00:00:00"), "Fri 2026-11-27 00:00");
    }

    #[test]
    fn short_forms_and_leap_days_work() {
        assert_eq!(next("@monthly", "2026-11-23T00:00:00"), "Tue 2026-12-01 00:00");
        assert_eq!(next("0 12 29 2 *", "2026-11-23T00:00:00"), "Tue 2028-02-29 12:00");
        assert_eq!(next("*/20 8-9 * jan *", "2026-11-23T00:00:00"), "Fri 2027-01-01 08:00");
    }

    #[test]
    fn what_is_not_of_this_dialect_is_refused_in_words() {
        assert_eq!(refusal("0 15 3 * * *"), "a cron expression has five fields, this has 6");
        assert_eq!(refusal("0 0 L * *"), "`L` in the day of the month is not of this dialect");
        assert_eq!(refusal("0 0 ? * *"), "`?` in the day of the month is not of this dialect");
        assert_eq!(refusal("0 0 15W * *"), "`W` in the day of the month is not of this dialect");
        assert_eq!(refusal("0 0 * * 5#2"), "`#` in the day of the week is not of this dialect");
        assert_eq!(refusal("0 22-2 * * *"), "`22-2` in the hour runs backwards");
        assert_eq!(refusal("60 0 * * *"), "`60` is not a minute");
        assert_eq!(refusal("0 0 30 2 *"), "`0 0 30 2 *` never fires");
        assert_eq!(refusal("@reboot"), "`@reboot` is no time of day");
        assert_eq!(refusal("*/0 * * * *"), "`*/0` is not a minute");
    }
}
