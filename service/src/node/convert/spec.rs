//! `NodeSpec` of core/v1 and all that is in it.

use k8s_openapi::api::core::v1::{ConfigMapNodeConfigSource, NodeConfigSource, NodeSpec, Taint};
use nodeward_api::v1;

use super::{from_list, time, to_list};
use crate::node::Violations;

pub(super) fn to_contract(spec: &NodeSpec) -> v1::NodeSpec {
    let NodeSpec { config_source, external_id, pod_cidr, pod_cidrs, provider_id, taints, unschedulable } = spec;
    v1::NodeSpec {
        pod_cidr: pod_cidr.clone(),
        pod_cidrs: to_list(pod_cidrs, String::clone),
        provider_id: provider_id.clone(),
        unschedulable: *unschedulable,
        taints: to_list(taints, taint_to_contract),
        config_source: config_source.as_ref().map(config_to_contract),
        external_id: external_id.clone(),
    }
}

pub(super) fn from_contract(spec: &v1::NodeSpec, violations: &mut Violations) -> NodeSpec {
    let v1::NodeSpec { pod_cidr, pod_cidrs, provider_id, unschedulable, taints, config_source, external_id } = spec;
    NodeSpec {
        config_source: config_source.as_ref().map(config_from_contract),
        external_id: external_id.clone(),
        pod_cidr: pod_cidr.clone(),
        pod_cidrs: from_list(pod_cidrs, |_, cidr| cidr.clone()),
        provider_id: provider_id.clone(),
        taints: from_list(taints, |index, taint| taint_from_contract(taint, index, violations)),
        unschedulable: *unschedulable,
    }
}

fn taint_to_contract(taint: &Taint) -> v1::Taint {
    let Taint { effect, key, time_added, value } = taint;
    v1::Taint {
        key: key.clone(),
        value: value.clone(),
        effect: effect.clone(),
        time_added: time_added.as_ref().map(time::to_contract),
    }
}

/// The taint that stands at `index` of the node's `spec.taints`.
fn taint_from_contract(taint: &v1::Taint, index: usize, violations: &mut Violations) -> Taint {
    let v1::Taint { key, value, effect, time_added } = taint;
    let time_path = format!("spec.taints[{index}].time_added");
    Taint {
        effect: effect.clone(),
        key: key.clone(),
        time_added: time::from_contract(time_added.as_ref(), &time_path, violations),
        value: value.clone(),
    }
}

pub(super) fn config_to_contract(source: &NodeConfigSource) -> v1::NodeConfigSource {
    let NodeConfigSource { config_map } = source;
    v1::NodeConfigSource { config_map: config_map.as_ref().map(config_map_to_contract) }
}

pub(super) fn config_from_contract(source: &v1::NodeConfigSource) -> NodeConfigSource {
    let v1::NodeConfigSource { config_map } = source;
    NodeConfigSource { config_map: config_map.as_ref().map(config_map_from_contract) }
}

fn config_map_to_contract(source: &ConfigMapNodeConfigSource) -> v1::ConfigMapNodeConfigSource {
    let ConfigMapNodeConfigSource { kubelet_config_key, name, namespace, resource_version, uid } = source;
    v1::ConfigMapNodeConfigSource {
        namespace: namespace.clone(),
        name: name.clone(),
        uid: uid.clone(),
        resource_version: resource_version.clone(),
        kubelet_config_key: kubelet_config_key.clone(),
    }
}

fn config_map_from_contract(source: &v1::ConfigMapNodeConfigSource) -> ConfigMapNodeConfigSource {
    let v1::ConfigMapNodeConfigSource { namespace, name, uid, resource_version, kubelet_config_key } = source;
    ConfigMapNodeConfigSource {
        kubelet_config_key: kubelet_config_key.clone(),
        name: name.clone(),
        namespace: namespace.clone(),
        resource_version: resource_version.clone(),
        uid: uid.clone(),
    }
}
