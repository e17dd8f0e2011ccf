//! Changing nodes behind the server's back, as kubelets, controllers and other people do.

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

/// A node without a kubelet: nobody reports its state.
pub fn bare(name: &str, labels: Value) -> Node {
    serde_json::from_value(json!({ "metadata": { "name": name, "labels": labels } })).unwrap()
}

/// Creates a node without a kubelet.
pub async fn create_bare(nodes: &Api<Node>, name: &str, labels: Value) -> Node {
    nodes.create(&PostParams::default(), &bare(name, labels)).await.unwrap()
}

/// Sets a label, or removes it.
pub async fn set_label(nodes: &Api<Node>, name: &str, key: &str, value: Option<&str>) -> Node {
    let patch = json!({ "metadata": { "labels": { key: value } } });
    nodes.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap()
}

/// Deletes a node.
pub async fn delete(nodes: &Api<Node>, name: &str) {
    nodes.delete(name, &DeleteParams::default()).await.unwrap();
}

/// The label of the nodes whose kubelets are played.
const PLAYED: &str = "nodeward.dev/sandbox";

/// Has the kubelet of a node die, and the control plane know it.
pub async fn lose_contact(nodes: &Api<Node>, name: &str) {
    set_label(nodes, name, PLAYED, None).await;
    let condition = json!({ "type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown" });
    let patch = Patch::Strategic(json!({ "status": { "conditions": [condition] } }));
    nodes.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
}
