//! A server process with a credential of its own, by which the apiserver tells it from all others.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nodeward_sandbox::{SERVER_ACCOUNT, SERVER_NAMESPACE};
use serde_json::Value;

use super::super::process::ServerProcess;
use super::super::proxy::Proxy;
use super::super::unique;
use super::Ground;

/// After how many seconds another replica takes over, where that happens.
const SHORT_LEASE: &str = "2";

/// The same, where it does not: on a machine with much else to do the other is not kept.
const LONG_LEASE: &str = "15";

/// One of the servers that may carry operations out. It has the rights of deploy/rbac and no others.
pub struct Replica {
    pub process: ServerProcess,
    /// The id of its token, as the apiserver's audit log has it.
    pub credential: String,
}

impl Replica {
    /// A new one, which serves.
    pub async fn start(ground: &Ground) -> Self {
        let (kubeconfig, credential) = credential(ground).await;
        Self { process: serve(&kubeconfig, SHORT_LEASE).await, credential }
    }

    /// The same, but nobody takes over from it soon.
    pub async fn start_steady(ground: &Ground) -> Self {
        let (kubeconfig, credential) = credential(ground).await;
        Self { process: serve(&kubeconfig, LONG_LEASE).await, credential }
    }

    /// The same with these flags too, which say whether it keeps records.
    pub async fn start_with(ground: &Ground, flags: &[&str]) -> Self {
        let (kubeconfig, credential) = credential(ground).await;
        let always = ["--plaintext", "--no-auth", "--operations-lease-seconds", SHORT_LEASE];
        Self { process: ServerProcess::start_exactly(&kubeconfig, &[&always, flags].concat()).await, credential }
    }

    /// The same, behind a network that can fail.
    pub async fn start_behind_a_proxy(ground: &Ground) -> (Self, Proxy) {
        let (kubeconfig, credential) = credential(ground).await;
        let proxy = Proxy::start_for(&ground.sandbox, &kubeconfig).await;
        (Self { process: serve(proxy.kubeconfig(), SHORT_LEASE).await, credential }, proxy)
    }

    /// The same, once it holds the lease. It must be the only one that wants it.
    pub async fn leads(mut self) -> Self {
        const SAYS: &str = "this server holds the lease";
        if !self.process.said.iter().any(|line| line.contains(SAYS)) {
            self.process.says(SAYS).await;
        }
        self
    }

    /// Kills it, and waits until it is gone.
    pub async fn kill(self) {
        self.process.kill().await;
    }
}

async fn serve(kubeconfig: &Path, lease: &str) -> ServerProcess {
    ServerProcess::start(kubeconfig, &["--operations-lease-seconds", lease]).await
}

/// The kubeconfig of the server's account with a token of its own, and the token's id.
async fn credential(ground: &Ground) -> (PathBuf, String) {
    let lifetime = Duration::from_secs(3600);
    let token = ground.sandbox.service_account_token(SERVER_NAMESPACE, SERVER_ACCOUNT, &[], lifetime).await.unwrap();
    let original = std::fs::read_to_string(ground.sandbox.server_kubeconfig()).unwrap();
    let lines = original.lines().map(|line| match line.trim_start().starts_with("token: ") {
        true => format!("    token: {token}\n"),
        false => format!("{line}\n"),
    });
    let path = ground.sandbox.dir().join(unique("replica")).with_extension("kubeconfig");
    std::fs::write(&path, lines.collect::<String>()).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    (path, format!("JTI={}", claims["jti"].as_str().unwrap()))
}
