//! Which records somebody asks for.

use jiff::Timestamp;
use nodeward_audit_log::Record;
use uuid::Uuid;

use super::super::{AuditRecord, NODES, ResponseStatus, verdict};
use crate::node::token::QueryHash;

/// The records that all of these fit. What is empty fits all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordFilter {
    /// The node, by its name in Kubernetes.
    pub node: String,
    /// The user name.
    pub username: String,
    /// The RPC, with its service or without.
    pub rpc: String,
    /// The call.
    pub audit_id: Option<Uuid>,
    /// What became of it.
    pub ending: Option<Ending>,
    /// The gRPC code by its name.
    pub code: String,
    /// The reason of the error.
    pub error_reason: String,
    /// The call came at this time or later.
    pub since: Option<Timestamp>,
    /// The call came before this time.
    pub until: Option<Timestamp>,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was made.
    Changed,
    /// There was nothing to change.
    Unchanged,
    /// It was only tried.
    Validated,
    /// It had been made before.
    Replayed,
    /// It was denied or failed.
    Failed,
    /// Nobody knows.
    Unknown,
}

impl Ending {
    /// What became of the change that this says.
    pub fn of(status: &ResponseStatus) -> Self {
        match status.outcome.as_str() {
            "changed" => Self::Changed,
            "unchanged" => Self::Unchanged,
            "validated" => Self::Validated,
            "replayed" => Self::Replayed,
            _ if status.reason == verdict::UNKNOWN => Self::Unknown,
            _ => Self::Failed,
        }
    }
}

impl RecordFilter {
    /// Identifies the filter, for tokens.
    pub fn hash(&self) -> QueryHash {
        let Self { node, username, rpc, audit_id, ending, code, error_reason, since, until } = self;
        let rest = format!("{audit_id:?} {ending:?} {since:?} {until:?}");
        QueryHash::of([node, username, rpc, code, error_reason, rest.as_str()])
    }

    /// Whether the record, as it is in the log, is one that fits.
    pub fn lets_through(&self, record: &Record) -> bool {
        record.read().is_ok_and(|record| self.fits(&record))
    }

    /// Whether a record fits.
    pub fn fits(&self, record: &AuditRecord) -> bool {
        let Self { node, username, rpc, audit_id, ending: _, code: _, error_reason: _, since, until } = self;
        let came = record.request_received_timestamp;
        audit_id.is_none_or(|id| record.audit_id == id)
            && (username.is_empty() || record.user.username == *username)
            && (rpc.is_empty() || record.rpc == *rpc || record.rpc.rsplit('/').next() == Some(rpc))
            && since.is_none_or(|since| came >= since)
            && until.is_none_or(|until| came < until)
            && (node.is_empty() || is_about(record, node))
            && self.fits_status(record.response_status.as_ref())
    }

    fn fits_status(&self, status: Option<&ResponseStatus>) -> bool {
        let Self { ending, code, error_reason, .. } = self;
        match status {
            None => ending.is_none() && code.is_empty() && error_reason.is_empty(),
            Some(status) => {
                ending.is_none_or(|ending| Ending::of(status) == ending)
                    && (code.is_empty() || status.code == *code)
                    && (error_reason.is_empty() || status.reason == *error_reason)
            }
        }
    }
}

/// Whether the call was about this node, alone or with others.
fn is_about(record: &AuditRecord, node: &str) -> bool {
    let several = record.response_status.iter().flat_map(|status| &status.nodes);
    let alone = record.request.object(NODES).into_iter().map(|object| &object.name);
    alone.chain(several).any(|name| name.trim_start_matches("nodes/") == node)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn record(change: impl FnOnce(&mut Value)) -> AuditRecord {
        let mut record = json!({
            "auditID": "4a0f2a6c-5a4f-4e5c-8d7e-3a1b2c3d4e5f",
            "stage": "ResponseComplete",
            "rpc": "nodeward.v1.NodeService/CordonNode",
            "user": {"username": "alice"},
            "requestReceivedTimestamp": "2026-11-24T10:00:00Z",
            "stageTimestamp": "2026-11-24T10:00:01Z",
            "objectRef": {"resource": "nodes", "name": "worker-3"},
            "responseStatus": {"code": "OK", "outcome": "changed"},
        });
        change(&mut record);
        serde_json::from_value(record).unwrap()
    }

    fn at(time: &str) -> Option<Timestamp> {
        Some(time.parse().unwrap())
    }

    #[test]
    fn an_empty_filter_fits_every_record() {
        assert!(RecordFilter::default().fits(&record(|_| {})));
        assert!(RecordFilter::default().fits(&record(|record| record["responseStatus"] = Value::Null)));
    }

    #[test]
    fn each_field_lets_through_what_it_names_and_nothing_else() {
        type Set = fn(&mut RecordFilter, &str);
        let of = |change: Set, value: &str| {
            let mut filter = RecordFilter::default();
            change(&mut filter, value);
            filter.fits(&record(|_| {}))
        };
        let fields: [(Set, &str, &str); 7] = [
            (|filter, value| filter.node = value.into(), "worker-3", "worker-31"),
            (|filter, value| filter.username = value.into(), "alice", "alic"),
            (|filter, value| filter.rpc = value.into(), "CordonNode", "Node"),
            (|filter, value| filter.rpc = value.into(), "nodeward.v1.NodeService/CordonNode", "UncordonNode"),
            (|filter, value| filter.code = value.into(), "OK", "NOT_FOUND"),
            (|filter, value| filter.since = at(value), "2026-11-24T10:00:00Z", "2026-11-24T10:00:00.1Z"),
            (|filter, value| filter.until = at(value), "2026-11-24T10:00:00.1Z", "2026-11-24T10:00:00Z"),
        ];
        for (change, fits, does_not) in fields {
            assert!(of(change, fits), "{fits}");
            assert!(!of(change, does_not), "{does_not}");
        }
    }

    #[test]
    fn what_became_of_a_change_is_told_by_its_outcome_and_its_reason() {
        let of = |outcome: &str, reason: &str| {
            Ending::of(&ResponseStatus { outcome: outcome.into(), reason: reason.into(), ..Default::default() })
        };
        assert_eq!(of("changed", ""), Ending::Changed);
        assert_eq!(of("replayed", ""), Ending::Replayed);
        assert_eq!(of("", "ACCESS_DENIED"), Ending::Failed);
        assert_eq!(of("", "OUTCOME_UNKNOWN"), Ending::Unknown);
    }

    #[test]
    fn an_intent_has_no_outcome_to_ask_for() {
        let intent = record(|record| record["responseStatus"] = Value::Null);
        let filter = RecordFilter { ending: Some(Ending::Failed), ..Default::default() };
        assert!(!filter.fits(&intent));
        assert!(!RecordFilter { code: "OK".into(), ..Default::default() }.fits(&intent));
    }

    #[test]
    fn a_node_that_was_deleted_with_others_is_found() {
        let deleted = record(|record| {
            record["objectRef"] = Value::Null;
            record["responseStatus"]["nodes"] = json!(["worker-1", "worker-3"]);
        });
        let on = |node: &str| RecordFilter { node: node.into(), ..Default::default() }.fits(&deleted);
        assert!(on("worker-3"));
        assert!(!on("worker-2"));
    }

    #[test]
    fn filters_that_differ_have_other_hashes() {
        let filters = [
            RecordFilter::default(),
            RecordFilter { node: "a".into(), ..Default::default() },
            RecordFilter { username: "a".into(), ..Default::default() },
            RecordFilter { ending: Some(Ending::Failed), ..Default::default() },
            RecordFilter { since: at("2026-11-24T10:00:00Z"), ..Default::default() },
            RecordFilter { until: at("2026-11-24T10:00:00Z"), ..Default::default() },
        ];
        for (index, one) in filters.iter().enumerate() {
            for other in &filters[index + 1..] {
                assert_ne!(one.hash(), other.hash(), "{one:?} and {other:?}");
            }
        }
    }
}
