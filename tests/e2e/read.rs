//! GetNode and ListNodes.

use nodeward_api::v1::readiness::State;
use nodeward_api::v1::{
    Consistency, CordonNodeRequest, GetNodeRequest, ListNodesRequest, SchedulingState, WatchNodesRequest,
};
use prost_types::FieldMask;
use tonic::Code;

use crate::support::{assert_error, assert_violation, world};

fn get(node: &str) -> GetNodeRequest {
    GetNodeRequest { name: format!("nodes/{node}"), ..Default::default() }
}

fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

/// The three nodes that the sandbox began with.
fn seeded() -> ListNodesRequest {
    ListNodesRequest { filter: r#"name = "worker-*""#.into(), ..Default::default() }
}

async fn names(request: ListNodesRequest) -> Vec<String> {
    let list = world().await.client().await.list_nodes(request).await.unwrap().into_inner();
    list.nodes.into_iter().map(|node| node.name).collect()
}

#[tokio::test]
async fn a_node_is_as_kubernetes_has_it() {
    let mut client = world().await.client().await;
    let node = client.get_node(get("worker-1")).await.unwrap().into_inner();
    let mut found = world().await.kubernetes().await.get("worker-1").await.unwrap();
    assert!(found.metadata.managed_fields.take().is_some(), "the cache does without");
    assert_eq!(nodeward_server::node::convert::from_contract(&node).unwrap(), found);
    assert_eq!(node.readiness.unwrap().state(), State::Ready);
}

#[tokio::test]
async fn who_set_which_field_is_asked_of_kubernetes_itself() {
    let mut client = world().await.client().await;
    let read_mask = mask(&["metadata.managed_fields"]);
    let cached = GetNodeRequest { read_mask: read_mask.clone(), ..get("worker-1") };
    let consistent = GetNodeRequest { consistency: Consistency::Consistent.into(), ..cached.clone() };
    let found = client.get_node(consistent).await.unwrap().into_inner();
    assert!(!found.metadata.unwrap().managed_fields.is_empty());

    assert_violation(client.get_node(cached).await, "read_mask");
    let list = ListNodesRequest { read_mask: read_mask.clone(), ..seeded() };
    assert_violation(client.list_nodes(list).await, "read_mask");
    let watch = WatchNodesRequest { read_mask, ..Default::default() };
    assert_violation(client.watch_nodes(watch).await, "read_mask");
}

#[tokio::test]
async fn a_cached_answer_says_its_age() {
    let mut client = world().await.client().await;
    let response = client.get_node(get("worker-1")).await.unwrap();
    let age: u64 = response.metadata().get("x-cache-age-ms").unwrap().to_str().unwrap().parse().unwrap();
    assert!(age < 120_000);
    let list = client.list_nodes(seeded()).await.unwrap().into_inner();
    assert!(list.cache_age.is_some());
}

#[tokio::test]
async fn a_consistent_answer_has_what_was_changed_before() {
    let node = world().await.node("read").await;
    let mut client = world().await.client().await;
    let request = CordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    client.cordon_node(request).await.unwrap();
    let request = GetNodeRequest { consistency: Consistency::Consistent.into(), ..get(&node) };
    let found = client.get_node(request).await.unwrap().into_inner();
    assert_eq!(found.scheduling_state(), SchedulingState::Cordoned);
    let request = ListNodesRequest {
        filter: format!("name = {node}"),
        consistency: Consistency::Consistent.into(),
        ..Default::default()
    };
    let found = client.list_nodes(request).await.unwrap().into_inner().nodes.remove(0);
    assert_eq!(found.scheduling_state(), SchedulingState::Cordoned);
}

#[tokio::test]
async fn a_mask_leaves_out_what_it_does_not_name() {
    let mut client = world().await.client().await;
    let request =
        GetNodeRequest { read_mask: mask(&["name", "metadata.labels.`kubernetes.io/hostname`"]), ..get("worker-1") };
    let node = client.get_node(request).await.unwrap().into_inner();
    assert_eq!(node.name, "nodes/worker-1");
    assert_eq!(node.metadata.unwrap().labels.len(), 1);
    assert!(node.spec.is_none() && node.status.is_none() && node.etag.is_empty());
}

#[tokio::test]
async fn an_absent_node_is_not_found() {
    let mut client = world().await.client().await;
    assert_error(client.get_node(get("nowhere")).await, Code::NotFound, "NODE_NOT_FOUND");
    let request = GetNodeRequest { consistency: Consistency::Consistent.into(), ..get("nowhere") };
    assert_error(client.get_node(request).await, Code::NotFound, "NODE_NOT_FOUND");
}

#[tokio::test]
async fn nodes_are_listed_in_the_order_of_their_names() {
    assert_eq!(names(seeded()).await, ["nodes/worker-1", "nodes/worker-2", "nodes/worker-3"]);
    let backwards = ListNodesRequest { order_by: "name desc".into(), ..seeded() };
    assert_eq!(names(backwards).await, ["nodes/worker-3", "nodes/worker-2", "nodes/worker-1"]);
}

#[tokio::test]
async fn filters_and_selectors_choose_nodes() {
    let zone = ListNodesRequest { filter: r#"name = "worker-*" AND zone = "zone-b""#.into(), ..Default::default() };
    assert_eq!(names(zone).await, ["nodes/worker-2"]);
    let selector =
        ListNodesRequest { label_selector: "topology.kubernetes.io/zone in (zone-a,zone-c)".into(), ..seeded() };
    assert_eq!(names(selector).await, ["nodes/worker-1", "nodes/worker-3"]);
    let ready = ListNodesRequest { filter: r#"ready = true name = "worker-*""#.into(), ..Default::default() };
    assert_eq!(names(ready).await.len(), 3);
}

#[tokio::test]
async fn pages_cover_the_list() {
    let mut client = world().await.client().await;
    let mut request = ListNodesRequest { page_size: 2, ..seeded() };
    let first = client.list_nodes(request.clone()).await.unwrap().into_inner();
    assert_eq!((first.nodes.len(), first.total_size), (2, 3));
    request.page_token = first.next_page_token;
    let second = client.list_nodes(request).await.unwrap().into_inner();
    assert_eq!((second.nodes.len(), second.next_page_token.as_str()), (1, ""));
    assert_eq!(first.etag, second.etag);
}

#[tokio::test]
async fn a_page_token_of_another_list_is_refused() {
    let mut client = world().await.client().await;
    let page_token =
        client.list_nodes(ListNodesRequest { page_size: 1, ..seeded() }).await.unwrap().into_inner().next_page_token;
    let other = ListNodesRequest { page_token, filter: "ready = true".into(), ..Default::default() };
    assert_error(client.list_nodes(other).await, Code::InvalidArgument, "INVALID_PAGE_TOKEN");
    let nonsense = ListNodesRequest { page_token: "nonsense".into(), ..seeded() };
    assert_error(client.list_nodes(nonsense).await, Code::InvalidArgument, "INVALID_PAGE_TOKEN");
}

#[tokio::test]
async fn an_error_in_a_filter_points_at_the_column() {
    let request = ListNodesRequest { filter: "ready = true AND nonsense = 1".into(), ..Default::default() };
    let result = world().await.client().await.list_nodes(request).await;
    let status = assert_error(result, Code::InvalidArgument, "INVALID_FIELD");
    assert!(status.message().contains("column 18"), "{}", status.message());
}

#[tokio::test]
async fn bad_fields_are_named() {
    let mut client = world().await.client().await;
    assert_violation(client.get_node(GetNodeRequest { name: "x".into(), ..Default::default() }).await, "name");
    assert_violation(client.get_node(GetNodeRequest { read_mask: mask(&["nonsense"]), ..get("x") }).await, "read_mask");
    assert_violation(client.get_node(GetNodeRequest { consistency: 9, ..get("x") }).await, "consistency");
    assert_violation(client.list_nodes(ListNodesRequest { page_size: -1, ..seeded() }).await, "page_size");
    assert_violation(client.list_nodes(ListNodesRequest { filter: "a b".into(), ..seeded() }).await, "filter");
    assert_violation(
        client.list_nodes(ListNodesRequest { label_selector: "a in".into(), ..seeded() }).await,
        "label_selector",
    );
    assert_violation(client.list_nodes(ListNodesRequest { order_by: "age".into(), ..seeded() }).await, "order_by");
    assert_violation(client.list_nodes(ListNodesRequest { read_mask: mask(&["x"]), ..seeded() }).await, "read_mask");
    assert_violation(client.list_nodes(ListNodesRequest { consistency: -1, ..seeded() }).await, "consistency");
}
