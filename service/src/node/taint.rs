//! Taints that controllers own: whoever changes one by hand sees it changed back within seconds.
//!
//! Changing them is therefore refused, with what to do instead, rather than carried out and silently reverted.
//! `node.kubernetes.io/out-of-service` is none of them: only people set and remove it.

use std::fmt;

use k8s_openapi::api::core::v1::Taint;

/// Sets taints from a node's conditions and from `spec.unschedulable` (pkg/controller/nodelifecycle of Kubernetes:
/// `taintKeyToNodeConditionMap`, `doNoScheduleTaintingPass`, `processTaintBaseEviction`).
const LIFECYCLE: &str = "node lifecycle controller";

/// Sets taints from what the cloud says of the machine (k8s.io/cloud-provider: api/well_known_taints.go).
const CLOUD: &str = "cloud controller manager";

/// The keys of taints that controllers own, the controllers, and what to do instead of changing the taint.
const OWNED: [(&str, &str, &str); 9] = [
    (
        "node.kubernetes.io/unschedulable",
        LIFECYCLE,
        "it follows `spec.unschedulable`: use CordonNode or UncordonNode instead",
    ),
    (
        "node.kubernetes.io/not-ready",
        LIFECYCLE,
        "it follows the condition Ready, which the kubelet reports: to keep pods off, cordon the node or set a taint of your own",
    ),
    (
        "node.kubernetes.io/unreachable",
        LIFECYCLE,
        "it follows the condition Ready, which is Unknown when the kubelet is not heard from: to keep pods off, cordon the node \
         or set a taint of your own; to give up a machine that is off, set `node.kubernetes.io/out-of-service`",
    ),
    (
        "node.kubernetes.io/memory-pressure",
        LIFECYCLE,
        "it follows the condition MemoryPressure, which the kubelet reports: free memory on the node, or set a taint of your own",
    ),
    (
        "node.kubernetes.io/disk-pressure",
        LIFECYCLE,
        "it follows the condition DiskPressure, which the kubelet reports: free disk space on the node, or set a taint of your own",
    ),
    (
        "node.kubernetes.io/pid-pressure",
        LIFECYCLE,
        "it follows the condition PIDPressure, which the kubelet reports: end processes on the node, or set a taint of your own",
    ),
    (
        "node.kubernetes.io/network-unavailable",
        LIFECYCLE,
        "it follows the condition NetworkUnavailable, which the network plugin or cloud reports: see to the node's network, or \
         set a taint of your own",
    ),
    (
        "node.cloudprovider.kubernetes.io/uninitialized",
        CLOUD,
        "it goes once the cloud controller manager has initialized the node: see why that has not happened",
    ),
    (
        "node.cloudprovider.kubernetes.io/shutdown",
        CLOUD,
        "it follows whether the machine runs: start or stop the machine",
    ),
];

/// The refusal to change a taint that a controller owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerOwnedTaint {
    /// The key of the taint.
    pub key: String,
    /// Who owns it, for example `node lifecycle controller`.
    pub controller: &'static str,
    /// What the taint depends on and what to do instead.
    pub advice: &'static str,
}

impl ControllerOwnedTaint {
    /// The refusal to change taints with this key, if a controller owns them.
    pub fn of(key: &str) -> Option<Self> {
        let &(_, controller, advice) = OWNED.iter().find(|(owned, _, _)| *owned == key)?;
        Some(Self { key: key.to_owned(), controller, advice })
    }
}

impl fmt::Display for ControllerOwnedTaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, controller, advice } = self;
        write!(f, "the taint `{key}` belongs to the {controller}, which would undo a change: {advice}")
    }
}

impl std::error::Error for ControllerOwnedTaint {}

/// The controller that owns taints with this key. None if they are anybody's.
pub fn controller_of(key: &str) -> Option<&'static str> {
    OWNED.iter().find(|(owned, _, _)| *owned == key).map(|&(_, controller, _)| controller)
}

/// The controller-owned taints that were set, changed or removed from one list to the other, as they are after the change,
/// or were before it if they are gone. When a taint was added is not looked at.
pub fn controller_owned_changes<'a>(before: &'a [Taint], after: &'a [Taint]) -> Vec<&'a Taint> {
    let is_owned = |taint: &&Taint| controller_of(&taint.key).is_some();
    let was_set = after.iter().filter(is_owned).filter(|taint| !before.iter().any(|old| same_taint(old, taint)));
    let was_removed = before.iter().filter(is_owned).filter(|taint| !after.iter().any(|new| same_place(new, taint)));
    was_set.chain(was_removed).collect()
}

/// The refusal of a change from one list of taints to the other, if it is about a taint that a controller owns.
pub fn refuse_controller_owned(before: &[Taint], after: &[Taint]) -> Option<ControllerOwnedTaint> {
    controller_owned_changes(before, after).first().and_then(|taint| ControllerOwnedTaint::of(&taint.key))
}

/// Whether two taints are of one key and effect, of which a node has at most one.
fn same_place(left: &Taint, right: &Taint) -> bool {
    left.key == right.key && left.effect == right.effect
}

fn same_taint(left: &Taint, right: &Taint) -> bool {
    same_place(left, right) && left.value.as_deref().unwrap_or_default() == right.value.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    const NOT_READY: &str = "node.kubernetes.io/not-ready";

    fn taint(key: &str, value: Option<&str>, effect: &str) -> Taint {
        Taint { key: key.to_owned(), value: value.map(str::to_owned), effect: effect.to_owned(), time_added: None }
    }

    #[test]
    fn taints_of_controllers_are_known_by_their_keys() {
        assert_eq!(controller_of("node.kubernetes.io/unschedulable"), Some(LIFECYCLE));
        assert_eq!(controller_of("node.cloudprovider.kubernetes.io/shutdown"), Some(CLOUD));
    }

    #[test]
    fn taints_that_people_set_belong_to_nobody() {
        for key in ["dedicated", "node.kubernetes.io/out-of-service", "node.kubernetes.io/unschedulable2", ""] {
            assert_eq!(controller_of(key), None, "{key}");
        }
    }

    #[test]
    fn the_refusal_says_what_to_do_instead() {
        let refusal = ControllerOwnedTaint::of("node.kubernetes.io/unschedulable").unwrap();
        assert_eq!(
            refusal.to_string(),
            "the taint `node.kubernetes.io/unschedulable` belongs to the node lifecycle controller, which would undo a change: \
             it follows `spec.unschedulable`: use CordonNode or UncordonNode instead"
        );
    }

    #[test]
    fn only_changes_of_taints_of_controllers_are_refused() {
        let mine = [taint("dedicated", None, "NoSchedule")];
        let theirs = [taint(NOT_READY, None, "NoSchedule")];
        assert_eq!(refuse_controller_owned(&mine, &[]), None);
        assert_eq!(refuse_controller_owned(&mine, &theirs).unwrap().key, NOT_READY);
    }

    #[test]
    fn setting_changing_and_removing_are_changes() {
        let without = [taint("dedicated", None, "NoSchedule")];
        let with = [taint(NOT_READY, None, "NoExecute"), without[0].clone()];
        let other_value = [taint(NOT_READY, Some("x"), "NoExecute")];
        let other_effect = [taint(NOT_READY, None, "NoSchedule")];
        assert_eq!(controller_owned_changes(&without, &with), [&with[0]]);
        assert_eq!(controller_owned_changes(&with, &without), [&with[0]]);
        assert_eq!(controller_owned_changes(&with, &other_value), [&other_value[0]]);
        assert_eq!(controller_owned_changes(&with, &other_effect), [&other_effect[0], &with[0]]);
    }

    #[test]
    fn other_times_orders_and_taints_are_no_changes() {
        let time_added = Some(Time(jiff::Timestamp::UNIX_EPOCH));
        let before = [taint(NOT_READY, None, "NoExecute"), taint("dedicated", None, "NoSchedule")];
        let after =
            [taint("other", None, "NoSchedule"), Taint { time_added, ..taint(NOT_READY, Some(""), "NoExecute") }];
        assert!(controller_owned_changes(&before, &after).is_empty());
    }
}
