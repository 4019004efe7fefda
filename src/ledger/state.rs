//! The last accepted state of each record of a job: what `[changes]` compares with.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Ledger, LedgerError, Result};
use crate::domain::name::JobName;

/// The state that a record of a file has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordState {
    /// Its business key, as JSON.
    pub key: String,
    /// SHA-256 of what was sent of it.
    pub state: [u8; 32],
    /// The target has accepted it (or had accepted the same before).
    pub accepted: bool,
}

/// States in the order of a file.
pub type States<'a> = &'a mut dyn Iterator<Item = std::io::Result<RecordState>>;

impl Ledger {
    /// Number of keys that the last accepted file of a job had.
    pub fn known_states(&self, job: &JobName) -> Result<u64> {
        self.read(|connection| {
            let sql = "SELECT count(*) FROM record_state WHERE job = ?1 AND present = 1";
            connection.query_row(sql, [job.as_str()], |row| row.get::<_, i64>(0)).map(|count| count as u64)
        })
    }

    /// The last accepted state of a key.
    pub fn record_state(&self, job: &JobName, key: &str) -> Result<Option<[u8; 32]>> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT state FROM record_state WHERE job = ?1 AND key = ?2")?;
            statement.query_row(params![job.as_str(), key], |row| row.get(0)).optional()
        })
    }

    /// Calls `each` with every key of the last accepted file.
    pub fn each_known_key(&self, job: &JobName, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.read(|connection| {
            let sql = "SELECT key FROM record_state WHERE job = ?1 AND present = 1 ORDER BY key";
            let mut statement = connection.prepare(sql)?;
            let mut rows = statement.query([job.as_str()])?;
            while let Some(row) = rows.next()? {
                each(row.get_ref(0)?.as_str()?);
            }
            Ok(())
        })
    }
}

/// Makes the states of a settled file the last accepted ones. A key that was refused keeps its old state.
pub(super) fn keep_states(
    connection: &Connection,
    job: &str,
    states: States<'_>,
) -> std::result::Result<(), super::Fault> {
    connection.execute("UPDATE record_state SET present = 0 WHERE job = ?1", [job])?;
    let mut accepted = connection.prepare_cached(
        "INSERT INTO record_state (job, key, state, present) VALUES (?1, ?2, ?3, 1)
         ON CONFLICT (job, key) DO UPDATE SET state = excluded.state, present = 1",
    )?;
    let mut refused = connection.prepare_cached("UPDATE record_state SET present = 1 WHERE job = ?1 AND key = ?2")?;
    for state in states {
        let RecordState { key, state, accepted: was_accepted } = state.map_err(LedgerError::Artifact)?;
        if was_accepted {
            accepted.execute(params![job, key, state])?;
        } else {
            refused.execute(params![job, key])?;
        }
    }
    Ok(())
}
