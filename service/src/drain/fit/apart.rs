//! Pods that must not be near others: required pod anti-affinity, of the pod that is placed and of those that are there.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, Pod, PodAffinityTerm};

use super::super::labels;
use super::NodeReason;
use crate::pod::Phase;

/// The pods that are there, and what they want to be kept away from.
pub(super) struct Apart<'a> {
    namespaces: BTreeMap<String, BTreeMap<String, String>>,
    pods: Vec<(&'a Pod, &'a Node)>,
    /// Those of them that have terms of their own.
    choosy: Vec<(&'a Pod, &'a Node)>,
}

/// A place: the key of a label of nodes, and its value. Nodes that share both are near each other.
type Place<'a> = (&'a str, &'a str);

/// The places that one pod cannot go to.
pub(super) struct Forbidden<'a> {
    by_pod: BTreeSet<Place<'a>>,
    by_others: BTreeSet<Place<'a>>,
}

impl<'a> Apart<'a> {
    pub fn new(namespaces: BTreeMap<String, BTreeMap<String, String>>) -> Self {
        Self { namespaces, pods: Vec::new(), choosy: Vec::new() }
    }

    /// Adds a pod that is on a node. One that has finished keeps nobody away.
    pub fn add(&mut self, pod: &'a Pod, node: &'a Node) {
        if Phase::of(pod).is_finished() {
            return;
        }
        self.pods.push((pod, node));
        if !terms(pod).is_empty() {
            self.choosy.push((pod, node));
        }
    }

    /// The places that a pod cannot go to.
    pub fn forbidden(&self, pod: &'a Pod) -> Forbidden<'a> {
        let by_pod = terms(pod).iter().flat_map(|term| {
            let near = self.pods.iter().filter(|(other, _)| self.is_about(term, pod, other));
            near.filter_map(|(_, node)| place(term, node))
        });
        let by_others = self.choosy.iter().flat_map(|(other, node)| {
            let about = terms(other).iter().filter(|term| self.is_about(term, other, pod));
            about.filter_map(|term| place(term, node))
        });
        Forbidden { by_pod: by_pod.collect(), by_others: by_others.collect() }
    }

    /// Whether a term of its owner is about a pod.
    fn is_about(&self, term: &PodAffinityTerm, owner: &Pod, pod: &Pod) -> bool {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let listed = term.namespaces.as_deref().unwrap_or_default();
        let is_in_namespace = match &term.namespace_selector {
            None if listed.is_empty() => owner.metadata.namespace == pod.metadata.namespace,
            selector => {
                listed.iter().any(|listed| listed == namespace)
                    || labels::matches(selector.as_ref(), self.namespaces.get(namespace))
            }
        };
        is_in_namespace && labels::matches(term.label_selector.as_ref(), pod.metadata.labels.as_ref())
    }
}

impl Forbidden<'_> {
    /// Why the pod cannot go to a node.
    pub fn against(&self, node: &Node) -> Option<NodeReason> {
        let labels = node.metadata.labels.iter().flatten();
        let is_in = |places: &BTreeSet<Place<'_>>| {
            !places.is_empty() && labels.clone().any(|(key, value)| places.contains(&(key.as_str(), value.as_str())))
        };
        // The scheduler asks the pods that are there last.
        if is_in(&self.by_pod) {
            Some(NodeReason::PodAntiAffinity)
        } else if is_in(&self.by_others) {
            Some(NodeReason::ExistingPodsAntiAffinity)
        } else {
            None
        }
    }
}

/// The place that a term means on a node: none, if the node has no such label.
fn place<'a>(term: &'a PodAffinityTerm, node: &'a Node) -> Option<Place<'a>> {
    let value = node.metadata.labels.as_ref()?.get(&term.topology_key)?;
    Some((&term.topology_key, value))
}

fn terms(pod: &Pod) -> &[PodAffinityTerm] {
    let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref());
    let anti = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
    anti.and_then(|anti| anti.required_during_scheduling_ignored_during_execution.as_deref()).unwrap_or_default()
}
