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
