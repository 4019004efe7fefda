//! Rejects as people see them: by cause, with the cell, the rule and the playbook.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends with the first surprise")]

mod support;

use support::target::{Answer, Target};
use support::{Source, Stage};

const MAPPING: &str = r#"[input]
delimiter = ";"

[lookups.country]
file = "lookups/country.csv"
key = "name"
value = "iso2"

[fields]
"id" = { from = "id", required = true }
"name" = { from = "name", pii = "name", max_length = 10 }
"country" = { from = "country", lookup = "country", required = true }
"qty" = { from = "qty", type = "integer", minimum = 1 }

[rejects]
max_percent = 100
"#;

fn stage() -> Stage {
    let stage = Stage::new(Source::Folder);
    std::fs::create_dir_all(stage.path("project/lookups")).unwrap();
    stage.write("project/lookups/country.csv", "name,iso2\nDenmark,DK\n");
    stage.write("project/mappings/orders.toml", MAPPING);
    let playbook = "[[playbook]]\nwhen = \"lookup-missing\"\nmeans = \"The ERP does not know the country.\"\n\
                    do = \"Ask sales.\"\nwho = \"analyst\"\nwithin = \"same day\"\n";
    let job = std::fs::read_to_string(stage.path("project/jobs/orders.toml")).unwrap();
    stage.write("project/jobs/orders.toml", job + playbook);
    stage
}

#[test]
fn a_cause_shows_the_cell_the_rule_the_count_and_the_playbook() {
    let stage = stage();
    stage.deliver(
        "orders_20261123.csv",
        "id;name;country;qty\n1;Anna Holm;Freedonia;1\n2;Bo;Molvania;1\n3;\"Carl;son\";Freedonia;2\n4;Dorothea Andersen;Denmark;0\n5;Eva;Denmark;1;x\n6;Finn;Denmark;1\n",
    );
    stage.run().exits(5);
    let shown = stage.nightferry(&["rejects", "orders"]).exits(0);
    let expected = r#"error[NF603]: `Freedonia` is not in lookup `country` (lookups/country.csv)
  --> orders_20261123.csv:2:8
   |
 2 | 1;A•••;Freedonia;1
   |        ^^^^^^^^^ cell C2 (country)
   |
  ::: mappings/orders.toml:12:43
   |
12 | "country" = { from = "country", lookup = "country", required = true }
   |                                           ------- on_missing = "reject"
   |
   = note: 3 rows have this cause (Freedonia 2, Molvania 1)
   = help: if it is right, add it to lookups/country.csv
   = playbook: The ERP does not know the country. Ask sales. (analyst, same day)

error[NF617]: `0` is below the minimum 1
  --> orders_20261123.csv:5:16
   |
 5 | 4;D•••;Denmark;0
   |                ^ cell D5 (qty)
   |
  ::: mappings/orders.toml:13:53
   |
13 | "qty" = { from = "qty", type = "integer", minimum = 1 }
   |                                                     - the least that is good
   |
   = note: 1 row has this cause
   = help: Ask the sender, or change `minimum`.

error[NF620]: the value of `name` (personal data, not shown) has too many characters
  --> orders_20261123.csv:5:3
   |
 5 | 4;D•••;Denmark;0
   |   ^^^^ cell B5 (name)
   |
  ::: mappings/orders.toml:11:54
   |
11 | "name" = { from = "name", pii = "name", max_length = 10 }
   |                                                      -- the most characters
   |
   = note: 1 row has this cause
   = help: Shorten it with `take`, or ask the target's owner.

error[NF602]: the row has 5 cells, and 4 are expected
 --> orders_20261123.csv:6:1
  |
6 | 5;E•••;Denmark;1;x
  | ^^^^^^^^^^^^^^^^^^
  |
  = note: 1 row has this cause
  = help: Ask the sender to put such cells into quotes.

6 rejects in 4 causes; `--plain` lists each, `--cause CODE` only one cause
"#;
    assert_eq!(shown.stdout, expected);
    let plain = stage.nightferry(&["rejects", "orders", "--plain", "--cause", "lookup-missing"]).exits(0).stdout;
    assert_eq!(plain.lines().count(), 6, "{plain}");
    let open = ["rejects", "orders", "--cause", "too-long", "--show-personal-data", "ticket 4"];
    let open = stage.nightferry(&open).exits(0).stdout;
    assert!(open.contains("4;Dorothea Andersen;Denmark;0"), "{open}");
}

#[test]
fn what_the_target_refuses_is_a_cause_too_and_has_a_filter_of_its_own() {
    let stage = Stage::with_target(Source::Folder, Target::scripted(|_, _| Answer::json(422, r#"{"code":"BLOCKED"}"#)));
    stage.edit("project/jobs/orders.toml", "[target]", "[target.response]\nerror_code = \"$.code\"\n\n[target]");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 2));
    stage.run().exits(6);
    let shown = stage.nightferry(&["rejects", "orders", "--cause", "target:BLOCKED"]).exits(0).stdout;
    assert!(shown.starts_with("error[NF699]: ") && shown.contains("2 records have this cause"), "{shown}");
    let none = stage.nightferry(&["rejects", "orders", "--cause", "target:OTHER"]).exits(0).stdout;
    assert_eq!(none, "no rejects\n");
}
