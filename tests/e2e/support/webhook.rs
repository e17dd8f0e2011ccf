//! An admission webhook on loopback, behind TLS, that lets nothing happen.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A webhook. It stops when it is dropped.
pub struct Webhook {
    /// Where it is.
    pub url: String,
    /// The CA of its certificate, as Kubernetes wants it.
    pub ca_bundle: String,
    serving: JoinHandle<()>,
}

impl Webhook {
    /// One that denies whatever it is asked.
    pub async fn denying() -> Self {
        let identity = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let private = PrivateKeyDer::try_from(identity.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![identity.cert.der().clone()], private).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            url: format!("https://{}/deny", listener.local_addr().unwrap()),
            ca_bundle: STANDARD.encode(identity.cert.pem()),
            serving: tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config)))),
        }
    }

    /// One that is down.
    pub async fn silent() -> Self {
        let webhook = Self::denying().await;
        webhook.serving.abort();
        webhook
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    while let Ok((stream, _)) = listener.accept().await {
        // The apiserver hangs up as it likes.
        let _ = deny(&acceptor, stream).await;
    }
}

async fn deny(acceptor: &TlsAcceptor, stream: TcpStream) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut request = Vec::new();
    let review = loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        if let Some(review) = body(&request) {
            break review;
        }
    };
    let status = json!({ "message": "not today" });
    let response = json!({ "uid": review["request"]["uid"], "allowed": false, "status": status });
    let answer = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response });
    let answer = answer.to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        answer.len()
    );
    stream.write_all((head + &answer).as_bytes()).await?;
    stream.shutdown().await
}

/// The body of a request, once all of it is there.
fn body(request: &[u8]) -> Option<Value> {
    let end = request.windows(4).position(|window| window == b"\r\n\r\n")?;
    serde_json::from_slice(&request[end + 4..]).ok()
}
