//! Numbers of at most 16 bytes without group marks, all bytes at once. Digits are copied, never calculated.

use crate::format::csv::cell::{Cell, mask};
use crate::mapping::limits::Limits;
use crate::mapping::number::Marks;
use crate::mapping::value::Kind;

const fn spread(byte: u8) -> u128 {
    u128::from_le_bytes([byte; 16])
}

/// The high bit of each byte that is no ASCII digit.
#[inline(always)]
pub(super) const fn not_digits(word: u128) -> u128 {
    let digits = word ^ spread(b'0');
    (((digits & spread(0x7F)) + spread(0x76)) | digits) & spread(0x80)
}

/// How a number is read and written.
#[derive(Clone, Debug)]
pub(super) struct QuickNumber {
    mark: u8,
    form: Form,
    /// The least and the greatest value.
    bounds: Option<(i64, i64)>,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Whole,
    AsWritten,
    Decimals(usize),
    Minor(usize),
}

impl QuickNumber {
    /// `None` when the kind, the limits or the marks are not simple.
    pub(super) fn new(kind: &Kind, limits: Option<&Limits>, marks: &Marks) -> Option<Self> {
        let form = match kind {
            Kind::Integer => Form::Whole,
            Kind::Number(None) => Form::AsWritten,
            Kind::Number(Some(decimals)) => Form::Decimals(*decimals as usize),
            Kind::Minor(units) => Form::Minor(*units as usize),
            _ => return None,
        };
        let bounds = match limits {
            None => None,
            Some(limits) => Some(limits.whole_bounds()?),
        };
        Some(Self { mark: marks.decimal_byte()?, form, bounds })
    }

    /// Writes the number; `None`: it is none, or not a simple one.
    #[inline(always)]
    pub(super) fn write(&self, cell: Cell<'_>, out: &mut Vec<u8>) -> Option<()> {
        let negative = cell.first() == Some(b'-');
        let cell = cell.part(usize::from(negative), cell.len());
        let length = cell.len();
        let word = cell.word()?;
        let strange = not_digits(word) & mask(length);
        let (whole, fraction) = match strange {
            0 => (length, 0),
            _ => {
                let at = strange.trailing_zeros() / 8;
                let only = strange & (strange - 1) == 0 && (word >> (8 * at)) as u8 == self.mark;
                let whole = at as usize;
                // Digits on both sides.
                if !only || whole + 1 == length {
                    return None;
                }
                (whole, length - whole - 1)
            }
        };
        // Leading zeros go, and there is no zero below zero: not here.
        let zero = word as u8 == b'0';
        if whole == 0 || (zero && (whole > 1 || negative)) {
            return None;
        }
        if let Some(bounds) = self.bounds {
            is_within(cell, whole, fraction, negative, bounds)?;
        }
        let most = match self.form {
            Form::Whole => 0,
            Form::AsWritten => fraction,
            Form::Decimals(most) | Form::Minor(most) => most,
        };
        // A mark without digits behind it is not possible, but for an integer one with zeros behind it is.
        if fraction > most || (matches!(self.form, Form::Minor(_)) && zero) {
            return None;
        }
        if negative {
            out.push(b'-');
        }
        match self.form {
            Form::Minor(_) => {
                cell.part(0, whole).append_to(out);
                cell.part(whole + 1, length).append_to(out);
            }
            _ => cell.append_to(out),
        }
        if fraction < most {
            if fraction == 0 && !matches!(self.form, Form::Minor(_)) {
                out.push(b'.');
            }
            out.extend(std::iter::repeat_n(b'0', most - fraction));
        }
        if self.mark != b'.' && fraction > 0 && !matches!(self.form, Form::Minor(_)) {
            let at = out.len() - (most - fraction) - fraction - 1;
            *out.get_mut(at)? = b'.';
        }
        Some(())
    }
}

/// `None` when the number is outside of the bounds, or has too many digits to tell quickly.
#[inline(always)]
fn is_within(cell: Cell<'_>, whole: usize, fraction: usize, negative: bool, (least, most): (i64, i64)) -> Option<()> {
    let unit = 10_u64.checked_pow(fraction as u32)?;
    let amount = digits(cell.part(0, whole))?.checked_mul(unit)?;
    let amount = amount.checked_add(digits(cell.part(whole + 1, whole + 1 + fraction))?)?;
    let amount = if negative { -i128::from(amount) } else { i128::from(amount) };
    let unit = i128::from(unit);
    (i128::from(least) * unit <= amount && amount <= i128::from(most) * unit).then_some(())
}

/// The value of a cell of at most eight digits.
#[inline(always)]
fn digits(cell: Cell<'_>) -> Option<u64> {
    let length = cell.len();
    let word = cell.word()? as u64;
    match length {
        0 => Some(0),
        1..=8 => {
            // The last digit highest; then pairs, fours and eights of digits are added up.
            let word = (word & 0x0F0F_0F0F_0F0F_0F0F) << (8 * (8 - length));
            let pairs = (word * 10 + (word >> 8)) & 0x00FF_00FF_00FF_00FF;
            let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_FFFF_0000_FFFF;
            Some((fours * 10_000 + (fours >> 32)) & 0xFFFF_FFFF)
        }
        _ => None,
    }
}
