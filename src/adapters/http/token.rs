//! Tokens that run out: fetched once for all requests, kept, and fetched anew before they end or when a 401 says that one has.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::auth::secret_value;
use super::client::check_address;
use super::jwt::Assertion;
use super::reading::{self, Arrived};
use super::redact::Redactor;
use super::{SetUpError, Vault, failure, place};
use crate::domain::job::{Client, ClientPlace, Grant, TokenRule};
use crate::ports::{Clock, SendError};

/// A token is not used in the last minute of its life (or in the last fifth, if that is less).
const MARGIN: Duration = Duration::from_secs(60);

/// How long a token without `expires_in` is used.
const USUAL_LIFE: Duration = Duration::from_secs(3600);

/// The how-many-eth token it is.
pub(super) type Generation = u64;

/// Logs in for a connection.
pub(super) struct TokenLogin {
    client: reqwest::Client,
    url: reqwest::Url,
    place: String,
    grant: OpenGrant,
    scope: Option<String>,
    redactor: Arc<Redactor>,
    clock: Arc<dyn Clock>,
    /// Held while a token is fetched, so that everybody who needs one waits for the same.
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    token: Option<SecretString>,
    good_until: Option<Instant>,
    generation: Generation,
    /// A token was given up for a 401, and none was taken by the target since.
    gave_up: bool,
    /// The refresh token that took the place of the configured one.
    refresh_token: Option<SecretString>,
}

/// What is shown to the token endpoint, with its secrets at hand.
enum OpenGrant {
    ClientCredentials(OpenClient),
    RefreshToken(OpenClient, SecretString),
    Jwt(Box<Assertion>),
}

struct OpenClient {
    id: SecretString,
    secret: Option<SecretString>,
    place: ClientPlace,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<serde_json::Value>,
    refresh_token: Option<String>,
}

#[derive(Deserialize, Default)]
struct Refusal {
    error: Option<String>,
    error_description: Option<String>,
}

impl TokenLogin {
    pub(super) fn new(
        rule: &TokenRule,
        client: reqwest::Client,
        vault: &Vault<'_>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SetUpError> {
        let url = reqwest::Url::parse(&rule.url)
            .map_err(|error| SetUpError::Value { what: "`token_url`".to_owned(), reason: error.to_string() })?;
        check_address("`token_url`", &url)?;
        let grant = match &rule.grant {
            Grant::ClientCredentials(client) => OpenGrant::ClientCredentials(open(client, vault)?),
            Grant::RefreshToken { client, refresh_token } => {
                OpenGrant::RefreshToken(open(client, vault)?, vault.open(refresh_token)?)
            }
            Grant::Jwt(rule) => OpenGrant::Jwt(Box::new(Assertion::new(rule, vault)?)),
        };
        let (place, scope) = (place(&url), rule.scope.clone());
        let redactor = vault.redactor.clone();
        Ok(Self { client, url, place, grant, scope, redactor, clock, kept: Mutex::default() })
    }

    /// A token that is good for a while yet.
    pub(super) async fn token(&self) -> Result<(SecretString, Generation), SendError> {
        let mut kept = self.kept.lock().await;
        let is_good = kept.good_until.is_some_and(|until| Instant::now() < until);
        if let (Some(token), true) = (&kept.token, is_good) {
            return Ok((token.clone(), kept.generation));
        }
        let granted = self.fetch(&kept).await?;
        let token = SecretString::from(granted.access_token);
        self.redactor.add_token(&token);
        let life = granted.expires_in.as_ref().and_then(seconds).unwrap_or(USUAL_LIFE);
        kept.good_until = Some(Instant::now() + life.saturating_sub(MARGIN.min(life / 5)));
        kept.generation += 1;
        kept.token = Some(token.clone());
        if let Some(next) = granted.refresh_token.map(SecretString::from) {
            self.redactor.add_token(&next);
            self.note_rotation(&kept, &next);
            kept.refresh_token = Some(next);
        }
        tracing::info!("{}: logged in; the token is good for {} s", self.place, life.as_secs());
        Ok((token, kept.generation))
    }

    fn note_rotation(&self, kept: &Kept, next: &SecretString) {
        let OpenGrant::RefreshToken(_, configured) = &self.grant else { return };
        let before = kept.refresh_token.as_ref().unwrap_or(configured);
        if before.expose_secret() != next.expose_secret() {
            tracing::warn!(
                "{}: gave a new refresh token, which is not kept when this process ends; if it takes each only once, use the \
                 grant `client_credentials`",
                self.place
            );
        }
    }

    /// A 401 gives the token up once; true when the request may go again with another.
    pub(super) async fn answered(&self, generation: Generation, status: u16) -> bool {
        let mut kept = self.kept.lock().await;
        if status != 401 {
            kept.gave_up &= generation < kept.generation;
            return false;
        }
        if generation < kept.generation || kept.good_until.is_none() {
            // Another request has seen to it already.
            return true;
        }
        let first = !kept.gave_up;
        if first {
            kept.gave_up = true;
            kept.good_until = None;
        }
        first
    }

    async fn fetch(&self, kept: &Kept) -> Result<Granted, SendError> {
        let arrived = self.ask(self.form(kept)?).await?;
        let said = |what: &str| format!("{}: no token: {what}", self.place);
        match arrived.status {
            200 | 201 => {
                let granted: Result<Granted, _> = serde_json::from_slice(&arrived.body);
                match granted {
                    Ok(granted) if !granted.access_token.is_empty() && is_bearer(&granted) => Ok(granted),
                    _ => Err(SendError::Login(said("the answer holds no bearer token"))),
                }
            }
            408 | 425 | 429 | 500.. => Err(SendError::NotSent(said(&format!("answered {}", arrived.status)))),
            status => {
                let refusal: Refusal = serde_json::from_slice(&arrived.body).unwrap_or_default();
                let words =
                    [refusal.error, refusal.error_description].into_iter().flatten().collect::<Vec<_>>().join(": ");
                let words = self.redactor.text(words);
                Err(SendError::Login(said(format!("answered {status} {words}").trim_end())))
            }
        }
    }

    async fn ask(&self, (form, header): (String, Option<HeaderValue>)) -> Result<Arrived, SendError> {
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(form);
        if let Some(header) = header {
            request = request.header(AUTHORIZATION, header);
        }
        // Whatever broke: nothing of the batch was sent.
        let unsent = |reason: String| SendError::NotSent(format!("{}: no token: {reason}", self.place));
        let response = request.send().await.map_err(|error| unsent(failure::reason(&error)))?;
        reading::read(response).await.map_err(unsent)
    }

    /// The fields of the form, and the header with the client where it stands there.
    fn form(&self, kept: &Kept) -> Result<(String, Option<HeaderValue>), SendError> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        let client = match &self.grant {
            OpenGrant::ClientCredentials(client) => {
                form.append_pair("grant_type", "client_credentials");
                Some(client)
            }
            OpenGrant::RefreshToken(client, configured) => {
                let token = kept.refresh_token.as_ref().unwrap_or(configured);
                form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", token.expose_secret());
                Some(client)
            }
            OpenGrant::Jwt(assertion) => {
                let signed = assertion.sign(self.clock.now()).map_err(|error| SendError::Login(error.to_string()))?;
                form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
                    .append_pair("assertion", &signed);
                None
            }
        };
        if let Some(scope) = &self.scope {
            form.append_pair("scope", scope);
        }
        let header = match client {
            Some(OpenClient { id, secret: Some(secret), place: ClientPlace::Header }) => {
                let header = basic(id, secret).map_err(|error| SendError::Login(error.to_string()))?;
                Some(header)
            }
            Some(OpenClient { id, secret, .. }) => {
                form.append_pair("client_id", id.expose_secret());
                if let Some(secret) = secret {
                    form.append_pair("client_secret", secret.expose_secret());
                }
                None
            }
            None => None,
        };
        Ok((form.finish(), header))
    }
}

fn open(client: &Client, vault: &Vault<'_>) -> Result<OpenClient, SetUpError> {
    let secret = client.secret.as_ref().map(|secret| vault.open(secret)).transpose()?;
    let client = OpenClient { id: vault.text(&client.id)?, secret, place: client.place };
    if let Some(secret) = &client.secret {
        // As it stands in the header.
        vault.hide(&SecretString::from(pair(&client.id, secret)));
    }
    Ok(client)
}

/// RFC 6749, 2.3.1: both are form-encoded before they are joined.
fn pair(id: &SecretString, secret: &SecretString) -> String {
    let encoded =
        |text: &SecretString| url::form_urlencoded::byte_serialize(text.expose_secret().as_bytes()).collect::<String>();
    format!("{}:{}", encoded(id), encoded(secret))
}

fn basic(id: &SecretString, secret: &SecretString) -> Result<HeaderValue, SetUpError> {
    secret_value("authorization", &format!("Basic {}", BASE64_STANDARD.encode(pair(id, secret))))
}

fn is_bearer(granted: &Granted) -> bool {
    granted.token_type.as_ref().is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"))
}

/// A number, or a number as text, as some servers write it.
fn seconds(value: &serde_json::Value) -> Option<Duration> {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    Duration::try_from_secs_f64(number).ok()
}
