//! Where the pods of a drain are, as the contract has it.

use std::time::Duration;

use jiff::Timestamp;
use nodeward_api::v1;
use nodeward_api::v1::pod_progress::State as ContractState;

use crate::drain::{PodProgress, PodState};
use crate::node::convert::timestamp;
use crate::operation::{CordonState, OperationStatus, State};
use crate::rpc::drain::convert::{action, blocker, pod_reference};

/// How many pods are where, and how much longer it takes from now on.
pub(super) fn progress(status: &OperationStatus, now: Timestamp) -> v1::DrainProgress {
    let forgotten = i32::try_from(status.forgotten_pods).unwrap_or(i32::MAX);
    let estimate = time_left(status, now);
    let mut counts = v1::DrainProgress { total: forgotten, gone: forgotten, estimate, ..Default::default() };
    for pod in &status.pods {
        let count = match pod.state {
            PodState::Pending | PodState::Removing => &mut counts.pending,
            PodState::Blocked => &mut counts.blocked,
            PodState::Removed | PodState::Terminating => &mut counts.terminating,
            PodState::Gone => &mut counts.gone,
            PodState::Skipped => &mut counts.skipped,
            PodState::Failed => &mut counts.failed,
        };
        *count += 1;
        counts.total += i32::from(pod.state != PodState::Skipped);
    }
    counts
}

/// How much longer it takes. None if nobody knows, or if it has taken longer than was thought.
fn time_left(status: &OperationStatus, now: Timestamp) -> Option<prost_types::Duration> {
    let left = Duration::try_from(status.estimated_end_time?.duration_since(now)).ok()?;
    left.try_into().ok().filter(|_| !left.is_zero())
}

/// Where a pod is.
pub(super) fn pod_progress(pod: &PodProgress) -> v1::PodProgress {
    v1::PodProgress {
        pod: Some(pod_reference(&pod.pod)),
        state: pod_state(pod.state).into(),
        action: pod.action.map(action).unwrap_or_default().into(),
        attempt: i32::try_from(pod.attempts).unwrap_or(i32::MAX),
        next_attempt_time: pod.next_attempt.map(timestamp),
        blocker: pod.blocker.as_ref().map(blocker),
        since_time: pod.since.map(timestamp),
    }
}

fn pod_state(state: PodState) -> ContractState {
    match state {
        PodState::Pending => ContractState::Pending,
        PodState::Removing => ContractState::Removing,
        PodState::Blocked => ContractState::Blocked,
        PodState::Removed => ContractState::Removed,
        PodState::Terminating => ContractState::Terminating,
        PodState::Gone => ContractState::Gone,
        PodState::Skipped => ContractState::Skipped,
        PodState::Failed => ContractState::Failed,
    }
}

/// How far an operation has come.
pub(super) fn operation_state(state: State) -> v1::OperationState {
    match state {
        State::Pending => v1::OperationState::Pending,
        State::Running => v1::OperationState::Running,
        State::Blocked => v1::OperationState::Blocked,
        State::Paused => v1::OperationState::Paused,
        State::Cancelling => v1::OperationState::Cancelling,
        State::Succeeded => v1::OperationState::Succeeded,
        State::Failed => v1::OperationState::Failed,
        State::Cancelled => v1::OperationState::Cancelled,
    }
}

/// What holds for the cordon.
pub(super) fn cordon_state(state: CordonState) -> v1::CordonState {
    match state {
        CordonState::None => v1::CordonState::None,
        CordonState::Own => v1::CordonState::Own,
        CordonState::Foreign => v1::CordonState::Foreign,
        CordonState::Lifted => v1::CordonState::Lifted,
        CordonState::Left => v1::CordonState::Left,
        CordonState::Released => v1::CordonState::Released,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_that_stay_are_none_of_those_that_are_to_go() {
        use PodState::{Blocked, Gone, Pending, Removed, Removing, Skipped, Terminating};
        let pod = |state| PodProgress { state, ..PodProgress::default() };
        let pods = [Pending, Removing, Blocked, Blocked, Removed, Terminating, Gone, Skipped, Skipped].map(pod);
        let status = OperationStatus { pods: pods.to_vec(), ..OperationStatus::default() };
        let now = Timestamp::UNIX_EPOCH;
        let v1::DrainProgress { total, pending, blocked, terminating, gone, skipped, .. } = progress(&status, now);
        assert_eq!((total, pending, blocked, terminating, gone, skipped), (7, 2, 2, 2, 1, 2));
    }

    #[test]
    fn pods_that_are_gone_count_though_they_are_not_kept_any_more() {
        let pods = vec![PodProgress { state: PodState::Gone, ..PodProgress::default() }];
        let status = OperationStatus { pods, forgotten_pods: 7, ..OperationStatus::default() };
        let v1::DrainProgress { total, gone, .. } = progress(&status, Timestamp::UNIX_EPOCH);
        assert_eq!((total, gone), (8, 8));
    }

    #[test]
    fn the_time_that_is_left_becomes_less_and_is_not_known_once_it_was_wrong() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let status = OperationStatus { estimated_end_time: Some(at(100)), ..OperationStatus::default() };
        let left = |second| progress(&status, at(second)).estimate.map(|left| left.seconds);
        assert_eq!([60, 99, 100, 200].map(left), [Some(40), Some(1), None, None]);
    }
}
