//! StreamNodes.

use nodeward_api::v1::node_change::Type;
use nodeward_api::v1::{
    Consistency, ListNodesRequest, Node, StreamNodesRequest, StreamNodesResponse, StreamNodesSummary, WatchNodesRequest,
};
use serde_json::json;
use tonic::Code;
use tonic::codec::CompressionEncoding;

use crate::support::nodes::{create_bare, delete, set_label};
use crate::support::watcher::{Watcher, mask};
use crate::support::{Client, assert_error, assert_violation, eventually, unique, world};

/// The three nodes that the sandbox began with.
fn seeded() -> StreamNodesRequest {
    StreamNodesRequest { filter: r#"name = "worker-*""#.into(), ..Default::default() }
}

async fn stream(client: &mut Client, request: StreamNodesRequest) -> (Vec<Node>, StreamNodesSummary) {
    let mut messages = client.stream_nodes(request).await.unwrap().into_inner();
    let mut nodes = Vec::new();
    loop {
        let StreamNodesResponse { nodes: more, summary } = messages.message().await.unwrap().unwrap();
        nodes.extend(more);
        if let Some(summary) = summary {
            assert!(messages.message().await.unwrap().is_none());
            return (nodes, summary);
        }
    }
}

#[tokio::test]
async fn a_stream_holds_what_a_list_holds() {
    let mut client = world().await.client().await;
    for consistency in [Consistency::Cached, Consistency::Consistent] {
        for read_mask in [mask(&["name", "metadata.uid"]), mask(&["name", "spec.taints"])] {
            let request = StreamNodesRequest { consistency: consistency.into(), read_mask, ..seeded() };
            let list = ListNodesRequest {
                filter: request.filter.clone(),
                read_mask: request.read_mask.clone(),
                consistency: request.consistency,
                ..Default::default()
            };
            let (nodes, summary) = stream(&mut client, request).await;
            let list = client.list_nodes(list).await.unwrap().into_inner();
            assert_eq!(nodes, list.nodes);
            assert_eq!((summary.total_size, summary.etag), (list.total_size, list.etag));
            assert_eq!(summary.cache_age.is_some(), consistency == Consistency::Cached);
            assert_eq!(summary.resume_token.is_empty(), consistency == Consistency::Consistent);
        }
    }
}

#[tokio::test]
async fn all_nodes_come_whole_and_in_order() {
    let mut client = world().await.client().await;
    let (nodes, summary) = stream(&mut client, StreamNodesRequest::default()).await;
    assert_eq!(nodes.len(), summary.total_size as usize);
    assert!(nodes.is_sorted_by(|a, b| a.name < b.name));
    let worker = nodes.iter().find(|node| node.name == "nodes/worker-1").unwrap();
    assert!(worker.spec.is_some() && worker.status.is_some() && !worker.etag.is_empty());
}

#[tokio::test]
async fn a_stream_may_be_compressed() {
    let client = world().await.client().await;
    let mut plain = client.clone();
    let mut compressed = client.accept_compressed(CompressionEncoding::Zstd);
    let request = StreamNodesRequest { read_mask: mask(&["name", "spec"]), ..seeded() };
    let response = compressed.stream_nodes(request.clone()).await.unwrap();
    assert_eq!(response.metadata().get("grpc-encoding").unwrap(), "zstd");
    assert_eq!(stream(&mut compressed, request.clone()).await.0, stream(&mut plain, request).await.0);
}

#[tokio::test]
async fn a_watch_goes_on_where_the_stream_was() {
    let group = unique("stream");
    let nodes = world().await.kubernetes().await;
    let [stays, changes, goes, comes] = ["a", "b", "c", "d"].map(|name| format!("{group}-{name}"));
    for name in [&stays, &changes, &goes] {
        create_bare(&nodes, name, json!({})).await;
    }
    let mut client = world().await.client().await;
    let (filter, read_mask) = (format!(r#"name = "{group}-*""#), mask(&["name", "metadata.labels"]));
    let request = StreamNodesRequest { filter: filter.clone(), read_mask: read_mask.clone(), ..Default::default() };
    let (_, summary) = eventually("the server knows the nodes", async || {
        let answer = stream(&mut client, request.clone()).await;
        (answer.1.total_size == 3).then_some(answer)
    })
    .await;
    set_label(&nodes, &changes, "step", Some("1")).await;
    delete(&nodes, &goes).await;
    create_bare(&nodes, &comes, json!({})).await;

    let resume_token = summary.resume_token;
    let request = WatchNodesRequest { filter, read_mask, resume_token, ..Default::default() };
    let mut watcher = Watcher::open(&client, request).await;
    for (wanted, name) in [(Type::Modified, &changes), (Type::Deleted, &goes), (Type::Added, &comes)] {
        assert_eq!(watcher.expect(wanted).await.name, format!("nodes/{name}"));
    }
}

#[tokio::test]
async fn the_token_of_another_query_is_refused() {
    let mut client = world().await.client().await;
    let (_, summary) = stream(&mut client, seeded()).await;
    let request = WatchNodesRequest { resume_token: summary.resume_token, ..Default::default() };
    assert_error(client.watch_nodes(request).await, Code::InvalidArgument, "INVALID_RESUME_TOKEN");
}

#[tokio::test]
async fn bad_fields_are_named() {
    let mut client = world().await.client().await;
    let bad = [
        (StreamNodesRequest { filter: "a b".into(), ..Default::default() }, "filter"),
        (StreamNodesRequest { label_selector: "a in".into(), ..Default::default() }, "label_selector"),
        (StreamNodesRequest { read_mask: mask(&["x"]), ..Default::default() }, "read_mask"),
        (StreamNodesRequest { consistency: 9, ..Default::default() }, "consistency"),
    ];
    for (request, field) in bad {
        assert_violation(client.stream_nodes(request).await, field);
    }
}
