//! The JSON Schema of mapping files (draft 7), for editors: made from the table of words.

use serde_json::{Map, Value, json};

use super::words::{Shape, WORDS};

/// The schema of a mapping file.
pub fn mapping() -> Value {
    let mut root = Map::new();
    for name in ["mapping", "input", "record", "changes", "rejects", "output"] {
        root.insert(name.to_owned(), json!({ "$ref": format!("#/definitions/{name}") }));
    }
    for name in ["layouts", "lookups", "fields"] {
        let each = json!({ "$ref": format!("#/definitions/{name}") });
        root.insert(name.to_owned(), json!({ "type": "object", "additionalProperties": each }));
    }
    for name in ["checks", "controls", "tests"] {
        let each = json!({ "$ref": format!("#/definitions/{name}") });
        root.insert(name.to_owned(), json!({ "type": "array", "items": each }));
    }
    root.insert("sample".to_owned(), json!({ "type": "object", "description": "One good row, as in the file." }));
    let mut definitions = Map::new();
    for word in WORDS.iter().filter(|word| word.table != "clean") {
        let name = word.table.trim_end_matches(".*").to_owned();
        let table = definitions
            .entry(name)
            .or_insert_with(|| json!({ "type": "object", "additionalProperties": false, "properties": {} }));
        let mut schema = shape(word.shape);
        if let Some(object) = schema.as_object_mut() {
            object.insert("description".to_owned(), json!(word.means));
        }
        table["properties"][word.key] = schema;
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Nightferry mapping",
        "type": "object",
        "additionalProperties": false,
        "required": ["fields"],
        "properties": root,
        "definitions": definitions,
    })
}

fn shape(shape: Shape) -> Value {
    let text = json!({ "type": "string" });
    let constant = json!({ "type": ["string", "number", "boolean"] });
    let column = json!({ "type": ["string", "integer"] });
    match shape {
        Shape::Text => text,
        Shape::Texts => json!({ "anyOf": [text, { "type": "array", "items": text }] }),
        Shape::Column => column,
        Shape::Columns => json!({ "anyOf": [column, { "type": "array", "items": column }] }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Whole => json!({ "type": "integer", "minimum": 0 }),
        Shape::Number => json!({ "type": "number" }),
        Shape::Limit => json!({ "type": ["number", "string"] }),
        Shape::OneOf(words) => json!({ "type": "string", "enum": words }),
        Shape::Constant => constant,
        Shape::Constants => json!({ "type": "array", "items": constant }),
        Shape::Conditions | Shape::Pairs => json!({ "type": "object" }),
        Shape::Steps => {
            let words = step_words(true);
            let tables: Map<String, Value> =
                step_words(false).into_iter().map(|word| (word.to_owned(), json!({}))).collect();
            let table = json!({ "type": "object", "additionalProperties": false, "properties": tables });
            json!({ "type": "array", "items": { "anyOf": [{ "type": "string", "enum": words }, table] } })
        }
        Shape::Cases => json!({ "type": "array", "items": {
            "type": "object", "required": ["when", "value"], "additionalProperties": false,
            "properties": { "when": { "type": "object" }, "value": constant },
        } }),
        Shape::LayoutColumns => json!({ "type": "array", "items": {
            "type": "object", "required": ["name"], "additionalProperties": false,
            "properties": {
                "name": text, "pos": text, "field": { "type": "integer", "minimum": 1 }, "note": text, "within": text,
            },
        } }),
        Shape::Two => json!({ "type": "array", "items": { "type": "integer" }, "minItems": 2, "maxItems": 2 }),
        Shape::Tables => json!({ "type": "array", "items": { "type": "object" } }),
    }
}

/// Steps of `clean` that stand alone, or those that are a table with one key.
fn step_words(alone: bool) -> Vec<&'static str> {
    let is_alone = |recipe: &str, key: &str| recipe.contains(&format!("\"{key}\""));
    let steps = WORDS.iter().filter(|word| word.table == "clean");
    steps
        .filter(|word| word.example.is_some_and(|example| is_alone(example.recipe, word.key)) == alone)
        .map(|word| word.key)
        .collect()
}
