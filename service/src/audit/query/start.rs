//! Where a stream begins: at the end of the log, at a time, or where another stream ended, if this is still its log.

use jiff::Timestamp;
use nodeward_audit_log::{AuditLog, LineHash, Position, ReadError};

use super::page::CLOCK_MAY_ERR;
use super::{AuditResumeToken, unreadable};
use crate::error::Error;

/// Where a stream is to begin.
#[derive(Clone, Debug)]
pub enum Start {
    /// With the next entry.
    AtTheEnd,
    /// Before all that was written at this time or later.
    Before(Timestamp),
    /// Where another one ended.
    After(AuditResumeToken),
}

/// Where a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// The first entry.
    pub next: u64,
    /// An entry before it, if one is known.
    pub witness: Option<Position>,
}

/// Finds the place.
pub(super) fn find(log: &AuditLog, start: Start) -> Result<Started, Error> {
    match start {
        Start::AtTheEnd => {
            let end = log.position();
            Ok(Started { next: end.sequence + 1, witness: Some(end) })
        }
        Start::Before(time) => {
            let starts = log.reader().segment_starts().map_err(unreadable)?;
            let earlier = |begun: Timestamp| time.duration_since(begun) > CLOCK_MAY_ERR;
            // All of a segment is older than the next one's beginning.
            let segment = starts.iter().rev().find(|(_, begun)| earlier(*begun)).or_else(|| starts.first());
            Ok(Started { next: segment.map_or(1, |(first, _)| *first), witness: None })
        }
        Start::After(token) => resume(log, &token),
    }
}

fn resume(log: &AuditLog, token: &AuditResumeToken) -> Result<Started, Error> {
    if !token.is_of(log.id()) || token.next > log.position().sequence + 1 {
        return Err(Error::AuditLogMismatch);
    }
    let first = log.reader().first_sequence().map_err(unreadable)?;
    if first.is_some_and(|first| token.next < first) {
        return Err(Error::ResumeTokenExpired);
    }
    let witness = token.witness();
    if let Some(witness) = witness
        && !has(log, witness)?
    {
        return Err(Error::AuditLogMismatch);
    }
    Ok(Started { next: token.next.max(1), witness })
}

/// Whether the log has this entry, or had it before it was removed with old segments.
fn has(log: &AuditLog, position: Position) -> Result<bool, Error> {
    match log.reader().entries(position.sequence).next() {
        Some(Ok(entry)) => Ok(LineHash::of(entry.to_line().as_bytes()) == position.hash),
        Some(Err(ReadError::Pruned { .. })) => Ok(true),
        Some(Err(error)) => Err(unreadable(error)),
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use nodeward_audit_log::{Options, Record, Retention};
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;
    use crate::node::token::QueryHash;

    async fn open(dir: &Path) -> AuditLog {
        AuditLog::open(Options::new(dir.join("log"), dir.join("key"))).await.unwrap()
    }

    async fn log() -> (AuditLog, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path()).await;
        append(&log, "a").await;
        (log, dir)
    }

    async fn append(log: &AuditLog, text: &str) {
        log.append(Record::new(&json!({ "text": text })).unwrap()).await.unwrap();
    }

    fn token(log: &AuditLog, started: Started) -> Start {
        Start::After(AuditResumeToken::new(log.id(), started.next, started.witness, QueryHash::of(["q"])))
    }

    #[tokio::test]
    async fn a_stream_goes_on_where_another_ended_however_far_the_log_is_by_then() {
        let (log, _dir) = log().await;
        let started = find(&log, Start::AtTheEnd).unwrap();
        append(&log, "b").await;
        assert_eq!(find(&log, token(&log, started)).unwrap(), started);
    }

    #[tokio::test]
    async fn what_was_written_long_before_the_time_is_passed_over_a_segment_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { segment_bytes: 1000, ..Options::new(dir.path().join("log"), dir.path().join("key")) };
        let log = AuditLog::open(options).await.unwrap();
        for _ in 0..10 {
            append(&log, &"x".repeat(300)).await;
        }
        let starts = log.reader().segment_starts().unwrap();
        assert!(starts.len() > 2, "{starts:?}");
        let now = Timestamp::now();
        let next = |time| find(&log, Start::Before(time)).unwrap().next;
        assert_eq!(next(Timestamp::MIN), 1);
        assert_eq!(next(now), 1, "the clock may err");
        assert_eq!(next(now + CLOCK_MAY_ERR * 2), starts.last().unwrap().0);
    }

    #[tokio::test]
    async fn a_token_whose_next_entry_was_removed_with_old_segments_has_expired() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { segment_bytes: 1, ..Options::new(dir.path().join("log"), dir.path().join("key")) };
        let log = AuditLog::open(options).await.unwrap();
        append(&log, "a").await;
        let early = token(&log, find(&log, Start::AtTheEnd).unwrap());
        for text in ["b", "c", "d"] {
            append(&log, text).await;
        }
        let late = token(&log, find(&log, Start::AtTheEnd).unwrap());
        let everything = Retention { max_age: Some(Duration::ZERO), ..Retention::default() };
        log.prune(everything).await.unwrap();
        assert!(matches!(find(&log, early), Err(Error::ResumeTokenExpired)));
        find(&log, late).unwrap();
    }

    #[tokio::test]
    async fn a_token_of_another_log_is_refused() {
        let ((log, _dir), (other, _other_dir)) = (log().await, log().await);
        let started = find(&other, Start::AtTheEnd).unwrap();
        assert!(matches!(find(&log, token(&other, started)), Err(Error::AuditLogMismatch)));
    }

    #[tokio::test]
    async fn a_token_of_entries_that_the_log_lost_is_refused_also_once_it_has_others_in_their_place() {
        let (log, dir) = log().await;
        log.clone().close().await.unwrap();
        let [now, then] = ["log", "then"].map(|name| dir.path().join(name));
        std::fs::create_dir(&then).unwrap();
        for file in std::fs::read_dir(&now).unwrap().map(|file| file.unwrap().path()) {
            std::fs::copy(&file, then.join(file.file_name().unwrap())).unwrap();
        }

        let log = open(dir.path()).await;
        append(&log, "b").await;
        let token = token(&log, find(&log, Start::AtTheEnd).unwrap());
        log.close().await.unwrap();
        std::fs::remove_dir_all(&now).unwrap();
        std::fs::rename(&then, &now).unwrap();

        let log = open(dir.path()).await;
        assert!(matches!(find(&log, token.clone()), Err(Error::AuditLogMismatch)));
        append(&log, "another").await;
        append(&log, "and one more").await;
        assert!(matches!(find(&log, token), Err(Error::AuditLogMismatch)));
    }
}
