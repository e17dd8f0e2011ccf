//! Certificates that are read again when their files change.
//!
//! The files are looked at from time to time, and compared by their content. Nothing else is reliable: Kubernetes replaces
//! a mounted secret by swapping a symbolic link, of which a watch on the file learns nothing.
//!
//! Promises: what is bad is never used, and what was good goes on being used; connections that are open live on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustls::ServerConfig;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::metrics::Metrics;
use super::options::TlsFiles;
use super::tls::{Pem, Tls};

/// What new connections are served with.
pub(super) type Current = watch::Receiver<Arc<ServerConfig>>;

/// Keeps what new connections are served with as the files say.
pub(super) struct Reload {
    files: TlsFiles,
    current: watch::Sender<Arc<ServerConfig>>,
    /// Of the content that is current.
    digest: Digest,
    /// Why the files can't be used as they are.
    problem: Option<String>,
    metrics: Metrics,
}

type Digest = [u8; 32];

impl Reload {
    /// Reads the files, which must be good this first time.
    pub async fn start(files: TlsFiles, metrics: Metrics) -> anyhow::Result<Self> {
        let pem = read(&files).await?;
        let tls = Tls::new(&pem)?;
        metrics.certificate_expires(tls.expires);
        Ok(Self { files, current: watch::Sender::new(tls.config), digest: digest(&pem), problem: None, metrics })
    }

    /// What new connections are served with, from now on.
    pub fn current(&self) -> Current {
        self.current.subscribe()
    }

    /// Looks at the files every so often, until it is to stop.
    pub async fn run(mut self, interval: Duration, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(interval)).await.is_some() {
            self.look().await;
        }
    }

    async fn look(&mut self) {
        match self.changed().await {
            Ok(None) => self.problem = None,
            Ok(Some((tls, digest))) => {
                info!(expires = %expiry(&tls), "the certificates have changed: new connections are served with them");
                self.metrics.certificate_expires(tls.expires);
                self.current.send_replace(tls.config);
                (self.digest, self.problem) = (digest, None);
            }
            Err(error) => self.failed(format!("{error:#}")),
        }
    }

    /// What the files say, if it is not what is current.
    async fn changed(&self) -> anyhow::Result<Option<(Tls, Digest)>> {
        let pem = read(&self.files).await?;
        let digest = digest(&pem);
        if digest == self.digest {
            return Ok(None);
        }
        Ok(Some((Tls::new(&pem)?, digest)))
    }

    fn failed(&mut self, problem: String) {
        // Counted for as long as it lasts, said once.
        self.metrics.reload_failed();
        if self.problem.as_ref() != Some(&problem) {
            warn!(problem, "the certificates have changed and can't be used: the old ones stay in use");
            self.problem = Some(problem);
        }
    }
}

fn expiry(tls: &Tls) -> jiff::Timestamp {
    jiff::Timestamp::from_second(tls.expires).unwrap_or_default()
}

async fn read(files: &TlsFiles) -> anyhow::Result<Pem> {
    let client_ca = match &files.client_ca {
        Some(path) => Some(read_file(path).await?),
        None => None,
    };
    Ok(Pem { cert: read_file(&files.cert).await?, key: read_file(&files.key).await?, client_ca })
}

async fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    tokio::fs::read(path).await.with_context(|| format!("can't read {}", path.display()))
}

fn digest(pem: &Pem) -> Digest {
    let mut hash = Sha256::new();
    for file in [Some(&pem.cert), Some(&pem.key), pem.client_ca.as_ref()].into_iter().flatten() {
        hash.update((file.len() as u64).to_le_bytes());
        hash.update(file);
    }
    hash.finalize().into()
}
