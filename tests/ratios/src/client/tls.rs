//! Whom the load client trusts, and what it shows.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use nodeward_sandbox::CertificateFiles;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// HTTP/2 with whom this authority has signed for, showing this certificate if there is one.
pub fn trusting(ca: &Path, certificate: Option<&CertificateFiles>) -> Result<Arc<ClientConfig>> {
    let read = || format!("read {}", ca.display());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).with_context(read)?)?;
    let config = ClientConfig::builder().with_root_certificates(roots);
    let mut config = match certificate {
        None => config.with_no_client_auth(),
        Some(files) => {
            let certificate = CertificateDer::from_pem_file(&files.certificate)?;
            config.with_client_auth_cert(vec![certificate], PrivateKeyDer::from_pem_file(&files.key)?)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}
