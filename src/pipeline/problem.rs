//! Problem details (RFC 9457), as targets answer that have no words of their own. Pure.

use serde_json::Value;

/// What a problem document says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// The last part of `type`: `https://api.example/problems/out-of-credit` is `out-of-credit`.
    pub code: Option<String>,
    /// `detail`, or else `title`.
    pub text: Option<String>,
    /// `errors[]`, in their order.
    pub errors: Vec<ProblemError>,
}

/// One of `errors[]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProblemError {
    /// Position of the record that its pointer leads to, from 0.
    pub position: Option<u64>,
    /// Where in the record: `customer.email`.
    pub field: String,
    /// Its words.
    pub text: String,
}

impl Problem {
    /// Reads what there is of a problem; a document that is none gives nothing.
    pub fn of(document: &Value) -> Self {
        let text = |key: &str| document.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let listed = document.get("errors").and_then(Value::as_array);
        Self {
            code: text("type").and_then(last_part),
            text: text("detail").or_else(|| text("title")).map(str::to_owned),
            errors: listed.map(|errors| errors.iter().filter_map(error).collect()).unwrap_or_default(),
        }
    }

    /// The words for the whole batch: what it says, and where.
    pub fn words(&self) -> Option<String> {
        const MOST: usize = 5;
        let mut parts: Vec<String> = self.text.iter().cloned().collect();
        parts.extend(self.errors.iter().take(MOST).map(ProblemError::words));
        if self.errors.len() > MOST {
            parts.push(format!("and {} more", self.errors.len() - MOST));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

impl ProblemError {
    /// `customer.email: must be an address`.
    pub fn words(&self) -> String {
        if self.field.is_empty() { self.text.clone() } else { format!("{}: {}", self.field, self.text) }
    }
}

/// `about:blank` says that the status is all there is.
fn last_part(kind: &str) -> Option<String> {
    let part = kind.trim_end_matches('/').rsplit(['/', '#', ':']).next()?;
    (kind != "about:blank" && !part.is_empty()).then(|| part.to_owned())
}

fn error(entry: &Value) -> Option<ProblemError> {
    let text = ["detail", "message", "title"].iter().find_map(|key| entry.get(key).and_then(Value::as_str))?;
    let pointer = entry.get("pointer").and_then(Value::as_str).unwrap_or_default();
    let parts: Vec<String> = pointer
        .trim_start_matches('#')
        .split('/')
        .skip(1)
        .map(|part| part.replace("~1", "/").replace("~0", "~"))
        .collect();
    // `/3/customer` in a list, `/orders/3/customer` in a wrapped one.
    let at = parts.iter().take(2).position(|part| part.parse::<u64>().is_ok());
    let position = at.and_then(|at| parts[at].parse().ok());
    let field = parts[at.map_or(0, |at| at + 1)..].join(".");
    Some(ProblemError { position, field, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_is_read_with_its_type_its_words_and_where_its_errors_point() {
        let problem = Problem::of(&json!({
            "type": "https://api.example/problems/validation-failed",
            "title": "Validation failed",
            "detail": "2 records are wrong",
            "errors": [
                {"pointer": "#/3/customer/email", "detail": "must be an address"},
                {"pointer": "/orders/12/lines/0/sku", "detail": "unknown"},
                {"detail": "try later"},
            ],
        }));
        let error =
            |position, field: &str, text: &str| ProblemError { position, field: field.into(), text: text.into() };
        assert_eq!(problem.code.as_deref(), Some("validation-failed"));
        assert_eq!(
            problem.errors,
            [
                error(Some(3), "customer.email", "must be an address"),
                error(Some(12), "lines.0.sku", "unknown"),
                error(None, "", "try later"),
            ]
        );
        let words = "2 records are wrong; customer.email: must be an address; lines.0.sku: unknown; try later";
        assert_eq!(problem.words().as_deref(), Some(words));
    }

    #[test]
    fn other_documents_are_no_problem() {
        for document in [json!([]), json!("no"), json!({"type": 7, "errors": {"a": 1}}), json!({"type": "about:blank"})]
        {
            assert_eq!(Problem::of(&document), Problem::default(), "{document}");
        }
    }
}
