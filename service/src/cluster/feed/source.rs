//! What is listed and watched.

use std::fmt::Debug;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use kube::api::{ListParams, WatchParams};
use kube::core::{ObjectList, PartialObjectMeta, Request, WatchEvent};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

/// What a watch brings.
pub(super) type Events<K> = BoxStream<'static, kube::Result<WatchEvent<K>>>;

/// Objects of one kind in Kubernetes.
pub(in crate::cluster) trait Source: Send + Sync {
    /// What they are.
    type Object: Send + Sync + 'static;

    /// A page of them.
    fn list(&self, page: ListParams) -> impl Future<Output = kube::Result<Page<Self::Object>>> + Send;

    /// What happens to them after this resource version.
    fn watch(
        &self,
        params: WatchParams,
        version: &str,
    ) -> impl Future<Output = kube::Result<Events<Self::Object>>> + Send;
}

/// A page of a list.
pub(in crate::cluster) struct Page<K> {
    pub(super) objects: Vec<K>,
    /// The resource version of the list.
    pub(super) version: String,
    /// What to ask for the next page with. None on the last.
    pub(super) next: Option<String>,
}

impl<K> Page<K> {
    fn of<D: Clone>(list: ObjectList<D>, keep: fn(D) -> K) -> Self {
        Self {
            objects: list.items.into_iter().map(keep).collect(),
            version: list.metadata.resource_version.unwrap_or_default(),
            next: list.metadata.continue_.filter(|token| !token.is_empty()),
        }
    }
}

/// Objects as they are (`K`), read as `D`, which may know fewer of their fields: what is not read costs little.
pub(in crate::cluster) struct Whole<D, K = D> {
    client: Client,
    path: String,
    /// Only those with these fields.
    fields: Option<String>,
    /// Only those with these labels.
    labels: Option<String>,
    /// What stays of an object as it comes: a page of a long list need not wait for the others.
    keep: fn(D) -> K,
}

impl<K: Resource> Whole<K> {
    /// The objects with all that is in them.
    pub fn new(api: Api<K>) -> Self {
        Self::keeping(api, |object| object)
    }
}

impl<D, K> Whole<D, K> {
    /// What stays of the objects of this kind.
    pub fn keeping<R: Resource>(api: Api<R>, keep: fn(D) -> K) -> Self {
        let path = api.resource_url().to_owned();
        Self { client: api.into_client(), path, fields: None, labels: None, keep }
    }

    /// Only those with these fields.
    pub fn with_fields(self, fields: String) -> Self {
        Self { fields: Some(fields), ..self }
    }

    /// Only those with these labels.
    pub fn with_labels(self, labels: String) -> Self {
        Self { labels: Some(labels), ..self }
    }
}

impl<D, K> Clone for Whole<D, K> {
    fn clone(&self) -> Self {
        let Self { client, path, fields, labels, keep } = self;
        let (client, path, keep) = (client.clone(), path.clone(), *keep);
        Self { client, path, fields: fields.clone(), labels: labels.clone(), keep }
    }
}

impl<D, K> Source for Whole<D, K>
where
    D: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K: Send + Sync + 'static,
{
    type Object = K;

    async fn list(&self, page: ListParams) -> kube::Result<Page<K>> {
        let page = ListParams { field_selector: self.fields.clone(), label_selector: self.labels.clone(), ..page };
        let request = Request::new(&self.path).list(&page).map_err(kube::Error::BuildRequest)?;
        let list = self.client.request::<ObjectList<D>>(request).await?;
        Ok(Page::of(list, self.keep))
    }

    async fn watch(&self, params: WatchParams, version: &str) -> kube::Result<Events<K>> {
        let (field_selector, label_selector) = (self.fields.clone(), self.labels.clone());
        let params = WatchParams { field_selector, label_selector, ..params };
        let request = Request::new(&self.path).watch(&params, version).map_err(kube::Error::BuildRequest)?;
        let keep = self.keep;
        let events = self.client.request_events::<D>(request).await?;
        Ok(events.map(move |event| Ok(kept(event?, keep))).boxed())
    }
}

/// Objects without all but their metadata, which is all that is sent of them.
#[derive(Clone)]
pub(in crate::cluster) struct Metadata<K> {
    api: Api<K>,
    keep: fn(PartialObjectMeta<K>) -> PartialObjectMeta<K>,
}

impl<K> Metadata<K> {
    /// What stays of the metadata of objects of this kind.
    pub fn keeping(api: Api<K>, keep: fn(PartialObjectMeta<K>) -> PartialObjectMeta<K>) -> Self {
        Self { api, keep }
    }
}

impl<K> Source for Metadata<K>
where
    K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    type Object = PartialObjectMeta<K>;

    async fn list(&self, page: ListParams) -> kube::Result<Page<Self::Object>> {
        Ok(Page::of(self.api.list_metadata(&page).await?, self.keep))
    }

    async fn watch(&self, params: WatchParams, version: &str) -> kube::Result<Events<Self::Object>> {
        let keep = self.keep;
        let events = self.api.watch_metadata(&params, version).await?;
        Ok(events.map_ok(move |event| kept(event, keep)).boxed())
    }
}

fn kept<D, K>(event: WatchEvent<D>, keep: fn(D) -> K) -> WatchEvent<K> {
    match event {
        WatchEvent::Added(object) => WatchEvent::Added(keep(object)),
        WatchEvent::Modified(object) => WatchEvent::Modified(keep(object)),
        WatchEvent::Deleted(object) => WatchEvent::Deleted(keep(object)),
        WatchEvent::Bookmark(bookmark) => WatchEvent::Bookmark(bookmark),
        WatchEvent::Error(status) => WatchEvent::Error(status),
    }
}
