//! Drains and budgets that open over time, or that are overridden.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use nodeward_server::drain::{BudgetOverride, DrainPolicy, PodState};
use serde_json::json;

use crate::support::draining::{Draining, any_pod, empty_node, pods_that_are, workload};
use crate::support::shape::Shape;
use crate::support::timeline::Timeline;

#[tokio::test(flavor = "multi_thread")]
async fn each_time_a_budget_opens_one_pod_goes_at_once() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    for name in ["a", "b", "c"] {
        workload.ready_pod(name, "web", &node).await;
    }
    workload.budget("web", "web", 3, 3).await;
    let timeline = Timeline::of(&workload).await;
    let draining = Draining::begin(&node, any_pod()).await;
    let gone = async |count: usize| {
        draining
            .until("so many are gone", |status| (pods_that_are(status, PodState::Gone).len() == count).then_some(()))
            .await;
    };
    for (left, is_gone) in [(2, 1), (1, 2), (0, 3)] {
        draining.blocked().await;
        let opened = Instant::now();
        workload.set_budget("web", left).await;
        gone(is_gone).await;
        // Sooner than it would have been tried again by itself. The pod takes a second to end.
        assert!(opened.elapsed() < Duration::from_secs(5), "{:?}", opened.elapsed());
        assert_eq!(timeline.removals().len(), is_gone);
    }
    draining.succeeded().await;
    assert_eq!(timeline.most_at_once(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_replacements_open_again_is_never_violated() {
    let [node, other] = [empty_node("drain").await, empty_node("drain").await];
    let workload = workload().await;
    workload.runs_on(&node).await;
    workload.controller::<Deployment>("web", &Shape::of("web"), json!({ "replicas": 4 })).await;
    workload.ready("web", 4).await;
    workload.runs_on(&other).await;
    workload.budget("web", "web", 3, 4).await;
    let timeline = Timeline::of(&workload).await;
    Draining::begin(&node, DrainPolicy::default()).await.succeeded().await;
    assert_eq!(timeline.removals().len(), 4, "{:#?}", timeline.all());
    assert_eq!(timeline.fewest_ready(), 3, "{:#?}", timeline.all());
    workload.ready("web", 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_is_overridden_is_not_asked_and_others_are() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    for app in ["web", "db"] {
        workload.ready_pod(app, app, &node).await;
        workload.budget(app, app, 1, 1).await;
    }
    let (namespace, name) = (workload.namespace.clone(), "web".to_owned());
    let overridden = BudgetOverride { namespace, name, reason: "its owner agreed".to_owned() };
    let policy = DrainPolicy { budget_overrides: vec![overridden], ..any_pod() };
    let draining = Draining::begin(&node, policy).await;
    draining.pod("web", |pod| (pod.state == PodState::Gone).then_some(())).await;
    let left = draining.blocked().await;
    assert_eq!(pods_that_are(&left, PodState::Blocked), ["db"]);
    draining.cancel().await;
    assert!(workload.find("db").await.is_some());
}
