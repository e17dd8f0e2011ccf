//! WatchNodes: what a watch shows, and what it leaves out.

use std::time::{Duration, Instant};

use kube::api::{Patch, PatchParams};
use nodeward_api::v1::node_change::Type;
use nodeward_api::v1::watch_nodes_response::Event;
use nodeward_api::v1::{CordonNodeRequest, SchedulingState, WatchNodesRequest};
use nodeward_server::args::ServeOptions;
use prost_types::FieldMask;
use serde_json::json;

use crate::support::nodes::{create_bare, delete, set_label};
use crate::support::watcher::{Watcher, mask, names, watch};
use crate::support::{assert_violation, connect, unique, world};

fn watch_node(name: &str) -> WatchNodesRequest {
    watch(format!("name = {name:?}"))
}

/// Without what controllers do to a node that has no kubelet.
fn labels_only() -> Option<FieldMask> {
    mask(&["name", "metadata.labels"])
}

async fn open(request: WatchNodesRequest) -> Watcher {
    Watcher::open(&world().await.client().await, request).await
}

#[tokio::test]
async fn a_watch_shows_the_nodes_there_are_and_then_what_changes() {
    let node = world().await.node("watch").await;
    let mut watcher = open(watch_node(&node)).await;
    let snapshot = watcher.snapshot().await;
    assert_eq!(names(&snapshot), [&node]);
    assert_eq!(snapshot[0].scheduling_state(), SchedulingState::Schedulable);

    let request = CordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    let mut cordoned = world().await.client().await.cordon_node(request).await.unwrap().into_inner();
    cordoned.metadata.as_mut().unwrap().managed_fields.clear(); // The cache does without.
    assert_eq!(watcher.expect(Type::Modified).await, cordoned);
}

#[tokio::test]
async fn the_snapshot_is_in_the_order_of_names_and_counted() {
    let group = unique("watch");
    let nodes = world().await.kubernetes().await;
    let request = WatchNodesRequest { read_mask: labels_only(), ..watch(format!(r#"name = "{group}-*""#)) };
    let mut early = open(request.clone()).await;
    assert_eq!(early.snapshot().await.len(), 0);
    for name in ["c", "a", "b"] {
        create_bare(&nodes, &format!("{group}-{name}"), json!({})).await;
        early.expect(Type::Added).await;
    }
    let mut watcher = open(request).await;
    let expected = ["a", "b", "c"].map(|name| format!("{group}-{name}"));
    assert_eq!(names(&watcher.snapshot().await), expected);
}

#[tokio::test]
async fn a_created_node_is_added_and_a_deleted_one_shows_its_last_state() {
    let node = unique("watch");
    let nodes = world().await.kubernetes().await;
    let mut watcher = open(WatchNodesRequest { read_mask: labels_only(), ..watch_node(&node) }).await;
    assert_eq!(watcher.snapshot().await.len(), 0);

    create_bare(&nodes, &node, json!({ "team": "blue" })).await;
    let added = watcher.expect(Type::Added).await;
    assert_eq!(added.metadata.unwrap().labels["team"], "blue");

    set_label(&nodes, &node, "team", Some("green")).await;
    watcher.expect(Type::Modified).await;

    delete(&nodes, &node).await;
    let deleted = watcher.expect(Type::Deleted).await;
    assert_eq!(deleted.metadata.unwrap().labels["team"], "green");
}

#[tokio::test]
async fn a_node_created_again_is_another_one() {
    let node = unique("watch");
    let nodes = world().await.kubernetes().await;
    let mut watcher = open(WatchNodesRequest { read_mask: mask(&["metadata.uid"]), ..watch_node(&node) }).await;
    watcher.snapshot().await;
    let mut uids = Vec::new();
    for _ in 0..2 {
        create_bare(&nodes, &node, json!({})).await;
        uids.push(watcher.expect(Type::Added).await.metadata.unwrap().uid);
        delete(&nodes, &node).await;
        assert_eq!(watcher.expect(Type::Deleted).await.metadata.unwrap().uid.as_ref(), uids.last().unwrap().as_ref());
    }
    assert_ne!(uids[0], uids[1]);
}

#[tokio::test]
async fn a_change_names_the_fields_that_changed() {
    let node = world().await.node("watch").await;
    let mut watcher = open(watch_node(&node)).await;
    watcher.snapshot().await;
    let patch = json!({
        "metadata": { "labels": { "team": "blue" }, "annotations": { "example.com/owner": "ops" } },
        "spec": { "unschedulable": true },
    });
    let nodes = world().await.kubernetes().await;
    nodes.patch(&node, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    let change = watcher.change().await;
    let expected = [
        "cordon_claims",
        "metadata.annotations.`example.com/owner`",
        "metadata.labels.team",
        "scheduling_state",
        "spec.unschedulable",
    ];
    assert_eq!(change.changed_paths, expected);
}

#[tokio::test]
async fn without_changes_there_are_bookmarks() {
    let node = world().await.node("watch").await;
    let mut watcher = open(watch_node(&node)).await;
    watcher.snapshot().await;
    for _ in 0..2 {
        let begun = Instant::now();
        assert!(matches!(watcher.message().await.event, Some(Event::Bookmark(_))));
        assert!(begun.elapsed() > Duration::from_millis(800));
    }
}

#[tokio::test]
async fn a_node_that_begins_to_match_is_added_and_one_that_ceases_to_is_deleted() {
    let node = world().await.node("watch").await;
    let nodes = world().await.kubernetes().await;
    let mut watcher = open(watch(format!(r#"name = {node:?} AND labels.team = "blue""#))).await;
    assert_eq!(watcher.snapshot().await.len(), 0);

    set_label(&nodes, &node, "team", Some("green")).await;
    set_label(&nodes, &node, "team", Some("blue")).await;
    assert_eq!(watcher.expect(Type::Added).await.metadata.unwrap().labels["team"], "blue");

    set_label(&nodes, &node, "team", None).await;
    let gone = watcher.expect(Type::Deleted).await;
    assert!(!gone.metadata.unwrap().labels.contains_key("team"), "the state in which it does not match");
}

#[tokio::test]
async fn a_label_selector_selects_too() {
    let node = world().await.node("watch").await;
    let nodes = world().await.kubernetes().await;
    let request = WatchNodesRequest { label_selector: "team in (blue,green)".into(), ..watch_node(&node) };
    let mut watcher = open(request).await;
    assert_eq!(watcher.snapshot().await.len(), 0);
    set_label(&nodes, &node, "team", Some("green")).await;
    watcher.expect(Type::Added).await;
    set_label(&nodes, &node, "team", Some("red")).await;
    watcher.expect(Type::Deleted).await;
}

#[tokio::test]
async fn with_a_mask_only_its_fields_are_shown_and_followed() {
    let node = world().await.node("watch").await;
    let nodes = world().await.kubernetes().await;
    let request = WatchNodesRequest { read_mask: mask(&["metadata.labels.team"]), ..watch_node(&node) };
    let mut watcher = open(request).await;
    watcher.snapshot().await;

    set_label(&nodes, &node, "rack", Some("7")).await;
    set_label(&nodes, &node, "team", Some("blue")).await;
    let change = watcher.change().await;
    assert_eq!(change.changed_paths, ["metadata.labels.team"]);
    let shown = change.node.unwrap();
    assert_eq!(shown.metadata.as_ref().unwrap().labels.len(), 1);
    assert!(shown.spec.is_none() && shown.status.is_none() && shown.etag.is_empty(), "{shown:?}");
}

/// A sign of life of the kubelet that says nothing new.
async fn heartbeat(node: &str, time: &str) {
    let patch = json!({ "status": { "conditions": [{ "type": "Ready", "lastHeartbeatTime": time }] } });
    let nodes = world().await.kubernetes().await;
    nodes.patch_status(node, &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
}

#[tokio::test]
async fn heartbeats_are_not_sent() {
    let node = world().await.node("watch").await;
    let mut watcher = open(watch_node(&node)).await;
    watcher.snapshot().await;
    heartbeat(&node, "2035-01-01T00:00:00Z").await;
    set_label(&world().await.kubernetes().await, &node, "team", Some("blue")).await;
    assert_eq!(watcher.change().await.changed_paths, ["metadata.labels.team"]);
}

#[tokio::test]
async fn heartbeats_are_sent_to_whoever_asks_for_them() {
    let node = world().await.node("watch").await;
    let read_mask = mask(&["status.conditions.*.type", "status.conditions.*.last_heartbeat_time"]);
    let mut watcher = open(WatchNodesRequest { read_mask, ..watch_node(&node) }).await;
    watcher.snapshot().await;
    heartbeat(&node, "2035-01-01T00:00:00Z").await;
    let change = watcher.change().await;
    assert!(change.changed_paths.iter().all(|path| path.starts_with("status.conditions")), "{change:?}");
    let conditions = change.node.unwrap().status.unwrap().conditions;
    let ready = conditions.iter().find(|condition| condition.r#type == "Ready").unwrap();
    assert_eq!(ready.last_heartbeat_time.unwrap().seconds, 2_051_222_400);
}

#[tokio::test]
async fn without_the_snapshot_a_watch_shows_only_what_changes_from_now_on() {
    let node = world().await.node("watch").await;
    let mut watcher = open(WatchNodesRequest { skip_snapshot: true, ..watch_node(&node) }).await;
    set_label(&world().await.kubernetes().await, &node, "team", Some("blue")).await;
    let shown = watcher.expect(Type::Modified).await;
    assert_eq!(shown.metadata.unwrap().labels["team"], "blue");
}

#[tokio::test]
async fn a_watch_that_is_cut_before_anything_happens_can_be_resumed() {
    let node = world().await.node("watch").await;
    let mut watcher = open(WatchNodesRequest { skip_snapshot: true, ..watch_node(&node) }).await;
    let cut = watcher.first_token().to_owned();
    watcher.resume(&cut).await;
    let cut_again = watcher.first_token().to_owned();
    set_label(&world().await.kubernetes().await, &node, "team", Some("blue")).await;
    for token in [cut, cut_again] {
        watcher.resume(&token).await;
        watcher.expect(Type::Modified).await;
    }
}

#[tokio::test]
async fn a_watch_ends_itself_at_its_age_with_a_bookmark_to_resume_from() {
    let node = world().await.node("watch").await;
    let options = ServeOptions { watch_max_age: Duration::from_millis(1500), ..ServeOptions::default() };
    let server = world().await.another_server(options).await;
    let client = connect(server.address()).await;
    let bookmark_interval = Some(prost_types::Duration { seconds: 600, nanos: 0 });
    let mut watcher = Watcher::open(&client, WatchNodesRequest { bookmark_interval, ..watch_node(&node) }).await;
    watcher.snapshot().await;
    let last = watcher.message().await;
    assert!(matches!(last.event, Some(Event::Bookmark(_))));
    assert_eq!(watcher.next().await.unwrap(), None, "and the stream ends without an error");

    set_label(&world().await.kubernetes().await, &node, "team", Some("blue")).await;
    watcher.resume(&last.resume_token).await;
    assert_eq!(watcher.change().await.changed_paths, ["metadata.labels.team"]);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn bad_fields_are_named() {
    let mut client = world().await.client().await;
    let seconds = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
    let bad = [
        ("filter", WatchNodesRequest { filter: "name = ".into(), ..Default::default() }),
        ("filter", WatchNodesRequest { filter: "colour = 1".into(), ..Default::default() }),
        ("label_selector", WatchNodesRequest { label_selector: "a in".into(), ..Default::default() }),
        ("read_mask", WatchNodesRequest { read_mask: mask(&["spec.colour"]), ..Default::default() }),
        ("bookmark_interval", WatchNodesRequest { bookmark_interval: seconds(0, 999_999_999), ..Default::default() }),
        ("bookmark_interval", WatchNodesRequest { bookmark_interval: seconds(601, 0), ..Default::default() }),
        ("bookmark_interval", WatchNodesRequest { bookmark_interval: seconds(-5, 0), ..Default::default() }),
        (
            "bookmark_interval",
            WatchNodesRequest { bookmark_interval: seconds(i64::MAX, i32::MIN), ..Default::default() },
        ),
        ("skip_snapshot", WatchNodesRequest { skip_snapshot: true, resume_token: "x".into(), ..Default::default() }),
    ];
    for (field, request) in bad {
        let result = client.watch_nodes(request).await.map(|_| ());
        assert_violation(result, field);
    }
}
