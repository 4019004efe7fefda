//! Payload bytes: JSON straight into a buffer that is reused.

/// For each byte: 0 as it is, `u` as `\u00XX`, otherwise the letter behind the backslash.
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = b'u';
        byte += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0A] = b'n';
    table[0x0C] = b'f';
    table[0x0D] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

/// Writes a JSON string.
#[inline]
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    string_of(out, text.as_bytes());
}

/// Writes a JSON string of bytes that are UTF-8.
#[inline]
pub(super) fn string_of(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    if is_plain_text(text) {
        out.extend_from_slice(text);
    } else {
        escape(out, text);
    }
    out.push(b'"');
}

/// Writes a JSON string that needs no escapes, as the caller knows.
#[inline]
pub(super) fn plain_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// True when no byte of the text needs an escape. Eight bytes at a time.
#[inline]
pub(super) fn is_plain(text: &str) -> bool {
    is_plain_text(text.as_bytes())
}

fn is_plain_text(text: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // Has the high bit of some byte set when a byte is below `limit` (which is at most 128).
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & (ONES * 0x80);
    let (blocks, rest) = text.as_chunks::<8>();
    blocks.iter().all(|block| {
        let word = u64::from_le_bytes(*block);
        let (quote, backslash) = (word ^ (ONES * b'"' as u64), word ^ (ONES * b'\\' as u64));
        below(word, 0x20) | below(quote, 1) | below(backslash, 1) == 0
    }) && rest.iter().all(|&byte| ESCAPES[byte as usize] == 0)
}

fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let escape = ESCAPES[byte as usize];
        if escape != 0 {
            out.extend_from_slice(bytes.get(from..at).unwrap_or_default());
            from = at + 1;
            if escape == b'u' {
                let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            } else {
                out.extend_from_slice(&[b'\\', escape]);
            }
        }
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends with the first surprise")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_are_those_of_json() {
        let mut out = Vec::new();
        string(&mut out, "a\"b\\c\n\t\r\u{8}\u{c}\u{1}\u{1f}é\u{2028}/");
        assert_eq!(String::from_utf8(out).unwrap(), "\"a\\\"b\\\\c\\n\\t\\r\\b\\f\\u0001\\u001fé\u{2028}/\"");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(text in any::<String>()) {
            let mut out = Vec::new();
            string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
