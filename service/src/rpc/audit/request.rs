//! What the requests have in common: which records they ask for.

use jiff::Timestamp;
use nodeward_api::v1;
use nodeward_api::v1::audit_outcome::Result as Outcome;
use uuid::Uuid;

use crate::audit::query::{Ending, RecordFilter};
use crate::node::{NodeName, Violation, Violations};

const NANOS_PER_SECOND: i32 = 1_000_000_000;

/// The filter of a request.
pub(super) fn filter(
    filter: Option<&v1::AuditRecordFilter>,
    since: Option<&prost_types::Timestamp>,
    until: Option<&prost_types::Timestamp>,
) -> Result<RecordFilter, Violations> {
    let mut violations = Violations::default();
    let since = since.and_then(|time| violations.take(timestamp(time, "since_time")));
    let until = until.and_then(|time| violations.take(timestamp(time, "until_time")));
    let mut result = RecordFilter { since, until, ..RecordFilter::default() };
    if let Some(filter) = filter {
        let v1::AuditRecordFilter { node, username, rpc, audit_id, result: outcome, code, error_reason, operation } =
            filter;
        result.operation = operation.strip_prefix("operations/").unwrap_or(operation).to_owned();
        if !node.is_empty() {
            let name = violations.take(NodeName::from_resource_name(node, "filter.node"));
            result.node = name.map(|name| name.as_str().to_owned()).unwrap_or_default();
        }
        if !audit_id.is_empty() {
            result.audit_id = violations.take(parse_audit_id(audit_id));
        }
        result.ending = violations.take(ending(*outcome)).flatten();
        [&mut result.username, &mut result.rpc, &mut result.code, &mut result.error_reason]
            .into_iter()
            .zip([username, rpc, code, error_reason])
            .for_each(|(field, value)| field.clone_from(value));
    }
    violations.or(result)
}

fn parse_audit_id(text: &str) -> Result<Uuid, Violation> {
    Uuid::try_parse(text)
        .map_err(|_| Violation::new("filter.audit_id", "must be a UUID, as x-audit-id of an answer has it"))
}

fn ending(number: i32) -> Result<Option<Ending>, Violation> {
    match Outcome::try_from(number) {
        Ok(Outcome::Unspecified) => Ok(None),
        Ok(Outcome::Changed) => Ok(Some(Ending::Changed)),
        Ok(Outcome::Unchanged) => Ok(Some(Ending::Unchanged)),
        Ok(Outcome::Validated) => Ok(Some(Ending::Validated)),
        Ok(Outcome::Replayed) => Ok(Some(Ending::Replayed)),
        Ok(Outcome::Failed) => Ok(Some(Ending::Failed)),
        Ok(Outcome::Unknown) => Ok(Some(Ending::Unknown)),
        Err(_) => Err(Violation::new(
            "filter.result",
            "is none of the results, which are RESULT_CHANGED (1) to RESULT_UNKNOWN (6)",
        )),
    }
}

fn timestamp(time: &prost_types::Timestamp, field: &str) -> Result<Timestamp, Violation> {
    let time = Some(*time).filter(|time| (0..NANOS_PER_SECOND).contains(&time.nanos));
    time.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok()).ok_or_else(|| {
        Violation::new(
            field,
            "is out of range: send a time between the years 1 and 9999, with nanos from 0 to 999999999",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_is_named_at_once() {
        let asked = v1::AuditRecordFilter {
            node: "worker-1".into(),
            audit_id: "x".into(),
            result: 99,
            ..v1::AuditRecordFilter::default()
        };
        let late = prost_types::Timestamp { seconds: i64::MAX, nanos: 0 };
        let odd = prost_types::Timestamp { seconds: 0, nanos: -1 };
        let violations = filter(Some(&asked), Some(&late), Some(&odd)).unwrap_err();
        let fields: Vec<&str> = violations.0.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["since_time", "until_time", "filter.node", "filter.audit_id", "filter.result"]);
    }

    #[test]
    fn every_field_is_taken_over() {
        let asked = v1::AuditRecordFilter {
            node: "nodes/worker-1".into(),
            username: "alice".into(),
            rpc: "CordonNode".into(),
            audit_id: "4a0f2a6c-5a4f-4e5c-8d7e-3a1b2c3d4e5f".into(),
            result: Outcome::Failed.into(),
            code: "PERMISSION_DENIED".into(),
            error_reason: "ACCESS_DENIED".into(),
            operation: "operations/o".into(),
        };
        let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 5 });
        let expected = RecordFilter {
            node: "worker-1".into(),
            username: "alice".into(),
            rpc: "CordonNode".into(),
            audit_id: Some("4a0f2a6c-5a4f-4e5c-8d7e-3a1b2c3d4e5f".parse().unwrap()),
            ending: Some(Ending::Failed),
            code: "PERMISSION_DENIED".into(),
            error_reason: "ACCESS_DENIED".into(),
            operation: "o".into(),
            since: Some(Timestamp::new(1, 5).unwrap()),
            until: Some(Timestamp::new(2, 5).unwrap()),
        };
        assert_eq!(filter(Some(&asked), time(1).as_ref(), time(2).as_ref()).unwrap(), expected);
    }
}
