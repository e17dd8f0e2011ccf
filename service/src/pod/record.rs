//! What is kept of each pod of a cluster: what to know of pods in general, small enough for hundreds of thousands of them.
//!
//! What many pods have in common is there once: texts, labels, and what their template says.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodAffinityTerm};

use super::shared::Interner;
use super::{Controller, Phase, PodFacts, PodReference, Resources, Terminating, resources};

/// A pod, in short.
#[derive(Clone, Debug, PartialEq)]
pub struct PodRecord {
    /// Its name.
    pub name: Arc<str>,
    /// Tells it from all other pods that ever had its name.
    pub uid: Box<str>,
    /// Its resource version.
    pub version: u64,
    /// The name of the node that it is on. None as long as it has none.
    pub node: Option<Arc<str>>,
    /// How far it has come.
    pub phase: Phase,
    /// Whether its condition `Ready` is true.
    pub is_ready: bool,
    /// Since when it is being removed, if it is.
    pub terminating: Option<Terminating>,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Its labels, by key.
    pub labels: Arc<Labels>,
    /// What it has in common with the others of its controller.
    pub kind: Arc<PodKind>,
}

/// Labels, in the order of their keys.
pub type Labels = [(Arc<str>, Arc<str>)];

/// What the pods of a controller have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct PodKind {
    /// Their namespace.
    pub namespace: Arc<str>,
    /// Who controls them. None if nobody would replace them.
    pub controller: Option<Controller>,
    /// Their priority. 0 if they have none.
    pub priority: i32,
    /// The name of their priority class, if they have one.
    pub priority_class: Option<String>,
    /// How many seconds they ask to be given to end.
    pub termination_grace_period_seconds: Option<i64>,
    /// Whether they only mirror static pods.
    pub is_mirror: bool,
    /// Whether something must be done before they may go, whoever removes them (`metadata.finalizers`).
    pub has_finalizers: bool,
    /// Whether they have volumes whose contents are lost with them.
    pub has_empty_dirs: bool,
    /// What they request, as the scheduler counts pods that it has to place.
    pub requests: Resources,
    /// What they take of their nodes. More than they request while they are being resized.
    pub occupied: Resources,
    /// The pods that they must not be near: their required anti-affinity.
    pub apart_from: Vec<PodAffinityTerm>,
}

/// What the records of a cluster share.
#[derive(Debug, Default)]
pub struct InCommon {
    texts: Interner<str>,
    labels: Interner<Labels>,
    kinds: Interner<PodKind>,
}

impl Eq for PodKind {}

/// Of the parts that tell most of them apart.
impl Hash for PodKind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.namespace, &self.controller, self.priority, self.termination_grace_period_seconds).hash(state);
    }
}

impl PodRecord {
    /// The record of a pod, which shares what it can with those before it.
    pub fn of(pod: &Pod, shared: &mut InCommon) -> Self {
        let facts = PodFacts::of(pod);
        let metadata = &pod.metadata;
        let version = metadata.resource_version.as_ref().and_then(|version| version.parse().ok());
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).filter(|node| !node.is_empty());
        Self {
            name: facts.reference.name.as_str().into(),
            uid: facts.reference.uid.as_str().into(),
            version: version.unwrap_or(0),
            node: node.map(|node| shared.texts.share(node)),
            phase: facts.phase,
            is_ready: facts.is_ready,
            terminating: facts.terminating,
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            labels: shared.labels(metadata.labels.as_ref()),
            kind: shared.kind(pod, facts),
        }
    }

    /// Which pod it is.
    pub fn reference(&self) -> PodReference {
        let (namespace, name, uid) = (&self.kind.namespace, &self.name, &self.uid);
        PodReference { namespace: namespace.to_string(), name: name.to_string(), uid: uid.to_string() }
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        let found = self.labels.binary_search_by(|(other, _)| (**other).cmp(key)).ok()?;
        Some(&self.labels[found].1)
    }
}

impl InCommon {
    fn labels(&mut self, labels: Option<&BTreeMap<String, String>>) -> Arc<Labels> {
        let texts = &mut self.texts;
        let pairs = labels.into_iter().flatten().map(|(key, value)| (texts.share(key), texts.share(value)));
        self.labels.share_owned(pairs.collect::<Vec<_>>())
    }

    fn kind(&mut self, pod: &Pod, facts: PodFacts) -> Arc<PodKind> {
        let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref());
        let apart = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
        let apart_from = apart.and_then(|it| it.required_during_scheduling_ignored_during_execution.clone());
        self.kinds.share_owned(PodKind {
            namespace: self.texts.share(&facts.reference.namespace),
            priority: facts.priority,
            termination_grace_period_seconds: facts.termination_grace_period_seconds,
            is_mirror: facts.is_mirror,
            has_finalizers: !facts.finalizers.is_empty(),
            has_empty_dirs: !facts.empty_dirs.is_empty(),
            occupied: resources::occupied(pod),
            apart_from: apart_from.unwrap_or_default(),
            controller: facts.controller,
            priority_class: facts.priority_class,
            requests: facts.requests,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::pod;
    use super::*;

    #[test]
    fn a_record_says_what_the_pod_is() {
        let end: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let pod = pod("web-1").in_namespace("shop").on("worker-1").label("app", "web").label("tier", "front");
        let pod = pod.replicated().empty_dir("scratch").priority(7).grace(9).terminating(end, 5).unready();
        let record = PodRecord::of(&pod.container("main", &[("cpu", "1")]).build(), &mut InCommon::default());
        assert_eq!(record.reference().to_string(), "shop/web-1");
        assert_eq!(record.node.as_deref(), Some("worker-1"));
        assert_eq!((record.label("app"), record.label("tier"), record.label("x")), (Some("web"), Some("front"), None));
        assert_eq!((record.phase, record.is_ready), (Phase::Running, false));
        assert_eq!(record.terminating, Some(Terminating { grace_until: end, grace_seconds: 5 }));
        let kind = &record.kind;
        assert_eq!((kind.priority, kind.termination_grace_period_seconds), (7, Some(9)));
        assert_eq!((kind.has_empty_dirs, kind.has_finalizers, kind.is_mirror), (true, false, false));
        assert_eq!(kind.controller.as_ref().unwrap().kind, "ReplicaSet");
        assert_eq!(kind.requests.scheduler_units("cpu"), 1000);
        assert_eq!(kind.occupied, kind.requests);
    }

    #[test]
    fn the_pods_of_a_controller_share_what_they_have_in_common() {
        let mut shared = InCommon::default();
        let mut record = |name: &str| PodRecord::of(&pod(name).replicated().label("app", "web").build(), &mut shared);
        let (one, other) = (record("web-1"), record("web-2"));
        assert!(Arc::ptr_eq(&one.kind, &other.kind));
        assert!(Arc::ptr_eq(&one.labels, &other.labels));
        assert!(Arc::ptr_eq(one.node.as_ref().unwrap(), other.node.as_ref().unwrap()));
    }

    #[test]
    fn pods_that_differ_in_anything_do_not() {
        let mut shared = InCommon::default();
        let mut kind = |cpu: &str| {
            let pod = pod("web-1").replicated().container("main", &[("cpu", cpu)]).build();
            PodRecord::of(&pod, &mut shared).kind
        };
        assert!(!Arc::ptr_eq(&kind("1"), &kind("2")));
    }
}
