//! Tokens of service accounts: good ones, and such as somebody would like to be good.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nodeward_server::access::AccessOptions;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use super::world;

/// The namespace of the service accounts.
pub const NAMESPACE: &str = "default";

/// The shortest life of a token.
const TEN_MINUTES: Duration = Duration::from_secs(600);

/// A token of a service account for nodeward.
pub async fn token(account: &str) -> String {
    token_for(account, &[AccessOptions::AUDIENCE]).await
}

/// A token of a service account for these audiences. Without any it is for the apiserver.
pub async fn token_for(account: &str, audiences: &[&str]) -> String {
    world().await.sandbox.service_account_token(NAMESPACE, account, audiences, TEN_MINUTES).await.unwrap()
}

/// The user name of a service account.
pub fn username(account: &str) -> String {
    format!("system:serviceaccount:{NAMESPACE}:{account}")
}

/// A JWT taken apart.
#[derive(Clone)]
pub struct Jwt {
    pub header: Value,
    pub claims: Value,
    pub signature: Vec<u8>,
}

impl Jwt {
    pub fn of(token: &str) -> Self {
        let parts: Vec<Vec<u8>> = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
        let [header, claims, signature] = parts.try_into().unwrap();
        let json = |bytes: Vec<u8>| serde_json::from_slice(&bytes).unwrap();
        Self { header: json(header), claims: json(claims), signature }
    }

    /// The token as it stands, whatever its signature is of.
    pub fn text(&self) -> String {
        format!("{}.{}", self.signed_part(), URL_SAFE_NO_PAD.encode(&self.signature))
    }

    /// The token with the signature of the control plane.
    pub async fn signed(mut self) -> String {
        let key = world().await.sandbox.dir().join("pki/service-account.key");
        let key = PrivatePkcs8KeyDer::from_pem_file(key).unwrap();
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_pkcs8_der(), &random).unwrap();
        self.signature = key.sign(&random, self.signed_part().as_bytes()).unwrap().as_ref().to_vec();
        self.text()
    }

    fn signed_part(&self) -> String {
        let encoded = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        format!("{}.{}", encoded(&self.header), encoded(&self.claims))
    }
}
