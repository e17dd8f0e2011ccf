//! What nodeward, its users and tests show to each other and to the cluster.

use std::path::PathBuf;
use std::time::Duration;

use kube::Client;

use super::Sandbox;
use crate::access::{self, Subject};
use crate::error::SandboxError;
use crate::kubeconfig;
use crate::pki::{CertificateFiles, ClientCertificate, Pki};
use crate::user::User;

impl Sandbox {
    /// The kubeconfig of the nodeward server: a service account with the rights of deploy/rbac, and no others. It is
    /// complete in itself, and may be copied.
    pub fn server_kubeconfig(&self) -> PathBuf {
        self.control_plane.commands.layout.server_kubeconfig()
    }

    /// A new client with the rights of the nodeward server alone, and without retries of its own.
    pub async fn server_client(&self) -> Result<Client, SandboxError> {
        kubeconfig::client(&self.server_kubeconfig(), None).await
    }

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

    /// The authority that has signed the apiserver's certificate.
    pub fn cluster_ca(&self) -> PathBuf {
        self.pki().ca()
    }

    /// What an administrator shows to the apiserver: the same as is in [`Sandbox::kubeconfig_path`].
    pub fn admin_certificate(&self) -> CertificateFiles {
        self.pki().admin()
    }

    /// The address of etcd.
    pub fn etcd_url(&self) -> String {
        self.control_plane.commands.etcd_url()
    }

    /// The authority that has signed etcd's certificate.
    pub fn etcd_ca(&self) -> PathBuf {
        self.pki().etcd_ca()
    }

    /// What the apiserver shows to etcd. Whoever shows it may do everything there.
    pub fn etcd_client_certificate(&self) -> CertificateFiles {
        self.pki().etcd_client()
    }

    /// What a user shows to the nodeward server.
    pub fn user_certificate(&self, user: User) -> CertificateFiles {
        self.pki().user(user)
    }

    /// Where [`ClientContexts::write_apart`](crate::ClientContexts::write_apart) writes.
    pub(crate) fn client_config(&self) -> PathBuf {
        self.control_plane.commands.layout.client_config()
    }

    /// Makes one more client certificate.
    pub fn issue(&self, certificate: &ClientCertificate) -> Result<CertificateFiles, SandboxError> {
        self.pki().issue(certificate)
    }

    /// Gives somebody the rights of a cluster role that exists, waits until they have them, and returns the name of the
    /// ClusterRoleBinding. The roles of the sandbox's users are `nodeward-admin`, `nodeward-operator` and so on.
    pub async fn bind(&self, subject: &Subject, cluster_role: &str) -> Result<String, SandboxError> {
        access::bind(&self.client().await?, subject, cluster_role, &self.control_plane.commands.layout.logs()).await
    }

    /// A token of a service account for these audiences, or for the apiserver if there are none. The account is made if
    /// it does not exist; its namespace must. Ten minutes is the shortest life of a token.
    pub async fn service_account_token(
        &self,
        namespace: &str,
        name: &str,
        audiences: &[&str],
        lifetime: Duration,
    ) -> Result<String, SandboxError> {
        access::of_service_account(&self.client().await?, namespace, name, audiences, lifetime).await
    }

    /// The apiserver's audit log, one event to a line: who read and changed nodes, and what the nodeward server did in whose
    /// name. An event is there a moment after its answer.
    pub fn audit_log_path(&self) -> PathBuf {
        self.control_plane.commands.layout.audit_log()
    }

    fn pki(&self) -> &Pki {
        &self.control_plane.commands.pki
    }
}
