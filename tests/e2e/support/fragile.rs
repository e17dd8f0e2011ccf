//! A control plane for tests that kill and restart parts of it.

use std::pin::pin;

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::WatchParams;
use kube::core::WatchEvent;
use nodeward_sandbox::{Sandbox, SandboxOptions};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// A sandbox for one test at a time. Whoever breaks it mends it.
pub async fn fragile_sandbox() -> MutexGuard<'static, Sandbox> {
    static SANDBOX: OnceCell<Mutex<Sandbox>> = OnceCell::const_new();
    let start = async || {
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A controller-manager that is still starting would not survive the end of the apiserver. Once there is a node that
        // it has made ready, it has started.
        let options = SandboxOptions { nodes: 1, seed_workloads: false, ..SandboxOptions::default() };
        Mutex::new(Sandbox::start(options).await.unwrap())
    };
    SANDBOX.get_or_init(start).await.lock().await
}

/// Whether Kubernetes has forgotten what happened after this version, after which something has.
pub async fn has_forgotten(nodes: &Api<Node>, version: &str) -> bool {
    let mut events = pin!(nodes.watch(&WatchParams::default(), version).await.unwrap());
    match events.try_next().await.unwrap() {
        Some(WatchEvent::Error(status)) => status.code == 410,
        _ => false,
    }
}
