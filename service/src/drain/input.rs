//! What a plan is made from: the cluster as somebody saw it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use super::DrainPolicy;
use crate::node::state::readiness_state;
use nodeward_api::v1::readiness;

/// The cluster as somebody saw it. The order of the lists makes no difference.
#[derive(Clone, Debug)]
pub struct PlanInput<'a> {
    /// The node to be emptied.
    pub node: &'a Node,
    /// All nodes. Replacements are placed on them; the node to be emptied may be among them.
    pub nodes: Vec<&'a Node>,
    /// All pods. Those of the node are the ones that the plan is about; the others tell what budgets wait for and what room
    /// there is elsewhere.
    pub pods: Vec<&'a Pod>,
    /// The DaemonSets that exist.
    pub daemon_sets: Vec<DaemonSetReference>,
    /// All budgets.
    pub budgets: Vec<&'a PodDisruptionBudget>,
    /// The labels of the namespaces, by name.
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// What time it is.
    pub now: Timestamp,
}

/// A DaemonSet (`apps/v1`) that exists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DaemonSetReference {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Tells it from others that had its name.
    pub uid: String,
}

/// The times that hold on this node, which are shorter when its kubelet no longer answers and the policy gives it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// The grace period of every pod, if not its own.
    pub grace_seconds: Option<u32>,
    /// For how many seconds its grace period may have been over before a pod is left.
    pub leave_after_seconds: Option<u64>,
    /// Whether the kubelet no longer answers.
    pub is_unreachable: bool,
}

/// What a pod of a node that was given up is granted, and by how much it may exceed that, in seconds. As Cluster API.
const UNREACHABLE_SECONDS: u32 = 1;

impl Terms {
    pub fn of(node: &Node, policy: &DrainPolicy) -> Self {
        let is_unreachable = readiness_state(node) == readiness::State::LostContact;
        if is_unreachable && policy.unreachable_node == super::UnreachableNode::LeaveTerminating {
            return Self {
                grace_seconds: Some(UNREACHABLE_SECONDS),
                leave_after_seconds: Some(UNREACHABLE_SECONDS.into()),
                is_unreachable,
            };
        }
        Self {
            grace_seconds: policy.grace_period_seconds,
            leave_after_seconds: policy.leave_terminating_after.map(|after| after.as_secs()),
            is_unreachable,
        }
    }
}
