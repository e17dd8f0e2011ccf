//! Follows a log: hands out each entry once it is durable.
//!
//! Nothing is queued for a follower. It reads from the files at its own pace, so that a slow one costs nothing and holds
//! nobody up.

use std::collections::VecDeque;
use std::fmt;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::entry::Entry;
use crate::reader::{Entries, ReadError};
use crate::tail::Durable;

/// How many entries are looked at before those that were found are handed out.
const CHUNK: usize = 256;

/// How many bytes of entries are held before they are handed out.
const CHUNK_BYTES: usize = 1 << 20;

/// See [`AuditLog::follow`](crate::AuditLog::follow).
pub struct Follower {
    state: State,
    ready: VecDeque<Entry>,
    /// What ends the log for this follower, once what is ready was handed out.
    error: Option<ReadError>,
    /// The sequence that was not looked at yet.
    next: u64,
    /// How far the log is, and whether the follower has come to its end.
    durable: watch::Receiver<Durable>,
    at_end: bool,
}

enum State {
    Idle(Box<Source>),
    /// On a thread that may be kept waiting.
    Reading(JoinHandle<Chunk>),
    Ended,
}

/// Where a follower's entries are from.
struct Source {
    entries: Entries,
    filter: Filter,
}

type Filter = Box<dyn FnMut(&Entry) -> bool + Send>;

/// What was read at once.
struct Chunk {
    source: Box<Source>,
    found: Vec<Entry>,
    looked_at: usize,
    error: Option<ReadError>,
}

impl Chunk {
    fn read(source: Box<Source>) -> Self {
        let mut chunk = Self { source, found: Vec::new(), looked_at: 0, error: None };
        let mut bytes = 0;
        while chunk.looked_at < CHUNK && bytes < CHUNK_BYTES {
            match chunk.source.entries.next() {
                None => break,
                Some(Err(error)) => {
                    chunk.error = Some(error);
                    break;
                }
                Some(Ok(entry)) => {
                    chunk.looked_at += 1;
                    if (chunk.source.filter)(&entry) {
                        bytes += entry.record().map_or(0, |record| record.json().len());
                        chunk.found.push(entry);
                    }
                }
            }
        }
        chunk
    }
}

impl Follower {
    pub(crate) fn new(entries: Entries, filter: Filter, durable: watch::Receiver<Durable>) -> Self {
        let next = entries.position();
        let state = State::Idle(Box::new(Source { entries, filter }));
        Self { state, ready: VecDeque::new(), error: None, next, durable, at_end: false }
    }

    /// The next entry, when there is one. `None` once the log is closed and all was handed out, and after an error.
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Result<Entry, ReadError>> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Some(Ok(entry));
            }
            if let Some(error) = self.error.take() {
                self.state = State::Ended;
                return Some(Err(error));
            }
            match &mut self.state {
                State::Ended => return None,
                State::Reading(task) => match task.await {
                    Ok(chunk) => self.take(chunk),
                    // The filter has panicked.
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
                State::Idle(_) => self.go_on().await,
            }
        }
    }

    fn take(&mut self, chunk: Chunk) {
        self.at_end = chunk.looked_at == 0;
        self.next = chunk.source.entries.position();
        self.ready.extend(chunk.found);
        self.error = chunk.error;
        self.state = State::Idle(chunk.source);
    }

    /// Reads on, once there is something to read.
    async fn go_on(&mut self) {
        let tip = self.durable.borrow_and_update().tip.sequence;
        if self.next > tip || self.at_end {
            self.at_end = false;
            if self.durable.changed().await.is_err() {
                self.state = State::Ended;
            }
        } else if let State::Idle(source) = std::mem::replace(&mut self.state, State::Ended) {
            self.state = State::Reading(tokio::task::spawn_blocking(|| Chunk::read(source)));
        }
    }

    /// The sequence to go on from, for another follower: all entries before it were handed out or not let through.
    pub fn position(&self) -> u64 {
        self.ready.front().map_or(self.next, |entry| entry.sequence)
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("position", &self.position()).finish_non_exhaustive()
    }
}
