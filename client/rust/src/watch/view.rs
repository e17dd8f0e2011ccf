//! What the consumer of a watch has seen, and what a message adds to it. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::node_change::Type;
use crate::api::watch_nodes_response::Event;
use crate::api::{Node, NodeChange, WatchNodesResponse};
use crate::watch::{WatchEvent, WatchEventKind};

/// The nodes as they were last delivered, and the snapshot that is being received.
#[derive(Debug)]
pub(crate) struct View {
    nodes: BTreeMap<String, Node>,
    /// The names in the snapshot so far. None after its end.
    snapshot: Option<BTreeSet<String>>,
    /// Whether the nodes of this snapshot are to be taken as known already.
    is_silent: bool,
    /// Whether a snapshot was completed before, so that this one is told as differences.
    is_repeated: bool,
    /// Whether `nodes` is all that the consumer knows.
    knows_all: bool,
    /// Whether all fields are watched. Then those that change all the time do not count.
    ignores_volatile: bool,
    token: Option<String>,
}

impl View {
    /// A view before the first message: of a snapshot to come, or of changes after one that somebody else has seen.
    pub(crate) fn new(skip_snapshot: bool, begins_with_snapshot: bool, ignores_volatile: bool) -> Self {
        Self {
            nodes: BTreeMap::new(),
            snapshot: begins_with_snapshot.then(BTreeSet::new),
            is_silent: skip_snapshot,
            is_repeated: false,
            knows_all: begins_with_snapshot,
            ignores_volatile,
            token: None,
        }
    }

    /// Whether a new snapshot can be turned into differences.
    pub(crate) fn can_start_over(&self) -> bool {
        self.knows_all
    }

    /// A new snapshot is going to come.
    pub(crate) fn start_over(&mut self) {
        self.is_repeated = self.is_repeated || self.snapshot.is_none();
        self.snapshot = Some(BTreeSet::new());
        self.token = None;
    }

    /// The token after which nothing is missed.
    pub(crate) fn resume_token(&self) -> Option<String> {
        self.token.clone()
    }

    /// What the consumer is told about a message.
    pub(crate) fn take(&mut self, message: WatchNodesResponse) -> Vec<WatchEvent> {
        let WatchNodesResponse { event, resume_token } = message;
        let kinds = match event {
            Some(Event::Change(change)) => self.change(change),
            Some(Event::SnapshotComplete(complete)) => self.complete(complete.node_count),
            Some(Event::Bookmark(_)) => vec![WatchEventKind::Bookmark],
            // An event of a later version of the contract: its token counts, though.
            None => Vec::new(),
        };
        // In a repeated snapshot the deletions are yet to come: whoever resumed there would not learn of them.
        let is_in_repeated = self.is_repeated && self.snapshot.is_some();
        let may_resume = !is_in_repeated && !resume_token.is_empty();
        if may_resume {
            self.token = Some(resume_token);
        }
        let last = kinds.len().saturating_sub(1);
        let token_of = |index: usize| (may_resume && index == last).then(|| self.token.clone()).flatten();
        kinds.into_iter().enumerate().map(|(index, kind)| WatchEvent { kind, resume_token: token_of(index) }).collect()
    }

    fn change(&mut self, change: NodeChange) -> Vec<WatchEventKind> {
        let kind = change.r#type();
        let NodeChange { node, changed_paths, .. } = change;
        let Some(node) = node else { return Vec::new() };
        if kind == Type::Deleted {
            return self.delete(node);
        }
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.insert(node.name.clone());
            if self.is_silent && !self.is_repeated {
                self.nodes.insert(node.name.clone(), node);
                return Vec::new();
            }
        }
        let known = self.nodes.insert(node.name.clone(), node.clone());
        match known {
            // Only a watch that began with a token gets changes of nodes that it has not seen.
            None if kind == Type::Modified && !self.knows_all => vec![WatchEventKind::Modified { node, changed_paths }],
            None => vec![WatchEventKind::Added { node }],
            Some(known) if is_another(&known, &node) => {
                vec![WatchEventKind::Deleted { node: known }, WatchEventKind::Added { node }]
            }
            Some(_) if kind == Type::Modified => vec![WatchEventKind::Modified { node, changed_paths }],
            Some(known) if self.is_equal(&known, &node) => Vec::new(),
            Some(_) => vec![WatchEventKind::Modified { node, changed_paths: Vec::new() }],
        }
    }

    fn delete(&mut self, node: Node) -> Vec<WatchEventKind> {
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.remove(&node.name);
        }
        match self.nodes.remove(&node.name) {
            None if self.knows_all => Vec::new(),
            _ => vec![WatchEventKind::Deleted { node }],
        }
    }

    /// What was delivered and is not in the snapshot is gone.
    fn complete(&mut self, node_count: i32) -> Vec<WatchEventKind> {
        let Some(snapshot) = self.snapshot.take() else { return Vec::new() };
        let gone: Vec<String> = self.nodes.keys().filter(|name| !snapshot.contains(*name)).cloned().collect();
        let gone = gone.iter().filter_map(|name| self.nodes.remove(name));
        let mut kinds: Vec<WatchEventKind> = gone.map(|node| WatchEventKind::Deleted { node }).collect();
        // The consumer is told once. After that a bookmark says up to where it is.
        let end =
            if self.is_repeated { WatchEventKind::Bookmark } else { WatchEventKind::SnapshotComplete { node_count } };
        kinds.push(end);
        kinds
    }

    fn is_equal(&self, one: &Node, other: &Node) -> bool {
        if self.ignores_volatile { without_volatile(one) == without_volatile(other) } else { one == other }
    }
}

/// Whether a node was deleted and created again under its name.
fn is_another(one: &Node, other: &Node) -> bool {
    let uid = |node: &Node| node.metadata.as_ref().and_then(|metadata| metadata.uid.clone());
    matches!((uid(one), uid(other)), (Some(one), Some(other)) if one != other)
}

/// The node without the fields whose changes a watch of all fields does not tell; see `WatchNodesRequest.read_mask`.
fn without_volatile(node: &Node) -> Node {
    let mut node = node.clone();
    node.etag.clear();
    if let Some(metadata) = &mut node.metadata {
        metadata.resource_version = None;
        metadata.managed_fields.clear();
    }
    for condition in node.status.iter_mut().flat_map(|status| &mut status.conditions) {
        condition.last_heartbeat_time = None;
    }
    node
}

#[cfg(test)]
mod tests;
