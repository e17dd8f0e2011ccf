//! A running server: the wiring of its rooms, the accept loop, and the order in which it stops.

use std::net::SocketAddr;

use nodeward_api::FILE_DESCRIPTOR_SET;
use nodeward_api::google::longrunning::operations_server::{self, OperationsServer};
use nodeward_api::v1::audit_service_server::{self, AuditServiceServer};
use nodeward_api::v1::drain_service_server::{self, DrainServiceServer};
use nodeward_api::v1::node_service_server::{self, NodeServiceServer};
use nodeward_api::v1::operation_service_server::{self, OperationServiceServer};
use tokio::time::{Duration, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::HealthReporter;
use tower::ServiceBuilder;
use tower::util::MapResponseLayer;

use crate::access::own_rights;
use crate::access::{AccessLayer, LimitLayer};
use crate::admin::{Probes, Running};
use crate::args::ServeOptions;
use crate::audit::{AuditLayer, Auditor};
use crate::cluster::{Cluster, Connection, WritesAs};
use crate::operation::Executor;
use crate::rpc::{AuditRpc, ENCODINGS, NodeRpc, NodeServer, OperationRpc, WatchLimits, complete_status};
use crate::telemetry::{ObservedCache, RpcTraceLayer, observe_cache};
use crate::transport::{EndsWithConnection, LARGEST, LARGEST_WITH_NODE, Peer, Serving, Transport};

/// The names under which the health can be asked for: that of the server as a whole is empty.
const HEALTH_OF: [&str; 6] = [
    "",
    node_service_server::SERVICE_NAME,
    drain_service_server::SERVICE_NAME,
    audit_service_server::SERVICE_NAME,
    operation_service_server::SERVICE_NAME,
    operations_server::SERVICE_NAME,
];

/// How long a server waits for what it could be ready without.
const PATIENCE: Duration = Duration::from_secs(3);

/// A running server.
pub struct Server {
    address: SocketAddr,
    /// That it has read the cluster's state.
    started: CancellationToken,
    health: HealthReporter,
    /// What probes are told.
    probes: Probes,
    /// Measures how old the nodes in memory are.
    _age: ObservedCache,
    /// Changes in progress.
    tasks: TaskTracker,
    /// Ends the upstream watch.
    stop_cluster: CancellationToken,
    serving: Serving,
    background: TaskTracker,
    grace: Duration,
    auditor: Auditor,
}

impl Server {
    /// Starts a server. It listens at once, and is ready when it has read the cluster's state.
    pub async fn start(options: &ServeOptions, connection: Connection) -> anyhow::Result<Self> {
        let transport = Transport::bind(options.listen, &options.transport).await?;
        let address = transport.address();
        let cluster = Cluster::new(connection);
        let auditor = Auditor::open(&options.audit).await?;
        let access = options.access.access(address, cluster.reviews())?;
        let (health, health_service) = tonic_health::server::health_reporter();
        report(&health, ServingStatus::NotServing).await;
        let tasks = TaskTracker::new();
        let [stop, stop_cluster] = [(); 2].map(|()| CancellationToken::new());

        let limits = WatchLimits { max_age: options.watch_max_age };
        let rpc = NodeRpc::new(cluster.clone(), limits, tasks.clone(), stop.clone());
        let audit_rpc = AuditRpc::new(&auditor, limits, stop.clone());
        let service = ServiceBuilder::new()
            .layer(RpcTraceLayer::new().advertised(options.advertised(address)))
            .layer(MapResponseLayer::new(complete_status))
            .layer(AccessLayer::new(access, certificate))
            .layer(LimitLayer::new(&options.limits))
            // Within the limits: who calls too often must not be able to fill the log.
            .layer(AuditLayer::new(auditor.clone()))
            .service(routes(rpc, audit_rpc, health_service)?);
        let serving = transport.serve(service, stop, options.grace);

        let probes = Probes::default();
        let background = TaskTracker::new();
        let running = probes.runs("the watch of the cluster");
        background.spawn(follow(cluster.clone(), stop_cluster.clone(), running));
        let started = CancellationToken::new();
        let start_up = StartUp { cluster: cluster.clone(), no_auth: options.access.no_auth };
        let start_up = start_up.run(health.clone(), probes.clone(), started.clone());
        background.spawn(stop_cluster.clone().run_until_cancelled_owned(start_up));
        let settling = {
            let (auditor, cluster, in_flight) = (auditor.clone(), cluster.clone(), options.audit.audit_settle);
            async move { auditor.settle(cluster, in_flight).await }
        };
        background.spawn(stop_cluster.clone().run_until_cancelled_owned(settling));
        let upkeep = {
            let auditor = auditor.clone();
            async move { auditor.keep_up().await }
        };
        background.spawn(stop_cluster.clone().run_until_cancelled_owned(upkeep));
        if !options.operations.no_operations {
            let executor =
                Executor::new(cluster.clone(), auditor.clone(), own_name(address), options.operations.timing());
            background.spawn(executor.run(stop_cluster.clone()));
        }
        let store = cluster.store().clone();
        let age = observe_cache("nodes", move || store.age());
        let grace = options.grace;
        Ok(Self {
            address,
            started,
            health,
            probes,
            _age: age,
            tasks,
            stop_cluster,
            serving,
            background,
            grace,
            auditor,
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
        self.started.cancelled().await;
    }

    /// Waits until it can't go on serving, which happens only after a bug.
    pub async fn failed(&mut self) -> anyhow::Error {
        self.serving.failed().await
    }

    /// Stops: no longer ready, no new calls, the streams end with a last bookmark, calls in progress end, and changes
    /// whose caller has left too. What has not ended within the grace period is cut off, which is an error; a stream whose
    /// client does not listen is not waited for.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.probes.stopping();
        report(&self.health, ServingStatus::NotServing).await;
        // Cleared too: those who watch the health learn that there will be no more of it.
        for service in HEALTH_OF {
            self.health.clear_service_status(service).await;
        }
        self.tasks.close();
        let (cut_off, changes) = tokio::join!(self.serving.stop(), timeout(self.grace, self.tasks.wait()));
        self.stop_cluster.cancel();
        self.background.close();
        self.background.wait().await;
        self.auditor.close().await;
        if cut_off > 0 || changes.is_err() {
            anyhow::bail!("some calls did not end within {:?} and were cut off", self.grace)
        }
        Ok(())
    }
}

/// The certificate that a connection has shown, which the transport has verified.
fn certificate(request: &http::Extensions) -> Option<&[u8]> {
    request.get::<Peer>()?.certificates().first().map(|certificate| certificate.as_ref())
}

/// What this server is called, for people who look at the lease: host and port, which no two have at a time.
fn own_name(address: SocketAddr) -> String {
    format!("{}:{}", rustix::system::uname().nodename().to_string_lossy(), address.port())
}

fn routes(rpc: NodeRpc, audit: AuditRpc, health: HealthServer<impl Health>) -> anyhow::Result<Routes> {
    let drains = DrainServiceServer::new(rpc.clone()).max_decoding_message_size(LARGEST);
    let drains = ENCODINGS.into_iter().fold(drains, |drains, one| drains.accept_compressed(one).send_compressed(one));
    let operation_rpc = OperationRpc::new(rpc.clone());
    let operation = OperationServiceServer::new(operation_rpc.clone()).max_decoding_message_size(LARGEST);
    let operation = ENCODINGS.into_iter().fold(operation, |it, one| it.accept_compressed(one).send_compressed(one));
    let operations = OperationsServer::new(operation_rpc).max_decoding_message_size(LARGEST);
    let operations = ENCODINGS.into_iter().fold(operations, |it, one| it.accept_compressed(one).send_compressed(one));
    let nodes = NodeServiceServer::new(rpc.clone()).max_decoding_message_size(LARGEST_WITH_NODE);
    let nodes = ENCODINGS.into_iter().fold(nodes, |nodes, one| nodes.accept_compressed(one).send_compressed(one));
    let audit = AuditServiceServer::new(audit).max_decoding_message_size(LARGEST);
    let audit = ENCODINGS.into_iter().fold(audit, |audit, one| audit.accept_compressed(one).send_compressed(one));
    let health = health.max_decoding_message_size(LARGEST);
    let (v1, v1alpha) = (reflection().build_v1()?, reflection().build_v1alpha()?);
    Ok(Routes::new(NodeServer::new(rpc, nodes))
        .add_service(drains)
        .add_service(audit)
        .add_service(operation)
        .add_service(operations)
        .add_service(EndsWithConnection(health))
        .add_service(EndsWithConnection(v1.max_decoding_message_size(LARGEST)))
        .add_service(EndsWithConnection(v1alpha.max_decoding_message_size(LARGEST)))
        .prepare())
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

/// What a server does before it is ready.
struct StartUp {
    cluster: Cluster,
    no_auth: bool,
}

impl StartUp {
    async fn run(self, health: HealthReporter, probes: Probes, started: CancellationToken) {
        let checked = CancellationToken::new();
        let check = async {
            self.check_own_rights().await;
            checked.cancel();
        };
        let be_ready = async {
            // What is only good to know is not waited for at length.
            let known = async { tokio::join!(self.cluster.requests_known(), checked.cancelled()) };
            let _ = tokio::join!(self.cluster.store().ready(), timeout(PATIENCE, known));
            probes.ready();
            report(&health, ServingStatus::Serving).await;
            // Last, for those who wait for it.
            tracing::info!("ready");
            started.cancel();
        };
        tokio::join!(check, be_ready);
    }

    /// Says which rights the server lacks, once it is known in whose name it is to write.
    async fn check_own_rights(&self) {
        self.cluster.find_out_writes_as().await;
        let writes_as = if self.no_auth { WritesAs::Server } else { self.cluster.writes_as() };
        let needed = own_rights::needed(self.cluster.namespace(), writes_as);
        match own_rights::missing(self.cluster.reviews(), needed).await {
            Ok(missing) => missing.iter().for_each(|right| tracing::error!(%right, "the server lacks a right")),
            Err(error) => tracing::warn!(%error, "could not find out whether the server has the rights that it needs"),
        }
    }
}

async fn report(health: &HealthReporter, status: ServingStatus) {
    for service in HEALTH_OF {
        health.set_service_status(service, status).await;
    }
}
