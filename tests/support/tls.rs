//! Certificates made for a test, and clients that use them.
//!
//! Include it with `#[path = "…/tests/support/tls.rs"] mod tls;`. It needs `nodeward-server`, `rcgen`, `rustls`, `tempfile`,
//! `tokio-rustls` and `tonic`.

// Each test binary has its own copy and uses a part of it.
#![allow(dead_code)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use nodeward_server::transport::TlsOptions;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// The name of all servers.
pub const NAME: &str = "nodeward.test";

/// A certificate and its key, as PEM.
pub type Pair = (String, String);

/// A CA, and the files of a server with a certificate of it.
pub struct Site {
    directory: TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Site {
    /// A CA, and a server with a certificate of it.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let site = Self { directory: TempDir::new().unwrap(), ca };
        site.write(&site.signed(NAME));
        std::fs::write(site.path("ca.pem"), site.ca.pem()).unwrap();
        site
    }

    /// A certificate of the CA.
    pub fn signed(&self, name: &str) -> Pair {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.ca).unwrap().pem(), key.serialize_pem())
    }

    /// Replaces the server's certificate and key, one after the other.
    pub fn write(&self, (cert, key): &Pair) {
        std::fs::write(self.path("server.pem"), cert).unwrap();
        std::fs::write(self.path("server.key"), key).unwrap();
    }

    /// Has the server take certificates of another CA from its clients.
    pub fn write_client_ca(&self, other: &Site) {
        std::fs::write(self.path("ca.pem"), other.ca.pem()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The server's options. It takes certificates of the CA from clients.
    pub fn options(&self) -> TlsOptions {
        let [cert, key, client_ca] = ["server.pem", "server.key", "ca.pem"].map(|name| Some(self.path(name)));
        TlsOptions { cert, key, client_ca }
    }

    /// The same as flags.
    pub fn flags(&self) -> Vec<String> {
        let files = [("tls-cert", "server.pem"), ("tls-key", "server.key"), ("tls-client-ca", "ca.pem")];
        files.iter().map(|(flag, name)| format!("--{flag}={}", self.path(name).display())).collect()
    }

    /// A client that trusts the CA, and shows a certificate if it has one.
    pub async fn channel(
        &self,
        address: SocketAddr,
        identity: Option<&Pair>,
    ) -> Result<Channel, tonic::transport::Error> {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.ca.pem())).domain_name(NAME);
        let tls = match identity {
            Some((cert, key)) => tls.identity(Identity::from_pem(cert, key)),
            None => tls,
        };
        Endpoint::from_shared(format!("https://{address}")).unwrap().tls_config(tls).unwrap().connect().await
    }

    /// A TLS connection of one of these versions for these protocols, on which nothing has been said yet.
    pub async fn connect(
        &self,
        address: SocketAddr,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(NAME).unwrap(), stream).await
    }
}

/// The certificate as it goes over the wire.
pub fn der((cert, _): &Pair) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()
}
