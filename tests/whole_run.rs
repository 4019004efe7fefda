//! The main job on real input: a file leaves a real sshd, passes the mapping, arrives at an HTTP API, and the ledger proves it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a test ends where it is surprised"
)]

mod support;

use std::fs;
use std::process::Stdio;

use serde_json::json;
use sha2::{Digest, Sha256};
use support::target::{Answer, Target};
use support::{Source, Stage, TOKEN, ids, names, records, rows};

#[test]
fn a_file_is_carried_whole_and_the_document_says_so() {
    let stage = Stage::new(Source::Sftp);
    let content = Stage::rows(1, 25).replace("A-000007,8", "A-000007,0") + "\nA-x,1,31.02.2026\n";
    stage.deliver("orders_20261123_01.csv", &content);
    stage.deliver("readme.txt", "not an order");
    stage.edit("project/mappings/orders.toml", "[fields]", "[rejects]\nmax_percent = 10\n[fields]");
    let document = stage.run_json().exits(5).json();

    assert_eq!(document["state"], "done_with_rejects");
    assert_eq!((rows(&document), records(&document)), ([26, 0, 2, 24], [24, 24, 0, 0, 0]));
    assert_eq!(
        (&document["balanced"], &document["batches"], &document["attempts"]),
        (&json!(true), &json!(3), &json!(3))
    );
    let file = &document["files"][0];
    let hash: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(file["sha256"], hash.as_str());
    assert_eq!(file["path"], format!("{}/orders_20261123_01.csv", stage.remote().display()).as_str());
    assert_eq!(
        file["bytes"],
        json!({"preamble": 0, "header": 11, "rows": content.len() - 12, "blank": 1, "trailer": 0}),
        "law 3"
    );

    let mut expected = ids(1, 25);
    expected.remove(6);
    assert_eq!(stage.delivered_ids(), expected);
    let log = stage.target.log();
    assert_eq!(log[0].line, "POST /in HTTP/1.1");
    assert_eq!(log[0].headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(log[0].headers["content-type"], "application/json");
    let mut bodies: Vec<_> = log.iter().map(|request| request.body.clone()).collect();
    bodies.sort();
    assert!(bodies[0].starts_with(br#"[{"id":"A-000001","quantity":2,"day":"2026-11-23"},{"id":"#));

    let again = stage.nightferry(&["show", "orders@last", "--json"]).exits(0).json();
    assert_eq!(again, document, "show prints the same object as run");
    let listed = stage.nightferry(&["runs", "orders", "--json"]).exits(0).json();
    let expected: serde_json::Map<_, _> =
        ["run", "job", "business_date", "state", "late", "started_at", "finished_at", "rows", "records"]
            .map(|key| (key.to_owned(), document[key].clone()))
            .into_iter()
            .collect();
    assert_eq!(listed, json!([expected]));
    let rejects = stage.nightferry(&["rejects", "orders", "--json"]).exits(0).json();
    let brief: Vec<_> = rejects
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["row"].as_u64(), r["column"].as_str(), r["code"].as_str()))
        .collect();
    assert_eq!(
        brief,
        [(Some(8), Some("qty"), Some("below-minimum")), (Some(28), Some("day"), Some("bad-date"))],
        "physical lines, also after a blank one"
    );
    assert_eq!(rejects[0]["raw"], "A-000007,0,23.11.2026");
    assert_eq!(&content[rejects[1]["byte"].as_u64().unwrap() as usize..][..3], "A-x");
    assert!(
        !fs::read_dir(stage.path("data/files"))
            .unwrap()
            .any(|run| { names(&run.unwrap().path()).iter().any(|name| name != "0.landed") }),
        "the payload is not kept, the landed file is"
    );
}

#[test]
fn the_same_content_is_passed_over_also_under_another_name() {
    let stage = Stage::new(Source::Sftp);
    stage.deliver("orders_20261123_01.csv", Stage::rows(1, 5));
    stage.run().exits(0);
    stage.deliver("orders_20261123_02.csv", Stage::rows(1, 5));
    let document = stage.run_json().exits(0).json();
    let states: Vec<_> =
        document["files"].as_array().unwrap().iter().map(|file| (&file["state"], &file["reason"])).collect();
    assert_eq!(states, [(&json!("passed_over"), &json!("seen-before")); 2]);
    let warning = document["files"][1]["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with("the same content was delivered as `orders_20261123_01.csv` in run "), "{warning}");
    assert_eq!((rows(&document), records(&document)), ([0; 4], [0; 5]));
    assert_eq!(stage.target.log().len(), 1);
}

#[test]
fn new_content_under_an_old_name_is_carried_and_process_delivers_again_under_new_keys() {
    let stage = Stage::new(Source::Folder);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 5));
    stage.run().exits(0);
    stage.deliver("orders_20261123.csv", Stage::rows(6, 5));
    stage.run().exits(0);
    assert_eq!(stage.delivered_ids(), ids(1, 10));

    stage.edit("project/jobs/orders.toml", "[target]", "seen_before = \"process\"\n[target]");
    stage.run().exits(0);
    let log = stage.target.log();
    assert_eq!((log.len(), &log[1].body), (3, &log[2].body));
    assert_ne!(log[1].key, log[2].key, "a second delivery on purpose has a key of its own");

    stage.edit("project/jobs/orders.toml", "\"process\"", "\"reject\"");
    let document = stage.run_json().exits(1).json();
    assert_eq!((&document["state"], &document["files"][0]["reason"]), (&json!("failed"), &json!("seen-before")));
    assert_eq!(stage.target.log().len(), 3);
}

#[test]
fn afterwards_moves_or_deletes_once_everything_has_its_fate() {
    let stage = Stage::new(Source::Sftp);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 3));
    let done = stage.path("remote/done");
    let rule = format!("afterwards = {{ move_to = \"{}/{{business_date:%Y-%m}}\" }}\n[target]", done.display());
    stage.edit("project/jobs/orders.toml", "[target]", &rule);
    stage.run().exits(0);
    assert_eq!(names(&stage.remote()), ["done"]);
    assert_eq!(names(&done.join("2026-11")), ["orders_20261123.csv"]);

    stage.deliver("orders_20261123.csv", Stage::rows(4, 3));
    let moved = format!("{{ move_to = \"{}/{{business_date:%Y-%m}}\" }}", done.display());
    stage.run().exits(0);
    assert_eq!(names(&done.join("2026-11")).len(), 2, "never over a file that is there");

    stage.edit("project/jobs/orders.toml", &moved, "\"delete\"");
    stage.deliver("orders_20261123.csv", Stage::rows(7, 3));
    stage.run().exits(0);
    assert_eq!(names(&stage.remote()), ["done"]);
    assert_eq!(stage.delivered_ids(), ids(1, 9));
}

#[test]
fn a_file_waits_for_its_done_file_and_a_run_without_files_says_what_it_looked_for() {
    let stage = Stage::new(Source::Sftp);
    stage.edit("project/jobs/orders.toml", "\"at_once\"", "{ done_file = \"{file}.done\" }");
    stage.deliver("orders_20261122.csv", Stage::rows(1, 3));
    let waiting = stage.run().exits(7);
    let looked_for = format!("{}/orders_20261123*.csv", stage.remote().display());
    assert_eq!(
        waiting.stderr.trim(),
        format!("orders: no file matches `{looked_for}`; nearest names there: `orders_20261122.csv`")
    );
    stage.deliver("orders_20261123.csv", Stage::rows(1, 3));
    let waiting = stage.run_json().exits(7);
    assert!(waiting.stderr.contains("not ready yet: `orders_20261123.csv`"), "{}", waiting.stderr);
    assert_eq!(waiting.json()["state"], "waiting");
    assert!(stage.target.log().is_empty());

    stage.deliver("orders_20261123.csv.done", "");
    let document = stage.run_json().exits(0).json();
    assert_eq!(document["run"], waiting.json()["run"], "the waiting run goes on");
    assert_eq!(stage.delivered_ids(), ids(1, 3));
}

#[test]
fn a_file_that_still_grows_is_not_taken() {
    let stage = Stage::new(Source::Folder);
    stage.edit("project/jobs/orders.toml", "\"at_once\"", "{ unchanged_for = \"600ms\" }");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 3));
    let path = stage.remote().join("orders_20261123.csv");
    let writer = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        fs::write(path, Stage::rows(1, 6)).unwrap();
    });
    stage.run().exits(7);
    writer.join().unwrap();
    stage.run().exits(0);
    assert_eq!(stage.delivered_ids(), ids(1, 6));
}

#[test]
fn a_dry_run_maps_and_checks_and_neither_records_nor_sends() {
    let stage = Stage::new(Source::Sftp);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 40) + "A-x,no,23.11.2026\n");
    let document = stage.nightferry(&["run", "orders", "--date", "2026-11-23", "--dry-run", "--json"]).exits(5).json();
    assert_eq!((&document["run"], &document["dry_run"]), (&json!(null), &json!(true)));
    assert_eq!((rows(&document), records(&document)), ([41, 0, 1, 40], [40, 0, 0, 0, 40]));
    assert!(stage.target.log().is_empty());
    assert_eq!(stage.nightferry(&["runs", "--json"]).exits(0).stdout, "[]\n");
    assert!(names(&stage.path("data/files")).is_empty(), "nothing is left behind");
    let text = stage.nightferry(&["run", "orders", "--date", "2026-11-23", "--dry-run"]).exits(5).stdout;
    assert!(text.contains("orders_20261123.csv:42  qty  bad-integer"), "{text}");
}

#[test]
fn a_local_file_is_carried_by_hand_and_left_alone() {
    let stage = Stage::new(Source::Sftp);
    stage.edit("project/jobs/orders.toml", "[target]", "afterwards = \"delete\"\n[target]");
    stage.write("repaired.csv", Stage::rows(1, 3));
    stage.nightferry(&["run", "orders", "--date", "2026-11-23", "--file", "repaired.csv"]).exits(0);
    assert_eq!(stage.delivered_ids(), ids(1, 3));
    assert!(stage.path("repaired.csv").exists());
}

#[test]
fn no_output_and_no_file_ever_holds_a_secret() {
    let echo = Target::scripted(|request, _| Answer::json(400, format!("{:?}", request.headers)));
    let stage = Stage::with_target(Source::Sftp, echo);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 3));
    let mut seen = String::new();
    for arguments in [
        &["run", "orders", "--date", "2026-11-23", "-vv"][..],
        &["show", "orders@last", "--attempts"],
        &["rejects", "--json"],
        &["check", "--json"],
    ] {
        let ended = stage.nightferry(arguments);
        seen += &(ended.stdout + &ended.stderr);
    }
    assert!(seen.contains("•••"), "the target did echo it: {seen}");
    assert!(!seen.contains(TOKEN), "{seen}");
    let mut ledger = fs::read(stage.path("data/ledger.db")).unwrap();
    ledger.extend(fs::read(stage.path("data/ledger.db-wal")).unwrap_or_default());
    assert!(!ledger.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes()));
}

#[test]
fn data_is_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::new(Source::Folder);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 3));
    stage.run().exits(0);
    let mut folders = vec![stage.path("data")];
    while let Some(folder) = folders.pop() {
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700, "{}", folder.display());
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
            }
        }
    }
}

#[test]
fn resume_of_a_run_by_hand_ends_with_its_file() {
    let down = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let state = down.clone();
    let target = Target::scripted(move |_, _| {
        Answer::status(if state.load(std::sync::atomic::Ordering::SeqCst) { 401 } else { 200 })
    });
    let stage = Stage::with_target(Source::Folder, target);
    stage.write("repaired.csv", Stage::rows(1, 3));
    stage.deliver("orders_20261123.csv", Stage::rows(4, 3));
    stage.nightferry(&["run", "orders", "--date", "2026-11-23", "--file", "repaired.csv"]).exits(8);
    down.store(false, std::sync::atomic::Ordering::SeqCst);
    stage.nightferry(&["resume", "orders@last"]).exits(0);
    assert_eq!(stage.delivered_ids(), ids(1, 3));
}

#[test]
fn a_source_needs_no_connection_when_its_folder_is_here() {
    for absolute in [false, true] {
        let stage = Stage::new(Source::Folder);
        let inbox = if absolute { stage.remote() } else { stage.path("project/inbox") };
        fs::create_dir_all(&inbox).unwrap();
        let folder = if absolute { inbox.to_str().unwrap() } else { "inbox" };
        let source = format!("kind = \"folder\"\nfolder     = \"{folder}\"");
        stage.edit("project/jobs/orders.toml", "connection = \"partner\"\nfolder     = \"/\"", &source);
        fs::write(inbox.join("orders_20261123.csv"), Stage::rows(1, 3)).unwrap();
        stage.run().exits(0);
        assert_eq!(stage.delivered_ids(), ids(1, 3));
    }
}

#[test]
fn many_processes_may_begin_a_data_folder_at_the_same_moment() {
    for _ in 0..10 {
        let stage = Stage::new(Source::Folder);
        let spawn =
            |_| stage.command(&["hold", "orders"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let begun: Vec<_> = (0..8).map(spawn).collect();
        for process in begun {
            let ended = process.wait_with_output().unwrap();
            assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        }
    }
}
