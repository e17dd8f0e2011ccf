//! Drains, and others who cordon and uncordon the same node; and drains that are told to end.

use nodeward_server::drain::{DrainPolicy, OnUncordon, PodState};
use nodeward_server::operation::{Cancel, CordonState, OperationStatus, Requester, State};

use crate::support::draining::{Draining, any_pod};
use crate::support::workload::Workload;
use crate::support::{eventually, world};

/// A drain that a budget blocks.
struct Blocked {
    node: String,
    workload: Workload,
    operation: Draining,
}

impl Blocked {
    async fn with(on_uncordon: OnUncordon) -> Self {
        let node = world().await.node("drain-cordon").await;
        Self::on(node, on_uncordon).await
    }

    async fn on(node: String, on_uncordon: OnUncordon) -> Self {
        let workload = Workload::new(world().await.sandbox.client().await.unwrap(), "drain-cordon").await;
        workload.ready_pod("a", "web", &node).await;
        workload.budget("web", "web", 1, 1).await;
        let policy = DrainPolicy { on_uncordon, ..any_pod() };
        let operation = Draining::begin(&node, policy).await;
        let blocked = Self { node, workload, operation };
        blocked.once("it is blocked", |status| status.state == State::Blocked).await;
        blocked
    }

    async fn once(&self, what: &str, is_so: impl Fn(&OperationStatus) -> bool) -> OperationStatus {
        self.operation.once(what, is_so).await
    }

    async fn ended(&self) -> OperationStatus {
        self.operation.ended().await
    }

    async fn kubectl(&self, verb: &str) {
        world().await.sandbox.kubectl([verb, &self.node]).await.unwrap();
    }

    async fn open_budget(&self) {
        self.workload.budgets().delete("web", &Default::default()).await.unwrap();
    }

    async fn cancel(&self, release_cordon: bool) -> OperationStatus {
        let (username, reason) = ("alice".to_owned(), "not today".to_owned());
        self.operation.cancel_as(Cancel { username, reason, release_cordon, ..Cancel::default() }).await
    }

    async fn is_cordoned(&self) -> bool {
        let node = world().await.kubernetes().await.get(&self.node).await.unwrap();
        node.spec.unwrap().unschedulable == Some(true)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_kubectl_makes_schedulable_is_cordoned_again() {
    let drain = Blocked::with(OnUncordon::CordonAgain).await;
    let before = drain.once("it is cordoned", |status| status.cordon.state == CordonState::Own).await;
    drain.kubectl("uncordon").await;
    let after = drain
        .once("it is cordoned again", |status| {
            status.cordon.state == CordonState::Own && status.cordon.sequence > before.cordon.sequence + 1
        })
        .await;
    // Kubernetes keeps no trace of whoever only takes a field away.
    assert_eq!(after.cordon.manager, "");
    assert!(drain.is_cordoned().await);
    drain.open_budget().await;
    assert_eq!(drain.ended().await.state, State::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_pauses_while_the_node_is_schedulable_if_its_policy_says_so() {
    let drain = Blocked::with(OnUncordon::Pause).await;
    drain.kubectl("uncordon").await;
    let paused = drain.once("it pauses", |status| status.state == State::Paused).await;
    assert_eq!(paused.cordon.state, CordonState::Lifted);
    drain.open_budget().await;
    let node = world().await.kubernetes().await;
    eventually("the drain has seen that the budget is gone", async || {
        let status = drain.operation.status().await;
        status.pods[0].blocker.is_none().then_some(())
    })
    .await;
    assert!(drain.workload.pods().get("a").await.unwrap().metadata.deletion_timestamp.is_none());
    drain.kubectl("cordon").await;
    let done = drain.ended().await;
    assert_eq!((done.state, done.cordon.state), (State::Succeeded, CordonState::Foreign));
    assert!(node.get(&drain.node).await.unwrap().spec.unwrap().unschedulable.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_is_cancelled_when_the_node_is_made_schedulable_if_its_policy_says_so() {
    let drain = Blocked::with(OnUncordon::Cancel).await;
    drain.kubectl("uncordon").await;
    let done = drain.ended().await;
    assert_eq!((done.state, done.cordon.state), (State::Cancelled, CordonState::Lifted));
    assert_eq!(done.message, "somebody has made the node schedulable; the node is schedulable");
    assert_eq!(done.pods[0].state, PodState::Failed);
    assert!(!drain.is_cordoned().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_is_cancelled_leaves_its_cordon() {
    let drain = Blocked::with(OnUncordon::CordonAgain).await;
    let done = drain.cancel(false).await;
    assert_eq!((done.state, done.cordon.state), (State::Cancelled, CordonState::Left));
    assert_eq!(done.message, "cancelled by alice: not today; the node stays cordoned");
    assert_eq!(done.pods[0].state, PodState::Failed);
    assert!(drain.is_cordoned().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_is_cancelled_takes_its_cordon_back_if_it_is_told_to() {
    let drain = Blocked::with(OnUncordon::CordonAgain).await;
    let done = drain.cancel(true).await;
    assert_eq!((done.state, done.cordon.state), (State::Cancelled, CordonState::Released));
    assert!(!drain.is_cordoned().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kubectl_had_cordoned_before_stays_so_whatever_becomes_of_the_drain() {
    let node = world().await.node("drain-cordon").await;
    world().await.sandbox.kubectl(["cordon", &node]).await.unwrap();
    let drain = Blocked::on(node, OnUncordon::CordonAgain).await;
    let status = drain.once("it is cordoned", |status| status.cordon.sequence > 0).await;
    assert_eq!((status.cordon.state, status.cordon.manager.as_str()), (CordonState::Foreign, "kubectl"));
    let done = drain.cancel(true).await;
    assert_eq!((done.state, done.cordon.state), (State::Cancelled, CordonState::Foreign));
    assert!(drain.is_cordoned().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_cordon_a_node_does_not_drain_it() {
    let node = world().await.node("drain-cordon").await;
    let workload = Workload::new(world().await.sandbox.client().await.unwrap(), "drain-cordon").await;
    workload.ready_pod("a", "web", &node).await;
    let requester = Requester { username: "mallory".into(), ..Requester::default() };
    let done = Draining::begin_as(&node, any_pod(), requester).await.ended().await;
    assert_eq!((done.state, done.failure.unwrap().reason.as_str()), (State::Failed, "ACCESS_DENIED"));
    assert!(workload.pods().get("a").await.unwrap().metadata.deletion_timestamp.is_none());
    let node = world().await.kubernetes().await.get(&node).await.unwrap();
    assert_eq!(node.spec.unwrap().unschedulable, None);
}
