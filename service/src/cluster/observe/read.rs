//! Reading all that a plan is made from.

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::core::PartialObjectMeta;
use tokio::time::Instant;

use super::{Observer, metadata, pods_on, whole};
use crate::cluster::fault::{self, within};
use crate::cluster::feed::{Source, in_pages};
use crate::error::Error;

/// How often a list is begun anew whose later pages the apiserver no longer knows (410).
const TRIES: usize = 3;

/// The cluster, as far as plans depend on it. Each list is of one moment after the read was asked for; those of different lists
/// differ, since Kubernetes knows no reads of several kinds at once.
#[derive(Clone, Debug, Default)]
pub struct ClusterState {
    /// All nodes.
    pub nodes: Vec<Node>,
    /// All pods.
    pub pods: Vec<Pod>,
    /// All budgets.
    pub budgets: Vec<PodDisruptionBudget>,
    /// All namespaces.
    pub namespaces: Vec<PartialObjectMeta<Namespace>>,
    /// All DaemonSets.
    pub daemon_sets: Vec<PartialObjectMeta<DaemonSet>>,
}

impl Observer {
    /// Reads the cluster as it is now. What drains do not read of its objects is left out.
    pub async fn read(&self, deadline: Instant) -> Result<ClusterState, Error> {
        let read = Box::pin(self.read_all());
        within(deadline, "reading the cluster", read).await?
    }

    /// Reads the pods of a node as they are now.
    pub async fn read_pods_on(&self, node: &str, deadline: Instant) -> Result<Vec<Pod>, Error> {
        let read = Box::pin(all(pods_on(&self.client, node)));
        within(deadline, "reading the node's pods", read).await?
    }

    async fn read_all(&self) -> Result<ClusterState, Error> {
        let client = &self.client;
        let (nodes, pods, budgets, namespaces, daemon_sets) = tokio::try_join!(
            all(whole(client)),
            all(whole(client)),
            all(whole(client)),
            all(metadata(client)),
            all(metadata(client)),
        )?;
        Ok(ClusterState { nodes, pods, budgets, namespaces, daemon_sets })
    }
}

async fn all<S: Source>(source: S) -> Result<Vec<S::Object>, Error> {
    let mut tries = 0..TRIES;
    loop {
        tries.next();
        match in_pages(&source, |object| object).await {
            Ok((objects, _)) => return Ok(objects),
            Err(error) if has_expired(&error) && !tries.is_empty() => {}
            Err(error) => return Err(read_failed(error)),
        }
    }
}

fn has_expired(error: &anyhow::Error) -> bool {
    error.downcast_ref().and_then(fault::api_status).is_some_and(|status| status.code == 410)
}

fn read_failed(error: anyhow::Error) -> Error {
    match error.downcast().map(fault::of_the_server) {
        Ok(fault) => fault,
        Err(error) => Error::Unreachable { detail: error.to_string() },
    }
}
