//! `kill -9` at any instant: the next run continues by itself, no accepted batch is ever sent again, no key ever carries
//! another body, and the books balance in every ledger image that a crash leaves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a test ends where it is surprised"
)]

mod support;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use support::dice::Dice;
use support::target::{Answer, Target};
use support::{Source, Stage, ids, records};

const KILLS: usize = 200;
const ROWS: u64 = 6_000;

/// What the ledger says right after a kill.
struct Image {
    phase: &'static str,
    /// Key to state.
    batches: HashMap<String, String>,
}

#[test]
fn two_hundred_kills_lose_nothing_and_send_nothing_twice() {
    // A failing seed can be tried again: `NIGHTFERRY_KILL_SEED=7`.
    let seed = std::env::var("NIGHTFERRY_KILL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_124);
    let mut dice = Dice(seed);
    let mut phases: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut kills = 0;
    while kills < KILLS {
        kills += one_night(&mut dice, KILLS - kills, &mut phases);
    }
    println!("seed {seed}, {kills} kills by phase: {phases:?}");
    let in_flight: usize =
        phases.iter().filter(|(phase, _)| !["nothing yet", "settled"].contains(*phase)).map(|(_, n)| n).sum();
    assert!(
        in_flight * 100 >= kills * 80,
        "{in_flight} of {kills} kills fell between landing and settling: {phases:?}"
    );
}

/// One file, killed again and again until a run comes to its end. Gives the number of kills.
fn one_night(dice: &mut Dice, most: usize, phases: &mut BTreeMap<&'static str, usize>) -> usize {
    // Every seventh request meets trouble, so that retries and unknown outcomes are killed as well.
    let target = Target::scripted(|_, number| match number % 7 {
        3 => Answer::status(503),
        5 => Answer::TakenThenReset,
        _ => Answer::Late(Duration::from_millis(2), Box::new(Answer::ok())),
    });
    let stage = Stage::with_target(Source::Sftp, target);
    stage.edit("project/jobs/orders.toml", "attempts = 4", "attempts = 100");
    stage.edit("project/connections.toml", "timeout = \"5s\"", "timeout = \"5s\"\nrate = { concurrency = 2 }");
    stage.deliver("orders_20261123.csv", Stage::rows(1, ROWS));
    let mut kills = 0;
    let mut landed = false;
    while kills < most {
        let mut child = stage.spawn_run();
        // The first process is watched until the first byte has landed; the others are resumed and begin there.
        let begun = Instant::now();
        while !landed && begun.elapsed() < Duration::from_secs(10) && child.try_wait().unwrap().is_none() {
            landed = std::fs::read_dir(stage.path("data/files")).is_ok_and(|mut runs| {
                runs.any(|run| std::fs::read_dir(run.unwrap().path()).is_ok_and(|mut files| files.next().is_some()))
            });
        }
        let window = if kills == 0 { 20_000 } else { 90_000 };
        std::thread::sleep(Duration::from_micros(dice.below(window)));
        let _ = child.kill();
        let status = child.wait().unwrap();
        if status.signal().is_none() {
            assert_eq!(status.code(), Some(0), "the run failed by itself");
            break;
        }
        kills += 1;
        let before = stage.target.log().len();
        let image = check(&stage);
        *phases.entry(image.phase).or_default() += 1;
        if image.phase == "settled" {
            break;
        }
        let accepted: HashSet<String> =
            image.batches.iter().filter(|(_, state)| *state == "answered").map(|(key, _)| key.clone()).collect();
        // The killed process may have had requests on their way; they were written to the log by now, or never.
        std::thread::sleep(Duration::from_millis(8));
        let settled_log = stage.target.log().len();
        assert!(settled_log - before <= 2, "more requests than slots arrived after the kill");
        if dice.below(4) == 0 {
            assert_resent(&stage, &accepted, settled_log);
        }
    }
    let document = stage.run_json().exits(0).json();
    assert_eq!(
        document["files"][0]["state"].as_str().map(|state| state == "settled" || state == "passed_over"),
        Some(true)
    );
    check(&stage);
    assert_eq!(stage.delivered_ids(), ids(1, ROWS), "every record, exactly once");
    assert_eq!(stage.target.mismatched(), Vec::<String>::new(), "no key ever carried another body");
    let total = stage.nightferry(&["show", "orders@2026-11-23", "--json"]).exits(0).json();
    let made = records(&total)[0];
    assert!(made == ROWS || made == 0, "{total}");
    kills
}

/// Lets the run go on a little further and proves that no accepted key is seen again.
fn assert_resent(stage: &Stage, accepted: &HashSet<String>, from: usize) {
    let mut child = stage.spawn_run();
    std::thread::sleep(Duration::from_millis(25));
    let _ = child.kill();
    let _ = child.wait();
    std::thread::sleep(Duration::from_millis(8));
    for request in &stage.target.log()[from..] {
        let key = request.key.as_ref().unwrap();
        assert!(!accepted.contains(key), "an accepted batch was sent again: {key}");
    }
}

/// The invariants that a ledger image and the target's log can show together.
fn check(stage: &Stage) -> Image {
    let log = stage.target.log();
    let Ok(ledger) = rusqlite::Connection::open(stage.path("data/ledger.db")) else {
        assert!(log.is_empty());
        return Image { phase: "nothing yet", batches: HashMap::new() };
    };
    let tables: i64 = ledger.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0)).unwrap();
    if tables == 0 {
        assert!(log.is_empty());
        return Image { phase: "nothing yet", batches: HashMap::new() };
    }
    let one = |sql: &str| -> i64 { ledger.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(one("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
    // Laws 1 to 3 (I1, I2, I3).
    assert_eq!(one("SELECT count(*) FROM file WHERE rows_read <> rows_skipped + rows_rejected + rows_used"), 0);
    assert_eq!(one("SELECT count(*) FROM file WHERE made <> accepted + refused + unanswered + pending"), 0);
    assert_eq!(
        one("SELECT count(*) FROM file WHERE bytes_rows IS NOT NULL
             AND size <> bytes_preamble + bytes_header + bytes_rows + bytes_blank + bytes_trailer"),
        0
    );
    assert_eq!(
        one("SELECT count(*) FROM file f WHERE state IN ('delivering', 'settled') AND
             (made, accepted, refused, unanswered, pending) <> (SELECT sum(records - moved), sum(accepted), sum(refused),
             sum(unanswered), sum(pending) FROM batch b WHERE b.file = f.id)"),
        0,
        "a file's counts are those of its batches"
    );
    // No gap in attempt numbers (I11).
    assert_eq!(
        one(
            "SELECT count(*) FROM batch WHERE attempts <> (SELECT count(*) FROM attempt WHERE attempt.batch = batch.id)"
        ),
        0
    );
    let mut statement = ledger.prepare("SELECT key, state FROM batch").unwrap();
    let batches: HashMap<String, String> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    // The target never saw a key that the ledger does not hold (I5), and never before its attempt was written down.
    for request in &log {
        let key = request.key.as_ref().expect("every request has a key");
        assert!(batches.get(key).is_some_and(|state| state != "sealed") || request.answered == Some(503), "{key}");
        assert!(batches.contains_key(key), "the target saw a key that the ledger does not hold");
    }
    // Every accepted batch has a success answer in the target's log (I6).
    let answered: HashSet<&str> = log
        .iter()
        .filter(|request| request.answered == Some(200))
        .filter_map(|request| request.key.as_deref())
        .collect();
    for (key, _) in batches.iter().filter(|(_, state)| *state == "answered") {
        assert!(answered.contains(key.as_str()), "accepted in the ledger, but never answered 200: {key}");
    }
    let state: Option<String> =
        ledger.query_row("SELECT state FROM file ORDER BY id DESC LIMIT 1", [], |row| row.get(0)).ok();
    let phase = match state.as_deref() {
        None => "nothing yet",
        Some("found") => "landing",
        Some("landed") => "landed",
        Some("mapped") => "sealing",
        Some("delivering") => "delivering",
        Some(_) => "settled",
    };
    Image { phase, batches }
}
