//! Did you mean: only when close, and only when one is closest.

/// The known word that is close to `word`: at most 2 slips or a third of its length, and no other as near.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let folded = |text: &str| text.trim().to_lowercase();
    let wanted = folded(word);
    let most = (wanted.chars().count() / 3).max(2);
    let mut scored: Vec<(usize, &str)> =
        known.map(|known| (strsim::damerau_levenshtein(&wanted, &folded(known)), known)).collect();
    scored.sort_by_key(|(distance, _)| *distance);
    match scored.as_slice() {
        [(best, _), (next, _), ..] if best == next => None,
        // Two slips in a word of three letters make another word.
        [(best, known), ..] if *best <= most && *best < wanted.chars().count().max(2) => Some(known),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_near_word_is_found_and_a_far_one_is_not() {
        let known = || ["required", "default", "from", "format"].into_iter();
        assert_eq!(nearest("requierd", known()), Some("required"));
        assert_eq!(nearest("form", known()), Some("from"));
        assert_eq!(nearest("colour", known()), None);
        assert_eq!(nearest("ab", ["ax", "ay"].into_iter()), None);
    }
}
