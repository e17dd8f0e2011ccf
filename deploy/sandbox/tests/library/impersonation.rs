//! What the nodeward server's service account can do in whose name (KEP-5284): a caller's own rights, as far as they concern
//! changes of nodes. The requests are sent as they are, and dry, so that none disturbs another test.

use http::StatusCode;
use nodeward_sandbox::{SERVER_ACCOUNT, SERVER_NAMESPACE, Subject, User};

use crate::support::{Call, DISTURBED, sandbox};

const REFUSED: StatusCode = StatusCode::FORBIDDEN;

/// A call in the name of a user of the sandbox.
fn by(user: User, call: Call) -> Call {
    call.in_name_of(user.name(), &[user.group()])
}

async fn allowed(call: Call) {
    let (status, text) = call.send(&sandbox().await.server_client().await.unwrap()).await;
    assert!(status.is_success(), "{call:?}: {status} {text}");
}

/// Asserts that the call is refused, and that it is this user who lacks a right.
async fn refused(call: Call, username: &str) {
    let (status, text) = call.send(&sandbox().await.server_client().await.unwrap()).await;
    assert_eq!(status, REFUSED, "{call:?}: {text}");
    let message = serde_json::from_str::<serde_json::Value>(&text).unwrap()["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&format!("User \"{username}\" cannot ")), "{call:?}: {message}");
}

fn server() -> String {
    format!("system:serviceaccount:{SERVER_NAMESPACE}:{SERVER_ACCOUNT}")
}

/// Asserts that the caller may do it without nodeward: an administrator sends it in their name, which knows no limits.
async fn allowed_without_nodeward(call: Call) {
    let (status, text) = call.send(&sandbox().await.client().await.unwrap()).await;
    assert!(status.is_success(), "{call:?}: {status} {text}");
}

fn create_node() -> Call {
    Call::post("/api/v1/nodes", r#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"new"}}"#)
}

fn delete_node() -> Call {
    Call::new("DELETE", "/api/v1/nodes/worker-1?dryRun=All")
}

fn patch_status() -> Call {
    Call::patch("/api/v1/nodes/worker-1/status", r#"{"status":{"phase":"Running"}}"#)
}

#[tokio::test]
async fn the_server_alone_changes_no_node() {
    let _undisturbed = DISTURBED.read().await;
    for call in [Call::patch_node("worker-1"), create_node(), delete_node(), patch_status()] {
        refused(call, &server()).await;
    }
}

#[tokio::test]
async fn a_user_who_may_patch_a_node_does_so_through_the_server() {
    let _undisturbed = DISTURBED.read().await;
    allowed(by(User::Operator, Call::patch_node("worker-1"))).await;
}

#[tokio::test]
async fn an_admin_does_through_the_server_all_that_it_offers() {
    let _undisturbed = DISTURBED.read().await;
    for call in [Call::patch_node("worker-1"), create_node(), delete_node(), patch_status()] {
        allowed(by(User::Admin, call)).await;
    }
}

#[tokio::test]
async fn a_verb_that_the_server_does_not_offer_is_refused_to_those_who_may() {
    let _undisturbed = DISTURBED.read().await;
    for (method, path) in [
        ("DELETE", "/api/v1/nodes?dryRun=All&labelSelector=none=none"),
        ("GET", "/api/v1/nodes?limit=1"),
        ("GET", "/api/v1/nodes/worker-1/status"),
    ] {
        let call = by(User::Admin, Call::new(method, path));
        allowed_without_nodeward(call.clone()).await;
        refused(call, &server()).await;
    }
}

#[tokio::test]
async fn another_resource_is_refused_to_those_who_may() {
    let _undisturbed = DISTURBED.read().await;
    let subject = Subject::user("powerful");
    sandbox().await.bind(&subject, "cluster-admin").await.unwrap();
    let secrets = Call::new("GET", "/api/v1/secrets").in_name_of("powerful", &[]);
    let taint = Call::patch("/api/v1/namespaces/default", r#"{"metadata":{"labels":{"a":"b"}}}"#);
    for call in [secrets, taint.in_name_of("powerful", &[])] {
        allowed_without_nodeward(call.clone()).await;
        refused(call, &server()).await;
    }
}

#[tokio::test]
async fn a_user_who_may_not_patch_a_node_is_refused_by_their_own_rights() {
    let _undisturbed = DISTURBED.read().await;
    refused(by(User::Viewer, Call::patch_node("worker-1")), "viewer").await;
    refused(by(User::Auditor, Call::patch_node("worker-1")), "auditor").await;
    refused(by(User::Operator, patch_status()), "operator").await;
    refused(Call::patch_node("worker-1").in_name_of("nobody", &[]), "nobody").await;
}

#[tokio::test]
async fn nobody_is_in_the_masters_group_through_the_server() {
    let _undisturbed = DISTURBED.read().await;
    refused(Call::patch_node("worker-1").in_name_of("admin", &["system:masters"]), &server()).await;
    refused(Call::patch_node("worker-1").in_name_of("admin", &["nodeward:admins", "system:masters"]), &server()).await;
}

#[tokio::test]
async fn nobody_is_a_node_through_the_server() {
    let _undisturbed = DISTURBED.read().await;
    let node = "system:node:worker-1";
    refused(patch_status().in_name_of(node, &[]), &server()).await;
    refused(patch_status().in_name_of(node, &["system:nodes"]), &server()).await;
}

#[tokio::test]
async fn a_service_account_that_may_patch_a_node_does_so_through_the_server_and_another_does_not() {
    let _undisturbed = DISTURBED.read().await;
    let account = Subject::service_account("default", "fleet");
    sandbox().await.bind(&account, "nodeward-operator").await.unwrap();
    allowed(Call::patch_node("worker-1").in_name_of(&account.username().unwrap(), &[])).await;
    let other = "system:serviceaccount:default:other";
    refused(Call::patch_node("worker-1").in_name_of(other, &[]), other).await;
}

/// Its groups are known from its name: whoever sends some would be one more who is to be believed.
#[tokio::test]
async fn a_service_account_is_refused_with_groups() {
    let _undisturbed = DISTURBED.read().await;
    let account = Subject::service_account("default", "grouped");
    sandbox().await.bind(&account, "nodeward-operator").await.unwrap();
    let call = Call::patch_node("worker-1").in_name_of(&account.username().unwrap(), &["system:serviceaccounts"]);
    refused(call, &server()).await;
}

#[tokio::test]
async fn a_user_of_many_groups_has_the_rights_of_each() {
    let _undisturbed = DISTURBED.read().await;
    let groups = ["a", "b", "c", "d", User::Operator.group()];
    allowed(Call::patch_node("worker-1").in_name_of("alice", &groups)).await;
}

#[tokio::test]
async fn uids_and_extra_values_are_nothing_that_the_server_may_say() {
    let _undisturbed = DISTURBED.read().await;
    for (name, value) in [("impersonate-uid", "1"), ("impersonate-extra-scopes", "all")] {
        let call = by(User::Operator, Call::patch_node("worker-1")).header(name, value);
        refused(call, &server()).await;
    }
}
