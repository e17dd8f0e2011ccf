//! kwok: who plays the kubelets of the fake nodes, and how.
//!
//! Only nodes with the label [`MANAGED_LABEL`] are played. A node that a test creates by itself stays as it was
//! created; taking the label off a node is as if its kubelet had died.

use std::path::Path;

use futures::{TryStreamExt, stream};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client};

use crate::cache;
use crate::error::SandboxError;

/// The label (with [`MANAGED_VALUE`]) of the nodes that kwok plays.
pub const MANAGED_LABEL: &str = "nodeward.dev/sandbox";

/// The value of [`MANAGED_LABEL`].
pub const MANAGED_VALUE: &str = "managed";

const STAGES: &str = include_str!("stages.yaml");

/// kwok renews at a quarter of this. Leases of a kubelet's 40 s would cost more than half a core at 1,000 nodes.
const LEASE_SECONDS: u32 = 1200;

/// How many calls to the apiserver are under way at once.
const PARALLEL: usize = 32;

/// Writes kwok's configuration.
pub(crate) fn write_config(path: &Path) -> Result<(), SandboxError> {
    let config = format!(
        "apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokConfiguration
options:
  manageNodesWithLabelSelector: {MANAGED_LABEL}={MANAGED_VALUE}
  nodeLeaseDurationSeconds: {LEASE_SECONDS}
  nodeLeaseParallelism: 16
  nodePlayStageParallelism: 16
  podPlayStageParallelism: 16
  cidr: 10.1.0.0/16
  nodeIP: 172.16.0.1
  enableDebuggingHandlers: false
---
{STAGES}"
    );
    cache::write_atomically(path, &config)
}

/// Deletes the leases of a kwok that is gone.
///
/// A kwok takes a new identity at each start, and would respect the long leases of the one before: nothing would move
/// for twenty minutes. A kubelet's own lease is held under the node's name, and is left alone.
pub(crate) async fn drop_stale_leases(client: &Client) -> Result<(), SandboxError> {
    let wrap = |e| SandboxError::kube("take the node leases over from an earlier kwok", e);
    let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-node-lease");
    let held = leases.list(&ListParams::default()).await.map_err(wrap)?;
    let stale = held.items.into_iter().filter_map(|lease| {
        let holder = lease.spec.and_then(|spec| spec.holder_identity);
        lease.metadata.name.filter(|name| holder.is_none_or(|holder| holder != *name))
    });
    stream::iter(stale.map(Ok))
        .try_for_each_concurrent(PARALLEL, |name| {
            let leases = leases.clone();
            async move {
                match leases.delete(&name, &DeleteParams::default()).await {
                    Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
                    other => other.map(drop).map_err(wrap),
                }
            }
        })
        .await
}
