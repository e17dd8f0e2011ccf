//! Drains and pods whose replacement has the same name: it is another pod, and on another node none of the drain's business.

use k8s_openapi::api::apps::v1::StatefulSet;
use nodeward_server::drain::{DrainPolicy, PodState};
use serde_json::json;

use crate::support::draining::{Draining, empty_node, pods_that_are, workload};
use crate::support::eventually;
use crate::support::shape::Shape;
use crate::support::timeline::Timeline;
use crate::support::workload::{Workload, is_ready, node_of, uid};

/// A StatefulSet of one pod on the first of these nodes, whose replacement goes to the second one.
async fn stateful_set(workload: &Workload, [first, second]: [&str; 2]) -> String {
    workload.runs_on(first).await;
    let spec = json!({ "serviceName": "db", "replicas": 1 });
    workload.controller::<StatefulSet>("db", &Shape::of("db").grace(1), spec).await;
    let pod = workload.ready("db", 1).await.remove(0);
    workload.runs_on(second).await;
    uid(&pod)
}

async fn assert_runs_on(workload: &Workload, node: &str) {
    let pod = workload.ready("db", 1).await.remove(0);
    assert_eq!(node_of(&pod), Some(node));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_replacement_of_an_evicted_pod_is_not_evicted_on_the_other_node() {
    let (node, other, workload) = (empty_node("drain").await, empty_node("drain").await, workload().await);
    let timeline = Timeline::of(&workload).await;
    let first = stateful_set(&workload, [&node, &other]).await;
    let done = Draining::begin(&node, DrainPolicy::default()).await.succeeded().await;
    assert_eq!(pods_that_are(&done, PodState::Gone), ["db-0"]);
    assert_runs_on(&workload, &other).await;
    let uids = timeline.uids_of("db-0");
    assert_eq!((uids.len(), &uids[0]), (2, &first), "{:#?}", timeline.all());
    assert_eq!(timeline.removals().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_was_replaced_elsewhere_while_it_was_blocked_is_left_alone() {
    let (node, other, workload) = (empty_node("drain").await, empty_node("drain").await, workload().await);
    let timeline = Timeline::of(&workload).await;
    let first = stateful_set(&workload, [&node, &other]).await;
    workload.budget("db", "db", 1, 1).await;
    let draining = Draining::begin(&node, DrainPolicy::default()).await;
    draining.blocked().await;
    // As somebody who does not ask the budget; it blocks evictions of the replacement as well, until it is gone.
    workload.pods().delete("db-0", &Default::default()).await.unwrap();
    eventually("it is replaced", async || {
        workload.find("db-0").await.filter(|pod| uid(pod) != first && is_ready(pod)).map(drop)
    })
    .await;
    workload.delete_budget("db").await;
    draining.succeeded().await;
    assert_runs_on(&workload, &other).await;
    assert_eq!(timeline.uids_of("db-0").len(), 2, "{:#?}", timeline.all());
}
