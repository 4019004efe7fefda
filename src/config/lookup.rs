//! `[lookups.NAME]`: a code table, inline or from a CSV file.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeValue;

use super::project::Texts;
use super::tree::{At, Table, Value};
use crate::mapping::spec::{Constant, LookupSpec, LookupTable, OnMissing};

/// The lookups of a mapping.
#[derive(Default)]
pub struct Lookups {
    /// Every name that the file declares, also of those with a mistake.
    pub declared: BTreeSet<String>,
    /// Those that can be used.
    pub read: BTreeMap<String, LookupSpec>,
}

/// Reads one lookup, its file included.
pub fn read(table: Table<'_>, files: &mut Texts<'_>) -> Option<LookupSpec> {
    let ignore_case = table.get("ignore_case").is_some_and(|value| value.boolean() == Some(true));
    let on_missing = table
        .word(
            "on_missing",
            |word| match word {
                "reject" => Some(OnMissing::Reject),
                "default" => Some(OnMissing::Default),
                "keep" => Some(OnMissing::Keep),
                _ => None,
            },
            &["reject", "default", "keep"],
        )
        .unwrap_or(OnMissing::Reject);
    let given = ["values", "file", "same_file"].into_iter().filter(|key| table.has(key)).count();
    if given != 1 {
        let message = "a lookup has `values`, or a `file` with `key` and `value`, or `same_file`";
        let label = if given == 0 { "none of them is here" } else { "more than one of them is here" };
        table.sink().error(if given == 0 { "NF103" } else { "NF106" }, &table.span(), message, label);
    }
    let (values, file, same) = (table.table("values"), table.text("file"), table.get("same_file"));
    let read = if let Some(values) = values {
        Some((LookupTable::Entries(inline(&values, ignore_case)), "values".to_owned()))
    } else if let Some(file) = file {
        from_file(&table, &file, ignore_case, files).map(|entries| (LookupTable::Entries(entries), file.value))
    } else {
        same.and_then(|value| {
            if on_missing == OnMissing::Default {
                let message = "with `same_file` a value that is missing can be rejected or kept";
                let label = "it is known only when the whole file was read";
                let span = table.peek("on_missing").map_or(value.span(), |value| value.span());
                table.sink().error("NF109", &span, message, label);
            }
            let column = super::recipe::column(&value)?;
            let source = format!("column {} of this file", value.text().map_or(String::new(), |text| text.value));
            Some((LookupTable::SameFile(column), source))
        })
    };
    table.end();
    read.filter(|_| given == 1).map(|(table, source)| LookupSpec { table, ignore_case, on_missing, source })
}

fn inline(values: &Table<'_>, ignore_case: bool) -> BTreeMap<String, Constant> {
    let mut entries = BTreeMap::new();
    for (key, value) in values.entries() {
        if let Some(constant) = constant(&value)
            && entries.insert(folded(&key.value, ignore_case), constant).is_some()
        {
            values.sink().error("NF210", &key.span, format!("`{}` stands twice in this lookup", key.value), "");
        }
    }
    entries
}

/// Keys are compared lower-cased with `ignore_case`.
fn folded(key: &str, ignore_case: bool) -> String {
    if ignore_case { key.to_lowercase() } else { key.to_owned() }
}

/// A TOML value as a constant: it keeps its type.
pub fn constant(value: &Value<'_>) -> Option<Constant> {
    match value.node() {
        DeValue::String(text) => Some(Constant::Text(text.clone().into_owned())),
        DeValue::Boolean(yes) => Some(Constant::Boolean(*yes)),
        DeValue::Integer(digits) if digits.radix() == 10 => Some(Constant::Number(plain(digits.as_str()))),
        DeValue::Float(digits) if is_plain_decimal(digits.as_str()) => Some(Constant::Number(plain(digits.as_str()))),
        _ => {
            value.sink().error("NF102", &value.span(), "text, a plain number, or true or false is needed here", "");
            None
        }
    }
}

fn plain(digits: &str) -> String {
    digits.replace('_', "").trim_start_matches('+').to_owned()
}

/// Digits with a decimal point; no exponent, `inf` or `nan`.
fn is_plain_decimal(digits: &str) -> bool {
    digits.bytes().all(|byte| byte.is_ascii_digit() || b".+-_".contains(&byte))
}

fn from_file(
    table: &Table<'_>,
    file: &At<String>,
    ignore_case: bool,
    files: &mut Texts<'_>,
) -> Option<BTreeMap<String, Constant>> {
    let key = table.required("key").and_then(|value| value.text());
    let value = table.required("value").and_then(|value| value.text());
    let wrong = |message: String| table.sink().error("NF211", &file.span, message, "");
    let outside =
        std::path::Path::new(&file.value).components().any(|part| !matches!(part, std::path::Component::Normal(_)));
    if outside {
        wrong(format!("`{}` is not a file of this project", file.value));
        return None;
    }
    let text = match files.read(&file.value) {
        Ok(text) => text,
        Err(error) => {
            wrong(format!("the lookup file `{}` cannot be read: {error}", file.value));
            return None;
        }
    };
    let mut reader = csv::ReaderBuilder::new().from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let header = reader.headers().cloned().unwrap_or_default();
    let column = |name: &At<String>| {
        let found = header.iter().position(|column| column.trim() == name.value);
        if found.is_none() {
            let known = header.iter().map(|column| format!("`{}`", column.trim())).collect::<Vec<_>>().join(", ");
            let message = format!("`{}` has no column `{}`", file.value, name.value);
            table.sink().error("NF212", &name.span, message, &format!("it has {known}"));
        }
        found
    };
    let (key, value) = (key.as_ref().and_then(column), value.as_ref().and_then(column));
    let (key, value) = (key?, value?);
    let mut entries = BTreeMap::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                wrong(format!("`{}`: {error}", file.value));
                return None;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let (from, to) = (record.get(key).unwrap_or_default().trim(), record.get(value).unwrap_or_default().trim());
        let entry = Constant::Text(to.to_owned());
        let before = entries.insert(folded(from, ignore_case), entry.clone());
        if before.is_some_and(|before| before != entry) {
            wrong(format!("`{}`, line {line}: `{from}` stands twice, with different values", file.value));
        }
    }
    Some(entries)
}
