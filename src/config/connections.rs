//! `connections.toml`: where systems are and how to log in; secrets only by reference.

mod auth;
mod http;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::diagnostic::SECRET_IN_FILE;
use super::tree::{At, Sink, Table, Value};
use super::unit::duration;
use crate::domain::job::{Agent, Connection, ConnectionKind, SecretRef, SftpConnection, SftpEngine, SftpTimeouts};
use crate::domain::name::ConnectionName;

pub use http::check_header;

/// A connection with the places of its secrets.
#[derive(Clone, Debug)]
pub struct ReadConnection {
    /// The connection; `None` when it has a mistake.
    pub connection: Option<Connection>,
    /// Its kind as written, for jobs that refer to a broken one.
    pub kind: Option<String>,
    /// Every secret it refers to, with its place.
    pub secrets: Vec<At<String>>,
}

/// Reads the tables; `only` limits it to those a job uses.
pub fn read(sink: &Sink<'_>, root: &Table<'_>, only: Option<&[&str]>) -> BTreeMap<String, ReadConnection> {
    let _ = sink;
    root.entries()
        .into_iter()
        .filter(|(name, _)| only.is_none_or(|only| only.contains(&name.value.as_str())))
        .filter_map(|(name, value)| {
            // The `@` tells the words of connections from those of other files.
            let table = value.table(&format!("@{}", name.value))?;
            Some((name.value.clone(), read_one(&name.value, table)))
        })
        .collect()
}

fn read_one(name: &str, table: Table<'_>) -> ReadConnection {
    let mut secrets = Vec::new();
    let kind = table.required("kind").and_then(|value| value.text());
    let read = match kind.as_ref().map(|kind| kind.value.as_str()) {
        Some("sftp") => sftp(&table, name, &mut secrets).map(ConnectionKind::Sftp),
        Some("http") => http::read(&table, &mut secrets).map(ConnectionKind::Http),
        Some("folder") => {
            let path = table.required("path").and_then(|value| value.text());
            path.map(|path| ConnectionKind::Folder { path: PathBuf::from(path.value) })
        }
        Some(other) => {
            if let Some(kind) = &kind {
                let message = format!("`{other}` is not a kind of connection");
                table.sink().error("NF104", &kind.span, message, "one of `sftp`, `http`, `folder`");
            }
            None
        }
        None => None,
    };
    table.end();
    let connection = read.map(|kind| Connection { name: ConnectionName::new(name), kind });
    ReadConnection { connection, kind: kind.map(|kind| kind.value), secrets }
}

fn sftp(table: &Table<'_>, name: &str, secrets: &mut Vec<At<String>>) -> Option<SftpConnection> {
    let host = table.required("host").and_then(|value| value.text());
    let user = table.required("user").and_then(|value| value.text());
    let port =
        table.get("port").map_or(Some(22), |value| value.integer(1, 65_535).and_then(|port| u16::try_from(port).ok()));
    let mut secret = |key: &str| table.get(key).and_then(|value| secret_only(&value, secrets));
    let (password, key, key_passphrase) = (secret("password"), secret("key"), secret("key_passphrase"));
    let has_login = ["password", "key"].iter().any(|key| table.get(key).is_some());
    if !has_login && table.get("agent").is_none() {
        table.sink().error_help(
            "NF503",
            &table.span(),
            format!("`{name}` has neither `key` nor `password`"),
            "",
            "for example `key = { secret = \"partner-ssh-key\" }`",
        );
    }
    let host_keys = host_keys(table, name);
    let timeouts = timeouts(table);
    let sessions = table.get("sessions").map_or(Some(2), |value| value.integer(1, 16));
    let engine = if table.has("engine") {
        table.choice("engine", &[("ssh2", SftpEngine::Ssh2), ("russh", SftpEngine::Russh)])
    } else {
        Some(SftpEngine::default())
    };
    let keepalive = table.get("keepalive").map_or(Some(Duration::from_secs(30)), |value| duration(&value));
    let legacy_algorithms = legacy_algorithms(table, engine);
    Some(SftpConnection {
        engine: engine?,
        host: host?.value,
        port: port?,
        user: user?.value,
        password,
        key,
        key_passphrase,
        agent: agent(table),
        host_keys: host_keys?,
        sessions: sessions.and_then(|sessions| u32::try_from(sessions).ok())?,
        keepalive: keepalive?.max(Duration::from_secs(1)),
        legacy_algorithms,
        timeouts,
    })
}

/// Only russh still has them; libssh2 is built without SHA-1.
fn legacy_algorithms(table: &Table<'_>, engine: Option<SftpEngine>) -> bool {
    let asked = table.flag("legacy_algorithms");
    if let Some(value) = table.peek("legacy_algorithms").filter(|_| asked && engine == Some(SftpEngine::Ssh2)) {
        table.sink().error_help(
            "NF509",
            &value.span(),
            "`legacy_algorithms` needs the engine `russh`",
            "the default engine is built without SHA-1",
            "write `engine = \"russh\"` beside it",
        );
    }
    asked
}

fn agent(table: &Table<'_>) -> Option<Agent> {
    let value = table.get("agent")?;
    match value.node() {
        toml::de::DeValue::Boolean(_) => value.boolean().filter(|agent| *agent).map(|_| Agent::AnyKey),
        _ => value
            .text()
            .filter(|text| is_fingerprint(table.sink(), text, "a key of the agent"))
            .map(|text| Agent::Key(text.value)),
    }
}

fn is_fingerprint(sink: &Sink<'_>, text: &At<String>, what: &str) -> bool {
    let hash = text.value.strip_prefix("SHA256:").unwrap_or_default();
    let good = !hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/-=".contains(&byte));
    if !good {
        let message = format!("{what} is named by its SHA-256 fingerprint");
        sink.error_help("NF504", &text.span, message, "not `SHA256:…`", "`ssh-keygen -lf FILE` shows it");
    }
    good
}

fn host_keys(table: &Table<'_>, name: &str) -> Option<Vec<String>> {
    let Some(keys) = table.texts("host_key") else {
        table.sink().warn(
            "NF501",
            &table.span(),
            format!("no host key is pinned for `{name}`, so no run will log in"),
            format!("`nightferry connection trust {name}` shows the server's key and writes it after a yes"),
        );
        return Some(Vec::new());
    };
    let mut good = true;
    for key in &keys {
        let hash = key.value.strip_prefix("SHA256:").unwrap_or_default();
        if hash.is_empty() || !hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/-=".contains(&byte)) {
            table.sink().error_help(
                "NF504",
                &key.span,
                "a host key is pinned by its SHA-256 fingerprint",
                "not `SHA256:…`",
                format!("`nightferry connection trust {name}` writes it"),
            );
            good = false;
        }
    }
    good.then(|| keys.into_iter().map(|key| key.value).collect())
}

fn timeouts(table: &Table<'_>) -> SftpTimeouts {
    let mut timeouts = SftpTimeouts::default();
    let mut take = |value: Option<Value<'_>>, slot: fn(&mut SftpTimeouts) -> &mut Duration| {
        if let Some(read) = value.as_ref().and_then(duration) {
            *slot(&mut timeouts) = read;
        }
    };
    take(table.get("timeout"), |timeouts| &mut timeouts.operation);
    if let Some(inner) = table.table("timeouts") {
        take(inner.get("connect"), |timeouts| &mut timeouts.connect);
        take(inner.get("handshake"), |timeouts| &mut timeouts.handshake);
        take(inner.get("login"), |timeouts| &mut timeouts.login);
        take(inner.get("operation"), |timeouts| &mut timeouts.operation);
        inner.end();
    }
    timeouts
}

/// `{ secret = "NAME" }`. Anything else would be a secret in a file.
fn secret_only(value: &Value<'_>, secrets: &mut Vec<At<String>>) -> Option<SecretRef> {
    if !matches!(value.node(), toml::de::DeValue::Table(_)) {
        value.sink().error_help(
            SECRET_IN_FILE,
            &value.span(),
            "a secret is never written in a file",
            "",
            "write `{ secret = \"NAME\" }`, and put the value into $CREDENTIALS_DIRECTORY/NAME or $NIGHTFERRY_SECRET_NAME",
        );
        return None;
    }
    let table = value.table("secret")?;
    let name = table.required("secret").and_then(|value| value.text());
    table.end();
    let name = name?;
    let plain = !name.value.is_empty()
        && !name.value.starts_with('.')
        && name.value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !plain {
        value.sink().error("NF508", &name.span, "a secret's name has letters, digits, `-`, `_` and `.` only", "");
        return None;
    }
    secrets.push(name.clone());
    Some(SecretRef(name.value))
}
