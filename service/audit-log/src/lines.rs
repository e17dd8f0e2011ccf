//! Reads a segment line by line, and knows where it is.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Take};
use std::path::Path;

use crate::entry::{Entry, MAX_LINE_BYTES};
use crate::hash::{ParseError, Position};

/// What a disk writes as a whole or not at all.
const SECTOR: u64 = 512;

/// The lines of a segment.
#[derive(Debug)]
pub(crate) struct Lines {
    reader: BufReader<Take<File>>,
    number: u64,
    offset: u64,
    bytes: Vec<u8>,
}

/// A line of a segment.
pub(crate) struct Line<'a> {
    /// Its number in the file, from 1.
    pub number: u64,
    /// Where in the file it begins.
    pub offset: u64,
    /// Its bytes, with the line feed if there is one.
    pub bytes: &'a [u8],
}

impl Lines {
    /// The lines of this segment.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let reader = BufReader::with_capacity(1 << 16, File::open(path)?.take(0));
        Ok(Self { reader, number: 0, offset: 0, bytes: Vec::new() })
    }

    /// The next line before this offset, behind which nothing is read, not even ahead: that may yet change. A line without
    /// a line feed is the last one, or longer than lines are.
    pub(crate) fn next_before(&mut self, end: u64) -> io::Result<Option<Line<'_>>> {
        self.bytes.clear();
        let read_ahead = self.offset + self.reader.buffer().len() as u64;
        self.reader.get_mut().set_limit(end.saturating_sub(read_ahead));
        let read = (&mut self.reader).take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut self.bytes)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        let offset = self.offset;
        self.offset += read as u64;
        Ok(Some(Line { number: self.number, offset, bytes: &self.bytes }))
    }

    /// The next line.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.next_before(u64::MAX)
    }

    /// How many lines were read.
    pub(crate) fn count(&self) -> u64 {
        self.number
    }
}

impl Line<'_> {
    /// The entry that it is, and its position.
    pub(crate) fn entry(&self) -> Result<(Entry, Position), ParseError> {
        let text = str::from_utf8(self.bytes).map_err(|_| ParseError("it is not UTF-8".to_owned()))?;
        let entry = Entry::parse(text)?;
        let position = entry.position(text);
        Ok((entry, position))
    }

    /// Whether a crash while it was written can have left it so: without its end, or with sectors that were never
    /// written, which read as zeros.
    ///
    /// What was acknowledged was synced before, so that it can't look like this by itself.
    pub(crate) fn is_torn(&self) -> bool {
        if !self.bytes.ends_with(b"\n") && self.bytes.len() < MAX_LINE_BYTES {
            return true;
        }
        let mut rest = self.bytes;
        let mut offset = self.offset;
        while !rest.is_empty() {
            let (sector, after) = rest.split_at(rest.len().min((SECTOR - offset % SECTOR) as usize));
            if sector.iter().all(|byte| *byte == 0) {
                return true;
            }
            offset += sector.len() as u64;
            rest = after;
        }
        false
    }
}
