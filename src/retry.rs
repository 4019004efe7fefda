//! The only place that decides whether a request is made again.
//!
//! Pure: a failure, what is known of the batch, and a jitter between 0 and 1 go in; a decision comes out.

use std::time::Duration;

use crate::domain::delivery::{Failure, FailureKind};
use crate::domain::job::{OnUnanswered, RetryRule};

/// What the decision needs to know of the batch and its job.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// `[target] retry`.
    pub rule: &'a RetryRule,
    /// `[target] on_unanswered`.
    pub on_unanswered: OnUnanswered,
    /// `idempotency.window`; `None` when no key is sent.
    pub window: Option<Duration>,
    /// Attempts for this batch since this process took it up, the failed one included.
    pub attempts: u32,
    /// Time since the batch was first attempted, by any process.
    pub age: Duration,
    /// No batch of this run was answered yet: a wrong path shows here.
    pub first_of_run: bool,
}

/// What the failed attempt proves about the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// The target did not take them: they stay what they are.
    NotTaken,
    /// It may have: they are unanswered.
    Unknown,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Again, with the same key and body, after this wait.
    Again(Known, Duration),
    /// Not again by itself in this run: a later `run` or `resume` tries (or, unanswered without a key, a person decides).
    GiveUp(Known),
    /// A final no to every record of the batch.
    Refused,
    /// Nothing more may be sent in this run: what failed here would fail for every batch.
    StopRun(Known),
}

/// Longest wait that a `Retry-After` can ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// What a failure is, before attempts and windows are looked at.
enum Class {
    NotTaken,
    Unknown,
    Refused,
    Stop(Known),
}

/// Decides what follows a failed attempt. `jitter` is uniform in `0.0..1.0`.
pub fn decide(failure: &Failure, situation: &Situation<'_>, jitter: f64) -> Decision {
    match classify(failure.kind, situation) {
        Class::Refused => Decision::Refused,
        Class::Stop(known) => Decision::StopRun(known),
        Class::NotTaken if may_repeat(failure.kind, situation) => {
            Decision::Again(Known::NotTaken, wait(failure, situation, jitter))
        }
        Class::NotTaken => Decision::GiveUp(Known::NotTaken),
        Class::Unknown => {
            let wait = wait(failure, situation, jitter);
            let resend = situation.on_unanswered == OnUnanswered::Resend
                && situation.window.is_some_and(|window| situation.age.saturating_add(wait) <= window)
                && may_repeat(failure.kind, situation);
            if resend { Decision::Again(Known::Unknown, wait) } else { Decision::GiveUp(Known::Unknown) }
        }
    }
}

/// Whether a batch whose records are unanswered may be sent again by itself at the start of a `run` or `resume`.
pub fn may_resend(window: Option<Duration>, on_unanswered: OnUnanswered, age: Duration) -> bool {
    on_unanswered == OnUnanswered::Resend && window.is_some_and(|window| age <= window)
}

fn classify(kind: FailureKind, situation: &Situation<'_>) -> Class {
    match kind {
        FailureKind::NotSent | FailureKind::LoginExpired => Class::NotTaken,
        FailureKind::Login => Class::Stop(Known::NotTaken),
        // What was taken under this key, and by whom, is for a person to find out.
        FailureKind::KeyReused => Class::Stop(Known::Unknown),
        FailureKind::OutcomeUnknown => Class::Unknown,
        // A login page or half a document does not mend itself, and would come for every batch.
        FailureKind::Unreadable => Class::Stop(Known::Unknown),
        FailureKind::Status(status) => classify_status(status, situation),
    }
}

fn classify_status(status: u16, situation: &Situation<'_>) -> Class {
    let asked_for = situation.rule.on.as_ref().is_some_and(|on| on.statuses.contains(&status));
    match status {
        408 | 421 | 425 | 429 | 503 => Class::NotTaken,
        409 if situation.window.is_some() => Class::NotTaken,
        401 | 403 => Class::Stop(Known::NotTaken),
        404 | 405 if situation.first_of_run => Class::Stop(Known::NotTaken),
        // A redirect is never followed: credentials and data stay with the host that was named.
        300..=399 => Class::Stop(Known::NotTaken),
        501 | 505 => Class::Refused,
        500.. => Class::Unknown,
        400..=499 if asked_for => Class::NotTaken,
        400..=499 => Class::Refused,
        // An answer below 300 that the job does not count as accepted proves nothing.
        _ => Class::Stop(Known::Unknown),
    }
}

fn may_repeat(kind: FailureKind, situation: &Situation<'_>) -> bool {
    let listed = match (&situation.rule.on, kind) {
        (Some(on), FailureKind::Status(status)) => on.statuses.contains(&status),
        (Some(on), FailureKind::OutcomeUnknown) => on.timeout,
        _ => true,
    };
    listed && situation.attempts < situation.rule.attempts
}

/// How long everybody on the connection waits after a failure, if at all: 429 is about all of us, and so is a 503 that says
/// how long.
pub fn pauses_connection(failure: &Failure, decision: Decision) -> Option<Duration> {
    let asked = failure.retry_after_ms.map(|ms| Duration::from_millis(ms).min(LONGEST_RETRY_AFTER));
    match (failure.kind, decision) {
        (FailureKind::Status(429), Decision::Again(_, wait)) => Some(asked.unwrap_or(wait)),
        (FailureKind::Status(429 | 503), _) => asked,
        _ => None,
    }
}

/// Full jitter under an exponential cap; `Retry-After` wins over both.
fn wait(failure: &Failure, situation: &Situation<'_>, jitter: f64) -> Duration {
    if failure.kind == FailureKind::LoginExpired {
        return Duration::ZERO;
    }
    if let Some(asked) = failure.retry_after_ms {
        return Duration::from_millis(asked).min(LONGEST_RETRY_AFTER);
    }
    let doublings = situation.attempts.saturating_sub(1).min(30);
    let cap = situation.rule.first_wait.saturating_mul(1 << doublings).min(situation.rule.longest_wait);
    cap.mul_f64(jitter.clamp(0.0, 1.0))
}

/// One line of the table that people read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRow {
    /// What happened.
    pub failure: String,
    /// What follows when a key is sent and its window is open.
    pub with_key: &'static str,
    /// What follows without one.
    pub without_key: &'static str,
}

/// What `decide` says of every kind of failure, with the defaults.
pub fn table() -> Vec<TableRow> {
    let kinds = [
        (FailureKind::NotSent, "nothing was sent (DNS, connect, TLS)".to_owned()),
        (FailureKind::Login, "the login is refused".to_owned()),
        (FailureKind::LoginExpired, "401 to a token that may be old".to_owned()),
        (FailureKind::KeyReused, "the key is known with another body".to_owned()),
        (FailureKind::OutcomeUnknown, "timeout or reset after the first byte".to_owned()),
        (FailureKind::Unreadable, "an answer that cannot be read".to_owned()),
    ];
    let statuses = [301, 400, 401, 403, 404, 408, 409, 410, 415, 421, 422, 425, 429, 500, 501, 502, 503, 504, 505];
    let first = (FailureKind::Status(404), "404 or 405 to the first batch of a run".to_owned(), true);
    let kinds = kinds.map(|(kind, failure)| (kind, failure, false));
    let statuses = statuses.map(|status| (FailureKind::Status(status), format!("status {status}"), false));
    let row = |(kind, failure, first_of_run)| TableRow {
        failure,
        with_key: words(kind, true, first_of_run),
        without_key: words(kind, false, first_of_run),
    };
    kinds.into_iter().chain([first]).chain(statuses).map(row).collect()
}

fn words(kind: FailureKind, key: bool, first_of_run: bool) -> &'static str {
    let rule = RetryRule::default();
    let situation = Situation {
        rule: &rule,
        on_unanswered: if key { OnUnanswered::Resend } else { OnUnanswered::Hold },
        window: key.then_some(Duration::from_secs(86_400)),
        attempts: 1,
        age: Duration::ZERO,
        first_of_run,
    };
    match decide(&Failure { kind, retry_after_ms: None, message: String::new() }, &situation, 0.5) {
        Decision::Again(Known::NotTaken, _) => "again",
        Decision::Again(Known::Unknown, _) => "unanswered, again with the same key",
        Decision::GiveUp(Known::NotTaken) => "not in this run",
        Decision::GiveUp(Known::Unknown) => "unanswered, a person decides",
        Decision::Refused => "refused",
        Decision::StopRun(Known::NotTaken) => "the run stops",
        Decision::StopRun(Known::Unknown) => "unanswered, the run stops",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::RetryOn;

    const DAY: Duration = Duration::from_secs(86_400);

    fn situation(rule: &RetryRule) -> Situation<'_> {
        Situation {
            rule,
            on_unanswered: OnUnanswered::Resend,
            window: Some(DAY),
            attempts: 1,
            age: Duration::ZERO,
            first_of_run: false,
        }
    }

    fn without_key(rule: &RetryRule) -> Situation<'_> {
        Situation { on_unanswered: OnUnanswered::Hold, window: None, ..situation(rule) }
    }

    fn failed(kind: FailureKind) -> Failure {
        Failure { kind, message: String::new(), retry_after_ms: None }
    }

    fn after(status: u16, situation: &Situation<'_>) -> Decision {
        decide(&failed(FailureKind::Status(status)), situation, 0.5)
    }

    const HALF_A_SECOND: Duration = Duration::from_millis(500);

    #[test]
    fn not_now_is_always_tried_again_with_or_without_a_key() {
        let rule = RetryRule::default();
        for status in [408, 421, 425, 429, 503] {
            assert_eq!(after(status, &situation(&rule)), Decision::Again(Known::NotTaken, HALF_A_SECOND), "{status}");
            assert_eq!(after(status, &without_key(&rule)), Decision::Again(Known::NotTaken, HALF_A_SECOND), "{status}");
        }
        let unsent = failed(FailureKind::NotSent);
        assert_eq!(decide(&unsent, &without_key(&rule), 0.5), Decision::Again(Known::NotTaken, HALF_A_SECOND));
    }

    #[test]
    fn an_unknown_outcome_is_resent_only_with_a_key_and_inside_the_window() {
        let rule = RetryRule::default();
        let unknown = failed(FailureKind::OutcomeUnknown);
        assert_eq!(decide(&unknown, &situation(&rule), 0.5), Decision::Again(Known::Unknown, HALF_A_SECOND));
        assert_eq!(decide(&unknown, &without_key(&rule), 0.5), Decision::GiveUp(Known::Unknown));
        let old = Situation { age: DAY, ..situation(&rule) };
        assert_eq!(decide(&unknown, &old, 0.5), Decision::GiveUp(Known::Unknown));
        for status in [500, 502, 504, 507, 599] {
            assert_eq!(after(status, &situation(&rule)), Decision::Again(Known::Unknown, HALF_A_SECOND), "{status}");
            assert_eq!(after(status, &without_key(&rule)), Decision::GiveUp(Known::Unknown), "{status}");
        }
    }

    #[test]
    fn a_final_no_is_final() {
        let rule = RetryRule::default();
        for status in [400, 404, 405, 410, 413, 415, 422, 501, 505] {
            assert_eq!(after(status, &situation(&rule)), Decision::Refused, "{status}");
        }
        assert_eq!(after(409, &without_key(&rule)), Decision::Refused);
        assert_eq!(after(409, &situation(&rule)), Decision::Again(Known::NotTaken, HALF_A_SECOND));
    }

    #[test]
    fn what_would_fail_for_every_batch_stops_the_run_and_refuses_nothing() {
        let rule = RetryRule::default();
        for status in [401, 403, 301, 302, 307, 308] {
            assert_eq!(after(status, &situation(&rule)), Decision::StopRun(Known::NotTaken), "{status}");
        }
        let first = Situation { first_of_run: true, ..situation(&rule) };
        assert_eq!(after(404, &first), Decision::StopRun(Known::NotTaken));
        assert_eq!(after(405, &first), Decision::StopRun(Known::NotTaken));
        assert_eq!(decide(&failed(FailureKind::Unreadable), &first, 0.5), Decision::StopRun(Known::Unknown));
        assert_eq!(decide(&failed(FailureKind::KeyReused), &first, 0.5), Decision::StopRun(Known::Unknown));
        assert_eq!(decide(&failed(FailureKind::Login), &first, 0.5), Decision::StopRun(Known::NotTaken));
        assert_eq!(after(206, &situation(&rule)), Decision::StopRun(Known::Unknown));
    }

    #[test]
    fn attempts_end_and_waits_double_up_to_the_cap() {
        let rule = RetryRule {
            attempts: 6,
            first_wait: Duration::from_secs(2),
            longest_wait: Duration::from_secs(10),
            on: None,
        };
        let waits: Vec<_> = (1..=6)
            .map(|attempts| decide(&failed(FailureKind::Status(503)), &Situation { attempts, ..situation(&rule) }, 1.0))
            .collect();
        let again = |seconds| Decision::Again(Known::NotTaken, Duration::from_secs(seconds));
        assert_eq!(waits, [again(2), again(4), again(8), again(10), again(10), Decision::GiveUp(Known::NotTaken)]);
    }

    #[test]
    fn retry_after_wins_over_the_longest_wait_up_to_an_hour() {
        let rule = RetryRule::default();
        let asked = |ms| Failure { retry_after_ms: Some(ms), ..failed(FailureKind::Status(429)) };
        let again = |seconds| Decision::Again(Known::NotTaken, Duration::from_secs(seconds));
        assert_eq!(decide(&asked(30_000), &situation(&rule), 0.0), again(30));
        assert_eq!(decide(&asked(900_000), &situation(&rule), 0.0), again(900));
        assert_eq!(decide(&asked(9_000_000), &situation(&rule), 0.0), again(3600));
    }

    #[test]
    fn an_expired_login_is_tried_again_at_once_and_uses_up_an_attempt() {
        let rule = RetryRule::default();
        let expired = failed(FailureKind::LoginExpired);
        assert_eq!(decide(&expired, &without_key(&rule), 1.0), Decision::Again(Known::NotTaken, Duration::ZERO));
        let spent = Situation { attempts: 8, ..situation(&rule) };
        assert_eq!(decide(&expired, &spent, 1.0), Decision::GiveUp(Known::NotTaken));
    }

    #[test]
    fn a_429_pauses_everybody_and_a_503_does_where_it_says_how_long() {
        let asked = |status, ms| Failure { retry_after_ms: ms, ..failed(FailureKind::Status(status)) };
        let again = Decision::Again(Known::NotTaken, Duration::from_secs(2));
        let pause = |status, ms, decision| pauses_connection(&asked(status, ms), decision);
        assert_eq!(pause(429, None, again), Some(Duration::from_secs(2)));
        assert_eq!(pause(429, Some(30_000), again), Some(Duration::from_secs(30)));
        assert_eq!(pause(429, Some(30_000), Decision::GiveUp(Known::NotTaken)), Some(Duration::from_secs(30)));
        assert_eq!(pause(503, Some(9_000_000), again), Some(Duration::from_secs(3600)));
        assert_eq!(pause(503, None, again), None);
        assert_eq!(pause(500, Some(30_000), again), None);
    }

    #[test]
    fn the_table_that_people_read_is_what_the_code_decides() {
        let lines: String =
            table().iter().map(|row| format!("{} | {} | {}\n", row.failure, row.with_key, row.without_key)).collect();
        assert_eq!(lines, include_str!("../tests/retry.txt"), "tests/retry.txt is the picture of the table");
    }

    #[test]
    fn a_list_of_statuses_says_what_is_tried_again() {
        let rule = RetryRule { on: Some(RetryOn { statuses: vec![404, 503], timeout: false }), ..RetryRule::default() };
        assert_eq!(after(503, &situation(&rule)), Decision::Again(Known::NotTaken, HALF_A_SECOND));
        assert_eq!(after(404, &situation(&rule)), Decision::Again(Known::NotTaken, HALF_A_SECOND));
        assert_eq!(after(429, &situation(&rule)), Decision::GiveUp(Known::NotTaken));
        assert_eq!(
            decide(&failed(FailureKind::OutcomeUnknown), &situation(&rule), 0.5),
            Decision::GiveUp(Known::Unknown)
        );
    }
}
