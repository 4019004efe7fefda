//! The words of a calendar.

use super::Shape::{SomeOf, Text};
use super::{Kind, Place, Word, place, word};

/// The tables of a calendar.
pub const PLACES: &[Place] = &[
    place("calendar", Kind::One, "What it is called, and which days of the week do not count."),
    place("holidays", Kind::Free, "Days that do not count: `2026-12-25 = \"Christmas Day\"`."),
];

/// Days of the week.
pub const DAYS: &[&str] = &["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];

/// Every word, in the order of the reference.
pub const WORDS: &[Word] = &[
    word("calendar", "name", Text, "The name of the calendar: that of its file."),
    word("calendar", "title", Text, "What it is for, in the words of the organisation."),
    word("calendar", "weekend", SomeOf(DAYS), "The days of the week that do not count."),
];
