//! What nodeward, its users and tests show to each other.

use std::path::PathBuf;

use super::Sandbox;
use crate::error::SandboxError;
use crate::pki::{CertificateFiles, ClientCertificate, Pki};
use crate::user::User;

impl Sandbox {
    /// What the nodeward server shows to its clients: a certificate for 127.0.0.1, ::1 and localhost.
    pub fn server_certificate(&self) -> CertificateFiles {
        self.pki().nodeward()
    }

    /// The authority that has signed [`Sandbox::server_certificate`], and nothing else: clients trust it.
    pub fn server_ca(&self) -> PathBuf {
        self.pki().nodeward_ca()
    }

    /// The authority that signs client certificates, and nothing else: the nodeward server trusts it.
    pub fn client_ca(&self) -> PathBuf {
        self.pki().client_ca()
    }

    /// What a user shows to the nodeward server.
    pub fn user_certificate(&self, user: User) -> CertificateFiles {
        self.pki().user(user)
    }

    /// Makes one more client certificate.
    pub fn issue(&self, certificate: &ClientCertificate) -> Result<CertificateFiles, SandboxError> {
        self.pki().issue(certificate)
    }

    fn pki(&self) -> &Pki {
        &self.control_plane.commands.pki
    }
}
