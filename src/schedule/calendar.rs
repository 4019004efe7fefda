//! Which days count: weekends and holidays.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, Days, NaiveDate, Weekday};

/// The days of an organisation, a bank, a country. Without holidays it is Monday to Friday.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Its name: that of its file. Several that are taken together have theirs joined by `+`.
    pub name: String,
    /// What it is, for people.
    pub title: String,
    /// Days of the week that do not count, from Monday = 0.
    weekend: BTreeSet<u32>,
    /// Days that do not count, with their names.
    holidays: BTreeMap<NaiveDate, String>,
}

/// Why a day does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed<'a> {
    /// The week ends.
    Weekend,
    /// This holiday.
    Holiday(&'a str),
}

impl std::fmt::Display for Closed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Weekend => "weekend",
            Self::Holiday(name) => name,
        })
    }
}

impl Default for Calendar {
    fn default() -> Self {
        Self::new("", "Monday to Friday", [Weekday::Sat, Weekday::Sun], BTreeMap::new())
    }
}

impl Calendar {
    /// A calendar. At least one day of the week must count; a `weekend` of seven days is taken as none.
    pub fn new(
        name: impl Into<String>,
        title: impl Into<String>,
        weekend: impl IntoIterator<Item = Weekday>,
        holidays: BTreeMap<NaiveDate, String>,
    ) -> Self {
        let weekend: BTreeSet<u32> = weekend.into_iter().map(|day| day.num_days_from_monday()).collect();
        let weekend = if weekend.len() < 7 { weekend } else { BTreeSet::new() };
        Self { name: name.into(), title: title.into(), weekend, holidays }
    }

    /// The days that count in both: for a payment between two countries, say.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.name = format!("{}+{}", self.name, other.name);
        self.title = format!("{} and {}", self.title, other.title);
        self.weekend.extend(other.weekend);
        for (day, name) in other.holidays {
            self.holidays.entry(day).or_insert(name);
        }
        if self.weekend.len() == 7 {
            self.weekend.clear();
        }
        self
    }

    /// Why a day does not count; `None`: it does.
    pub fn closed(&self, day: NaiveDate) -> Option<Closed<'_>> {
        match self.holidays.get(&day) {
            Some(name) => Some(Closed::Holiday(name)),
            None => self.weekend.contains(&day.weekday().num_days_from_monday()).then_some(Closed::Weekend),
        }
    }

    /// True when the day counts.
    pub fn is_business_day(&self, day: NaiveDate) -> bool {
        self.closed(day).is_none()
    }

    /// The first day after this one that counts.
    pub fn next_business_day(&self, day: NaiveDate) -> NaiveDate {
        self.walk(day, |day| day.checked_add_days(Days::new(1)))
    }

    /// The last day before this one that counts.
    pub fn previous_business_day(&self, day: NaiveDate) -> NaiveDate {
        self.walk(day, |day| day.checked_sub_days(Days::new(1)))
    }

    /// Business days after `from`, up to and including `to`: the age in business days of what happened on `from`. Negative
    /// when `to` is the earlier.
    pub fn business_days(&self, from: NaiveDate, to: NaiveDate) -> i64 {
        if to < from {
            return -self.business_days(to, from);
        }
        let days = from.iter_days().skip(1).take_while(|day| *day <= to);
        i64::try_from(days.filter(|day| self.is_business_day(*day)).count()).unwrap_or(i64::MAX)
    }

    /// The last day that has a name here: beyond it nobody has written holidays down.
    pub fn last_holiday(&self) -> Option<NaiveDate> {
        self.holidays.keys().next_back().copied()
    }

    /// Every holiday, in order.
    pub fn holidays(&self) -> impl Iterator<Item = (NaiveDate, &str)> {
        self.holidays.iter().map(|(day, name)| (*day, name.as_str()))
    }

    /// A year of holidays without a break is a mistake of the file; the day itself is then as good as any.
    fn walk(&self, day: NaiveDate, step: impl Fn(NaiveDate) -> Option<NaiveDate>) -> NaiveDate {
        let mut candidate = day;
        for _ in 0..366 {
            let Some(next) = step(candidate) else { return day };
            candidate = next;
            if self.is_business_day(candidate) {
                return candidate;
            }
        }
        day
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn danish() -> Calendar {
        let holidays = [("2026-12-24", "Christmas Eve"), ("2026-12-25", "Christmas Day")];
        let holidays = holidays.map(|(at, name)| (day(at), name.to_owned())).into();
        Calendar::new("dk", "Denmark", [Weekday::Sat, Weekday::Sun], holidays)
    }

    #[test]
    fn a_holiday_has_a_name_and_a_weekend_has_none() {
        let calendar = danish();
        assert_eq!(calendar.closed(day("2026-12-24")).map(|why| why.to_string()), Some("Christmas Eve".to_owned()));
        assert_eq!(calendar.closed(day("2026-12-26")), Some(Closed::Weekend));
        assert_eq!(calendar.closed(day("2026-12-28")), None);
    }

    #[test]
    fn business_days_are_counted_over_christmas() {
        let calendar = danish();
        assert_eq!(calendar.next_business_day(day("2026-12-23")), day("2026-12-28"));
        assert_eq!(calendar.previous_business_day(day("2026-12-28")), day("2026-12-23"));
        assert_eq!(calendar.business_days(day("2026-12-23"), day("2026-12-29")), 2);
        assert_eq!(calendar.business_days(day("2026-12-29"), day("2026-12-23")), -2);
        assert_eq!(calendar.business_days(day("2026-12-23"), day("2026-12-23")), 0);
    }

    #[test]
    fn two_calendars_count_the_days_of_both() {
        let gulf = Calendar::new("ae", "Gulf", [Weekday::Fri], [(day("2026-12-28"), "Closed".to_owned())].into());
        let both = danish().and(gulf);
        assert_eq!(both.name, "dk+ae");
        assert_eq!(both.next_business_day(day("2026-12-24")), day("2026-12-29"));
        assert!(!both.is_business_day(day("2027-01-01")));
    }
}
