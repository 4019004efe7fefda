//! A file of a run: its states and its counts.

use super::run::words;

/// The state of one file within its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileState {
    /// Seen in the listing.
    Found,
    /// Seen, but not ready to be taken.
    Waiting,
    /// Copied whole into our own folder.
    Landed,
    /// Read to its end; counts are fixed, nothing is sealed yet.
    Mapped,
    /// Stopped before sending.
    Held,
    /// All batches are sealed; sending may have begun.
    Delivering,
    /// Every row and record has its final fate.
    Settled,
    /// A fault of this file or of its delivery.
    Failed,
    /// The same content was settled before.
    PassedOver,
}

words!(FileState {
    Found => "found", Waiting => "waiting", Landed => "landed", Mapped => "mapped", Held => "held",
    Delivering => "delivering", Settled => "settled", Failed => "failed", PassedOver => "passed_over",
});

/// Where each byte of a file went, after unwrapping. Adds up to the file's size (law 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteCounts {
    /// Lines before the header, and a byte order mark.
    pub preamble: u64,
    /// The header line.
    pub header: u64,
    /// Data rows with their line ends.
    pub rows: u64,
    /// Blank and comment lines.
    pub blank: u64,
    /// Trailer lines.
    pub trailer: u64,
}

impl ByteCounts {
    /// All bytes together.
    pub const fn total(&self) -> u64 {
        self.preamble + self.header + self.rows + self.blank + self.trailer
    }
}

/// What became of each row. `read = skipped + rejected + used` (law 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Data rows read.
    pub read: u64,
    /// Good rows left out by a rule.
    pub skipped: u64,
    /// Rows refused by our mapping.
    pub rejected: u64,
    /// Rows that became records.
    pub used: u64,
}

impl RowCounts {
    /// Law 1.
    pub const fn balances(&self) -> bool {
        self.read == self.skipped + self.rejected + self.used
    }
}

/// What became of each record. `made = accepted + refused + unanswered + pending` (law 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// Records made by the mapping.
    pub made: u64,
    /// The target said yes.
    pub accepted: u64,
    /// The target said a final no.
    pub refused: u64,
    /// Sent, outcome unknown.
    pub unanswered: u64,
    /// Not sent yet, waiting for a retry, or held.
    pub pending: u64,
}

impl RecordCounts {
    /// Law 2.
    pub const fn balances(&self) -> bool {
        self.made == self.accepted + self.refused + self.unanswered + self.pending
    }
}

impl std::ops::AddAssign for RowCounts {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.skipped += other.skipped;
        self.rejected += other.rejected;
        self.used += other.used;
    }
}

impl std::ops::AddAssign for RecordCounts {
    fn add_assign(&mut self, other: Self) {
        self.made += other.made;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
        self.pending += other.pending;
    }
}

impl std::ops::AddAssign for ByteCounts {
    fn add_assign(&mut self, other: Self) {
        self.preamble += other.preamble;
        self.header += other.header;
        self.rows += other.rows;
        self.blank += other.blank;
        self.trailer += other.trailer;
    }
}

/// A name from a stranger as it is shown: bytes that are not UTF-8 and control characters are escaped, so that
/// nothing of it reaches a terminal or a log as a command.
pub fn shown_name(name: &[u8]) -> String {
    let mut shown = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\n' => shown.push_str("\\n"),
                '\r' => shown.push_str("\\r"),
                '\t' => shown.push_str("\\t"),
                // Direction marks reorder what stands beside them.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => shown.extend(character.escape_unicode()),
                control if control.is_control() => shown.push_str(&format!("\\x{:02x}", control as u32)),
                ordinary => shown.push(ordinary),
            }
        }
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_a_stranger_cannot_command_a_terminal() {
        assert_eq!(shown_name("orders_é.csv".as_bytes()), "orders_é.csv");
        assert_eq!(shown_name(b"a\nb\x1b[2J\xe6.csv"), "a\\nb\\x1b[2J\\xe6.csv");
        assert_eq!(shown_name("a\u{202e}vsc".as_bytes()), "a\\u{202e}vsc");
    }
}
