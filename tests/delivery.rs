//! Delivery: retries, unknown outcomes, refusals, signals, and the number of commits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a test ends where it is surprised"
)]

mod support;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::target::{Answer, Target};
use support::{Source, Stage, ended, ids, names, records};

const RESPONSE: &str = "\n[target.response]\naccepted = [200, 207]\neach = \"$.results[*]\"\n\
    match = { ours = \"id\", theirs = \"$.id\" }\nok_when = { path = \"$.status\", is = [\"OK\"] }\n\
    error_code = \"$.error.code\"\nerror_text = \"$.error.message\"\n";

fn with_response(stage: &Stage) {
    let job = std::fs::read_to_string(stage.path("project/jobs/orders.toml")).unwrap();
    stage.write("project/jobs/orders.toml", job + RESPONSE);
}

/// One result for each record of a request.
fn results(body: &[u8], status: impl Fn(&str) -> Value) -> Vec<Value> {
    let records: Vec<Value> = serde_json::from_slice(body).unwrap();
    records.iter().map(|record| status(record["id"].as_str().unwrap())).collect()
}

fn without_key(stage: &Stage) {
    stage.edit("project/jobs/orders.toml", "idempotency = { header = \"Idempotency-Key\" }", "");
}

#[test]
fn trouble_that_passes_is_retried_with_the_same_key_and_the_same_body() {
    let target = Target::scripted(|_, number| Answer::status([500, 503, 429, 200][number]));
    let stage = Stage::with_target(Source::Folder, target);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 5));
    let document = stage.run_json().exits(0).json();
    assert_eq!((records(&document), &document["attempts"]), ([5, 5, 0, 0, 0], &json!(4)));
    let log = stage.target.log();
    assert!(log.iter().all(|request| request.key == log[0].key && request.body == log[0].body));
    let attempts = stage.nightferry(&["show", "orders@last", "--attempts"]).exits(0).stdout;
    let outcomes: Vec<_> = attempts
        .lines()
        .filter(|line| line.trim_start().starts_with("batch"))
        .map(|line| line.split_whitespace().skip(5).take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(outcomes, ["500 unknown", "503 not_taken", "429 not_taken", "200 answered"]);
}

#[test]
fn retry_after_pauses_the_whole_connection() {
    let target = Target::scripted(|_, number| match number {
        0 => Answer::Reply(429, vec![("retry-after", "1".to_owned())], String::new()),
        _ => Answer::ok(),
    });
    let stage = Stage::with_target(Source::Folder, target);
    stage.edit("project/connections.toml", "timeout = \"5s\"", "timeout = \"5s\"\nrate = { concurrency = 1 }");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 25));
    stage.run().exits(0);
    let log = stage.target.log();
    assert_eq!(log.len(), 4);
    assert!(log[1].at - log[0].at >= Duration::from_secs(1), "nothing was sent during the pause");
}

#[test]
fn a_reset_after_the_request_was_processed_takes_effect_once() {
    let target = Target::scripted(|_, number| match number {
        0 => Answer::TakenThenReset,
        1 => Answer::TakenThenCut,
        _ => Answer::ok(),
    });
    let stage = Stage::with_target(Source::Folder, target);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 5));
    let document = stage.run_json().exits(0).json();
    assert_eq!((records(&document), &document["attempts"]), ([5, 5, 0, 0, 0], &json!(3)));
    assert_eq!(stage.delivered_ids(), ids(1, 5));
}

#[test]
fn without_a_key_an_unknown_outcome_is_held_for_a_person_and_never_sent_again() {
    let target = Target::scripted(|_, number| if number == 0 { Answer::TakenThenReset } else { Answer::ok() });
    let stage = Stage::with_target(Source::Folder, target);
    without_key(&stage);
    stage.edit("project/connections.toml", "timeout = \"5s\"", "timeout = \"5s\"\nrate = { concurrency = 1 }");
    stage.edit("project/jobs/orders.toml", "[target]", "afterwards = \"delete\"\n[target]");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 25));
    let document = stage.run_json().exits(6).json();
    assert_eq!((&document["state"], records(&document)), (&json!("break"), [25, 15, 0, 10, 0]));
    stage.run();
    assert_eq!(stage.target.log().len(), 3, "nothing was sent again");
    assert_eq!(stage.delivered_ids(), ids(1, 25));
    assert_eq!(names(&stage.remote()), ["orders_20261123.csv"], "not cleaned up while records are unanswered");
}

#[test]
fn server_errors_for_ever_end_unanswered_with_8_and_the_next_run_finishes() {
    let broken = Arc::new(AtomicBool::new(true));
    let state = broken.clone();
    let target = Target::scripted(move |_, _| Answer::status(if state.load(Ordering::SeqCst) { 500 } else { 200 }));
    let stage = Stage::with_target(Source::Folder, target);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 5));
    let document = stage.run_json().exits(8).json();
    assert_eq!((&document["state"], records(&document)), (&json!("failed"), [5, 0, 0, 5, 0]));
    assert_eq!((&document["attempts"], &document["error"]["code"]), (&json!(4), &json!("not-delivered")));
    broken.store(false, Ordering::SeqCst);
    let finished = stage.run_json().exits(0).json();
    assert_eq!((&finished["run"], records(&finished)), (&document["run"], [5, 5, 0, 0, 0]));
    assert_eq!(finished["attempts"], 5, "numbers go on for life");
}

#[test]
fn a_wrong_token_or_path_stops_the_run_and_refuses_nothing() {
    for status in [401, 403, 404, 405, 302] {
        let good = Arc::new(AtomicBool::new(false));
        let state = good.clone();
        let target =
            Target::scripted(move |_, _| Answer::status(if state.load(Ordering::SeqCst) { 200 } else { status }));
        let stage = Stage::with_target(Source::Folder, target);
        stage.deliver("orders_20261123.csv", Stage::rows(1, 95));
        let document = stage.run_json().exits(8).json();
        assert_eq!(document["error"]["code"], "stopped-by-target", "{status}");
        assert_eq!(records(&document), [95, 0, 0, 0, 95], "{status}");
        assert!(stage.target.log().len() <= 4, "{status}: ten thousand batches are not burnt");
        good.store(true, Ordering::SeqCst);
        let run = document["run"].as_str().unwrap();
        stage.nightferry(&["resume", run]).exits(0);
        assert_eq!(stage.delivered_ids(), ids(1, 95));
    }
}

#[test]
fn a_final_no_refuses_the_batch_and_the_others_go_on() {
    let target = Target::scripted(|request, _| {
        let poisoned = request.body.windows(8).any(|window| window == b"A-000013");
        if poisoned { Answer::json(410, json!({"detail": "A-000013 is unknown here"})) } else { Answer::ok() }
    });
    let stage = Stage::with_target(Source::Folder, target);
    stage.edit("project/jobs/orders.toml", "[target]", "afterwards = \"delete\"\n[target]");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 25));
    let document = stage.run_json().exits(6).json();
    assert_eq!((&document["state"], records(&document)), (&json!("break"), [25, 15, 10, 0, 0]));
    let rejects = stage.nightferry(&["rejects", "--json"]).exits(0).json();
    let first = &rejects[0];
    assert_eq!((&first["side"], &first["code"], &first["row"]), (&json!("target"), &json!("410"), &json!(12)));
    assert_eq!(
        (&first["message"], &first["raw"]),
        (&json!("A-000013 is unknown here"), &json!("A-000011,3,23.11.2026"))
    );
    assert_eq!(rejects.as_array().map(Vec::len), Some(10));
    assert!(names(&stage.remote()).is_empty(), "everything has its fate, the raw rows are kept here");
}

#[test]
fn each_record_gets_the_fate_that_the_target_reports() {
    let target = Target::scripted(|request, _| {
        let mut results = results(&request.body, |id| match id {
            "A-000003" => {
                json!({"id": id, "status": "NO", "error": {"code": "BLOCKED", "message": "customer is blocked"}})
            }
            _ => json!({"id": id, "status": "OK"}),
        });
        results.reverse();
        results.retain(|result| result["id"] != "A-000004");
        Answer::json(207, json!({ "results": results }))
    });
    let stage = Stage::with_target(Source::Folder, target);
    with_response(&stage);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 5));
    let document = stage.run_json().exits(6).json();
    assert_eq!((&document["state"], records(&document)), (&json!("break"), [5, 3, 1, 1, 0]));
    let text = stage.nightferry(&["reconcile", "orders@last"]).exits(6).stdout;
    assert!(text.starts_with("▲ BREAK   orders · business date 2026-11-23 · break\n"), "{text}");
    assert!(text.contains("  refused  BLOCKED  1 record\n"), "{text}");
    let document = stage.nightferry(&["reconcile", "orders@last", "--format", "json"]).exits(6).json();
    assert_eq!(document["equation"]["records"]["unanswered"], 1);
    assert_eq!(document["causes"], json!([{"code": "BLOCKED", "side": "target", "count": 1}]));
}

#[test]
fn wrapped_single_and_plain_bodies_are_what_the_job_says() {
    for (batch, first) in [
        ("{ records = 2, wrap = \"orders\" }", r#"{"orders":[{"id":"A-000001","#),
        ("{ records = 1 }", r#"{"id":"A-000001","quantity":2,"day":"2026-11-23"}"#),
        ("{ records = 10, bytes = \"60B\" }", r#"[{"id":"A-000001","quantity":2,"day":"2026-11-23"}]"#),
    ] {
        let stage = Stage::new(Source::Folder);
        stage.edit("project/jobs/orders.toml", "{ records = 10 }", batch);
        stage.deliver("orders_20261123.csv", Stage::rows(1, 3));
        stage.run().exits(0);
        let mut bodies: Vec<String> =
            stage.target.log().into_iter().map(|request| String::from_utf8(request.body).unwrap()).collect();
        bodies.sort();
        assert!(bodies[0].starts_with(first), "{batch}: {}", bodies[0]);
    }
}

#[test]
fn a_job_that_is_running_is_busy_with_7() {
    let target = Target::scripted(|_, _| Answer::Late(Duration::from_millis(1500), Box::new(Answer::ok())));
    let stage = Stage::with_target(Source::Folder, target);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 5));
    let mut first = stage.spawn_run();
    wait_for(|| !stage.target.log().is_empty() || stage.path("data/ledger.db").exists());
    std::thread::sleep(Duration::from_millis(300));
    let busy = stage.run_json().exits(7);
    assert_eq!(busy.json()["error"]["code"], "busy");
    assert!(first.wait().unwrap().success());
}

#[test]
fn sigterm_ends_the_request_in_flight_and_leaves_the_run_resumable() {
    let target = Target::scripted(|_, _| Answer::Late(Duration::from_millis(200), Box::new(Answer::ok())));
    let stage = Stage::with_target(Source::Folder, target);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 200));
    let child = stage
        .command(&["run", "orders", "--date", "2026-11-23"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(|| stage.target.log().len() >= 4);
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143));
    assert!(String::from_utf8_lossy(&output.stderr).contains("interrupted; `nightferry resume "));
    let document = stage.nightferry(&["show", "orders@last", "--json"]).exits(0).json();
    let [made, accepted, refused, unanswered, pending] = records(&document);
    assert_eq!((made, refused, unanswered), (200, 0, 0), "no outcome was left unknown");
    assert!(accepted > 0 && pending > 0);
    let sent = stage.target.log().len();
    stage.run().exits(0);
    assert_eq!(
        (stage.target.log().len(), sent),
        (20, usize::try_from(accepted / 10).unwrap()),
        "nothing was sent twice"
    );
    assert_eq!(stage.delivered_ids(), ids(1, 200));
}

#[test]
fn after_a_kill_without_a_key_what_was_in_flight_is_held_and_the_rest_is_sent() {
    let slow = Arc::new(AtomicUsize::new(0));
    let seen = slow.clone();
    let target = Target::scripted(move |_, _| {
        seen.fetch_add(1, Ordering::SeqCst);
        Answer::Late(Duration::from_millis(300), Box::new(Answer::ok()))
    });
    let stage = Stage::with_target(Source::Folder, target);
    without_key(&stage);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 100));
    let mut child = stage.spawn_run();
    wait_for(|| slow.load(Ordering::SeqCst) >= 4);
    child.kill().unwrap();
    child.wait().unwrap();
    let document = stage.run_json().exits(6).json();
    assert_eq!((&document["state"], records(&document)), (&json!("break"), [100, 60, 0, 40, 0]));
    assert_eq!(stage.target.log().len(), 10, "no batch was sent twice");
}

#[test]
fn commits_stay_within_two_for_each_round_of_requests() {
    let stage = Stage::with_target(
        Source::Folder,
        Target::scripted(|_, number| {
            Answer::Late(Duration::from_micros(500 + number as u64 % 7 * 400), Box::new(Answer::ok()))
        }),
    );
    stage.deliver("orders_20261123.csv", Stage::rows(1, 4_000));
    let mut command = stage.command(&["run", "orders", "--date", "2026-11-23", "-vv"]);
    command.env("RUST_LOG", "nightferry=debug");
    let run = ended(command).exits(0);
    let commits: u64 = run
        .stderr
        .lines()
        .find_map(|line| line.split("ledger commits: ").nth(1))
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or_else(|| panic!("{}", run.stderr));
    let (batches, concurrency) = (400_u64, 4);
    assert!(commits <= 2 * batches.div_ceil(concurrency) + 50, "{commits} commits");
}

/// A volume of its own for the data folder, so that it can be full.
#[test]
fn a_full_disk_stops_the_run_keeps_the_file_at_the_partner_and_a_later_run_completes_it() {
    let stage = Stage::new(Source::Folder);
    stage.edit("project/jobs/orders.toml", "[target]", "afterwards = \"delete\"\n[target]");
    stage.edit("project/jobs/orders.toml", "{ records = 10 }", "{ records = 1 }");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 20_000));
    let script = format!(
        "mount -t tmpfs -o size=3m,mode=0700 none '{data}' && {{ '{binary}' run orders --date 2026-11-23 --json; first=$?; \
         mount -o remount,size=200m '{data}' && '{binary}' run orders --date 2026-11-23 --json; echo \"codes $first $?\"; }}",
        data = stage.path("data").display(),
        binary = env!("CARGO_BIN_EXE_nightferry"),
    );
    std::fs::create_dir_all(stage.path("data")).unwrap();
    let template = stage.command(&[]);
    let mut unshared = Command::new("unshare");
    unshared
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .env_clear()
        .current_dir(stage.folder.path());
    for (name, value) in template.get_envs() {
        unshared.env(name, value.unwrap_or_default());
    }
    let output = ended(unshared);
    assert!(output.stdout.trim_end().ends_with("codes 1 0"), "{}\n{}", output.stdout, output.stderr);
    assert!(output.stderr.contains("make room in the data folder"), "{}", output.stderr);
    assert_eq!(stage.delivered_ids(), ids(1, 20_000));
    assert_eq!(stage.target.mismatched().len(), 0);
    assert!(names(&stage.remote()).is_empty(), "deleted only once everything was accepted");
}

fn wait_for(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "waited too long");
        std::thread::sleep(Duration::from_millis(5));
    }
}
