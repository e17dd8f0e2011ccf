//! The answers that are made of encoded nodes, held against ones that are made as if nothing were encoded.

use std::sync::Arc;

use nodeward_api::v1;
use proptest::collection::btree_map;
use proptest::prelude::*;
use proptest::sample::select;
use prost::Message;
use prost_types::FieldMask;

use super::page::{List, PAGE_BYTES};
use super::show;
use super::stream::all_of;
use crate::cluster::store::NodeView;
use crate::cluster::store::segments::Listing;
use crate::node::arbitrary;
use crate::node::query::{Selection, parse_read_mask};
use crate::node::set_etag;

/// Nodes in the order of their names, a few of which are large.
fn views() -> impl Strategy<Value = Vec<Arc<NodeView>>> {
    let note = prop_oneof![9 => Just(0_usize), 2 => Just(30_000), 1 => Just(800_000)];
    btree_map("[a-c][a-z]{0,3}", (arbitrary::node(), note), 0..25).prop_map(|nodes| {
        let view = |(name, (mut node, note)): (String, (k8s_openapi::api::core::v1::Node, usize))| {
            node.metadata.name = Some(name);
            node.metadata.annotations.get_or_insert_default().insert("note".to_owned(), "x".repeat(note));
            Arc::new(NodeView::new(node))
        };
        nodes.into_iter().map(view).collect()
    })
}

fn masks() -> impl Strategy<Value = Option<FieldMask>> {
    let masks = [&[][..], &["*"], &["name", "etag"], &["metadata.labels", "spec.taints.*.key"], &["status.conditions"]];
    let mask = |paths: &[&str]| FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
    select(masks.map(|paths| (!paths.is_empty()).then(|| mask(paths))).to_vec())
}

fn filters() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", r#"name = "a*""#, r#"NOT name = "b*""#, "cordoned = true", r#"name = "nothing""#])
}

/// What a page is, in the terms of the contract, and the name of its last node if others follow.
fn plain_page(
    views: &[Arc<NodeView>],
    request: &v1::ListNodesRequest,
    after: Option<&str>,
) -> (v1::ListNodesResponse, Option<String>) {
    let selection = Selection::parse(&request.filter, "").unwrap();
    let mask = parse_read_mask(request.read_mask.as_ref()).unwrap();
    let mut matching: Vec<_> = views.iter().filter(|view| selection.matches(view.object())).collect();
    let (total_size, etag) = (matching.len() as i32, set_etag(matching.iter().map(|view| view.object())));
    if request.order_by == "name desc" {
        matching.reverse();
    }
    let first = after.map_or(0, |after| 1 + matching.iter().position(|view| view.name() == after).unwrap());
    let (mut nodes, mut bytes) = (Vec::new(), 0);
    for view in &matching[first..] {
        if nodes.len() == request.page_size as usize || bytes >= PAGE_BYTES {
            break;
        }
        let node = show(view, &mask).unwrap();
        bytes += v1::ListNodesResponse { nodes: vec![node.clone()], ..Default::default() }.encoded_len();
        nodes.push(node);
    }
    let until = first + nodes.len();
    let next = (until < matching.len()).then(|| matching[until - 1].name().to_owned());
    (v1::ListNodesResponse { nodes, total_size, etag, ..Default::default() }, next)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn pages_are_what_they_would_be_without_shortcuts(
        views in views(),
        read_mask in masks(),
        filter in filters(),
        order_by in select(vec!["", "", "name desc"]),
        page_size in 1..12_i32,
    ) {
        let listing = Listing::of(views.clone());
        let filter = filter.to_owned();
        let mut request = v1::ListNodesRequest { page_size, filter, order_by: order_by.into(), read_mask, ..Default::default() };
        let mut after = None;
        loop {
            let (expected, next) = plain_page(&views, &request, after.as_deref());
            let page: v1::ListNodesResponse = List::parse(&request).unwrap().page(&listing, None).decode().unwrap();
            request.page_token = page.next_page_token.clone();
            prop_assert_eq!(page.next_page_token.is_empty(), next.is_none());
            prop_assert_eq!(v1::ListNodesResponse { next_page_token: String::new(), ..page }.encode_to_vec(), expected.encode_to_vec());
            if next.is_none() {
                break;
            }
            after = next;
        }
    }

    #[test]
    fn a_stream_holds_all_that_matches_in_messages_of_bounded_size(views in views(), read_mask in masks(), filter in filters()) {
        let request = v1::StreamNodesRequest { filter: filter.to_owned(), read_mask, ..Default::default() };
        let listing = Listing::of(views.clone());
        let mut messages: Vec<v1::StreamNodesResponse> = all_of(&request, &listing);
        let summary = messages.pop().unwrap();
        prop_assert!(summary.nodes.is_empty());
        let summary = summary.summary.unwrap();
        let largest = views.iter().map(|view| view.encoded().len()).max().unwrap_or_default();
        prop_assert!(messages.iter().all(|message| message.summary.is_none() && !message.nodes.is_empty()));
        prop_assert!(messages.iter().all(|message| message.encoded_len() <= (64 << 10) + largest + 10));
        let selection = Selection::parse(&request.filter, "").unwrap();
        let mask = parse_read_mask(request.read_mask.as_ref()).unwrap();
        let matching: Vec<_> = views.iter().filter(|view| selection.matches(view.object())).collect();
        let expected: Vec<_> = matching.iter().map(|view| show(view, &mask).unwrap()).collect();
        prop_assert_eq!((summary.total_size, summary.etag), (expected.len() as i32, set_etag(matching.iter().map(|view| view.object()))));
        prop_assert_eq!(messages.into_iter().flat_map(|message| message.nodes).collect::<Vec<_>>(), expected);
    }
}
