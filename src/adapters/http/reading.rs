//! Reads an answer within limits: 64 KiB of headers, 1 MiB of body as it comes and as it is unpacked.

use std::io::Read;

use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

/// The most that is read of an answer.
const LONGEST_BODY: usize = 1 << 20;

/// The most that the headers of an answer may hold.
const LONGEST_HEAD: usize = 64 << 10;

/// An answer as it arrived.
pub(super) struct Arrived {
    pub(super) status: u16,
    pub(super) head: HeaderMap,
    pub(super) body: Bytes,
    /// There was more than is kept.
    pub(super) truncated: bool,
}

/// Reads to the end, or to the limit; the connection is not used again after the limit. The error is for people.
pub(super) async fn read(mut response: reqwest::Response) -> Result<Arrived, String> {
    let status = response.status().as_u16();
    let head = std::mem::take(response.headers_mut());
    let length: usize = head.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if length > LONGEST_HEAD {
        return Err(format!("answered {status} with {} KiB of headers", length >> 10));
    }
    let mut packed = BytesMut::new();
    let mut truncated = false;
    while let Some(chunk) = response.chunk().await.map_err(|error| super::failure::reason(&error))? {
        let room = LONGEST_BODY - packed.len();
        packed.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            truncated = true;
            break;
        }
    }
    let body = if is_gzip(&head) {
        let (body, more) = unpack(&packed, truncated).map_err(|error| format!("answered {status}, but {error}"))?;
        truncated |= more;
        body
    } else {
        packed.freeze()
    };
    Ok(Arrived { status, head, body, truncated })
}

fn is_gzip(head: &HeaderMap) -> bool {
    let encoding = head.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    matches!(encoding.trim().to_ascii_lowercase().as_str(), "gzip" | "x-gzip")
}

/// Unpacks up to the limit; what is beyond is not even looked at.
fn unpack(packed: &[u8], is_cut: bool) -> Result<(Bytes, bool), String> {
    let mut body = Vec::new();
    let mut unpacked = MultiGzDecoder::new(packed).take(LONGEST_BODY as u64 + 1);
    match unpacked.read_to_end(&mut body) {
        // What was cut here breaks off here.
        Ok(_) => {}
        Err(_) if is_cut => {}
        Err(error) => return Err(format!("its gzip body is broken: {error}")),
    }
    let more = body.len() > LONGEST_BODY;
    body.truncate(LONGEST_BODY);
    Ok((Bytes::from(body), more))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn e24_a_bomb_is_cut_at_a_mebibyte_and_a_broken_one_is_told() {
        assert_eq!(unpack(&packed(b"{}"), false), Ok((Bytes::from_static(b"{}"), false)));
        let (body, more) = unpack(&packed(&vec![0; 64 << 20]), false).unwrap();
        assert_eq!((body.len(), more), (LONGEST_BODY, true));
        let whole = packed(b"{\"results\": []}");
        assert!(unpack(&whole[..whole.len() - 9], false).unwrap_err().starts_with("its gzip body is broken: "));
        assert!(unpack(b"no gzip at all", false).is_err());
    }
}
