//! What goes to the target again because a person says so: replays of rejects, resends, write-offs and exports. The books are
//! true in every state between, and nothing takes effect twice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a test ends where it is surprised"
)]

mod support;

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use support::dice::Dice;
use support::laws::check;
use support::target::{Answer, Request, Target};
use support::{Source, Stage, ids, records, rows};

const DAY: &str = "orders@2026-11-23";

fn ids_in(body: &[u8]) -> Vec<String> {
    let records = match serde_json::from_slice(body).unwrap() {
        Value::Array(records) => records,
        record => vec![record],
    };
    records.iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
}

/// A stage whose target answers as `script` says, and whose file has `bad` rows with quantity 0 among `count`.
fn stage_with(count: u64, bad: &[u64], script: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Stage {
    let stage = Stage::with_target(Source::Folder, Target::scripted(script));
    stage.edit("project/mappings/orders.toml", "[fields]", "[rejects]\nmax_percent = 90\n[fields]");
    let mut content = Stage::rows(1, count);
    for id in bad {
        let good = format!("A-{id:06},{},", id % 9 + 1);
        assert!(content.contains(&good));
        content = content.replace(&good, &format!("A-{id:06},0,"));
    }
    stage.deliver("orders_20261123.csv", content);
    stage
}

fn repair(stage: &Stage) {
    stage.edit("project/mappings/orders.toml", "minimum = 1", "minimum = 0");
}

fn show(stage: &Stage) -> Value {
    stage.nightferry(&["show", DAY, "--json"]).exits(0).json()
}

/// Line, code, side and state of every reject.
fn rejects(stage: &Stage) -> Vec<String> {
    let listed = stage.nightferry(&["rejects", "orders", "--json"]).exits(0).json();
    let listed = listed.as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    listed
        .map(|one| format!("{} {} {} {}", one["row"], text(&one["code"]), text(&one["side"]), text(&one["state"])))
        .collect()
}

fn audited(stage: &Stage) -> Vec<(String, String)> {
    let ledger = stage.ledger();
    let mut statement = ledger.prepare("SELECT action, reason FROM audit ORDER BY id").unwrap();
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

#[test]
fn h12_a_replay_says_first_what_would_pass_and_a_second_one_finds_nothing_open() {
    let stage = stage_with(25, &[7, 20], |_, _| Answer::ok());
    stage.run().exits(5);
    assert_eq!(stage.target.log().len(), 3);
    let dry = stage.nightferry(&["rejects", "replay", "orders", "--dry-run", "--json"]).exits(0).json();
    assert_eq!(
        dry,
        json!({"job": "orders", "dry_run": true, "selected": 2, "passes": 0, "rows": 0,
               "still": [{"code": "below-minimum", "rows": 2}], "refused": [], "runs": []})
    );
    repair(&stage);
    let dry = stage.nightferry(&["rejects", "replay", "orders", "--dry-run"]).exits(0).stdout;
    assert_eq!(
        dry,
        "replay of orders · 2 rejects open · with the mapping `orders` as it is now\n  2 records pass (2 rows)  → `erp`\n\
         nothing was sent: this was a dry run\n"
    );
    let unasked = stage.nightferry(&["rejects", "replay", "orders"]).exits(2);
    assert!(
        unasked.stderr.contains("Send 2 records of orders to `erp`? No one can be asked here"),
        "{}",
        unasked.stderr
    );
    assert_eq!((stage.target.log().len(), audited(&stage).len()), (3, 0), "no one said yes");

    let arguments = ["rejects", "replay", "orders", "--yes", "--reason", "zero is a quantity", "--json"];
    let replayed = stage.nightferry(&arguments).exits(0).json();
    assert_eq!((&replayed["passes"], &replayed["runs"][0]["state"]), (&json!(2), &json!("done")));
    let document = show(&stage);
    assert_eq!((rows(&document), records(&document)), ([25, 0, 0, 25], [25, 25, 0, 0, 0]));
    assert_eq!(stage.delivered_ids(), ids(1, 25));
    assert_eq!(rejects(&stage), ["8 below-minimum mapping replayed", "21 below-minimum mapping replayed"]);
    assert_eq!(audited(&stage), [("replay".to_owned(), "zero is a quantity".to_owned())]);
    let ordinals: Vec<(i64, String)> = stage
        .ledger()
        .prepare("SELECT ordinal, origin FROM batch ORDER BY ordinal")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(ordinals[3], (3, "replay".to_owned()), "ordinals of the file go on");
    check(&stage);

    let again = stage.nightferry(&arguments).exits(0).json();
    assert_eq!((&again["selected"], &again["passes"], &again["runs"]), (&json!(0), &json!(0), &json!([])));
    assert_eq!((stage.target.log().len(), audited(&stage).len()), (4, 1), "no double effect");
}

#[test]
fn a_replay_by_cause_takes_whole_groups_and_leaves_what_still_fails() {
    let stage = Stage::new(Source::Folder);
    stage.write("project/lookups.csv", "unused\n");
    stage.write(
        "project/mappings/orders.toml",
        "[mapping]\nname = \"orders\"\n[record]\ngroup_by = \"id\"\n[rejects]\nmax_percent = 100\n[lookups.shop]\n\
         values = { S1 = \"one\" }\n[fields]\n\"id\" = { from = \"id\" }\n\"lines[].shop\" = { from = \"shop\", lookup = \"shop\" }\n\
         \"lines[].qty\" = { from = \"qty\", type = \"integer\" }\n",
    );
    let content = "id,shop,qty\nA-1,S1,1\nA-1,S9,2\nA-2,S1,1\nA-3,S9,x\nA-3,S9,1\nA-4,S1,x\n";
    stage.deliver("orders_20261123.csv", content);
    stage.run().exits(5);
    assert_eq!(stage.delivered_ids(), ["A-2"]);
    stage.edit("project/mappings/orders.toml", "S1 = \"one\"", "S1 = \"one\", S9 = \"nine\"");
    let arguments = ["rejects", "replay", "orders", "--cause", "lookup-missing", "--yes", "--json"];
    let replayed = stage.nightferry(&arguments).exits(5).json();
    assert_eq!(
        [&replayed["selected"], &replayed["passes"], &replayed["rows"], &replayed["still"]],
        [&json!(3), &json!(1), &json!(2), &json!([{"code": "bad-integer", "rows": 1}, {"code": "group", "rows": 1}])]
    );
    assert_eq!(stage.delivered_ids(), ["A-1", "A-2"]);
    let sent = stage.target.log().pop().unwrap().body;
    let order: Value = serde_json::from_slice(&sent).unwrap();
    assert_eq!(order[0]["lines"].as_array().unwrap().len(), 2, "the whole group, also the row that was good");
    assert_eq!(rows(&show(&stage)), [6, 0, 3, 3]);
    check(&stage);
}

#[test]
fn what_a_replay_is_refused_stays_in_the_open_list_as_a_refusal_of_the_target() {
    let stage = stage_with(10, &[4, 5], |request, _| match ids_in(&request.body).contains(&"A-000005".to_owned()) {
        true => Answer::json(422, json!({"detail": "closed"})),
        false => Answer::ok(),
    });
    stage.run().exits(5);
    repair(&stage);
    stage.nightferry(&["rejects", "replay", "orders", "--yes"]).exits(6);
    assert_eq!(
        rejects(&stage),
        ["5 below-minimum mapping replayed", "6 below-minimum mapping replayed", "6 422 target open"]
    );
    assert_eq!(records(&show(&stage)), [10, 9, 1, 0, 0]);
    check(&stage);
    // The target's mind is changed by a change of the mapping: the refused record is mapped anew.
    stage.edit("project/mappings/orders.toml", "{ from = \"id\", required = true }", "{ template = \"B{id}\" }");
    let replayed =
        stage.nightferry(&["rejects", "replay", "orders", "--cause", "422", "--yes", "--json"]).exits(0).json();
    assert_eq!((&replayed["passes"], &replayed["runs"][0]["state"]), (&json!(1), &json!("done")));
    assert_eq!(rejects(&stage)[2], "6 422 target replayed");
    assert!(stage.delivered_ids().contains(&"BA-000005".to_owned()));
    check(&stage);
}

#[test]
fn a_replay_stops_after_refusals_in_a_row_and_resume_goes_on() {
    let refuses = Arc::new(AtomicBool::new(false));
    let state = refuses.clone();
    let stage = stage_with(12, &[1, 3, 5, 7, 9], move |_, _| {
        Answer::status(if state.load(Ordering::SeqCst) { 410 } else { 200 })
    });
    stage.edit("project/jobs/orders.toml", "{ records = 10 }", "{ records = 1 }");
    stage.edit("project/connections.toml", "timeout = \"5s\"", "timeout = \"5s\"\nrate = { concurrency = 1 }");
    stage.run().exits(5);
    repair(&stage);
    refuses.store(true, Ordering::SeqCst);
    let arguments = ["rejects", "replay", "orders", "--yes", "--stop-after", "2", "--rate", "50", "--json"];
    let stopped = stage.nightferry(&arguments).exits(1).json();
    assert_eq!(stopped["runs"][0]["error"]["code"], "stopped-after-refusals");
    assert_eq!(records(&show(&stage)), [12, 7, 2, 0, 3]);
    assert_eq!(stage.target.log().len(), 9);
    check(&stage);
    let waiting = stage.nightferry(&arguments).exits(7);
    assert!(waiting.stderr.contains("nightferry resume"), "the other three are under way: {}", waiting.stderr);
    refuses.store(false, Ordering::SeqCst);
    stage.nightferry(&["resume", DAY]).exits(6);
    assert_eq!(records(&show(&stage)), [12, 10, 2, 0, 0]);
    check(&stage);
}

#[test]
fn files_that_failed_or_are_held_are_not_replayed_and_the_reason_is_said() {
    let stage = stage_with(10, &[1], |_, _| Answer::ok());
    stage.edit("project/mappings/orders.toml", "max_percent = 90", "max_percent = 1");
    stage.run().exits(1);
    let refused = stage.nightferry(&["rejects", "replay", "orders", "--yes", "--json"]).exits(1).json();
    assert_eq!(refused["refused"][0]["file"], "orders_20261123.csv");
    let reason = refused["refused"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("the whole file failed and nothing of it was sent"), "{reason}");

    stage.edit("project/mappings/orders.toml", "max_percent = 1", "max_percent = 90");
    stage.nightferry(&["hold", "orders"]).exits(0);
    stage.run().exits(7);
    repair(&stage);
    let held = stage.nightferry(&["rejects", "replay", "orders", "--run", DAY, "--yes"]).exits(7);
    assert!(held.stderr.contains("release"), "{}", held.stderr);
    assert!(stage.target.log().is_empty());
}

#[test]
fn refused_records_are_resent_exactly_those_under_a_derived_key() {
    let blocked = Arc::new(AtomicBool::new(true));
    let state = blocked.clone();
    let stage = stage_with(20, &[], move |request, _| {
        let results: Vec<Value> = ids_in(&request.body)
            .iter()
            .map(|id| match id.as_str() {
                "A-000003" | "A-000009" if state.load(Ordering::SeqCst) => json!({"id": id, "ok": false}),
                _ => json!({"id": id, "ok": true}),
            })
            .collect();
        Answer::json(207, json!({"results": results}))
    });
    let job = std::fs::read_to_string(stage.path("project/jobs/orders.toml")).unwrap();
    let response = "[target.response]\neach = \"$.results[*]\"\nmatch = { ours = \"id\", theirs = \"$.id\" }\n\
                    ok_when = { path = \"$.ok\", is = [true] }\n";
    stage.write("project/jobs/orders.toml", job + response);
    stage.run().exits(6);
    let plan = stage.nightferry(&["resend", DAY, "--refused", "--dry-run", "--json"]).exits(0).json();
    assert_eq!(
        [&plan["refused"], &plan["unanswered"], &plan["left_out"], &plan["batches"], &plan["needs_reason"]],
        [&json!(2), &json!(0), &json!(0), &json!(1), &Value::Null]
    );
    let unasked = stage.nightferry(&["resend", DAY]).exits(2);
    assert!(unasked.stderr.contains("2 records refused"), "{}", unasked.stderr);
    assert!(unasked.stderr.contains("No one can be asked here"), "{}", unasked.stderr);

    stage.nightferry(&["resend", DAY, "--yes"]).exits(6);
    check(&stage);
    blocked.store(false, Ordering::SeqCst);
    let document = stage.nightferry(&["resend", DAY, "--yes", "--json"]).exits(0).json();
    assert_eq!((&document["state"], records(&document)), (&json!("done"), [20, 20, 0, 0, 0]));
    let log = stage.target.log();
    let bodies: Vec<Vec<String>> = log[2..].iter().map(|request| ids_in(&request.body)).collect();
    assert_eq!(bodies, [["A-000003", "A-000009"], ["A-000003", "A-000009"]], "exactly those records");
    let first = log.iter().find(|request| ids_in(&request.body)[0] == "A-000001").unwrap().key.clone().unwrap();
    let key = |parent: &str, first, number| {
        let parent = nightferry::domain::delivery::IdempotencyKey(parent.to_owned());
        nightferry::pipeline::key::derived(&parent, first, number).0
    };
    assert_eq!(log[2].key, Some(key(&first, 2, 1)), "derived from the parent and its first record");
    assert_eq!(log[3].key, Some(key(log[2].key.as_ref().unwrap(), 0, 1)));
    assert_eq!(rejects(&stage).iter().filter(|one| one.ends_with("open")).count(), 0);
    assert_eq!(stage.nightferry(&["resend", DAY, "--yes"]).exits(0).stdout.matches("nothing to send again").count(), 1);
    check(&stage);
}

#[test]
fn an_unanswered_batch_is_resent_with_the_same_key_and_body_and_without_a_key_only_for_a_reason() {
    for with_key in [true, false] {
        let stage = stage_with(10, &[], |_, number| if number == 0 { Answer::TakenThenReset } else { Answer::ok() });
        let idempotency = "idempotency = { header = \"Idempotency-Key\" }";
        let held = if with_key { format!("{idempotency}\non_unanswered = \"hold\"") } else { String::new() };
        stage.edit("project/jobs/orders.toml", idempotency, &held);
        stage.run().exits(6);
        assert_eq!(records(&show(&stage)), [10, 0, 0, 10, 0]);
        if !with_key {
            let unasked = stage.nightferry(&["resend", DAY, "--unanswered", "--yes"]).exits(2);
            assert!(unasked.stderr.contains("the target knows no key"), "{}", unasked.stderr);
            assert_eq!(stage.target.log().len(), 1);
        }
        let reason: &[&str] = if with_key { &[] } else { &["--reason", "the target lost it, ITSM-4480"] };
        let arguments = [&["resend", DAY, "--unanswered", "--yes", "--json"], reason].concat();
        let document = stage.nightferry(&arguments).exits(0).json();
        assert_eq!((&document["state"], records(&document)), (&json!("done"), [10, 10, 0, 0, 0]));
        let log = stage.target.log();
        assert_eq!((log.len(), &log[0].key, &log[0].body), (2, &log[1].key, &log[1].body));
        assert_eq!(audited(&stage)[0].0, "resend");
        check(&stage);
    }
}

#[test]
fn records_that_an_answer_left_out_go_again_only_for_a_reason() {
    let shy = Arc::new(AtomicBool::new(true));
    let state = shy.clone();
    let stage = stage_with(10, &[], move |request, _| {
        let ids = ids_in(&request.body);
        let told = ids.iter().filter(|id| !(state.load(Ordering::SeqCst) && id.ends_with('4')));
        Answer::json(200, json!({"results": told.map(|id| json!({"id": id})).collect::<Vec<_>>()}))
    });
    let job = std::fs::read_to_string(stage.path("project/jobs/orders.toml")).unwrap();
    let response = "[target.response]\neach = \"$.results[*]\"\nmatch = { ours = \"id\", theirs = \"$.id\" }\n";
    stage.write("project/jobs/orders.toml", job + response);
    stage.run().exits(6);
    assert_eq!(records(&show(&stage)), [10, 9, 0, 1, 0]);
    stage.nightferry(&["resend", DAY, "--yes"]).exits(2);
    shy.store(false, Ordering::SeqCst);
    let arguments = ["resend", DAY, "--yes", "--reason", "not in the ERP, asked by phone", "--json"];
    let document = stage.nightferry(&arguments).exits(0).json();
    assert_eq!(records(&document), [10, 10, 0, 0, 0]);
    assert_eq!(ids_in(&stage.target.log()[1].body), ["A-000004"]);
    check(&stage);
}

#[test]
fn g29_an_export_of_rejects_is_repaired_and_taken_back_as_a_file() {
    let stage = stage_with(25, &[7, 20], |_, _| Answer::ok());
    stage.run().exits(5);
    let export = stage.path("repair.csv");
    stage.nightferry(&["rejects", "orders", "--export", export.to_str().unwrap()]).exits(0);
    let text = std::fs::read_to_string(&export).unwrap();
    assert_eq!(
        text,
        "id,qty,day,nightferry_line,nightferry_code,nightferry_message\n\
         A-000007,0,23.11.2026,8,below-minimum,`0` is below the minimum 1\n\
         A-000020,0,23.11.2026,21,below-minimum,`0` is below the minimum 1\n"
    );
    let original = stage.nightferry(&["rejects", "orders", "--original"]).exits(0).stdout;
    assert_eq!(original, "id,qty,day\nA-000007,0,23.11.2026\nA-000020,0,23.11.2026\n");

    stage.write("repair.csv", text.replace("A-000007,0", "A-000007,3"));
    let arguments = ["run", "orders", "--date", "2026-11-23", "--file", "repair.csv", "--json"];
    let document = stage.nightferry(&arguments).exits(5).json();
    assert_eq!((rows(&document), records(&document)), ([2, 0, 1, 1], [1, 1, 0, 0, 0]), "law 1 holds for the repair");
    assert_eq!(document["files"][0]["warnings"], json!([]), "the three columns are ours");
    let twice = stage.nightferry(&arguments).exits(0).json();
    assert_eq!(twice["files"][0]["state"], "passed_over", "a second time it is known");
    let mut expected = ids(1, 25);
    expected.remove(19);
    assert_eq!(stage.delivered_ids(), expected);
    check(&stage);
}

#[test]
fn a_write_off_leaves_the_open_list_still_counts_as_rejected_and_can_be_undone() {
    let stage = stage_with(25, &[7, 20], |_, _| Answer::ok());
    stage.run().exits(5);
    stage.nightferry(&["rejects", "write-off", "orders", "--yes"]).exits(2);
    stage.nightferry(&["rejects", "write-off", "orders", "--reason", "Test Order", "--yes"]).exits(2);
    stage.nightferry(&["rejects", "write-off", "orders", "--reason", "test-order"]).exits(2);
    let arguments = ["rejects", "write-off", "orders", "--reason", "test-order", "--note", "not real", "--yes"];
    let written = stage.nightferry(&arguments).exits(0).stdout;
    assert!(written.starts_with("2 rejects written off as `test-order`; they still count as rejected."), "{written}");
    assert_eq!(rejects(&stage), ["8 below-minimum mapping written_off", "21 below-minimum mapping written_off"]);
    assert_eq!(rows(&show(&stage)), [25, 0, 2, 23]);
    repair(&stage);
    let replay = stage.nightferry(&["rejects", "replay", "orders", "--yes", "--json"]).exits(0).json();
    assert_eq!(replay["selected"], 0, "what was given up is not replayed");
    stage.nightferry(&["rejects", "write-off", "--undo", "1"]).exits(0);
    stage.nightferry(&["rejects", "write-off", "--undo", "1"]).exits(1);
    stage.nightferry(&["rejects", "replay", "orders", "--yes"]).exits(0);
    let actions: Vec<String> = audited(&stage).into_iter().map(|(action, _)| action).collect();
    assert_eq!(actions, ["write-off", "write-off-undone", "replay"]);
    check(&stage);
}

#[test]
fn sums_follow_records_through_resends_and_replays_to_the_last_digit() {
    let calm = Arc::new(AtomicBool::new(false));
    let state = calm.clone();
    let stage = stage_with(40, &[], move |request, _| {
        let blocked = ids_in(&request.body).iter().any(|id| id == "A-000003" || id == "A-000010");
        Answer::status(if blocked && !state.load(Ordering::SeqCst) { 400 } else { 200 })
    });
    let job = std::fs::read_to_string(stage.path("project/jobs/orders.toml")).unwrap();
    stage.write("project/jobs/orders.toml", job + "\n[[measures]]\ntitle = \"Pieces\"\nsum = \"quantity\"\n");
    stage.edit("project/mappings/orders.toml", "minimum = 1", "minimum = 1, maximum = 5");
    let pieces = |ids: &[u64]| ids.iter().map(|id| id % 9 + 1).sum::<u64>().to_string();
    let measure = |stage: &Stage| {
        let document = show(stage);
        ["sent", "accepted"].map(|key| document["measures"][0][key].as_str().unwrap().to_owned())
    };
    let small: Vec<u64> = (1..=40).filter(|id| id % 9 < 5).collect();
    let taken: Vec<u64> = small.iter().copied().filter(|id| ![3, 10].contains(id)).collect();
    stage.run().exits(6);
    assert_eq!(measure(&stage), [pieces(&small), pieces(&taken)]);
    stage.nightferry(&["resend", DAY, "--yes"]).exits(6);
    check(&stage);
    assert_eq!(measure(&stage), [pieces(&small), pieces(&taken)], "refused again");
    // The record is mapped anew and weighs something else now: the books lose the old amount and gain the new one.
    calm.store(true, Ordering::SeqCst);
    stage.edit(
        "project/mappings/orders.toml",
        "minimum = 1, maximum = 5",
        "minimum = 1, clean = [{ replace = [\"4\", \"7\"] }]",
    );
    stage.nightferry(&["rejects", "replay", "orders", "--cause", "400", "--yes"]).exits(5);
    let heavier = |ids: &[u64]| (ids.iter().map(|id| id % 9 + 1).sum::<u64>() + 3).to_string();
    assert_eq!(measure(&stage), [heavier(&small), heavier(&small)], "A-000003 has 7 pieces now");
    check(&stage);
    stage.nightferry(&["rejects", "replay", "orders", "--yes"]).exits(0);
    let all: Vec<u64> = (1..=40).collect();
    assert_eq!(measure(&stage), [heavier(&all), heavier(&all)]);
    check(&stage);
}

/// Each night a person replays and resends until nothing is open, whatever the target answers on the way.
#[test]
fn whatever_is_answered_on_the_way_replays_and_resends_keep_the_laws_and_take_effect_once() {
    for seed in 0..8 {
        let dice = Arc::new(Mutex::new(Dice(seed)));
        let calm = Arc::new(AtomicBool::new(false));
        let (shared, still) = (dice.clone(), calm.clone());
        let count = 10 + dice.lock().unwrap().below(20);
        let bad: Vec<u64> = (1..=count).filter(|_| dice.lock().unwrap().below(4) == 0).collect();
        let taken = Mutex::new(BTreeSet::new());
        let stage = stage_with(count, &bad, move |request, _| {
            let key = request.key.clone().unwrap();
            if taken.lock().unwrap().contains(&key) {
                // A target that honours keys answers for what it has taken.
                return Answer::ok();
            }
            let (roll, at) = {
                let mut dice = shared.lock().unwrap();
                (dice.below(10), dice.below(ids_in(&request.body).len() as u64))
            };
            match roll {
                _ if still.load(Ordering::SeqCst) => Answer::ok(),
                0 | 1 => Answer::status(400),
                2 => Answer::status(413),
                3 => Answer::json(422, json!({"errors": [{"pointer": format!("/{at}"), "detail": "no"}]})),
                4 => Answer::status(503),
                5 => {
                    taken.lock().unwrap().insert(key);
                    Answer::TakenThenReset
                }
                6 => Answer::status(410),
                _ => Answer::ok(),
            }
        });
        stage.edit("project/jobs/orders.toml", "attempts = 4", "attempts = 40");
        stage.run_json();
        check(&stage);
        repair(&stage);
        for round in 0..6 {
            calm.store(round == 5, Ordering::SeqCst);
            stage.nightferry(&["rejects", "replay", "orders", "--cause", "below-minimum", "--yes"]);
            check(&stage);
            stage.nightferry(&["resend", DAY, "--yes"]);
            check(&stage);
        }
        let document = show(&stage);
        assert_eq!((&document["state"], records(&document)), (&json!("done"), [count, count, 0, 0, 0]), "seed {seed}");
        assert_eq!(stage.delivered_ids(), ids(1, count), "seed {seed}: every record, exactly once");
    }
}

#[test]
fn kills_in_the_middle_of_replays_lose_nothing_and_send_nothing_twice() {
    let mut dice = Dice(20_261_126);
    let (mut kills, mut carried) = (0, 0);
    while kills < 30 {
        let slow = Arc::new(AtomicUsize::new(0));
        let seen = slow.clone();
        let bad: Vec<u64> = (1..=300).filter(|_| dice.below(3) == 0).collect();
        let stage = stage_with(300, &bad, move |_, _| match seen.fetch_add(1, Ordering::SeqCst) % 8 {
            3 => Answer::TakenThenReset,
            _ => Answer::Late(Duration::from_millis(3), Box::new(Answer::ok())),
        });
        stage.edit("project/jobs/orders.toml", "{ records = 10 }", "{ records = 2 }");
        stage.edit("project/jobs/orders.toml", "attempts = 4", "attempts = 40");
        stage.run().exits(5);
        repair(&stage);
        for _ in 0..20 {
            let mut command = stage.command(&["rejects", "replay", "orders", "--yes", "--quiet"]);
            let unfinished = "SELECT count(*) FROM run WHERE state = 'running'";
            let is_open = stage.ledger().query_row(unfinished, [], |row| row.get::<_, i64>(0)).unwrap() > 0;
            if is_open {
                command = stage.command(&["resume", DAY, "--quiet"]);
            }
            let mut child =
                command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_micros(15_000 + dice.below(90_000)));
            let _ = child.kill();
            if child.wait().unwrap().signal().is_none() {
                break;
            }
            kills += 1;
            check(&stage);
            let open = "SELECT count(*) FROM reject WHERE state = 'open' AND carrier IS NOT NULL";
            carried += i64::from(stage.ledger().query_row(open, [], |row| row.get::<_, i64>(0)).unwrap() > 0);
        }
        // A reset connection at the end may have left a run to be resumed.
        stage.nightferry(&["resume", DAY]);
        stage.nightferry(&["rejects", "replay", "orders", "--yes"]).exits(0);
        let document = show(&stage);
        assert_eq!((rows(&document), records(&document)), ([300, 0, 0, 300], [300, 300, 0, 0, 0]));
        assert_eq!(stage.delivered_ids(), ids(1, 300), "every record, exactly once");
        let keys: BTreeSet<Option<String>> = stage.target.log().into_iter().map(|request| request.key).collect();
        let sealed = stage.ledger().query_row("SELECT count(*) FROM batch", [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(keys.len() as i64, sealed, "no second key was minted for anything");
        check(&stage);
    }
    println!("{kills} kills, {carried} of them while rows were carried");
    assert!(carried * 4 >= kills, "{carried} of {kills} kills fell while rows were on their way");
}
