//! `nightferry explain`: what a code means and what to do, the words of a mapping, and when a request is made again. Offline.

use serde_json::json;

use super::Common;
use super::context::{print, print_json};
use super::exit::{Exit, Failure};
use crate::config::catalogue::{self, Entry};
use crate::config::suggest::nearest;
use crate::config::words::{Shape, WORDS};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A code (`NF101`, `lookup-missing`, `control:ID`), or `mapping`, `retry`, `codes`
    topic: Option<String>,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn execute(args: &Args, _common: &Common) -> Result<Exit, Failure> {
    let Some(topic) = &args.topic else {
        print("topics: a code such as NF101 or lookup-missing, `codes` (all of them), `mapping`, `retry`\n");
        return Ok(Exit::DONE);
    };
    match topic.to_lowercase().as_str() {
        "mapping" => print(&mapping()),
        "retry" => print(&retry()),
        "codes" => print(&codes()),
        _ => match catalogue::find(topic) {
            Some(entry) if args.json => print_json(&document(entry))?,
            Some(entry) => print(&page(entry)),
            None => {
                let known = catalogue::ENTRIES.iter().map(|entry| entry.code).chain(["mapping", "retry", "codes"]);
                let near = nearest(topic, known).map(|near| format!("did you mean `{near}`? "));
                let hint = format!("{}`nightferry explain codes` lists every code", near.unwrap_or_default());
                return Err(
                    Failure::new(Exit::FAILED, "no-such-topic", format!("there is nothing about `{topic}`")).hint(hint)
                );
            }
        },
    }
    Ok(Exit::DONE)
}

fn document(entry: &Entry) -> serde_json::Value {
    json!({ "code": entry.code, "title": entry.title, "means": entry.means, "next": entry.next })
}

fn page(entry: &Entry) -> String {
    format!("{}: {}\n\n{}\n\nWhat to do: {}\n", entry.code, entry.title, wrap(entry.means), wrap(entry.next))
}

fn codes() -> String {
    catalogue::ENTRIES.iter().map(|entry| format!("{:<24} {}\n", entry.code, entry.title)).collect()
}

/// Lines of at most 100 characters.
fn wrap(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if lines[last].chars().count() + word.chars().count() >= 100 {
            lines.push(word.to_owned());
        } else {
            if !lines[last].is_empty() {
                lines[last].push(' ');
            }
            lines[last].push_str(word);
        }
    }
    lines.join("\n")
}

/// The reference of the mapping language.
fn mapping() -> String {
    let mut text = String::from(
        "The words of a mapping file. A recipe has exactly one of `from`, `first_of`, `template`, `value`, `cases`, `auto`.\n\
         The order of work: when → origin → missing → clean → lookup → type → default → required → limits → unique.\n",
    );
    let mut table = "";
    for word in WORDS {
        if word.table != table {
            table = word.table;
            let title = match table {
                "fields.*" => "[fields]   \"target\" = { … }".to_owned(),
                "clean" => "steps of `clean`".to_owned(),
                "checks" | "controls" | "tests" => format!("[[{table}]]"),
                table => format!("[{}]", table.replace('*', "NAME")),
            };
            text.push_str(&format!("\n{title}\n"));
        }
        let words = match word.shape {
            Shape::OneOf(words) => format!(" ({})", words.join(" · ")),
            _ => String::new(),
        };
        text.push_str(&format!("  {:<24} {}{words}\n", word.key, word.means));
        if let Some(example) = word.example {
            let row: Vec<String> = example.row.iter().map(|(column, cell)| format!("{column} = \"{cell}\"")).collect();
            text.push_str(&format!("  {:<24} {}\n", "", example.recipe));
            text.push_str(&format!("  {:<24}   {} → {}\n", "", row.join(", "), example.gives));
        }
    }
    text
}

/// When a request is made again, as the program decides it.
fn retry() -> String {
    let mut text = String::from("When a request is made again (asked of the program itself):\n\n");
    text.push_str(&format!("  {:<34} {:<34} {}\n", "", "with a key, inside its window", "without a key"));
    for row in crate::retry::table() {
        text.push_str(&format!("  {:<34} {:<34} {}\n", row.failure, row.with_key, row.without_key));
    }
    text
}
