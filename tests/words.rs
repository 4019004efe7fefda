//! The words of the mapping language: each recipe word and each step of `clean` does what its example says, the reference shows
//! them all, and the editor schema takes what the program takes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends with the first surprise")]

use std::fs;
use std::process::Command;

use nightferry::config::inline_test::InlineTest;
use nightferry::config::project::compile_text;
use nightferry::config::words::{Example, WORDS};
use nightferry::config::{render, schema};
use nightferry::format::json_value::Json;
use nightferry::pipeline::inline_tests;

/// A mapping with the recipe as its only field, beside what the recipe needs.
fn mapping(example: &Example) -> String {
    let cells: Vec<String> = example.row.iter().map(|(column, cell)| format!("\"{column}\" = \"{cell}\"\n")).collect();
    let (fields, others) =
        if example.beside.starts_with("[fields") { (example.beside, "") } else { ("", example.beside) };
    format!(
        "[input]\nunknown_columns = \"ignore\"\n\n{others}\n[fields]\n\"x\" = {}\n\n{fields}\n[output]\nomit_empty = true\n\n[sample]\n{}",
        example.recipe,
        cells.concat()
    )
}

/// What the recipe makes of its row.
fn made(key: &str, example: &Example) -> String {
    let text = mapping(example);
    let here = std::env::temp_dir();
    let loaded = compile_text("m", "mappings/m.toml", &text, &|_| None, &here)
        .unwrap_or_else(|problems| panic!("{key}: {}", render::render(&problems, false)));
    let test = InlineTest { rows: vec![Vec::new()], ..InlineTest::default() };
    let result = inline_tests::run(&loaded, &test, chrono::NaiveDate::from_ymd_opt(2026, 11, 23).unwrap()).unwrap();
    match (result.rejected.first(), result.made.first()) {
        (Some(reject), _) => format!("✗ {}", reject.code),
        (None, Some(record)) => record.at("x").map_or("–".to_owned(), Json::to_string),
        (None, None) => "nothing".to_owned(),
    }
}

macro_rules! each_word {
    ($($test:ident: $key:literal),+ $(,)?) => {
        $(#[test]
        fn $test() {
            let word = WORDS.iter().find(|word| word.key == $key && word.example.is_some()).expect($key);
            let example = word.example.expect($key);
            assert_eq!(made($key, &example), example.gives, "{}", example.recipe);
        })+

        #[test]
        fn every_recipe_word_has_a_test_named_after_it() {
            let tested = [$($key),+];
            for word in WORDS.iter().filter(|word| word.table == "fields.*" || word.table == "clean") {
                assert!(tested.contains(&word.key), "{} has no test", word.key);
                assert!(word.example.is_some(), "{} has no example", word.key);
            }
        }
    };
}

each_word! {
    from: "from", first_of: "first_of", template: "template", value: "value", cases: "cases", auto: "auto", when: "when",
    optional_column: "optional_column", clean: "clean", lookup: "lookup", type_: "type", format: "format",
    decimals: "decimals", implied_decimals: "implied_decimals", negative_when: "negative_when", minor_units: "minor_units",
    default: "default", required: "required", unique: "unique", enum_: "enum", pattern: "pattern", minimum: "minimum",
    maximum: "maximum", min_length: "min_length", max_length: "max_length", not_before: "not_before", not_after: "not_after",
    pii: "pii", note: "note", trim: "trim", squeeze: "squeeze", upper: "upper", lower: "lower", digits: "digits",
    ascii: "ascii", pad_left: "pad_left", remove: "remove", replace: "replace", take: "take", after: "after", before: "before",
}

#[test]
fn the_reference_shows_every_word_with_its_example() {
    let output = Command::new(env!("CARGO_BIN_EXE_nightferry")).args(["explain", "mapping"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for word in WORDS {
        assert!(text.contains(word.means), "{} is missing", word.key);
        assert!(word.example.is_none_or(|example| text.contains(example.recipe)), "{}'s example is missing", word.key);
    }
}

fn json_of(toml: &str) -> serde_json::Value {
    serde_json::to_value(toml.parse::<toml::Table>().unwrap()).unwrap()
}

#[test]
fn the_editor_schema_is_draft_7_and_takes_what_the_program_takes() {
    let document = schema::mapping();
    let validator = jsonschema::draft7::new(&document).expect("the schema is a schema");
    let mut mappings = Vec::new();
    for folder in ["mappings", "tests/examples/mappings", "tests/bench/project/mappings"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        mappings.extend(fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()));
    }
    assert!(mappings.len() >= 10, "{mappings:?}");
    for path in mappings {
        let errors: Vec<String> = validator
            .iter_errors(&json_of(&fs::read_to_string(&path).unwrap()))
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors, Vec::<String>::new(), "{}", path.display());
    }
    for word in WORDS.iter().filter(|word| word.example.is_some()) {
        assert!(validator.is_valid(&json_of(&mapping(&word.example.unwrap()))), "{}", word.key);
    }
    for wrong in [
        "[fields]\nx = { frm = \"A\" }",
        "[input]\nformat = \"cvs\"\n[fields]\n",
        "[feilds]\n",
        "[fields]\nx = { from = \"A\", required = 1 }",
    ] {
        assert!(!validator.is_valid(&json_of(wrong)), "{wrong}");
    }
}
