//! The rings of the house, enforced: reads `src/**/*.rs` and fails on an import that points outward, on a crate, a clock or
//! a statement in the wrong place, and on a file whose name says nothing.
//!
//! Comments, string literals and test modules are not code here. `ALLOWED` is the whole map; a new top-level module has to
//! be given its place in it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Each top-level module and the modules it may import, from the inside out. Importing from itself is always fine.
const ALLOWED: &[(&str, &[&str])] = &[
    // ring 0: the words
    ("domain", &[]),
    // ring 1: pure machines
    ("schedule", &["domain"]),
    ("format", &["domain"]),
    ("mapping", &["domain", "format"]),
    ("retry", &["domain"]),
    // ring 2: what people write, and the traits to the world
    ("config", &["domain", "schedule", "format", "mapping", "retry"]),
    ("ports", &["domain", "schedule", "format", "mapping", "retry"]),
    // ring 3: the world, and the book
    ("adapters", &["domain", "schedule", "format", "mapping", "retry", "config", "ports"]),
    ("ledger", &["domain"]),
    // ring 4: the story
    ("pipeline", &["domain", "schedule", "format", "mapping", "retry", "config", "ports", "adapters", "ledger"]),
    // ring 5: ways in and out
    (
        "report",
        &["domain", "schedule", "format", "mapping", "retry", "config", "ports", "adapters", "ledger", "pipeline"],
    ),
    ("serve", &["domain", "schedule", "config", "ports", "ledger", "pipeline"]),
    (
        "demo",
        &[
            "domain", "schedule", "format", "mapping", "retry", "config", "ports", "adapters", "ledger", "pipeline",
            "report", "cli",
        ],
    ),
    (
        "cli",
        &[
            "domain", "schedule", "format", "mapping", "retry", "config", "ports", "adapters", "ledger", "pipeline",
            "report", "demo", "serve",
        ],
    ),
    ("lib", &[]),
    (
        "main",
        &[
            "domain", "schedule", "format", "mapping", "retry", "config", "ports", "adapters", "ledger", "pipeline",
            "report", "serve", "demo", "cli",
        ],
    ),
];

/// The crates that `domain` may name, beside the standard library.
const DOMAIN_CRATES: &[&str] = &["chrono", "rust_decimal"];

/// Modules without any effect: no file system, network, environment or process.
const PURE: &[&str] = &["domain", "schedule", "format", "mapping", "retry"];

/// Crates with one home: only these modules may name them.
const HOMES: &[(&str, &[&str])] = &[
    ("rusqlite", &["ledger"]),
    ("ssh2", &["adapters"]),
    ("reqwest", &["adapters"]),
    ("native_tls", &["adapters"]),
    ("russh", &["adapters", "demo"]),
    ("russh_sftp", &["adapters", "demo"]),
    ("axum", &["demo"]),
    ("clap", &["cli", "main"]),
    ("indicatif", &["cli"]),
    ("tracing_subscriber", &["cli", "main"]),
    ("tokio", &["adapters", "pipeline", "serve", "demo", "cli", "main"]),
];

/// The only file that may allow `unsafe`: what it calls was compiled for processors with AVX2.
const UNSAFE: &str = "src/format/csv/masks.rs";

/// Where the wall clock is read.
const CLOCK: &str = "src/adapters/clock.rs";

/// Where a monotonic clock may measure how long something took.
const STOPWATCH: &[&str] = &["adapters", "pipeline", "demo", "cli", "main", "serve"];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "types", "models"];

#[test]
fn every_import_points_inward() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dependencies = dependencies(&fs::read_to_string(root.join("Cargo.toml")).unwrap());
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    files.sort();
    assert!(!files.is_empty(), "no source files below {}", root.display());
    let mut violations = Vec::new();
    for file in &files {
        let path = file.strip_prefix(root).unwrap().to_str().expect("source paths are UTF-8").replace('\\', "/");
        violations.extend(check(&path, &fs::read_to_string(file).unwrap(), &dependencies));
    }
    let list: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "{} violations of the architecture:\n{}", list.len(), list.join("\n"));
}

/// All `.rs` files below `folder`.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The names of the dependencies, as Rust spells them.
fn dependencies(manifest: &str) -> Vec<String> {
    manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim().replace('-', "_"))
        .collect()
}

/// A place in the source that breaks a rule.
#[derive(Debug)]
struct Violation {
    path: String,
    line: usize,
    rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}:{}: {}", self.path, self.line, self.rule)
    }
}

/// Every violation in one file; `path` is relative to the repository.
fn check(path: &str, text: &str, dependencies: &[String]) -> Vec<Violation> {
    let own = module_path(path);
    let top = own.first().cloned().unwrap_or_else(|| stem(path).to_owned());
    let mut found = Vec::new();
    if EMPTY_NAMES.contains(&stem(path)) || path.split('/').any(|part| EMPTY_NAMES.contains(&part)) {
        found.push((0, "a name that says nothing; name the file after the noun in it".to_owned()));
    }
    let Some(&(_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == top) else {
        let rule =
            format!("module `{top}` has no place in the rings; give it one in `ALLOWED` of tests/architecture.rs");
        return vec![Violation { path: path.to_owned(), line: 1, rule }];
    };
    if path.split('/').any(|part| part == "tests" || part == "tests.rs") {
        return Vec::new();
    }
    let source = Source::scan(text);
    for (at, segments) in source.paths(&own) {
        found.extend(outward(&own, &top, allowed, &segments).map(|rule| (at, rule)));
    }
    for (at, name) in source.crates(dependencies) {
        found.extend(misplaced_crate(&top, &name).map(|rule| (at, rule)));
    }
    found.extend(source.forbidden_words(path, &top));
    if top != "ledger" {
        found.extend(source.statements());
    }
    found.sort();
    found.dedup();
    found.into_iter().map(|(at, rule)| Violation { path: path.to_owned(), line: line_of(text, at), rule }).collect()
}

/// Why `top` may not import `crate::segments`, if it may not.
fn outward(own: &[String], top: &str, allowed: &[&str], segments: &[String]) -> Option<String> {
    let target = segments.first()?.as_str();
    let known = ALLOWED.iter().any(|(name, _)| *name == target);
    if known && target != top && !allowed.contains(&target) {
        return Some(format!("`{top}` may not import `{target}` (allowed: {})", list(allowed)));
    }
    if top == "adapters" && target == "adapters" {
        let (ours, theirs) = (own.get(1)?, segments.get(1)?);
        let is_module = theirs.chars().next().is_some_and(char::is_lowercase);
        if is_module && ours != theirs {
            return Some(format!("adapter `{ours}` may not know adapter `{theirs}`"));
        }
    }
    None
}

/// Why `top` may not name the crate, or the module of the standard library, if it may not.
fn misplaced_crate(top: &str, name: &str) -> Option<String> {
    if let Some(module) = name.strip_prefix("std::") {
        return PURE.contains(&top).then(|| format!("`{top}` is pure and may not use `std::{module}`"));
    }
    if top == "domain" && !DOMAIN_CRATES.contains(&name) {
        return Some(format!("`domain` may not use `{name}` (allowed: std, {})", list(DOMAIN_CRATES)));
    }
    let (_, homes) = HOMES.iter().find(|(home, _)| *home == name)?;
    (!homes.contains(&top)).then(|| format!("`{top}` may not use `{name}`, which belongs to {}", list(homes)))
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

/// `src/mapping/clean.rs` is `["mapping", "clean"]`; `src/lib.rs` and `src/main.rs` are `[]`.
fn module_path(path: &str) -> Vec<String> {
    let inner = path.trim_start_matches("src/").trim_end_matches(".rs");
    let mut parts: Vec<String> = inner.split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| last == "mod") || (parts.len() == 1 && matches!(inner, "lib" | "main")) {
        parts.pop();
    }
    parts
}

fn stem(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs")
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// A file with everything blanked that is no code, byte positions unchanged.
struct Source {
    code: String,
    literals: Vec<(usize, String)>,
}

impl Source {
    fn scan(text: &str) -> Self {
        let (code, literals) = blank_words(text);
        let mut source = Self { code, literals };
        let test_item = Regex::new(r"#\[cfg\((?:all\()?test\b[^\]]*\]").unwrap();
        let ranges: Vec<Range<usize>> = test_item
            .find_iter(&source.code)
            .map(|attribute| attribute.start()..end_of_item(&source.code, attribute.end()))
            .collect();
        for range in ranges {
            source.literals.retain(|(at, _)| !range.contains(at));
            let blank: String =
                source.code[range.clone()].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
            source.code.replace_range(range, &blank);
        }
        source
    }

    /// Every path within this crate with its position, resolved to start at the crate's root.
    fn paths(&self, own: &[String]) -> Vec<(usize, Vec<String>)> {
        let inline = Regex::new(r"\b(?:crate|nightferry|super|self)(?:\s*::\s*\w+)+").unwrap();
        let mut written = self.imports();
        for found in inline.find_iter(&self.code) {
            let after_path = self.code[..found.start()].trim_end().ends_with("::");
            if !after_path {
                written.push((found.start(), found.as_str().split("::").map(|part| part.trim().to_owned()).collect()));
            }
        }
        let nested = self.inline_modules();
        written.into_iter().filter_map(|(at, parts)| Some((at, resolve(&parts, own, &nested, at)?))).collect()
    }

    /// Every leaf of every `use` with its position, as written.
    fn imports(&self) -> Vec<(usize, Vec<String>)> {
        let statement = Regex::new(r"\buse\s+([^;]+);").unwrap();
        let mut leaves = Vec::new();
        for found in statement.captures_iter(&self.code) {
            let tree = found.get(1).unwrap();
            expand(&self.code, tree.range(), &[], &mut leaves);
        }
        leaves
    }

    /// `mod name { … }` within the file: the names and where they reach.
    fn inline_modules(&self) -> Vec<(Range<usize>, String)> {
        let module = Regex::new(r"\bmod\s+(\w+)\s*\{").unwrap();
        module
            .captures_iter(&self.code)
            .map(|found| {
                let start = found.get(0).unwrap().end() - 1;
                (start..end_of_item(&self.code, start), found[1].to_owned())
            })
            .collect()
    }

    /// Every mention of a dependency, or of a module of the standard library that has effects.
    fn crates(&self, dependencies: &[String]) -> Vec<(usize, String)> {
        let mut mentions: Vec<(usize, String)> = Vec::new();
        let inline = Regex::new(r"\b(\w+)\s*::\s*(\w+|\{)").unwrap();
        for found in inline.captures_iter(&self.code) {
            let at = found.get(0).unwrap().start();
            let before = self.code[..at].trim_end();
            let is_first = !before.ends_with("::")
                || !before.trim_end_matches(':').ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if is_first && dependencies.iter().any(|name| *name == found[1]) {
                mentions.push((at, found[1].to_owned()));
            }
            if is_first && &found[1] == "std" && matches!(&found[2], "fs" | "net" | "env" | "process") {
                mentions.push((at, format!("std::{}", &found[2])));
            }
        }
        for (at, parts) in self.imports() {
            let first = parts[0].as_str();
            if dependencies.iter().any(|name| name == first) {
                mentions.push((at, first.to_owned()));
            }
            if first == "std"
                && parts.get(1).is_some_and(|part| matches!(part.as_str(), "fs" | "net" | "env" | "process"))
            {
                mentions.push((at, format!("std::{}", parts[1])));
            }
        }
        mentions
    }

    fn forbidden_words(&self, path: &str, top: &str) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let mut each = |pattern: &str, rule: &str| {
            for word in Regex::new(pattern).unwrap().find_iter(&self.code) {
                found.push((word.start(), format!("`{}` {rule}", word.as_str())));
            }
        };
        if path != UNSAFE {
            each(r"\bunsafe(?:_code)?\b", "outside of the one file that may allow it");
        }
        if path != CLOCK {
            each(
                r"\b(?:Utc|Local|SystemTime|Zoned|Timestamp)\s*::\s*now\b",
                "outside the clock adapter; take the instant as an argument or ask the `Clock` port",
            );
        }
        if !STOPWATCH.contains(&top) {
            each(r"\bInstant\s*::\s*now\b", "in a ring without a clock; take the instant as an argument");
        }
        if !matches!(top, "cli" | "main") {
            each(r"\b(?:e?println|e?print|dbg)!", "outside src/cli and src/main.rs, the only places that print");
        }
        found
    }

    /// SQL in string literals.
    fn statements(&self) -> Vec<(usize, String)> {
        let sql = Regex::new(r"\b(?:SELECT\s|INSERT INTO\b|UPDATE\s|DELETE FROM\b|CREATE TABLE\b)").unwrap();
        self.literals
            .iter()
            .filter_map(|(at, text)| {
                let word = sql.find(text)?.as_str().trim().to_owned();
                Some((*at, format!("SQL (`{word}`) outside src/ledger")))
            })
            .collect()
    }
}

/// Makes `parts` start at the crate's root; `None` for a path into another crate or into the standard library.
fn resolve(parts: &[String], own: &[String], nested: &[(Range<usize>, String)], at: usize) -> Option<Vec<String>> {
    let mut base: Vec<String> = own.to_vec();
    base.extend(nested.iter().filter(|(range, _)| range.contains(&at)).map(|(_, name)| name.clone()));
    let mut rest = parts;
    match rest.first()?.as_str() {
        "crate" | "nightferry" => {
            base.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|part| part == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        _ => return None,
    }
    base.extend(rest.iter().cloned());
    Some(base)
}

/// Splits a `use` tree into its leaves.
fn expand(code: &str, range: Range<usize>, prefix: &[String], leaves: &mut Vec<(usize, Vec<String>)>) {
    let text = &code[range.clone()];
    let Some(open) = text.find('{') else {
        let path = text.split(" as ").next().unwrap_or(text);
        let mut parts = prefix.to_vec();
        parts.extend(path.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()));
        let at = range.start + text.len() - text.trim_start().len();
        if !parts.is_empty() && !text.trim().is_empty() {
            leaves.push((at, parts));
        }
        return;
    };
    let mut inner = prefix.to_vec();
    inner.extend(text[..open].split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()));
    let (mut depth, mut start) = (0usize, range.start + open + 1);
    for (at, byte) in text.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let here = range.start + at;
        if (byte == b',' && depth == 1) || (byte == b'}' && depth == 0) {
            expand(code, start..here, &inner, leaves);
            start = here + 1;
        }
    }
}

/// The position behind the item that begins at `from`: behind its matching brace, or its semicolon.
fn end_of_item(code: &str, from: usize) -> usize {
    let mut depth = 0usize;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Blanks comments, string and character literals; returns the literals with their positions.
fn blank_words(text: &str) -> (String, Vec<(usize, String)>) {
    let token = Regex::new(concat!(
        r"(?s)(?P<line>//[^\n]*)|(?P<block>/\*)",
        r##"|(?P<raw>\b[bc]?r#*")|(?P<text>")"##,
        r"|(?P<char>'(?:\\(?:u\{[^}]*\}|x..|.)|[^\\'])')"
    ))
    .unwrap();
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut literals = Vec::new();
    let mut at = 0;
    while let Some(found) = token.captures_at(text, at) {
        let whole = found.get(0).unwrap();
        let end = if found.name("block").is_some() {
            end_of_block(bytes, whole.start())
        } else if found.name("raw").is_some() {
            let close = format!("\"{}", "#".repeat(whole.as_str().matches('#').count()));
            text[whole.end()..].find(&close).map_or(text.len(), |found| whole.end() + found + close.len())
        } else if found.name("text").is_some() {
            end_of_text(bytes, whole.end())
        } else {
            whole.end()
        };
        if found.name("raw").is_some() || found.name("text").is_some() {
            literals.push((whole.start(), text[whole.end()..end].to_owned()));
        }
        for byte in &mut code[whole.start()..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    (String::from_utf8(code).unwrap(), literals)
}

fn end_of_block(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0usize);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn end_of_text(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The checker itself: a rule that finds nothing protects nothing.
mod checker {
    use super::{ALLOWED, check, dependencies, stem};

    /// The rules that `text` breaks as the file `path`, each with its line.
    fn broken(path: &str, text: &str) -> Vec<String> {
        let crates: Vec<String> = ["serde", "chrono", "tokio", "rusqlite", "clap"].map(str::to_owned).into();
        check(path, text, &crates).iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn finds(path: &str, text: &str, line: usize, words: &str) {
        let rules = broken(path, text);
        let place = format!("{path}:{line}: ");
        assert!(rules.iter().any(|rule| rule.contains(&place) && rule.contains(words)), "not found in {rules:?}");
    }

    #[track_caller]
    fn passes(path: &str, text: &str) {
        assert_eq!(broken(path, text), Vec::<String>::new());
    }

    #[test]
    fn finds_an_outward_import_however_it_is_written() {
        let words = "`mapping` may not import `ledger`";
        finds("src/mapping/plan.rs", "use std::fmt;\nuse crate::ledger::row::FileId;\n", 2, words);
        finds("src/mapping/plan.rs", "use crate::{\n    domain::job::Job,\n    ledger::row::FileId,\n};\n", 3, words);
        finds("src/mapping/plan.rs", "use crate::{domain::{job, run::{self, RunKey}}, ledger};\n", 1, words);
        finds("src/mapping/plan.rs", "fn f() {\n    let id = crate::ledger::row::FileId(1);\n}\n", 2, words);
        finds("src/mapping/plan.rs", "use super::super::ledger::row;\n", 1, words);
        finds("src/mapping/mod.rs", "use super::ledger::row;\n", 1, words);
        finds("src/mapping/plan.rs", "pub use crate::ledger as book;\n", 1, words);
        finds("src/mapping/plan.rs", "mod inner {\n    use super::super::super::ledger::row;\n}\n", 2, words);
        finds("src/mapping/plan.rs", "fn f(x: Vec<crate :: ledger :: row :: FileId>) {}\n", 1, words);
    }

    #[test]
    fn lets_inward_imports_pass() {
        passes(
            "src/mapping/plan.rs",
            "use crate::{domain::job, format::csv::{self, Row}};\nuse super::spec::Origin;\n",
        );
        passes(
            "src/ledger/mod.rs",
            "use crate::domain::run::RunKey;\nfn q() -> &'static str { \"SELECT id FROM run\" }\n",
        );
        passes("src/pipeline/mod.rs", "use crate::{ledger::row, ports::Clock, mapping};\nuse tokio::task;\n");
        passes("src/cli/run.rs", "use crate::demo;\nfn f() { println!(\"{}\", 1); }\n");
        passes("src/main.rs", "use nightferry::cli;\nfn main() { eprintln!(\"x\"); }\n");
        passes(
            "src/domain/file.rs",
            "mod inner { use super::FileState; }\nuse chrono::Utc;\nfn f(now: chrono::DateTime<Utc>) {}\n",
        );
    }

    #[test]
    fn the_order_of_the_rings_is_kept() {
        finds("src/format/csv.rs", "use crate::mapping::plan;\n", 1, "`format` may not import `mapping`");
        finds("src/config/mod.rs", "use crate::adapters::sftp;\n", 1, "`config` may not import `adapters`");
        finds("src/ledger/mod.rs", "use crate::mapping::spec;\n", 1, "`ledger` may not import `mapping`");
        finds("src/adapters/sftp.rs", "use crate::ledger::row;\n", 1, "`adapters` may not import `ledger`");
        finds("src/pipeline/mod.rs", "use crate::report::json;\n", 1, "`pipeline` may not import `report`");
        finds("src/report/json.rs", "use crate::cli::run;\n", 1, "`report` may not import `cli`");
    }

    #[test]
    fn adapters_do_not_know_each_other() {
        finds("src/adapters/sftp.rs", "use super::http::Client;\n", 1, "adapter `sftp` may not know adapter `http`");
        finds(
            "src/adapters/http/mod.rs",
            "use crate::adapters::{sftp};\n",
            1,
            "adapter `http` may not know adapter `sftp`",
        );
        passes("src/adapters/mod.rs", "use self::http::Client;\nuse super::adapters::sftp;\n");
        passes("src/adapters/http/auth.rs", "use super::Client;\nuse crate::adapters::http::header;\n");
    }

    #[test]
    fn crates_stay_at_home() {
        finds("src/domain/job.rs", "use serde::Serialize;\n", 1, "`domain` may not use `serde`");
        finds("src/domain/job.rs", "\n#[derive(serde::Serialize)]\nstruct A;\n", 2, "`domain` may not use `serde`");
        finds("src/pipeline/mod.rs", "use rusqlite::Connection;\n", 1, "`rusqlite`, which belongs to ledger");
        finds("src/ledger/mod.rs", "use tokio::sync::Mutex;\n", 1, "`ledger` may not use `tokio`");
        finds("src/pipeline/mod.rs", "fn f(e: ::clap::Error) {}\n", 1, "`pipeline` may not use `clap`");
        finds("src/mapping/lookup.rs", "use std::{fs, fmt};\n", 1, "`mapping` is pure");
        finds("src/schedule/zone.rs", "fn f() { std::env::var(\"TZ\").ok(); }\n", 1, "`schedule` is pure");
        passes("src/config/tokio.rs", "fn f(x: super::tokio::Thing) {}\n");
    }

    #[test]
    fn clocks_prints_and_statements_have_their_place() {
        finds(
            "src/pipeline/mod.rs",
            "fn f() { let t = chrono::Utc::now(); }\n",
            1,
            "`Utc::now` outside the clock adapter",
        );
        finds("src/cli/run.rs", "\n\nlet t = SystemTime :: now();\n", 3, "outside the clock adapter");
        passes("src/adapters/clock.rs", "fn now() -> DateTime<Utc> { Utc::now() }\n");
        finds("src/retry.rs", "fn f() { Instant::now(); }\n", 1, "`Instant::now` in a ring without a clock");
        passes("src/pipeline/deliver.rs", "fn f() { Instant::now(); }\n");
        finds("src/report/table.rs", "fn f() { println!(\"a\") }\n", 1, "`println!` outside src/cli");
        finds("src/adapters/sftp.rs", "fn f() { eprint!(\"a\") }\n", 1, "`eprint!` outside src/cli");
        finds(
            "src/pipeline/mod.rs",
            "const A: &str = \"x\";\nconst Q: &str = r#\"SELECT 1\"#;\n",
            2,
            "SQL (`SELECT`) outside",
        );
        finds("src/cli/runs.rs", "const Q: &str = \"UPDATE run SET state = 1\";\n", 1, "SQL (`UPDATE`) outside");
    }

    #[test]
    fn comments_texts_and_tests_are_no_code() {
        passes(
            "src/mapping/plan.rs",
            concat!(
                "//! See [`crate::ledger`] and `Utc::now`.\n",
                "/* use crate::ledger::row; /* nested */ println!() */\n",
                "const A: &str = \"use crate::ledger::row; \\\" Utc::now()\";\n",
                "const B: char = '\"';\nfn f<'a>(x: &'a str) -> char { '\\'' }\n",
                "const C: &[u8] = br##\"crate::ledger::x\"# println!(\"##;\n",
                "#[cfg(test)]\nmod tests {\n    use crate::ledger::row;\n    fn f() { println!(\"SELECT 1\"); }\n}\n",
                "#[cfg(test)]\nuse crate::ledger::row;\n",
            ),
        );
        finds(
            "src/mapping/plan.rs",
            "const A: char = '\"';\n#[cfg(test)]\nmod tests;\nuse crate::ledger;\n",
            4,
            "may not import",
        );
        passes("src/mapping/tests.rs", "use crate::ledger;\n");
    }

    #[test]
    fn names_and_unknown_modules_are_found() {
        finds("src/mapping/date.rs", "fn f() { unsafe { g() } }\n", 1, "`unsafe` outside of the one file");
        passes("src/format/csv/masks.rs", "fn f() { unsafe { g() } }\n");
        finds("src/mapping/util.rs", "", 1, "a name that says nothing");
        finds("src/config/common/mod.rs", "", 1, "a name that says nothing");
        finds("src/web/mod.rs", "", 1, "module `web` has no place in the rings");
    }

    #[test]
    fn the_table_is_sound() {
        for (module, allowed) in ALLOWED {
            assert!(!allowed.contains(module), "{module} lists itself");
            for name in *allowed {
                assert!(ALLOWED.iter().any(|(known, _)| known == name), "{module} lists `{name}`, which is nowhere");
            }
        }
        assert_eq!(stem("src/a/b.rs"), "b");
        assert_eq!(
            dependencies("[package]\nname = \"x\"\n\n[dependencies]\na-b = \"1\"\n\n[dev-dependencies]\nc = \"1\"\n"),
            ["a_b"]
        );
    }
}
