//! Servers that let nobody in whom they do not know.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use nodeward_sandbox::{CertificateFiles, ClientCertificate, Sandbox, User};
use nodeward_server::access::{AccessOptions, LimitOptions};
use nodeward_server::args::ServeOptions;
use nodeward_server::audit::AuditOptions;
use nodeward_server::cluster::ClusterOptions;
use nodeward_server::server::Server;
use nodeward_server::transport::{TlsOptions, TransportOptions};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::somebody::Somebody;
use super::world::{on_shared_runtime, start_server_of};
use super::{eventually, unique, world};

/// How long an answer of Kubernetes is used.
pub const GOOD_FOR: Duration = Duration::from_secs(10);

/// What asking again may take besides, on a machine that has other things to do.
pub const ASKING: Duration = Duration::from_secs(5);

/// Which workloads are which service accounts.
const SPIFFE_RULE: &str = "spiffe://example.org/ns/{ns}/sa/{name}=system:serviceaccount:{ns}:{name}";

static GUARDED: OnceCell<Guarded> = OnceCell::const_new();

/// A server that knows its callers.
pub struct Guarded {
    pub server: Server,
    sandbox: &'static Sandbox,
}

/// The shared one. It has the rights of deploy/rbac and no others, and nobody calls it too often.
pub async fn guarded() -> &'static Guarded {
    let start = async || Guarded::start(rbac_only().await, options().await).await;
    GUARDED.get_or_init(start).await
}

/// The cluster for the server's service account.
pub async fn rbac_only() -> ClusterOptions {
    let kubeconfig = Some(world().await.sandbox.server_kubeconfig());
    ClusterOptions { kubeconfig, ..ClusterOptions::default() }
}

/// The options of a server that takes certificates, and tokens for nodeward, and keeps records.
pub async fn options() -> ServeOptions {
    options_in(&world().await.sandbox)
}

/// The same in front of this sandbox.
pub fn options_in(sandbox: &Sandbox) -> ServeOptions {
    let CertificateFiles { certificate, key } = sandbox.server_certificate();
    let tls = TlsOptions { cert: Some(certificate), key: Some(key), client_ca: Some(sandbox.client_ca()) };
    let records = sandbox.dir().join(unique("audit")).join("log");
    ServeOptions {
        audit: AuditOptions { audit_dir: Some(records), ..AuditOptions::default() },
        transport: TransportOptions { tls, ..TransportOptions::default() },
        access: AccessOptions { spiffe_users: vec![SPIFFE_RULE.parse().unwrap()], ..AccessOptions::default() },
        limits: LimitOptions { read_rate: 0, watch_rate: 0, mutation_rate: 0, ..LimitOptions::default() },
        ..ServeOptions::default()
    }
}

impl Guarded {
    /// A server of its own, which outlives the test.
    pub async fn start(cluster: ClusterOptions, options: ServeOptions) -> Self {
        Self::start_in(&world().await.sandbox, cluster, options).await
    }

    /// The same in front of this sandbox.
    pub async fn start_in(sandbox: &'static Sandbox, cluster: ClusterOptions, options: ServeOptions) -> Self {
        let server = on_shared_runtime(move || async move {
            let server = start_server_of(&cluster, options).await;
            server.ready().await;
            server
        })
        .await;
        Self { server, sandbox }
    }

    /// Somebody who shows this certificate. Whether the server takes it they learn from the first answer.
    pub async fn with_certificate(&self, certificate: &CertificateFiles) -> Somebody {
        Somebody::connect(self.server.address(), &self.sandbox.server_ca(), Some(certificate)).await
    }

    /// Somebody with a certificate that is made for them.
    pub async fn with(&self, certificate: ClientCertificate) -> Somebody {
        self.with_certificate(&self.sandbox.issue(&certificate).unwrap()).await
    }

    /// One of the sandbox's users.
    pub async fn user(&self, user: User) -> Somebody {
        self.with_certificate(&self.sandbox.user_certificate(user)).await
    }

    /// Somebody who shows nothing.
    pub async fn nobody(&self) -> Somebody {
        Somebody::connect(self.server.address(), &self.sandbox.server_ca(), None).await
    }

    /// Somebody who shows nothing and comes from this address.
    pub async fn nobody_from(&self, from: IpAddr) -> Somebody {
        Somebody::connect_from(Some(from), self.server.address(), &self.sandbox.server_ca(), None).await
    }

    /// Somebody who shows this token, and no certificate.
    pub async fn with_token(&self, token: &str) -> Somebody {
        self.nobody().await.saying("authorization", &format!("Bearer {token}"))
    }

    /// A TLS connection of somebody who shows this certificate, on which nothing has been said yet.
    pub async fn tls(&self, files: &CertificateFiles) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.sandbox.server_ca()).unwrap()).unwrap();
        let certificate = CertificateDer::from_pem_file(&files.certificate).unwrap();
        let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots);
        let mut config = config.with_client_auth_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(self.server.address()).await?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
    }

    /// A new node, which this server knows.
    pub async fn node(&self, purpose: &str) -> String {
        let name = world().await.node(purpose).await;
        let admin = self.user(User::Admin).await;
        eventually("the server knows the node", async || admin.ask("GetNode", &name).await.ok()).await;
        name
    }
}
