//! What the first bytes of a file tell: its encoding and how its lines end.

use memchr::memchr;

use crate::domain::reject::{FileFault, RejectCode};

/// How many bytes are looked at.
pub(super) const LOOK: usize = 64 << 10;

/// What was seen.
pub(super) struct Start {
    /// Length of the byte order mark.
    pub(super) mark: usize,
    /// `\n`, or `\r` when there are CRs and no LF.
    pub(super) line_end: u8,
}

/// Looks at the first bytes. UTF-16 and UTF-32 are refused here, because read as UTF-8 they give garbage without an error.
pub(super) fn look(head: &[u8]) -> Result<Start, FileFault> {
    let wide = match head {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some("a UTF-16 byte order mark"),
        [0, 0, ..] => None,
        [0, b, 0, d, ..] | [b, 0, d, 0, ..] if *b != 0 && *d != 0 => Some("the NUL pattern of UTF-16"),
        _ => None,
    };
    if let Some(sign) = wide {
        return Err(FileFault {
            code: RejectCode::BadEncoding,
            row: Some(1),
            byte: 0,
            column: None,
            message: format!("the file begins with {sign}; it must be UTF-8, so ask the sender to export it as UTF-8"),
        });
    }
    let mark = if head.starts_with(&[0xEF, 0xBB, 0xBF]) { 3 } else { 0 };
    let cr_only =
        memchr(b'\n', head).is_none() && memchr(b'\r', head).is_some_and(|at| at + 1 < head.len() || head.len() < LOOK);
    Ok(Start { mark, line_end: if cr_only { b'\r' } else { b'\n' } })
}
