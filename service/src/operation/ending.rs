//! How a drain ends, in numbers and in words.

use jiff::Timestamp;

use super::{Cancel, CordonState, OperationFailure, OperationStatus, State};
use crate::error::Error;

/// How a drain ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    state: State,
    message: String,
    failure: Option<(i32, &'static str)>,
}

impl Ending {
    /// The node is empty.
    pub fn succeeded() -> Self {
        Self { state: State::Succeeded, message: String::new(), failure: None }
    }

    /// Somebody has asked for it.
    pub fn cancelled(cancel: &Cancel) -> Self {
        Self { state: State::Cancelled, message: cancelled_by(cancel), failure: None }
    }

    /// Somebody has made the node schedulable, and the policy says that this ends the drain.
    pub fn uncordoned(manager: &str) -> Self {
        Self { state: State::Cancelled, message: uncordoned_by(manager), failure: None }
    }

    /// The deadline has passed.
    pub fn late(left: usize) -> Self {
        Self::failed(4, "DEADLINE_EXCEEDED", format!("the deadline has passed, and {left} pods are left"))
    }

    /// The deadline has passed before it was known what is left.
    pub fn late_while(meanwhile: &str) -> Self {
        Self::failed(4, "DEADLINE_EXCEEDED", format!("the deadline has passed while {meanwhile}"))
    }

    /// The node is gone.
    pub fn node_gone() -> Self {
        Self::failed(5, "NODE_NOT_FOUND", "the node is gone, or another has its name".to_owned())
    }

    /// What was stored can't be read.
    pub fn unreadable(error: &serde_json::Error) -> Self {
        Self::failed(13, "INTERNAL", format!("the policy can't be read: {error}"))
    }

    /// The node can't be cordoned, and so is not drained. None if that may pass.
    pub fn not_cordoned(error: &anyhow::Error) -> Option<Self> {
        let error: &Error = error.downcast_ref()?;
        let code = match error {
            Error::NotFound { .. } => return Some(Self::node_gone()),
            Error::Denied { .. } | Error::AccessDenied { .. } => 7,
            Error::Claim { .. } | Error::Invalid(_) => 9,
            _ => return None,
        };
        Some(Self::failed(code, error.reason(), format!("the node can't be cordoned: {error}")))
    }

    /// Whether the drain has reached its end.
    pub fn is_success(&self) -> bool {
        self.state == State::Succeeded
    }

    fn failed(code: i32, reason: &'static str, message: String) -> Self {
        Self { state: State::Failed, message, failure: Some((code, reason)) }
    }

    /// Takes it into the status. What holds for the cordon is said with it, and stands there already if it was taken back.
    pub fn enter(self, status: &mut OperationStatus, now: Timestamp) {
        let Self { state, message, failure } = self;
        let cordon = match status.cordon.state {
            CordonState::None => "the node was not cordoned",
            CordonState::Own | CordonState::Left => "the node stays cordoned",
            CordonState::Foreign => "the node stays cordoned, as it was before",
            CordonState::Lifted => "the node is schedulable",
            CordonState::Released => "the drain's claim on the cordon is taken back",
        };
        let message = if message.is_empty() { cordon.to_owned() } else { format!("{message}; {cordon}") };
        status.failure = failure.map(|(code, reason)| OperationFailure {
            code,
            reason: reason.to_owned(),
            message: message.clone(),
        });
        status.end(state, message, now);
    }
}

/// Who has cancelled it and why, in words.
pub(super) fn cancelled_by(cancel: &Cancel) -> String {
    let by = if cancel.username.is_empty() { "somebody" } else { &cancel.username };
    match cancel.reason.as_str() {
        "" => format!("cancelled by {by}"),
        reason => format!("cancelled by {by}: {reason}"),
    }
}

/// Who has made the node schedulable, in words.
pub(super) fn uncordoned_by(manager: &str) -> String {
    let by = if manager.is_empty() { "somebody" } else { manager };
    format!("{by} has made the node schedulable")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(cordon: CordonState, ending: Ending) -> OperationStatus {
        let mut status = OperationStatus::default();
        status.set_cordon(cordon, "", Timestamp::UNIX_EPOCH);
        ending.enter(&mut status, Timestamp::UNIX_EPOCH);
        status
    }

    #[test]
    fn a_failure_says_that_the_cordon_is_left() {
        let status = ended(CordonState::Own, Ending::late(2));
        let failure = status.failure.unwrap();
        assert_eq!(
            (failure.code, failure.reason.as_str(), status.cordon.state),
            (4, "DEADLINE_EXCEEDED", CordonState::Left)
        );
        assert_eq!(failure.message, "the deadline has passed, and 2 pods are left; the node stays cordoned");
        assert_eq!(status.message, failure.message);
    }

    #[test]
    fn the_cordon_of_somebody_else_stays_theirs() {
        let cancel = Cancel { username: "alice".into(), reason: "not today".into(), ..Cancel::default() };
        let status = ended(CordonState::Foreign, Ending::cancelled(&cancel));
        assert_eq!(status.message, "cancelled by alice: not today; the node stays cordoned, as it was before");
        assert_eq!((status.state, status.cordon.state), (State::Cancelled, CordonState::Foreign));
    }

    #[test]
    fn a_node_that_may_not_be_cordoned_fails_the_drain_and_one_that_cannot_for_now_does_not() {
        let denied = Error::AccessDenied { permission: "patch nodes".into() }.into();
        let failure = ended(CordonState::None, Ending::not_cordoned(&denied).unwrap()).failure.unwrap();
        assert_eq!((failure.code, failure.reason.as_str()), (7, "ACCESS_DENIED"));
        let unreachable = Error::Unreachable { detail: String::new() }.into();
        assert_eq!(Ending::not_cordoned(&unreachable), None);
    }
}
