//! Goes through all lines of a log, once, and keeps no more of it in memory than one line.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkpoint::Checkpoint;
use crate::entry::{Body, Entry};
use crate::error::IoFault;
use crate::hash::{LineHash, Position};
use crate::key::PublicKey;
use crate::lines::{Line, Lines};
use crate::problem::{Place, Problem, What, Witness};
use crate::rules::Rules;
use crate::segment::Segment;
use crate::verify::order::OutOfPlace;
use crate::verify::report::{Repaired, Report};

/// How far the verifier is.
pub(super) struct Walk<'a> {
    pub report: Report,
    pub segments: &'a [Segment],
    given_key: Option<PublicKey>,
    rules: Option<Rules>,
    /// Whether a header names another key than the given one, so that no signature can be right.
    has_other_key: bool,
    /// The first entry of the log.
    first: Option<(Place, Entry)>,
    /// The last entry that stands in its place.
    last: Option<Last>,
    /// How many lines that are no entries come after it.
    bad_lines: u64,
    /// The entries that stand out of their place, just before this line.
    pub(super) out_of_place: Option<OutOfPlace>,
    /// Where the log begins by its own account, and how much of that is signed.
    pruned: u64,
    signed_pruned: u64,
    /// The sequences whose hashes are asked for, and those that were found.
    wanted: BTreeSet<u64>,
    found: BTreeMap<u64, LineHash>,
}

struct Last {
    place: Place,
    position: Position,
    time: jiff::Timestamp,
}

impl<'a> Walk<'a> {
    pub(super) fn new(key: Option<PublicKey>, segments: &'a [Segment], wanted: BTreeSet<u64>) -> Self {
        let report = Report { key, key_was_given: key.is_some(), segments: segments.len(), ..Report::default() };
        Self {
            report,
            segments,
            given_key: key,
            rules: None,
            has_other_key: false,
            first: None,
            last: None,
            bad_lines: 0,
            out_of_place: None,
            pruned: 0,
            signed_pruned: 0,
            wanted,
            found: BTreeMap::new(),
        }
    }

    /// Reads one of the segments.
    pub(super) fn read_segment(&mut self, number: usize) -> Result<(), IoFault> {
        let segment = &self.segments[number];
        let is_last = number + 1 == self.segments.len();
        let mut lines = Lines::open(&segment.path).map_err(IoFault::when("open", &segment.path))?;
        while let Some(line) = lines.next().map_err(IoFault::when("read", &segment.path))? {
            match line.entry() {
                Ok((entry, position)) => self.take(number, &line, entry, position)?,
                Err(_) if is_last && line.number > 1 && line.is_torn() => {
                    let bytes = segment.path.metadata().map_err(IoFault::when("look at", &segment.path))?.len();
                    self.report.unfinished_bytes = bytes.saturating_sub(line.offset);
                    return Ok(());
                }
                Err(reason) => {
                    let unfinished = !line.bytes.ends_with(b"\n") && line.is_torn();
                    let reason = reason.to_string();
                    let what = if unfinished { What::Unfinished } else { What::NotAnEntry { reason } };
                    self.add(place(segment, &line, None), what);
                    self.bad_lines += 1;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, number: usize, line: &Line<'_>, entry: Entry, position: Position) -> Result<(), IoFault> {
        let segment = &self.segments[number];
        let place = place(segment, line, Some(entry.sequence));
        let Some(last) = &self.last else {
            self.begin(&place, &entry);
            self.accept(segment, line, place, entry, position);
            return Ok(());
        };
        let expected = last.position.sequence + 1;
        if entry.sequence < expected {
            return self.take_out_of_place(number, place, &entry, position);
        }
        if entry.sequence == expected && entry.previous != last.position.hash {
            let place = last.place.clone();
            self.add(place, What::Changed);
        }
        // Each line that is no entry may have been one.
        let from = expected + self.bad_lines;
        if entry.sequence > from {
            self.add(place.clone(), What::Missing { from, to: entry.sequence - 1 });
        }
        self.accept(segment, line, place, entry, position);
        Ok(())
    }

    fn begin(&mut self, place: &Place, entry: &Entry) {
        self.report.first_sequence = Some(entry.sequence);
        self.first = Some((place.clone(), entry.clone()));
        self.found.insert(entry.sequence.saturating_sub(1), entry.previous);
        if entry.sequence == 1 && entry.previous != LineHash::NONE {
            self.add(place.clone(), What::Changed);
        }
    }

    /// The entry stands in its place.
    fn accept(&mut self, segment: &Segment, line: &Line<'_>, place: Place, entry: Entry, position: Position) {
        if let (None, Body::Header(header)) = (&self.rules, &entry.body) {
            let rules = Rules { log: header.log, key: self.given_key.unwrap_or(header.key) };
            (self.report.log, self.report.key, self.rules) = (Some(rules.log), Some(rules.key), Some(rules));
        }
        let checked = match &self.rules {
            Some(rules) => rules.check(&entry, line.number, segment),
            None => Err(What::NoHeader),
        };
        let is_right = checked.is_ok();
        match checked {
            // That was said of the header.
            Err(What::NoHeader) if line.number > 1 => {}
            Err(What::BadSignature) if self.has_other_key => {}
            Err(what) => {
                self.has_other_key |= matches!(what, What::OtherKey { .. });
                self.add(place.clone(), what);
            }
            Ok(()) => {}
        }
        self.count(&entry, is_right);
        if self.wanted.contains(&entry.sequence) {
            self.found.insert(entry.sequence, position.hash);
        }
        self.report.last = Some(position);
        self.last = Some(Last { place, position, time: entry.time });
        (self.bad_lines, self.out_of_place) = (0, None);
    }

    fn count(&mut self, entry: &Entry, is_right: bool) {
        let report = &mut self.report;
        if self.last.as_ref().is_some_and(|last| entry.time < last.time) {
            report.clock_went_back.get_or_insert(entry.sequence);
        }
        match &entry.body {
            Body::Record(_) => {
                report.records += 1;
                report.first_record.get_or_insert(entry.time);
                report.last_record = Some(entry.time);
            }
            Body::Checkpoint(_) if is_right => {
                report.checkpoints += 1;
                (report.signed_through, report.signed_at) = (Some(entry.sequence), Some(entry.time));
                self.signed_pruned = self.pruned;
            }
            Body::Repair(repair) => {
                let (sequence, time, cut_bytes) = (entry.sequence, entry.time, repair.cut_bytes);
                report.repairs.push(Repaired { sequence, time, cut_bytes });
            }
            Body::Prune(prune) => self.pruned = self.pruned.max(prune.before),
            Body::Header(_) | Body::Checkpoint(_) => {}
        }
    }

    /// All lines were read.
    pub(super) fn finish(&mut self) {
        let Some((place, first)) = self.first.take() else {
            self.add(Place { file: ".".to_owned(), line: None, sequence: None }, What::Empty);
            return;
        };
        let signed = self.report.signed_through.unwrap_or_else(|| first.sequence.saturating_sub(1));
        self.report.unsigned = self.last_sequence().saturating_sub(signed);
        // Only what is signed counts: anybody can write that he has removed something.
        if first.sequence > self.signed_pruned.max(1) {
            self.add(place, What::Missing { from: self.signed_pruned.max(1), to: first.sequence - 1 });
        }
    }

    /// Holds the log to a state that it had, by this witness.
    pub(super) fn check_witness(&mut self, witness: Witness, position: Position, signed: Option<&Checkpoint>) {
        let sequence = position.sequence;
        let refused = signed.zip(self.rules).and_then(|(checkpoint, rules)| rules.vouch_for(checkpoint).err());
        if let Some(reason) = refused {
            let file = if witness == Witness::Head { "head" } else { "expected checkpoint" };
            let place = Place { file: file.to_owned(), line: None, sequence: Some(sequence) };
            self.add(place, What::NoCheckpoint { witness, reason });
            return;
        }
        let Some(last) = &self.last else { return };
        match self.found.get(&sequence) {
            Some(hash) if *hash == position.hash => {}
            Some(_) => {
                let file =
                    crate::segment::holding(self.segments, sequence).map_or_else(|| ".".to_owned(), Segment::name);
                let place = Place { file, line: None, sequence: Some(sequence) };
                self.add(place, What::Differs { position, witness });
            }
            None if sequence > last.position.sequence => {
                let place = last.place.clone();
                self.add(place, What::Truncated { position, witness });
            }
            None if self.report.first_sequence.is_some_and(|first| sequence < first) => self.report.unchecked += 1,
            // It is missing, which was said.
            None => {}
        }
    }

    pub(super) fn last_sequence(&self) -> u64 {
        self.last.as_ref().map_or(0, |last| last.position.sequence)
    }

    pub(super) fn add(&mut self, place: Place, what: What) -> Option<usize> {
        self.report.add(Problem { place, what })
    }
}

fn place(segment: &Segment, line: &Line<'_>, sequence: Option<u64>) -> Place {
    Place { file: segment.name(), line: Some(line.number), sequence }
}
