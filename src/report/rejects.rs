//! Rejects as they are listed: for machines one object each, for people a table by line.

use serde::Serialize;

use crate::domain::file::shown_name;
use crate::domain::job::PlaybookEntry;
use crate::ledger::row::RejectRow;

/// A reject, as `rejects --json` prints it.
#[derive(Clone, Debug, Serialize)]
pub struct RejectDocument {
    /// Its run.
    pub run: String,
    /// Name of its file, escaped.
    pub file: String,
    /// Line, as a spreadsheet shows it.
    pub row: Option<u64>,
    /// Byte offset of the row.
    pub byte: u64,
    /// Column to blame.
    pub column: Option<String>,
    /// A reject code, or the target's.
    pub code: String,
    /// Plain words.
    pub message: String,
    /// `mapping` or `target`.
    pub side: &'static str,
    /// `open`, `replayed` or `written_off`.
    pub state: String,
    /// The business key; none is declared in this version.
    pub key: Option<String>,
    /// The raw row, personal data masked; bytes that are not UTF-8 are shown as U+FFFD (the ledger has them exact).
    pub raw: String,
}

impl From<&RejectRow> for RejectDocument {
    fn from(reject: &RejectRow) -> Self {
        Self {
            run: reject.run.as_str().to_owned(),
            file: shown_name(&reject.file),
            row: reject.row,
            byte: reject.byte,
            column: reject.column.clone(),
            code: reject.code.clone(),
            message: reject.message.clone(),
            side: reject.side,
            state: reject.state.clone(),
            key: None,
            raw: reject.masked.clone().unwrap_or_else(|| String::from_utf8_lossy(&reject.raw).into_owned()),
        }
    }
}

impl RejectDocument {
    /// The same with the raw row as it is.
    pub fn unmasked(reject: &RejectRow) -> Self {
        Self { raw: String::from_utf8_lossy(&reject.raw).into_owned(), ..Self::from(reject) }
    }
}

/// One reject on one line: `orders_1.csv:17  Qty  below-minimum  `0` is below 1`.
pub fn line(reject: &RejectRow) -> String {
    let row = reject.row.map(|row| format!(":{row}")).unwrap_or_default();
    let column =
        reject.column.as_ref().map(|column| format!("  {}", shown_name(column.as_bytes()))).unwrap_or_default();
    let code = if reject.side == "target" { format!("target:{}", reject.code) } else { reject.code.clone() };
    let message = shown_name(reject.message.as_bytes());
    format!("{}{row}{column}  {}  {message}", shown_name(&reject.file), shown_name(code.as_bytes()))
}

/// What the playbook says about a code: who does what, within what time.
pub fn playbook_line(playbook: &[PlaybookEntry], code: &str, side: &str) -> Option<String> {
    let when = if side == "target" { format!("target:{code}") } else { code.to_owned() };
    let entry = playbook.iter().find(|entry| entry.when == when)?;
    let by = match (entry.who.as_str(), entry.within.as_str()) {
        ("", "") => String::new(),
        (who, "") => format!(" ({who})"),
        ("", within) => format!(" ({within})"),
        (who, within) => format!(" ({who}, {within})"),
    };
    Some(format!("{} {}{by}", entry.means, entry.action).trim().to_owned())
}
