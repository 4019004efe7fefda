//! `nightferry check`: every mistake of every file, at once, with its place.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a test ends where it is surprised"
)]

mod support;

use support::{Source, Stage};

const MAPPING: &str = r#"[input]
delimiter = ";;"
encoding = "windows-1252"

[lookups.country]
file = "lookups/country.csv"
key = "nam"
value = "iso2"

[lookups.unused]
values = { A = 1 }

[record]
group_by = ["OrderNo"]

[fields]
"orderedAt" = { from = "OrderDate", type = "date", format = "dd.MM.yyyy", requierd = true }
customer.email = { from = "Email" }
"qty" = { from = "Qty", type = "integer", minimum = 5, maximum = 1, default = "x" }
"qty.unit" = { value = "pcs" }
"both" = { from = "A", template = "{B" }
"none" = { required = true }
"cc" = { from = "C", lookup = "cuntry", pattern = "[a-" }
"kk" = { from = "C", lookup = "country", clean = ["trim", "squeeze", "trimm"], pii = "name" }
"lines[].sku" = { from = "S" }
"#;

const JOB: &str = r#"[job]
name = "order"
mapping = "orders"
owner = "me"

[schedule]
cron = "0 15 3 * * *"
timezone = "Europe/Kopenhagen"
misfire = "skip"

[source]
connection = "erp"
files = "out/*.csv"
ready_when = { unchanged_for = "10" }
if_none = "maybe"

[target]
connection = "nowhere"
path = "orders"
batch = { records = 0 }
on_unanswered = "resend"

[target.response]
each = "$.results["
match = { ours = "id", theirs = "$.id" }

[[alerts]]
on = ["failed"]
"#;

fn broken() -> Stage {
    let stage = Stage::new(Source::Folder);
    stage.write("project/mappings/orders.toml", MAPPING);
    stage.write("project/jobs/orders.toml", JOB);
    std::fs::create_dir(stage.path("project/lookups")).unwrap();
    stage.write("project/lookups/country.csv", "name,iso2\nDenmark,DK\n");
    stage
}

#[test]
fn every_mistake_of_every_file_is_told_at_once_with_its_place() {
    let document = broken().nightferry(&["check", "--json"]).exits(3).json();
    let told: Vec<String> = document["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let word = |key: &str| one[key].as_str().unwrap().to_owned();
            format!("{} {}:{}:{} {}", word("code"), word("path"), one["line"], one["column"], word("message"))
        })
        .collect();
    assert_eq!(
        told,
        [
            "NF190 jobs/orders.toml:1:1 this version reads but does not act on: `alerts`",
            "NF120 jobs/orders.toml:2:9 this job is `order`, but its file is `orders.toml`",
            "NF101 jobs/orders.toml:4:1 unknown key `owner` in `job`",
            "NF401 jobs/orders.toml:7:9 a cron expression has five fields, this has 6",
            "NF402 jobs/orders.toml:8:13 `Europe/Kopenhagen` is not a time zone",
            "NF128 jobs/orders.toml:12:15 `erp` is of kind `http`",
            "NF122 jobs/orders.toml:13:10 `files` is a pattern of names",
            "NF104 jobs/orders.toml:14:33 `10` is not a duration",
            "NF104 jobs/orders.toml:15:12 `maybe` is not a value of `if_none`",
            "NF127 jobs/orders.toml:18:15 there is no connection `nowhere`",
            "NF123 jobs/orders.toml:19:9 `path` begins with `/` and holds no blank and no `#`",
            "NF104 jobs/orders.toml:20:21 a whole number from 1 to 100000 is needed here",
            "NF124 jobs/orders.toml:21:18 without a key, sending again could take effect twice",
            "NF126 jobs/orders.toml:24:9 `$.results[` is not a JSONPath",
            "NF104 mappings/orders.toml:2:14 one ASCII character is needed here",
            "NF212 mappings/orders.toml:7:8 `lookups/country.csv` has no column `nam`",
            "NF231 mappings/orders.toml:17:62 `dd.MM.yyyy` is not a date format",
            "NF101 mappings/orders.toml:17:75 unknown key `requierd` in `fields.orderedAt`",
            "NF112 mappings/orders.toml:18:1 a target path with dots needs quotation marks",
            "NF111 mappings/orders.toml:19:66 `maximum` is below `minimum`",
            "NF110 mappings/orders.toml:19:80 `default` does not fit the type",
            "NF113 mappings/orders.toml:20:1 `qty` and `qty.unit` cannot both be sent",
            "NF108 mappings/orders.toml:21:1 `both` has 2 origins: `from` and `template`",
            "NF108 mappings/orders.toml:22:1 `none` has no origin",
            "NF213 mappings/orders.toml:23:32 there is no lookup `cuntry` in this mapping",
            "NF230 mappings/orders.toml:23:52 this is not a pattern: unclosed character class",
            "NF104 mappings/orders.toml:24:71 `trimm` is not a step of `clean`",
        ]
    );
    assert_eq!((document["errors"].as_u64(), document["warnings"].as_u64()), (Some(26), Some(1)));
}

#[test]
fn the_caret_points_at_the_value() {
    let text = broken().nightferry(&["check", "project/mappings/orders.toml"]).exits(3);
    let expected = r#"error[NF231]: `dd.MM.yyyy` is not a date format
  --> mappings/orders.toml:17:62
   |
17 | "orderedAt" = { from = "OrderDate", type = "date", format = "dd.MM.yyyy", requierd = true }
   |                                                              ^^^^^^^^^^ no `%` in it, so it would only match that very text
   |
   = help: you probably mean `%d.%m.%Y`
"#;
    assert!(text.stderr.contains(expected), "{}", text.stderr);
    assert!(!text.stderr.contains("jobs/orders.toml"), "only the file that was asked for");
    assert_eq!(text.stdout, "13 errors, 0 warnings\n");
}

#[test]
fn syntax_errors_are_told_with_what_can_still_be_read() {
    let stage = Stage::new(Source::Folder);
    stage.edit("project/jobs/orders.toml", "title   = \"Orders\"", "title   = \"Orders");
    stage.edit("project/jobs/orders.toml", "path        = \"/in\"", "path        = in");
    let document = stage.nightferry(&["check", "--json"]).exits(3).json();
    let places: Vec<_> = document["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["code"] == "NF100")
        .map(|one| one["line"].as_u64().unwrap())
        .collect();
    assert_eq!(places, [4, 15]);
}

#[test]
fn a_secret_in_a_file_is_an_error_and_never_shown_again() {
    let stage = Stage::new(Source::Folder);
    stage.edit("project/connections.toml", "{ secret = \"erp-token\" }", "\"hunter2\"");
    let ended = stage.nightferry(&["run", "orders"]).exits(3);
    assert!(ended.stderr.contains("error[NF507]: a secret is never written in a file"), "{}", ended.stderr);
    assert!(!(ended.stdout + &ended.stderr).contains("hunter2"), "the line with the secret is shown");
}

#[test]
fn the_sample_project_is_valid() {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_nightferry"));
    command.args(["check", "--project", root, "--json"]).env_clear();
    command.env("NIGHTFERRY_SECRET_DEMO_PASSWORD", "x").env("NIGHTFERRY_SECRET_DEMO_TOKEN", "x");
    let document = support::ended(command).exits(0).json();
    assert_eq!(document["diagnostics"], serde_json::json!([]));
}

#[test]
fn no_value_of_the_connections_is_shown_with_another_fault() {
    let stage = Stage::new(Source::Folder);
    stage.edit("project/connections.toml", "kind = \"http\"", "kind = \"http\"\npassword = \"hunter2\"");
    stage.edit("project/connections.toml", "http://127", "http://me:hunter3@127");
    let ended = stage.nightferry(&["check"]).exits(3);
    assert!(ended.stderr.contains("NF505") && ended.stderr.contains("NF101"), "{}", ended.stderr);
    assert!(!(ended.stdout + &ended.stderr).contains("hunter"), "a secret is shown");
}

#[test]
fn a_column_is_looked_for_in_the_last_file_that_was_accepted() {
    let stage = Stage::new(Source::Folder);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 3));
    stage.run().exits(0);
    let good = stage.nightferry(&["check"]).exits(0);
    assert_eq!((good.stdout.as_str(), good.stderr.as_str()), ("all files are valid\n", ""));
    stage.edit("project/mappings/orders.toml", "from = \"day\"", "from = \"days\"");
    stage.edit(
        "project/mappings/orders.toml",
        "minimum = 1 }",
        "minimum = 1 }\n\"note\" = { first_of = [\"remark\", \"id\"], when = { state = \"OPEN\" } }\n\"code\" = { template = \"{id}-{qtty}\" }",
    );
    let found = stage.nightferry(&["check"]).exits(3);
    let expected = r#"error[NF204]: column `remark` is not in this file
 --> mappings/orders.toml:8:25
  |
8 | "note" = { first_of = ["remark", "id"], when = { state = "OPEN" } }
  |                         ^^^^^^ no such column
  |
 ::: orders_20261123.csv:1:1
  |
1 | id,qty,day
  | ---------- the last accepted file has these columns
  |
  = help: if the column may really be missing, add `optional_column = true`

error[NF204]: column `state` is not in this file
 --> mappings/orders.toml:8:50
  |
8 | "note" = { first_of = ["remark", "id"], when = { state = "OPEN" } }
  |                                                  ^^^^^ no such column
  |
 ::: orders_20261123.csv:1:1
  |
1 | id,qty,day
  | ---------- the last accepted file has these columns
  |
  = help: if the column may really be missing, add `optional_column = true`

error[NF204]: column `qtty` is not in this file
 --> mappings/orders.toml:9:30
  |
9 | "code" = { template = "{id}-{qtty}" }
  |                              ^^^^ no such column
  |
 ::: orders_20261123.csv:1:4
  |
1 | id,qty,day
  |    --- the last accepted file has `qty`
  |
  = help: did you mean `qty`?
  = help: if the column may really be missing, add `optional_column = true`

error[NF204]: column `days` is not in this file
  --> mappings/orders.toml:10:24
   |
10 | "day"      = { from = "days", type = "date", format = "%d.%m.%Y" }
   |                        ^^^^ no such column
   |
  ::: orders_20261123.csv:1:8
   |
 1 | id,qty,day
   |        --- the last accepted file has `day`
   |
   = help: did you mean `day`?
   = help: if the column may really be missing, add `optional_column = true`

"#;
    assert_eq!(found.stderr, expected);
    // What an analyst prepares for tomorrow stops nothing today: a run compares with the file that it gets.
    stage.deliver("orders_20261123b.csv", "id,qty,days,remark,state,qtty\nA-000009,1,23.11.2026,r,OPEN,1\n");
    stage.run().exits(0);
    stage.nightferry(&["check"]).exits(0);
}

#[test]
fn check_against_compares_one_mapping_with_the_file_that_is_named() {
    let stage = Stage::new(Source::Folder);
    stage.write("new.csv", "\u{feff}id;Quantity;day\n1;2;23.11.2026\n".replace(';', ","));
    let mapping = "project/mappings/orders.toml";
    let told = stage.nightferry(&["check", mapping, "--against", "new.csv"]).exits(3);
    assert!(told.stderr.contains("error[NF204]: column `qty` is not in this file"), "{}", told.stderr);
    assert!(told.stderr.contains("1 | id,Quantity,day\n"), "{}", told.stderr);
    stage.edit(mapping, "from = \"qty\"", "from = \"Quantity\"");
    stage.nightferry(&["check", mapping, "--against", "new.csv"]).exits(0);
    stage.nightferry(&["check", "--against", "new.csv"]).exits(0);
    stage.nightferry(&["check", "--against", "none.csv"]).exits(1);
    stage.write("project/mappings/second.toml", "[fields]\n\"a\" = { from = \"A\" }\n");
    let told = stage.nightferry(&["check", "--against", "new.csv"]).exits(2);
    assert!(told.stderr.contains("`nightferry check mappings/NAME.toml --against FILE`"), "{}", told.stderr);
}

#[test]
fn check_watch_checks_again_when_a_file_is_saved() {
    use std::io::BufRead as _;
    let stage = Stage::new(Source::Folder);
    let mut command = stage.command(&["check", "--watch"]);
    let mut child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert_eq!(next(), "all files are valid");
    stage.edit("project/mappings/orders.toml", "required = true", "requierd = true");
    assert_eq!(next(), "1 error, 0 warnings");
    stage.edit("project/mappings/orders.toml", "requierd = true", "required = true");
    assert_eq!(next(), "all files are valid");
    child.kill().unwrap();
    child.wait().unwrap();
}
