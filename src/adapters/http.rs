//! HTTP on reqwest: sends one request once. Never retries by itself, never follows a redirect; HTTP/1.1 only, so that what
//! a broken connection may have taken is always one request.

mod address;
mod announced;
mod auth;
mod client;
mod failure;
mod jwt;
mod reading;
mod redact;
mod token;
mod waits;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT,
};
use reqwest::{Client, Method, Request};
use secrecy::{ExposeSecret, SecretString};

use self::announced::Announced;
use self::auth::{Authoriser, header_name, secret_value};
use self::reading::Arrived;
use self::redact::Redactor;
use crate::config::secret::SecretSource;
use crate::domain::job::{self, HttpConnection, SecretRef, SecretText};
use crate::ports::{BatchRequest, Clock, Reply, SendError, Target};

/// Why a target cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// A secret that was not found.
    #[error("{0}")]
    Secret(String),
    /// A value that cannot stand in a request.
    #[error("{what} cannot be used: {reason}")]
    Value {
        /// `header X-Api`, `base_url`.
        what: String,
        /// Why.
        reason: String,
    },
}

/// An HTTP API.
pub struct HttpTarget {
    client: Client,
    method: Method,
    base: String,
    announced: Announced,
    url: reqwest::Url,
    headers: HeaderMap,
    auth: Authoriser,
    key_header: Option<HeaderName>,
    quoted: bool,
    timeout: Duration,
    place: String,
    redactor: Arc<Redactor>,
}

/// Opens secrets, and notes each so that it is never shown.
struct Vault<'s> {
    source: &'s dyn SecretSource,
    redactor: Arc<Redactor>,
}

impl Vault<'_> {
    fn open(&self, name: &SecretRef) -> Result<SecretString, SetUpError> {
        let secret = self.source.secret(name).map_err(SetUpError::Secret)?;
        self.hide(&secret);
        Ok(secret)
    }

    fn text(&self, text: &SecretText) -> Result<SecretString, SetUpError> {
        match text {
            SecretText::Plain(text) => Ok(SecretString::from(text.clone())),
            SecretText::Secret(name) => self.open(name),
        }
    }

    fn hide(&self, secret: &SecretString) {
        self.redactor.add(secret);
    }
}

impl HttpTarget {
    /// Resolves the secrets and checks every value once, so that sending cannot fail for them. Sends nothing.
    pub fn new(
        connection: &HttpConnection,
        target: &job::Target,
        source: &dyn SecretSource,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SetUpError> {
        let wrong = |what: &str, reason: &dyn std::fmt::Display| SetUpError::Value {
            what: what.to_owned(),
            reason: reason.to_string(),
        };
        let vault = Vault { source, redactor: Arc::default() };
        let address = format!("{}{}", connection.base_url, target.path);
        let url = reqwest::Url::parse(&address).map_err(|error| wrong("base_url and path", &error))?;
        client::check_address("`base_url`", &url)?;
        let method = Method::from_bytes(target.method.as_bytes()).map_err(|error| wrong("method", &error))?;
        let client = client::build(connection, &vault)?;
        let key = target.idempotency.as_ref();
        Ok(Self {
            place: place(&url),
            auth: Authoriser::new(&connection.auth, &client, &vault, clock)?,
            client,
            method,
            base: connection.base_url.clone(),
            announced: Announced::default(),
            url,
            headers: headers(connection, target, &vault)?,
            key_header: key.map(|key| header_name(&key.header)).transpose()?,
            quoted: key.is_some_and(|key| key.quoted),
            timeout: connection.timeout,
            redactor: vault.redactor,
        })
    }

    fn request(&self, request: BatchRequest) -> Result<Request, SendError> {
        let url = match &request.path {
            None => self.url.clone(),
            Some(path) => self.address(path)?,
        };
        let mut built = Request::new(self.method.clone(), url);
        *built.headers_mut() = self.headers.clone();
        if let (Some(header), Some(key)) = (&self.key_header, &request.key) {
            let value = if self.quoted { format!("\"{}\"", key.0) } else { key.0.clone() };
            // A key is a UUID.
            built.headers_mut().extend(HeaderValue::from_str(&value).ok().map(|value| (header.clone(), value)));
        }
        *built.body_mut() = Some(request.body.into());
        Ok(built)
    }

    /// The address of one request. A path stays what it is, and below the host of the connection.
    fn address(&self, path: &str) -> Result<reqwest::Url, SendError> {
        let text = format!("{}{path}", self.base);
        let wrong = |reason: &str| SendError::NotSent(format!("{}: `{path}`: {reason}", self.place));
        let url = reqwest::Url::parse(&text).map_err(|error| wrong(&error.to_string()))?;
        let kept = url.origin() == self.url.origin() && url.as_str().ends_with(path) && url.fragment().is_none();
        if kept { Ok(url) } else { Err(wrong("it is not the address that it looks like")) }
    }

    fn send_error(&self, error: &reqwest::Error) -> SendError {
        let reason = if error.is_timeout() && !error.is_connect() {
            format!("no complete answer within {} s", self.timeout.as_secs_f32())
        } else {
            failure::reason(error)
        };
        let message = format!("{}: {reason}", self.place);
        if error.is_connect() || error.is_builder() {
            SendError::NotSent(message)
        } else {
            SendError::OutcomeUnknown(message)
        }
    }

    fn reply(&self, arrived: Arrived, login_expired: bool) -> Reply {
        let Arrived { status, head, body, truncated } = arrived;
        let shown = |name| text(&head, name).map(|text| self.redactor.text(text));
        Reply {
            status,
            content_type: shown(CONTENT_TYPE)
                .map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()),
            retry_after: waits::retry_after(&head),
            exhausted: waits::exhausted(&head),
            login_expired,
            location: shown(LOCATION).inspect(|location| self.warn_of(location)),
            body: self.redactor.bytes(body),
            truncated,
        }
    }

    /// A target that points inside a network, or at a file, is not what it says it is.
    fn warn_of(&self, location: &str) {
        if let Some(danger) = address::why_dangerous(location) {
            tracing::warn!(security = true, "{}: points to {location}, {danger}; nothing was sent there", self.place);
        }
    }
}

fn headers(connection: &HttpConnection, target: &job::Target, vault: &Vault<'_>) -> Result<HeaderMap, SetUpError> {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("nightferry/", env!("CARGO_PKG_VERSION"))));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    for (name, text) in &connection.headers {
        let mut value = secret_value(name, vault.text(text)?.expose_secret())?;
        value.set_sensitive(matches!(text, SecretText::Secret(_)));
        headers.insert(header_name(name)?, value);
    }
    for (name, text) in &target.headers {
        let mut value = secret_value(name, text)?;
        value.set_sensitive(false);
        headers.insert(header_name(name)?, value);
    }
    Ok(headers)
}

impl Target for HttpTarget {
    fn announced(&self) -> Vec<String> {
        self.announced.all()
    }

    async fn send(&self, request: BatchRequest) -> Result<Reply, SendError> {
        let body = request.body.clone();
        let mut request = self.request(request)?;
        let generation = self.auth.authorise(&mut request, &body).await?;
        let response = self.client.execute(request).await.map_err(|error| self.send_error(&error))?;
        let status = response.status().as_u16();
        let login_expired = self.auth.answered(generation, status).await;
        let arrived = reading::read(response).await;
        let arrived = arrived.map_err(|reason| SendError::OutcomeUnknown(format!("{}: {reason}", self.place)))?;
        self.announced.hear(&self.place, &arrived.head);
        Ok(self.reply(arrived, login_expired))
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Scheme, host and port: what an operator needs, without path, query or credentials.
fn place(url: &reqwest::Url) -> String {
    url.origin().ascii_serialization()
}
