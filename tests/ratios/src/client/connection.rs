//! One HTTP/2 connection.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use h2::RecvStream;
use h2::client::{Builder, SendRequest};
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

/// The name in the certificates of all servers here.
const HOST: &str = "localhost";

/// Where a server is, and what is shown to it.
#[derive(Clone)]
pub struct Endpoint {
    /// Its address.
    pub address: SocketAddr,
    /// Whom to trust, and the client's certificate if it has one.
    pub tls: Arc<ClientConfig>,
    /// A bearer token, if that is what the client shows.
    pub token: Option<HeaderValue>,
}

/// How much a server may send before it is read, in bytes.
#[derive(Clone, Copy)]
pub struct Windows {
    pub stream: u32,
    pub connection: u32,
}

impl Windows {
    /// So wide that a reader who reads holds nobody up.
    pub const WIDE: Self = Self { stream: 1 << 20, connection: 1 << 30 };

    /// So narrow that not one change fits into a stream's that nobody reads.
    pub const NARROW: Self = Self { stream: 1 << 10, connection: 1 << 30 };
}

/// A connection. It is closed when it is dropped, without a farewell to each of its streams.
pub struct Connection {
    send: SendRequest<Bytes>,
    token: Option<HeaderValue>,
    driver: AbortHandle,
}

impl Connection {
    /// Connects.
    pub async fn open(endpoint: &Endpoint, windows: Windows) -> Result<Self> {
        let Endpoint { address, tls, token } = endpoint;
        let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(HOST)?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?;
        let mut builder = Builder::new();
        builder.initial_window_size(windows.stream).initial_connection_window_size(windows.connection);
        let (send, connection) = builder.enable_push(false).handshake(stream).await?;
        // How it ends is told to each of its streams.
        let driver = tokio::spawn(async { drop(connection.await) }).abort_handle();
        Ok(Self { send, token: token.clone(), driver })
    }

    /// Sends a request and waits for the head of its answer. The body of the request is left open if more could follow.
    pub async fn send(&self, request: &Call) -> Result<Response<RecvStream>> {
        let mut send = self.send.clone().ready().await?;
        let mut head = request.head()?;
        if let Some(token) = &self.token {
            head.headers_mut().insert(AUTHORIZATION, token.clone());
        }
        let (response, mut body) = send.send_request(head, request.body.is_empty() && !request.stays_open)?;
        if !request.body.is_empty() {
            body.send_data(request.body.clone(), !request.stays_open)?;
        }
        let response = response.await?;
        // A stream whose sending half is dropped is reset, unless that half has ended.
        if request.stays_open {
            tokio::spawn(async move { std::future::poll_fn(|context| body.poll_reset(context)).await });
        }
        if !response.status().is_success() {
            let status = response.status();
            bail!("{} {}: {status}: {}", request.method, request.path, text(response.into_body()).await);
        }
        if let Some(code) = response.headers().get("grpc-status").filter(|code| *code != "0") {
            bail!("{}: gRPC status {code:?}: {:?}", request.path, response.headers().get("grpc-message"));
        }
        Ok(response)
    }

    /// Sends a request and reads the whole of its answer.
    pub async fn ask(&self, request: &Call) -> Result<Vec<u8>> {
        let mut body = self.send(request).await?.into_body();
        let mut answer = Vec::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk?;
            body.flow_control().release_capacity(chunk.len())?;
            answer.extend_from_slice(&chunk);
        }
        let trailers = body.trailers().await?.unwrap_or_default();
        if let Some(code) = trailers.get("grpc-status").filter(|code| *code != "0") {
            bail!("{}: gRPC status {code:?}: {:?}", request.path, trailers.get("grpc-message"));
        }
        Ok(answer)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// What an error says, as far as it comes in one piece.
async fn text(mut body: RecvStream) -> String {
    let chunk = body.data().await.and_then(Result::ok).unwrap_or_default();
    String::from_utf8_lossy(&chunk).into_owned()
}

/// A request.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: http::Method,
    pub path: String,
    pub headers: Vec<(&'static str, &'static str)>,
    pub body: Bytes,
    /// Whether the client could say more, as in a call with streams both ways.
    pub stays_open: bool,
}

impl Call {
    /// Reads this path.
    pub fn get(path: impl Into<String>, accept: &'static str) -> Self {
        let headers = vec![("accept", accept)];
        Self { method: http::Method::GET, path: path.into(), headers, body: Bytes::new(), stays_open: false }
    }

    /// Calls this gRPC method.
    pub fn grpc(path: impl Into<String>, message: &impl prost::Message) -> Self {
        Self::grpc_bytes(path, &message.encode_to_vec())
    }

    /// The same, with a message that is encoded already.
    pub fn grpc_bytes(path: impl Into<String>, message: &[u8]) -> Self {
        let length = (message.len() as u32).to_be_bytes();
        let body = [&[0], &length[..], message].concat().into();
        let headers = vec![("content-type", "application/grpc"), ("te", "trailers")];
        Self { method: http::Method::POST, path: path.into(), headers, body, stays_open: false }
    }

    fn head(&self) -> Result<Request<()>> {
        let uri = format!("https://{HOST}{}", self.path);
        let request = Request::builder().method(&self.method).uri(uri);
        let request = self.headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        Ok(request.body(())?)
    }
}
