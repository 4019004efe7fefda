//! A mistake in a file, with its place; and all mistakes of a project.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// The code of a secret that is written in a file: what it points at is never shown.
pub const SECRET_IN_FILE: &str = "NF507";

/// Whether a file with it may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It may not.
    Error,
    /// It may.
    Warning,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable: `NF101`.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// Relative to the project.
    pub path: String,
    /// Bytes of the text that is wrong.
    pub span: Range<usize>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1; a tab is one. The first character inside quotation marks.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// Beside the caret; may be empty.
    pub label: String,
    /// What to do, ready to copy.
    pub help: Vec<String>,
    /// The other place, when two disagree.
    pub second: Option<Second>,
}

/// The other place of a disagreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Second {
    /// Relative to the project.
    pub path: String,
    /// Bytes of the text.
    pub span: Range<usize>,
    /// Beside it.
    pub label: String,
}

impl Diagnostic {
    /// True for an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// All mistakes found, and the texts they were found in.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    /// In the order of files and places.
    pub diagnostics: Vec<Diagnostic>,
    /// Text by path, for showing the line.
    pub sources: BTreeMap<String, String>,
}

impl Problems {
    /// Number of errors.
    pub fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count()
    }

    /// Number of warnings.
    pub fn warnings(&self) -> usize {
        self.diagnostics.len() - self.errors()
    }

    /// Takes over what another reading found; the same mistake is kept once.
    pub fn merge(&mut self, other: Problems) {
        for diagnostic in other.diagnostics {
            if !self.diagnostics.contains(&diagnostic) {
                self.diagnostics.push(diagnostic);
            }
        }
        self.sources.extend(other.sources);
    }

    pub(super) fn sort(&mut self) {
        self.diagnostics.sort_by(|a, b| (&a.path, a.span.start, a.code).cmp(&(&b.path, b.span.start, b.code)));
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).enumerate() {
            let Diagnostic { code, path, line, column, message, .. } = diagnostic;
            write!(f, "{}{path}:{line}:{column}: {code}: {message}", if index > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}
