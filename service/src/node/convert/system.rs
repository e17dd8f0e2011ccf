//! What a node's machine, daemons and container runtime are: the structured parts of `NodeStatus`.

use k8s_openapi::api::core::v1::{
    DaemonEndpoint, NodeDaemonEndpoints, NodeFeatures, NodeRuntimeHandler, NodeRuntimeHandlerFeatures, NodeSwapStatus,
    NodeSystemInfo,
};
use nodeward_api::v1;

pub(super) fn endpoints_to_contract(endpoints: &NodeDaemonEndpoints) -> v1::NodeDaemonEndpoints {
    let NodeDaemonEndpoints { kubelet_endpoint } = endpoints;
    let endpoint = |&DaemonEndpoint { port }: &DaemonEndpoint| v1::DaemonEndpoint { port };
    v1::NodeDaemonEndpoints { kubelet_endpoint: kubelet_endpoint.as_ref().map(endpoint) }
}

pub(super) fn endpoints_from_contract(endpoints: &v1::NodeDaemonEndpoints) -> NodeDaemonEndpoints {
    let v1::NodeDaemonEndpoints { kubelet_endpoint } = endpoints;
    let endpoint = |&v1::DaemonEndpoint { port }: &v1::DaemonEndpoint| DaemonEndpoint { port };
    NodeDaemonEndpoints { kubelet_endpoint: kubelet_endpoint.as_ref().map(endpoint) }
}

pub(super) fn info_to_contract(info: &NodeSystemInfo) -> v1::NodeSystemInfo {
    let NodeSystemInfo {
        architecture,
        boot_id,
        container_runtime_version,
        kernel_version,
        kube_proxy_version,
        kubelet_version,
        machine_id,
        operating_system,
        os_image,
        swap,
        system_uuid,
    } = info;
    let swap_to_contract = |&NodeSwapStatus { capacity }: &NodeSwapStatus| v1::NodeSwapStatus { capacity };
    v1::NodeSystemInfo {
        machine_id: machine_id.clone(),
        system_uuid: system_uuid.clone(),
        boot_id: boot_id.clone(),
        kernel_version: kernel_version.clone(),
        os_image: os_image.clone(),
        container_runtime_version: container_runtime_version.clone(),
        kubelet_version: kubelet_version.clone(),
        kube_proxy_version: kube_proxy_version.clone(),
        operating_system: operating_system.clone(),
        architecture: architecture.clone(),
        swap: swap.as_ref().map(swap_to_contract),
    }
}

pub(super) fn info_from_contract(info: &v1::NodeSystemInfo) -> NodeSystemInfo {
    let v1::NodeSystemInfo {
        machine_id,
        system_uuid,
        boot_id,
        kernel_version,
        os_image,
        container_runtime_version,
        kubelet_version,
        kube_proxy_version,
        operating_system,
        architecture,
        swap,
    } = info;
    let swap_from_contract = |&v1::NodeSwapStatus { capacity }: &v1::NodeSwapStatus| NodeSwapStatus { capacity };
    NodeSystemInfo {
        architecture: architecture.clone(),
        boot_id: boot_id.clone(),
        container_runtime_version: container_runtime_version.clone(),
        kernel_version: kernel_version.clone(),
        kube_proxy_version: kube_proxy_version.clone(),
        kubelet_version: kubelet_version.clone(),
        machine_id: machine_id.clone(),
        operating_system: operating_system.clone(),
        os_image: os_image.clone(),
        swap: swap.as_ref().map(swap_from_contract),
        system_uuid: system_uuid.clone(),
    }
}

pub(super) fn handler_to_contract(handler: &NodeRuntimeHandler) -> v1::NodeRuntimeHandler {
    let NodeRuntimeHandler { features, name } = handler;
    let features_to_contract = |features: &NodeRuntimeHandlerFeatures| {
        let &NodeRuntimeHandlerFeatures { recursive_read_only_mounts, user_namespaces } = features;
        v1::NodeRuntimeHandlerFeatures { recursive_read_only_mounts, user_namespaces }
    };
    v1::NodeRuntimeHandler { name: name.clone(), features: features.as_ref().map(features_to_contract) }
}

pub(super) fn handler_from_contract(handler: &v1::NodeRuntimeHandler) -> NodeRuntimeHandler {
    let v1::NodeRuntimeHandler { name, features } = handler;
    let features_from_contract = |features: &v1::NodeRuntimeHandlerFeatures| {
        let &v1::NodeRuntimeHandlerFeatures { recursive_read_only_mounts, user_namespaces } = features;
        NodeRuntimeHandlerFeatures { recursive_read_only_mounts, user_namespaces }
    };
    NodeRuntimeHandler { features: features.as_ref().map(features_from_contract), name: name.clone() }
}

pub(super) fn features_to_contract(features: &NodeFeatures) -> v1::NodeFeatures {
    let &NodeFeatures { supplemental_groups_policy } = features;
    v1::NodeFeatures { supplemental_groups_policy }
}

pub(super) fn features_from_contract(features: &v1::NodeFeatures) -> NodeFeatures {
    let &v1::NodeFeatures { supplemental_groups_policy } = features;
    NodeFeatures { supplemental_groups_policy }
}
