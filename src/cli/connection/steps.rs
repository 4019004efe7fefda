//! The steps of `nightferry connection test`, as they are printed: one line each, and advice below what failed.

use std::fmt::Write as _;

/// How a step ended.
enum Mark {
    Good,
    Bad,
    NotTried,
}

/// What has been found out so far.
#[derive(Default)]
pub struct Steps {
    lines: Vec<(Mark, String, String, Option<String>)>,
}

impl Steps {
    /// A step that works.
    pub fn good(&mut self, step: &str, found: impl Into<String>) {
        self.lines.push((Mark::Good, step.to_owned(), found.into(), None));
    }

    /// A step that does not, and what to do about it.
    pub fn bad(&mut self, step: &str, found: impl Into<String>, advice: impl Into<String>) {
        self.lines.push((Mark::Bad, step.to_owned(), found.into(), Some(advice.into())));
    }

    /// Steps that need what failed, or that nobody needs.
    pub fn not_tried(&mut self, step: &str, why: &str) {
        self.lines.push((Mark::NotTried, step.to_owned(), why.to_owned(), None));
    }

    /// Whether everything that was tried works.
    pub fn all_good(&self) -> bool {
        !self.lines.iter().any(|(mark, ..)| matches!(mark, Mark::Bad))
    }

    /// As text, with a line for the whole.
    pub fn text(&self, title: &str) -> String {
        let width = self.lines.iter().map(|(_, step, ..)| step.chars().count()).max().unwrap_or(0);
        let mut text = format!("{title}\n\n");
        for (mark, step, found, advice) in &self.lines {
            let mark = match mark {
                Mark::Good => "ok",
                Mark::Bad => "NO",
                Mark::NotTried => "--",
            };
            let _ = writeln!(text, "  {mark}  {step:<width$}  {found}");
            for line in advice.iter().flat_map(|advice| advice.lines()) {
                let _ = writeln!(text, "      {:<width$}  → {line}", "");
            }
        }
        let bad = self.lines.iter().find(|(mark, ..)| matches!(mark, Mark::Bad));
        let _ = match bad {
            None => writeln!(text, "\nEverything works."),
            Some((_, step, ..)) => writeln!(text, "\nIt ends at: {step}."),
        };
        text
    }
}
