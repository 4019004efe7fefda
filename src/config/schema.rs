//! The JSON Schemas of the files that people write (draft 7), for editors: made from the table of words.

use serde_json::{Map, Value, json};

use super::words::{File, Kind, Shape, Word};

/// The schema of a kind of file.
pub fn of(file: File) -> Value {
    let mut definitions = Map::new();
    for word in file.words().iter().filter(|word| word.table != "clean") {
        let table = definitions
            .entry(word.table)
            .or_insert_with(|| json!({ "type": "object", "additionalProperties": false, "properties": {} }));
        let mut schema = shape(file, word);
        if let Some(object) = schema.as_object_mut() {
            object.insert("description".to_owned(), json!(word.means));
        }
        table["properties"][word.key] = schema;
    }
    let mut root = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": format!("Nightferry {}", file.name()),
        "type": "object",
    });
    if file == File::Connections {
        // Every name is a connection.
        root["additionalProperties"] = reference("@*");
    } else {
        let tables =
            file.places().iter().map(|place| (place.name.to_owned(), top(place.name, place.kind, place.means)));
        root["additionalProperties"] = json!(false);
        root["required"] = json!(file.needs());
        root["properties"] = Value::Object(tables.collect());
    }
    root["definitions"] = Value::Object(definitions);
    root
}

fn reference(place: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{place}") })
}

/// A table at the top of a file. What stands beside `$ref` does not count in draft 7, so the words go around it.
fn top(name: &str, kind: Kind, means: &str) -> Value {
    match kind {
        Kind::One => json!({ "description": means, "allOf": [reference(name)] }),
        Kind::Named => {
            json!({ "description": means, "type": "object", "additionalProperties": reference(&format!("{name}.*")) })
        }
        Kind::List => json!({ "description": means, "type": "array", "items": reference(name) }),
        Kind::Free => json!({ "description": means, "type": "object" }),
    }
}

fn shape(file: File, word: &Word) -> Value {
    let text = json!({ "type": "string" });
    let constant = json!({ "type": ["string", "number", "boolean"] });
    let column = json!({ "type": ["string", "integer"] });
    let one_or_more = |one: &Value| json!({ "anyOf": [one, { "type": "array", "items": one }] });
    let secret = json!({ "allOf": [reference("secret")] });
    let inner = reference(&format!("{}.{}", word.table, word.key));
    match word.shape {
        // Editors read dates of TOML as text.
        Shape::Text | Shape::Moment => text,
        Shape::Texts => one_or_more(&text),
        Shape::Duration => json!({ "type": "string", "pattern": "^[0-9]+ *(ms|s|m|h|d)$" }),
        Shape::Size => json!({ "type": "string", "pattern": "^[0-9]+ *(B|[kK]B|MB|GB|KiB|MiB|GiB)$" }),
        Shape::Column => column,
        Shape::Columns => one_or_more(&column),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::FlagOr(words) => json!({ "anyOf": [{ "type": "boolean" }, { "type": "string", "enum": words }] }),
        Shape::Whole => json!({ "type": "integer", "minimum": 0 }),
        Shape::Number => json!({ "type": "number" }),
        Shape::Limit => json!({ "type": ["number", "string"] }),
        Shape::OneOf(words) => json!({ "type": "string", "enum": words }),
        Shape::SomeOf(words) => one_or_more(&json!({ "type": "string", "enum": words })),
        Shape::Statuses => json!({ "type": "array", "items": { "type": "integer", "minimum": 100, "maximum": 599 } }),
        Shape::StatusesAnd(words) => {
            let status = json!({ "type": "integer", "minimum": 100, "maximum": 599 });
            json!({ "type": "array", "items": { "anyOf": [status, { "type": "string", "enum": words }] } })
        }
        Shape::Constant => constant,
        Shape::Constants => one_or_more(&constant),
        Shape::Conditions => {
            let tests = json!({ "anyOf": [constant, { "type": "array", "items": constant }, condition(file)] });
            json!({ "type": "object", "minProperties": 1, "additionalProperties": tests })
        }
        Shape::Pairs => json!({ "type": "object", "additionalProperties": constant }),
        Shape::Steps => steps(file),
        Shape::Two => json!({ "type": "array", "items": { "type": "integer" }, "minItems": 2, "maxItems": 2 }),
        Shape::Tables => json!({ "type": "array", "items": { "type": "object" } }),
        Shape::Table => json!({ "allOf": [inner] }),
        Shape::WordOrTable([]) => json!({ "anyOf": [text, { "type": "object" }] }),
        Shape::WordOrTable(words) => json!({ "anyOf": [{ "type": "string", "enum": words }, inner] }),
        Shape::TableList => json!({ "type": "array", "items": inner }),
        Shape::Secret => secret,
        Shape::Secrets => json!({ "type": "array", "items": secret }),
        Shape::TextOrSecret => json!({ "anyOf": [text, secret] }),
        Shape::Headers => {
            let value = if file == File::Connections { json!({ "anyOf": [text, secret] }) } else { text };
            json!({ "type": "object", "additionalProperties": value })
        }
    }
}

/// The tests of a condition. Files without words for them may have any.
fn condition(file: File) -> Value {
    match file.words().iter().any(|word| word.table == "condition") {
        true => reference("condition"),
        false => json!({ "type": "object" }),
    }
}

fn steps(file: File) -> Value {
    let (alone, tables): (Vec<&Word>, Vec<&Word>) =
        file.words().iter().filter(|word| word.table == "clean").partition(|word| stands_alone(word));
    let words: Vec<&str> = alone.iter().map(|word| word.key).collect();
    let tables: Map<String, Value> = tables.iter().map(|word| (word.key.to_owned(), json!({}))).collect();
    let table = json!({ "type": "object", "additionalProperties": false, "minProperties": 1, "maxProperties": 1, "properties": tables });
    let step = json!({ "anyOf": [{ "type": "string", "enum": words }, table] });
    json!({ "type": "array", "items": step })
}

/// A step of `clean` is a word, or a table with one key.
fn stands_alone(word: &Word) -> bool {
    word.example.is_some_and(|example| example.recipe.contains(&format!("\"{}\"", word.key)))
}
