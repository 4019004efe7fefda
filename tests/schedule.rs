//! `nightferry schedule`: what runs when.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends where it is surprised")]

mod support;

use serde_json::{Value, json};
use support::{Source, Stage};

const CALENDAR: &str = r#"[calendar]
name    = "dk"
title   = "Danish banking days"
weekend = ["SAT", "SUN"]

[holidays]
2026-12-24 = "Christmas Eve"
2026-12-25 = "Christmas Day"
"#;

/// The stage's one job with a schedule of its own.
fn scheduled(schedule: &str) -> Stage {
    let stage = Stage::new(Source::Folder);
    stage.write("project/calendars/dk.toml", CALENDAR);
    stage.edit("project/jobs/orders.toml", "[source]", &format!("[schedule]\n{schedule}\n\n[source]"));
    stage
}

fn listed(stage: &Stage, from: &str, next: &str) -> Vec<Value> {
    let ended = stage.nightferry(&["schedule", "orders", "--from", from, "--next", next, "--json"]).exits(0);
    ended.json().as_array().unwrap().clone()
}

#[test]
fn firings_come_with_local_time_business_date_and_what_is_unusual() {
    let stage = scheduled(
        "cron = \"15 2 * * *\"\ntimezone = \"Europe/Copenhagen\"\ncalendar = \"dk\"\nbusiness_date = \"previous_business_day\"",
    );
    assert_eq!(
        listed(&stage, "2027-03-26T12:00:00Z", "3d"),
        [
            json!({"job": "orders", "scheduled_for": "2027-03-27T01:15:00Z", "local": "2027-03-27T02:15:00+01:00",
                   "business_date": "2027-03-26", "note": "runs although it is weekend"}),
            json!({"job": "orders", "scheduled_for": "2027-03-28T01:00:00Z", "local": "2027-03-28T03:00:00+02:00",
                   "business_date": "2027-03-26",
                   "note": "runs although it is weekend; the clock jumps over its time: it runs right behind the jump"}),
            json!({"job": "orders", "scheduled_for": "2027-03-29T00:15:00Z", "local": "2027-03-29T02:15:00+02:00",
                   "business_date": "2027-03-26", "note": null}),
        ]
    );
}

#[test]
fn the_end_belongs_to_the_span_and_the_beginning_does_not() {
    let stage = scheduled("cron = \"0 * * * *\"\ntimezone = \"UTC\"");
    let times: Vec<Value> =
        listed(&stage, "2026-11-23T10:00:00Z", "2h").iter().map(|one| one["local"].clone()).collect();
    assert_eq!(times, ["2026-11-23T11:00:00+00:00", "2026-11-23T12:00:00+00:00"]);
}

#[test]
fn on_holidays_a_job_is_skipped_or_moved_and_the_table_says_why() {
    let stage =
        scheduled("cron = \"15 3 * * *\"\ntimezone = \"Europe/Copenhagen\"\ncalendar = \"dk\"\non_holiday = \"skip\"");
    let ended = stage.nightferry(&["schedule", "--from", "2026-12-23T12:00:00Z", "--next", "3d"]).exits(0);
    assert_eq!(
        ended.stdout,
        "\
local time                          UTC        job     business date
Thu 24 Dec 03:15 Europe/Copenhagen  Thu 02:15  orders  2026-12-24     does not run: Christmas Eve
Fri 25 Dec 03:15 Europe/Copenhagen  Fri 02:15  orders  2026-12-25     does not run: Christmas Day
Sat 26 Dec 03:15 Europe/Copenhagen  Sat 02:15  orders  2026-12-26     does not run: weekend
"
    );
    stage.edit("project/jobs/orders.toml", "\"skip\"", "\"next_business_day\"");
    let moved = listed(&stage, "2026-12-25T12:00:00Z", "3d");
    let shown: Vec<_> = moved.iter().map(|one| (one["local"].as_str().unwrap(), one["note"].clone())).collect();
    assert_eq!(shown, [("2026-12-28T03:15:00+01:00", Value::Null)]);
}

#[test]
fn a_calendar_may_be_an_icalendar_file_and_several_count_together() {
    let stage =
        scheduled("cron = \"0 6 * * *\"\ntimezone = \"UTC\"\ncalendar = [\"dk\", \"target2\"]\non_holiday = \"skip\"");
    stage.write(
        "project/calendars/target2.ics",
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART;VALUE=DATE:20261231\r\nSUMMARY:Year end\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
    );
    let notes: Vec<Value> =
        listed(&stage, "2026-12-30T12:00:00Z", "2d").iter().map(|one| one["note"].clone()).collect();
    assert_eq!(notes, [json!("does not run: Year end"), Value::Null]);
}

#[test]
fn a_job_that_is_not_enabled_or_has_no_schedule_is_not_due() {
    let stage = scheduled("cron = \"0 6 * * *\"\ntimezone = \"UTC\"");
    stage.edit("project/jobs/orders.toml", "[job]", "[job]\nenabled = false");
    let ended = stage.nightferry(&["schedule", "--from", "2026-12-23T12:00:00Z"]).exits(0);
    assert_eq!(ended.stdout, "nothing is due in that time\n");
    let by_hand = Stage::new(Source::Folder);
    let ended = by_hand.nightferry(&["schedule"]).exits(0);
    assert_eq!(ended.stdout, "nothing is due in that time\norders has no schedule: it is run by hand\n");
}

#[test]
fn what_a_schedule_refers_to_must_be_there() {
    let stage = scheduled(
        "cron = \"0 6 * * *\"\ntimezone = \"UTC\"\ncalendar = \"dq\"\non_holiday = \"skip\"\nafter_job = \"orders\"\nexpected_by = \"6:30\"\ncut_off = \"25:00\"",
    );
    let ended = stage.nightferry(&["check", "--json"]).exits(3);
    let told: Vec<String> = ended.json()["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["severity"] == "error")
        .map(|one| format!("{} {}", one["code"].as_str().unwrap(), one["message"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            "NF405 a job runs by `cron` or behind another job, not both",
            "NF104 `6:30` does not say by when",
            "NF104 `25:00` is not a time of the day",
        ]
    );
}
