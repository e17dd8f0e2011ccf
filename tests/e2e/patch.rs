//! PatchNode in Kubernetes' four formats.

use nodeward_api::v1::patch_node_request::{PatchType, Subresource};
use nodeward_api::v1::{Node, PatchNodeRequest};
use serde_json::{Value, json};
use tonic::Code;
use uuid::Uuid;

use crate::support::nodes::delete;
use crate::support::{assert_error, assert_violation, unique, world};

fn patch(node: &str, r#type: PatchType, patch: Value) -> PatchNodeRequest {
    let field_manager = if r#type == PatchType::Apply { "test" } else { "" };
    PatchNodeRequest {
        name: format!("nodes/{node}"),
        r#type: r#type.into(),
        patch: patch.to_string(),
        field_manager: field_manager.into(),
        ..Default::default()
    }
}

fn label(value: &str) -> Value {
    json!({"metadata": {"labels": {"team": value}}})
}

fn team(node: &Node) -> Option<&str> {
    node.metadata.as_ref().unwrap().labels.get("team").map(String::as_str)
}

const MERGING: [PatchType; 3] = [PatchType::Merge, PatchType::StrategicMerge, PatchType::Apply];

/// A patch that sets the label, in each format.
fn labelling(node: &str, value: &str) -> [PatchNodeRequest; 4] {
    let operations = json!([{"op": "add", "path": "/metadata/labels/team", "value": value}]);
    let [merge, strategic, apply] = MERGING.map(|r#type| patch(node, r#type, label(value)));
    [patch(node, PatchType::Json, operations), merge, strategic, apply]
}

#[tokio::test]
async fn each_format_changes_the_node() {
    let node = world().await.node("patch").await;
    let mut client = world().await.client().await;
    for format in 0..4 {
        let value = format!("team-{format}");
        let request = labelling(&node, &value)[format].clone();
        // The label is that of the format before.
        let request = PatchNodeRequest { force: request.r#type == i32::from(PatchType::Apply), ..request };
        assert_eq!(team(&client.patch_node(request).await.unwrap().into_inner()), Some(value.as_str()));
    }
}

#[tokio::test]
async fn each_format_is_carried_out_once_for_a_request_id() {
    let mut client = world().await.client().await;
    for format in 0..4 {
        let node = world().await.node("patch").await;
        let request = labelling(&node, "blue")[format].clone();
        let request = PatchNodeRequest { request_id: Uuid::new_v4().to_string(), ..request };
        let first = client.patch_node(request.clone()).await.unwrap().into_inner();
        assert_eq!(client.patch_node(request.clone()).await.unwrap().into_inner(), first, "{request:?}");

        client.patch_node(patch(&node, PatchType::Merge, label("green"))).await.unwrap();
        let late = client.patch_node(request.clone()).await.unwrap().into_inner();
        assert_eq!(team(&late), Some("green"), "{request:?}");
    }
}

#[tokio::test]
async fn validating_only_changes_nothing_in_any_format() {
    let node = world().await.node("patch").await;
    let mut client = world().await.client().await;
    for request in labelling(&node, "blue") {
        let request = PatchNodeRequest { validate_only: true, ..request };
        assert_eq!(team(&client.patch_node(request).await.unwrap().into_inner()), Some("blue"));
    }
    let found = world().await.kubernetes().await.get(&node).await.unwrap();
    assert!(!found.metadata.labels.unwrap().contains_key("team"));
}

#[tokio::test]
async fn an_absent_node_is_not_found_but_an_apply_creates_it() {
    let mut client = world().await.client().await;
    let request = patch("nowhere", PatchType::Merge, label("blue"));
    assert_error(client.patch_node(request).await, Code::NotFound, "NODE_NOT_FOUND");
    let request = patch("nowhere", PatchType::Json, json!([]));
    assert_error(client.patch_node(request).await, Code::NotFound, "NODE_NOT_FOUND");

    let name = unique("patch");
    let apply = patch(&name, PatchType::Apply, label("blue"));
    let with_etag = PatchNodeRequest { etag: "\"5\"".into(), ..apply.clone() };
    assert_error(client.patch_node(with_etag).await, Code::NotFound, "NODE_NOT_FOUND");
    let created = client.patch_node(apply).await.unwrap().into_inner();
    assert_eq!(created.name, format!("nodes/{name}"));
}

#[tokio::test]
async fn an_apply_sent_again_after_its_node_was_deleted_creates_no_other() {
    let name = unique("patch");
    let request =
        PatchNodeRequest { request_id: Uuid::new_v4().to_string(), ..patch(&name, PatchType::Apply, label("blue")) };
    let mut client = world().await.client().await;
    client.patch_node(request.clone()).await.unwrap();
    assert_eq!(team(&client.patch_node(request.clone()).await.unwrap().into_inner()), Some("blue"));
    delete(&world().await.kubernetes().await, &name).await;
    assert_error(client.patch_node(request).await, Code::NotFound, "NODE_NOT_FOUND");
}

/// nodeward names the uid in each apply to a node that it has found, so that one that is deleted meanwhile stays so.
#[tokio::test]
async fn an_apply_to_a_node_of_a_certain_uid_creates_no_other() {
    let name = unique("patch");
    let metadata = json!({"uid": Uuid::new_v4().to_string(), "resourceVersion": "5", "labels": {"team": "blue"}});
    let apply = patch(&name, PatchType::Apply, json!({ "metadata": metadata }));
    assert_error(world().await.client().await.patch_node(apply).await, Code::Aborted, "CONFLICT");
    assert!(world().await.kubernetes().await.get_opt(&name).await.unwrap().is_none());
}

#[tokio::test]
async fn one_manager_applies_to_the_node_and_to_its_status() {
    let node = world().await.node("patch").await;
    let mut client = world().await.client().await;
    for number in ["1", "2"] {
        let body = json!({"status": {"capacity": {"example.com/gpu": number}}});
        for (subresource, body) in [(Subresource::Unspecified, label(number)), (Subresource::Status, body)] {
            let request = PatchNodeRequest {
                subresource: subresource.into(),
                request_id: Uuid::new_v4().to_string(),
                ..patch(&node, PatchType::Apply, body)
            };
            client.patch_node(request).await.unwrap();
        }
    }
    let found = world().await.kubernetes().await.get(&node).await.unwrap();
    assert_eq!(found.metadata.labels.unwrap()["team"], "2");
    assert_eq!(found.status.unwrap().capacity.unwrap()["example.com/gpu"].0, "2");
}

#[tokio::test]
async fn an_outdated_etag_is_refused() {
    let node = world().await.node("patch").await;
    let mut client = world().await.client().await;
    for request in labelling(&node, "blue") {
        let request = PatchNodeRequest { etag: "\"1\"".into(), ..request };
        assert_error(client.patch_node(request).await, Code::Aborted, "ETAG_MISMATCH");
    }
    let body = json!({"status": {"capacity": {"example.com/gpu": "2"}}});
    let request = PatchNodeRequest {
        etag: "\"1\"".into(),
        subresource: Subresource::Status.into(),
        ..patch(&node, PatchType::Merge, body)
    };
    assert_error(client.patch_node(request).await, Code::Aborted, "ETAG_MISMATCH");
}

#[tokio::test]
async fn an_apply_meets_fields_of_other_managers_unless_it_is_forced() {
    let node = world().await.node("patch").await;
    let mut client = world().await.client().await;
    client.patch_node(patch(&node, PatchType::Merge, label("green"))).await.unwrap();
    let apply = patch(&node, PatchType::Apply, label("blue"));
    assert_error(client.patch_node(apply.clone()).await, Code::Aborted, "FIELD_CONFLICT");
    let forced = client.patch_node(PatchNodeRequest { force: true, ..apply }).await.unwrap().into_inner();
    assert_eq!(team(&forced), Some("blue"));
}

#[tokio::test]
async fn an_apply_removes_what_its_manager_no_longer_applies_and_nothing_else() {
    let node = world().await.node("patch").await;
    let mut client = world().await.client().await;
    let with_id =
        |body| PatchNodeRequest { request_id: Uuid::new_v4().to_string(), ..patch(&node, PatchType::Apply, body) };
    client.patch_node(with_id(json!({"metadata": {"labels": {"team": "blue", "tier": "1"}}}))).await.unwrap();
    let first = client.patch_node(with_id(label("blue"))).await.unwrap().into_inner();
    let labels = first.metadata.unwrap().labels;
    assert_eq!(labels.get("team").map(String::as_str), Some("blue"));
    assert!(!labels.contains_key("tier"));
    assert!(labels.contains_key("kubernetes.io/hostname"));
}

#[tokio::test]
async fn the_status_is_patched_on_request() {
    let node = world().await.node("patch").await;
    let body = json!({"status": {"capacity": {"example.com/gpu": "2"}}});
    let request = PatchNodeRequest {
        subresource: Subresource::Status.into(),
        request_id: Uuid::new_v4().to_string(),
        ..patch(&node, PatchType::Merge, body)
    };
    let patched = world().await.client().await.patch_node(request).await.unwrap().into_inner();
    assert_eq!(patched.status.unwrap().capacity["example.com/gpu"].number, Some(2.0));
}

#[tokio::test]
async fn a_test_that_does_not_hold_is_told_from_a_path_that_does_not_exist() {
    let node = world().await.node("patch").await;
    let mut client = world().await.client().await;
    let test = json!([{"op": "test", "path": "/metadata/name", "value": "another"}]);
    let result = client.patch_node(patch(&node, PatchType::Json, test)).await;
    assert_error(result, Code::FailedPrecondition, "PATCH_TEST_FAILED");
    let remove = json!([{"op": "remove", "path": "/metadata/labels/nothing"}]);
    assert_violation(client.patch_node(patch(&node, PatchType::Json, remove)).await, "patch");
}

#[tokio::test]
async fn taints_of_controllers_are_refused_in_every_format() {
    let node = world().await.node("patch").await;
    let mut client = world().await.client().await;
    let taints = json!([{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]);
    let operations = json!([{"op": "add", "path": "/spec/taints", "value": taints}]);
    let merge = json!({"spec": {"taints": taints}});
    let bodies = MERGING.map(|r#type| (r#type, merge.clone())).into_iter().chain([(PatchType::Json, operations)]);
    for (r#type, body) in bodies {
        let result = client.patch_node(patch(&node, r#type, body)).await;
        assert_error(result, Code::FailedPrecondition, "CONTROLLER_OWNED_TAINT");
    }
    let with_directive =
        json!({"spec": {"$retainKeys": ["taints", "podCIDR", "podCIDRs", "providerID"], "taints": taints}});
    let result = client.patch_node(patch(&node, PatchType::StrategicMerge, with_directive)).await;
    assert_error(result, Code::FailedPrecondition, "CONTROLLER_OWNED_TAINT");
    let result = client.patch_node(patch(&unique("patch"), PatchType::Apply, merge)).await;
    assert_error(result, Code::FailedPrecondition, "CONTROLLER_OWNED_TAINT");
}

#[tokio::test]
async fn annotations_of_nodeward_are_protected_in_every_format() {
    let node = world().await.node("patch").await;
    let mut client = world().await.client().await;
    let first =
        PatchNodeRequest { request_id: Uuid::new_v4().to_string(), ..patch(&node, PatchType::Merge, label("blue")) };
    client.patch_node(first).await.unwrap();

    let own = json!({"metadata": {"annotations": {"nodeward.dev/requests": "[]"}}});
    for r#type in MERGING {
        assert_violation(client.patch_node(patch(&node, r#type, own.clone())).await, "patch");
    }
    let ours = "/metadata/annotations/nodeward.dev~1requests";
    for operation in [
        json!({"op": "remove", "path": "/metadata/annotations"}),
        json!({"op": "remove", "path": ours}),
        json!({"op": "replace", "path": ours, "value": "[]"}),
        json!({"op": "add", "path": format!("{ours}-forged"), "value": "[]"}),
    ] {
        assert_violation(client.patch_node(patch(&node, PatchType::Json, json!([operation]))).await, "patch");
    }
    let replace = json!({"metadata": {"annotations": {"$patch": "replace", "a": "b"}}});
    assert_violation(client.patch_node(patch(&node, PatchType::StrategicMerge, replace)).await, "patch");

    let all = json!({"metadata": {"annotations": null}});
    let cleared = client.patch_node(patch(&node, PatchType::Merge, all)).await.unwrap().into_inner();
    let annotations = cleared.metadata.unwrap().annotations;
    assert!(annotations.keys().all(|key| key.starts_with("nodeward.dev/")) && !annotations.is_empty());
}

#[tokio::test]
async fn a_small_patch_can_not_make_a_huge_node() {
    let node = world().await.node("patch").await;
    let double = |number| json!({"op": "copy", "from": "/metadata", "path": format!("/metadata/a{number}")});
    let request = patch(&node, PatchType::Json, (0..40).map(double).collect());
    assert_violation(world().await.client().await.patch_node(request).await, "patch");
}

#[tokio::test]
async fn bad_fields_are_named() {
    let node = world().await.node("patch").await;
    let mut client = world().await.client().await;
    let good = patch(&node, PatchType::Merge, label("blue"));
    let bad = [
        ("name", PatchNodeRequest { name: "x".into(), ..good.clone() }),
        ("type", PatchNodeRequest { r#type: 0, ..good.clone() }),
        ("type", PatchNodeRequest { r#type: 9, ..good.clone() }),
        ("patch", PatchNodeRequest { patch: String::new(), ..good.clone() }),
        ("patch", PatchNodeRequest { patch: "[]".into(), ..good.clone() }),
        ("patch", PatchNodeRequest { patch: "{".into(), ..good.clone() }),
        ("patch", patch(&node, PatchType::Json, json!({}))),
        ("patch", patch(&node, PatchType::Merge, json!({"metadata": 1}))),
        ("patch", patch(&node, PatchType::Merge, json!({"spec": {"nonsense": 1}}))),
        (
            "patch",
            PatchNodeRequest {
                validate_only: true,
                ..patch(&node, PatchType::Apply, json!({"spec": {"nonsense": 1}}))
            },
        ),
        ("patch", patch(&node, PatchType::StrategicMerge, json!({"status": {"capacity": {"cpu": "abc"}}}))),
        ("patch.metadata.labels", patch(&node, PatchType::Merge, json!({"metadata": {"labels": {"not a key": ""}}}))),
        ("subresource", PatchNodeRequest { subresource: 9, ..good.clone() }),
        ("field_manager", PatchNodeRequest { field_manager: "x".repeat(129), ..good.clone() }),
        (
            "field_manager",
            PatchNodeRequest { field_manager: String::new(), ..patch(&node, PatchType::Apply, label("blue")) },
        ),
        ("force", PatchNodeRequest { force: true, ..good.clone() }),
        ("request_id", PatchNodeRequest { request_id: "x".into(), ..good.clone() }),
        ("etag", PatchNodeRequest { etag: "x".into(), ..good.clone() }),
        ("reason", PatchNodeRequest { reason: "x".repeat(1025), ..good }),
    ];
    for (field, request) in bad {
        assert_violation(client.patch_node(request).await, field);
    }
}

/// Kubernetes answers to these as if it had failed itself.
#[tokio::test]
async fn a_strategic_merge_that_kubernetes_can_make_nothing_of_is_the_callers_mistake() {
    let node = world().await.node("patch").await;
    let mut client = world().await.client().await;
    for body in [
        json!({"$patch": "nonsense"}),
        json!({"metadata": {"labels": {"$patch": "nonsense", "a": "b"}}}),
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"$patch": "merge"}}),
    ] {
        let request = patch(&node, PatchType::StrategicMerge, body);
        assert_violation(client.patch_node(request).await, "patch");
    }
    let conditions = patch(&node, PatchType::StrategicMerge, json!({"status": {"conditions": [{"status": "True"}]}}));
    let request = PatchNodeRequest { subresource: Subresource::Status.into(), ..conditions };
    assert_violation(client.patch_node(request).await, "patch");
}

/// It is not Kubernetes' fault, which says so only in words.
#[tokio::test]
async fn a_node_that_is_too_large_for_kubernetes_is_the_callers_mistake() {
    // Kubernetes itself adds as much again, to say whose the labels are.
    let prefix = ["a", "b", "c", "d"].map(|letter| letter.repeat(60)).join(".");
    // Too large for etcd, and too large to be sent to it.
    for count in [3300, 5000] {
        let labels: serde_json::Map<_, _> =
            (0..count).map(|number| (format!("{prefix}/{number}"), json!(""))).collect();
        let apply = patch(&unique("large"), PatchType::Apply, json!({"metadata": {"labels": labels}}));
        assert_violation(world().await.client().await.patch_node(apply).await, "patch");
    }
}
