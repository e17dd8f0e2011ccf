//! The shared sandbox, server and collector.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use nodeward_api::v1::node_service_client::NodeServiceClient;
use nodeward_sandbox::{Sandbox, SandboxOptions};
use nodeward_server::args::ServeOptions;
use nodeward_server::audit::AuditOptions;
use nodeward_server::cluster::{ClusterOptions, Connection};
use nodeward_server::server::Server;
use nodeward_server::telemetry::{Telemetry, TelemetryOptions};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tracing_subscriber::util::SubscriberInitExt;

use super::Collector;
use super::watchdog::watch;

pub type Client = NodeServiceClient<Channel>;

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(60);

/// Each test has a runtime of its own, which ends with it; what they share lives here.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_multi_thread().enable_all().build().unwrap());
static WORLD: OnceCell<World> = OnceCell::const_new();

/// Runs what outlives the test that asks for it.
pub(super) async fn on_shared_runtime<T: Send + 'static, F: Future<Output = T>>(
    work: impl FnOnce() -> F + Send + 'static,
) -> T {
    RUNTIME.spawn_blocking(|| RUNTIME.block_on(work())).await.unwrap()
}

/// A control plane with a server in front of it.
pub struct World {
    pub sandbox: Sandbox,
    pub server: Server,
    pub collector: Collector,
}

/// The shared one.
pub async fn world() -> &'static World {
    let world = WORLD.get_or_init(|| on_shared_runtime(World::start)).await;
    // Not before: the first control plane of a machine is built.
    watch();
    world
}

impl World {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let collector = Collector::start().await;
        let telemetry = TelemetryOptions {
            otlp_endpoint: Some(collector.endpoint().to_owned()),
            trace_export_delay_ms: 50,
            log_filter: std::env::var("RUST_LOG").unwrap_or_else(|_| "warn,kube_client=off".to_owned()),
            ..TelemetryOptions::default()
        };
        let (telemetry, subscriber) = Telemetry::build(&telemetry).unwrap();
        subscriber.init();
        std::mem::forget(telemetry); // Exports until the process ends.

        let sandbox = Sandbox::start(SandboxOptions { nodes: 3, ..SandboxOptions::default() }).await.unwrap();
        let records = sandbox.dir().join("records").join("log");
        let audit = AuditOptions { audit_dir: Some(records), ..AuditOptions::default() };
        let options = ServeOptions { audit, ..ServeOptions::default() };
        let cluster = ClusterOptions { kubeconfig: Some(sandbox.kubeconfig_path().to_owned()), ..Default::default() };
        let server = start_operating_server(&cluster, asking_nobody(options)).await;
        server.ready().await;
        Self { sandbox, server, collector }
    }

    /// A client of the shared server.
    pub async fn client(&self) -> Client {
        connect(self.server.address()).await
    }

    /// One more server in front of the same cluster.
    pub async fn another_server(&'static self, options: ServeOptions) -> Server {
        on_shared_runtime(move || async {
            let server = start_server(self.sandbox.kubeconfig_path(), options).await;
            server.ready().await;
            server
        })
        .await
    }

    /// The nodes as Kubernetes has them, for an administrator.
    pub async fn kubernetes(&self) -> Api<Node> {
        Api::all(self.sandbox.client().await.unwrap())
    }

    /// A new node with a fake kubelet, which is ready, free of taints and at rest. Its name begins with `purpose`.
    pub async fn node(&self, purpose: &str) -> String {
        let name = unique(purpose);
        self.sandbox.create_nodes(std::slice::from_ref(&name)).await.unwrap();
        let nodes = self.kubernetes().await;
        eventually("the node is at rest", async || {
            let taints = nodes.get(&name).await.ok()?.spec?.taints.unwrap_or_default();
            taints.is_empty().then_some(())
        })
        .await;
        let mut client = self.client().await;
        eventually("the server knows the node", async || {
            let request = nodeward_api::v1::GetNodeRequest { name: format!("nodes/{name}"), ..Default::default() };
            let node = client.get_node(request).await.ok()?.into_inner();
            node.spec.unwrap_or_default().taints.is_empty().then_some(())
        })
        .await;
        name
    }
}

/// A server with this kubeconfig, which has yet to read the cluster's state. It asks nobody who they are. Without a
/// certificate it serves plain text.
pub async fn start_server(kubeconfig: &Path, options: ServeOptions) -> Server {
    start_guarded_server(kubeconfig, asking_nobody(options)).await
}

fn asking_nobody(mut options: ServeOptions) -> ServeOptions {
    options.access.no_auth = true;
    options.audit.no_audit = options.audit.audit_dir.is_none();
    options
}

/// The same, but it lets nobody in whom it does not know.
pub async fn start_guarded_server(kubeconfig: &Path, options: ServeOptions) -> Server {
    let cluster = ClusterOptions { kubeconfig: Some(kubeconfig.to_owned()), ..Default::default() };
    start_server_of(&cluster, options).await
}

/// A server of this cluster that does all as its options say, but for where it listens, and but for operations: of all
/// servers of a cluster one carries them out, and it must not be one that a test harms without telling.
pub async fn start_server_of(cluster: &ClusterOptions, mut options: ServeOptions) -> Server {
    options.operations.no_operations = true;
    start_operating_server(cluster, options).await
}

/// The same, and it carries operations out if no other does.
pub async fn start_operating_server(cluster: &ClusterOptions, mut options: ServeOptions) -> Server {
    options.transport.plaintext = options.transport.tls.cert.is_none();
    let connection = Connection::open(cluster).await.unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Server::start(&ServeOptions { listen, ..options }, connection).await.unwrap()
}

/// A client of the server at this address.
pub async fn connect(address: SocketAddr) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    NodeServiceClient::new(endpoint.connect().await.unwrap())
}

/// A name that no other test uses.
pub fn unique(purpose: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("{purpose}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Waits until there is a value, but not for ever.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = look().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
