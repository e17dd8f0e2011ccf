//! Single scenes, mostly of cursors that go from one store to another. The stores are driven as the feed drives them.

use k8s_openapi::api::core::v1::Node;

use super::*;
use crate::cluster::feed::Sink as _;
use crate::cluster::store::tests::node;
use crate::node::mask::ReadMask;
use crate::node::query::Selection;

/// A store with these nodes, `name@version`.
fn store(version: u64, nodes: &[&str]) -> Store {
    Store::holding(listed(nodes), version)
}

/// A store that remembers the last change only.
fn forgetful(version: u64, nodes: &[&str]) -> Store {
    Store::forgetful(listed(nodes), version)
}

fn listed(nodes: &[&str]) -> Vec<Node> {
    nodes.iter().map(|node| at(node)).collect()
}

/// A node in its version, `name@version`.
fn at(text: &str) -> Node {
    let (name, version) = text.split_once('@').unwrap();
    node(name, version.parse().unwrap())
}

/// A mask that shows every change.
fn everything() -> Interest {
    let mask = ReadMask::parse(&prost_types::FieldMask { paths: vec!["*".to_owned()] }, "read_mask").unwrap();
    Interest::new(Selection::parse("", "").unwrap(), mask)
}

fn from_the_beginning(store: &Store) -> Cursor {
    Cursor::at_the_beginning(store.clone(), everything())
}

fn from_now_on(store: &Store) -> Cursor {
    Cursor::at_the_end(store.clone(), everything())
}

/// The client goes on here, with what the other cursor was told.
fn resume(store: &Store, cursor: &Cursor) -> Result<Cursor, Error> {
    let text = cursor.token().encode();
    let token = ResumeToken::decode(&text, everything().query()).unwrap();
    Cursor::resume(store.clone(), everything(), token)
}

/// The next so many events in short: `+a@1`, `~a@2`, `-a@3`, `=1` for the end of a snapshot of one node, `.` for nothing.
fn told(cursor: &mut Cursor, count: usize) -> Vec<String> {
    let short = |sign, view: Arc<NodeView>| format!("{sign}{}@{}", view.name(), view.version());
    let mut next = || loop {
        break match cursor.step().unwrap() {
            Step::Event(Event::Added(view)) => short('+', view),
            Step::Event(Event::Modified { after, .. }) => short('~', after),
            Step::Event(Event::Deleted(view)) => short('-', view),
            Step::Event(Event::SnapshotComplete { node_count }) => format!("={node_count}"),
            Step::Skipped => continue,
            Step::Nothing => ".".to_owned(),
        };
    };
    (0..count).map(|_| next()).collect()
}

fn is_expired<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::ResumeTokenExpired))
}

#[test]
fn a_watch_tells_the_nodes_by_name_and_then_what_changes() {
    let store = store(10, &["b@2", "a@5"]);
    let mut cursor = from_the_beginning(&store);
    assert_eq!(told(&mut cursor, 4), ["+a@5", "+b@2", "=2", "."]);
    store.apply(at("b@11"));
    store.remove(at("a@12"));
    assert_eq!(told(&mut cursor, 3), ["~b@11", "-a@12", "."]);
}

#[test]
fn from_now_on_only_changes_are_told() {
    let store = store(10, &["a@5"]);
    let mut cursor = from_now_on(&store);
    assert_eq!(told(&mut cursor, 1), ["."]);
    store.apply(at("a@11"));
    assert_eq!(told(&mut cursor, 2), ["~a@11", "."]);
}

#[test]
fn within_the_snapshot_the_nodes_that_were_told_are_kept_up_to_date_and_the_others_told_as_they_are() {
    let store = store(10, &["a@1", "c@2", "d@3", "e@4"]);
    let mut cursor = from_the_beginning(&store);
    assert_eq!(told(&mut cursor, 2), ["+a@1", "+c@2"]);
    store.apply(at("a@11"));
    store.apply(at("b@12"));
    store.apply(at("d@13"));
    store.remove(at("c@14"));
    store.remove(at("e@15"));
    assert_eq!(told(&mut cursor, 6), ["~a@11", "+b@12", "-c@14", "+d@13", "=3", "."]);
}

#[test]
fn a_cursor_holds_no_nodes() {
    let store = forgetful(10, &["a@1", "b@2"]);
    let mut cursor = from_the_beginning(&store);
    told(&mut cursor, 1);
    let weak = Arc::downgrade(&store.get("b").unwrap());
    store.remove(at("b@11"));
    store.apply(at("c@12"));
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_snapshot_that_goes_on_counts_all_its_nodes() {
    let store = store(10, &["a@1", "b@2", "c@3"]);
    for seen in 0..=3 {
        let mut cursor = from_the_beginning(&store);
        told(&mut cursor, seen);
        assert_eq!(told(&mut resume(&store, &cursor).unwrap(), 4 - seen).last().unwrap(), "=3", "after {seen}");
    }
}

#[test]
fn a_snapshot_that_was_cut_before_its_first_node_is_told_whole() {
    let store = store(10, &["a@1"]);
    let cursor = from_the_beginning(&store);
    assert_eq!(told(&mut resume(&store, &cursor).unwrap(), 3), ["+a@1", "=1", "."]);
}

#[test]
fn a_bookmark_says_up_to_where_nothing_happened() {
    let (here, there) = (store(10, &[]), store(40, &[]));
    let mut cursor = from_now_on(&here);
    assert!(is_expired(resume(&there, &cursor)));
    here.advance(50);
    cursor.catch_up();
    assert!(resume(&there, &cursor).is_ok());
}

#[test]
fn what_is_not_shown_moves_the_cursor_on_too() {
    let store = store(10, &[]);
    let nobody = Interest::new(Selection::parse("name = nobody", "").unwrap(), ReadMask::everything());
    let mut cursor = Cursor::at_the_end(store.clone(), nobody);
    (11..300).for_each(|version| store.apply(at(&format!("a@{version}"))));
    assert_eq!(told(&mut cursor, 1), ["."]);
    assert_eq!((cursor.token().position, cursor.token().version), (289, Some(299)));
}

#[test]
fn a_place_that_a_store_has_not_come_to_is_not_one_of_its_own() {
    let store = store(10, &[]);
    let mut token = from_now_on(&store).token().clone();
    token.position = 1;
    assert!(matches!(Cursor::resume(store, everything(), token), Err(Error::InvalidResumeToken)));
}

#[test]
fn who_falls_off_the_log_is_told_so() {
    let store = forgetful(10, &[]);
    let mut cursor = from_now_on(&store);
    store.apply(at("a@11"));
    store.apply(at("a@12"));
    assert!(is_expired(resume(&store, &cursor)));
    assert!(is_expired(cursor.step()));
}

#[test]
fn a_server_that_lags_behind_repeats_nothing() {
    let (ahead, lagging) = (store(10, &["a@1"]), store(10, &["a@1"]));
    let mut cursor = from_now_on(&ahead);
    ahead.apply(at("a@11"));
    ahead.apply(at("b@12"));
    told(&mut cursor, 2);
    let mut cursor = resume(&lagging, &cursor).unwrap();
    lagging.apply(at("a@11"));
    lagging.apply(at("b@12"));
    assert_eq!(told(&mut cursor, 1), ["."]);
    lagging.apply(at("b@13"));
    assert_eq!(told(&mut cursor, 2), ["~b@13", "."]);
}

#[test]
fn a_snapshot_that_goes_on_at_a_server_that_lags_behind_repeats_and_loses_nothing() {
    let (ahead, lagging) = (store(10, &["a@1", "b@2"]), store(10, &["a@1", "b@2"]));
    for node in ["a@11", "b@12"] {
        ahead.apply(at(node));
    }
    let mut cursor = from_the_beginning(&ahead);
    assert_eq!(told(&mut cursor, 1), ["+a@11"]);
    let mut cursor = resume(&lagging, &cursor).unwrap();
    assert_eq!(told(&mut cursor, 3), ["+b@2", "=2", "."]);
    for node in ["a@11", "b@12", "a@13"] {
        lagging.apply(at(node));
    }
    assert_eq!(told(&mut resume(&lagging, &cursor).unwrap(), 3), ["~b@12", "~a@13", "."]);
    assert_eq!(told(&mut cursor, 3), ["~b@12", "~a@13", "."]);
}

#[test]
fn a_snapshot_can_fall_back_again_and_again_but_not_without_end() {
    let names = "abcdefghijkl".chars().map(|name| format!("{}@1", String::from(name).repeat(250)));
    let names: Vec<String> = names.collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut cursor = from_the_beginning(&store(100, &names));
    for lag in 1..=8 {
        told(&mut cursor, 1);
        cursor = resume(&store(100 - lag, &names), &cursor).unwrap_or_else(|error| panic!("{lag}: {error}"));
    }
    told(&mut cursor, 1);
    assert!(is_expired(resume(&store(91, &names), &cursor)));
}

#[test]
fn within_the_differences_of_a_gap_no_other_server_can_go_on() {
    let (here, there) = (store(10, &["a@1", "b@2"]), store(10, &["a@1", "b@2"]));
    let mut cursor = from_now_on(&here);
    here.reset(listed(&["a@15", "b@18"]), 20);
    there.apply(at("a@15"));
    there.apply(at("b@18"));
    assert!(resume(&there, &cursor).is_ok());
    assert_eq!(told(&mut cursor, 1), ["~a@15"]);
    assert!(is_expired(resume(&there, &cursor)));
    assert_eq!(told(&mut resume(&here, &cursor).unwrap(), 2), ["~b@18", "."]);
    assert_eq!(told(&mut cursor, 1), ["~b@18"]);
    assert_eq!(told(&mut resume(&there, &cursor).unwrap(), 1), ["."]);
}

#[test]
fn what_was_seen_elsewhere_within_a_gap_can_not_be_gone_on_from() {
    let (ahead, cut_off) = (store(10, &[]), store(10, &[]));
    let mut cursor = from_now_on(&ahead);
    ahead.apply(at("a@11"));
    told(&mut cursor, 1);
    let mut early = resume(&cut_off, &cursor).unwrap();
    assert_eq!(told(&mut early, 1), ["."]);
    // The node is gone again, of which this server has never heard.
    cut_off.reset(listed(&[]), 20);
    early.catch_up();
    assert!(is_expired(resume(&cut_off, &early)), "a bookmark does not hide it");
    assert!(is_expired(early.step()));
    assert!(is_expired(resume(&cut_off, &cursor)));
}
