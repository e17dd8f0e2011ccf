//! Who may call which RPC: exactly those whom Kubernetes' RBAC lets do the same.

use std::collections::BTreeSet;

use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::Api;
use kube::api::PostParams;
use nodeward_api::v1::patch_node_request::PatchType;
use nodeward_api::v1::{
    CordonNodeRequest, CreateNodeRequest, DeleteNodeRequest, DeleteNodesRequest, GetNodeRequest, ListNodesRequest,
    Node, NodeSpec, NodeStatus, PatchNodeRequest, StreamNodesRequest, UncordonNodeRequest, UpdateNodeRequest,
    UpdateNodeStatusRequest, WatchNodesRequest,
};
use nodeward_sandbox::{ClientCertificate, Subject, User};
use serde_json::json;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::support::apiserver_log::{assert_made_in_the_name_of, change};
use crate::support::guarded::guarded;
use crate::support::raw::methods;
use crate::support::requests::{AUDIT, DRAINS, OPERATION_CHANGES, OPERATION_READS, PATCHES, READS};
use crate::support::somebody::Somebody;
use crate::support::tokens::{NAMESPACE, token, username};
use crate::support::{ErrorExt, assert_error, unique, world};

/// Asserts that these are all RPCs that somebody may call.
async fn assert_may(somebody: &Somebody, node: &str, rpcs: &[&[&str]]) {
    let may: BTreeSet<String> = somebody.may(node).await.into_iter().collect();
    let expected: BTreeSet<String> = rpcs.iter().copied().flatten().map(|rpc| (*rpc).to_owned()).collect();
    assert_eq!(may, expected);
}

fn one_rpc(rpc: &str) -> Vec<String> {
    vec![rpc.to_owned()]
}

#[tokio::test]
async fn everybody_may_call_what_their_role_lets_them_do() {
    let guarded = guarded().await;
    let node = guarded.node("rights").await;
    let methods = methods();
    let all: Vec<&str> = methods.iter().map(|method| method.name()).collect();
    let of_nodes: Vec<&str> = all.iter().copied().filter(|rpc| !AUDIT.contains(rpc)).collect();
    assert_may(&guarded.user(User::Admin).await, &node, &[&of_nodes]).await;
    let of_an_operator: [&[&str]; 5] = [&READS, &PATCHES, &DRAINS, &OPERATION_READS, &OPERATION_CHANGES];
    assert_may(&guarded.user(User::Operator).await, &node, &of_an_operator).await;
    assert_may(&guarded.user(User::Viewer).await, &node, &[&READS, &OPERATION_READS]).await;
    assert_may(&guarded.user(User::Auditor).await, &node, &[&["GetNode"], &AUDIT]).await;
    assert_may(&guarded.with(ClientCertificate::of("stranger")).await, &node, &[]).await;
}

#[tokio::test]
async fn a_service_account_may_call_what_its_role_lets_it_do() {
    let guarded = guarded().await;
    let node = guarded.node("rights").await;
    let [account, other] = [(); 2].map(|()| unique("fleet"));
    let subject = Subject::service_account(NAMESPACE, &account);
    world().await.sandbox.bind(&subject, "nodeward-operator").await.unwrap();
    let of_an_operator: [&[&str]; 5] = [&READS, &PATCHES, &DRAINS, &OPERATION_READS, &OPERATION_CHANGES];
    assert_may(&guarded.with_token(&token(&account).await).await, &node, &of_an_operator).await;
    assert_may(&guarded.with_token(&token(&other).await).await, &node, &[]).await;
}

/// Gives somebody a role with this rule: a client certificate for them.
async fn with_rule(rule: serde_json::Value) -> ClientCertificate {
    let name = unique("by-rule");
    let role = json!({ "metadata": { "name": name }, "rules": [rule] });
    let sandbox = &world().await.sandbox;
    let roles: Api<ClusterRole> = Api::all(sandbox.client().await.unwrap());
    roles.create(&PostParams::default(), &serde_json::from_value(role).unwrap()).await.unwrap();
    sandbox.bind(&Subject::user(&name), &name).await.unwrap();
    ClientCertificate::of(name)
}

#[tokio::test]
async fn a_role_for_one_node_is_for_that_node() {
    let guarded = guarded().await;
    let (own, others) = (guarded.node("own").await, guarded.node("others").await);
    let rule = json!({ "apiGroups": [""], "resources": ["nodes"], "verbs": ["*"], "resourceNames": [own] });
    let owner = guarded.with(with_rule(rule).await).await;
    assert_may(&owner, &own, &[&["GetNode", "DeleteNode"], &PATCHES]).await;
    assert_may(&owner, &others, &[]).await;
}

#[tokio::test]
async fn the_right_to_the_status_is_a_right_of_its_own() {
    let guarded = guarded().await;
    let node = guarded.node("rights").await;
    let rule = json!({ "apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch"] });
    let reporter = guarded.with(with_rule(rule).await).await;
    assert_eq!(reporter.may(&node).await, one_rpc("UpdateNodeStatus"));
    let mut client = reporter.client();
    let patch = |subresource| PatchNodeRequest {
        name: format!("nodes/{node}"),
        r#type: PatchType::Merge.into(),
        patch: r#"{"status": {"phase": "Running"}}"#.to_owned(),
        subresource,
        validate_only: true,
        ..PatchNodeRequest::default()
    };
    client.patch_node(patch(1)).await.unwrap();
    assert_error(client.patch_node(patch(0)).await, Code::PermissionDenied, "ACCESS_DENIED");
}

/// Who may delete nodes and not read them must not find out about them by filters.
#[tokio::test]
async fn the_right_to_delete_nodes_is_none_to_search_them() {
    let guarded = guarded().await;
    let node = guarded.node("rights").await;
    let rule = json!({ "apiGroups": [""], "resources": ["nodes"], "verbs": ["delete"] });
    let reaper = guarded.with(with_rule(rule).await).await;
    assert_eq!(reaper.may(&node).await, one_rpc("DeleteNode"));
}

#[tokio::test]
async fn an_apply_creates_a_node_only_for_those_who_may_create_one() {
    let guarded = guarded().await;
    let apply = async |user, name: &str| guarded.user(user).await.apply(name).await;
    let name = unique("applied");
    let refused = assert_error(apply(User::Operator, &name).await, Code::FailedPrecondition, "CLUSTER_DENIED");
    assert!(refused.message().contains("cannot create"), "{refused:?}");
    assert!(world().await.kubernetes().await.get_opt(&name).await.unwrap().is_none());
    apply(User::Admin, &name).await.unwrap();
    apply(User::Operator, &name).await.unwrap();
}

/// The server has the rights of deploy/rbac and no others: whatever an RPC needs is among them.
#[tokio::test]
async fn an_admin_carries_out_every_rpc() {
    let mut client = guarded().await.user(User::Admin).await.client();
    let id = unique("admins");
    let name = format!("nodes/{id}");
    let request_id = || Uuid::new_v4().to_string();
    let named = |spec, status| Some(Node { name: name.clone(), spec, status, ..Node::default() });

    let create = CreateNodeRequest {
        node_id: id.clone(),
        node: Some(Node::default()),
        request_id: request_id(),
        ..Default::default()
    };
    client.create_node(create.clone()).await.unwrap();
    client.create_node(create).await.expect("it was carried out already");
    let spec = NodeSpec { provider_id: Some("a://b".to_owned()), ..NodeSpec::default() };
    let update = UpdateNodeRequest { node: named(Some(spec), None), request_id: request_id(), ..Default::default() };
    client.update_node(update).await.unwrap();
    let status = NodeStatus { volumes_in_use: vec!["disk-1".to_owned()], ..NodeStatus::default() };
    let update = UpdateNodeStatusRequest { node: named(None, Some(status)), ..Default::default() };
    client.update_node_status(update).await.unwrap();
    for (r#type, patch) in [
        (PatchType::Json, r#"[{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]"#),
        (PatchType::Merge, r#"{"metadata": {"labels": {"team": "access"}}}"#),
        (PatchType::StrategicMerge, r#"{"metadata": {"labels": {"$patch": "replace", "c": "d"}}}"#),
        (PatchType::Apply, r#"{"metadata": {"labels": {"e": "f"}}}"#),
    ] {
        let patch = patch.to_owned();
        let field_manager = "admin".to_owned();
        let request =
            PatchNodeRequest { name: name.clone(), r#type: r#type.into(), patch, field_manager, ..Default::default() };
        client.patch_node(request).await.unwrap_or_else(|status| panic!("{type:?}: {status:?}"));
    }
    client.cordon_node(CordonNodeRequest { name: name.clone(), ..Default::default() }).await.unwrap();
    client.uncordon_node(UncordonNodeRequest { name: name.clone(), ..Default::default() }).await.unwrap();
    for consistency in [1, 2] {
        let get = GetNodeRequest { name: name.clone(), consistency, ..Default::default() };
        client.get_node(get).await.unwrap();
        let list = ListNodesRequest { filter: format!("name = {id:?}"), consistency, ..Default::default() };
        assert_eq!(client.list_nodes(list).await.unwrap().into_inner().total_size, 1);
        let stream = StreamNodesRequest { filter: format!("name = {id:?}"), consistency, ..Default::default() };
        let mut stream = client.stream_nodes(stream).await.unwrap().into_inner();
        assert_eq!(stream.message().await.unwrap().unwrap().nodes.len(), 1);
    }
    let mut watch = client.watch_nodes(WatchNodesRequest::default()).await.unwrap().into_inner();
    watch.message().await.unwrap().unwrap();
    let delete = DeleteNodeRequest { name: name.clone(), request_id: request_id(), ..Default::default() };
    client.delete_node(delete).await.unwrap();
    let again = CreateNodeRequest { node_id: id.clone(), node: Some(Node::default()), ..Default::default() };
    client.create_node(again).await.unwrap();
    let filter = format!("name = {id:?}");
    let delete = DeleteNodesRequest { filter, expected_count: 1, request_id: request_id(), ..Default::default() };
    assert_eq!(client.delete_nodes(delete).await.unwrap().into_inner().deleted_nodes, [name]);
}

#[tokio::test]
async fn kubernetes_sees_the_caller_and_who_acts_for_them() {
    let guarded = guarded().await;
    let (by_user, by_account) = (guarded.node("seen").await, guarded.node("seen").await);
    let cordon = |node: &str| CordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    guarded.user(User::Operator).await.client().cordon_node(cordon(&by_user)).await.unwrap();
    let event = change("patch", &by_user, 200).await;
    assert_made_in_the_name_of(&event, "operator", &[User::Operator.group(), "system:authenticated"]);

    let account = unique("seen");
    let subject = Subject::service_account(NAMESPACE, &account);
    world().await.sandbox.bind(&subject, "nodeward-operator").await.unwrap();
    let mut client = guarded.with_token(&token(&account).await).await.client();
    client.cordon_node(cordon(&by_account)).await.unwrap();
    let event = change("patch", &by_account, 200).await;
    let groups = ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"];
    assert_made_in_the_name_of(&event, &username(&account), &groups);
}

/// A name need not be of letters that a header usually has.
#[tokio::test]
async fn whatever_a_user_is_called_it_is_they_who_act() {
    let guarded = guarded().await;
    let node = guarded.node("called").await;
    let name = format!("{} J\u{f6}rg %0A \u{1f980}, \"\u{e9}\"", unique("called"));
    let somebody = guarded.with(ClientCertificate::of(&name).group(User::Operator.group())).await;
    let request = CordonNodeRequest { name: format!("nodes/{node}"), ..Default::default() };
    somebody.client().cordon_node(request).await.unwrap();
    let groups = [User::Operator.group(), "system:authenticated"];
    assert_made_in_the_name_of(&change("patch", &node, 200).await, &name, &groups);
}

/// All that a client sees of a refusal.
fn seen(refusal: Result<(), Status>) -> (Code, String, Vec<u8>, String) {
    let status = assert_error(refusal, Code::PermissionDenied, "ACCESS_DENIED");
    // Each call has ids and a time of its own.
    let mut metadata = status.metadata().clone();
    for name in ["x-trace-id", "x-audit-id", "date"] {
        if let Some(value) = metadata.get_mut(name) {
            *value = MetadataValue::from_static("another");
        }
    }
    (status.code(), status.message().to_owned(), status.details().to_vec(), format!("{metadata:?}"))
}

#[tokio::test]
async fn a_refusal_tells_nothing_of_whether_a_node_exists() {
    let guarded = guarded().await;
    let (exists, own) = (guarded.node("exists").await, guarded.node("own").await);
    let rule = json!({ "apiGroups": [""], "resources": ["nodes"], "verbs": ["*"], "resourceNames": [own] });
    let people = [
        guarded.with(ClientCertificate::of("stranger")).await,
        guarded.user(User::Viewer).await,
        guarded.with(with_rule(rule).await).await,
        guarded.with_token(&token("refused").await).await,
    ];
    let mut refused = 0;
    for somebody in people {
        for method in methods() {
            let rpc = method.name();
            let about_one = somebody.ask_method(&method, &exists).await;
            if about_one.as_ref().is_err_and(|status| status.reason() == "ACCESS_DENIED") {
                refused += 1;
                assert_eq!(seen(about_one), seen(somebody.ask_method(&method, "missing").await), "{rpc}");
            }
        }
    }
    assert_eq!(refused, 23 + 15 + 23 + 23);
}

/// What Kubernetes answers to a creation is what was created. Sent again, it is answered with what has become of it.
#[tokio::test]
async fn the_right_to_create_a_node_is_none_to_read_what_becomes_of_it() {
    let rule = json!({ "apiGroups": [""], "resources": ["nodes"], "verbs": ["create"] });
    let creator = guarded().await.with(with_rule(rule).await).await;
    let request = CreateNodeRequest {
        node_id: unique("created"),
        node: Some(Node::default()),
        request_id: uuid::Uuid::new_v4().to_string(),
        ..CreateNodeRequest::default()
    };
    let first = creator.client().create_node(request.clone()).await.unwrap().into_inner();
    assert!(first.metadata.as_ref().unwrap().creation_timestamp.is_some());
    let again = creator.client().create_node(request.clone()).await.unwrap().into_inner();
    let (first, again_metadata) = (first.metadata.unwrap(), again.metadata.unwrap());
    assert_eq!(again_metadata.uid, first.uid);
    assert!(again_metadata.creation_timestamp.is_none() && again_metadata.annotations.is_empty(), "{again_metadata:?}");
    // Who may read it is told all.
    let admin = guarded().await.user(User::Admin).await;
    let request =
        CreateNodeRequest { node_id: unique("created"), request_id: uuid::Uuid::new_v4().to_string(), ..request };
    admin.client().create_node(request.clone()).await.unwrap();
    let again = admin.client().create_node(request).await.unwrap().into_inner();
    assert!(again.metadata.unwrap().creation_timestamp.is_some());
}
