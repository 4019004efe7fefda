//! Where a quoted cell ends: the one rule that the splitter and the row decoder must share.

use memchr::memchr;

use super::Dialect;

/// How a quoted cell ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// Properly; the position of the byte after the closing quote.
    At(usize),
    /// There is text after the closing quote. Its row ends with the line of the *opening* quote: the usual cause is a quote
    /// that was never meant to open a cell, and the lines after it are good rows of their own.
    Bad,
    /// Not in these bytes.
    Open,
}

/// True when a quote at `at` opens a cell: it is the first byte of the row or stands behind a delimiter.
pub(crate) fn opens(data: &[u8], at: usize, dialect: Dialect) -> bool {
    match at.checked_sub(1).and_then(|before| data.get(before)) {
        None => true,
        Some(&before) => before == dialect.delimiter || before == dialect.line_end,
    }
}

/// Looks for the end of the cell whose opening quote is at `open`. `ended`: nothing follows `data` in the file.
pub(crate) fn close(data: &[u8], open: usize, quote: u8, dialect: Dialect, ended: bool) -> Close {
    let mut from = open + 1;
    while let Some(found) = data.get(from..).and_then(|rest| memchr(quote, rest)) {
        let at = from + found;
        let end = at + 1;
        match data.get(end) {
            None => return if ended { Close::At(end) } else { Close::Open },
            Some(&next) if next == quote => from = end + 1,
            Some(&next) if next == dialect.delimiter || next == dialect.line_end => return Close::At(end),
            Some(b'\r') if dialect.line_end == b'\n' => {
                return match data.get(end + 1) {
                    Some(b'\n') => Close::At(end),
                    None if ended => Close::At(end),
                    None => Close::Open,
                    Some(_) => Close::Bad,
                };
            }
            Some(_) => return Close::Bad,
        }
    }
    Close::Open
}
