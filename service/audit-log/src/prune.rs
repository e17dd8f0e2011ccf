//! Which segments are no longer to be kept.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::error::{AppendError, IoFault};
use crate::lines::Lines;
use crate::options::Retention;
use crate::segment::{Segment, segments};

/// What was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// How many segments.
    pub segments: usize,
    /// The sequence that the log begins with now, if something was removed.
    pub first_kept: Option<u64>,
}

/// Segments that are to go.
pub(crate) struct Outdated {
    pub segments: Vec<Segment>,
    pub first_kept: Option<u64>,
}

/// Chooses. The last segment always stays.
pub(crate) fn outdated(dir: &Path, retention: Retention) -> Result<Outdated, AppendError> {
    let mut segments = segments(dir).map_err(IoFault::when("list", dir))?;
    let mut count = 0;
    if let Some(max_age) = retention.max_age {
        count = count.max(older_than(&segments, max_age)?);
    }
    if let Some(max_bytes) = retention.max_bytes {
        count = count.max(beyond(&segments, max_bytes)?);
    }
    let first_kept = (count > 0).then(|| segments[count].first);
    segments.truncate(count);
    Ok(Outdated { segments, first_kept })
}

/// How many segments have only entries older than this: those whose successor was begun before that.
fn older_than(segments: &[Segment], age: Duration) -> Result<usize, AppendError> {
    let mut count = 0;
    for next in segments.iter().skip(1) {
        let begun = begun(next).map_err(IoFault::when("read", &next.path))?;
        // A header that can't be read is a matter for the verifier: what is before it stays.
        let is_older =
            |begun| Duration::try_from(Timestamp::now().duration_since(begun)).is_ok_and(|passed| passed >= age);
        if !begun.is_some_and(is_older) {
            break;
        }
        count += 1;
    }
    Ok(count)
}

fn begun(segment: &Segment) -> std::io::Result<Option<Timestamp>> {
    let mut lines = Lines::open(&segment.path)?;
    Ok(lines.next()?.and_then(|line| line.entry().ok()).map(|(entry, _)| entry.time))
}

/// How many segments must go until the rest has no more bytes than this.
fn beyond(segments: &[Segment], max_bytes: u64) -> Result<usize, AppendError> {
    let (mut kept, mut bytes) = (segments.len(), 0_u64);
    for segment in segments.iter().rev() {
        let metadata = segment.path.metadata().map_err(IoFault::when("look at", &segment.path))?;
        bytes = bytes.saturating_add(metadata.len());
        if bytes > max_bytes && kept < segments.len() {
            break;
        }
        kept -= 1;
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_segments_go_until_the_rest_is_small_enough_but_never_the_last() {
        let dir = tempfile::tempdir().unwrap();
        for (first, bytes) in [(1, 100), (5, 20), (7, 30), (9, 40)] {
            std::fs::write(Segment::new(dir.path(), first).path, vec![b'x'; bytes]).unwrap();
        }
        let kept = |max_bytes| {
            let retention = Retention { max_bytes: Some(max_bytes), ..Retention::default() };
            outdated(dir.path(), retention).unwrap().first_kept.unwrap_or(1)
        };
        assert_eq!([190, 189, 90, 89, 70, 69, 40, 0].map(kept), [1, 5, 5, 7, 7, 9, 9, 9]);
    }
}
