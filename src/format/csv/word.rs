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
