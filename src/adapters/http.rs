//! HTTP on reqwest: sends one request once. Never retries by itself, never follows a redirect.

mod waits;

use std::error::Error as _;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use reqwest::{Client, Method, redirect, retry};
use secrecy::{ExposeSecret, SecretString};

use crate::config::secret::SecretSource;
use crate::domain::job::{self, HttpConnection, SecretText};
use crate::ports::{BatchRequest, Reply, SendError, Target};

/// The most that is read of an answer.
const LONGEST_BODY: usize = 1 << 20;

/// Why a target cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// A secret that was not found.
    #[error("{0}")]
    Secret(String),
    /// A value that cannot stand in a request.
    #[error("{what} cannot be used in a request: {reason}")]
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
    url: reqwest::Url,
    headers: HeaderMap,
    key_header: Option<HeaderName>,
    quoted: bool,
    timeout: Duration,
    place: String,
    secrets: Vec<SecretString>,
}

impl HttpTarget {
    /// Resolves the secrets and checks every value once, so that sending cannot fail for them.
    pub fn new(
        connection: &HttpConnection,
        target: &job::Target,
        source: &dyn SecretSource,
    ) -> Result<Self, SetUpError> {
        let wrong = |what: &str, reason: &dyn std::fmt::Display| SetUpError::Value {
            what: what.to_owned(),
            reason: reason.to_string(),
        };
        let address = format!("{}{}", connection.base_url, target.path);
        let url = reqwest::Url::parse(&address).map_err(|error| wrong("base_url and path", &error))?;
        let method = Method::from_bytes(target.method.as_bytes()).map_err(|error| wrong("method", &error))?;
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            // Every attempt must be one that the ledger knows of.
            .retry(retry::never())
            .no_proxy()
            .tcp_nodelay(true)
            .connect_timeout(Duration::from_secs(10).min(connection.timeout))
            .timeout(connection.timeout)
            .pool_max_idle_per_host(connection.rate.concurrency as usize)
            .build()
            .map_err(|error| wrong("the connection", &error))?;
        let mut secrets = Vec::new();
        let headers = headers(connection, target, source, &mut secrets)?;
        let key = target.idempotency.as_ref();
        let key_header = key
            .map(|key| {
                HeaderName::from_bytes(key.header.as_bytes()).map_err(|error| wrong("idempotency.header", &error))
            })
            .transpose()?;
        Ok(Self {
            place: place(&url),
            client,
            method,
            url,
            headers,
            key_header,
            quoted: key.is_some_and(|key| key.quoted),
            timeout: connection.timeout,
            secrets,
        })
    }

    fn send_error(&self, error: &reqwest::Error) -> SendError {
        let reason = if error.is_timeout() && !error.is_connect() {
            format!("no complete answer within {} s", self.timeout.as_secs_f32())
        } else {
            root_cause(error)
        };
        let message = format!("{}: {reason}", self.place);
        if error.is_connect() || error.is_builder() {
            SendError::NotSent(message)
        } else {
            SendError::OutcomeUnknown(message)
        }
    }

    /// What a target echoes of our secrets goes no further than here.
    fn without_secrets(&self, body: Bytes) -> Bytes {
        let echoed = |secret: &SecretString| {
            let secret = secret.expose_secret().as_bytes();
            !secret.is_empty() && memchr::memmem::find(&body, secret).is_some()
        };
        if !self.secrets.iter().any(echoed) {
            return body;
        }
        let mut text = String::from_utf8_lossy(&body).into_owned();
        for secret in &self.secrets {
            text = text.replace(secret.expose_secret(), "•••");
        }
        Bytes::from(text)
    }
}

fn headers(
    connection: &HttpConnection,
    target: &job::Target,
    source: &dyn SecretSource,
    secrets: &mut Vec<SecretString>,
) -> Result<HeaderMap, SetUpError> {
    let mut headers = HeaderMap::new();
    let mut insert = |name: &str, value: &str, secret: bool| {
        let wrong = |reason: String| SetUpError::Value { what: format!("header {name}"), reason };
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|error| wrong(error.to_string()))?;
        // The reason never quotes the value: it may be a secret.
        let mut value = HeaderValue::from_str(value).map_err(|_| wrong("it holds a control character".to_owned()))?;
        value.set_sensitive(secret);
        headers.insert(key, value);
        Ok::<(), SetUpError>(())
    };
    insert(USER_AGENT.as_str(), concat!("nightferry/", env!("CARGO_PKG_VERSION")), false)?;
    insert(CONTENT_TYPE.as_str(), "application/json", false)?;
    insert("accept", "application/json", false)?;
    for (name, value) in &connection.headers {
        match value {
            SecretText::Plain(text) => insert(name, text, false)?,
            SecretText::Secret(reference) => {
                let secret = source.secret(reference).map_err(SetUpError::Secret)?;
                insert(name, secret.expose_secret(), true)?;
                secrets.push(secret);
            }
        }
    }
    for (name, value) in &target.headers {
        insert(name, value, false)?;
    }
    if let Some(reference) = &connection.bearer {
        let token = source.secret(reference).map_err(SetUpError::Secret)?;
        insert("authorization", &format!("Bearer {}", token.expose_secret()), true)?;
        secrets.push(token);
    }
    Ok(headers)
}

impl Target for HttpTarget {
    async fn send(&self, request: BatchRequest) -> Result<Reply, SendError> {
        let mut builder =
            self.client.request(self.method.clone(), self.url.clone()).headers(self.headers.clone()).body(request.body);
        if let (Some(header), Some(key)) = (&self.key_header, &request.key) {
            let value = if self.quoted { format!("\"{}\"", key.0) } else { key.0.clone() };
            builder = builder.header(header, value);
        }
        let mut response = builder.send().await.map_err(|error| self.send_error(&error))?;
        let status = response.status().as_u16();
        let head = response.headers().clone();
        let mut body = BytesMut::new();
        let mut truncated = false;
        while let Some(chunk) = response.chunk().await.map_err(|error| self.send_error(&error))? {
            let room = LONGEST_BODY - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                truncated = true;
                break;
            }
        }
        Ok(Reply {
            status,
            content_type: text(&head, CONTENT_TYPE)
                .map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()),
            retry_after: waits::retry_after(&head),
            exhausted: waits::exhausted(&head),
            login_expired: false,
            location: text(&head, LOCATION),
            body: self.without_secrets(body.freeze()),
            truncated,
        })
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Scheme, host and port: what an operator needs, without path, query or credentials.
fn place(url: &reqwest::Url) -> String {
    url.origin().ascii_serialization()
}

/// The innermost cause: what the system said, without the layers that repeat the address.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    let mut source = error.source();
    while let Some(inner) = source {
        cause = inner;
        source = inner.source();
    }
    if std::ptr::eq(cause, error as &dyn std::error::Error) {
        "the request failed".to_owned()
    } else {
        cause.to_string()
    }
}
