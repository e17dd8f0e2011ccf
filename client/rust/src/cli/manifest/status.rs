//! The status of a node's manifest: all that the contract has of it.

use std::collections::BTreeMap;

use nodeward_client::api::{
    AttachedVolume, ConfigMapNodeConfigSource, ContainerImage, DaemonEndpoint, NodeAddress, NodeCondition,
    NodeConfigSource, NodeConfigStatus, NodeDaemonEndpoints, NodeFeatures, NodeRuntimeHandler,
    NodeRuntimeHandlerFeatures, NodeStatus, NodeSwapStatus, NodeSystemInfo, Quantity,
};

use super::fields::Fields;

pub(super) fn status(fields: &mut Fields) -> NodeStatus {
    NodeStatus {
        capacity: quantities(fields, "capacity"),
        allocatable: quantities(fields, "allocatable"),
        phase: fields.text("phase"),
        conditions: fields.list("conditions", condition),
        addresses: fields.list("addresses", address),
        daemon_endpoints: fields.nested("daemonEndpoints", daemon_endpoints),
        node_info: fields.nested("nodeInfo", node_info),
        images: fields.list("images", image),
        volumes_in_use: fields.list_of_texts("volumesInUse"),
        volumes_attached: fields.list("volumesAttached", volume),
        config: fields.nested("config", config),
        runtime_handlers: fields.list("runtimeHandlers", runtime_handler),
        features: fields.nested("features", features),
        declared_features: fields.list_of_texts("declaredFeatures"),
    }
}

fn quantities(fields: &mut Fields, name: &str) -> BTreeMap<String, Quantity> {
    // The number is the server's.
    let quantity = |text| Quantity { text, number: None };
    fields.quantities(name).into_iter().map(|(resource, text)| (resource, quantity(text))).collect()
}

fn condition(fields: &mut Fields) -> NodeCondition {
    NodeCondition {
        r#type: fields.required_text("type"),
        status: fields.required_text("status"),
        last_heartbeat_time: fields.time("lastHeartbeatTime"),
        last_transition_time: fields.time("lastTransitionTime"),
        reason: fields.text("reason"),
        message: fields.text("message"),
    }
}

fn address(fields: &mut Fields) -> NodeAddress {
    NodeAddress { r#type: fields.required_text("type"), address: fields.required_text("address") }
}

fn daemon_endpoints(fields: &mut Fields) -> NodeDaemonEndpoints {
    NodeDaemonEndpoints { kubelet_endpoint: fields.nested("kubeletEndpoint", daemon_endpoint) }
}

fn daemon_endpoint(fields: &mut Fields) -> DaemonEndpoint {
    // The one field that Kubernetes writes with a capital.
    DaemonEndpoint { port: fields.integer("Port").unwrap_or_default() }
}

/// Kubernetes writes all of these texts, also the empty ones.
fn node_info(fields: &mut Fields) -> NodeSystemInfo {
    let mut text = |name| fields.text(name).unwrap_or_default();
    NodeSystemInfo {
        machine_id: text("machineID"),
        system_uuid: text("systemUUID"),
        boot_id: text("bootID"),
        kernel_version: text("kernelVersion"),
        os_image: text("osImage"),
        container_runtime_version: text("containerRuntimeVersion"),
        kubelet_version: text("kubeletVersion"),
        kube_proxy_version: text("kubeProxyVersion"),
        operating_system: text("operatingSystem"),
        architecture: text("architecture"),
        swap: fields.nested("swap", |fields| NodeSwapStatus { capacity: fields.integer("capacity") }),
    }
}

fn image(fields: &mut Fields) -> ContainerImage {
    ContainerImage { names: fields.list_of_texts("names"), size_bytes: fields.integer("sizeBytes") }
}

fn volume(fields: &mut Fields) -> AttachedVolume {
    AttachedVolume { name: fields.required_text("name"), device_path: fields.text("devicePath").unwrap_or_default() }
}

fn config(fields: &mut Fields) -> NodeConfigStatus {
    NodeConfigStatus {
        assigned: fields.nested("assigned", config_source),
        active: fields.nested("active", config_source),
        last_known_good: fields.nested("lastKnownGood", config_source),
        error: fields.text("error"),
    }
}

pub(super) fn config_source(fields: &mut Fields) -> NodeConfigSource {
    NodeConfigSource { config_map: fields.nested("configMap", config_map) }
}

fn config_map(fields: &mut Fields) -> ConfigMapNodeConfigSource {
    ConfigMapNodeConfigSource {
        namespace: fields.required_text("namespace"),
        name: fields.required_text("name"),
        uid: fields.text("uid"),
        resource_version: fields.text("resourceVersion"),
        kubelet_config_key: fields.required_text("kubeletConfigKey"),
    }
}

fn runtime_handler(fields: &mut Fields) -> NodeRuntimeHandler {
    NodeRuntimeHandler {
        name: fields.text("name"),
        features: fields.nested("features", |fields| NodeRuntimeHandlerFeatures {
            recursive_read_only_mounts: fields.boolean("recursiveReadOnlyMounts"),
            user_namespaces: fields.boolean("userNamespaces"),
        }),
    }
}

fn features(fields: &mut Fields) -> NodeFeatures {
    NodeFeatures { supplemental_groups_policy: fields.boolean("supplementalGroupsPolicy") }
}
