//! Records that the output format cannot hold are rejects like any others: found while the file is mapped, before anything is
//! sealed or sent.

use super::chunk::{Load, Mapped, Note, Spot};
use super::claim::ClaimKind;
use super::plan::Plan;
use crate::domain::reject::RejectCode;
use crate::format::write::{RecordWriter, Refused};

/// Size of the place of a row: line, offset, length.
const PLACE: usize = 24;

/// Tries every record out on a writer. One for each thread.
pub struct Writable<'p> {
    plan: &'p Plan,
    writer: Box<dyn RecordWriter>,
    separator: usize,
    out: Vec<u8>,
}

impl<'p> Writable<'p> {
    /// `separator` stands behind each record.
    pub fn new(plan: &'p Plan, writer: Box<dyn RecordWriter>, separator: Option<u8>) -> Self {
        Self { plan, writer, separator: usize::from(separator.is_some()), out: Vec::new() }
    }

    /// Takes the records out of a chunk that cannot be written.
    pub fn strike(&mut self, load: &mut Load) {
        let mut struck: Vec<(usize, Vec<Refused>)> = Vec::new();
        let (mut start, mut refused) = (0, Vec::new());
        for (at, &end) in load.mapped.ends.iter().enumerate() {
            self.out.clear();
            let record = load.mapped.out.get(start..end).unwrap_or_default();
            self.writer.record(record, &mut self.out, &mut refused);
            if !refused.is_empty() {
                struck.push((at, std::mem::take(&mut refused)));
            }
            start = end + self.separator;
        }
        if !struck.is_empty() {
            self.remove(load, &struck);
        }
    }

    fn remove(&self, load: &mut Load, struck: &[(usize, Vec<Refused>)]) {
        let origin = load.origin;
        let mapped = &mut load.mapped;
        let records = mapped.ends.len();
        let mut kept = Mapped::default();
        // The new number of each record.
        let mut numbers: Vec<Option<u32>> = Vec::with_capacity(records);
        let (mut start, mut spot, mut next) = (0, 0, struck.iter().peekable());
        for at in 0..records {
            let end = mapped.ends.get(at).map_or(start, |end| end + self.separator);
            let rows = mapped.used_rows.get(at).copied().unwrap_or(1) as usize;
            let index = mapped.index.get(at * PLACE..(at + 1) * PLACE).unwrap_or_default();
            let spots = mapped.spots.get(spot..spot + rows * PLACE);
            let refused = next.next_if(|(number, _)| *number == at);
            match refused {
                Some((_, refused)) => {
                    let places = spots.unwrap_or(index).chunks_exact(PLACE).map(|place| self::spot(place, origin));
                    self.reject(places, refused, &mut mapped.notes);
                    mapped.rows.used -= rows as u64;
                    mapped.rows.rejected += rows as u64;
                    mapped.rejected_records += 1;
                    numbers.push(None);
                }
                None => {
                    numbers.push(Some(kept.ends.len() as u32));
                    kept.out.extend_from_slice(mapped.out.get(start..end).unwrap_or_default());
                    kept.ends.push(kept.out.len() - self.separator);
                    kept.index.extend_from_slice(index);
                    kept.spots.extend_from_slice(spots.unwrap_or_default());
                    kept.used_rows.extend(mapped.used_rows.get(at));
                    kept.states.extend(mapped.states.get_mut(at).map(std::mem::take));
                }
            }
            start = end;
            spot += spots.map_or(0, <[u8]>::len);
        }
        let is_kept = |at: usize| numbers.get(at).copied().flatten().is_some();
        mapped.edges_made = (mapped.edges_made.0 && is_kept(0), mapped.edges_made.1 && is_kept(records - 1));
        mapped.claims.retain_mut(|(record, claim)| match numbers.get(*record as usize) {
            None => true,
            Some(Some(number)) => {
                *record = *number;
                true
            }
            // The key of a group stays taken: what comes back would be half a record.
            Some(None) => {
                *record = u32::MAX;
                matches!(claim.kind, ClaimKind::Group)
            }
        });
        mapped.notes.sort_by_key(|note| note.spot.line);
        (mapped.out, mapped.ends, mapped.index) = (kept.out, kept.ends, kept.index);
        (mapped.spots, mapped.used_rows, mapped.states) = (kept.spots, kept.used_rows, kept.states);
    }

    /// The first row is to blame, and the others go with it.
    fn reject(&self, mut rows: impl Iterator<Item = Spot>, refused: &[Refused], notes: &mut Vec<Note>) {
        let masked = self.plan.has_personal_data().then(|| "(not shown: it may hold personal data)".to_owned());
        let Some(first) = rows.next() else { return };
        for Refused { column, code, message } in refused {
            let (target, source) = (self.plan.target(*column), self.plan.blamed(*column).0.map(str::to_owned));
            let message = match self.plan.hides(*column) {
                true => format!("the value of `{target}` (personal data, not shown) cannot be written in the output"),
                false => format!("`{target}` {message}"),
            };
            notes.push(Note { spot: first, column: source, code: code.clone(), message, masked: masked.clone() });
        }
        for spot in rows {
            let message = format!("rejected with its group, for the fault on line {}", first.line);
            notes.push(Note { spot, column: None, code: RejectCode::Group, message, masked: masked.clone() });
        }
    }
}

/// The place of a row in its file, and in a chunk that is the file's own text.
fn spot(place: &[u8], origin: u64) -> Spot {
    let number = |at: usize| {
        let word = place.get(at * 8..at * 8 + 8).and_then(|word| word.try_into().ok());
        word.map_or(0, u64::from_le_bytes)
    };
    let (line, byte, length) = (number(0), number(1), number(2));
    let start = byte.saturating_sub(origin) as usize;
    Spot { line, byte, length, start, end: start + length as usize }
}
