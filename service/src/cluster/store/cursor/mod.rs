//! What the client of a watch knows, and what it must be told next.
//!
//! A cursor is a place in a store, not a queue: it holds no nodes, so that a client that does not read costs nothing, and
//! its place, as a token, is all that another cursor needs to go on, in this store or in that of another server. Whoever
//! has a client (`rpc::watch`) asks for one event after the other; a cursor knows neither streams nor time.
//!
//! A cursor in a plain place, where it knows all up to its position and nothing beyond, is told the same as all others that
//! ask for the same, byte for byte: it takes the messages of its class. In any other place it makes its own.
//!
//! The snapshot is not a copy. Nodes are told in the order of their names, each as it is when its turn comes; in between
//! come the changes of those that were told before. So at any event the client knows what the store held at one position
//! of its log: of all nodes or, as long as the snapshot is not complete, of those up to a name.
//!
//! Promises, as etcd names them: ordered, unique, reliable (nothing is left out), resumable at any event, bookmarkable.

pub(super) mod frame;
mod interest;
mod place;

use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;

use super::class::{self, Member};
use super::{Change, NodeView, Store};
use crate::error::Error;
use crate::node::token::ResumeToken;

pub use interest::Interest;
use place::Place;

/// How many changes or nodes are read at once, at most, while none of them is shown.
pub(super) const MOST_AT_ONCE: usize = 64;

/// What a client is told.
#[derive(Clone, Debug)]
pub enum Event {
    /// The node is new to the watch.
    Added(Arc<NodeView>),
    /// The node changed.
    Modified {
        /// As the client knows it.
        before: Arc<NodeView>,
        /// As it is now.
        after: Arc<NodeView>,
    },
    /// The node is gone, or not of interest any longer.
    Deleted(Arc<NodeView>),
    /// All nodes have been told.
    SnapshotComplete {
        /// How many nodes the client has.
        node_count: i32,
    },
}

/// What comes next.
#[derive(Clone, Debug)]
pub enum Step {
    /// This is told.
    Event(Event),
    /// What happened is not of interest: ask again.
    Skipped,
    /// Nothing, until the store changes.
    Nothing,
}

/// What comes next, as a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// This is told: a `WatchNodesResponse`, framed for gRPC.
    Message(Bytes),
    /// What is told takes more room than there is.
    TooLarge,
    /// What happened is not of interest: ask again.
    Skipped,
    /// Nothing. Whoever has asked is woken when there is something.
    Nothing,
}

/// The place of one client in a store.
#[derive(Debug)]
pub struct Cursor {
    store: Store,
    member: Member,
    place: Place,
    /// Whether the place is plain: it is from then on.
    is_plain: bool,
    /// How much is read at once. It grows while nothing is shown: what is not passed is read again.
    at_once: usize,
}

/// What the store holds behind a place.
enum Read {
    /// Changes.
    Changes(Vec<Arc<Change>>),
    /// No changes; nodes that the snapshot has not reached.
    End(Vec<Arc<NodeView>>),
}

impl Cursor {
    /// A cursor whose client is to be told of all nodes, and then of their changes.
    pub fn at_the_beginning(store: Store, interest: Interest) -> Self {
        let mut cursor = Self::at_the_end(store, interest);
        cursor.place.begin_snapshot();
        cursor.is_plain = false;
        cursor
    }

    /// A cursor whose client is to be told of the changes from now on.
    pub fn at_the_end(store: Store, interest: Interest) -> Self {
        let (position, version) = store.head();
        let place = Place::new(store.instance(), position, version, interest.query());
        Self { is_plain: true, ..Self::new(store, interest, place) }
    }

    /// A cursor that goes on where another was: exactly in the same store, by the resource version in any other.
    ///
    /// # Errors
    /// The token has expired, or it tells a place that this store has not come to yet.
    pub fn resume(store: Store, interest: Interest, token: ResumeToken) -> Result<Self, Error> {
        let place = find(&store, token)?;
        let mut cursor = Self::new(store, interest, place);
        cursor.read()?;
        Ok(cursor)
    }

    fn new(store: Store, interest: Interest, place: Place) -> Self {
        let member = store.classes.join(interest);
        Self { store, member, place, is_plain: false, at_once: 1 }
    }

    /// The place of a client that has been told all that was asked for so far.
    pub fn token(&self) -> &ResumeToken {
        self.place.token()
    }

    /// What the watch is about.
    pub fn interest(&self) -> &Interest {
        self.member.interest()
    }

    /// The message that the client is to be told next, if it takes no more than `room`. It counts as told.
    ///
    /// # Errors
    /// The store no longer knows what comes next.
    pub fn next(&mut self, room: usize, waker: &Waker) -> Result<Next, Error> {
        if !self.is_plain {
            return self.next_of_its_own(room, waker);
        }
        let (after, next) = match self.member.next(&self.store, self.place.position(), waker) {
            class::Next::Message(_, message) if message.len() > room => return Ok(Next::TooLarge),
            class::Next::Message(after, message) => (after, Next::Message(message)),
            class::Next::Skipped(after) => (after, Next::Skipped),
            class::Next::Waiting(after) => (after, Next::Nothing),
            class::Next::Unknown => return self.next_of_its_own(room, waker),
        };
        self.place.go_on(after);
        Ok(next)
    }

    /// The same, for this cursor alone.
    fn next_of_its_own(&mut self, room: usize, waker: &Waker) -> Result<Next, Error> {
        let before = self.place.clone();
        let event = match self.step()? {
            Step::Event(event) => event,
            Step::Nothing if self.wait(waker) => return Ok(Next::Nothing),
            Step::Nothing | Step::Skipped => return Ok(Next::Skipped),
        };
        let message = frame::event(self.interest(), &event, self.token());
        if message.len() > room {
            self.place = before;
            return Ok(Next::TooLarge);
        }
        Ok(Next::Message(message))
    }

    /// Waits for changes, unless there are some by now. In a plain place it is enough to be woken for what is shown.
    fn wait(&self, waker: &Waker) -> bool {
        self.member.wait(&self.store, self.place.position(), waker, !self.is_plain)
    }

    /// A message that says that nothing has happened up to here.
    pub fn bookmark(&mut self) -> Bytes {
        self.catch_up();
        frame::bookmark(self.token())
    }

    /// What the client is to be told next. It counts as told.
    ///
    /// # Errors
    /// The store no longer knows what comes next.
    pub fn step(&mut self) -> Result<Step, Error> {
        let step = match self.read()? {
            Read::Changes(changes) => self.pass_changes(&changes),
            Read::End(nodes) => self.pass_nodes(&nodes),
        };
        self.at_once = if matches!(step, Step::Skipped) { (2 * self.at_once).min(MOST_AT_ONCE) } else { 1 };
        Ok(step)
    }

    /// Notes up to which resource version the store has heard that nothing came next.
    pub fn catch_up(&mut self) {
        let now = self.store.read();
        if self.place.position() == now.log.end() && !self.place.is_lost(&now.log) {
            self.place.reach(now.version);
        }
    }

    /// What the store holds behind the place, all at one moment.
    fn read(&mut self) -> Result<Read, Error> {
        let now = self.store.read();
        if self.place.is_lost(&now.log) {
            return Err(Error::ResumeTokenExpired);
        }
        let changes = now.log.read(self.place.position(), self.at_once).map_err(|_| Error::ResumeTokenExpired)?;
        self.is_plain = self.place.is_plain(now.version, changes.first().map(Arc::as_ref));
        if !changes.is_empty() {
            return Ok(Read::Changes(changes));
        }
        let snapshot = self.place.snapshot();
        let nodes = snapshot.map(|snapshot| now.nodes_after(&snapshot.after, self.at_once)).unwrap_or_default();
        Ok(Read::End(nodes))
    }

    fn pass_changes(&mut self, changes: &[Arc<Change>]) -> Step {
        for change in changes {
            let is_news = self.place.pass(change);
            let Some(event) = is_news.then(|| self.member.interest().event(change)).flatten() else { continue };
            self.place.count(match event {
                Event::Added(_) => 1,
                Event::Deleted(_) => -1,
                _ => 0,
            });
            return Step::Event(event);
        }
        Step::Skipped
    }

    fn pass_nodes(&mut self, nodes: &[Arc<NodeView>]) -> Step {
        for view in nodes {
            self.place.reach_node(view.name());
            if self.member.interest().includes(view) {
                self.place.count(1);
                return Step::Event(Event::Added(view.clone()));
            }
        }
        if !nodes.is_empty() {
            return Step::Skipped;
        }
        let complete = |node_count| Step::Event(Event::SnapshotComplete { node_count });
        self.place.end_snapshot().map_or(Step::Nothing, complete)
    }
}

/// The place that a token tells in this store.
fn find(store: &Store, token: ResumeToken) -> Result<Place, Error> {
    let now = store.read();
    let place = Place::of(token);
    if place.token().instance == store.instance() {
        return if place.position() <= now.log.end() { Ok(place) } else { Err(Error::InvalidResumeToken) };
    }
    let version = place.token().version.ok_or(Error::ResumeTokenExpired)?;
    let position = now.log.position_after(version).map_err(|_| Error::ResumeTokenExpired)?;
    place.moved(store.instance(), position, now.version)
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod twins;
