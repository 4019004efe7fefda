//! The client of a connection: whom it trusts, how it gets there, and how long it waits.

use std::path::Path;
use std::time::Duration;

use openssl::pkey::PKey;
use reqwest::{Certificate, Client, Identity, NoProxy, Proxy, redirect, retry, tls};
use secrecy::ExposeSecret;

use super::address::{Resolver, is_metadata, literal};
use super::{SetUpError, Vault};
use crate::domain::job::{CertificateSource, ClientCertificate, HttpConnection, SecretText};

/// The longest wait for a connection, the name and TLS included.
const CONNECT: Duration = Duration::from_secs(10);

/// The longest wait for the name alone.
const RESOLVE: Duration = Duration::from_secs(5);

/// How long a connection that nobody uses is kept: shorter than the patience of servers and of the boxes on the way.
const IDLE: Duration = Duration::from_secs(30);

pub(super) fn build(connection: &HttpConnection, vault: &Vault<'_>) -> Result<Client, SetUpError> {
    // Less than the whole, so that what never connected is not taken for an unknown outcome.
    let connect = CONNECT.min(connection.timeout * 4 / 5);
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        // Every attempt must be one that the ledger knows of.
        .retry(retry::never())
        .http1_only()
        .referer(false)
        .no_proxy()
        .tcp_nodelay(true)
        .tcp_keepalive(IDLE)
        .connect_timeout(connect)
        .timeout(connection.timeout)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(connection.rate.concurrency as usize)
        .tls_version_min(tls::Version::TLS_1_2)
        .dns_resolver(Resolver { deadline: RESOLVE.min(connect) });
    if let Some(path) = &connection.tls.ca {
        builder = builder.tls_certs_only(authorities(path)?);
    }
    if let Some(client) = &connection.tls.client {
        builder = builder.identity(identity(client, vault)?);
    }
    if let Some(rule) = &connection.proxy {
        builder = builder.proxy(proxy(rule, vault)?);
    }
    builder.build().map_err(|error| wrong("the connection", &error))
}

/// An address of the configuration: any host is meant, except the metadata service of a cloud.
pub(super) fn check_address(what: &str, url: &reqwest::Url) -> Result<(), SetUpError> {
    match literal(url) {
        Some(address) if is_metadata(address) => {
            Err(wrong(what, &format!("{address} is the metadata service of a cloud, which is never called")))
        }
        _ => Ok(()),
    }
}

fn wrong(what: &str, reason: &dyn std::fmt::Display) -> SetUpError {
    SetUpError::Value { what: what.to_owned(), reason: reason.to_string() }
}

fn read(what: &str, path: &Path) -> Result<Vec<u8>, SetUpError> {
    std::fs::read(path).map_err(|error| wrong(what, &format!("{}: {error}", path.display())))
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, SetUpError> {
    let found = Certificate::from_pem_bundle(&read("`ca`", path)?).map_err(|_| Vec::<Certificate>::new());
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(wrong("`ca`", &format!("{} holds no certificate in PEM", path.display()))),
    }
}

fn identity(client: &ClientCertificate, vault: &Vault<'_>) -> Result<Identity, SetUpError> {
    let certificate = match &client.certificate {
        CertificateSource::File(path) => read("`client_certificate`", path)?,
        CertificateSource::Secret(name) => vault.open(name)?.expose_secret().as_bytes().to_vec(),
    };
    let key = vault.open(&client.key)?;
    // The library takes PKCS#8 alone; people have any of the three.
    let key = PKey::private_key_from_pem_callback(key.expose_secret().as_bytes(), |_| Ok(0))
        .and_then(|key| key.private_key_to_pem_pkcs8())
        .map_err(|_| wrong("`client_key`", &"it is no private key in PEM, or it is locked by a passphrase"))?;
    Identity::from_pkcs8_pem(&certificate, &key)
        .map_err(|_| wrong("`client_certificate`", &"it holds no certificate in PEM"))
}

fn proxy(rule: &SecretText, vault: &Vault<'_>) -> Result<Proxy, SetUpError> {
    let address = vault.text(rule)?;
    // The reason never quotes the address: it may hold a password.
    let proxy = Proxy::all(address.expose_secret()).map_err(|_| wrong("`proxy`", &"it is not an address"))?;
    Ok(proxy.no_proxy(NoProxy::from_string("")))
}
