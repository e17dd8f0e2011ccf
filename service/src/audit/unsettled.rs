//! Intents without an outcome: a server that was killed leaves them. The next one records that their outcome is unknown,
//! and then what the cluster says of it.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use nodeward_audit_log::{AuditLog, Entry, ReadError};
use uuid::Uuid;

use super::record::{AuditRecord, ResponseStatus, Stage};
use super::verdict::UNKNOWN;

/// How far back is looked, at least: so many entries.
const MOST_ENTRIES: usize = 100_000;

/// And so long, before the last record. No change takes longer, so that of what is older the outcome is on record, if only
/// that it is unknown; and that is recorded anew before it is too far back.
const LONGEST_CHANGE: SignedDuration = SignedDuration::from_mins(30);

/// A change of which it is not known what came of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unsettled {
    pub intent: AuditRecord,
    /// The place of the intent in the log; 0 if it is too far back to be looked for.
    pub sequence: u64,
    /// Whether it is on record that the outcome is unknown.
    pub is_noted: bool,
}

/// The changes whose outcomes are not known, oldest first.
pub(super) fn find(log: &AuditLog) -> Result<Vec<Unsettled>, ReadError> {
    find_within(log, MOST_ENTRIES, LONGEST_CHANGE)
}

fn find_within(log: &AuditLog, entries: usize, age: SignedDuration) -> Result<Vec<Unsettled>, ReadError> {
    let (mut settled, mut unknown) = (HashSet::new(), HashMap::new());
    let mut open = Vec::new();
    let mut last = None;
    for (passed, entry) in log.reader().entries_back(log.position().sequence).enumerate() {
        let entry = entry?;
        let Some(record) = record(&entry) else { continue };
        let last = *last.get_or_insert(entry.time);
        if passed >= entries && last.duration_since(entry.time) >= age {
            break;
        }
        let id = record.audit_id;
        match record.stage {
            Stage::ResponseComplete if is_unknown(&record) => {
                if !settled.contains(&id) {
                    unknown.entry(id).or_insert(Note { record, is_near: passed < entries / 2 });
                }
            }
            Stage::Settled | Stage::ResponseComplete => {
                settled.insert(id);
            }
            Stage::RequestReceived if settled.contains(&id) => {}
            Stage::RequestReceived => {
                let is_noted = unknown.remove(&id).is_some_and(|note| note.is_near);
                open.push(Unsettled { intent: record, sequence: entry.sequence, is_noted });
            }
        }
    }
    // Those whose intents are farther back: their notes say all that the intents do.
    let mut far: Vec<Unsettled> = unknown.into_values().map(Note::into_unsettled).collect();
    far.sort_by_key(|open| open.intent.request_received_timestamp);
    far.extend(open.into_iter().rev());
    Ok(far)
}

/// The record that an outcome is unknown.
struct Note {
    record: AuditRecord,
    /// Whether it need not be recorded anew, so that later starts find it.
    is_near: bool,
}

impl Note {
    fn into_unsettled(self) -> Unsettled {
        let Self { record, is_near } = self;
        let intent = AuditRecord { stage: Stage::RequestReceived, response_status: None, ..record };
        Unsettled { intent, sequence: 0, is_noted: is_near }
    }
}

/// Whether the call with this id had ended before the entry of this sequence was written. With 0 that is not known.
pub(super) fn had_ended(log: &AuditLog, id: Uuid, sequence: u64) -> bool {
    if sequence == 0 {
        return false;
    }
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

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::audit::testing::auditor;
    use crate::audit::verdict::Verdict;
    use crate::audit::{AuditCall, AuditOptions, Auditor, Outcome};
    use crate::caller::Caller;

    fn call(auditor: &Auditor) -> AuditCall {
        AuditCall::new(auditor.clone(), "s/CordonNode", &Caller::Server, None, &HeaderMap::new(), String::new())
    }

    async fn note_unknown(auditor: &Auditor, open: &Unsettled) {
        let status = Verdict::Open(String::new()).status();
        auditor.write(&outcome(&open.intent, Stage::ResponseComplete, status)).await.unwrap();
    }

    async fn refusals(auditor: &Auditor, count: usize) {
        for _ in 0..count {
            call(auditor).refused(Outcome::default()).await;
        }
    }

    fn found(auditor: &Auditor, age: SignedDuration) -> Vec<Unsettled> {
        find_within(auditor.log().unwrap(), 10, age).unwrap()
    }

    #[tokio::test]
    async fn an_intent_is_found_among_however_many_records_of_its_time() {
        let (auditor, _dir) = auditor(AuditOptions::default()).await;
        call(&auditor).begin().await.unwrap();
        refusals(&auditor, 20).await;
        assert_eq!(found(&auditor, LONGEST_CHANGE).len(), 1);
        assert_eq!(found(&auditor, SignedDuration::ZERO), []);
    }

    #[tokio::test]
    async fn what_is_unknown_is_found_by_its_note_which_is_written_anew_before_it_is_too_far_back() {
        let (auditor, _dir) = auditor(AuditOptions::default()).await;
        call(&auditor).begin().await.unwrap();
        let open = found(&auditor, SignedDuration::ZERO).remove(0);
        assert!(!open.is_noted);
        refusals(&auditor, 20).await;
        note_unknown(&auditor, &open).await;
        let far = found(&auditor, SignedDuration::ZERO);
        assert_eq!(
            far,
            [Unsettled {
                sequence: 0,
                is_noted: true,
                intent: AuditRecord { stage_timestamp: far[0].intent.stage_timestamp, ..open.intent.clone() }
            }]
        );
        refusals(&auditor, 6).await;
        assert!(!found(&auditor, SignedDuration::ZERO)[0].is_noted);
        let status = Verdict::CarriedOut(String::new()).status();
        auditor.write(&outcome(&open.intent, Stage::Settled, status)).await.unwrap();
        assert_eq!(found(&auditor, SignedDuration::ZERO), []);
        assert_eq!(found(&auditor, LONGEST_CHANGE), []);
    }
}
