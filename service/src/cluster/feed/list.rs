//! Reading all objects of a kind.
//!
//! Best as the beginning of a watch (KEP-3157): the apiserver then sends one after another, and neither it nor this server
//! holds the list whole. Where it does not know that, in pages.

use anyhow::Context as _;
use kube::api::ListParams;
use kube::core::WatchEvent;
use tokio::time::{Duration, timeout};

use super::source::{Events, Page};
use super::{Sink, Source, next, open, watch_params};

/// The bookmark that all that was there has come before.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// The deadline of one page of the list.
const PAGE_DEADLINE: Duration = Duration::from_secs(60);

/// The objects in one page of the list.
const PAGE_OBJECTS: u32 = 500;

/// All objects at one moment after they were asked for.
pub(super) struct Listed<O, K> {
    pub kept: Vec<K>,
    /// The resource version that they are of.
    pub version: u64,
    /// The watch that goes on from there, if they were its beginning.
    pub watch: Option<Events<O>>,
}

/// What a sink keeps of all objects.
pub(super) async fn listed<S, K>(source: &S, sink: &K) -> anyhow::Result<Listed<S::Object, K::Kept>>
where
    S: Source,
    K: Sink<Object = S::Object>,
{
    if let Some(listed) = streamed(source, sink).await.context("listing")? {
        return Ok(listed);
    }
    let (kept, version) = in_pages(source, |object| sink.keep(object)).await?;
    Ok(Listed { kept, version: version.parse()?, watch: None })
}

/// The same, as the beginning of a watch. None if the apiserver does not know such watches.
async fn streamed<S, K>(source: &S, sink: &K) -> anyhow::Result<Option<Listed<S::Object, K::Kept>>>
where
    S: Source,
    K: Sink<Object = S::Object>,
{
    // Without a version: not older than the request.
    let mut events = match open(source, watch_params().initial_events(), "").await? {
        // Without the feature gate `WatchList` the parameters are not valid.
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => return Ok(None),
        events => events?,
    };
    let mut kept = Vec::new();
    while let Some(event) = next(&mut events).await? {
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => kept.push(sink.keep(object)),
            // It was there when the list began.
            WatchEvent::Deleted(object) => {
                let gone = sink.keep(object);
                kept.retain(|kept| K::name(kept) != K::name(&gone));
            }
            WatchEvent::Bookmark(bookmark) if bookmark.metadata.annotations.contains_key(INITIAL_EVENTS_END) => {
                let version = bookmark.metadata.resource_version.parse()?;
                return Ok(Some(Listed { kept, version, watch: Some(events) }));
            }
            // An ordinary watch: what was asked for beyond that was not understood.
            WatchEvent::Bookmark(_) => return Ok(None),
            WatchEvent::Error(status) => anyhow::bail!(status),
        }
    }
    anyhow::bail!("it was closed before all had come")
}

/// All objects, page by page, each brought into another form at once, and the resource version that they are of.
pub(in crate::cluster) async fn in_pages<S: Source, K>(
    source: &S,
    keep: impl Fn(S::Object) -> K,
) -> anyhow::Result<(Vec<K>, String)> {
    let mut kept = Vec::new();
    let mut params = ListParams::default().limit(PAGE_OBJECTS);
    loop {
        let Page { objects, version, next } = timeout(PAGE_DEADLINE, source.list(params.clone())).await??;
        kept.extend(objects.into_iter().map(&keep));
        match next {
            Some(token) => params = params.continue_token(&token),
            None => return Ok((kept, version)),
        }
    }
}
