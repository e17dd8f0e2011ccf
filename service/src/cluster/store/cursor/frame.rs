//! What a client is told, as it goes over the wire: a `WatchNodesResponse` after the five bytes that gRPC puts before each
//! message.
//!
//! A node is copied as the store has it, or what the mask leaves of it: none is decoded only to be encoded again. The bytes
//! are those that the generated code would make of the same message.

use bytes::{BufMut, Bytes};
use nodeward_api::v1::node_change::Type;
use nodeward_api::v1::watch_nodes_response::Event as Told;
use nodeward_api::v1::{Bookmark, SnapshotComplete, WatchNodesResponse};
use prost::Message;
use prost::encoding::{encode_varint, encoded_len_varint};

use super::{Event, Interest};
use crate::node::token::ResumeToken;

/// A flag, that the message is not compressed, and its length.
const HEAD: usize = 5;

// The numbers of the fields in `WatchNodesResponse` and `NodeChange`, as keys.
const CHANGE: u8 = 1 << 3 | LENGTH_DELIMITED;
const RESUME_TOKEN: u8 = 4 << 3 | LENGTH_DELIMITED;
const TYPE: u8 = 1 << 3 | VARINT;
const NODE: u8 = 2 << 3 | LENGTH_DELIMITED;
const CHANGED_PATHS: u8 = 3 << 3 | LENGTH_DELIMITED;
const VARINT: u8 = 0;
const LENGTH_DELIMITED: u8 = 2;

/// The message that tells of an event, with the token to go on from there.
pub(in crate::cluster::store) fn event(interest: &Interest, event: &Event, token: &ResumeToken) -> Bytes {
    let (r#type, view, paths) = match event {
        Event::Added(view) => (Type::Added, view, Vec::new()),
        Event::Deleted(view) => (Type::Deleted, view, Vec::new()),
        Event::Modified { before, after } => (Type::Modified, after, interest.changed_paths(before, after)),
        Event::SnapshotComplete { node_count } => {
            return small(Told::SnapshotComplete(SnapshotComplete { node_count: *node_count }), token);
        }
    };
    change(r#type, &interest.shown(view), &paths, &token.encode())
}

/// The message that nothing has happened.
pub(super) fn bookmark(token: &ResumeToken) -> Bytes {
    small(Told::Bookmark(Bookmark {}), token)
}

fn small(event: Told, token: &ResumeToken) -> Bytes {
    let message = WatchNodesResponse { event: Some(event), resume_token: token.encode() };
    let mut out = head(message.encoded_len());
    out.extend(message.encode_to_vec());
    out.into()
}

fn change(r#type: Type, node: &[u8], paths: &[String], token: &str) -> Bytes {
    // Keys and types are small: they take a byte each.
    let change_len = 2 + field_len(node) + paths.iter().map(|path| field_len(path.as_bytes())).sum::<usize>();
    let len = 1 + encoded_len_varint(change_len as u64) + change_len + field_len(token.as_bytes());
    let mut out = head(len);
    out.put_u8(CHANGE);
    encode_varint(change_len as u64, &mut out);
    out.put_slice(&[TYPE, r#type as u8]);
    put_field(&mut out, NODE, node);
    for path in paths {
        put_field(&mut out, CHANGED_PATHS, path.as_bytes());
    }
    put_field(&mut out, RESUME_TOKEN, token.as_bytes());
    debug_assert_eq!(out.len(), HEAD + len);
    out.into()
}

/// The beginning of a message of this length, with room for the rest.
fn head(len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + len);
    out.put_u8(0);
    // Nodes are far smaller than what does not fit: the apiserver takes none of more than 1.5 MiB.
    out.put_u32(len as u32);
    out
}

fn field_len(bytes: &[u8]) -> usize {
    1 + encoded_len_varint(bytes.len() as u64) + bytes.len()
}

fn put_field(out: &mut Vec<u8>, key: u8, bytes: &[u8]) {
    out.put_u8(key);
    encode_varint(bytes.len() as u64, out);
    out.put_slice(bytes);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use proptest::sample::subsequence;
    use prost_types::FieldMask;

    use super::super::twins::{event_of, message};
    use super::*;
    use crate::cluster::store::NodeView;
    use crate::node::arbitrary;
    use crate::node::mask::ReadMask;
    use crate::node::query::Selection;

    const PATHS: [&str; 8] = [
        "*",
        "name",
        "metadata.labels",
        "metadata.labels.team",
        "spec",
        "spec.taints.*.key",
        "status.conditions.*.type",
        "readiness.state",
    ];

    /// Without paths it is no mask.
    fn interest(paths: &[&str]) -> Interest {
        let mask = FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() };
        Interest::new(Selection::parse("", "").unwrap(), ReadMask::parse(&mask, "read_mask").unwrap())
    }

    fn view() -> impl Strategy<Value = Arc<NodeView>> {
        arbitrary::node().prop_map(|node| Arc::new(NodeView::new(node)))
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_the_generated_code(
            before in view(), after in view(), paths in subsequence(&PATHS[..], 0..4), node_count: i32, position: u64
        ) {
            let interest = interest(&paths);
            let token = ResumeToken::new(7, position, position.checked_sub(5), interest.query());
            for told in [
                Event::Added(after.clone()),
                Event::Deleted(after.clone()),
                Event::Modified { before, after },
                Event::SnapshotComplete { node_count },
            ] {
                prop_assert_eq!(event(&interest, &told, &token), message(event_of(&interest, &told), &token));
            }
            let expected = message(Told::Bookmark(Bookmark {}), &token);
            prop_assert_eq!(bookmark(&token), expected);
        }
    }
}
