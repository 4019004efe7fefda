//! Texts in messages for people.

/// Most characters of a value in a message.
const LONGEST: usize = 80;

/// A value in backticks, cut when it is long, on one line.
pub(super) fn shown(value: &str) -> String {
    let mut text = String::from("`");
    for (at, character) in value.chars().enumerate() {
        if at == LONGEST {
            text.push('…');
            break;
        }
        if character.is_control() {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text.push('`');
    text
}

/// Values in backticks with commas between, at most `most` of them.
pub(super) fn list<T: AsRef<str>>(values: &[T], most: usize) -> String {
    let mut text = values.iter().take(most).map(|value| shown(value.as_ref())).collect::<Vec<_>>().join(", ");
    if values.len() > most {
        text.push_str(&format!(" and {} more", values.len() - most));
    }
    text
}

/// A count with its noun.
pub(super) fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
