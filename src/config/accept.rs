//! Writes the results of inline tests back into a mapping; comments and everything else stay as they are.

use toml_edit::{Array, DocumentMut, InlineTable, Item, Value};

use super::inline_test::ExpectedReject;
use crate::format::json_value::Json;

/// What came of a test.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Its place among `[[tests]]`, from 0.
    pub test: usize,
    /// The records.
    pub records: Vec<Json>,
    /// The rejects.
    pub rejects: Vec<ExpectedReject>,
}

/// The text of the mapping with these results. Paths that a test names stay the paths that it names.
///
/// # Errors
/// A text that is no TOML.
pub fn write_back(text: &str, accepted: &[Accepted]) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    let Some(tests) = document.get_mut("tests").and_then(Item::as_array_of_tables_mut) else {
        return Err("the mapping has no [[tests]]".to_owned());
    };
    for result in accepted {
        let Some(table) = tests.get_mut(result.test) else { continue };
        if table.contains_key("expect_json") {
            let records = Json::List(result.records.clone()).to_string();
            table["expect_json"] = toml_edit::value(records);
        } else {
            let named = paths(table.get("expect"));
            let before = table.get("expect").and_then(Item::as_value).map(|value| value.decor().clone());
            let mut expect = expected(&result.records, &named);
            if let Some(decor) = before {
                *expect.decor_mut() = decor;
            }
            table["expect"] = Item::Value(expect);
        }
        if result.rejects.is_empty() {
            table.remove("reject");
        } else {
            table["reject"] = Item::Value(rejects(&result.rejects));
        }
    }
    Ok(document.to_string())
}

/// The paths that a test names, record by record.
fn paths(expect: Option<&Item>) -> Vec<Vec<String>> {
    let records = expect.and_then(Item::as_array).into_iter().flatten();
    records
        .map(|record| {
            let table = record.as_inline_table();
            table.map(|table| table.iter().map(|(path, _)| path.to_owned()).collect()).unwrap_or_default()
        })
        .collect()
}

fn expected(records: &[Json], named: &[Vec<String>]) -> Value {
    let mut array = Array::new();
    for (at, record) in records.iter().enumerate() {
        let mut table = InlineTable::new();
        let mut leaves = Vec::new();
        leaves_of(record, String::new(), &mut leaves);
        let wanted = named.get(at).or(named.first()).filter(|paths| !paths.is_empty());
        for (path, value) in leaves {
            if wanted.is_none_or(|paths| paths.contains(&path)) {
                table.insert(&path, toml_of(value));
            }
        }
        array.push(Value::InlineTable(table));
    }
    Value::Array(array)
}

fn leaves_of<'a>(json: &'a Json, path: String, leaves: &mut Vec<(String, &'a Json)>) {
    match json {
        Json::Object(entries) => {
            for (key, value) in entries {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves_of(value, inner, leaves);
            }
        }
        Json::List(items) => {
            for (at, item) in items.iter().enumerate() {
                leaves_of(item, format!("{path}[{at}]"), leaves);
            }
        }
        // A path without a value is what `absent` is for.
        Json::Null => {}
        leaf => leaves.push((path, leaf)),
    }
}

fn toml_of(json: &Json) -> Value {
    match json {
        Json::Boolean(value) => Value::from(*value),
        Json::Number(digits) => digits.parse::<Value>().unwrap_or_else(|_| Value::from(digits.as_str())),
        other => Value::from(other.text()),
    }
}

fn rejects(rejects: &[ExpectedReject]) -> Value {
    let mut array = Array::new();
    for reject in rejects {
        let mut table = InlineTable::new();
        if let Some(row) = reject.row {
            table.insert("row", Value::from(i64::try_from(row).unwrap_or(i64::MAX)));
        }
        if let Some(column) = &reject.column {
            table.insert("column", Value::from(column.as_str()));
        }
        table.insert("code", Value::from(reject.code.as_str()));
        array.push(Value::InlineTable(table));
    }
    Value::Array(array)
}
