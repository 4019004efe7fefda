//! `nightferry diff`: what a change of a mapping would do to real data.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::Common;
use super::context::{Context, mapping, not_valid, print, print_json};
use super::exit::{Exit, Failure};
use super::given::given;
use crate::adapters::clock::SystemClock;
use crate::config::project::{LoadedMapping, compile_text};
use crate::domain::control::ControlResult;
use crate::pipeline::comparison::{self, Comparison, ComparisonInput};
use crate::ports::Clock as _;
use crate::report::text::{counted, grouped};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The mapping
    mapping: String,
    /// A revision of Git, or another mapping file
    #[arg(long, value_name = "REV|FILE", default_value = "HEAD")]
    against: String,
    /// A file, or `last`: the last accepted one
    #[arg(long, value_name = "FILE", default_value = "last")]
    file: PathBuf,
    /// Every record that changes, not only examples
    #[arg(long)]
    all: bool,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn execute(args: &Args, common: &Common) -> Result<Exit, Failure> {
    let context = Context::open(common)?;
    let new = mapping(&context, &args.mapping, common)?;
    let (old, label) = old(&context, &new, args, common)?;
    let given = given(&context, &new, Some(&args.file))?
        .ok_or_else(|| Failure::new(Exit::FAILED, "no-file", "there is no file to compare on"))?;
    let compared = comparison::run(ComparisonInput {
        files: [given.again()?, given.again()?],
        specs: [&old.spec, &new.spec],
        name: &given.name,
        business_date: SystemClock.now().date_naive(),
        examples: if args.all { usize::MAX } else { 3 },
    });
    let compared = compared.map_err(|error| Failure::new(Exit::FAILED, "file", format!("{}: {error}", given.name)))?;
    if args.json {
        print_json(&document(&compared, &label, &given.name))?;
    } else {
        print(&shown(&compared, &args.mapping, &label, &given.name, args.all));
    }
    Ok(if compared.is_same() { Exit::DONE } else { Exit::DIFFERENT })
}

/// The mapping to compare with, and what it is called.
fn old(
    context: &Context,
    new: &LoadedMapping,
    args: &Args,
    common: &Common,
) -> Result<(LoadedMapping, String), Failure> {
    let root = context.project.root.clone();
    let path = Path::new(&args.against);
    let (text, label, revision) = if path.is_file() {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::new(Exit::FAILED, "file", format!("{}: {error}", path.display())))?;
        (text, path.display().to_string(), None)
    } else {
        let text = at_revision(&root, &args.against, &new.path)?;
        let short = git(&root, &["rev-parse", "--short", &args.against]).unwrap_or_else(|_| args.against.clone());
        (text, short.trim().to_owned(), Some(args.against.clone()))
    };
    let lookups = |file: &str| revision.as_ref().and_then(|revision| at_revision(&root, revision, file).ok());
    compile_text(&new.name, &new.path, &text, &lookups, &root)
        .map(|old| (old, label))
        .map_err(|problems| not_valid(&problems, common))
}

fn at_revision(root: &Path, revision: &str, path: &str) -> Result<String, Failure> {
    // `./` makes the path relative to the project, wherever the repository begins.
    git(root, &["show", &format!("{revision}:./{path}")]).map_err(|error| {
        Failure::new(Exit::FAILED, "no-revision", format!("{path} of {revision}: {error}"))
            .hint("`--against` takes a revision of Git or another mapping file")
    })
}

fn git(root: &Path, arguments: &[&str]) -> Result<String, String> {
    let output =
        Command::new("git").arg("-C").arg(root).args(arguments).output().map_err(|error| format!("git: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    String::from_utf8(output.stdout).map_err(|_| "it is no text".to_owned())
}

fn document(compared: &Comparison, label: &str, file: &str) -> serde_json::Value {
    let changes: Vec<_> = compared
        .changes
        .iter()
        .map(|change| json!({ "path": change.path, "count": change.count, "from": change.from, "to": change.to, "rows": change.rows, "keys": change.keys }))
        .collect();
    let controls: Vec<_> = totals(compared)
        .into_iter()
        .map(|(title, before, after)| json!({ "title": title, "before": before, "after": after }))
        .collect();
    json!({
        "against": label, "file": file, "rows": compared.rows, "identical": compared.identical, "changed": compared.changed,
        "newly_rejected": compared.newly_rejected, "no_longer_rejected": compared.no_longer_rejected, "changes": changes,
        "records": { "before": compared.records[0], "after": compared.records[1] }, "controls": controls,
    })
}

fn shown(compared: &Comparison, name: &str, label: &str, file: &str, all: bool) -> String {
    let Comparison { rows, records, identical, changed, newly_rejected, no_longer_rejected, .. } = compared;
    let mut text = format!(
        "mapping {name}: working copy against {label}, on {file} ({} → {})\n",
        counted(*rows, "row"),
        counted(records[1], "record")
    );
    text.push_str(&format!(
        "  identical {}     changed {}     newly rejected {}     no longer rejected {}\n",
        grouped(*identical),
        grouped(*changed),
        grouped(*newly_rejected),
        grouped(*no_longer_rejected)
    ));
    let width = compared.changes.iter().map(|change| change.path.chars().count()).max().unwrap_or(0);
    let counts = compared.changes.iter().map(|change| grouped(change.count).len()).max().unwrap_or(0);
    for change in &compared.changes {
        let rows: Vec<String> = match change.keys.len() == change.rows.len() {
            true => change.keys.clone(),
            false => change.rows.iter().map(|row| format!("line {row}")).collect(),
        };
        let eg = if change.count > change.rows.len() as u64 { "e.g. " } else { "" };
        let more = if !all && change.count > change.rows.len() as u64 { "   (--all lists them)" } else { "" };
        text.push_str(&format!(
            "  {:<width$}   {:>counts$}   {} → {}      {eg}{}{more}\n",
            change.path,
            grouped(change.count),
            change.from,
            change.to,
            rows.join(", ")
        ));
    }
    for (what, list) in [("newly rejected", &compared.rejected_lines), ("no longer rejected", &compared.accepted_lines)]
    {
        if !list.is_empty() {
            let lines: Vec<String> = list.iter().map(|(line, why)| format!("line {line} ({why})")).collect();
            text.push_str(&format!("  {what}: {}\n", lines.join(", ")));
        }
    }
    text + &totals_line(compared)
}

/// Title, before and after: the records, then each of `[[controls]]`.
fn totals(compared: &Comparison) -> Vec<(String, Option<String>, Option<String>)> {
    let [before, after] = compared.records;
    let mut totals = vec![("records".to_owned(), Some(grouped(before)), Some(grouped(after)))];
    let name = |control: &ControlResult| {
        if control.title.is_empty() { control.id.clone() } else { control.title.clone() }
    };
    let found = |controls: &[ControlResult], id: &str| {
        controls.iter().find(|control| control.id == id).map(|control| control.found.clone())
    };
    let [old, new] = &compared.controls;
    for control in new.iter().chain(old.iter().filter(|one| new.iter().all(|known| known.id != one.id))) {
        totals.push((name(control), found(old, &control.id), found(new, &control.id)));
    }
    totals
}

/// `control totals unchanged: records 3 981, …`, or what changed of them.
fn totals_line(compared: &Comparison) -> String {
    let totals = totals(compared);
    let said = |value: &Option<String>| value.clone().unwrap_or_else(|| "–".to_owned());
    let (same, other): (Vec<_>, Vec<_>) = totals.iter().partition(|(_, before, after)| before == after);
    let list = |totals: Vec<String>| totals.join(", ");
    let same = list(same.iter().map(|(title, _, after)| format!("{title} {}", said(after))).collect());
    let other = list(
        other.iter().map(|(title, before, after)| format!("{title} {} → {}", said(before), said(after))).collect(),
    );
    match (same.is_empty(), other.is_empty()) {
        (_, true) => format!("control totals unchanged: {same}\n"),
        (true, false) => format!("control totals changed: {other}\n"),
        (false, false) => format!("control totals changed: {other}; unchanged: {same}\n"),
    }
}
