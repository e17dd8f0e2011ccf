//! Intents without an outcome: a server that was killed leaves them. The next one records that their outcome is unknown.

use std::collections::HashSet;

use jiff::Timestamp;
use nodeward_audit_log::{AuditLog, ReadError};
use uuid::Uuid;

use super::record::{AuditRecord, ResponseStatus, Stage};

/// How far back they are looked for. Changes take seconds, so that what is older has long been settled by an earlier start.
const MOST_ENTRIES: usize = 100_000;

/// The code and the reason of an outcome that nobody knows.
const UNKNOWN: [&str; 2] = ["UNKNOWN", "OUTCOME_UNKNOWN"];

/// The outcomes to record for the intents that have none, oldest first.
pub(super) fn outcomes(log: &AuditLog) -> Result<Vec<AuditRecord>, ReadError> {
    let mut settled: HashSet<Uuid> = HashSet::new();
    let mut open = Vec::new();
    for entry in log.reader().entries_back(log.position().sequence).take(MOST_ENTRIES) {
        // What is not one of our records is left alone.
        let Some(record) = entry?.record().and_then(|record| record.read::<AuditRecord>().ok()) else { continue };
        match record.stage {
            Stage::ResponseComplete => {
                settled.insert(record.audit_id);
            }
            Stage::RequestReceived if !settled.contains(&record.audit_id) => open.push(unknown(record)),
            Stage::RequestReceived => {}
        }
    }
    open.reverse();
    Ok(open)
}

fn unknown(intent: AuditRecord) -> AuditRecord {
    let [code, reason] = UNKNOWN.map(str::to_owned);
    AuditRecord {
        stage: Stage::ResponseComplete,
        stage_timestamp: Timestamp::now(),
        response_status: Some(ResponseStatus { code, reason, ..ResponseStatus::default() }),
        ..intent
    }
}
