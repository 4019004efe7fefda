//! What Nightferry knows about a file by itself: the values of `auto`.

use chrono::NaiveDate;

use super::spec::{Auto, MappingSpec, Origin};

/// The facts of the file at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Name of the file, as shown (`auto = "file.name"`).
    pub file_name: String,
    /// Id of the run (`auto = "run"`).
    pub run: String,
    /// Business date (`auto = "business_date"`).
    pub business_date: NaiveDate,
}

impl Facts {
    /// The text of a fact; `None` for the line of a row, which is no fact of the file.
    pub(super) fn text(&self, auto: Auto) -> Option<String> {
        match auto {
            Auto::FileName => Some(self.file_name.clone()),
            Auto::Run => Some(self.run.clone()),
            Auto::BusinessDate => Some(self.business_date.format("%Y-%m-%d").to_string()),
            Auto::Row => None,
        }
    }
}

/// The values of every `auto` that fields use, except `row`: they stand in bodies, so they must stand in idempotency keys.
/// JSON text, in a fixed order; `None` when no such `auto` is used.
pub fn key_facts(spec: &MappingSpec, facts: &Facts) -> Option<String> {
    let uses = |auto: Auto| spec.fields.iter().any(|field| matches!(field.origin, Origin::Auto(used) if used == auto));
    let used = [("file.name", Auto::FileName), ("run", Auto::Run), ("business_date", Auto::BusinessDate)];
    let mut json = Vec::new();
    for (name, auto) in used {
        if let Some(value) = facts.text(auto).filter(|_| uses(auto)) {
            json.push(if json.is_empty() { b'{' } else { b',' });
            super::write::string(&mut json, name);
            json.push(b':');
            super::write::string(&mut json, &value);
        }
    }
    if json.is_empty() {
        return None;
    }
    json.push(b'}');
    String::from_utf8(json).ok()
}
