//! Masks: what people see of personal data. What is sent is never touched.

use serde::Serialize;

/// Stands for what is hidden.
const DOTS: &str = "•••";

/// What `pii = "…"` says a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Pii {
    /// A person's or account holder's name.
    Name,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// A street, a postcode, a place.
    Address,
    /// A number that a state gave to a person.
    NationalId,
    /// A date of birth.
    BirthDate,
    /// An account number.
    Iban,
    /// Pay.
    Salary,
    /// About health.
    Health,
    /// Anything else that nobody needs to see.
    Other,
}

impl Pii {
    /// Every kind with its word in TOML and what people see of an example.
    pub const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Name, "name"),
        (Self::Email, "email"),
        (Self::Phone, "phone"),
        (Self::Address, "address"),
        (Self::NationalId, "national-id"),
        (Self::BirthDate, "birth-date"),
        (Self::Iban, "iban"),
        (Self::Salary, "salary"),
        (Self::Health, "health"),
        (Self::Other, "other"),
    ];

    /// The kind for its word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(pii, _)| *pii)
    }

    /// What people see of `value`; nothing of nothing.
    pub fn mask(self, value: &str) -> String {
        let value = value.trim();
        if value.is_empty() {
            return String::new();
        }
        match self {
            Self::Name => format!("{}{DOTS}", first(value)),
            Self::Email => email(value),
            Self::Phone | Self::NationalId => last_four(value),
            Self::BirthDate => year(value),
            Self::Iban => iban(value),
            Self::Address | Self::Salary | Self::Health | Self::Other => DOTS.to_owned(),
        }
    }
}

fn first(value: &str) -> String {
    value.chars().next().map(String::from).unwrap_or_default()
}

/// `j•••@example.com`
fn email(value: &str) -> String {
    match value.rsplit_once('@') {
        Some((name, domain)) if !name.is_empty() => format!("{}{DOTS}@{domain}", first(name)),
        _ => DOTS.to_owned(),
    }
}

/// One dot for each hidden character; short values are hidden whole.
fn last_four(value: &str) -> String {
    let length = value.chars().count();
    if length < 8 {
        return DOTS.to_owned();
    }
    value.chars().enumerate().map(|(at, character)| if at + 4 < length { '•' } else { character }).collect()
}

/// `1985-••-••`
fn year(value: &str) -> String {
    let year: String = value.chars().take_while(char::is_ascii_digit).collect();
    if year.len() == 4 && value[4..].starts_with('-') { format!("{year}-••-••") } else { DOTS.to_owned() }
}

/// `DK50 •••• 6243`
fn iban(value: &str) -> String {
    let plain: Vec<char> = value.chars().filter(|character| !character.is_whitespace()).collect();
    if plain.len() < 12 {
        return DOTS.to_owned();
    }
    let (head, tail) = (&plain[..4], &plain[plain.len() - 4..]);
    format!("{} •••• {}", head.iter().collect::<String>(), tail.iter().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_enough_to_recognise_and_too_little_to_misuse() {
        for (pii, value, seen) in [
            (Pii::NationalId, "0101851234", "••••••1234"),
            (Pii::NationalId, "1234567", "•••"),
            (Pii::Email, "jonas.berg@example.com", "j•••@example.com"),
            (Pii::Email, "nobody", "•••"),
            (Pii::BirthDate, "1985-01-01", "1985-••-••"),
            (Pii::BirthDate, "01.01.1985", "•••"),
            (Pii::Salary, "41250.00", "•••"),
            (Pii::Iban, "DK50 0040 0440 1162 43", "DK50 •••• 6243"),
            (Pii::Iban, "DE893", "•••"),
            (Pii::Name, "Østergaard", "Ø•••"),
            (Pii::Phone, "+4512345678", "•••••••5678"),
            (Pii::Health, "ok", "•••"),
            (Pii::Name, "  ", ""),
        ] {
            assert_eq!(pii.mask(value), seen, "{value}");
        }
    }
}
