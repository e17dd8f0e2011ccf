//! How much room a node has left, in the units that the scheduler counts in.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod};

use super::NodeReason;
use crate::pod::{Phase, Resources, resources};

/// What a pod asks for, of the resources that the scheduler looks at and in its units.
pub(super) type Wanted = BTreeMap<String, i64>;

/// What a node can give and what its pods have been given.
#[derive(Clone, Debug)]
pub(super) struct Room {
    allocatable: Wanted,
    requested: Wanted,
    pods: i64,
}

impl Room {
    /// The room on a node with these pods. Those that have finished take none.
    pub fn of(node: &Node, pods: &[&Pod]) -> Self {
        let allocatable = Resources::of(node.status.as_ref().and_then(|status| status.allocatable.as_ref()));
        let mut room = Self { allocatable: counted(&allocatable), requested: BTreeMap::new(), pods: 0 };
        for pod in pods.iter().filter(|pod| !Phase::of(pod).is_finished()) {
            room.take(&counted(&resources::occupied(pod)));
        }
        room
    }

    /// Gives a pod what it requests.
    pub fn take(&mut self, wanted: &Wanted) {
        self.pods += 1;
        for (name, amount) in wanted {
            let sum = self.requested.entry(name.clone()).or_default();
            *sum = sum.saturating_add(*amount);
        }
    }

    /// What there is too little of for a pod (`noderesources.fitsRequest`).
    pub fn lacks(&self, wanted: &Wanted) -> Vec<NodeReason> {
        let mut lacking = Vec::new();
        if self.pods.saturating_add(1) > self.allocatable("pods") {
            lacking.push(NodeReason::TooManyPods);
        }
        for (resource, amount) in wanted {
            if *amount > 0 && *amount > self.free(resource) {
                lacking.push(NodeReason::Insufficient { resource: resource.clone() });
            }
        }
        lacking
    }

    /// How empty the node would be with a pod, in thousandths of its CPU and of its memory together.
    pub fn emptiness_with(&self, wanted: &Wanted) -> i64 {
        let share = |name: &str| {
            let free = i128::from(self.free(name).saturating_sub(wanted.get(name).copied().unwrap_or(0)));
            let all = i128::from(self.allocatable(name).max(1));
            i64::try_from(free.saturating_mul(1000) / all).unwrap_or(0)
        };
        share("cpu").saturating_add(share("memory"))
    }

    fn free(&self, resource: &str) -> i64 {
        self.allocatable(resource).saturating_sub(self.requested.get(resource).copied().unwrap_or(0))
    }

    fn allocatable(&self, resource: &str) -> i64 {
        self.allocatable.get(resource).copied().unwrap_or(0)
    }
}

/// The amounts that the scheduler looks at, in its units.
pub(super) fn counted(resources: &Resources) -> Wanted {
    let names = resources.iter().map(|(name, _)| name).filter(|name| is_counted(name));
    names.map(|name| (name.to_owned(), resources.scheduler_units(name))).collect()
}

/// Whether the scheduler looks at a resource (`Resource.SetMaxResource`, `IsScalarResourceName`).
fn is_counted(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage" | "pods")
        || name.contains('/')
        || name.starts_with("hugepages-")
        || name.starts_with("attachable-volumes-")
}
