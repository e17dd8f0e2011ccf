//! What happens in a drain, told to whoever keeps a trail of it: as it happens, in the order in which it happens.
//!
//! This is the one place at which a drain is looked at from outside. What is told is true: a change is announced before it is
//! sent, and its answer is told after it has come.

use uuid::Uuid;

use super::{CordonState, NodeOperation, OperationStatus};
use crate::cluster::evict::{PodRemoval, RemovalRefused};
use crate::cluster::mutate::Changed;
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
    },
    /// The answer to that.
    RemovalAnswered {
        /// The same removal.
        removal: &'a PodRemoval,
        /// The same number.
        attempt: u32,
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

/// Keeps the trail of one drain. Clones keep the same.
#[derive(Clone, Debug)]
pub(super) struct Trail {
    operation: String,
}

impl Trail {
    /// The trail of this operation.
    pub fn of(operation: &NodeOperation) -> Self {
        Self { operation: operation.metadata.name.clone().unwrap_or_default() }
    }

    /// Takes in what happens.
    ///
    /// # Errors
    /// It can't be noted. What was only asked for (`CordonAsked`, `RemovalSent`) must then not be done.
    #[expect(clippy::unused_async, reason = "records are written to a disk and to Kubernetes")]
    pub async fn tell(&self, happening: Happening<'_>) -> Result<(), Error> {
        let operation = &self.operation;
        match happening {
            Happening::Begun { is_resumed } => tracing::info!(operation, is_resumed, "a drain is carried out here"),
            Happening::Ended { status } => {
                tracing::info!(operation, state = ?status.state, message = status.message, "a drain has ended");
            }
            Happening::StateChanged { status } => {
                tracing::info!(operation, state = ?status.state, message = status.message, "a drain has come further");
            }
            Happening::CordonChanged { state, manager, .. } => {
                tracing::info!(operation, ?state, manager, "the cordon of a drain has changed");
            }
            Happening::CordonAsked { audit_id } => tracing::debug!(operation, %audit_id, "the cordon is asked for"),
            Happening::CordonAnswered { audit_id, answer } => {
                let outcome = answer.as_ref().map(|changed| changed.outcome);
                tracing::debug!(operation, %audit_id, ?outcome, "the cordon was answered");
            }
            Happening::RemovalSent { removal, attempt } => {
                tracing::debug!(operation, ?removal, attempt, "the removal of a pod is sent");
            }
            Happening::RemovalAnswered { removal, attempt, answer } => {
                let audit_id = removal.audit_id;
                tracing::debug!(operation, %audit_id, attempt, ?answer, "the removal of a pod was answered");
            }
        }
        Ok(())
    }
}
