//! What a client knows, and how that grows.
//!
//! It is the token: all changes before a position in the log of one store, which is all up to a resource version. In
//! another store the version tells the position. Two things make it more than a number: while a snapshot is being told, it
//! is true only of the nodes up to a name; and of some of those even more may be known, from a server that was ahead.

use crate::cluster::store::class::After;
use crate::cluster::store::log::{Change, ChangeLog, Position};
use crate::error::Error;
use crate::node::token::{Ahead, QueryHash, ResumeToken, SnapshotProgress};

/// How often a snapshot may fall back to a server that lags behind the one before. There can't be many that lag farther
/// and farther, and each takes room in the token.
const MOST_AHEAD: usize = 8;

/// A place in the log of one store.
#[derive(Clone, Debug)]
pub(super) struct Place(ResumeToken);

impl Place {
    /// The place where all is known up to this position.
    pub(super) fn new(instance: u64, position: Position, version: u64, query: QueryHash) -> Self {
        Self(ResumeToken::new(instance, position.0, version, query))
    }

    /// The place that a token tells.
    pub(super) fn of(token: ResumeToken) -> Self {
        Self(token)
    }

    pub(super) fn token(&self) -> &ResumeToken {
        &self.0
    }

    pub(super) fn position(&self) -> Position {
        Position(self.0.position)
    }

    pub(super) fn snapshot(&self) -> Option<&SnapshotProgress> {
        self.0.snapshot.as_ref()
    }

    /// A snapshot is to be told from here on.
    pub(super) fn begin_snapshot(&mut self) {
        self.0.snapshot = Some(SnapshotProgress::default());
    }

    /// All nodes have been told. How many the client has.
    pub(super) fn end_snapshot(&mut self) -> Option<i32> {
        self.0.snapshot.take().map(|snapshot| snapshot.node_count)
    }

    /// Whether what comes next can't be told: what is known from another server is of a time of which this log holds only
    /// the differences, and may be gone without being one of them.
    pub(super) fn is_lost(&self, log: &ChangeLog) -> bool {
        let mut versions = self.0.version.into_iter().chain(self.0.ahead.iter().map(|ahead| ahead.version));
        versions.any(|version| log.is_within_gap(version))
    }

    /// The same place in the log of another store, which knows all up to a resource version.
    pub(super) fn moved(mut self, instance: u64, position: Position, known_there: u64) -> Result<Self, Error> {
        (self.0.instance, self.0.position) = (instance, position.0);
        if self.0.snapshot.is_some() && self.0.version > Some(known_there) {
            self.fall_back(known_there);
        }
        if self.0.ahead.len() > MOST_AHEAD { Err(Error::ResumeTokenExpired) } else { Ok(self) }
    }

    /// The nodes that the snapshot has not reached will be told as they were at an earlier version.
    fn fall_back(&mut self, to: u64) {
        let known = self.0.version.replace(to);
        let (Some(version), Some(snapshot)) = (known, &self.0.snapshot) else { return };
        let until = &snapshot.after;
        // Of the nodes up to the last of these names more is known already.
        if self.0.ahead.last().map_or("", |ahead| ahead.until.as_str()) < until.as_str() {
            self.0.ahead.push(Ahead { until: until.clone(), version });
        }
    }

    /// Whether nothing is known beyond the position, and can't be from now on: in a store that knows all up to a resource
    /// version, before this change. What is told from there on is the same for all who ask for the same.
    pub(super) fn is_plain(&self, known: u64, next: Option<&Change>) -> bool {
        let is_news = |change: &Change| self.0.version < Some(change.version);
        let is_beside = self.0.snapshot.is_some() || !self.0.ahead.is_empty();
        !is_beside && self.0.version <= Some(known) && next.is_none_or(is_news)
    }

    /// Goes on to after a later change, of a plain place.
    pub(super) fn go_on(&mut self, after: After) {
        if after.position > self.position() {
            self.0.position = after.position.0;
            self.0.version = after.version.map(|version| self.0.version.map_or(version, |own| own.max(version)));
        }
    }

    /// Passes the next change in the log. Whether the client is to be told of it: whether it has been told of the node,
    /// and not of this change.
    pub(super) fn pass(&mut self, change: &Change) -> bool {
        let name = change.after.name();
        let is_reached = self.0.snapshot.as_ref().is_none_or(|snapshot| name <= snapshot.after.as_str());
        let is_ahead = |ahead: &Ahead| name <= ahead.until.as_str() && change.version <= ahead.version;
        let is_known = Some(change.version) <= self.0.version || self.0.ahead.iter().any(is_ahead);
        self.0.position += 1;
        match change.resume_version {
            Some(version) => self.reach(version),
            None if Some(change.version) <= self.0.version => {}
            // Within the differences after a gap: no other store has been here.
            None => self.0.version = None,
        }
        is_reached && !is_known
    }

    /// All up to this resource version is before this position.
    pub(super) fn reach(&mut self, version: u64) {
        self.0.version = self.0.version.max(Some(version));
        self.0.ahead.retain(|ahead| Some(ahead.version) > self.0.version);
    }

    /// The snapshot has come to the node of this name.
    pub(super) fn reach_node(&mut self, name: &str) {
        if let Some(snapshot) = &mut self.0.snapshot {
            name.clone_into(&mut snapshot.after);
        }
    }

    /// The client has so many more nodes.
    pub(super) fn count(&mut self, more: i32) {
        if let Some(snapshot) = &mut self.0.snapshot {
            snapshot.node_count = snapshot.node_count.saturating_add(more);
        }
    }
}
