//! WatchNodes: a watch that is cut goes on after any message, on any server, and loses and repeats nothing.

use futures::future::join_all;
use nodeward_api::v1::node_change::Type;
use nodeward_api::v1::watch_nodes_response::Event;
use nodeward_api::v1::{ListNodesRequest, WatchNodesRequest, WatchNodesResponse};
use nodeward_server::args::ServeOptions;
use prost_types::FieldMask;
use serde_json::json;
use tonic::Code;

use crate::support::nodes::{create_bare, delete, set_label};
use crate::support::proxy::Proxy;
use crate::support::replay::Replay;
use crate::support::watcher::{Watcher, mask, watch};
use crate::support::{Client, assert_error, connect, eventually, start_server, unique, world};

/// What a test watches: without what controllers do to nodes that have no kubelet.
fn labels_and_version() -> Option<FieldMask> {
    mask(&["name", "metadata.labels", "metadata.uid"])
}

fn watch_group(group: &str) -> WatchNodesRequest {
    WatchNodesRequest { read_mask: labels_and_version(), ..watch(format!(r#"name = "{group}-*""#)) }
}

/// The last node of a story: whoever has seen it has seen all.
fn end_of(group: &str) -> String {
    format!("{group}-the-end")
}

/// Waits until a server has seen the end of the story.
async fn has_seen_the_end(client: &Client, group: &str) {
    let request = ListNodesRequest { filter: format!("name = {}", end_of(group)), ..Default::default() };
    eventually("the server has seen it all", async || {
        client.clone().list_nodes(request.clone()).await.ok().filter(|list| !list.get_ref().nodes.is_empty())
    })
    .await;
}

/// A watch that is not cut: the messages of its snapshot and of all that happens to a few nodes afterwards.
async fn a_story(client: &Client, group: &str) -> Vec<WatchNodesResponse> {
    let nodes = world().await.kubernetes().await;
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| format!("{group}-{name}"));
    for name in [&a, &b, &c] {
        create_bare(&nodes, name, json!({ "step": "0" })).await;
    }
    let list = ListNodesRequest { filter: format!(r#"name = "{group}-*""#), ..Default::default() };
    eventually("the server knows the nodes", async || {
        let list = client.clone().list_nodes(list.clone()).await.unwrap().into_inner();
        (list.total_size == 3).then_some(())
    })
    .await;
    let mut watcher = Watcher::open(client, watch_group(group)).await;
    let mut messages = Vec::new();
    for _ in 0..4 {
        messages.push(watcher.message().await); // Three nodes, and the end of the snapshot.
    }

    set_label(&nodes, &a, "step", Some("1")).await;
    set_label(&nodes, &c, "step", Some("2")).await;
    delete(&nodes, &b).await;
    create_bare(&nodes, &d, json!({ "step": "3" })).await;
    set_label(&nodes, &c, "step", Some("4")).await;
    create_bare(&nodes, &b, json!({ "step": "5" })).await;
    set_label(&nodes, &a, "step", Some("6")).await;
    delete(&nodes, &d).await;
    create_bare(&nodes, &end_of(group), json!({})).await;
    while !Replay::of(&messages).nodes().contains_key(&format!("nodes/{}", end_of(group))) {
        messages.push(watcher.message().await);
    }
    messages
}

/// The messages up to the first bookmark after the end of the story.
async fn to_the_end(mut watcher: Watcher, mut replay: Replay, group: &str) -> (Replay, Vec<WatchNodesResponse>) {
    let end = format!("nodes/{}", end_of(group));
    let mut messages = Vec::new();
    loop {
        let message = watcher.message().await;
        let is_bookmark = matches!(message.event, Some(Event::Bookmark(_)));
        if is_bookmark && replay.nodes().contains_key(&end) && replay.is_complete() {
            return (replay, messages);
        }
        replay.take(&message);
        messages.push(message);
    }
}

/// What happened, without the tokens, which differ from server to server, and bookmarks, which come as time goes by.
fn events(messages: &[WatchNodesResponse]) -> Vec<&Event> {
    let events = messages.iter().filter_map(|message| message.event.as_ref());
    events.filter(|event| !matches!(event, Event::Bookmark(_))).collect()
}

/// Goes on, on this server, after each message of the story.
async fn resume_after_each_message(client: &Client, group: &str, story: &[WatchNodesResponse]) {
    let whole = Replay::of(story);
    join_all((1..=story.len()).map(|seen| {
        let (seen, rest) = story.split_at(seen);
        let resume_token = seen.last().map(|message| message.resume_token.clone()).unwrap_or_default();
        let whole = &whole;
        async move {
            let before = Replay::of(seen);
            let was_complete = before.is_complete();
            let request = WatchNodesRequest { resume_token, ..watch_group(group) };
            let watcher = Watcher::open(client, request).await;
            let (after, messages) = to_the_end(watcher, before, group).await;
            assert_eq!(after.nodes(), whole.nodes(), "after {} messages", seen.len());
            if was_complete {
                assert_eq!(events(&messages), events(rest), "after {} messages", seen.len());
            }
        }
    }))
    .await;
}

#[tokio::test]
async fn a_watch_goes_on_after_any_message() {
    let group = unique("resume");
    let client = world().await.client().await;
    let story = a_story(&client, &group).await;
    resume_after_each_message(&client, &group, &story).await;
}

#[tokio::test]
async fn a_watch_goes_on_after_any_message_on_another_server() {
    let group = unique("resume");
    let other = world().await.another_server(ServeOptions::default()).await;
    let story = a_story(&world().await.client().await, &group).await;
    let client = connect(other.address()).await;
    has_seen_the_end(&client, &group).await;
    resume_after_each_message(&client, &group, &story).await;
    other.stop().await.unwrap();
}

#[tokio::test]
async fn a_watch_that_changes_servers_within_the_snapshot_can_change_again() {
    let group = unique("resume");
    let other = world().await.another_server(ServeOptions::default()).await;
    let clients = [connect(other.address()).await, world().await.client().await];
    let story = a_story(&clients[1], &group).await;
    has_seen_the_end(&clients[0], &group).await;

    let mut replay = Replay::of(&story[..1]);
    let mut resume_token = story[0].resume_token.clone();
    for turn in 0.. {
        let request = WatchNodesRequest { resume_token, ..watch_group(&group) };
        let message = Watcher::open(&clients[turn % 2], request).await.message().await;
        replay.take(&message);
        resume_token = message.resume_token;
        if matches!(message.event, Some(Event::Bookmark(_))) {
            break;
        }
    }
    assert_eq!(replay.nodes(), Replay::of(&story).nodes());
    other.stop().await.unwrap();
}

#[tokio::test]
async fn a_snapshot_goes_on_at_a_server_that_lags_behind() {
    let group = unique("resume");
    let nodes = world().await.kubernetes().await;
    let [a, b, c] = ["a", "b", "c"].map(|name| format!("{group}-{name}"));
    for name in [&a, &b, &c] {
        create_bare(&nodes, name, json!({ "step": "0" })).await;
    }
    let proxy = Proxy::start(&world().await.sandbox).await;
    let lagging = start_server(proxy.kubeconfig(), ServeOptions::default()).await;
    lagging.ready().await;
    proxy.stall();
    for name in [&a, &c] {
        set_label(&nodes, name, "step", Some("1")).await;
    }
    let ahead = world().await.client().await;
    let both = ListNodesRequest { filter: format!(r#"name = "{group}-*" AND labels.step = 1"#), ..Default::default() };
    eventually("one server is ahead", async || {
        let list = ahead.clone().list_nodes(both.clone()).await.unwrap().into_inner();
        (list.total_size == 2).then_some(())
    })
    .await;

    // The first node comes from the server that is ahead, the others from the one that lags behind.
    let first = Watcher::open(&ahead, watch_group(&group)).await.message().await;
    let mut replay = Replay::of([&first]);
    let mut request = WatchNodesRequest { resume_token: first.resume_token, ..watch_group(&group) };
    let client = connect(lagging.address()).await;
    while !replay.is_complete() {
        let message = Watcher::open(&client, request.clone()).await.message().await;
        replay.take(&message);
        request.resume_token = message.resume_token;
    }
    let step = |replay: &Replay, name: &str| {
        replay.nodes()[&format!("nodes/{name}")].metadata.clone().unwrap().labels["step"].clone()
    };
    assert_eq!([&a, &b, &c].map(|name| step(&replay, name)), ["1", "0", "0"]);

    let mut uncut = Watcher::open(&client, request.clone()).await;
    proxy.mend();
    replay.take(&WatchNodesResponse { event: Some(uncut.event().await), resume_token: "x".into() });
    assert_eq!([&a, &b, &c].map(|name| step(&replay, name)), ["1", "0", "1"], "neither lost nor repeated");
    assert!(matches!(uncut.message().await.event, Some(Event::Bookmark(_))));
    let mut cut = Watcher::open(&client, request).await;
    cut.expect(Type::Modified).await;
    assert!(matches!(cut.message().await.event, Some(Event::Bookmark(_))));
    lagging.stop().await.unwrap();
}

#[tokio::test]
async fn a_watch_goes_on_after_a_bookmark() {
    let node = world().await.node("resume").await;
    let nodes = world().await.kubernetes().await;
    let client = world().await.client().await;
    let mut watcher = Watcher::open(&client, watch(format!("name = {node:?}"))).await;
    watcher.snapshot().await;
    let bookmark = watcher.message().await;
    assert!(matches!(bookmark.event, Some(Event::Bookmark(_))));

    set_label(&nodes, &node, "team", Some("blue")).await;
    watcher.change().await;
    watcher.resume(&bookmark.resume_token).await;
    assert_eq!(watcher.change().await.changed_paths, ["metadata.labels.team"]);
}

async fn token_of(request: WatchNodesRequest) -> String {
    let mut watcher = Watcher::open(&world().await.client().await, request).await;
    watcher.message().await.resume_token
}

#[tokio::test]
async fn a_token_of_another_query_is_refused() {
    world().await.node("resume").await;
    let mut client = world().await.client().await;
    let query = || WatchNodesRequest { label_selector: "!absent".into(), ..watch(r#"name = "*""#) };
    let resume_token = token_of(query()).await;
    for other in [
        watch(r#"name = "*""#),
        WatchNodesRequest { filter: r#"name = "a*""#.into(), ..query() },
        WatchNodesRequest { label_selector: "!other".into(), ..query() },
        WatchNodesRequest { read_mask: mask(&["name"]), ..query() },
    ] {
        let result = client.watch_nodes(WatchNodesRequest { resume_token: resume_token.clone(), ..other }).await;
        let status = assert_error(result.map(|_| ()), Code::InvalidArgument, "INVALID_RESUME_TOKEN");
        assert!(status.message().contains("resume token"), "{status:?}");
    }
    let result = client.watch_nodes(WatchNodesRequest { resume_token, ..query() }).await;
    assert!(result.is_ok(), "with its own query it goes on");
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let mut client = world().await.client().await;
    let list = ListNodesRequest { page_size: 1, ..Default::default() };
    let page_token = client.list_nodes(list).await.unwrap().into_inner().next_page_token;
    for garbage in ["x", "\u{fc}", "AAAA", &"A".repeat(60_000), &page_token] {
        let request = WatchNodesRequest { resume_token: garbage.to_owned(), ..Default::default() };
        let result = client.watch_nodes(request).await.map(|_| ());
        assert_error(result, Code::InvalidArgument, "INVALID_RESUME_TOKEN");
    }
}

#[tokio::test]
async fn a_token_from_before_a_servers_memory_has_expired() {
    let node = world().await.node("resume").await;
    let request = watch(format!("name = {node:?}"));
    let resume_token = token_of(request.clone()).await;
    set_label(&world().await.kubernetes().await, &node, "team", Some("blue")).await;

    let later = world().await.another_server(ServeOptions::default()).await;
    let mut client = connect(later.address()).await;
    let result = client.watch_nodes(WatchNodesRequest { resume_token, ..request }).await;
    let status = assert_error(result.map(|_| ()), Code::OutOfRange, "RESUME_TOKEN_EXPIRED");
    assert!(status.message().contains("resume token"), "{status:?}");
    later.stop().await.unwrap();
}
