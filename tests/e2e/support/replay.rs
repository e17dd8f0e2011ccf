//! What a client knows of the nodes by the messages that it has received, and the promises that each message must keep.
//!
//! The promises are those that etcd's robustness tests hold its watches to (tests/robustness/validate/watch.go there):
//! - ordered: changes come in the order of their resource versions,
//! - unique: no change comes twice, no node is ADDED that is known already, nor changed or DELETED that is not,
//! - reliable: what the messages add up to is what Kubernetes has (for the tests to compare, with `nodes`).
//!
//! Resumable and bookmarkable follow, if a client that goes on after any message, bookmarks too, keeps all of that.

use std::collections::BTreeMap;

use nodeward_api::v1::node_change::Type;
use nodeward_api::v1::watch_nodes_response::Event;
use nodeward_api::v1::{Node, NodeChange, WatchNodesResponse};

/// A client's knowledge. `take` panics as soon as a promise is broken.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    nodes: BTreeMap<String, Node>,
    is_complete: bool,
    /// The version of the last change after the snapshot.
    last_version: u64,
    /// The versions of all changes that have one of their own, in the order in which they came.
    versions: Vec<u64>,
}

impl Replay {
    /// What these messages add up to.
    pub fn of<'a>(messages: impl IntoIterator<Item = &'a WatchNodesResponse>) -> Self {
        let mut replay = Self::default();
        messages.into_iter().for_each(|message| replay.take(message));
        replay
    }

    /// Takes in the next message.
    pub fn take(&mut self, message: &WatchNodesResponse) {
        assert!(!message.resume_token.is_empty(), "every message has a resume token");
        match message.event.as_ref().expect("every message has an event") {
            Event::Change(change) => self.take_change(change),
            Event::SnapshotComplete(complete) => {
                assert!(!self.is_complete, "the snapshot ends once");
                assert_eq!(complete.node_count as usize, self.nodes.len(), "all nodes of the snapshot have come");
                self.is_complete = true;
            }
            Event::Bookmark(_) => {}
        }
    }

    /// The nodes by their names, each in its last state.
    pub fn nodes(&self) -> &BTreeMap<String, Node> {
        &self.nodes
    }

    /// Whether the snapshot is complete.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The resource versions of the changes, in the order in which they came. Empty if the mask does not show them.
    pub fn versions(&self) -> &[u64] {
        &self.versions
    }

    fn take_change(&mut self, change: &NodeChange) {
        let node = change.node.as_ref().expect("every change has a node");
        let known = self.nodes.get(&node.name);
        match (change.r#type(), known) {
            (Type::Added, None) => {}
            (Type::Modified, Some(known)) => {
                assert_ne!(known, node, "something has changed");
                assert!(!change.changed_paths.is_empty(), "and it is said what: {change:?}");
                assert!(version(known) < version(node) || version(node).is_none(), "{} goes back", node.name);
            }
            (Type::Deleted, Some(known)) => assert!(version(known) <= version(node), "{} goes back", node.name),
            (r#type, known) => panic!("{} is {type:?}, known is {known:?}", node.name),
        }
        // What Kubernetes no longer remembered when the server asked again has no version of its own: if it was a deletion,
        // the node comes as it was before.
        let is_as_before = change.r#type() == Type::Deleted && known.and_then(version) == version(node);
        self.check_order(node, is_as_before);
        match change.r#type() {
            Type::Deleted => self.nodes.remove(&node.name),
            _ => self.nodes.insert(node.name.clone(), node.clone()),
        };
    }

    fn check_order(&mut self, node: &Node, is_as_before: bool) {
        let Some(version) = version(node).filter(|_| !is_as_before) else { return };
        self.versions.push(version);
        if self.is_complete {
            assert!(version > self.last_version, "{} at {version} comes after {}", node.name, self.last_version);
            self.last_version = version;
        }
    }
}

/// The resource version, if the mask shows it.
pub fn version(node: &Node) -> Option<u64> {
    node.metadata.as_ref()?.resource_version.as_ref().map(|version| version.parse().expect("a number"))
}

/// That the promises are really asked for.
mod tests {
    use nodeward_api::v1::{ObjectMeta, SnapshotComplete};

    use super::*;

    fn message(event: Event) -> WatchNodesResponse {
        WatchNodesResponse { event: Some(event), resume_token: "token".into() }
    }

    fn change(r#type: Type, name: &str, version: u64) -> WatchNodesResponse {
        let metadata = ObjectMeta { resource_version: Some(version.to_string()), ..Default::default() };
        let node = Some(Node { name: name.into(), metadata: Some(metadata), ..Default::default() });
        let changed_paths = if r#type == Type::Modified { vec!["spec".into()] } else { Vec::new() };
        message(Event::Change(NodeChange { r#type: r#type.into(), node, changed_paths }))
    }

    /// Two nodes, of which the first is changed twice and the second deleted.
    fn story() -> Vec<WatchNodesResponse> {
        vec![
            change(Type::Added, "a", 7),
            change(Type::Added, "b", 3),
            message(Event::SnapshotComplete(SnapshotComplete { node_count: 2 })),
            change(Type::Modified, "a", 11),
            change(Type::Modified, "a", 12),
            change(Type::Deleted, "b", 13),
        ]
    }

    #[test]
    fn a_story_that_keeps_its_promises_adds_up() {
        let replay = Replay::of(&story());
        assert_eq!(replay.nodes().keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(replay.versions(), [7, 3, 11, 12, 13]);
    }

    #[test]
    #[should_panic(expected = "something has changed")]
    fn a_change_that_is_repeated_is_noticed() {
        let mut story = story();
        story.insert(5, story[4].clone());
        Replay::of(&story);
    }

    #[test]
    #[should_panic(expected = "goes back")]
    fn changes_in_the_wrong_order_are_noticed() {
        let mut story = story();
        story.swap(3, 4);
        Replay::of(&story);
    }

    #[test]
    #[should_panic(expected = "known is Some")]
    fn a_node_that_is_added_twice_is_noticed() {
        let mut story = story();
        story.push(change(Type::Added, "a", 14));
        Replay::of(&story);
    }

    #[test]
    #[should_panic(expected = "comes after 12")]
    fn a_change_of_another_node_that_comes_late_is_noticed() {
        let mut story = story();
        story.insert(5, change(Type::Modified, "b", 10));
        Replay::of(&story);
    }

    #[test]
    #[should_panic(expected = "comes after 12")]
    fn a_deletion_that_comes_late_is_noticed() {
        let mut story = story();
        story.insert(5, change(Type::Deleted, "b", 10));
        Replay::of(&story);
    }

    #[test]
    fn a_deletion_that_was_found_after_a_gap_has_no_place_in_the_order() {
        let mut story = story();
        story[5] = change(Type::Deleted, "b", 3);
        assert_eq!(Replay::of(&story).versions(), [7, 3, 11, 12]);
    }

    #[test]
    #[should_panic(expected = "all nodes of the snapshot")]
    fn a_node_that_the_snapshot_lacks_is_noticed() {
        let mut story = story();
        story.remove(0);
        Replay::of(&story);
    }

    #[test]
    fn a_deletion_that_is_lost_leaves_another_state() {
        let mut story = story();
        let whole = Replay::of(&story);
        story.pop();
        assert_ne!(Replay::of(&story).nodes(), whole.nodes());
    }
}
