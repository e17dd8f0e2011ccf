//! Intents without an outcome: a server that was killed leaves them. The next one records that their outcome is unknown,
//! and then what the cluster says of it.

use std::collections::HashSet;

use jiff::Timestamp;
use nodeward_audit_log::{AuditLog, Entry, ReadError};
use uuid::Uuid;

use super::record::{AuditRecord, ResponseStatus, Stage};
use super::verdict::UNKNOWN;

/// How far back they are looked for. Changes take seconds, so that what is older has long been settled by an earlier start.
const MOST_ENTRIES: usize = 100_000;

/// A change of which it is not known what came of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unsettled {
    pub intent: AuditRecord,
    /// The place of the intent in the log.
    pub sequence: u64,
    /// Whether it is on record that the outcome is unknown.
    pub is_noted: bool,
}

/// The changes whose outcomes are not known, oldest first.
pub(super) fn find(log: &AuditLog) -> Result<Vec<Unsettled>, ReadError> {
    let (mut settled, mut unknown) = (HashSet::new(), HashSet::new());
    let mut open = Vec::new();
    for entry in log.reader().entries_back(log.position().sequence).take(MOST_ENTRIES) {
        let entry = entry?;
        let Some(record) = record(&entry) else { continue };
        match record.stage {
            Stage::Settled => {
                settled.insert(record.audit_id);
            }
            Stage::ResponseComplete if is_unknown(&record) => {
                unknown.insert(record.audit_id);
            }
            Stage::ResponseComplete => {
                settled.insert(record.audit_id);
            }
            Stage::RequestReceived if settled.contains(&record.audit_id) => {}
            Stage::RequestReceived => {
                let is_noted = unknown.contains(&record.audit_id);
                open.push(Unsettled { intent: record, sequence: entry.sequence, is_noted });
            }
        }
    }
    open.reverse();
    Ok(open)
}

/// Whether the call with this id had ended before the entry of this sequence was written.
pub(super) fn had_ended(log: &AuditLog, id: Uuid, sequence: u64) -> bool {
    let earlier = log.reader().entries_back(sequence).take(MOST_ENTRIES).map_while(Result::ok);
    // In the text first: most records are of other calls.
    let text = id.to_string();
    let mut of_call = earlier.filter(|entry| entry.record().is_some_and(|record| record.json().contains(&text)));
    of_call.any(|entry| {
        record(&entry).is_some_and(|record| {
            record.audit_id == id && record.stage == Stage::ResponseComplete && !is_unknown(&record)
        })
    })
}

/// The record of ours in this entry. What is none is left alone.
fn record(entry: &Entry) -> Option<AuditRecord> {
    entry.record()?.read().ok()
}

fn is_unknown(record: &AuditRecord) -> bool {
    record.response_status.as_ref().is_some_and(|status| status.reason == UNKNOWN)
}

/// The record that a change has come to this.
pub(super) fn outcome(intent: &AuditRecord, stage: Stage, status: ResponseStatus) -> AuditRecord {
    AuditRecord { stage, stage_timestamp: Timestamp::now(), response_status: Some(status), ..intent.clone() }.bounded()
}
