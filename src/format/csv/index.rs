//! The index of a chunk: where its cells end and its rows, found 64 bytes at a time and without a branch on what they are.
//!
//! Sixty-four bytes become masks of 64 bits (`masks`), one for each kind of byte. A quote turns the bits behind it on or off
//! (`inside`), so delimiters and line ends that are none are told apart by one `and`. The strict reader (`row`) stays the only
//! one who decides: a row that holds anything but plain cells, with or without quotes around them, is marked `careful` and
//! read by it. And when a quote stands where none may, rows do not end where the masks say: then the chunk has no index.

use super::masks::{self, BLOCK, Masks};
use super::{Dialect, MAX_CELL};

/// The end of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowEnd {
    /// Number of cells up to here.
    pub(super) cells: u32,
    /// Number of line ends up to here, also of those in quotes.
    pub(super) lines: u32,
    /// Some cell has quotes around it.
    pub(super) quoted: bool,
    /// The strict reader has to look at it.
    pub(super) careful: bool,
}

/// Where the cells and the rows of a chunk end; its buffers are used again.
#[derive(Debug, Default)]
pub struct Index {
    /// The first byte of each cell; behind the last one the byte behind the last line end. Longer than it is filled.
    starts: Vec<u32>,
    rows: Vec<RowEnd>,
    /// There may be a CR, or a NUL.
    pub(super) has_cr: bool,
    pub(super) has_odd: bool,
}

impl Index {
    /// Indexes a chunk, which begins with a row and ends behind one; `false` when it cannot be.
    pub(super) fn build(&mut self, data: &[u8], dialect: Dialect) -> bool {
        let Dialect { delimiter, quote, line_end } = dialect;
        let mut structure = vec![delimiter, line_end, b'\r'];
        structure.extend(quote);
        structure.sort_unstable();
        structure.dedup();
        let distinct = structure.len() == 2 + usize::from(quote.is_some()) + usize::from(line_end != b'\r');
        self.rows.clear();
        // No cell of such a chunk is too long.
        distinct && data.len() <= MAX_CELL && masks::index(self, data, dialect)
    }

    /// The end of a row, from 0.
    #[inline(always)]
    pub(super) fn row(&self, at: usize) -> Option<RowEnd> {
        self.rows.get(at).copied()
    }

    /// Where the cells begin of a row that has cells `from..to`, and where the next row does.
    #[inline(always)]
    pub(super) fn starts(&self, from: usize, to: usize) -> &[u32] {
        self.starts.get(from..=to).unwrap_or_default()
    }

    /// Fails when the two are not the same.
    #[cfg(test)]
    pub(super) fn assert_same(&self, other: &Self) {
        let filled = |index: &Self| index.rows.last().map_or(0, |row| row.cells as usize + 1);
        assert_eq!((&self.rows, self.has_cr, self.has_odd), (&other.rows, other.has_cr, other.has_odd));
        assert_eq!(self.starts.get(..filled(self)), other.starts.get(..filled(other)));
    }

    /// `build`, with what makes masks of 64 bytes.
    #[inline(always)]
    pub(super) fn fill(&mut self, data: &[u8], dialect: Dialect, masks: impl Fn(&[u8; BLOCK]) -> Masks) -> bool {
        let (blocks, rest) = data.as_chunks::<BLOCK>();
        let Dialect { delimiter, line_end, .. } = dialect;
        // Within quotes a delimiter is text, and JSON has to escape some.
        let escaped = if delimiter < b' ' || delimiter == b'\\' { u64::MAX } else { 0 };
        let mut scan = Scan { begins: 1, escaped, ..Scan::default() };
        self.grow(0);
        for (at, block) in blocks.iter().enumerate() {
            scan.block(at * BLOCK, masks(block), self);
        }
        // Behind the last row of a file may be no line end: it gets one.
        let open = data.last().is_some_and(|last| *last != line_end);
        if !rest.is_empty() || open {
            let mut block = [line_end; BLOCK];
            block[..rest.len()].copy_from_slice(rest);
            let used = rest.len() + usize::from(open);
            scan.block(blocks.len() * BLOCK, masks(&block).first(used), self);
        }
        (self.has_cr, self.has_odd) = (scan.any_cr != 0, scan.any_odd != 0);
        scan.bad == 0 && scan.inside == 0
    }

    /// Makes room for the cells of one more block behind `cells`.
    #[inline(always)]
    fn grow(&mut self, cells: usize) {
        if self.starts.len() < cells + 1 + BLOCK {
            self.starts.resize((2 * cells).max(16 << 10), 0);
        }
    }
}

/// What is carried from block to block. Masks with one bit are about the last byte of the block before.
#[derive(Default)]
struct Scan {
    /// All ones when JSON has to escape the delimiter.
    escaped: u64,
    cells: usize,
    lines: u32,
    /// All ones inside of a quoted cell.
    inside: u64,
    /// A cell may begin with a quote here.
    begins: u64,
    /// A quote has closed, or a CR stands there, or both, one behind the other.
    closed: u64,
    cr: u64,
    cr_closed: u64,
    /// Of the row at hand.
    quoted: bool,
    careful: bool,
    /// Of the chunk.
    bad: u64,
    any_cr: u64,
    any_odd: u64,
}

impl Scan {
    #[inline(always)]
    fn block(&mut self, base: usize, masks: Masks, index: &mut Index) {
        let Masks { delimiters, line_ends, quotes, crs, odd } = masks;
        let inside = prefix_xor(quotes) ^ self.inside;
        self.inside = ((inside as i64) >> 63) as u64;
        let separators = (delimiters | line_ends) & !inside;
        let (opening, closing) = (quotes & inside, quotes & !inside);
        // A quote opens a cell behind a separator, or goes on with it behind the quote that seemed to close it.
        let behind_close = (closing << 1) | self.closed;
        let may_open = ((separators | closing) << 1) | self.begins;
        // Behind a closing quote the cell is at its end. Of a CR in the last place the next block knows what it is.
        let crlf = crs & ((line_ends >> 1) | (1 << 63));
        let dangling = self.cr & !line_ends & 1;
        self.bad |= opening & !may_open;
        self.bad |= behind_close & !(separators | opening | crlf);
        self.bad |= dangling & self.cr_closed;
        let text = (line_ends | crs | (delimiters & self.escaped)) & inside;
        let careful = odd | text | (crs & !crlf) | (opening & behind_close) | dangling;
        self.closed = closing >> 63;
        self.begins = (separators | closing) >> 63;
        self.cr = crs >> 63;
        self.cr_closed = (behind_close & crs) >> 63;
        self.any_cr |= crs;
        self.any_odd |= odd;
        index.grow(self.cells);
        push_all(index.starts.get_mut(self.cells + 1..), base as u32 + 1, separators);
        self.end_rows(line_ends & !inside, separators, line_ends, (quotes, careful), index);
        self.cells += separators.count_ones() as usize;
        self.lines += line_ends.count_ones();
    }

    /// Notes the ends of rows.
    #[inline(always)]
    fn end_rows(
        &mut self,
        mut ends: u64,
        separators: u64,
        line_ends: u64,
        (mut quotes, mut careful): (u64, u64),
        index: &mut Index,
    ) {
        while ends != 0 {
            let upto = ends ^ (ends - 1);
            index.rows.push(RowEnd {
                cells: self.cells as u32 + (separators & upto).count_ones(),
                lines: self.lines + (line_ends & upto).count_ones(),
                quoted: self.quoted | (quotes & upto != 0),
                careful: self.careful | (careful & upto != 0),
            });
            (self.quoted, self.careful) = (false, false);
            quotes &= !upto;
            careful &= !upto;
            ends &= ends - 1;
        }
        self.quoted |= quotes != 0;
        self.careful |= careful != 0;
    }
}

/// Writes the places of the bits, eight at a time: what is written too much is written over later.
#[inline(always)]
fn push_all(places: Option<&mut [u32]>, base: u32, mut bits: u64) {
    let count = bits.count_ones();
    let Some(places) = places.and_then(<[u32]>::first_chunk_mut::<BLOCK>) else { return };
    for (at, eight) in places.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        if at as u32 * 8 >= count {
            break;
        }
        for place in eight {
            *place = base.wrapping_add(bits.trailing_zeros());
            bits &= bits.wrapping_sub(1);
        }
    }
}

/// Each bit is the parity of the bits up to it.
#[inline(always)]
fn prefix_xor(mut bits: u64) -> u64 {
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^= bits << 32;
    bits
}

#[cfg(test)]
mod tests;
