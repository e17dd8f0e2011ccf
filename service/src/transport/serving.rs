//! From listening to the end of the last connection.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::codegen::StdError;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt as _};

use super::accept::Accept;
use super::calls::Services;
use super::handshake::Handshakes;
use super::limits::Limits;
use super::metrics::Metrics;
use super::options::{Protection, TransportOptions};
use super::reload::{Current, Reload};

/// A port that is listened on, and what its connections are served with.
pub struct Transport {
    listener: TcpListener,
    address: SocketAddr,
    reload: Option<Reload>,
    options: TransportOptions,
    metrics: Metrics,
}

/// What all connections have in common.
pub(super) struct Shared {
    pub services: Services,
    pub tls: Option<Current>,
    pub handshakes: Handshakes,
    pub limits: Limits,
    pub max_age: Duration,
    /// Ends all connections.
    pub stop: CancellationToken,
    /// How long calls may still take then.
    pub grace: Duration,
    pub metrics: Metrics,
    cut_off: Arc<AtomicUsize>,
}

impl Shared {
    /// So many calls had not ended when the server had to.
    pub fn count_cut_off(&self, calls: usize) {
        if self.stop.is_cancelled() {
            self.cut_off.fetch_add(calls, Ordering::Relaxed);
        }
    }
}

impl Transport {
    /// Listens, unless the options forbid it or the certificates are bad.
    pub async fn bind(listen: SocketAddr, options: &TransportOptions) -> anyhow::Result<Self> {
        let metrics = Metrics::new();
        let reload = match options.protection(listen)? {
            Protection::Plaintext => None,
            Protection::Tls(files) => Some(Reload::start(files, metrics.clone()).await?),
        };
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("can't listen on {listen}; choose another address with --listen"))?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, reload, options: options.clone(), metrics })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves connections until `stop`, and the calls that are then in progress for as long as `grace`.
    pub fn serve<S, B>(self, services: S, stop: CancellationToken, grace: Duration) -> Serving
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes, Error: Into<StdError>> + Send + 'static,
    {
        let tls = self.reload.as_ref().map(Reload::current);
        let (connections, cut_off) = (TaskTracker::new(), Arc::new(AtomicUsize::new(0)));
        let limits = self.options.limits;
        if let Some(reload) = self.reload {
            connections.spawn(reload.run(limits.certificate_check, stop.clone()));
        }
        let max_age = self.options.connection_max_age;
        let shared = Shared {
            services: BoxCloneSyncService::new(services.map_response(|answer| answer.map(Body::new))),
            tls,
            handshakes: Handshakes::new(),
            limits,
            max_age,
            stop: stop.clone(),
            grace,
            metrics: self.metrics,
            cut_off: cut_off.clone(),
        };
        let TransportOptions { max_connections, max_connections_of_one, .. } = self.options;
        let accept = Accept::new(max_connections, max_connections_of_one, connections.clone(), shared);
        Serving { accepting: tokio::spawn(accept.run(self.listener)), connections, stop, cut_off }
    }
}

/// Connections that are being served.
pub struct Serving {
    accepting: JoinHandle<()>,
    /// They, and what keeps their certificates current.
    connections: TaskTracker,
    stop: CancellationToken,
    cut_off: Arc<AtomicUsize>,
}

impl Serving {
    /// Waits until no more connections are accepted, which happens by itself only after a bug.
    pub async fn failed(&mut self) -> anyhow::Error {
        match (&mut self.accepting).await {
            Ok(()) => anyhow::anyhow!("the server has stopped accepting connections"),
            Err(error) => error.into(),
        }
    }

    /// Accepts no more connections and waits until there are none: how many calls had to be cut off.
    pub async fn stop(self) -> usize {
        self.stop.cancel();
        // It may have panicked, which does not matter any more.
        let _ = self.accepting.await;
        self.connections.close();
        self.connections.wait().await;
        self.cut_off.load(Ordering::Relaxed)
    }
}
