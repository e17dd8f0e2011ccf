//! Drains that budgets block: what is told of it, and how soon they go on.

use std::time::Duration;

use nodeward_server::drain::{Blocker, PodProgress, PodState};
use nodeward_server::operation::{OperationStatus, State};
use tokio::time::Instant;

use crate::support::draining::Draining;
use crate::support::workload::Workload;
use crate::support::world;

/// Within what time whoever watches is to see it.
const SOON: Duration = Duration::from_secs(2);

/// Where the pod `a` is. There is one of a DaemonSet besides.
fn of_a(status: &OperationStatus) -> &PodProgress {
    status.pods.iter().find(|pod| pod.pod.name == "a").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_pod_is_told_of_soon_and_goes_soon_after_its_budget_has_opened() {
    let node = world().await.node("drain-budget").await;
    let workload = Workload::new(world().await.sandbox.client().await.unwrap(), "drain-budget").await;
    workload.ready_pod("a", "web", &node).await;
    workload.budget("web", "web", 1, 1).await;
    let asked = Instant::now();
    let operation = Draining::asked(&node).await;
    operation.once("it is blocked", |status| status.state == State::Blocked).await;
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());

    // Long after the first refusal, when pauses between attempts have become long.
    workload.budgets().delete("web", &Default::default()).await.unwrap();
    let opened = Instant::now();
    operation
        .once("the pod goes", |status| {
            matches!(of_a(status).state, PodState::Removed | PodState::Terminating | PodState::Gone)
        })
        .await;
    assert!(opened.elapsed() < SOON, "{:?}", opened.elapsed());
    let done = operation.ended().await;
    assert_eq!((done.state, of_a(&done).attempts), (State::Succeeded, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_unready_pods_that_use_a_budget_up_are_named_wherever_they_are() {
    let (node, other) = (world().await.node("drain-budget").await, "a-node-without-a-kubelet");
    let workload = Workload::new(world().await.sandbox.client().await.unwrap(), "drain-budget").await;
    workload.ready_pod("here", "web", &node).await;
    workload.pod("elsewhere", "web", other).await;
    workload.budget("web", "web", 1, 1).await;
    let operation = Draining::asked(&node).await;
    let blocked = operation
        .once("the unready pod is named", |status| {
            let blocker = status.pods.first().and_then(|pod| pod.blocker.as_ref());
            matches!(blocker, Some(Blocker::Budget { unready, .. }) if !unready.is_empty())
        })
        .await;
    let text = blocked.pods[0].blocker.as_ref().unwrap().to_string();
    let namespace = &workload.namespace;
    assert_eq!(
        text,
        format!("budget {namespace}/web needs 1 healthy pods and has 1; not ready: {namespace}/elsewhere")
    );
    workload.budgets().delete("web", &Default::default()).await.unwrap();
    assert_eq!(operation.ended().await.state, State::Succeeded);
    // It was of another node.
    workload.pods().get("elsewhere").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_of_several_budgets_is_told_so_and_goes_when_one_is_left() {
    let node = world().await.node("drain-budget").await;
    let workload = Workload::new(world().await.sandbox.client().await.unwrap(), "drain-budget").await;
    workload.ready_pod("a", "web", &node).await;
    for name in ["first", "second"] {
        workload.budget(name, "web", 0, 1).await;
    }
    let operation = Draining::asked(&node).await;
    let blocked = operation.once("it is blocked", |status| status.state == State::Blocked).await;
    let budgets = ["first", "second"].map(|name| format!("{}/{name}", workload.namespace)).to_vec();
    assert_eq!(blocked.pods[0].blocker, Some(Blocker::SeveralBudgets { budgets }));
    workload.budgets().delete("first", &Default::default()).await.unwrap();
    assert_eq!(operation.ended().await.state, State::Succeeded);
}

/// How many nodes are drained at once.
const FLEET: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_that_is_drained_at_once_never_takes_more_than_its_budget_allows() {
    let workload = Workload::new(world().await.sandbox.client().await.unwrap(), "drain-fleet").await;
    let mut nodes = Vec::new();
    for number in 0..FLEET {
        let node = world().await.node("drain-fleet").await;
        workload.ready_pod(&format!("free-{number}"), "free", &node).await;
        workload.ready_pod(&format!("held-{number}"), "held", &node).await;
        nodes.push(node);
    }
    // Nobody replaces them: three may go, and no more.
    let (left, all) = (FLEET - 3, FLEET);
    workload.budget("held", "held", left.try_into().unwrap(), all.try_into().unwrap()).await;
    let mut operations = Vec::new();
    for node in &nodes {
        operations.push(Draining::asked(node).await);
    }
    let mut blocked = 0;
    for operation in &operations {
        let status = operation
            .once("it has ended, or is blocked by the budget", |status| {
                status.state.is_final() || status.state == State::Blocked
            })
            .await;
        blocked += usize::from(status.state == State::Blocked);
    }
    assert!(blocked >= left, "{blocked}");
    let pods = workload.pods().list(&Default::default()).await.unwrap().items;
    let held = pods.iter().filter(|pod| pod.metadata.name.as_deref().unwrap().starts_with("held-"));
    assert_eq!(held.filter(|pod| pod.metadata.deletion_timestamp.is_none()).count(), left);

    workload.budgets().delete("held", &Default::default()).await.unwrap();
    for operation in &operations {
        assert_eq!(operation.ended().await.state, State::Succeeded);
    }
    assert!(workload.pods().list(&Default::default()).await.unwrap().items.is_empty());
}
