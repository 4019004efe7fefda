//! The books as one JSON document, for machines. Additions only.

use serde_json::{Value, json};

use super::books::Books;
use super::document::{RunDocument, instant};
use super::reconciliation::result_word;
use crate::domain::file::shown_name;
use crate::ledger::row::BreakRow;

impl Books {
    /// The reconciliation as JSON: result, equation, what is compared, breaks, sign-off, causes, the run.
    pub fn json(&self) -> Value {
        let run = RunDocument::of(&self.run, &self.files, &self.measures);
        let (_, records) = self.totals();
        let lines: Vec<Value> = self
            .lines()
            .into_iter()
            .filter(|line| line.section == "file")
            .map(|line| {
                json!({ "what": line.what, "expected": line.expected, "found": line.found, "difference": line.difference,
                        "result": line.result.word() })
            })
            .collect();
        json!({
            "result": result_word(self.run.state, &records),
            "equation": { "rows": run.rows, "records": run.records },
            "controls": lines,
            "measures": run.measures,
            "breaks": self.breaks.iter().map(|one| break_json(one, self.age_of(one))).collect::<Vec<_>>(),
            "sign_off": {
                "signed_off": self.is_signed_off(), "state": self.sign_off_words(),
                "history": self.sign_offs.iter().map(|row| json!({
                    "at": instant(row.at), "who": row.who, "role": row.role, "note": row.note,
                    "reopened_at": row.reopened_at.map(instant),
                })).collect::<Vec<_>>(),
            },
            "causes": self.causes.iter()
                .map(|(code, side, count)| json!({ "code": code, "side": side, "count": count })).collect::<Vec<_>>(),
            "run": run,
        })
    }
}

/// A break as JSON; amounts are exact decimals as text.
pub fn break_json(one: &BreakRow, age: u32) -> Value {
    json!({
        "break": one.id, "run": one.run.as_str(), "job": one.job.as_str(), "business_date": one.business_date,
        "file": one.file_name.as_deref().map(shown_name), "type": one.kind.word(), "subject": one.subject,
        "expected": one.expected, "found": one.found, "records": one.records,
        "amounts": one.amounts.iter().map(|(title, unit, amount)| json!({
            "title": title, "per": Some(unit).filter(|unit| !unit.is_empty()), "amount": amount,
        })).collect::<Vec<_>>(),
        "age_business_days": age, "opened_at": instant(one.opened_at), "state": one.state.word(), "reason": one.reason,
        "note": one.note, "explained_by": one.explained_by, "explained_at": one.explained_at.map(instant),
        "resolved_by": one.resolved_by, "resolved_at": one.resolved_at.map(instant),
    })
}
