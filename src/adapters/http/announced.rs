//! What an API says about its own end: the `Deprecation` (RFC 9745) and `Sunset` (RFC 8594) headers of its answers.

use std::collections::BTreeSet;
use std::sync::Mutex;

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;

/// Longest text of a header that is repeated to people.
const LONGEST: usize = 60;

/// Every announcement once.
#[derive(Default)]
pub(super) struct Announced(Mutex<BTreeSet<String>>);

impl Announced {
    /// Takes note of an answer's headers.
    pub(super) fn hear(&self, place: &str, head: &HeaderMap) {
        let text = |name: &str| head.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let (deprecated, sunset) = (text("deprecation").filter(|text| *text != "false"), text("sunset"));
        if deprecated.is_none() && sunset.is_none() {
            return;
        }
        let mut words = Vec::new();
        words.extend(deprecated.map(|text| match day(text) {
            Some(day) => format!("is deprecated since {day}"),
            None => "is deprecated".to_owned(),
        }));
        words.extend(sunset.map(|text| match day(text) {
            Some(day) => format!("ends on {day}"),
            None => format!("ends (`{}`)", text.chars().take(LONGEST).collect::<String>()),
        }));
        let line = format!("{place} says that this API {}: ask its owner what to move to", words.join(" and "));
        if let Ok(mut known) = self.0.lock() {
            known.insert(line);
        }
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().map(|known| known.iter().cloned().collect()).unwrap_or_default()
    }
}

/// `@1688169599` or an HTTP date.
fn day(text: &str) -> Option<String> {
    let moment = match text.strip_prefix('@') {
        Some(seconds) => DateTime::from_timestamp(seconds.parse().ok()?, 0)?,
        None => httpdate::parse_http_date(text).ok().map(DateTime::<Utc>::from)?,
    };
    Some(moment.format("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn an_announced_end_is_told_once_with_its_day() {
        let announced = Announced::default();
        let hear = |headers: &[(&'static str, &'static str)]| {
            let head = headers
                .iter()
                .map(|(name, value)| (reqwest::header::HeaderName::from_static(name), HeaderValue::from_static(value)));
            announced.hear("https://api", &head.collect());
        };
        hear(&[("deprecation", "@1688169599"), ("sunset", "Thu, 31 Dec 2026 23:59:59 GMT")]);
        hear(&[("deprecation", "@1688169599"), ("sunset", "Thu, 31 Dec 2026 23:59:59 GMT")]);
        hear(&[("content-type", "text/plain")]);
        hear(&[("deprecation", "true")]);
        let expected = [
            "https://api says that this API is deprecated since 2023-06-30 and ends on 2026-12-31: ask its owner what to move to",
            "https://api says that this API is deprecated: ask its owner what to move to",
        ];
        assert_eq!(announced.all(), expected);
    }
}
