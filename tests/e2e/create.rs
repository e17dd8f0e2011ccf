//! CreateNode.

use std::collections::BTreeMap;

use nodeward_api::v1::{CreateNodeRequest, DeleteNodeRequest, Node, NodeSpec, NodeStatus, ObjectMeta, Quantity, Taint};
use nodeward_server::args::ServeOptions;
use tonic::Code;
use uuid::Uuid;

use crate::support::{assert_error, assert_violation, connect, unique, world};

fn create(node_id: &str) -> CreateNodeRequest {
    let labels = BTreeMap::from([("team".to_owned(), "blue".to_owned())]);
    let node = Node { metadata: Some(ObjectMeta { labels, ..Default::default() }), ..Default::default() };
    CreateNodeRequest { node_id: node_id.into(), node: Some(node), ..Default::default() }
}

#[tokio::test]
async fn a_created_node_has_what_was_asked_for() {
    let name = unique("create");
    let mut request = create(&name);
    let node = request.node.as_mut().unwrap();
    let taint = Taint { key: "dedicated".into(), effect: "NoSchedule".into(), ..Default::default() };
    node.spec = Some(NodeSpec { provider_id: Some("test://1".into()), taints: vec![taint], ..Default::default() });
    let capacity = BTreeMap::from([("cpu".to_owned(), Quantity { text: "4".into(), number: None })]);
    node.status = Some(NodeStatus { capacity, ..Default::default() });
    // What is output only is ignored.
    node.etag = "\"1\"".into();
    node.metadata.as_mut().unwrap().uid = Some("made up".into());

    let created = world().await.client().await.create_node(request).await.unwrap().into_inner();
    assert_eq!(created.name, format!("nodes/{name}"));
    let found = world().await.kubernetes().await.get(&name).await.unwrap();
    assert_eq!(found.metadata.labels.unwrap()["team"], "blue");
    let spec = found.spec.unwrap();
    assert_eq!(spec.provider_id.as_deref(), Some("test://1"));
    assert!(spec.taints.unwrap().iter().any(|taint| taint.key == "dedicated"));
    assert_eq!(found.status.unwrap().capacity.unwrap()["cpu"].0, "4");
    assert_eq!(found.metadata.uid, created.metadata.unwrap().uid);
}

#[tokio::test]
async fn a_name_that_is_taken_is_refused() {
    let name = world().await.node("create").await;
    let result = world().await.client().await.create_node(create(&name)).await;
    assert_error(result, Code::AlreadyExists, "NODE_ALREADY_EXISTS");
}

#[tokio::test]
async fn a_request_sent_again_gives_the_same_node() {
    let request = CreateNodeRequest { request_id: Uuid::new_v4().to_string(), ..create(&unique("create")) };
    let mut client = world().await.client().await;
    let first = client.create_node(request.clone()).await.unwrap().into_inner();
    let again = client.create_node(request.clone()).await.unwrap().into_inner();
    assert_eq!(first.metadata.unwrap().uid, again.metadata.unwrap().uid);

    let other = CreateNodeRequest { reason: "another".into(), ..request };
    assert_error(client.create_node(other).await, Code::InvalidArgument, "REQUEST_ID_CONFLICT");
}

#[tokio::test]
async fn a_request_sent_again_after_its_node_was_deleted_creates_no_other() {
    let name = unique("create");
    let request = CreateNodeRequest { request_id: Uuid::new_v4().to_string(), ..create(&name) };
    let mut client = world().await.client().await;
    client.create_node(request.clone()).await.unwrap();
    let delete = DeleteNodeRequest { name: format!("nodes/{name}"), ..Default::default() };
    client.delete_node(delete).await.unwrap();

    let other = world().await.another_server(ServeOptions::default()).await;
    let late = connect(other.address()).await.create_node(request).await;
    assert_error(late, Code::NotFound, "NODE_NOT_FOUND");
    assert!(world().await.kubernetes().await.get_opt(&name).await.unwrap().is_none());
    other.stop().await.unwrap();
}

#[tokio::test]
async fn a_request_that_was_refused_may_be_corrected_under_its_id() {
    let name = unique("create");
    let request = CreateNodeRequest { request_id: Uuid::new_v4().to_string(), ..create(&name) };
    let mut refused = request.clone();
    // Only Kubernetes can tell that this is none.
    refused.node.as_mut().unwrap().spec =
        Some(NodeSpec { pod_cidrs: vec!["10.0.0.0/24".into(), "10.0.1.0/24".into()], ..Default::default() });
    let mut client = world().await.client().await;
    assert_error(client.create_node(refused).await, Code::InvalidArgument, "INVALID_FIELD");
    client.create_node(request).await.unwrap();
}

#[tokio::test]
async fn taints_of_controllers_are_refused() {
    let mut request = create(&unique("create"));
    let taint =
        Taint { key: "node.kubernetes.io/unschedulable".into(), effect: "NoSchedule".into(), ..Default::default() };
    request.node.as_mut().unwrap().spec = Some(NodeSpec { taints: vec![taint], ..Default::default() });
    let result = world().await.client().await.create_node(request).await;
    assert_error(result, Code::FailedPrecondition, "CONTROLLER_OWNED_TAINT");
}

#[tokio::test]
async fn validating_only_creates_nothing() {
    let name = unique("create");
    let request = CreateNodeRequest { validate_only: true, ..create(&name) };
    let shown = world().await.client().await.create_node(request).await.unwrap().into_inner();
    assert_eq!(shown.name, format!("nodes/{name}"));
    assert!(world().await.kubernetes().await.get_opt(&name).await.unwrap().is_none());
}

#[tokio::test]
async fn bad_fields_are_named() {
    let mut client = world().await.client().await;
    for name in ["", "UPPER", "a/b", "nodes/a", "-a", &"x".repeat(254)] {
        assert_violation(client.create_node(create(name)).await, "node_id");
    }
    assert_violation(client.create_node(CreateNodeRequest { node: None, ..create("x") }).await, "node");
    assert_violation(
        client.create_node(CreateNodeRequest { request_id: "x".into(), ..create("x") }).await,
        "request_id",
    );
    let long = CreateNodeRequest { reason: "x".repeat(1025), ..create("x") };
    assert_violation(client.create_node(long).await, "reason");

    let mut bad = create(&unique("create"));
    bad.node.as_mut().unwrap().metadata.as_mut().unwrap().labels.insert("not a key".into(), "x".into());
    assert_violation(client.create_node(bad).await, "node.metadata.labels.`not a key`");
    let mut bad = create(&unique("create"));
    let taint = Taint { key: "a".into(), effect: "Nonsense".into(), ..Default::default() };
    bad.node.as_mut().unwrap().spec = Some(NodeSpec { taints: vec![taint], ..Default::default() });
    assert_violation(client.create_node(bad).await, "node.spec.taints[0].effect");
    let mut bad = create(&unique("create"));
    let capacity = BTreeMap::from([("cpu".to_owned(), Quantity { text: "abc".into(), number: None })]);
    bad.node.as_mut().unwrap().status = Some(NodeStatus { capacity, ..Default::default() });
    bad.validate_only = true;
    assert_violation(client.create_node(bad).await, "node.status.capacity.cpu.text");
    let mut bad = create(&unique("create"));
    let own = BTreeMap::from([("nodeward.dev/requests".to_owned(), "x".to_owned())]);
    bad.node.as_mut().unwrap().metadata.as_mut().unwrap().annotations = own;
    assert_violation(client.create_node(bad).await, "node.metadata.annotations");
}
