//! Reads entries from any sequence on, forwards or backwards. A segment's name says where to look: a log is never read
//! from its beginning to find a place in it.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::back_lines::BackLines;
use crate::entry::Entry;
use crate::error::IoFault;
use crate::lines::Lines;
use crate::problem::{Place, Problem, What};
use crate::scan::out_of_order;
use crate::segment::{Segment, holding, segments};
use crate::tail::Durable;

/// Reads a log.
#[derive(Clone, Debug)]
pub struct Reader {
    dir: PathBuf,
    /// How far to read. Without a writer: as far as there are whole lines.
    durable: Option<watch::Receiver<Durable>>,
}

/// Why an entry can't be read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The operating system refused something.
    #[error("the audit log can't be read ({0})")]
    Io(#[from] IoFault),
    /// The entry was removed with old segments.
    #[error("the audit log begins with entry {first} by now")]
    Pruned {
        /// The first entry that is there.
        first: u64,
    },
    /// What is there is not the entry that should be. The verifier says more.
    #[error("the audit log is damaged: {0}")]
    Damaged(Problem),
}

impl Reader {
    /// Reads the log in this directory, whoever writes it. Entries that its writer has not synced yet are seen too.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), durable: None }
    }

    pub(crate) fn up_to(dir: &Path, durable: watch::Receiver<Durable>) -> Self {
        Self { dir: dir.to_owned(), durable: Some(durable) }
    }

    /// The sequence that the log begins with, if there is one.
    pub fn first_sequence(&self) -> Result<Option<u64>, ReadError> {
        Ok(self.segments()?.first().map(|segment| segment.first))
    }

    /// The first entry of each segment, and when that was begun, in order: to find a time without reading all.
    pub fn segment_starts(&self) -> Result<Vec<(u64, Timestamp)>, ReadError> {
        let mut starts = Vec::new();
        for segment in self.segments()? {
            match self.entries(segment.first).next() {
                Some(Ok(entry)) => starts.push((entry.sequence, entry.time)),
                // It was removed just now.
                Some(Err(ReadError::Pruned { .. })) => {}
                Some(Err(error)) => return Err(error),
                None => break,
            }
        }
        Ok(starts)
    }

    /// The entries from this sequence on, which is 1 for all. At the end of the log there is none, until there is.
    pub fn entries(&self, from: u64) -> Entries {
        Entries { reader: self.clone(), next: from.max(1), place: None, at_gap: false, failed: false }
    }

    /// The entries from this sequence backwards, which is `u64::MAX` for all. They end where the log begins.
    pub fn entries_back(&self, from: u64) -> EntriesBack {
        EntriesBack { reader: self.clone(), next: from, place: None, begun: false }
    }

    fn segments(&self) -> Result<Vec<Segment>, IoFault> {
        let mut segments = segments(&self.dir).map_err(IoFault::when("list", &self.dir))?;
        segments.retain(|segment| segment.first <= self.last_segment());
        Ok(segments)
    }

    /// The first sequence of the last segment that is to be read.
    fn last_segment(&self) -> u64 {
        self.durable.as_ref().map_or(u64::MAX, |durable| durable.borrow().segment)
    }

    /// How much of a segment is to be read.
    fn end_of(&self, segment: &Segment) -> u64 {
        let durable = self.durable.as_ref().map(|durable| *durable.borrow());
        durable.filter(|durable| durable.segment == segment.first).map_or(u64::MAX, |durable| durable.length)
    }

    /// Whether a segment begins with this sequence. If others come after that, the log has lost it.
    fn goes_on_with(&self, sequence: u64) -> Result<bool, ReadError> {
        let segments = self.segments()?;
        let Some(next) = segments.iter().find(|segment| segment.first >= sequence) else { return Ok(false) };
        match segments.first() {
            _ if next.first == sequence => Ok(true),
            Some(first) if first.first > sequence => Err(ReadError::Pruned { first: first.first }),
            _ => Err(missing(next, sequence, next.first - 1)),
        }
    }
}

/// See [`Reader::entries`]. Ends after an error.
#[derive(Debug)]
pub struct Entries {
    reader: Reader,
    /// The sequence of the next entry.
    next: u64,
    place: Option<(Segment, Lines)>,
    /// Whether the segment seemed to end before the next one begins.
    at_gap: bool,
    failed: bool,
}

impl Entries {
    /// The sequence of the next entry: where another reader can go on.
    pub fn position(&self) -> u64 {
        self.next
    }

    fn read(&mut self) -> Result<Option<Entry>, ReadError> {
        loop {
            if self.place.is_none() {
                self.place = self.look_up()?;
            }
            let Some((segment, lines)) = &mut self.place else { return Ok(None) };
            let end = self.reader.end_of(segment);
            let sequence = segment.first + lines.count();
            match lines.next_before(end).map_err(IoFault::when("read", &segment.path))? {
                // It is being written, by a writer that this reader knows nothing of: to be looked for again.
                Some(line) if line.is_torn() => {
                    self.place = None;
                    return Ok(None);
                }
                Some(_) if sequence < self.next => self.at_gap = false,
                Some(line) => {
                    self.at_gap = false;
                    let entry = read_entry(line.bytes, segment, Some(line.number))?;
                    if entry.sequence != sequence {
                        return Err(damaged(segment, Some(line.number), out_of_order(sequence, entry.sequence)));
                    }
                    self.next += 1;
                    return Ok(Some(entry));
                }
                None if self.reader.last_segment() == segment.first => return Ok(None),
                None => match self.reader.goes_on_with(sequence) {
                    Ok(true) => self.place = None,
                    Ok(false) => return Ok(None),
                    // It may have been written to its end just now: there is more to read then.
                    Err(_) if !self.at_gap => self.at_gap = true,
                    Err(error) => return Err(error),
                },
            }
        }
    }

    /// The segment that the next entry is in, or will be.
    fn look_up(&self) -> Result<Option<(Segment, Lines)>, ReadError> {
        loop {
            let segments = self.reader.segments()?;
            let Some(first) = segments.first() else { return Ok(None) };
            let segment = holding(&segments, self.next).ok_or(ReadError::Pruned { first: first.first })?;
            match Lines::open(&segment.path) {
                Ok(lines) => return Ok(Some((segment.clone(), lines))),
                // It was removed just now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(IoFault::when("open", &segment.path)(error).into()),
            }
        }
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let read = self.read();
        self.failed = read.is_err();
        read.transpose()
    }
}

/// See [`Reader::entries_back`]. Ends after an error.
#[derive(Debug)]
pub struct EntriesBack {
    reader: Reader,
    /// The sequence of the next entry, or if nothing was read yet, one that it doesn't exceed. 0 at the end.
    next: u64,
    place: Option<(Segment, BackLines)>,
    begun: bool,
}

impl EntriesBack {
    fn read(&mut self) -> Result<Option<Entry>, ReadError> {
        while self.next > 0 {
            let Some((segment, lines)) = &mut self.place else {
                self.place = self.look_up()?;
                if self.place.is_none() {
                    return Ok(None);
                }
                continue;
            };
            let Some(bytes) = lines.next().map_err(IoFault::when("read", &segment.path))? else {
                self.next = self.next.min(segment.first - 1);
                self.place = None;
                continue;
            };
            let entry = read_entry(&bytes, segment, None)?;
            if self.begun && entry.sequence < self.next {
                return Err(missing(segment, entry.sequence + 1, self.next));
            }
            if entry.sequence <= self.next {
                self.begun = true;
                self.next = entry.sequence - 1;
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    fn look_up(&self) -> Result<Option<(Segment, BackLines)>, ReadError> {
        let segments = self.reader.segments()?;
        let Some(segment) = holding(&segments, self.next) else { return Ok(None) };
        match BackLines::open_before(&segment.path, self.reader.end_of(segment), self.next) {
            Ok(lines) => Ok(Some((segment.clone(), lines))),
            // It was removed just now: this is where the log begins.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(IoFault::when("open", &segment.path)(error).into()),
        }
    }
}

impl Iterator for EntriesBack {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        if read.is_err() {
            self.next = 0;
        }
        read.transpose()
    }
}

/// The entry that is this line.
fn read_entry(bytes: &[u8], segment: &Segment, line: Option<u64>) -> Result<Entry, ReadError> {
    let text = str::from_utf8(bytes).map_err(|error| error.to_string());
    let entry = text.and_then(|text| Entry::parse(text).map_err(|error| error.to_string()));
    entry.map_err(|reason| damaged(segment, line, What::NotAnEntry { reason }))
}

fn missing(segment: &Segment, from: u64, to: u64) -> ReadError {
    damaged(segment, None, What::Missing { from, to })
}

fn damaged(segment: &Segment, line: Option<u64>, what: What) -> ReadError {
    ReadError::Damaged(Problem { place: Place { file: segment.name(), line, sequence: None }, what })
}
