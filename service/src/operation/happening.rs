//! What happens in a drain, told to whoever keeps a trail of it: as it happens, in the order in which it happens.
//!
//! This is the one place at which a drain is looked at from outside. What is told is true: a change is announced before it is
//! sent, and its answer is told after it has come.

use uuid::Uuid;

use super::{CordonState, OperationStatus};
use crate::cluster::evict::{PodRemoval, RemovalRefused};
use crate::cluster::mutate::Changed;
use crate::drain::BudgetOverride;
use crate::error::Error;

/// Something that happens in a drain.
#[derive(Debug)]
pub(super) enum Happening<'a> {
    /// A server has begun to carry it out.
    Begun {
        /// Whether another one, or this one in an earlier term, had begun before.
        is_resumed: bool,
    },
    /// The node is about to be cordoned, or the drain's claim to be taken back. If this can't be noted, it is not done.
    CordonAsked {
        /// The id of all requests to Kubernetes that it takes.
        audit_id: Uuid,
    },
    /// The answer to that.
    CordonAnswered {
        /// The same id.
        audit_id: Uuid,
        /// What became of it.
        answer: &'a Result<Changed, Error>,
    },
    /// What holds for the cordon has changed, and is written down.
    CordonChanged {
        /// What holds.
        state: CordonState,
        /// Who did it, if it was not the drain.
        manager: &'a str,
    },
    /// A pod is about to be removed. If this can't be noted, it is not.
    RemovalSent {
        /// Which pod, how, and under which id.
        removal: &'a PodRemoval,
        /// The number of the attempt, from 1.
        attempt: u32,
        /// The budgets that are not respected in it.
        overrides: &'a [BudgetOverride],
    },
    /// The answer to that.
    RemovalAnswered {
        /// The same removal.
        removal: &'a PodRemoval,
        /// What Kubernetes made of it.
        answer: &'a Result<(), RemovalRefused>,
    },
    /// How far the drain has come is written down: its state or message is another one.
    StateChanged {
        /// All that is written down.
        status: &'a OperationStatus,
    },
    /// The drain has ended, and that is written down.
    Ended {
        /// All that is written down.
        status: &'a OperationStatus,
    },
}
