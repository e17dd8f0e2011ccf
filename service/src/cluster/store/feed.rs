//! The upstream watch: one for each store, however many clients there are.
//!
//! It lists once and then watches from the list's resource version. A watch that ends, breaks or falls silent is taken up
//! again where it was; only if the apiserver no longer knows that version (410) is the list read again. Readers of the
//! store notice a delay, nothing else.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{ListParams, WatchParams};
use kube::core::WatchEvent;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Store;

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

/// The nodes in one page of the list.
const LIST_PAGE: u32 = 500;

/// Why a watch has ended.
enum End {
    /// In the usual way: go on from the store's version.
    Over,
    /// The version is too old: list again.
    Expired,
}

/// Keeps the store up to date until it is told to stop.
pub(crate) async fn follow(api: Api<Node>, store: Store, stop: CancellationToken) {
    stop.run_until_cancelled(Feed::new(api, store).follow()).await;
}

struct Feed {
    api: Api<Node>,
    store: Store,
    /// Whether the store has what a watch goes on from.
    is_listed: bool,
    delays: Delays,
}

impl Feed {
    fn new(api: Api<Node>, store: Store) -> Self {
        Self { api, store, is_listed: false, delays: new_delays() }
    }

    async fn follow(mut self) {
        loop {
            if let Err(error) = self.go_on().await {
                let delay = self.delays.next().unwrap_or(LONGEST_DELAY);
                tracing::warn!(%error, ?delay, "the watch of the nodes broke off, going on");
                sleep(delay).await;
            }
        }
    }

    /// Watches for as long as a watch lasts, after a list if there must be one. An error if the next one should not come
    /// at once.
    async fn go_on(&mut self) -> anyhow::Result<()> {
        if !self.is_listed {
            list(&self.api, &self.store).await?;
            self.is_listed = true;
        }
        let (begun, version) = (Instant::now(), self.store.head().1);
        let end = watch(&self.api, &self.store).await;
        // That lists succeed does not count: they may be all that does.
        let was_of_use = self.store.head().1 > version || begun.elapsed() >= TURNED_AWAY;
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

async fn list(api: &Api<Node>, store: &Store) -> anyhow::Result<()> {
    let mut nodes = Vec::new();
    let mut page = ListParams::default().limit(LIST_PAGE);
    let version = loop {
        let list = timeout(LIST_DEADLINE, api.list(&page)).await??;
        nodes.extend(list.items);
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => break list.metadata.resource_version.unwrap_or_default(),
        }
    };
    tracing::info!(nodes = nodes.len(), version, "read the nodes");
    if store.is_ready() {
        crate::telemetry::count_relist("nodes");
    }
    store.reset(nodes, version.parse()?);
    Ok(())
}

async fn watch(api: &Api<Node>, store: &Store) -> anyhow::Result<End> {
    let params = WatchParams::default().timeout(WATCH_SECONDS);
    let (_, version) = store.head();
    let events = match timeout(SILENCE, api.watch(&params, &version.to_string())).await? {
        Err(kube::Error::Api(status)) if status.code == 410 => return Ok(End::Expired),
        events => events?,
    };
    store.advance(version);
    let mut events = events.boxed();
    while let Some(event) = timeout(SILENCE, events.try_next()).await?? {
        match event {
            WatchEvent::Added(node) | WatchEvent::Modified(node) => store.apply(node),
            WatchEvent::Deleted(node) => store.remove(node),
            WatchEvent::Bookmark(bookmark) => store.advance(bookmark.metadata.resource_version.parse()?),
            WatchEvent::Error(status) if status.code == 410 => return Ok(End::Expired),
            WatchEvent::Error(status) => anyhow::bail!(status),
        }
    }
    Ok(End::Over)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::{Request, Response};
    use kube::Client;
    use kube::client::Body;
    use serde_json::{Value, json};
    use tokio::sync::watch;

    use super::super::StoreOptions;
    use super::*;

    /// So many watches in a second are a busy loop.
    const MANY: usize = 100;

    /// How many lists and watches there were.
    #[derive(Clone, Copy, Debug, Default)]
    struct Counts {
        lists: usize,
        watches: usize,
    }

    /// Follows an apiserver without nodes, which gives this answer to each watch, for a second or until there were many.
    async fn follow_for_a_second(answer: impl Fn(usize) -> Option<Value> + Send + 'static) -> Counts {
        let counts = Arc::new(watch::Sender::new(Counts::default()));
        let count = counts.clone();
        let apiserver = tower::service_fn(move |request: Request<Body>| {
            let is_watch = request.uri().query().is_some_and(|query| query.contains("watch="));
            count.send_modify(|counts| *if is_watch { &mut counts.watches } else { &mut counts.lists } += 1);
            let list = json!({ "metadata": { "resourceVersion": "10" }, "items": [] });
            let body = if is_watch { answer(count.borrow().watches) } else { Some(list) };
            let body = body.map(|body| body.to_string()).unwrap_or_default();
            async { Ok::<_, std::io::Error>(Response::new(Body::from(body.into_bytes()))) }
        });
        let feed = Feed::new(Api::all(Client::new(apiserver, "default")), Store::new(StoreOptions::default()));
        let mut seen = counts.subscribe();
        tokio::select! {
            () = feed.follow() => {}
            () = sleep(Duration::from_secs(1)) => {}
            _ = seen.wait_for(|counts| counts.watches >= MANY) => {}
        }
        *counts.borrow()
    }

    #[tokio::test]
    async fn watches_that_are_closed_at_once_are_opened_again_with_pauses() {
        let Counts { lists, watches } = follow_for_a_second(|_| None).await;
        assert_eq!(lists, 1);
        assert!((2..10).contains(&watches), "{watches} watches");
    }

    #[tokio::test]
    async fn lists_that_expire_at_once_are_read_again_with_pauses() {
        let gone = json!({ "type": "ERROR", "object": { "kind": "Status", "status": "Failure", "code": 410 } });
        let lists = follow_for_a_second(move |_| Some(gone.clone())).await.lists;
        assert!((2..10).contains(&lists), "{lists} lists");
    }

    #[tokio::test]
    async fn a_watch_that_has_brought_something_is_taken_up_again_at_once() {
        let changed = |count: usize| {
            let metadata = json!({ "name": "a", "resourceVersion": (10 + count).to_string() });
            Some(json!({ "type": "MODIFIED", "object": { "metadata": metadata } }))
        };
        assert!(follow_for_a_second(changed).await.watches >= MANY);
    }
}
