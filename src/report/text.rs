//! Small words for people: counts, sizes, columns.

use rust_decimal::Decimal;

/// `1 file`, `2 files`.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 {
        ""
    } else if noun.ends_with("ch") {
        "es"
    } else {
        "s"
    };
    format!("{} {noun}{plural}", grouped(count))
}

/// Digits in groups of three, with a thin space as in every number of a report: `8 214`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// An exact amount with its digits in groups, with `scale` decimals: `−1 204.50`.
pub fn amount(number: Decimal, scale: u32) -> String {
    let mut number = number;
    number.rescale(scale);
    let text = number.abs().to_string();
    let (whole, decimals) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), grouped);
    let sign = if number.is_sign_negative() && !number.is_zero() { "−" } else { "" };
    decimals.map_or_else(|| format!("{sign}{whole}"), |decimals| format!("{sign}{whole}.{decimals}"))
}

/// `812 kB`, `5.0 GB`: decimal units, as transfer tools show them.
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    match UNITS.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => {
            let tenths = bytes / (unit / 10);
            if tenths >= 100 {
                format!("{} {name}", tenths / 10)
            } else {
                format!("{}.{} {name}", tenths / 10, tenths % 10)
            }
        }
        None => counted(bytes, "byte"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends with the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(counted(1, "file"), "1 file");
        assert_eq!(counted(8214, "row"), "8 214 rows");
        assert_eq!(counted(2, "batch"), "2 batches");
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_980_061), "1 980 061");
        let shown = |text: &str, scale| amount(text.parse().unwrap(), scale);
        assert_eq!(shown("-1204.5", 2), "−1 204.50");
        assert_eq!((shown("-0.00", 2), shown("841471", 0)), ("0.00".to_owned(), "841 471".to_owned()));
        assert_eq!(size(999), "999 bytes");
        assert_eq!(size(8_123), "8.1 kB");
        assert_eq!(size(266_000_000), "266 MB");
    }
}
