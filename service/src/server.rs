//! A running server: the wiring of its rooms, the accept loop, and the order in which it stops.

use std::net::SocketAddr;

use anyhow::Context;
use futures::TryStreamExt;
use nodeward_api::FILE_DESCRIPTOR_SET;
use nodeward_api::v1::node_service_server::{NodeServiceServer, SERVICE_NAME};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Duration, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::codec::CompressionEncoding;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::accepted::Accepted;
use crate::admin::{Probes, Running};
use crate::args::ServeOptions;
use crate::cluster::{Cluster, Connection};
use crate::rpc::{NodeRpc, WatchLimits, complete_status};
use crate::telemetry::{ObservedCache, RpcTraceLayer, observe_cache};

/// A client that does not answer a ping for this long is gone.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// The names under which the health can be asked for: that of the server as a whole is empty.
const HEALTH_OF: [&str; 2] = ["", SERVICE_NAME];

/// A running server.
pub struct Server {
    address: SocketAddr,
    cluster: Cluster,
    health: HealthReporter,
    /// What probes are told.
    probes: Probes,
    /// Measures how old the nodes in memory are.
    _age: ObservedCache,
    /// Changes in progress.
    tasks: TaskTracker,
    /// Stops accepting.
    stop_serving: CancellationToken,
    /// Ends the streams.
    stop_streams: CancellationToken,
    /// Ends the upstream watch.
    stop_cluster: CancellationToken,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
    background: TaskTracker,
    grace: Duration,
}

impl Server {
    /// Starts a server. It listens at once, and is ready when it has read the cluster's state.
    pub async fn start(options: &ServeOptions, connection: Connection) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(options.listen)
            .await
            .with_context(|| format!("can't listen on {}; choose another address with --listen", options.listen))?;
        let address = listener.local_addr()?;
        let cluster = Cluster::new(connection);
        let (health, health_service) = tonic_health::server::health_reporter();
        report(&health, ServingStatus::NotServing).await;
        let tasks = TaskTracker::new();
        let [stop_serving, stop_streams, stop_cluster] = [(); 3].map(|()| CancellationToken::new());

        let limits = WatchLimits { max_age: options.watch_max_age };
        let rpc = NodeRpc::new(cluster.clone(), limits, tasks.clone(), stop_streams.clone());
        let router = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE.0))
            .http2_keepalive_timeout(Some(KEEPALIVE.1))
            .layer(RpcTraceLayer::new().advertised(address.ip().to_string(), address.port()))
            .layer(tower::util::MapResponseLayer::new(complete_status))
            .add_service(compressed(NodeServiceServer::new(rpc)))
            .add_service(health_service)
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?);
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(KEEPALIVE.0));
        let stop = stop_serving.clone();
        let incoming = incoming.map_ok(move |stream| Accepted::new(stream, stop.clone()));
        let serving =
            tokio::spawn(router.serve_with_incoming_shutdown(incoming, stop_serving.clone().cancelled_owned()));

        let probes = Probes::default();
        let background = TaskTracker::new();
        let running = probes.runs("the watch of the cluster");
        background.spawn(follow(cluster.clone(), stop_cluster.clone(), running));
        background.spawn(report_ready(cluster.clone(), health.clone(), probes.clone(), stop_cluster.clone()));
        let store = cluster.store().clone();
        let age = observe_cache("nodes", move || store.age());
        let grace = options.grace;
        Ok(Self {
            address,
            cluster,
            health,
            probes,
            _age: age,
            tasks,
            stop_serving,
            stop_streams,
            stop_cluster,
            serving,
            background,
            grace,
        })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What probes are told of it, also after it has stopped.
    pub fn probes(&self) -> Probes {
        self.probes.clone()
    }

    /// Waits until it has read the cluster's state.
    pub async fn ready(&self) {
        self.cluster.store().ready().await;
    }

    /// Waits until it can't go on serving, which happens only if accepting connections fails.
    pub async fn failed(&mut self) -> anyhow::Error {
        match (&mut self.serving).await {
            Ok(Ok(())) => anyhow::anyhow!("the server has stopped accepting connections"),
            Ok(Err(error)) => error.into(),
            Err(error) => error.into(),
        }
    }

    /// Stops: no longer ready, no new calls, the streams end with a last bookmark, calls in progress end, and changes
    /// whose caller has left too. What has not ended within the grace period is cut off, which is an error.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.probes.stopping();
        report(&self.health, ServingStatus::NotServing).await;
        // Cleared too: a client that watches the health would otherwise keep the server open.
        for service in HEALTH_OF {
            self.health.clear_service_status(service).await;
        }
        self.stop_serving.cancel();
        self.stop_streams.cancel();
        self.tasks.close();
        let ended = timeout(self.grace, async {
            let serving = (&mut self.serving).await;
            self.tasks.wait().await;
            serving
        })
        .await;
        self.stop_cluster.cancel();
        self.background.close();
        self.background.wait().await;
        match ended {
            Ok(serving) => Ok(serving??),
            Err(_) => {
                self.serving.abort();
                anyhow::bail!("some calls did not end within {:?} and were cut off", self.grace)
            }
        }
    }
}

fn compressed(service: NodeServiceServer<NodeRpc>) -> NodeServiceServer<NodeRpc> {
    [CompressionEncoding::Gzip, CompressionEncoding::Zstd]
        .into_iter()
        .fold(service, |service, encoding| service.accept_compressed(encoding).send_compressed(encoding))
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // So that tools can show the details of errors.
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}

async fn follow(cluster: Cluster, stop: CancellationToken, _running: Running) {
    cluster.run(stop).await;
}

async fn report_ready(cluster: Cluster, health: HealthReporter, probes: Probes, stop: CancellationToken) {
    if stop.run_until_cancelled(cluster.store().ready()).await.is_some() {
        tracing::info!("ready");
        probes.ready();
        report(&health, ServingStatus::Serving).await;
    }
}

async fn report(health: &HealthReporter, status: ServingStatus) {
    for service in HEALTH_OF {
        health.set_service_status(service, status).await;
    }
}
