//! The handle that a program appends with.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use uuid::Uuid;

use crate::checkpoint::Checkpoint;
use crate::disk::{Disk, RealDisk};
use crate::entry::Entry;
use crate::error::{AppendError, IoFault, OpenError};
use crate::follow::Follower;
use crate::hash::Position;
use crate::key::PublicKey;
use crate::open::open;
use crate::options::{Options, Retention};
use crate::prune::Pruned;
use crate::reader::Reader;
use crate::record::Record;
use crate::tail::Durable;
use crate::worker::{Answer, Health, Request, Worker};

/// A log that is open to be written. Clones write to the same log.
///
/// It is closed by [`AuditLog::close`], or when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct AuditLog {
    about: Arc<About>,
    requests: mpsc::UnboundedSender<Request>,
    /// One permit for each byte that may wait.
    room: Arc<Semaphore>,
    durable: watch::Receiver<Durable>,
    checkpoint: watch::Receiver<Checkpoint>,
    health: watch::Receiver<Health>,
}

/// What does not change while the log is open.
#[derive(Debug)]
struct About {
    options: Options,
    log: Uuid,
    key: PublicKey,
    created: bool,
}

impl AuditLog {
    /// Opens the log, or begins it if there is none. A log that is not whole is refused, not begun anew.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        Self::open_on(options, Box::new(RealDisk)).await
    }

    pub(crate) async fn open_on(options: Options, disk: Box<dyn Disk>) -> Result<Self, OpenError> {
        let dir = options.dir.clone();
        let (opened, is_open) = oneshot::channel();
        let thread = thread::Builder::new().name("audit-log".to_owned());
        thread.spawn(move || work(options, disk, opened)).map_err(IoFault::when("start a thread for", &dir))?;
        let ended = || IoFault::when("open", &dir)(std::io::Error::other("its thread has ended"));
        is_open.await.unwrap_or_else(|_| Err(ended().into()))
    }

    /// Appends a record, and returns when it is durable. Records have the order in which they were appended.
    ///
    /// Waits while too many wait before it. If the future is dropped the record may be in the log all the same.
    pub async fn append(&self, record: Record) -> Result<Position, AppendError> {
        let bytes = u32::try_from(record.json().len()).unwrap_or(u32::MAX).min(self.about.options.queue_bytes);
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await.map_err(|_| AppendError::Closed)?;
        self.ask(|answer| Request::Append { record, room, answer }).await
    }

    /// Signs the log up to its end, now. If nothing was written since the last checkpoint, this is that one.
    pub async fn checkpoint(&self) -> Result<Checkpoint, AppendError> {
        self.ask(Request::Checkpoint).await
    }

    /// The last checkpoint, and all later ones: to be kept at another place, where they are worth the most.
    pub fn checkpoints(&self) -> watch::Receiver<Checkpoint> {
        self.checkpoint.clone()
    }

    /// Removes old segments. The log says so itself, so that the verifier can tell it from tampering.
    pub async fn prune(&self, retention: Retention) -> Result<Pruned, AppendError> {
        self.ask(|answer| Request::Prune(retention, answer)).await
    }

    /// Writes what waits, signs the log, and closes it: for all clones. When this returns, another process can open it.
    pub async fn close(self) -> Result<Position, AppendError> {
        self.ask(Request::Close).await
    }

    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, AppendError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).map_err(|_| AppendError::Closed)?;
        answered.await.unwrap_or(Err(AppendError::Closed))
    }

    /// The last entry that is durable.
    pub fn position(&self) -> Position {
        self.durable.borrow().tip
    }

    /// How the log is doing, now and later.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// The key that verifies the log. An auditor must have it from elsewhere than the log's directory.
    pub fn public_key(&self) -> PublicKey {
        self.about.key
    }

    /// Which log this is.
    pub fn id(&self) -> Uuid {
        self.about.log
    }

    /// Whether the log was begun when it was opened. On any but the first start this means that the log was lost.
    pub fn is_new(&self) -> bool {
        self.about.created
    }

    /// The log's directory.
    pub fn dir(&self) -> &Path {
        &self.about.options.dir
    }

    /// Reads what is durable, without holding up the writer.
    pub fn reader(&self) -> Reader {
        Reader::up_to(self.dir(), self.durable.clone())
    }

    /// The entries from this sequence on that the filter lets through, and then each new one when it is durable.
    pub fn follow(&self, from: u64, filter: impl FnMut(&Entry) -> bool + Send + 'static) -> Follower {
        Follower::new(self.reader().entries(from), Box::new(filter), self.durable.clone())
    }
}

/// The thread.
fn work(options: Options, disk: Box<dyn Disk>, opened: oneshot::Sender<Result<AuditLog, OpenError>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(IoFault::when("start a runtime for", &options.dir));
    let (mut worker, about, runtime) = match runtime.map_err(OpenError::from).and_then(|runtime| {
        let log = open(&options, disk)?;
        let about = About { options: options.clone(), log: log.log, key: log.key.public_key(), created: log.created };
        Ok((Worker::new(options, log), about, runtime))
    }) {
        Ok(ready) => ready,
        Err(error) => return drop(opened.send(Err(error))),
    };
    worker.start();
    let (requests, received) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(about.options.queue_bytes as usize));
    let news = worker.news();
    let log = AuditLog {
        about: Arc::new(about),
        requests,
        room: Arc::clone(&room),
        durable: news.durable.subscribe(),
        checkpoint: news.checkpoint.subscribe(),
        health: news.health.subscribe(),
    };
    // If nobody waits for it any more the log is closed at once.
    let _ = opened.send(Ok(log));
    runtime.block_on(worker.run(received));
    room.close();
}
