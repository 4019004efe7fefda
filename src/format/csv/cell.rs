//! A cell among its neighbours. A short cell is read and copied as one block of a fixed size, whatever stands behind it: the
//! processor then neither branches on the length nor calls anything.

/// Bytes of a block that is copied.
pub const BLOCK: usize = 32;
/// Bytes of a block that is read as a number.
const WORD: usize = 16;

/// Some bytes, and those around them.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'a> {
    around: &'a [u8],
    from: usize,
    to: usize,
}

impl<'a> Cell<'a> {
    /// The bytes `from..to` of `around`; empty when they are not there.
    #[inline(always)]
    pub fn new(around: &'a [u8], from: usize, to: usize) -> Self {
        match from <= to && to <= around.len() {
            true => Self { around, from, to },
            false => Self { around: &[], from: 0, to: 0 },
        }
    }

    /// Number of bytes.
    #[inline(always)]
    #[expect(clippy::len_without_is_empty, reason = "`first` tells")]
    pub fn len(self) -> usize {
        self.to - self.from
    }

    /// The bytes.
    #[inline(always)]
    pub fn bytes(self) -> &'a [u8] {
        self.around.get(self.from..self.to).unwrap_or_default()
    }

    /// The first byte.
    #[inline(always)]
    pub fn first(self) -> Option<u8> {
        if self.from < self.to { self.around.get(self.from).copied() } else { None }
    }

    /// The last byte.
    #[inline(always)]
    pub fn last(self) -> Option<u8> {
        if self.from < self.to { self.around.get(self.to - 1).copied() } else { None }
    }

    /// The bytes `from..to` of it, as far as it has them.
    #[inline(always)]
    pub fn part(self, from: usize, to: usize) -> Self {
        let to = (self.from + to).min(self.to);
        Self { around: self.around, from: (self.from + from).min(to), to }
    }

    /// Its bytes as a number, the first one lowest and zeros behind the last; `None` when it has more than 16.
    #[inline(always)]
    pub fn word(self) -> Option<u128> {
        let length = self.len();
        if length > WORD {
            return None;
        }
        let block = self.around.get(self.from..).and_then(<[u8]>::first_chunk::<WORD>);
        let word = block.map_or_else(|| padded(self.bytes()), |block| u128::from_le_bytes(*block));
        Some(word & mask(length))
    }

    /// Appends it to `out`.
    #[inline(always)]
    pub fn append_to(self, out: &mut Vec<u8>) {
        let length = self.len();
        match self.around.get(self.from..).and_then(<[u8]>::first_chunk::<BLOCK>) {
            Some(block) if length <= BLOCK => {
                let end = out.len() + length;
                out.extend_from_slice(block);
                out.truncate(end);
            }
            _ => out.extend_from_slice(self.bytes()),
        }
    }
}

/// Ones in the lowest `length` bytes, of at most 16.
#[inline(always)]
pub const fn mask(length: usize) -> u128 {
    match length {
        0 => 0,
        length => u128::MAX >> (8 * (WORD - length)),
    }
}

/// `word` of the last bytes of a chunk.
#[cold]
fn padded(bytes: &[u8]) -> u128 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_the_same_in_the_middle_and_at_the_end() {
        let text: Vec<u8> = (0..100).collect();
        for from in 0..=100 {
            for to in from..=100 {
                let (cell, bytes) = (Cell::new(&text, from, to), &text[from..to]);
                let mut out = vec![b'x'];
                cell.append_to(&mut out);
                assert_eq!((&out[1..], cell.bytes(), cell.len()), (bytes, bytes, bytes.len()));
                assert_eq!((cell.first(), cell.last()), (bytes.first().copied(), bytes.last().copied()));
                assert_eq!(cell.word(), (bytes.len() <= 16).then(|| padded(bytes)));
                assert_eq!(cell.part(1, 3).bytes(), bytes.get(1..3.min(bytes.len())).unwrap_or_default());
            }
        }
        assert_eq!(Cell::new(&text, 90, 101).bytes(), b"");
        assert_eq!(Cell::new(&text, 3, 2).bytes(), b"");
    }
}
