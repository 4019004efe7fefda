//! Exact decimals: text in the written notation → digits → text. Never a float.

use rust_decimal::Decimal;

/// Most digits, leading zeros aside.
pub(super) const MAX_DIGITS: usize = 28;
/// Digits that 64 bits hold for certain.
const SMALL: usize = 18;
/// Ten to the power of `SMALL`.
const POWER: u128 = 1_000_000_000_000_000_000;

/// How numbers are written.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    decimal: String,
    group: Option<String>,
    /// Both are single bytes (and `group` is 0 when there is none).
    bytes: Option<(u8, u8)>,
}

impl Marks {
    pub(super) fn new(decimal: char, group: Option<char>) -> Self {
        let simple = decimal.is_ascii() && group.is_none_or(|mark| mark.is_ascii());
        let bytes = simple.then(|| (decimal as u8, group.map_or(0, |mark| mark as u8)));
        Self { decimal: decimal.to_string(), group: group.map(String::from), bytes }
    }

    /// The notation of TOML.
    pub(super) fn plain() -> Self {
        Self::new('.', None)
    }

    /// "(decimal mark `,`, group mark `.`)" for messages.
    pub(super) fn words(&self) -> String {
        match &self.group {
            Some(group) => format!("(decimal mark `{}`, group mark `{group}`)", self.decimal),
            None => format!("(decimal mark `{}`, no group mark)", self.decimal),
        }
    }

    /// The decimal mark when it and the group mark are ASCII.
    pub(super) fn decimal_byte(&self) -> Option<u8> {
        self.bytes.map(|(decimal, _)| decimal)
    }

    /// What stands at the beginning of `rest`, and its length.
    #[inline]
    fn mark(&self, rest: &[u8]) -> Option<(Mark, usize)> {
        if let Some((decimal, group)) = self.bytes {
            return match rest.first() {
                Some(&byte) if byte == decimal => Some((Mark::Decimal, 1)),
                Some(&byte) if byte == group && group != 0 => Some((Mark::Group, 1)),
                _ => None,
            };
        }
        if rest.starts_with(self.decimal.as_bytes()) {
            return Some((Mark::Decimal, self.decimal.len()));
        }
        let group = self.group.as_deref()?;
        rest.starts_with(group.as_bytes()).then_some((Mark::Group, group.len()))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Decimal,
    Group,
}

/// Why a text is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// Not the notation.
    Notation,
    /// More than `MAX_DIGITS`.
    TooLong,
}

/// A decimal: sign, digits without leading zeros, and how many of them are decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    /// All digits as one integer.
    amount: u128,
    length: usize,
    decimals: usize,
    negative: bool,
}

impl Number {
    /// Reads `text`. A sign may lead; group marks stand only before exactly three digits, behind a first group of one to three
    /// digits, and never behind the decimal mark; there is a digit on both sides of the decimal mark.
    #[inline]
    pub(super) fn read(text: &str, marks: &Marks) -> Result<Self, Unread> {
        let (negative, mut rest) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let (mut length, mut decimals, mut small, mut amount) = (0_usize, 0_usize, 0_u64, 0_u128);
        // Digits since the beginning or the last mark.
        let (mut run, mut grouped, mut fraction) = (0_usize, false, false);
        while let [byte, behind @ ..] = rest {
            if byte.is_ascii_digit() {
                run += 1;
                decimals += usize::from(fraction);
                let digit = u64::from(byte - b'0');
                if length < SMALL {
                    small = small * 10 + digit;
                    amount = u128::from(small);
                } else if length < MAX_DIGITS {
                    amount = amount * 10 + u128::from(digit);
                }
                length += usize::from(amount != 0);
                rest = behind;
                continue;
            }
            let Some((mark, length)) = marks.mark(rest) else { return Err(Unread::Notation) };
            let whole_group = if grouped { run == 3 } else { run >= 1 && (mark == Mark::Decimal || run <= 3) };
            if fraction || !whole_group {
                return Err(Unread::Notation);
            }
            match mark {
                Mark::Decimal => fraction = true,
                Mark::Group => grouped = true,
            }
            run = 0;
            rest = rest.get(length..).unwrap_or_default();
        }
        if run == 0 || (grouped && !fraction && run != 3) {
            return Err(Unread::Notation);
        }
        if length > MAX_DIGITS || decimals > MAX_DIGITS {
            return Err(Unread::TooLong);
        }
        Ok(Self { amount, length, decimals, negative })
    }

    /// The number whose last `decimals` digits are decimals; `None` when it was written with a decimal mark.
    pub(super) fn implied(self, decimals: u32) -> Option<Self> {
        (self.decimals == 0).then_some(Self { decimals: decimals as usize, ..self })
    }

    /// The number below zero.
    pub(super) fn negated(self) -> Self {
        Self { negative: true, ..self }
    }

    /// Number of decimals as written.
    pub(super) fn decimals(&self) -> usize {
        self.decimals
    }

    /// Number of decimals without trailing zeros.
    pub(super) fn needed_decimals(&self) -> usize {
        let (mut amount, mut decimals) = (self.amount, self.decimals);
        while decimals > 0 && amount % 10 == 0 {
            amount /= 10;
            decimals -= 1;
        }
        decimals
    }

    /// Its digits, without leading zeros; none for zero.
    #[inline]
    fn digits<'a>(&self, buffer: &'a mut [u8; MAX_DIGITS]) -> &'a [u8] {
        let Some(digits) = buffer.get_mut(..self.length) else { return &[] };
        let mut wide = self.amount;
        let mut small = 0;
        for (at, digit) in digits.iter_mut().rev().enumerate() {
            if at % SMALL == 0 {
                // The next digits at once: divisions of 128 bits are slow.
                small = (wide % POWER) as u64;
                wide /= POWER;
            }
            *digit = b'0' + (small % 10) as u8;
            small /= 10;
        }
        digits
    }

    /// Writes it with the decimals as written, or with exactly `decimals` (which must be enough for `needed_decimals`).
    pub(super) fn write(&self, out: &mut Vec<u8>, decimals: Option<u32>) {
        let decimals = decimals.map_or(self.decimals, |decimals| decimals as usize);
        let mut buffer = [0; MAX_DIGITS];
        let all = self.digits(&mut buffer);
        let (whole, fraction) = all.split_at(self.length.saturating_sub(self.decimals));
        if self.negative && self.length > 0 {
            out.push(b'-');
        }
        out.extend_from_slice(if whole.is_empty() { b"0" } else { whole });
        if decimals > 0 {
            out.push(b'.');
            let leading = (self.decimals - fraction.len()).min(decimals);
            out.extend(std::iter::repeat_n(b'0', leading));
            let kept = fraction.get(..decimals - leading).unwrap_or(fraction);
            out.extend_from_slice(kept);
            out.extend(std::iter::repeat_n(b'0', decimals - leading - kept.len()));
        }
    }

    /// Writes it as an integer in minor units: times ten to the power of `units` (which must be enough for
    /// `needed_decimals`).
    pub(super) fn write_minor(&self, out: &mut Vec<u8>, units: u32) {
        let units = units as usize;
        if self.length == 0 {
            out.push(b'0');
            return;
        }
        if self.negative {
            out.push(b'-');
        }
        // Decimals beyond `units` are zeros.
        let kept = (self.length + units).saturating_sub(self.decimals);
        let mut buffer = [0; MAX_DIGITS];
        let digits = self.digits(&mut buffer);
        let digits = digits.get(..kept.min(self.length)).unwrap_or_default();
        out.extend_from_slice(digits);
        out.extend(std::iter::repeat_n(b'0', kept - digits.len()));
    }

    /// For comparisons.
    pub(super) fn decimal(&self) -> Decimal {
        let amount = self.amount as i128;
        let amount = if self.negative { -amount } else { amount };
        // Both are within the range of `Decimal`: at most 28 digits and 28 decimals.
        Decimal::try_from_i128_with_scale(amount, self.decimals as u32).unwrap_or(if self.negative {
            Decimal::MIN
        } else {
            Decimal::MAX
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends with the first surprise")]
mod tests {
    use super::*;

    fn read(text: &str, decimal: char, group: Option<char>) -> Result<String, Unread> {
        let number = Number::read(text, &Marks::new(decimal, group))?;
        let mut out = Vec::new();
        number.write(&mut out, None);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_notation_is_strict() {
        for (text, expected) in [
            ("0", "0"),
            ("007", "7"),
            ("+5", "5"),
            ("-5", "-5"),
            ("-0", "0"),
            ("-0.00", "0.00"),
            ("1.50", "1.50"),
            ("0.05", "0.05"),
            ("00.050", "0.050"),
            ("9007199254740993", "9007199254740993"),
            ("1234567890123456789012345678", "1234567890123456789012345678"),
            ("0.1234567890123456789012345678", "0.1234567890123456789012345678"),
            ("000000000000000000000000000000001", "1"),
        ] {
            assert_eq!(read(text, '.', None), Ok(expected.to_owned()), "{text}");
        }
        for text in [
            "", "+", "-", ".", "5.", ".5", "1e5", "1 000", " 5", "5 ", "1.2.3", "--5", "0x10", "1,0", "½", "٣", "NaN",
            "1_000",
        ] {
            assert_eq!(read(text, '.', None), Err(Unread::Notation), "{text}");
        }
        assert_eq!(read("12345678901234567890123456789", '.', None), Err(Unread::TooLong));
        assert_eq!(read("0.00000000000000000000000000001", '.', None), Err(Unread::TooLong));
    }

    #[test]
    fn group_marks_stand_only_before_three_digits() {
        for (text, expected) in [
            ("1.234,56", "1234.56"),
            ("12.345", "12345"),
            ("123.456.789", "123456789"),
            ("1234,5", "1234.5"),
            ("-1.000", "-1000"),
        ] {
            assert_eq!(read(text, ',', Some('.')), Ok(expected.to_owned()), "{text}");
        }
        for text in [
            "1.5",
            "1.50",
            "1.2345",
            "1234.567",
            ".123",
            "1..234",
            "1.234.5",
            "1,234.567",
            "1.",
            "1.234,",
            ",5",
            "1.23,4",
            "12.34.567",
        ] {
            assert_eq!(read(text, ',', Some('.')), Err(Unread::Notation), "{text}");
        }
        assert_eq!(read("1\u{202f}234,5", ',', Some('\u{202f}')), Ok("1234.5".to_owned()));
        assert_eq!(read("1\u{a0}234,5", ',', Some('\u{202f}')), Err(Unread::Notation));
    }

    #[test]
    fn decimals_pad_and_minor_units_shift() {
        let number = |text: &str| Number::read(text, &Marks::plain()).unwrap();
        let fixed = |text: &str, decimals| {
            let mut out = Vec::new();
            number(text).write(&mut out, Some(decimals));
            String::from_utf8(out).unwrap()
        };
        let minor = |text: &str, units| {
            let mut out = Vec::new();
            number(text).write_minor(&mut out, units);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(fixed("12", 2), "12.00");
        assert_eq!(fixed("12.5000", 2), "12.50");
        assert_eq!(fixed("0.05", 3), "0.050");
        assert_eq!(fixed("0.0500", 2), "0.05");
        assert_eq!(fixed("0.000", 2), "0.00");
        assert_eq!(fixed("0.000", 0), "0");
        assert_eq!(fixed("7.0", 0), "7");
        assert_eq!(minor("12.34", 2), "1234");
        assert_eq!(minor("12", 2), "1200");
        assert_eq!(minor("12.3", 2), "1230");
        assert_eq!(minor("0.05", 2), "5");
        assert_eq!(minor("-0.050", 2), "-5");
        assert_eq!(minor("0.00", 2), "0");
        assert_eq!(minor("-0", 2), "0");
        assert_eq!(minor("100.0000", 2), "10000");
        assert_eq!(
            [
                number("1.500").needed_decimals(),
                number("0.0").needed_decimals(),
                number("0.0010").needed_decimals(),
                number("100").needed_decimals()
            ],
            [1, 0, 3, 0]
        );
        assert_eq!(number("-12.340").decimal(), "-12.34".parse().unwrap());
        let mut out = Vec::new();
        number("0000000002500").implied(2).unwrap().negated().write(&mut out, None);
        assert_eq!(String::from_utf8(out).unwrap(), "-25.00");
        assert_eq!(number("1.5").implied(2), None);
    }
}
