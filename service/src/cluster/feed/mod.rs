//! Keeping up with the objects of one kind: one upstream watch for each that keeps them.
//!
//! It lists once and then watches from the list's resource version. A watch that ends, breaks or falls silent is taken up
//! again where it was; only if the apiserver no longer knows that version (410) is the list read again. Who reads what is
//! kept notices a delay, nothing else.

mod source;
#[cfg(test)]
mod tests;

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::TryStreamExt;
use kube::api::{ListParams, WatchParams};
use kube::core::WatchEvent;
use tokio::time::{Instant, sleep, timeout};

pub(super) use source::{Metadata, Source, Whole};

/// How long the apiserver keeps a watch open.
const WATCH_SECONDS: u32 = 60;

/// A watch that is silent for longer than it may be open is dead: a half-open connection gives no error.
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 5);

/// A watch that ends sooner than this and has brought nothing was turned away, perhaps by something in between. To come
/// back at once would make a busy loop; a watch that lasts so long can't.
const TURNED_AWAY: Duration = Duration::from_secs(5);

const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// The deadline of one page of the list.
const LIST_DEADLINE: Duration = Duration::from_secs(60);

/// The objects in one page of the list.
const LIST_PAGE: u32 = 500;

/// Where what the watch brings is kept.
pub(super) trait Sink: Send + Sync {
    /// What is kept.
    type Object;

    /// What they are called in the log and in metrics.
    fn kind(&self) -> &'static str;

    /// Whether there was a list already.
    fn is_ready(&self) -> bool;

    /// All that happened up to this resource version was taken in.
    fn version(&self) -> u64;

    /// Takes in a complete list: the first one, or one after a gap in the watch.
    fn reset(&self, listed: Vec<Self::Object>, version: u64);

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
                tracing::warn!(%error, ?delay, "the watch of the {kind} broke off, going on");
                sleep(delay).await;
            }
        }
    }

    /// Watches for as long as a watch lasts, after a list if there must be one. An error if the next one should not come
    /// at once.
    async fn go_on(&mut self) -> anyhow::Result<()> {
        if !self.is_listed {
            read(&self.source, &self.sink).await?;
            self.is_listed = true;
        }
        let (begun, version) = (Instant::now(), self.sink.version());
        let end = watch(&self.source, &self.sink).await;
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
}

type Delays = Box<dyn Iterator<Item = Duration> + Send>;

/// Short, because a reader's delay after an apiserver's restart is this one; jittered, because there may be replicas.
fn new_delays() -> Delays {
    let delays = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(LONGEST_DELAY)
        .without_max_times()
        .with_jitter();
    Box::new(delays.build())
}

async fn read<S: Source>(source: &S, sink: &impl Sink<Object = S::Object>) -> anyhow::Result<()> {
    let (objects, version) = list(source).await?;
    let kind = sink.kind();
    tracing::info!(count = objects.len(), version, "read the {kind}");
    if sink.is_ready() {
        crate::telemetry::count_relist(kind);
    }
    sink.reset(objects, version.parse()?);
    Ok(())
}

async fn watch<S: Source>(source: &S, sink: &impl Sink<Object = S::Object>) -> anyhow::Result<End> {
    let params = WatchParams::default().timeout(WATCH_SECONDS);
    let version = sink.version();
    let mut events = match timeout(SILENCE, source.watch(params, &version.to_string())).await? {
        Err(kube::Error::Api(status)) if status.code == 410 => return Ok(End::Expired),
        events => events?,
    };
    sink.advance(version);
    while let Some(event) = timeout(SILENCE, events.try_next()).await?? {
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

/// All objects now, page by page, and the resource version that they are of.
pub(super) async fn list<S: Source>(source: &S) -> anyhow::Result<(Vec<S::Object>, String)> {
    let mut objects = Vec::new();
    let mut page = ListParams::default().limit(LIST_PAGE);
    loop {
        let list = timeout(LIST_DEADLINE, source.list(page.clone())).await??;
        objects.extend(list.items);
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok((objects, list.metadata.resource_version.unwrap_or_default())),
        }
    }
}
