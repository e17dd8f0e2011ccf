//! From the records of the log to the contract's.

use nodeward_api::v1;
use nodeward_api::v1::audit_outcome::Result as Outcome;
use nodeward_api::v1::audit_record::Stage as ContractStage;
use serde_json::Value;

use crate::audit::query::{Ending, Found};
use crate::audit::{
    Asked, AuditRecord, NODES, OPERATIONS, ObjectRef, OverriddenBudget, OverrideUse, PODS, ResponseStatus, Stage, User,
};
use crate::node::convert::timestamp;

/// The record as the contract has it.
pub(super) fn to_contract(found: Found) -> v1::AuditRecord {
    let Found { position, logged, record } = found;
    let AuditRecord {
        audit_id,
        stage,
        rpc,
        user: User { username, groups, omitted_groups, credential },
        source_ips,
        user_agent,
        request_received_timestamp,
        stage_timestamp,
        request,
        trace_id,
        response_status,
    } = record;
    let [pod, node, of_operation] = [PODS, NODES, OPERATIONS].map(|resource| request.object(resource).cloned());
    let Asked {
        object_ref: _,
        node_ref,
        operation,
        request_audit_id,
        budget_overrides,
        budget_override,
        reason,
        request_id,
        dry_run,
        filter,
        label_selector,
    } = request;
    let (node, node_uid) = node.or(node_ref).map(|node| (node.name, node.uid)).unwrap_or_default();
    let asked_for = response_status.as_ref().map(|status| status.operation.clone()).unwrap_or_default();
    let operation = [of_operation.map(|object| object.name).unwrap_or_default(), operation, asked_for];
    let operation = operation.into_iter().find(|name| !name.is_empty()).map(operation_name).unwrap_or_default();
    v1::AuditRecord {
        position: position.to_string(),
        // At most 2^53 - 1.
        sequence: i64::try_from(position.sequence).unwrap_or(i64::MAX),
        log_time: Some(timestamp(logged)),
        audit_id: audit_id.to_string(),
        stage: stage_of(stage).into(),
        rpc,
        user: Some(v1::AuditUser { username, groups, credential, omitted_groups: count(omitted_groups) }),
        source_ips,
        user_agent,
        request_received_time: Some(timestamp(request_received_timestamp)),
        stage_time: Some(timestamp(stage_timestamp)),
        node: resource_name(node),
        node_uid,
        reason,
        request_id,
        validate_only: dry_run,
        trace_id,
        filter,
        label_selector,
        outcome: response_status.map(outcome),
        pod: pod.map(pod_of),
        operation,
        request_audit_id,
        budget_overrides: budget_overrides
            .into_iter()
            .map(|OverriddenBudget { budget, reason }| v1::AuditBudgetOverride { budget, reason })
            .collect(),
        override_use: budget_override.map(override_use_of),
    }
}

fn pod_of(object: ObjectRef) -> v1::AuditPod {
    let ObjectRef { resource: _, subresource, namespace, name, uid } = object;
    let removal =
        if subresource == "eviction" { v1::audit_pod::Removal::Eviction } else { v1::audit_pod::Removal::Deletion };
    v1::AuditPod { namespace, name, uid, removal: removal.into() }
}

fn override_use_of(used: OverrideUse) -> v1::AuditOverrideUse {
    let OverrideUse { budget, reason, pod, removal_audit_id } = used;
    v1::AuditOverrideUse { budget, reason, pod: Some(pod_of(pod)), removal_audit_id }
}

fn stage_of(stage: Stage) -> ContractStage {
    match stage {
        Stage::RequestReceived => ContractStage::RequestReceived,
        Stage::ResponseComplete => ContractStage::ResponseComplete,
        Stage::Settled => ContractStage::Settled,
    }
}

fn outcome(status: ResponseStatus) -> v1::AuditOutcome {
    let result = match Ending::of(&status) {
        Ending::Changed => Outcome::Changed,
        Ending::Unchanged => Outcome::Unchanged,
        Ending::Validated => Outcome::Validated,
        Ending::Replayed => Outcome::Replayed,
        Ending::Failed => Outcome::Failed,
        Ending::Unknown => Outcome::Unknown,
    };
    let ResponseStatus { code, reason, outcome: _, operation: _, before, after, nodes, omitted_nodes, evidence } =
        status;
    v1::AuditOutcome {
        result: result.into(),
        code,
        error_reason: reason,
        before_json: json(&before),
        after_json: json(&after),
        nodes: nodes.into_iter().map(resource_name).collect(),
        omitted_nodes: count(omitted_nodes),
        evidence,
    }
}

fn count(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn json(value: &Value) -> String {
    if value.is_null() { String::new() } else { value.to_string() }
}

fn operation_name(operation: String) -> String {
    if operation.starts_with("operations/") { operation } else { format!("operations/{operation}") }
}

fn resource_name(node: String) -> String {
    if node.is_empty() || node.starts_with("nodes/") { node } else { format!("nodes/{node}") }
}

#[cfg(test)]
mod tests {
    use nodeward_audit_log::{LineHash, Position};
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_of_a_record_is_shown() {
        let record = json!({
            "auditID": "4a0f2a6c-5a4f-4e5c-8d7e-3a1b2c3d4e5f",
            "stage": "ResponseComplete",
            "rpc": "nodeward.v1.NodeService/CordonNode",
            "user": {"username": "alice", "groups": ["ops"], "omittedGroups": 1, "credential": "certificate"},
            "sourceIPs": ["10.0.0.1"],
            "userAgent": "nodeward/1",
            "requestReceivedTimestamp": "1970-01-01T00:00:01.5Z",
            "stageTimestamp": "1970-01-01T00:00:02Z",
            "objectRef": {"resource": "nodes", "name": "worker-3", "uid": "u"},
            "reason": "new disk",
            "requestID": "r",
            "dryRun": true,
            "filter": "ready = false",
            "labelSelector": "zone=a",
            "traceID": "t",
            "responseStatus": {
                "code": "OK",
                "outcome": "changed",
                "before": {"spec": {"unschedulable": null}},
                "after": {"spec": {"unschedulable": true}},
                "nodes": ["worker-3", "nodes/worker-4"],
                "omittedNodes": 2,
                "evidence": "it is gone",
            },
        });
        let position = Position { sequence: 7, hash: LineHash::of(b"x\n") };
        let logged = "1970-01-01T00:00:03Z".parse().unwrap();
        let shown = to_contract(Found { position, logged, record: serde_json::from_value(record).unwrap() });
        let time = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
        let expected = v1::AuditRecord {
            position: position.to_string(),
            sequence: 7,
            log_time: time(3, 0),
            audit_id: "4a0f2a6c-5a4f-4e5c-8d7e-3a1b2c3d4e5f".into(),
            stage: ContractStage::ResponseComplete.into(),
            rpc: "nodeward.v1.NodeService/CordonNode".into(),
            user: Some(v1::AuditUser {
                username: "alice".into(),
                groups: vec!["ops".into()],
                credential: "certificate".into(),
                omitted_groups: 1,
            }),
            source_ips: vec!["10.0.0.1".into()],
            user_agent: "nodeward/1".into(),
            request_received_time: time(1, 500_000_000),
            stage_time: time(2, 0),
            node: "nodes/worker-3".into(),
            node_uid: "u".into(),
            reason: "new disk".into(),
            request_id: "r".into(),
            validate_only: true,
            trace_id: "t".into(),
            filter: "ready = false".into(),
            operation: String::new(),
            label_selector: "zone=a".into(),
            outcome: Some(v1::AuditOutcome {
                result: Outcome::Changed.into(),
                code: "OK".into(),
                error_reason: String::new(),
                before_json: r#"{"spec":{"unschedulable":null}}"#.into(),
                after_json: r#"{"spec":{"unschedulable":true}}"#.into(),
                nodes: vec!["nodes/worker-3".into(), "nodes/worker-4".into()],
                omitted_nodes: 2,
                evidence: "it is gone".into(),
            }),
            ..v1::AuditRecord::default()
        };
        assert_eq!(shown, expected);
    }

    /// A record of what a drain of worker-3 does, as it is shown. The rest of it is this.
    fn shown_of_drain(rest: &Value) -> v1::AuditRecord {
        let mut record = json!({
            "auditID": "4a0f2a6c-5a4f-4e5c-8d7e-3a1b2c3d4e5f",
            "stage": "RequestReceived",
            "rpc": "nodeward.v1.DrainService/DrainNode",
            "user": {"username": "alice"},
            "requestReceivedTimestamp": "1970-01-01T00:00:01.5Z",
            "stageTimestamp": "1970-01-01T00:00:02Z",
            "nodeRef": {"resource": "nodes", "name": "worker-3", "uid": "n"},
        });
        record.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        let position = Position { sequence: 7, hash: LineHash::of(b"x\n") };
        let logged = "1970-01-01T00:00:03Z".parse().unwrap();
        to_contract(Found { position, logged, record: serde_json::from_value(record).unwrap() })
    }

    #[test]
    fn a_record_of_a_pods_removal_names_pod_node_and_operation() {
        let shown = shown_of_drain(&json!({
            "objectRef": {"resource": "pods", "subresource": "eviction", "namespace": "shop", "name": "web-1", "uid": "p"},
            "operation": "operations/o",
            "requestAuditID": "r",
            "budgetOverrides": [{"budget": "shop/web", "reason": "owner agreed"}],
        }));
        let pod = v1::AuditPod {
            namespace: "shop".into(),
            name: "web-1".into(),
            uid: "p".into(),
            removal: v1::audit_pod::Removal::Eviction.into(),
        };
        assert_eq!((shown.pod, shown.node.as_str(), shown.node_uid.as_str()), (Some(pod), "nodes/worker-3", "n"));
        assert_eq!((shown.operation.as_str(), shown.request_audit_id.as_str()), ("operations/o", "r"));
        let overridden = v1::AuditBudgetOverride { budget: "shop/web".into(), reason: "owner agreed".into() };
        assert_eq!(shown.budget_overrides, [overridden]);
    }

    #[test]
    fn a_record_of_an_override_names_the_budget_and_the_pod_and_is_none_of_a_removal() {
        let shown = shown_of_drain(&json!({
            "objectRef": {"resource": "poddisruptionbudgets", "namespace": "shop", "name": "web"},
            "budgetOverride": {
                "budget": "shop/web",
                "reason": "owner agreed",
                "pod": {"resource": "pods", "namespace": "shop", "name": "web-1", "uid": "p"},
                "removalAuditID": "r",
            },
        }));
        assert_eq!((shown.pod, shown.node.as_str()), (None, "nodes/worker-3"));
        let used = shown.override_use.unwrap();
        assert_eq!((used.budget.as_str(), used.reason.as_str()), ("shop/web", "owner agreed"));
        assert_eq!((used.pod.unwrap().name.as_str(), used.removal_audit_id.as_str()), ("web-1", "r"));
    }
}
