//! What is in an audit log.

use std::path::Path;

use nodeward_audit_log::Reader;
use nodeward_server::audit::AuditRecord;

/// All records of the log in this directory. None if there is no log yet.
pub fn records(dir: &Path) -> Vec<AuditRecord> {
    let entries = Reader::new(dir).entries(1).map_while(|entry| entry.ok());
    entries.filter_map(|entry| entry.record().map(|record| record.read().unwrap())).collect()
}
