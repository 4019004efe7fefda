//! The books as a page that reads well on a screen, at the width of a phone and on paper. No script; everything escaped.

use std::fmt::Write as _;

use super::books::{Books, Line};
use super::document::instant;
use super::reconciliation::{amounts_of, note_of, state_of_break, state_of_file, what_of};
use super::rejects::playbook_line;
use super::text::{amount, counted, grouped, size};
use crate::domain::file::shown_name;
use crate::domain::measure::Comparison;

const STYLE: &str = include_str!("page.css");

/// A whole page around `body`.
pub fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        escaped(title)
    )
}

/// The reconciliations of some runs, one after the other.
pub fn html(books: &[Books], organisation: &str) -> String {
    let title = match books {
        [one] => format!("Reconciliation · {} · {}", one.run.job, one.run.business_date),
        _ => "Reconciliation".to_owned(),
    };
    let body: String = books.iter().map(|one| article(one, organisation)).collect();
    page(&title, &body)
}

/// The class of a result: a colour beside the mark and the word.
pub fn class(result: Comparison) -> &'static str {
    match result {
        Comparison::Balanced | Comparison::Nothing => "good",
        Comparison::WithinTolerance | Comparison::NotConfirmed => "open",
        Comparison::Break => "bad",
    }
}

fn article(books: &Books, organisation: &str) -> String {
    let result = books.result();
    let mut text = String::from("<main>\n");
    let title = if books.title.is_empty() { books.run.job.as_str() } else { &books.title };
    let number = if books.run.number > 1 { format!(" · run {}", books.run.number) } else { String::new() };
    let _ = writeln!(
        text,
        "<header><h1>{}</h1><span class=\"result {}\">{} {}</span><span class=\"when\">{} · business date {}{number} · {}</span></header>",
        escaped(title),
        class(result),
        result.mark(),
        result.word(),
        escaped(books.run.job.as_str()),
        books.run.business_date,
        books.run.state
    );
    if let Some(error) = &books.run.error {
        let hint = error.hint.as_ref().map(|hint| format!("<br>→ {}", escaped(hint))).unwrap_or_default();
        let _ = writeln!(
            text,
            "<p class=\"error\"><strong>{}</strong>: {}{hint}</p>",
            escaped(&error.code),
            escaped(&error.message)
        );
    }
    text += &equation(books);
    text += &compared(books);
    text += &breaks(books);
    text += &sign_off(books);
    text += &files(books);
    text += &steps(books);
    let _ = writeln!(
        text,
        "<footer>{} · run <span class=\"mono\">{}</span> · mapping <span class=\"mono\">{}</span> · made by Nightferry from its ledger</footer>",
        escaped(organisation),
        escaped(books.run.id.as_str()),
        books
            .run
            .mapping_version
            .as_ref()
            .map(|hash| hash.as_str()[..12.min(hash.as_str().len())].to_owned())
            .unwrap_or_default()
    );
    text + "</main>\n"
}

fn equation(books: &Books) -> String {
    let (rows, records) = books.totals();
    let cells = |label: &str, parts: &[String], signs: &[&str]| {
        let mut line = format!("<tr><td><strong>{label}</strong></td>");
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                let _ = write!(line, "<td class=\"sign\">{}</td>", signs[at - 1]);
            }
            let _ = write!(line, "<td class=\"n\">{part}</td>");
        }
        line + "</tr>\n"
    };
    let mut text = String::from(
        "<h2>The equation</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th></th><th class=\"n\">read</th><th></th><th class=\"n\">skipped</th><th></th><th class=\"n\">rejected</th><th></th><th class=\"n\">used</th></tr></thead>\n<tbody>\n",
    );
    text += &cells("rows", &[rows.read, rows.skipped, rows.rejected, rows.used].map(grouped), &["=", "+", "+"]);
    text += "</tbody></table></div>\n<div class=\"scroll\"><table>\n<thead><tr><th></th><th class=\"n\">made</th><th></th><th class=\"n\">accepted</th><th></th><th class=\"n\">refused</th><th></th><th class=\"n\">unanswered</th><th></th><th class=\"n\">pending</th></tr></thead>\n<tbody>\n";
    let signs = ["=", "+", "+", "+"];
    let counts = [records.made, records.accepted, records.refused, records.unanswered, records.pending].map(grouped);
    text += &cells("records", &counts, &signs);
    for measure in &books.measures {
        let all = [measure.made, measure.accepted, measure.refused, measure.unanswered, measure.pending];
        let scale = all.iter().map(rust_decimal::Decimal::scale).max().unwrap_or(0);
        let label = format!("{} {}", escaped(&measure.title), escaped(&measure.unit));
        text += &cells(label.trim(), &all.map(|one| amount(one, scale)), &signs);
    }
    text + "</tbody></table></div>\n"
}

fn compared(books: &Books) -> String {
    let mut text = String::from("<h2>Control totals and measures</h2>\n");
    let lines = books.lines();
    if lines.is_empty() {
        return text + "<p class=\"nothing\">Nothing to compare.</p>\n";
    }
    text += "<div class=\"scroll\"><table>\n<thead><tr><th>what</th><th class=\"n\">expected</th><th class=\"n\">found</th><th class=\"n\">difference</th><th class=\"n\">tolerance</th><th>result</th></tr></thead>\n<tbody>\n";
    for Line { section, what, unit, expected, found, difference, tolerance, result } in lines {
        let from = match section {
            "file" => "File: ",
            "target" => "Ours → target: ",
            _ => "",
        };
        let _ = writeln!(
            text,
            "<tr><td>{from}{} {}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"{}\">{} {}</td></tr>",
            escaped(&what),
            escaped(&unit),
            escaped(&expected),
            escaped(&found),
            escaped(&difference),
            escaped(&tolerance),
            class(result),
            result.mark(),
            result.word()
        );
    }
    text + "</tbody></table></div>\n"
}

fn breaks(books: &Books) -> String {
    let current = books.breaks.iter().filter(|one| one.state.is_current()).count();
    let mut text = format!("<h2>Breaks {current}</h2>\n");
    if books.breaks.is_empty() {
        text += "<p class=\"nothing\">None.</p>\n";
    } else {
        text += "<div class=\"scroll\"><table>\n<thead><tr><th></th><th>type</th><th>what</th><th class=\"n\">age</th><th class=\"n\">amount</th><th>state</th><th>reason</th><th>note</th></tr></thead>\n<tbody>\n";
        for one in &books.breaks {
            let look = if one.state.is_current() { "bad" } else { "good" };
            let _ = writeln!(
                text,
                "<tr><td>#{}</td><td>{}</td><td>{}</td><td class=\"n\">{} d</td><td class=\"n\">{}</td><td class=\"{look}\">{}</td><td>{}</td><td>{}</td></tr>",
                one.id,
                one.kind.title(),
                escaped(&what_of(one)),
                books.age_of(one),
                escaped(&amounts_of(one)),
                state_of_break(one),
                escaped(one.reason.as_deref().unwrap_or_default()),
                escaped(&note_of(one))
            );
        }
        text += "</tbody></table></div>\n";
    }
    if books.causes.is_empty() {
        return text;
    }
    text += "<h2>Causes</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th>code</th><th class=\"n\">how many</th><th>playbook</th></tr></thead>\n<tbody>\n";
    for (code, side, count) in &books.causes {
        let (what, noun) = if side == "target" { ("refused by target", "record") } else { ("rejected", "row") };
        let _ = writeln!(
            text,
            "<tr><td><strong>{}</strong> <span class=\"note\">{what}</span></td><td class=\"n\">{}</td><td>{}</td></tr>",
            escaped(&shown_name(code.as_bytes())),
            counted(*count, noun),
            escaped(&playbook_line(&books.playbook, code, side).unwrap_or_default())
        );
    }
    text + "</tbody></table></div>\n"
}

fn sign_off(books: &Books) -> String {
    let look = if books.is_signed_off() { "good" } else { "open" };
    let mut text = format!("<h2>Sign-off</h2>\n<p class=\"{look}\">{}</p>\n", escaped(&books.sign_off_words()));
    for row in &books.sign_offs {
        let void = row
            .reopened_at
            .map(|at| format!(" · <span class=\"bad\">re-opened {}</span>", instant(at)))
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "<p>{} · {} by <strong>{}</strong> · {}{void}</p>",
            instant(row.at),
            row.role,
            escaped(&row.who),
            escaped(&row.note)
        );
    }
    if !books.is_signed_off() {
        text += "<div class=\"lines\"><div class=\"line\">prepared by, date</div><div class=\"line\">reviewed by, date</div></div>\n";
    }
    text
}

fn files(books: &Books) -> String {
    let mut text = String::from("<h2>Files and hashes</h2>\n");
    if books.files.is_empty() {
        return text + "<p class=\"nothing\">No file.</p>\n";
    }
    text += "<div class=\"scroll\"><table>\n<thead><tr><th>file</th><th class=\"n\">size</th><th class=\"n\">rows</th><th class=\"n\">records</th><th>state</th><th>SHA-256</th></tr></thead>\n<tbody>\n";
    for file in &books.files {
        let notes: String =
            file.warnings.iter().map(|note| format!("<br><span class=\"note\">{}</span>", escaped(note))).collect();
        let _ = writeln!(
            text,
            "<tr><td>{}{notes}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td><td class=\"mono\">{}</td></tr>",
            escaped(&shown_name(&file.name)),
            size(file.size),
            grouped(file.rows.read),
            grouped(file.records.made),
            escaped(&state_of_file(file)),
            file.sha256.as_ref().map(|hash| hash.as_str().to_owned()).unwrap_or_default()
        );
    }
    text + "</tbody></table></div>\n"
}

fn steps(books: &Books) -> String {
    let run = &books.run;
    let mut text = String::from("<h2>Steps</h2>\n<table><tbody>\n");
    let mut step = |name: &str, when: String, what: String| {
        let _ =
            writeln!(text, "<tr><td><strong>{name}</strong></td><td class=\"mono\">{when}</td><td>{what}</td></tr>");
    };
    step("started", instant(run.started_at), format!("trigger: {}", run.trigger.word()));
    let bytes: u64 = books.files.iter().map(|file| file.size).sum();
    step("landed and mapped", String::new(), format!("{}, {}", counted(books.files.len() as u64, "file"), size(bytes)));
    if let Some((first, last)) = books.sent {
        let until = last.map(|last| format!(" – {}", instant(last))).unwrap_or_default();
        let retries = run.attempts.saturating_sub(run.batches);
        let again = if retries > 0 { format!(", {retries} of them again") } else { String::new() };
        step(
            "sent",
            instant(first) + &until,
            format!("{} in {}{again}", counted(run.batches, "batch"), counted(run.attempts, "attempt")),
        );
    }
    if let Some(finished) = run.finished_at {
        step("finished", instant(finished), books.took().map(|took| format!("took {took}")).unwrap_or_default());
    }
    text + "</tbody></table>\n"
}

/// Text as HTML.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Control characters have no meaning on a page, and some mean harm.
            control if control.is_control() && control != '\n' => safe.push('\u{fffd}'),
            ordinary => safe.push(ordinary),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t21_nothing_from_a_stranger_is_markup() {
        assert_eq!(
            escaped("<script>alert('1')</script>&\"\u{1b}"),
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;\u{fffd}"
        );
    }
}
