//! The quick way to write a field, for what most fields are: a cell as it is or trimmed, a code, a date, a number, cells joined.
//!
//! It makes one promise: it writes exactly what the general way (`Mapper::general`) would, or it declines and leaves `out` as
//! it was. So it never refuses anything and never has to be complete; whatever is not quick to tell is declined.

mod codes;
mod date;
mod number;

use self::codes::Codes;
use self::date::QuickDate;
use self::number::QuickNumber;
use super::limits::Limits;
use super::lookup::Lookup;
use super::plan::{Field, Missing, Part, Source};
use super::record::Row;
use super::spec::CleanStep;
use super::stamp::Stamp;
use super::value::{Kind, Notation};
use super::write;
use crate::format::csv::cell::Cell;

/// A field that is quick to write, as long as its cell is usual.
#[derive(Clone, Debug)]
pub(super) struct Quick {
    from: From,
    /// What is written when the cell is missing; `None`: nothing, or a refusal that the general way words.
    default: Option<Stamp>,
    required: bool,
}

#[derive(Clone, Debug)]
enum From {
    Cell { column: usize, cut: Cut, way: Way },
    Joined(Vec<Piece>),
}

/// A part of a template.
#[derive(Clone, Debug)]
enum Piece {
    Text(Stamp),
    Cell(usize),
}

/// The first steps of `clean`.
#[derive(Clone, Copy, Debug)]
enum Cut {
    None,
    Trim,
    /// Characters from the first to the second, from 1.
    Take(usize, usize),
}

/// What becomes of the cell.
#[derive(Clone, Debug)]
enum Way {
    Text,
    Upper,
    Lower,
    Codes(Codes),
    /// The value in this lookup.
    Lookup(usize),
    Date(QuickDate),
    Number(QuickNumber),
}

impl Quick {
    /// The quick way of a field that is otherwise complete; `None` when it has none.
    pub(super) fn new(field: &Field, lookups: &[Lookup], notation: &Notation) -> Option<Self> {
        let extras = field.extras.as_deref();
        if extras.is_some_and(|extras| extras.keep.is_some() || extras.negative_when.is_some()) {
            return None;
        }
        let limits = field.limits.as_deref();
        let from = match &field.source {
            Source::Cell(column) => {
                let (cut, steps) = cut(&field.clean);
                From::Cell { column: *column, cut, way: way(field, steps, limits, lookups, notation)? }
            }
            Source::Template { parts, plain: true } if is_text(field) && field.clean.is_empty() && limits.is_none() => {
                From::Joined(parts.iter().map(piece).collect())
            }
            _ => return None,
        };
        // A default must meet the limits as well, which the general way looks at.
        let default = field.default.as_ref().filter(|_| limits.is_none()).map(|default| default.json.clone());
        let required = field.required || (field.default.is_some() && default.is_none());
        Some(Self { from, default, required })
    }

    /// Writes the value; whether there is one. `None`: declined.
    #[inline(always)]
    pub(super) fn write(&self, missing: &Missing, lookups: &[Lookup], row: Row<'_>, out: &mut Vec<u8>) -> Option<bool> {
        match &self.from {
            From::Cell { column, cut, way } => {
                let cell = row.cell_at(*column);
                if cell.len() == 0 {
                    return missing.has_empty().then(|| self.nothing(out)).flatten();
                }
                way.write(cut.apply(missing, cell)?, lookups, row.plain, out)
            }
            From::Joined(pieces) => joined(pieces, missing, row, out),
        }
    }

    /// There is no value.
    #[inline(always)]
    fn nothing(&self, out: &mut Vec<u8>) -> Option<bool> {
        match &self.default {
            Some(default) => default.append_to(out),
            None if self.required => return None,
            None => return Some(false),
        }
        Some(true)
    }
}

/// True for text without a `format` and without a lookup.
fn is_text(field: &Field) -> bool {
    matches!(field.kind, Kind::Text) && field.lookup.is_none()
}

fn cut(clean: &[CleanStep]) -> (Cut, &[CleanStep]) {
    match clean {
        [CleanStep::Trim, rest @ ..] => (Cut::Trim, rest),
        [CleanStep::Take(from @ 1.., to), rest @ ..] => (Cut::Take(*from as usize, *to as usize), rest),
        steps => (Cut::None, steps),
    }
}

fn way(
    field: &Field,
    steps: &[CleanStep],
    limits: Option<&Limits>,
    lookups: &[Lookup],
    notation: &Notation,
) -> Option<Way> {
    match (&field.kind, steps, field.lookup) {
        (Kind::Integer | Kind::Number(_) | Kind::Minor(_), [], None) => {
            QuickNumber::new(&field.kind, limits, &notation.marks).map(Way::Number)
        }
        _ if limits.is_some() => None,
        (Kind::Text, [], None) => Some(Way::Text),
        (Kind::Text, [CleanStep::Upper], None) => Some(Way::Upper),
        (Kind::Text, [CleanStep::Lower], None) => Some(Way::Lower),
        (Kind::Text, [], Some(at)) => {
            let lookup = lookups.get(at).filter(|lookup| lookup.is_exact())?;
            let codes = Codes::new(lookup.few().map(|(word, value)| (word, value.json.clone())));
            Some(codes.filter(|_| lookup.is_small()).map_or(Way::Lookup(at), Way::Codes))
        }
        (Kind::Date { format, .. }, [], None) => QuickDate::new(format).map(Way::Date),
        (Kind::Boolean, [], None) => {
            let json = |value: bool| move |word| (word, Stamp::new(if value { b"true" } else { b"false" }));
            let (yes, no) = notation.booleans();
            Codes::new(yes.map(json(true)).chain(no.map(json(false)))).map(Way::Codes)
        }
        _ => None,
    }
}

fn piece(part: &Part) -> Piece {
    match part {
        Part::Text(text) => Piece::Text(Stamp::new(text.as_bytes())),
        Part::Cell(at) => Piece::Cell(*at),
    }
}

/// A template of which no part is missing.
#[inline]
fn joined(pieces: &[Piece], missing: &Missing, row: Row<'_>, out: &mut Vec<u8>) -> Option<bool> {
    let begin = out.len();
    let mut usual = row.plain;
    out.push(b'"');
    for piece in pieces {
        match piece {
            Piece::Text(text) => text.append_to(out),
            Piece::Cell(at) => {
                let cell = row.cell_at(*at);
                usual &= cell.first().is_some_and(|first| missing.is_present(first));
                cell.append_to(out);
            }
        }
    }
    if !usual {
        out.truncate(begin);
        return None;
    }
    out.push(b'"');
    Some(true)
}

impl Cut {
    /// The part of a cell that is left, when the cell is not missing.
    #[inline(always)]
    fn apply<'a>(self, missing: &Missing, mut cell: Cell<'a>) -> Option<Cell<'a>> {
        if let Self::Trim = self {
            while cell.first() == Some(b' ') {
                cell = cell.part(1, cell.len());
            }
            while cell.last() == Some(b' ') {
                cell = cell.part(0, cell.len() - 1);
            }
            // Other white space is for the general way.
            if !cell.last().is_some_and(|last| last.is_ascii_graphic()) {
                return None;
            }
        }
        if !missing.is_present(cell.first()?) {
            return None;
        }
        match self {
            Self::Take(from, to) if cell.bytes().is_ascii() => {
                let cell = cell.part(from - 1, to);
                (cell.len() > 0).then_some(cell)
            }
            Self::Take(..) => None,
            Self::None | Self::Trim => Some(cell),
        }
    }
}

impl Way {
    #[inline(always)]
    fn write(&self, cell: Cell<'_>, lookups: &[Lookup], plain: bool, out: &mut Vec<u8>) -> Option<bool> {
        match self {
            Self::Text => text(cell, plain, out),
            Self::Upper => ascii(cell, plain, out, <[u8]>::make_ascii_uppercase)?,
            Self::Lower => ascii(cell, plain, out, <[u8]>::make_ascii_lowercase)?,
            Self::Codes(codes) => codes.get(cell)?.append_to(out),
            Self::Lookup(at) => lookups.get(*at)?.exact(cell.bytes())?.json.append_to(out),
            Self::Date(date) => date.write(cell, out)?,
            Self::Number(number) => number.write(cell, out)?,
        }
        Some(true)
    }
}

#[inline(always)]
fn text(cell: Cell<'_>, plain: bool, out: &mut Vec<u8>) {
    if plain {
        out.push(b'"');
        cell.append_to(out);
        out.push(b'"');
    } else {
        write::string_of(out, cell.bytes());
    }
}

/// Text whose case changes: the rules for ASCII are simple.
#[inline(always)]
fn ascii(cell: Cell<'_>, plain: bool, out: &mut Vec<u8>, change: fn(&mut [u8])) -> Option<()> {
    if !cell.bytes().is_ascii() {
        return None;
    }
    let begin = out.len();
    text(cell, plain, out);
    // Behind a backslash stands a letter whose case matters.
    if !plain && out.len() - begin != cell.len() + 2 {
        out.truncate(begin);
        return None;
    }
    change(out.get_mut(begin..).unwrap_or_default());
    Some(())
}

#[cfg(test)]
mod tests;
