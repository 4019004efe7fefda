//! A row that is too long to be held: only its end is looked for.

use super::{Dialect, Place};

/// Scans one row over many buffers. It knows what `quote` knows, one byte at a time.
pub(super) struct LongScan {
    dialect: Dialect,
    state: LongState,
    /// Where the line at hand begins.
    line: Place,
    /// Where the line with the last opening quote begins.
    opened: Place,
    /// The end of that line.
    opened_end: Option<Place>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LongState {
    CellStart,
    Unquoted,
    /// A bad quote: only the end of the line counts.
    Bad,
    Quoted,
    /// Behind a quote in a quoted cell.
    Quote,
    /// Behind a quote and a CR.
    QuoteCr,
}

impl LongScan {
    /// A scan of the row at `from`.
    pub(super) fn new(dialect: Dialect, from: Place) -> Self {
        Self { dialect, state: LongState::CellStart, line: from, opened: from, opened_end: None }
    }

    /// Takes the bytes at `offset`; gives the end of the row when it is among them.
    pub(super) fn feed(&mut self, data: &[u8], offset: u64) -> Option<Result<Place, Place>> {
        for (at, &byte) in data.iter().enumerate() {
            let next = Place { byte: offset + at as u64 + 1, line: self.line.line + 1 };
            if let Some(end) = self.step(byte, next) {
                return Some(Ok(end));
            }
        }
        None
    }

    /// Takes one byte; `next` is the line that begins behind it if it ends one.
    fn step(&mut self, byte: u8, next: Place) -> Option<Place> {
        let line_end = byte == self.dialect.line_end;
        let quote = Some(byte) == self.dialect.quote;
        let (line, opened_end) = (self.line, self.opened_end);
        if line_end {
            self.line = next;
            if self.opened_end.is_none() {
                self.opened_end = Some(next);
            }
        }
        self.state = match self.state {
            LongState::Quoted if quote => LongState::Quote,
            LongState::Quoted => LongState::Quoted,
            LongState::Quote if quote => LongState::Quoted,
            _ if line_end => return Some(next),
            LongState::Quote if byte == self.dialect.delimiter => LongState::CellStart,
            LongState::Quote if byte == b'\r' && self.dialect.line_end == b'\n' => LongState::QuoteCr,
            LongState::Quote | LongState::QuoteCr if opened_end.is_some() => return opened_end,
            LongState::Quote | LongState::QuoteCr | LongState::Bad => LongState::Bad,
            LongState::CellStart if quote => {
                self.opened = line;
                self.opened_end = None;
                LongState::Quoted
            }
            LongState::CellStart | LongState::Unquoted if byte == self.dialect.delimiter => LongState::CellStart,
            LongState::CellStart | LongState::Unquoted if quote => LongState::Bad,
            LongState::CellStart | LongState::Unquoted => LongState::Unquoted,
        };
        None
    }

    /// The file ends at `offset`: the end of the row, or the line of the quote that never closed.
    pub(super) fn finish(&self, offset: u64) -> Result<Place, Place> {
        match self.state {
            LongState::Quoted => Err(self.opened),
            _ => Ok(Place { byte: offset, line: self.line.line }),
        }
    }
}
