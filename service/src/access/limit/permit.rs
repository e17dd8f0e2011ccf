//! What a call holds while it is in progress.

use std::sync::Arc;

use super::concurrency::Place;
use super::load::Taken;
use super::side::SidePlace;

/// A user: a hash of the name under a key that nobody knows. Names are long, and whoever calls chooses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct UserKey(u64);

impl From<u64> for UserKey {
    fn from(hash: u64) -> Self {
        Self(hash)
    }
}

/// The places that a call takes. They are free again when the last clone is dropped.
///
/// [`LimitLayer`](super::LimitLayer) holds it until the answer has ended, and puts a clone into the extensions of each
/// mutation: a change that goes on without its caller keeps its place for as long as its task holds the clone.
#[derive(Clone, Debug)]
pub struct CallPermit(#[expect(dead_code, reason = "held, not read")] Arc<Held>);

/// What a call holds.
#[derive(Debug)]
#[expect(dead_code, reason = "held, not read")]
pub(super) struct Held {
    /// Among those of its user.
    pub user: Option<Place>,
    /// Among those of all, of which calls and streams have their own.
    pub load: Option<Taken>,
    /// Among the streams of services beside the contract.
    pub side: Option<SidePlace>,
}

/// A call that is let in.
#[derive(Debug, Default)]
pub(super) struct Admission {
    /// Held until the call has ended. None if nothing is limited.
    pub permit: Option<CallPermit>,
    /// Held until the handler has answered: a stream is a call only until it is open.
    #[expect(dead_code, reason = "held, not read")]
    pub opening: Option<Taken>,
    /// Whether the call may go on without its caller.
    pub outlives_caller: bool,
}

impl From<Held> for CallPermit {
    fn from(held: Held) -> Self {
        Self(Arc::new(held))
    }
}
