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
                self.current.send_replace(tls.config.clone());
                (self.digest, self.problem) = (digest, None);
                self.metrics.certificate_expires(tls.expires);
                info!(expires = %expiry(&tls), "the certificates have changed: new connections are served with them");
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rcgen::generate_simple_self_signed;
    use tempfile::TempDir;

    use super::*;

    /// A secret as Kubernetes mounts it: links to a link to the directory of its present version.
    struct Secret(TempDir);

    impl Secret {
        fn new() -> Self {
            let secret = Self(TempDir::new().unwrap());
            for file in ["tls.crt", "tls.key"] {
                std::os::unix::fs::symlink(format!("..data/{file}"), secret.path(file)).unwrap();
            }
            secret.replace(&pair());
            secret
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn replace(&self, (cert, key): &(String, String)) {
            let version = TempDir::new_in(self.0.path()).unwrap().keep();
            std::fs::write(version.join("tls.crt"), cert).unwrap();
            std::fs::write(version.join("tls.key"), key).unwrap();
            std::os::unix::fs::symlink(&version, self.path("..data_tmp")).unwrap();
            std::fs::rename(self.path("..data_tmp"), self.path("..data")).unwrap();
        }

        async fn reload(&self) -> Reload {
            let files = TlsFiles { cert: self.path("tls.crt"), key: self.path("tls.key"), client_ca: None };
            Reload::start(files, Metrics::new()).await.unwrap()
        }
    }

    fn pair() -> (String, String) {
        let made = generate_simple_self_signed(["nodeward.test".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[tokio::test]
    async fn a_mounted_secret_that_was_replaced_is_taken_up() {
        let secret = Secret::new();
        let mut reload = secret.reload().await;
        let (mut current, first) = (reload.current(), reload.current().borrow().clone());
        reload.look().await;
        assert!(!current.has_changed().unwrap());
        secret.replace(&pair());
        reload.look().await;
        assert!(!Arc::ptr_eq(&first, &current.borrow_and_update()));
        reload.look().await;
        assert!(!current.has_changed().unwrap());
    }

    #[tokio::test]
    async fn what_was_good_is_kept_while_the_files_are_bad() {
        let secret = Secret::new();
        let mut reload = secret.reload().await;
        let current = reload.current();
        for bad in [(pair().0, pair().1), ("no certificate".to_owned(), pair().1), (pair().0, String::new())] {
            secret.replace(&bad);
            reload.look().await;
            assert!(!current.has_changed().unwrap());
            assert!(reload.problem.is_some());
        }
        std::fs::remove_file(secret.path("..data")).unwrap();
        reload.look().await;
        assert!(!current.has_changed().unwrap());
        assert!(reload.problem.clone().unwrap().contains("tls.crt"), "{:?}", reload.problem);

        secret.replace(&pair());
        reload.look().await;
        assert!(current.has_changed().unwrap());
        assert_eq!(reload.problem, None);
    }
}
