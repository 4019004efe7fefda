//! The README's own job does what the README says.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends where it is surprised")]

use std::path::Path;
use std::process::Command;

/// Writes every code block that follows a line with nothing but a file name.
fn write_files(readme: &str, folder: &Path) {
    let mut lines = readme.lines().peekable();
    while let Some(line) = lines.next() {
        let name = line.strip_prefix('`').and_then(|line| line.strip_suffix('`'));
        let (Some(name), true) = (name, lines.peek().is_some_and(|next| next.starts_with("```"))) else { continue };
        lines.next();
        let content: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content.join("\n") + "\n").unwrap();
    }
}

#[test]
fn the_first_job_checks_and_runs_dry_as_described() {
    let folder = tempfile::tempdir().unwrap();
    write_files(include_str!("../README.md"), folder.path());
    let nightferry = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_nightferry"))
            .args(arguments)
            .env_clear()
            .env("NIGHTFERRY_SECRET_CRM_TOKEN", "token")
            .current_dir(folder.path())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(nightferry(&["check"]), (Some(0), "all files are valid\n".to_owned()));
    let (code, text) = nightferry(&["run", "customers", "--date", "2026-11-23", "--dry-run"]);
    assert_eq!(code, Some(5), "{text}");
    assert!(text.contains("  rows     3 read = 0 skipped + 1 rejected + 2 used\n"), "{text}");
    assert!(text.contains("customers_20261123.csv:3  Since  bad-date"), "{text}");
}
