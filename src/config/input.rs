//! `[input]`: how a file is written.

use super::mapping::values;
use super::tree::{Table, Value};
use crate::format::encoding::Encoding;
use crate::mapping::spec::{Format, InputSpec, Ragged, UnknownColumns};

/// Words of `format`.
pub const FORMATS: &[(&str, Format)] = &[
    ("csv", Format::Csv),
    ("fixed", Format::Fixed),
    ("json", Format::Json),
    ("jsonl", Format::Jsonl),
    ("xlsx", Format::Xlsx),
    ("xml", Format::Xml),
];

const UNKNOWN_COLUMNS: &[(&str, UnknownColumns)] =
    &[("ignore", UnknownColumns::Ignore), ("warn", UnknownColumns::Warn), ("reject_file", UnknownColumns::RejectFile)];

const RAGGED: &[(&str, Ragged)] = &[("reject", Ragged::Reject), ("pad", Ragged::Pad), ("truncate", Ragged::Truncate)];

/// Keys that only some formats know.
const BELONGS: &[(&str, &[Format])] = &[
    ("delimiter", &[Format::Csv]),
    ("quote", &[Format::Csv]),
    ("header", &[Format::Csv, Format::Xlsx]),
    ("columns", &[Format::Csv, Format::Xlsx]),
    ("header_row", &[Format::Csv, Format::Xlsx]),
    ("skip_rows", &[Format::Csv, Format::Xlsx, Format::Fixed]),
    ("ragged", &[Format::Csv, Format::Fixed, Format::Xlsx]),
    ("line_length", &[Format::Fixed]),
    ("sheet", &[Format::Xlsx]),
    ("each", &[Format::Json, Format::Xml]),
];

/// Reads the table; what is not there has its default.
pub fn read(table: Table<'_>) -> InputSpec {
    let mut input = InputSpec::default();
    input.format = table.choice("format", FORMATS).unwrap_or(input.format);
    encoding(&table, &mut input);
    delimiters(&table, &mut input);
    header(&table, &mut input);
    marks(&table, &mut input);
    words(&table, &mut input);
    input.unknown_columns = table.choice("unknown_columns", UNKNOWN_COLUMNS).unwrap_or(input.unknown_columns);
    // Editors and banks trim blanks: a short line of fixed width is as good as one that is filled up.
    let ragged = if input.format == Format::Fixed { Ragged::Pad } else { input.ragged };
    input.ragged = table.choice("ragged", RAGGED).unwrap_or(ragged);
    let length = table.get("line_length").and_then(|value| value.integer(1, 1 << 20));
    input.line_length = length.and_then(|length| u32::try_from(length).ok());
    input.sheet = table.text("sheet").map(|sheet| sheet.value);
    each(&table, &mut input);
    for (key, formats) in BELONGS {
        if let Some(value) = table.peek(key).filter(|_| !formats.contains(&input.format)) {
            let known: Vec<String> = FORMATS
                .iter()
                .filter(|(_, format)| formats.contains(format))
                .map(|(word, _)| format!("`{word}`"))
                .collect();
            let message = format!("`{key}` belongs to format {}", known.join(" or "));
            table.sink().error("NF109", &value.span(), message, "has no effect here");
        }
    }
    table.end();
    input
}

fn encoding(table: &Table<'_>, input: &mut InputSpec) {
    let Some(text) = table.text("encoding") else { return };
    match Encoding::parse(&text.value) {
        Some(encoding) => input.encoding = encoding.name().to_owned(),
        None => table.sink().error_help(
            "NF115",
            &text.span,
            format!("`{}` is not an encoding we know", text.value),
            "",
            "the usual ones are `utf-8`, `windows-1252`, `iso-8859-1`, `iso-8859-15` and `utf-16`",
        ),
    }
}

fn delimiters(table: &Table<'_>, input: &mut InputSpec) {
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
}

fn header(table: &Table<'_>, input: &mut InputSpec) {
    if let Some(header) = table.get("header") {
        input.header = header.boolean().unwrap_or(true);
    }
    if let Some(columns) = table.texts("columns") {
        for (at, column) in columns.iter().enumerate() {
            if columns.iter().take(at).any(|before| before.value == column.value) {
                let message = format!("`{}` stands twice in `columns`", column.value);
                table.sink().error("NF111", &column.span, message, "a name must say which column is meant");
            }
        }
        input.columns = values(Some(columns)).unwrap_or_default();
    }
    if let (true, Some(columns)) = (input.header, table.peek("columns")) {
        let message = "`columns` names the columns of a file without a header";
        table.sink().error_help("NF109", &columns.span(), message, "", "add `header = false`, or leave `columns` out");
    }
    let rows = |key: &str, least| {
        table.get(key).and_then(|value| value.integer(least, 1000)).and_then(|n| u32::try_from(n).ok())
    };
    let (skip, header_row) = (rows("skip_rows", 0), rows("header_row", 1));
    input.skip_rows = skip.or(header_row.map(|row| row - 1)).unwrap_or(0);
    if let (Some(_), Some(_), Some(value)) = (skip, header_row, table.peek("header_row")) {
        let message = "`skip_rows` and `header_row` say the same in two ways";
        table.sink().error("NF111", &value.span(), message, "keep one of them");
    }
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

fn words(table: &Table<'_>, input: &mut InputSpec) {
    input.missing = values(table.texts("missing")).unwrap_or_else(|| input.missing.clone());
    input.true_values = values(table.texts("true_values")).unwrap_or_else(|| input.true_values.clone());
    input.false_values = values(table.texts("false_values")).unwrap_or_else(|| input.false_values.clone());
    if let Some(value) = table.peek("false_values")
        && let Some(both) = input.true_values.iter().find(|word| input.false_values.contains(word))
    {
        table.sink().error("NF111", &value.span(), format!("`{both}` is both a true and a false word"), "");
    }
}

fn each(table: &Table<'_>, input: &mut InputSpec) {
    let Some(path) = table.text("each") else { return };
    let known = match input.format {
        Format::Json => crate::format::json::Each::parse(&path.value).is_some(),
        Format::Xml if path.value.starts_with('$') => crate::format::json::Each::parse(&path.value).is_some(),
        _ => true,
    };
    if !known {
        let label = "only names and one `[*]` can be followed while a file is read";
        let help = "for example `$.data.orders[*]`";
        table.sink().error_help("NF116", &path.span, format!("`{}` cannot be followed", path.value), label, help);
    }
    input.each = Some(path.value);
}

/// One character that can be a decimal mark or a group mark.
pub fn mark_of(value: &Value<'_>) -> Option<char> {
    let text = value.text()?;
    let mut characters = text.value.chars();
    let mark =
        characters.next().filter(|mark| characters.next().is_none() && !mark.is_ascii_digit() && !"+-".contains(*mark));
    if mark.is_none() {
        value.sink().error("NF104", &text.span, "one character is needed here, no digit or sign", "");
    }
    mark
}

/// One ASCII character that can stand between cells or around them.
pub fn one_byte(value: &Value<'_>) -> Option<u8> {
    let text = value.text()?;
    match text.value.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Some(*byte),
        _ => {
            let label = "for example `\";\"` or `\"\\t\"`";
            value.sink().error("NF104", &text.span, "one ASCII character is needed here", label);
            None
        }
    }
}
