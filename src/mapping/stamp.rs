//! Bytes that are written again and again: keys, constants, values of code tables.

use crate::format::csv::cell::{BLOCK, Cell};

/// Bytes with so many zeros behind them that they can be copied as one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    padded: Box<[u8]>,
    length: usize,
}

impl Stamp {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut padded = bytes.to_vec();
        padded.resize(bytes.len() + BLOCK, 0);
        Self { padded: padded.into(), length: bytes.len() }
    }

    /// Appends the bytes to `out`.
    #[inline(always)]
    pub(super) fn append_to(&self, out: &mut Vec<u8>) {
        Cell::new(&self.padded, 0, self.length).append_to(out);
    }

    /// Appends the bytes behind the first to `out`.
    #[inline(always)]
    pub(super) fn append_tail_to(&self, out: &mut Vec<u8>) {
        Cell::new(&self.padded, 1, self.length).append_to(out);
    }
}
