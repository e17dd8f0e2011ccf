//! Reads one segment from its header to its end and checks the chain: for the writer, which must know where it goes on.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::checkpoint::Checkpoint;
use crate::entry::{Body, Entry, Header};
use crate::hash::{LineHash, Position};
use crate::lines::{Line, Lines};
use crate::problem::{Place, Problem, What};
use crate::rules::Rules;
use crate::segment::Segment;

/// What is in a segment whose chain holds.
#[derive(Debug)]
pub(crate) struct Scan {
    /// Its first entry.
    pub header: Header,
    /// The hash of the line before its header.
    pub previous: LineHash,
    /// Its last entry.
    pub tip: Position,
    /// Where that ends. What comes behind it, if anything, is of a write that a crash has torn.
    pub length: u64,
    /// Its last checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// How many entries come after the last checkpoint, here.
    pub unsigned: u64,
    /// The hash of the entry that was asked for, if it is here.
    pub wanted: Option<LineHash>,
}

/// Why a segment can't be gone on with.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ScanError {
    /// It can't be read.
    #[error("{path:?} can't be read: {source}")]
    Read { path: PathBuf, source: Arc<io::Error> },
    /// Its chain is broken.
    #[error(transparent)]
    Broken(#[from] Box<Problem>),
}

/// Reads the segment, as far as this offset, and looks for the entry with the sequence that is wanted.
pub(crate) fn scan(segment: &Segment, end: u64, wanted: u64) -> Result<Scan, ScanError> {
    let failed = |source| ScanError::Read { path: segment.path.clone(), source: Arc::new(source) };
    let mut lines = Lines::open(&segment.path).map_err(failed)?;
    let mut scan: Option<Scan> = None;
    while let Some(line) = lines.next_before(end).map_err(failed)? {
        let result = match &mut scan {
            None => Scan::begin(&line, segment).map(|begun| scan = Some(begun)),
            Some(scan) => scan.go_on(&line, segment, wanted),
        };
        match result {
            Err(_) if scan.is_some() && line.is_torn() => break,
            Err(what) => return Err(broken(segment, &line, what)),
            Ok(()) => {}
        }
    }
    scan.ok_or_else(|| empty(segment))
}

impl Scan {
    fn begin(line: &Line<'_>, segment: &Segment) -> Result<Self, What> {
        let (entry, tip) = read(line)?;
        let Body::Header(header) = &entry.body else { return Err(What::NoHeader) };
        Rules::of(header).check(&entry, line.number, segment)?;
        let length = line.bytes.len() as u64;
        let (header, previous) = (header.clone(), entry.previous);
        Ok(Self { header, previous, tip, length, checkpoint: None, unsigned: 1, wanted: None })
    }

    fn go_on(&mut self, line: &Line<'_>, segment: &Segment, wanted: u64) -> Result<(), What> {
        let (entry, position) = read(line)?;
        if entry.sequence != self.tip.sequence + 1 {
            return Err(out_of_order(self.tip.sequence + 1, entry.sequence));
        }
        if entry.previous != self.tip.hash {
            return Err(What::Changed);
        }
        Rules::of(&self.header).check(&entry, line.number, segment)?;
        self.unsigned += 1;
        if let Some(checkpoint) = Checkpoint::of(&entry) {
            (self.checkpoint, self.unsigned) = (Some(checkpoint), 0);
        }
        if entry.sequence == wanted {
            self.wanted = Some(position.hash);
        }
        self.tip = position;
        self.length += line.bytes.len() as u64;
        Ok(())
    }
}

fn read(line: &Line<'_>) -> Result<(Entry, Position), What> {
    line.entry().map_err(|reason| What::NotAnEntry { reason: reason.to_string() })
}

/// What it means that an entry stands where another should.
pub(crate) fn out_of_order(expected: u64, found: u64) -> What {
    if found > expected { What::Missing { from: expected, to: found - 1 } } else { What::Repeated { to: found } }
}

fn broken(segment: &Segment, line: &Line<'_>, what: What) -> ScanError {
    let (mut number, mut sequence) = (line.number, line.entry().ok().map(|(entry, _)| entry.sequence));
    if what == What::Changed {
        // Which the line after it tells.
        number -= 1;
        sequence = sequence.map(|sequence| sequence - 1);
    }
    let place = Place { file: segment.name(), line: Some(number), sequence };
    ScanError::Broken(Box::new(Problem { place, what }))
}

fn empty(segment: &Segment) -> ScanError {
    let place = Place { file: segment.name(), line: None, sequence: None };
    ScanError::Broken(Box::new(Problem { place, what: What::NoHeader }))
}
