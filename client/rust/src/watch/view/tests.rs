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

/// The events in short: `+a`, `~a`, `-a`, `.` for a bookmark, `=2` for the end of a snapshot of two nodes.
fn short(events: Vec<WatchEvent>) -> Vec<String> {
    events
        .into_iter()
        .map(|event| match event.kind {
            WatchEventKind::Added { node } => format!("+{}", node.name),
            WatchEventKind::Modified { node, .. } => format!("~{}", node.name),
            WatchEventKind::Deleted { node } => format!("-{}", node.name),
            WatchEventKind::SnapshotComplete { node_count } => format!("={node_count}"),
            WatchEventKind::Bookmark => ".".to_owned(),
            WatchEventKind::Interrupted { .. } => "!".to_owned(),
        })
        .collect()
}

fn take(view: &mut View, messages: Vec<WatchNodesResponse>) -> Vec<String> {
    messages.into_iter().flat_map(|message| short(view.take(message))).collect()
}

fn changes_only() -> WatchOptions {
    WatchOptions { skip_snapshot: true, ..WatchOptions::default() }
}

fn after_token() -> WatchOptions {
    WatchOptions { resume_token: Some("t0".into()), ..WatchOptions::default() }
}

/// A view that has seen a snapshot of `a` and `b`.
fn view_of_two() -> View {
    let mut view = View::new(&WatchOptions::default());
    take(&mut view, vec![added(node("a", "1")), added(node("b", "1")), complete("t2")]);
    view
}

#[test]
fn a_first_snapshot_is_told_as_it_is() {
    let mut view = View::new(&WatchOptions::default());
    assert_eq!(take(&mut view, vec![added(node("a", "1")), complete("t2")]), ["+a", "=1"]);
}

#[test]
fn a_repeated_snapshot_is_told_as_differences() {
    let mut view = view_of_two();
    assert!(view.start_over());
    let snapshot = vec![added(node("a", "1")), added(node("c", "1")), complete("t9")];
    assert_eq!(take(&mut view, snapshot), ["+c", "-b", "."]);
}

#[test]
fn a_changed_node_of_a_repeated_snapshot_is_modified() {
    let mut view = view_of_two();
    assert!(view.start_over());
    assert_eq!(take(&mut view, vec![added(node("a", "2"))]), ["~a"]);
}

#[test]
fn heartbeats_alone_are_no_difference() {
    let mut view = view_of_two();
    assert!(view.start_over());
    let mut beaten = node("a", "1");
    beaten.etag = "\"9\"".into();
    assert!(take(&mut view, vec![added(beaten)]).is_empty());
}

#[test]
fn under_a_mask_every_field_counts() {
    let mut view = View::new(&WatchOptions { read_mask: vec!["etag".into()], ..WatchOptions::default() });
    take(&mut view, vec![added(node("a", "1")), complete("t2")]);
    assert!(view.start_over());
    let mut beaten = node("a", "1");
    beaten.etag = "\"9\"".into();
    assert_eq!(take(&mut view, vec![added(beaten)]), ["~a"]);
}

#[test]
fn a_node_that_was_created_again_is_deleted_and_added() {
    let mut view = View::new(&WatchOptions::default());
    take(&mut view, vec![added(with_uid("a", "1")), complete("t2")]);
    assert!(view.start_over());
    assert_eq!(take(&mut view, vec![added(with_uid("a", "2"))]), ["-a", "+a"]);
}

#[test]
fn within_a_repeated_snapshot_no_event_can_be_resumed_from_but_the_last() {
    let mut view = view_of_two();
    assert!(view.start_over());
    let first = view.take(change(Type::Added, node("c", "1"), "t8"));
    assert_eq!(first[0].resume_token, None);
    let tokens: Vec<Option<String>> = view.take(complete("t9")).into_iter().map(|event| event.resume_token).collect();
    assert_eq!(tokens, [None, None, Some("t9".to_owned())]);
}

#[test]
fn a_snapshot_that_is_started_over_before_its_end_forgets_nothing() {
    let mut view = View::new(&WatchOptions::default());
    take(&mut view, vec![added(node("a", "1"))]);
    assert!(view.start_over());
    assert_eq!(take(&mut view, vec![added(node("b", "1")), complete("t2")]), ["+b", "-a", "=1"]);
}

#[test]
fn a_skipped_snapshot_is_not_told_but_known() {
    let mut view = View::new(&changes_only());
    assert_eq!(take(&mut view, vec![added(node("a", "1")), complete("t1")]), ["=1"]);
    assert!(view.start_over());
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
    let mut view = View::new(&after_token());
    let messages = vec![change(Type::Modified, node("a", "2"), "t1"), change(Type::Deleted, node("b", "1"), "t2")];
    assert_eq!(take(&mut view, messages), ["~a", "-b"]);
}

#[test]
fn a_watch_that_began_with_a_token_can_not_start_over() {
    assert!(!View::new(&after_token()).start_over());
    assert!(view_of_two().start_over());
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

#[test]
fn a_snapshot_that_ends_after_the_callers_token_is_told() {
    let mut view = View::new(&after_token());
    assert_eq!(take(&mut view, vec![added(node("b", "1")), complete("t2")]), ["+b", "=1"]);
    assert_eq!(take(&mut view, vec![change(Type::Modified, node("a", "2"), "t3")]), ["~a"]);
    assert!(!view.start_over());
}

#[test]
fn the_size_of_a_snapshot_is_that_of_all_its_parts() {
    let mut view = View::new(&WatchOptions::default());
    let parts = [added(node("a", "1")), added(node("b", "1")), change(Type::Deleted, node("a", "1"), "t2")];
    take(&mut view, parts.into());
    // The server counts the nodes since the last token.
    assert_eq!(take(&mut view, vec![added(node("c", "1")), complete("t4")]), ["+c", "=2"]);
}

#[test]
fn the_callers_token_is_the_first_to_go_on_from() {
    let view = View::new(&after_token());
    assert_eq!((view.token().map(String::as_str), view.resume_token().as_deref()), (Some("t0"), Some("t0")));
}

#[test]
fn within_a_first_snapshot_that_was_started_over_no_event_can_be_resumed_from() {
    let mut view = View::new(&WatchOptions::default());
    take(&mut view, vec![added(node("a", "1"))]);
    assert!(view.start_over());
    // Whoever went on after `b` would not learn that `a` is gone.
    assert_eq!(view.take(change(Type::Added, node("b", "1"), "u1"))[0].resume_token, None);
    assert_eq!(view.resume_token(), None);
    assert_eq!(view.token().map(String::as_str), Some("u1"));
}

#[test]
fn nothing_is_told_of_a_skipped_snapshot_however_often_it_begins() {
    let mut view = View::new(&changes_only());
    let changes = vec![added(node("a", "1")), added(node("b", "1")), change(Type::Deleted, node("b", "1"), "t3")];
    assert!(take(&mut view, changes).is_empty());
    assert_eq!(view.resume_token(), None);
    assert!(view.start_over());
    assert_eq!(take(&mut view, vec![added(node("c", "1")), complete("t9")]), ["=1"]);
    assert_eq!(take(&mut view, vec![change(Type::Deleted, node("c", "1"), "t10")]), ["-c"]);
}

#[test]
fn after_a_new_snapshot_there_is_no_token_until_its_end() {
    let mut view = view_of_two();
    assert!(view.start_over());
    assert_eq!((view.token(), view.resume_token()), (None, None));
}
