//! The files of a log: segments, named for the sequence of their first entry, the signed `head`, and the lock.

use std::io;
use std::path::{Path, PathBuf};

use crate::entry::MAX_SEQUENCE;

/// One segment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The sequence of its first entry, its header.
    pub first: u64,
    /// Where it is.
    pub path: PathBuf,
}

impl Segment {
    /// The segment of this directory that begins with this sequence.
    pub(crate) fn new(dir: &Path, first: u64) -> Self {
        Self { first, path: dir.join(format!("audit-{first:010}.jsonl")) }
    }

    /// Its name while it is being made.
    pub(crate) fn unfinished(&self) -> PathBuf {
        self.path.with_extension("jsonl.new")
    }

    /// Its name, without the directory.
    pub(crate) fn name(&self) -> String {
        file_name(&self.path)
    }
}

/// The name of a file, without the directory.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The file with the last checkpoint.
pub(crate) fn head_path(dir: &Path) -> PathBuf {
    dir.join("head")
}

/// The name of the file with the last checkpoint while it is being made.
pub(crate) fn new_head_path(dir: &Path) -> PathBuf {
    dir.join("head.new")
}

/// The file that a writer holds a lock on.
pub(crate) fn lock_path(dir: &Path) -> PathBuf {
    dir.join("lock")
}

/// The segments in a directory, oldest first.
pub(crate) fn segments(dir: &Path) -> io::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for entry in dir.read_dir()? {
        let path = entry?.path();
        if let Some(first) = first_sequence(&file_name(&path))
            && Segment::new(dir, first).path == path
        {
            segments.push(Segment { first, path });
        }
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

fn first_sequence(name: &str) -> Option<u64> {
    let first = name.strip_prefix("audit-")?.strip_suffix(".jsonl")?.parse().ok()?;
    (1..=MAX_SEQUENCE).contains(&first).then_some(first)
}

/// The last of these segments that begins at this sequence or before: the only one that can hold it.
pub(crate) fn holding(segments: &[Segment], sequence: u64) -> Option<&Segment> {
    segments[..segments.partition_point(|segment| segment.first <= sequence)].last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_found_in_the_order_of_their_sequences_and_other_files_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let others = [
            "head",
            "lock",
            "audit-5.jsonl",
            "audit-0000000007.jsonl.new",
            "audit-x.jsonl",
            "audit-+000000007.jsonl",
            "audit-0000000000.jsonl",
            "audit-18446744073709551615.jsonl",
        ];
        let names = ["audit-0000000100.jsonl", "audit-0000000002.jsonl", "audit-12345678901.jsonl"];
        for name in others.iter().chain(&names) {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let found: Vec<u64> = segments(dir.path()).unwrap().iter().map(|segment| segment.first).collect();
        assert_eq!(found, [2, 100, 12_345_678_901]);
    }

    #[test]
    fn a_sequence_is_in_the_last_segment_that_begins_before_it() {
        let segments = [1, 5, 9].map(|first| Segment::new(Path::new("log"), first));
        let found = |sequence| holding(&segments, sequence).map(|segment| segment.first);
        assert_eq!([0, 1, 4, 5, 8, 9, 99].map(found), [None, Some(1), Some(1), Some(5), Some(5), Some(9), Some(9)]);
    }
}
