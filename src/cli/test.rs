//! `nightferry test`: the inline tests of mappings.

use std::collections::BTreeMap;
use std::fs;
use std::io::IsTerminal as _;

use serde_json::json;

use super::Common;
use super::context::{Context, mapping, print, print_json};
use super::exit::{Exit, Failure};
use crate::adapters::clock::SystemClock;
use crate::config::accept;
use crate::config::project::LoadedMapping;
use crate::pipeline::inline_tests::{self, TestResult};
use crate::ports::Clock as _;
use crate::report::text::counted;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Mappings [default: all]
    mappings: Vec<String>,
    /// Write the results back into the tests that fail; comments stay
    #[arg(long)]
    accept: bool,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// Passed tests that are named before the rest is only counted.
const NAMED: usize = 12;
/// The same in a mapping with a failure.
const NAMED_BESIDE_A_FAILURE: usize = 2;

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let names = if args.mappings.is_empty() { context.project.mapping_names() } else { args.mappings.clone() };
    let mut results = BTreeMap::new();
    for name in &names {
        let mapping = mapping(&context, name, common)?;
        let tests = run(&mapping)?;
        if args.accept {
            accept_all(&context, &mapping, &tests)?;
        }
        results.insert(name.clone(), (mapping, tests));
    }
    let all = || results.values().flat_map(|(_, tests)| tests);
    let failed = all().filter(|test| !test.differences.is_empty()).count();
    let passed = all().count() - failed;
    if args.json {
        let tests: Vec<_> =
            results.iter().flat_map(|(name, (_, tests))| tests.iter().map(|test| to_json(name, test))).collect();
        print_json(&json!({ "passed": passed, "failed": failed, "tests": tests }))?;
    } else {
        let colour = std::io::stdout().is_terminal() && common.color != clap::ColorChoice::Never;
        let mut text = String::new();
        for (mapping, tests) in results.values() {
            text.push_str(&shown(mapping, tests, colour));
        }
        let summary = match failed {
            0 => format!("{passed} passed\n"),
            _ if args.accept => format!("{passed} passed, {} written back\n", counted(failed as u64, "test")),
            _ => format!("{passed} passed, {failed} failed\n"),
        };
        print(&(text + &summary));
    }
    Ok(if failed == 0 || args.accept { Exit::DONE } else { Exit::DIFFERENT })
}

fn run(mapping: &LoadedMapping) -> Result<Vec<TestResult>, Failure> {
    let today = SystemClock.now().date_naive();
    let results = mapping.tests.iter().map(|test| inline_tests::run(mapping, test, today));
    results
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::new(Exit::FAILED, "file", format!("{}: {error}", mapping.path)))
}

fn accept_all(context: &Context, mapping: &LoadedMapping, tests: &[TestResult]) -> Result<(), Failure> {
    let path = context.project.root.join(&mapping.path);
    let failed = |error: String| Failure::new(Exit::FAILED, "file", format!("{}: {error}", path.display()));
    let text = fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
    let wrong: Vec<accept::Accepted> = tests
        .iter()
        .enumerate()
        .filter(|(_, test)| !test.differences.is_empty())
        .map(|(at, test)| accept::Accepted { test: at, records: test.made.clone(), rejects: test.rejected.clone() })
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let accepted = accept::write_back(&text, &wrong).map_err(failed)?;
    fs::write(&path, accepted).map_err(|error| failed(error.to_string()))
}

fn to_json(mapping: &str, test: &TestResult) -> serde_json::Value {
    let differences: Vec<_> = test
        .differences
        .iter()
        .map(|one| json!({ "place": one.place, "path": one.path, "expected": one.expected, "got": one.got, "because": one.because }))
        .collect();
    json!({ "mapping": mapping, "name": test.name, "passed": test.differences.is_empty(), "differences": differences })
}

fn shown(mapping: &LoadedMapping, tests: &[TestResult], colour: bool) -> String {
    let paint = |code: &str, text: &str| if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    let mut text = format!("{}\n", paint("1", &mapping.path));
    if tests.is_empty() {
        text.push_str("  no tests: a `[sample]` and one `[[tests]]` would show what this mapping does\n");
    }
    let failed = tests.iter().any(|test| !test.differences.is_empty());
    // Beside a failure the tests that passed are only in the way.
    let most = if failed { NAMED_BESIDE_A_FAILURE } else { NAMED };
    let passed = tests.iter().filter(|test| test.differences.is_empty()).count();
    let mut named = 0;
    for test in tests {
        if test.differences.is_empty() {
            named += 1;
            if named < most || (named == most && passed == most) {
                text.push_str(&format!("  {} {}\n", paint("32", "✓"), test.name));
            } else if named == most {
                let more = format!("… {} more passed", passed - most);
                text.push_str(&format!("  {} {:<50}   {more}\n", paint("32", "✓"), test.name));
            }
            continue;
        }
        let place = format!("{}:{}", mapping.path, test.line);
        text.push_str(&format!("  {} {:<50}   {place}\n", paint("31", "✗"), test.name));
        let width = test.differences.iter().map(|one| one.place.chars().count()).max().unwrap_or(0);
        let paths = test.differences.iter().map(|one| one.path.chars().count()).max().unwrap_or(0);
        for one in &test.differences {
            let (expected, got) = (paint("32", &one.expected), paint("31", &one.got));
            let path = if paths == 0 { String::new() } else { format!("   {:<paths$}", one.path) };
            text.push_str(&format!("      {:<width$}{path}   expected {expected}   got {got}\n", one.place));
            if let Some(because) = &one.because {
                text.push_str(&format!("      {:<width$}   because {because}\n", ""));
            }
        }
    }
    text
}
