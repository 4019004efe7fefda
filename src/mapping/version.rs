//! The mapping version: the same rules give the same keys.

use std::fmt::Write as _;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::request::kept::to_text;
use super::spec::MappingSpec;
use crate::domain::job::BatchRule;
use crate::domain::name::Sha256Hex;

/// SHA-256 of the canonical JSON of the rules and of how records become requests. Comments, tests, titles, notes and
/// `[rejects]` are not in it.
pub fn version(spec: &MappingSpec, batch: &BatchRule) -> Sha256Hex {
    #[derive(Serialize)]
    struct Batch<'a> {
        records: u32,
        bytes: u64,
        wrap: Option<&'a str>,
        // What is not written is not in the version, so that a job that knows nothing of it keeps its keys.
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<String>,
    }
    #[derive(Serialize)]
    struct Versioned<'a> {
        mapping: &'a MappingSpec,
        batch: Batch<'a>,
    }
    let BatchRule { records, bytes, wrap, request } = batch;
    let batch = Batch { records: *records, bytes: *bytes, wrap: wrap.as_deref(), request: to_text(request) };
    match serde_json::to_vec(&Versioned { mapping: spec, batch }) {
        Ok(json) => hex(&Sha256::digest(json)),
        // Only maps with keys that are no texts cannot be written, and there are none.
        Err(error) => unreachable!("a mapping is always JSON: {error}"),
    }
}

/// A digest in lower-case hexadecimal digits.
pub(super) fn hex(digest: &[u8]) -> Sha256Hex {
    let mut text = String::with_capacity(2 * digest.len());
    for byte in digest {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Sha256Hex::new(text)
}
