//! What is in an audit log.

use std::path::{Path, PathBuf};

use nodeward_audit_log::Reader;
use nodeward_server::audit::AuditRecord;

/// All records of the log in this directory. None if there is no log yet.
pub fn records(dir: &Path) -> Vec<AuditRecord> {
    let entries = Reader::new(dir).entries(1).map_while(|entry| entry.ok());
    entries.filter_map(|entry| entry.record().map(|record| record.read().unwrap())).collect()
}

/// The files that the records are in.
fn segments(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|end| end == "jsonl")).collect()
}

/// How large the largest of them is.
pub fn size(dir: &Path) -> u64 {
    segments(dir).iter().map(|segment| segment.metadata().unwrap().len()).max().unwrap()
}

/// Takes away the last record, as if the machine had failed before it was written. Nothing of it was signed.
pub fn forget_the_outcome(dir: &Path) {
    let [segment] = &segments(dir)[..] else { panic!("one file") };
    let text = std::fs::read_to_string(segment).unwrap();
    let (before, outcome) = text.trim_end().rsplit_once('\n').unwrap();
    assert!(outcome.contains("ResponseComplete"), "{outcome}");
    std::fs::write(segment, format!("{before}\n")).unwrap();
}
