//! Events of a drain to play with.

use nodeward_client::api::blocker::Kind;
use nodeward_client::api::operation_event::Event;
use nodeward_client::api::pod_plan::Action;
use nodeward_client::api::pod_progress::State;
use nodeward_client::api::{
    Blocker, BudgetBlocker, CordonChange, CordonState, DrainProgress, OperationEvent, OperationState,
    OperationStateChange, PodProgress, PodReference,
};

use super::OperationStep;

/// The event of this number.
fn event(sequence: i64, event: Event) -> OperationStep {
    let progress = Some(DrainProgress { total: 2, ..DrainProgress::default() });
    OperationStep::Send(Box::new(OperationEvent {
        sequence,
        event: Some(event),
        progress,
        ..OperationEvent::default()
    }))
}

/// The operation has come to this state.
pub fn reaches(sequence: i64, state: OperationState) -> OperationStep {
    let change = OperationStateChange { state: state.into(), message: String::new() };
    event(sequence, Event::StateChange(change))
}

/// The cordon is as this.
pub fn cordon(sequence: i64, state: CordonState) -> OperationStep {
    let change = CordonChange { state: state.into(), manager: "kubectl-cordon".into(), message: String::new() };
    event(sequence, Event::CordonChange(change))
}

/// The pod `shop/NAME` is there.
pub fn pod(sequence: i64, name: &str, state: State) -> OperationStep {
    event(sequence, Event::Pod(progress(name, state)))
}

/// The pod `shop/NAME` is blocked by its budget.
pub fn blocked(sequence: i64, name: &str) -> OperationStep {
    let blocker = Blocker {
        kind: Some(Kind::Budget(BudgetBlocker::default())),
        message: "the budget shop/web needs 2 healthy pods and has 2".into(),
        hint: "make shop/web-9 ready".into(),
    };
    event(sequence, Event::Pod(PodProgress { blocker: Some(blocker), ..progress(name, State::Blocked) }))
}

fn progress(name: &str, state: State) -> PodProgress {
    let pod = PodReference { namespace: "shop".into(), pod: name.into(), uid: format!("uid-{name}") };
    let attempt = i32::from(state != State::Pending);
    PodProgress { pod: Some(pod), state: state.into(), action: Action::Evict.into(), attempt, ..PodProgress::default() }
}
