//! `[layouts.*]`: kinds of lines, and where their columns are.

use std::ops::Range;

use super::tree::{At, Sink, Table};
use crate::mapping::spec::{ColumnPlace, Format, InputSpec, LayoutColumn, LayoutSpec, Occurs, Sign};

const OCCURS: &[(&str, Occurs)] = &[("first", Occurs::First), ("last", Occurs::Last), ("many", Occurs::Many)];

/// Reads every layout of a mapping.
pub fn read(root: &Table<'_>, input: &InputSpec) -> Vec<LayoutSpec> {
    let Some(table) = root.table("layouts") else {
        if input.format == Format::Fixed {
            let message = "format `fixed` needs `[layouts.NAME]` with `columns`";
            root.sink().error("NF306", &root.table("input").map_or(0..0, |input| input.span()), message, "");
        }
        return Vec::new();
    };
    let mut layouts = Vec::new();
    for (name, value) in table.entries() {
        let layout = value.table(&format!("layouts.{}", name.value)).and_then(|table| layout(&name, table, input));
        layouts.extend(layout);
    }
    check(&table, &layouts, input);
    layouts
}

fn layout(name: &At<String>, table: Table<'_>, input: &InputSpec) -> Option<LayoutSpec> {
    let sign = sign(&table);
    let is_record = table.flag("is_record");
    let occurs = table.choice("occurs", OCCURS).unwrap_or(Occurs::Many);
    let mut columns: Vec<(LayoutColumn, Range<usize>)> = Vec::new();
    for column in table.tables("columns") {
        columns.extend(self::column(column, input));
    }
    overlaps(&table, &columns);
    if is_record && input.format != Format::Fixed {
        let message = "`is_record` belongs to format `fixed`: every other row of this format is a record";
        table.sink().error("NF301", &name.span, message, "");
    }
    table.end();
    let columns = columns.into_iter().map(|(column, _)| column).collect();
    Some(LayoutSpec { name: name.value.clone(), sign: sign?, occurs, is_record, columns })
}

fn sign(table: &Table<'_>) -> Option<Sign> {
    match (table.text("starts_with"), table.text("matches")) {
        (Some(start), None) => Some(Sign::StartsWith(start.value)),
        (None, Some(pattern)) => match regex::RegexBuilder::new(&pattern.value).size_limit(1 << 20).build() {
            Ok(_) => Some(Sign::Matches(pattern.value)),
            Err(_) => {
                table.sink().error("NF230", &pattern.span, "this is not a pattern", "");
                None
            }
        },
        (Some(_), Some(pattern)) => {
            table.sink().error("NF106", &pattern.span, "a layout has `starts_with` or `matches`, not both", "");
            None
        }
        (None, None) => {
            let message = "a layout needs `starts_with` or `matches`: how is such a line known?";
            table.sink().error("NF103", &table.span(), message, "");
            None
        }
    }
}

fn column(table: Table<'_>, input: &InputSpec) -> Option<(LayoutColumn, Range<usize>)> {
    let name = table.required("name").and_then(|value| value.text());
    let _ = table.text("note");
    let within = table.text("within").map(|within| within.value);
    let fixed = input.format == Format::Fixed;
    let place = match (fixed, table.get("pos"), table.get("field")) {
        (true, Some(pos), None) => {
            let text = pos.text()?;
            position(&table, &text, input).map(|place| (place, text.span))
        }
        (false, None, Some(field)) => {
            let cell = field.integer(1, 4096).and_then(|cell| u32::try_from(cell).ok());
            cell.map(|cell| (ColumnPlace::Cell(cell), field.span()))
        }
        (fixed, pos, field) => {
            let (key, wrong) = if fixed { ("pos", field) } else { ("field", pos) };
            let span = wrong.map_or(table.span(), |wrong| wrong.span());
            let example = if fixed { "`pos = \"4-11\"`" } else { "`field = 2`" };
            let format = if fixed { "fixed" } else { "csv" };
            let message = format!("a column of a layout of format `{format}` needs `{key}`, such as {example}");
            table.sink().error("NF302", &span, message, "");
            None
        }
    };
    table.end();
    let (place, span) = place?;
    Some((LayoutColumn { name: name?.value, place, within }, span))
}

/// `4-11`: both ends are included, the first character is 1.
fn position(table: &Table<'_>, text: &At<String>, input: &InputSpec) -> Option<ColumnPlace> {
    let (from, to) = ends(table.sink(), text)?;
    if let Some(length) = input.line_length.filter(|length| to > *length) {
        let message = format!("position {to} is beyond the end of the line, which has {length} characters");
        table.sink().error("NF303", &text.span, message, "see `line_length`");
    }
    Some(ColumnPlace::Characters(from, to))
}

/// The first and the last character of a position.
pub fn ends(sink: &Sink<'_>, text: &At<String>) -> Option<(u32, u32)> {
    let ends = text.value.split_once('-').and_then(|(from, to)| {
        let (from, to) = (from.trim().parse::<u32>().ok()?, to.trim().parse::<u32>().ok()?);
        (from >= 1 && from <= to && to <= 1 << 20).then_some((from, to))
    });
    if ends.is_none() {
        let message = format!("`{}` is not a position", text.value);
        let help = "the first and the last character, both included and counted from 1: `pos = \"4-11\"`";
        sink.error_help("NF302", &text.span, message, "not `from-to`", help);
    }
    ends
}

fn overlaps(table: &Table<'_>, columns: &[(LayoutColumn, Range<usize>)]) {
    for (at, (right, right_span)) in columns.iter().enumerate() {
        for (left, left_span) in columns.iter().take(at) {
            if left.name == right.name {
                table.sink().error("NF113", right_span, format!("`{}` stands twice in this layout", right.name), "");
            }
            let apart = left.within.as_ref() == Some(&right.name) || right.within.as_ref() == Some(&left.name);
            let (ColumnPlace::Characters(a, b), ColumnPlace::Characters(c, d)) = (left.place, right.place) else {
                continue;
            };
            if apart || b < c || d < a {
                continue;
            }
            let ((first, first_span), (late, late_span), start) = if a <= c {
                ((left, left_span), (right, right_span), c)
            } else {
                ((right, right_span), (left, left_span), a)
            };
            let from = a.min(c);
            let message = format!("columns `{}` and `{}` overlap at position {start}", first.name, late.name);
            let mut help = vec![format!("if one is really a part of the other, say so: `within = \"{}\"`", first.name)];
            if start > from {
                let length = start - from;
                help.insert(
                    0,
                    format!("both ends count: {length} characters from {from} on are `{from}-{}`", start - 1),
                );
            }
            let marks = (first_span, "ends here …", late_span, "… but this begins here");
            table.sink().error_two("NF305", message, marks, help);
        }
    }
    for (column, span) in columns {
        if let Some(outer) = &column.within
            && !columns.iter().any(|(other, _)| other.name == *outer)
        {
            table.sink().error(
                "NF133",
                span,
                format!("there is no column `{outer}` in this layout"),
                "named by `within`",
            );
        }
    }
}

fn check(table: &Table<'_>, layouts: &[LayoutSpec], input: &InputSpec) {
    let records: Vec<&LayoutSpec> = layouts.iter().filter(|layout| layout.is_record).collect();
    if input.format == Format::Fixed && records.len() != 1 {
        let message = match records.len() {
            0 => "no layout has `is_record = true`, so no line is a record".to_owned(),
            _ => format!("{} layouts have `is_record = true`, and one kind of line can be records", records.len()),
        };
        table.sink().error("NF306", &table.span(), message, "");
    }
    if !matches!(input.format, Format::Fixed | Format::Csv) && !layouts.is_empty() {
        table.sink().error("NF301", &table.span(), "`[layouts]` belong to the formats `fixed` and `csv`", "");
    }
    for (at, layout) in layouts.iter().enumerate() {
        for other in layouts.iter().take(at) {
            let (Sign::StartsWith(left), Sign::StartsWith(right)) = (&layout.sign, &other.sign) else { continue };
            if left.starts_with(right.as_str()) || right.starts_with(left.as_str()) {
                let message = format!(
                    "lines of `{}` and `{}` begin alike, so they cannot be told apart",
                    other.name, layout.name
                );
                let span = table.table(&layout.name).map_or(table.span(), |layout| {
                    layout.peek("starts_with").map_or(layout.span(), |value| value.span())
                });
                table.sink().error("NF304", &span, message, "");
            }
        }
    }
}
