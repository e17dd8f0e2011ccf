//! What the apiserver writes into its audit log, and what it does not.

use std::fs;

use http::StatusCode;
use nodeward_sandbox::{Sandbox, User};
use serde_json::Value;

use crate::support::{Call, DISTURBED, sandbox, until};

/// The events of the log. The last line may not be whole yet.
fn events(sandbox: &Sandbox) -> Vec<Value> {
    let log = fs::read_to_string(sandbox.audit_log_path()).unwrap_or_default();
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Waits for the event of this audit id.
async fn event(sandbox: &Sandbox, id: &str) -> Value {
    let find = || events(sandbox).into_iter().find(|event| event["auditID"] == id);
    until("the event being written", async || find().is_some()).await;
    find().unwrap()
}

#[tokio::test]
async fn a_change_in_somebodys_name_is_found_by_the_audit_id_that_it_was_sent_with() {
    let _undisturbed = DISTURBED.read().await;
    let sandbox = sandbox().await;
    let id = "5c4f3e2a-0000-4000-8000-000000000001";
    let call = Call::patch_node("worker-1").in_name_of(User::Operator.name(), &[User::Operator.group()]);
    let (status, text) = call.header("audit-id", id).send(&sandbox.server_client().await.unwrap()).await;
    assert!(status.is_success(), "{text}");

    let event = event(sandbox, id).await;
    assert_eq!(event["user"]["username"], "system:serviceaccount:nodeward-system:nodeward-server");
    assert_eq!(event["impersonatedUser"]["username"], "operator");
    assert_eq!(event["authenticationMetadata"]["impersonationConstraint"], "impersonate:user-info");
    assert_eq!((&event["verb"], &event["objectRef"]["name"]), (&"patch".into(), &"worker-1".into()));
    assert_eq!((&event["level"], &event["requestObject"]), (&"Metadata".into(), &Value::Null));
}

#[tokio::test]
async fn what_the_server_is_refused_in_somebodys_name_is_written_whatever_it_concerns() {
    let _undisturbed = DISTURBED.read().await;
    let sandbox = sandbox().await;
    let id = "5c4f3e2a-0000-4000-8000-000000000002";
    let call = Call::new("GET", "/api/v1/secrets").in_name_of(User::Admin.name(), &[User::Admin.group()]);
    let (status, _) = call.header("audit-id", id).send(&sandbox.server_client().await.unwrap()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(event(sandbox, id).await["responseStatus"]["code"], 403);
}

#[tokio::test]
async fn what_the_control_plane_does_by_itself_is_not_written() {
    let _undisturbed = DISTURBED.read().await;
    let sandbox = sandbox().await;
    let id = "5c4f3e2a-0000-4000-8000-000000000003";
    // Whatever was done before it has been written by then, if it ever is.
    Call::new("GET", "/api/v1/nodes/worker-1").header("audit-id", id).send(&sandbox.client().await.unwrap()).await;
    event(sandbox, id).await;
    let theirs = |event: &Value| {
        let user = event["user"]["username"].as_str().unwrap_or_default();
        !["sandbox-admin", "system:serviceaccount:nodeward-system:nodeward-server"].contains(&user)
    };
    let written: Vec<_> = events(sandbox).into_iter().filter(theirs).collect();
    assert!(written.is_empty(), "{written:?}");
}
