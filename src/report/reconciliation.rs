//! The reconciliation of a run: result, equation, files, causes. What ops read in the morning.

use std::fmt::Write as _;

use super::document::{instant, totals};
use super::rejects::playbook_line;
use super::text::{counted, grouped, size};
use crate::domain::file::{FileState, RecordCounts, RowCounts, shown_name};
use crate::domain::job::PlaybookEntry;
use crate::domain::reconcile::balanced;
use crate::domain::run::RunState;
use crate::ledger::row::{FileRow, RunRow};

/// A cause with how many rows or records have it.
pub type Cause = (String, String, u64);

/// Everything the reconciliation of one run says.
pub struct Reconciliation<'a> {
    /// The run.
    pub run: &'a RunRow,
    /// Its files.
    pub files: &'a [FileRow],
    /// Reject code, side, rows; biggest first.
    pub causes: &'a [Cause],
    /// What to do about them.
    pub playbook: &'a [PlaybookEntry],
}

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

impl Reconciliation<'_> {
    /// The reconciliation as text: result first, then the equation, files, causes.
    pub fn text(&self) -> String {
        let (rows, records) = totals(self.files);
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
        text.push_str(&self.files_text());
        text.push_str(&self.causes_text());
        let _ = writeln!(text, "{}", self.footer());
        text
    }

    /// A dry run as text: what a real run would make of the files that are there, with the first rejects.
    pub fn dry_text(&self, examples: &[String]) -> String {
        let (rows, records) = totals(self.files);
        let mut text = format!(
            "… dry run, nothing was sent or recorded   {} · business date {} · would be {}\n",
            self.run.job, self.run.business_date, self.run.state
        );
        if let Some(error) = &self.run.error {
            let _ = writeln!(text, "  {}: {}", error.code, error.message);
        }
        text.push_str(&equation(&rows, &records));
        text.push_str(&self.files_text());
        text.push_str(&self.causes_text());
        for example in examples {
            let _ = writeln!(text, "           {example}");
        }
        let _ = writeln!(text, "  would send {}", counted(self.run.batches, "batch"));
        text
    }

    fn files_text(&self) -> String {
        let mut text = String::new();
        for file in self.files {
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
        for (code, side, count) in self.causes {
            let (mark, noun) = if side == "target" { ("refused ", "record") } else { ("rejected", "row") };
            let shown = shown_name(code.as_bytes());
            let _ = writeln!(text, "  {mark} {shown}  {}", counted(*count, noun));
            if let Some(advice) = playbook_line(self.playbook, code, side) {
                let _ = writeln!(text, "           playbook: {advice}");
            }
        }
        text
    }

    fn footer(&self) -> String {
        let took = self.run.finished_at.map(|end| {
            let milliseconds = (end - self.run.started_at).num_milliseconds().max(0);
            format!(" (took {}.{} s)", milliseconds / 1000, milliseconds % 1000 / 100)
        });
        format!(
            "  run      {} · {} · {} · started {}{}",
            self.run.id,
            counted(self.run.batches, "batch"),
            counted(self.run.attempts, "attempt"),
            instant(self.run.started_at),
            took.unwrap_or_default()
        )
    }
}

fn state_of_file(file: &FileRow) -> String {
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
