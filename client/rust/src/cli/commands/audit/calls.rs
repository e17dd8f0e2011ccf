//! Calls: of the records of each the last one, which repeats what those before it say.

use std::collections::HashSet;

use nodeward_client::api::AuditRecord;

/// The last record of each call, as records come, the newest first.
#[derive(Debug, Default)]
pub struct Calls {
    seen: HashSet<String>,
    records: Vec<AuditRecord>,
}

impl Calls {
    /// Takes a record. If there are `most` calls already, and it is of another one, it is not taken, and this says so.
    pub fn take(&mut self, record: AuditRecord, most: usize) -> bool {
        if self.seen.contains(&record.audit_id) {
            return true;
        }
        if self.records.len() == most {
            return false;
        }
        self.seen.insert(record.audit_id.clone());
        self.records.push(record);
        true
    }

    /// The records, the newest first.
    pub fn into_records(self) -> Vec<AuditRecord> {
        self.records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(call: &str, sequence: i64) -> AuditRecord {
        AuditRecord { audit_id: call.into(), sequence, ..AuditRecord::default() }
    }

    #[test]
    fn the_last_record_of_each_call_is_kept() {
        let mut calls = Calls::default();
        for (call, sequence) in [("b", 5), ("a", 4), ("b", 3), ("a", 2)] {
            assert!(calls.take(record(call, sequence), 10));
        }
        assert_eq!(calls.into_records(), [record("b", 5), record("a", 4)]);
    }

    #[test]
    fn there_are_no_more_calls_than_asked_for() {
        let mut calls = Calls::default();
        assert!(calls.take(record("b", 4), 1));
        assert!(calls.take(record("b", 3), 1), "it is of a call that is there already");
        assert!(!calls.take(record("a", 2), 1));
        assert_eq!(calls.into_records().len(), 1);
    }
}
