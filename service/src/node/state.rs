//! The states that nodeward derives from a node.

use k8s_openapi::api::core::v1::Node;
use nodeward_api::v1;

/// Whether new pods may be scheduled on the node.
pub fn scheduling_state(node: &Node) -> v1::SchedulingState {
    match node.spec.as_ref().and_then(|spec| spec.unschedulable) {
        Some(true) => v1::SchedulingState::Cordoned,
        _ => v1::SchedulingState::Schedulable,
    }
}

/// Whether the node is able to run pods, since when and why.
pub fn readiness(_node: &Node) -> v1::Readiness {
    v1::Readiness::default()
}
