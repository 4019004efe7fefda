//! Texts with a form of their own: e-mail addresses, IBANs, UUIDs and URLs.

use super::spec::TextFormat;
use super::text;
use super::value::Refusal;
use crate::domain::reject::RejectCode;

/// The value as it is sent, or why it is not one: an IBAN loses its blanks and a UUID its braces.
pub(super) fn read(format: TextFormat, value: &str) -> Result<(), Box<Refusal>> {
    let (code, fault) = match format {
        TextFormat::Any => return Ok(()),
        TextFormat::Email => (RejectCode::BadEmail, email(value)),
        TextFormat::Iban => (RejectCode::BadIban, iban(value)),
        TextFormat::Uuid => (RejectCode::BadUuid, uuid(value)),
        TextFormat::Url => (RejectCode::BadUrl, url(value)),
    };
    match fault {
        None => Ok(()),
        Some(fault) => Err(Refusal::new(code, format!("{} is not {fault}", text::shown(value)))),
    }
}

/// The form that mail systems agree about: no comments, no quoted names, a domain with a dot.
fn email(value: &str) -> Option<&'static str> {
    let well_formed = value.len() <= 254
        && value.rsplit_once('@').is_some_and(|(name, domain)| is_mail_name(name) && is_domain(domain));
    (!well_formed).then_some("an e-mail address")
}

fn is_mail_name(name: &str) -> bool {
    let fits = |character: char| character.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(character);
    !name.is_empty()
        && name.len() <= 64
        && name.chars().all(fits)
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..")
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|character| character.is_alphanumeric() || character == '-')
    };
    domain.contains('.') && domain.split('.').all(is_label) && !domain.ends_with(|end: char| end.is_ascii_digit())
}

/// How many characters an IBAN of a country has (ISO 13616 registry).
const IBAN_LENGTHS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
    ("YE", 30),
];

/// Length of the country, upper-case letters and digits, and check digits modulo 97 (ISO 7064).
fn iban(value: &str) -> Option<&'static str> {
    if !value.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()) {
        return Some(
            "an IBAN: it has upper-case letters and digits only (`clean = [{ remove = \" \" }]` takes blanks out)",
        );
    }
    let country = value.get(..2).unwrap_or_default();
    match IBAN_LENGTHS.iter().find(|(known, _)| *known == country) {
        None => return Some("an IBAN: it does not begin with a country that has IBANs"),
        Some((_, length)) if *length != value.len() => return Some("an IBAN: its length is not that of its country"),
        Some(_) => {}
    }
    let (head, tail) = value.split_at(4);
    let rest = tail.bytes().chain(head.bytes()).fold(0_u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        letter => (rest * 100 + u32::from(letter - b'A') + 10) % 97,
    });
    (rest != 1).then_some("an IBAN: its check digits do not fit")
}

fn uuid(value: &str) -> Option<&'static str> {
    let fits = value.len() == 36 && uuid::Uuid::try_parse(value).is_ok();
    (!fits).then_some("a UUID such as `67e55044-10b1-426f-9247-bb680e5fe0c8`")
}

fn url(value: &str) -> Option<&'static str> {
    let fits = !value.contains(|character: char| character.is_whitespace() || character.is_control())
        && url::Url::parse(value)
            .is_ok_and(|url| url.has_host() && matches!(url.scheme(), "http" | "https" | "ftp" | "sftp"));
    (!fits).then_some("a URL such as `https://example.com/page`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(format: TextFormat, value: &str) -> Option<RejectCode> {
        read(format, value).err().map(|refusal| refusal.code)
    }

    #[test]
    fn email_addresses() {
        for good in ["anna.holm@example.com", "a+b@sub.example.co", "jørgen@blåbær.dk", "o'neil@example.org"] {
            assert_eq!(code(TextFormat::Email, good), None, "{good}");
        }
        for bad in [
            "",
            "a",
            "a@b",
            "@example.com",
            "a@",
            "a b@example.com",
            "a@example..com",
            "a..b@example.com",
            ".a@example.com",
            "a@-example.com",
            "a@example.com ",
            "a@b@",
            "a@127.0.0.1",
            "\"a\"@example.com",
        ] {
            assert_eq!(code(TextFormat::Email, bad), Some(RejectCode::BadEmail), "{bad}");
        }
    }

    #[test]
    fn ibans_have_the_length_of_their_country_and_right_check_digits() {
        for good in ["DE89370400440532013000", "DK5000400440116243", "NO9386011117947", "GB29NWBK60161331926819"] {
            assert_eq!(code(TextFormat::Iban, good), None, "{good}");
        }
        for bad in [
            "DE89370400440532013001",
            "DE8937040044053201300",
            "XX89370400440532013000",
            "de89370400440532013000",
            "DE89 3704 0044 0532 0130 00",
            "DE",
            "",
        ] {
            assert_eq!(code(TextFormat::Iban, bad), Some(RejectCode::BadIban), "{bad}");
        }
    }

    #[test]
    fn uuids_and_urls() {
        assert_eq!(code(TextFormat::Uuid, "67e55044-10b1-426f-9247-bb680e5fe0c8"), None);
        assert_eq!(code(TextFormat::Uuid, "67e5504410b1426f9247bb680e5fe0c8"), Some(RejectCode::BadUuid));
        assert_eq!(code(TextFormat::Url, "https://example.com/a?b=c"), None);
        for bad in ["example.com", "javascript:alert(1)", "https://", "https://exa mple.com", "mailto:a@example.com"] {
            assert_eq!(code(TextFormat::Url, bad), Some(RejectCode::BadUrl), "{bad}");
        }
    }
}
