//! The signed assertion of RFC 7523.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use openssl::ecdsa::EcdsaSig;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, PKey, Private};
use openssl::sign::Signer;
use secrecy::ExposeSecret;
use serde_json::json;
use uuid::Uuid;

use super::{SetUpError, Vault};
use crate::domain::job::{JwtAlgorithm, JwtRule};

/// Signs assertions.
pub(super) struct Assertion {
    key: PKey<Private>,
    algorithm: JwtAlgorithm,
    key_id: Option<String>,
    issuer: String,
    subject: String,
    audience: String,
    lifetime: Duration,
}

impl Assertion {
    pub(super) fn new(rule: &JwtRule, vault: &Vault<'_>) -> Result<Self, SetUpError> {
        let wrong = |reason: &str| SetUpError::Value { what: "`key` of `auth`".to_owned(), reason: reason.to_owned() };
        let text = vault.open(&rule.key)?;
        let key = PKey::private_key_from_pem_callback(text.expose_secret().as_bytes(), |_| Ok(0))
            .map_err(|_| wrong("it is no private key in PEM, or it is locked by a passphrase"))?;
        let (fitting, kind) = match rule.algorithm {
            JwtAlgorithm::Rs256 | JwtAlgorithm::Rs512 => (key.id() == Id::RSA, "RSA key"),
            JwtAlgorithm::Es256 => (key.id() == Id::EC && key.bits() == 256, "key of the curve P-256"),
        };
        if !fitting {
            return Err(wrong(&format!("{} needs an {kind}", rule.algorithm.word())));
        }
        Ok(Self {
            key,
            algorithm: rule.algorithm,
            key_id: rule.key_id.clone(),
            issuer: rule.issuer.clone(),
            subject: rule.subject.clone(),
            audience: rule.audience.clone(),
            lifetime: rule.lifetime,
        })
    }

    /// An assertion that is good from `now` on, for its lifetime.
    pub(super) fn sign(&self, now: DateTime<Utc>) -> Result<String, ErrorStack> {
        let mut header = json!({ "alg": self.algorithm.word(), "typ": "JWT" });
        if let Some(key_id) = &self.key_id {
            header["kid"] = json!(key_id);
        }
        let issued = now.timestamp();
        let claims = json!({
            "iss": self.issuer,
            "sub": self.subject,
            "aud": self.audience,
            "iat": issued,
            "exp": issued + self.lifetime.as_secs() as i64,
            "jti": Uuid::new_v4().to_string(),
        });
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let signature = self.signature(signed.as_bytes())?;
        Ok(format!("{signed}.{}", encode(&signature)))
    }

    fn signature(&self, signed: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        let digest = match self.algorithm {
            JwtAlgorithm::Rs256 | JwtAlgorithm::Es256 => MessageDigest::sha256(),
            JwtAlgorithm::Rs512 => MessageDigest::sha512(),
        };
        let signature = Signer::new(digest, &self.key)?.sign_oneshot_to_vec(signed)?;
        if self.algorithm != JwtAlgorithm::Es256 {
            return Ok(signature);
        }
        // RFC 7518, 3.4: the two numbers side by side, 32 bytes each, and not in DER.
        let pair = EcdsaSig::from_der(&signature)?;
        Ok([pair.r().to_vec_padded(32)?, pair.s().to_vec_padded(32)?].concat())
    }
}

#[cfg(test)]
mod tests {
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;
    use openssl::rsa::Rsa;
    use openssl::sign::Verifier;

    use super::*;

    fn assertion(key: PKey<Private>, algorithm: JwtAlgorithm) -> Assertion {
        let text = |text: &str| text.to_owned();
        Assertion {
            key,
            algorithm,
            key_id: Some(text("k1")),
            issuer: text("client-1"),
            subject: text("batch@example.com"),
            audience: text("https://login.example.com"),
            lifetime: Duration::from_secs(300),
        }
    }

    fn decoded(part: &str) -> Vec<u8> {
        BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()
    }

    #[test]
    fn an_assertion_says_who_for_whom_and_how_long_and_its_signature_holds() {
        let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let ec = PKey::from_ec_key(EcKey::generate(&curve).unwrap()).unwrap();
        let now: DateTime<Utc> = "2026-11-24T02:15:00Z".parse().unwrap();
        for (key, algorithm, word) in [(rsa, JwtAlgorithm::Rs256, "RS256"), (ec, JwtAlgorithm::Es256, "ES256")] {
            let token = assertion(key.clone(), algorithm).sign(now).unwrap();
            let parts: Vec<&str> = token.split('.').collect();
            let header: serde_json::Value = serde_json::from_slice(&decoded(parts[0])).unwrap();
            assert_eq!(header, json!({ "alg": word, "typ": "JWT", "kid": "k1" }));
            let mut claims: serde_json::Value = serde_json::from_slice(&decoded(parts[1])).unwrap();
            assert!(claims.as_object_mut().unwrap().remove("jti").is_some());
            let expected = json!({
                "iss": "client-1", "sub": "batch@example.com", "aud": "https://login.example.com",
                "iat": 1_795_486_500, "exp": 1_795_486_800,
            });
            assert_eq!(claims, expected);
            let mut signature = decoded(parts[2]);
            if algorithm == JwtAlgorithm::Es256 {
                let number = |bytes: &[u8]| openssl::bn::BigNum::from_slice(bytes).unwrap();
                let (r, s) = (number(&signature[..32]), number(&signature[32..]));
                signature = EcdsaSig::from_private_components(r, s).unwrap().to_der().unwrap();
            }
            let mut verifier = Verifier::new(MessageDigest::sha256(), &key).unwrap();
            let signed = format!("{}.{}", parts[0], parts[1]);
            assert!(verifier.verify_oneshot(&signature, signed.as_bytes()).unwrap(), "{word}");
        }
    }
}
