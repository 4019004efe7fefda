//! The canonical layout of a TOML file: one blank line between tables, `=` in a column, comments where they were.
//!
//! Works on the text, not on a parsed tree: what the author aligned can only be seen in the text. The meaning never
//! changes; that is checked for every file before its new text is given out. What is canonical already comes out as it
//! went in.

mod align;
mod print;
mod scan;
mod value;

use toml::Value;

use super::diagnostic::Problems;
use super::tree::Sink;
use align::Run;
use print::Printed;
use scan::{Line, scan};

/// Most rounds until nothing moves.
const ROUNDS: usize = 8;

/// Lays out the text of the file at `path`. A text that is not TOML is a problem, told with its place.
pub fn layout(path: &str, text: &str) -> Result<String, Problems> {
    let text = text.trim_start_matches('\u{feff}');
    let sink = Sink::new(path, text);
    sink.parse();
    if !sink.is_clean() {
        return Err(sink.finish());
    }
    let mut laid_out = arrange(&scan(text));
    // What is aligned may show what else can be; after a few rounds nothing moves.
    for _ in 0..ROUNDS {
        let again = arrange(&scan(&laid_out));
        if again == laid_out {
            break;
        }
        laid_out = again;
    }
    if !means_the_same(text, &laid_out) {
        let help = "please report this file; until then lay it out by hand";
        sink.error_help("NF131", &(0..0), "this file cannot be laid out without changing what it means", "", help);
        return Err(sink.finish());
    }
    Ok(laid_out)
}

fn means_the_same(before: &str, after: &str) -> bool {
    match (before.parse::<toml::Table>(), after.parse::<toml::Table>()) {
        (Ok(before), Ok(after)) => same(&Value::Table(before), &Value::Table(after)),
        _ => false,
    }
}

/// Equality in which `nan` equals itself.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Table(a), Value::Table(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

fn arrange(lines: &[Line<'_>]) -> String {
    let lines = with_blanks(lines);
    let mut printed = Printed::default();
    let mut in_sample = false;
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        match line {
            Line::Blank => printed.blank(),
            Line::Comment(comment) => printed.comment(comment, 0),
            Line::Header { code, comment } => {
                in_sample = code.starts_with("[sample]") || code.starts_with("[sample.");
                printed.push(code);
                printed.end_line(comment.as_ref());
            }
            Line::Entry(_) => {
                let run: Vec<&Line<'_>> = lines[at..].iter().copied().take_while(|line| line.is_within_run()).collect();
                print_run(&mut printed, &run, in_sample);
                at += run.len();
                continue;
            }
        }
        at += 1;
    }
    printed.finish()
}

/// Key lines up to the next blank line or table; comments between them do not part them.
fn print_run(printed: &mut Printed, run: &[&Line<'_>], in_sample: bool) {
    let entries = run.iter().filter_map(|line| if let Line::Entry(entry) = line { Some(entry) } else { None });
    let column = Run::of(entries, in_sample);
    for line in run {
        match line {
            Line::Entry(entry) => {
                printed.push(&entry.key);
                printed.pad_to(column.of_entry(entry));
                printed.push("= ");
                printed.node(&entry.value, 0);
                printed.end_line(entry.comment.as_ref());
            }
            Line::Comment(comment) => printed.comment(comment, 0),
            Line::Blank | Line::Header { .. } => {}
        }
    }
}

/// At most one blank line anywhere, one before every table (and the comment that stands on it), none at the ends.
fn with_blanks<'l, 't>(lines: &'l [Line<'t>]) -> Vec<&'l Line<'t>> {
    let mut kept: Vec<&Line<'t>> = Vec::with_capacity(lines.len());
    for line in lines {
        match line {
            Line::Blank if kept.last().is_none_or(|last| matches!(last, Line::Blank)) => {}
            Line::Header { .. } => {
                let start = start_of_comment(&kept);
                if start > 0 && !matches!(kept[start - 1], Line::Blank) {
                    kept.insert(start, &Line::Blank);
                }
                kept.push(line);
            }
            line => kept.push(line),
        }
    }
    while matches!(kept.last(), Some(Line::Blank)) {
        kept.pop();
    }
    kept
}

/// Where the comment lines begin that stand directly on what comes next. A `#:schema` line belongs to the file.
fn start_of_comment(kept: &[&Line<'_>]) -> usize {
    let mut start = kept.len();
    while start > 0 && matches!(kept[start - 1], Line::Comment(comment) if !comment.continues && !comment.is_schema()) {
        start -= 1;
    }
    start
}

#[cfg(test)]
mod tests;
