//! A mapping file.

use rust_decimal::Decimal;
use toml::de::DeValue;

use super::lookup::{self, Lookups};
use super::project::Texts;
use super::recipe;
use super::tree::{At, Sink, Table, Value};
use crate::mapping::spec::{
    Column, Condition, Constant, FieldSpec, InputSpec, MappingSpec, RejectLimits, Test, UnknownColumns,
};

/// Reads a mapping; `name` is the stem of its file. `None` when it has a mistake that leaves no meaning.
pub fn read(sink: &Sink<'_>, root: Table<'_>, name: &str, files: &mut Texts<'_>) -> Option<MappingSpec> {
    if let Some(head) = root.table("mapping") {
        if let Some(written) = head.text("name").filter(|written| written.value != name) {
            let message = format!("this mapping is `{}`, but its file is `{name}.toml`", written.value);
            sink.error("NF120", &written.span, message, "name and file must agree");
        }
        head.end();
    }
    let input = root.table("input");
    let input = input.map_or_else(default_input, read_input);
    let lookups = lookups(&root, files);
    let fields = fields(sink, &root, &lookups);
    let skip_when = root.table("record").map(read_record).unwrap_or_default();
    let limits = root.table("rejects").map(read_limits).unwrap_or_default();
    let omit_empty = root.table("output").is_some_and(read_output);
    check_use(sink, &root, &fields);
    root.end();
    let spec = MappingSpec { input, skip_when, fields: fields?, lookups: lookups.read, limits, omit_empty };
    Some(spec)
}

fn default_input() -> InputSpec {
    InputSpec {
        delimiter: b',',
        quote: Some(b'"'),
        header: true,
        columns: Vec::new(),
        decimal_mark: '.',
        group_mark: None,
        missing: vec![String::new()],
        true_values: vec!["true".to_owned()],
        false_values: vec!["false".to_owned()],
        unknown_columns: UnknownColumns::Warn,
    }
}

fn read_input(table: Table<'_>) -> InputSpec {
    let mut input = default_input();
    table.word("format", |word| (word == "csv").then_some(()), &["csv"]);
    if let Some(encoding) = table.text("encoding")
        && !matches!(encoding.value.to_ascii_lowercase().as_str(), "utf-8" | "utf8")
    {
        let message = format!("encoding `{}` is not in this version yet", encoding.value);
        table.sink().error("NF191", &encoding.span, message, "only `utf-8` is");
    }
    if let Some(delimiter) = table.get("delimiter") {
        input.delimiter = one_byte(&delimiter).unwrap_or(input.delimiter);
    }
    if let Some(quote) = table.get("quote") {
        let none = quote.text().is_some_and(|text| text.value.is_empty());
        input.quote = if none { None } else { one_byte(&quote).or(input.quote) };
        if input.quote == Some(input.delimiter) {
            table.sink().error("NF111", &quote.span(), "`quote` and `delimiter` are the same", "");
        }
    }
    if let Some(header) = table.get("header") {
        input.header = header.boolean().unwrap_or(true);
    }
    input.columns = values(table.texts("columns")).unwrap_or_default();
    if let (true, Some(columns)) = (input.header, table.get("columns")) {
        let message = "`columns` names the columns of a file without a header";
        table.sink().error_help("NF109", &columns.span(), message, "", "add `header = false`, or leave `columns` out");
    }
    marks(&table, &mut input);
    input.missing = values(table.texts("missing")).unwrap_or(input.missing);
    input.true_values = values(table.texts("true_values")).unwrap_or(input.true_values);
    input.false_values = values(table.texts("false_values")).unwrap_or(input.false_values);
    if let Some(value) = table.get("false_values")
        && let Some(both) = input.true_values.iter().find(|word| input.false_values.contains(word))
    {
        table.sink().error("NF111", &value.span(), format!("`{both}` is both a true and a false word"), "");
    }
    let unknown = |word: &str| match word {
        "ignore" => Some(UnknownColumns::Ignore),
        "warn" => Some(UnknownColumns::Warn),
        "reject_file" => Some(UnknownColumns::RejectFile),
        _ => None,
    };
    input.unknown_columns =
        table.word("unknown_columns", unknown, &["ignore", "warn", "reject_file"]).unwrap_or(input.unknown_columns);
    table.end();
    input
}

fn values(texts: Option<Vec<At<String>>>) -> Option<Vec<String>> {
    texts.map(|texts| texts.into_iter().map(|text| text.value).collect())
}

fn marks(table: &Table<'_>, input: &mut InputSpec) {
    if let Some(mark) = table.get("decimal_mark") {
        input.decimal_mark = mark_of(&mark).unwrap_or(input.decimal_mark);
    }
    if let Some(mark) = table.get("group_mark") {
        let none = mark.text().is_some_and(|text| text.value.is_empty());
        input.group_mark = if none { None } else { mark_of(&mark) };
        if input.group_mark == Some(input.decimal_mark) {
            table.sink().error("NF111", &mark.span(), "`group_mark` and `decimal_mark` are the same", "");
        }
    }
}

fn mark_of(value: &Value<'_>) -> Option<char> {
    let text = value.text()?;
    let mut characters = text.value.chars();
    let mark =
        characters.next().filter(|mark| characters.next().is_none() && !mark.is_ascii_digit() && !"+-".contains(*mark));
    if mark.is_none() {
        value.sink().error("NF104", &text.span, "one character is needed here, no digit or sign", "");
    }
    mark
}

fn one_byte(value: &Value<'_>) -> Option<u8> {
    let text = value.text()?;
    match text.value.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Some(*byte),
        _ => {
            value.sink().error(
                "NF104",
                &text.span,
                "one ASCII character is needed here",
                "for example `\";\"` or `\"\\t\"`",
            );
            None
        }
    }
}

fn lookups(root: &Table<'_>, files: &mut Texts<'_>) -> Lookups {
    let mut lookups = Lookups::default();
    let Some(table) = root.table("lookups") else { return lookups };
    for (name, value) in table.entries() {
        let read = value.table(&format!("lookups.{}", name.value)).and_then(|table| lookup::read(table, files));
        lookups.declared.insert(name.value.clone());
        lookups.read.extend(read.map(|lookup| (name.value, lookup)));
    }
    lookups
}

fn fields(sink: &Sink<'_>, root: &Table<'_>, lookups: &Lookups) -> Option<Vec<FieldSpec>> {
    let table = root.required("fields")?.table("fields")?;
    let mut fields: Vec<FieldSpec> = Vec::new();
    let mut all_read = true;
    for (target, value) in table.entries() {
        if is_split_by_dots(&value) {
            let message = "a target path with dots needs quotation marks";
            let label = format!("read as a table `{}`", target.value);
            sink.error_help("NF112", &target.span, message, &label, "write `\"customer.email\" = { … }`");
            all_read = false;
            continue;
        }
        let read =
            value.table(&format!("fields.{}", target.value)).and_then(|table| recipe::read(&target, table, lookups));
        match read {
            Some(field) => {
                clash(sink, &target, &field, &fields);
                fields.push(field);
            }
            None => all_read = false,
        }
    }
    if table.entries().is_empty() {
        sink.error("NF103", &table.span(), "a mapping needs at least one field", "");
    }
    all_read.then_some(fields)
}

/// `customer.email = {…}` without quotation marks is a table of tables.
fn is_split_by_dots(value: &Value<'_>) -> bool {
    match value.node() {
        DeValue::Table(inner) => {
            !inner.is_empty() && inner.values().all(|value| matches!(value.get_ref(), DeValue::Table(_)))
        }
        _ => false,
    }
}

/// A target may stand once, and not inside another one.
fn clash(sink: &Sink<'_>, target: &At<String>, field: &FieldSpec, before: &[FieldSpec]) {
    let other =
        before.iter().find(|other| field.target.starts_with(&other.target) || other.target.starts_with(&field.target));
    if let Some(other) = other {
        let message = format!("`{}` and `{}` cannot both be sent", other.target.join("."), target.value);
        sink.error("NF113", &target.span, message, "one is inside the other");
    }
}

fn read_record(table: Table<'_>) -> Vec<Condition> {
    let conditions = table.table("skip_when").map(|when| conditions(&when)).unwrap_or_default();
    table.end();
    conditions
}

fn conditions(when: &Table<'_>) -> Vec<Condition> {
    let mut conditions = Vec::new();
    for (column, value) in when.entries() {
        let column = Column::Name(column.value);
        match value.node() {
            DeValue::Table(_) => {
                let Some(tests) = value.table("record.skip_when") else { continue };
                for (key, test) in [("present", true), ("at_least", false), ("at_most", false)] {
                    if let Some(value) = tests.get(key) {
                        let test = if test { value.boolean().map(Test::Present) } else { number_test(key, &value) };
                        conditions.extend(test.map(|test| Condition { column: column.clone(), test }));
                    }
                }
                tests.end();
            }
            _ => {
                let words: Vec<String> =
                    value.list(true).iter().filter_map(Value::text).map(|text| text.value).collect();
                conditions.push(Condition { column, test: Test::OneOf(words) });
            }
        }
    }
    conditions
}

fn number_test(key: &str, value: &Value<'_>) -> Option<Test> {
    let number = decimal(value)?;
    Some(if key == "at_least" { Test::AtLeast(number) } else { Test::AtMost(number) })
}

fn decimal(value: &Value<'_>) -> Option<Decimal> {
    let number = match (value.node(), lookup::constant(value)?) {
        (DeValue::Integer(_) | DeValue::Float(_), Constant::Number(digits)) => digits.parse().ok(),
        _ => None,
    };
    if number.is_none() {
        value.sink().error("NF102", &value.span(), "a number is needed here", "");
    }
    number
}

fn read_limits(table: Table<'_>) -> RejectLimits {
    let mut limits = RejectLimits::default();
    table.word("unit", |word| (word == "row").then_some(()), &["row"]);
    limits.max_count = table.get("max_count").and_then(|value| value.integer(0, u64::MAX >> 1));
    if let Some(value) = table.get("max_percent")
        && let Some(percent) = decimal(&value)
    {
        if percent < Decimal::ZERO || percent > Decimal::ONE_HUNDRED {
            table.sink().error("NF104", &value.span(), "`max_percent` is from 0 to 100", "");
        }
        limits.max_percent = percent;
    }
    table.end();
    limits
}

fn read_output(table: Table<'_>) -> bool {
    table.word("format", |word| (word == "json").then_some(()), &["json"]);
    let omit_empty = table.get("omit_empty").is_some_and(|value| value.boolean() == Some(true));
    table.end();
    omit_empty
}

/// A lookup that no field uses is a mistake of somebody's.
fn check_use(sink: &Sink<'_>, root: &Table<'_>, fields: &Option<Vec<FieldSpec>>) {
    let (Some(fields), Some(table)) = (fields, root.table("lookups")) else { return };
    for (name, _) in table.entries() {
        let used = fields.iter().any(|field| field.lookup.as_ref() == Some(&name.value));
        if !used {
            sink.warn(
                "NF214",
                &name.span,
                format!("no field uses the lookup `{}`", name.value),
                "remove it, or add `lookup = …` to a field",
            );
        }
    }
}
