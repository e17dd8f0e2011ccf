//! TLS with a CA of one's own, and a certificate of the client.

use std::net::SocketAddr;
use std::path::PathBuf;

use nodeward_client::api::node_service_server::NodeServiceServer;
use nodeward_client::{Client, Code, ConnectOptions, Error, ReadOptions, RetryPolicy};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

use crate::fake::{Fake, node};
use crate::watchdog::watch;

/// A CA, and a server that has a certificate of it for `nodeward.test` and asks its clients for one.
struct Site {
    directory: TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
    address: SocketAddr,
}

impl Site {
    async fn start() -> Self {
        watch();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let (certificate, key) = signed(&ca, "nodeward.test");
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(certificate, key))
            .client_ca_root(Certificate::from_pem(ca.pem()))
            .client_auth_optional(false);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = NodeServiceServer::new(Fake::with([node("a", "1")]));
        let server = Server::builder().tls_config(tls).unwrap().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { directory: TempDir::new().unwrap(), ca, address }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Options that the server accepts.
    fn options(&self) -> ConnectOptions {
        let (certificate, key) = signed(&self.ca, "client");
        self.anonymous()
            .client_certificate(self.file("client.pem", &certificate), self.file("client.key", &key))
            .server_name("nodeward.test")
    }

    fn anonymous(&self) -> ConnectOptions {
        ConnectOptions::new(format!("https://{}", self.address))
            .ca_file(self.file("ca.pem", &self.ca.pem()))
            .retry(RetryPolicy { max_attempts: 1, ..RetryPolicy::default() })
    }
}

fn signed(ca: &CertifiedIssuer<'static, KeyPair>, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, ca).unwrap();
    (certificate.pem(), key.serialize_pem())
}

async fn ask(options: ConnectOptions) -> Result<String, Error> {
    let client = Client::connect(options).await?;
    Ok(client.get_node("a", ReadOptions::default()).await?.name)
}

#[tokio::test]
async fn both_sides_show_certificates_of_the_ca() {
    let site = Site::start().await;
    assert_eq!(ask(site.options()).await.unwrap(), "nodes/a");
}

#[tokio::test]
async fn a_server_of_another_name_is_not_trusted() {
    let site = Site::start().await;
    let error = ask(site.options().server_name("another.test")).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.message().contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_server_of_another_ca_is_not_trusted() {
    let (site, other) = (Site::start().await, Site::start().await);
    let ca = other.file("other.pem", &other.ca.pem());
    let error = ask(site.options().ca_file(ca)).await.unwrap_err();
    assert!(error.message().contains("invalid peer certificate"), "{error}");
}

#[tokio::test]
async fn a_client_without_a_certificate_is_turned_away() {
    let site = Site::start().await;
    assert!(ask(site.anonymous().server_name("nodeward.test")).await.is_err());
}
