//! Templates: `{business_date:%Y-%m}` and `{file}` in folders and names, `{Column}` in a recipe, `%d.%m.%Y` for dates.

use chrono::format::{Item, StrftimeItems};

use super::tree::{At, Sink};
use crate::domain::source::{DateTemplate, TemplatePart};

/// Splits `a{b}c` into literal and braced parts; `None` when a brace is left open or closed twice.
pub fn braces(text: &str) -> Option<Vec<(bool, &str)>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find(['{', '}']) {
        if rest.as_bytes()[open] == b'}' {
            return None;
        }
        let close = open + rest[open..].find('}')?;
        if rest[open + 1..close].contains('{') {
            return None;
        }
        if open > 0 {
            parts.push((false, &rest[..open]));
        }
        parts.push((true, &rest[open + 1..close]));
        rest = &rest[close + 1..];
    }
    if !rest.is_empty() {
        parts.push((false, rest));
    }
    Some(parts)
}

/// What a template may hold, beside dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing else.
    Dates,
    /// `{file}`: a file is at hand.
    File,
    /// `{sequence}`: it is the pattern of a name.
    Names,
}

/// A template of a folder or a name.
pub fn date_template(sink: &Sink<'_>, text: &At<String>, known: Known) -> Option<DateTemplate> {
    let Some(parts) = braces(&text.value) else {
        let message = format!("`{}` has a `{{` or `}}` without its other half", text.value);
        sink.error("NF105", &text.span, message, "");
        return None;
    };
    let parts = parts.into_iter().map(|(braced, part)| match (braced, part.split_once(':')) {
        (false, _) => Some(TemplatePart::Text(part.to_owned())),
        (true, None) if part == "business_date" => Some(TemplatePart::BusinessDate("%Y-%m-%d".to_owned())),
        (true, Some(("business_date", format))) if is_date_format(format) => {
            Some(TemplatePart::BusinessDate(format.to_owned()))
        }
        (true, None) if part == "file" && known == Known::File => Some(TemplatePart::File),
        (true, None) if part == "sequence" && known == Known::Names => Some(TemplatePart::Sequence(0)),
        (true, Some(("sequence", digits))) if known == Known::Names && digits_of(digits).is_some() => {
            digits_of(digits).map(TemplatePart::Sequence)
        }
        _ => {
            let known = match known {
                Known::Dates => "`{business_date:%Y%m%d}`",
                Known::File => "`{file}` or `{business_date:%Y%m%d}`",
                Known::Names => "`{business_date:%Y%m%d}` or `{sequence:05}`",
            };
            sink.error("NF105", &text.span, format!("`{{{part}}}` is not known here"), &format!("known is {known}"));
            None
        }
    });
    parts.collect::<Option<Vec<_>>>().map(DateTemplate)
}

/// `05`: five digits at least.
fn digits_of(format: &str) -> Option<usize> {
    format.strip_prefix('0')?.parse().ok().filter(|digits| (1..=18).contains(digits))
}

/// Whether a format has only words that a date can fill.
pub fn is_date_format(format: &str) -> bool {
    let day = chrono::NaiveDate::from_ymd_opt(2026, 11, 23).unwrap_or_default();
    if StrftimeItems::new(format).any(|item| matches!(item, Item::Error)) {
        return false;
    }
    let mut written = String::new();
    std::fmt::Write::write_fmt(&mut written, format_args!("{}", day.format(format))).is_ok()
}

/// Checks a format that dates are read by: words of strptime that make a whole date.
pub fn check_date_format(sink: &Sink<'_>, format: &At<String>) -> bool {
    if !format.value.contains('%') {
        let message = format!("`{}` is not a date format", format.value);
        let label = "no `%` in it, so it would only match that very text";
        match translated(&format.value) {
            Some(words) => {
                sink.error_help("NF231", &format.span, message, label, format!("you probably mean `{words}`"))
            }
            None => sink.error_help("NF231", &format.span, message, label, "for example `%d.%m.%Y` reads 23.11.2026"),
        }
        return false;
    }
    let (first, second) = (chrono::NaiveDate::from_ymd_opt(2026, 11, 23), chrono::NaiveDate::from_ymd_opt(2025, 2, 1));
    let reads_back = |day: Option<chrono::NaiveDate>| {
        day.is_some_and(|day| {
            let written = day.format(&format.value).to_string();
            chrono::NaiveDate::parse_from_str(&written, &format.value) == Ok(day)
        })
    };
    let whole = is_date_format(&format.value) && reads_back(first) && reads_back(second);
    if !whole {
        let message = format!("`{}` does not read a whole date", format.value);
        sink.error_help(
            "NF231",
            &format.span,
            message,
            "day, month and year are needed",
            "for example `%d.%m.%Y` reads 23.11.2026",
        );
    }
    whole
}

/// Checks a format that times, or dates with times, are read by: what it writes of a moment it must read back.
pub fn check_moment_format(sink: &Sink<'_>, format: &At<String>, time_only: bool) -> bool {
    use crate::mapping::moment;
    let moments = ["2026-11-23T14:35:56", "2025-02-01T09:05:07"];
    let reads = moments.iter().all(|text| {
        let Ok(moment) = text.parse::<chrono::NaiveDateTime>() else { return false };
        let zone = chrono::FixedOffset::east_opt(3600);
        let Some(moment) = zone.and_then(|zone| moment.and_local_timezone(zone).single()) else { return false };
        let mut written = String::new();
        let fits = std::fmt::Write::write_fmt(&mut written, format_args!("{}", moment.format(&format.value))).is_ok();
        fits && match time_only {
            true => moment::reads_time(&written, &format.value),
            false => moment::reads(&written, &format.value),
        }
    });
    if !reads {
        let (noun, example) = match time_only {
            true => ("a time of day", "for example `%H:%M` reads 14:30"),
            false => ("a date and time", "for example `%d.%m.%Y %H:%M` reads 23.11.2026 14:30"),
        };
        let label = if format.value.contains('%') { "" } else { "no `%` in it, so it would only match that very text" };
        sink.error_help("NF231", &format.span, format!("`{}` does not read {noun}", format.value), label, example);
    }
    reads
}

/// `dd.MM.yyyy`, as spreadsheets write it, in strptime words.
fn translated(format: &str) -> Option<String> {
    let mut words = String::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        let run = rest.chars().take_while(|character| *character == first).count();
        let word = match (first, run) {
            ('d' | 'D', 2) => Some("%d"),
            ('M' | 'm', 2) => Some("%m"),
            ('y' | 'Y' | 'u', 4) => Some("%Y"),
            ('y' | 'Y', 2) => Some("%y"),
            (letter, _) if letter.is_alphabetic() => return None,
            _ => None,
        };
        let end = run * first.len_utf8();
        words.push_str(word.unwrap_or(&rest[..end]));
        rest = &rest[end..];
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_split_and_halves_are_found() {
        assert_eq!(braces("a{b}c{d}"), Some(vec![(false, "a"), (true, "b"), (false, "c"), (true, "d")]));
        assert_eq!(braces(""), Some(vec![]));
        assert_eq!(braces("a{b"), None);
        assert_eq!(braces("a}b"), None);
        assert_eq!(braces("{a{b}}"), None);
    }

    #[test]
    fn spreadsheet_formats_are_translated() {
        assert_eq!(translated("dd.MM.yyyy").as_deref(), Some("%d.%m.%Y"));
        assert_eq!(translated("yyyy-MM-dd").as_deref(), Some("%Y-%m-%d"));
        assert_eq!(translated("Datum"), None);
    }
}
