//! Kubeconfigs of the sandbox, and clients made from them.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::error::SandboxError;
use crate::pki::{self, Pki};

/// Writes a kubeconfig for one of the clients of the PKI, and for a server with a certificate of `ca`. It needs no other
/// file: it can be copied anywhere.
pub(crate) fn write(path: &Path, server: &str, ca: &Path, pki: &Pki, client: &str) -> Result<(), SandboxError> {
    let (cert, key) = (encoded(&pki.cert(client))?, encoded(&pki.key(client))?);
    let credentials = format!("client-certificate-data: {cert}\n    client-key-data: {key}");
    write_with(path, server, ca, client, &credentials, "default")
}

/// As [`write`], for a service account, by its token.
pub(crate) fn write_for_account(
    path: &Path,
    server: &str,
    ca: &Path,
    (namespace, name): (&str, &str),
    token: &str,
) -> Result<(), SandboxError> {
    write_with(path, server, ca, name, &format!("token: {token}"), namespace)
}

fn write_with(
    path: &Path,
    server: &str,
    ca: &Path,
    user: &str,
    credentials: &str,
    namespace: &str,
) -> Result<(), SandboxError> {
    let ca = encoded(ca)?;
    let text = format!(
        "apiVersion: v1
kind: Config
clusters:
- name: nodeward-sandbox
  cluster:
    server: {server}
    certificate-authority-data: {ca}
users:
- name: {user}
  user:
    {credentials}
contexts:
- name: nodeward-sandbox
  context:
    cluster: nodeward-sandbox
    user: {user}
    namespace: {namespace}
current-context: nodeward-sandbox
"
    );
    pki::write_private(path, &text)
}

fn encoded(path: &Path) -> Result<String, SandboxError> {
    fs::read(path).map(|bytes| STANDARD.encode(bytes)).map_err(|e| SandboxError::io("read", path, e))
}

/// A client with the identity of `kubeconfig`. With `server`, it talks to that address instead.
///
/// It does not retry by itself: what waits here has a deadline of its own, and tests want to see every answer.
pub(crate) async fn client(kubeconfig: &Path, server: Option<&str>) -> Result<Client, SandboxError> {
    let wrap = |source| SandboxError::Kubeconfig { path: kubeconfig.to_path_buf(), source: Box::new(source) };
    let mut read = Kubeconfig::read_from(kubeconfig).map_err(wrap)?;
    if let Some(server) = server {
        for cluster in read.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
            cluster.server = Some(server.to_string());
        }
    }
    let mut config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.map_err(wrap)?;
    config.default_retry = false;
    Client::try_from(config).map_err(|e| SandboxError::kube("make a client for the sandbox", e))
}
