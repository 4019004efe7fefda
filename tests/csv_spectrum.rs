//! The csv-spectrum suite: each file, mapped with every cell as text, is its JSON.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends where it is surprised")]

#[path = "support/convert.rs"]
mod convert;

use std::fs;
use std::path::PathBuf;

use convert::{Bench, Converted};
use serde_json::Value;

fn suite() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/csv-spectrum")
}

/// Converts a file of the suite with a mapping that takes every column of `columns` as text. An empty cell is the empty text.
fn converted(name: &str, columns: &[&str], input: &str) -> Converted {
    let mut mapping = format!("[input]\n{input}\n[rejects]\nmax_percent = 100\n[fields]\n");
    for column in columns {
        mapping.push_str(&format!("\"{column}\" = {{ from = \"{column}\", default = \"\" }}\n"));
    }
    Bench::new(&mapping).convert(fs::read(suite().join(format!("csvs/{name}.csv"))).unwrap())
}

fn expected(name: &str) -> Value {
    serde_json::from_slice(&fs::read(suite().join(format!("json/{name}.json"))).unwrap()).unwrap()
}

#[test]
fn every_file_of_the_suite_equals_its_json() {
    let mut names: Vec<String> = fs::read_dir(suite().join("csvs"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names.len(), 12);
    for name in names.iter().filter(|name| *name != "location_coordinates") {
        let Value::Array(records) = expected(name) else { panic!("{name} is no list") };
        let columns: Vec<&str> = records[0].as_object().unwrap().keys().map(String::as_str).collect();
        let found = converted(name, &columns, "").ends(0, &[]);
        assert_eq!(found.records(), records, "{name}");
    }
}

/// The one file of the suite that is not RFC 4180: a quotation mark inside an unquoted cell. It is rejected, unless the mapping says
/// that quotes mean nothing. (Its JSON has another telephone number than its CSV, and is one object.)
#[test]
fn a_quote_inside_a_cell_is_rejected_unless_quotes_mean_nothing() {
    let expected = expected("location_coordinates");
    let columns: Vec<&str> = expected.as_object().unwrap().keys().map(String::as_str).collect();
    converted("location_coordinates", &columns, "").ends(5, &["2 - bad-quote"]).made(&[]);
    let found = converted("location_coordinates", &columns, "quote = \"\"").ends(0, &[]).records();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["Location Coordinates"], expected["Location Coordinates"]);
    assert_eq!(found[0]["Contact Phone Number"], "2095257564");
}
