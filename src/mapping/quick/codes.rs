//! A few short words and what each stands for.

use super::Stamp;
use crate::format::csv::cell::Cell;

/// Most bytes of a word.
const LONGEST: usize = 8;
/// Most words that are compared one by one.
const MOST: usize = 16;

/// Short words with their JSON. The first that is the same counts.
#[derive(Clone, Debug)]
pub(super) struct Codes(Vec<(u64, usize, Stamp)>);

impl Codes {
    /// `None` when the words are too long or too many.
    pub(super) fn new<'a>(words: impl Iterator<Item = (&'a str, Stamp)>) -> Option<Self> {
        let code = |(word, json): (&str, Stamp)| {
            let cell = Cell::new(word.as_bytes(), 0, word.len());
            (word.len() <= LONGEST).then(|| (cell.word().unwrap_or_default() as u64, word.len(), json))
        };
        let codes: Vec<_> = words.map(code).collect::<Option<_>>()?;
        (codes.len() <= MOST).then_some(Self(codes))
    }

    /// What the cell stands for.
    #[inline(always)]
    pub(super) fn get(&self, cell: Cell<'_>) -> Option<&Stamp> {
        let length = cell.len();
        if length > LONGEST {
            return None;
        }
        let word = cell.word()? as u64;
        self.0.iter().find(|(code, size, _)| *code == word && *size == length).map(|(_, _, json)| json)
    }
}
