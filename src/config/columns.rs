//! Whether the columns that a mapping names are in its file, as far as that is known before the next one comes: by the last file that
//! was accepted, else by `[sample]`; of files without a header by the layout.

use std::ops::Range;

use toml::de::DeValue;

use super::inline_test::Sample;
use super::suggest::nearest;
use super::tree::{At, Sink, Table, Value};
use crate::mapping::spec::{Format, LayoutSpec, MappingSpec};

/// The header of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenFile {
    /// Name of the file, fit for a screen.
    pub name: String,
    /// What it is to the mapping: `the last accepted file`.
    pub role: &'static str,
    /// Its columns.
    pub columns: Vec<String>,
    /// Its text from the beginning to the end of the header.
    pub text: String,
}

impl SeenFile {
    /// Where the header says `column`; all of the header without one.
    fn place(&self, column: Option<&str>) -> Range<usize> {
        let line = self.text.trim_end_matches(['\n', '\r']).rfind('\n').map_or(0, |at| at + 1);
        let header = self.text[line..].trim_end_matches(['\n', '\r']);
        let is_edge = |character: Option<char>| character.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        let found = column.and_then(|column| {
            header.match_indices(column).map(|(at, _)| at..at + column.len()).find(|span| {
                is_edge(header[..span.start].chars().next_back()) && is_edge(header[span.end..].chars().next())
            })
        });
        let span = found.unwrap_or(0..header.len());
        line + span.start..line + span.end
    }
}

/// What is known of the columns.
enum Known<'a> {
    /// By the mapping itself: another name is a mistake.
    Stated(Vec<String>),
    /// By a file.
    Seen(&'a SeenFile),
    /// By one row that somebody wrote down.
    Sampled(Vec<String>),
}

impl Known<'_> {
    fn names(&self) -> &[String] {
        match self {
            Self::Stated(names) | Self::Sampled(names) => names,
            Self::Seen(file) => &file.columns,
        }
    }
}

/// Checks every column that the mapping names.
pub fn check(sink: &Sink<'_>, root: &Table<'_>, spec: &MappingSpec, sample: &Sample, seen: Option<&SeenFile>) {
    let record = spec.layouts.iter().find(|layout| layout.is_record);
    let known = match (spec.input.format, record, seen) {
        (Format::Fixed, Some(record), _) => {
            Known::Stated(record.columns.iter().map(|column| column.name.clone()).collect())
        }
        _ if !spec.input.columns.is_empty() => Known::Stated(spec.input.columns.clone()),
        (_, _, Some(seen)) => Known::Seen(seen),
        _ => Known::Sampled(sample.layout("").into_iter().map(|(column, _)| column).collect()),
    };
    if known.names().is_empty() {
        return;
    }
    let declared: Vec<String> = declared(&spec.layouts).collect();
    for named in named_columns(root) {
        let excused = named.optional && !matches!(known, Known::Stated(_));
        if excused || known.names().contains(&named.column.value) || declared.contains(&named.column.value) {
            continue;
        }
        report(sink, &named.column, &known);
    }
}

/// `LAYOUT.COLUMN` of the lines before the rows.
fn declared(layouts: &[LayoutSpec]) -> impl Iterator<Item = String> {
    let special = layouts.iter().filter(|layout| !layout.is_record);
    special.flat_map(|layout| layout.columns.iter().map(|column| format!("{}.{}", layout.name, column.name)))
}

fn report(sink: &Sink<'_>, column: &At<String>, known: &Known<'_>) {
    let At { value: name, span } = column;
    let near = nearest(name, known.names().iter().map(String::as_str));
    let suggestion = near.map(|near| format!("did you mean `{near}`?"));
    let optional = "if the column may really be missing, add `optional_column = true`".to_owned();
    match known {
        Known::Stated(_) => {
            let help = suggestion.unwrap_or(optional);
            sink.error_help("NF204", span, format!("there is no column `{name}`"), "no such column", help);
        }
        Known::Sampled(_) => {
            let help = suggestion.unwrap_or(optional);
            sink.warn("NF204", span, format!("column `{name}` is not in `[sample]`"), help);
        }
        Known::Seen(file) => {
            let label = match near {
                Some(near) => format!("{} has `{near}`", file.role),
                None => format!("{} has these columns", file.role),
            };
            let second = (file.name.as_str(), file.text.as_str(), file.place(near), label);
            let help = suggestion.into_iter().chain([optional]).collect();
            sink.error_elsewhere(
                "NF204",
                format!("column `{name}` is not in this file"),
                (span, "no such column"),
                second,
                help,
            );
        }
    }
}

/// A column that the mapping names.
struct Named {
    column: At<String>,
    /// It may be missing in the file.
    optional: bool,
}

/// Every column by name, with its place: origins and conditions of fields, groups, skipped rows, lookups in the same file.
fn named_columns(root: &Table<'_>) -> Vec<Named> {
    let mut named = Vec::new();
    let mut add = |found: Vec<At<String>>, optional: bool| {
        named.extend(found.into_iter().map(|column| Named { column, optional }));
    };
    let each = |table: &str| -> Vec<Table<'_>> {
        let tables = root.peek(table).and_then(|value| value.table(table));
        let entries = tables.map(|table| table.entries()).unwrap_or_default();
        entries.iter().filter_map(|(name, value)| inner(value, &format!("{table}.{}", name.value))).collect()
    };
    for recipe in each("fields") {
        let optional =
            recipe.peek("optional_column").is_some_and(|value| matches!(value.node(), DeValue::Boolean(true)));
        for key in ["from", "first_of"] {
            add(recipe.peek(key).map(|value| texts(&value)).unwrap_or_default(), optional);
        }
        add(recipe.peek("template").map(|value| in_template(&value)).unwrap_or_default(), optional);
        for key in ["when", "negative_when"] {
            add(recipe.peek(key).map(|value| keys(&value)).unwrap_or_default(), false);
        }
        let cases = recipe.peek("cases").map(|value| items(&value)).unwrap_or_default();
        for case in cases.iter().filter_map(|case| inner(case, "fields.cases")) {
            add(case.peek("when").map(|value| keys(&value)).unwrap_or_default(), false);
        }
    }
    if let Some(record) = root.peek("record").and_then(|value| inner(&value, "record")) {
        add(record.peek("group_by").map(|value| texts(&value)).unwrap_or_default(), false);
        add(record.peek("skip_when").map(|value| keys(&value)).unwrap_or_default(), false);
    }
    for lookup in each("lookups") {
        add(lookup.peek("same_file").map(|value| texts(&value)).unwrap_or_default(), false);
    }
    named
}

/// The table, if it is one; what is wrong was told when it was read.
fn inner<'t>(value: &Value<'t>, name: &str) -> Option<Table<'t>> {
    matches!(value.node(), DeValue::Table(_)).then(|| value.table(name)).flatten()
}

fn items<'t>(value: &Value<'t>) -> Vec<Value<'t>> {
    if matches!(value.node(), DeValue::Array(_)) { value.list(false) } else { vec![*value] }
}

/// A text, or a list of them.
fn texts(value: &Value<'_>) -> Vec<At<String>> {
    let text = |value: &Value<'_>| match value.node() {
        DeValue::String(text) => Some(At { value: text.clone().into_owned(), span: value.span() }),
        _ => None,
    };
    items(value).iter().filter_map(text).collect()
}

/// The columns of conditions.
fn keys(value: &Value<'_>) -> Vec<At<String>> {
    let table = inner(value, "condition");
    table.map(|table| table.entries().into_iter().map(|(key, _)| key).collect()).unwrap_or_default()
}

/// `{Column}` in a template, where the place can be told.
fn in_template(value: &Value<'_>) -> Vec<At<String>> {
    let DeValue::String(text) = value.node() else { return Vec::new() };
    let span = value.span();
    // With escapes in the text its bytes are not those of the file; then the whole text is pointed at.
    let plain = span.len() == text.len();
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(open) = text[from..].find('{').map(|at| from + at) {
        if text[open..].starts_with("{{") {
            from = open + 2;
            continue;
        }
        let Some(close) = text[open..].find('}').map(|at| open + at) else { break };
        let inside = if plain { span.start + open + 1..span.start + close } else { span.clone() };
        found.push(At { value: text[open + 1..close].to_owned(), span: inside });
        from = close + 1;
    }
    found
}
