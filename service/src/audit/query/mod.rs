//! Reads the audit log for those who ask: pages of what matches, newest first, and what comes from now on.
//!
//! Reading is done on threads that may be kept waiting, and never more at a time than was agreed on: a log can be larger than
//! anybody's patience.

mod filter;
mod page;
mod start;
mod token;

use jiff::Timestamp;
use nodeward_audit_log::{AuditLog, Entry, Follower, LineHash, Position, ReadError};
use uuid::Uuid;

use super::AuditRecord;
use crate::error::Error;

pub use filter::{Ending, RecordFilter};
pub use page::{Effort, Page};
pub use start::{Start, Started};
pub use token::{AuditPageToken, AuditResumeToken};

/// Reads a log.
#[derive(Clone, Debug)]
pub struct AuditReader(AuditLog);

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
        Self(log)
    }

    /// Which log it is.
    pub fn id(&self) -> Uuid {
        self.0.id()
    }

    /// The last entry.
    pub fn end(&self) -> Position {
        self.0.position()
    }

    /// The records that match, from this entry backwards.
    pub async fn page(&self, filter: RecordFilter, from: u64, effort: Effort) -> Result<Page, Error> {
        let reader = self.0.reader();
        on_a_thread(move || page::read(&reader, &filter, from, effort)).await?.map_err(unreadable)
    }

    /// Where a stream that is to start there begins.
    pub async fn start(&self, start: Start) -> Result<Started, Error> {
        let log = self.0.clone();
        on_a_thread(move || start::find(&log, start)).await?
    }

    /// The records that match from this entry on, and then each new one.
    pub fn follow(&self, filter: RecordFilter, from: u64) -> Follower {
        self.0.follow(from, move |entry| entry.record().is_some_and(|record| filter.lets_through(record)))
    }
}

/// Does what may have to wait for the disk.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Internal { detail: format!("reading the audit log: {error}") })
}

/// Why the log can't be read.
pub fn unreadable(error: ReadError) -> Error {
    match error {
        ReadError::Pruned { .. } => Error::ResumeTokenExpired,
        error => Error::AuditLogUnreadable { detail: error.to_string() },
    }
}
