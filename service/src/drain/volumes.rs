//! The PersistentVolumes of pods, which outlast them on the node: a pod that has gone leaves its volumes attached for a while.
//!
//! What a pod had is remembered with it, since it can't be asked once it has gone, and its claims may go with it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Blocker, PodPlan, PodProgress, PodState, PodVolumes, Situation, UnreachableNode, Warning};

/// The most volumes that are remembered of a pod. More than that hardly any node can attach.
const MOST_VOLUMES: usize = 128;

/// What is known of the volumes of a node. Of a cluster in which nothing is attached, if nobody has looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeVolumes {
    /// The PersistentVolumes of claims, by the namespaces and names of those.
    pub bound: BTreeMap<(String, String), String>,
    /// The PersistentVolumes that are attached to the node.
    pub attached: BTreeSet<String>,
}

impl NodeVolumes {
    /// The PersistentVolumes of a pod that is there.
    fn of<'a>(&'a self, pod: &'a PodPlan) -> impl Iterator<Item = &'a String> {
        let namespace = &pod.facts.reference.namespace;
        pod.facts.claims.iter().filter_map(move |claim| self.bound.get(&(namespace.clone(), claim.clone())))
    }
}

impl Situation<'_> {
    /// What is remembered of the volumes of a pod that is there: none of one that stays.
    pub(super) fn remembered(&self, pod: &PodPlan, was: &PodProgress) -> Vec<String> {
        if !self.waits_for_volumes() || pod.verdict.action == Action::Skip {
            return Vec::new();
        }
        let volumes: BTreeSet<&String> = self.volumes.of(pod).chain(&was.volumes).collect();
        volumes.into_iter().take(MOST_VOLUMES).cloned().collect()
    }

    /// Where the pods are that are not there any more: gone, unless they have left volumes attached.
    pub(super) fn gone(&self) -> Vec<PodProgress> {
        let there: BTreeSet<&str> = self.plan.pods.iter().map(|pod| pod.facts.reference.uid.as_str()).collect();
        let left_behind = self.left_behind();
        let gone = self.progress.iter().filter(|was| !there.contains(was.pod.uid.as_str()));
        gone.map(|was| left(was, &left_behind)).collect()
    }

    /// The volumes that are attached to the node and that no pod on it uses any more.
    fn left_behind(&self) -> BTreeSet<&String> {
        if !self.waits_for_volumes() {
            return BTreeSet::new();
        }
        let using = self.plan.pods.iter().filter(|pod| !pod.facts.is_finished());
        let used: BTreeSet<&String> = using.flat_map(|pod| self.volumes.of(pod)).collect();
        self.volumes.attached.iter().filter(|volume| !used.contains(volume)).collect()
    }

    /// Nothing is detached from a node whose kubelet does not answer until much later, and if it was given up nobody waits.
    fn waits_for_volumes(&self) -> bool {
        let is_given_up = self.policy.unreachable_node == UnreachableNode::LeaveTerminating
            && self.plan.warnings.contains(&Warning::NodeUnreachable);
        self.policy.volumes == PodVolumes::WaitDetached && !is_given_up
    }
}

/// Where a pod is that is not there any more. Once it has gone for good its volumes are forgotten, so that it does not come back
/// if another pod uses one of them.
fn left(was: &PodProgress, left_behind: &BTreeSet<&String>) -> PodProgress {
    let volumes: Vec<String> = was.volumes.iter().filter(|volume| left_behind.contains(volume)).cloned().collect();
    let (state, blocker) = match volumes.is_empty() {
        true => (PodState::Gone, None),
        false => (PodState::Terminating, Some(Blocker::VolumeAttached { volumes: volumes.clone() })),
    };
    PodProgress { state, blocker, next_attempt: None, was_refused: false, volumes, ..was.clone() }
}
