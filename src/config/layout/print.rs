//! The new text, line by line; comments behind values find their column at the end.

use super::align::gap_of_column;
use super::scan::Comment;
use super::value::{Field, Item, List, Node};

/// A line of the new text. A text over several lines is one of them.
#[derive(Clone, Debug, Default)]
struct Row {
    code: String,
    comment: Option<Behind>,
}

/// A comment behind code, or below one.
#[derive(Clone, Debug)]
struct Behind {
    text: String,
    column: usize,
    gap: usize,
}

/// What was printed so far.
#[derive(Clone, Debug, Default)]
pub struct Printed {
    rows: Vec<Row>,
    row: Row,
}

impl Printed {
    /// A blank line.
    pub fn blank(&mut self) {
        self.rows.push(Row::default());
    }

    /// A comment on its own line.
    pub fn comment(&mut self, comment: &Comment<'_>, indent: usize) {
        if comment.continues {
            self.end_line(Some(comment));
        } else {
            self.push(&" ".repeat(indent));
            self.push(comment.text);
            self.end_line(None);
        }
    }

    /// Goes on in the line.
    pub fn push(&mut self, code: &str) {
        self.row.code.push_str(code);
    }

    /// Blanks up to a column.
    pub fn pad_to(&mut self, column: usize) {
        let width = width(&self.row.code);
        self.push(&" ".repeat(column.saturating_sub(width)));
    }

    /// Ends the line.
    pub fn end_line(&mut self, comment: Option<&Comment<'_>>) {
        let comment = comment.map(|comment| Behind {
            text: comment.text.to_owned(),
            column: comment.column,
            gap: comment.gap.max(1),
        });
        let row = std::mem::take(&mut self.row);
        self.rows.push(Row { comment, ..row });
    }

    /// A value; `indent` is that of the line it begins on.
    pub fn node(&mut self, node: &Node<'_>, indent: usize) {
        match node {
            Node::Atom(text) => self.push(text),
            Node::Table(fields) => self.table(fields, &[], indent),
            Node::List(list) if list.on_lines => self.list_on_lines(list, indent),
            Node::List(list) => self.list(list, indent),
        }
    }

    fn list(&mut self, list: &List<'_>, indent: usize) {
        // Only lists of tables have the looser form.
        let blank =
            if list.spaced && matches!(list.items.first(), Some(Item { node: Node::Table(_), .. })) { " " } else { "" };
        self.push("[");
        self.push(blank);
        for (index, item) in list.items.iter().enumerate() {
            self.push(if index > 0 { ", " } else { "" });
            self.node(&item.node, indent);
        }
        self.push(blank);
        self.push("]");
    }

    fn list_on_lines(&mut self, list: &List<'_>, indent: usize) {
        let inner = indent + 2;
        self.push("[");
        self.end_line(list.head.as_ref());
        let starts = starts_of_columns(&list.items, inner);
        for item in &list.items {
            item.before.iter().for_each(|comment| self.comment(comment, inner));
            self.push(&" ".repeat(inner));
            match &item.node {
                Node::Table(fields) => self.table(fields, &starts, inner),
                node => self.node(node, inner),
            }
            self.push(",");
            self.end_line(item.behind.as_ref());
        }
        list.tail.iter().for_each(|comment| self.comment(comment, inner));
        self.push(&" ".repeat(indent));
        self.push("]");
    }

    fn table(&mut self, fields: &[Field<'_>], starts: &[Option<usize>], indent: usize) {
        if fields.is_empty() {
            return self.push("{}");
        }
        for (position, field) in fields.iter().enumerate() {
            self.push(if position > 0 { ", " } else { "{ " });
            if let Some(Some(start)) = starts.get(position) {
                self.pad_to(*start);
            }
            self.push(&field.key);
            self.push(" = ");
            self.node(&field.node, indent);
        }
        self.push(" }");
    }

    /// The text.
    pub fn finish(mut self) -> String {
        if !self.row.code.is_empty() {
            self.end_line(None);
        }
        place_comments(&mut self.rows);
        let mut text = String::new();
        for row in &self.rows {
            text.push_str(&row.code);
            if let Some(comment) = &row.comment {
                text.push_str(&" ".repeat(comment.column.saturating_sub(width(&row.code))));
                text.push_str(&comment.text);
            }
            text.push('\n');
        }
        text
    }
}

/// Characters of the last line.
fn width(code: &str) -> usize {
    code.rsplit('\n').next().unwrap_or_default().chars().count()
}

/// Comments in the same column of neighbouring lines stay in one; it moves only where the code needs the room.
fn place_comments(rows: &mut [Row]) {
    let mut from = 0;
    while from < rows.len() {
        let column = rows[from].comment.as_ref().map(|comment| comment.column);
        let same = |row: &&Row| row.comment.as_ref().map(|comment| comment.column) == column;
        let length = rows[from..].iter().take_while(same).count();
        if column.is_some() {
            place_run(&mut rows[from..from + length]);
        }
        from += length;
    }
}

fn place_run(rows: &mut [Row]) {
    let column = rows.iter().filter_map(|row| row.comment.as_ref()).map(|comment| comment.column).max();
    let needed = rows.iter().map(|row| width(&row.code)).max().unwrap_or_default();
    if column.is_some_and(|column| needed < column) {
        return;
    }
    let of_code = rows.iter().filter(|row| !row.code.is_empty());
    let gap = of_code.filter_map(|row| row.comment.as_ref()).map(|comment| comment.gap).min().unwrap_or(1);
    for comment in rows.iter_mut().filter_map(|row| row.comment.as_mut()) {
        comment.column = needed + gap;
    }
}

/// The columns of the keys in a list of tables, where their author aligned them.
fn starts_of_columns(items: &[Item<'_>], indent: usize) -> Vec<Option<usize>> {
    let tables: Vec<&Vec<Field<'_>>> = items
        .iter()
        .filter_map(|item| if let Node::Table(fields) = &item.node { Some(fields) } else { None })
        .collect();
    let most = tables.iter().map(|fields| fields.len()).max().unwrap_or_default();
    let mut starts: Vec<Option<usize>> = Vec::with_capacity(most);
    for position in 0..most {
        let start = gap_of_column(items, position).filter(|_| position > 0).and_then(|gap| {
            let before = tables.iter().filter(|fields| fields.len() > position);
            before.map(|fields| end_of(&fields[..position], &starts, indent) + gap).max()
        });
        starts.push(start);
    }
    starts
}

/// Where the comma behind these fields ends.
fn end_of(fields: &[Field<'_>], starts: &[Option<usize>], indent: usize) -> usize {
    let mut printed = Printed::default();
    printed.push(&" ".repeat(indent));
    printed.table(fields, starts, indent);
    // ` }` is printed where the comma will stand.
    width(&printed.row.code) - 1
}
