//! The words of `nightferry.toml`.

use super::Shape::{Duration, Flag, OneOf, Secret, Text, TextOrSecret, Texts};
use super::{Kind, Place, Word, place, word};

/// The tables of `nightferry.toml`.
pub const PLACES: &[Place] = &[
    place("organisation", Kind::One, "Whose installation it is."),
    place("server", Kind::One, "Where the pages and the API are."),
    place("paths", Kind::One, "Where things lie, relative to this file."),
    place("retention", Kind::One, "How long things are kept."),
    place("daily_summary", Kind::One, "The mail of the morning, also when all is well."),
    place("notify", Kind::Named, "Ways to tell people; `[[alerts]]` of jobs name them."),
    place("telemetry", Kind::One, "What other systems may watch."),
    place("limits", Kind::Free, "How much may be done at once."),
    place("docs", Kind::One, "What the document must have."),
];

/// Every word, in the order of the reference.
pub const WORDS: &[Word] = &[
    word("organisation", "name", Text, "The name of the organisation."),
    word(
        "organisation",
        "timezone",
        Text,
        "The time zone of every job that does not name its own: `Europe/Copenhagen`.",
    ),
    word("organisation", "language", Text, "The language of the document."),
    word("server", "listen", Text, "Address and port of the pages and the API."),
    word("server", "base_url", Text, "How people reach the pages: for links in mails."),
    word("paths", "jobs", Text, "The folder with jobs."),
    word("paths", "mappings", Text, "The folder with mappings."),
    word("paths", "calendars", Text, "The folder with calendars."),
    word("paths", "data", Text, "Where the ledger and landed files are kept."),
    word("retention", "files", Duration, "Original bytes of files."),
    word("retention", "rejects", Duration, "Rejected rows."),
    word("retention", "runs", Text, "Counts, totals, hashes and sign-offs: `\"7y\"`."),
    word("daily_summary", "send_at", Text, "When: `\"07:15\"`."),
    word("daily_summary", "on", Text, "On which days: `\"MON-FRI\"`."),
    word("daily_summary", "to", Texts, "To whom."),
    word("daily_summary", "attach", OneOf(&["none", "csv", "xlsx"]), "What comes with it."),
    word("notify.*", "kind", OneOf(&["email", "pagerduty", "slack", "webhook"]), "Which way it is."),
    word("notify.*", "to", Texts, "Of e-mail: to whom."),
    word("notify.*", "url", TextOrSecret, "Of Slack and webhooks: where to."),
    word("notify.*", "key", Secret, "Of webhooks: what the message is signed with."),
    word("notify.*", "routing_key", Secret, "Of PagerDuty: the service."),
    word("telemetry", "prometheus", Flag, "Whether GET /metrics answers."),
    word("telemetry", "otlp", Flag, "Whether traces are sent; the usual OTEL variables apply."),
    word("telemetry", "openlineage", Text, "Where lineage events are sent."),
    word("docs", "require", Texts, "What no integration may lack."),
    word("secret", "secret", Text, "The name of the secret; its value is never written in a file."),
];
