//! What is told of a drain to those who look at the node: an Event, and the conditions of KEP-5683.

use k8s_openapi::api::core::v1::ObjectReference;

use super::super::{OperationStatus, State};
use super::record::Subject;
use crate::caller::Caller;
use crate::drain::{PodProgress, PodState};

/// Something to be told. Nothing in it need be new.
pub(super) struct Notice {
    pub event: Option<EventNotice>,
    pub conditions: Vec<ConditionNotice>,
    /// Whether it is the last of a drain.
    pub is_last: bool,
}

/// The part of it that is an Event.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EventNotice {
    pub is_warning: bool,
    pub reason: &'static str,
    pub note: String,
    pub related: Option<ObjectReference>,
}

/// The part of it that is a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConditionNotice {
    pub kind: &'static str,
    pub is_true: bool,
    pub reason: &'static str,
    pub message: String,
    /// Whether it is only told of a node that has the condition already.
    pub only_if_there: bool,
}

/// That the node is being drained (KEP-5683).
pub(super) const DRAIN_IN_PROGRESS: &str = "DrainInProgress";

/// What is said where it is not kept why something is blocked.
const NOT_KNOWN: &str = "something keeps it; it is tried again, and the events of the operation say more";

/// That it was drained (KEP-5683).
const DRAINED: &str = "Drained";

impl Notice {
    /// A server has begun to carry it out.
    pub fn begun(subject: &Subject, is_resumed: bool) -> Self {
        let who = match subject.caller() {
            Caller::Server => String::new(),
            Caller::User(user) => format!(" for {}", user.username),
        };
        let why = if subject.reason().is_empty() { String::new() } else { format!(": {}", subject.reason()) };
        let message = format!("{} drains the node{who}{why}", subject.operation());
        let event = EventNotice { is_warning: false, reason: "DrainStarted", note: message.clone(), related: None };
        let in_progress = condition(DRAIN_IN_PROGRESS, true, "AdminRequested", &message);
        let drained = ConditionNotice {
            only_if_there: true,
            ..condition(DRAINED, false, "DrainInProgress", "the node is being drained again")
        };
        let event = Some(event).filter(|_| !is_resumed);
        Self { event, conditions: vec![in_progress, drained], is_last: false }
    }

    /// It has come to this state. None if that is not worth an Event.
    pub fn of_state(subject: &Subject, status: &OperationStatus) -> Option<Self> {
        let (reason, note, related) = match status.state {
            State::Blocked => {
                let (note, related) = blocked(subject, &status.pods);
                ("DrainBlocked", note, related)
            }
            State::Paused => ("DrainPaused", format!("{}: {}", subject.operation(), status.message), None),
            _ => return None,
        };
        let event = EventNotice { is_warning: true, reason, note, related };
        Some(Self { event: Some(event), conditions: Vec::new(), is_last: false })
    }

    /// It has ended.
    pub fn ended(subject: &Subject, status: &OperationStatus) -> Self {
        let note = format!("{}: {}", subject.operation(), status.message);
        let (is_warning, reason, why) = match status.state {
            State::Succeeded => (false, "NodeDrained", "DrainCompleted"),
            State::Cancelled => (true, "DrainCancelled", "DrainCancelled"),
            _ => (true, "DrainFailed", "DrainFailed"),
        };
        let mut conditions = vec![condition(DRAIN_IN_PROGRESS, false, why, &note)];
        if status.state == State::Succeeded {
            conditions.push(condition(DRAINED, true, why, &note));
        }
        Self { event: Some(EventNotice { is_warning, reason, note, related: None }), conditions, is_last: true }
    }
}

fn condition(kind: &'static str, is_true: bool, reason: &'static str, message: &str) -> ConditionNotice {
    ConditionNotice { kind, is_true, reason, message: message.to_owned(), only_if_there: false }
}

/// What is blocked: the first pod, and how many others are.
fn blocked(subject: &Subject, pods: &[PodProgress]) -> (String, Option<ObjectReference>) {
    let is_stuck = |pod: &&PodProgress| pod.blocker.as_ref().is_some_and(|blocker| !blocker.passes());
    let blocked: Vec<_> = pods.iter().filter(|pod| pod.state == PodState::Blocked).collect();
    // What is left may be ending, and be kept by its finalizers or its kubelet.
    let blocked = if blocked.is_empty() { pods.iter().filter(is_stuck).collect() } else { blocked };
    let told = blocked.iter().find(|pod| pod.blocker.is_some()).or_else(|| blocked.first());
    let Some(first) = told else { return (format!("{}: {NOT_KNOWN}", subject.operation()), None) };
    let why = first.blocker.as_ref().map_or_else(|| NOT_KNOWN.to_owned(), ToString::to_string);
    let others = match blocked.len() - 1 {
        0 => String::new(),
        others => format!("; and {others} more pods are blocked"),
    };
    let pod = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: Some(first.pod.namespace.clone()),
        name: Some(first.pod.name.clone()),
        uid: Some(first.pod.uid.clone()),
        ..ObjectReference::default()
    };
    (format!("{}: pod {}: {why}{others}", subject.operation(), first.pod), Some(pod))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drain::Blocker;
    use crate::operation::{NodeIdentity, OperationSpec};
    use crate::pod::PodReference;

    fn subject() -> Subject {
        let node = NodeIdentity { name: "worker-1".to_owned(), uid: "n".to_owned() };
        Subject::new("o", &OperationSpec { node, ..OperationSpec::default() })
    }

    #[test]
    fn what_is_blocked_is_told_by_its_first_pod_and_how_many_others_there_are() {
        let pod = |name: &str| {
            let pod = PodReference { namespace: "shop".into(), name: name.into(), uid: name.into() };
            let blocker = Some(Blocker::NamespaceTerminating);
            PodProgress { state: PodState::Blocked, blocker, ..PodProgress::of(&pod) }
        };
        let mut status = OperationStatus { state: State::Blocked, pods: vec![pod("a")], ..OperationStatus::default() };
        let note = |status: &OperationStatus| Notice::of_state(&subject(), status).unwrap().event.unwrap().note;
        assert_eq!(note(&status), "operations/o: pod shop/a: its namespace is being deleted");
        status.pods.push(pod("b"));
        assert!(note(&status).ends_with("; and 1 more pods are blocked"), "{}", note(&status));
    }

    #[test]
    fn what_is_blocked_is_never_told_without_a_reason() {
        let pod = |name: &str, state, blocker| {
            let pod = PodReference { namespace: "shop".into(), name: name.into(), uid: name.into() };
            PodProgress { state, blocker, ..PodProgress::of(&pod) }
        };
        let note = |pods: Vec<PodProgress>| {
            let status = OperationStatus { state: State::Blocked, pods, ..OperationStatus::default() };
            Notice::of_state(&subject(), &status).unwrap().event.unwrap().note
        };
        assert_eq!(note(Vec::new()), format!("operations/o: {NOT_KNOWN}"));
        let unknown = || pod("a", PodState::Blocked, None);
        assert_eq!(note(vec![unknown()]), format!("operations/o: pod shop/a: {NOT_KNOWN}"));
        let known = pod("b", PodState::Blocked, Some(Blocker::NamespaceTerminating));
        let expected = "operations/o: pod shop/b: its namespace is being deleted; and 1 more pods are blocked";
        assert_eq!(note(vec![unknown(), known]), expected);
        let overdue = Blocker::Overdue { since: jiff::Timestamp::UNIX_EPOCH, finalizers: Vec::new() };
        let ending = pod("c", PodState::Terminating, Some(overdue));
        assert!(note(vec![ending]).starts_with("operations/o: pod shop/c: it should have ended at "));
    }

    #[test]
    fn only_a_drain_that_reached_its_end_makes_a_node_drained() {
        let told = |state| {
            let status = OperationStatus { state, ..OperationStatus::default() };
            let notice = Notice::ended(&subject(), &status);
            let conditions = notice.conditions.iter().map(|it| (it.kind, it.is_true)).collect::<Vec<_>>();
            (notice.event.unwrap().reason, conditions)
        };
        assert_eq!(told(State::Succeeded), ("NodeDrained", vec![("DrainInProgress", false), ("Drained", true)]));
        assert_eq!(told(State::Failed), ("DrainFailed", vec![("DrainInProgress", false)]));
        assert_eq!(told(State::Cancelled), ("DrainCancelled", vec![("DrainInProgress", false)]));
    }
}
