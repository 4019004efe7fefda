//! A batch that the target does not take as a whole: its records go on in smaller batches until the one that is to blame
//! stands alone. Every part is sealed before it is sent, keys are derived, and the books balance all the while.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a test ends where it is surprised"
)]

mod support;

use std::collections::{BTreeSet, HashSet};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use serde_json::{Value, json};
use support::dice::Dice;
use support::laws::check;
use support::target::{Answer, Request, Target};
use support::{Source, Stage, ids, records};

fn ids_in(body: &[u8]) -> Vec<String> {
    let records: Vec<Value> = serde_json::from_slice(body).unwrap();
    records.iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
}

fn stage(script: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Stage {
    Stage::with_target(Source::Folder, Target::scripted(script))
}

#[test]
fn an_opaque_400_is_halved_until_the_record_to_blame_stands_alone() {
    let stage = stage(|request, _| match ids_in(&request.body).contains(&"A-000007".to_owned()) {
        true => Answer::json(400, json!({"error": "bad request"})),
        false => Answer::ok(),
    });
    stage.edit("project/jobs/orders.toml", "{ records = 10 }", "{ records = 16 }");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 32));
    let document = stage.run_json().exits(6).json();
    assert_eq!((&document["state"], records(&document)), (&json!("break"), [32, 31, 1, 0, 0]));
    let rejects = stage.nightferry(&["rejects", "orders", "--json"]).exits(0).json();
    assert_eq!(
        (&rejects[0]["row"], &rejects[0]["code"], &rejects[0]["raw"]),
        (&json!(8), &json!("400"), &json!("A-000007,8,23.11.2026"))
    );
    let mut sizes: Vec<usize> = stage.target.log().iter().map(|request| ids_in(&request.body).len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 2, 2, 4, 4, 8, 8, 16, 16], "two requests for each halving, and none twice");
    assert_eq!(document["batches"], 10);
    let mut expected = ids(1, 32);
    expected.remove(6);
    assert_eq!(stage.delivered_ids(), expected);
    check(&stage);
}

#[test]
fn e21_a_413_splits_the_batch_and_its_parts_have_keys_and_bodies_of_their_own() {
    let stage = stage(|request, _| Answer::status(if ids_in(&request.body).len() > 3 { 413 } else { 200 }));
    stage.deliver("orders_20261123.csv", Stage::rows(1, 20));
    let document = stage.run_json().exits(0).json();
    assert_eq!(records(&document), [20, 20, 0, 0, 0]);
    assert_eq!(stage.delivered_ids(), ids(1, 20));
    check(&stage);
    let log = stage.target.log();
    let keys: HashSet<_> = log.iter().map(|request| request.key.clone()).collect();
    assert_eq!(keys.len(), log.len(), "every part has a key of its own");
    let states: Vec<(String, i64)> = stage
        .ledger()
        .prepare("SELECT state, count(*) FROM batch GROUP BY state ORDER BY state")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(states, [("answered".to_owned(), 8), ("split".to_owned(), 6)], "the parents are closed");
    let names = support::names(&std::fs::read_dir(stage.path("data/files")).unwrap().next().unwrap().unwrap().path());
    assert_eq!(names, ["0.landed"], "no payload is kept once everything was accepted");
}

#[test]
fn e21_one_record_that_is_too_large_alone_is_refused() {
    let stage = stage(|_, _| Answer::status(413));
    stage.deliver("orders_20261123.csv", Stage::rows(1, 4));
    let document = stage.run_json().exits(6).json();
    assert_eq!((records(&document), &document["batches"]), ([4, 0, 4, 0, 0], &json!(7)));
    check(&stage);
}

#[test]
fn a_refusal_that_names_its_records_costs_one_more_request() {
    let stage = stage(|request, number| match number {
        0 => Answer::json(
            422,
            json!({"type": "https://erp.example/p/invalid", "errors": [{"pointer": "/2/day", "detail": "too late"},
                   {"pointer": "#/9/id", "detail": "unknown"}]}),
        ),
        _ => Answer::status(if ids_in(&request.body).len() == 8 { 200 } else { 500 }),
    });
    stage.deliver("orders_20261123.csv", Stage::rows(1, 10));
    let document = stage.run_json().exits(6).json();
    assert_eq!((records(&document), stage.target.log().len()), ([10, 8, 2, 0, 0], 2));
    let rejects = stage.nightferry(&["rejects", "orders", "--json"]).exits(0).json();
    assert_eq!(
        [&rejects[0]["row"], &rejects[0]["code"], &rejects[0]["message"], &rejects[1]["row"]],
        [&json!(4), &json!("invalid"), &json!("day: too late"), &json!(11)]
    );
    check(&stage);
}

/// What a target with faults makes of a request: some records are poison, some batches too large, some requests meet trouble.
fn faulty(poison: BTreeSet<String>, most: usize, trouble: Vec<u8>) -> impl Fn(&Request, usize) -> Answer + Send + Sync {
    move |request, number| {
        let ids = ids_in(&request.body);
        match trouble.get(number).copied().unwrap_or(9) {
            0 => return Answer::status(503),
            1 => return Answer::TakenThenReset,
            _ => {}
        }
        let bad: Vec<usize> = (0..ids.len()).filter(|at| poison.contains(&ids[*at])).collect();
        match bad.first() {
            _ if ids.len() > most => Answer::status(413),
            None => Answer::ok(),
            Some(first) if ids.len().is_multiple_of(3) => {
                Answer::json(422, json!({"errors": [{"pointer": format!("/{first}"), "detail": "poison"}]}))
            }
            Some(_) => Answer::status(400),
        }
    }
}

#[test]
fn whatever_the_target_answers_every_record_has_one_fate_and_takes_effect_once() {
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let rows = 1 + dice.below(60);
        let poison: BTreeSet<String> = ids(1, rows).into_iter().filter(|_| dice.below(9) == 0).collect();
        // A record that is poison is never accepted, not even by a request that is cut off.
        let trouble = (0..10).map(|_| (dice.below(6) * 2) as u8).collect();
        let most = 1 + dice.below(12) as usize;
        let stage = stage(faulty(poison.clone(), most, trouble));
        stage.edit("project/jobs/orders.toml", "attempts = 4", "attempts = 50");
        stage.deliver("orders_20261123.csv", Stage::rows(1, rows));
        let document = stage.run_json().json();
        let refused = poison.len() as u64;
        assert_eq!(records(&document), [rows, rows - refused, refused, 0, 0], "seed {seed}");
        let expected: Vec<String> = ids(1, rows).into_iter().filter(|id| !poison.contains(id)).collect();
        assert_eq!(stage.delivered_ids(), expected, "seed {seed}");
        check(&stage);
    }
}

#[test]
fn kills_in_the_middle_of_splitting_lose_nothing_and_send_nothing_twice() {
    let mut dice = Dice(20_261_125);
    let (mut kills, mut while_split) = (0, 0);
    while kills < 40 {
        let poison: BTreeSet<String> = ids(1, 400).into_iter().filter(|_| dice.below(40) == 0).collect();
        let script = faulty(poison.clone(), 12, Vec::new());
        let slow = move |request: &Request, number: usize| match script(request, number) {
            Answer::Reply(status, headers, body) if number % 9 != 4 => {
                Answer::Late(Duration::from_millis(3), Box::new(Answer::Reply(status, headers, body)))
            }
            Answer::Reply(200, ..) => Answer::TakenThenReset,
            other => other,
        };
        let stage = stage(slow);
        stage.edit("project/jobs/orders.toml", "attempts = 4", "attempts = 50");
        stage.edit("project/jobs/orders.toml", "{ records = 10 }", "{ records = 20 }");
        stage.deliver("orders_20261123.csv", Stage::rows(1, 400));
        for _ in 0..20 {
            let mut child = stage.spawn_run();
            std::thread::sleep(Duration::from_micros(20_000 + dice.below(120_000)));
            let _ = child.kill();
            if child.wait().unwrap().signal().is_none() {
                break;
            }
            kills += 1;
            if stage.path("data/ledger.db").exists() && !stage.target.log().is_empty() {
                check(&stage);
                let open = "SELECT count(*) FROM batch WHERE origin = 'split' AND state NOT IN ('answered', 'split')";
                while_split += i64::from(stage.ledger().query_row(open, [], |row| row.get::<_, i64>(0)).unwrap() > 0);
            }
        }
        stage.run_json();
        let document = stage.nightferry(&["show", "orders@2026-11-23", "--json"]).exits(0).json();
        let shown = stage.nightferry(&["runs", "orders", "--json"]).exits(0).json();
        let first = shown.as_array().unwrap().last().unwrap()["run"].as_str().unwrap().to_owned();
        let document = if records(&document)[0] > 0 {
            document
        } else {
            stage.nightferry(&["show", &first, "--json"]).exits(0).json()
        };
        let refused = poison.len() as u64;
        assert_eq!(records(&document), [400, 400 - refused, refused, 0, 0]);
        let expected: Vec<String> = ids(1, 400).into_iter().filter(|id| !poison.contains(id)).collect();
        assert_eq!(stage.delivered_ids(), expected, "every record, exactly once");
        check(&stage);
    }
    println!("{kills} kills, {while_split} of them while parts of a batch were on their way");
    assert!(while_split * 5 >= kills, "{while_split} of {kills} kills fell while batches were split");
}
