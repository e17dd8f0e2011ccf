//! Nothing can be done to a log that the verifier does not find, given where it ended.

use std::fs;
use std::path::{Path, PathBuf};

use nodeward_audit_log::{Expected, Position, PublicKey, Report, Verifier};
use proptest::prelude::*;

use crate::support::*;

/// A log that is whole, as bytes.
struct Sample {
    fixture: Fixture,
    key: PublicKey,
    end: Position,
    segments: Vec<(PathBuf, Vec<u8>)>,
}

impl Sample {
    /// Two segments, with every kind of entry. It ends with a record that is not signed.
    fn new() -> Self {
        let mut fixture = Fixture::new();
        fixture.options.segment_bytes = 1800;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (key, end) = runtime.block_on(async {
            fixture.written(1).await;
            fixture.edit(0, |lines| lines.push("{".to_owned()));
            let log = fixture.open().await;
            append_all(&log, 1..3).await;
            // Signed, so that the new segment is begun before the next record.
            log.checkpoint().await.unwrap();
            append(&log, 3).await.unwrap();
            let (end, key, backup) = (log.position(), log.public_key(), fixture.backup());
            log.close().await.unwrap();
            fixture.restore(&backup);
            (key, end)
        });
        let segments = fixture.segments().into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        let sample = Self { fixture, key, end, segments };
        let report = sample.report();
        assert!(report.is_intact() && report.segments == 2 && report.unsigned > 0, "{report}");
        sample
    }

    fn report(&self) -> Report {
        self.fixture.report_with(self.key, [Expected::Position(self.end)])
    }

    /// What the verifier says if this file has other contents.
    fn report_if(&self, path: &Path, contents: &[u8]) -> Report {
        let before = fs::read(path).unwrap();
        fs::write(path, contents).unwrap();
        let report = self.report();
        fs::write(path, before).unwrap();
        report
    }

    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let head = self.fixture.log_dir().join("head");
        let mut files = self.segments.clone();
        files.push((head.clone(), fs::read(head).unwrap()));
        files
    }
}

fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').collect()
}

#[test]
fn every_change_of_a_byte_is_found() {
    let sample = Sample::new();
    for (path, bytes) in sample.files() {
        for at in 0..bytes.len() {
            // One bit each, and never the same for long.
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            // The line feed behind the head says nothing.
            let is_trifling = path.ends_with("head") && at + 1 == bytes.len();
            let report = sample.report_if(&path, &changed);
            assert!(!report.is_intact() || is_trifling, "{path:?} {at}: {report}");
        }
    }
}

#[test]
fn every_cut_is_found() {
    let sample = Sample::new();
    for (path, bytes) in &sample.segments {
        // Around the end of each line, and in its midst here and there.
        let is_near_end = |end: usize| bytes[end.saturating_sub(2)..bytes.len().min(end + 2)].contains(&b'\n');
        for end in (0..bytes.len()).filter(|end| end % 16 == 0 || is_near_end(*end)) {
            let report = sample.report_if(path, &bytes[..end]);
            assert!(!report.is_intact(), "{path:?} {end}: {report}");
        }
    }
}

#[test]
fn every_line_that_is_removed_repeated_or_put_in_another_place_is_found() {
    let sample = Sample::new();
    for (path, bytes) in &sample.segments {
        let count = lines(bytes).len();
        for (one, other) in (0..count).flat_map(|one| (0..count).map(move |other| (one, other))) {
            let mut removed = lines(bytes);
            let line = removed.remove(one);
            let mut moved = removed.clone();
            moved.insert(other, line);
            let mut repeated = lines(bytes);
            repeated.insert(other, line);
            for (what, changed) in [("removed", removed), ("moved", moved), ("repeated", repeated)] {
                let report = sample.report_if(path, &changed.concat());
                assert_eq!(report.is_intact(), changed.concat() == *bytes, "{path:?} {one} {other} {what}: {report}");
            }
        }
    }
}

#[test]
fn every_segment_that_is_removed_is_found() {
    let sample = Sample::new();
    for (path, bytes) in &sample.segments {
        fs::remove_file(path).unwrap();
        assert!(!sample.report().is_intact(), "{path:?}");
        fs::write(path, bytes).unwrap();
    }
}

#[derive(Clone, Debug)]
enum Tampering {
    Overwrite(usize, Vec<u8>),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Swap(usize, usize),
    Copy(usize, usize),
}

fn tampering() -> impl Strategy<Value = Tampering> {
    let bytes = || prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'"'), Just(0)], 1..40);
    let at = || 0..10_000_usize;
    prop_oneof![
        (at(), bytes()).prop_map(|(at, bytes)| Tampering::Overwrite(at, bytes)),
        (at(), bytes()).prop_map(|(at, bytes)| Tampering::Insert(at, bytes)),
        (at(), 1..2000_usize).prop_map(|(at, count)| Tampering::Remove(at, count)),
        (at(), at()).prop_map(|(one, other)| Tampering::Swap(one, other)),
        (at(), at()).prop_map(|(from, to)| Tampering::Copy(from, to)),
    ]
}

/// The bytes after this was done to them. Numbers are taken modulo what is there.
fn tamper(bytes: &[u8], tampering: &Tampering) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    let line = |at: usize| at % lines(bytes).len();
    match tampering {
        Tampering::Overwrite(at, new) => {
            let at = at % bytes.len();
            let end = bytes.len().min(at + new.len());
            changed[at..end].copy_from_slice(&new[..end - at]);
        }
        Tampering::Insert(at, new) => drop(changed.splice(at % bytes.len()..at % bytes.len(), new.iter().copied())),
        Tampering::Remove(at, count) => {
            let at = at % bytes.len();
            changed.drain(at..bytes.len().min(at + count));
        }
        Tampering::Swap(one, other) => {
            let mut lines = lines(bytes);
            lines.swap(line(*one), line(*other));
            changed = lines.concat();
        }
        Tampering::Copy(from, to) => {
            let mut lines = lines(bytes);
            lines.insert(line(*to), lines[line(*from)]);
            changed = lines.concat();
        }
    }
    changed
}

#[test]
fn whatever_is_done_to_a_log_is_found() {
    let sample = Sample::new();
    let steps = prop::collection::vec((0..sample.segments.len(), tampering()), 1..4);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&steps, |steps| {
        let mut segments = sample.segments.clone();
        for (segment, step) in &steps {
            let bytes = &mut segments[*segment].1;
            if !bytes.is_empty() {
                *bytes = tamper(bytes, step);
            }
        }
        segments.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
        let report = sample.report();
        // Bytes behind the end that look like an unfinished write are not part of the log.
        let unfinished = report.unfinished_bytes as usize;
        if let Some((_, last)) = segments.last_mut() {
            last.truncate(last.len() - unfinished);
        }
        prop_assert_eq!(report.is_intact(), segments == sample.segments, "{}", report);
        Ok(())
    });
    outcome.unwrap();
    assert!(Verifier::trusting_the_log().verify(sample.fixture.log_dir()).is_ok());
}
