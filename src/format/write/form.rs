//! `application/x-www-form-urlencoded`, one record a request, with nested names as Stripe writes them:
//! `customer[email]=…&lines[0][sku]=…`.

use super::record::{Scalar, Token, Tokens};
use super::style::Column;
use super::{RecordWriter, Refused};

/// Writes form bodies; when there are several records, one a line.
pub struct FormWriter {
    columns: Vec<Column>,
    written: bool,
}

impl FormWriter {
    /// Fields with a style of their own.
    pub fn new(columns: Vec<Column>) -> Self {
        Self { columns, written: false }
    }
}

/// Where the walk is: the name so far, and the number of the next entry of a list.
struct Level {
    name: usize,
    path: usize,
    entry: Option<u64>,
}

impl RecordWriter for FormWriter {
    fn begin(&mut self, _out: &mut Vec<u8>) {
        self.written = false;
    }

    fn record(&mut self, record: &[u8], out: &mut Vec<u8>, refused: &mut Vec<Refused>) {
        if std::mem::replace(&mut self.written, true) {
            out.push(b'\n');
        }
        let begin = out.len();
        // The name as it is sent, and the path as the mapping has it.
        let (mut name, mut path) = (String::new(), String::new());
        let mut levels = vec![Level { name: 0, path: 0, entry: None }];
        for token in Tokens::new(record).skip(1) {
            let Some(level) = levels.last_mut() else { break };
            match token {
                Token::Key(key) => {
                    name.truncate(level.name);
                    path.truncate(level.path);
                    let part: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
                    match name.is_empty() {
                        true => name.push_str(&part),
                        false => name.extend(["[", &part, "]"]),
                    }
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(&key);
                }
                Token::List => {
                    path.push_str("[]");
                    levels.push(Level { name: name.len(), path: path.len(), entry: Some(0) });
                }
                Token::Object => {
                    if let Some(entry) = &mut level.entry {
                        name.truncate(level.name);
                        path.truncate(level.path);
                        name.push_str(&format!("[{entry}]"));
                        *entry += 1;
                    }
                    levels.push(Level { name: name.len(), path: path.len(), entry: None });
                }
                Token::EndObject | Token::EndList => {
                    levels.pop();
                }
                Token::Value(value) => self.pair(&name, &path, &value, begin, out, refused),
            }
        }
    }

    fn end(&mut self, _out: &mut Vec<u8>) -> Result<(), String> {
        Ok(())
    }

    fn tail(&self) -> usize {
        0
    }
}

impl FormWriter {
    fn pair(
        &self,
        name: &str,
        path: &str,
        value: &Scalar<'_>,
        begin: usize,
        out: &mut Vec<u8>,
        refused: &mut Vec<Refused>,
    ) {
        let known = self.columns.iter().enumerate().find(|(_, column)| column.path == path);
        let text = match known.map(|(at, column)| (at, column.style.text(value))) {
            Some((column, Err((code, message)))) => return refused.push(Refused { column, code, message }),
            Some((_, Ok(text))) => text.into_owned(),
            None => value.text().to_owned(),
        };
        if out.len() > begin {
            out.push(b'&');
        }
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        for part in url::form_urlencoded::byte_serialize(text.as_bytes()) {
            out.extend_from_slice(part.as_bytes());
        }
    }
}
