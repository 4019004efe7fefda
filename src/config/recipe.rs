//! One recipe of `[fields]`: exactly one origin, then `clean`, `lookup`, `type`, `default`, `required`, limits.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use toml::de::DeValue;

use super::lookup::{Lookups, constant};
use super::template::{braces, check_date_format};
use super::tree::{At, Table, Value};
use crate::mapping::spec::{Auto, CleanStep, Column, Constant, FieldSpec, Limit, Origin, TemplatePart, ValueKind};

const ORIGINS: [&str; 5] = ["from", "first_of", "template", "value", "auto"];

/// Reads a recipe; `None` when it has a mistake that leaves no meaning. Everything is read before that is decided, so
/// that one mistake does not hide the next.
pub fn read(target: &At<String>, table: Table<'_>, lookups: &Lookups) -> Option<FieldSpec> {
    let path = target_path(&table, target);
    let origin = origin(&table, target);
    let kind = kind(&table);
    let default = table.get("default").and_then(|value| constant(&value).map(|constant| (constant, value.span())));
    if let (Some((constant, span)), Some(kind)) = (&default, &kind) {
        check_constant(&table, constant, span, kind, "default");
    }
    if let (Some(Origin::Value(constant)), Some(kind), Some(value)) = (&origin, &kind, table.get("value")) {
        check_constant(&table, constant, &value.span(), kind, "value");
    }
    let (clean, lookup) = (clean(&table), lookup(&table, lookups));
    let (minimum, maximum) = (limit(&table, "minimum", kind.as_ref()), limit(&table, "maximum", kind.as_ref()));
    let required = table.get("required").is_some_and(|value| value.boolean() == Some(true));
    let (allowed, pattern) = (allowed(&table), pattern(&table));
    check_limits(&table, minimum.as_ref(), maximum.as_ref());
    table.end();
    Some(FieldSpec {
        target: path?,
        origin: origin?,
        clean,
        lookup,
        kind: kind?,
        default: default.map(|(constant, _)| constant),
        required,
        allowed,
        pattern,
        minimum,
        maximum,
    })
}

fn target_path(table: &Table<'_>, target: &At<String>) -> Option<Vec<String>> {
    if target.value.contains("[]") {
        table.sink().error(
            "NF191",
            &target.span,
            "`lines[]` targets are not in this version yet",
            "would change what is sent",
        );
        return None;
    }
    let parts: Vec<String> = target.value.split('.').map(str::to_owned).collect();
    if parts.iter().any(String::is_empty) {
        table.sink().error(
            "NF107",
            &target.span,
            format!("`{}` is not a target path", target.value),
            "a name is missing between the dots",
        );
        return None;
    }
    Some(parts)
}

fn origin(table: &Table<'_>, target: &At<String>) -> Option<Origin> {
    let given: Vec<&str> = ORIGINS.into_iter().filter(|key| table.get(key).is_some()).collect();
    match given.as_slice() {
        [one] => read_origin(table, one, &table.get(one)?),
        // `cases` is an origin of a later version and is reported as such.
        [] if table.has("cases") => None,
        [] => {
            table.sink().error_help(
                "NF108",
                &target.span,
                format!("`{}` has no origin", target.value),
                "where does its value come from?",
                "add one of `from`, `first_of`, `template`, `value`, `auto`",
            );
            None
        }
        several => {
            let list = several.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(" and ");
            let message = format!("`{}` has {} origins: {list}", target.value, several.len());
            table.sink().error("NF108", &target.span, message, "a recipe has exactly one");
            None
        }
    }
}

fn read_origin(table: &Table<'_>, key: &str, value: &Value<'_>) -> Option<Origin> {
    match key {
        "from" => column(value).map(Origin::From),
        "first_of" => {
            let columns: Vec<Column> = value.list(false).iter().filter_map(column).collect();
            (!columns.is_empty()).then_some(Origin::FirstOf(columns))
        }
        "template" => template(value),
        "value" => constant(value).map(Origin::Value),
        _ => table
            .word(
                "auto",
                |word| match word {
                    "file.name" => Some(Auto::FileName),
                    "row" => Some(Auto::Row),
                    "run" => Some(Auto::Run),
                    "business_date" => Some(Auto::BusinessDate),
                    _ => None,
                },
                &["file.name", "row", "run", "business_date"],
            )
            .map(Origin::Auto),
    }
}

/// A column by name, or by position counted from 1.
pub fn column(value: &Value<'_>) -> Option<Column> {
    match value.node() {
        DeValue::Integer(_) => {
            value.integer(1, 4096).and_then(|position| u32::try_from(position).ok()).map(Column::Position)
        }
        _ => value.text().map(|text| Column::Name(text.value)),
    }
}

fn template(value: &Value<'_>) -> Option<Origin> {
    let text = value.text()?;
    let Some(parts) = braces(&text.value) else {
        value.sink().error(
            "NF105",
            &text.span,
            format!("`{}` has a `{{` or `}}` without its other half", text.value),
            "",
        );
        return None;
    };
    let part = |(braced, part): (bool, &str)| {
        let part = part.to_owned();
        if braced { TemplatePart::Cell(Column::Name(part)) } else { TemplatePart::Text(part) }
    };
    Some(Origin::Template(parts.into_iter().map(part).collect()))
}

fn clean(table: &Table<'_>) -> Vec<CleanStep> {
    let Some(value) = table.get("clean") else { return Vec::new() };
    value.list(false).iter().filter_map(clean_step).collect()
}

fn clean_step(value: &Value<'_>) -> Option<CleanStep> {
    if let DeValue::Table(_) = value.node() {
        return clean_table(value);
    }
    let word = value.text()?;
    match word.value.as_str() {
        "trim" => Some(CleanStep::Trim),
        "upper" => Some(CleanStep::Upper),
        "lower" => Some(CleanStep::Lower),
        "digits" => Some(CleanStep::Digits),
        "squeeze" | "ascii" => {
            value.sink().error(
                "NF191",
                &word.span,
                format!("`{}` is not in this version yet", word.value),
                "would change what is sent",
            );
            None
        }
        other => {
            let known = "one of `trim`, `upper`, `lower`, `digits`, `{ pad_left = [8, \"0\"] }`, `{ remove = \" -\" }`";
            value.sink().error("NF104", &word.span, format!("`{other}` is not a step of `clean`"), known);
            None
        }
    }
}

fn clean_table(value: &Value<'_>) -> Option<CleanStep> {
    let step = value.table("fields.clean")?;
    let read = if let Some(pad) = step.get("pad_left") {
        let parts = pad.list(false);
        let width =
            parts.first().and_then(|width| width.integer(1, 10_000)).and_then(|width| u32::try_from(width).ok());
        let fill = parts.get(1).and_then(Value::text).and_then(|fill| {
            let mut characters = fill.value.chars();
            characters.next().filter(|_| characters.next().is_none())
        });
        if width.is_none() || fill.is_none() || parts.len() != 2 {
            step.sink().error(
                "NF104",
                &pad.span(),
                "`pad_left` is a width and one character",
                "for example `[8, \"0\"]`",
            );
        }
        width.zip(fill).map(|(width, fill)| CleanStep::PadLeft(width, fill))
    } else if let Some(remove) = step.text("remove") {
        Some(CleanStep::Remove(remove.value))
    } else {
        for later in ["replace", "take", "after", "before"] {
            if let Some(value) = step.get(later) {
                step.sink().error(
                    "NF191",
                    &value.span(),
                    format!("`{later}` is not in this version yet"),
                    "would change what is sent",
                );
            }
        }
        None
    };
    step.end();
    read
}

fn lookup(table: &Table<'_>, lookups: &Lookups) -> Option<String> {
    let name = table.text("lookup")?;
    if lookups.declared.contains(&name.value) {
        return Some(name.value);
    }
    let known = lookups.declared.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let label = if known.is_empty() { "there are no lookups".to_owned() } else { format!("there are {known}") };
    table.sink().error("NF213", &name.span, format!("there is no lookup `{}` in this mapping", name.value), &label);
    None
}

fn kind(table: &Table<'_>) -> Option<ValueKind> {
    let word = table.get("type").map(|value| value.text()).unwrap_or_else(|| None);
    let decimals =
        |key: &str| table.get(key).and_then(|value| value.integer(0, 18)).and_then(|number| u32::try_from(number).ok());
    let (digits, minor) = (decimals("decimals"), decimals("minor_units"));
    let format = table.text("format");
    let kind = match (word.as_ref().map(|word| word.value.as_str()), minor) {
        (None | Some("string"), _) => ValueKind::Text,
        (Some("integer"), _) => ValueKind::Integer,
        (Some("boolean"), _) => ValueKind::Boolean,
        (Some("number"), Some(minor)) => ValueKind::MinorUnits(minor),
        (Some("number"), None) => ValueKind::Number { decimals: digits },
        (Some("date"), _) => return date(table, word.as_ref(), format),
        (Some(other), _) => {
            let span = word.as_ref().map(|word| word.span.clone()).unwrap_or_default();
            if matches!(other, "time" | "datetime") {
                table.sink().error("NF191", &span, format!("type `{other}` is not in this version yet"), "");
            } else {
                let known = "one of `string`, `integer`, `number`, `date`, `boolean`";
                table.sink().error("NF104", &span, format!("`{other}` is not a type"), known);
            }
            return None;
        }
    };
    if let Some(format) = format {
        if matches!(format.value.as_str(), "email" | "iban" | "uuid" | "url") {
            table.sink().error(
                "NF191",
                &format.span,
                format!("format `{}` is not in this version yet", format.value),
                "",
            );
        } else {
            table.sink().error("NF109", &format.span, "`format` belongs to `type = \"date\"`", "");
        }
    }
    for (key, allowed) in [
        ("decimals", matches!(kind, ValueKind::Number { .. })),
        ("minor_units", minor.is_none() || matches!(kind, ValueKind::MinorUnits(_))),
    ] {
        if let (Some(value), false) = (table.get(key), allowed) {
            let hint = if digits.is_some() && minor.is_some() { "either `decimals` or `minor_units`" } else { "" };
            table.sink().error("NF109", &value.span(), format!("`{key}` belongs to `type = \"number\"`"), hint);
        }
    }
    Some(kind)
}

fn date(table: &Table<'_>, word: Option<&At<String>>, format: Option<At<String>>) -> Option<ValueKind> {
    let Some(format) = format else {
        let span = word.map(|word| word.span.clone()).unwrap_or_default();
        table.sink().error_help(
            "NF103",
            &span,
            "a date needs `format`",
            "",
            "for example `format = \"%d.%m.%Y\"` reads 23.11.2026",
        );
        return None;
    };
    check_date_format(table.sink(), &format).then_some(ValueKind::Date { format: format.value })
}

fn check_constant(table: &Table<'_>, constant: &Constant, span: &std::ops::Range<usize>, kind: &ValueKind, key: &str) {
    let fits = match (kind, constant) {
        (ValueKind::Text, _) => true,
        (ValueKind::Integer | ValueKind::MinorUnits(_), Constant::Number(digits)) => !digits.contains('.'),
        (ValueKind::Number { .. }, Constant::Number(_)) | (ValueKind::Boolean, Constant::Boolean(_)) => true,
        (ValueKind::Date { .. }, Constant::Text(text)) => text.parse::<NaiveDate>().is_ok(),
        _ => false,
    };
    if !fits {
        let wanted = match kind {
            ValueKind::Integer => "a whole number, without quotation marks",
            ValueKind::MinorUnits(_) => "a whole number of minor units",
            ValueKind::Number { .. } => "a number, without quotation marks",
            ValueKind::Boolean => "true or false",
            _ => "a date as `\"2026-11-23\"`",
        };
        table.sink().error("NF110", span, format!("`{key}` does not fit the type"), &format!("{wanted} is needed"));
    }
}

fn allowed(table: &Table<'_>) -> Vec<String> {
    let Some(value) = table.get("enum") else { return Vec::new() };
    let words = value.list(false);
    if words.is_empty() {
        table.sink().error("NF104", &value.span(), "`enum` needs at least one value", "");
    }
    let as_text = |constant| match constant {
        Constant::Text(text) | Constant::Number(text) => text,
        Constant::Boolean(yes) => yes.to_string(),
    };
    words.iter().filter_map(constant).map(as_text).collect()
}

fn pattern(table: &Table<'_>) -> Option<String> {
    let text = table.text("pattern")?;
    match regex::RegexBuilder::new(&text.value).size_limit(1 << 20).build() {
        Ok(_) => Some(text.value),
        Err(error) => {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            table.sink().error("NF230", &text.span, format!("this is not a pattern: {reason}"), "");
            None
        }
    }
}

fn limit(table: &Table<'_>, key: &str, kind: Option<&ValueKind>) -> Option<Limit> {
    let value = table.get(key)?;
    let read = match (value.node(), kind?) {
        (DeValue::String(text), ValueKind::Date { .. }) => match text.parse::<NaiveDate>() {
            Ok(date) => Some(Limit::Date(date)),
            Err(_) if text.starts_with("today") => {
                table.sink().error("NF191", &value.span(), "limits relative to today are not in this version yet", "");
                return None;
            }
            Err(_) => None,
        },
        (
            DeValue::Integer(_) | DeValue::Float(_),
            ValueKind::Integer | ValueKind::Number { .. } | ValueKind::MinorUnits(_),
        ) => match constant(&value) {
            Some(Constant::Number(digits)) => digits.parse::<Decimal>().ok().map(Limit::Number),
            _ => return None,
        },
        _ => None,
    };
    if read.is_none() {
        let message = format!("`{key}` does not fit the type");
        table.sink().error("NF110", &value.span(), message, "a number for numbers, `\"2026-11-23\"` for dates");
    }
    read
}

fn check_limits(table: &Table<'_>, minimum: Option<&Limit>, maximum: Option<&Limit>) {
    let crossed = match (minimum, maximum) {
        (Some(Limit::Number(least)), Some(Limit::Number(most))) => least > most,
        (Some(Limit::Date(least)), Some(Limit::Date(most))) => least > most,
        _ => false,
    };
    if let (true, Some(value)) = (crossed, table.get("maximum")) {
        table.sink().error("NF111", &value.span(), "`maximum` is below `minimum`", "no value can pass");
    }
}
