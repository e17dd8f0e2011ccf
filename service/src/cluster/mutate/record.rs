//! What a node remembers of its changes: the last requests, and which audit records the last change has.
//!
//! The id of a request is written into an annotation of the node in the same step as the change that it stands for. Both
//! are there or neither is, whatever crashes in between, and every server sees it. So is the audit id of the last change,
//! whether or not its request had an id; not of an apply, whose annotations Kubernetes would take for its manager's.

use k8s_openapi::api::core::v1::Node;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Mutation, Request, Subresource};
use crate::error::Error;

/// The annotation that holds the requests of all changes but applies.
pub(super) const ANNOTATION: &str = "nodeward.dev/requests";

/// The annotation that holds the audit id of the last change.
const LAST_CHANGE: &str = "nodeward.dev/last-change";

/// How many requests a node remembers. Each takes about 120 bytes of the node in every cache of the cluster.
const REMEMBERED: usize = 16;

/// Stands for who asks for what: the hash of the caller's name and the encoded message without the request id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The digest of this RPC's request by this user.
    pub fn of(method: &str, username: &str, encoded: &[u8]) -> Self {
        let hasher = Sha256::new().chain_update(method).chain_update([0]).chain_update(username).chain_update([0]);
        let hash = hasher.chain_update(encoded).finalize();
        Self(hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect())
    }

    /// The digest with this text.
    pub(super) fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A request that was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) id: Uuid,
    pub(super) method: String,
    pub(super) digest: Digest,
}

impl Record {
    pub(super) fn of(request: &Request, mutation: &Mutation) -> Self {
        Self { id: request.id, method: mutation.method.to_owned(), digest: request.digest.clone() }
    }

    /// That the id stands for this request, not for the one at hand.
    pub(super) fn conflict(self) -> Error {
        Error::RequestIdConflict { request_id: self.id.to_string(), method: self.method }
    }
}

/// Whether the node remembers the request: an error if its id stands for another one.
pub(super) fn is_replay(node: &Node, mutation: &Mutation) -> Result<bool, Error> {
    let Some(request) = &mutation.request else { return Ok(false) };
    match find(node, request.id) {
        Some(record) if record.digest == request.digest => Ok(true),
        Some(record) => Err(record.conflict()),
        None => Ok(false),
    }
}

/// The request with this id, if the node remembers it.
pub(super) fn find(node: &Node, id: Uuid) -> Option<Record> {
    let text = id.to_string();
    let annotations = node.metadata.annotations.iter().flatten();
    annotations
        .filter(|(key, value)| key.starts_with(ANNOTATION) && value.contains(&text))
        .flat_map(|(_, value)| parse(value))
        .find(|record| record.id == id)
}

/// What a node remembers of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remembers {
    /// That it was carried out.
    Yes,
    /// Nothing, though it would.
    No,
    /// Nothing, but so many requests have come that it may have forgotten.
    NoMore,
}

/// What the node remembers of this id, as that of a request of this RPC.
pub(super) fn memory_of(node: &Node, id: Uuid, method: &str) -> Remembers {
    match find(node, id) {
        Some(record) if record.method == method => return Remembers::Yes,
        // Another request had the id first, and this one was refused.
        Some(_) => return Remembers::No,
        None => {}
    }
    let requests = node.metadata.annotations.iter().flatten().filter(|(key, _)| key.starts_with(ANNOTATION));
    let is_full = |value: &str| serde_json::from_str::<Vec<Record>>(value).map_or(true, |all| all.len() >= REMEMBERED);
    if requests.into_iter().any(|(_, value)| is_full(value)) { Remembers::NoMore } else { Remembers::No }
}

/// The audit id of the last change, if the node has one.
pub(super) fn last_change(node: &Node) -> Option<Uuid> {
    Uuid::try_parse(node.metadata.annotations.as_ref()?.get(LAST_CHANGE)?).ok()
}

/// The annotations that remember a change: their keys and values. A change that `changes` nothing but them is only written
/// for the sake of its request's id.
pub(super) fn notes(node: Option<&Node>, mutation: &Mutation, changes: bool) -> Vec<(String, String)> {
    let request = mutation.to_record().map(|request| with(node, Record::of(request, mutation)));
    let is_written = changes && !mutation.validate_only;
    let change = is_written.then(|| (LAST_CHANGE.to_owned(), mutation.audit_id.to_string()));
    request.into_iter().chain(change).collect()
}

/// The annotation for a node with one more request: its key and value.
fn with(node: Option<&Node>, record: Record) -> (String, String) {
    append(node, ANNOTATION.to_owned(), Some(record))
}

/// The annotation for an apply. Server-side apply gives the annotation to the manager that applies it, and would meet a
/// conflict in one that others write too; so each manager has its own, and must go on applying it to keep it. To Kubernetes
/// one name is two managers if it applies to the node and to its status (BuildManagerIdentifier in structured-merge-diff).
pub(super) fn with_apply(
    node: Option<&Node>,
    manager: &str,
    subresource: Subresource,
    record: Option<Record>,
) -> Option<(String, String)> {
    let hash = Sha256::new().chain_update(manager).chain_update([0, subresource as u8]).finalize();
    let suffix: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let (key, value) = append(node, format!("{ANNOTATION}-{suffix}"), record);
    (value != "[]").then_some((key, value))
}

fn append(node: Option<&Node>, key: String, record: Option<Record>) -> (String, String) {
    let annotations = node.and_then(|node| node.metadata.annotations.as_ref());
    let mut records =
        annotations.and_then(|annotations| annotations.get(&key)).map(|value| parse(value)).unwrap_or_default();
    records.extend(record);
    let surplus = records.len().saturating_sub(REMEMBERED);
    let value = serde_json::to_string(&records[surplus..]).unwrap_or_default();
    (key, value)
}

/// An annotation that someone has spoiled remembers nothing; it is written anew with the next change.
fn parse(value: &str) -> Vec<Record> {
    serde_json::from_str(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u128) -> Record {
        Record {
            id: Uuid::from_u128(number),
            method: "CordonNode".into(),
            digest: Digest::of("CordonNode", "alice", b"x"),
        }
    }

    fn node(annotation: (String, String)) -> Node {
        let mut node = Node::default();
        node.metadata.annotations = Some([annotation].into());
        node
    }

    #[test]
    fn a_node_remembers_a_request() {
        let node = node(with(None, record(1)));
        assert_eq!(find(&node, Uuid::from_u128(1)), Some(record(1)));
        assert_eq!(find(&node, Uuid::from_u128(2)), None);
    }

    #[test]
    fn a_node_remembers_the_last_requests_only() {
        let mut remembering = Node::default();
        for number in 0..20 {
            remembering = node(with(Some(&remembering), record(number)));
        }
        assert_eq!(find(&remembering, Uuid::from_u128(3)), None);
        assert_eq!(find(&remembering, Uuid::from_u128(4)), Some(record(4)));
        assert_eq!(find(&remembering, Uuid::from_u128(19)), Some(record(19)));
    }

    #[test]
    fn a_node_tells_what_it_never_knew_from_what_it_may_have_forgotten() {
        let (mut remembering, of) = (Node::default(), |number| Uuid::from_u128(number));
        for number in 1..16 {
            remembering = node(with(Some(&remembering), record(number)));
        }
        assert_eq!(memory_of(&remembering, of(15), "CordonNode"), Remembers::Yes);
        assert_eq!(memory_of(&remembering, of(15), "UpdateNode"), Remembers::No);
        assert_eq!(memory_of(&remembering, of(99), "CordonNode"), Remembers::No);
        remembering = node(with(Some(&remembering), record(16)));
        assert_eq!(memory_of(&remembering, of(99), "CordonNode"), Remembers::NoMore);
        let spoiled = node((ANNOTATION.to_owned(), "not json".to_owned()));
        assert_eq!(memory_of(&spoiled, of(1), "CordonNode"), Remembers::NoMore);
    }

    #[test]
    fn a_spoiled_annotation_remembers_nothing_and_is_written_anew() {
        let spoiled = node((ANNOTATION.to_owned(), "not json".to_owned()));
        assert_eq!(find(&spoiled, Uuid::from_u128(1)), None);
        let mended = node(with(Some(&spoiled), record(1)));
        assert_eq!(find(&mended, Uuid::from_u128(1)), Some(record(1)));
    }

    #[test]
    fn managers_that_apply_have_annotations_of_their_own() {
        let annotation = |manager, subresource| with_apply(None, manager, subresource, Some(record(1))).unwrap();
        let blue = annotation("blue", Subresource::Main);
        assert_ne!(blue.0, annotation("green", Subresource::Main).0);
        assert_ne!(blue.0, annotation("blue", Subresource::Status).0);
        assert_eq!(find(&node(blue), Uuid::from_u128(1)), Some(record(1)));
    }

    #[test]
    fn an_apply_without_requests_has_no_annotation() {
        assert_eq!(with_apply(None, "blue", Subresource::Main, None), None);
    }
}
