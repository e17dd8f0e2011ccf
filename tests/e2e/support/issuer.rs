//! An OpenID Connect issuer on loopback, behind TLS, and its tokens.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Whom its tokens are for.
pub const AUDIENCE: &str = "nodeward";

/// A key by its id.
pub struct Key {
    id: String,
    pair: EcdsaKeyPair,
}

impl Key {
    /// A new one for ES256.
    pub fn new(id: &str) -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self { id: id.to_owned(), pair: EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap() }
    }

    fn jwk(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        let [x, y] = [x, y].map(|number| URL_SAFE_NO_PAD.encode(number));
        json!({ "kty": "EC", "use": "sig", "kid": self.id, "crv": "P-256", "x": x, "y": y })
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let message = unsigned(&json!({ "typ": "JWT", "alg": "ES256", "kid": self.id }), claims);
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A token up to its signature.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    format!("{header}.{claims}")
}

/// An issuer. It stops when it is dropped.
pub struct Issuer {
    pub url: String,
    keys: Arc<Mutex<Value>>,
    serving: JoinHandle<()>,
    dir: TempDir,
}

impl Issuer {
    /// An issuer with this key.
    pub async fn start(key: &Key) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let identity = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(dir.path().join("ca.pem"), identity.cert.pem()).unwrap();
        let private = PrivateKeyDer::try_from(identity.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![identity.cert.der().clone()], private).unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let keys = Arc::<Mutex<Value>>::default();
        let description = json!({ "issuer": url, "jwks_uri": format!("{url}/keys") });
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let serving = tokio::spawn(serve(listener, acceptor, description, keys.clone()));
        let issuer = Self { url, keys, serving, dir };
        issuer.publish(key);
        issuer
    }

    /// From now on this is its only key.
    pub fn publish(&self, key: &Key) {
        *self.keys.lock().unwrap() = json!({ "keys": [key.jwk()] });
    }

    /// The CA of its certificate.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// The claims of a good token of this user.
    pub fn claims(&self, user: &str) -> Value {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        json!({ "iss": self.url, "sub": user, "aud": AUDIENCE, "iat": now, "exp": now + 300 })
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, description: Value, keys: Arc<Mutex<Value>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let page = |path: &str| match path {
            "/keys" => keys.lock().unwrap().to_string(),
            _ => description.to_string(),
        };
        // Clients hang up as they like.
        let _ = answer(&acceptor, stream, page).await;
    }
}

async fn answer(acceptor: &TlsAcceptor, stream: TcpStream, page: impl Fn(&str) -> String) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let request = String::from_utf8_lossy(&request);
    let page = page(request.split(' ').nth(1).unwrap_or_default());
    let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", page.len());
    stream.write_all((head + &page).as_bytes()).await?;
    stream.shutdown().await
}
