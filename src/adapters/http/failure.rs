//! Why a request failed, in words that name the step: the name, the connection, TLS, or the answer.

use std::error::Error;

use super::address::NameError;

/// What the system said, without the layers that repeat the address; never the address itself, which may hold a key.
pub(super) fn reason(error: &reqwest::Error) -> String {
    let chain = || chain(error);
    if let Some(name) = chain().find_map(|inner| inner.downcast_ref::<NameError>()) {
        return name.to_string();
    }
    if let Some(tls) = chain().find_map(|inner| inner.downcast_ref::<native_tls::Error>()) {
        return format!("TLS failed: {}", tls_words(&tls.to_string()));
    }
    let cause = chain().last().map_or_else(|| "the request failed".to_owned(), ToString::to_string);
    if error.is_connect() {
        let cause = if error.is_timeout() { "no answer in time".to_owned() } else { cause };
        return format!("cannot connect: {cause}");
    }
    cause
}

/// What is behind an error, the outermost first.
fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let inner = next?;
        next = inner.source();
        Some(inner)
    })
}

/// `… certificate verify failed … (certificate has expired)`: the words of OpenSSL that are for people.
fn tls_words(text: &str) -> String {
    let in_brackets = text.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    if let (Some(reason), true) = (in_brackets, text.contains("certificate verify failed")) {
        return format!("the certificate is not trusted: {reason}");
    }
    // `error:0A000102:SSL routines:ssl_choose_client_version:unsupported protocol:ssl/statem/…`
    let mut parts = text.split(':');
    match (parts.next(), parts.nth(3)) {
        (Some("error"), Some(reason)) => reason.to_owned(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_openssl_that_are_for_people_are_kept() {
        let verify = "error:0A000086:SSL routines:tls_post_process_server_certificate:certificate verify failed:ssl/statem/statem_clnt.c:2123:: (certificate has expired)";
        assert_eq!(tls_words(verify), "the certificate is not trusted: certificate has expired");
        let old =
            "error:0A000102:SSL routines:ssl_choose_client_version:unsupported protocol:ssl/statem/statem_lib.c:1987:";
        assert_eq!(tls_words(old), "unsupported protocol");
        assert_eq!(tls_words("something else"), "something else");
    }
}
