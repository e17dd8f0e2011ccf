//! One record of the audit log, shaped like an Event of audit.k8s.io/v1, in whose terms it is. docs/audit-log.md names
//! the fields that it lacks.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::caller::Caller;

/// One stage of one call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRecord {
    /// The call. Kubernetes' own audit log has the same id.
    #[serde(rename = "auditID")]
    pub audit_id: Uuid,
    /// How far it has come.
    pub stage: Stage,
    /// The RPC, for example `nodeward.v1.NodeService/CordonNode`.
    pub rpc: String,
    /// Who called.
    pub user: User,
    /// Where from: the address of the connection, which may be a proxy's.
    #[serde(rename = "sourceIPs", default, skip_serializing_if = "Vec::is_empty")]
    pub source_ips: Vec<String>,
    /// What the client calls itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user_agent: String,
    /// When the call came.
    pub request_received_timestamp: Timestamp,
    /// When it came to this stage.
    pub stage_timestamp: Timestamp,
    /// What it asks for.
    #[serde(flatten)]
    pub request: Asked,
    /// The trace of the call.
    #[serde(rename = "traceID", default, skip_serializing_if = "String::is_empty")]
    pub trace_id: String,
    /// What came of it. Not before it is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_status: Option<ResponseStatus>,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// It is about to be carried out: the intent.
    RequestReceived,
    /// It has ended: the outcome.
    ResponseComplete,
    /// Its outcome was unknown, since the server had crashed: what the cluster says of it, if that can be told.
    Settled,
}

/// Who called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The user name. Empty if nobody was asked who they are.
    pub username: String,
    /// The groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// How many more there are that are left out here.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted_groups: u64,
    /// How they have shown who they are.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub credential: String,
}

/// What a call asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// The node or the pod, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_ref: Option<ObjectRef>,
    /// The node that the pod is on, if it is about a pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_ref: Option<ObjectRef>,
    /// The operation that it is a step of: `operations/...`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub operation: String,
    /// The call that asked for that operation, by the id of its records.
    #[serde(rename = "requestAuditID", default, skip_serializing_if = "String::is_empty")]
    pub request_audit_id: String,
    /// The budgets that are not respected in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budget_overrides: Vec<OverriddenBudget>,
    /// That a budget is not respected, if it is about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_override: Option<OverrideUse>,
    /// Why, in the caller's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The id of the request.
    #[serde(rename = "requestID", default, skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// Whether it is only tried.
    #[serde(default)]
    pub dry_run: bool,
    /// Which nodes it is about, if it is about those that match: a filter.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub filter: String,
    /// The same as a label selector.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label_selector: String,
}

/// The resource of nodes.
pub const NODES: &str = "nodes";

/// The resource of pods.
pub const PODS: &str = "pods";

/// The resource of budgets.
pub const BUDGETS: &str = "poddisruptionbudgets";

/// The resource of operations.
pub const OPERATIONS: &str = "operations";

/// A node, a pod, a budget or an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    /// [`NODES`], [`PODS`], [`BUDGETS`] or [`OPERATIONS`].
    pub resource: String,
    /// What of it: `eviction` of a pod that is evicted, not deleted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subresource: String,
    /// Its namespace, if it is a pod or a budget.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid, if that is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

/// A budget that is not respected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverriddenBudget {
    /// Which, as `namespace/name`.
    pub budget: String,
    /// Why, in the caller's words.
    pub reason: String,
}

/// That a budget is not respected in removing one pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OverrideUse {
    /// Which, as `namespace/name`.
    pub budget: String,
    /// Why, in the caller's words.
    pub reason: String,
    /// The pod.
    pub pod: ObjectRef,
    /// The removal of the pod, by the id of its records.
    #[serde(rename = "removalAuditID")]
    pub removal_audit_id: String,
}

/// What came of a call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResponseStatus {
    /// The gRPC code by its name.
    pub code: String,
    /// The reason of an error.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// `changed`, `unchanged`, `validated` or `replayed`; empty if it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub outcome: String,
    /// The fields that changed, as they were before: a merge patch.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub before: Value,
    /// The fields that changed, as they are now: a merge patch.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub after: Value,
    /// The operation that was begun, if the call began one: `operations/...`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub operation: String,
    /// What an outcome was concluded from that was unknown at first.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub evidence: String,
    /// The nodes that were deleted, if there were several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// How many more there are that are left out here.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted_nodes: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Asked {
    /// The pod that is removed, if it is about that, or about a budget that is not respected in it.
    pub fn removed_pod(&self) -> Option<&ObjectRef> {
        self.object(PODS).or_else(|| self.budget_override.as_ref().map(|used| &used.pod))
    }

    /// The object that it is about, if it is one of this resource.
    pub fn object(&self, resource: &str) -> Option<&ObjectRef> {
        self.object_ref.as_ref().filter(|object| object.resource == resource)
    }
}

impl ObjectRef {
    /// An object of this resource. The uid may be unknown.
    pub fn of(resource: &str, name: &str, uid: &str) -> Self {
        let [resource, name, uid] = [resource, name, uid].map(str::to_owned);
        Self { resource, name, uid, ..Self::default() }
    }

    /// A node. The uid may be unknown.
    pub fn node(name: &str, uid: &str) -> Self {
        Self::of(NODES, name, uid)
    }
}

impl User {
    /// The user behind a caller.
    pub fn of(caller: &Caller) -> Self {
        match caller {
            Caller::Server => Self::default(),
            Caller::User(principal) => Self {
                username: principal.username.clone(),
                groups: principal.groups.clone(),
                omitted_groups: 0,
                credential: principal.credential.as_str().to_owned(),
            },
        }
    }
}
