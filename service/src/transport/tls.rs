//! From PEM files to what TLS is spoken with: 1.3 alone, and HTTP/2 within it.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, version};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::X509Version;

/// What a client must be ready to speak.
pub(super) const ALPN: &[u8] = b"h2";

/// The content of the certificate files.
pub(super) struct Pem {
    pub cert: Vec<u8>,
    pub key: Vec<u8>,
    pub client_ca: Option<Vec<u8>>,
}

/// What new connections are served with.
#[derive(Debug)]
pub(super) struct Tls {
    pub config: Arc<ServerConfig>,
    /// When the server's certificate expires, in seconds since 1970.
    pub expires: i64,
}

impl Tls {
    /// What these files say, if they fit together.
    pub fn new(pem: &Pem) -> anyhow::Result<Self> {
        let chain = certificates(&pem.cert).context("the certificate (--tls-cert)")?;
        let expires = expiry(&chain[0]).context("the certificate (--tls-cert)")?;
        let key = PrivateKeyDer::from_pem_slice(&pem.key).context("the key (--tls-key) is not a key in PEM")?;
        let provider = Arc::new(ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[&version::TLS13])?;
        let builder = match &pem.client_ca {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let roots = client_cas(pem).context("the CAs of clients (--tls-client-ca)")?;
                builder.with_client_cert_verifier(verifier(roots, provider)?)
            }
        };
        let config = builder.with_single_cert(chain, key);
        let mut config = config.context("the certificate and the key (--tls-cert, --tls-key)")?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Every connection shows its certificates anew: one that goes on from an earlier session would be taken for what
        // it was then, whatever has expired since. Connections last long, so that little is saved by resuming.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), expires })
    }
}

/// Clients may show a certificate; if they do it must be one of these CAs'.
fn verifier(
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
) -> anyhow::Result<Arc<dyn rustls::server::danger::ClientCertVerifier>> {
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    builder.allow_unauthenticated().build().context("the CAs of clients (--tls-client-ca)")
}

fn certificates(pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.context("it is not PEM")?;
    if found.is_empty() {
        bail!("there is no certificate in it");
    }
    Ok(found)
}

fn client_cas(pem: &[u8]) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn expiry(certificate: &CertificateDer<'_>) -> anyhow::Result<i64> {
    let (_, certificate) = X509Certificate::from_der(certificate).context("it is not an X.509 certificate")?;
    // rustls says of it no more than that it is unsupported. `openssl x509 -req` makes such without -extfile.
    if certificate.version() != X509Version::V3 {
        bail!("it is an X.509 certificate of an old version, TLS needs version 3");
    }
    Ok(certificate.validity().not_after.timestamp())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, generate_simple_self_signed};

    use super::*;

    fn pair() -> (Vec<u8>, Vec<u8>) {
        let made = generate_simple_self_signed(["nodeward.test".to_owned()]).unwrap();
        (made.cert.pem().into_bytes(), made.signing_key.serialize_pem().into_bytes())
    }

    fn problem(cert: &[u8], key: &[u8], client_ca: Option<&[u8]>) -> String {
        let pem = Pem { cert: cert.to_vec(), key: key.to_vec(), client_ca: client_ca.map(<[u8]>::to_vec) };
        format!("{:#}", Tls::new(&pem).unwrap_err())
    }

    #[test]
    fn the_expiry_is_that_of_the_certificate() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["nodeward.test".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2031, 5, 4);
        let cert = params.self_signed(&key).unwrap().pem().into_bytes();
        let tls = Tls::new(&Pem { cert, key: key.serialize_pem().into_bytes(), client_ca: None }).unwrap();
        assert_eq!(tls.expires, params.not_after.unix_timestamp());
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let error = problem(&pair().0, &pair().1, None);
        assert!(error.contains("--tls-key") && error.contains("KeyMismatch"), "{error}");
    }

    #[test]
    fn the_file_that_is_bad_is_named() {
        let (cert, key) = pair();
        assert!(problem(b"", &key, None).contains("--tls-cert"));
        assert!(problem(b"-----BEGIN CERTIFICATE-----\n!", &key, None).contains("--tls-cert"));
        assert!(problem(&key, &cert, None).contains("--tls-cert"));
        assert!(problem(&cert, b"", None).contains("--tls-key"));
        assert!(problem(&cert, &key, Some(b"")).contains("--tls-client-ca"));
        assert!(problem(&cert, &key, Some(&key)).contains("--tls-client-ca"));
    }
}
