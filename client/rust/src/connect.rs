//! How to reach the server: its endpoint, who it must be, and who we are.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri};

use crate::credentials::Credentials;
use crate::error::Error;
use crate::retry::RetryPolicy;

/// How a [`Client`](crate::Client) reaches the server.
///
/// ```
/// use nodeward_client::ConnectOptions;
///
/// let options = ConnectOptions::new("https://nodeward.example.com:7443")
///     .ca_file("/etc/nodeward/ca.pem")
///     .bearer_token_file("/var/run/secrets/nodeward/token");
/// ```
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    endpoint: String,
    plaintext: bool,
    ca_file: Option<PathBuf>,
    client_certificate: Option<(PathBuf, PathBuf)>,
    server_name: Option<String>,
    user_agent: Option<String>,
    connect_timeout: Duration,
    keepalive: Option<(Duration, Duration)>,
    pub(crate) credentials: Credentials,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry: RetryPolicy,
}

impl ConnectOptions {
    /// The options for a server at `https://host:port`, or at `http://host:port` if it is on this machine (see
    /// [`plaintext`](Self::plaintext)), with the trust anchors of the operating system and a timeout of 30 seconds.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            plaintext: false,
            ca_file: None,
            client_certificate: None,
            server_name: None,
            user_agent: None,
            connect_timeout: Duration::from_secs(10),
            keepalive: Some((Duration::from_secs(30), Duration::from_secs(10))),
            credentials: Credentials::None,
            timeout: Some(Duration::from_secs(30)),
            retry: RetryPolicy::default(),
        }
    }

    /// Allows `http://` to another machine: requests, answers and the bearer token can then be read and changed on the way.
    pub fn plaintext(mut self, allowed: bool) -> Self {
        self.plaintext = allowed;
        self
    }

    /// Trusts the certificates of this PEM file, and no others, to sign the server's.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Presents the certificate (with its chain) of one PEM file with the key of another.
    pub fn client_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.client_certificate = Some((certificate.into(), key.into()));
        self
    }

    /// Expects the server's certificate to be for this name instead of the endpoint's host.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Sends this bearer token with each request.
    pub fn bearer_token(mut self, token: impl Into<String>) -> Self {
        self.credentials = Credentials::token(token.into());
        self
    }

    /// Sends the bearer token of this file with each request. The file is read for each: a rotated token needs no restart.
    pub fn bearer_token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.credentials = Credentials::File(path.into());
        self
    }

    /// How long a request may take, retries included. The server is told, and gives up by then too. None: as long as it
    /// takes. Watches have no deadline.
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long it may take to open a connection.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// While requests or watches are open: how often to check that the server is there, and how long to wait for its
    /// answer before the connection counts as lost. None: never.
    pub fn keepalive(mut self, keepalive: Option<(Duration, Duration)>) -> Self {
        self.keepalive = keepalive;
        self
    }

    /// How the client introduces itself, before `nodeward-client/<version>`.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = Some(user_agent.into());
        self
    }

    /// When requests are sent again.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// A channel that connects when it is first used, and again whenever the connection is lost.
    pub(crate) async fn channel(&self) -> Result<Channel, Error> {
        let uri: Uri = self.endpoint.parse().map_err(|_| self.bad_endpoint("is not a URL"))?;
        let host = uri.host().ok_or_else(|| self.bad_endpoint("names no host"))?.to_owned();
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if self.plaintext || is_loopback(&host) => false,
            Some("http") => {
                return Err(self
                    .bad_endpoint("is not encrypted")
                    .with_hint("use https://, or allow plaintext explicitly"));
            }
            _ => return Err(self.bad_endpoint("has no scheme").with_hint("begin it with https:// or http://")),
        };
        let mut endpoint = Endpoint::from(uri).connect_timeout(self.connect_timeout).tcp_nodelay(true);
        endpoint = endpoint
            .user_agent(self.full_user_agent())
            .map_err(|error| Error::invalid("the user agent is not a valid header").with_source(error))?;
        if let Some((interval, timeout)) = self.keepalive {
            endpoint = endpoint.http2_keep_alive_interval(interval).keep_alive_timeout(timeout);
        }
        if secure {
            let tls = self.tls().await?;
            endpoint = endpoint.tls_config(tls).map_err(|error| {
                let message = format!("TLS can't be set up: {}", causes(&error));
                Error::invalid(message).with_source(error)
            })?;
        } else if self.ca_file.is_some() || self.client_certificate.is_some() {
            return Err(self
                .bad_endpoint("is not encrypted, so that certificates have no use")
                .with_hint("use https://"));
        }
        Ok(endpoint.connect_lazy())
    }

    async fn tls(&self) -> Result<ClientTlsConfig, Error> {
        let mut tls = ClientTlsConfig::new();
        tls = match &self.ca_file {
            Some(path) => tls.ca_certificate(Certificate::from_pem(pem(path, "CERTIFICATE").await?)),
            None => tls.with_native_roots(),
        };
        if let Some((certificate, key)) = &self.client_certificate {
            tls = tls
                .identity(Identity::from_pem(pem(certificate, "CERTIFICATE").await?, pem(key, "PRIVATE KEY").await?));
        }
        if let Some(name) = &self.server_name {
            tls = tls.domain_name(name);
        }
        Ok(tls)
    }

    fn full_user_agent(&self) -> String {
        const OWN: &str = concat!("nodeward-client/", env!("CARGO_PKG_VERSION"));
        match &self.user_agent {
            Some(name) => format!("{name} {OWN}"),
            None => OWN.to_owned(),
        }
    }

    fn bad_endpoint(&self, what: impl fmt::Display) -> Error {
        Error::invalid(format!("the endpoint {:?} {what}", self.endpoint))
    }
}

/// A PEM file that holds at least one block of a kind: rustls would ignore one that holds none, and fail much later.
async fn pem(path: &PathBuf, kind: &str) -> Result<Vec<u8>, Error> {
    let bytes = tokio::fs::read(path)
        .await
        .map_err(|error| Error::invalid(format!("can't read {}: {error}", path.display())).with_source(error))?;
    // A key's block is `PRIVATE KEY`, `RSA PRIVATE KEY` or `EC PRIVATE KEY`.
    let is_wanted = |line: &str| line.starts_with("-----BEGIN ") && line.trim_end().ends_with(&format!("{kind}-----"));
    if String::from_utf8_lossy(&bytes).lines().any(is_wanted) {
        Ok(bytes)
    } else {
        Err(Error::invalid(format!("{} holds no {} in PEM", path.display(), kind.to_lowercase())))
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refusal(options: ConnectOptions) -> String {
        options.channel().await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn plain_endpoints_on_this_machine_are_accepted() {
        for endpoint in ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "http://127.8.9.1"] {
            assert!(ConnectOptions::new(endpoint).channel().await.is_ok(), "{endpoint}");
        }
    }

    #[tokio::test]
    async fn plain_endpoints_elsewhere_are_refused_unless_asked_for() {
        let options = ConnectOptions::new("http://nodeward.example.com");
        assert!(refusal(options.clone()).await.contains("is not encrypted"));
        assert!(options.plaintext(true).channel().await.is_ok());
    }

    #[tokio::test]
    async fn an_endpoint_without_a_scheme_or_a_host_is_refused() {
        assert!(refusal(ConnectOptions::new("nodeward.example.com:7443")).await.contains("has no scheme"));
        assert!(refusal(ConnectOptions::new("/path")).await.contains("names no host"));
        assert!(refusal(ConnectOptions::new("")).await.contains("is not a URL"));
    }

    #[tokio::test]
    async fn a_ca_file_that_is_missing_is_named() {
        let options = ConnectOptions::new("https://localhost").ca_file("/nowhere/ca.pem");
        assert!(refusal(options).await.contains("can't read /nowhere/ca.pem"));
    }

    #[tokio::test]
    async fn a_ca_file_without_a_certificate_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "not a certificate").unwrap();
        assert!(
            refusal(ConnectOptions::new("https://localhost").ca_file(file.path()))
                .await
                .contains("holds no certificate")
        );
    }

    #[tokio::test]
    async fn certificates_for_a_plain_endpoint_are_refused() {
        let options = ConnectOptions::new("http://localhost").client_certificate("a.pem", "b.pem");
        assert!(refusal(options).await.contains("certificates have no use"));
    }

    #[test]
    fn the_token_is_not_shown() {
        let options = ConnectOptions::new("https://localhost").bearer_token("very-secret");
        assert!(!format!("{options:?}").contains("very-secret"));
    }
}
