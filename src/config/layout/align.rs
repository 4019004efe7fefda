//! Which column the `=` of a run of keys has, and which one the keys of tables in a list.

use super::scan::Entry;
use super::value::{Item, Node};

/// The column of `=` in a run of key lines.
pub enum Run {
    /// Each `=` one blank behind its key.
    Loose,
    /// In a column; a longer key reaches over it.
    At(usize),
}

impl Run {
    /// Keeps the column that most lines have, if their author aligned them; else aligns behind the longest key. Rows of
    /// samples may stay loose: their keys are the partner's.
    pub fn of<'e, 't: 'e>(entries: impl Iterator<Item = &'e Entry<'t>>, in_sample: bool) -> Self {
        let (long, firm): (Vec<_>, Vec<_>) = entries.partition(|entry| is_long(&entry.value));
        let is_padded = firm.iter().any(|entry| entry.gap > 1);
        if in_sample && !is_padded {
            return Self::Loose;
        }
        let Some(needed) = firm.iter().map(|entry| width(entry) + 1).max() else { return Self::Loose };
        let is_shared = |column| firm.len() > 1 || long.iter().any(|entry| written(entry) == Some(column));
        match chosen(&firm) {
            Some((column, count))
                if count * 2 > firm.len() && is_shared(column) && (is_padded || count == firm.len()) =>
            {
                Self::At(column)
            }
            _ => Self::At(needed),
        }
    }

    /// Where the `=` of one line goes.
    pub fn of_entry(&self, entry: &Entry<'_>) -> usize {
        let least = width(entry) + 1;
        match self {
            Self::At(column) if !is_long(&entry.value) || written(entry) == Some(*column) => least.max(*column),
            _ => least,
        }
    }
}

/// The most frequent column, the widest of several, and how many lines have it.
fn chosen(entries: &[&Entry<'_>]) -> Option<(usize, usize)> {
    let columns = entries.iter().filter_map(|entry| written(entry));
    let count = |column: usize| entries.iter().filter(|entry| written(entry) == Some(column)).count();
    columns.map(|column| (count(column), column)).max().map(|(count, column)| (column, count))
}

fn written(entry: &Entry<'_>) -> Option<usize> {
    (entry.gap > 0).then(|| width(entry) + entry.gap)
}

fn width(entry: &Entry<'_>) -> usize {
    entry.key.chars().count()
}

/// A value over several lines: its key need not be in the column.
fn is_long(node: &Node<'_>) -> bool {
    match node {
        Node::Atom(text) => text.contains('\n'),
        Node::List(list) => list.on_lines || list.items.iter().any(|item| is_long(&item.node)),
        Node::Table(fields) => fields.iter().any(|field| is_long(&field.node)),
    }
}

/// For a list of tables on lines of their own: how many blanks stand at least before the key number `position`, if their
/// author put it into a column.
pub fn gap_of_column(items: &[Item<'_>], position: usize) -> Option<usize> {
    let mut fields = Vec::new();
    for item in items {
        match &item.node {
            Node::Table(_) if is_long(&item.node) => return None,
            Node::Table(table) => fields.extend(table.get(position)),
            _ => {}
        }
    }
    let first = fields.first()?.column;
    let is_aligned = fields.len() > 1 && fields.iter().all(|field| field.column == first);
    let is_padded = fields.iter().any(|field| field.gap > 1);
    if is_aligned && is_padded { fields.iter().map(|field| field.gap.max(1)).min() } else { None }
}
