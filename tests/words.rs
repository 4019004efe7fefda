//! The words of the files that people write: each recipe word and each step of `clean` does what its example says, the reference shows
//! them all, and the editor schema takes what the program takes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends with the first surprise")]

use std::fs;
use std::process::Command;

use nightferry::config::inline_test::InlineTest;
use nightferry::config::project::compile_text;
use nightferry::config::words::{Example, File, Kind, Shape, Word};
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
            let word = File::Mapping.words().iter().find(|word| word.key == $key && word.example.is_some()).expect($key);
            let example = word.example.expect($key);
            assert_eq!(made($key, &example), example.gives, "{}", example.recipe);
        })+

        #[test]
        fn every_recipe_word_has_a_test_named_after_it() {
            let tested = [$($key),+];
            for word in File::Mapping.words().iter().filter(|word| word.table == "fields.*" || word.table == "clean") {
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
fn the_references_show_every_word_with_its_example() {
    for file in File::ALL {
        let output = Command::new(env!("CARGO_BIN_EXE_nightferry")).args(["explain", file.name()]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        for word in file.words() {
            let line = text.lines().any(|line| line.trim_start().starts_with(word.key) && line.contains(word.means));
            // Those of a reject of a test are the same for its warnings.
            assert!(line, "{} of {} is missing", word.key, word.table);
            assert!(
                word.example.is_none_or(|example| text.contains(example.recipe)),
                "{}'s example is missing",
                word.key
            );
        }
    }
}

/// TOML as JSON; dates are texts there, as editors see them.
fn json_of(toml: &str) -> serde_json::Value {
    fn value(toml: &toml::Value) -> serde_json::Value {
        match toml {
            toml::Value::Datetime(moment) => moment.to_string().into(),
            toml::Value::Array(items) => items.iter().map(value).collect(),
            toml::Value::Table(table) => table.iter().map(|(key, inner)| (key.clone(), value(inner))).collect(),
            other => serde_json::to_value(other).unwrap(),
        }
    }
    value(&toml::Value::Table(toml.parse().unwrap()))
}

/// Every file of a kind in the repository: the sample project, the specification by example, the project of the bench and what
/// `init` writes.
fn written(file: File) -> Vec<std::path::PathBuf> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let projects = [".", "tests/examples", "tests/bench/project"].map(|folder| root.join(folder));
    let in_folder = |folder: &str| -> Vec<std::path::PathBuf> {
        let folders = projects.iter().map(|project| project.join(folder)).filter(|folder| folder.is_dir());
        folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())).collect()
    };
    let alone = |name: &str| projects.iter().map(|project| project.join(name)).filter(|path| path.is_file()).collect();
    match file {
        File::Mapping => in_folder("mappings"),
        File::Job => in_folder("jobs"),
        File::Calendar => in_folder("calendars"),
        File::Connections => alone("connections.toml"),
        File::Project => alone("nightferry.toml"),
    }
}

#[test]
fn the_editor_schemas_are_draft_7_and_take_what_is_written() {
    for (file, least) in
        [(File::Mapping, 10), (File::Job, 6), (File::Connections, 2), (File::Project, 2), (File::Calendar, 1)]
    {
        let document = schema::of(file);
        let validator = jsonschema::draft7::new(&document).expect("the schema is a schema");
        let paths = written(file);
        assert!(paths.len() >= least, "{file:?}: {paths:?}");
        for path in paths {
            let json = json_of(&fs::read_to_string(&path).unwrap());
            let errors: Vec<String> =
                validator.iter_errors(&json).map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert_eq!(errors, Vec::<String>::new(), "{}", path.display());
        }
    }
    let validator = jsonschema::draft7::new(&schema::of(File::Mapping)).unwrap();
    for word in File::Mapping.words().iter().filter(|word| word.example.is_some()) {
        assert!(validator.is_valid(&json_of(&mapping(&word.example.unwrap()))), "{}", word.key);
    }
}

/// Every key of a document with a letter too many, one at a time.
fn typos(json: &serde_json::Value) -> Vec<serde_json::Value> {
    let mut all = Vec::new();
    match json {
        serde_json::Value::Object(table) => {
            for (key, inner) in table {
                let with = |new: String, value: serde_json::Value| {
                    let mut changed = table.clone();
                    changed.remove(key);
                    changed.insert(new, value);
                    serde_json::Value::Object(changed)
                };
                all.push(with(format!("{key}x"), inner.clone()));
                all.extend(typos(inner).into_iter().map(|inner| with(key.clone(), inner)));
            }
        }
        serde_json::Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                all.extend(typos(item).into_iter().map(|inner| {
                    let mut changed = items.clone();
                    changed[at] = inner;
                    serde_json::Value::Array(changed)
                }));
            }
        }
        _ => {}
    }
    all
}

#[test]
fn the_editor_schemas_refuse_every_typo_in_a_key() {
    // A connection, a notification, a lookup … is called what its writer likes; so are headers and measures.
    let free = |path: &str| path.ends_with("headers") || path.ends_with("sum") || path.ends_with("links");
    for file in [File::Job, File::Connections, File::Project, File::Calendar] {
        let validator = jsonschema::draft7::new(&schema::of(file)).unwrap();
        for path in written(file) {
            let mut json = json_of(&fs::read_to_string(&path).unwrap());
            let root = json.as_object_mut().unwrap();
            root.retain(|key, _| file.places().iter().all(|place| place.name != key || place.kind != Kind::Free));
            prune(&mut json, &free);
            let named = if file == File::Connections { json.as_object().unwrap().len() } else { 0 }
                + json.get("notify").and_then(|notify| notify.as_object()).map_or(0, serde_json::Map::len);
            let passed = typos(&json).iter().filter(|typo| validator.is_valid(typo)).count();
            assert_eq!(passed, named, "{}", path.display());
        }
    }
    let validator = jsonschema::draft7::new(&schema::of(File::Mapping)).unwrap();
    for wrong in [
        "[fields]\nx = { frm = \"A\" }",
        "[input]\nformat = \"cvs\"\n[fields]\n",
        "[feilds]\n",
        "[fields]\nx = { from = \"A\", required = 1 }",
        "[fields]\nx = { from = \"A\", clean = [{ padleft = [8, \"0\"] }] }",
        "[fields]\nx = { cases = [{ wen = { A = \"1\" }, value = 1 }] }",
        "[fields]\nx = { from = \"A\", when = { B = { atleast = 1 } } }",
    ] {
        assert!(!validator.is_valid(&json_of(wrong)), "{wrong}");
    }
}

/// Takes out the tables whose keys are the writer's own.
fn prune(json: &mut serde_json::Value, free: &dyn Fn(&str) -> bool) {
    match json {
        serde_json::Value::Object(table) => {
            table.retain(|key, inner| !(free(key) && inner.is_object()));
            table.retain(|key, inner| !(key == "ok_when" && inner.get("is").is_none()));
            table.values_mut().for_each(|inner| prune(inner, free));
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(|inner| prune(inner, free)),
        _ => {}
    }
}

/// A value of the shape, good enough for the key to be looked at.
fn some(shape: Shape) -> &'static str {
    match shape {
        Shape::Flag | Shape::FlagOr(_) => "true",
        Shape::Whole | Shape::Number | Shape::Limit | Shape::Column => "3",
        Shape::Statuses | Shape::StatusesAnd(_) => "[503]",
        Shape::Duration => "\"5s\"",
        Shape::Size => "\"1MiB\"",
        Shape::Moment => "2026-11-23",
        Shape::Table | Shape::Pairs | Shape::Headers | Shape::Conditions => "{}",
        Shape::Secret => "{ secret = \"s\" }",
        Shape::TableList | Shape::Tables | Shape::Secrets => "[]",
        _ => "\"x\"",
    }
}

/// A project with the word in a job or a connection of one of several kinds; whether the reader says that it does not know the key.
fn is_unknown(word: &Word, kind: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: String| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    // `[a.b]` begins a table; a list of tables holds one.
    let lists = ["measures", "alerts", "playbook", "integration.reviews"];
    let table = match word.table {
        table if lists.contains(&table) => format!("[[{table}]]"),
        table => format!("[{}]", table.replace("@*", "here")),
    };
    let base = format!("[here]\nkind = \"{kind}\"\n");
    let line = format!("{} = {}\n", word.key, some(word.shape));
    let text = match word.table.strip_prefix("@*") {
        Some("") if word.key == "kind" => base,
        Some("") => base + &line,
        Some(".auth") if word.key == "kind" => format!("{base}[here.auth]\nkind = \"bearer\"\n"),
        Some(".auth") => format!("{base}[here.auth]\nkind = \"{kind}\"\n{line}"),
        _ => format!("{table}\n{line}"),
    };
    write("nightferry.toml", if word.table.starts_with('@') || is_of_job(word) { String::new() } else { text.clone() });
    write("connections.toml", if word.table.starts_with('@') { text.clone() } else { String::new() });
    if is_of_job(word) {
        write("jobs/j.toml", text);
    }
    let output = Command::new(env!("CARGO_BIN_EXE_nightferry"))
        .args(["check", "--json", "--project"])
        .arg(folder.path())
        .env_clear()
        .output()
        .unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let told = document["diagnostics"].as_array().unwrap();
    let unknown =
        |one: &serde_json::Value| one["message"].as_str().unwrap().contains(&format!("unknown key `{}`", word.key));
    told.iter().any(unknown)
}

fn is_of_job(word: &Word) -> bool {
    File::Job.words().iter().any(|known| known.table == word.table && known.key == word.key) && word.table != "secret"
}

#[test]
fn every_word_of_jobs_connections_and_the_project_is_read_or_is_known_to_come() {
    for file in [File::Job, File::Connections, File::Project] {
        for word in file.words().iter().filter(|word| word.table != "secret") {
            let kinds = match word.table {
                "@*.auth" => &["bearer", "api_key", "basic", "oauth2", "jwt", "hmac", "http"][..],
                table if table.starts_with('@') => &["sftp", "http", "folder"],
                _ => &[""],
            };
            assert!(!kinds.iter().all(|kind| is_unknown(word, kind)), "`{}` in `{}`", word.key, word.table);
        }
    }
}
