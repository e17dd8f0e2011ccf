//! Drains of nodes that somebody drains, cordons and uncordons with kubectl at the same time.

use std::process::Output;

use k8s_openapi::api::apps::v1::Deployment;
use nodeward_server::drain::{DrainPolicy, PodState};
use serde_json::json;

use crate::support::draining::{Draining, any_pod, empty_node, is_cordoned, pods_that_are, workload};
use crate::support::shape::Shape;
use crate::support::timeline::Timeline;
use crate::support::workload::node_of;
use crate::support::world;

async fn kubectl(args: &[&str]) -> Output {
    world().await.sandbox.kubectl(args).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_drain_the_same_node_and_no_pod_is_lost() {
    let [node, other] = [empty_node("drain").await, empty_node("drain").await];
    let workload = workload().await;
    workload.runs_on(&node).await;
    workload.controller::<Deployment>("web", &Shape::of("web"), json!({ "replicas": 6 })).await;
    workload.ready("web", 6).await;
    workload.runs_on(&other).await;
    workload.budget("web", "web", 4, 6).await;
    let timeline = Timeline::of(&workload).await;

    let draining = Draining::begin(&node, DrainPolicy::default()).await;
    let theirs = kubectl(&["drain", &node, "--ignore-daemonsets", "--timeout=60s"]).await;
    assert!(theirs.status.success(), "{theirs:?}");
    draining.succeeded().await;
    let pods = workload.ready("web", 6).await;
    assert!(pods.iter().all(|pod| node_of(pod) == Some(&*other)), "{pods:#?}");
    assert_eq!(timeline.removals().len(), 6, "{:#?}", timeline.all());
    assert!(timeline.fewest_ready() >= 4, "{:#?}", timeline.all());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cordon_of_kubectl_stays_when_the_drain_is_over() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.ready_pod("pod", "web", &node).await;
    assert!(kubectl(&["cordon", &node]).await.status.success());
    Draining::begin(&node, any_pod()).await.succeeded().await;
    assert!(is_cordoned(&node).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cordon_during_a_drain_changes_nothing() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.ready_pod("pod", "web", &node).await;
    workload.budget("web", "web", 1, 1).await;
    let draining = Draining::begin(&node, any_pod()).await;
    draining.blocked().await;
    let output = kubectl(&["cordon", &node]).await;
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("node/{node} already cordoned\n"));
    workload.delete_budget("web").await;
    let done = draining.succeeded().await;
    assert_eq!(pods_that_are(&done, PodState::Gone), ["pod"]);
}
