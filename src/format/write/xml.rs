//! XML: an element for each record, an element for each field; a list is repeated elements.

use super::record::{Scalar, Token, Tokens};
use super::style::Column;
use super::{RecordWriter, Refused, text};
use crate::domain::reject::RejectCode;
use crate::format::encoding::Encoding;

/// How a document is written.
#[derive(Clone, Debug)]
pub struct XmlStyle {
    /// What stands before the first record.
    pub before: String,
    /// What stands behind the last.
    pub behind: String,
    /// The name of a record's element.
    pub record: String,
    /// Of the document.
    pub encoding: Encoding,
}

impl XmlStyle {
    /// A document with records at `each` (`/orders/order`), which was found good by [`elements`].
    pub fn document(each: &str, namespace: Option<&str>, encoding: Encoding) -> Self {
        let names: Vec<&str> = each.split('/').filter(|name| !name.is_empty()).collect();
        let (record, outer) = names.split_last().unwrap_or((&"record", &[]));
        let mut before = format!("<?xml version=\"1.0\" encoding=\"{}\"?>\n", encoding.name().to_uppercase());
        let mut behind = String::new();
        for (at, name) in outer.iter().enumerate() {
            let space = namespace.filter(|_| at == 0).map(|name| format!(" xmlns=\"{}\"", escaped(name)));
            before.push_str(&format!("<{name}{}>\n", space.unwrap_or_default()));
            behind.insert_str(0, &format!("</{name}>\n"));
        }
        Self { before, behind, record: (*record).to_owned(), encoding }
    }
}

/// The names of `/orders/order`, when each can be an element and there are at least two.
pub fn elements(each: &str) -> Option<Vec<&str>> {
    let names: Vec<&str> = each.strip_prefix('/')?.split('/').collect();
    (names.len() >= 2 && names.iter().all(|name| is_name(name))).then_some(names)
}

/// True for what can be the name of an element: letters, digits, `-`, `_`, `.`, beginning with a letter or `_`.
pub fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    let first = characters.next().is_some_and(|first| first.is_alphabetic() || first == '_');
    let xml = name.len() >= 3 && name.is_char_boundary(3) && name[..3].eq_ignore_ascii_case("xml");
    first && !xml && characters.all(|rest| rest.is_alphanumeric() || matches!(rest, '-' | '_' | '.'))
}

/// Text between tags, or within quotation marks.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape(text, &mut out);
    out
}

fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A reader would make a line feed of it.
            '\r' => out.push_str("&#13;"),
            other => out.push(other),
        }
    }
}

/// Writes XML.
pub struct XmlWriter {
    columns: Vec<Column>,
    style: XmlStyle,
    element: String,
}

impl XmlWriter {
    /// A document with these fields.
    pub fn new(columns: Vec<Column>, style: XmlStyle) -> Self {
        Self { columns, style, element: String::new() }
    }

    fn leaf(&mut self, name: &str, path: &str, value: &Scalar<'_>, out: &mut Vec<u8>, refused: &mut Vec<Refused>) {
        let Self { columns, style, element } = self;
        let known = columns.iter().enumerate().find(|(_, column)| column.path == path);
        element.clear();
        if *value == Scalar::Nothing {
            element.extend(["<", name, "/>"]);
        } else {
            element.extend(["<", name, ">"]);
            let written = known.map_or_else(|| Ok(value.text().into()), |(_, column)| column.style.text(value));
            let good = written.and_then(|text| match text.chars().find(|character| !is_allowed(*character)) {
                None => {
                    escape(&text, element);
                    Ok(())
                }
                Some(_) => Err((RejectCode::BadCharacter, "holds a character that XML cannot".to_owned())),
            });
            if let Err((code, message)) = good {
                return refused.push(Refused { column: known.map_or(0, |(at, _)| at), code, message });
            }
            element.extend(["</", name, ">"]);
        }
        if let Err((code, message)) = text::encode(style.encoding, element, out) {
            refused.push(Refused { column: known.map_or(0, |(at, _)| at), code, message });
        }
    }

    /// What cannot be encoded here was refused when the mapping was read.
    fn tag(&self, before: &str, name: &str, behind: &str, out: &mut Vec<u8>) {
        for part in [before, name, behind] {
            let _ = text::encode(self.style.encoding, part, out);
        }
    }
}

/// The characters of XML 1.0.
fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// An object or list that is open.
struct Level {
    /// The element that ends with it; none for a list, whose entries are elements.
    name: Option<String>,
    path: usize,
}

impl RecordWriter for XmlWriter {
    fn begin(&mut self, out: &mut Vec<u8>) {
        text::mark(self.style.encoding, out);
        self.tag(&self.style.before, "", "", out);
    }

    fn record(&mut self, record: &[u8], out: &mut Vec<u8>, refused: &mut Vec<Refused>) {
        let (mut path, mut key) = (String::new(), self.style.record.clone());
        let mut levels: Vec<Level> = Vec::new();
        for token in Tokens::new(record) {
            match token {
                Token::Key(name) => {
                    path.truncate(levels.last().map_or(0, |level| level.path));
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(&name);
                    key = name.into_owned();
                }
                Token::List => {
                    path.push_str("[]");
                    levels.push(Level { name: None, path: path.len() });
                }
                Token::Object => {
                    let at = levels.last().filter(|level| level.name.is_none()).map_or(path.len(), |list| list.path);
                    path.truncate(at);
                    self.tag("<", &key, ">", out);
                    levels.push(Level { name: Some(key.clone()), path: path.len() });
                }
                Token::EndObject => {
                    if let Some(Level { name: Some(name), .. }) = levels.pop() {
                        self.tag("</", &name, ">", out);
                        key = name;
                    }
                }
                Token::EndList => drop(levels.pop()),
                Token::Value(value) => self.leaf(&key, &path, &value, out, refused),
            }
        }
        self.tag("\n", "", "", out);
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        self.tag(&self.style.behind, "", "", out);
        Ok(())
    }

    fn tail(&self) -> usize {
        4 * self.style.behind.len()
    }
}
