//! `[source]`: which files a job takes, when, and what happens to them afterwards.

use std::time::Duration;

use globset::GlobBuilder;
use regex::bytes::Regex;
use toml::de::DeValue;

use super::template::{Known, date_template};
use super::tree::{At, Sink, Table, Value};
use super::unit::duration;
use crate::domain::name::ConnectionName;
use crate::domain::source::{
    Afterwards, ChecksumKind, DateTemplate, EmptyFile, FileOrder, IfNone, NameRule, OnGap, ReadyRule, SeenBefore,
    SequenceRule, Source, TemplatePart,
};

/// The name that a source without a connection has: `kind = "folder"`, with `folder` on this machine.
pub const HERE: &str = "this machine";

/// Reads the table; also the place of the connection's name.
pub fn read(table: Table<'_>) -> (Option<Source>, Option<At<String>>) {
    let connection = source_connection(&table);
    let sink = table.sink();
    let folder = match table.text("folder") {
        Some(text) => date_template(sink, &text, Known::Dates),
        None => (!table.has("folder")).then(DateTemplate::default),
    };
    let names = names(&table);
    let numbered = names.as_ref().is_some_and(is_numbered);
    let ready =
        table.get("ready_when").map_or(Some(ReadyRule::UnchangedFor(Duration::from_secs(10))), |value| ready(&value));
    let (at_least, at_most) = bounds(&table);
    let order = order(&table, numbered);
    let sequence = sequence(&table, numbered);
    let if_none = table.word("if_none", IfNone::from_word, &["wait", "succeed", "fail"]).unwrap_or(IfNone::Wait);
    let look_every = table.get("look_every").map_or(Some(Duration::from_secs(30)), |value| duration(&value));
    let empty_file = table.word("empty_file", EmptyFile::from_word, &["warn", "fail", "ok"]);
    let seen_before =
        table.word("seen_before", SeenBefore::from_word, &["skip", "reject", "process"]).unwrap_or(SeenBefore::Skip);
    let afterwards = table.get("afterwards").map_or(Some(Afterwards::Keep), |value| afterwards(&value));
    let source = (|| {
        Some(Source {
            connection: ConnectionName::new(connection.as_ref()?.value.clone()),
            folder: folder?,
            names: names?,
            order,
            ready: ready?,
            at_least: at_least?,
            at_most,
            sequence,
            if_none,
            look_every: look_every?,
            empty_file,
            seen_before,
            afterwards: afterwards?,
        })
    })();
    table.end();
    (source, connection)
}

fn source_connection(table: &Table<'_>) -> Option<At<String>> {
    let here = table.has("kind") && !table.has("connection");
    if !here {
        return table.required("connection").and_then(|value| value.text());
    }
    let kind = table.text("kind")?;
    if kind.value != "folder" {
        let message = format!("a source of kind `{}` is not in this version yet", kind.value);
        table.sink().error("NF191", &kind.span, message, "`folder`, or a connection, is");
        return None;
    }
    Some(At { value: HERE.to_owned(), span: kind.span })
}

/// `files` or `regex`: exactly one says which names are the job's.
fn names(table: &Table<'_>) -> Option<NameRule> {
    if let (Some(_), Some(regex)) = (table.peek("files"), table.peek("regex")) {
        let message = "`files` and `regex` both say which names are the job's";
        table.sink().error_help("NF106", &regex.span(), message, "beside `files`", "keep one of the two");
    }
    if let Some(pattern) = table.text("regex") {
        let _ = table.get("files");
        return regex(table.sink(), &pattern).map(NameRule::Regex);
    }
    table.required("files")?;
    let patterns = table.texts("files")?;
    let globs: Vec<_> = patterns.iter().map(|text| glob(table.sink(), text)).collect();
    if let (true, Some(value)) = (globs.is_empty(), table.peek("files")) {
        table.sink().error("NF104", &value.span(), "`files` needs at least one pattern", "");
        return None;
    }
    globs.into_iter().collect::<Option<_>>().map(NameRule::Globs)
}

fn glob(sink: &Sink<'_>, text: &At<String>) -> Option<DateTemplate> {
    let template = date_template(sink, text, Known::Names)?;
    if numbers(&template) > 1 {
        sink.error("NF122", &text.span, "`{sequence}` stands twice in this pattern", "a file has one number");
        return None;
    }
    let sample = template.fill(chrono::NaiveDate::default(), "");
    if sample.contains('/') {
        sink.error_help(
            "NF122",
            &text.span,
            "`files` is a pattern of names",
            "it holds a `/`",
            "put the folder into `folder`",
        );
        return None;
    }
    let plain = DateTemplate(template.0.iter().filter(|part| !is_number(part)).cloned().collect());
    if let Err(error) = GlobBuilder::new(&plain.fill(chrono::NaiveDate::default(), "")).literal_separator(true).build()
    {
        sink.error("NF122", &text.span, format!("this pattern cannot be used: {}", error.kind()), "");
        return None;
    }
    Some(template)
}

/// A regular expression has braces of its own, so only `{business_date…}` is a template in it.
fn regex(sink: &Sink<'_>, text: &At<String>) -> Option<DateTemplate> {
    const DATE: &str = "{business_date";
    let (mut parts, mut rest) = (Vec::new(), text.value.as_str());
    while let Some(at) = rest.find(DATE) {
        let end = rest[at..].find('}').map(|end| at + end + 1);
        let Some(end) = end else {
            sink.error("NF105", &text.span, "`{business_date` has no `}` behind it", "");
            return None;
        };
        parts.push(TemplatePart::Text(rest[..at].to_owned()));
        let date = At { value: rest[at..end].to_owned(), span: text.span.clone() };
        parts.extend(date_template(sink, &date, Known::Dates)?.0);
        rest = &rest[end..];
    }
    parts.push(TemplatePart::Text(rest.to_owned()));
    let template = DateTemplate(parts);
    let filled = template.fill(chrono::NaiveDate::default(), "");
    match Regex::new(&filled) {
        Ok(regex) => {
            let strange = |name: &&str| !matches!(*name, "date" | "sequence");
            if let Some(name) = regex.capture_names().flatten().find(strange) {
                let message = format!("the group `{name}` has no meaning here");
                let help = "a group may be called `date` (the business date, year first) or `sequence` (the number)";
                sink.error_help("NF150", &text.span, message, "", help);
                return None;
            }
            Some(template)
        }
        Err(error) => {
            let last = error.to_string();
            let reason = last.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            sink.error("NF230", &text.span, "this is not a regular expression", &reason);
            None
        }
    }
}

const fn is_number(part: &TemplatePart) -> bool {
    matches!(part, TemplatePart::Sequence(_))
}

fn numbers(template: &DateTemplate) -> usize {
    template.0.iter().filter(|part| is_number(part)).count()
}

/// Whether every name that matches has a number.
fn is_numbered(names: &NameRule) -> bool {
    match names {
        NameRule::Globs(globs) => globs.iter().all(|glob| numbers(glob) == 1),
        NameRule::Regex(regex) => regex.fill(chrono::NaiveDate::default(), "").contains("<sequence>"),
    }
}

fn bounds(table: &Table<'_>) -> (Option<u32>, Option<u32>) {
    let number = |key: &str, least| {
        table.get(key).and_then(|value| value.integer(least, 1_000_000)).and_then(|number| u32::try_from(number).ok())
    };
    let at_least = if table.has("at_least") { number("at_least", 0) } else { Some(1) };
    let at_most = number("at_most", 1);
    if let (Some(least), Some(most), Some(value)) = (at_least, at_most, table.peek("at_most"))
        && most < least
    {
        let message = format!("`at_most = {most}` is less than `at_least = {least}`");
        table.sink().error("NF111", &value.span(), message, "no run could ever begin");
    }
    (at_least, at_most)
}

const NUMBER_HELP: &str = "write `{sequence}` into `files`, for example `\"ORD_{sequence:05}_*.csv\"`, or a group `(?<sequence>\\d+)` into `regex`";

fn order(table: &Table<'_>, numbered: bool) -> FileOrder {
    let order =
        table.word("order", FileOrder::from_word, &["name", "oldest", "newest", "sequence"]).unwrap_or_default();
    if let (FileOrder::Sequence, false, Some(value)) = (order, numbered, table.peek("order")) {
        let message = "the names have no number to be ordered by";
        table.sink().error_help("NF150", &value.span(), message, "", NUMBER_HELP);
    }
    order
}

fn sequence(table: &Table<'_>, numbered: bool) -> Option<SequenceRule> {
    let value = table.get("sequence")?;
    let rule = value.table("source.sequence")?;
    let on_gap = rule.word("on_gap", OnGap::from_word, &["wait", "fail", "warn"]).unwrap_or(OnGap::Wait);
    let first = rule.get("first").and_then(|value| value.integer(0, 1 << 53));
    let daily = rule.word("restarts", |word| word_of(word, &[("never", false), ("daily", true)]), &["never", "daily"]);
    rule.end();
    if !numbered {
        let message = "the names have no number to be counted by";
        table.sink().error_help("NF150", &value.span(), message, "", NUMBER_HELP);
    }
    Some(SequenceRule { on_gap, first, daily: daily.unwrap_or(false) })
}

fn word_of<T: Copy>(word: &str, known: &[(&str, T)]) -> Option<T> {
    known.iter().find(|(name, _)| *name == word).map(|(_, value)| *value)
}

fn ready(value: &Value<'_>) -> Option<ReadyRule> {
    let help = "`\"at_once\"`, `{ unchanged_for = \"10s\" }`, `{ done_file = \"{file}.done\" }` or `{ checksum = \"{file}.sha256\" }`";
    if let DeValue::String(word) = value.node() {
        if word == "at_once" {
            return Some(ReadyRule::AtOnce);
        }
        value.sink().error_help(
            "NF104",
            &value.span(),
            format!("`{word}` does not say when a file is ready"),
            "",
            help,
        );
        return None;
    }
    let table = value.table("source.ready_when")?;
    let rule = match (table.get("unchanged_for"), table.text("done_file"), table.text("checksum")) {
        (Some(pause), None, None) => duration(&pause).map(ReadyRule::UnchangedFor),
        (None, Some(done), None) => date_template(table.sink(), &done, Known::File).map(ReadyRule::DoneFile),
        (None, None, Some(checksum)) => checksum_rule(table.sink(), &checksum),
        _ => {
            table.sink().error_help("NF104", &value.span(), "one rule is needed here", "", help);
            None
        }
    };
    table.end();
    rule
}

fn checksum_rule(sink: &Sink<'_>, text: &At<String>) -> Option<ReadyRule> {
    let template = date_template(sink, text, Known::File)?;
    let ending = text.value.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    let Some(kind) = ChecksumKind::from_word(&ending) else {
        let message = "the ending of this name must say how the checksum is made";
        let help = "it ends with `.sha256`, `.sha512`, `.sha1` or `.md5`, for example `\"{file}.sha256\"`";
        sink.error_help("NF104", &text.span, message, "", help);
        return None;
    };
    Some(ReadyRule::Checksum(template, kind))
}

fn afterwards(value: &Value<'_>) -> Option<Afterwards> {
    let help = "`\"keep\"`, `\"delete\"` or `{ move_to = \"/done/{business_date:%Y-%m}\" }`";
    match value.node() {
        DeValue::String(word) if word == "keep" => Some(Afterwards::Keep),
        DeValue::String(word) if word == "delete" => Some(Afterwards::Delete),
        DeValue::Table(_) => {
            let table = value.table("source.afterwards")?;
            let folder = table.required("move_to").and_then(|value| value.text());
            table.end();
            date_template(value.sink(), &folder?, Known::Dates).map(Afterwards::MoveTo)
        }
        _ => {
            value.sink().error_help("NF104", &value.span(), "this does not say what happens to the file", "", help);
            None
        }
    }
}
