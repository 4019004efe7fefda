//! What an HTTP target may answer, and what becomes of it: the rows E01 to E34 of the fault matrix that are about one answer.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends where it is surprised")]

mod support;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use support::target::{Answer, Target};
use support::{Ended, Source, Stage, ids, records};

const RESULTS: &str = "\n[target.response]\naccepted = [200, 201, 202, 204, 207]\neach = \"$.results[*]\"\n\
    ok_when = { path = \"$.status\", is = [\"OK\"] }\n";

/// One request under way at a time; five records, or so many.
fn stage(target: Target, rows: u64) -> Stage {
    let stage = Stage::with_target(Source::Folder, target);
    stage.edit("project/connections.toml", "timeout = \"5s\"", "timeout = \"2s\"\nrate = { concurrency = 1 }");
    stage.deliver("orders_20261123.csv", Stage::rows(1, rows));
    stage
}

fn job(stage: &Stage, from: &str, to: &str) {
    stage.edit("project/jobs/orders.toml", from, to);
}

fn with_results(stage: &Stage) {
    let job = std::fs::read_to_string(stage.path("project/jobs/orders.toml")).unwrap();
    stage.write("project/jobs/orders.toml", job + RESULTS);
}

fn without_key(stage: &Stage) {
    job(stage, "idempotency = { header = \"Idempotency-Key\" }", "");
}

/// First these, then 200.
fn first(answers: Vec<Answer>) -> Target {
    Target::scripted(move |_, number| answers.get(number).cloned().unwrap_or_else(Answer::ok))
}

fn raw(text: &str) -> Answer {
    Answer::Raw(text.as_bytes().to_vec())
}

/// Every request carried the same key and the same body.
fn one_key(stage: &Stage) -> bool {
    let log = stage.target.log();
    log.iter().all(|request| request.key.is_some() && request.key == log[0].key && request.body == log[0].body)
}

fn message(run: &Ended) -> String {
    run.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn e01_server_errors_that_pass_are_tried_again_with_the_same_key_and_body() {
    let stage = stage(first(vec![Answer::status(500); 3]), 5);
    let document = stage.run_json().exits(0).json();
    assert_eq!((records(&document), &document["attempts"]), ([5, 5, 0, 0, 0], &json!(4)));
    assert!(one_key(&stage));
}

#[test]
fn e02_an_error_that_is_stored_for_the_key_ends_unanswered_and_no_other_key_is_made() {
    let stage = stage(Target::scripted(|_, _| Answer::status(500)), 5);
    for run in 1..=2 {
        let document = stage.run_json().exits(8).json();
        assert_eq!((records(&document), &document["attempts"]), ([5, 0, 0, 5, 0], &json!(4 * run)));
    }
    assert!(one_key(&stage), "also in the second run");
}

#[test]
fn e06_503_without_a_header_is_tried_again_and_takes_nothing() {
    let stage = stage(first(vec![Answer::status(503); 2]), 5);
    assert_eq!(records(&stage.run_json().exits(0).json()), [5, 5, 0, 0, 0]);
}

#[test]
fn e07_a_timeout_before_any_byte_is_sent_again_with_a_key_and_is_unanswered_without() {
    for key in [true, false] {
        let late = Answer::Late(Duration::from_millis(900), Box::new(Answer::ok()));
        let stage = stage(first(vec![late]), 5);
        stage.edit("project/connections.toml", "timeout = \"2s\"", "timeout = \"500ms\"");
        if key {
            assert_eq!(records(&stage.run_json().exits(0).json()), [5, 5, 0, 0, 0]);
            assert!(one_key(&stage));
        } else {
            without_key(&stage);
            assert_eq!(records(&stage.run_json().exits(6).json()), [5, 0, 0, 5, 0]);
            // The stand-in notes a request when it has answered it.
            std::thread::sleep(Duration::from_millis(800));
            assert_eq!(stage.target.log().len(), 1);
        }
    }
}

#[test]
fn e08_a_reset_after_the_request_was_processed_takes_effect_once_or_is_unanswered() {
    for key in [true, false] {
        let stage = stage(first(vec![Answer::TakenThenReset]), 5);
        if key {
            assert_eq!(records(&stage.run_json().exits(0).json()), [5, 5, 0, 0, 0]);
        } else {
            without_key(&stage);
            assert_eq!(records(&stage.run_json().exits(6).json()), [5, 0, 0, 5, 0]);
            stage.run();
        }
        assert_eq!(stage.delivered_ids(), ids(1, 5), "with a key: {key}");
    }
}

#[test]
fn e09_an_answer_that_is_cut_is_not_taken_for_a_yes() {
    let stage = stage(first(vec![Answer::TakenThenCut]), 5);
    without_key(&stage);
    assert_eq!(records(&stage.run_json().exits(6).json()), [5, 0, 0, 5, 0]);
}

#[test]
fn e13_a_body_that_is_no_json_or_not_this_json_proves_nothing() {
    for body in [
        "{\"results\": [",
        "[1,]",
        "{\"results\": [{\"status\": \"OK\"}]}}",
        "\u{feff}{}",
        "nul",
        "{\"a\":\"\\ud800\"}",
        "",
        "\"\\x\"",
        "[\"\u{0}\"]",
        "{'results': []}",
        "{\"results\": 0e+}",
        "123",
        &"[".repeat(200_000),
    ] {
        let answer = Answer::Reply(200, Vec::new(), body.to_owned());
        let stage = stage(Target::scripted(move |_, _| answer.clone()), 5);
        with_results(&stage);
        let run = stage.run_json();
        assert!(matches!(run.code, Some(6 | 8)), "{:.60}: {:?} {}", body, run.code, run.stderr);
        assert_eq!(records(&run.json()), [5, 0, 0, 5, 0], "{body:.60}");
        assert!(!run.stderr.contains("panicked"));
    }
}

#[test]
fn e14_a_login_page_with_200_is_no_yes() {
    let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: 27\r\n\r\n<html><form action=/login>\n";
    let stage = stage(Target::scripted(move |_, _| raw(page)), 25);
    with_results(&stage);
    let run = stage.run_json().exits(8);
    assert_eq!(records(&run.json()), [25, 0, 0, 10, 15], "the run stops at the first");
    assert!(message(&run).contains("the body (text/html) is not JSON"), "{}", message(&run));
}

#[test]
fn e15_a_status_that_says_yes_needs_no_body() {
    for status in [200, 201, 202, 204] {
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
        let answer = if status == 204 { "HTTP/1.1 204 X\r\n\r\n".to_owned() } else { answer };
        let stage = stage(Target::scripted(move |_, _| Answer::RawAndStay(answer.clone().into_bytes())), 15);
        assert_eq!(records(&stage.run_json().exits(0).json()), [15, 15, 0, 0, 0], "{status}");
    }
}

#[test]
fn e18_not_now_is_tried_again_also_without_a_key() {
    for status in [408, 425, 421] {
        let stage = stage(first(vec![Answer::status(status)]), 5);
        without_key(&stage);
        let document = stage.run_json().exits(0).json();
        assert_eq!((records(&document), &document["attempts"]), ([5, 5, 0, 0, 0], &json!(2)), "{status}");
    }
}

#[test]
fn e19_a_key_that_is_still_in_progress_is_waited_for() {
    let stage = stage(first(vec![Answer::status(409); 2]), 5);
    assert_eq!(records(&stage.run_json().exits(0).json()), [5, 5, 0, 0, 0]);
    assert!(one_key(&stage));
}

#[test]
fn e20_a_target_that_knows_the_key_with_another_body_stops_the_run_and_refuses_nothing() {
    for (status, body) in [
        (400, json!({"error": {"type": "idempotency_error", "message": "Keys for idempotent requests …"}})),
        (422, json!({"title": "Idempotency-Key is already used"})),
    ] {
        let stage = stage(Target::scripted(move |_, _| Answer::json(status, body.clone())), 25);
        let run = stage.run_json().exits(1);
        assert_eq!(records(&run.json()), [25, 0, 0, 10, 15]);
        assert_eq!(run.json()["error"]["code"], "key-reused");
    }
}

#[test]
fn e22_a_redirect_is_never_followed_and_shown() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Target::start();
        let location = format!("http://127.0.0.1:{}/elsewhere", elsewhere.port);
        let shown = location.clone();
        let answer = Answer::Reply(status, vec![("location", location)], String::new());
        let stage = stage(Target::scripted(move |_, _| answer.clone()), 25);
        let run = stage.run_json().exits(8);
        assert_eq!(records(&run.json()), [25, 0, 0, 0, 25], "{status}");
        assert!(message(&run).contains(&shown), "{}", message(&run));
        assert!(elsewhere.log().is_empty(), "no credentials and no data went there");
        assert_eq!(stage.target.log().len(), 1);
    }
}

#[test]
fn e23_a_redirect_to_a_dangerous_place_is_told_as_such() {
    for (location, danger) in [
        ("http://169.254.169.254/latest/meta-data/", "the metadata service of a cloud"),
        ("http://[::1]:8080/", "an address inside a network"),
        ("file:///etc/passwd", "not an HTTP address"),
    ] {
        let answer = Answer::Reply(302, vec![("location", location.to_owned())], String::new());
        let stage = stage(Target::scripted(move |_, _| answer.clone()), 5);
        let run = stage.run_json().exits(8);
        assert!(
            run.stderr.contains(&format!("points to {location}, {danger}; nothing was sent there")),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn a_metadata_service_is_not_even_called_when_it_is_configured() {
    let stage = stage(Target::start(), 5);
    let base = format!("http://127.0.0.1:{}", stage.target.port);
    for address in ["http://169.254.169.254", "http://2852039166", "http://[::ffff:169.254.169.254]"] {
        let before = std::fs::read_to_string(stage.path("project/connections.toml")).unwrap();
        stage.edit("project/connections.toml", &base, address);
        let run = stage.run_json().exits(3);
        assert!(run.stderr.contains("is the metadata service of a cloud, which is never called"), "{}", run.stderr);
        stage.write("project/connections.toml", before);
    }
}

/// The most resident memory of a run, in KiB.
fn peak(stage: &Stage) -> (u64, i32) {
    let mut run = stage.spawn_run();
    let status = format!("/proc/{}/status", run.id());
    let mut peak = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let now = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
        peak = peak.max(now.unwrap_or(0));
        if let Some(code) = run.try_wait().unwrap() {
            return (peak, code.code().unwrap());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn e24_a_gzip_bomb_is_cut_and_costs_no_memory() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..512 {
        encoder.write_all(&[b' '; 1 << 20]).unwrap();
    }
    let body = encoder.finish().unwrap();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", body.len());
    let answer = Answer::RawAndStay([head.into_bytes(), body].concat());
    let stage_of_bomb = stage(Target::scripted(move |_, _| answer.clone()), 5);
    with_results(&stage_of_bomb);
    let plain = stage(Target::start(), 5);
    let ((usual, _), (bombed, code)) = (peak(&plain), peak(&stage_of_bomb));
    assert_eq!(code, 8, "cut, so it proves nothing");
    assert!(bombed < usual + (32 << 10), "{bombed} KiB against {usual} KiB");
}

#[test]
fn a_packed_answer_is_read_like_any_other() {
    let target = Target::scripted(|_, _| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let results = json!({ "results": vec![json!({"status": "OK"}); 5] });
        encoder.write_all(results.to_string().as_bytes()).unwrap();
        let body = encoder.finish().unwrap();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", body.len());
        Answer::RawAndStay([head.into_bytes(), body].concat())
    });
    let stage = stage(target, 5);
    with_results(&stage);
    assert_eq!(records(&stage.run_json().exits(0).json()), [5, 5, 0, 0, 0]);
    assert_eq!(stage.target.log()[0].headers["accept-encoding"], "gzip");
}

#[test]
fn e25_endless_answers_end_at_their_limits() {
    let ok = "HTTP/1.1 200 OK\r\n";
    for (what, head, chunk, proves) in [
        ("body", format!("{ok}\r\n"), "x".repeat(65_536), true),
        ("headers", ok.to_owned(), "x-a: b\r\n".repeat(1_000), false),
        ("one header", format!("{ok}x-a: "), "b".repeat(65_536), false),
        ("1xx", String::new(), "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1_000), false),
    ] {
        let answer = Answer::Endless(head.into_bytes(), chunk.into_bytes());
        let stage = stage(Target::scripted(move |_, _| answer.clone()), 5);
        without_key(&stage);
        let began = Instant::now();
        let (kib, code) = peak(&stage);
        assert_eq!(code, if proves { 0 } else { 6 }, "{what}");
        assert!(began.elapsed() < Duration::from_secs(20) && kib < 96 << 10, "{what}: {:?} {kib} KiB", began.elapsed());
    }
    let many = format!("{ok}content-length: 2\r\n{}\r\n{{}}", format!("x-a: {}\r\n", "b".repeat(1_000)).repeat(70));
    let stage = stage(Target::scripted(move |_, _| raw(&many)), 5);
    without_key(&stage);
    let run = stage.run_with(&[]).exits(6);
    assert!(run.stderr.contains("answered 200 with 68 KiB of headers"), "{}", run.stderr);
}

#[test]
fn e26_wrong_chunks_prove_nothing_and_a_smuggled_answer_is_never_taken_for_the_next() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n";
    let wrong = stage(first(vec![raw(chunked)]), 5);
    without_key(&wrong);
    assert_eq!(records(&wrong.run_json().exits(6).json()), [5, 0, 0, 5, 0]);
    let two = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 422 X\r\ncontent-length: 2\r\n\r\n{}";
    let smuggled = stage(first(vec![Answer::RawAndStay(two.as_bytes().to_vec())]), 25);
    let document = smuggled.run_json().exits(0).json();
    assert_eq!((records(&document), smuggled.target.log().len()), ([25, 25, 0, 0, 0], 3));
}

#[test]
fn e28_a_connection_that_is_closed_as_we_write_is_opened_anew() {
    let closing = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    let stage = stage(Target::scripted(move |_, _| raw(closing)), 300);
    let document = stage.run_json().exits(0).json();
    assert_eq!(records(&document), [300, 300, 0, 0, 0]);
    let attempts: i64 = stage.ledger().query_row("SELECT count(*) FROM attempt", [], |row| row.get(0)).unwrap();
    assert_eq!(document["attempts"], attempts, "whatever was sent again is an attempt of its own");
    assert!(stage.target.log().len() as i64 <= attempts, "nothing left without one");
}

#[test]
fn e30_a_content_length_that_lies_proves_nothing_when_longer_and_is_not_read_beyond_when_shorter() {
    let longer = stage(first(vec![raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}")]), 5);
    without_key(&longer);
    assert_eq!(records(&longer.run_json().exits(6).json()), [5, 0, 0, 5, 0]);
    let shorter = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{} and much more than that".as_bytes().to_vec();
    let shorter = stage(first(vec![Answer::RawAndStay(shorter)]), 25);
    assert_eq!(records(&shorter.run_json().exits(0).json()), [25, 25, 0, 0, 0]);
}

#[test]
fn e31_a_target_that_stalls_holds_up_nobody_else() {
    let stalled = Arc::new(AtomicBool::new(true));
    let state = stalled.clone();
    let slow = Target::scripted(move |_, _| {
        while state.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(20));
        }
        Answer::ok()
    });
    let stage = stage(slow, 50);
    stage.edit("project/connections.toml", "timeout = \"2s\"", "timeout = \"60s\"");
    let others: Vec<Target> = (0..6).map(|_| Target::start()).collect();
    let mut connections = std::fs::read_to_string(stage.path("project/connections.toml")).unwrap();
    let job = std::fs::read_to_string(stage.path("project/jobs/orders.toml")).unwrap();
    for (number, other) in others.iter().enumerate() {
        connections += &format!("\n[erp{number}]\nkind = \"http\"\nbase_url = \"http://127.0.0.1:{}\"\n", other.port);
        let name = format!("job{number}");
        let job = job
            .replace("\"erp\"", &format!("\"erp{number}\""))
            .replace("name    = \"orders\"", &format!("name    = \"{name}\""));
        stage.write(&format!("project/jobs/{name}.toml"), job);
    }
    stage.write("project/connections.toml", connections);
    let mut waiting = stage.spawn_run();
    while stage.target.log().is_empty()
        && waiting.try_wait().unwrap().is_none()
        && !stage.path("data/ledger.db").exists()
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    for (number, other) in others.iter().enumerate() {
        stage.nightferry(&["run", &format!("job{number}"), "--date", "2026-11-23"]).exits(0);
        assert_eq!(other.log().len(), 5);
    }
    assert!(waiting.try_wait().unwrap().is_none(), "the stalled one is still waiting");
    stalled.store(false, Ordering::SeqCst);
    assert!(waiting.wait().unwrap().success());
}

#[test]
fn e32_of_a_long_error_no_more_than_4_kib_is_kept() {
    let detail = "card 4111 1111 1111 1111 of Anna ".repeat(30_000);
    let stage = stage(Target::scripted(move |_, _| Answer::json(500, json!({ "detail": detail.clone() }))), 5);
    stage.run_json().exits(8);
    let longest: i64 =
        stage.ledger().query_row("SELECT max(length(CAST(note AS BLOB))) FROM attempt", [], |row| row.get(0)).unwrap();
    assert!(longest > 0 && longest <= 4096, "{longest}");
    let files =
        ["ledger.db", "ledger.db-wal"].map(|name| std::fs::read(stage.path("data").join(name)).unwrap_or_default());
    let occurs = files.concat().windows(19).filter(|window| *window == b"4111 1111 1111 1111").count();
    assert!(occurs < 2_000, "{occurs}: an excerpt for each attempt, and not the answers");
}
