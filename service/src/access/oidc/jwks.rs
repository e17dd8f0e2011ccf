//! The keys that an issuer publishes (RFC 7517), and which of them a token is verified with.
//!
//! Only keys for signatures are taken, and each is good only for the algorithms of its own kind: a key that is not of the
//! right type, on the right curve, or made for another algorithm does not verify a token, whatever the token says.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Keys of an issuer.
#[derive(Clone, Debug, Default)]
pub(super) struct KeySet(Vec<Key>);

#[derive(Clone, Debug)]
struct Key {
    id: Option<String>,
    kind: Kind,
    /// The only algorithm that it is for, if the issuer says so.
    algorithm: Option<KeyAlgorithm>,
    decoding: DecodingKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// A JWK set as it is sent. Its members are looked at one by one: one that can't be read does not spoil the others.
#[derive(Deserialize)]
pub(super) struct Published {
    keys: Vec<Value>,
}

impl From<Published> for KeySet {
    fn from(published: Published) -> Self {
        Self(published.keys.into_iter().filter_map(Key::read).collect())
    }
}

impl KeySet {
    /// The key for a token with this key id and algorithm. A token without a key id must leave no doubt which is meant
    /// (OpenID Connect Core 1.0, section 10.1).
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let fits = |key: &&Key| key.is_for(algorithm) && id.is_none_or(|id| key.id.as_deref() == Some(id));
        let mut keys = self.0.iter().filter(fits);
        let key = keys.next()?;
        keys.next().is_none().then_some(&key.decoding)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Key {
    fn read(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let is_for_signatures =
            jwk.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
        let operations = jwk.common.key_operations.as_ref();
        let verifies = operations.is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        if !is_for_signatures || !verifies {
            return None;
        }
        let kind = Kind::of(&jwk.algorithm)?;
        let decoding = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { id: jwk.common.key_id, kind, algorithm: jwk.common.key_algorithm, decoding })
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        self.kind.is_for(algorithm) && self.algorithm.is_none_or(|only| only == algorithm.into())
    }
}

impl Kind {
    fn of(parameters: &AlgorithmParameters) -> Option<Self> {
        match parameters {
            AlgorithmParameters::RSA(_) => Some(Self::Rsa),
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Some(Self::P256),
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => Some(Self::P384),
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Some(Self::Ed25519),
            // Above all no shared secrets.
            _ => None,
        }
    }

    fn is_for(self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa => algorithm.family() == AlgorithmFamily::Rsa,
            Self::P256 => algorithm == Algorithm::ES256,
            Self::P384 => algorithm == Algorithm::ES384,
            Self::Ed25519 => algorithm == Algorithm::EdDSA,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NUMBER: &str = "AQAB";

    fn set(keys: Value) -> KeySet {
        serde_json::from_value::<Published>(json!({ "keys": keys })).unwrap().into()
    }

    fn rsa(id: &str, more: Value) -> Value {
        let mut key = json!({"kty": "RSA", "kid": id, "n": NUMBER, "e": NUMBER});
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    }

    fn ec(id: &str, curve: &str) -> Value {
        json!({"kty": "EC", "kid": id, "crv": curve, "x": NUMBER, "y": NUMBER})
    }

    #[test]
    fn a_key_is_found_by_its_id() {
        let keys = set(json!([rsa("a", json!({})), rsa("b", json!({}))]));
        assert!(keys.find(Some("a"), Algorithm::RS256).is_some());
        assert!(keys.find(Some("b"), Algorithm::PS512).is_some());
        assert!(keys.find(Some("c"), Algorithm::RS256).is_none());
    }

    #[test]
    fn a_key_is_good_only_for_algorithms_of_its_type_and_curve() {
        let ed25519 = json!({"kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": NUMBER});
        let keys = set(json!([rsa("rsa", json!({})), ec("p256", "P-256"), ec("p384", "P-384"), ed25519]));
        let fits = |id: &str| {
            let all = ["RS256", "PS256", "ES256", "ES384", "EdDSA", "HS256"];
            let fit = |name: &&str| keys.find(Some(id), name.parse().unwrap()).is_some();
            all.into_iter().filter(fit).collect::<Vec<_>>()
        };
        assert_eq!(fits("rsa"), ["RS256", "PS256"]);
        assert_eq!(fits("p256"), ["ES256"]);
        assert_eq!(fits("p384"), ["ES384"]);
        assert_eq!(fits("ed"), ["EdDSA"]);
    }

    #[test]
    fn a_key_for_one_algorithm_is_not_used_for_others() {
        let keys = set(json!([rsa("a", json!({"alg": "RS256"})), rsa("b", json!({"alg": "RSA-OAEP"}))]));
        assert!(keys.find(Some("a"), Algorithm::RS256).is_some());
        assert!(keys.find(Some("a"), Algorithm::PS256).is_none());
        assert!(keys.find(Some("b"), Algorithm::RS256).is_none());
    }

    #[test]
    fn keys_for_other_purposes_and_keys_that_can_not_be_read_are_passed_over() {
        let keys = set(json!([
            rsa("encrypts", json!({"use": "enc"})),
            rsa("wraps", json!({"key_ops": ["wrapKey"]})),
            {"kty": "oct", "kid": "secret", "k": NUMBER},
            {"kty": "EC", "kid": "curve", "crv": "secp256k1", "x": NUMBER, "y": NUMBER},
            {"kty": "RSA", "kid": "incomplete"},
            "no key",
            rsa("good", json!({"use": "sig", "key_ops": ["verify"]})),
        ]));
        assert_eq!(keys.len(), 1, "{keys:?}");
        assert!(keys.find(Some("good"), Algorithm::RS256).is_some());
    }

    #[test]
    fn without_an_id_there_must_be_only_one_key_that_fits() {
        let keys = set(json!([rsa("rsa", json!({})), ec("p256", "P-256"), ec("other", "P-256")]));
        assert!(keys.find(None, Algorithm::RS256).is_some());
        assert!(keys.find(None, Algorithm::ES256).is_none());
    }
}
