//! The sample files come out as `sample-data/README.md` says.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends where it is surprised")]

mod support;

use serde_json::{Value, json};
use support::target::{Answer, Target};
use support::{Source, Stage, records, rows};

/// The project and the samples of this repository, with a folder in place of SFTP and a target that accepts every record.
fn stage() -> Stage {
    let target = Target::scripted(|request, _| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let list = body.as_array().or_else(|| body["orderLines"].as_array()).expect("records").clone();
        let results: Vec<Value> =
            list.iter().map(|record| json!({"externalId": record["externalId"], "status": "CREATED"})).collect();
        Answer::json(200, json!({ "results": results }))
    });
    let stage = Stage::with_target(Source::Folder, target);
    let (sftp, host_key, api) = (2222, "SHA256:unused", stage.target.port);
    nightferry::demo::project::write(&stage.path("project"), sftp, host_key, api).unwrap();
    nightferry::demo::project::write_samples(&stage.remote()).unwrap();
    let text = std::fs::read_to_string(stage.path("project/connections.toml")).unwrap();
    let tables: Vec<String> = text
        .split_inclusive('\n')
        .collect::<String>()
        .split("\n[")
        .map(|table| match table.split_once(']') {
            Some((name, _)) if table.contains("\"sftp\"") => {
                format!("{name}]\nkind = \"folder\"\npath = \"{}\"\n", stage.remote().display())
            }
            _ => table.to_owned(),
        })
        .collect();
    stage.write("project/connections.toml", tables.join("\n["));
    stage
}

fn run(stage: &Stage, job: &str, day: u32) -> (Option<i32>, Value) {
    let mut command = stage.command(&["run", job, "--date", &format!("2026-11-{day}"), "--json"]);
    command.env("NIGHTFERRY_SECRET_DEMO_TOKEN", "token");
    let ended = support::ended(command);
    (ended.code, ended.json())
}

#[test]
fn every_sample_comes_out_as_its_table_says() {
    let stage = stage();
    for (job, day, expected_rows, batches, code) in [
        ("orders", 22, [18, 0, 0, 18], 1, 0),
        ("orders", 23, [93, 3, 5, 85], 4, 5),
        ("orders", 24, [0, 0, 0, 0], 0, 1),
        ("payments", 23, [47, 0, 0, 47], 3, 0),
        ("payments", 24, [24, 0, 24, 0], 0, 1),
        ("employees", 23, [33, 1, 2, 30], 3, 5),
    ] {
        let (ended, document) = run(&stage, job, day);
        assert_eq!((ended, rows(&document)), (Some(code), expected_rows), "{job} {day}: {document}");
        assert_eq!((&document["batches"], records(&document)[1]), (&json!(batches), expected_rows[3]), "{job} {day}");
    }
    assert!(stage.remote().join("outbound/employees/done/2026-11/employees_20261123.csv").exists());
}

#[test]
fn the_rejects_stand_where_the_table_says() {
    let stage = stage();
    for (job, day) in [("orders", 23), ("payments", 24), ("employees", 23)] {
        run(&stage, job, day);
    }
    let rejects = stage.nightferry(&["rejects", "--json"]).exits(0).json();
    let listed: Vec<_> = rejects
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (one["row"].as_u64().unwrap_or(0), one["column"].as_str().unwrap_or(""), one["code"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        listed,
        [
            (43, "Country", "lookup-missing"),
            (44, "Country", "lookup-missing"),
            (52, "OrderDate", "bad-date"),
            (62, "Qty", "below-minimum"),
            (86, "UnitPrice", "bad-number"),
            (86, "LineAmount", "bad-number"),
            (0, "", "too-many-rejects"),
            (17, "Amount", "too-many-decimals"),
            (12, "WorkEmail", "required"),
            (24, "Contract", "not-in-enum"),
        ]
    );
}

#[test]
fn every_sample_mapping_passes_its_own_tests() {
    let ended = stage().nightferry(&["test", "--json"]).exits(0).json();
    assert_eq!((&ended["failed"], &ended["passed"]), (&json!(0), &json!(18)), "{ended}");
    let mappings: std::collections::BTreeSet<_> =
        ended["tests"].as_array().unwrap().iter().map(|test| test["mapping"].as_str().unwrap().to_owned()).collect();
    assert_eq!(mappings.into_iter().collect::<Vec<_>>(), ["employees", "orders", "payments", "shipments"]);
}
