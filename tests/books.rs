//! The books as people keep them: what adds up, what does not, who has looked, and a trail of it that cannot be changed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends with the first surprise")]

mod support;

use serde_json::{Value, json};

use support::target::{Answer, Target};
use support::{Source, Stage};

#[test]
fn t28_what_people_do_is_a_chain_that_shows_every_change() {
    let stage = Stage::new(Source::Folder);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 3));
    stage.nightferry(&["hold", "orders"]).exits(0);
    stage.run().exits(7);
    stage.nightferry(&["release", "orders", "--yes", "--reason", "looked at it"]).exits(0);
    let entries = stage.nightferry(&["audit", "--json"]).exits(0).json();
    let told: Vec<_> = entries.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(told, ["release", "end-hold", "hold"]);
    let verified = stage.nightferry(&["audit", "verify", "--json"]).exits(0).json();
    assert_eq!((&verified["whole"], &verified["entries"]), (&json!(true), &json!(3)));
    assert_eq!(verified["head"], entries[0]["hash"]);

    stage.ledger().execute("UPDATE audit SET reason = 'as agreed' WHERE id = 2", []).unwrap();
    let verified = stage.nightferry(&["audit", "verify"]).exits(1).stdout;
    assert!(verified.starts_with("✗ entry 2 (end-hold by unknown) is not what was written"), "{verified}");
}

const MEASURED: &str = r#"
[mapping]
name = "orders"

[fields]
"id"             = { from = "id", required = true }
"total.amount"   = { from = "amount", type = "number", decimals = 2 }
"total.currency" = { from = "currency" }
"lines"          = { from = "lines", type = "integer" }
"#;

const MEASURES: &str = r#"
[[measures]]
title = "Orders"
count = true

[[measures]]
title     = "Order value"
sum       = "total.amount"
per       = "total.currency"
tolerance = 0.05

[[measures]]
title = "Lines"
sum   = "lines"
"#;

/// Twelve orders, in two currencies; amounts that a float cannot hold.
fn orders() -> String {
    let row = |n: u32| {
        let currency = if n.is_multiple_of(3) { "DKK" } else { "EUR" };
        format!("A-{n:06},{n}0000000000.1{},{currency},{n}\n", n % 10)
    };
    "id,amount,currency,lines\n".to_owned() + &(1..=12).map(row).collect::<String>()
}

/// A stage whose job has measures; the target answers for each record, and says `no` to some.
fn measured(answer: impl Fn(&str) -> Option<&'static str> + Send + Sync + 'static) -> Stage {
    let target = Target::scripted(move |request, _| {
        let records: Vec<Value> = serde_json::from_slice(&request.body).unwrap();
        let results: Vec<Value> = records
            .iter()
            .filter_map(|record| {
                let id = record["id"].as_str().unwrap();
                answer(id).map(|status| json!({ "id": id, "status": status, "code": "ACCOUNT_CLOSED" }))
            })
            .collect();
        Answer::json(200, json!({ "results": results }))
    });
    let stage = Stage::with_target(Source::Folder, target);
    stage.write("project/mappings/orders.toml", MEASURED);
    let response = "response = { each = \"$.results[*]\", match = { ours = \"id\", theirs = \"$.id\" }, \
                    ok_when = { path = \"$.status\", is = \"OK\" }, error_code = \"$.code\" }\n";
    let job = "project/jobs/orders.toml";
    stage.edit(job, "batch       = { records = 10 }", &format!("batch       = {{ records = 5 }}\n{response}"));
    stage.write(job, std::fs::read_to_string(stage.path(job)).unwrap() + MEASURES);
    stage.deliver("orders_20261123.csv", orders());
    stage
}

fn measure(document: &Value, title: &str, per: Option<&str>) -> Vec<String> {
    let measures = document["measures"].as_array().unwrap();
    let one = measures.iter().find(|one| one["title"] == title && one["per"] == json!(per)).expect("the measure");
    ["sent", "accepted", "refused", "unanswered", "pending", "difference", "result"]
        .map(|key| one[key].as_str().unwrap().to_owned())
        .to_vec()
}

#[test]
fn every_measure_adds_up_in_every_unit_to_the_last_digit() {
    let stage = measured(|_| Some("OK"));
    let document = stage.run_json().exits(0).json();
    let all = |sum: &str| [sum, sum, "0", "0", "0", "0", "balanced"].map(str::to_owned).to_vec();
    let cents = |sum: &str| [sum, sum, "0.00", "0.00", "0.00", "0.00", "balanced"].map(str::to_owned).to_vec();
    assert_eq!(measure(&document, "Orders", None), all("12"));
    assert_eq!(measure(&document, "Lines", None), all("78"));
    assert_eq!(measure(&document, "Order value", Some("DKK")), cents("300000000000.60"));
    assert_eq!(measure(&document, "Order value", Some("EUR")), cents("480000000001.08"));
    assert_eq!(stage.nightferry(&["show", "orders@last", "--json"]).exits(0).json()["measures"], document["measures"]);
}

#[test]
fn the_amounts_of_refused_and_unanswered_records_are_told_by_fate() {
    let stage = measured(|id| match id {
        "A-000004" => Some("NO"),
        "A-000006" | "A-000012" => None,
        _ => Some("OK"),
    });
    let document = stage.run_json().exits(6).json();
    let expected = |parts: [&str; 7]| parts.map(str::to_owned).to_vec();
    let orders = expected(["12", "9", "1", "2", "0", "-3", "not confirmed yet"]);
    assert_eq!(measure(&document, "Orders", None), orders);
    let dkk = ["300000000000.60", "120000000000.32", "0.00", "180000000000.28", "0.00", "-180000000000.28"];
    assert_eq!(measure(&document, "Order value", Some("DKK"))[..6], dkk);
    let eur = ["480000000001.08", "440000000000.94", "40000000000.14", "0.00", "0.00", "-40000000000.14"];
    assert_eq!(measure(&document, "Order value", Some("EUR"))[..6], eur);
    let lines = expected(["78", "56", "4", "18", "0", "-22", "not confirmed yet"]);
    assert_eq!(measure(&document, "Lines", None), lines);
}

#[test]
fn a_measure_that_the_batches_do_not_bear_out_fails_the_run() {
    let stage = measured(|_| Some("OK"));
    let forge = "CREATE TRIGGER forge AFTER INSERT ON batch_measure WHEN NEW.slot = 0 AND NEW.batch = 1 BEGIN
        UPDATE batch_measure SET amount = amount - 1, pending = pending - 1 WHERE batch = NEW.batch AND slot = NEW.slot;
        END";
    stage.nightferry(&["hold", "orders"]).exits(0);
    stage.ledger().execute_batch(forge).unwrap();
    stage.run().exits(7);
    let failed = stage.nightferry(&["release", "orders", "--yes", "--json"]).exits(1);
    let error = &failed.json()["error"];
    assert_eq!(error["code"], "internal-imbalance", "{error}");
}

#[test]
fn a_sum_of_what_is_no_number_is_found_by_check() {
    let stage = measured(|_| Some("OK"));
    stage.edit("project/jobs/orders.toml", "sum       = \"total.amount\"", "sum       = \"total.currency\"");
    let checked = stage.nightferry(&["check", "--json"]).exits(3).json();
    let said = &checked["diagnostics"][0];
    assert_eq!(
        (&said["code"], &said["message"]),
        (&json!("NF145"), &json!("`total.currency` is no number, so it cannot be added up"))
    );
}
