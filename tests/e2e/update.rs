//! UpdateNode and UpdateNodeStatus.

use std::collections::BTreeMap;

use nodeward_api::v1::{Node, NodeCondition, NodeSpec, NodeStatus, ObjectMeta, Quantity, Taint};
use nodeward_api::v1::{UpdateNodeRequest, UpdateNodeStatusRequest};
use prost_types::FieldMask;
use serde_json::json;
use tonic::Code;
use uuid::Uuid;

use crate::support::{assert_error, assert_violation, world};

fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn taint(key: &str, value: &str) -> Taint {
    Taint { key: key.into(), value: Some(value.into()), effect: "NoSchedule".into(), time_added: None }
}

fn update(node: &str, paths: &[&str], metadata: ObjectMeta, taints: Vec<Taint>) -> UpdateNodeRequest {
    let node = Node {
        name: format!("nodes/{node}"),
        metadata: Some(metadata),
        spec: Some(NodeSpec { taints, ..Default::default() }),
        ..Default::default()
    };
    UpdateNodeRequest { node: Some(node), update_mask: mask(paths), ..Default::default() }
}

fn labels(node: &str, paths: &[&str], labels: &[(&str, &str)]) -> UpdateNodeRequest {
    update(node, paths, ObjectMeta { labels: map(labels), ..Default::default() }, vec![])
}

#[tokio::test]
async fn single_labels_annotations_and_taints_are_set_and_removed_at_once() {
    let node = world().await.node("update").await;
    let before = json!({
        "metadata": {"labels": {"old": "1", "kept": "1"}, "annotations": {"old/x": "1", "kept/x": "1"}},
        "spec": {"taints": [{"key": "old", "effect": "NoSchedule"}, {"key": "kept", "effect": "NoExecute"}]},
    });
    let kubernetes = world().await.kubernetes().await;
    kubernetes.patch(&node, &Default::default(), &kube::api::Patch::Merge(before)).await.unwrap();

    let paths = [
        "metadata.labels.new",
        "metadata.labels.old",
        "metadata.annotations.`new/x`",
        "metadata.annotations.`old/x`",
        "spec.taints.`new:NoSchedule`",
        "spec.taints.`old:NoSchedule`",
    ];
    let metadata =
        ObjectMeta { labels: map(&[("new", "2")]), annotations: map(&[("new/x", "2")]), ..Default::default() };
    let request = update(&node, &paths, metadata, vec![taint("new", "2")]);
    world().await.client().await.update_node(request).await.unwrap();

    let after = kubernetes.get(&node).await.unwrap();
    let labels = after.metadata.labels.unwrap();
    assert_eq!((labels.get("new").unwrap().as_str(), labels.get("old"), labels["kept"].as_str()), ("2", None, "1"));
    assert!(labels.contains_key("kubernetes.io/hostname"));
    let annotations = after.metadata.annotations.unwrap();
    assert_eq!((annotations["new/x"].as_str(), annotations.get("old/x")), ("2", None));
    assert_eq!(annotations["kept/x"], "1");
    let taints: Vec<String> = after.spec.unwrap().taints.unwrap().into_iter().map(|taint| taint.key).collect();
    assert_eq!(taints, ["kept", "new"]);
}

#[tokio::test]
async fn simultaneous_changes_of_different_labels_are_all_kept() {
    let node = world().await.node("update").await;
    let client = world().await.client().await;
    let updates = (0..20).map(|number| {
        let (mut client, node) = (client.clone(), node.clone());
        let key = format!("label-{number}");
        tokio::spawn(async move {
            client.update_node(labels(&node, &[&format!("metadata.labels.{key}")], &[(&key, "x")])).await.unwrap();
        })
    });
    for update in updates.collect::<Vec<_>>() {
        update.await.unwrap();
    }
    let after = world().await.kubernetes().await.get(&node).await.unwrap().metadata.labels.unwrap();
    assert_eq!(after.keys().filter(|key| key.starts_with("label-")).count(), 20);
}

#[tokio::test]
async fn taints_of_controllers_are_refused_with_what_to_do_instead() {
    let node = world().await.node("update").await;
    let mut client = world().await.client().await;
    let key = "node.kubernetes.io/unschedulable";
    let path = format!("spec.taints.`{key}:NoSchedule`");
    let request = update(&node, &[&path], ObjectMeta::default(), vec![taint(key, "")]);
    let status = assert_error(client.update_node(request).await, Code::FailedPrecondition, "CONTROLLER_OWNED_TAINT");
    assert!(status.message().contains("CordonNode"), "{}", status.message());
}

#[tokio::test]
async fn an_absent_node_is_not_found() {
    let mut client = world().await.client().await;
    let request = labels("nowhere", &["metadata.labels.a"], &[("a", "1")]);
    assert_error(client.update_node(request).await, Code::NotFound, "NODE_NOT_FOUND");
    let request = capacity("nowhere", "1");
    assert_error(client.update_node_status(request).await, Code::NotFound, "NODE_NOT_FOUND");
}

#[tokio::test]
async fn an_outdated_etag_is_refused() {
    let node = world().await.node("update").await;
    let mut client = world().await.client().await;
    let request = labels(&node, &["metadata.labels.a"], &[("a", "1")]);
    let request = UpdateNodeRequest { etag: "\"1\"".into(), ..request };
    assert_error(client.update_node(request).await, Code::Aborted, "ETAG_MISMATCH");
    let request = UpdateNodeStatusRequest { etag: "\"1\"".into(), ..capacity(&node, "1") };
    assert_error(client.update_node_status(request).await, Code::Aborted, "ETAG_MISMATCH");
}

#[tokio::test]
async fn validating_only_changes_nothing() {
    let node = world().await.node("update").await;
    let mut client = world().await.client().await;
    let before = world().await.kubernetes().await.get(&node).await.unwrap();
    let request = labels(&node, &["metadata.labels.a"], &[("a", "1")]);
    let shown = client.update_node(UpdateNodeRequest { validate_only: true, ..request }).await.unwrap().into_inner();
    assert_eq!(shown.metadata.unwrap().labels["a"], "1");
    let request = UpdateNodeStatusRequest { validate_only: true, ..capacity(&node, "1") };
    client.update_node_status(request).await.unwrap();
    assert_eq!(world().await.kubernetes().await.get(&node).await.unwrap(), before);
}

#[tokio::test]
async fn a_request_sent_again_is_carried_out_once() {
    let node = world().await.node("update").await;
    let mut client = world().await.client().await;
    let request = labels(&node, &["metadata.labels.a"], &[("a", "1")]);
    let request = UpdateNodeRequest { request_id: Uuid::new_v4().to_string(), ..request };
    let first = client.update_node(request.clone()).await.unwrap().into_inner();
    assert_eq!(client.update_node(request.clone()).await.unwrap().into_inner(), first);
    client.update_node(labels(&node, &["metadata.labels.a"], &[])).await.unwrap();
    let late = client.update_node(request).await.unwrap().into_inner();
    assert!(!late.metadata.unwrap().labels.contains_key("a"));

    let request = UpdateNodeStatusRequest { request_id: Uuid::new_v4().to_string(), ..capacity(&node, "1") };
    let first = client.update_node_status(request.clone()).await.unwrap().into_inner();
    assert_eq!(client.update_node_status(request.clone()).await.unwrap().into_inner(), first);
    client.update_node_status(capacity(&node, "2")).await.unwrap();
    let late = client.update_node_status(request).await.unwrap().into_inner();
    assert_eq!(late.status.unwrap().capacity["example.com/gpu"].text, "2");
}

fn capacity(node: &str, amount: &str) -> UpdateNodeStatusRequest {
    let capacity = BTreeMap::from([("example.com/gpu".to_owned(), Quantity { text: amount.into(), number: None })]);
    status(node, &["status.capacity.`example.com/gpu`"], NodeStatus { capacity, ..Default::default() })
}

fn status(node: &str, paths: &[&str], status: NodeStatus) -> UpdateNodeStatusRequest {
    let node = Node { name: format!("nodes/{node}"), status: Some(status), ..Default::default() };
    UpdateNodeStatusRequest { node: Some(node), update_mask: mask(paths), ..Default::default() }
}

#[tokio::test]
async fn a_single_resource_and_a_single_condition_of_the_status_are_set() {
    let node = world().await.node("update").await;
    let mut client = world().await.client().await;
    client.update_node_status(capacity(&node, "4")).await.unwrap();
    let condition = NodeCondition { r#type: "KernelDeadlock".into(), status: "False".into(), ..Default::default() };
    let request = NodeStatus { conditions: vec![condition], ..Default::default() };
    client.update_node_status(status(&node, &["status.conditions.KernelDeadlock"], request)).await.unwrap();

    let after = world().await.kubernetes().await.get(&node).await.unwrap().status.unwrap();
    let capacity = after.capacity.unwrap();
    assert_eq!(capacity["example.com/gpu"].0, "4");
    assert!(capacity.contains_key("cpu"));
    let conditions: Vec<String> = after.conditions.unwrap().into_iter().map(|condition| condition.type_).collect();
    assert!(conditions.contains(&"KernelDeadlock".to_owned()) && conditions.contains(&"Ready".to_owned()));
}

#[tokio::test]
async fn bad_fields_are_named() {
    let node = world().await.node("update").await;
    let mut client = world().await.client().await;
    let good = labels(&node, &["metadata.labels.a"], &[("a", "1")]);
    let without_name = Node { name: String::new(), ..good.node.clone().unwrap() };
    let bad_taint = update(
        &node,
        &["spec.taints"],
        ObjectMeta::default(),
        vec![Taint { key: "not a key".into(), effect: "NoSchedule".into(), ..Default::default() }],
    );
    let bad = [
        ("node", UpdateNodeRequest { node: None, ..good.clone() }),
        ("node.name", UpdateNodeRequest { node: Some(without_name), ..good.clone() }),
        ("update_mask", UpdateNodeRequest { update_mask: mask(&["nonsense"]), ..good.clone() }),
        ("update_mask", UpdateNodeRequest { update_mask: mask(&["status.capacity"]), ..good.clone() }),
        ("node.spec.taints[0].key", bad_taint),
        ("request_id", UpdateNodeRequest { request_id: "x".into(), ..good.clone() }),
        ("etag", UpdateNodeRequest { etag: "x".into(), ..good.clone() }),
        ("reason", UpdateNodeRequest { reason: "x".repeat(1025), ..good }),
    ];
    for (field, request) in bad {
        assert_violation(client.update_node(request).await, field);
    }
    let good = capacity(&node, "1");
    let without_name = Node { name: String::new(), ..good.node.clone().unwrap() };
    let condition = NodeCondition { r#type: "KernelDeadlock".into(), status: "Perhaps".into(), ..Default::default() };
    let conditions = NodeStatus { conditions: vec![condition], ..Default::default() };
    let bad = [
        ("node", UpdateNodeStatusRequest { node: None, ..good.clone() }),
        ("node.name", UpdateNodeStatusRequest { node: Some(without_name), ..good.clone() }),
        ("node.status.capacity.`example.com/gpu`.text", capacity(&node, "abc")),
        ("node.status.conditions[0].status", status(&node, &["status.conditions"], conditions)),
        ("update_mask", UpdateNodeStatusRequest { update_mask: mask(&["spec.taints"]), ..good.clone() }),
        ("request_id", UpdateNodeStatusRequest { request_id: "x".into(), ..good.clone() }),
        ("etag", UpdateNodeStatusRequest { etag: "x".into(), ..good.clone() }),
        ("reason", UpdateNodeStatusRequest { reason: "x".repeat(1025), ..good }),
    ];
    for (field, request) in bad {
        assert_violation(client.update_node_status(request).await, field);
    }
}
