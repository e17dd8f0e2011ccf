//! Pods as the watch of all of them reads them: with what their records are made from, and nothing else. What is passed over
//! costs little time and no memory, and it is most of a pod.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, Container, ContainerStatus, Pod, PodAntiAffinity, PodCondition, PodSpec, PodStatus, ResourceRequirements,
    Volume,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// A pod as far as its record goes.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct SeenPod {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    annotations: Option<BTreeMap<String, IgnoredAny>>,
    creation_timestamp: Option<Time>,
    deletion_grace_period_seconds: Option<i64>,
    deletion_timestamp: Option<Time>,
    finalizers: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
    name: Option<String>,
    namespace: Option<String>,
    owner_references: Option<Vec<OwnerReference>>,
    resource_version: Option<String>,
    uid: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    affinity: Option<AntiAffinity>,
    #[serde(default)]
    containers: Vec<SeenContainer>,
    init_containers: Option<Vec<SeenContainer>>,
    node_name: Option<String>,
    overhead: Option<BTreeMap<String, Quantity>>,
    priority: Option<i32>,
    priority_class_name: Option<String>,
    resources: Option<ResourceRequirements>,
    termination_grace_period_seconds: Option<i64>,
    volumes: Option<Vec<SeenVolume>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AntiAffinity {
    pod_anti_affinity: Option<PodAntiAffinity>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SeenContainer {
    name: String,
    resources: Option<ResourceRequirements>,
    restart_policy: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SeenVolume {
    name: String,
    empty_dir: Option<IgnoredAny>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    conditions: Option<Vec<SeenCondition>>,
    container_statuses: Option<Vec<SeenContainerStatus>>,
    init_container_statuses: Option<Vec<SeenContainerStatus>>,
    phase: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct SeenCondition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    reason: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SeenContainerStatus {
    name: String,
    resources: Option<ResourceRequirements>,
    allocated_resources: Option<BTreeMap<String, Quantity>>,
}

impl From<SeenPod> for Pod {
    fn from(SeenPod { metadata, spec, status }: SeenPod) -> Self {
        Self { metadata: metadata.into(), spec: Some(spec.into()), status: Some(status.into()) }
    }
}

impl From<Metadata> for ObjectMeta {
    fn from(seen: Metadata) -> Self {
        let annotations = seen.annotations.map(|annotations| annotations.into_keys().map(|key| (key, String::new())));
        Self {
            annotations: annotations.map(Iterator::collect),
            creation_timestamp: seen.creation_timestamp,
            deletion_grace_period_seconds: seen.deletion_grace_period_seconds,
            deletion_timestamp: seen.deletion_timestamp,
            finalizers: seen.finalizers,
            labels: seen.labels,
            name: seen.name,
            namespace: seen.namespace,
            owner_references: seen.owner_references,
            resource_version: seen.resource_version,
            uid: seen.uid,
            ..Self::default()
        }
    }
}

impl From<Spec> for PodSpec {
    fn from(seen: Spec) -> Self {
        let anti = seen.affinity.and_then(|affinity| affinity.pod_anti_affinity);
        let containers = |seen: Vec<SeenContainer>| seen.into_iter().map(Container::from).collect();
        Self {
            affinity: anti.map(|anti| Affinity { pod_anti_affinity: Some(anti), ..Affinity::default() }),
            containers: containers(seen.containers),
            init_containers: seen.init_containers.map(containers),
            node_name: seen.node_name,
            overhead: seen.overhead,
            priority: seen.priority,
            priority_class_name: seen.priority_class_name,
            resources: seen.resources,
            termination_grace_period_seconds: seen.termination_grace_period_seconds,
            volumes: seen.volumes.map(|volumes| volumes.into_iter().map(Volume::from).collect()),
            ..Self::default()
        }
    }
}

impl From<SeenContainer> for Container {
    fn from(SeenContainer { name, resources, restart_policy }: SeenContainer) -> Self {
        Self { name, resources, restart_policy, ..Self::default() }
    }
}

impl From<SeenVolume> for Volume {
    fn from(SeenVolume { name, empty_dir }: SeenVolume) -> Self {
        Self { name, empty_dir: empty_dir.map(|_| Default::default()), ..Self::default() }
    }
}

impl From<Status> for PodStatus {
    fn from(seen: Status) -> Self {
        let conditions = seen.conditions.map(|conditions| conditions.into_iter().map(PodCondition::from).collect());
        let statuses = |seen: Vec<SeenContainerStatus>| seen.into_iter().map(ContainerStatus::from).collect();
        Self {
            conditions,
            container_statuses: seen.container_statuses.map(statuses),
            init_container_statuses: seen.init_container_statuses.map(statuses),
            phase: seen.phase,
            ..Self::default()
        }
    }
}

impl From<SeenCondition> for PodCondition {
    fn from(SeenCondition { type_, status, reason }: SeenCondition) -> Self {
        Self { type_, status, reason, ..Self::default() }
    }
}

impl From<SeenContainerStatus> for ContainerStatus {
    fn from(SeenContainerStatus { name, resources, allocated_resources }: SeenContainerStatus) -> Self {
        Self { name, resources, allocated_resources, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::api::core::v1::PodAffinityTerm;
    use serde_json::json;

    use super::*;
    use crate::pod::example::pod;
    use crate::pod::{InCommon, PodRecord};

    /// Whether the record of the pod is the same if it is made from what is read of it.
    fn is_read_enough_of(pod: &Pod) -> bool {
        let seen: SeenPod = serde_json::from_value(json!(pod)).unwrap();
        let record = |pod: &Pod| PodRecord::of(pod, &mut InCommon::default());
        record(&seen.into()) == record(pod)
    }

    #[test]
    fn a_record_is_the_same_as_that_of_the_whole_pod() {
        let end: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let full = pod("web-1").replicated().mirror().label("app", "web").empty_dir("scratch").host_path("logs");
        let full = full.priority(7).priority_class("high").grace(9).terminating(end, 5).created(end).unready();
        let full = full.container("main", &[("cpu", "1")]).init("before", &[("cpu", "3")]);
        let full = full.sidecar("beside", &[("memory", "1Gi")]).with(|pod| {
            pod.metadata.finalizers = Some(vec!["x".into()]);
            pod.metadata.resource_version = Some("17".into());
            let term = PodAffinityTerm { topology_key: "zone".into(), ..PodAffinityTerm::default() };
            let anti = PodAntiAffinity {
                required_during_scheduling_ignored_during_execution: Some(vec![term]),
                ..PodAntiAffinity::default()
            };
            let spec = pod.spec.get_or_insert_default();
            spec.affinity = Some(Affinity { pod_anti_affinity: Some(anti), ..Affinity::default() });
            spec.overhead = Some([("cpu".into(), Quantity("10m".into()))].into());
            let status = pod.status.get_or_insert_default();
            status.container_statuses = Some(vec![ContainerStatus {
                name: "main".into(),
                allocated_resources: Some([("cpu".into(), Quantity("2".into()))].into()),
                resources: Some(ResourceRequirements::default()),
                ..ContainerStatus::default()
            }]);
        });
        assert!(is_read_enough_of(&full.build()));
    }

    #[test]
    fn so_is_that_of_a_pod_that_says_nothing() {
        assert!(is_read_enough_of(&Pod { spec: Some(PodSpec::default()), ..Pod::default() }));
    }
}
