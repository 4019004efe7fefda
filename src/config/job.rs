//! A job file: what, when, from where, to where, and what to do when not.

use serde_json_path::JsonPath;
use toml::de::DeValue;

use super::connections::check_header;
use super::reconcile::{self, ReadMeasure, ReadReconcile};
use super::request;
use super::schedule::{self, ReadSchedule};
use super::source;
use super::tree::{At, Sink, Table, Value};
use super::unit::{duration, size};
use super::wrapping;
use crate::domain::job::{
    BatchRule, Criticality, Idempotency, Job, MatchBy, OkWhen, OnUnanswered, PlaybookEntry, ResponseRule, Results,
    RetryOn, RetryRule, Target,
};
use crate::domain::name::{ConnectionName, JobName, MappingName};

/// A job with the places of what it refers to.
#[derive(Clone, Debug)]
pub struct ReadJob {
    /// The job; `None` when it has a mistake that leaves no meaning.
    pub job: Option<Job>,
    /// `[schedule]`; `None` when it has a mistake that leaves no meaning.
    pub schedule: Option<ReadSchedule>,
    /// `[job] mapping`.
    pub mapping: Option<At<String>>,
    /// `[source] connection`.
    pub source: Option<At<String>>,
    /// `[target] connection`.
    pub target: Option<At<String>>,
    /// `[reconcile]`.
    pub reconcile: ReadReconcile,
    /// `[[measures]]`.
    pub measures: Vec<ReadMeasure>,
    /// What says how a request is made.
    pub request: std::ops::Range<usize>,
}

/// Reads a job; `stem` is the name of its file without `.toml`.
pub fn read(sink: &Sink<'_>, root: Table<'_>, stem: &str, timezone: Option<&str>) -> ReadJob {
    let head = root.required("job").and_then(|value| value.table("job"));
    let (name, title, enabled, mapping) = head.map(|head| read_head(head, stem)).unwrap_or_default();
    let schedule = match root.table("schedule") {
        Some(table) => schedule::read(table, timezone),
        None => ReadSchedule::unscheduled(timezone),
    };
    let source_table = root.required("source").and_then(|value| value.table("source"));
    let (source, source_place) = source_table.map(source::read).unwrap_or_default();
    let wrapping = root.table("format").and_then(wrapping::read);
    let target_table = root.required("target").and_then(|value| value.table("target"));
    let request = target_table.as_ref().map(request::place).unwrap_or_default();
    let (target, target_place) = target_table.map(read_target).unwrap_or_default();
    let (reconcile, measures) = reconcile::read(&root);
    let criticality = criticality(&root);
    let playbook = root.get("playbook").map(|value| read_playbook(&value)).unwrap_or_default();
    root.end();
    let job = (|| {
        Some(Job {
            name: JobName::new(name?.value),
            title: title.unwrap_or_default(),
            criticality,
            enabled,
            mapping: MappingName::new(mapping.as_ref()?.value.clone()),
            source: source?,
            wrapping,
            target: target?,
            reconcile: reconcile.rule.clone(),
            measures: measures.iter().map(|read| read.measure.clone()).collect(),
            playbook,
        })
    })();
    let _ = sink;
    ReadJob { job, schedule, mapping, source: source_place, target: target_place, reconcile, measures, request }
}

/// `[integration]` is for people; this one word is for the queue too.
fn criticality(root: &Table<'_>) -> Criticality {
    let word = root.peek("integration").and_then(|value| match value.node() {
        DeValue::Table(table) => table.get("criticality").and_then(|word| word.get_ref().as_str().map(str::to_owned)),
        _ => None,
    });
    word.and_then(|word| Criticality::from_word(&word)).unwrap_or(Criticality::Medium)
}

type Head = (Option<At<String>>, Option<String>, bool, Option<At<String>>);

fn read_head(table: Table<'_>, stem: &str) -> Head {
    let name = table.required("name").and_then(|value| value.text());
    if let Some(name) = &name {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        if name.value.is_empty() || !name.value.bytes().all(plain) {
            table.sink().error(
                "NF121",
                &name.span,
                "a job's name has lower-case letters, digits, `-` and `_` only",
                "",
            );
        } else if name.value != stem {
            let message = format!("this job is `{}`, but its file is `{stem}.toml`", name.value);
            table.sink().error("NF120", &name.span, message, "name and file must agree");
        }
    }
    let title = table.text("title").map(|title| title.value);
    let enabled = table.get("enabled").is_none_or(|value| value.boolean() != Some(false));
    let mapping = table.required("mapping").and_then(|value| value.text());
    table.end();
    (name, title, enabled, mapping)
}

fn read_target(table: Table<'_>) -> (Option<Target>, Option<At<String>>) {
    let connection = table.required("connection").and_then(|value| value.text());
    let method = request::method(&table);
    let (path, template) = table.required("path").and_then(|value| request::path(&value)).unzip();
    let headers = table.table("headers").map(|headers| read_headers(&headers)).unwrap_or_default();
    let mut batch = table.table("batch").map_or_else(BatchRule::default, read_batch);
    batch.request = request::read(&table, template.flatten(), &batch);
    let idempotency = table.table("idempotency").and_then(read_idempotency);
    let retry = table.table("retry").map_or_else(RetryRule::default, read_retry);
    let on_unanswered = on_unanswered(&table, idempotency.is_some());
    let response = table.table("response").map_or_else(|| Some(default_response()), read_response);
    let target = (|| {
        Some(Target {
            connection: ConnectionName::new(connection.as_ref()?.value.clone()),
            method,
            path: path?,
            headers,
            batch,
            idempotency,
            retry,
            on_unanswered,
            response: response?,
        })
    })();
    table.end();
    (target, connection)
}

fn read_headers(table: &Table<'_>) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for (name, value) in table.entries() {
        let good = check_header(table.sink(), &name);
        if let Some(text) = value.text().filter(|text| check_header(table.sink(), text) && good) {
            headers.push((name.value, text.value));
        }
    }
    headers
}

fn read_batch(table: Table<'_>) -> BatchRule {
    let mut batch = BatchRule::default();
    if let Some(records) = table.get("records").and_then(|value| value.integer(1, 100_000)) {
        batch.records = u32::try_from(records).unwrap_or(batch.records);
    }
    batch.bytes = table.get("bytes").and_then(|value| size(&value)).unwrap_or(batch.bytes);
    batch.wrap = table.text("wrap").map(|wrap| wrap.value);
    table.end();
    batch
}

fn read_idempotency(table: Table<'_>) -> Option<Idempotency> {
    let header =
        table.required("header").and_then(|value| value.text()).filter(|header| check_header(table.sink(), header));
    let window = table.get("window").map_or(Some(std::time::Duration::from_secs(86_400)), |value| duration(&value));
    let quoted = table.get("quoted").is_some_and(|value| value.boolean() == Some(true));
    table.end();
    Some(Idempotency { header: header?.value, window: window?, quoted })
}

fn on_unanswered(table: &Table<'_>, has_key: bool) -> OnUnanswered {
    let by_default = if has_key { OnUnanswered::Resend } else { OnUnanswered::Hold };
    let chosen = table.word("on_unanswered", OnUnanswered::from_word, &["resend", "hold"]).unwrap_or(by_default);
    if let (OnUnanswered::Resend, false, Some(value)) = (chosen, has_key, table.get("on_unanswered")) {
        let help = "add `idempotency = { header = \"Idempotency-Key\" }` if the target honours one, else `on_unanswered = \"hold\"`";
        table.sink().error_help(
            "NF124",
            &value.span(),
            "without a key, sending again could take effect twice",
            "",
            help,
        );
    }
    chosen
}

fn read_retry(table: Table<'_>) -> RetryRule {
    let mut retry = RetryRule::default();
    if let Some(attempts) = table.get("attempts").and_then(|value| value.integer(1, 1_000)) {
        retry.attempts = u32::try_from(attempts).unwrap_or(retry.attempts);
    }
    retry.first_wait = table.get("first_wait").and_then(|value| duration(&value)).unwrap_or(retry.first_wait);
    retry.longest_wait = table.get("longest_wait").and_then(|value| duration(&value)).unwrap_or(retry.longest_wait);
    retry.on = table.get("on").map(|value| retry_on(&value));
    table.end();
    retry
}

fn retry_on(value: &Value<'_>) -> RetryOn {
    let mut on = RetryOn { statuses: Vec::new(), timeout: false };
    for item in value.list(false) {
        match item.node() {
            DeValue::String(word) if word == "timeout" => on.timeout = true,
            DeValue::Integer(_) => {
                on.statuses.extend(item.integer(400, 599).and_then(|status| u16::try_from(status).ok()));
            }
            _ => item.sink().error(
                "NF104",
                &item.span(),
                "a status from 400 to 599, or `\"timeout\"`, is needed here",
                "",
            ),
        }
    }
    on
}

fn default_response() -> ResponseRule {
    ResponseRule {
        accepted: vec![200, 201, 202, 204, 207],
        results: None,
        match_by: None,
        ok_when: None,
        reference: None,
        error_code: None,
        error_text: None,
    }
}

fn read_response(table: Table<'_>) -> Option<ResponseRule> {
    let mut response = default_response();
    if let Some(value) = table.get("accepted") {
        let statuses = value.list(false);
        response.accepted = statuses
            .iter()
            .filter_map(|status| status.integer(200, 299))
            .filter_map(|status| u16::try_from(status).ok())
            .collect();
        if statuses.is_empty() {
            table.sink().error("NF104", &value.span(), "`accepted` needs at least one status", "");
        }
    }
    let json_path = |key: &str| table.text(key).and_then(|text| json_path(table.sink(), text));
    response.results = match (json_path("each"), json_path("refused")) {
        (Some(_), Some(_)) => {
            let place = table.get("refused").map_or_else(|| table.span(), |value| value.span());
            table.sink().error_help(
                "NF106",
                &place,
                "`each` and `refused` exclude each other",
                "the other one is given too",
                "`each` when the answer has a result for every record, `refused` when it lists only what went wrong",
            );
            None
        }
        (Some(each), None) => Some(Results::Each(each)),
        (None, refused) => refused.map(Results::Refused),
    };
    response.reference = json_path("reference");
    response.error_code = json_path("error_code");
    response.error_text = json_path("error_text");
    response.match_by = table.table("match").and_then(read_match);
    response.ok_when = table.table("ok_when").and_then(read_ok_when);
    let lists = table.has("each") || table.has("refused");
    if let (Some(value), false) = (table.get("match"), lists) {
        table.sink().error_help(
            "NF125",
            &value.span(),
            "`match` needs `each` or `refused`",
            "",
            "for example `each = \"$.results[*]\"`",
        );
    }
    if let (Some(value), false) = (table.get("refused"), table.has("match")) {
        table.sink().error_help(
            "NF125",
            &value.span(),
            "`refused` needs `match`",
            "whose refusal it is would be a guess",
            "for example `match = { position = \"$.index\" }`, or `{ ours = \"id\", theirs = \"$.id\" }`",
        );
    }
    table.end();
    Some(response)
}

fn json_path(sink: &Sink<'_>, text: At<String>) -> Option<String> {
    match JsonPath::parse(&text.value) {
        Ok(_) => Some(text.value),
        Err(_) => {
            let message = format!("`{}` is not a JSONPath", text.value);
            sink.error_help("NF126", &text.span, message, "", "for example `$.results[*]` or `$.status`");
            None
        }
    }
}

fn read_match(table: Table<'_>) -> Option<MatchBy> {
    if table.has("position") {
        let position = table.text("position").and_then(|text| json_path(table.sink(), text));
        table.end();
        return position.map(MatchBy::Position);
    }
    let ours = table.required("ours").and_then(|value| value.text());
    let theirs = table.required("theirs").and_then(|value| value.text()).and_then(|text| json_path(table.sink(), text));
    table.end();
    Some(MatchBy::Key { ours: ours?.value, theirs: theirs? })
}

fn read_ok_when(table: Table<'_>) -> Option<OkWhen> {
    let path = table.required("path").and_then(|value| value.text()).and_then(|text| json_path(table.sink(), text));
    let is = table.required("is").map(|value| value.list(true)).unwrap_or_default();
    let words = is.iter().filter_map(|value| match value.node() {
        DeValue::String(text) => Some(serde_json::Value::from(text.as_ref()).to_string()),
        DeValue::Boolean(yes) => Some(yes.to_string()),
        DeValue::Integer(digits) => Some(digits.as_str().to_owned()),
        _ => {
            value.sink().error("NF102", &value.span(), "text, a whole number, or true or false is needed here", "");
            None
        }
    });
    let is = words.collect();
    table.end();
    Some(OkWhen { path: path?, is })
}

fn read_playbook(value: &Value<'_>) -> Vec<PlaybookEntry> {
    let mut entries = Vec::new();
    for entry in value.list(false) {
        let Some(table) = entry.table("playbook") else { continue };
        let text = |key: &str| table.text(key).map(|text| text.value).unwrap_or_default();
        let when = table.required("when").and_then(|value| value.text()).map(|text| text.value);
        let (means, action, who, within) = (text("means"), text("do"), text("who"), text("within"));
        entries.extend(when.map(|when| PlaybookEntry { when, means, action, who, within }));
        table.end();
    }
    entries
}
