//! Durations (`"30s"`) and sizes (`"1MiB"`).

use std::time::Duration;

use super::tree::Value;

const DURATIONS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("KB", 1_000),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// A duration with a unit.
pub fn duration(value: &Value<'_>) -> Option<Duration> {
    let text = value.text()?;
    let parsed = parse_duration(&text.value);
    if parsed.is_none() {
        let message = format!("`{}` is not a duration", text.value);
        value.sink().error_help(
            "NF104",
            &text.span,
            message,
            "a number and a unit",
            "for example `\"30s\"`, `\"5m\"`, `\"7d\"`; units are ms, s, m, h, d",
        );
    }
    parsed
}

/// A size with a unit, in bytes.
pub fn size(value: &Value<'_>) -> Option<u64> {
    let text = value.text()?;
    let parsed = with_unit(&text.value, SIZES).filter(|size| *size > 0);
    if parsed.is_none() {
        let message = format!("`{}` is not a size", text.value);
        value.sink().error_help(
            "NF104",
            &text.span,
            message,
            "a number and a unit",
            "for example `\"500KB\"` or `\"1MiB\"`",
        );
    }
    parsed
}

/// `"90s"` as a command line has it.
///
/// # Errors
/// What a duration looks like.
pub fn duration_of(text: &str) -> Result<Duration, String> {
    let example = || "a number and a unit (ms, s, m, h, d), for example `2h`".to_owned();
    with_unit(text, DURATIONS).map(Duration::from_millis).ok_or_else(example)
}

/// A duration with a unit, from its text.
pub fn parse_duration(text: &str) -> Option<Duration> {
    with_unit(text, DURATIONS).map(Duration::from_millis)
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = (text[..end].parse::<u64>().ok()?, text[end..].trim_start());
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_needs_a_unit() {
        assert_eq!(with_unit("200ms", DURATIONS), Some(200));
        assert_eq!(with_unit("7d", DURATIONS), Some(604_800_000));
        assert_eq!(with_unit("30", DURATIONS), None);
        assert_eq!(with_unit("-1s", DURATIONS), None);
        assert_eq!(with_unit("1.5h", DURATIONS), None);
        assert_eq!(with_unit("1MiB", SIZES), Some(1_048_576));
        assert_eq!(with_unit("99999999999GiB", SIZES), None);
    }
}
