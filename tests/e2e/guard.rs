//! Who may write operations: nodeward's service account, and nobody else, whatever RBAC says. They carry the names of those in
//! whose name pods are removed.

use std::fmt::Debug;

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt as _};
use nodeward_sandbox::{Sandbox, SandboxOptions, Subject, User};
use nodeward_server::cluster::ClusterOptions;
use nodeward_server::drain::DrainPolicy;
use nodeward_server::operation::{
    Cancel, NodeIdentity, NodeOperation, OperationSpec, OperationStatus, Requester, State,
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::support::guarded::options_in;
use crate::support::{eventually, on_shared_runtime, operations, start_operating_server, unique};

/// A sandbox in which operations are guarded.
async fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceCell<Sandbox> = OnceCell::const_new();
    let options =
        SandboxOptions { nodes: 2, seed_workloads: false, guard_operations: true, ..SandboxOptions::default() };
    let start = async || {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Sandbox::start(options).await.unwrap()
    };
    SANDBOX.get_or_init(start).await
}

fn operations(client: Client) -> Api<NodeOperation> {
    Api::all(client)
}

/// The operations as the server sees them.
async fn servers() -> Api<NodeOperation> {
    operations(sandbox().await.server_client().await.unwrap())
}

/// Somebody who may do anything with operations, as far as RBAC is concerned.
async fn mallory() -> Client {
    let sandbox = sandbox().await;
    let role: ClusterRole = serde_json::from_value(json!({
        "metadata": { "name": unique("writes-operations") },
        "rules": [{
            "apiGroups": ["nodeward.dev"],
            "resources": ["nodeoperations", "nodeoperations/status"],
            "verbs": ["*"],
        }],
    }))
    .unwrap();
    let role = Api::all(sandbox.client().await.unwrap()).create(&PostParams::default(), &role).await.unwrap();
    sandbox.bind(&Subject::user("mallory"), &role.name_any()).await.unwrap();
    let kubeconfig = Kubeconfig::read_from(sandbox.kubeconfig_path()).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.auth_info.impersonate = Some("mallory".to_owned());
    Client::try_from(config).unwrap()
}

/// An operation that no server carries out: there is no such node.
fn operation() -> NodeOperation {
    let spec = OperationSpec {
        node: NodeIdentity { name: "none".to_owned(), uid: "none".to_owned() },
        requester: Requester { username: "alice".to_owned(), ..Requester::default() },
        ..OperationSpec::default()
    };
    NodeOperation { metadata: named(&unique("operation")), spec, status: None }
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}

async fn patch(api: &Api<NodeOperation>, name: &str, patch: Value) -> kube::Result<NodeOperation> {
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
}

fn refusal<T: Debug>(answer: kube::Result<T>) -> (u16, String) {
    match answer {
        Err(kube::Error::Api(status)) => (status.code, status.message.clone()),
        other => panic!("not refused: {other:?}"),
    }
}

async fn is_refused_all(api: Api<NodeOperation>) {
    let stored = servers().await.create(&PostParams::default(), &operation()).await.unwrap();
    let name = stored.name_any();
    let (post, cancel) = (PostParams::default(), json!({ "spec": { "cancel": { "username": "mallory" } } }));
    let status = Patch::Merge(json!({ "status": { "state": "Succeeded" } }));
    let refusals = [
        refusal(api.create(&post, &operation()).await),
        refusal(patch(&api, &name, json!({ "spec": { "requester": { "username": "mallory" } } })).await),
        refusal(patch(&api, &name, cancel).await),
        refusal(patch(&api, &name, json!({ "metadata": { "labels": { "a": "b" } } })).await),
        refusal(api.patch_status(&name, &PatchParams::default(), &status).await),
        refusal(api.delete(&name, &DeleteParams::default()).await),
        refusal(api.delete_collection(&DeleteParams::default(), &ListParams::default()).await),
    ];
    for (code, message) in refusals {
        assert_eq!(code, 403, "{message}");
        assert!(message.contains("operations are written by nodeward alone"), "{message}");
        assert!(message.contains("delete the ValidatingAdmissionPolicyBinding"), "{message}");
    }
    let found = servers().await.get(&name).await.unwrap();
    assert_eq!((found.spec, found.metadata.labels), (stored.spec, stored.metadata.labels));
}

#[tokio::test]
async fn not_even_an_administrator_writes_operations() {
    is_refused_all(operations(sandbox().await.client().await.unwrap())).await;
}

#[tokio::test]
async fn rbac_alone_lets_nobody_write_operations() {
    is_refused_all(operations(mallory().await)).await;
}

#[tokio::test]
async fn nothing_of_an_operation_but_that_it_is_cancelled_can_be_changed() {
    let servers = servers().await;
    let name = servers.create(&PostParams::default(), &operation()).await.unwrap().name_any();
    let others = [
        json!({ "requester": { "username": "bob" } }),
        json!({ "node": { "uid": "another" } }),
        json!({ "drain": { "policy": {} } }),
    ];
    for spec in others {
        let (code, message) = refusal(patch(&servers, &name, json!({ "spec": spec })).await);
        assert_eq!(code, 422, "{message}");
        assert!(message.contains("nothing but `spec.cancel` can be changed"), "{message}");
    }
    let cancel = Cancel { username: "alice".to_owned(), ..Cancel::default() };
    patch(&servers, &name, json!({ "spec": { "cancel": cancel } })).await.unwrap();
    let (code, message) = refusal(patch(&servers, &name, json!({ "spec": { "cancel": null } })).await);
    assert_eq!(code, 422, "{message}");
    assert!(message.contains("stays cancelled"), "{message}");
    servers.delete(&name, &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn the_server_carries_out_what_is_guarded() {
    let sandbox = sandbox().await;
    let kubeconfig = Some(sandbox.server_kubeconfig());
    let cluster = ClusterOptions { kubeconfig, ..ClusterOptions::default() };
    let server = on_shared_runtime(move || async move {
        let server = start_operating_server(&cluster, options_in(sandbox)).await;
        server.ready().await;
        server
    })
    .await;

    let nodes: Api<Node> = Api::all(sandbox.client().await.unwrap());
    let node = nodes.get("worker-1").await.unwrap();
    let policy = DrainPolicy::default();
    let spec =
        operations::to_drain(&node.name_any(), &node.uid().unwrap(), &policy, operations::requester(User::Admin));
    let servers = servers().await;
    let name = servers.create(&PostParams::default(), &operations::operation(spec)).await.unwrap().name_any();
    let status: OperationStatus = eventually("the drain has ended", async || {
        let status = servers.get(&name).await.unwrap().status.unwrap_or_default();
        status.state.is_final().then_some(status)
    })
    .await;
    assert_eq!(status.state, State::Succeeded, "{status:#?}");
    drop(server);
}
