//! The sandbox's own public key infrastructure: an authority for the cluster, one for etcd, and what each component needs
//! from them.
//!
//! All certificates are X.509 v3 and the serving ones carry subject alternative names: rustls refuses anything less.
//! The files are made once per directory; a kept sandbox finds them again, so certificates and tokens that were handed
//! out stay valid. Kubeconfigs do not: the apiserver's port is another at each start.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use crate::cache;
use crate::error::SandboxError;

/// The clients of the cluster that get a certificate: file name, common name (the user), organisation (the group).
///
/// kwok is every fake kubelet at once, so no role of a single node fits it: it is an administrator.
const CLIENTS: [(&str, &str, Option<&str>); 4] = [
    ("admin", "sandbox-admin", Some("system:masters")),
    ("controller-manager", "system:kube-controller-manager", None),
    ("scheduler", "system:kube-scheduler", None),
    ("kwok", "kwok", Some("system:masters")),
];

/// The one client of etcd: who it lets in may do everything there.
pub(crate) const ETCD_CLIENT: &str = "apiserver-etcd-client";

/// Written last. Its name is another one whenever there is more to make, and an older sandbox that was kept gets it all.
const COMPLETE: &str = "complete-2";

/// The names by which the serving components can be reached.
const SERVING_NAMES: [&str; 6] = [
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "127.0.0.1",
];

/// The certificates and keys of one sandbox, as files in one directory.
#[derive(Debug, Clone)]
pub struct Pki {
    dir: PathBuf,
}

impl Pki {
    /// Uses the files in `dir`, or makes them if there are none.
    pub fn ensure(dir: &Path) -> Result<Self, SandboxError> {
        let pki = Self { dir: dir.to_path_buf() };
        let complete = dir.join(COMPLETE);
        if !complete.exists() {
            cache::make_dir(dir)?;
            pki.generate()?;
            cache::write_atomically(&complete, "")?;
        }
        Ok(pki)
    }

    /// The certificate of the cluster's authority.
    pub fn ca(&self) -> PathBuf {
        self.dir.join("ca.crt")
    }

    /// The key of the cluster's authority; the controller-manager signs certificates with it, for nodes and others.
    pub fn ca_key(&self) -> PathBuf {
        self.dir.join("ca.key")
    }

    /// The certificate of etcd's authority. It is another one since a certificate of the cluster, which many may ask for,
    /// must not open the store behind it.
    pub fn etcd_ca(&self) -> PathBuf {
        self.dir.join("etcd-ca.crt")
    }

    /// The certificate of `name`: `serving`, `etcd`, or one of the clients.
    pub fn cert(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.crt"))
    }

    /// The private key that belongs to [`Pki::cert`].
    pub fn key(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.key"))
    }

    /// The key that signs service account tokens.
    pub fn service_account_key(&self) -> PathBuf {
        self.dir.join("service-account.key")
    }

    /// The key that service account tokens are checked with.
    pub fn service_account_public_key(&self) -> PathBuf {
        self.dir.join("service-account.pub")
    }

    fn generate(&self) -> Result<(), SandboxError> {
        let (cluster, key) = authority("nodeward-sandbox-ca", &self.ca())?;
        write_private(&self.ca_key(), &key.serialize_pem())?;
        let cluster = Issuer::new(cluster, key);
        self.issue("serving", server()?, &cluster)?;
        for (file, user, group) in CLIENTS {
            self.issue(file, client(user, group)?, &cluster)?;
        }

        // Nobody needs the key of this one again.
        let (etcd, key) = authority("nodeward-sandbox-etcd-ca", &self.etcd_ca())?;
        let etcd = Issuer::new(etcd, key);
        let mut server = server()?;
        // It is its own client and peer, with this certificate.
        server.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        self.issue("etcd", server, &etcd)?;
        self.issue(ETCD_CLIENT, client("kube-apiserver", None)?, &etcd)?;

        let service_account = KeyPair::generate()?;
        write_private(&self.service_account_key(), &service_account.serialize_pem())?;
        write_public(&self.service_account_public_key(), &service_account.public_key_pem())
    }

    fn issue(
        &self,
        name: &str,
        params: CertificateParams,
        issuer: &Issuer<'static, KeyPair>,
    ) -> Result<(), SandboxError> {
        let key = KeyPair::generate()?;
        write_public(&self.cert(name), &params.signed_by(&key, issuer)?.pem())?;
        write_private(&self.key(name), &key.serialize_pem())
    }
}

/// Makes an authority, and writes its certificate.
fn authority(name: &str, cert: &Path) -> Result<(CertificateParams, KeyPair), SandboxError> {
    let key = KeyPair::generate()?;
    let mut params = params(Vec::new(), name, None)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    write_public(cert, &params.self_signed(&key)?.pem())?;
    Ok((params, key))
}

fn server() -> Result<CertificateParams, SandboxError> {
    let mut params = params(SERVING_NAMES.map(String::from).to_vec(), "nodeward-sandbox", None)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn client(user: &str, group: Option<&str>) -> Result<CertificateParams, SandboxError> {
    let mut params = params(Vec::new(), user, group)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

fn params(
    names: Vec<String>,
    common_name: &str,
    organisation: Option<&str>,
) -> Result<CertificateParams, SandboxError> {
    let mut params = CertificateParams::new(names)?;
    // Fixed dates: a machine with a wrong clock should still get a working sandbox.
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    if let Some(organisation) = organisation {
        params.distinguished_name.push(DnType::OrganizationName, organisation);
    }
    Ok(params)
}

fn write_public(path: &Path, pem: &str) -> Result<(), SandboxError> {
    fs::write(path, pem).map_err(|e| SandboxError::io("write", path, e))
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), SandboxError> {
    let write = || {
        // Removed first, since the mode of a file that exists would stay as it is.
        match fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?.write_all(text.as_bytes())
    };
    write().map_err(|e| SandboxError::io("write", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::*;

    fn made() -> (tempfile::TempDir, Pki) {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::ensure(&dir.path().join("pki")).unwrap();
        (dir, pki)
    }

    fn der(path: &Path) -> Vec<u8> {
        parse_x509_pem(&fs::read(path).unwrap()).unwrap().1.contents
    }

    #[test]
    fn every_certificate_is_version_3_and_signed_by_the_authority_of_those_who_trust_it() {
        let (_dir, pki) = made();
        let of_the_cluster = CLIENTS.map(|(file, ..)| file).into_iter().chain(["serving"]);
        assert_signed(&pki, &pki.ca(), of_the_cluster);
        assert_signed(&pki, &pki.etcd_ca(), ["etcd", ETCD_CLIENT]);
    }

    fn assert_signed(pki: &Pki, ca: &Path, names: impl IntoIterator<Item = &'static str>) {
        let ca = der(ca);
        let ca = parse_x509_certificate(&ca).unwrap().1;
        assert!(ca.is_ca());
        for name in names {
            let cert = der(&pki.cert(name));
            let cert = parse_x509_certificate(&cert).unwrap().1;
            assert_eq!(cert.version(), X509Version::V3, "{name}");
            assert_eq!(cert.issuer(), ca.subject(), "{name}");
            assert!(!cert.is_ca(), "{name}");
        }
    }

    #[test]
    fn the_serving_certificate_names_localhost_and_the_loopback_address() {
        let (_dir, pki) = made();
        let cert = der(&pki.cert("serving"));
        let cert = parse_x509_certificate(&cert).unwrap().1;
        let names = &cert.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert!(names.contains(&GeneralName::DNSName("localhost")));
        assert!(names.contains(&GeneralName::DNSName("kubernetes.default.svc")));
        assert!(names.contains(&GeneralName::IPAddress(&[127, 0, 0, 1])));
    }

    #[test]
    fn the_admin_is_in_the_masters_group() {
        let (_dir, pki) = made();
        let cert = der(&pki.cert("admin"));
        let cert = parse_x509_certificate(&cert).unwrap().1;
        let groups: Vec<_> = cert.subject().iter_organization().map(|o| o.as_str().unwrap()).collect();
        assert_eq!(groups, ["system:masters"]);
    }

    #[test]
    fn keys_are_readable_by_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, pki) = made();
        for key in [pki.ca_key(), pki.key("admin"), pki.service_account_key()] {
            assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600, "{}", key.display());
        }
    }

    #[test]
    fn a_second_start_in_the_same_directory_keeps_the_certificates() {
        let (_dir, pki) = made();
        let before = fs::read(pki.cert("admin")).unwrap();
        let again = Pki::ensure(&pki.dir).unwrap();
        assert_eq!(fs::read(again.cert("admin")).unwrap(), before);
    }
}
