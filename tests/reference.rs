//! Silently wrong cells = 0: the engine against a second, slow implementation of the mapping language, byte by byte.
//!
//! `NF_CASES` is the number of cases (default 600), `NF_SEED` another seed, `NF_BINARY` another binary.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test ends where it is surprised")]

#[path = "reference/mod.rs"]
mod model;

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use model::case::{Case, case};
use model::{Outcome, Reject};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

const FILE: &str = "orders.csv";

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().unwrap())
}

/// What the engine made of the case, in the words of the model.
fn engine(project: &Path, case: &Case, at: u64) -> Result<Outcome, String> {
    let name = format!("m{at}");
    fs::write(project.join(format!("mappings/{name}.toml")), model::toml::mapping(&name, &case.mapping)).unwrap();
    for lookup in case.mapping.lookups.iter().filter(|lookup| lookup.in_file) {
        let path = project.join(model::toml::lookup_path(&name, lookup));
        fs::write(path, model::toml::lookup_file(lookup)).unwrap();
    }
    let folder = project.join(&name);
    fs::create_dir(&folder).unwrap();
    let (file, out, rejects) = (folder.join(FILE), folder.join("out.ndjson"), folder.join("rejects.ndjson"));
    fs::write(&file, &case.file).unwrap();
    let binary = std::env::var_os("NF_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_nightferry").into());
    let ended = Command::new(binary)
        .args(["convert", &name, "--threads", if at.is_multiple_of(2) { "1" } else { "2" }, "--quiet", "--project"])
        .arg(project)
        .args(["--file".as_ref(), file.as_os_str(), "--out".as_ref(), out.as_os_str()])
        .args(["--rejects".as_ref(), rejects.as_os_str()])
        .env("NIGHTFERRY_TEST_CHUNK", ["64", "1", "300"][at as usize % 3])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let rejected = fs::read(&rejects).map(|content| read_rejects(&content)).unwrap_or_default();
    let made = fs::read(&out).ok();
    fs::remove_dir_all(&folder).unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    match (ended.status.code(), made) {
        (Some(1), None) => Ok(Outcome::Failed(rejected.last().cloned().ok_or("failed without a reject")?)),
        (Some(code @ (0 | 5)), Some(made)) if (code == 5) != rejected.is_empty() => {
            Ok(Outcome::Done { out: String::from_utf8(made).map_err(|error| error.to_string())?, rejects: rejected })
        }
        (code, made) => {
            Err(format!("ended with {code:?}, {} rejects, output: {}\n{stderr}", rejected.len(), made.is_some()))
        }
    }
}

fn read_rejects(content: &[u8]) -> Vec<Reject> {
    let line = |line: &str| {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        let number = |key: &str| entry[key].as_u64().unwrap_or_default() as usize;
        Reject {
            row: number("row"),
            byte: number("byte"),
            column: entry["column"].as_str().map(str::to_owned),
            code: entry["code"].as_str().unwrap().to_owned(),
        }
    };
    std::str::from_utf8(content).unwrap().lines().map(line).collect()
}

/// The order of several faults of one row is not written down anywhere; that of the rows is.
fn in_row_order(outcome: &mut Outcome) -> Result<(), String> {
    let Outcome::Done { rejects, .. } = outcome else { return Ok(()) };
    if !rejects.is_sorted_by_key(|reject| reject.row) {
        return Err(format!("the rejects are not in the order of the file: {rejects:?}"));
    }
    rejects.sort_by(|left, right| (left.row, &left.column, &left.code).cmp(&(right.row, &right.column, &right.code)));
    Ok(())
}

/// Both outcomes side by side from the first line on that differs.
fn difference(expected: &Outcome, found: &Outcome) -> String {
    let lines = |outcome: &Outcome| match outcome {
        Outcome::Done { out, rejects } => {
            let records = out.lines().map(|line| format!("record {line}"));
            records.chain(rejects.iter().map(|reject| format!("reject {reject:?}"))).collect()
        }
        Outcome::Failed(fault) => vec![format!("failed {fault:?}")],
    };
    let (expected, found) = (lines(expected), lines(found));
    let same = expected.iter().zip(&found).take_while(|(left, right)| left == right).count();
    let rest = |lines: &[String]| lines.iter().skip(same).take(8).cloned().collect::<Vec<_>>().join("\n    ");
    format!("after {same} equal lines\n  expected:\n    {}\n  found:\n    {}", rest(&expected), rest(&found))
}

/// The reference by itself, on files that a person has worked out: `OrderNo`, a total, and lines with an amount.
#[test]
fn the_reference_says_what_the_design_says() {
    use model::{Check, Field, Kind, Origin, Rule};
    let number = Kind::Number { decimals: Some(2), implied: None, minor_units: None, negative_when: None };
    let from = |target: &str, column: &str, kind: &Kind| {
        let mut field = Field::new(target, Origin::From(column.to_owned()), kind.clone());
        field.required = true;
        field
    };
    let mut mapping = case(&[]).mapping;
    mapping.group_by = Some("OrderNo".to_owned());
    mapping.fields = vec![
        from("id", "OrderNo", &Kind::Text),
        from("total", "Total", &number),
        from("lines[].amount", "Amount", &number),
    ];
    let rule = Rule::SumEquals { sum: "lines[].amount".to_owned(), equals: "total".to_owned(), tolerance: None };
    mapping.checks = vec![Check { id: "sum".to_owned(), rule, warn_only: false }];
    let outcome = |rows: &str| {
        let content = format!("OrderNo,Total,Amount\n{rows}");
        let Outcome::Done { out, rejects } = model::convert(&mapping, FILE, content.as_bytes()) else {
            panic!("{rows}")
        };
        let shown =
            |reject: &Reject| format!("{} {} {}", reject.row, reject.column.as_deref().unwrap_or("-"), reject.code);
        (out, rejects.iter().map(shown).collect::<Vec<_>>().join(", "))
    };
    let order =
        |id: &str| format!("{{\"id\":\"{id}\",\"total\":3.00,\"lines\":[{{\"amount\":1.00}},{{\"amount\":2.00}}]}}\n");
    let (a, b) = ("A,3,1\nA,3,2\n", "B,3,1\nB,3,2\n");
    for (rows, out, rejects) in [
        (format!("{a}{b}"), order("A") + &order("B"), ""),
        (format!("{a}B,3,1\nB,3,x\n"), order("A"), "4 - group, 5 Amount bad-number"),
        (format!("{a}B,3,1\nB,4,2\n"), order("A"), "4 - group, 5 Total group-conflict"),
        (format!("{a}B,4,1\nB,4,2\n"), order("A"), "4 - check:sum, 5 - group"),
        // A key that comes back, a ragged line whose key can be read, and one whose key cannot.
        (format!("{a}{b}A,3,3\n"), order("B"), "2 - group, 3 - group, 6 OrderNo group-split"),
        (format!("{a}B,3,1\nB,3\n"), order("A"), "4 - group, 5 - ragged-row"),
        (
            format!("{a}\"x\"y,1,1\n{b}C,3,1\nC,3,2\n"),
            order("C"),
            "2 - group, 3 - group, 4 - bad-quote, 5 - group, 6 - group",
        ),
        (format!("A,3,1\n\"x\"y,1,1\nA,3,2\n{b}"), order("B"), "2 - group, 3 - bad-quote, 4 - group"),
    ] {
        assert_eq!(outcome(&rows), (out, rejects.to_owned()), "{rows}");
    }
}

#[test]
fn the_engine_and_the_reference_agree_on_every_cell() {
    let project = tempfile::Builder::new().prefix("nightferry-reference-").tempdir().unwrap();
    for folder in ["mappings", "lookups"] {
        fs::create_dir(project.path().join(folder)).unwrap();
    }
    fs::write(project.path().join("nightferry.toml"), "[organisation]\nname = \"Test\"\ntimezone = \"UTC\"\n").unwrap();
    let cases = number("NF_CASES", 600);
    let config = Config { cases: cases as u32, failure_persistence: None, max_shrink_iters: 4000, ..Config::default() };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number("NF_SEED", 20_261_123).to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let (count, records, rejects) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let tapes = proptest::collection::vec(0..1000_u32, 0..2500);
    let ended = runner.run(&tapes, |tape| {
        let case = case(&tape);
        let mut expected = model::convert(&case.mapping, FILE, &case.file);
        in_row_order(&mut expected).map_err(TestCaseError::fail)?;
        count.set(count.get() + 1);
        let found =
            engine(project.path(), &case, count.get()).and_then(|mut found| in_row_order(&mut found).map(|()| found));
        if let Outcome::Done { out, rejects: rejected } = &expected {
            records.set(records.get() + out.lines().count());
            rejects.set(rejects.get() + rejected.len());
        }
        let problem = match found {
            Ok(found) if found == expected => return Ok(()),
            Ok(found) => difference(&expected, &found),
            Err(error) => error,
        };
        let (mapping, file) = (model::toml::mapping("m", &case.mapping), case.file.escape_ascii());
        Err(TestCaseError::fail(format!("{problem}\n\n{mapping}\n{file}\n")))
    });
    if let Err(error) = ended {
        panic!("{}", error.to_string().split("\nminimal failing input:").next().unwrap_or_default());
    }
    println!("{cases} cases: {} records and {} rejects, silently wrong cells = 0", records.get(), rejects.get());
    assert!(cases < 100 || (records.get() > 0 && rejects.get() > 0), "the cases are worth nothing");
}
