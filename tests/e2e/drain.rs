//! Drains, carried out as operations.

use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::{Api, ResourceExt as _};
use nodeward_server::cluster::{Cluster, ClusterOptions, Connection, WriteAs};
use nodeward_server::drain::{DrainPolicy, PodState};
use nodeward_server::operation::{OperationStatus, Requester, State};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::operations::{any_pod, operation, to_drain};
use crate::support::workload::Workload;
use crate::support::{eventually, world};

/// The cluster, whose shared server carries operations out.
pub async fn cluster() -> Cluster {
    let options = ClusterOptions {
        kubeconfig: Some(world().await.sandbox.kubeconfig_path().to_owned()),
        write_as: WriteAs::Server,
        ..ClusterOptions::default()
    };
    let cluster = Cluster::new(Connection::open(&options).await.unwrap());
    let (running, stop) = (cluster.clone(), CancellationToken::new());
    tokio::spawn(async move { running.run(stop).await });
    cluster.store().ready().await;
    cluster
}

pub async fn drain(cluster: &Cluster, node: &str, policy: DrainPolicy) -> String {
    drain_for(cluster, node, policy, Requester::default()).await
}

/// The same, in the name of somebody else than the server.
pub async fn drain_for(cluster: &Cluster, node: &str, policy: DrainPolicy, requester: Requester) -> String {
    let nodes: Api<Node> = world().await.kubernetes().await;
    let uid = nodes.get(node).await.unwrap().metadata.uid.unwrap();
    let operation = operation(to_drain(node, &uid, &policy, requester));
    cluster.operations().create(&operation, deadline()).await.unwrap();
    operation.name_any()
}

pub fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

pub async fn status(cluster: &Cluster, name: &str) -> OperationStatus {
    cluster.operations().get(name, deadline()).await.unwrap().unwrap().status.unwrap_or_default()
}

/// Its status, once it is as is asked for.
pub async fn once(
    what: &str,
    cluster: &Cluster,
    name: &str,
    is_so: impl Fn(&OperationStatus) -> bool,
) -> OperationStatus {
    eventually(what, async || Some(status(cluster, name).await).filter(|status| is_so(status))).await
}

/// Its status, once it has ended.
pub async fn ended(cluster: &Cluster, name: &str) -> OperationStatus {
    once("the drain has ended", cluster, name, |status| status.state.is_final()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_cordoned_and_emptied() {
    let cluster = cluster().await;
    let node = world().await.node("drain").await;
    let workload = Workload::new(world().await.sandbox.client().await.unwrap(), "drain").await;
    for name in ["a", "b"] {
        workload.ready_pod(name, "web", &node).await;
    }
    let operation = drain(&cluster, &node, any_pod()).await;
    let done = ended(&cluster, &operation).await;
    assert_eq!(done.state, State::Succeeded, "{done:#?}");
    assert!(done.pods.iter().all(|pod| matches!(pod.state, PodState::Gone | PodState::Skipped)), "{:#?}", done.pods);
    assert!(workload.pods().list(&Default::default()).await.unwrap().items.is_empty());
    let node = world().await.kubernetes().await.get(&node).await.unwrap();
    assert_eq!(node.spec.unwrap().unschedulable, Some(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_blocks_it_with_its_numbers_until_it_opens() {
    let cluster = cluster().await;
    let node = world().await.node("drain").await;
    let workload = Workload::new(world().await.sandbox.client().await.unwrap(), "drain").await;
    workload.ready_pod("a", "web", &node).await;
    workload.budget("web", "web", 1, 1).await;
    let operation = drain(&cluster, &node, any_pod()).await;
    let blocked = once("it is blocked", &cluster, &operation, |status| status.state == State::Blocked).await;
    let text = blocked.pods[0].blocker.as_ref().unwrap().to_string();
    assert_eq!(text, format!("budget {}/web needs 1 healthy pods and has 1", workload.namespace));

    workload.budgets().delete("web", &Default::default()).await.unwrap();
    let done = ended(&cluster, &operation).await;
    assert_eq!(done.state, State::Succeeded, "{done:#?}");
}
