//! The writer's thread: takes what waits, writes it at once, syncs once, then answers everyone.
//!
//! It also signs what was written, keeps `head`, begins new segments and removes old ones. None of that holds up or
//! refuses a record: what fails is tried again, and shows in [`Health`].

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::checkpoint::Checkpoint;
use crate::entry::{Body, FORMAT_VERSION, Header, Prune, Repair};
use crate::error::{AppendError, IoFault};
use crate::hash::Position;
use crate::key::SigningKey;
use crate::open::Opened;
use crate::options::{Options, Retention};
use crate::prune::{Pruned, outdated};
use crate::record::Record;
use crate::tail::{Batch, Durable, Tail};

/// How many requests are taken at once.
const BATCH: usize = 4096;

/// How long after a failure it tries by itself to sign what is not signed yet.
const RETRY: Duration = Duration::from_secs(1);

/// What the thread is asked for.
pub(crate) enum Request {
    Append { record: Record, room: OwnedSemaphorePermit, answer: Answer<Position> },
    Checkpoint(Answer<Checkpoint>),
    Prune(Retention, Answer<Pruned>),
    Close(Answer<Position>),
}

/// Who waits for what became of a request. Whoever has gone away is not missed.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, AppendError>>;

/// How the log is doing.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// Why nothing could be written the last time that something was to be.
    pub append: Option<AppendError>,
    /// Why `head` could not be replaced, or a new segment begun, the last time that it was to be. Records are written
    /// nevertheless.
    pub upkeep: Option<IoFault>,
}

/// What the thread tells everybody.
pub(crate) struct News {
    pub durable: watch::Sender<Durable>,
    pub checkpoint: watch::Sender<Checkpoint>,
    pub health: watch::Sender<Health>,
}

/// The state of the thread.
pub(crate) struct Worker {
    dir: PathBuf,
    options: Options,
    tail: Tail,
    key: SigningKey,
    log: Uuid,
    /// How many entries come after the last checkpoint, and when they must be signed.
    unsigned: u64,
    sign_by: Option<Instant>,
    /// How many bytes were cut off the log that no entry tells of yet.
    cut: u64,
    /// Whether `head` is older than the last checkpoint.
    head_is_old: bool,
    news: News,
    _lock: File,
}

impl Worker {
    pub(crate) fn new(options: Options, opened: Opened) -> Self {
        let Opened { tail, key, log, checkpoint, head_is_old, unsigned, created: _, lock } = opened;
        let news = News {
            durable: watch::Sender::new(tail.durable()),
            checkpoint: watch::Sender::new(checkpoint),
            health: watch::Sender::default(),
        };
        let dir = options.dir.clone();
        Self { dir, options, tail, key, log, unsigned, sign_by: None, cut: 0, head_is_old, news, _lock: lock }
    }

    pub(crate) fn news(&self) -> &News {
        &self.news
    }

    /// Gets ready to write: cuts off what a crash has left, and signs what came before it. If the disk is full that waits
    /// for the first record; the log can be read meanwhile.
    pub(crate) fn start(&mut self) {
        if !self.tail.is_ready() {
            match self.tail.attach() {
                Ok(cut) => self.cut = cut,
                Err(fault) => return self.report(Some(fault.into())),
            }
        }
        let _ = self.write(vec![], None, true);
        self.keep_up();
    }

    /// Works until it is told to close, or nobody is left who could tell.
    pub(crate) async fn run(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let mut waiting = Vec::new();
        loop {
            let received = requests.recv_many(&mut waiting, BATCH);
            let received = match self.sign_by {
                Some(deadline) => timeout_at(deadline, received).await,
                None => Ok(received.await),
            };
            match received {
                Ok(0) => return drop(self.close()),
                Ok(_) => {
                    if let Some(answer) = self.serve(&mut waiting) {
                        requests.close();
                        let closed = self.close();
                        let _ = answer.send(closed);
                        return;
                    }
                }
                Err(_) => {
                    let _ = self.write(vec![], None, true);
                    self.keep_up();
                }
            }
        }
    }

    /// Serves these requests. If it is told to close it leaves the later ones, and says who waits for that.
    fn serve(&mut self, waiting: &mut Vec<Request>) -> Option<Answer<Position>> {
        let (mut records, mut answers, mut checkpoints, mut prunes, mut close) = (vec![], vec![], vec![], vec![], None);
        for request in waiting.drain(..) {
            match request {
                _ if close.is_some() => {}
                Request::Append { record, room, answer } => {
                    records.push(record);
                    answers.push((answer, room));
                }
                Request::Checkpoint(answer) => checkpoints.push(answer),
                Request::Prune(retention, answer) => prunes.push((retention, answer)),
                Request::Close(answer) => close = Some(answer),
            }
        }
        if !records.is_empty() || !checkpoints.is_empty() {
            let written = self.write(records, None, !checkpoints.is_empty());
            for (number, (answer, _room)) in answers.into_iter().enumerate() {
                let _ = answer.send(written.clone().map(|positions| positions[number]));
            }
            for answer in checkpoints {
                let _ = answer.send(written.clone().map(|_| self.news.checkpoint.borrow().clone()));
            }
            self.keep_up();
        }
        for (retention, answer) in prunes {
            let _ = answer.send(self.prune(retention));
        }
        close
    }

    /// Writes these records, and signs all that is not signed yet if that is due or asked for.
    fn write(&mut self, records: Vec<Record>, prune: Option<Prune>, sign: bool) -> Result<Vec<Position>, AppendError> {
        let written = self.try_write(records, prune, sign);
        self.report(written.as_ref().err().cloned());
        if written.is_err() && self.sign_by.is_some() {
            // Not at once again: records try, too.
            self.sign_by = Some(Instant::now() + self.options.checkpoint_interval.max(RETRY));
        }
        written
    }

    fn try_write(
        &mut self,
        records: Vec<Record>,
        prune: Option<Prune>,
        sign: bool,
    ) -> Result<Vec<Position>, AppendError> {
        if !self.tail.is_ready() {
            self.cut += self.tail.recover()?;
        }
        let mut batch = Batch::after(self.tail.durable().tip);
        if self.cut > 0 {
            batch.push(Body::Repair(Repair { cut_bytes: self.cut }));
        }
        let positions = records.into_iter().map(|record| batch.push(Body::Record(record))).collect();
        if let Some(prune) = prune {
            batch.push(Body::Prune(prune));
        }
        let unsigned = self.unsigned + batch.entries();
        let checkpoint = (unsigned > 0 && (sign || self.must_sign(unsigned, batch.bytes())))
            .then(|| batch.seal(&self.key, self.log));
        if batch.entries() > 0 {
            self.tail.commit(&batch)?;
        }
        if self.cut > 0 {
            tracing::warn!(bytes = self.cut, "the end of the audit log was cut off: it had never been acknowledged");
            self.cut = 0;
        }
        self.count_unsigned(if checkpoint.is_some() { 0 } else { unsigned });
        self.news.durable.send_replace(self.tail.durable());
        if let Some(checkpoint) = checkpoint {
            self.news.checkpoint.send_replace(checkpoint);
            self.head_is_old = true;
        }
        Ok(positions)
    }

    fn must_sign(&self, unsigned: u64, bytes: u64) -> bool {
        unsigned >= self.options.checkpoint_entries
            || self.tail.durable().length + bytes >= self.options.segment_bytes
            || self.sign_by.is_some_and(|deadline| deadline <= Instant::now())
    }

    fn count_unsigned(&mut self, unsigned: u64) {
        self.unsigned = unsigned;
        self.sign_by = match unsigned {
            0 => None,
            _ => self.sign_by.or_else(|| Some(Instant::now() + self.options.checkpoint_interval)),
        };
    }

    /// Does what the last batch has made due, after its answers were given.
    fn keep_up(&mut self) {
        let (head, segment) = (self.replace_head(), self.rotate());
        let kept_up = head.and(segment);
        if let Err(fault) = &kept_up {
            tracing::warn!(%fault, "the audit log is written, but not kept as it should be");
        }
        self.news.health.send_if_modified(|health| {
            let before = std::mem::replace(&mut health.upkeep, kept_up.err());
            before.is_some() || health.upkeep.is_some()
        });
    }

    fn replace_head(&mut self) -> Result<(), IoFault> {
        if self.head_is_old {
            let checkpoint = self.news.checkpoint.borrow().clone();
            self.tail.write_head(&checkpoint)?;
            self.head_is_old = false;
        }
        Ok(())
    }

    /// Begins a new segment if the last one is full and signed to its end.
    fn rotate(&mut self) -> Result<(), IoFault> {
        let end = self.tail.durable();
        if end.length < self.options.segment_bytes || self.unsigned > 0 || !self.tail.is_ready() {
            return Ok(());
        }
        let mut batch = Batch::after(end.tip);
        let header = Header { version: FORMAT_VERSION, log: self.log, key: self.key.public_key() };
        batch.push(Body::Header(header));
        let begun = self.tail.begin_segment(&batch);
        if self.tail.durable() != end {
            self.count_unsigned(batch.entries());
            self.news.durable.send_replace(self.tail.durable());
        }
        begun
    }

    /// Removes old segments, once an entry that says so is durable and signed.
    fn prune(&mut self, retention: Retention) -> Result<Pruned, AppendError> {
        let outdated = outdated(&self.dir, retention)?;
        if let Some(before) = outdated.first_kept {
            self.write(vec![], Some(Prune { before }), true)?;
            // Before: the old one may be in what is removed, and the log could not be opened without it.
            self.replace_head()?;
            self.tail.remove(&outdated.segments)?;
            self.keep_up();
        }
        Ok(Pruned { segments: outdated.segments.len(), first_kept: outdated.first_kept })
    }

    /// Signs the end. If that fails the log is as good as after a crash, which it is made for.
    fn close(mut self) -> Result<Position, AppendError> {
        let signed = self.write(vec![], None, true);
        self.replace_head().map_err(AppendError::from).and(signed)?;
        Ok(self.tail.durable().tip)
    }

    fn report(&self, error: Option<AppendError>) {
        self.news.health.send_if_modified(|health| {
            let before = std::mem::replace(&mut health.append, error);
            before.is_some() || health.append.is_some()
        });
    }
}
