//! Everything the books say about one run, and the lines in which each side stands beside the other.

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::document::totals;
use super::text::{amount, grouped};
use crate::domain::breaks::{AGES, age_class};
use crate::domain::file::{FileState, RecordCounts, RowCounts};
use crate::domain::job::{PlaybookEntry, SignOffRule};
use crate::domain::measure::{Comparison, MeasureLine};
use crate::domain::reconcile::balanced;
use crate::domain::run::RunState;
use crate::ledger::row::{BreakRow, FileRow, RejectRow, RunRow, SendingSpan, SignOffRow};
use crate::schedule::calendar::Calendar;

/// A cause with how many rows or records have it: code, side, count.
pub type Cause = (String, String, u64);

/// What a reconciliation is made of.
pub struct Books {
    /// The run.
    pub run: RunRow,
    /// Title of its job; empty where the job is gone.
    pub title: String,
    /// Its files.
    pub files: Vec<FileRow>,
    /// What its measures add up.
    pub measures: Vec<MeasureLine>,
    /// Causes of rejects, biggest first.
    pub causes: Vec<Cause>,
    /// Its breaks, oldest first.
    pub breaks: Vec<BreakRow>,
    /// Who has signed it off.
    pub sign_offs: Vec<SignOffRow>,
    /// Who has to.
    pub sign_off: SignOffRule,
    /// What to do about causes.
    pub playbook: Vec<PlaybookEntry>,
    /// Its rejects, masked; only where a report lists them.
    pub rejects: Vec<RejectRow>,
    /// First request, last answer.
    pub sent: Option<SendingSpan>,
    /// The day from which ages are counted.
    pub today: NaiveDate,
    /// The days that count in the age of its breaks.
    pub calendar: Calendar,
}

/// Two numbers beside each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// `file`, `target`, `measure`.
    pub section: &'static str,
    /// What is compared.
    pub what: String,
    /// Currency or other unit; empty without one.
    pub unit: String,
    /// One side.
    pub expected: String,
    /// The other side.
    pub found: String,
    /// found − expected, where both are numbers.
    pub difference: String,
    /// The largest difference that is not a break.
    pub tolerance: String,
    /// How they compare.
    pub result: Comparison,
}

impl Books {
    /// The sums over the files.
    pub fn totals(&self) -> (RowCounts, RecordCounts) {
        totals(&self.files)
    }

    /// The result of the run.
    pub fn result(&self) -> Comparison {
        let (_, records) = self.totals();
        match self.run.state {
            RunState::Done | RunState::DoneWithRejects if !balanced(&records) => Comparison::Break,
            RunState::Done | RunState::DoneWithRejects if records.made == 0 => Comparison::Nothing,
            RunState::Done | RunState::DoneWithRejects => {
                let within = self.lines().iter().any(|line| line.result == Comparison::WithinTolerance);
                if within { Comparison::WithinTolerance } else { Comparison::Balanced }
            }
            RunState::Running | RunState::Waiting | RunState::Held | RunState::Scheduled => Comparison::NotConfirmed,
            RunState::Break | RunState::Failed | RunState::Cancelled | RunState::Skipped => Comparison::Break,
        }
    }

    /// Control totals of the files, records sent and accepted, and measures.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for file in &self.files {
            for control in &file.controls {
                let title = if control.title.is_empty() { &control.id } else { &control.title };
                let several = self.files.len() > 1;
                let name = crate::domain::file::shown_name(&file.name);
                lines.push(Line {
                    section: "file",
                    what: if several { format!("{title} ({name})") } else { title.clone() },
                    unit: String::new(),
                    expected: shown(&control.expected),
                    found: shown(&control.found),
                    difference: difference(&control.expected, &control.found),
                    tolerance: "0".to_owned(),
                    result: if control.holds { Comparison::Balanced } else { Comparison::Break },
                });
            }
        }
        let (_, records) = self.totals();
        if self.files.iter().any(|file| file.state != FileState::PassedOver) {
            lines.push(records_line(&records));
        }
        lines.extend(self.measures.iter().map(|measure| measure_line(measure, &records)));
        lines
    }

    /// Breaks by age, in the classes of `AGES`; only those whose cause is still there.
    pub fn ages(&self) -> [u64; AGES.len()] {
        let mut ages = [0; AGES.len()];
        for one in self.breaks.iter().filter(|one| one.state.is_current()) {
            ages[age_class(self.age_of(one))] += 1;
        }
        ages
    }

    /// Age of a break in business days.
    pub fn age_of(&self, one: &BreakRow) -> u32 {
        let until = one.resolved_at.map_or(self.today, |at| at.date_naive());
        age(&self.calendar, one, until)
    }

    /// Whether somebody has signed the run off, and nothing has changed since.
    pub fn is_signed_off(&self) -> bool {
        self.sign_offs.iter().any(|row| row.reopened_at.is_none() && row.role != "prepared")
    }

    /// The state of the sign-off in words.
    pub fn sign_off_words(&self) -> String {
        let valid = || self.sign_offs.iter().filter(|row| row.reopened_at.is_none());
        if let Some(row) = valid().find(|row| row.role != "prepared") {
            let first = valid().find(|row| row.role == "prepared");
            let prepared = first.map(|first| format!("prepared by {}, ", first.who)).unwrap_or_default();
            return format!("{prepared}{} by {}", row.role, row.who);
        }
        if let Some(row) = valid().next() {
            return format!("prepared by {}, waits for a second person", row.who);
        }
        let reopened = self.sign_offs.iter().any(|row| row.reopened_at.is_some());
        match (reopened, self.sign_off) {
            (true, _) => "re-opened: the books have changed since it was signed off".to_owned(),
            (false, SignOffRule::Nobody) => "not asked for".to_owned(),
            (false, SignOffRule::OnePerson) => "not signed off".to_owned(),
            (false, SignOffRule::TwoPeople) => "not signed off (two people)".to_owned(),
        }
    }
}

/// Age of a break on a day, in the business days of a calendar.
pub fn age(calendar: &Calendar, one: &BreakRow, on: NaiveDate) -> u32 {
    u32::try_from(calendar.business_days(one.opened_at.date_naive(), on)).unwrap_or(0)
}

fn records_line(records: &RecordCounts) -> Line {
    let open = records.unanswered + records.pending;
    let result = match (records.made, open) {
        (0, _) => Comparison::Nothing,
        (made, _) if made == records.accepted => Comparison::Balanced,
        (_, 0) => Comparison::Break,
        _ if records.refused > 0 => Comparison::Break,
        _ => Comparison::NotConfirmed,
    };
    let missing = records.made.saturating_sub(records.accepted);
    Line {
        section: "target",
        what: "Records sent and accepted".to_owned(),
        unit: String::new(),
        expected: grouped(records.made),
        found: grouped(records.accepted),
        difference: if missing == 0 { "0".to_owned() } else { format!("−{}", grouped(missing)) },
        tolerance: "0".to_owned(),
        result,
    }
}

fn measure_line(measure: &MeasureLine, records: &RecordCounts) -> Line {
    let scale = [measure.made, measure.accepted, measure.refused].iter().map(Decimal::scale).max().unwrap_or(0);
    let text = |number: Decimal| amount(number, scale);
    Line {
        section: "measure",
        what: measure.title.clone(),
        unit: measure.unit.clone(),
        expected: text(measure.made),
        found: text(measure.accepted),
        difference: text(measure.difference()),
        tolerance: measure.tolerance.normalize().to_string(),
        result: measure.result(records.made),
    }
}

/// A number with its digits in groups; anything else as it is.
fn shown(text: &str) -> String {
    text.parse::<Decimal>().map_or_else(|_| text.to_owned(), |number| amount(number, number.scale()))
}

fn difference(expected: &str, found: &str) -> String {
    match (expected.parse::<Decimal>(), found.parse::<Decimal>()) {
        (Ok(expected), Ok(found)) => shown(&(found - expected).to_string()),
        _ => String::new(),
    }
}
