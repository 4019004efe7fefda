//! What an answer of the target means for each record of its batch. Pure.

use std::collections::HashMap;

use serde_json::Value;
use serde_json_path::JsonPath;

use super::problem::Problem;
use crate::domain::delivery::{Answered, AttemptOutcome, Failure, FailureKind, Fate};
use crate::domain::job::{MatchBy, ResponseRule, Results};
use crate::ports::Reply;

/// `[target.response]` with its paths parsed.
pub struct AnswerReader {
    accepted: Vec<u16>,
    results: Option<JsonPath>,
    /// The results are refusals, and what is not among them was accepted.
    lists_refusals: bool,
    matching: Matching,
    ok_path: Option<JsonPath>,
    ok_values: Vec<Value>,
    reference: Option<JsonPath>,
    error_code: Option<JsonPath>,
    error_text: Option<JsonPath>,
}

/// How a result finds its record.
enum Matching {
    Order,
    Position(JsonPath),
    Key(Vec<String>, JsonPath),
}

/// The results that belong to one record.
#[derive(Clone)]
struct Said {
    fate: Fate,
    times: u64,
}

impl AnswerReader {
    /// Parses the paths; `config` has checked them, so the error is for whoever builds a job by hand.
    pub fn new(rule: &ResponseRule) -> Result<Self, String> {
        let path = |text: &str| JsonPath::parse(text).map_err(|error| format!("`{text}` is not a JSONPath: {error}"));
        let optional = |text: &Option<String>| text.as_deref().map(path).transpose();
        let parse_value = |text: &String| serde_json::from_str(text).map_err(|error| format!("`{text}`: {error}"));
        let matching = match &rule.match_by {
            None => Matching::Order,
            Some(MatchBy::Position(at)) => Matching::Position(path(at)?),
            Some(MatchBy::Key { ours, theirs }) => {
                Matching::Key(ours.split('.').map(str::to_owned).collect(), path(theirs)?)
            }
        };
        let results = rule.results.as_ref().map(|results| match results {
            Results::Each(text) | Results::Refused(text) => path(text),
        });
        Ok(Self {
            accepted: rule.accepted.clone(),
            results: results.transpose()?,
            lists_refusals: matches!(rule.results, Some(Results::Refused(_))),
            matching,
            ok_path: rule.ok_when.as_ref().map(|ok| path(&ok.path)).transpose()?,
            ok_values: rule.ok_when.iter().flat_map(|ok| &ok.is).map(parse_value).collect::<Result<_, _>>()?,
            reference: optional(&rule.reference)?,
            error_code: optional(&rule.error_code)?,
            error_text: optional(&rule.error_text)?,
        })
    }

    /// The outcome of a complete answer to a batch of `records` records with this `body`.
    pub fn read(&self, reply: &Reply, body: &[u8], records: u64) -> AttemptOutcome {
        if !self.accepted.contains(&reply.status) {
            return self.failed(reply);
        }
        if self.results.is_none() && self.ok_path.is_none() {
            let reference = (records == 1).then(|| self.reference_of(reply)).flatten();
            let fates = vec![Fate::Accepted { reference }; records as usize];
            return AttemptOutcome::Answered(Answered { fates, remark: None });
        }
        match self.read_results(reply, body, records) {
            Ok(answered) => AttemptOutcome::Answered(answered),
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
        let problem = parsed.as_ref().map(Problem::of).unwrap_or_default();
        let words = found(&self.error_text).or_else(|| problem.words());
        let code = found(&self.error_code).or(problem.code).unwrap_or_else(|| reply.status.to_string());
        (code, words.unwrap_or_else(|| excerpt(reply)))
    }

    /// The records that a refusal of the whole batch names, with code and words; the others were not taken either.
    pub fn named(&self, reply: &Reply, body: &[u8], records: u64) -> Vec<(u64, String, String)> {
        let listed = self.results.is_some() && !matches!(self.matching, Matching::Order);
        let answered =
            if listed { self.read_results(reply, body, records).unwrap_or_default() } else { Answered::default() };
        let refused = (0..).zip(answered.fates).filter_map(|(at, fate)| match fate {
            Fate::Refused { code, message } => Some((at, code, message)),
            _ => None,
        });
        let refused: Vec<_> = refused.collect();
        if !refused.is_empty() {
            return refused;
        }
        let document: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let problem = Problem::of(&document);
        let mut named: Vec<(u64, String, String)> = Vec::new();
        for error in &problem.errors {
            let Some(position) = error.position.filter(|at| *at < records) else { continue };
            match named.iter_mut().find(|(at, ..)| *at == position) {
                Some((_, _, words)) => *words = format!("{words}; {}", error.words()),
                None => {
                    let code = problem.code.clone().unwrap_or_else(|| reply.status.to_string());
                    named.push((position, code, error.words()));
                }
            }
        }
        named.sort_by_key(|(at, ..)| *at);
        named
    }

    fn reference_of(&self, reply: &Reply) -> Option<String> {
        let path = self.reference.as_ref()?;
        let document: Value = serde_json::from_slice(&reply.body).ok()?;
        path.query(&document).first().and_then(as_text)
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

    fn read_results(&self, reply: &Reply, body: &[u8], records: u64) -> Result<Answered, String> {
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
        let Some(results) = &self.results else {
            return Ok(Answered { fates: vec![self.fate(&document, reply.status); records as usize], remark: None });
        };
        let results = results.query(&document).all();
        let (said, strange) = match &self.matching {
            Matching::Order => (self.in_order(&results, records, reply.status)?, 0),
            Matching::Position(path) => self.by_position(&results, path, records, reply.status),
            Matching::Key(ours, theirs) => self.by_key(&results, ours, theirs, body, records, reply.status)?,
        };
        Ok(self.answered(said, strange))
    }

    /// The fates of records for which the answer says something or nothing.
    fn answered(&self, said: Vec<Option<Fate>>, strange: u64) -> Answered {
        // A refusal that belongs to no record belongs to one that is not listed: then nothing is proven for those.
        let unlisted = if self.lists_refusals && strange == 0 { Fate::ACCEPTED } else { Fate::Unanswered };
        let records = said.len();
        let fates: Vec<Fate> = said.into_iter().map(|fate| fate.unwrap_or_else(|| unlisted.clone())).collect();
        let missing = fates.iter().filter(|fate| **fate == Fate::Unanswered).count();
        let mut remarks = Vec::new();
        if missing > 0 {
            remarks
                .push(format!("{missing} of {records} records have no clear result in the answer and are unanswered"));
        }
        if strange > 0 {
            remarks.push(format!("{strange} results belong to no record of the batch"));
        }
        Answered { fates, remark: (!remarks.is_empty()).then(|| remarks.join("; ")) }
    }

    fn in_order(&self, results: &[&Value], records: u64, status: u16) -> Result<Vec<Option<Fate>>, String> {
        if results.len() as u64 > records {
            return Err(format!("answered {status} with {} results for {records} records", results.len()));
        }
        let mut said: Vec<Option<Fate>> = results.iter().map(|result| Some(self.fate(result, status))).collect();
        said.resize(records as usize, None);
        Ok(said)
    }

    /// Also the number of results that belong to no record.
    fn by_position(&self, results: &[&Value], path: &JsonPath, records: u64, status: u16) -> (Vec<Option<Fate>>, u64) {
        let mut said: Vec<Option<Said>> = vec![None; records as usize];
        let mut strange = 0;
        for result in results {
            let at = path.query(result).first().and_then(as_text).and_then(|text| text.parse::<usize>().ok());
            match at.and_then(|at| said.get_mut(at)) {
                Some(place) => Said::add(place, self.fate(result, status)),
                None => strange += 1,
            }
        }
        (said.into_iter().map(|said| said.map(|said| said.fate)).collect(), strange)
    }

    /// Also the number of results that belong to no record.
    fn by_key(
        &self,
        results: &[&Value],
        ours: &[String],
        theirs: &JsonPath,
        body: &[u8],
        records: u64,
        status: u16,
    ) -> Result<(Vec<Option<Fate>>, u64), String> {
        let keys = record_keys(body, ours, records)?;
        let mut wanted: HashMap<&str, u64> = HashMap::with_capacity(keys.len());
        for key in keys.iter().flatten() {
            *wanted.entry(key).or_default() += 1;
        }
        let mut by_key: HashMap<&str, Option<Said>> = HashMap::with_capacity(results.len());
        let mut strange = 0;
        for result in results {
            let key = theirs.query(result).first().and_then(as_text);
            match key.as_deref().and_then(|key| wanted.get_key_value(key)) {
                Some((key, _)) => Said::add(by_key.entry(key).or_default(), self.fate(result, status)),
                None => strange += 1,
            }
        }
        let fate = |key: &Option<String>| {
            let key = key.as_deref()?;
            let said = by_key.get(key)?.as_ref()?;
            // One result for two records with the same key: whose it is cannot be said.
            let enough = said.times >= wanted.get(key).copied().unwrap_or(1);
            Some(if enough { said.fate.clone() } else { Fate::Unanswered })
        };
        Ok((keys.iter().map(fate).collect(), strange))
    }

    fn fate(&self, result: &Value, status: u16) -> Fate {
        let found =
            |path: &Option<JsonPath>| path.as_ref().and_then(|path| path.query(result).first()).and_then(as_text);
        let Some(path) = &self.ok_path else {
            if !self.lists_refusals {
                return Fate::Accepted { reference: found(&self.reference) };
            }
            let code = found(&self.error_code).unwrap_or_else(|| "refused".to_owned());
            let words = || format!("answered {status}, and this record is among the refused ones");
            return Fate::Refused { code, message: found(&self.error_text).unwrap_or_else(words) };
        };
        match path.query(result).first() {
            Some(value) if self.ok_values.contains(value) => Fate::Accepted { reference: found(&self.reference) },
            None => Fate::Unanswered,
            Some(value) => {
                let said = as_text(value).unwrap_or_else(|| value.to_string());
                let code = found(&self.error_code).unwrap_or_else(|| said.clone());
                let message = found(&self.error_text)
                    .unwrap_or_else(|| format!("answered {status}, and `{said}` for this record"));
                Fate::Refused { code, message }
            }
        }
    }
}

impl Said {
    /// Adds a result; two that contradict each other prove nothing.
    fn add(place: &mut Option<Self>, fate: Fate) {
        match place {
            None => *place = Some(Self { fate, times: 1 }),
            Some(said) => {
                said.times += 1;
                let same = said.fate == fate || (said.fate.is_accepted() && fate.is_accepted());
                if !same {
                    said.fate = Fate::Unanswered;
                }
            }
        }
    }
}

/// The value of field `ours` in each record of a body that we wrote ourselves.
fn record_keys(body: &[u8], ours: &[String], records: u64) -> Result<Vec<Option<String>>, String> {
    // Lines are one value behind the other.
    let values = serde_json::Deserializer::from_slice(body).into_iter::<Value>().collect::<Result<Vec<_>, _>>();
    let mut values = values.map_err(|error| format!("our own body is not JSON: {error}"))?;
    let body = if values.len() == 1 { values.remove(0) } else { Value::Array(values) };
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
    shortened(&reply.body, 200)
}

/// As much of a body as an attempt keeps.
pub fn long_excerpt(body: &[u8]) -> String {
    shortened(body, 2000)
}

fn shortened(body: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * most)]).into_owned();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.is_empty() => "(empty body)".to_owned(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::OkWhen;

    fn rule() -> ResponseRule {
        ResponseRule {
            accepted: vec![200, 207],
            results: Some(Results::Each("$.results[*]".into())),
            match_by: Some(MatchBy::Key { ours: "id".into(), theirs: "$.externalId".into() }),
            ok_when: Some(OkWhen { path: "$.status".into(), is: vec!["\"CREATED\"".into()] }),
            reference: Some("$.erpId".into()),
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

    /// The fates, and what is odd about the answer.
    fn fates(rule: &ResponseRule, reply: &Reply, body: &str, records: u64) -> (Vec<Fate>, Option<String>) {
        match read(rule, reply, body, records) {
            AttemptOutcome::Answered(answered) => (answered.fates, answered.remark),
            AttemptOutcome::Failed(failure) => panic!("{failure:?}"),
        }
    }

    fn accepted(reference: &str) -> Fate {
        Fate::Accepted { reference: Some(reference.into()) }
    }

    fn unclear(missing: u64, records: u64) -> Option<String> {
        Some(format!("{missing} of {records} records have no clear result in the answer and are unanswered"))
    }

    fn refused(code: &str, message: &str) -> Fate {
        Fate::Refused { code: code.into(), message: message.into() }
    }

    #[test]
    fn results_out_of_order_are_matched_by_key_and_missing_ones_are_unanswered() {
        let body = r#"{"orders":[{"id":"a"},{"id":"b"},{"id":7}]}"#;
        let answer = r#"{"results":[{"externalId":"7","status":"CREATED","erpId":9001},{"externalId":"zz","status":"CREATED"},
            {"externalId":"a","status":"REFUSED","error":{"code":"BLOCKED","message":"customer is blocked"}}]}"#;
        let outcome = fates(&rule(), &reply(207, answer), body, 3);
        let expected = vec![refused("BLOCKED", "customer is blocked"), Fate::Unanswered, accepted("9001")];
        let remark = "1 of 3 records have no clear result in the answer and are unanswered; \
                      1 results belong to no record of the batch";
        assert_eq!(outcome, (expected, Some(remark.to_owned())));
    }

    #[test]
    fn without_match_results_count_by_position_and_fewer_leave_the_rest_unanswered() {
        let rule = ResponseRule { match_by: None, ..rule() };
        let outcome = fates(&rule, &reply(200, r#"{"results":[{"status":"CREATED"}]}"#), "[{},{}]", 2);
        assert_eq!(outcome, (vec![Fate::ACCEPTED, Fate::Unanswered], unclear(1, 2)));
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
            results: None,
            match_by: None,
            ok_when: None,
            reference: None,
            error_code: None,
            error_text: None,
        };
        assert_eq!(fates(&rule, &reply(201, ""), "[{},{}]", 2), (vec![Fate::ACCEPTED; 2], None));
        let AttemptOutcome::Failed(failure) = read(&rule, &reply(200, ""), "[{}]", 1) else { panic!("taken") };
        assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Status(200), "answered 200: (empty body)"));
    }

    #[test]
    fn contradicting_results_for_one_key_prove_nothing() {
        let answer = r#"{"results":[{"externalId":"a","status":"CREATED"},{"externalId":"a","status":"NO"}]}"#;
        assert_eq!(fates(&rule(), &reply(200, answer), r#"{"id":"a"}"#, 1), (vec![Fate::Unanswered], unclear(1, 1)));
    }

    #[test]
    fn a_result_without_the_status_is_unanswered_and_another_status_is_a_refusal_in_its_own_words() {
        let rule = ResponseRule { error_code: None, error_text: None, ..rule() };
        let answer = r#"{"results":[{"externalId":"a"},{"externalId":"b","status":"DUPLICATE"}]}"#;
        let outcome = fates(&rule, &reply(200, answer), r#"[{"id":"a"},{"id":"b"}]"#, 2);
        let no = refused("DUPLICATE", "answered 200, and `DUPLICATE` for this record");
        assert_eq!(outcome, (vec![Fate::Unanswered, no], unclear(1, 2)));
    }

    #[test]
    fn a_refused_batch_speaks_in_problem_details_or_in_its_first_words() {
        let reader = AnswerReader::new(&ResponseRule { error_code: None, error_text: None, ..rule() }).unwrap();
        let problem = reply(422, r#"{"title":"Unprocessable","detail":"currency XYZ"}"#);
        assert_eq!(reader.refusal(&problem), ("422".to_owned(), "currency XYZ".to_owned()));
        assert_eq!(reader.refusal(&reply(400, "no  such\nfield")), ("400".to_owned(), "no such field".to_owned()));
    }

    #[test]
    fn one_result_for_two_records_with_the_same_key_proves_nothing_and_two_prove_both() {
        let body = r#"[{"id":"a"},{"id":"a"},{"id":"b"}]"#;
        let one = r#"{"results":[{"externalId":"a","status":"CREATED"},{"externalId":"b","status":"CREATED"}]}"#;
        let expected = vec![Fate::Unanswered, Fate::Unanswered, Fate::ACCEPTED];
        assert_eq!(fates(&rule(), &reply(200, one), body, 3), (expected, unclear(2, 3)));
        let two = one.replace("[{", r#"[{"externalId":"a","status":"CREATED"},{"#);
        assert_eq!(fates(&rule(), &reply(200, &two), body, 3), (vec![Fate::ACCEPTED; 3], None));
    }

    fn refusals() -> ResponseRule {
        ResponseRule {
            results: Some(Results::Refused("$.errors[*]".into())),
            match_by: Some(MatchBy::Position("$.index".into())),
            ok_when: None,
            error_code: Some("$.reason".into()),
            error_text: Some("$.message".into()),
            ..rule()
        }
    }

    #[test]
    fn a_list_of_refusals_means_that_the_others_were_accepted() {
        let answer = r#"{"errors":[{"index":2,"reason":"invalid","message":"no such field: x"}]}"#;
        let expected = vec![Fate::ACCEPTED, Fate::ACCEPTED, refused("invalid", "no such field: x")];
        assert_eq!(fates(&refusals(), &reply(200, answer), "[{},{},{}]", 3), (expected, None));
        assert_eq!(fates(&refusals(), &reply(200, "{}"), "[{},{}]", 2), (vec![Fate::ACCEPTED; 2], None));
    }

    #[test]
    fn a_refusal_that_belongs_to_no_record_proves_nothing_for_those_that_are_not_listed() {
        let answer = r#"{"errors":[{"index":0,"reason":"a"},{"index":7,"reason":"b"}]}"#;
        let (fates, remark) = fates(&refusals(), &reply(200, answer), "[{},{}]", 2);
        assert_eq!(fates[1], Fate::Unanswered);
        assert!(remark.unwrap().ends_with("1 results belong to no record of the batch"));
    }

    #[test]
    fn a_record_that_is_sent_alone_is_called_what_the_whole_answer_says() {
        let rule = ResponseRule { results: None, match_by: None, ok_when: None, ..rule() };
        assert_eq!(fates(&rule, &reply(200, r#"{"erpId":"E-1"}"#), "{}", 1), (vec![accepted("E-1")], None));
        assert_eq!(fates(&rule, &reply(200, "OK"), "{}", 1), (vec![Fate::ACCEPTED], None));
        assert_eq!(fates(&rule, &reply(200, r#"{"erpId":"E-1"}"#), "[{},{}]", 2), (vec![Fate::ACCEPTED; 2], None));
    }

    #[test]
    fn a_refused_batch_may_name_the_records_that_are_to_blame() {
        let plain =
            ResponseRule { results: None, match_by: None, ok_when: None, error_code: None, error_text: None, ..rule() };
        let named = |rule: &ResponseRule, answer: &str| {
            AnswerReader::new(rule).unwrap().named(&reply(422, answer), br#"[{"id":"a"},{"id":"b"},{"id":"c"}]"#, 3)
        };
        let problem = r#"{"type":"https://x.example/p/invalid","errors":[{"pointer":"/2/day","detail":"too late"},
            {"pointer":"/2/id","detail":"known"},{"pointer":"/9/id","detail":"?"}]}"#;
        assert_eq!(named(&plain, problem), [(2, "invalid".to_owned(), "day: too late; id: known".to_owned())]);
        let listed = r#"{"results":[{"externalId":"b","status":"NO","error":{"code":"BLOCKED","message":"blocked"}}]}"#;
        assert_eq!(named(&rule(), listed), [(1, "BLOCKED".to_owned(), "blocked".to_owned())]);
        assert_eq!(named(&plain, "no"), []);
    }
}
