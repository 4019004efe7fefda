//! How a request is authorised: a text that is always the same, a token that is fetched, or a signature over the body.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use reqwest::Request;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::token::{Generation, TokenLogin};
use super::{SetUpError, Vault};
use crate::domain::job::{Auth, Encoding, HmacAlgorithm, HmacRule, KeyPlace};
use crate::ports::{Clock, SendError};

/// `auth`, with its secrets at hand.
pub(super) enum Authoriser {
    /// Nothing is shown.
    Nothing,
    /// A header that is the same for every request.
    Header(HeaderName, HeaderValue),
    /// A query parameter.
    Query(String, SecretString),
    /// A bearer token that runs out.
    Token(Arc<TokenLogin>),
    /// A signature.
    Hmac(Hmac),
}

/// What signs a body.
pub(super) struct Hmac {
    header: HeaderName,
    key: PKey<Private>,
    digest: MessageDigest,
    encoding: Encoding,
    prefix: String,
}

impl Authoriser {
    pub(super) fn new(
        auth: &Auth,
        client: &reqwest::Client,
        vault: &Vault<'_>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SetUpError> {
        Ok(match auth {
            Auth::None => Self::Nothing,
            Auth::Bearer { token } => {
                let token = vault.open(token)?;
                Self::Header(AUTHORIZATION, bearer(&token)?)
            }
            Auth::Basic { user, password } => {
                let (user, password) = (vault.text(user)?, vault.open(password)?);
                let pair = SecretString::from(format!("{}:{}", user.expose_secret(), password.expose_secret()));
                vault.hide(&pair);
                let shown = BASE64_STANDARD.encode(pair.expose_secret());
                Self::Header(AUTHORIZATION, secret_value("authorization", &format!("Basic {shown}"))?)
            }
            Auth::ApiKey { place: KeyPlace::Header(name), value } => {
                let key = vault.open(value)?;
                Self::Header(header_name(name)?, secret_value(name, key.expose_secret())?)
            }
            Auth::ApiKey { place: KeyPlace::Query(name), value } => Self::Query(name.clone(), vault.open(value)?),
            Auth::Token(rule) => Self::Token(Arc::new(TokenLogin::new(rule, client.clone(), vault, clock)?)),
            Auth::Hmac(rule) => Self::Hmac(Hmac::new(rule, vault)?),
        })
    }

    /// Authorises a request. Fetches a token where none is good; the generation of the token comes back.
    pub(super) async fn authorise(&self, request: &mut Request, body: &[u8]) -> Result<Option<Generation>, SendError> {
        match self {
            Self::Nothing => {}
            Self::Header(name, value) => drop(request.headers_mut().insert(name, value.clone())),
            Self::Query(name, key) => drop(request.url_mut().query_pairs_mut().append_pair(name, key.expose_secret())),
            Self::Token(login) => {
                let (token, generation) = login.token().await?;
                let value = bearer(&token).map_err(|error| SendError::Login(error.to_string()))?;
                request.headers_mut().insert(AUTHORIZATION, value);
                return Ok(Some(generation));
            }
            Self::Hmac(hmac) => {
                let signature = hmac.sign(body).map_err(|error| SendError::NotSent(error.to_string()))?;
                request.headers_mut().insert(&hmac.header, signature);
            }
        }
        Ok(None)
    }

    /// Takes note of an answer to a request of this generation; true: it was refused, and the next one logs in anew.
    pub(super) async fn answered(&self, generation: Option<Generation>, status: u16) -> bool {
        match (self, generation) {
            (Self::Token(login), Some(generation)) => login.answered(generation, status).await,
            _ => false,
        }
    }
}

impl Hmac {
    fn new(rule: &HmacRule, vault: &Vault<'_>) -> Result<Self, SetUpError> {
        let secret = vault.open(&rule.secret)?;
        let key = PKey::hmac(secret.expose_secret().as_bytes()).map_err(|_| SetUpError::Value {
            what: "`secret` of `auth`".to_owned(),
            reason: "it cannot be a key".to_owned(),
        })?;
        let digest = match rule.algorithm {
            HmacAlgorithm::Sha256 => MessageDigest::sha256(),
            HmacAlgorithm::Sha512 => MessageDigest::sha512(),
            HmacAlgorithm::Sha1 => MessageDigest::sha1(),
        };
        let (encoding, prefix) = (rule.encoding, rule.prefix.clone());
        Ok(Self { header: header_name(&rule.header)?, key, digest, encoding, prefix })
    }

    fn sign(&self, body: &[u8]) -> Result<HeaderValue, openssl::error::ErrorStack> {
        let signature = Signer::new(self.digest, &self.key)?.sign_oneshot_to_vec(body)?;
        let text = match self.encoding {
            Encoding::Hex => signature.iter().map(|byte| format!("{byte:02x}")).collect(),
            Encoding::Base64 => BASE64_STANDARD.encode(signature),
        };
        // Hexadecimal and base64 are always a header value; the prefix was checked by `config`.
        Ok(HeaderValue::from_str(&format!("{}{text}", self.prefix)).unwrap_or(HeaderValue::from_static("")))
    }
}

fn bearer(token: &SecretString) -> Result<HeaderValue, SetUpError> {
    secret_value("authorization", &format!("Bearer {}", token.expose_secret()))
}

pub(super) fn header_name(name: &str) -> Result<HeaderName, SetUpError> {
    let wrong =
        |error: &dyn std::fmt::Display| SetUpError::Value { what: format!("header {name}"), reason: error.to_string() };
    HeaderName::from_bytes(name.as_bytes()).map_err(|error| wrong(&error))
}

/// The reason never quotes the value: it is a secret.
pub(super) fn secret_value(name: &str, value: &str) -> Result<HeaderValue, SetUpError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| SetUpError::Value {
        what: format!("header {name}"),
        reason: "it holds a control character".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}
