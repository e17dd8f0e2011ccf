//! PatchNode in Kubernetes' four formats.

use nodeward_api::v1::patch_node_request::{PatchType, Subresource};
use nodeward_api::v1::{Node, PatchNodeRequest};
use serde_json::{Value, json};
use tonic::Code;
use uuid::Uuid;

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

#[tokio::test]
async fn each_format_changes_the_node() {
    let mut client = world().await.client().await;
    for r#type in MERGING {
        let node = world().await.node("patch").await;
        let patched = client.patch_node(patch(&node, r#type, label("blue"))).await.unwrap().into_inner();
        assert_eq!(team(&patched), Some("blue"), "{type:?}");
    }
    let node = world().await.node("patch").await;
    let operations = json!([{"op": "add", "path": "/metadata/labels/team", "value": "blue"}]);
    let patched = client.patch_node(patch(&node, PatchType::Json, operations)).await.unwrap().into_inner();
    assert_eq!(team(&patched), Some("blue"));
}

#[tokio::test]
async fn each_format_is_carried_out_once_for_a_request_id() {
    let mut client = world().await.client().await;
    let json_patch = json!([{"op": "add", "path": "/metadata/labels/team", "value": "blue"}]);
    let bodies = [(PatchType::Json, json_patch)].into_iter().chain(MERGING.map(|r#type| (r#type, label("blue"))));
    for (r#type, body) in bodies {
        let node = world().await.node("patch").await;
        let request = PatchNodeRequest { request_id: Uuid::new_v4().to_string(), ..patch(&node, r#type, body) };
        let first = client.patch_node(request.clone()).await.unwrap().into_inner();
        assert_eq!(client.patch_node(request.clone()).await.unwrap().into_inner(), first, "{type:?}");

        client.patch_node(patch(&node, PatchType::Merge, label("green"))).await.unwrap();
        let late = client.patch_node(request).await.unwrap().into_inner();
        assert_eq!(team(&late), Some("green"), "{type:?}");
    }
}

#[tokio::test]
async fn validating_only_changes_nothing_in_any_format() {
    let node = world().await.node("patch").await;
    let mut client = world().await.client().await;
    for r#type in MERGING {
        let request = PatchNodeRequest { validate_only: true, ..patch(&node, r#type, label("blue")) };
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
    let created = client.patch_node(patch(&name, PatchType::Apply, label("blue"))).await.unwrap().into_inner();
    assert_eq!(created.name, format!("nodes/{name}"));
}

#[tokio::test]
async fn an_outdated_etag_is_refused() {
    let node = world().await.node("patch").await;
    let request = PatchNodeRequest { etag: "\"1\"".into(), ..patch(&node, PatchType::Merge, label("blue")) };
    assert_error(world().await.client().await.patch_node(request).await, Code::Aborted, "ETAG_MISMATCH");
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
    let operations = json!([{"op": "remove", "path": "/metadata/annotations"}]);
    assert_violation(client.patch_node(patch(&node, PatchType::Json, operations)).await, "patch");
    let replace = json!({"metadata": {"annotations": {"$patch": "replace", "a": "b"}}});
    assert_violation(client.patch_node(patch(&node, PatchType::StrategicMerge, replace)).await, "patch");

    let all = json!({"metadata": {"annotations": null}});
    let cleared = client.patch_node(patch(&node, PatchType::Merge, all)).await.unwrap().into_inner();
    let annotations = cleared.metadata.unwrap().annotations;
    assert!(annotations.keys().all(|key| key.starts_with("nodeward.dev/")) && !annotations.is_empty());
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
