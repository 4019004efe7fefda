//! Sixty-four bytes as masks: which of them are delimiters, quotes, line ends. With AVX2 where the processor has it.
//!
//! This is the only module with `unsafe`, for one thing: calling the function that was compiled for AVX2.

use super::index::Index;
use super::{Dialect, word};

/// Bytes of a block: a mask has a bit for each.
pub(super) const BLOCK: usize = 64;

/// The kinds of bytes of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Masks {
    pub(super) delimiters: u64,
    pub(super) line_ends: u64,
    pub(super) quotes: u64,
    /// CR, unless it ends lines.
    pub(super) crs: u64,
    /// What JSON has to escape, or no file may have, and is none of the above.
    pub(super) odd: u64,
}

impl Masks {
    /// Of the first `count` bytes.
    #[inline(always)]
    pub(super) fn first(self, count: usize) -> Self {
        let only = u64::MAX >> (BLOCK - count.clamp(1, BLOCK));
        let Self { delimiters, line_ends, quotes, crs, odd } = self;
        Self {
            delimiters: delimiters & only,
            line_ends: line_ends & only,
            quotes: quotes & only,
            crs: crs & only,
            odd: odd & only,
        }
    }

    /// `low` are control characters, `special` backslashes and quotation marks.
    #[inline(always)]
    fn new(delimiters: u64, line_ends: u64, quotes: u64, crs: u64, low: u64, special: u64) -> Self {
        let crs = crs & !line_ends;
        Self { delimiters, line_ends, quotes, crs, odd: (low | special) & !(delimiters | line_ends | quotes | crs) }
    }
}

/// Fills the index of a chunk; `false` when it cannot have one.
pub(super) fn index(index: &mut Index, data: &[u8], dialect: Dialect) -> bool {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("popcnt") {
        // SAFETY: the processor has what the function was compiled for. It has no other condition.
        #[allow(
            unsafe_code,
            reason = "there is no other way to call a function for a processor that was found out at run time"
        )]
        return unsafe { avx2::index(index, data, dialect) };
    }
    portable(index, data, dialect)
}

/// `index` for every processor: eight bytes at a time.
fn portable(index: &mut Index, data: &[u8], dialect: Dialect) -> bool {
    let quote = word::spread(dialect.quote.unwrap_or(0));
    let has_quote = if dialect.quote.is_some() { u64::MAX } else { 0 };
    let [delimiter, line_end] = [dialect.delimiter, dialect.line_end].map(word::spread);
    let [cr, backslash, mark] = [b'\r', b'\\', b'"'].map(word::spread);
    index.fill(data, dialect, |block| {
        let words = block.as_chunks::<8>().0;
        let mask = |hits: &dyn Fn(u64) -> u64| {
            words.iter().rev().fold(0, |mask, word| mask << 8 | word::gather(hits(u64::from_le_bytes(*word))))
        };
        Masks::new(
            mask(&|bytes| word::equal(bytes, delimiter)),
            mask(&|bytes| word::equal(bytes, line_end)),
            mask(&|bytes| word::equal(bytes, quote)) & has_quote,
            mask(&|bytes| word::equal(bytes, cr)),
            mask(&word::controls),
            mask(&|bytes| word::equal(bytes, backslash) | word::equal(bytes, mark)),
        )
    })
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{BLOCK, Dialect, Index, Masks};

    /// `index` for processors with AVX2.
    #[target_feature(enable = "avx2,bmi1,popcnt")]
    pub(super) fn index(index: &mut Index, data: &[u8], dialect: Dialect) -> bool {
        let all = |byte: u8| _mm256_set1_epi8(byte as i8);
        let has_quote = if dialect.quote.is_some() { u64::MAX } else { 0 };
        let (quote, delimiter, line_end) =
            (all(dialect.quote.unwrap_or(0)), all(dialect.delimiter), all(dialect.line_end));
        let (cr, backslash, mark, control) = (all(b'\r'), all(b'\\'), all(b'"'), all(0x1F));
        index.fill(data, dialect, |block| {
            let (low, high) = halves(block);
            let both = |low: __m256i, high: __m256i| {
                u64::from(_mm256_movemask_epi8(low) as u32) | u64::from(_mm256_movemask_epi8(high) as u32) << 32
            };
            let equal = |to: __m256i| both(_mm256_cmpeq_epi8(low, to), _mm256_cmpeq_epi8(high, to));
            let special = |half: __m256i| {
                let control = _mm256_cmpeq_epi8(_mm256_min_epu8(half, control), half);
                let escape = _mm256_or_si256(_mm256_cmpeq_epi8(half, backslash), _mm256_cmpeq_epi8(half, mark));
                _mm256_or_si256(control, escape)
            };
            let special = both(special(low), special(high));
            Masks::new(equal(delimiter), equal(line_end), equal(quote) & has_quote, equal(cr), special, 0)
        })
    }

    /// The halves of a block. The compiler makes two loads of it.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn halves(block: &[u8; BLOCK]) -> (__m256i, __m256i) {
        let (words, _) = block.as_chunks::<8>();
        let word = |at: usize| i64::from_le_bytes(words[at]);
        (_mm256_setr_epi64x(word(0), word(1), word(2), word(3)), _mm256_setr_epi64x(word(4), word(5), word(6), word(7)))
    }
}

/// Fails when the index depends on the processor.
#[cfg(test)]
pub(super) fn same_index(data: &[u8], dialect: Dialect) {
    let (mut quick, mut slow) = (Index::default(), Index::default());
    let both = (index(&mut quick, data, dialect), portable(&mut slow, data, dialect));
    assert_eq!(both.0, both.1);
    quick.assert_same(&slow);
}
