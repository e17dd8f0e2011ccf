//! The change log: a bounded, append-only ring of what happened to the nodes, in order.
//!
//! Readers hold a position, not a queue: a slow reader costs nothing and delays nobody. One that falls behind the ring's
//! oldest entry is told so. The ring is bounded by the memory that it takes beside the present state of the nodes: by the
//! versions that only it still holds.

use std::collections::VecDeque;
use std::sync::Arc;

use super::view::NodeView;

/// What a change takes without the versions of the node, about.
const CHANGE_BYTES: usize = 128;

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

impl Change {
    /// What a log that holds it takes. Each version of a node counts where it ends: until then the store holds it anyway.
    fn bytes(&self) -> usize {
        let before = self.before.as_ref().map_or(0, |before| before.bytes());
        let last = if self.deleted { self.after.bytes() } else { 0 };
        CHANGE_BYTES + before + last
    }
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
    /// The gaps, from one resource version to another, of which the log holds only the differences. In order.
    gaps: VecDeque<(u64, u64)>,
    /// What the changes in the ring take.
    bytes: usize,
    /// What they may take.
    budget: usize,
    /// What the differences after the last gap take, in addition, and where they end.
    differences: (usize, Position),
}

impl ChangeLog {
    /// An empty log that begins after this resource version and may take so many bytes.
    pub(super) fn new(base_version: u64, budget: usize) -> Self {
        Self {
            changes: VecDeque::new(),
            first: 0,
            base_version,
            gaps: VecDeque::new(),
            bytes: 0,
            budget,
            differences: (0, Position(0)),
        }
    }

    /// The same, with nothing in it.
    pub(super) fn restarted(&self, base_version: u64) -> Self {
        Self::new(base_version, self.budget)
    }

    /// Where the log begins: the position of the oldest change that it holds.
    pub(super) fn oldest(&self) -> Position {
        Position(self.first)
    }

    /// Where the log ends: the position of the next change.
    pub(super) fn end(&self) -> Position {
        Position(self.first + self.changes.len() as u64)
    }

    pub(super) fn push(&mut self, change: Change) {
        self.bytes += change.bytes();
        self.changes.push_back(Arc::new(change));
        while self.is_over_budget() && self.changes.len() > 1 {
            self.drop_oldest();
        }
    }

    /// Notes the changes between two resource versions, of which only the differences are known.
    ///
    /// They come all at once, and every reader is before them: they are kept beside the budget, which is there for the
    /// changes that follow. There are never more of them than nodes.
    pub(super) fn push_differences(&mut self, from: u64, to: u64, differences: Vec<Change>) {
        self.gaps.push_back((from, to));
        let end = Position(self.end().0 + differences.len() as u64);
        self.differences = (differences.iter().map(Change::bytes).sum(), end);
        differences.into_iter().for_each(|change| self.push(change));
    }

    fn is_over_budget(&self) -> bool {
        let (differences, end) = self.differences;
        let beside = if self.first < end.0 { differences } else { 0 };
        self.bytes > self.budget.saturating_add(beside)
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.changes.pop_front() else { return };
        self.bytes -= oldest.bytes();
        self.first += 1;
        self.base_version = oldest.version;
        while self.gaps.front().is_some_and(|(_, to)| *to <= oldest.version) {
            self.gaps.pop_front();
        }
    }

    /// At most `limit` changes from this position on.
    pub(super) fn read(&self, from: Position, limit: usize) -> Result<Vec<Arc<Change>>, OutOfLog> {
        if from.0 < self.first || from > self.end() {
            return Err(OutOfLog);
        }
        let skip = (from.0 - self.first) as usize;
        Ok(self.changes.range(skip..).take(limit).cloned().collect())
    }

    /// Whether a resource version is within a gap: what differs from there on is not known.
    pub(super) fn is_within_gap(&self, version: u64) -> bool {
        let next = self.gaps.partition_point(|(_, to)| *to <= version);
        self.gaps.get(next).is_some_and(|(from, _)| *from < version)
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

    /// A log with room for so many changes, after version 10.
    fn log_for(changes: usize) -> ChangeLog {
        ChangeLog::new(10, changes * change(0).bytes())
    }

    fn change(version: u64) -> Change {
        let view = || Arc::new(NodeView::new(k8s_openapi::api::core::v1::Node::default()));
        Change { before: Some(view()), after: view(), deleted: false, version, resume_version: Some(version) }
    }

    fn log(versions: &[u64], room: usize) -> ChangeLog {
        let mut log = log_for(room);
        versions.iter().for_each(|version| log.push(change(*version)));
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
    fn what_a_change_takes_is_the_versions_of_the_node_that_nothing_else_holds() {
        let view = |name: &str| {
            let mut node = k8s_openapi::api::core::v1::Node::default();
            node.metadata.name = Some(name.to_owned());
            Arc::new(NodeView::new(node))
        };
        let (short, long) = (view("a"), view(&"a".repeat(1000)));
        let with = |before: Option<&Arc<NodeView>>, after: &Arc<NodeView>, deleted| {
            Change { before: before.cloned(), after: after.clone(), deleted, ..change(1) }.bytes()
        };
        assert_eq!(with(None, &long, false), with(None, &short, false), "the store holds the present state");
        assert!(with(Some(&long), &short, false) >= with(Some(&short), &short, false) + 1000);
        assert!(with(Some(&short), &long, true) >= with(Some(&short), &short, true) + 1000);
    }

    #[test]
    fn a_large_change_takes_the_room_of_many_small_ones() {
        let mut log = log(&[11, 12, 13, 14], 4);
        let mut node = k8s_openapi::api::core::v1::Node::default();
        node.metadata.name = Some("a".repeat(2 * change(0).bytes()));
        log.push(Change { before: Some(Arc::new(NodeView::new(node))), ..change(15) });
        assert_eq!(versions(log.read(Position(4), 10).unwrap()), [15]);
        assert!(log.read(Position(2), 10).is_err());
    }

    #[test]
    fn the_last_change_is_kept_whatever_it_takes() {
        let log = log(&[11, 12], 0);
        assert_eq!(versions(log.read(Position(1), 10).unwrap()), [12]);
    }

    #[test]
    fn differences_are_all_kept_and_leave_room_for_what_follows() {
        let mut log = log(&[11, 12], 2);
        log.push_differences(12, 20, (0..5).map(|_| change(20)).collect());
        assert_eq!(log.read(Position(2), 10).unwrap().len(), 5);
        (21..=22).for_each(|version| log.push(change(version)));
        assert_eq!(log.read(Position(2), 10).unwrap().len(), 7);
    }

    #[test]
    fn the_room_of_differences_is_gone_with_them() {
        let mut log = log(&[11, 12], 2);
        log.push_differences(12, 20, (0..5).map(|_| change(20)).collect());
        (21..=40).for_each(|version| log.push(change(version)));
        assert_eq!(versions(log.read(Position(log.first), 10).unwrap()), [39, 40]);
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
        log.push_differences(12, 20, vec![]);
        log.push_differences(20, 30, vec![]);
        assert_eq!(log.position_after(12), Ok(Position(1)));
        assert_eq!(log.position_after(13), Err(OutOfLog));
        assert_eq!(log.position_after(19), Err(OutOfLog));
        assert_eq!(log.position_after(20), Ok(Position(1)));
        assert_eq!(log.position_after(21), Err(OutOfLog));
        assert_eq!(log.position_after(30), Ok(Position(1)));
    }

    #[test]
    fn a_gap_is_forgotten_with_the_changes_after_it() {
        let mut log = log(&[11], 1);
        log.push_differences(12, 20, vec![]);
        (21..=22).for_each(|version| log.push(change(version)));
        assert!(log.gaps.is_empty());
    }

    #[test]
    fn a_foreign_token_from_before_the_ring_is_refused() {
        assert_eq!(log(&[11, 12, 13], 2).position_after(10), Err(OutOfLog));
        assert_eq!(log(&[11, 12, 13], 2).position_after(11), Ok(Position(1)));
    }
}
