//! Manifests in, nodes or problems out.

use serde_json::json;

use super::*;

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
        "metadata": {"name": "a", "uid": "u", "resourceVersion": "1", "creationTimestamp": null},
        "status": {"phase": "x"},
    });
    assert_eq!(read(manifest).unwrap()[0].ignored, ["status", "metadata.uid", "metadata.resourceVersion"]);
}

#[test]
fn an_empty_status_is_nothing_to_warn_of() {
    let manifest = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}, "status": {}});
    assert!(read(manifest).unwrap()[0].ignored.is_empty());
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
