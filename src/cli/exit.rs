//! Exit codes, and how a failure is told.

use std::io::Write as _;

use crate::domain::run::RunState;
use crate::pipeline::is_unreachable_code;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// Done, balanced.
    pub const DONE: Self = Self(0);
    /// Something failed that has no code of its own.
    pub const FAILED: Self = Self(1);
    /// Wrong use of the command.
    pub const USAGE: Self = Self(2);
    /// Files are not valid.
    pub const NOT_VALID: Self = Self(3);
    /// Tests failed, or a comparison found a difference.
    pub const DIFFERENT: Self = Self(4);
    /// Ran, with rejects.
    pub const REJECTS: Self = Self(5);
    /// Ran, does not balance.
    pub const BREAK: Self = Self(6);
    /// Waiting for a file, a person or another process.
    pub const WAITING: Self = Self(7);
    /// A system could not be reached.
    pub const UNREACHABLE: Self = Self(8);

    /// The code of a run that ended in `state`, with the code of its error.
    pub fn of_run(state: RunState, error: Option<&str>, rejects_ok: bool) -> Self {
        match state {
            RunState::Done => Self::DONE,
            RunState::DoneWithRejects if rejects_ok => Self::DONE,
            RunState::DoneWithRejects => Self::REJECTS,
            RunState::Break => Self::BREAK,
            RunState::Waiting | RunState::Held | RunState::Running | RunState::Scheduled => Self::WAITING,
            RunState::Failed if error.is_some_and(is_unreachable_code) => Self::UNREACHABLE,
            RunState::Failed | RunState::Cancelled | RunState::Skipped => Self::FAILED,
        }
    }
}

/// A command that cannot do what it was asked.
#[derive(Clone, Debug)]
pub struct Failure {
    /// How it ends.
    pub exit: Exit,
    /// A stable word, for JSON.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with a code word.
    pub fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Self { exit, code: code.to_owned(), message: message.into(), hint: None }
    }

    /// The same with a hint.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Tells it on stderr; gives the exit code.
    pub fn print(&self) -> Exit {
        let mut stderr = std::io::stderr().lock();
        // Nobody can be told that nobody can be told.
        let _ = writeln!(stderr, "error: {}", self.message);
        if let Some(hint) = &self.hint {
            let _ = writeln!(stderr, "  → {hint}");
        }
        self.exit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_exit_code() {
        let codes: Vec<_> =
            RunState::ALL.iter().map(|state| (state.word(), Exit::of_run(*state, None, false).0)).collect();
        let expected = [
            ("scheduled", 7),
            ("waiting", 7),
            ("running", 7),
            ("done", 0),
            ("done_with_rejects", 5),
            ("break", 6),
            ("held", 7),
            ("failed", 1),
            ("cancelled", 1),
            ("skipped", 1),
        ];
        assert_eq!(codes, expected);
        assert_eq!(Exit::of_run(RunState::DoneWithRejects, None, true), Exit::DONE);
        assert_eq!(Exit::of_run(RunState::Failed, Some("unreachable"), false), Exit::UNREACHABLE);
        assert_eq!(Exit::of_run(RunState::Failed, Some("missing-column"), false), Exit::FAILED);
    }
}
