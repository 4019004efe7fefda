//! Files that are compared with what was accepted before: unchanged records are not sent, too many changes wait for a person, and
//! sequences must go on.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends with the first surprise")]

mod support;

use serde_json::{Value, json};
use support::{Source, Stage, records, rows};

const MAPPING: &str = r#"
[mapping]
name = "orders"

[changes]
key         = "id"
send        = "changed"
disappeared = "report"
max_percent = 50

[fields]
"id"       = { from = "id", required = true, unique = true }
"quantity" = { from = "qty", type = "integer", minimum = 1 }
"email"    = { from = "email", pii = "email" }
"file"     = { auto = "file.name" }
"#;

fn stage(mapping: &str) -> Stage {
    let stage = Stage::new(Source::Folder);
    stage.write("project/mappings/orders.toml", mapping);
    stage
}

/// Delivers a file and runs the job.
fn run(stage: &Stage, name: &str, content: &str, code: i32) -> Value {
    stage.deliver(name, content);
    stage.run_json().exits(code).json()
}

fn ten(quantity: impl Fn(u64) -> u64) -> String {
    (0..10).map(|at| format!("E{at},{},e{at}@example.com\n", quantity(at))).collect()
}

#[test]
fn only_what_changed_is_sent_and_the_rest_is_skipped() {
    let stage = stage(MAPPING);
    let first = run(&stage, "orders_20261123_1.csv", &format!("id,qty,email\n{}", ten(|_| 1)), 0);
    assert_eq!((rows(&first), records(&first)), ([10, 0, 0, 10], [10, 10, 0, 0, 0]));
    let changed = ten(|at| if at < 2 { 7 } else { 1 });
    let second = run(&stage, "orders_20261123_2.csv", &format!("id,qty,email\n{changed}"), 0);
    assert_eq!((rows(&second), records(&second)), ([10, 8, 0, 2], [2, 2, 0, 0, 0]));
    // Under another file name nothing has changed either: what Nightferry adds by itself does not count.
    let third = run(&stage, "orders_20261123_3.csv", &format!("id,qty,email\n{changed}\n"), 0);
    assert_eq!((rows(&third), records(&third)), ([10, 10, 0, 0], [0, 0, 0, 0, 0]));
}

#[test]
fn too_many_changes_are_held_until_a_person_releases_or_drops_them() {
    let stage = stage(MAPPING);
    run(&stage, "orders_20261123_1.csv", &format!("id,qty,email\n{}", ten(|_| 1)), 0);
    let half: String = "id,qty,email\nE0,1,e0@example.com\nE1,9,e1@example.com\n".to_owned();
    let held = run(&stage, "orders_20261123_2.csv", &half, 7);
    assert_eq!(held["state"], "held");
    assert_eq!(records(&held), [1, 0, 0, 0, 1]);
    let warnings =
        held["files"].as_array().unwrap().iter().find(|file| file["state"] == "held").unwrap()["warnings"].clone();
    assert_eq!(
        warnings,
        json!([
            "8 records of the last accepted file are not in this one: E2, E3, E4, E5, E6, E7, E8, E9",
            "held: 9 of 10 would change (0 new, 1 changed, 8 disappeared), and `max_percent` is 50 %",
        ])
    );
    assert_eq!(stage.delivered_ids().len(), 10, "nothing of a held file is sent");
    // The next run does not take it up by itself.
    let again = stage.run_json().json();
    assert_eq!(records(&again)[0], 0, "{again}");
    let id = held["run"].as_str().unwrap();
    stage.nightferry(&["release", id]).exits(2);
    stage.nightferry(&["release", id, "--yes", "--reason", "the shop closed"]).exits(0);
    assert_eq!(stage.delivered_ids().len(), 11);

    let dropped = run(
        &stage,
        "orders_20261123_3.csv",
        "id,qty,email\nE0,5,e0@example.com\nE7,5,x@example.com\nE8,5,y@example.com\n",
        7,
    );
    let id = dropped["run"].as_str().unwrap();
    stage.nightferry(&["drop", id, "--yes", "--reason", "a wrong file"]).exits(0);
    let shown = stage.nightferry(&["show", id, "--json"]).json();
    assert_eq!(shown["state"], "cancelled");
    assert_eq!(rows(&shown), [3, 0, 3, 0]);
    assert_eq!(stage.delivered_ids().len(), 11);
    let audit: i64 = stage.ledger().query_row("SELECT count(*) FROM audit", [], |row| row.get(0)).unwrap();
    assert_eq!(audit, 2);
}

#[test]
fn a_job_on_hold_maps_and_stops_and_release_sends() {
    let stage = Stage::new(Source::Folder);
    stage.nightferry(&["hold", "orders"]).exits(0);
    let held = run(&stage, "orders_20261123.csv", &Stage::rows(1, 3), 7);
    assert_eq!((records(&held), stage.delivered_ids().len()), ([3, 0, 0, 0, 3], 0));
    stage.nightferry(&["release", "orders", "--yes"]).exits(0);
    assert_eq!(stage.delivered_ids().len(), 3);
}

#[test]
fn a_gap_in_the_sequence_fails_the_file_before_anything_is_sent() {
    let mapping = r#"
[mapping]
name = "orders"

[layouts.trailer]
starts_with = "TRL"
occurs      = "last"
columns     = [{ name = "No", field = 2 }, { name = "Count", field = 3 }]

[fields]
"id" = { from = "id", required = true }

[[controls]]
id       = "sequence"
sequence = "trailer.No"

[[controls]]
id       = "entries"
count    = "rows"
declared = "trailer.Count"
"#;
    let stage = stage(mapping);
    let first = run(&stage, "orders_20261123_1.csv", "id,a\nA,1\nTRL,7,1\n", 0);
    assert_eq!(
        first["files"][0]["controls"],
        json!([
            { "id": "sequence", "expected": "7", "found": "7", "result": "balanced" },
            { "id": "entries", "expected": "1", "found": "1", "result": "balanced" },
        ])
    );
    let gap = run(&stage, "orders_20261123_2.csv", "id,a\nB,1\nTRL,9,2\n", 1);
    let failed = gap["files"].as_array().unwrap().iter().find(|file| file["state"] == "failed").unwrap();
    assert_eq!(failed["reason"], "control:sequence");
    assert_eq!(stage.delivered_ids().len(), 1);
    let rejects = stage.nightferry(&["rejects", "orders", "--json"]).json();
    let codes: Vec<&str> = rejects.as_array().unwrap().iter().map(|reject| reject["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["control:sequence", "control:entries"], "each fault of the file is an entry");
}

#[test]
fn rejects_are_listed_masked_and_looking_behind_the_mask_is_written_down() {
    let stage = stage(&MAPPING.replace("max_percent = 50\n", "max_percent = 50\n\n[rejects]\nmax_percent = 100\n"));
    run(&stage, "orders_20261123.csv", "id,qty,email\nE1,0,anna.holm@example.com\n", 5);
    let listed = stage.nightferry(&["rejects", "orders", "--json"]).json();
    assert_eq!(listed[0]["raw"], "E1,0,a•••@example.com");
    let open = stage.nightferry(&["rejects", "orders", "--json", "--show-personal-data", "ticket 17"]).json();
    assert_eq!(open[0]["raw"], "E1,0,anna.holm@example.com");
    let (action, reason): (String, String) =
        stage.ledger().query_row("SELECT action, reason FROM audit", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!((action.as_str(), reason.as_str()), ("show-personal-data", "ticket 17"));
}
