//! kubectl's own test vectors of drains (`pkg/cmd/drain/drain_test.go` of v0.36.3), carried out, for evictions and deletions.
//!
//! Those of pods of a DaemonSet that have ended are not here: a real DaemonSet replaces them at once.

use std::fmt::Debug;

use futures::future::join_all;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, ReplicaSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use k8s_openapi::serde::Serialize;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::Resource;
use nodeward_server::drain::{Blocker, DrainPolicy, KubectlFlags};
use nodeward_server::operation::State;
use serde_json::json;

use crate::support::admission::Hindrance;
use crate::support::draining::{Draining, empty_node, workload};
use crate::support::eventually;
use crate::support::shape::Shape;
use crate::support::workload::{Workload, node_of, uid};

const NEVER: &str = "00000000-0000-0000-0000-000000000000";

/// What becomes of the one pod.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// The drain does not go on, and has not touched it.
    Refused,
    Removed,
    Left,
}

use Outcome::*;

/// What a pod is like.
#[derive(Clone, Copy, Debug)]
enum Kind {
    OfReplicationController,
    OfReplicaSet,
    /// With data: kubectl decides that it is a DaemonSet's before it looks at that.
    OfDaemonSet,
    OfMissingDaemonSet,
    OfForeignDaemonSet,
    /// With data.
    OfJob,
    /// The same.
    OfEndedJob,
    Naked,
    NakedWithData,
    NakedWithDataFailed,
    Mirror,
    NotBegun,
}

use Kind::*;

/// What kubectl does with a pod of this kind if it has these flags.
const VECTORS: [(Kind, &[&str], Outcome); 17] = [
    (OfReplicationController, &[], Removed),
    (OfReplicaSet, &[], Removed),
    (OfDaemonSet, &[], Refused),
    (OfDaemonSet, &["force"], Refused),
    (OfDaemonSet, &["ignore-daemonsets"], Left),
    (OfMissingDaemonSet, &[], Refused),
    (OfMissingDaemonSet, &["force"], Removed),
    (OfForeignDaemonSet, &[], Removed),
    (OfJob, &["force", "delete-emptydir-data"], Removed),
    (OfEndedJob, &[], Removed),
    (Naked, &[], Refused),
    (Naked, &["force"], Removed),
    (NakedWithData, &["force"], Refused),
    (NakedWithData, &["force", "delete-emptydir-data"], Removed),
    (NakedWithDataFailed, &[], Removed),
    (Mirror, &["force"], Left),
    (NotBegun, &[], Removed),
];

fn flags(names: &[&str], disable_eviction: bool) -> KubectlFlags {
    let has = |name| names.contains(&name);
    KubectlFlags {
        force: has("force"),
        ignore_daemonsets: has("ignore-daemonsets"),
        delete_emptydir_data: has("delete-emptydir-data"),
        disable_eviction,
        ..KubectlFlags::default()
    }
}

/// A new pod of this kind on this node.
async fn pod(kind: Kind, workload: &Workload, node: &str) -> Pod {
    let (web, with_data) = (Shape::of("web"), Shape::of("web").empty_dir());
    match kind {
        OfReplicationController => controlled::<ReplicationController>(workload, node, &web, "Running").await,
        OfReplicaSet => controlled::<ReplicaSet>(workload, node, &web, "Running").await,
        OfDaemonSet => controlled::<DaemonSet>(workload, node, &with_data, "Running").await,
        OfJob => controlled::<Job>(workload, node, &with_data.finishing_after("1h"), "Running").await,
        OfEndedJob => controlled::<Job>(workload, node, &with_data, "Succeeded").await,
        NotBegun => controlled::<ReplicaSet>(workload, node, &web.never_starting(), "Pending").await,
        OfMissingDaemonSet => {
            let probe = workload.pod("probe", "probe", node).await;
            Hindrance::of_garbage_collection(workload, &probe).await;
            workload.pods().delete("probe", &Default::default()).await.unwrap();
            eventually("the probe is gone", async || workload.find("probe").await.is_none().then_some(())).await;
            let orphan = web.owned_by("apps/v1", "DaemonSet", "missing", NEVER);
            workload.ready_shaped_pod("pod", &orphan, node).await
        }
        OfForeignDaemonSet => {
            let foreign = web.owned_by("apps.kruise.io/v1alpha1", "DaemonSet", "c", NEVER);
            workload.ready_shaped_pod("pod", &foreign, node).await
        }
        Mirror => {
            let mirror = web.annotation("kubernetes.io/config.mirror", "of-a-file");
            workload.ready_shaped_pod("pod", &mirror, node).await
        }
        Naked => workload.ready_pod("pod", "web", node).await,
        NakedWithData => workload.ready_shaped_pod("pod", &with_data, node).await,
        NakedWithDataFailed => {
            let pod = workload.ready_shaped_pod("pod", &with_data, node).await;
            workload.end_in("pod", "Failed").await;
            pod
        }
    }
}

/// The pod that a new controller makes on this node, once it is in this phase.
async fn controlled<K>(workload: &Workload, node: &str, shape: &Shape, phase: &str) -> Pod
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + Debug + DeserializeOwned + Serialize,
{
    workload.runs_on(node).await;
    let has_replicas = !matches!(K::kind(&()).as_ref(), "DaemonSet" | "Job");
    let spec = if has_replicas { json!({ "replicas": 1 }) } else { json!({}) };
    workload.controller::<K>("c", shape, spec).await;
    eventually("the pod is in its phase", async || {
        let pod = workload.pods_of("web").await.pop().filter(|pod| node_of(pod) == Some(node))?;
        (pod.status.as_ref()?.phase.as_deref() == Some(phase)).then_some(pod)
    })
    .await
}

async fn outcome(kind: Kind, flags: KubectlFlags) -> Outcome {
    let (node, workload) = (empty_node("vector").await, workload().await);
    let pod = pod(kind, &workload, &node).await;
    let draining = Draining::begin(&node, DrainPolicy::kubectl(&flags)).await;
    let is_refused = draining
        .until("it is refused or has ended", |status| match status.state {
            state if state.is_final() => Some(false),
            State::Blocked => {
                let is_refused = |blocker: &Blocker| matches!(blocker, Blocker::Refused { .. });
                status.pods.iter().filter_map(|pod| pod.blocker.as_ref()).any(is_refused).then_some(true)
            }
            _ => None,
        })
        .await;
    let ended = if is_refused { draining.cancel().await } else { draining.ended().await };
    assert_eq!(ended.state, if is_refused { State::Cancelled } else { State::Succeeded }, "{kind:?}: {ended:#?}");

    match workload.find(pod.metadata.name.as_deref().unwrap()).await.filter(|now| uid(now) == uid(&pod)) {
        None => Removed,
        Some(now) => {
            assert!(now.metadata.deletion_timestamp.is_none(), "{kind:?}");
            if is_refused { Refused } else { Left }
        }
    }
}

async fn all_as_kubectl(disable_eviction: bool) {
    let outcomes = VECTORS.map(|(kind, names, _)| Box::pin(outcome(kind, flags(names, disable_eviction))));
    let found = join_all(outcomes).await;
    for ((kind, flags, expected), found) in VECTORS.into_iter().zip(found) {
        assert_eq!(found, expected, "{kind:?} with {flags:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn evictions_are_as_kubectls() {
    all_as_kubectl(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_are_as_kubectls() {
    all_as_kubectl(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_node_is_drained() {
    let node = empty_node("vector").await;
    let done = Draining::begin(&node, DrainPolicy::kubectl(&KubectlFlags::default())).await.succeeded().await;
    assert!(done.pods.is_empty(), "{done:#?}");
}
