//! Who may plan and drain: those with the right to ask for it, to cordon the node, and to remove its pods.

use k8s_openapi::api::rbac::v1::{ClusterRole, Role, RoleBinding};
use kube::Api;
use kube::api::PostParams;
use nodeward_api::google::longrunning::Operation;
use nodeward_api::v1::DrainNodeRequest;
use nodeward_api::v1::drain_policy::{AtDeadline, Removal};
use nodeward_api::v1::drain_service_client::DrainServiceClient;
use nodeward_sandbox::{ClientCertificate, Subject, User};
use serde_json::{Value, from_value, json};
use tonic::{Code, Status};

use crate::support::drains::{any_pod, drain, ended, operations_of, plan};
use crate::support::guarded::guarded;
use crate::support::operations::resources;
use crate::support::somebody::Somebody;
use crate::support::workload::Workload;
use crate::support::{assert_error, eventually, unique, world};

/// To ask for a drain and to cordon, but not to remove pods.
fn may_ask() -> [Value; 2] {
    [
        json!({ "apiGroups": ["nodeward.dev"], "resources": ["nodedrains"], "verbs": ["create"] }),
        json!({ "apiGroups": [""], "resources": ["nodes"], "verbs": ["patch"] }),
    ]
}

fn may_evict() -> Value {
    json!({ "apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"] })
}

/// Somebody with these rights, and their name.
async fn with_rules(rules: &[Value]) -> (Somebody, String) {
    let name = unique("drainer");
    let role = json!({ "metadata": { "name": name }, "rules": rules });
    let sandbox = &world().await.sandbox;
    let roles: Api<ClusterRole> = Api::all(sandbox.client().await.unwrap());
    roles.create(&PostParams::default(), &from_value(role).unwrap()).await.unwrap();
    sandbox.bind(&Subject::user(&name), &name).await.unwrap();
    (guarded().await.with(ClientCertificate::of(&name)).await, name)
}

/// Lets somebody do this in one namespace.
async fn allow_in(namespace: &str, user: &str, rule: Value) {
    let client = world().await.sandbox.client().await.unwrap();
    let (create, name) = (PostParams::default(), unique("drainer"));
    let role = json!({ "metadata": { "name": name }, "rules": [rule] });
    let roles: Api<Role> = Api::namespaced(client.clone(), namespace);
    roles.create(&create, &from_value(role).unwrap()).await.unwrap();
    let binding = json!({
        "metadata": { "name": name },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user }],
    });
    let bindings: Api<RoleBinding> = Api::namespaced(client, namespace);
    bindings.create(&create, &from_value(binding).unwrap()).await.unwrap();
}

async fn asks(somebody: &Somebody, request: DrainNodeRequest) -> Result<Operation, Status> {
    let mut drains = DrainServiceClient::with_interceptor(somebody.channel.clone(), somebody.says());
    drains.drain_node(request).await.map(|answer| answer.into_inner())
}

/// A node with a pod.
async fn node_with_pod() -> (String, Workload) {
    let node = guarded().await.node("rights").await;
    let workload = Workload::new(world().await.sandbox.client().await.unwrap(), "rights").await;
    workload.ready_pod("a", "web", &node).await;
    (node, workload)
}

#[track_caller]
fn denied(answer: Result<Operation, Status>, what: &str) {
    let status = assert_error(answer, Code::PermissionDenied, "ACCESS_DENIED");
    assert_eq!(status.message(), format!("the caller may not {what}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_plans_and_drains_and_a_viewer_does_neither() {
    let (node, workload) = node_with_pod().await;
    let viewer = guarded().await.user(User::Viewer).await;
    denied(asks(&viewer, drain(&node)).await, "create nodedrains.nodeward.dev");
    let mut plans = DrainServiceClient::with_interceptor(viewer.channel.clone(), viewer.says());
    assert_error(plans.plan_drain(plan(&node)).await, Code::PermissionDenied, "ACCESS_DENIED");

    let operator = guarded().await.user(User::Operator).await;
    let mut plans = DrainServiceClient::with_interceptor(operator.channel.clone(), operator.says());
    assert_eq!(plans.plan_drain(plan(&node)).await.unwrap().into_inner().totals.unwrap().evict, 1);
    let operation = asks(&operator, drain(&node)).await.unwrap();
    ended(&operation).await;
    assert!(workload.pods().list(&Default::default()).await.unwrap().items.is_empty());
    let stored = resources().await.get(operation.name.trim_start_matches("operations/")).await.unwrap();
    assert_eq!(stored.spec.requester.username, "operator");
    assert!(stored.spec.requester.groups.iter().any(|group| group == User::Operator.group()));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_cordon_the_node_may_not_drain_it() {
    let (node, _) = node_with_pod().await;
    let [asking, _] = may_ask();
    let (somebody, _) = with_rules(&[asking, may_evict()]).await;
    denied(asks(&somebody, drain(&node)).await, "patch nodes");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_remove_the_pods_is_refused_at_once() {
    let (node, workload) = node_with_pod().await;
    let namespace = &workload.namespace;
    let (somebody, name) = with_rules(&may_ask()).await;
    let refused = format!("create pods/eviction in namespace {namespace}");
    denied(asks(&somebody, drain(&node)).await, &refused);
    let found = world().await.kubernetes().await.get(&node).await.unwrap();
    assert!(found.spec.unwrap().unschedulable.is_none() && operations_of(&node).await.is_empty());

    // In the namespace of the pods is enough.
    allow_in(namespace, &name, may_evict()).await;
    let try_it = DrainNodeRequest { validate_only: true, ..drain(&node) };
    eventually("the right is known", async || asks(&somebody, try_it.clone()).await.ok()).await;
    // To delete them is another right, now or at the deadline.
    let mut deleting = try_it.clone();
    deleting.policy = Some(nodeward_api::v1::DrainPolicy { removal: Removal::Delete.into(), ..any_pod() });
    denied(asks(&somebody, deleting).await, &format!("delete pods in namespace {namespace}"));
    let mut in_the_end = try_it;
    let deadline = Some(prost_types::Duration { seconds: 600, nanos: 0 });
    in_the_end.policy =
        Some(nodeward_api::v1::DrainPolicy { deadline, at_deadline: AtDeadline::Delete.into(), ..any_pod() });
    denied(asks(&somebody, in_the_end).await, &format!("delete pods in namespace {namespace}"));
    ended(&asks(&somebody, drain(&node)).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_to_drain_may_be_one_for_a_single_node() {
    let ((own, _), (others, _)) = (node_with_pod().await, node_with_pod().await);
    let [mut asking, mut cordoning] = may_ask();
    asking["resourceNames"] = json!([own]);
    cordoning["resourceNames"] = json!([own]);
    let (somebody, _) = with_rules(&[asking, cordoning, may_evict()]).await;
    denied(asks(&somebody, drain(&others)).await, "create nodedrains.nodeward.dev");
    ended(&asks(&somebody, drain(&own)).await.unwrap()).await;
}
