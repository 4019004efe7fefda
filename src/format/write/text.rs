//! Text in the encoding of a file, strictly.

use super::super::encoding::Encoding;
use crate::domain::reject::RejectCode;

/// Appends a text; `Err`: a character that the encoding does not have, or that our readers would not take back.
pub(super) fn encode(encoding: Encoding, text: &str, out: &mut Vec<u8>) -> Result<(), (RejectCode, String)> {
    if encoding.is_utf8() {
        out.extend_from_slice(text.as_bytes());
        return Ok(());
    }
    let lost = |character: char| {
        let name = encoding.name();
        (
            RejectCode::BadEncoding,
            format!("holds the character `{}`, which {name} does not have", character.escape_debug()),
        )
    };
    out.extend(encoding.encode(text).map_err(lost)?);
    Ok(())
}

/// What stands before the first character: the order of the bytes of UTF-16, where its name leaves it open.
pub(super) fn mark(encoding: Encoding, out: &mut Vec<u8>) {
    if encoding.name() == "utf-16" {
        out.extend_from_slice(&[0xFF, 0xFE]);
    }
}
