//! Manifests in, nodes or problems out.

use serde_json::json;

use super::*;
use crate::output::{Kind, json_line};

fn read(manifest: Value) -> Result<Vec<Manifest>, String> {
    nodes(manifest, "node.yaml").map_err(|failure| match failure {
        Failure::Input(message) => message,
        other => format!("{other:?}"),
    })
}

fn with_spec(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}, "spec": spec})
}

#[test]
fn metadata_and_spec_are_taken_over() {
    let manifest = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": "worker-1", "labels": {"a": "b"}, "annotations": {"c": "d"}, "finalizers": ["example.com/f"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "Machine", "name": "m", "uid": "u", "controller": true}],
        },
        "spec": {
            "podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24"], "providerID": "x://1", "unschedulable": true,
            "taints": [{"key": "k", "value": "v", "effect": "NoExecute", "timeAdded": "1970-01-01T00:00:07Z"}],
        },
    });
    let Manifest { name, node, ignored } = read(manifest).unwrap().remove(0);
    let (metadata, spec) = (node.metadata.unwrap(), node.spec.unwrap());
    assert_eq!((name.as_str(), ignored.len()), ("worker-1", 0));
    assert_eq!((metadata.labels["a"].as_str(), metadata.annotations["c"].as_str()), ("b", "d"));
    assert_eq!(
        (metadata.finalizers[0].as_str(), metadata.owner_references[0].controller),
        ("example.com/f", Some(true))
    );
    assert_eq!((spec.pod_cidr.as_deref(), spec.provider_id.as_deref()), (Some("10.0.0.0/24"), Some("x://1")));
    assert_eq!((spec.pod_cidrs.len(), spec.unschedulable), (1, Some(true)));
    let taint = spec.taints[0].clone();
    assert_eq!((taint.key.as_str(), taint.effect.as_str(), taint.time_added.unwrap().seconds), ("k", "NoExecute", 7));
}

#[test]
fn what_belongs_to_the_server_is_left_out_and_named() {
    let manifest = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": "a", "uid": "u", "resourceVersion": "1", "creationTimestamp": null,
            "annotations": {"nodeward.dev/requests": "[]", "example.com/note": "x"},
        },
    });
    let Manifest { node, ignored, .. } = read(manifest).unwrap().remove(0);
    assert_eq!(ignored, ["metadata.uid", "metadata.resourceVersion", "metadata.annotations.nodeward.dev/requests"]);
    assert_eq!(node.metadata.unwrap().annotations.into_keys().collect::<Vec<_>>(), ["example.com/note"]);
}

#[test]
fn the_whole_status_is_taken_over() {
    let source = json!({"configMap": {"namespace": "n", "name": "m", "uid": "u", "kubeletConfigKey": "k"}});
    let status = json!({
        "capacity": {"cpu": 4, "memory": "16Gi"}, "allocatable": {"cpu": "3920m"}, "phase": "Running",
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "r", "message": "m",
            "lastHeartbeatTime": "1970-01-01T00:00:07Z", "lastTransitionTime": "1970-01-01T00:00:05Z",
        }],
        "addresses": [{"type": "InternalIP", "address": "10.0.0.5"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": {
            "machineID": "1", "systemUUID": "2", "bootID": "3", "kernelVersion": "4", "osImage": "5",
            "containerRuntimeVersion": "6", "kubeletVersion": "7", "kubeProxyVersion": "", "operatingSystem": "linux",
            "architecture": "amd64", "swap": {"capacity": 1024},
        },
        "images": [{"names": ["a", "b"], "sizeBytes": 5_000_000_000_i64}],
        "volumesInUse": ["v"], "volumesAttached": [{"name": "v", "devicePath": "/dev/x"}],
        "config": {"assigned": source, "active": source, "lastKnownGood": source, "error": "e"},
        "runtimeHandlers": [{"name": "runc", "features": {"recursiveReadOnlyMounts": true, "userNamespaces": false}}],
        "features": {"supplementalGroupsPolicy": true}, "declaredFeatures": ["F"],
    });
    let manifest = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}, "status": status});
    let Manifest { node, ignored, .. } = read(manifest).unwrap().remove(0);
    assert!(ignored.is_empty(), "{ignored:?}");
    // The contract's JSON names are Kubernetes' own, but for these.
    let shown: Value = serde_json::from_str(&json_line(&node, Kind::Node).unwrap()).unwrap();
    let mut expected = status;
    expected["capacity"] = json!({"cpu": {"text": "4"}, "memory": {"text": "16Gi"}});
    expected["allocatable"] = json!({"cpu": {"text": "3920m"}});
    expected["daemonEndpoints"] = json!({"kubeletEndpoint": {"port": 10250}});
    expected["images"][0]["sizeBytes"] = json!("5000000000");
    let info = expected["nodeInfo"].as_object_mut().unwrap();
    info.remove("kubeProxyVersion");
    info.insert("swap".to_owned(), json!({"capacity": "1024"}));
    for (theirs, ours) in [("machineID", "machineId"), ("systemUUID", "systemUuid"), ("bootID", "bootId")] {
        let value = info.remove(theirs).unwrap();
        info.insert(ours.to_owned(), value);
    }
    assert_eq!(shown["status"], expected);
}

#[test]
fn a_status_is_read_as_strictly_as_the_rest() {
    let with_status = |status: Value| {
        read(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}, "status": status})).unwrap_err()
    };
    let message = with_status(json!({"capacty": {}, "capacity": {"cpu": true}, "images": [{"sizeBytes": "x"}]}));
    for problem in [
        "status.capacty is not a known field",
        "status.capacity.cpu must be a quantity",
        "status.images[0].sizeBytes must be a whole number",
    ] {
        assert!(message.contains(problem), "{message}");
    }
    let port = json!({"daemonEndpoints": {"kubeletEndpoint": {"Port": 5_000_000_000_i64}}});
    assert!(with_status(port).contains("kubeletEndpoint.Port must be a whole number in its range"));
}

#[test]
fn deprecated_fields_of_the_spec_are_taken_over_too() {
    let spec = with_spec(json!({"externalID": "x", "configSource": {"configMap": {
        "namespace": "n", "name": "m", "kubeletConfigKey": "k"}}}));
    let spec = read(spec).unwrap().remove(0).node.spec.unwrap();
    assert_eq!(spec.external_id.as_deref(), Some("x"));
    assert_eq!(spec.config_source.unwrap().config_map.unwrap().kubelet_config_key, "k");
}

#[test]
fn all_unknown_fields_are_named() {
    let manifest = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", "lables": {}},
        "spec": {"taints": [{"key": "k", "efect": "NoExecute", "effect": "NoExecute"}]}, "extra": 1,
    });
    let message = read(manifest).unwrap_err();
    for path in ["metadata.lables is not a known field", "spec.taints[0].efect is not", "extra is not"] {
        assert!(message.contains(path), "{message}");
    }
}

#[test]
fn values_of_the_wrong_type_are_named() {
    assert_eq!(
        read(with_spec(json!({"unschedulable": "yes"}))).unwrap_err(),
        "node.yaml: spec.unschedulable must be true or false"
    );
    assert!(read(with_spec(json!({"taints": [1]}))).unwrap_err().contains("spec.taints[0] must be an object"));
    assert!(read(with_spec(json!({"podCIDRs": [1]}))).unwrap_err().contains("spec.podCIDRs must be a list of strings"));
    assert!(read(with_spec(json!([]))).unwrap_err().contains("spec must be an object"));
}

#[test]
fn a_label_that_yaml_takes_for_another_type_is_named() {
    let manifest = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", "labels": {"x": true}}});
    assert_eq!(read(manifest).unwrap_err(), "node.yaml: metadata.labels.x must be a string");
}

#[test]
fn a_name_is_required() {
    assert!(read(json!({"apiVersion": "v1", "kind": "Node"})).unwrap_err().contains("metadata.name is required"));
}

#[test]
fn the_keys_of_a_taint_are_required() {
    assert!(
        read(with_spec(json!({"taints": [{"key": "k"}]}))).unwrap_err().contains("spec.taints[0].effect is required")
    );
}

#[test]
fn lists_are_read() {
    let items = json!([with_spec(json!({})), with_spec(json!({}))]);
    assert_eq!(read(json!({"apiVersion": "v1", "kind": "List", "items": items})).unwrap().len(), 2);
}

#[test]
fn other_kinds_are_refused() {
    let message = read(json!({"apiVersion": "v1", "kind": "Pod"})).unwrap_err();
    assert!(message.contains("apiVersion v1 and kind Pod are not v1 and Node"), "{message}");
    assert!(read(json!("text")).is_err());
}

#[test]
fn a_node_of_the_contract_is_told_from_a_manifest() {
    assert!(read(json!({"name": "nodes/a", "spec": {}})).unwrap_err().contains("as nodeward shows it"));
}
