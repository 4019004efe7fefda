//! Connections of kind `http`.

use std::path::PathBuf;
use std::time::Duration;

use super::super::lookup::constant;
use super::super::tree::{At, Sink, Table, Value};
use super::super::unit::duration;
use super::auth::read_auth;
use super::secret_only;
use crate::domain::job::{CertificateSource, ClientCertificate, HttpConnection, SecretText, TlsRule};
use crate::domain::pace::Rate;

pub(super) fn read(table: &Table<'_>, secrets: &mut Vec<At<String>>) -> Option<HttpConnection> {
    let base_url = table.required("base_url").and_then(|value| base_url(&value));
    let timeout = table.get("timeout").map_or(Some(Duration::from_secs(30)), |value| duration(&value));
    let mut headers = table.table("headers").map(|headers| read_headers(&headers, secrets)).unwrap_or_default();
    headers.extend(api_version(table));
    let auth = read_auth(table, secrets);
    let tls = read_tls(table, secrets);
    let proxy = table.get("proxy").map_or(Some(None), |value| read_proxy(&value, secrets).map(Some));
    let rate = table.table("rate").map(read_rate).unwrap_or_default();
    refuse_redirects(table);
    Some(HttpConnection {
        base_url: base_url?,
        headers,
        auth: auth?,
        tls: tls?,
        proxy: proxy?,
        timeout: timeout?,
        rate,
    })
}

fn read_rate(table: Table<'_>) -> Rate {
    let number = |key: &str| {
        table.get(key).and_then(|value| value.integer(1, 10_000)).and_then(|number| u32::try_from(number).ok())
    };
    let usual = Rate::default();
    let rate = Rate {
        concurrency: number("concurrency").unwrap_or(usual.concurrency),
        per_second: number("per_second"),
        per_minute: number("per_minute"),
        burst: number("burst").unwrap_or(usual.burst),
    };
    table.end();
    rate
}

fn base_url(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let good = is_address(&text.value) && url::Url::parse(&text.value).is_ok_and(|url| url.query().is_none());
    if !good {
        value.sink().error_help(
            "NF505",
            &text.span,
            "`base_url` is scheme, host and, if need be, a path",
            "not such an address",
            "for example `\"https://erp.example.com/api\"`; no user, password, query or fragment",
        );
    }
    good.then(|| text.value.trim_end_matches('/').to_owned())
}

/// An address without a secret in it.
fn is_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    })
}

/// `token_url` and `proxy`.
pub(super) fn address(value: &Value<'_>, key: &str) -> Option<String> {
    let text = value.text()?;
    let good = is_address(&text.value);
    if !good {
        value.sink().error_help(
            "NF520",
            &text.span,
            format!("`{key}` is scheme, host and, if need be, port and path"),
            "not such an address",
            "for example `\"https://login.example.com/token\"`; where it holds a password, write `{ secret = \"NAME\" }`",
        );
    }
    good.then_some(text.value)
}

fn read_proxy(value: &Value<'_>, secrets: &mut Vec<At<String>>) -> Option<SecretText> {
    text_or_secret(value, secrets, |value| address(value, "proxy"))
}

/// A text that `plain` reads, or a secret.
pub(super) fn text_or_secret(
    value: &Value<'_>,
    secrets: &mut Vec<At<String>>,
    plain: impl FnOnce(&Value<'_>) -> Option<String>,
) -> Option<SecretText> {
    match value.node() {
        toml::de::DeValue::Table(_) => secret_only(value, secrets).map(SecretText::Secret),
        _ => plain(value).map(SecretText::Plain),
    }
}

fn read_tls(table: &Table<'_>, secrets: &mut Vec<At<String>>) -> Option<TlsRule> {
    let ca = table.get("ca").map_or(Some(None), |value| value.text().map(|text| Some(PathBuf::from(text.value))));
    let certificate = table.get("client_certificate").map_or(Some(None), |value| {
        let read = text_or_secret(&value, secrets, |value| value.text().map(|text| text.value))?;
        Some(Some(match read {
            SecretText::Plain(path) => CertificateSource::File(PathBuf::from(path)),
            SecretText::Secret(name) => CertificateSource::Secret(name),
        }))
    });
    let key = table.get("client_key").map_or(Some(None), |value| secret_only(&value, secrets).map(Some));
    let client = match (certificate?, key?) {
        (Some(certificate), Some(key)) => Some(ClientCertificate { certificate, key }),
        (None, None) => None,
        (certificate, _) => {
            let (there, missing) = if certificate.is_some() {
                ("client_certificate", "client_key")
            } else {
                ("client_key", "client_certificate")
            };
            let span = table.peek(there).map(|value| value.span()).unwrap_or_default();
            table.sink().error("NF521", &span, format!("`{there}` needs `{missing}`"), "each is of no use alone");
            return None;
        }
    };
    Some(TlsRule { ca: ca?, client })
}

/// Credentials and data stay with the host that was named.
fn refuse_redirects(table: &Table<'_>) {
    let Some(value) = table.get("follow_redirects") else { return };
    if value.boolean() == Some(true) {
        table.sink().error_help(
            "NF522",
            &value.span(),
            "a redirect is never followed",
            "",
            "put the final address into `base_url`; a run that meets a redirect stops and shows where it points",
        );
    }
}

/// `api_version`: a header like any other, with a place of its own because its value is what changes.
fn api_version(table: &Table<'_>) -> Option<(String, SecretText)> {
    let version = table.table("api_version")?;
    let good = |text: &At<String>| check_header(table.sink(), text);
    let header = version.required("header").and_then(|value| value.text()).filter(good);
    let value = version.required("value").and_then(|value| {
        let text = constant(&value)?.into_text();
        Some(At { value: text, span: value.span() }).filter(good)
    });
    version.end();
    Some((header?.value, SecretText::Plain(value?.value)))
}

fn read_headers(table: &Table<'_>, secrets: &mut Vec<At<String>>) -> Vec<(String, SecretText)> {
    let mut headers = Vec::new();
    for (name, value) in table.entries() {
        check_header(table.sink(), &name);
        let text = text_or_secret(&value, secrets, |value| {
            value.text().filter(|text| check_header(table.sink(), text)).map(|text| text.value)
        });
        headers.extend(text.map(|text| (name.value, text)));
    }
    headers
}

/// A header's name or value may not hold a line break or another control character.
pub fn check_header(sink: &Sink<'_>, text: &At<String>) -> bool {
    let good = !text.value.is_empty() && !text.value.chars().any(char::is_control);
    if !good {
        sink.error("NF506", &text.span, "a header may not be empty or hold a line break", "");
    }
    good
}
