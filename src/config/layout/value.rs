//! A value as it was written: atoms, lists and inline tables, with what the author chose about lines and columns.

use super::scan::{Comment, Cursor};

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node<'t> {
    /// A text, a number, a date or a word; kept as it is.
    Atom(String),
    /// `[ … ]`.
    List(List<'t>),
    /// `{ … }`.
    Table(Vec<Field<'t>>),
}

/// A list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<'t> {
    /// Its items.
    pub items: Vec<Item<'t>>,
    /// The comment behind its `[`.
    pub head: Option<Comment<'t>>,
    /// Comments after the last item.
    pub tail: Vec<Comment<'t>>,
    /// One line an item.
    pub on_lines: bool,
    /// Written `[ { … } ]`, with blanks inside the brackets.
    pub spaced: bool,
}

/// An item of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item<'t> {
    /// Comments on lines of their own before it.
    pub before: Vec<Comment<'t>>,
    /// The value.
    pub node: Node<'t>,
    /// The comment behind it.
    pub behind: Option<Comment<'t>>,
}

/// A key and its value inside `{ … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'t> {
    /// The key.
    pub key: String,
    /// Blanks before the key.
    pub gap: usize,
    /// Characters between the `{` and the key.
    pub column: usize,
    /// The value.
    pub node: Node<'t>,
}

/// Reads the value at the cursor.
pub fn node<'t>(cursor: &mut Cursor<'t>) -> Node<'t> {
    match cursor.peek() {
        Some('[') => Node::List(list(cursor)),
        Some('{') => table(cursor),
        Some('"' | '\'') => Node::Atom(plain_string(cursor.string())),
        _ => Node::Atom(cursor.scalar().to_owned()),
    }
}

/// Basic quotation marks, unless the text has signs that would have to be escaped, or is a pattern: those are easier to
/// copy from marks in which nothing is ever escaped.
fn plain_string(written: &str) -> String {
    let inner = written.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    match inner {
        Some(inner) if !written.starts_with("'''") && !inner.contains(is_special) => format!("\"{inner}\""),
        _ => written.to_owned(),
    }
}

fn is_special(character: char) -> bool {
    matches!(character, '"' | '\\' | '^' | '$') || character.is_control()
}

fn list<'t>(cursor: &mut Cursor<'t>) -> List<'t> {
    cursor.next();
    let mut list = List { items: Vec::new(), head: None, tail: Vec::new(), on_lines: false, spaced: false };
    list.spaced = matches!(cursor.peek(), Some(' ' | '\t'));
    // Comments that wait for the item they stand before.
    let mut waiting: Vec<Comment<'t>> = Vec::new();
    let mut same_line = true;
    loop {
        let gap = cursor.blanks();
        match cursor.peek() {
            None | Some(']') => break,
            Some('\n' | '\r') => {
                if !same_line {
                    cursor.forget_comment();
                }
                cursor.advance_line();
                (list.on_lines, same_line) = (true, false);
            }
            Some('#') if same_line => {
                let comment = cursor.comment_behind().map(|comment| Comment { gap, ..comment });
                list.take_comment_behind(comment, &mut waiting);
                cursor.advance_line();
                (list.on_lines, same_line) = (true, false);
            }
            Some('#') => {
                waiting.push(cursor.own_comment());
                cursor.advance_line();
            }
            Some(',') => {
                cursor.next();
            }
            Some(_) => {
                let node = node(cursor);
                cursor.forget_comment();
                list.items.push(Item { before: std::mem::take(&mut waiting), node, behind: None });
                same_line = true;
            }
        }
    }
    cursor.next();
    list.tail = waiting;
    list
}

impl<'t> List<'t> {
    /// A comment at the end of a line belongs to the item before it, or to the `[`.
    fn take_comment_behind(&mut self, comment: Option<Comment<'t>>, waiting: &mut Vec<Comment<'t>>) {
        let place = match self.items.last_mut() {
            Some(last) if waiting.is_empty() => &mut last.behind,
            None if waiting.is_empty() => &mut self.head,
            _ => return waiting.extend(comment),
        };
        match place {
            None => *place = comment,
            Some(_) => waiting.extend(comment),
        }
    }
}

/// A table with comments inside cannot be written on one line; it stays as it is.
fn table<'t>(cursor: &mut Cursor<'t>) -> Node<'t> {
    let start = cursor.at();
    cursor.next();
    let (mut fields, mut has_comment) = (Vec::new(), false);
    loop {
        let gap = cursor.blanks();
        match cursor.peek() {
            None | Some('}') => break,
            Some('\n' | '\r') => cursor.advance_line(),
            Some('#') => {
                has_comment = true;
                cursor.advance_line();
            }
            Some(',') => {
                cursor.next();
            }
            Some(_) => {
                let column = cursor.since(start).chars().count();
                let key = cursor.key().0;
                cursor.blanks();
                fields.push(Field { key, gap, column, node: node(cursor) });
            }
        }
    }
    cursor.next();
    if has_comment { Node::Atom(cursor.since(start).to_owned()) } else { Node::Table(fields) }
}
