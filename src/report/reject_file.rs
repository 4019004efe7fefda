//! Rejected rows as a file of the same kind as the one they came in.

use crate::format::encoding::Encoding;
use crate::ledger::row::RejectRow;
use crate::mapping::header::EXPORTED;

/// A row with everything that is wrong with it.
pub struct ExportedRow {
    byte: u64,
    line: Option<u64>,
    raw: Vec<u8>,
    codes: Vec<String>,
    messages: Vec<String>,
}

impl ExportedRow {
    /// Adds a reject: a second one of the same row says more about that row.
    pub fn add(rows: &mut Vec<Self>, same_file: bool, reject: &RejectRow) {
        let side = if reject.side == "target" { "target:" } else { "" };
        let (code, message) = (format!("{side}{}", reject.code), reject.message.clone());
        if let Some(last) = rows.last_mut().filter(|last| same_file && last.byte == reject.byte) {
            last.codes.push(code);
            last.messages.push(message);
            return;
        }
        let (byte, line, raw) = (reject.byte, reject.row, reject.raw.clone());
        rows.push(Self { byte, line, raw, codes: vec![code], messages: vec![message] });
    }
}

/// The rows of one kind of file.
pub struct RejectFile<'a> {
    /// What stands before the rows: preamble and header.
    pub head: Vec<u8>,
    /// The rows, in their order.
    pub rows: &'a [ExportedRow],
    /// Between cells.
    pub delimiter: u8,
    /// Around cells.
    pub quote: Option<u8>,
    /// Of the file.
    pub encoding: Encoding,
}

impl RejectFile<'_> {
    /// Header and rows exactly as they came.
    pub fn original(&self) -> Vec<u8> {
        let mut bytes = self.head.clone();
        let end = self.line_end();
        for row in self.rows {
            bytes.extend_from_slice(&row.raw);
            if !row.raw.ends_with(&self.encoded("\n")) {
                bytes.extend_from_slice(&end);
            }
        }
        bytes
    }

    /// Header and rows with line, code and message behind the original columns.
    pub fn with_causes(&self) -> Vec<u8> {
        let end = self.line_end();
        let (head, headed) = self.without_end(&self.head);
        let mut bytes = head.to_vec();
        bytes.extend_from_slice(&self.cells(&EXPORTED));
        bytes.extend_from_slice(if headed.is_empty() { &end } else { headed });
        for row in self.rows {
            // The rows of a record stand together; each goes on with its own cause.
            for (at, line) in self.lines(&row.raw).enumerate() {
                let number = row.line.map_or(String::new(), |first| (first + at as u64).to_string());
                bytes.extend_from_slice(self.without_end(line).0);
                bytes.extend_from_slice(&self.cells(&[&number, &row.codes.join(" "), &row.messages.join("; ")]));
                bytes.extend_from_slice(&end);
            }
        }
        bytes
    }

    /// The rows of a record that was refused; a quoted line break does not end a row.
    fn lines<'b>(&self, raw: &'b [u8]) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        let quote = self.quote;
        let mut open = false;
        raw.split_inclusive(move |byte| {
            open ^= Some(*byte) == quote;
            *byte == b'\n' && !open
        })
    }

    fn cells(&self, cells: &[&str]) -> Vec<u8> {
        let mut text = String::new();
        for cell in cells {
            text.push(char::from(self.delimiter));
            let line = cell.split_whitespace().collect::<Vec<_>>().join(" ");
            match self.quote.map(char::from) {
                Some(quote) if line.contains([quote, char::from(self.delimiter)]) => {
                    text.push(quote);
                    text.push_str(&line.replace(quote, &format!("{quote}{quote}")));
                    text.push(quote);
                }
                Some(_) => text.push_str(&line),
                None => text.push_str(&line.replace(char::from(self.delimiter), " ")),
            }
        }
        self.encoded(&text)
    }

    /// A character that the encoding does not have becomes a question mark: these cells are for people.
    fn encoded(&self, text: &str) -> Vec<u8> {
        self.encoding.encode(text).unwrap_or_else(|_| {
            let one = |character: char| self.encoding.encode(&character.to_string()).unwrap_or_else(|_| vec![b'?']);
            text.chars().flat_map(one).collect()
        })
    }

    /// The line end of the header, or a line feed.
    fn line_end(&self) -> Vec<u8> {
        let (_, end) = self.without_end(&self.head);
        if end.is_empty() { self.encoded("\n") } else { end.to_vec() }
    }

    fn without_end<'b>(&self, line: &'b [u8]) -> (&'b [u8], &'b [u8]) {
        for end in ["\r\n", "\n"] {
            if let Some(rest) = line.strip_suffix(self.encoded(end).as_slice()) {
                return line.split_at(rest.len());
            }
        }
        (line, &[])
    }
}
