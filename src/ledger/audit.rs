//! What people did, as a chain: each entry holds the hash of the one before it, and every hash stands in a second file
//! beside the ledger, so that an edit, a deletion, another order or a shortened trail shows.
//!
//! An act and its entry are one transaction; an act whose entry cannot be kept in both places is refused.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use sha2::{Digest as _, Sha256};

use super::{Fault, Ledger, LedgerError, Result, from_ms, to_ms};

/// The file with the hashes; a line for each entry.
const ANCHOR: &str = "audit.anchor";
/// What the first entry follows.
const GENESIS: &str = "nightferry";

/// One thing that a person did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number, from 1 without a gap.
    pub seq: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub who: String,
    /// `release`, `sign-off`, `write-off` …
    pub action: String,
    /// `run 0193…`, `job orders` …
    pub what: String,
    /// Why.
    pub reason: String,
    /// SHA-256 over the hash before it and its own content, hexadecimal.
    pub hash: String,
}

/// What a look at the whole trail came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Number of entries.
    pub entries: u64,
    /// Hash of the last one.
    pub head: Option<String>,
    /// What is wrong, in the order of the entries; empty: the trail is whole.
    pub faults: Vec<String>,
    /// What a person should know although it is no fault.
    pub notes: Vec<String>,
}

/// Writes the entries of one transaction.
pub(super) struct Scribe<'a> {
    now: DateTime<Utc>,
    who: &'a str,
    lines: String,
}

impl Scribe<'_> {
    /// Adds an entry to the chain.
    pub(super) fn note(
        &mut self,
        tx: &Transaction<'_>,
        action: &str,
        what: &str,
        reason: &str,
    ) -> std::result::Result<(), Fault> {
        let (last, before) = chain_old_entries(tx)?;
        let (seq, at) = (last + 1, to_ms(self.now));
        let hash = digest(&before, seq, at, [self.who, action, what, reason]);
        tx.execute(
            "INSERT INTO audit (id, at, who, action, what, reason, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![seq, at, self.who, action, what, reason, hash],
        )?;
        self.lines += &format!("{seq} {hash}\n");
        Ok(())
    }
}

impl Ledger {
    /// Writes in one transaction what a person does, with its entries.
    pub(super) fn write_audited<T>(
        &self,
        now: DateTime<Utc>,
        who: &str,
        work: impl FnOnce(&Transaction<'_>, &mut Scribe<'_>) -> std::result::Result<T, Fault>,
    ) -> Result<T> {
        // Held over the commit, so that lines stand in the order of the entries.
        let mut anchor = self.open_anchor()?;
        let mut scribe = Scribe { now, who, lines: String::new() };
        let done = self.write(|tx| {
            let done = work(tx, &mut scribe)?;
            if let (false, Some(missing)) = (scribe.lines.is_empty(), missing_lines(tx, &self.anchor_path())?) {
                scribe.lines = missing;
            }
            Ok(done)
        })?;
        if let Err(source) = anchor.write_all(scribe.lines.as_bytes()).and_then(|()| anchor.sync_data()) {
            // The act is done and in the chain; the next one writes this line too.
            tracing::warn!("{} could not be written: {source}", self.anchor_path().display());
        }
        Ok(done)
    }

    /// Writes down what a person did, or is about to do.
    pub fn audit(&self, now: DateTime<Utc>, who: &str, action: &str, what: &str, reason: &str) -> Result<()> {
        self.write_audited(now, who, |tx, scribe| scribe.note(tx, action, what, reason))
    }

    /// Entries, newest first, at most `limit`.
    pub fn audit_entries(&self, limit: u32) -> Result<Vec<AuditRow>> {
        self.read(|connection| {
            let mut statement = connection.prepare(
                "SELECT id, at, who, action, what, reason, coalesce(hash, '') FROM audit ORDER BY id DESC LIMIT ?1",
            )?;
            let rows = statement.query_map([limit], audit_row)?;
            rows.collect()
        })
    }

    /// Follows the chain from its beginning and compares it with the second file. `head` is a number and a hash that were
    /// kept somewhere else.
    pub fn verify_audit(&self, head: Option<(u64, &str)>) -> Result<Verified> {
        let anchor = match fs::read_to_string(self.anchor_path()) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(LedgerError::Folder { path: self.anchor_path(), source }),
        };
        let entries = self.read(|connection| {
            let mut statement = connection
                .prepare("SELECT id, at, who, action, what, reason, coalesce(hash, '') FROM audit ORDER BY id")?;
            let rows = statement.query_map([], audit_row)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        Ok(verify(&entries, &anchor, head))
    }

    fn anchor_path(&self) -> PathBuf {
        self.data.join(ANCHOR)
    }

    fn open_anchor(&self) -> Result<File> {
        let path = self.anchor_path();
        let open = || {
            let file = File::options().append(true).create(true).mode(0o600).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        open().map_err(|source| LedgerError::Folder { path: path.clone(), source })
    }
}

/// Lines of entries that the second file lacks, those of the transaction at hand included; `None` when its last line cannot be told.
fn missing_lines(tx: &Transaction<'_>, anchor: &Path) -> rusqlite::Result<Option<String>> {
    let Ok(text) = fs::read_to_string(anchor) else { return Ok(None) };
    let last = text.lines().rev().find_map(|line| line.split_once(' ')?.0.parse::<i64>().ok()).unwrap_or(0);
    let mut statement = tx.prepare("SELECT id, hash FROM audit WHERE id > ?1 ORDER BY id")?;
    let rows =
        statement.query_map([last], |row| Ok(format!("{} {}\n", row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    rows.collect::<rusqlite::Result<String>>().map(Some)
}

/// Gives hashes to entries from before there was a chain; number and hash of the last entry.
fn chain_old_entries(connection: &Connection) -> rusqlite::Result<(i64, String)> {
    let last = connection
        .query_row("SELECT id, hash FROM audit WHERE hash IS NOT NULL ORDER BY id DESC LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let (mut last, mut before) = last.unwrap_or((0, GENESIS.to_owned()));
    let mut statement = connection.prepare_cached(
        "SELECT id, at, who, action, what, reason, '' FROM audit WHERE id > ?1 AND hash IS NULL ORDER BY id",
    )?;
    let old = statement.query_map([last], audit_row)?.collect::<rusqlite::Result<Vec<_>>>()?;
    for row in old {
        last = row.seq as i64;
        before = digest(&before, last, to_ms(row.at), [&row.who, &row.action, &row.what, &row.reason]);
        connection.execute("UPDATE audit SET hash = ?2 WHERE id = ?1", params![last, before])?;
    }
    Ok((last, before))
}

fn verify(entries: &[AuditRow], anchor: &str, head: Option<(u64, &str)>) -> Verified {
    let mut faults = Vec::new();
    let mut before = GENESIS.to_owned();
    for (row, expected) in entries.iter().zip(1..) {
        if row.seq != expected && !faults.iter().any(|fault: &String| fault.contains("missing")) {
            faults.push(format!("entry {expected} is missing: the next one is {}", row.seq));
        }
        let content = [&*row.who, &row.action, &row.what, &row.reason];
        if digest(&before, row.seq as i64, to_ms(row.at), content) != row.hash {
            faults.push(format!(
                "entry {} ({} by {}) is not what was written, or does not follow the one before it",
                row.seq, row.action, row.who
            ));
        }
        before.clone_from(&row.hash);
    }
    let mut notes = Vec::new();
    compare(entries, anchor, &mut faults, &mut notes);
    if let Some((seq, hash)) = head {
        match entries.iter().find(|row| row.seq == seq) {
            Some(row) if row.hash == hash => {}
            Some(_) => faults.push(format!("entry {seq} is not the one whose hash was kept elsewhere")),
            None => faults.push(format!("entry {seq}, whose hash was kept elsewhere, is gone")),
        }
    }
    let head = entries.last().map(|row| row.hash.clone());
    Verified { entries: entries.len() as u64, head, faults, notes }
}

/// Compares the chain with the second file: `17 HASH`, or `restored 11` where a backup was put back.
fn compare(entries: &[AuditRow], anchor: &str, faults: &mut Vec<String>, notes: &mut Vec<String>) {
    let mut kept: std::collections::BTreeMap<u64, &str> = std::collections::BTreeMap::new();
    for line in anchor.lines() {
        match line.split_once(' ') {
            Some(("restored", seq)) => {
                let seq: u64 = seq.parse().unwrap_or(0);
                let lost = kept.split_off(&(seq + 1));
                if let (Some((first, _)), Some((last, _))) = (lost.first_key_value(), lost.last_key_value()) {
                    notes.push(format!("entries {first} to {last} were lost when a backup was put back"));
                }
            }
            Some((seq, hash)) if seq.parse::<u64>().is_ok() => {
                kept.insert(seq.parse().unwrap_or(0), hash);
            }
            _ => faults.push(format!("{ANCHOR} holds a line that is none: `{line}`")),
        }
    }
    for (seq, hash) in &kept {
        match entries.iter().find(|row| row.seq == *seq) {
            Some(row) if row.hash == *hash => {}
            Some(_) => faults.push(format!("entry {seq} is not the one that {ANCHOR} names")),
            None => faults.push(format!("entry {seq} is gone; {ANCHOR} names it")),
        }
    }
    let unnamed: Vec<u64> = entries.iter().map(|row| row.seq).filter(|seq| !kept.contains_key(seq)).collect();
    match unnamed[..] {
        [] => {}
        // A process that ended between the two places leaves exactly this.
        [one] if entries.last().is_some_and(|row| row.seq == one) => {
            notes.push(format!("entry {one} is not in {ANCHOR} yet; the next entry adds it"));
        }
        _ => faults.push(format!("{ANCHOR} lacks {} entries, from {} on", unnamed.len(), unnamed[0])),
    }
}

fn digest(before: &str, seq: i64, at: i64, content: [&str; 4]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(before);
    // JSON keeps the parts apart, whatever they hold.
    hasher.update(serde_json::json!([seq, at, content]).to_string());
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn audit_row(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    Ok(AuditRow {
        seq: row.get::<_, i64>(0)? as u64,
        at: from_ms(row.get(1)?),
        who: row.get(2)?,
        action: row.get(3)?,
        what: row.get(4)?,
        reason: row.get(5)?,
        hash: row.get(6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-24T07:31:00Z".parse().unwrap()
    }

    /// A ledger with `count` entries.
    fn trail(count: u32) -> (tempfile::TempDir, Ledger) {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path(), now()).unwrap();
        for number in 0..count {
            ledger.audit(now(), "ida", "sign-off", &format!("run {number}"), "balanced").unwrap();
        }
        (folder, ledger)
    }

    fn tampered(sql: &str) -> Vec<String> {
        let (_folder, ledger) = trail(20);
        assert_eq!(ledger.verify_audit(None).unwrap().faults, Vec::<String>::new());
        ledger.lock().execute_batch(sql).unwrap();
        ledger.verify_audit(None).unwrap().faults
    }

    #[test]
    fn t28_an_edit_a_deletion_another_order_and_a_shortened_trail_are_found() {
        let fault = |seq: u64| {
            format!("entry {seq} (sign-off by ida) is not what was written, or does not follow the one before it")
        };
        assert_eq!(tampered("UPDATE audit SET reason = 'looked fine' WHERE id = 7"), [fault(7)]);
        assert_eq!(
            tampered("DELETE FROM audit WHERE id = 7"),
            [
                "entry 7 is missing: the next one is 8".to_owned(),
                fault(8),
                "entry 7 is gone; audit.anchor names it".to_owned()
            ]
        );
        let swap = "UPDATE audit SET id = 100 WHERE id = 3; UPDATE audit SET id = 3 WHERE id = 4; UPDATE audit SET id = 4 WHERE id = 100";
        let swapped = tampered(swap);
        assert!(swapped.starts_with(&[fault(3), fault(4), fault(5)]), "{swapped:?}");
        assert_eq!(
            tampered("DELETE FROM audit WHERE id > 18"),
            ["entry 19 is gone; audit.anchor names it", "entry 20 is gone; audit.anchor names it"]
        );
    }

    #[test]
    fn t28_a_chain_that_was_computed_anew_does_not_fit_the_second_file() {
        let (_folder, ledger) = trail(3);
        let connection = ledger.lock();
        connection.execute_batch("UPDATE audit SET who = 'per', hash = NULL WHERE id > 1").unwrap();
        chain_old_entries(&connection).unwrap();
        drop(connection);
        let faults = ledger.verify_audit(None).unwrap().faults;
        assert_eq!(
            faults,
            ["entry 2 is not the one that audit.anchor names", "entry 3 is not the one that audit.anchor names"]
        );
    }

    #[test]
    fn t28_a_hash_that_was_kept_elsewhere_finds_what_both_files_agree_about() {
        let (folder, ledger) = trail(3);
        let head = ledger.verify_audit(None).unwrap().head.unwrap();
        assert_eq!(ledger.verify_audit(Some((3, &head))).unwrap().faults, Vec::<String>::new());
        ledger.lock().execute_batch("DELETE FROM audit WHERE id = 3").unwrap();
        let anchor = fs::read_to_string(folder.path().join(ANCHOR)).unwrap();
        let shorter: Vec<&str> = anchor.lines().take(2).collect();
        fs::write(folder.path().join(ANCHOR), shorter.join("\n") + "\n").unwrap();
        assert_eq!(ledger.verify_audit(None).unwrap().faults, Vec::<String>::new());
        let faults = ledger.verify_audit(Some((3, &head))).unwrap().faults;
        assert_eq!(faults, ["entry 3, whose hash was kept elsewhere, is gone"]);
    }

    #[test]
    fn an_act_that_cannot_be_written_down_is_refused() {
        let (folder, ledger) = trail(1);
        fs::remove_file(folder.path().join(ANCHOR)).unwrap();
        fs::create_dir(folder.path().join(ANCHOR)).unwrap();
        let job = crate::domain::name::JobName::new("orders");
        assert!(ledger.hold_job(&job, "ida", now()).is_err());
        assert_eq!(ledger.job_hold(&job).unwrap(), None);
        assert_eq!(ledger.audit_entries(10).unwrap().len(), 1);
    }

    #[test]
    fn a_line_that_a_crash_left_out_is_added_by_the_next_entry() {
        let (folder, ledger) = trail(2);
        let path = folder.path().join(ANCHOR);
        let first = fs::read_to_string(&path).unwrap().lines().next().unwrap().to_owned() + "\n";
        fs::write(&path, first).unwrap();
        let verified = ledger.verify_audit(None).unwrap();
        assert_eq!((verified.faults.len(), verified.notes.len()), (0, 1));
        ledger.audit(now(), "ida", "sign-off", "run 2", "").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 3);
        assert_eq!(ledger.verify_audit(None).unwrap().notes, Vec::<String>::new());
    }

    #[test]
    fn entries_from_before_the_chain_are_taken_into_it() {
        let (_folder, ledger) = trail(0);
        let sql = "INSERT INTO audit (at, who, action, what, reason) VALUES (1, 'per', 'hold', 'job a', ''), (2, 'per', 'drop', 'run b', 'x')";
        ledger.lock().execute_batch(sql).unwrap();
        ledger.audit(now(), "ida", "sign-off", "run 2", "").unwrap();
        let verified = ledger.verify_audit(None).unwrap();
        assert_eq!((verified.entries, verified.faults), (3, Vec::new()));
    }
}
