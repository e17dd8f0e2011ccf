//! Drains and what comes of pods meanwhile: replacements go elsewhere, and late ones go too.

use k8s_openapi::api::apps::v1::Deployment;
use nodeward_server::drain::PodState;
use serde_json::json;

use crate::support::draining::{Draining, any_pod, empty_node, pods_that_are, workload};
use crate::support::shape::Shape;
use crate::support::workload::node_of;

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_a_deployment_go_on_elsewhere() {
    let (node, other, workload) = (empty_node("drain").await, empty_node("drain").await, workload().await);
    workload.runs_on(&node).await;
    workload.controller::<Deployment>("web", &Shape::of("web"), json!({ "replicas": 4 })).await;
    workload.ready("web", 4).await;
    workload.runs_on(&other).await;
    Draining::begin(&node, Default::default()).await.succeeded().await;
    let pods = workload.ready("web", 4).await;
    assert!(pods.iter().all(|pod| node_of(pod) == Some(&*other)), "{pods:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_bound_while_another_is_blocked_goes_too() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.ready_pod("first", "web", &node).await;
    workload.budget("web", "web", 1, 1).await;
    let draining = Draining::begin(&node, any_pod()).await;
    draining.blocked().await;
    // As one that the scheduler had bound before it saw the cordon.
    workload.pod("late", "db", &node).await;
    draining.pod("late", |pod| (pod.state == PodState::Gone).then_some(())).await;
    assert!(workload.find("first").await.is_some());

    workload.delete_budget("web").await;
    let done = draining.succeeded().await;
    assert_eq!(pods_that_are(&done, PodState::Gone), ["first", "late"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_bound_when_the_node_is_already_empty_goes_too() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.ready_pod("first", "web", &node).await;
    let draining = Draining::begin(&node, any_pod()).await;
    draining.pod("first", |pod| (pod.state == PodState::Gone).then_some(())).await;
    workload.pod("late", "web", &node).await;
    let done = draining.succeeded().await;
    assert_eq!(pods_that_are(&done, PodState::Gone), ["first", "late"]);
}
