//! What the server says and allows on the wire, and how long a connection lasts.

use std::time::Duration;

use nodeward_api::v1::{CordonNodeRequest, GetNodeRequest, SchedulingState};
use nodeward_server::args::ServeOptions;
use nodeward_server::server::Server;
use nodeward_server::transport::TransportOptions;
use rustls::version::TLS13;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

use crate::shutdown::{assert_ends_well, channel, open_watches};
use crate::support::http2::{
    Frame, LARGEST_FRAME, MAX_CONCURRENT_STREAMS, MAX_HEADER_LIST_SIZE, PREFACE, RawConnection, SETTINGS, settings,
};
use crate::support::proxy::Proxy;
use crate::support::tls::Site;
use crate::support::{assert_error, connect, eventually, start_server, world};

/// The first frame of the server says how much it allows.
fn assert_says_limits(frame: &Frame) {
    assert_eq!(frame.kind, SETTINGS);
    let said = frame.settings();
    let setting = |id| said.iter().find(|(found, _)| *found == id).map(|(_, value)| *value);
    assert_eq!(setting(MAX_CONCURRENT_STREAMS), Some(256), "{said:?}");
    assert_eq!(setting(MAX_HEADER_LIST_SIZE), Some(LARGEST_FRAME as u32), "{said:?}");
}

#[tokio::test]
async fn the_limits_are_said_on_the_wire() {
    let mut plain = RawConnection::open(world().await.server.address(), &[]).await;
    assert_says_limits(&plain.next().await.unwrap());

    let site = Site::new();
    let server = tls_server(&site).await;
    let stream = site.connect(server.address(), &[&TLS13], &["h2"]).await.unwrap();
    let mut encrypted = RawConnection::over(stream);
    encrypted.send(&[PREFACE, &settings(&[])].concat()).await.unwrap();
    assert_says_limits(&encrypted.next().await.unwrap());
    drop(encrypted);
    server.stop().await.unwrap();
}

async fn tls_server(site: &Site) -> Server {
    let transport = TransportOptions { tls: site.options(), ..TransportOptions::default() };
    world().await.another_server(ServeOptions { transport, ..ServeOptions::default() }).await
}

#[tokio::test]
async fn calls_and_watches_go_over_tls() {
    use nodeward_api::v1::node_service_client::NodeServiceClient;
    let site = Site::new();
    let server = tls_server(&site).await;
    for identity in [None, Some(site.signed("alice"))] {
        let channel = site.channel(server.address(), identity.as_ref()).await.unwrap();
        let mut client = NodeServiceClient::new(channel);
        let request = GetNodeRequest { name: "nodes/worker-1".to_owned(), ..Default::default() };
        client.get_node(request).await.unwrap();
        open_watches(&client, 2).await;
    }
    // No client in plain text gets anywhere.
    let mut plain = RawConnection::open(server.address(), &[]).await;
    assert!(plain.next().await.is_none_or(|frame| frame.kind != SETTINGS));
    server.stop().await.unwrap();
}

/// Options of a server that gives up connections after about two seconds.
fn short_lived() -> ServeOptions {
    let connection_max_age = Duration::from_secs(2);
    let transport = TransportOptions { connection_max_age, ..TransportOptions::default() };
    ServeOptions { transport, ..ServeOptions::default() }
}

#[tokio::test]
async fn streams_end_in_good_order_when_their_connection_has_reached_its_age() {
    let server = world().await.another_server(short_lived()).await;
    let watchers = open_watches(&connect(server.address()).await, 3).await;

    let mut health = HealthClient::new(channel(&server).await);
    let mut health = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    health.message().await.unwrap().unwrap();

    let mut reflection = ServerReflectionClient::new(channel(&server).await);
    let endless = futures::stream::pending::<ServerReflectionRequest>();
    let mut reflection = reflection.server_reflection_info(endless).await.unwrap().into_inner();

    for watcher in watchers {
        assert_ends_well(watcher).await;
    }
    assert_error(health.message().await, Code::Unavailable, "DRAINING");
    assert_error(reflection.message().await, Code::Unavailable, "DRAINING");
    // The server itself goes on.
    open_watches(&connect(server.address()).await, 1).await;
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_call_in_progress_outlives_the_age_of_its_connection() {
    let node = world().await.node("transport").await;
    let proxy = Proxy::start(&world().await.sandbox).await;
    let server = start_server(proxy.kubeconfig(), short_lived()).await;
    server.ready().await;
    let client = connect(server.address()).await;
    let watch = open_watches(&client, 1).await.remove(0);

    proxy.stall();
    let request = CordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    let call = tokio::spawn(async move { client.clone().cordon_node(request).await });
    proxy.holds_something().await;
    // Its connection has reached its age.
    assert_ends_well(watch).await;
    assert!(!call.is_finished());
    proxy.mend();
    let cordoned = call.await.unwrap().unwrap().into_inner();
    assert_eq!(cordoned.scheduling_state(), SchedulingState::Cordoned);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_client_goes_on_over_the_ages_of_its_connections() {
    let server = world().await.another_server(short_lived()).await;
    let mut client = connect(server.address()).await;
    let mut watch = open_watches(&client, 1).await.remove(0);
    let mut ends = 0;
    // The same client: it connects again by itself.
    eventually("a few connections have come and gone", async || {
        let request = GetNodeRequest { name: "nodes/worker-1".to_owned(), ..Default::default() };
        match client.get_node(request).await {
            // It was not yet sent when its connection ended.
            Err(status) if status.code() == Code::Cancelled => return None,
            answer => answer.unwrap(),
        };
        if tokio::time::timeout(Duration::from_millis(100), watch.next())
            .await
            .is_ok_and(|message| message.unwrap().is_none())
        {
            ends += 1;
            watch = open_watches(&client, 1).await.remove(0);
        }
        (ends == 3).then_some(())
    })
    .await;
    server.stop().await.unwrap();
}
