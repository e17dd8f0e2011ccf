//! The verifier: reads a log and says whether it is what was written, and if not, what is wrong and where.

mod expected;
mod order;
mod report;
mod walk;

use std::fs;
use std::io;
use std::path::Path;

use crate::checkpoint::Checkpoint;
use crate::error::IoFault;
use crate::key::PublicKey;
use crate::problem::{Place, What, Witness};
use crate::segment::{Segment, head_path, segments};

pub use expected::Expected;
pub use report::{Repaired, Report};
use walk::Walk;

/// How often a log is read anew because segments were removed meanwhile.
const ATTEMPTS: usize = 5;

/// Verifies logs. It needs no lock: the log may be written meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    key: Option<PublicKey>,
    expected: Vec<Expected>,
}

impl Verifier {
    /// Checks signatures with this key, which must be from elsewhere than the log's directory.
    pub fn new(key: PublicKey) -> Self {
        Self { key: Some(key), expected: Vec::new() }
    }

    /// Checks signatures with the key that the log itself names. That finds accidents, but nobody who can write to the
    /// log: it could be all of his making. The report says so.
    pub fn trusting_the_log() -> Self {
        Self::default()
    }

    /// Expects that the log once had this state. Without one kept elsewhere, nobody can tell a log from its own past.
    pub fn expect(mut self, expected: impl IntoIterator<Item = Expected>) -> Self {
        self.expected.extend(expected);
        self
    }

    /// Reads the log in this directory.
    pub fn verify(&self, dir: &Path) -> Result<Report, IoFault> {
        let (report, last) = self.read_while_pruned(dir)?;
        if report.problems.iter().any(|problem| Some(&problem.place.file) == last.as_ref()) {
            // Or did its writer just cut off what it could not write? Tampering is there the second time, too.
            return Ok(self.read_while_pruned(dir)?.0);
        }
        Ok(report)
    }

    fn read_while_pruned(&self, dir: &Path) -> Result<(Report, Option<String>), IoFault> {
        let mut attempts = 1;
        loop {
            match self.read(dir) {
                Err(fault) if fault.source.kind() == io::ErrorKind::NotFound && attempts < ATTEMPTS && dir.is_dir() => {
                    attempts += 1;
                }
                read => return read,
            }
        }
    }

    /// The report, and the name of the last segment.
    fn read(&self, dir: &Path) -> Result<(Report, Option<String>), IoFault> {
        // Before the segments: a log that is being written is never behind it then.
        let head = read_head(dir)?;
        let segments = segments(dir).map_err(IoFault::when("list", dir))?;
        let kept = self.expected.iter().map(Expected::position);
        let wanted = kept.chain(head.iter().flatten().map(Checkpoint::position)).map(|position| position.sequence);
        let mut walk = Walk::new(self.key, &segments, wanted.collect());
        for number in 0..segments.len() {
            walk.read_segment(number)?;
        }
        walk.finish();
        match head {
            Some(Ok(head)) => walk.check_witness(Witness::Head, head.position(), Some(&head)),
            Some(Err(reason)) => {
                walk.add(in_head(), What::NoCheckpoint { witness: Witness::Head, reason });
            }
            // It is written right after the first two entries.
            None if walk.last_sequence() > 2 => {
                walk.add(in_head(), What::HeadMissing);
            }
            None => {}
        }
        for expected in &self.expected {
            let checkpoint = match expected {
                Expected::Checkpoint(checkpoint) => Some(checkpoint),
                Expected::Position(_) => None,
            };
            walk.check_witness(Witness::Kept, expected.position(), checkpoint);
        }
        Ok((walk.report, segments.last().map(Segment::name)))
    }
}

fn in_head() -> Place {
    Place { file: "head".to_owned(), line: None, sequence: None }
}

/// The checkpoint in the file `head`, if there is one, or why it is none.
fn read_head(dir: &Path) -> Result<Option<Result<Checkpoint, String>>, IoFault> {
    let path = head_path(dir);
    match fs::read(&path) {
        Ok(bytes) => {
            let text = str::from_utf8(&bytes).map_err(|error| error.to_string());
            Ok(Some(text.and_then(|text| text.parse().map_err(|error: crate::ParseError| error.to_string()))))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(IoFault::when("read", &path)(error)),
    }
}
