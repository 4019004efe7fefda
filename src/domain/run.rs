//! A run: one execution of a job for one run key.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};

use super::name::JobName;

/// Which run this is: a job and a scheduled instant, or a job, a business date and a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunKey {
    /// The job.
    pub job: JobName,
    /// The day the data is about.
    pub business_date: NaiveDate,
    /// The instant the schedule asked for; `None` for a manual run.
    pub scheduled_for: Option<DateTime<Utc>>,
}

/// What caused a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Its cron expression.
    Schedule,
    /// A person or a script called `nightferry run`.
    Manual,
    /// A missed firing made up for.
    CatchUp,
    /// A range of dates asked for by a person.
    Backfill,
    /// An incoming call.
    Webhook,
}

/// Why a firing never started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// Its time passed while nobody could start it.
    Missed,
    /// The job was still running.
    Overlap,
    /// The day does not count.
    Holiday,
    /// The job was paused.
    Paused,
}

/// The state of a run, in every surface under the same word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunState {
    /// Due in the future.
    Scheduled,
    /// No file is there yet.
    Waiting,
    /// Under way, or interrupted and resumable.
    Running,
    /// Everything arrived.
    Done,
    /// Everything that could be mapped arrived; some rows were rejected.
    DoneWithRejects,
    /// The books do not add up: refused or unanswered records.
    Break,
    /// Stopped before sending until a person releases it.
    Held,
    /// Stopped by a fault.
    Failed,
    /// Ended by a person.
    Cancelled,
    /// A firing that never started.
    Skipped,
}

macro_rules! words {
    ($type:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $type {
            /// Every value, in the order of the type.
            pub const ALL: &'static [$type] = &[$($type::$variant),+];

            /// The word for it in JSON, SQL and metrics.
            pub const fn word(self) -> &'static str {
                match self { $($type::$variant => $word),+ }
            }

            /// The value for a word written by `word`.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some($type::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use words;

words!(Trigger {
    Schedule => "schedule", Manual => "manual", CatchUp => "catch_up", Backfill => "backfill", Webhook => "webhook",
});
words!(SkipReason { Missed => "missed", Overlap => "overlap", Holiday => "holiday", Paused => "paused" });
words!(RunState {
    Scheduled => "scheduled", Waiting => "waiting", Running => "running", Done => "done",
    DoneWithRejects => "done_with_rejects", Break => "break", Held => "held", Failed => "failed",
    Cancelled => "cancelled", Skipped => "skipped",
});

impl RunState {
    /// True when the run has come to an end and only a person's act changes it again.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::DoneWithRejects | Self::Break | Self::Cancelled | Self::Skipped)
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DoneWithRejects => "done with rejects",
            other => other.word(),
        })
    }
}
