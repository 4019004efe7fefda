//! `[output]`: how records are written.

use std::ops::Range;

use super::input::{mark_of, one_byte};
use super::layouts::ends;
use super::suggest::nearest;
use super::template::{braces, is_date_format};
use super::tree::{At, Table};
use crate::format::encoding::Encoding;
use crate::format::write::xml;
use crate::mapping::moment::reads_offset;
use crate::mapping::spec::{FieldSpec, FileOutput, OutputColumn, OutputFormat, OutputSpec, TrailerPart, ValueKind};

/// Keys that belong to some formats only, and to which.
const BELONGS: &[(&str, &[OutputFormat])] = {
    use OutputFormat::{Csv, Fixed, Form, Xlsx, Xml};
    &[
        ("delimiter", &[Csv]),
        ("quote", &[Csv]),
        ("encoding", &[Csv, Fixed, Xml]),
        ("line_ending", &[Csv, Fixed]),
        ("header", &[Csv, Xlsx]),
        ("trailer", &[Csv, Fixed]),
        ("date", &[Csv, Fixed, Xlsx, Xml, Form]),
        ("datetime", &[Csv, Fixed, Xlsx, Xml, Form]),
        ("decimal_mark", &[Csv, Fixed, Xml, Form]),
        ("columns", &[Fixed]),
        ("line_length", &[Fixed]),
        ("each", &[Xml]),
        ("namespace", &[Xml]),
        ("sheet", &[Xlsx]),
    ]
};

/// Reads `[output]` of a mapping with these fields.
pub fn read(root: &Table<'_>, fields: &[FieldSpec]) -> OutputSpec {
    let mut output = OutputSpec::default();
    let Some(table) = root.table("output") else { return output };
    let known = OutputFormat::ALL.map(|format| (format.word(), format));
    output.format = table.choice("format", &known).unwrap_or(output.format);
    output.omit_empty = table.flag("omit_empty");
    let file = &mut output.file;
    marks(&table, file);
    encoding(&table, file);
    formats(&table, fields, file);
    file.trailer = table.text("trailer").and_then(|text| trailer(&table, &text, fields));
    file.sheet = table.text("sheet").and_then(|sheet| {
        let good = (1..=31).contains(&sheet.value.chars().count())
            && !sheet.value.contains(['[', ']', ':', '*', '?', '/', '\\']);
        if !good {
            let message = format!("`{}` cannot be the name of a sheet", sheet.value);
            table.sink().error("NF141", &sheet.span, message, "1 to 31 characters, none of `[]:*?/\\`");
        }
        good.then_some(sheet.value)
    });
    file.namespace = table.text("namespace").map(|namespace| namespace.value);
    each(&table, file);
    if output.format == OutputFormat::Fixed {
        fixed(&table, fields, file);
    } else {
        let _ = table.get("columns");
    }
    for (key, formats) in BELONGS {
        if let (false, Some(value)) = (formats.contains(&output.format), table.peek(key)) {
            let message = format!("`{key}` has no effect with this `format`");
            table.sink().error("NF109", &value.span(), message, "belongs to another `format`");
        }
    }
    names(root, &table, fields, &output);
    table.end();
    output
}

fn marks(table: &Table<'_>, file: &mut FileOutput) {
    if let Some(delimiter) = table.get("delimiter") {
        file.delimiter = one_byte(&delimiter).unwrap_or(file.delimiter);
    }
    if let Some(quote) = table.get("quote") {
        let none = quote.text().is_some_and(|text| text.value.is_empty());
        file.quote = if none { None } else { one_byte(&quote).or(file.quote) };
        if file.quote == Some(file.delimiter) {
            table.sink().error("NF111", &quote.span(), "`quote` and `delimiter` are the same", "");
        }
    }
    if let Some(mark) = table.get("decimal_mark") {
        file.decimal_mark = mark_of(&mark).unwrap_or(file.decimal_mark);
    }
    file.crlf = table.choice("line_ending", &[("lf", false), ("crlf", true)]).unwrap_or(false);
    file.header = table.get("header").is_none_or(|value| value.boolean() != Some(false));
}

fn encoding(table: &Table<'_>, file: &mut FileOutput) {
    let Some(encoding) = table.text("encoding") else { return };
    match Encoding::parse(&encoding.value) {
        Some(known) => file.encoding = known.name().to_owned(),
        None => {
            let message = format!("`{}` is not an encoding we know", encoding.value);
            table.sink().error("NF115", &encoding.span, message, "");
        }
    }
}

fn formats(table: &Table<'_>, fields: &[FieldSpec], file: &mut FileOutput) {
    file.date = table.text("date").and_then(|format| {
        let good = is_date_format(&format.value) && format.value.contains('%');
        if !good {
            let message = format!("`{}` is not a format that a date can be written in", format.value);
            let help = "for example `%d.%m.%Y` writes 23.11.2026";
            table.sink().error_help("NF231", &format.span, message, "", help);
        }
        good.then_some(format.value)
    });
    file.datetime = table.text("datetime").and_then(|format| {
        let items = chrono::format::StrftimeItems::new(&format.value);
        let mut good = format.value.contains('%') && !items.into_iter().any(|item| item == chrono::format::Item::Error);
        let local = |field: &&FieldSpec| matches!(&field.kind, ValueKind::Datetime { format } if !reads_offset(format));
        if !good {
            let message = format!("`{}` is not a format that a date with a time can be written in", format.value);
            let help = "for example `%d.%m.%Y %H:%M` writes 23.11.2026 14:30";
            table.sink().error_help("NF231", &format.span, message, "", help);
        } else if let (true, Some(field)) = (reads_offset(&format.value), fields.iter().find(local)) {
            good = false;
            let message = format!("`{}` writes an offset, and `{}` is read without one", format.value, field.name());
            table.sink().error("NF231", &format.span, message, "holds `%z` or the like");
        }
        good.then_some(format.value)
    });
}

fn each(table: &Table<'_>, file: &mut FileOutput) {
    let Some(each) = table.text("each") else { return };
    if xml::elements(&each.value).is_none() {
        let message = format!("`{}` does not name the elements of a document", each.value);
        let help = "the root and the element of a record: `/orders/order`";
        table.sink().error_help("NF116", &each.span, message, "", help);
    }
    file.each = Some(each.value);
}

/// Fields that the format has no place for, and names that it cannot write.
fn names(root: &Table<'_>, table: &Table<'_>, fields: &[FieldSpec], output: &OutputSpec) {
    let Some(written) = root.table("fields") else { return };
    let encoding = Encoding::parse(&output.file.encoding).unwrap_or(Encoding::UTF_8);
    let flat = matches!(output.format, OutputFormat::Csv | OutputFormat::Fixed | OutputFormat::Xlsx);
    for field in fields {
        let name = field.name();
        let span = written.entries().into_iter().find(|(key, _)| key.value == name).map_or(0..0, |(key, _)| key.span);
        if flat && field.list().is_some() {
            let help = "one line has one value for each column: use `xml`, `json` or `form`, or leave `group_by` out";
            let message = format!("`{name}` has many values in a record, and this `[output] format` has one");
            table.sink().error_help("NF140", &span, message, "a list", help);
        }
        let bad = field.target.iter().map(|part| part.trim_end_matches("[]")).find(|part| !xml::is_name(part));
        if let (OutputFormat::Xml, Some(part)) = (output.format, bad) {
            let message = format!("`{part}` cannot be the name of an element");
            table.sink().error("NF141", &span, message, "letters, digits, `-`, `_`, `.`, and a letter first");
        }
        let is_written =
            output.format == OutputFormat::Xml || (output.format == OutputFormat::Csv && output.file.header);
        if let (true, Err(character)) = (is_written, encoding.encode(&name)) {
            let message = format!("the name `{name}` holds `{character}`, which {} does not have", encoding.name());
            table.sink().error("NF141", &span, message, "is written into the file");
        }
    }
    let literals = output.file.trailer.iter().flatten().filter_map(|part| match part {
        TrailerPart::Text(text) => encoding.encode(text).err(),
        _ => None,
    });
    if let (Some(character), Some(trailer)) = (literals.into_iter().next(), table.peek("trailer")) {
        let message = format!("the trailer holds `{character}`, which {} does not have", encoding.name());
        table.sink().error("NF141", &trailer.span(), message, "");
    }
}

/// `columns` of format `fixed`: a place for each field.
fn fixed(table: &Table<'_>, fields: &[FieldSpec], file: &mut FileOutput) {
    let length = table.get("line_length").and_then(|value| value.integer(1, 1 << 20));
    file.line_length = length.and_then(|length| u32::try_from(length).ok());
    let Some(columns) = table.get("columns") else {
        let help = "for example `columns = [ { name = \"id\", pos = \"1-8\" } ]`";
        let message = "format `fixed` needs `columns`: where does each field stand?";
        table.sink().error_help("NF103", &table.span(), message, "", help);
        return;
    };
    let mut read: Vec<(OutputColumn, Range<usize>)> = Vec::new();
    for column in table.tables("columns") {
        let Some((column, span)) = self::column(column, fields, file.line_length) else { continue };
        if read.iter().any(|(other, _)| other.name == column.name) {
            table.sink().error("NF113", &span, format!("`{}` stands twice in `columns`", column.name), "");
        }
        if let Some((other, other_span)) =
            read.iter().find(|(other, _)| other.from <= column.to && column.from <= other.to)
        {
            let at = column.from.max(other.from);
            let message = format!("columns `{}` and `{}` overlap at position {at}", other.name, column.name);
            let marks = (other_span, "ends here …", &span, "… but this begins here");
            table.sink().error_two("NF305", message, marks, Vec::new());
        }
        read.push((column, span));
    }
    for field in fields.iter().filter(|field| field.list().is_none()) {
        if !read.iter().any(|(column, _)| column.name == field.name()) {
            let message = format!("`{}` has no place in a line", field.name());
            let help = format!("add `{{ name = \"{}\", pos = \"…\" }}`", field.name());
            table.sink().error_help("NF142", &columns.span(), message, "no column of this name", help);
        }
    }
    file.columns = read.into_iter().map(|(column, _)| column).collect();
}

fn column(table: Table<'_>, fields: &[FieldSpec], length: Option<u32>) -> Option<(OutputColumn, Range<usize>)> {
    let name = table.required("name").and_then(|value| value.text());
    let pos = table.required("pos").and_then(|value| value.text());
    let right = table.choice("align", &[("left", false), ("right", true)]);
    let _ = table.text("note");
    let fill = table.text("fill").map_or(Some(' '), |fill| {
        let mut characters = fill.value.chars();
        let one = characters.next().filter(|one| characters.next().is_none() && !one.is_control());
        if one.is_none() {
            table.sink().error("NF104", &fill.span, "one character is needed here", "for example `\"0\"`");
        }
        one
    });
    let sink = table.sink();
    table.end();
    let (name, pos) = (name?, pos?);
    if !fields.iter().any(|field| field.name() == name.value) {
        let names: Vec<String> = fields.iter().map(FieldSpec::name).collect();
        let message = format!("there is no field `{}`", name.value);
        match nearest(&name.value, names.iter().map(String::as_str)) {
            Some(near) => sink.error_help("NF133", &name.span, message, "", format!("did you mean `{near}`?")),
            None => sink.error("NF133", &name.span, message, "a target of `[fields]`"),
        }
    }
    let (from, to) = ends(sink, &pos)?;
    if let Some(length) = length.filter(|length| to > *length) {
        let message = format!("position {to} is beyond the end of the line, which has {length} characters");
        sink.error("NF303", &pos.span, message, "see `line_length`");
    }
    Some((OutputColumn { name: name.value, from, to, right, fill: fill? }, pos.span))
}

/// `TRAILER;{count};{sum:AMOUNT:012}`
fn trailer(table: &Table<'_>, text: &At<String>, fields: &[FieldSpec]) -> Option<Vec<TrailerPart>> {
    let wrong = |message: String| {
        let known = "known are `{count}`, `{count:06}`, `{sum:FIELD}` and `{sum:FIELD:012}`";
        table.sink().error("NF105", &text.span, message, known);
        None
    };
    let is_number = |field: &&FieldSpec| matches!(field.kind, ValueKind::Integer | ValueKind::Number(_));
    let Some(parts) = braces(&text.value) else { return wrong("a `{` or `}` without its other half".to_owned()) };
    let mut trailer = Vec::new();
    for (braced, part) in parts {
        if !braced {
            trailer.push(TrailerPart::Text(part.to_owned()));
            continue;
        }
        let words: Vec<&str> = part.split(':').collect();
        let width =
            |word: &str| word.strip_prefix('0').and_then(|digits| digits.parse().ok()).filter(|width| *width > 0);
        let known = |name: &str| fields.iter().find(|field| field.name() == name && field.list().is_none());
        trailer.push(match words.as_slice() {
            ["count"] => TrailerPart::Count(None),
            ["count", digits] if width(digits).is_some() => TrailerPart::Count(width(digits)),
            ["sum", name, rest @ ..] if known(name).is_some() && rest.len() <= 1 => {
                if known(name).filter(is_number).is_none() {
                    return wrong(format!("`{name}` is no number, so it has no sum"));
                }
                let digits = rest.first().copied();
                if digits.is_some_and(|digits| width(digits).is_none()) {
                    return wrong(format!("`{{{part}}}` is not known here"));
                }
                TrailerPart::Sum((*name).to_owned(), digits.and_then(width))
            }
            _ => return wrong(format!("`{{{part}}}` is not known here")),
        });
    }
    if text.value.contains(['\n', '\r']) {
        return wrong("a trailer is one line".to_owned());
    }
    Some(trailer)
}
