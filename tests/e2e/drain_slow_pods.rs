//! Drains and pods that take their time: it is told what they wait for, and they are waited for.

use std::time::{Duration, Instant};

use nodeward_server::drain::{Blocker, DrainPolicy, PodState};

use crate::support::draining::{Draining, any_pod, empty_node, pods_that_are, workload};
use crate::support::shape::Shape;
use crate::support::timeline::Timeline;

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_has_its_grace_period_and_it_is_told_until_when() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.ready_shaped_pod("slow", &Shape::of("web").grace(6), &node).await;
    let timeline = Timeline::of(&workload).await;
    let (asked, draining) = (Instant::now(), Draining::begin(&node, any_pod()).await);
    let blocker = draining.blocker("slow", |blocker| matches!(blocker, Blocker::GracePeriod { .. })).await;
    let Blocker::GracePeriod { until } = blocker else { unreachable!() };
    let ends = workload.find("slow").await.unwrap().metadata.deletion_timestamp.unwrap().0;
    assert_eq!(until, ends);
    assert_eq!(timeline.grace_of("slow"), Some(6));

    draining.pod("slow", |pod| (pod.state == PodState::Gone).then_some(())).await;
    assert!(asked.elapsed() >= Duration::from_secs(5), "{:?}", asked.elapsed());
    draining.succeeded().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grace_period_of_the_policy_counts_instead_of_the_pods_own() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.ready_pod("pod", "web", &node).await;
    let timeline = Timeline::of(&workload).await;
    let policy = DrainPolicy { grace_period_seconds: Some(7), ..any_pod() };
    Draining::begin(&node, policy).await.succeeded().await;
    assert_eq!(timeline.grace_of("pod"), Some(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_a_finalizer_holds_is_overdue_until_it_is_removed() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    let held = Shape::of("web").grace(1).finalizer("example.com/hold");
    workload.ready_shaped_pod("held", &held, &node).await;
    let draining = Draining::begin(&node, any_pod()).await;
    let blocker = draining.blocker("held", |blocker| matches!(blocker, Blocker::Overdue { .. })).await;
    let Blocker::Overdue { finalizers, .. } = blocker else { unreachable!() };
    assert_eq!(finalizers, ["example.com/hold"]);
    draining.blocked().await;

    workload.drop_finalizers("held").await;
    draining.succeeded().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_was_already_ending_is_waited_for_and_not_removed_again() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.ready_shaped_pod("ending", &Shape::of("web").grace(4), &node).await;
    workload.pods().delete("ending", &Default::default()).await.unwrap();
    let draining = Draining::begin(&node, any_pod()).await;
    let done = draining.succeeded().await;
    assert_eq!(pods_that_are(&done, PodState::Gone), ["ending"]);
    assert_eq!(done.pods[0].attempts, 0, "{done:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_has_been_ending_for_too_long_is_left_if_the_policy_says_so() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    let held = Shape::of("web").grace(1).finalizer("example.com/hold");
    workload.ready_shaped_pod("held", &held, &node).await;
    workload.pods().delete("held", &Default::default()).await.unwrap();
    let policy = DrainPolicy { leave_terminating_after: Some(Duration::from_secs(2)), ..any_pod() };
    Draining::begin(&node, policy).await.succeeded().await;
    assert!(workload.find("held").await.is_some());
    workload.drop_finalizers("held").await;
}
