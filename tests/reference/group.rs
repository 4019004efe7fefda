//! Rows → records: each its own, or the rows of a key together.

use super::csv::{Place, Row};
use super::record::{self, Cells};
use super::{Mapping, OnConflict, Origin, Value};

/// One row on its way.
#[derive(Clone, Debug)]
pub struct Line {
    pub place: Place,
    /// By field; only those of the line when rows are grouped.
    pub values: Vec<Option<Value>>,
    /// Order among the faults of the row, column, code.
    pub faults: Vec<(usize, Option<String>, String)>,
}

/// A record to be, with its rows.
#[derive(Clone, Debug)]
pub struct Record {
    /// The key of the group; `None` without groups, and for a row whose key cannot be read.
    pub key: Option<String>,
    /// A row whose key cannot be read: it takes its neighbours with it.
    pub unreadable: bool,
    pub key_column: Option<String>,
    pub lines: Vec<Line>,
    /// By field.
    pub values: Vec<Option<Value>>,
    /// Rejected for what another row did.
    pub struck: bool,
}

impl Record {
    pub fn is_rejected(&self) -> bool {
        self.struck || self.lines.iter().any(|line| !line.faults.is_empty())
    }
}

/// A row that is not skipped.
struct Read {
    place: Place,
    cells: Option<Vec<String>>,
    key: Option<String>,
    fault: Option<&'static str>,
}

/// All records of the file, those with faults too. Skipped rows are not in them: they take no part in groups.
pub fn records(mapping: &Mapping, file_name: &str, header: &[String], rows: impl Iterator<Item = Row>) -> Vec<Record> {
    let mut groups: Vec<Vec<Read>> = Vec::new();
    for row in rows {
        let Some(read) = read(mapping, file_name, header, row) else { continue };
        let joins = read.key.is_some() && groups.last().is_some_and(|last| last[0].key == read.key);
        // A row without a readable key stands between two groups or within one, and splits neither.
        let around = groups.iter().rposition(|group| group[0].key.is_some());
        let resumes = read.key.is_some() && around.is_some_and(|at| groups[at][0].key == read.key);
        match (joins, resumes, around) {
            (true, ..) => groups.last_mut().expect("it was looked at").push(read),
            (false, true, Some(at)) => groups[at].push(read),
            _ => groups.push(vec![read]),
        }
    }
    groups.into_iter().map(|group| make(mapping, file_name, header, group)).collect()
}

/// Structure first, then `skip_when`.
fn read(mapping: &Mapping, file_name: &str, header: &[String], row: Row) -> Option<Read> {
    let ragged = row.cells.len() != header.len();
    let fault = row.fault.or(ragged.then_some("ragged-row"));
    let key = mapping.group_by.as_ref().and_then(|column| {
        let at = header.iter().position(|name| name == column).expect("a column of the file");
        let cell = std::str::from_utf8(row.cells.get(at)?).ok()?;
        (!cell.contains('\0')).then(|| cell.trim().to_owned())
    });
    if fault.is_some() {
        return Some(Read { place: row.place, cells: None, key, fault });
    }
    let cells: Vec<String> = row.cells.into_iter().map(|cell| String::from_utf8(cell).expect("no fault")).collect();
    let named = Cells { header, cells: &cells, line: row.place.line, file_name };
    if !mapping.skip_when.is_empty() && named.meet(mapping, &mapping.skip_when) {
        return None;
    }
    Some(Read { place: row.place, cells: Some(cells), key, fault: None })
}

fn make(mapping: &Mapping, file_name: &str, header: &[String], group: Vec<Read>) -> Record {
    let grouped = mapping.group_by.is_some();
    let none = || vec![None; mapping.fields.len()];
    let mut record = Record {
        key: group[0].key.clone(),
        unreadable: grouped && group[0].key.is_none(),
        key_column: mapping.group_by.clone(),
        lines: Vec::new(),
        values: none(),
        struck: false,
    };
    let good: Vec<usize> = (0..group.len()).filter(|&at| group[at].cells.is_some()).collect();
    for read in &group {
        let mut line = Line { place: read.place, values: none(), faults: Vec::new() };
        line.faults.extend(read.fault.map(|code| (0, None, code.to_owned())));
        record.lines.push(line);
    }
    let cells_of = |at: usize| Cells {
        header,
        cells: group[at].cells.as_deref().expect("a good row"),
        line: group[at].place.line,
        file_name,
    };
    for (order, field) in mapping.fields.iter().enumerate() {
        let deciding: Vec<usize> = if field.is_of_line() || !grouped {
            good.clone()
        } else {
            let compared = matches!(field.origin, Origin::From(_) | Origin::FirstOf(_) | Origin::Template(_));
            let last = mapping.on_conflict == OnConflict::Last && compared;
            if compared && mapping.on_conflict == OnConflict::Reject {
                let origins: Vec<_> = good.iter().map(|&at| record::origin(mapping, field, &cells_of(at))).collect();
                for (&at, origin) in good.iter().zip(&origins) {
                    if *origin != origins[0] {
                        record.lines[at].faults.push((order, field.column(), "group-conflict".to_owned()));
                    }
                }
            }
            (if last { good.last() } else { good.first() }).copied().into_iter().collect()
        };
        for at in deciding {
            match record::value(mapping, field, &cells_of(at)) {
                Ok(value) if field.is_of_line() => record.lines[at].values[order] = value,
                Ok(value) => record.values[order] = value,
                Err(code) => record.lines[at].faults.push((order, field.column(), code.to_owned())),
            }
        }
    }
    beside(mapping, &mut record, &good);
    record
}

/// `not_before` and `not_after`, once all fields have been tried.
fn beside(mapping: &Mapping, record: &mut Record, good: &[usize]) {
    for (order, field) in mapping.fields.iter().enumerate() {
        let values: Vec<(usize, Vec<Option<Value>>)> = if field.is_of_line() {
            good.iter().map(|&at| (at, record.lines[at].values.clone())).collect()
        } else {
            let last = mapping.group_by.is_some() && mapping.on_conflict == OnConflict::Last;
            let at = if last { good.last() } else { good.first() };
            at.map(|&at| (at, record.values.clone())).into_iter().collect()
        };
        for (at, values) in values {
            let other = |target: &str| {
                let other = mapping.fields.iter().position(|field| field.target == target).expect("a field");
                values[other].clone()
            };
            if let Some(value) = &values[order]
                && let Some(code) = record::beside(field, value, other)
            {
                record.lines[at].faults.push((order, field.column(), code.to_owned()));
            }
        }
    }
}

/// A key that comes back rejects all its rows, also the earlier ones.
pub fn strike_split(records: &mut [Record]) {
    for at in 0..records.len() {
        let Some(key) = records[at].key.clone() else { continue };
        let earlier: Vec<usize> = (0..at).filter(|&before| records[before].key.as_ref() == Some(&key)).collect();
        if earlier.is_empty() {
            continue;
        }
        for before in earlier {
            records[before].struck = true;
        }
        let column = records[at].key_column.clone();
        records[at].lines[0].faults.insert(0, (0, column, "group-split".to_owned()));
    }
}

/// A row whose key cannot be read takes the groups directly before and after it with it.
pub fn strike_neighbours(records: &mut [Record]) {
    let unreadable: Vec<usize> = (0..records.len()).filter(|&at| records[at].unreadable).collect();
    for at in unreadable {
        let line = records[at].lines[0].place.line;
        // The rows around it by line: a group may go on behind it.
        let rows = |records: &[Record]| -> Vec<(usize, usize)> {
            let keyed = records.iter().enumerate().filter(|(_, record)| record.key.is_some());
            keyed.flat_map(|(at, record)| record.lines.iter().map(move |row| (row.place.line, at))).collect()
        };
        let rows = rows(records);
        let before = rows.iter().filter(|(row, _)| *row < line).max().map(|(_, at)| *at);
        let after = rows.iter().filter(|(row, _)| *row > line).min().map(|(_, at)| *at);
        for neighbour in [before, after].into_iter().flatten() {
            records[neighbour].struck = true;
        }
    }
}
