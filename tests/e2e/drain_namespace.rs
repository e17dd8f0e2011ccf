//! Drains and pods whose namespace is being deleted.

use nodeward_server::drain::{Blocker, PodState};

use crate::support::admission::Hindrance;
use crate::support::draining::{Draining, any_pod, empty_node, pods_that_are, workload};
use crate::support::shape::Shape;

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_go_with_their_namespace_are_waited_for() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.ready_shaped_pod("pod", &Shape::of("web").grace(3), &node).await;
    workload.delete().await;
    let done = Draining::begin(&node, any_pod()).await.succeeded().await;
    assert!(pods_that_are(&done, PodState::Blocked).is_empty());
    assert!(workload.find("pod").await.is_none());
}

/// As when the controller that deletes it is down: nothing can be evicted there, since nothing can be created.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_its_namespace_has_not_taken_along_yet_is_said_to_wait_for_that() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    let pod = workload.ready_pod("pod", "web", &node).await;
    let policy = Hindrance::of_deletions(&workload, &pod).await;
    workload.delete().await;
    let draining = Draining::begin(&node, any_pod()).await;
    draining.blocker("pod", |blocker| *blocker == Blocker::NamespaceTerminating).await;
    policy.remove().await;
    draining.succeeded().await;
}
