//! Host keys: which are pinned, and what is said of one that is not.

use super::{HostKey, place, unreachable};
use crate::domain::job::SftpConnection;
use crate::domain::name::ConnectionName;
use crate::ports::RemoteError;

/// Host key algorithms by what a pin may belong to: a server has one key of each, and shows the first that is asked for.
pub(super) const KINDS: [&str; 3] =
    ["ssh-ed25519", "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521", "rsa-sha2-512,rsa-sha2-256"];

/// Why nobody logs in at a server with this key.
pub(super) fn not_trusted(connection: &SftpConnection, name: &ConnectionName, shown: &HostKey) -> RemoteError {
    let (place, HostKey { kind, fingerprint }) = (place(connection), shown);
    let message = if connection.host_keys.is_empty() {
        format!(
            "{place}: no host key is pinned for `{name}`; the server shows {fingerprint} ({kind}); \
             nothing of the login was sent"
        )
    } else {
        format!(
            "{place}: the host key of `{name}` is not the pinned one: the server shows {fingerprint} ({kind}), pinned is {}; \
             nothing of the login was sent",
            connection.host_keys.join(", ")
        )
    };
    let hint =
        format!("compare the fingerprint with what the partner tells you, then `nightferry connection trust {name}`");
    RemoteError::HostKey { changed: !connection.host_keys.is_empty(), message, hint }
}

/// Why no session is begun with a server whose messages could be cut out unseen (CVE-2023-48795).
pub(super) fn terrapin(connection: &SftpConnection) -> RemoteError {
    unreachable(
        &place(connection),
        "the key exchange",
        &"the server would use chacha20-poly1305 without a strict key exchange (Terrapin)",
        "ask the partner to update the server; until then `engine = \"russh\"` with `legacy_algorithms = true` accepts the risk",
    )
}

/// `SHA256:` and base 64 without padding, as OpenSSH prints it.
pub(super) fn fingerprint(hash: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("SHA256:");
    for chunk in hash.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_look_as_openssh_prints_them() {
        // SHA-256 of the empty text.
        let hash = [
            0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae,
            0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
        ];
        assert_eq!(fingerprint(&hash), "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU");
    }
}
