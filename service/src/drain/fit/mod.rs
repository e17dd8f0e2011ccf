//! Whether what a drain removes would find room elsewhere.
//!
//! Replacements are placed one after another, in the order in which their pods go, and each takes the room that it needs: two
//! pods of three cores do not both fit the node that has four. The filters are those of Kubernetes' scheduler, in its order;
//! among the nodes that are left, the emptiest is taken.
//!
//! Not looked at: volumes that are tied to a place, topology spread, required pod affinity, host ports, devices, and what an
//! autoscaler would add. So "fits" means that nothing that was looked at is against it.

mod affinity;
mod apart;
mod room;
mod taints;

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::{Node, Pod};

use super::input::PlanInput;
use crate::pod::PodFacts;
use apart::Apart;
use room::{Room, Wanted};

/// Whether a pod's replacement would find room elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It would: for example on this node, on which the plan has placed it.
    Fits {
        /// The name of the node.
        node: String,
    },
    /// No node would take it.
    Nowhere(Nowhere),
    /// Nobody would make one.
    NoReplacement(NoReplacement),
}

/// Why no node would take a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nowhere {
    /// How many nodes there are besides the one to be emptied.
    pub nodes: u32,
    /// By how many nodes each reason was given. A node may give several.
    pub reasons: BTreeMap<NodeReason, u32>,
}

/// Why a node would not take a pod. In the order in which it is looked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeReason {
    /// It is cordoned.
    Unschedulable,
    /// It is not ready.
    NotReady,
    /// It has a taint that the pod does not tolerate.
    UntoleratedTaint {
        /// The key of the first such taint.
        key: String,
    },
    /// Its labels are not what the pod's node selector or required node affinity asks for.
    NodeAffinity,
    /// It has as many pods as it may have.
    TooManyPods,
    /// It has too little of a resource left.
    Insufficient {
        /// The resource: `cpu`, `memory`, or another.
        resource: String,
    },
    /// The pod must not be near pods that are there.
    PodAntiAffinity,
    /// Pods that are there must not be near the pod.
    ExistingPodsAntiAffinity,
}

/// Why nobody would make a replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoReplacement {
    /// Nobody controls the pod.
    Unmanaged,
    /// A DaemonSet does, which makes its pods on the same node, or is gone.
    DaemonSet,
    /// It has finished, or is to finish by itself.
    Finished,
    /// It is going already, and its replacement has been made.
    Replaced,
}

impl NoReplacement {
    fn of(pod: &PodFacts) -> Option<Self> {
        let Some(controller) = &pod.controller else { return Some(Self::Unmanaged) };
        if pod.is_finished() {
            Some(Self::Finished)
        } else if controller.is_daemon_set() {
            Some(Self::DaemonSet)
        } else if pod.terminating.is_some() && !controller.is_stateful_set() {
            Some(Self::Replaced)
        } else {
            None
        }
    }
}

/// As the scheduler says it.
impl fmt::Display for Nowhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0/{} nodes are available", self.nodes)?;
        for (index, (reason, count)) in self.reasons.iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { ", " })?;
            write!(f, "{count} {reason}")?;
        }
        Ok(())
    }
}

impl fmt::Display for NodeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unschedulable => f.write_str("node(s) were unschedulable"),
            Self::NotReady => f.write_str("node(s) were not ready"),
            Self::UntoleratedTaint { key } => write!(f, "node(s) had untolerated taint {key}"),
            Self::NodeAffinity => f.write_str("node(s) didn't match Pod's node affinity/selector"),
            Self::TooManyPods => f.write_str("Too many pods"),
            Self::Insufficient { resource } => write!(f, "Insufficient {resource}"),
            Self::PodAntiAffinity => f.write_str("node(s) didn't match pod anti-affinity rules"),
            Self::ExistingPodsAntiAffinity => f.write_str("node(s) didn't satisfy existing pods anti-affinity rules"),
        }
    }
}

/// The nodes besides the one to be emptied, filling up.
pub(super) struct Elsewhere<'a> {
    nodes: Vec<(&'a Node, Room)>,
    apart: Apart<'a>,
}

impl<'a> Elsewhere<'a> {
    /// The nodes as they are, and the pods that stay on the node to be emptied, which others may have to keep away from.
    pub fn new(input: &PlanInput<'a>, staying: impl Iterator<Item = &'a Pod>) -> Self {
        let target = name(input.node);
        let mut pods_by_node: BTreeMap<&str, Vec<&'a Pod>> = BTreeMap::new();
        for pod in &input.pods {
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
            if let Some(node) = node.filter(|node| *node != target) {
                pods_by_node.entry(node).or_default().push(pod);
            }
        }

        let mut apart = Apart::new(input.namespaces.clone());
        staying.for_each(|pod| apart.add(pod, input.node));
        let mut by_name: BTreeMap<&str, &'a Node> = input.nodes.iter().map(|node| (name(node), *node)).collect();
        by_name.remove(target);
        let mut nodes = Vec::with_capacity(by_name.len());
        for (name, node) in by_name {
            let pods = pods_by_node.remove(name).unwrap_or_default();
            pods.iter().for_each(|pod| apart.add(pod, node));
            nodes.push((node, Room::of(node, &pods)));
        }
        Self { nodes, apart }
    }

    /// Places the replacement of a pod.
    pub fn place(&mut self, pod: &'a Pod, facts: &PodFacts) -> Fit {
        if let Some(none) = NoReplacement::of(facts) {
            return Fit::NoReplacement(none);
        }
        let wanted = room::counted(&facts.requests);
        let apart = self.apart.forbidden(pod);
        let mut nowhere = Nowhere { nodes: count(self.nodes.len()), ..Nowhere::default() };
        let mut best: Option<(i64, usize)> = None;
        for (index, (node, room)) in self.nodes.iter().enumerate() {
            let reasons = against(pod, &wanted, node, room, &apart);
            if reasons.is_empty() {
                let score = room.emptiness_with(&wanted);
                // The first of equals, in the order of their names.
                if best.is_none_or(|(best, _)| score > best) {
                    best = Some((score, index));
                }
            }
            for reason in reasons {
                *nowhere.reasons.entry(reason).or_default() += 1;
            }
        }

        let Some((_, index)) = best else { return Fit::Nowhere(nowhere) };
        let (node, room) = &mut self.nodes[index];
        room.take(&wanted);
        self.apart.add(pod, node);
        Fit::Fits { node: name(node).to_owned() }
    }
}

/// What speaks against a node: the first filter that does decides, as in the scheduler.
fn against(pod: &Pod, wanted: &Wanted, node: &Node, room: &Room, apart: &apart::Forbidden<'_>) -> Vec<NodeReason> {
    if let Some(reason) = taints::against(pod, node) {
        return vec![reason];
    }
    if !affinity::matches(pod, node) {
        return vec![NodeReason::NodeAffinity];
    }
    let lacking = room.lacks(wanted);
    if !lacking.is_empty() {
        return lacking;
    }
    apart.against(node).into_iter().collect()
}

fn name(node: &Node) -> &str {
    node.metadata.name.as_deref().unwrap_or_default()
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
