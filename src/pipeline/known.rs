//! The states of a job's records: those the ledger knows, and those of the file at hand.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;

use super::convert::reject_file::{read_first_number, read_part, read_text, write_part};
use super::convert::{ChangeCounts, IndexEntry, KnownStates};
use crate::domain::name::JobName;
use crate::ledger::Ledger;
use crate::ledger::state::RecordState;
use crate::mapping::spec::{ChangesSpec, MappingSpec};

/// Stands for a record that is not sent, because it is unchanged.
const NOT_SENT: u64 = u64::MAX;
/// Most keys that a warning names.
const NAMED: usize = 10;

/// Compares with the ledger, and writes down what the file says.
pub(super) struct LedgerStates<'a> {
    ledger: &'a Ledger,
    job: &'a JobName,
    out: BufWriter<File>,
    /// Fingerprints of the keys in the file.
    seen: HashSet<u64>,
}

impl<'a> LedgerStates<'a> {
    pub(super) fn new(ledger: &'a Ledger, job: &'a JobName, out: File) -> Self {
        Self { ledger, job, out: BufWriter::with_capacity(1 << 16, out), seen: HashSet::new() }
    }

    /// Ends; says which keys have disappeared, if that is to be reported.
    pub(super) fn finish(mut self, spec: &MappingSpec) -> io::Result<Option<String>> {
        self.out.flush()?;
        if !spec.changes.as_ref().is_some_and(|changes| changes.report_disappeared) {
            return Ok(None);
        }
        let hidden = spec
            .changes
            .as_ref()
            .is_some_and(|changes| spec.fields.iter().any(|field| field.name() == changes.key && field.pii.is_some()));
        let (mut count, mut named) = (0_u64, Vec::new());
        let mut each = |key: &str| {
            if !self.seen.contains(&fingerprint(key)) {
                count += 1;
                if named.len() < NAMED && !hidden {
                    named.push(key.trim_matches('"').to_owned());
                }
            }
        };
        self.ledger.each_known_key(self.job, &mut each).map_err(io::Error::other)?;
        let list = if named.is_empty() { String::new() } else { format!(": {}", named.join(", ")) };
        let more = if count > named.len() as u64 && !named.is_empty() { " …" } else { "" };
        Ok((count > 0).then(|| format!("{count} records of the last accepted file are not in this one{list}{more}")))
    }
}

impl KnownStates for LedgerStates<'_> {
    fn known(&mut self) -> io::Result<u64> {
        self.ledger.known_states(self.job).map_err(io::Error::other)
    }

    fn state(&mut self, key: &str) -> io::Result<Option<[u8; 32]>> {
        self.ledger.record_state(self.job, key).map_err(io::Error::other)
    }

    fn is_now(&mut self, record: Option<u64>, key: &str, state: &[u8; 32]) -> io::Result<()> {
        self.seen.insert(fingerprint(key));
        self.out.write_all(&record.unwrap_or(NOT_SENT).to_le_bytes())?;
        write_part(&mut self.out, key.as_bytes())?;
        write_part(&mut self.out, state)
    }
}

fn fingerprint(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(key.as_bytes());
    hasher.finish()
}

/// The states of a file whose records have their fates: `refused` tells by the offset of its row whether a record was not accepted.
pub(super) fn settled_states<'s>(
    path: &Path,
    index: File,
    refused: &'s HashSet<u64>,
) -> io::Result<impl Iterator<Item = io::Result<RecordState>> + use<'s>> {
    let mut input = BufReader::with_capacity(1 << 16, File::open(path)?);
    let mut next = move || {
        let Some(record) = read_first_number(&mut input)? else { return Ok(None) };
        let (key, state) = (read_text(&mut input)?, read_part(&mut input)?);
        let state = <[u8; 32]>::try_from(state).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        let accepted = record == NOT_SENT || !refused.contains(&IndexEntry::read_at(&index, record)?.byte);
        Ok(Some(RecordState { key, state, accepted }))
    };
    Ok(std::iter::from_fn(move || next().transpose()))
}

/// Why a file with so many changes is held; `None`: it is not. The first file of a job changes nothing.
pub(super) fn too_many_changes(spec: &ChangesSpec, counts: &ChangeCounts) -> Option<String> {
    use rust_decimal::Decimal;
    let most = spec.max_percent?;
    let changes = counts.new + counts.changed + counts.disappeared;
    if counts.known == 0 || Decimal::from(changes) * Decimal::ONE_HUNDRED <= most * Decimal::from(counts.known) {
        return None;
    }
    let ChangeCounts { known, new, changed, disappeared, .. } = counts;
    Some(format!(
        "held: {changes} of {known} would change ({new} new, {changed} changed, {disappeared} disappeared), and `max_percent` is {most} %"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_more_changes_than_the_limit_hold_a_file_and_the_first_file_never_is() {
        let spec = ChangesSpec {
            key: "id".to_owned(),
            only_changed: true,
            report_disappeared: true,
            max_percent: Some(rust_decimal::Decimal::from(15)),
        };
        let counts = |known, new, changed, disappeared| ChangeCounts { known, new, changed, unchanged: 0, disappeared };
        assert_eq!(too_many_changes(&spec, &counts(0, 500, 0, 0)), None);
        assert_eq!(too_many_changes(&spec, &counts(100, 5, 5, 5)), None);
        let held = too_many_changes(&spec, &counts(100, 5, 6, 5));
        let expected = "held: 16 of 100 would change (5 new, 6 changed, 5 disappeared), and `max_percent` is 15 %";
        assert_eq!(held.as_deref(), Some(expected));
    }
}
