//! Calendars: `calendars/NAME.toml`, or `calendars/NAME.ics` as banks and authorities publish them.

use std::collections::BTreeMap;

use chrono::{Datelike, Days, NaiveDate, Weekday};
use icalendar::parser::{Component, read_calendar, unfold};

use super::tree::{Sink, Table};
use crate::schedule::calendar::Calendar;

const DAYS: &[(&str, Weekday)] = &[
    ("MON", Weekday::Mon),
    ("TUE", Weekday::Tue),
    ("WED", Weekday::Wed),
    ("THU", Weekday::Thu),
    ("FRI", Weekday::Fri),
    ("SAT", Weekday::Sat),
    ("SUN", Weekday::Sun),
];

/// An event that comes every year is written down for so many years.
const YEARS: i32 = 30;

/// Reads a calendar of ours; `stem` is the name of its file without `.toml`.
pub fn read(sink: &Sink<'_>, root: &Table<'_>, stem: &str) -> Calendar {
    let mut title = String::new();
    let mut weekend = vec![Weekday::Sat, Weekday::Sun];
    if let Some(table) = root.table("calendar") {
        if let Some(name) = table.text("name").filter(|name| name.value != stem) {
            let message = format!("this calendar is `{}`, but its file is `{stem}.toml`", name.value);
            sink.error("NF120", &name.span, message, "name and file must agree");
        }
        title = table.text("title").map(|title| title.value).unwrap_or_default();
        if let Some(days) = table.get("weekend") {
            weekend = days.list(false).iter().filter_map(|day| weekday(sink, day)).collect();
            if weekend.len() == 7 {
                sink.error("NF104", &days.span(), "a week needs a day that counts", "all seven are left out");
            }
        }
        table.end();
    }
    let mut holidays = BTreeMap::new();
    for (day, name) in root.table("holidays").map(|table| table.entries()).unwrap_or_default() {
        match (day.value.parse::<NaiveDate>(), name.text()) {
            (Ok(date), Some(name)) => {
                holidays.insert(date, name.value);
            }
            (Ok(_), None) => {}
            (Err(_), _) => {
                let message = format!("`{}` is not a day of the calendar", day.value);
                sink.error_help("NF406", &day.span, message, "", "for example `2026-12-25 = \"Christmas Day\"`");
            }
        }
    }
    Calendar::new(stem, title, weekend, holidays)
}

fn weekday(sink: &Sink<'_>, value: &super::tree::Value<'_>) -> Option<Weekday> {
    let text = value.text()?;
    let found = DAYS.iter().find(|(word, _)| *word == text.value).map(|(_, day)| *day);
    if found.is_none() {
        let message = format!("`{}` is not a day of the week", text.value);
        sink.error("NF104", &text.span, message, "one of `MON`, `TUE`, `WED`, `THU`, `FRI`, `SAT`, `SUN`");
    }
    found
}

/// Reads an iCalendar file (RFC 5545): each event of whole days is a holiday. The weekend is Saturday and Sunday.
pub fn import(sink: &Sink<'_>, text: &str, stem: &str) -> Calendar {
    let text = unfold(text);
    let mut holidays = BTreeMap::new();
    let mut title = stem.to_owned();
    match read_calendar(&text) {
        Ok(calendar) => {
            if let Some(name) = calendar.properties.iter().find(|property| property.name == "X-WR-CALNAME") {
                title = name.val.to_string();
            }
            for event in calendar.components.iter().filter(|component| component.name == "VEVENT") {
                match days_of(event) {
                    Ok(days) => {
                        let name =
                            event.find_prop("SUMMARY").map_or("holiday".to_owned(), |name| plain(name.val.as_ref()));
                        holidays.extend(days.into_iter().map(|day| (day, name.clone())));
                    }
                    Err(why) => tell(sink, &text, event, &why),
                }
            }
        }
        Err(why) => {
            let first = why.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned();
            sink.error("NF407", &(0..0), format!("this is not an iCalendar file: {first}"), "");
        }
    }
    if holidays.is_empty() && sink.is_clean() {
        sink.error("NF407", &(0..0), "this calendar has no event of whole days", "");
    }
    Calendar::new(stem, title, [Weekday::Sat, Weekday::Sun], holidays)
}

fn tell(sink: &Sink<'_>, text: &str, event: &Component<'_>, why: &str) {
    let uid = event.find_prop("UID").map(|uid| uid.val.to_string()).unwrap_or_default();
    let at = text.find(&uid).filter(|_| !uid.is_empty()).unwrap_or(0);
    let message = format!(
        "the event `{}` cannot be read: {why}",
        event.find_prop("SUMMARY").map_or("", |name| name.val.as_ref())
    );
    let help = "holidays are events of whole days, single or `RRULE:FREQ=YEARLY`; write others into a calendar in TOML";
    sink.error_help("NF407", &(at..at + uid.len()), message, "", help);
}

/// The days of an event: from `DTSTART` to the day before `DTEND`, in each of its years.
fn days_of(event: &Component<'_>) -> Result<Vec<NaiveDate>, String> {
    let day = |name: &str| event.find_prop(name).map(|property| whole_day(property.val.as_ref())).transpose();
    let first = day("DTSTART")?.ok_or("it has no DTSTART")?;
    let end = day("DTEND")?.filter(|end| *end > first);
    let length = end.map_or(1, |end| (end - first).num_days());
    if length > 366 {
        return Err("it lasts for more than a year".to_owned());
    }
    let starts = match event.find_prop("RRULE") {
        None => vec![first],
        Some(rule) => yearly(first, rule.val.as_ref())?,
    };
    let span =
        |start: NaiveDate| (0..length).filter_map(move |days| start.checked_add_days(Days::new(days.unsigned_abs())));
    Ok(starts.into_iter().flat_map(span).collect())
}

fn whole_day(text: &str) -> Result<NaiveDate, String> {
    // `20261225`; some calendars write midnight as well.
    let date = text.strip_suffix("T000000Z").or_else(|| text.strip_suffix("T000000")).unwrap_or(text);
    if date.contains('T') {
        return Err(format!("`{text}` is a time, not a whole day"));
    }
    NaiveDate::parse_from_str(date, "%Y%m%d").map_err(|_| format!("`{text}` is not a day"))
}

/// The same day of every year. Days that move, such as Easter, come as single events.
fn yearly(first: NaiveDate, rule: &str) -> Result<Vec<NaiveDate>, String> {
    let mut years = YEARS;
    let mut until = NaiveDate::MAX;
    for part in rule.split(';') {
        match part.split_once('=') {
            Some(("FREQ", "YEARLY")) | Some(("INTERVAL", "1")) | Some(("WKST", _)) => {}
            Some(("COUNT", count)) => years = count.parse().map_err(|_| format!("`{part}` is not a count"))?,
            Some(("UNTIL", day)) => until = whole_day(day.get(..8).unwrap_or(day))?,
            Some(("BYMONTH", month)) if month == first.month().to_string() => {}
            Some(("BYMONTHDAY", day)) if day == first.day().to_string() => {}
            _ => return Err(format!("`{rule}` is more than the same day of every year")),
        }
    }
    // 29 February is left out in years that do not have it.
    let days = (0..years.min(200)).filter_map(|year| first.with_year(first.year() + year));
    Ok(days.filter(|day| *day <= until).collect())
}

/// RFC 5545 escapes commas, semicolons and line breaks in texts.
fn plain(text: &str) -> String {
    text.replace("\\n", " ").replace("\\N", " ").replace("\\,", ",").replace("\\;", ";").replace("\\\\", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imported(events: &str) -> (Vec<String>, Vec<String>) {
        let text = format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nX-WR-CALNAME:Banking days\r\n{events}END:VCALENDAR\r\n");
        let sink = Sink::new("calendars/dk.ics", &text);
        let calendar = import(&sink, &text, "dk");
        assert_eq!(calendar.title, "Banking days");
        let days = calendar.holidays().map(|(day, name)| format!("{day} {name}")).collect();
        (days, sink.finish().diagnostics.into_iter().map(|one| one.message).collect())
    }

    fn event(lines: &[&str]) -> String {
        format!("BEGIN:VEVENT\r\nUID:1@example\r\n{}\r\nEND:VEVENT\r\n", lines.join("\r\n"))
    }

    #[test]
    fn events_of_whole_days_are_holidays() {
        let single = event(&["DTSTART;VALUE=DATE:20261225", "SUMMARY:Christmas\\, first", "  day"]);
        let two = event(&["DTSTART;VALUE=DATE:20270326", "DTEND;VALUE=DATE:20270328", "SUMMARY:Easter"]);
        let (days, problems) = imported(&(single + &two));
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(days, ["2026-12-25 Christmas, first day", "2027-03-26 Easter", "2027-03-27 Easter"]);
    }

    #[test]
    fn an_event_may_come_every_year() {
        let (days, _) =
            imported(&event(&["DTSTART;VALUE=DATE:20260101", "RRULE:FREQ=YEARLY;COUNT=3", "SUMMARY:New Year"]));
        assert_eq!(days, ["2026-01-01 New Year", "2027-01-01 New Year", "2028-01-01 New Year"]);
        let leap = event(&["DTSTART;VALUE=DATE:20240229", "RRULE:FREQ=YEARLY;UNTIL=20290101", "SUMMARY:Leap"]);
        assert_eq!(imported(&leap).0, ["2024-02-29 Leap", "2028-02-29 Leap"]);
    }

    #[test]
    fn what_is_no_holiday_is_told() {
        let (_, problems) = imported(&event(&["DTSTART:20261225T090000Z", "SUMMARY:Meeting"]));
        assert_eq!(problems, ["the event `Meeting` cannot be read: `20261225T090000Z` is a time, not a whole day"]);
        let (_, problems) = imported(&event(&["DTSTART;VALUE=DATE:20261225", "RRULE:FREQ=WEEKLY", "SUMMARY:Standup"]));
        assert_eq!(
            problems,
            ["the event `Standup` cannot be read: `FREQ=WEEKLY` is more than the same day of every year"]
        );
        let (_, problems) = imported("");
        assert_eq!(problems, ["this calendar has no event of whole days"]);
    }
}
