//! Eight bytes at a time: which of them equal a given byte. Exact, without carries between bytes.

const LOW_BITS: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// `byte` in each of the eight places.
pub(super) const fn spread(byte: u8) -> u64 {
    0x0101_0101_0101_0101 * byte as u64
}

/// The high bit of each place where `word` and `pattern` (from `spread`) are equal.
pub(super) const fn equal(word: u64, pattern: u64) -> u64 {
    let difference = word ^ pattern;
    !(((difference & LOW_BITS) + LOW_BITS) | difference | LOW_BITS)
}

/// The high bit of each place with a control character of ASCII.
pub(super) const fn controls(word: u64) -> u64 {
    // Bytes from 0x20 to 0x7F get the high bit, and those above have it.
    !((word & LOW_BITS).wrapping_add(spread(0x60)) | word) & !LOW_BITS
}

/// The high bits as one byte, the first place lowest.
pub(super) const fn gather(high_bits: u64) -> u64 {
    (high_bits >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}
