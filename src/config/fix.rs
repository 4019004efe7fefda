//! Mends the mechanical mistakes of a file: those with one right answer.

use super::diagnostic::Diagnostic;

/// The text with what can be mended, and the number of places. A target path with dots gets its quotation marks, a key or word
/// its right spelling, and a date format of a spreadsheet its words.
pub fn mend<'d>(text: &str, diagnostics: impl Iterator<Item = &'d Diagnostic>) -> (String, u64) {
    let mut places: Vec<(std::ops::Range<usize>, String)> =
        diagnostics.filter_map(|one| replacement(text, one)).collect();
    places.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    places.dedup_by_key(|(span, _)| span.start);
    let (mut mended, count) = (text.to_owned(), places.len() as u64);
    for (span, new) in places {
        if mended.is_char_boundary(span.start) && mended.is_char_boundary(span.end) {
            mended.replace_range(span, &new);
        }
    }
    (mended, count)
}

fn replacement(text: &str, diagnostic: &Diagnostic) -> Option<(std::ops::Range<usize>, String)> {
    let span = diagnostic.span.clone();
    let between = |help: &str, before: &str| {
        let rest = help.strip_prefix(before)?;
        rest.strip_suffix("`?").or_else(|| rest.split('`').next()).map(str::to_owned)
    };
    let help = diagnostic.help.first()?;
    match diagnostic.code {
        "NF101" => between(help, "did you mean `").map(|word| (span, word)),
        "NF231" => between(help, "you probably mean `").map(|format| (span, format)),
        "NF112" => {
            // The whole key, from its first name to the blank or the equals sign behind it.
            let rest = text.get(span.start..)?;
            let end = rest.find(|character: char| character == '=' || character.is_whitespace())?;
            let key = rest.get(..end).filter(|key| !key.contains('"'))?;
            Some((span.start..span.start + end, format!("\"{key}\"")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostic::Severity;

    #[test]
    fn mechanical_mistakes_are_mended_and_comments_stay() {
        let text = "[fields]\ncustomer.email = { frm = \"A\", format = \"dd.MM.yyyy\" } # stays\n";
        let at = |code, wrong: &str, help: &str| {
            let start = text.find(wrong).unwrap_or(0);
            Diagnostic {
                code,
                severity: Severity::Error,
                path: String::new(),
                span: start..start + wrong.len(),
                line: 1,
                column: 1,
                message: String::new(),
                label: String::new(),
                help: vec![help.to_owned()],
                second: None,
            }
        };
        let found = [
            at("NF112", "customer", "write …"),
            at("NF101", "frm", "did you mean `from`?"),
            at("NF231", "dd.MM.yyyy", "you probably mean `%d.%m.%Y`"),
            at("NF104", "A", "one of …"),
        ];
        let (mended, count) = mend(text, found.iter());
        assert_eq!(mended, "[fields]\n\"customer.email\" = { from = \"A\", format = \"%d.%m.%Y\" } # stays\n");
        assert_eq!(count, 3);
    }
}
