//! What the tests of this room have in common.

use tempfile::TempDir;

use super::{AuditOptions, AuditRecord, Auditor, Stage};

/// An auditor with a log of its own, which is removed with the directory.
pub(super) async fn auditor(options: AuditOptions) -> (Auditor, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let options = AuditOptions { audit_dir: Some(dir.path().join("log")), ..options };
    (Auditor::open(&options).await.unwrap(), dir)
}

/// The stage of each record, oldest first, and the code of its outcome.
pub(super) fn records(auditor: &Auditor) -> Vec<(Stage, String)> {
    let log = auditor.log().unwrap();
    let entries = log.reader().entries_back(log.position().sequence).map(Result::unwrap);
    let records = entries.filter_map(|entry| entry.record()?.read::<AuditRecord>().ok());
    let mut records: Vec<_> =
        records.map(|record| (record.stage, record.response_status.unwrap_or_default().code)).collect();
    records.reverse();
    records
}
