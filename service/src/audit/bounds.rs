//! Every record fits into a line of the log: what could be longer is bounded, each field for itself, so that no request
//! and no node can keep an outcome from being recorded. What is left out is named by its size and its hash.

use nodeward_audit_log::LineHash;
use serde::Serialize;
use serde_json::{Value, json};

use super::record::AuditRecord;

/// How many bytes of JSON the changed fields may have, before and after.
const MOST_FIELDS: usize = 256 << 10;

/// The same for the names of deleted nodes.
const MOST_NODES: usize = 256 << 10;

/// The same for the caller's groups.
const MOST_GROUPS: usize = 64 << 10;

/// The same for a text: the caller's name, or evidence.
const MOST_TEXT: usize = 16 << 10;

/// The most bytes that JSON needs for a character.
const ESCAPED: usize = 6;

/// What stands in the place of changed fields that are too large.
const OMITTED: &str = "nodeward.dev/omitted";

impl AuditRecord {
    /// The same record, with what is too large left out. What the request holds besides is bounded when it is taken over.
    pub(super) fn bounded(mut self) -> Self {
        shorten(&mut self.user.username);
        for overridden in &mut self.request.budget_overrides {
            shorten(&mut overridden.reason);
        }
        if let Some(used) = &mut self.request.budget_override {
            shorten(&mut used.reason);
        }
        self.user.omitted_groups += cut(&mut self.user.groups, MOST_GROUPS);
        if let Some(status) = &mut self.response_status {
            stand_in(&mut status.before);
            stand_in(&mut status.after);
            status.omitted_nodes += cut(&mut status.nodes, MOST_NODES);
            shorten(&mut status.evidence);
        }
        self
    }
}

/// Puts the size and the hash of changed fields in their place, if they are too large.
fn stand_in(fields: &mut Value) {
    if size(fields) > MOST_FIELDS {
        let text = fields.to_string();
        let hash = LineHash::of(text.as_bytes()).to_string();
        *fields = json!({ OMITTED: { "bytes": text.len(), "sha256": hash } });
    }
}

/// Leaves out the last ones of a list that is too large. Says how many.
fn cut(list: &mut Vec<String>, most: usize) -> u64 {
    let mut bytes = 0;
    let fitting = list.iter().take_while(|text| {
        bytes += size(text) + 1;
        bytes <= most
    });
    let fitting = fitting.count();
    let omitted = list.len() - fitting;
    list.truncate(fitting);
    omitted as u64
}

/// Leaves the beginning of a text that is too long, and says which text it was.
fn shorten(text: &mut String) {
    if size(text) > MOST_TEXT {
        let (bytes, hash) = (text.len(), LineHash::of(text.as_bytes()));
        let beginning: String = text.chars().take(MOST_TEXT / ESCAPED - 128).collect();
        *text = format!("{beginning}... ({bytes} bytes, SHA-256 {hash})");
    }
}

/// How many bytes of JSON it has.
fn size(value: &impl Serialize) -> usize {
    serde_json::to_string(value).map_or(usize::MAX, |json| json.len())
}

#[cfg(test)]
mod tests {
    use nodeward_audit_log::Record;

    use super::*;

    fn record() -> AuditRecord {
        serde_json::from_value(json!({
            "auditID": "5f0c1c6e-5c89-4a8c-8a5b-0d9f7e0f9a11", "stage": "ResponseComplete", "rpc": "s/DeleteNodes",
            "user": {"username": "alice", "groups": ["ops"]}, "requestReceivedTimestamp": "2026-11-24T07:54:38Z",
            "stageTimestamp": "2026-11-24T07:54:38Z",
            "responseStatus": {"code": "OK", "before": {"spec": {"a": null}}, "after": {"spec": {"a": 1}}, "nodes": ["a"]},
        }))
        .unwrap()
    }

    #[test]
    fn what_is_small_stays_as_it_is() {
        assert_eq!(record().bounded(), record());
    }

    #[test]
    fn the_largest_record_fits_into_a_line() {
        let (long, mut record) = ("\u{1}".repeat(2 << 20), record());
        let many: Vec<String> = (0..50_000).map(|number| format!("a-node-with-a-long-name-{number}")).collect();
        (record.user.username, record.user.groups) = (long.clone(), many.clone());
        let control = |characters: usize| "\u{1}".repeat(characters);
        (record.request.filter, record.request.label_selector) = (control(4096), control(4096));
        record.request.reason = control(1024);
        record.user_agent = "x".repeat(256);
        let status = record.response_status.as_mut().unwrap();
        (status.before, status.after) = (json!({ "a": long }), json!({ "b": long }));
        (status.nodes, status.evidence) = (many, long);
        // Just small enough to be kept.
        let mut kept = record.clone();
        let status = kept.response_status.as_mut().unwrap();
        status.before = json!({ "a": "x".repeat(MOST_FIELDS - 8) });
        status.after = status.before.clone();
        for record in [record.bounded(), kept.bounded()] {
            let json = Record::new(&record).unwrap();
            assert_eq!(json.read::<AuditRecord>().unwrap(), record);
        }
    }

    #[test]
    fn large_fields_are_named_by_size_and_hash() {
        let mut record = record();
        record.response_status.as_mut().unwrap().after = json!({ "a": "x".repeat(MOST_FIELDS) });
        let status = record.bounded().response_status.unwrap();
        let text = json!({ "a": "x".repeat(MOST_FIELDS) }).to_string();
        let hash = LineHash::of(text.as_bytes()).to_string();
        assert_eq!(status.after, json!({"nodeward.dev/omitted": {"bytes": text.len(), "sha256": hash}}));
        assert_eq!(status.before, json!({"spec": {"a": null}}));
    }

    #[test]
    fn how_many_names_are_left_out_is_said() {
        let mut record = record();
        record.response_status.as_mut().unwrap().nodes = (0..10_000).map(|number| format!("{number:063}")).collect();
        let status = record.bounded().response_status.unwrap();
        assert_eq!(status.nodes.len() as u64 + status.omitted_nodes, 10_000);
        assert_eq!(status.nodes.len(), MOST_NODES / 66);
    }
}
