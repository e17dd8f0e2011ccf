//! Tokens, good and bad.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::keys::SigningKey;

/// A token that is being made.
#[derive(Clone)]
pub struct TestToken {
    header: Value,
    claims: Value,
}

impl TestToken {
    /// A good token for `alice`, of a key by this id that is for P-256.
    pub fn new(issuer: &str, key_id: &str) -> Self {
        let now = Timestamp::now().as_second();
        let claims = json!({"iss": issuer, "sub": "alice", "aud": "nodeward", "iat": now, "exp": now + 300});
        Self { header: json!({"typ": "JWT", "alg": "ES256", "kid": key_id}), claims }
    }

    /// With this in its header. Null leaves it out.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.header, name, value.into());
        self
    }

    /// With this claim. Null leaves it out.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.claims, name, value.into());
        self
    }

    /// With a claim that is so many seconds from now.
    pub fn time(self, name: &str, seconds: i64) -> Self {
        self.claim(name, Timestamp::now().as_second() + seconds)
    }

    pub fn signed(&self, key: &SigningKey) -> String {
        let algorithm = self.header["alg"].as_str().unwrap().parse().unwrap();
        self.with_signature(|message| key.sign(algorithm, message))
    }

    pub fn with_signature(&self, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&self.header), part(&self.claims));
        let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

fn set(object: &mut Value, name: &str, value: Value) {
    let object = object.as_object_mut().unwrap();
    match value {
        Value::Null => object.remove(name),
        value => object.insert(name.to_owned(), value),
    };
}
