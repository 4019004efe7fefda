//! `nightferry schedule`: what runs when, with holidays and changes of the clock.

use chrono::{DateTime, TimeDelta, Utc};
use comfy_table::{Table, presets};
use serde::Serialize;

use super::Common;
use super::context::{Context, not_valid, print, print_json, print_problems};
use super::exit::{Exit, Failure};
use crate::adapters::clock::SystemClock;
use crate::config::project::{LoadError, LoadedJob, load_job};
use crate::config::unit::parse_duration;
use crate::ports::Clock as _;
use crate::report::document::instant;
use crate::schedule::firing::Shift;
use crate::schedule::timetable::{Day, Occurrence, Timetable};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this job [default: all]
    job: Option<String>,
    /// From this instant on (RFC 3339) [default: now]
    #[arg(long, value_name = "INSTANT", value_parser = parse_instant)]
    from: Option<DateTime<Utc>>,
    /// For so long, such as `24h` or `7d`
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = parse_span)]
    next: TimeDelta,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// An instant of the command line.
pub(super) fn parse_instant(text: &str) -> Result<DateTime<Utc>, String> {
    let read = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
    read.map_err(|_| "an instant such as `2026-11-24T02:15:00Z` or `2026-11-24T03:15:00+01:00` is needed".to_owned())
}

fn parse_span(text: &str) -> Result<TimeDelta, String> {
    let span = parse_duration(text).and_then(|span| TimeDelta::from_std(span).ok());
    span.filter(|span| *span <= TimeDelta::days(1_830))
        .ok_or_else(|| "a duration of at most five years is needed, such as `24h` or `7d`".to_owned())
}

/// One line.
#[derive(Debug, Serialize)]
struct Line {
    job: String,
    scheduled_for: String,
    /// RFC 3339 with the offset of the job's zone.
    local: String,
    business_date: String,
    note: Option<String>,
    #[serde(skip)]
    at: DateTime<Utc>,
    #[serde(skip)]
    shown: String,
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let from = args.from.unwrap_or_else(|| SystemClock.now());
    let mut lines = Vec::new();
    let mut by_hand = Vec::new();
    for loaded in jobs(&context, args, common)? {
        if !loaded.job.enabled && args.job.is_none() {
            continue;
        }
        if loaded.timetable.cron.is_none() {
            by_hand.push(how_it_starts(&loaded));
        }
        let occurrences = loaded.timetable.occurrences(from, from + args.next);
        lines.extend(occurrences.iter().map(|occurrence| line(&loaded, occurrence)));
    }
    lines.sort_by(|left, right| (left.at, &left.job).cmp(&(right.at, &right.job)));
    if args.json {
        print_json(&lines)?;
        return Ok(Exit::DONE);
    }
    print(&table(&lines));
    for told in by_hand {
        print(&format!("{told}\n"));
    }
    Ok(Exit::DONE)
}

/// The jobs that are valid; a mistake in one hides no other.
fn jobs(context: &Context, args: &Args, common: &Common) -> Result<Vec<LoadedJob>, Failure> {
    if let Some(name) = &args.job {
        return Ok(vec![super::run::load(Context::open(common)?, name, common)?.loaded]);
    }
    let mut loaded = Vec::new();
    let mut last = None;
    for name in context.project.job_names() {
        match load_job(&context.project, &name) {
            Ok(job) => loaded.push(job),
            Err(LoadError::Invalid(problems)) if loaded.is_empty() => last = Some(problems),
            Err(LoadError::Invalid(problems)) => print_problems(&problems, common),
            Err(LoadError::UnknownJob { .. }) => {}
        }
    }
    match last {
        Some(problems) if loaded.is_empty() => Err(not_valid(&problems, common)),
        Some(problems) => {
            print_problems(&problems, common);
            Ok(loaded)
        }
        None => Ok(loaded),
    }
}

fn how_it_starts(loaded: &LoadedJob) -> String {
    let behind: Vec<&str> = loaded.timetable.after_jobs.iter().map(|job| job.as_str()).collect();
    match behind.as_slice() {
        [] => format!("{} has no schedule: it is run by hand", loaded.job.name),
        jobs => format!("{} runs behind {}, for the same business date", loaded.job.name, jobs.join(" and ")),
    }
}

fn line(loaded: &LoadedJob, occurrence: &Occurrence) -> Line {
    let zone = &loaded.timetable.zone;
    let offset = zone.offset(occurrence.at).num_seconds();
    let local = chrono::FixedOffset::east_opt(i32::try_from(offset).unwrap_or(0))
        .map_or_else(String::new, |offset| occurrence.at.with_timezone(&offset).to_rfc3339());
    Line {
        job: loaded.job.name.to_string(),
        scheduled_for: instant(occurrence.at),
        local,
        business_date: occurrence.business_date.to_string(),
        note: note(loaded, occurrence),
        at: occurrence.at,
        shown: format!("{} {}", occurrence.local.format("%a %d %b %H:%M"), zone.name()),
    }
}

/// What is out of the ordinary about an occurrence.
fn note(loaded: &LoadedJob, occurrence: &Occurrence) -> Option<String> {
    let mut notes = Vec::new();
    if !loaded.job.enabled {
        notes.push("does not run: the job is not enabled".to_owned());
    }
    match &occurrence.day {
        Day::Open => {}
        Day::RunsAnyway(why) => notes.push(format!("runs although it is {why}")),
        Day::Skipped(why) => notes.push(format!("does not run: {why}")),
        Day::MovedFrom(day, why) => notes.push(format!("moved from {}: {why}", day.format("%a %d %b"))),
    }
    notes.extend(clock_change(&loaded.timetable, occurrence));
    (!notes.is_empty()).then(|| notes.join("; "))
}

fn clock_change(timetable: &Timetable, occurrence: &Occurrence) -> Option<String> {
    let once = timetable.cron.as_ref().is_some_and(|cron| cron.is_timed());
    match occurrence.shift {
        Shift::None => None,
        Shift::BehindJump => Some("the clock jumps over its time: it runs right behind the jump".to_owned()),
        Shift::FirstPass if once => Some("the clock shows its time twice: it runs the first time only".to_owned()),
        Shift::FirstPass => Some("the clock is set back: first pass".to_owned()),
        Shift::SecondPass => Some("the clock is set back: second pass".to_owned()),
    }
}

fn table(lines: &[Line]) -> String {
    if lines.is_empty() {
        return "nothing is due in that time\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["local time", "UTC", "job", "business date", ""]);
    for line in lines {
        let utc = line.at.format("%a %H:%M").to_string();
        table.add_row([&line.shown, &utc, &line.job, &line.business_date, line.note.as_deref().unwrap_or_default()]);
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim().to_owned()).collect();
    lines.join("\n") + "\n"
}
