//! WatchNodes beside readers that are slow, stop, or come and go: nobody else notices, and they miss nothing.

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams};
use nodeward_api::v1::WatchNodesRequest;
use nodeward_api::v1::node_change::Type;
use nodeward_server::args::ServeOptions;
use serde_json::json;
use tokio::time::timeout;
use tonic::Status;
use tonic::codec::CompressionEncoding;

use crate::support::follower::Follower;
use crate::support::http2::{
    DATA, EMPTY_MESSAGE, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, RawConnection, call, frame,
};
use crate::support::nodes::set_label;
use crate::support::watcher::{Watcher, mask, watch};
use crate::support::{ErrorExt, connect, eventually, world};

/// More than what a connection and a send buffer hold, in changes of 8 KiB.
const CHANGES: usize = 40;

/// Readers of a kind.
const READERS: usize = 5;

fn request(node: &str) -> WatchNodesRequest {
    WatchNodesRequest { read_mask: mask(&["name", "metadata.annotations"]), ..watch(format!("name = {node:?}")) }
}

fn note(number: usize) -> String {
    format!("{number}-{}", "x".repeat(8 << 10))
}

/// Changes the node again and again.
async fn change(nodes: &Api<Node>, node: &str) {
    for number in 0..CHANGES {
        let patch = Patch::Merge(json!({ "metadata": { "annotations": { "example.com/note": note(number) } } }));
        nodes.patch(node, &PatchParams::default(), &patch).await.unwrap();
    }
}

/// The watch sees every change, in order.
async fn assert_sees_all(watcher: &mut Watcher) {
    let mut seen = Vec::new();
    while seen.len() < CHANGES {
        let node = watcher.expect(Type::Modified).await;
        let note = node.metadata.unwrap().annotations.remove("example.com/note");
        // A controller has annotations of its own.
        seen.extend(note.filter(|note| seen.last() != Some(note)));
    }
    assert!(seen.into_iter().eq((0..CHANGES).map(note)), "not in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_reading_holds_nobody_up_and_finds_all_later() {
    let (world, node) = (world().await, world().await.node("watch").await);
    let server = world.another_server(ServeOptions::default()).await;
    let mut stalled = Vec::new();
    for _ in 0..READERS {
        // Each on a connection of its own, which it fills.
        let mut watcher = Watcher::open(&connect(server.address()).await, request(&node)).await;
        watcher.snapshot().await;
        stalled.push(watcher);
    }
    let mut healthy = Watcher::open(&connect(server.address()).await, request(&node)).await;
    healthy.snapshot().await;
    change(&world.kubernetes().await, &node).await;
    assert_sees_all(&mut healthy).await;
    join_all(stalled.iter_mut().map(assert_sees_all)).await;
    drop((healthy, stalled));
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_a_byte_in_a_second_holds_nobody_up() {
    const WATCH: &str = "/nodeward.v1.NodeService/WatchNodes";
    const WINDOW_UPDATE: u8 = 8;
    let (world, node) = (world().await, world().await.node("watch").await);
    let server = world.another_server(ServeOptions::default()).await;
    let mut slow = RawConnection::open(server.address(), &[(INITIAL_WINDOW_SIZE, 1)]).await;
    for stream in (0..READERS as u32).map(|number| 2 * number + 1) {
        slow.send(&frame(HEADERS, END_HEADERS, stream, &call(WATCH))).await.unwrap();
        slow.send(&frame(DATA, END_STREAM, stream, EMPTY_MESSAGE)).await.unwrap();
    }
    let reading = tokio::spawn(async move {
        let mut bytes = 0;
        loop {
            while let Ok(Some(frame)) = timeout(Duration::from_secs(1), slow.next()).await {
                assert!(frame.kind != DATA || frame.payload.len() <= 1, "{frame:?}");
                bytes += usize::from(frame.kind == DATA);
                if bytes > 2 * READERS {
                    return;
                }
            }
            for stream in (0..READERS as u32).map(|number| 2 * number + 1) {
                slow.send(&frame(WINDOW_UPDATE, 0, stream, &1_u32.to_be_bytes())).await.unwrap();
            }
        }
    });
    let mut healthy = Watcher::open(&connect(server.address()).await, request(&node)).await;
    healthy.snapshot().await;
    change(&world.kubernetes().await, &node).await;
    assert_sees_all(&mut healthy).await;
    timeout(Duration::from_secs(60), reading).await.expect("they read on, byte by byte").unwrap();
    drop(healthy);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_after_every_message_misses_nothing() {
    let (world, node) = (world().await, world().await.node("watch").await);
    let client = world.client().await;
    let request =
        || WatchNodesRequest { read_mask: mask(&["name", "metadata.labels"]), ..watch(format!("name = {node:?}")) };
    let mut readers = Vec::new();
    for every in 1..=READERS {
        readers.push(Follower::start_cutting("one that comes back", &client, request(), every).await);
    }
    for reader in &readers {
        eventually("the snapshot is complete", async || reader.replay().is_complete().then_some(())).await;
    }
    let nodes = world.kubernetes().await;
    for number in 0..20 {
        set_label(&nodes, &node, "number", Some(&number.to_string())).await;
    }
    for reader in &readers {
        eventually(reader.what(), async || {
            let seen = reader.replay();
            let metadata = seen.nodes().values().next()?.metadata.as_ref()?;
            (metadata.labels.get("number").map(String::as_str) == Some("19")).then_some(())
        })
        .await;
        let seen = reader.messages();
        let numbers: Vec<_> = seen.iter().filter_map(number_in).collect();
        assert_eq!(numbers, (0..20).map(|number| number.to_string()).collect::<Vec<_>>(), "each once, in order");
    }
}

/// The number that a change shows.
fn number_in(message: &nodeward_api::v1::WatchNodesResponse) -> Option<String> {
    use nodeward_api::v1::watch_nodes_response::Event;
    let Some(Event::Change(change)) = &message.event else { return None };
    change.node.as_ref()?.metadata.as_ref()?.labels.get("number").cloned()
}

/// Those who compress their request are served by other code, which does what the contract says as plainly as can be.
#[tokio::test]
async fn the_fast_way_refuses_what_the_plain_way_refuses_in_the_same_words() {
    let client = world().await.client().await;
    let plain = client.clone().send_compressed(CompressionEncoding::Gzip).accept_compressed(CompressionEncoding::Gzip);
    let bad = [
        WatchNodesRequest { filter: "name = ".into(), ..Default::default() },
        WatchNodesRequest { read_mask: mask(&["spec.colour"]), ..Default::default() },
        WatchNodesRequest { resume_token: "x".into(), ..Default::default() },
        WatchNodesRequest { skip_snapshot: true, resume_token: "x".into(), ..Default::default() },
    ];
    for request in bad {
        let refused = async |client: &crate::support::Client| -> Status {
            Watcher::try_open(client, request.clone()).await.map(|_| ()).unwrap_err()
        };
        let (fast, plain) = (refused(&client).await, refused(&plain).await);
        let words = |status: &Status| (status.code(), status.message().to_owned(), status.reason());
        assert_eq!(words(&fast), words(&plain));
    }
}

#[tokio::test]
async fn a_watch_is_compressed_for_whoever_compresses_the_request() {
    let node = world().await.node("watch").await;
    let client = world().await.client().await;
    let request = || request(&node);
    let encoding = async |mut client: crate::support::Client| {
        let answer = client.watch_nodes(request()).await.unwrap();
        answer.metadata().get("grpc-encoding").map(|encoding| encoding.to_str().unwrap().to_owned())
    };
    let [could, wants] = [client.clone(), client.clone().send_compressed(CompressionEncoding::Gzip)]
        .map(|client| client.accept_compressed(CompressionEncoding::Gzip));
    assert_eq!(encoding(could).await, None);
    assert_eq!(encoding(wants.clone()).await.as_deref(), Some("gzip"));
    let mut watcher = Watcher::open(&wants, request()).await;
    assert_eq!(watcher.snapshot().await.len(), 1);
}
