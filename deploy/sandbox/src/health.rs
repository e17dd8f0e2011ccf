//! Whether the nodeward server is ready, asked as anybody may: over TLS, by gRPC's health check.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use nodeward_sandbox::SandboxError;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// A way to ask the server.
#[derive(Debug)]
pub(crate) struct Health {
    client: HealthClient<Channel>,
}

impl Health {
    /// Of the server at this address, whose certificate this authority has signed.
    pub(crate) fn of(address: SocketAddr, ca: &Path) -> Result<Self, SandboxError> {
        let wrap = |action, source| SandboxError::Io { action, path: ca.to_path_buf(), source };
        let ca = std::fs::read(ca).map_err(|e| wrap("read", e))?;
        // It has this name wherever it listens.
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)).domain_name("localhost");
        let endpoint =
            Endpoint::from_shared(format!("https://{address}")).and_then(|endpoint| endpoint.tls_config(tls));
        let endpoint = endpoint.map_err(|e| wrap("trust", std::io::Error::other(e)))?;
        Ok(Self { client: HealthClient::new(endpoint.timeout(PATIENCE).connect_lazy()) })
    }

    /// Nothing if the server is ready, or else what it says.
    pub(crate) async fn check(&self) -> Result<(), String> {
        let answer = self.client.clone().check(HealthCheckRequest::default()).await;
        match answer.map(|response| response.into_inner().status()) {
            Ok(ServingStatus::Serving) => Ok(()),
            Ok(other) => Err(format!("it is {}", other.as_str_name())),
            Err(status) => Err(status.message().to_owned()),
        }
    }
}
