//! Drains whose evictions somebody does not admit.

use nodeward_server::drain::Blocker;

use crate::support::admission::Hindrance;
use crate::support::draining::{Draining, empty_node, workload};
use crate::support::webhook::Webhook;

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_denies_evictions_is_named_and_the_drain_goes_on_when_it_is_gone() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    let pod = workload.ready_pod("pod", "web", &node).await;
    let policy = Hindrance::of_evictions(&workload, &pod).await;
    denied_until_removed(&node, policy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_denies_evictions_is_named_and_the_drain_goes_on_when_it_is_gone() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    let pod = workload.ready_pod("pod", "web", &node).await;
    let webhook = Webhook::denying().await;
    let denial = Hindrance::by_webhook(&workload, &pod, &webhook).await;
    denied_until_removed(&node, denial).await;
}

async fn denied_until_removed(node: &str, denial: Hindrance) {
    let draining = Draining::asked(node).await;
    let blocker = draining.blocker("pod", |blocker| matches!(blocker, Blocker::Denied { .. })).await;
    let Blocker::Denied { message, admission } = &blocker else { unreachable!() };
    assert_eq!(admission, &denial.name, "{message}");
    draining.blocked().await;
    denial.remove().await;
    draining.succeeded().await;
}

/// Kubernetes answers that with an error 500, at which kubectl gives the node up.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_down_does_not_end_the_drain() {
    let (node, workload) = (empty_node("drain").await, workload().await);
    let pod = workload.ready_pod("pod", "web", &node).await;
    let webhook = Webhook::silent().await;
    let down = Hindrance::by_webhook(&workload, &pod, &webhook).await;
    let draining = Draining::asked(&node).await;
    let blocker = draining.blocker("pod", |blocker| matches!(blocker, Blocker::Unavailable { .. })).await;
    assert!(blocker.to_string().contains(&down.name), "{blocker}");
    down.remove().await;
    draining.succeeded().await;
}
