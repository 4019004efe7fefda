//! Dates of digits at fixed places, all bytes at once.

use super::number::not_digits;
use crate::format::csv::cell::{Cell, mask};
use crate::mapping::date::{DateFormat, Day, Part};

/// Where day, month and year are, and what stands between them.
#[derive(Clone, Debug)]
pub(super) struct QuickDate {
    length: usize,
    /// Ones where no digit stands.
    between: u128,
    /// What stands there.
    marks: u128,
    /// In bits.
    day: u32,
    month: u32,
    year: u32,
}

impl QuickDate {
    /// `None` for formats with names, of other digits, or longer than 16 bytes.
    pub(super) fn new(format: &DateFormat) -> Option<Self> {
        let DateFormat::Simple(parts) = format else { return None };
        let (mut at, mut between, mut marks) = (0, 0, 0);
        let (mut day, mut month, mut year) = (0, 0, 0);
        for part in parts {
            match part {
                Part::Day => day = 8 * at,
                Part::Month => month = 8 * at,
                Part::Year => year = 8 * at,
                Part::Byte(byte) if byte.is_ascii_digit() || at >= 16 => return None,
                Part::Byte(byte) => {
                    between |= 0xFF << (8 * at);
                    marks |= u128::from(*byte) << (8 * at);
                }
            }
            at += part.width() as u32;
        }
        (at <= 16).then_some(Self { length: at as usize, between, marks, day, month, year })
    }

    /// Writes the day in ISO form, in quotation marks; `None`: it is none, or not in the format.
    #[inline(always)]
    pub(super) fn write(&self, cell: Cell<'_>, out: &mut Vec<u8>) -> Option<()> {
        if cell.len() != self.length {
            return None;
        }
        let word = cell.word()?;
        let strange = not_digits(word) & mask(self.length);
        if word & self.between != self.marks || strange & !self.between != 0 {
            return None;
        }
        let [day, month] = [self.day, self.month].map(|shift| ((word >> shift) as u16).to_le_bytes());
        let year = ((word >> self.year) as u32).to_le_bytes();
        let number = |digits: &[u8]| digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit & 15));
        Day::new(number(&year) as i32, number(&month), number(&day))?;
        let ([y0, y1, y2, y3], [m0, m1], [d0, d1]) = (year, month, day);
        out.extend_from_slice(&[b'"', y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'"']);
        Some(())
    }
}
