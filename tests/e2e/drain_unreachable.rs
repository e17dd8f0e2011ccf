//! Drains of nodes whose kubelet no longer answers.

use nodeward_api::v1::GetNodeRequest;
use nodeward_api::v1::readiness::State;
use nodeward_server::drain::{Blocker, DrainPolicy, PodState, UnreachableNode};

use crate::support::draining::{Draining, any_pod, empty_node, pods_that_are, workload};
use crate::support::nodes::lose_contact;
use crate::support::shape::Shape;
use crate::support::timeline::Timeline;
use crate::support::{eventually, world};

/// Has the kubelet of a node die, and the server know it.
async fn lose_contact_with(node: &str) {
    lose_contact(&world().await.kubernetes().await, node).await;
    let mut client = world().await.client().await;
    eventually("the server knows it", async || {
        let request = GetNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
        let node = client.get_node(request).await.unwrap().into_inner();
        (node.readiness?.state() == State::LostContact).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_a_node_without_a_kubelet_are_waited_for_until_it_is_back() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.ready_shaped_pod("pod", &Shape::of("web").grace(1), &node).await;
    lose_contact_with(&node).await;
    let draining = Draining::begin(&node, any_pod()).await;
    draining.blocker("pod", |blocker| matches!(blocker, Blocker::Overdue { .. })).await;
    draining.blocked().await;
    assert!(workload.find("pod").await.is_some());

    // The kubelet is back.
    workload.end("pod").await;
    draining.succeeded().await;
    assert!(workload.find("pod").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_a_node_that_is_given_up_are_left_to_it() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.ready_pod("pod", "web", &node).await;
    let timeline = Timeline::of(&workload).await;
    lose_contact_with(&node).await;
    let policy = DrainPolicy { unreachable_node: UnreachableNode::LeaveTerminating, ..any_pod() };
    let done = Draining::begin(&node, policy).await.succeeded().await;
    assert_eq!(pods_that_are(&done, PodState::Gone), Vec::<String>::new());
    // Nobody has ended it.
    assert!(workload.find("pod").await.unwrap().metadata.deletion_timestamp.is_some());
    assert_eq!(timeline.grace_of("pod"), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubelet_that_is_lost_while_its_pods_end_is_noticed() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.ready_shaped_pod("pod", &Shape::of("web").hanging(2), &node).await;
    let policy = DrainPolicy { unreachable_node: UnreachableNode::LeaveTerminating, ..any_pod() };
    let draining = Draining::begin(&node, policy).await;
    draining.pod("pod", |pod| (pod.state == PodState::Terminating).then_some(())).await;
    lose_contact_with(&node).await;
    draining.succeeded().await;
    assert!(workload.find("pod").await.is_some());
}
