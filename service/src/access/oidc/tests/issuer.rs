//! An issuer in this process, on loopback.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::keys::SigningKey;

const DISCOVERY: &str = "/.well-known/openid-configuration";
const KEYS: &str = "/keys";

/// An issuer. It stops when it is dropped.
pub struct TestIssuer {
    pub url: String,
    pages: Arc<Mutex<Pages>>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Pages {
    pages: BTreeMap<String, Page>,
    asked: Vec<String>,
}

/// What the issuer does when it is asked.
#[derive(Clone)]
pub enum Page {
    Json(Value),
    Text(String),
    Status(StatusCode),
    /// An error that comes with this.
    Failing(Value),
    RedirectTo(String),
    /// No answer at all.
    Silence,
}

trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

impl TestIssuer {
    /// An issuer with these keys.
    pub async fn start(keys: &[(&str, &SigningKey)]) -> Self {
        Self::serve(keys, None).await
    }

    /// An issuer behind TLS.
    pub async fn start_tls(keys: &[(&str, &SigningKey)], tls: TlsAcceptor) -> Self {
        Self::serve(keys, Some(tls)).await
    }

    async fn serve(keys: &[(&str, &SigningKey)], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let pages = Arc::new(Mutex::new(Pages::default()));
        let serving = tokio::spawn(accept(listener, tls, pages.clone()));
        let issuer = Self { url, pages, serving };
        issuer.describe(json!({"issuer": issuer.url, "jwks_uri": format!("{}{KEYS}", issuer.url)}));
        issuer.publish(keys);
        issuer
    }

    /// From now on these are its keys.
    pub fn publish(&self, keys: &[(&str, &SigningKey)]) {
        let keys: Vec<Value> = keys.iter().map(|(id, key)| key.jwk(id)).collect();
        self.answer_keys(Page::Json(json!({ "keys": keys })));
    }

    /// From now on it says this of itself.
    pub fn describe(&self, description: Value) {
        self.answer_discovery(Page::Json(description));
    }

    pub fn answer_discovery(&self, page: Page) {
        self.answer(DISCOVERY, page);
    }

    pub fn answer_keys(&self, page: Page) {
        self.answer(KEYS, page);
    }

    pub fn answer(&self, path: &str, page: Page) {
        self.pages.lock().unwrap().pages.insert(path.to_owned(), page);
    }

    /// How often it was asked for its keys.
    pub fn times_asked(&self) -> usize {
        self.times_asked_for(KEYS)
    }

    pub fn times_asked_for(&self, path: &str) -> usize {
        self.pages.lock().unwrap().asked.iter().filter(|asked| *asked == path).count()
    }
}

impl Drop for TestIssuer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, pages: Arc<Mutex<Pages>>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, pages) = (tls.clone(), pages.clone());
        connections.spawn(async move {
            let Some(stream) = connected(stream, tls).await else { return };
            let serve = service_fn(|request| answer(request, pages.clone()));
            // Clients hang up as they like.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), serve).await;
        });
    }
}

async fn connected(stream: TcpStream, tls: Option<TlsAcceptor>) -> Option<Box<dyn Connection>> {
    match tls {
        Some(tls) => Some(Box::new(tls.accept(stream).await.ok()?)),
        None => Some(Box::new(stream)),
    }
}

async fn answer(request: Request<Incoming>, pages: Arc<Mutex<Pages>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let page = {
        let mut pages = pages.lock().unwrap();
        pages.asked.push(path.clone());
        pages.pages.get(&path).cloned().unwrap_or(Page::Status(StatusCode::NOT_FOUND))
    };
    let text = |status: StatusCode, text: String| Response::builder().status(status).body(Full::from(text)).unwrap();
    Ok(match page {
        Page::Json(value) => text(StatusCode::OK, value.to_string()),
        Page::Text(body) => text(StatusCode::OK, body),
        Page::Failing(value) => text(StatusCode::INTERNAL_SERVER_ERROR, value.to_string()),
        Page::Status(status) => text(status, String::new()),
        Page::RedirectTo(location) => {
            Response::builder().status(302).header("location", location).body(Full::default()).unwrap()
        }
        Page::Silence => std::future::pending().await,
    })
}
