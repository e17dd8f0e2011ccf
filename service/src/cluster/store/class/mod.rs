//! Streams that ask for the same: what a change looks like to them is found out once, and its message encoded once.
//!
//! A class is a query, with its filter and its mask. Its streams follow the change log by its [`Ring`] of messages, which they
//! share, and leave their wakers with it while they wait. When the log grows, each class with somebody who waits looks at
//! the change: if it is not shown, nobody is woken. For that there is a time limit, so that no number of filters holds up the
//! log: those whom it does not come to are woken, and look themselves.
//!
//! Memory is bounded whatever is asked for: all rings together have a budget. What does not fit is found out by each stream
//! anew.
//!
//! [`Ring`]: ring::Ring

mod ring;
mod waiters;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

use super::Store;
use super::cursor::{Interest, MOST_AT_ONCE, frame};
use super::log::{Change, OutOfLog, Position};
use crate::node::token::{QueryHash, ResumeToken};

pub(super) use ring::After;
use ring::{Known, Ring};
use waiters::Waiters;

/// What the messages of all classes may take.
const BUDGET: usize = 64 << 20;

/// How long classes may look at what the log has grown by, before its next change.
const PATIENCE: Duration = Duration::from_millis(1);

/// The classes of the streams that are open.
#[derive(Debug, Default)]
pub(super) struct Classes {
    known: Mutex<HashMap<Arc<Interest>, Arc<Class>>>,
    /// How many there are.
    count: AtomicUsize,
}

#[derive(Debug)]
struct Class {
    interest: Arc<Interest>,
    /// Identifies the interest in tokens.
    query: QueryHash,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ring: Ring,
    waiters: Waiters,
}

/// What comes next in a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This is told.
    Message(After, Bytes),
    /// Nothing up to here: ask again.
    Skipped(After),
    /// Nothing up to here, which is the end. Whoever has asked is woken when there is more.
    Waiting(After),
    /// The class does not know: find it out.
    Unknown,
}

/// A stream's part in its class.
#[derive(Debug)]
pub(super) struct Member {
    classes: Arc<Classes>,
    class: Arc<Class>,
    place: u32,
}

impl Classes {
    /// Takes part in the class of this interest.
    pub fn join(self: &Arc<Self>, interest: Interest) -> Member {
        let mut known = self.known.lock();
        let class = match known.get(&interest) {
            Some(class) => class.clone(),
            None => {
                let interest = Arc::new(interest);
                let query = interest.query();
                let class = Arc::new(Class { interest: interest.clone(), query, state: Mutex::default() });
                known.insert(interest, class.clone());
                class
            }
        };
        let place = class.state.lock().waiters.join();
        self.count.store(known.len(), Ordering::Relaxed);
        drop(known);
        Member { classes: self.clone(), class, place }
    }

    /// The log has grown: whoever waits for that is woken.
    pub fn grown(&self, store: &Store) {
        let mut wake = Vec::new();
        {
            let known = self.known.lock();
            if known.is_empty() {
                return;
            }
            let (oldest, until) = (store.read().log.oldest(), Instant::now() + PATIENCE);
            for class in known.values() {
                let may_look = Instant::now() < until;
                class.grown(store, oldest, self.share(), may_look, &mut wake);
            }
        }
        wake.into_iter().for_each(Waker::wake);
    }

    /// What their messages take.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.known.lock().values().map(|class| class.state.lock().ring.bytes()).sum()
    }

    /// What each may take of the budget.
    fn share(&self) -> usize {
        BUDGET / self.count.load(Ordering::Relaxed).max(1)
    }
}

impl Class {
    fn grown(&self, store: &Store, oldest: Position, share: usize, may_look: bool, wake: &mut Vec<Waker>) {
        let State { ring, waiters } = &mut *self.state.lock();
        if waiters.is_anybody_waiting() {
            let from = ring.end();
            let is_hidden = may_look && self.look_on(store, ring, from) == Ok(true);
            waiters.take(!is_hidden, wake);
        }
        ring.trim(oldest, share);
    }

    /// Looks at what follows in the log until the ring knows what is told after this position. Whether there is nothing up to
    /// the end; if nothing is shown for long it is left at that.
    fn look_on(&self, store: &Store, ring: &mut Ring, from: Position) -> Result<bool, OutOfLog> {
        let mut looked = 0;
        while ring.end() < from || matches!(ring.next(from), Known::Nothing(_)) {
            let changes = store.read().log.read(ring.end(), (looked + 1).min(MOST_AT_ONCE))?;
            if changes.is_empty() || looked >= 2 * MOST_AT_ONCE {
                return Ok(changes.is_empty());
            }
            looked += changes.len();
            for change in changes {
                let message = self.message(store, &change, ring.end());
                ring.push(&change, message);
            }
        }
        Ok(false)
    }

    /// The message of the change at this position.
    fn message(&self, store: &Store, change: &Change, at: Position) -> Option<Bytes> {
        let event = self.interest.event(change)?;
        let token = ResumeToken::new(store.instance(), at.0 + 1, change.resume_version, self.query);
        Some(frame::event(&self.interest, &event, &token))
    }
}

impl Member {
    /// What the class asks for.
    pub fn interest(&self) -> &Interest {
        &self.class.interest
    }

    /// What is told of the changes after this position to a stream that knows nothing beyond it.
    pub fn next(&self, store: &Store, at: Position, waker: &Waker) -> Next {
        let State { ring, waiters } = &mut *self.class.state.lock();
        if is_far_behind(ring.end(), at) {
            ring.restart(at);
        }
        let Ok(is_all) = self.class.look_on(store, ring, at) else {
            ring.restart(at);
            return Next::Unknown;
        };
        let next = match ring.next(at) {
            Known::Message(after, message) => Next::Message(after, message),
            Known::Nothing(after) if is_all => Next::Waiting(after),
            Known::Nothing(after) => Next::Skipped(after),
            Known::Unknown => Next::Unknown,
        };
        if matches!(next, Next::Waiting(_)) {
            waiters.wait(self.place, waker, false);
        }
        // Who is alone needs nothing twice.
        let oldest = if waiters.members() == 1 { at } else { Position(0) };
        ring.trim(oldest, self.classes.share());
        next
    }

    /// Waits until the log grows, if it ends at this position. Whoever looks itself is woken for each change.
    pub fn wait(&self, store: &Store, at: Position, waker: &Waker, looks_itself: bool) -> bool {
        let mut state = self.class.state.lock();
        let is_end = store.head().0 == at;
        if is_end {
            state.waiters.wait(self.place, waker, looks_itself);
        }
        is_end
    }
}

/// Whether a ring that ends here is too far from a stream to look at all that is in between.
fn is_far_behind(end: Position, at: Position) -> bool {
    end.0 + (MOST_AT_ONCE as u64) < at.0
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut known = self.classes.known.lock();
        let mut state = self.class.state.lock();
        state.waiters.leave(self.place);
        if state.waiters.members() == 0 {
            drop(state);
            known.remove(&self.class.interest);
            self.classes.count.store(known.len(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Node;

    use super::*;
    use crate::cluster::store::cursor::{self, Cursor};
    use crate::node::mask::ReadMask;
    use crate::node::query::Selection;

    fn follow(store: &Store, filter: &str) -> Cursor {
        let interest = Interest::new(Selection::parse(filter, "").unwrap(), ReadMask::everything());
        Cursor::at_the_end(store.clone(), interest)
    }

    fn hear(store: &Store, version: u64) {
        let mut node = Node::default();
        node.metadata.name = Some(format!("node-{version}"));
        node.metadata.resource_version = Some(version.to_string());
        store.hear(node);
    }

    fn message(cursor: &mut Cursor) -> Bytes {
        match cursor.next(usize::MAX, Waker::noop()).unwrap() {
            cursor::Next::Message(message) => message,
            other => panic!("{other:?} is no message"),
        }
    }

    #[test]
    fn those_who_ask_for_the_same_are_one_class_which_goes_with_the_last() {
        let store = Store::holding(vec![], 10);
        let classes = |count| assert_eq!(store.classes.known.lock().len(), count);
        let (one, two, other) = (follow(&store, ""), follow(&store, ""), follow(&store, "name = a"));
        classes(2);
        drop((one, other));
        classes(1);
        drop(two);
        classes(0);
    }

    #[test]
    fn a_message_is_made_once() {
        let store = Store::holding(vec![], 10);
        let (mut one, mut two) = (follow(&store, ""), follow(&store, ""));
        (11..14).for_each(|version| hear(&store, version));
        for _ in 11..14 {
            assert_eq!(message(&mut one).as_ptr(), message(&mut two).as_ptr());
        }
    }

    #[test]
    fn what_does_not_fit_in_the_budget_is_kept_by_nobody_and_told_nevertheless() {
        let store = Store::holding(vec![], 10);
        let (mut one, mut two) = (follow(&store, ""), follow(&store, ""));
        // As if there were so many classes.
        store.classes.count.store(usize::MAX, Ordering::Relaxed);
        for version in 11..14 {
            hear(&store, version);
            let (one, two) = (message(&mut one), message(&mut two));
            assert_eq!(one, two);
            assert_ne!(one.as_ptr(), two.as_ptr());
            assert_eq!(store.shared_bytes(), 0);
        }
    }

    #[test]
    fn who_is_alone_leaves_nothing_behind() {
        let store = Store::holding(vec![], 10);
        let mut alone = follow(&store, "");
        hear(&store, 11);
        message(&mut alone);
        assert_eq!(alone.next(usize::MAX, Waker::noop()).unwrap(), cursor::Next::Nothing);
        assert_eq!(store.shared_bytes(), 0);
    }

    #[test]
    fn who_is_far_behind_the_others_goes_on_alone() {
        let store = Store::holding(vec![], 10);
        let mut slow = follow(&store, "");
        (11..111).for_each(|version| hear(&store, version));
        let mut late = follow(&store, "");
        hear(&store, 111);
        let latest = message(&mut late);
        let told: Vec<Bytes> = (11..112).map(|_| message(&mut slow)).collect();
        assert_eq!(told.last().unwrap().as_ptr(), latest.as_ptr(), "it has caught up with them");
    }
}
