//! The messages of the latest changes, as the streams of one class are told them.
//!
//! The ring knows what is told of all changes between two positions: one message for each that is shown. The others take no
//! room. It is never told from: streams read it, each at its own position, and whoever is behind it goes on by itself.

use std::collections::VecDeque;
use std::mem::size_of;

use bytes::Bytes;

use crate::cluster::store::log::{Change, Position};

/// Where a cursor stands after a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cluster::store) struct After {
    /// After so many changes.
    pub position: Position,
    /// All up to this resource version is known there: see [`Change::resume_version`].
    pub version: Option<u64>,
}

/// What a change is told with.
#[derive(Clone, Debug)]
struct Told {
    after: After,
    message: Bytes,
}

/// What the ring knows of what follows a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// This is told.
    Message(After, Bytes),
    /// Nothing is told up to here.
    Nothing(After),
    /// The ring does not reach this position.
    Unknown,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ring {
    told: VecDeque<Told>,
    /// The position from which on all is known.
    begin: Position,
    /// Where it is known up to.
    end: After,
    /// What the messages take.
    bytes: usize,
}

impl Ring {
    pub fn end(&self) -> Position {
        self.end.position
    }

    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What follows this position.
    pub fn next(&self, from: Position) -> Known {
        if from < self.begin || self.end.position < from {
            return Known::Unknown;
        }
        let next = self.told.partition_point(|told| told.after.position <= from);
        match self.told.get(next) {
            Some(told) => Known::Message(told.after, told.message.clone()),
            None => Known::Nothing(self.end),
        }
    }

    /// Adds the next change, and the message that it is told with, if it is shown.
    pub fn push(&mut self, change: &Change, message: Option<Bytes>) {
        self.end = After { position: Position(self.end.position.0 + 1), version: change.resume_version };
        if let Some(message) = message {
            self.bytes += cost(&message);
            self.told.push_back(Told { after: self.end, message });
        }
    }

    /// Begins anew at this position.
    pub fn restart(&mut self, at: Position) {
        *self = Self { begin: at, end: After { position: at, version: None }, ..Self::default() };
    }

    /// Drops the messages of changes before this position, and the oldest until they take no more than these bytes.
    pub fn trim(&mut self, oldest: Position, bytes: usize) {
        while self.told.front().is_some_and(|told| told.after.position <= oldest || self.bytes > bytes) {
            let Some(told) = self.told.pop_front() else { return };
            self.bytes -= cost(&told.message);
            self.begin = told.after.position;
        }
        if self.told.is_empty() {
            self.told = VecDeque::new();
        }
    }
}

fn cost(message: &Bytes) -> usize {
    message.len() + size_of::<Told>()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use k8s_openapi::api::core::v1::Node;

    use super::*;
    use crate::cluster::store::NodeView;

    fn change(version: u64) -> Change {
        let after = Arc::new(NodeView::new(Node::default()));
        Change { before: None, after, deleted: false, version, resume_version: Some(version) }
    }

    /// A ring in which the changes of versions 1, 2, ... are told so.
    fn ring(told: &[Option<&'static str>]) -> Ring {
        let mut ring = Ring::default();
        for (index, message) in told.iter().enumerate() {
            ring.push(&change(index as u64 + 1), message.map(Bytes::from));
        }
        ring
    }

    fn after(index: u64) -> After {
        After { position: Position(index), version: Some(index) }
    }

    #[test]
    fn what_is_not_shown_is_passed_over() {
        let ring = ring(&[None, Some("b"), None, None]);
        assert_eq!(ring.next(Position(0)), Known::Message(after(2), "b".into()));
        assert_eq!(ring.next(Position(1)), Known::Message(after(2), "b".into()));
        assert_eq!(ring.next(Position(2)), Known::Nothing(after(4)));
        assert_eq!(ring.next(Position(4)), Known::Nothing(after(4)));
    }

    #[test]
    fn what_it_does_not_reach_is_unknown() {
        let mut ring = ring(&[Some("a"), Some("b")]);
        assert_eq!(ring.next(Position(3)), Known::Unknown);
        ring.trim(Position(1), usize::MAX);
        assert_eq!(ring.next(Position(0)), Known::Unknown);
        assert_eq!(ring.next(Position(1)), Known::Message(after(2), "b".into()));
    }

    #[test]
    fn a_position_stays_known_as_long_as_nothing_that_follows_it_is_dropped() {
        let mut ring = ring(&[None, None, Some("c")]);
        ring.trim(Position(2), usize::MAX);
        assert_eq!(ring.next(Position(0)), Known::Message(after(3), "c".into()));
        ring.trim(Position(3), usize::MAX);
        assert_eq!(ring.next(Position(0)), Known::Unknown);
        assert_eq!(ring.next(Position(3)), Known::Nothing(after(3)));
    }

    #[test]
    fn the_oldest_make_room() {
        let mut ring = ring(&[Some("a"), Some("b"), Some("c")]);
        ring.trim(Position(0), 2 * cost(&Bytes::from("a")));
        assert_eq!(ring.next(Position(0)), Known::Unknown);
        assert_eq!(ring.next(Position(1)), Known::Message(after(2), "b".into()));
        ring.trim(Position(0), 0);
        assert_eq!((ring.told.len(), ring.bytes), (0, 0));
    }

    #[test]
    fn anew_it_knows_nothing_of_before() {
        let mut ring = ring(&[Some("a")]);
        ring.restart(Position(7));
        assert_eq!(ring.next(Position(1)), Known::Unknown);
        ring.push(&change(20), Some("b".into()));
        let after = After { position: Position(8), version: Some(20) };
        assert_eq!(ring.next(Position(7)), Known::Message(after, "b".into()));
    }
}
