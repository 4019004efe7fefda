//! Rows with the same key, one behind the other → one record, or all of them rejected.

use super::chunk::{Mapped, Note, Spot, Worker, note};
use super::claim::{Claim, ClaimKind, fingerprint};
use super::kept::Kept;
use super::plan::{Field, Plan};
use super::record::{Mapper, Refuse, Row};
use super::rule::Seen;
use super::spec::OnConflict;
use super::text;
use super::value::Refusal;
use crate::domain::reject::RejectCode;
use crate::format::csv::row::{Cells, Rows};
use crate::format::csv::split::last_row_end;
use crate::format::csv::{Dialect, Place};
use crate::format::tape;

/// What is said of a key that does not ascend.
pub const NOT_SORTED: &str = "the mapping promises that keys ascend (`sorted = true`), and this one does not";

/// Between the cells of a key that has several.
const KEY_MARK: char = '\u{1f}';

/// The group at hand; its buffers are used again.
pub(super) struct Grouping {
    key: String,
    next_key: String,
    rows: Vec<GroupRow>,
    first: KeptRow,
    last: KeptRow,
    /// The record without its lists.
    head: Vec<u8>,
    /// The entries of each list.
    lists: Vec<Entries>,
    seen: Vec<Seen>,
    /// The head was written.
    headed: bool,
    rejected: bool,
    /// A broken row stands directly before.
    poisoned: bool,
    /// The first note of the group.
    first_note: usize,
    groups: usize,
    first_made: bool,
    last_made: bool,
}

/// A row of the group.
struct GroupRow {
    spot: Spot,
    /// It has a note of its own, or was counted already.
    noted: bool,
    masked: Option<String>,
}

/// A row that outlives its chunk's cells.
#[derive(Default)]
struct KeptRow {
    cells: Cells,
    text: String,
    line: u64,
    plain: bool,
    spot: Spot,
}

impl KeptRow {
    fn keep(&mut self, row: Row<'_>, spot: Spot) {
        self.cells.keep(&mut self.text, row.cells, row.text, row.base);
        (self.line, self.plain, self.spot) = (row.line, row.plain, spot);
    }

    fn row(&self) -> Row<'_> {
        Row { cells: &self.cells, text: &self.text, base: 0, line: self.line, plain: self.plain }
    }
}

/// The entries of one list.
#[derive(Default)]
struct Entries {
    json: Vec<u8>,
    /// Start, end, and what orders them.
    bounds: Vec<(usize, usize, Kept)>,
}

impl Grouping {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            key: String::new(),
            next_key: String::new(),
            rows: Vec::new(),
            first: KeptRow::default(),
            last: KeptRow::default(),
            head: Vec::new(),
            lists: plan.shape.lists.iter().map(|_| Entries::default()).collect(),
            seen: vec![Seen::default(); plan.rules.len()],
            headed: false,
            rejected: false,
            poisoned: false,
            first_note: 0,
            groups: 0,
            first_made: false,
            last_made: false,
        }
    }

    /// Forgets the group before.
    fn begin(&mut self, notes: usize) {
        self.rows.clear();
        self.head.clear();
        for list in &mut self.lists {
            list.json.clear();
            list.bounds.clear();
        }
        self.seen.fill(Seen::default());
        self.headed = false;
        self.rejected = std::mem::take(&mut self.poisoned);
        self.first_note = notes;
    }

    /// Tells what the neighbours of this chunk need to know, and is as new.
    pub(super) fn end_chunk(&mut self, mapped: &mut Mapped) {
        mapped.breaks_after = std::mem::take(&mut self.poisoned);
        mapped.edges_made = (self.first_made, self.last_made);
        (self.groups, self.first_made, self.last_made) = (0, false, false);
    }

    fn is_open(&self) -> bool {
        !self.rows.is_empty()
    }

    /// Puts the lists into the head; the record is in `out` then.
    fn assemble(&mut self, holes: &[(usize, usize)], order: bool, out: &mut Vec<u8>) {
        let mut from = 0;
        for &(hole, list) in holes {
            out.extend_from_slice(self.head.get(from..hole).unwrap_or_default());
            from = hole;
            let Some(list) = self.lists.get_mut(list) else { continue };
            if order {
                list.bounds.sort_by(|left, right| left.2.order(&right.2));
            }
            for (at, (start, end, _)) in list.bounds.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(list.json.get(*start..*end).unwrap_or_default());
            }
        }
        out.extend_from_slice(self.head.get(from..).unwrap_or_default());
    }
}

/// The key of a row; `false` when a part of it is missing.
fn read_key(plan: &Plan, row: Row<'_>, key: &mut String) -> bool {
    key.clear();
    let Some(group) = &plan.group else { return false };
    for (at, &column) in group.columns.iter().enumerate() {
        let cell = row.cell(column);
        if column >= row.cells.len() || plan.missing.is(cell) {
            return false;
        }
        if at > 0 {
            key.push(KEY_MARK);
        }
        key.push_str(cell.trim());
    }
    true
}

/// The key of a broken row; `false` when it cannot be read for certain.
fn read_broken_key(plan: &Plan, cells: &Cells, data: &[u8], key: &mut String) -> bool {
    key.clear();
    let Some(group) = &plan.group else { return false };
    for (at, &column) in group.columns.iter().enumerate() {
        let cell = cells.bytes(column, data).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let Some(cell) = cell.filter(|cell| !plan.missing.is(cell) && !cell.contains('\0')) else { return false };
        if at > 0 {
            key.push(KEY_MARK);
        }
        key.push_str(cell.trim());
    }
    true
}

impl Worker<'_> {
    /// A row whose structure is broken, and which is rejected already. If its key can be read, it rejects its group; otherwise
    /// the groups before and behind it, because it may have belonged to either.
    pub(super) fn broken_row(&mut self, cells: &Cells, data: &[u8], spot: Spot, mapped: &mut Mapped) {
        let (plan, _, grouping, _) = self.parts();
        let mut key = std::mem::take(&mut grouping.next_key);
        if read_broken_key(plan, cells, data, &mut key) {
            if !grouping.is_open() || grouping.key != key {
                let own_note = mapped.notes.pop();
                self.finish_group(mapped);
                let grouping = self.parts().2;
                grouping.begin(mapped.notes.len());
                std::mem::swap(&mut grouping.key, &mut key);
                mapped.notes.extend(own_note);
            }
            let grouping = self.parts().2;
            (grouping.rejected, grouping.poisoned, grouping.next_key) = (true, false, key);
            grouping.rows.push(GroupRow { spot, noted: true, masked: None });
            return;
        }
        grouping.next_key = key;
        self.unkeyed_row(mapped);
    }

    /// A row that belongs to no group for certain.
    fn unkeyed_row(&mut self, mapped: &mut Mapped) {
        mapped.rejected_records += 1;
        let grouping = self.parts().2;
        if grouping.is_open() {
            grouping.rejected = true;
        } else if grouping.groups == 0 {
            mapped.breaks_before = true;
        }
        grouping.poisoned = true;
    }

    /// A row of a group.
    pub(super) fn grouped_row(&mut self, row: Row<'_>, spot: Spot, mapped: &mut Mapped) {
        let (plan, _, grouping, _) = self.parts();
        let mut key = std::mem::take(&mut grouping.next_key);
        if !read_key(plan, row, &mut key) {
            grouping.next_key = key;
            let message = "a cell that rows are grouped by is empty, so the row belongs to no record".to_owned();
            let column = plan.group.as_ref().and_then(|group| {
                let at = group.columns.iter().find(|column| plan.missing.is(row.cell(**column)))?;
                plan.header.names.get(at - plan.header.offset).cloned()
            });
            let masked = plan.masked_row(row);
            mapped.notes.push(Note { spot, column, code: RejectCode::Required, message, masked });
            mapped.rows.rejected += 1;
            self.unkeyed_row(mapped);
            return;
        }
        if !grouping.is_open() || grouping.key != key {
            self.finish_group(mapped);
            let grouping = self.parts().2;
            grouping.begin(mapped.notes.len());
            std::mem::swap(&mut grouping.key, &mut key);
        }
        self.parts().2.poisoned = false;
        let (plan, mapper, grouping, _) = self.parts();
        grouping.next_key = key;
        let notes_before = mapped.notes.len();
        let notes = &mut mapped.notes;
        let mut refuse = |field: Option<&Field>, refusal: Box<Refusal>| note(notes, plan, row, spot, field, refusal);
        let mut good = match grouping.headed {
            false => grouping.first_row(plan, mapper, row, spot, &mut refuse),
            true => grouping.agree(plan, mapper, row, spot, &mut refuse),
        };
        good &= grouping.line(plan, mapper, row, &mut refuse);
        grouping.rejected |= !good;
        let noted = mapped.notes.len() > notes_before;
        let masked = if noted { None } else { plan.masked_row(row) };
        self.parts().2.rows.push(GroupRow { spot, noted: false, masked });
        if noted && let Some(last) = self.parts().2.rows.last_mut() {
            last.noted = true;
            mapped.rows.rejected += 1;
        }
    }

    /// Ends the group at hand: it becomes a record, or all of its rows are rejected.
    pub(super) fn finish_group(&mut self, mapped: &mut Mapped) {
        let (plan, mapper, grouping, warned) = self.parts();
        if !grouping.is_open() {
            return;
        }
        let first = grouping.rows.first().map(|row| row.spot).unwrap_or_default();
        let end = grouping.rows.last().map_or(0, |row| row.spot.byte + row.spot.length);
        if grouping.headed && plan.group.as_ref().is_some_and(|group| group.on_conflict == OnConflict::Last) {
            let notes_before = mapped.notes.len();
            grouping.settle_head(plan, mapper, &mut mapped.notes);
            grouping.count_noted(notes_before, mapped);
        }
        if plan.group.as_ref().is_some_and(|group| group.sorted) {
            let notes_before = mapped.notes.len();
            grouping.ascend(plan, first, mapped);
            grouping.count_noted(notes_before, mapped);
        }
        if !grouping.rejected {
            for ((rule, seen), warned) in plan.rules.iter().zip(&grouping.seen).zip(warned) {
                match rule.fault(&mapper.kept, seen) {
                    None => {}
                    Some(refusal) if rule.warn => warned.add(first.line, || refusal.message),
                    Some(refusal) => {
                        grouping.rejected = true;
                        note(&mut mapped.notes, plan, grouping.first.row(), first, None, refusal);
                        if let Some(row) = grouping.rows.first_mut().filter(|row| !row.noted) {
                            row.noted = true;
                            mapped.rows.rejected += 1;
                        }
                    }
                }
            }
        }
        let made = !grouping.rejected;
        if grouping.groups == 0 {
            grouping.first_made = made;
        }
        grouping.groups += 1;
        grouping.last_made = made;
        let group = plan.group.as_ref();
        // Also the key of a rejected group is taken: what comes back would be half a record.
        let hash = fingerprint(grouping.key.as_bytes());
        let claim = Claim { place: (first.byte, first.length), ..Claim::new(ClaimKind::Group, hash, first.line) };
        let tracked = group.is_some_and(|group| !group.sorted);
        if !made {
            if tracked {
                mapped.claims.push((u32::MAX, claim));
            }
            grouping.reject_all(mapped);
            return;
        }
        grouping.assemble(&mapper.holes, group.is_some_and(|group| group.order_by.is_some()), &mut mapped.out);
        if tracked {
            mapper.claims.push(claim);
        }
        let rows = grouping.rows.len() as u32;
        for row in grouping.rows.drain(..) {
            for number in [row.spot.line, row.spot.byte, row.spot.length] {
                mapped.spots.extend_from_slice(&number.to_le_bytes());
            }
        }
        mapped.rows.used += u64::from(rows);
        self.close_record(first, end, rows, mapped);
    }
}

impl Grouping {
    /// The fields of the record, from its first row. When the last row decides, their faults are found at its end.
    fn first_row(
        &mut self,
        plan: &Plan,
        mapper: &mut Mapper<'_>,
        row: Row<'_>,
        spot: Spot,
        refuse: &mut Refuse<'_>,
    ) -> bool {
        mapper.begin();
        self.headed = true;
        self.first.keep(row, spot);
        self.last.keep(row, spot);
        self.head.clear();
        if plan.group.as_ref().is_some_and(|group| group.on_conflict == OnConflict::Last) {
            mapper.object(&plan.shape.record, row, row, &mut self.head, &mut |_, _| {});
            return true;
        }
        let good = mapper.object(&plan.shape.record, row, row, &mut self.head, refuse);
        good & mapper.in_order(false, refuse)
    }

    /// A later row: what belongs to the whole record must be the same here.
    fn agree(
        &mut self,
        plan: &Plan,
        mapper: &mut Mapper<'_>,
        row: Row<'_>,
        spot: Spot,
        refuse: &mut Refuse<'_>,
    ) -> bool {
        let Some(group) = &plan.group else { return true };
        match group.on_conflict {
            OnConflict::First => return true,
            OnConflict::Last => {
                self.last.keep(row, spot);
                return true;
            }
            OnConflict::Reject => {}
        }
        let first = self.first.row();
        let mut good = true;
        for field in &plan.fields {
            let agreed = field.extras.as_ref().is_some_and(|extras| extras.agreed);
            if !agreed || field.source_is_same(first, row) {
                continue;
            }
            let (here, there) = (mapper.cleaned(field, row), mapper.cleaned(field, first));
            if here != there {
                good = false;
                refuse(Some(field), conflict(field, here.as_deref(), there.as_deref(), first.line));
            }
        }
        good
    }

    /// The entries of the lists.
    fn line(&mut self, plan: &Plan, mapper: &mut Mapper<'_>, row: Row<'_>, refuse: &mut Refuse<'_>) -> bool {
        let mut good = true;
        let order_by = plan.group.as_ref().and_then(|group| group.order_by);
        for (steps, list) in plan.shape.lists.iter().zip(&mut self.lists) {
            let start = list.json.len();
            good &= mapper.object(steps, row, row, &mut list.json, refuse);
            let order = order_by.and_then(|slot| mapper.kept.get(slot).cloned()).unwrap_or_default();
            list.bounds.push((start, list.json.len(), order));
        }
        if good {
            good = mapper.in_order(true, refuse);
        }
        for (rule, seen) in plan.rules.iter().zip(&mut self.seen) {
            rule.see_line(&mapper.kept, seen);
        }
        good
    }

    /// With `on_conflict = "last"` the fields of the record are written again: from the last row as far as rows must agree, from
    /// the first one otherwise.
    fn settle_head(&mut self, plan: &Plan, mapper: &mut Mapper<'_>, notes: &mut Vec<Note>) {
        mapper.holes.clear();
        let of_record = |claim: &Claim| match claim.kind {
            ClaimKind::Unique(field) | ClaimKind::Needs { field, .. } => !plan.is_of_lines(field),
            _ => false,
        };
        mapper.claims.retain(|claim| !of_record(claim));
        self.head.clear();
        let (first, last) = (&self.first, &self.last);
        let mut refuse = |field: Option<&Field>, refusal: Box<Refusal>| {
            let agreed = field.and_then(|field| field.extras.as_ref()).is_some_and(|extras| extras.agreed);
            let row = if agreed { last } else { first };
            note(notes, plan, row.row(), row.spot, field, refusal);
        };
        let mut good = mapper.object(&plan.shape.record, first.row(), last.row(), &mut self.head, &mut refuse);
        good &= mapper.in_order(false, &mut refuse);
        self.rejected |= !good;
    }

    /// With `sorted = true` no key may stand behind a greater one: it could have been there before.
    fn ascend(&mut self, plan: &Plan, first: Spot, mapped: &mut Mapped) {
        match &mut mapped.edge_keys {
            None => mapped.edge_keys = Some((self.key.clone(), self.key.clone())),
            Some((_, last)) => {
                if self.key <= *last {
                    self.rejected = true;
                    let masked = if self.headed { plan.masked_row(self.first.row()) } else { None };
                    let (column, code) = (plan.group_column(), RejectCode::GroupSplit);
                    mapped.notes.push(Note { spot: first, column, code, message: NOT_SORTED.to_owned(), masked });
                }
                last.clone_from(&self.key);
            }
        }
    }

    /// Counts the rows that got notes after they were taken.
    fn count_noted(&mut self, from: usize, mapped: &mut Mapped) {
        for note in mapped.notes.get(from..).unwrap_or_default() {
            if let Some(row) = self.rows.iter_mut().find(|row| row.spot.start == note.spot.start && !row.noted) {
                row.noted = true;
                mapped.rows.rejected += 1;
            }
        }
    }

    /// Rejects what is left of the group for the fault of another row.
    fn reject_all(&mut self, mapped: &mut Mapped) {
        mapped.rejected_records += 1;
        let cause = mapped.notes.get(self.first_note..).unwrap_or_default().iter().map(|note| note.spot.line).min();
        let message = match cause {
            Some(line) => format!("rejected with its group, for the fault on line {line}"),
            None => "rejected with its group, for a broken row beside it".to_owned(),
        };
        for row in self.rows.drain(..).filter(|row| !row.noted) {
            mapped.rows.rejected += 1;
            mapped.notes.push(Note {
                spot: row.spot,
                column: None,
                code: RejectCode::Group,
                message: message.clone(),
                masked: row.masked,
            });
        }
        self.rows.clear();
        if let Some(notes) = mapped.notes.get_mut(self.first_note..) {
            notes.sort_by_key(|note| note.spot.start);
        }
    }
}

fn conflict(field: &Field, here: Option<&str>, there: Option<&str>, first_line: u64) -> Box<Refusal> {
    let hidden = field.extras.as_ref().is_some_and(|extras| extras.pii.is_some());
    let shown = |value: Option<&str>| match value {
        _ if hidden => "another value".to_owned(),
        Some(value) => text::shown(value),
        None => "nothing".to_owned(),
    };
    let message = format!(
        "`{}` belongs to the whole record, and it is {} here and {} on line {first_line}",
        field.target,
        shown(here),
        if hidden { "not the same".to_owned() } else { shown(there) },
    );
    Refusal::new(RejectCode::GroupConflict, message)
}

/// How far from its end a chunk is searched for the beginning of a group: first a little, then more.
const WINDOWS: [usize; 3] = [4 << 10, 64 << 10, usize::MAX];

impl Plan {
    /// Where the last group among the whole rows in `data` begins; 0 when only one group is known to be there. Skipped rows do
    /// not end a group, and beside a broken row none is known to begin.
    pub fn last_group_start(&self, data: &[u8], place: Place, dialect: Dialect, tape: bool) -> usize {
        for window in WINDOWS {
            let from = match data.len().checked_sub(window) {
                Some(end) => last_row_end(data.get(..end).unwrap_or_default(), dialect, false).cut,
                None => 0,
            };
            let start = self.group_start_in(data.get(from..).unwrap_or_default(), place, dialect, tape);
            if start > 0 || from == 0 {
                return if start > 0 { from + start } else { 0 };
            }
        }
        0
    }

    fn group_start_in(&self, data: &[u8], place: Place, dialect: Dialect, tape: bool) -> usize {
        let (mut rows, mut cells) = (Rows::new(data, place, dialect), Cells::default());
        let (mut key, mut before, mut known, mut start) = (String::new(), String::new(), false, 0);
        while let Some(found) = rows.next(&mut cells) {
            if found.blank && found.fault.is_none() {
                continue;
            }
            let row = Row::new(&found, &cells);
            let broken = found.fault.is_some() || (tape && tape::fault(&cells, found.text, found.base).is_some());
            if !broken && !self.skip_when.0.is_empty() && self.skip_when.hold(self, row) {
                continue;
            }
            if broken || !read_key(self, row, &mut key) {
                known = false;
                continue;
            }
            if known && key != before {
                start = found.start;
            }
            known = true;
            std::mem::swap(&mut key, &mut before);
        }
        start
    }
}
