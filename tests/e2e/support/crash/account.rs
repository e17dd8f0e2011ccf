//! What servers have asked of the apiserver, by its own account.

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::Ground;

/// Something that a server has asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What, as `verb resource/subresource`.
    pub what: String,
    /// Of which object.
    pub name: String,
    /// In which namespace. Empty for what has none.
    pub namespace: String,
    /// The uid that the removal of a pod is for.
    pub uid: String,
    /// The status code of the answer.
    pub code: u64,
    /// The id of the token that it was asked with.
    pub credential: String,
    /// In whose name it was asked. Empty: in the server's.
    pub user: String,
    /// When it was received.
    pub at: Timestamp,
    is_dry_run: bool,
}

/// All that was asked and answered so far.
pub fn asked(ground: &Ground) -> Vec<Asked> {
    let log = std::fs::read_to_string(ground.sandbox.audit_log_path()).unwrap();
    // The last line may not be whole yet.
    let events = log.lines().filter_map(|line| serde_json::from_str(line).ok());
    events.map(|event: Value| Asked::of(&event)).collect()
}

impl Asked {
    fn of(event: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (object, body) = (&event["objectRef"], &event["requestObject"]);
        let options = if body["deleteOptions"].is_null() { body } else { &body["deleteOptions"] };
        let resource = match object["subresource"].as_str() {
            Some(subresource) => format!("{}/{subresource}", text(&object["resource"])),
            None => text(&object["resource"]),
        };
        Self {
            what: format!("{} {resource}", text(&event["verb"])),
            name: text(&object["name"]),
            namespace: text(&object["namespace"]),
            uid: text(&options["preconditions"]["uid"]),
            code: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
            credential: text(&event["user"]["extra"]["authentication.kubernetes.io/credential-id"][0]),
            user: text(&event["impersonatedUser"]["username"]),
            at: text(&event["requestReceivedTimestamp"]).parse().unwrap(),
            is_dry_run: event["requestURI"].as_str().is_some_and(|uri| uri.contains("dryRun")),
        }
    }

    /// Whether it is the removal of a pod, in earnest.
    pub fn is_removal(&self) -> bool {
        !self.is_dry_run && ["create pods/eviction", "delete pods", "deletecollection pods"].contains(&&*self.what)
    }

    /// Whether it was done.
    pub fn is_done(&self) -> bool {
        (200..300).contains(&self.code)
    }
}
