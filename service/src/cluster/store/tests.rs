//! The store is driven here as the feed drives it, without a cluster.

use k8s_openapi::api::core::v1::Node;

use super::*;

pub(super) fn node(name: &str, version: u64) -> Node {
    let mut node = Node::default();
    node.metadata.name = Some(name.to_owned());
    node.metadata.resource_version = Some(version.to_string());
    node
}

fn listed(version: u64, nodes: &[(&str, u64)]) -> Store {
    Store::holding(nodes.iter().map(|(name, version)| node(name, *version)).collect(), version)
}

/// What the log holds, as `name@version`, deletions with a minus, `?` within differences.
fn log(store: &Store) -> Vec<String> {
    let changes = store.read().log.read(Position(0), usize::MAX).unwrap();
    let text = |change: &Arc<Change>| {
        let sign = if change.deleted { "-" } else { "" };
        let version = change.resume_version.map_or_else(|| "?".to_owned(), |version| version.to_string());
        format!("{sign}{}@{version}", change.after.name())
    };
    changes.iter().map(text).collect()
}

#[test]
fn it_is_ready_once_the_first_list_has_come() {
    let store = Store::new(StoreOptions::default());
    assert!(!store.is_ready());
    store.reset(vec![], 7);
    assert!(store.is_ready());
}

#[test]
fn the_first_list_is_state_and_no_change() {
    let store = listed(10, &[("a", 3), ("b", 9)]);
    assert_eq!(store.snapshot().nodes.len(), 2);
    assert_eq!(log(&store), [] as [&str; 0]);
}

#[test]
fn changes_stand_in_the_log_in_their_order() {
    let store = listed(10, &[("a", 3)]);
    store.apply(node("b", 11));
    store.apply(node("a", 12));
    store.remove(node("b", 13));
    assert_eq!(log(&store), ["b@11", "a@12", "-b@13"]);
    assert_eq!(store.snapshot().nodes.len(), 1);
}

#[test]
fn what_a_resumed_watch_repeats_is_not_logged_again() {
    let store = listed(10, &[("a", 3)]);
    store.apply(node("a", 11));
    store.apply(node("a", 11));
    store.apply(node("a", 9));
    assert_eq!(log(&store), ["a@11"]);
}

#[test]
fn a_list_after_a_gap_becomes_its_differences() {
    let store = listed(10, &[("changed", 3), ("gone", 4), ("same", 5)]);
    store.reset(vec![node("changed", 15), node("new", 12), node("same", 5)], 20);
    let names: Vec<String> = log(&store).iter().map(|entry| entry.split('@').next().unwrap().to_owned()).collect();
    assert_eq!(names, ["-gone", "new", "changed"]);
}

#[test]
fn a_node_that_was_created_anew_in_a_gap_is_another_one() {
    let node = |uid: &str, version| {
        let mut node = node("a", version);
        node.metadata.uid = Some(uid.to_owned());
        node
    };
    let store = Store::holding(vec![node("first", 3)], 10);
    store.reset(vec![node("second", 15)], 20);
    assert_eq!(log(&store), ["-a@?", "a@20"]);
    assert!(store.read().log.read(Position(1), 1).unwrap()[0].before.is_none());
}

#[test]
fn another_server_goes_on_before_or_after_a_gap_but_not_within() {
    let store = listed(10, &[("gone", 4)]);
    store.reset(vec![node("new", 12)], 20);
    assert_eq!(log(&store), ["-gone@?", "new@20"]);
    assert_eq!(store.read().log.position_after(10), Ok(Position(0)));
    assert_eq!(
        store.read().log.position_after(12),
        Err(OutOfLog),
        "which of the differences was seen elsewhere is not known"
    );
    assert_eq!(store.read().log.position_after(20), Ok(Position(2)));
}

#[test]
fn a_gap_is_one_even_without_a_difference() {
    let store = listed(10, &[("same", 4)]);
    store.reset(vec![node("same", 4)], 20);
    assert_eq!(log(&store), [] as [&str; 0]);
    assert!(store.read().log.is_within_gap(15));
    assert!(!store.read().log.is_within_gap(20));
}

#[test]
fn a_bookmark_moves_the_version_but_not_the_log() {
    let store = listed(10, &[]);
    store.advance(50);
    assert_eq!(store.head(), (Position(0), 50));
}
