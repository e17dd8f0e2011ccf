//! Drains that must be over in time.

use std::time::Duration;

use nodeward_server::drain::{AtDeadline, DrainPolicy, PodRule, PodState, RuleBehavior};
use nodeward_server::operation::State;

use crate::support::draining::{Draining, any_pod, empty_node, is_cordoned, pods_that_are, workload};
use crate::support::shape::Shape;
use crate::support::timeline::Timeline;

fn within(seconds: u64, at_deadline: AtDeadline) -> DrainPolicy {
    DrainPolicy { deadline: Some(Duration::from_secs(seconds)), at_deadline, ..any_pod() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_is_late_fails_and_leaves_what_is_left() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.ready_pod("blocked", "web", &node).await;
    workload.budget("web", "web", 1, 1).await;
    let ended = Draining::begin(&node, within(3, AtDeadline::Fail)).await.ended().await;
    assert_eq!(ended.state, State::Failed, "{ended:#?}");
    assert_eq!(ended.failure.unwrap().reason, "DEADLINE_EXCEEDED");
    assert!(workload.find("blocked").await.unwrap().metadata.deletion_timestamp.is_none());
    assert!(is_cordoned(&node).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_pod_is_deleted_in_time_to_end_by_the_deadline() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.ready_shaped_pod("blocked", &Shape::of("web").grace(2), &node).await;
    workload.budget("web", "web", 1, 1).await;
    let timeline = Timeline::of(&workload).await;
    let draining = Draining::begin(&node, within(6, AtDeadline::Delete)).await;
    draining.blocked().await;
    assert_eq!(timeline.removals().len(), 0);
    let done = draining.succeeded().await;
    assert_eq!(pods_that_are(&done, PodState::Gone), ["blocked"]);
    let grace = timeline.grace_of("blocked").unwrap();
    assert!((1..=2).contains(&grace), "{grace}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_wants_more_time_than_there_is_gets_what_is_left() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.ready_pod("slow", "web", &node).await;
    workload.budget("web", "web", 1, 1).await;
    let timeline = Timeline::of(&workload).await;
    Draining::begin(&node, within(4, AtDeadline::Delete)).await.succeeded().await;
    // It would have had 30 seconds.
    let grace = timeline.grace_of("slow").unwrap();
    assert!((1..=4).contains(&grace), "{grace}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pod_is_killed_at_once_however_late_it_is() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    let timeline = Timeline::of(&workload).await;
    // It holds the drain beyond its deadline.
    workload.ready_shaped_pod("held", &Shape::of("web").finalizer("example.com/hold"), &node).await;
    let draining = Draining::begin(&node, within(1, AtDeadline::Delete)).await;
    draining.pod("held", |pod| (pod.state == PodState::Terminating).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(2)).await; // The deadline passes, of which nobody is told.
    workload.shaped_pod("late", &Shape::of("web").grace(0), &node).await;
    draining.pod("late", |pod| (pod.state == PodState::Gone).then_some(())).await;
    assert_eq!(timeline.grace_of("late"), Some(1));
    workload.drop_finalizers("held").await;
    draining.succeeded().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_whose_completion_was_waited_for_go_at_the_deadline_and_skipped_ones_stay() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.ready_pod("batch", "batch", &node).await;
    workload.ready_shaped_pod("kept", &Shape::of("web").label("nodeward.dev/drain", "skip"), &node).await;
    let rule = PodRule { name: "all".to_owned(), pods: Vec::new(), drain: RuleBehavior::WaitCompleted };
    let policy = DrainPolicy { rules: vec![rule], ..within(3, AtDeadline::Delete) };
    let done = Draining::begin(&node, policy).await.succeeded().await;
    assert_eq!(pods_that_are(&done, PodState::Gone), ["batch"]);
    assert!(workload.find("kept").await.unwrap().metadata.deletion_timestamp.is_none());
}
