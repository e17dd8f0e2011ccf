//! Drains, carried out as operations.

use nodeward_server::drain::PodState;
use nodeward_server::operation::State;

use crate::support::draining::Draining;
use crate::support::workload::Workload;
use crate::support::world;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_cordoned_and_emptied() {
    let node = world().await.node("drain").await;
    let workload = Workload::new(world().await.sandbox.client().await.unwrap(), "drain").await;
    for name in ["a", "b"] {
        workload.ready_pod(name, "web", &node).await;
    }
    let operation = Draining::asked(&node).await;
    let done = operation.ended().await;
    assert_eq!(done.state, State::Succeeded, "{done:#?}");
    assert!(done.pods.iter().all(|pod| matches!(pod.state, PodState::Gone | PodState::Skipped)), "{:#?}", done.pods);
    assert!(workload.pods().list(&Default::default()).await.unwrap().items.is_empty());
    let node = world().await.kubernetes().await.get(&node).await.unwrap();
    assert_eq!(node.spec.unwrap().unschedulable, Some(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_blocks_it_with_its_numbers_until_it_opens() {
    let node = world().await.node("drain").await;
    let workload = Workload::new(world().await.sandbox.client().await.unwrap(), "drain").await;
    workload.ready_pod("a", "web", &node).await;
    workload.budget("web", "web", 1, 1).await;
    let operation = Draining::asked(&node).await;
    let blocked = operation.once("it is blocked", |status| status.state == State::Blocked).await;
    let text = blocked.pods[0].blocker.as_ref().unwrap().to_string();
    assert_eq!(text, format!("budget {}/web needs 1 healthy pods and has 1", workload.namespace));

    workload.budgets().delete("web", &Default::default()).await.unwrap();
    let done = operation.ended().await;
    assert_eq!(done.state, State::Succeeded, "{done:#?}");
}
