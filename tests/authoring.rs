//! What an analyst does: begin a project, propose a mapping, test it, preview it, compare it, lay it out, mend it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends with the first surprise")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Exit code, stdout and stderr of a command in a folder.
fn nightferry(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_nightferry"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("NIGHTFERRY_PROJECT")
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A new project.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (code, ..) = nightferry(folder.path(), &["init"]);
    assert_eq!(code, 0);
    folder
}

fn edit(folder: &Path, path: &str, from: &str, to: &str) {
    let path = folder.join(path);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn the_tests_of_the_examples_pass() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples");
    let (code, stdout, _) = nightferry(&examples, &["test", "--json"]);
    let results: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &results["passed"], &results["failed"]), (0, &22.into(), &0.into()), "{stdout}");
}

#[test]
fn a_new_project_is_valid_tested_and_runs_offline_as_a_dry_run() {
    let folder = project();
    let run = |arguments: &[&str]| nightferry(folder.path(), arguments);
    assert_eq!(run(&["check"]), (0, "all files are valid\n".to_owned(), String::new()));
    assert_eq!(
        run(&["test"]).1,
        "mappings/hello.toml\n  ✓ the sample row becomes one order\n  ✓ an unknown country is rejected, not guessed\n2 passed\n"
    );
    assert_eq!(run(&["fmt", "--check"]).0, 0);
    let (code, stdout, _) = run(&["run", "hello", "--dry-run", "--date", "2026-11-23"]);
    assert_eq!(code, 5, "{stdout}");
    assert!(stdout.contains("rows     5 read = 0 skipped + 1 rejected + 4 used"), "{stdout}");
    let (code, _, stderr) = run(&["init"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("is a project already"), "{stderr}");
}

#[test]
fn a_proposal_shows_its_evidence_and_leaves_choices_that_check_refuses() {
    let folder = project();
    let run = |arguments: &[&str]| nightferry(folder.path(), arguments);
    let sample = "Order No;Day;Amount;Ship date;Customer Name;Code\n\
                  A1;23.11.2026;1.249,50;01/02/2026;Anna Holm;007\nA2;24.11.2026;89,00;03/04/2026;Bo Berg;-\n";
    fs::write(folder.path().join("s.csv"), sample).unwrap();
    let (code, stdout, _) = run(&["new", "mapping", "sales", "--from", "s.csv"]);
    assert_eq!(code, 0);
    assert_eq!(
        stdout,
        "mappings/sales.toml: 6 columns from 2 rows of s.csv\n\
         left for you to choose (`nightferry check` refuses the file until then):\n  \
         Ship date: every date fits %d/%m/%Y or %m/%d/%Y\n\
         next: read it, then `nightferry check` and `nightferry test sales`\n"
    );
    let text = fs::read_to_string(folder.path().join("mappings/sales.toml")).unwrap();
    for line in [
        "delimiter       = \";\"",
        "decimal_mark    = \",\"",
        "missing         = [\"\", \"-\"]",
        r#""orderNo"      = { from = "Order No", required = true, unique = true } # 2 of 2 filled; e.g. A1"#,
        r#""customerName" = { from = "Customer Name", required = true, pii = "name" } # 2 of 2 filled; e.g. A•••"#,
        r#""code"         = { from = "Code" } # 1 of 2 filled; e.g. 007"#,
        "\"Customer Name\" = \"Example\"",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let (code, _, stderr) = run(&["check", "--message-format", "full"]);
    assert_eq!(code, 3);
    assert!(stderr.contains("error[NF130]: a choice is left to be made: %d/%m/%Y or %m/%d/%Y"), "{stderr}");
    edit(folder.path(), "mappings/sales.toml", "CHOOSE: %d/%m/%Y or %m/%d/%Y", "%d/%m/%Y");
    assert_eq!(run(&["check"]).0, 0);
    assert_eq!(run(&["test", "sales"]).0, 0);
    assert_eq!(run(&["new", "mapping", "sales", "--from", "s.csv"]).0, 1, "nothing is overwritten");
}

#[test]
fn decimals_that_no_cell_tells_are_a_choice_too() {
    let folder = project();
    fs::write(folder.path().join("s.csv"), "id,amount\n1,\"1,234\"\n2,\"5,678\"\n").unwrap();
    let (_, stdout, _) = nightferry(folder.path(), &["new", "mapping", "sums", "--from", "s.csv"]);
    assert!(stdout.contains("the decimal mark: cells such as `1,234` can be read in two ways"), "{stdout}");
    assert_eq!(nightferry(folder.path(), &["check"]).0, 3);
}

#[test]
fn a_preview_shows_cells_and_values_masked() {
    let folder = project();
    let preview = |more: &[&str]| {
        nightferry(folder.path(), &[&["preview", "hello", "--file", "inbox/hello_20261123.csv"], more].concat())
    };
    let (code, stdout, _) = preview(&["--row", "2"]);
    assert_eq!(code, 0);
    assert_eq!(
        stdout,
        "hello_20261123.csv   row 2  →  1 record   (masked; --show-personal-data asks for a reason and is logged)\n  \
         target    from     cell              →  value\n  \
         orderNo   OrderNo  SO-100001         →  \"SO-100001\"\n  \
         day       Day      23.11.2026        →  \"2026-11-23\"              date\n  \
         country   Country  Denmark           →  \"DK\"                      trim, lookup\n  \
         quantity  Qty      2                 →  2                         integer\n  \
         amount    Amount   1.249,50          →  1249.50                   number\n  \
         email     Email    a•••@example.com  →  \"a•••@example.com\"        trim, lower\n\
         5 rows = 0 skipped + 1 rejected + 4 used  →  4 records\n"
    );
    let (_, stdout, _) = preview(&["--json"]);
    let entries: Value = serde_json::from_str(&stdout).unwrap();
    let states: Vec<&str> = entries.as_array().unwrap().iter().map(|entry| entry["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["record", "record", "rejected", "record", "record"]);
    assert_eq!(entries[2]["problems"][0]["code"], "lookup-missing");
    let (_, stdout, _) = preview(&["--row", "2", "--show-personal-data", "a ticket"]);
    assert!(stdout.contains("anna.holm@example.com"), "{stdout}");
    assert_eq!(preview(&["--show-personal-data", " "]).0, 2, "a reason is needed");
}

#[test]
fn a_diff_says_what_a_change_does_to_real_data() {
    let folder = project();
    fs::copy(folder.path().join("mappings/hello.toml"), folder.path().join("before.toml")).unwrap();
    edit(folder.path(), "mappings/hello.toml", "minimum = 1", "minimum = 2");
    edit(folder.path(), "mappings/hello.toml", "clean = [\"trim\", \"lower\"]", "clean = [\"trim\", \"upper\"]");
    let arguments = ["diff", "hello", "--against", "before.toml", "--file", "inbox/hello_20261123.csv"];
    let (code, stdout, stderr) = nightferry(folder.path(), &arguments);
    assert_eq!(code, 4, "{stderr}");
    assert_eq!(
        stdout,
        "mapping hello: working copy against before.toml, on hello_20261123.csv (5 rows → 3 records)\n  \
         identical 1     changed 2     newly rejected 1     no longer rejected 0\n  \
         email   1   \"a•••@example.com\" → \"A•••@EXAMPLE.COM\"      SO-100001\n  \
         email   1   \"d•••@example.com\" → \"D•••@EXAMPLE.COM\"      SO-100005\n  \
         newly rejected: line 3 (below-minimum)\n\
         control totals changed: records 4 → 3\n"
    );
    let same = ["diff", "hello", "--against", "mappings/hello.toml", "--file", "inbox/hello_20261123.csv"];
    assert_eq!(nightferry(folder.path(), &same).0, 0);
}

#[test]
fn a_failing_test_says_what_was_expected_and_accept_writes_it_back() {
    let folder = project();
    edit(folder.path(), "mappings/hello.toml", "\"country\" = \"DK\"", "\"country\" = \"SE\"");
    let run = |arguments: &[&str]| nightferry(folder.path(), arguments);
    let (code, stdout, _) = run(&["test", "hello"]);
    assert_eq!(code, 4);
    assert_eq!(
        stdout,
        "mappings/hello.toml\n  \
         ✗ the sample row becomes one order                     mappings/hello.toml:46\n      \
         record 1   country   expected \"SE\"   got \"DK\"\n                 \
         because Country = \"Denmark\" at line 24\n  \
         ✓ an unknown country is rejected, not guessed\n1 passed, 1 failed\n"
    );
    assert_eq!(run(&["test", "hello", "--accept"]).0, 0);
    assert_eq!(run(&["test", "hello"]).0, 0);
    let text = fs::read_to_string(folder.path().join("mappings/hello.toml")).unwrap();
    assert!(text.contains("# Left: the field the ERP wants."), "comments stay");
}

/// A mapping with every reason why a field has its value, and tests that fail for each.
const REASONS: &str = r#"[input]
delimiter = ";"
missing = ["", "-"]

[lookups.terms]
values = { NET30 = 30 }
on_missing = "default"

[record]
skip_when = { State = "TEST" }

[fields]
"id" = { from = "Id", required = true }
"terms" = { from = "Terms", lookup = "terms", default = 0 }
"currency" = { from = "Curr", default = "EUR" }
"gift" = { from = "Gift", when = { Kind = "G" } }
"name" = { template = "{First} {Last}" }
"mail" = { first_of = ["Work", "Home"] }
"channel" = { value = "web" }

[fields."priority"]
default = "NORMAL"
cases = [
  { when = { Ship = ["X", "EXPRESS"] }, value = "RUSH" },
  { when = { Qty = { at_least = 100 } }, value = "BULK" },
]

[sample]
Id = "1"
Terms = "NET30"
Curr = "-"
Kind = "N"
Gift = "card"
First = "Anna"
Last = "Holm"
Work = ""
Home = "h@example.com"
Ship = "Y"
Qty = "2"
State = "OPEN"

[[tests]]
name = "cases that do not hold"
rows = [ {} ]
expect = [ { priority = "RUSH" } ]

[[tests]]
name = "a case that holds"
rows = [ { Qty = "120" } ]
expect = [ { priority = "NORMAL" } ]

[[tests]]
name = "what is not in a lookup, what is empty, and what has no value at all"
rows = [ { Terms = "NET45" } ]
expect = [ { terms = 30, currency = "DKK", gift = "card" } ]

[[tests]]
name = "what is in a lookup, in a template, and the first that is there"
rows = [ {} ]
expect = [ { terms = 31, name = "Holm, Anna", mail = "w@example.com", channel = "shop" } ]

[[tests]]
name = "no record at all"
rows = [ { Id = "" } ]
expect = [ { id = "1" } ]

[[tests]]
name = "a skipped row"
rows = [ { State = "TEST" } ]
expect = [ { id = "1" } ]

[[tests]]
name = "one that passes"
rows = [ {} ]
expect = [ { id = "1" } ]
"#;

#[test]
fn a_failing_test_says_why() {
    let folder = project();
    fs::write(folder.path().join("mappings/reasons.toml"), REASONS).unwrap();
    let (code, stdout, _) = nightferry(folder.path(), &["test", "reasons"]);
    assert_eq!(code, 4);
    let expected = r#"mappings/reasons.toml
  ✗ cases that do not hold                               mappings/reasons.toml:43
      record 1   priority   expected "RUSH"   got "NORMAL"
                 because Ship = "Y", Qty = "2" matched none of the 2 cases at lines 24–25
  ✗ a case that holds                                    mappings/reasons.toml:48
      record 1   priority   expected "NORMAL"   got "BULK"
                 because Qty = "120" matched case 2 at line 25
  ✗ what is not in a lookup, what is empty, and what has no value at all   mappings/reasons.toml:53
      record 1   terms      expected 30   got 0
                 because Terms = "NET45" is not in lookup `terms` (values), so the default counts
      record 1   currency   expected "DKK"   got "EUR"
                 because Curr = "-" counts as empty, so the default counts at line 15
      record 1   gift       expected "card"   got null
                 because Kind = "N" does not meet `when` at line 16
  ✗ what is in a lookup, in a template, and the first that is there   mappings/reasons.toml:58
      record 1   terms     expected 31   got 30
                 because Terms = "NET30" is "30" in lookup `terms` (values)
      record 1   name      expected "Holm, Anna"   got "Anna Holm"
                 because First = "Anna", Last = "Holm" at line 17
      record 1   mail      expected "w@example.com"   got "h@example.com"
                 because Home = "h@example.com" is the first that is not empty
      record 1   channel   expected "shop"   got "web"
                 because it is always that at line 19
  ✗ no record at all                                     mappings/reasons.toml:63
      records   expected 1   got 0
                because row 1 is rejected: `id` is required, and `Id` is empty (required)
      reject    expected nothing   got row 1 Id required
                because `id` is required, and `Id` is empty
  ✗ a skipped row                                        mappings/reasons.toml:68
      records   expected 1   got 0
                because 1 row meets `skip_when`
  ✓ one that passes
1 passed, 6 failed
"#;
    assert_eq!(stdout, expected);
    let (_, stdout, _) = nightferry(folder.path(), &["test", "reasons", "--json"]);
    let document: Value = serde_json::from_str(&stdout).unwrap();
    let because = &document["tests"][0]["differences"][0]["because"];
    assert_eq!(because, "Ship = \"Y\", Qty = \"2\" matched none of the 2 cases at lines 24–25");
}

#[test]
fn check_mends_what_has_one_right_answer() {
    let folder = project();
    let path = "mappings/hello.toml";
    edit(folder.path(), path, "required = true, unique", "requierd = true, unique");
    edit(folder.path(), path, "%d.%m.%Y", "dd.MM.yyyy");
    let run = |arguments: &[&str]| nightferry(folder.path(), arguments);
    let (code, stdout, _) = run(&["check", "--message-format", "concise"]);
    assert_eq!(code, 3);
    assert!(stdout.starts_with("mappings/hello.toml:22:34: error[NF101]: unknown key `requierd`"), "{stdout}");
    let (_, stdout, _) = run(&["check", "--message-format", "github"]);
    assert!(stdout.starts_with("::error file=mappings/hello.toml,line=22,col=34,title=NF101::"), "{stdout}");
    let (code, _, stderr) = run(&["check", "--fix"]);
    assert_eq!((code, stderr.as_str()), (0, "mended: mappings/hello.toml (2 places)\n"));
    assert_eq!(run(&["test"]).0, 0);
}

#[test]
fn explain_has_pages_and_suggests() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| nightferry(folder.path(), arguments);
    assert!(run(&["explain", "control:payment-count"]).1.starts_with("control:ID: a control total does not agree\n"));
    let (code, _, stderr) = run(&["explain", "lookup-mising"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("did you mean `lookup-missing`?"), "{stderr}");
    assert!(run(&["explain", "retry"]).1.contains("status 500"));
}

#[test]
fn the_schemas_are_written_where_the_first_line_of_a_file_looks() {
    let folder = project();
    fs::remove_dir_all(folder.path().join(".nightferry")).unwrap();
    assert_eq!(nightferry(folder.path(), &["schema", "--write"]).0, 0);
    for name in ["mapping", "job", "connections", "config", "calendar"] {
        let text = fs::read_to_string(folder.path().join(format!(".nightferry/{name}.schema.json"))).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["title"], format!("Nightferry {name}"));
        let (code, stdout, _) = nightferry(folder.path(), &["schema", name]);
        assert_eq!((code, stdout), (0, text));
    }
}

#[test]
fn keys_that_are_promised_to_ascend_and_do_not_are_rejected() {
    let folder = project();
    let mapping = "[record]\ngroup_by = [\"No\"]\nsorted = true\n\n[fields]\n\"no\" = { from = \"No\" }\n\
                   \"lines[].n\" = { from = \"N\" }\n\n[rejects]\nmax_percent = 100\n";
    fs::write(folder.path().join("mappings/sorted.toml"), mapping).unwrap();
    let rows: String = (0..200).map(|at| format!("K{:03},{at}\n", at / 2)).collect();
    fs::write(folder.path().join("f.csv"), format!("No,N\n{rows}K003,x\nK200,y\n")).unwrap();
    let convert = ["convert", "sorted", "--file", "f.csv", "--out", "o.ndjson", "--rejects", "r.ndjson"];
    for chunk in ["1", "50", "100000"] {
        let output = Command::new(env!("CARGO_BIN_EXE_nightferry"))
            .args(convert)
            .current_dir(folder.path())
            .env("NIGHTFERRY_TEST_CHUNK", chunk)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(5));
        let records = fs::read_to_string(folder.path().join("o.ndjson")).unwrap();
        assert_eq!(
            (records.lines().count(), records.lines().last()),
            (101, Some(r#"{"no":"K200","lines":[{"n":"y"}]}"#))
        );
        let rejects = fs::read_to_string(folder.path().join("r.ndjson")).unwrap();
        let reject: Value = serde_json::from_str(rejects.trim_end()).unwrap();
        assert_eq!((&reject["row"], &reject["code"]), (&202.into(), &"group-split".into()));
    }
}

#[test]
fn a_preview_of_a_later_row_shows_the_line_that_it_became() {
    let folder = project();
    let mapping =
        "[record]\ngroup_by = [\"No\"]\n\n[fields]\n\"no\" = { from = \"No\" }\n\"lines[].n\" = { from = \"N\" }\n";
    fs::write(folder.path().join("mappings/grouped.toml"), mapping).unwrap();
    fs::write(folder.path().join("f.csv"), "No,N\nA,1\nA,2\nB,3\n").unwrap();
    let (_, stdout, _) = nightferry(folder.path(), &["preview", "grouped", "--file", "f.csv", "--row", "3"]);
    assert_eq!(
        stdout,
        "f.csv   rows 2–3  →  1 record\n  target     from  cell  →  value\n  no         No    A     →  \"A\"\n  \
         lines[].n  N     2     →  \"2\"\n3 rows = 0 skipped + 0 rejected + 3 used  →  2 records\n"
    );
}
