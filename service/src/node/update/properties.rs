//! What holds for the update of any node to any other.

use k8s_openapi::api::core::v1::Node;
use nodeward_api::v1;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};

use super::tests::{mask, node};
use super::{NodeUpdate, Target};
use crate::node::mask::changed_paths;
use crate::node::{arbitrary, convert};

const NODE_PATHS: [&str; 16] = [
    "metadata.labels",
    "metadata.labels.a",
    "metadata.labels.`x.y/z`",
    "metadata.annotations",
    "metadata.annotations.a",
    "metadata.finalizers",
    "metadata.owner_references",
    "spec.taints",
    "spec.taints.`a:NoSchedule`",
    "spec.taints.`a:NoExecute`",
    "spec.taints.`b:NoExecute`",
    "spec.unschedulable",
    "spec.provider_id",
    "spec.pod_cidr",
    "spec.pod_cidrs",
    "*",
];

const STATUS_PATHS: [&str; 17] = [
    "status.capacity",
    "status.capacity.a",
    "status.allocatable",
    "status.allocatable.a",
    "status.phase",
    "status.conditions",
    "status.conditions.Ready",
    "status.conditions.Other",
    "status.addresses",
    "status.daemon_endpoints",
    "status.node_info",
    "status.images",
    "status.volumes_in_use",
    "status.volumes_attached",
    "status.runtime_handlers",
    "status.features",
    "*",
];

/// A node whose changeable fields hold values that Kubernetes accepts, often the same ones, and whose others are arbitrary.
fn valid_node() -> impl Strategy<Value = Node> {
    let map = || proptest::option::of(btree_map(key(), "[a-b]?", 0..3));
    let amounts = proptest::option::of(btree_map(key(), "[1-3](Gi)?", 0..3));
    let fields =
        (map(), map(), vec(taint(), 0..4), proptest::option::of(any::<bool>()), amounts, vec(condition(), 0..3));
    (arbitrary::node(), fields).prop_map(|(mut node, fields)| {
        let (labels, annotations, taints, unschedulable, amounts, conditions) = fields;
        node.metadata.labels = labels;
        node.metadata.annotations = annotations;
        node.metadata.finalizers = None;
        node.metadata.owner_references = None;
        if let Some(spec) = &mut node.spec {
            spec.taints = serde_json::from_value(Value::Array(unique(taints, &["key", "effect"]))).unwrap();
            spec.unschedulable = unschedulable;
        }
        if let Some(status) = &mut node.status {
            status.conditions = serde_json::from_value(Value::Array(unique(conditions, &["type"]))).unwrap();
            status.capacity = serde_json::from_value(json!(amounts)).unwrap();
            status.allocatable = status.capacity.clone();
            status.addresses = None;
        }
        // Kubernetes' JSON has whole seconds only, and no node comes from anywhere else.
        self::node(serde_json::to_value(node).unwrap())
    })
}

fn key() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["a", "b", "x.y/z"]).prop_map(str::to_owned)
}

fn taint() -> impl Strategy<Value = Value> {
    let effect = proptest::sample::select(vec!["NoSchedule", "NoExecute"]);
    let time = proptest::sample::select(vec![json!("2024-01-01T00:00:00Z"), Value::Null]);
    (key(), effect, "[a-b]?", time)
        .prop_map(|(key, effect, value, time)| json!({"key": key, "effect": effect, "value": value, "timeAdded": time}))
}

fn condition() -> impl Strategy<Value = Value> {
    let kind = proptest::sample::select(vec!["Ready", "Other", "Third"]);
    (kind, proptest::sample::select(vec!["True", "False"]))
        .prop_map(|(kind, status)| json!({"type": kind, "status": status}))
}

fn unique(mut items: Vec<Value>, names: &[&str]) -> Vec<Value> {
    let mut seen = Vec::new();
    items.retain(|item| {
        let identity: Vec<Value> = names.iter().map(|name| item[name].clone()).collect();
        let is_new = !seen.contains(&identity);
        seen.push(identity);
        is_new
    });
    items
}

fn updated(update: &NodeUpdate, current: &Node) -> Node {
    let mut json = serde_json::to_value(current).unwrap();
    if let Some(patch) = update.patch(current).unwrap() {
        json_patch::merge(&mut json, &patch);
    }
    node(json)
}

fn encoded(node: &Node) -> Vec<u8> {
    convert::to_contract(node).encode_to_vec()
}

/// Whether a change at this path is one that the mask asks for.
fn is_asked(changed: &str, paths: &[&str]) -> bool {
    // What nodeward derives follows what it is derived from.
    let changed = match changed {
        "scheduling_state" => "spec.unschedulable",
        "readiness.state" | "readiness.since_time" | "readiness.reason" | "readiness.message" => {
            "status.conditions.Ready"
        }
        changed => changed,
    };
    paths.iter().any(|path| {
        *path == "*"
            || changed == *path
            || changed.starts_with(&format!("{path}."))
            // Lists are compared as a whole.
            || path.starts_with(&format!("{changed}."))
    })
}

/// What the contract shows of the parts of a node that a mask names whole, in a form in which equal is the same to
/// Kubernetes.
fn whole(node: &Node, path: &str) -> Value {
    let node = serde_json::to_value(arbitrary::without_empty_collections(node.clone())).unwrap();
    let value = match path {
        "metadata.labels" => &node["metadata"]["labels"],
        "spec.unschedulable" => &node["spec"]["unschedulable"],
        "spec.provider_id" => &node["spec"]["providerID"],
        "spec.pod_cidrs" => &node["spec"]["podCIDRs"],
        "status.capacity" => &node["status"]["capacity"],
        "status.node_info" => &node["status"]["nodeInfo"],
        "status.images" => &node["status"]["images"],
        "status.features" => &node["status"]["features"],
        _ => &Value::Null,
    };
    if *value == json!(false) || *value == json!("") { Value::Null } else { value.clone() }
}

fn check(request: &v1::Node, current: &Node, paths: &[&str], target: Target) -> Result<(), TestCaseError> {
    let update = NodeUpdate::parse(request, mask(paths).as_ref(), target).unwrap();
    let after = updated(&update, current);
    for changed in changed_paths(&encoded(current), &encoded(&after)) {
        prop_assert!(is_asked(&changed, paths), "{} was changed by {:?}", changed, paths);
    }
    prop_assert_eq!(update.patch(&after).unwrap(), None);
    let wanted = convert::from_contract(request).unwrap();
    for path in paths {
        prop_assert_eq!(whole(&after, path), whole(&wanted, path), "{}", path);
    }
    Ok(())
}

proptest! {
    // Nodes of all fields are large: fewer cases keep the tests quick.
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn an_update_changes_what_the_mask_names_and_nothing_else(
        current in valid_node(),
        wanted in valid_node(),
        paths in proptest::sample::subsequence(NODE_PATHS.to_vec(), 1..4),
    ) {
        check(&convert::to_contract(&wanted), &current, &paths, Target::Node)?;
    }

    #[test]
    fn an_update_of_the_status_changes_what_the_mask_names_and_nothing_else(
        current in valid_node(),
        wanted in valid_node(),
        paths in proptest::sample::subsequence(STATUS_PATHS.to_vec(), 1..4),
    ) {
        check(&convert::to_contract(&wanted), &current, &paths, Target::Status)?;
    }

    #[test]
    fn a_node_sent_back_as_it_was_read_changes_nothing(current in valid_node()) {
        for (paths, target) in [(&["*"][..], Target::Node), (&["*"], Target::Status)] {
            let request = convert::to_contract(&current);
            let update = NodeUpdate::parse(&request, mask(paths).as_ref(), target).unwrap();
            prop_assert_eq!(update.patch(&current).unwrap(), None);
        }
    }

    #[test]
    fn no_request_makes_it_panic(wanted in arbitrary::node(), current in arbitrary::node(), path in ".{0,20}") {
        let request = convert::to_contract(&wanted);
        for target in [Target::Node, Target::Status] {
            for paths in [&["*"][..], &[], &[path.as_str()]] {
                if let Ok(update) = NodeUpdate::parse(&request, mask(paths).as_ref(), target) {
                    let _ = update.patch(&current);
                }
            }
        }
    }
}
