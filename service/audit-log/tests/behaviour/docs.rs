//! docs/audit-log.md says what is true: its example, which older versions wrote, is a log that is whole.

use std::fs;

use nodeward_audit_log::{Body, Entry, LineHash, PublicKey, Verifier};

const GUIDE: &str = include_str!("../../../../docs/audit-log.md");

fn example() -> &'static str {
    GUIDE.split("```jsonl\n").nth(1).unwrap().split("```").next().unwrap()
}

#[test]
fn the_example_in_the_guide_is_intact() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("audit-0000000001.jsonl"), example()).unwrap();
    fs::write(dir.path().join("head"), example().lines().next_back().unwrap()).unwrap();
    let Body::Header(header) = Entry::parse(example().split_inclusive('\n').next().unwrap()).unwrap().body else {
        panic!("no header")
    };
    let key: PublicKey = header.key.to_pem().parse().unwrap();
    let report = Verifier::new(key).verify(dir.path()).unwrap();
    assert!(report.is_intact() && report.records == 2 && report.unsigned == 0, "{report}");
}

#[test]
fn the_hash_in_the_guide_is_the_one_of_its_line() {
    let line = example().split_inclusive('\n').nth(2).unwrap();
    assert!(GUIDE.contains(&format!("{}  -\n", LineHash::of(line.as_bytes()))));
}

#[test]
fn the_guide_has_the_text_that_is_signed() {
    assert!(GUIDE.contains("```text\nnodeward audit log checkpoint v1\nLOG\nSEQ\nTIME\nPREV\n```"));
}
