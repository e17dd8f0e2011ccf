//! From the custom resource to `google.longrunning.Operation`.

use jiff::Timestamp;
use kube::ResourceExt as _;
use nodeward_api::google::longrunning::{Operation, operation};
use nodeward_api::v1;
use prost::Message;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::name::COLLECTION;
use super::progress::{cordon_state, operation_state, pod_progress, progress};
use crate::drain::{DrainPolicy, PodProgress, PodState};
use crate::node::convert::timestamp;
use crate::operation::{NodeOperation, OperationFailure, OperationStatus, State};
use crate::rpc::drain::convert::policy;
use crate::rpc::status::DOMAIN;

/// How many blocked pods are shown.
const MOST_BLOCKED: usize = 50;

/// The reason of an operation that has ended as it was asked to.
const CANCELLED: &str = "OPERATION_CANCELLED";

/// The operation as it is.
pub(in crate::rpc) fn operation_of(operation: &NodeOperation) -> Operation {
    Operation {
        name: resource_name(&operation.name_any()),
        metadata: Some(any("nodeward.v1.DrainNodeMetadata", &metadata(operation))),
        done: operation.state().is_final(),
        result: operation.status.as_ref().and_then(result),
    }
}

/// An operation that was only validated: it has no name, and is over.
pub(in crate::rpc) fn of_nothing_begun(operation: &NodeOperation) -> Operation {
    let response = any("nodeward.v1.DrainNodeResponse", &v1::DrainNodeResponse::default());
    let result = Some(operation::Result::Response(response));
    Operation { name: String::new(), done: true, result, ..operation_of(operation) }
}

/// The name of an operation in the contract.
pub(in crate::rpc) fn resource_name(name: &str) -> String {
    format!("{COLLECTION}/{name}")
}

fn metadata(operation: &NodeOperation) -> v1::DrainNodeMetadata {
    let (spec, status) = (&operation.spec, operation.status.clone().unwrap_or_default());
    let node = &spec.node;
    let policy = spec.drain.clone().and_then(|drain| serde_json::from_value::<DrainPolicy>(drain.policy).ok());
    let deadline = policy.as_ref().and_then(|policy| status.start_time?.checked_add(policy.deadline?).ok());
    let created = operation.metadata.creation_timestamp.as_ref().map(|created| created.0);
    v1::DrainNodeMetadata {
        node: format!("nodes/{}", node.name),
        node_uid: node.uid.clone(),
        state: operation_state(status.state).into(),
        policy: policy.as_ref().map(self::policy),
        progress: Some(progress(&status, Timestamp::now())),
        blocked_pods: blocked(&status.pods).into_iter().map(pod_progress).collect(),
        cordon: cordon_state(status.cordon.state).into(),
        create_time: created.map(timestamp),
        start_time: status.start_time.map(timestamp),
        deadline_time: deadline.map(timestamp),
        end_time: status.end_time.map(timestamp),
        cancel_requested: spec.cancel.is_some(),
        sequence: status.sequence,
        caller: spec.requester.username.clone(),
        reason: spec.reason.clone(),
        request_id: spec.request_id.clone(),
        audit_id: spec.audit_id.clone(),
        trace_id: trace_id(&spec.trace_parent).to_owned(),
        etag: etag(operation),
    }
}

/// Stands for the operation as it is.
pub(super) fn etag(operation: &NodeOperation) -> String {
    format!("{:?}", operation.metadata.resource_version.as_deref().unwrap_or_default())
}

/// The pods that are blocked, the longest first.
fn blocked(pods: &[PodProgress]) -> Vec<&PodProgress> {
    let mut blocked: Vec<&PodProgress> = pods.iter().filter(|pod| pod.state == PodState::Blocked).collect();
    blocked.sort_by_key(|pod| (pod.since, pod.sequence));
    blocked.truncate(MOST_BLOCKED);
    blocked
}

/// The second part of a `traceparent`.
fn trace_id(trace_parent: &str) -> &str {
    trace_parent.split('-').nth(1).unwrap_or_default()
}

/// What came of it. None if it has not ended.
fn result(status: &OperationStatus) -> Option<operation::Result> {
    Some(match status.state {
        State::Succeeded => {
            let progress = Some(progress(status, Timestamp::now()));
            let response = v1::DrainNodeResponse { progress, duration: took(status) };
            operation::Result::Response(any("nodeward.v1.DrainNodeResponse", &response))
        }
        State::Failed => operation::Result::Error(failure(&status.failure.clone().unwrap_or_default())),
        State::Cancelled => operation::Result::Error(error(Code::Cancelled, CANCELLED, &status.message)),
        _ => return None,
    })
}

fn took(status: &OperationStatus) -> Option<prost_types::Duration> {
    let took = std::time::Duration::try_from(status.end_time?.duration_since(status.start_time?)).ok()?;
    took.try_into().ok()
}

fn failure(failure: &OperationFailure) -> tonic_types::Status {
    let code = match Code::from_i32(failure.code) {
        // An operation without a reason has not succeeded.
        Code::Ok => Code::Internal,
        code => code,
    };
    let reason = if failure.reason.is_empty() { "INTERNAL" } else { &failure.reason };
    error(code, reason, &failure.message)
}

fn error(code: Code, reason: &str, message: &str) -> tonic_types::Status {
    let details = ErrorDetails::with_error_info(reason, DOMAIN, []);
    let status = Status::with_error_details(code, message, details);
    // The details are the whole status, encoded.
    tonic_types::Status::decode(status.details()).unwrap_or_else(|_| tonic_types::Status {
        code: code.into(),
        message: message.to_owned(),
        ..tonic_types::Status::default()
    })
}

fn any(name: &str, message: &impl Message) -> prost_types::Any {
    prost_types::Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
}

/// When it was asked for.
pub(super) fn created(operation: &NodeOperation) -> Timestamp {
    operation.metadata.creation_timestamp.as_ref().map_or(Timestamp::MIN, |created| created.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::operation::{Cancel, CordonState, Drain, NodeIdentity, OperationSpec};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn operation(state: State) -> NodeOperation {
        let spec = OperationSpec {
            node: NodeIdentity { name: "worker-1".into(), uid: "u".into() },
            drain: Some(Drain {
                policy: json!(DrainPolicy {
                    deadline: Some(std::time::Duration::from_secs(60)),
                    ..DrainPolicy::default()
                }),
            }),
            trace_parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
            cancel: Some(Cancel::default()),
            ..OperationSpec::default()
        };
        let mut operation = NodeOperation::new("123e4567-e89b-42d3-a456-426614174000", spec);
        operation.metadata.resource_version = Some("42".into());
        let mut status = OperationStatus { start_time: Some(at(100)), ..OperationStatus::default() };
        status.set_cordon(CordonState::Own, "", at(101));
        status.enter(state, "words", at(107));
        operation.status = Some(status);
        operation
    }

    fn shown(operation: &Operation) -> v1::DrainNodeMetadata {
        let any = operation.metadata.as_ref().unwrap();
        assert_eq!(any.type_url, "type.googleapis.com/nodeward.v1.DrainNodeMetadata");
        v1::DrainNodeMetadata::decode(any.value.as_slice()).unwrap()
    }

    #[test]
    fn an_operation_shows_what_is_kept_of_it() {
        let running = operation_of(&operation(State::Running));
        assert_eq!(running.name, "operations/123e4567-e89b-42d3-a456-426614174000");
        assert!(!running.done && running.result.is_none());
        let metadata = shown(&running);
        assert_eq!((metadata.node.as_str(), metadata.node_uid.as_str()), ("nodes/worker-1", "u"));
        assert_eq!(metadata.state(), v1::OperationState::Running);
        assert_eq!(metadata.cordon(), v1::CordonState::Own);
        assert_eq!(metadata.deadline_time, Some(timestamp(at(160))));
        assert_eq!(metadata.trace_id, "0af7651916cd43dd8448eb211c80319c");
        assert_eq!((metadata.etag.as_str(), metadata.sequence), ("\"42\"", 2));
        assert!(metadata.cancel_requested && metadata.policy.is_some());
    }

    #[test]
    fn one_that_has_reached_its_end_has_a_response() {
        let done = operation_of(&operation(State::Succeeded));
        let Some(operation::Result::Response(any)) = done.result else { panic!("{done:?}") };
        let response = v1::DrainNodeResponse::decode(any.value.as_slice()).unwrap();
        assert_eq!(response.duration, Some(prost_types::Duration { seconds: 7, nanos: 0 }));
    }

    #[test]
    fn one_that_has_ended_without_has_an_error_with_its_reason() {
        let reason = |operation: NodeOperation| {
            let Some(operation::Result::Error(status)) = operation_of(&operation).result else { panic!() };
            let info = status.details.first().map(|any| tonic_types::pb::ErrorInfo::decode(any.value.as_slice()));
            let info = info.unwrap().unwrap();
            assert_eq!(info.domain, "nodeward.dev");
            (status.code, info.reason, status.message)
        };
        let mut failed = operation(State::Failed);
        assert_eq!(reason(failed.clone()).1, "INTERNAL");
        let failure = OperationFailure { code: 5, reason: "NODE_NOT_FOUND".into(), message: "gone".into() };
        failed.status.as_mut().unwrap().failure = Some(failure);
        assert_eq!(reason(failed), (5, "NODE_NOT_FOUND".into(), "gone".into()));
        assert_eq!(reason(operation(State::Cancelled)), (1, "OPERATION_CANCELLED".into(), "words".into()));
    }
}
