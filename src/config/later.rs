//! Words of the language that this version does not act on. Never silent: an error where they would change what is
//! sent or proven, one warning a file where they would not.

/// What not acting on a word means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Later {
    /// Written for people; there is nothing to act on.
    Documented,
    /// Another command will act on it; a run by hand is the same without it.
    NotActedOn,
    /// A run would be something else without it.
    ChangesWhatIsSent,
}

const DOCUMENTED: &[&str] =
    &["mapping.title", "mapping.owner", "job.tags", "integration", "organisation.language", "*.notes", "*.rotation"];

const NOT_ACTED_ON: &[&str] = &[
    // nightferry.toml
    "server",
    "retention",
    "daily_summary",
    "notify",
    "telemetry",
    "docs",
    "limits",
    // jobs
    "schedule.or_records",
    "schedule.quiet_alert",
    "alerts",
    "reconcile.on_break",
    // connections
];

const CHANGES_WHAT_IS_SENT: &[&str] = &[
    // jobs
    "format.decrypt",
    "reconcile.ask_target",
    "target.acknowledgement",
    "source.kind",
    "source.path",
    "source.verify",
    "source.method",
    "source.each",
    "source.next_page",
    "source.watermark",
    "source.accept",
    "source.event",
    "source.events",
    "source.deduplicate",
    "source.answer",
    "source.max_body",
    "target.kind",
    "target.folder",
    "target.file",
    "target.write",
    "target.if_exists",
    "target.done_file",
    "target.checksum",
    "target.if_empty",
    "target.afterwards",
    "target.idempotency.from",
];

/// What `path` (`table.key`, or `table.key=value`) is; `None`: no word of the language.
pub fn later(path: &str) -> Option<Later> {
    let listed = |list: &[&str]| list.iter().any(|pattern| matches(pattern, path));
    if listed(DOCUMENTED) {
        Some(Later::Documented)
    } else if listed(NOT_ACTED_ON) {
        Some(Later::NotActedOn)
    } else if listed(CHANGES_WHAT_IS_SENT) {
        Some(Later::ChangesWhatIsSent)
    } else {
        None
    }
}

/// `*` stands for one name, which may hold dots itself (`fields."a.b".note`). A connection's table begins with `@`, so
/// that its `*` never stands for a table of another file.
fn matches(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some(("", tail)) => path.starts_with('@') && path.ends_with(tail),
        Some((head, tail)) => path.len() > head.len() + tail.len() && path.starts_with(head) && path.ends_with(tail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart_by_what_ignoring_them_would_mean() {
        assert_eq!(later("mapping.owner"), Some(Later::Documented));
        assert_eq!(later("schedule.quiet_alert"), Some(Later::NotActedOn));
        assert_eq!(later("target.kind"), Some(Later::ChangesWhatIsSent));
        assert_eq!(later("@erp.notes"), Some(Later::Documented));
        assert_eq!(later("job.proxy"), None);
        assert_eq!(later("source.foldr"), None);
    }
}
