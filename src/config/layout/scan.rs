//! The lines of a TOML text that is known to be valid, with the columns that their author chose.

use super::value::{Node, node};

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment<'t> {
    /// From the `#`, without blanks at the end.
    pub text: &'t str,
    /// Characters before it on its line.
    pub column: usize,
    /// Blanks directly before it.
    pub gap: usize,
    /// It stands alone on its line, below a comment behind a value and in the same column.
    pub continues: bool,
}

impl Comment<'_> {
    /// Whether it tells an editor which schema the file has.
    pub fn is_schema(&self) -> bool {
        self.text.starts_with("#:schema")
    }
}

/// `key = value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'t> {
    /// The key, with the quotation marks of its author.
    pub key: String,
    /// Blanks between the key and `=`.
    pub gap: usize,
    /// The value.
    pub value: Node<'t>,
    /// The comment behind it.
    pub comment: Option<Comment<'t>>,
}

/// A line of the file; a value may reach over several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line<'t> {
    /// Nothing.
    Blank,
    /// A comment on its own.
    Comment(Comment<'t>),
    /// `[table]` or `[[table]]`.
    Header {
        /// Without blanks.
        code: String,
        /// The comment behind it.
        comment: Option<Comment<'t>>,
    },
    /// `key = value`.
    Entry(Entry<'t>),
}

impl Line<'_> {
    /// Key lines and the comments between them.
    pub fn is_within_run(&self) -> bool {
        matches!(self, Self::Entry(_) | Self::Comment(_))
    }
}

/// The lines of a text.
pub fn scan(text: &str) -> Vec<Line<'_>> {
    let mut cursor = Cursor::new(text);
    let mut lines = Vec::new();
    while !cursor.is_at_end() {
        cursor.blanks();
        let line = match cursor.peek() {
            None => break,
            Some('\n' | '\r') => {
                cursor.comment_column = None;
                Line::Blank
            }
            Some('#') => Line::Comment(cursor.own_comment()),
            Some('[') => {
                let code = cursor.header();
                Line::Header { code, comment: cursor.comment_behind() }
            }
            Some(_) => {
                let (key, gap) = cursor.key();
                cursor.blanks();
                let value = node(&mut cursor);
                Line::Entry(Entry { key, gap, value, comment: cursor.comment_behind() })
            }
        };
        lines.push(line);
        cursor.advance_line();
    }
    lines
}

/// A place in the text.
pub struct Cursor<'t> {
    text: &'t str,
    at: usize,
    /// The column of the comment that ended the line before.
    comment_column: Option<usize>,
}

impl<'t> Cursor<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, at: 0, comment_column: None }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    pub fn since(&self, start: usize) -> &'t str {
        &self.text[start..self.at]
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    pub fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    pub fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Passes blanks; how many.
    pub fn blanks(&mut self) -> usize {
        let width = self.rest().bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        self.at += width;
        width
    }

    /// Characters since the beginning of the line.
    pub fn column(&self) -> usize {
        let start = self.text[..self.at].rfind('\n').map_or(0, |at| at + 1);
        self.text[start..self.at].chars().count()
    }

    /// Passes what is left of the line, which is its end.
    pub fn advance_line(&mut self) {
        self.at += self.rest().find('\n').map_or(self.rest().len(), |at| at + 1);
    }

    fn comment(&mut self, gap: usize) -> Comment<'t> {
        let column = self.column();
        let length = self.rest().find('\n').unwrap_or(self.rest().len());
        let text = self.rest()[..length].trim_end();
        self.at += length;
        Comment { text, column, gap, continues: false }
    }

    /// A comment alone on its line.
    pub fn own_comment(&mut self) -> Comment<'t> {
        let comment = self.comment(0);
        let continues = self.comment_column == Some(comment.column);
        if !continues {
            self.comment_column = None;
        }
        Comment { continues, ..comment }
    }

    /// The comment behind a value, if there is one; the cursor is then at the end of the line.
    pub fn comment_behind(&mut self) -> Option<Comment<'t>> {
        let gap = self.blanks();
        let comment = (self.peek() == Some('#')).then(|| self.comment(gap));
        self.comment_column = comment.as_ref().map(|comment| comment.column);
        comment
    }

    /// Forgets the comment of the line before: another line stands between.
    pub fn forget_comment(&mut self) {
        self.comment_column = None;
    }

    fn header(&mut self) -> String {
        let mut code = String::new();
        while let Some(character) = self.peek() {
            match character {
                ' ' | '\t' => {
                    self.next();
                }
                '"' | '\'' => code.push_str(self.string()),
                '#' | '\n' | '\r' => break,
                other => {
                    code.push(other);
                    self.next();
                }
            }
        }
        code
    }

    /// A key up to its `=`, without blanks around dots; and how many blanks stood before the `=`.
    pub fn key(&mut self) -> (String, usize) {
        let (mut key, mut gap) = (String::new(), 0);
        while let Some(character) = self.peek() {
            match character {
                '=' => {
                    self.next();
                    break;
                }
                ' ' | '\t' => gap = self.blanks(),
                '"' | '\'' => {
                    gap = 0;
                    key.push_str(self.string());
                }
                other => {
                    gap = 0;
                    key.push(other);
                    self.next();
                }
            }
        }
        (key, gap)
    }

    /// A text with its quotation marks, of whatever kind.
    pub fn string(&mut self) -> &'t str {
        let start = self.at;
        let rest = self.rest();
        let escapes = rest.starts_with('"');
        let mark = if escapes { "\"" } else { "'" };
        let triple = mark.repeat(3);
        let close = if rest.starts_with(&triple) { triple.as_str() } else { mark };
        self.at += close.len();
        while !self.is_at_end() {
            if self.rest().starts_with(close) {
                self.at += close.len();
                // Up to two marks may stand before the three that close.
                while close.len() == 3 && self.rest().starts_with(mark) {
                    self.at += 1;
                }
                break;
            }
            if self.next() == Some('\\') && escapes {
                self.next();
            }
        }
        self.since(start)
    }

    /// A number, a date or a word.
    pub fn scalar(&mut self) -> &'t str {
        let length = self.rest().find([',', ']', '}', '#', '\n', '\r']).unwrap_or(self.rest().len());
        let text = self.rest()[..length].trim_end();
        self.at += text.len();
        text
    }
}
