//! `clean`: steps over a text, in order.

use super::spec::CleanStep;

/// Applies `steps` to `cell`. What a step changes is made in `made`; otherwise the result is a part of `cell`.
#[inline]
pub(super) fn clean<'a>(steps: &[CleanStep], cell: &'a str, made: &'a mut String) -> &'a str {
    let mut text = cell;
    for (at, step) in steps.iter().enumerate() {
        match step {
            CleanStep::Trim => text = trim(text),
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

/// False when the step would leave `text` as it is.
fn changes(step: &CleanStep, text: &str) -> bool {
    match step {
        CleanStep::Trim => text.trim().len() < text.len(),
        CleanStep::Upper => text.bytes().any(|byte| byte.is_ascii_lowercase() || !byte.is_ascii()),
        CleanStep::Lower => text.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()),
        CleanStep::Digits => text.bytes().any(|byte| !byte.is_ascii_digit()),
        CleanStep::PadLeft(width, _) => !text.is_empty() && text.chars().count() < *width as usize,
        CleanStep::Remove(set) => text.contains(|character| set.contains(character)),
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
    }
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
    }
}
