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
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Store;

/// How long the apiserver keeps a watch open.
const WATCH_SECONDS: u32 = 60;

/// A watch that is silent for longer than it may be open is dead: a half-open connection gives no error.
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 5);

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
    stop.run_until_cancelled(follow_forever(api, store)).await;
}

async fn follow_forever(api: Api<Node>, store: Store) {
    let mut listed = false;
    let mut delays = new_delays();
    loop {
        let step = if listed { watch(&api, &store).await } else { list(&api, &store).await.map(|()| End::Over) };
        match step {
            Ok(end) => {
                listed = matches!(end, End::Over);
                delays = new_delays();
            }
            Err(error) => {
                let delay = delays.next().unwrap_or(Duration::from_secs(2));
                tracing::warn!(%error, ?delay, "the watch of the nodes broke off, going on");
                tokio::time::sleep(delay).await;
            }
        }
    }
}

/// Short, because a reader's delay after an apiserver's restart is this one; jittered, because there may be replicas.
fn new_delays() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(2))
        .without_max_times()
        .with_jitter()
        .build()
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
