//! Drains and pods that are special: those that have not begun, that have ended, and that the node itself brings.

use k8s_openapi::api::apps::v1::{DaemonSet, ReplicaSet};
use nodeward_server::drain::{Blocker, DaemonSetPods, DrainPolicy, OrphanedDaemonSetPods, PodState};
use serde_json::json;

use crate::support::admission::Hindrance;
use crate::support::draining::{Draining, any_pod, empty_node, pods_that_are, workload};
use crate::support::shape::Shape;
use crate::support::workload::Workload;
use crate::support::{eventually, world};

/// Controllers never had this uid.
const NEVER: &str = "00000000-0000-0000-0000-000000000000";

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_has_not_begun_goes_whatever_its_budget_says() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.runs_on(&node).await;
    let shape = Shape::of("web").never_starting();
    workload.controller::<ReplicaSet>("web", &shape, json!({ "replicas": 1 })).await;
    let pod = eventually("the pod is on the node", async || {
        let pod = workload.pods_of("web").await.pop()?;
        pod.spec.as_ref()?.node_name.is_some().then_some(pod)
    })
    .await;
    workload.budget("web", "web", 1, 0).await;
    let done = Draining::begin(&node, DrainPolicy::default()).await.succeeded().await;
    assert_eq!(pods_that_are(&done, PodState::Gone), [pod.metadata.name.unwrap()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_have_ended_go_even_if_nobody_controls_them_and_they_have_data() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    for (name, phase) in [("failed", "Failed"), ("succeeded", "Succeeded")] {
        workload.ready_shaped_pod(name, &Shape::of("batch").empty_dir(), &node).await;
        workload.end_in(name, phase).await;
    }
    workload.budget("batch", "batch", 2, 0).await;
    let done = Draining::begin(&node, DrainPolicy::default()).await.succeeded().await;
    assert_eq!(pods_that_are(&done, PodState::Gone), ["failed", "succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_pod_stays() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    let uid = world().await.kubernetes().await.get(&node).await.unwrap().metadata.uid.unwrap();
    let mirror = Shape::of("proxy").annotation("kubernetes.io/config.mirror", "of-a-file");
    workload.ready_shaped_pod("mirror", &mirror.owned_by("v1", "Node", &node, &uid), &node).await;
    Draining::begin(&node, DrainPolicy::default()).await.succeeded().await;
    assert!(workload.find("mirror").await.unwrap().metadata.deletion_timestamp.is_none());
}

/// The name of the pod that a DaemonSet has on this node.
async fn pod_of_daemon_set(workload: &Workload, node: &str, shape: &Shape) -> String {
    workload.runs_on(node).await;
    workload.controller::<DaemonSet>("agent", shape, json!({})).await;
    workload.ready("agent", 1).await.remove(0).metadata.name.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pod_of_a_daemon_set_stays_with_its_data() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    let pod = pod_of_daemon_set(&workload, &node, &Shape::of("agent").empty_dir()).await;
    Draining::begin(&node, DrainPolicy::default()).await.succeeded().await;
    assert!(workload.find(&pod).await.unwrap().metadata.deletion_timestamp.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pod_of_a_daemon_set_goes_if_the_policy_says_so_and_the_set_leaves_the_node() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    // The pod must not tolerate what the policy's user has put on the node, or it comes again at once.
    let pod = pod_of_daemon_set(&workload, &node, &Shape::of("agent")).await;
    let taint = ["taint", "node", &node, "example.com/leaving=:NoSchedule"];
    assert!(world().await.sandbox.kubectl(taint).await.unwrap().status.success());
    let policy = DrainPolicy { daemon_set_pods: DaemonSetPods::Drain, ..DrainPolicy::default() };
    let done = Draining::begin(&node, policy).await.succeeded().await;
    assert_eq!(pods_that_are(&done, PodState::Gone), [pod]);
    assert!(workload.pods_of("agent").await.is_empty());
}

/// Such a pod is there until the garbage collector has come by; here it is kept from that.
async fn orphan(workload: &Workload, node: &str) {
    let pod = workload.ready_pod("probe", "probe", node).await;
    Hindrance::of_garbage_collection(workload, &pod).await;
    workload.pods().delete("probe", &Default::default()).await.unwrap();
    let shape = Shape::of("agent").owned_by("apps/v1", "DaemonSet", "agent", NEVER);
    workload.ready_shaped_pod("orphan", &shape, node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pod_of_a_daemon_set_that_is_gone_is_refused_unless_the_policy_says_otherwise() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    orphan(&workload, &node).await;
    let draining = Draining::begin(&node, any_pod()).await;
    draining.blocker("orphan", |blocker| matches!(blocker, Blocker::Refused { .. })).await;
    draining.cancel().await;
    assert!(workload.find("orphan").await.unwrap().metadata.deletion_timestamp.is_none());

    let policy = DrainPolicy { orphaned_daemon_set_pods: OrphanedDaemonSetPods::Drain, ..any_pod() };
    Draining::begin(&node, policy).await.succeeded().await;
    assert!(workload.find("orphan").await.is_none());
}

/// A DaemonSet of the same name is another one.
#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_is_one_even_if_a_new_daemon_set_has_the_name_of_the_old_one() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    orphan(&workload, &node).await;
    // It runs on no node.
    workload.controller::<DaemonSet>("agent", &Shape::of("agent"), json!({})).await;
    let policy = DrainPolicy { orphaned_daemon_set_pods: OrphanedDaemonSetPods::Drain, ..any_pod() };
    Draining::begin(&node, policy).await.succeeded().await;
    assert!(workload.find("orphan").await.is_none());
}
