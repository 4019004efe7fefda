//! Times of day, and dates with a time of day: the written format → ISO text. Nothing is shifted: a local time stays the local
//! time that was written, and an offset stays the offset.

use std::fmt::Write as _;

use chrono::format::{Item, Parsed, StrftimeItems, parse};
use chrono::{DateTime, FixedOffset, NaiveDateTime, NaiveTime};

/// A date with a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// Without an offset.
    Local(NaiveDateTime),
    /// With one.
    Offset(DateTime<FixedOffset>),
}

impl Moment {
    /// Reads a whole text. Fields have as many digits as the format writes, so `1.2.2026` is none for `%d.%m.%Y`.
    pub(super) fn read(text: &str, format: &str) -> Option<Self> {
        let zero;
        let text = match text.strip_suffix(['Z', 'z']) {
            Some(head) if reads_offset(format) => {
                zero = format!("{head}+00:00");
                &zero
            }
            _ => text,
        };
        let parsed = parsed(text, format)?;
        if reads_offset(format) {
            return parsed.to_datetime().ok().map(Self::Offset).filter(|moment| same(text, &moment.written(format)));
        }
        let moment = Self::Local(parsed.to_naive_datetime_with_offset(0).ok()?);
        same(text, &moment.written(format)).then_some(moment)
    }

    fn written(self, format: &str) -> String {
        let mut text = String::new();
        // A format that this value cannot fill was refused when the mapping was read.
        let _ = match self {
            Self::Local(moment) => write!(text, "{}", moment.format(format)),
            Self::Offset(moment) => write!(text, "{}", moment.format(format)),
        };
        text
    }

    /// `2026-11-23T14:30:00`, with its offset if it has one, and fractions as far as there are any.
    pub(super) fn iso(self) -> String {
        match self {
            Self::Local(moment) => moment.format("%Y-%m-%dT%H:%M:%S%.f").to_string(),
            Self::Offset(moment) => moment.format("%Y-%m-%dT%H:%M:%S%.f%:z").to_string(),
        }
    }

    /// For comparisons. Two moments with an offset compare as instants, others as they are written.
    pub(super) fn is_before(self, other: Self) -> bool {
        match (self, other) {
            (Self::Offset(left), Self::Offset(right)) => left < right,
            (left, right) => left.local() < right.local(),
        }
    }

    /// Its local time.
    pub(super) fn local(self) -> NaiveDateTime {
        match self {
            Self::Local(moment) => moment,
            Self::Offset(moment) => moment.naive_local(),
        }
    }
}

/// True when the format reads this text as a date with a time of day.
pub fn reads(text: &str, format: &str) -> bool {
    Moment::read(text, format).is_some()
}

/// True when the format reads this text as a time of day.
pub fn reads_time(text: &str, format: &str) -> bool {
    read_time(text, format).is_some()
}

/// Reads a time of day.
pub(super) fn read_time(text: &str, format: &str) -> Option<NaiveTime> {
    let time = parsed(text, format)?.to_naive_time().ok()?;
    let mut again = String::new();
    write!(again, "{}", time.format(format)).ok()?;
    same(text, &again).then_some(time)
}

/// `14:30:00`, with fractions as far as there are any.
pub(super) fn iso_time(time: NaiveTime) -> String {
    time.format("%H:%M:%S%.f").to_string()
}

fn parsed(text: &str, format: &str) -> Option<Parsed> {
    let mut parsed = Parsed::new();
    parse(&mut parsed, text, StrftimeItems::new(format)).ok()?;
    Some(parsed)
}

/// True when the format has a word for the offset.
pub fn reads_offset(format: &str) -> bool {
    use chrono::format::Fixed;
    StrftimeItems::new(format).any(|item| {
        matches!(
            item,
            Item::Fixed(
                Fixed::TimezoneOffset
                    | Fixed::TimezoneOffsetColon
                    | Fixed::TimezoneOffsetColonZ
                    | Fixed::TimezoneOffsetDoubleColon
                    | Fixed::TimezoneOffsetTripleColon
                    | Fixed::TimezoneOffsetZ
                    | Fixed::RFC3339
                    | Fixed::RFC2822
            )
        ) || matches!(item, Item::Fixed(Fixed::Internal(_)))
    })
}

/// What was read must come out as it was written; the colon of an offset may be there or not.
fn same(text: &str, again: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().replace(':', "");
    text.eq_ignore_ascii_case(again) || plain(text) == plain(again)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_keep_their_offset_and_are_strict() {
        let read = |text: &str, format: &str| Moment::read(text, format).map(Moment::iso);
        let zoned = "%Y-%m-%dT%H:%M:%S%z";
        assert_eq!(read("2026-11-23T14:14:00+0100", zoned).as_deref(), Some("2026-11-23T14:14:00+01:00"));
        assert_eq!(read("2026-11-23T14:14:00Z", zoned).as_deref(), Some("2026-11-23T14:14:00+00:00"));
        assert_eq!(read("2026-11-23T14:14:00", zoned), None);
        assert_eq!(read("23.11.2026 07:05", "%d.%m.%Y %H:%M").as_deref(), Some("2026-11-23T07:05:00"));
        // It does not exist in Copenhagen; nobody said that it is there, and it is sent as it was written.
        assert_eq!(read("28.03.2027 02:15", "%d.%m.%Y %H:%M").as_deref(), Some("2027-03-28T02:15:00"));
        for text in ["3.11.2026 07:05", "23.11.2026 7:05", "31.02.2026 07:05", "23.11.2026 24:00", "23.11.2026 07:05 "]
        {
            assert_eq!(read(text, "%d.%m.%Y %H:%M"), None, "{text}");
        }
    }

    #[test]
    fn moments_with_offsets_compare_as_instants() {
        let read = |text: &str| Moment::read(text, "%Y-%m-%dT%H:%M:%S%z").unwrap();
        assert!(read("2026-11-23T14:00:00+0200").is_before(read("2026-11-23T13:30:00+0100")));
    }

    #[test]
    fn times_of_day() {
        assert_eq!(read_time("07:05", "%H:%M").map(iso_time).as_deref(), Some("07:05:00"));
        assert_eq!(read_time("7:05", "%H:%M"), None);
        assert_eq!(read_time("24:00", "%H:%M"), None);
        assert_eq!(read_time("07:05 PM", "%I:%M %p").map(iso_time).as_deref(), Some("19:05:00"));
    }
}
