use nodeward_api::v1::{self, ListNodesResponse};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use super::super::tests::node;
use super::*;
use crate::cluster::feed::Sink;
use crate::cluster::store::StoreOptions;

/// A node whose entry takes about so many bytes.
fn sized(name: &str, version: u64, bytes: usize) -> k8s_openapi::api::core::v1::Node {
    let mut node = node(name, version);
    node.metadata.annotations = Some([("a".to_owned(), "x".repeat(bytes))].into());
    node
}

fn store_of(count: usize, bytes: usize) -> Store {
    Store::holding((0..count).map(|number| sized(&format!("n{number:03}"), 1, bytes)).collect(), 10)
}

/// What the entries hold.
fn nodes_in<'a>(entries: impl IntoIterator<Item = &'a Bytes>) -> Vec<v1::Node> {
    let bytes: Vec<u8> = entries.into_iter().flatten().copied().collect();
    ListNodesResponse::decode(&*bytes).unwrap().nodes
}

fn names_in<'a>(entries: impl IntoIterator<Item = &'a Bytes>) -> Vec<String> {
    nodes_in(entries).into_iter().map(|node| node.name).collect()
}

#[test]
fn those_who_list_at_the_same_time_share_all_of_it() {
    let store = store_of(100, 5000);
    assert!(Arc::ptr_eq(&store.listing(), &store.listing()));
}

#[test]
fn a_change_leaves_the_segments_of_other_nodes_as_they_are() {
    let store = store_of(100, 5000);
    let before = store.listing();
    store.apply(sized("n050", 11, 5000));
    let after = store.listing();
    let changed: Vec<usize> = before
        .segments()
        .iter()
        .zip(after.segments())
        .enumerate()
        .filter(|(_, (before, after))| !Arc::ptr_eq(before, after))
        .map(|(index, _)| index)
        .collect();
    assert_eq!((before.segments().len(), changed.len()), (after.segments().len(), 1));
    assert_eq!(nodes_in([before.segments()[changed[0]].entries()]).len(), 9, "who holds it still has what was");
}

#[test]
fn segments_are_of_about_one_size() {
    for (count, bytes) in [(300, 100), (300, 1500), (20, 50_000), (3, 500_000)] {
        let listing = store_of(count, bytes).listing();
        for segment in &listing.segments()[..listing.segments().len() - 1] {
            assert!(segment.nodes.len() == 1 || segment.len() <= FULL && segment.len() > FILLED - 2 * bytes);
        }
    }
}

#[test]
fn segments_that_are_nearly_empty_are_put_together() {
    let store = store_of(300, 5000);
    store.listing();
    (0..300)
        .filter(|number| number % 9 != 0)
        .for_each(|number| store.remove(node(&format!("n{number:03}"), 11 + number)));
    assert!(store.listing().segments().len() <= 2 + 2 * 34 * 5100 / FILLED);
}

#[test]
fn the_etag_of_the_set_is_that_of_the_nodes_it_has() {
    let with_uid = |name: &str, uid: &str, version| {
        let mut node = node(name, version);
        node.metadata.uid = Some(uid.to_owned());
        node
    };
    let store = Store::holding(vec![with_uid("a", "1", 1), with_uid("b", "2", 2)], 10);
    let etag = |store: &Store| store.listing().etag().to_owned();
    let first = etag(&store);
    store.apply(with_uid("a", "1", 11));
    assert!(store.listing().etag.get().is_some(), "it is still known");
    assert_eq!(etag(&store), first);
    store.apply(with_uid("a", "3", 12));
    assert_ne!(etag(&store), first, "another node of that name");
    store.remove(with_uid("b", "2", 13));
    assert_eq!(etag(&store), set_etag(&[with_uid("a", "3", 12)]));
}

#[test]
fn a_part_is_bounded_by_nodes_and_by_bytes() {
    let store = store_of(100, 5000);
    let listing = store.listing();
    let part = listing.part_after("n007", 20, usize::MAX);
    assert_eq!(names_in(&part.entries).first().unwrap(), "nodes/n008");
    assert_eq!((names_in(&part.entries).len(), part.last.unwrap().name(), part.is_last), (20, "n027", false));
    let part = listing.part_after("n007", 1000, 100_000);
    assert_eq!(names_in(&part.entries).len(), 20, "the last one goes beyond it");
    let part = listing.part_after("n089", 10, usize::MAX);
    assert_eq!((names_in(&part.entries).len(), part.is_last), (10, true));
    let part = listing.part_after("n099", 10, usize::MAX);
    assert!(part.entries.is_empty() && part.last.is_none() && part.is_last);
}

#[test]
fn a_listing_that_the_log_does_not_reach_is_dropped() {
    let store = Store::with_change_log(1);
    store.reset(vec![node("a", 1)], 10);
    let old = Arc::downgrade(&store.listing());
    store.apply(node("a", 11));
    store.apply(node("a", 12));
    assert!(old.upgrade().is_none());
    assert_eq!(store.listing().version(), 12);
}

#[test]
fn nothing_of_what_was_before_the_first_list_is_kept() {
    let store = Store::new(StoreOptions::default());
    assert_eq!(store.listing().count(), 0);
    store.reset(vec![node("a", 1)], 10);
    assert_eq!(store.listing().count(), 1);
}

#[derive(Clone, Debug)]
enum Event {
    Apply(u8, usize),
    Remove(u8),
    Relist(Vec<(u8, usize)>),
    Bookmark,
    List,
}

fn event() -> impl Strategy<Value = Event> {
    let size = || prop_oneof![0..200_usize, Just(2_000), Just(20_000), Just(70_000)];
    prop_oneof![
        8 => (any::<u8>(), size()).prop_map(|(name, size)| Event::Apply(name, size)),
        4 => any::<u8>().prop_map(Event::Remove),
        1 => vec((any::<u8>(), size()), 0..40).prop_map(Event::Relist),
        1 => Just(Event::Bookmark),
        3 => Just(Event::List),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever happens between two lists, and whether or not the log remembers it.
    #[test]
    fn a_listing_is_what_the_store_holds(events in vec(event(), 0..80), log in prop_oneof![Just(1), Just(200_000), Just(1 << 30)]) {
        let store = Store::with_change_log(log);
        store.reset(Vec::new(), 1);
        for (version, event) in (2..).zip(events) {
            match event {
                Event::Apply(name, size) => store.apply(sized(&name.to_string(), version, size)),
                Event::Remove(name) => store.remove(node(&name.to_string(), version)),
                Event::Relist(mut nodes) => {
                    nodes.sort();
                    nodes.dedup_by_key(|(name, _)| *name);
                    store.reset(nodes.iter().map(|(name, size)| sized(&name.to_string(), version, *size)).collect(), version);
                }
                Event::Bookmark => store.advance(version),
                Event::List => {
                    let (listing, snapshot) = (store.listing(), store.snapshot());
                    let names = |node: &v1::Node| (node.name.clone(), node.etag.clone());
                    let held: Vec<_> = snapshot.nodes.iter().map(|view| v1::Node::decode(view.encoded().clone()).unwrap()).collect();
                    let listed = nodes_in(listing.segments().iter().map(|segment| segment.entries()));
                    prop_assert_eq!(listed.iter().map(names).collect::<Vec<_>>(), held.iter().map(names).collect::<Vec<_>>());
                    prop_assert_eq!(listing.count(), held.len());
                    prop_assert_eq!((listing.position(), listing.version()), (snapshot.position, snapshot.version));
                    prop_assert!(listing.segments().iter().all(|segment| segment.nodes.len() == 1 || segment.len() <= FULL));
                }
            }
        }
    }
}
