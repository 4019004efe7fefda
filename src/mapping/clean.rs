//! `clean`: steps over a text, in order.

use unicode_normalization::UnicodeNormalization;

use super::spec::CleanStep;

/// Applies `steps` to `cell`. What a step changes is made in `made`; otherwise the result is a part of `cell`.
#[inline]
pub(super) fn clean<'a>(steps: &[CleanStep], cell: &'a str, made: &'a mut String) -> &'a str {
    let mut text = cell;
    for (at, step) in steps.iter().enumerate() {
        match step {
            CleanStep::Trim => text = trim(text),
            CleanStep::Take(from, to) => text = take(text, *from, *to),
            CleanStep::After(mark) => text = text.split_once(mark.as_str()).map_or(text, |(_, behind)| behind),
            CleanStep::Before(mark) => text = text.split_once(mark.as_str()).map_or(text, |(before, _)| before),
            step if changes(step, text) => {
                made.clear();
                made.push_str(text);
                for step in steps.get(at..).unwrap_or_default() {
                    change(step, made);
                }
                return made;
            }
            _ => {}
        }
    }
    text
}

/// Off both ends; quick when there is nothing to take.
#[inline]
fn trim(text: &str) -> &str {
    match (text.as_bytes().first(), text.as_bytes().last()) {
        (Some(b'!'..=b'~'), Some(b'!'..=b'~')) => text,
        _ => text.trim(),
    }
}

/// The characters `from..=to`, counted from 1.
fn take(text: &str, from: u32, to: u32) -> &str {
    let at = |character: u32| text.char_indices().nth(character as usize).map_or(text.len(), |(at, _)| at);
    text.get(at(from.saturating_sub(1))..at(to)).unwrap_or_default()
}

/// False when the step would leave `text` as it is.
fn changes(step: &CleanStep, text: &str) -> bool {
    match step {
        CleanStep::Trim => text.trim().len() < text.len(),
        CleanStep::Upper => text.bytes().any(|byte| byte.is_ascii_lowercase() || !byte.is_ascii()),
        CleanStep::Lower => text.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()),
        CleanStep::Digits => text.bytes().any(|byte| !byte.is_ascii_digit()),
        CleanStep::PadLeft(width, _) => !text.is_empty() && text.chars().count() < *width as usize,
        CleanStep::Remove(set) => text.contains(|character| set.contains(character)),
        CleanStep::Replace(from, _) => text.contains(from.as_str()),
        CleanStep::Ascii => !text.is_ascii(),
        // Quick answers are not worth a second rule here.
        CleanStep::Squeeze | CleanStep::Take(..) | CleanStep::After(_) | CleanStep::Before(_) => true,
    }
}

fn change(step: &CleanStep, text: &mut String) {
    match step {
        CleanStep::Trim => {
            text.truncate(text.trim_end().len());
            let blank = text.len() - text.trim_start().len();
            text.drain(..blank);
        }
        CleanStep::Upper if text.is_ascii() => text.make_ascii_uppercase(),
        CleanStep::Upper => *text = text.to_uppercase(),
        CleanStep::Lower if text.is_ascii() => text.make_ascii_lowercase(),
        CleanStep::Lower => *text = text.to_lowercase(),
        CleanStep::Digits => text.retain(|character| character.is_ascii_digit()),
        // An empty text stays empty, so that a missing value is not padded into one.
        CleanStep::PadLeft(width, pad) if !text.is_empty() => {
            for _ in text.chars().count()..*width as usize {
                text.insert(0, *pad);
            }
        }
        CleanStep::PadLeft(..) => {}
        CleanStep::Remove(set) => text.retain(|character| !set.contains(character)),
        CleanStep::Replace(from, to) => *text = text.replace(from.as_str(), to),
        CleanStep::Ascii => *text = text.nfkd().filter(char::is_ascii).collect(),
        CleanStep::Squeeze => *text = squeeze(text),
        CleanStep::Take(from, to) => *text = take(text, *from, *to).to_owned(),
        CleanStep::After(mark) => {
            if let Some((_, behind)) = text.split_once(mark.as_str()) {
                *text = behind.to_owned();
            }
        }
        CleanStep::Before(mark) => {
            if let Some((before, _)) = text.split_once(mark.as_str()) {
                *text = before.to_owned();
            }
        }
    }
}

fn squeeze(text: &str) -> String {
    let mut squeezed = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_whitespace() {
            true if squeezed.ends_with(' ') => {}
            true => squeezed.push(' '),
            false => squeezed.push(character),
        }
    }
    squeezed
}

#[cfg(test)]
mod tests {
    use super::*;
    use CleanStep::*;

    fn cleaned(steps: &[CleanStep], cell: &str) -> String {
        clean(steps, cell, &mut "left over".to_owned()).to_owned()
    }

    #[test]
    fn steps_are_applied_in_order() {
        assert_eq!(cleaned(&[], " a "), " a ");
        assert_eq!(cleaned(&[Trim], "\u{a0}\t a b \u{2003}"), "a b");
        assert_eq!(cleaned(&[Upper], "straße"), "STRASSE");
        assert_eq!(cleaned(&[Lower], "ÅSE"), "åse");
        assert_eq!(cleaned(&[Trim, Upper], " de "), "DE");
        assert_eq!(cleaned(&[Upper, Trim], " de "), "DE");
        assert_eq!(cleaned(&[Upper], "DE"), "DE");
        assert_eq!(cleaned(&[Digits], "DK-12 34"), "1234");
        assert_eq!(cleaned(&[Digits], "abc"), "");
        assert_eq!(cleaned(&[Trim, PadLeft(8, '0')], " 9917"), "00009917");
        assert_eq!(cleaned(&[PadLeft(3, 'ø')], "å"), "øøå");
        assert_eq!(cleaned(&[PadLeft(3, '0')], ""), "");
        assert_eq!(cleaned(&[Remove("-.".to_owned())], "1-2.3"), "123");
        assert_eq!(cleaned(&[Digits, PadLeft(6, '0')], "a12"), "000012");
        assert_eq!(cleaned(&[Squeeze], " Anna \t  Holm\u{a0}\u{a0}"), " Anna Holm ");
        assert_eq!(cleaned(&[Ascii], "Åse Müller-Łuk ½ €"), "Ase Muller-uk 12 ");
        assert_eq!(cleaned(&[Replace("/".to_owned(), " - ".to_owned())], "a/b/c"), "a - b - c");
        assert_eq!(cleaned(&[Take(1, 3)], "ÅØÆx"), "ÅØÆ");
        assert_eq!(cleaned(&[Take(2, 9)], "abc"), "bc");
        assert_eq!(cleaned(&[Take(5, 9)], "abc"), "");
        assert_eq!(cleaned(&[After("-".to_owned())], "a-b-c"), "b-c");
        assert_eq!(cleaned(&[Before("-".to_owned())], "a-b-c"), "a");
        assert_eq!(cleaned(&[After("-".to_owned()), Before(":".to_owned())], "abc"), "abc");
        assert_eq!(cleaned(&[Upper, After("-".to_owned()), Take(1, 1)], "a-bc"), "B");
    }
}
