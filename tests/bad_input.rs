//! Bad input: a clear error, and nothing lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a test ends where it is surprised"
)]

mod support;

use serde_json::json;
use support::sshd::free_port;
use support::target::{Answer, Target};
use support::{Source, Stage, ids, records, rows};

/// Runs over one bad file: exit code, reason, message, and nothing was sent.
#[track_caller]
fn failing(content: &[u8], reason: &str, message: &str) -> Stage {
    let stage = Stage::new(Source::Folder);
    stage.deliver("orders_20261123.csv", content);
    let document = stage.run_json().exits(1).json();
    assert_eq!(document["files"][0]["reason"], reason);
    assert_eq!(document["state"], "failed");
    assert_eq!(document["error"]["message"], message, "{document}");
    assert_eq!(records(&document), [0; 5]);
    assert!(stage.target.log().is_empty(), "nothing was sent");
    assert!(stage.remote().join("orders_20261123.csv").exists(), "the file stays where it was");
    stage
}

#[test]
fn a_missing_column_fails_the_file_before_anything_is_sent_and_a_repaired_file_goes_through() {
    let stage = failing(
        b"id,quantity,day\nA-1,1,23.11.2026\n",
        "missing-column",
        "orders: orders_20261123.csv:1: a mapped column is not in the file: `qty`; it has `id`, `quantity`, `day`",
    );
    stage.deliver("orders_20261123.csv", Stage::rows(1, 3));
    stage.run().exits(0);
    assert_eq!(stage.delivered_ids(), ids(1, 3));
}

#[test]
fn an_unclosed_quote_fails_the_file_with_the_line_where_it_opens() {
    let mut content = Stage::rows(1, 30);
    content.push_str("\"A-x,1,23.11.2026\n");
    content.push_str(&Stage::rows(31, 10)["id,qty,day\n".len()..]);
    let stage = Stage::new(Source::Folder);
    stage.deliver("orders_20261123.csv", &content);
    let document = stage.run_json().exits(1).json();
    assert_eq!(document["files"][0]["reason"], "unclosed-quote");
    assert_eq!((&document["files"][0]["bytes"], rows(&document)[3]), (&json!(null), 0));
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("orders: orders_20261123.csv:32: "), "{message}");
    assert!(stage.target.log().is_empty());
    let rejects = stage.nightferry(&["rejects", "--json"]).exits(0).json();
    assert_eq!((&rejects[0]["row"], &rejects[0]["code"]), (&json!(32), &json!("unclosed-quote")));
}

#[test]
fn ragged_rows_bad_numbers_and_bad_dates_are_rejects_with_their_place() {
    let stage = Stage::new(Source::Folder);
    stage.edit("project/mappings/orders.toml", "[fields]", "[rejects]\nmax_percent = 100\n[fields]");
    stage.deliver(
        "orders_20261123.csv",
        "id,qty,day\nA-1,1,23.11.2026\nA-2,1\nA-3,1,23.11.2026,x\nA-4,one,23.11.2026\nA-5,1,2026-11-23\n,1,23.11.2026\nA-7,1,23.11.2026\n",
    );
    let document = stage.run_json().exits(5).json();
    assert_eq!((rows(&document), records(&document)), ([7, 0, 5, 2], [2, 2, 0, 0, 0]));
    let text = stage.nightferry(&["rejects", "orders", "--plain"]).exits(0).stdout;
    let lines: Vec<&str> = text.lines().step_by(2).collect();
    assert_eq!(
        lines,
        [
            "orders_20261123.csv:3  ragged-row  the row has 2 cells, and 3 are expected; `day` is missing",
            "orders_20261123.csv:4  ragged-row  the row has 4 cells, and 3 are expected; the first beyond the last column is `x`",
            "orders_20261123.csv:5  qty  bad-integer  `one` is not a whole number",
            "orders_20261123.csv:6  day  bad-date  `2026-11-23` is not a date in the format `%d.%m.%Y`",
            "orders_20261123.csv:7  id  required  `id` is required, and `id` is empty",
        ]
    );
}

#[test]
fn an_empty_file_fails_and_a_header_alone_settles_with_a_warning() {
    failing(b"", "empty-file", "orders: orders_20261123.csv: the file is empty (0 bytes)");
    let stage = Stage::new(Source::Folder);
    stage.deliver("orders_20261123.csv", "id,qty,day\n");
    let document = stage.run_json().exits(0).json();
    assert_eq!((&document["files"][0]["state"], rows(&document)), (&json!("settled"), [0; 4]));
    assert_eq!(document["files"][0]["warnings"].as_array().map(Vec::len), Some(1));
    assert!(stage.target.log().is_empty());
}

#[test]
fn more_rejects_than_the_limit_stop_the_file_before_anything_is_sent() {
    let content = Stage::rows(1, 20).replace(",23.11.2026", ",x") + "A-1,1,23.11.2026\n";
    failing(
        content.as_bytes(),
        "too-many-rejects",
        "orders: orders_20261123.csv: 20 of 21 rows were rejected (95.24 %), more than `max_percent = 5.0` allows: nothing was sent",
    );
}

#[test]
fn one_bad_file_does_not_stop_the_others() {
    let stage = Stage::new(Source::Folder);
    stage.deliver("orders_20261123_01.csv", "wrong\n1\n");
    stage.deliver("orders_20261123_02.csv", Stage::rows(1, 3));
    let document = stage.run_json().exits(1).json();
    let states: Vec<_> =
        document["files"].as_array().unwrap().iter().map(|file| file["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["failed", "settled"]);
    assert_eq!(stage.delivered_ids(), ids(1, 3));
}

#[test]
fn an_unknown_job_names_those_that_there_are() {
    let stage = Stage::new(Source::Folder);
    let ended = stage.nightferry(&["run", "order", "--json"]).exits(3);
    assert_eq!(
        ended.json()["error"],
        json!({"code": "unknown-job", "message": "there is no job `order`", "hint": "there are: orders"})
    );
    assert_eq!((&ended.json()["run"], &ended.json()["state"]), (&json!(null), &json!("failed")));
    stage.nightferry(&["show", "nothing-like-it"]).exits(2);
    stage.nightferry(&["fly"]).exits(2);
}

#[test]
fn a_typo_in_another_job_does_not_stop_this_one() {
    let stage = Stage::new(Source::Folder);
    stage.write("project/jobs/broken.toml", "[job]\nnmae = \"broken\"\n");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 3));
    stage.run().exits(0);
    stage.nightferry(&["check"]).exits(3);
}

#[test]
fn an_unreachable_server_ends_with_8_and_says_which() {
    let stage = Stage::new(Source::Sftp);
    let (there, nowhere) = (format!("port = {}", stage.sshd().port), free_port());
    stage.edit("project/connections.toml", &there, &format!("port = {nowhere}"));
    let ended = stage.run_json().exits(8);
    let document = ended.json();
    assert_eq!((&document["state"], &document["error"]["code"]), (&json!("failed"), &json!("unreachable")));
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.starts_with(&format!("127.0.0.1:{nowhere}: connecting failed: ")), "{message}");
}

#[test]
fn a_wrong_key_ends_with_8_and_names_the_user() {
    let stage = Stage::new(Source::Sftp);
    stage.write("path-does-not-matter", "");
    std::fs::write(stage.path("sshd/authorized_keys"), "").unwrap();
    let document = stage.run_json().exits(8).json();
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.contains(&format!("the login of `{}` failed: key: ", stage.sshd().user)), "{message}");
}

#[test]
fn a_changed_host_key_is_refused_before_anything_of_the_login_is_sent() {
    let stage = Stage::new(Source::Sftp);
    let shown = stage.sshd().host_key.clone();
    let pinned = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    stage.edit("project/connections.toml", &shown, pinned);
    let document = stage.run_json().exits(8).json();
    let error = &document["error"];
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(&shown) && message.contains(pinned), "{message}");
    assert!(error["hint"].as_str().unwrap().contains("`nightferry connection trust partner`"), "{error}");
    assert!(!stage.sshd().log().contains("userauth-request"), "the login had begun:\n{}", stage.sshd().log());

    // The command of the hint mends it.
    let trusted = stage.nightferry(&["connection", "trust", "partner", "--yes"]).exits(0);
    assert!(trusted.stdout.contains(&shown), "{}", trusted.stdout);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 3));
    stage.run().exits(0);
    assert!(stage.sshd().log().contains("userauth-request"));
}

#[test]
fn a_missing_pin_is_refused_in_the_same_way_and_nobody_trusts_by_accident() {
    let stage = Stage::new(Source::Sftp);
    let shown = stage.sshd().host_key.clone();
    stage.edit("project/connections.toml", &format!("host_key = \"{shown}\""), "");
    let ended = stage.run_json().exits(8);
    let message = ended.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("no host key is pinned for `partner`") && message.contains(&shown), "{message}");
    assert!(!stage.sshd().log().contains("userauth-request"));
    stage.nightferry(&["check"]).exits(0);
    stage.nightferry(&["connection", "trust", "partner"]).exits(2);
    assert!(!std::fs::read_to_string(stage.path("project/connections.toml")).unwrap().contains("host_key"));
}

#[test]
fn a_missing_secret_says_where_it_was_looked_for() {
    let stage = Stage::new(Source::Folder);
    let mut command = stage.command(&["run", "orders", "--date", "2026-11-23"]);
    command.env_remove("NIGHTFERRY_SECRET_ERP_TOKEN");
    let ended = support::ended(command).exits(3);
    assert!(ended.stderr.contains("$NIGHTFERRY_SECRET_ERP_TOKEN (not set)"), "{}", ended.stderr);
    assert_eq!(stage.nightferry(&["runs", "--json"]).exits(0).stdout, "[]\n", "no run has begun");
    let mut command = stage.command(&["check", "--secrets"]);
    command.env_remove("NIGHTFERRY_SECRET_ERP_TOKEN");
    support::ended(command).exits(3);
}

#[test]
fn a_target_that_is_down_leaves_everything_pending_and_a_later_run_finishes_it() {
    let stage = Stage::new(Source::Folder);
    let (there, nowhere) = (format!(":{}\"", stage.target.port), format!(":{}\"", free_port()));
    stage.edit("project/connections.toml", &there, &nowhere);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 25));
    let document = stage.run_json().exits(8).json();
    assert_eq!((&document["error"]["code"], records(&document)), (&json!("not-delivered"), [25, 0, 0, 0, 25]));
    // Five failures in a row open the circuit; what was under way at that moment is counted too.
    let attempts = document["attempts"].as_u64().unwrap();
    assert!((5..=8).contains(&attempts), "{attempts} attempts");

    stage.edit("project/connections.toml", &nowhere, &there);
    let finished = stage.run_json().exits(0).json();
    assert_eq!((&finished["run"], records(&finished)), (&document["run"], [25, 25, 0, 0, 0]));
    assert_eq!(stage.delivered_ids(), ids(1, 25));
}

#[test]
fn a_200_that_is_not_json_proves_nothing_where_a_response_rule_needs_it() {
    let page = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let shown = page.clone();
    let target = Target::scripted(move |request, _| {
        if shown.load(std::sync::atomic::Ordering::SeqCst) {
            return Answer::json(200, "<html>Please log in</html>");
        }
        let records: Vec<serde_json::Value> = serde_json::from_slice(&request.body).unwrap();
        let results: Vec<_> = records.iter().map(|record| json!({"id": record["id"], "status": "OK"})).collect();
        Answer::json(200, json!({ "results": results }))
    });
    let stage = Stage::with_target(Source::Folder, target);
    let rule = "\n[target.response]\naccepted = [200]\neach = \"$.results[*]\"\nmatch = { ours = \"id\", theirs = \"$.id\" }\n\
                ok_when = { path = \"$.status\", is = [\"OK\"] }\n";
    let job = std::fs::read_to_string(stage.path("project/jobs/orders.toml")).unwrap();
    stage.write("project/jobs/orders.toml", job + rule);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 25));
    let document = stage.run_json().exits(8).json();
    assert_eq!(document["error"]["code"], "stopped-by-target");
    let [made, accepted, refused, unanswered, pending] = records(&document);
    assert_eq!((made, accepted, refused, unanswered + pending), (25, 0, 0, 25));
    assert!(unanswered >= 5, "what was sent is unanswered: {document}");
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.contains("is not JSON") && message.contains("<html>Please log in"), "{message}");

    page.store(false, std::sync::atomic::Ordering::SeqCst);
    let run = document["run"].as_str().unwrap();
    let finished = stage.nightferry(&["resume", run, "--json"]).exits(0).json();
    assert_eq!(records(&finished), [25, 25, 0, 0, 0]);
    assert_eq!((stage.delivered_ids(), stage.target.mismatched().len()), (ids(1, 25), 0));
}

#[test]
fn names_that_are_not_utf_8_are_carried_byte_exact_and_shown_escaped() {
    use std::os::unix::ffi::OsStrExt;
    let stage = Stage::new(Source::Sftp);
    let name = std::ffi::OsStr::from_bytes(b"orders_20261123_\xe6\x1b[2J.csv");
    std::fs::write(stage.remote().join(name), Stage::rows(1, 3)).unwrap();
    stage.edit("project/jobs/orders.toml", "[target]", "afterwards = \"delete\"\n[target]");
    let ended = stage.run_json().exits(0);
    assert_eq!(ended.json()["files"][0]["name"], "orders_20261123_\\xe6\\x1b[2J.csv");
    assert!(!ended.stdout.contains('\x1b') && !ended.stderr.contains('\x1b'));
    assert!(!stage.remote().join(name).exists(), "it was deleted by its own bytes");
}
