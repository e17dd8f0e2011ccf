//! Reads the audit log for those who ask: pages of what matches, newest first, and what comes from now on.
//!
//! Reading is done on threads that may be kept waiting, and never more at a time than was agreed on: a log can be larger than
//! anybody's patience.

mod filter;
mod page;
mod start;
mod token;

use std::sync::Arc;

use jiff::Timestamp;
use nodeward_audit_log::{AuditLog, Entry, Follower, LineHash, Position, ReadError};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::AuditRecord;
use crate::error::Error;

pub use filter::{Ending, RecordFilter};
pub use page::{Effort, Page};
pub use start::{Start, Started};
pub use token::{AuditPageToken, AuditResumeToken};

/// How many pages are read at a time: each may keep a processor and the disk busy for seconds, which changes need too.
const AT_A_TIME: usize = 4;

/// Reads a log.
#[derive(Clone, Debug)]
pub struct AuditReader {
    log: AuditLog,
    places: Arc<Semaphore>,
}

/// A record, and where it is.
#[derive(Clone, Debug)]
pub struct Found {
    /// The entry of the log.
    pub position: Position,
    /// When it was written.
    pub logged: Timestamp,
    /// What it says.
    pub record: AuditRecord,
}

impl Found {
    /// The record in this entry, if it is one of ours.
    pub fn of(entry: &Entry) -> Option<Self> {
        let record = entry.record()?.read().ok()?;
        let position = Position { sequence: entry.sequence, hash: LineHash::of(entry.to_line().as_bytes()) };
        Some(Self { position, logged: entry.time, record })
    }
}

impl AuditReader {
    /// Reads this log.
    pub(crate) fn new(log: AuditLog) -> Self {
        Self { log, places: Arc::new(Semaphore::new(AT_A_TIME)) }
    }

    /// Which log it is.
    pub fn id(&self) -> Uuid {
        self.log.id()
    }

    /// The last entry.
    pub fn end(&self) -> Position {
        self.log.position()
    }

    /// The records that match, from this entry backwards.
    pub async fn page(
        &self,
        filter: RecordFilter,
        from: u64,
        effort: Effort,
        deadline: Instant,
    ) -> Result<Page, Error> {
        let reader = self.log.reader();
        let place = timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await.map_err(|_| late())?;
        let read = move || {
            // Until it is read, also if nobody waits for it any more.
            let _place = place;
            page::read(&reader, &filter, from, effort)
        };
        on_a_thread(deadline, read).await?.map_err(unreadable)
    }

    /// Where a stream that is to start there begins.
    pub async fn start(&self, start: Start, deadline: Instant) -> Result<Started, Error> {
        let log = self.log.clone();
        on_a_thread(deadline, move || start::find(&log, start)).await?
    }

    /// The records that match from this entry on, and then each new one.
    pub fn follow(&self, filter: RecordFilter, from: u64) -> Follower {
        self.log.follow(from, move |entry| entry.record().is_some_and(|record| filter.lets_through(record)))
    }
}

/// Does what may have to wait for the disk, which is waited for until the deadline.
async fn on_a_thread<T: Send + 'static>(
    deadline: Instant,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let done = timeout_at(deadline, tokio::task::spawn_blocking(work)).await;
    done.map_err(|_| late())?.map_err(|error| Error::Internal { detail: format!("reading the audit log: {error}") })
}

fn late() -> Error {
    Error::DeadlineExceeded { stage: "reading the audit log" }
}

/// Why the log can't be read.
pub fn unreadable(error: ReadError) -> Error {
    match error {
        ReadError::Pruned { .. } => Error::ResumeTokenExpired,
        error => Error::AuditLogUnreadable { detail: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nodeward_audit_log::Options;

    use super::*;

    #[tokio::test]
    async fn whoever_finds_too_many_readers_waits_until_the_deadline() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::new(dir.path().join("log"), dir.path().join("key"));
        let reader = AuditReader::new(AuditLog::open(options).await.unwrap());
        let effort = Effort { records: 1, bytes: 1, entries: 1, time: Duration::ZERO };
        let page = async |patience| {
            let deadline = Instant::now() + Duration::from_millis(patience);
            reader.page(RecordFilter::default(), 1, effort, deadline).await
        };
        let others = reader.places.acquire_many(AT_A_TIME as u32).await.unwrap();
        assert!(matches!(page(10).await, Err(Error::DeadlineExceeded { .. })));
        drop(others);
        page(10_000).await.unwrap();
    }

    #[tokio::test]
    async fn a_disk_that_does_not_answer_is_not_waited_for_beyond_the_deadline() {
        let (answer, disk) = std::sync::mpsc::channel::<()>();
        let deadline = Instant::now() + Duration::from_millis(10);
        let read = on_a_thread(deadline, move || disk.recv()).await;
        assert!(matches!(read, Err(Error::DeadlineExceeded { .. })), "{read:?}");
        drop(answer);
    }
}
