//! One chunk of a file → its records, its rejects and its counts. What a worker does between the splitter and the assembler.

use super::plan::Plan;
use super::record::{Mapper, Misses, Outcome, Row};
use super::text;
use crate::domain::file::RowCounts;
use crate::domain::reject::{Reject, RejectCode};
use crate::format::csv::row::{Cells, Fault, Rows, row_too_long};
use crate::format::csv::split::LongRow;
use crate::format::csv::{Dialect, Place};

/// A chunk on its way through the threads; its buffers are used again.
#[derive(Debug, Default)]
pub struct Load {
    /// The rows, as they are in the file.
    pub data: Vec<u8>,
    /// Where they are in the file.
    pub place: Place,
    /// Instead of rows: one that was too long to be held.
    pub long: Option<LongRow>,
    /// What mapping made of them.
    pub mapped: Mapped,
}

/// What mapping made of a chunk.
#[derive(Debug, Default)]
pub struct Mapped {
    /// The records, each followed by `separator` bytes for a comma.
    pub out: Vec<u8>,
    /// Where each record ends in `out`, before its comma.
    pub ends: Vec<usize>,
    /// For each record: line, offset and length of its row, three little-endian `u64`.
    pub index: Vec<u8>,
    /// What became of the rows.
    pub rows: RowCounts,
    /// Bytes of rows, with line ends.
    pub row_bytes: u64,
    /// Bytes of blank lines.
    pub blank_bytes: u64,
    notes: Vec<Note>,
}

/// A reject whose raw row is still in the chunk.
#[derive(Debug)]
struct Note {
    row: u64,
    start: usize,
    end: usize,
    column: Option<String>,
    code: RejectCode,
    message: String,
}

impl Mapped {
    fn clear(&mut self) {
        self.out.clear();
        self.ends.clear();
        self.index.clear();
        self.notes.clear();
        (self.rows, self.row_bytes, self.blank_bytes) = (RowCounts::default(), 0, 0);
    }
}

impl Load {
    /// The rejects, in the order of the rows, each with its raw row.
    pub fn rejects(&self) -> impl Iterator<Item = Reject> {
        self.mapped.notes.iter().map(|note| Reject {
            row: note.row,
            byte: self.place.byte + note.start as u64,
            column: note.column.clone(),
            code: note.code,
            message: note.message.clone(),
            raw: match &self.long {
                Some(long) => long.start.clone(),
                None => self.data.get(note.start..note.end).unwrap_or_default().to_vec(),
            },
        })
    }

    /// The end of the chunk in the file.
    pub fn end(&self) -> u64 {
        self.place.byte + self.long.as_ref().map_or(self.data.len() as u64, |long| long.length)
    }

    /// Gives back memory that one unusual row has taken.
    pub fn shrink(&mut self, most: usize) {
        self.data.clear();
        self.mapped.clear();
        self.data.shrink_to(most);
        self.mapped.out.shrink_to(4 * most);
        self.mapped.ends.shrink_to(most);
        self.mapped.index.shrink_to(most);
        self.mapped.notes.shrink_to(1024);
        self.long = None;
    }
}

/// Maps chunks with one plan. One for each thread.
pub struct Worker<'p> {
    plan: &'p Plan,
    dialect: Dialect,
    /// Bytes between two records in `out`: 1 for a comma, 0 where each record is a body of its own.
    separator: usize,
    mapper: Mapper<'p>,
    cells: Cells,
}

impl<'p> Worker<'p> {
    /// `alone`: each record is a body of its own.
    pub fn new(plan: &'p Plan, dialect: Dialect, alone: bool) -> Self {
        Self { plan, dialect, separator: usize::from(!alone), mapper: Mapper::new(plan), cells: Cells::default() }
    }

    /// Maps the rows of `load`.
    pub fn map(&mut self, load: &mut Load) {
        let Load { data, place, long, mapped } = load;
        mapped.clear();
        if let Some(long) = long {
            let Fault { code, message } = row_too_long(long.length);
            mapped.notes.push(Note { row: place.line, start: 0, end: 0, column: None, code, message });
            mapped.rows = RowCounts { read: 1, rejected: 1, ..RowCounts::default() };
            mapped.row_bytes = long.length;
            return;
        }
        let mut rows = Rows::new(data, *place, self.dialect);
        while let Some(mut found) = rows.next(&mut self.cells) {
            let length = (found.next - found.start) as u64;
            if found.blank && found.fault.is_none() {
                mapped.blank_bytes += length;
                continue;
            }
            mapped.row_bytes += length;
            mapped.rows.read += 1;
            if found.fault.is_none() && self.cells.len() != self.plan.header.width {
                found.fault = Some(self.ragged(Row::new(&found, &self.cells)));
            }
            let (row, start, end) = (found.line, found.start, found.end);
            if let Some(Fault { code, message }) = found.fault.take() {
                mapped.notes.push(Note { row, start, end, column: None, code, message });
                mapped.rows.rejected += 1;
                continue;
            }
            let Mapped { out, notes, .. } = mapped;
            let outcome = self.mapper.map(Row::new(&found, &self.cells), out, &mut |field, refusal| {
                let column = field.column.clone();
                notes.push(Note { row, start, end, column, code: refusal.code, message: refusal.message });
            });
            match outcome {
                Outcome::Skipped => mapped.rows.skipped += 1,
                Outcome::Rejected => mapped.rows.rejected += 1,
                Outcome::Used => {
                    mapped.rows.used += 1;
                    mapped.ends.push(mapped.out.len());
                    if self.separator == 1 {
                        mapped.out.push(b',');
                    }
                    for number in [row, place.byte + start as u64, (end - start) as u64] {
                        mapped.index.extend_from_slice(&number.to_le_bytes());
                    }
                }
            }
        }
    }

    /// The fault of a row with too few or too many cells.
    fn ragged(&self, row: Row<'_>) -> Fault {
        let (expected, found) = (self.plan.header.width, row.cells.len());
        let cells = text::count(found as u64, "cell");
        let detail = if found < expected {
            let names = self.plan.header.names.get(found..).unwrap_or_default();
            match names {
                [] => String::new(),
                [name] => format!("; {} is missing", text::shown(name)),
                names => format!("; {} are missing", text::list(names, 10)),
            }
        } else {
            let first = row.cells.text(expected, row.text, row.base);
            format!("; the first beyond the last column is {}", text::shown(first))
        };
        Fault {
            code: RejectCode::RaggedRow,
            message: format!("the row has {cells}, and {expected} are expected{detail}"),
        }
    }

    /// What was not in lookups, by field.
    pub fn misses(self) -> LookupMisses {
        LookupMisses(self.mapper.misses)
    }
}

/// Values that were not in a lookup, so that a default was used: counted, to warn once for each field.
#[derive(Debug, Default)]
pub struct LookupMisses(Vec<Misses>);

impl LookupMisses {
    /// Adds what another thread has counted.
    pub fn add(&mut self, other: Self) {
        if self.0.is_empty() {
            self.0 = other.0;
            return;
        }
        for (sum, part) in self.0.iter_mut().zip(other.0) {
            sum.rows += part.rows;
            sum.first = match (sum.first.take(), part.first) {
                (Some(left), Some(right)) => Some(if left.1 <= right.1 { left } else { right }),
                (left, right) => left.or(right),
            };
        }
    }

    /// The warnings, in the order of the fields.
    pub fn warnings(&self, plan: &Plan) -> Vec<String> {
        self.0.iter().enumerate().filter_map(|(field, misses)| plan.miss_warning(field, misses)).collect()
    }
}
