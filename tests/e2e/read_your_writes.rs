//! Reads that have seen a change: `min_etag`.

use std::time::{Duration, Instant};

use nodeward_api::v1::{
    Consistency, CordonNodeRequest, GetNodeRequest, ListNodesRequest, SchedulingState, StreamNodesRequest,
    UncordonNodeRequest,
};
use nodeward_server::args::ServeOptions;
use tonic::{Code, Request};

use crate::support::proxy::Proxy;
use crate::support::{Client, assert_error, assert_violation, connect, start_server, world};

fn get(node: &str, min_etag: &str) -> GetNodeRequest {
    GetNodeRequest { name: format!("nodes/{node}"), min_etag: min_etag.to_owned(), ..Default::default() }
}

fn list(node: &str, min_etag: &str) -> ListNodesRequest {
    ListNodesRequest { filter: format!("name = {node:?}"), min_etag: min_etag.to_owned(), ..Default::default() }
}

fn stream(node: &str, min_etag: &str) -> StreamNodesRequest {
    StreamNodesRequest { filter: format!("name = {node:?}"), min_etag: min_etag.to_owned(), ..Default::default() }
}

async fn cordon(client: &mut Client, node: &str) -> String {
    let request = CordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    client.cordon_node(request).await.unwrap().into_inner().etag
}

async fn uncordon(client: &mut Client, node: &str) -> String {
    let request = UncordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    client.uncordon_node(request).await.unwrap().into_inner().etag
}

#[tokio::test]
async fn whoever_asks_with_the_etag_of_their_change_sees_it() {
    let node = world().await.node("min-etag").await;
    let mut client = world().await.client().await;
    for _ in 0..10 {
        let etag = cordon(&mut client, &node).await;
        let found = client.get_node(get(&node, &etag)).await.unwrap().into_inner();
        assert_eq!(found.scheduling_state(), SchedulingState::Cordoned);
        let etag = uncordon(&mut client, &node).await;
        let found = client.list_nodes(list(&node, &etag)).await.unwrap().into_inner().nodes.remove(0);
        assert_eq!(found.scheduling_state(), SchedulingState::Schedulable);
        let etag = cordon(&mut client, &node).await;
        let mut messages = client.stream_nodes(stream(&node, &etag)).await.unwrap().into_inner();
        let found = messages.message().await.unwrap().unwrap().nodes.remove(0);
        assert_eq!(found.scheduling_state(), SchedulingState::Cordoned);
        uncordon(&mut client, &node).await;
    }
}

#[tokio::test]
async fn a_server_that_lags_behind_answers_when_it_has_caught_up() {
    let node = world().await.node("min-etag").await;
    let proxy = Proxy::start(&world().await.sandbox).await;
    let server = start_server(proxy.kubeconfig(), ServeOptions::default()).await;
    server.ready().await;
    let mut lagging = connect(server.address()).await;
    proxy.stall();
    let etag = cordon(&mut world().await.client().await, &node).await;
    let found = lagging.get_node(get(&node, "")).await.unwrap().into_inner();
    assert_eq!(found.scheduling_state(), SchedulingState::Schedulable, "it lags behind");

    let mut impatient = Request::new(get(&node, &etag));
    impatient.set_timeout(Duration::from_millis(500));
    let status = assert_error(lagging.get_node(impatient).await, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    assert!(status.message().contains("min_etag"), "{}", status.message());
    let begun = Instant::now();
    assert_error(lagging.get_node(get(&node, &etag)).await, Code::Unavailable, "CACHE_BEHIND");
    assert!(begun.elapsed() >= Duration::from_secs(5));

    let mut waiting = lagging.clone();
    let waits = async { waiting.list_nodes(list(&node, &etag)).await.unwrap().into_inner().nodes.remove(0) };
    let mends = async { proxy.mend() };
    let (found, ()) = tokio::join!(waits, mends);
    assert_eq!(found.scheduling_state(), SchedulingState::Cordoned);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn kubernetes_itself_has_seen_everything() {
    let mut client = world().await.client().await;
    let request =
        GetNodeRequest { consistency: Consistency::Consistent.into(), ..get("worker-1", "\"18000000000000000000\"") };
    client.get_node(request).await.unwrap();
}

#[tokio::test]
async fn an_etag_of_another_shape_is_refused() {
    let mut client = world().await.client().await;
    // The etag of a set of nodes is none of a version.
    let set = client.list_nodes(list("worker-1", "")).await.unwrap().into_inner().etag;
    for etag in ["7", "\"x\"", &set] {
        assert_violation(client.get_node(get("worker-1", etag)).await, "min_etag");
        assert_violation(client.list_nodes(list("worker-1", etag)).await, "min_etag");
        assert_violation(client.stream_nodes(stream("worker-1", etag)).await, "min_etag");
    }
}
