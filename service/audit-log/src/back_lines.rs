//! Reads a segment line by line from its end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::bisect::end_of_entry;
use crate::entry::MAX_LINE_BYTES;

/// How much is read at once.
const BLOCK: usize = 1 << 16;

/// The lines of a segment, last line first.
#[derive(Debug)]
pub(crate) struct BackLines {
    file: File,
    /// Where the bytes begin that were read and not yet handed out.
    start: u64,
    bytes: Vec<u8>,
}

impl BackLines {
    /// The lines. What is not finished with a line feed is left out.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::open_before(path, u64::MAX, u64::MAX)
    }

    /// The lines that end at this offset or before, without most of those after the entry of this sequence.
    pub(crate) fn open_before(path: &Path, end: u64, sequence: u64) -> io::Result<Self> {
        let file = File::open(path)?;
        let start = end_of_entry(&file, sequence, file.metadata()?.len().min(end))?;
        let mut lines = Self { file, start, bytes: Vec::new() };
        lines.drop_unfinished()?;
        Ok(lines)
    }

    /// The line before, with its line feed. A line that is longer than lines are comes in pieces.
    pub(crate) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            // The last byte is the line feed of the line itself.
            let before = self.bytes.len().saturating_sub(1);
            if let Some(at) = self.bytes[..before].iter().rposition(|byte| *byte == b'\n') {
                return Ok(Some(self.bytes.split_off(at + 1)));
            }
            if self.start == 0 || self.bytes.len() > MAX_LINE_BYTES {
                let line = std::mem::take(&mut self.bytes);
                return Ok((!line.is_empty()).then_some(line));
            }
            self.read_block()?;
        }
    }

    fn drop_unfinished(&mut self) -> io::Result<()> {
        while self.start > 0 {
            self.read_block()?;
            if let Some(at) = self.bytes.iter().rposition(|byte| *byte == b'\n') {
                self.bytes.truncate(at + 1);
                return Ok(());
            }
            self.bytes.clear();
        }
        Ok(())
    }

    fn read_block(&mut self) -> io::Result<()> {
        let start = self.start.saturating_sub(BLOCK as u64);
        let mut block = vec![0; (self.start - start) as usize];
        self.file.read_exact_at(&mut block, start)?;
        block.append(&mut self.bytes);
        (self.bytes, self.start) = (block, start);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_come_in_the_order_opposite_to_the_file(
            lengths in prop::collection::vec(prop_oneof![0..20_usize, 60_000..140_000_usize], 0..6),
            unfinished in 0..70_000_usize,
        ) {
            let mut lines: Vec<Vec<u8>> = lengths.iter().map(|length| [vec![b'x'; *length], b"\n".to_vec()].concat()).collect();
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), [lines.concat(), vec![b'y'; unfinished]].concat()).unwrap();
            let mut back = BackLines::open(file.path()).unwrap();
            while let Some(line) = back.next().unwrap() {
                prop_assert_eq!(Some(line), lines.pop());
            }
            prop_assert!(lines.is_empty());
        }
    }
}
