//! `nightferry demo`: what a new user sees first.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a test ends where it is surprised"
)]

use std::process::Command;

#[test]
fn the_demo_shows_a_reject_a_retry_and_a_file_that_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_nightferry"))
        .arg("demo")
        .env_clear()
        .env("TMPDIR", folder.path())
        .current_dir(folder.path())
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(0), "{stdout}\n{stderr}");
    assert_eq!(stderr, "", "nothing is wrong, so nothing is said");
    for shown in [
        "  rows     93 read = 3 skipped + 5 rejected + 85 used\n  records  85 made = 85 accepted + 0 refused + 0 unanswered + 0 pending\n",
        "  rows     47 read = 0 skipped + 0 rejected + 47 used\n  records  47 made = 47 accepted + 0 refused + 0 unanswered + 0 pending\n",
        "  rows     33 read = 1 skipped + 2 rejected + 30 used\n  records  30 made = 30 accepted + 0 refused + 0 unanswered + 0 pending\n",
        "503  not_taken",
        "passed over: this content was delivered before",
        "orders_20261123.csv:43  Country  lookup-missing  `Freedonia` is not in lookup `country` (lookups/country.csv)",
        "  /v2/sales-order-lines/bulk: 85 records in 5 requests under 4 keys\n",
        "  /v1/credit-transfers: 47 records in 3 requests under 3 keys\n",
        "  /v3/employees: 30 records in 3 requests under 3 keys\n",
    ] {
        assert!(stdout.contains(shown), "{shown}\nis not in\n{stdout}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn keep_leaves_the_servers_up_and_says_how_to_try_them() {
    use std::io::{BufRead, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_nightferry"))
        .args(["demo", "--keep"])
        .env_clear()
        .env("TMPDIR", folder.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    let export = lines.find(|line| line.contains("export CREDENTIALS_DIRECTORY=")).expect("how to try it");
    lines.find(|line| line.starts_with("Put a file of your own")).expect("the rest of the advice");
    let variables = export.trim().trim_start_matches("export ").split(' ').map(|pair| pair.split_once('=').unwrap());
    let by_hand = Command::new(env!("CARGO_BIN_EXE_nightferry"))
        .args(["run", "orders", "--date", "2026-11-22", "--json"])
        .env_clear()
        .envs(variables)
        .output()
        .unwrap();
    assert_eq!(by_hand.status.code(), Some(0), "{}", String::from_utf8_lossy(&by_hand.stderr));
    let interrupt = Command::new("kill").args(["-INT", &demo.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    assert_eq!(demo.wait().unwrap().code(), Some(0));
}
