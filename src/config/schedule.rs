//! `[schedule]` of a job: when it runs, which days count, what a missed time means.

use std::time::Duration;

use chrono::NaiveTime;

use super::tree::{At, Sink, Table, Value};
use super::unit::{duration, parse_duration};
use crate::domain::job::{BusinessDateRule, Misfire, OnHoliday, Overlap};
use crate::domain::name::JobName;
use crate::schedule::business_date::BusinessDay;
use crate::schedule::cron::CronExpr;
use crate::schedule::timetable::{ExpectedBy, Timetable};
use crate::schedule::zone::Zone;

/// A timetable, and the places of what it refers to.
#[derive(Clone, Debug)]
pub struct ReadSchedule {
    /// With the calendar of a plain week; the named ones are still to be read.
    pub timetable: Timetable,
    /// `calendar`.
    pub calendars: Vec<At<String>>,
    /// `after_job`.
    pub after_jobs: Vec<At<String>>,
}

impl ReadSchedule {
    /// Of a job without `[schedule]`.
    pub fn unscheduled(default_zone: Option<&str>) -> Option<Self> {
        let zone = Zone::get(default_zone.unwrap_or("UTC")).ok()?;
        Some(Self { timetable: Timetable::unscheduled(zone), calendars: Vec::new(), after_jobs: Vec::new() })
    }
}

/// Reads `[schedule]`; `None` when it has a mistake that leaves no meaning.
pub fn read(table: Table<'_>, default_zone: Option<&str>) -> Option<ReadSchedule> {
    let sink = table.sink();
    let cron = table.text("cron").map(|text| cron(sink, &text));
    let zone = zone(&table, default_zone, cron.is_some());
    let calendars = table.texts("calendar").unwrap_or_default();
    let on_holiday = table.choice("on_holiday", &all(OnHoliday::ALL, OnHoliday::word));
    let rule = table.choice("business_date", &all(BusinessDateRule::ALL, BusinessDateRule::word));
    let cut_off = table.get("cut_off").map(|value| time_of_day(&value));
    let misfire = table.choice("misfire", &all(Misfire::ALL, Misfire::word)).unwrap_or(Misfire::RunOnce);
    let max_lateness = optional(&table, "max_lateness");
    let overlap = table.choice("overlap", &all(Overlap::ALL, Overlap::word)).unwrap_or(Overlap::Wait);
    let expected_by = table.get("expected_by").map(|value| expected_by(&value));
    let (timeout, jitter) = (optional(&table, "timeout"), optional(&table, "jitter"));
    let after_jobs = table.texts("after_job").unwrap_or_default();
    if let (Some(value), true) = (table.peek("on_holiday"), calendars.is_empty() && on_holiday.is_some()) {
        let help = "add `calendar = \"dk-banking-days\"`: the name of a file in calendars/";
        sink.error_help("NF404", &value.span(), "`on_holiday` needs to know which days are holidays", "", help);
    }
    if let (Some(value), true) = (table.peek("after_job"), cron.is_some()) {
        let help = "leave one of the two out: the job then runs by the clock, or behind the other";
        sink.error_help("NF405", &value.span(), "a job runs by `cron` or behind another job, not both", "", help);
    }
    table.end();
    let timetable = Timetable {
        zone: zone?,
        cron: flattened(cron)?,
        on_holiday: on_holiday.unwrap_or(OnHoliday::Run),
        business_day: BusinessDay { rule: rule.unwrap_or(BusinessDateRule::SameDay), cut_off: flattened(cut_off)? },
        misfire,
        max_lateness,
        overlap,
        expected_by: flattened(expected_by)?,
        timeout,
        jitter,
        after_jobs: after_jobs.iter().map(|name| JobName::new(name.value.clone())).collect(),
        ..Timetable::unscheduled(Zone::get("UTC").ok()?)
    };
    Some(ReadSchedule { timetable, calendars, after_jobs })
}

/// What is not there is good; what is there and wrong is not.
fn flattened<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(read) => read.map(Some),
    }
}

fn all<T: Copy>(values: &[T], word: fn(T) -> &'static str) -> Vec<(&'static str, T)> {
    values.iter().map(|value| (word(*value), *value)).collect()
}

fn optional(table: &Table<'_>, key: &str) -> Option<Duration> {
    table.get(key).and_then(|value| duration(&value))
}

fn cron(sink: &Sink<'_>, text: &At<String>) -> Option<CronExpr> {
    CronExpr::parse(&text.value)
        .map_err(|error| sink.error_help("NF401", &text.span, error.message, "", error.hint))
        .ok()
}

fn zone(table: &Table<'_>, default_zone: Option<&str>, has_cron: bool) -> Option<Zone> {
    if let Some(name) = table.text("timezone") {
        return known_zone(table.sink(), &name);
    }
    if default_zone.is_none() && has_cron {
        let help = "add `timezone = \"Europe/Copenhagen\"` here, or to `[organisation]` in nightferry.toml";
        table.sink().error_help("NF403", &table.span(), "a schedule needs a time zone", "", help);
        return None;
    }
    Zone::get(default_zone.unwrap_or("UTC")).ok()
}

/// A zone by its name; the mistake is told where it stands.
pub fn known_zone(sink: &Sink<'_>, name: &At<String>) -> Option<Zone> {
    let zone = Zone::get(&name.value);
    if zone.is_err() {
        let message = format!("`{}` is not a time zone", name.value);
        sink.error_help("NF402", &name.span, message, "", "a name of the IANA list, such as `Europe/Copenhagen`");
    }
    zone.ok()
}

/// `"06:30"`.
fn time_of_day(value: &Value<'_>) -> Option<NaiveTime> {
    let text = value.text()?;
    let time = parse_time(&text.value);
    if time.is_none() {
        let message = format!("`{}` is not a time of the day", text.value);
        value.sink().error_help("NF104", &text.span, message, "", "for example `\"06:30\"`, from `00:00` to `23:59`");
    }
    time
}

fn parse_time(text: &str) -> Option<NaiveTime> {
    let (hour, minute) = text.split_once(':').filter(|(hour, minute)| hour.len() == 2 && minute.len() == 2)?;
    NaiveTime::from_hms_opt(hour.parse().ok()?, minute.parse().ok()?, 0)
}

/// `"06:30"` or `"+30m"`.
fn expected_by(value: &Value<'_>) -> Option<ExpectedBy> {
    let text = value.text()?;
    let parsed = match text.value.strip_prefix('+') {
        Some(wait) => parse_duration(wait).map(ExpectedBy::After),
        None => parse_time(&text.value).map(ExpectedBy::Time),
    };
    if parsed.is_none() {
        let message = format!("`{}` does not say by when", text.value);
        let help = "a time of the day, `\"06:30\"`, or a time after the scheduled one, `\"+30m\"`";
        value.sink().error_help("NF104", &text.span, message, "", help);
    }
    parsed
}
