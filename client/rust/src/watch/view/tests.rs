//! Messages in, events out.

use super::*;
use crate::api::{Bookmark, ObjectMeta, SnapshotComplete};

fn node(name: &str, version: &str) -> Node {
    let labels = [("version".to_owned(), version.to_owned())].into();
    Node { name: name.into(), metadata: Some(ObjectMeta { labels, ..ObjectMeta::default() }), ..Node::default() }
}

fn with_uid(name: &str, uid: &str) -> Node {
    let metadata = ObjectMeta { uid: Some(uid.into()), ..ObjectMeta::default() };
    Node { name: name.into(), metadata: Some(metadata), ..Node::default() }
}

fn change(kind: Type, node: Node, token: &str) -> WatchNodesResponse {
    let change = NodeChange { r#type: kind.into(), node: Some(node), changed_paths: vec!["spec".into()] };
    WatchNodesResponse { event: Some(Event::Change(change)), resume_token: token.into() }
}

fn added(node: Node) -> WatchNodesResponse {
    change(Type::Added, node, "t")
}

fn complete(token: &str) -> WatchNodesResponse {
    let event = Some(Event::SnapshotComplete(SnapshotComplete { node_count: 1 }));
    WatchNodesResponse { event, resume_token: token.into() }
}

/// The events in short: `+a`, `~a`, `-a`, `.` for a bookmark, `=` for the end of the snapshot.
fn short(events: Vec<WatchEvent>) -> Vec<String> {
    events
        .into_iter()
        .map(|event| match event.kind {
            WatchEventKind::Added { node } => format!("+{}", node.name),
            WatchEventKind::Modified { node, .. } => format!("~{}", node.name),
            WatchEventKind::Deleted { node } => format!("-{}", node.name),
            WatchEventKind::SnapshotComplete { .. } => "=".to_owned(),
            WatchEventKind::Bookmark => ".".to_owned(),
            WatchEventKind::Interrupted { .. } => "!".to_owned(),
        })
        .collect()
}

fn take(view: &mut View, messages: Vec<WatchNodesResponse>) -> Vec<String> {
    messages.into_iter().flat_map(|message| short(view.take(message))).collect()
}

/// A view that has seen a snapshot of `a` and `b`.
fn view_of_two() -> View {
    let mut view = View::new(false, true, true);
    take(&mut view, vec![added(node("a", "1")), added(node("b", "1")), complete("t2")]);
    view
}

#[test]
fn a_first_snapshot_is_told_as_it_is() {
    let mut view = View::new(false, true, true);
    assert_eq!(take(&mut view, vec![added(node("a", "1")), complete("t2")]), ["+a", "="]);
}

#[test]
fn a_repeated_snapshot_is_told_as_differences() {
    let mut view = view_of_two();
    view.start_over();
    let snapshot = vec![added(node("a", "1")), added(node("c", "1")), complete("t9")];
    assert_eq!(take(&mut view, snapshot), ["+c", "-b", "."]);
}

#[test]
fn a_changed_node_of_a_repeated_snapshot_is_modified() {
    let mut view = view_of_two();
    view.start_over();
    assert_eq!(take(&mut view, vec![added(node("a", "2"))]), ["~a"]);
}

#[test]
fn heartbeats_alone_are_no_difference() {
    let mut view = view_of_two();
    view.start_over();
    let mut beaten = node("a", "1");
    beaten.etag = "\"9\"".into();
    assert!(take(&mut view, vec![added(beaten)]).is_empty());
}

#[test]
fn under_a_mask_every_field_counts() {
    let mut view = View::new(false, true, false);
    take(&mut view, vec![added(node("a", "1")), complete("t2")]);
    view.start_over();
    let mut beaten = node("a", "1");
    beaten.etag = "\"9\"".into();
    assert_eq!(take(&mut view, vec![added(beaten)]), ["~a"]);
}

#[test]
fn a_node_that_was_created_again_is_deleted_and_added() {
    let mut view = View::new(false, true, true);
    take(&mut view, vec![added(with_uid("a", "1")), complete("t2")]);
    view.start_over();
    assert_eq!(take(&mut view, vec![added(with_uid("a", "2"))]), ["-a", "+a"]);
}

#[test]
fn within_a_repeated_snapshot_no_event_can_be_resumed_from_but_the_last() {
    let mut view = view_of_two();
    view.start_over();
    let first = view.take(change(Type::Added, node("c", "1"), "t8"));
    assert_eq!(first[0].resume_token, None);
    let tokens: Vec<Option<String>> = view.take(complete("t9")).into_iter().map(|event| event.resume_token).collect();
    assert_eq!(tokens, [None, None, Some("t9".to_owned())]);
}

#[test]
fn a_snapshot_that_is_started_over_before_its_end_forgets_nothing() {
    let mut view = View::new(false, true, true);
    take(&mut view, vec![added(node("a", "1"))]);
    view.start_over();
    assert_eq!(take(&mut view, vec![added(node("b", "1")), complete("t2")]), ["+b", "-a", "="]);
}

#[test]
fn a_skipped_snapshot_is_not_told_but_known() {
    let mut view = View::new(true, true, true);
    assert_eq!(take(&mut view, vec![added(node("a", "1")), complete("t1")]), ["="]);
    view.start_over();
    assert_eq!(take(&mut view, vec![added(node("b", "1")), complete("t2")]), ["+b", "-a", "."]);
}

#[test]
fn changes_after_the_snapshot_keep_their_paths() {
    let mut view = view_of_two();
    let events = view.take(change(Type::Modified, node("a", "2"), "t3"));
    assert!(matches!(&events[0].kind, WatchEventKind::Modified { changed_paths, .. } if changed_paths == &["spec"]));
    assert_eq!(events[0].resume_token.as_deref(), Some("t3"));
}

#[test]
fn a_deletion_is_told_once() {
    let mut view = view_of_two();
    let gone = || change(Type::Deleted, node("a", "1"), "t3");
    assert_eq!(take(&mut view, vec![gone(), gone()]), ["-a"]);
}

#[test]
fn a_watch_that_began_with_a_token_tells_of_nodes_it_has_not_seen() {
    let mut view = View::new(false, false, true);
    let messages = vec![change(Type::Modified, node("a", "2"), "t1"), change(Type::Deleted, node("b", "1"), "t2")];
    assert_eq!(take(&mut view, messages), ["~a", "-b"]);
}

#[test]
fn a_watch_that_began_with_a_token_can_not_start_over() {
    assert!(!View::new(false, false, true).can_start_over());
    assert!(view_of_two().can_start_over());
}

#[test]
fn a_bookmark_carries_the_token() {
    let mut view = view_of_two();
    let message = WatchNodesResponse { event: Some(Event::Bookmark(Bookmark {})), resume_token: "t7".into() };
    assert_eq!(view.take(message)[0].resume_token.as_deref(), Some("t7"));
    assert_eq!(view.resume_token().as_deref(), Some("t7"));
}

#[test]
fn an_event_that_is_not_known_moves_the_token_on() {
    let mut view = view_of_two();
    assert!(view.take(WatchNodesResponse { event: None, resume_token: "t8".into() }).is_empty());
    assert_eq!(view.resume_token().as_deref(), Some("t8"));
}
