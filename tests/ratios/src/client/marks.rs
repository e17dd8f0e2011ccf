//! Finds in a stream the changes that the benchmark has made itself: each writes a number into a label, in a form that looks the
//! same in JSON, in Kubernetes' protobuf and in ours.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// The number of a change: each has another one.
pub type Mark = u32;

const PREFIX: &[u8] = b"mark-";
const DIGITS: usize = 9;
const LENGTH: usize = PREFIX.len() + DIGITS;

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(PREFIX));

/// The number as a value of a label.
pub fn mark(number: Mark) -> String {
    format!("mark-{number:09}")
}

/// Where in a stream one is: what could be the beginning of a mark.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    carried: Vec<u8>,
}

impl Marks {
    /// Takes the next piece of the stream, and says which marks are complete with it.
    pub fn push(&mut self, piece: &[u8], mut found: impl FnMut(Mark)) {
        if !self.carried.is_empty() {
            // The beginning of this piece may complete a mark that began in the one before, but not one of its own.
            let carried = self.carried.len();
            self.carried.extend_from_slice(&piece[..piece.len().min(LENGTH - 1)]);
            let begun = FINDER.find_iter(&self.carried).filter(|at| *at < carried);
            begun.filter_map(|at| number(&self.carried[at..])).for_each(&mut found);
        }
        FINDER.find_iter(piece).filter_map(|at| number(&piece[at..])).for_each(&mut found);
        self.carry(piece);
    }

    /// Keeps as much of the end as could begin a mark.
    fn carry(&mut self, piece: &[u8]) {
        if piece.len() >= LENGTH - 1 || self.carried.is_empty() {
            self.carried.clear();
            self.carried.extend_from_slice(&piece[piece.len().saturating_sub(LENGTH - 1)..]);
        } else {
            // It has been put there already.
            let surplus = self.carried.len().saturating_sub(LENGTH - 1);
            self.carried.drain(..surplus);
        }
    }
}

/// The number of a mark that begins here, if all of it has come.
fn number(text: &[u8]) -> Option<Mark> {
    let digits = text.get(PREFIX.len()..LENGTH)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_is_found_once_however_the_stream_is_cut() {
        let stream = format!("..{}{} mark-12 mark-{} a mar{}", mark(7), mark(123_456_789), "x", mark(42));
        for size in 1..=stream.len() {
            let (mut marks, mut found) = (Marks::default(), Vec::new());
            stream.as_bytes().chunks(size).for_each(|piece| marks.push(piece, |mark| found.push(mark)));
            assert_eq!(found, [7, 123_456_789, 42], "in pieces of {size}");
        }
    }
}
