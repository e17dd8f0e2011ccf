//! In which order a drain removes pods, which it leaves, and which it waits for.

use std::num::NonZeroU32;

use k8s_openapi::api::batch::v1::Job;
use nodeward_server::drain::{Blocker, DrainPolicy, PodOrdering, PodRule, PodRuleSelector, PodState, RuleBehavior};
use nodeward_server::node::selector::LabelSelector;
use serde_json::json;

use crate::support::draining::{Draining, any_pod, empty_node, pods_that_are, workload};
use crate::support::shape::Shape;
use crate::support::timeline::Timeline;

const LABEL: &str = "nodeward.dev/drain";

/// A rule for the pods of this app.
fn rule(app: &str, drain: RuleBehavior) -> PodRule {
    let selector = LabelSelector::parse(&format!("app={app}")).unwrap();
    PodRule { name: app.to_owned(), pods: vec![PodRuleSelector { selector, ..Default::default() }], drain }
}

/// A pod that the cluster can't do without.
fn critical(app: &str) -> Shape {
    Shape::of(app).spec("priorityClassName", json!("system-cluster-critical"))
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_a_higher_order_go_when_those_of_a_lower_one_are_gone() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    for name in ["db", "web", "proxy"] {
        workload.ready_pod(name, name, &node).await;
    }
    let timeline = Timeline::of(&workload).await;
    let rules = vec![rule("db", RuleBehavior::Drain { order: 10 }), rule("proxy", RuleBehavior::Drain { order: -1 })];
    let draining = Draining::begin(&node, DrainPolicy { rules, ..any_pod() }).await;
    draining.blocker("db", |blocker| *blocker == Blocker::EarlierTurn { pods: 2 }).await;
    draining.succeeded().await;
    timeline.assert_gone_before("proxy", "web");
    timeline.assert_gone_before("web", "db");
}

#[tokio::test(flavor = "multi_thread")]
async fn critical_pods_go_last_and_only_when_the_others_are_gone() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.ready_shaped_pod("dns", &critical("dns"), &node).await;
    workload.ready_shaped_pod("web", &Shape::of("web").grace(3), &node).await;
    let timeline = Timeline::of(&workload).await;
    Draining::begin(&node, any_pod()).await.succeeded().await;
    timeline.assert_gone_before("web", "dns");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_go_at_once_if_the_policy_says_so() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.ready_shaped_pod("dns", &critical("dns").grace(3), &node).await;
    workload.ready_shaped_pod("web", &Shape::of("web").grace(3), &node).await;
    let timeline = Timeline::of(&workload).await;
    let policy = DrainPolicy { ordering: PodOrdering::AllAtOnce, ..any_pod() };
    Draining::begin(&node, policy).await.succeeded().await;
    assert_eq!(timeline.most_at_once(), 2, "{:#?}", timeline.all());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_parallelism_of_one_a_pod_goes_when_the_one_before_is_gone() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    for name in ["a", "b", "c"] {
        workload.ready_pod(name, "web", &node).await;
    }
    let timeline = Timeline::of(&workload).await;
    let policy = DrainPolicy { parallelism: NonZeroU32::new(1), ..any_pod() };
    Draining::begin(&node, policy).await.succeeded().await;
    assert_eq!((timeline.removals().len(), timeline.most_at_once()), (3, 1), "{:#?}", timeline.all());
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_say_so_of_themselves_or_of_which_a_rule_says_so_stay() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.ready_shaped_pod("labelled", &Shape::of("web").label(LABEL, "skip"), &node).await;
    workload.ready_pod("ruled", "agent", &node).await;
    workload.ready_pod("other", "web", &node).await;
    let rules = vec![rule("agent", RuleBehavior::Skip)];
    let done = Draining::begin(&node, DrainPolicy { rules, ..any_pod() }).await.succeeded().await;
    assert_eq!(pods_that_are(&done, PodState::Gone), ["other"]);
    for name in ["labelled", "ruled"] {
        assert!(workload.find(name).await.unwrap().metadata.deletion_timestamp.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_label_of_a_pod_counts_for_more_than_a_rule() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.ready_shaped_pod("pod", &Shape::of("web").label(LABEL, "skip"), &node).await;
    let rules = vec![rule("web", RuleBehavior::Drain { order: 0 })];
    Draining::begin(&node, DrainPolicy { rules, ..any_pod() }).await.succeeded().await;
    assert!(workload.find("pod").await.unwrap().metadata.deletion_timestamp.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_to_complete_does_so_and_is_removed_then() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    workload.runs_on(&node).await;
    let shape = Shape::of("batch").label(LABEL, "wait-completed").finishing_after("4s");
    workload.controller::<Job>("batch", &shape, json!({})).await;
    let pod = workload.ready("batch", 1).await.remove(0).metadata.name.unwrap();
    let draining = Draining::begin(&node, any_pod()).await;
    draining.blocker(&pod, |blocker| *blocker == Blocker::NotCompleted).await;
    let done = draining.succeeded().await;
    assert_eq!(pods_that_are(&done, PodState::Gone), [pod.as_str()]);
    let job = workload.all::<Job>().get("batch").await.unwrap().status.unwrap();
    assert_eq!((job.succeeded, job.failed), (Some(1), None), "{job:?}");
}
