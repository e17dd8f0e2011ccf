//! What the verifier found.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::hash::Position;
use crate::key::PublicKey;
use crate::problem::Problem;

/// How many problems are listed. Where there are more, one more hardly helps.
const MAX_PROBLEMS: usize = 100;

/// What the verifier found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Which log it is.
    pub log: Option<Uuid>,
    /// The key that its signatures were checked with.
    pub key: Option<PublicKey>,
    /// Whether the caller gave that key. If not it was taken from the log itself, and all that is said here holds only if
    /// nobody but its writer could write to it.
    pub key_was_given: bool,
    /// How many segments there are.
    pub segments: usize,
    /// The sequence that the log begins with. More than 1 if old segments were removed.
    pub first_sequence: Option<u64>,
    /// The last entry.
    pub last: Option<Position>,
    /// How many records there are.
    pub records: u64,
    /// When the first of them was written.
    pub first_record: Option<Timestamp>,
    /// When the last of them was written.
    pub last_record: Option<Timestamp>,
    /// How many checkpoints there are, with a signature that is right.
    pub checkpoints: u64,
    /// The last of those: all that comes before is as it was when that was signed.
    pub signed_through: Option<u64>,
    /// When it was signed.
    pub signed_at: Option<Timestamp>,
    /// How many entries come after it. Nothing but their chain holds these, which whoever changes them can mend.
    pub unsigned: u64,
    /// Where a crash has torn the log, and its end was cut.
    pub repairs: Vec<Repaired>,
    /// How many bytes stand at the end that are no entry: a line is being written, or was when the writer crashed.
    pub unfinished_bytes: u64,
    /// The first entry that has an earlier time than the one before it.
    pub clock_went_back: Option<u64>,
    /// How many of the expected states are older than the log's beginning, and could not be checked.
    pub unchecked: usize,
    /// What is wrong, as far as it fits.
    pub problems: Vec<Problem>,
    /// Whether more is wrong.
    pub more_problems: bool,
}

/// A place where a crash has torn the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// The entry that says so.
    pub sequence: u64,
    /// When it was written.
    pub time: Timestamp,
    /// How many bytes were cut off.
    pub cut_bytes: u64,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_intact(&self) -> bool {
        self.problems.is_empty()
    }

    /// Adds a problem and says which it is, if it still fits.
    pub(super) fn add(&mut self, problem: Problem) -> Option<usize> {
        if self.problems.len() == MAX_PROBLEMS {
            self.more_problems = true;
            return None;
        }
        self.problems.push(problem);
        Some(self.problems.len() - 1)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_extent(f)?;
        self.write_signatures(f)?;
        self.write_notes(f)?;
        match (self.problems.len(), self.more_problems) {
            (0, _) => return writeln!(f, "The log is intact."),
            (1, false) => writeln!(f, "The log is NOT intact. 1 problem:")?,
            (count, false) => writeln!(f, "The log is NOT intact. {count} problems:")?,
            (count, true) => writeln!(f, "The log is NOT intact. The first {count} problems:")?,
        }
        self.problems.iter().try_for_each(|problem| writeln!(f, "  {problem}"))
    }
}

impl Report {
    fn write_extent(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(log) = self.log {
            writeln!(f, "Log {log}")?;
        }
        if let (Some(first), Some(last)) = (self.first_sequence, self.last) {
            write!(f, "Entries {first} to {}, {} of them records", last.sequence, self.records)?;
            if let (Some(from), Some(to)) = (self.first_record, self.last_record) {
                write!(f, " from {from:.6} to {to:.6}")?;
            }
            writeln!(f, ". Segments: {}.", self.segments)?;
            writeln!(f, "Its end is {last}")?;
        }
        Ok(())
    }

    fn write_signatures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.signed_through, self.signed_at) {
            (Some(sequence), Some(time)) => writeln!(f, "Signed up to entry {sequence}, at {time:.6}")?,
            _ => writeln!(f, "Nothing is signed.")?,
        }
        if self.unsigned > 0 {
            writeln!(f, "Not signed yet: the last {} entries.", self.unsigned)?;
        }
        match self.key {
            Some(key) if self.key_was_given => writeln!(f, "Checked with the given key {key}"),
            Some(key) => writeln!(
                f,
                "Checked with the log's own key {key}. Whoever can write to the log can have put it there: verify with the \
                 key from elsewhere."
            ),
            None => Ok(()),
        }
    }

    fn write_notes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = self.first_sequence.filter(|first| *first > 1) {
            writeln!(f, "The log begins with entry {first}: older segments were removed.")?;
        }
        for Repaired { sequence, time, cut_bytes } in &self.repairs {
            writeln!(f, "Entry {sequence}: {cut_bytes} bytes of an unfinished write were cut off at {time:.6}")?;
        }
        if self.unfinished_bytes > 0 {
            writeln!(f, "The last {} bytes are no entry: an unfinished write.", self.unfinished_bytes)?;
        }
        if let Some(sequence) = self.clock_went_back {
            writeln!(f, "Entry {sequence} has an earlier time than the one before it: the clock was set back.")?;
        }
        if self.unchecked > 0 {
            writeln!(f, "Older than the log's beginning, and not checked: {} expected states.", self.unchecked)?;
        }
        Ok(())
    }
}
