//! What a target echoes of our secrets goes no further than the adapter.

use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};

/// Shorter than this is no secret, and would be found in everything.
const SHORTEST: usize = 4;

/// Tokens come and go; so many of the last ones are still looked for.
const MOST_TOKENS: usize = 8;

/// Stands where a secret stood.
const MASK: &str = "•••";

/// Knows every secret of a connection, in each form in which it is sent.
#[derive(Default)]
pub(super) struct Redactor(RwLock<Known>);

#[derive(Default)]
struct Known {
    fixed: Vec<SecretString>,
    tokens: VecDeque<SecretString>,
}

impl Redactor {
    /// A secret of the configuration.
    pub(super) fn add(&self, secret: &SecretString) {
        if secret.expose_secret().len() < SHORTEST {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.fixed.extend(forms(secret.expose_secret()).into_iter().map(SecretString::from));
        // A form that holds another is replaced first.
        known.fixed.sort_by_key(|form| std::cmp::Reverse(form.expose_secret().len()));
    }

    /// A token that was fetched.
    pub(super) fn add_token(&self, token: &SecretString) {
        if token.expose_secret().len() < SHORTEST {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.tokens.len() >= MOST_TOKENS {
            known.tokens.pop_front();
        }
        known.tokens.push_back(token.clone());
    }

    /// The text without any secret.
    pub(super) fn text(&self, text: String) -> String {
        String::from_utf8_lossy(&self.bytes(Bytes::from(text))).into_owned()
    }

    /// The bytes without any secret; untouched, and not copied, where there is none.
    pub(super) fn bytes(&self, body: Bytes) -> Bytes {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let secrets = || known.tokens.iter().chain(&known.fixed).map(|secret| secret.expose_secret());
        if !secrets().any(|secret| memchr::memmem::find(&body, secret.as_bytes()).is_some()) {
            return body;
        }
        let mut text = String::from_utf8_lossy(&body).into_owned();
        for secret in secrets() {
            text = text.replace(secret, MASK);
        }
        Bytes::from(text)
    }
}

/// As it is, in base64 (Basic), in a query, and inside a JSON text.
fn forms(secret: &str) -> Vec<String> {
    let query: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let json = serde_json::Value::from(secret).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let mut forms = vec![secret.to_owned(), BASE64_STANDARD.encode(secret), query, json];
    forms.sort();
    forms.dedup();
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e33_a_secret_is_found_in_every_form_in_which_it_is_sent() {
        let redactor = Redactor::default();
        redactor.add(&SecretString::from("s3cr\"t &x"));
        redactor.add_token(&SecretString::from("token-1"));
        let echoed =
            format!("a s3cr\"t &x b {} c s3cr%22t+%26x d s3cr\\\"t &x e token-1", BASE64_STANDARD.encode("s3cr\"t &x"));
        assert_eq!(redactor.text(echoed), "a ••• b ••• c ••• d ••• e •••");
        assert_eq!(redactor.text("nothing here".to_owned()), "nothing here");
    }

    #[test]
    fn a_text_too_short_for_a_secret_is_left_alone() {
        let redactor = Redactor::default();
        redactor.add(&SecretString::from("1"));
        assert_eq!(redactor.text("{\"n\": 1}".to_owned()), "{\"n\": 1}");
    }
}
