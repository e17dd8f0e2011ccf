//! What a node's fields say about its state: may pods be scheduled on it, and is it able to run them.
//!
//! Both answers depend on the Node object alone. What the fields mean is decided by Kubernetes: the scheduler keeps pods off
//! a node whose `spec.unschedulable` is true, and the node lifecycle controller sets the condition `Ready` to `Unknown` when
//! it no longer hears from the kubelet.

use k8s_openapi::api::core::v1::{Node, NodeCondition};
use nodeward_api::v1::{Readiness, SchedulingState, readiness};

use super::convert::time;

/// Whether new pods may be scheduled on the node. Never unspecified.
pub fn scheduling_state(node: &Node) -> SchedulingState {
    if node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false) {
        SchedulingState::Cordoned
    } else {
        SchedulingState::Schedulable
    }
}

/// Whether the node is able to run pods, since when, and why, as its condition `Ready` says.
///
/// Without that condition all fields are unset.
pub fn readiness(node: &Node) -> Readiness {
    let Some(ready) = ready_condition(node) else { return Readiness::default() };
    Readiness {
        state: readiness_state(node).into(),
        since_time: ready.last_transition_time.as_ref().map(time::to_contract),
        reason: ready.reason.clone().unwrap_or_default(),
        message: ready.message.clone().unwrap_or_default(),
    }
}

/// The state alone of [`readiness`], without copying the texts.
///
/// It is unspecified if there is no condition `Ready`, or if its status is none of the three that Kubernetes defines.
pub fn readiness_state(node: &Node) -> readiness::State {
    match ready_condition(node).map(|ready| ready.status.as_str()) {
        Some("True") => readiness::State::Ready,
        Some("False") => readiness::State::NotReady,
        Some("Unknown") => readiness::State::LostContact,
        _ => readiness::State::Unspecified,
    }
}

fn ready_condition(node: &Node) -> Option<&NodeCondition> {
    node.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == "Ready")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{NodeSpec, NodeStatus};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn node_with_conditions(conditions: Vec<NodeCondition>) -> Node {
        Node { status: Some(NodeStatus { conditions: Some(conditions), ..Default::default() }), ..Default::default() }
    }

    fn node_with_ready(status: &str) -> Node {
        node_with_conditions(vec![NodeCondition { type_: "Ready".into(), status: status.into(), ..Default::default() }])
    }

    fn node_with_unschedulable(unschedulable: Option<bool>) -> Node {
        Node { spec: Some(NodeSpec { unschedulable, ..Default::default() }), ..Default::default() }
    }

    #[test]
    fn a_node_is_cordoned_if_it_is_unschedulable() {
        assert_eq!(scheduling_state(&node_with_unschedulable(Some(true))), SchedulingState::Cordoned);
    }

    #[test]
    fn a_node_is_schedulable_if_nothing_says_otherwise() {
        for node in [Node::default(), node_with_unschedulable(None), node_with_unschedulable(Some(false))] {
            assert_eq!(scheduling_state(&node), SchedulingState::Schedulable);
        }
    }

    #[test]
    fn each_status_of_the_condition_ready_is_a_state() {
        let states = [
            ("True", readiness::State::Ready),
            ("False", readiness::State::NotReady),
            ("Unknown", readiness::State::LostContact),
            ("true", readiness::State::Unspecified),
        ];
        for (status, state) in states {
            assert_eq!(readiness(&node_with_ready(status)).state(), state, "{status}");
        }
    }

    #[test]
    fn a_node_that_never_reported_has_no_readiness() {
        let pressure = NodeCondition { type_: "MemoryPressure".into(), status: "False".into(), ..Default::default() };
        for node in [Node::default(), node_with_conditions(vec![pressure])] {
            assert_eq!(readiness(&node), Readiness::default());
        }
    }

    #[test]
    fn readiness_says_since_when_and_why() {
        let node = node_with_conditions(vec![NodeCondition {
            type_: "Ready".into(),
            status: "Unknown".into(),
            last_heartbeat_time: Some(Time("2026-01-01T00:00:00Z".parse().unwrap())),
            last_transition_time: Some(Time("2026-01-01T00:00:40.5Z".parse().unwrap())),
            reason: Some("NodeStatusUnknown".into()),
            message: Some("Kubelet stopped posting node status.".into()),
        }]);
        let expected = Readiness {
            state: readiness::State::LostContact.into(),
            since_time: Some(prost_types::Timestamp { seconds: 1_767_225_640, nanos: 500_000_000 }),
            reason: "NodeStatusUnknown".into(),
            message: "Kubelet stopped posting node status.".into(),
        };
        assert_eq!(readiness(&node), expected);
    }
}
