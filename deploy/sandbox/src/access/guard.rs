//! The guard of operations (deploy/crd/guard.yaml): they are written by the nodeward server's service account alone.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, PostParams};
use kube::{Api, Client};
use serde_json::json;

use super::manifest::{apply_all, parsed};
use crate::error::SandboxError;
use crate::seed::wait_for;

const GUARD: &str = include_str!("../../../crd/guard.yaml");

/// What both the policy and its binding are called.
const NAME: &str = "nodeoperations.nodeward.dev";

const DEADLINE: Duration = Duration::from_secs(30);
const EVERY: Duration = Duration::from_millis(50);

/// Puts the guard up, and waits until it is: the apiserver knows of a policy a moment after it has stored it.
pub(super) async fn put_up(client: &Client, logs: &Path) -> Result<(), SandboxError> {
    apply_all(client, &parsed(GUARD)?).await?;
    let operations: Api<DynamicObject> = Api::all_with(client.clone(), &operations());
    let operation = DynamicObject::new("nodeward-sandbox", &self::operations()).data(json!({
        "spec": { "node": { "name": "none", "uid": "none" }, "requester": { "username": "nodeward-sandbox" } },
    }));
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    wait_for("operations being guarded", DEADLINE, EVERY, logs, || async {
        match operations.create(&dry_run, &operation).await {
            Ok(_) => Ok(Some("an administrator can still write them".to_owned())),
            Err(kube::Error::Api(refusal)) if refusal.code == 403 && refusal.message.contains(NAME) => Ok(None),
            Err(e) => Err(SandboxError::kube("try to write an operation", e)),
        }
    })
    .await
}

/// Takes down what an earlier sandbox with the same data has put up.
pub(super) async fn take_down(client: &Client) -> Result<(), SandboxError> {
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    match bindings.delete(NAME, &DeleteParams::default()).await {
        Err(kube::Error::Api(refusal)) if refusal.code == 404 => Ok(()),
        done => done.map(drop).map_err(|e| SandboxError::kube("take down the guard of operations", e)),
    }
}

fn operations() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("nodeward.dev", "v1", "NodeOperation"))
}
