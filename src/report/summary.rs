//! A business date in one look: what needs a person, what is fine, what is still open. Text, HTML and the subject of a mail.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};

use super::books::Books;
use super::document::{Records, Rows, instant};
use super::page::{class, escaped, page};
use super::reconciliation::{amounts_of, what_of};
use super::text::{amount, grouped};
use crate::domain::breaks::{AGES, age_class};
use crate::domain::job::SignOffRule;
use crate::domain::measure::Comparison;
use crate::domain::run::RunState;
use crate::ledger::row::BreakRow;

/// A day, as ops see it in the morning.
pub struct Summary {
    /// The business date.
    pub date: NaiveDate,
    /// `[organisation] name`.
    pub organisation: String,
    /// The last run of each job of that date, by job.
    pub books: Vec<Books>,
    /// Jobs that have no run of that date.
    pub without_run: Vec<String>,
    /// Every break whose cause is still there, of any date, with its age in business days.
    pub carried: Vec<(BreakRow, u32)>,
    /// When each job fires next.
    pub next: BTreeMap<String, DateTime<Utc>>,
}

/// Something that waits for a person.
struct Need {
    mark: char,
    word: &'static str,
    job: String,
    text: String,
}

impl Summary {
    fn needs(&self) -> Vec<Need> {
        let mut needs = Vec::new();
        for books in &self.books {
            let (rows, records) = books.totals();
            let mut need = |mark, word, text: String| {
                needs.push(Need { mark, word, job: books.run.job.to_string(), text });
            };
            match books.run.state {
                RunState::Failed => {
                    let why = books.run.error.as_ref().map_or_else(String::new, |error| error.message.clone());
                    need('✗', "FAILED", why);
                }
                RunState::Held => need('■', "HELD", format!("{} records wait for a person", grouped(records.pending))),
                RunState::Waiting => need('●', "WAITING", "no file yet".to_owned()),
                RunState::Running if !books.run.held_by_living_process => {
                    need('✗', "INTERRUPTED", format!("`nightferry resume {}` goes on", books.run.id));
                }
                _ => {}
            }
            for one in books.breaks.iter().filter(|one| one.state.is_current()) {
                let text = format!("{} {}  {}", amounts_of(one), one.kind.title(), what_of(one));
                need('▲', "BREAK", text.trim().to_owned());
            }
            if rows.rejected > 0 && matches!(books.run.state, RunState::DoneWithRejects | RunState::Break) {
                let first = books.causes.iter().find(|(_, side, _)| side == "mapping");
                let cause =
                    first.map(|(code, _, count)| format!(" ({} × {code})", grouped(*count))).unwrap_or_default();
                need('◆', "REJECTS", format!("{} rows{cause}", grouped(rows.rejected)));
            }
        }
        needs
    }

    fn unsigned(&self) -> Vec<&Books> {
        let ended = |books: &&Books| {
            books.sign_off != SignOffRule::Nobody && !books.is_signed_off() && books.run.state.is_final()
        };
        self.books.iter().filter(ended).collect()
    }

    fn fine(&self) -> Vec<&Books> {
        self.books
            .iter()
            .filter(|books| books.run.state == RunState::Done && books.result() != Comparison::Break)
            .collect()
    }

    /// `Mon 23 Nov: 1 break (EUR 50.00), 37 rejects – 2 to sign off`; the same words every day, so that a filter finds them.
    pub fn subject(&self) -> String {
        let needs = self.needs();
        let count = |word: &str| needs.iter().filter(|need| need.word == word).count();
        let mut parts: Vec<String> = Vec::new();
        for (word, noun) in
            [("FAILED", "failed"), ("INTERRUPTED", "interrupted"), ("WAITING", "waiting"), ("HELD", "held")]
        {
            if count(word) > 0 {
                parts.push(format!("{} {noun}", count(word)));
            }
        }
        let open: Vec<&BreakRow> =
            self.books.iter().flat_map(|books| &books.breaks).filter(|one| one.state.is_current()).collect();
        if !open.is_empty() {
            let amounts: Vec<String> =
                open.iter().filter(|one| !one.amounts.is_empty()).map(|one| amounts_of(one)).collect();
            let amounts = if amounts.is_empty() { String::new() } else { format!(" ({})", amounts.join(", ")) };
            parts.push(format!("{} break{}{amounts}", open.len(), if open.len() == 1 { "" } else { "s" }));
        }
        let rejected: u64 = self.books.iter().map(|books| books.totals().0.rejected).sum();
        if rejected > 0 {
            parts.push(format!("{} rejects", grouped(rejected)));
        }
        let what = if parts.is_empty() { "all is well".to_owned() } else { parts.join(", ") };
        let to_sign = match self.unsigned().len() {
            0 => String::new(),
            count => format!(" – {count} to sign off"),
        };
        format!("{}: {what}{to_sign}", self.date.format("%a %-d %b"))
    }

    /// Breaks by age, in the classes of `AGES`, with their amounts.
    fn ages(&self) -> String {
        let mut counts = [0_u64; AGES.len()];
        let mut amounts: [Vec<String>; AGES.len()] = Default::default();
        for (one, age) in &self.carried {
            let place = age_class(*age);
            counts[place] += 1;
            if !one.amounts.is_empty() {
                amounts[place].push(amounts_of(one));
            }
        }
        let class = |at: usize| {
            let amount = if amounts[at].is_empty() { String::new() } else { format!(" ({})", amounts[at].join(", ")) };
            format!("{}: {}{amount}", AGES[at], counts[at])
        };
        (0..AGES.len()).map(class).collect::<Vec<_>>().join("   ")
    }

    /// The day as text.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n\n", self.subject());
        let needs = self.needs();
        let _ = writeln!(text, " NEEDS YOU  {}", needs.len());
        if needs.is_empty() {
            text.push_str("  nothing: the morning round is finished\n");
        }
        let width = self.books.iter().map(|books| books.run.job.as_str().len()).max().unwrap_or(0);
        for need in &needs {
            let _ = writeln!(text, "  {} {:<11} {:<width$}  {}", need.mark, need.word, need.job, need.text);
        }
        let fine: Vec<String> = self.fine().iter().map(|books| in_numbers(books)).collect();
        if !fine.is_empty() {
            let _ = writeln!(text, "\n FINE\n  {}", fine.join("\n  "));
        }
        if !self.without_run.is_empty() {
            let _ = writeln!(text, "\n NO RUN OF THIS DATE\n  {}", self.without_run.join(" · "));
        }
        let unsigned: Vec<&str> = self.unsigned().iter().map(|books| books.run.job.as_str()).collect();
        if !unsigned.is_empty() {
            let _ = writeln!(text, "\n NOT SIGNED OFF  {}\n  {}", unsigned.len(), unsigned.join(" · "));
        }
        let _ = writeln!(text, "\n OPEN BREAKS BY AGE   {}", self.ages());
        text
    }

    /// The day as a page, which is also the body of the mail.
    pub fn html(&self) -> String {
        let mut body = format!(
            "<main>\n<header><h1>{}</h1><span class=\"when\">{}</span></header>\n",
            escaped(&self.subject()),
            escaped(&self.organisation)
        );
        let needs = self.needs();
        let _ = writeln!(body, "<h2>Needs you · {}</h2>", needs.len());
        if needs.is_empty() {
            body += "<p class=\"good\">Nothing: the morning round is finished.</p>\n";
        } else {
            body += "<div class=\"scroll\"><table><tbody>\n";
            for need in &needs {
                let look = if matches!(need.word, "FAILED" | "BREAK" | "INTERRUPTED") { "bad" } else { "open" };
                let _ = writeln!(
                    body,
                    "<tr><td class=\"{look}\"><strong>{} {}</strong></td><td><strong>{}</strong></td><td>{}</td></tr>",
                    need.mark,
                    need.word,
                    escaped(&need.job),
                    escaped(&need.text)
                );
            }
            body += "</tbody></table></div>\n";
        }
        body += "<h2>All jobs of this date</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th>job</th><th>result</th><th class=\"n\">rows</th><th class=\"n\">rejected</th><th class=\"n\">records</th><th class=\"n\">accepted</th><th>finished (UTC)</th><th>sign-off</th></tr></thead>\n<tbody>\n";
        for books in &self.books {
            let ((rows, records), result) = (books.totals(), books.result());
            let _ = writeln!(
                body,
                "<tr><td><strong>{}</strong></td><td class=\"{}\">{} {}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"mono\">{}</td><td>{}</td></tr>",
                escaped(books.run.job.as_str()),
                class(result),
                result.mark(),
                books.run.state,
                grouped(rows.read),
                grouped(rows.rejected),
                grouped(records.made),
                grouped(records.accepted),
                books.run.finished_at.map(instant).unwrap_or_default(),
                escaped(&books.sign_off_words())
            );
        }
        for job in &self.without_run {
            let _ = writeln!(
                body,
                "<tr><td><strong>{}</strong></td><td class=\"nothing\" colspan=\"7\">– no run of this date</td></tr>",
                escaped(job)
            );
        }
        let _ = writeln!(
            body,
            "</tbody></table></div>\n<h2>Open breaks by age</h2>\n<p>{}</p>\n</main>",
            escaped(&self.ages().replace("   ", " · "))
        );
        page(&format!("Nightferry · {}", self.date), &body)
    }

    /// The day as JSON.
    pub fn json(&self) -> Value {
        let needs: Vec<Value> = self
            .needs()
            .iter()
            .map(|need| json!({ "kind": need.word.to_lowercase(), "job": need.job, "text": need.text }))
            .collect();
        let next = |job: &str| self.next.get(job).map(|at| instant(*at));
        let job = |books: &Books| {
            let (rows, records) = books.totals();
            json!({
                "job": books.run.job.as_str(), "run": books.run.id.as_str(), "state": books.run.state.word(), "late": false,
                "due_by": null, "next": next(books.run.job.as_str()), "rows": Rows::from(rows), "records": Records::from(records),
                "signed_off": books.is_signed_off(),
            })
        };
        let idle = |job: &String| {
            json!({
                "job": job, "run": null, "state": null, "late": false, "due_by": null, "next": next(job), "rows": null, "records": null,
                "signed_off": false,
            })
        };
        let jobs: Vec<Value> = self.books.iter().map(job).chain(self.without_run.iter().map(idle)).collect();
        json!({ "date": self.date, "subject": self.subject(), "needs_a_person": needs, "jobs": jobs, "breaks_open": self.carried.len() })
    }

    /// The worst state of the day, for an exit code: failed, held or waiting, break, rejects, done.
    pub fn worst(&self) -> Option<&Books> {
        let rank = |books: &&Books| match books.run.state {
            RunState::Failed => 5,
            RunState::Held | RunState::Waiting | RunState::Running => 4,
            RunState::Break => 3,
            RunState::DoneWithRejects => 2,
            _ => 1,
        };
        self.books.iter().max_by_key(rank)
    }
}

/// `shipments-export 412 = 412, EUR 180.40`.
fn in_numbers(books: &Books) -> String {
    let (_, records) = books.totals();
    let amounts = books.measures.iter().filter(|measure| !measure.unit.is_empty());
    let amounts: String = amounts
        .map(|measure| format!(", {} {}", measure.unit, amount(measure.accepted, measure.accepted.scale())))
        .collect();
    format!("{} {} = {}{amounts}", books.run.job, grouped(records.made), grouped(records.accepted))
}
