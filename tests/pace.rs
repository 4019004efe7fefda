//! The pace of a connection: rate, seats, pauses that a target asks for, and a target that fails for long.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends where it is surprised")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::target::{Answer, Request, Target};
use support::{Source, Stage, ended, ids, records};

fn rate(stage: &Stage, rate: &str) {
    stage.edit("project/connections.toml", "timeout = \"5s\"", &format!("timeout = \"5s\"\nrate = {rate}"));
}

/// A second job on the same connection, with files of its own.
fn second_job(stage: &Stage) {
    let job = std::fs::read_to_string(stage.path("project/jobs/orders.toml")).unwrap();
    let job = job.replace("name    = \"orders\"", "name    = \"returns\"").replace("orders_{", "returns_{");
    stage.write("project/jobs/returns.toml", job);
}

fn gaps(log: &[Request]) -> Vec<Duration> {
    log.windows(2).map(|two| two[1].at - two[0].at).collect()
}

fn commits(stderr: &str) -> u64 {
    let count = stderr.lines().find_map(|line| line.split("ledger commits: ").nth(1));
    count.and_then(|text| text.trim().parse().ok()).unwrap_or_else(|| panic!("{stderr}"))
}

#[test]
fn e03_after_a_429_the_whole_connection_waits_and_so_does_every_other_job_on_it() {
    let asked = Arc::new(AtomicBool::new(false));
    let first = asked.clone();
    let target = Target::scripted(move |_, _| match first.swap(true, Ordering::SeqCst) {
        false => Answer::Reply(429, vec![("retry-after", "2".to_owned())], String::new()),
        true => Answer::ok(),
    });
    let stage = Stage::with_target(Source::Folder, target);
    second_job(&stage);
    rate(&stage, "{ concurrency = 1 }");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 25));
    stage.deliver("returns_20261123.csv", Stage::rows(101, 25));
    let mut orders = stage.spawn_run();
    while !asked.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let paused_at = Instant::now();
    stage.nightferry(&["run", "returns", "--date", "2026-11-23"]).exits(0);
    assert!(paused_at.elapsed() >= Duration::from_millis(1900), "the other job waited too");
    assert!(orders.wait().unwrap().success());
    let log = stage.target.log();
    assert_eq!((log.len(), log[0].answered), (7, Some(429)));
    assert!(log[1].at - log[0].at >= Duration::from_secs(2), "{:?}", log[1].at - log[0].at);
}

#[test]
fn rate_headers_that_say_none_is_left_pause_the_connection() {
    for header in [
        ("ratelimit", "\"default\";r=0;t=1"),
        ("ratelimit", "limit=100, remaining=0, reset=1"),
        ("x-ratelimit-remaining", "0"),
    ] {
        let target = Target::scripted(move |_, number| match number {
            0 => Answer::Reply(
                200,
                vec![(header.0, header.1.to_owned()), ("x-ratelimit-reset", "1".to_owned())],
                "{}".into(),
            ),
            _ => Answer::Reply(200, vec![("ratelimit", "\"default\";r=9;t=30".to_owned())], "{}".into()),
        });
        let stage = Stage::with_target(Source::Folder, target);
        rate(&stage, "{ concurrency = 1 }");
        stage.deliver("orders_20261123.csv", Stage::rows(1, 25));
        stage.run().exits(0);
        let gaps = gaps(&stage.target.log());
        assert!(gaps[0] >= Duration::from_secs(1) && gaps[1] < Duration::from_secs(1), "{header:?}: {gaps:?}");
    }
}

#[test]
fn requests_leave_evenly_and_two_jobs_share_one_rate() {
    let stage = Stage::new(Source::Folder);
    second_job(&stage);
    rate(&stage, "{ per_second = 20, concurrency = 4 }");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 100));
    stage.deliver("returns_20261123.csv", Stage::rows(201, 100));
    let mut orders = stage.spawn_run();
    stage.nightferry(&["run", "returns", "--date", "2026-11-23"]).exits(0);
    assert!(orders.wait().unwrap().success());
    let log = stage.target.log();
    assert_eq!(log.len(), 20);
    let took = log[19].at - log[0].at;
    assert!(took >= Duration::from_millis(930), "19 gaps of 50 ms: {took:?}");
}

#[test]
fn a_limit_by_the_minute_with_a_burst_is_kept() {
    let stage = Stage::new(Source::Folder);
    rate(&stage, "{ per_minute = 120, burst = 5, concurrency = 8 }");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 80));
    stage.run().exits(0);
    let log = stage.target.log();
    assert_eq!(log.len(), 8);
    assert!(log[4].at - log[0].at < Duration::from_millis(450), "five at once");
    assert!(log[7].at - log[0].at >= Duration::from_millis(1400), "then one every half second");
}

#[test]
fn a_rate_costs_no_commit_of_its_own() {
    let stage = Stage::new(Source::Folder);
    rate(&stage, "{ per_second = 500, concurrency = 4 }");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 4_000));
    let mut command = stage.command(&["run", "orders", "--date", "2026-11-23", "-vv"]);
    command.env("RUST_LOG", "nightferry=debug");
    let commits = commits(&ended(command).exits(0).stderr);
    let (batches, concurrency) = (400_u64, 4);
    assert!(commits <= 2 * batches.div_ceil(concurrency) + 50, "{commits} commits");
}

#[test]
fn concurrency_is_that_of_the_connection_and_not_of_a_process() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (under_way, highest) = (now.clone(), most.clone());
    let target = Target::scripted(move |_, _| {
        highest.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(60));
        under_way.fetch_sub(1, Ordering::SeqCst);
        Answer::ok()
    });
    let stage = Stage::with_target(Source::Folder, target);
    second_job(&stage);
    rate(&stage, "{ concurrency = 2 }");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 150));
    stage.deliver("returns_20261123.csv", Stage::rows(201, 50));
    let mut orders = stage.spawn_run();
    while stage.target.log().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    stage.nightferry(&["run", "returns", "--date", "2026-11-23"]).exits(0);
    let behind = stage.target.log().len();
    assert!(orders.wait().unwrap().success());
    assert_eq!(most.load(Ordering::SeqCst), 2, "requests under way at once, over both processes");
    assert!(behind < 20, "the smaller job got its share: it did not wait for the larger one to end");
    assert_eq!(stage.delivered_ids().len(), 200);
}

#[test]
fn e34_a_target_that_is_down_is_probed_by_one_request_and_everything_is_sent_once_it_answers() {
    let down = Arc::new(AtomicBool::new(true));
    let state = down.clone();
    let target = Target::scripted(move |_, _| Answer::status(if state.load(Ordering::SeqCst) { 503 } else { 200 }));
    let stage = Stage::with_target(Source::Folder, target);
    rate(&stage, "{ concurrency = 4 }");
    let edit = |from, to| stage.edit("project/jobs/orders.toml", from, to);
    edit(
        "attempts = 4, first_wait = \"20ms\", longest_wait = \"100ms\"",
        "attempts = 30, first_wait = \"20ms\", longest_wait = \"300ms\"",
    );
    stage.deliver("orders_20261123.csv", Stage::rows(1, 200));
    let mut run = stage.spawn_run();
    while stage.target.log().len() < 9 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let failed = stage.target.log();
    let probes = gaps(&failed[5..]);
    assert!(probes.iter().skip(3).all(|gap| *gap >= Duration::from_millis(280)), "{probes:?}");
    down.store(false, Ordering::SeqCst);
    assert!(run.wait().unwrap().success());
    assert_eq!(stage.delivered_ids(), ids(1, 200));
}

#[test]
fn e34_when_the_attempts_are_spent_on_probes_the_run_stops_and_a_later_one_finishes_it() {
    let down = Arc::new(AtomicBool::new(true));
    let state = down.clone();
    let target = Target::scripted(move |_, _| Answer::status(if state.load(Ordering::SeqCst) { 503 } else { 200 }));
    let stage = Stage::with_target(Source::Folder, target);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 1_000));
    let document = stage.run_json().exits(8).json();
    assert_eq!(document["error"]["code"], "not-delivered");
    assert_eq!(records(&document), [1_000, 0, 0, 0, 1_000]);
    let sent = stage.target.log().len();
    assert!(sent <= 16, "{sent}: the other batches were not burnt one by one");
    down.store(false, Ordering::SeqCst);
    stage.run().exits(0);
    assert_eq!(stage.delivered_ids(), ids(1, 1_000));
}
