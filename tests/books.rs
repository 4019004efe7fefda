//! The books as people keep them: what adds up, what does not, who has looked, and a trail of it that cannot be changed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends with the first surprise")]

mod support;

use serde_json::json;

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
