//! `auth` of a connection of kind `http`.

use std::time::Duration;

use super::super::tree::{At, Table};
use super::super::unit::duration;
use super::http::{address, check_header, text_or_secret};
use super::secret_only;
use crate::domain::job::{
    Auth, Client, ClientPlace, Encoding, Grant, HmacAlgorithm, HmacRule, JwtAlgorithm, JwtRule, KeyPlace, SecretRef,
    SecretText, TokenRule,
};

const KINDS: &str = "one of `bearer`, `api_key`, `basic`, `oauth2`, `jwt`, `hmac`";

pub(super) fn read_auth(connection: &Table<'_>, secrets: &mut Vec<At<String>>) -> Option<Auth> {
    if !connection.has("auth") {
        return Some(Auth::None);
    }
    Reader { table: connection.table("auth")?, secrets }.read()
}

/// The table, and where its secrets are noted.
struct Reader<'t, 's> {
    table: Table<'t>,
    secrets: &'s mut Vec<At<String>>,
}

impl Reader<'_, '_> {
    fn read(mut self) -> Option<Auth> {
        let kind = self.table.required("kind").and_then(|value| value.text());
        let auth = match kind.as_ref().map(|kind| kind.value.as_str()) {
            Some("bearer") => self.secret("token").map(|token| Auth::Bearer { token }),
            Some("api_key") => self.api_key(),
            Some("basic") => {
                let (user, password) = (self.text_or_secret("user"), self.secret("password"));
                user.zip(password).map(|(user, password)| Auth::Basic { user, password })
            }
            Some("oauth2") => self.oauth2(),
            Some("jwt") => self.jwt(),
            Some("hmac") => self.hmac(),
            Some(other) => {
                let span = kind.as_ref().map(|kind| kind.span.clone()).unwrap_or_default();
                self.table.sink().error("NF104", &span, format!("`{other}` is not a kind of auth"), KINDS);
                None
            }
            None => None,
        };
        self.table.end();
        auth
    }

    fn secret(&mut self, key: &str) -> Option<SecretRef> {
        self.table.required(key).and_then(|value| secret_only(&value, self.secrets))
    }

    fn text(&self, key: &str) -> Option<String> {
        self.table.required(key).and_then(|value| value.text()).map(|text| text.value)
    }

    fn text_or_secret(&mut self, key: &str) -> Option<SecretText> {
        let value = self.table.required(key)?;
        text_or_secret(&value, self.secrets, |value| value.text().map(|text| text.value))
    }

    fn header(&self, key: &str) -> Option<String> {
        self.table.text(key).filter(|text| check_header(self.table.sink(), text)).map(|text| text.value)
    }

    fn api_key(&mut self) -> Option<Auth> {
        let value = self.secret("value");
        let (header, query) = (self.header("header"), self.table.text("query").map(|text| text.value));
        let place = match (header, query) {
            (Some(name), None) => KeyPlace::Header(name),
            (None, Some(name)) => KeyPlace::Query(name),
            _ => {
                let message = "an `api_key` stands in a `header` or in a `query` parameter";
                self.table.sink().error("NF523", &self.table.span(), message, "exactly one of them is needed");
                return None;
            }
        };
        Some(Auth::ApiKey { place, value: value? })
    }

    fn oauth2(&mut self) -> Option<Auth> {
        let url = self.table.required("token_url").and_then(|value| address(&value, "token_url"));
        let scope = self.table.text("scope").map(|text| text.value);
        let wants_refresh = [("client_credentials", false), ("refresh_token", true)];
        let refreshes = match self.table.has("grant") {
            true => self.table.choice("grant", &wants_refresh)?,
            false => self.table.has("refresh_token"),
        };
        let id = self.text_or_secret("client_id");
        let secret =
            if refreshes && !self.table.has("client_secret") { None } else { Some(self.secret("client_secret")?) };
        let place = self.table.word("client_auth", ClientPlace::from_word, &["header", "body"]);
        let client = Client { id: id?, secret, place: place.unwrap_or(ClientPlace::Header) };
        let grant = match refreshes {
            true => Grant::RefreshToken { client, refresh_token: self.secret("refresh_token")? },
            false => Grant::ClientCredentials(client),
        };
        Some(Auth::Token(TokenRule { url: url?, grant, scope }))
    }

    fn jwt(&mut self) -> Option<Auth> {
        let url = self.table.required("token_url").and_then(|value| address(&value, "token_url"));
        let algorithm = self.table.word("algorithm", JwtAlgorithm::from_word, &["RS256", "RS512", "ES256"]);
        let lifetime = self.table.get("lifetime").map_or(Some(Duration::from_secs(300)), |value| duration(&value));
        let (key, issuer) = (self.secret("key"), self.text("issuer"));
        let audience = self.table.text("audience").map(|text| text.value).or_else(|| url.clone());
        let grant = Grant::Jwt(JwtRule {
            key: key?,
            algorithm: algorithm.unwrap_or(JwtAlgorithm::Rs256),
            key_id: self.table.text("key_id").map(|text| text.value),
            subject: self.table.text("subject").map(|text| text.value).or_else(|| issuer.clone())?,
            issuer: issuer?,
            audience: audience?,
            lifetime: lifetime?,
        });
        Some(Auth::Token(TokenRule { url: url?, grant, scope: self.table.text("scope").map(|text| text.value) }))
    }

    fn hmac(&mut self) -> Option<Auth> {
        let header = self.table.required("header").and_then(|_| self.header("header"));
        let algorithm = self.table.word("algorithm", HmacAlgorithm::from_word, &["sha256", "sha512", "sha1"]);
        let encoding = self.table.word("encoding", Encoding::from_word, &["hex", "base64"]);
        let prefix = self.header("prefix").unwrap_or_default();
        let secret = self.secret("secret");
        Some(Auth::Hmac(HmacRule {
            header: header?,
            secret: secret?,
            algorithm: algorithm.unwrap_or(HmacAlgorithm::Sha256),
            encoding: encoding.unwrap_or(Encoding::Hex),
            prefix,
        }))
    }
}
