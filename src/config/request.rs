//! `[target] path`, `body` and `compression`: what a request is besides JSON records to a fixed address.

use std::ops::Range;

use toml::de::DeValue;

use super::lookup::constant;
use super::suggest::nearest;
use super::template::braces;
use super::tree::{At, Sink, Table, Value};
use crate::domain::job::{BatchRule, Target};
use crate::domain::request::{BodyRule, PathPart, PathTemplate, RequestRule, SoapVersion};
use crate::mapping::request::headers;
use crate::mapping::spec::{Constant, FieldSpec, MappingSpec, OutputFormat};

/// Where complaints about the request point: at `body`, else at `path`, else at the table.
pub fn place(target: &Table<'_>) -> Range<usize> {
    let value = target.peek("body").or_else(|| target.peek("path"));
    value.map_or(target.span(), |value| value.span())
}

/// Reads `method`: capitals, as HTTP has them.
pub fn method(table: &Table<'_>) -> String {
    let by_default = || "POST".to_owned();
    let Some(method) = table.text("method") else { return by_default() };
    let good = !method.value.is_empty()
        && method.value.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
        && !matches!(method.value.as_str(), "CONNECT" | "TRACE");
    if !good {
        let message = format!("`{}` is not a method that carries records", method.value);
        table.sink().error("NF104", &method.span, message, "in capitals: `POST`, `PUT`, `PATCH`, `DELETE` …");
    }
    if good { method.value } else { by_default() }
}

/// Reads `path`: the text, and with fields of the record in it the template.
pub fn path(value: &Value<'_>) -> Option<(String, Option<PathTemplate>)> {
    let text = value.text()?;
    let sink = value.sink();
    let plain = |character: char| !character.is_control() && character != ' ' && character != '#';
    if !text.value.starts_with('/') || !text.value.chars().all(plain) {
        sink.error("NF123", &text.span, "`path` begins with `/` and holds no blank and no `#`", "");
        return None;
    }
    let Some(parts) = braces(&text.value) else {
        let message = format!("`{}` has a `{{` or `}}` without its other half", text.value);
        sink.error("NF105", &text.span, message, "");
        return None;
    };
    if text.value.split(['/', '?']).any(|segment| matches!(segment, "." | "..")) {
        sink.error("NF123", &text.span, "`path` takes no step up", "write the path that is meant");
        return None;
    }
    let part = |(braced, part): &(bool, &str)| match braced {
        true => PathPart::Field((*part).to_owned()),
        false => PathPart::Text((*part).to_owned()),
    };
    let template = parts.iter().any(|(braced, _)| *braced).then(|| PathTemplate(parts.iter().map(part).collect()));
    Some((text.value, template))
}

/// Reads `body` and `compression`; `path` was read before.
pub fn read(table: &Table<'_>, path: Option<PathTemplate>, batch: &BatchRule) -> RequestRule {
    let gzip = table.choice("compression", &[("gzip", true)]).unwrap_or(false);
    let body = table.get("body").and_then(|value| body(&value)).unwrap_or_default();
    if let (Some(_), true, Some(value)) = (&path, batch.records != 1, table.peek("path")) {
        let help = "add `batch = { records = 1 }`";
        let message = "an address with a field of the record in it is that of one record";
        table.sink().error_help("NF144", &value.span(), message, "one record a request is needed", help);
    }
    if let (BodyRule::Nothing, None, Some(value)) = (&body, &path, table.peek("body")) {
        let message = "without a body and without a field of the record in `path` nothing would be told";
        table.sink().error("NF143", &value.span(), message, "");
    }
    RequestRule { path, body, gzip }
}

/// The kinds of a body, and the keys that belong to each.
const KEYS: &[(&str, &[&str])] = &[
    ("multipart", &["file_name", "fields"]),
    ("graphql", &["variable", "record_type", "variables"]),
    ("soap", &["action", "envelope"]),
];

fn body(value: &Value<'_>) -> Option<BodyRule> {
    if let DeValue::String(word) = value.node() {
        if word == "none" {
            return Some(BodyRule::Nothing);
        }
        let help = "`\"none\"`, or a table with `multipart`, `graphql` or `soap`; without `body` it is in the mapping's `[output] format`";
        value.sink().error_help("NF104", &value.span(), format!("`{word}` is not a body"), "", help);
        return None;
    }
    let table = value.table("target.body")?;
    let body = match (table.text("multipart"), table.text("graphql"), table.text("soap")) {
        (Some(part), None, None) => multipart(&table, part.value),
        (None, Some(query), None) => graphql(&table, &query),
        (None, None, Some(version)) => soap(&table, &version),
        _ => {
            let message = "a body is one of `multipart`, `graphql` and `soap`";
            table.sink().error("NF103", &value.span(), message, "exactly one is needed");
            None
        }
    };
    for (kind, keys) in KEYS {
        for key in keys.iter().filter(|_| !table.has(kind)) {
            if let Some(value) = table.get(key) {
                table.sink().error(
                    "NF109",
                    &value.span(),
                    format!("`{key}` belongs to `{kind}`"),
                    "has no effect here",
                );
            }
        }
    }
    table.end();
    body
}

fn multipart(table: &Table<'_>, part: String) -> Option<BodyRule> {
    let file_name = table.required("file_name").and_then(|name| name.text());
    let fields = table.table("fields").map(|fields| {
        let entries = fields.entries().into_iter();
        entries.filter_map(|(name, value)| Some((name.value, constant(&value)?.into_text()))).collect::<Vec<_>>()
    });
    let fields = fields.unwrap_or_default();
    let texts = fields.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).chain([part.as_str()]);
    if texts.into_iter().any(|text| text.contains(char::is_control)) {
        table.sink().error("NF104", &table.span(), "a part of an upload holds a control character", "");
        return None;
    }
    Some(BodyRule::Multipart { part, file_name: file_name?.value, fields })
}

fn graphql(table: &Table<'_>, query: &At<String>) -> Option<BodyRule> {
    let variables = table.table("variables").map(|variables| {
        let entries = variables.entries().into_iter();
        entries.filter_map(|(name, value)| Some((name.value, json(constant(&value)?)))).collect()
    });
    let variables: Vec<(String, String)> = variables.unwrap_or_default();
    let sink = table.sink();
    let names = |name: &str| {
        let name = format!("${name}");
        query.value.match_indices(&name).any(|(at, _)| {
            let next = query.value[at + name.len()..].chars().next();
            !next.is_some_and(|next| next.is_alphanumeric() || next == '_')
        })
    };
    match (table.text("variable"), table.text("record_type")) {
        (Some(variable), None) => {
            if !names(&variable.value) {
                let message = format!("the query does not use `${}`", variable.value);
                sink.error("NF105", &query.span, message, "so no record would be sent");
            }
            Some(BodyRule::GraphQl { query: query.value.clone(), variable: variable.value, variables })
        }
        (None, Some(record_type)) => {
            if !names("record") || query.value.trim_start().starts_with("mutation") {
                let label = "for example `createOrder(input: $record) { id }`";
                sink.error(
                    "NF105",
                    &query.span,
                    "with `record_type` the query is one field with `$record` in it",
                    label,
                );
            }
            if let Some((name, _)) = variables.first() {
                let message = format!("`{name}`: further variables belong to a query with `variable`");
                sink.error("NF109", &table.span(), message, "write the value into the field");
            }
            Some(BodyRule::Aliases {
                field: query.value.clone(),
                record_type: record_type.value,
                variables: Vec::new(),
            })
        }
        _ => {
            let help = "`variable = \"orders\"` for a list in one variable, or `record_type = \"OrderInput!\"` for a field for each record";
            sink.error_help("NF103", &query.span, "where do the records go in this query?", "", help);
            None
        }
    }
}

fn json(constant: Constant) -> String {
    match constant {
        Constant::Text(text) => serde_json::Value::from(text).to_string(),
        Constant::Number(digits) => digits,
        Constant::Boolean(value) => value.to_string(),
    }
}

fn soap(table: &Table<'_>, version: &At<String>) -> Option<BodyRule> {
    let sink = table.sink();
    let known = match version.value.as_str() {
        "1.1" => Some(SoapVersion::V11),
        "1.2" => Some(SoapVersion::V12),
        _ => {
            sink.error("NF104", &version.span, format!("`{}` is no version of SOAP", version.value), "`1.1` or `1.2`");
            None
        }
    };
    let action = table.text("action").map(|action| action.value).unwrap_or_default();
    if action.contains(|character: char| character.is_control() || character == '"') {
        sink.error("NF104", &table.span(), "`action` holds a character that a header cannot", "");
    }
    let envelope = table.text("envelope").filter(|envelope| {
        let good = envelope.value.matches("{records}").count() == 1;
        if !good {
            sink.error("NF105", &envelope.span, "an envelope has `{records}` in it once", "there the records go");
        }
        good
    });
    Some(BodyRule::Soap { version: known?, action, envelope: envelope.map(|envelope| envelope.value) })
}

/// Checks the request of a job against its mapping, and gives it the headers that go with its body.
pub fn settle(sink: &Sink<'_>, target: &mut Target, spec: &MappingSpec, place: &Range<usize>) {
    let format = spec.output.format;
    let rule = &target.batch;
    let unfit = |message: String, help: &str| sink.error_help("NF143", place, message, "", help);
    let word = format.word();
    match &rule.request.body {
        BodyRule::GraphQl { .. } | BodyRule::Aliases { .. } if format != OutputFormat::Json => {
            unfit(
                format!("GraphQL takes JSON, and the mapping's `[output] format` is `{word}`"),
                "set it to `\"json\"`",
            );
        }
        BodyRule::Soap { .. } if format != OutputFormat::Xml => {
            unfit(format!("SOAP takes XML, and the mapping's `[output] format` is `{word}`"), "set it to `\"xml\"`");
        }
        _ => {}
    }
    let wraps = rule.wrap.is_some() && (format != OutputFormat::Json || rule.request.body != BodyRule::Output);
    if wraps {
        unfit("`batch.wrap` puts JSON records into an object, and this body is another one".to_owned(), "leave it out");
    }
    if format == OutputFormat::Form && rule.records != 1 {
        let message = "a form is one record, so one record a request is needed".to_owned();
        sink.error_help("NF144", place, message, "", "add `batch = { records = 1 }`");
    }
    for part in rule.request.path.iter().flat_map(|path| &path.0) {
        let PathPart::Field(name) = part else { continue };
        let fields = || spec.fields.iter().filter(|field| field.list().is_none()).map(FieldSpec::name);
        if fields().any(|field| field == *name) {
            continue;
        }
        let names: Vec<String> = fields().collect();
        let near = nearest(name, names.iter().map(String::as_str));
        let help =
            near.map_or("a field of the record, as it is sent".to_owned(), |near| format!("did you mean `{near}`?"));
        sink.error_help("NF133", place, format!("there is no field `{name}` for `path`"), "", help);
    }
    for (name, value) in headers(spec, rule) {
        if !target.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            target.headers.push((name.to_owned(), value));
        }
    }
}
