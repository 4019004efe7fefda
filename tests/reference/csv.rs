//! RFC 4180, strict, byte by byte over the whole file. Lines end with LF or CRLF.

/// Where a line begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub byte: usize,
}

#[derive(Clone, Debug)]
pub struct Row {
    pub place: Place,
    /// The cells that can be told apart; with a bad quote those before it.
    pub cells: Vec<Vec<u8>>,
    pub fault: Option<&'static str>,
}

/// All rows, header included, or the line whose quote never closes.
pub fn read(content: &[u8], delimiter: u8) -> Result<Vec<Row>, Place> {
    let mut rows = Vec::new();
    let mut at = if content.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    let mut line = 1;
    while at < content.len() {
        let start = at;
        let (row, end) = read_row(content, at, line, delimiter)?;
        line += content[start..end].iter().filter(|&&byte| byte == b'\n').count();
        at = end;
        rows.extend(row);
    }
    Ok(rows)
}

/// One row and where the next begins; a line without characters is no row.
fn read_row(content: &[u8], start: usize, line: usize, delimiter: u8) -> Result<(Option<Row>, usize), Place> {
    if let Some(length) = line_end(content, start) {
        return Ok((None, start + length));
    }
    let place = Place { line, byte: start };
    let mut cells: Vec<Vec<u8>> = Vec::new();
    let mut at = start;
    loop {
        // At the beginning of a cell.
        let mut cell = Vec::new();
        if content.get(at) == Some(&b'"') {
            let open = at;
            at += 1;
            loop {
                match content.get(at) {
                    None => return Err(line_of(content, open)),
                    Some(b'"') if content.get(at + 1) == Some(&b'"') => {
                        cell.push(b'"');
                        at += 2;
                    }
                    Some(b'"') => {
                        at += 1;
                        break;
                    }
                    Some(byte) => {
                        cell.push(*byte);
                        at += 1;
                    }
                }
            }
            let ends = at == content.len() || content[at] == delimiter || line_end(content, at).is_some();
            if !ends {
                // Text behind the closing quote: the row ends with the line of the opening quote, nothing is merged.
                return Ok((Some(Row { place, cells, fault: Some("bad-quote") }), behind_line(content, open)));
            }
        } else {
            while at < content.len() && content[at] != delimiter && line_end(content, at).is_none() {
                if content[at] == b'"' {
                    return Ok((Some(Row { place, cells, fault: Some("bad-quote") }), behind_line(content, at)));
                }
                cell.push(content[at]);
                at += 1;
            }
        }
        cells.push(cell);
        if content.get(at) == Some(&delimiter) {
            at += 1;
            continue;
        }
        let end = at + line_end(content, at).unwrap_or(0);
        let bytes = &content[start..at];
        let fault = if bytes.contains(&0) {
            Some("bad-character")
        } else if std::str::from_utf8(bytes).is_err() {
            Some("bad-encoding")
        } else {
            None
        };
        return Ok((Some(Row { place, cells, fault }), end));
    }
}

/// The length of the line end at `at`.
fn line_end(content: &[u8], at: usize) -> Option<usize> {
    match content.get(at..)? {
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        _ => None,
    }
}

/// Where the next line begins.
fn behind_line(content: &[u8], at: usize) -> usize {
    content[at..].iter().position(|&byte| byte == b'\n').map_or(content.len(), |found| at + found + 1)
}

/// The line that holds the byte at `at`.
fn line_of(content: &[u8], at: usize) -> Place {
    let before = &content[..at];
    let byte = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |found| found + 1);
    Place { line: before.iter().filter(|&&byte| byte == b'\n').count() + 1, byte }
}
