//! The stage: records that wait for the end of the file, in files without a name.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use super::begin::read_raw;
use super::reject_file::{read_part, read_reject, write_part, write_reject};
use super::sorter::scratch_file;
use super::verdict::{Loose, Strike, Strikes};
use super::{ChangeCounts, KnownStates, RecordSink};
use crate::domain::file::RowCounts;
use crate::domain::reject::{Reject, RejectCode};
use crate::mapping::chunk::Mapped;
use crate::mapping::group::NOT_SORTED;
use crate::mapping::plan::Plan;

/// About how many bytes of records go on at once.
const BLOCK: usize = 256 << 10;

/// Where records wait.
pub(super) struct Stage {
    /// Their bytes with separators, back to back.
    out: BufWriter<File>,
    /// For each record: index entry, length, number of rows; for records of several rows the place of each row; with `[changes]`
    /// key and state.
    entries: BufWriter<File>,
    rejects: BufWriter<File>,
    separator: usize,
}

impl Stage {
    pub(super) fn new(scratch: Option<&Path>, separator: Option<u8>) -> io::Result<Self> {
        let file = || Ok::<_, io::Error>(BufWriter::with_capacity(1 << 18, scratch_file(scratch)?));
        Ok(Self { out: file()?, entries: file()?, rejects: file()?, separator: usize::from(separator.is_some()) })
    }

    pub(super) fn reject(&mut self, reject: &Reject) -> io::Result<()> {
        write_reject(&mut self.rejects, reject)
    }

    /// Takes the records of a chunk.
    pub(super) fn add(&mut self, mapped: &Mapped) -> io::Result<()> {
        self.out.write_all(&mapped.out)?;
        let (mut start, mut spot) = (0, 0);
        for (at, end) in mapped.ends.iter().enumerate() {
            let rows = mapped.used_rows.get(at).copied().unwrap_or(1);
            self.entries.write_all(mapped.index.get(at * 24..at * 24 + 24).unwrap_or_default())?;
            self.entries.write_all(&((end - start) as u64).to_le_bytes())?;
            self.entries.write_all(&u64::from(rows).to_le_bytes())?;
            if !mapped.spots.is_empty() {
                let spots = mapped.spots.get(spot..spot + rows as usize * 24).unwrap_or_default();
                self.entries.write_all(spots)?;
                spot += spots.len();
            }
            if let Some((key, state)) = mapped.states.get(at) {
                write_part(&mut self.entries, key)?;
                self.entries.write_all(state)?;
            }
            start = end + self.separator;
        }
        Ok(())
    }

    /// Hands out only what was rejected.
    pub(super) fn rejects_only(self, reject: &mut dyn FnMut(Reject) -> io::Result<()>) -> io::Result<()> {
        let mut rejects = reader(self.rejects)?;
        while let Some(one) = read_reject(&mut rejects)? {
            reject(one)?;
        }
        Ok(())
    }
}

fn reader(out: BufWriter<File>) -> io::Result<BufReader<File>> {
    let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(BufReader::with_capacity(1 << 18, file))
}

/// A record on its way off the stage.
struct Record {
    index: [u8; 24],
    length: u64,
    /// Line, offset and length of each row.
    rows: Vec<[u64; 3]>,
    key: Vec<u8>,
    state: [u8; 32],
}

/// Takes records off the stage.
pub(super) struct Staged<'s, 'a> {
    pub(super) plan: &'s Plan,
    pub(super) file: &'s File,
    pub(super) strikes: Strikes,
    pub(super) loose: Vec<Loose>,
    pub(super) records: &'s mut dyn RecordSink,
    pub(super) index: &'s mut BufWriter<&'a mut dyn Write>,
    pub(super) reject: &'s mut dyn FnMut(Reject) -> io::Result<()>,
    pub(super) states: Option<&'s mut (dyn KnownStates + 'a)>,
    pub(super) only_changed: bool,
    pub(super) rows: &'s mut RowCounts,
    pub(super) rejected_records: &'s mut u64,
    pub(super) changes: Option<ChangeCounts>,
}

impl Staged<'_, '_> {
    /// Goes through the records in the order of the file.
    pub(super) fn run(&mut self, stage: Stage) -> io::Result<()> {
        let separator = stage.separator;
        let (mut out, mut entries) = (reader(stage.out)?, reader(stage.entries)?);
        let mut rejects = Waiting::new(reader(stage.rejects)?, self.loose_rejects()?)?;
        if let (true, Some(states)) = (self.plan.compares(), self.states.as_deref_mut()) {
            self.changes = Some(ChangeCounts { known: states.known()?, ..ChangeCounts::default() });
        }
        let mut block = Mapped::default();
        let (mut number, mut sent) = (0, 0);
        while let Some(record) = self.read(&mut entries)? {
            let start = block.out.len();
            io::copy(&mut (&mut out).take(record.length + separator as u64), &mut block.out)?;
            let strikes = self.strikes.remove(&number);
            number += 1;
            if strikes.is_none() && !self.is_unchanged(&record, sent)? {
                block.ends.push(start + record.length as usize);
                block.index.extend_from_slice(&record.index);
                block.used_rows.push(record.rows.len() as u32);
                for number in record.rows.iter().flatten() {
                    block.spots.extend_from_slice(&number.to_le_bytes());
                }
                sent += 1;
            } else {
                block.out.truncate(start);
            }
            if let Some(strikes) = strikes {
                self.strike(&record, &strikes, &mut rejects)?;
            }
            if block.out.len() >= BLOCK {
                self.hand_on(&mut block)?;
            }
        }
        self.hand_on(&mut block)?;
        while let Some(reject) = rejects.before(u64::MAX)? {
            (self.reject)(reject)?;
        }
        if let Some(changes) = &mut self.changes {
            changes.disappeared = changes.known.saturating_sub(changes.changed + changes.unchanged);
        }
        Ok(())
    }

    fn hand_on(&mut self, block: &mut Mapped) -> io::Result<()> {
        self.records.add(block)?;
        self.index.write_all(&block.index)?;
        block.out.clear();
        block.ends.clear();
        block.index.clear();
        block.used_rows.clear();
        block.spots.clear();
        Ok(())
    }

    fn read(&self, entries: &mut BufReader<File>) -> io::Result<Option<Record>> {
        let mut index = [0; 24];
        match entries.read_exact(&mut index) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let number = super::reject_file::read_number;
        let (length, count) = (number(entries)?, number(entries)?);
        let mut rows = Vec::new();
        if self.plan.groups() {
            for _ in 0..count {
                rows.push([number(entries)?, number(entries)?, number(entries)?]);
            }
        } else {
            let mut words = &index[..];
            rows.push([number(&mut words)?, number(&mut words)?, number(&mut words)?]);
        }
        let (mut key, mut state) = (Vec::new(), [0; 32]);
        if self.plan.compares() {
            key = read_part(entries)?;
            entries.read_exact(&mut state)?;
        }
        Ok(Some(Record { index, length, rows, key, state }))
    }

    /// Groups that come back and were rejected already.
    fn loose_rejects(&mut self) -> io::Result<Vec<Reject>> {
        let loose = std::mem::take(&mut self.loose);
        let reject = |loose: Loose| {
            let Loose { line, byte, length, other } = loose;
            Ok(Reject {
                row: line,
                byte,
                column: self.plan.group_column(),
                code: RejectCode::GroupSplit,
                message: split_words(other),
                raw: read_raw(self.file, byte, length)?,
                masked: masked(self.plan),
            })
        };
        loose.into_iter().map(reject).collect()
    }

    /// Compares a record with the last accepted state of its key. When it is not sent, its rows are skipped.
    fn is_unchanged(&mut self, record: &Record, sent: u64) -> io::Result<bool> {
        let (Some(states), Some(changes)) = (self.states.as_deref_mut(), &mut self.changes) else { return Ok(false) };
        let key = String::from_utf8_lossy(&record.key);
        let unchanged = match states.state(&key)? {
            None => {
                changes.new += 1;
                false
            }
            Some(state) if state == record.state => {
                changes.unchanged += 1;
                true
            }
            Some(_) => {
                changes.changed += 1;
                false
            }
        };
        if unchanged && self.only_changed {
            let rows = record.rows.len() as u64;
            self.rows.used -= rows;
            self.rows.skipped += rows;
            states.is_now(None, &key, &record.state)?;
            return Ok(true);
        }
        states.is_now(Some(sent), &key, &record.state)?;
        Ok(false)
    }

    /// Rejects a record that looked good, in its place among the other rejects.
    fn strike(&mut self, record: &Record, strikes: &[Strike], rejects: &mut Waiting) -> io::Result<()> {
        *self.rejected_records += 1;
        let count = record.rows.len() as u64;
        self.rows.used -= count;
        self.rows.rejected += count;
        let first = record.rows.first().map_or(0, |row| row[0]);
        for &[line, byte, length] in &record.rows {
            while let Some(before) = rejects.before(line)? {
                (self.reject)(before)?;
            }
            let raw = read_raw(self.file, byte, length)?;
            let masked = masked(self.plan);
            let mut one = |code: RejectCode, column: Option<String>, message: String| {
                (self.reject)(Reject {
                    row: line,
                    byte,
                    column,
                    code,
                    message,
                    raw: raw.clone(),
                    masked: masked.clone(),
                })
            };
            let mut own = strikes.iter().filter(|strike| strike.line.unwrap_or(first) == line).peekable();
            if own.peek().is_none() {
                let cause = strikes.iter().map(|strike| strike.line.unwrap_or(first)).min().unwrap_or(first);
                one(RejectCode::Group, None, format!("rejected with its group, for the fault on line {cause}"))?;
            }
            for strike in own {
                let (column, message) = words(self.plan, strike);
                one(strike.code.clone(), column, message)?;
            }
        }
        Ok(())
    }
}

fn split_words(other: u64) -> String {
    if other == 0 {
        return NOT_SORTED.to_owned();
    }
    format!("the rows of this record do not stand together: others begin on line {other}")
}

/// A row that is looked at a second time is not split into cells again.
fn masked(plan: &Plan) -> Option<String> {
    plan.has_personal_data().then(|| "(not shown: it may hold personal data)".to_owned())
}

/// Rejects that were found while the file was read, and loose ones, in the order of the rows.
struct Waiting {
    early: BufReader<File>,
    next: Option<Reject>,
    loose: std::iter::Peekable<std::vec::IntoIter<Reject>>,
}

impl Waiting {
    fn new(mut early: BufReader<File>, loose: Vec<Reject>) -> io::Result<Self> {
        let next = read_reject(&mut early)?;
        Ok(Self { early, next, loose: loose.into_iter().peekable() })
    }

    /// The next one whose row stands before `line`.
    fn before(&mut self, line: u64) -> io::Result<Option<Reject>> {
        let early = self.next.as_ref().map_or(u64::MAX, |reject| reject.row);
        let loose = self.loose.peek().map_or(u64::MAX, |reject| reject.row);
        if early.min(loose) >= line {
            return Ok(None);
        }
        if loose <= early {
            // It is the cause; that the row went with its group says nothing more.
            if let Some(group) = self.next.take_if(|next| next.row == loose && next.code == RejectCode::Group) {
                drop(group);
                self.next = read_reject(&mut self.early)?;
            }
            return Ok(self.loose.next());
        }
        let next = read_reject(&mut self.early)?;
        Ok(std::mem::replace(&mut self.next, next))
    }
}

fn words(plan: &Plan, strike: &Strike) -> (Option<String>, String) {
    let (target, (column, lookup)) = match strike.field {
        Some(field) => (plan.target(usize::from(field)), plan.blamed(usize::from(field))),
        None => ("", (None, None)),
    };
    let other = strike.other;
    let message = match &strike.code {
        RejectCode::GroupSplit => return (plan.group_column(), split_words(other)),
        RejectCode::Group if other > 0 => format!("rejected with its group, which comes back on line {other}"),
        RejectCode::DuplicateKey => format!("`{target}` must be unique, and line {other} has the same value"),
        RejectCode::LookupMissing => format!("the value of `{target}` is not in {}", lookup.unwrap_or("this file")),
        _ => "rejected with its group, for a broken row beside it".to_owned(),
    };
    (column.map(str::to_owned), message)
}
