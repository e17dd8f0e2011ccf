//! The change log: a bounded, append-only ring of what happened to the nodes, in order.
//!
//! Readers hold a position, not a queue: a slow reader costs nothing and delays nobody. One that falls behind the ring's
//! oldest entry is told so.

use std::collections::VecDeque;
use std::sync::Arc;

use super::view::NodeView;

/// How many changes are kept at most. At the 20 changes a second that Kubernetes' own limits assume, that is more than
/// half an hour.
const CAPACITY: usize = 65_536;

/// What happened to one node.
#[derive(Clone, Debug)]
pub struct Change {
    /// The node before, if it existed.
    pub before: Option<Arc<NodeView>>,
    /// The node after: its last state, if it was deleted.
    pub after: Arc<NodeView>,
    /// Whether the node is gone.
    pub deleted: bool,
    /// The change has happened by this resource version. Never falls along the log.
    pub version: u64,
    /// Whoever has seen this change knows everything up to this resource version, and can go on from there on another
    /// server, with a log of its own. `None` within the differences after a gap: what a part of them adds up to never was.
    pub resume_version: Option<u64>,
}

/// A place in the log of one store: after the changes with a lower index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub u64);

/// A position that the log no longer, or not yet, reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfLog;

/// The ring.
#[derive(Debug)]
pub(super) struct ChangeLog {
    changes: VecDeque<Arc<Change>>,
    /// The index of the first change in the ring.
    first: u64,
    /// The resource version before the first change in the ring: what came later is all here.
    base_version: u64,
    /// The gaps, from one resource version to another, of which the log holds only the differences.
    gaps: VecDeque<(u64, u64)>,
    capacity: usize,
}

impl ChangeLog {
    /// An empty log that begins after this resource version.
    pub(super) fn new(base_version: u64) -> Self {
        Self::with_capacity(base_version, CAPACITY)
    }

    pub(super) fn with_capacity(base_version: u64, capacity: usize) -> Self {
        Self { changes: VecDeque::new(), first: 0, base_version, gaps: VecDeque::new(), capacity }
    }

    /// Where the log ends: the position of the next change.
    pub(super) fn end(&self) -> Position {
        Position(self.first + self.changes.len() as u64)
    }

    pub(super) fn push(&mut self, change: Change) {
        if self.changes.len() == self.capacity
            && let Some(oldest) = self.changes.pop_front()
        {
            self.first += 1;
            self.base_version = oldest.version;
            let base_version = self.base_version;
            self.gaps.retain(|(_, to)| *to > base_version);
        }
        self.changes.push_back(Arc::new(change));
    }

    /// At most `limit` changes from this position on.
    pub(super) fn read(&self, from: Position, limit: usize) -> Result<Vec<Arc<Change>>, OutOfLog> {
        if from.0 < self.first || from > self.end() {
            return Err(OutOfLog);
        }
        let skip = (from.0 - self.first) as usize;
        Ok(self.changes.range(skip..).take(limit).cloned().collect())
    }

    /// Notes that the changes that are pushed next are the differences between two resource versions.
    pub(super) fn begin_gap(&mut self, from: u64, to: u64) {
        self.gaps.push_back((from, to));
    }

    /// Whether a resource version is within a gap: what differs from there on is not known.
    pub(super) fn is_within_gap(&self, version: u64) -> bool {
        self.gaps.iter().any(|(from, to)| *from < version && version < *to)
    }

    /// The position after all that happened up to a resource version, for a token that another server gave. There is none
    /// if the version lies within a gap: which of the differences its bearer has seen can't be told.
    pub(super) fn position_after(&self, version: u64) -> Result<Position, OutOfLog> {
        if version < self.base_version || self.is_within_gap(version) {
            return Err(OutOfLog);
        }
        let seen = self.changes.partition_point(|change| change.version <= version);
        Ok(Position(self.first + seen as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(version: u64) -> Change {
        let node = k8s_openapi::api::core::v1::Node::default();
        Change {
            before: None,
            after: Arc::new(NodeView::new(node)),
            deleted: false,
            version,
            resume_version: Some(version),
        }
    }

    fn log(versions: &[u64], capacity: usize) -> ChangeLog {
        let mut log = ChangeLog::with_capacity(10, capacity);
        for version in versions {
            log.push(change(*version));
        }
        log
    }

    fn versions(changes: Vec<Arc<Change>>) -> Vec<u64> {
        changes.iter().map(|change| change.version).collect()
    }

    #[test]
    fn a_reader_gets_what_follows_its_position() {
        let log = log(&[11, 12, 13], 8);
        assert_eq!(versions(log.read(Position(1), 10).unwrap()), [12, 13]);
        assert_eq!(versions(log.read(log.end(), 10).unwrap()), [] as [u64; 0]);
    }

    #[test]
    fn a_reader_behind_the_ring_is_told_so() {
        let log = log(&[11, 12, 13, 14], 2);
        assert_eq!(log.read(Position(1), 10).unwrap_err(), OutOfLog);
        assert_eq!(versions(log.read(Position(2), 10).unwrap()), [13, 14]);
    }

    #[test]
    fn a_position_that_was_never_reached_is_refused() {
        assert_eq!(log(&[11], 8).read(Position(5), 10).unwrap_err(), OutOfLog);
    }

    #[test]
    fn a_foreign_token_goes_on_after_its_version() {
        let log = log(&[11, 14, 14, 20], 8);
        assert_eq!(log.position_after(10), Ok(Position(0)));
        assert_eq!(log.position_after(13), Ok(Position(1)));
        assert_eq!(log.position_after(14), Ok(Position(3)));
        assert_eq!(log.position_after(99), Ok(Position(4)));
    }

    #[test]
    fn a_foreign_token_from_within_a_gap_is_refused() {
        let mut log = log(&[11], 8);
        log.begin_gap(12, 20);
        assert_eq!(log.position_after(12), Ok(Position(1)));
        assert_eq!(log.position_after(13), Err(OutOfLog));
        assert_eq!(log.position_after(19), Err(OutOfLog));
        assert_eq!(log.position_after(20), Ok(Position(1)));
    }

    #[test]
    fn a_gap_is_forgotten_with_the_changes_after_it() {
        let mut log = log(&[11], 1);
        log.begin_gap(12, 20);
        (20..=22).for_each(|version| log.push(change(version)));
        assert!(log.gaps.is_empty());
    }

    #[test]
    fn a_foreign_token_from_before_the_ring_is_refused() {
        assert_eq!(log(&[11, 12, 13], 2).position_after(10), Err(OutOfLog));
        assert_eq!(log(&[11, 12, 13], 2).position_after(11), Ok(Position(1)));
    }
}
