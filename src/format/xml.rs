//! XML: records with their places, one at a time. Entities are off: a document with a type is refused.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::encoding::Encoding;
use super::json::{EachRow, Summary, Unpacked};
use crate::domain::reject::{FileFault, RejectCode};

/// Most bytes of a record.
const MAX_RECORD: u64 = 16 << 20;
/// Most elements inside each other.
const MAX_DEPTH: usize = 128;
/// Most names in a warning.
const MAX_UNKNOWN: usize = 1000;

/// How a file is read.
pub struct XmlInput<'a> {
    /// `/orders/order`, or `order` for every element of that name; `None`: the children of the root.
    pub each: Option<&'a str>,
    /// Of the file as it came; the reader gives UTF-8.
    pub encoding: Encoding,
    /// Bytes before the text: a byte order mark.
    pub offset: u64,
}

/// Reads a file. Columns are paths of names with dots, `@name` for an attribute, `.` for the text of the record.
///
/// # Errors
/// The outer error is that of the reader and of `row`, the inner one a fault of the file (`bad-xml`).
pub fn read(
    input: &mut dyn BufRead,
    how: &XmlInput<'_>,
    columns: &[String],
    row: &mut EachRow<'_>,
) -> io::Result<Result<Summary, FileFault>> {
    let counted = Counted { inner: input, encoding: how.encoding, line: 1, byte: how.offset };
    let mut reader = Reader::from_reader(counted);
    reader.config_mut().check_end_names = true;
    let mut walk = Walk { how, columns, open: Vec::new(), record: None, summary: Summary::default(), rooted: false };
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let (line, byte) = (reader.get_ref().line, reader.get_ref().byte);
        let fault = |message: String| {
            Ok(Err(FileFault { code: RejectCode::BadXml, row: Some(line), byte, column: None, message }))
        };
        let event = match reader.read_event_into(&mut buffer) {
            Ok(Event::Eof) => {
                return match walk.open.last() {
                    Some(name) => fault(format!("the file ends inside `{name}`: it may have been cut short")),
                    None => Ok(Ok(walk.summary)),
                };
            }
            Ok(event) => event,
            Err(quick_xml::Error::Io(error)) if error.kind() != io::ErrorKind::InvalidData => {
                return Err(io::Error::new(error.kind(), error.to_string()));
            }
            Err(error) => return fault(format!("this is no XML: {error}")),
        };
        let end = (reader.get_ref().byte, reader.get_ref().line);
        match walk.event(&event, (line, byte), end.0, row)? {
            Ok(()) => {}
            Err(message) => return fault(message),
        }
    }
}

/// Counts lines, and bytes of the file as it came.
struct Counted<'a> {
    inner: &'a mut dyn BufRead,
    encoding: Encoding,
    line: u64,
    byte: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count(buffer.get(..read).unwrap_or_default().to_vec().as_slice());
        Ok(read)
    }
}

impl Counted<'_> {
    fn count(&mut self, bytes: &[u8]) {
        self.line += memchr::memchr_iter(b'\n', bytes).count() as u64;
        self.byte += self.encoding.source_len(bytes);
    }
}

impl BufRead for Counted<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        if let Ok(bytes) = self.inner.fill_buf() {
            let bytes = bytes.get(..amount).unwrap_or_default();
            self.line += memchr::memchr_iter(b'\n', bytes).count() as u64;
            self.byte += self.encoding.source_len(bytes);
        }
        self.inner.consume(amount);
    }
}

/// The record at hand.
struct Record {
    line: u64,
    byte: u64,
    /// Number of open elements when it began, itself included.
    depth: usize,
    /// Text of each open element, and whether it has elements inside.
    texts: Vec<(String, bool)>,
    leaves: Vec<(String, String)>,
    fault: Option<(RejectCode, String)>,
}

struct Walk<'a> {
    how: &'a XmlInput<'a>,
    columns: &'a [String],
    open: Vec<String>,
    record: Option<Record>,
    summary: Summary,
    rooted: bool,
}

impl Walk<'_> {
    fn event(
        &mut self,
        event: &Event<'_>,
        (line, byte): (u64, u64),
        end: u64,
        row: &mut EachRow<'_>,
    ) -> io::Result<Result<(), String>> {
        let done = match event {
            Event::Start(start) => self.start(start, line, byte),
            Event::Empty(start) => match self.start(start, line, byte) {
                Ok(()) => return self.end(end, row),
                wrong => wrong,
            },
            Event::End(_) => return self.end(end, row),
            Event::Text(text) => self.text(text.as_ref()),
            Event::CData(text) => self.text(text.as_ref()),
            Event::GeneralRef(reference) => self.reference(reference),
            Event::DocType(_) => Err("the document has a type, and entities are off: it is not read".to_owned()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Eof => Ok(()),
        };
        if self.record.as_ref().is_some_and(|record| end - record.byte > MAX_RECORD) {
            return Ok(Err("a record is longer than 16 MiB".to_owned()));
        }
        Ok(done)
    }

    fn start(&mut self, start: &BytesStart<'_>, line: u64, byte: u64) -> Result<(), String> {
        let name = start.local_name().as_ref().to_owned();
        if self.open.is_empty() && std::mem::replace(&mut self.rooted, true) {
            return Err(format!("a second root element `{name}`"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} elements inside each other"));
        }
        self.open.push(name);
        if self.record.is_none() && self.is_record() {
            let (depth, texts) = (self.open.len(), Vec::new());
            self.record = Some(Record { line, byte, depth, texts, leaves: Vec::new(), fault: None });
        }
        let Some(record) = &mut self.record else { return Ok(()) };
        if let Some((_, parent)) = record.texts.last_mut() {
            *parent = true;
        }
        record.texts.push((String::new(), false));
        let path = path(&self.open, record.depth);
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| format!("an attribute is not well-formed: {error}"))?;
            let key = attribute.key.local_name().as_ref().to_owned();
            let value = unescape(attribute.value.as_ref())?;
            let path = if path == "." { format!("@{key}") } else { format!("{path}.@{key}") };
            record.leaves.push((path, value));
        }
        Ok(())
    }

    fn is_record(&self) -> bool {
        match self.how.each {
            None => self.open.len() == 2,
            Some(each) if each.starts_with('/') => {
                let wanted = each.split('/').filter(|name| !name.is_empty());
                wanted.eq(self.open.iter().map(String::as_str))
            }
            Some(each) => self.open.last().is_some_and(|name| name == each),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        let Some(record) = &mut self.record else {
            let blank = text.trim().is_empty();
            return if blank || !self.open.is_empty() {
                Ok(())
            } else {
                Err("text outside of the root element".to_owned())
            };
        };
        if let Some((own, _)) = record.texts.last_mut() {
            own.push_str(text);
        }
        Ok(())
    }

    /// `&amp;`, `&#65;`
    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), String> {
        let name: &str = reference.as_ref();
        let text = unescape(&format!("&{name};"))?;
        self.text(&text)
    }

    fn end(&mut self, end: u64, row: &mut EachRow<'_>) -> io::Result<Result<(), String>> {
        if let Some(record) = &mut self.record {
            let path = path(&self.open, record.depth);
            if let Some((text, has_elements)) = record.texts.pop() {
                let mixed = has_elements && !text.trim().is_empty();
                if !has_elements || mixed {
                    let text = if mixed { text.trim().to_owned() } else { text };
                    record.leaves.push((path, text));
                }
            }
            if self.open.len() == record.depth {
                let record = self.record.take();
                self.open.pop();
                return match record {
                    Some(record) => self.emit(record, end, row).map(Ok),
                    None => Ok(Ok(())),
                };
            }
        }
        self.open.pop();
        Ok(Ok(()))
    }

    fn emit(&mut self, mut record: Record, end: u64, row: &mut EachRow<'_>) -> io::Result<()> {
        let mut cells: Vec<Option<String>> = vec![None; self.columns.len()];
        let mut seen = BTreeSet::new();
        for (path, text) in record.leaves {
            let column = self.columns.iter().position(|column| *column == path);
            match column.and_then(|at| cells.get_mut(at)) {
                Some(_) if !seen.insert(path.clone()) => {
                    let message = format!("`{path}` stands more than once, and one value is expected");
                    record.fault.get_or_insert((RejectCode::RaggedRow, message));
                }
                Some(cell) => *cell = Some(text),
                None if path != "." && self.summary.unknown.len() < MAX_UNKNOWN => {
                    if let Some(column) = self
                        .columns
                        .iter()
                        .find(|column| path.starts_with(&format!("{column}.")) && !path.contains('@'))
                    {
                        let message = format!("`{column}` has elements inside, and one value is expected");
                        record.fault.get_or_insert((RejectCode::RaggedRow, message));
                    }
                    self.summary.unknown.insert(path);
                }
                None => {}
            }
        }
        let length = end - record.byte;
        self.summary.rows += length;
        row(Unpacked { line: record.line, byte: record.byte, length, cells: &cells, fault: record.fault })
    }
}

/// The path within the record; `.` is the record itself.
fn path(open: &[String], depth: usize) -> String {
    let inner = open.get(depth..).unwrap_or_default();
    if inner.is_empty() { ".".to_owned() } else { inner.join(".") }
}

/// The five entities that every document has, and characters by number; no others.
fn unescape(text: &str) -> Result<String, String> {
    quick_xml::escape::unescape(text)
        .map(|text| text.into_owned())
        .map_err(|error| format!("an entity that is not one of the five: {error}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends with the first surprise")]
mod tests {
    use super::*;

    fn rows(text: &str, each: Option<&str>, columns: &[&str]) -> Result<Vec<String>, String> {
        let how = XmlInput { each, encoding: Encoding::UTF_8, offset: 0 };
        let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
        let mut found = Vec::new();
        let read = read(&mut text.as_bytes(), &how, &columns, &mut |row: Unpacked<'_>| {
            let raw = &text[row.byte as usize..(row.byte + row.length) as usize];
            assert!(raw.starts_with('<') && raw.ends_with('>'), "{raw}");
            let fault = row.fault.map(|(code, message)| format!(" {code}: {message}")).unwrap_or_default();
            let cells: Vec<String> = row.cells.iter().map(|cell| cell.clone().unwrap_or("-".to_owned())).collect();
            found.push(format!("{}@{} {}{fault}", row.line, row.byte, cells.join("|")));
            Ok(())
        });
        read.unwrap().map(|_| found).map_err(|fault| format!("{} {}", fault.row.unwrap(), fault.message))
    }

    #[test]
    fn records_are_found_with_elements_attributes_and_text() {
        let text = "<?xml version=\"1.0\"?>\n<o:orders xmlns:o=\"x\">\n <order id='1 &amp; 2'><to><name>Åse &lt;3 <![CDATA[&x]]></name></to><n/></order>\n <order>plain</order>\n</o:orders>\n";
        let columns = ["@id", "to.name", "n", "."];
        assert_eq!(
            rows(text, Some("/orders/order"), &columns),
            Ok(vec!["3@46 1 & 2|Åse <3 &x||-".to_owned(), "4@129 -|-|-|plain".to_owned()])
        );
        assert_eq!(rows(text, None, &columns), rows(text, Some("order"), &columns));
    }

    #[test]
    fn two_values_for_one_cell_reject_the_record() {
        let text = "<a><r><x>1</x><x>2</x></r><r><y><z>1</z></y></r></a>";
        assert_eq!(
            rows(text, None, &["x", "y"]).unwrap(),
            [
                "1@3 1|- ragged-row: `x` stands more than once, and one value is expected",
                "1@26 -|- ragged-row: `y` has elements inside, and one value is expected",
            ]
        );
    }

    #[test]
    fn what_is_not_well_formed_or_has_a_type_is_a_fault_of_the_file() {
        let fault = |text: &str| rows(text, None, &["x"]).unwrap_err();
        let bomb = "<!DOCTYPE a [<!ENTITY x \"y\">]><a><r>&x;</r></a>";
        assert_eq!(fault(bomb), "1 the document has a type, and entities are off: it is not read");
        assert!(fault("<a><r>&x;</r></a>").contains("entity"));
        assert_eq!(fault("<a>\n<r>"), "2 the file ends inside `r`: it may have been cut short");
        assert!(fault("<a><r></a>").starts_with("1 this is no XML"));
        assert_eq!(fault("<a/><b/>"), "1 a second root element `b`");
    }
}
