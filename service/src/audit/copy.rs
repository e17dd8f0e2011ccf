//! What is sent elsewhere of records and checkpoints.

use std::time::SystemTime;

use jiff::Timestamp;
use nodeward_audit_log::Checkpoint;

use super::record::{AuditRecord, NODES};
use crate::telemetry::{self, LogCopy, SpanId, TraceId, names};

/// The copy of a record: its JSON as it is in the log.
pub(super) fn of_record(record: &AuditRecord, json: String) -> LogCopy {
    let object = record.request.object(NODES).cloned().unwrap_or_default();
    let status = record.response_status.clone().unwrap_or_default();
    let trace = TraceId::from_hex(&record.trace_id).ok().map(|trace| (trace, span_in(trace)));
    LogCopy {
        event: names::AUDIT_RECORD_EVENT,
        time: system_time(record.stage_timestamp),
        body: json,
        trace,
        attributes: vec![
            (names::AUDIT_ID, record.audit_id.to_string()),
            (names::AUDIT_STAGE, format!("{:?}", record.stage)),
            (names::RPC_METHOD, record.rpc.clone()),
            (names::USER_ID, record.user.username.clone()),
            (names::USER_AGENT_ORIGINAL, record.user_agent.clone()),
            (names::CLIENT_ADDRESS, record.source_ips.first().cloned().unwrap_or_default()),
            (names::K8S_NODE_NAME, object.name),
            (names::K8S_NODE_UID, object.uid),
            (names::REQUEST_ID, record.request.request_id.clone()),
            (names::RPC_RESPONSE_STATUS_CODE, status.code),
            (names::ERROR_REASON, status.reason),
            (names::OUTCOME, status.outcome),
        ],
    }
}

/// The present span, if it is one of this trace. What is settled later is not.
fn span_in(trace: TraceId) -> SpanId {
    telemetry::trace().filter(|(present, _)| *present == trace).map_or(SpanId::INVALID, |(_, span)| span)
}

/// The copy of a checkpoint: its line.
pub(super) fn of_checkpoint(checkpoint: &Checkpoint) -> LogCopy {
    LogCopy {
        event: names::AUDIT_CHECKPOINT_EVENT,
        time: system_time(checkpoint.time()),
        body: checkpoint.to_string(),
        trace: None,
        attributes: Vec::new(),
    }
}

fn system_time(time: Timestamp) -> SystemTime {
    time.into()
}
