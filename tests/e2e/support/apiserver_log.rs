//! The audit log of the apiserver: who did what, by Kubernetes' own account.

use serde_json::Value;

use super::{eventually, world};

/// The user of the nodeward server.
pub const SERVER: &str = "system:serviceaccount:nodeward-system:nodeward-server";

/// The event of a change of this node that Kubernetes has answered with this status code.
pub async fn change(verb: &str, node: &str, code: u16) -> Value {
    let is_it = |event: &Value| {
        event["verb"] == verb && event["objectRef"]["name"] == node && event["responseStatus"]["code"] == code
    };
    eventually("the event being written", async || events().await.into_iter().find(is_it)).await
}

/// All events. The last line may not be whole yet.
pub async fn events() -> Vec<Value> {
    let log = std::fs::read_to_string(world().await.sandbox.audit_log_path()).unwrap();
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Asserts that the server has made this change in the name of this user, who is in this group.
#[track_caller]
pub fn assert_made_in_the_name_of(event: &Value, user: &str, groups: &[&str]) {
    assert_eq!(event["user"]["username"], SERVER, "{event:#}");
    assert_eq!(event["impersonatedUser"]["username"], user, "{event:#}");
    let found = event["impersonatedUser"]["groups"].as_array().cloned().unwrap_or_default();
    let found: Vec<&str> = found.iter().filter_map(Value::as_str).collect();
    assert_eq!(found, groups, "{event:#}");
}
