//! What is offered to a server: an allow-list, the fastest first; the algorithms of another decade only when told so.

use std::borrow::Cow;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, cipher, kex, mac};

const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_128_CTR,
    cipher::AES_192_CTR,
    cipher::AES_256_CTR,
];

const LEGACY_CIPHERS: &[cipher::Name] = &[cipher::AES_128_CBC, cipher::AES_192_CBC, cipher::AES_256_CBC];

const EXCHANGES: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G18_SHA512,
    kex::DH_G16_SHA512,
    kex::DH_G14_SHA256,
];

const LEGACY_EXCHANGES: &[kex::Name] = &[kex::DH_GEX_SHA1, kex::DH_G14_SHA1, kex::DH_G1_SHA1];

/// Not algorithms, but how both sides say what else they can; strict key exchange is the answer to Terrapin.
const EXTENSIONS: &[kex::Name] = &[kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT];

const MACS: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512];

const LEGACY_MACS: &[mac::Name] = &[mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];

fn host_keys(legacy: bool) -> Vec<Algorithm> {
    let mut keys = vec![Algorithm::Ed25519];
    keys.extend(
        [EcdsaCurve::NistP256, EcdsaCurve::NistP384, EcdsaCurve::NistP521].map(|curve| Algorithm::Ecdsa { curve }),
    );
    keys.extend([HashAlg::Sha512, HashAlg::Sha256].map(|hash| Algorithm::Rsa { hash: Some(hash) }));
    if legacy {
        keys.push(Algorithm::Rsa { hash: None });
    }
    keys
}

/// The lists; `kinds`: only host keys of these names, with commas between.
pub(super) fn preferred(legacy: bool, kinds: Option<&str>) -> Preferred {
    let all = |modern: &[_], older: &[_]| [modern, if legacy { older } else { &[] }].concat();
    let mut key = host_keys(legacy);
    if let Some(kinds) = kinds {
        key.retain(|key| {
            kinds.split(',').any(|kind| kind == key.to_string())
                || (legacy && key.clone().is_rsa() && kinds.contains("rsa"))
        });
    }
    Preferred {
        kex: Cow::Owned([EXCHANGES, if legacy { LEGACY_EXCHANGES } else { &[] }, EXTENSIONS].concat()),
        key: Cow::Owned(key),
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Owned(all(CIPHERS, LEGACY_CIPHERS)),
        mac: Cow::Owned([MACS, if legacy { LEGACY_MACS } else { &[] }].concat()),
        compression: Cow::Borrowed(&[russh::compression::NONE]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_another_decade_is_offered_unless_asked_for() {
        let names = |legacy| {
            let preferred = preferred(legacy, None);
            let mut names: Vec<String> = preferred.cipher.iter().map(|name| name.as_ref().to_owned()).collect();
            names.extend(preferred.kex.iter().map(|name| name.as_ref().to_owned()));
            names.extend(preferred.mac.iter().map(|name| name.as_ref().to_owned()));
            names.extend(preferred.key.iter().map(ToString::to_string));
            names
        };
        let old = |name: &&String| name.contains("sha1") || name.contains("cbc") || *name == "ssh-rsa";
        assert_eq!(names(false).iter().find(old), None);
        assert_eq!(names(true).iter().filter(old).count(), 9);
        let rsa = preferred(false, Some(crate::adapters::sftp::trust::KINDS[2]));
        assert_eq!(rsa.key.iter().map(ToString::to_string).collect::<Vec<_>>(), ["rsa-sha2-512", "rsa-sha2-256"]);
    }
}
