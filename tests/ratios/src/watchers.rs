//! Many streams at one system, followed to the last byte.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt, stream};
use h2::RecvStream;
use tokio::task::JoinSet;

use crate::client::{Connection, Frames, Framing, Mark, Marks, Windows};
use crate::system::System;

/// How many streams are opened at a time.
const PARALLEL: usize = 32;

/// How long it may take to open one.
const PATIENCE: Duration = Duration::from_secs(30);

/// How streams are opened.
#[derive(Clone, Copy)]
pub struct Shape {
    /// How many there are.
    pub streams: usize,
    /// On how many connections.
    pub connections: usize,
    /// Whether it is noted when each change arrives.
    pub timed: bool,
    /// Whether nobody reads what comes.
    pub stalled: bool,
}

impl Shape {
    /// As many streams on as many connections as they need, which is at least 10.
    pub fn of(streams: usize) -> Self {
        Self { streams, connections: streams.div_ceil(100).max(10).min(streams), timed: false, stalled: false }
    }

    /// The same, and it is noted when each change arrives.
    pub fn timed(self) -> Self {
        Self { timed: true, ..self }
    }

    /// The same, but nobody reads what comes. The windows are so narrow that the server feels it from the first change on.
    pub fn stalled(self) -> Self {
        Self { stalled: true, ..self }
    }

    fn windows(self) -> Windows {
        if self.stalled { Windows::NARROW } else { Windows::WIDE }
    }
}

/// Open streams. They end when this is dropped.
pub struct Watchers {
    streams: Vec<Arc<Seen>>,
    _readers: JoinSet<()>,
    _connections: Vec<Connection>,
}

/// What one stream has brought.
#[derive(Default)]
pub struct Seen {
    marks: AtomicU64,
    messages: AtomicU64,
    bytes: AtomicU64,
    last: AtomicU32,
    disorder: AtomicU64,
    arrivals: Option<Mutex<Vec<(Mark, Instant)>>>,
    end: Mutex<Option<String>>,
}

/// What streams have brought together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delivered {
    /// Changes that the benchmark has made.
    pub changes: u64,
    /// Messages, whatever they say.
    pub messages: u64,
    /// All bytes of the streams.
    pub bytes: u64,
}

impl Watchers {
    /// Opens streams, and waits until all of them have begun.
    pub async fn open(system: &System, shape: Shape) -> Result<Self> {
        let connect = (0..shape.connections).map(|_| Connection::open(&system.endpoint, shape.windows()));
        let connections: Vec<_> = stream::iter(connect).buffered(4).try_collect().await?;
        let first = connections.first().context("no connection was asked for")?;
        let call = system.opening(first).await?;
        let open = (0..shape.streams).map(|number| {
            let connection = &connections[number % connections.len()];
            async { tokio::time::timeout(PATIENCE, connection.send(&call)).await.context("a stream did not begin")? }
        });
        let bodies: Vec<_> = stream::iter(open).buffer_unordered(PARALLEL).try_collect().await?;
        let mut readers = JoinSet::new();
        if shape.stalled {
            readers.spawn(hold(bodies));
            return Ok(Self { streams: Vec::new(), _readers: readers, _connections: connections });
        }
        let follow = |body: http::Response<RecvStream>| {
            let seen = Arc::new(Seen::new(shape.timed));
            readers.spawn(follow(body.into_body(), system.framing, Arc::clone(&seen)));
            seen
        };
        let streams = bodies.into_iter().map(follow).collect();
        Ok(Self { streams, _readers: readers, _connections: connections })
    }

    /// What has come until now, on all streams together.
    pub fn delivered(&self) -> Delivered {
        let sum = |of: fn(&Seen) -> &AtomicU64| self.streams.iter().map(|seen| of(seen).load(Ordering::Relaxed)).sum();
        Delivered {
            changes: sum(|seen| &seen.marks),
            messages: sum(|seen| &seen.messages),
            bytes: sum(|seen| &seen.bytes),
        }
    }

    /// Waits until so many changes have come in all. It is an error if a stream ends meanwhile, or if they don't come in time.
    pub async fn have(&self, changes: u64, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        while self.delivered().changes < changes {
            self.all_live()?;
            if Instant::now() > deadline {
                bail!("{} of {changes} changes came", self.delivered().changes);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Whether all streams are still open.
    pub fn all_live(&self) -> Result<()> {
        let end = self.streams.iter().find_map(|seen| lock(&seen.end).clone());
        end.map_or(Ok(()), |end| bail!("a stream has ended: {end}"))
    }

    /// How many streams have brought exactly so many changes, in the order in which they were made.
    pub fn complete(&self, changes: u64) -> usize {
        let is_complete = |seen: &&Arc<Seen>| {
            seen.marks.load(Ordering::Relaxed) == changes && seen.disorder.load(Ordering::Relaxed) == 0
        };
        self.streams.iter().filter(is_complete).count()
    }

    /// When which change arrived, on all streams whose arrivals were noted.
    pub fn arrivals(&self) -> Vec<(Mark, Instant)> {
        let noted = self.streams.iter().filter_map(|seen| seen.arrivals.as_ref());
        noted.flat_map(|arrivals| lock(arrivals).clone()).collect()
    }
}

impl Seen {
    fn new(timed: bool) -> Self {
        Self { arrivals: timed.then(Mutex::default), ..Self::default() }
    }

    fn note(&self, mark: Mark) {
        self.marks.fetch_add(1, Ordering::Relaxed);
        if self.last.swap(mark, Ordering::Relaxed) >= mark {
            self.disorder.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(arrivals) = &self.arrivals {
            lock(arrivals).push((mark, Instant::now()));
        }
    }
}

async fn follow(mut body: RecvStream, framing: Framing, seen: Arc<Seen>) {
    let (mut frames, mut marks) = (Frames::new(framing), Marks::default());
    let end = loop {
        let piece = match body.data().await {
            Some(Ok(piece)) => piece,
            Some(Err(error)) => break error.to_string(),
            None => break trailers(&mut body).await,
        };
        seen.bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
        seen.messages.fetch_add(frames.push(&piece) as u64, Ordering::Relaxed);
        marks.push(&piece, |mark| seen.note(mark));
        // It can only fail if the stream has ended, which is told next.
        let _ = body.flow_control().release_capacity(piece.len());
    };
    *lock(&seen.end) = Some(end);
}

/// Keeps streams open and reads nothing of them.
async fn hold(bodies: Vec<http::Response<RecvStream>>) {
    std::future::pending::<()>().await;
    drop(bodies);
}

async fn trailers(body: &mut RecvStream) -> String {
    let trailers = body.trailers().await.ok().flatten().unwrap_or_default();
    format!("{:?}: {:?}", trailers.get("grpc-status"), trailers.get("grpc-message"))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
