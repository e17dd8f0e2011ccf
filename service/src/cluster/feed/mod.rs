//! Keeping up with the objects of one kind: one upstream watch for each that keeps them.
//!
//! It lists once and then watches from the list's resource version. A watch that ends, breaks or falls silent is taken up
//! again where it was; only if the apiserver no longer knows that version (410) is the list read again. Who reads what is
//! kept notices a delay, nothing else.
//!
//! An object is brought into the form in which it is kept as it comes: a list of many is never there whole in another.

mod lean;
mod list;
mod source;
#[cfg(test)]
mod tests;

use std::time::Duration;

use anyhow::Context as _;
use backon::{BackoffBuilder, ExponentialBuilder};
use futures::TryStreamExt;
use kube::api::WatchParams;
use kube::core::WatchEvent;
use tokio::time::{Instant, sleep, timeout};

pub(super) use lean::Lean;
pub(super) use list::in_pages;
use list::{Listed, listed};
use source::Events;
pub(super) use source::{Metadata, Source, Whole};

/// A watch that brings nothing for so long is dead: a half-open connection gives no error. An apiserver sends a bookmark
/// each minute, at times more than a second late (`cacher.defaultBookmarkFrequency`).
const SILENCE: Duration = Duration::from_secs(65);

/// How long the apiserver may take to begin an answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// For how many seconds the apiserver keeps a watch open, at least, and at most. As client-go's reflector: not all watches
/// that began together end together.
const WATCH_SECONDS: (u32, u32) = (300, 600);

/// A watch that ends sooner than this and has brought nothing was turned away, perhaps by something in between. To come
/// back at once would make a busy loop; a watch that lasts so long can't.
const TURNED_AWAY: Duration = Duration::from_secs(5);

const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// Where what the watch brings is kept.
pub(super) trait Sink: Send + Sync {
    /// What comes.
    type Object;

    /// What is kept of an object.
    type Kept: Send;

    /// What they are called in the log and in metrics.
    fn kind(&self) -> &'static str;

    /// Whether there was a list already.
    fn is_ready(&self) -> bool;

    /// All that happened up to this resource version was taken in.
    fn version(&self) -> u64;

    /// Brings an object into the form in which it is kept. It is not kept yet.
    fn keep(&self, object: Self::Object) -> Self::Kept;

    /// The namespace, empty if there is none, and the name of what is kept.
    fn name(kept: &Self::Kept) -> (&str, &str);

    /// Takes in a complete list: the first one, or one after a gap in the watch. Of what is in it twice, the later counts.
    fn relist(&self, listed: Vec<Self::Kept>, version: u64);

    /// Takes in an object that was added or changed.
    fn apply(&self, object: Self::Object);

    /// Takes in an object that was deleted. Its resource version is that of the deletion.
    fn remove(&self, object: Self::Object);

    /// Takes in that nothing happened up to this resource version.
    fn advance(&self, version: u64);
}

/// Why a watch has ended.
enum End {
    /// In the usual way: go on from the sink's version.
    Over,
    /// The version is too old: list again.
    Expired,
}

/// What keeps a sink up to date.
pub(super) struct Feed<S, K> {
    source: S,
    sink: K,
    /// Whether the sink has what a watch goes on from.
    is_listed: bool,
    delays: Delays,
}

impl<S, K> Feed<S, K>
where
    S: Source,
    K: Sink<Object = S::Object>,
{
    pub fn new(source: S, sink: K) -> Self {
        Self { source, sink, is_listed: false, delays: new_delays() }
    }

    /// Goes on until it is dropped.
    pub async fn follow(mut self) {
        loop {
            if let Err(error) = self.go_on().await {
                let (kind, delay) = (self.sink.kind(), self.delays.next().unwrap_or(LONGEST_DELAY));
                tracing::warn!(error = format!("{error:#}"), ?delay, "the watch of the {kind} broke off, going on");
                sleep(delay).await;
            }
        }
    }

    /// Watches for as long as a watch lasts, after a list if there must be one. An error if the next one should not come
    /// at once.
    async fn go_on(&mut self) -> anyhow::Result<()> {
        let opened = if self.is_listed { None } else { self.list().await? };
        let (begun, version) = (Instant::now(), self.sink.version());
        let end = self.watch(opened).await;
        // That lists succeed does not count: they may be all that does.
        let was_of_use = self.sink.version() > version || begun.elapsed() >= TURNED_AWAY;
        if was_of_use {
            self.delays = new_delays();
        }
        match end? {
            End::Over if was_of_use => Ok(()),
            End::Over => anyhow::bail!("it was closed at once"),
            End::Expired => {
                self.is_listed = false;
                anyhow::bail!("the apiserver no longer knows what came next")
            }
        }
    }

    /// Reads all objects. If they came at the beginning of a watch, that goes on.
    async fn list(&mut self) -> anyhow::Result<Option<Events<S::Object>>> {
        let Listed { kept, version, watch } = listed(&self.source, &self.sink).await?;
        let kind = self.sink.kind();
        tracing::info!(count = kept.len(), version, is_streamed = watch.is_some(), "read the {kind}");
        if self.sink.is_ready() {
            crate::telemetry::count_relist(kind);
        }
        self.sink.relist(kept, version);
        self.is_listed = true;
        Ok(watch)
    }

    /// Takes in what a watch brings: this one, or one from the sink's version.
    async fn watch(&self, opened: Option<Events<S::Object>>) -> anyhow::Result<End> {
        let sink = &self.sink;
        let mut events = match opened {
            Some(events) => events,
            None => match self.resume().await? {
                Some(events) => events,
                None => return Ok(End::Expired),
            },
        };
        while let Some(event) = next(&mut events).await? {
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => sink.apply(object),
                WatchEvent::Deleted(object) => sink.remove(object),
                WatchEvent::Bookmark(bookmark) => sink.advance(bookmark.metadata.resource_version.parse()?),
                WatchEvent::Error(status) if status.code == 410 => return Ok(End::Expired),
                WatchEvent::Error(status) => anyhow::bail!(status),
            }
        }
        Ok(End::Over)
    }

    /// A watch from the sink's version. None if the apiserver no longer knows it.
    async fn resume(&self) -> anyhow::Result<Option<Events<S::Object>>> {
        let version = self.sink.version();
        match open(&self.source, watch_params(), &version.to_string()).await? {
            Err(kube::Error::Api(status)) if status.code == 410 => Ok(None),
            events => {
                let events = events?;
                self.sink.advance(version);
                Ok(Some(events))
            }
        }
    }
}

type Delays = Box<dyn Iterator<Item = Duration> + Send + Sync>;

/// Short, because a reader's delay after an apiserver's restart is this one; jittered, because there may be replicas.
fn new_delays() -> Delays {
    let delays = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(LONGEST_DELAY)
        .without_max_times()
        .with_jitter();
    Box::new(delays.build())
}

fn watch_params() -> WatchParams {
    let (least, most) = WATCH_SECONDS;
    WatchParams::default().timeout(rand::random_range(least..most))
}

async fn open<S: Source>(
    source: &S,
    params: WatchParams,
    version: &str,
) -> anyhow::Result<kube::Result<Events<S::Object>>> {
    timeout(ANSWER_DEADLINE, source.watch(params, version)).await.context("the apiserver does not answer")
}

/// The next event. None if the watch has ended in the usual way.
async fn next<K>(events: &mut Events<K>) -> anyhow::Result<Option<WatchEvent<K>>> {
    let event = timeout(SILENCE, events.try_next()).await;
    Ok(event.with_context(|| format!("it was silent for {SILENCE:?}"))??)
}
