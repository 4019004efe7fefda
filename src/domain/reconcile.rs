//! The laws as pure arithmetic, and the worst-of rules that turn files into a run.

use super::file::{ByteCounts, RecordCounts, RowCounts};
use super::run::RunState;

/// A law that does not hold. Never shown as green: the run is `failed: internal imbalance`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imbalance {
    /// Number of the law, 1 to 3.
    pub law: u8,
    /// Both sides in words.
    pub message: String,
}

/// Checks the three laws for one file of `size` bytes (after unwrapping).
pub fn check_laws(
    rows: &RowCounts,
    records: &RecordCounts,
    bytes: Option<&ByteCounts>,
    size: u64,
) -> Result<(), Imbalance> {
    if !rows.balances() {
        let message = format!(
            "{} rows read, but {} skipped + {} rejected + {} used",
            rows.read, rows.skipped, rows.rejected, rows.used
        );
        return Err(Imbalance { law: 1, message });
    }
    if !records.balances() {
        let message = format!(
            "{} records made, but {} accepted + {} refused + {} unanswered + {} pending",
            records.made, records.accepted, records.refused, records.unanswered, records.pending
        );
        return Err(Imbalance { law: 2, message });
    }
    match bytes {
        Some(bytes) if bytes.total() != size => {
            Err(Imbalance { law: 3, message: format!("file of {size} bytes, but {} accounted for", bytes.total()) })
        }
        _ => Ok(()),
    }
}

/// The worse of two run states: failed > held > break > done with rejects > done.
pub fn worse(a: RunState, b: RunState) -> RunState {
    const fn rank(state: RunState) -> u8 {
        match state {
            RunState::Failed => 6,
            RunState::Held => 5,
            RunState::Waiting => 4,
            RunState::Break => 3,
            RunState::DoneWithRejects => 2,
            _ => 1,
        }
    }
    if rank(b) > rank(a) { b } else { a }
}

/// The state of a file's books once nothing more will be sent.
pub const fn settled_state(rows: &RowCounts, records: &RecordCounts) -> RunState {
    if records.refused > 0 || records.unanswered > 0 || records.pending > 0 {
        RunState::Break
    } else if rows.rejected > 0 {
        RunState::DoneWithRejects
    } else {
        RunState::Done
    }
}

/// `balanced`: every record was accepted. Rejects of the mapping do not unbalance.
pub const fn balanced(records: &RecordCounts) -> bool {
    records.refused == 0 && records.unanswered == 0 && records.pending == 0 && records.made == records.accepted
}
