//! One chunk of a file → its records, its rejects and its counts. What a worker does between the splitter and the assembler.

use super::claim::{Claim, ClaimKind, fingerprint};
use super::group::Grouping;
use super::mask::Pii;
use super::plan::{Field, Plan};
use super::record::{Mapper, Row};
use super::spec::Ragged;
use super::tally::Tally;
use super::text;
use super::value::Refusal;
use super::warned::Warned;
use crate::domain::file::RowCounts;
use crate::domain::reject::{Reject, RejectCode};
use crate::format::csv::index::Index;
use crate::format::csv::row::{Cells, Fault, Found, Rows, row_too_long};
use crate::format::csv::split::LongRow;
use crate::format::csv::{Dialect, Place};
use crate::format::encoding::Encoding;
use crate::format::layout::FoundLine;
use crate::format::tape;

/// A chunk on its way through the threads; its buffers are used again.
#[derive(Debug, Default)]
pub struct Load {
    /// The rows, as text in UTF-8.
    pub data: Vec<u8>,
    /// Where they are in that text.
    pub place: Place,
    /// Where they begin in the file as it came, in bytes.
    pub origin: u64,
    /// Instead of rows: one that was too long to be held.
    pub long: Option<LongRow>,
    /// What mapping made of them.
    pub mapped: Mapped,
}

/// What mapping made of a chunk.
#[derive(Debug, Default)]
pub struct Mapped {
    /// The records, each followed by the separator.
    pub out: Vec<u8>,
    /// Where each record ends in `out`, before its separator.
    pub ends: Vec<usize>,
    /// For each record: line, offset and length of its rows in the file, three little-endian `u64`.
    pub index: Vec<u8>,
    /// For each record the number of its rows; only when records wait for the end of the file.
    pub used_rows: Vec<u32>,
    /// For each row of each record its line, offset and length; only when rows are grouped.
    pub spots: Vec<u8>,
    /// Claims of records (by their position here) and of rows.
    pub claims: Vec<(u32, Claim)>,
    /// For each record its key and the fingerprint of what is sent; only with `[changes]`.
    pub states: Vec<(Vec<u8>, [u8; 32])>,
    /// What became of the rows.
    pub rows: RowCounts,
    /// Records (or rows that belong to none) that were rejected.
    pub rejected_records: u64,
    /// Bytes of rows, with line ends.
    pub row_bytes: u64,
    /// Bytes of blank lines, and of lines that are neither rows nor trailers.
    pub blank_bytes: u64,
    /// Bytes of trailer lines.
    pub trailer_bytes: u64,
    /// By control.
    pub tallies: Vec<Tally>,
    /// Lines that are no rows.
    pub specials: Vec<FoundLine>,
    /// Lines of the rows that a rule skips.
    pub skipped: Vec<u64>,
    /// The line of the last row.
    pub last_row: u64,
    /// The first row is broken so that the group before it cannot be whole.
    pub breaks_before: bool,
    /// The last row is broken so that the group behind it cannot be whole.
    pub breaks_after: bool,
    /// The first group became a record, and the last.
    pub edges_made: (bool, bool),
    /// The keys of the first group and the last; only when they are promised to ascend.
    pub edge_keys: Option<(String, String)>,
    pub(super) notes: Vec<Note>,
}

/// A reject whose raw row is still in the chunk, or in the file.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) spot: Spot,
    pub(super) column: Option<String>,
    pub(super) code: RejectCode,
    pub(super) message: String,
    pub(super) masked: Option<String>,
}

/// Where a row is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spot {
    /// Its line in the file.
    pub(super) line: u64,
    /// Its offset in the file, in bytes.
    pub(super) byte: u64,
    /// Its length in the file without the line end.
    pub(super) length: u64,
    /// Its start and end in the chunk.
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Mapped {
    fn clear(&mut self) {
        let Self { out, ends, index, skipped, used_rows, spots, claims, states, tallies, specials, notes, .. } = self;
        out.clear();
        ends.clear();
        index.clear();
        skipped.clear();
        used_rows.clear();
        spots.clear();
        claims.clear();
        states.clear();
        tallies.clear();
        specials.clear();
        notes.clear();
        (self.rows, self.rejected_records, self.last_row) = (RowCounts::default(), 0, 0);
        (self.row_bytes, self.blank_bytes, self.trailer_bytes) = (0, 0, 0);
        (self.breaks_before, self.breaks_after, self.edges_made) = (false, false, (false, false));
        self.edge_keys = None;
    }

    /// Number of records.
    pub fn made(&self) -> u64 {
        self.ends.len() as u64
    }

    pub(super) fn index_record(&mut self, first: Spot, end: u64) {
        for number in [first.line, first.byte, end - first.byte] {
            self.index.extend_from_slice(&number.to_le_bytes());
        }
    }
}

impl Load {
    /// The rejects, in the order of the rows. `raw` reads bytes of the file, where the chunk is not the file's own text.
    ///
    /// # Errors
    /// Those of `raw`.
    pub fn rejects(
        &self,
        raw: Option<&dyn Fn(u64, u64) -> std::io::Result<Vec<u8>>>,
    ) -> impl Iterator<Item = std::io::Result<Reject>> {
        self.mapped.notes.iter().map(move |note| {
            let bytes = match (&self.long, raw) {
                (Some(long), _) => long.start.clone(),
                (None, Some(raw)) => raw(note.spot.byte, note.spot.length)?,
                (None, None) => self.data.get(note.spot.start..note.spot.end).unwrap_or_default().to_vec(),
            };
            Ok(Reject {
                row: note.spot.line,
                byte: note.spot.byte,
                column: note.column.clone(),
                code: note.code.clone(),
                message: note.message.clone(),
                raw: bytes,
                masked: note.masked.clone(),
            })
        })
    }

    /// The end of the chunk in the text.
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

/// How the text that workers see came of the file.
#[derive(Clone, Copy, Debug)]
pub enum TextOf {
    /// It is the file.
    File,
    /// It was decoded.
    Decoded(Encoding),
    /// Rows of another format on a tape.
    Tape,
}

/// Maps chunks with one plan. One for each thread.
pub struct Worker<'p> {
    plan: &'p Plan,
    dialect: Dialect,
    text_of: TextOf,
    /// Between two records in `out`; `None` where each record is a body of its own.
    separator: Option<u8>,
    mapper: Mapper<'p>,
    grouping: Grouping,
    cells: Cells,
    index: Index,
    warned: Vec<Warned>,
}

impl<'p> Worker<'p> {
    /// `separator` stands behind each record.
    pub fn new(plan: &'p Plan, dialect: Dialect, text_of: TextOf, separator: Option<u8>) -> Self {
        Self {
            plan,
            dialect,
            text_of,
            separator,
            mapper: Mapper::new(plan),
            grouping: Grouping::new(plan),
            cells: Cells::default(),
            index: Index::default(),
            warned: vec![Warned::default(); plan.rules.len()],
        }
    }

    /// Maps the rows of `load`.
    pub fn map(&mut self, load: &mut Load) {
        let Load { data, place, origin, long, mapped } = load;
        mapped.clear();
        mapped.tallies.resize(self.plan.controls.len(), Tally::default());
        if let Some(long) = long {
            self.long_row(long, mapped);
            return;
        }
        let (mut cells, mut index) = (std::mem::take(&mut self.cells), std::mem::take(&mut self.index));
        let mut rows = Rows::indexed(data, *place, self.dialect, &mut index);
        let mut at = Position { byte: *origin, start: 0 };
        while let Some(mut found) = rows.next(&mut cells) {
            let (spot, length) = self.spot(data, &found, &cells, &mut at);
            if found.blank && found.fault.is_none() {
                mapped.blank_bytes += length;
                continue;
            }
            if self.special(&found, &cells, spot, length, mapped) {
                continue;
            }
            mapped.row_bytes += length;
            mapped.rows.read += 1;
            mapped.last_row = spot.line;
            self.recode(&mut found, data, spot);
            self.row(found, &cells, data, spot, mapped);
        }
        (self.cells, self.index) = (cells, index);
        if self.plan.groups() {
            self.finish_group(mapped);
            self.grouping.end_chunk(mapped);
        }
    }

    /// A row that was too long to be held is broken for certain.
    fn long_row(&mut self, long: &LongRow, mapped: &mut Mapped) {
        let Fault { code, message } = row_too_long(long.length);
        let spot = Spot { line: long.place.line, byte: long.place.byte, length: long.length, start: 0, end: 0 };
        let masked = self.plan.has_personal_data().then(|| HIDDEN.to_owned());
        mapped.notes.push(Note { spot, column: None, code, message, masked });
        mapped.rows = RowCounts { read: 1, rejected: 1, ..RowCounts::default() };
        mapped.rejected_records = 1;
        mapped.row_bytes = long.length;
        (mapped.breaks_before, mapped.breaks_after) = (true, true);
    }

    /// Where a row is in the file as it came, and its length there with the line end.
    #[inline]
    fn spot(&self, data: &[u8], found: &Found<'_>, cells: &Cells, at: &mut Position) -> (Spot, u64) {
        let Found { line, start, end, next, .. } = *found;
        match self.text_of {
            TextOf::File => {
                let byte = at.byte + start as u64;
                (Spot { line, byte, length: (end - start) as u64, start, end }, (next - start) as u64)
            }
            TextOf::Decoded(encoding) => {
                let bytes = |from: usize, to: usize| encoding.source_len(data.get(from..to).unwrap_or_default());
                let byte = at.byte + bytes(at.start, start);
                let (length, whole) = (bytes(start, end), bytes(start, next));
                *at = Position { byte: byte + whole, start: next };
                (Spot { line, byte, length, start, end }, whole)
            }
            TextOf::Tape => {
                let place = tape::place(cells, found.text, found.base);
                (Spot { line: place.line, byte: place.byte, length: place.length, start, end }, place.length)
            }
        }
    }

    /// Puts faults into the words of the file as it came.
    fn recode(&self, found: &mut Found<'_>, data: &[u8], spot: Spot) {
        match (self.text_of, &mut found.fault) {
            (TextOf::Decoded(encoding), Some(fault)) if fault.code == RejectCode::BadEncoding => {
                let row = data.get(found.start..found.end).unwrap_or_default();
                let at = std::str::from_utf8(row).err().map_or(0, |error| error.valid_up_to());
                let byte = spot.byte + encoding.source_len(row.get(..at).unwrap_or_default());
                fault.message = format!("the byte at offset {byte} is not {}", encoding.name());
            }
            _ => {}
        }
    }

    /// True when the row is a line of a layout that is no row.
    fn special(&mut self, found: &Found<'_>, cells: &Cells, spot: Spot, length: u64, mapped: &mut Mapped) -> bool {
        if self.plan.specials.is_empty() || found.fault.is_some() {
            return false;
        }
        let line = found.text.get(found.start - found.base..found.end - found.base).unwrap_or_default();
        let Some(special) = self.plan.specials.iter().find(|special| special.sign.is(line)) else { return false };
        let cell = |at: &usize| cells.text(*at, found.text, found.base).trim().to_owned();
        let cells = special.columns.iter().map(|(name, at)| (name.clone(), cell(at))).collect();
        match special.occurs {
            super::spec::Occurs::Last => mapped.trailer_bytes += length,
            _ => mapped.blank_bytes += length,
        }
        let (layout, occurs) = (special.layout.clone(), special.occurs);
        mapped.specials.push(FoundLine { layout, occurs, line: spot.line, byte: spot.byte, cells });
        true
    }

    /// One data row.
    #[inline]
    fn row(&mut self, mut found: Found<'_>, cells: &Cells, data: &[u8], spot: Spot, mapped: &mut Mapped) {
        let plan = self.plan;
        let row = Row { line: spot.line, ..Row::new(&found, cells) };
        let mut split = found.fault.is_none();
        if split && let TextOf::Tape = self.text_of {
            found.fault = tape::fault(cells, found.text, found.base);
            split = found.fault.is_none();
        }
        if found.fault.is_none() && cells.len() != plan.header.width + plan.header.offset {
            found.fault = self.ragged(row);
        }
        if !plan.controls.is_empty() {
            for (control, tally) in plan.controls.iter().zip(&mut mapped.tallies) {
                control.count(plan, row, found.fault.is_none(), tally);
            }
        }
        if let Some(Fault { code, message }) = found.fault.take() {
            let masked = if split { plan.masked_row(row) } else { plan.has_personal_data().then(|| HIDDEN.to_owned()) };
            mapped.notes.push(Note { spot, column: None, code, message, masked });
            mapped.rows.rejected += 1;
            match plan.groups() {
                true => self.broken_row(cells, data, spot, mapped),
                false => mapped.rejected_records += 1,
            }
            return;
        }
        for &(column, lookup) in &plan.same_file {
            self.has(row, column, lookup, mapped);
        }
        if !plan.skip_when.0.is_empty() && plan.skip_when.hold(plan, row) {
            mapped.rows.skipped += 1;
            mapped.skipped.push(spot.line);
            return;
        }
        match plan.groups() {
            true => self.grouped_row(row, spot, mapped),
            false => self.single_row(row, spot, mapped),
        }
    }

    /// A row that is a record by itself.
    #[inline]
    fn single_row(&mut self, row: Row<'_>, spot: Spot, mapped: &mut Mapped) {
        let plan = self.plan;
        let begin = mapped.out.len();
        if plan.has_extras {
            self.mapper.begin();
        }
        let Mapped { out, notes, .. } = mapped;
        let mut refuse = |field: Option<&Field>, refusal: Box<Refusal>| note(notes, plan, row, spot, field, refusal);
        let mut good = self.mapper.object(&plan.shape.record, row, row, out, &mut refuse);
        if !plan.orders.is_empty() {
            good &= self.mapper.in_order(false, &mut refuse);
        }
        for (rule, warned) in plan.rules.iter().zip(&mut self.warned).take(if good { usize::MAX } else { 0 }) {
            match rule.fault(&self.mapper.kept, &Default::default()) {
                None => {}
                Some(refusal) if rule.warn => warned.add(spot.line, || refusal.message),
                Some(refusal) => {
                    good = false;
                    refuse(None, refusal);
                }
            }
        }
        if !good {
            out.truncate(begin);
            mapped.rows.rejected += 1;
            mapped.rejected_records += 1;
            return;
        }
        mapped.rows.used += 1;
        self.close_record(spot, spot.byte + spot.length, 1, mapped);
    }

    /// Enters a record whose JSON is in `out` from `begin` on.
    #[inline]
    pub(super) fn close_record(&mut self, first: Spot, end: u64, rows: u32, mapped: &mut Mapped) {
        if self.plan.waits {
            let record = mapped.ends.len() as u32;
            mapped.used_rows.push(rows);
            mapped.claims.extend(self.mapper.claims.iter().map(|claim| (record, *claim)));
            if self.plan.changes.is_some() {
                mapped.states.push((self.mapper.key.clone(), self.mapper.state()));
            }
        }
        mapped.ends.push(mapped.out.len());
        mapped.out.extend(self.separator);
        mapped.index_record(first, end);
    }

    /// Says that a value stands in the column of a `same_file` lookup.
    fn has(&self, row: Row<'_>, column: usize, lookup: usize, mapped: &mut Mapped) {
        let cell = row.cell(column);
        if !self.plan.missing.is(cell)
            && let Some(table) = self.plan.lookups.get(lookup)
        {
            let hash = fingerprint(table.folded(cell.trim()).as_bytes());
            mapped.claims.push((u32::MAX, Claim::new(ClaimKind::Has { lookup: lookup as u16 }, hash, row.line)));
        }
    }

    /// The fault of a row with too few or too many cells; `None` where that is allowed.
    fn ragged(&self, row: Row<'_>) -> Option<Fault> {
        let (expected, found) = (self.plan.header.width, row.cells.len().saturating_sub(self.plan.header.offset));
        match self.plan.ragged {
            Ragged::Pad if found < expected => return None,
            Ragged::Truncate if found > expected => return None,
            _ => {}
        }
        let cells = text::count(found as u64, "cell");
        let detail = if found < expected {
            let names = self.plan.header.names.get(found..).unwrap_or_default();
            match names {
                [] => String::new(),
                [name] => format!("; {} is missing", text::shown(name)),
                names => format!("; {} are missing", text::list(names, 10)),
            }
        } else if self.plan.has_personal_data() {
            String::new()
        } else {
            let first = row.cell(expected);
            format!("; the first beyond the last column is {}", text::shown(first))
        };
        Some(Fault {
            code: RejectCode::RaggedRow,
            message: format!("the row has {cells}, and {expected} are expected{detail}"),
        })
    }

    pub(super) fn parts(&mut self) -> (&'p Plan, &mut Mapper<'p>, &mut Grouping, &mut Vec<Warned>) {
        (self.plan, &mut self.mapper, &mut self.grouping, &mut self.warned)
    }

    /// What was warned about: by field, and by check.
    pub fn warned(self) -> Warnings {
        Warnings { misses: self.mapper.misses, rules: self.warned }
    }
}

/// Stands for a raw row that cannot be masked cell by cell.
const HIDDEN: &str = "(not shown: the row cannot be split into cells, and it may hold personal data)";

/// Where the measuring of decoded text has come to.
struct Position {
    /// In the file as it came.
    byte: u64,
    /// In the chunk.
    start: usize,
}

/// Notes the fault of a row.
#[expect(clippy::boxed_local, reason = "refusals travel boxed, so that the results of the hot path stay small")]
pub(super) fn note(
    notes: &mut Vec<Note>,
    plan: &Plan,
    row: Row<'_>,
    spot: Spot,
    field: Option<&Field>,
    refusal: Box<Refusal>,
) {
    let column = field.and_then(|field| field.column.clone());
    let masked = plan.masked_row(row);
    notes.push(Note { spot, column, code: refusal.code, message: refusal.message, masked });
}

impl Plan {
    /// The row as people see it; `None` when nothing in it is hidden.
    pub(super) fn masked_row(&self, row: Row<'_>) -> Option<String> {
        if !self.has_personal_data() {
            return None;
        }
        let cells = (self.header.offset..row.cells.len()).map(|at| {
            let pii: Option<Pii> = self.pii.get(at - self.header.offset).copied().flatten();
            pii.map_or_else(|| row.cell(at).to_owned(), |pii| pii.mask(row.cell(at)))
        });
        Some(cells.collect::<Vec<_>>().join(&self.delimiter))
    }
}

/// What records were sent in spite of: counted, to warn once for each field and check.
#[derive(Debug, Default)]
pub struct Warnings {
    misses: Vec<Warned>,
    rules: Vec<Warned>,
}

/// A warning about one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowWarning {
    /// Its line.
    pub line: u64,
    /// The column.
    pub column: Option<String>,
    /// The code.
    pub code: RejectCode,
    /// The value, or why a check does not hold.
    pub message: String,
}

impl Warnings {
    /// Adds what another thread has counted.
    pub fn add(&mut self, other: Self) {
        if self.misses.is_empty() && self.rules.is_empty() {
            *self = other;
            return;
        }
        for (sum, part) in self.misses.iter_mut().zip(other.misses) {
            sum.merge(part);
        }
        for (sum, part) in self.rules.iter_mut().zip(other.rules) {
            sum.merge(part);
        }
    }

    /// One text for each field and check, in the order of the mapping.
    pub fn texts(&self, plan: &Plan) -> Vec<String> {
        let misses = self.misses.iter().enumerate().filter_map(|(field, misses)| plan.miss_warning(field, misses));
        let rules = self.rules.iter().zip(&plan.rules).filter_map(|(warned, rule)| {
            let (line, message) = warned.first()?;
            let records = text::count(warned.rows, "record");
            Some(format!("{records}: {} does not hold (first on line {line}: {message})", rule.code()))
        });
        misses.chain(rules).collect()
    }

    /// The first rows of each warning.
    pub fn rows(&self, plan: &Plan) -> Vec<RowWarning> {
        let mut rows = Vec::new();
        for (misses, field) in self.misses.iter().zip(&plan.fields) {
            rows.extend(misses.examples.iter().map(|(line, value)| RowWarning {
                line: *line,
                column: field.column.clone(),
                code: RejectCode::LookupMissing,
                message: value.clone(),
            }));
        }
        for (warned, rule) in self.rules.iter().zip(&plan.rules) {
            rows.extend(warned.examples.iter().map(|(line, message)| RowWarning {
                line: *line,
                column: None,
                code: rule.code().clone(),
                message: message.clone(),
            }));
        }
        rows.sort_by_key(|row| row.line);
        rows
    }
}
