//! The audit records of a drain: what each step asks for, and what came of it.

use uuid::Uuid;

use super::super::{OperationSpec, OperationStatus, State};
use crate::audit::{self, Asked, BUDGETS, Done as _, ObjectRef, Outcome, OverriddenBudget, OverrideUse, PODS, Step};
use crate::caller::Caller;
use crate::cluster::evict::{PodRemoval, RemovalMethod, RemovalRefused};
use crate::cluster::mutate::Changed;
use crate::drain::BudgetOverride;
use crate::error::Error;
use crate::telemetry::code_name;

/// The RPC that asks for drains.
const RPC: &str = "nodeward.v1.DrainService/DrainNode";

/// What all records of an operation have in common.
pub(super) struct Subject {
    operation: String,
    caller: Caller,
    node: ObjectRef,
    reason: String,
    request_id: String,
    request_audit_id: String,
}

impl Subject {
    /// Of the operation of this name.
    pub fn new(name: &str, spec: &OperationSpec) -> Self {
        Self {
            operation: format!("operations/{name}"),
            caller: spec.requester.caller(),
            node: ObjectRef::node(&spec.node.name, &spec.node.uid),
            reason: spec.reason.clone(),
            request_id: spec.request_id.clone(),
            request_audit_id: spec.audit_id.clone(),
        }
    }

    /// `operations/...`.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// In whose name.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The node's name and uid.
    pub fn node(&self) -> (&str, &str) {
        (&self.node.name, &self.node.uid)
    }

    /// Why, in the requester's words.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The step that asks for this.
    pub fn step<'a>(&'a self, audit_id: Uuid, trace_id: &'a str, asked: Asked) -> Step<'a> {
        Step { audit_id, rpc: RPC, caller: &self.caller, trace_id, asked }
    }

    /// That the node, or this of it, is changed.
    pub fn change_of_node(&self, subresource: &str) -> Asked {
        let node = ObjectRef { subresource: subresource.to_owned(), ..self.node.clone() };
        Asked { object_ref: Some(node), ..self.asked() }
    }

    /// That a pod is removed.
    pub fn removal(&self, removal: &PodRemoval, overrides: &[BudgetOverride]) -> Asked {
        let overridden = overrides
            .iter()
            .map(|it| OverriddenBudget { budget: format!("{}/{}", it.namespace, it.name), reason: it.reason.clone() });
        Asked {
            object_ref: Some(pod_of(removal)),
            node_ref: Some(self.node.clone()),
            budget_overrides: overridden.collect(),
            ..self.asked()
        }
    }

    /// That a budget is not respected in removing a pod.
    pub fn budget_override(&self, removal: &PodRemoval, overridden: &BudgetOverride) -> Asked {
        let BudgetOverride { namespace, name, reason } = overridden;
        let used = OverrideUse {
            budget: format!("{namespace}/{name}"),
            reason: reason.clone(),
            pod: pod_of(removal),
            removal_audit_id: removal.audit_id.to_string(),
        };
        Asked {
            object_ref: Some(ObjectRef { namespace: namespace.clone(), ..ObjectRef::of(BUDGETS, name, "") }),
            node_ref: Some(self.node.clone()),
            budget_override: Some(used),
            ..self.asked()
        }
    }

    fn asked(&self) -> Asked {
        Asked {
            operation: self.operation.clone(),
            request_audit_id: self.request_audit_id.clone(),
            reason: self.reason.clone(),
            request_id: self.request_id.clone(),
            ..Asked::default()
        }
    }
}

/// The pod, and how it is removed.
fn pod_of(removal: &PodRemoval) -> ObjectRef {
    let subresource = if removal.method == RemovalMethod::Evict { "eviction" } else { "" };
    let (namespace, subresource) = (removal.namespace.clone(), subresource.to_owned());
    ObjectRef { namespace, subresource, ..ObjectRef::of(PODS, &removal.name, &removal.uid) }
}

/// What came of the removal of a pod.
pub(super) fn of_removal(answer: &Result<(), RemovalRefused>) -> Outcome {
    let (code, reason, outcome) = match answer {
        Ok(()) => ("OK", "", "changed"),
        Err(RemovalRefused::Gone | RemovalRefused::Conflict { .. }) => ("OK", "GONE", "unchanged"),
        Err(RemovalRefused::Terminating) => ("OK", "TERMINATING", "unchanged"),
        Err(RemovalRefused::Budget { .. }) => ("FAILED_PRECONDITION", "BUDGET", ""),
        Err(RemovalRefused::SeveralBudgets { .. }) => ("FAILED_PRECONDITION", "SEVERAL_BUDGETS", ""),
        Err(RemovalRefused::Throttled { .. }) => ("RESOURCE_EXHAUSTED", "THROTTLED", ""),
        Err(RemovalRefused::NamespaceTerminating) => ("FAILED_PRECONDITION", "NAMESPACE_TERMINATING", ""),
        Err(RemovalRefused::Forbidden { .. }) => ("PERMISSION_DENIED", "DENIED", ""),
        Err(RemovalRefused::Unavailable { .. }) => ("UNAVAILABLE", "UNAVAILABLE", ""),
    };
    let [code, reason, outcome] = [code, reason, outcome].map(str::to_owned);
    Outcome { code, reason, outcome, ..Outcome::default() }
}

/// What came of a change of the node.
pub(super) fn of_change(answer: &Result<Changed, Error>) -> Outcome {
    match answer {
        Ok(changed) => changed.record().0,
        Err(error) => audit::failed(error),
    }
}

/// How the operation has ended.
pub(super) fn of_end(status: &OperationStatus) -> Outcome {
    let (code, reason, outcome) = match (status.state, &status.failure) {
        (State::Succeeded, _) => ("OK", "", "changed"),
        (State::Cancelled, _) => ("CANCELLED", "CANCELLED", ""),
        (_, Some(failure)) => (code_name(failure.code.into()), failure.reason.as_str(), ""),
        _ => ("UNKNOWN", "FAILED", ""),
    };
    let [code, reason, outcome] = [code, reason, outcome].map(str::to_owned);
    Outcome { code, reason, outcome, ..Outcome::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{NodeIdentity, OperationFailure};

    fn subject() -> Subject {
        let node = NodeIdentity { name: "worker-1".to_owned(), uid: "n".to_owned() };
        let (reason, audit_id) = ("new disk".to_owned(), "r".to_owned());
        Subject::new("o", &OperationSpec { node, reason, audit_id, ..OperationSpec::default() })
    }

    fn deletion() -> PodRemoval {
        PodRemoval {
            caller: Caller::Server,
            namespace: "shop".to_owned(),
            name: "web-1".to_owned(),
            uid: "p".to_owned(),
            node: "worker-1".to_owned(),
            method: RemovalMethod::Delete,
            grace_seconds: None,
            dry_run: false,
            audit_id: Uuid::nil(),
            deadline: tokio::time::Instant::now(),
        }
    }

    fn overridden() -> BudgetOverride {
        let [namespace, name, reason] = ["shop", "web", "owner agreed"].map(str::to_owned);
        BudgetOverride { namespace, name, reason }
    }

    #[test]
    fn the_use_of_an_override_names_budget_reason_pod_and_removal() {
        let asked = subject().budget_override(&deletion(), &overridden());
        let expected = serde_json::json!({
            "objectRef": {"resource": "poddisruptionbudgets", "namespace": "shop", "name": "web"},
            "nodeRef": {"resource": "nodes", "name": "worker-1", "uid": "n"},
            "operation": "operations/o",
            "requestAuditID": "r",
            "budgetOverride": {
                "budget": "shop/web",
                "reason": "owner agreed",
                "pod": {"resource": "pods", "namespace": "shop", "name": "web-1", "uid": "p"},
                "removalAuditID": Uuid::nil().to_string(),
            },
            "reason": "new disk",
            "dryRun": false,
        });
        assert_eq!(asked.removed_pod().unwrap().uid, "p");
        assert_eq!(serde_json::to_value(asked).unwrap(), expected);
    }

    #[test]
    fn a_removal_names_pod_node_operation_request_and_overridden_budgets() {
        let asked = subject().removal(&deletion(), &[overridden()]);
        let expected = serde_json::json!({
            "objectRef": {"resource": "pods", "namespace": "shop", "name": "web-1", "uid": "p"},
            "nodeRef": {"resource": "nodes", "name": "worker-1", "uid": "n"},
            "operation": "operations/o",
            "requestAuditID": "r",
            "budgetOverrides": [{"budget": "shop/web", "reason": "owner agreed"}],
            "reason": "new disk",
            "dryRun": false,
        });
        assert_eq!(serde_json::to_value(asked).unwrap(), expected);
    }

    #[test]
    fn an_end_is_told_by_its_code_and_its_reason() {
        let failure = OperationFailure { code: 4, reason: "DEADLINE_EXCEEDED".to_owned(), message: String::new() };
        let failed = OperationStatus { state: State::Failed, failure: Some(failure), ..OperationStatus::default() };
        let outcome = of_end(&failed);
        assert_eq!((outcome.code.as_str(), outcome.reason.as_str()), ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"));
        let done = of_end(&OperationStatus { state: State::Succeeded, ..OperationStatus::default() });
        assert_eq!((done.code.as_str(), done.outcome.as_str()), ("OK", "changed"));
    }
}
