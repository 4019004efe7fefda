//! The reconciliation of a run as text: result, equation, what is compared, breaks, sign-off, files, steps.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use super::books::{Books, Line};
use super::document::instant;
use super::rejects::playbook_line;
use super::text::{counted, grouped, size};
use crate::domain::file::{FileState, RecordCounts, RowCounts, shown_name};
use crate::domain::reconcile::balanced;
use crate::domain::run::RunState;
use crate::ledger::row::{BreakRow, FileRow};

/// `balanced`, `BREAK` or `not confirmed yet`, with the mark that says it without colour.
pub fn result_word(state: RunState, records: &RecordCounts) -> &'static str {
    match state {
        RunState::Done | RunState::DoneWithRejects if balanced(records) && records.made == 0 => "✓ nothing to compare",
        RunState::Done | RunState::DoneWithRejects if balanced(records) => "✓ balanced",
        RunState::Running | RunState::Waiting | RunState::Held | RunState::Scheduled => "… not confirmed yet",
        RunState::Failed if records.pending + records.unanswered + records.refused == 0 => {
            "✗ failed, nothing was left half sent"
        }
        _ => "▲ BREAK",
    }
}

/// Where a table stands below a title.
const INDENT: &str = "  ";

impl Books {
    /// The reconciliation as text.
    pub fn text(&self) -> String {
        let (rows, records) = self.totals();
        let mut text = String::new();
        let result = result_word(self.run.state, &records);
        let number = if self.run.number > 1 { format!(" · run {}", self.run.number) } else { String::new() };
        let _ = writeln!(
            text,
            "{result}   {} · business date {}{number} · {}",
            self.run.job, self.run.business_date, self.run.state
        );
        if let Some(error) = &self.run.error {
            let _ = writeln!(text, "  {}: {}", error.code, error.message);
            if let Some(hint) = &error.hint {
                let _ = writeln!(text, "  → {hint}");
            }
        }
        text.push_str(&equation(&rows, &records));
        text.push_str(&self.lines_text());
        text.push_str(&self.causes_text());
        text.push_str(&self.breaks_text());
        text.push_str(&self.sign_off_text());
        text.push_str(&self.files_text());
        let _ = writeln!(text, "{}", self.footer());
        text
    }

    /// A dry run as text: what a real run would make of the files that are there, with the first rejects.
    pub fn dry_text(&self, examples: &[String]) -> String {
        let (rows, records) = self.totals();
        let mut text = format!(
            "… dry run, nothing was sent or recorded   {} · business date {} · would be {}\n",
            self.run.job, self.run.business_date, self.run.state
        );
        if let Some(error) = &self.run.error {
            let _ = writeln!(text, "  {}: {}", error.code, error.message);
        }
        text.push_str(&equation(&rows, &records));
        for measure in &self.measures {
            let _ = writeln!(
                text,
                "  {} {} {}",
                measure.title,
                measure.unit,
                super::text::amount(measure.made, measure.made.scale())
            );
        }
        text.push_str(&self.files_text());
        text.push_str(&self.causes_text());
        for example in examples {
            let _ = writeln!(text, "           {example}");
        }
        let _ = writeln!(text, "  would send {}", counted(self.run.batches, "batch"));
        text
    }

    /// What is compared, with both numbers; nothing where only records are, and they balance.
    fn lines_text(&self) -> String {
        let lines = self.lines();
        if lines.iter().all(|line| line.section == "target") {
            return String::new();
        }
        let mut table = plain_table(&["", "what", "expected", "found", "difference", "tolerance", "result"]);
        for line in &lines {
            let Line { section, expected, found, difference, tolerance, result, .. } = line;
            let what = format!("{} {}", line.what, line.unit);
            table.add_row([
                (*section).to_owned(),
                shown_name(what.trim_end().as_bytes()),
                shown_name(expected.as_bytes()),
                shown_name(found.as_bytes()),
                difference.clone(),
                tolerance.clone(),
                format!("{} {}", result.mark(), result.word()),
            ]);
        }
        for column in table.column_iter_mut().skip(2).take(4) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        indented(&table)
    }

    fn breaks_text(&self) -> String {
        if self.breaks.is_empty() {
            return String::new();
        }
        let current = self.breaks.iter().filter(|one| one.state.is_current()).count();
        format!("  BREAKS {current} of {}\n", self.breaks.len())
            + &breaks_table(&self.breaks, |one| self.age_of(one), false)
    }

    fn sign_off_text(&self) -> String {
        let mut text = String::new();
        if self.sign_offs.is_empty() && self.sign_off == crate::domain::job::SignOffRule::Nobody {
            return text;
        }
        let _ = writeln!(text, "  SIGN-OFF {}", self.sign_off_words());
        for row in &self.sign_offs {
            let void = row.reopened_at.map(|at| format!("; re-opened {}", instant(at))).unwrap_or_default();
            let note =
                if row.note.is_empty() { String::new() } else { format!("  {}", shown_name(row.note.as_bytes())) };
            let _ = writeln!(
                text,
                "           {} {} by {}{note}{void}",
                instant(row.at),
                row.role,
                shown_name(row.who.as_bytes())
            );
        }
        text
    }

    fn files_text(&self) -> String {
        let mut text = String::new();
        for file in &self.files {
            let _ = write!(text, "  file     {}  {}", shown_name(&file.name), size(file.size));
            if let Some(hash) = &file.sha256 {
                let _ = write!(text, "  sha256 {}…", &hash.as_str()[..12]);
            }
            let _ = writeln!(text, "  {}", state_of_file(file));
            for warning in &file.warnings {
                let _ = writeln!(text, "           note: {warning}");
            }
        }
        text
    }

    fn causes_text(&self) -> String {
        let mut text = String::new();
        for (code, side, count) in &self.causes {
            let (mark, noun) = if side == "target" { ("refused ", "record") } else { ("rejected", "row") };
            let shown = shown_name(code.as_bytes());
            let _ = writeln!(text, "  {mark} {shown}  {}", counted(*count, noun));
            if let Some(advice) = playbook_line(&self.playbook, code, side) {
                let _ = writeln!(text, "           playbook: {advice}");
            }
        }
        text
    }

    fn footer(&self) -> String {
        format!(
            "  run      {} · {} · {} · started {}{}",
            self.run.id,
            counted(self.run.batches, "batch"),
            counted(self.run.attempts, "attempt"),
            instant(self.run.started_at),
            self.took().map(|took| format!(" (took {took})")).unwrap_or_default()
        )
    }

    /// How long the run took: `1.2 s`.
    pub fn took(&self) -> Option<String> {
        let milliseconds = (self.run.finished_at? - self.run.started_at).num_milliseconds().max(0);
        Some(format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100))
    }
}

/// Breaks as a table; with their job and date where they are of several runs.
pub fn breaks_table(breaks: &[BreakRow], age: impl Fn(&BreakRow) -> u32, of_several: bool) -> String {
    let mut head = vec!["", "type", "what", "age", "amount", "state", "reason", "note"];
    if of_several {
        head.splice(1..1, ["job", "date"]);
    }
    let mut table = plain_table(&head);
    for one in breaks {
        let mut row = vec![
            format!("#{}", one.id),
            one.kind.title().to_owned(),
            shown_name(what_of(one).as_bytes()),
            format!("{} d", age(one)),
            amounts_of(one),
            state_of_break(one),
            shown_name(one.reason.as_deref().unwrap_or_default().as_bytes()),
            shown_name(note_of(one).as_bytes()),
        ];
        if of_several {
            row.splice(1..1, [one.job.to_string(), one.business_date.to_string()]);
        }
        table.add_row(row);
    }
    indented(&table)
}

/// What a break is about, in a few words.
pub fn what_of(one: &BreakRow) -> String {
    match (one.subject.as_str(), one.file.is_some()) {
        ("" | "files", _) => one.found.clone(),
        (subject, _) => format!("{subject}: expected {}, found {}", one.expected, one.found),
    }
}

/// `EUR 50.00`, or the number of records where nothing is measured.
pub fn amounts_of(one: &BreakRow) -> String {
    let amounts: Vec<String> = one
        .amounts
        .iter()
        .map(|(title, unit, amount)| {
            let amount = amount.parse().map_or_else(
                |_| amount.clone(),
                |number: rust_decimal::Decimal| super::text::amount(number, number.scale()),
            );
            format!("{} {amount}", if unit.is_empty() { title } else { unit })
        })
        .collect();
    match (amounts.is_empty(), one.records) {
        (true, 0) => String::new(),
        (true, records) => counted(records, "record"),
        (false, _) => amounts.join(", "),
    }
}

/// `open`, `explained`, `resolved by resend` …
pub fn state_of_break(one: &BreakRow) -> String {
    match &one.resolved_by {
        Some(how) => format!("{} by {how}", one.state.title()),
        None => one.state.title().to_owned(),
    }
}

/// The note of whoever explained it.
pub fn note_of(one: &BreakRow) -> String {
    let note = one.note.clone().unwrap_or_default();
    match &one.explained_by {
        Some(who) if note.is_empty() => format!("({who})"),
        Some(who) => format!("{note} ({who})"),
        None => note,
    }
}

fn plain_table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(head.iter().map(|title| (*title).to_owned()));
    table
}

fn indented(table: &Table) -> String {
    table.lines().map(|line| format!("{INDENT}{}", line.trim_end()).trim_end().to_owned() + "\n").collect()
}

/// The state of a file in words.
pub fn state_of_file(file: &FileRow) -> String {
    match (file.state, &file.reason) {
        (FileState::PassedOver, _) => "passed over: this content was delivered before".to_owned(),
        (state, Some(reason)) => format!("{}: {reason}", state.word()),
        (state, None) => state.word().to_owned(),
    }
}

/// Both laws, with the numbers under each other.
fn equation(rows: &RowCounts, records: &RecordCounts) -> String {
    let line = |label: &str, left: (&str, u64), right: &[(&str, u64)]| {
        let parts: Vec<String> = right.iter().map(|(word, count)| format!("{} {word}", grouped(*count))).collect();
        format!("  {label:<8} {} {} = {}\n", grouped(left.1), left.0, parts.join(" + "))
    };
    let rows_line = line(
        "rows",
        ("read", rows.read),
        &[("skipped", rows.skipped), ("rejected", rows.rejected), ("used", rows.used)],
    );
    let records_line = line(
        "records",
        ("made", records.made),
        &[
            ("accepted", records.accepted),
            ("refused", records.refused),
            ("unanswered", records.unanswered),
            ("pending", records.pending),
        ],
    );
    rows_line + &records_line
}
