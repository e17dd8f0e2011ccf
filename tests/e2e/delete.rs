//! DeleteNode and DeleteNodes.

use kube::api::Patch;
use nodeward_api::v1::{
    Consistency, CordonNodeRequest, DeleteNodeRequest, DeleteNodesRequest, GetNodeRequest, ListNodesRequest,
};
use nodeward_server::args::ServeOptions;
use serde_json::json;
use tonic::Code;
use uuid::Uuid;

use crate::support::{assert_error, assert_violation, connect, eventually, unique, world};

fn delete(node: &str) -> DeleteNodeRequest {
    DeleteNodeRequest { name: format!("nodes/{node}"), ..Default::default() }
}

async fn exists(node: &str) -> bool {
    world().await.kubernetes().await.get_opt(node).await.unwrap().is_some()
}

#[tokio::test]
async fn a_deleted_node_is_gone() {
    let node = world().await.node("delete").await;
    world().await.client().await.delete_node(delete(&node)).await.unwrap();
    assert!(!exists(&node).await);
}

#[tokio::test]
async fn an_absent_node_is_not_found_unless_that_is_allowed() {
    let mut client = world().await.client().await;
    assert_error(client.delete_node(delete("nowhere")).await, Code::NotFound, "NODE_NOT_FOUND");
    client.delete_node(DeleteNodeRequest { allow_missing: true, ..delete("nowhere") }).await.unwrap();
}

#[tokio::test]
async fn an_outdated_etag_is_refused() {
    let node = world().await.node("delete").await;
    let mut client = world().await.client().await;
    let request = DeleteNodeRequest { etag: "\"1\"".into(), request_id: Uuid::new_v4().to_string(), ..delete(&node) };
    assert_error(client.delete_node(request).await, Code::Aborted, "ETAG_MISMATCH");
    assert!(exists(&node).await);

    let request = GetNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    let etag = client.get_node(request).await.unwrap().into_inner().etag;
    client.delete_node(DeleteNodeRequest { etag, ..delete(&node) }).await.unwrap();
    assert!(!exists(&node).await);
}

#[tokio::test]
async fn validating_only_deletes_nothing() {
    let node = world().await.node("delete").await;
    let request = DeleteNodeRequest { validate_only: true, ..delete(&node) };
    world().await.client().await.delete_node(request).await.unwrap();
    assert!(exists(&node).await);
}

#[tokio::test]
async fn a_request_sent_again_does_not_delete_a_new_node_of_that_name() {
    let node = world().await.node("delete").await;
    let request = DeleteNodeRequest { request_id: Uuid::new_v4().to_string(), ..delete(&node) };
    world().await.client().await.delete_node(request.clone()).await.unwrap();
    world().await.client().await.delete_node(request.clone()).await.unwrap();

    world().await.sandbox.create_nodes(std::slice::from_ref(&node)).await.unwrap();
    let other = world().await.another_server(ServeOptions::default()).await;
    connect(other.address()).await.delete_node(request.clone()).await.unwrap();
    assert!(exists(&node).await);

    let other_body = DeleteNodeRequest { reason: "another".into(), ..request };
    let result = connect(other.address()).await.delete_node(other_body).await;
    assert_error(result, Code::InvalidArgument, "REQUEST_ID_CONFLICT");
    other.stop().await.unwrap();
}

#[tokio::test]
async fn a_request_that_found_no_node_does_not_delete_one_that_comes_later() {
    let node = unique("delete");
    let request = DeleteNodeRequest { request_id: Uuid::new_v4().to_string(), allow_missing: true, ..delete(&node) };
    let mut client = world().await.client().await;
    client.delete_node(request.clone()).await.unwrap();
    world().await.sandbox.create_nodes(std::slice::from_ref(&node)).await.unwrap();
    client.delete_node(request).await.unwrap();
    assert!(exists(&node).await);
}

#[tokio::test]
async fn a_request_sent_again_while_a_finalizer_holds_the_node_succeeds() {
    let node = world().await.node("delete").await;
    let kubernetes = world().await.kubernetes().await;
    let finalizers = |finalizers| Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    kubernetes.patch(&node, &Default::default(), &finalizers(json!(["example.com/hold"]))).await.unwrap();
    let mut client = world().await.client().await;
    let get = GetNodeRequest {
        name: format!("nodes/{node}"),
        consistency: Consistency::Consistent.into(),
        ..Default::default()
    };
    let etag = client.get_node(get).await.unwrap().into_inner().etag;

    let request = DeleteNodeRequest { request_id: Uuid::new_v4().to_string(), etag, ..delete(&node) };
    client.delete_node(request.clone()).await.unwrap();
    assert!(kubernetes.get(&node).await.unwrap().metadata.deletion_timestamp.is_some());
    client.delete_node(request.clone()).await.unwrap();

    kubernetes.patch(&node, &Default::default(), &finalizers(json!(null))).await.unwrap();
    client.delete_node(request).await.unwrap();
    assert!(!exists(&node).await);
}

#[tokio::test]
async fn a_request_id_of_a_deletion_is_refused_for_other_requests() {
    let [node, other] = [world().await.node("delete").await, world().await.node("delete").await];
    let request_id = Uuid::new_v4().to_string();
    let mut client = world().await.client().await;
    client.delete_node(DeleteNodeRequest { request_id: request_id.clone(), ..delete(&node) }).await.unwrap();
    let cordon =
        CordonNodeRequest { name: format!("nodes/{other}"), request_id, validate_only: true, ..Default::default() };
    let refused = eventually("the server knows the request", async || client.cordon_node(cordon.clone()).await.err());
    assert_error(Err::<(), _>(refused.await), Code::InvalidArgument, "REQUEST_ID_CONFLICT");
}

/// Nodes with a label that only they have; the selector for it.
async fn nodes_with_label(count: usize) -> (Vec<String>, String) {
    let group = unique("group");
    let mut names = Vec::new();
    for _ in 0..count {
        let name = world().await.node("collection").await;
        let patch = serde_json::json!({"metadata": {"labels": {"group": group}}});
        let kubernetes = world().await.kubernetes().await;
        kubernetes.patch(&name, &Default::default(), &kube::api::Patch::Merge(patch)).await.unwrap();
        names.push(name);
    }
    names.sort();
    (names, format!("group={group}"))
}

fn delete_nodes(label_selector: &str, expected_count: i32) -> DeleteNodesRequest {
    DeleteNodesRequest { label_selector: label_selector.into(), expected_count, ..Default::default() }
}

#[tokio::test]
async fn a_collection_is_deleted_if_it_has_the_expected_size() {
    let (names, selector) = nodes_with_label(3).await;
    let mut client = world().await.client().await;
    let result = client.delete_nodes(delete_nodes(&selector, 2)).await;
    assert_error(result, Code::FailedPrecondition, "COUNT_MISMATCH");
    assert!(exists(&names[0]).await);

    let deleted = client.delete_nodes(delete_nodes(&selector, 3)).await.unwrap().into_inner().deleted_nodes;
    assert_eq!(deleted, names.iter().map(|name| format!("nodes/{name}")).collect::<Vec<_>>());
    for name in names {
        assert!(!exists(&name).await);
    }
}

#[tokio::test]
async fn a_collection_that_is_not_the_listed_one_is_left_alone() {
    let (names, selector) = nodes_with_label(2).await;
    let mut client = world().await.client().await;
    let list = ListNodesRequest {
        label_selector: selector.clone(),
        consistency: Consistency::Consistent.into(),
        ..Default::default()
    };
    let etag = client.list_nodes(list).await.unwrap().into_inner().etag;
    world().await.kubernetes().await.delete(&names[0], &Default::default()).await.unwrap();

    let result = client.delete_nodes(DeleteNodesRequest { etag, ..delete_nodes(&selector, 1) }).await;
    assert_error(result, Code::Aborted, "ETAG_MISMATCH");
    assert!(exists(&names[1]).await);
}

#[tokio::test]
async fn validating_only_says_what_would_be_deleted() {
    let (names, selector) = nodes_with_label(2).await;
    let request = DeleteNodesRequest { validate_only: true, ..delete_nodes(&selector, 2) };
    let shown = world().await.client().await.delete_nodes(request).await.unwrap().into_inner().deleted_nodes;
    assert_eq!(shown.len(), 2);
    assert!(exists(&names[0]).await && exists(&names[1]).await);
}

#[tokio::test]
async fn a_collection_deleted_again_gives_the_same_answer() {
    let (_, selector) = nodes_with_label(2).await;
    let request = DeleteNodesRequest { request_id: Uuid::new_v4().to_string(), ..delete_nodes(&selector, 2) };
    let mut client = world().await.client().await;
    let first = client.delete_nodes(request.clone()).await.unwrap().into_inner();
    let again = client.delete_nodes(request).await.unwrap().into_inner();
    assert_eq!(first, again);
}

#[tokio::test]
async fn bad_fields_are_named() {
    let mut client = world().await.client().await;
    assert_violation(client.delete_node(DeleteNodeRequest { name: "x".into(), ..Default::default() }).await, "name");
    let bad = DeleteNodeRequest { propagation_policy: 9, ..delete("x") };
    assert_violation(client.delete_node(bad).await, "propagation_policy");
    assert_violation(client.delete_node(DeleteNodeRequest { etag: "x".into(), ..delete("x") }).await, "etag");
    let bad = DeleteNodeRequest { reason: "x".repeat(1025), ..delete("x") };
    assert_violation(client.delete_node(bad).await, "reason");
    assert_violation(
        client.delete_node(DeleteNodeRequest { request_id: "x".into(), ..delete("x") }).await,
        "request_id",
    );

    assert_violation(client.delete_nodes(delete_nodes("", 1)).await, "filter");
    assert_violation(client.delete_nodes(delete_nodes("a in", 1)).await, "label_selector");
    assert_violation(client.delete_nodes(delete_nodes("a", 0)).await, "expected_count");
    assert_violation(client.delete_nodes(delete_nodes("a", -1)).await, "expected_count");
    let bad = [
        ("filter", DeleteNodesRequest { filter: "nonsense = 1".into(), ..delete_nodes("a", 1) }),
        ("request_id", DeleteNodesRequest { request_id: "x".into(), ..delete_nodes("a", 1) }),
        ("reason", DeleteNodesRequest { reason: "x".repeat(1025), ..delete_nodes("a", 1) }),
        ("propagation_policy", DeleteNodesRequest { propagation_policy: 9, ..delete_nodes("a", 1) }),
    ];
    for (field, request) in bad {
        assert_violation(client.delete_nodes(request).await, field);
    }
}
