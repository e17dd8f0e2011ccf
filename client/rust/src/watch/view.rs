//! What the consumer of a watch has seen, and what a message adds to it. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use crate::api::node_change::Type;
use crate::api::watch_nodes_response::Event;
use crate::api::{Node, NodeChange, WatchNodesResponse};
use crate::watch::{WatchEvent, WatchEventKind, WatchOptions};

/// The nodes as they were last received, and up to where.
#[derive(Debug)]
pub(crate) struct View {
    phase: Phase,
    nodes: BTreeMap<String, Node>,
    /// The last token: the next stream goes on after it.
    token: Option<String>,
    /// Whether all fields are watched. Then those that change all the time do not count.
    ignores_volatile: bool,
}

/// What the messages are a part of.
#[derive(Debug)]
enum Phase {
    /// The first snapshot, told as it comes.
    Snapshot,
    /// The first snapshot if only changes after it are told.
    Baseline,
    /// A new snapshot, told as the differences to `nodes`, which may have missed changes.
    Renewal {
        /// The names that it held so far.
        seen: BTreeSet<String>,
        /// Whether no snapshot was complete before: the consumer waits for the end of one.
        is_first: bool,
    },
    /// The changes after a snapshot: `nodes` is all that there is.
    Changes,
    /// What follows a token of the caller's: the rest of a snapshot and changes. `nodes` is a part of what the caller knows.
    Continuation,
}

impl View {
    /// A view before the first message.
    pub(crate) fn new(options: &WatchOptions) -> Self {
        let phase = match (&options.resume_token, options.skip_snapshot) {
            (Some(_), _) => Phase::Continuation,
            (None, true) => Phase::Baseline,
            (None, false) => Phase::Snapshot,
        };
        Self {
            phase,
            nodes: BTreeMap::new(),
            token: options.resume_token.clone(),
            ignores_volatile: options.read_mask.is_empty(),
        }
    }

    /// Whether messages may be long in coming: without a token of the caller's, at least the end of a snapshot comes at once.
    pub(crate) fn may_be_silent(&self) -> bool {
        matches!(self.phase, Phase::Continuation)
    }

    /// Prepares for a new snapshot, whose differences to this view will be told. False if there is too much that only the
    /// caller knows.
    pub(crate) fn start_over(&mut self) -> bool {
        let is_first = match &self.phase {
            Phase::Continuation => return false,
            Phase::Snapshot | Phase::Baseline => true,
            Phase::Renewal { is_first, .. } => *is_first,
            Phase::Changes => false,
        };
        self.token = None;
        if matches!(self.phase, Phase::Baseline) {
            // Nothing was told of it.
            self.nodes.clear();
        } else {
            self.phase = Phase::Renewal { seen: BTreeSet::new(), is_first };
        }
        true
    }

    /// The token that the next stream goes on after.
    pub(crate) fn token(&self) -> Option<&String> {
        self.token.as_ref()
    }

    /// The token after which the consumer misses nothing. In a renewal the deletions are yet to come: whoever resumed there
    /// would not learn of them. Whoever resumed within a baseline would be told of it.
    pub(crate) fn resume_token(&self) -> Option<String> {
        match self.phase {
            Phase::Renewal { .. } | Phase::Baseline => None,
            Phase::Snapshot | Phase::Changes | Phase::Continuation => self.token.clone(),
        }
    }

    /// What the consumer is told about a message.
    pub(crate) fn take(&mut self, message: WatchNodesResponse) -> Vec<WatchEvent> {
        let WatchNodesResponse { event, resume_token } = message;
        let kinds = match event {
            Some(Event::Change(change)) => self.change(change),
            Some(Event::SnapshotComplete(_)) => self.complete(),
            Some(Event::Bookmark(_)) => vec![WatchEventKind::Bookmark],
            // An event of a later version of the contract: its token counts, though.
            None => Vec::new(),
        };
        let has_token = !resume_token.is_empty();
        if has_token {
            self.token = Some(resume_token);
        }
        let last = kinds.len().saturating_sub(1);
        let token_of = |index: usize| (has_token && index == last).then(|| self.resume_token()).flatten();
        kinds.into_iter().enumerate().map(|(index, kind)| WatchEvent { kind, resume_token: token_of(index) }).collect()
    }

    fn change(&mut self, change: NodeChange) -> Vec<WatchEventKind> {
        let kind = change.r#type();
        let NodeChange { node, changed_paths, .. } = change;
        let Some(node) = node else { return Vec::new() };
        if kind == Type::Deleted {
            return self.delete(node);
        }
        if let Phase::Renewal { seen, .. } = &mut self.phase {
            seen.insert(node.name.clone());
        }
        let known = self.nodes.insert(node.name.clone(), node.clone());
        match (known, &self.phase) {
            (_, Phase::Baseline) => Vec::new(),
            (None, Phase::Continuation) if kind == Type::Modified => {
                vec![WatchEventKind::Modified { node, changed_paths }]
            }
            (None, _) => vec![WatchEventKind::Added { node }],
            (Some(known), _) if is_another(&known, &node) => {
                vec![WatchEventKind::Deleted { node: known }, WatchEventKind::Added { node }]
            }
            (Some(_), _) if kind == Type::Modified => vec![WatchEventKind::Modified { node, changed_paths }],
            (Some(known), _) if self.is_equal(&known, &node) => Vec::new(),
            (Some(_), _) => vec![WatchEventKind::Modified { node, changed_paths: Vec::new() }],
        }
    }

    fn delete(&mut self, node: Node) -> Vec<WatchEventKind> {
        if let Phase::Renewal { seen, .. } = &mut self.phase {
            seen.remove(&node.name);
        }
        match (self.nodes.remove(&node.name), &self.phase) {
            (_, Phase::Baseline) => Vec::new(),
            (None, Phase::Snapshot | Phase::Renewal { .. } | Phase::Changes) => Vec::new(),
            (Some(_), _) | (None, Phase::Continuation) => vec![WatchEventKind::Deleted { node }],
        }
    }

    /// The consumer is told once that the snapshot is complete. After a later one a bookmark says up to where it is.
    fn complete(&mut self) -> Vec<WatchEventKind> {
        match mem::replace(&mut self.phase, Phase::Changes) {
            Phase::Snapshot | Phase::Baseline => vec![self.snapshot_complete()],
            Phase::Renewal { seen, is_first } => {
                let mut kinds = self.forget_all_but(&seen);
                kinds.push(if is_first { self.snapshot_complete() } else { WatchEventKind::Bookmark });
                kinds
            }
            Phase::Changes => Vec::new(),
            Phase::Continuation => {
                self.phase = Phase::Continuation;
                vec![self.snapshot_complete()]
            }
        }
    }

    /// The number is not the server's, which counts what it sent since the last token.
    fn snapshot_complete(&self) -> WatchEventKind {
        WatchEventKind::SnapshotComplete { node_count: i32::try_from(self.nodes.len()).unwrap_or(i32::MAX) }
    }

    /// What was delivered and is not in the snapshot is gone.
    fn forget_all_but(&mut self, seen: &BTreeSet<String>) -> Vec<WatchEventKind> {
        let gone: Vec<String> = self.nodes.keys().filter(|name| !seen.contains(*name)).cloned().collect();
        let gone = gone.iter().filter_map(|name| self.nodes.remove(name));
        gone.map(|node| WatchEventKind::Deleted { node }).collect()
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
