//! `nightferry explain`: what a code means and what to do, the words of a mapping, and when a request is made again. Offline.

use serde_json::json;

use super::Common;
use super::context::{print, print_json};
use super::exit::{Exit, Failure};
use crate::config::catalogue::{self, Entry};
use crate::config::suggest::nearest;
use crate::config::words::{File, Kind, Place, Shape, Word};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A code (`NF101`, `lookup-missing`, `control:ID`), or `mapping`, `job`, `connections`, `config`, `calendar`, `retry`, `codes`
    topic: Option<String>,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn execute(args: &Args, _common: &Common) -> Result<Exit, Failure> {
    let Some(topic) = &args.topic else {
        print(
            "topics: a code such as NF101 or lookup-missing, `codes` (all of them), `retry`,\n\
             and the words of a file: `mapping`, `job`, `connections`, `config` (nightferry.toml), `calendar`\n",
        );
        return Ok(Exit::DONE);
    };
    let word = topic.to_lowercase();
    if let Some(file) = File::ALL.into_iter().find(|file| word == file.name() || word == singular(*file)) {
        print(&reference(file));
        return Ok(Exit::DONE);
    }
    match word.as_str() {
        "retry" => print(&retry()),
        "codes" => print(&codes()),
        _ => match catalogue::find(topic) {
            Some(entry) if args.json => print_json(&document(entry))?,
            Some(entry) => print(&page(entry)),
            None => {
                let files = File::ALL.iter().map(|file| file.name());
                let known = catalogue::ENTRIES.iter().map(|entry| entry.code).chain(["retry", "codes"]).chain(files);
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

/// What people also call a file.
fn singular(file: File) -> &'static str {
    match file {
        File::Connections => "connection",
        File::Project => "nightferry.toml",
        file => file.name(),
    }
}

/// The reference of a kind of file.
fn reference(file: File) -> String {
    let mut text = match file {
        File::Mapping => String::from(
            "The words of a mapping file. A recipe has exactly one of `from`, `first_of`, `template`, `value`, `cases`, `auto`.\n\
             The order of work: when → origin → missing → clean → lookup → type → default → required → limits → unique.\n",
        ),
        File::Job => "The words of a job file.\n".to_owned(),
        File::Connections => "The words of connections.toml.\n\n[NAME]\n".to_owned(),
        File::Project => "The words of nightferry.toml.\n".to_owned(),
        File::Calendar => "The words of a calendar file.\n".to_owned(),
    };
    for place in file.places() {
        text.push_str(&format!("\n{}   {}\n", heading(place), place.means));
        let table = if place.kind == Kind::Named { format!("{}.*", place.name) } else { place.name.to_owned() };
        text.push_str(&words(file, &table, 2));
    }
    let more = match file {
        File::Mapping => {
            &[("clean", "steps of `clean`"), ("condition", "conditions: `{ Qty = { at_least = 100 } }`")][..]
        }
        File::Connections => &[("@*", ""), ("secret", "references: `{ secret = \"NAME\" }`")],
        File::Job => &[("secret", "references: `{ secret = \"NAME\" }`")],
        File::Project => &[("secret", "references: `{ secret = \"NAME\" }`")],
        File::Calendar => &[],
    };
    for (table, title) in more {
        if !title.is_empty() {
            text.push_str(&format!("\n{title}\n"));
        }
        text.push_str(&words(file, table, 2));
    }
    text
}

fn heading(place: &Place) -> String {
    match place.kind {
        Kind::One | Kind::Free => format!("[{}]", place.name),
        Kind::Named if place.name == "fields" => "[fields]   \"target\" = { … }".to_owned(),
        Kind::Named => format!("[{}.NAME]", place.name),
        Kind::List => format!("[[{}]]", place.name),
    }
}

/// The words of a table; those of a table inside it stand below its key.
fn words(file: File, table: &str, indent: usize) -> String {
    let list = file.words().iter().filter(|word| word.table == table);
    list.map(|word| one(word, indent) + &words(file, &format!("{table}.{}", word.key), indent + 2)).collect()
}

fn one(word: &Word, indent: usize) -> String {
    let width = 26_usize.saturating_sub(indent);
    let listed = match word.shape {
        Shape::OneOf(words) | Shape::SomeOf(words) => format!(" ({})", words.join(" · ")),
        Shape::WordOrTable(words) if !words.is_empty() => format!(" ({}, or a table)", words.join(" · ")),
        _ => String::new(),
    };
    let mut text = format!("{:indent$}{:<width$} {}{listed}\n", "", word.key, word.means);
    if let Some(example) = word.example {
        let row: Vec<String> = example.row.iter().map(|(column, cell)| format!("{column} = \"{cell}\"")).collect();
        text.push_str(&format!("  {:<24} {}\n", "", example.recipe));
        text.push_str(&format!("  {:<24}   {} → {}\n", "", row.join(", "), example.gives));
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
