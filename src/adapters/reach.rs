//! Whether an HTTP system answers at all; nothing that means anything is asked, and nothing of a login is sent.

use std::error::Error;
use std::time::Duration;

use reqwest::{Client, redirect};

/// The status that a `GET` of the address is answered with, or why there is none.
pub async fn status(address: &str, within: Duration) -> Result<u16, String> {
    let client = Client::builder().redirect(redirect::Policy::none()).no_proxy().timeout(within).build();
    let answer = match client {
        Ok(client) => client.get(address).send().await,
        Err(error) => Err(error),
    };
    answer.map(|answer| answer.status().as_u16()).map_err(|error| {
        if error.is_timeout() {
            return format!("no answer within {within:?}");
        }
        let mut cause: &dyn Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        cause.to_string()
    })
}
