//! The sandbox's own public key infrastructure: an authority for the cluster, one for etcd, two for nodeward, and what each
//! component and user needs from them.
//!
//! The authorities, and what the control plane has from them, are made once per directory; a kept sandbox finds them again, so
//! certificates and tokens that were handed out stay valid. What nodeward and its users have is good for a year, as
//! such things are elsewhere, and is made anew at each start. Kubeconfigs are too: the apiserver's port is another one.

mod authority;
mod client;

use std::path::{Path, PathBuf};

use rcgen::{ExtendedKeyUsagePurpose, KeyPair};

use crate::cache;
use crate::error::SandboxError;
use crate::user::User;
use authority::{Authority, a_year, write_public};

pub use authority::CertificateFiles;
pub(crate) use authority::write_private;
pub use client::{ClientCertificate, Signer};

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
const COMPLETE: &str = "complete-3";

/// The names by which the serving components can be reached.
const SERVING_NAMES: [&str; 6] = [
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "127.0.0.1",
];

/// The names by which nodeward can be reached.
const NODEWARD_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The certificate of the nodeward server.
const NODEWARD: &str = "nodeward-server";

/// The authorities: file name, common name.
const CLUSTER_CA: (&str, &str) = ("ca", "nodeward-sandbox-ca");
const ETCD_CA: (&str, &str) = ("etcd-ca", "nodeward-sandbox-etcd-ca");
const NODEWARD_CA: (&str, &str) = ("nodeward-ca", "nodeward-sandbox-nodeward-ca");
const CLIENT_CA: (&str, &str) = ("nodeward-client-ca", "nodeward-sandbox-client-ca");

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
        pki.renew()?;
        Ok(pki)
    }

    /// The certificate of the cluster's authority.
    pub fn ca(&self) -> PathBuf {
        self.cert(CLUSTER_CA.0)
    }

    /// The key of the cluster's authority; the controller-manager signs certificates with it, for nodes and others.
    pub fn ca_key(&self) -> PathBuf {
        self.key(CLUSTER_CA.0)
    }

    /// The certificate of etcd's authority. It is another one since a certificate of the cluster, which many may ask for,
    /// must not open the store behind it.
    pub fn etcd_ca(&self) -> PathBuf {
        self.cert(ETCD_CA.0)
    }

    /// The certificate of the authority that has signed the nodeward server's.
    pub fn nodeward_ca(&self) -> PathBuf {
        self.cert(NODEWARD_CA.0)
    }

    /// The certificate of the authority that signs those of nodeward's clients, and nothing else: whoever signs for it may
    /// name any user.
    pub fn client_ca(&self) -> PathBuf {
        self.cert(CLIENT_CA.0)
    }

    /// What the nodeward server shows.
    pub fn nodeward(&self) -> CertificateFiles {
        self.files(NODEWARD)
    }

    /// What an administrator shows to the apiserver.
    pub fn admin(&self) -> CertificateFiles {
        self.files("admin")
    }

    /// What the apiserver shows to etcd.
    pub fn etcd_client(&self) -> CertificateFiles {
        self.files(ETCD_CLIENT)
    }

    /// What a user shows to nodeward.
    pub fn user(&self, user: User) -> CertificateFiles {
        self.files(&format!("user-{}", user.name()))
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

    /// Makes a client certificate, in files of its own.
    pub fn issue(&self, certificate: &ClientCertificate) -> Result<CertificateFiles, SandboxError> {
        let authority = match certificate.signer {
            Signer::Trusted => self.authority(CLIENT_CA)?,
            Signer::Cluster => self.authority(CLUSTER_CA)?,
            Signer::Stranger => Authority::new(CLIENT_CA.1)?,
        };
        let dir = tempfile::Builder::new().prefix("issued-").tempdir_in(&self.dir);
        let dir = dir.map_err(|e| SandboxError::io("create a directory in", &self.dir, e))?.keep();
        let files = CertificateFiles { certificate: dir.join("tls.crt"), key: dir.join("tls.key") };
        authority.issue(&certificate.params()?, &files)?;
        Ok(files)
    }

    fn files(&self, name: &str) -> CertificateFiles {
        CertificateFiles { certificate: self.cert(name), key: self.key(name) }
    }

    fn authority(&self, (file, name): (&str, &str)) -> Result<Authority, SandboxError> {
        Authority::load(name, &self.key(file))
    }

    fn generate(&self) -> Result<(), SandboxError> {
        let cluster = self.make_authority(CLUSTER_CA)?;
        cluster.write_key(&self.ca_key())?;
        cluster.issue(&authority::server(&SERVING_NAMES)?, &self.files("serving"))?;
        for (file, user, group) in CLIENTS {
            let groups: Vec<_> = group.map(str::to_owned).into_iter().collect();
            cluster.issue(&authority::client(user, &groups)?, &self.files(file))?;
        }

        // Nobody needs the key of this one again.
        let etcd = self.make_authority(ETCD_CA)?;
        let mut server = authority::server(&SERVING_NAMES)?;
        // It is its own client and peer, with this certificate.
        server.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        etcd.issue(&server, &self.files("etcd"))?;
        etcd.issue(&authority::client("kube-apiserver", &[])?, &self.files(ETCD_CLIENT))?;

        for ca in [NODEWARD_CA, CLIENT_CA] {
            self.make_authority(ca)?.write_key(&self.key(ca.0))?;
        }

        let service_account = KeyPair::generate()?;
        write_private(&self.service_account_key(), &service_account.serialize_pem())?;
        write_public(&self.service_account_public_key(), &service_account.public_key_pem())
    }

    /// Makes an authority, and writes its certificate.
    fn make_authority(&self, (file, name): (&str, &str)) -> Result<Authority, SandboxError> {
        let authority = Authority::new(name)?;
        authority.write_certificate(&self.cert(file))?;
        Ok(authority)
    }

    /// Makes what is not good for ever.
    fn renew(&self) -> Result<(), SandboxError> {
        let mut server = authority::server(&NODEWARD_NAMES)?;
        authority::limit(&mut server, &a_year());
        self.authority(NODEWARD_CA)?.issue(&server, &self.nodeward())?;
        let clients = self.authority(CLIENT_CA)?;
        for user in User::ALL {
            let certificate = ClientCertificate::of(user.name()).group(user.group());
            clients.issue(&certificate.params()?, &self.user(user))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
