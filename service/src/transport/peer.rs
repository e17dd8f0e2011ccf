//! Who is at the other end of a connection, as far as the connection itself says.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConnection;
use rustls::pki_types::CertificateDer;

/// The other end of a connection; an extension of each request.
#[derive(Clone, Debug)]
pub struct Peer {
    address: SocketAddr,
    certificates: Arc<[CertificateDer<'static>]>,
}

impl Peer {
    pub(super) fn new(address: SocketAddr, tls: Option<&ServerConnection>) -> Self {
        let certificates = tls.and_then(|tls| tls.peer_certificates()).unwrap_or_default();
        let certificates = certificates.iter().map(|certificate| certificate.clone().into_owned()).collect();
        Self { address, certificates }
    }

    /// The address that it connects from, which may be a proxy's.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate that it has shown, and those of the CAs between it and the root, as DER. They have been verified:
    /// it has the key, and one of the configured CAs has signed. Empty if it has shown none, or was not asked for one.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }
}
