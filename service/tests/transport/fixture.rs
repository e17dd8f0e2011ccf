//! A transport whose calls are answered by the test, and clients of it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, Response};
use nodeward_server::transport::{Limits, Serving, Transport, TransportOptions};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tower::{Service, ServiceExt, service_fn};

use crate::tls::Site;
use crate::watchdog::watch;

/// How long anything may take here.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The silence after which a connection that is to end is closed.
pub const SILENCE: Duration = Duration::from_millis(500);

/// A transport that is serving.
pub struct Fixture {
    pub address: SocketAddr,
    pub serving: Serving,
}

/// Options with short times, for plain text.
pub fn plain() -> TransportOptions {
    let limits = Limits { silence: SILENCE, ..Limits::default() };
    TransportOptions { plaintext: true, limits, ..TransportOptions::default() }
}

/// The same for TLS.
pub fn tls(site: &Site) -> TransportOptions {
    TransportOptions { tls: site.options(), plaintext: false, ..plain() }
}

impl Fixture {
    /// Answers each call so, and has so much time for calls when it is to stop.
    pub async fn start<A, F>(options: &TransportOptions, grace: Duration, answer: A) -> Self
    where
        A: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let service = service_fn(move |request| {
            let answer = answer(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        Self::serve(options, grace, service).await
    }

    /// Calls go to this service.
    pub async fn serve<S, B>(options: &TransportOptions, grace: Duration, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = bytes::Bytes, Error: Into<tonic::codegen::StdError>> + Send + 'static,
    {
        watch();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let transport = Transport::bind(SocketAddr::from(([127, 0, 0, 1], 0)), options).await.unwrap();
        let address = transport.address();
        Self { address, serving: transport.serve(service, CancellationToken::new(), grace) }
    }

    /// A client that speaks plain text.
    pub async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }
}

/// Calls what there is.
pub async fn call(channel: &Channel) -> Result<Response<Body>, tonic::transport::Error> {
    send(channel, Request::post("http://nodeward.test/test.Service/Call").body(Body::empty()).unwrap()).await
}

/// Sends a request.
pub async fn send(channel: &Channel, request: Request<Body>) -> Result<Response<Body>, tonic::transport::Error> {
    channel.clone().ready().await?.call(request).await
}
