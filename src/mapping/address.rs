//! The address of a request with fields of the record in it. A value is one component, whatever it holds: it cannot add a
//! segment, a query or a fragment, and never reaches the host.

use super::output;
use super::spec::MappingSpec;
use crate::domain::reject::RejectCode;
use crate::domain::request::{PathPart, PathTemplate};
use crate::format::write::{self, Column, Refused};

/// A compiled path.
pub(super) struct Address {
    parts: Vec<Part>,
}

enum Part {
    Text(String),
    /// The column, and its index.
    Field(usize, Column),
}

impl Address {
    pub(super) fn new(template: &PathTemplate, spec: &MappingSpec) -> Self {
        let columns = output::columns(spec);
        let part = |part: &PathPart| match part {
            PathPart::Text(text) => Some(Part::Text(text.clone())),
            PathPart::Field(name) => {
                let at = columns.iter().position(|column| column.path == *name)?;
                columns.get(at).map(|column| Part::Field(at, column.clone()))
            }
        };
        Self { parts: template.0.iter().filter_map(part).collect() }
    }

    /// The path and query of a record.
    pub(super) fn fill(&self, record: &[u8]) -> Result<String, Refused> {
        let mut path = String::new();
        let mut first = 0;
        for part in &self.parts {
            match part {
                Part::Text(text) => path.push_str(text),
                Part::Field(column, field) => {
                    first = *column;
                    let refused = |(code, message): (RejectCode, String)| Refused { column: *column, code, message };
                    let value = write::value(record, field).map_err(refused)?;
                    let value = value.filter(|value| !value.is_empty()).ok_or_else(|| {
                        refused((RejectCode::Required, "is a part of the address, and has no value".to_owned()))
                    })?;
                    if value.contains(char::is_control) {
                        let message = "is a part of the address, and holds a control character".to_owned();
                        return Err(refused((RejectCode::BadCharacter, message)));
                    }
                    encode(&value, &mut path);
                }
            }
        }
        // Whoever reads the address would walk up with them.
        let segments = path.split('?').next().unwrap_or_default().split('/');
        if segments.into_iter().any(|segment| matches!(segment, "." | "..")) {
            let message = "would be a step up in the path of the address".to_owned();
            return Err(Refused { column: first, code: RejectCode::BadCharacter, message });
        }
        Ok(path)
    }
}

/// Everything but letters, digits and `-._~` (RFC 3986, 2.3).
fn encode(value: &str, path: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(char::from(byte)),
            byte => path.push_str(&format!("%{byte:02X}")),
        }
    }
}
