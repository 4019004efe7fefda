//! `nightferry serve`: every job at its instant, once; stopped, killed, reloaded and steered while it runs.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends where it is surprised")]

mod support;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use nightferry::domain::run::RunState;
use nightferry::ledger::Ledger;
use nightferry::ledger::row::Opened;
use nightferry::serve::queue::{self, Active};
use nightferry::serve::roster::Roster;
use nightferry::serve::turn::turn;
use serde_json::Value;
use support::{Source, Stage};

const EVERY_MINUTE: &str = "[schedule]\ncron = \"* * * * *\"\ntimezone = \"UTC\"\n";

/// The stage's job with this schedule, taking whatever lies there.
fn stage(schedule: &str) -> Stage {
    let stage = Stage::new(Source::Folder);
    stage.source("files      = \"orders*.csv\"");
    stage.edit("project/jobs/orders.toml", "[source]", &format!("{schedule}\n[source]"));
    stage
}

/// A daemon; killed when the test is over.
struct Daemon(Child);

impl Daemon {
    fn start(stage: &Stage) -> Self {
        let mut command = stage.command(&["-v", "serve"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        // The lock has the pid as soon as it serves.
        let pid = child.id().to_string();
        wait_for("the daemon", || {
            assert!(child.try_wait().unwrap().is_none(), "the daemon has ended");
            std::fs::read_to_string(stage.path("data/serve.lock")).is_ok_and(|text| text.trim() == pid)
        });
        Self(child)
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Asks to stop; exit code, and what it said.
    fn stop(mut self) -> (Option<i32>, String) {
        self.signal(rustix::process::Signal::TERM);
        let mut said = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.0.wait().unwrap().code(), said)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !there() {
        assert!(Instant::now() < until, "{what} did not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn runs(stage: &Stage) -> Vec<Value> {
    stage.nightferry(&["runs", "--json", "--limit", "1000"]).exits(0).json().as_array().unwrap().clone()
}

fn states(stage: &Stage) -> Vec<String> {
    runs(stage).iter().map(|run| run["state"].as_str().unwrap().to_owned()).collect()
}

/// Lets the daemon believe that it decided about everything up to so long ago, and nothing since.
fn look_back(stage: &Stage, by: TimeDelta) {
    let daemon = Daemon::start(stage);
    wait_for("the clock of the job", || {
        stage.ledger().query_row("SELECT count(*) FROM job_clock", [], |row| row.get::<_, i64>(0)).unwrap() > 0
    });
    assert_eq!(daemon.stop().0, Some(0));
    let planned = (Utc::now() - by).timestamp_millis();
    let changed = stage.ledger().execute("UPDATE job_clock SET planned_through = ?1", [planned]).unwrap();
    assert_eq!(changed, 1);
}

#[test]
fn a_job_is_started_at_its_time_and_the_daemon_stops_in_order() {
    let stage = stage(EVERY_MINUTE);
    look_back(&stage, TimeDelta::seconds(60));
    stage.deliver("orders_1.csv", Stage::rows(1, 25));
    let daemon = Daemon::start(&stage);
    wait_for("the run", || states(&stage).iter().any(|state| state == "done"));
    let (code, said) = daemon.stop();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the run is done"), "{said}");
    assert_eq!(stage.delivered_ids(), support::ids(1, 25));
    let trigger: String =
        stage.ledger().query_row("SELECT \"trigger\" FROM run WHERE state = 'done'", [], |row| row.get(0)).unwrap();
    assert_eq!(trigger, "schedule");
}

#[test]
fn a05_a_second_signal_stops_at_once() {
    let stage = stage("");
    let mut daemon = Daemon::start(&stage);
    daemon.signal(rustix::process::Signal::TERM);
    daemon.signal(rustix::process::Signal::INT);
    // The first may have ended it in order before the second came.
    assert!(matches!(daemon.0.wait().unwrap().code(), Some(0 | 130 | 143)));
    assert_eq!(Daemon::start(&stage).stop().0, Some(0));
}

#[test]
fn a07_a_second_daemon_says_who_serves_and_other_commands_work_beside_the_first() {
    let stage = stage("");
    stage.deliver("orders_1.csv", Stage::rows(1, 5));
    let first = Daemon::start(&stage);
    let second = stage.nightferry(&["serve"]).exits(1);
    let (pid, path) = (first.0.id(), stage.path("data/serve.lock"));
    assert_eq!(
        second.stderr,
        format!(
            "error: process {pid} already serves this data folder ({})\n  → `nightferry run` and every other command work beside it\n",
            path.display()
        )
    );
    stage.run().exits(0);
    assert_eq!(first.stop().0, Some(0));
    // The lock of a process that is gone is nobody's (A08).
    assert_eq!(Daemon::start(&stage).stop().0, Some(0));
}

#[test]
fn c06_what_was_missed_is_made_up_for_once_and_every_other_time_is_a_row() {
    let stage = stage("[schedule]\ncron = \"0 * * * *\"\ntimezone = \"UTC\"\n");
    look_back(&stage, TimeDelta::hours(8));
    stage.deliver("orders_1.csv", Stage::rows(1, 3));
    let daemon = Daemon::start(&stage);
    wait_for("the run", || states(&stage).iter().any(|state| state == "done"));
    daemon.stop();
    let told: Vec<(String, String, Option<String>)> = {
        let ledger = stage.ledger();
        let mut rows =
            ledger.prepare("SELECT state, \"trigger\", skip_reason FROM run ORDER BY scheduled_for").unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    let skipped = told.iter().filter(|row| row.0 == "skipped").count();
    assert_eq!((told.len(), skipped), (8, 7), "{told:?}");
    assert!(told[..7].iter().all(|row| row.2.as_deref() == Some("missed")), "{told:?}");
    assert!(matches!(told[7].1.as_str(), "catch_up" | "schedule"), "{told:?}");
}

#[test]
fn a_paused_job_is_not_started_and_what_fell_into_the_pause_is_decided_at_its_end() {
    let stage = stage(EVERY_MINUTE);
    look_back(&stage, TimeDelta::seconds(60));
    stage.deliver("orders_1.csv", Stage::rows(1, 3));
    let paused = stage.nightferry(&["pause", "orders", "--reason", "the shop moves"]).exits(0);
    assert_eq!(
        paused.stdout,
        "orders is paused until `nightferry unpause orders`; what falls due until then is decided by its `misfire`\n"
    );
    let daemon = Daemon::start(&stage);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(states(&stage), Vec::<String>::new());
    assert_eq!(stage.nightferry(&["unpause", "orders"]).exits(0).stdout, "orders runs by its schedule again\n");
    wait_for("the run", || states(&stage).iter().any(|state| state == "done"));
    daemon.stop();
    let audit = stage.nightferry(&["audit"]).exits(0).stdout;
    assert!(audit.contains("pause") && audit.contains("the shop moves") && audit.contains("unpause"), "{audit}");
}

#[test]
fn p1_what_a_killed_process_left_is_finished_without_a_person() {
    let stage = stage("");
    stage.deliver("orders_1.csv", Stage::rows(1, 4_000));
    let mut run = stage.spawn_run();
    wait_for("the first batch", || !stage.target.log().is_empty());
    run.kill().unwrap();
    run.wait().unwrap();
    let daemon = Daemon::start(&stage);
    wait_for("the end of the run", || states(&stage) == ["done"]);
    assert_eq!(daemon.stop().0, Some(0));
    let mut delivered = stage.delivered_ids();
    delivered.sort();
    delivered.dedup();
    assert_eq!(delivered, support::ids(1, 4_000));
}

#[test]
fn a14_changed_files_are_taken_when_they_are_valid_and_else_the_old_ones_stay() {
    let stage = stage("");
    let daemon = Daemon::start(&stage);
    let job = std::fs::read_to_string(stage.path("project/jobs/orders.toml")).unwrap();
    let returns = job.replacen("name    = \"orders\"", "name    = \"returns\"", 1);
    stage.write("project/jobs/returns.toml", returns.replace("retry ", "rety "));
    daemon.signal(rustix::process::Signal::HUP);
    std::thread::sleep(Duration::from_secs(1));
    // Without a signal: changed files are looked for.
    stage.write("project/jobs/returns.toml", returns);
    std::thread::sleep(Duration::from_secs(5));
    let (code, said) = daemon.stop();
    assert_eq!(code, Some(0));
    assert!(said.contains("error[NF") && said.contains("the 1 jobs from before stay as they were"), "{said}");
    assert!(said.contains("2 jobs are served now"), "{said}");
}

#[test]
fn a_run_that_waits_for_its_file_can_be_cancelled() {
    let stage = stage(EVERY_MINUTE);
    stage.nightferry(&["run", "orders", "--date", "2026-11-23"]).exits(7);
    let run = runs(&stage)[0]["run"].as_str().unwrap().to_owned();
    let told = stage.nightferry(&["cancel", &run, "--reason", "no file today"]).exits(0).stdout;
    assert_eq!(told, format!("run {run} is cancelled; what was accepted stays accepted\n"));
    assert_eq!(states(&stage), ["cancelled"]);
    let again = stage.nightferry(&["cancel", &run]).exits(1).stderr;
    assert_eq!(again, format!("error: run {run} is over: there is nothing to cancel\n"));
}

#[test]
fn a_run_under_way_halts_in_order_when_it_is_cancelled() {
    let stage = stage("");
    stage.edit("project/connections.toml", "timeout = \"5s\"", "timeout = \"5s\"\nrate = { per_second = 5 }");
    stage.deliver("orders_1.csv", Stage::rows(1, 1_000));
    let mut run = stage.spawn_run();
    wait_for("the first batch", || !stage.target.log().is_empty());
    let told = stage.nightferry(&["cancel", "orders@last"]).exits(0).stdout;
    assert!(told.ends_with("halts after the requests under way, and is cancelled then\n"), "{told}");
    assert_eq!(run.wait().unwrap().code(), Some(1));
    assert_eq!(states(&stage), ["cancelled"]);
    let sent = stage.delivered_ids().len();
    assert!((1..1_000).contains(&sent), "{sent} records were accepted before it halted");
}

#[test]
fn a_service_manager_is_told_how_it_goes() {
    let stage = stage("");
    let socket = stage.path("notify.sock");
    let manager = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut told = String::new();
    let mut listen = |until: &str| {
        let mut buffer = [0; 4096];
        while !told.contains(until) {
            let length = manager.recv(&mut buffer).expect("the daemon says something");
            told.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
        std::mem::take(&mut told)
    };
    let mut command = stage.command(&["serve"]);
    let daemon = Daemon(command.env("NOTIFY_SOCKET", &socket).stderr(Stdio::piped()).spawn().unwrap());
    let began = listen("STATUS=");
    assert!(began.starts_with("READY=1\n") && began.contains("WATCHDOG=1\n"), "{began}");
    assert!(began.contains("STATUS=0 running, 0 waiting for a file"), "{began}");
    stage.nightferry(&["health"]).exits(0);
    daemon.signal(rustix::process::Signal::HUP);
    let reloaded = listen("READY=1");
    assert!(reloaded.contains("RELOADING=1\n") && reloaded.contains("MONOTONIC_USEC="), "{reloaded}");
    assert_eq!(daemon.stop().0, Some(0));
    listen("STOPPING=1");
    assert_eq!(stage.nightferry(&["health"]).exits(1).stdout, "");
}

#[test]
fn a_job_runs_behind_another_for_the_same_business_date() {
    let stage = stage("");
    let job = std::fs::read_to_string(stage.path("project/jobs/orders.toml")).unwrap();
    let behind = job.replacen("name    = \"orders\"", "name    = \"behind\"", 1);
    let behind = behind.replacen("[source]", "[schedule]\nafter_job = \"orders\"\n\n[source]", 1);
    stage.write("project/jobs/behind.toml", behind);
    stage.deliver("orders_1.csv", Stage::rows(1, 3));
    let daemon = Daemon::start(&stage);
    wait_for("the clock of the job", || {
        stage.ledger().query_row("SELECT count(*) FROM job_clock", [], |row| row.get::<_, i64>(0)).unwrap() > 0
    });
    stage.run().exits(0);
    wait_for("both runs", || states(&stage) == ["done", "done"]);
    daemon.stop();
    let dates: Vec<(String, String)> = runs(&stage)
        .iter()
        .map(|run| (run["job"].as_str().unwrap().to_owned(), run["business_date"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(dates, [("behind".into(), "2026-11-23".into()), ("orders".into(), "2026-11-23".into())]);
}

/// What the rows of the job say, by scheduled minute.
fn told(stage: &Stage) -> Vec<(String, Option<String>)> {
    let ledger = stage.ledger();
    let mut rows = ledger.prepare("SELECT state, skip_reason FROM run ORDER BY scheduled_for").unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn c08_while_a_run_is_under_way_one_waits_and_further_ones_are_rows() {
    for (overlap, second) in [("wait", ("scheduled", None)), ("skip", ("skipped", Some("overlap")))] {
        let stage = stage(&format!("{EVERY_MINUTE}overlap = \"{overlap}\"\n"));
        let (roster, _) = Roster::load(&stage.path("project"));
        let at = |minute: u32| format!("2026-11-23T03:{minute:02}:05Z").parse::<DateTime<Utc>>().unwrap();
        let ledger = Ledger::open(&stage.path("data"), at(0)).unwrap();
        turn(at(0), &roster, &ledger).unwrap();
        turn(at(1), &roster, &ledger).unwrap();
        let first = ledger.open_runs().unwrap()[0].run.clone();
        let Some(Opened::New(_lease)) = ledger.start_run(&first, at(1)).unwrap() else { panic!("not started") };
        turn(at(2), &roster, &ledger).unwrap();
        turn(at(3), &roster, &ledger).unwrap();
        // Asked again for the same times: nothing more is decided.
        turn(at(3), &roster, &ledger).unwrap();
        let row = |(state, reason): (&str, Option<&str>)| (state.to_owned(), reason.map(str::to_owned));
        let rows = [row(("running", None)), row(second), row(("skipped", Some("overlap")))];
        assert_eq!(told(&stage), rows, "{overlap}");
    }
}

#[test]
fn what_is_important_starts_first_and_no_more_than_allowed_at_once() {
    let stage = stage(EVERY_MINUTE);
    let job = std::fs::read_to_string(stage.path("project/jobs/orders.toml")).unwrap();
    for (name, criticality) in [("payments", "critical"), ("statistics", "low")] {
        let job = job.replacen("name    = \"orders\"", &format!("name    = \"{name}\""), 1);
        let job = format!("{job}\n[integration]\ncriticality = \"{criticality}\"\n");
        stage.write(&format!("project/jobs/{name}.toml"), job);
    }
    let (roster, problems) = Roster::load(&stage.path("project"));
    assert_eq!(problems.errors(), 0, "{problems}");
    let at = |minute: u32| format!("2026-11-23T03:{minute:02}:05Z").parse::<DateTime<Utc>>().unwrap();
    let ledger = Ledger::open(&stage.path("data"), at(0)).unwrap();
    turn(at(0), &roster, &ledger).unwrap();
    turn(at(1), &roster, &ledger).unwrap();
    let starts = |places| {
        let (starts, _) = queue::next(at(1), &ledger.open_runs().unwrap(), &roster, &Active::default(), places);
        starts.iter().map(|start| start.job.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(starts(10), ["payments", "orders", "statistics"]);
    assert_eq!(starts(2), ["payments", "orders"]);
}

/// Thirty days of twelve jobs, minute by minute where something happens: every firing exactly once.
#[test]
fn a_simulated_month_fires_every_occurrence_exactly_once() {
    let stage = stage("");
    let template = std::fs::read_to_string(stage.path("project/jobs/orders.toml")).unwrap();
    std::fs::remove_file(stage.path("project/jobs/orders.toml")).unwrap();
    let crons = [
        ("15 3 * * *", "Europe/Copenhagen"),
        ("30 2 * * *", "America/New_York"),
        ("0 * * * *", "Europe/London"),
        ("0 6 * * 1-5", "Asia/Kathmandu"),
        ("15 2 * * *", "Australia/Lord_Howe"),
        ("0 0 1 * *", "UTC"),
        ("30 1 * * *", "Europe/London"),
        ("0 9-19/2 * * MON-FRI", "Europe/Copenhagen"),
        ("45 23 * * 0", "America/Sao_Paulo"),
        ("*/30 2 * * *", "America/New_York"),
        ("0 12 13 * 5", "UTC"),
        ("5 4 * * *", "Africa/Casablanca"),
    ];
    for (number, (cron, zone)) in crons.iter().enumerate() {
        let name = format!("job-{number}");
        let job = template.replacen("name    = \"orders\"", &format!("name    = \"{name}\""), 1);
        let job =
            job.replacen("[source]", &format!("[schedule]\ncron = \"{cron}\"\ntimezone = \"{zone}\"\n\n[source]"), 1);
        stage.write(&format!("project/jobs/{name}.toml"), job);
    }
    let (roster, problems) = Roster::load(&stage.path("project"));
    assert_eq!((roster.len(), problems.errors()), (crons.len(), 0), "{problems}");
    // Both changes of the clock in London, Copenhagen and New York lie in these days.
    let start: DateTime<Utc> = "2026-10-12T12:00:30Z".parse().unwrap();
    let end = start + TimeDelta::days(30);
    let ledger = Ledger::open(&stage.path("data"), start).unwrap();
    let mut fired: BTreeMap<String, Vec<DateTime<Utc>>> = BTreeMap::new();
    let mut now = start;
    while now <= end {
        let wake_at = turn(now, &roster, &ledger).unwrap();
        let (starts, _) = queue::next(now, &ledger.open_runs().unwrap(), &roster, &Active::default(), 100);
        for start in starts {
            let Some(Opened::New(lease)) = ledger.start_run(&start.run, now).unwrap() else { panic!("{start:?}") };
            ledger.close_run(&lease, RunState::Done, None, now).unwrap();
            fired
                .entry(start.job.to_string())
                .or_default()
                .push(ledger.run(&start.run).unwrap().unwrap().scheduled_for.unwrap());
        }
        now = wake_at.map_or(end + TimeDelta::seconds(1), |at| at.max(now + TimeDelta::seconds(1)));
    }
    let mut expected: BTreeMap<String, Vec<DateTime<Utc>>> = BTreeMap::new();
    for (name, loaded) in roster.enabled() {
        let due: Vec<_> = loaded.timetable.occurrences(start, end).iter().map(|one| one.at).collect();
        if !due.is_empty() {
            expected.insert(name.to_string(), due);
        }
    }
    assert_eq!(fired, expected);
    assert!(fired.values().map(Vec::len).sum::<usize>() > 900, "{}", fired.len());
}
