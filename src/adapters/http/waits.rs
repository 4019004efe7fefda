//! What the headers of an answer ask us to wait: `Retry-After`, and rate limits that are used up.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// The longest wait that a header can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// A number above this is an instant in Unix seconds, and not a number of seconds.
const EPOCH: u64 = 1_000_000_000;

/// `Retry-After`: seconds, or one of the three forms of an HTTP date (counted from the answer's own `Date`, so that a wrong
/// clock on either side does no harm). Nonsense is ignored, of several the longest counts, and an hour is the most.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let read = |value: &str| match value.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        // More digits than fit are still a long wait; a sign is nonsense.
        Err(_) if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => Some(LONGEST_WAIT),
        Err(_) => {
            let at = httpdate::parse_http_date(value).ok()?;
            Some(at.duration_since(date(headers)?).unwrap_or_default())
        }
    };
    let mut longest = None;
    for value in headers.get_all(RETRY_AFTER) {
        let value = value.to_str().unwrap_or_default().trim();
        let wait = read(value).map(|wait| wait.min(LONGEST_WAIT));
        if wait.is_none() {
            tracing::warn!("Retry-After `{}` cannot be read and is ignored", value.escape_default());
        }
        longest = longest.max(wait);
    }
    longest
}

/// How long until requests are granted again, when the answer says that none is left: `RateLimit` of any draft, and the older
/// `X-RateLimit-…`. Nonsense is ignored; an hour is the most.
pub(super) fn exhausted(headers: &HeaderMap) -> Option<Duration> {
    let policies = headers.get_all("ratelimit").iter().filter_map(|value| value.to_str().ok()).filter_map(used_up);
    let pairs = ["ratelimit", "x-ratelimit", "x-rate-limit"].into_iter().filter_map(|prefix| {
        let number = |name: &str| headers.get(format!("{prefix}-{name}"))?.to_str().ok()?.trim().parse().ok();
        let (left, reset): (u64, u64) = (number("remaining")?, number("reset")?);
        (left == 0).then_some(reset)
    });
    policies.chain(pairs).filter_map(|reset| until(reset, headers)).max().filter(|wait| !wait.is_zero())
}

/// The reset of a used-up policy: `"default";r=0;t=30`, or `limit=100, remaining=0, reset=30` in older drafts.
fn used_up(value: &str) -> Option<u64> {
    let (mut of_list, mut longest) = (Policy::default(), None);
    for item in value.split(',') {
        let mut of_item = Policy::default();
        for parameter in item.split(';') {
            let Some((name, number)) = parameter.split_once('=') else { continue };
            let number = number.trim().parse().ok();
            match name.trim() {
                "r" => of_item.left = number,
                "t" => of_item.reset = number,
                "remaining" => of_list.left = number,
                "reset" => of_list.reset = number,
                _ => {}
            }
        }
        longest = longest.max(of_item.used_up());
    }
    longest.max(of_list.used_up())
}

#[derive(Default)]
struct Policy {
    left: Option<u64>,
    reset: Option<u64>,
}

impl Policy {
    fn used_up(&self) -> Option<u64> {
        self.reset.filter(|_| self.left == Some(0))
    }
}

fn until(reset: u64, headers: &HeaderMap) -> Option<Duration> {
    if reset < EPOCH {
        return Some(Duration::from_secs(reset).min(LONGEST_WAIT));
    }
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(reset))?;
    Some(at.duration_since(date(headers)?).unwrap_or_default().min(LONGEST_WAIT))
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn answer(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(DATE, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn wait(retry_after_text: &str) -> Option<Duration> {
        retry_after(&answer(&[("retry-after", retry_after_text)]))
    }

    fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn e04_retry_after_is_read_in_every_form_and_counted_from_the_answers_own_clock() {
        assert_eq!(wait("30"), seconds(30));
        assert_eq!(wait("Sun, 06 Nov 1994 08:50:07 GMT"), seconds(30));
        assert_eq!(wait("Sunday, 06-Nov-94 08:50:07 GMT"), seconds(30));
        assert_eq!(wait("Sun Nov  6 08:50:07 1994"), seconds(30));
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT"), seconds(0));
        let mut without_date = answer(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")]);
        without_date.remove(DATE);
        assert_eq!(retry_after(&without_date), None);
    }

    #[test]
    fn e05_nonsense_in_retry_after_is_ignored_and_an_hour_is_the_most() {
        for nonsense in ["-1", "soon", "", "1.5", "Sun, 99 Nov 1994 08:50:07 GMT", "1e9"] {
            assert_eq!(wait(nonsense), None, "{nonsense}");
        }
        assert_eq!(wait("99999999999"), seconds(3600));
        assert_eq!(wait("99999999999999999999999999"), seconds(3600));
        assert_eq!(wait("Tue, 06 Dec 1994 08:50:07 GMT"), seconds(3600));
        assert_eq!(retry_after(&answer(&[("retry-after", "5"), ("retry-after", "20")])), seconds(20));
        assert_eq!(retry_after(&answer(&[("retry-after", "x"), ("retry-after", "20")])), seconds(20));
    }

    #[test]
    fn rate_limits_are_read_in_every_draft_and_count_only_when_none_is_left() {
        let exhausted = |pairs: &[(&'static str, &str)]| exhausted(&answer(pairs));
        assert_eq!(exhausted(&[("ratelimit", "\"default\";r=0;t=30")]), seconds(30));
        assert_eq!(exhausted(&[("ratelimit", "\"a\";r=4;t=1, \"b\";r=0;t=20;pk=:dsJDNv:")]), seconds(20));
        assert_eq!(exhausted(&[("ratelimit", "limit=100, remaining=0, reset=7")]), seconds(7));
        assert_eq!(exhausted(&[("ratelimit-remaining", "0"), ("ratelimit-reset", "9")]), seconds(9));
        assert_eq!(exhausted(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "784111787")]), seconds(3600));
        assert_eq!(exhausted(&[("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", "9999")]), seconds(3600));
        assert_eq!(exhausted(&[("ratelimit", "\"default\";r=1;t=30")]), None);
        assert_eq!(exhausted(&[("ratelimit", "r=;t=x;;,=")]), None);
        assert_eq!(exhausted(&[("x-ratelimit-remaining", "-1"), ("x-ratelimit-reset", "9")]), None);
        assert_eq!(exhausted(&[("x-ratelimit-remaining", "0")]), None);
    }

    #[test]
    fn a_reset_that_is_an_instant_is_counted_from_the_answers_own_clock() {
        let mut headers = answer(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1700000090")]);
        headers.insert(DATE, HeaderValue::from_static("Tue, 14 Nov 2023 22:14:00 GMT"));
        assert_eq!(exhausted(&headers), seconds(50));
    }
}
