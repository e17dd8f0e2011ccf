//! Arbitrary nodes for property tests: every field of Kubernetes' Node, absent, empty and full.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::*;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta, OwnerReference, Time};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::strategy::{BoxedStrategy, Strategy};

/// Any node that Kubernetes' types can hold, except names that Kubernetes refuses and years before the first.
pub fn node() -> BoxedStrategy<Node> {
    (metadata(), of(spec()), of(status())).prop_map(|(metadata, spec, status)| Node { metadata, spec, status }).boxed()
}

/// The node with its empty lists and maps absent, which is the same node in Kubernetes.
pub fn without_empty_collections(mut node: Node) -> Node {
    fn prune<T>(items: &mut Option<Vec<T>>) {
        items.take_if(|items| items.is_empty());
    }
    fn prune_map<T>(items: &mut Option<BTreeMap<String, T>>) {
        items.take_if(|items| items.is_empty());
    }
    prune_map(&mut node.metadata.annotations);
    prune_map(&mut node.metadata.labels);
    prune(&mut node.metadata.finalizers);
    prune(&mut node.metadata.managed_fields);
    prune(&mut node.metadata.owner_references);
    if let Some(spec) = &mut node.spec {
        prune(&mut spec.pod_cidrs);
        prune(&mut spec.taints);
    }
    if let Some(status) = &mut node.status {
        prune(&mut status.addresses);
        prune_map(&mut status.allocatable);
        prune_map(&mut status.capacity);
        prune(&mut status.conditions);
        prune(&mut status.declared_features);
        status.images.iter_mut().flatten().for_each(|image| prune(&mut image.names));
        prune(&mut status.images);
        prune(&mut status.runtime_handlers);
        prune(&mut status.volumes_attached);
        prune(&mut status.volumes_in_use);
    }
    node
}

fn text() -> BoxedStrategy<String> {
    prop_oneof![Just(String::new()), matching("[a-zA-Z0-9./-]{1,6}"), matching("\\PC{1,4}")].boxed()
}

/// Text that matches the expression, which is compiled once here, not for each text.
fn matching(expression: &str) -> BoxedStrategy<String> {
    proptest::string::string_regex(expression).unwrap().boxed()
}

fn list<T: std::fmt::Debug + 'static>(item: BoxedStrategy<T>) -> BoxedStrategy<Option<Vec<T>>> {
    of(vec(item, 0..3)).boxed()
}

fn map<T: std::fmt::Debug + 'static>(value: BoxedStrategy<T>) -> BoxedStrategy<Option<BTreeMap<String, T>>> {
    of(btree_map(text(), value, 0..3)).boxed()
}

fn time() -> BoxedStrategy<Time> {
    // From the year 1, where the contract's timestamps begin, to the last second that jiff can hold.
    let seconds = prop_oneof![1_700_000_000..1_800_000_000_i64, -62_135_596_800..Timestamp::MAX.as_second()];
    (seconds, prop_oneof![Just(0), 0..1_000_000_000])
        .prop_map(|(seconds, nanos)| Time(Timestamp::new(seconds, nanos).unwrap()))
        .boxed()
}

fn metadata() -> BoxedStrategy<ObjectMeta> {
    let times = (of(time()), of(time()), of(any::<i64>()), of(any::<i64>()));
    let maps = (map(text()), map(text()), list(text()), list(owner()), list(managed_fields()));
    let texts =
        (of(matching("[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?")), of(text()), of(text()), of(text()), of(text()), of(text()));
    (times, maps, texts)
        .prop_map(|(times, maps, texts)| {
            let (creation_timestamp, deletion_timestamp, deletion_grace_period_seconds, generation) = times;
            let (annotations, labels, finalizers, owner_references, managed_fields) = maps;
            let (name, generate_name, namespace, resource_version, self_link, uid) = texts;
            ObjectMeta {
                annotations,
                creation_timestamp,
                deletion_grace_period_seconds,
                deletion_timestamp,
                finalizers,
                generate_name,
                generation,
                labels,
                managed_fields,
                name,
                namespace,
                owner_references,
                resource_version,
                self_link,
                uid,
            }
        })
        .boxed()
}

fn owner() -> BoxedStrategy<OwnerReference> {
    (text(), of(any::<bool>()), of(any::<bool>()), text(), text(), text())
        .prop_map(|(api_version, block_owner_deletion, controller, kind, name, uid)| OwnerReference {
            api_version,
            block_owner_deletion,
            controller,
            kind,
            name,
            uid,
        })
        .boxed()
}

fn managed_fields() -> BoxedStrategy<ManagedFieldsEntry> {
    (of(text()), of(text()), of(fields()), of(text()), of(text()), of(text()), of(time()))
        .prop_map(|(api_version, fields_type, fields_v1, manager, operation, subresource, time)| ManagedFieldsEntry {
            api_version,
            fields_type,
            fields_v1,
            manager,
            operation,
            subresource,
            time,
        })
        .boxed()
}

/// A set of fields as structured-merge-diff writes it: objects all the way down.
fn fields() -> BoxedStrategy<FieldsV1> {
    let leaf = Just(serde_json::json!({})).boxed();
    leaf.prop_recursive(3, 8, 3, |inner| {
        btree_map(matching("(f:|k:|v:|\\.)\\PC{0,5}"), inner, 0..3)
            .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect()))
    })
    .prop_map(FieldsV1)
    .boxed()
}

fn spec() -> BoxedStrategy<NodeSpec> {
    let texts = (of(text()), of(text()), of(text()));
    (texts, list(text()), list(taint()), of(any::<bool>()), of(config_source()))
        .prop_map(|((external_id, pod_cidr, provider_id), pod_cidrs, taints, unschedulable, config_source)| NodeSpec {
            config_source,
            external_id,
            pod_cidr,
            pod_cidrs,
            provider_id,
            taints,
            unschedulable,
        })
        .boxed()
}

fn taint() -> BoxedStrategy<Taint> {
    (text(), text(), of(time()), of(text()))
        .prop_map(|(effect, key, time_added, value)| Taint { effect, key, time_added, value })
        .boxed()
}

fn config_source() -> BoxedStrategy<NodeConfigSource> {
    let config_map = (text(), text(), text(), of(text()), of(text())).prop_map(
        |(kubelet_config_key, name, namespace, resource_version, uid)| ConfigMapNodeConfigSource {
            kubelet_config_key,
            name,
            namespace,
            resource_version,
            uid,
        },
    );
    of(config_map).prop_map(|config_map| NodeConfigSource { config_map }).boxed()
}

fn status() -> BoxedStrategy<NodeStatus> {
    let amounts = (map(quantity()), map(quantity()));
    let lists = (
        list(address()),
        list(condition()),
        list(text()),
        list(image()),
        list(handler()),
        list(volume()),
        list(text()),
    );
    let parts = (of(config_status()), of(endpoints()), of(of(any::<bool>())), of(system_info()), of(text()));
    (amounts, lists, parts)
        .prop_map(|(amounts, lists, parts)| {
            let (allocatable, capacity) = amounts;
            let (addresses, conditions, declared_features, images, runtime_handlers, volumes_attached, volumes_in_use) =
                lists;
            let (config, daemon_endpoints, features, node_info, phase) = parts;
            NodeStatus {
                addresses,
                allocatable,
                capacity,
                conditions,
                config,
                daemon_endpoints,
                declared_features,
                features: features.map(|supplemental_groups_policy| NodeFeatures { supplemental_groups_policy }),
                images,
                node_info,
                phase,
                runtime_handlers,
                volumes_attached,
                volumes_in_use,
            }
        })
        .boxed()
}

fn quantity() -> BoxedStrategy<Quantity> {
    prop_oneof![matching("[1-9][0-9]{0,3}(m|Ki|Gi|)"), text()].prop_map(Quantity).boxed()
}

fn address() -> BoxedStrategy<NodeAddress> {
    (text(), text()).prop_map(|(address, type_)| NodeAddress { address, type_ }).boxed()
}

fn condition() -> BoxedStrategy<NodeCondition> {
    let type_ = prop_oneof![Just("Ready".to_owned()), Just("DiskPressure".to_owned()), text()];
    (of(time()), of(time()), of(text()), of(text()), text(), type_)
        .prop_map(|(last_heartbeat_time, last_transition_time, message, reason, status, type_)| NodeCondition {
            last_heartbeat_time,
            last_transition_time,
            message,
            reason,
            status,
            type_,
        })
        .boxed()
}

fn image() -> BoxedStrategy<ContainerImage> {
    (list(text()), of(any::<i64>())).prop_map(|(names, size_bytes)| ContainerImage { names, size_bytes }).boxed()
}

fn handler() -> BoxedStrategy<NodeRuntimeHandler> {
    let features = (of(any::<bool>()), of(any::<bool>())).prop_map(|(recursive_read_only_mounts, user_namespaces)| {
        NodeRuntimeHandlerFeatures { recursive_read_only_mounts, user_namespaces }
    });
    (of(features), of(text())).prop_map(|(features, name)| NodeRuntimeHandler { features, name }).boxed()
}

fn volume() -> BoxedStrategy<AttachedVolume> {
    (text(), text()).prop_map(|(device_path, name)| AttachedVolume { device_path, name }).boxed()
}

fn config_status() -> BoxedStrategy<NodeConfigStatus> {
    (of(config_source()), of(config_source()), of(text()), of(config_source()))
        .prop_map(|(active, assigned, error, last_known_good)| NodeConfigStatus {
            active,
            assigned,
            error,
            last_known_good,
        })
        .boxed()
}

fn endpoints() -> BoxedStrategy<NodeDaemonEndpoints> {
    of(any::<i32>())
        .prop_map(|port| NodeDaemonEndpoints { kubelet_endpoint: port.map(|port| DaemonEndpoint { port }) })
        .boxed()
}

fn system_info() -> BoxedStrategy<NodeSystemInfo> {
    let first = (text(), text(), text(), text(), text());
    let second = (text(), text(), text(), text(), text(), of(of(any::<i64>())));
    (first, second)
        .prop_map(|(first, second)| {
            let (architecture, boot_id, container_runtime_version, kernel_version, kube_proxy_version) = first;
            let (kubelet_version, machine_id, operating_system, os_image, system_uuid, swap) = second;
            NodeSystemInfo {
                architecture,
                boot_id,
                container_runtime_version,
                kernel_version,
                kube_proxy_version,
                kubelet_version,
                machine_id,
                operating_system,
                os_image,
                swap: swap.map(|capacity| NodeSwapStatus { capacity }),
                system_uuid,
            }
        })
        .boxed()
}
