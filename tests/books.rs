//! The books as people keep them: what adds up, what does not, who has looked, and a trail of it that cannot be changed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends with the first surprise")]

mod support;

use serde_json::{Value, json};

use support::target::{Answer, Target};
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

const MEASURED: &str = r#"
[mapping]
name = "orders"

[fields]
"id"             = { from = "id", required = true }
"total.amount"   = { from = "amount", type = "number", decimals = 2 }
"total.currency" = { from = "currency" }
"lines"          = { from = "lines", type = "integer" }
"#;

const MEASURES: &str = r#"
[[measures]]
title = "Orders"
count = true

[[measures]]
title     = "Order value"
sum       = "total.amount"
per       = "total.currency"
tolerance = 0.05

[[measures]]
title = "Lines"
sum   = "lines"
"#;

/// Twelve orders, in two currencies; amounts that a float cannot hold.
fn orders() -> String {
    let row = |n: u32| {
        let currency = if n.is_multiple_of(3) { "DKK" } else { "EUR" };
        format!("A-{n:06},{n}0000000000.1{},{currency},{n}\n", n % 10)
    };
    "id,amount,currency,lines\n".to_owned() + &(1..=12).map(row).collect::<String>()
}

/// A stage whose job has measures; the target answers for each record, and says `no` to some.
fn measured(answer: impl Fn(&str) -> Option<&'static str> + Send + Sync + 'static) -> Stage {
    let target = Target::scripted(move |request, _| {
        let records: Vec<Value> = serde_json::from_slice(&request.body).unwrap();
        let results: Vec<Value> = records
            .iter()
            .filter_map(|record| {
                let id = record["id"].as_str().unwrap();
                answer(id).map(|status| json!({ "id": id, "status": status, "code": "ACCOUNT_CLOSED" }))
            })
            .collect();
        Answer::json(200, json!({ "results": results }))
    });
    let stage = Stage::with_target(Source::Folder, target);
    stage.write("project/mappings/orders.toml", MEASURED);
    let response = "response = { each = \"$.results[*]\", match = { ours = \"id\", theirs = \"$.id\" }, \
                    ok_when = { path = \"$.status\", is = \"OK\" }, error_code = \"$.code\" }\n";
    let job = "project/jobs/orders.toml";
    stage.edit(job, "batch       = { records = 10 }", &format!("batch       = {{ records = 5 }}\n{response}"));
    stage.write(job, std::fs::read_to_string(stage.path(job)).unwrap() + MEASURES);
    stage.deliver("orders_20261123.csv", orders());
    stage
}

fn measure(document: &Value, title: &str, per: Option<&str>) -> Vec<String> {
    let measures = document["measures"].as_array().unwrap();
    let one = measures.iter().find(|one| one["title"] == title && one["per"] == json!(per)).expect("the measure");
    ["sent", "accepted", "refused", "unanswered", "pending", "difference", "result"]
        .map(|key| one[key].as_str().unwrap().to_owned())
        .to_vec()
}

#[test]
fn every_measure_adds_up_in_every_unit_to_the_last_digit() {
    let stage = measured(|_| Some("OK"));
    let document = stage.run_json().exits(0).json();
    let all = |sum: &str| [sum, sum, "0", "0", "0", "0", "balanced"].map(str::to_owned).to_vec();
    let cents = |sum: &str| [sum, sum, "0.00", "0.00", "0.00", "0.00", "balanced"].map(str::to_owned).to_vec();
    assert_eq!(measure(&document, "Orders", None), all("12"));
    assert_eq!(measure(&document, "Lines", None), all("78"));
    assert_eq!(measure(&document, "Order value", Some("DKK")), cents("300000000000.60"));
    assert_eq!(measure(&document, "Order value", Some("EUR")), cents("480000000001.08"));
    assert_eq!(stage.nightferry(&["show", "orders@last", "--json"]).exits(0).json()["measures"], document["measures"]);
}

#[test]
fn the_amounts_of_refused_and_unanswered_records_are_told_by_fate() {
    let stage = measured(|id| match id {
        "A-000004" => Some("NO"),
        "A-000006" | "A-000012" => None,
        _ => Some("OK"),
    });
    let document = stage.run_json().exits(6).json();
    let expected = |parts: [&str; 7]| parts.map(str::to_owned).to_vec();
    let orders = expected(["12", "9", "1", "2", "0", "-3", "BREAK"]);
    assert_eq!(measure(&document, "Orders", None), orders);
    let dkk = ["300000000000.60", "120000000000.32", "0.00", "180000000000.28", "0.00", "-180000000000.28"];
    assert_eq!(measure(&document, "Order value", Some("DKK"))[..6], dkk);
    let eur = ["480000000001.08", "440000000000.94", "40000000000.14", "0.00", "0.00", "-40000000000.14"];
    assert_eq!(measure(&document, "Order value", Some("EUR"))[..6], eur);
    let lines = expected(["78", "56", "4", "18", "0", "-22", "BREAK"]);
    assert_eq!(measure(&document, "Lines", None), lines);
}

#[test]
fn a_measure_that_the_batches_do_not_bear_out_fails_the_run() {
    let stage = measured(|_| Some("OK"));
    let forge = "CREATE TRIGGER forge AFTER INSERT ON batch_measure WHEN NEW.slot = 0 AND NEW.batch = 1 BEGIN
        UPDATE batch_measure SET amount = amount - 1, pending = pending - 1 WHERE batch = NEW.batch AND slot = NEW.slot;
        END";
    stage.nightferry(&["hold", "orders"]).exits(0);
    stage.ledger().execute_batch(forge).unwrap();
    stage.run().exits(7);
    let failed = stage.nightferry(&["release", "orders", "--yes", "--json"]).exits(1);
    let error = &failed.json()["error"];
    assert_eq!(error["code"], "internal-imbalance", "{error}");
}

#[test]
fn a_sum_of_what_is_no_number_is_found_by_check() {
    let stage = measured(|_| Some("OK"));
    stage.edit("project/jobs/orders.toml", "sum       = \"total.amount\"", "sum       = \"total.currency\"");
    let checked = stage.nightferry(&["check", "--json"]).exits(3).json();
    let said = &checked["diagnostics"][0];
    assert_eq!(
        (&said["code"], &said["message"]),
        (&json!("NF145"), &json!("`total.currency` is no number, so it cannot be added up"))
    );
}

/// One refused order, and two without an answer.
fn troubled() -> Stage {
    let stage = measured(|id| match id {
        "A-000004" => Some("NO"),
        "A-000006" | "A-000012" => None,
        _ => Some("OK"),
    });
    stage.run().exits(6);
    stage
}

fn as_person(stage: &Stage, who: &str, arguments: &[&str]) -> support::Ended {
    let mut command = stage.command(arguments);
    command.env("NIGHTFERRY_USER", who);
    support::ended(command)
}

#[test]
fn a_difference_is_a_break_until_its_cause_goes_and_a_person_says_why() {
    let stage = troubled();
    let breaks = stage.nightferry(&["breaks", "--json"]).exits(6).json();
    let told: Vec<_> = breaks
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["type"].as_str().unwrap(), one["found"].as_str().unwrap(), one["records"].as_u64().unwrap()))
        .collect();
    assert_eq!(told, [("refused_by_target", "ACCOUNT_CLOSED 1", 1), ("unanswered", "2 without an answer", 2)]);
    let amounts = json!([
        { "title": "Order value", "per": "EUR", "amount": "40000000000.14" },
        { "title": "Lines", "per": null, "amount": "4" }
    ]);
    assert_eq!(
        (&breaks[0]["amounts"], &breaks[0]["state"], &breaks[0]["age_business_days"]),
        (&amounts, &json!("open"), &json!(0))
    );

    let refused = stage.nightferry(&["sign-off", "orders@last"]).exits(6).stderr;
    assert!(refused.contains("orders of 2026-11-23 has 2 breaks that nobody has explained"), "{refused}");
    as_person(&stage, "ida", &["breaks", "explain", "1", "--reason", "account-closed", "--note", "treasury asks"])
        .exits(0);
    as_person(&stage, "ida", &["breaks", "explain", "#2", "--reason", "erp-down"]).exits(0);
    as_person(&stage, "ida", &["breaks", "undo", "2"]).exits(0);
    stage.nightferry(&["breaks", "explain", "2", "--reason", "no spaces please"]).exits(2);
    as_person(&stage, "ida", &["breaks", "explain", "2", "--reason", "erp-down"]).exits(0);
    let signed = as_person(&stage, "ida", &["sign-off", "orders@last", "--note", "ITSM-4471"]).exits(0).stdout;
    assert_eq!(signed, "orders of 2026-11-23 is signed off by ida\n");
    let open = stage.nightferry(&["breaks", "orders", "--open"]).exits(6).stdout;
    assert!(open.contains("account-closed") && open.contains("ACCOUNT_CLOSED 1"), "carried forward:\n{open}");
    let document = stage.nightferry(&["reconcile", "orders@last", "--json"]).exits(6).json();
    assert_eq!(
        (&document["sign_off"]["signed_off"], &document["breaks"][0]["explained_by"]),
        (&json!(true), &json!("ida"))
    );
    let audit = stage.nightferry(&["audit", "--json"]).exits(0).json();
    let acts: Vec<_> = audit.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(acts, ["sign-off", "explain", "undo", "explain", "explain"]);
}

#[test]
fn two_people_sign_a_critical_job_off_and_a_later_change_reopens_it() {
    let down = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let state = down.clone();
    let target = Target::scripted(move |_, _| {
        Answer::status(if state.load(std::sync::atomic::Ordering::SeqCst) { 500 } else { 200 })
    });
    let stage = Stage::with_target(Source::Folder, target);
    let job = "project/jobs/orders.toml";
    stage.write(job, std::fs::read_to_string(stage.path(job)).unwrap() + "\n[reconcile]\nsign_off = \"two_people\"\n");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 15));
    stage.run().exits(8);
    let breaks = stage.nightferry(&["breaks", "--json"]).exits(6).json();
    assert_eq!((&breaks[0]["type"], &breaks[0]["records"]), (&json!("unanswered"), &json!(15)));
    stage.nightferry(&["breaks", "explain", "1", "--reason", "erp-down"]).exits(0);

    as_person(&stage, "ida", &["sign-off", "orders@last"]).exits(7);
    let same = as_person(&stage, "ida", &["sign-off", "orders@last"]).exits(7).stderr;
    assert!(same.contains("was prepared by ida, and another person reviews it"), "{same}");
    as_person(&stage, "per", &["sign-off", "orders@last"]).exits(0);
    let text = stage.nightferry(&["reconcile", "orders@last"]).exits(8).stdout;
    assert!(text.contains("  SIGN-OFF prepared by ida, reviewed by per\n"), "{text}");

    down.store(false, std::sync::atomic::Ordering::SeqCst);
    stage.run().exits(0);
    let breaks = stage.nightferry(&["breaks", "--json"]).exits(0).json();
    assert_eq!((&breaks[0]["state"], &breaks[0]["resolved_by"]), (&json!("resolved"), &json!("the target's answer")));
    let text = stage.nightferry(&["reconcile", "orders@last"]).exits(0).stdout;
    assert!(text.contains("  SIGN-OFF re-opened: the books have changed since it was signed off\n"), "{text}");
    as_person(&stage, "ida", &["sign-off", "--date", "2026-11-23", "--balanced-only"]).exits(7);
    let all = as_person(&stage, "per", &["sign-off", "--date", "2026-11-23", "--balanced-only"]).exits(0).stdout;
    assert_eq!(all, "2026-11-23: 1 signed off\n");
    let breaks = stage.nightferry(&["breaks", "--json"]).exits(0).json();
    assert_eq!(breaks[0]["state"], "signed_off");
}

#[test]
fn a_control_total_that_is_wrong_is_a_break_until_the_file_comes_again_right() {
    let stage = Stage::new(Source::Folder);
    let mapping = "project/mappings/orders.toml";
    let controls = "\n[layouts.trailer]\nstarts_with = \"T\"\noccurs = \"last\"\ncolumns = [{ name = \"Count\", field = 2 }]\n\n\
                    [[controls]]\nid = \"count\"\ntitle = \"Number of orders\"\ncount = \"rows\"\ndeclared = \"trailer.Count\"\n";
    stage.write(mapping, std::fs::read_to_string(stage.path(mapping)).unwrap() + controls);
    stage.deliver("orders_20261123.csv", Stage::rows(1, 3) + "T,4\n");
    stage.run().exits(1);
    let breaks = stage.nightferry(&["breaks", "--open"]).exits(6).stdout;
    assert!(breaks.contains("count: expected 4, found 3"), "{breaks}");
    stage.deliver("orders_20261123.csv", Stage::rows(1, 4) + "T,4\n");
    stage.run().exits(0);
    let breaks = stage.nightferry(&["breaks", "--json"]).exits(0).json();
    assert_eq!((&breaks[0]["state"], &breaks[0]["resolved_by"]), (&json!("resolved"), &json!("a later file")));
}

#[test]
fn the_report_is_the_same_in_every_format() {
    use calamine::Reader as _;
    let stage = troubled();
    let text = stage.nightferry(&["reconcile", "orders@last"]).exits(6).stdout;
    assert!(text.starts_with("▲ BREAK   orders · business date 2026-11-23 · break\n"), "{text}");
    assert!(text.contains("refused by target") && text.contains("EUR 40 000 000 000.14"), "{text}");

    let csv = stage.nightferry(&["reconcile", "orders@last", "--format", "csv"]).exits(6).stdout;
    assert!(csv.starts_with('\u{feff}'), "Excel needs the byte order mark");
    let wanted = "\"measure\",\"Order value\",\"EUR\",\"480000000001.08\",\"440000000000.94\",\"-40000000000.14\",\"0.05\",\
                  \"BREAK\"";
    assert!(csv.contains(wanted), "{csv}");

    let path = stage.path("books.xlsx");
    stage
        .nightferry(&["reconcile", "--date", "2026-11-23", "--format", "xlsx", "--out", path.to_str().unwrap()])
        .exits(6);
    let mut workbook: calamine::Xlsx<_> = calamine::open_workbook(&path).unwrap();
    assert_eq!(workbook.sheet_names(), ["Summary", "Controls", "Breaks", "Rejects"]);
    let rejects = workbook.worksheet_range("Rejects").unwrap();
    assert_eq!(rejects.get_value((1, 8)).unwrap().to_string(), "A-000004,40000000000.14,EUR,4");

    let page = stage.nightferry(&["reconcile", "orders@last", "--format", "html"]).exits(6).stdout;
    let order = ["The equation", "Control totals and measures", "Breaks 2", "Sign-off", "Files and hashes", "Steps"];
    let places: Vec<_> = order.iter().map(|title| page.find(&format!("<h2>{title}</h2>")).expect(title)).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(!page.contains("<script"), "no script");
}

#[test]
fn the_day_is_told_in_one_look() {
    let stage = troubled();
    let day = stage.nightferry(&["status", "--date", "2026-11-23"]).exits(6).stdout;
    let subject = "Mon 23 Nov: 2 breaks (EUR 40 000 000 000.14, Lines 4, Lines 18, DKK 180 000 000 000.28)\n";
    assert!(day.starts_with(subject), "{day}");
    let need =
        " NEEDS YOU  2\n  ▲ BREAK       orders  EUR 40 000 000 000.14, Lines 4 refused by target  ACCOUNT_CLOSED 1\n";
    assert!(day.contains(need), "{day}");
    assert!(day.contains("OPEN BREAKS BY AGE   0 d: 2 ("), "{day}");
    let json = stage.nightferry(&["status", "--json"]).exits(6).json();
    assert_eq!(
        (&json["date"], &json["jobs"][0]["state"], &json["breaks_open"]),
        (&json!("2026-11-23"), &json!("break"), &json!(2))
    );
    let page = stage.nightferry(&["status", "--date", "2026-11-23", "--format", "html"]).exits(6).stdout;
    assert!(page.contains("<h2>Needs you · 2</h2>"), "{page}");

    let calm = Stage::new(Source::Folder);
    calm.deliver("orders_20261123.csv", Stage::rows(1, 3));
    calm.run().exits(0);
    let day = calm.nightferry(&["status"]).exits(0).stdout;
    let fine =
        "Mon 23 Nov: all is well\n\n NEEDS YOU  0\n  nothing: the morning round is finished\n\n FINE\n  orders 3 = 3\n";
    assert!(day.starts_with(fine), "silence must not look like success:\n{day}");
}

#[test]
fn the_views_for_people_who_ask_the_database_keep_their_columns() {
    let stage = troubled();
    let ledger = stage.ledger();
    let columns = |view: &str| {
        let statement = ledger.prepare(&format!("SELECT * FROM {view}")).unwrap();
        statement.column_names().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        columns("v_runs"),
        "run job business_date number trigger state started_at finished_at files rows_read rows_skipped rows_rejected \
         rows_used made accepted refused unanswered pending error_code"
    );
    assert_eq!(
        columns("v_files"),
        "file run job ordinal folder name size sha256 pass state reason rows_read rows_skipped rows_rejected rows_used made \
         accepted refused unanswered pending batches attempts"
    );
    assert_eq!(
        columns("v_records"),
        "run job file batch first_record records key state accepted refused unanswered pending attempts"
    );
    assert_eq!(
        columns("v_breaks"),
        "break run job business_date type subject expected found records amounts state opened_at reason note explained_by \
         resolved_by resolved_at"
    );
    assert_eq!(
        columns("v_sla"),
        "run job business_date state scheduled_for started_at finished_at seconds signed_off_at"
    );
    let sql = "SELECT (SELECT sum(records) FROM v_records), (SELECT made FROM v_runs)";
    let made: (i64, i64) = ledger.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(made, (12, 12));
}
