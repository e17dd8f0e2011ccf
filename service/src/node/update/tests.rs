use k8s_openapi::api::core::v1::Node;
use nodeward_api::v1;
use prost_types::FieldMask;
use serde_json::{Value, json};

use super::fields::changeable;
use super::{NodeUpdate, Target};
use crate::node::convert;
use crate::node::taint::ControllerOwnedTaint;

/// A node from Kubernetes' JSON.
pub(super) fn node(json: Value) -> Node {
    serde_json::from_value(json).unwrap()
}

fn request(json: Value) -> v1::Node {
    convert::to_contract(&node(json))
}

pub(super) fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() })
}

/// The patch for a request, both in Kubernetes' JSON, on a current node.
fn try_patch(paths: &[&str], wanted: Value, current: Value, target: Target) -> Result<Value, ControllerOwnedTaint> {
    let update = NodeUpdate::parse(&request(wanted), mask(paths).as_ref(), target).unwrap();
    Ok(update.patch(&node(current))?.unwrap_or(Value::Null))
}

fn patch(paths: &[&str], wanted: Value, current: Value) -> Value {
    try_patch(paths, wanted, current, Target::Node).unwrap()
}

fn status_patch(paths: &[&str], wanted: Value, current: Value) -> Value {
    try_patch(paths, wanted, current, Target::Status).unwrap()
}

/// The fields that are violated, with the descriptions.
fn refusals(request: &v1::Node, paths: &[&str], target: Target) -> Vec<(String, String)> {
    let violations = NodeUpdate::parse(request, mask(paths).as_ref(), target).unwrap_err();
    violations.0.into_iter().map(|violation| (violation.field, violation.description)).collect()
}

fn refused(wanted: Value, paths: &[&str], target: Target) -> Vec<String> {
    refusals(&request(wanted), paths, target).into_iter().map(|(field, _)| field).collect()
}

fn told(path: &str, target: Target) -> String {
    let refusals = refusals(&v1::Node::default(), &[path], target);
    assert_eq!(refusals[0].0, "update_mask");
    refusals[0].1.clone()
}

fn labels(labels: Value) -> Value {
    json!({"metadata": {"labels": labels}})
}

fn annotations(annotations: Value) -> Value {
    json!({"metadata": {"annotations": annotations}})
}

fn taints(taints: Value) -> Value {
    json!({"spec": {"taints": taints}})
}

#[test]
fn a_single_label_is_set() {
    let team = patch(&["metadata.labels.team"], labels(json!({"team": "red", "x": "y"})), labels(json!({"a": "b"})));
    assert_eq!(team, labels(json!({"team": "red"})));
}

#[test]
fn a_single_label_that_the_request_lacks_is_removed() {
    let gone = patch(&["metadata.labels.`a.b/c`"], json!({}), labels(json!({"a.b/c": "x", "d": "y"})));
    assert_eq!(gone, labels(json!({"a.b/c": null})));
}

#[test]
fn removing_what_is_not_there_changes_nothing() {
    let paths = ["metadata.labels.team", "metadata.annotations", "spec.taints.`a:NoSchedule`", "spec.provider_id"];
    assert_eq!(patch(&paths, json!({}), json!({"metadata": {"name": "a"}})), Value::Null);
}

#[test]
fn a_whole_map_replaces_all_keys() {
    let wanted = labels(json!({"a": "1", "b": "3"}));
    let current = labels(json!({"a": "1", "b": "2", "c": "3"}));
    assert_eq!(patch(&["metadata.labels"], wanted, current), labels(json!({"b": "3", "c": null})));
}

#[test]
fn nodewards_own_annotations_stay_when_all_are_replaced() {
    let wanted = annotations(json!({"nodeward.dev/x": "forged", "nodeward.dev/y": "new", "b": "2"}));
    let current = annotations(json!({"nodeward.dev/x": "1", "a": "1"}));
    for paths in [&["metadata.annotations"][..], &["*"], &[]] {
        assert_eq!(patch(paths, wanted.clone(), current.clone()), annotations(json!({"a": null, "b": "2"})));
    }
}

#[test]
fn several_fields_are_changed_at_once() {
    let wanted = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"unschedulable": true, "podCIDR": "10.0.0.0/24"}});
    let current = json!({"spec": {"providerID": "x://1", "podCIDRs": ["10.0.0.0/24"]}});
    let changed = patch(&["metadata.labels.a", "spec.unschedulable", "spec.podCidrs"], wanted, current);
    assert_eq!(changed, json!({"metadata": {"labels": {"a": "1"}}, "spec": {"unschedulable": true, "podCIDRs": null}}));
}

#[test]
fn without_a_mask_the_fields_that_the_node_holds_are_set() {
    let wanted = json!({"metadata": {"labels": {"a": "1"}, "uid": "u"}, "status": {"phase": "x"}});
    let current = json!({"metadata": {"labels": {"b": "2"}, "finalizers": ["a/b"]}, "spec": {"unschedulable": true}});
    for mask in [None, mask(&[])] {
        let update = NodeUpdate::parse(&request(wanted.clone()), mask.as_ref(), Target::Node).unwrap();
        let patch = update.patch(&node(current.clone())).unwrap();
        assert_eq!(patch, Some(labels(json!({"a": "1", "b": null}))));
    }
}

#[test]
fn without_a_mask_and_without_fields_the_request_is_refused() {
    let told = told_without_mask(&v1::Node { name: "nodes/a".to_owned(), ..Default::default() });
    assert!(told.contains("holds no field that could be changed: name any of metadata.labels"), "{told}");
}

fn told_without_mask(node: &v1::Node) -> String {
    NodeUpdate::parse(node, None, Target::Node).unwrap_err().to_string()
}

#[test]
fn false_and_absent_are_the_same_for_unschedulable() {
    let schedulable = json!({"spec": {"unschedulable": false}});
    assert_eq!(patch(&["spec.unschedulable"], schedulable.clone(), json!({"spec": {}})), Value::Null);
    assert_eq!(patch(&["spec.unschedulable"], json!({}), schedulable.clone()), Value::Null);
    let cordoned = json!({"spec": {"unschedulable": true}});
    assert_eq!(patch(&["spec.unschedulable"], schedulable, cordoned), json!({"spec": {"unschedulable": null}}));
}

#[test]
fn a_single_taint_keeps_its_place_and_its_time() {
    let current = taints(json!([
        {"key": "a", "effect": "NoSchedule"},
        {"key": "b", "effect": "NoExecute", "value": "1", "timeAdded": "2024-01-01T00:00:00Z"},
        {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"},
    ]));
    let wanted =
        taints(json!([{"key": "b", "effect": "NoExecute", "value": "2"}, {"key": "c", "effect": "NoSchedule"}]));
    let changed = patch(&["spec.taints.`b:NoExecute`", "spec.taints.`c:NoSchedule`"], wanted, current);
    assert_eq!(
        changed,
        taints(json!([
            {"key": "a", "effect": "NoSchedule"},
            {"key": "b", "effect": "NoExecute", "value": "2", "timeAdded": "2024-01-01T00:00:00Z"},
            {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"},
            {"key": "c", "effect": "NoSchedule"},
        ]))
    );
}

#[test]
fn a_single_taint_is_removed_by_key_and_effect() {
    let current = taints(json!([{"key": "a", "effect": "NoSchedule"}, {"key": "a", "effect": "NoExecute"}]));
    let changed = patch(&["spec.taints.`a:NoSchedule`"], json!({}), current);
    assert_eq!(changed, taints(json!([{"key": "a", "effect": "NoExecute"}])));
}

#[test]
fn the_last_taint_is_removed_with_the_list() {
    let current = taints(json!([{"key": "a", "effect": "NoSchedule"}]));
    assert_eq!(patch(&["spec.taints.`a:NoSchedule`"], json!({}), current), taints(Value::Null));
}

#[test]
fn all_taints_are_replaced_but_those_of_controllers() {
    let current = taints(json!([
        {"key": "old", "effect": "NoSchedule"},
        {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": "2024-01-01T00:00:00Z"},
        {"key": "kept", "effect": "NoExecute", "timeAdded": "2024-01-01T00:00:00Z"},
    ]));
    let wanted = taints(json!([{"key": "new", "effect": "NoSchedule"}, {"key": "kept", "effect": "NoExecute"}]));
    assert_eq!(
        patch(&["spec.taints"], wanted, current),
        taints(json!([
            {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": "2024-01-01T00:00:00Z"},
            {"key": "kept", "effect": "NoExecute", "timeAdded": "2024-01-01T00:00:00Z"},
            {"key": "new", "effect": "NoSchedule"},
        ]))
    );
}

#[test]
fn a_taint_of_a_controller_that_the_node_has_may_be_sent_back() {
    let current = taints(
        json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "timeAdded": "2024-01-01T00:00:00Z"}]),
    );
    let wanted = taints(json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"}]));
    assert_eq!(patch(&["spec.taints"], wanted, current), Value::Null);
}

#[test]
fn a_taint_of_a_controller_is_neither_set_nor_removed() {
    let there = taints(json!([{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]));
    let path = "spec.taints.`node.kubernetes.io/unschedulable:NoSchedule`";
    for (paths, wanted, current) in [
        (path, there.clone(), json!({})),
        (path, json!({}), there.clone()),
        ("spec.taints", there.clone(), json!({})),
        ("*", there, json!({})),
    ] {
        let refusal = try_patch(&[paths], wanted, current, Target::Node).unwrap_err();
        assert_eq!(refusal.controller, "node lifecycle controller");
    }
}

#[test]
fn an_out_of_service_taint_may_be_set() {
    let wanted =
        taints(json!([{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute", "value": "nodeshutdown"}]));
    assert_eq!(
        patch(&["spec.taints.`node.kubernetes.io/out-of-service:NoExecute`"], wanted.clone(), json!({})),
        wanted
    );
}

#[test]
fn a_single_resource_is_advertised() {
    let wanted = json!({"status": {"capacity": {"example.com/gpu": "4", "cpu": "9"}}});
    let current = json!({"status": {"capacity": {"cpu": "8"}, "phase": "x"}});
    let changed = status_patch(&["status.capacity.`example.com/gpu`"], wanted, current);
    assert_eq!(changed, json!({"status": {"capacity": {"example.com/gpu": "4"}}}));
}

#[test]
fn a_single_condition_is_set_among_the_others() {
    let ready = json!({"type": "Ready", "status": "True", "lastHeartbeatTime": "2024-01-01T00:00:00Z"});
    let wanted = json!({"status": {"conditions": [{"type": "KernelDeadlock", "status": "True", "reason": ""}]}});
    let conditions = |list: Value| json!({"status": {"conditions": list}});
    let set = status_patch(&["status.conditions.KernelDeadlock"], wanted, conditions(json!([ready])));
    assert_eq!(set, conditions(json!([ready, {"type": "KernelDeadlock", "status": "True"}])));
    let removed = status_patch(&["status.conditions.KernelDeadlock"], json!({}), set);
    assert_eq!(removed, conditions(json!([ready])));
}

#[test]
fn fields_of_a_structure_that_are_gone_are_removed() {
    let swap = |swap: Value| json!({"status": {"nodeInfo": {"swap": swap}, "phase": "x"}});
    let wanted = swap(json!({}));
    let changed = status_patch(&["status.node_info"], wanted, swap(json!({"capacity": 7})));
    assert_eq!(changed["status"]["nodeInfo"]["swap"], json!({"capacity": null}));
    assert_eq!(changed["status"].get("phase"), None);
}

#[test]
fn every_field_of_the_status_may_be_changed_but_the_one_that_kubernetes_drops() {
    use prost_reflect::DescriptorPool;
    let pool = DescriptorPool::decode(nodeward_api::FILE_DESCRIPTOR_SET).unwrap();
    let status = pool.get_message_by_name("nodeward.v1.NodeStatus").unwrap();
    let fields = status.fields().filter(|field| field.name() != "config");
    let mut fields: Vec<String> = fields.map(|field| format!("status.{}", field.name())).collect();
    let mut known: Vec<&str> = changeable(Target::Status).iter().map(|field| field.path).collect();
    fields.sort_unstable();
    known.sort_unstable();
    assert_eq!(fields, known);
}

#[test]
fn a_path_that_is_not_changeable_is_told_what_is() {
    for path in
        ["spec", "metadata.uid", "spec.config_source", "status.capacity", "spec.taints.a.b", "spec.provider_id.x", "x"]
    {
        let told = told(path, Target::Node);
        assert!(told.contains(&format!("`{path}` can't be changed by UpdateNode: name metadata.labels, ")), "{told}");
        assert!(told.contains("spec.taints.`dedicated:NoSchedule`, or `*` for all of these"), "{told}");
    }
    for path in ["spec.taints", "status", "status.node_info.kubelet_version", "metadata.labels"] {
        let told = told(path, Target::Status);
        assert!(told.contains("can't be changed by UpdateNodeStatus: name status.capacity, "), "{told}");
    }
}

#[test]
fn a_path_that_is_none_is_told_how_to_write_it() {
    assert!(told("metadata.labels.example.com/team", Target::Node).contains("in backticks"));
    assert!(told("spec.taints.dedicated", Target::Node).contains("name its key and effect"));
    assert!(told("spec.taints.`a:Never`", Target::Node).contains("`Never` is not an effect"));
    assert!(told("spec.taints.`-:NoSchedule`", Target::Node).contains("can't name such a taint: `-` is not a key"));
    assert!(told("metadata.labels.`-`", Target::Node).contains("can't name such a key of `metadata.labels`"));
    assert!(told("metadata.annotations.`nodeward.dev/x`", Target::Node).contains("nodeward's own"));
}

#[test]
fn masks_are_bounded() {
    let many = refusals(&v1::Node::default(), &["spec.taints"; 129], Target::Node);
    assert!(many[0].1.contains("at most 128"));
    assert!(told(&"x".repeat(1 << 20), Target::Node).len() < 300);
}

#[test]
fn all_bad_values_are_told_at_once_with_their_paths() {
    let wanted = json!({
        "metadata": {
            "labels": {"-": "a", "team": "a b"},
            "annotations": {"a b": "anything at all", "ok": "any\nthing"},
            "finalizers": ["example.com/x", "x"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "", "name": "n", "uid": "u"}],
        },
        "spec": {"taints": [
            {"key": "a", "effect": "NoSchedule"},
            {"key": "", "effect": "Never", "value": "a b"},
            {"key": "a", "effect": "NoSchedule", "value": "2"},
        ]},
    });
    assert_eq!(
        refused(wanted, &["*"], Target::Node),
        [
            "node.metadata.labels.-",
            "node.metadata.labels.team",
            "node.metadata.annotations.`a b`",
            "node.metadata.finalizers[1]",
            "node.metadata.owner_references[0].kind",
            "node.spec.taints[1].key",
            "node.spec.taints[1].effect",
            "node.spec.taints[1].value",
            "node.spec.taints[2]",
        ]
    );
}

#[test]
fn all_bad_values_of_a_status_are_told_at_once_with_their_paths() {
    let wanted = json!({"status": {
        "capacity": {"cpu": "many", "memory": "-1", "pods": "110"},
        "conditions": [{"type": "A", "status": "Maybe"}, {"type": "", "status": "True"}, {"type": "A", "status": "True"}],
        "addresses": [{"type": "Hostname", "address": ""}],
    }});
    assert_eq!(
        refused(wanted, &["*"], Target::Status),
        [
            "node.status.capacity.cpu.text",
            "node.status.capacity.memory.text",
            "node.status.conditions[0].status",
            "node.status.conditions[1].type",
            "node.status.conditions[2]",
            "node.status.addresses[0].address",
        ]
    );
}

#[test]
fn values_that_the_mask_does_not_name_are_not_checked() {
    let mut request = request(json!({
        "metadata": {"labels": {"-": "a b"}},
        "spec": {"taints": [{"key": "", "effect": ""}, {"key": "a", "effect": "NoSchedule"}]},
    }));
    let late = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 });
    request.metadata.as_mut().unwrap().creation_timestamp = late;
    request.spec.as_mut().unwrap().taints[0].time_added = late;
    assert!(NodeUpdate::parse(&request, mask(&["spec.taints.`a:NoSchedule`"]).as_ref(), Target::Node).is_ok());
    assert_eq!(
        refusals(&request, &["spec.taints"], Target::Node).last().map(|(field, _)| field.as_str()),
        Some("node.spec.taints[0].time_added")
    );
}

#[test]
fn a_path_that_stands_there_twice_is_told_once() {
    assert_eq!(refused(labels(json!({"a": "-"})), &["*", "metadata.labels", "*"], Target::Node).len(), 1);
}

#[test]
fn a_named_taint_is_found_only_once() {
    let wanted = taints(json!([{"key": "a", "effect": "NoSchedule"}, {"key": "a", "effect": "NoSchedule"}]));
    assert_eq!(refused(wanted, &["spec.taints.`a:NoSchedule`"], Target::Node), ["node.spec.taints[1]"]);
}

#[test]
fn annotations_are_bounded_in_all() {
    let half = "x".repeat(128 * 1024);
    let wanted = annotations(json!({"a": half, "b": half}));
    assert_eq!(refused(wanted.clone(), &["metadata.annotations"], Target::Node), ["node.metadata.annotations"]);
    assert!(NodeUpdate::parse(&request(wanted), mask(&["metadata.annotations.a"]).as_ref(), Target::Node).is_ok());
}

#[test]
fn enormous_keys_and_values_are_not_echoed_whole() {
    let huge = "x y".repeat(1 << 18);
    let wanted = json!({"metadata": {"labels": {huge.clone(): huge}}});
    for (field, description) in refusals(&request(wanted), &["metadata.labels"], Target::Node) {
        assert!(field.len() + description.len() < 500);
    }
}
