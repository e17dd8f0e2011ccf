//! What a watch shows of a change.

use std::borrow::Cow;
use std::sync::Arc;

use super::Event;
use crate::cluster::store::{Change, NodeView};
use crate::node::mask::ReadMask;
use crate::node::query::Selection;
use crate::node::token::QueryHash;

/// What every change changes: named only to those who ask for it by a mask.
const BOOKKEEPING: [&str; 2] = ["etag", "metadata.resource_version"];

/// What a watch is about: which nodes, and which of their fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Interest {
    selection: Selection,
    mask: ReadMask,
}

impl Interest {
    /// The interest in these fields of these nodes.
    pub fn new(selection: Selection, mask: ReadMask) -> Self {
        Self { selection, mask }
    }

    /// The fields.
    pub fn mask(&self) -> &ReadMask {
        &self.mask
    }

    /// Identifies the interest in tokens.
    pub fn query(&self) -> QueryHash {
        self.selection.hash(&self.mask.to_string())
    }

    /// The paths of the fields that differ between two versions of a node, as the watch shows them.
    pub fn changed_paths(&self, before: &NodeView, after: &NodeView) -> Vec<String> {
        let mut paths = self.mask.changed_paths(before.encoded(), after.encoded());
        if self.mask.paths().is_empty() {
            paths.retain(|path| !BOOKKEEPING.contains(&path.as_str()));
        }
        paths
    }

    /// The encoded node as the watch shows it.
    pub(super) fn shown<'a>(&self, view: &'a NodeView) -> Cow<'a, [u8]> {
        if self.mask.is_everything() {
            view.encoded().as_ref().into()
        } else {
            self.mask.project(view.encoded()).into()
        }
    }

    /// Whether the node is one of those that the watch is about.
    pub(super) fn includes(&self, view: &NodeView) -> bool {
        self.selection.matches(view.object())
    }

    /// What the watch shows of a change, if anything. A node that begins to match is new to it, one that no longer matches
    /// is gone.
    pub(in crate::cluster::store) fn event(&self, change: &Change) -> Option<Event> {
        let before = change.before.as_ref().filter(|before| self.includes(before));
        let is_in = !change.deleted && self.includes(&change.after);
        let after = change.after.clone();
        match before {
            None if is_in => Some(Event::Added(after)),
            None => None,
            Some(_) if !is_in => Some(Event::Deleted(after)),
            Some(before) => {
                let is_shown = self.mask.shows_change(before.encoded(), after.encoded());
                is_shown.then(|| Event::Modified { before: Arc::clone(before), after })
            }
        }
    }
}
