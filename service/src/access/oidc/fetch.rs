//! Asking an issuer for its keys: its description of itself first, which says where they are.
//!
//! The issuer is trusted for who its users are and for nothing else: redirects are not followed, answers have a limit,
//! and so has the time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::header::{ACCEPT, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::issuer_url::IssuerUrl;
use super::jwks::{KeySet, Published};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// How long the whole may take.
const ALL: Duration = Duration::from_secs(10);

/// The longest answer. Issuers of many keys with their certificates send some tens of KiB.
const LONGEST_ANSWER: usize = 512 * 1024;

type HttpClient = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// Asks an issuer for its keys.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    issuer: IssuerUrl,
    ca_file: Option<PathBuf>,
}

/// What an issuer says of itself.
#[derive(Deserialize)]
struct Description {
    issuer: String,
    jwks_uri: String,
}

impl Fetch {
    /// Fails if there are no CAs to verify the issuer's certificate with.
    pub(super) fn new(issuer: IssuerUrl, ca_file: Option<PathBuf>) -> anyhow::Result<Self> {
        tls(&issuer, ca_file.as_deref())?;
        Ok(Self { issuer, ca_file })
    }

    /// The issuer's keys, now.
    pub(super) async fn keys(&self) -> anyhow::Result<KeySet> {
        tokio::time::timeout(ALL, self.ask()).await.with_context(|| format!("no answer within {} s", ALL.as_secs()))?
    }

    async fn ask(&self) -> anyhow::Result<KeySet> {
        let client = self.client().await?;
        let description: Description = answer(&client, self.issuer.discovery()).await?;
        // Otherwise one issuer could have its tokens verified as those of another.
        ensure!(description.issuer == self.issuer.as_str(), "it calls itself {:?}", shorten(&description.issuer));
        let keys = self.issuer.keys(&description.jwks_uri).map_err(|error| anyhow::anyhow!("its jwks_uri {error}"))?;
        Ok(answer::<Published>(&client, &keys).await?.into())
    }

    /// A client for this once: the CAs may have changed since.
    async fn client(&self) -> anyhow::Result<HttpClient> {
        let Self { issuer, ca_file } = self.clone();
        let config = tokio::task::spawn_blocking(move || tls(&issuer, ca_file.as_deref())).await??;
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT));
        // Which URLs may be asked is decided in `IssuerUrl`.
        let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1();
        Ok(Client::builder(TokioExecutor::new()).build(connector.wrap_connector(http)))
    }
}

async fn answer<T: DeserializeOwned>(client: &HttpClient, uri: &Uri) -> anyhow::Result<T> {
    let request = Request::get(uri)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("nodeward-server/", env!("CARGO_PKG_VERSION")))
        .body(Empty::new())?;
    let response = client.request(request).await.map_err(|error| anyhow::anyhow!("{uri}: {}", root_cause(&error)))?;
    if response.status() != StatusCode::OK {
        bail!("{uri} answers {}", response.status());
    }
    let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!("{uri}: {error}"))?.to_bytes();
    serde_json::from_slice(&body).with_context(|| format!("{uri} does not answer as OpenID Connect has it"))
}

fn tls(issuer: &IssuerUrl, ca_file: Option<&Path>) -> anyhow::Result<ClientConfig> {
    let provider = rustls::crypto::ring::default_provider();
    let builder = ClientConfig::builder_with_provider(provider.into()).with_safe_default_protocol_versions()?;
    let config = match ca_file {
        Some(file) => {
            let roots =
                roots(file).with_context(|| format!("the CAs of the OpenID Connect issuer in {}", file.display()))?;
            builder.with_root_certificates(roots)
        }
        None if !issuer.is_https() => builder.with_root_certificates(RootCertStore::empty()),
        None => builder.with_native_roots().context("the CAs of this machine; name others with --oidc-ca-file")?,
    };
    Ok(config.with_no_client_auth())
}

fn roots(file: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file)? {
        roots.add(certificate?)?;
    }
    ensure!(!roots.is_empty(), "there is none");
    Ok(roots)
}

/// The errors of the client say only at their root what is the matter.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn shorten(text: &str) -> String {
    text.chars().take(200).collect()
}
