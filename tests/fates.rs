//! The fate of every single record: what an answer says of it, in whatever order and form the target says it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a test ends where it is surprised"
)]

mod support;

use serde_json::{Value, json};
use support::target::{Answer, Request, Target};
use support::{Source, Stage, ids, records};

const BY_KEY: &str = "\n[target.response]\naccepted = [200, 207]\neach = \"$.results[*]\"\n\
    match = { ours = \"id\", theirs = \"$.id\" }\nok_when = { path = \"$.status\", is = [\"OK\"] }\n\
    reference = \"$.ref\"\nerror_code = \"$.error.code\"\nerror_text = \"$.error.message\"\n";

/// A stage whose job reads answers by `rule`; the target answers a request with what `answer` makes of the ids in it.
fn stage(rule: &str, answer: impl Fn(&[String]) -> (u16, Value) + Send + Sync + 'static) -> Stage {
    let target = Target::scripted(move |request, _| {
        let (status, body) = answer(&ids_in(request));
        Answer::json(status, body)
    });
    let stage = Stage::with_target(Source::Folder, target);
    let job = std::fs::read_to_string(stage.path("project/jobs/orders.toml")).unwrap();
    stage.write("project/jobs/orders.toml", job + rule);
    stage
}

fn ids_in(request: &Request) -> Vec<String> {
    let records = match serde_json::from_slice(&request.body).unwrap() {
        Value::Array(records) => records,
        record => vec![record],
    };
    records.iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
}

fn ok(id: &str) -> Value {
    json!({"id": id, "status": "OK", "ref": format!("ERP-{}", &id[2..])})
}

/// Row, code and message of every reject.
fn rejects(stage: &Stage) -> Vec<(u64, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let listed = stage.nightferry(&["rejects", "orders", "--json"]).exits(0).json();
    let listed = listed.as_array().unwrap().iter();
    listed.map(|reject| (reject["row"].as_u64().unwrap(), text(&reject["code"]), text(&reject["message"]))).collect()
}

#[test]
fn e10_three_of_a_hundred_are_refused_inside_a_200_and_the_others_are_accepted() {
    let stage = stage(
        "\n[target.response]\nrefused = \"$.errors[*]\"\nmatch = { position = \"$.index\" }\n\
         error_code = \"$.reason\"\nerror_text = \"$.message\"\n",
        |_| {
            let error = |index| json!({"index": index, "reason": "BLOCKED", "message": "customer is blocked"});
            (200, json!({"errors": [error(99), error(0), error(41)]}))
        },
    );
    stage.edit("project/jobs/orders.toml", "{ records = 10 }", "{ records = 100 }");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 100));
    let document = stage.run_json().exits(6).json();
    assert_eq!((&document["state"], records(&document)), (&json!("break"), [100, 97, 3, 0, 0]));
    let blocked = |row| (row, "BLOCKED".to_owned(), "customer is blocked".to_owned());
    assert_eq!(rejects(&stage), [blocked(2), blocked(43), blocked(101)], "lines of the file, not positions");
    let fates: String = stage.ledger().query_row("SELECT fates FROM batch", [], |row| row.get(0)).unwrap();
    assert_eq!(fates, format!("r{}r{}r", "a".repeat(40), "a".repeat(57)));
}

#[test]
fn e11_a_multi_status_out_of_order_is_matched_by_id_and_what_matches_nothing_is_unanswered() {
    let stage = stage(BY_KEY, |ids| {
        let mut results: Vec<Value> = ids.iter().rev().map(|id| ok(id)).collect();
        results[1] = json!({"id": ids[8], "status": "NO", "error": {"code": "E7", "message": "too many"}});
        results[5]["id"] = json!("A-999999");
        (207, json!({"results": results}))
    });
    stage.deliver("orders_20261123.csv", Stage::rows(1, 10));
    let document = stage.run_json().exits(6).json();
    assert_eq!((&document["state"], records(&document)), (&json!("break"), [10, 8, 1, 1, 0]));
    assert_eq!(rejects(&stage), [(10, "E7".to_owned(), "too many".to_owned())]);
    let (fates, note): (String, String) = stage
        .ledger()
        .query_row("SELECT fates, note FROM batch JOIN attempt ON batch = id", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(fates, "aaaauaaara");
    let remark = "1 of 10 records have no clear result in the answer and are unanswered; \
                  1 results belong to no record of the batch; {\"results\":[{";
    assert!(note.starts_with(remark), "{note}");
}

#[test]
fn e12_records_that_an_answer_leaves_out_are_unanswered_and_never_sent_again_by_themselves() {
    let stage = stage(BY_KEY, |ids| {
        let results: Vec<Value> = ids.iter().filter(|id| !id.ends_with('3')).map(|id| ok(id)).collect();
        (200, json!({"results": results}))
    });
    stage.edit("project/jobs/orders.toml", "[target]", "afterwards = \"delete\"\n[target]");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 25));
    let run = stage.run().exits(6);
    assert!(run.stdout.contains("▲ BREAK"), "{}", run.stdout);
    assert!(run.stderr.contains("1 of 10 records have no clear result"), "the alarm: {}", run.stderr);
    let document = stage.nightferry(&["show", "orders@last", "--json"]).exits(0).json();
    assert_eq!(records(&document), [25, 22, 0, 3, 0]);
    stage.run();
    assert_eq!(stage.target.log().len(), 3, "nothing was sent again");
    assert_eq!(support::names(&stage.remote()), ["orders_20261123.csv"], "not cleaned up while records are unanswered");
}

#[test]
fn the_targets_references_are_kept_for_every_accepted_record_in_a_few_bytes() {
    let stage = stage(BY_KEY, |ids| (200, json!({"results": ids.iter().map(|id| ok(id)).collect::<Vec<_>>()})));
    stage.edit("project/jobs/orders.toml", "{ records = 10 }", "{ records = 500 }");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 2_000));
    stage.run().exits(0);
    let ledger = stage.ledger();
    let mut statement = ledger.prepare("SELECT list FROM batch_reference ORDER BY batch").unwrap();
    let lists: Vec<Vec<u8>> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let kept: Vec<String> = lists
        .iter()
        .flat_map(|list| nightferry::domain::reference::unpack(list).unwrap())
        .map(Option::unwrap)
        .collect();
    let expected: Vec<String> = ids(1, 2_000).iter().map(|id| format!("ERP-{}", &id[2..])).collect();
    assert_eq!(kept, expected);
    let bytes: usize = lists.iter().map(Vec::len).sum();
    let input = Stage::rows(1, 2_000).len();
    assert!(bytes * 100 <= input * 15, "{bytes} bytes for {input} bytes of input");
}

#[test]
fn e16_404_and_405_on_the_first_batch_stop_the_run_and_refuse_nothing_400_and_415_refuse() {
    for status in [404, 405] {
        let stage = stage("", move |_| (status, json!({})));
        stage.deliver("orders_20261123.csv", Stage::rows(1, 1_000));
        let document = stage.run_json().exits(8).json();
        assert_eq!(document["error"]["code"], "stopped-by-target", "{status}");
        assert_eq!(records(&document), [1_000, 0, 0, 0, 1_000], "{status}");
        assert!(stage.target.log().len() <= 4, "{status}");
    }
    for status in [400, 415, 404] {
        let stage = stage("", move |ids| (if ids[0] == "A-000001" { 200 } else { status }, json!({})));
        stage.edit("project/connections.toml", "timeout = \"5s\"", "timeout = \"5s\"\nrate = { concurrency = 1 }");
        stage.edit("project/jobs/orders.toml", "{ records = 10 }", "{ records = 1 }");
        stage.deliver("orders_20261123.csv", Stage::rows(1, 3));
        let document = stage.run_json().exits(6).json();
        assert_eq!((records(&document), stage.target.log().len()), ([3, 1, 2, 0, 0], 3), "{status}: no retry");
    }
}

#[test]
fn without_words_of_its_own_a_refusal_is_read_as_problem_details() {
    let stage = stage("", |_| {
        (
            422,
            json!({"type": "https://erp.example/problems/closed-period", "title": "No", "detail": "November is closed"}),
        )
    });
    stage.edit("project/jobs/orders.toml", "{ records = 10 }", "{ records = 1 }");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 1));
    stage.run_json().exits(6);
    assert_eq!(rejects(&stage), [(2, "closed-period".to_owned(), "November is closed".to_owned())]);
}
