//! Dates: the written format → year, month, day → ISO text.

use std::fmt::Write as _;

use chrono::{Datelike, NaiveDate};

/// A day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Day {
    year: i32,
    month: u32,
    day: u32,
}

impl Day {
    /// `None` for 31 February and the like.
    #[inline]
    pub(super) fn new(year: i32, month: u32, day: u32) -> Option<Self> {
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            _ => return None,
        };
        (1..=days).contains(&day).then_some(Self { year, month, day })
    }

    /// For comparisons.
    pub(super) fn date(self) -> Option<NaiveDate> {
        NaiveDate::from_ymd_opt(self.year, self.month, self.day)
    }

    /// Writes `"YYYY-MM-DD"` with the quotation marks.
    #[inline]
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let digit = |number: u32, power: u32| b'0' + (number / power % 10) as u8;
        let (year, month, day) = (self.year.unsigned_abs(), self.month, self.day);
        out.extend_from_slice(&[
            b'"',
            digit(year, 1000),
            digit(year, 100),
            digit(year, 10),
            digit(year, 1),
            b'-',
            digit(month, 10),
            digit(month, 1),
            b'-',
            digit(day, 10),
            digit(day, 1),
            b'"',
        ]);
    }
}

/// A compiled format.
#[derive(Clone, Debug)]
pub(super) enum DateFormat {
    /// `%d`, `%m`, `%Y` once each, and single characters between.
    Simple(Vec<Part>),
    /// Everything else, read by chrono.
    Other(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Day,
    Month,
    Year,
    Byte(u8),
}

impl Part {
    /// How many bytes of the text it takes.
    pub(super) const fn width(self) -> usize {
        match self {
            Self::Day | Self::Month => 2,
            Self::Year => 4,
            Self::Byte(_) => 1,
        }
    }
}

impl DateFormat {
    pub(super) fn new(format: &str) -> Self {
        Self::simple(format).map_or_else(|| Self::Other(format.to_owned()), Self::Simple)
    }

    fn simple(format: &str) -> Option<Vec<Part>> {
        let mut parts = Vec::new();
        let mut bytes = format.bytes();
        while let Some(byte) = bytes.next() {
            parts.push(match byte {
                b'%' => match bytes.next()? {
                    b'd' => Part::Day,
                    b'm' => Part::Month,
                    b'Y' => Part::Year,
                    _ => return None,
                },
                byte => Part::Byte(byte),
            });
        }
        let once = |part: Part| parts.iter().filter(|found| **found == part).count() == 1;
        (once(Part::Day) && once(Part::Month) && once(Part::Year)).then_some(parts)
    }

    /// Reads a whole text. `%d` and `%m` want two digits, `%Y` four; chrono is more lenient, so what it read must come out
    /// again as it was written.
    #[inline]
    pub(super) fn read(&self, text: &str) -> Option<Day> {
        match self {
            Self::Simple(parts) => read_simple(parts, text.as_bytes()),
            Self::Other(format) => {
                let date = NaiveDate::parse_from_str(text, format).ok()?;
                let mut again = String::new();
                // Fails for formats with a time of day.
                write!(again, "{}", date.format(format)).ok()?;
                let same = again.to_lowercase() == text.to_lowercase();
                (same && (0..=9999).contains(&date.year())).then(|| Day {
                    year: date.year(),
                    month: date.month(),
                    day: date.day(),
                })
            }
        }
    }
}

#[inline]
fn read_simple(parts: &[Part], mut rest: &[u8]) -> Option<Day> {
    let (mut year, mut month, mut day) = (0, 0, 0);
    for part in parts {
        let (field, behind) = rest.split_at_checked(part.width())?;
        match part {
            Part::Day => day = digits(field)?,
            Part::Month => month = digits(field)?,
            Part::Year => year = digits(field)?,
            Part::Byte(byte) if field == [*byte] => {}
            Part::Byte(_) => return None,
        }
        rest = behind;
    }
    if rest.is_empty() { Day::new(year as i32, month, day) } else { None }
}

#[inline]
fn digits(field: &[u8]) -> Option<u32> {
    field.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends with the first surprise")]
mod tests {
    use super::*;

    fn read(format: &str, text: &str) -> Option<String> {
        let mut out = Vec::new();
        DateFormat::new(format).read(text)?.write(&mut out);
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn dates_are_strict() {
        let iso = |text: &str| Some(format!("\"{text}\""));
        assert_eq!(read("%d.%m.%Y", "23.11.2026"), iso("2026-11-23"));
        assert_eq!(read("%d.%m.%Y", "29.02.2024"), iso("2024-02-29"));
        assert_eq!(read("%Y%m%d", "20261123"), iso("2026-11-23"));
        assert_eq!(read("%m/%d/%Y", "11/23/2026"), iso("2026-11-23"));
        assert_eq!(read("%d-%b-%Y", "23-Nov-2026"), iso("2026-11-23"));
        assert_eq!(read("%d-%b-%Y", "23-NOV-2026"), iso("2026-11-23"));
        assert_eq!(read("%d.%m.%y", "23.11.26"), iso("2026-11-23"));
        assert_eq!(read("%Y-%m-%d %H", "2026-11-23 07"), None);
        for text in [
            "31.02.2026",
            "29.02.2026",
            "29.02.1900",
            "00.01.2026",
            "01.13.2026",
            "1.2.2026",
            "01.02.26",
            " 01.02.2026",
            "01.02.2026 ",
            "01/02/2026",
            "",
            "01.02.20260",
            "+1.02.2026",
        ] {
            assert_eq!(read("%d.%m.%Y", text), None, "{text}");
        }
        assert_eq!(read("%d-%b-%Y", "3-Nov-2026"), None);
        assert_eq!(read("%d.%m.%y", "1.2.26"), None);
    }

    #[test]
    fn the_quick_calendar_is_that_of_chrono() {
        for year in [1600, 1900, 2000, 2023, 2024, 2100] {
            for month in 0..=13 {
                for day in 0..=32 {
                    assert_eq!(
                        Day::new(year, month, day).and_then(Day::date),
                        NaiveDate::from_ymd_opt(year, month, day)
                    );
                }
            }
        }
    }
}
