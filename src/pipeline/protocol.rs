//! Protocols that put their own no into a 200, or their own words into a 500: GraphQL and SOAP. Their answers are put into the
//! words of HTTP, which decide about retries and refusals as everywhere. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::answer::AnswerReader;
use crate::domain::delivery::{Answered, AttemptOutcome, Failure, FailureKind, Fate};
use crate::domain::request::BodyRule;
use crate::format::xml_value;
use crate::ports::Reply;

/// What requests and answers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The status says it.
    Http,
    /// `errors` beside `data`; with `aliases` a field of `data` for each record.
    GraphQl {
        /// Fields are `r0`, `r1` …
        aliases: bool,
    },
    /// An envelope, or a fault in one.
    Soap,
}

/// An error of a GraphQL answer.
struct Error {
    position: Option<usize>,
    code: String,
    message: String,
}

impl Protocol {
    /// That of a body.
    pub fn of(body: &BodyRule) -> Self {
        match body {
            BodyRule::GraphQl { .. } => Self::GraphQl { aliases: false },
            BodyRule::Aliases { .. } => Self::GraphQl { aliases: true },
            BodyRule::Soap { .. } => Self::Soap,
            BodyRule::Output | BodyRule::Nothing | BodyRule::Multipart { .. } => Self::Http,
        }
    }

    /// The answer in the words of HTTP, and what it means for each record of the batch with this `body`.
    pub fn read(self, reader: &AnswerReader, reply: Reply, body: &[u8], records: u64) -> (Reply, AttemptOutcome) {
        let unreadable = |what: &str, reply: &Reply| {
            let message = format!("answered {}, but the body is no {what}", reply.status);
            AttemptOutcome::Failed(Failure { kind: FailureKind::Unreadable, message, retry_after_ms: None })
        };
        let is_good = (200..300).contains(&reply.status);
        match self {
            Self::Http => {}
            Self::Soap => match soap(&reply) {
                Some(translated) => {
                    let outcome = reader.read(&translated, body, records);
                    return (translated, outcome);
                }
                None if is_good => {
                    let outcome = unreadable("SOAP envelope", &reply);
                    return (reply, outcome);
                }
                None => {}
            },
            Self::GraphQl { aliases } => match serde_json::from_slice::<Map<String, Value>>(&reply.body) {
                Ok(document) if document.contains_key("data") || document.contains_key("errors") => {
                    return graphql(reader, reply, document, aliases, body, records);
                }
                _ if is_good => {
                    let outcome = unreadable("GraphQL answer", &reply);
                    return (reply, outcome);
                }
                _ => {}
            },
        }
        let outcome = reader.read(&reply, body, records);
        (reply, outcome)
    }
}

fn graphql(
    reader: &AnswerReader,
    mut reply: Reply,
    document: Map<String, Value>,
    aliases: bool,
    body: &[u8],
    records: u64,
) -> (Reply, AttemptOutcome) {
    let listed = document.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let errors: Vec<Error> = listed.iter().map(|entry| error(entry, aliases)).collect();
    let data = document.get("data").unwrap_or(&Value::Null);
    let nothing = data.is_null() || data.as_object().is_some_and(|fields| fields.values().all(Value::is_null));
    if !errors.is_empty() && nothing && !aliases || data.is_null() {
        // Nothing took effect: the whole request was answered with no.
        reply.status = errors.first().map_or(422, |error| status(&error.code));
        reply.body = problem(&errors);
        let outcome = reader.read(&reply, body, records);
        return (reply, outcome);
    }
    if aliases {
        let field = |at: u64| data.get(format!("r{at}")).cloned().unwrap_or_default();
        reply.body = Bytes::from(json!({ "data": (0..records).map(field).collect::<Vec<_>>() }).to_string());
    }
    let outcome = match reader.read(&reply, body, records) {
        AttemptOutcome::Answered(answered) => {
            let proven = |at: usize| aliases && data.get(format!("r{at}")).is_some_and(|field| !field.is_null());
            AttemptOutcome::Answered(with_errors(answered, &errors, aliases, &proven))
        }
        failed => failed,
    };
    (reply, outcome)
}

/// Records with an error of their own are refused. Where an error belongs to no record for certain, only what is proven stays.
fn with_errors(mut answered: Answered, errors: &[Error], aliases: bool, proven: &dyn Fn(usize) -> bool) -> Answered {
    let alone = answered.fates.len() == 1;
    let mut own: BTreeMap<usize, &Error> = BTreeMap::new();
    let mut loose = 0_u64;
    for error in errors {
        match error.position.filter(|at| *at < answered.fates.len()).or(alone.then_some(0)) {
            Some(at) => drop(own.entry(at).or_insert(error)),
            None => loose += 1,
        }
    }
    for (at, fate) in answered.fates.iter_mut().enumerate() {
        if let Some(Error { code, message, .. }) = own.get(&at) {
            *fate = Fate::Refused { code: code.clone(), message: message.clone() };
        } else if fate.is_accepted() && !proven(at) && (aliases || loose > 0) {
            *fate = Fate::Unanswered;
        }
    }
    if loose > 0 {
        let remark = format!("{loose} errors in the answer belong to no record");
        answered.remark = Some(answered.remark.take().map_or(remark.clone(), |first| format!("{first}; {remark}")));
    }
    answered
}

fn error(entry: &Value, aliases: bool) -> Error {
    let path = entry.get("path").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let position = match aliases {
        true => path.first().and_then(Value::as_str).and_then(|name| name.strip_prefix('r')?.parse().ok()),
        false => path.iter().find_map(Value::as_u64).and_then(|at| usize::try_from(at).ok()),
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let code = text(entry.pointer("/extensions/code")).or_else(|| text(entry.get("code")));
    Error {
        position,
        code: code.unwrap_or_else(|| "graphql-error".to_owned()),
        message: text(entry.get("message")).unwrap_or_else(|| "an error without a message".to_owned()),
    }
}

/// The status that a code stands for; a code that nobody knows is a final no.
fn status(code: &str) -> u16 {
    match code.to_ascii_uppercase().as_str() {
        "UNAUTHENTICATED" | "UNAUTHORIZED" => 401,
        "FORBIDDEN" | "ACCESS_DENIED" => 403,
        "THROTTLED" | "RATE_LIMITED" | "TOO_MANY_REQUESTS" | "MAX_COST_EXCEEDED" => 429,
        "INTERNAL_SERVER_ERROR" | "SERVICE_UNAVAILABLE" | "TIMEOUT" => 500,
        _ => 422,
    }
}

/// Problem details (RFC 9457) of the errors.
fn problem(errors: &[Error]) -> Bytes {
    let entry = |error: &Error| match error.position {
        Some(at) => json!({ "detail": error.message, "pointer": format!("#/{at}") }),
        None => json!({ "detail": error.message }),
    };
    let code = errors.first().map_or("no-data", |error| error.code.as_str());
    let detail = errors.first().map_or("the answer has neither data nor errors", |error| error.message.as_str());
    let listed: Vec<Value> = errors.iter().filter(|error| error.position.is_some()).map(entry).collect();
    Bytes::from(json!({ "type": format!("urn:{code}"), "detail": detail, "errors": listed }).to_string())
}

/// An envelope without its frame, as JSON; a fault as a status with problem details. `None`: it is no envelope.
fn soap(reply: &Reply) -> Option<Reply> {
    let (root, envelope) = xml_value::parse(std::str::from_utf8(&reply.body).ok()?)?;
    if root != "Envelope" {
        return None;
    }
    let body = envelope.get("Body")?;
    let mut translated = Reply { content_type: Some("application/json".to_owned()), ..reply.clone() };
    let Some(fault) = body.get("Fault") else {
        translated.body = Bytes::from(body.to_string());
        return Some(translated);
    };
    let text = |paths: [&str; 2]| paths.iter().find_map(|path| fault.pointer(path)).and_then(first_text);
    let code = text(["/faultcode", "/Code/Value"]).unwrap_or_default();
    let inner = text(["/Code/Subcode/Value", "/Code/Subcode/Value"]);
    let words = text(["/faultstring", "/Reason/Text"]).unwrap_or_else(|| "a fault without words".to_owned());
    let local = |code: &str| code.rsplit(':').next().unwrap_or_default().to_owned();
    let (outer, shown) = (local(&code), inner.map_or_else(|| local(&code), |inner| local(&inner)));
    translated.status = match outer.split('.').next().unwrap_or_default() {
        _ if shown.contains("Authentication") || shown.contains("Security") => 401,
        "Server" | "Receiver" => 500,
        _ => 422,
    };
    let document = json!({ "type": format!("urn:{shown}"), "detail": format!("SOAP fault {shown}: {words}") });
    translated.body = Bytes::from(document.to_string());
    Some(translated)
}

fn first_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(list) => list.first().and_then(first_text),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends with the first surprise")]
mod tests {
    use super::*;
    use crate::domain::job::ResponseRule;

    fn reader() -> AnswerReader {
        let rule = ResponseRule {
            accepted: vec![200],
            results: None,
            match_by: None,
            ok_when: None,
            reference: None,
            error_code: None,
            error_text: None,
        };
        AnswerReader::new(&rule).unwrap()
    }

    fn read(protocol: Protocol, status: u16, body: &str, records: u64) -> (u16, String) {
        let reply = Reply {
            status,
            content_type: None,
            retry_after: None,
            exhausted: None,
            login_expired: false,
            location: None,
            body: Bytes::from(body.to_owned()),
            truncated: false,
        };
        let (reply, outcome) = protocol.read(&reader(), reply, b"[]", records);
        let fates = match outcome {
            AttemptOutcome::Answered(answered) => answered
                .fates
                .iter()
                .map(|fate| match fate {
                    Fate::Accepted { .. } => "yes".to_owned(),
                    Fate::Refused { code, message } => format!("no {code} {message}"),
                    Fate::Unanswered => "?".to_owned(),
                })
                .collect::<Vec<_>>()
                .join(" | "),
            AttemptOutcome::Failed(failure) => format!("{:?}", failure.kind),
        };
        (reply.status, fates)
    }

    #[test]
    fn errors_in_a_graphql_answer_find_their_records() {
        let list = Protocol::GraphQl { aliases: false };
        let aliases = Protocol::GraphQl { aliases: true };
        let answered = |status: u16, text: &str| (status, text.to_owned());
        assert_eq!(read(list, 200, r#"{"data":{"create":[{"id":1},{"id":2}]}}"#, 2), answered(200, "yes | yes"));
        let partial = r#"{"data":{"create":[{"id":1},null]},"errors":[{"message":"bad","path":["create",1],"extensions":{"code":"E7"}}]}"#;
        assert_eq!(read(list, 200, partial, 2), answered(200, "yes | no E7 bad"));
        let loose = r#"{"data":{"create":[{"id":1},null]},"errors":[{"message":"bad"}]}"#;
        assert_eq!(read(list, 200, loose, 2), answered(200, "? | ?"));
        let some =
            r#"{"data":{"r0":{"id":1},"r1":null,"r2":null,"r10":{"id":9}},"errors":[{"message":"bad","path":["r1"]}]}"#;
        assert_eq!(read(aliases, 200, some, 3), answered(200, "yes | no graphql-error bad | ?"));
    }

    #[test]
    fn a_graphql_answer_without_data_is_a_no_to_the_request() {
        let list = Protocol::GraphQl { aliases: false };
        let error =
            |code: &str| format!(r#"{{"data":null,"errors":[{{"message":"m","extensions":{{"code":"{code}"}}}}]}}"#);
        assert_eq!(read(list, 200, &error("BAD_USER_INPUT"), 2), (422, "Status(422)".to_owned()));
        assert_eq!(read(list, 200, &error("THROTTLED"), 2), (429, "Status(429)".to_owned()));
        assert_eq!(read(list, 200, &error("UNAUTHENTICATED"), 2), (401, "Status(401)".to_owned()));
        assert_eq!(read(list, 200, &error("INTERNAL_SERVER_ERROR"), 2), (500, "Status(500)".to_owned()));
        assert_eq!(read(list, 200, "<html>login</html>", 2), (200, "Unreadable".to_owned()));
        assert_eq!(read(list, 502, "<html>bad gateway</html>", 2), (502, "Status(502)".to_owned()));
    }

    #[test]
    fn a_soap_fault_is_a_final_no_of_the_sender_and_trouble_of_the_receiver() {
        let one = |code: &str| {
            format!(
                "<s:Envelope xmlns:s='x'><s:Body><s:Fault><faultcode>s:{code}</faultcode><faultstring>no &lt;id&gt;</faultstring></s:Fault></s:Body></s:Envelope>"
            )
        };
        let two = |code: &str| {
            format!(
                "<s:Envelope xmlns:s='x'><s:Body><s:Fault><s:Code><s:Value>s:{code}</s:Value></s:Code><s:Reason><s:Text xml:lang='en'>no</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>"
            )
        };
        for (status, body, expected) in [
            (200, one("Client"), (422, "Status(422)")),
            (500, one("Client"), (422, "Status(422)")),
            (500, one("Server"), (500, "Status(500)")),
            (200, one("Server"), (500, "Status(500)")),
            (500, one("Client.Authentication"), (401, "Status(401)")),
            (400, two("Sender"), (422, "Status(422)")),
            (500, two("Receiver"), (500, "Status(500)")),
            (200, "<html><body>log in</body></html>".to_owned(), (200, "Unreadable")),
            (503, "no".to_owned(), (503, "Status(503)")),
            (
                200,
                "<s:Envelope xmlns:s='x'><s:Body><r><ok>1</ok></r></s:Body></s:Envelope>".to_owned(),
                (200, "yes | yes"),
            ),
        ] {
            assert_eq!(read(Protocol::Soap, status, &body, 2), (expected.0, expected.1.to_owned()), "{body}");
        }
    }
}
