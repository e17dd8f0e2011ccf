//! Drains of pods whose controllers make them anew on the node, cordoned or not.

use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::api::{Patch, PatchParams};
use nodeward_server::drain::{Blocker, PodProgress};
use nodeward_server::operation::State;
use serde_json::{Value, json};

use crate::support::draining::{Draining, empty_node, workload};
use crate::support::shape::Shape;
use crate::support::workload::Workload;

/// The pod of the ReplicaSet that the drain does not remove for now, and why.
async fn held(draining: &Draining) -> (Blocker, u32) {
    let of = |pod: &PodProgress| {
        let is_meant = |blocker: &&Blocker| matches!(blocker, Blocker::Recreated { .. });
        pod.blocker.as_ref().filter(is_meant).map(|blocker| (blocker.clone(), pod.attempts))
    };
    draining.until("a pod was made anew too often", |status| status.pods.iter().find_map(of)).await
}

async fn scale(workload: &Workload, name: &str, replicas: i32) {
    let patch = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
    workload.all::<ReplicaSet>().patch(name, &PatchParams::default(), &patch).await.unwrap();
}

/// Drains a node to which a ReplicaSet sends its pods whether it is cordoned or not, until somebody scales it down.
async fn is_told_and_ends_when_it_is_scaled_down(sends: impl FnOnce(&str) -> (&'static str, Value)) {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.runs_on(&node).await;
    let (field, value) = sends(&node);
    let shape = Shape::of("web").spec(field, value);
    workload.controller::<ReplicaSet>("web", &shape, json!({ "replicas": 1 })).await;
    workload.ready("web", 1).await;

    let draining = Draining::begin(&node, Default::default()).await;
    let (blocker, attempts) = held(&draining).await;
    let Blocker::Recreated { controller, times } = &blocker else { panic!("{blocker:?}") };
    assert_eq!((controller.as_str(), *times, attempts), ("ReplicaSet web", 4, 0));
    assert!(blocker.hint().contains("scale the controller down"), "{}", blocker.hint());
    assert_eq!(draining.blocked().await.state, State::Blocked);

    scale(&workload, "web", 0).await;
    draining.succeeded().await;
    assert!(workload.pods_of("web").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_tolerate_the_cordon_are_not_removed_for_ever() {
    let toleration = json!([{ "key": "node.kubernetes.io/unschedulable", "operator": "Exists" }]);
    is_told_and_ends_when_it_is_scaled_down(|_| ("tolerations", toleration)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_their_template_binds_to_the_node_are_not_removed_for_ever() {
    is_told_and_ends_when_it_is_scaled_down(|node| ("nodeName", json!(node))).await;
}
