//! JSON and JSON lines: records with their places, one at a time. A record is held in memory, the file is not.

use std::collections::BTreeSet;
use std::io::{self, Read};

use serde::de::IgnoredAny;

use super::encoding::Encoding;
use super::json_value::Json;
use crate::domain::reject::{FileFault, RejectCode};

/// Most bytes of a record, or of a value beside the records.
const MAX_RECORD: usize = 16 << 20;
/// Most names in a warning.
const MAX_UNKNOWN: usize = 1000;

/// Where the records are: `$` (the items of a list, or one object), `$[*]`, `$.a.b[*]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Each(Vec<String>);

impl Each {
    /// The same as a path of elements, for XML: `/orders/order`.
    pub fn elements(&self) -> String {
        self.0.iter().map(|name| format!("/{name}")).collect()
    }

    /// Reads a JSONPath of names with one `[*]` at its end; `None` for what cannot be followed while a file is read.
    pub fn parse(path: &str) -> Option<Self> {
        let rest = path.trim().strip_prefix('$')?;
        let mut rest = rest.strip_suffix("[*]").unwrap_or(rest);
        let mut names = Vec::new();
        while !rest.is_empty() {
            let name = if let Some(behind) = rest.strip_prefix("['") {
                let (name, behind) = behind.split_once("']")?;
                rest = behind;
                name
            } else {
                let behind = rest.strip_prefix('.')?;
                let end = behind.find(['.', '[']).unwrap_or(behind.len());
                let (name, behind) = behind.split_at(end);
                rest = behind;
                name
            };
            if name.is_empty() || name.contains(['*', '?', '@', '[', ']']) {
                return None;
            }
            names.push(name.to_owned());
        }
        Some(Self(names))
    }
}

/// How a file is read.
pub struct JsonInput {
    /// One document a line.
    pub lines: bool,
    /// Where the records are; for a document.
    pub each: Each,
    /// Of the file as it came; the reader gives UTF-8.
    pub encoding: Encoding,
    /// Bytes before the text: a byte order mark.
    pub offset: u64,
}

/// A record, cell by column.
pub struct Unpacked<'a> {
    /// The line it begins on.
    pub line: u64,
    /// Its offset in the file.
    pub byte: u64,
    /// Its length in the file.
    pub length: u64,
    /// Its cells; `None` where there is nothing, or `null`.
    pub cells: &'a [Option<String>],
    /// Why it cannot be used.
    pub fault: Option<(RejectCode, String)>,
}

/// What was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Bytes of records.
    pub rows: u64,
    /// Paths that no column names.
    pub unknown: BTreeSet<String>,
}

/// Called with each record.
pub type EachRow<'a> = dyn FnMut(Unpacked<'_>) -> io::Result<()> + 'a;

/// Why reading stops.
enum Stop {
    Io(io::Error),
    Fault(FileFault),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a file.
///
/// # Errors
/// The outer error is that of the reader and of `row`, the inner one a fault of the file (`bad-json`).
pub fn read(
    input: &mut dyn Read,
    how: &JsonInput,
    columns: &[String],
    row: &mut EachRow<'_>,
) -> io::Result<Result<Summary, FileFault>> {
    let text = Text { input, encoding: how.encoding, held: Vec::new(), at: 0, line: 1, byte: how.offset, ended: false };
    let mut reader = Reader { text, columns, row, summary: Summary::default() };
    let done = if how.lines { reader.lines() } else { reader.document(&how.each.0) };
    match done {
        Ok(()) => Ok(Ok(reader.summary)),
        Err(Stop::Fault(fault)) => Ok(Err(fault)),
        Err(Stop::Io(error)) => Err(error),
    }
}

/// The text of the file, as far as it is held.
struct Text<'a> {
    input: &'a mut dyn Read,
    encoding: Encoding,
    held: Vec<u8>,
    /// How far `held` was consumed.
    at: usize,
    line: u64,
    /// Of `held[at]` in the file as it came.
    byte: u64,
    ended: bool,
}

impl Text<'_> {
    /// The byte `ahead` of the place.
    fn peek(&mut self, ahead: usize) -> Result<Option<u8>, Stop> {
        while self.held.len() <= self.at + ahead && !self.ended {
            if self.at > 1 << 20 {
                self.held.drain(..self.at);
                self.at = 0;
            }
            let read = (&mut *self.input).take(64 << 10).read_to_end(&mut self.held)?;
            self.ended = read == 0;
        }
        Ok(self.held.get(self.at + ahead).copied())
    }

    fn part(&self, length: usize) -> &[u8] {
        self.held.get(self.at..self.at + length).unwrap_or_default()
    }

    /// Moves on; the length in the file as it came.
    fn pass(&mut self, length: usize) -> u64 {
        let measured = self.encoding.source_len(self.part(length));
        self.line += memchr::memchr_iter(b'\n', self.part(length)).count() as u64;
        self.at += length;
        self.byte += measured;
        measured
    }

    fn blanks(&mut self) -> Result<Option<u8>, Stop> {
        loop {
            match self.peek(0)? {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.pass(1),
                other => return Ok(other),
            };
        }
    }

    fn fault(&self, message: impl Into<String>) -> Stop {
        let message = message.into();
        let code = RejectCode::BadJson;
        Stop::Fault(FileFault { code, row: Some(self.line), byte: self.byte, column: None, message })
    }

    fn expected(&mut self, what: &str) -> Stop {
        match self.peek(0) {
            Err(stop) => stop,
            Ok(None) => self.fault(format!("the file ends where {what} is expected: it may have been cut short")),
            Ok(Some(byte)) => {
                let found = char::from(byte);
                self.fault(format!("{what} is expected here, and there is `{}`", found.escape_default()))
            }
        }
    }

    /// The length of the value that begins here: to its closing bracket or quote, or to what ends a number.
    fn value_length(&mut self) -> Result<usize, Stop> {
        let (mut depth, mut at, mut quoted) = (0_usize, 0, false);
        loop {
            let Some(byte) = self.peek(at)? else {
                if depth == 0 && !quoted && at > 0 {
                    return Ok(at);
                }
                return Err(self.fault("the file ends inside a value that begins here: it may have been cut short"));
            };
            match byte {
                b'\\' if quoted => at += 1,
                b'"' => {
                    quoted = !quoted;
                    if !quoted && depth == 0 {
                        return Ok(at + 1);
                    }
                }
                _ if quoted => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth == 0 => return Ok(at),
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(at + 1);
                    }
                }
                b',' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return Ok(at),
                _ => {}
            }
            at += 1;
            if at > MAX_RECORD {
                return Err(self.fault("a value that begins here is longer than 16 MiB"));
            }
        }
    }
}

struct Reader<'a, 'r> {
    text: Text<'a>,
    columns: &'a [String],
    row: &'a mut EachRow<'r>,
    summary: Summary,
}

impl Reader<'_, '_> {
    /// One document a line; a line that is no JSON is rejected by itself.
    fn lines(&mut self) -> Result<(), Stop> {
        loop {
            let mut length = 0;
            while let Some(byte) = self.text.peek(length)? {
                length += 1;
                if byte == b'\n' {
                    break;
                }
                if length > MAX_RECORD {
                    return Err(self.text.fault("the line is longer than 16 MiB"));
                }
            }
            if length == 0 {
                return Ok(());
            }
            if self.text.part(length).iter().all(u8::is_ascii_whitespace) {
                self.text.pass(length);
            } else {
                self.record(length, true)?;
            }
        }
    }

    fn document(&mut self, path: &[String]) -> Result<(), Stop> {
        if self.text.blanks()?.is_none() {
            return Ok(());
        }
        self.follow(path)?;
        match self.text.blanks()? {
            None => Ok(()),
            Some(_) => Err(self.text.expected("the end of the file")),
        }
    }

    /// Goes to the records along a path of names.
    fn follow(&mut self, path: &[String]) -> Result<(), Stop> {
        let Some((name, rest)) = path.split_first() else {
            return match self.text.blanks()? {
                Some(b'[') => self.items(),
                Some(b'{') => {
                    let length = self.text.value_length()?;
                    self.record(length, false)
                }
                _ => Err(self.text.expected("a list of records, or one record")),
            };
        };
        if self.text.blanks()? != Some(b'{') {
            return Err(self.text.expected("an object"));
        }
        self.text.pass(1);
        let mut found = false;
        if self.text.blanks()? == Some(b'}') {
            self.text.pass(1);
        } else {
            loop {
                if self.text.blanks()? != Some(b'"') {
                    return Err(self.text.expected("a name in quotation marks"));
                }
                let key = self.value()?;
                if self.text.blanks()? != Some(b':') {
                    return Err(self.text.expected("`:`"));
                }
                self.text.pass(1);
                self.text.blanks()?;
                match serde_json::from_slice::<String>(&key) {
                    Ok(key) if key == *name && found => {
                        return Err(self.text.fault(format!("`{name}` stands twice, so the records are not certain")));
                    }
                    Ok(key) if key == *name => {
                        found = true;
                        self.follow(rest)?;
                    }
                    _ => {
                        self.value()?;
                    }
                }
                if self.comma(b'}')? {
                    break;
                }
            }
        }
        if found { Ok(()) } else { Err(self.text.fault(format!("there is no `{name}`, where the records should be"))) }
    }

    fn items(&mut self) -> Result<(), Stop> {
        self.text.pass(1);
        if self.text.blanks()? == Some(b']') {
            self.text.pass(1);
            return Ok(());
        }
        loop {
            self.text.blanks()?;
            let length = self.text.value_length()?;
            if length == 0 {
                return Err(self.text.expected("a record"));
            }
            self.record(length, false)?;
            if self.comma(b']')? {
                return Ok(());
            }
        }
    }

    /// A comma, or the end of the list or object.
    fn comma(&mut self, end: u8) -> Result<bool, Stop> {
        match self.text.blanks()? {
            Some(b',') => {
                self.text.pass(1);
                Ok(false)
            }
            Some(byte) if byte == end => {
                self.text.pass(1);
                Ok(true)
            }
            _ => Err(self.text.expected(if end == b']' { "`,` or `]`" } else { "`,` or `}`" })),
        }
    }

    /// A value beside the records.
    fn value(&mut self) -> Result<Vec<u8>, Stop> {
        let length = self.text.value_length()?;
        let bytes = self.text.part(length).to_vec();
        if serde_json::from_slice::<IgnoredAny>(&bytes).is_err() {
            return Err(self.text.expected("a JSON value"));
        }
        self.text.pass(length);
        Ok(bytes)
    }

    fn record(&mut self, length: usize, line: bool) -> Result<(), Stop> {
        let (at_line, byte) = (self.text.line, self.text.byte);
        let bytes = self.text.part(length);
        let mut cells = vec![None; self.columns.len()];
        let fault = match std::str::from_utf8(bytes) {
            Err(error) => {
                let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let at = byte + self.text.encoding.source_len(before);
                let message = format!("the byte at offset {at} is not {}", self.text.encoding.name());
                Some((RejectCode::BadEncoding, message))
            }
            Ok(text) => match (Json::parse(text.as_bytes()), serde_json::from_str::<IgnoredAny>(text)) {
                (Some(json @ Json::Object(_)), Ok(_)) => self.cells(&json, &mut cells),
                (Some(_), Ok(_)) => Some((RejectCode::BadJson, "the record is not an object".to_owned())),
                (_, Err(error)) if !line => {
                    let error = error.to_string();
                    let reason = error.split(" at line").next().unwrap_or_default().to_owned();
                    return Err(self.text.fault(format!("the record that begins here is no JSON: {reason}")));
                }
                (_, Err(error)) => {
                    let error = error.to_string();
                    let reason = error.split(" at line").next().unwrap_or_default().to_owned();
                    Some((RejectCode::BadJson, format!("the line is no JSON: {reason}")))
                }
                (None, Ok(_)) => Some((RejectCode::BadJson, "the record is nested too deeply".to_owned())),
            },
        };
        let length = self.text.pass(length);
        self.summary.rows += length;
        (self.row)(Unpacked { line: at_line, byte, length, cells: &cells, fault })?;
        Ok(())
    }

    /// Picks the cells of the columns out of a record.
    fn cells(&mut self, json: &Json, cells: &mut [Option<String>]) -> Option<(RejectCode, String)> {
        let mut leaves = Vec::new();
        let mut fault = walk(json, &mut String::new(), &mut leaves);
        for (path, leaf) in leaves {
            let column = self.columns.iter().position(|column| *column == path);
            match (column.and_then(|at| cells.get_mut(at)), leaf) {
                (Some(_), Json::List(_)) => {
                    let message = format!("`{path}` is a list, and one value is expected");
                    fault.get_or_insert((RejectCode::RaggedRow, message));
                }
                (Some(_), Json::Null) => {}
                (Some(cell), leaf) => *cell = Some(leaf.text()),
                (None, _) if self.summary.unknown.len() < MAX_UNKNOWN => {
                    let inside = self.columns.iter().any(|column| column.starts_with(&format!("{path}.")));
                    if inside && *leaf != Json::Null {
                        let message = format!("`{path}` is one value, and an object is expected");
                        fault.get_or_insert((RejectCode::RaggedRow, message));
                    }
                    self.summary.unknown.insert(path);
                }
                (None, _) => {}
            }
        }
        let parents = self.columns.iter().find(|column| matches!(object_at(json, column), Some(Json::Object(_))));
        if let Some(column) = parents {
            let message = format!("`{column}` is an object, and one value is expected");
            fault.get_or_insert((RejectCode::RaggedRow, message));
        }
        fault
    }
}

fn object_at<'a>(json: &'a Json, path: &str) -> Option<&'a Json> {
    json.at(path)
}

/// Every value that is no object, with its path; a name that stands twice in an object is a fault.
fn walk<'a>(json: &'a Json, path: &mut String, leaves: &mut Vec<(String, &'a Json)>) -> Option<(RejectCode, String)> {
    let Json::Object(entries) = json else {
        leaves.push((path.clone(), json));
        return None;
    };
    let mut fault = None;
    for (at, (key, value)) in entries.iter().enumerate() {
        if entries.iter().take(at).any(|(before, _)| before == key) {
            fault.get_or_insert((RejectCode::BadJson, format!("`{key}` stands twice in one object")));
        }
        let length = path.len();
        if length > 0 {
            path.push('.');
        }
        path.push_str(key);
        let inner = walk(value, path, leaves);
        fault = fault.or(inner);
        path.truncate(length);
    }
    fault
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends with the first surprise")]
mod tests {
    use super::*;

    fn rows(text: &[u8], lines: bool, each: &str, columns: &[&str]) -> Result<Vec<String>, String> {
        let how = JsonInput { lines, each: Each::parse(each).unwrap(), encoding: Encoding::UTF_8, offset: 0 };
        let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
        let mut found = Vec::new();
        let read = read(&mut &text[..], &how, &columns, &mut |row: Unpacked<'_>| {
            let raw = &text[row.byte as usize..(row.byte + row.length) as usize];
            assert!(raw.starts_with(b"{") || lines || row.fault.is_some());
            let fault = row.fault.map(|(code, message)| format!(" {code}: {message}")).unwrap_or_default();
            let cells: Vec<String> = row.cells.iter().map(|cell| cell.clone().unwrap_or("-".to_owned())).collect();
            found.push(format!("{}@{} {}{fault}", row.line, row.byte, cells.join("|")));
            Ok(())
        });
        read.unwrap().map(|_| found).map_err(|fault| format!("{}@{} {}", fault.row.unwrap(), fault.byte, fault.message))
    }

    #[test]
    fn records_are_found_where_they_are() {
        let columns = ["id", "order.number"];
        let expected = Ok(vec!["1@1 7|1.50".to_owned(), "2@38 x|-".to_owned()]);
        let list = b"[{\"id\": 7, \"order\": {\"number\":1.50}},\n{\"id\":\"x\",\"order\":null}]\n";
        assert_eq!(rows(list, false, "$", &columns), expected);
        assert_eq!(rows(list, false, "$[*]", &columns), expected);
        assert_eq!(rows(b" {\"id\":1} ", false, "$", &["id"]), Ok(vec!["1@1 1".to_owned()]));
        let deep = b"{\"meta\":{\"a\":[1,{}]},\"data\":{\"orders\":[{\"id\":true}]},\"n\":0}";
        assert_eq!(rows(deep, false, "$.data.orders[*]", &["id"]), Ok(vec!["1@39 true".to_owned()]));
        assert_eq!(rows(b"[]", false, "$", &["id"]), Ok(vec![]));
        assert_eq!(rows(b"", false, "$", &["id"]), Ok(vec![]));
    }

    #[test]
    fn lines_are_records_and_a_bad_one_is_rejected_by_itself() {
        let text =
            b"{\"id\":1}\n\n{\"id\":\n[1]\n{\"id\":2,\"id\":3}\n{\"id\":[1]}\n{\"id\":{\"a\":1}}\n{\"id\":\"\xff\"}";
        assert_eq!(
            rows(text, true, "$", &["id"]).unwrap(),
            [
                "1@0 1",
                "3@10 - bad-json: the line is no JSON: EOF while parsing a value",
                "4@17 - bad-json: the record is not an object",
                "5@21 3 bad-json: `id` stands twice in one object",
                "6@37 - ragged-row: `id` is a list, and one value is expected",
                "7@48 - ragged-row: `id` is an object, and one value is expected",
                "8@63 - bad-encoding: the byte at offset 70 is not utf-8",
            ]
        );
    }

    #[test]
    fn a_document_that_is_not_whole_is_a_fault_of_the_file() {
        for (text, fault) in [
            (&b"[{\"id\":1}"[..], "1@9 the file ends where `,` or `]` is expected: it may have been cut short"),
            (
                b"[{\"id\":1},\n{\"id\"",
                "2@11 the file ends inside a value that begins here: it may have been cut short",
            ),
            (b"[{\"id\":1}] x", "1@11 the end of the file is expected here, and there is `x`"),
            (b"[{\"id\":1}{\"id\":2}]", "1@9 `,` or `]` is expected here, and there is `{`"),
            (b"[{\"id\":1},]", "1@10 a record is expected here, and there is `]`"),
            (b"[{id:1}]", "1@1 the record that begins here is no JSON: key must be a string"),
            (b"nope", "1@0 a list of records, or one record is expected here, and there is `n`"),
        ] {
            assert_eq!(rows(text, false, "$", &["id"]), Err(fault.to_owned()));
        }
        let fault = rows(b"{\"a\":1}", false, "$.b[*]", &["id"]);
        assert_eq!(fault, Err("1@7 there is no `b`, where the records should be".to_owned()));
    }

    #[test]
    fn only_paths_that_can_be_followed_are_taken() {
        assert_eq!(Each::parse("$['a b'].c[*]"), Some(Each(vec!["a b".to_owned(), "c".to_owned()])));
        for path in ["a", "$..a", "$.a[0]", "$.*", "$.a[?@.b]", "$.a[*].b"] {
            assert_eq!(Each::parse(path), None, "{path}");
        }
    }
}
