//! `NodeStatus` of core/v1: the conditions, the amounts and the small facts. What the machine is, is in `system`.

use k8s_openapi::api::core::v1::{
    AttachedVolume, ContainerImage, NodeAddress, NodeCondition, NodeConfigStatus, NodeStatus,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use nodeward_api::v1;

use super::{from_list, from_map, spec, system, time, to_list, to_map};
use crate::node::{Violations, quantity};

pub(super) fn to_contract(status: &NodeStatus) -> v1::NodeStatus {
    let NodeStatus {
        addresses,
        allocatable,
        capacity,
        conditions,
        config,
        daemon_endpoints,
        declared_features,
        features,
        images,
        node_info,
        phase,
        runtime_handlers,
        volumes_attached,
        volumes_in_use,
    } = status;
    v1::NodeStatus {
        capacity: to_map(capacity, quantity_to_contract),
        allocatable: to_map(allocatable, quantity_to_contract),
        phase: phase.clone(),
        conditions: to_list(conditions, condition_to_contract),
        addresses: to_list(addresses, address_to_contract),
        daemon_endpoints: daemon_endpoints.as_ref().map(system::endpoints_to_contract),
        node_info: node_info.as_ref().map(system::info_to_contract),
        images: to_list(images, image_to_contract),
        volumes_in_use: to_list(volumes_in_use, String::clone),
        volumes_attached: to_list(volumes_attached, volume_to_contract),
        config: config.as_ref().map(config_to_contract),
        runtime_handlers: to_list(runtime_handlers, system::handler_to_contract),
        features: features.as_ref().map(system::features_to_contract),
        declared_features: to_list(declared_features, String::clone),
    }
}

pub(super) fn from_contract(status: &v1::NodeStatus, violations: &mut Violations) -> NodeStatus {
    let v1::NodeStatus {
        capacity,
        allocatable,
        phase,
        conditions,
        addresses,
        daemon_endpoints,
        node_info,
        images,
        volumes_in_use,
        volumes_attached,
        config,
        runtime_handlers,
        features,
        declared_features,
    } = status;
    NodeStatus {
        addresses: from_list(addresses, |_, address| address_from_contract(address)),
        allocatable: from_map(allocatable, quantity_from_contract),
        capacity: from_map(capacity, quantity_from_contract),
        conditions: from_list(conditions, |index, condition| condition_from_contract(condition, index, violations)),
        config: config.as_ref().map(config_from_contract),
        daemon_endpoints: daemon_endpoints.as_ref().map(system::endpoints_from_contract),
        declared_features: from_list(declared_features, |_, feature| feature.clone()),
        features: features.as_ref().map(system::features_from_contract),
        images: from_list(images, |_, image| image_from_contract(image)),
        node_info: node_info.as_ref().map(system::info_from_contract),
        phase: phase.clone(),
        runtime_handlers: from_list(runtime_handlers, |_, handler| system::handler_from_contract(handler)),
        volumes_attached: from_list(volumes_attached, |_, volume| volume_from_contract(volume)),
        volumes_in_use: from_list(volumes_in_use, |_, volume| volume.clone()),
    }
}

fn quantity_to_contract(amount: &Quantity) -> v1::Quantity {
    let Quantity(text) = amount;
    v1::Quantity { text: text.clone(), number: quantity::number(text) }
}

fn quantity_from_contract(amount: &v1::Quantity) -> Quantity {
    // The number is output only: a rounded copy of the text.
    let v1::Quantity { text, number: _ } = amount;
    Quantity(text.clone())
}

fn condition_to_contract(condition: &NodeCondition) -> v1::NodeCondition {
    let NodeCondition { last_heartbeat_time, last_transition_time, message, reason, status, type_ } = condition;
    v1::NodeCondition {
        r#type: type_.clone(),
        status: status.clone(),
        last_heartbeat_time: last_heartbeat_time.as_ref().map(time::to_contract),
        last_transition_time: last_transition_time.as_ref().map(time::to_contract),
        reason: reason.clone(),
        message: message.clone(),
    }
}

/// The condition that stands at `index` of the node's `status.conditions`.
fn condition_from_contract(condition: &v1::NodeCondition, index: usize, violations: &mut Violations) -> NodeCondition {
    let v1::NodeCondition { r#type, status, last_heartbeat_time, last_transition_time, reason, message } = condition;
    let mut time = |timestamp, name: &str| {
        time::from_contract(timestamp, &format!("status.conditions[{index}].{name}"), violations)
    };
    NodeCondition {
        last_heartbeat_time: time(last_heartbeat_time.as_ref(), "last_heartbeat_time"),
        last_transition_time: time(last_transition_time.as_ref(), "last_transition_time"),
        message: message.clone(),
        reason: reason.clone(),
        status: status.clone(),
        type_: r#type.clone(),
    }
}

fn address_to_contract(address: &NodeAddress) -> v1::NodeAddress {
    let NodeAddress { address, type_ } = address;
    v1::NodeAddress { r#type: type_.clone(), address: address.clone() }
}

fn address_from_contract(address: &v1::NodeAddress) -> NodeAddress {
    let v1::NodeAddress { r#type, address } = address;
    NodeAddress { address: address.clone(), type_: r#type.clone() }
}

fn image_to_contract(image: &ContainerImage) -> v1::ContainerImage {
    let ContainerImage { names, size_bytes } = image;
    v1::ContainerImage { names: to_list(names, String::clone), size_bytes: *size_bytes }
}

fn image_from_contract(image: &v1::ContainerImage) -> ContainerImage {
    let v1::ContainerImage { names, size_bytes } = image;
    ContainerImage { names: from_list(names, |_, name| name.clone()), size_bytes: *size_bytes }
}

fn volume_to_contract(volume: &AttachedVolume) -> v1::AttachedVolume {
    let AttachedVolume { device_path, name } = volume;
    v1::AttachedVolume { name: name.clone(), device_path: device_path.clone() }
}

fn volume_from_contract(volume: &v1::AttachedVolume) -> AttachedVolume {
    let v1::AttachedVolume { name, device_path } = volume;
    AttachedVolume { device_path: device_path.clone(), name: name.clone() }
}

fn config_to_contract(config: &NodeConfigStatus) -> v1::NodeConfigStatus {
    let NodeConfigStatus { active, assigned, error, last_known_good } = config;
    v1::NodeConfigStatus {
        assigned: assigned.as_ref().map(spec::config_to_contract),
        active: active.as_ref().map(spec::config_to_contract),
        last_known_good: last_known_good.as_ref().map(spec::config_to_contract),
        error: error.clone(),
    }
}

fn config_from_contract(config: &v1::NodeConfigStatus) -> NodeConfigStatus {
    let v1::NodeConfigStatus { assigned, active, last_known_good, error } = config;
    NodeConfigStatus {
        active: active.as_ref().map(spec::config_from_contract),
        assigned: assigned.as_ref().map(spec::config_from_contract),
        error: error.clone(),
        last_known_good: last_known_good.as_ref().map(spec::config_from_contract),
    }
}
