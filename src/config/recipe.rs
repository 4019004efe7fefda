//! One recipe of `[fields]`: exactly one origin, then `clean`, `lookup`, `type`, `default`, `required`, limits.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use toml::de::DeValue;

use super::condition;
use super::lookup::{Lookups, constant};
use super::template::{braces, check_date_format, check_moment_format};
use super::tree::{At, Table, Value};
use crate::mapping::mask::Pii;
use crate::mapping::spec::{
    Auto, Case, CleanStep, Column, Constant, DateShift, FieldSpec, Limit, NumberFormat, Origin, TemplatePart,
    TextFormat, ValueKind,
};

const ORIGINS: [&str; 6] = ["from", "first_of", "template", "value", "cases", "auto"];

/// Reads a recipe; `None` when it has a mistake that leaves no meaning. Everything is read before that is decided, so
/// that one mistake does not hide the next.
pub fn read(target: &At<String>, table: Table<'_>, lookups: &Lookups, grouped: bool) -> Option<FieldSpec> {
    let path = target_path(&table, target, grouped);
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
    let (allowed, pattern) = (allowed(&table), pattern(&table));
    if let (Some((constant, span)), false) = (&default, allowed.is_empty()) {
        let text = constant.clone().into_text();
        if !allowed.contains(&text) {
            let message = format!("the default `{text}` is not one of `enum`");
            table.sink().error("NF110", span, message, "every row that needs it would be rejected");
        }
    }
    check_limits(&table, minimum.as_ref(), maximum.as_ref());
    let length =
        |key: &str| table.get(key).and_then(|value| value.integer(0, 1 << 20)).and_then(|n| u32::try_from(n).ok());
    let (min_length, max_length) = (length("min_length"), length("max_length"));
    if let (Some(least), Some(most), Some(value)) = (min_length, max_length, table.peek("max_length"))
        && least > most
    {
        table.sink().error("NF111", &value.span(), "`max_length` is below `min_length`", "no value can pass");
    }
    let field = FieldSpec {
        target: path.clone().unwrap_or_default(),
        when: condition::under(&table, "when"),
        origin: origin.clone().unwrap_or(Origin::Auto(Auto::Row)),
        optional_column: table.flag("optional_column"),
        clean,
        lookup,
        kind: kind.clone().unwrap_or(ValueKind::Integer),
        default: default.map(|(constant, _)| constant),
        required: table.flag("required"),
        allowed,
        pattern,
        minimum,
        maximum,
        min_length,
        max_length,
        not_before: table.text("not_before").map(|field| field.value),
        not_after: table.text("not_after").map(|field| field.value),
        unique: table.flag("unique"),
        pii: pii(&table),
    };
    let _ = table.text("note");
    table.end();
    (path.is_some() && origin.is_some() && kind.is_some()).then_some(field)
}

fn pii(table: &Table<'_>) -> Option<Pii> {
    let word = table.text("pii")?;
    let pii = Pii::from_word(&word.value);
    if pii.is_none() {
        let known: Vec<String> = Pii::WORDS.iter().map(|(_, word)| format!("`{word}`")).collect();
        let message = format!("`{}` is not a kind of personal data we know", word.value);
        table.sink().error("NF131", &word.span, message, &format!("one of {}", known.join(", ")));
    }
    pii
}

fn target_path(table: &Table<'_>, target: &At<String>, grouped: bool) -> Option<Vec<String>> {
    let parts: Vec<String> = target.value.split('.').map(str::to_owned).collect();
    let lists = parts.iter().filter(|part| part.ends_with("[]")).count();
    let wrong = |message: &str, label: &str| {
        table.sink().error("NF107", &target.span, format!("`{}` {message}", target.value), label);
    };
    if parts.iter().any(|part| part.trim_end_matches("[]").is_empty()) {
        wrong("is not a target path", "a name is missing between the dots");
        return None;
    }
    if parts.iter().any(|part| part.trim_end_matches("[]").contains(['[', ']'])) || lists > 1 {
        wrong("is not a target path", "`[]` stands once, behind the name of a list");
        return None;
    }
    if parts.last().is_some_and(|part| part.ends_with("[]")) {
        wrong("names a list and no field in it", "for example `lines[].sku`");
        return None;
    }
    if lists == 1 && !grouped {
        let help = "add `[record]` with `group_by = [\"…\"]`: rows with the same value there become one record";
        let message = format!("`{}` is a field of a list, and this mapping does not group rows", target.value);
        table.sink().error_help("NF132", &target.span, message, "one entry per row of what?", help);
        return None;
    }
    Some(parts)
}

fn origin(table: &Table<'_>, target: &At<String>) -> Option<Origin> {
    let given: Vec<&str> = ORIGINS.into_iter().filter(|key| table.get(key).is_some()).collect();
    match given.as_slice() {
        [one] => read_origin(table, one, &table.get(one)?),
        [] => {
            table.sink().error_help(
                "NF108",
                &target.span,
                format!("`{}` has no origin", target.value),
                "where does its value come from?",
                "add one of `from`, `first_of`, `template`, `value`, `cases`, `auto`",
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
        "cases" => Some(Origin::Cases(cases(table))),
        _ => table
            .choice(
                "auto",
                &[
                    ("file.name", Auto::FileName),
                    ("row", Auto::Row),
                    ("run", Auto::Run),
                    ("business_date", Auto::BusinessDate),
                ],
            )
            .map(Origin::Auto),
    }
}

fn cases(table: &Table<'_>) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for case in table.tables("cases") {
        let when = match case.table("when") {
            Some(when) => condition::read(&when),
            None => {
                let help = "a value for everything else is `default`";
                case.sink().error_help("NF103", &case.span(), "a case needs `when`", "", help);
                Vec::new()
            }
        };
        let value = case.required("value").and_then(|value| constant(&value));
        if let Some(before) = cases.iter().position(|before| !before.when.is_empty() && before.when == when) {
            let message = format!("this case is never reached: case {} asks the same", before + 1);
            case.sink().warn("NF216", &case.span(), message, "the first case that holds decides; remove this one");
        }
        case.end();
        cases.extend(value.map(|value| Case { when, value }));
    }
    cases
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
        "squeeze" => Some(CleanStep::Squeeze),
        "ascii" => Some(CleanStep::Ascii),
        other => {
            let known = "one of `trim`, `squeeze`, `upper`, `lower`, `digits`, `ascii`, or a table such as `{ remove = \" -\" }`";
            value.sink().error("NF104", &word.span, format!("`{other}` is not a step of `clean`"), known);
            None
        }
    }
}

fn clean_table(value: &Value<'_>) -> Option<CleanStep> {
    let step = value.table("clean")?;
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
    } else if let Some(replace) = step.get("replace") {
        let parts: Vec<String> = replace.list(false).iter().filter_map(Value::text).map(|text| text.value).collect();
        match parts.as_slice() {
            [from, to] if !from.is_empty() => Some(CleanStep::Replace(from.clone(), to.clone())),
            _ => {
                let message = "`replace` is two texts: what is looked for, and what stands there then";
                step.sink().error("NF104", &replace.span(), message, "for example `[\"/\", \"-\"]`");
                None
            }
        }
    } else if let Some(take) = step.get("take") {
        let ends: Vec<u32> = take
            .list(false)
            .iter()
            .filter_map(|end| end.integer(1, 1 << 20))
            .filter_map(|end| u32::try_from(end).ok())
            .collect();
        match ends.as_slice() {
            [from, to] if from <= to => Some(CleanStep::Take(*from, *to)),
            _ => {
                let message = "`take` is the first and the last character, counted from 1";
                step.sink().error("NF104", &take.span(), message, "for example `[1, 3]`");
                None
            }
        }
    } else if let Some(after) = step.text("after") {
        mark(&step, after).map(CleanStep::After)
    } else if let Some(before) = step.text("before") {
        mark(&step, before).map(CleanStep::Before)
    } else {
        None
    };
    if read.is_none() && ["pad_left", "remove", "replace", "take", "after", "before"].iter().all(|key| !step.has(key)) {
        let known = "one of `pad_left`, `remove`, `replace`, `take`, `after`, `before`";
        step.sink().error("NF104", &step.span(), "this is not a step of `clean`", known);
    }
    step.end();
    read
}

fn mark(step: &Table<'_>, mark: At<String>) -> Option<String> {
    if mark.value.is_empty() {
        step.sink().error("NF104", &mark.span, "a text is needed here that can be found", "");
        return None;
    }
    Some(mark.value)
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

const TYPES: [&str; 7] = ["string", "integer", "number", "boolean", "date", "time", "datetime"];

fn kind(table: &Table<'_>) -> Option<ValueKind> {
    let word = table.text("type");
    let format = table.text("format");
    let name = word.as_ref().map_or("string", |word| word.value.as_str());
    let number = number(table, name == "number");
    match name {
        "string" => text_format(table, format).map(ValueKind::Text),
        "integer" | "boolean" | "number" => {
            if let Some(format) = format {
                let help = "`decimal_mark` and `group_mark` of `[input]` say how numbers are written";
                table.sink().error_help(
                    "NF215",
                    &format.span,
                    format!("`format` has no effect with `{name}`"),
                    "",
                    help,
                );
            }
            Some(match name {
                "integer" => ValueKind::Integer,
                "boolean" => ValueKind::Boolean,
                _ => ValueKind::Number(number),
            })
        }
        "date" => {
            let format = required_format(table, word.as_ref(), format)?;
            check_date_format(table.sink(), &format).then_some(ValueKind::Date { format: format.value })
        }
        "time" => {
            let format = required_format(table, word.as_ref(), format)?;
            check_moment_format(table.sink(), &format, true).then_some(ValueKind::Time { format: format.value })
        }
        "datetime" => {
            let format = required_format(table, word.as_ref(), format)?;
            check_moment_format(table.sink(), &format, false).then_some(ValueKind::Datetime { format: format.value })
        }
        other => {
            let span = word.as_ref().map(|word| word.span.clone()).unwrap_or_default();
            let known = TYPES.map(|word| format!("`{word}`")).join(", ");
            let message = format!("`{other}` is not a type");
            match super::suggest::nearest(other, TYPES.into_iter()) {
                Some(near) => {
                    let label = format!("one of {known}");
                    table.sink().error_help("NF104", &span, message, &label, format!("did you mean `{near}`?"));
                }
                None => table.sink().error("NF104", &span, message, &format!("one of {known}")),
            }
            None
        }
    }
}

fn text_format(table: &Table<'_>, format: Option<At<String>>) -> Option<TextFormat> {
    let Some(format) = format else { return Some(TextFormat::Any) };
    Some(match format.value.as_str() {
        "email" => TextFormat::Email,
        "iban" => TextFormat::Iban,
        "uuid" => TextFormat::Uuid,
        "url" => TextFormat::Url,
        other => {
            let help = if other.contains('%') {
                "add `type = \"date\"`"
            } else {
                "for a date: `type = \"date\", format = \"%d.%m.%Y\"`"
            };
            let message = format!("`{other}` is not a format of text");
            table.sink().error_help("NF215", &format.span, message, "one of `email`, `iban`, `uuid`, `url`", help);
            return None;
        }
    })
}

/// The keys that belong to `type = "number"`.
fn number(table: &Table<'_>, is_number: bool) -> NumberFormat {
    let digits = |key: &str| table.get(key).and_then(|value| value.integer(0, 18)).and_then(|n| u32::try_from(n).ok());
    let number = NumberFormat {
        decimals: digits("decimals"),
        implied: digits("implied_decimals"),
        minor_units: digits("minor_units"),
        negative_when: condition::under(table, "negative_when"),
    };
    for key in ["decimals", "implied_decimals", "minor_units", "negative_when"] {
        if let (false, Some(value)) = (is_number, table.peek(key)) {
            table.sink().error("NF109", &value.span(), format!("`{key}` belongs to `type = \"number\"`"), "");
        }
    }
    if let (true, Some(_), Some(value)) = (is_number, number.minor_units, table.peek("decimals")) {
        table.sink().error(
            "NF109",
            &value.span(),
            "an amount in minor units has no decimals",
            "either `decimals` or `minor_units`",
        );
    }
    number
}

fn required_format(table: &Table<'_>, word: Option<&At<String>>, format: Option<At<String>>) -> Option<At<String>> {
    if format.is_some() {
        return format;
    }
    let (noun, example) = match word.map(|word| word.value.as_str()) {
        Some("time") => ("a time", "`format = \"%H:%M\"` reads 14:30"),
        Some("datetime") => ("a date and time", "`format = \"%d.%m.%Y %H:%M\"` reads 23.11.2026 14:30"),
        _ => ("a date", "`format = \"%d.%m.%Y\"` reads 23.11.2026"),
    };
    let span = word.map(|word| word.span.clone()).unwrap_or_default();
    table.sink().error_help("NF103", &span, format!("{noun} needs `format`"), "", format!("for example {example}"));
    None
}

fn check_constant(table: &Table<'_>, constant: &Constant, span: &std::ops::Range<usize>, kind: &ValueKind, key: &str) {
    let fits = match (kind, constant) {
        (ValueKind::Text(_), _) => true,
        (ValueKind::Integer, Constant::Number(digits)) => !digits.contains('.'),
        (ValueKind::Number(number), Constant::Number(digits)) => number.minor_units.is_none() || !digits.contains('.'),
        (ValueKind::Boolean, Constant::Boolean(_)) => true,
        (ValueKind::Date { .. }, Constant::Text(text)) => text.parse::<NaiveDate>().is_ok(),
        (ValueKind::Time { .. } | ValueKind::Datetime { .. }, Constant::Text(_)) => true,
        _ => false,
    };
    if !fits {
        let wanted = match kind {
            ValueKind::Integer => "a whole number, without quotation marks",
            ValueKind::Number(NumberFormat { minor_units: Some(_), .. }) => "a whole number of minor units",
            ValueKind::Number(_) => "a number, without quotation marks",
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
    words.iter().filter_map(constant).map(Constant::into_text).collect()
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
        (DeValue::String(text), ValueKind::Date { .. } | ValueKind::Datetime { .. }) => {
            text.parse::<NaiveDate>().ok().map(Limit::Date).or_else(|| today(text).map(Limit::Today))
        }
        (DeValue::Integer(_) | DeValue::Float(_), ValueKind::Integer | ValueKind::Number(_)) => {
            match constant(&value) {
                Some(Constant::Number(digits)) => digits.parse::<Decimal>().ok().map(Limit::Number),
                _ => return None,
            }
        }
        _ => None,
    };
    if read.is_none() {
        let message = format!("`{key}` does not fit the type");
        table.sink().error(
            "NF110",
            &value.span(),
            message,
            "a number for numbers, `\"2026-11-23\"` or `\"today-15y\"` for dates",
        );
    }
    read
}

/// `today`, `today-15y`, `today+30d`: years, months, weeks or days from the business date.
fn today(text: &str) -> Option<DateShift> {
    let rest = text.strip_prefix("today")?;
    let none = DateShift { months: 0, days: 0 };
    if rest.is_empty() {
        return Some(none);
    }
    let sign: i32 = if rest.starts_with('-') { -1 } else { 1 };
    let digits = rest.strip_prefix(['-', '+'])?;
    let (number, unit) = digits.split_at_checked(digits.len().checked_sub(1)?)?;
    let number: i32 =
        number.parse().ok().filter(|number| (0..=100_000).contains(number) && !digits.starts_with(['+', '-']))?;
    match unit {
        "y" => Some(DateShift { months: sign * number * 12, ..none }),
        "m" => Some(DateShift { months: sign * number, ..none }),
        "w" => Some(DateShift { days: i64::from(sign * number * 7), ..none }),
        "d" => Some(DateShift { days: i64::from(sign * number), ..none }),
        _ => None,
    }
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
