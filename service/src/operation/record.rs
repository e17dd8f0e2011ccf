//! The custom resource of an operation.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::caller::{Caller, Credential, Details, Principal};
use crate::drain::PodProgress;

/// The label of an operation that holds the uid of the node that it is about.
pub const NODE_UID_LABEL: &str = "nodeward.dev/node-uid";

/// What is to be done. Written when it is asked for; only `cancel` is written later.
#[derive(Clone, Debug, Default, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "nodeward.dev",
    version = "v1",
    kind = "NodeOperation",
    plural = "nodeoperations",
    status = "OperationStatus",
    doc = "An operation of nodeward, such as a drain. Written by nodeward alone: it carries the identity of whoever asked.",
    printcolumn = r#"{"name": "Node", "type": "string", "jsonPath": ".spec.node.name"}"#,
    printcolumn = r#"{"name": "State", "type": "string", "jsonPath": ".status.state"}"#,
    printcolumn = r#"{"name": "Requester", "type": "string", "jsonPath": ".spec.requester.username"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct OperationSpec {
    /// The node that it is about.
    pub node: NodeIdentity,
    /// That the node is to be drained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Drain>,
    /// In whose name it is carried out.
    pub requester: Requester,
    /// The id of the request, if it had one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// Stands for all else that the request held.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_digest: String,
    /// Why, in the requester's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The id of the request's audit records.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub audit_id: String,
    /// The trace context of the request, in the form of the header `traceparent`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trace_parent: String,
    /// That it is to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<Cancel>,
}

/// Which node: one that is made anew under the name is another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeIdentity {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// How a node is to be drained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    /// The policy.
    #[schemars(schema_with = "any_object")]
    pub policy: Value,
}

/// Who asked for it, as Kubernetes knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Requester {
    /// The user name. Empty for the server itself.
    #[serde(default)]
    pub username: String,
    /// The groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Their uid, if Kubernetes has said one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// What else Kubernetes has said of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Vec<String>>,
    /// How they showed who they are.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub credential: String,
}

/// That an operation is to end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cancel {
    /// Who asked for that.
    pub username: String,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// Whether the operation is to take its claim on the node's cordon back. Otherwise the node stays cordoned.
    #[serde(default, skip_serializing_if = "is_false")]
    pub release_cordon: bool,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The id of the request that asked for it, if it had one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
}

/// How far an operation has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OperationStatus {
    /// How far.
    pub state: State,
    /// More in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The number of the event that `state` and `message` were the news of.
    pub state_sequence: i64,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_time: Option<Timestamp>,
    /// The number of the last event.
    pub sequence: i64,
    /// The server that carries it out.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub holder: String,
    /// The term of that server: one of a lower term has been replaced, and its writes are refused.
    pub term: i64,
    /// The trace of it, whichever servers carry it out.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trace_id: String,
    /// When it began to be carried out, whichever server did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    /// What holds for the node's cordon.
    pub cordon: Cordon,
    /// The pods that it has to do with, each where it is. Of those that are gone, the latest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<PodProgress>,
    /// How many more pods are gone.
    #[serde(skip_serializing_if = "is_zero")]
    pub forgotten_pods: u32,
    /// When it has ended at the latest, as it looked when this was written. None where nobody can know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_end_time: Option<Timestamp>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<OperationFailure>,
}

/// How far an operation has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum State {
    /// No server has begun to carry it out.
    #[default]
    Pending,
    /// It is being carried out.
    Running,
    /// All that is left is blocked.
    Blocked,
    /// It waits for somebody, as its policy says.
    Paused,
    /// It was asked to end, and what it began is ending.
    Cancelling,
    /// It has reached its end.
    Succeeded,
    /// It has ended without.
    Failed,
    /// It has ended as it was asked to.
    Cancelled,
}

/// What holds for the cordon of the node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Cordon {
    /// What holds.
    pub state: CordonState,
    /// Who changed it last, if it was not the operation itself: a field manager.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub manager: String,
    /// The number of the event that this was the news of.
    pub sequence: i64,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
}

/// Whose cordon it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CordonState {
    /// The node is not cordoned yet.
    #[default]
    None,
    /// The operation has cordoned it.
    Own,
    /// Somebody had cordoned it before.
    Foreign,
    /// Somebody has made it schedulable meanwhile.
    Lifted,
    /// The operation has ended and left its cordon.
    Left,
    /// The operation has ended and taken its cordon away.
    Released,
}

/// Why an operation failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OperationFailure {
    /// The number of the gRPC code.
    pub code: i32,
    /// The reason, as in docs/errors.md.
    pub reason: String,
    /// In words.
    pub message: String,
}

impl State {
    /// Its name in traces and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Blocked => "blocked",
            Self::Paused => "paused",
            Self::Cancelling => "cancelling",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it has ended.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl Requester {
    /// The caller who asks.
    pub fn of(caller: &Caller) -> Self {
        match caller {
            Caller::Server => Self::default(),
            Caller::User(principal) => Self {
                username: principal.username.clone(),
                groups: principal.groups.clone(),
                uid: principal.details.uid.clone(),
                extra: principal.details.extra.clone(),
                credential: principal.credential.as_str().to_owned(),
            },
        }
    }

    /// Whether this is the caller. Users of one name are told apart by their uids, where Kubernetes knows both.
    pub fn is(&self, caller: &Caller) -> bool {
        match caller {
            Caller::Server => self.username.is_empty(),
            Caller::User(user) => {
                let uids = [&self.uid, &user.details.uid];
                !self.username.is_empty()
                    && self.username == user.username
                    && (uids[0] == uids[1] || uids.iter().any(|uid| uid.is_empty()))
            }
        }
    }

    /// The caller in whose name it is carried out. Their credential has been shown once; whether they still may is asked
    /// of Kubernetes each time.
    pub fn caller(&self) -> Caller {
        if self.username.is_empty() {
            return Caller::Server;
        }
        let (username, groups) = (self.username.clone(), self.groups.clone());
        let credential = Credential::named(&self.credential).unwrap_or(Credential::Certificate);
        let details = Details { uid: self.uid.clone(), extra: self.extra.clone() };
        Caller::User(Principal { username, groups, details, credential, expires: None }.into())
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// An object that only nodeward looks into.
fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "nullable": true, "x-kubernetes-preserve-unknown-fields": true})
}

#[cfg(test)]
mod tests {
    use kube::CustomResourceExt as _;

    use super::*;

    #[test]
    fn the_definition_in_the_deployment_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/crd/nodeoperations.yaml");
        let expected = format!("{HEAD}{}", serde_saphyr::to_string(&NodeOperation::crd()).unwrap());
        if std::env::var_os("NODEWARD_WRITE_CRD").is_some() {
            std::fs::write(path, &expected).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            found == expected,
            "bring it up to date: NODEWARD_WRITE_CRD=1 cargo test -p nodeward-server the_definition"
        );
    }

    const HEAD: &str = "# Made from service/src/operation/record.rs, and held to it by a test there.\n";

    fn alice() -> Principal {
        Principal {
            username: "alice".to_owned(),
            groups: vec!["fleet".to_owned()],
            details: Details {
                uid: "u".to_owned(),
                extra: [("example.com/pod".to_owned(), vec!["backend".to_owned()])].into(),
            },
            credential: Credential::OidcToken,
            expires: None,
        }
    }

    #[test]
    fn whoever_asked_is_known_again() {
        for caller in [Caller::Server, Caller::User(alice().into())] {
            assert_eq!(Requester::of(&caller).caller(), caller);
            assert!(Requester::of(&caller).is(&caller));
        }
    }

    #[test]
    fn whoever_has_the_name_of_a_requester_who_is_gone_is_another() {
        let requester = Requester::of(&Caller::User(alice().into()));
        let with_uid = |uid: &str| {
            let details = Details { uid: uid.to_owned(), ..Details::default() };
            Caller::User(Principal { details, ..alice() }.into())
        };
        assert!(requester.is(&with_uid("")), "a certificate says no uid");
        assert!(!requester.is(&with_uid("another")));
        let bob = Caller::User(Principal { username: "bob".to_owned(), ..alice() }.into());
        assert!(!requester.is(&bob) && !requester.is(&Caller::Server) && !Requester::default().is(&bob));
    }
}
