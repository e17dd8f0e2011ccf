//! Finds about where in a segment an entry ends, without reading all that comes after it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How much is read to find where a line begins, and its sequence.
const PEEK: usize = 1 << 14;

/// A stretch of this length is not worth dividing further.
const NEAR: u64 = 4 * PEEK as u64;

/// What every line begins with, before its sequence.
const BEGINNING: &[u8] = b"{\"seq\":";

/// A place before `end` where a line ends, that of this entry or one not long after it: `end` itself if lines are too long, or
/// are none. What is read from there on is checked as ever: a segment that was tampered with leads to another place, to no
/// other entry.
pub(crate) fn end_of_entry(file: &File, sequence: u64, end: u64) -> io::Result<u64> {
    let (mut low, mut high) = (0, end);
    while high - low > NEAR {
        let middle = low + (high - low) / 2;
        match line_after(file, middle)? {
            Some((start, found)) if start < high && found > sequence => high = start,
            Some((start, _)) if start < high => low = start,
            _ => break,
        }
    }
    Ok(high)
}

/// Where the first line after this offset begins, and its sequence.
fn line_after(file: &File, offset: u64) -> io::Result<Option<(u64, u64)>> {
    let mut bytes = [0; PEEK];
    let length = file.read_at(&mut bytes, offset)?;
    let bytes = &bytes[..length];
    let Some(feed) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    Ok(sequence(&bytes[feed + 1..]).map(|sequence| (offset + feed as u64 + 1, sequence)))
}

fn sequence(line: &[u8]) -> Option<u64> {
    let rest = line.strip_prefix(BEGINNING)?;
    let digits = rest.split(|byte| *byte == b',').next().filter(|digits| digits.len() < rest.len())?;
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A segment of lines of these lengths, about, and where each ends.
    fn segment(lengths: &[usize]) -> (File, Vec<u64>) {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for (index, length) in lengths.iter().enumerate() {
            text.push_str(&format!("{{\"seq\":{},\"x\":\"{}\"}}\n", index + 1, "x".repeat(*length)));
            ends.push(text.len() as u64);
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        (file.reopen().unwrap(), ends)
    }

    #[test]
    fn of_a_large_segment_little_is_left_to_read() {
        let (file, ends) = segment(&[1000; 5000]);
        for sequence in [1, 2, 999, 2500, 4999, 5000] {
            let found = end_of_entry(&file, sequence, *ends.last().unwrap()).unwrap();
            let end = ends[sequence as usize - 1];
            assert!((end..=end + NEAR).contains(&found), "{sequence}: {found} for {end}");
        }
    }

    proptest! {
        #[test]
        fn it_is_the_end_of_a_line_and_not_before_the_entry(
            lengths in prop::collection::vec(prop_oneof![0..2000_usize, 10_000..40_000_usize], 1..40),
            sequence in 0..50_u64,
        ) {
            let (file, ends) = segment(&lengths);
            let last = *ends.last().unwrap();
            let found = end_of_entry(&file, sequence, last).unwrap();
            prop_assert!(found == 0 || ends.contains(&found));
            let end = ends.get((sequence as usize).saturating_sub(1)).copied().unwrap_or(last);
            prop_assert!(sequence == 0 || found >= end.min(last));
        }

        #[test]
        fn any_file_is_read_without_a_panic(bytes in prop::collection::vec(prop::sample::select(b"{\"seq\":1,\n".to_vec()), 0..100_000), sequence: u64) {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &bytes).unwrap();
            let found = end_of_entry(&file.reopen().unwrap(), sequence, bytes.len() as u64).unwrap();
            prop_assert!(found <= bytes.len() as u64);
        }
    }
}
