//! `clean`, one step after another.

use super::Clean;

pub fn clean(steps: &[Clean], cell: &str) -> String {
    steps.iter().fold(cell.to_owned(), |text, step| apply(step, &text))
}

fn apply(step: &Clean, text: &str) -> String {
    match step {
        Clean::Trim => text.trim().to_owned(),
        Clean::Squeeze => squeeze(text),
        Clean::Upper => text.to_uppercase(),
        Clean::Lower => text.to_lowercase(),
        Clean::Digits => text.chars().filter(char::is_ascii_digit).collect(),
        Clean::Ascii => text.chars().filter_map(ascii).collect(),
        // What is empty is missing, and is not padded into a value.
        Clean::PadLeft(_, _) if text.is_empty() => String::new(),
        Clean::PadLeft(width, with) => {
            let missing = width.saturating_sub(text.chars().count());
            with.to_string().repeat(missing) + text
        }
        Clean::Remove(set) => text.chars().filter(|character| !set.contains(*character)).collect(),
        Clean::Replace(from, to) => text.replace(from, to),
        Clean::Take(first, last) => text.chars().take(*last).skip(first - 1).collect(),
        Clean::After(mark) => text.split_once(mark).map_or(text, |(_, after)| after).to_owned(),
        Clean::Before(mark) => text.split_once(mark).map_or(text, |(before, _)| before).to_owned(),
    }
}

fn squeeze(text: &str) -> String {
    let mut squeezed = String::new();
    let mut in_blanks = false;
    for character in text.chars() {
        if !character.is_whitespace() {
            squeezed.push(character);
        } else if !in_blanks {
            squeezed.push(' ');
        }
        in_blanks = character.is_whitespace();
    }
    squeezed
}

/// Decomposition, for the letters that the generator knows; what has none and is not ASCII is dropped.
fn ascii(character: char) -> Option<char> {
    match character {
        ascii if ascii.is_ascii() => Some(ascii),
        'é' => Some('e'),
        'É' => Some('E'),
        'Å' => Some('A'),
        'å' | 'ä' => Some('a'),
        'Ä' => Some('A'),
        'ö' => Some('o'),
        _ => None,
    }
}
