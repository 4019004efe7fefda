//! What only the end of the file can judge: groups that come back, values that are not unique, values that stand nowhere.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::sorter::Sorter;
use crate::domain::reject::RejectCode;
use crate::mapping::claim::{Claim, ClaimKind};

/// Class, id, fingerprint, before or after, line, record, field, offset, length.
const ENTRY: usize = 1 + 2 + 16 + 1 + 8 + 8 + 2 + 8 + 8;

/// Stands for a claim that belongs to no record that was made.
pub(super) const NO_RECORD: u64 = u64::MAX;

/// Why a record that looked good is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Strike {
    /// The code.
    pub(super) code: RejectCode,
    /// The line to blame; `None`: the first of the record.
    pub(super) line: Option<u64>,
    /// The field to blame.
    pub(super) field: Option<u16>,
    /// The other line.
    pub(super) other: u64,
}

/// Records by number, with what is wrong with each.
pub(super) type Strikes = BTreeMap<u64, Vec<Strike>>;

/// A group that comes back, and was rejected already for another fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loose {
    /// Its first row: line, offset, length.
    pub(super) line: u64,
    pub(super) byte: u64,
    pub(super) length: u64,
    /// The line on which it began before.
    pub(super) other: u64,
}

/// What the end of the file says.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) records: Strikes,
    /// In the order of the file.
    pub(super) loose: Vec<Loose>,
}

/// Collects claims while the file is read.
pub(super) struct Court {
    claims: Sorter<ENTRY>,
    scratch: Option<std::path::PathBuf>,
    struck: Strikes,
}

impl Court {
    pub(super) fn new(scratch: Option<&Path>) -> Self {
        Self { claims: Sorter::new(scratch), scratch: scratch.map(Path::to_owned), struck: Strikes::new() }
    }

    /// Takes a claim of a record.
    pub(super) fn claim(&mut self, record: u64, claim: &Claim) -> io::Result<()> {
        let (class, id, after, field) = match claim.kind {
            ClaimKind::Group => (0, 0, 0, u16::MAX),
            ClaimKind::Has { lookup } => (1, lookup, 0, u16::MAX),
            ClaimKind::Needs { lookup, field } => (1, lookup, 1, field),
            ClaimKind::Unique(field) => (2, field, 0, field),
        };
        let mut entry = [0; ENTRY];
        entry[0] = class;
        entry[1..3].copy_from_slice(&id.to_be_bytes());
        entry[3..19].copy_from_slice(&claim.hash);
        entry[19] = after;
        entry[20..28].copy_from_slice(&claim.line.to_be_bytes());
        entry[28..36].copy_from_slice(&record.to_be_bytes());
        entry[36..38].copy_from_slice(&field.to_be_bytes());
        entry[38..46].copy_from_slice(&claim.place.0.to_be_bytes());
        entry[46..54].copy_from_slice(&claim.place.1.to_be_bytes());
        self.claims.push(entry)
    }

    /// Strikes a record beside a broken row.
    pub(super) fn strike_neighbour(&mut self, record: u64) {
        self.struck
            .entry(record)
            .or_insert_with(|| vec![Strike { code: RejectCode::Group, line: None, field: None, other: 0 }]);
    }

    /// Strikes a record whose key does not ascend over the border of two chunks.
    pub(super) fn strike_unsorted(&mut self, record: u64) {
        let strike = Strike { code: RejectCode::GroupSplit, line: None, field: None, other: 0 };
        self.struck.entry(record).or_default().push(strike);
    }

    /// Judges all claims.
    pub(super) fn judge(self) -> io::Result<Verdict> {
        let mut verdict = Verdict { records: self.struck, loose: Vec::new() };
        // Unique values that stand more than once: record, number of the value, line, field.
        let mut conflicts = Sorter::<26>::new(self.scratch.as_deref());
        let mut values = 0_u64;
        let mut same: Vec<Entry> = Vec::new();
        self.claims.drain(&mut |bytes| {
            let entry = Entry::new(bytes);
            if same.first().is_some_and(|first| !first.is_same_value(&entry)) {
                values += 1;
                judge_value(&same, values, &mut verdict, &mut conflicts)?;
                same.clear();
            }
            // Of values that only stand in a column one entry says it all.
            if !(entry.class == 1 && !entry.after && same.first().is_some_and(|first| !first.after)) {
                same.push(entry);
            }
            Ok(())
        })?;
        judge_value(&same, values + 1, &mut verdict, &mut conflicts)?;
        judge_conflicts(conflicts, &mut verdict.records)?;
        verdict.loose.sort_by_key(|loose| loose.line);
        Ok(verdict)
    }
}

#[derive(Clone, Copy)]
struct Entry {
    class: u8,
    id: u16,
    hash: [u8; 16],
    after: bool,
    record: u64,
    line: u64,
    field: u16,
    byte: u64,
    length: u64,
}

impl Entry {
    fn new(bytes: &[u8; ENTRY]) -> Self {
        let number = |at: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[at..at + 8]);
            u64::from_be_bytes(eight)
        };
        let mut hash = [0; 16];
        hash.copy_from_slice(&bytes[3..19]);
        Self {
            class: bytes[0],
            id: u16::from_be_bytes([bytes[1], bytes[2]]),
            hash,
            after: bytes[19] == 1,
            record: number(28),
            line: number(20),
            field: u16::from_be_bytes([bytes[36], bytes[37]]),
            byte: number(38),
            length: number(46),
        }
    }

    fn is_same_value(&self, other: &Self) -> bool {
        (self.class, self.id, self.hash) == (other.class, other.id, other.hash)
    }
}

fn judge_value(same: &[Entry], value: u64, verdict: &mut Verdict, conflicts: &mut Sorter<26>) -> io::Result<()> {
    let Some(first) = same.first() else { return Ok(()) };
    let strikes = &mut verdict.records;
    match first.class {
        0 if same.len() > 1 => {
            // The rows that come back are to blame; those before go with them.
            for (at, entry) in same.iter().enumerate() {
                let (code, other) = match at {
                    0 => (RejectCode::Group, same[1].line),
                    _ => (RejectCode::GroupSplit, first.line),
                };
                if entry.record != NO_RECORD {
                    let strike = Strike { code, line: None, field: None, other };
                    strikes.entry(entry.record).or_default().push(strike);
                } else if at > 0 {
                    let Entry { line, byte, length, .. } = *entry;
                    verdict.loose.push(Loose { line, byte, length, other });
                }
            }
        }
        1 if first.after => {
            for entry in same {
                let (line, field) = (Some(entry.line), Some(entry.field));
                let strike = Strike { code: RejectCode::LookupMissing, line, field, other: 0 };
                strikes.entry(entry.record).or_default().push(strike);
            }
        }
        2 if same.len() > 1 => {
            for entry in same {
                let mut conflict = [0; 26];
                conflict[..8].copy_from_slice(&entry.record.to_be_bytes());
                conflict[8..16].copy_from_slice(&value.to_be_bytes());
                conflict[16..24].copy_from_slice(&entry.line.to_be_bytes());
                conflict[24..].copy_from_slice(&entry.field.to_be_bytes());
                conflicts.push(conflict)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Record by record: the first that passed everything else keeps the value.
fn judge_conflicts(conflicts: Sorter<26>, strikes: &mut Strikes) -> io::Result<()> {
    let number = |bytes: &[u8]| {
        let mut eight = [0; 8];
        eight.copy_from_slice(bytes);
        u64::from_be_bytes(eight)
    };
    let mut owners: BTreeMap<u64, u64> = BTreeMap::new();
    let mut record: Option<u64> = None;
    let mut values: Vec<(u64, u64, u16)> = Vec::new();
    let mut settle = |record: u64, values: &mut Vec<(u64, u64, u16)>| {
        if strikes.contains_key(&record) {
            values.clear();
            return;
        }
        let mut taken = Vec::new();
        let mut own: BTreeMap<u64, u64> = BTreeMap::new();
        for (value, line, field) in values.drain(..) {
            match owners.get(&value).or_else(|| own.get(&value)).copied() {
                Some(other) => {
                    taken.push(Strike { code: RejectCode::DuplicateKey, line: Some(line), field: Some(field), other })
                }
                None => {
                    own.insert(value, line);
                }
            }
        }
        if taken.is_empty() {
            owners.extend(own);
        } else {
            taken.sort_by_key(|strike| (strike.line, strike.field));
            strikes.insert(record, taken);
        }
    };
    conflicts.drain(&mut |bytes| {
        let next = number(&bytes[..8]);
        if let Some(done) = record.filter(|done| *done != next) {
            settle(done, &mut values);
        }
        record = Some(next);
        values.push((number(&bytes[8..16]), number(&bytes[16..24]), u16::from_be_bytes([bytes[24], bytes[25]])));
        Ok(())
    })?;
    if let Some(done) = record {
        settle(done, &mut values);
    }
    Ok(())
}
