//! How a server stops: streams end with a last bookmark, calls in progress come to their end, and then it is gone.

use std::time::{Duration, Instant};

use futures::future::join_all;
use nodeward_api::v1::watch_nodes_response::Event;
use nodeward_api::v1::{CordonNodeRequest, SchedulingState};
use nodeward_server::args::ServeOptions;
use nodeward_server::server::Server;
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::proxy::Proxy;
use crate::support::watcher::{Watcher, watch};
use crate::support::{Client, connect, eventually, start_server, world};

const GRACE: Duration = Duration::from_secs(10);

fn options() -> ServeOptions {
    ServeOptions { grace: GRACE, ..ServeOptions::default() }
}

/// As many watches, over a few connections.
pub async fn open_watches(client: &Client, count: usize) -> Vec<Watcher> {
    let mut watchers = Vec::new();
    for _ in 0..count {
        let mut watcher = Watcher::open(client, watch(r#"name = "worker-*""#)).await;
        watcher.snapshot().await;
        watchers.push(watcher);
    }
    watchers
}

/// The watch ends without an error, and its last message is a bookmark.
pub async fn assert_ends_well(mut watcher: Watcher) {
    let mut last = None;
    while let Some(message) = watcher.next().await.unwrap() {
        last = message.event;
    }
    assert!(matches!(last, Some(Event::Bookmark(_))), "{last:?}");
}

/// A client that can call any service.
pub async fn channel(server: &Server) -> Channel {
    Endpoint::from_shared(format!("http://{}", server.address())).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn a_server_with_many_watches_stops_within_its_grace_period() {
    let server = world().await.another_server(options()).await;
    let watchers = open_watches(&connect(server.address()).await, 100).await;
    let mut health = HealthClient::new(channel(&server).await);
    let mut health = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(health.message().await.unwrap().unwrap().status(), ServingStatus::Serving);

    let begun = Instant::now();
    let watches_end = join_all(watchers.into_iter().map(assert_ends_well));
    let health_ends = async {
        assert_eq!(health.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
        assert_eq!(health.message().await.unwrap(), None);
    };
    let (stopped, _, ()) = tokio::join!(server.stop(), watches_end, health_ends);
    stopped.unwrap();
    assert!(begun.elapsed() < GRACE / 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_watch_that_nobody_reads_does_not_keep_the_server_open() {
    let server = world().await.another_server(options()).await;
    let unread = open_watches(&connect(server.address()).await, 3).await;
    let begun = Instant::now();
    server.stop().await.unwrap();
    assert!(begun.elapsed() < GRACE / 2, "{:?}", begun.elapsed());
    drop(unread);
}

#[tokio::test]
async fn a_connection_that_says_nothing_does_not_keep_the_server_open() {
    let server = world().await.another_server(options()).await;
    let silent = TcpStream::connect(server.address()).await.unwrap();
    // Whoever came later has been accepted: so has the silent one.
    channel(&server).await;
    let begun = Instant::now();
    server.stop().await.unwrap();
    assert!(begun.elapsed() < GRACE / 2, "{:?}", begun.elapsed());
    drop(silent);
}

/// A server whose way to Kubernetes can be stalled.
async fn behind_a_proxy() -> (Server, Proxy) {
    let proxy = Proxy::start(&world().await.sandbox).await;
    let server = start_server(proxy.kubeconfig(), options()).await;
    server.ready().await;
    (server, proxy)
}

fn cordon(node: &str) -> CordonNodeRequest {
    CordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() }
}

#[tokio::test]
async fn a_call_in_progress_is_answered_and_the_health_says_not_serving_meanwhile() {
    let node = world().await.node("shutdown").await;
    let (server, proxy) = behind_a_proxy().await;
    let mut client = connect(server.address()).await;
    let mut health = HealthClient::new(channel(&server).await);
    let mut health = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(health.message().await.unwrap().unwrap().status(), ServingStatus::Serving);

    proxy.stall();
    let call = tokio::spawn(async move { client.cordon_node(cordon(&node)).await });
    proxy.holds_something().await;
    let stop = tokio::spawn(server.stop());
    assert_eq!(health.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert!(!call.is_finished() && !stop.is_finished());

    proxy.mend();
    let cordoned = call.await.unwrap().unwrap().into_inner();
    assert_eq!(cordoned.scheduling_state(), SchedulingState::Cordoned);
    stop.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_change_whose_client_has_gone_is_carried_out_to_its_end() {
    let node = world().await.node("shutdown").await;
    let (server, proxy) = behind_a_proxy().await;
    let mut client = connect(server.address()).await;

    proxy.stall();
    let request = cordon(&node);
    let call = tokio::spawn(async move { client.cordon_node(request).await });
    proxy.holds_something().await;
    call.abort(); // The client goes, and its connection with it.
    assert!(call.await.unwrap_err().is_cancelled());

    let stop = tokio::spawn(server.stop());
    proxy.mend();
    stop.await.unwrap().unwrap();
    let found = world().await.kubernetes().await.get(&node).await.unwrap();
    assert_eq!(found.spec.unwrap().unschedulable, Some(true));
}

#[tokio::test]
async fn a_call_that_takes_longer_than_the_grace_period_is_cut_off() {
    let node = world().await.node("shutdown").await;
    let proxy = Proxy::start(&world().await.sandbox).await;
    let grace = Duration::from_secs(1);
    let server = start_server(proxy.kubeconfig(), ServeOptions { grace, ..options() }).await;
    server.ready().await;
    let mut client = connect(server.address()).await;

    proxy.stall();
    let call = tokio::spawn(async move { client.cordon_node(cordon(&node)).await });
    proxy.holds_something().await;
    let begun = Instant::now();
    let error = server.stop().await.unwrap_err();
    assert!(error.to_string().contains("cut off"), "{error}");
    assert!(begun.elapsed() < GRACE, "{:?}", begun.elapsed());
    call.abort();
}

#[tokio::test]
async fn a_stopped_server_takes_no_connections() {
    let server = world().await.another_server(options()).await;
    let address = server.address();
    server.stop().await.unwrap();
    eventually("connections are refused", async || TcpStream::connect(address).await.err()).await;
}
