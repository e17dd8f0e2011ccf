//! What there is to know of a pod before one does anything about it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, Volume};

use super::{Controller, PodReference, Resources, resources};

/// The annotation of the objects that stand for static pods. Its presence counts, whatever its value.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// The classes of pods that a cluster cannot do without.
const CRITICAL_CLASSES: [&str; 2] = ["system-cluster-critical", "system-node-critical"];

/// The least priority of such pods (`scheduling.SystemCriticalPriority`).
const CRITICAL_PRIORITY: i32 = 2_000_000_000;

/// What a pod's fields say. It is a copy, so that it can be kept when the pod has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFacts {
    /// Which pod it is.
    pub reference: PodReference,
    /// Who controls it. None if nobody would replace it.
    pub controller: Option<Controller>,
    /// How far it has come.
    pub phase: Phase,
    /// Whether its condition `Ready` is true, which is what budgets count as healthy.
    pub is_ready: bool,
    /// Whether it only mirrors a static pod, which the kubelet runs from a file and nobody can remove here.
    pub is_mirror: bool,
    /// Since when it is being removed, if it is.
    pub terminating: Option<Terminating>,
    /// What must be done before it may go, whoever removes it (`metadata.finalizers`).
    pub finalizers: Vec<String>,
    /// The names of its volumes whose contents are lost with it (`emptyDir`, in memory or not).
    pub empty_dirs: Vec<String>,
    /// The names of the PersistentVolumeClaims in its namespace that its volumes are of.
    pub claims: Vec<String>,
    /// Its priority. 0 if it has none.
    pub priority: i32,
    /// The name of its priority class, if it has one.
    pub priority_class: Option<String>,
    /// How many seconds it asks to be given to end (`spec.terminationGracePeriodSeconds`).
    pub termination_grace_period_seconds: Option<i64>,
    /// What it requests, as the scheduler counts a pod that it has to place.
    pub requests: Resources,
}

/// The phase of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Not all of its containers have started once.
    Pending,
    /// It runs.
    Running,
    /// Its containers have ended, none with an error, and will not run again.
    Succeeded,
    /// Its containers have ended, at least one with an error, and will not run again.
    Failed,
    /// None of these.
    Unknown,
}

/// A removal that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminating {
    /// When the pod's grace period is over (`metadata.deletionTimestamp`).
    pub grace_until: Timestamp,
    /// How long the grace period is, in seconds.
    pub grace_seconds: i64,
}

impl PodFacts {
    /// The facts about a pod.
    pub fn of(pod: &Pod) -> Self {
        let spec = pod.spec.as_ref();
        let volumes = spec.and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
        let annotations = pod.metadata.annotations.as_ref();
        Self {
            reference: PodReference::of(pod),
            controller: Controller::of(pod),
            phase: Phase::of(pod),
            is_ready: is_ready(pod),
            is_mirror: annotations.is_some_and(|annotations| annotations.contains_key(MIRROR)),
            terminating: Terminating::of(pod),
            finalizers: pod.metadata.finalizers.clone().unwrap_or_default(),
            empty_dirs: volumes.iter().filter(|it| it.empty_dir.is_some()).map(|it| it.name.clone()).collect(),
            claims: volumes.iter().filter_map(|it| claim_of(pod, it)).collect(),
            priority: spec.and_then(|spec| spec.priority).unwrap_or(0),
            priority_class: spec.and_then(|spec| spec.priority_class_name.clone()).filter(|class| !class.is_empty()),
            termination_grace_period_seconds: spec.and_then(|spec| spec.termination_grace_period_seconds),
            requests: resources::requests(pod),
        }
    }

    /// Whether it has ended for good: then removing it disrupts nothing.
    pub fn is_finished(&self) -> bool {
        self.phase.is_finished()
    }

    /// Whether a DaemonSet of Kubernetes itself controls it.
    pub fn is_daemon_set(&self) -> bool {
        self.controller.as_ref().is_some_and(Controller::is_daemon_set)
    }

    /// Whether the cluster cannot do without it: by its priority, or by the name of its priority class.
    pub fn is_critical(&self) -> bool {
        let class = self.priority_class.as_deref();
        self.priority >= CRITICAL_PRIORITY || class.is_some_and(|class| CRITICAL_CLASSES.contains(&class))
    }
}

/// The name of the claim that a volume of a pod is of. That of an ephemeral volume is made for the pod, and named for both.
fn claim_of(pod: &Pod, volume: &Volume) -> Option<String> {
    match (&volume.persistent_volume_claim, &volume.ephemeral) {
        (Some(source), _) => Some(source.claim_name.clone()),
        (None, Some(_)) => Some(format!("{}-{}", pod.metadata.name.as_deref()?, volume.name)),
        (None, None) => None,
    }
}

impl Phase {
    /// The phase of a pod.
    pub fn of(pod: &Pod) -> Self {
        match pod.status.as_ref().and_then(|status| status.phase.as_deref()) {
            Some("Pending") => Self::Pending,
            Some("Running") => Self::Running,
            Some("Succeeded") => Self::Succeeded,
            Some("Failed") => Self::Failed,
            _ => Self::Unknown,
        }
    }

    /// Whether a pod in it has ended for good.
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

impl Terminating {
    /// The removal of a pod, if it has begun.
    pub fn of(pod: &Pod) -> Option<Self> {
        Some(Self {
            grace_until: pod.metadata.deletion_timestamp.as_ref()?.0,
            grace_seconds: pod.metadata.deletion_grace_period_seconds.unwrap_or(0),
        })
    }

    /// When the removal was asked for. `deletionTimestamp` is that time and the grace period.
    pub fn since(&self) -> Timestamp {
        self.grace_until.saturating_sub(SignedDuration::from_secs(self.grace_seconds)).unwrap_or(self.grace_until)
    }

    /// For how many whole seconds the grace period has been over. Negative while it lasts.
    pub fn overdue_seconds(&self, now: Timestamp) -> i64 {
        now.duration_since(self.grace_until).as_secs()
    }
}

/// Whether the condition `Ready` is true (`podutil.IsPodReady`), which is what budgets count as healthy.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
    ready.is_some_and(|condition| condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::super::example::pod;
    use super::*;

    #[test]
    fn a_mirror_pod_is_known_by_its_annotation() {
        assert!(PodFacts::of(&pod("etcd").mirror().build()).is_mirror);
        assert!(!PodFacts::of(&pod("etcd").build()).is_mirror);
    }

    #[test]
    fn volumes_of_other_kinds_hold_nothing_that_is_lost() {
        let facts = PodFacts::of(&pod("db").empty_dir("scratch").host_path("logs").build());
        assert_eq!(facts.empty_dirs, ["scratch"]);
    }

    #[test]
    fn claims_are_named_by_the_pod_and_those_of_ephemeral_volumes_for_it() {
        let facts = PodFacts::of(&pod("db").claim("data").ephemeral("cache").host_path("logs").build());
        assert_eq!(facts.claims, ["data", "db-cache"]);
    }

    #[test]
    fn a_pod_is_critical_by_priority_or_by_class() {
        assert!(PodFacts::of(&pod("p").priority(2_000_000_000).build()).is_critical());
        assert!(PodFacts::of(&pod("p").priority_class("system-node-critical").build()).is_critical());
        assert!(!PodFacts::of(&pod("p").priority(1_999_999_999).priority_class("high").build()).is_critical());
    }

    #[test]
    fn a_pod_is_ready_if_its_condition_says_so() {
        assert!(PodFacts::of(&pod("p").build()).is_ready);
        assert!(!PodFacts::of(&pod("p").unready().build()).is_ready);
    }

    #[test]
    fn a_removal_began_a_grace_period_before_its_timestamp() {
        let end: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let terminating = PodFacts::of(&pod("p").terminating(end, 60).build()).terminating.unwrap();
        assert_eq!(terminating.since(), "2026-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(terminating.overdue_seconds("2026-01-01T00:01:09.9Z".parse().unwrap()), 9);
        assert_eq!(terminating.overdue_seconds("2026-01-01T00:00:30Z".parse().unwrap()), -30);
    }

    #[test]
    fn phases_are_those_of_kubernetes() {
        for (text, phase, finished) in [
            ("Pending", Phase::Pending, false),
            ("Running", Phase::Running, false),
            ("Succeeded", Phase::Succeeded, true),
            ("Failed", Phase::Failed, true),
            ("", Phase::Unknown, false),
        ] {
            let facts = PodFacts::of(&pod("p").phase(text).build());
            assert_eq!((facts.phase, facts.is_finished()), (phase, finished), "{text}");
        }
    }
}
