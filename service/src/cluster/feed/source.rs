//! What is listed and watched.

use std::fmt::Debug;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use kube::Api;
use kube::api::{ListParams, WatchParams};
use kube::core::{ObjectList, PartialObjectMeta, WatchEvent};
use serde::de::DeserializeOwned;

type Events<K> = BoxStream<'static, kube::Result<WatchEvent<K>>>;

/// Objects of one kind in Kubernetes.
pub(in crate::cluster) trait Source: Send + Sync {
    /// What they are.
    type Object: Clone + Send + Sync + 'static;

    /// A page of them.
    fn list(&self, page: ListParams) -> impl Future<Output = kube::Result<ObjectList<Self::Object>>> + Send;

    /// What happens to them after this resource version.
    fn watch(
        &self,
        params: WatchParams,
        version: &str,
    ) -> impl Future<Output = kube::Result<Events<Self::Object>>> + Send;
}

/// Whole objects.
#[derive(Clone)]
pub(in crate::cluster) struct Whole<K> {
    api: Api<K>,
    /// Only those with these fields.
    fields: Option<String>,
    /// Only those with these labels.
    labels: Option<String>,
    /// Drops what need not be kept of an object, as it comes.
    drop_unread: fn(&mut K),
}

impl<K> Whole<K> {
    pub fn new(api: Api<K>) -> Self {
        Self { api, fields: None, labels: None, drop_unread: |_| {} }
    }

    /// Only those with these fields.
    pub fn with_fields(self, fields: String) -> Self {
        Self { fields: Some(fields), ..self }
    }

    /// Only those with these labels.
    pub fn with_labels(self, labels: String) -> Self {
        Self { labels: Some(labels), ..self }
    }

    /// Drops what need not be kept of an object, as it comes: a page of a long list need not wait for the others.
    pub fn dropping(self, drop_unread: fn(&mut K)) -> Self {
        Self { drop_unread, ..self }
    }
}

impl<K> Source for Whole<K>
where
    K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    type Object = K;

    async fn list(&self, page: ListParams) -> kube::Result<ObjectList<K>> {
        let page = ListParams { field_selector: self.fields.clone(), label_selector: self.labels.clone(), ..page };
        let mut list = self.api.list(&page).await?;
        list.items.iter_mut().for_each(self.drop_unread);
        Ok(list)
    }

    async fn watch(&self, params: WatchParams, version: &str) -> kube::Result<Events<K>> {
        let (field_selector, label_selector) = (self.fields.clone(), self.labels.clone());
        let params = WatchParams { field_selector, label_selector, ..params };
        let drop_unread = self.drop_unread;
        let events = self.api.watch(&params, version).await?;
        Ok(events.map_ok(move |event| without_unread(event, drop_unread)).boxed())
    }
}

/// Objects without all but their metadata, which is all that is sent of them.
#[derive(Clone)]
pub(in crate::cluster) struct Metadata<K> {
    api: Api<K>,
    drop_unread: fn(&mut PartialObjectMeta<K>),
}

impl<K> Metadata<K> {
    /// Drops what need not be kept of an object, as it comes.
    pub fn dropping(api: Api<K>, drop_unread: fn(&mut PartialObjectMeta<K>)) -> Self {
        Self { api, drop_unread }
    }
}

impl<K> Source for Metadata<K>
where
    K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    type Object = PartialObjectMeta<K>;

    async fn list(&self, page: ListParams) -> kube::Result<ObjectList<Self::Object>> {
        let mut list = self.api.list_metadata(&page).await?;
        list.items.iter_mut().for_each(self.drop_unread);
        Ok(list)
    }

    async fn watch(&self, params: WatchParams, version: &str) -> kube::Result<Events<Self::Object>> {
        let drop_unread = self.drop_unread;
        let events = self.api.watch_metadata(&params, version).await?;
        Ok(events.map_ok(move |event| without_unread(event, drop_unread)).boxed())
    }
}

fn without_unread<K>(mut event: WatchEvent<K>, drop_unread: fn(&mut K)) -> WatchEvent<K> {
    if let WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object) = &mut event {
        drop_unread(object);
    }
    event
}
