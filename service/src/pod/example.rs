//! Pods for tests, told in words: `pod("web-1").owned_by("apps/v1", "ReplicaSet", "web").build()`.
//!
//! A pod that says nothing else is in the namespace `default`, on the node `node`, ready, controlled by nobody.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Affinity, Container, EmptyDirVolumeSource, EphemeralVolumeSource, HostPathVolumeSource,
    PersistentVolumeClaimVolumeSource, Pod, PodCondition, PodSpec, PodStatus, ResourceRequirements, Toleration, Volume,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};

/// A pod in the making.
#[derive(Clone, Debug)]
pub(crate) struct PodExample(Pod);

/// The amounts of a list of resources.
pub(crate) fn list(amounts: &[(&str, &str)]) -> BTreeMap<String, Quantity> {
    amounts.iter().map(|(name, amount)| ((*name).to_owned(), Quantity((*amount).to_owned()))).collect()
}

/// A pod with this name. Its uid is made of it.
pub(crate) fn pod(name: &str) -> PodExample {
    let metadata = ObjectMeta {
        name: Some(name.into()),
        namespace: Some("default".into()),
        uid: Some(format!("uid-{name}")),
        ..Default::default()
    };
    let spec = PodSpec { node_name: Some("node".into()), ..Default::default() };
    let status = PodStatus { phase: Some("Running".into()), ..Default::default() };
    PodExample(Pod { metadata, spec: Some(spec), status: Some(status) }).condition("Ready", "True")
}

impl PodExample {
    pub(crate) fn build(self) -> Pod {
        self.0
    }

    /// Changes anything that has no word of its own.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Pod)) -> Self {
        change(&mut self.0);
        self
    }

    fn spec(self, change: impl FnOnce(&mut PodSpec)) -> Self {
        self.with(|pod| change(pod.spec.get_or_insert_default()))
    }

    pub(crate) fn in_namespace(self, namespace: &str) -> Self {
        self.with(|pod| pod.metadata.namespace = Some(namespace.into()))
    }

    pub(crate) fn on(self, node: &str) -> Self {
        self.spec(|spec| spec.node_name = Some(node.into()))
    }

    pub(crate) fn label(self, key: &str, value: &str) -> Self {
        self.with(|pod| {
            pod.metadata.labels.get_or_insert_default().insert(key.into(), value.into());
        })
    }

    pub(crate) fn owned_by(self, api_version: &str, kind: &str, name: &str) -> Self {
        let owner = OwnerReference {
            api_version: api_version.into(),
            kind: kind.into(),
            name: name.into(),
            uid: format!("uid-{name}"),
            controller: Some(true),
            ..Default::default()
        };
        self.with(|pod| pod.metadata.owner_references.get_or_insert_default().push(owner))
    }

    /// Controlled by a ReplicaSet: the most ordinary pod.
    pub(crate) fn replicated(self) -> Self {
        self.owned_by("apps/v1", "ReplicaSet", "web")
    }

    pub(crate) fn mirror(self) -> Self {
        self.with(|pod| {
            let annotations = pod.metadata.annotations.get_or_insert_default();
            annotations.insert("kubernetes.io/config.mirror".into(), "hash".into());
        })
    }

    pub(crate) fn phase(self, phase: &str) -> Self {
        self.with(|pod| pod.status.get_or_insert_default().phase = Some(phase.into()))
    }

    pub(crate) fn condition(self, type_: &str, status: &str) -> Self {
        let condition = PodCondition { type_: type_.into(), status: status.into(), ..Default::default() };
        self.with(|pod| {
            let conditions = pod.status.get_or_insert_default().conditions.get_or_insert_default();
            conditions.retain(|other| other.type_ != condition.type_);
            conditions.push(condition);
        })
    }

    pub(crate) fn unready(self) -> Self {
        self.condition("Ready", "False")
    }

    pub(crate) fn created(self, at: Timestamp) -> Self {
        self.with(|pod| pod.metadata.creation_timestamp = Some(Time(at)))
    }

    /// Being removed: with a grace period of so many seconds, which ends then.
    pub(crate) fn terminating(self, grace_until: Timestamp, grace_seconds: i64) -> Self {
        self.with(|pod| {
            pod.metadata.deletion_timestamp = Some(Time(grace_until));
            pod.metadata.deletion_grace_period_seconds = Some(grace_seconds);
        })
    }

    pub(crate) fn grace(self, seconds: i64) -> Self {
        self.spec(|spec| spec.termination_grace_period_seconds = Some(seconds))
    }

    pub(crate) fn priority(self, priority: i32) -> Self {
        self.spec(|spec| spec.priority = Some(priority))
    }

    pub(crate) fn priority_class(self, class: &str) -> Self {
        self.spec(|spec| spec.priority_class_name = Some(class.into()))
    }

    pub(crate) fn empty_dir(self, name: &str) -> Self {
        let empty_dir = Some(EmptyDirVolumeSource::default());
        self.volume(Volume { name: name.into(), empty_dir, ..Default::default() })
    }

    pub(crate) fn host_path(self, name: &str) -> Self {
        let host_path = Some(HostPathVolumeSource::default());
        self.volume(Volume { name: name.into(), host_path, ..Default::default() })
    }

    pub(crate) fn claim(self, claim: &str) -> Self {
        let source = PersistentVolumeClaimVolumeSource { claim_name: claim.into(), ..Default::default() };
        self.volume(Volume { name: claim.into(), persistent_volume_claim: Some(source), ..Default::default() })
    }

    pub(crate) fn ephemeral(self, name: &str) -> Self {
        let ephemeral = Some(EphemeralVolumeSource::default());
        self.volume(Volume { name: name.into(), ephemeral, ..Default::default() })
    }

    fn volume(self, volume: Volume) -> Self {
        self.spec(|spec| spec.volumes.get_or_insert_default().push(volume))
    }

    pub(crate) fn container(self, name: &str, requests: &[(&str, &str)]) -> Self {
        self.spec(|spec| spec.containers.push(container(name, requests)))
    }

    pub(crate) fn init(self, name: &str, requests: &[(&str, &str)]) -> Self {
        self.spec(|spec| spec.init_containers.get_or_insert_default().push(container(name, requests)))
    }

    pub(crate) fn sidecar(self, name: &str, requests: &[(&str, &str)]) -> Self {
        let sidecar = Container { restart_policy: Some("Always".into()), ..container(name, requests) };
        self.spec(|spec| spec.init_containers.get_or_insert_default().push(sidecar))
    }

    /// Tolerates the taints of a key, whatever their value and effect.
    pub(crate) fn tolerating(self, key: &str) -> Self {
        let toleration = Toleration { key: Some(key.into()), operator: Some("Exists".into()), ..Default::default() };
        self.spec(|spec| spec.tolerations.get_or_insert_default().push(toleration))
    }

    pub(crate) fn node_selector(self, key: &str, value: &str) -> Self {
        self.spec(|spec| {
            spec.node_selector.get_or_insert_default().insert(key.into(), value.into());
        })
    }

    pub(crate) fn affinity(self, affinity: Affinity) -> Self {
        self.spec(|spec| spec.affinity = Some(affinity))
    }
}

fn container(name: &str, requests: &[(&str, &str)]) -> Container {
    let resources = ResourceRequirements { requests: Some(list(requests)), ..Default::default() };
    Container { name: name.into(), resources: Some(resources), ..Default::default() }
}
