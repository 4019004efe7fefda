//! What an answer of the target means for each record of its batch. Pure.

use std::collections::HashMap;

use serde_json::Value;
use serde_json_path::JsonPath;

use crate::domain::delivery::{AttemptOutcome, Failure, FailureKind, Fate};
use crate::domain::job::ResponseRule;
use crate::ports::Reply;

/// `[target.response]` with its paths parsed.
pub struct AnswerReader {
    accepted: Vec<u16>,
    each: Option<JsonPath>,
    ours: Option<Vec<String>>,
    theirs: Option<JsonPath>,
    ok_path: Option<JsonPath>,
    ok_values: Vec<Value>,
    error_code: Option<JsonPath>,
    error_text: Option<JsonPath>,
}

impl AnswerReader {
    /// Parses the paths; `config` has checked them, so the error is for whoever builds a job by hand.
    pub fn new(rule: &ResponseRule) -> Result<Self, String> {
        let path = |text: &str| JsonPath::parse(text).map_err(|error| format!("`{text}` is not a JSONPath: {error}"));
        let optional = |text: &Option<String>| text.as_deref().map(path).transpose();
        let parse_value = |text: &String| serde_json::from_str(text).map_err(|error| format!("`{text}`: {error}"));
        Ok(Self {
            accepted: rule.accepted.clone(),
            each: optional(&rule.each)?,
            ours: rule.match_by.as_ref().map(|by| by.ours.split('.').map(str::to_owned).collect()),
            theirs: rule.match_by.as_ref().map(|by| path(&by.theirs)).transpose()?,
            ok_path: rule.ok_when.as_ref().map(|ok| path(&ok.path)).transpose()?,
            ok_values: rule.ok_when.iter().flat_map(|ok| &ok.is).map(parse_value).collect::<Result<_, _>>()?,
            error_code: optional(&rule.error_code)?,
            error_text: optional(&rule.error_text)?,
        })
    }

    /// The outcome of a complete answer to a batch of `records` records with this `body`.
    pub fn read(&self, reply: &Reply, body: &[u8], records: u64) -> AttemptOutcome {
        if !self.accepted.contains(&reply.status) {
            return self.failed(reply);
        }
        if self.each.is_none() && self.ok_path.is_none() {
            return AttemptOutcome::Answered(vec![Fate::Accepted; records as usize]);
        }
        match self.read_results(reply, body, records) {
            Ok(fates) => AttemptOutcome::Answered(fates),
            Err(message) => {
                AttemptOutcome::Failed(Failure { kind: FailureKind::Unreadable, message, retry_after_ms: None })
            }
        }
    }

    /// The code and the words that the target gives for refusing the whole batch.
    pub fn refusal(&self, reply: &Reply) -> (String, String) {
        let parsed: Option<Value> = serde_json::from_slice(&reply.body).ok();
        let found = |path: &Option<JsonPath>| {
            path.as_ref().zip(parsed.as_ref()).and_then(|(path, value)| path.query(value).first().and_then(as_text))
        };
        let problem = |key: &str| parsed.as_ref().and_then(|value| value.get(key)).and_then(as_text);
        let code = found(&self.error_code).unwrap_or_else(|| reply.status.to_string());
        let words = found(&self.error_text).or_else(|| problem("detail")).or_else(|| problem("title"));
        (code, words.unwrap_or_else(|| excerpt(reply)))
    }

    fn failed(&self, reply: &Reply) -> AttemptOutcome {
        let message = match (&reply.location, reply.status) {
            (Some(location), 300..=399) => {
                format!("answered {} and points to {location}; redirects are not followed", reply.status)
            }
            _ => format!("answered {}: {}", reply.status, excerpt(reply)),
        };
        let retry_after_ms = reply.retry_after.map(|wait| wait.as_millis() as u64);
        AttemptOutcome::Failed(Failure { kind: FailureKind::Status(reply.status), message, retry_after_ms })
    }

    fn read_results(&self, reply: &Reply, body: &[u8], records: u64) -> Result<Vec<Fate>, String> {
        if reply.truncated {
            return Err(format!("answered {}, but with more than 1 MiB", reply.status));
        }
        let document: Value = serde_json::from_slice(&reply.body).map_err(|error| {
            let kind = reply.content_type.as_deref().unwrap_or("no content type");
            format!(
                "answered {}, but the body ({kind}) is not JSON: {error}; it starts `{}`",
                reply.status,
                excerpt(reply)
            )
        })?;
        let Some(each) = &self.each else {
            return Ok(vec![self.fate(&document, reply.status); records as usize]);
        };
        let results = each.query(&document).all();
        match (&self.ours, &self.theirs) {
            (Some(ours), Some(theirs)) => self.by_key(&results, ours, theirs, body, records, reply.status),
            _ => self.by_position(&results, records, reply.status),
        }
    }

    fn by_position(&self, results: &[&Value], records: u64, status: u16) -> Result<Vec<Fate>, String> {
        if results.len() as u64 > records {
            return Err(format!("answered {status} with {} results for {records} records", results.len()));
        }
        let mut fates: Vec<Fate> = results.iter().map(|result| self.fate(result, status)).collect();
        fates.resize(records as usize, Fate::Unanswered);
        Ok(fates)
    }

    fn by_key(
        &self,
        results: &[&Value],
        ours: &[String],
        theirs: &JsonPath,
        body: &[u8],
        records: u64,
        status: u16,
    ) -> Result<Vec<Fate>, String> {
        let mut by_key: HashMap<String, Fate> = HashMap::with_capacity(results.len());
        for result in results {
            let Some(key) = theirs.query(result).first().and_then(as_text) else { continue };
            let fate = self.fate(result, status);
            by_key
                .entry(key)
                // Two results that contradict each other prove nothing.
                .and_modify(|seen| {
                    if *seen != fate {
                        *seen = Fate::Unanswered
                    }
                })
                .or_insert(fate);
        }
        let keys = record_keys(body, ours, records)?;
        Ok(keys
            .into_iter()
            .map(|key| key.and_then(|key| by_key.get(&key).cloned()).unwrap_or(Fate::Unanswered))
            .collect())
    }

    fn fate(&self, result: &Value, status: u16) -> Fate {
        let Some(path) = &self.ok_path else { return Fate::Accepted };
        let said = path.query(result).first();
        match said {
            Some(value) if self.ok_values.contains(value) => Fate::Accepted,
            None => Fate::Unanswered,
            Some(value) => {
                let found = |path: &Option<JsonPath>| {
                    path.as_ref().and_then(|path| path.query(result).first()).and_then(as_text)
                };
                let said = as_text(value).unwrap_or_else(|| value.to_string());
                let code = found(&self.error_code).unwrap_or_else(|| said.clone());
                let message = found(&self.error_text)
                    .unwrap_or_else(|| format!("answered {status}, and `{said}` for this record"));
                Fate::Refused { code, message }
            }
        }
    }
}

/// The value of field `ours` in each record of a body that we wrote ourselves.
fn record_keys(body: &[u8], ours: &[String], records: u64) -> Result<Vec<Option<String>>, String> {
    let body: Value = serde_json::from_slice(body).map_err(|error| format!("our own body is not JSON: {error}"))?;
    let key = |record: &Value| ours.iter().try_fold(record, |value, name| value.get(name)).and_then(as_text);
    let list = match &body {
        Value::Array(list) => Some(list),
        // A wrapped body has exactly one member, and it is the list; a bare record is an object of fields.
        Value::Object(members) => match members.values().next() {
            Some(Value::Array(list)) if members.len() == 1 && list.len() as u64 == records => Some(list),
            _ => None,
        },
        _ => None,
    };
    Ok(list.map_or_else(|| vec![key(&body)], |list| list.iter().map(key).collect()))
}

/// A scalar as text, so that `"17"` and `17` are the same key.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        _ => None,
    }
}

/// The start of a body, on one line, for messages.
fn excerpt(reply: &Reply) -> String {
    const MOST: usize = 200;
    let text = String::from_utf8_lossy(&reply.body[..reply.body.len().min(4 * MOST)]).into_owned();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.is_empty() => "(empty body)".to_owned(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::{MatchBy, OkWhen};

    fn rule() -> ResponseRule {
        ResponseRule {
            accepted: vec![200, 207],
            each: Some("$.results[*]".into()),
            match_by: Some(MatchBy { ours: "id".into(), theirs: "$.externalId".into() }),
            ok_when: Some(OkWhen { path: "$.status".into(), is: vec!["\"CREATED\"".into()] }),
            error_code: Some("$.error.code".into()),
            error_text: Some("$.error.message".into()),
        }
    }

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status,
            content_type: Some("application/json".into()),
            retry_after: None,
            exhausted: None,
            login_expired: false,
            location: None,
            body: bytes::Bytes::copy_from_slice(body.as_bytes()),
            truncated: false,
        }
    }

    fn read(rule: &ResponseRule, reply: &Reply, body: &str, records: u64) -> AttemptOutcome {
        AnswerReader::new(rule).unwrap().read(reply, body.as_bytes(), records)
    }

    fn refused(code: &str, message: &str) -> Fate {
        Fate::Refused { code: code.into(), message: message.into() }
    }

    #[test]
    fn results_out_of_order_are_matched_by_key_and_missing_ones_are_unanswered() {
        let body = r#"{"orders":[{"id":"a"},{"id":"b"},{"id":7}]}"#;
        let answer = r#"{"results":[{"externalId":"7","status":"CREATED"},
            {"externalId":"a","status":"REFUSED","error":{"code":"BLOCKED","message":"customer is blocked"}}]}"#;
        let outcome = read(&rule(), &reply(207, answer), body, 3);
        let expected = vec![refused("BLOCKED", "customer is blocked"), Fate::Unanswered, Fate::Accepted];
        assert_eq!(outcome, AttemptOutcome::Answered(expected));
    }

    #[test]
    fn without_match_results_count_by_position_and_fewer_leave_the_rest_unanswered() {
        let rule = ResponseRule { match_by: None, ..rule() };
        let outcome = read(&rule, &reply(200, r#"{"results":[{"status":"CREATED"}]}"#), "[{},{}]", 2);
        assert_eq!(outcome, AttemptOutcome::Answered(vec![Fate::Accepted, Fate::Unanswered]));
    }

    #[test]
    fn a_login_page_with_200_proves_nothing() {
        let page = Reply { content_type: Some("text/html".into()), ..reply(200, "<html>Please log in</html>") };
        let AttemptOutcome::Failed(failure) = read(&rule(), &page, "[{}]", 1) else { panic!("taken for an answer") };
        assert_eq!(failure.kind, FailureKind::Unreadable);
        assert_eq!(
            failure.message,
            "answered 200, but the body (text/html) is not JSON: expected value at line 1 column 1; \
             it starts `<html>Please log in</html>`"
        );
    }

    #[test]
    fn without_a_response_rule_the_status_speaks_for_the_batch() {
        let rule = ResponseRule {
            accepted: vec![201],
            each: None,
            match_by: None,
            ok_when: None,
            error_code: None,
            error_text: None,
        };
        assert_eq!(read(&rule, &reply(201, ""), "[{},{}]", 2), AttemptOutcome::Answered(vec![Fate::Accepted; 2]));
        let AttemptOutcome::Failed(failure) = read(&rule, &reply(200, ""), "[{}]", 1) else { panic!("taken") };
        assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Status(200), "answered 200: (empty body)"));
    }

    #[test]
    fn contradicting_results_for_one_key_prove_nothing() {
        let answer = r#"{"results":[{"externalId":"a","status":"CREATED"},{"externalId":"a","status":"NO"}]}"#;
        assert_eq!(
            read(&rule(), &reply(200, answer), r#"{"id":"a"}"#, 1),
            AttemptOutcome::Answered(vec![Fate::Unanswered])
        );
    }

    #[test]
    fn a_result_without_the_status_is_unanswered_and_another_status_is_a_refusal_in_its_own_words() {
        let rule = ResponseRule { error_code: None, error_text: None, ..rule() };
        let answer = r#"{"results":[{"externalId":"a"},{"externalId":"b","status":"DUPLICATE"}]}"#;
        let outcome = read(&rule, &reply(200, answer), r#"[{"id":"a"},{"id":"b"}]"#, 2);
        let no = refused("DUPLICATE", "answered 200, and `DUPLICATE` for this record");
        assert_eq!(outcome, AttemptOutcome::Answered(vec![Fate::Unanswered, no]));
    }

    #[test]
    fn a_refused_batch_speaks_in_problem_details_or_in_its_first_words() {
        let reader = AnswerReader::new(&ResponseRule { error_code: None, error_text: None, ..rule() }).unwrap();
        let problem = reply(422, r#"{"title":"Unprocessable","detail":"currency XYZ"}"#);
        assert_eq!(reader.refusal(&problem), ("422".to_owned(), "currency XYZ".to_owned()));
        assert_eq!(reader.refusal(&reply(400, "no  such\nfield")), ("400".to_owned(), "no such field".to_owned()));
    }
}
